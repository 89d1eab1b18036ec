"""The provider's own client as a witness: it is served by the simulated provider, and its bytes are ours.

`openai` talks to the simulated provider as to the real one, and each call is made a second time by `penstock_io`: the
URLs, the bodies and the headers are laid side by side.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import httpx2
import openai
import pytest
from openai.types import ImagesResponse
from PIL import Image

import penstock_io.sync
from penstock.requests import InputImage, Message
from penstock.simulation.server import Latency, ServerSettings
from penstock_io.previews import TextDelta
from penstock_io.simserver import serving

KEY = "sk-witness"
QUICK = ServerSettings(latency=Latency(0.0, 0.0), refusal_delay=0.0, flagged="bomb")

THEIRS = frozenset({"accept", "user-agent", "idempotency-key"})
"""Headers of theirs that we do not send, besides all of "x-stainless-..."; a user agent stands in both."""

OURS = frozenset({"accept", "user-agent", "x-penstock-call", "idempotency-key"})
"""Headers of ours that they do not send."""

SAID_OTHERWISE = frozenset({"accept-encoding", "connection", "content-length", "content-type"})
"""Headers of both that may differ: pictures are not compressed again, a connection is one call's own, forms differ."""


class Recorder(httpx2.HTTPTransport):
    """Sends what it is given, and keeps it."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[httpx2.Request] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Keep it and send it."""
        request.read()
        self.sent.append(request)
        return super().handle_request(request)


class Both:
    """Their client and ours before the same provider."""

    def __init__(self, base_url: str, theirs: httpx2.Client, ours: httpx2.Client) -> None:
        self.theirs = openai.OpenAI(api_key=KEY, base_url=base_url, http_client=theirs, max_retries=0)
        self.ours = penstock_io.sync.Client(base_url, [KEY], http_client=ours)


Ask = Callable[[Any], Any]


def asked(theirs: Ask, ours: Ask) -> tuple[Any, Any, httpx2.Request, httpx2.Request]:
    """What both got, and what both sent."""
    there, here = Recorder(), Recorder()
    with serving(QUICK) as sim, httpx2.Client(transport=there) as their, httpx2.Client(transport=here) as our:
        both = Both(sim.base_url, their, our)
        told = theirs(both.theirs)
        with both.ours as client:
            found = ours(client)
    (sent,), (own,) = there.sent, here.sent
    assert (sent.method, sent.url) == (own.method, own.url)
    their_names = {name for name in sent.headers if not name.startswith("x-stainless-")}
    our_names = set(own.headers)
    assert their_names - our_names <= THEIRS
    assert our_names - their_names <= OURS
    for name in (their_names & our_names) - SAID_OTHERWISE - {"user-agent", "accept"}:
        assert sent.headers[name] == own.headers[name], name
    return told, found, sent, own


def same(sent: httpx2.Request, own: httpx2.Request) -> None:
    """Claim that two bodies are the same bytes, apart from what a form has between its parts, which each makes up."""
    (their_kind, theirs), (our_kind, ours) = unmarked(sent), unmarked(own)
    assert their_kind == our_kind
    assert theirs == ours


def unmarked(request: httpx2.Request) -> tuple[str, bytes]:
    """What kind a body is, and the body; a form's boundary is put in words."""
    kind, _, boundary = request.headers["content-type"].partition("boundary=")
    return kind, request.content.replace(boundary.encode(), b"BOUNDARY") if boundary else request.content


def picture(mode: str = "RGB") -> bytes:
    """A small PNG."""
    out = BytesIO()
    Image.new(mode, (8, 8), (9,) * len(mode)).save(out, "PNG")
    return out.getvalue()


MADE: dict[str, Any] = {"prompt": "a fox, über rot", "model": "gpt-image-1.5", "size": "1024x1024", "quality": "low"}


