"""What a quota hands on to the next run, and what it makes of what an earlier one handed on.

What was told or learned of limits is believed again for a day; what the provider says counts before it. What was used
of a day (or an hour) stays used, whoever said its limit: the bucket goes on where the last run left it.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from penstock.admission.headers import DAY, QUANTITIES
from penstock.lessons import Lesson, Lessons, Use

if TYPE_CHECKING:
    from penstock.admission.adaptive import Slots
    from penstock.admission.bucket import Gauge
    from penstock.admission.marks import GaugeFigures
    from penstock.admission.walls import Walls

KEPT = DAY
"""Seconds for which what was taught is believed by later runs."""

LONG = 3_600.0
"""Seconds of a window from which on what was used is handed on: what a minute holds is back before anybody asks."""


def taught(gauges: tuple[Gauge, ...], walls: Walls, slots: Slots, began: float, now: float) -> Lessons:
    """What the provider and its refusals taught a quota that `began` then until now, to begin warm with next time."""
    buckets = [
        Lesson(quantity, figures.per_minute, _holds(figures), 60.0, figures.source, figures.age or 0.0)
        for quantity, gauge in zip(QUANTITIES, gauges, strict=True)
        if (figures := gauge.figures(now)).source in {"told", "learned"} and figures.per_minute is not None
    ]
    buckets += [
        Lesson(wall.quantity, wall.gauge.per_minute, wall.gauge.capacity, wall.window, wall.gauge.source,
               wall.gauge.age or 0.0)
        for wall in walls.figures(now)
        if wall.gauge.source in {"told", "learned"} and wall.gauge.per_minute is not None
    ]  # fmt: skip
    used = tuple(_used(index, gauge, began, now) for index, gauge in walls.known if gauge.window >= LONG and gauge.rate)
    found = slots.found
    if found == inf:
        return Lessons(tuple(buckets), used=used)
    return Lessons(tuple(buckets), int(found), now - slots.since, used)


def _holds(figures: GaugeFigures) -> float | None:
    """What a bucket of a minute holds; None where that is a guess: of what refusals taught, all from a minute's on."""
    guessed = figures.source == "learned" and figures.capacity >= (figures.per_minute or 0.0)
    return None if guessed else figures.capacity


def _used(index: int, gauge: Gauge, began: float, now: float) -> Use:
    """What of a bucket is gone now. A level as of a moment ahead counts as it is: the careful figure."""
    figures = gauge.figures(now)
    rate, missing = figures.per_minute or 0.0, max(0.0, figures.capacity - figures.level)
    spent = gauge.spent - gauge.returned
    return Use(QUANTITIES[index], gauge.window, missing, rate, spent, figures.source == "told", began=began)


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
        if lesson.window >= LONG:
            gauge.level = gauge.capacity  # what was used of it is said below, and of a sibling's nothing was
    for use in prior.used:
        if use.quantity in QUANTITIES and use.age < KEPT and use.window >= LONG:
            walls.carry(QUANTITIES.index(use.quantity), use.window, use.later(use.age), now)
    if prior.concurrency is not None and prior.age <= KEPT:
        slots.found = slots.first = max(1, prior.concurrency)
        slots.since = now - prior.age
