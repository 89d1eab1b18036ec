"""The limits benchmark: its optimum against arithmetic, its goals against the table, and a quick case as an example."""

from __future__ import annotations

from random import Random
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import _limits_http as http
from benchmarks import limits
from benchmarks._limits_cases import COMMITTED, LAB, SCENARIOS, Case, Said
from benchmarks._limits_goals import Goal, goal
from benchmarks._limits_optimum import Draws, Piece, Supply, line, lowest, optimum
from benchmarks._limits_run import ONCE, Provider, measure
from penstock.config import Limits
from penstock.work import Demand

FULL, TENTH, SECOND = 1.0, 0.1, 1 / 60


def best(letter: str, burst: float = FULL, seeds: int = 5) -> float:
    """The median optimum of a scenario."""
    found = SCENARIOS[letter]
    made = [Case(letter, found.said[0], burst, seed=seed) for seed in range(seeds)]
    return median(optimum(case, found.demands(case.seed), Draws(case)) for case in made)


@pytest.mark.parametrize(
    ("letter", "burst", "seconds"),
    [
        # (jobs - what is there) / rate, and the last reply's latency
        ("A", FULL, (1000 - 600) / 10 + 0.4),
        ("A", SECOND, (1000 - 10) / 10 + 0.4),
        ("B", TENTH, (1500 - 150) / 25 + 0.4),
        ("C", FULL, (800 - 400) / (400 / 60) + 0.4),
        ("D", FULL, 15 + (1000 - 750) / 5 + 0.4),
        ("H", SECOND, (500 - 10) / 10 + 0.4),
        ("L", FULL, 25 + (1400 - 750 - 50 - 300) / 10 + 0.4),
        ("M", FULL, 15 + (1200 - 750) / 20 + 0.4),
        ("M", SECOND, 15 + (1200 - 160) / 20 + 0.4),
        ("T", FULL, 7 * 12 + 0.3),
        ("W", FULL, (500 - 10) / 10 + 0.4),
        ("X", FULL, (1000 - 100) / 10 + 0.4),
        ("Z", FULL, (800 - 200 - 300) / 5 + 0.4),
    ],
)
def test_the_optimum_is_arithmetic(letter: str, burst: float, seconds: float) -> None:
    """What buckets hold and refill says when the last request can go; its latency comes on top."""
    assert seconds == pytest.approx(best(letter, burst), abs=0.35)


def test_the_optimum_agrees_with_the_study() -> None:
    """The figures of the study whose scenarios these are, of which it says enough to know."""
    study = {"A": 40.3, "C": 60.4, "D": 65.3, "S": 41.8, "K": 39.4, "L": 55.3, "M": 38.0, "U": 22.4}
    assert {letter: best(letter) for letter in study} == pytest.approx(study, rel=0.05)


CURVES = st.lists(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 30), st.integers(0, 5)), min_size=1, max_size=3),
    min_size=1,
    max_size=3,
)


def curve(steps: list[tuple[int, int, int]]) -> list[Piece]:
    """A curve that begins at 0 and never falls."""
    pieces: list[Piece] = []
    begun = [(0, *steps[0][1:]), *sorted(steps[1:])]
    for at, jump, rate in begun:
        level = line(pieces, float(at))[0] if pieces else 0.0
        pieces.append((float(at), level + jump, float(rate)))
    return pieces


@settings(max_examples=200)
@given(CURVES, st.floats(0.0, 40.0))
def test_lowest_and_sum_of_curves(steps: list[list[tuple[int, int, int]]], at: float) -> None:
    """At any time the lowest of several curves is their least value, and the sum their sum."""
    curves = [curve(one) for one in steps]
    values = [line(one, at)[0] for one in curves]
    assert min(values) == pytest.approx(line(lowest(curves), at)[0], abs=1e-6)
    supply = Supply.of(curves)
    assert sum(values) == pytest.approx(line(supply.pieces, at)[0], abs=1e-6)


@settings(max_examples=200)
@given(CURVES, st.floats(0.5, 100.0))
def test_when_so_much_is_there(steps: list[list[tuple[int, int, int]]], amount: float) -> None:
    """`when` names the first moment: there it is, and shortly before it was not."""
    supply = Supply.of([curve(one) for one in steps])
    at = supply.when(amount)
    if at == float("inf"):
        assert line(supply.pieces, 1e9)[0] < amount + 1.0
        return
    assert line(supply.pieces, at)[0] >= amount - 1e-6
    if at > 0.01:
        assert line(supply.pieces, at - 0.01)[0] < amount


