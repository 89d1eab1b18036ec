"""How often what may have been billed may be tried again: one allowance for retries and hedges of all jobs.

It is a share of what was sent, so that a bad day, on which every attempt ends in doubt, is a little dearer and not many
times as dear (the retry quota of botocore is of this kind). It counts tries, and what they may cost at most.

A window (a service has no end) is kept in slots. What was sent counts once its slot lies whole in the window, what was
taken until its slot has left it whole: at the edges the allowance is rather too small than too large.
"""

from __future__ import annotations

from collections import deque
from math import inf

from attrs import define, frozen

from penstock.config import Ambiguity, Used
from penstock.work import OnAmbiguous

_EARLIER = -1e300
"""Before any time: a figure, because infinities take no part in sums."""

SLOTS = 60
"""In how many parts a window is kept."""


@frozen
class AllowanceFigures:
    """Attempts of the window, how many of them were tries in spite of a doubt, and how many may be under AUTO.

    `quoted` and `bounds` are what the attempts and the tries cost at most, in picodollars, as far as that is known.
    """

    attempts: int
    taken: int
    most: int
    quoted: int = 0
    bounds: int = 0


@define(eq=False)
class _Slot:
    since: float
    attempts: int = 0
    taken: int = 0
    quoted: int = 0
    bounds: int = 0


class Allowance:
    """Under AUTO one more try is allowed while there are at most `floor`, or `share` of all attempts, with it.

    Above `floor` its bound counts, too: all bounds together stay within `share` of what the attempts were quoted, or
    within `floor` times its own. What has no known price is only counted. RETRY is always allowed and takes its part,
    SKIP and ASK never. A hedge is no answer to a doubt: for it RETRY is as AUTO.

    Times are absolute monotonic seconds that do not go back.
    """

    __slots__ = ("_ambiguity", "_slots", "_width")

    def __init__(self, ambiguity: Ambiguity) -> None:
        before: Used = ambiguity.before
        first = _Slot(_EARLIER, before.attempts, before.tries, before.quoted, before.bounds)
        self._slots: deque[_Slot] = deque([first])
        self.reconfigure(ambiguity)

    def attempted(self, quote: int | None, now: float) -> None:
        """One more attempt was sent, for at most `quote` picodollars (None: unknown)."""
        slot = self._slot(now)
        slot.attempts += 1
        slot.quoted += quote or 0

    def allows(self, mode: OnAmbiguous, bound: int | None, now: float) -> bool:
        """Whether one more, for at most `bound`, may be taken by a call of this mode."""
        if mode is OnAmbiguous.RETRY:
            return True
        return mode is OnAmbiguous.AUTO and self._room(bound, now)

    def hedges(self, mode: OnAmbiguous, bound: int | None, now: float) -> bool:
        """Whether a second attempt beside a slow one may be taken by a call of this mode."""
        return mode in (OnAmbiguous.AUTO, OnAmbiguous.RETRY) and self._room(bound, now)

    def take(self, bound: int | None, now: float) -> None:
        """One was used. Whoever takes has asked first."""
        slot = self._slot(now)
        slot.taken += 1
        slot.bounds += bound or 0

    def reconfigure(self, ambiguity: Ambiguity) -> None:
        """Go by other figures from now on; what was taken stays taken."""
        self._ambiguity = ambiguity
        self._width = inf if ambiguity.window is None else ambiguity.window / SLOTS

    def figures(self, now: float) -> AllowanceFigures:
        """What has been used, as it counts at `now`."""
        ambiguity = self._ambiguity
        start = -inf if ambiguity.window is None else now - ambiguity.window
        attempts = taken = quoted = bounds = 0
        for slot in self._slots:
            if slot.since >= start:
                attempts += slot.attempts
                quoted += slot.quoted
            if slot.since + self._width > start:
                taken += slot.taken
                bounds += slot.bounds
        most = max(ambiguity.floor, int(ambiguity.share * attempts))
        return AllowanceFigures(attempts, taken, most, quoted, bounds)

    def _room(self, bound: int | None, now: float) -> bool:
        ambiguity, used = self._ambiguity, self.figures(now)
        if used.taken + 1 <= ambiguity.floor:
            return True
        if used.taken + 1 > ambiguity.share * used.attempts:
            return False
        if bound is None:
            return True
        return used.bounds + bound <= max(ambiguity.share * used.quoted, ambiguity.floor * bound)

    def _slot(self, now: float) -> _Slot:
        slot = self._slots[-1]
        if now < slot.since + self._width:
            return slot
        slot = _Slot(now)
        self._slots.append(slot)
        start = -inf if self._ambiguity.window is None else now - self._ambiguity.window
        while self._slots[0].since + self._width <= start:
            self._slots.popleft()
        return slot