def test_pictures() -> None:
    """A generation: the same fields, and the same pictures."""
    told, found, sent, own = asked(
        lambda client: client.images.generate(**MADE, n=2, background="opaque", output_format="webp"),
        lambda client: client.images.generate(**MADE, n=2, background="opaque", output_format="webp"),
    )
    same(sent, own)
    assert 2 == len(told.data) == len(found.images)
    assert told.usage.output_tokens > 0


def test_an_edit() -> None:
    """A form: the same parts with the same bytes, whatever the boundary."""
    image, mask = picture(), picture("RGBA")
    told, found, sent, own = asked(
        lambda client: client.images.edit(
            **MADE, n=1, image=("image.png", image, "image/png"), mask=("mask.png", mask, "image/png")
        ),
        lambda client: client.images.edit(**MADE, image=image, mask=mask),
    )
    same(sent, own)
    assert 1 == len(told.data) == len(found.images)


def test_an_edit_of_two_pictures() -> None:
    """Each is a part of its own, under the name that says that there are several."""
    one, two = picture(), picture("RGBA")
    _, _, sent, own = asked(
        lambda client: client.images.edit(
            **MADE, n=1, image=[("image.png", one, "image/png"), ("image.png", two, "image/png")]
        ),
        lambda client: client.images.edit(**MADE, image=[one, two]),
    )
    same(sent, own)


def last(stream: Iterator[Any]) -> list[str]:
    """The types of a stream's events."""
    return [event.type for event in stream]


def test_a_stream_of_pictures() -> None:
    """Previews and an end, with the words that both ask for them."""

    def ours(client: penstock_io.sync.Client) -> int:
        return len(list(client.images.stream(**MADE, partial_images=2)))

    told, found, sent, own = asked(
        lambda client: last(client.images.generate(**MADE, n=1, stream=True, partial_images=2)), ours
    )
    same(sent, own)
    assert "image_generation.completed" == told[-1]
    assert found >= len(told) - 1


def test_a_stream_of_an_edit() -> None:
    """A form that asks for a stream: the same parts, and previews before the end on both sides."""
    image = picture()

    def ours(client: penstock_io.sync.Client) -> int:
        return len(list(client.images.stream(**MADE, image=image, partial_images=2)))

    told, found, sent, own = asked(
        lambda client: last(
            client.images.edit(**MADE, n=1, image=("image.png", image, "image/png"), stream=True, partial_images=2)
        ),
        ours,
    )
    same(sent, own)
    assert ["image_edit.partial_image"] * (len(told) - 1) + ["image_edit.completed"] == told
    assert found >= len(told) - 1


def test_an_edit_in_json() -> None:
    """Addresses and uploaded files: their client has no words for these, and sends the body as it is given."""
    body = {
        "model": MADE["model"],
        "prompt": MADE["prompt"],
        "images": [{"image_url": "https://a.example/fox.png"}, {"file_id": "file-abc123"}],
        "mask": {"file_id": "file-def456"},
        "n": 1,
        "quality": MADE["quality"],
        "size": MADE["size"],
    }
    told, found, sent, own = asked(
        lambda client: client.post("/images/edits", body=body, cast_to=ImagesResponse),
        lambda client: client.images.edit(
            **MADE,
            image=[InputImage.at("https://a.example/fox.png"), InputImage.file("file-abc123")],
            mask=InputImage.file("file-def456"),
        ),
    )
    same(sent, own)
    assert 1 == len(told.data) == len(found.images)


CHAT: dict[str, Any] = {"model": "gpt-4o", "max_completion_tokens": 50, "temperature": 0.5}


def test_a_conversation() -> None:
    """An answer: the same bytes of the same fields, and one text for both."""
    told, found, sent, own = asked(
        lambda client: client.chat.completions.create(messages=[{"role": "user", "content": "hello"}], **CHAT),
        lambda client: client.chat.complete(messages=[Message("user", "hello")], **CHAT),
    )
    same(sent, own)
    assert told.choices[0].message.content == found.text
    assert told.usage.total_tokens == told.usage.prompt_tokens + told.usage.completion_tokens


