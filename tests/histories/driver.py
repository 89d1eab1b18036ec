"""A driver without I/O: it keeps what the engine ordered, and answers when, how and in which order chance says.

It keeps a provider's bill of its own, a store, and the references that are about; the monitor looks at every step.
"""

from __future__ import annotations

from hashlib import blake2b
from random import Random
from typing import TYPE_CHECKING, TypeVar

from attrs import evolve

from penstock.commands import Abort, Consult, Finish, ReadCache, Record, Send, WriteCache
from penstock.config import Gathering, Hedging, Limits, Retry
from penstock.engine import Engine
from penstock.entries import Published, Settled
from penstock.errors import UsageError
from penstock.events import (
    Busy,
    CacheRead,
    Cancelled,
    Closed,
    Consulted,
    Fetched,
    Hit,
    Miss,
    Mode,
    Opened,
    Reconfigured,
    Recorded,
    Responded,
    Streamed,
    Submitted,
    Ticked,
)
from penstock.ids import AttemptId, JobId, QuestionId, ReadId, RecordId, Ref
from penstock.outcomes import Meta
from penstock.readings import Answer, Delta, Fault, Malformed, Partial, Vector, Verdict
from penstock.simulation.monitor import Monitor
from penstock.work import CachePolicy, Purpose
from tests.histories.doubts import Doubts
from tests.histories.knobs import PROMPT, SECRET, budget, credential, limits, work
from tests.histories.replies import LIKELY, REPLIES, Exchange

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.commands import Command
    from penstock.events import Event, Found
    from penstock.ids import Handle, Key
    from penstock.outcomes import Outcome
    from penstock.work import Target, Work
    from tests.histories.knobs import Knobs

T = TypeVar("T")
V = TypeVar("V")
EPOCH = 1_790_812_200.0
"""Ten minutes before October 2026: a jump of the clock leads into it."""


