"""What siblings found out of a rate is a prior, and of several suspects the one that contradicts itself is let go."""

from __future__ import annotations

from math import inf
from statistics import median

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from benchmarks._limits_cases import LAB, Case, Said
from benchmarks._limits_run import measure
from penstock.admission.bucket import Gauge
from penstock.admission.family import Family
from penstock.admission.learning import Learner
from penstock.admission.priors import convicted, hear

BOUNDS = st.tuples(st.floats(0.5, 10.0), st.floats(0.5, 10.0)).map(lambda two: (min(two), max(two)))


def learned(low: float, high: float, strikes: int = 0, least: float = 1.0, most: float = 1.0) -> Learner:
    """A learner that knows so much."""
    learner = Learner(least=least, most=most)
    learner.state = evolve(learner.state, low=low, high=high, strikes=strikes)
    return learner


@given(st.lists(BOUNDS, min_size=1, max_size=6))
def test_bounds_of_siblings_are_intersected_where_they_agree(found: list[tuple[float, float]]) -> None:
    """What is told lies within one's own bounds, and within the last that siblings told where these overlap."""
    family = Family()
    for low, high in found:
        before, lessons = family.rates.get(0), family.lessons
        least, most = family.agree(0, low, high)
        assert low <= least <= most <= high
        assert (least, most) == family.rates[0]
        if before is None or before[1] < low or high < before[0]:
            assert (low, high) == (least, most)
        else:
            assert (max(low, before[0]), min(high, before[1])) == (least, most)
        assert lessons + (before != (least, most)) == family.lessons


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (None, True),
        (learned(1.0, 2.0), True),
        (learned(100.0, 200.0, least=20.0, most=300.0), False),
        (learned(100.0, 200.0, strikes=1, least=20.0, most=300.0), True),
    ],
)
def test_who_is_convicted(other: Learner | None, *, expected: bool) -> None:
    """A suspect that would tell of another rate, since what is asked of it varies, must have contradicted itself."""
    mine = learned(1.0, 2.0)
    assert expected is convicted(mine, (mine, other))


@given(BOUNDS, BOUNDS)
def test_what_a_sibling_says_is_heard_where_it_may_be_so(own: tuple[float, float], told: tuple[float, float]) -> None:
    """A rate within both bounds is believed, and tried later; one above is tried now, one below is not believed."""
    gauge, learner = Gauge(0.0), learned(*own)
    gauge.pace(own[1], 0.0)
    gauge.probe(10.0, 0.0)
    before = (gauge.rate, gauge.quiet)
    hear(gauge, learner, told, 1.0)
    if told[0] > own[1]:
        assert (before[0], 1.0) == (gauge.rate, gauge.quiet)
    elif told[1] < own[0]:
        assert before == (gauge.rate, gauge.quiet)
    else:
        assert gauge.rate <= min(own[1], told[1]) * (1.0 + 1e-9)
        assert gauge.quiet >= 1.0 + 15.0
    assert own == (learner.state.low, learner.state.high)


@pytest.mark.parametrize("source", ["limit", "told"])
def test_what_is_configured_or_told_is_not_overruled_by_a_sibling(source: str) -> None:
    """Only what refusals taught is corrected by what they taught a sibling; nor is anything where nothing is known."""
    gauge = Gauge(0.0)
    gauge.pace(5.0, 0.0)
    gauge.source = source
    hear(gauge, learned(4.0, 6.0), (4.9, 5.0), 1.0)
    assert pytest.approx(5.0) == gauge.rate
    gauge.source = "learned"
    hear(gauge, learned(4.0, inf), (4.5, 4.6), 1.0)
    assert pytest.approx(5.0) == gauge.rate


def test_siblings_share_what_they_pay_for() -> None:
    """Two keys of 300 a minute with a second's worth at once: each pays less than 7 refusals in 1,000 calls for it."""
    runs = [measure(Case("A", Said.BARE, 1 / 60, seed=seed)) for seed in LAB]
    assert all(run.jobs == run.done and run.held <= 1.0 for run in runs)
    assert median(run.each for run in runs) <= 6.5


def test_a_suspect_that_contradicts_itself_is_let_go() -> None:
    """Where tokens vary and requests bind, tokens are suspected first, and given up as soon as they explain nothing."""
    runs = [measure(Case("Q", Said.HINTS, 1 / 60, seed=seed)) for seed in LAB]
    assert all(run.jobs == run.done for run in runs)
    assert median(run.held for run in runs) <= 1.02
