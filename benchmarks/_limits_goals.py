"""What a run must reach, by what the client is told. Two seconds once a run are off the time before it is judged."""

from __future__ import annotations

from math import inf, log2

from attrs import frozen

from benchmarks._limits_cases import WAY, Case, Said
from penstock.simulation._bucket import Bucket, buckets
from penstock.simulation._settings import DAY

FEW = 5.0
"""Demands that a bucket must hold for the strict goals: a smaller one loses refill while requests travel."""

PROBE = 10.0
"""Seconds until the first probe for a raise; each one that fails doubles the time until the next."""


@frozen
class Goal:
    """At most this ratio and these refusals a key: of the median run, and of the worst (None: not asked)."""

    ratio: float
    worst: float | None
    refusals: float
    most: float | None = None


HIDDEN = Goal(1.01, 1.02, 12.0, 20.0)
"""A wall that nothing tells of is learned as where nothing is said."""

SPENT = Goal(1.01, 1.02, 3.0)
"""The end of a day's limit is seen once: whatever is out at that moment is refused."""

UNTOLD = "OTXZ"
"""Scenarios whose arithmetic holds with headers, too: they do not tell of what binds, or a bucket holds one demand."""

ARITHMETIC = {
    "B": "a burst that nobody told of is found out at 20 requests a second and key, since a refusal is heard of after "
    "up to 0.26 s and five may be at risk: 300 a key are 15 s, where 1.1 s would do",
    "K": "a refused request takes 2.5 pictures = 1 s of its key where refusals take quota: the three that are out when "
    "the burst ends are 3 s of 40, two probes 2 s; bare, a rate is known to +- 4 pictures between two empties",
    "L": "the lost key held 300 + 15 x 5 = 375; at 20 a second 300 of them are taken: 75 / 10 a second = 7.5 s of 55",
    "M": "only probing sees a raise: one probe in tau seconds loses tau / 2 x (1 - old / new); 5 refusals in 67 s are "
    "tau = 13 to 17 s, so 1.05 is expected, and 1.13 the worst",
    "N": "a bucket that is full while a request travels loses the refill: 1 / r + spread, 1.029 at 60 a minute",
    "O": "a bucket that is full while a request travels loses the refill: 1 / r + spread, 1.145 at 300 a minute",
    "R": "20 at a time are met at 57 a second. Whether a bucket is there is found out at 20 a second and key, later at "
    "a tenth of what was let in a second: at 57 after 20.5 s, with what 10 s would have done. Bare, a second refusal "
    "has to agree: after measuring (3 s) that takes 10 s at half the speed: 10.5 s of 22 with waits, 16.6 s bare",
    "T": "12 s a picture: where refusals take quota one is 0.09 of 132 s and 0.14 of 84 s: one goes before the first "
    "reply says anything, one shows that they do, one that the bucket holds one; bare, two empties lie 12 s apart",
    "X": "headers let risk grow by a quarter of what was let in, so that B takes its 1,500 in 1.0 s: a wall of 50 that "
    "they do not tell of is met at 100 a second and key, 6 to 18 go before that is heard of; 4 to 11 by 1 in 6.5",
    "Z": "as X: at 200 of one key 12 to 37 a key are at risk by a quarter, 7 to 21 by 1 in 6.5, which B misses by 0.06",
    "bare": "a rate is learned from two empties, |error| <= d / time between: log2(T / 0.8 s) = 6 refusals in 60 s, "
    "the wall itself (1 to 5), and one a probe",
    "charged": "a refusal that takes quota costs d / r seconds of its key: 5 on a key of 500 requests are 1 %",
}
"""What cannot be, by scenario or by what is said; shown where a goal is missed."""


REACH = {"B": 15.0 / 1.1, "L": 1.14, "M": 1.13, "R": 1.0 + (16.6 - 2.0) / 22.0}
"""The ratio that the arithmetic of a scenario allows, besides what is paid for refusals."""

UNNAMED = ("U", "U1", "U2", "U3", "R")
"""Scenarios with a limit of exchanges at a time that no refusal names."""

