"""How many requests may be at risk at a time, and when to try again at all.

A request is at risk until its fate can be known: a refusal takes about `horizon` seconds to be heard. At an unseen wall
as many are refused as were sent in that time, so few may be sent in it: two at first, and the more the longer nothing
is refused. From the first refusal on they are spaced evenly, as clumps arrive in any order and spoil what the next
refusal tells. What the buckets are sure to refill comes on top. A burst that nobody declared is so taken at about 20
requests a second, which costs nothing where a bucket is not full, and five refusals where it turns out to be empty.

After `n` refusals in a row with nothing admitted between the next try comes no sooner than `0.2 * 2**n` seconds (at
most a minute) after it, whatever hints say: one that forgets the cost of its own refusal is not obeyed for ever.
"""

from __future__ import annotations

from math import inf

from attrs import define

FIRST, LONGEST = 0.2, 60.0
HORIZON, SHORTEST, WIDEST = 0.25, 0.02, 5.0
"""Seconds after which a refusal is heard: as assumed, at least, at most."""

FEW = 5.0
_FROM = 2.0
_RAMP, _GROWTH, _TRUSTED = 8.0, 40.0, 4.0
"""One more at risk for so many let in: up to FEW, above it, and where headers tell all that is asked for."""

_MEASURED = 16
"""How many let in with few at risk show that there is no bucket to be measured."""

_SHOWN = 200
"""How many of those that were let in before a refusal still show at most that more may be at risk."""

_TOGETHER, _UNKNOWN = 3.0, 2.0
"""How many more may go at the same instant as one that comes after a while, before anything was refused: where a limit
is known, and where none is."""

_GAPLESS = 0.002
"""Seconds below which requests need not be kept apart."""


@define(eq=False)
class Pace:
    """Times are absolute. `sends` counts since the last refusal, `barren` refusals in a row with nothing let in.

    Nothing goes before `opens`, the latest of `blocked` (a wait that was asked for), `rest` (after several refusals in
    a row) and `next` (one after the other). `heard` is when the last refusal was heard that was news, `before` the one
    before it, `first` when the first request went, `slowest` about how long the slower replies take. A request is at
    risk for `span` seconds: until a refusal would be heard, or as long as replies take. `careful`: a measurement goes
    on, in which few may be at risk. `eager`: nothing is held back before the first refusal.
    """

    blocked: float = -inf
    next: float = -inf
    rest: float = -inf
    heard: float = -inf
    before: float = -inf
    first: float = inf
    horizon: float = HORIZON
    slowest: float = inf
    span: float = HORIZON
    sends: int = 0
    shown: int = 0
    barren: int = 0
    careful: bool = False
    eager: bool = False
    places: int = 0
    reach: int = 0
    widen: float = -inf
    last: float = -inf
    opens: float = -inf

    def widened(self, out: int, time: float) -> float:
        """The earliest time at or after `time` at which another may go beside so many that are out."""
        return self.widen if out >= self.reach and self.widen > time else time

    def free(self) -> bool:
        """Whether nothing is held back."""
        return self.eager and self.heard == -inf

    def sent(self, now: float, rate: float, trusted: int | None, out: int = 0) -> None:
        """An attempt goes beside `out` others; `rate` is how many such requests the buckets refill a second.

        `trusted`: headers tell of all it draws on, and so many were let in by all siblings.
        """
        self.sends += 1
        if self.sends == _MEASURED:
            self.sends += min(self.shown, _SHOWN)
        if self.first == inf:
            self.first = now
        span = self.span
        # how many requests may be at risk beside what is refilled
        if self.careful and self.sends < _MEASURED:
            risk = _FROM
        elif trusted is None:
            few, risk = _FROM + self.sends / _RAMP, self.sends / _GROWTH
            few = few if few < FEW else FEW
            risk = risk if risk > few else few
        else:
            risk = trusted / _TRUSTED
            risk = risk if risk > FEW else FEW
        if risk < self.places and not self.careful:
            risk = self.places
        gap = 1.0 / (rate + risk / span)
        if out >= self.reach:
            # a limit of exchanges may be there: what goes beyond as many as ever is at risk, whatever buckets hold
            self.reach = out + 1
            self.widen = max(self.widen, now - span) + span / risk
        if gap <= _GAPLESS:
            self.next = -inf
        elif self.heard > -inf:
            self.next = now + gap
        else:
            # before the first refusal a few may go together
            start = now - (_TOGETHER if rate else _UNKNOWN) * gap
            self.next = (self.next if self.next > start else start) + gap
        if self.next < self.opens:
            self._open()
        else:
            self.opens = self.next

    def replied(self, sent: float, now: float) -> None:
        """A reply came, whatever it says."""
        took = now - sent
        slowest = self.slowest
        self.slowest = took if took > slowest or slowest == inf else slowest + 0.1 * (took - slowest)
        self._measure()

    def admitted(self, sent: float) -> None:
        """An attempt sent at `sent` was let in."""
        if not self.barren:
            return
        if sent >= self.heard:
            self.barren = 0
        elif sent >= self.before and self.barren > 1:
            self.barren = 1  # it was let in before the last refusal, though that was heard of first
            self.rest = -inf
            self._open()

    def refused(self, sent: float, now: float) -> bool:
        """An attempt sent at `sent` was refused: whether that is news.

        Refusals of attempts that went before the last refusal was heard are one event.
        """
        self.horizon = min(WIDEST, max(0.9 * self.horizon, 0.1, 1.4 * (now - sent)))
        self._measure()
        if sent < self.heard:
            return False
        self.before, self.heard = self.heard, now
        self.shown, self.sends = self.sends, 0
        self.barren += 1
        if self.barren > 1:
            self.rest = now + min(LONGEST, FIRST * 2.0 ** min(self.barren, 12))
            self._open()
        return True

    def block(self, until: float) -> None:
        """Nothing goes before `until`."""
        self.blocked = max(self.blocked, until)
        self._open()

    def hasten(self, until: float) -> None:
        """A rest after refusals is over by `until`."""
        self.rest = min(self.rest, until)
        self._open()

    def _measure(self) -> None:
        span = self.horizon if self.horizon < self.slowest else self.slowest
        self.span = span if span > SHORTEST else SHORTEST

    def _open(self) -> None:
        time = self.blocked if self.blocked > self.next else self.next
        self.opens = time if time > self.rest else self.rest
