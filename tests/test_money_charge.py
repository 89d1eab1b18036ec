"""What an attempt cost, from what its reply says: never less for want of a figure, and never made up."""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from penstock.money.charge import charge
from penstock.readings import Usage
from penstock.requests import ImageRequest
from penstock.wire._json import Json
from penstock.wire._usage import usage as read_usage
from penstock.wire.replies import reply
from penstock.work import Rates

COUNTS = st.integers(0, 10**7)
USAGES = st.builds(Usage, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
RATE = st.integers(0, 10**9)
FULL = st.builds(Rates, RATE, RATE, RATE, RATE, RATE, RATE)
SOME = st.builds(Rates, *[st.none() | RATE] * 7)
QUOTES = st.none() | st.integers(0, 10**15)

GPT_15 = Rates(text=5_000_000, image=8_000_000, image_out=32_000_000, text_out=10_000_000)


@given(USAGES, FULL, QUOTES)
def test_a_charge_is_the_sum_of_its_classes(usage: Usage, rates: Rates, quote: int | None) -> None:
    """Where all rates are known: tokens times rate, added up, whatever was quoted; without pictures, unknown."""
    counts = (
        usage.input_text, usage.input_cached_text, usage.input_image, usage.input_cached_image,
        usage.output_image, usage.output_text,
    )  # fmt: skip
    prices = (rates.text, rates.cached_text, rates.image, rates.cached_image, rates.image_out, rates.text_out)
    expected = sum(count * (price or 0) for count, price in zip(counts, prices, strict=True))
    known = expected if usage.output_image or (quote is not None and expected > quote) else None
    assert known == charge(usage, rates, 1, quote)


@given(USAGES, SOME, st.integers(1, 10))
def test_a_class_without_a_price_is_not_free(usage: Usage, rates: Rates, pictures: int) -> None:
    """Without a quote either the charge is unknown, or every token has a price, or a picture has."""
    priced = (
        rates.text is not None or not usage.input_text,
        rates.text is not None or rates.cached_text is not None or not usage.input_cached_text,
        rates.image is not None or not usage.input_image,
        rates.image is not None or rates.cached_image is not None or not usage.input_cached_image,
        rates.image_out is not None or not usage.output_image,
        rates.text_out is not None or not usage.output_text,
    )
    known = (all(priced) and usage.output_image > 0) or rates.picture is not None
    assert known == (charge(usage, rates, pictures, None) is not None)


@given(USAGES, st.integers(1, 10**15), st.none() | SOME, st.integers(1, 10), QUOTES)
def test_the_providers_own_figure_goes_first(
    usage: Usage, cost: int, rates: Rates | None, pictures: int, quote: int | None
) -> None:
    """Whatever tokens and prices would say."""
    told = Usage(
        usage.input_text, usage.input_cached_text, usage.input_image, usage.input_cached_image,
        usage.output_image, usage.output_text, cost,
    )  # fmt: skip
    assert cost == charge(told, rates, pictures, quote)


@given(USAGES, SOME, st.integers(1, 10), QUOTES)
def test_a_cost_of_nothing_makes_no_picture_free(usage: Usage, rates: Rates, pictures: int, quote: int | None) -> None:
    """Where a price is known a provider's figure of 0 is as if it were not there; without pictures it is the bill."""
    told = evolve(usage, cost=0)
    prices = (
        *(rates.text, rates.cached_text, rates.image, rates.cached_image, rates.image_out, rates.text_out),
        rates.picture,
    )
    expected = charge(usage, rates, pictures, quote) if any(prices) else 0
    assert (expected, 0) == (charge(told, rates, pictures, quote), charge(told, rates, 0, quote))
    assert 0 == charge(told, None, pictures, quote)


@given(st.none() | USAGES, st.none() | SOME, st.integers(1, 10), QUOTES)
def test_a_bound_is_no_charge(usage: Usage | None, rates: Rates | None, pictures: int, quote: int | None) -> None:
    """What was quoted makes nothing known, but that what is known already is more than that."""
    without, found = charge(usage, rates, pictures, None), charge(usage, rates, pictures, quote)
    if without is not None or found is None:
        assert without == found
    else:
        assert quote is not None
        assert quote < found


@given(st.none() | USAGES, SOME)
def test_what_costs_nothing_at_most_costs_nothing(usage: Usage | None, rates: Rates) -> None:
    """Without pictures, and where no more is known: a moderation says no tokens at all, and is free."""
    known, found = charge(usage, rates, 0, None), charge(usage, rates, 0, 0)
    assert found is not None
    assert known is None or known == found
    assert usage is not None or found == 0


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_output_that_is_not_itemised_is_pictures(text: int, output: int) -> None:
    """1.5 has a price of text output, a third of that of pictures: it is not taken for what may be pictures."""
    used = read_usage({"input_tokens": text, "output_tokens": output})
    expected = text * 5_000_000 + output * 32_000_000
    assert (expected if output else None) == charge(used, GPT_15, 1, None)


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ({"image_tokens": 900, "text_tokens": 100}, 900 * 32 + 100 * 10),
        ({"text_tokens": 100}, 900 * 32 + 100 * 10),
        ({"image_tokens": 900}, 1000 * 32),
        (None, 1000 * 32),
        ({}, 1000 * 32),
        ({"text_tokens": None, "image_tokens": None}, 1000 * 32),
        ({"text_tokens": 999}, 999 * 10 + 32),
        ({"text_tokens": 1000}, None),
        ({"text_tokens": 1000, "image_tokens": 0}, None),
    ],
)
def test_what_the_details_leave_out_is_pictures(details: Json, expected: int | None) -> None:
    """Of a thousand tokens of output, all that is not said to be text; text alone is no picture's whole bill."""
    used = read_usage({"input_tokens": 0, "output_tokens": 1000, "output_tokens_details": details})
    assert (None if expected is None else expected * 1_000_000) == charge(used, GPT_15, 1, None)


