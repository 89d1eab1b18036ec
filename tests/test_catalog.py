"""What is known of models, their sizes, tokens and prices."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Never, cast

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from penstock import catalog
from penstock.catalog._load import load, rows, table, text, texts, whole
from penstock.requests import ImageRequest

NOVEMBER = catalog.moment("2026-11-21")
GRID = ("gpt-image-2", "gpt-image-2.5-flare", "gpt-image-2.6-sunburst")


def asked(model: str, **fields: object) -> str | None:
    """The field that the model objects to."""
    known = catalog.model(model)
    assert known is not None
    found = catalog.objection(
        known, evolve(ImageRequest(prompt="a cat", model=model), **cast("dict[str, Never]", fields))
    )
    return None if found is None else found.field


SHEET = {
    "1024x640": ((107, 956, 3824), (107, 239, 956, 1700, 3824)),
    "1024x1024": ((196, 1756, 7024), (196, 439, 1756, 3122, 7024)),
    "1536x1024": ((158, 1372, 5488), (158, 343, 1372, 2459, 5488)),
    "1024x1536": ((158, 1372, 5488), (158, 343, 1372, 2459, 5488)),
    "1536x864": ((120, 1078, 4312), (120, 280, 1078, 1917, 4312)),
    "2048x1152": ((157, 1413, 5650), (157, 367, 1413, 2511, 5650)),
    "2048x2048": ((397, 3568, 14272), (397, 892, 3568, 6343, 14272)),
    "2560x1440": ((205, 1843, 7370), (205, 478, 1843, 3276, 7370)),
    "3072x1024": ((103, 988, 3952), (103, 247, 988, 1729, 3952)),
    "3840x2160": ((371, 3336, 13342), (371, 865, 3336, 5930, 13342)),
}


@pytest.mark.parametrize("size", SHEET)
def test_the_formula_gives_the_published_table(size: str) -> None:
    """Output tokens of gpt-image-2 and 2.5 at every size and quality of the fact sheet."""
    second, later = SHEET[size]
    for quality, figure in zip(("low", "medium", "high"), second, strict=True):
        assert figure == catalog.output_tokens("gpt-image-2", size, quality)
    for quality, figure in zip(("low", "medium", "high", "xhigh", "max"), later, strict=True):
        assert figure == catalog.output_tokens("gpt-image-2.5-flare", size, quality)


@pytest.mark.parametrize(
    ("size", "quality", "figure"),
    [
        ("1024x1024", "low", 272),
        ("1024x1536", "medium", 1584),
        ("1536x1024", "high", 6208),
        ("1024x1024", "auto", 4160),
        (None, "high", 6240),
        ("auto", None, 6240),
        ("2048x2048", "high", None),
        ("1024x1024", "max", None),
    ],
)
def test_the_earlier_models_go_by_their_table(size: str | None, quality: str | None, figure: int | None) -> None:
    """A fixed table; "auto" is the dearest entry; what is not in the table is unknown."""
    assert figure == catalog.output_tokens("gpt-image-1.5", size, quality)


def fits(width: int, height: int) -> bool:
    """The rules of the guide, said another way."""
    ratio = Fraction(width, height)
    sides = width in range(16, 3841, 16) and height in range(16, 3841, 16)
    return sides and Fraction(1, 3) <= ratio <= 3 and 640 * 1024 <= width * height <= 2160 * 3840


@given(
    st.integers(1, 260).flatmap(lambda w: st.tuples(st.just(w), st.integers(max(1, w // 4), min(260, 4 * w)))),
    st.sampled_from([0, 0, 0, 1, 8]),
    st.sampled_from(GRID),
)
def test_sizes_agree_with_another_formulation(sides: tuple[int, int], off: int, model: str) -> None:
    """The validator takes exactly what the guide's rules take."""
    width, height = sides[0] * 16 + off, sides[1] * 16
    assert (None if fits(width, height) else "size") == asked(model, size=f"{width}x{height}")


