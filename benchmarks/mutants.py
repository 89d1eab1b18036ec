"""Seeded bugs of the engine: each must be noticed by the histories or the directed scenarios.

python -m benchmarks mutants [NAME ...] [--processes N]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count

from tests.mutants.run import NONE, Mutant, load, trial


def main(arguments: Sequence[str]) -> int:
    """Run them (all, or those named); 1 if one survives."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks mutants")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--processes", type=int, default=cpu_count() or 1)
    options = parser.parse_args(arguments)
    mutants = [mutant for mutant in load() if not options.names or mutant.name in options.names]
    began = time.perf_counter()
    if killer := trial(NONE):
        print(f"without any bug it fails: {killer}")
        return 1
    survived: list[Mutant] = []
    with ThreadPoolExecutor(options.processes) as pool:
        for mutant, killer in zip(mutants, pool.map(trial, mutants), strict=True):
            print(f"{'killed by ' + killer if killer else 'SURVIVED':44} {mutant.name} ({mutant.breaks})", flush=True)
            if not killer:
                survived.append(mutant)
    seconds = time.perf_counter() - began
    print(f"{len(mutants) - len(survived)} of {len(mutants)} killed, {seconds:.0f} s")
    return 1 if survived else 0