WALLS = "XZ"
"""Scenarios whose arithmetic is of refusals."""


def bare(seconds: float) -> float:
    """How many refusals a key takes in so many seconds where they say nothing: measuring, the wall, and probes."""
    return log2(seconds / 0.8 + 1.0) + FEW + log2(seconds / PROBE + 1.0)


def goal(case: Case, seconds: float) -> Goal:
    """The goal of a case whose optimum takes `seconds`."""
    special = _special(case)
    if special is not None:
        return special
    found = _told(case, seconds)
    held = capacity(case)
    if held < FEW:
        # the spacing without refusals is 1 / rate + the spread of the ways
        tight = 1.02 + 2.0 * rate(case) * (WAY[1] - WAY[0])
        return Goal(
            max(tight, found.ratio),
            None,
            max(6.0, found.refusals),
            None if found.most is None else max(20.0, found.most),
        )
    return found


def _special(case: Case) -> Goal | None:
    letter, said = case.letter, case.said
    if letter in UNNAMED and said is not Said.NAMED:
        return Goal(1.10, None, 10.0)
    if letter in {*UNNAMED, "V"}:
        return Goal(1.10, None, 5.0)
    if letter == "Q":
        return Goal(1.05, None, 20.0)
    if said is Said.HEADERS:
        # what binds is told by no header: by a refusal's name (Y, P), or by nothing at all (W, X)
        unseen = {"Y": Goal(1.01, None, 8.0), "P": Goal(1.01, None, 8.0), "W": HIDDEN, "X": HIDDEN, "Z": SPENT}
        return unseen.get(letter)
    base = _by_said(case, 0.0)
    if letter == "M":
        ratio = 1.01 if case.burst >= 1.0 else 1.15 if said is Said.NAMED else 1.25
        return Goal(max(ratio, base.ratio if case.charged else 0.0), None, base.refusals + 3.0, base.most)
    if letter == "L":
        return Goal(1.15, None, base.refusals, base.most)
    return None


def _told(case: Case, seconds: float) -> Goal:
    if case.said is not Said.HEADERS:
        found = _by_said(case, seconds)
        if case.letter == "D":
            return Goal(max(1.02, found.ratio), found.worst and max(1.02, found.worst), found.refusals, found.most)
        return found
    lowered = 2.0 * sum(change.limits is not None for change in case.scenario.changes if case.letter == "D")
    return Goal(1.01, 1.04 if case.letter == "K" else 1.02, lowered, lowered)


def _by_said(case: Case, seconds: float) -> Goal:
    if case.said is Said.NAMED:
        return Goal(1.04 if case.charged else 1.01, None, 5.0 + int(log2(seconds / PROBE + 1.0)))
    if case.said is Said.HINTS:
        return Goal(1.06 if case.charged else 1.02, None, 12.0)
    return Goal(1.20 if case.charged else 1.03, 1.20 if case.charged else 1.06, 12.0, 20.0)


def capacity(case: Case) -> float:
    """Demands that the smallest bucket of a case holds on the average."""
    return min((bucket.capacity / need for bucket, need in _buckets(case)), default=inf)


def rate(case: Case) -> float:
    """Demands a second that the tightest limit of a key gives on the average."""
    return min((bucket.rate / need for bucket, need in _buckets(case) if bucket.window != DAY), default=inf)


def _buckets(case: Case) -> list[tuple[Bucket, float]]:
    """Every bucket that is in force at some time, and what a job takes of it on the average."""
    scenario = case.scenario
    demands = scenario.demands(case.seed)
    needs = (
        1.0,
        sum(demand.tokens for demand in demands) / len(demands),
        sum(demand.images for demand in demands) / len(demands),
    )
    later = [change.limits for change in scenario.changes if change.limits is not None]
    every = [bucket for limits in (None, *later) for bucket in buckets(scenario.true(case.burst, limits))]
    return [(bucket, needs[bucket.place]) for bucket in every if needs[bucket.place]]
