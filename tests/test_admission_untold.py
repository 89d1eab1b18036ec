"""What headers leave out: a quantity of which they do not tell, a wall beside what they tell, a request never sent."""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf
from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from penstock.admission.headers import RateReport, Told
from penstock.admission.quota import Permit, Quota
from penstock.config import Limits
from penstock.three import Three
from penstock.work import Demand
from tests.test_admission import Run
from tests.test_admission_invariants import Walled

ONE = Demand(1, 1, 0)
PLENTY = Told(600.0, 600.0, 0.001)

seeds = st.integers(0, 2**32)


def within(seconds: float, report: RateReport) -> int:
    """How many requests go within so many seconds to a server that lets all in, and tells this after 0.2 s."""
    quota, now, sent, out = Quota(Limits(), 0.0), 0.0, 0, list[tuple[float, Permit]]()
    while True:
        ready = max(now, quota.ready_at(ONE, now))
        now = min(ready, out[0][0] if out else inf)
        if now > seconds:
            return sent
        if out and out[0][0] <= now:
            permit = out.pop(0)[1]
            quota.heard(permit, report, now)
            quota.settle(permit, Three.YES, now)
        else:
            out.append((now + 0.2, quota.reserve(ONE, now)))
            sent += 1


def test_only_headers_that_tell_of_requests_let_more_be_at_risk() -> None:
    """Requests are limited nearly everywhere: headers that leave them out do not tell all that may refuse one."""
    assert within(2.0, RateReport(requests=PLENTY)) > 100
    assert within(2.0, RateReport(images=PLENTY)) < 80


def tries(seed: int) -> int:
    """How many of 150 requests are refused at a wall of the told rate, after 125 before them."""
    server = Walled((300.0, None, None), amount=5.0, span=1.0, left=5.0)
    run = Run(Quota(Limits(), 0.0), server, [ONE] * 125, Random(seed), headers=True, hints=True)
    run.go(until=3600.0)
    before, run.demands = server.refused, [ONE] * 150
    assert run.go(until=3600.0) < 60.0
    return server.refused - before


def test_a_wall_of_the_rate_that_headers_tell_is_hardly_tried() -> None:
    """It is raised when the limit is, and that is told: once it is known, one try a minute is enough."""
    assert sum(tries(seed) for seed in range(20)) <= 10


def missed(limits: Limits, holds: float, rng: Random, seconds: float) -> list[float]:
    """When requests that are sent by a limit came too early to an exact bucket; some never came, and are given back."""
    quota, now, count = Quota(limits, 0.0), 0.0, 0
    out, arrivals = list[tuple[float, int, Permit, Three]](), list[tuple[float, int]]()
    demand = Demand(1, rng.randint(1, 4), 0)
    while now < seconds:
        ready = quota.ready_at(demand, now)
        if ready <= now:
            permit, count = quota.reserve(demand, now), count + 1
            arrival, taken = now + rng.uniform(0.001, 0.030), Three.NO if rng.random() < 0.2 else Three.YES
            if taken is Three.YES:
                arrivals.append((arrival, demand.images))
            heappush(out, (arrival + rng.uniform(0.01, 3.0), count, permit, taken))
            demand = Demand(1, rng.randint(1, 4), 0)
            if rng.random() < 0.1:
                now += rng.uniform(0.0, 30.0)
        elif out and out[0][0] <= ready:
            over, _, permit, taken = heappop(out)
            now = max(now, over)
            quota.settle(permit, taken, now)
        else:
            now = max(now, ready)
    level, at, found = holds, 0.0, list[float]()
    for arrival, images in sorted(arrivals):
        level, at = min(holds, level + (limits.ipm or 0.0) / 60.0 * (arrival - at)) - images, arrival
        if level < -1e-6:
            found.append(arrival)
    return found


@settings(max_examples=60, deadline=None)
@given(seeds)
@example(11)
@example(102)
def test_what_is_given_back_is_not_more_than_the_brim_let_stay(seed: int) -> None:
    """A full bucket stands still until a request arrives, also one that would have been full without what came back."""
    assert [] == missed(Limits(ipm=150, burst=0.1, ceiling=True), 15.0, Random(seed), 400.0)
