"""What refusals teach beside buckets: when to try again at all, and how far apart.

A refusal that names its limit sets that bucket right and concerns only requests that draw on it. One that does not is
answered for the whole quota: wait as told (else 0.2 s, doubled with every refusal in a row up to a minute), then let
attempts out again one by one, with a gap that refusals double and admissions shrink. So few requests are at risk at
any moment, and a hint that forgets the cost of its own refusal cannot be obeyed for ever: from the second refusal with
nothing admitted between on, the doubled wait counts whatever the hint says.
"""

from __future__ import annotations

from math import inf

from attrs import define

_FIRST, _LONGEST = 0.2, 60.0
_GAP, _WIDEST, _NARROWEST = 0.1, 15.0, 0.005
_SHRINK = 0.95


@define(eq=False)
class Pace:
    """Times are absolute; `gap` is seconds between attempts (0.0: none). `barren` counts refusals in a row."""

    blocked: float = -inf
    gap: float = 0.0
    next: float = -inf
    heard: float = -inf
    barren: int = 0

    def ready(self) -> float:
        """The earliest time for another attempt."""
        return self.blocked if self.blocked > self.next else self.next

    def sent(self, now: float) -> None:
        """An attempt goes."""
        if self.gap:
            self.next = now + self.gap

    def admitted(self, sent: float) -> None:
        """An attempt sent at `sent` was let in."""
        if sent >= self.heard:
            self.barren = 0
            self.gap *= _SHRINK
            if self.gap < _NARROWEST:
                self.gap, self.next = 0.0, -inf

    def refused(self, sent: float, wait: float | None, now: float) -> tuple[float, bool]:
        """An attempt sent at `sent` was refused: until when what it drew on must rest, and whether that is news.

        Refusals of attempts that went before the last refusal was heard are one event.
        """
        if sent < self.heard:
            return now + (wait or 0.0), False
        self.heard = now
        backoff = min(_LONGEST, _FIRST * 2.0 ** min(self.barren, 12))
        self.barren += 1
        if wait is None:
            return now + backoff, True
        return now + (max(wait, backoff) if self.barren > 1 else wait), True

    def block(self, until: float, *, widen: bool) -> None:
        """Nothing goes before `until`; `widen` doubles the gap after it."""
        self.blocked = max(self.blocked, until)
        if widen:
            self.gap = min(_WIDEST, max(_GAP, 2.0 * self.gap))
        if self.gap:
            self.next = max(self.next, until)