def test_the_run_and_the_optimum_draw_the_same() -> None:
    """An attempt of a job has one latency and one fate, in whatever order jobs come; a refused one uses up neither."""
    case = Case("E", burst=SECOND, seed=5)
    draws, provider = Draws(case), Provider(case, Draws(case))
    jobs = list(range(37))
    Random(1).shuffle(jobs)
    tries = dict.fromkeys(jobs, 0)
    for number in range(400):
        job = jobs[number % 37]
        found = provider.admit("key", Demand(1, 1), number * 0.1, identity=str(job), call=str(number))
        if found.admitted:
            expected = draws.of(job, tries[job])
            tries[job] += 1
            slow = expected.fault != "500"
            assert (expected.fault, expected.latency if slow else 0.01) == (found.fault, found.delay)
    assert sum(provider.books.rejected.values()) > 50
    assert sum(tries.values()) > 150


def test_faults_come_as_often_as_said() -> None:
    """Of many attempts 5 % are errors and 1 % resets, and latencies have the median that is named."""
    draws = Draws(Case("E", seed=3))
    made = [draws.of(job, 0) for job in range(4000)]
    faults = [draw.fault for draw in made]
    assert (0.05, 0.01) == pytest.approx((faults.count("500") / 4000, faults.count("reset") / 4000), abs=0.01)
    assert 0.3 == pytest.approx(median(draw.latency for draw in made), abs=0.02)


def test_a_quick_case() -> None:
    """One key of five pictures a minute that tells its limits: twelve jobs, near the optimum, and always the same."""
    case = Case("T", Said.HEADERS, 1.0, seed=1000)
    found = measure(case)
    assert (12, 12, 1) == (found.done, found.jobs, found.keys)
    assert 84.0 < found.optimum < 87.0
    assert 0.99 < found.ratio
    again = measure(case)
    assert (found.seconds, found.refusals, found.steps) == (again.seconds, again.refusals, again.steps)


@pytest.mark.parametrize("seed", [3, 4, 5, 6])
def test_refusals_that_take_quota_are_no_livelock(seed: int) -> None:
    """Five pictures a minute from a bucket of one, nothing said, and each refusal takes what refills: all are done."""
    found = measure(Case("T", Said.BARE, 1 / 5, charged=True, late=seed % 2 == 0, seed=seed))
    assert (12, 12) == (found.done, found.jobs)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (Case("A"), Goal(1.01, 1.02, 0.0, 0.0)),
        (Case("A", burst=SECOND, charged=True, late=True), Goal(1.01, 1.02, 0.0, 0.0)),
        (Case("D"), Goal(1.01, 1.02, 2.0, 2.0)),
        (Case("K"), Goal(1.01, 1.04, 0.0, 0.0)),
        (Case("O", burst=1 / 300), Goal(1.02 + 2 * 5 * 0.029, None, 6.0, 20.0)),
        (Case("A", Said.NAMED), Goal(1.01, None, 7.0)),
        (Case("A", Said.NAMED, charged=True), Goal(1.04, None, 7.0)),
        (Case("A", Said.HINTS), Goal(1.02, None, 12.0)),
        (Case("A", Said.HINTS, charged=True), Goal(1.06, None, 12.0)),
        (Case("A", Said.BARE), Goal(1.03, 1.06, 12.0, 20.0)),
        (Case("A", Said.BARE, charged=True), Goal(1.20, 1.20, 12.0, 20.0)),
        (Case("L", Said.HINTS), Goal(1.15, None, 12.0)),
        (Case("D", Said.NAMED), Goal(1.02, None, 7.0)),
        (Case("Q", Said.BARE), Goal(1.05, None, 20.0)),
        (Case("U", Said.BARE), Goal(1.10, None, 10.0)),
    ],
)
def test_goals(case: Case, expected: Goal) -> None:
    """The table of goals, row by row."""
    assert expected == goal(case, 40.3)


