"""What models cost for you, where it is not what is published: prices of your own, and a multiplier a provider."""

from __future__ import annotations

from decimal import Decimal
from typing import cast

from attrs import evolve, frozen

from penstock.catalog.lookup import model as known_model
from penstock.catalog.lookup import rates as published
from penstock.catalog.prices import BATCH, CLASSES, STANDARD
from penstock.errors import UsageError
from penstock.work import Rates

FIGURES = (*CLASSES, "picture")
"""The figures of `Rates` that are money."""

MOST = 10**18
"""Picodollars that one token or picture may cost at most: a million dollars."""


@frozen
class Override:
    """What a model costs for you. A snapshot goes by its own name, or else by its model's.

    Token rates stand in place of the published ones, class by class; a rate of a `picture` stands alone, for all that
    a picture needs. `provider` "" means any. `output_tokens` is how many tokens a picture takes at most, for a model
    whose formula is not published, `input_tokens` how many an image does that it is made from. Raises UsageError for
    what says nothing, or both kinds of rate.
    """

    model: str
    rates: Rates = Rates()
    provider: str = ""
    output_tokens: int | None = None
    input_tokens: int | None = None

    def __attrs_post_init__(self) -> None:
        figures = {name: _figure(self.rates, name) for name in FIGURES}
        said = [name for name, value in figures.items() if value is not None]
        counts = {"output_tokens": self.output_tokens, "input_tokens": self.input_tokens}
        counted = [name for name, value in counts.items() if value is not None]
        if not said and not counted:
            raise UsageError(f"the price of {self.model} says nothing: give it a rate, such as picture or image_out")
        if "picture" in said and (len(said) > 1 or counted):
            raise UsageError(f"the price of {self.model} is either of a picture or of tokens, not both")
        for name, value in figures.items():
            if value is not None and not 0 <= value <= MOST:
                raise UsageError(f"the price of {self.model}: {name} must be from 0 to a million dollars")
        for name, value in counts.items():
            if value is not None and not 0 < value <= 10**9:
                raise UsageError(f"the price of {self.model}: {name} must be a whole number above 0")


@frozen
class Price:
    """What a model costs: `rates` (None: unknown), and the most output tokens of a picture, where a user says so.

    `input_tokens` are likewise those of an image that it is made from.
    """

    rates: Rates | None = None
    output_tokens: int | None = None
    input_tokens: int | None = None


@frozen
class Overrides:
    """Prices of your own and a multiplier by provider, on top of what is published.

    A multiplier is of published prices alone: a price of your own is what you pay. Raises UsageError for a price that
    is said twice, and for a multiplier that is none.
    """

    rates: tuple[Override, ...] = ()
    multipliers: tuple[tuple[str, Decimal], ...] = ()

    def __attrs_post_init__(self) -> None:
        priced = [(one.provider, one.model) for one in self.rates]
        for provider, model in priced:
            if priced.count((provider, model)) > 1:
                raise UsageError(f"the price of {model} is given twice")
        names = [name for name, _ in self.multipliers]
        for name, factor in self.multipliers:
            whose = f"the multiplier of {name or 'all providers'}"
            if names.count(name) > 1:
                raise UsageError(f"{whose} is given twice")
            if not isinstance(cast("object", factor), Decimal):
                raise UsageError(f"{whose} must be an exact Decimal, not {type(factor).__name__}")
            if not (factor.is_finite() and 0 <= factor <= 1000):
                raise UsageError(f"{whose} must be from 0 to 1000, not {factor}")

    def price(self, provider: str, dialect: str, model: str, unix: float, processing: str = STANDARD) -> Price:
        """What `model` costs at `provider` on the day of `unix` (seconds); `processing` is "standard" or "batch".

        Rates of your own are of the standard processing: for another one nobody knows what is left of them.
        """
        base = published(dialect, model, unix, processing)
        factor = self._multiplier(provider)
        if base is not None and factor is not None:
            base = base.times(factor)
        mine = self._mine(provider, model)
        if mine is None:
            return Price(base)
        if processing == BATCH:
            has_rates = any(_figure(mine.rates, name) is not None for name in FIGURES)
            return Price(None if has_rates else base, mine.output_tokens, mine.input_tokens)
        return Price(_merged(base, mine.rates), mine.output_tokens, mine.input_tokens)

    def _mine(self, provider: str, model: str) -> Override | None:
        """The price that says it most narrowly: by the very name first, and by the provider first."""
        known = known_model(model)
        for name in (model,) if known is None else (model, known.name):
            for where in (provider, ""):
                for one in self.rates:
                    if (one.provider, one.model) == (where, name):
                        return one
        return None

    def _multiplier(self, provider: str) -> Decimal | None:
        told = dict(self.multipliers)
        return told.get(provider, told.get(""))


NO_OVERRIDES = Overrides()
"""What is published, as it is."""


def _figure(rates: Rates, name: str) -> int | None:
    value: int | None = getattr(rates, name)
    return value


def _merged(base: Rates | None, mine: Rates) -> Rates | None:
    """The published rates with one's own in their places; a rate of a picture replaces all of them."""
    said = {name: value for name in FIGURES if (value := _figure(mine, name)) is not None}
    if not said:
        return base
    source = mine.source or "your own price"
    if base is None or "picture" in said:
        return evolve(mine, source=source)
    told = {name: said.get(name, _figure(base, name)) for name in CLASSES}
    return Rates(**told, source=f"{source}, else {base.source}", since=mine.since or base.since)
