"""Answers while they are written, over every driver and both HTTP libraries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from penstock.errors import InvalidRequest, ProviderError
from penstock.outcomes import Status
from penstock.simulation.server import Latency, ServerSettings
from penstock_io.answers import ChatResult
from penstock_io.previews import TextDelta
from penstock_io.simserver import SimServer, serving
from penstock_io.stores.memory import MemoryStore
from tests.drivers.harness import Side, running

QUICK = ServerSettings(latency=Latency(0.02, 0.0), refusal_delay=0.0)
ASKED: dict[str, Any] = {"messages": "good morning to you", "model": "gpt-6"}
SAID = "You said: good morning to you"


@pytest.fixture
def provider() -> Iterator[SimServer]:
    """A provider of 20 ms an answer."""
    with serving(QUICK) as sim:
        yield sim


def listen(side: Side, driver: str, heard: list[TextDelta] | None = None, **more: Any) -> ChatResult:
    """What a stream ends with; `heard` gets what comes before."""
    pieces = [] if heard is None else heard

    def keep(item: TextDelta | ChatResult, ends: list[ChatResult]) -> None:
        if isinstance(item, TextDelta):
            pieces.append(item)
        else:
            ends.append(item)

    def read(client: Any) -> list[ChatResult]:
        ends: list[ChatResult] = []
        for item in client.chat.stream(**{**ASKED, **more}):
            keep(item, ends)
        return ends

    async def aread(client: Any) -> list[ChatResult]:
        ends: list[ChatResult] = []
        async for item in client.chat.stream(**{**ASKED, **more}):
            keep(item, ends)
        return ends

    (end,) = side.ask(read if driver == "threads" else aread)
    assert isinstance(end, ChatResult)
    return end


def spoken(pieces: list[TextDelta], answer: int = 0) -> str:
    """The text of one answer."""
    return "".join(piece.text for piece in pieces if piece.index == answer)


def test_the_text_comes_in_pieces_and_then_the_result(driver: str, library: str, provider: SimServer) -> None:
    """Two answers; the result has them whole, with what they used, as a plain call has it."""
    pieces: list[TextDelta] = []
    with running(driver, library, base_url=provider.base_url, api_keys=["key"]) as side:
        ended = listen(side, driver, pieces, n=2)
        assert 0 == len(vars(side.client._payloads)["_bytes"])
    assert [SAID, SAID] == [spoken(pieces, answer) for answer in range(2)]
    assert len(pieces) > 4
    assert [SAID, SAID] == [choice.text for choice in ended.choices]
    assert ended.usage is not None
    assert ended.usage.output_text > 0
    assert Status.COMPLETED == ended.outcome.status


def test_a_stream_is_stored_as_a_plain_reply_is(driver: str, library: str, provider: SimServer) -> None:
    """What was streamed is found by who asks plainly, and the other way round: then the result comes alone."""
    with running(driver, library, base_url=provider.base_url, api_keys=["key"], store=MemoryStore()) as side:
        streamed = listen(side, driver)
        plain = side.ask(lambda client: client.chat.complete(**ASKED))
        again: list[TextDelta] = []
        ended = listen(side, driver, again)
    assert (SAID, True) == (plain.text, plain.cached)
    assert (SAID, True, []) == (ended.text, ended.cached, again)
    assert streamed.body == plain.body
    assert 1 == provider.stats()["executed"]


def test_a_tool_is_called_in_a_stream(driver: str, library: str, provider: SimServer) -> None:
    """No text comes; the result says which."""
    pieces: list[TextDelta] = []
    tools = [{"type": "function", "function": {"name": "look"}}]
    with running(driver, library, base_url=provider.base_url, api_keys=["key"]) as side:
        ended = listen(side, driver, pieces, tools=tools, tool_choice="required")
    assert ([], "tool_calls") == (pieces, ended.finish_reason)
    (call,) = ended.tool_calls
    assert {"name": "look", "arguments": "{}"} == call["function"]


def test_a_server_without_streams_answers_plainly(driver: str, library: str) -> None:
    """It is asked without, and the result says so."""
    with (
        serving(ServerSettings(latency=Latency(0.02, 0.0), refusal_delay=0.0, streams=False)) as sim,
        running(driver, library, base_url=sim.base_url, api_keys=["key"]) as side,
    ):
        pieces: list[TextDelta] = []
        ended = listen(side, driver, pieces)
    assert ([], SAID) == (pieces, ended.text)
    (warning,) = ended.warnings
    assert warning.endswith("refused to be told stream: it was asked otherwise")


def test_an_answer_that_breaks_off_is_not_begun_anew(driver: str, library: str, provider: SimServer) -> None:
    """Its reader has seen the beginning of another."""
    pieces: list[TextDelta] = []
    asked: dict[str, Any] = {"messages": "word " * 40}
    with running(driver, library, base_url=provider.base_url, api_keys=["key"]) as side:
        plain = listen(side, driver, **asked)
        provider.call(lambda server: server.inject("truncated"))
        with pytest.raises(ProviderError) as caught:
            listen(side, driver, pieces, **asked)
    assert 0 < len(spoken(pieces)) < len(plain.text)
    assert caught.value.outcome is not None
    assert caught.value.outcome.error is not None
    assert "broken_stream" == caught.value.outcome.error.kind
    assert 2 == provider.stats()["received"]


def test_what_cannot_be_asked_for_is_said(driver: str, library: str, provider: SimServer) -> None:
    """By `InvalidRequest`, and nothing is sent."""
    with running(driver, library, base_url=provider.base_url, api_keys=["key"]) as side, pytest.raises(InvalidRequest):
        listen(side, driver, n=0)
    assert 0 == provider.stats()["received"]
