"""A batch at work: the asyncio client draws rows as far as it has an appetite, and the journal remembers.

Interrupted or halted, nothing new is sent and what is out is awaited, because it may be paid. Whatever ends a run,
its folder is one that the same command goes on with.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

from attrs import define, evolve

from penstock.catalog import typical_seconds
from penstock.commands import Halted, Notice
from penstock.config import Used
from penstock.errors import InvalidRequest
from penstock.events import Event, Failed, Mode, Responded
from penstock.ids import JobId
from penstock.readings import Kind
from penstock.requests import ImageRequest, Options
from penstock.work import Work
from penstock_io.asyncio import Client
from penstock_io.batch import stopping
from penstock_io.batch.flow import NOBODY
from penstock_io.batch.funds import exceeded, most_of
from penstock_io.batch.hearing import Hearing, nobody
from penstock_io.batch.keying import Keyed
from penstock_io.batch.loading import Loader
from penstock_io.batch.progress import Figures, Level, Listener
from penstock_io.batch.rereading import reread
from penstock_io.batch.results import Line, line_of_end, told_end
from penstock_io.batch.settings import Settings
from penstock_io.batch.shaping import Shaper
from penstock_io.batch.sharing import Worth, shared, tiers
from penstock_io.batch.source import Listed, Source
from penstock_io.batch.states import NEW, RUNS, RowState, Runs, dump_runs, dump_state
from penstock_io.batch.stopping import Doubting, Halt, Unreached
from penstock_io.batch.verdict import Doubts
from penstock_io.batch.watch import Watch, settled
from penstock_io.batch.writing import Part
from penstock_io.journal import Account, Journal
from penstock_io.resources import Result, refused
from penstock_io.words import count

TICK = 0.25
"""Seconds between two figures."""

NOTHING = Account()
"""The books of an empty folder."""

KEEP = 4
"""Every how many figures their sums are kept in the journal."""


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
        before: Account = NOTHING,
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
        self._hearing = Hearing(listener)
        self._cache = None if settings.cache is None else shared(settings.cache)
        self._worth, self._loader = Worth(states.values()), Loader()
        self._used = used
        self._before = before
        self._most = most_of(settings.budget, before)
        self._doubts = Doubts(before.doubts)
        self._figures: Figures | None = None
        self._source: Source = Listed((), 0)
        self._client: Client | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._drawn: dict[int, _Out] = {}
        self._jobs: dict[JobId, str] = {}
        self._unreached = Unreached()
        self._doubting = Doubting()
        self._stopping = False
        self._failures = 0
        self._tellings = set[asyncio.Task[None]]()

    # At work

    async def work(self, source: Source) -> None:
        """Send what the source gives and wait for all of it. Raises what the disk says."""
        self._loop = asyncio.get_running_loop()
        self._source = source
        client, begun = self._connected(), False
        try:
            async with client:
                begun = True
                await self._map(client, self._loop)
        finally:
            self._loop = None  # what it would be told from here on, nobody might hear
            if self._cache is not None:
                self._cache.close()
            if begun:  # by now what was broken off is answered, and booked
                self._look(client, last=True)

    def _connected(self) -> Client:
        settings = self.settings
        return Client(
            settings.base_url,
            settings.keys,
            headers=settings.headers,
            store=tiers(self._journal, self._cache, self._hearing.noticed),
            journal=self._journal,
            ledger=settings.funds.ledger,
            limits=settings.limits,
            config=settings.config(self._used),
            budget=settings.budget,
            record_trace=self._heard,
            notices=self._noticed,
            on_submit=self._submitted,
            on_send=self._hearing.sent,
            prices=settings.choices.prices,
            lessons=settings.lessons,
            server=settings.choices.server,
            dialect=settings.choices.dialect,
            query=settings.query,
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

    def signalled(self) -> None:
        """A signal came: the loop, if there is one, is told. The third one ends the process as usual."""
        if self.interrupts > 1:
            raise KeyboardInterrupt
        if self._loop is None:
            self.interrupts += 1
        else:
            self._loop.call_soon_threadsafe(self.interrupt)

    def hung_up(self) -> None:
        """A signal asked to read the settings again: done on the loop, once there is one."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._reread)

    def _reread(self) -> None:
        found = reread(self.settings, self._listener.tell)
        if found is None or self._client is None or self._loop is None:
            return
        self.settings, change = found
        self.watch.budget = self.settings.budget
        most = most_of(self.settings.budget, self._before)
        self._most = None if most is None or self._most is None else max(most, self._most)
        config = change.upon(self._client.config)
        told = self._client.reconfigure(config, api_keys=change.added, without=change.gone)
        telling = self._loop.create_task(told)
        self._tellings.add(telling)  # a loop keeps no task of its own
        telling.add_done_callback(self._tellings.discard)

    def interrupt(self) -> None:
        """The first time nothing new is sent and what is out is awaited; the second time it is broken off."""
        self.interrupts += 1
        if self._client is None:
            return
        if self.interrupts == 1:
            out, them = self._outstanding(), "it" if self._out() == 1 else "them"
            more = f"waiting for {out} (interrupt again to break {them} off)" if out else "nothing is out"
            self._stop(Mode.DRAIN)
            self._listener.tell(f"interrupted: nothing new is sent; {more}", Level.WARNING)
        elif self.interrupts == 2:
            what = "what was out is broken off; its rows are ambiguous" if self._out() else "nothing was out"
            self.shaper.stop()
            self._stop(Mode.ABORT)
            self._listener.tell(f"interrupted again: {what}", Level.WARNING)

    def _out(self) -> int:
        """How many requests are out: those that left, not those that wait for their intent to be durable."""
        return 0 if self._client is None else self._hearing.out

    def _outstanding(self) -> str:
        """What is out, how long that takes and why it is awaited, if there is a reason, in words; "" for nothing."""
        out, latency = self._out(), self.watch.takes(time.monotonic(), self._usual())
        if not out:
            return ""
        long = "" if latency is None else f", about {max(1, round(latency))} s"
        they, are = ("it", "is") if out == 1 else ("they", "are")
        paid = self._hearing.payable and self._unreached.rows < stopping.IN_A_ROW
        return f"{count(out, 'request')} that {are} out{long}{f', because {they} may be paid' if paid else ''}"

    def _usual(self) -> float | None:
        """Seconds that a reply to the slowest of the rows drawn usually takes; None where nobody knows."""
        asked = {(request.model, request.quality) for request in (one.keyed.request for one in self._drawn.values())}
        known = [typical_seconds(*each) for each in asked]
        return max((seconds for seconds in known if seconds is not None), default=None)

    def _stop(self, mode: Mode) -> None:
        self._stopping = True
        self._source.stop()
        if self._client is not None:
            self._client.end(mode)
            self._look(self._client)  # what a line now scrolls above is the newest, and promises nothing more

    def stop(self, halt: Halt) -> None:
        """Nothing new is sent, for this reason; the first one stands, unless it was only wished for."""
        if self.halt is not None and (halt.mild or not self.halt.mild):
            return
        self.halt = halt
        if not self._stopping:
            out = self._outstanding()
            self._stop(Mode.DRAIN)
            if out:  # else the run's own message follows at once
                cause = stopping.clause(halt.what)
                why = "" if self._hearing.knows(cause) else f" ({cause})"
                self._listener.tell(f"nothing more is sent{why}; waiting for {out}", Level.WARNING)

    def broken(self, fault: OSError | sqlite3.Error) -> None:
        """The disk ended the work; the first cause stands."""
        if self.halt is None or self.halt.mild:
            self.halt = stopping.of_disk(fault, self.settings.folder)

    def above(self, charged: int) -> None:
        """The run is over: say so where more is charged than the budget."""
        found = exceeded(self.settings.budget, charged, self._most)
        if found is not None:
            self._listener.tell(*found)

    def _late(self) -> None:
        source = self._source
        if self.settings.deadline is not None and (source.total is None or source.coming or self._jobs):
            if self._client is not None:
                self._look(self._client)  # what is waited for just now
            waiting = "" if self._figures is None else self._figures.waiting
            self.stop(stopping.of_deadline(self.settings.deadline, waiting))

    # Rows

    async def _draw(self) -> AsyncIterator[tuple[ImageRequest, Options]]:
        index = 0
        while not self._stopping and (keyed := await self._source.next()) is not None:
            await self.shaper.want(keyed.keys)
            self._drawn[index] = _Out(keyed)
            request = await self._loader.request(keyed.row)
            if isinstance(request, InvalidRequest):
                self._ended(refused(keyed.request, request, index))
                continue
            index += 1
            yield request, keyed.options

    def _submitted(self, job: JobId, index: int, work: Work) -> None:
        """A job is named and remembered before anything of it can be sent."""
        out = self._drawn[index]
        keyed, keys = out.keyed, work.targets[0].keys
        out.since, out.job = time.monotonic(), job
        self._jobs[job] = keyed.request.model
        self._hearing.begun(job, keyed.row.id, keys)
        self.watch.mix.asked(len(keys), work.targets[0].demand.tokens)
        self._journal.name(job, dict(zip(keys, keyed.stems, strict=True)))
        state = self.states.get(keyed.row.id, NEW)
        name = (self._journal.run, job)
        self._remember(keyed.row.id, state.sent(name, keys, keyed.request, keyed.row.content, keyed.sample))

    def _remember(self, name: str, state: RowState) -> None:
        self.states[name] = state
        self._journal.put_row(name, dump_state(state))

    def _ended(self, result: Result) -> None:
        out, outcome = self._drawn.pop(result.index), self._worth.told(result.outcome)
        keyed, attempts = out.keyed, 0
        if out.job is not None:
            del self._jobs[out.job]
            attempts = self._hearing.over(out.job)
        seconds = time.monotonic() - out.since if out.since else 0.0
        revised = tuple(image.revised_prompt for image in result.images)
        state = self.states.get(keyed.row.id, NEW)
        if out.job is None:  # it could not even be submitted
            state = state.asking(keyed.keys, keyed.request, keyed.row.content, keyed.sample)
        state = state.ended(outcome, seconds, revised, self._worth.of(picture.key for picture in outcome.pictures))
        self._remember(keyed.row.id, state)
        self.watch.ended(outcome, seconds)
        files = [
            image.content.relative_to(self.settings.folder).as_posix()
            for image in result.images
            if not isinstance(image.content, bytes)
        ]
        doubtful = self._doubts.ended(keyed.keys, outcome)
        line = line_of_end(keyed, state, outcome, files, self._before, attempts=attempts, doubtful=doubtful)
        self._listener.tell(told_end(line), Level.DETAIL)
        self._count(line)
        if self._doubting.ended(outcome):
            self.stop(stopping.of_doubts(self.settings.base_url))
        self.shaper.shape(line, keyed.keys, self._write)

    def _count(self, line: Line) -> None:
        watch, most = self.watch, self.settings.max_failures
        watch.row(line.status)
        if line.status in {"failed", "partial", "ambiguous"}:
            self._failures += 1  # not those of `watch`, which counts rows of earlier runs, too
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
        """Each event before the engine is told; what it comes to is said afterwards."""
        if isinstance(event, Responded):
            self.watch.replied(event.status)
            self._unreached.replied(event.status)
        elif isinstance(event, Failed) and event.reached in NOBODY and event.kind is not Kind.ABORTED:
            self.watch.unreached = nobody(event)
        follow = self._hearing.heard(event, aborting=self.interrupts > 1)
        if follow is not None and self._client is not None and self._loop is not None:
            self._loop.call_soon(follow, self._client.engine.explain, now)

    def _noticed(self, notice: Notice) -> None:
        """On the worker's thread."""
        self._hearing.noticed(notice)
        if isinstance(notice, Halted) and self._loop is not None:
            halt = stopping.of_engine(notice, self.settings.folder, self.settings.keys)
            with suppress(RuntimeError):  # the loop is closed: there is nothing left to stop
                self._loop.call_soon_threadsafe(self.stop, halt)

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
        coming, total = 0.0 if self._stopping else source.pictures, source.total
        rows = None if total is None or self._stopping else max(0, total - watch.done)
        figures = watch.look(client.engine, self._jobs, time.monotonic(), coming, rows)
        if last and figures.seconds > 0:  # of the whole run, however short it was
            figures = evolve(figures, pace=60.0 * figures.images / figures.seconds)
        stops = self._stopping and not last
        self._figures = evolve(figures, total=total, in_flight=self._hearing.flow.rows, stopping=stops)
        self._listener.update(self._figures)

    def settled(self, counts: Mapping[str, int], runs: Runs) -> None:
        """The results are written: the last figures say how many rows have each status there, over the same time."""
        if self._figures is not None:
            self._listener.update(settled(self._figures, counts, runs.seconds - self.watch.runs.seconds))

    def runs(self) -> Runs:
        """The sums of all runs, with this one as far as it is."""
        return self.watch.so_far(time.monotonic())
