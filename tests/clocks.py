"""The time that programs read, for tests of what happens late: nobody has to wait for it, or be quick enough before."""

from __future__ import annotations

from collections.abc import Callable


class Ahead:
    """The monotonic time of this process, moved on by hand: what loops and runs do later is due at once.

    A loop that sleeps notices with its next event.
    """

    def __init__(self, true: Callable[[], float]) -> None:
        self._true = true
        self._seconds = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self._true() + self._seconds

    def pass_time(self, seconds: float) -> None:
        """So many seconds are over."""
        self._seconds += seconds
