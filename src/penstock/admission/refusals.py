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

from penstock.admission.adaptive import Slots
from penstock.admission.bucket import SPREAD
from penstock.admission.clusters import Cluster, Gap
from penstock.admission.costs import SLOW, Costs, was_left
from penstock.admission.gaps import HOLD, Gaps
from penstock.admission.learning import ERROR, LAST_TAU, Empty, Learner
from penstock.admission.permits import Permit, mark_of, needs
from penstock.admission.priors import convicted, hear
from penstock.admission.suspects import Suspects
from penstock.admission.walls import Walls, patience

if TYPE_CHECKING:
    from penstock.admission.bucket import Gauge
    from penstock.admission.family import Family
    from penstock.admission.pace import Pace
    from penstock.readings import LimitHint

EXCHANGES = 3
"""The suspect that is no quantity: a limit of exchanges at a time."""

_HASTE = 1.05
"""How much faster than a first wait says at least a bucket is believed to fill: too slow a guess teaches nothing."""

_BEHIND = 40.0
"""For how many requests a rest lasts at most where headers explain the refusal."""

_UNLIKE = 0.002
"""What share of what was let in until now a sibling's rate must be for it to be of the same limit."""

_LONG = 5.0
"""Seconds from which on a wait says less of the rate than what was let in before."""


