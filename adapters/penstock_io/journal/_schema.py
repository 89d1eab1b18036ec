"""The journal's tables, and opening them.

WAL with `synchronous=FULL`: one commit is one sync of one file (a rollback journal needs three, and one of the folder),
and others may read while it is written. Where a file system cannot share memory SQLite keeps its rollback journal
instead, which is as durable and slower.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from penstock_io.journal._disk import Disk
from penstock_io.journal._lock import JournalError

DATABASE = "journal.sqlite"

VERSION = 2
"""Goes up when a table changes; a journal of a higher one is refused."""

TABLES = """
CREATE TABLE runs (run INTEGER PRIMARY KEY);
CREATE TABLE attempts (
    run INTEGER NOT NULL, attempt INTEGER NOT NULL,
    call INTEGER, purpose TEXT, operation TEXT, credential TEXT, model TEXT,
    keys TEXT NOT NULL DEFAULT '[]', parts TEXT NOT NULL DEFAULT '[]', scopes TEXT NOT NULL DEFAULT '[]',
    quote INTEGER, begun REAL,
    ending TEXT, kind TEXT, charge INTEGER, bound INTEGER, usage TEXT, expires REAL, ended REAL,
    PRIMARY KEY (run, attempt)) WITHOUT ROWID;
CREATE INDEX open_attempts ON attempts (ending) WHERE ending IS NULL OR ending = 'owed';
CREATE TABLE pictures (
    key TEXT PRIMARY KEY, file TEXT NOT NULL, size TEXT NOT NULL DEFAULT '', format TEXT NOT NULL,
    nbytes INTEGER NOT NULL, charge INTEGER, settled REAL NOT NULL, policy TEXT NOT NULL DEFAULT '',
    passed INTEGER NOT NULL DEFAULT 1
    ) WITHOUT ROWID;
CREATE INDEX picture_files ON pictures (file);
CREATE TABLE published (
    run INTEGER NOT NULL, job INTEGER NOT NULL, place INTEGER NOT NULL, key TEXT NOT NULL, file TEXT NOT NULL,
    source TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY (run, job, place)) WITHOUT ROWID;
CREATE INDEX published_sources ON published (source);
CREATE INDEX published_files ON published (file);
CREATE TABLE moved (old TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE refused (
    run INTEGER NOT NULL, job INTEGER NOT NULL, keys TEXT NOT NULL, policy TEXT NOT NULL, reason TEXT NOT NULL,
    at REAL NOT NULL, PRIMARY KEY (run, job)) WITHOUT ROWID;
CREATE TABLE deferred (
    run INTEGER NOT NULL, job INTEGER NOT NULL, keys TEXT NOT NULL, reason TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (run, job)) WITHOUT ROWID;
CREATE TABLE rows (row TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;
"""


class NewerJournal(JournalError):
    """The folder was written by a later penstock."""


class JournalUnusable(JournalError):
    """The folder or its database cannot be used, and why."""


def connect(path: Path, disk: Disk) -> sqlite3.Connection:
    """The database at `path`, made where there is none. Raises `JournalError` and `sqlite3.Error`."""
    db = disk.connect(path)
    try:
        version = version_of(db, path)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA fullfsync = ON")
        if version == 0:
            db.executescript(f"BEGIN IMMEDIATE; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
    except BaseException:
        db.close()
        raise
    return db


def version_of(db: sqlite3.Connection, path: Path) -> int:
    """The version of a database's tables, 0 where there are none yet. Raises `NewerJournal`, `JournalUnusable`."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > VERSION:
        raise NewerJournal(f"{path} has schema {version}; this penstock knows {VERSION}: use the one that wrote it")
    if 0 < version < VERSION:
        raise JournalUnusable(f"{path} was made by an early development version: take another folder")
    return int(version)


def begin_run(db: sqlite3.Connection) -> int:
    """Count this run: jobs and attempts are numbered within it."""
    cursor = db.execute("INSERT INTO runs DEFAULT VALUES")
    run = cursor.lastrowid
    if run is None:
        raise sqlite3.DatabaseError("the run was not numbered")
    return run
