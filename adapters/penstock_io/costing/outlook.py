"""What comes of what was spent: a month as the last days were, and whether a change pays back. Exact, in fractions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from fractions import Fraction

from attrs import frozen

from penstock_io.costing.sums import Item

PICODOLLARS = 10**12

WINDOW = 30
"""Days that are looked back, and days of a month."""

LEAST, SPENT = 7, 3
"""How many days must have passed since the first that money was spent on, and on how many it must have been."""

METHOD = (
    f"what was spent in the last {WINDOW} days (UTC, today among them), divided by the days since the first of them "
    f"with spending, times {WINDOW}; none before {LEAST} days have passed, {SPENT} of them with spending"
)


@frozen
class Projection:
    """A month of spending in picodollars, None where too little is known, with `pictures` of it.

    It rests on `spending` days with spending among `days`; `unknown` says that it is at least so much.
    """

    monthly: Fraction | None
    pictures: Fraction | None
    days: int
    spending: int
    unknown: bool


def project(items: Iterable[Item], today: str) -> Projection:
    """What a month costs, if it is as the last days were. `today` is YYYY-MM-DD (UTC); later days do not count."""
    end = date.fromisoformat(today)
    first = (end - timedelta(days=WINDOW - 1)).isoformat()
    recent = [item for item in items if first <= item.place.day <= today]
    spending = {item.place.day for item in recent if item.sums.charged or item.sums.unknown}
    if not spending:
        return Projection(None, None, 0, 0, unknown=False)
    days = (end - date.fromisoformat(min(spending))).days + 1
    unknown = any(item.sums.unknown for item in recent)
    if days < LEAST or len(spending) < SPENT:
        return Projection(None, None, days, len(spending), unknown)
    charged = sum(item.sums.charged for item in recent)
    pictures = sum(item.sums.pictures for item in recent)
    return Projection(Fraction(charged * WINDOW, days), Fraction(pictures * WINDOW, days), days, len(spending), unknown)


@frozen
class Change:
    """Pictures that are made by hand today: `volume` a month at `labour` each, in dollars.

    In their place `infrastructure` is paid each month, and `one_off` once.
    """

    volume: Fraction
    labour: Fraction
    infrastructure: Fraction = Fraction(0)
    one_off: Fraction = Fraction(0)


@frozen
class Return:
    """What a change brings, in dollars. `payback` is months: 0 at once, None never. `yearly` is a share, 1 for 100 %.

    `yearly` is None where nothing is paid at the beginning, so that there is nothing to divide by.
    """

    change: Change
    picture: Fraction
    monthly: Fraction
    payback: Fraction | None
    yearly: Fraction | None


def returns(change: Change, picture: Fraction) -> Return:
    """What a change brings if a picture costs `picture` dollars."""
    monthly = change.volume * (change.labour - picture) - change.infrastructure
    if change.one_off == 0:
        return Return(change, picture, monthly, Fraction(0) if monthly >= 0 else None, None)
    payback = change.one_off / monthly if monthly > 0 else None
    return Return(change, picture, monthly, payback, (12 * monthly - change.one_off) / change.one_off)


def decimal_of(amount: Fraction | int, places: int = 12) -> str:
    """A decimal text without exponent, rounded half to even where it has more places; exact whatever its length."""
    scaled = round(Fraction(amount) * 10**places)
    whole, rest = divmod(abs(scaled), 10**places)
    text = f"{whole}.{rest:0{places}d}".rstrip("0").rstrip(".") if places else str(whole)
    return f"-{text}" if scaled < 0 else text


def usd(picodollars: Fraction | int) -> str:
    """Picodollars as dollars, exact as far as picodollars are."""
    return decimal_of(Fraction(picodollars) / PICODOLLARS)
