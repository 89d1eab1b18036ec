"""Bounds of a rate, learned from refusals that say nothing: they hold the truth, and are close soon."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.admission.bucket import SPREAD
from penstock.admission.learning import ERROR, Empty, Learner

RATES = st.floats(0.5, 8.0)


def drained(
    rng: Random, rate: float, over: float, refusals: int, *, charged: bool, heard: Callable[[Empty], None]
) -> None:
    """A bucket that is empty at first and asked too fast: each request arrives after the one before, on varying ways.

    After a refusal the next goes when about one has been refilled.
    """
    level, at, now, spent, previous = 0.0, 0.0, 1.0 / rate, 0.0, -inf
    while refusals:
        arrival = now + rng.random() * SPREAD
        level, at = level + rate * (arrival - at), arrival
        if level >= 1.0:
            level, gap = level - 1.0, 1.0 / (rate * over)
            previous = now
        else:
            heard(Empty(now + SPREAD / 2.0, spent, 1.0, exact=False, behind=previous + SPREAD / 2.0))
            refusals, previous = refusals - 1, -inf if charged else now
            level, gap = level - charged, (1.5 + charged) / rate
        spent, now = spent + 1.0, now + max(gap, 1.5 * SPREAD)


@settings(max_examples=150)
@given(RATES, st.floats(1.01, 2.0), st.integers(2, 8), st.booleans(), st.booleans(), st.integers(0, 2**32))
def test_bounds_from_arrival_to_arrival_hold_the_rate(
    rate: float, over: float, count: int, charged: bool, known: bool, seed: int
) -> None:
    """Whatever ways do, and whether or not refusals take quota (and that is known), the true rate lies between them."""
    learner = Learner(charges=charged if known else None, holds=9.0, least=1.0)

    def heard(at: Empty) -> None:
        learner.empty(at)
        learner.refused(1.0)
        assert learner.state.low <= rate * (1.0 + 1e-9)
        assert learner.state.high >= rate * (1.0 - 1e-9)

    drained(Random(seed), rate, over, count, charged=charged, heard=heard)
    assert 0 == learner.state.strikes


@given(RATES, st.integers(0, 2**32))
def test_what_is_missing_at_a_refusal_is_known_by_the_request_before_it(rate: float, seed: int) -> None:
    """Who is asked a tenth too fast is known far better than to one request more or less at either end."""
    learner, times = Learner(charges=False, holds=9.0, least=1.0), list[float]()

    def heard(at: Empty) -> None:
        times.append(at.time)
        learner.empty(at)
        learner.refused(1.0)

    drained(Random(seed), rate, 1.1, 2, charged=False, heard=heard)
    span = times[1] - times[0]
    # a tenth of a request on each side, and what ways may differ by
    assert (learner.state.high - learner.state.low) * span < 0.5 + 8.0 * SPREAD * rate


def test_a_request_that_may_have_been_refused_is_nothing_to_begin_at() -> None:
    """After it there may be less than nothing where refusals take quota: the bounds are those of the refusals alone."""
    highs = []
    for behind in (9.8, -inf):
        learner = Learner(holds=9.0, least=1.0)
        learner.empty(Empty(10.0, 50.0, 1.0, exact=False, behind=behind))
        learner.empty(Empty(20.0, 100.0, 1.0, exact=False))
        highs.append(learner.state.high)
    assert pytest.approx([51.0 / (10.2 - ERROR), 51.0 / (10.0 - ERROR)]) == highs
