"""Streams of pictures, from the request to the bytes that ask for them, and back."""

from __future__ import annotations

import json

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from penstock import catalog
from penstock.config import Config, Gathering
from penstock.errors import InvalidRequest, UsageError
from penstock.http import HttpCall
from penstock.ids import Handle
from penstock.prepare import Prepared, Refusal, prepare
from penstock.requests import ChatRequest, ImageRequest, InputImage, Message, Options, Unsaid
from penstock.simulation.painter import paint
from penstock.wire import MemorySink, Undecodable, decode, encode, reader
from penstock.wire.speaking import listener

DAY = catalog.moment("2026-11-21")
CAT = ImageRequest(prompt="a cat", model="gpt-image-2", size="1024x1024", quality="low")
INPUT = InputImage.of(paint("a cat", "512x512", "low", 1))


def ready(request: ImageRequest, dialect: str = "openai", config: Config | None = None) -> Prepared:
    """The request, prepared."""
    made = prepare(request, Options(), config or Config(), handle=Handle(7), unix=DAY, dialect=dialect)
    assert isinstance(made, Prepared)
    return made


def body(call: HttpCall) -> dict[str, object]:
    """What a call in JSON says."""
    said = json.loads(call.body)
    assert isinstance(said, dict)
    return said


@given(st.integers(0, 3), st.integers(1, 12))
def test_a_stream_is_one_picture_a_call_and_the_same_picture(previews: int, n: int) -> None:
    """It has the keys of the plain request; previews are in quote and demand; no call has two pictures."""
    plain = ready(evolve(CAT, n=n)).work.targets[0]
    made = ready(evolve(CAT, n=n, partial_images=previews))
    target = made.work.targets[0]
    assert (True, 1, ("stream", "partial_images")) == (target.stream, target.most, target.adapts)
    assert plain.keys == target.keys
    assert plain.quote is not None
    assert (plain.quote + 100 * previews * 30_000_000) == target.quote
    assert plain.demand.tokens + 100 * previews == target.demand.tokens
    assert (False, ()) == (plain.stream, plain.adapts)


@pytest.mark.parametrize("previews", [0, 2])
def test_a_stream_is_asked_for_and_left_out_in_words(previews: int) -> None:
    """`stream` and `partial_images` are said, and neither where a server refused one of them."""
    made = ready(evolve(CAT, partial_images=previews))
    said = body(encode(made, 0, 1))
    assert (True, previews or None) == (said["stream"], said.get("partial_images"))
    plain = body(encode(ready(CAT), 0, 1))
    for word in ("stream", "partial_images"):
        assert plain == body(encode(made, 0, 1, without=(word,)))
    assert plain == body(encode(made, 0, 1, without=("stream", "partial_images")))
    assert said == body(encode(made, 0, 1, without=("max_completion_tokens",)))
    assert evolve(CAT, partial_images=previews) == decode(encode(made, 0, 1))


@pytest.mark.parametrize("images", [(INPUT,), (INPUT, INPUT)])
def test_an_edit_streams_as_well(images: tuple[InputImage, ...]) -> None:
    """In a form, as the provider reads it."""
    request = evolve(CAT, images=images, partial_images=1)
    call = encode(ready(request), 0, 1)
    heard = decode(call)
    assert isinstance(heard, ImageRequest)
    assert (1, len(images)) == (heard.partial_images, len(heard.images))
    assert b'name="stream"\r\n\r\ntrue\r\n' in call.body


def test_a_stream_gathers_nothing() -> None:
    """What comes piece by piece is nobody else's."""
    config = Config(gathering=Gathering(most=4))
    assert ready(CAT, config=config).work.targets[0].gather is not None
    assert ready(evolve(CAT, partial_images=1), config=config).work.targets[0].gather is None


