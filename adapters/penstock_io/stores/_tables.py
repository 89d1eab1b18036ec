"""The tables of a store in SQLite.

Bytes have a table of their own, so that looking through what is known of pictures reads none of them; what is large is
in files, of which `names` has the names. Ids are never used again: whoever holds one means the same bytes, or none.
Sums over all pictures are kept by triggers.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from zlib import crc32

from penstock_io.journal._damage import is_damage
from penstock_io.journal._faults import why
from penstock_io.stores import StoreDamaged, StoreFault

INSIDE = 0x50535452
"""SQLite's `application_id` of a store whose files are in a folder beside it."""

BESIDE = 0x50534653
"""And of one that lies in the folder of its files."""

VERSION = 2
"""Goes up when a table changes; a file of another one is not used."""

TABLES = """
CREATE TABLE pictures (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, meta BLOB NOT NULL, nbytes INTEGER NOT NULL,
    crc INTEGER NOT NULL, stored REAL NOT NULL, expires REAL, used INTEGER NOT NULL, row INTEGER NOT NULL);
CREATE INDEX used_pictures ON pictures (used);
CREATE INDEX expiring_pictures ON pictures (expires) WHERE expires IS NOT NULL;
CREATE TABLE bytes (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE names (id INTEGER PRIMARY KEY, name BLOB NOT NULL, looks TEXT NOT NULL, compared REAL NOT NULL);
CREATE INDEX named_files ON names (name);
CREATE TABLE gone (name BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE totals (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO totals VALUES ('entries', 0), ('nbytes', 0), ('evictions', 0), ('expired', 0);
CREATE TRIGGER picture_kept AFTER INSERT ON pictures BEGIN
    UPDATE totals SET value = value + 1 WHERE name = 'entries';
    UPDATE totals SET value = value + NEW.nbytes WHERE name = 'nbytes';
END;
CREATE TRIGGER picture_dropped AFTER DELETE ON pictures BEGIN
    DELETE FROM bytes WHERE id = OLD.id;
    DELETE FROM names WHERE id = OLD.id;
    UPDATE totals SET value = value - 1 WHERE name = 'entries';
    UPDATE totals SET value = value - OLD.nbytes WHERE name = 'nbytes';
END;
CREATE TRIGGER name_dropped AFTER DELETE ON names BEGIN INSERT OR IGNORE INTO gone VALUES (OLD.name); END;
CREATE TABLE leases (key BLOB PRIMARY KEY, name TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID;
"""

_PAGE = 4 << 10
"""Bytes of a page: each change, as of a lease, writes some of them to the log, whole."""


def create(db: sqlite3.Connection, mark: int) -> None:
    """The tables, in an empty database."""
    db.execute(f"PRAGMA page_size = {_PAGE}")
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("PRAGMA journal_mode = WAL")
    marks = f"PRAGMA application_id = {mark}; PRAGMA user_version = {VERSION};"
    db.executescript(f"BEGIN IMMEDIATE; {TABLES} {marks} COMMIT;")


@contextmanager
def transaction(db: sqlite3.Connection, kind: str) -> Generator[None]:
    """All of what is done inside, or nothing. `kind` is DEFERRED or IMMEDIATE."""
    db.execute(f"BEGIN {kind}")
    try:
        yield
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            with suppress(sqlite3.Error):  # what ended it is being raised
                db.execute("ROLLBACK")


def is_full(fault: OSError | sqlite3.Error) -> bool:
    """Whether there was no room on the disk."""
    if isinstance(fault, OSError):
        return fault.errno in {errno.ENOSPC, errno.EDQUOT}
    code = getattr(fault, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_FULL or code == sqlite3.SQLITE_IOERR_SHMSIZE


def fault_of(path: Path, fault: OSError | sqlite3.Error) -> StoreFault:
    """What a fault of the system means for a store."""
    if isinstance(fault, sqlite3.DatabaseError) and is_damage(fault):
        said = " ".join(str(fault).split())
        return StoreDamaged(f"{path} is damaged ({said}); nothing in it is used: end what uses it and delete it")
    return StoreFault(f"{path} cannot be used: {why(fault)}")


def row_sum(key: bytes, meta: bytes, nbytes: int, crc: int, stored: float, expires: float | None) -> int:
    """The sum that a row of `pictures` carries of itself; `used` may change and is not in it."""
    return crc32(repr((key, meta, nbytes, crc, stored, expires)).encode("utf-8", "surrogatepass"))
