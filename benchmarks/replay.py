"""Traces without payloads replay to the same commands; their bytes contain no prompt and no key.

Two traces are written and asked again: of a run in virtual time (limits, faults, screens, a journal, a store), and of a
real client over HTTP against the simulated provider, whose prompts and keys are then looked for in every line.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from random import Random

from penstock.config import Budget, Config, Credential, Limits
from penstock.ids import Handle, Key
from penstock.readings import Verdict
from penstock.requests import ImageRequest
from penstock.simulation.server import Latency, Server, ServerLimits, ServerSettings, parse_faults
from penstock.simulation.trace import Recorder, replay
from penstock.simulation.world import Delays, World
from penstock.work import Demand, OnAmbiguous, Screen, Target, Work
from penstock_io.asyncio import Client
from penstock_io.simserver import serving
from penstock_io.stores.memory import MemoryStore

KEYS = {"first": "sk-replay-first-0123456789abcdef", "second": "sk-replay-second-fedcba9876543210"}


def works(jobs: int) -> Iterator[Work]:
    """Requests of one to three pictures, a third of them the same as another's, all screened."""
    screens = (Screen("prompt@1", hook="screen"), Screen("picture@1", picture=True, hook="screen"))
    for number in range(jobs):
        keys = tuple(Key(f"k{number * 2 // 3}/{sample}") for sample in range(1 + number % 3))
        target = Target("default", "model", keys, Demand(1, 1, 1200), 1000, 900)
        yield Work((target,), Handle(number), tags=(f"t{number % 5}",), screens=screens)


def virtual(jobs: int) -> tuple[list[str], int]:
    """The trace of a run in virtual time, and how many jobs ended."""
    faults = parse_faults("reset=0.02,500=0.05,502=0.01")
    settings = ServerSettings(limits=ServerLimits(rpm=3000, ipm=6000, burst=0.05), faults=faults)
    credentials = tuple(Credential(name, limits=Limits(rpm=6000)) for name in ("a", "b"))
    config = Config(credentials, budget=Budget((("run", 10**12),)), journal=True, store=True)
    lines: list[str] = []
    delays = Delays(up=0.01, down=0.01, store=0.001, journal=0.002, hook=0.05)
    world = World(config, Server(settings, rng=Random(1)), rng=Random(2), delays=delays)
    world.engine = Recorder(config, rng=Random(3), epoch=1.79e9, write=lines.append)
    world.hooks["screen"] = lambda question: Verdict(question.subject.handle % 50 != 0, reason="every fiftieth")
    outcomes = world.run(works(jobs))
    return lines, len(outcomes)


def prompts(jobs: int) -> list[str]:
    """Prompts that can be found again wherever they are."""
    return [f"a violet heron number {number} over a tin roof" for number in range(jobs)]


async def over_http(base_url: str, jobs: int) -> tuple[list[str], int]:
    """The trace of a real client, and how many pictures it got."""
    lines: list[str] = []
    pictures = 0
    async with Client(
        base_url,
        KEYS,
        store=MemoryStore(),
        limits=Limits(concurrency=16),
        on_ambiguous=OnAmbiguous.RETRY,
        trace=lines.append,
    ) as client:
        asked = (ImageRequest(prompt=prompt, model="gpt-image-2", quality="low") for prompt in prompts(jobs))
        async for result in client.images.map(asked):
            pictures += len(result.images)
    return lines, pictures


def real(jobs: int) -> tuple[list[str], int]:
    """A client against a provider with limits and faults, on loopback."""
    faults = parse_faults("reset=0.02,500=0.05")
    settings = ServerSettings(limits=ServerLimits(ipm=6000, burst=0.02), latency=Latency(0.02), faults=faults)
    with serving(settings) as simulated:
        return asyncio.run(over_http(simulated.base_url, jobs))


def leaks(lines: Sequence[str], secrets: Sequence[str]) -> int:
    """In how many lines one of these strings stands."""
    return sum(1 for line in lines if any(secret in line for secret in secrets))


def main(arguments: Sequence[str]) -> int:
    """Write both traces, ask them again, look for secrets; print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks replay", description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=300)
    options = parser.parse_args(arguments)
    failed = False
    for name, (lines, ended), secrets in (
        ("virtual time", virtual(options.jobs), ()),
        ("over HTTP", real(options.requests), (*KEYS.values(), *prompts(options.requests))),
    ):
        size = sum(len(line) + 1 for line in lines)
        start = time.perf_counter()
        steps = replay(lines, Random())
        seconds = time.perf_counter() - start
        found = leaks(lines, secrets)
        failed = failed or found > 0 or steps != len(lines) - 1
        print(
            f"{name:14} {ended} ended, {steps} steps, {size / 1e6:.1f} MB of trace; replayed to the same commands in "
            f"{seconds:.1f} s; {found} lines with one of {len(secrets)} prompts and keys"
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
