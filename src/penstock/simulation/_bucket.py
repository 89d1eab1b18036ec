"""A continuous bucket of the simulated provider, and what it says of itself in headers and in refusals.

A bucket of a minute refills at limit/60 a second up to limit x burst. That captured headers fit this exactly, their
names and their formats are facts of `x-ratelimit-*` captures (reset is the time to *full*; 500 a minute with 1 used is
`120ms`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from attrs import frozen

from penstock.readings import LimitHint, Problem
from penstock.simulation._settings import DAY, MINUTE, QUANTITIES

if TYPE_CHECKING:
    from penstock.simulation._settings import ServerLimits

SLACK = 1e-6
"""What a level may lack: who comes back after exactly the wait he was told is not refused for a rounding error."""

ORGANIZATION = "org-simulated"

_HEADERS = {"requests": "requests", "tokens": "tokens", "images": "input-images"}
"""How headers and the type of an error name a quantity."""

_LETTERS = {"requests": "R", "tokens": "T"}

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
    """Why a demand does not go: which quantity, the seconds until it would, and the limit in the provider's words.

    `window` is the seconds that the limit applies to; None is a wall, which is never named.
    """

    quantity: str
    wait: float
    limit: float
    used: float
    requested: float
    window: float | None = MINUTE

    @property
    def ms(self) -> int:
        """The wait in whole milliseconds, rounded up."""
        return max(1, math.ceil(self.wait * 1000 - SLACK))

    def headers(self) -> Headers:
        """`retry-after` (whole seconds, at least 1) and `retry-after-ms`."""
        return ("retry-after", str(max(1, math.ceil(self.ms / 1000)))), ("retry-after-ms", str(self.ms))

    def problem(self, model: str, *, hint: bool, named: bool = True, owner: str = ORGANIZATION) -> Problem:
        """The 429 in the provider's words; with `named` it says which limit it is about, and whose that is."""
        again = f" Please try again in {duration(self.ms)}." if hint else ""
        told = self.ms / 1000 if hint else None
        if not named or self.window is None:
            return Problem("rate_limit_exceeded", "rate_limit_error", f"Too many requests.{again}", told)
        return Problem(
            code="rate_limit_exceeded",
            type=_HEADERS.get(self.quantity, "concurrent_requests"),
            message=(
                f"Rate limit reached for {model} in organization {owner} on {self._where(self.window)}: "
                f"Limit {self.limit:.0f}, Used {self.used:.0f}, Requested {self.requested:.0f}.{again} "
                "Visit https://platform.openai.com/account/rate-limits to learn more."
            ),
            hint=told,
            limit=LimitHint(
                self.quantity, round(self.limit), round(self.used), round(self.requested), self.window, owner
            ),
        )

    def _where(self, window: float) -> str:
        if self.quantity not in _HEADERS:
            return "concurrent requests"
        every, letter = ("day", "D") if window == DAY else ("min", "M")
        initial = _LETTERS.get(self.quantity)
        return f"{_HEADERS[self.quantity]} per {every}" + ("" if initial is None else f" ({initial}P{letter})")


class Bucket:
    """One limit on one quantity. `window` None is a wall that nobody tells of; `place` is the quantity's number."""

    __slots__ = (
        "capacity",
        "key",
        "level",
        "limit",
        "place",
        "quantity",
        "rate",
        "remaining",
        "reset",
        "told",
        "window",
    )

    def __init__(self, place: int, limit: float, seconds: float, capacity: float, window: float | None) -> None:
        self.place = place
        self.quantity = QUANTITIES[place]
        self.limit = limit
        self.rate = limit / seconds
        # A bucket that cannot hold one request would refuse for ever: a short burst still lets one through.
        self.capacity = capacity if place == 1 else max(1.0, capacity)
        self.level = self.capacity
        self.window = window
        self.key = (place, seconds, window is None)
        kind = _HEADERS[self.quantity]
        self.told = (f"x-ratelimit-limit-{kind}", f"{limit:.0f}")
        self.remaining = f"x-ratelimit-remaining-{kind}"
        self.reset = f"x-ratelimit-reset-{kind}"

    def refusal(self, need: float) -> Refused:
        """Why `need` does not go now. One that never goes is told the most that a single request may take."""
        limit = self.limit if need <= self.capacity else min(self.limit, self.capacity)
        used = max(0.0, limit - math.floor(self.level))
        return Refused(self.quantity, (need - self.level) / self.rate, limit, used, need, self.window)

    def pairs(self) -> Headers:
        """Limit, remaining and reset as headers."""
        left = int(self.level + SLACK)
        full = int((self.capacity - self.level) / self.rate * 1000.0 + SLACK)
        return self.told, (self.remaining, str(left) if left > 0 else "0"), (self.reset, duration(full))


def buckets(limits: ServerLimits) -> list[Bucket]:
    """The buckets of a credential, full: those of minutes in the order of quantities, those of days, the walls."""
    minutes = enumerate((limits.rpm, limits.tpm, limits.ipm))
    days = enumerate((limits.rpd, limits.tpd, limits.ipd))
    return [
        *(Bucket(place, figure, MINUTE, figure * limits.burst, MINUTE) for place, figure in minutes if figure),
        *(Bucket(place, figure, DAY, figure * limits.day_burst, DAY) for place, figure in days if figure),
        *(
            Bucket(QUANTITIES.index(wall.quantity), wall.amount, wall.seconds, wall.amount, None)
            for wall in limits.walls
        ),
    ]
