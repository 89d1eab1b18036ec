"""Reads what comes piece by piece as server-sent events: pictures with their previews.

A server that answers plainly although a stream was asked for is read plainly: the first bytes say which of the two it
is, because proxies change content types and servers forget them. What one event brings goes to a sink apart, so that a
preview outlives an exchange that fails later, and a broken event takes nothing else with it.

Where an event has no `partial_image` in its type it brings a picture. How the events of several pictures in one stream
are told apart nobody has written down: each finished one counts as the next, and their usages are added up. When all
that were asked for are there, an event that has come before, byte by byte or by its `index`, is a repetition: its
picture and its usage count once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from hashlib import sha256
from typing import Literal

from penstock.readings import Item, Malformed, Part, Partial, Problem, Reading, Success, Usage
from penstock.wire import _problems
from penstock.wire._cutter import Cutter
from penstock.wire._json import Json, parse
from penstock.wire._unread import snippet
from penstock.wire._usage import usage
from penstock.wire.pictures import ENVELOPE, PLAIN, PictureReader, Shape, one_part
from penstock.wire.reader import Opening, Reader
from penstock.wire.redact import clean
from penstock.wire.sink import Sink
from penstock.wire.sse import DONE, EventCutter

_LOOK = 1 << 10
_FIELDS = (b"data:", b"event:", b"id:", b"retry:", b":")
_BOM = b"\xef\xbb\xbf"
_PREVIEW = "partial_image"


def speaks_events(head: bytes, content_type: str) -> bool | None:
    """Whether a body that begins like this is a stream of events; None: it is too early to say."""
    if len(head) < len(_BOM) and _BOM.startswith(head):
        return None
    text = head.removeprefix(_BOM).lstrip()
    if not text:
        return None if len(head) < _LOOK else False
    if text[:1] in (b"{", b"[", b"<"):
        return False
    if "event-stream" in content_type.lower() or text.startswith(_FIELDS):
        return True
    return None if any(field.startswith(text) for field in _FIELDS) else False


class EventStream(ABC):
    """What all streams share; a `penstock.wire.reader.Stream`. `plain` reads what turns out to be none."""

    def __init__(self, opening: Opening, plain: Reader) -> None:
        self.too_large = False
        self.over = False
        self._opening = opening
        self._plain = plain
        self._kind: Literal["unknown", "events", "plain"] = "unknown" if opening.good else "plain"
        self._head = b""
        self._seen = 0
        self._cutter = EventCutter(self)
        self._items: list[Item] = []
        self._problem: Problem | None = None
        self._fault = ""
        self._snippet = ""

    def feed(self, data: bytes) -> None:
        """The next bytes of the body."""
        if self._kind == "unknown":
            self._head += data
            events = speaks_events(self._head, self._opening.content_type)
            if events is None:
                return
            self._kind = "events" if events else "plain"
            data, self._head = self._head, b""
        if self._kind == "plain":
            self._plain.feed(data)
            self.too_large = self._plain.too_large
        elif not self.too_large:
            self._seen += len(data)
            if self._seen > self._opening.cap:
                self._overflow()
            else:
                self._cutter.feed(data)

    def take(self) -> list[Item]:
        """What was new; it belongs to who takes it."""
        items, self._items = self._items, []
        return items

    def close(self) -> Reading:
        """The body is over: what it says."""
        if self._kind == "unknown" and "event-stream" not in self._opening.content_type.lower():
            self._kind = "plain"
            self._plain.feed(self._head)
        if self._kind == "plain":
            return self._plain.close()
        if not self.too_large:
            self._cutter.close()
        reading = self._large() if self.too_large else self._reading()
        self._leave(whole=isinstance(reading, Success))
        return reading

    def broken(self) -> Success | None:
        """The exchange broke off here: what was whole by then, or None."""
        if self._kind == "plain":
            plain = self._plain.close()
            return plain if isinstance(plain, Success) else None
        reading = None if self.too_large else self._whole()
        self._leave(whole=reading is not None)
        return reading

    @abstractmethod
    def data(self, piece: bytes) -> None:
        """More of an event; see `penstock.wire.sse.Taker`."""

    @abstractmethod
    def ended(self, name: str) -> None:
        """An event is whole."""

    @abstractmethod
    def _whole(self) -> Success | None:
        """All that was asked for, if it has come."""

    def _reading(self) -> Reading:
        """What the events came to."""
        found = self._whole() or self._problem
        if found is not None:
            return found
        return Malformed(self._fault, self._snippet) if self._fault else Malformed(self._lacks())

    def _lacks(self) -> str:
        """Why what has come is not all, where nothing is wrong with it."""
        return "truncated" if self._seen else "empty"

    def _wrong(self, fault: str, event: bytes) -> None:
        """An event cannot be used, and why; the first one is told."""
        self._fault = self._fault or fault
        self._snippet = self._snippet or snippet(event, self._opening.redact)

    @abstractmethod
    def _leave(self, *, whole: bool) -> None:
        """The end: discard what nobody took, and with `whole` False what would have been the result, too."""

    def _overflow(self) -> None:
        self.too_large = True
        self._leave(whole=False)

    def _large(self) -> Malformed:
        return Malformed(f"a reply of more than {self._opening.cap:,} bytes, or too much of it besides pictures")

    def _clean(self, text: str, longest: int) -> str:
        return clean(text, self._opening.redact, longest)


def stated(name: str, body: Json, text: str, told: _problems.Clean) -> Problem | None:
    """The error that an event named `name` says, in any of the shapes that are about; None for what is no error."""
    problem = _problems.from_body(body, told)
    if problem is not None:
        return problem
    if isinstance(body, dict) and "error" in (name, body.get("type")) and isinstance(body.get("message"), str):
        return _problems.from_body({"error": body}, told)
    return Problem(message=told(text, _problems.MESSAGE)) if name == "error" else None


class PictureStream(EventStream):
    """Pictures that come with previews; `shape` is that of a plain answer."""

    def __init__(self, sink: Sink, opening: Opening, shape: Shape = PLAIN) -> None:
        super().__init__(opening, PictureReader(sink, opening, shape))
        self._sink = sink
        self._event: Cutter | None = None
        self._apart: Sink = sink
        self._previews: list[Sink] = []
        self._kept: list[Sink] = []
        self._parts: list[Part] = []
        self._usage: Usage | None = None
        self._aside: Usage | None = None
        self._numbers = 0
        self._digest = sha256()
        self._finished: set[bytes | int] = set()

    def data(self, piece: bytes) -> None:
        """More of an event: picture data goes on to a sink of the event's own."""
        if self.over or self.too_large:
            return
        if self._event is None:
            self._apart = self._sink.apart()
            self._event = Cutter(self._apart, (b"b64_json",))
            self._digest = sha256()
        self._digest.update(piece)
        self._event.feed(piece)
        if len(self._event.envelope) > ENVELOPE:
            self._overflow()

    def ended(self, name: str) -> None:
        """An event is whole: a preview, a picture, an error, or nothing that matters."""
        event, self._event = self._event, None
        if self.over or self.too_large or event is None:
            return
        envelope = bytes(event.envelope)
        if envelope.strip() == DONE:
            self.over = True
            return
        body = parse(envelope) if event.whole else None
        if isinstance(body, dict) and (event.cuts or event.fault):
            self._brought(name, body, event)
            return
        self._apart.discard()
        problem = stated(name, body, envelope.decode("utf-8", "replace"), self._clean)
        self._problem = self._problem or problem
        if isinstance(body, dict) and problem is None:
            self._said(body)
        elif body is None and problem is None:
            self._wrong("truncated" if event.cuts or not event.whole else "an event that is not JSON", envelope)

    def _brought(self, name: str, body: dict[str, Json], event: Cutter) -> None:
        """An event with a picture."""
        kind = body.get("type")
        preview = (kind if isinstance(kind, str) else name).endswith(_PREVIEW)
        if event.fault:
            self._apart.discard()
            if not preview:  # one preview less is no fault
                self._wrong(event.fault, b"")
            return
        stored = event.cuts[0][1]
        if preview:
            said = body.get("partial_image_index")
            number = said if isinstance(said, int) and 0 <= said < _LOOK else self._numbers
            self._items.append(Partial(len(self._parts), stored.ref, int(number)))
            self._previews.append(self._apart)
            self._numbers = int(number) + 1
            return
        part = one_part(self._apart, len(self._parts), body, stored, "", self._clean)
        self._add(part, body)

    def _said(self, body: dict[str, Json]) -> None:
        """An event without picture data: a picture by its address, figures, or a sign of life."""
        apart = self._sink.apart()
        self._apart = apart
        kind = body.get("type")
        preview = isinstance(kind, str) and kind.endswith(_PREVIEW)
        part = None if preview else one_part(apart, len(self._parts), body, None, "", self._clean)
        if part is not None:
            self._add(part, body)
        elif not preview:
            self._aside = usage(body.get("usage")) or self._aside

    def _add(self, part: Part | None, body: dict[str, Json]) -> None:
        if part is None:
            return
        index = body.get("index")
        marks: set[bytes | int] = {self._digest.digest(), *([index] if isinstance(index, int) else [])}
        if len(self._parts) >= self._opening.answers and marks & self._finished:
            self._apart.discard()
            return
        self._finished |= marks
        self._parts.append(part)
        self._kept.append(self._apart)
        self._numbers = 0
        used = usage(body.get("usage"))
        if used is not None:
            self._usage = used if self._usage is None else self._usage + used

    def take(self) -> list[Item]:
        """The previews that have come since the last time."""
        self._previews.clear()
        return super().take()

    def _whole(self) -> Success | None:
        if not self._parts:
            return None
        return Success(self._usage if self._usage is not None else self._aside, tuple(self._parts))

    def _leave(self, *, whole: bool) -> None:
        if self._event is not None:
            self._apart.discard()
            self._event = None
        for sink in (*self._previews, *(() if whole else self._kept)):
            sink.discard()
        self._previews.clear()
        self._items.clear()
