"""How many exchanges at a time a provider lets in, where it does not say so.

Such a limit is met while as many are out as ever, or more; a rate is met at any time. So a refusal with as many out as
the busiest request that was let in is taken for it, and from then on no more go out than were then: what a client
counts is at least what the provider does, since a request is out for longer than it is there. One more is tried after a
while in which all places were taken, then two more, and so on; a refusal takes them back and doubles the while.
Refusals of what was out together cut once, and nothing waits for longer than it takes one to come back: it never
freezes.
"""

from __future__ import annotations

from math import inf

from attrs import define

LEAST = 4
"""How many must be out for a first refusal to be taken for such a limit."""

_SLACK = 1
_SAME = 0.7
_FIRST, _LAST = 10.0, 60.0


@define(eq=False)
class Slots:
    """`found` is how many may be out (inf: no limit was met), `peak` how many were when the busiest was let in.

    `strikes` counts refusals that such a limit does not explain.
    """

    found: float = inf
    first: int = 0
    peak: int = 0
    strikes: int = 0
    since: float = -inf
    tau: float = _FIRST
    step: int = 0

    def explains(self, out: int) -> bool:
        """Whether a limit of exchanges may be why a request was refused with so many others out."""
        if self.found == inf:
            return out >= max(self.peak - _SLACK, LEAST)
        return out >= max(_SAME * self.first, self.found - _SLACK)

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
        self.peak = min(self.peak, out)

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

    def acquit(self, out: int) -> None:
        """It was something else."""
        self.strikes += 1
        self.found = inf
        self.peak = out

    def admitted(self, out: int) -> None:
        """A request was let in with so many others out."""
        if out > self.peak:
            self.peak = out

    def full(self, now: float) -> None:
        """All places were taken until now: after a while one more is tried."""
        if now - self.since > self.tau:
            self.step = 2 * self.step or 1
            self.found += self.step
            self.since = now
