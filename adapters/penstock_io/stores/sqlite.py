"""Pictures in SQLite, which many processes may use at once: the store on disk to begin with.

A database hands out 2 MB in pieces that it copies twice, and whatever is written to it changes the one file that holds
all. So what is large lies in files beside it: they are read at once, and each tells by itself whether it was changed.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import contextmanager, suppress
from errno import ENOSPC
from pathlib import Path
from threading import RLock
from time import time
from typing import TypeVar

from attrs import evolve

from penstock.ids import Key
from penstock.outcomes import Meta
from penstock_io.stores import Damage, StoreDamaged, StoreEntry, StoreFault, StoreFigures
from penstock_io.stores import _rows as rows
from penstock_io.stores._beside import Beside, Unnamed
from penstock_io.stores._codec import raw
from penstock_io.stores._opening import Opened, opened
from penstock_io.stores._outside import Outside
from penstock_io.stores._tables import INSIDE, fault_of, is_full, transaction

WITHIN = 64 << 10
"""Bytes of a picture that lies in the database itself, at most."""

_TOUCHES = 256
"""So many reads are noted together: a commit for each would cost more than the read."""

_SWEPT = 64
"""So many expired pictures go with each write, at most."""

_FREE = 512
"""So many free pages stay in the file; more are given back to the disk."""

_TURNS = 8
"""So often a lease is taken again because the file was replaced meanwhile."""

_T = TypeVar("_T")

_inherited: list[sqlite3.Connection] = []
"""Connections of a process that this one was forked from: closing them here would harm it."""


class SqliteStore(Outside):
    """Pictures by key in the file `path`, at most `max_bytes` of them (bytes; None: no bound).

    Those of more than `within` bytes are files in the folder `path`-files. Expired ones go first when it is full, then
    the least recently used; a picture larger than the whole store is not kept. Several processes may use one file; a
    write waits up to `wait` seconds for another's. `clock` gives Unix seconds. Nothing is opened before it is asked for
    something, and any thread may ask. What cannot be read or written raises `StoreFault`; a picture that has changed on
    the disk is dropped and raises `StoreDamaged`. Where the disk may only be read, reading goes on.
    """

    _mark = INSIDE

    def __init__(
        self,
        path: Path | str,
        *,
        max_bytes: int | None = 4 << 30,
        clock: Callable[[], float] = time,
        wait: float = 2.0,
        within: int = WITHIN,
    ) -> None:
        self.path = Path(os.path.realpath(path))  # whatever link it is reached by, its files are in one folder
        self.max_bytes = max_bytes
        self.within = within
        self._clock = clock
        self._wait = wait
        self._turn = RLock()
        self._opened: Opened | None = None
        self._beside = Beside(self._folder())
        self._touched: dict[int, None] = {}
        self._hits = self._misses = self._faults = 0

    def __repr__(self) -> str:
        return f"<SqliteStore {self.path}>"

    def read(self, key: Key) -> tuple[Meta, bytes] | None:
        """The picture of a key, None for a miss. Raises `StoreFault`."""
        now = self._clock()
        with self._asked() as db:
            row = None
            try:
                with transaction(db, "DEFERRED"):
                    row = rows.find(db, key)
                    found = None if row is None or row.over(now) else self._picture(db, row)
            except StoreDamaged as damage:
                dropped = row is None or self._drop(db, row)
                if dropped is False:
                    return self.read(key)  # another process replaced it meanwhile
                told = "a picture was dropped" if dropped else "a picture cannot be read"
                raise StoreDamaged(f"{self.path}: {told}: {damage}") from damage
            if row is None or found is None:
                self._misses += 1
                return None
            self._hits += 1
            self._touch(db, row.number)
            return found

    def write(self, key: Key, meta: Meta, data: bytes, ttl: float | None = None) -> None:
        """Store a picture, instead of what was stored under its key; `ttl` is in seconds. Raises `StoreFault`."""
        try:
            self._changed(lambda db: self._write(db, key, meta, data, ttl))
        except StoreFault as fault:
            if _of_room(fault):
                with suppress(StoreFault):
                    self.delete(key)  # what was to be replaced is not to be served any more
            raise

    def claim(self, key: Key, name: str, seconds: float) -> float | None:
        """Take or renew the lease on a key; None: `name` has it, else the seconds until another's ends."""
        for _ in range(_TURNS):
            left = self._changed(lambda db: _claim(db, key, name, seconds, self._clock()))
            with self._turn:
                if self._opened is not None and self._opened.current(self.path):
                    return left
        raise StoreFault(f"{self.path} is replaced faster than it can be asked")

    def give_back(self, key: Key, name: str) -> None:
        """End a lease of `name`'s. Raises `StoreFault`."""
        self._changed(lambda db: db.execute("DELETE FROM leases WHERE key = ? AND name = ?", (raw(key), name)))

    def lasts(self, key: Key) -> float | None:
        """The seconds until a picture expires; None: it never does; 0.0: it is not there. Raises `StoreFault`."""
        now = self._clock()
        with self._asked() as db:
            row = rows.find(db, key)
        if row is None:
            return 0.0
        return None if row.expires is None else max(row.expires - now, 0.0)

    def held(self, keys: Collection[Key]) -> set[Key]:
        """Those of `keys` that it has. Raises `StoreFault`."""
        now = self._clock()
        with self._asked() as db, transaction(db, "DEFERRED"):
            return {key for key in keys if rows.holds(db, key, now)}

    def figures(self) -> StoreFigures:
        """What it holds, expired pictures that are still there among it. Raises `StoreFault`."""
        with self._asked() as db:
            totals: dict[str, int] = dict(db.execute("SELECT name, value FROM totals"))
        return StoreFigures(
            entries=totals.get("entries", 0),
            nbytes=totals.get("nbytes", 0),
            max_bytes=self.max_bytes,
            hits=self._hits,
            misses=self._misses,
            faults=self._faults,
            evictions=totals.get("evictions", 0),
            expired=totals.get("expired", 0),
        )

    def entries(self) -> Iterator[StoreEntry]:
        """What can be read now, in the order of its writing; what is damaged is left out. Raises `StoreFault`."""
        now = self._clock()
        for row in self._each():
            with suppress(StoreDamaged):
                if not row.over(now):
                    yield row.entry()

    def delete(self, key: Key) -> bool:
        """Drop a picture and give its room back to the disk; False: there was none. Raises `StoreFault`."""
        try:
            row = self._changed(lambda db: self._delete(db, key))
        except StoreFault as fault:
            if not _of_room(fault):
                raise
            with self._asked() as db:
                self._beside.unlink(db, rows.find(db, key))  # which makes room for the note of it
            row = self._changed(lambda db: self._delete(db, key))
        return row is not None and not row.over(self._clock())

    def verify(self) -> Iterator[Damage]:
        """Read everything and tell what is damaged; nothing is dropped. Raises `StoreFault`."""
        with self._asked() as db:
            said = [" ".join(str(line).split()) for (line,) in db.execute("PRAGMA quick_check(20)")]
        yield from (Damage(None, line) for line in said if line != "ok")
        for row in self._each():
            what = self._ailment(row)
            if what:
                yield Damage(row.owner(), what)

    def litter(self) -> int:
        """How many files there are that no row names, and that nobody writes. Raises `StoreFault`."""
        with self._asked() as db:
            return self._beside.litter(db)

    def tidy(self) -> int:
        """Delete files of pictures that no row names, as beside a database of another day: how many."""
        return self._changed(self._beside.tidy)

    def close(self) -> None:
        """Note what was used and give the file back; what is asked afterwards opens it again."""
        with self._turn:
            was, self._opened = self._opened, None
            if was is None or was.process != os.getpid():
                return
            if was.current(self.path):
                with suppress(sqlite3.Error), transaction(was.db, "IMMEDIATE"):
                    self._flush(was.db)
            was.db.close()

    @contextmanager
    def _asked(self) -> Generator[sqlite3.Connection]:
        """The database, for one thread at a time; whatever goes wrong is counted, and told in words."""
        with self._turn:
            try:
                yield self._connected()
            except StoreFault:
                self._faults += 1
                raise
            except (sqlite3.Error, OSError) as fault:
                self._faults += 1
                told = fault_of(self.path, fault)
                if isinstance(told, StoreDamaged) and self._opened is not None:
                    self._opened.db.close()
                    self._opened = None
                raise told from fault

    def _changed(self, change: Callable[[sqlite3.Connection], _T]) -> _T:
        """What a change of the database answers. On a full disk the log is written back, and it is tried once more."""
        with self._asked() as db:
            if self._opened is not None and self._opened.full:
                raise OSError(ENOSPC, "there was no room for the log")
            try:
                return change(db)
            except (sqlite3.Error, OSError) as fault:
                if not is_full(fault):
                    raise
                with suppress(sqlite3.Error):
                    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                return change(db)

    def _connected(self) -> sqlite3.Connection:
        was = self._opened
        if was is not None and was.process != os.getpid():
            _inherited.append(was.db)
            self._opened = None
        elif was is not None and not was.current(self.path):
            was.abandon(self.path)
            self._opened = None
        if self._opened is None:
            self._touched.clear()
            self._beside.forget()
            self._opened = opened(self.path, self._wait, self._mark)
            with suppress(sqlite3.Error):  # what may only be read stays as it is
                if not rows.ever(self._opened.db):
                    rows.announce(self._opened.db, self._beside.left())
        return self._opened.db

    def _folder(self) -> Path:
        """Where the files are."""
        return self.path.with_name(f"{self.path.name}-files")

    def _write(self, db: sqlite3.Connection, key: Key, meta: Meta, data: bytes, ttl: float | None) -> None:
        nbytes = len(data)
        if self.max_bytes is not None and nbytes > self.max_bytes:
            self._delete(db, key)
        elif nbytes <= self.within:
            self._put(db, StoreEntry(key, meta, nbytes, self._clock()), data, ttl, None)
        else:
            unnamed = self._beside.begun(data)
            try:
                rows.announce(db, [unnamed.name])  # until a row names it
                self._put(db, StoreEntry(key, meta, nbytes, self._clock()), data, ttl, unnamed)
            finally:
                unnamed.path.unlink(missing_ok=True)
        self._beside.clear(db)

    def _put(
        self, db: sqlite3.Connection, entry: StoreEntry, data: bytes, ttl: float | None, unnamed: Unnamed | None
    ) -> None:
        """A row for a picture, instead of the one that is there; its file gets its name."""
        now = entry.stored
        with transaction(db, "IMMEDIATE"):
            self._flush(db)
            db.execute("DELETE FROM pictures WHERE key = ?", (raw(entry.key),))
            rows.sweep(db, now, _SWEPT)
            if self.max_bytes is not None:
                rows.make_room(db, self.max_bytes - entry.nbytes, now)
            entry = evolve(entry, expires=None if ttl is None else now + ttl)
            rows.add(db, entry, data, None if unnamed is None else self._beside.named(unnamed))

    def _delete(self, db: sqlite3.Connection, key: Key) -> rows.Row | None:
        with transaction(db, "IMMEDIATE"):
            row = rows.find(db, key)
            db.execute("DELETE FROM pictures WHERE key = ?", (raw(key),))
        try:
            self._beside.clear(db)
        except (sqlite3.Error, OSError) as fault:
            if not is_full(fault):
                raise
            return row  # the files are gone, and who writes next takes their names off the list
        (free,) = db.execute("PRAGMA freelist_count").fetchone()
        if free > _FREE:
            db.executescript("PRAGMA incremental_vacuum")  # execute() would give back one page
        return row

    def _picture(self, db: sqlite3.Connection, row: rows.Row) -> tuple[Meta, bytes]:
        return row.entry().meta, self._bytes(db, row)

    def _bytes(self, db: sqlite3.Connection, row: rows.Row) -> bytes:
        """A picture's bytes. Raises `StoreDamaged`."""
        if row.name is None:
            return rows.compared(row, rows.kept(db, row.number))
        return self._beside.read(row, self._clock())

    def _touch(self, db: sqlite3.Connection, number: int) -> None:
        self._touched.pop(number, None)
        self._touched[number] = None
        if len(self._touched) >= _TOUCHES:
            with suppress(sqlite3.Error), transaction(db, "IMMEDIATE"):  # who was used last is a guess, not a promise
                self._flush(db)
            self._touched.clear()

    def _flush(self, db: sqlite3.Connection) -> None:
        """Note what was read."""
        rows.touch(db, self._touched)
        self._touched.clear()
        self._beside.note(db)

    def _each(self) -> Iterator[rows.Row]:
        """All rows, some at a time: others may write between them."""
        number = -1
        while True:
            with self._asked() as db:
                some = rows.after(db, number)
            if not some:
                return
            yield from some
            number = some[-1].number

    def _ailment(self, row: rows.Row) -> str:
        """What is wrong with a picture; "" for nothing, or where it is gone by now."""
        with self._asked() as db:
            self._beside.forget()
            try:
                with transaction(db, "DEFERRED"):
                    if rows.there(db, row.number):
                        self._picture(db, evolve(row, looks=None))  # whoever asks for it wants everything compared
            except StoreDamaged as damage:
                return str(damage) if rows.there(db, row.number) else ""
        return ""

    def _drop(self, db: sqlite3.Connection, row: rows.Row) -> bool | None:
        """Drop a picture; False: it is gone by now; None: it stays, because nothing may be written."""
        try:
            dropped = db.execute("DELETE FROM pictures WHERE id = ?", (row.number,)).rowcount > 0
        except sqlite3.OperationalError as fault:
            if fault.sqlite_errorcode & 0xFF != sqlite3.SQLITE_READONLY:
                raise
            return None
        self._beside.clear(db)
        return dropped


def _of_room(fault: StoreFault) -> bool:
    """Whether there was none on the disk."""
    return isinstance(fault.__cause__, OSError | sqlite3.Error) and is_full(fault.__cause__)


def _claim(db: sqlite3.Connection, key: Key, name: str, seconds: float, now: float) -> float | None:
    """The seconds until another's lease on a key ends; None: there is none, and `name` has it."""
    with transaction(db, "IMMEDIATE"):
        db.execute("DELETE FROM leases WHERE until <= ?", (now,))
        found = db.execute("SELECT name, until FROM leases WHERE key = ?", (raw(key),)).fetchone()
        if found is not None and found[0] != name:
            return float(found[1]) - now
        db.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?)", (raw(key), name, now + seconds))
    return None
