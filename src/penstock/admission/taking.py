"""What one request takes from all buckets that it draws on, and when another like it may follow.

It is the inner loop of every decision, so all buckets are gone through in one function, which leaves to methods what is
rare: a need of another size than the last, a rate that is tried out, a bucket that lacks something. What does not
change between two requests that need the same is planned once.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from attrs import define

if TYPE_CHECKING:
    from penstock.admission.bucket import Gauge
    from penstock.admission.refusals import Refusals
    from penstock.work import Demand

Needs = tuple[tuple["Gauge", float], ...]
"""Buckets, and how much of each a request needs: a whole number as a float, which costs less to reckon with."""


@define(eq=False)
class Plan:
    """What a demand draws on: the buckets of the three quantities first, of which it may need nothing, then any walls.

    `sure` is how many such demands a second these are sure to refill (0.0: nothing is known), `trusts` whether headers
    tell of all that it draws on. It holds until something is learned.
    """

    demand: Demand
    needs: Needs
    sure: float
    trusts: bool


def planned(demand: Demand, refusals: Refusals) -> Plan:
    """What does not change from one such demand to the next, until something is learned; buckets hear of its size."""
    requests, tokens, images = refusals.gauges
    needs: Needs = (
        (requests, float(demand.requests)),
        (tokens, float(demand.tokens)),
        (images, float(demand.images)),
    )
    sure = inf
    for (gauge, need), learner in zip(needs, refusals.learners):  # noqa: B905 - to have it checked costs half of this
        if need and need != gauge.unit:
            gauge.sized(need)
        if need and (rate := gauge.rate):
            if learner is not None and gauge.source == "learned":
                rate = min(rate, learner.state.low)
            if rate < sure * need:
                sure = rate / need
    walls = refusals.walls
    if walls.known:
        beyond = tuple((gauge, needs[index][1]) for index, gauge in walls.known)
        for gauge, need in beyond:
            if need:
                gauge.sized(need)
        needs += beyond
    trusts = refusals.told[0] and refusals.active < 0 and not walls.hidden()
    return Plan(demand, needs, 0.0 if sure == inf else sure, trusts)


def take(needs: Needs, now: float, *, alike: bool = True) -> tuple[list[float], float]:
    """A request is sent now that draws on these. Returns the levels just before (0.0 where it needs nothing).

    Behind them is when the same may go again, as far as these buckets go; `-inf` is at once. It is looked for only
    where the next one may be `alike`.
    """
    levels: list[float] = []
    again = -inf
    for gauge, need in needs:
        if not need:
            levels.append(0.0)
            continue
        gauge.spent += need
        level = gauge.level
        if rate := gauge.rate:
            if now > gauge.quiet:
                gauge.tried(now)
                level, rate = gauge.level, gauge.rate
            at = gauge.at
            capacity = gauge.capacity
            if now > at:
                level += rate * (now - at)
                if level > capacity:
                    level = capacity
                at = now
            if level > gauge.peak:
                gauge.peak = level
            left = gauge.level = level - need
            if left > gauge.largest + rate and gauge.quiet < now + gauge.tau - 1.0:
                gauge.probe(gauge.tau, now)  # it holds nothing up: there is nothing to find out
            # the bucket at the server may stay full for as long as the request is on its way
            brim = now + (level - capacity) / rate + gauge.spread
            gauge.at = brim if brim > at else at
            if alike and need > left and (ready := gauge.ready(need)) > again:
                again = ready
        levels.append(level)
    return levels, again
