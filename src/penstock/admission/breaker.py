"""The health of a lane: whether it may be tried at all, whatever room its limits have.

A lane that fails fast looks idle, and would draw all work to itself: after several errors in a row it rests, and one
attempt at a time finds out whether it works again. A key that is refused is never tried again by itself, credit that is
used up after a while. A lane that has not answered yet has only a few attempts out during its first second, so that a
bad key is refused twice and not as often as there is work; a refusal comes before anything is made, so one that is out
for longer was taken.

The life is a table, like those of the engine; what a fault of a lane is, is said by whoever judges.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from math import inf

from attrs import define

PROOF = 1.0
"""Seconds after which a lane that has refused nothing counts as good, though nothing came back yet."""

IN_A_ROW = 10
"""How many errors, with nothing better between them, let a lane rest."""

LONGEST = 30.0
"""Seconds that a lane rests at most after errors; as long as `CLOSED_FOR` where its credit is used up."""

CLOSED_FOR = 900.0


class Health(Enum):
    """Whether a lane is tried."""

    UNPROVEN = "unproven"
    GOOD = "good"
    RESTING = "resting"
    PROBING = "probing"
    EMPTY = "empty"
    SHUT = "shut"


class Sign(Enum):
    """What is heard of a lane: a reply of whatever it serves, an error, the last one of several, and so on."""

    ALIVE = "alive"
    ERROR = "error"
    TRIP = "trip"
    EXHAUSTED = "exhausted"
    REJECTED = "rejected"
    DUE = "due"
    AGAIN = "again"


_H, _S = Health, Sign

GOOD, _PROBING = Health.GOOD, Health.PROBING
"""By their own names, as they are asked for all the time: an enum's member takes CPython 3.11 ten times as long."""

LIFE: Mapping[tuple[Health, Sign], Health] = {
    (_H.UNPROVEN, _S.ALIVE): _H.GOOD,
    (_H.UNPROVEN, _S.ERROR): _H.UNPROVEN,
    (_H.UNPROVEN, _S.TRIP): _H.RESTING,
    (_H.GOOD, _S.ALIVE): _H.GOOD,
    (_H.GOOD, _S.ERROR): _H.GOOD,
    (_H.GOOD, _S.TRIP): _H.RESTING,
    (_H.RESTING, _S.ALIVE): _H.GOOD,
    (_H.RESTING, _S.DUE): _H.PROBING,
    (_H.PROBING, _S.ALIVE): _H.GOOD,
    (_H.PROBING, _S.TRIP): _H.RESTING,
    (_H.EMPTY, _S.ALIVE): _H.EMPTY,
    (_H.EMPTY, _S.DUE): _H.PROBING,
    (_H.SHUT, _S.ALIVE): _H.SHUT,
    (_H.SHUT, _S.EXHAUSTED): _H.SHUT,
    **{(health, _S.EXHAUSTED): _H.EMPTY for health in Health if health is not _H.SHUT},
    **{(health, _S.REJECTED): _H.SHUT for health in Health},
    **{(health, _S.AGAIN): _H.UNPROVEN for health in Health},
}
"""Every change there is. What a lane that is empty or shut still hears of what was out changes nothing."""


@define(eq=False)
class Breaker:
    """One lane's health. Times are absolute seconds.

    `bound` is how many attempts may be out while it is unproven (None: any number), `out` how many are, `first` when
    the first of them went. `row` counts errors in a row, `rests` how often it rested with nothing good between. `since`
    is when the state began, `until` when a rest is over, `down` since when nothing good came (None: it does).
    """

    bound: int | None = None
    health: Health = Health.UNPROVEN
    out: int = 0
    first: float | None = None
    row: int = 0
    rests: int = 0
    since: float = -inf
    until: float = -inf
    down: float | None = None
    probes: int = 0

    def ready_at(self, now: float) -> float:
        """When another attempt may go, as far as health goes; `inf`: only after something that is out comes back."""
        health = self.health
        if health is GOOD:
            return -inf
        if health is Health.UNPROVEN:
            if self.bound is None or self.out < self.bound or self.first is None:
                return -inf
            proven = self.first + PROOF
            return proven if proven > now else -inf
        if health is _PROBING:
            return inf if self.probes else -inf
        return inf if health is Health.SHUT else self.until

    def sent(self, now: float) -> None:
        """An attempt takes the lane."""
        self.out += 1
        if self.first is None:
            self.first = now
        if self.health is _PROBING:
            self.probes += 1

    def back(self, sent: float) -> None:
        """An attempt that took the lane at `sent` gives it back, whatever came of it."""
        self.out -= 1
        if self.health is _PROBING and sent >= self.since:
            self.probes -= 1

    def unsent(self) -> None:
        """Nobody was there, so nothing can be said of the key: what waits for it would wait in vain."""
        self.bound = None

    def alive(self, now: float) -> None:
        """A reply of somebody who takes this key and serves this model."""
        self.row = 0
        if self.health is not GOOD:
            self._go(Sign.ALIVE, now)
        if self.health is GOOD:
            self.rests, self.down = 0, None

    def error(self, sent: float, now: float, base: float) -> None:
        """An attempt of `sent` ended with an error that is the provider's; rests begin at `base` seconds and double."""
        if self.health in (Health.EMPTY, Health.SHUT, Health.RESTING):
            return
        self.down = now if self.down is None else self.down
        if sent < self.since:
            return  # it went before the last rest began, and says nothing of how things are now
        self.row += 1
        if self.health is not _PROBING and self.row < IN_A_ROW:
            self._go(Sign.ERROR, now)
            return
        self.until = now + min(LONGEST, base * 2.0 ** min(self.rests, 16))
        self.rests += 1
        self.row = 0
        self._go(Sign.TRIP, now)

    def exhausted(self, now: float) -> None:
        """Its credit is used up: tried again in a quarter of an hour, by one attempt."""
        if self.health is not Health.SHUT:
            self.until = now + CLOSED_FOR
        self._go(Sign.EXHAUSTED, now)

    def rejected(self, now: float) -> None:
        """Its key is refused, or does not reach this model: nothing but a new configuration opens it again."""
        self._go(Sign.REJECTED, now)

    def due(self, now: float) -> bool:
        """Whether a rest is over just now: from here on one attempt at a time goes until one is answered well."""
        if self.health not in (Health.RESTING, Health.EMPTY) or now < self.until:
            return False
        self._go(Sign.DUE, now)
        return True

    def again(self, now: float) -> None:
        """It was reconfigured: whatever was held against it is forgotten."""
        self.row = self.rests = 0
        self.down = self.first = None
        self._go(Sign.AGAIN, now)

    def _go(self, sign: Sign, now: float) -> None:
        health = LIFE[self.health, sign]
        if health is not self.health:
            self.since, self.probes, self.health = now, 0, health
