"""How is it said, and what was answered? Requests to bytes, bytes to readings, and the other way round. No I/O."""

from __future__ import annotations

from penstock.wire._formats import sniff
from penstock.wire.headers import ALLOWED, allowed
from penstock.wire.images import Undecodable, decode, encode
from penstock.wire.reader import CAP, Reader, reader
from penstock.wire.replies import problem, reply
from penstock.wire.sink import BadPayload, Decoder, MemorySink, Sink, Stored

__all__ = [
    "ALLOWED",
    "CAP",
    "BadPayload",
    "Decoder",
    "MemorySink",
    "Reader",
    "Sink",
    "Stored",
    "Undecodable",
    "allowed",
    "decode",
    "encode",
    "problem",
    "reader",
    "reply",
    "sniff",
]
