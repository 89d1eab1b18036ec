"""Every row once more, as a line of text: what a damaged database is rebuilt from, and what tells that it lost commits.

A line is the CRC-32 of its text and the text: a JSON array of the table's name and the row's values. The lines of a
commit are appended once it is durable and are not synced, so the file never knows of more than the database does; each
commit's last line is that of its run, which counts the commits. Rejected: a second database (as easily damaged in
whole), syncing (a second sync a commit, for a file that is only read when the first one is broken).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast
from zlib import crc32

from attrs import define, field

MIRROR = "journal.mirror"
_TAIL = 1 << 16
_CRC = 8

Value = str | int | float | None
Row = tuple[Value, ...]
Mark = tuple[int, int]
"""A run and how many commits it has made."""

NO_MARK: Mark = (0, 0)


_encode = json.JSONEncoder(separators=(",", ":")).encode


def line_of(table: str, values: Sequence[Value]) -> bytes:
    """A row of a table as a line."""
    text = _encode([table, *values]).encode()
    return b"%08x %b\n" % (crc32(text), text)


def mark_of(path: Path) -> Mark:
    """The last commit that a mirror knows of; `NO_MARK` where there is none. Raises `OSError`."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - _TAIL))
            lines = file.read().splitlines()
    except FileNotFoundError:
        return NO_MARK
    for line in reversed(lines):
        found = _parse(line)
        if found is not None and found[0] == "runs":
            return _mark(found[1])
    return NO_MARK


@define
class Mirrored:
    """What a mirror says: the rows of each table by their first values, in the order in which they were last written.

    `bad` counts lines that are damaged; `whole` says that there is none, and that the last one ends a commit.
    """

    rows: dict[str, list[Row]] = field(factory=dict[str, list[Row]])
    mark: Mark = NO_MARK
    bad: int = 0
    whole: bool = False


def read_mirror(path: Path) -> Mirrored:
    """All good lines of a mirror, oldest first; empty where there is none. Raises `OSError`."""
    said = Mirrored()
    if not path.is_file():
        return said
    with path.open("rb") as file:
        for line in file:
            found = _parse(line.rstrip(b"\n"))
            said.whole = found is not None and found[0] == "runs" and line.endswith(b"\n")
            if found is None:
                said.bad += 1
                continue
            said.rows.setdefault(found[0], []).append(found[1])
            if found[0] == "runs":
                said.mark = max(said.mark, _mark(found[1]))
    said.whole = said.whole and not said.bad
    return said


class Mirror:
    """A mirror that is written; after a fault no more, and it is made anew when the folder is opened next."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._broken = False

    def append(self, lines: Sequence[bytes]) -> None:
        """Lines of a durable commit."""
        if self._broken:
            return
        try:
            with open(self._path, "ab", buffering=0, opener=_private) as file:
                data = b"".join(lines)
                self._broken = file.write(data) != len(data)
        except OSError:
            self._broken = True

    def rewrite(self, lines: Iterable[bytes]) -> None:
        """Begin anew with these."""
        new = self._path.with_name(f"{self._path.name}.new")
        try:
            with open(new, "wb", opener=_private) as file:
                file.writelines(lines)
            new.replace(self._path)
        except OSError:
            self._broken = True


def _private(path: str, flags: int) -> int:
    """Open a file that nobody else may read, as the database is."""
    return os.open(path, flags, 0o600)


def _mark(row: Row) -> Mark:
    return cast("Mark", row[:2])


def _parse(line: bytes) -> tuple[str, Row] | None:
    try:
        good = int(line[:_CRC], 16) == crc32(line[_CRC + 1 :])
        found = cast("list[Value]", json.loads(line[_CRC + 1 :])) if good else None
    except ValueError:
        return None
    return None if found is None else (str(found[0]), tuple(found[1:]))
