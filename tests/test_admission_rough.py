"""Times to full that are told in whole seconds, as moments are: what a bucket holds is then known roughly."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from penstock.admission.headers import RateReport, Told
from penstock.admission.quota import Quota
from penstock.config import Limits
from penstock.three import Three
from penstock.work import Demand

ROUNDINGS: tuple[Callable[[float], int], ...] = (floor, round, ceil)
"""How servers make whole seconds of a moment."""


@given(
    limit=st.sampled_from((6_000, 120_000, 3_000_000)),
    minutes=st.sampled_from((1 / 60, 1 / 6, 1.0)),
    rounding=st.sampled_from(ROUNDINGS),
    seed=st.integers(0, 2**32),
)
def test_nothing_is_given_up_that_a_bucket_holds(
    limit: int, minutes: float, rounding: Callable[[float], int], seed: int
) -> None:
    """A moment in whole seconds fails no request that the bucket can hold, and what remained was there."""
    rng = Random(seed)
    rate, holds = limit / 60.0, limit * minutes
    quota, level, now = Quota(Limits(), 0.0), holds, 0.0
    for _ in range(8):
        demand = Demand(1, 0, max(1, int(level * rng.uniform(0.01, 0.9))))
        later = max(now + rng.uniform(0.0, 60.0 * minutes), quota.ready_at(demand, now))
        level, now = min(holds, level + rate * (later - now)), later
        permit = quota.reserve(demand, now)
        level -= demand.tokens
        full = now + (holds - level) / rate
        told = Told(limit, floor(level), max(0.0, rounding(full) - now), 1.0)
        quota.heard(permit, RateReport(tokens=told), now)
        quota.settle(permit, Three.YES, now)
        assert quota.never(Demand(1, 0, int(holds))) is None
        assert quota.figures(now).tokens.capacity >= floor(level)
