"""How near to the optimum limits are used, and how often a client is refused: the study's matrix in virtual time.

    python -m benchmarks limits [--scenarios A,B] [--said headers,named,hints,bare] [--burst 1/60,0.1,1]
        [--charged | --free] [--late | --soon] [--lab] [--seeds N] [--processes N] [--check] [--each]

A line is a scenario, what the client is told, the burst (minutes' worth that may be taken at once) and whether a
refusal takes quota; it sums up all seeds, with refusals at once and up to 0.2 s late. `ratio` is the makespan to the
clairvoyant optimum, without the 2 s that every run may lose once: median / worst, and the goals. `refusals` are a key.
Where refusals take quota, what part of the optimum the median run paid for them stands behind it. An exclamation mark
stands where a goal is missed; with `--check` the exit code is then 1. At the end stands what arithmetic says of rows
that miss a goal, and of which rows it says nothing.

    python -m benchmarks limits --http [--scenarios A,B] [--seeds N] [--time-scale 4]

The base scenarios A to H over real HTTP on loopback, one after the other, in faster time: told by headers, refusals at
once that take no quota.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from itertools import product
from math import inf
from os import cpu_count
from pathlib import Path
from statistics import median

from attrs import frozen

from benchmarks import _limits_http as http
from benchmarks._limits_cases import BURSTS, COMMITTED, LAB, SCENARIOS, Case, Said
from benchmarks._limits_goals import ARITHMETIC, REACH, UNTOLD, WALLS, Goal, bare, goal, rate
from benchmarks._limits_run import Measured, measure

__all__ = ["Case", "Measured", "Said", "measure"]

SLACK = 5e-4
"""Goals are given to two digits: so much over one is not a miss."""

Row = tuple[str, str, float, bool]
"""Scenario, what is said, burst, whether refusals take quota."""


@frozen
class Line:
    """All runs of a row summed up, beside their goal."""

    row: Row
    runs: tuple[Measured, ...]
    goal: Goal

    @property
    def ratios(self) -> tuple[float, float]:
        """Median and worst."""
        held = [run.held for run in self.runs]
        return median(held), max(held)

    @property
    def refusals(self) -> tuple[float, float]:
        """Median and worst, a key."""
        each = [run.each for run in self.runs]
        return median(each), max(each)

    @property
    def paid(self) -> float:
        """What part of the optimum the refusals of the median run took, where they take quota."""
        return median(map(_paid, self.runs))

    def unpaid(self, most: float) -> bool:
        """Whether the ratios keep their goals, or stay below `most`, without what was paid for refusals."""
        rest = [run.held - _paid(run) for run in self.runs]
        worst = inf if self.goal.worst is None else max(self.goal.worst, most)
        return not _over(median(rest), max(self.goal.ratio, most)) and not _over(max(rest), worst)

    @property
    def unfinished(self) -> int:
        """Runs that did not complete every job."""
        return sum(run.done < run.jobs for run in self.runs)

    @property
    def missed(self) -> tuple[bool, bool, bool]:
        """Whether the ratio, the refusals, and the success miss their goal."""
        goal = self.goal
        ratio, slowest = self.ratios
        refusals, most = self.refusals
        return (
            _over(ratio, goal.ratio) or _over(slowest, goal.worst),
            _over(refusals, goal.refusals) or _over(most, goal.most),
            self.unfinished > 0,
        )


def _paid(run: Measured) -> float:
    return run.each / rate(run.case) / run.optimum if run.case.charged else 0.0


def _over(figure: float, most: float | None) -> bool:
    return most is not None and figure > most + SLACK


def cases(options: argparse.Namespace) -> Iterator[Case]:
    """All that were asked for."""
    charged = (True,) if options.charged else (False,) if options.free else (False, True)
    late = (True,) if options.late else (False,) if options.soon else (False, True)
    for letter in options.scenarios:
        scenario = SCENARIOS[letter]
        bursts = [burst for burst in scenario.bursts if burst in options.burst or burst not in BURSTS]
        said = [told for told in scenario.said if told in options.said]
        for told, burst in product(said, bursts):
            for costs, later in product(charged, late):
                for seed in options.picked:
                    yield Case(letter, told, burst, costs, later, seed, options.believes)


def lines(runs: Iterable[Measured]) -> list[Line]:
    """Sum up runs by row, in the order in which they came."""
    rows: dict[Row, list[Measured]] = {}
    for run in runs:
        case = run.case
        rows.setdefault((case.letter, case.said.value, case.burst, case.charged), []).append(run)
    return [Line(row, tuple(found), goal(found[0].case, found[0].optimum)) for row, found in rows.items()]


def shown(line: Line) -> str:
    """A line of the table."""
    letter, said, burst, charged = line.row
    aim = line.goal
    ratio, refusals, success = line.missed
    middle, worst = line.ratios
    often, most = line.refusals
    runs = len(line.runs)
    return (
        f"{letter:2} {said:8}{_burst(burst):>6} {'charged' if charged else 'free':8}"
        f"{middle:7.3f} /{worst:6.3f}  ({aim.ratio:.2f}{'' if aim.worst is None else f' / {aim.worst:.2f}'})".ljust(54)
        + f"{'!' if ratio else ' '} {often:6.1f} /{most:6.1f}  ({aim.refusals:g}"
        f"{'' if aim.most is None or aim.most == aim.refusals else f' / {aim.most:g}'})".ljust(28)
        + f"{'!' if refusals else ' '} {f'{line.unfinished} of {runs} unfinished !' if success else 'all done':>9}"
        f"  opt {median(run.optimum for run in line.runs):6.1f} s"
        + (f", paid for refusals {line.paid:.3f}" if line.paid else "")
    )


def _burst(burst: float) -> str:
    return str(Fraction(burst).limit_denominator(1000))


def run(wanted: Sequence[Case], processes: int, scale: float | None) -> Iterator[Measured]:
    """Measure them all, in order, in so many processes; over HTTP where a time scale is given."""
    if scale is not None:
        yield from (http.measure(case, scale) for case in wanted)
        return
    if processes <= 1:
        yield from map(measure, wanted)
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(measure, wanted, chunksize=max(1, min(16, len(wanted) // (4 * processes))))


def summary(found: Sequence[Line], runs: Sequence[Measured], seconds: float) -> str:
    """How many rows keep their goals, by what is said, and what a step costs."""
    text = [""]
    for told in Said:
        rows = [line for line in found if line.row[1] == told.value]
        if rows:
            ratio, refusals, success = (sum(line.missed[place] for line in rows) for place in range(3))
            text.append(
                f"{told.value:8} {len(rows):4} rows, goals missed: ratio {ratio}, refusals {refusals}, done {success}"
            )
    unsaid = [f"{_named(line)} ({', '.join(what)})" for line in found if (what := silent(line))]
    if unsaid:
        text.append(f"of {len(unsaid)} rows no arithmetic says why: {'; '.join(unsaid)}")
    steps = sum(run.steps for run in runs)
    cpu, deciding = sum(run.cpu for run in runs), sum(run.deciding for run in runs)
    text += [
        f"  {letter}: {ARITHMETIC[letter]}"
        for letter in ARITHMETIC
        if any(any(says_why(letter, line)) for line in found)
    ]
    each = f"; a step of the engine {deciding / steps * 1e6:.0f} us, with the simulation {cpu / steps * 1e6:.0f}"
    text.append(
        f"{len(runs)} runs in {seconds:.0f} s, {cpu / len(runs):.2f} s CPU each"
        + (each if deciding else ", HTTP and all")
    )
    return "\n".join(text)


def _named(line: Line) -> str:
    letter, said, burst, charged = line.row
    return f"{letter} {said} {_burst(burst)} {'charged' if charged else 'free'}"


def says_why(letter: str, line: Line) -> tuple[bool, bool]:
    """Whether the arithmetic under this letter says why a row missed its ratio and its refusals, and is kept itself."""
    scenario, said, _, charged = line.row
    ratio, refusals, _ = line.missed
    if letter == "bare":
        return False, refusals and said == "bare" and not _over(line.refusals[0], bare(line.runs[0].optimum))
    if letter == "charged":
        return ratio and charged and line.unpaid(0.0), False
    if scenario != letter or (said == "headers" and letter not in UNTOLD):
        return False, False
    return ratio and line.unpaid(REACH.get(letter, 0.0)), refusals and letter in WALLS


def silent(line: Line) -> list[str]:
    """What this row missed that no arithmetic says why of."""
    why = [says_why(letter, line) for letter in ARITHMETIC]
    missed = zip(("ratio", "refusals"), line.missed[:2], strict=True)
    return [what for place, (what, over) in enumerate(missed) if over and not any(said[place] for said in why)]


def main(arguments: Sequence[str]) -> int:
    """Run what was asked for and print it."""
    options = parsed(arguments)
    wanted = list(http.cases(options.scenarios, options.picked[: http.SEEDS]) if options.http else cases(options))
    if not wanted:
        print("no scenario has such a case")
        return 2
    began = time.perf_counter()
    runs: list[Measured] = []
    found: list[Line] = []
    pending: list[Measured] = []
    for one in run(wanted, options.processes, options.time_scale if options.http else None):
        runs.append(one)
        if options.each:
            print(f"    {one.case} {one.ratio:.3f} {one.held:.3f} {one.each:.1f} {one.done}/{one.jobs}", flush=True)
        if pending and _row(pending[0]) != _row(one):
            found.append(_told(pending))
            pending = []
        pending.append(one)
    found.append(_told(pending))
    print(summary(found, runs, time.perf_counter() - began))
    return int(options.check and any(any(line.missed) for line in found))


def _row(one: Measured) -> Row:
    return one.case.letter, one.case.said.value, one.case.burst, one.case.charged


def _told(pending: list[Measured]) -> Line:
    [line] = lines(pending)
    print(shown(line), flush=True)
    return line


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The options as given; `picked` are the seeds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks limits")
    add = parser.add_argument
    add("--scenarios", type=_letters, default=list(SCENARIOS), help="letters, with commas (default: all)")
    add("--said", type=_said, default=list(Said), help="headers, named, hints, bare (default: all)")
    add("--burst", type=_bursts, default=list(BURSTS), help="minutes: 1/60, 0.1, 1 (default: all)")
    costs = parser.add_mutually_exclusive_group()
    costs.add_argument("--charged", action="store_true", help="only with refusals that take quota")
    costs.add_argument("--free", action="store_true", help="only with refusals that do not")
    comes = parser.add_mutually_exclusive_group()
    comes.add_argument("--late", action="store_true", help="only with refusals up to 0.2 s late")
    comes.add_argument("--soon", action="store_true", help="only with refusals at once")
    add("--configured", choices=("yes", "no"), help="whether limits are configured (default: with headers, and in C)")
    add("--lab", action="store_true", help="the seeds to tune on, instead of the committed ones")
    add("--seeds", type=int, metavar="N", help="only the first N of them")
    add("--seed-file", type=Path, metavar="FILE", help="seeds of a file, one a line")
    add("--http", action="store_true", help="the base scenarios over real HTTP")
    add("--time-scale", type=float, default=http.SCALE, metavar="X", help="the provider's seconds in one of ours")
    add("--processes", type=int, default=cpu_count() or 1)
    add("--each", action="store_true", help="print every run")
    add("--check", action="store_true", help="exit code 1 where a goal is missed")
    options = parser.parse_args(arguments)
    seeds = LAB if options.lab else COMMITTED
    if options.seed_file is not None:
        seeds = tuple(int(line) for line in options.seed_file.read_text(encoding="utf-8").split())
    options.picked = seeds[: options.seeds]
    options.believes = None if options.configured is None else options.configured == "yes"
    return options


def _letters(text: str) -> list[str]:
    letters = text.upper().split(",")
    for letter in letters:
        if letter not in SCENARIOS:
            raise argparse.ArgumentTypeError(f"{letter!r} is none of {', '.join(SCENARIOS)}")
    return letters


def _said(text: str) -> list[Said]:
    try:
        return [Said(word) for word in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _bursts(text: str) -> list[float]:
    try:
        return [float(Fraction(word)) for word in text.split(",")]
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