@given(st.lists(st.none() | st.integers(0, 10**15), min_size=1, max_size=6))
def test_a_sum_with_an_unknown_cost_is_unknown(costs: list[int | None]) -> None:
    """The provider's own figure of several replies, of which one says nothing, is not the sum of the others."""
    first, *others = (Usage(input_text=1, cost=cost) for cost in costs)
    total = sum(others, first)
    expected = None if None in costs else sum(cost or 0 for cost in costs)
    assert (expected, len(costs)) == (total.cost, total.input_text)


@given(USAGES, FULL, st.integers(1, 12))
def test_the_parts_of_a_usage_cost_as_much_as_the_whole(usage: Usage, rates: Rates, parts: int) -> None:
    """Spread over pictures in whole tokens, nothing is lost and nothing comes to it."""
    whole = charge(usage, rates, 0, None)
    assert (whole or 0) == sum(charge(part, rates, 0, None) or 0 for part in usage.split(parts))


@given(USAGES, FULL, st.integers(0, 1000))
def test_a_multiplier_never_takes_less_than_its_share(usage: Usage, rates: Rates, percent: int) -> None:
    """Rates are rounded up, so that a bound made of them still is one."""
    share = Decimal(percent) / 100
    plain, more = charge(usage, rates, 0, None), charge(usage, rates.times(share), 0, None)
    assert (plain is None) == (more is None) == (usage == Usage())
    assert Fraction(share) * (plain or 0) <= (more or 0)


PLAIN = st.builds(Usage, input_text=st.integers(1, 10**5), output_image=st.integers(1, 10**6))
GARBLED: st.SearchStrategy[Json] = st.sampled_from(["196", "", True, -5, 10**30, 1.5, 1e300, [7], {}])
GONE = "gone"


@given(
    PLAIN, st.dictionaries(st.sampled_from(["input_tokens", "output_tokens", "total_tokens"]), st.just(GONE) | GARBLED)
)
def test_a_usage_that_is_not_whole_is_never_too_small_a_charge(used: Usage, damage: dict[str, Json]) -> None:
    """Whatever of it a server leaves out or garbles: the charge is the bill, or unknown."""
    given, made = used.input_text, used.output_image
    told: dict[str, Json] = {"input_tokens": given, "output_tokens": made, "total_tokens": given + made}
    bill = given * 5_000_000 + made * 32_000_000
    for name, what in damage.items():
        told = {other: value for other, value in told.items() if other != name}
        if what != GONE:
            told[name] = what
    found = charge(read_usage(told), GPT_15, 1, bill)
    assert (
        bill
        if len(damage) < 2 and damage.get("input_tokens", GONE) == damage.get("output_tokens", GONE) == GONE
        else None
    ) == found  # of the three, any two that are said say all


@given(
    st.builds(Usage, *[st.integers(1, 10**5)] * 6),
    st.sampled_from(["input_tokens", "output_tokens", "text_tokens", "image_tokens", "cached_tokens_details"]),
    GARBLED.filter(lambda what: what != {}),
)
def test_one_garbled_class_makes_the_whole_unknown(used: Usage, name: str, what: Json) -> None:
    """Wherever it stands in the usage of a reply that itemises everything."""
    body = json.loads(reply([b""], used, ImageRequest(prompt="p", model="m"), 1).body)
    whole = body["usage"]
    assert used == read_usage(whole)
    for table in (whole, whole["input_tokens_details"]):
        if name in table:
            table[name] = what
    assert read_usage(whole) is None
