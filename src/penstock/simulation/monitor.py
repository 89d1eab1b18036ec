"""Watches an engine keep its contract: the twelve lines, checked on every step.

    engine = Monitor(Engine(config, rng=Random(1), epoch=0.0), config=config)

A monitor is handed to a driver in the place of the engine and passes everything on. What breaks the contract raises
`Violation`, which names the line. It knows nothing of the engine's inside: it goes by events, commands and snapshots.
Line 8 (the same commands for the same events) is a comparison of two runs, and not to be seen in one.

A step costs some tens of microseconds more, with `closely` (a snapshot every step, held against the step before) some
hundred.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.commands import (
    Abort,
    Charged,
    Consult,
    Deliver,
    Excess,
    Finish,
    Notify,
    ReadCache,
    Record,
    Release,
    Send,
    Unrecorded,
    WriteCache,
)
from penstock.errors import UsageError
from penstock.events import (
    CacheRead,
    Closed,
    Consulted,
    Failed,
    Fetched,
    Miss,
    Mode,
    Reconfigured,
    Recorded,
    Responded,
    Streamed,
    Submitted,
    Ticked,
)
from penstock.money.balances import NOTHING, Balances
from penstock.simulation._violation import Violation
from penstock.simulation._watch_journal import Journal
from penstock.simulation._watch_money import Books
from penstock.simulation._watch_payloads import Payloads
from penstock.simulation.core import Core
from penstock.work import Purpose

if TYPE_CHECKING:
    from penstock.commands import Command
    from penstock.config import Config
    from penstock.engine import Snapshot, Waiting
    from penstock.events import Event
    from penstock.ids import AttemptId, CallId, JobId, Key, QuestionId, ReadId, RecordId
    from penstock.work import Work

__all__ = ["Core", "Monitor", "Violation"]

PORTION = 1000
"""The most Finish commands of one step."""

SPINS = 50
"""How often an engine may ask to come back at once without doing anything."""


class Monitor:
    """An engine that is watched. `config` is what the engine was made with, `opening` its earlier books.

    `secrets` are strings (prompts, keys) that must appear in no event and no command; looking for them is slow.
    """

    def __init__(
        self,
        engine: Core,
        *,
        config: Config,
        secrets: tuple[str, ...] = (),
        closely: bool = False,
        opening: Balances = NOTHING,
    ) -> None:
        self._engine = engine
        self._config = config
        self._secrets = secrets
        self._closely = closely
        self._journal = Journal()
        self._payloads = Payloads(config)
        self._books = Books(config.budget, opening)
        self._now = float("-inf")
        self._closed: Mode | None = None
        self._works: dict[JobId, Work] = {}
        self._unfinished: dict[JobId, Work] = {}
        self._asked: dict[Key, int] = {}
        self._seen: set[int] = set()
        self._sent: dict[AttemptId, tuple[Send, float]] = {}
        self._aborted: set[AttemptId] = set()
        self._reads: dict[ReadId, ReadCache] = {}
        self._records: set[RecordId] = set()
        self._questions: set[QuestionId] = set()
        self._claims: set[tuple[Key, ReadId]] = set()
        self._delivered: dict[CallId, Send] = {}
        self._resting = True
        self._spins = 0
        self._last: Snapshot | None = None

    # The engine's side

    def next_deadline(self) -> float | None:
        """As the engine says."""
        return self._engine.next_deadline()

    def appetite(self) -> int:
        """As the engine says."""
        return self._engine.appetite()

    def idle(self) -> bool:
        """As the engine says."""
        return self._engine.idle()

    def explain(self, job: JobId) -> Waiting:
        """As the engine says."""
        return self._engine.explain(job)

    def snapshot(self) -> Snapshot:
        """As the engine says."""
        return self._engine.snapshot()

    def outstanding(self) -> int:
        """How many orders are not answered yet."""
        return len(self._sent) + len(self._reads) + len(self._records) + len(self._questions)

    def handle(self, event: Event, now: float) -> list[Command]:
        """Let the engine take one fact, and check what it does. Raises Violation, and UsageError as the engine does."""
        deadline = self._engine.next_deadline()
        try:
            commands = self._engine.handle(event, now)
        except UsageError:
            self._unchanged(deadline)
            raise
        except Exception as error:  # line 1 is that nothing else may come out, whatever it is
            raise Violation(1, f"{type(error).__name__} from {event!r}: {error}") from error
        self._now = max(self._now, now)
        if commands and isinstance(event, Ticked) and (deadline is None or self._now < deadline):
            raise Violation(4, f"a timer that is early ({self._now} before {deadline}) ordered {commands!r}")
        if self._secrets:
            self._discreet(event, commands)
        self._took(event)
        if len(commands) > PORTION:
            finished = sum(isinstance(command, Finish) for command in commands)
            if finished > PORTION:
                raise Violation(6, f"{finished} jobs ended in one step")
        for command in commands:
            self._ordered(command, event)
        self._after(event, commands)
        return commands

    def _unchanged(self, deadline: float | None) -> None:
        """Line 1: a misuse changed nothing."""
        if self._engine.next_deadline() != deadline:
            raise Violation(1, "a UsageError came after something had changed: the deadline")
        if self._last is not None and self._engine.snapshot() != self._last:
            raise Violation(1, "a UsageError came after something had changed: the snapshot")

    def _discreet(self, event: Event, commands: list[Command]) -> None:
        text = f"{event!r}{commands!r}"
        for secret in self._secrets:
            if secret in text:
                raise Violation(9, f"a secret of {len(secret)} characters is in {type(event).__name__} or its commands")

    # Facts

    def _took(self, event: Event) -> None:
        sent: Send | None = None
        if isinstance(event, Responded | Failed | Fetched):
            if event.attempt not in self._sent:
                raise Violation(2, f"took an answer to attempt {event.attempt}, which is not out")
            sent, _ = self._sent.pop(event.attempt)
            self._aborted.discard(event.attempt)
            if self._config.records and sent.purpose is not Purpose.FETCH:
                self._journal.answered(event.attempt)
        elif isinstance(event, Recorded):
            self._journal.recorded(event)
            self._records.discard(event.record)
        elif isinstance(event, CacheRead):
            read = self._reads.pop(event.read)
            claims = zip(read.keys, event.found, strict=True)
            self._claims.update((key, event.read) for key, found in claims if isinstance(found, Miss) and found.claimed)
        elif isinstance(event, Consulted):
            self._questions.discard(event.question)
        else:
            self._told(event)
        self._payloads.took(event, sent, self._works)

    def _told(self, event: Event) -> None:
        """What somebody wants, not what somebody answers."""
        if isinstance(event, Submitted):
            self._works[event.job] = self._unfinished[event.job] = event.work
            self._books.submitted(event.work)
            for target in event.work.targets:
                for key in target.keys:
                    self._asked[key] = self._asked.get(key, 0) + 1
        elif isinstance(event, Closed):
            self._closed = Mode.ABORT if self._closed is Mode.ABORT else event.mode
            self._payloads.aborted = self._closed is Mode.ABORT
        elif isinstance(event, Reconfigured):
            self._config = event.config
            self._books.rebudget(event.config.budget)
            if event.resume:
                self._journal.resumed()

    # Orders

    def _ordered(self, command: Command, event: Event) -> None:
        if isinstance(command, Send):
            self._sends(command)
        elif isinstance(command, Finish):
            self._finishes(command)
        elif isinstance(command, Record | ReadCache | Consult):
            self._asks(command)
        elif isinstance(command, WriteCache | Release):
            self._payloads.ordered(command)
            if isinstance(command, WriteCache) and command.claim is not None:
                self._gives_back(command.key, command.claim)
        elif isinstance(command, Deliver):
            self._delivers(command, event)
        elif isinstance(command, Abort):
            self._aborts(command, event)
        else:
            self._notifies(command)

    def _asks(self, command: Record | ReadCache | Consult) -> None:
        """Questions to the journal, the store and hooks."""
        if isinstance(command, Record):
            self._fresh(command.record)
            self._records.add(command.record)
            self._journal.ordered(command)
            self._payloads.recorded(command)
        elif isinstance(command, ReadCache):
            self._fresh(command.read)
            self._reads[command.read] = command
        else:
            self._fresh(command.question)
            self._questions.add(command.question)

    def _fresh(self, name: int) -> None:
        if name in self._seen:
            raise Violation(2, f"the id {name} was used before")
        self._seen.add(name)

    def _sends(self, send: Send) -> None:
        self._fresh(send.attempt)
        self._sent[send.attempt] = (send, self._now)
        if self._closed is Mode.ABORT:
            raise Violation(6, f"{send!r} after an ABORT")
        if send.purpose is Purpose.FETCH:
            self._payloads.ordered(send)
            return
        if self._closed is Mode.DRAIN and not self._screens_pictures(send):
            raise Violation(6, f"{send!r} after a DRAIN")
        if self._config.records:
            self._journal.sent(send)
        if send.purpose is Purpose.GENERATE:
            self._wanted(send)

    def _screens_pictures(self, send: Send) -> bool:
        if send.purpose is not Purpose.SCREEN:
            return False
        screens = self._works[send.parts[0][0]].screens
        return any(screen.picture and screen.target and screen.target.operation == send.operation for screen in screens)

    def _wanted(self, send: Send) -> None:
        """Line 12: somebody asks for it, and no stream was begun for it."""
        if send.call in self._delivered:
            raise Violation(12, f"{send!r} although call {send.call} has delivered")
        keys = [
            target.keys[index]
            for job, indices in send.parts
            for target in self._works[job].targets
            for index in indices
        ]
        if not any(self._asked.get(key) for key in keys):
            raise Violation(12, f"{send!r} for samples that nobody asks for")
        for before in self._delivered.values():
            for job, samples in before.parts:
                again = next((indices for other, indices in send.parts if other == job), ())
                if set(samples) & set(again) and send.target != before.target:
                    raise Violation(12, f"{send!r} goes down the chain of job {job} after its stream began")

    def _delivers(self, command: Deliver, event: Event) -> None:
        if command.job not in self._unfinished:
            raise Violation(12, f"an item is delivered to job {command.job}, which is over")
        if not isinstance(event, Streamed):
            raise Violation(12, "an item is delivered that no stream has brought")
        send, _ = self._sent[event.attempt]
        self._delivered[send.call] = send

    def _finishes(self, command: Finish) -> None:
        work = self._unfinished.pop(command.job, None)
        if work is None:
            raise Violation(3, f"job {command.job} ends, which is not there or is over")
        for target in work.targets:
            for key in target.keys:
                left = self._asked[key] - 1
                if left:
                    self._asked[key] = left
                else:
                    del self._asked[key]
        self._payloads.ordered(command)
        self._books.finished(work, command.outcome)

    def _aborts(self, command: Abort, event: Event) -> None:
        if command.attempt not in self._sent or command.attempt in self._aborted:
            raise Violation(2, f"attempt {command.attempt} is broken off, and is not out or was broken off before")
        self._aborted.add(command.attempt)
        send, since = self._sent[command.attempt]
        self._payloads.aborts(command, send, event, since, self._now)

    def _gives_back(self, key: Key, read: ReadId) -> None:
        if (key, read) not in self._claims:
            raise Violation(2, f"the claim of read {read} on {key} is given back, and is not held")
        self._claims.discard((key, read))

    def _notifies(self, command: Notify) -> None:
        notice = command.notice
        if isinstance(notice, Charged):
            if notice.job in self._unfinished:
                raise Violation(3, f"{notice!r} before the job's end")
            self._books.charged(self._works[notice.job], notice)
        elif isinstance(notice, Excess):
            self._books.exceeded()
        elif isinstance(notice, Unrecorded):
            self._journal.told(notice)

    # After a step

    def _after(self, event: Event, commands: list[Command]) -> None:
        deadline = self._engine.next_deadline()
        if commands or deadline is None or deadline > self._now or not isinstance(event, Ticked):
            self._spins = 0
        else:
            self._spins += 1
            if self._spins > SPINS:
                raise Violation(5, f"it asks to come back at {deadline}, which is now, and does nothing")
        if deadline is None and not self.outstanding() and self._unfinished and self._engine.snapshot().halted is None:
            raise Violation(5, f"nothing will ever happen to {len(self._unfinished)} jobs")
        if self._closed is not None and self._engine.idle() and (self._sent or self._records or self._unfinished):
            raise Violation(6, "idle with work at hand")
        closing = deadline is not None and deadline <= self._now
        if self._unfinished or self.outstanding() or self._journal.faulted() or closing:
            self._resting = False
        elif not self._resting and not self._lingers(deadline):
            self._at_rest()
        if self._closely:
            self._compare(self._engine.snapshot())

    def _lingers(self, deadline: float | None) -> bool:
        """A job that was told its end may still wait, for a lane or for resume, to have its pictures screened."""
        snapshot = self._engine.snapshot()
        return bool(snapshot.jobs) and (deadline is not None or snapshot.halted is not None)

    def _compare(self, snapshot: Snapshot) -> None:
        if self._last is not None and snapshot.now < self._last.now:
            raise Violation(4, f"time ran back from {self._last.now} to {snapshot.now}")
        paid = sum(1 for send, _ in self._sent.values() if send.purpose is not Purpose.FETCH)
        if snapshot.in_flight != paid + self._journal.recording:
            raise Violation(
                7, f"{snapshot.in_flight} permits for {paid} attempts out and {self._journal.recording} being recorded"
            )
        if snapshot.unfinished != len(self._unfinished):
            raise Violation(3, f"{snapshot.unfinished} jobs unfinished, and {len(self._unfinished)} without an outcome")
        self._books.compare(snapshot.money)
        self._last = snapshot

    def _at_rest(self) -> None:
        """Nothing is asked for and nothing out: everything is zero and the books add up."""
        snapshot = self._engine.snapshot()
        if self._engine.next_deadline() is not None and (snapshot.downloads or snapshot.jobs):
            return  # what is paid and nobody waits for is still fetched, or screened
        aborted = self._closed is Mode.ABORT
        if not snapshot.at_rest or snapshot.in_flight:
            raise Violation(7, f"not at rest: {snapshot!r}")
        if self._claims:
            raise Violation(7, f"claims are not given back: {sorted(self._claims)}")
        if self._closed is not None and not self._engine.idle():
            raise Violation(6, "closed and at rest, and not idle")
        self._payloads.at_rest()
        if self._config.records:
            self._journal.at_rest(aborted=aborted)
            self._books.entries(snapshot.money, self._journal.charged, self._journal.maybe)
        self._books.at_rest(snapshot.money, told=self._config.notify)
        self._works.clear()
        self._asked.clear()
        self._delivered.clear()
        self._resting = True
