"""One process at a time in a folder, for the moment in which a file appears, is replaced or goes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_MOMENT = 0.02
"""Seconds between two looks whether the folder is free."""


@contextmanager
def alone_in(folder: Path, wait: float) -> Generator[bool]:
    """Let nobody else be in the folder meanwhile; False: somebody is in it, and stayed for `wait` seconds.

    Nobody is kept out on Windows (it replaces and deletes no file that somebody has open), in a folder that is not
    there, and on a file system without locks: True there. Two that ask in one process wait for each other, too.
    """
    try:
        turn = os.open(folder, os.O_RDONLY)
    except OSError:  # on Windows always
        yield True
        return
    try:
        yield _await(turn, time.monotonic() + wait)
    finally:
        os.close(turn)


def _await(turn: int, until: float) -> bool:
    while sys.platform != "win32":
        try:
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:  # somebody is in it just now
            if time.monotonic() >= until:
                return False
            time.sleep(_MOMENT)
        except OSError:  # a file system without locks
            break
    return True
