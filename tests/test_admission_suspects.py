"""Which quantity binds where no refusal says so: the sizes of what is refused tell, and of two the faster is tried."""

from __future__ import annotations

from math import inf, log
from random import Random
from statistics import median

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from penstock.admission.bucket import Gauge
from penstock.admission.family import Family
from penstock.admission.learning import Learner
from penstock.admission.quota import Quota
from penstock.admission.suspects import Sizes, Suspects
from penstock.config import Limits
from penstock.work import Demand
from tests.test_admission import Run, Server

TOKENS = (272, 1056, 4160)
NEEDS = st.lists(st.floats(1.0, 10_000.0), min_size=1, max_size=30)


def weighed(needs: list[float], *, paced: bool) -> list[float]:
    """What the refusal of each of these says, after all of them were sent."""
    found: list[float] = []
    for need in needs:
        sizes = Sizes()
        for other in needs:
            sizes.sent(other)
        sizes.refused(need, paced=paced)
        found.append(sizes.weight)
    return found


@given(NEEDS)
def test_sizes_speak_for_what_is_true_on_the_average(needs: list[float]) -> None:
    """Where it binds refusals speak for it, and where it does not against it: unpaced by size, paced by none."""
    total, inverse = sum(needs), sum(1.0 / need for need in needs)
    free, paced = weighed(needs, paced=False), weighed(needs, paced=True)
    assert sum(need / total * weight for need, weight in zip(needs, free, strict=True)) >= -1e-9
    assert sum(free) <= 1e-9
    assert sum(paced) >= -1e-9
    assert sum(weight / need / inverse for need, weight in zip(needs, paced, strict=True)) <= 1e-9


@given(st.floats(1.0, 1e5), st.booleans())
def test_requests_that_are_alike_tell_nothing(need: float, paced: bool) -> None:
    """Sizes that do not vary speak neither for a quantity nor against it."""
    sizes = Sizes()
    sizes.refused(need, paced=paced)
    for _ in range(5):
        sizes.sent(need)
        sizes.refused(need, paced=paced)
    assert pytest.approx(0.0, abs=1e-6) == sizes.weight
    assert pytest.approx(1.0 / need) == sizes.share


def suspects(requests: float, tokens: float, strikes: int = 0) -> tuple[Suspects, tuple[Gauge, Gauge, Gauge], Family]:
    """Two quantities of which refusals taught these rates a second, for requests of 100 tokens."""
    gauges, family = (Gauge(0.0), Gauge(0.0), Gauge(0.0)), Family()
    known: list[Learner | None] = [Learner(), Learner(), None]
    for learner, rate in zip(known, (requests, tokens), strict=False):
        if learner is not None:
            learner.state = evolve(learner.state, low=rate, high=rate, strikes=strikes if learner is known[1] else 0)
    found = Suspects(gauges, known, family)
    for _ in range(10):
        found.sent((1, 100, 0))
    return found, gauges, family


def test_of_two_the_faster_is_believed() -> None:
    """A slow one that is wrong would never be refused; a fast one that is wrong is found out by the next refusal."""
    assert 0 == suspects(5.0, 100.0)[0].likeliest([0, 1], (1, 100, 0), -1, 0.0)
    assert 1 == suspects(1.0, 500.0)[0].likeliest([0, 1], (1, 100, 0), -1, 0.0)
    assert 1 == suspects(5.0, 500.0)[0].likeliest([0, 1], (1, 100, 0), -1, 0.0)  # tokens, all else being equal
    assert 0 == suspects(5.0, 500.0, strikes=1)[0].likeliest([0, 1], (1, 100, 0), -1, 0.0)


def test_what_is_not_believed_any_more_is_tried_out() -> None:
    """It may bind all the same, so it is kept to; but if it does not it must not hold up anything for long."""
    found, gauges, family = suspects(5.0, 500.0)
    gauges[1].pace(500.0, 7.0)
    assert inf == gauges[1].quiet
    family.sizes[1].weight = -log(100.0)
    assert 0 == found.likeliest([0, 1], (1, 100, 0), 1, 7.0)
    assert 7.0 == gauges[1].quiet
    assert "learned" == gauges[1].source


def makespans(limits: tuple[float | None, float | None, None], best: float) -> float:
    """The median ratio to the best, of twenty runs with requests that take 272 to 4160 tokens, nothing being said."""
    ratios: list[float] = []
    for seed in range(20):
        rng = Random(seed)
        demands = [Demand(1, 0, rng.choice(TOKENS)) for _ in range(200)]
        server = Server(limits, 1 / 30)
        ratios.append(Run(Quota(Limits(), 0.0), server, demands, rng).go() / best)
        assert len(demands) == server.admitted
    return median(ratios)


def test_whichever_binds_is_found_out() -> None:
    """Requests or tokens: a run takes little longer than one that knows, though the refusals say nothing at all."""
    assert makespans((300.0, None, None), 190 / 5.0) < 1.15
    assert makespans((3000.0, 500_000.0, None), 200 * sum(TOKENS) / 3 / (500_000.0 / 60.0)) < 1.2
