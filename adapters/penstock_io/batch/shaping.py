"""Pictures converted while the run goes on, in threads: a row's as soon as it ended, at the end whatever was left.

A picture that another unfinished row may be given, too, is left for the end: its file must not move while the journal
links it. The other way round, a row that wants a picture which is just being converted waits for that.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from attrs import evolve

from penstock.ids import Key
from penstock_io.batch.convert import Converter, shown_as
from penstock_io.batch.progress import Level, Listener
from penstock_io.batch.results import Line
from penstock_io.batch.settings import Settings
from penstock_io.batch.stopping import Halt, of_disk
from penstock_io.journal import Journal

THREADS = max(1, min(4, (os.cpu_count() or 1) - 1))


class Shaper:
    """What becomes of pictures once they are there. `halt` says what the disk said, None that all went well."""

    def __init__(self, settings: Settings, journal: Journal, listener: Listener) -> None:
        self.halt: Halt | None = None
        self._folder: Path = settings.folder
        self._converter: Converter | None = None
        if settings.conversion is not None:
            warn = partial(listener.tell, level=Level.WARNING)
            self._converter = Converter(settings.folder, settings.conversion, journal.move, warn)
        self._pool: ThreadPoolExecutor | None = None
        self._wanted: dict[Key, int] = {}
        self._busy: set[Key] = set()
        self._free = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def want(self, keys: Sequence[Key]) -> None:
        """A row is about to ask for these pictures: wait until none of them is being moved."""
        if self._converter is None:
            return
        while not self._busy.isdisjoint(keys):
            self._free.clear()
            await self._free.wait()
        for key in keys:
            self._wanted[key] = self._wanted.get(key, 0) + 1

    def shape(self, line: Line, keys: Sequence[Key], then: Callable[[Line], object]) -> None:
        """A row that had asked for `keys` ended: convert its pictures, and tell `then` of the line with their names."""
        if self._converter is None:
            then(line)
            return
        for key in keys:
            self._wanted[key] -= 1
            if not self._wanted[key]:
                del self._wanted[key]
        if not line.files or not self._wanted.keys().isdisjoint(keys) or not self._busy.isdisjoint(keys):
            then(line)
            return
        self._busy.update(keys)
        task = asyncio.get_running_loop().create_task(self._shape(self._converter, line, keys, then))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _shape(
        self, converter: Converter, line: Line, keys: Sequence[Key], then: Callable[[Line], object]
    ) -> None:
        loop = asyncio.get_running_loop()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="penstock-convert")
        try:
            files = [await loop.run_in_executor(self._pool, self._convert, converter, file) for file in line.files]
        finally:
            self._busy.difference_update(keys)
            self._free.set()
        then(evolve(line, files=tuple(files)))

    async def rest(self) -> None:
        """Wait for what is being converted."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def stop(self) -> None:
        """Begin nothing more; what is left is for the next run."""
        for task in self._tasks:
            task.cancel()

    def close(self) -> None:
        """Wait for what threads are still at, though nobody waits for it: after this no file moves any more."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def finish(self, lines: Sequence[Line], stopped: Callable[[], bool]) -> list[Line]:
        """The lines with what their pictures are shown as; whatever is not yet, is converted, unless `stopped`."""
        names: dict[str, str] = {}
        try:
            names = shown_as(self._folder)
        except OSError as fault:
            self.halt = of_disk(fault, self._folder)
        if self._converter is not None and not stopped():
            files = [file for line in lines for file in line.files]
            with ThreadPoolExecutor(THREADS, thread_name_prefix="penstock-convert") as pool:
                convert = partial(self._last, self._converter, names, stopped)
                names = dict(zip(files, pool.map(convert, files), strict=True))
        return [
            evolve(line, files=tuple(names.get(file, file) for file in line.files)) if line.files else line
            for line in lines
        ]

    def _last(self, converter: Converter, names: Mapping[str, str], stopped: Callable[[], bool], file: str) -> str:
        return names.get(file, file) if stopped() else self._convert(converter, file)

    def _convert(self, converter: Converter, file: str) -> str:
        """In a thread. A fault of the disk leaves the picture as it is, and is remembered."""
        try:
            return converter.convert(file)
        except (OSError, sqlite3.Error) as fault:
            self.halt = of_disk(fault, self._folder)
            return file
