"""A large reply of ten pictures through each driver into each sink: peak memory, and the longest step of a loop.

    python -m benchmarks payloads [--megabytes 100] [--rounds 3] [--only DRIVER/SINK]

The simulated provider lives in a process of its own, and so does each combination, so that nothing but the client
counts. A combination is warmed up with a small picture first (imports, threads, a connection), then it measures from
there: how far resident memory rose at its highest, and how long the loop stood still at most. For the thread driver,
which has no loop, it is the longest step of the thread that owns the engine. The memory sink ends in a store in memory,
the file sink in a journal. Each is measured in several rounds: of the memory the worst counts, of the steps the best,
because a busy machine takes the processor away for longer than any step lasts, but not every time. Exit code 1 where an
aim is missed: 1.5 times the reply, and 50 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import trio
from attrs import asdict, frozen

import penstock_io.asyncio
import penstock_io.sync
import penstock_io.trio
from penstock.events import Event
from penstock.simulation.server import Latency, ServerSettings
from penstock_io.journal import Journal
from penstock_io.resources import Result
from penstock_io.simserver import serving
from penstock_io.stores import Store
from penstock_io.stores.memory import MemoryStore

MB = 1_000_000
PICTURES = 10
SHARE = 1.5
"""How much memory a reply may take at most, as a multiple of its own length."""

STEP = 0.050
"""Seconds that a loop may stand still."""

BEAT = 0.001
"""Seconds between two heartbeats of a loop: what comes later than that is how long it stood still."""

SINKS = ("memory", "file")
HERE = (sys.executable, "-m", "benchmarks", "payloads")
ROOT = Path(__file__).parent.parent


@frozen
class Measured:
    """One combination: bytes above the start at the highest, seconds of the longest step, seconds of it all."""

    peak: int
    step: float
    seconds: float
    pictures: int
    nbytes: int


def resident(field: str) -> int:
    """Bytes of this process in memory: "VmRSS" now, "VmHWM" at the highest.

    What `getrusage` says at the highest is no use under Linux: a new program inherits the figure of whoever started it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text(encoding="ascii").splitlines() if line.startswith(field))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class Steps:
    """The longest of many, in seconds."""

    def __init__(self) -> None:
        self.longest = 0.0

    def took(self, seconds: float) -> None:
        """One more."""
        self.longest = max(self.longest, seconds)

    async def beat(self, sleep: Callable[[float], Awaitable[object]]) -> None:
        """Measure by how much a loop wakes late, until cancelled."""
        while True:
            began = perf_counter()
            await sleep(BEAT)
            self.took(perf_counter() - began - BEAT)


class Timed(penstock_io.sync.Client):
    """The client for threads, timing each step of its owner."""

    steps: Steps

    def _step(self, event: Event) -> None:
        began = perf_counter()
        try:
            super()._step(event)
        finally:
            self.steps.took(perf_counter() - began)


@frozen
class Room:
    """Where the pictures of one client go."""

    base_url: str
    store: Store | None
    journal: Journal | None


def with_threads(room: Room, n: int, steps: Steps) -> Result:
    """One request through the thread driver."""
    with Timed(room.base_url, ["key"], store=room.store, journal=room.journal) as client:
        client.steps = steps
        return client.images.generate(prompt="ten kettles", model="gpt-image-2", n=n)


def with_asyncio(room: Room, n: int, steps: Steps) -> Result:
    """One request under asyncio."""

    async def run() -> Result:
        heart = asyncio.create_task(steps.beat(asyncio.sleep))
        try:
            async with penstock_io.asyncio.Client(
                room.base_url, ["key"], store=room.store, journal=room.journal
            ) as client:
                return await client.images.generate(prompt="ten kettles", model="gpt-image-2", n=n)
        finally:
            heart.cancel()

    return asyncio.run(run())


def with_trio(room: Room, n: int, steps: Steps) -> Result:
    """One request under trio."""
    results: list[Result] = []

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(steps.beat, trio.sleep)
            async with penstock_io.trio.Client(
                room.base_url, ["key"], store=room.store, journal=room.journal
            ) as client:
                results.append(await client.images.generate(prompt="ten kettles", model="gpt-image-2", n=n))
            nursery.cancel_scope.cancel()

    trio.run(run)
    return results[0]


