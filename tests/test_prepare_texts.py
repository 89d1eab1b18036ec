"""Requests without pictures as the engine is told of them: keys, demands, quotes, what may go together."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from attrs import evolve
from genai_prices import Usage as TheirUsage
from genai_prices import calc_price
from hypothesis import given
from hypothesis import strategies as st

from penstock import catalog
from penstock.catalog import Override, Overrides
from penstock.config import Config, Gathering, NearCache
from penstock.ids import Handle, Key
from penstock.money.charge import charge
from penstock.prepare import Prepared, Refusal, prepare
from penstock.readings import Usage
from penstock.requests import (
    ChatRequest,
    EmbeddingRequest,
    ImageRequest,
    InputImage,
    Message,
    ModerationRequest,
    Options,
    RawRequest,
    Request,
)
from penstock.work import Demand, Rates, Target, Timeouts

UNIX = 1_795_400_000.0
CHAT = "gpt-4o"
PRICES = Overrides((Override(CHAT, Rates(text=2_000, text_out=9_000)), Override("e", Rates(text=3))))
HELLO = ChatRequest(messages=(Message("user", "hello"),), model=CHAT, max_completion_tokens=50)
VECTORS = EmbeddingRequest(inputs=("a cat", "two dogs", (1, 2, 3)), model="e")
VERDICTS = ModerationRequest(texts=("kind words", "a bomb"))
GATHERS = Config(gathering=Gathering(most=8))


def made(request: Request, options: Options | None = None, config: Config | None = None, **told: str) -> Prepared:
    """The request, prepared."""
    found = prepare(
        request, options or Options(), config or Config(), handle=Handle(1), unix=UNIX, prices=PRICES, **told
    )
    assert isinstance(found, Prepared)
    return found


def target(request: Request, options: Options | None = None, config: Config | None = None, **told: str) -> Target:
    """Its first target."""
    return made(request, options, config, **told).work.targets[0]


def keys(request: Request, options: Options | None = None, **told: str) -> tuple[Key, ...]:
    """The keys of its results."""
    return target(request, options, None, **told).keys


CHANGES: list[tuple[Request, Callable[[], Request]]] = [
    (VECTORS, lambda: evolve(VECTORS, dimensions=5)),
    (VECTORS, lambda: evolve(VECTORS, extra=(("task", "query"),))),
    (VECTORS, lambda: evolve(VECTORS, model="f")),
    (VERDICTS, lambda: evolve(VERDICTS, model="mine")),
    (HELLO, lambda: evolve(HELLO, max_completion_tokens=51)),
    (HELLO, lambda: evolve(HELLO, temperature=0.5)),
    (HELLO, lambda: evolve(HELLO, n=2)),
    (HELLO, lambda: evolve(HELLO, seed=1)),
    (HELLO, lambda: evolve(HELLO, stop=("x",))),
    (HELLO, lambda: evolve(HELLO, tools=[{"type": "function"}])),
    (HELLO, lambda: evolve(HELLO, tool_choice="none")),
    (HELLO, lambda: evolve(HELLO, response_format={"type": "json_object"})),
    (HELLO, lambda: evolve(HELLO, extra=(("logit_bias", {"1": 2}),))),
    (HELLO, lambda: evolve(HELLO, messages=(Message("system", "hello"),))),
    (HELLO, lambda: evolve(HELLO, messages=(Message("user", ("hello",)),))),
    (HELLO, lambda: evolve(HELLO, messages=(Message("user", "hello", name="ann"),))),
]


@pytest.mark.parametrize(("request_", "change"), CHANGES)
def test_whatever_may_change_a_result_is_in_its_key(request_: Request, change: Callable[[], Request]) -> None:
    """No key of the one is a key of the other."""
    assert not {*keys(request_)} & {*keys(change())}


def test_what_changes_no_result_is_in_no_key() -> None:
    """Who asks, how it travels, and the order of names in JSON."""
    assert keys(VECTORS) == keys(evolve(VECTORS, user="u", encoding="float"))
    assert keys(HELLO) == keys(evolve(HELLO, user="u"))
    bias = [evolve(HELLO, extra=(("x", one),)) for one in ({"a": 1, "b": 2}, {"b": 2, "a": 1})]
    assert keys(bias[0]) == keys(bias[1])


def test_a_key_is_of_one_input() -> None:
    """The same text has the same key in any request; a text and its tokens have two."""
    first, second, third = keys(VECTORS)
    assert (second, first) == keys(evolve(VECTORS, inputs=("two dogs", "a cat")))
    assert len({first, second, third, *keys(VERDICTS), *keys(HELLO)}) == 3 + 2 + 1
    assert keys(evolve(VECTORS, inputs=("1",))) != keys(evolve(VECTORS, inputs=((1,),)))


def test_whom_it_is_for_and_who_is_asked_is_in_every_key() -> None:
    """Tenant, sample, provider, dialect, and the server that the name of a model does not tell."""
    raw = RawRequest(path="/videos", json={"model": "v"})
    for request in (VECTORS, VERDICTS, HELLO, raw):
        told = [
            keys(request),
            keys(request, Options(tenant="acme")),
            keys(request, Options(sample=1)),
            keys(request, provider="other"),
            keys(request, dialect="azure"),
            keys(request, server="https://a.example/v1"),
        ]
        assert len(told) == len({*told})
    assert keys(raw) != keys(evolve(raw, path="/images"))
    assert keys(raw) != keys(RawRequest(path="/videos", json={"model": "v", "x": 1}, model="v"))


def test_pictures_are_in_keys_by_their_digests() -> None:
    """Another address is another conversation, another content."""
    one, other = (InputImage.at(f"https://a.example/{name}.png") for name in "ab")
    assert keys(ModerationRequest(content=("x", one))) != keys(ModerationRequest(content=("x", other)))
    told = [evolve(HELLO, messages=(Message("user", ("x", image)),)) for image in (one, other)]
    assert keys(told[0]) != keys(told[1])


def test_each_input_has_a_demand_and_a_quote_of_its_own() -> None:
    """A token has at least a byte: that bounds the quote; given tokens are exact. The target has the largest."""
    found = target(VECTORS)
    assert [2, 3, 3] == [item.demand.tokens for item in found.array]
    assert [(16 + 5) * 3, (16 + 8) * 3, 3 * 3] == [item.quote for item in found.array]
    assert (3, (16 + 8) * 3, 3 * 3) == (found.demand.tokens, found.quote, found.expected)
    assert (2_048, 300_000, True) == (found.most, found.most_tokens, found.divisible)
    unknown = target(evolve(VECTORS, model="nobody-knows"))
    assert [None] * 4 == [unknown.quote, *(item.quote for item in unknown.array)]


def test_moderations_are_free_where_that_is_published() -> None:
    """Of another model's price nobody knows."""
    assert (0, [0, 0]) == (target(VERDICTS).quote, [item.quote for item in target(VERDICTS).array])
    content = ModerationRequest(content=("a", InputImage.at("https://a.example/a.png")))
    assert (0, (), 1) == (target(content).quote, target(content).array, target(content).most)
    assert target(evolve(VERDICTS, model="mine")).quote is None


