"""Requests that are not for pictures: what no server would take is refused, and nothing private is shown."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from penstock.errors import InvalidRequest
from penstock.requests import (
    ChatRequest,
    EmbeddingRequest,
    Frozen,
    InputImage,
    Message,
    ModerationRequest,
    RawRequest,
    Request,
)
from penstock.work import Demand

SECRET = "a very private sentence"
HELLO = (Message("user", "hello"),)
DEEP: list[object] = []
for _ in range(200):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    ("make", "field", "said"),
    [
        (lambda: EmbeddingRequest(inputs=(), model="m"), "inputs", "1 to 100,000"),
        (lambda: EmbeddingRequest(inputs="text", model="m"), "inputs", "1 to 100,000"),  # type: ignore[arg-type] # untyped callers
        (lambda: EmbeddingRequest(inputs=("",), model="m"), "inputs", "inputs[0]"),
        (lambda: EmbeddingRequest(inputs=("a", 5), model="m"), "inputs", "inputs[1]"),  # type: ignore[arg-type] # untyped callers
        (lambda: EmbeddingRequest(inputs=("\ud800",), model="m"), "inputs", "surrogate"),
        (lambda: EmbeddingRequest(inputs=((),), model="m"), "inputs", "1 to 8,192 tokens"),
        (lambda: EmbeddingRequest(inputs=((1,) * 8_193,), model="m"), "inputs", "1 to 8,192 tokens"),
        (lambda: EmbeddingRequest(inputs=((-1,),), model="m"), "inputs", "no token"),
        (lambda: EmbeddingRequest(inputs=((True,),), model="m"), "inputs", "no token"),
        (lambda: EmbeddingRequest(inputs=("a" * 1_048_577,), model="m"), "inputs", "cut it into parts"),
        (lambda: EmbeddingRequest(inputs=("a",), model=""), "model", "model"),
        (lambda: EmbeddingRequest(inputs=("a",), model="m", dimensions=0), "dimensions", "whole number"),
        (lambda: EmbeddingRequest(inputs=("a",), model="m", encoding="int8"), "encoding", "base64, float"),
        (lambda: EmbeddingRequest(inputs=("a",), model="m", extra=(("input", "b"),)), "extra", "input"),
        (lambda: EmbeddingRequest(inputs=("a",), model="m", extra=(("x", 1), ("x", 2))), "extra", "twice"),
        (ModerationRequest, "texts", "give texts, or one content"),
        (lambda: ModerationRequest(texts=("a",), content=("b",)), "texts", "give texts, or one content"),
        (lambda: ModerationRequest(texts=(" ",)), "texts[0]", "not empty"),
        (lambda: ModerationRequest(texts="abc"), "texts", "tuple"),  # type: ignore[arg-type] # untyped callers
        (lambda: ModerationRequest(content=(InputImage("0" * 64),)), "content", "without its bytes"),
        (lambda: Message("robot", "hi"), "messages", "role is one of"),
        (lambda: Message("user", ()), "messages", "empty"),
        (lambda: Message("user", 5), "messages", "a text, or a tuple"),  # type: ignore[arg-type] # untyped callers
        (lambda: Message("user", "\ud800"), "messages", "surrogate"),
        (lambda: ChatRequest(messages=(), model="m"), "messages", "1 to 10,000"),
        (lambda: ChatRequest(messages=({"role": "user"},), model="m"), "messages", "Message("),  # type: ignore[arg-type] # untyped callers
        (lambda: ChatRequest(messages=HELLO, model="m", max_completion_tokens=0), "max_completion_tokens", "whole"),
        (lambda: ChatRequest(messages=HELLO, model="m", temperature=float("nan")), "temperature", "a number from"),
        (lambda: ChatRequest(messages=HELLO, model="m", top_p=1.5), "top_p", "0 to 1"),
        (lambda: ChatRequest(messages=HELLO, model="m", n=129), "n", "1 to 128"),
        (lambda: ChatRequest(messages=HELLO, model="m", stop="x"), "stop", "tuple"),  # type: ignore[arg-type] # untyped callers
        (lambda: ChatRequest(messages=HELLO, model="m", tools={1, 2}), "tools", "value of JSON"),
        (lambda: ChatRequest(messages=HELLO, model="m", extra=(("stream", True),)), "extra", "stream"),
        (lambda: ChatRequest(messages=HELLO, model="m", extra=(("n", 2),)), "extra", "n cannot"),
        (lambda: RawRequest(path="videos", json={}), "path", "/videos"),
        (lambda: RawRequest(path="/../secrets", json={}), "path", "/videos"),
        (lambda: RawRequest(path="/a?b=c", json={}), "path", "/videos"),
        (lambda: RawRequest(path="//host/a", json={}), "path", "/videos"),
        (lambda: RawRequest(path="/a", json=float("inf")), "json", "value of JSON"),
        (lambda: RawRequest(path="/a", json=DEEP), "json", "deep"),
        (lambda: RawRequest(path="/a", json={}, demand=5), "demand", "Demand("),  # type: ignore[arg-type] # untyped callers
        (lambda: RawRequest(path="/a", json={}, demand=Demand(tokens=-1)), "demand", "whole number"),
        (lambda: RawRequest(path="/a", json={}, quote=-1), "quote", "whole number"),
        (lambda: RawRequest(path="/a", json={"model": "two words"}), "model", "model"),
    ],
)
def test_what_no_server_would_take(make: Callable[[], object], field: str, said: str) -> None:
    """It is refused with the field and with what is wanted."""
    with pytest.raises(InvalidRequest) as caught:
        make()
    assert field == caught.value.field
    assert said in str(caught.value)


def test_nothing_private_is_shown() -> None:
    """Neither repr nor str of a request has a text of it, and `private` has them all."""
    picture = InputImage.at("https://a.example/cat.png")
    requests: list[Request] = [
        EmbeddingRequest(inputs=(SECRET,), model="m"),
        ModerationRequest(texts=(SECRET,)),
        ModerationRequest(content=(SECRET, picture)),
        ChatRequest(messages=(Message("user", (SECRET, picture)),), model="m", tools=[SECRET], extra=(("x", SECRET),)),
        ChatRequest(messages=(Message("assistant", None, tool_calls=[{"name": SECRET}]),), model="m"),
        RawRequest(path="/a", json={"deep": [{"prompt": SECRET}]}),
    ]
    for request in requests:
        assert SECRET not in f"{request!r} {request}"
        assert SECRET in request.private
    assert picture.url in requests[2].private
    assert picture.url in requests[3].private
    assert SECRET not in repr(requests[5].json if isinstance(requests[5], RawRequest) else "")


def test_a_raw_request_is_named_by_its_model_or_its_path() -> None:
    """The name of its lane: what is said, else `model` of the body, else the path."""
    named = [
        RawRequest(path="/videos", json={"model": "sora"}, model="mine"),
        RawRequest(path="/videos", json={"model": "sora"}),
        RawRequest(path="/videos/clips/", json={"model": 5}),
        RawRequest(path="/videos", json=[]),
    ]
    assert ["mine", "sora", "videos/clips", "videos"] == [one.model for one in named]


def test_a_frozen_value_stays_as_it_is() -> None:
    """Whoever changes what it was made of, or what it gives, changes nothing."""
    given = {"a": [1]}
    frozen = Frozen.of(given, "x")
    given["a"].append(2)
    value = frozen.value
    assert isinstance(value, dict)
    value["b"] = 1
    assert ({"a": [1]}, frozen) == (frozen.value, Frozen.of(frozen, "x"))


def test_inputs_of_several_requests_stand_together() -> None:
    """In the order in which they are named; all else is the first one's."""
    one = EmbeddingRequest(inputs=("a", "b", "c"), model="m", user="u")
    other = EmbeddingRequest(inputs=("d",), model="m")
    assert ("c", "a", "d") == one.gathered(((one, (2, 0)), (other, (0,)))).inputs
    assert "u" == one.gathered(((other, (0,)),)).user
    verdicts = ModerationRequest(texts=("a", "b"))
    assert ("b", "c") == verdicts.gathered(((verdicts, (1,)), (ModerationRequest(texts=("c",)), (0,)))).texts
    content = ModerationRequest(content=("a",))
    assert content == content.gathered(((content, (0,)),))


def test_how_many_results_a_request_has() -> None:
    """One an input; of a content and of a conversation one."""
    requests: list[tuple[int, Request]] = [
        (3, EmbeddingRequest(inputs=("a", "b", "a"), model="m")),
        (2, ModerationRequest(texts=("a", "b"))),
        (1, ModerationRequest(content=("a", "b"))),
        (1, ChatRequest(messages=HELLO, model="m", n=5)),
        (1, RawRequest(path="/a", json={})),
    ]
    for expected, request in requests:
        assert expected == request.samples
