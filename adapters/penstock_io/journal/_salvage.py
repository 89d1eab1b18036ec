"""What can be read of a damaged journal: of its mirror, and of its tables row by row from both ends."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import cast

from penstock_io.journal._health import is_damage, lenient
from penstock_io.journal._mirror import MIRROR, NO_MARK, Mark, Row, Value, read_mirror
from penstock_io.journal._readonly import read_only
from penstock_io.journal._schema import DATABASE, KEYS, PRIVATE, columns_of, create, sum_of

Tables = dict[str, dict[Row, Row]]
"""Rows by table and key."""

_ENDING = 12


def salvage(folder: Path) -> tuple[Tables, str]:
    """The rows of the database and of the mirror; where both have one, that of whichever knows of more commits.

    Besides: why their counts may not be the last ones, "" where they are.
    """
    mirror = read_mirror(folder / MIRROR)
    mirrored: Tables = {table: {} for table in KEYS}
    empty = sqlite3.connect(":memory:")
    with closing(empty) as db:
        create(db)
        widths = {table: len(columns_of(db, table)) for table in KEYS}
    for table, rows in mirror.rows.items():
        if table in KEYS:
            mirrored[table].update((row[: KEYS[table]], row) for row in rows if len(row) == widths[table])
    stored, counts = _stored(folder / DATABASE)
    newer, older = (mirrored, stored) if mirror.mark > _mark(stored) else (stored, mirrored)
    tables = {table: older[table] | newer[table] for table in KEYS}
    for name, row in older["attempts"].items():
        if row[_ENDING] is not None and tables["attempts"][name][_ENDING] is None:
            tables["attempts"][name] = row
    for name, row in older["runs"].items():  # a run only ever counts up
        tables["runs"][name] = max(tables["runs"][name], row, key=lambda one: cast("int", one[1]))
    if counts and NO_MARK != _mark(stored) >= mirror.mark:
        return tables, ""
    if not mirror.rows:
        return tables, f"its mirror ({MIRROR}) is {'damaged' if mirror.bad else 'gone'}, too"
    more = any(not mirrored[table].keys() >= stored[table].keys() for table in KEYS if table not in PRIVATE)
    if not mirror.whole or more or mirror.mark < _mark(stored):
        return tables, f"its mirror ({MIRROR}) is damaged, or lacks the last commits, too"
    return tables, ""


def _mark(tables: Tables) -> Mark:
    return max((cast("Mark", row[:2]) for row in tables["runs"].values()), default=NO_MARK)


def _stored(path: Path) -> tuple[Tables, bool]:
    """Each table from both its ends, as far as it can be read; rows that are not as they were written are left out.

    Besides: whether the counts of all runs are as they were written.
    """
    tables: Tables = {table: {} for table in KEYS}
    counts = False
    if not path.exists() or not path.stat().st_size:
        return tables, counts
    try:
        with read_only(path) as db:
            db.text_factory = lenient
            for table in KEYS:
                for order in ("ASC", "DESC"):
                    whole = _take(db, table, order, tables[table])
                    counts = whole if table == "runs" else counts
    except (sqlite3.DatabaseError, UnicodeDecodeError) as fault:
        if not is_damage(fault):
            raise
    return tables, counts


def _take(db: sqlite3.Connection, table: str, order: str, rows: dict[Row, Row]) -> bool:
    """Take what is good; returns whether all was."""
    keys, whole = KEYS[table], True
    ends = ", ".join(f"{place} {order}" for place in range(1, keys + 1))
    try:
        for row in db.execute(f"SELECT * FROM {table} ORDER BY {ends}"):  # noqa: S608 - names of ours
            if row[-1] == sum_of(table, row[:-1]):
                rows[row[:keys]] = row[:-1]
            else:
                whole = False
    except MemoryError:  # a damaged row says that it is as long as memory
        return False
    except (sqlite3.DatabaseError, UnicodeDecodeError) as fault:
        if not is_damage(fault):
            raise
        return False
    return whole


def database(tables: Tables, path: Path | str = ":memory:") -> sqlite3.Connection:
    """A database of these rows."""
    db = sqlite3.connect(path, isolation_level=None)
    create(db)
    db.execute("BEGIN")
    for table, rows in tables.items():
        if table in PRIVATE and table != "due":
            continue
        marks = ", ".join("?" for _ in (*columns_of(db, table), "crc"))
        db.executemany(
            f"INSERT INTO {table} VALUES ({marks})",  # noqa: S608 - names of ours
            [(*row, sum_of(table, row)) for row in rows.values()],
        )
    db.execute("COMMIT")
    return db


def as_object(text: Value) -> dict[str, object]:
    """The object that a text of JSON is; an empty one for any other."""
    try:
        said: object = json.loads(str(text))
    except ValueError:
        return {}
    return cast("dict[str, object]", said) if isinstance(said, dict) else {}
