"""Limits of another make: a bucket that refills, or a window that slides."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class Rate:
    """A bucket of `burst` that refills with `minute` a minute."""

    minute: float
    burst: float


@dataclass(frozen=True)
class Window:
    """At most `count` within any `seconds`."""

    count: int
    seconds: float


class Turnstile:
    """Counts what passes under one limit; None lets all pass. `now` is monotonic seconds."""

    def __init__(self, limit: Rate | Window | None) -> None:
        self.limit = limit
        self._level = limit.burst if isinstance(limit, Rate) else 0.0
        self._seen = 0.0
        self._passed: deque[tuple[float, int]] = deque()

    def wait(self, now: float, amount: int) -> float:
        """Seconds until the amount may pass; 0 for now, at least a second for what never may."""
        limit = self.limit
        if limit is None:
            return 0.0
        if isinstance(limit, Rate):
            self._refill(limit, now)
            return max(0.0, amount - self._level) * 60 / limit.minute
        while self._passed and self._passed[0][0] <= now - limit.seconds:
            self._passed.popleft()
        spare = limit.count - sum(count for _, count in self._passed)
        for moment, count in self._passed:
            if amount <= spare:
                break
            spare += count
            last = moment + limit.seconds - now
            if amount <= spare:
                return last
        return 0.0 if amount <= spare else 1.0

    def take(self, now: float, amount: int) -> None:
        """Let the amount pass."""
        if isinstance(self.limit, Window):
            self._passed.append((now, amount))
        self._level -= amount

    def headers(self, now: float) -> dict[str, str]:
        """What OpenAI would say in headers, by part of the name; nothing for a window, which it does not have."""
        limit = self.limit
        if not isinstance(limit, Rate):
            return {}
        self._refill(limit, now)
        reset = (limit.burst - self._level) * 60 / limit.minute
        return {
            "limit": str(int(limit.minute)),
            "remaining": str(int(max(0.0, self._level))),
            "reset": f"{reset * 1000:.0f}ms" if reset < 1 else f"{reset:.3f}s",
        }

    def _refill(self, limit: Rate, now: float) -> None:
        self._level = min(limit.burst, self._level + (now - self._seen) * limit.minute / 60)
        self._seen = now
