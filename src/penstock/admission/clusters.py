"""Refusals of requests that were out together, and what two of them tell that one does not.

Who went together may have arrived in any order; where waits are named, the first of them is told the shortest. Where
the second has to wait for longer, by more than could have been refilled and let in between, its wait counts what the
first took: refusals take quota, and the difference is what one request takes of the rate.
"""

from __future__ import annotations

from math import inf

from attrs import define

from penstock.admission.bucket import Gauge
from penstock.admission.marks import SPREAD
from penstock.admission.permits import Permit

_LONGER = 4.0
"""How many times as long as two refusals lie apart the second must have to wait besides."""


@define(eq=False)
class Cluster:
    """`first` is the first of them, `until` how long it has to wait (None: it was not said), `last` the last heard."""

    first: Permit | None = None
    until: float | None = None
    last: tuple[Permit, float] | None = None

    def begin(self, permit: Permit, wait: float | None) -> None:
        """A refusal that is news: of a request that went after the last one was heard."""
        self.first = permit
        self.until = None if wait is None else permit.sent + wait
        self.last = None if self.until is None else (permit, self.until)

    def again(self, permit: Permit, wait: float | None) -> bool:
        """One more of them. True where the first of them, or how long it has to wait, is another than was believed."""
        first, fit = self.first, None if wait is None else permit.sent + wait
        if first is None:
            return False
        alike = permit.demand == first.demand and abs(permit.sent - first.sent) <= SPREAD
        sooner = alike and fit is not None and self.until is not None and fit < self.until
        if permit.order > first.order and not sooner:
            return False
        if not alike or sooner:
            self.until = fit
        if permit.order < first.order:
            self.first = permit
        return True

    def longer(self, permit: Permit, wait: float | None) -> float | None:
        """By how many seconds what a request takes is refilled, where this refusal and the one before it tell."""
        before, self.last = self.last, None if wait is None else (permit, permit.sent + wait)
        if before is None or self.last is None:
            return None
        other, until = before
        found, apart = abs(self.last[1] - until), abs(permit.sent - other.sent) + 2.0 * SPREAD
        if found < _LONGER * apart or abs(permit.order - other.order) != 1 or permit.demand != other.demand:
            return None  # something may have been let in between
        return found


@define(eq=False)
class Gap:
    """By how much a bucket was believed to be fuller than it was, as the earliest refusal of a cluster says."""

    gauge: Gauge | None = None
    order: int = 0
    over: float = 0.0
    need: float = 0.0

    def compare(self, permit: Permit, index: int, gauge: Gauge, left: float, need: float, least: float) -> None:
        """So much was left when a request was refused, which is less than was believed by `least` or more."""
        if self.gauge is not None and permit.order > self.order:
            return
        over = permit.levels[index] - left
        known = least < over < inf and permit.sent <= gauge.quiet
        self.gauge, self.order, self.over, self.need = gauge, permit.order, over if known else 0.0, need

    def close(self, now: float) -> None:
        """Nothing more is heard of them: what the bucket holds follows."""
        gauge, self.gauge = self.gauge, None
        if gauge is not None and self.over:
            gauge.shrink(self.over, self.need, now)
