"""Reads replies that are one JSON text, kept whole until they end: vectors, verdicts, conversations, anything else.

The same reply gives the same reading however it is split, and nothing that a server sends makes it raise. What a user
gets of it goes to the sink as it is; the reading holds no text of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from penstock.readings import Malformed, Part, Problem, Reading, Success, Usage
from penstock.wire import _problems
from penstock.wire._json import Json, parse
from penstock.wire.reader import Opening
from penstock.wire.redact import clean
from penstock.wire.sink import BadPayload, Sink

SNIPPET = 120
_TYPE = 64

Piece: TypeAlias = tuple[int, bytes, str, str]
"""A result's place, its bytes, its format and its size as a word."""

Take: TypeAlias = Callable[[Json, bytes], tuple[Usage | None, Sequence[Piece]] | Problem | str]
"""What a body says: usage and results, an error, or why it cannot be used. It gets the JSON and the bytes of it."""


class Cut(Protocol):
    """Takes out of a text, while it arrives, what is dear to parse at its end."""

    def feed(self, data: bytes) -> bytes:
        """What is left of the text, as far as that is certain."""
        ...

    def rest(self) -> bytes:
        """What was held back."""
        ...


class BodyReader:
    """A `penstock.wire.reader.Reader` of replies that `take` understands, of what `cut` leaves of a good one."""

    def __init__(self, sink: Sink, opening: Opening, take: Take, *, json: bool = True, cut: Cut | None = None) -> None:
        self.too_large = False
        self._cut = cut if opening.good else None
        self._seen = 0
        self._sink = sink
        self._opening = opening
        self._take = take
        self._json = json
        self._body = bytearray()

    def feed(self, data: bytes) -> None:
        """The next bytes of the body."""
        if self.too_large:
            return
        self._seen += len(data)
        self._body += data if self._cut is None else self._cut.feed(data)
        if self._seen > self._opening.cap:
            self.too_large = True
            self._body.clear()

    def close(self) -> Reading:
        """The body is over: what it says. For anything but a Success the sink has been told to discard."""
        reading = self._read()
        if not isinstance(reading, Success):
            self._sink.discard()
        self._body.clear()
        return reading

    def _read(self) -> Reading:
        if self.too_large:
            return Malformed(f"a reply of more than {self._opening.cap:,} bytes")
        if self._cut is not None:
            self._body += self._cut.rest()
        raw = bytes(self._body)
        body = parse(raw)
        if not self._opening.good:
            stated = _problems.from_body(body, self._clean)
            return stated if stated is not None else _problems.foreign(raw.decode("utf-8", "replace"), self._clean)
        if body is None and self._json:
            return self._malformed(self._nonsense(raw), raw)
        said = self._take(body, raw)
        if isinstance(said, str):
            stated = _problems.from_body(body, self._clean)
            return stated if stated is not None else self._malformed(said, raw)
        return said if isinstance(said, Problem) else self._kept(*said)

    def _kept(self, used: Usage | None, pieces: Sequence[Piece]) -> Reading:
        parts: list[Part] = []
        try:
            for place, data, form, size in pieces:
                stored = self._sink.whole(place, data)
                parts.append(Part(place, stored.ref, size, form, stored.nbytes))
        except BadPayload as fault:
            return Malformed(str(fault))
        return Success(used, tuple(parts))

    def _nonsense(self, raw: bytes) -> str:
        if raw.lstrip()[:1] in (b"{", b"["):
            return "truncated"
        kind = self._opening.content_type
        return f"not JSON but {self._clean(kind, _TYPE)}" if kind else "not JSON"

    def _malformed(self, reason: str, raw: bytes) -> Malformed:
        text = raw[: 1 << 16].decode("utf-8", "replace")
        told = "" if text.lstrip()[:1] in ("{", "[") else self._clean(text, SNIPPET)  # JSON holds what was asked
        return Malformed(reason if text.strip() else "empty", told)

    def _clean(self, text: str, longest: int) -> str:
        return clean(text, self._opening.redact, longest)
