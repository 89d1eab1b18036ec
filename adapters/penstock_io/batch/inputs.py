"""Inputs of a batch: .txt (a prompt a line), .jsonl and .csv files, read and checked whole, or rows as they come.

All are UTF-8, with or without a byte order mark, their lines ended by LF or CR LF. A mistake names file, line,
field and remedy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from pathlib import Path
from time import perf_counter

from attrs import evolve

from penstock_io.batch.checking import Checked, Checker, Wrong, check_defaults
from penstock_io.batch.columns import records
from penstock_io.batch.lines import Record, Unreadable, json_line, objects, prompts
from penstock_io.batch.rows import Defaults, InputError, Invalid, Json, Mistake, Row, Rows, plain, together


class Kind(Enum):
    """How an input is written."""

    TXT = "txt"
    JSONL = "jsonl"
    CSV = "csv"


HERE = Path()
"""The folder that the process is in."""

_KINDS = {".txt": Kind.TXT, ".jsonl": Kind.JSONL, ".ndjson": Kind.JSONL, ".csv": Kind.CSV}


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
    rows = parse_rows(
        data, str(path), defaults, kind=kind_of(path), keep=keep, skip_invalid=skip_invalid, root=path.parent
    )
    return evolve(rows, seconds=perf_counter() - began)


def parse_rows(
    data: bytes,
    name: str,
    defaults: Defaults,
    *,
    kind: Kind = Kind.JSONL,
    keep: Sequence[str] = (),
    skip_invalid: bool = False,
    root: Path = HERE,
) -> Rows:
    """The same for the bytes of a file; `name` is what mistakes call it, and `seconds` stays 0.

    Images that rows name are looked for below `root`, which is the folder of a file that is read.
    """
    checker = _checker(defaults, keep, root)
    reader = _Reader(name, checker)
    rows: list[Row] = []
    invalid: list[Invalid] = []
    last: list[Mistake] = []
    try:
        for line, record in _records(data, kind, checker):
            found = reader.take(line, record)
            if isinstance(found, Row):
                rows.append(found)
            else:
                invalid.append(found)
    except Unreadable as fault:
        last.append(Mistake(name, *fault.mistake))
    if not (rows or invalid or last):
        last.append(Mistake(name, 0, "", "there is no row in it"))
    if last or (invalid and not skip_invalid):
        mistakes = [mistake for one in invalid for mistake in one.mistakes]
        raise InputError([*together(mistakes, len(rows) + len(invalid)), *last])
    return Rows(name, tuple(rows), tuple(invalid))


class Incoming:
    """Rows of JSONL as they come, one line at a time: a bad one is told alone, and the others are not held up.

    Raises `InputError` for defaults that no row can take.
    """

    def __init__(self, name: str, defaults: Defaults, keep: Sequence[str] = ()) -> None:
        self._reader = _Reader(name, _checker(defaults, keep))
        self._line = 0

    def take(self, line: bytes) -> Row | Invalid | None:
        """The row of the next line, with or without its end; None for a blank one."""
        self._line += 1
        record = json_line(line)
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
        return Row(name, index, line, checked.request, checked.content, checked.meta, checked.explicit, checked.files)

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


def _checker(defaults: Defaults, keep: Sequence[str], root: Path = HERE) -> Checker:
    """A checker, where the defaults are good: what is wrong with them is said once, not for every row."""
    faults = check_defaults(defaults)
    if faults:
        raise InputError([Mistake("the options", 0, field, message) for field, message in faults])
    return Checker(defaults, keep, root)


def _bytes(path: Path) -> bytes:
    """What is in a file. Raises `InputError` in words."""
    try:
        if path.is_dir():
            raise InputError([Mistake(str(path), 0, "", "is a folder: name a file in it")])
        kind_of(path)
        return path.read_bytes()
    except FileNotFoundError:
        message = "there is no such file: check its name"
    except PermissionError:
        message = "this user may not read it: change its permissions, or who runs this"
    except OSError as fault:
        message = f"cannot be read ({fault.strerror or type(fault).__name__}): try a copy of it"
    except ValueError:
        message = "no file can be called so: check its name"
    raise InputError([Mistake(str(path), 0, "", message)])


def _records(data: bytes, kind: Kind, checker: Checker) -> Iterator[Record]:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unreadable(0, "", "is UTF-16: save it as UTF-8")
    match kind:
        case Kind.TXT:
            return prompts(data)
        case Kind.JSONL:
            return objects(data)
        case Kind.CSV:
            return records(data, checker.unknown)
