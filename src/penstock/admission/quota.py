"""The limits that one or more lanes share: requests, tokens and images a minute or a day, and exchanges at a time.

An attempt goes when all of them have room; they are reserved together and given back together. Every operation is O(1)
in what waits and in what is out. What is believed comes from the configuration, from what an earlier run was taught,
from headers, and from refusals, each above the ones before it; a ceiling stands above all.
"""

from __future__ import annotations

from collections import deque
from math import inf

from penstock.admission.bucket import SPREAD, Gauge
from penstock.admission.family import Family
from penstock.admission.headers import DAY, QUANTITIES, RateReport
from penstock.admission.pace import LONGEST, Pace
from penstock.admission.permits import Never, Permit, QuotaFigures, mark_of, needs, perday, perminute
from penstock.admission.refusals import EXCHANGES, Refusals
from penstock.admission.sharing import divide
from penstock.admission.taking import Plan, planned, take
from penstock.admission.taught import recall, taught
from penstock.config import Limits
from penstock.errors import UsageError
from penstock.lessons import NO_LESSONS, Lessons, Use
from penstock.readings import LimitHint
from penstock.three import Three
from penstock.work import Demand

__all__ = ["Never", "Permit", "Quota", "QuotaFigures"]

_NEVER_BEFORE = (0.0, 0.0, 0.0)


