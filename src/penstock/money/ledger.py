"""Reservations and books against hard caps, in integer picodollars.

A share is what one payer of an attempt may have to pay, booked on all its scopes at once. A reservation takes the
bounds of all shares before anything is sent and ends exactly once. As long as charges stay within their bounds,
`reserved + charged + maybe <= cap` holds for every scope, however reservations interleave. An excess is booked all the
same, because it was paid, and what follows has less room.

Days and months are scopes whose names begin with a date (`penstock.money.periods`). A share is booked on those of the
moment when it was made and ends there, also after midnight; the date never runs backwards.
"""

from __future__ import annotations

from enum import Enum
from math import ceil

from attrs import define, frozen

from penstock.config import Budget
from penstock.errors import UsageError
from penstock.money.balances import NOTHING, RUN, Balance, Balances
from penstock.money.periods import Period, capped_as, check, period

__all__ = ["NOTHING", "RUN", "Balance", "Balances", "Fit", "Ledger", "Low", "Reservation", "Share"]


@frozen
class Share:
    """What one payer of an attempt may pay, at most `amount` picodollars (None: unknown), booked on `scopes`.

    "run" is always the first scope; no scope is named twice.
    """

    scopes: tuple[str, ...]
    amount: int | None


class Fit(Enum):
    """Whether there is room: now, once enough of what is reserved comes back, never, or unknown for want of a price."""

    NOW = "now"
    LATER = "later"
    NEVER = "never"
    UNKNOWN = "unknown"


NOW = Fit.NOW
"""By its own name, as every decision asks for it: that costs CPython 3.11 a tenth of what the enum's member does."""


@define(eq=False)
class Reservation:
    """Money set aside for one attempt. Opaque; ended once by `settle`, `void`, `failed` or `maybe`."""

    shares: tuple[Share, ...]
    ended: bool = False


@frozen
class Low:
    """A cap of which a share is used that is worth a warning. Picodollars."""

    scope: str
    used: int
    cap: int


class _Book:
    __slots__ = ("cap", "charged", "mark", "maybe", "refunded", "reserved", "told", "unknown")

    def __init__(self, opening: Balance) -> None:
        self.cap: int | None = None
        self.mark: int | None = None
        self.told = False
        self.reserved = 0
        self.charged = opening.charged
        # what an earlier run left reserved was never ended: it may have been billed
        self.maybe = opening.maybe + opening.reserved
        self.refunded = opening.refunded
        self.unknown = opening.unknown


