"""Our prices against an independent package, genai-prices, for the models that it knows.

It is a table in a wheel: it is asked here with the network cut off, as it is everywhere else.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from genai_prices import Usage as TheirUsage
from genai_prices import calc_price
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import catalog
from penstock.catalog.prices import BATCH, STANDARD
from penstock.money.charge import charge
from penstock.readings import Usage

DAY = "2026-10-20"
"""A day on which every model that it knows was there, and its batch prices held."""

STRANGERS = {
    "gpt-image-2.6-flare": "younger than the package",
    "gpt-image-2.6-sunburst": "younger than the package",
}
"""Models that the package does not know, and why."""

WITHOUT_BATCH = {
    "chatgpt-image-latest": "an alias, which its provider's batch table does not list",
    **STRANGERS,
}
"""Models for which the package has no price of a batch API, nor have we."""

SHARED = [name for name in (*catalog.names(), "gpt-image-1", "gpt-image-1.5-2025-12-16") if name not in STRANGERS]

TEXT_OUT = {"gpt-image-1.5", "gpt-image-1.5-2025-12-16", "chatgpt-image-latest"}
"""Models with a published price of text output. For the others the package prices all output like pictures, we say
that nobody knows."""


def theirs(usage: Usage, name: str, *, itemised: bool = True, processing: str = STANDARD) -> Decimal:
    """What the package says that it costs, in dollars."""
    counts = {
        "input_tokens": usage.input_text + usage.input_cached_text + usage.input_image + usage.input_cached_image,
        "cache_read_tokens": usage.input_cached_text + usage.input_cached_image,
        "input_image_tokens": usage.input_image + usage.input_cached_image,
        "cache_image_read_tokens": usage.input_cached_image,
        "output_tokens": usage.output_image + usage.output_text,
        "output_image_tokens": usage.output_image,
    }
    told = TheirUsage(**{word: count for word, count in counts.items() if itemised or word != "output_image_tokens"})
    when = datetime.fromisoformat(DAY).replace(tzinfo=UTC)
    context = {"processing": processing} if processing == BATCH else None
    answer = calc_price(told, name, provider_id="openai", genai_request_timestamp=when, price_context=context)
    return Decimal(answer.total_price)


def ours(usage: Usage, name: str, processing: str = STANDARD) -> Decimal | None:
    """What we say, in dollars."""
    found = catalog.rates("openai", name, catalog.moment(DAY), processing)
    cost = charge(usage, found, int(usage.output_image + usage.output_text > 0), None)
    return None if cost is None else Decimal(cost) / 10**12


COUNTS = st.integers(0, 20_000)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(SHARED),
    st.builds(Usage, st.integers(1, 9_999), COUNTS, COUNTS, COUNTS, COUNTS, COUNTS),
    st.sampled_from([STANDARD, BATCH]),
)
def test_both_charge_the_same(name: str, usage: Usage, processing: str) -> None:
    """Whatever a reply says it used, class by class: the same dollars, to the last digit.

    Where a picture came, tokens of text alone are not all of it: ours is unknown then.
    """
    if processing == BATCH and name in WITHOUT_BATCH:
        return
    if usage.output_text and name not in TEXT_OUT:
        assert ours(usage, name, processing) is None
        return
    if usage.output_text and not usage.output_image:
        assert ours(usage, name, processing) is None
        return
    assert theirs(usage, name, processing=processing) == ours(usage, name, processing)


@pytest.mark.parametrize("name", STRANGERS)
def test_what_the_package_does_not_know_is_still_unknown_to_it(name: str) -> None:
    """Once it knows them they are to be compared, too."""
    with pytest.raises(LookupError):
        theirs(Usage(1, output_image=1), name)


@pytest.mark.parametrize("name", WITHOUT_BATCH)
def test_no_batch_price_is_made_up(name: str) -> None:
    """Where none is published, none is known."""
    assert catalog.batch_rates("openai", name, catalog.moment(DAY)) is None


def test_output_that_is_not_itemised_is_pictures_with_us() -> None:
    """The package bills it like text for 1.5, less than a third: the known difference, and why we read it so."""
    plain = Usage(10, output_image=4160)
    assert Decimal("0.04165") == theirs(plain, "gpt-image-1.5", itemised=False)
    assert Decimal("0.13317") == theirs(plain, "gpt-image-1.5") == ours(plain, "gpt-image-1.5")
    assert theirs(plain, "gpt-image-2", itemised=False) == theirs(plain, "gpt-image-2") == ours(plain, "gpt-image-2")


def test_batch_prices_are_the_published_ones_not_a_half() -> None:
    """Cached text of 1.5 is rounded up on the page: 0.63, not 0.625."""
    full, batch = (
        found("openai", "gpt-image-1.5", catalog.moment(DAY)) for found in (catalog.rates, catalog.batch_rates)
    )
    assert full is not None
    assert batch is not None
    assert (1_250_000, 630_000) == (full.cached_text, batch.cached_text)


CUT_OFF = """
import socket, threading
def refuse(*args, **kwargs):
    raise SystemExit("the network was asked for")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from genai_prices import Usage, calc_price
calc_price(Usage(input_tokens=1), "gpt-image-2", provider_id="openai")
assert [threading.main_thread()] == threading.enumerate()
"""


def test_the_package_needs_no_network() -> None:
    """Importing and asking it opens no connection and starts no thread."""
    done = subprocess.run([sys.executable, "-c", CUT_OFF], capture_output=True, text=True, check=False)
    assert (0, "") == (done.returncode, done.stderr)
