"""Leaves of a large JSON text, while it arrives, only its upper storeys: what is deeper is parsed by nobody here.

To parse 32 MB of small objects takes seconds, in which a loop stands still. What a reader wants to know of a large
reply (how many answers there are, what was used) stands near its top, so that little is left to parse at its end.
"""

from __future__ import annotations

import re

KEPT = 512
"""Bytes of a string that is kept; a longer one becomes an empty one."""

DEEPEST = 256
"""Brackets within each other beyond which nobody means what he says: a text that has more is none."""

_QUOTE = 0x22
_OPENING, _CLOSING = b"[{", b"]}"
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_PLAIN = rb'[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+"'
_RUN = re.compile(rb"(?:%b)*+" % _PLAIN, re.DOTALL)


def _deep(levels: int) -> bytes:
    """What has no bracket without its other half, in so many levels."""
    within = _PLAIN if levels == 1 else _deep(levels - 1)
    return rb"%b|\[(?:%b)*+\]|\{(?:%b)*+\}" % (_PLAIN, within, within)


_LEVELS = 3
_DEEP = re.compile(rb"(?:%b)*+" % _deep(_LEVELS), re.DOTALL)
"""What is left out at once: bracket by bracket it would take ten times as long."""

_WITHIN = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)


class Skimmer:
    """Takes bytes in any split with `feed`, which gives the text without what is deeper than `storeys` brackets.

    In place of what is deeper stands a 0. What is no JSON above stays none; what is wrong below is not noticed.
    """

    def __init__(self, storeys: int) -> None:
        self._storeys = storeys
        self._depth = 0
        self._held = b""
        self._within = False
        self._broken = False

    def feed(self, data: bytes) -> bytes:
        """What is certain now of the upper storeys."""
        text, self._held = self._held + data if self._held else data, b""
        at, end = 0, 0 if self._broken else len(text)
        kept: list[bytes] = []
        while at < end:
            if self._within:
                at = self._leave(text, at)
                continue
            counted = not self._storeys < self._depth <= DEEPEST - _LEVELS
            run = (_RUN if counted else _DEEP).match(text, at)
            stop = at if run is None else run.end()
            if self._depth <= self._storeys:
                kept.append(_STRING.sub(_short, text[at:stop]))
            if stop == end:
                break
            if text[stop] == _QUOTE:
                at = self._begin(text, stop, kept)
            else:
                self._bracket(text[stop : stop + 1], kept)
                at = end if self._broken else stop + 1
        return b"".join(kept)

    def rest(self) -> bytes:
        """What was held back: a string without an end."""
        held, self._held = self._held, b""
        return held

    def _begin(self, text: bytes, at: int, kept: list[bytes]) -> int:
        """A string begins whose end is yet to come."""
        if len(text) - at <= KEPT:
            self._held = text[at:]
            return len(text)
        self._within = True
        if self._depth <= self._storeys:
            kept.append(b'""')
        return at + 1

    def _leave(self, text: bytes, at: int) -> int:
        """Go on to the end of a long string, as far as it has come."""
        found = _WITHIN.match(text, at)
        stop = at if found is None else found.end()
        if stop == len(text):
            return stop
        if text[stop] == _QUOTE:
            self._within = False
            return stop + 1
        self._held = text[stop:]  # half of an escape
        return len(text)

    def _bracket(self, one: bytes, kept: list[bytes]) -> None:
        if one in _OPENING:
            self._depth += 1
            if self._depth <= self._storeys:
                kept.append(one)
            elif self._depth == self._storeys + 1:
                kept.append(b"0")
        else:
            if self._depth <= self._storeys:
                kept.append(one)
            self._depth -= 1
        if not 0 <= self._depth <= DEEPEST:
            self._broken = True
            kept.append(b"!")


def _short(found: re.Match[bytes]) -> bytes:
    return found[0] if len(found[0]) <= KEPT else b'""'
