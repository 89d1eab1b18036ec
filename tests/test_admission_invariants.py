"""The invariants of limits that are learned, against a reference server with random delays and replies in any order.

1. Exact limits are never overrun: `test_admission.test_exact_limits_are_never_overrun`.
2. Bounds enclose the truth, so those of two replies overlap: `test_admission.test_bounds_enclose_the_truth`.
3. A level within its bounds is not moved, the same reply twice changes nothing: here.
4. Few are refused at a drop that nobody told of, and nothing is a livelock: here, `test_admission_learning`.
5. Replies in any order teach the same: `test_admission.test_replies_in_any_order_learn_the_same_limits`.
6. No bucket is believed to hold more than was shown: here, `test_admission_learning`.
7. Nothing leaks: after any history at rest the levels are what the reference has: here.
8. Learned bounds hold the true rate: `test_admission_learning.test_bounds_hold_the_true_rate`.
9. What headers tell is not overruled by refusals: here.
10. Trying for more costs one event a while, and the while doubles to a minute: here.
"""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import pairwise
from math import inf, isnan, log2
from random import Random

import pytest
from attrs import define
from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock.admission.bucket import SPREAD, Gauge, Mark
from penstock.admission.headers import RateReport, Told
from penstock.admission.quota import Permit, Quota
from penstock.admission.taking import take
from penstock.config import Limits
from penstock.three import Three
from penstock.work import Demand
from tests.test_admission import Run, Server, levels

AT_RISK = 5
"""How many go at most until the first refusal of several is heard, where nothing is let in."""

seeds = st.integers(0, 2**32)


# 3


@given(
    spent=st.integers(0, 40),
    later=st.integers(0, 10),
    remaining=st.integers(0, 60),
    waited=st.floats(0.0, 5.0),
    limit=st.sampled_from((6.0, 60.0, 600.0)),
)
def test_a_level_is_clamped_and_nothing_else(
    spent: int, later: int, remaining: int, waited: float, limit: float
) -> None:
    """It is moved to the nearer bound if it lies outside of what a reply allows, else left; a replay does nothing."""
    gauge = Gauge(0.0)
    gauge.configure(limit, 60.0 / limit, 0.0)
    gauge.configure(limit, 1.0, 0.0)
    for _ in range(spent):
        take(((gauge, 1.0),), 0.0)
    (level,), _ = take(((gauge, 1.0),), 0.0)
    mark = Mark(0.0, 1.0, level, gauge.spent - 1.0, gauge.spent - 1.0, gauge.spent, 0.0)
    for _ in range(later):
        take(((gauge, 1.0),), SPREAD)
    now = SPREAD + waited
    gauge.refill(now)
    before, told = gauge.level, Told(None, float(remaining))
    low, high = gauge.bounds(remaining, remaining + 1.0, mark, now)
    gauge.observe(told, 1, mark, now)
    expected = low if before < low else min(before, max(low, high))
    assert pytest.approx(min(expected, gauge.capacity)) == gauge.level
    if low <= before <= high:
        assert before == gauge.level
    after = (gauge.level, gauge.capacity, gauge.limit, gauge.top, gauge.roof)
    gauge.observe(told, 1, mark, now)
    assert after == (gauge.level, gauge.capacity, gauge.limit, gauge.top, gauge.roof)


# 4


@define
class Dropping(Server):
    """A server whose limit is lowered to `less` at `moment`; keeps who was refused there, and when."""

    moment: float = inf
    less: float = 60.0
    first: float = inf
    refusals: int = 0

    def arrive(self, demand: Demand, now: float) -> tuple[int, float] | None:
        """As before, with the limit of this moment."""
        if now >= self.moment and self.limits[0] != self.less:
            self.refill(self.moment)
            self.limits = (self.less, None, None)
            self.levels[0] = 0.0
        found = Server.arrive(self, demand, now)
        if found is not None and now < self.first + 0.05:
            self.first = min(self.first, now)
            self.refusals += 1
        return found


