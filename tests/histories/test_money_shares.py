"""One call that several pay: whose cap holds what the provider bills, when less comes than was bought."""

from __future__ import annotations

import hypothesis.strategies as st
from attrs import evolve
from hypothesis import given

from penstock.commands import Send
from penstock.config import Budget, Config, Credential, Gathering
from penstock.events import Responded
from penstock.ids import JobId
from penstock.money.shares import within
from penstock.readings import Problem, Usage
from penstock.work import Work
from tests.histories.bench import QUOTE, Bench, target

SUMS = st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=6)


def gathered(bench: Bench) -> tuple[JobId, JobId, Send]:
    """Two tenants whose three pictures are bought in one call: one of a's, two of b's."""
    first = bench.submit(Work((evolve(target("k1"), gather="g"),), tenant="a"))
    second = bench.submit(Work((evolve(target("k2", "k3"), gather="g"),), tenant="b"))
    send = bench.take(Send)
    assert 3 == send.samples
    return first, second, send


def bench(cap: int = QUOTE) -> Bench:
    """Tenant a may spend what one picture costs at most, and one call at a time buys three."""
    budget = Budget((("tenant:a", cap),))
    return Bench(Config((Credential("c1", "p"),), budget=budget, gathering=Gathering(most=3, wait=0.05)))


def test_the_others_pictures_do_not_come_and_the_cap_holds() -> None:
    """Of three pictures only a's comes, and all three are billed: a pays what one costs at most, b the rest."""
    one = bench()
    _, _, send = gathered(one)
    one.pays(send, 3 * QUOTE, places=(0,))
    assert (QUOTE, 2 * QUOTE) == (one.book("tenant:a").charged, one.book("tenant:b").charged)
    assert 3 * QUOTE == one.book().charged


def test_a_refused_call_that_is_billed_keeps_each_cap() -> None:
    """The provider bills a call whose output it refused: nobody is charged above what was set aside for him."""
    one = bench()
    _, _, send = gathered(one)
    refusal = Problem("moderation_blocked", None, "no", stage="output", usage=Usage(cost=3 * QUOTE))
    one.tell(Responded(send.attempt, 400, (), refusal))
    assert (QUOTE, 2 * QUOTE) == (one.book("tenant:a").charged, one.book("tenant:b").charged)


@given(SUMS)
def test_within_keeps_the_sum_and_the_bounds(pairs: list[tuple[int, int]]) -> None:
    """The sum stays; no charge is above its bound, unless the sum is above all of them together."""
    charges, bounds = tuple(charge for charge, _ in pairs), tuple(bound for _, bound in pairs)
    kept = within(charges, bounds)
    assert sum(charges) == sum(charge or 0 for charge in kept)
    if sum(charges) > sum(bounds):
        assert charges == kept
    else:
        assert all((charge or 0) <= bound for charge, bound in zip(kept, bounds, strict=True))


@given(SUMS)
def test_within_leaves_what_is_unknown(pairs: list[tuple[int, int]]) -> None:
    """Where a charge or a bound is unknown, nothing is moved."""
    charges: tuple[int | None, ...] = (None, *(charge for charge, _ in pairs))
    bounds: tuple[int | None, ...] = (0, *(bound for _, bound in pairs))
    assert charges == within(charges, bounds)
    assert bounds == within(bounds, charges)
