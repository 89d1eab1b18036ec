"""Edits on the wire, and back: forms as the official client sends them, JSON with addresses."""

from __future__ import annotations

import json
from base64 import b64encode
from io import BytesIO

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from penstock.catalog import moment
from penstock.config import Config
from penstock.errors import UsageError
from penstock.http import HttpCall
from penstock.ids import Handle
from penstock.prepare import Prepared, Refusal, prepare
from penstock.requests import ImageRequest, InputImage, Options
from penstock.wire import DIALECTS, Undecodable, decode, encode
from penstock.wire.multipart import Part, read, write


def image(width: int = 8, height: int = 8, mode: str = "RGB", form: str = "PNG") -> InputImage:
    """An image of so many pixels."""
    out = BytesIO()
    Image.new(mode, (width, height), (width,) * len(mode)).save(out, form)
    return InputImage.of(out.getvalue())


PHOTO, OTHER, MASK = image(), image(9, form="JPEG"), image(mode="RGBA")
FAR = InputImage.at("https://pictures.example/a.png")
FILED = InputImage.file("file-abc123")
EDIT = ImageRequest(prompt="a red sky", model="gpt-image-1.5", images=(PHOTO,))
JSON = (("content-type", "application/json"),)


def made(request: ImageRequest) -> Prepared | Refusal:
    """The request, prepared if its model takes it."""
    return prepare(request, Options(), Config(), handle=Handle(1), unix=moment("2026-11-21"))


def call_of(request: ImageRequest) -> HttpCall:
    """The call that buys it."""
    found = made(request)
    assert isinstance(found, Prepared)
    return encode(found, 0, request.n)


def fields(call: HttpCall) -> list[tuple[str, str]]:
    """Names of a form in their order, each with its text, or its file's name and type."""
    parts = read(call.headers[0][1], call.body)
    return [(part.name, f"{part.filename} {part.type}" if part.filename else part.content.decode()) for part in parts]


texts = st.text(min_size=1, max_size=40).filter(
    lambda text: bool(text.strip()) and not any(0xD800 <= ord(char) < 0xE000 for char in text)
)
requests = st.builds(
    ImageRequest,
    prompt=texts | st.sampled_from(['"\r\n--x--\r\nContent-Disposition: form-data; name="n"\r\n\r\n9', "42", "true"]),
    model=st.just("gpt-image-1.5"),
    size=st.sampled_from([None, "auto", "1024x1024"]),
    quality=st.sampled_from([None, "low"]),
    n=st.integers(1, 10),
    background=st.sampled_from([None, "opaque"]),
    moderation=st.sampled_from([None, "low"]),
    output_format=st.sampled_from(["webp", "jpeg"]),
    output_compression=st.none() | st.integers(0, 100),
    user=st.none() | texts,
    images=st.lists(st.sampled_from([PHOTO, MASK, image(form="WEBP"), FAR, FILED]), min_size=1, max_size=4).map(tuple),
    mask=st.sampled_from([None, MASK, FILED]),
    input_fidelity=st.sampled_from([None, "low", "high"]),
)


@given(requests)
def test_an_edit_comes_back(request: ImageRequest) -> None:
    """What is encoded, as a form or as JSON, is decoded to the same request, with the bytes of its images."""
    call = call_of(request)
    assert ("POST", "/images/edits") == (call.method, call.path)
    found = decode(call)
    assert isinstance(found, ImageRequest)
    assert request == found
    assert [one.data for one in request.inputs] == [one.data for one in found.inputs]
    assert call == call_of(request)


