"""One credential at the simulated provider: its buckets, what executes, its credit."""

from __future__ import annotations

from attrs import define, field

from penstock.simulation._bucket import SLACK, Bucket, Headers, Refused, buckets
from penstock.simulation._settings import DAY, MINUTE, QUANTITIES, ServerLimits, ServerSettings
from penstock.work import Demand


@define
class Account:
    """A credential's standing. `credit` is picodollars left to spend (None: without end), `peak` its most in flight.

    `told` are the quantities that headers tell of, `days` whether of their day where they have a limit a day.
    """

    limits: ServerLimits
    at: float
    told: tuple[str, ...] = QUANTITIES
    days: bool = False
    buckets: list[Bucket] = field(factory=list[Bucket])
    minutes: list[Bucket] = field(factory=list[Bucket])
    telling: list[Bucket] = field(factory=list[Bucket])
    in_flight: int = 0
    peak: int = 0
    executed: int = 0
    billed: int = 0
    limited: bool = False
    revoked: bool = False
    credit: int | None = None
    owner: str = ""

    @classmethod
    def opened(cls, settings: ServerSettings, now: float, owner: str = "") -> Account:
        """A new account of an organization: every bucket full."""
        account = cls(settings.limits, now, settings.told, settings.day_headers, owner=owner)
        account.relimit(settings.limits, now)
        return account

    def relimit(self, limits: ServerLimits, now: float) -> None:
        """Put other limits into force: levels stay, as far as the new buckets hold them; a new bucket is full."""
        self.refill(now)
        before = {bucket.key: bucket.level for bucket in self.buckets}
        self.limits = limits
        self.buckets = buckets(limits)
        self.minutes = [bucket for bucket in self.buckets if bucket.window == MINUTE]
        daily = {bucket.place: bucket for bucket in self.buckets if self.days and bucket.window == DAY}
        places = {bucket.place for bucket in self.minutes} | set(daily)
        spoken = {bucket.place: bucket for bucket in self.minutes} | daily
        self.telling = [spoken[place] for place in sorted(places) if QUANTITIES[place] in self.told]
        self.limited = bool(self.buckets) or limits.concurrency is not None
        for bucket in self.buckets:
            bucket.level = min(bucket.capacity, before.get(bucket.key, bucket.capacity))

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
        """What is left of each limit a minute, in the order requests, tokens, images; quantities without left out."""
        return tuple([bucket.level for bucket in self.minutes]) if self.minutes else ()

    def headers(self) -> Headers:
        """The rate headers as of the last refill."""
        pairs: list[tuple[str, str]] = []
        for bucket in self.telling:
            pairs += bucket.pairs()
        return tuple(pairs)
