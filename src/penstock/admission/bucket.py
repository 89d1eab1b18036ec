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

The level is clamped into [low, high] and never overwritten, which costs hundreds of refusals: a level that was right
stays right. Both are bounds whatever happened between, also when the bucket was full.

What a bucket holds follows from `remaining + rate * reset` of each reply, to which the rounding adds at most one: it
lies between the highest `top` and the lowest `roof` of them. Once it is known, the time to full says what remained more
exactly than the whole number does, also where a refusal left a debt. Without headers it follows from a refusal at a
known rate: what was believed to be there and was not has run over the brim when the level was believed to be highest.

A rate that nobody confirms is tried out: `quiet` seconds after the last refusal, while the bucket is used up, it is
believed to grow, and is doubled when that was not refused. A ceiling is never tried.
"""

from __future__ import annotations

from math import inf

from attrs import define, field

from penstock.admission.headers import Told
from penstock.admission.marks import SPREAD, GaugeFigures, Mark
from penstock.admission.sharing import Others
from penstock.admission.ways import Ways

__all__ = ["SPREAD", "Gauge", "GaugeFigures", "Mark"]

_TICK = 1e-7
"""Seconds by which a wait is cut short: coming back at the time named is then never too early by a rounding error."""

_GROW, _EACH = 0.125, 0.25
"""By what share of itself a rate that is tried out grows: a second at most, and for each request at most."""

_ENOUGH, _LEAST, _DEAR = 0.4, 4.0, 40.0
"""For how many requests nothing is tried out: for each second of `tau`, at least, and where a refusal is dear."""


@define(eq=False)
class Gauge:
    """A bucket. `limit` is per minute (None: unknown, no constraint). `level` is as of `at`, which may lie ahead.

    `window` is how many seconds the provider's limit is of. More than `bound` is never asked for; `peak` is the highest
    level since the last refusal, `unit` what a request takes, `usual` about what most take. From `quiet` on a
    higher rate is tried out, after `tau` seconds. `ceiling` (a minute) and `most` (at once) are never exceeded. It
    holds at least the `largest` need of all.
    """

    at: float
    limit: float | None = None
    rate: float = 0.0
    capacity: float = inf
    level: float = inf
    source: str = "none"
    since: float = 0.0
    window: float = 60.0
    bound: float = inf
    spent: float = 0.0
    returned: float = 0.0
    hold: float = -inf
    newest: int = -1
    top: float = 0.0
    roof: float = inf
    peak: float = 0.0
    unit: float = 1.0
    usual: float = 0.0
    quiet: float = inf
    tau: float = 10.0
    ceiling: float = inf
    most: float = inf
    largest: float = 1.0
    dear: bool = False
    spread: float = SPREAD
    others: Others = field(factory=Others)
    ways: Ways = field(factory=Ways)

    def configure(self, limit: float | None, burst: float, now: float, *, ceiling: bool = False) -> None:
        """Believe a configured limit a minute (None: none). What was spent of a bucket already known stays spent."""
        self.refill(now)
        self.ceiling, self.most = inf, inf
        self.top, self.roof = 0.0, inf
        if limit is None or limit <= 0:
            self.limit, self.rate, self.source, self.quiet = None, 0.0, "none", inf
            self.capacity = self.bound = self.level = inf
            return
        missing = 0.0 if self.limit is None else self.capacity - self.level
        # a bucket that can hold no whole request would never let anything go
        self.limit, self.rate = limit, limit / 60.0
        self.capacity = self.bound = max(1.0, limit * burst * self.window / 60.0)
        self.source, self.since = ("ceiling" if ceiling else "limit"), now
        if ceiling:
            self.ceiling, self.most = limit, self.capacity
        self.level = max(0.0, self.capacity - missing)
        self.probe(self.tau, now)

    def ready(self, need: float) -> float:
        """The earliest time at which `need` may go, as far as this bucket is concerned.

        A need above the capacity goes when the bucket is full: the provider then says what it thinks of it.
        """
        if not self.rate:
            return self.hold
        capacity = self.capacity
        missing = (need if need < capacity else capacity) - self.level
        if missing <= 0.0:
            return self.hold
        at = self.at
        time = at + missing / (self.rate if at <= self.quiet else self.pull()) - _TICK
        return time if time > self.hold else self.hold

    def pull(self) -> float:
        """The rate a second at which it is believed to refill now, which is more than its own while that is tried."""
        rate, over = self.rate, self.at - self.quiet
        if over <= 0.0:
            return rate
        grow = _EACH * rate / self.unit
        return rate * (1.0 + over * (grow if grow < _GROW else _GROW))

    def sized(self, need: float) -> None:
        """A request is sent that needs another amount than the last one."""
        self.unit = need
        self.usual += (need - self.usual) / 4.0 if self.usual else need
        if need > self.largest:
            self.largest = need
            self.capacity = max(self.capacity, min(need, self.bound))

    def tried(self, now: float) -> None:
        """A request is sent while a higher rate is tried out."""
        rate, few = self.rate, 2.0 * self.largest + self.rate
        if self.capacity > few and self.level + rate * (now - self.at) > few:
            self.probe(self.tau, now)  # a pause: it held nothing up, and there is nothing to find out
        else:
            self.refill(now)

    def refill(self, now: float) -> None:
        """Bring the level up to now."""
        if now > self.at:
            if self.rate:
                gain = self.rate * (now - self.at)
                self.level += gain if now <= self.quiet else gain * self._grown(now)
                if self.level > self.capacity:
                    self.level = self.capacity
            self.at = now

    def _grown(self, now: float) -> float:
        """How many times its rate a bucket that is tried out is believed to refill."""
        grow = _EACH * self.rate / self.unit
        grow = (now - self.quiet) * (grow if grow < _GROW else _GROW)
        if grow > 1.0 and self.limit is not None:
            self.limit, self.rate, self.capacity = 2.0 * self.limit, 2.0 * self.rate, 2.0 * self.capacity
            self.bound = max(self.bound, self.capacity)
            self.source, self.since, self.quiet = "learned", now, now
            return 1.0
        return 1.0 + grow

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
            # full, it stands still for as long as ways differ by: what was lost so when this was sent is lost already
            full = self.capacity - self.rate * self.spread
            brim = self.returned - mark.returned + self.rate * (now - mark.sent) + min(0.0, mark.level - full)
            self.level = min(self.capacity, self.level + max(0.0, amount - max(0.0, brim)))
        self.returned += amount

    # What a provider says

    def observe(self, told: Told, order: int, mark: Mark, now: float) -> None:
        """Hear what the reply to request `order`, marked by `mark`, says. Older ones than the last used say nothing."""
        if order <= self.newest:
            return
        fresh = told.limit is not None and told.limit > 0.0 and self.learn(told.limit * 60.0 / self.window, now)
        if not self.rate or told.remaining is None:
            return
        self.newest = order
        self.since, self.quiet = now, inf
        self.ways.tells(mark, told.reset)
        fresh = self._measure(told, least=told.remaining >= 1.0) or fresh
        least, most = self._left(told)
        self.refill(now)
        if fresh or self.ways.fixed == inf:
            self.others.left, self.ways.fixed = None, now
        self._share(least, most, mark)
        self.spread = self.ways.believed(now)
        low, high = self.bounds(self._mine(least, mark, now), self._mine(most, mark, now), mark, now)
        self.level = low if fresh else min(max(self.level, low), max(low, high), self.capacity)

    def admitted(self, told: Told, now: float) -> None:
        """The reply that told this let its request in: nothing is owed, so the time to full tells the capacity."""
        if self.rate and told.remaining is not None and told.remaining < 1.0:
            self.refill(now)
            self._measure(told, least=True)
            later = self.spent - self.ways.spent  # since it told when it will be full, which it may be of less
            self.level = min(self.level, self.capacity - self.true * (self.ways.full - now) - later)

    def lacked(self, told: Told, mark: Mark, now: float) -> None:
        """The reply that told this refused its request for want of this: the worse of what it may mean is so."""
        self.refill(now)
        least = told.remaining or 0.0
        if told.reset is not None and self.rate:
            owed = self.true * (told.reset + told.step)
            # a bucket as large as believed would have had enough: then it holds at least what was asked for
            held = self.capacity if self.capacity - owed < mark.need else max(self.top, mark.need)
            least = min(least, held - owed)
            self.ways.tells(mark, told.reset)
        self._surprised(least, mark, now)
        least = self._mine(least, mark, now)
        low, _ = self.bounds(least, least, mark, now)
        self.level = min(self.level, low)

    def learn(self, limit: float, now: float) -> bool:
        """Believe a limit a minute that the provider named; True where it is another than was believed.

        The capacity changes in proportion; of an unknown bucket it is a full window.
        """
        self.source, self.since = "told", now
        limit = min(limit, self.ceiling)
        if limit == self.limit:
            return False
        self.refill(now)
        share = limit / self.limit if self.limit else 0.0
        full = max(1.0, limit * self.window / 60.0)
        self.capacity = min(max(1.0, self.capacity * share) if share else full, self.most)
        self.bound = max(self.capacity, full if self.bound < inf else self.capacity) if share else self.capacity
        self.top, self.roof = self.top * share, (self.roof * share if share else inf)
        self.limit, self.rate = limit, limit / 60.0 * self.others.share
        self.others.left, self.ways.fixed = None, now
        self.level = min(self.level, self.capacity)
        return True

    def bounds(self, least: float, most: float, mark: Mark, now: float) -> tuple[float, float]:
        """Between what the server's level lies now, given what remained when the marked request arrived."""
        since = max(0.0, now - mark.sent)
        later = self.spent - mark.spent - mark.need
        # what came later took no more than there was
        unsure = min(mark.spent - mark.opening, max(0.0, least) + self.rate * self.spread)
        early = mark.after - mark.spent - mark.need
        low = min(self.capacity, least - unsure + self.rate * max(0.0, since - self.spread)) - later
        spent = later - early - (self.returned - mark.returned)
        return low, min(self.capacity, most + self.rate * since - spent)

    def _left(self, told: Told) -> tuple[float, float]:
        """Between what remained: a whole number was rounded down; the time to full may say it more exactly."""
        remaining = told.remaining or 0.0
        if told.reset is None or not self.top:
            return remaining, remaining + 1.0
        unsure = self.true * told.step
        least = min(self.top, self.capacity) - self.true * told.reset - unsure
        most = min(self.roof, self.capacity + 1.0) - self.true * told.reset + unsure
        if remaining < 1.0:
            return min(least, 1.0), min(max(least, most), 1.0)
        if least >= remaining + 1.0 or most < remaining:
            return remaining, remaining + 1.0
        return max(least, remaining), min(most, remaining + 1.0)

    def _measure(self, told: Told, *, least: bool) -> bool:
        """What it holds lies between `remaining + rate * reset` and one more; True where that is less than believed.

        A refused request may be owed, and then less remained than the nothing that is told: `least` says that it is
        sure that no less did.
        """
        full, unsure = self.true * self.window, self.true * told.step
        if told.reset is None or told.remaining is None:
            return False
        seen = told.remaining + told.reset * self.true
        if seen > 2.0 * full + 1.0:
            return False  # not the time to full of a bucket of this rate
        rough = told.step >= 1.0
        held = max(told.remaining, seen - unsure) if rough else seen
        if least:
            self.top = max(self.top, held)
        self.roof = min(self.roof, seen + 1.0 + unsure)
        if self.top > self.roof:
            self.top, self.roof = (held if least else 0.0), seen + 1.0 + unsure
        known = full if self.top <= full <= self.roof + unsure else self.top or self.roof
        before, self.capacity = self.capacity, max(1.0, min(known, self.most))
        # nothing is given up for what is only not known to fit
        self.bound = max(self.capacity, min(self.roof, self.most)) if rough else self.capacity
        self.level = min(self.level, self.capacity)
        return self.capacity < before - 1.0

    @property
    def true(self) -> float:
        """The rate a second at which it refills for all who draw on it."""
        return 0.0 if self.limit is None else self.limit / 60.0

    def _mine(self, left: float, mark: Mark, now: float) -> float:
        """What of all that was left counts here."""
        if self.others.share == 1.0:
            return left
        return self.others.mine(left, (now - mark.sent) * self.true, self.unit, self.capacity)

    def _share(self, least: float, most: float, mark: Mark) -> None:
        """Count what others took since the last reply, which left between these two."""
        others, rate = self.others, self.true
        left, spent = (least + most) / 2.0, mark.spent + mark.need - mark.returned
        others.seen(mark.sent, left, spent, rate, self.capacity, 2.0 * (self.largest + rate * self.spread))
        self.rate = rate * others.share

    def _surprised(self, least: float, mark: Mark, now: float) -> None:
        """It lacked what was believed to be there: others took it, or ways vary by more than was thought."""
        self.others.refused(mark.need)
        if self.rate and mark.level > 0.999 * mark.need and self.others.few:
            self.ways.surprised(mark.sent, (mark.need - least) / self.true, self.capacity / self.true, now)
            self.spread = self.ways.spread

    # What refusals teach

    def pace(self, rate: float, now: float) -> None:
        """Believe a rate a second that refusals taught; of an unknown bucket the capacity is a minute."""
        self.refill(now)
        limit = min(rate * 60.0, self.ceiling)
        if not self.limit:
            self.capacity = self.level = max(1.0, self.unit, limit)
        elif limit > self.limit:
            self.capacity = min(self.capacity * limit / self.limit, self.most)
            self.bound = max(self.bound, self.capacity)
        self.limit, self.rate = limit, limit / 60.0
        self.source, self.since = "learned", now

    def recall(self, limit: float, capacity: float | None, at: float, now: float) -> None:
        """Believe what was taught at `at`; since then it may have been used up, and has refilled."""
        self.pace(limit / 60.0, now)
        full = max(1.0, limit * self.window / 60.0) if capacity is None or capacity <= 0.0 else capacity
        self.capacity = self.bound = min(full, self.most)
        self.level = min(self.capacity, self.rate * (now - at))
        self.since = at
        self.probe(self.tau, now)

    def probe(self, tau: float, now: float, *, dear: bool = False) -> None:
        """Nothing more is tried for `tau` seconds, and for some requests; for more where refusals are `dear`."""
        self.tau = tau
        if self.ceiling == inf:
            self.dear = self.dear or dear
            self.quiet = now + max(tau, max(_ENOUGH * tau, _DEAR if self.dear else _LEAST) * self._each)

    def paid(self, now: float) -> None:
        """A sibling found out that refusals are dear: what is slow is tried as late as if this bucket had."""
        self.dear = True
        if now < self.quiet < inf and _DEAR * self._each > self.tau:
            self.probe(self.tau, now)

    @property
    def _each(self) -> float:
        """In how many seconds it refills what a request usually takes."""
        return (self.usual or self.unit) / self.rate if self.rate else 0.0

    def refused(self, left: float, mark: Mark, now: float, *, charges: bool, sure: bool = False) -> None:
        """About `left` was there when the marked request was refused; `sure`: whatever was believed before.

        Where refusals cost quota (`charges`), this one and whatever was sent since are spent, as far as a bucket goes;
        where they do not, what was sent since has most likely been refused like it.
        """
        if self.rate:
            self.refill(now)
            since = min(self.spent - mark.spent, self.capacity)
            spent = since if charges else max(0.0, since - mark.need) if sure else 0.0
            # it may have been on its way for longer than those that follow
            level = left - spent + self.rate * max(0.0, now - mark.sent - self.spread)
            if not sure:
                level = min(level, self.level if charges else self.level + mark.need)
            self.level = min(self.capacity, level)

    def shrink(self, over: float, need: float, now: float) -> None:
        """So much more was believed than was there, at a rate that is known: it has run over the brim.

        It did so last when the level was believed to be highest, so what it holds follows.
        """
        self.refill(now)
        self.capacity = min(self.capacity, max(need, self.largest, self.peak - over))
        self.level = min(self.level, self.capacity)
        self.peak = self.level

    def figures(self, now: float) -> GaugeFigures:
        """The bucket as of now."""
        level = self.level if now <= self.at else min(self.capacity, self.level + self.rate * (now - self.at))
        age = None if self.source == "none" else max(0.0, now - self.since)
        return GaugeFigures(level, self.capacity, self.limit, self.source, age)
