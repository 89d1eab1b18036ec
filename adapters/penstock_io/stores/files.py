"""Pictures as files, each under the SHA-256 of its bytes, so that two keys with the same picture share one file.

What is known of them is in `index.sqlite` beside them. A file gets its name, and loses it, only while the index is
locked for writing: so no process deletes what another one has just named, and a crash leaves at most a file that nobody
names, which goes with the next write.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from time import time

from penstock.ids import Key
from penstock.outcomes import Meta
from penstock_io.stores import StoreDamaged
from penstock_io.stores import _rows as rows
from penstock_io.stores._tables import BESIDE, transaction
from penstock_io.stores.sqlite import SqliteStore

INDEX = "index.sqlite"

_OLD = 86_400.0
"""Seconds after which a file that was never finished belongs to nobody any more."""

_UNFINISHED = "unfinished-"

_NAME = re.compile("[0-9a-f]{64}")


class FilesStore(SqliteStore):
    """Pictures by key in files below `folder`: `ab/ab12...`, whole or not there.

    As `SqliteStore` in all else. Each key counts with its bytes, also where several share a file.
    """

    _mark = BESIDE

    def __init__(
        self,
        folder: Path | str,
        *,
        max_bytes: int | None = None,
        clock: Callable[[], float] = time,
        wait: float = 2.0,
    ) -> None:
        self.folder = Path(folder)
        super().__init__(self.folder / INDEX, max_bytes=max_bytes, clock=clock, wait=wait)
        self._swept = False
        self._unfinished = self.folder

    def __repr__(self) -> str:
        return f"<FilesStore {self.folder}>"

    def file(self, name: str) -> Path:
        """Where the bytes of a SHA-256 (64 hex digits) are."""
        return self.folder / name[:2] / name

    def delete(self, key: Key) -> bool:
        """Drop a picture, and its file where no other key has it; False: there was none. Raises `StoreFault`."""
        found = super().delete(key)
        with self._asked() as db:
            self._clear(db)
        return found

    def _write(self, db: sqlite3.Connection, key: Key, meta: Meta, data: bytes, ttl: float | None) -> None:
        self._unfinished = self.folder / f"{_UNFINISHED}{token_hex(8)}"
        if not self._swept:
            self._sweep()
        try:
            fd = os.open(self._unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(fd, "wb", buffering=0) as file:  # noqa: PTH123 - it is open already, for its owner alone
                file.write(data)
            db.execute("INSERT OR IGNORE INTO gone VALUES (?)", (_name(data),))  # until a row names it
            super()._write(db, key, meta, data, ttl)
        finally:
            self._unfinished.unlink(missing_ok=True)
        self._clear(db)

    def _hold(self, data: bytes) -> bytes:
        """Give the file its name: in place of one that has it, which may be damaged."""
        name = _name(data)
        path = self.file(name.decode())
        path.parent.mkdir(exist_ok=True)
        self._unfinished.replace(path)
        return name

    def _bytes(self, db: sqlite3.Connection, row: rows.Row) -> bytes:
        path = self._path(super()._bytes(db, row))
        if path is None:
            raise StoreDamaged("its file's name has changed")
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise StoreDamaged("its file is gone") from None

    def _clear(self, db: sqlite3.Connection) -> None:
        """Delete files that nobody names any more."""
        if db.execute("SELECT 1 FROM gone LIMIT 1").fetchone() is None:
            return
        with transaction(db, "IMMEDIATE"):
            for (name,) in db.execute("SELECT data FROM gone").fetchall():
                path = self._path(bytes(name))
                named = db.execute("SELECT 1 FROM bytes WHERE data = ? LIMIT 1", (name,)).fetchone()
                if path is not None and named is None:
                    path.unlink(missing_ok=True)
                db.execute("DELETE FROM gone WHERE data = ?", (name,))

    def _proven(self, number: int) -> bool:
        """Whoever changes a file leaves the index as it is: each is compared whenever it is read."""
        del number
        return False

    def _path(self, name: bytes) -> Path | None:
        """Where a name leads that the index has; None: it is none, and may lead anywhere."""
        text = name.decode("ascii", "replace")
        return self.file(text) if _NAME.fullmatch(text) else None

    def _sweep(self) -> None:
        """Delete what processes that were killed never finished."""
        self._swept = True
        for path in self.folder.glob(f"{_UNFINISHED}*"):
            with suppress(OSError):
                if time() - path.stat().st_mtime > _OLD:
                    path.unlink()


def _name(data: bytes) -> bytes:
    return sha256(data).hexdigest().encode()
