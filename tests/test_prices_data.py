"""The price list keeps its promises: every entry dated and sourced, none overlapping, none ever changed."""

from __future__ import annotations

from decimal import Decimal
from hashlib import sha256
from itertools import pairwise
from json import dumps

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import catalog
from penstock.catalog._load import Json, load, rows, text, texts
from penstock.catalog.prices import BATCH, CLASSES, STANDARD, find_in, table_of

LISTED = rows(load("prices.json")["prices"])

PUBLISHED = {
    "sdwebui * standard 2022-08-22": "ca3b3c37",
    "localai * standard 2022-08-22": "ea712030",
    "local * standard 2022-08-22": "02f53c60",
    "gpt-image-1 standard 2026-07-22": "656010a3",
    "gpt-image-1-mini standard 2026-07-22": "e0db777d",
    "chatgpt-image-latest standard 2026-07-22": "e5d2edee",
    "gpt-image-1.5 standard 2025-12-16": "946f33a3",
    "gpt-image-2 standard 2026-04-21": "dacc4153",
    "gpt-image-2.5-flare standard 2026-09-08": "dede34b4",
    "gpt-image-2.5-sunburst standard 2026-09-08": "dede34b4",
    "gpt-image-2.6-flare standard 2026-11-04": "7b6859b9",
    "gpt-image-2.6-sunburst standard 2026-11-04": "7b6859b9",
    "gpt-image-1 batch 2026-10-14": "a082c7f4",
    "gpt-image-1-mini batch 2026-10-14": "f50124d3",
    "gpt-image-1.5 batch 2026-10-14": "2d8dc7ca",
    "gpt-image-2 batch 2026-10-14": "4412ba9e",
    "gpt-image-2.5-flare batch 2026-10-14": "4412ba9e",
    "gpt-image-2.5-sunburst batch 2026-10-14": "4412ba9e",
    "text-embedding-3-small standard 2026-11-22": "ea9fa29b",
    "text-embedding-3-large standard 2026-11-22": "17ef1cc9",
    "text-embedding-ada-002 standard 2026-11-22": "b8133d8d",
    "gpt-4.1 standard 2026-11-22": "33e20ae0",
    "gpt-4.1-2025-04-14 standard 2026-11-22": "33e20ae0",
    "gpt-4.1-mini standard 2026-11-22": "9676c342",
    "gpt-4.1-mini-2025-04-14 standard 2026-11-22": "9676c342",
    "gpt-4.1-nano standard 2026-11-22": "60d22362",
    "gpt-4.1-nano-2025-04-14 standard 2026-11-22": "60d22362",
    "gpt-4o standard 2026-11-22": "f0ea9c35",
    "gpt-4o-2024-08-06 standard 2026-11-22": "f0ea9c35",
    "gpt-4o-2024-11-20 standard 2026-11-22": "f0ea9c35",
    "gpt-4o-mini standard 2026-11-22": "629d69cf",
    "gpt-4o-mini-2024-07-18 standard 2026-11-22": "629d69cf",
    "gpt-5 standard 2026-11-22": "0b18fa1e",
    "gpt-5-2025-08-07 standard 2026-11-22": "0b18fa1e",
    "gpt-5-mini standard 2026-11-22": "97a09917",
    "gpt-5-mini-2025-08-07 standard 2026-11-22": "97a09917",
    "gpt-5-nano standard 2026-11-22": "019a8faa",
    "gpt-5.1 standard 2026-11-22": "0b18fa1e",
    "gpt-5.1-2025-11-13 standard 2026-11-22": "0b18fa1e",
    "gpt-5.2 standard 2026-11-22": "fea7e133",
    "gpt-5.2-2025-12-11 standard 2026-11-22": "fea7e133",
    "gpt-5.4-mini standard 2026-11-22": "b052da98",
    "gpt-5.4-mini-2026-03-17 standard 2026-11-22": "b052da98",
    "gpt-5.4-nano standard 2026-11-22": "b7eba594",
    "gpt-5.4-nano-2026-03-17 standard 2026-11-22": "b7eba594",
    "omni-moderation-latest standard 2026-08-21": "409779a2",
    "omni-moderation-2024-09-26 standard 2026-08-21": "409779a2",
}
"""Entries that stood in the list once: eight hex digits of what they said. A wrong one is ended and another added."""

SQUARE = {
    "gpt-image-2": ("0.006", "0.053", "0.211"),
    "gpt-image-1.5": ("0.009", "0.034", "0.133"),
}
OBLONG = {
    "gpt-image-2": ("0.005", "0.041", "0.165"),
    "gpt-image-1.5": ("0.013", "0.05", "0.20"),
}
"""What the provider's pages say that a picture costs, by quality; 1-mini's do not agree with its own tokens."""


def names_of(row: dict[str, Json]) -> list[str]:
    """An entry by model, processing and first day, once a model; of other dialects than OpenAI's also by theirs."""
    processing, dialect = text(row.get("processing")) or STANDARD, text(row["dialect"])
    whose = "" if dialect == "openai" else f"{dialect} "
    return [f"{whose}{model} {processing} {text(row['since'])}" for model in texts(row["models"])]


