"""Prices of one's own: which of them counts, and what is no price."""

from __future__ import annotations

from decimal import Decimal
from typing import Never, cast

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from penstock import catalog
from penstock.catalog import NO_OVERRIDES, Override, Overrides
from penstock.catalog.prices import BATCH
from penstock.errors import UsageError
from penstock.work import Rates

DAY = catalog.moment("2026-11-21")


def rates(prices: Overrides, model: str = "gpt-image-2", provider: str = "default") -> Rates | None:
    """What a model costs then."""
    return prices.price(provider, "openai", model, DAY).rates


def test_without_any_it_is_what_is_published() -> None:
    """The very same value."""
    assert rates(NO_OVERRIDES) is catalog.rates("openai", "gpt-image-2", DAY)
    assert rates(NO_OVERRIDES, "flux") is None


def test_classes_are_replaced_one_by_one() -> None:
    """What is not said stays as published, and the source says both."""
    found = rates(Overrides((Override("gpt-image-2", Rates(image_out=28, source="my contract")),)))
    known = rates(NO_OVERRIDES)
    assert found is not None
    assert known is not None
    assert (28, known.text, known.image) == (found.image_out, found.text, found.image)
    assert f"my contract, else {known.source}" == found.source


def test_a_price_of_nothing_is_a_price() -> None:
    """A server of one's own: zero is known, not unknown."""
    found = rates(Overrides((Override("flux", Rates(picture=0)),)), "flux")
    assert found is not None
    assert found.picture == 0


@pytest.mark.parametrize(
    ("provider", "model", "expected"),
    [
        ("studio", "gpt-image-2-2026-04-21", 1),
        ("other", "gpt-image-2-2026-04-21", 2),
        ("studio", "gpt-image-2", 3),
        ("other", "gpt-image-2", 4),
    ],
)
def test_the_narrowest_price_counts(provider: str, model: str, expected: int) -> None:
    """The very name before the model that it means, the provider before any."""
    prices = Overrides(
        (
            Override("gpt-image-2", Rates(picture=4)),
            Override("gpt-image-2", Rates(picture=3), provider="studio"),
            Override("gpt-image-2-2026-04-21", Rates(picture=2)),
            Override("gpt-image-2-2026-04-21", Rates(picture=1), provider="studio"),
        )
    )
    found = rates(prices, model, provider)
    assert found is not None
    assert expected == found.picture


def test_a_name_goes_before_a_provider() -> None:
    """A snapshot's price of any provider before its model's at this one."""
    prices = Overrides(
        (
            Override("gpt-image-2", Rates(picture=3), provider="studio"),
            Override("gpt-image-2-2026-04-21", Rates(picture=2)),
        )
    )
    found = rates(prices, "gpt-image-2-2026-04-21", "studio")
    assert found is not None
    assert found.picture == 2


def test_a_multiplier_is_of_published_prices_alone() -> None:
    """By provider, else of all; what one pays oneself is what one pays."""
    prices = Overrides(
        (Override("gpt-image-2", Rates(image_out=28)), Override("flux", Rates(picture=7))),
        (("studio", Decimal("1.1")), ("", Decimal(2))),
    )
    here, there = rates(prices, provider="studio"), rates(prices, provider="other")
    assert here is not None
    assert there is not None
    assert (28, 5_500_000, 28, 10_000_000) == (here.image_out, here.text, there.image_out, there.text)
    flux = rates(prices, "flux", "studio")
    assert flux is not None
    assert flux.picture == 7


def test_a_batch_price_is_the_published_one_or_unknown() -> None:
    """What is left of a price of one's own in a provider's batch API nobody knows."""
    half = NO_OVERRIDES.price("default", "openai", "gpt-image-2", DAY, BATCH).rates
    assert half is not None
    assert half.image_out == 15_000_000
    mine = Overrides((Override("gpt-image-2", Rates(image_out=28)), Override("gpt-image-2.5-flare", output_tokens=9)))
    assert mine.price("default", "openai", "gpt-image-2", DAY, BATCH).rates is None
    assert mine.price("default", "openai", "gpt-image-2.5-flare", DAY, BATCH).rates == half


@given(st.integers(0, 10**12), st.decimals(0, 1000, places=6))
def test_a_rate_is_rounded_up(rate: int, factor: Decimal) -> None:
    """Never below the exact product, never a whole picodollar above it; unknown stays unknown."""
    found = Rates(text=rate).times(factor)
    assert found.text is not None
    assert factor * rate <= found.text < factor * rate + 1
    assert (None, None) == (found.image_out, found.picture)


def test_what_is_next_to_nothing_is_a_picodollar() -> None:
    """However little, and at once."""
    little = Decimal("1e-999999999")
    assert (1, 1) == (catalog.token_rate(little), catalog.picture_rate(little))
    assert Rates(text=1, image_out=0) == evolve(Rates(text=5, image_out=0).times(little), source="")


@given(st.decimals(0, 1000, places=10))
def test_dollars_are_rounded_up_to_picodollars(amount: Decimal) -> None:
    """A token and a picture, of a price with any number of digits."""
    assert amount * 10**6 <= catalog.token_rate(amount) < amount * 10**6 + 1
    assert amount * 10**12 == catalog.picture_rate(amount)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"rates": Rates()}, "says nothing"),
        ({"rates": Rates(picture=1, text=1)}, "either of a picture or of tokens"),
        ({"rates": Rates(picture=1), "output_tokens": 5}, "either of a picture or of tokens"),
        ({"rates": Rates(image_out=-1)}, "image_out must be from 0"),
        ({"rates": Rates(image_out=10**18 + 1)}, "image_out must be from 0"),
        ({"output_tokens": 0}, "output_tokens must be a whole number above 0"),
    ],
)
def test_what_is_no_price_is_refused(fields: dict[str, object], words: str) -> None:
    """With the model's name, and what is wrong."""
    with pytest.raises(UsageError, match=f"the price of flux.*{words}"):
        Override("flux", **cast("dict[str, Never]", fields))


@pytest.mark.parametrize(
    ("multipliers", "words"),
    [
        ((("a", Decimal(1)), ("a", Decimal(1))), "multiplier of a is given twice"),
        ((("", Decimal(-1)),), "multiplier of all providers must be from 0 to 1000"),
        ((("a", Decimal("nan")),), "must be from 0 to 1000"),
        ((("a", 1.1),), "must be an exact Decimal, not float"),
    ],
)
def test_what_is_no_multiplier_is_refused(multipliers: tuple[tuple[str, Decimal], ...], words: str) -> None:
    """A float is not exact, and none is below nothing."""
    with pytest.raises(UsageError, match=words):
        Overrides((), multipliers)


def test_a_price_is_given_once() -> None:
    """Of two nobody knows which one counts; for two providers they are two."""
    one = Override("flux", Rates(picture=1))
    with pytest.raises(UsageError, match="price of flux is given twice"):
        Overrides((one, one))
    assert 2 == len(Overrides((one, Override("flux", Rates(picture=2), provider="studio"))).rates)
