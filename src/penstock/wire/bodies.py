"""Reads replies that are one JSON text, kept whole until they end: vectors, verdicts, conversations, anything else.

The same reply gives the same reading however it is split, and nothing that a server sends makes it raise. What a user
gets of it goes to the sink as it is; the reading holds no text of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from attrs import frozen

from penstock.readings import Malformed, Part, Problem, Reading, Success, Usage
from penstock.wire import _problems
from penstock.wire._json import Json, begins_as_json, parse
from penstock.wire._skim import Skimmer
from penstock.wire._unread import malformed, no_json
from penstock.wire.reader import CAP, Opening
from penstock.wire.redact import clean
from penstock.wire.sink import BadPayload, Sink

SMALL = 1 << 18
"""Bytes of a reply that is parsed whole, in some 40 ms at the worst."""

UPPER = 1 << 19
"""Bytes of what may be left to be parsed of a larger one."""

MOST_ITEMS = 200_000
"""Items of a text that is parsed at once, in a fifth of a second at the worst."""

Piece: TypeAlias = tuple[int, bytes | None, str, str]
"""A result's place, its bytes (None: it is spoilt), its format and its size as a word."""

Take: TypeAlias = Callable[[Json, bytes], tuple[Usage | None, Sequence[Piece]] | Problem | str]
"""What a body says: usage and results, an error, or why it cannot be used. It gets the JSON and the bytes of it."""


Remarks: TypeAlias = Callable[[Json], tuple[str, ...]]
"""What a body gives reason to warn of."""


@frozen
class Room:
    """How large the replies of a kind may be: `most` bytes.

    Above `SMALL` bytes only `storeys` brackets deep is parsed, 0: all of it. Of a body that `cut` takes from, `left`
    bytes may be left to be parsed.
    """

    most: int = CAP
    storeys: int = 0
    left: int = CAP


class Cut(Protocol):
    """Takes out of a text, while it arrives, what is dear to parse at its end."""

    def feed(self, data: bytes) -> bytes:
        """What is left of the text, as far as that is certain."""
        ...

    def rest(self) -> bytes:
        """What was held back."""
        ...


class BodyReader:
    """A `penstock.wire.reader.Reader` of replies that `take` understands, of what `cut` leaves of a good one.

    One that is no `json` is kept all the same. `remarks` says what else is to be told of a good one.
    """

    def __init__(
        self,
        sink: Sink,
        opening: Opening,
        take: Take,
        room: Room = Room(),
        *,
        json: bool = True,
        cut: Cut | None = None,
        remarks: Remarks = lambda _: (),
    ) -> None:
        self.too_large = False
        self._cut = cut if opening.good else None
        self._most = min(room.most, opening.cap) if opening.good else opening.cap
        self._room = room
        self._seen = 0
        self._sink = sink
        self._opening = opening
        self._take = take
        self._json = json
        self._remarks = remarks
        self._body = bytearray()
        self._skimmer: Skimmer | None = None
        self._upper = bytearray()

    def feed(self, data: bytes) -> None:
        """The next bytes of the body."""
        if self.too_large:
            return
        self._seen += len(data)
        if self._opening.good or len(self._body) < SMALL:  # of an error no more is of interest
            self._body += data if self._cut is None else self._cut.feed(data)
            self._skim(data)
        over = self._cut is not None and len(self._body) > self._room.left
        if self._seen > self._most or over or (self._json and len(self._upper) > UPPER):
            self.too_large = True
            self._body.clear()
            self._upper.clear()

    def _skim(self, data: bytes) -> None:
        """Keep the upper storeys of what is large."""
        if self._skimmer is not None:
            if len(self._upper) <= UPPER:
                self._upper += self._skimmer.feed(data)
        elif self._room.storeys and len(self._body) > SMALL:
            self._skimmer = Skimmer(self._room.storeys)
            self._upper += self._skimmer.feed(bytes(self._body))

    def close(self) -> Reading:
        """The body is over: what it says. For anything but a Success the sink has been told to discard."""
        reading = self._read()
        if not isinstance(reading, Success):
            self._sink.discard()
        self._body.clear()
        return reading

    def _read(self) -> Reading:
        if self.too_large:
            return Malformed(f"a reply of more than {self._most:,} bytes, or with too much in it")
        if self._cut is not None:
            self._body += self._cut.rest()
        raw, self._body = bytes(self._body), bytearray()
        body = self._parsed(raw)
        if not self._opening.good:
            stated = _problems.from_body(body, self._clean)
            return stated if stated is not None else _problems.foreign(raw.decode("utf-8", "replace"), self._clean)
        if body is None and self._json:
            return malformed(self._nonsense(raw), raw, self._opening)
        said = self._take(body, raw)
        if isinstance(said, str):
            stated = _problems.from_body(body, self._clean)
            return stated if stated is not None else malformed(said, raw, self._opening)
        return said if isinstance(said, Problem) else self._kept(*said, self._remarks(body))

    def _parsed(self, raw: bytes) -> Json:
        """What the body says, of a large one as far as it was skimmed."""
        if self._skimmer is None:
            return None if crowded(raw) else parse(raw)
        return None if len(self._upper) > UPPER else parse(self._upper + self._skimmer.rest())

    def _kept(self, used: Usage | None, pieces: Sequence[Piece], remarks: tuple[str, ...]) -> Reading:
        parts: list[Part] = []
        spoilt: list[int] = []
        try:
            for place, data, form, size in pieces:
                if data is None:
                    spoilt.append(place)
                    continue
                stored = self._sink.whole(place, data)
                parts.append(Part(place, stored.ref, size, form, stored.nbytes))
        except BadPayload as fault:
            return Malformed(str(fault))
        return Success(used, tuple(parts), spoilt=tuple(spoilt), remarks=remarks)

    def _nonsense(self, raw: bytes) -> str:
        if begins_as_json(raw):
            return "too much in it" if crowded(raw) else "truncated"
        return no_json(self._opening)

    def _clean(self, text: str, longest: int) -> str:
        return clean(text, self._opening.redact, longest)


def crowded(raw: bytes) -> bool:
    """Whether there is more in a text than is parsed at once."""
    return len(raw) > MOST_ITEMS and any(raw.count(mark) > MOST_ITEMS for mark in (b",", b"[", b"{"))
