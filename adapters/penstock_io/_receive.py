"""What becomes of a reply: a reading of the provider's answer, or the bytes of a picture behind a URL."""

from __future__ import annotations

from functools import partial

from attrs import evolve

from penstock.events import Event, Failed, Fetched, Opened, Responded, Streamed
from penstock.ids import AttemptId
from penstock.readings import Item, Kind, Malformed, Partial, Reached
from penstock.wire import CAP, Reader, Sink, allowed, is_text, reader, sniff
from penstock.wire.reader import Stream
from penstock.wire.sink import HEAD
from penstock.wire.speaking import listener
from penstock_io._payloads import Payloads

FETCH_CAP = 64 << 20
"""Bytes of the largest picture that is downloaded."""

_ONWARD = frozenset({301, 302, 303, 307, 308})


class Reply:
    """Reads a provider's answer with `penstock.wire.reader`; ends with Responded or Failed.

    With `stream` it is read as one, as far as it is one: what it brings before the end is `news`. `samples` are those
    that its pictures are; `answers` and `dimensions` are what was asked for, see `penstock.wire.reader.Opening`.
    """

    def __init__(
        self,
        attempt: AttemptId,
        operation: str,
        sink: Sink,
        redact: tuple[str, ...],
        cap: int = CAP,
        *,
        dialect: str = "openai",
        stream: bool = False,
        samples: tuple[int, ...] = (),
        answers: int = 1,
        dimensions: int = 0,
    ) -> None:
        self._attempt, self._sink = attempt, sink
        self._status = 0
        self._headers: tuple[tuple[str, str], ...] = ()
        self._redact, self._samples = redact, samples
        read = partial(reader, operation, sink, dialect=dialect, redact=redact, cap=cap)
        self._read = partial(read, answers=answers, dimensions=dimensions)
        listen = partial(listener, operation, sink, dialect=dialect, redact=redact, cap=cap, answers=answers)
        self._listen = listen if stream else None
        self._stream: Stream | None = None
        self._reader: Reader = self._read(status=0)

    def opened(self, status: int, headers: list[tuple[str, str]]) -> Event | None:
        """Start a reader for this status and type."""
        self._status, self._headers = status, allowed(headers, self._redact)
        kind = next((value for name, value in headers if name.lower() == "content-type"), "")
        if self._listen is None:
            heads = tuple([(name.lower(), value) for name, value in headers])
            self._reader = self._read(status=status, content_type=kind, headers=heads)
        else:
            self._reader = self._stream = self._listen(status=status, content_type=kind)
        return Opened(self._attempt, status, self._headers)

    def feed(self, data: bytes) -> bool:
        """Cut the pictures out of what arrived. A stream that said its last word is not waited for any longer."""
        self._reader.feed(data)
        return not (self._reader.too_large or (self._stream is not None and self._stream.over))

    def news(self) -> list[Event]:
        """The previews and pieces of text that have arrived."""
        return [] if self._stream is None else [Streamed(self._attempt, self._placed(i)) for i in self._stream.take()]

    def _placed(self, item: Item) -> Item:
        """A preview under the number of the sample that it is of."""
        if isinstance(item, Partial) and item.index < len(self._samples):
            return evolve(item, index=self._samples[item.index])
        return item

    def closed(self) -> Event:
        """The reading, or TOO_LARGE."""
        if self._reader.too_large:
            reading = self._reader.close()
            why = reading.reason if isinstance(reading, Malformed) else ""
            return self.failed(Kind.TOO_LARGE, Reached.READING, why)
        return Responded(self._attempt, self._status, self._headers, self._reader.close())

    def failed(self, kind: Kind, reached: Reached, detail: str = "") -> Event:
        """Forget what was read so far; what a stream had brought whole before it broke off is paid, and kept."""
        whole = None if self._stream is None else self._stream.broken()
        if whole is not None:
            return Responded(self._attempt, self._status, self._headers, whole)
        self._sink.discard()
        return Failed(self._attempt, kind, reached, detail)


class Download:
    """Takes the bytes of a picture that a reply named by URL; ends with Fetched.

    `note` is the text that the reply had beside the URL: it stays beside the picture. `onward` is where a redirect
    leads (None: it was none).
    """

    def __init__(
        self, attempt: AttemptId, payloads: Payloads, cap: int = FETCH_CAP, *, note: str | None = None
    ) -> None:
        self._attempt, self._payloads, self._note, self._cap = attempt, payloads, note, cap
        self._chunks: list[bytes] = []
        self._size = 0
        self._status = 0
        self.onward: str | None = None

    def opened(self, status: int, headers: list[tuple[str, str]]) -> Event | None:
        """Nothing is told before the end."""
        self._status = status
        self.onward = None
        if status in _ONWARD:
            self.onward = next((value for name, value in headers if name.lower() == "location"), None)
        return None

    def feed(self, data: bytes) -> bool:
        """Gather, up to the cap; the page behind an error is of no interest."""
        self._chunks.append(data)
        self._size += len(data)
        return self._size <= self._cap and self._status == 200

    def news(self) -> list[Event]:
        """Nothing before the end."""
        return []

    def closed(self) -> Event:
        """A reference to the bytes, or why there is none."""
        if self._status != 200:
            return Fetched(self._attempt, fault=f"the picture's URL answered {self._status}")
        if not 0 < self._size <= self._cap:
            return Fetched(self._attempt, fault=f"a picture of {self._size} bytes (at most {self._cap} are taken)")
        data = b"".join(self._chunks)
        if is_text(data[:HEAD]):
            return Fetched(self._attempt, fault="the picture's URL answered with text")
        ref = self._payloads.keep(data)
        if self._note is not None:
            self._payloads.annotate(ref, self._note)
        return Fetched(self._attempt, (ref,), None, sniff(data[:HEAD]), self._size)

    def refused(self, why: str) -> Event:
        """It is not asked for there, now or later."""
        return Fetched(self._attempt, fault=why, final=True)

    def missing(self, why: str) -> Event:
        """It could not be asked for: another try may."""
        return Fetched(self._attempt, fault=why)

    def failed(self, kind: Kind, reached: Reached, detail: str = "") -> Event:
        """Nothing was paid for this: any failure is a fault."""
        return Fetched(self._attempt, fault=f"{kind.value} ({reached.value})" + (f": {detail}" if detail else ""))
