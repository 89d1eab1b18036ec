"""The clairvoyant optimum of a run: nobody who knows all limits, latencies and faults beforehand is sooner.

`OPT = max_i (a_i + latency_i + down_i)`, first come first served, where `a_i` is the first `t >= ready_i + up_i` with
`sum_k avail_k(t) >= W_i` for every quantity; `avail_k` is what key k has given by then if nothing of it is lost: what
it holds in the beginning and all its refill. `W_i` is the cost admitted up to i; what fails is in line again when its
reply is back. It is fluid over keys, so a little too good where demands are lumpy.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from math import inf
from random import Random

from attrs import define, frozen

from benchmarks._limits_cases import LATENCY, WAY, Case
from penstock.simulation.server import ServerLimits
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


@define
class Supply:
    """What all keys together have given of a quantity by a time: pieces of (from when, how much then, rate since)."""

    pieces: list[tuple[float, float, float]]

    def when(self, amount: float) -> float:
        """The first time at which so much is there."""
        for place, (start, level, rate) in enumerate(self.pieces):
            if amount <= level:
                return start
            at = start + (amount - level) / rate if rate else inf
            if place + 1 == len(self.pieces) or at <= self.pieces[place + 1][0]:
                return at
        return inf


def supplies(case: Case) -> list[tuple[Callable[[Demand], int], Supply]]:
    """For each quantity that has a limit: what a demand takes of it, and what there is."""
    scenario = case.scenario
    first = scenario.true(case.burst)
    found: list[tuple[Callable[[Demand], int], Supply]] = []
    for pick, need in _QUANTITIES:
        if pick(first) is not None:
            found.append((need, _supply(case, pick)))
    return found


def _supply(case: Case, pick: Callable[[ServerLimits], float | None]) -> Supply:
    scenario = case.scenario
    now = scenario.true(case.burst)

    def holds() -> float:
        return max(1.0, (pick(now) or 0.0) * now.burst)

    keys = scenario.keys
    level = holds() * keys
    rate = keys * (pick(now) or 0.0) / 60.0
    pieces = [(0.0, level, rate)]
    at = 0.0
    for change in scenario.changes:
        level += rate * (change.at - at)
        at = change.at
        if change.limits is not None:
            now = scenario.true(case.burst, change.limits)
        if change.lost is not None:
            keys -= 1
        if change.added is not None:
            keys += 1
            level += holds()
        rate = keys * (pick(now) or 0.0) / 60.0
        pieces.append((at, level, rate))
    return Supply(pieces)


def _rpm(limits: ServerLimits) -> float | None:
    return limits.rpm


def _tpm(limits: ServerLimits) -> float | None:
    return limits.tpm


def _ipm(limits: ServerLimits) -> float | None:
    return limits.ipm


_QUANTITIES: tuple[tuple[Callable[[ServerLimits], float | None], Callable[[Demand], int]], ...] = (
    (_rpm, lambda demand: demand.requests),
    (_tpm, lambda demand: demand.tokens),
    (_ipm, lambda demand: demand.images),
)


def optimum(case: Case, demands: list[Demand]) -> float:
    """Seconds that this case takes at least."""
    draws = Draws(case)
    ways = Random(f"ways {case.seed}")
    delay = case.scenario.refusal_delay
    given = [(need, supply, [0.0]) for need, supply in supplies(case)]
    line = [(0.0, job, 0) for job in range(len(demands))]
    heapify(line)
    slots = _slots(case)
    last = 0.0
    while line:
        ready, job, attempt = heappop(line)
        at = ready + ways.uniform(*WAY)
        for need, supply, taken in given:
            taken[0] += need(demands[job])
            at = max(at, supply.when(taken[0]))
        if slots:
            at = max(at, heappop(slots) + ways.uniform(*WAY))
        draw = draws.of(job, attempt)
        over = at + (delay if draw.fault == "500" else draw.latency) + ways.uniform(*WAY)
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
