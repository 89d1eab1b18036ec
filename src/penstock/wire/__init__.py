"""How is it said, and what was answered? Requests to bytes, bytes to readings, and the other way round. No I/O."""

from __future__ import annotations

from penstock.wire._formats import is_text, sniff
from penstock.wire.dialects import DIALECTS, Dialect, spoken_at
from penstock.wire.headers import ALLOWED, allowed
from penstock.wire.hearing import Undecodable
from penstock.wire.reader import CAP, Reader
from penstock.wire.replies import problem, reply
from penstock.wire.saying import Saying, plainly, say
from penstock.wire.sink import BadPayload, Decoder, MemorySink, Sink, Stored
from penstock.wire.speaking import decode, dialect, encode, locate, reader

__all__ = [
    "ALLOWED",
    "CAP",
    "DIALECTS",
    "BadPayload",
    "Decoder",
    "Dialect",
    "MemorySink",
    "Reader",
    "Saying",
    "Sink",
    "Stored",
    "Undecodable",
    "allowed",
    "decode",
    "dialect",
    "encode",
    "is_text",
    "locate",
    "plainly",
    "problem",
    "reader",
    "reply",
    "say",
    "sniff",
    "spoken_at",
]
