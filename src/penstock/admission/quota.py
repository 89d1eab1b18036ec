"""The limits that one or more lanes share: requests, tokens and images a minute, and exchanges at a time.

An attempt goes when all of them have room; they are reserved together and given back together. Every operation is O(1)
in what waits and in what is out.
"""

from __future__ import annotations

from collections import deque
from math import inf

from attrs import define, frozen

from penstock.admission.bucket import SPREAD, Gauge, GaugeFigures, Mark
from penstock.admission.headers import QUANTITIES, RateReport
from penstock.admission.pace import Pace
from penstock.config import Limits
from penstock.errors import UsageError
from penstock.lessons import NO_LESSONS, Lesson, Lessons
from penstock.readings import LimitHint
from penstock.three import Three
from penstock.work import Demand

_NEVER_BEFORE = (0.0, 0.0, 0.0)

WINDOW, KEPT = 60.0, 86_400.0
"""Seconds that a limit is of, and after which what was learned is forgotten."""


@frozen
class Never:
    """A demand that no waiting makes fit: `needed` of `quantity` where the bucket holds `limit` at most.

    `splits`: fewer samples a request would fit.
    """

    quantity: str
    limit: float
    needed: float
    splits: bool


@define(eq=False)
class Permit:
    """What one exchange has reserved. Opaque; `Quota.settle` ends it exactly once.

    The tuples hold a figure a quantity: what had ever been spent before it, SPREAD earlier still, and SPREAD later; the
    levels then; what had ever been given back.
    """

    order: int
    sent: float
    demand: Demand
    spent: tuple[float, float, float]
    opening: tuple[float, float, float]
    levels: tuple[float, float, float]
    returned: tuple[float, float, float]
    after: tuple[float, float, float] | None = None
    refused: bool = False
    ended: bool = False


@frozen
class QuotaFigures:
    """A quota as believed now. `concurrency` None is no limit; `blocked_until` None is not blocked."""

    requests: GaugeFigures
    tokens: GaugeFigures
    images: GaugeFigures
    in_flight: int
    concurrency: int | None
    blocked_until: float | None


