"""Two processes, one store with leases, virtual time: each picture is bought once, unless a lease ran out."""

from __future__ import annotations

from collections import deque
from itertools import count
from random import Random
from typing import TYPE_CHECKING

import pytest

from penstock.commands import Abort, Finish, ReadCache, Record, Release, Send, WriteCache
from penstock.config import Config, Credential, Limits
from penstock.engine import Engine
from penstock.events import Failed, Recorded, Responded, Submitted, Ticked
from penstock.ids import AttemptId, Handle, JobId, Key
from penstock.readings import Kind, Part, Problem, Reached, Success, Usage
from penstock.simulation.monitor import Monitor
from penstock.work import Demand, Target, Timeouts, Work
from penstock_io._payloads import Payloads
from penstock_io._perform import Performer

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.commands import Command
    from penstock.events import Event
    from penstock.outcomes import Meta, Outcome

KEYS = tuple(Key(f"k{number}") for number in range(8))
TOTAL = 40.0
PATIENCE = 4.0
"""Seconds within which store and journal answer: less than the engine's patience, as they do where nothing is wrong."""
SEEDS = 25


class Shared:
    """What all processes see: the time, a store with leases, and a provider that counts."""

    def __init__(self) -> None:
        self.now = 0.0
        self.kept: dict[Key, tuple[Meta, bytes]] = {}
        self.leases: dict[Key, tuple[str, float]] = {}
        self.bought: dict[Key, int] = dict.fromkeys(KEYS, 0)
        self.excused: dict[Key, int] = dict.fromkeys(KEYS, 0)
        self.meanwhile: Callable[[], None] | None = None
        self.inline = True

    def read(self, key: Key) -> tuple[Meta, bytes] | None:
        """A picture; what others do before the next thing is done to the store comes next."""
        found = self.kept.get(key)
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return found

    def write(self, key: Key, meta: Meta, data: bytes, ttl: float | None = None) -> None:
        """A picture."""
        del ttl
        self.kept[key] = (meta, data)

    def claim(self, key: Key, name: str, seconds: float) -> float | None:
        """A lease."""
        holder, until = self.leases.get(key, ("", 0.0))
        if holder != name and until > self.now:
            return until - self.now
        self.leases[key] = (name, self.now + seconds)
        return None

    def give_back(self, key: Key, name: str) -> None:
        """A lease, if it is his."""
        if self.leases.get(key, ("", 0.0))[0] == name:
            del self.leases[key]

    def buys(self, key: Key) -> None:
        """The provider has made a picture and bills it."""
        self.bought[key] += 1
        assert self.bought[key] <= 1 + self.excused[key], f"{key} is bought again at {self.now}"


class Process:
    """An engine with all that it ordered, which is answered when chance says so."""

    def __init__(self, shared: Shared, seed: int, *, journal: bool) -> None:
        limits = Limits(concurrency=1, rpm=2.0, burst=0.5)
        config = Config(credentials=(Credential("c", "p", limits),), store=True, claims=True, journal=journal)
        engine = Engine(config, rng=Random(seed), epoch=1_790_000_000.0)
        self.engine = Monitor(engine, config=config)
        self.shared = shared
        self.payloads = Payloads()
        self.performer = Performer(shared, None, None, self.payloads, clock=lambda: shared.now)
        self.orders: deque[tuple[float, Command]] = deque()
        self.answers: deque[tuple[float, Event]] = deque()
        self.sent: dict[AttemptId, tuple[Send, tuple[Key, ...]]] = {}
        self.works: dict[Handle, Work] = {}
        self.outcomes: dict[JobId, Outcome] = {}
        self.paid: set[Key] = set()

    def tell(self, event: Event) -> None:
        """One fact, and what it orders."""
        for command in self.engine.handle(event, self.shared.now):
            if isinstance(command, ReadCache | WriteCache | Record | Release):
                self.orders.append((self.shared.now, command))
            elif isinstance(command, Send):
                keys = self.works[command.handle].targets[command.target].keys
                bought = tuple(keys[sample] for _, samples in command.parts for sample in samples)
                self.sent[command.attempt] = (command, bought)
            elif isinstance(command, Abort):
                self.sent.pop(command.attempt)
                self.answers.append((self.shared.now, Failed(command.attempt, Kind.ABORTED, Reached.NOTHING)))
            elif isinstance(command, Finish):
                self.outcomes[command.job] = command.outcome

    def submit(self, job: int, keys: tuple[Key, ...]) -> None:
        """Somebody wants these."""
        target = Target("p", "m", keys, Demand(1, 1, 10), 100, timeouts=Timeouts(total=TOTAL), divisible=True, most=2)
        one = Work((target,), handle=Handle(job))
        self.works[one.handle] = one
        self.tell(Submitted(JobId(job), one))

    def performs(self) -> None:
        """The store, or the journal, does the next thing it was told, and its answer is on the way."""
        if not self.orders:
            return
        since, command = self.orders.popleft()
        if isinstance(command, WriteCache) and command.source is not None:
            self.paid.discard(command.key)
        if isinstance(command, Record):
            self.answers.append((since, Recorded(command.record)))
        else:
            self.answers.extend((since, event) for event in self.performer.perform([command]))

    def hears(self) -> None:
        """An answer comes."""
        if self.answers:
            self.tell(self.answers.popleft()[1])

    def replies(self, rng: Random) -> None:
        """The provider ends an exchange: as a rule with all its pictures."""
        if not self.sent:
            return
        attempt = rng.choice(list(self.sent))
        _, keys = self.sent.pop(attempt)
        how = rng.random()
        if how < 0.15:
            self.tell(Responded(attempt, 500, (), Problem(None, None, "no", None, None)))
        elif how < 0.3:
            self.tell(Responded(attempt, 429, (), Problem("rate_limit_exceeded", None, "no", None, None)))
        else:
            self._delivers(attempt, keys)

    def _delivers(self, attempt: AttemptId, keys: tuple[Key, ...]) -> None:
        for key in keys:
            self.shared.buys(key)
        self.paid.update(keys)
        refs = [self.payloads.keep(b"picture of " + key.encode()) for key in keys]
        parts = tuple(Part(place, ref, "1024x1024", "png", 9) for place, ref in enumerate(refs))
        self.tell(Responded(attempt, 200, (), Success(Usage(cost=50), parts)))

    def oldest(self) -> float:
        """Since when something waits for the store or the journal."""
        return min([since for since, _ in (*self.orders, *self.answers)], default=self.shared.now)

    def killed(self, rng: Random) -> None:
        """What was out may have been made; nobody hears of it, so that it may be bought once more."""
        for _, keys in self.sent.values():
            for key in keys:
                if rng.random() < 0.5:
                    self.shared.excused[key] += 1
                    self.shared.buys(key)
        for key in self.paid:  # and not stored yet
            self.shared.excused[key] += 1