def test_a_conversation_is_quoted_where_its_answer_is_bounded() -> None:
    """By its bytes, its bound and its number; pictures and an open end are beyond anybody's knowledge."""
    found = target(evolve(HELLO, n=2))
    assert (5 + 2 * 16) * 2_000 + 2 * 50 * 9_000 == found.quote
    assert found.expected is not None
    assert found.quote is not None
    assert found.expected < found.quote
    assert Demand(1, 0, 2 + 100) == found.demand
    assert target(evolve(HELLO, max_completion_tokens=None)).quote is None
    shown = evolve(HELLO, messages=(Message("user", ("hello", InputImage.at("https://a.example/a.png"))),))
    assert (None, 1) == (target(shown).quote, target(shown).demand.images)
    assert not target(HELLO).divisible


def test_what_has_a_price_and_no_bound_says_what_is_missing() -> None:
    """A budget that refuses it names the bound and not the price; without a price it is the price."""
    far = Message("user", ("hello", InputImage.at("https://a.example/a.png")))
    told = {
        "max_completion_tokens": evolve(HELLO, max_completion_tokens=None),
        "prediction of extra": evolve(HELLO, extra=(("prediction", {"type": "content"}),)),
        "pictures": evolve(HELLO, messages=(far,)),
    }
    for word, request in told.items():
        found = target(request)
        assert found.quote is None
        assert word in found.unbounded
        assert "" == target(evolve(request, model="nobody-knows")).unbounded
    assert "" == target(HELLO).unbounded


def test_all_that_goes_along_with_a_conversation_is_in_its_quote() -> None:
    """Whatever is sent with it may be billed as tokens, a byte a token; demand grows with it, too."""
    long = "z" * 3_000
    plain = target(HELLO)
    assert plain.quote is not None
    along: list[ChatRequest] = [
        evolve(HELLO, extra=(("functions", [{"name": "f", "description": long}]),)),
        evolve(HELLO, tools=[{"description": long}]),
        evolve(HELLO, tool_choice={"allowed_tools": [long]}),
        evolve(HELLO, response_format={"json_schema": long}),
        evolve(HELLO, messages=tuple([Message("user", "hello", name="n" * 200)] * 15)),
        evolve(HELLO, messages=tuple([Message("tool", "hello", tool_call_id="n" * 200)] * 15)),
    ]
    for one in along:
        found = target(one)
        assert found.quote is not None
        assert found.quote >= plain.quote + 3_000 * 2_000
        assert found.demand.tokens >= plain.demand.tokens + 1_000


