"""By how much the ways of two requests to the server differ.

It is assumed, not measured: nobody tells when a request arrived. What is assumed is too little where a request is
refused for want of what a bucket must have held, whose limit was told before the request went, and which nobody else
draws on. What was short then, in seconds of refill, is how much more ways vary at least.
"""

from __future__ import annotations

from math import inf

from attrs import define

from penstock.admission.marks import SPREAD, Mark

WIDEST = 1.0
"""Seconds by which ways are believed to vary at most."""

_STEP = 1.5
_PART = 0.25
"""What part of a bucket may be held back for it: of a bucket of one demand all that is held back is lost."""

_PATIENCE, _LONGEST = 10.0, 600.0
"""Seconds after which ways are believed to vary by less again: at first, and at most; each surprise doubles them."""

_LESS = 0.8

_ROUNDED = 0.001
"""Seconds by which a time to full may have been rounded down."""


@define(eq=False)
class Ways:
    """`spread` is what is believed, in seconds, `fixed` when the limit became what it is (inf: nobody told of it).

    `full` is when the bucket is full if nothing more goes, as the last reply told, `sent` when its request went, and
    `spent` what had ever been sent then.
    """

    spread: float = SPREAD
    fixed: float = inf
    calm: float = inf
    patience: float = _PATIENCE
    full: float = -inf
    spent: float = 0.0
    sent: float = -inf

    def surprised(self, sent: float, short: float, full: float, now: float) -> None:
        """A request of `sent` came `short` seconds too early to a bucket that refills within `full` seconds."""
        if sent <= self.fixed:
            return
        wider = max(_STEP * self.spread, self.spread + _STEP * min(short, self.spread))
        self.spread = max(self.spread, min(WIDEST, wider, _PART * full))
        self.patience = min(_LONGEST, 2.0 * self.patience)
        self.calm = now + self.patience

    def tells(self, mark: Mark, reset: float | None) -> None:
        """The reply to a marked request tells how many seconds later the bucket is full.

        Of replies that overtook each other the one that names the latest moment was made last.
        """
        if reset is None:
            return
        full, spent = mark.sent + self.spread + reset + _ROUNDED, mark.spent + mark.need
        if mark.sent > self.sent + self.spread:
            self.full, self.spent, self.sent = full, spent, mark.sent
        elif mark.sent >= self.sent - self.spread:
            self.full, self.spent = max(full, self.full), max(spent, self.spent)

    def believed(self, now: float) -> float:
        """What is believed now: less, after a while without a surprise."""
        if now > self.calm:
            self.spread, self.calm = max(SPREAD, _LESS * self.spread), now + self.patience
        return self.spread
