"""A case over real HTTP: the client as it is shipped, against the simulated provider over loopback, in faster time.

The provider's clock runs `scale` times faster than ours; limits and latencies are scaled so that every figure that it
names is right in the client's seconds, and what may be taken at once stays the same. Ways are loopback's. What comes
out is in the provider's seconds again. Latencies and faults are drawn by the provider, not those of the optimum.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from attrs import evolve

from benchmarks._limits_cases import TOKENS, Case, Change, Said
from benchmarks._limits_optimum import Draws, optimum
from benchmarks._limits_run import QUANTITIES, Measured, name
from penstock.config import Config, Limits
from penstock.outcomes import Status
from penstock.requests import ImageRequest, Options
from penstock.simulation._door import case_of
from penstock.work import CachePolicy, OnAmbiguous
from penstock_io.asyncio import Client
from penstock_io.simserver import SimServer, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.simulation.server import Server, ServerLimits

BASE = {"A": 1.0, "B": 0.1, "C": 1.0, "D": 1.0, "E": 1.0, "F": 1.0, "G": 1.0, "H": 1 / 60}
"""The scenarios that are run over HTTP, and the burst of each."""

SEEDS = 3
SCALE = 4.0
QUALITIES: dict[int, str] = dict(zip(TOKENS, ("low", "medium", "high"), strict=True))


def cases(letters: list[str], seeds: tuple[int, ...]) -> Iterator[Case]:
    """Those of the base scenarios that were asked for, with refusals at once that cost nothing."""
    for letter, burst in BASE.items():
        if letter in letters:
            for seed in seeds:
                yield Case(letter, Said.HEADERS, burst, seed=seed)


def asked(case: Case) -> list[ImageRequest]:
    """The jobs of a case as requests."""
    return [
        ImageRequest(
            prompt=f"kettle {number} of {case.seed}",
            model="gpt-image-1.5",
            size="1024x1024",
            quality=QUALITIES.get(demand.tokens, "low"),
            n=demand.images,
        )
        for number, demand in enumerate(case.scenario.demands(case.seed))
    ]


def faster(limits: Limits, scale: float) -> Limits:
    """What a client believes whose clock runs `scale` times slower than the provider's."""
    rpm, tpm, ipm = (figure and figure * scale for figure in (limits.rpm, limits.tpm, limits.ipm))
    return evolve(limits, rpm=rpm, tpm=tpm, ipm=ipm, burst=limits.burst / scale)


def measure(case: Case, scale: float) -> Measured:
    """Run one case."""
    scenario = case.scenario
    requests = asked(case)
    settings = evolve(scenario.settings(case), faults=scenario.faults)
    with serving(settings, seed=case.seed, time_scale=scale) as sim:
        began = time.process_time()
        seconds, done = asyncio.run(_run(case, sim, requests, scale))
        cpu = time.process_time() - began
        stats = sim.stats()
    best = optimum(case, [case_of(request).demand() for request in requests], Draws(case))
    refusals = sum(stats["rejected"].get(quantity, 0) for quantity in QUANTITIES)
    return Measured(
        case, seconds * scale, best, len(requests), done, refusals, scenario.keys, cpu, 0.0, 2 * stats["received"]
    )


async def _run(case: Case, sim: SimServer, requests: list[ImageRequest], scale: float) -> tuple[float, int]:
    """Our seconds until the last result, and how many are complete."""
    scenario = case.scenario
    keys = [name(key) for key in range(scenario.keys)]
    client = Client(
        sim.base_url,
        keys,
        limits=faster(case.believed, scale),
        config=Config(patience=None, notify=False),
        on_ambiguous=OnAmbiguous.RETRY,
    )
    done = 0
    async with client:
        began = time.monotonic()
        changes = [asyncio.create_task(_change(case, sim, change, scale)) for change in scenario.changes]
        async for result in client.images.map(requests, Options(cache=CachePolicy.OFF)):
            done += result.outcome.status is Status.COMPLETED
        seconds = time.monotonic() - began
        for change in changes:
            change.cancel()
    return seconds, done


async def _change(case: Case, sim: SimServer, change: Change, scale: float) -> None:
    await asyncio.sleep(change.at / scale)
    if change.limits is not None:
        limits = case.scenario.true(case.burst, change.limits).faster(scale)
        for key in filter(change.concerns, range(case.scenario.keys)):
            await asyncio.to_thread(_relimit, sim, name(key), limits)


def _relimit(sim: SimServer, credential: str, limits: ServerLimits) -> None:
    def change(server: Server) -> None:
        server.set_limits(credential, limits, sim.now())

    sim.call(change)
