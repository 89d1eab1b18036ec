"""Rows that come while the batch runs: lines read in a thread of their own, as far as somebody wants them.

The thread asks the operating system itself for bytes: a daemon thread that waits inside Python's own standard input
would keep the interpreter from ending. So a run can end while its input is idle.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from threading import Semaphore, Thread
from typing import Protocol, runtime_checkable

CHUNK = 65_536
AHEAD = 64
"""Lines that are read before somebody wants them."""

LONGEST = 16 * 1024 * 1024
"""Bytes of a line; what is longer is cut, and no row."""


@runtime_checkable
class Handle(Protocol):
    """An open file of the operating system, such as `sys.stdin.buffer`."""

    def fileno(self) -> int:
        """Its number."""
        ...


def lines(source: Handle) -> Iterator[bytes]:
    """The lines of a file as they come, without their ends. Raises `OSError`, `ValueError` (it is closed)."""
    number = source.fileno()
    rest: list[bytes] = []
    size = 0
    while chunk := os.read(number, CHUNK):
        *whole, last = chunk.split(b"\n")
        for part in whole:
            yield b"".join((*rest, part))
            rest, size = [], 0
        if size < LONGEST:
            rest.append(last)
            size += len(last)
    if size:
        yield b"".join(rest)


class Feed:
    """Lines of a source, on a loop. `next` waits for one; None is the end, after which `fault` says what cut it off."""

    def __init__(self, source: Iterable[bytes]) -> None:
        self.fault: OSError | ValueError | None = None
        self.ended = False
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._room = Semaphore(AHEAD)
        self._closed = False
        Thread(target=self._read, args=(source,), name="penstock-input", daemon=True).start()

    @property
    def ready(self) -> int:
        """How many lines are there to be taken."""
        return self._lines.qsize()

    async def next(self) -> bytes | None:
        """The next line, as soon as there is one."""
        if self.ended:
            return None
        line = await self._lines.get()
        self._room.release()
        self.ended = line is None or self._closed
        return None if self.ended else line

    def close(self) -> None:
        """No more lines are wanted: whoever waits for one is told that this is the end."""
        self._closed = True
        self._lines.put_nowait(None)
        self._room.release()

    def _read(self, source: Iterable[bytes]) -> None:
        try:
            for line in source:
                self._room.acquire()
                if self._closed:
                    return
                self._tell(line)
        except (OSError, ValueError) as fault:
            self.fault = fault
        self._tell(None)

    def _tell(self, line: bytes | None) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody wants to know any more
            self._loop.call_soon_threadsafe(self._lines.put_nowait, line)
