"""The provider's true bill: never above a cap, and what the books say; and the bugs that this would find."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis.strategies as st
import pytest
from attrs import evolve
from hypothesis import given, settings

from penstock.engine import billing
from penstock.money.ledger import Fit, Ledger, Reservation
from penstock.work import OnAmbiguous
from tests.histories.money_world import TRICKS, Plan, drawn, story

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.money.ledger import Share

COUNT = 2_000
PARTS = 4
FIRST = 50_000_000
"""Where the seeds begin that this module draws: others than those a command runs."""

ENOUGH = 400
"""Histories within which a bug has to be found."""

PLANS = st.builds(
    Plan,
    seed=st.integers(0, 2**32 - 1),
    jobs=st.integers(1, 8),
    caps=st.tuples(st.sampled_from((0, 120, 300, 700)), st.sampled_from((0, 100, 350)), st.sampled_from((0, 100, 350))),
    fails=st.booleans(),
    mode=st.sampled_from(OnAmbiguous),
    hedged=st.booleans(),
    gathered=st.booleans(),
    shared=st.booleans(),
    faulty=st.sampled_from((0.0, 0.2, 0.6)),
    crashes=st.booleans(),
    lowers=st.booleans(),
    leaves=st.booleans(),
    downs=st.booleans(),
)


@given(PLANS)
@settings(max_examples=150)
def test_no_bill_is_above_its_cap(plan: Plan) -> None:
    """Splitting, sharing, hedges, leaving, caps that change, a full disk, a kill -9, replies that bill and are lost."""
    story(plan)


@pytest.mark.parametrize("part", range(PARTS))
def test_many_bills(part: int) -> None:
    """Two thousand histories from plain seeds (a command runs more), every eighth of them under the monitor."""
    for seed in range(FIRST + part, FIRST + COUNT, PARTS):
        story(drawn(seed), watched=seed // PARTS % 8 == 0)


def test_what_a_history_does() -> None:
    """Histories come to what they are about: each trick, doubt and certainty, caps that were reached, crashes."""
    stories = [story(drawn(seed), watched=False) for seed in range(FIRST, FIRST + 200)]
    faults = set().union(*(one.server.books.faults for one in stories))
    assert {"reset", "stall", "truncated", "500", "502", "moderation"} == faults
    assert 8 == len(TRICKS)
    totals = [one.world.engine.snapshot().money.total for one in stories]
    billed = [one.server.books.billed for one in stories]
    assert 40 < sum(bool(bill) and not total.maybe for bill, total in zip(billed, totals, strict=True))
    assert 40 < sum(bill - total.charged > 0 for bill, total in zip(billed, totals, strict=True))
    capped = [one for one in stories if one.plan.caps[0] and not one.plan.dated and not one.plan.lowers]
    assert 12 < sum(one.server.books.billed > one.plan.caps[0] - 100 for one in capped)
    assert 12 < sum(one.plan.crashes for one in stories)


# Bugs that are put in on purpose, one at a time

Wrong = dict[tuple[object, str], object]
"""What is put in the place of what: by owner and name."""


def settles_with_the_quote() -> Wrong:
    """A charge is taken to be what was quoted."""
    settle = Ledger.settle

    def wrong(self: Ledger, reservation: Reservation, charges: tuple[int | None, ...]) -> int:
        pairs = zip(reservation.shares, charges, strict=True)
        return settle(self, reservation, tuple([share.amount if charge else charge for share, charge in pairs]))

    return {(Ledger, "settle"): wrong}


def forgets_maybe() -> Wrong:
    """What may have been billed is given back."""
    return {(Ledger, "maybe"): Ledger.void}


def refunds_twice() -> Wrong:
    """What was set aside above the charge comes back, and once more."""
    settle = Ledger.settle

    def wrong(self: Ledger, reservation: Reservation, charges: tuple[int | None, ...]) -> int:
        excess = settle(self, reservation, charges)
        for share, charge in zip(reservation.shares, charges, strict=True):
            for scope in share.scopes:
                self._book(scope).reserved -= max(0, (share.amount or 0) - (charge or 0))
        return excess

    return {(Ledger, "settle"): wrong}


def ignores_what_is_out() -> Wrong:
    """A cap is held against what was charged alone, as those do that overran by what was in flight."""
    fits = Ledger.fits

    def wrong(self: Ledger, shares: tuple[Share, ...]) -> Fit:
        fit = fits(self, shares)
        return Fit.NOW if fit is Fit.LATER else fit

    return {(Ledger, "fits"): wrong}


def looks_at_the_run_alone() -> Wrong:
    """Caps of tenants and tags are not held."""
    fits = Ledger.fits

    def wrong(self: Ledger, shares: tuple[Share, ...]) -> Fit:
        return fits(self, tuple([evolve(share, scopes=share.scopes[:1]) for share in shares]))

    return {(Ledger, "fits"): wrong}


def forgets_failures() -> Wrong:
    """An attempt that brought no picture is taken to be free."""
    return {(billing, "charged"): lambda *_: 0}


BUGS = (
    settles_with_the_quote,
    forgets_maybe,
    refunds_twice,
    ignores_what_is_out,
    looks_at_the_run_alone,
    forgets_failures,
)


def found(first: int, count: int) -> int | None:
    """The first seed whose bill is wrong."""
    for seed in range(first, first + count):
        try:
            story(drawn(seed), watched=False)
        except AssertionError:
            return seed
    return None


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_bug_is_found_by_the_bill(bug: Callable[[], Wrong]) -> None:
    """With this bug the bill is wrong within some histories, without any monitor."""
    with pytest.MonkeyPatch.context() as patch:
        for (owner, name), wrong in bug().items():
            patch.setattr(owner, name, wrong)
        seed = found(FIRST, ENOUGH)
    assert seed is not None
    story(drawn(seed), watched=False)
