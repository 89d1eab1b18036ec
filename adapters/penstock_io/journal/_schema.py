"""The journal's tables, and opening them.

WAL with `synchronous=FULL`: one commit is one sync of one file (a rollback journal needs three, and one of the folder),
and others may read while it is written. Where a file system cannot share memory SQLite keeps its rollback journal
instead, which is as durable and slower.

Each row carries a sum of its values, because SQLite finds a broken page and never a changed figure. Triggers of the
connection write it, so no statement can forget it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import cast
from zlib import crc32

from penstock_io.journal._disk import Disk, commit_durably
from penstock_io.journal._lock import JournalError
from penstock_io.journal._mirror import Row, Value

DATABASE = "journal.sqlite"

VERSION = 5
"""Goes up when a table changes; a journal of a higher one is refused."""

_BELIEVABLE = 10_000
"""No version is ever so high: the figure is damaged."""

KEYS = {
    "runs": 1,
    "attempts": 2,
    "pictures": 1,
    "published": 3,
    "moved": 1,
    "refused": 2,
    "deferred": 2,
    "due": 3,
    "rows": 1,
}
"""How many columns are the key of each table, its first ones."""

PRIVATE = frozenset({"moved", "due"})
"""Tables that are not mirrored: URLs are secrets, and an old name that stays does no harm."""

TABLES = """
CREATE TABLE runs (
    run INTEGER PRIMARY KEY, steps INTEGER NOT NULL, intents INTEGER NOT NULL, quoted INTEGER NOT NULL,
    unpriced INTEGER NOT NULL, crc INTEGER) WITHOUT ROWID;
CREATE TABLE attempts (
    run INTEGER NOT NULL, attempt INTEGER NOT NULL,
    call INTEGER, purpose TEXT, operation TEXT, credential TEXT, model TEXT,
    keys TEXT NOT NULL DEFAULT '[]', parts TEXT NOT NULL DEFAULT '[]', scopes TEXT NOT NULL DEFAULT '[]',
    quote INTEGER, begun REAL,
    ending TEXT, kind TEXT, charge INTEGER, bound INTEGER, usage TEXT, expires REAL, ended REAL,
    provider TEXT, size TEXT, quality TEXT, charges TEXT, crc INTEGER, PRIMARY KEY (run, attempt)) WITHOUT ROWID;
CREATE INDEX open_attempts ON attempts (ending) WHERE ending IS NULL OR ending = 'owed';
CREATE TABLE pictures (
    key TEXT PRIMARY KEY, file TEXT NOT NULL, size TEXT NOT NULL DEFAULT '', format TEXT NOT NULL,
    nbytes INTEGER NOT NULL, charge INTEGER, settled REAL NOT NULL, policy TEXT NOT NULL DEFAULT '',
    passed INTEGER NOT NULL DEFAULT 1, revised TEXT NOT NULL DEFAULT '', crc INTEGER
    ) WITHOUT ROWID;
CREATE INDEX picture_files ON pictures (file);
CREATE TABLE published (
    run INTEGER NOT NULL, job INTEGER NOT NULL, place INTEGER NOT NULL, key TEXT NOT NULL, file TEXT NOT NULL,
    source TEXT NOT NULL, at REAL NOT NULL, crc INTEGER, PRIMARY KEY (run, job, place)) WITHOUT ROWID;
CREATE INDEX published_sources ON published (source);
CREATE INDEX published_files ON published (file);
CREATE TABLE moved (old TEXT PRIMARY KEY, crc INTEGER) WITHOUT ROWID;
CREATE TABLE refused (
    run INTEGER NOT NULL, job INTEGER NOT NULL, keys TEXT NOT NULL, policy TEXT NOT NULL, reason TEXT NOT NULL,
    at REAL NOT NULL, crc INTEGER, PRIMARY KEY (run, job)) WITHOUT ROWID;
CREATE TABLE deferred (
    run INTEGER NOT NULL, job INTEGER NOT NULL, keys TEXT NOT NULL, reason TEXT NOT NULL, at REAL NOT NULL,
    crc INTEGER, PRIMARY KEY (run, job)) WITHOUT ROWID;