def test_a_form_has_the_order_and_names_of_the_official_client() -> None:
    """Fields before files; one file is `image`, several are `image[]`, then the mask; nothing else is sent."""
    request = evolve(
        EDIT, size="1024x1024", quality="low", n=2, background="opaque", input_fidelity="high", user="u-1", mask=MASK,
        output_format="webp", output_compression=80,
    )  # fmt: skip
    assert [
        ("prompt", "a red sky"),
        ("background", "opaque"),
        ("input_fidelity", "high"),
        ("model", "gpt-image-1.5"),
        ("n", "2"),
        ("output_compression", "80"),
        ("output_format", "webp"),
        ("quality", "low"),
        ("size", "1024x1024"),
        ("user", "u-1"),
        ("image", "image.png image/png"),
        ("mask", "mask.png image/png"),
    ] == fields(call_of(request))
    several = fields(call_of(evolve(EDIT, images=(PHOTO, OTHER))))
    assert [("image[]", "image.png image/png"), ("image[]", "image.jpeg image/jpeg")] == several[-2:]
    assert [("prompt", "a red sky"), ("model", "gpt-image-1.5"), ("n", "1")] == several[:-2]


def test_an_address_makes_it_json() -> None:
    """With an image behind a URL it is JSON; what is here goes as a data URL."""
    call = call_of(evolve(EDIT, images=(FAR, PHOTO), mask=MASK, quality="low"))
    assert JSON == call.headers
    assert {
        "model": "gpt-image-1.5",
        "prompt": "a red sky",
        "n": 1,
        "quality": "low",
        "images": [
            {"image_url": "https://pictures.example/a.png"},
            {"image_url": f"data:image/png;base64,{b64encode(PHOTO.data).decode()}"},
        ],
        "mask": {"image_url": f"data:image/png;base64,{b64encode(MASK.data).decode()}"},
    } == json.loads(call.body)
    assert "pictures.example" not in repr(call)


def test_a_file_that_was_uploaded_is_told_by_its_name() -> None:
    """As JSON, also as a mask; each image has exactly one of the two keys."""
    call = call_of(evolve(EDIT, images=(FILED, FAR), mask=InputImage.file("file-mask")))
    told = json.loads(call.body)
    assert [{"file_id": "file-abc123"}, {"image_url": FAR.url}] == told["images"]
    assert {"file_id": "file-mask"} == told["mask"]


@pytest.mark.parametrize("name", DIALECTS)
def test_who_has_no_uploaded_files_refuses_them_by_name(name: str) -> None:
    """Before anything is sent, with the dialects that have; nobody sends the image of another."""
    for request in (evolve(EDIT, images=(FILED,)), evolve(EDIT, images=(PHOTO,), mask=FILED)):
        asked = evolve(request, model="m")
        found = prepare(asked, Options(), Config(), handle=Handle(1), unix=moment("2026-11-21"), dialect=name)
        if name in ("openai", "generic"):
            assert isinstance(found, Prepared)
            assert b'{"file_id":"file-abc123"}' in encode(found, 0, 1).body
            continue
        assert isinstance(found, Refusal)
        assert name in found.message
        if "images.edit" in DIALECTS[name].ways and (DIALECTS[name].ways["images.edit"].masks or not request.mask):
            assert "(file_id), as openai, generic have" in found.message


def test_moderation_makes_it_json() -> None:
    """The form of an edit has no `moderation`, JSON has."""
    assert "low" == json.loads(call_of(evolve(EDIT, moderation="low")).body)["moderation"]


def test_what_json_cannot_hold_is_refused() -> None:
    """An image that is too long for a data URL goes as a file, and where that cannot be it is said why."""
    large = evolve(PHOTO, nbytes=16 << 20)
    assert isinstance(made(evolve(EDIT, images=(large,))), Prepared)
    for request, words in (
        (evolve(EDIT, images=(large,), moderation="low"), "images: one has 16.0 MB, and where moderation is given"),
        (evolve(EDIT, images=(FAR, large)), "images: one has 16.0 MB, and where another is behind a URL"),
        (evolve(EDIT, images=(FAR,), mask=evolve(MASK, nbytes=16 << 20)), "mask: one has 16.0 MB"),
    ):
        found = made(request)
        assert isinstance(found, Refusal)
        assert found.message.startswith(words)


