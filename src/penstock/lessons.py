"""What a quota was taught: figures with their sources and ages, to begin warm with next time. No names, no secrets."""

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
class Lessons:
    """All that a quota was taught. `concurrency` is how many exchanges at a time were found to be let in (None: none).

    `age` is how many seconds ago that was found.
    """

    buckets: tuple[Lesson, ...] = ()
    concurrency: int | None = None
    age: float = 0.0


NO_LESSONS = Lessons()
"""Nothing was taught yet."""