class Refusals:
    """Learns the gauges of a quota from refusals. `told` says of which quantities headers tell."""

    __slots__ = (
        "_asked", "_cluster", "_costs", "_gap", "_held", "_lessons", "_suspects", "active", "family", "gaps", "gauges",
        "learners", "learns", "pace", "slots", "told", "walls",
    )  # fmt: skip

    def __init__(self, gauges: tuple[Gauge, Gauge, Gauge], pace: Pace, family: Family) -> None:
        self.gauges = gauges
        self.pace = pace
        self.family = family
        self.walls = Walls()
        self.slots = Slots()
        self.learners: list[Learner | None] = [None, None, None]
        self.told = [False, False, False]
        self.active = -1
        self._cluster = Cluster()
        self._costs = Costs(family)
        self._asked = -1
        self._lessons = 0
        self.learns = False
        self._gap = Gap()
        self.gaps = Gaps(family)
        self._suspects = Suspects(gauges, self.learners, family)
        self._held: tuple[Gauge, float] | None = None

    # Events

    def sent(self, permit: Permit) -> None:
        """A request goes."""
        self.gaps.sent(permit)
        self._suspects.sent(needs(permit.demand))
        for gauge, learner, need in zip(self.gauges, self.learners, needs(permit.demand), strict=True):
            if learner is not None and need:
                learner.sent(need, 0.5 * gauge.rate, permit.sent)

    def begin(self, permit: Permit, wait: float | None, now: float) -> bool:
        """A request was refused: whether that is news, and not one more of those that were out together."""
        first = self.pace.sends == 1
        self.gaps.refused_one(permit, wait, self.pace, now)
        news = self.pace.refused(permit.sent, now)
        self.slots.heard = now
        if news:
            self._follow(permit, wait, now, let_in=False, first=first)
        self._costs.refused(permit, wait, news=news)
        self.family.sends = 0
        if news:
            self._gap.close(now)
        else:
            for learner, need in zip(self.learners, needs(permit.demand), strict=True):
                if learner is not None:
                    learner.refused(need)
        return news

    def admitted(self, permit: Permit, now: float) -> bool:
        """A request was let in. False where it is sure that this changes nothing of when others may go."""
        self.slots.admitted(permit.out, permit.sent, now)
        if self.pace.heard == -inf and permit.report is None:
            return False
        self.gaps.hears(permit, self.pace, now, let_in=True)
        if permit.sent >= self.pace.heard:
            self._gap.close(now)
            self._follow(permit, None, now, let_in=True)
        self._open(permit.sent, now)
        if permit.report is not None:
            for gauge, told in zip(self.gauges, permit.report.buckets, strict=True):
                if told is not None:
                    gauge.admitted(told, now)
        if self._lessons != self.family.lessons:
            self._hear(needs(permit.demand), now)
        for index, learner in enumerate(self.learners):
            if learner is not None and not self.told[index]:
                news = learner.admitted(permit.sent, permit.spent[index], needs(permit.demand)[index])
                if index == self.active and (news or self.gaps.on):
                    self._believe(index, now)
        return True

    def _suspected(self, needed: tuple[int, int, int]) -> list[int]:
        return [index for index in range(3) if needed[index] and not self.told[index]]

    def _hear(self, needed: tuple[int, int, int], now: float) -> None:
        """A sibling was taught something, or this one."""
        self._lessons = self.family.lessons
        if not 0 <= self.active < EXCHANGES or not needed[self.active] or self.told[self.active] or self.gaps.on:
            return
        before, found = self.active, self._suspected(needed)
        self.active = self._suspects.likeliest(found, needed, before, now)
        if before != self.active:
            self._believe(self.active, now)
        learner = self.learners[self.active]
        sibling = self.family.rates.get(self.active)
        if learner is not None and sibling is not None and self.pace.barren < 2 and convicted(learner, self.learners):
            hear(self.gauges[self.active], learner, sibling, now)

    def _follow(self, permit: Permit, wait: float | None, now: float, *, let_in: bool, first: bool = True) -> None:
        """The `first` that went after a refusal was heard of; what has to wait for some time was refused."""
        if first:
            known = 0 <= self._asked < EXCHANGES
            self._costs.tried(permit, wait, self._asked, self.gauges[self._asked] if known else None)
        if 0 <= self.active < EXCHANGES:
            self._costs.followed(permit, self.active, self.learners[self.active], let_in=let_in)
        if self.family.charges:
            for gauge in self.gauges:
                if not gauge.dear:
                    gauge.paid(now)

    def failed(self, permit: Permit) -> bool:
        """A request ended in an error of the server: whether it is known to have taken no quota."""
        self.gaps.unknown(permit)
        self._costs.failed(permit)
        for learner, need in zip(self.learners, needs(permit.demand), strict=True):
            if learner is not None and need:
                learner.errors = self.family.errors
                learner.failed(permit.order, need)
        return self.family.errors is False

    def _open(self, sent: float, now: float) -> None:
        """Something was let in after all: what a rest holds back, and what it forbids, is over."""
        barren, rest = self.pace.barren, self.pace.rest
        self.pace.admitted(sent)
        if self.pace.barren >= barren:
            return
        if self.pace.rest < rest and self._held is not None:
            gauge, held = self._held
            gauge.level = min(gauge.capacity, gauge.level + held)
        self._held = None
        for gauge, learner in zip(self.gauges, self.learners, strict=True):
            if learner is not None and gauge.quiet == inf and gauge.source == "learned":
                gauge.probe(gauge.tau, now)

    def explained(self, permit: Permit, now: float) -> bool:
        """Whether the headers of a refusal say which bucket had too little."""
        if permit.report is None:
            return False
        for index, need in enumerate(needs(permit.demand)):
            told = permit.report.buckets[index]
            if told is not None and told.remaining is not None and told.remaining < need:
                gauge = self.gauges[index]
                gauge.lacked(told, mark_of(permit, index, gauge, need), now)
                if gauge.rate:
                    # somebody else took it, or it was less than told: no reason to stay behind for long
                    self.pace.hasten(now + _BEHIND * need / gauge.rate)
                return True
        return False

    def named(self, index: int, limit: LimitHint, wait: float | None, permit: Permit, now: float) -> bool:
        """It names the limit of a quantity; of one beside the minute's only the wait is obeyed until it is met.

        True where that is a surprise: the limit was known by then, and there was room for the request by it.
        """
        surprise = False
        self._asked, gauge = index, self.gauges[index]
        need = float(needs(permit.demand)[index]) if limit.requested is None else limit.requested
        if limit.limit > 0.0:
            if limit.window != gauge.window:
                gauge = self.walls.open(index, limit.window, gauge, now)
            surprise = gauge.source == "told" and gauge.since <= permit.sent <= gauge.quiet
            changed = gauge.learn(limit.limit * 60.0 / limit.window, now)
            if need > limit.limit:
                return False
            surprise = surprise and not changed
            if wait is not None and not changed and gauge is self.gauges[index]:
                self._compare(permit, index, gauge, need, wait)
            charges = self._costs.named(permit, index, gauge, wait, changed=changed)
            tau = min(LAST_TAU, 2.0 * gauge.tau) if now >= gauge.quiet else gauge.tau
            gauge.probe(tau, now, dear=self.family.charges is True)
            left = (need - 1.0) / 2.0 if wait is None else need - gauge.true * wait
            mark = mark_of(permit, index, gauge, need)
            # what was sent meanwhile was let in as it refilled, where that takes no longer than to hear of it
            sure = wait is not None and self.family.charges is False and need < SLOW * gauge.true
            gauge.refused(left * gauge.others.share, mark, now, charges=charges, sure=sure)
        gauge.hold = max(gauge.hold, now + (wait or 0.0))
        return surprise

    def unnamed(self, permit: Permit, wait: float | None, now: float, *, news: bool) -> None:
        """Nobody says which limit it was."""
        if not news:
            self._again(permit, wait, now)
            return
        self._cluster.begin(permit, wait)
        needed = needs(permit.demand)
        suspects = self._suspected(needed)
        self._suspects.refused(suspects, needed, self.active)
        for index in suspects:
            learner = self.learners[index]
            if learner is None:
                # so much was let in until now: what was not refilled meanwhile is what it holds at least
                burst = (permit.spent[index], permit.sent - self.pace.first)
                learner = self.learners[index] = Learner(burst=burst, at=permit.sent)
            learner.known, learner.errors = self.family.charges, self.family.errors
            self.learns = True
            empty = self._empty(index, permit, wait)
            learner.empty(empty)
            if index == self.active:
                self.family.errors = learner.errors
            learner.refused(needed[index])
            learner.measured(empty, self.gauges[index].spent, 0.5 * self.gauges[index].rate)
        if self._exchanges(suspects, permit, wait, now):
            self._asked = self.active = EXCHANGES
            return
        if wait is not None:
            self.pace.block(now + wait)
        if not suspects:
            index = next((index for index in (1, 2, 0) if needed[index]), 0)
            self.walls.met(index, self.gauges[index], permit, wait, now)
            return
        if wait is not None and self._suspects.vague(suspects):
            return  # it is obeyed, and the next refusal tells more
        if not (self.gaps.on and self.active in suspects):  # gaps are the same of all: no other would know better
            self.active = self._suspects.likeliest(suspects, needed, self.active, now)
        self._asked = self.active
        self._believe(self.active, now, permit, wait)

    # Which it was

    def _exchanges(self, suspects: list[int], permit: Permit, wait: float | None, now: float) -> bool:
        learners = [learner for index in suspects if (learner := self.learners[index]) is not None]
        least = min((learner.state.strikes for learner in learners), default=inf)
        steady = any(learner.steady for learner in learners)
        found = self.slots.refuses(permit, permit.beside(self.gauges[0].spent), wait, now, least=least, steady=steady)
        self.pace.places, self.pace.careful = self.slots.places, self.pace.careful and not found
        return found

    # What it says

    def _again(self, permit: Permit, wait: float | None, now: float) -> None:
        """One more of a cluster: it may have been sent before the one that was heard of first."""
        longer, changed = self._cluster.longer(permit, wait), self._cluster.again(permit, wait)
        first, until = self._cluster.first, self._cluster.until
        if first is None:
            return
        if self.active == EXCHANGES:
            self.slots.also(permit.out)
        if changed:
            permit, wait = first, None if until is None else until - first.sent
            for index, learner in enumerate(self.learners):
                if learner is not None:
                    learner.earlier(self._empty(index, permit, wait))
        if longer is not None:
            self._paid(longer, needs(permit.demand))
        if 0 <= self.active < EXCHANGES:
            self._believe(self.active, now, permit, wait)

    def _paid(self, longer: float, needed: tuple[int, int, int]) -> None:
        """Two of a cluster tell that refusals take quota, and in how many seconds a request's needs are refilled."""
        self.family.charges = True
        for learner, need in zip(self.learners, needed, strict=True):
            if learner is not None and need:
                learner.known = True
                learner.bounded(need / (longer + ERROR), need / (longer - ERROR))

    def _empty(self, index: int, permit: Permit, wait: float | None) -> Empty:
        gauge, learner, need = self.gauges[index], self.learners[index], needs(permit.demand)[index]
        time = permit.sent + SPREAD / 2.0 + (wait or 0.0)
        full = inf > permit.levels[index] > 2.0 * need + 0.3 * gauge.rate > 2.0 * need
        full = full and gauge.source not in {"limit", "ceiling"}
        idle = 0.0 if learner is None else learner.idle
        # one that went before the last refusal was heard of may have been refused, too, and have left a debt
        let_in = permit.previous >= self.pace.before or (learner is not None and learner.costs is False)
        behind = permit.previous + SPREAD / 2.0 if let_in else -inf
        failed = 0.0 if learner is None else learner.before_it(permit.order)
        return Empty(time, permit.spent[index], need, wait is not None, full, idle, behind, permit.order, failed)

    def _believe(self, index: int, now: float, permit: Permit | None = None, wait: float | None = None) -> None:
        """Go by what is known of gaps, where a bucket holds one request, or by what its learner says."""
        gauge, learner = self.gauges[index], self.learners[index]
        if not self.gaps.steer(gauge, self.pace, now):
            self._learnt(index, now, permit, wait)
        elif permit is not None and learner is not None:
            gauge.probe(learner.state.tau, now)

    def _learnt(self, index: int, now: float, permit: Permit | None, wait: float | None) -> None:
        gauge, learner = self.gauges[index], self.learners[index]
        if learner is None:
            return
        need = 0 if permit is None else needs(permit.demand)[index]
        if permit is not None and gauge.source == "learned" and learner.knew(gauge.rate):
            last = learner.before.last
            unsure = 0.0 if last is None else (gauge.rate - learner.state.low) * (permit.sent - last.time)
            self._compare(permit, index, gauge, need, wait, max(0.0, unsure))
        rate = self._rate(index, learner, permit, wait)
        self.pace.careful = False
        if rate is not None:
            gauge.pace(rate, now)
            if permit is not None and learner.tight(permit.order, wait):
                gauge.shrink(inf, need, now)
        elif not gauge.rate and permit is not None:
            self.pace.careful = True
            self.pace.block(now + HOLD)
        gauge.probe(patience(gauge, learner, self.gauges, self.told), now)
        if self.pace.barren > 1:
            gauge.quiet = inf  # while nothing is let in nothing more is tried
        if permit is not None:
            left = was_left(learner, permit, self._cluster.first, index, gauge, wait)
            charges = self._costs.believed(learner, permit, need, gauge.rate, wait)
            sure = wait is not None and learner.state.high < inf and permit is self._cluster.first
            gauge.refused(left, mark_of(permit, index, gauge, need), now, charges=charges, sure=sure)
            if self.pace.barren > 1 and gauge.source == "learned":
                # slow or closed: when it is tried again there is room for one, whatever a rest would have filled
                level = min(gauge.level, need - gauge.rate * max(0.0, self.pace.rest - now))
                self._held = gauge, gauge.level - level
                gauge.level = level

    def _rate(self, index: int, learner: Learner, permit: Permit | None, wait: float | None) -> float | None:
        """A rate a second: its own, or what a sibling learned, or what the wait says at most; None: nobody knows."""
        rate, gauge = learner.rate, self.gauges[index]
        if rate is not None:
            if learner.state.high < inf:
                low, high = self.family.agree(index, learner.state.low, learner.state.high)
                self._lessons = self.family.lessons
                rate = learner.within(low, high) if convicted(learner, self.learners) else rate
            # what is configured is not contradicted by the refusal of more
            more = permit is not None and permit.sent > gauge.quiet
            agrees = more and learner.state.low <= gauge.rate <= learner.state.high
            return None if agrees and gauge.source in {"limit", "ceiling"} else rate
        if permit is None or gauge.source in {"limit", "ceiling", "told"}:
            return None
        sibling = self.family.rates.get(index)
        served = permit.spent[index] / max(0.1, permit.sent - self.pace.first)
        # one that has used up its day says nothing of those that have not
        if sibling is not None and sibling[1] > _UNLIKE * served:
            return sibling[1]
        if not wait or (gauge.source != "none" and learner.state.anchor is not learner.state.last):
            return None
        # what is refused and takes quota leaves a debt: those that were refused before it wait for less than it
        return max(gauge.rate, self._guess(index, permit, wait))

    def _guess(self, index: int, permit: Permit, wait: float) -> float:
        """How fast a bucket fills at most that will have enough for a request after a wait, or as headers tell."""
        learner, need, told = self.learners[index], needs(permit.demand)[index], self.gauges[0].true * self.told[0]
        if wait < _LONG or learner is None:
            # a wall that nobody tells of is most likely of the same rate; of many refused the last waits for all
            return max(min(_HASTE * need / wait, self._empty(index, permit, wait).most), need * told)
        # so much was let in until now, and nothing more until then: a window of the clock, or a slow bucket
        passed = permit.sent - self.pace.first + wait
        return max(_HASTE * need / wait, (permit.spent[index] - learner.state.since) / passed)

    def _compare(
        self, permit: Permit, index: int, gauge: Gauge, need: float, wait: float | None, unsure: float = 0.0
    ) -> None:
        left = need if wait is None else need - gauge.true * wait
        # where siblings draw on it, too, they may have taken some of what was there
        known = wait is not None and gauge.others.share == 1.0
        self._gap.compare(permit, index, gauge, left * gauge.others.share + unsure, need, 0.0 if known else need)
