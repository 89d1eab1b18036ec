"""Inputs of one row a line: prompts, or JSON objects.

Whatever bytes come, each line is a record or `Wrong`; what makes the rest of a file unreadable is `Unreadable`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from math import isinf
from typing import TypeAlias, cast

from penstock_io.batch.checking import Wrong
from penstock_io.batch.rows import Json, plain

BOM = b"\xef\xbb\xbf"
WRITTEN = 'a row is written {"prompt": "..."}'
NUL = "holds a NUL byte, so it is no UTF-8 text: save the file as UTF-8"

Record: TypeAlias = "tuple[int, dict[str, Json] | Wrong]"
"""A line (from 1) and what it says, or why it says nothing."""


class Unreadable(Exception):
    """From this line on (0: anywhere) nothing of the file can be read: field ('' for none), message."""

    def __init__(self, line: int, field: str, message: str) -> None:
        super().__init__(message)
        self.mistake = (line, field, message)


def not_utf8(fault: UnicodeDecodeError) -> str:
    """What is said of bytes that are no text."""
    return f"not UTF-8 (byte 0x{fault.object[fault.start]:02x}): save the file as UTF-8"


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    return enumerate(data.split(b"\n"), 1)


def prompts(data: bytes) -> Iterator[Record]:
    """The prompts of a text, one a line; blank lines are none."""
    for number, line in _lines(data):
        try:
            text = line.removeprefix(BOM).decode().strip()
        except UnicodeDecodeError as fault:
            yield number, Wrong([("", not_utf8(fault))])
            continue
        if "\0" in text:
            yield number, Wrong([("prompt", NUL)])
        elif text:
            yield number, {"prompt": text}


def objects(data: bytes) -> Iterator[Record]:
    """The objects of JSON lines. Raises `Unreadable` for one JSON text over several lines."""
    first = True
    for number, line in _lines(data):
        record = json_line(line)
        if record is None:
            continue
        if first and line.removeprefix(BOM).strip() in {b"[", b"{"}:
            raise Unreadable(number, "", f"is JSON over several lines: each row stands on one line, {WRITTEN}")
        first = False
        yield number, record


def json_line(line: bytes) -> dict[str, Json] | Wrong | None:
    """What one line says; None for a blank one."""
    try:
        text = line.removeprefix(BOM).decode().strip(" \t\r\n")
    except UnicodeDecodeError as fault:
        return Wrong([("", not_utf8(fault))])
    if not text or text.isspace():
        return None
    try:
        value = decode(text)
    except Wrong as wrong:
        return Wrong([("", NUL)]) if "\0" in text else wrong
    return value if isinstance(value, dict) else Wrong([("", f"not an object: {WRITTEN}")])


def decode(text: str) -> Json:
    """The value in a JSON text without blanks around it. Raises `Wrong`."""
    try:
        value, end = _SCAN(text)
    except json.JSONDecodeError as fault:
        raise Wrong([("", f"not JSON: {fault.msg} (column {fault.colno}); {WRITTEN}")]) from None
    except RecursionError:
        raise Wrong([("", "has too many lists or objects inside one another: make it flatter")]) from None
    except ValueError:
        raise Wrong([("", "holds a number that is too long: put it in quotes")]) from None
    if end != len(text):
        raise Wrong([("", f"not JSON: something follows the object (column {end + 1}); each row stands on a line")])
    return value


def _once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise Wrong([(twice, "given twice: leave one out")])
    return found


def _finite(text: str) -> float:
    value = float(text)
    if isinf(value):
        raise Wrong([("", f"the number {plain(text, 40)} is too large: put it in quotes")])
    return value


def _no_constant(name: str) -> Json:
    raise Wrong([("", f"not JSON: {name} is no number")])


_SCAN = cast(
    "Callable[[str], tuple[Json, int]]",
    json.JSONDecoder(object_pairs_hook=_once, parse_float=_finite, parse_constant=_no_constant).raw_decode,
)