def test_an_image_without_its_bytes_is_not_sent() -> None:
    """A plan may rest on digests alone; a call may not."""
    with pytest.raises(UsageError, match="bytes"):
        call_of(evolve(EDIT, images=(PHOTO.bare,)))


def form(*parts: Part) -> HttpCall:
    """A call with these parts."""
    kind, body = write(parts)
    return HttpCall("POST", "/images/edits", (("Content-Type", kind),), body)


def body(**told: object) -> HttpCall:
    """A call with this JSON."""
    plain = {"model": "gpt-image-1.5", "prompt": "x", **told}
    return HttpCall("POST", "/images/edits", JSON, json.dumps(plain).encode())


MODEL, PROMPT = Part("model", b"gpt-image-1.5"), Part("prompt", b"x")
FILE = Part("image", PHOTO.data, "a.png", "image/png")


@pytest.mark.parametrize(
    ("call", "code", "param"),
    [
        (form(MODEL, PROMPT), "missing_required_parameter", "image"),
        (form(PROMPT, FILE), "missing_required_parameter", "model"),
        (form(MODEL, PROMPT, FILE, Part("moderation", b"low")), "unknown_parameter", "moderation"),
        (form(MODEL, PROMPT, PROMPT, FILE), "invalid_value", "prompt"),
        (form(MODEL, PROMPT, FILE, Part("n", b"eleven")), "invalid_value", "n"),
        (form(MODEL, PROMPT, FILE, Part("n", b"11")), "invalid_value", "n"),
        (form(MODEL, Part("prompt", b"\xff"), FILE), "invalid_value", "prompt"),
        (form(MODEL, PROMPT, FILE, Part("output_compression", b"high")), "invalid_type", "output_compression"),
        (form(MODEL, PROMPT, Part("image", b"GIF89a", "a.gif")), "invalid_image_file", "image"),
        (form(MODEL, PROMPT, FILE, Part("mask", b"", "m.png")), "invalid_image_file", "mask"),
        (form(MODEL, PROMPT, FILE, Part("mask", PHOTO.data, "m.png")), "invalid_value", "mask"),
        (form(MODEL, PROMPT, *[FILE] * 17), "invalid_value", "images"),
        (form(MODEL, PROMPT, FILE, Part("strength", b"1")), "unknown_parameter", "strength"),
        (HttpCall("POST", "/images/edits", (("content-type", "multipart/form-data"),), b""), None, None),
        (HttpCall("POST", "/images/edits", (), b"{}"), "unsupported_content_type", None),
        (body(), "missing_required_parameter", "image"),
        (body(images="https://x.example/a.png"), "missing_required_parameter", "image"),
        (body(images=["https://x.example/a.png"]), "invalid_value", "images"),
        (body(images=[{"file_id": "a file"}]), "invalid_value", "images"),
        (body(images=[{"file_id": 1}]), "invalid_value", "images"),
        (body(images=[{}]), "invalid_value", "images"),
        (body(images=[{"image_url": "https://x.example/a.png", "file_id": "f"}]), "invalid_value", "images"),
        (body(images=[{"image_url": "ftp://x"}]), "invalid_value", "images"),
        (body(images=[{"image_url": "data:image/png;base64,%%"}]), "invalid_value", "images"),
        (body(images=[{"image_url": "data:image/png;base64,AAAA"}]), "invalid_image_file", "images"),
        (body(images=[{"image_url": "https://x.example/a.png"}], mask={"image_url": 1}), "invalid_value", "mask"),
    ],
)
def test_bad_calls_are_answered_as_the_api_would(call: HttpCall, code: str | None, param: str | None) -> None:
    """A simulated provider refuses with status 400, a code and the parameter."""
    with pytest.raises(Undecodable) as caught:
        decode(call)
    assert (400, code, param) == (caught.value.status, caught.value.problem.code, caught.value.param)
