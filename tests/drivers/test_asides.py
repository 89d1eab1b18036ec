"""Screens and embedders that are the provider's own endpoints, over the three drivers."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from penstock.catalog import Override, Overrides
from penstock.commands import Send
from penstock.config import Config, NearCache, Retry
from penstock.entries import Lane
from penstock.errors import ContentRefused, ScreenFailed
from penstock.events import Responded
from penstock.ids import AttemptId, CallId, Handle
from penstock.judging.judge import judge
from penstock.outcomes import Status
from penstock.prepare import Prepared, prepare
from penstock.prepare.questions import embedder, moderator
from penstock.readings import Problem
from penstock.requests import ImageRequest, Options
from penstock.simulation.server import Latency, ServerSettings
from penstock.work import Purpose, Rates, Screen, Timeouts
from penstock_io._asides import question, unasked
from penstock_io._payloads import Payloads
from penstock_io.resources import Result
from penstock_io.simserver import SimServer, serving
from penstock_io.stores.memory import MemoryStore
from penstock_io.stores.near import NearStore
from tests.drivers.harness import DRIVERS, Side, running
from tests.scripted import scripted

UNIX = 1_795_400_000.0
"""A day on which the prices of both are known."""

PROMPT = Screen("words/1", target=moderator(UNIX))
PICTURE = Screen("shown/1", picture=True, target=moderator(UNIX))
SEND = Send(AttemptId(1), CallId(1), Handle(1), "moderations", Purpose.SCREEN, Lane("k", "m"), 0, 0, (), Timeouts())
ASKED: dict[str, Any] = {"model": "gpt-image-2", "size": "1024x1024", "quality": "low"}


@contextmanager
def client(driver: str, **arguments: Any) -> Iterator[tuple[Side, SimServer]]:
    """A client of a driver, and the provider that it asks, which refuses no picture."""
    config = arguments.pop("config", Config(retry=Retry(base=0.005)))
    with serving(ServerSettings(latency=Latency(0.0, 0.0), refusal_delay=0.0, flagged="bomb")) as sim:
        told = {"base_url": sim.base_url, "api_keys": ["sk-secret-key"], "config": config, **arguments}
        with running(driver, "httpx2", **told) as side:
            yield side, sim


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    """Each driver."""
    name: str = request.param
    return name


def asked(sim: SimServer) -> tuple[int, int]:
    """How many requests were done, and how many pictures made."""
    stats = sim.stats()
    return stats["executed"], stats["pictures"]


def test_a_prompt_is_looked_at_before_it_is_sent(driver: str) -> None:
    """What is flagged is refused by the screen, with its categories; nothing is made of it or charged."""
    with client(driver) as (side, sim):
        with pytest.raises(ContentRefused, match="screen words/1: violence") as refused:
            side.generate(prompt="a bomb", options=Options(screens=(PROMPT,)), **ASKED)
        assert (1, 0) == asked(sim)
        fine = side.generate(prompt="a kettle", options=Options(screens=(PROMPT,)), **ASKED)
        assert (3, 1) == asked(sim)
        billed = sim.stats()["billed"]
    assert (Status.REFUSED, 0) == (refused.value.outcome.status, refused.value.outcome.charge)
    assert (Status.COMPLETED, billed) == (fine.outcome.status, fine.outcome.charge)


def test_a_picture_is_looked_at_before_it_is_shown(driver: str) -> None:
    """Its bytes go along; a picture that passed is stored with its verdict and not looked at again."""
    with client(driver, store=MemoryStore()) as (side, sim):
        first = side.generate(prompt="a kettle", options=Options(screens=(PICTURE,)), **ASKED)
        again = side.generate(prompt="a kettle", options=Options(screens=(PICTURE,)), **ASKED)
        assert (2, 1) == asked(sim)
    assert (Status.COMPLETED, True) == (first.outcome.status, again.cached)
    assert first.images[0].data == again.images[0].data


def test_an_answer_is_looked_at_before_it_is_shown(driver: str) -> None:
    """Of a conversation the texts of its answers are judged; the word is flagged wherever it stands."""
    screens = Options(screens=(PICTURE,))
    with client(driver) as (side, _):
        fine = side.ask(lambda one: one.chat.complete(messages="hello", model="gpt-4o", options=screens))
        body = {"model": "m", "input": ["a b o m b"], "dimensions": 1}
        raw = side.ask(lambda one: one.raw.post("/embeddings", json=body, options=screens))
        body = {"model": "the-bomb", "input": "a", "dimensions": 1}
        with pytest.raises(ContentRefused, match="screen shown/1"):
            side.ask(lambda one: one.raw.post("/embeddings", json=body, options=screens))
    assert "You said: hello" == fine.text
    assert "m" == json.loads(raw.data)["model"]


def test_a_moderation_that_is_not_there_is_a_fault_of_the_screen(driver: str) -> None:
    """It counts as the screen says of faults."""
    no_picture = evolve(PICTURE, target=evolve(moderator(UNIX), model="missing-model"))
    with client(driver) as (side, sim):
        sim.call(lambda server: setattr(server, "settings", evolve(server.settings, models=("gpt-image-2",))))
        with pytest.raises(ScreenFailed):
            side.generate(prompt="a kettle", options=Options(screens=(no_picture,)), **ASKED)
        passing = evolve(no_picture, passes_on_fault=True)
        shown: Result = side.generate(prompt="a kettle", options=Options(screens=(passing,)), **ASKED)
    assert 1 == len(shown.images)


def test_the_providers_embeddings_find_what_is_near(driver: str) -> None:
    """A prompt in other words finds the picture; each vector is paid for, and booked where it was asked."""
    near = NearCache(target=embedder(UNIX, prices=Overrides((Override("text-embedding-3-small", Rates(text=20_000)),))))
    config = Config(near=evolve(near, threshold=0.7), retry=Retry(base=0.005))
    with client(driver, store=NearStore(MemoryStore()), config=config) as (side, sim):
        first = side.generate(prompt="a red kettle on a table", options=Options(near=True), **ASKED)
        second = side.generate(prompt="a red kettle on the table", options=Options(near=True), **ASKED)
        other = side.generate(prompt="two dogs", options=Options(near=True), **ASKED)
        assert (5, 2) == asked(sim)
    assert [Status.COMPLETED, Status.SIMILAR, Status.COMPLETED] == [
        one.outcome.status for one in (first, second, other)
    ]
    assert second.score is not None
    assert 0.7 < second.score < 1.0
    assert first.images[0].data == second.images[0].data
    assert Decimal(7 * 20_000) / 10**12 == second.cost


def test_a_vector_of_numbers_that_are_none_is_asked_for_once(driver: str) -> None:
    """Nothing is near what has no vector: it is paid, and the picture is bought."""
    picture = b64encode(b"\x89PNG\r\n\x1a\n").decode()
    answer = {"created": 1, "data": [{"b64_json": picture, "embedding": [None] * 4}], "usage": {"prompt_tokens": 6}}
    near = NearCache(target=embedder(UNIX, prices=Overrides((Override("text-embedding-3-small", Rates(text=20_000)),))))
    told: dict[str, Any] = {"store": NearStore(MemoryStore()), "config": Config(near=near, retry=Retry(base=0.005))}
    with scripted(answer) as script:
        with running(driver, "httpx2", base_url=script.origin, api_keys=["sk-secret-key"], **told) as side:
            shown: Result = side.generate(prompt="a red kettle", options=Options(near=True), **ASKED)
        assert ["/embeddings", "/images/generations"] == [one.path for one in script.heard]
    assert Status.COMPLETED is shown.outcome.status


def test_screens_of_one_policy_are_told_apart_by_what_they_look_at() -> None:
    """The prompt goes to the one, the picture to the other."""
    payloads = Payloads()
    words, shown = (Screen("same/1", picture=one, target=moderator(UNIX, f"m{one:d}")) for one in (False, True))
    asked = ImageRequest(prompt="a kettle", model="gpt-image-2")
    prepared = prepare(asked, Options(screens=(shown, words)), Config(), handle=Handle(1), unix=UNIX)
    assert isinstance(prepared, Prepared)
    for refs, model in (((), "m0"), ((payloads.keep(b'{"choices":[{"message":{"content":"hi"}}]}'),), "m1")):
        found = question(evolve(SEND, refs=refs, policy="same/1"), prepared, Config(), payloads)
        assert isinstance(found, Prepared)
        assert model == found.request.model


def test_what_no_moderation_takes_is_not_sent() -> None:
    """A picture of a format that is not taken, a screen that is not there: the question ends as a refused one."""
    payloads = Payloads()
    asked = ImageRequest(prompt="a kettle", model="gpt-image-2")
    prepared = prepare(asked, Options(screens=(PICTURE,)), Config(), handle=Handle(1), unix=UNIX)
    assert isinstance(prepared, Prepared)
    gif = evolve(SEND, refs=(payloads.keep(b"GIF89a..."),), policy="shown/1")
    for send in (gif, evolve(gif, policy="another/1"), evolve(gif, purpose=Purpose.EMBED)):
        found = question(send, prepared, Config(), payloads)
        assert isinstance(found, Problem)
        ended = unasked(send, found)
        assert isinstance(ended, Responded)
        assert (400, "invalid") == (ended.status, judge(ended, "openai").kind)


def test_targets_are_quoted_where_prices_are_known() -> None:
    """A moderation that is free costs nothing; of a model without a price nobody knows."""
    told = [moderator(UNIX), moderator(UNIX, "mine"), embedder(UNIX), embedder(UNIX, "mine")]
    assert [0, None, (16 + 8_192) * 20_000, None] == [one.quote for one in told]
    assert [Purpose.SCREEN] * 2 + [Purpose.EMBED] * 2 == [one.purpose for one in told]
    assert {"default/omni-moderation-latest", "default/mine", "default/text-embedding-3-small"} == {
        one.group for one in told
    }
