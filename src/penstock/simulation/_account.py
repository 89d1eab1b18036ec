"""One credential at the simulated provider: continuous token buckets, concurrency, and how its levels are told.

A bucket refills at limit/60 a second up to limit x burst. That captured headers fit this exactly, their names and their
formats are facts of `x-ratelimit-*` captures (reset is the time to *full*; 500 a minute with 1 used is `120ms`).
"""

from __future__ import annotations

import math

from attrs import define, field, frozen

from penstock.readings import LimitHint, Problem
from penstock.simulation._settings import ServerLimits
from penstock.work import Demand

SLACK = 1e-6
"""What a level may lack: who comes back after exactly the wait he was told is not refused for a rounding error."""

ORGANIZATION = "org-simulated"

_KINDS = (
    ("requests", "requests", "requests per min (RPM)"),
    ("tokens", "tokens", "tokens per min (TPM)"),
    ("images", "input-images", "input-images per min"),
)

Headers = tuple[tuple[str, str], ...]


def duration(ms: int) -> str:
    """Milliseconds as Go writes them: "0s", "12ms", "58.891s", "6m0s"."""
    if ms < 1000:
        return f"{ms}ms" if ms > 0 else "0s"
    if ms < 60_000:
        return f"{ms / 1000:g}s" if ms % 1000 else f"{ms // 1000}s"
    minutes, rest = divmod(ms, 60_000)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest / 1000:g}s"
    return f"{hours}h{minutes}m{seconds}" if hours else f"{minutes}m{seconds}"


@frozen
class Refused:
    """Why a demand does not go: which quantity, the seconds until it would, and the limit in the provider's words."""

    quantity: str
    wait: float
    limit: float
    used: float
    requested: float

    @property
    def ms(self) -> int:
        """The wait in whole milliseconds, rounded up."""
        return max(1, math.ceil(self.wait * 1000 - SLACK))

    def headers(self) -> Headers:
        """`retry-after` (whole seconds, at least 1) and `retry-after-ms`."""
        return ("retry-after", str(max(1, math.ceil(self.ms / 1000)))), ("retry-after-ms", str(self.ms))

    def problem(self, model: str, *, hint: bool, named: bool = True) -> Problem:
        """The 429 in the provider's words; with `named` it says which limit it is about."""
        kind, where = _NAMES[self.quantity]
        again = f" Please try again in {duration(self.ms)}." if hint else ""
        if not named:
            return Problem(
                code="rate_limit_exceeded",
                type="rate_limit_error",
                message=f"Too many requests.{again}",
                hint=self.ms / 1000 if hint else None,
            )
        return Problem(
            code="rate_limit_exceeded",
            type=kind,
            message=(
                f"Rate limit reached for {model} in organization {ORGANIZATION} on {where}: Limit {self.limit:.0f}, "
                f"Used {self.used:.0f}, Requested {self.requested:.0f}.{again} "
                "Visit https://platform.openai.com/account/rate-limits to learn more."
            ),
            hint=self.ms / 1000 if hint else None,
            limit=LimitHint(self.quantity, round(self.limit), round(self.used), round(self.requested)),
        )


_NAMES = {quantity: (kind, where) for quantity, kind, where in _KINDS} | {
    "concurrency": ("concurrent_requests", "concurrent requests")
}


class Bucket:
    """One quantity's continuous bucket."""

    __slots__ = ("capacity", "level", "limit", "place", "quantity", "rate", "remaining", "reset", "told")

    def __init__(self, place: int, limit: float, burst: float) -> None:
        self.place = place
        self.quantity, kind, _ = _KINDS[place]
        self.limit = limit
        self.rate = limit / 60.0
        # A bucket that cannot hold one request would refuse for ever: a short burst still lets one through.
        self.capacity = limit * burst if place == 1 else max(1.0, limit * burst)
        self.level = self.capacity
        self.told = (f"x-ratelimit-limit-{kind}", f"{limit:.0f}")
        self.remaining = f"x-ratelimit-remaining-{kind}"
        self.reset = f"x-ratelimit-reset-{kind}"

    def refusal(self, need: float) -> Refused:
        """Why `need` does not go now. One that never goes is told the most that a single request may take."""
        limit = self.limit if need <= self.capacity else min(self.limit, self.capacity)
        used = max(0.0, limit - math.floor(self.level))
        return Refused(self.quantity, (need - self.level) / self.rate, limit, used, need)


@define
class Account:
    """A credential's standing. `credit` is picodollars left to spend (None: without end), `peak` its most in flight."""

    limits: ServerLimits
    at: float
    buckets: list[Bucket] = field(factory=list[Bucket])
    in_flight: int = 0
    peak: int = 0
    executed: int = 0
    billed: int = 0
    limited: bool = False
    revoked: bool = False
    credit: int | None = None

    @classmethod
    def opened(cls, limits: ServerLimits, now: float) -> Account:
        """A new account: every bucket full."""
        account = cls(limits, now)
        account.relimit(limits, now)
        return account

    def relimit(self, limits: ServerLimits, now: float) -> None:
        """Put other limits into force: levels stay, as far as the new buckets hold them; a new bucket is full."""
        self.refill(now)
        before = {bucket.place: bucket.level for bucket in self.buckets}
        self.limits = limits
        figures = (limits.rpm, limits.tpm, limits.ipm)
        self.buckets = [Bucket(place, limit, limits.burst) for place, limit in enumerate(figures) if limit is not None]
        self.limited = bool(self.buckets) or limits.concurrency is not None
        for bucket in self.buckets:
            bucket.level = min(bucket.capacity, before.get(bucket.place, bucket.capacity))

    def refill(self, now: float) -> None:
        """Let the buckets fill up to `now`."""
        elapsed = now - self.at
        if elapsed > 0.0:
            self.at = now
            for bucket in self.buckets:
                level = bucket.level + elapsed * bucket.rate
                bucket.level = level if level < bucket.capacity else bucket.capacity

    def take(self, demand: Demand, now: float, *, charged: bool) -> Refused | None:
        """Take `demand` from all quantities together, or from none and say why not (`charged`: it costs quota)."""
        self.refill(now)
        needs = (demand.requests, demand.tokens, demand.images)
        refused: Refused | None = None
        for bucket in self.buckets:
            need = needs[bucket.place]
            if bucket.level + SLACK < need:
                found = bucket.refusal(need)
                if refused is None or found.wait > refused.wait:
                    refused = found
        limit = self.limits.concurrency
        if refused is None and limit is not None and self.in_flight >= limit:
            return Refused("concurrency", 1.0, limit, self.in_flight, 1)
        if refused is None or charged:
            for bucket in self.buckets:
                level = bucket.level - needs[bucket.place]
                bucket.level = level if level > -bucket.capacity else -bucket.capacity
        return refused

    def levels(self) -> tuple[float, ...]:
        """What is left in each bucket, in the order requests, tokens, images; quantities without limit left out."""
        return tuple([bucket.level for bucket in self.buckets]) if self.buckets else ()

    def headers(self) -> Headers:
        """The rate headers as of the last refill."""
        pairs: list[tuple[str, str]] = []
        for bucket in self.buckets:
            left = int(bucket.level + SLACK)
            pairs.append(bucket.told)
            pairs.append((bucket.remaining, str(left) if left > 0 else "0"))
            pairs.append((bucket.reset, duration(int((bucket.capacity - bucket.level) / bucket.rate * 1000.0 + SLACK))))
        return tuple(pairs)