def test_a_stream_of_text() -> None:
    """The pieces of both make the same text, and the usage comes at the end."""

    def theirs(client: openai.OpenAI) -> str:
        stream = client.chat.completions.create(
            messages=[{"role": "user", "content": "hello"}],
            stream=True,
            stream_options={"include_usage": True},
            **CHAT,
        )
        return "".join(one.choices[0].delta.content or "" for one in stream if one.choices)

    def ours(client: penstock_io.sync.Client) -> str:
        stream = client.chat.stream(messages=[Message("user", "hello")], **CHAT)
        return "".join(one.text for one in stream if isinstance(one, TextDelta))

    told, found, sent, own = asked(theirs, ours)
    same(sent, own)
    assert told == found
    assert told


@pytest.mark.parametrize("inputs", [["a cat", "a dog"], "a cat", [[1, 2, 3], [4]]], ids=["texts", "text", "tokens"])
def test_vectors(inputs: Any) -> None:
    """Both ask for base64, and read the same numbers."""
    told, found, sent, own = asked(
        lambda client: client.embeddings.create(input=inputs, model="text-embedding-3-small", dimensions=4),
        lambda client: client.embeddings.create(input=inputs, model="text-embedding-3-small", dimensions=4),
    )
    same(sent, own)
    assert [one.embedding for one in told.data] == [list(one.vector) for one in found.embeddings]


def test_vectors_as_numbers() -> None:
    """Where they are asked for as numbers, both get the same ones."""
    told, found, sent, own = asked(
        lambda client: client.embeddings.create(
            input=["a cat", "a dog"], model="text-embedding-3-small", dimensions=4, encoding_format="float"
        ),
        lambda client: client.embeddings.create(
            input=["a cat", "a dog"], model="text-embedding-3-small", dimensions=4, encoding="float"
        ),
    )
    same(sent, own)
    for theirs, ours in zip(told.data, found.embeddings, strict=True):
        assert list(ours.vector) == pytest.approx(theirs.embedding, abs=1e-7)


def test_a_verdict_on_a_picture() -> None:
    """A text with pictures, by address and by their bytes, is one content with one verdict."""
    image = picture()
    address = f"data:image/png;base64,{b64encode(image).decode()}"
    told, found, sent, own = asked(
        lambda client: client.moderations.create(
            input=[
                {"type": "text", "text": "a bomb"},
                {"type": "image_url", "image_url": {"url": "https://a.example/fox.png"}},
                {"type": "image_url", "image_url": {"url": address}},
            ],
            model="omni-moderation-latest",
        ),
        lambda client: client.moderations.create(
            content=["a bomb", InputImage.at("https://a.example/fox.png"), InputImage.of(image)],
            model="omni-moderation-latest",
        ),
    )
    same(sent, own)
    assert [True] == [one.flagged for one in told.results] == [one.flagged for one in found.results]


def test_verdicts() -> None:
    """A text that is flagged and one that is not."""
    told, found, sent, own = asked(
        lambda client: client.moderations.create(input=["a bomb", "a cat"], model="omni-moderation-latest"),
        lambda client: client.moderations.create(input=["a bomb", "a cat"], model="omni-moderation-latest"),
    )
    same(sent, own)
    assert [True, False] == [one.flagged for one in told.results] == [one.flagged for one in found.results]


def test_a_refusal() -> None:
    """Their client knows an error of the simulated provider for what it is."""
    with serving(QUICK) as sim, httpx2.Client() as http:
        client = openai.OpenAI(api_key=KEY, base_url=sim.base_url, http_client=http, max_retries=0)
        with pytest.raises(openai.BadRequestError) as caught:
            client.images.generate(prompt="a cat", model="gpt-image-1.5", size="17x17")
    assert 400 == caught.value.status_code
    assert caught.value.type == "invalid_request_error"
