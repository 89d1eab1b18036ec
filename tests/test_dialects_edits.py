"""Edits as each dialect has them: exact bytes, and what is refused before anything is sent."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from attrs import evolve

from penstock.config import Config
from penstock.http import HttpCall
from penstock.ids import Handle
from penstock.prepare import prepare
from penstock.requests import EDIT, ImageRequest, InputImage, Options, Prepared, Refusal, Unsaid
from penstock.wire import DIALECTS, encode
from penstock.wire.multipart import read
from tests.test_wire_edits import MASK, OTHER, PHOTO

UNIX = 1_795_300_000.0
FAR = InputImage.at("https://h.example/a.png")
DATA = f"data:image/png;base64,{b64encode(PHOTO.data).decode()}"
ASKED = ImageRequest(prompt="a red sky", model="m", images=(PHOTO,))


def made(request: ImageRequest, name: str, unsaid: Unsaid = Unsaid.DROP) -> Prepared | Refusal:
    """The request for a provider that speaks so."""
    return prepare(request, Options(unsaid=unsaid), Config(), handle=Handle(1), unix=UNIX, dialect=name)


def call_of(request: ImageRequest, name: str) -> HttpCall:
    """The call that buys its first pictures there."""
    found = made(request, name)
    assert isinstance(found, Prepared)
    return encode(found, 0, min(request.n, found.said[0].most))


@pytest.mark.parametrize(
    ("name", "fields", "path", "body"),
    [
        (
            "together",
            {"n": 2, "size": "1024x512", "steps": 28},
            "/images/generations",
            (
                f'{{"model":"m","prompt":"a red sky","n":2,"response_format":"base64","image_url":"{DATA}",'
                '"width":1024,"height":512,"steps":28}'
            ),
        ),
        (
            "together",
            {"images": (FAR, PHOTO), "seed": 3},
            "/images/generations",
            (
                '{"model":"m","prompt":"a red sky","n":1,"response_format":"base64",'
                f'"reference_images":["https://h.example/a.png","{DATA}"],"seed":3}}'
            ),
        ),
        (
            "xai",
            {"n": 2, "size": "1024x1024", "quality": "low"},
            "/images/edits",
            (
                '{"model":"m","prompt":"a red sky","n":2,"response_format":"b64_json",'
                f'"image":{{"url":"{DATA}","type":"image_url"}},"aspect_ratio":"1:1","quality":"low"}}'
            ),
        ),
        (
            "xai",
            {"images": (FAR, PHOTO)},
            "/images/edits",
            (
                '{"model":"m","prompt":"a red sky","n":1,"response_format":"b64_json",'
                '"images":[{"url":"https://h.example/a.png","type":"image_url"},'
                f'{{"url":"{DATA}","type":"image_url"}}]}}'
            ),
        ),
        (
            "openrouter",
            {"images": (FAR,), "seed": 3},
            "/images",
            (
                '{"model":"m","prompt":"a red sky","n":1,"input_references":'
                '[{"type":"image_url","image_url":{"url":"https://h.example/a.png"}}],"seed":3}'
            ),
        ),
    ],
)
def test_an_edit_as_json(name: str, fields: dict[str, Any], path: str, body: str) -> None:
    """Exact path, headers and bytes: one image under its own name, several as a list."""
    call = call_of(evolve(ASKED, **fields), name)
    assert ("POST", path, (("content-type", "application/json"),), body) == (
        call.method,
        call.path,
        call.headers,
        call.body.decode(),
    )


@pytest.mark.parametrize(
    ("model", "path", "beside"),
    [
        ("sd3.5-large", "sd3", [("model", "sd3.5-large"), ("mode", "image-to-image")]),
        ("sd3", "sd3", [("mode", "image-to-image")]),
        ("ultra", "ultra", []),
    ],
)
def test_an_edit_at_stability_is_a_form(model: str, path: str, beside: list[tuple[str, str]]) -> None:
    """The image is a file of it; sd3 is told its mode; the picture has the size of the image."""
    request = evolve(ASKED, model=model, strength=0.5, seed=3, size="1024x1024", negative_prompt="fog", n=2)
    call = call_of(request, "stability")
    assert ("accept", "application/json") in call.headers
    assert f"/v2beta/stable-image/generate/{path}" == call.path
    *texts, image = read(call.headers[0][1], call.body)
    told = [("prompt", "a red sky"), ("seed", "3"), ("negative_prompt", "fog"), ("strength", "0.5"), *beside]
    assert told == [(part.name, part.content.decode()) for part in texts]
    assert ("image", "image.png", "image/png", PHOTO.data) == (image.name, image.filename, image.type, image.content)
    found = made(request, "stability")
    assert isinstance(found, Prepared)
    assert ("stability has no words for size: it is not sent",) == found.work.targets[0].warnings


@pytest.mark.parametrize(
    ("name", "fields", "field", "words"),
    [
        ("stability", {"strength": None}, "strength", "must be told how far"),
        ("stability", {"images": (PHOTO, OTHER)}, "images", "give one"),
        ("stability", {"model": "core"}, "model", "ask ultra or sd3.5-large"),
        ("stability", {"images": (FAR,)}, "images", "give their bytes"),
        ("stability", {"mask": MASK}, "mask", "as openai, azure, generic, local, sdwebui have: leave it out"),
        ("together", {"mask": MASK}, "mask", "as openai, azure, generic, local, sdwebui have: leave it out"),
        ("xai", {"mask": MASK}, "mask", "as openai, azure, generic, local, sdwebui have: leave it out"),
        (
            "localai",
            {},
            "dialect",
            "one of openai, azure, openrouter, generic, local, sdwebui, stability, together, xai",
        ),
    ],
)
@pytest.mark.parametrize("unsaid", Unsaid)
def test_what_has_no_words_is_refused_with_who_has_them(
    name: str, fields: dict[str, Any], field: str, words: str, unsaid: Unsaid
) -> None:
    """Whatever is to be done with what is not said: an image, or a mask, is never dropped."""
    found = made(evolve(ASKED, **{"model": "sd3.5-large", "strength": 0.5, **fields}), name, unsaid)
    assert isinstance(found, Refusal)
    if unsaid is not Unsaid.REFUSE or field != "strength":
        assert field == found.field
        assert words in found.message


@pytest.mark.parametrize("name", [name for name, one in DIALECTS.items() if EDIT in one.ways])
def test_every_edit_has_its_image_in_it(name: str) -> None:
    """As bytes or in base64; another image is another call, and another key."""
    keys: list[str] = []
    for image in (PHOTO, OTHER):
        request = evolve(ASKED, model="sd3.5-large", images=(image,), strength=0.5)
        call, found = call_of(request, name), made(request, name)
        assert image.data in call.body or b64encode(image.data) in call.body
        assert isinstance(found, Prepared)
        keys += found.work.targets[0].keys
    assert 2 == len(set(keys))
