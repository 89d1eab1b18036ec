"""One process holds a folder: a lock that the system takes back when its holder dies, however it dies."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from penstock.errors import PenstockError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_FAR = 1 << 30
"""Windows keeps others from reading what is locked, so the byte that is locked lies beyond the holder's name."""


LOCK = "journal.lock"

_TRIES = 3
_MOMENT = 0.02


class JournalError(PenstockError):
    """A journal could not be opened."""


class FolderInUse(JournalError):
    """Another process holds the folder. `holder` names it: "process 4711 on host"."""

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(f"{folder} is in use by {holder}; wait for it to end, or choose another folder")
        self.folder = folder
        self.holder = holder


class Lock:
    """A lock file of a folder, held until `close`. Raises `FolderInUse`, and `OSError` where it cannot be made."""

    def __init__(self, folder: Path, name: str = LOCK) -> None:
        path = folder / name
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _seize_soon(self._fd)
        except OSError as busy:
            holder = _holder(self._fd)
            os.close(self._fd)
            raise FolderInUse(folder, holder) from busy
        os.ftruncate(self._fd, 0)
        self._named = os.write(self._fd, f"process {os.getpid()} on {socket.gethostname()}\n".encode())

    def note(self, text: str) -> None:
        """Keep a line until the folder is opened next, beside the holder's name: a full disk has room for it there.

        Raises `OSError`.
        """
        os.lseek(self._fd, self._named, os.SEEK_SET)
        os.write(self._fd, f"{text}\n".encode("utf-8", "replace"))

    @contextmanager
    def kept(self) -> Generator[None]:
        """Give the folder back where what is opened under the lock cannot be."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the folder back. The file stays: deleting it would let two processes lock two files of one name."""
        os.close(self._fd)


def holder_of(folder: Path, name: str = LOCK) -> str | None:
    """Who holds a lock file of a folder; None: nobody does. Raises `OSError` where that cannot be seen."""
    try:
        fd = os.open(folder / name, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        _seize(fd, shared=True)
    except OSError:
        return _holder(fd)
    else:
        return None
    finally:
        os.close(fd)


def note_of(folder: Path, name: str = LOCK) -> str:
    """What the last holder noted; "" for nothing. Raises `OSError`."""
    try:
        lines = (folder / name).read_text("utf-8", "replace").split("\n")
    except FileNotFoundError:
        return ""
    return lines[1] if len(lines) > 1 else ""


def _holder(fd: int) -> str:
    """What its holder wrote into a lock file."""
    os.lseek(fd, 0, os.SEEK_SET)
    return os.read(fd, 200).decode("utf-8", "replace").partition("\n")[0].strip() or "another process"


def _seize_soon(fd: int) -> None:
    """Whoever only looks has the lock for a moment."""
    for _ in range(_TRIES - 1):
        try:
            return _seize(fd)
        except OSError:
            time.sleep(_MOMENT)
    return _seize(fd)


def _seize(fd: int, *, shared: bool = False) -> None:
    if sys.platform == "win32":
        os.lseek(fd, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(fd, 0, os.SEEK_SET)
    else:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
