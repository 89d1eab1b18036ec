"""Whether a journal is whole: looked at before it is used, without changing anything.

Four things are looked at: the pages (SQLite's own check), the tables' definitions, the sum of each row, and whether
the database has every commit that the mirror knows of. The last one finds what no database can: a write-ahead log that
is gone or damaged takes its commits along, and what is left is in order and old.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from penstock_io.journal._damage import altered, definitions, is_damage, lenient
from penstock_io.journal._mirror import MIRROR, NO_MARK, Mark, mark_of
from penstock_io.journal._readonly import read_only
from penstock_io.journal._schema import DATABASE, KEYS, TABLES, JournalDamaged, version_of
from penstock_io.journal._witness import RUN

REPAIRED = f"{DATABASE}.repaired"
"""A rebuilt database that has not yet taken the place of the damaged one."""


def check(folder: Path) -> None:
    """Raise `JournalDamaged` for a journal that is not whole; a folder without one is.

    Raises `NewerJournal` and `JournalUnusable` for one of another version, `sqlite3.Error` and `OSError` for what the
    system says.
    """
    what = ailment(folder)
    if what:
        raise JournalDamaged(folder, what)


def ailment(folder: Path) -> str:
    """What is wrong with the journal of a folder, "" for nothing. Raises as `check` does."""
    path = folder / DATABASE
    if (folder / REPAIRED).exists():
        return "its repair was cut off"
    mark = mark_of(folder / MIRROR)
    if not path.exists() or not path.stat().st_size:
        log = path.with_name(f"{path.name}-wal")
        # a mirror begins after the first commit, and results come after a run: then there was a database
        told = any((folder / name).is_file() for name in RUN)
        used = told or (folder / MIRROR).exists()
        if not used and (path.exists() or not log.exists() or not log.stat().st_size):
            return ""
        return f"{DATABASE} is {'empty' if path.exists() else 'missing'}"
    try:
        with read_only(path) as db:
            return examine(db, path, mark)
    except UnicodeDecodeError:  # what SQLite says of a damaged definition repeats it
        return "its tables are not those of a journal"
    except sqlite3.DatabaseError as fault:
        if is_damage(fault):
            return str(fault)
        raise


def examine(db: sqlite3.Connection, path: Path, mark: Mark) -> str:
    """What is wrong with an open database whose mirror knows of `mark`. Raises `sqlite3.Error`."""
    db.text_factory = lenient
    if not version_of(db, path):
        (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        return "" if not tables and mark == NO_MARK else "its version is missing"
    if definitions(db) != _expected():
        return "its tables are not those of a journal"
    (said,) = db.execute("PRAGMA integrity_check(1)").fetchone()
    if said != "ok":
        return " ".join(str(said).split())
    what = altered(db, KEYS)
    if what:
        return what
    (found,) = db.execute("SELECT COALESCE(MAX(run), 0) FROM runs").fetchone()
    (steps,) = db.execute("SELECT COALESCE(MAX(steps), 0) FROM runs WHERE run = ?", (found,)).fetchone()
    if (found, steps) < mark:
        missing = f": {mark[1] - steps:,} of them" if found == mark[0] else ""
        return f"its last commits are missing{missing}"
    return ""


def _expected() -> list[tuple[str, str]]:
    db = sqlite3.connect(":memory:")
    try:
        db.executescript(TABLES)
        return definitions(db)
    finally:
        db.close()
