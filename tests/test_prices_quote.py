"""What a picture is quoted: never below its charge, and with everything fixed hardly above it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import catalog
from penstock.catalog import Override, Overrides, Price
from penstock.config import Config
from penstock.ids import Handle
from penstock.money.charge import charge
from penstock.money.quote import Quote, Shape, quote
from penstock.prepare import Prepared, prepare
from penstock.readings import Usage
from penstock.requests import ImageRequest, Options
from penstock.work import Rates, Target

DAY = catalog.moment("2026-11-21")
QUOTED = [name for name in catalog.names() if catalog.output_tokens(name, None, None) is not None]
GRID = [16 * side for side in range(40, 241)]


@st.composite
def fixed(draw: st.DrawFn) -> ImageRequest:
    """A request whose size and quality are said, for a model whose formula is published."""
    name = draw(st.sampled_from(QUOTED))
    known = catalog.model(name)
    assert known is not None
    sizes = (
        st.sampled_from(known.sizes)
        if known.sizes
        else st.builds("{}x{}".format, st.sampled_from(GRID), st.sampled_from(GRID)).filter(
            lambda size: catalog.GRID.fits(*(catalog.parse(size) or (0, 0)))
        )
    )
    return ImageRequest(
        prompt=draw(st.text(min_size=1, max_size=300).filter(lambda text: text.isprintable() and bool(text.strip()))),
        model=name,
        size=draw(sizes),
        quality=draw(st.sampled_from([quality for quality in known.qualities if quality != "auto"])),
        n=draw(st.integers(1, 40)),
    )


def target_of(request: ImageRequest, prices: Overrides = catalog.NO_OVERRIDES) -> Target:
    """How it is prepared."""
    made = prepare(request, Options(), Config(), handle=Handle(1), unix=DAY, prices=prices)
    assert isinstance(made, Prepared)
    return made.work.targets[0]


def published(name: str) -> Price:
    """What a model costs everybody."""
    return catalog.NO_OVERRIDES.price("default", "openai", name, DAY)


@settings(max_examples=400, deadline=None)
@given(fixed(), st.integers(0, 400), st.integers(0, 3))
def test_a_bound_is_near_the_charge(request: ImageRequest, words: int, previews: int) -> None:
    """Over models, sizes, qualities, n and previews: charge <= bound <= 1.05 x charge, prompt tokens apart.

    The provider counts the prompt once, as anything up to a token a byte; its pictures are what the page says.
    """
    target = target_of(request)
    each = catalog.output_tokens(request.model, request.size, request.quality)
    assert each is not None
    prompt = min(words, 16 + len(request.prompt.encode()))
    usage = Usage(input_text=prompt, output_image=(each + 100 * previews) * request.n)
    cost = charge(usage, target.rates, request.n, None)
    told = quote(request, published(request.model), Shape(previews=previews)).times(request.n)
    assert cost is not None
    assert told.bound is not None
    assert target.rates is not None
    assert target.rates.text is not None
    assert cost <= told.bound
    allowed = (16 + len(request.prompt.encode())) * target.rates.text * request.n
    assert 20 * (told.bound - allowed) <= 21 * (cost - prompt * target.rates.text)
    assert previews or target.quote == told.bound // request.n


@given(fixed(), st.sampled_from(["size", "quality"]), st.sampled_from([None, "auto"]))
def test_what_the_model_may_choose_is_quoted_at_its_dearest(
    request: ImageRequest, name: str, silence: str | None
) -> None:
    """Whatever size or quality it takes, it is no more than the bound of "auto" and of silence."""
    free = evolve(request, size=silence) if name == "size" else evolve(request, quality=silence)
    dear, plain = target_of(free).quote, target_of(request).quote
    assert dear is not None
    assert plain is not None
    assert plain <= dear


@given(fixed())
def test_what_is_expected_is_within_the_bound(request: ImageRequest) -> None:
    """Probably is never above at most."""
    for asked in (request, evolve(request, size=None), evolve(request, quality="auto", size="auto")):
        told = quote(asked, published(asked.model))
        assert told.bound is not None
        assert told.expected is not None
        assert 0 < told.expected <= told.bound


@pytest.mark.parametrize(
    ("model", "pixels", "fidelity", "tokens"),
    [
        ("gpt-image-1.5", (1024, 1024), "low", 65 + 129),
        ("gpt-image-1.5", (1536, 1024), "low", 65 + 2 * 129),
        ("gpt-image-1.5", (1024, 1024), "high", 65 + 129 + 4160),
        ("gpt-image-1.5", (1024, 1537), "high", 65 + 2 * 129 + 6240),
        ("gpt-image-1.5", (1024, 1024), None, 65 + 129 + 4160),
        ("gpt-image-1-mini", (512, 2049), None, 65 + 5 * 129),
        ("gpt-image-1.5", (0, 5), None, None),
        ("gpt-image-1.5", (5, 5), "middling", None),
        ("gpt-image-2", (1024, 1024), None, None),
        ("flux", (1024, 1024), None, None),
    ],
)
def test_images_that_a_picture_is_made_from(
    model: str, pixels: tuple[int, int], fidelity: str | None, tokens: int | None
) -> None:
    """Tiles as published, the dearest fidelity where none is said; nothing where nothing is published."""
    assert tokens == catalog.image_tokens(model, *pixels, fidelity)


@pytest.mark.parametrize(
    ("pixels", "tokens"),
    [((1024, 1024), 1024), ((1536, 1024), 1536), ((341, 512), 704), ((1179, 2556), 1482), ((1, 1), 1024)],
)
def test_images_are_expected_as_they_were_measured(pixels: tuple[int, int], tokens: int) -> None:
    """gpt-image-2 and later: no bound, but what third parties saw."""
    assert tokens == catalog.estimated_image_tokens("gpt-image-2", *pixels)


@given(st.integers(1, 20_000), st.integers(1, 20_000))
def test_no_image_takes_more_patches_than_there_are(width: int, height: int) -> None:
    """Whatever its sides are, it takes some, and at most 1,536."""
    tokens = catalog.estimated_image_tokens("gpt-image-2.5-flare", width, height)
    assert tokens is not None
    assert 1 <= tokens <= 1536


def test_images_count_in_a_quote() -> None:
    """Each at the rate of its class; one that nobody can count makes the bound unknown, and not what is expected."""
    request = ImageRequest(prompt="a cat", model="gpt-image-1.5", size="1024x1024", quality="low")
    plain, price = quote(request, published(request.model)), published(request.model)
    two = quote(request, price, Shape(images=((1024, 1024), (1536, 1024)), fidelity="low"))
    assert plain.bound is not None
    assert plain.expected is not None
    more = (65 + 129 + 65 + 2 * 129) * 8_000_000
    assert Quote(plain.bound + more, plain.expected + more) == two
    later = evolve(request, model="gpt-image-2")
    unsure = quote(later, published(later.model), Shape(images=((1024, 1024),)))
    assert (None, True) == (unsure.bound, unsure.expected is not None)


def test_previews_cost_a_hundred_tokens_each() -> None:
    """At the rate of output, besides the picture."""
    request = ImageRequest(prompt="a cat", model="gpt-image-2", size="1024x1024", quality="low")
    plain, three = (quote(request, published(request.model), Shape(previews=count)) for count in (0, 3))
    assert plain.bound is not None
    assert three.bound == plain.bound + 3 * 100 * 30_000_000


def test_unknown_stays_unknown() -> None:
    """No price, no rate of a class that is needed, no formula: None, also times anything."""
    request = ImageRequest(prompt="a cat", model="flux")
    assert Quote(None, None) == quote(request, Price()).times(5)
    assert Quote(None, None) == quote(evolve(request, model="gpt-image-2"), Price(Rates(text=1)))
    assert Quote(None, None) == quote(request, Price(Rates(text=1, image_out=1)))
    newest = quote(evolve(request, model="gpt-image-2.6-flare"), published("gpt-image-2.6-flare"))
    assert (None, True) == (newest.bound, newest.expected is not None)


def test_a_price_of_a_picture_is_the_whole_price() -> None:
    """Whatever is asked for."""
    prices = Overrides((Override("flux", Rates(picture=40_000_000_000)),))
    target = target_of(ImageRequest(prompt="a cat", model="flux", n=3), prices)
    assert (40_000_000_000, 40_000_000_000) == (target.quote, target.expected)
    assert 120_000_000_000 == charge(Usage(5, output_image=9), target.rates, 3, None)


def test_a_user_may_say_how_many_tokens_a_picture_takes() -> None:
    """Where no formula is published there is then a bound, and its tokens count in the demand."""
    request = ImageRequest(prompt="a cat", model="gpt-image-2.6-flare", quality="low")
    prices = Overrides((Override("gpt-image-2.6-flare", output_tokens=900),))
    target = target_of(request, prices)
    assert target.quote == 900 * 30_000_000 + (16 + 5) * 5_000_000
    assert target.expected is not None
    assert target.expected <= target.quote
    less = target_of(request, Overrides((Override("gpt-image-2.6-flare", output_tokens=100),)))
    assert less.quote == less.expected == 100 * 30_000_000 + (16 + 5) * 5_000_000
    mine = Overrides((Override("flux", Rates(text=1, image_out=2), output_tokens=700),))
    target = target_of(ImageRequest(prompt="a cat", model="flux"), mine)
    assert (700 * 2 + 21, 700 + 21) == (target.quote, target.demand.tokens)


def test_a_formula_goes_before_what_a_user_says() -> None:
    """It is exact."""
    request = ImageRequest(prompt="a cat", model="gpt-image-2", size="1024x1024", quality="low")
    prices = Overrides((Override("gpt-image-2", output_tokens=9_000),))
    assert target_of(request).quote == target_of(request, prices).quote


def test_a_charge_goes_by_the_rates_of_the_quote() -> None:
    """Prices of one's own count after the reply, too."""
    request = ImageRequest(prompt="a cat", model="gpt-image-2", size="1024x1024", quality="low")
    target = target_of(request, Overrides(multipliers=(("", Decimal("1.055")),)))
    usage = Usage(10, output_image=196)
    assert 10 * 5_275_000 + 196 * 31_650_000 == charge(usage, target.rates, 1, target.quote)
