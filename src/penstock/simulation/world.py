"""A whole world in virtual time: an engine, a simulated provider, a store, a journal and hooks, and no waiting.

The world does what a driver does: performs commands, reports facts, comes back at the next deadline. Its clock jumps
from one event to the next, so an hour of traffic takes as long as its decisions. Used for planning, property tests and
benchmarks.

    world = World(config, Server(settings, rng=Random(1)), rng=Random(2))
    outcomes = world.run(works)
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf
from typing import TYPE_CHECKING

from attrs import define, frozen

from penstock.commands import (
    Abort,
    Consult,
    Deliver,
    Finish,
    Notify,
    ReadCache,
    Record,
    Release,
    Send,
    WriteCache,
)
from penstock.engine import Engine
from penstock.entries import Published, Settled
from penstock.events import (
    CacheRead,
    Cancelled,
    Closed,
    Consulted,
    Failed,
    Fetched,
    Hit,
    Miss,
    Mode,
    Recorded,
    Responded,
    Submitted,
    Ticked,
)
from penstock.ids import Handle, JobId, Ref
from penstock.outcomes import Meta
from penstock.readings import Fault, Kind, Malformed, Part, Problem, Reached, Reading, Success, Usage, Vector, Verdict
from penstock.work import Demand, Purpose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from random import Random

    from penstock.commands import Command, Notice
    from penstock.config import Config
    from penstock.entries import Entry
    from penstock.events import Event, Found
    from penstock.ids import AttemptId, Key
    from penstock.money.ledger import Balances
    from penstock.outcomes import Outcome
    from penstock.readings import Answer, Item
    from penstock.simulation.core import Core
    from penstock.simulation.server import Admission, Server
    from penstock.work import Target, Work

Hook = "Callable[[Consult], Verdict | Vector | Answer | Fault | None]"


@frozen
class Delays:
    """Seconds: one way to the provider and back, the store, the journal, a hook, a download.

    A way of (least, most) is drawn evenly for each exchange: requests and replies then overtake each other.
    """

    up: float | tuple[float, float] = 0.0
    down: float | tuple[float, float] = 0.0
    store: float = 0.0
    journal: float = 0.0
    hook: float = 0.0
    download: float = 0.01


@define
class Stored:
    """A picture in the world's store."""

    meta: Meta
    ref: Ref


