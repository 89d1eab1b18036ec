"""Reads a reply with pictures in JSON while it arrives: pictures go to a sink, a `Reading` comes out.

The same reply gives the same reading however it is split. Nothing that a server sends makes it raise.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve, frozen

from penstock.readings import Malformed, Part, Problem, Reading, Success, Usage
from penstock.wire import _problems
from penstock.wire._cutter import ANY, PICTURES, Cutter, Path
from penstock.wire._formats import sniff
from penstock.wire._json import Json, parse
from penstock.wire._unread import malformed, no_json
from penstock.wire._usage import usage
from penstock.wire.reader import Opening
from penstock.wire.redact import clean
from penstock.wire.sink import Sink, Stored

ENVELOPE = 1 << 22
"""How many bytes of a reply may be something else than picture data."""

_SIZE = 32


@frozen
class Look:
    """What a reply says besides its pictures.

    `problem` is a refusal inside a 200. The first `besides` pictures are not among those that were asked for (a sheet
    of all): they come last. `size` is that of all pictures that do not say their own. `withheld` are the places of
    those that are not to be delivered, though they may be there.
    """

    usage: Usage | None = None
    problem: Problem | None = None
    besides: int = 0
    size: str = ""
    withheld: frozenset[int] = frozenset()


def plain_look(body: dict[str, Json]) -> Look:
    """How OpenAI's API says it."""
    size = body.get("size")
    return Look(usage(body.get("usage")), size=size if isinstance(size, str) else "")


@frozen
class Shape:
    """How a kind of reply is made: `path` leads to the base64 of its pictures, `look` finds what else it says."""

    path: Path = PICTURES
    look: Callable[[dict[str, Json]], Look] = plain_look


PLAIN = Shape()


class PictureReader:
    """A `penstock.wire.reader.Reader` of replies that have their pictures in base64 or behind a URL."""

    def __init__(self, sink: Sink, opening: Opening, shape: Shape = PLAIN) -> None:
        self._shape = shape
        self.too_large = False
        self._sink = sink
        self._opening = opening
        self._seen = 0
        self._cutter = Cutter(sink, shape.path) if opening.good else None
        self._body = bytearray() if self._cutter is None else self._cutter.envelope

    def feed(self, data: bytes) -> None:
        """The next bytes of the body."""
        if self.too_large:
            return
        self._seen += len(data)
        if self._seen > self._opening.cap:
            self._overflow()
            return
        if self._cutter is not None:
            self._cutter.feed(data)
        else:
            self._body += data
        if len(self._body) > ENVELOPE:
            self._overflow()

    def close(self) -> Reading:
        """The body is over: what it says. For anything but a Success the sink has been told to discard."""
        reading = self._read()
        if not isinstance(reading, Success):
            self._sink.discard()
        return reading

    def _overflow(self) -> None:
        self.too_large = True
        self._body.clear()
        self._sink.discard()

    def _read(self) -> Reading:
        if self.too_large:
            return Malformed(f"a reply of more than {self._opening.cap:,} bytes, or too much of it besides pictures")
        if self._cutter is None:
            return self._problem()
        body = parse(self._body) if self._cutter.whole else None
        if body is None:
            return self._malformed(self._nonsense(self._cutter))
        if not self._cutter.cuts and (stated := _problems.from_body(body, self._clean)) is not None:
            return stated
        return self._success(body, self._cutter)

    def _problem(self) -> Problem:
        stated = _problems.from_body(parse(self._body), self._clean)
        return stated if stated is not None else _problems.foreign(self._body.decode("utf-8", "replace"), self._clean)

    def _success(self, body: Json, cutter: Cutter) -> Reading:
        if cutter.fault:
            return self._malformed(cutter.fault)
        if not isinstance(body, dict):
            return self._malformed("no pictures")
        told = self._shape.look(body)
        if told.problem is not None:
            return evolve(told.problem, message=self._clean(told.problem.message, _problems.MESSAGE))
        cuts = dict(cutter.cuts)
        parts: list[Part] = []
        for place, holder, leaf in items(body, self._shape.path):
            stored = cuts.pop(place, None) if isinstance(leaf, str) else None
            if place in told.withheld:
                if stored is not None:
                    self._sink.drop(stored.ref)
                continue
            part = one_part(self._sink, place, holder, stored, told.size, self._clean)
            if part is not None:
                parts.append(part)
        if cuts:
            return self._malformed("a picture is given twice")
        ordered = _besides_last(parts, told.besides)
        return Success(told.usage, ordered) if ordered else self._malformed("no pictures")

    def _nonsense(self, cutter: Cutter) -> str:
        if cutter.cuts or not cutter.whole:
            return "truncated"
        return no_json(self._opening)

    def _malformed(self, reason: str) -> Malformed:
        return malformed(reason, self._body, self._opening)

    def _clean(self, text: str, longest: int) -> str:
        return clean(text, self._opening.redact, longest)


def one_part(
    sink: Sink, place: int, item: dict[str, Json], stored: Stored | None, overall: str, told: _problems.Clean
) -> Part | None:
    """A picture by its bytes, or by its address where it has none; None for what is neither. `told` cleans words."""
    said = item.get("size", overall)
    size = told(said, _SIZE) if isinstance(said, str) else ""
    address = item.get("url")
    if stored is not None:
        part = Part(place, stored.ref, size, sniff(stored.head), stored.nbytes)
    elif isinstance(address, str) and address.startswith(("https://", "http://")):
        part = Part(place, sink.url(place, address), size, url=True)
    else:
        return None
    revised = item.get("revised_prompt")
    if isinstance(revised, str) and revised:
        sink.note(part.ref, revised)
    return part


def items(body: dict[str, Json], path: Path) -> list[tuple[int, dict[str, Json], Json]]:
    """What an envelope has at a path: each one's place, the object around it, and itself (None where it is missing)."""
    value: Json = body
    for step, name in enumerate(path):
        if name == ANY:
            listed = value if isinstance(value, list) else []
            rest = path[step + 1 :]
            return [
                (place, item if isinstance(item, dict) else {}, _at(item, rest)) for place, item in enumerate(listed)
            ]
        value = _at(value, (name,))
    return [(0, body, value)]


def _at(value: Json, names: Path) -> Json:
    for name in names:
        value = value.get(name.decode()) if isinstance(value, dict) else None
    return value


def _besides_last(parts: list[Part], besides: int) -> tuple[Part, ...]:
    """The pictures that were asked for first, in their order, with places of their own."""
    if not 0 < besides < len(parts):
        return tuple(parts)
    return tuple([evolve(part, index=place) for place, part in enumerate((*parts[besides:], *parts[:besides]))])