class History:
    """One history under way. Actions take a Random, so that whoever drives decides where chance comes from."""

    def __init__(self, knobs: Knobs, seed: int, *, closely: bool = False, secrets: bool = False) -> None:
        self.knobs = knobs
        self.config = knobs.config
        engine = Engine(knobs.config, rng=Random(seed), epoch=EPOCH)
        self.engine = Monitor(engine, config=knobs.config, closely=closely, secrets=(PROMPT, SECRET) if secrets else ())
        self.now = 0.0
        self.works: dict[Handle, Work] = {}
        self.outcomes: dict[JobId, Outcome] = {}
        self.jobs = 0
        self.sent: dict[AttemptId, Send] = {}
        self.aborted: set[AttemptId] = set()
        self.reads: dict[ReadId, tuple[ReadCache, float]] = {}
        self.records: dict[RecordId, Record] = {}
        self.questions: dict[QuestionId, Consult] = {}
        self.store: dict[Key, tuple[Meta, Ref]] = {}
        self.bought: dict[Key, int] = {}
        self.once = knobs.config.store and knobs.config.hedging.after is None and not knobs.gathers
        self.doubts = Doubts(knobs.config)
        self.bill = 0
        self.blind = False
        self.sure = True
        self.journal_down = False
        self.closed: Mode | None = None
        self.calm = False
        self.steps = 0
        self.digest: Callable[[bytes], None] | None = None
        self._refs = 0

    def traced(self) -> Callable[[], str]:
        """From now on keep a digest of all events and commands; returns what reads it."""
        trace = blake2b(digest_size=16)
        self.digest = trace.update
        return trace.hexdigest

    def ref(self, prefix: str) -> Ref:
        """A fresh reference."""
        self._refs += 1
        return Ref(f"{prefix}:{self._refs}")

    # What a driver does

    def tell(self, event: Event) -> None:
        """One fact, and what it orders."""
        self.steps += 1
        commands = self.engine.handle(event, self.now)
        if self.digest is not None:
            self.digest(repr((event, self.now, commands, self.engine.next_deadline())).encode())
        for command in commands:
            self._perform(command)

    def _perform(self, command: Command) -> None:
        if isinstance(command, Send):
            if any(other.call == command.call for other in self.sent.values()):
                self.once = False
            self.sent[command.attempt] = command
            self.doubts.sends(command, self.works[command.handle])
        elif isinstance(command, Finish):
            self.outcomes[command.job] = command.outcome
        elif isinstance(command, Record):
            self.records[command.record] = command
        elif isinstance(command, Abort):
            self.aborted.add(command.attempt)
        elif isinstance(command, ReadCache):
            self.reads[command.read] = (command, self.now)
        elif isinstance(command, WriteCache):
            if command.source is not None:
                self.store[command.key] = (command.meta or Meta(), command.source)
        elif isinstance(command, Consult):
            self.questions[command.question] = command

    # What callers do

    def submit(self, rng: Random) -> None:
        """One more job."""
        self.jobs += 1
        one = work(self.knobs, rng, self.jobs, self.now)
        self.works[one.handle] = one
        if one.cache is not CachePolicy.USE or any(target.stream for target in one.targets):
            self.once = False
        self.tell(Submitted(JobId(self.jobs), one))

    def cancel(self, rng: Random) -> None:
        """Somebody leaves, perhaps one who is gone already."""
        if self.jobs:
            there = [job for job in range(1, self.jobs + 1) if JobId(job) not in self.outcomes]
            job = rng.choice(there) if there and rng.random() < 0.9 else rng.randint(1, self.jobs)
            self.tell(Cancelled(JobId(job), rng.random() < 0.4))

    def close(self, rng: Random) -> None:
        """No more work; an ABORT may follow a DRAIN."""
        mode = Mode.ABORT if rng.random() < 0.4 or self.knobs.abort_closing else Mode.DRAIN
        self.closed = Mode.ABORT if self.closed is Mode.ABORT else mode
        self.tell(Closed(mode))

    # What the world does

    def target(self, send: Send) -> Target:
        """What an order is about."""
        one = self.works[send.handle]
        if send.purpose is Purpose.SCREEN:
            return next(s.target for s in one.screens if s.target is not None and s.target.operation == send.operation)
        if send.purpose is Purpose.EMBED and self.knobs.config.near is not None:
            target = self.knobs.config.near.target
            if target is not None:
                return target
        return one.targets[send.target]

    def answer(self, rng: Random, how: str | None = None) -> None:
        """An exchange ends (or a stream brings an item, or a reply its head)."""
        if not self.sent:
            return
        attempt = pick(self.sent, rng)
        send = self.sent[attempt]
        if send.purpose is Purpose.FETCH:
            del self.sent[attempt]
            self._fetched(send, rng)
            return
        if how is None and rng.random() < 0.2:
            self._begun(send, rng)
            return
        kind = how or rng.choice(LIKELY)
        if attempt in self.aborted and rng.random() < 0.7:
            kind = "aborted"
        del self.sent[attempt]
        self._ended(send, kind, rng)

    def _begun(self, send: Send, rng: Random) -> None:
        if send.stream:
            item = Partial(0, self.ref("p")) if rng.random() < 0.8 else Delta(self.ref("d"))
            self.tell(Streamed(send.attempt, item))
        else:
            self.tell(Opened(send.attempt, 200, (("x-ratelimit-limit-requests", "60"),)))

    def _ended(self, send: Send, kind: str, rng: Random) -> None:
        target = self.target(send)
        urls = self.knobs.urls and not send.stream
        reply = REPLIES[kind](Exchange(send, target, rng, self.ref, urls, self.knobs.excess))
        self.doubts.ends(send.attempt, kind)
        self.bill += reply.billed
        self.sure = self.sure and reply.sure
        self.blind = self.blind or target.quote is None
        if reply.brought and not urls and send.purpose is Purpose.GENERATE and len(send.parts) == 1:
            _, samples = send.parts[0]
            keys = self.works[send.handle].targets[send.target].keys
            for place in reply.brought:
                key = keys[samples[place]]
                self.bought[key] = self.bought.get(key, 0) + 1
        self.tell(reply.event)

    def _fetched(self, send: Send, rng: Random) -> None:
        if send.attempt in self.aborted or rng.random() < (0.1 if self.calm else 0.4):
            self.tell(Fetched(send.attempt, (), "gone", final=rng.random() < 0.25))
        else:
            self.tell(Fetched(send.attempt, (self.ref("b"),)))

    def read(self, rng: Random) -> None:
        """The store answers a question, perhaps late."""
        if not self.reads:
            return
        command, since = self.reads.pop(pick(self.reads, rng))
        if self.now - since >= command.patience:
            self.once = False
        if command.near is not None:
            found, score = self._near(rng)
            self.tell(CacheRead(command.read, (found,), score))
            return
        fault = "the disk" if not self.calm and rng.random() < self.knobs.faults else None
        self.once = self.once and fault is None
        self.tell(CacheRead(command.read, tuple([self._found(command, key, fault, rng) for key in command.keys])))

    def _near(self, rng: Random) -> tuple[Found, float | None]:
        if rng.random() < 0.3:
            return Hit(Meta("1024x1024", "png", 9, 40), self.ref("h")), 0.95
        return Miss(fault="the index" if rng.random() < self.knobs.faults else None), None

    def _found(self, command: ReadCache, key: Key, fault: str | None, rng: Random) -> Found:
        stored = self.store.get(key)
        if fault is not None:
            return Miss(fault=fault)
        if stored is not None:
            return Hit(stored[0], self.ref("h"))
        if command.claim and not self.calm and rng.random() < 0.15:
            return Busy(self.now + rng.choice((-1.0, 0.4, 8.0)))
        if command.claim and rng.random() < 0.1:
            return Hit(Meta("1024x1024", "png", 9, 40), self.ref("h"))
        return Miss(claimed=command.claim and rng.random() < 0.9)

    def record(self, rng: Random) -> None:
        """The journal answers, in order."""
        if not self.records:
            return
        record, command = next(iter(self.records.items()))
        del self.records[record]
        if not self.calm and rng.random() < self.knobs.faults:
            self.journal_down = not self.journal_down
        fault = None
        if not self.calm and (self.journal_down or rng.random() < self.knobs.faults / 4):
            fault = "no space left"
        files: tuple[Ref, ...] = ()
        entry = command.entry
        if fault is None and isinstance(entry, Settled) and rng.random() < 0.9:
            files = tuple([self.ref("f") if ref else Ref("") for ref in entry.refs])
        elif fault is None and isinstance(entry, Published) and rng.random() < 0.9:
            files = tuple([Ref(f"final/{ref}") for ref in entry.refs])
        self.tell(Recorded(record, files, fault))

    def consulted(self, rng: Random) -> None:
        """A hook answers."""
        if not self.questions:
            return
        question = pick(self.questions, rng)
        command = self.questions.pop(question)
        answer: Verdict | Vector | Answer | Fault
        if rng.random() < 0.15:
            answer = rng.choice((Fault("it crashed"), Answer("eh"), Vector(self.ref("v")), Verdict(passed=True)))
        elif command.hook == "embed":
            answer = Vector(self.ref("v"))
        else:
            answer = Verdict(rng.random() < 0.8, "s1", "it says so", self.ref("t") if rng.random() < 0.2 else None)
        self.tell(Consulted(question, answer))

    def tick(self, rng: Random) -> None:
        """A timer goes off: in time, early, late, out of nowhere, or with a clock that ran backwards."""
        deadline = self.engine.next_deadline()
        choice = rng.randrange(6)
        if choice <= 1 and deadline is not None:
            self.now = max(self.now, deadline)
        elif choice == 2 and deadline is not None:
            self.now = max(self.now, deadline) + rng.random() * 40
        elif choice == 3 and deadline is not None and deadline > self.now:
            self.now += (deadline - self.now) * rng.random() * 0.99
        elif choice == 4:
            before, self.now = self.now, self.now - rng.random() * 10
            self.tell(Ticked())
            self.now = before
            return
        self.tell(Ticked(EPOCH + self.now + 3600.0 if rng.random() < 0.1 else None))

    def reconfigure(self, rng: Random) -> None:
        """A key more or less, other limits, another budget; often a halt is lifted with it."""
        config = self.config
        choice = rng.randrange(6)
        if choice == 0:
            config = evolve(config, credentials=(*config.credentials, credential(f"n{self.steps}", rng)))
        elif choice == 1:
            config = evolve(config, credentials=config.credentials[1:])
        elif choice == 2:
            changed = tuple([evolve(one, limits=limits(rng)) for one in config.credentials])
            config = evolve(config, credentials=changed)
        elif choice == 3:
            config = evolve(config, budget=budget(rng), hedging=Hedging(rng.choice((None, 0.5))))
            self.once = False
        elif choice == 4:
            near = self.knobs.config.near if config.near is None else None
            gathering = Gathering(rng.choice((1, 3)), 0.05)
            retry = Retry(attempts=rng.choice((1, 4)), most=config.retry.most)
            config = evolve(config, near=near, gathering=gathering, retry=retry)
            config = evolve(config, halts=rng.random() < 0.5, downloads=2, claims=config.store and rng.random() < 0.5)
        if rng.random() < 0.5:
            self.journal_down = False
        self.config = config
        self.tell(Reconfigured(config, rng.random() < 0.7))

    def misuse(self, rng: Random) -> None:
        """The driver breaks the contract: the engine says so, and nothing has changed."""
        unknown = 10**9
        answered = AttemptId(rng.randint(1, 40))
        events: tuple[Event, ...] = (
            Responded(AttemptId(unknown), 200, (), Malformed("x")),
            Streamed(AttemptId(unknown), Delta(Ref("d"))),
            Fetched(AttemptId(unknown)),
            CacheRead(ReadId(unknown), ()),
            Recorded(RecordId(unknown)),
            Consulted(QuestionId(unknown), Answer("x")),
            *([Opened(answered, 200)] if answered not in self.sent else []),
            *([Fetched(answered)] if answered not in self.sent else []),
        )
        event = rng.choice(events)
        try:
            self.engine.handle(event, self.now)
        except UsageError:
            return
        raise AssertionError(f"a misuse was taken: {event!r}")

    # A whole history

    def step(self, rng: Random) -> None:
        """Anything that may happen."""
        self.now += rng.choice((0.0, 0.0, 0.01, 0.3))
        actions: list[Callable[[Random], None]] = [self.answer, self.answer, self.answer, self.record, self.record]
        actions += [self.record, self.read, self.read, self.read, self.consulted, self.tick]
        chance = rng.random()
        if self.jobs < self.knobs.jobs and chance < 0.3:
            self.submit(rng)
        elif 0.3 < chance < 0.3 + self.knobs.leaves:
            self.cancel(rng)
        elif chance > 0.97:
            self.reconfigure(rng)
        elif chance > 0.96:
            self.misuse(rng)
        elif chance > 0.955 and self.steps > self.knobs.steps // 2:
            self.close(rng)
        else:
            rng.choice(actions)(rng)

    def outstanding(self) -> bool:
        """Whether the driver owes an answer."""
        return bool(self.sent or self.reads or self.records or self.questions)

    def settle(self, rng: Random, *, most: int = 20_000) -> None:
        """Answer everything until nothing more happens; a halt is lifted twice, then it is left to closing."""
        self.calm = True
        self.journal_down = False
        resumes = 0
        for _ in range(most):
            if self.outstanding():
                self._answer_one(rng)
                continue
            deadline = self.engine.next_deadline()
            if deadline is not None:
                self.now = max(self.now, deadline)
                self.tell(Ticked())
            elif resumes < 2 and self.closed is None and self.engine.snapshot().unfinished:
                resumes += 1
                fresh = evolve(credential(f"r{self.steps}", rng), models=None, limits=Limits())
                self.config = evolve(self.config, credentials=(fresh,))
                self.tell(Reconfigured(self.config, resume=True))
            else:
                return
        raise AssertionError(f"no end after {most} steps: {self.engine.snapshot()!r}")

    def _answer_one(self, rng: Random) -> None:
        which = rng.randrange(4)
        if which == 0 and self.sent:
            self.answer(rng, rng.choice(("ok", "ok", "ok", "ok", "refused", "unsent", "never")))
        elif which == 1:
            self.record(rng)
        elif which == 2:
            self.read(rng)
        else:
            self.consulted(rng)

    def end(self, rng: Random) -> None:
        """Settle, close, settle: then the driver may leave, and the books agree with the provider's bill."""
        if self.closed is None:
            if rng.random() < 0.7:
                self.settle(rng)
            self.close(rng)
        if self.knobs.faults and rng.random() < 0.4:
            self.calm, self.journal_down = False, True
            for _ in range(rng.randrange(12)):
                rng.choice((self.answer, self.record, self.read, self.consulted))(rng)
        self.settle(rng)
        snapshot = self.engine.snapshot()
        assert self.engine.idle(), snapshot
        assert snapshot.at_rest, snapshot
        assert set(self.outcomes) == {JobId(job) for job in range(1, self.jobs + 1)}
        self.audit()

    def audit(self) -> None:
        """The provider's bill is within charged and maybe, and equal where nothing is in doubt."""
        total = self.engine.snapshot().money.total
        if not self.blind:
            assert self.bill <= total.charged + total.maybe, (self.bill, total)
            assert not self.sure or self.bill == total.charged, (self.bill, total)
            assert not self.sure or not total.maybe, total
        if self.once:
            twice = {key: count for key, count in self.bought.items() if count > 1}
            assert not twice, f"bought more than once: {twice}"


def pick(table: dict[T, V], rng: Random) -> T:
    """One of the keys."""
    place = rng.randrange(len(table))
    return next(key for index, key in enumerate(table) if index == place)
