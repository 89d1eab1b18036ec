"""Bounds of a rate, learned from refusals that say nothing: they hold the truth, and are close soon."""

from __future__ import annotations

from math import inf
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.admission.bucket import SPREAD
from penstock.admission.learning import ERROR, Empty, Learner

RATES = st.floats(0.5, 8.0)


def drained(
    rng: Random, rate: float, over: float, refusals: int, learner: Learner, *, charged: bool, clumsy: float = 0.0
) -> list[float]:
    """A bucket that is empty at first and asked too fast: each request arrives after the one before, on varying ways.

    After a refusal the next goes when about one has been refilled; a `clumsy` share of times right away, and is often
    one of the same cluster. Returns when what was news was sent.
    """
    level, at, now, spent, previous, known, heard = 0.0, 0.0, 1.0 / rate, 0.0, -inf, True, list[float]()
    while len(heard) < refusals:
        arrival = now + rng.random() * SPREAD
        level, at = level + rate * (arrival - at), arrival
        if level >= 1.0:
            level, gap, previous, known = level - 1.0, 1.0 / (rate * over), now, True
        else:
            if known or rng.random() < 0.5:
                heard.append(now)
                behind = previous + SPREAD / 2.0 if known else -inf
                learner.empty(Empty(now + SPREAD / 2.0, spent, 1.0, exact=False, behind=behind))
                assert learner.state.low <= rate * (1.0 + 1e-9)
                assert learner.state.high >= rate * (1.0 - 1e-9)
            learner.refused(1.0)
            previous, known = now, not charged
            level, gap = level - charged, (0.2 if rng.random() < clumsy else 1.5 + charged) / rate
        spent, now = spent + 1.0, now + max(gap, 1.5 * SPREAD)
    return heard


@settings(max_examples=200)
@given(
    RATES, st.floats(1.01, 2.0), st.integers(2, 8), st.booleans(), st.booleans(), st.floats(0.0, 0.8),
    st.integers(0, 2**32),
)  # fmt: skip
def test_bounds_from_arrival_to_arrival_hold_the_rate(
    rate: float, over: float, count: int, charged: bool, known: bool, clumsy: float, seed: int
) -> None:
    """Whatever ways do, and whether or not refusals take quota (and that is known), the true rate lies between them.

    So it does where refusals that follow each other leave a debt behind.
    """
    learner = Learner(charges=charged if known else None, holds=9.0, least=1.0)
    drained(Random(seed), rate, over, count, learner, charged=charged, clumsy=clumsy)
    assert 0 == learner.state.strikes


@given(RATES, st.integers(0, 2**32))
def test_what_is_missing_at_a_refusal_is_known_by_the_request_before_it(rate: float, seed: int) -> None:
    """Who is asked a tenth too fast is known far better than to one request more or less at either end."""
    learner = Learner(charges=False, holds=9.0, least=1.0)
    first, last = drained(Random(seed), rate, 1.1, 2, learner, charged=False)
    # a tenth of a request on each side, and what ways may differ by
    assert (learner.state.high - learner.state.low) * (last - first) < 0.5 + 8.0 * SPREAD * rate


def test_a_request_that_may_have_been_refused_is_nothing_to_begin_at() -> None:
    """After it there may be less than nothing where refusals take quota: the bounds are those of the refusals alone."""
    highs = []
    for behind in (9.8, -inf):
        learner = Learner(holds=9.0, least=1.0)
        learner.empty(Empty(10.0, 50.0, 1.0, exact=False, behind=behind))
        learner.empty(Empty(20.0, 100.0, 1.0, exact=False))
        highs.append(learner.state.high)
    assert pytest.approx([51.0 / (10.2 - ERROR), 51.0 / (10.0 - ERROR)]) == highs