class Quota:
    """Limits as believed, and what is out under them. Times are absolute monotonic seconds."""

    __slots__ = (
        "_concurrency",
        "_found",
        "_gauges",
        "_images",
        "_limits",
        "_order",
        "_pace",
        "_recent",
        "_requests",
        "_returned",
        "_tokens",
        "_told",
        "in_flight",
    )

    def __init__(self, limits: Limits, now: float, prior: Lessons = NO_LESSONS) -> None:
        self._requests, self._tokens, self._images = Gauge(now), Gauge(now), Gauge(now)
        self._gauges = (self._requests, self._tokens, self._images)
        self._limits = Limits(concurrency=None)
        self._pace = Pace()
        self._recent: deque[Permit] = deque()
        self._returned = _NEVER_BEFORE
        self._order = 0
        # what ready_at last found to be ready, until something is taken or learned: whoever asks then reserves
        self._found: tuple[Demand, float] | None = None
        self._told: int | None = None
        self._concurrency: float = inf
        self.in_flight = 0
        self.relimit(limits, now)
        for lesson in prior.buckets:
            if lesson.quantity in QUANTITIES and lesson.window == WINDOW and lesson.age < KEPT:
                self._gauges[QUANTITIES.index(lesson.quantity)].learn(lesson.per_minute, now)

    def relimit(self, limits: Limits, now: float) -> None:
        """Believe other limits. What they leave as it was keeps what was learned; what is out stays out."""
        self._found = None
        before, self._limits = self._limits, limits
        for gauge, old, new in zip(self._gauges, _perminute(before), _perminute(limits), strict=True):
            if new != old or (new is not None and limits.burst != before.burst):
                gauge.configure(new, limits.burst, now)
        if limits.concurrency != before.concurrency:
            self._told = None
        self._bound()

    def never(self, demand: Demand) -> Never | None:
        """Why this demand can never go, None if it can: it is larger than a bucket can ever hold, as believed."""
        if (
            demand.images <= self._images.capacity
            and demand.tokens <= self._tokens.capacity
            and demand.requests <= self._requests.capacity
        ):
            return None
        for quantity, gauge, need in zip(QUANTITIES, self._gauges, _needs(demand), strict=True):
            if need > gauge.capacity + 1e-9:
                return Never(quantity, gauge.capacity, need, splits=self._splits(demand))
        return None

    def largest(self, demand: Demand, samples: int) -> int:
        """How many of `samples` pictures, each of this demand, one request may buy at most by capacity; 0: not one."""
        if demand.requests > self._requests.capacity:
            return 0
        for gauge, need in ((self._tokens, demand.tokens), (self._images, demand.images)):
            if need and samples * need > gauge.capacity + 1e-9:
                samples = int((gauge.capacity + 1e-9) // need)
        return samples

    def ready_at(self, demand: Demand, now: float) -> float:
        """When this demand may go: at or before `now` at once, `inf` only after something that is out comes back."""
        if self.in_flight >= self._concurrency:
            return inf
        time = now
        if demand.requests and (ready := self._requests.ready(demand.requests)) > time:
            time = ready
        if demand.tokens and (ready := self._tokens.ready(demand.tokens)) > time:
            time = ready
        if demand.images and (ready := self._images.ready(demand.images)) > time:
            time = ready
        paced = self._pace.ready()
        if paced > time:
            return paced
        if time == now:
            self._found = (demand, now)
        return time

    def why(self, demand: Demand, now: float) -> str:
        """What it waits for longest: "requests", "tokens", "images", "concurrency" or "blocked" (after a refusal)."""
        if self.in_flight >= self._concurrency:
            return "concurrency"
        time, reason = self._pace.ready(), "blocked"
        for quantity, gauge, need in zip(QUANTITIES, self._gauges, _needs(demand), strict=True):
            ready = gauge.ready(need) if need else -inf
            if ready > time:
                time, reason = ready, "blocked" if ready == gauge.hold and ready > now else quantity
        return reason

    def outlook(self, demand: Demand, now: float) -> tuple[float, float, int, float, float]:
        """When anything may go at all, and when the buckets that a demand draws on are all full.

        Behind these two the last bucket to be full: which it is, the seconds that it holds, its rate a second. A first
        time of `inf` is when something comes back, of `-inf` any; a second of `-inf` is one without a bucket.
        """
        if self.in_flight >= self._concurrency:
            return inf, -inf, 0, 0.0, 0.0
        opens, full, index, span, rate = self._pace.ready(), -inf, 0, 0.0, 0.0
        if opens > now:
            return opens, full, index, span, rate
        for place, need in enumerate((demand.requests, demand.tokens, demand.images)):
            gauge = self._gauges[place]
            if need and gauge.rate:
                at = gauge.at + (gauge.capacity - gauge.level) / gauge.rate
                if at > full:
                    full, index, span, rate = at, place, gauge.capacity / gauge.rate, gauge.rate
        return opens, full, index, span, rate

    def reserve(self, demand: Demand, now: float) -> Permit:
        """Take what one exchange needs, now. Raises UsageError if it is not ready; nothing has changed then."""
        if self._found != (demand, now) and self.ready_at(demand, now) > now:
            raise UsageError("reserved before it was ready: ask ready_at() first")
        requests, tokens, images = self._gauges
        spent = (requests.spent, tokens.spent, images.spent)
        recent = self._recent
        while recent and recent[0].sent < now - SPREAD:
            recent.popleft().after = spent
        levels = (
            requests.take(demand.requests, now) if demand.requests else 0.0,
            tokens.take(demand.tokens, now) if demand.tokens else 0.0,
            images.take(demand.images, now) if demand.images else 0.0,
        )
        self._found = None
        self._order += 1
        opening = recent[0].spent if recent else spent
        permit = Permit(self._order, now, demand, spent, opening, levels, self._returned)
        recent.append(permit)
        if self._pace.gap:
            self._pace.sent(now)
        self.in_flight += 1
        return permit

    def settle(self, permit: Permit, taken: Three, now: float, tokens: int | None = None) -> None:
        """End a permit. Its exchange is over; `taken` says whether it counted against the rates, NO gives them back.

        `tokens` is the real figure, which replaces the estimate. Raises UsageError on a second end.
        """
        if permit.ended:
            raise UsageError("this permit has ended already")
        permit.ended = True
        self.in_flight -= 1
        demand = permit.demand
        if taken is Three.NO:
            self._give(permit, demand, now)
            return
        if tokens is not None and tokens != demand.tokens and self._tokens.limit is not None:
            self._give(permit, Demand(0, 0, demand.tokens - tokens), now)
        if taken is Three.YES and not permit.refused and (self._pace.barren or self._pace.gap):
            self._pace.admitted(permit.sent)

    def heard(self, permit: Permit, report: RateReport, now: float) -> None:
        """A reply (its head or all of it) told of limits. Hearing the same twice changes nothing."""
        self._found = None
        if report.concurrency is not None:
            self._told = report.concurrency
            self._bound()
        needs = _needs(permit.demand)
        for index, told in enumerate(report.buckets):
            # of a quantity on which it does not draw, a reply knows as much: its need is then 0
            if told is not None:
                self._gauges[index].observe(told, permit.order, self._mark(permit, index, needs[index]), now)

    def refused(self, permit: Permit, limit: LimitHint | None, wait: float | None, now: float) -> None:
        """A rate limit refused this exchange; `limit` is what it named, `wait` how many seconds it asked for."""
        self._found = None
        permit.refused = True
        until, news = self._pace.refused(permit.sent, wait, now)
        if limit is None:
            self._pace.block(until, widen=news)
            return
        over = limit.requested is not None and limit.requested > limit.limit
        if limit.quantity == "concurrency":
            self._told = max(1, int(limit.limit))
            self._bound()
            if wait is not None:
                self._pace.block(until, widen=False)
        elif limit.quantity in QUANTITIES:
            index = QUANTITIES.index(limit.quantity)
            self._learn(index, limit, wait, permit, now)
            if not over:
                self._gauges[index].hold = max(self._gauges[index].hold, until)
        else:
            self._pace.block(until, widen=news)

    def lessons(self, now: float) -> Lessons:
        """What the provider taught until now, to begin warm with next time."""
        found = ((quantity, gauge.figures(now)) for quantity, gauge in zip(QUANTITIES, self._gauges, strict=True))
        return Lessons(
            tuple(
                Lesson(quantity, one.per_minute, one.capacity, WINDOW, one.source)
                for quantity, one in found
                if one.source == "told" and one.per_minute is not None
            )
        )

    def figures(self, now: float) -> QuotaFigures:
        """Everything as believed now."""
        until = max(self._pace.ready(), *(gauge.hold for gauge in self._gauges))
        return QuotaFigures(
            self._requests.figures(now),
            self._tokens.figures(now),
            self._images.figures(now),
            self.in_flight,
            None if self._concurrency == inf else int(self._concurrency),
            until if until > now else None,
        )

    def _learn(self, index: int, limit: LimitHint, wait: float | None, permit: Permit, now: float) -> None:
        """A bucket of a minute or less takes the limit named; of a longer window (a day) only the wait is obeyed."""
        if limit.window > 60.0 or limit.limit <= 0.0:
            return
        gauge = self._gauges[index]
        gauge.learn(limit.limit * 60.0 / limit.window, now)
        need = float(_needs(permit.demand)[index]) if limit.requested is None else limit.requested
        if need > limit.limit:
            return
        # whoever came back when told to and was refused again has paid for being refused
        gauge.charges = gauge.charges or self._pace.barren > 1
        left = (need - 1.0) / 2.0 if wait is None else need - gauge.rate * wait
        # without a wait to come back after, the dearer case is assumed
        gauge.refused(left, self._mark(permit, index, need), now, charges=gauge.charges or wait is None)

    def _give(self, permit: Permit, demand: Demand, now: float) -> None:
        for index, need in enumerate(_needs(demand)):
            if need:
                mark = self._mark(permit, index, need)
                self._gauges[index].give(need, mark, now)
        requests, tokens, images = self._gauges
        self._returned = (requests.returned, tokens.returned, images.returned)

    def _mark(self, permit: Permit, index: int, need: float) -> Mark:
        after = self._gauges[index].spent if permit.after is None else permit.after[index]
        return Mark(permit.sent, need, permit.levels[index], permit.spent[index], permit.opening[index], after,
                    permit.returned[index])  # fmt: skip

    def _splits(self, demand: Demand) -> bool:
        """Whether one picture of it would fit. Reference images count as pictures here: nobody tells them apart."""
        count = demand.images
        return (
            count > 1
            and demand.requests <= self._requests.capacity
            and demand.tokens / count <= self._tokens.capacity
            and self._images.capacity >= 1.0
        )

    def _bound(self) -> None:
        known = [limit for limit in (self._limits.concurrency, self._told) if limit is not None]
        self._concurrency = min(known) if known else inf


def _needs(demand: Demand) -> tuple[int, int, int]:
    return (demand.requests, demand.tokens, demand.images)


def _perminute(limits: Limits) -> tuple[float | None, float | None, float | None]:
    return (limits.rpm, limits.tpm, limits.ipm)
