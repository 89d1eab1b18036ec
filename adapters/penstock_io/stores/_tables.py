"""The tables of a store in SQLite, and opening them.

Bytes have a table of their own, so that looking through what is known of pictures reads none of them. Ids are never
used again: whoever holds one means the same bytes, or none. Sums over all pictures are kept by triggers.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from zlib import crc32

from penstock_io.journal._damage import is_damage
from penstock_io.journal._faults import why
from penstock_io.stores import StoreDamaged, StoreFault

INSIDE = 0x50535452
"""SQLite's `application_id` of a file that holds the bytes, too."""

BESIDE = 0x50534653
"""And of one whose bytes are in files beside it: `bytes` has their names."""

VERSION = 1
"""Goes up when a table changes; a file of another one is not used."""

TABLES = """
CREATE TABLE pictures (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, meta BLOB NOT NULL, nbytes INTEGER NOT NULL,
    crc INTEGER NOT NULL, stored REAL NOT NULL, expires REAL, used INTEGER NOT NULL, row INTEGER NOT NULL);
CREATE INDEX used_pictures ON pictures (used);
CREATE INDEX expiring_pictures ON pictures (expires) WHERE expires IS NOT NULL;
CREATE TABLE bytes (id INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE totals (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO totals VALUES ('entries', 0), ('nbytes', 0), ('evictions', 0), ('expired', 0);
CREATE TRIGGER picture_kept AFTER INSERT ON pictures BEGIN
    UPDATE totals SET value = value + 1 WHERE name = 'entries';
    UPDATE totals SET value = value + NEW.nbytes WHERE name = 'nbytes';
END;
CREATE TRIGGER picture_dropped AFTER DELETE ON pictures BEGIN
    DELETE FROM bytes WHERE id = OLD.id;
    UPDATE totals SET value = value - 1 WHERE name = 'entries';
    UPDATE totals SET value = value - OLD.nbytes WHERE name = 'nbytes';
END;
CREATE TABLE leases (key BLOB PRIMARY KEY, name TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID;
"""

_NAMED = """
CREATE INDEX named_bytes ON bytes (data);
CREATE TABLE gone (data BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TRIGGER name_dropped AFTER DELETE ON bytes BEGIN INSERT OR IGNORE INTO gone VALUES (OLD.data); END;
"""
"""Files that nobody may name any more: whoever writes next looks, and deletes them."""

_PAGE = 32 << 10
"""Bytes of a page: of small ones a picture is read in many steps, one after the other."""

_LOG = 32 << 20
"""Bytes that the write-ahead log keeps at most while nobody writes."""

_SETTLED = 2_000_000_000
"""Nanoseconds for which a change may go unseen, because file systems do not tell moments more finely."""

_numbers = count(1)


def connect(path: Path, wait: float, mark: int) -> sqlite3.Connection:
    """The database at `path`, made where there is none; `wait` seconds for whoever writes; `mark` says what it is.

    A commit is in the file when it returns, and on the disk a little later: a power cut may take the last pictures, and
    nothing else. Only its owner may read it. Raises `StoreFault`, `OSError`, `sqlite3.Error`.
    """
    if not path.exists():
        _make(path, mark)
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=wait)
    try:
        if not _is_ours(db, path, mark):
            create(db, mark)
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA cache_size = 10")  # pages: what was read is handed on at once, and more are slower
        db.execute(f"PRAGMA wal_autocheckpoint = {(16 << 20) // _PAGE}")
        db.execute(f"PRAGMA journal_size_limit = {_LOG}")
    except BaseException:
        db.close()
        raise
    return db


def create(db: sqlite3.Connection, mark: int) -> None:
    """The tables, in an empty database."""
    db.execute(f"PRAGMA page_size = {_PAGE}")
    db.execute("PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("PRAGMA journal_mode = WAL")
    marks = f"PRAGMA application_id = {mark}; PRAGMA user_version = {VERSION};"
    db.executescript(f"BEGIN IMMEDIATE; {TABLES} {_NAMED if mark == BESIDE else ''} {marks} COMMIT;")


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


def fault_of(path: Path, fault: OSError | sqlite3.Error) -> StoreFault:
    """What a fault of the system means for a store."""
    if isinstance(fault, sqlite3.DatabaseError) and is_damage(fault):
        said = " ".join(str(fault).split())
        return StoreDamaged(f"{path} is damaged ({said}); nothing in it is used: end what uses it and delete it")
    return StoreFault(f"{path} cannot be used: {why(fault)}")


def row_sum(key: bytes, meta: bytes, nbytes: int, crc: int, stored: float, expires: float | None) -> int:
    """The sum that a row of `pictures` carries of itself; `used` may change and is not in it."""
    return crc32(repr((key, meta, nbytes, crc, stored, expires)).encode("utf-8", "surrogatepass"))


class Proofs:
    """Which pictures were compared with their sums while the files stayed as they are.

    Comparing takes twice as long as reading. What was compared is not compared again until the database or its log
    changes; a change that is younger than what file systems can tell apart is taken for one that still goes on.
    """

    def __init__(self, path: Path) -> None:
        self._files = (path, path.with_name(f"{path.name}-wal"))
        self._state: tuple[tuple[int, int], ...] = ()
        self._sound: set[int] = set()

    def look(self) -> None:
        """Look at the files, before a picture is read."""
        state = tuple(map(_looks, self._files))
        if state != self._state or time.time_ns() - max(changed for changed, _ in state) < _SETTLED:
            self._state = state
            self._sound.clear()

    def holds(self, number: int) -> bool:
        """Whether a picture was compared."""
        return number in self._sound

    def add(self, number: int) -> None:
        """A picture that was read since `look` is as it was written."""
        self._sound.add(number)


def _looks(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return (0, 0)
    return found.st_mtime_ns, found.st_size


def _make(path: Path, mark: int) -> None:
    """A store appears whole: who comes at the same time finds all of it, or makes one that is not taken."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.{os.getpid()}-{next(_numbers)}.new")
    os.close(os.open(new, os.O_RDWR | os.O_CREAT, 0o600))
    try:
        db = sqlite3.connect(new, isolation_level=None)
        try:
            create(db, mark)
        finally:
            db.close()
        try:
            os.link(new, path)
        except FileExistsError:
            return
        except (OSError, AttributeError, NotImplementedError):  # FAT, some network shares
            if not path.exists():
                new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _is_ours(db: sqlite3.Connection, path: Path, ours: int) -> bool:
    """Whether the tables are there; False: the file is empty. Raises `StoreFault` for another program's."""
    (mark,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    if mark == 0 and tables == 0:
        return False
    if mark != ours:
        raise StoreFault(f"{path} is a database, but no store of this kind: name another file")
    if version != VERSION:
        raise StoreFault(f"{path} has schema {version}; this penstock knows {VERSION}: name another file")
    return True
