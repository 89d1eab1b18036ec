"""What a refusal teaches: which limit it was, and what that says of it.

A refusal that names its limit says the rate; the wait that it asks for says how much was there. One whose headers show
a bucket that is too empty is explained by them. Any other has a cause that nobody names, and there are several
suspects: a limit of exchanges at a time, and the bucket of each quantity that is asked for and of which headers do not
tell. Each has a theory of its own: of a limit of exchanges, that refusals come while many are out (`adaptive`); of a
bucket, that what was let in between refusals agrees on a rate (`learning`). All learn from all refusals, a
contradiction is a strike, and the one with the fewest strikes is believed. Where headers tell of all buckets and show
room, there is a wall that nobody declared: another bucket of the same rate that holds less.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from attrs import define

from penstock.admission.adaptive import Slots
from penstock.admission.bucket import SPREAD
from penstock.admission.learning import LAST_TAU, Empty, Learner
from penstock.admission.permits import Permit, mark_of, needs
from penstock.admission.walls import HIDDEN, Walls

if TYPE_CHECKING:
    from penstock.admission.bucket import Gauge
    from penstock.admission.family import Family
    from penstock.admission.pace import Pace
    from penstock.readings import LimitHint

EXCHANGES = 3
"""The suspect that is no quantity: a limit of exchanges at a time."""

_HOLD = 0.8
"""Seconds to let a bucket fill after the first refusal that says nothing at all: a measurement needs something to
measure."""

_SLOW = 2.0
"""Seconds that one request is worth from which on a wait that is named is believed to count its own refusal."""

_HASTE = 1.05
"""How much faster than a first wait says at least a bucket is believed to fill: too slow a guess teaches nothing."""

_LONG = 5.0
"""Seconds from which on a wait says less of the rate than what was let in before."""

_LOYAL = 2
"""How many more strikes than another the suspect that is believed may have."""

_ORDER = (2, 0, 1)
"""Which quantity is suspected first, all else being equal: tokens, then images, then requests."""


@define(eq=False)
class _Gap:
    """By how much a bucket was believed to be fuller than it was, as the earliest refusal of a cluster says."""

    order: int
    gauge: Gauge
    over: float
    need: float


class Refusals:
    """Learns the gauges of a quota from refusals. `told` says of which quantities headers tell."""

    __slots__ = ("_charges", "_cluster", "_fits", "_gap", "active", "family", "gauges", "learners", "pace", "slots",
                 "told", "walls")  # fmt: skip

    def __init__(self, gauges: tuple[Gauge, Gauge, Gauge], pace: Pace, family: Family) -> None:
        self.gauges = gauges
        self.pace = pace
        self.family = family
        self.walls = Walls()
        self.slots = Slots()
        self.learners: list[Learner | None] = [None, None, None]
        self.told = [False, False, False]
        self.active = -1
        self._cluster: Permit | None = None
        self._charges: bool | None = None
        self._gap: _Gap | None = None
        self._fits: list[tuple[Permit, float] | None] = [None, None, None]

    # Events

    def begin(self, permit: Permit, now: float) -> bool:
        """A request was refused: whether that is news, and not one more of those that were out together."""
        news = self.pace.refused(permit.sent, now)
        self.family.sends = 0
        if news:
            self._shrink(now)
        else:
            for learner, need in zip(self.learners, needs(permit.demand), strict=True):
                if learner is not None:
                    learner.refused(need)
        return news

    def admitted(self, permit: Permit, now: float) -> bool:
        """A request was let in. False where it is sure that this changes nothing of when others may go."""
        self.slots.admitted(permit.out)
        if self.pace.heard == -inf and permit.report is None:
            return False
        if self._gap is not None and permit.sent >= self.pace.heard:
            self._shrink(now)
        self.pace.admitted(permit.sent)
        if permit.report is not None:
            for gauge, told in zip(self.gauges, permit.report.buckets, strict=True):
                if told is not None:
                    gauge.admitted(told, now)
        for index, learner in enumerate(self.learners):
            if learner is not None and not self.told[index]:
                need = needs(permit.demand)[index]
                if learner.admitted(permit.sent, permit.spent[index], need) and index == self.active:
                    self._believe(index, now)
        return True

    def explained(self, permit: Permit, now: float) -> bool:
        """Whether the headers of a refusal say which bucket had too little."""
        if permit.report is None:
            return False
        for index, need in enumerate(needs(permit.demand)):
            told = permit.report.buckets[index]
            if told is not None and told.remaining is not None and told.remaining < need:
                gauge = self.gauges[index]
                gauge.lacked(told, mark_of(permit, index, gauge, need), now)
                return True
        return False

    def named(self, index: int, limit: LimitHint, wait: float | None, permit: Permit, now: float) -> None:
        """It names the limit of a quantity; of one beside the minute's only the wait is obeyed until it is met."""
        gauge = self.gauges[index]
        need = float(needs(permit.demand)[index]) if limit.requested is None else limit.requested
        if limit.limit > 0.0:
            if limit.window != gauge.window:
                gauge = self.walls.open(index, limit.window, gauge, now)
            changed = gauge.learn(limit.limit * 60.0 / limit.window, now)
            if need > limit.limit:
                return
            if wait is not None and self.pace.barren > 1 and self._fits[index] is not None:
                self._charges = True  # whoever came back when told to is refused again: he has paid for being refused
            if wait is not None and not changed and gauge is self.gauges[index]:
                self._compare(permit, index, gauge, need, wait)
            gauge.probe(min(LAST_TAU, 2.0 * gauge.tau) if now >= gauge.quiet else gauge.tau, now)
            left = (need - 1.0) / 2.0 if wait is None else need - gauge.rate * wait
            mark = mark_of(permit, index, gauge, need)
            gauge.refused(left, mark, now, charges=self._charged(permit, index, gauge, wait))
        gauge.hold = max(gauge.hold, now + (wait or 0.0))

    def unnamed(self, permit: Permit, wait: float | None, now: float, *, news: bool) -> None:
        """Nobody says which limit it was."""
        if not news:
            self._again(permit, wait, now)
            return
        self._cluster = permit
        needed = needs(permit.demand)
        suspects = [index for index in range(3) if needed[index] and not self.told[index]]
        for index in suspects:
            learner = self.learners[index] = self.learners[index] or Learner()
            learner.empty(self._empty(index, permit, wait))
            learner.refused(needed[index])
        if self._exchanges(suspects, permit, now):
            self.active = EXCHANGES
            return
        if wait is not None:
            self.pace.block(now + wait)
        if not suspects:
            self._hidden(permit, wait, now)
            return
        self.active = min(suspects, key=lambda index: self._likely(index, needed[index]))
        self._believe(self.active, now, permit, wait)

    # Which it was

    def _exchanges(self, suspects: list[int], permit: Permit, now: float) -> bool:
        slots = self.slots
        if not slots.explains(permit.out):
            slots.acquit(permit.out)
            return False
        learners = [learner for index in suspects if (learner := self.learners[index]) is not None]
        least = min((learner.state.strikes for learner in learners), default=inf)
        if slots.strikes > least or any(learner.steady for learner in learners):
            return False
        slots.refused(permit.out, permit.sent, now)
        return True

    def _likely(self, index: int, need: int) -> tuple[int, bool, float, int]:
        """The smaller, the likelier: strikes, whether it is configured, and how empty it is believed to be."""
        learner, gauge = self.learners[index], self.gauges[index]
        strikes = learner.state.strikes if learner is not None else 0
        believed = gauge.source in {"limit", "ceiling"}
        loyal = strikes - (_LOYAL if index == self.active else 0)
        return loyal, not believed, gauge.level / need if believed else 0.0, _ORDER[index]

    def _hidden(self, permit: Permit, wait: float | None, now: float) -> None:
        index = next((index for index in (1, 2, 0) if needs(permit.demand)[index]), 0)
        main, need = self.gauges[index], needs(permit.demand)[index]
        wall = self.walls.find(index, HIDDEN)
        if wall is None:
            wall = self.walls.open(index, HIDDEN, main, now)
            wall.pace(main.rate, now)
        left = (need - 1.0) / 2.0 if wait is None else need - wall.rate * wait
        wall.refill(now)
        wall.shrink(wall.level + wall.spent - permit.spent[index] - wall.rate * (now - permit.sent) - left, need, now)
        wall.refused(left, mark_of(permit, index, wall, need), now, charges=True)

    # What it says

    def _again(self, permit: Permit, wait: float | None, now: float) -> None:
        """One more of a cluster: it may have been sent before the one that was heard of first."""
        first = self._cluster
        if first is None:
            return
        if self.active == EXCHANGES:
            self.slots.also(permit.out)
        if permit.order < first.order:
            self._cluster = permit
            for index, learner in enumerate(self.learners):
                if learner is not None:
                    learner.earlier(self._empty(index, permit, wait))
        if 0 <= self.active < EXCHANGES:
            self._believe(self.active, now, permit, wait)

    def _empty(self, index: int, permit: Permit, wait: float | None) -> Empty:
        gauge, need = self.gauges[index], needs(permit.demand)[index]
        time = permit.sent + SPREAD / 2.0 + (wait or 0.0)
        full = inf > permit.levels[index] > 2.0 * need + 0.3 * gauge.rate and gauge.source not in {"limit", "ceiling"}
        return Empty(time, permit.spent[index], need, wait is not None, full and gauge.rate > 0.0)

    def _believe(self, index: int, now: float, permit: Permit | None = None, wait: float | None = None) -> None:
        """Go by what its learner says of a bucket."""
        gauge, learner = self.gauges[index], self.learners[index]
        if learner is None:
            return
        need = 0 if permit is None else needs(permit.demand)[index]
        if permit is not None and gauge.source == "learned" and learner.state.high < inf:
            self._compare(permit, index, gauge, need, wait)
        rate = self._rate(index, learner, permit, wait)
        self.pace.careful = False
        if rate is not None:
            gauge.pace(rate, now)
        elif not gauge.rate and permit is not None:
            self.pace.careful = True
            self.pace.block(now + _HOLD)
        gauge.probe(learner.state.tau, now)
        if permit is not None:
            left = (need - 1.0) / 2.0 if wait is None else need - gauge.rate * wait
            charges = self._charges if learner.charges is None else learner.charges
            if charges is None:
                charges = wait is None or (learner.rate is not None and need < _SLOW * gauge.rate)
            gauge.refused(left, mark_of(permit, index, gauge, need), now, charges=charges)

    def _rate(self, index: int, learner: Learner, permit: Permit | None, wait: float | None) -> float | None:
        """A rate a second: its own, or what a sibling learned, or what the wait says at most; None: nobody knows."""
        rate = learner.rate
        if rate is not None:
            if learner.state.high < inf:
                self.family.rates[index] = (learner.state.low, learner.state.high)
            return rate
        if self.gauges[index].source != "none" or permit is None:
            return None
        need = needs(permit.demand)[index]
        sibling = self.family.rates.get(index)
        if sibling is not None:
            return sibling[1]
        if not wait:
            return None
        if wait < _LONG:
            return _HASTE * need / wait
        # so much was let in until now, and nothing more until then: a window of the clock, or a slow bucket
        passed = permit.sent - self.pace.first + wait
        return max(_HASTE * need / wait, (permit.spent[index] - learner.state.since) / passed)

    def _compare(self, permit: Permit, index: int, gauge: Gauge, need: float, wait: float | None) -> None:
        if self._gap is not None and permit.order > self._gap.order:
            return
        over = permit.levels[index] - (need if wait is None else need - gauge.rate * wait)
        known = (0.0 if wait is not None else need) < over < inf and permit.sent <= gauge.quiet
        self._gap = _Gap(permit.order, gauge, over if known else 0.0, need)

    def _shrink(self, now: float) -> None:
        gap, self._gap = self._gap, None
        if gap is not None and gap.over:
            gap.gauge.shrink(gap.over, gap.need, now)

    def _charged(self, permit: Permit, index: int, gauge: Gauge, wait: float | None) -> bool:
        """Whether refusals take quota, too, as two of a cluster tell: the second then has to wait for longer."""
        need = needs(permit.demand)[index]
        each = need / gauge.rate if gauge.rate else 0.0
        before, self._fits[index] = self._fits[index], None if wait is None else (permit, permit.sent + wait)
        if before is not None and wait is not None and needs(before[0].demand)[index] == need:
            other, fit = before
            if permit.sent < self.pace.heard and abs(permit.sent - other.sent) < 1.0 and each > 2.0 * SPREAD:
                later = permit.order - other.order
                self._charges = (permit.sent + wait - fit) / later > 0.5 * each
        if self._charges is None:
            return wait is None or each < _SLOW
        return self._charges
