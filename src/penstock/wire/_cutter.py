"""Cuts picture data out of a JSON reply while it arrives, so that only the envelope has to be kept and parsed.

How it works. A JSON text is strings and what stands between them. Between strings a stack says where we are: one entry
an open object or array, with the current name or place in it. A string that begins where the `Path` leads (usually
`data[i].b64_json`) is a *span*: its base64 goes to the sink, and the envelope keeps a short string in its place. Every
other byte goes to the envelope unchanged; `json.loads` is the judge of its grammar at the end. Inside a span the
closing quote is searched with `bytes.find`, so that a large reply costs little more than its copying.

Rejected: parsing the whole with `json.loads` (holds the loop for 130 ms a 100 MB reply, and memory twice), and
searching for the text `"b64_json":"` (wrong where a message quotes it, and where a chunk ends within it).
"""

from __future__ import annotations

import json
import re
from typing import Literal, TypeAlias

from attrs import define

from penstock.wire._formats import is_text
from penstock.wire._wrapping import SPACE, Unwrapper, dense
from penstock.wire.sink import BadPayload, Sink, Stored

Path: TypeAlias = tuple[bytes, ...]
"""Where a reply has base64: names from the outermost object on, `ANY` for every place of an array."""

ANY = b"*"
PICTURES: Path = (b"data", ANY, b"b64_json")
"""Where OpenAI's API has it, and whoever speaks like it."""

_BETWEEN = re.compile(rb'["{}\[\],:]')
_QUOTE = re.compile(rb'"')
_IN_STRING = re.compile(rb'["\\]')
_RUN = re.compile(rb'(?:[^"\\]++|\\[/nrt]|\\u[0-9a-fA-F]{4})*+')
_ESCAPE = re.compile(rb"\\u([0-9a-fA-F]{4})")
# What encoders make of "/" and "+": PHP writes the first, .NET the second.
_USUAL = ((b"\\/", b"/"), (b"\\u002B", b"+"), (b"\\u002b", b"+"), (b"\\u002F", b"/"), (b"\\u002f", b"/"))
_BREAKS = (b"\\n", b"\\r", b"\\t")
_LONGEST_NAME = 64
_WINDOW = 1 << 18
_DEPTH = 500


@define
class _Level:
    """An open object or array: the name or the place that we are at."""

    array: bool
    name: bytes = b""
    place: int = 0
    value: bool = False


