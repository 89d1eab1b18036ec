"""A bucket of one request: the gap that it needs is found, whether refusals are paid for or not."""

from __future__ import annotations

from math import inf
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.admission.family import Family
from penstock.admission.gaps import Gaps, Known, Theory
from penstock.admission.marks import SPREAD
from penstock.admission.pace import Pace
from penstock.admission.permits import Permit
from penstock.admission.quota import Quota
from penstock.config import Limits
from penstock.three import Three
from penstock.work import Demand
from tests.test_admission import Run, Server

TOGETHER = 0.05
"""Seconds in which requests go before one of them is heard of; who is refused is heard of first."""

GAPS = st.floats(0.15, 30.0)
"""Seconds from one request that is let in to the next, truly."""


def permit(order: int, sent: float, demand: Demand | None = None) -> Permit:
    """A request as a quota keeps it."""
    nothing = (0.0, 0.0, 0.0)
    return Permit(order, sent, demand or Demand(), nothing, nothing, [0.0, 0.0, 0.0], nothing)


def told(*fates: tuple[float, bool], family: Family | None = None) -> Gaps:
    """What requests at these seconds teach, each let in or refused, each heard of at once."""
    gaps, pace = Gaps(family or Family()), Pace(first=0.0)
    pace.sends = early = sum(sent <= TOGETHER for sent, _ in fates)
    for order, (sent, let_in) in sorted(enumerate(fates, 1), key=lambda one: one[1][1] if one[0] <= early else one[0]):
        request = permit(order, sent)
        if order > early:
            gaps.sent(request)
        gaps.hears(request, pace, max(sent, TOGETHER), let_in=let_in)
    return gaps


@settings(max_examples=200)
@given(GAPS, st.booleans(), st.integers(0, 2**32))
def test_the_true_gap_lies_between_what_is_too_short_and_what_is_enough(gap: float, charges: bool, seed: int) -> None:
    """Whenever requests arrive, on ways of any length: the theory that is true is never out, and holds the truth."""
    rng, server = Random(seed), Server((60.0 / gap, None, None), burst=0.0, charges=charges)
    gaps, pace, time = Gaps(Family()), Pace(first=0.0), 0.0
    for order in range(1, 60):
        time += 0.0 if order < 3 else max(2.0 * SPREAD, gap * rng.choice((0.2, 0.5, 0.9, 1.0, 1.1, 2.0)))
        let_in = server.arrive(Demand(), time + rng.uniform(0.001, 0.001 + SPREAD)) is None
        request = permit(order, time)
        pace.sends = 2
        if order > 2:
            gaps.sent(request)
        gaps.hears(request, pace, time, let_in=let_in)
        true = gaps.known.paid if charges else gaps.known.free
        assert not true.out
        assert true.short <= gap + SPREAD
        assert true.enough >= gap - SPREAD
    assert gaps.on


@settings(max_examples=60, deadline=None)
@given(st.floats(0.3, 20.0), st.booleans(), st.integers(0, 2**32))
def test_nearly_nothing_is_lost_in_a_bucket_of_one_request(gap: float, charges: bool, seed: int) -> None:
    """60 requests take little more than 60 gaps, with few refusals, whatever the rate, and nobody tells of anything."""
    server = Server((60.0 / gap, None, None), burst=0.0, charges=charges)
    run = Run(Quota(Limits(), 0.0), server, [Demand()] * 60, Random(seed))
    ended = run.go()
    assert 60 == server.admitted
    assert server.refused <= 30
    # in the dark each try comes twice as late as the last one, and where refusals are paid for, each leaves a debt
    assert ended <= (60.0 * 1.05 + (45.0 if charges else 2.0)) * gap + 60.0 * SPREAD + 5.0


def test_a_refusal_is_not_waited_out_twice() -> None:
    """Where refusals are free, the next try comes when a gap that was enough is over since the last that was let in."""
    theory = Theory(paid=False, enough=3.0, short=1.0)
    assert 13.0 == theory.ready(10.0, (11.0, 12.0))
    paid = Theory(paid=True, enough=3.0, short=1.0)
    assert 16.0 == paid.ready(10.0, (11.0,))
    assert 17.5 == paid.ready(10.0, (11.0, 11.5))  # it owes no more than it holds


@given(GAPS, st.lists(st.floats(0.0, 1.0), max_size=4), st.booleans())
def test_what_is_ready_is_just_enough(enough: float, parts: list[float], paid: bool) -> None:
    """A request that goes when a theory is ready for it says of gaps just what the theory holds to be enough."""
    theory = Theory(paid=paid, enough=enough)
    refused = tuple(sorted(5.0 + enough * part for part in parts))
    at = theory.ready(5.0, refused)
    assert pytest.approx(enough, abs=1e-9) == theory.gap(5.0, refused, at, let_in=True)


