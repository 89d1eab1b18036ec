"""A disk and a database on it that fail, or take the process with them, at any chosen operation."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from penstock_io.journal import Disk

FAULT, DEATH = "fault", "death"


class Died(BaseException):
    """The process is gone in the middle of a step."""


class Statements(sqlite3.Connection):
    """A database whose begin and commit may fail."""

    disk: FailingDisk

    def execute(self, sql: str, parameters: object = (), /) -> sqlite3.Cursor:
        """Count what a disk would feel."""
        if sql.startswith(("BEGIN", "COMMIT")):
            self.disk.tick(sqlite3.OperationalError("disk I/O error"))
        return super().execute(sql, parameters)  # type: ignore[arg-type]


class FailingDisk(Disk):
    """A disk that fails, or dies, at a chosen operation, and knows what a loss of power would take."""

    def __init__(self, *, links: bool) -> None:
        self.links = links
        self.left: int | None = None
        self.how = FAULT
        self.dead = False
        self.synced: set[int] = set()
        self.loose: set[Path] = set()

    def arm(self, left: int | None, how: str) -> None:
        """Let the operation after `left` more fail."""
        self.left, self.how = left, how

    def tick(self, fault: Exception) -> None:
        """One operation."""
        if self.dead:
            raise Died
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                if self.how == DEATH:
                    self.dead = True
                    raise Died
                raise fault

    def operate(self) -> None:
        """One operation of the file system."""
        self.tick(OSError(28, "No space left on device"))

    def write(self, path: Path, data: bytes) -> None:
        """Bytes, then their sync: it may end between."""
        path.write_bytes(data[:3])
        self.operate()
        super().write(path, data)
        self.synced.add(path.stat().st_ino)

    def sync(self, path: Path) -> None:
        """A file's bytes."""
        self.operate()
        self.synced.add(path.stat().st_ino)

    def sync_folder(self, path: Path) -> None:
        """A folder's names."""
        self.operate()
        self.loose = {name for name in self.loose if name.parent != path}

    def rename(self, old: Path, new: Path) -> None:
        """A name that is loose until its folder is synced."""
        self.operate()
        super().rename(old, new)
        self.loose.add(new)

    def link(self, old: Path, new: Path) -> None:
        """A second name, or none."""
        self.operate()
        if not self.links:
            raise PermissionError(1, "Operation not permitted")
        super().link(old, new)

    def unlink(self, path: Path) -> None:
        """A name goes."""
        self.operate()
        super().unlink(path)

    def connect(self, path: Path) -> sqlite3.Connection:
        """The database, with its failing statements."""
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=Statements)
        db.disk = self
        return db

    def lose_power(self, folder: Path, copy: Path) -> None:
        """Copy what is durable: no loose names, and no bytes that were never synced."""
        shutil.copytree(folder, copy)
        for sub in ("held", "images", "originals", "superseded"):
            for path in (folder / sub).glob("*"):
                if path in self.loose:
                    (copy / sub / path.name).unlink()
                elif path.stat().st_ino not in self.synced:
                    (copy / sub / path.name).write_bytes(b"")
