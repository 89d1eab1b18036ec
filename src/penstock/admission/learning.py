"""A rate learned from refusals alone: between two moments at which a bucket was empty it gave what was let in.

A refusal says that less than `need` was there when its request arrived; with a hint, exactly when `need` will be. The
request before it was let in, and left no less than nothing. From two refusals follow bounds of the rate: from the one
to the request before the other at least what was let in was refilled, but for what the first lacked; and from the
request before the one to the other at most that, and what the other lacked. The more time lies between, the closer they
are. They are intersected over the last two refusals and over all since the rate is what it is; when they contradict
each other it has changed, and only the last two count. The rate that is believed lies towards the upper bound: sending
a little too fast costs a refusal that teaches, after about as long as was measured, while sending too slowly is lost
and teaches nothing.

Refused requests are not counted as served; whether they take quota, too, is another unknown, which widens the bounds
until hints decide it. Where the bucket may have been full between, what ran over is missing, and only the lower bound
counts. What may have run over is counted with the lower bound; where that is wrong it excuses itself, so several
refusals in a row that teach nothing make it begin anew. A bucket that holds no more than one request may be full before
each of them: of its upper bound only the time since the request before says anything. Everything is O(1).
"""

from __future__ import annotations

from math import exp, inf, log

from attrs import define, evolve, frozen

from penstock.admission.bucket import SPREAD

FIRST_TAU, LAST_TAU = 10.0, 60.0
"""Seconds without a refusal after which a higher rate is tried: at first, and at most; one that fails doubles them."""

ERROR = SPREAD + 0.002
"""Seconds by which the time of a refusal, or of its hint, may be wrong."""

_OPTIMISM, _CAUTION = 0.7, 0.3
"""Where between the bounds the rate is believed, and where after nothing was let in at all."""

_TIGHT, _SURE, _LOOSE = 1.02, 1.5, 2.0
"""How near to each other the bounds are when there is little left to learn, and a refusal is not worth it; when they
say something; and how far when they say little."""

_SOON, _TIMES, _KNOWN = 6, 5, 1.2
"""After how few requests a refusal comes too soon, how often, and how near to each other the bounds must be for it."""

_MEMORY = 4
"""How many earlier refusals the last one is held against, to notice a change soon."""

_NEWS, _STALE = 0.99, 3
"""What part of the upper bound a refusal leaves that teaches something, and how many may teach nothing in a row."""

_ONE = 1.5
"""How many requests a bucket that holds about one may hold."""

_MORE = 1.2
"""By how much what was let in must raise the lower bound to be worth it, while the bounds say little."""

_LATELY = 16
"""How many requests that failed may still be told apart by when they went."""

_SLOWEST = 600.0
"""Seconds for one request below which no rate is believed."""


@frozen
class Empty:
    """A moment at which no more than `need` was there: exactly that much (`exact`), or less.

    `spent` is the cost of all that was sent before. `full`: the bucket may have been full since the last one. `idle`
    counts all seconds in which a bucket that holds no more than one request would have been full. `behind`: when the
    request before it arrived, after which no less than nothing was there (-inf: that is not sure). `order` is that of
    its request, and `failed` the cost of those before it that ended in an error of the server. `owed` is the cost of
    those that were refused before it while nothing was let in: where they took quota, so much may be missing besides.
    """

    time: float
    spent: float
    need: float
    exact: bool
    full: bool = False
    idle: float = 0.0
    behind: float = -inf
    order: int = 0
    failed: float = 0.0
    owed: float = 0.0

    @property
    def most(self) -> float:
        """The highest rate at which so long after the request before it, which was let in, it is too soon for it."""
        span = self.time - self.behind - ERROR
        return self.need / span if 2.0 * ERROR < span < inf else inf


@frozen
class _State:
    """What a learner believes, and from which moments. `whole` and `since` are costs refused since the two."""

    anchor: Empty | None = None
    last: Empty | None = None
    whole: float = 0.0
    since: float = 0.0
    low: float = 0.0
    high: float = inf
    tau: float = FIRST_TAU
    strikes: int = 0
    agreed: int = 0
    stale: int = 0
    barren: bool = False
    recent: tuple[tuple[Empty, float], ...] = ()

    def failed(self, order: int, need: float) -> _State:
        """The same, with a request that turned out to have ended in an error."""
        anchor, last = self.anchor, self.last
        if last is None or anchor is None or order >= last.order:
            return self
        later = _failed(last, order, need)
        recent = tuple((_failed(start, order, need), cost) for start, cost in self.recent)
        return evolve(self, anchor=later if anchor is last else _failed(anchor, order, need), last=later, recent=recent)


