"""A batch at work: the asyncio client draws rows as far as it has an appetite, and the journal remembers.

Interrupted or halted, nothing new is sent and what is out is awaited, because it is paid. Whatever ends a run, its
folder is one that the same command goes on with.
"""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from enum import IntEnum
from pathlib import Path
from threading import current_thread, main_thread

from attrs import field, frozen

from penstock.commands import Excess, Halted, LaneClosed, Notice, Warned
from penstock.config import Ambiguity, Config, Limits
from penstock.events import Event, Mode, Responded, Submitted
from penstock.ids import Key
from penstock.requests import ImageRequest
from penstock.work import OnAmbiguous
from penstock_io.asyncio import Client
from penstock_io.batch.plan import AUTO, Keyed, Plan, load_states, make_lines, prepare_run
from penstock_io.batch.progress import Progress
from penstock_io.batch.results import NEW, Summary, summary_of, write_results
from penstock_io.batch.states import PASSING, RUNS, RowState, Runs, dump_runs, dump_state, load_runs
from penstock_io.journal import Account, Journal
from penstock_io.resources import Result

TICK = 1.0
"""Seconds between two lines of progress."""


class Exit(IntEnum):
    """How a batch ends, as its exit code."""

    ALL = 0
    SOME = 1
    USAGE = 2
    BUDGET = 3
    HALTED = 4
    INTERRUPTED = 130


@frozen
class Settings:
    """How a batch is done. `keys` are API keys by label, `budget` is dollars for the folder, over all its runs."""

    folder: Path
    base_url: str
    keys: Mapping[str, str] = field(repr=False)
    limits: Limits = field(factory=Limits)
    budget: Decimal | None = None
    on_ambiguous: OnAmbiguous = OnAmbiguous.AUTO
    tell: Callable[[str], object] = print


@frozen
class Ended:
    """How it ended: the exit code, the sums, and the one message of a halt."""

    code: Exit
    summary: Summary | None = None
    message: str = ""


def run_batch(settings: Settings, rows: Sequence[Keyed], journal: Journal) -> Ended:
    """Do what is still to be done of `rows` in an open journal's folder, and write its results.

    Faults of the disk and the database end it as halted.
    """
    try:
        states = load_states(journal)
        runs = load_runs(journal.rows())
        plan = prepare_run(journal, rows, states, settings.on_ambiguous, settings.tell)
        batch = Batch(settings, rows, plan, journal, states, runs)
        with _signals(batch):
            asyncio.run(batch.work())
        return batch.finish()
    except (OSError, sqlite3.Error) as fault:
        return Ended(Exit.HALTED, None, f"the folder cannot be written: {fault}. {AGAIN}")


AGAIN = "The same command goes on from here."


