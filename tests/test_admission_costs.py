"""What refusals and errors cost, found out from what follows them; and rates that are known badly."""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from penstock.admission.bucket import Gauge
from penstock.admission.costs import Costs
from penstock.admission.family import Family
from penstock.admission.learning import Empty, Learner
from penstock.admission.permits import Permit
from penstock.admission.quota import Quota
from penstock.admission.taking import take
from penstock.config import Limits
from penstock.readings import LimitHint
from penstock.three import Three
from penstock.work import Demand

SLOW = Demand(1, 1, 0)
QUICK = Demand(1, 0, 0)
RATE = 5.0


def learned(errors: list[int], *, taken: bool, late: bool = False) -> Learner:
    """What ten seconds teach each, of which so many requests ended in an error that was or was not `taken`."""
    learner, sent, order = Learner(), 0.0, 0
    for number, failed in enumerate([0, *errors]):
        first, at = order, 10.0 * number
        if number:
            sent += RATE * 10.0 + (0.0 if taken else failed)
        order += 100
        empty = Empty(at, sent, 1.0, exact=True, order=order)
        orders = [first + 1 + place for place in range(failed)]
        if late:  # they are heard of when the refusal after them has been
            learner.empty(Empty(at, sent, 1.0, exact=True, order=order, failed=learner.before_it(order)))
            for one in orders:
                learner.failed(one, 1.0)
        else:
            for one in orders:
                learner.failed(one, 1.0)
            learner.empty(Empty(empty.time, sent, 1.0, exact=True, order=order, failed=learner.before_it(order)))
    return learner


@given(st.lists(st.integers(0, 9), min_size=4, max_size=8), st.booleans())
def test_hints_show_whether_errors_take_quota(errors: list[int], taken: bool) -> None:
    """The same refusals tell one rate if errors are counted and another if they are not; the true one is held."""
    learner = learned(errors, taken=taken)
    assert learner.errors in {None, taken}
    assert learner.state.low <= RATE + 1e-9
    assert learner.state.high >= RATE - 1e-9
    assert 0 == learner.state.strikes


@pytest.mark.parametrize("taken", [True, False])
def test_a_few_errors_are_enough(taken: bool) -> None:
    """Where not every window has as many of them, it is known after some."""
    assert learned([0, 6, 1, 8, 0], taken=taken).errors is taken


@given(st.lists(st.integers(0, 9), min_size=2, max_size=8), st.booleans())
def test_errors_heard_of_late_count_where_they_belong(errors: list[int], taken: bool) -> None:
    """Bounds do not depend on whether an error is heard of before the refusal that went after it, or behind it."""
    soon, late = learned(errors, taken=taken).state, learned(errors, taken=taken, late=True).state
    assert pytest.approx((soon.low, soon.high, soon.strikes)) == (late.low, late.high, late.strikes)


@pytest.mark.parametrize("errors", [True, None, False])
def test_an_error_that_takes_nothing_is_given_back(errors: bool | None) -> None:
    """As soon as it is learned, and not before, what an error did not take may go again."""
    family = Family(errors=errors)
    quota = Quota(Limits(ipm=5), 0.0, family=family)
    permits = [quota.reserve(SLOW, 1.0 * number) for number in range(5)]
    quota.refused(permits[0], None, 1.0, 5.0)
    before = quota.figures(5.0).images.level
    quota.failed(permits[1], 5.0)
    assert pytest.approx(before + (errors is False)) == quota.figures(5.0).images.level


@given(st.floats(0.5, 20.0), st.floats(3.0, 100.0))
def test_what_is_let_in_raises_a_rate_that_is_hardly_known(rate: float, factor: float) -> None:
    """No second refusal is needed to see that a bucket gives more than the least it may give."""
    learner = Learner()
    learner.empty(Empty(0.0, 0.0, 1.0, exact=False))
    learner.bounded(0.0, factor * rate)
    before, spent = learner.rate or 0.0, 0.0
    for number in range(1, 400):
        learner.admitted(number / rate, spent, 1.0)
        spent += 1.0
    assert learner.state.low <= rate * 1.01
    assert learner.state.low >= min(rate / 1.3, factor * rate / 2.6)
    assert (learner.rate or 0.0) >= before
    assert learner.state.high == pytest.approx(factor * rate)


@given(st.floats(0.5, 1.0), st.floats(0.05, 3.0))
def test_what_follows_a_refusal_shows_what_it_cost(gap: float, later: float) -> None:
    """Let in before what it took could be there again: it took nothing. Refused though enough was there: it did."""
    for let_in in (True, False):
        family = Family()
        quota = Quota(Limits(), 0.0, family=family)
        refusals = quota._refusals
        first = quota.reserve(SLOW, 0.0)
        other = quota.reserve(SLOW, quota.ready_at(SLOW, gap))
        third = quota.reserve(SLOW, quota.ready_at(SLOW, other.sent + later))
        quota.refused(other, None, None, other.sent + 0.01)
        learner = refusals.learners[2]
        assert learner is not None
        learner.bounded(0.9, 1.1)
        assert refusals._costs.believed(learner, other, 1.0, 1.0, None) is False  # nobody knows: it is tried
        refusals._costs.followed(third, 2, learner, let_in=let_in)
        span, since = third.sent - other.sent, third.sent - first.sent
        assume(abs(1.5 * 1.1 * (span + 0.03) - 1.0) > 1e-6)
        if let_in:
            assert (False if 1.5 * 1.1 * (span + 0.03) < 1.0 else None) is family.charges
        else:
            assert (True if 0.9 * (since - 0.06) >= 1.0 else None) is family.charges