def test_tables_say_what_is_missed(capsys: pytest.CaptureFixture[str]) -> None:
    """`main` prints a line a row with goals beside figures; with --check a missed goal is exit code 1."""
    words = "--scenarios T --said bare --free --soon --lab --seeds 2 --processes 1".split()
    assert 0 == limits.main(words)
    said = capsys.readouterr().out.splitlines()
    assert ["T  bare       1/5 free", "T  bare         1 free"] == [row[:22] for row in said[:2]]
    assert ("(1.03 / 1.06)" in said[1], "all done" in said[1]) == (True, True)
    assert said[3].startswith("bare        2 rows, goals missed: ")
    assert said[-1].startswith("4 runs in ")
    runs = [measure(Case("T", Said.HEADERS, 1.0, seed=seed)) for seed in (1, 2)]
    [row] = limits.lines(runs)
    assert (False, False, False) == limits.Line(row.row, row.runs, Goal(9.0, 9.0, 99.0, 99.0)).missed
    assert (True, False, False) == limits.Line(row.row, row.runs, Goal(0.1, None, 99.0)).missed
    assert (True, False, False) == limits.Line(row.row, row.runs, Goal(9.0, 0.1, 99.0)).missed
    assert (False, True, False) == limits.Line(row.row, row.runs, Goal(9.0, None, -1.0)).missed
    assert (False, True, False) == limits.Line(row.row, row.runs, Goal(9.0, None, 99.0, -1.0)).missed
    assert "!" in limits.shown(limits.Line(row.row, row.runs, Goal(0.1, None, 99.0)))


def line_of(case: Case, held: float, refusals: int) -> limits.Line:
    """A row of one run with a ratio and refusals that are given."""
    best_ = 100.0
    run = limits.Measured(case, held * best_ + ONCE, best_, 1000, 1000, refusals, 2, 1.0, 1.0, 1)
    return limits.Line((case.letter, case.said.value, case.burst, case.charged), (run,), goal(case, best_))


@pytest.mark.parametrize(
    ("case", "held", "refusals", "unsaid"),
    [
        (Case("A", charged=True), 1.005, 0, []),
        # ten refusals a key at five requests a second are 2 s of 100
        (Case("A", Said.NAMED, charged=True), 1.055, 20, ["refusals"]),
        (Case("A", Said.NAMED, charged=True), 1.055, 10, ["ratio"]),
        (Case("A", Said.NAMED), 1.055, 20, ["ratio", "refusals"]),
        (Case("L", Said.HINTS), 1.155, 0, ["ratio"]),
        (Case("B", Said.HINTS), 13.0, 0, []),
        (Case("B", Said.HINTS), 14.0, 0, ["ratio"]),
        (Case("B"), 13.0, 0, ["ratio"]),
        (Case("X"), 1.0, 30, []),
        (Case("P"), 1.0, 30, ["refusals"]),
        (Case("A", Said.BARE), 1.0, 30, []),
        (Case("A", Said.BARE), 1.0, 40, ["refusals"]),
    ],
)
def test_arithmetic_is_held_to_what_it_says(case: Case, held: float, refusals: int, unsaid: list[str]) -> None:
    """A goal that is missed by more than its arithmetic allows is not said to be impossible."""
    assert unsaid == limits.silent(line_of(case, held, refusals))


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ("--scenarios A --said headers,bare --burst 1/60,1 --lab", 2 * 2 * 4 * 6),
        ("--scenarios A --said named --burst 0.1 --charged --late", len(COMMITTED)),
        ("--scenarios I,H --said headers --free --soon --seeds 3", 3),
        ("--scenarios O --burst 1 --said bare --charged --lab", 2 * 6),
    ],
)
def test_what_is_asked_for(words: str, count: int) -> None:
    """Scenarios, words, bursts, habits and seeds multiply; a scenario keeps to what makes sense in it."""
    made = list(limits.cases(limits.parsed(words.split())))
    assert count == len(made) == len(set(made))
    assert {case.seed for case in made} <= {*LAB, *COMMITTED}


def test_nothing_was_tuned_on_the_committed_seeds() -> None:
    """They are twenty at least, and none of them is one of the lab's."""
    assert len(set(COMMITTED)) >= 20
    assert not {*LAB} & {*COMMITTED}


def test_a_quick_case_over_http() -> None:
    """Twelve jobs over loopback, a hundred times faster: all are done, and no sooner than the provider lets them."""
    found = http.measure(Case("T", Said.HEADERS, 1.0, seed=1000), 100.0)
    assert (12, 12, 1) == (found.done, found.jobs, found.keys)
    assert 83.0 < found.seconds


def test_cases_over_http() -> None:
    """The base scenarios, each with its own burst, for each seed."""
    made = list(http.cases(["A", "H", "J"], (1, 2)))
    assert [("A", FULL, 1), ("A", FULL, 2), ("H", SECOND, 1), ("H", SECOND, 2)] == [
        (case.letter, case.burst, case.seed) for case in made
    ]


def test_a_faster_provider_looks_the_same() -> None:
    """What a client believes of limits grows with the provider's clock; what it may take at once does not."""
    assert Limits(rpm=1200, tpm=40, concurrency=9, burst=0.25) == http.faster(Limits(rpm=300, tpm=10, concurrency=9), 4)