@settings(max_examples=40, deadline=None)
@given(seed=seeds, moment=st.floats(1.0, 50.0), charges=st.booleans(), believed=st.booleans())
def test_few_are_refused_at_a_drop_that_nobody_tells_of(
    seed: int, moment: float, charges: bool, believed: bool
) -> None:
    """Until the first refusal is heard of no more are refused than are at risk; then all go through all the same."""
    server = Dropping((300.0, None, None), 0.1, charges, moment=moment)
    known = Limits(rpm=300.0, burst=0.1) if believed else Limits()
    run = Run(Quota(known, 0.0), server, [Demand()] * 300, Random(seed), hints=True)
    assert run.go(until=3600.0) < 3600.0
    risk = max(5.0, (30.0 + 5.0 * moment) / 40.0)
    assert server.refusals <= 5.0 * 0.25 + risk + 1.0
    assert (300, 0) == (server.admitted, run.quota.in_flight)


@define
class Dark(Server):
    """A server that refuses everything until `until`, and says what it likes of when to come back."""

    until: float = 0.0
    waits: tuple[float, ...] = (0.0,)

    def arrive(self, demand: Demand, now: float) -> tuple[int, float] | None:
        """Refused while it is dark."""
        if now >= self.until:
            return Server.arrive(self, demand, now)
        self.refill(now)
        self.refused += 1
        return 0, self.waits[self.refused % len(self.waits)]

    def tell(self) -> RateReport:
        """There is always room, if one believes it."""
        return RateReport(Told(300.0, 290.0, 2.0), None, None)


@settings(max_examples=40, deadline=None)
@given(
    seed=seeds,
    waits=st.lists(st.sampled_from((0.0, 1e-9, 0.001, 0.05, 1.0, 30.0)), min_size=1, max_size=5).map(tuple),
    headers=st.booleans(),
    names=st.booleans(),
    hints=st.booleans(),
)
def test_nothing_is_a_livelock(seed: int, waits: tuple[float, ...], headers: bool, names: bool, hints: bool) -> None:
    """While all is refused for ten minutes waits double to a minute, a few are sent after each; then all go through."""
    server = Dark((300.0, None, None), until=600.0, waits=waits)
    quota, rng = Quota(Limits(rpm=300.0), 0.0), Random(seed)
    run = Run(quota, server, [Demand()] * 20, rng, headers=headers, names=names, hints=hints)
    # where nobody says that it is not a limit, it is taken for one, and what is let in afterwards tells better
    assert run.go(until=7200.0) < (700.0 if headers or names else 7200.0)
    assert (20, 0) == (server.admitted, quota.in_flight)
    assert server.refused <= AT_RISK * (2 + log2(60.0 / 0.2) + 600.0 / 60.0)


# 6


@define
class Telling(Server):
    """Keeps the most that a bucket was shown to hold."""

    shown: float = 0.0

    def tell(self) -> RateReport:
        """As any, and it is kept."""
        report = Server.tell(self)
        told, limit = report.requests, self.limits[0]
        if told is not None and limit is not None and told.remaining is not None:
            self.shown = max(self.shown, told.remaining + (told.reset or 0.0) * limit / 60.0)
        return report


@settings(max_examples=60, deadline=None)
@given(
    seed=seeds,
    limit=st.sampled_from((30.0, 300.0, 3000.0)),
    burst=st.sampled_from((1.0, 0.1, 1 / 60)),
    believed=st.sampled_from((None, 0.5, 1.0, 2.0)),
    charges=st.booleans(),
)
def test_no_bucket_holds_more_than_was_shown(
    seed: int, limit: float, burst: float, believed: float | None, charges: bool
) -> None:
    """With headers the capacity is that of the replies, to one; a level never lies above it, and all are numbers."""
    server = Telling((limit, None, None), burst, charges)
    known = Limits() if believed is None else Limits(rpm=limit * believed)
    run = Run(Quota(known, 0.0), server, [Demand()] * 60, Random(seed), headers=True)
    assert run.go(until=7200.0) < 7200.0
    gauge = levels(run.quota, run.now)[0]
    assert (limit, "told") == (gauge.per_minute, gauge.source)
    assert gauge.capacity <= max(1.0, server.shown) + 1.0 + limit / 60_000
    assert gauge.level <= gauge.capacity
    assert not isnan(gauge.level)


