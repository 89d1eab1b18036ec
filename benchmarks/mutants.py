"""Seeded bugs: each must be noticed by the tests it names, or by the histories and the directed scenarios.

python -m benchmarks mutants [NAME ...] [--of engine|stores|wire] [--processes N]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count

from tests.mutants.run import NONE, Mutant, load, trial


def main(arguments: Sequence[str]) -> int:
    """Run them (all, those of one file, or those named); 1 if one survives."""
    seeded = load()
    parser = argparse.ArgumentParser(prog="python -m benchmarks mutants")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--of", choices=sorted(seeded), action="append")
    parser.add_argument("--processes", type=int, default=cpu_count() or 1)
    options = parser.parse_args(arguments)
    asked = [mutant for of in options.of or seeded for mutant in seeded[of]]
    if unknown := {*options.names} - {mutant.name for mutant in asked}:
        parser.error(f"no seeded bug {', '.join(sorted(unknown))}")
    mutants = [mutant for mutant in asked if not options.names or mutant.name in options.names]
    began = time.perf_counter()
    if not all(mutant.tests for mutant in mutants) and (killer := trial(NONE)):
        print(f"without any bug it fails: {killer}")
        return 1
    survived: list[Mutant] = []
    with ThreadPoolExecutor(options.processes) as pool:
        for mutant, killer in zip(mutants, pool.map(trial, mutants), strict=True):
            what = mutant.breaks or mutant.file
            print(f"{'killed by ' + killer if killer else 'SURVIVED':44} {mutant.name} ({what})", flush=True)
            if not killer:
                survived.append(mutant)
    seconds = time.perf_counter() - began
    print(f"{len(mutants) - len(survived)} of {len(mutants)} killed, {seconds:.0f} s")
    return 1 if survived else 0