def test_a_small_request_after_a_large_one_is_no_pause() -> None:
    """What a large request waits for is there when a small one goes before it: a higher rate is tried all the same."""
    gauge = Gauge(0.0)
    gauge.pace(10.0, 0.0)
    gauge.sized(100.0)
    for _ in range(6):
        take(((gauge, 100.0),), 0.0)
    gauge.probe(10.0, 0.0)
    for _ in range(8):
        now = gauge.ready(100.0)
        for need in (1.0, 99.0):
            gauge.sized(need)
            take(((gauge, need),), now)
    assert 20.0 == gauge.rate  # nothing was refused


# At a limit that is named


def served(
    rate: float, capacity: float, errors: float, *, charged: bool, taken: bool, latency: float, seed: int, span: float
) -> Family:
    """What the waits at a named limit teach in `span` seconds, of a bucket that some requests meet with an error.

    Each reply is heard of after at most `latency` seconds.
    """
    family, chance, level, at = Family(), Random(seed), capacity, 0.0
    quota = Quota(Limits(concurrency=8), 0.0, family=family)
    out: list[tuple[float, int, Permit, float | None, bool]] = []
    now, hint = 0.0, LimitHint("requests", rate * 60.0)
    while now < span:
        heard = out[0][0] if out else inf
        ready = max(now, quota.ready_at(QUICK, now))
        if heard <= ready:
            now, _, permit, wait, failed = heappop(out)
            if wait is not None:
                quota.refused(permit, hint, wait, now)
            if failed:
                quota.failed(permit, now)
            quota.settle(permit, Three.YES if wait is None else Three.MAYBE, now)
            continue
        now = ready
        level, at = min(capacity, level + rate * (now - at)), now
        permit, wait, failed = quota.reserve(QUICK, now), None, False
        if level < 1.0:
            level -= charged
            wait = (1.0 - level) / rate
        else:
            failed = chance.random() < errors
            level -= taken or not failed
        heappush(out, (now + latency * (0.2 + 0.8 * chance.random()), permit.order, permit, wait, failed))
    return family


@settings(max_examples=60)
@given(
    st.floats(1.0, 8.0),
    st.integers(3, 12),
    st.sampled_from([0.0, 0.1, 0.3]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 99),
)
def test_waits_at_a_named_limit_show_what_takes_quota(
    rate: float, capacity: int, errors: float, charged: bool, taken: bool, seed: int
) -> None:
    """Whatever is found out of errors is so, and of refusals where there are no errors."""
    family = served(rate, capacity, errors, charged=charged, taken=taken, latency=0.2, seed=seed, span=90.0)
    assert errors or family.charges in {None, charged}
    assert family.errors in ({None, True} if taken else {None, False})


@pytest.mark.parametrize("charged", [True, False])
def test_errors_that_take_nothing_are_found_out(charged: bool) -> None:
    """The second time that the limit is met, and with it what a refusal takes."""
    family = served(5.0, 5.0, 0.06, charged=charged, taken=False, latency=0.2, seed=1, span=100.0)
    assert (False, charged) == (family.errors, family.charges)


def test_errors_that_begin_to_take_quota_are_noticed() -> None:
    """Who believed that they take nothing is put right by a wait that is longer than that."""
    costs = Costs(Family(errors=False))
    gauge = Gauge(0.0)
    gauge.configure(300.0, 0.1, 0.0)

    def refused(order: int, sent: float, spent: float, given: float) -> None:
        three, returned = (spent, 0.0, 0.0), (given, 0.0, 0.0)
        permit = Permit(order, sent, QUICK, three, three, [0.0, 0.0, 0.0], returned, after=(spent + 1.0, 0.0, 0.0))
        costs.named(permit, 0, gauge, 0.2, changed=False)

    refused(1, 0.0, 0.0, 0.0)
    three = (0.0, 0.0, 0.0)
    for order in range(3, 7):
        costs.failed(Permit(order, 1.0, QUICK, three, three, [0.0, 0.0, 0.0], three))
    refused(60, 10.0, 51.0, 4.0)
    assert costs.family.errors is True


@pytest.mark.parametrize(
    ("between", "wait", "expected"), [(0, 0.2, True), (1, 0.2, None), (1, 0.4, True), (1, 0.0, False)]
)
def test_who_went_between_may_have_taken_what_was_refilled(between: int, wait: float, expected: bool | None) -> None:
    """Whoever has to wait again paid for a refusal, where nobody else may have taken what was there for him."""
    family, gauge = Family(), Gauge(0.0)
    gauge.pace(5.0, 0.0)
    costs = Costs(family)
    first = Permit(1, 0.0, Demand(), (9.0, 0.0, 0.0), (9.0, 0.0, 0.0), [0.0, 0.0, 0.0], (0.0, 0.0, 0.0))
    first.after = (10.0, 0.0, 0.0)
    costs.refused(first, 0.1, news=True)
    spent = (10.0 + between, 0.0, 0.0)
    costs.tried(Permit(3, 0.12, Demand(), spent, spent, [0.0, 0.0, 0.0], (0.0, 0.0, 0.0)), wait, 0, gauge)
    assert expected is family.charges