def digest(row: dict[str, Json]) -> str:
    """Eight hex digits of what an entry says, its end apart."""
    said = {name: value for name, value in row.items() if name not in ("until", "models")}
    return sha256(dumps(said, sort_keys=True).encode()).hexdigest()[:8]


def test_every_entry_has_a_source_and_a_day() -> None:
    """Who says it and since when; an end is after its beginning."""
    for row in LISTED:
        since, until = text(row["since"]), text(row["until"])
        assert text(row["source"])
        assert catalog.moment(since) < (catalog.moment(until) if until else float("inf"))
        assert text(row.get("processing")) in ("", STANDARD, BATCH)
        assert set() == set(row) - {*CLASSES, "picture", "source", "since", "until", "processing", "dialect", "models"}
        assert any(name in row for name in (*CLASSES, "picture"))


def test_entries_of_a_model_never_overlap() -> None:
    """At most one price of a model and a processing holds on a day."""
    spans: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for row in LISTED:
        for name in texts(row["models"]):
            key = (text(row["dialect"]), text(row.get("processing")) or STANDARD, name)
            spans.setdefault(key, []).append((text(row["since"]), text(row["until"]) or "9999"))
    for spans_of in spans.values():
        spans_of.sort()
        assert all(first[1] <= second[0] for first, second in pairwise(spans_of))


def test_no_entry_is_changed() -> None:
    """What was charged by an entry can be understood later: it stands as it was published, and only its end is set."""
    assert PUBLISHED == {name: digest(row) for row in LISTED for name in names_of(row)}


@pytest.mark.parametrize(
    ("size", "table"), [("1024x1024", SQUARE), ("1536x1024", OBLONG), ("1024x1536", OBLONG)], ids=str
)
def test_prices_of_pictures_are_those_of_their_tokens(size: str, table: dict[str, tuple[str, ...]]) -> None:
    """The page's price of a picture is its tokens at their rate, to the last digit that the page shows."""
    for name, prices in table.items():
        rates = catalog.rates("openai", name, catalog.moment("2026-11-21"))
        assert rates is not None
        assert rates.image_out is not None
        for quality, dollars in zip(("low", "medium", "high"), prices, strict=True):
            tokens = catalog.output_tokens(name, size, quality)
            assert tokens is not None
            shown = Decimal(dollars)
            assert shown == (Decimal(tokens * rates.image_out) / 10**12).quantize(shown)


@given(st.integers(-2, 40).map(lambda days: days * 86_400.0))
def test_a_later_entry_takes_over_on_its_day(after: float) -> None:
    """Before the first nothing is known; the first holds to the day of the second; after the last nothing is known."""
    day = catalog.moment("2026-01-01")
    common: dict[str, Json] = {"dialect": "d", "models": ["m"], "source": "s"}
    table = table_of(
        [
            {**common, "since": "2026-01-01", "until": "2026-01-11", "picture": "0.04"},
            {**common, "since": "2026-01-11", "until": "2026-02-01", "picture": "0.05"},
        ]
    )
    found = find_in(table, "d", ("m",), day + after, STANDARD)
    expected = 40_000_000_000 if after < 10 * 86_400 else 50_000_000_000
    assert (expected if 0 <= after < 31 * 86_400 else None) == (None if found is None else found.picture)


def test_a_snapshot_may_have_a_price_of_its_own() -> None:
    """It goes by it, and by nothing else, on days that have none; a snapshot without goes by its model's."""
    common: dict[str, Json] = {"dialect": "d", "since": "2026-01-01", "source": "s"}
    table = table_of(
        [
            {**common, "models": ["m", "other"], "until": None, "picture": "0.04"},
            {**common, "models": ["m-2026"], "until": "2026-02-01", "picture": "0.05"},
        ]
    )
    told = [
        find_in(table, "d", (name, "m"), catalog.moment(day), STANDARD)
        for name, day in (("m-2026", "2026-01-31"), ("m-2026", "2026-02-01"), ("m-2027", "2026-01-31"))
    ]
    assert [50_000_000_000, None, 40_000_000_000] == [None if rates is None else rates.picture for rates in told]
    assert find_in(table, "e", ("m",), catalog.moment("2026-01-31"), STANDARD) is None
    assert find_in(table, "d", ("m",), catalog.moment("2026-01-31"), BATCH) is None


@pytest.mark.parametrize("dialect", ["local", "localai", "sdwebui"])
def test_servers_of_ones_own_bill_nothing(dialect: str) -> None:
    """Whatever the model is called, one of the catalog's names too; elsewhere an unknown name has no price."""
    for model in ("flux", "gpt-image-2"):
        found = catalog.rates(dialect, model, catalog.moment("2026-11-21"))
        assert found is not None
        assert (0, "servers of your own bill nothing") == (found.picture, found.source)
    assert catalog.rates("generic", "flux", catalog.moment("2026-11-21")) is None
