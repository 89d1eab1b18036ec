"""Finding by meaning what is not stored under its own key: any store, with a list of where its pictures lie.

    client = Client(url, keys, store=NearStore(SqliteStore("pictures.sqlite"), "near.sqlite"), hooks={"embed": embed},
                    config=Config(near=NearCache(hook="embed")))
    client.images.generate(prompt=..., model=..., options=Options(near=True))

What may pass for what is decided in `penstock.cache.near`, before any vector counts.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import RLock

from penstock.ids import Key, Ref
from penstock.outcomes import Meta
from penstock_io.journal._faults import why
from penstock_io.stores import (
    Damage,
    Holding,
    Keeping,
    Lasting,
    Leasing,
    Marking,
    Store,
    Stored,
    StoreDamaged,
    StoreEntry,
    StoreFault,
    StoreFigures,
)
from penstock_io.stores._codec import raw, unraw
from penstock_io.stores._outside import Outside
from penstock_io.stores._places import WIDTH, Places, Spot, unit

VERSION = 2
"""Goes up when the table changes; a file of a later one is not used."""

_TABLE = """
CREATE TABLE places (
    number INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, scope TEXT NOT NULL, vector BLOB NOT NULL);
"""
"""Numbers are never used again, so that whoever knows one finds what was placed since."""

_COPY = """
ALTER TABLE places RENAME TO before;
{table}
INSERT INTO places (key, scope, vector) SELECT key, scope, vector FROM before;
DROP TABLE before;
"""


class NearStore(Outside):
    """The pictures of `store`, which are found by meaning, too: the `most` that were placed last.

    Where they lie is kept in the file `path` (None: in memory), by scopes and vectors that give no prompt away. What
    other processes place there is found, too. A picture that `store` has no more is forgotten when it would have been
    found. What goes wrong with the file raises `StoreFault`.
    """

    def __init__(self, store: Store, path: Path | str | None = None, *, most: int = 20_000) -> None:
        self.store = store
        self.path = None if path is None else Path(path)
        self._places = Places(most)
        self._turn = RLock()
        self._db: sqlite3.Connection | None = None
        self._seen: tuple[int, int] = (0, 0)

    def __repr__(self) -> str:
        return f"<NearStore {self.store!r}{f' by {self.path}' if self.path else ''}>"

    @property
    def inline(self) -> bool:
        """Whether neither it nor the store asks a disk."""
        return self.path is None and self.store.inline

    # By meaning

    def place(self, key: Key, scope: str, vector: tuple[float, ...]) -> None:
        """Remember where in `scope` a stored picture lies. Raises `StoreFault`."""
        direction = unit(vector)
        if direction is None:
            return
        with self._asked() as db:
            if db is not None:
                self._follow(db)
            gone = self._places.put(key, Spot(scope, direction))
            if db is not None:
                values = (raw(key), scope, direction)
                db.execute("INSERT OR REPLACE INTO places (key, scope, vector) VALUES (?, ?, ?)", values)
                db.executemany("DELETE FROM places WHERE key = ?", [(raw(old),) for old in gone])

    def near(self, scope: str, vector: tuple[float, ...], threshold: float) -> tuple[Meta, bytes | Ref, float] | None:
        """The nearest picture that may pass for one of `scope`, with its cosine, if that is at least `threshold`."""
        with self._asked() as db:
            if db is not None:
                self._follow(db)
            ranked = list(self._places.nearest(scope, vector, threshold))
        for key, score in ranked:
            found = self.store.read(key)
            if found is not None:
                return (*found, score)
            self._forget(key)
        return None

    # As the store does

    def read(self, key: Key) -> Stored | None:
        """The picture of a key, None for a miss. Raises what the store raises."""
        return self.store.read(key)

    def write(self, key: Key, meta: Meta, data: bytes, ttl: float | None = None) -> None:
        """Store a picture; `ttl` is in seconds. Raises what the store raises."""
        self.store.write(key, meta, data, ttl)

    def mark(self, key: Key, meta: Meta, ref: Ref) -> bool:
        """Note `meta` where the store holds the bytes of `ref` already; False: they have to be written."""
        able: object = self.store
        return isinstance(able, Marking) and able.mark(key, meta, ref)

    def claim(self, key: Key, name: str, seconds: float) -> float | None:
        """Take or renew the store's lease on a key; None: `name` has it, or the store has no leases."""
        able: object = self.store
        return able.claim(key, name, seconds) if isinstance(able, Leasing) else None

    def give_back(self, key: Key, name: str) -> None:
        """End a lease of `name`'s."""
        able: object = self.store
        if isinstance(able, Leasing):
            able.give_back(key, name)

    def lasts(self, key: Key) -> float | None:
        """The seconds until a picture expires, as far as the store can say; None: no end is known."""
        able: object = self.store
        return able.lasts(key) if isinstance(able, Lasting) else None

    def held(self, keys: Collection[Key]) -> set[Key]:
        """Those of `keys` that the store has; all of them where it cannot say."""
        able: object = self.store
        return able.held(keys) if isinstance(able, Holding) else set(keys)

    def figures(self) -> StoreFigures:
        """The store's own."""
        able = self._keeping()
        return StoreFigures() if able is None else able.figures()

    def entries(self) -> Iterator[StoreEntry]:
        """What can be read now."""
        able = self._keeping()
        return iter(()) if able is None else able.entries()

    def delete(self, key: Key) -> bool:
        """Drop a picture, and where it lies; False: there was none."""
        able = self._keeping()
        self._forget(key)
        return able is not None and able.delete(key)

    def verify(self) -> Iterator[Damage]:
        """What is damaged in the store."""
        able = self._keeping()
        return iter(()) if able is None else able.verify()

    def close(self) -> None:
        """Close the file, and the store."""
        with self._turn:
            db, self._db = self._db, None
            if db is not None:
                db.close()
        able = self._keeping()
        if able is not None:
            able.close()

    def _keeping(self) -> Keeping | None:
        able: object = self.store
        return able if isinstance(able, Keeping) else None

    def _forget(self, key: Key) -> None:
        with self._asked() as db:
            if self._places.forget(key) and db is not None:
                db.execute("DELETE FROM places WHERE key = ?", (raw(key),))

    @contextmanager
    def _asked(self) -> Generator[sqlite3.Connection | None]:
        """The file, open, in one transaction; None: there is none. Raises `StoreFault`."""
        with self._turn:
            if self.path is None:
                yield None
                return
            try:
                if self._db is None:
                    self._db = self._opened(self.path)
                with self._db:
                    yield self._db
            except (sqlite3.Error, OSError) as fault:
                raise StoreFault(f"{self.path}: {why(fault)}") from fault

    def _opened(self, path: Path) -> sqlite3.Connection:
        path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(path, check_same_thread=False, timeout=2.0)
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("BEGIN IMMEDIATE")
            (version,) = db.execute("PRAGMA user_version").fetchone()
            (tables,) = db.execute("SELECT count(*) FROM sqlite_master WHERE name NOT LIKE 'sqlite%'").fetchone()
            if version not in ({1, VERSION} if tables else {0}):
                raise StoreDamaged(f"{path} is of another version, or no list of places")
            if version != VERSION:
                for step in (_COPY.format(table=_TABLE) if version else _TABLE).split(";"):
                    db.execute(step)
                db.execute(f"PRAGMA user_version = {VERSION}")
            db.commit()
            self._seen = (0, 0)
        except BaseException:
            db.close()
            raise
        return db

    def _follow(self, db: sqlite3.Connection) -> None:
        """Learn of what was placed since: by this file's others, or all of it after it was opened."""
        (version,) = db.execute("PRAGMA data_version").fetchone()
        before, last = self._seen
        if version == before:
            return
        query = "SELECT number, key, scope, vector FROM places WHERE number > ? ORDER BY number"
        gone: list[Key] = []
        with closing(db.execute(query, (last,))) as rows:
            for number, key, scope, vector in rows:
                last = number
                if isinstance(scope, str) and isinstance(vector, bytes) and not len(vector) % WIDTH:
                    gone += self._places.put(unraw(key), Spot(scope, vector))
        db.executemany("DELETE FROM places WHERE key = ?", [(raw(old),) for old in gone])
        self._seen = (version, last)
