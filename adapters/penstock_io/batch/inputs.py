"""Inputs of a batch: .txt (a prompt a line), .jsonl and .csv files, read and checked whole, or rows as they come.

All are UTF-8, with or without a byte order mark, with lines ended by LF or CR LF. A mistake names file, line, field and remedy.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from io import StringIO
from json.encoder import encode_basestring
from math import isinf
from pathlib import Path
from time import perf_counter
from typing import TypeAlias, cast

from attrs import evolve

from penstock_io.batch.checking import Checked, Checker, Wrong
from penstock_io.batch.rows import Defaults, InputError, Invalid, Json, Mistake, Row, Rows, plain

BOM = b"\xef\xbb\xbf"
WRITTEN = 'a row is written {"prompt": "..."}'
NUL = "holds a NUL byte, so it is no UTF-8 text: save the file as UTF-8"

_WHOLE = frozenset({"n", "output_compression", "seed"})
_OBJECTS = frozenset({"extra", "meta"})
_DELIMITERS = (",", ";", "\t")

Record: TypeAlias = "tuple[int, dict[str, Json] | Wrong]"
"""A line (from 1) and what it says, or why it says nothing."""


class Kind(Enum):
    """How an input is written."""

    TXT = "txt"
    JSONL = "jsonl"
    CSV = "csv"


_KINDS = {".txt": Kind.TXT, ".jsonl": Kind.JSONL, ".ndjson": Kind.JSONL, ".csv": Kind.CSV}


class _Unreadable(Exception):
    """From this line on (0: anywhere) nothing of the file can be read."""

    def __init__(self, line: int, field: str, message: str) -> None:
        super().__init__(message)
        self.mistake = (line, field, message)


def kind_of(path: Path) -> Kind:
    """How the file of this name is written. Raises `InputError` naming the kinds there are."""
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        kinds = ".jsonl (one JSON object a line), .csv (with a header line) or .txt (one prompt a line)"
        raise InputError([Mistake(str(path), 0, "", f"an input is a file named {kinds}, or - for JSONL from a pipe")])
    return kind


def read_rows(path: Path, defaults: Defaults, *, keep: Sequence[str] = (), skip_invalid: bool = False) -> Rows:
    """All rows of a .txt, .jsonl or .csv file, in its order.

    `keep` names unknown fields that are carried to the results. Raises `InputError` naming everything that is wrong;
    with `skip_invalid` only for a file that cannot be read, and bad rows become `invalid` ones.
    """
    began = perf_counter()
    data = _bytes(path)
    rows = parse_rows(data, str(path), defaults, kind=kind_of(path), keep=keep, skip_invalid=skip_invalid)
    return evolve(rows, seconds=perf_counter() - began)


def parse_rows(
    data: bytes,
    name: str,
    defaults: Defaults,
    *,
    kind: Kind = Kind.JSONL,
    keep: Sequence[str] = (),
    skip_invalid: bool = False,
) -> Rows:
    """The same for the bytes of a file; `name` is what mistakes call it, and `seconds` stays 0."""
    checker = Checker(defaults, keep)
    reader = _Reader(name, checker)
    rows: list[Row] = []
    invalid: list[Invalid] = []
    last: list[Mistake] = []
    try:
        _refuse_foreign(data)
        for line, record in _RECORDS[kind](data, checker):
            found = reader.take(line, record)
            if isinstance(found, Row):
                rows.append(found)
            else:
                invalid.append(found)
    except _Unreadable as fault:
        last.append(Mistake(name, *fault.mistake))
    if not (rows or invalid or last):
        last.append(Mistake(name, 0, "", "there is no row in it"))
    if last or (invalid and not skip_invalid):
        raise InputError([*(mistake for one in invalid for mistake in one.mistakes), *last])
    return Rows(name, tuple(rows), tuple(invalid))


class Incoming:
    """Rows of JSONL as they come, one line at a time: a bad one is told alone, and the others are not held up."""

    def __init__(self, name: str, defaults: Defaults, keep: Sequence[str] = ()) -> None:
        self._reader = _Reader(name, Checker(defaults, keep))
        self._line = 0

    def take(self, line: bytes) -> Row | Invalid | None:
        """The row of the next line, with or without its end; None for a blank one."""
        self._line += 1
        record = _json_line(line)
        return None if record is None else self._reader.take(self._line, record)


class _Reader:
    """Gives rows their places and ids, and tells bad ones from good ones."""

    def __init__(self, name: str, checker: Checker) -> None:
        self._name = name
        self._check = checker.check
        self._count = 0
        self._lines: dict[str, int] = {}
        self._repeats: dict[str, int] = {}

    def take(self, line: int, record: dict[str, Json] | Wrong) -> Row | Invalid:
        """What the next record is."""
        index = self._count
        self._count += 1
        try:
            if isinstance(record, Wrong):
                raise record
            checked = self._check(record)
            name = self._named(checked, line)
        except Wrong as wrong:
            mistakes = tuple(Mistake(self._name, line, field, message) for field, message in wrong.faults)
            return Invalid(wrong.id, index, line, mistakes)
        return Row(name, index, line, checked.request, checked.content, checked.meta, checked.explicit)

    def _named(self, checked: Checked, line: int) -> str:
        """The id of a row: of those without one that say the same, the second is `-2`."""
        name = checked.id
        if not checked.explicit:
            count = self._repeats[name] = self._repeats.get(name, 0) + 1
            name = name if count == 1 else f"{name}-{count}"
        other = self._lines.setdefault(name, line)
        if other != line:
            shown = plain(name, 100)
            if checked.explicit:
                raise Wrong([("id", f'"{shown}" is the id of line {other}, too: give each row its own')])
            told = f'line {other} has the id "{shown}", which this row gets from its fields: give one of them another'
            raise Wrong([("id", told)])
        return name


def _bytes(path: Path) -> bytes:
    """What is in a file. Raises `InputError` in words."""
    try:
        if path.is_dir():
            raise InputError([Mistake(str(path), 0, "", "is a folder: name a file in it")])
        kind_of(path)
        return path.read_bytes()
    except FileNotFoundError:
        message = "there is no such file"
    except PermissionError:
        message = "this user may not read it: change its permissions, or who runs this"
    except (OSError, ValueError) as fault:
        message = f"cannot be read: {fault}"
    raise InputError([Mistake(str(path), 0, "", message)])


def _refuse_foreign(data: bytes) -> None:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _Unreadable(0, "", "is UTF-16: save it as UTF-8")


def _not_utf8(fault: UnicodeDecodeError) -> str:
    return f"not UTF-8 (byte 0x{fault.object[fault.start]:02x}): save the file as UTF-8"


# Lines


def _lines(data: bytes) -> Iterator[tuple[int, bytes]]:
    return enumerate(data.split(b"\n"), 1)


def _txt(data: bytes, _checker: Checker) -> Iterator[Record]:
    for number, line in _lines(data):
        try:
            text = line.removeprefix(BOM).decode().strip()
        except UnicodeDecodeError as fault:
            yield number, Wrong([("", _not_utf8(fault))])
            continue
        if "\0" in text:
            yield number, Wrong([("", NUL)])
        elif text:
            yield number, {"prompt": text}


def _jsonl(data: bytes, _checker: Checker) -> Iterator[Record]:
    first = True
    for number, line in _lines(data):
        record = _json_line(line)
        if record is None:
            continue
        if first and line.removeprefix(BOM).strip() in {b"[", b"{"}:
            raise _Unreadable(number, "", f"is JSON over several lines: each row stands on one line, {WRITTEN}")
        first = False
        yield number, record


def _json_line(line: bytes) -> dict[str, Json] | Wrong | None:
    """What one line says; None for a blank one."""
    try:
        text = line.removeprefix(BOM).decode().strip(" \t\r\n")
    except UnicodeDecodeError as fault:
        return Wrong([("", _not_utf8(fault))])
    if not text or text.isspace():
        return None
    try:
        value = _decode(text)
    except Wrong as wrong:
        return wrong
    return value if isinstance(value, dict) else Wrong([("", f"not an object: {WRITTEN}")])


def _decode(text: str) -> Json:
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
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise Wrong([(name, "given twice: leave one out")])
            seen.add(name)
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


# Tables


def _csv(data: bytes, checker: Checker) -> Iterator[Record]:
    text = _table_text(data)
    table = _cells(text, _delimiter(text))
    start, header = next(table, (1, list[str]()))
    names = [name.strip() for name in header]
    if not names:
        return
    _check_header(names, start, checker)
    for number, cells in table:
        if any(cell.strip() for cell in cells):
            yield number, _table_row(names, cells)


def _table_text(data: bytes) -> str:
    nul = data.find(b"\0")
    if nul >= 0:
        raise _Unreadable(data.count(b"\n", 0, nul) + 1, "", NUL)
    try:
        return data.removeprefix(BOM).decode()
    except UnicodeDecodeError as fault:
        line = data.removeprefix(BOM).count(b"\n", 0, fault.start) + 1
        raise _Unreadable(line, "", _not_utf8(fault)) from None


def _delimiter(text: str) -> str:
    """A comma, or what stands between the columns where a comma does not: some spreadsheets write ; or tabs."""
    for line in StringIO(text):
        if line.strip():
            columns = {mark: [name.strip(' \r\n"') for name in line.split(mark)] for mark in _DELIMITERS}
            return next((mark for mark in _DELIMITERS if "prompt" in columns[mark]), ",")
    return ","


def _cells(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The records that are not blank, each with the line on which it begins."""
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as fault:
            raise _Unreadable(start, "", _bad_table(str(fault))) from None
        if cells:
            yield start, cells


