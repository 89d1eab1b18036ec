"""Conversations, vectors, verdicts and anything else, over the three drivers against the simulated provider."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from penstock.catalog import Override, Overrides
from penstock.config import Config, Gathering, Retry
from penstock.errors import BudgetExceeded, InvalidRequest, JobError, ProviderError
from penstock.outcomes import Source, Status
from penstock.requests import InputImage, Message, Options
from penstock.simulation.server import Latency, ServerSettings
from penstock.work import CachePolicy, Demand, Rates
from penstock_io.answers import ChatResult, EmbeddingResult, ModerationResult, RawResult
from penstock_io.journal import Journal
from penstock_io.simserver import SimServer, serving
from penstock_io.stores import Store
from penstock_io.stores.memory import MemoryStore
from penstock_io.stores.sqlite import SqliteStore
from tests.drivers.harness import DRIVERS, Side, running
from tests.scripted import scripted

KEY = "sk-very-secret-key-of-mine"
MODEL = "text-embedding-3-small"
QUICK = ServerSettings(latency=Latency(0.0, 0.0), refusal_delay=0.0, flagged="bomb")
RETRY = Retry(base=0.005)
LONG = "word " * 8_000
"""More tokens than an input may have, and less than is refused before it is sent."""

CHAT_RATES = Rates(text=2_500_000, text_out=10_000_000)
PRICES = Overrides((Override(MODEL, Rates(text=20_000)), Override("gpt-4o", CHAT_RATES)))


@contextmanager
def client(
    driver: str, settings: ServerSettings = QUICK, config: Config | None = None, **arguments: Any
) -> Iterator[tuple[Side, SimServer]]:
    """A client of a driver, and the provider that it asks."""
    with ExitStack() as stack:
        sim = stack.enter_context(serving(settings))
        told = {"base_url": sim.base_url, "api_keys": [KEY], "config": config or Config(retry=RETRY), **arguments}
        yield stack.enter_context(running(driver, "httpx2", **told)), sim


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    """Each driver."""
    name: str = request.param
    return name


def embed(side: Side, inputs: list[str], **arguments: Any) -> EmbeddingResult:
    """`client.embeddings.create`."""
    found: EmbeddingResult = side.ask(
        lambda client: client.embeddings.create(input=inputs, model=MODEL, dimensions=4, **arguments)
    )
    return found


def moderate(side: Side, **arguments: Any) -> ModerationResult:
    """`client.moderations.create`."""
    found: ModerationResult = side.ask(lambda client: client.moderations.create(**arguments))
    return found


def chat(side: Side, messages: Any, **arguments: Any) -> ChatResult:
    """`client.chat.complete`."""
    found: ChatResult = side.ask(lambda client: client.chat.complete(messages=messages, model="gpt-4o", **arguments))
    return found


def post(side: Side, path: str, **arguments: Any) -> RawResult:
    """`client.raw.post`."""
    found: RawResult = side.ask(lambda client: client.raw.post(path, **arguments))
    return found


@pytest.mark.parametrize("encoding", ["base64", "float"])
def test_vectors_come_in_the_order_of_their_inputs(driver: str, encoding: str) -> None:
    """One call for all of them; the same text has the same vector, whichever way it travels, and tokens are paid."""
    with client(driver, prices=PRICES) as (side, sim):
        result = embed(side, ["a cat", "a dog", "a cat"], encoding=encoding)
        stats = sim.stats()
    assert [0, 1, 2] == [one.index for one in result.embeddings]
    assert result.vectors[0] == result.vectors[2] != result.vectors[1]
    assert [4, 4, 4] == [len(one) for one in result.vectors]
    assert (Status.COMPLETED, 6, Decimal("0.00000012")) == (
        result.outcome.status,
        result.usage.input_text if result.usage else None,
        result.cost,
    )
    assert (1, 1) == (stats["received"], result.attempts)


def test_tokens_are_an_input_too(driver: str) -> None:
    """A list of whole numbers is the tokens of one input."""
    with client(driver) as (side, _):
        result: EmbeddingResult = side.ask(
            lambda client: client.embeddings.create(input=[[1, 2], [3]], model=MODEL, dimensions=2)
        )
    assert (2, 3) == (len(result.vectors), result.usage.input_text if result.usage else None)


@pytest.mark.parametrize("vector", [[math.nan, 1.0, 2.0, 3.0], [None, 1.0, 2.0, 3.0]], ids=["NaN", "null"])
def test_a_vector_of_numbers_that_are_none_is_paid_once(driver: str, vector: list[float | None]) -> None:
    """Neither asked for again nor told as doubtful: it came, it was charged, and the other input has its vector."""
    good = {"index": 1, "embedding": [0.5, 0.5, 0.5, 0.5]}
    data = [{"index": 0, "embedding": vector}, good]
    answer = {"object": "list", "data": data, "usage": {"prompt_tokens": 6, "total_tokens": 6}}
    with scripted(answer) as script:
        told: dict[str, Any] = {
            "base_url": script.origin,
            "api_keys": [KEY],
            "config": Config(retry=RETRY),
            "prices": PRICES,
        }
        with running(driver, "httpx2", **told) as side:
            found = embed(side, ["a cat", "a dog"])
    outcome = found.outcome
    assert 1 == len(script.heard)
    assert (Status.PARTIAL, [1], 1) == (outcome.status, [one.index for one in found.embeddings], outcome.lost)
    assert Decimal("0.00000012") == found.cost
    assert "lost" == getattr(outcome.error, "kind", "")


def test_tokens_that_only_a_total_tells_of_are_paid_and_warned_of(driver: str) -> None:
    """They are charged as output, and the result says so."""
    usage = {"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 117}
    choices = [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}]
    with scripted({"choices": choices, "usage": usage}) as script:
        told: dict[str, Any] = {"base_url": script.origin, "api_keys": [KEY], "prices": PRICES}
        with running(driver, "httpx2", **told) as side:
            found = chat(side, [Message("user", "hello")])
    assert Decimal("0.001095") == found.cost
    (warning,) = found.warnings
    assert "100 tokens above its input and output" in warning


@pytest.mark.parametrize("kind", ["memory", "sqlite", "journal"])
def test_only_what_is_not_stored_is_bought(driver: str, kind: str, tmp_path: Path) -> None:
    """Input by input: another request with a known input and a new one sends the new one alone."""
    with ExitStack() as stack:
        arguments: dict[str, Any] = {}
        if kind == "journal":
            arguments["journal"] = stack.enter_context(Journal.open(tmp_path / "folder"))
        else:
            store: Store = MemoryStore()
            if kind == "sqlite":
                store = stack.enter_context(SqliteStore(tmp_path / "store.sqlite"))
            arguments["store"] = store
        side, sim = stack.enter_context(client(driver, prices=PRICES, **arguments))
        first = embed(side, ["a cat", "a dog"])
        second = embed(side, ["a bird", "a cat"])
        third = embed(side, ["a dog", "a bird"])
        other = side.ask(lambda client: client.embeddings.create(input="a cat", model=MODEL, dimensions=5))
        stats = sim.stats()
        assert [Source.BOUGHT, Source.STORED] == [one.source for one in second.embeddings]
        assert first.vectors[0] == second.vectors[1]
        assert (Status.CACHED, Decimal(0), None) == (third.outcome.status, third.cost, third.usage)
        assert (first.vectors[1], second.vectors[0]) == third.vectors
    assert (5, 3) == (len(other.vectors[0]), stats["received"])
    assert 4 * 2 * 20_000 == stats["billed"]  # four inputs of two tokens


def test_whom_nothing_may_be_bought_for(driver: str) -> None:
    """`only` never buys, and says so."""
    with client(driver, store=MemoryStore()) as (side, sim):
        embed(side, ["a cat"])
        assert embed(side, ["a cat"], options=Options(cache=CachePolicy.ONLY)).cached
        partial = embed(side, ["a cat", "a dog"], options=Options(cache=CachePolicy.ONLY))
        stats = sim.stats()
    assert (Status.PARTIAL, [0], 1) == (
        partial.outcome.status,
        [one.index for one in partial.embeddings],
        stats["received"],
    )
    assert partial.error is not None


def test_verdicts_are_free_and_open(driver: str) -> None:
    """Texts one by one, a content as a whole; what is flagged is no error, and nothing is charged."""
    with client(driver) as (side, _):
        texts = moderate(side, input=["kind words", "a bomb"])
        one = moderate(side, input="kind words")
        content = moderate(side, content=["a bomb", InputImage.at("https://a.example/cat.png")])
    assert [False, True] == [one.flagged for one in texts.results]
    assert (True, False, True) == (texts.flagged, one.flagged, content.flagged)
    assert 1 == len(content.results)
    assert {"violence"} == {name for name, said in texts.results[1].categories.items() if said}
    assert 0.9 == texts.results[1].scores["violence"]
    assert [Decimal(0)] * 3 == [texts.cost, one.cost, content.cost]


def test_a_conversation_is_answered(driver: str) -> None:
    """Text, tools, JSON, several answers; tokens by class and their price."""
    with client(driver, prices=PRICES, store=MemoryStore()) as (side, sim):
        hello = chat(side, [Message("system", "Be kind."), {"role": "user", "content": "hello"}])
        again = chat(side, [Message("system", "Be kind."), Message("user", "hello")])
        short = chat(side, "hello", max_completion_tokens=1, n=3)
        tools = [{"type": "function", "function": {"name": "look", "parameters": {}}}]
        called = chat(side, "look", tools=tools, tool_choice="required")
        said = chat(side, "hello", response_format={"type": "json_object"})
        stats = sim.stats()
    assert ("You said: hello", "stop", "You said: hello") == (hello.text, hello.finish_reason, again.text)
    assert hello.usage is not None
    assert (5, 4, 0) == (hello.usage.input_text, hello.usage.output_text, hello.usage.output_image)
    assert Decimal(5 * 2_500_000 + 4 * 10_000_000) / 10**12 == hello.cost
    assert (True, Decimal(0)) == (again.cached, again.cost)
    assert [("You ", "length")] * 3 == [(one.text, one.finish_reason) for one in short.choices]
    assert ["look"] == [one["function"]["name"] for one in called.tool_calls]  # type: ignore[index] # what was sent
    assert '{"answer": "You said: hello"}' == said.text
    assert "gpt-4o" == hello.body["model"]
    assert 4 == stats["received"]


def test_a_conversation_has_pictures(driver: str) -> None:
    """By address or by their bytes; they count as images of the limits, and nobody quotes them."""
    with client(driver, prices=PRICES) as (side, sim):
        shown = Message("user", ("what is this?", InputImage.at("https://a.example/cat.png")))
        result = chat(side, [shown])
        stats = sim.stats()
    assert ("You said: https://a.example/cat.png", 1) == (result.text, stats["pictures"])


def test_who_knows_only_max_tokens_is_told_so(driver: str) -> None:
    """One refusal, which costs nothing, and then it is remembered; each result says what was done."""
    settings = ServerSettings(latency=Latency(0.0, 0.0), refusal_delay=0.0, lacks=("max_completion_tokens",))
    with client(driver, settings) as (side, sim):
        first = chat(side, "hello", max_completion_tokens=1)
        second = chat(side, "good bye", max_completion_tokens=1)
        free = chat(side, "good bye")
        stats = sim.stats()
    assert ("You ", "You ", "You said: good bye") == (first.text, second.text, free.text)
    assert (4, 3, {"invalid": 1}) == (stats["received"], stats["executed"], stats["rejected"])
    assert ((2, 1), (1, 1), (1, 0)) == tuple((one.attempts, len(one.warnings)) for one in (first, second, free))
    assert "max_completion_tokens" in first.warnings[0]


def test_any_other_request(driver: str) -> None:
    """Its reply as it came, its usage where it says some; its cost is its own figure, or at most its quote."""
    with client(driver, budget=Decimal(1), store=MemoryStore()) as (side, sim):
        asked = {"json": {"model": MODEL, "input": "a cat", "dimensions": 1}, "demand": Demand(tokens=9)}
        first = post(side, "/embeddings", quote=Decimal("0.25"), **asked)
        again = post(side, "/embeddings", quote=Decimal("0.25"), **asked)
        with pytest.raises(BudgetExceeded):
            post(side, "/embeddings", quote=Decimal(2), json={"model": "other", "input": "a"})
        with pytest.raises(BudgetExceeded):
            post(side, "/embeddings", json={"model": "other", "input": "a"})
        with pytest.raises(ProviderError) as missing:
            post(side, "/videos", quote=Decimal("0.01"), json={"model": "sora"})
        stats = sim.stats()
    assert isinstance(first.json, dict)
    assert {"object": "list", "model": MODEL} == {name: first.json[name] for name in ("object", "model")}
    assert (2, True, first.data) == (first.usage.input_text if first.usage else None, again.cached, again.data)
    trouble = missing.value.outcome.error
    assert (2, "unknown_url") == (stats["received"], trouble.code if trouble else "")


def test_nobody_else_has_words_for_it(driver: str) -> None:
    """What a dialect cannot say is refused before anything is sent, and so is a fallback of a raw request."""
    with client(driver, dialect="sdwebui") as (side, _), pytest.raises(InvalidRequest, match="embeddings"):
        embed(side, ["a cat"])
    fallen = Options(fallbacks=(("default", "other"),))
    with client(driver) as (side, _), pytest.raises(InvalidRequest, match="fallbacks"):
        post(side, "/videos", json={}, options=fallen)


def together(side: Side, inputs: list[list[str]]) -> list[EmbeddingResult | JobError]:
    """What several callers get who ask at the same time."""

    def ask(mine: list[str]) -> EmbeddingResult | JobError:
        try:
            return embed(side, mine)
        except JobError as error:
            return error

    with ThreadPoolExecutor(len(inputs)) as pool:
        return list(pool.map(ask, inputs))


def test_several_callers_share_a_call(driver: str) -> None:
    """Their inputs stand in one array; each gets his own vectors and pays for his own tokens."""
    config = Config(retry=RETRY, gathering=Gathering(most=4, wait=3600.0))
    with client(driver, config=config, prices=PRICES) as (side, sim):
        results = together(side, [["a cat"], ["two big dogs", "a bird"], ["a very small mouse"]])
        alone = [embed(side, [text] * 4) for text in ("a cat", "two big dogs", "a bird", "a very small mouse")]
        stats = sim.stats()
    found = [result for result in results if isinstance(result, EmbeddingResult)]
    assert [[alone[0].vectors[0]], [alone[1].vectors[0], alone[2].vectors[0]], [alone[3].vectors[0]]] == [
        list(result.vectors) for result in found
    ]
    assert 5 == stats["received"]
    assert stats["billed"] == sum(one.outcome.charge or 0 for one in (*found, *alone))


def test_one_bad_input_fails_alone(driver: str) -> None:
    """A refused array is halved until the input that is refused stands alone; the others are served."""
    config = Config(retry=RETRY, gathering=Gathering(most=4, wait=3600.0))
    with client(driver, config=config) as (side, sim):
        results = together(side, [["a cat"], ["a dog"], [LONG], ["a bird"]])
        stats = sim.stats()
    assert [False, False, True, False] == [isinstance(one, JobError) for one in results]
    error = results[2]
    assert isinstance(error, JobError)
    assert error.outcome.error is not None
    assert ("invalid", "context_length_exceeded") == (error.outcome.error.kind, error.outcome.error.code)
    assert LONG[:40] not in str(error)
    assert (0, {"invalid": 3}) == (error.outcome.charge, stats["rejected"])


def test_one_bad_input_of_a_request_leaves_the_others(driver: str) -> None:
    """The result is partial: what came, with its places, and what was wrong."""
    with client(driver) as (side, _):
        result = embed(side, ["a cat", LONG, "a dog"])
    assert (Status.PARTIAL, [0, 2]) == (result.outcome.status, [one.index for one in result.embeddings])
    assert isinstance(result.error, ProviderError)


def test_verdicts_are_gathered_too(driver: str) -> None:
    """Texts of several callers in one call, each verdict to its own."""
    config = Config(retry=RETRY, gathering=Gathering(most=2, wait=3600.0))
    with client(driver, config=config) as (side, sim), ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda text: moderate(side, input=text), ["kind words", "a bomb"]))
        stats = sim.stats()
    assert ([False, True], 1) == ([one.flagged for one in found], stats["received"])
