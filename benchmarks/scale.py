"""A million jobs in virtual time through the real tables, beside a bare loop of events; bytes a waiting job.

The bare loop handles the same requests and the same two events a job (Submitted, Responded) from a heap with as many in
flight, keeps a table of open jobs and decides nothing. The engine's run decides everything besides: admission, money,
four lives, commands, and the simulated provider's side. All run in this process, one after the other, with the garbage
collector off (`--gc` leaves it on); the ratio of their CPU seconds is what counts. The last figure of the first line is
a heap of numbers alone: what this machine is worth.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import sys
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from random import Random

from penstock.config import Config, Credential, Limits
from penstock.events import Event, Responded, Submitted
from penstock.ids import AttemptId, Handle, JobId, Key, Ref
from penstock.outcomes import Outcome, Status
from penstock.readings import Part, Success, Usage
from penstock.simulation.server import Server
from penstock.simulation.world import World
from penstock.work import Demand, Target, Work

IN_FLIGHT = 128
WAITING = 100_000


def bare(jobs: int) -> tuple[float, float]:
    """CPU seconds of the bare loop: of the whole, and of its heap alone."""
    rng = Random(1)
    feed = works(jobs)
    heap: list[tuple[float, int, Event]] = []
    table: dict[int, Submitted] = {}
    number = 0
    now = 0.0
    start = time.process_time()
    for job, work in enumerate(itertools.islice(feed, IN_FLIGHT)):
        number += 1
        heappush(heap, (now, number, Submitted(JobId(job), work)))
    job = IN_FLIGHT
    while heap:
        now, _, event = heappop(heap)
        number += 1
        if isinstance(event, Submitted):
            table[event.job] = event
            cost = event.work.targets[0].expected
            reading = Success(Usage(cost=cost), (Part(0, Ref(f"b:{number}"), "1024x1024", "png", 1000),))
            answer = Responded(AttemptId(event.job), 200, (), reading)
            heappush(heap, (now + rng.lognormvariate(-1.2, 0.25), number, answer))
        elif isinstance(event, Responded):
            del table[event.attempt]
            following = next(feed, None)
            if following is not None:
                job += 1
                heappush(heap, (now, number, Submitted(JobId(job), following)))
    return time.process_time() - start, heap_alone(jobs)


def heap_alone(jobs: int) -> float:
    """CPU seconds of nothing but a heap: two pushes and two pops a job, as many in flight."""
    rng = Random(1)
    heap: list[tuple[float, int]] = [(0.0, number) for number in range(IN_FLIGHT)]
    start = time.process_time()
    for number in range(2 * jobs):
        now, _ = heappop(heap)
        heappush(heap, (now + rng.random(), number))
    return time.process_time() - start


def works(jobs: int) -> Iterator[Work]:
    """Requests of one picture each, all different."""
    demand = Demand(1, 1, 1200)
    for number in range(jobs):
        yield Work((Target("default", "model", (Key(f"key-{number}"),), demand, 1000, 900),), Handle(number))


class Tally:
    """Counts outcomes without keeping them."""

    def __init__(self, world: World) -> None:
        self.completed = 0
        self._world = world

    def __call__(self, job: JobId, outcome: Outcome) -> None:
        """Take one outcome, and let go of what the world keeps for it."""
        self.completed += outcome.status is Status.COMPLETED
        del self._world.outcomes[job]


def engine(jobs: int, *, journal: bool) -> tuple[float, World, int]:
    """CPU seconds of the engine with the numeric provider, the world, and how many jobs were completed."""
    credentials = tuple(Credential(name, limits=Limits(concurrency=IN_FLIGHT // 2)) for name in ("a", "b"))
    config = Config(credentials, journal=journal, store=journal, notify=False)
    world = World(config, Server(rng=Random(1)), rng=Random(2))
    tally = world.on_finish = Tally(world)
    start = time.process_time()
    world.run(works(jobs))
    return time.process_time() - start, world, tally.completed


def waiting(jobs: int) -> float:
    """Bytes of the engine for each job that waits in line, beyond its request."""
    config = Config((Credential("a", limits=Limits(concurrency=1)),), notify=False)
    world = World(config, Server(rng=Random(1)), rng=Random(2))
    requests = list(works(jobs))
    world.works = {work.handle: work for work in requests}
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for work in requests:
        world.submit(work)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / jobs


def main(arguments: Sequence[str]) -> int:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks scale", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--gc", action="store_true", help="leave the garbage collector on")
    options = parser.parse_args(arguments)
    if not options.gc:
        gc.disable()
    loop, heap = bare(options.jobs)
    print(
        f"bare loop            {loop:8.2f} s CPU   {loop / options.jobs * 1e6:7.2f} us a job   "
        f"(a heap of numbers alone {heap / options.jobs * 1e6:.2f})"
    )
    failed = False
    for name, journal in (("engine", False), ("with journal, store", True)):
        seconds, world, completed = engine(options.jobs, journal=journal)
        rest = world.engine.snapshot().at_rest
        failed = failed or completed != options.jobs or not rest
        print(
            f"{name:20} {seconds:8.2f} s CPU   {seconds / options.jobs * 1e6:7.2f} us a job   "
            f"ratio {seconds / loop:5.1f}   {completed} completed, {world.steps} steps, at rest: {rest}"
        )
        del world
        gc.collect()
    print(f"a waiting job        {waiting(min(options.jobs, WAITING)):8.0f} bytes beyond its request")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
