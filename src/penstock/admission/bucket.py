"""One quantity of a quota: a bucket that refills continuously, corrected by what the provider says of its own.

Why it never asks for more than an exact limit gives. A request sent at `s` arrives at `s + u`, and `u` varies by at
most `SPREAD`. Between the first and the last arrival of any window the server therefore refills at least for
`max(0, span of their sendings - SPREAD)`. So a send that finds the bucket fuller than `capacity - rate * SPREAD` stops
the refill for as long as it takes to make that true, at most `SPREAD`: the bucket at the server may stay full until the
request arrives. A full burst still goes at once, a demand as large as the capacity goes every
`capacity / rate + SPREAD`, and the order of arrival does not matter.

How `remaining` corrects it. It describes the server's bucket when some request i arrived, so two bounds follow for now:

- low: what was sent up to SPREAD before i may not have arrived yet, all refill came first and ran into the brim, and
  everything sent since is spent;
- high: what was sent up to SPREAD after i had arrived already, everything else since is spent, and all refill came
  last.

The level is clamped into [low, high] and never overwritten: a level that was right stays right. Both are bounds
whatever happened between, also when the bucket was full. Overwriting the level with `remaining` was measured: it costs
hundreds to thousands of refusals where this costs none.
"""

from __future__ import annotations

from math import inf

from attrs import define, frozen

from penstock.admission.headers import Told

SPREAD = 0.030
"""By how many seconds the ways of two requests to the server may differ."""

_TICK = 1e-7
"""Seconds by which a wait is cut short: coming back at the time named is then never too early by a rounding error."""


@frozen
class GaugeFigures:
    """A bucket as believed: `level` and `capacity` in its unit, `per_minute` its rate (None: no limit is known).

    `source` is "told" (by the provider), "limit" (configured) or "none".
    """

    level: float
    capacity: float
    per_minute: float | None
    source: str


@frozen
class Mark:
    """How a gauge stood when a request was sent, for corrections later. Counts are of all that was ever spent.

    `after` counts what had been spent when SPREAD had passed since.
    """

    sent: float
    need: float
    level: float
    spent: float
    opening: float
    after: float
    returned: float


