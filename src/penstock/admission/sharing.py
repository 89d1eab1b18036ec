"""What others take of a bucket that is not one's own alone: other processes with the same key, other models of a pool.

What a reply says remained is as old as its way back, and whoever hears it may believe that all of it is his. So what
went missing between two replies, beyond what was sent from here, is counted beside what was sent, both with the same
memory. Where it is more than rounding, ways that vary and estimates make of it, the bucket counts for no more than the
share that is used from here: that share of what remains, and of what it refills. Nobody has to know how many others
there are; who stops is forgotten after a while, and who uses little is let to use a little more.

Where nothing is told of what remains, but refusals name whose the limit is, the share follows from how many go by it
(`penstock.admission.family`), and what the bucket holds is divided as well: nobody hears what others leave of it.
"""

from __future__ import annotations

from math import exp, inf, sqrt
from typing import TYPE_CHECKING

from attrs import define

if TYPE_CHECKING:
    from penstock.admission.bucket import Gauge

MEMORY = 15.0
"""Seconds after which what was taken counts for a third, at least; for slow buckets the time of some requests."""

_RESERVE = 1 / 3
"""What part of a bucket is left to others as a reserve, at most."""

_BRIM = 0.05

_ALONE = 0.9
"""The share from which on what is missing is rather the fault of ways that vary than that of others."""

_FEW = 0.5
"""How much more than its share anybody is let use, as a part of what may be missing for no reason."""

LEAST = 1 / 32
"""No share is smaller: whoever is alone again has to find out."""


@define(eq=False)
class Others:
    """Own use and that of others, as of the last reply that was counted: when it was sent, and what it left."""

    own: float = 0.0
    theirs: float = 0.0
    share: float = 1.0
    sent: float = 0.0
    left: float | None = None
    spent: float = 0.0

    def seen(self, sent: float, left: float, spent: float, rate: float, most: float, noise: float) -> None:
        """A request sent at `sent` left so much; `spent` is all that was sent from here until then, with it.

        The bucket refills `rate` a second, up to `most`; so much `noise` may be missing for no reason.
        """
        if self.left is not None and sent > self.sent:
            passed = sent - self.sent
            ours = spent - self.spent
            expected = self.left + rate * passed
            if expected < most:
                missing = expected - ours - left
            else:
                # what a full bucket holds is known to no more than this, and would be missing every time
                missing = most - ours - left
                missing -= max(0.0, min(missing, 1.0 + _BRIM * most))
            fades = exp(-passed / max(MEMORY, 2.0 * noise / rate))
            self.own = self.own * fades + max(0.0, ours)
            self.theirs = max(-noise, self.theirs * fades + missing)
            few, theirs = _FEW * noise, self.theirs
            self.share = 1.0 if theirs <= noise else max(LEAST, (self.own + few) / (self.own + few + theirs))
        self.sent, self.left, self.spent = sent, left, spent

    @property
    def few(self) -> bool:
        """Whether others take little."""
        return self.share > _ALONE

    def refused(self, need: float) -> None:
        """One of those that were counted as sent took nothing."""
        self.own = max(0.0, self.own - need)
        self.theirs += need

    def mine(self, left: float, refilled: float, unit: float, capacity: float) -> float:
        """What of all that is left counts here, while so much has been refilled since.

        A reserve is left to what others may have taken beyond what is expected of them.
        """
        left -= min(_RESERVE * capacity, unit + 2.0 * sqrt(refilled * (1.0 - self.share) * unit))
        return left * self.share if left > 0.0 else left


def divide(gauge: Gauge, share: float, now: float) -> None:
    """A bucket of which nothing is told goes by this share of itself from now on: siblings draw on the rest."""
    gauge.refill(now)
    by, gauge.others.share = share / gauge.others.share, share
    gauge.rate = gauge.true * share
    if gauge.capacity < inf:
        gauge.capacity = max(gauge.capacity * by, min(gauge.capacity, gauge.largest))
        gauge.level = min(gauge.level * by, gauge.capacity)
