"""Further buckets of a quantity beside that of a minute: of a day, of a second, or of a length that nobody declared.

Most quotas have none of them, and then they cost nothing. They count what the bucket of a minute counts.
"""

from __future__ import annotations

from math import inf, isclose

from attrs import evolve

from penstock.admission.bucket import Gauge, Mark
from penstock.admission.headers import QUANTITIES, Told
from penstock.admission.learning import LAST_TAU, Learner
from penstock.admission.permits import Permit, WallFigures, mark_of, needs

LONGER = 3_600.0
"""Seconds of a window that a reply may mean without naming it."""

_EAGER = 0.2
"""How much sooner than usual a higher rate is tried where the one that is believed is little more than a guess."""

HIDDEN = 0.0
"""The window of a wall that nobody declared."""


class Walls:
    """The further buckets of a quota, by index of the quantity and window in seconds."""

    __slots__ = ("known",)

    def __init__(self) -> None:
        self.known: list[tuple[int, Gauge]] = []

    def find(self, index: int, window: float) -> Gauge | None:
        """The bucket of a quantity and window; None where none is known."""
        return next((gauge for place, gauge in self.known if place == index and gauge.window == window), None)

    def open(self, index: int, window: float, main: Gauge, now: float) -> Gauge:
        """The bucket of a quantity and window, made where none is known; `main` is the one of a minute."""
        gauge = self.find(index, window)
        if gauge is None:
            gauge = Gauge(now, spent=main.spent, returned=main.returned, window=window)
            self.known.append((index, gauge))
        return gauge

    def carry(self, index: int, window: float, amount: float, now: float) -> None:
        """Earlier runs used so much of a bucket that is not there yet again; of one that is not known, nothing."""
        gauge = self.find(index, window)
        if gauge is not None and gauge.rate and amount > 0.0:
            # more than it holds was used where several ran at once: nothing goes before that is back, a day at most
            gauge.level, gauge.at = gauge.capacity - min(amount, 2.0 * gauge.capacity), now

    def draw(self, index: int, window: float, amount: float, now: float) -> None:
        """Others used so much more of a bucket meanwhile; one whose provider tells what remains has them in it."""
        gauge = self.find(index, window)
        if gauge is not None and gauge.rate and gauge.source != "told":
            gauge.refill(now)
            gauge.level = max(gauge.level - amount, min(gauge.level, -gauge.capacity))

    def meant(self, index: int, told: Told, main: Gauge) -> Gauge | None:
        """The longer bucket that a reply means which names no window; None: `main`, the one of a minute.

        Its limit gives it away, where nobody ever told `main` of this one.
        """
        limit = told.limit
        if not limit or (main.limit is not None and isclose(main.limit, limit)):
            return None
        for place, gauge in self.known:
            long = place == index and gauge.window >= LONGER and gauge.limit is not None
            if long and isclose((gauge.limit or 0.0) * gauge.window / 60.0, limit):
                return gauge
        return None

    def hidden(self) -> bool:
        """Whether a refusal showed a wall that nobody declared."""
        return any(gauge.window == HIDDEN for _, gauge in self.known)

    def ready(self, needed: tuple[int, int, int], time: float) -> float:
        """When so much may go, at or after `time`."""
        for index, gauge in self.known:
            need = needed[index]
            if need and (ready := gauge.ready(need)) > time:
                time = ready
        return time

    def longest(self, needed: tuple[int, int, int]) -> tuple[float, str]:
        """When so much may go, and the quantity that is waited for."""
        ready = [(gauge.ready(needed[index]), QUANTITIES[index]) for index, gauge in self.known if needed[index]]
        return max(ready, default=(-inf, ""))

    def met(self, index: int, main: Gauge, permit: Permit, wait: float | None, now: float) -> None:
        """A request was refused although headers tell of enough: a wall of the same rate that nobody declared."""
        wall, need = self.find(index, HIDDEN), needs(permit.demand)[index]
        if wall is None:
            wall = self.open(index, HIDDEN, main, now)
            wall.pace(main.rate, now)
        left = (need - 1.0) / 2.0 if wait is None else need - wall.rate * wait
        wall.refill(now)
        wall.shrink(wall.level + wall.spent - permit.spent[index] - wall.rate * (now - permit.sent) - left, need, now)
        wall.refused(left, mark_of(permit, index, wall, need), now, charges=True)

    def never(self, needed: tuple[int, int, int]) -> tuple[int, float] | None:
        """The quantity of which more is needed than a bucket can ever hold, and how much that is."""
        for index, gauge in self.known:
            if needed[index] > gauge.bound + 1e-9:
                return index, gauge.bound
        return None

    def give(self, index: int, amount: float, mark: Mark, now: float) -> None:
        """So much comes back. How full a wall was when it was sent is not kept: nothing is held to have run over."""
        for place, gauge in self.known:
            if place == index:
                gauge.give(amount, evolve(mark, level=-inf), now)

    def figures(self, now: float) -> tuple[WallFigures, ...]:
        """All of them as believed now."""
        return tuple(WallFigures(QUANTITIES[index], gauge.window, gauge.figures(now)) for index, gauge in self.known)


def patience(gauge: Gauge, learner: Learner, gauges: tuple[Gauge, ...], told: list[bool]) -> float:
    """Seconds until a higher rate is tried of a bucket that is learned; of `told` ones headers tell."""
    state = learner.state
    if not learner.sure:
        # while the bounds say little, finding out more is no probe
        return state.tau * (_EAGER if gauge.source == "learned" else 1.0)
    rates = [one.rate * gauge.unit / one.unit for one, known in zip(gauges, told, strict=True) if known]
    # it lets in as many as one that is told: a wall of the same limit most likely, which is not raised but with it
    return LAST_TAU if any(state.low <= rate <= state.high for rate in rates) else state.tau
