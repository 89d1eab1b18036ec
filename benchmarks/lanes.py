"""What a decision costs with a million waiting calls and a hundred lanes, beside a bare loop over a heap.

    python -m benchmarks lanes [--waiting 1000000] [--lanes 100] [--decisions 50000] [--check]

A decision is one call bound to one lane: everything between a fact and the order that follows from it, in lines, lanes,
quotas and budgets. Its seconds are those spent in the dispatcher; `whole` is the engine's step around it, with all four
lives, of a reply and of a timer. All lanes are at their limits, so for each decision the right moment has to be found,
too. `mixed`: 1 to 4 pictures and 100 to 4,000 tokens a request, three priorities, a hundred tenants. The bare loop
pushes and pops as many entries of a heap as large, in the same run: what this machine is worth. All is processor time
of this process, without what reading the clock takes, measured in slices, of which the quickest tenth is told: what
others do on the machine is not what is measured.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Iterator, Sequence
from heapq import heapify, heappop, heappush
from random import Random

from attrs import frozen

from penstock.commands import Send
from penstock.config import Config, Credential, Limits
from penstock.engine import Engine
from penstock.events import Event, Responded, Submitted, Ticked
from penstock.ids import Handle, JobId, Key, Ref
from penstock.readings import Part, Success, Usage
from penstock.work import Demand, Priority, Target, Work

GOAL = 20.0
"""Microseconds a decision."""

TENANTS, SLICE = 100, 200


@frozen
class Cost:
    """Microseconds a decision: of the dispatcher, of the engine's whole steps, of two operations on a heap."""

    decision: float
    whole: float
    heap: float


def works(count: int, *, mixed: bool) -> Iterator[Work]:
    """Requests of one picture each, all alike, or of all kinds."""
    rng = Random(1)
    even = Demand(1, 1, 1200)
    for number in range(count):
        demand = Demand(1, rng.randint(1, 4), rng.randint(100, 4000)) if mixed else even
        target = Target("default", "model", (Key(f"key-{number}"),), demand, 1000, 900)
        tenant = f"tenant {rng.randrange(TENANTS)}" if mixed else ""
        priority = Priority(rng.randrange(3)) if mixed else Priority.NORMAL
        yield Work((target,), Handle(number), tenant=tenant, priority=priority)


def bare(waiting: int, decisions: int) -> float:
    """Microseconds for a push and a pop on a heap of numbers as large."""
    rng = Random(1)
    heap = [(rng.random(), number) for number in range(waiting)]
    heapify(heap)
    slices: list[float] = []
    for _ in range(decisions // SLICE):
        start = time.process_time()
        for number in range(SLICE):
            at, _ = heappop(heap)
            heappush(heap, (at + rng.random(), number))
        slices.append((time.process_time() - start) / SLICE * 1e6)
    return quick(slices)


def clock() -> float:
    """Seconds that reading the clock takes."""
    start = time.process_time()
    for _ in range(10_000):
        time.process_time()
    return (time.process_time() - start) / 10_000


def quick(slices: Sequence[float]) -> float:
    """The slowest of the quickest tenth."""
    return sorted(slices)[len(slices) // 10]


class Stopwatch:
    """Sums up the seconds that the dispatcher takes."""

    def __init__(self, engine: Engine) -> None:
        self.seconds = 0.0
        self._clock = clock()
        self._rooms = engine._rooms  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]  what is measured lies within
        self._bind = self._rooms.dispatch.pump
        self._rooms.dispatch.pump = self._pump  # type: ignore[method-assign]  # measured from outside

    def _pump(self) -> list:  # type: ignore[type-arg]  # as it is
        start = time.process_time()
        found = self._bind()
        self.seconds += time.process_time() - start - self._clock
        return found


def measure(waiting: int, lanes: int, decisions: int, *, mixed: bool) -> Cost:
    """Fill the line, then let `decisions` calls go as their lanes have room, each answered after a while."""
    rng = Random(2)
    limits = Limits(rpm=600.0, ipm=600.0, tpm=600_000.0, burst=1 / 12, concurrency=64)
    config = Config(
        tuple(Credential(f"key-{number}", limits=limits) for number in range(lanes)), notify=False, patience=None
    )
    engine = Engine(config, rng=rng, epoch=0.0)
    events: list[tuple[float, int, Event]] = []
    number = 0
    for job, work in enumerate(works(waiting + decisions, mixed=mixed)):
        number += _answered(events, engine.handle(Submitted(JobId(job), work), 0.0), 0.0, rng, number)
    watch = Stopwatch(engine)
    bound, now, began = 0, 0.0, 0
    decided: list[float] = []
    stepped: list[float] = []
    start = time.process_time()
    while bound < decisions:
        if bound - began >= SLICE:
            decided.append(watch.seconds / (bound - began) * 1e6)
            stepped.append((time.process_time() - start) / (bound - began) * 1e6)
            watch.seconds, began, start = 0.0, bound, time.process_time()
        deadline = engine.next_deadline()
        if events and (deadline is None or events[0][0] <= deadline):
            now, _, event = heappop(events)
        else:
            now, event = max(now, deadline or now), Ticked()
        more = _answered(events, engine.handle(event, now), now, rng, number + bound)
        bound += more
    return Cost(quick(decided), quick(stepped), bare(waiting, decisions))


def _answered(
    events: list[tuple[float, int, Event]], commands: Sequence[object], now: float, rng: Random, number: int
) -> int:
    """Let what was sent come back later; how many that were."""
    sent = 0
    for command in commands:
        if isinstance(command, Send):
            sent += 1
            reading = Success(Usage(cost=900), (Part(0, Ref(f"b:{command.attempt}"), "1024x1024", "png", 1000),))
            at = now + rng.lognormvariate(-1.2, 0.25)
            heappush(events, (at, number + sent, Responded(command.attempt, 200, (), reading)))
    return sent


def main(arguments: Sequence[str]) -> int:
    """Run it and print the figures; 1 with `--check` where a decision costs more than the goal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks lanes", description=__doc__)
    parser.add_argument("--waiting", type=int, default=1_000_000)
    parser.add_argument("--lanes", type=int, default=100)
    parser.add_argument("--decisions", type=int, default=50_000)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args(arguments)
    gc.disable()
    failed = False
    print(f"{'':28} {'decision':>10} {'heap':>8} {'ratio':>7} {'whole step':>12}")
    cases = [(1_000, 2), (options.waiting, 2), (1_000, options.lanes), (options.waiting, options.lanes)]
    for mixed in (False, True):
        for waiting, lanes in cases:
            cost = measure(waiting, lanes, options.decisions, mixed=mixed)
            failed = failed or cost.decision > GOAL
            name = f"{waiting:,} wait, {lanes} lanes, {'mixed' if mixed else 'even'}"
            print(
                f"{name:36} {cost.decision:7.2f} us {cost.heap:5.2f} us {cost.decision / cost.heap:6.1f} "
                f"{cost.whole:9.2f} us",
                flush=True,
            )
            gc.collect()
    return int(failed and options.check)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
