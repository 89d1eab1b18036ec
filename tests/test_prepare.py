"""What a request becomes before anything is decided about it."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from penstock import catalog
from penstock.cache import keys
from penstock.config import Config, NearCache
from penstock.ids import Handle
from penstock.prepare import Prepared, Refusal, prepare
from penstock.requests import ImageRequest, Options
from penstock.work import CachePolicy, OnAmbiguous, Priority, Screen, Timeouts

DAY = catalog.moment("2026-11-21")
CAT = ImageRequest(prompt="a cat", model="gpt-image-2", size="1024x1024", quality="low")


def ready(
    request: ImageRequest, options: Options | None = None, *, unix: float = DAY, config: Config | None = None
) -> Prepared:
    """The request, prepared."""
    made = prepare(request, options or Options(), config or Config(), handle=Handle(7), unix=unix)
    assert isinstance(made, Prepared)
    return made


def refused(request: ImageRequest, options: Options | None = None) -> Refusal:
    """What is said against it."""
    made = prepare(request, options or Options(), Config(), handle=Handle(7), unix=DAY)
    assert isinstance(made, Refusal)
    return made


def test_a_target_says_what_a_sample_takes() -> None:
    """Demand, quote, expectation, prices and keys of one picture, from the catalog."""
    made = ready(evolve(CAT, n=3), Options(sample=2, tenant="acme"))
    (target,) = made.work.targets
    prompt = 16 + len("a cat")
    assert (1, 1, 196 + prompt) == (target.demand.requests, target.demand.images, target.demand.tokens)
    assert target.quote == 196 * 30_000_000 + prompt * 5_000_000
    assert target.expected == 196 * 30_000_000 + (16 + 5 // 4) * 5_000_000
    assert target.rates == catalog.rates("openai", "gpt-image-2", DAY)
    expected = keys(CAT, provider="default", dialect="openai", model="gpt-image-2", tenant="acme", first=2, samples=3)
    assert expected == target.keys
    assert (True, 10, None, "gpt-image-2") == (target.divisible, target.most, target.gather, target.pool)
    assert made.handle == made.work.handle == 7


@given(
    st.text(min_size=1, max_size=400).filter(lambda text: text.isprintable() and bool(text.strip())),
    st.sampled_from(["medium", "high"]),
    st.sampled_from(["1024x1024", "1536x1024", "2048x2048"]),
)
def test_a_quote_is_above_the_charge_and_near_it(prompt: str, quality: str, size: str) -> None:
    """With everything fixed the quote bounds the charge, and the picture's share of it is exact."""
    (target,) = ready(ImageRequest(prompt=prompt, model="gpt-image-2", size=size, quality=quality)).work.targets
    output = catalog.output_tokens("gpt-image-2", size, quality)
    assert output is not None
    assert target.quote is not None
    charge = output * 30_000_000 + (len(prompt) // 4 + 1) * 5_000_000
    assert charge <= target.quote
    assert target.quote - charge <= (16 + len(prompt.encode())) * 5_000_000


def test_options_go_into_the_work() -> None:
    """Whatever the engine decides by is there."""
    options = Options(
        tenant="acme",
        tags=("a", "b"),
        priority=Priority.BATCH,
        deadline=9.0,
        on_ambiguous=OnAmbiguous.SKIP,
        cache=CachePolicy.ONLY,
        screens=(Screen("p1", hook="h"),),
        defer=True,
        near=True,
        ttl=60.0,
    )
    work = ready(CAT, options, config=Config(near=NearCache(hook="e"))).work
    assert ("acme", ("a", "b"), Priority.BATCH, 9.0) == (work.tenant, work.tags, work.priority, work.deadline)
    assert (OnAmbiguous.SKIP, CachePolicy.ONLY, True, 60.0) == (work.on_ambiguous, work.cache, work.defer, work.ttl)
    assert options.screens == work.screens
    assert work.near
    assert not ready(CAT, options).work.near


def test_an_unknown_model_passes_with_an_unknown_price() -> None:
    """Everything that was given is sent as it is; price and quote are unknown, never zero."""
    request = ImageRequest(prompt="x", model="flux", size="2K", seed=5, extra=(("steps", 20),))
    made = ready(request)
    (target,) = made.work.targets
    assert (None, None, None) == (target.quote, target.expected, target.rates)
    assert target.pool == "flux"
    assert () == target.warnings
    assert (("size", "2K"), ("seed", 5), ("steps", 20)) == made.said[0].parameters


def test_a_model_without_a_formula_has_demand_but_no_quote() -> None:
    """2.6: its price is known, its tokens only by measurement."""
    made = ready(evolve(CAT, model="gpt-image-2.6-flare", quality=None))
    (target,) = made.work.targets
    assert target.quote is None
    assert target.rates is not None
    assert target.expected is not None
    assert target.demand.tokens > 5_800
    assert (("size", "1024x1024"), ("quality", "auto")) == made.said[0].parameters


def test_a_day_without_a_price_has_no_quote() -> None:
    """A price is not used before its day."""
    (target,) = ready(CAT, unix=0.0).work.targets
    assert (None, None) == (target.quote, target.rates)


def test_a_seed_is_a_variant_where_the_model_knows_none() -> None:
    """It is not sent, it makes another key, and both is said."""
    made = ready(evolve(CAT, seed=4))
    (target,) = made.work.targets
    assert "seed" not in dict(made.said[0].parameters)
    assert (("seed", "4"),) == target.asked
    assert any("seed" in warning for warning in target.warnings)
    assert target.keys != ready(CAT).work.targets[0].keys


def test_what_a_seed_names_does_not_expire() -> None:
    """It is to be the same again, whenever it is asked for."""
    assert (60.0, None) == tuple(ready(evolve(CAT, seed=seed), Options(ttl=60.0)).work.ttl for seed in (None, 4))


@pytest.mark.parametrize(
    ("model", "day", "words"),
    [
        ("gpt-image-1.5", "2026-11-21", "will be shut down on 2026-12-01; use gpt-image-2.6-flare or"),
        ("gpt-image-1.5", "2026-12-01", "was shut down on 2026-12-01; use"),
        ("dall-e-3", "2026-11-21", "was shut down on 2026-05-12; use"),
    ],
)
def test_a_model_near_its_end_is_warned_of(model: str, day: str, words: str) -> None:
    """From 30 days before, and after, with what to use instead."""
    (target,) = ready(ImageRequest(prompt="x", model=model), unix=catalog.moment(day)).work.targets
    assert any(words in warning for warning in target.warnings)


def test_a_model_far_from_its_end_is_not_warned_of() -> None:
    """Two months before, nothing is said."""
    request = ImageRequest(prompt="x", model="gpt-image-1.5")
    assert () == ready(request, unix=catalog.moment("2026-10-01")).work.targets[0].warnings


def test_a_short_time_out_is_warned_of() -> None:
    """A picture cut off is still paid; the model's own time-out says nothing."""
    assert ready(CAT).work.targets[0].timeouts == Timeouts(10.0, 600.0)
    assert () == ready(CAT, Options(timeouts=Timeouts(1.0, 600.0))).work.targets[0].warnings
    (target,) = ready(CAT, Options(timeouts=Timeouts(5.0, 60.0))).work.targets
    assert Timeouts(5.0, 60.0) == target.timeouts
    assert "still paid" in target.warnings[0]


def test_what_a_model_does_not_take_is_refused_with_what_it_takes() -> None:
    """Before anything is sent."""
    told = refused(evolve(CAT, quality="max"))
    assert Refusal("quality", "quality max is none of low, medium, high, auto, which gpt-image-2 takes") == told


def test_the_whole_chain_is_prepared() -> None:
    """One target a fallback, each with as many keys, all keys different."""
    made = ready(evolve(CAT, n=2), Options(fallbacks=(("other", "gpt-image-2"), ("default", "gpt-image-1.5"))))
    targets = made.work.targets
    assert ["default/gpt-image-2", "other/gpt-image-2", "default/gpt-image-1.5"] == [t.group for t in targets]
    assert ["gpt-image-2", "gpt-image-2", "gpt-image-1.5"] == [said.model for said in made.said]
    assert [2, 2, 2] == [len(target.keys) for target in targets]
    assert len({key for target in targets for key in target.keys}) == 6
    assert targets[2].pool == "gpt-image"


def test_a_chain_that_cannot_be_said_is_refused_at_once() -> None:
    """The first choice would do, the fallback would not: nothing is bought."""
    told = refused(evolve(CAT, size="2048x2048"), Options(fallbacks=(("default", "gpt-image-1.5"),)))
    assert told.field == "size"
    assert told.message.startswith("(fallback 1: default/gpt-image-1.5)")


def test_no_prompt_is_in_the_work_or_in_a_repr() -> None:
    """The engine never sees it, and a log of what is prepared does not show it."""
    made = ready(evolve(CAT, prompt="xyzzy-plugh"))
    assert "xyzzy" not in repr(made)
    assert "xyzzy" not in repr(made.work)
