"""How long after a request that was let in the next one is let in, too, by a bucket that holds only one.

Where all but one of the first requests are refused, nothing is kept for later: each that is let in leaves it empty, and
whether the next one is let in depends on the gap between the two alone. So every request measures. One that is let
in says that its gap is enough, one that is refused that it is too short, and the gap that is believed is found between
the two. A refusal is not waited out: the next try comes when a gap that was enough is over.

Whether refusals take quota is found out on the way, with a theory of each side by side. If they are paid for, the
bucket owes, never more than it holds: after `k` of them it takes `k + 1` gaps since the last one that was let in, or
`k - j + 2` since the j-th of them (from 0), whichever is over first. A theory is out that calls too short what was
enough, and the gap that tells the two apart is tried first: it costs nothing where refusals are free.

Siblings measure the same gap: one of them at a time tries a shorter one, the others keep to what is known.

Times are those of sending, so gaps are known to `SPREAD` seconds and nothing closer is asked. Where both theories are
out the limit has changed; where that happens again it is no such bucket, and `learning` is believed.
"""

from __future__ import annotations

from math import inf, sqrt
from operator import sub
from typing import TYPE_CHECKING

from attrs import define, field

from penstock.admission.marks import SPREAD

if TYPE_CHECKING:
    from penstock.admission.bucket import Gauge
    from penstock.admission.family import Family
    from penstock.admission.pace import Pace
    from penstock.admission.permits import Permit
    from penstock.work import Demand

_NEAR, _NEAR_PAID = 0.02, 0.06
"""How near to each other, as a share, what is enough and what is too short are when there is no more to learn: where
refusals are free, and where they cost a gap each."""

_WIDE, _SHARE = 4.0, 0.7
"""How many times what is too short may be enough for the middle of them to be taken as it is, and where that lies: what
is let in costs nothing."""

_LEAST = 3.0 * SPREAD
"""Gaps that are shorter are not told from how ways differ."""

_STEP = SPREAD / 3.0
"""By how many seconds a gap is longer that is tried after one that is not always enough."""

_SPARE = 1.0
"""Seconds that must be left for a second try before the next gap is over: after two refusals a rest is taken."""

_STRIKES = 2
"""How often both theories may be out."""

_MANY = 1_000
"""How many requests that are out may hide what becomes of one."""

HOLD, _PATIENCE = 0.8, 4.0
"""Seconds to let a bucket fill after the first refusal that says nothing at all, as a measurement needs something to
measure; and how many times as long siblings wait where one tries already: what is refused may be paid for, and they
would learn the same."""


def _beyond(gap: float) -> float:
    """A gap that is longer for sure."""
    return (1.0 + _NEAR) * gap + 2.0 * SPREAD


@define(eq=False)
class Theory:
    """Gaps of at least `enough` seconds are let in, those of up to `short` are refused, where refusals are `paid` for.

    `enough` is infinite while none was. `out`: something contradicts it.
    """

    paid: bool
    enough: float = inf
    short: float = 0.0
    out: bool = False

    def gap(self, since: float, refused: tuple[float, ...], time: float, *, let_in: bool) -> float:
        """What a request at `time` says of gaps, after one that was let in at `since` and these that were refused.

        The true one is no longer where it was let in, and no shorter where it was refused; nobody knows how much the
        bucket owes at most, so what favours neither is taken of each.
        """
        if not self.paid:
            return time - since
        owed = len(refused) + 1.0
        later = [(time - at) / (owed - place) for place, at in enumerate(refused)] if let_in else []
        return max(((time - since) / owed, *later))

    def ready(self, since: float, refused: tuple[float, ...]) -> float:
        """When a request after these is let in, by a gap that is enough."""
        if not self.paid:
            return since + self.enough
        owed = len(refused) + 1.0
        later = [at + (owed - place) * self.enough for place, at in enumerate(refused)]
        return min((since + owed * self.enough, *later))

    def hears(self, gap: float, *, let_in: bool) -> None:
        """A request after such a gap was let in, or refused."""
        if let_in:
            self.out = self.out or _beyond(gap) < self.short
            self.enough = min(self.enough, max(gap, self.short + _STEP))
        else:
            self.out = self.out or gap > _beyond(self.enough)
            self.short = max(self.short, gap)
            if self.enough < inf:
                self.enough = max(self.enough, gap + _STEP)  # it was enough, and is not each time: ways differ

    @property
    def next(self) -> float:
        """The gap to try next: shorter than is sure, while there is something to learn."""
        near = SPREAD + (_NEAR_PAID if self.paid else _NEAR) * self.enough
        if self.enough == inf or self.enough - self.short <= near:
            return self.enough
        short = max(self.short, _LEAST)
        if self.enough > _WIDE * short:
            return sqrt(self.enough * short)
        return short + max(0.0, _SHARE * (self.enough - short))