class Ledger:
    """The books of a run. `opening` carries the sums of earlier runs; what they left reserved counts as maybe.

    `dated`: shares are booked by day and month, too, which asks for the `opening` of the current ones from a ledger on
    disk. Raises UsageError for caps by day or month without it.
    """

    __slots__ = ("_books", "_budget", "_capped", "_dated", "_low", "_period", "_run")

    def __init__(self, budget: Budget, opening: Balances = NOTHING, *, dated: bool = False) -> None:
        self._books: dict[str, _Book] = {name: _Book(balance) for name, balance in opening.scopes}
        self._run = self._book(RUN)
        self._dated = dated
        self._period: Period | None = None
        self._low: list[Low] = []
        self.rebudget(budget)

    def rebudget(self, budget: Budget) -> None:
        """Go by other caps from now on. What is reserved stays reserved, also above a lower cap. Raises UsageError."""
        check(budget, ledger=self._dated)
        self._budget = budget
        for book in self._books.values():
            book.cap = book.mark = None
        self._capped = bool(budget.caps)
        self._cap()

    def _cap(self) -> None:
        budget = self._budget
        for scope, cap in budget.caps:
            if self._period is None and scope in budget.dated:
                continue  # nothing was booked yet, and nobody knows what day it is
            book = self._book(scope if self._period is None else self._period.book(scope))
            book.cap = cap
            book.mark = None if budget.warn is None else ceil(cap * budget.warn)
            book.told = book.told and book.mark is not None and book.charged + book.maybe >= book.mark

    def scopes(self, plain: tuple[str, ...], unix: float) -> tuple[str, ...]:
        """What a share that is made at `unix` (seconds) is booked on: these scopes, and by day and month."""
        if not self._dated:
            return plain
        now = self._period
        if now is None or unix >= now.ends:
            now = self._turn(period(unix))
        return now.scopes(plain)

    def _turn(self, now: Period) -> Period:
        """Another day begins: its caps count from now on, and books of earlier ones go that nothing is reserved on."""
        self._period = now
        for name in [name for name, book in self._books.items() if not book.reserved and now.past(name)]:
            del self._books[name]
        self._cap()
        return now

    def low(self) -> list[Low]:
        """Caps of which more than the share that is warned of is used, each once, since this was asked last."""
        low, self._low = self._low, []
        return low

    def fits(self, shares: tuple[Share, ...]) -> Fit:
        """Whether all shares fit under all caps together. What costs nothing always fits."""
        if not self._capped:
            return NOW
        if len(shares) == 1 and len(shares[0].scopes) == 1 and shares[0].amount is not None:
            return self._room(self._books.get(shares[0].scopes[0]), shares[0].amount)
        wanted: dict[str, int] = {}
        unknown = False
        for share in shares:
            for scope in share.scopes:
                book = self._books.get(scope)
                if book is None or book.cap is None:
                    continue
                if share.amount is None:
                    unknown = True
                else:
                    wanted[scope] = wanted.get(scope, 0) + share.amount
        if unknown and not self._budget.unknown:
            return Fit.UNKNOWN
        rooms = {self._room(self._books[scope], amount) for scope, amount in wanted.items()}
        if Fit.NEVER in rooms:
            return Fit.NEVER
        return Fit.LATER if Fit.LATER in rooms else NOW

    def tight(self, shares: tuple[Share, ...]) -> str:
        """The scope that stands in the way: after LATER whose refunds to wait for, after NEVER the one that is full."""
        wanted: dict[str, int] = {}
        for share in shares:
            for scope in share.scopes:
                wanted[scope] = wanted.get(scope, 0) + (share.amount or 0)
        rooms = {scope: self._room(self._books.get(scope), amount) for scope, amount in wanted.items()}
        for fit in (Fit.NEVER, Fit.LATER):
            for scope, room in rooms.items():
                if room is fit:
                    return scope
        return RUN

    def reserve(self, shares: tuple[Share, ...]) -> Reservation:
        """Set the bounds of all shares aside. Raises UsageError where `fits` is not NOW; nothing has changed then."""
        if self._capped and self.fits(shares) is not NOW:
            raise UsageError("reserved without room: ask fits() first")
        books = self._books
        for share in shares:
            amount = share.amount
            if amount is not None:
                for scope in share.scopes:
                    (books.get(scope) or self._book(scope)).reserved += amount
        return Reservation(shares)

    def settle(self, reservation: Reservation, charges: tuple[int | None, ...]) -> int:
        """End a reservation with what was charged, one figure a share (None: unknown).

        Returns the excess over its bounds. What was set aside above the charge comes back. A share of unknown charge
        keeps its bound as maybe. Raises UsageError on a second end.
        """
        shares = reservation.shares
        if len(charges) != len(shares):
            raise UsageError(f"{len(charges)} charges for {len(shares)} shares")
        self._end(reservation)
        excess = 0
        for share, charge in zip(shares, charges, strict=True):
            amount = share.amount
            if charge is None:
                self._keep(share, unknown=True)
                continue
            bound = amount or 0
            rest = bound - charge
            for scope in share.scopes:
                book = self._book(scope)
                book.reserved -= bound
                book.charged += charge
                if rest > 0:
                    book.refunded += rest
                if book.mark is not None:
                    self._warn(scope, book)
            if rest < 0 and amount is not None:
                excess -= rest
        return excess

    def void(self, reservation: Reservation) -> None:
        """End a reservation of which nothing was sent: all of it comes back."""
        self.settle(reservation, (0,) * len(reservation.shares))

    def maybe(self, reservation: Reservation) -> None:
        """End a reservation that may have been billed: its whole bound stays booked, as maybe."""
        self._end(reservation)
        for share in reservation.shares:
            self._keep(share, unknown=share.amount is None)

    def balances(self) -> Balances:
        """All books as they stand."""
        return Balances(
            tuple(
                (name, Balance(book.reserved, book.charged, book.maybe, book.refunded, book.unknown))
                for name, book in sorted(self._books.items())
            )
        )

    def _keep(self, share: Share, *, unknown: bool) -> None:
        bound = share.amount or 0
        for scope in share.scopes:
            book = self._book(scope)
            book.reserved -= bound
            book.maybe += bound
            book.unknown += unknown
            if book.mark is not None:
                self._warn(scope, book)

    def _warn(self, scope: str, book: _Book) -> None:
        used = book.charged + book.maybe
        if not book.told and used and book.cap is not None and book.mark is not None and used >= book.mark:
            book.told = True
            self._low.append(Low(capped_as(scope), used, book.cap))

    def _end(self, reservation: Reservation) -> None:
        if reservation.ended:
            raise UsageError("this reservation has ended already")
        reservation.ended = True

    def _book(self, scope: str) -> _Book:
        book = self._books.get(scope)
        if book is None:
            book = self._books[scope] = _Book(Balance())
        return book

    @staticmethod
    def _room(book: _Book | None, amount: int) -> Fit:
        if book is None or book.cap is None or amount == 0:
            return NOW
        gone = book.charged + book.maybe + amount
        if gone > book.cap:
            return Fit.NEVER
        return NOW if gone + book.reserved <= book.cap else Fit.LATER
