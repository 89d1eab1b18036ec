"""What the journal asks of a disk: few operations, each durable when it returns; tests can let any of them fail."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from pathlib import Path

if sys.platform == "darwin":
    import fcntl


class Disk:
    """The real one. Everything raises `OSError` (`connect`: `sqlite3.Error`)."""

    def write(self, path: Path, data: bytes) -> None:
        """A file with these bytes, durable (its name is not, until its folder is synced)."""
        with path.open("wb", buffering=0) as file:
            view = memoryview(data)
            sent = 0
            while sent < len(view):
                sent += file.write(view[sent:])
            _sync(file.fileno())

    def sync(self, path: Path) -> None:
        """Make a file's bytes durable."""
        with path.open("r+b", buffering=0) as file:
            _sync(file.fileno())

    def sync_folder(self, path: Path) -> None:
        """Make a folder's names durable."""
        if sys.platform == "win32":  # folders cannot be synced there, and names are journalled by the file system
            return
        fd = os.open(path, os.O_RDONLY)
        try:
            _sync(fd)
        finally:
            os.close(fd)

    def rename(self, old: Path, new: Path) -> None:
        """Give a file its new name, in place of whatever had it."""
        old.replace(new)

    def link(self, old: Path, new: Path) -> None:
        """A second name for a file. Many file systems cannot."""
        os.link(old, new)

    def copy(self, old: Path, new: Path) -> None:
        """A second file with the same bytes, durable."""
        shutil.copyfile(old, new)
        self.sync(new)

    def unlink(self, path: Path) -> None:
        """Remove a name that may be gone already."""
        path.unlink(missing_ok=True)

    def free(self, path: Path) -> int | None:
        """Bytes that may still be written where `path` is; None where nobody knows."""
        try:
            return shutil.disk_usage(path).free
        except (OSError, AttributeError):
            return None

    def connect(self, path: Path) -> sqlite3.Connection:
        """The database. Transactions are begun and committed by hand."""
        return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)


def double(disk: Disk, old: Path, new: Path) -> bool:
    """A second name for a file, or where the file system has none a second file; returns whether it is a name.

    Raises `OSError`.
    """
    try:
        disk.link(old, new)
    except (OSError, AttributeError, NotImplementedError):
        disk.copy(old, new)
        return False
    return True


def commit_durably(db: sqlite3.Connection) -> None:
    """Let each commit be on the disk when it returns, with one sync, and others read meanwhile. Raises `sqlite3.Error`.

    Before a database is known to be ours this must not be asked of it: it changes the file.
    """
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA fullfsync = ON")


def _sync(fd: int) -> None:
    if sys.platform == "darwin":
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
    else:
        os.fsync(fd)
