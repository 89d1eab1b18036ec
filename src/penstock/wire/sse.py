"""Server-sent events, cut while they arrive: `EventCutter` takes bytes in any split and hands the data on at once.

What an event says may be 30 MB of picture, so nothing is gathered here: whoever takes the events gets each piece of
their data as it comes, and is told when one is over. Lines end with LF, CR or CR LF; comments, ids, retry times and
unknown fields mean nothing; several lines of data are one text with LF between them; a byte order mark in front is left
out (WHATWG HTML, server-sent events, 9.2.6). One thing is more lenient than that: an event whose last line the server
left open is not thrown away at the end, because what is in it may be paid.
"""

from __future__ import annotations

from typing import Protocol

_BOM = b"\xef\xbb\xbf"
_CR, _SPACE = 0x0D, 0x20
_LONGEST_NAME = 32
_LONGEST_EVENT = 200

DONE = b"[DONE]"
"""What OpenAI and those who follow it send as the data of a last event: no JSON, and no news."""


class Taker(Protocol):
    """Takes the events of a stream."""

    def data(self, piece: bytes) -> None:
        """More of what the event under way says; never empty."""

    def ended(self, name: str) -> None:
        """The event under way is whole; `name` is what its `event` field says ("": none)."""


class EventCutter:
    """Takes bytes with `feed`, in any split, and ends with `close`; the taker gets the same whatever the split is."""

    def __init__(self, taker: Taker) -> None:
        self._taker = taker
        self._name = b""
        self._value = False
        self._padded = False
        self._after_cr = False
        self._first = True
        self._event = b""
        self._lines = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        at, end = 0, len(data)
        cr, lf = data.find(b"\r"), data.find(b"\n")
        while at < end:
            if self._after_cr and lf == at:
                at, lf = at + 1, data.find(b"\n", at + 1)
            self._after_cr = False
            stop = min(end if cr < 0 else cr, end if lf < 0 else lf)
            self._piece(data, at, stop)
            if stop == end:
                return
            self._end_line()
            at = stop + 1
            if stop == cr:
                self._after_cr, cr = True, data.find(b"\r", at)
            else:
                lf = data.find(b"\n", at)

    def close(self) -> None:
        """The bytes are over: an event that was begun is told as it stands."""
        if self._name or self._value:
            self._end_line()
        self._end_event()

    def _piece(self, data: bytes, at: int, stop: int) -> None:
        """A stretch of one line."""
        if not self._value:
            colon = data.find(b":", at, stop)
            end = stop if colon < 0 else colon
            # one byte more than the longest is enough not to be taken for any name
            self._name += data[at : min(end, at + _LONGEST_NAME + 1 - len(self._name))]
            if colon < 0:
                return
            self._begin_value()
            at = colon + 1
        if at == stop:
            return
        if self._padded:
            self._padded = False
            at += data[at] == _SPACE
        if self._name == b"data" and at < stop:
            self._taker.data(data if stop - at == len(data) else data[at:stop])
        elif self._name == b"event":
            self._event += data[at : min(stop, at + _LONGEST_EVENT - len(self._event))]

    def _begin_value(self) -> None:
        if self._first:
            self._first, self._name = False, self._name.removeprefix(_BOM)
        self._value = self._padded = True
        if self._name == b"data":
            self._lines += 1
            if self._lines > 1:
                self._taker.data(b"\n")
        elif self._name == b"event":
            self._event = b""

    def _end_line(self) -> None:
        if not self._value:
            bare = not self._name.removeprefix(_BOM) if self._first else not self._name
            if bare:
                self._end_event()
            else:
                self._begin_value()  # a name without a colon is one with an empty value
        self._name, self._value, self._first = b"", False, False

    def _end_event(self) -> None:
        if self._lines:
            self._taker.ended(self._event.decode("utf-8", "replace"))
        self._event, self._lines = b"", 0