@pytest.mark.parametrize(
    ("size", "taken"),
    [
        ("3072x1024", True),
        ("3088x1024", False),
        ("1024x640", True),
        ("1008x640", False),
        ("3840x2160", True),
        ("3840x2176", False),
        ("3856x1600", False),
    ],
)
def test_the_edges_of_the_grid_belong_to_it(size: str, taken: bool) -> None:
    """The last size that fits is taken, the next one is not."""
    assert (None if taken else "size") == asked("gpt-image-2", size=size)


@given(st.sampled_from(["low", "medium", "high"]), st.integers(1, 240), st.integers(1, 240))
def test_auto_is_the_worst_case(quality: str, across: int, down: int) -> None:
    """No size that fits takes more tokens than "auto" is quoted with."""
    width, height = across * 16, down * 16
    if not fits(width, height):
        return
    most = catalog.output_tokens("gpt-image-2", "auto", quality)
    figure = catalog.output_tokens("gpt-image-2", f"{width}x{height}", quality)
    assert most is not None
    assert figure is not None
    assert figure <= most
    assert most <= (catalog.output_tokens("gpt-image-2", None, None) or 0)


@pytest.mark.parametrize("size", ["1024", "01024x1024", "1024X1024", "1024x1024 ", "-16x16", "\u0661024x1024", "0x0"])
def test_what_is_no_size_is_refused(size: str) -> None:
    """Only plain WIDTHxHEIGHT is a size."""
    assert catalog.parse(size) is None
    assert asked("gpt-image-2", size=size) == "size"


def test_the_newest_models_have_no_bound_but_an_estimate() -> None:
    """2.6 has no published formula: no bound, and an estimate above everything that was measured."""
    name = "gpt-image-2.6-flare"
    assert catalog.output_tokens(name, "1024x1024", "high") is None
    for size, quality, measured in (
        ("1536x1024", "low", 664),
        ("1536x1024", "high", 1353),
        ("3840x2160", "high", 3337),
        ("1024x1024", "auto", 5800),
    ):
        figure = catalog.estimated_tokens(name, size, quality)
        assert figure is not None
        assert measured <= figure <= measured * 1.35


@pytest.mark.parametrize(
    ("model", "fields", "objects_to"),
    [
        ("gpt-image-1.5", {"size": "2048x2048"}, "size"),
        ("gpt-image-1.5", {"size": "auto", "quality": "high"}, None),
        ("gpt-image-2", {"quality": "max"}, "quality"),
        ("gpt-image-2.5-flare", {"quality": "max"}, None),
        ("gpt-image-2", {"quality": "hd"}, "quality"),
        ("gpt-image-2", {"output_format": "gif"}, "output_format"),
        ("gpt-image-2.6-flare", {"output_format": "gif"}, None),
        ("gpt-image-2", {"complexity": "low"}, "complexity"),
        ("gpt-image-2.6-flare", {"complexity": "low"}, None),
        ("gpt-image-2.6-flare", {"complexity": "max"}, "complexity"),
        ("gpt-image-2", {"background": "transparent"}, None),
        ("gpt-image-2", {"background": "transparent", "output_format": "webp"}, None),
        ("gpt-image-2", {"background": "transparent", "output_format": "jpeg"}, "background"),
        ("gpt-image-2", {"background": "blue"}, "background"),
        ("gpt-image-2", {"moderation": "none"}, "moderation"),
        ("gpt-image-2", {"output_compression": 50}, "output_compression"),
        ("gpt-image-2", {"output_compression": 100}, None),
        ("gpt-image-2", {"output_compression": 50, "output_format": "webp"}, None),
        ("gpt-image-2", {"extra": (("style", "vivid"),)}, "style"),
        ("gpt-image-2", {"seed": 4, "user": "u", "n": 100}, None),
        ("gpt-image-2", {"prompt": "x" * 32_001}, "prompt"),
        ("gpt-image-2", {"prompt": "x" * 32_000}, None),
    ],
)
def test_a_model_objects_to_what_it_does_not_take(
    model: str, fields: dict[str, object], objects_to: str | None
) -> None:
    """The first field that a model does not take is named, and nothing else is."""
    assert objects_to == asked(model, **fields)


