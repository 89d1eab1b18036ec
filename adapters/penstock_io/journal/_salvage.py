"""What can be read of a damaged journal: of its mirror, and of its tables row by row from both ends."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import cast

from penstock_io.journal._damage import Tables, rescue
from penstock_io.journal._mirror import MIRROR, NO_MARK, Mark, Value, read_mirror
from penstock_io.journal._schema import DATABASE, KEYS, PRIVATE, columns_of, create, sum_of

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
        columns = {table: columns_of(db, table) for table in KEYS}
    for table, rows in mirror.rows.items():
        if table in KEYS:
            mirrored[table].update((row[: KEYS[table]], row) for row in rows if len(row) == len(columns[table]))
    stored, whole = rescue(folder / DATABASE, {table: columns[table][:count] for table, count in KEYS.items()})
    newer, older = (mirrored, stored) if mirror.mark > _mark(stored) else (stored, mirrored)
    tables = {table: older[table] | newer[table] for table in KEYS}
    for name, row in older["attempts"].items():
        if row[_ENDING] is not None and tables["attempts"][name][_ENDING] is None:
            tables["attempts"][name] = row
    for name, row in older["runs"].items():  # a run only ever counts up
        tables["runs"][name] = max(tables["runs"][name], row, key=lambda one: cast("int", one[1]))
    if "runs" in whole and NO_MARK != _mark(stored) >= mirror.mark:
        return tables, ""
    if not mirror.rows:
        return tables, f"its mirror ({MIRROR}) is {'damaged' if mirror.bad else 'gone'}, too"
    more = any(not mirrored[table].keys() >= stored[table].keys() for table in KEYS if table not in PRIVATE)
    if not mirror.whole or more or mirror.mark < _mark(stored):
        return tables, f"its mirror ({MIRROR}) is damaged, or lacks the last commits, too"
    return tables, ""


def _mark(tables: Tables) -> Mark:
    return max((cast("Mark", row[:2]) for row in tables["runs"].values()), default=NO_MARK)


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
