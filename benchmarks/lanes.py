"""What a decision costs with a million waiting calls and a hundred lanes, beside a bare loop over a heap.

    python -m benchmarks lanes [--waiting 1000 1000000] [--lanes 2 100] [--decisions 50000] [--check] [--count]

A decision is one call bound to one lane: everything between a fact and the order that follows from it, in lines, lanes,
quotas and budgets. Its seconds are those spent in the dispatcher; `whole` is the engine's step around it, with all four
lives, of a reply and of a timer. All lanes are at their limits, so for each decision the right moment has to be found,
too. `mixed`: 1 to 4 pictures and 100 to 4,000 tokens a request, three priorities, a hundred tenants. The bare loop
pushes and pops as many entries of a heap as large, in the same run: what this machine is worth. All is processor time
of one process for each case, without what reading the clock takes, measured in slices, of which the quickest tenth is
told: what others do on the machine is not what is measured. `bytes` is what the process grows by for each call that
waits, its request included.

With `--count` it is bytecodes and calls of functions that are counted, which no load changes: of 2,000 decisions, with
the patience that a client has unless it says otherwise.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from heapq import heapify, heappop, heappush
from itertools import product
from multiprocessing import get_context
from random import Random
from typing import TYPE_CHECKING

from attrs import frozen

from benchmarks.payloads import resident
from penstock.commands import Send
from penstock.config import Config, Credential, Limits
from penstock.engine import Engine
from penstock.events import Event, Responded, Submitted, Ticked
from penstock.ids import Handle, JobId, Key, Ref
from penstock.readings import Part, Success, Usage
from penstock.work import Demand, Priority, Target, Work

if TYPE_CHECKING:
    from types import FrameType

    from _typeshed import TraceFunction

GOAL = 20.0
"""Microseconds a decision."""

TENANTS, SLICE, COUNTED = 100, 200, 2_000


@frozen
class Cost:
    """Microseconds a decision: of the dispatcher, of the engine's whole steps, of two operations on a heap.

    `size`: bytes a call that waits.
    """

    decision: float
    whole: float
    heap: float
    size: float


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


class Counter:
    """Counts what the interpreter does in the dispatcher."""

    def __init__(self, engine: Engine) -> None:
        self.bytecodes = self.calls = 0
        self._bind = engine._rooms.dispatch.pump  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]  as below
        engine._rooms.dispatch.pump = self._pump  # type: ignore[method-assign]  # noqa: SLF001 # pyright: ignore[reportPrivateUsage]  as below

    def _pump(self) -> list:  # type: ignore[type-arg]  # as it is
        sys.settrace(self._called)
        try:
            return self._bind()
        finally:
            sys.settrace(None)

    def _called(self, frame: FrameType, event: str, arg: object) -> TraceFunction | None:
        if event == "call":
            self.calls += 1
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        else:
            self.bytecodes += event == "opcode"
        del arg
        return self._called


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


class Town:
    """An engine at its limits with a full line, whose calls are each answered after a while."""

    def __init__(self, waiting: int, lanes: int, *, mixed: bool, patience: float | None = None) -> None:
        limits = Limits(rpm=600.0, ipm=600.0, tpm=600_000.0, burst=1 / 12, concurrency=64)
        keys = tuple(Credential(f"key-{number}", limits=limits) for number in range(lanes))
        self.rng = Random(2)
        self.engine = Engine(Config(keys, notify=False, patience=patience), rng=self.rng, epoch=0.0)
        self.now = 0.0
        self._events: list[tuple[float, int, Event]] = []
        self._sent = 0
        for job, work in enumerate(works(waiting, mixed=mixed)):
            self._answer(self.engine.handle(Submitted(JobId(job), work), 0.0))

    def step(self) -> int:
        """Until the next event, with it; how many calls went."""
        deadline = self.engine.next_deadline()
        if self._events and (deadline is None or self._events[0][0] <= deadline):
            self.now, _, event = heappop(self._events)
        else:
            self.now, event = max(self.now, deadline or self.now), Ticked()
        return self._answer(self.engine.handle(event, self.now))

    def _answer(self, commands: Sequence[object]) -> int:
        """Let what was sent come back later; how many that were."""
        before = self._sent
        for command in commands:
            if isinstance(command, Send):
                self._sent += 1
                reading = Success(Usage(cost=900), (Part(0, Ref(f"b:{command.attempt}"), "1024x1024", "png", 1000),))
                at = self.now + self.rng.lognormvariate(-1.2, 0.25)
                heappush(self._events, (at, self._sent, Responded(command.attempt, 200, (), reading)))
        return self._sent - before


def measure(waiting: int, lanes: int, decisions: int, *, mixed: bool) -> Cost:
    """Fill the line, then let `decisions` calls go as their lanes have room."""
    gc.disable()
    before = resident("VmRSS")
    town = Town(waiting + decisions, lanes, mixed=mixed)
    size = (resident("VmRSS") - before) / (waiting + decisions)
    watch = Stopwatch(town.engine)
    bound, began = 0, 0
    decided: list[float] = []
    stepped: list[float] = []
    start = time.process_time()
    while bound < decisions:
        if bound - began >= SLICE:
            decided.append(watch.seconds / (bound - began) * 1e6)
            stepped.append((time.process_time() - start) / (bound - began) * 1e6)
            watch.seconds, began, start = 0.0, bound, time.process_time()
        bound += town.step()
    return Cost(quick(decided), quick(stepped), bare(waiting, decisions), size)


def counted(waiting: int, lanes: int, decisions: int, *, mixed: bool) -> tuple[float, float]:
    """Bytecodes and calls of functions a decision, with the patience that a client has."""
    town = Town(waiting + decisions, lanes, mixed=mixed, patience=Config().patience)
    bound = 0
    while bound < SLICE:
        bound += town.step()
    counter = Counter(town.engine)
    bound = 0
    while bound < decisions:
        bound += town.step()
    return counter.bytecodes / bound, counter.calls / bound


def count(cases: Sequence[tuple[int, int]]) -> None:
    """Print what is counted."""
    for mixed in (False, True):
        for lanes, waiting in cases:
            bytecodes, calls = counted(waiting, lanes, COUNTED, mixed=mixed)
            name = f"{waiting:,} wait, {lanes} lanes, {'mixed' if mixed else 'even'}"
            print(f"{name:36} {bytecodes:7.0f} bytecodes in {calls:5.1f} calls", flush=True)


def main(arguments: Sequence[str]) -> int:
    """Run it and print the figures; 1 with `--check` where a decision costs more than the goal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks lanes", description=__doc__)
    parser.add_argument("--waiting", type=int, nargs="+", default=[1_000, 1_000_000])
    parser.add_argument("--lanes", type=int, nargs="+", default=[2, 100])
    parser.add_argument("--decisions", type=int, default=50_000)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--count", action="store_true")
    options = parser.parse_args(arguments)
    cases = list(product(options.lanes, options.waiting))
    if options.count:
        count(cases)
        return 0
    failed = False
    print(f"{'':36} {'decision':>10} {'heap':>8} {'ratio':>6} {'whole step':>12} {'bytes':>7}")
    # a process for each case: the memory of one says nothing of the next, and none is taken apart again
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as alone:
        for mixed, (lanes, waiting) in product((False, True), cases):
            cost = alone.submit(measure, waiting, lanes, options.decisions, mixed=mixed).result()
            failed = failed or cost.decision > GOAL
            name = f"{waiting:,} wait, {lanes} lanes, {'mixed' if mixed else 'even'}"
            print(
                f"{name:36} {cost.decision:7.2f} us {cost.heap:5.2f} us {cost.decision / cost.heap:6.1f} "
                f"{cost.whole:9.2f} us {cost.size:7,.0f}",
                flush=True,
            )
    return int(failed and options.check)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