def test_an_objection_says_what_is_taken() -> None:
    """Whoever is refused can mend it from the message alone."""
    known = catalog.model("gpt-image-1.5")
    assert known is not None
    found = catalog.objection(known, ImageRequest(prompt="a", model="gpt-image-1.5", size="1x1"))
    assert found is not None
    assert found.message == "1x1 is none of 1024x1024, 1536x1024, 1024x1536, auto, which gpt-image-1.5 takes"


def test_snapshots_mean_their_model_and_strangers_nobody() -> None:
    """A snapshot is its model; an id that nobody knows has neither model, price, tokens nor end."""
    assert catalog.model("gpt-image-2-2026-04-21") is catalog.model("gpt-image-2")
    for name in ("gpt-image-9", "flux", "dall-e-3"):
        assert catalog.model(name) is None
        assert catalog.rates("openai", name, NOVEMBER) is None
        assert catalog.output_tokens(name, "1024x1024", "low") is None
        assert catalog.estimated_tokens(name, None, None) is None
    assert catalog.ending("flux") is None


@pytest.mark.parametrize(
    ("model", "text_in", "image_out", "text_out"),
    [
        ("gpt-image-2", 5_000_000, 30_000_000, None),
        ("gpt-image-2.5-sunburst", 5_000_000, 30_000_000, None),
        ("gpt-image-2.6-flare", 5_000_000, 30_000_000, None),
        ("gpt-image-1.5-2025-12-16", 5_000_000, 32_000_000, 10_000_000),
        ("chatgpt-image-latest", 5_000_000, 32_000_000, 10_000_000),
        ("gpt-image-1-mini", 2_000_000, 8_000_000, None),
    ],
)
def test_prices_are_those_of_the_fact_sheet(model: str, text_in: int, image_out: int, text_out: int | None) -> None:
    """Picodollars a token; a class without a published price is None, never zero."""
    price = catalog.rates("openai", model, NOVEMBER)
    assert price is not None
    assert (text_in, image_out, text_out) == (price.text, price.image_out, price.text_out)
    assert price.source
    assert price.since


def test_a_price_holds_from_its_day_to_its_last() -> None:
    """Before a price is published, and after it ends, none is known; another dialect has its own."""
    begins, ends = catalog.moment("2025-12-16"), catalog.moment("2026-12-01")
    assert catalog.rates("openai", "gpt-image-1.5", begins - 1) is None
    assert catalog.rates("openai", "gpt-image-1.5", begins) is not None
    assert catalog.rates("openai", "gpt-image-1.5", ends - 1) is not None
    assert catalog.rates("openai", "gpt-image-1.5", ends) is None
    assert catalog.rates("openrouter", "gpt-image-1.5", begins) is None


def test_fractions_of_a_dollar_are_exact() -> None:
    """1.25 dollars a million tokens are 1,250,000 picodollars a token."""
    price = catalog.rates("openai", "gpt-image-2", NOVEMBER)
    assert price is not None
    assert price.cached_text == 1_250_000


def test_endings_are_known_with_what_comes_after() -> None:
    """Models that go or are gone have a date and replacements that are in the catalog."""
    for name, day in (("gpt-image-1-mini", "2026-12-01"), ("gpt-image-1", "2026-10-23"), ("dall-e-3", "2026-05-12")):
        end = catalog.ending(name)
        assert end is not None
        assert day == end.shutdown
        assert all(catalog.model(other) is not None for other in end.replacements)
    assert catalog.ending("gpt-image-2") is None


@pytest.mark.parametrize(("number", "tpm", "ipm"), [(1, 100_000, 5), (4, 3_000_000, 150), (5, 8_000_000, 250)])
def test_tiers_are_those_of_the_fact_sheet(number: int, tpm: int, ipm: int) -> None:
    """Tokens and images a minute."""
    limits = catalog.tier(number)
    assert limits is not None
    assert (tpm, ipm) == (limits.tpm, limits.ipm)


