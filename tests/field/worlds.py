"""What the cases have in common: a world in virtual time under the monitor, and a client of a driver."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from random import Random
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Any

from attrs import evolve

from penstock.config import Config, Credential, Retry
from penstock.ids import Handle, Key
from penstock.requests import ImageRequest
from penstock.simulation.monitor import Monitor
from penstock.simulation.server import Latency, Server, ServerSettings, parse_faults
from penstock.simulation.world import World
from penstock.work import Demand, Target, Timeouts, Work
from tests.drivers.harness import WAIT, running

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penstock.outcomes import Outcome
    from penstock_io.simserver import SimServer
    from tests.drivers.harness import Side

QUICK = ServerSettings(latency=Latency(0.02, 0.1), refusal_delay=0.001)
KEY = "sk-that-nobody-may-read"
QUOTE = 1000
COST = 900
ONE = Credential("c1")
CONFIG = Config((ONE,))


def target(*keys: str, model: str = "m") -> Target:
    """A picture a key: at most `QUOTE`, in truth `COST`."""
    timeouts = Timeouts(total=30.0)
    return Target("default", model, tuple(map(Key, keys)), Demand(1, 1, 100), QUOTE, COST, timeouts=timeouts)


def works(count: int, samples: int = 1) -> Iterable[Work]:
    """So many jobs, each for pictures of its own."""
    for number in range(1, count + 1):
        yield Work((target(*[f"k{number}.{sample}" for sample in range(samples)]),), Handle(number))


def world(config: Config = CONFIG, faults: str = "", settings: ServerSettings | None = None) -> World:
    """A world under the monitor; `faults` as `--faults` takes them."""
    settings = evolve(settings or ServerSettings(), faults=parse_faults(faults))
    return World(config, Server(settings, rng=Random(3)), rng=Random(4), wrap=lambda one: Monitor(one, config=config))


def rested(made: World) -> list[Outcome]:
    """The outcomes of a world in which nothing is held any more, in the order of the jobs."""
    assert made.engine.snapshot().at_rest
    return [outcome for _, outcome in sorted(made.outcomes.items())]


def client(driver: str, sim: SimServer, **more: Any) -> AbstractContextManager[Side]:
    """A client of the simulated provider that waits little between tries."""
    arguments = {"base_url": sim.base_url, "api_keys": [KEY], "config": Config(retry=Retry(base=0.005)), **more}
    return running(driver, "httpx2", **arguments)


def request(prompt: str = "a kettle", **more: Any) -> ImageRequest:
    """A request whose price is published."""
    return ImageRequest(**{**asked(prompt), **more})


def asked(prompt: str = "a kettle") -> dict[str, Any]:
    """The same as `generate` takes it."""
    return {"prompt": prompt, "model": "gpt-image-1.5", "size": "1024x1024", "quality": "low"}


def wait_until(there: Callable[[], bool]) -> None:
    """Until something is so; it is asked as often as that takes, and given up after a while."""
    pause, end = Event(), monotonic() + WAIT
    while not there():
        assert monotonic() < end
        pause.wait(0.002)


def inject(sim: SimServer, *faults: str) -> None:
    """Say what happens to the next requests."""
    sim.call(lambda server: server.inject(*faults))
