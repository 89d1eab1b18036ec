"""One run of a case in virtual time: the engine as it is shipped, against the simulated provider."""

from __future__ import annotations

import gc
import time
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from benchmarks._limits_optimum import Draws, optimum
from penstock.config import Ambiguity, Config, Credential
from penstock.events import Reconfigured
from penstock.ids import Handle, Key
from penstock.outcomes import Status
from penstock.simulation._verdicts import PLAIN
from penstock.simulation.server import Server
from penstock.simulation.world import Delays, World
from penstock.work import OnAmbiguous, Target, Work

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks._limits_cases import Case, Change
    from penstock.commands import Send
    from penstock.events import Event
    from penstock.ids import JobId
    from penstock.outcomes import Outcome
    from penstock.simulation.server import Admission, Asked
    from penstock.work import Demand

ENOUGH = 300.0
"""Seconds after which a run that is not done is given up, or three times its optimum if that is more."""

ONCE = 2.0
"""Seconds that every run may lose once, whatever it is told."""

PLAIN_COST = 1_000


@frozen
class Measured:
    """What a run came to.

    `seconds` until the last job ended, `optimum` at least; `done` of `jobs` were completed, after `refusals` by all
    `keys` together. `cpu` seconds were spent, `deciding` of them on `steps` of the engine, the others on simulating.
    """

    case: Case
    seconds: float
    optimum: float
    jobs: int
    done: int
    refusals: int
    keys: int
    cpu: float
    deciding: float
    steps: int

    @property
    def ratio(self) -> float:
        """How many times the optimum it took."""
        return self.seconds / self.optimum

    @property
    def held(self) -> float:
        """The same without the seconds that every run may lose once."""
        return max(0.0, self.seconds - ONCE) / self.optimum

    @property
    def each(self) -> float:
        """Refusals a key."""
        return self.refusals / self.keys


class Provider(Server):
    """The simulated provider, whose latencies and faults are those that the optimum is computed with."""

    def __init__(self, case: Case, draws: Draws) -> None:
        super().__init__(case.scenario.settings(case), rng=Random(f"server {case.seed}"))
        self._draws = draws
        self._tries: dict[str, int] = {}
        self._job = ""
        self._script.append("")  # a script asks for a fate at every call

    def admit(
        self,
        credential: str,
        demand: Demand,
        now: float,
        *,
        identity: str,
        call: str,
        cost: int = 0,
        asked: Asked = PLAIN,
    ) -> Admission:
        """As the real one; `identity` is a job's number."""
        self._job = identity
        found = super().admit(credential, demand, now, identity=identity, call=call, cost=cost, asked=asked)
        if found.admitted or found.fault:
            self._tries[identity] = self._tries.get(identity, 0) + 1
        return found

    def _fault(self) -> str:
        return self._draws.of(int(self._job), self._tries.get(self._job, 0)).fault

    def _latency(self, quality: str) -> float:
        del quality  # every picture takes as long here
        return self._draws.of(int(self._job), self._tries.get(self._job, 0)).latency


class Town(World):
    """A world that knows its jobs by number, and stops when all are done."""

    def __init__(self, case: Case, config: Config, draws: Draws) -> None:
        self.case = case
        self.config = config
        super().__init__(
            config,
            Provider(case, draws),
            rng=Random(f"engine {case.seed}"),
            delays=Delays(up=case.way, down=case.way),
            ways=Random(f"ways {case.seed}"),
        )
        self.on_finish = self._finished
        self.done = self.ended = 0
        self.last = self.deciding = 0.0

    def tell(self, event: Event) -> None:
        """As any world, with an eye on the clock."""
        self.steps += 1
        began = time.process_time()
        commands = self.engine.handle(event, self.now)
        self.deciding += time.process_time() - began
        for command in commands:
            self._perform(command)

    def admit(self, send: Send, demand: Demand, identity: str, cost: int) -> Admission:
        """A job is known by its handle, however it is split."""
        del identity
        return super().admit(send, demand, str(int(send.handle)), cost)

    def change(self, change: Change) -> None:
        """What happens on the way."""
        scenario, server = self.case.scenario, self.server
        if change.limits is not None:
            for key in filter(change.concerns, range(scenario.keys)):
                server.set_limits(name(key), scenario.true(self.case.burst, change.limits), self.now)
        if change.lost is not None:
            server.revoke(name(change.lost), self.now)
        if change.added is not None:
            added = Credential(name(change.added), limits=self.case.believed)
            self.config = evolve(self.config, credentials=(*self.config.credentials, added))
            self.tell(Reconfigured(self.config))

    def _finished(self, job: JobId, outcome: Outcome) -> None:
        del self.outcomes[job]
        self.ended += 1
        self.done += outcome.status is Status.COMPLETED
        self.last = self.now


def name(key: int) -> str:
    """A credential's name."""
    return f"key-{key}"


def works(demands: list[Demand]) -> Iterator[Work]:
    """The jobs of a case."""
    for number, demand in enumerate(demands):
        samples = max(1, demand.images)
        each = evolve(demand, images=demand.images // samples, tokens=demand.tokens // samples)
        keys = tuple([Key(f"{number}/{sample}") for sample in range(samples)])
        yield Work((Target("default", "model", keys, each, PLAIN_COST, PLAIN_COST),), Handle(number))


def measure(case: Case) -> Measured:
    """Run one case."""
    scenario = case.scenario
    demands = scenario.demands(case.seed)
    draws = Draws(case)
    best = optimum(case, demands, draws)
    config = Config(
        tuple([Credential(name(key), limits=case.believed) for key in range(scenario.keys)]),
        ambiguity=Ambiguity(OnAmbiguous.RETRY),
        patience=None,
        notify=False,
    )
    collects = gc.isenabled()
    gc.disable()
    began = time.process_time()
    town = Town(case, config, draws)
    for change in scenario.changes:
        town.later(change.at, partial(town.change, change))
    _run(town, works(demands), len(demands), max(ENOUGH, 3.0 * best))
    cpu = time.process_time() - began
    if collects:
        gc.enable()
    refusals = sum(town.server.books.rejected.get(quantity, 0) for quantity in QUANTITIES)
    keys = scenario.keys + sum(change.added is not None for change in scenario.changes)
    seconds = town.last if town.ended == len(demands) else town.now
    return Measured(case, seconds, best, len(demands), town.done, refusals, keys, cpu, town.deciding, town.steps)


QUANTITIES = ("requests", "tokens", "images", "concurrency")


def _run(town: Town, feed: Iterator[Work], jobs: int, until: float) -> None:
    more = True
    while town.ended < jobs and town.now < until:
        if more:
            for _ in range(town.engine.appetite()):
                work = next(feed, None)
                if work is None:
                    more = False
                    break
                town.submit(work)
        if not town.step():
            break
