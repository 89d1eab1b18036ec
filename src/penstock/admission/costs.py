"""Whether refusals take quota, too. Nobody says so, but what follows a refusal tells.

Where waits are named: two refusals that were out together, of which the second has to wait for what the first took as
well; and whoever comes back when he was told to, who is let in, or has to wait for his own refusal. Where nothing is
said: one refusal is taken for free as soon as the rate is about known. The first that goes after it then comes before
what it took could be there again, or although enough must be there if it took nothing.

Of errors of the server nobody says it either. Where the rate is known, two refusals that name waits say what was there,
and what was sent between them by how much that changed: errors that took nothing are what is left over.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import TYPE_CHECKING

from penstock.admission.marks import SPREAD
from penstock.admission.permits import Permit, needs

if TYPE_CHECKING:
    from penstock.admission.bucket import Gauge
    from penstock.admission.family import Family
    from penstock.admission.learning import Learner

SLOW = 0.5
"""Seconds that one request is worth from which on what a refusal takes matters: a named wait is then believed to count
its own refusal, and a refusal that says nothing is worth a try at finding out."""

_MANY = 256
"""How many errors are remembered: a limit a minute has been met again by then."""

_DISTINCT = 1.1
"""How many requests more than expected were there where errors took nothing: one may have overtaken another."""

_DOUBT = 1.5
"""How many times as fast as believed at most a bucket may be that refills."""


class Costs:
    """What is out to find out whether refusals take quota. What is found out is told to the family."""

    __slots__ = ("_bare", "_exact", "_failed", "_trial", "family")

    def __init__(self, family: Family) -> None:
        self.family = family
        # who was told when to come back, and when: whoever comes then finds out
        self._trial: tuple[Permit, float] | None = None
        # the last refusal that said nothing and was taken for one that takes no quota
        self._bare: Permit | None = None
        # the last refusal that said how much was there, of each quantity, and what ended in errors since
        self._exact: list[tuple[Permit, float] | None] = [None, None, None]
        self._failed: deque[tuple[int, tuple[int, int, int]]] = deque(maxlen=_MANY)

    def refused(self, permit: Permit, wait: float | None, *, news: bool) -> None:
        """A request was refused, and has to wait for so long."""
        if wait is None:
            self._trial = None
        elif news:
            self._trial = (permit, permit.sent + wait)

    def failed(self, permit: Permit) -> None:
        """An error of the server ended this one."""
        self._failed.append((permit.order, needs(permit.demand)))

    def named(self, permit: Permit, index: int, gauge: Gauge, wait: float | None, *, changed: bool) -> bool:
        """Whether they take quota: this one was refused for want of a quantity whose rate it names, maybe another."""
        need = needs(permit.demand)[index]
        before, self._exact[index] = self._exact[index], None
        if wait is not None:
            fit = (permit, need - gauge.true * wait)
            latest = fit
            if before is not None and not changed and gauge.others.share == 1.0:
                first, second = sorted((before, fit), key=lambda one: one[0].order)
                self._compare(first, second, index, gauge.true)
                latest = second
            self._exact[index] = latest
        if self.family.charges is None:
            return wait is None or need < SLOW * gauge.rate
        return self.family.charges

    def _compare(self, first: tuple[Permit, float], second: tuple[Permit, float], index: int, rate: float) -> None:
        """How much more than expected was there at the second one, had the first taken nothing, and errors all."""
        (one, had), (two, left), family = first, second, self.family
        each, failed = needs(one.demand)[index], 0
        for order, needed in self._failed:
            if one.order < order < two.order:
                failed += needed[index]
        took = two.spent[index] - one.spent[index] - two.returned[index] + one.returned[index] - each
        over = left - had - rate * (two.sent - one.sent) + took
        if failed >= 2 * each:
            if over > _DISTINCT * each:
                family.errors = False
            elif family.errors is False and over < -_DISTINCT * each and abs(over + failed) < _DISTINCT * each:
                family.errors = True
        # where errors came between them, what they took is not known so well
        if not failed and each > 4.0 * SPREAD * rate and _alone(one, index) and _alone(two, index):
            if -1.5 * each < over < -0.5 * each:
                family.charges = True
            elif over > -0.5 * each:
                family.charges = False

    def believed(self, learner: Learner, permit: Permit, need: float, rate: float, wait: float | None) -> bool:
        """What this refusal is taken for, of a request whose need is refilled at a rate that is learned."""
        if wait is None and need < SLOW * rate:
            return True  # being careful costs next to nothing, and another refusal would say as little
        charges = learner.costs if self.family.charges is None else self.family.charges
        if charges is None and wait is None and learner.sure:
            self._bare, charges = permit, False
        if charges is None:
            return wait is None or (learner.rate is not None and need < SLOW * rate)
        return charges

    def tried(self, permit: Permit, wait: float | None, index: int, gauge: Gauge | None) -> None:
        """Whoever comes back when he was told to is let in where refusals take no quota, and waits again where they do.

        `wait` None: it was let in.
        """
        if self._trial is None:
            return
        other, fit = self._trial
        if wait is None:
            self._trial = None
        if gauge is None:
            return
        need, paid = needs(permit.demand)[index], needs(other.demand)[index]
        each = paid / gauge.rate if gauge.rate else 0.0
        if not need or each < 4.0 * SPREAD:
            return
        fit += (need - paid) / gauge.rate
        if wait is None:
            if permit.sent < fit + 0.5 * each:
                self.family.charges = False
        elif permit.sent > fit - SPREAD:
            # who went between the two may have been let in, and taken what was refilled
            later = permit.sent + wait - fit
            since = other.spent[index] + paid if other.after is None else other.after[index]
            others = (permit.spent[index] - since) / gauge.rate
            if later <= 0.5 * each:
                self.family.charges = False
            elif later - others > 0.5 * each:
                self.family.charges = True

    def followed(self, permit: Permit, index: int, learner: Learner | None, *, let_in: bool) -> None:
        """The first that went after a refusal that said nothing was heard of."""
        other, self._bare = self._bare, None
        if other is None or learner is None:
            return
        need, span = needs(permit.demand)[index], permit.sent - other.sent
        if let_in and _DOUBT * learner.state.high * (span + SPREAD) < need:
            self.family.charges = False  # too soon for one that was paid for
        elif not let_in and learner.state.low * (span + other.sent - other.previous - 2.0 * SPREAD) >= need:
            self.family.charges = True  # after the one before both no less than nothing was there


def _alone(permit: Permit, index: int) -> bool:
    """Whether nothing was sent so close to it that it may have arrived on its other side."""
    after = permit.spent if permit.after is None else permit.after
    before, need = permit.spent[index] - permit.opening[index], needs(permit.demand)[index]
    return not before and after[index] - permit.spent[index] <= need


def was_left(
    learner: Learner, permit: Permit, first: Permit | None, index: int, gauge: Gauge, wait: float | None
) -> float:
    """What was there when a request was refused: as its wait says, or half of it, or what was refilled for sure."""
    need = needs(permit.demand)[index]
    if wait is not None:
        left = need - gauge.rate * wait
        if first is None or learner.state.high < inf:
            return left
        # the rate is a guess, and may be many times too high: no more is owed than went since the first was refused
        return max(left, first.spent[index] - gauge.spent)
    if need < SLOW * gauge.rate:
        return (need - 1.0) / 2.0
    # after the one before it no less than nothing was there
    refilled = learner.state.low * (permit.sent - permit.previous - SPREAD)
    return max((need - 1.0) / 2.0, min(refilled, need))
