"""What a user gives the endpoints without pictures, before anything is asked: every slip is said by its field."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import InvalidRequest
from penstock.requests import ChatRequest, EmbeddingRequest, InputImage, Message, ModerationRequest, Options, RawRequest
from penstock_io.endpoints import Chat, Embeddings, Moderations, Raw

URL = "https://a.example/cat.png"
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
bodies = st.dictionaries(
    st.sampled_from(["role", "content", "name", "tool_calls", "tool_call_id", "other"]),
    values | st.sampled_from(["user", "tool", [{"type": "text", "text": "a"}], [{"type": "image_url"}]]),
)


def kept(request: Any, options: Options) -> Any:
    """Instead of asking: what would be asked."""
    del options
    return request


def chat(messages: Any, **told: Any) -> ChatRequest:
    """The request for these messages."""
    found: ChatRequest = Chat(kept, kept).complete(messages=messages, model="m", **told)
    return found


def embed(given: Any) -> EmbeddingRequest:
    """The request for these inputs."""
    found: EmbeddingRequest = Embeddings(kept).create(input=given, model="m")
    return found


def test_messages_may_be_given_in_several_ways() -> None:
    """A text, messages, dicts as the API has them, with parts, tools and their answers."""
    assert (Message("user", "hello"),) == chat("hello").messages
    called = [{"id": "call_0", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
    told = chat(
        [
            Message("system", "Be kind."),
            {
                "role": "user",
                "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": URL}}],
            },
            {"role": "assistant", "content": None, "tool_calls": called},
            {"role": "tool", "content": "found", "tool_call_id": "call_0", "name": "look"},
        ],
        stop="x",
        tools=[{"type": "function"}],
        extra={"logit_bias": {"1": 2}},
    )
    assert (
        Message("system", "Be kind."),
        Message("user", ("a", InputImage.at(URL))),
        Message("assistant", None, tool_calls=called),
        Message("tool", "found", "look", tool_call_id="call_0"),
    ) == told.messages
    assert (("x",), {"1": 2}) == (told.stop, dict(told.extra)["logit_bias"].value)


@given(st.lists(bodies, min_size=1, max_size=3) | values)
def test_any_messages_are_a_request_or_refused(given_: Any) -> None:
    """With the field that is wrong, and nothing else is raised."""
    try:
        assert 0 < len(chat(given_).messages)
    except InvalidRequest as error:
        field = error.field
    else:
        field = "messages"
    assert field in ("messages", "name", "tool_call_id", "tool_calls")


SHOWN: dict[str, Any] = {"type": "image_url", "image_url": {"url": "https://a.example/a.png"}}


@pytest.mark.parametrize(
    ("message", "lost"),
    [
        ({"role": "user", "content": [{**SHOWN, "image_url": {**SHOWN["image_url"], "detail": "low"}}]}, "detail"),
        ({"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "x"}}]}, "cache_control"),
        ({"role": "assistant", "content": "a", "reasoning_content": "b"}, "reasoning_content"),
        ({"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "x"}}]}, "input_audio"),
        ({"role": "assistant", "content": "a", "refusal": None, "annotations": []}, ""),
        ({"role": "user", "content": [{**SHOWN, "image_url": {**SHOWN["image_url"], "detail": "auto"}}]}, ""),
    ],
)
def test_nothing_of_a_message_is_lost(message: dict[str, Any], lost: str) -> None:
    """What cannot be passed on is refused by its name; what says nothing, or what is so anyway, is none."""
    if not lost:
        assert message["role"] == chat([message]).messages[0].role
        return
    with pytest.raises(InvalidRequest, match=rf"a message's {lost} cannot be passed on") as caught:
        chat([message])
    assert "messages" == caught.value.field


def test_inputs_may_be_given_in_several_ways() -> None:
    """A text, texts, the tokens of one, of several, both."""
    ways = ["a", ["a", "b"], [1, 2], [[1], [2, 3]], ("a", [1])]
    assert [("a",), ("a", "b"), ((1, 2),), ((1,), (2, 3)), ("a", (1,))] == [embed(one).inputs for one in ways]


@given(values | st.binary(max_size=3) | st.lists(st.binary(max_size=3), min_size=1))
def test_any_input_is_a_request_or_refused(given_: Any) -> None:
    """Nothing else is raised."""
    try:
        said = embed(given_).operation
    except InvalidRequest as error:
        said = error.field or ""
    assert said in ("embeddings", "input", "inputs")


def test_the_others_say_what_they_are_given() -> None:
    """Texts, a content, any JSON with what it takes."""
    picture = InputImage.at(URL)
    assert ModerationRequest(texts=("a",)) == Moderations(kept).create(input="a")
    assert ModerationRequest(content=("a", picture), model="m") == Moderations(kept).create(
        content=["a", picture], model="m"
    )
    assert RawRequest(path="/a", json={"b": 1}) == Raw(kept).post("/a", json={"b": 1})
    with pytest.raises(InvalidRequest):
        Raw(kept).post("/a", json={1, 2})
