"""Lanes, the quotas that they share, and the groups that find the right one for a call.

A lane is a credential, a model, and whether images are drawn on. What a group knows of its lanes is kept in order, so
that a step touches only those that it may use, and never asks all of them:

- *full*: every bucket is full, or none is known. The one with the fewest exchanges out for its weight goes first.
- *filling*: the smallest demand may go, and some bucket is not full. The one that will be full first goes first,
  because refill is lost only while a bucket is full.
- *resting*: not even the smallest demand may go before a known time (room in its buckets, a refusal, a gap between
  attempts, errors). Looked at when it has come.
- *busy*: nothing may go before something that is out comes back.

A lane is put in order again when something happens to its quota or its health, and when the time has come that its
place names; a bucket that just refills keeps its place. Where all that waits is alike the lanes at their limits rest,
and the first of them is the next one to be free. Which of the filling ones has room for a large demand depends on the
demand: the search goes through them in order and ends where a bound says that no later one can be ready sooner.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from math import inf
from typing import TYPE_CHECKING

from attrs import define

from penstock.admission.breaker import GOOD
from penstock.engine.fairness import Line
from penstock.work import Demand

if TYPE_CHECKING:
    from penstock.admission.breaker import Breaker
    from penstock.admission.quota import Permit, Quota
    from penstock.config import Credential, Limits
    from penstock.engine.entities import Call
    from penstock.engine.timers import Timer
    from penstock.entries import Lane as LaneName
    from penstock.outcomes import Trouble
    from penstock.work import Target

Rank = tuple[float, int, "Lane"]
"""A lane's place in one of its group's orders: a time or a load, the turn in which it got it, which lane."""

NO_EXCESS = (1, 1)
"""The worst charge seen for its quote where none was above."""

REVIEW = 256
"""After how many changes of its order a group takes the bounds of its search anew: what is learned wanders."""


class Common:
    """A quota and the lanes that draw on it; `key` is whose it is: a credential or an account, and a pool."""

    __slots__ = ("key", "lanes", "limits", "quota", "stirred")

    def __init__(self, key: tuple[str, str], limits: Limits, quota: Quota) -> None:
        self.key = key
        self.limits = limits
        self.quota = quota
        self.lanes: list[Lane] = []
        self.stirred = False


class Lane:
    """A credential and a model, for what draws on images or for what does not.

    `closed` says why it takes no more attempts (None: it does). `refusing` is since when its rate limits let nothing in
    (None: they do), `told` until when the last wait lasts that was told of (absolute seconds). `fault` is the last
    error that was its provider's.
    """

    __slots__ = (
        "breaker", "closed", "common", "credential", "fault", "group", "index", "name", "order", "quota", "rank",
        "rate", "refusing", "span", "told",
    )  # fmt: skip

    def __init__(self, name: LaneName, credential: Credential, group: Group, common: Common, breaker: Breaker) -> None:
        self.name = name
        self.credential = credential
        self.group = group
        self.common = common
        self.quota = common.quota
        self.breaker = breaker
        self.closed: Trouble | None = None
        self.fault: Trouble | None = None
        self.refusing: float | None = None
        self.told = -inf
        self.order: list[Rank] | None = None
        self.rank: Rank | None = None
        # of the bucket that is full last: seconds that it holds, units a second, which quantity
        self.span = self.rate = 0.0
        self.index = 0

    def ready_at(self, demand: Demand, now: float) -> float:
        """When a demand may go here, by its limits and its health; `inf`: when something comes back, or never."""
        ready = self.quota.ready_at(demand, now)
        if self.breaker.health is GOOD:
            return ready
        return max(self.breaker.ready_at(now), ready)

    def usable(self, call: Call, demand: Demand) -> bool:
        """Whether a call may ever go here, as things are believed."""
        if self.closed is not None or (call.barred and self in call.barred):
            return False
        return self.quota.never(demand) is None

    def stays(self) -> bool:
        """Whether its place does not depend on how many are out: it goes by a time, and its health is good."""
        group = self.group
        timed = self.order is group.filling or self.order is group.resting
        return timed and self.breaker.health is GOOD and len(self.common.lanes) == 1

    def take(self, demand: Demand, now: float) -> Permit:
        """One attempt goes here now."""
        self.breaker.sent(now)
        return self.quota.reserve(demand, now)


@define(eq=False)
class Look:
    """What a group finds for a call that takes `demand`: a free `lane`, else when one will be (`soonest`), and which.

    `barred`: one is free that may not be used for it. `usable`: some lane may serve it at some time. `busy`: one of
    those only waits for what is out, which may come back at any moment. Before `second` no lane but `first` is free.
    """

    call: Call
    demand: Demand
    lane: Lane | None = None
    soonest: float = inf
    first: Lane | None = None
    second: float = inf
    barred: bool = False
    usable: bool = False
    busy: bool = False

    def take_in(self, lane: Lane, ready: float) -> None:
        """A lane that may serve it, but not now."""
        self.usable = True
        if ready < self.soonest:
            self.soonest, self.first, self.second = ready, lane, self.soonest
        elif ready == inf:
            self.busy = True
        elif ready < self.second:
            self.second = ready


class Group:
    """The lanes that can serve a provider's model (for images, or for what takes none), and who waits for them."""

    __slots__ = (
        "_changes", "_foreseen", "_rates", "_span", "_turn", "aside", "busy", "dirty", "excess", "filling", "full",
        "lanes", "least", "line", "most", "name", "resting", "target", "timer",
    )  # fmt: skip

    def __init__(self, name: str, target: Target, weights: tuple[tuple[str, float], ...] = ()) -> None:
        self.name = name
        self.target = target
        self.lanes: list[Lane] = []
        self.full: list[Rank] = []
        self.filling: list[Rank] = []
        self.resting: list[Rank] = []
        self.busy: list[Rank] = []
        self.line = Line(weights)
        self.dirty = False
        self.aside = False
        self.excess = NO_EXCESS
        self.timer: Timer | None = None
        # what the last search found for a call that has to wait, until something happens to a lane
        self._foreseen: Look | None = None
        self._turn = 0
        self._changes = 0
        self._span = 0.0
        self._rates = [0.0, 0.0, 0.0]
        self.least = target.demand
        # how many samples a call may have, where larger ones are refused for ever (`portions`)
        self.most: int | None = None

    # The order of lanes

    def arrange(self, lane: Lane, now: float) -> None:
        """Put a lane to which something happened where it belongs now, in O(log n) comparisons."""
        self._foreseen = None
        if lane.closed is not None:
            if lane.breaker.until > now:
                self._move(lane, self.resting, lane.breaker.until)
            else:
                self.remove(lane)
            return
        quota, breaker = lane.quota, lane.breaker
        opens = quota.ready_at(self.least, now)
        if breaker.health is not GOOD and (healthy := breaker.ready_at(now)) > opens:
            opens = healthy
        if opens > now:
            self._move(lane, self.busy if opens == inf else self.resting, opens)
        else:
            self._open(lane, now)

    def _open(self, lane: Lane, now: float) -> None:
        """Put a lane where it belongs on which the smallest demand may go."""
        full_at, lane.index, lane.span, lane.rate = lane.quota.outlook(self.target.demand, now)
        if full_at <= now:
            self._move(lane, self.full, lane.quota.in_flight / lane.credential.weight)
            return
        if lane.span > self._span:
            self._span = lane.span
        if lane.rate > self._rates[lane.index]:
            self._rates[lane.index] = lane.rate
        self._move(lane, self.filling, full_at)
        self._changes += 1
        if self._changes >= REVIEW:
            self._review()

    def _move(self, lane: Lane, order: list[Rank], by: float) -> None:
        rank, before = lane.rank, lane.order
        if before is not None and rank is not None:
            if before is order and rank[0] == by:
                return
            # mostly it is the first one to which something happens
            del before[0 if before[0] is rank else bisect_left(before, rank)]
        self._turn += 1
        lane.order, lane.rank = order, (by, self._turn, lane)
        insort(order, lane.rank)

    def hopes(self, lane: Lane, now: float) -> bool:
        """Whether a lane to which something happened may be free sooner than the head of the line waits for."""
        head, timer = self.line.first, self.timer
        if head is None or self.aside:
            return True
        until = timer.at if timer is not None and timer.owner is not None else inf
        return lane.closed is None and lane.ready_at(head.demand(), now) < until

    def remove(self, lane: Lane) -> None:
        """Take a lane out of its order."""
        if lane.order is not None and lane.rank is not None:
            del lane.order[bisect_left(lane.order, lane.rank)]
            lane.order = lane.rank = None

    def _review(self) -> None:
        self._changes = 0
        self._span, self._rates = 0.0, [0.0, 0.0, 0.0]
        for _, _, lane in self.filling:
            self._span = max(self._span, lane.span)
            self._rates[lane.index] = max(self._rates[lane.index], lane.rate)

    def settle(self, now: float) -> None:
        """Put in order again what has come to its time."""
        while self.resting and self.resting[0][0] <= now:
            lane = self.resting[0][2]
            if lane.breaker.health is GOOD:
                self._open(lane, now)  # it rested for its limits, and nothing happened to it but that its time came
                continue
            if lane.breaker.due(now):
                lane.closed = None
            self.arrange(lane, now)
        while self.filling and self.filling[0][0] <= now:
            self._open(self.filling[0][2], now)

    # The search

    def look(self, call: Call, demand: Demand, now: float) -> Look:
        """The lane for a call that takes this, or when there will be one.

        Most calls go where the last search saw a lane coming for this: nothing happened since but that the time came
        which it had named. Places in an order that are due are of no account then, as no other lane is free.
        """
        seen, self._foreseen = self._foreseen, None
        if seen is None or seen.demand is not demand or call.barred or not seen.soonest <= now < seen.second:
            return self._alike(call, demand, now) or self._search(call, demand, now)
        seen.lane = seen.first
        return seen

    def _alike(self, call: Call, demand: Demand, now: float) -> Look | None:
        """What a search would find where all that waits is alike and all lanes rest: the first one is the next."""
        resting = self.resting
        if demand is not self.least or self.full or self.filling or self.busy or not resting or call.barred:
            return None
        opens, _, lane = resting[0]
        if opens <= now or lane.breaker.health is not GOOD or not lane.usable(call, demand):
            return None
        second = resting[1][0] if len(resting) > 1 else inf
        self._foreseen = found = Look(call, demand, None, opens, lane, second)
        found.usable = True
        return found

    def _search(self, call: Call, demand: Demand, now: float) -> Look:
        """What is found by going through the orders."""
        found, least, resting, filling = Look(call, demand), self.least, self.resting, self.filling
        if (resting and resting[0][0] <= now) or (filling and filling[0][0] <= now):
            self.settle(now)
        if demand is not least and (
            demand.images < least.images or demand.tokens < least.tokens or demand.requests < least.requests
        ):
            self._lower(demand, now)
        for _, _, lane in self.full:
            if self._try(found, lane, now):
                return found
        if filling and self._fill(found, now):
            return found
        if resting:
            self._look_ahead(found, now)
        if self.busy and not found.busy and any(lane.usable(call, demand) for _, _, lane in self.busy):
            found.usable = found.busy = True
        first = found.first
        if first is not None and first.breaker.health is GOOD and not call.barred:
            self._foreseen = found
        return found

    def _fill(self, found: Look, now: float) -> bool:
        """Whether one of those that fill up has room already; when there will be one is taken in."""
        demand = found.demand
        bound, needs = -1.0, (demand.requests, demand.tokens, demand.images)
        for full_at, _, lane in self.filling:
            if found.soonest < inf and (need := needs[lane.index]):
                # what is known of this one is cheaper than to ask, and above what is known of all of them
                before = lane.span - need / lane.rate
                least = full_at - before if before > 0.0 else full_at
                if least >= found.soonest:
                    if least < found.second:
                        found.second = least
                    bound = self._bound(needs) if bound < 0.0 else bound
                    if full_at - bound >= found.soonest:
                        if full_at - bound < found.second:
                            found.second = full_at - bound
                        break
                    continue
            if self._try(found, lane, now):
                return True
        return False

    def _try(self, found: Look, lane: Lane, now: float) -> bool:
        """Whether a lane that may be free is; what it says otherwise is taken in."""
        ready = lane.quota.ready_at(found.demand, now)
        if not lane.usable(found.call, found.demand):
            found.barred = found.barred or ready <= now
        elif ready <= now:
            found.lane, found.usable = lane, True
            return True
        else:
            found.take_in(lane, ready)
        return False

    def _look_ahead(self, found: Look, now: float) -> None:
        """When one of those that rest will be free."""
        call, demand = found.call, found.demand
        exact = demand is self.least
        for opens, _, lane in self.resting:
            if opens >= found.soonest:
                if opens < found.second:
                    found.second = opens
                break
            if lane.usable(call, demand):
                ready = opens if exact else lane.ready_at(demand, now)
                found.take_in(lane, ready if ready > opens else opens)

    def _lower(self, demand: Demand, now: float) -> None:
        """A demand that is smaller than all before: lanes that rest may be ready for it sooner."""
        requests, images = min(demand.requests, self.least.requests), min(demand.images, self.least.images)
        least = Demand(requests, images, min(demand.tokens, self.least.tokens), demand.inputs)
        self.least = demand if least == demand else least
        for _, _, lane in list(self.resting):
            self.arrange(lane, now)

    def _bound(self, needs: tuple[int, int, int]) -> float:
        """By how many seconds at most a lane is ready for a demand before all its buckets are full."""
        least = inf
        for index, rate in enumerate(self._rates):
            if rate:
                need = needs[index]
                if not need:
                    return inf  # it does not wait for what others here wait for
                if need / rate < least:
                    least = need / rate
        return max(0.0, self._span - least)

    # What a sample may cost

    def bound(self, target: Target) -> int | None:
        """What one sample may cost at most, in picodollars: its quote, raised by the worst excess seen so far."""
        if target.quote is None or self.excess is NO_EXCESS:
            return target.quote
        charge, quote = self.excess
        return -(-target.quote * charge // quote)

    def exceeded(self, charge: int, quote: int) -> None:
        """A charge above its quote: what follows is quoted higher in the same proportion."""
        if quote and charge * self.excess[1] > self.excess[0] * quote:
            self.excess = (charge, quote)
