"""One process holds a folder: a lock that the system takes back when its holder dies, however it dies."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from penstock.errors import PenstockError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_FAR = 1 << 30
"""Windows keeps others from reading what is locked, so the byte that is locked lies beyond the holder's name."""


class JournalError(PenstockError):
    """A journal could not be opened."""


class FolderInUse(JournalError):
    """Another process holds the folder. `holder` names it: "process 4711 on host"."""

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(f"{folder} is in use by {holder}; wait for it to end, or choose another folder")
        self.folder = folder
        self.holder = holder


class Lock:
    """The lock file of a folder, held until `close`. Raises `FolderInUse`, and `OSError` where it cannot be made."""

    def __init__(self, folder: Path) -> None:
        path = folder / "journal.lock"
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _seize(self._fd)
        except OSError as busy:
            holder = os.pread(self._fd, 200, 0) if sys.platform != "win32" else os.read(self._fd, 200)
            os.close(self._fd)
            raise FolderInUse(folder, holder.decode("utf-8", "replace").strip() or "another process") from busy
        os.ftruncate(self._fd, 0)
        os.write(self._fd, f"process {os.getpid()} on {socket.gethostname()}\n".encode())

    def close(self) -> None:
        """Give the folder back. The file stays: deleting it would let two processes lock two files of one name."""
        os.close(self._fd)


def _seize(fd: int) -> None:
    if sys.platform == "win32":
        os.lseek(fd, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(fd, 0, os.SEEK_SET)
    else:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
