"""Room on the disk for what is out: nothing new is begun that could not be kept.

A picture that comes back to a full disk is paid and lost. So an intent is refused while there is still room for the
pictures of all that is out, for its own, and for the journal: the engine halts on it, and what is out is settled.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from errno import ENOSPC
from pathlib import Path

from penstock.entries import Entry, Failed, Intent, Maybe, Settled, Void
from penstock.ids import AttemptId
from penstock_io.journal._disk import Disk
from penstock_io.journal._files import File

RESERVE = 4 << 20
"""Bytes for the journal itself: what its log grows to before it is taken into the database."""

USUAL = 1 << 20
"""Bytes that a picture is taken to have at least: small ones may be followed by large ones."""

_FULL = 1 << 16
"""A disk with less room is full: the index of SQLite's log alone takes 32 KB."""


def room_needed(nbytes: int, out: int) -> int:
    """Bytes that have to be free for a run to begin and to end: pictures of `nbytes`, `out` of them out at a time."""
    return RESERVE + max(nbytes, out * USUAL)


class Room:
    """What is out of a run, and how large its pictures are: as the largest so far, but not below what is usual."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder = folder
        self._disk = disk
        self._out: dict[AttemptId, int] = {}
        self._largest = 0

    def refusal(self, entries: Sequence[Entry]) -> str | None:
        """Why the intents among entries must not be written, if they must not."""
        more = sum(len(entry.keys) for entry in entries if isinstance(entry, Intent))
        if not more:
            return None
        pictures = more + sum(self._out.values())
        free = self._disk.free(self._folder)
        if free is None or free >= RESERVE + pictures * max(self._largest, USUAL):
            return None
        return f"journal: {os.strerror(ENOSPC)}: {self._folder} keeps {free >> 20} MB for what is out"

    def cause(self, fault: sqlite3.Error | OSError) -> sqlite3.Error | OSError:
        """What a fault comes from: SQLite calls it an I/O error when its log finds no room."""
        free = self._disk.free(self._folder) if "I/O error" in str(fault) else None
        return fault if free is None or free >= _FULL else OSError(ENOSPC, os.strerror(ENOSPC), str(self._folder))

    def written(self, entries: Sequence[Entry], held: Sequence[Sequence[File | None]]) -> None:
        """These are durable."""
        for entry in entries:
            if isinstance(entry, Intent):
                self._out[entry.attempt] = len(entry.keys)
            elif isinstance(entry, Settled | Void | Failed | Maybe):
                self._out.pop(entry.attempt, None)
        sizes = (file.nbytes for files in held for file in files if file is not None)
        self._largest = max((self._largest, *sizes))
