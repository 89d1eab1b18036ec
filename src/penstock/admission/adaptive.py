"""How many exchanges at a time a provider lets in, where it does not say so.

Such a limit is met while as many are out as ever, or more; a rate is met at any time. What a client counts is at least
what the provider does, since a request is out for longer than it is there: what was refused beside `n` others says that
`n` places are all there are, and what was let in beside `n` that were surely there says that there are more. From a
refusal that these two do not forbid on no more go out than were then. One more is tried after a while in which all
places were taken, then two more, and so on; a refusal takes them back and doubles the while. Refusals of what was out
together cut once, and nothing waits for longer than it takes one to come back: it never freezes.

Few places look like a bucket of few requests. But a bucket knows when it will have enough, to the millisecond, and a
limit of exchanges does not: if it names a wait, it is a constant. Where no wait is named it takes a second refusal of
this kind, or a third. The wait that it names is obeyed where nothing is out that would make room.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import TYPE_CHECKING

from attrs import Factory, define

from penstock.admission.marks import SPREAD

if TYPE_CHECKING:
    from penstock.admission.permits import Permit

_AGAIN, _ALONE = 2, 3
"""How many refusals in a row that name no wait such a limit must explain to be believed; and where a single request was
there, as one is when a bucket of one request refuses the next."""

_SHARE, _SLACK = 8, 1
"""One place of so many may be told wrong where ways take longer than is thought, and one of those that were found."""

_FIRST, _NAMED, _LAST = 3.0, 10.0, 60.0
"""Seconds in use after which one more is tried: at first, at first where a refusal names the limit, and at most."""

_LATELY = 64
"""How many replies are remembered, to know what was surely out."""


@define(eq=False)
class Slots:
    """`found` is how many may be out (inf: no limit was met), `first` how many when it was met first.

    `peak` is how many were surely there when another was let in, `strikes` counts refusals that such a limit does not
    explain, `met` those in a row that it does. `until` is when the wait is over that the last of them named. `heard`
    is when the last refusal was heard: until then what it refused was taken to be out. `ends` are the times of the last
    replies.
    """

    found: float = inf
    first: int = 0
    peak: int = 0
    strikes: int = 0
    met: int = 0
    since: float = -inf
    heard: float = -inf
    until: float = -inf
    tau: float = _FIRST
    step: int = 0
    ends: deque[float] = Factory(lambda: deque[float](maxlen=_LATELY))

    def explains(self, there: int) -> bool:
        """Whether such a limit may be why a request was refused with at most so many others there."""
        known = self.peak + 1 - (self.peak + 1) // _SHARE
        places = 0 if self.found == inf else min(self.first, self.found - self.step) - _SLACK
        return there >= max(1, known, places)

    def refuses(
        self, permit: Permit, there: int, wait: float | None, now: float, *, least: float, steady: bool
    ) -> bool:
        """Whether it is believed to have refused a request with at most so many others there, that names this wait.

        `least` are the strikes of whatever else it may have been, `steady`: that agrees with itself for long.
        """
        if not self.explains(there):
            self.acquit(there)
            return False
        if wait is not None and wait != int(wait):
            return False
        self.met += 1 if wait is None else _ALONE
        if self.met < (_ALONE if there == 1 else _AGAIN) or self.strikes > least:
            return False
        if steady and (self.strikes or self.met <= _AGAIN):
            return False
        self.refused(permit.out, permit.sent, now)
        self.until = now + (wait or 0.0)
        return True

    @property
    def places(self) -> int:
        """How many there are for sure: all of them may be at risk."""
        return 0 if self.found == inf else int(self.found)

    def refused(self, out: int, sent: float, now: float) -> None:
        """Such a limit refused a request that was sent at `sent` with so many others out."""
        if sent < self.since:
            return
        if self.step:
            self.tau = min(_LAST, 2.0 * self.tau)
        self.step = 0
        if self.found == inf:
            self.first = out
        self.found = max(1, min(out, self.found))
        self.since = now
        self.peak = min(self.peak, out - 1)

    def also(self, out: int) -> None:
        """One more of those that were out together was refused, with so many others out."""
        self.found = max(1, min(out, self.found))
        self.first = min(self.first, max(1, out))

    def named(self, limit: int, sent: float, now: float) -> None:
        """A refusal of a request that was sent at `sent` says that so many may be out."""
        if sent >= self.since or limit < self.found:
            if self.step and limit < self.found:
                self.tau = min(_LAST, 2.0 * self.tau)
            self.found = self.first = max(1, limit)
            self.step, self.since = 0, now
            self.tau = max(self.tau, _NAMED)

    def acquit(self, there: int) -> None:
        """It was something else."""
        self.strikes += 1
        self.met = 0
        self.found, self.first, self.peak = inf, 0, there

    def admitted(self, out: int, sent: float, now: float) -> None:
        """A request was let in that was sent at `sent` with so many others out."""
        if out > self.peak and sent >= self.heard:
            # a reply that came soon after was on its way already, and its place free
            out -= sum(sent <= end <= sent + 2.0 * SPREAD for end in self.ends)
            if out > self.peak:
                self.peak = out
        self.ends.append(now)

    def full(self, now: float) -> None:
        """All places were taken until now: after a while one more is tried."""
        if now - self.since > self.tau:
            self.step = max(1, min(2 * self.step, int(self.found) - 1))
            self.found += self.step
            self.since = now
