"""Inputs that are tables: comma-separated values with a header line, as spreadsheets write them.

An empty cell is a field that is not given. Blank rows are none. Lines are counted as an editor counts them, also where
a cell holds several.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from io import StringIO
from json.encoder import encode_basestring
from typing import TypeAlias

from penstock_io.batch.checking import Wrong
from penstock_io.batch.lines import BOM, NUL, Record, Unreadable, decode, not_utf8
from penstock_io.batch.requesting import NUMBERS, WHOLE
from penstock_io.batch.rows import Json, plain

Unknown: TypeAlias = Callable[[str], str | None]
"""Why a column cannot be called so; None where it can."""

MOST_COLUMNS = 1_000
"""Columns that a table may have."""

_WHOLE, _NUMBERS = frozenset(WHOLE), frozenset(NUMBERS)
_OBJECTS = frozenset({"extra", "meta"})
_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{0,9})?")
_DELIMITERS = (",", ";", "\t")


def records(data: bytes, unknown: Unknown) -> Iterator[Record]:
    """The rows of a table. Raises `Unreadable` for a header that will not do, and for quotes that do not match."""
    text = _table_text(data)
    table = _cells(text, _delimiter(text))
    start, header = next(table, (1, list[str]()))
    names = [name.strip() for name in header]
    if not names:
        return
    _check_header(names, start, unknown)
    for number, cells in table:
        if any(cell.strip() for cell in cells):
            yield number, _table_row(names, cells)


def _table_text(data: bytes) -> str:
    nul = data.find(b"\0")
    if nul >= 0:
        raise Unreadable(data.count(b"\n", 0, nul) + 1, "", NUL)
    try:
        return data.removeprefix(BOM).decode()
    except UnicodeDecodeError as fault:
        line = data.removeprefix(BOM).count(b"\n", 0, fault.start) + 1
        raise Unreadable(line, "", not_utf8(fault)) from None


def _delimiter(text: str) -> str:
    """A comma, or what stands between the columns where a comma does not: some spreadsheets write ; or tabs."""
    for line in StringIO(text):
        if line.strip():
            columns = {mark: [name.strip(' \r\n"') for name in line.split(mark)] for mark in _DELIMITERS}
            return next((mark for mark in _DELIMITERS if "prompt" in columns[mark]), ",")
    return ","


def _cells(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The records that are not blank, each with the line on which it begins."""
    reader = csv.reader(StringIO(text, newline=None), delimiter=delimiter, strict=True, skipinitialspace=True)
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as fault:
            raise Unreadable(start, "", _bad_table(str(fault))) from None
        if cells:
            yield start, cells


def _bad_table(said: str) -> str:
    if "unexpected end" in said:
        return "a quote is opened in this row and never closed: close it, or double it where it is part of a text"
    if "field limit" in said:
        limit = csv.field_size_limit()
        return f"a cell has more than {limit:,} characters: is a quote never closed? A .jsonl file takes longer ones"
    return "a quote stands inside a cell, or something after it: put the whole cell in quotes and double those in it"


def _check_header(names: Sequence[str], line: int, unknown: Unknown) -> None:
    """The columns must be known, once each, and one of them is the prompt. Raises `Unreadable`."""
    if len(names) > MOST_COLUMNS:
        raise Unreadable(line, "", f"has {len(names):,} columns: is this the header of a table?")
    for name in names:
        if name and names.count(name) > 1:
            raise Unreadable(line, name, "two columns have this name: leave one out")
    wrong = [(name, reason) for name in names if name and (reason := unknown(name)) is not None]
    near = [(name, reason) for name, reason in wrong if "did you mean" in reason]
    if "prompt" not in names and not near:
        message = "no column is called so: the first line names the columns, for example id,prompt,size"
        raise Unreadable(line, "prompt", message)
    for name, reason in near or wrong:
        raise Unreadable(line, name, reason)


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
    if name in _OBJECTS or (name == "image" and text.startswith("[")):
        try:
            return decode(text)
        except Wrong as wrong:
            field, message = wrong.faults[0]
            raise Wrong([(name, f"{field}: {message}" if field else message)]) from None
    if name in _NUMBERS and _NUMBER.fullmatch(text):
        return float(text)
    if name not in _WHOLE:
        return text
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
        raise Wrong([(name, f"must be a whole number, not {encode_basestring(plain(text, 40))}")])
    return int(text)