@define(eq=False)
class Gauge:
    """A bucket. `limit` is per minute (None: unknown, no constraint). `level` is as of `at`, which may lie ahead.

    `charges` says that a refusal seems to cost quota, too.
    """

    at: float
    limit: float | None = None
    rate: float = 0.0
    capacity: float = inf
    level: float = inf
    source: str = "none"
    spent: float = 0.0
    returned: float = 0.0
    hold: float = -inf
    newest: int = -1
    top: float = 0.0
    charges: bool = False

    def configure(self, limit: float | None, burst: float, now: float) -> None:
        """Believe a configured limit a minute (None: none). What was spent of a bucket already known stays spent."""
        self.refill(now)
        if limit is None or limit <= 0:
            self.limit, self.rate, self.capacity, self.level, self.source = None, 0.0, inf, inf, "none"
            return
        missing = 0.0 if self.limit is None else self.capacity - self.level
        # a bucket that can hold no whole request would never let anything go
        self.limit, self.rate, self.capacity, self.source = limit, limit / 60.0, max(1.0, limit * burst), "limit"
        self.level = max(0.0, self.capacity - missing)
        self.top = 0.0

    def ready(self, need: float) -> float:
        """The earliest time at which `need` may go, as far as this bucket is concerned.

        A need above the capacity goes when the bucket is full: the provider then says what it thinks of it.
        """
        if not self.rate:
            return self.hold
        missing = (need if need < self.capacity else self.capacity) - self.level
        if missing <= 0.0:
            return self.hold
        time = self.at + missing / self.rate - _TICK
        return time if time > self.hold else self.hold

    def take(self, need: float, now: float) -> float:
        """A request with this need is sent now. Returns the level just before."""
        self.spent += need
        rate = self.rate
        if not rate:
            return self.level
        level, at = self.level, self.at
        if now > at:
            level += rate * (now - at)
            if level > self.capacity:
                level = self.capacity
            at = now
        brim = now + (level - self.capacity) / rate + SPREAD
        self.at = brim if brim > at else at
        self.level = level - need
        return level

    def refill(self, now: float) -> None:
        """Bring the level up to now."""
        if now > self.at:
            if self.rate:
                self.level = min(self.capacity, self.level + self.rate * (now - self.at))
            self.at = now

    def give(self, amount: float, mark: Mark, now: float) -> None:
        """Give back (negative: take besides) what a request marked by `mark` did not use.

        What the server's bucket may have lost at its brim since, because it never spent this, does not come back.
        """
        if amount < 0.0:
            self.spent -= amount
            if self.rate:
                self.refill(now)
                self.level += amount
            return
        if self.rate:
            self.refill(now)
            brim = mark.level + self.returned - mark.returned + self.rate * (now - mark.sent) - self.capacity
            self.level = min(self.capacity, self.level + max(0.0, amount - max(0.0, brim)))
        self.returned += amount

    def observe(self, told: Told, order: int, mark: Mark, now: float) -> None:
        """Hear what the reply to request `order`, marked by `mark`, says. Older ones than the last used say nothing."""
        if order <= self.newest:
            return
        fresh = told.limit is not None and told.limit > 0.0 and self.learn(told.limit, now)
        if not self.rate or told.remaining is None:
            return
        self.newest = order
        if told.reset is not None and told.remaining >= 1.0:
            self._measure(told.remaining, told.reset)
        low, high = self.bounds(told.remaining, mark, now)
        self.refill(now)
        self.level = low if fresh else min(max(self.level, low), max(low, high), self.capacity)

    def learn(self, limit: float, now: float) -> bool:
        """Believe a limit a minute that the provider named; True where it is another than was believed.

        The capacity changes in proportion; of an unknown bucket it is a full minute.
        """
        self.source = "told"
        if limit == self.limit:
            return False
        self.refill(now)
        known = self.limit is not None
        self.capacity = max(1.0, self.capacity * limit / self.limit) if self.limit else max(1.0, limit)
        self.limit, self.rate, self.top = limit, limit / 60.0, 0.0
        self.level = min(self.level, self.capacity) if known else self.capacity
        return True

    def bounds(self, remaining: float, mark: Mark, now: float) -> tuple[float, float]:
        """Between what the server's level lies now, given what remained when the marked request arrived."""
        since = max(0.0, now - mark.sent)
        later = self.spent - mark.spent - mark.need
        unsure = mark.spent - mark.opening
        early = mark.after - mark.spent - mark.need
        start = remaining - unsure + self.rate * max(0.0, since - SPREAD)
        low = min(self.capacity, start) - later
        # a whole number was rounded down
        spent = later - early - (self.returned - mark.returned)
        high = min(self.capacity, remaining + 1.0 + self.rate * since - spent)
        return low, high

    def refused(self, left: float, mark: Mark, now: float, *, charges: bool) -> None:
        """About `left` was there when the marked request was refused.

        Where refusals cost quota (`charges`), this one and whatever was sent since are spent, as far as a bucket goes;
        where they do not, what was sent since has most likely been refused like it.
        """
        if self.rate:
            self.refill(now)
            spent = min(self.spent - mark.spent, self.capacity) if charges else 0.0
            self.level = min(self.level, left - spent + self.rate * (now - mark.sent))

    def figures(self, now: float) -> GaugeFigures:
        """The bucket as of now."""
        level = self.level if now <= self.at else min(self.capacity, self.level + self.rate * (now - self.at))
        return GaugeFigures(level, self.capacity, self.limit, self.source)

    def _measure(self, remaining: float, reset: float) -> None:
        """The capacity is the highest `remaining + reset * rate` seen, if rounding does not explain the difference."""
        limit = self.rate * 60.0
        seen = remaining + reset * self.rate
        if seen > 2.0 * limit + 1.0:
            return  # not the time to full of a bucket of this rate
        self.top = max(self.top, seen)
        unsure = 1.0 + self.rate * (1.0 if reset == int(reset) else 0.001)
        capacity = limit if abs(self.top - limit) <= unsure else self.top
        if abs(capacity - self.capacity) > unsure:
            self.capacity = max(1.0, capacity)
            self.level = min(self.level, self.capacity)
