"""Pictures in one SQLite file, which many processes may use at once: the store on disk to begin with."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from time import time
from typing import Self

from penstock.ids import Key
from penstock.outcomes import Meta
from penstock_io.stores import Damage, StoreDamaged, StoreEntry, StoreFault, StoreFigures
from penstock_io.stores import _rows as rows
from penstock_io.stores._codec import raw, sum_of
from penstock_io.stores._tables import INSIDE, Proofs, connect, fault_of, transaction

_TOUCHES = 256
"""So many reads are noted together: a commit for each would cost more than the read."""

_SWEPT = 64
"""So many expired pictures go with each write, at most; more free pages than that are given back to the disk."""

_inherited: list[sqlite3.Connection] = []
"""Connections of a process that this one was forked from: closing them here would harm it."""


class SqliteStore:
    """Pictures by key in the file `path`, at most `max_bytes` of them (bytes; None: no bound).

    Expired ones go first when it is full, then the least recently used; a picture larger than the whole store is not
    kept. Several processes may use one file; a write waits up to `wait` seconds for another's. `clock` gives Unix
    seconds. Nothing is opened before it is asked for something, and any thread may ask. What cannot be read or written
    raises `StoreFault`; a picture that has changed on the disk is dropped and raises `StoreDamaged`.
    """

    _mark = INSIDE

    def __init__(
        self,
        path: Path | str,
        *,
        max_bytes: int | None = 4 << 30,
        clock: Callable[[], float] = time,
        wait: float = 2.0,
    ) -> None:
        self.path = Path(path)
        self.max_bytes = max_bytes
        self._clock = clock
        self._wait = wait
        self._turn = RLock()
        self._db: sqlite3.Connection | None = None
        self._process = 0
        self._proofs = Proofs(self.path)
        self._touched: dict[int, None] = {}
        self._hits = self._misses = self._faults = 0

    def __repr__(self) -> str:
        return f"<SqliteStore {self.path}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def inline(self) -> bool:
        """It asks the disk, so never on an event loop."""
        return False

    def read(self, key: Key) -> tuple[Meta, bytes] | None:
        """The picture of a key, None for a miss. Raises `StoreFault`."""
        now = self._clock()
        with self._asked() as db:
            self._proofs.look()
            row = None
            try:
                with transaction(db, "DEFERRED"):
                    row = rows.find(db, key)
                    found = None if row is None or row.over(now) else self._picture(db, row)
            except StoreDamaged as damage:
                if row is not None and not self._drop(db, row):
                    return self.read(key)  # another process replaced it meanwhile
                raise StoreDamaged(f"{self.path}: a picture was dropped: {damage}") from damage
            if row is None or found is None:
                self._misses += 1
                return None
            self._hits += 1
            self._touch(db, row.number)
            return found

    def write(self, key: Key, meta: Meta, data: bytes, ttl: float | None = None) -> None:
        """Store a picture, instead of what was stored under its key; `ttl` is in seconds. Raises `StoreFault`."""
        with self._asked() as db:
            self._write(db, key, meta, data, ttl)

    def claim(self, key: Key, name: str, seconds: float) -> float | None:
        """Take or renew the lease on a key; None: `name` has it, else the seconds until another's ends."""
        now = self._clock()
        with self._asked() as db, transaction(db, "IMMEDIATE"):
            db.execute("DELETE FROM leases WHERE until <= ?", (now,))
            found = db.execute("SELECT name, until FROM leases WHERE key = ?", (raw(key),)).fetchone()
            if found is not None and found[0] != name:
                return float(found[1]) - now
            db.execute("INSERT OR REPLACE INTO leases VALUES (?, ?, ?)", (raw(key), name, now + seconds))
            return None

    def give_back(self, key: Key, name: str) -> None:
        """End a lease of `name`'s. Raises `StoreFault`."""
        with self._asked() as db:
            db.execute("DELETE FROM leases WHERE key = ? AND name = ?", (raw(key), name))

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
        now = self._clock()
        with self._asked() as db:
            with transaction(db, "IMMEDIATE"):
                row = rows.find(db, key)
                db.execute("DELETE FROM pictures WHERE key = ?", (raw(key),))
            (free,) = db.execute("PRAGMA freelist_count").fetchone()
            if free > _SWEPT:
                db.executescript("PRAGMA incremental_vacuum")  # execute() would give back one page
        return row is not None and not row.over(now)

    def verify(self) -> Iterator[Damage]:
        """Read everything and tell what is damaged; nothing is dropped. Raises `StoreFault`."""
        with self._asked() as db:
            said = [" ".join(str(line).split()) for (line,) in db.execute("PRAGMA quick_check(20)")]
        yield from (Damage(None, line) for line in said if line != "ok")
        for row in self._each():
            what = self._ailment(row)
            if what:
                yield Damage(row.owner(), what)

    def close(self) -> None:
        """Note what was used and give the file back; what is asked afterwards opens it again."""
        with self._turn:
            db, self._db = self._db, None
            if db is None or self._process != os.getpid():
                return
            with suppress(sqlite3.Error), transaction(db, "IMMEDIATE"):
                self._flush(db)
            db.close()

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
                if isinstance(told, StoreDamaged) and self._db is not None:
                    self._db.close()
                    self._db = None
                raise told from fault

    def _connected(self) -> sqlite3.Connection:
        if self._db is not None and self._process != os.getpid():
            _inherited.append(self._db)
            self._db = None
        if self._db is None:
            self._db, self._process = connect(self.path, self._wait, self._mark), os.getpid()
        return self._db

    def _write(self, db: sqlite3.Connection, key: Key, meta: Meta, data: bytes, ttl: float | None) -> None:
        now, nbytes = self._clock(), len(data)
        with transaction(db, "IMMEDIATE"):
            self._flush(db)
            db.execute("DELETE FROM pictures WHERE key = ?", (raw(key),))
            rows.sweep(db, now, _SWEPT)
            if self.max_bytes is not None:
                if nbytes > self.max_bytes:
                    return
                rows.make_room(db, self.max_bytes - nbytes, now)
            entry = StoreEntry(key, meta, nbytes, now, None if ttl is None else now + ttl)
            rows.add(db, entry, sum_of(data), self._hold(data))

    def _picture(self, db: sqlite3.Connection, row: rows.Row) -> tuple[Meta, bytes]:
        meta = row.entry().meta
        data = self._bytes(db, row)
        rows.compare(row, data, sums=not self._proven(row.number))
        self._proofs.add(row.number)
        return meta, data

    def _proven(self, number: int) -> bool:
        """Whether a picture was compared with its sum, and nothing can have changed it since."""
        return self._proofs.holds(number)

    def _hold(self, data: bytes) -> bytes:
        """What the database keeps of a picture that is being written."""
        return data

    def _bytes(self, db: sqlite3.Connection, row: rows.Row) -> bytes:
        """A picture's bytes. Raises `StoreDamaged`."""
        return rows.kept(db, row.number)

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
            try:
                with transaction(db, "DEFERRED"):
                    if rows.there(db, row.number):
                        row.entry()
                        rows.compare(row, self._bytes(db, row), sums=True)
            except StoreDamaged as damage:
                return str(damage) if rows.there(db, row.number) else ""
        return ""

    def _drop(self, db: sqlite3.Connection, row: rows.Row) -> bool:
        """Drop a picture; False: it is gone by now."""
        return db.execute("DELETE FROM pictures WHERE id = ?", (row.number,)).rowcount > 0
