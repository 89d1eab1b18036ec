"""A batch at work: the asyncio client draws rows as far as it has an appetite, and the journal remembers.

Interrupted or halted, nothing new is sent and what is out is awaited, because it is paid. Whatever ends a run, its
folder is one that the same command goes on with.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Protocol

from attrs import define, evolve

from penstock.commands import BudgetLow, Excess, Halted, LaneClosed, Notice, Waits, Warned
from penstock.config import Ambiguity, Config, Used
from penstock.events import Event, Mode, Responded
from penstock.ids import JobId
from penstock.requests import ImageRequest, Options
from penstock.work import Work
from penstock_io.asyncio import Client
from penstock_io.batch import stopping
from penstock_io.batch.funds import low
from penstock_io.batch.keying import Keyed
from penstock_io.batch.progress import Figures, Level, Listener
from penstock_io.batch.results import Line, line_of_end, told_end
from penstock_io.batch.settings import Settings
from penstock_io.batch.shaping import Shaper
from penstock_io.batch.states import NEW, RUNS, RowState, Runs, dump_runs, dump_state
from penstock_io.batch.stopping import Halt, Unreached
from penstock_io.batch.watch import Watch
from penstock_io.batch.writing import Part
from penstock_io.journal import Journal
from penstock_io.resources import Result
from penstock_io.words import count

TICK = 0.25
"""Seconds between two figures."""

DAY = 86_400.0
"""Seconds from which on a wait is told with its date."""

KEEP = 4
"""Every how many figures their sums are kept in the journal."""


class Source(Protocol):
    """Where rows to be sent come from, one after another."""

    async def next(self) -> Keyed | None:
        """The next row; None: there are no more."""
        ...

    @property
    def coming(self) -> int:
        """How many rows are known to come still."""
        ...

    @property
    def total(self) -> int | None:
        """How many rows there are in all, done ones as well; None: nobody knows yet."""
        ...

    def stop(self) -> None:
        """No more are wanted: whoever waits for one is told that there are no more."""
        ...


class Listed:
    """Rows that are known beforehand; `done` more are done already."""

    def __init__(self, rows: Sequence[Keyed], done: int) -> None:
        self._rows = rows
        self._done = done
        self._at = 0

    async def next(self) -> Keyed | None:
        """The next row."""
        if self._at >= len(self._rows):
            return None
        self._at += 1
        return self._rows[self._at - 1]

    @property
    def coming(self) -> int:
        """Rows that were not drawn."""
        return len(self._rows) - self._at

    @property
    def total(self) -> int:
        """All rows of this run."""
        return self._done + len(self._rows)

    def stop(self) -> None:
        """There is nobody to be told."""


@define
class _Out:
    """A row that was drawn, and since when its job is asked for (0: not at all)."""

    keyed: Keyed
    since: float = 0.0
    job: JobId | None = None


class Batch:
    """One run. `signalled` may be called from a signal handler at any time, everything else on the loop."""

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        listener: Listener,
        states: dict[str, RowState],
        watch: Watch,
        used: Used,
    ) -> None:
        self.settings = settings
        self.states = states
        self.watch = watch
        self.halt: Halt | None = None
        self.interrupts = 0
        self.part = Part(settings.folder)
        self.shaper = Shaper(settings, journal, listener)
        self._journal = journal
        self._listener = listener
        self._used = used
        self._source: Source = Listed((), 0)
        self._client: Client | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._drawn: dict[int, _Out] = {}
        self._jobs: dict[JobId, None] = {}
        self._unreached = Unreached()
        self._stopping = False
        self._failures = 0
        self._told: set[str] = set()

    # At work

    async def work(self, source: Source) -> None:
        """Send what the source gives and wait for all of it. Raises what the disk says."""
        self._loop = asyncio.get_running_loop()
        self._source = source
        try:
            async with self._connected() as client:
                await self._map(client, self._loop)
        finally:
            self._loop = None  # what it would be told from here on, nobody might hear

    def _connected(self) -> Client:
        settings = self.settings
        return Client(
            settings.base_url,
            settings.keys,
            headers=settings.headers,
            journal=self._journal,
            ledger=settings.funds.ledger,
            limits=settings.limits,
            config=Config(
                patience=None,
                ambiguity=Ambiguity(settings.choices.on_ambiguous, window=None, before=self._used),
                budget=settings.funds.budget(unknown=settings.choices.unknown),
                halts=True,
            ),
            budget=settings.budget,
            record_trace=self._heard,
            notices=self._noticed,
            on_submit=self._submitted,
            prices=settings.choices.prices,
        )

    async def _map(self, client: Client, loop: asyncio.AbstractEventLoop) -> None:
        self._client = client
        if self.interrupts:
            self._stop(Mode.DRAIN)
        ticker = loop.create_task(self._tick(client))
        deadline = self.settings.deadline
        alarm = None if deadline is None else loop.call_later(deadline, self._late)
        try:
            async for result in client.images.map(self._draw()):
                self._ended(result)
            await self.shaper.rest()
        finally:
            self._client = None
            ticker.cancel()
            if alarm is not None:
                alarm.cancel()
            self._source.stop()
            self._look(client, last=True)

    def signalled(self) -> None:
        """A signal came: the loop, if there is one, is told. The third one ends the process as usual."""
        if self.interrupts > 1:
            raise KeyboardInterrupt
        if self._loop is None:
            self.interrupts += 1
        else:
            self._loop.call_soon_threadsafe(self.interrupt)

    def interrupt(self) -> None:
        """The first time nothing new is sent and what is out is awaited; the second time it is broken off."""
        self.interrupts += 1
        if self._client is None:
            return
        if self.interrupts == 1:
            out, them = self._outstanding(), "it" if self._out() == 1 else "them"
            more = f"waiting for {out} (interrupt again to break {them} off)" if out else "nothing is out"
            self._listener.tell(f"interrupted: nothing new is sent; {more}", Level.WARNING)
            self._stop(Mode.DRAIN)
        elif self.interrupts == 2:
            self._listener.tell("interrupted again: what was out is broken off; its rows are ambiguous", Level.WARNING)
            self.shaper.stop()
            self._stop(Mode.ABORT)

    def _out(self) -> int:
        """How many requests are out."""
        return 0 if self._client is None else self._client.engine.snapshot().in_flight

    def _outstanding(self) -> str:
        """What is out, how long that takes and why it is awaited, in words; "" for nothing."""
        out, latency = self._out(), self.watch.latency
        if not out:
            return ""
        long = "" if latency is None else f", about {max(1, round(latency))} s"
        they, are = ("it", "is") if out == 1 else ("they", "are")
        return f"{count(out, 'request')} that {are} out{long}, because {they} {are} paid"

    def _stop(self, mode: Mode) -> None:
        self._stopping = True
        self._source.stop()
        if self._client is not None:
            self._client.end(mode)

    def stop(self, halt: Halt) -> None:
        """Nothing new is sent, for this reason; the first one stands, unless it was only wished for."""
        if self.halt is not None and (halt.mild or not self.halt.mild):
            return
        self.halt = halt
        if not self._stopping:
            if out := self._outstanding():  # else the run's own message follows at once
                cause = stopping.clause(halt.what)
                known = any(cause in told for told in tuple(self._told))  # the worker's thread adds to them
                why = "" if known else f" ({cause})"
                self._listener.tell(f"nothing more is sent{why}; waiting for {out}", Level.WARNING)
            self._stop(Mode.DRAIN)

    def broken(self, fault: OSError | sqlite3.Error) -> None:
        """The disk ended the work; the first cause stands."""
        if self.halt is None or self.halt.mild:
            self.halt = stopping.of_disk(fault, self.settings.folder)

    def _late(self) -> None:
        source = self._source
        if self.settings.deadline is not None and (source.total is None or source.coming or self._jobs):
            self.stop(stopping.of_deadline(self.settings.deadline))

    # Rows

    async def _draw(self) -> AsyncIterator[tuple[ImageRequest, Options]]:
        index = 0
        while not self._stopping and (keyed := await self._source.next()) is not None:
            await self.shaper.want(keyed.keys)
            self._drawn[index] = _Out(keyed)
            index += 1
            yield keyed.request, keyed.options

    def _submitted(self, job: JobId, index: int, work: Work) -> None:
        """A job is named and remembered before anything of it can be sent."""
        out = self._drawn[index]
        keyed, keys = out.keyed, work.targets[0].keys
        out.since, out.job = time.monotonic(), job
        self._jobs[job] = None
        self.watch.mix.asked(len(keys))
        self._journal.name(job, dict(zip(keys, keyed.stems, strict=True)))
        state = self.states.get(keyed.row.id, NEW)
        name = (self._journal.run, job)
        self._remember(keyed.row.id, state.sent(name, keys, keyed.request, keyed.row.content, keyed.sample))

    def _remember(self, name: str, state: RowState) -> None:
        self.states[name] = state
        self._journal.put_row(name, dump_state(state))

    def _ended(self, result: Result) -> None:
        out = self._drawn.pop(result.index)
        keyed = out.keyed
        if out.job is not None:
            del self._jobs[out.job]
        seconds = time.monotonic() - out.since if out.since else 0.0
        revised = tuple(image.revised_prompt for image in result.images)
        state = self.states.get(keyed.row.id, NEW)
        if out.job is None:  # it could not even be submitted
            state = state.asking(keyed.keys, keyed.request, keyed.row.content, keyed.sample)
        state = state.ended(result.outcome, seconds, revised)
        self._remember(keyed.row.id, state)
        self.watch.ended(result.outcome, seconds)
        files = [
            image.content.relative_to(self.settings.folder).as_posix()
            for image in result.images
            if not isinstance(image.content, bytes)
        ]
        line = line_of_end(keyed, state, result.outcome, files)
        self._listener.tell(told_end(line), Level.DETAIL)
        self._count(line)
        self.shaper.shape(line, keyed.keys, self._write)

    def _count(self, line: Line) -> None:
        watch, most = self.watch, self.settings.max_failures
        if line.status != "pending":
            watch.done += 1
        if line.status in {"failed", "partial", "ambiguous"}:
            watch.failed += 1
            self._failures += 1  # not those of `watch`, which counts rows that never were any, too
            if most is not None and self._failures == most:
                self.stop(stopping.of_failures(most))
        if self._unreached.ended(line.error) and line.error is not None:
            rows = f"{stopping.IN_A_ROW} rows in a row"
            self.stop(stopping.of_trouble(line.error, self.settings.base_url, rows))

    def _write(self, line: Line) -> None:
        try:
            self.part.write(line)
        except OSError as fault:
            self.stop(stopping.of_disk(fault, self.settings.folder))
        if self.shaper.halt is not None:
            self.stop(self.shaper.halt)

    # What is heard

    def _heard(self, event: Event, now: float) -> None:
        """Each event before the engine is told."""
        del now
        if isinstance(event, Responded):
            self.watch.replied(event.status)
            self._unreached.replied(event.status)

    def _noticed(self, notice: Notice) -> None:
        """On the worker's thread."""
        if isinstance(notice, LaneClosed):
            lane = notice.lane
            self._tell_once(f"{lane.credential} is not used for {lane.model} any more: {notice.message}")
        elif isinstance(notice, Waits):
            self._listener.tell(asked_to_wait(notice), Level.WARNING)
        elif isinstance(notice, Excess):
            self._tell_once(f"{notice.model} was charged more than its published bound")
        elif isinstance(notice, BudgetLow):
            self._listener.tell(low(notice), Level.WARNING)
        elif isinstance(notice, Warned):
            self._tell_once(f"{notice.what}: {notice.message}")
        elif isinstance(notice, Halted) and self._loop is not None:
            halt = stopping.of_engine(notice, self.settings.folder, self.settings.keys)
            with suppress(RuntimeError):  # the loop is closed: there is nothing left to stop
                self._loop.call_soon_threadsafe(self.stop, halt)

    def _tell_once(self, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            self._listener.tell(message, Level.WARNING)

    # Figures

    async def _tick(self, client: Client) -> None:
        ticks = 0
        while True:
            self._look(client)
            if ticks % KEEP == 0:
                self._journal.put_row(RUNS, dump_runs(self.runs()))
            ticks += 1
            await asyncio.sleep(TICK)

    def _look(self, client: Client, *, last: bool = False) -> None:
        watch, source = self.watch, self._source
        coming = 0 if self._stopping else source.coming
        figures: Figures = watch.look(client.engine, self._jobs, time.monotonic(), coming)
        if last and figures.seconds > 0:  # of the whole run, however short it was
            figures = evolve(figures, pace=60.0 * figures.images / figures.seconds)
        total = source.total
        eta = None if total is None else watch.pace.eta(total - watch.done)
        self._listener.update(evolve(figures, total=total, eta=eta))

    def runs(self) -> Runs:
        """The sums of all runs, with this one as far as it is."""
        return self.watch.so_far(time.monotonic())


def asked_to_wait(notice: Waits) -> str:
    """A wait that is worth telling: on which key, and until when by the clock on the wall."""
    until = time.strftime("%H:%M:%S" if notice.seconds < DAY else "%Y-%m-%d %H:%M", time.localtime(notice.until))
    lane = notice.lane
    return f"the provider asks {lane.credential} to wait for {lane.model}, for {notice.seconds:.0f} s, until {until}"
