"""What the cases of admission have in common: a world that keeps what reached its provider, and several at one."""

from __future__ import annotations

from math import inf
from random import Random
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from penstock.config import Ambiguity, Config, Credential, Limits
from penstock.ids import Handle, Key
from penstock.outcomes import Status
from penstock.simulation.monitor import Monitor
from penstock.simulation.server import Latency, Server, ServerLimits, ServerSettings
from penstock.simulation.world import Delays, World
from penstock.work import Demand, OnAmbiguous, Target, Timeouts, Work

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from penstock.commands import Send
    from penstock.ids import JobId
    from penstock.simulation.server import Admission

RATES = ("requests", "tokens", "images", "concurrency")
"""What a limit refuses for."""

WAYS = Delays(up=(0.001, 0.030), down=(0.001, 0.030))
"""A network on which requests and replies overtake each other."""

SILENT = ServerSettings(latency=Latency(0.3, 0.25), headers=False, hints=False, names=False)
"""A provider that says nothing of its limits; without limits."""


@frozen
class Arrival:
    """A request as the provider saw it: when, for whom, and what it answered ("": it was let in)."""

    at: float
    key: str
    model: str
    job: int
    refused: str
    status: int


class Watched(World):
    """A world that keeps every request that reached the provider, in order."""

    def __init__(self, config: Config, server: Server, *, delays: Delays = WAYS, seed: int = 4) -> None:
        super().__init__(
            config,
            server,
            rng=Random(seed),
            delays=delays,
            wrap=lambda one: Monitor(one, config=config),
            ways=Random(seed + 1),
        )
        self.arrivals: list[Arrival] = []

    def admit(self, send: Send, demand: Demand, identity: str, cost: int) -> Admission:
        """As any world, and it is kept."""
        found = super().admit(send, demand, identity, cost)
        refused = found.verdict if found.verdict in {*RATES, "credential", "credit"} else ""
        job = int(send.parts[0][0]) if send.parts else 0
        self.arrivals.append(Arrival(self.now, send.lane.credential, send.lane.model, job, refused, found.status))
        return found

    def ended(self, status: Status = Status.COMPLETED) -> int:
        """How many jobs ended so."""
        return sum(outcome.status is status for outcome in self.outcomes.values())


def config(*credentials: Credential, patience: float | None = None) -> Config:
    """These keys, all doubts tried again, and (where nothing else is said) all the patience there is."""
    return Config(credentials, ambiguity=Ambiguity(OnAmbiguous.RETRY), patience=patience)


def keys(count: int, limits: Limits = Limits()) -> tuple[Credential, ...]:
    """So many keys: c1, c2, ..."""
    return tuple([Credential(f"c{number}", limits=limits) for number in range(1, count + 1)])


def watched(
    made: Config, settings: ServerSettings = SILENT, limits: ServerLimits | None = None, *, seed: int = 4
) -> Watched:
    """A world of this configuration at a provider of these habits and limits."""
    settings = settings if limits is None else evolve(settings, limits=limits)
    return Watched(made, Server(settings, rng=Random(3)), seed=seed)


def goal(*names: str, model: str = "m", demand: Demand = Demand(1, 1, 0)) -> Target:
    """A picture a name."""
    return Target("default", model, tuple(map(Key, names)), demand, 1000, 900, timeouts=Timeouts(total=60.0))


def jobs(
    count: int,
    *,
    first: int = 1,
    model: str = "m",
    demand: Demand = Demand(1, 1, 0),
) -> Iterator[Work]:
    """So many jobs for a picture each; their handles count from `first`."""
    for number in range(first, first + count):
        yield Work((goal(f"{model} {number}", model=model, demand=demand),), Handle(number))


def give(world: World, works: Iterable[Work]) -> list[JobId]:
    """Submit them all now."""
    return [world.submit(work) for work in works]


def refusals(server: Server) -> int:
    """How often a limit refused something, all keys together."""
    return sum(server.books.rejected.get(name, 0) for name in RATES)


def together(*worlds: World) -> None:
    """Let worlds that share a provider go on, step by step by one clock, until nothing is left to happen in any."""
    while True:
        times = [due(world) for world in worlds]
        if min(times) == inf:
            break
        worlds[times.index(min(times))].step()


def due(world: World) -> float:
    """When something happens next in a world."""
    deadline = world.engine.next_deadline()
    head = world._events[0][0] if world._events else inf
    return max(world.now, min(head, inf if deadline is None else deadline))


def busiest(arrivals: Iterable[Arrival], span: float) -> int:
    """The most requests that arrived within any `span` seconds."""
    times = sorted(arrival.at for arrival in arrivals)
    most = first = 0
    for last, at in enumerate(times):
        while times[first] < at - span:
            first += 1
        most = max(most, last - first + 1)
    return most