@pytest.mark.parametrize("name", ["localai", "sdwebui"])
def test_a_dialect_without_streams_makes_the_picture_without_previews(name: str) -> None:
    """With a warning, unless the caller would rather have it refused."""
    request = evolve(CAT, model="sdxl", quality=None, partial_images=2)
    target = ready(request, name).work.targets[0]
    assert not target.stream
    assert f"{name} has no streams of images.generate: there are no previews" in target.warnings
    assert not {"stream", "partial_images"} & body(encode(ready(request, name), 0, 1)).keys()
    strict = Options(unsaid=Unsaid.REFUSE)
    refused = prepare(request, strict, Config(), handle=Handle(7), unix=DAY, dialect=name)
    assert isinstance(refused, Refusal)
    assert "partial_images" == refused.field
    with pytest.raises(UsageError, match="no streams of"):
        listener("images.generate", MemorySink(), dialect=name, status=200)


@pytest.mark.parametrize("name", ["openai", "azure", "openrouter", "generic"])
def test_dialects_with_streams_say_so_in_the_same_words(name: str) -> None:
    """And take the answer."""
    made = ready(evolve(CAT, model="some-model", partial_images=2), name)
    said = body(encode(made, 0, 1))
    assert (True, 2) == (said["stream"], said["partial_images"])
    assert not listener("images.generate", MemorySink(), dialect=name, status=200).over
    assert not hasattr(reader("images.generate", MemorySink(), dialect=name, status=200), "over")


@pytest.mark.parametrize("previews", [-1, 4, True])
def test_at_most_three_previews_can_be_asked_for(previews: int) -> None:
    """As the API has it."""
    with pytest.raises(InvalidRequest, match="partial_images must be a whole number from 0 to 3"):
        ImageRequest(prompt="a cat", model="gpt-image-2", partial_images=previews)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stream": "yes"}, "stream"),
        ({"stream": True, "partial_images": 4}, "partial_images"),
        ({"stream": True, "partial_images": "2"}, "partial_images"),
        ({"partial_images": 2}, "partial_images"),
        ({"stream": False, "partial_images": 1}, "partial_images"),
    ],
)
def test_nonsense_about_streams_is_refused_as_the_api_does(fields: dict[str, object], param: str) -> None:
    """With a status of 400 and the parameter's name."""
    call = HttpCall("POST", "/images/generations", (), json.dumps({"model": "m", "prompt": "p", **fields}).encode())
    with pytest.raises(Undecodable) as caught:
        decode(call)
    assert (400, param) == (caught.value.status, caught.value.param)


CHAT = ChatRequest(messages=(Message("user", "Good morning"),), model="gpt-6", max_completion_tokens=7, stream=True)


def chat(request: ChatRequest) -> Prepared:
    """A conversation, prepared."""
    made = prepare(request, Options(), Config(), handle=Handle(7), unix=DAY)
    assert isinstance(made, Prepared)
    return made


def test_a_conversation_streams_and_is_the_same_conversation() -> None:
    """It asks for its usage, has the key of a plain one, and each word may be left out for itself."""
    made, plain = chat(CHAT), chat(evolve(CHAT, stream=False))
    (target,) = made.work.targets
    assert plain.work.targets[0].keys == target.keys
    assert (True, False) == (target.stream, plain.work.targets[0].stream)
    assert ("max_completion_tokens", "stream", "stream_options") == target.adapts
    said = body(encode(made, 0, 1))
    assert (True, {"include_usage": True}) == (said["stream"], said["stream_options"])
    assert CHAT == decode(encode(made, 0, 1))
    assert body(encode(plain, 0, 1)) == body(encode(made, 0, 1, without=("stream",)))
    less = body(encode(made, 0, 1, without=("stream_options", "max_completion_tokens")))
    assert (True, False, 7) == (less["stream"], "stream_options" in less, less["max_tokens"])


def test_nonsense_about_a_conversations_stream_is_refused() -> None:
    """As the API does."""
    said = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": "yes"}
    with pytest.raises(Undecodable) as caught:
        decode(HttpCall("POST", "/chat/completions", (), json.dumps(said).encode()))
    assert (400, "stream") == (caught.value.status, caught.value.param)