class Cutter:
    """Takes bytes in any split; `envelope` grows, `cuts` lists what the sink has stored, with its place in the reply.

    What stands at `path` is cut out; its place is that in the array of the path, 0 where it has none.
    `fault` is a word on why the spans cannot be used (then nothing more goes to the sink), "" while all is well.
    `whole` says whether no string is open.
    """

    def __init__(self, sink: Sink, path: Path = PICTURES) -> None:
        self._path = path
        self.envelope = bytearray()
        self.cuts: list[tuple[int, Stored]] = []
        self.fault = ""
        self._sink = sink
        self._unwrapper = Unwrapper()
        self._levels: list[_Level] = []
        self._state: Literal["between", "string", "span"] = "between"
        self._started = 0
        self._place = 0
        self._lost = False
        self._rest = b""
        self._places: set[int] = set()

    @property
    def whole(self) -> bool:
        """Whether the text does not end within a string."""
        return self._state == "between"

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._rest:
            data, self._rest = self._rest + data, b""
        at, end = 0, len(data)
        while at < end:
            if self._state == "between":
                at = self._between(data, at)
            elif self._state == "string":
                at = self._string(data, at)
            else:
                at = self._span(data, at)

    def _between(self, data: bytes, at: int) -> int:
        """Walk over what stands between strings, up to and with the next quote."""
        begun = at
        for found in (_QUOTE if self._lost else _BETWEEN).finditer(data, at):
            sign = found[0]
            if sign == b'"':
                at = found.end()
                self.envelope += data[begun:at]
                self._open()
                return at
            self._step(sign)
        self.envelope += data[begun:]
        return len(data)

    def _step(self, sign: bytes) -> None:
        levels = self._levels
        if sign in b"{[":
            if len(levels) < _DEPTH:
                levels.append(_Level(array=sign == b"["))
            else:
                self.fault = self.fault or "nested too deeply"
                self._lost = True
        elif sign in b"}]":
            if levels:
                levels.pop()
        elif not levels:
            return
        elif sign == b":":
            levels[-1].value = True
        else:
            levels[-1].place += 1
            levels[-1].value = False

    def _open(self) -> None:
        """A string begins: a span, or a part of the envelope."""
        self._state = "string"
        self._started = len(self.envelope)
        place = self._picture()
        if place is None:
            return
        self._state = "span"
        if place in self._places:
            self.fault = self.fault or "a picture is given twice"
        self._places.add(place)
        if not self.fault:
            self._place = place
            self._unwrapper = Unwrapper()
            self._sink.begin(place)

    def _picture(self) -> int | None:
        """The place of the picture whose data begins here; None where no such thing does."""
        levels = self._levels
        if len(levels) != len(self._path):
            return None
        place = 0
        for level, name in zip(levels, self._path, strict=True):
            if level.array:
                if name != ANY:
                    return None
                place = level.place
            elif not level.value or level.name != name or name == ANY:
                return None
        return place

    def _string(self, data: bytes, at: int) -> int:
        """Walk to the end of a string of the envelope; a name is remembered."""
        begun = at
        while (found := _IN_STRING.search(data, at)) is not None:
            if found[0] == b"\\":
                if found.end() == len(data):
                    self.envelope += data[begun : found.start()]
                    self._rest = b"\\"
                    return len(data)
                at = found.end() + 1
                continue
            self.envelope += data[begun : found.start()]
            self._name()
            self.envelope += b'"'
            self._state = "between"
            return found.end()
        self.envelope += data[begun:]
        return len(data)

    def _name(self) -> None:
        level = self._levels[-1] if self._levels else None
        if level is None or level.array or level.value:
            return
        length = len(self.envelope) - self._started
        level.name = _plain(bytes(self.envelope[self._started :])) if length <= _LONGEST_NAME else b""

    def _span(self, data: bytes, at: int) -> int:
        """Hand a stretch of picture data to the sink, up to the closing quote."""
        limit = min(len(data), at + _WINDOW)
        quote = data.find(b'"', at, limit)
        end = limit if quote < 0 else quote
        slash = data.find(b"\\", at, end)
        if slash < 0:
            self._write(dense(data, at, end))
            return end if quote < 0 else self._close(end)
        stretch = data[at:end]
        # Where every backslash begins one of these (PHP's slashes, line breaks of mails) leaving them out is exact, and
        # cheaper than matching.
        left = stretch.count(b"\\") - stretch.count(b"\\/")
        if left == 0 or left == sum(stretch.count(written) for written in _BREAKS):
            self._write((_unbroken(stretch) if left else stretch).translate(None, b"\\" + SPACE))
            return end if quote < 0 else self._close(end)
        run = _RUN.match(data, at, limit)
        if run is None or run.end() == at:
            return self._escape(data, at)
        self._write(_unescaped(run[0]))
        return run.end()

    def _escape(self, data: bytes, at: int) -> int:
        """An escape that no base64 holds, which the sink will refuse, or one whose end has not arrived."""
        follower = data[at + 1 : at + 2]
        if not follower or (follower == b"u" and len(data) - at < 6):
            self._rest = data[at:]
            return len(data)
        self._write(b"!")
        return at + 2

    def _write(self, data: bytes | memoryview) -> None:
        if self.fault or not data:
            return
        try:
            text = self._unwrapper.feed(data)
            if text:
                self._sink.write(text)
        except BadPayload:
            self._spoil()

    def _spoil(self) -> None:
        # The sink's own words depend on where the chunks were cut; a reading must not.
        self.fault = f"picture {self._place} is no base64 of anything"

    def _close(self, quote: int) -> int:
        """The closing quote: the picture is whole."""
        if not self.fault:
            try:
                if rest := self._unwrapper.finish():
                    self._sink.write(rest)
                stored = self._sink.end()
                self.cuts.append((self._place, stored))
                if is_text(stored.head):
                    self.fault = f"picture {self._place} is text"
            except BadPayload:
                self._spoil()
        self.envelope += b'#"'
        self._state = "between"
        return quote + 1


def _unescaped(run: bytes) -> bytes:
    r"""A stretch whose backslashes begin `\/`, `\n`, `\r`, `\t` or `\uXXXX`, with those undone, without white space.

    What is no ASCII becomes "!".
    """
    for written, meant in _USUAL:
        run = run.replace(written, meant)
    run = _unbroken(run)
    return (_ESCAPE.sub(_character, run) if b"\\" in run else run).translate(None, SPACE)


def _unbroken(run: bytes) -> bytes:
    for written in _BREAKS:
        if written in run:
            run = run.replace(written, b"")
    return run


def _character(found: re.Match[bytes]) -> bytes:
    code = int(found[1], 16)
    return bytes([code]) if code < 128 and code != 0x5C else b"!"


def _plain(raw: bytes) -> bytes:
    """A name with its escapes undone."""
    if b"\\" not in raw:
        return raw
    try:
        name: object = json.loads(b'"' + raw + b'"')
    except ValueError:
        return raw
    return name.encode("utf-8", "replace") if isinstance(name, str) else raw
