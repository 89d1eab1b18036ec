"""Files beside a database: each under the SHA-256 of its bytes, whole or not there.

A file gets its name, and loses it, only while the database is locked for writing: so no process deletes what another
one has just named. Before it gets one the name is noted in `gone`, and whoever writes next deletes what is noted there
and stands in no row, and takes the note away once nobody is about to use that name: a crash leaves nothing else behind
but a file that was never finished. What cannot be deleted stays noted, and is in nobody's way.

Comparing 2 MB with their sum takes twice as long as reading them. So each row says how its file looked (which one it
is, its length, when it was changed) when its bytes were what they have to be: in a file that still looks so nobody has
changed any since. When it is written it gets a time of change that lies back, so that even a change a moment later
shows. What a disk does to bytes by itself shows nowhere: what was not compared for a week is. Nor does what a power cut
leaves: what was written before this machine was started is compared, or is on the disk before it gets its name.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from time import time

from attrs import frozen

from penstock_io.stores import StoreDamaged
from penstock_io.stores._rows import Row, announce, compared, noted
from penstock_io.stores._tables import transaction

_OLD = 600.0
"""Seconds after which a file that was never finished belongs to nobody any more; one that is loses only its picture."""

_UNFINISHED = "unfinished-"

_NAME = re.compile("[0-9a-f]{64}")

_BACK = 60
"""Seconds by which a file seems to be older than it is: no clock shows that moment again."""

_SETTLED = 2.0
"""Seconds for which a change may go unseen, because file systems do not tell moments more finely."""

_AGAIN = 7 * 86_400.0
"""Seconds after which a picture is compared again, however its file looks."""

_BINARY: int = getattr(os, "O_BINARY", 0)

_AT_ONCE: int = getattr(os, "O_NONBLOCK", 0)
"""Nobody waits for whoever may write into a pipe that was put in a file's place."""


@frozen
class Unnamed:
    """A whole file, and the name that it is to get."""

    path: Path
    name: bytes


