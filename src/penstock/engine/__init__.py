"""The engine: a pure state machine that decides everything and does nothing.

    engine = Engine(config, rng=Random(seed), epoch=time.time() - time.monotonic())
    for command in engine.handle(Submitted(job, work), now):
        ...                                     # perform it, and report facts as events

Facts go in as events, orders come out as commands in the order in which they are to be performed. Every Send, ReadCache,
Record and Consult is answered exactly once; `next_deadline()` says when to come back with a Ticked. `handle` never raises
for anything that a server, a store or a user's data did; a driver's misuse raises `UsageError` before anything changed.

Inside, each event goes to one of four rooms (jobs, flights, calls, attempts). Rooms append commands, and moves for each
other, which are routed here, so that no room knows another; then the dispatcher binds free lanes. Not thread-safe: one owner.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, assert_never

from penstock.engine.attempts import Attempts
from penstock.engine.calls import Calls
from penstock.engine.closing import Closing
from penstock.engine.desk import Desk
from penstock.engine.dispatch import Dispatch, Group
from penstock.engine.entities import (
    Answered,
    Arrived,
    Asked,
    Attempt,
    Bound,
    Broke,
    Call,
    Dropped,
    Fetch,
    Flight,
    Forgotten,
    Heard,
    Hire,
    Job,
    Joined,
    Judged,
    Landed,
    Left,
    Question,
    Read,
    Wanted,
)
from penstock.engine.fetches import Fetches
from penstock.engine.figures import Snapshot, snapshot
from penstock.engine.flights import Flights
from penstock.engine.hedges import hedge
from penstock.engine.jobs import Jobs
from penstock.engine.questions import Questions
from penstock.engine.records import Records
from penstock.engine.timers import Alarm
from penstock.engine.waiting import Waiting, explain
from penstock.errors import UsageError
from penstock.events import (
    CacheRead,
    Cancelled,
    Closed,
    Consulted,
    Failed,
    Fetched,
    Opened,
    Reconfigured,
    Recorded,
    Responded,
    Streamed,
    Submitted,
    Ticked,
)
from penstock.money.ledger import NOTHING, Balances

if TYPE_CHECKING:
    from random import Random

    from penstock.commands import Command
    from penstock.config import Config
    from penstock.engine.entities import Move
    from penstock.events import Event
    from penstock.ids import JobId

__all__ = ["Engine", "Snapshot", "Waiting"]


class Engine:
    """Decides. `epoch` is the Unix time at which the monotonic clock read 0; `opening` carries earlier books."""

    def __init__(self, config: Config, *, rng: Random, epoch: float, opening: Balances = NOTHING) -> None:
        desk = self._desk = Desk(config, rng, epoch, opening)
        self._records = Records(desk)
        self._questions = Questions(desk)
        self._dispatch = Dispatch(desk)
        self._jobs = Jobs(desk, self._questions, self._records)
        self._flights = Flights(desk, self._questions)
        self._calls = Calls(desk, self._dispatch)
        self._fetches = Fetches(desk, self._records)
        self._attempts = Attempts(desk, self._dispatch, self._records, self._fetches)
        self._closing = Closing(desk, self._jobs, self._calls, self._attempts, self._records)

    # The driver's side

    def handle(self, event: Event, now: float) -> list[Command]:
        """Take one fact at `now` (absolute monotonic seconds, clamped if it ran backwards); return what to do.

        Raises UsageError, before anything changed, for an answer to what was not asked, a second answer, a used job id,
        or a `now` that is not a number.
        """
        desk = self._desk
        self._check(event, now)
        if now > desk.now:
            desk.now = now
        desk.out = []
        self._take(event)
        self._route()
        self._ring()
        self._closing.sweep()
        self._route()
        self._bind()
        return desk.out

    def next_deadline(self) -> float | None:
        """When to come back with a Ticked; None: only an event can help."""
        if self._closing.busy():
            return self._desk.now
        head = self._desk.timers.next()
        return head[0] if head is not None else None

    def appetite(self) -> int:
        """How many more jobs are worth submitting now: keeps lanes busy without holding a long line in memory."""
        desk = self._desk
        if not desk.sending():
            return 0
        window = desk.config.window or 2 * self._dispatch.concurrency() + 16
        return max(0, window - self._jobs.unfinished)

    def idle(self) -> bool:
        """After Closed: nothing is held any more and the driver may leave."""
        return (
            self._desk.closed is not None
            and not self._jobs.table
            and not self._attempts.table
            and not self._records.out
            and not self._closing.busy()
        )

    def explain(self, job: JobId) -> Waiting:
        """Why a job waits. One that is not there is "done"."""
        return explain(self._desk, self._jobs.table.get(job))

    def snapshot(self) -> Snapshot:
        """Figures for metrics and tests."""
        return snapshot(
            self._desk,
            self._jobs,
            self._flights,
            self._dispatch,
            self._attempts,
            self._fetches,
            self._questions,
            self._records,
        )

    # Misuse

    def _check(self, event: Event, now: float) -> None:
        if not isfinite(now):
            raise UsageError(f"now must be a finite number of seconds, not {now!r}")
        match event:
            case Submitted():
                if event.job in self._jobs.table:
                    raise UsageError(f"job {event.job} was submitted already")
                if not event.work.targets or not event.work.samples:
                    raise UsageError(f"job {event.job} has no target, or asks for no picture")
                if any(len(target.keys) != event.work.samples for target in event.work.targets):
                    raise UsageError(f"the targets of job {event.job} have different numbers of keys")
            case Opened() | Streamed() | Responded() | Failed():
                self._check_attempt(event)
            case Fetched():
                fetch = self._fetches.table.get(event.attempt)
                if fetch is None or not fetch.out:
                    raise UsageError(f"download {event.attempt} is not out")
            case CacheRead():
                read = self._flights.reads.get(event.read)
                if read is None or len(read.flights) != len(event.found):
                    raise UsageError(f"read {event.read} is not out, or has another number of keys")
            case Recorded():
                if event.record not in self._records.out:
                    raise UsageError(f"record {event.record} is not out")
            case Consulted():
                if event.question not in self._questions.table:
                    raise UsageError(f"question {event.question} is not out")
            case Reconfigured():
                old = self._desk.config
                if (old.store, old.journal) != (event.config.store, event.config.journal):
                    raise UsageError("store and journal cannot be taken away or added while running")
            case Cancelled() | Ticked() | Closed():
                pass
            case _:
                assert_never(event)

    def _check_attempt(self, event: Opened | Streamed | Responded | Failed) -> None:
        attempt = self._attempts.table.get(event.attempt)
        if attempt is None or attempt.state.name != "OUT":
            raise UsageError(f"attempt {event.attempt} is not out")

    # One step

    def _take(self, event: Event) -> None:
        match event:
            case Submitted():
                self._jobs.submitted(event)
            case Responded():
                self._attempts.responded(event)
            case Opened():
                self._attempts.opened(event)
            case Recorded():
                self._recorded(event)
            case CacheRead():
                self._flights.read(event)
            case Failed():
                self._attempts.failed(event)
            case Streamed():
                self._attempts.streamed(event)
            case Fetched():
                self._fetches.fetched(event)
            case Consulted():
                self._questions.consulted(event)
            case Cancelled():
                self._jobs.cancelled(event)
            case Ticked():
                if event.unix is not None:
                    self._desk.epoch = event.unix - self._desk.now
            case Reconfigured():
                self._reconfigured(event)
            case Closed():
                self._closing.closed(event.mode)
            case _:
                assert_never(event)

    def _recorded(self, event: Recorded) -> None:
        pending, given_up = self._records.answered(event)
        owner = pending.owner
        if isinstance(owner, Attempt):
            self._attempts.recorded(owner, event, given_up=given_up)
        elif owner is not None:
            self._jobs.recorded(owner, pending.entry, event, given_up=given_up)

    def _reconfigured(self, event: Reconfigured) -> None:
        desk = self._desk
        self._dispatch.reconfigure(event.config, resume=event.resume)
        desk.ledger.rebudget(event.config.budget)
        desk.allowance.reconfigure(event.config.ambiguity)
        desk.refunded = True
        if event.resume:
            desk.halt = None
            self._records.retry()

    def _ring(self) -> None:
        """Timers that are due."""
        desk = self._desk
        while (rung := desk.timers.due(desk.now)) is not None:
            alarm, owner = rung
            match owner:
                case Attempt() if alarm is Alarm.TOTAL:
                    self._attempts.timed_out(owner)
                case Attempt():
                    self._hedge(owner)
                case Group():
                    self._dispatch.touch(owner)
                case Call() if alarm is Alarm.RETRY:
                    self._calls.retry(owner)
                case Call():
                    self._calls.gathered(owner)
                case Job():
                    self._jobs.expired(owner)
                case Read():
                    self._flights.read_expired(owner)
                case Question():
                    self._questions.expired(owner)
                case Flight():
                    self._flights.claim_over(owner)
                case Fetch():
                    self._fetches.again(owner)
                case _:
                    raise AssertionError(f"a timer of {owner!r}")
            self._route()

    def _hedge(self, attempt: Attempt) -> None:
        bound = hedge(self._desk, self._dispatch, attempt)
        if bound is not None:
            self._attempts.begin(bound)

    def _bind(self) -> None:
        """Bind lanes until nothing more can go; what this ends may set others free."""
        while found := self._dispatch.pump():
            for move in found:
                if isinstance(move, Bound):
                    self._attempts.begin(move)
                else:
                    self._calls.cannot(move)
            self._route()

    def _route(self) -> None:
        """Carry moves from room to room until nobody has anything to say."""
        moves = self._desk.moves
        while moves or self._calls.aborts or self._fetches.done or self._fetches.abandoned:
            if moves:
                self._carry(moves.popleft())
            elif self._calls.aborts:
                self._attempts.abort(self._calls.aborts.pop(0))
            elif self._fetches.done:
                self._attempts.settle(self._fetches.done.pop(0))
            else:
                self._attempts.give_up(self._fetches.abandoned.pop(0))

    def _carry(self, move: Move) -> None:
        match move:
            case Asked():
                self._flights.asked(move)
            case Wanted():
                self._calls.wanted(move.flights, move.target)
            case Arrived():
                self._calls.arrived(move)
            case Landed():
                self._flights.landed(move)
            case Heard():
                self._jobs.heard(move)
            case Judged():
                self._calls.judged(move)
            case Broke():
                self._flights.broke(move)
            case Left():
                self._flights.left(move)
            case Dropped():
                self._calls.dropped(move)
            case Joined():
                self._calls.joined(move)
            case Forgotten():
                self._flights.forgotten(move)
            case Hire():
                self._calls.hired(move)
            case Answered():
                if isinstance(move.question.owner, Job):
                    self._jobs.answered(move)
                else:
                    self._flights.answered(move)
            case _:
                assert_never(move)