def _bad_table(said: str) -> str:
    if "unexpected end" in said:
        return "a quote is opened in this row and never closed: close it, or double it where it is part of a text"
    if "field limit" in said:
        limit = csv.field_size_limit()
        return f"a cell has more than {limit:,} characters: is a quote never closed? A .jsonl file takes longer ones"
    return "a quote stands inside a cell: put the whole cell in quotes and double those in it"


def _check_header(names: Sequence[str], line: int, checker: Checker) -> None:
    """The columns must be known, once each, and one of them is the prompt. Raises `_Unreadable`."""
    for name in names:
        if name and names.count(name) > 1:
            raise _Unreadable(line, name, "two columns have this name: leave one out")
    wrong = [(name, reason) for name in names if name and (reason := checker.unknown(name)) is not None]
    near = [(name, reason) for name, reason in wrong if "did you mean" in reason]
    if "prompt" not in names and not near:
        message = "no column is called so: the first line names the columns, for example id,prompt,size"
        raise _Unreadable(line, "prompt", message)
    for name, reason in near or wrong:
        raise _Unreadable(line, name, reason)


def _table_row(names: Sequence[str], cells: Sequence[str]) -> dict[str, Json] | Wrong:
    if len(cells) != len(names):
        return Wrong(
            [("", f"has {len(cells)} cells, the header {len(names)}: put a text that holds commas or quotes in quotes")]
        )
    own: dict[str, Json] = {}
    try:
        for name, cell in zip(names, cells, strict=True):
            text = cell.strip()
            if not text:
                continue
            if not name:
                return Wrong([("", "has a cell in a column without a name: name the column in the header")])
            own[name] = _value(name, text)
    except Wrong as wrong:
        return wrong
    return own


def _value(name: str, text: str) -> Json:
    """What a cell says; texts stay texts."""
    if name in _OBJECTS:
        try:
            return _decode(text)
        except Wrong as wrong:
            field, message = wrong.faults[0]
            raise Wrong([(name, f"{field}: {message}" if field else message)]) from None
    if name not in _WHOLE:
        return text.replace("\r\n", "\n")
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
        raise Wrong([(name, f"must be a whole number, not {encode_basestring(plain(text, 40))}")])
    return int(text)


_RECORDS: dict[Kind, Callable[[bytes, Checker], Iterator[Record]]] = {
    Kind.TXT: _txt,
    Kind.JSONL: _jsonl,
    Kind.CSV: _csv,
}