def test_an_unknown_tier_has_no_limits() -> None:
    """The free tier has no image models."""
    assert catalog.tier(0) is None


@given(st.text(max_size=100).filter(lambda value: value.isprintable()))
def test_a_prompt_never_takes_more_tokens_than_bytes(prompt: str) -> None:
    """The bound is the bytes and sixteen."""
    assert catalog.input_tokens_bound(prompt) == 16 + len(prompt.encode())


def test_every_fact_has_a_source_and_every_model_a_price() -> None:
    """No figure stands in the data without saying where it comes from."""
    models = load("models.json")
    listed = rows(models["models"]) + rows(models["gone"]) + rows(models["latencies"])
    for row in listed + rows(load("prices.json")["prices"]):
        assert text(row["source"])
    for family in table(models["families"]).values():
        assert text(table(family)["source"])
        assert text(table(table(family)["tokens"])["source"])
    for name in catalog.names():
        assert catalog.rates("openai", name, NOVEMBER) is not None


@pytest.mark.parametrize(
    "call", [lambda: table([]), lambda: rows({}), lambda: text(1), lambda: texts("x"), lambda: whole(True)]
)
def test_data_of_another_shape_is_noticed(call: object) -> None:
    """A data file that does not keep its promise raises TypeError at once."""
    assert callable(call)
    with pytest.raises(TypeError):
        call()


def test_rounding_is_half_to_even_and_up() -> None:
    """1536x864 at base 24 is 13.5 sides, which is 14; tokens are rounded up."""
    expected = ceil(Fraction(24 * 14 * (2_000_000 + 1536 * 864), 4_000_000))
    assert expected == catalog.output_tokens("gpt-image-2.5-flare", "1536x864", "medium")


@pytest.mark.parametrize(
    ("day", "name"),
    [
        ("2026-11-22", "gpt-image-2.5-flare"),
        ("2026-09-08", "gpt-image-2.5-flare"),
        ("2026-09-07", "gpt-image-2"),
        ("2026-04-21", "gpt-image-2"),
        ("2026-04-20", "gpt-image-1.5"),
        ("2025-12-16", "gpt-image-1.5"),
        ("1970-01-01", "gpt-image-2.5-flare"),
        ("2090-01-01", "gpt-image-2.5-flare"),
    ],
)
def test_the_default_model_is_the_newest_that_can_be_quoted(day: str, name: str) -> None:
    """2.6 has no published formula, so nobody pays for it unasked; a clock that was never set does no harm."""
    assert name == catalog.default_model(catalog.moment(day))


def test_the_default_model_is_there_with_a_price_on_its_day() -> None:
    """Whatever day it is from the first price on, it is released, not shut down, and its bound is known."""
    day = catalog.moment("2025-12-16")
    while day < catalog.moment("2027-06-01"):
        known = catalog.model(catalog.default_model(day))
        assert known is not None
        assert catalog.moment(known.released) <= day
        assert not known.shutdown or day < catalog.moment(known.shutdown)
        assert catalog.rates("openai", known.name, day) is not None
        assert catalog.output_tokens(known.name, None, None) is not None
        day += 86_400.0


def test_typical_seconds_are_measured_or_general() -> None:
    """What was measured for a model and a quality goes first, snapshots mean their model, strangers have none."""
    assert 94.0 == catalog.typical_seconds("gpt-image-2-2026-04-21", "high")
    assert 9.0 == catalog.typical_seconds("gpt-image-2.6-flare", "low")
    assert {20.0} == {catalog.typical_seconds("gpt-image-2.5-flare", quality) for quality in (None, "auto", "max")}
    assert None is catalog.typical_seconds("never-heard-of", "low")
    for name in catalog.names():
        low, high = catalog.typical_seconds(name, "low"), catalog.typical_seconds(name, "high")
        assert low is not None
        assert high is not None
        assert 0.0 < low <= high
