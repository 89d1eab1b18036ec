"""Limits of some pictures a minute: where each refusal that takes quota costs seconds, none may be met for nothing."""

from __future__ import annotations

from itertools import pairwise
from math import inf
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock.admission.bucket import Gauge
from penstock.admission.clusters import Cluster
from penstock.admission.family import Family
from penstock.admission.learning import Learner
from penstock.admission.quota import Quota
from penstock.config import Limits
from penstock.readings import LimitHint
from penstock.three import Three
from penstock.work import Demand
from tests.test_admission import Run, Server
from tests.test_admission_invariants import Dark

SLOW = Demand(1, 1, 0)
EACH = 12.0
"""Seconds of one picture at five a minute."""

seeds = st.integers(0, 2**32)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, burst=st.sampled_from((0.2, 1.0)))
@example(seed=628129, burst=0.2)
@example(seed=1887, burst=0.2)
def test_headers_cost_two_refusals_at_most(seed: int, burst: float) -> None:
    """Who goes before anything is known may be refused and take quota: what is owed is known from then on.

    Those replies come sooner than that of the first, which alone tells how much a bucket holds.
    """
    server = Server((None, None, 5.0), burst, charges=True)
    run = Run(Quota(Limits(), 0.0), server, [SLOW] * 12, Random(seed), headers=True)
    took = run.go(until=3600.0)
    assert server.refused <= 2
    assert took < (12 - 5 * burst + server.refused) * EACH + 3.0


@settings(max_examples=40, deadline=None)
@given(seed=seeds, burst=st.sampled_from((0.2, 1.0)), names=st.booleans())
@example(seed=6, burst=1.0, names=False)
def test_hints_cost_few_refusals(seed: int, burst: float, names: bool) -> None:
    """Some at the wall, one or more that come back too soon where nobody knows that refusals take quota, one probe."""
    server = Server((None, None, 5.0), burst, charges=True)
    run = Run(Quota(Limits(), 0.0), server, [SLOW] * 12, Random(seed), names=names, hints=True)
    took = run.go(until=3600.0)
    assert server.refused <= (4 if names else 6 if burst == 1.0 else 12)
    assert took < (12 - 5 * burst + server.refused + 1) * EACH + 3.0


def test_two_refusals_tell_that_they_cost_and_how_much() -> None:
    """Two that went one after the other: the second has to wait for longer by what a request takes of the rate."""
    family = Family()
    quota = Quota(Limits(), 0.0, family=family, eager=True)
    first, second = quota.reserve(SLOW, 0.0), quota.reserve(SLOW, 0.05)
    quota.refused(first, None, 12.0, 0.1)
    quota.refused(second, None, 23.95, 0.15)
    assert family.charges is True
    assert pytest.approx(5.0, rel=0.01) == quota.figures(0.2).images.per_minute
    assert pytest.approx(36.0, abs=0.2) == quota.ready_at(SLOW, 0.2)


def test_two_refusals_with_something_between_tell_nothing() -> None:
    """What was sent between them, or beside them, may have taken what the second has to wait for."""
    family = Family()
    quota = Quota(Limits(), 0.0, family=family, eager=True)
    first, _, third = quota.reserve(SLOW, 0.0), quota.reserve(SLOW, 0.01), quota.reserve(SLOW, 0.02)
    quota.refused(first, None, 12.0, 0.1)
    quota.refused(third, None, 23.95, 0.15)
    assert family.charges is None
    other = Quota(Limits(), 0.0, family=family, eager=True)
    one, two = other.reserve(SLOW, 0.0), other.reserve(SLOW, 0.05)
    other.refused(one, None, 0.1, 0.1)
    other.refused(two, None, 0.25, 0.15)
    assert family.charges is None


@given(st.permutations([0, 1, 2]))
def test_who_went_together_may_have_arrived_in_any_order(order: list[int]) -> None:
    """The first of a cluster is the first that was sent, with the shortest wait of those that went together."""
    quota = Quota(Limits(), 0.0, eager=True)
    permits = [quota.reserve(SLOW, 0.01 * number) for number in range(3)]
    cluster = Cluster()
    waits = {permit.order: 12.0 * place for permit, place in zip(permits, (2, 3, 1), strict=True)}
    cluster.begin(permits[order[0]], waits[permits[order[0]].order])
    for place in order[1:]:
        cluster.again(permits[place], waits[permits[place].order])
    assert permits[0] is cluster.first
    assert pytest.approx(12.02) == cluster.until