class Quota:
    """Limits as believed, and what is out under them. Times are absolute monotonic seconds.

    `prior` is what an earlier run was taught, `family` what siblings share while they run. `eager`: nothing is held
    back before the first refusal, but for what is believed of limits.
    """

    __slots__ = (
        "_allowed", "_asked", "_began", "_concurrency", "_fits", "_gauges", "_images", "_limits", "_order", "_pace",
        "_placed", "_plan", "_ready", "_recent", "_refusals", "_requests", "_returned", "_slots", "_spread", "_tokens",
        "_walls", "in_flight",
    )  # fmt: skip

    def __init__(
        self,
        limits: Limits,
        now: float,
        prior: Lessons = NO_LESSONS,
        family: Family | None = None,
        *,
        eager: bool = False,
    ) -> None:
        self._began = now
        self._requests, self._tokens, self._images = Gauge(now), Gauge(now), Gauge(now)
        self._gauges = (self._requests, self._tokens, self._images)
        self._placed = tuple(enumerate(self._gauges))
        self._limits = Limits(concurrency=None)
        self._pace = Pace(eager=eager)
        self._refusals = Refusals(self._gauges, self._pace, family or Family())
        self._slots, self._walls = self._refusals.slots, self._refusals.walls
        self._recent: deque[Permit] = deque()
        self._returned = _NEVER_BEFORE
        self._order = 0
        self._spread = SPREAD
        # what was last asked for and when it may go, until something is taken or learned
        self._asked: Demand | None = None
        self._ready = -inf
        # what such a demand draws on, and one that is not too large, until something is learned
        self._plan: Plan | None = None
        self._fits: Demand | None = None
        # how many may be out, by who says it, and since when
        self._allowed: dict[str, tuple[int, float]] = {}
        self._concurrency: float = inf
        self.in_flight = 0
        self.relimit(limits, now)
        recall(prior, self._gauges, self._walls, self._slots, now)

    def relimit(self, limits: Limits, now: float) -> None:
        """Believe other limits. What they leave as it was keeps what was learned; what is out stays out."""
        self._learned()
        before, self._limits = self._limits, limits
        if limits != before:
            self.close(
                now
            )  # a share is one of what was believed: where siblings still draw on it, refusals say so again
        how = (limits.burst, limits.ceiling) != (before.burst, before.ceiling)
        for index, (old, new) in enumerate(zip(perminute(before), perminute(limits), strict=True)):
            if new != old or (new is not None and how):
                self._gauges[index].configure(new, limits.burst, now, ceiling=limits.ceiling)
        for index, (old, new) in enumerate(zip(perday(before), perday(limits), strict=True)):
            if new != old or (new is not None and how):
                day = self._walls.open(index, DAY, self._gauges[index], now)
                day.configure(None if new is None else new * 60.0 / DAY, 1.0, now, ceiling=limits.ceiling)
        if limits.concurrency != before.concurrency:
            self._allowed = {} if limits.concurrency is None else {"ceiling": (limits.concurrency, now)}
        self._bound()

    # What may go

    def never(self, demand: Demand) -> Never | None:
        """Why this demand can never go, None if it can: it is larger than a bucket can ever hold, as believed."""
        if self._fits is demand:
            return None
        if (
            demand.images <= self._images.bound
            and demand.tokens <= self._tokens.bound
            and demand.requests <= self._requests.bound
            and not self._walls.known
        ):
            self._fits = demand
            return None
        needed = needs(demand)
        for quantity, gauge, need in zip(QUANTITIES, self._gauges, needed, strict=True):
            if need > gauge.bound + 1e-9:
                return Never(quantity, gauge.bound, need, splits=self._splits(demand))
        over = self._walls.never(needed)
        if over is None:
            self._fits = demand
            return None
        index, bound = over
        splits = index > 0 and needed[index] <= bound * demand.images
        return Never(QUANTITIES[index], bound, needed[index], splits=splits)

    def largest(self, demand: Demand, samples: int) -> int:
        """How many of `samples` pictures, each of this demand, one request may buy at most by capacity; 0: not one."""
        if demand.requests > self._requests.bound:
            return 0
        for gauge, need in ((self._tokens, demand.tokens), (self._images, demand.images)):
            if need and samples * need > gauge.bound + 1e-9:
                samples = int((gauge.bound + 1e-9) // need)
        return samples

    def ready_at(self, demand: Demand, now: float) -> float:
        """When this demand may go: at or before `now` at once, `inf` only after something that is out comes back."""
        out = self.in_flight
        if out >= self._concurrency or out >= self._slots.found:
            return inf
        if self._asked is not demand:
            self._asked, self._ready = demand, self._look(demand)
        time, pace = self._ready, self._pace
        if time < now:
            time = now
        return pace.widen if out >= pace.reach and pace.widen > time else time

    def _look(self, demand: Demand) -> float:
        """When this demand may go as far as rates go; a time that is past, or `-inf`: at once."""
        time = self._pace.opens
        # most of the time only one bucket lacks anything: the others are not even asked
        if need := demand.requests:
            gauge = self._requests
            if (ready := gauge.hold if need <= gauge.level else gauge.ready(need)) > time:
                time = ready
        if need := demand.tokens:
            gauge = self._tokens
            if (ready := gauge.hold if need <= gauge.level else gauge.ready(need)) > time:
                time = ready
        if need := demand.images:
            gauge = self._images
            if (ready := gauge.hold if need <= gauge.level else gauge.ready(need)) > time:
                time = ready
        return self._walls.ready(needs(demand), time) if self._walls.known else time

    def why(self, demand: Demand, now: float) -> str:
        """What it waits for longest: "requests", "tokens", "images", "concurrency", "blocked" or "pace".

        Blocked: after a refusal; pace: for the gap between two attempts.
        """
        if self.in_flight >= self._concurrency or self.in_flight >= self._slots.found:
            return "concurrency"
        pace = self._pace
        time = pace.widened(self.in_flight, pace.opens)
        reason = "blocked" if time > max(pace.next, pace.widen) else "pace"
        for quantity, gauge, need in zip(QUANTITIES, self._gauges, needs(demand), strict=True):
            ready = gauge.ready(need) if need else -inf
            if ready > time:
                time, reason = ready, "blocked" if ready == gauge.hold and ready > now else quantity
        wall, quantity = self._walls.longest(needs(demand))
        return quantity if wall > time else reason

    def outlook(self, demand: Demand, now: float) -> tuple[float, int, float, float]:
        """When the buckets that a demand draws on are all full; `-inf` where it draws on none.

        Behind that the last one to be full: which it is, the seconds that it holds, its rate a second.
        """
        drawn, full, index, span, most = needs(demand), -inf, 0, 0.0, 0.0
        for place, gauge in (*self._placed, *self._walls.known) if self._walls.known else self._placed:
            rate = gauge.rate
            if rate and drawn[place]:
                at = gauge.at
                if at > gauge.quiet:
                    rate = gauge.pull()
                # a level as of a moment ahead is there to be taken now, and counts now
                time = (at if at < now else now) + (gauge.capacity - gauge.level) / rate
                if time > full:
                    full, index, span, most = time, place, gauge.capacity / rate, rate
        return full, index, span, most

    # Permits

    def reserve(self, demand: Demand, now: float) -> Permit:
        """Take what one exchange needs, now. Raises UsageError if it is not ready; nothing has changed then."""
        pace, out = self._pace, self.in_flight
        # whoever has just asked knows; all that may have changed since is how many may be out
        known = self._asked is demand and self._ready <= now and (out < pace.reach or pace.widen <= now)
        if not known and self.ready_at(demand, now) > now:
            raise UsageError("reserved before it was ready: ask ready_at() first")
        spent = (self._requests.spent, self._tokens.spent, self._images.spent)
        recent = self._recent
        while recent and recent[0].sent < now - self._spread:
            recent.popleft().after = spent
        opening = recent[0].spent if recent else spent
        plan = self._plan
        alike = plan is not None and plan.demand is demand
        if plan is None or not alike:
            plan = self._plan = planned(demand, self._refusals)
        levels, again = take(plan.needs, now, alike=alike)
        self._order += 1
        permit = Permit(self._order, now, demand, spent, opening, levels, self._returned, out, pace.last)
        recent.append(permit)
        pace.last = now
        refusals = self._refusals
        family = refusals.family
        family.sends += 1
        if refusals.learns:
            refusals.sent(permit)
        if not pace.eager or pace.heard > -inf:
            pace.sent(now, plan.sure, family.sends if plan.trusts else None, out)
        self.in_flight = out + 1
        if alike:
            # the same may go again when pace and buckets allow it: nobody has to look for that
            opens = pace.opens
            self._asked, self._ready = demand, again if again > opens else opens
        else:
            self._asked = None
        return permit

    def settle(self, permit: Permit, taken: Three, now: float, tokens: int | None = None) -> bool:
        """End a permit. Its exchange is over; `taken` says whether it counted against the rates, NO gives them back.

        `tokens` is the real figure, which replaces the estimate (0 or None: it was not told). False where it is sure
        that this changes nothing of when others may go. Raises UsageError on a second end.
        """
        if permit.ended:
            raise UsageError("this permit has ended already")
        permit.ended = True
        pace = self._pace
        changed = self.in_flight >= min(self._slots.found, self._concurrency, pace.reach if pace.widen > now else inf)
        if self.in_flight == self._slots.found:
            self._slots.full(now)
        self.in_flight -= 1
        demand = permit.demand
        if not permit.refused:
            pace.replied(permit.sent, now)
        if taken is Three.NO:
            self._give(permit, demand, now)
            if not permit.refused:
                self._refusals.gaps.unknown(permit)
            return True
        if tokens and tokens != demand.tokens and self._tokens.limit is not None and self._tokens.source != "learned":
            # a rate that refusals taught is one of tokens as they were estimated
            self._give(permit, Demand(0, 0, demand.tokens - tokens), now)
            changed = True
        if not permit.refused and self._refusals.admitted(permit, now):
            self._learned()
            changed = True
        return changed or permit.refused

    # What is learned

    def heard(self, permit: Permit, report: RateReport, now: float) -> None:
        """A reply (its head or all of it) told of limits. Hearing the same twice changes nothing."""
        self._learned()
        permit.report = report
        if report.concurrency is not None:
            self._allowed["told"] = (report.concurrency, now)
            self._slots.found = inf
            self._bound()
        needed = needs(permit.demand)
        for index, told in enumerate(report.buckets):
            # of a quantity on which it does not draw, a reply knows as much: its need is then 0
            if told is not None:
                gauge = self._gauges[index]
                wall = self._walls.meant(index, told, gauge)
                if wall is None:
                    self._refusals.told[index] = True
                else:
                    gauge = wall
                gauge.observe(told, permit.order, mark_of(permit, index, gauge, needed[index]), now)
        for index, window, told in report.others:
            gauge = self._walls.open(index, window, self._gauges[index], now)
            gauge.observe(told, permit.order, mark_of(permit, index, gauge, needed[index]), now)
        plain = report.plain
        if plain is not None and plain.remaining is not None and plain.remaining < 1.0 and plain.reset:
            self._pace.block(now + min(plain.reset, LONGEST))
        self._pace.replied(permit.sent, now)

    def refused(self, permit: Permit, limit: LimitHint | None, wait: float | None, now: float) -> bool:
        """A rate limit refused this exchange; `limit` is what it named, `wait` how many seconds it asked for.

        True where siblings turn out to draw on the same bucket: what they may send has changed, too.
        """
        self._learned()
        permit.refused = True
        refusals = self._refusals
        news = refusals.begin(permit, wait, now)
        if refusals.explained(permit, now):
            self._spread = max(gauge.spread for gauge in self._gauges)
            return False
        if limit is None or limit.quantity not in {*QUANTITIES, "concurrency"}:
            refusals.unnamed(permit, wait, now, news=news)
            if refusals.active == EXCHANGES and self.in_flight <= 1:
                self._pace.block(self._slots.until)  # as below
        elif limit.quantity == "concurrency":
            self._slots.named(int(limit.limit), permit.sent, now)
            self._pace.places = int(self._slots.found)
            if wait is not None and self.in_flight <= 1:
                self._pace.block(now + wait)  # nothing comes back that would make room
        else:
            index = QUANTITIES.index(limit.quantity)
            surprised = refusals.named(index, limit, wait, permit, now) and news
            if limit.owner and not refusals.told[index]:
                return refusals.family.hears(self, (index, limit.window, limit.owner), now, surprised=surprised)
        return False

    def divide(self, index: int, window: float, share: float, now: float) -> None:
        """Go by this share of a bucket: siblings draw on the rest. Headers that tell what remains tell of that, too."""
        self._learned()
        gauge = self._gauges[index]
        found = gauge if window == gauge.window else self._walls.find(index, window)
        if found is not None and not self._refusals.told[index]:
            divide(found, share, now)

    def close(self, now: float) -> bool:
        """Nothing more is sent: siblings that draw on the same buckets have them for themselves. True: there are."""
        return self._refusals.family.leaves(self, now)

    def failed(self, permit: Permit, now: float) -> None:
        """An error of the server ended this exchange; it is given back where those were learned to take no quota."""
        if self._refusals.failed(permit):
            self._give(permit, permit.demand, now)

    def drawn(self, use: Use, now: float) -> None:
        """Other runs used so much more of a day (or an hour) meanwhile. Raises ValueError for an unknown quantity."""
        self._asked = None
        self._walls.draw(QUANTITIES.index(use.quantity), use.window, use.amount, now)

    def lessons(self, now: float) -> Lessons:
        """What the provider and its refusals taught until now, to begin warm with next time."""
        return taught(self._gauges, self._walls, self._slots, self._began, now)

    def figures(self, now: float) -> QuotaFigures:
        """Everything as believed now."""
        until = max(self._pace.blocked, *(gauge.hold for gauge in self._gauges))
        allowed = dict(self._allowed)
        if self._slots.found < inf:
            allowed["learned"] = (int(self._slots.found), self._slots.since)
        source = min(allowed, key=lambda name: allowed[name][0], default="none")
        most, since = allowed.get(source, (None, now))
        return QuotaFigures(
            self._requests.figures(now),
            self._tokens.figures(now),
            self._images.figures(now),
            self.in_flight,
            most,
            until if until > now else None,
            self._walls.figures(now),
            source,
            None if most is None else max(0.0, now - since),
        )

    def _learned(self) -> None:
        self._asked = self._plan = self._fits = None

    def _give(self, permit: Permit, demand: Demand, now: float) -> None:
        self._asked = None
        for index, need in enumerate(needs(demand)):
            if need:
                gauge = self._gauges[index]
                mark = mark_of(permit, index, gauge, need)
                gauge.give(need, mark, now)
                self._walls.give(index, need, mark, now)
        requests, tokens, images = self._gauges
        self._returned = (requests.returned, tokens.returned, images.returned)

    def _splits(self, demand: Demand) -> bool:
        """Whether one picture of it would fit, with all that it is made from."""
        count = demand.images - demand.inputs
        return (
            count > 1
            and demand.requests <= self._requests.bound
            and demand.tokens / count <= self._tokens.bound
            and self._images.bound >= 1.0 + demand.inputs
        )

    def _bound(self) -> None:
        self._concurrency = min((most for most, _ in self._allowed.values()), default=inf)
