"""The values that a quota deals in: permits, its figures, and why a demand can never go."""

from __future__ import annotations

from math import inf

from attrs import define, frozen

from penstock.admission.bucket import Gauge, GaugeFigures, Mark
from penstock.admission.headers import RateReport
from penstock.config import Limits
from penstock.work import Demand

Three = tuple[float, float, float]
"""A figure a quantity, in the order of `QUANTITIES`."""


@frozen
class Never:
    """A demand that no waiting makes fit: `needed` of `quantity` where the bucket holds `limit` at most.

    `splits`: fewer samples a request would fit.
    """

    quantity: str
    limit: float
    needed: float
    splits: bool


@define(eq=False)
class Permit:
    """What one exchange has reserved. Opaque; `Quota.settle` ends it exactly once.

    The tuples hold a figure a quantity: what had ever been spent before it, SPREAD earlier still, and SPREAD later; the
    levels then; what had ever been given back. `out` is how many others were out then, `previous` when the one before
    it was sent.
    """

    order: int
    sent: float
    demand: Demand
    spent: Three
    opening: Three
    levels: list[float]
    returned: Three
    out: int = 0
    previous: float = -inf
    after: Three | None = None
    report: RateReport | None = None
    refused: bool = False
    ended: bool = False

    def beside(self, spent: float) -> int:
        """How many others were there at most when it arrived (`spent`: of so many requests by now)."""
        later = spent if self.after is None else self.after[0]
        return self.out + int(later - self.spent[0]) - self.demand.requests


@frozen
class WallFigures:
    """A further bucket of a quantity: its limit is of `window` seconds (86400.0: a day; 0.0: nobody declared it)."""

    quantity: str
    window: float
    gauge: GaugeFigures


@frozen
class QuotaFigures:
    """A quota as believed now. `concurrency` None is no limit; `blocked_until` None is not blocked.

    `concurrency_source` is "told", "learned", "ceiling" (configured, never exceeded) or "none", `concurrency_age` the
    seconds since.
    """

    requests: GaugeFigures
    tokens: GaugeFigures
    images: GaugeFigures
    in_flight: int
    concurrency: int | None
    blocked_until: float | None
    walls: tuple[WallFigures, ...] = ()
    concurrency_source: str = "none"
    concurrency_age: float | None = None


def needs(demand: Demand) -> tuple[int, int, int]:
    """What a demand takes, in the order of `QUANTITIES`."""
    return (demand.requests, demand.tokens, demand.images)


def perminute(limits: Limits) -> tuple[float | None, float | None, float | None]:
    """What is configured of a minute, in the order of `QUANTITIES`."""
    return (limits.rpm, limits.tpm, limits.ipm)


def perday(limits: Limits) -> tuple[float | None, float | None, float | None]:
    """What is configured of a day, in the order of `QUANTITIES`."""
    return (limits.rpd, limits.tpd, limits.ipd)


def mark_of(permit: Permit, index: int, gauge: Gauge, need: float) -> Mark:
    """How a gauge stood when a permit was given."""
    after = gauge.spent if permit.after is None else permit.after[index]
    return Mark(permit.sent, need, permit.levels[index], permit.spent[index], permit.opening[index], after,
                permit.returned[index])  # fmt: skip