DRIVERS: dict[str, Callable[[Room, int, Steps], Result]] = {
    "threads": with_threads,
    "asyncio": with_asyncio,
    "trio": with_trio,
}


@contextmanager
def room(sink: str, base_url: str) -> Generator[Room]:
    """A room for one client: a store in memory, or a journal in a folder that is deleted afterwards."""
    if sink == "memory":
        yield Room(base_url, MemoryStore(1 << 30), None)
        return
    with TemporaryDirectory() as folder, Journal.open(Path(folder) / "out") as journal:
        yield Room(base_url, None, journal)


def measure(driver: str, sink: str, small: str, large: str) -> Measured:
    """One combination, in this process, from providers of small and of large pictures."""
    run = DRIVERS[driver]
    with room(sink, small) as one:
        run(one, 1, Steps())
    steps = Steps()
    with room(sink, large) as many:
        before, began = resident("VmRSS"), perf_counter()
        result = run(many, PICTURES, steps)
        seconds, peak = perf_counter() - began, resident("VmHWM")
        sizes = [_size(image.content) for image in result.images]
    return Measured(peak - before, steps.longest, seconds, len(sizes), sum(sizes))


def _size(content: bytes | Path) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def serve(nbytes: int) -> None:
    """Two providers until stdin ends: of small pictures, and of ones whose reply of ten is `nbytes` long."""
    each = nbytes // PICTURES * 3 // 4
    with ExitStack() as stack:
        for padded in (0, each):
            settings = ServerSettings(latency=Latency(0.01, 0.0), picture_bytes=padded)
            print(stack.enter_context(serving(settings)).base_url, flush=True)
        sys.stdin.read()


@contextmanager
def providers(nbytes: int) -> Generator[tuple[str, str]]:
    """The same in a process of their own: their base URLs."""
    command = [*HERE, "--serve", str(nbytes)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        yield process.stdout.readline().strip(), process.stdout.readline().strip()


def apart(driver: str, sink: str, small: str, large: str) -> Measured:
    """Measure one combination in a process of its own."""
    command = [*HERE, "--measure", driver, sink, small, large]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    return Measured(**json.loads(done.stdout))


def several(driver: str, sink: str, small: str, large: str, rounds: int) -> Measured:
    """The worst memory and the best longest step of several rounds, with all that was ever seen missing."""
    found = [apart(driver, sink, small, large) for _ in range(rounds)]
    return Measured(
        max(one.peak for one in found),
        min(one.step for one in found),
        min(one.seconds for one in found),
        min(one.pictures for one in found),
        min(one.nbytes for one in found),
    )


def compare(megabytes: int, rounds: int, only: str | None) -> int:
    """Measure all combinations and print a table; 1 where an aim is missed."""
    missed = 0
    print(f"a reply of {megabytes} MB with {PICTURES} pictures; aims: {megabytes * SHARE:.0f} MB, {STEP * 1e3:.0f} ms")
    print(f"{'driver/sink':16} {'peak MB':>9} {'longest step ms':>16} {'seconds':>8}")
    with providers(megabytes * MB) as (small, large):
        for name in [f"{driver}/{sink}" for driver in DRIVERS for sink in SINKS]:
            if only not in (None, name):
                continue
            driver, _, sink = name.partition("/")
            got = several(driver, sink, small, large, rounds)
            good = got.peak <= megabytes * MB * SHARE and got.step <= STEP and got.pictures == PICTURES
            missed += not good
            told = "" if good else "  missed"
            print(f"{name:16} {got.peak / MB:9.1f} {got.step * 1e3:16.1f} {got.seconds:8.2f}{told}", flush=True)
    return 1 if missed else 0


def main(arguments: Sequence[str]) -> int:
    """Compare all, or (`--serve`, `--measure`) be one of the processes that this needs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks payloads")
    parser.add_argument("--megabytes", type=int, default=100, help="length of the reply")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument("--only", metavar="DRIVER/SINK", help="one combination")
    parser.add_argument("--serve", type=int, metavar="BYTES", help=argparse.SUPPRESS)
    parser.add_argument("--measure", nargs=4, metavar="WORD", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve:
        serve(options.serve)
        return 0
    if options.measure:
        print(json.dumps(asdict(measure(*options.measure))))
        return 0
    return compare(options.megabytes, options.rounds, options.only)
