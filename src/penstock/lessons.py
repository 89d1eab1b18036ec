"""What a quota was taught: figures with their sources and ages, to begin warm with next time. No names, no secrets.

A day is a bucket that refills in 24 hours, and all runs draw on one: it is not counted anew by each, nor from midnight
on, as nobody says whose midnight that would be. What a provider says of its own counts before it.
"""

from __future__ import annotations

from attrs import frozen


@frozen
class Lesson:
    """A bucket as it was believed: `per_minute` its rate, `capacity` what it holds (None: unknown), in its unit.

    `quantity` is "requests", "tokens" or "images", `window` the seconds that its limit is of (86400.0: a day; 0.0: a
    wall that nobody declared). `source` is "told" or "learned", `age` the seconds since.
    """

    quantity: str
    per_minute: float
    capacity: float | None = None
    window: float = 60.0
    source: str = "learned"
    age: float = 0.0


@frozen
class Use:
    """What of a long bucket was gone, `age` seconds ago: `amount` of `quantity`, which refills at `per_minute`.

    `window` is the seconds that its limit is of (86400.0: a day). `spent` is what this run alone has taken since its
    quota began, at `began` (monotonic seconds), refilled or not: one that is made anew counts anew. `told`: a provider
    said how much remained, so that others of the same key are in it.
    """

    quantity: str
    window: float
    amount: float
    per_minute: float
    spent: float = 0.0
    told: bool = False
    age: float = 0.0
    began: float = 0.0

    def later(self, seconds: float) -> float:
        """How much of it is still gone so many seconds after it was seen."""
        return max(0.0, self.amount - self.per_minute / 60.0 * max(0.0, seconds))


@frozen
class Lessons:
    """All that a quota was taught. `concurrency` is how many exchanges at a time were found to be let in (None: none).

    `age` is how many seconds ago that was found. `used` is what of its hours and days was gone (also 0.0).
    """

    buckets: tuple[Lesson, ...] = ()
    concurrency: int | None = None
    age: float = 0.0
    used: tuple[Use, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing was taught."""
        return not self.buckets and self.concurrency is None and not self.used


NO_LESSONS = Lessons()
"""Nothing was taught yet."""