class Beside:
    """The files of pictures below `folder`: `ab/ab12...`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._compared: dict[int, tuple[str, float]] = {}
        self._swept = 0.0

    def file(self, name: str) -> Path:
        """Where the bytes of a SHA-256 (64 hex digits) are."""
        return self.folder / name[:2] / name

    def path(self, name: bytes) -> Path | None:
        """Where a name leads that a database has; None: it is none, and may lead anywhere."""
        text = name.decode("ascii", "replace")
        return self.file(text) if _NAME.fullmatch(text) else None

    # Writing

    def begun(self, data: bytes) -> Unnamed:
        """The bytes, in a file that has no name yet. Raises `OSError`."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        if not 0.0 <= time() - self._swept < _OLD:
            self._sweep()
        name = sha256(data).hexdigest()
        path = self.folder / f"{_UNFINISHED}{name}-{token_hex(8)}"
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o600)
            with open(fd, "wb", buffering=0) as file:  # noqa: PTH123 - it is open already, for its owner alone
                left = memoryview(data)
                while left:
                    left = left[file.write(left) :]
                if not _start():
                    os.fsync(fd)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return Unnamed(path, name.encode())

    def named(self, unnamed: Unnamed) -> tuple[bytes, str]:
        """Give a file its name, in place of one that has it: name and looks. Raises `OSError`."""
        path = self.file(unnamed.name.decode())
        path.parent.mkdir(mode=0o700, exist_ok=True)
        unnamed.path.replace(path)
        written = path.stat().st_mtime_ns - _BACK * 1_000_000_000
        os.utime(path, ns=(written, written))
        return unnamed.name, _looks(path.stat())

    def clear(self, db: sqlite3.Connection) -> None:
        """Delete files that nobody names any more."""
        if db.execute("SELECT 1 FROM gone LIMIT 1").fetchone() is None:
            return
        with transaction(db, "IMMEDIATE"):
            for (name,) in db.execute("SELECT name FROM gone").fetchall():
                path = self.path(bytes(name))
                if path is not None and not _has(db, name) and not self._away(path):
                    continue
                db.execute("DELETE FROM gone WHERE name = ?", (name,))

    def _away(self, path: Path) -> bool:
        """Delete a file that nobody names; False: it is there, or comes to be, and somebody has to look again."""
        try:
            path.unlink(missing_ok=True)
        except OSError:
            return False
        return next(self.folder.glob(f"{_UNFINISHED}{path.name}-*"), None) is None

    def tidy(self, db: sqlite3.Connection) -> int:
        """Delete all files that nobody names, and what is left of those that were never finished: how many."""
        before = self._count()
        self._sweep()
        announce(db, self.left())
        self.clear(db)
        return max(before - self._count(), 0)

    def litter(self, db: sqlite3.Connection) -> int:
        """How many files there are that no row names, and how many that were never finished and are nobody's."""
        found = [name for name in self.left() if not _has(db, name)]
        if found:
            with suppress(sqlite3.OperationalError), transaction(db, "IMMEDIATE"):
                found = [name for name in self.left() if not _has(db, name)]  # with what was being written then
        return len(found) + sum(1 for _ in self._unfinished())

    def _count(self) -> int:
        return sum(1 for _ in self.left()) + sum(1 for _ in self.folder.glob(f"{_UNFINISHED}*"))

    def unlink(self, db: sqlite3.Connection, row: Row | None) -> None:
        """Delete the file of a picture that is to go, before its row does, unless others have it."""
        path = None if row is None or row.name is None else self.path(bytes(row.name))
        if row is None or path is None:
            return
        others = db.execute("SELECT 1 FROM names WHERE name = ? AND id <> ?", (row.name, row.number)).fetchone()
        if others is None:
            path.unlink(missing_ok=True)

    def left(self) -> Iterator[bytes]:
        """The names of all files that are there."""
        with suppress(OSError):
            for path in self.folder.glob("??/*"):
                if _NAME.fullmatch(path.name):
                    yield path.name.encode()

    def _sweep(self) -> None:
        """Delete what processes that were killed never finished."""
        self._swept = time()
        for path in self._unfinished():
            with suppress(OSError):
                path.unlink()

    def _unfinished(self) -> Iterator[Path]:
        """Files without a name that belong to nobody any more."""
        for path in self.folder.glob(f"{_UNFINISHED}*"):
            with suppress(OSError):
                if time() - path.stat().st_mtime > _OLD:
                    yield path

    # Reading

    def read(self, row: Row, now: float) -> bytes:
        """The bytes of a picture, at `now` (Unix seconds). Raises `StoreDamaged`, `OSError`."""
        path = self.path(bytes(row.name or b""))
        if path is None:
            raise StoreDamaged("its file's name has changed")
        try:
            fd = os.open(path, os.O_RDONLY | _BINARY | _AT_ONCE)
        except FileNotFoundError:
            raise StoreDamaged("its file is gone") from None
        try:
            found = os.fstat(fd)
            data = _all_of(fd, row.nbytes) if found.st_size == row.nbytes else b""
        finally:
            os.close(fd)
        if len(data) != row.nbytes:
            raise StoreDamaged(f"{found.st_size} bytes of {row.nbytes} are there")
        looks = _looks(found)
        if not self._believed(row, looks, now):
            compared(row, data)
            if now - max(found.st_mtime_ns, found.st_ctime_ns) / 1e9 >= _SETTLED:
                self._compared[row.number] = (looks, now)
        return data

    def _believed(self, row: Row, looks: str, now: float) -> bool:
        """Whether the bytes in a file that looks so are what they have to be, as somebody has seen not long ago."""
        then, when = self._compared.get(row.number, (row.looks, row.compared or 0.0))
        return looks == then and 0.0 <= now - when < _AGAIN

    def note(self, db: sqlite3.Connection) -> None:
        """Let others know what was compared."""
        noted(db, [(looks, when, number) for number, (looks, when) in self._compared.items()])
        self._compared.clear()

    def forget(self) -> None:
        """What was compared is not known any more."""
        self._compared.clear()


def _has(db: sqlite3.Connection, name: bytes) -> bool:
    """Whether a row names this file."""
    return db.execute("SELECT 1 FROM names WHERE name = ? LIMIT 1", (name,)).fetchone() is not None


def _looks(found: os.stat_result) -> str:
    """What tells a file from one that was changed, or put in its place."""
    return f"{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns} {_start()}"


@cache
def _start() -> str:
    """What tells a start of this machine from others; "" where it does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _all_of(fd: int, nbytes: int) -> bytes:
    """So many bytes, or as many as there are."""
    data = os.read(fd, nbytes)
    while len(data) < nbytes and (more := os.read(fd, nbytes - len(data))):  # a very large file comes in pieces
        data += more
    return data