@given(st.floats(0.1, 50.0), st.floats(0.1, 50.0))
def test_bounds_that_contradict_what_is_known_change_nothing(low: float, rate: float) -> None:
    """Two bounds of a cluster narrow what is known, and never make it empty."""
    learner = Learner()
    learner.bounded(low, 2.0 * low)
    learner.bounded(rate, 1.1 * rate)
    state = learner.state
    assert state.low <= state.high
    assert low <= state.low
    assert state.high <= 2.0 * low


@given(st.floats(0.01, 50.0), st.floats(1.0, 1.019))
def test_the_edge_is_left_where_it_costs(low: float, wider: float) -> None:
    """A rate that is known within two in a hundred is believed to be its lower bound where refusals take quota."""
    learner = Learner()
    learner.bounded(low, low * wider)
    learner.charges = True
    assert low == learner.rate
    learner.charges = False
    assert low <= (learner.rate or 0.0) <= low * wider


@settings(max_examples=20, deadline=None)
@given(seed=seeds, until=st.sampled_from((60.0, 300.0)))
def test_nothing_is_tried_while_nothing_is_let_in(seed: int, until: float) -> None:
    """However long all is refused: nobody believes in a higher rate, since no request could show it."""
    server = Dark((300.0, None, None), until=until, waits=(5.0,))
    quota = Quota(Limits(), 0.0)
    run = Run(quota, server, [Demand()] * 20, Random(seed), hints=True)
    believed: list[float] = []
    while run.now < until and run.go(until=run.now + 5.0) == inf:
        believed.append(quota.figures(run.now).requests.per_minute or 0.0)
    learned = [one for one in believed if one]
    assert all(after <= before for before, after in pairwise(learned[2:]))


def test_a_rest_that_is_over_holds_nothing_back() -> None:
    """What was let in though another was refused ends the rest, and what the rest kept out may go."""
    quota, now = Quota(Limits(), 0.0), 0.0
    for _ in range(6):
        now = quota.ready_at(SLOW, now)
        permit = quota.reserve(SLOW, now)
        now += 0.1
        quota.refused(permit, None, 0.2, now)
        quota.settle(permit, Three.YES, now)
    now = quota.ready_at(SLOW, now)
    good = quota.reserve(SLOW, now)
    now = quota.ready_at(SLOW, now)
    bad = quota.reserve(SLOW, now)
    quota.refused(bad, None, 0.2, now + 0.05)
    quota.settle(bad, Three.YES, now + 0.05)
    rested = quota.ready_at(SLOW, now + 0.06)
    assert inf == quota._images.quiet  # nor is a higher rate tried until then
    quota.settle(good, Three.YES, now + 0.3)
    assert rested > now + 20.0
    assert quota.ready_at(SLOW, now + 0.4) < now + 5.0
    assert inf > quota._images.quiet


@given(st.sampled_from((5.0, 60.0, 6000.0)), st.floats(1.0, 60.0))
def test_what_is_dear_is_tried_less(limit: float, tau: float) -> None:
    """Where a refusal takes quota nothing is tried for 40 requests at least, so that one in 40 is lost at most."""
    gauge = Gauge(0.0)
    gauge.learn(limit, 0.0)
    gauge.probe(tau, 0.0)
    free = gauge.quiet
    gauge.probe(tau, 0.0, dear=True)
    assert 40.0 * 60.0 / limit <= gauge.quiet
    assert free <= gauge.quiet
    gauge.probe(tau, 100.0)
    assert 100.0 + 40.0 * 60.0 / limit <= gauge.quiet


def test_what_is_dear_is_known_to_siblings() -> None:
    """A key that was refused before another found out that it costs puts off its next try as well, if it is slow."""
    for limit, slow in ((5.0, True), (6000.0, False)):
        family = Family()
        quota = Quota(Limits(), 0.0, family=family)
        first = quota.reserve(SLOW, 0.0)
        quota.refused(first, LimitHint("images", limit, None, 1.0), 60.0 / limit, 0.1)
        quota.settle(first, Three.YES, 0.1)
        now = quota.ready_at(SLOW, 0.2)
        quota.settle(quota.reserve(SLOW, now), Three.YES, now + 0.1)
        family.charges = True
        now = quota.ready_at(SLOW, now + 0.2)
        quota.settle(quota.reserve(SLOW, now), Three.YES, now)
        assert slow == (quota._images.quiet > now + 100.0)


def test_needs_that_vary_are_tried_by_what_is_usual() -> None:
    """One small request between large ones brings no try forward."""
    gauge = Gauge(0.0)
    gauge.learn(60.0, 0.0)
    for need in (4.0, 3.0, 4.0, 1.0):
        gauge.sized(need)
    gauge.probe(10.0, 0.0, dear=True)
    assert gauge.quiet > 100.0
