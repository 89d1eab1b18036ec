"""Damage to a database, a journal's or a ledger's: found, kept beside, and read around."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from glob import escape
from pathlib import Path

from penstock_io.journal._disk import Disk, double
from penstock_io.journal._mirror import Row
from penstock_io.journal._readonly import read_only
from penstock_io.journal._schema import sum_of

Tables = dict[str, dict[Row, Row]]
"""Rows by table and key, without their sums."""

_LOGIC = frozenset({sqlite3.SQLITE_ERROR, sqlite3.SQLITE_SCHEMA, sqlite3.SQLITE_IOERR_SHORT_READ})


def is_damage(fault: sqlite3.Error | UnicodeDecodeError) -> bool:
    """Whether a fault says that the database is damaged, rather than busy, locked or out of reach."""
    code = getattr(fault, "sqlite_errorcode", None)
    if isinstance(fault, sqlite3.OperationalError):
        return code is None or code in _LOGIC
    return True


def lenient(data: bytes) -> str:
    """A text of a database, be it damaged."""
    return data.decode("utf-8", "replace")


def definitions(db: sqlite3.Connection) -> list[tuple[str, str]]:
    """What the tables of a database are, in order. Raises `sqlite3.Error`."""
    found = db.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
    return [(str(name), str(sql)) for name, sql in found]


def altered(db: sqlite3.Connection, tables: Iterable[str]) -> str:
    """What is wrong with the rows of these tables, "" for nothing. Raises `sqlite3.Error`."""
    for table in tables:
        for row in db.execute(f"SELECT * FROM {table}"):  # noqa: S608 - names of ours
            if row[-1] != sum_of(table, row[:-1]):
                return f"a row of {table} is not as it was written"
    return ""


def keep(disk: Disk, path: Path, files: Sequence[tuple[Path, str]]) -> tuple[str, ...]:
    """Let damaged files stay beside when rebuilt ones take their names; the new names, each with its own ending.

    All lie in the folder of `path`, whose name the new ones have, and a number. Raises `OSError`.
    """
    number = 1
    while any(path.parent.glob(f"{escape(path.name)}.damaged-{number}*")):
        number += 1
    kept: list[str] = []
    for old, ending in files:
        if old.exists():
            kept.append(f"{path.name}.damaged-{number}{ending}")
            double(disk, old, path.with_name(kept[-1]))
    disk.sync_folder(path.parent)
    return tuple(kept)


def rescue(path: Path, keys: Mapping[str, Sequence[str]]) -> tuple[Tables, frozenset[str]]:
    """The rows that are as they were written, each table from both its ends, as far as it can be read.

    `keys` are the columns that a row of each table is known by. Besides: the tables that have lost none. Raises
    `OSError`, and `sqlite3.Error` for what is no damage.
    """
    tables: Tables = {table: {} for table in keys}
    whole = set[str]()
    if not path.exists() or not path.stat().st_size:
        return tables, frozenset()
    try:
        with read_only(path) as db:
            db.text_factory = lenient
            for table in keys:
                ends = [_take(db, table, keys[table], order, tables[table]) for order in ("ASC", "DESC")]
                if all(ends):
                    whole.add(table)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as fault:
        if not is_damage(fault):
            raise
    return tables, frozenset(whole)


def _take(db: sqlite3.Connection, table: str, keys: Sequence[str], order: str, rows: dict[Row, Row]) -> bool:
    """Take what is good; returns whether all was."""
    listed, ends = ", ".join(keys), ", ".join(f"{key} {order}" for key in keys)
    whole = True
    try:
        for row in db.execute(f"SELECT {listed}, {table}.* FROM {table} ORDER BY {ends}"):  # noqa: S608 - names of ours
            key, values = row[: len(keys)], row[len(keys) :]
            if values[-1] == sum_of(table, values[:-1]):
                rows[key] = values[:-1]
            else:
                whole = False
    except MemoryError:  # a damaged row says that it is as long as memory
        return False
    except (sqlite3.DatabaseError, UnicodeDecodeError) as fault:
        if not is_damage(fault):
            raise
        return False
    return whole
