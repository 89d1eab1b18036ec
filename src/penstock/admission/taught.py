"""What a quota hands on to the next run, and what it makes of what an earlier one handed on.

What was told or learned of limits is believed again for a day; what the provider says counts before it.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from penstock.admission.headers import DAY, QUANTITIES
from penstock.lessons import Lesson, Lessons

if TYPE_CHECKING:
    from penstock.admission.adaptive import Slots
    from penstock.admission.bucket import Gauge
    from penstock.admission.walls import Walls

KEPT = DAY
"""Seconds for which what was taught is believed by later runs."""


def taught(gauges: tuple[Gauge, ...], walls: Walls, slots: Slots, now: float) -> Lessons:
    """What the provider and its refusals taught until now, to begin warm with next time."""
    buckets = [
        Lesson(quantity, figures.per_minute, figures.capacity, 60.0, figures.source, figures.age or 0.0)
        for quantity, gauge in zip(QUANTITIES, gauges, strict=True)
        if (figures := gauge.figures(now)).source in {"told", "learned"} and figures.per_minute is not None
    ]
    buckets += [
        Lesson(wall.quantity, wall.gauge.per_minute, wall.gauge.capacity, wall.window, wall.gauge.source,
               wall.gauge.age or 0.0)
        for wall in walls.figures(now)
        if wall.gauge.source in {"told", "learned"} and wall.gauge.per_minute is not None
    ]  # fmt: skip
    found = slots.found
    return Lessons(tuple(buckets)) if found == inf else Lessons(tuple(buckets), int(found), now - slots.since)


def recall(prior: Lessons, gauges: tuple[Gauge, ...], walls: Walls, slots: Slots, now: float) -> None:
    """Believe what an earlier run was taught. Buckets may have been used up then, and have refilled since."""
    for lesson in prior.buckets:
        if lesson.age > KEPT or lesson.quantity not in QUANTITIES or not 0.0 < lesson.per_minute < inf:
            continue
        index = QUANTITIES.index(lesson.quantity)
        gauge = gauges[index]
        if lesson.window != gauge.window:
            gauge = walls.open(index, lesson.window, gauge, now)
        gauge.recall(lesson.per_minute, lesson.capacity, now - lesson.age, now)
    if prior.concurrency is not None and prior.age <= KEPT:
        slots.found = slots.first = max(1, prior.concurrency)
        slots.since = now - prior.age
