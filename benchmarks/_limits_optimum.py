"""The clairvoyant optimum of a run: nobody who knows all limits, latencies and faults beforehand is sooner.

`OPT = max_i (a_i + latency_i + down_i)`, first come first served, where `a_i` is the first `t >= ready_i + up_i` with
`sum_k avail_k(t) >= W_i` for every quantity; `avail_k` is what key k has given by then if nothing of it is lost: what
it holds in the beginning and all its refill. `W_i` is the cost admitted up to i; what fails is in line again when its
reply is back. It is fluid over keys, so a little too good where demands are lumpy.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from math import inf
from random import Random

from attrs import define, frozen

from benchmarks._limits_cases import LATENCY, WAY, Case
from penstock.simulation._bucket import buckets
from penstock.simulation.server import FAULTS
from penstock.work import Demand


@frozen
class Draw:
    """What becomes of one attempt: seconds it takes, and a fault's name ("": it is done)."""

    latency: float
    fault: str


class Draws:
    """The same fate for the same attempt of a job, whoever asks and in whatever order."""

    def __init__(self, case: Case) -> None:
        self._seed = case.seed
        self._faults = case.scenario.faults
        self._known: dict[int, tuple[Random, list[Draw]]] = {}

    def of(self, job: int, attempt: int) -> Draw:
        """The fate of attempt `attempt` (from 0) of job `job` among those that were admitted."""
        known = self._known.get(job)
        if known is None:
            known = self._known[job] = (Random((self._seed << 24) + job), [])
        rng, draws = known
        while len(draws) <= attempt:
            latency = LATENCY.median * rng.lognormvariate(0.0, LATENCY.sigma)
            draw, fault = rng.random(), ""
            for name, share in self._faults:
                draw -= share
                if draw < 0.0:
                    fault = name
                    break
            draws.append(Draw(latency, fault))
        return draws[attempt]


Piece = tuple[float, float, float]
"""From when, how much has been given by then, and how much more a second."""


def given(case: Case, key: int, place: int) -> list[Piece] | None:
    """What a key has given of a quantity by a time, if nothing of it is lost; None where nothing limits it."""
    scenario = case.scenario
    added = next((change.at for change in scenario.changes if change.added == key), 0.0)
    first = next((change for change in scenario.changes if change.at == 0.0 and change.concerns(key)), None)
    limits = scenario.true(case.burst, first.limits if first is not None else None)
    changes = [change for change in scenario.changes if change.at > added and change.concerns(key)]
    curves: list[list[Piece]] = []
    for number, bucket in enumerate(buckets(limits)):
        if bucket.place != place:
            continue
        at, level, rate = added, bucket.capacity, bucket.rate
        curve = [(0.0, 0.0, 0.0)] if added else []
        curve.append((at, level, rate))
        for change in changes:
            at, level = change.at, level + rate * (change.at - at)
            rate = 0.0 if change.lost is not None else buckets(scenario.true(case.burst, change.limits))[number].rate
            curve.append((at, level, rate))
        curves.append(curve)
    return lowest(curves) if curves else None


def lowest(curves: list[list[Piece]]) -> list[Piece]:
    """The lowest of several at each time."""
    if len(curves) == 1:
        return curves[0]
    found: list[Piece] = []
    starts = sorted({piece[0] for curve in curves for piece in curve})
    for start, end in zip(starts, [*starts[1:], inf], strict=True):
        at = start
        lines = [line(curve, at) for curve in curves]
        while True:
            level, rate = min(lines)
            found.append((at, level, rate))
            gaps = [((high - level) / (rate - slow), (high, slow)) for high, slow in lines if slow < rate]
            soonest = min(gaps, default=(inf, (0.0, 0.0)))[0]
            if at + soonest >= end:
                break
            at += soonest
            lines = [(high + slope * soonest, slope) for high, slope in lines]
    return found


def line(curve: list[Piece], at: float) -> tuple[float, float]:
    """How much there is at a time, and how much more a second from then on."""
    start, level, rate = next(piece for piece in reversed(curve) if piece[0] <= at)
    return level + rate * (at - start), rate


@define
class Supply:
    """What all keys together have given of a quantity by a time."""

    pieces: list[Piece]

    @classmethod
    def of(cls, curves: list[list[Piece]]) -> Supply:
        """The sum of several."""
        starts = sorted({piece[0] for curve in curves for piece in curve})
        sums = [[line(curve, start) for curve in curves] for start in starts]
        return cls(
            [
                (start, sum(x[0] for x in parts), sum(x[1] for x in parts))
                for start, parts in zip(starts, sums, strict=True)
            ]
        )

    def when(self, amount: float) -> float:
        """The first time at which so much is there."""
        for place, (start, level, rate) in enumerate(self.pieces):
            if amount <= level:
                return start
            at = start + (amount - level) / rate if rate else inf
            if place + 1 == len(self.pieces) or at <= self.pieces[place + 1][0]:
                return at
        return inf


def supplies(case: Case) -> list[tuple[int, Supply]]:
    """For each quantity that has a limit (by number: requests, tokens, images) what there is of it."""
    keys = [*range(case.scenario.keys), *(change.added for change in case.scenario.changes if change.added is not None)]
    found: list[tuple[int, Supply]] = []
    for place in range(3):
        curves = [curve for key in keys if (curve := given(case, key, place)) is not None]
        if curves:
            found.append((place, Supply.of(curves)))
    return found


def optimum(case: Case, demands: list[Demand], draws: Draws) -> float:
    """Seconds that this case takes at least."""
    ways = Random(f"ways {case.seed}")
    delay = case.scenario.refusal_delay
    limited = [(place, supply, [0.0]) for place, supply in supplies(case)]
    line = [(0.0, job, 0) for job in range(len(demands))]
    heapify(line)
    slots = _slots(case)
    last = 0.0
    while line:
        ready, job, attempt = heappop(line)
        at = ready + ways.uniform(*WAY)
        demand = demands[job]
        needs = (demand.requests, demand.tokens, demand.images)
        draw = draws.of(job, attempt)
        early = bool(draw.fault) and not FAULTS[draw.fault].admitted
        for place, supply, taken in () if early else limited:
            taken[0] += needs[place]
            at = max(at, supply.when(taken[0]))
        if slots:
            at = max(at, heappop(slots) + ways.uniform(*WAY))
        quick = bool(draw.fault) and not FAULTS[draw.fault].slow
        over = at + (delay if quick else draw.latency) + ways.uniform(*WAY)
        if case.scenario.limits.concurrency is not None:
            heappush(slots, over)
        if draw.fault:
            heappush(line, (over, job, attempt + 1))
        else:
            last = max(last, over)
    return last


def _slots(case: Case) -> list[float]:
    """When each place of a concurrency limit is free: a client that keeps to it, and sends when a reply is back."""
    limit = case.scenario.limits.concurrency
    return [0.0] * (limit * case.scenario.keys) if limit is not None else []
