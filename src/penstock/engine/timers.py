"""One store of deadlines, with lazy deletion: the next one tells the driver when to come back."""

from __future__ import annotations

from enum import Enum
from heapq import heapify, heappop, heappush


class Alarm(Enum):
    """What a timer is for."""

    DEADLINE = "deadline"
    READ = "store"
    QUESTION = "hook"
    CLAIM = "claim"
    GATHER = "gather"
    RETRY = "retry"
    HEDGE = "hedge"
    TOTAL = "time-out"
    WAKE = "quota"
    REFETCH = "download"


class Timer:
    """An armed timer; `owner` None once it is cancelled or has gone off."""

    __slots__ = ("alarm", "at", "owner")

    def __init__(self, at: float, alarm: Alarm, owner: object) -> None:
        self.at = at
        self.alarm = alarm
        self.owner: object | None = owner


class Timers:
    """Deadlines in absolute monotonic seconds. `arm` and `due` are O(log n), `cancel` O(1) amortised."""

    __slots__ = ("_heap", "_sequence", "live")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._sequence = 0
        self.live = 0

    def arm(self, at: float, alarm: Alarm, owner: object) -> Timer:
        """Go off at `at`, for `owner`. Timers of the same instant go off in the order they were armed."""
        timer = Timer(at, alarm, owner)
        self._sequence += 1
        heappush(self._heap, (at, self._sequence, timer))
        self.live += 1
        return timer

    def cancel(self, timer: Timer | None) -> None:
        """Take a timer back. One that is None, cancelled or gone off already is left alone."""
        if timer is None or timer.owner is None:
            return
        timer.owner = None
        self.live -= 1
        if len(self._heap) > 64 and len(self._heap) > 4 * self.live:
            self._heap = [entry for entry in self._heap if entry[2].owner is not None]
            heapify(self._heap)

    def early(self, now: float) -> bool:
        """Whether a look at what is due may be worth it."""
        heap = self._heap
        return bool(heap) and heap[0][0] <= now

    def due(self, now: float) -> tuple[Alarm, object] | None:
        """Take the earliest timer that is not later than `now`."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            timer = heappop(heap)[2]
            owner = timer.owner
            if owner is not None:
                timer.owner = None
                self.live -= 1
                return timer.alarm, owner
        return None

    def next(self) -> tuple[float, Alarm] | None:
        """When the earliest timer goes off and what for; None where nothing is armed."""
        heap = self._heap
        while heap and heap[0][2].owner is None:
            heappop(heap)
        return (heap[0][0], heap[0][2].alarm) if heap else None