@pytest.mark.parametrize("name", ["prediction", "service_tier", "web_search_options", "audio", "models", "plugins"])
def test_what_bills_in_another_way_has_no_quote(name: str) -> None:
    """Refused predictions bill as answers, searches by the call, tiers and other models at their own prices."""
    assert (None, None) == (
        target(evolve(HELLO, extra=((name, "x"),))).quote,
        target(evolve(HELLO, extra=((name, "x"),))).expected,
    )
    assert target(evolve(HELLO, extra=(("logit_bias", {"1": 2}),))).quote is not None


def test_a_raw_request_takes_what_its_user_says() -> None:
    """Demand and quote as they were given; unknown stays unknown."""
    raw = RawRequest(path="/videos", json={"model": "v"}, demand=Demand(tokens=9), quote=7)
    found = target(raw)
    assert (Demand(tokens=9), 7, 7, "v") == (found.demand, found.quote, found.expected, found.model)
    assert target(RawRequest(path="/videos", json={})).quote is None


def test_what_may_go_in_one_call() -> None:
    """All but the inputs must be alike; conversations, contents and raw requests go alone, and all does by default."""
    alike = [VECTORS, evolve(VECTORS, inputs=("other",))]
    assert 1 == len({target(one, config=GATHERS).gather for one in alike})
    unlike = [
        *alike[:1],
        evolve(VECTORS, dimensions=3),
        evolve(VECTORS, user="u"),
        evolve(VECTORS, encoding="float"),
        evolve(VECTORS, extra=(("task", "x"),)),
    ]
    digests = {target(one, config=GATHERS).gather for one in unlike}
    patient = target(VECTORS, Options(timeouts=Timeouts(total=5.0)), GATHERS).gather
    assert len(unlike) + 1 == len({*digests, patient})
    assert None not in digests
    content = ModerationRequest(content=("a",))
    for one in (HELLO, content, RawRequest(path="/a", json={})):
        assert target(one, config=GATHERS).gather is None
    assert target(VECTORS).gather is None


def test_no_near_cache_and_no_words() -> None:
    """Only pictures are found by meaning; a dialect without words refuses, and says so of a fallback, too."""
    near = Config(near=NearCache(hook="embed"))
    picture = ImageRequest(prompt="a cat", model="gpt-image-2")
    assert [False, True] == [made(one, Options(near=True), near).work.near for one in (HELLO, picture)]
    found = prepare(VECTORS, Options(), Config(), handle=Handle(1), unix=UNIX, dialect="stability")
    assert isinstance(found, Refusal)
    assert ("dialect", True) == (found.field, "embeddings" in found.message)
    chain = made(HELLO, Options(fallbacks=(("default", "other"),))).work.targets
    assert [CHAT, "other"] == [one.model for one in chain]
    assert chain[0].keys != chain[1].keys


def test_the_time_to_live_is_that_of_the_options() -> None:
    """A seed of a conversation is no promise, so its answer may grow old."""
    assert 5.0 == made(evolve(HELLO, seed=1), Options(ttl=5.0)).work.ttl


@pytest.mark.parametrize(
    "model",
    ["text-embedding-3-small", "text-embedding-3-large", "gpt-4o", "gpt-4o-mini-2024-07-18", "gpt-5", "gpt-4.1"],
)
@given(given_=st.integers(0, 10**6), cached=st.integers(0, 10**6), told=st.integers(0, 10**6))
def test_prices_against_an_independent_table(model: str, given_: int, cached: int, told: int) -> None:
    """To the picodollar what genai-prices says, for input, cached input and output."""
    rates = catalog.rates("openai", model, UNIX)
    assert rates is not None
    output = 0 if rates.text_out is None else told
    held = 0 if rates.cached_text is None else cached
    usage = Usage(input_text=given_, input_cached_text=held, output_text=output)
    theirs = calc_price(
        TheirUsage(input_tokens=given_ + held, cache_read_tokens=held, output_tokens=output),
        model,
        provider_id="openai",
    )
    ours = charge(usage, rates, 0, None) if given_ + held + output else 0
    assert Decimal(theirs.total_price) * 10**12 == ours
