"""The output folder of a batch as a store for others: its pictures by key, as its journal names them.

Nothing is written there, also while a batch is at work in it: its own journal stores what it pays for. What whoever
reads here buys is stored elsewhere, or in his own folder.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from time import time

from penstock.ids import Key
from penstock.outcomes import Meta
from penstock_io.journal import JournalError
from penstock_io.journal._books import picture
from penstock_io.journal._faults import why
from penstock_io.journal._readonly import read_only
from penstock_io.journal._schema import DATABASE, version_of
from penstock_io.stores import Damage, StoreDamaged, StoreEntry, StoreFault, StoreFigures
from penstock_io.stores._outside import Outside


class FolderStore(Outside):
    """The pictures that a batch paid for in `folder`, which is only read.

    A file that is missing, or has another length than its journal says, is a miss with a fault (`StoreDamaged`), and
    so is a journal that cannot be read (`StoreFault`). Pictures do not expire; `clock` gives Unix seconds. Threads may
    share it.
    """

    def __init__(self, folder: Path | str, *, clock: Callable[[], float] = time) -> None:
        self.folder = Path(folder)
        self._clock = clock
        self._hits = self._misses = self._faults = 0

    def __repr__(self) -> str:
        return f"<FolderStore {self.folder}>"

    def read(self, key: Key) -> tuple[Meta, bytes] | None:
        """The picture of a key, None for a miss. Raises `StoreFault`."""
        with self._asked() as db:
            found = picture(db, key)
            if found is None:
                self._misses += 1
                return None
            name, meta = found
            data = self._bytes(name, meta.nbytes)
            self._hits += 1
            return meta, data

    def write(self, key: Key, meta: Meta, data: bytes, ttl: float | None = None) -> None:
        """Nothing: it is another's folder."""

    def lasts(self, key: Key) -> float | None:
        """None: what is here stays; 0.0: it is not here. Raises `StoreFault`."""
        with self._asked() as db:
            return 0.0 if picture(db, key) is None else None

    def held(self, keys: Collection[Key]) -> set[Key]:
        """Those of `keys` whose files are there with their lengths. Raises `StoreFault`."""
        with self._asked() as db:
            found = {key: picture(db, key) for key in keys}
        return {key for key, one in found.items() if one is not None and not self._ailment(one[0], one[1].nbytes)}

    def figures(self) -> StoreFigures:
        """What it holds. Raises `StoreFault`."""
        with self._asked() as db:
            entries, nbytes = db.execute("SELECT COUNT(*), COALESCE(SUM(nbytes), 0) FROM pictures").fetchone()
        return StoreFigures(entries, nbytes, None, self._hits, self._misses, self._faults)

    def entries(self) -> Iterator[StoreEntry]:
        """What can be read now. Raises `StoreFault`."""
        for key, name, meta in self._all():
            if not self._ailment(name, meta.nbytes):
                yield StoreEntry(key, meta, meta.nbytes, meta.created)

    def delete(self, key: Key) -> bool:
        """Nothing is dropped here. Raises `StoreFault`."""
        raise StoreFault(f"{self.folder} is the folder of a batch, and keeps its pictures ({key[:16]})")

    def verify(self) -> Iterator[Damage]:
        """Look at every file and tell which is missing or has another length. Raises `StoreFault`."""
        for key, name, meta in self._all():
            what = self._ailment(name, meta.nbytes)
            if what:
                yield Damage(key, what)

    def close(self) -> None:
        """Nothing is open between two questions."""

    def _all(self) -> list[tuple[Key, str, Meta]]:
        with self._asked() as db:
            keys = [Key(key) for (key,) in db.execute("SELECT key FROM pictures ORDER BY settled, key")]
            found = [(key, picture(db, key)) for key in keys]
        return [(key, *one) for key, one in found if one is not None]

    def _path(self, name: str) -> Path | None:
        """Where a file is; None: its name leads out of the folder."""
        parts = PurePosixPath(name).parts
        return None if not parts or ".." in parts or parts[0] == "/" else self.folder.joinpath(*parts)

    def _ailment(self, name: str, nbytes: int) -> str:
        """What is wrong with a file; "" for nothing."""
        path = self._path(name)
        if path is None:
            return "its file's name has changed"
        try:
            found = path.stat().st_size
        except OSError:
            return "its file is gone"
        return "" if found == nbytes else f"{found} bytes of {nbytes} are there"

    def _bytes(self, name: str, nbytes: int) -> bytes:
        path, what = self._path(name), self._ailment(name, nbytes)
        if path is None or what:
            raise StoreDamaged(f"{self.folder}: a picture cannot be read: {what}")
        return path.read_bytes()

    @contextmanager
    def _asked(self) -> Generator[sqlite3.Connection]:
        """The journal, as it is now; whatever goes wrong is counted, and told in words."""
        path = self.folder / DATABASE
        try:
            if not is_batch(self.folder):
                raise StoreFault(f"{self.folder} holds no journal: it is not the folder of a batch")
            with read_only(path) as db:
                if not version_of(db, path):
                    raise StoreFault(f"{self.folder} holds an empty journal: run the batch first")
                yield db
        except StoreFault:
            self._faults += 1
            raise
        except JournalError as fault:
            self._faults += 1
            raise StoreFault(str(fault)) from fault
        except (sqlite3.Error, OSError) as fault:
            self._faults += 1
            raise StoreFault(f"{self.folder} cannot be used: {why(fault)}") from fault


def is_batch(folder: Path) -> bool:
    """Whether a folder is one of a batch's."""
    return (folder / DATABASE).is_file()
