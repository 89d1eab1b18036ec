"""Published prices, dated: what held on a day still does, whatever was added later."""

from __future__ import annotations

from calendar import timegm
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache

from attrs import frozen

from penstock.catalog._load import Json, load, rows, text, texts
from penstock.work import Rates

STANDARD, BATCH = "standard", "batch"
"""How a request is processed: at once, or within a day by a provider's own batch API."""

CLASSES = ("text", "cached_text", "image", "cached_image", "image_out", "text_out")
"""The classes of tokens, as prices and `Rates` name them."""

MILLION = 1_000_000

ANY = "*"
"""Stands for all models of a dialect that are not listed themselves."""


@frozen
class Price:
    """A price from `since` up to, not including, `until` (Unix seconds)."""

    rates: Rates
    since: float
    until: float


Table = Mapping[tuple[str, str, str], tuple[Price, ...]]
"""Prices by dialect, processing and name."""


def moment(date: str) -> float:
    """The Unix time at which a day (YYYY-MM-DD, UTC) begins."""
    year, month, day = date.split("-")
    return float(timegm((int(year), int(month), int(day), 0, 0, 0)))


def find(dialect: str, names: tuple[str, ...], unix: float, processing: str = STANDARD) -> Rates | None:
    """The price that holds at `unix` (seconds) for the first of `names` that has any; None: none is known."""
    return find_in(_prices(), dialect, names, unix, processing)


def listed(dialect: str) -> tuple[str, ...]:
    """The names that have or had a published price in a dialect, in the order of the list."""
    return tuple(dict.fromkeys(name for spoken, _, name in _prices() if spoken == dialect and name != ANY))


def find_in(table: Table, dialect: str, names: tuple[str, ...], unix: float, processing: str) -> Rates | None:
    """The same, in any table of prices."""
    for name in (*names, ANY):
        spans = table.get((dialect, processing, name))
        if spans is not None:
            return held(spans, unix)
    return None


def held(spans: tuple[Price, ...], unix: float) -> Rates | None:
    """The rates of the one that holds at `unix` (seconds); None before the first, after the last, and between."""
    return next((span.rates for span in spans if span.since <= unix < span.until), None)


def token_rate(dollars: Decimal) -> int:
    """Dollars a million tokens as picodollars a token: the same figure times a million. A rest counts as a whole."""
    return _ceiling(dollars, MILLION)


def picture_rate(dollars: Decimal) -> int:
    """Dollars a picture as picodollars. A rest counts as a whole."""
    return _ceiling(dollars, MILLION * MILLION)


def _ceiling(amount: Decimal, times: int) -> int:
    """The next whole number from an amount, so many times, on; exact, whatever the number of its digits."""
    if amount > 0 and amount.adjusted() < -40:  # 1e-999999999 has a denominator that no memory holds
        return 1
    numerator, denominator = amount.as_integer_ratio()
    return -(-numerator * times // denominator)


@lru_cache(maxsize=1)
def _prices() -> Table:
    return table_of(rows(load("prices.json")["prices"]))


def table_of(listed: list[dict[str, Json]]) -> Table:
    """Prices as the data file lists them."""
    found: dict[tuple[str, str, str], tuple[Price, ...]] = {}
    for row in listed:
        since, until = text(row["since"]), text(row["until"])
        figures = {name: _rate(row.get(name)) for name in CLASSES}
        picture = None if row.get("picture") is None else picture_rate(Decimal(text(row["picture"])))
        rates = Rates(**figures, picture=picture, source=text(row["source"]), since=since)
        price = Price(rates, moment(since), moment(until) if until else float("inf"))
        for name in texts(row["models"]):
            key = (text(row["dialect"]), text(row.get("processing")) or STANDARD, name)
            found[key] = (*found.get(key, ()), price)
    return found


def _rate(dollars: Json) -> int | None:
    return None if dollars is None else token_rate(Decimal(text(dollars)))
