"""Opening the database of a store: made where there is none, only read where it may only be read.

Whoever deletes or replaces the file of a store means a new one, and nobody goes on with what has no name any more:
each question looks first whether the file is still the one that was opened.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from itertools import count
from pathlib import Path

from attrs import evolve, frozen

from penstock_io._alone import alone_in
from penstock_io.stores import StoreFault
from penstock_io.stores._tables import VERSION, create, is_full

_CACHE = 1 << 20
"""Bytes of pages that a connection keeps."""

_LOG = 4 << 20
"""Bytes of the write-ahead log from which on it is written back, and that it keeps at most while nobody writes."""

_CLOSED = frozenset({sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM})
"""What SQLite says where it may not write what it has to."""

_WAIT = 30.0
"""Seconds to wait for others that make a store in the folder, or take the log of one away: it could be a new one's."""

_numbers = count(1)


@frozen
class Opened:
    """A database, by whom it was opened, what the file looked like then, and its log."""

    db: sqlite3.Connection
    process: int
    looks: tuple[object, ...]
    log: tuple[object, ...] = ()
    settled: bool = False
    full: bool = False

    def current(self, path: Path) -> bool:
        """Whether it is what the path names now; never where the disk was full: there may be room now."""
        return not self.full and self.looks == _looks(path, settled=self.settled)

    def abandon(self, path: Path) -> None:
        """Let go what has no name any more. Its log still has one: whoever opens the new file would read it."""
        with alone_in(path.parent, _WAIT):
            if self.log and self.log == _looks(_log(path)):
                _unlogged(path)
        self.db.close()


def opened(path: Path, wait: float, mark: int) -> Opened:
    """The database at `path`, made where there is none; `wait` seconds for whoever writes; `mark` says what it is.

    A commit is in the file when it returns, and on the disk a little later: a power cut may take the last pictures, and
    nothing else. Only its owner may read it. Where it may only be read, or the disk has no room for the log, it can be
    read. Raises `StoreFault`, `OSError`, `sqlite3.Error`.
    """
    if not path.exists():
        _make(path, mark)
    looks = _looks(path)
    try:
        db = _to_write(path, wait, mark)
        return Opened(db, os.getpid(), looks, _looks(_log(path)))
    except sqlite3.OperationalError as fault:
        full = is_full(fault)
        if not (full or fault.sqlite_errorcode & 0xFF in _CLOSED) or not path.is_file():
            raise
        with suppress(sqlite3.OperationalError):
            return evolve(_to_read(path, mark), full=full)
        raise


def _to_write(path: Path, wait: float, mark: int) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=wait)
    try:
        if not _is_ours(db, path, mark):
            create(db, mark)
        (page,) = db.execute("PRAGMA page_size").fetchone()
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute(f"PRAGMA cache_size = {_CACHE // page}")
        db.execute(f"PRAGMA wal_autocheckpoint = {_LOG // page}")
        db.execute(f"PRAGMA journal_size_limit = {_LOG}")
    except BaseException:
        db.close()
        raise
    return db


def _to_read(path: Path, mark: int) -> Opened:
    """The database, left as it is: where no writer left a log, no file is needed beside it."""
    settled = not _logged(path)
    looks = _looks(path, settled=settled)
    how = "immutable=1" if settled else "mode=ro"
    db = sqlite3.connect(
        f"{path.resolve().as_uri()}?{how}", uri=True, isolation_level=None, check_same_thread=False, timeout=0.0
    )
    try:
        if not _is_ours(db, path, mark):
            raise StoreFault(f"{path} is empty, and may only be read: name another file")
    except BaseException:
        db.close()
        raise
    return Opened(db, os.getpid(), looks, settled=settled)


def _looks(path: Path, *, settled: bool = False) -> tuple[object, ...]:
    """Which file a path names; `settled`: also when it was changed, because whoever reads it is told of no change."""
    try:
        found = path.stat()
    except OSError:
        return ()
    which = (found.st_dev, found.st_ino)
    return (*which, found.st_mtime_ns, found.st_size, _logged(path)) if settled else which


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _logged(path: Path) -> bool:
    """Whether a writer left a log that says anything."""
    try:
        return _log(path).stat().st_size > 0
    except OSError:
        return False


def _unlogged(path: Path) -> None:
    """Delete the log that a file left which is not there any more."""
    for left in (_log(path), path.with_name(f"{path.name}-shm")):
        left.unlink(missing_ok=True)


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
        with alone_in(path.parent, _WAIT):
            if path.exists():
                return
            _unlogged(path)
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
