"""Whether refusals take quota, too. Nobody says so, but what follows a refusal tells.

Where waits are named: two refusals that were out together, of which the second has to wait for what the first took as
well; and whoever comes back when he was told to, who is let in, or has to wait for his own refusal. Where nothing is
said: one refusal is taken for free as soon as the rate is about known. The first that goes after it then comes before
what it took could be there again, or although enough must be there if it took nothing.
"""

from __future__ import annotations

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

_DOUBT = 1.5
"""How many times as fast as believed at most a bucket may be that refills."""


class Costs:
    """What is out to find out whether refusals take quota. What is found out is told to the family."""

    __slots__ = ("_bare", "_fits", "_trial", "family")

    def __init__(self, family: Family) -> None:
        self.family = family
        # who was told when to come back, and when: whoever comes then finds out
        self._trial: tuple[Permit, float] | None = None
        # the last refusal that said nothing and was taken for one that takes no quota
        self._bare: Permit | None = None
        self._fits: list[tuple[Permit, float] | None] = [None, None, None]

    def refused(self, permit: Permit, wait: float | None, *, news: bool) -> None:
        """A request was refused, and has to wait for so long."""
        if wait is None:
            self._trial = None
        elif news:
            self._trial = (permit, permit.sent + wait)

    def pair(self, permit: Permit, index: int, gauge: Gauge, wait: float | None, heard: float) -> bool:
        """Whether they take quota, as far as two of a cluster tell, of which the last was refused for this."""
        family, need = self.family, needs(permit.demand)[index]
        if wait is None:
            self._fits[index] = None
        else:
            before, self._fits[index] = self._fits[index], (permit, need - gauge.true * wait)
            if before is not None and permit.sent < heard:
                first, second = sorted((before, (permit, need - gauge.true * wait)), key=lambda fit: fit[0].order)
                span, cost = second[0].sent - first[0].sent, second[0].spent[index] - first[0].spent[index]
                if span < 1.0 and cost > 4.0 * SPREAD * gauge.true:
                    family.charges = first[1] + gauge.true * span - second[1] > 0.5 * cost
        if family.charges is None:
            return wait is None or need < SLOW * gauge.rate
        return family.charges

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
            self.family.charges = permit.sent + wait - fit > 0.5 * each

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
