"""What a client is asked for, parameter by parameter: ways to ask for one thing differ in nothing by oversight."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from attrs import asdict, fields

from penstock.requests import ChatRequest, Frozen, ImageRequest, InputImage, Message, Options
from penstock_io.endpoints import Chat
from penstock_io.resources import Images

PHOTO = InputImage.at("https://a.example/photo.png")
MASK = InputImage.at("https://a.example/mask.png")
GIVEN: dict[str, Any] = {
    "prompt": "a fox", "model": "mine", "size": "64x64", "quality": "low", "n": 2, "background": "opaque",
    "moderation": "low", "output_format": "jpeg", "output_compression": 7, "user": "u", "complexity": "high", "seed": 3,
    "negative_prompt": "fog", "steps": 9, "guidance": 4.5, "strength": 0.5, "input_fidelity": "high",
    "partial_images": 1, "extra": {"watermark": True}, "image": [PHOTO], "mask": MASK,
}  # fmt: skip
SAID: dict[str, Any] = {
    "messages": "hello", "model": "mine", "max_completion_tokens": 5, "temperature": 0.5, "top_p": 0.25, "n": 2,
    "stop": ("x",), "seed": 3, "response_format": {"type": "json_object"}, "tools": [{"type": "function"}],
    "tool_choice": "none", "user": "u", "extra": {"logit_bias": {"1": 2}},
}  # fmt: skip


def same(request: Any, options: Options) -> Any:
    """The request, as it would be sent."""
    del options
    return request


def made(make: Callable[[], Any], options: Options) -> Any:
    """The same of what is made later."""
    del options
    return make()


IMAGES: Images[Any, Any, Any, Any] = Images(same, same, made, made)
CHAT: Chat[Any, Any] = Chat(same, same)


def parameters(ask: Callable[..., Any]) -> set[str]:
    """What may be given, apart from options."""
    return set(inspect.signature(ask).parameters) - {"options"}


def names(kind: type[Any]) -> set[str]:
    """The fields of a request."""
    return {one.name for one in fields(kind)}


@pytest.mark.parametrize(
    ("ask", "lacks"),
    [
        (IMAGES.generate, {"image", "mask", "input_fidelity", "strength", "partial_images"}),
        (IMAGES.edit, {"partial_images"}),
        (IMAGES.stream, set[str]()),
    ],
)
def test_pictures_may_be_asked_for_in_the_same_words(ask: Callable[..., Any], lacks: set[str]) -> None:
    """Each has all that a request has but for what it is not about, and all of it arrives in its place."""
    assert names(ImageRequest) == {"images" if name == "image" else name for name in GIVEN}
    assert set(GIVEN) - lacks == parameters(ask)
    given = {name: one for name, one in GIVEN.items() if name not in lacks}
    request = ask(**given)
    expected = {**given, "extra": (("watermark", True),)}
    if "image" in expected:
        expected["images"] = (expected.pop("image")[0],)
    assert expected == {name: one for name, one in asdict(request, recurse=False).items() if name in expected}


@pytest.mark.parametrize("stream", [False, True])
def test_conversations_may_be_asked_for_in_the_same_words(stream: bool) -> None:
    """Whether they are read while they are written or at their end."""
    ask = CHAT.stream if stream else CHAT.complete
    assert names(ChatRequest) - {"stream"} == set(SAID) == parameters(ask)
    frozen = {name: Frozen.of(SAID[name], name) for name in ("response_format", "tools", "tool_choice")}
    bias = Frozen.of({"1": 2}, "extra")
    expected = {**SAID, **frozen, "messages": (Message("user", "hello"),), "extra": (("logit_bias", bias),)}
    assert ChatRequest(**expected, stream=stream) == ask(**SAID)
    assert expected == {name: one for name, one in asdict(ask(**SAID), recurse=False).items() if name != "stream"}