class Field:
    """Some processes, and chance."""

    def __init__(self, seed: int, *, kills: bool) -> None:
        self.rng = Random(seed)
        self.shared = Shared()
        self.kills = kills
        self.journal = self.rng.random() < 0.5
        self.shared.inline = self.rng.random() < 0.5  # then nobody renews short leases, and they are long
        self.numbers = count(1)
        self.processes = [self._process(), self._process()]
        self.gone: list[Process] = []

    def _process(self) -> Process:
        return Process(self.shared, self.rng.randrange(2**32), journal=self.journal)

    def step(self) -> None:
        """Anything at all."""
        rng = self.rng
        process = rng.choice(self.processes)
        choice = rng.randrange(100)
        if choice < 12:
            process.submit(next(self.numbers), tuple(rng.sample(KEYS, rng.choice((1, 1, 2, 3)))))
        elif choice < 40:
            if choice < 25:
                self.shared.meanwhile = next(other.performs for other in self.processes if other is not process)
            process.performs()
            self.shared.meanwhile = None
        elif choice < 70:
            process.hears()
        elif choice < 85:
            process.replies(rng)
        elif choice < 99 or not self.kills:
            self.passes(rng.choice((0.3, 5.0, TOTAL, 100.0, 1000.0)))
        else:
            self.processes.remove(process)
            process.killed(rng)
            self.gone.append(process)
            self.processes.append(self._process())

    def passes(self, most: float) -> None:
        """Time passes: up to the next deadline, or so; store and journal are not kept waiting for ever."""
        shared = self.shared
        deadlines = [process.engine.next_deadline() for process in self.processes]
        until = min([shared.now + most, *(deadline for deadline in deadlines if deadline is not None)])
        until = min(until, min(process.oldest() for process in self.processes) + PATIENCE)
        dues = [process.performer.due() for process in self.processes]
        until = min([until, *(shared.now + due for due in dues if due is not None)])
        shared.now = max(shared.now, until)
        for process in self.processes:
            process.performer.beat()
            process.tell(Ticked())

    def calm(self) -> None:
        """Nothing new: all that is under way comes to its end."""
        for _ in range(20_000):
            for process in self.processes:
                while process.orders or process.answers:
                    process.performs()
                    process.hears()
                process.replies(self.rng)
            if all(process.engine.snapshot().at_rest and not process.orders for process in self.processes):
                return
            self.passes(1000.0)
        raise AssertionError("it never comes to rest")


@pytest.mark.parametrize("kills", [False, True])
def test_each_picture_is_bought_once(*, kills: bool) -> None:
    """In any order of lookups, answers, replies and time; a killed process costs what it had out, and nothing else."""
    seen = {"busy": 0, "renewals": 0, "hits": 0}
    for seed in range(SEEDS):
        field = Field(seed, kills=kills)
        for _ in range(250):
            field.step()
        field.calm()
        for process in field.processes:
            assert len(process.works) == len(process.outcomes)
            for what in seen:
                seen[what] += process.engine.snapshot().counters.get(what, 0)
        names = {process.performer._leases.name for process in field.gone if process.performer._leases is not None}
        held = {name for name, until in field.shared.leases.values() if until > field.shared.now}
        assert held <= names
    assert min(seen.values()) > SEEDS, f"it hardly comes to what is tested: {seen}"
