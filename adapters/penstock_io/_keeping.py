"""What a run was taught is written while it runs, so that others at the same time see what it uses of a day.

The first request writes at once, and from then on a run that sends writes every `EVERY` seconds what it took since,
and hears what others did: so much is what none of them knows of the others, and what is lost of one that is killed.
Runs without a limit a day write seldom, and look as often whether they were told of one. It is done by a thread of its
own, one at a time: disks may wait.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from threading import Thread

from penstock.engine import Engine, Snapshot
from penstock.events import Drawn, Event
from penstock.simulation.trace import Recorder
from penstock_io.lessons import LAST, Counted, keep

EVERY, SELDOM = 0.5, 60.0
"""Seconds between two times: where some limit is of a day (or an hour), and where none is."""


class Keeper:
    """Writes what one client is taught to `path` (None: nowhere). The client's owner calls everything."""

    def __init__(self, path: Path | None, base_url: str) -> None:
        self._path, self._base_url = path, base_url
        self._counted: Counted = {}
        self._next = -inf if path is not None else inf
        self._written = -inf
        self._due = inf
        self._busy = False
        self._thread: Thread | None = None

    def sent(self, now: float) -> None:
        """A request goes: there is something to write, at the next turn."""
        self._due = min(self._due, max(now, self._next))

    def look(self, engine: Engine | Recorder, now: float, post: Callable[[Event], object]) -> float | None:
        """Write if that is due; `post` hears what others used. When to come back: for the engine, or for this."""
        deadline = engine.next_deadline()
        if self._due == inf or self._busy:
            return deadline
        if now < self._due:
            return self._due if deadline is None else min(deadline, self._due)
        figures = engine.snapshot()
        self._next = now + EVERY
        if now < self._written + SELDOM and not any(lane.lessons.used for lane in figures.lanes):
            self._due = self._written + SELDOM
            return self._due if deadline is None else min(deadline, self._due)
        self._due, self._written, self._busy = inf, now, True
        self._thread = Thread(target=self._write, args=(figures, post), name="penstock-lessons", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no thread can be had (any more): it is written at the end
            self._thread, self._busy = None, False
        return deadline

    def _write(self, figures: Snapshot, post: Callable[[Event], object]) -> None:
        drawn = self._kept(figures)
        self._busy = False  # before the owner looks again
        post(drawn)

    def ended(self, figures: Snapshot) -> None:
        """The client is over: the last time."""
        if self._thread is not None:
            self._thread.join()
        self._kept(figures, LAST)

    def _kept(self, figures: Snapshot, wait: float | None = None) -> Drawn:
        if self._path is None:
            return Drawn()
        return Drawn(keep(self._path, figures, self._base_url, time.time(), self._counted, wait=wait))