@define(eq=False)
class Known:
    """What siblings know of their gaps together: if refusals are free, and if they are not.

    `leader` is the one of them that tries what is not known yet, until `until`.
    """

    free: Theory = field(factory=lambda: Theory(paid=False))
    paid: Theory = field(factory=lambda: Theory(paid=True))
    leader: Gaps | None = None
    until: float = -inf

    def live(self, charges: bool | None) -> tuple[Theory, ...]:
        """The theories that may be true, given what is known of refusals besides."""
        found = tuple(one for one in (self.free, self.paid) if not one.out)
        return tuple(one for one in found if charges in {None, one.paid}) or found

    def next(self, live: tuple[Theory, ...]) -> float:
        """The gap that tells more than is known; `inf`: none was enough until now."""
        telling = _beyond(self.paid.enough) + SPREAD
        if len(live) == 2 and telling < self.free.short:
            return telling  # let in if refusals are paid for, refused and free if they are not
        return live[0].next

    def leads(self, who: Gaps, now: float, span: float) -> bool:
        """Whether `who` is the one that tries; if so, it has so many seconds for it."""
        if self.leader is not None and self.leader is not who and now < self.until:
            return False
        self.leader, self.until = who, now + span
        return True


@define(eq=False)
class Gaps:
    """The requests of one quota as they follow each other. `on` None: nobody knows yet whether it is such a bucket.

    `early` has those that went before the first refusal was heard of, and whether they were let in, `fates` the others
    from `place` on, by their order (None: that is not known yet). Of those before, the last one that was let in went at
    `since` (`-inf`: nobody knows), these were `refused` after it, and the latest of all went at `last`.
    """

    family: Family
    known: Known = field(factory=Known)
    own: bool = False
    on: bool | None = None
    demand: Demand | None = None
    fates: dict[int, tuple[float, bool | None]] = field(factory=dict[int, tuple[float, bool | None]])
    early: tuple[tuple[float, bool], ...] = ()
    place: int = 0
    since: float = -inf
    refused: tuple[float, ...] = ()
    last: float = -inf
    strikes: int = 0

    def sent(self, permit: Permit) -> None:
        """A request goes, after the first refusal of all."""
        if self.on is not False:
            self.fates[permit.order] = permit.sent, None

    def unknown(self, permit: Permit) -> None:
        """Nobody knows whether a request took quota, or it is known that it did not: what follows says nothing."""
        if self.on and self.place <= permit.order:
            self.place, self.since, self.refused = permit.order + 1, -inf, ()
            self.fates = {order: fate for order, fate in self.fates.items() if order > permit.order}

    def refused_one(self, permit: Permit, wait: float | None, pace: Pace, now: float) -> None:
        """A request was refused; where a wait is named, that says more than gaps do."""
        if wait is None:
            self.hears(permit, pace, now, let_in=False)
        else:
            self.ends()

    def hears(self, permit: Permit, pace: Pace, now: float, *, let_in: bool) -> None:
        """What became of a request; nothing is heard before the first refusal, and that comes before `pace` has it."""
        if self.on is False or not self._alike(permit):
            return
        self.place = self.place or max(pace.sends, permit.order) + 1
        if permit.order >= self.place:
            self.fates[permit.order] = permit.sent, let_in
        else:
            self._begins(permit.sent, pace.first, let_in=let_in)
        while self.on and self.place in self.fates:
            sent, fate = self.fates[self.place]
            if fate is None and now - sent < 2.0 * pace.horizon:
                return  # it may be refused yet
            del self.fates[self.place]
            self.place += 1
            self._settle(sent, let_in=fate is not False)

    def _alike(self, permit: Permit) -> bool:
        if self.demand is None:
            self.demand = permit.demand
            self.known = self.family.gaps.setdefault(permit.demand, self.known)
        if permit.demand != self.demand or permit.order - self.place > _MANY:
            self.ends()
        return self.on is not False

    def _begins(self, sent: float, first: float, *, let_in: bool) -> None:
        """Of those that went before the first refusal was heard of, and arrived in any order, one is let in."""
        fates = self.early = tuple(sorted((*self.early, (sent, let_in))))
        times = [time for time, found in fates if found]
        missing = self.place - 1 - len(fates) if self.last == -inf else 0
        if min(map(sub, times[1:], times), default=inf) < _LEAST or (not missing and not times):
            self.ends()  # it holds more than one, or it was empty, whatever it holds
        elif self.last == -inf and (not missing or missing + len(times) == 1):
            self.on, self.since = True, times[-1] if times else first
            self.refused = tuple(time for time, found in fates if time >= self.since and not found)

    def ends(self) -> None:
        """It is no such bucket, or more is said of it."""
        self.on = False
        self.fates.clear()

    def _settle(self, sent: float, *, let_in: bool) -> None:
        self.last = sent
        if self.since > -inf:
            for theory in self.known.live(None):
                theory.hears(theory.gap(self.since, self.refused, sent, let_in=let_in), let_in=let_in)
            live = self.known.live(None)
            if not live:
                self._changed(sent, let_in=let_in)
            elif len(live) == 1:
                self.family.charges = live[0].paid
        if let_in:
            self.since, self.refused = sent, ()
        else:
            self.refused = (*self.refused, sent)

    def _changed(self, sent: float, *, let_in: bool) -> None:
        """Both theories are out: it is another limit than was known, or than that of siblings."""
        self.strikes += self.own
        self.own, self.known = True, Known()
        if self.strikes >= _STRIKES:
            self.ends()
        for theory in (self.known.free, self.known.paid):
            theory.hears(theory.gap(self.since, self.refused, sent, let_in=let_in), let_in=let_in)

    def steer(self, gauge: Gauge, pace: Pace, now: float) -> bool:
        """Have a bucket give the next request when its gap is over. False: it is no bucket of one request."""
        if not self.on or gauge.source not in {"none", "learned"}:
            return False
        live = self.known.live(self.family.charges)
        sure, gap = max(one.enough for one in live), self.known.next(live)
        if sure < _LEAST or gauge.largest > gauge.unit:
            self.ends()  # too fast to be told from how ways differ, or of requests that vary
            return False
        if gap == inf:
            self._search(pace, now)
            gap, ready = max(live[0].short, HOLD), now
        else:
            if gap < sure and not self.known.leads(self, now, 2.0 * sure):
                gap = sure
            ready = self._ready(live[0], gap, pace.last)
        need = gauge.unit
        pace.careful = False
        gauge.pace(need / (gap - SPREAD), now)
        gauge.shrink(inf, need, now)
        gauge.level = need - gauge.rate * max(0.0, ready - now)
        return True

    def _search(self, pace: Pace, now: float) -> None:
        """No gap was enough until now: the rests that follow refusals are twice as long each time."""
        passed = max(HOLD, now - self.since)
        if not self.known.leads(self, now, _PATIENCE * passed):
            pace.block(now + _PATIENCE * passed)
        elif len(self.refused) == 1:
            pace.block(now + HOLD)

    def _ready(self, theory: Theory, gap: float, last: float) -> float:
        """When the next may go; `last` is when the last one went."""
        if not self.refused or last > self.last:
            return max(self.since, last) + gap
        ready = theory.ready(self.since, self.refused) + SPREAD / 2.0
        if self.family.charges is False and len(self.refused) == 1 and self.since + gap + _SPARE < ready:
            return self.since + gap  # if that is refused, too, the next one still goes when it would have gone
        return ready