def _failed(at: Empty, order: int, need: float) -> Empty:
    return evolve(at, failed=at.failed + need) if order < at.order else at


@define(eq=False)
class Learner:
    """The rate of one bucket, a second. `charges` says whether refusals take quota, too (None: not known yet).

    `errors` says the same of errors of the server, `held` what it said before the last refusal; `failures` is what
    those took that were heard of, `lately` the last of them with the order of their request. `holds` is what the bucket
    holds at least, as far as is known, `least` the smallest need and `most` the largest.
    """

    state: _State = _State()
    before: _State = _State()
    charges: bool | None = None
    known: bool | None = None
    burst: tuple[float, float] = (0.0, 0.0)
    holds: float = 0.0
    least: float = inf
    most: float = 0.0
    level: float = 0.0
    at: float = 0.0
    idle: float = 0.0
    order: int = 0
    close: int = 0
    errors: bool | None = None
    held: bool | None = None
    failures: float = 0.0
    lately: tuple[tuple[int, float], ...] = ()

    def before_it(self, order: int) -> float:
        """The cost of all requests before this one that ended in an error, as far as is known."""
        return self.failures - sum(need for other, need in self.lately if other > order)

    def failed(self, order: int, need: float) -> None:
        """A request ended in an error of the server: nobody knows whether it took quota."""
        self.failures += need
        self.lately = (*self.lately, (order, need))[-_LATELY:]
        last, since = self.state.last, self.state.since
        if last is None or order >= last.order:
            return
        self.before = self.before.failed(order, need)
        if self.before.last is None or self.state.high == inf:
            self.state = self.state.failed(order, need)
            return
        self.state, self.errors = self.before, self.held  # what the last refusal taught is of another count
        self.empty(_failed(last, order, need))
        self.refused(since)

    def tight(self, order: int, wait: float | None) -> bool:
        """Whether refusals follow each other soon though the rate is known: then it holds no more than one request."""
        soon = order - self.order <= _SOON and (wait is None or wait < 2.0 * SPREAD)
        self.close = self.close + 1 if soon and self.state.high < _KNOWN * self.state.low else 0
        self.order = order
        return self.close >= _TIMES

    def sent(self, need: float, rate: float, now: float) -> None:
        """A request that needs so much goes, at a rate that is believed."""
        if self.state.low or self.state.barren:
            rate = self.state.low  # no more than surely ran over the brim
        self.least = min(self.least, need)
        self.most = max(self.most, need)
        holds = max(need, self.holds, self.burst[0] - rate * self.burst[1])
        if holds > self.holds:
            self.level += holds - self.holds
            self.holds = holds
        level = self.level + rate * (now - self.at)
        if level > self.holds:
            if rate:
                self.idle += (level - self.holds) / rate
            level = self.holds
        self.level, self.at = level - need, now

    def measured(self, at: Empty, spent: float, rate: float) -> None:
        """A refusal said when so much will be there; `spent` is what was sent until now, with it."""
        if not at.exact:
            return
        self.holds = max(at.need, self.holds, self.burst[0] - (self.state.low or rate) * self.burst[1])
        if spent <= at.spent + at.need:
            self.level, self.at = 0.0 if self.costs else at.need, at.time
        else:
            self.level = min(self.level, at.need)  # so much will be there later

    @property
    def rate(self) -> float | None:
        """What is believed; None while nothing is known."""
        return self.within(self.state.low, self.state.high)

    def within(self, low: float, high: float) -> float | None:
        """What is believed where the rate lies between these two."""
        if high == inf:
            return low or None
        if high > _LOOSE * low:
            return max(_CAUTION * high, exp(0.4 * log(low) + 0.6 * log(high)) if low else 0.0)
        if self.costs and high < _TIGHT * low:
            return low  # there is next to nothing to learn, and it would be paid for
        return low + (_CAUTION if self.state.barren or high < _TIGHT * low else _OPTIMISM) * (high - low)

    @property
    def sure(self) -> bool:
        """Whether its bounds are near to each other."""
        return self.state.high < _SURE * self.state.low

    def knew(self, rate: float) -> bool:
        """Whether its bounds were near to each other, and to this rate, before the last refusal."""
        low, high = self.before.low, self.before.high
        return high < _SURE * low and low <= _TIGHT * rate and rate <= _TIGHT * high

    @property
    def steady(self) -> bool:
        """Whether three refusals or more agree on a rate."""
        return self.state.agreed >= 2 and self.state.high - self.state.low < 0.5 * self.state.low

    def bounded(self, low: float, high: float) -> None:
        """Its rate lies between these two, as far as they agree with what is known."""
        state = self.state
        if low <= state.high and state.low <= high:
            self.state = evolve(state, low=max(low, state.low), high=min(high, state.high))

    def refused(self, need: float) -> None:
        """A request that needed so much was refused; after `empty` of its cluster."""
        state = self.state
        self.state = evolve(state, whole=state.whole + need, since=state.since + need)
        if not self.costs:
            self.level = min(self.holds, self.level + need)

    @property
    def costs(self) -> bool | None:
        """Whether refusals take quota, as siblings found out or as its own refusals tell."""
        return self.charges if self.known is None else self.known

    def empty(self, at: Empty) -> None:
        """The first refusal of a cluster (of requests that were out together)."""
        state = self.before = self.state
        self.held = self.errors
        if state.last is None or state.anchor is None:
            self.state = evolve(state, anchor=at, last=at, whole=0.0, since=0.0)
            return
        if at.behind == -inf and not at.exact:
            at = evolve(at, owed=state.last.owed + state.since)
        if at.full and state.agreed > 1:
            low, _ = self._window(state.last, at, state.since)
            low = max(state.low, min(low, state.high))
            self.state = evolve(state, anchor=at, last=at, whole=0.0, since=0.0, low=low)
            return
        if state.barren and at.spent - state.last.spent - state.since <= 0.0:
            # nothing is let in at all: that is no slow bucket, it is closed
            self.state = evolve(state, anchor=at, last=at, whole=0.0, since=0.0, recent=())
            return
        if at.exact and state.anchor is not state.last:
            self._weigh(state, at)
        self.state = self._narrowed(state, state.last, state.anchor, at)

    def earlier(self, at: Empty) -> None:
        """The cluster began with a request whose refusal was heard of later."""
        cost = self.state.since
        self.state = self.before
        self.empty(at)
        self.state = evolve(self.state, whole=self.state.whole + cost, since=self.state.since + cost)

    def admitted(self, sent: float, spent: float, need: float) -> bool:
        """A request was let in, before which so much was spent: True where the rate must be higher than believed."""
        state, last = self.state, self.state.last
        if state.barren and last is not None and sent > last.time:
            self.state = evolve(state, barren=False)
            return state.high < inf
        if last is None or sent <= last.time or state.high == inf:
            return False
        served = spent + need - last.spent - state.since
        low = (served - 3.0 * max(need, last.need)) / (sent + SPREAD - last.time)
        if low <= 1.02 * state.high:
            if low > _MORE * state.low and state.high > _LOOSE * state.low:
                self.state = evolve(state, low=min(low, state.high))
                return True
            return False
        self.state = evolve(
            state, low=low, high=inf, anchor=last, whole=state.since, tau=FIRST_TAU, strikes=state.strikes + 1, agreed=0
        )
        return True

    @property
    def _one(self) -> bool:
        """Whether nothing shows that it holds more than one request."""
        return max(self.holds, self.burst[0]) < _ONE * self.least

    def _narrowed(self, state: _State, last: Empty, anchor: Empty, at: Empty) -> _State:
        recent, whole = self._window(last, at, state.since), self._window(anchor, at, state.whole)
        if at.behind > last.time:
            if at.exact:
                recent = recent[0], min(recent[1], at.most)
            elif at.most < inf and self._one and at.spent - last.spent > state.since:
                # one that holds no more than one request may have run over before each of them: only the last tells
                recent, whole = (recent[0], at.most), (whole[0], inf)
        low, high = max(state.low, recent[0], whole[0]), min(state.high, recent[1], whole[1])
        barren = at.spent - last.spent - state.since <= 0.0
        earlier = tuple((start, cost + state.since) for start, cost in state.recent)[-_MEMORY:]
        found = ((last, state.since), *reversed(earlier))
        for start, cost in found:
            narrow = self._window(start, at, cost)
            if max(low, narrow[0]) > min(high, narrow[1]):
                # what lies before the last refusal may be of both rates
                late = recent[0] <= recent[1] < inf
                since, paid, bounds = (last, state.since, recent) if late else (start, cost, narrow)
                return _State(since, at, paid, 0.0, *bounds, FIRST_TAU, state.strikes + 1, 0, 0, barren)
        soon = at.time - last.time <= state.tau
        taught = not soon or low > state.low or high <= _NEWS * state.high
        # one after which nothing was let in teaches nothing, but is no further witness of it either
        stale, (start, cost) = 0 if taught else state.stale + (not barren), found[-1]
        if stale >= _STALE and (cost or at.idle > start.idle) and self.costs is not True:
            # what is believed to have run over, or to have been paid for, excuses a lower bound that is wrong
            bounds = self._window(evolve(start, idle=at.idle), at, cost)
            return _State(start, at, cost, 0.0, *bounds, FIRST_TAU, state.strikes, 0, 0, barren)
        tau = state.tau if soon else min(LAST_TAU, 2.0 * state.tau)
        kept = (*earlier, (last, state.since))
        agreed = state.agreed + 1
        return _State(anchor, at, state.whole, 0.0, low, high, tau, state.strikes, agreed, stale, barren, kept)

    def _weigh(self, state: _State, at: Empty) -> None:
        """Whether refusals take quota, and errors: both windows then tell the same rate only if they are counted."""
        windows: list[tuple[float, float, float, float]] = []
        unsure = 0.0
        for start, refused in ((state.last, state.since), (state.anchor, state.whole)):
            if start is None or at.time - start.time < 10.0 * ERROR:
                return
            span = at.time - start.time
            served = at.spent - start.spent - refused + at.need - start.need
            windows.append((served / span, refused / span, (at.failed - start.failed) / span, span))
            unsure += ERROR * (served + refused) / span / span
        (served, refused, failed, _), (other, paid, lost, _) = windows
        agree = [
            (charges, errors)
            for charges in (False, True)
            for errors in (False, True)
            if abs(served - other + (refused - paid) * charges - (failed - lost) * (not errors)) <= unsure
        ]
        if len({charges for charges, _ in agree}) == 1:
            self.charges = agree[0][0]
        if failed + lost and len({errors for _, errors in agree}) == 1:
            self.errors = agree[0][1]

    def _window(self, start: Empty, end: Empty, refused: float) -> tuple[float, float]:
        """Bounds of the rate from two moments, given the cost refused between."""
        span, served = end.time - start.time, end.spent - start.spent - refused
        failed = end.failed - start.failed
        served -= failed if self.errors is False else 0.0
        exact = start.exact and end.exact
        if span < (3.0 if exact else 1.0) * ERROR:
            return 0.0, inf  # too short to say anything
        busy = span - (end.idle - start.idle) - ERROR
        if exact and refused and served < 0.5 * end.need:
            self.charges = True  # nothing was let in, and still it takes longer
        if exact and refused and served < 0.5 * end.need and self.costs is False:
            return 0.0, inf  # that cannot be: one of the two is wrong
        least = max(0.0, refused - end.owed) if self.costs is True else 0.0
        most = 0.0 if self.costs is False else refused + start.owed
        least -= failed if self.errors is None else 0.0
        # less than its need was there at a refusal, and no less than nothing after the request before it
        before = 0.0 if exact or end.behind <= start.time else end.time - end.behind
        earlier = 0.0 if exact or start.behind == -inf else start.time - start.behind
        low = (served + least + (end.need if exact else 0.0) - start.need) / (span - before + ERROR)
        if busy < ERROR:
            return max(0.0, low), inf
        high = (served + most + end.need - (start.need if exact else 0.0)) / (busy + earlier)
        return max(0.0, low), max(end.need / _SLOWEST, high)