# 7


@define
class History:
    """Requests of all kinds of end, at random times, in a quota and at the reference server with the same limits."""

    quota: Quota
    server: Server
    rng: Random
    now: float = 0.0
    taken: float = 0.0
    unsure: int = 0
    newest: int = 0

    def run(self, count: int, pause: float, *, alone: bool) -> None:
        """Send so many, with pauses in between; returns when everything is over and has arrived.

        `alone`: one at a time. Only then one may cost more than was thought: what is out beside it could not know.
        """
        events: list[tuple[float, int, Permit, str]] = []
        for number in range(count):
            self.rest(events, self.now + self.rng.choice((0.0, 0.01, pause)) * self.rng.random())
            demand = Demand(1, self.rng.randint(0, 2), self.rng.randint(0, 900))
            while (ready := self.quota.ready_at(demand, self.now)) > self.now:
                self.rest(events, min(ready, events[0][0] if events else inf))
            permit = self.quota.reserve(demand, self.now)
            self.newest = permit.order
            end = self.rng.choice(("unsent", "answered", "answered", "cheaper", "dearer" if alone else "answered"))
            away = self.rng.uniform(0.001, 0.001 + SPREAD) + (self.rng.random() * pause if end == "unsent" else 0.0)
            heappush(events, (self.now + away, number, permit, end))
        while events:
            self.rest(events, events[0][0])

    def rest(self, events: list[tuple[float, int, Permit, str]], until: float) -> None:
        """Time passes, and what happens until then does."""
        while events and events[0][0] <= until:
            self.now, _, permit, end = heappop(events)
            self.happen(permit, end)
        self.now = until

    def happen(self, permit: Permit, end: str) -> None:
        """A request arrives and is answered at once, or never left."""
        others = self.quota.in_flight > 1 or permit.order < self.newest
        self.unsure += end in {"unsent", "cheaper"} and others
        if end == "unsent":
            assert self.quota.settle(permit, Three.NO, self.now)
            return
        assert self.server.arrive(permit.demand, self.now) is None
        tokens = permit.demand.tokens
        real = {"cheaper": tokens // 2, "dearer": tokens + 90}.get(end, tokens)
        self.quota.settle(permit, Three.YES, self.now, tokens=real)
        capacity = inf if self.server.limits[1] is None else self.server.capacity(self.server.limits[1])
        self.server.levels[1] = min(capacity, self.server.levels[1] + tokens - (real or tokens))
        self.taken += real or tokens


@settings(max_examples=100, deadline=None)
@given(
    seed=seeds,
    rpm=st.sampled_from((60.0, 600.0, 6000.0)),
    tpm=st.sampled_from((2e4, 1e5)),
    ipm=st.sampled_from((None, 120.0)),
    count=st.integers(1, 120),
    pause=st.sampled_from((0.1, 2.0, 30.0)),
    concurrency=st.sampled_from((1, 64)),
)
def test_nothing_leaks(
    seed: int, rpm: float, tpm: float, ipm: float | None, count: int, pause: float, concurrency: int
) -> None:
    """Whatever was sent, never left, cost less or more: at rest the levels are what the reference has.

    They are never above it, and below it by no more than safety costs twice (what refills within SPREAD), and by what
    came back after others had gone, where nobody counts what ran over.
    """
    limits = Limits(rpm, tpm, ipm, concurrency, ceiling=True)
    history = History(Quota(limits, 0.0, eager=True), Server((rpm, tpm, ipm)), Random(seed))
    history.run(count, pause, alone=concurrency == 1)
    now = history.now + SPREAD
    history.server.refill(now)
    assert 0 == history.quota.in_flight
    rows = zip(levels(history.quota, now), history.server.levels, (rpm, tpm, ipm), (1, 900, 2), strict=True)
    for gauge, true, limit, most in rows:
        if limit is not None:
            slack = 2.5 * SPREAD * limit / 60.0 + history.unsure * most + 1e-6
            assert true - slack <= gauge.level <= true + 0.001 * limit / 60.0 * count + 1e-6
    tokens = history.quota._tokens
    assert pytest.approx(history.taken, abs=1e-6) == tokens.spent - tokens.returned


# 9


@define
class Walled(Server):
    """A further bucket of requests that no header tells of: it holds `amount`, and refills within `span` seconds."""

    amount: float = 5.0
    span: float = 1.0
    left: float = 5.0
    seen: float = 0.0

    def arrive(self, demand: Demand, now: float) -> tuple[int, float] | None:
        """Refused by the wall, or as any."""
        self.left = min(self.amount, self.left + self.amount / self.span * (now - self.seen))
        self.seen = now
        if self.left < 1.0:
            self.refill(now)
            self.refused += 1
            return 0, (1.0 - self.left) * self.span / self.amount
        found = Server.arrive(self, demand, now)
        if found is None:
            self.left -= 1.0
        return found


@settings(max_examples=40, deadline=None)
@given(seed=seeds, amount=st.sampled_from((2.0, 5.0)), span=st.sampled_from((1.0, 5.0)), hints=st.booleans())
@example(seed=1481, amount=5.0, span=1.0, hints=True)
def test_headers_stay_as_they_are_told(seed: int, amount: float, span: float, hints: bool) -> None:
    """A refusal that they do not explain is of something beside them: the told limit stands, and all go through.

    That is a wall, or, where replies happen to come as fast as it lets in, what nobody can tell from it: so many out.
    """
    server = Walled((600.0, None, None), amount=amount, span=span, left=amount)
    run = Run(Quota(Limits(), 0.0), server, [Demand()] * 60, Random(seed), headers=True, hints=hints)
    assert run.go(until=3600.0) < 3600.0
    figures = run.quota.figures(run.now)
    assert (600.0, "told") == (figures.requests.per_minute, figures.requests.source)
    assert server.refused
    walls = [(wall.quantity, wall.window) for wall in figures.walls]
    assert [("requests", 0.0)] == walls or (figures.concurrency is not None and not walls)
    assert (60, 0) == (server.admitted, figures.in_flight)


# 10


@define
class Clocked(Server):
    """Keeps when it refused."""

    times: tuple[float, ...] = ()

    def arrive(self, demand: Demand, now: float) -> tuple[int, float] | None:
        """As any, and it is kept."""
        found = Server.arrive(self, demand, now)
        if found is not None:
            self.times = (*self.times, now)
        return found


@settings(max_examples=20, deadline=None)
@given(seed=seeds, charges=st.booleans(), burst=st.sampled_from((0.1, 1 / 60)))
def test_trying_for_more_is_rare(seed: int, charges: bool, burst: float) -> None:
    """At a limit that a refusal named: once in ten seconds at first, then in twice as long, up to a minute."""
    server = Clocked((300.0, None, None), burst, charges)
    run = Run(Quota(Limits(), 0.0), server, [Demand()] * 2000, Random(seed), names=True, hints=True)
    assert run.go(until=3600.0) < 3600.0
    begins = [at for before, at in zip((-inf, *server.times), server.times, strict=False) if at - before > 2.0]
    known = [at for at in begins if at > 20.0]
    gaps = [after - before for before, after in pairwise(known)]
    assert all(gap >= 9.5 for gap in gaps)
    assert len(known) <= 3 + run.now / 60.0
