"""Random histories of the engine under its monitor: how many, how fast, and whether a promise was broken.

    python -m benchmarks histories [--count 100000] [--processes 4] [--first 0] [--money]

Each seed is one history: any interleaving of answers, failures, cancellations, timers, reconfigurations and closing,
held against the contract line by line and a bill kept apart. With `--money` the histories are worlds that try to
overspend (tests/histories/money_world.py): several payers, caps that change, crashes, replies that bill and are lost.
Exit code 1 names the seeds that failed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from os import cpu_count

from penstock.errors import UsageError
from tests.histories.generate import history
from tests.histories.money_world import drawn, story

BATCH = 500
SHOWN = 20


def batch(first: int, last: int, money: bool) -> tuple[int, list[tuple[int, str]]]:
    """Run seeds `first` to `last` - 1: the steps taken, and the seeds that failed with what was said."""
    steps = 0
    failed: list[tuple[int, str]] = []
    for seed in range(first, last):
        try:
            steps += story(drawn(seed)).world.steps if money else history(seed).steps
        except (AssertionError, UsageError) as error:
            failed.append((seed, f"{type(error).__name__}: {error}"[:200]))
    return steps, failed


def main(arguments: Sequence[str]) -> int:
    """Run them all and print figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks histories")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--processes", type=int, default=cpu_count() or 1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--money", action="store_true")
    options = parser.parse_args(arguments)
    last = options.first + options.count
    bounds = [(first, min(first + BATCH, last), options.money) for first in range(options.first, last, BATCH)]
    began = time.perf_counter()
    steps = 0
    failed: list[tuple[int, str]] = []
    with ProcessPoolExecutor(options.processes) as pool:
        for more, broken in pool.map(batch, *zip(*bounds, strict=True)):
            steps += more
            failed += broken
    seconds = time.perf_counter() - began
    print(f"{options.count} histories, {steps} steps, {seconds:.1f} s in {options.processes} processes")
    print(f"{len(failed)} failed")
    for seed, said in failed[:SHOWN]:
        print(f"  seed {seed}: {said}")
    return 1 if failed else 0
