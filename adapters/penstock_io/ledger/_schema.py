"""The ledger's tables, and opening them: WAL with `synchronous=FULL`, so that a commit is one sync of one file."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from penstock.errors import PenstockError
from penstock_io.journal import Disk
from penstock_io.journal._disk import commit_durably

VERSION = 1
"""Goes up when a table changes; a ledger of a higher one is refused."""

LEDGER = 0x70656E4C
"""What tells a ledger from any other database of SQLite."""

TABLES = """
CREATE TABLE runs (run INTEGER PRIMARY KEY, source TEXT NOT NULL, begun REAL NOT NULL);
CREATE TABLE attempts (
    run INTEGER NOT NULL, attempt INTEGER NOT NULL, day TEXT NOT NULL, begun REAL NOT NULL, purpose TEXT NOT NULL,
    operation TEXT NOT NULL, provider TEXT NOT NULL, credential TEXT NOT NULL, model TEXT NOT NULL, size TEXT NOT NULL,
    quality TEXT NOT NULL, asked INTEGER NOT NULL, payers TEXT NOT NULL, quote TEXT,
    ending TEXT, kind TEXT, charge TEXT, bound TEXT, charges TEXT, usage TEXT, pictures INTEGER, ended REAL,
    PRIMARY KEY (run, attempt)) WITHOUT ROWID;
CREATE INDEX open_attempts ON attempts (run, attempt) WHERE ending IS NULL;
CREATE INDEX days ON attempts (day);
CREATE TABLE sums (scope TEXT PRIMARY KEY, charged TEXT NOT NULL, maybe TEXT NOT NULL, unknown INTEGER NOT NULL
    ) WITHOUT ROWID;
CREATE TABLE savings (
    run INTEGER NOT NULL, day TEXT NOT NULL, at REAL NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
    size TEXT NOT NULL, quality TEXT NOT NULL, tenant TEXT NOT NULL, tags TEXT NOT NULL, pictures INTEGER NOT NULL,
    saved TEXT NOT NULL);
CREATE INDEX saving_days ON savings (day);
"""
"""Money is picodollars as text: 64 bits end at nine million dollars."""


class LedgerError(PenstockError):
    """A ledger could not be opened."""


class LedgerInUse(LedgerError):
    """Another process holds the ledger. `holder` names it: "process 4711 on host"."""

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(f"the ledger {path} is in use by {holder}; wait for it to end, or give another --ledger")
        self.path = path
        self.holder = holder


class NewerLedger(LedgerError):
    """The file was written by a later penstock."""


class LedgerUnusable(LedgerError):
    """The file cannot be used, and why."""


def connect(path: Path, disk: Disk) -> sqlite3.Connection:
    """The database at `path`, made where there is none. Raises `LedgerError`, `OSError` and `sqlite3.Error`."""
    db = disk.connect(path)
    try:
        new = version_of(db, path) == 0
        commit_durably(db)
        if new:
            marks = f"PRAGMA application_id = {LEDGER}; PRAGMA user_version = {VERSION};"
            db.executescript(f"BEGIN IMMEDIATE; {TABLES} {marks} COMMIT;")
            disk.sync_folder(path.parent)
    except BaseException:
        db.close()
        raise
    return db


def version_of(db: sqlite3.Connection, path: Path) -> int:
    """The version of a ledger's tables, 0 where there are none yet. Raises `NewerLedger`, `LedgerUnusable`."""
    (mark,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    if mark == LEDGER and version > VERSION:
        raise NewerLedger(f"{path} has schema {version}; this penstock knows {VERSION}: use the one that wrote it")
    if (tables or version) and mark != LEDGER:
        raise LedgerUnusable(f"{path} is a database, but no ledger: name another file")
    return int(version)