CREATE TABLE due (
    run INTEGER NOT NULL, attempt INTEGER NOT NULL, key TEXT NOT NULL, url TEXT NOT NULL,
    revised TEXT NOT NULL DEFAULT '', crc INTEGER,
    PRIMARY KEY (run, attempt, key)) WITHOUT ROWID;
CREATE TABLE rows (row TEXT PRIMARY KEY, state TEXT NOT NULL, crc INTEGER) WITHOUT ROWID;
"""


class NewerJournal(JournalError):
    """The folder was written by a later penstock."""


class JournalUnusable(JournalError):
    """The folder or its database cannot be used, and why."""


class JournalDamaged(JournalUnusable):
    """The database of a folder is damaged; `what` says how. `penstock batch --repair` rebuilds it."""

    def __init__(self, folder: Path, what: str) -> None:
        super().__init__(
            f"{folder} holds a journal that is damaged and cannot be used ({what}); nothing was changed: "
            f"`penstock batch --repair --out {folder}` rebuilds it and keeps the damaged file"
        )
        self.folder = folder
        self.what = what


def connect(path: Path, disk: Disk, heard: Callable[[str, Row], object]) -> sqlite3.Connection:
    """The database at `path`, made where there is none. `heard` is told each row that is written.

    Only its owner may read it: the URLs in it are secrets. Raises `JournalError` and `sqlite3.Error`.
    """
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    db = disk.connect(path)
    try:
        version = version_of(db, path)
        commit_durably(db)
        db.execute("PRAGMA secure_delete = ON")
        if version == 0:
            create(db)
        guard(db, heard)
    except BaseException:
        db.close()
        raise
    return db


def create(db: sqlite3.Connection) -> None:
    """The tables, in an empty database."""
    db.executescript(f"BEGIN IMMEDIATE; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;")


def version_of(db: sqlite3.Connection, path: Path) -> int:
    """The version of a database's tables, 0 where there are none yet. Raises `NewerJournal`, `JournalUnusable`."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if not 0 <= version < _BELIEVABLE:
        raise JournalDamaged(path.parent, f"its version is {version}")
    if version > VERSION:
        raise NewerJournal(f"{path} has schema {version}; this penstock knows {VERSION}: use the one that wrote it")
    if 0 < version < VERSION:
        raise JournalUnusable(f"{path} was made by an early development version: take another folder")
    return int(version)


def begin_run(db: sqlite3.Connection) -> int:
    """Count this run, inside a transaction: jobs and attempts are numbered within it."""
    (run,) = db.execute("SELECT COALESCE(MAX(run), 0) + 1 FROM runs").fetchone()
    db.execute("INSERT INTO runs (run, steps, intents, quoted, unpriced) VALUES (?, 0, 0, 0, 0)", (run,))
    return int(run)


def sum_of(table: str, values: Row) -> int:
    """The sum that a row of these values carries."""
    return crc32(repr((table, *values)).encode("utf-8", "surrogatepass"))


def columns_of(db: sqlite3.Connection, table: str) -> list[str]:
    """The columns of a table, without the sum."""
    return [str(name) for _, name, *_ in db.execute(f"PRAGMA table_info({table})")][:-1]


def guard(db: sqlite3.Connection, heard: Callable[[str, Row], object]) -> None:
    """Let every row that is written get its sum, from what is stored rather than from what was given."""

    def summed(*values: Value | bytes) -> int:
        table, *rest = cast("list[Value]", values)
        row = tuple(rest)
        heard(str(table), row)
        return sum_of(str(table), row)

    db.create_function("row_sum", -1, summed)
    for table, keys in KEYS.items():
        names = columns_of(db, table)
        listed = ", ".join(names)
        where = " AND ".join(f"{name} = NEW.{name}" for name in names[:keys])
        body = f"BEGIN UPDATE {table} SET crc = row_sum('{table}', {listed}) WHERE {where}; END"  # noqa: S608 - names of ours
        db.execute(f"CREATE TEMP TRIGGER {table}_new AFTER INSERT ON main.{table} {body}")
        db.execute(f"CREATE TEMP TRIGGER {table}_changed AFTER UPDATE OF {listed} ON main.{table} {body}")