class Batch:
    """One run. `signalled` may be called from a signal handler at any time, `interrupt` on the loop."""

    def __init__(
        self,
        settings: Settings,
        rows: Sequence[Keyed],
        plan: Plan,
        journal: Journal,
        states: dict[str, RowState],
        runs: Runs,
    ) -> None:
        self.settings = settings
        self.rows = rows
        self.plan = plan
        self.journal = journal
        self.states = states
        self.runs = runs
        self.halt: Halted | None = None
        self.interrupts = 0
        self.progress = Progress(total=len(rows), base=len(rows) - len(plan.send))
        self._client: Client | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._begun = time.monotonic()
        self._drawn: deque[Keyed] = deque()
        self._sent: dict[int, tuple[Keyed, float]] = {}
        self._stopping = False
        self._told: set[str] = set()

    # At work

    async def work(self) -> None:
        """Send what is to be sent and wait for all of it."""
        if not self.plan.send:
            return
        self._loop = asyncio.get_running_loop()
        settings = self.settings
        floor = max(0, AUTO.floor - self.plan.retried)
        share = max(0.0, AUTO.share - self.plan.retried / len(self.plan.send))
        client = Client(
            settings.base_url,
            settings.keys,
            journal=self.journal,
            limits=settings.limits,
            config=Config(halts=True, ambiguity=Ambiguity(settings.on_ambiguous, floor, share)),
            budget=settings.budget,
            record_trace=self._heard,
            notices=self._noticed,
        )
        async with client:
            self._client = client
            if self.interrupts:
                self._stop(Mode.DRAIN)
            ticker = asyncio.create_task(self._tick())
            try:
                async for result in client.images.map(self._draw()):
                    self._ended(result)
            finally:
                ticker.cancel()
                self._look(client)
        self._client = None
        self.settings.tell(self.progress.line(self._seconds()))

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
        client = self._client
        if client is None:
            return
        if self.interrupts == 1:
            out = client.engine.snapshot().in_flight
            self._stop(Mode.DRAIN)
            self.settings.tell(
                f"interrupted: nothing new is sent; waiting for {out} requests that are out, because they are paid "
                "(interrupt again to break them off)"
            )
        elif self.interrupts == 2:
            self._stop(Mode.ABORT)
            self.settings.tell("interrupted again: what was out is broken off; its rows are ambiguous")

    def _stop(self, mode: Mode) -> None:
        self._stopping = True
        if self._client is not None:
            self._client.end(mode)

    def _draw(self) -> Iterator[ImageRequest]:
        for keyed in self.plan.send:
            if self._stopping:
                return
            self._drawn.append(keyed)
            yield keyed.row.request

    def _heard(self, event: Event, now: float) -> None:
        """Each event before the engine is told: a job is named and remembered before anything of it can be sent."""
        if isinstance(event, Responded):
            self.progress.refused += event.status == 429
            self.progress.broken += event.status >= 500
        elif isinstance(event, Submitted):
            keys = event.work.targets[0].keys
            keyed = self._next(keys)
            row, job = keyed.row, event.job
            self._sent[row.index] = (keyed, now)
            self.journal.name(job, dict(zip(keys, row.stems, strict=True)))
            state = self.states.get(row.id, NEW).sent((self.journal.run, job), keys, row.request, row.content)
            self._remember(row.id, state)

    def _next(self, keys: tuple[Key, ...]) -> Keyed:
        """The row that was drawn for these keys; one before it was refused and never became a job."""
        keyed = self._drawn.popleft()
        while keyed.keys != keys:
            keyed = self._drawn.popleft()
        return keyed

    def _remember(self, name: str, state: RowState) -> None:
        self.states[name] = state
        self.journal.put_row(name, dump_state(state))

    def _ended(self, result: Result) -> None:
        keyed = self.plan.send[result.index]
        row = keyed.row
        _, begun = self._sent.pop(row.index, (keyed, 0.0))
        now = asyncio.get_running_loop().time()
        state = self.states.get(row.id, NEW).ended(result.outcome, now - begun if begun else 0.0)
        self._remember(row.id, state)
        self.progress.done += result.error is None or state.error is None or state.error.kind not in PASSING
        self.progress.images += len(result.images)

    def _noticed(self, notice: Notice) -> None:
        """On the worker's thread."""
        if isinstance(notice, LaneClosed):
            self._tell_once(f"{notice.lane.credential} is not used for {notice.lane.model} any more: {notice.message}")
        elif isinstance(notice, Excess):
            self._tell_once(f"{notice.model} was charged more than its published bound")
        elif isinstance(notice, Warned):
            self._tell_once(f"{notice.what}: {notice.message}")
        elif isinstance(notice, Halted) and self.halt is None:
            self.halt = notice
            if self._loop is not None:
                with suppress(RuntimeError):  # the loop is closed: there is nothing left to stop
                    self._loop.call_soon_threadsafe(self._halted, notice)

    def _tell_once(self, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            self.settings.tell(message)

    def _halted(self, notice: Halted) -> None:
        client = self._client
        if client is None or self._stopping:
            return
        out = client.engine.snapshot().in_flight
        self.settings.tell(f"halted: {notice.message}; waiting for {out} requests that are out")
        self._stop(Mode.DRAIN)

    async def _tick(self) -> None:
        last = ""
        while True:
            await asyncio.sleep(TICK)
            if self._client is not None:
                self._look(self._client)
            line = self.progress.line(self._seconds())
            if line != last:
                self.settings.tell(line)
                last = line
            self.journal.put_row(RUNS, dump_runs(self._runs()))

    def _look(self, client: Client) -> None:
        figures = client.engine.snapshot()
        self.progress.in_flight = figures.in_flight
        self.progress.spent = figures.money.total.charged
        self.progress.maybe = figures.money.total.maybe

    def _seconds(self) -> float:
        return time.monotonic() - self._begun

    def _runs(self) -> Runs:
        return Runs(
            self.runs.http_429 + self.progress.refused,
            self.runs.http_5xx + self.progress.broken,
            self.runs.seconds + self._seconds(),
        )

    # The end

    def finish(self) -> Ended:
        """Write the results, from the journal. Raises `OSError`, `sqlite3.Error`."""
        runs = self._runs()
        self.journal.put_row(RUNS, dump_runs(runs))
        self.journal.flush()
        account = self.journal.account()
        lines = make_lines(self.rows, self.states, account)
        total = self.journal.balances().total
        charged = None if _unpriced(account) else total.charged
        summary = summary_of(lines, account, self.states, charged, total.maybe, runs)
        write_results(self.settings.folder, lines, summary)
        short = any(
            line.status == "pending" and line.error is not None and line.error.kind == "budget" for line in lines
        )
        code = self._code(summary, short=short)
        return Ended(code, summary, self._message(code))

    def _code(self, summary: Summary, *, short: bool) -> Exit:
        """The most severe that applies."""
        if self.interrupts:
            return Exit.INTERRUPTED
        counts = summary.counts
        if self.halt is not None or (counts["pending"] and not short):
            return Exit.HALTED
        if short:
            return Exit.BUDGET
        return Exit.SOME if counts["completed"] < summary.requested else Exit.ALL

    def _message(self, code: Exit) -> str:
        match code:
            case Exit.INTERRUPTED:
                return f"interrupted. {AGAIN}"
            case Exit.HALTED if self.halt is not None:
                return f"halted: {self.halt.message}. To go on: {_remedy(self.halt)}. {AGAIN}"
            case Exit.HALTED:
                return f"halted: some rows were not sent. {AGAIN}"
            case Exit.BUDGET:
                return "the budget has no room for the rest: raise --budget and run the same command again"
            case Exit.SOME:
                return "some rows are not complete: results.jsonl says why"
            case _:
                return ""


def _remedy(halt: Halted) -> str:
    return halt.remedy.removesuffix(", then resume")


def _unpriced(account: Account) -> bool:
    return any(tally.unpriced for tally in account.tallies.values())


@contextmanager
def _signals(batch: Batch) -> Generator[None]:
    """Let Ctrl-C and a request to end interrupt the batch, not the interpreter. Only the main thread hears of them."""
    if current_thread() is not main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def interrupted(number: int, frame: object) -> None:
        del number, frame
        batch.signalled()

    for number in before:
        signal.signal(number, interrupted)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