class World:
    """Drives an engine against a simulated provider. All times are virtual seconds.

    `ways` draws the delays that are given as ranges; without one the constructor raises ValueError for such a range.
    `urls`: pictures come as URLs that have to be fetched. `hooks` answer Consult (None: never). `journal_fault` and
    `store_fault` may say a fault for an entry or a key. What happened is in `outcomes`, `entries`, `store`, `notices`.
    """

    def __init__(
        self,
        config: Config,
        server: Server,
        *,
        rng: Random,
        delays: Delays | None = None,
        opening: Balances | None = None,
        wrap: Callable[[Engine], Core] | None = None,
        epoch: float = 1_790_000_000.0,
        ways: Random | None = None,
    ) -> None:
        engine = (
            Engine(config, rng=rng, epoch=epoch)
            if opening is None
            else Engine(config, rng=rng, epoch=epoch, opening=opening)
        )
        self.engine: Core = engine if wrap is None else wrap(engine)
        self.bare = engine
        self.server = server
        self.now = 0.0
        self.delays = delays or Delays()
        self._up, self._down = _way(self.delays.up, ways), _way(self.delays.down, ways)
        self.works: dict[Handle, Work] = {}
        self.outcomes: dict[JobId, Outcome] = {}
        self.delivered: list[tuple[JobId, Item]] = []
        self.notices: list[Notice] = []
        self.entries: list[Entry] = []
        self.store: dict[Key, Stored] = {}
        self.released: set[Ref] = set()
        self.hooks: dict[str, Callable[[Consult], Verdict | Vector | Answer | Fault | None]] = {}
        self.nearest: Callable[[ReadCache], tuple[Found, float | None]] | None = None
        self.journal_fault: Callable[[Entry], str | None] | None = None
        self.store_fault: Callable[[ReadCache], str | None] | None = None
        self.fetch_fault: Callable[[Send], str | None] | None = None
        self.answer: Callable[[Send], Reading] | None = None
        self.urls = False
        self.steps = 0
        self.on_finish: Callable[[JobId, Outcome], None] | None = None
        self._events: list[tuple[float, int, Event | Callable[[], None]]] = []
        self._going: set[AttemptId] = set()
        self._sequence = 0
        self._names = 0
        self._jobs = 0
        self._files = config.journal

    # What a caller does

    def submit(self, work: Work) -> JobId:
        """Submit one job now. `work.handle` is replaced by the world's own."""
        self._jobs += 1
        job = JobId(self._jobs)
        self.works[work.handle] = work
        self.tell(Submitted(job, work))
        return job

    def cancel(self, job: JobId, *, abort: bool = False) -> None:
        """Its caller leaves."""
        self.tell(Cancelled(job, abort))

    def close(self, mode: Mode = Mode.DRAIN) -> None:
        """No more work."""
        self.tell(Closed(mode))

    def run(self, works: Iterable[Work] = ()) -> dict[JobId, Outcome]:
        """Feed jobs as the engine's appetite goes, and run until nothing is left to happen."""
        feed = iter(works)
        more = self._feed(feed)
        while self.step() or more:
            if more:
                more = self._feed(feed)
                if more and not self._events and self.engine.next_deadline() is None:
                    break
        return self.outcomes

    def _feed(self, feed: Iterator[Work]) -> bool:
        while (room := self.engine.appetite()) > 0:
            for _ in range(room):
                work = next(feed, None)
                if work is None:
                    return False
                self.submit(work)
        return True

    def step(self) -> bool:
        """Go to the next event or deadline; False when there is none."""
        deadline = self.engine.next_deadline()
        if self._events and (deadline is None or self._events[0][0] <= deadline):
            at, _, event = heappop(self._events)
            if at > self.now:
                self.now = at
            if callable(event):
                event()
            else:
                self.tell(event)
            return True
        if deadline is None:
            return False
        self.now = max(self.now, deadline)
        self.tell(Ticked())
        return True

    def run_until(self, at: float) -> None:
        """Run until virtual time `at`."""
        while True:
            deadline = self.engine.next_deadline()
            head = self._events[0][0] if self._events else inf
            if min(head, inf if deadline is None else deadline) > at:
                break
            self.step()
        self.now = max(self.now, at)

    # What a driver does

    def tell(self, event: Event) -> None:
        """Hand one fact to the engine, and perform what it orders."""
        self.steps += 1
        for command in self.engine.handle(event, self.now):
            self._perform(command)

    def later(self, delay: float, event: Event | Callable[[], None]) -> None:
        """Let something happen after `delay` seconds: a fact for the engine, or anything else (a limit changes)."""
        self._sequence += 1
        heappush(self._events, (self.now + delay, self._sequence, event))

    def _perform(self, command: Command) -> None:  # noqa: C901 - one dispatch over all commands
        match command:
            case Send():
                self._send(command)
            case Finish():
                self.outcomes[command.job] = command.outcome
                if self.on_finish is not None:
                    self.on_finish(command.job, command.outcome)
            case Record():
                self._record(command)
            case Abort():
                self._abort(command.attempt)
            case ReadCache():
                self._read(command)
            case WriteCache():
                if command.source is not None:
                    self.store[command.key] = Stored(command.meta or Meta(), command.source)
            case Consult():
                self._consult(command)
            case Deliver():
                self.delivered.append((command.job, command.item))
            case Release():
                self.released.update(command.refs)
            case Notify():
                self.notices.append(command.notice)

    def _send(self, send: Send) -> None:
        if send.purpose is Purpose.FETCH:
            fault = self.fetch_fault(send) if self.fetch_fault is not None else None
            files = () if fault is not None else (self.ref("b"),)
            self.later(self.delays.download, Fetched(send.attempt, files, fault))
            return
        self._going.add(send.attempt)
        way = self._up()
        if way > 0.0:
            self.later(way, lambda: self._arrived(send))
        else:
            self._arrived(send)

    def _arrived(self, send: Send) -> None:
        """A request is at the provider's: its reply is on its way, if anybody still waits for it."""
        target = self.target(send)
        demand = target.demand.times(max(1, send.samples))
        cost = (target.expected if target.expected is not None else target.quote or 0) * max(1, send.samples)
        admission = self.admit(send, demand, str(send.parts), cost)
        if send.attempt in self._going:
            self._going.discard(send.attempt)
            if admission.delay != inf:
                self.later(admission.delay + self._down(), self.reported(send, admission, cost))

    def admit(self, send: Send, demand: Demand, identity: str, cost: int) -> Admission:
        """Ask the provider about a request that arrives now."""
        lane = send.lane
        return self.server.admit(lane.credential, demand, self.now, identity=identity, call=str(send.call), cost=cost)

    def target(self, send: Send) -> Target:
        """The target that a command is about."""
        work = self.works[send.handle]
        if send.purpose is Purpose.SCREEN:
            return next(screen.target for screen in work.screens if screen.target is not None)
        return work.targets[send.target]

    def reported(self, send: Send, admission: Admission, cost: int) -> Event:
        """What the driver reports of an exchange that the provider decided so."""
        if admission.reset:
            reached = Reached.READING if admission.status or admission.executed else Reached.NOTHING
            kind = Kind.BROKEN if admission.executed or admission.verdict else Kind.CONNECT
            return Failed(send.attempt, kind, reached)
        if admission.status != 200:
            problem = admission.problem or Problem(message="a proxy's page", own=False)
            return Responded(send.attempt, admission.status, admission.headers, problem)
        if admission.fault:
            return Responded(send.attempt, 200, admission.headers, Malformed(admission.fault))
        return Responded(send.attempt, 200, admission.headers, self.reading(send, cost))

    def reading(self, send: Send, cost: int) -> Success | Reading:
        """A good reply."""
        if self.answer is not None and send.purpose is not Purpose.GENERATE:
            return self.answer(send)
        prefix = "u" if self.urls else "b"
        parts = tuple(
            [Part(index, self.ref(prefix), "1024x1024", "png", 1000, self.urls) for index in range(send.samples)]
        )
        return Success(Usage(output_image=self.target(send).demand.tokens * send.samples, cost=cost), parts)

    def ref(self, prefix: str) -> Ref:
        """A fresh payload reference."""
        self._names += 1
        return Ref(f"{prefix}:{self._names}")

    def _abort(self, attempt: AttemptId) -> None:
        self._going.discard(attempt)
        for place, (_, _, event) in enumerate(self._events):
            if isinstance(event, Responded | Failed | Fetched) and event.attempt == attempt:
                del self._events[place]
                self._events.sort()
                if isinstance(event, Fetched):
                    self.later(0.0, Fetched(attempt, (), "aborted"))
                    return
                break
        self.later(0.0, Failed(attempt, Kind.ABORTED, Reached.SENT))

    def _record(self, command: Record) -> None:
        entry = command.entry
        fault = self.journal_fault(entry) if self.journal_fault is not None else None
        if fault is None:
            self.entries.append(entry)
        files: tuple[Ref, ...] = ()
        if isinstance(entry, Settled | Published) and self._files:
            files = tuple([Ref(f"f:{ref}") if ref else Ref("") for ref in entry.refs])
        self.later(self.delays.journal, Recorded(command.record, () if fault else files, fault))

    def _read(self, command: ReadCache) -> None:
        fault = self.store_fault(command) if self.store_fault is not None else None
        score: float | None = None
        found: list[Found] = []
        if command.near is not None:
            near, score = self.nearest(command) if self.nearest is not None else (Miss(), None)
            found.append(near)
        else:
            for key in command.keys:
                stored = self.store.get(key)
                if fault is not None or stored is None:
                    found.append(Miss(claimed=command.claim and fault is None, fault=fault))
                else:
                    found.append(Hit(stored.meta, stored.ref))
        self.later(self.delays.store, CacheRead(command.read, tuple(found), score))

    def _consult(self, command: Consult) -> None:
        hook = self.hooks.get(command.hook)
        answer = hook(command) if hook is not None else Fault(f"no hook is named {command.hook}")
        if answer is not None:
            self.later(self.delays.hook, Consulted(command.question, answer))


def _way(seconds: float | tuple[float, float], rng: Random | None) -> Callable[[], float]:
    """How long one way takes, each time it is asked."""
    if not isinstance(seconds, tuple):
        return lambda: seconds
    if rng is None:
        raise ValueError(f"a way of {seconds} is drawn for each exchange: hand a Random in as `ways`")
    least, most = seconds
    draw, span = rng.random, most - least
    return lambda: least + draw() * span


__all__ = ["Delays", "Stored", "World"]
