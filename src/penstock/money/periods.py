"""Days and months (UTC) as scopes: each one has books of its own, whose names begin with its date.

What tenant acme paid on a day is booked on "2026-11-22/tenant:acme", and what everybody paid in that month on
"2026-11/run". No other scope begins with a digit. A cap on "tenant:acme@day" is one on the book of the day that is.
"""

from __future__ import annotations

from datetime import date
from math import floor

from attrs import frozen

from penstock.config import Budget
from penstock.errors import UsageError
from penstock.money.balances import RUN

DAY = 86_400
"""Seconds; UTC knows no others here."""

_FIRST = date(1970, 1, 1).toordinal()


@frozen
class Period:
    """The day that is, and its month. `ends` is when both have to be asked again, in Unix seconds."""

    day: str
    month: str
    ends: float

    def scopes(self, plain: tuple[str, ...]) -> tuple[str, ...]:
        """These scopes, and what they are called on this day and in this month."""
        return (
            *plain,
            *[f"{self.day}/{scope}" for scope in plain],
            *[f"{self.month}/{scope}" for scope in plain],
        )

    def book(self, scope: str) -> str:
        """The book of a cap's scope: "tenant:acme@day" is "2026-11-22/tenant:acme" on that day."""
        if scope in {"day", "month"}:
            return f"{self.day if scope == 'day' else self.month}/{RUN}"
        plain, _, period = scope.rpartition("@")
        if not plain or period not in {"day", "month"}:
            return scope
        return f"{self.day if period == 'day' else self.month}/{plain}"

    def past(self, scope: str) -> bool:
        """Whether a book is of an earlier day or month."""
        when, _ = split(scope)
        return bool(when) and when < (self.day if len(when) == len(self.day) else self.month)


def period(unix: float) -> Period:
    """The day and the month of a moment in Unix seconds. What no calendar holds is its first or last day."""
    number = max(1, min(_FIRST + floor(unix / DAY), date.max.toordinal()))
    day = date.fromordinal(number).isoformat()
    return Period(day, day[:7], float((number + 1 - _FIRST) * DAY))


def split(scope: str) -> tuple[str, str]:
    """The date of a book and what it is called without: ("2026-11-22", "run"); ("", the scope) without one."""
    when, slash, plain = scope.partition("/")
    return (when, plain) if slash and scope[:1].isdigit() else ("", scope)


def capped_as(scope: str) -> str:
    """What a cap on a book is called: "tenant:acme@day" for "2026-11-22/tenant:acme"."""
    when, plain = split(scope)
    if not when:
        return scope
    name = "day" if len(when) == len("2026-11-22") else "month"
    return name if plain == RUN else f"{plain}@{name}"


def check(budget: Budget, *, ledger: bool) -> None:
    """Raise UsageError for caps by day or month where nothing remembers what was spent before this run."""
    if budget.dated and not ledger:
        raise UsageError(
            f"a cap on {budget.dated[0]!r} needs a ledger on disk, so that it holds over restarts: "
            'give ledger=Ledger.open("ledger.sqlite"), or --ledger PATH'
        )