@given(st.floats(0.1, 20.0), st.floats(1.0, 50.0), st.booleans())
def test_what_is_tried_next_is_between(short: float, times: float, paid: bool) -> None:
    """While there is something to learn a shorter gap than is sure is tried, and never one that was too short."""
    theory = Theory(paid=paid, enough=short * times, short=short)
    assert short <= theory.next <= theory.enough
    if times > 1.2 and short > 1.0:
        assert theory.next < theory.enough
    assert inf == Theory(paid=paid, short=short).next


def test_what_refusals_cost_is_found_out() -> None:
    """The gap that tells the theories apart is tried first, and whichever it contradicts is out."""
    family = Family()
    gaps = told((0.0, True), (0.01, False), (1.0, False), (2.0, False), (4.0, False), (8.0, True), family=family)
    known = gaps.known
    assert (4.0, 8.0) == (known.free.short, known.free.enough)
    assert known.paid.enough < 2.1
    gap = known.next(known.live(None))
    assert known.paid.enough < gap < 4.0
    for let_in, charges in ((True, True), (False, False)):
        family = Family()
        fates = ((0.0, True), (0.01, False), (1.0, False), (2.0, False), (4.0, False), (8.0, True), (8.0 + gap, let_in))
        assert charges is told(*fates, family=family).family.charges


def test_it_is_no_such_bucket() -> None:
    """Where the first two are let in, or neither is, or requests vary, nothing is concluded."""
    assert told((0.0, True), (0.01, False)).on is True
    assert told((0.0, False), (0.01, True)).on is True  # they overtook each other
    assert told((0.0, True), (0.01, True), (0.02, False)).on is False
    assert told((0.0, False), (0.01, False), (0.9, True)).on is False
    gaps = told((0.0, True), (0.01, False))
    gaps.hears(permit(3, 1.0, Demand(1, 2, 0)), Pace(first=0.0), 1.0, let_in=True)
    assert gaps.on is False


def test_limits_that_change_twice_are_left_to_the_rate() -> None:
    """A gap that fits neither theory makes it begin anew; the second time it is no such bucket: its rate is asked."""
    first = [(0.0, True), (0.01, False), (2.0, True), (4.0, True), (6.0, True)]
    changed = [(9.0, False), (12.0, False), (30.0, True)]
    gaps = told(*first, *changed)
    assert gaps.on is True
    assert gaps.own
    assert gaps.known.free.enough > 10.0
    again = [(31.0, True), (32.0, True), (38.0, False), (44.0, False), (60.0, True), (61.0, True), (70.0, False)]
    assert told(*first, *changed, *again).on is False


def test_what_nobody_knows_of_says_nothing() -> None:
    """After an error the bucket may be full: what is let in next says nothing of gaps, and the one after it does."""
    gaps, pace = told((0.0, True), (0.01, False), (5.0, True)), Pace(first=0.0)
    enough = gaps.known.free.enough
    gaps.unknown(permit(4, 6.0))
    gaps.hears(permit(5, 6.5), pace, 6.5, let_in=True)
    assert enough == gaps.known.free.enough
    gaps.hears(permit(6, 9.0), pace, 9.0, let_in=True)
    assert 2.5 == gaps.known.free.enough


def test_who_is_long_past_being_refused_was_let_in() -> None:
    """Pictures take long: nothing waits for their replies to learn that they were let in."""
    gaps, pace = told((0.0, True), (0.01, False)), Pace(first=0.0)
    gaps.sent(permit(3, 5.0))
    gaps.sent(permit(4, 7.0))
    gaps.hears(permit(4, 7.0), pace, 7.05, let_in=False)
    assert 5.0 == gaps.known.free.enough
    assert 2.0 == gaps.known.free.short


def test_siblings_take_turns() -> None:
    """They know the same, and one of them at a time tries what is not known."""
    family = Family()
    one = told((0.0, True), (0.01, False), (4.0, True), family=family)
    two = told((0.0, True), (0.01, False), family=family)
    assert one.known is two.known
    known = one.known
    assert known.leads(one, 10.0, 5.0)
    assert not known.leads(two, 14.9, 5.0)
    assert known.leads(two, 15.1, 5.0)
    other = Known()
    assert other.leads(two, 0.0, 1.0)


def test_what_did_not_go_is_not_waited_for() -> None:
    """A request that never reached the server is left out of what follows, and nothing waits for its fate."""
    quota, now = Quota(Limits(), 0.0), 0.1
    first, second = quota.reserve(Demand(), 0.0), quota.reserve(Demand(), 0.0)
    quota.refused(second, None, None, now)
    quota.settle(second, Three.YES, now)
    quota.settle(first, Three.YES, 0.4)
    for let_in in (Three.NO, Three.YES, Three.YES, Three.YES):
        now = max(now, quota.ready_at(Demand(), now))
        request = quota.reserve(Demand(), now)
        now += 0.3
        quota.settle(request, let_in, now)
    # what was let in after it says how long a gap is enough: the next one goes sooner than in the dark
    assert quota.figures(now).requests.source == "learned"
    assert quota.ready_at(Demand(), now) < now + 1.0
