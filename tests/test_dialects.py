"""Each dialect against a table of transcripts: a request and its exact bytes, a reply and its exact reading."""

from __future__ import annotations

import json
import re
import struct
import zlib
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen

from penstock.config import Config, Gathering
from penstock.errors import UsageError
from penstock.ids import Handle
from penstock.prepare import prepare
from penstock.requests import ChatRequest, ImageRequest, InputImage, Message, Options, Prepared, Refusal, Unsaid
from penstock.wire import DIALECTS, dialect, encode, locate, spoken_at

ROOT = Path(__file__).parents[1]
UNIX = 1_795_300_000.0
RICH = ImageRequest(
    prompt="a lynx",
    model="m",
    size="1024x512",
    n=2,
    seed=7,
    negative_prompt="snow",
    steps=30,
    guidance=3.5,
    output_format="png",
)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PIXEL = b"".join(
    (
        b"\x89PNG\r\n\x1a\n",
        _chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 8, 6, 0, 0, 0)),
        _chunk(b"IDAT", zlib.compress(bytes(16 * 65))),
        _chunk(b"IEND", b""),
    )
)
"""A PNG of 16 by 16 pixels."""

PLAIN = ImageRequest(prompt="a lynx", model="m")


def ready(request: ImageRequest, spoken: str, options: Options | None = None) -> Prepared:
    """The request, prepared for a dialect."""
    made = prepare(request, options or Options(), Config(), handle=Handle(1), unix=UNIX, dialect=spoken)
    assert isinstance(made, Prepared), made
    return made


def said(request: ImageRequest, spoken: str, options: Options | None = None, first: int = 0) -> dict[str, object]:
    """The body that a request becomes."""
    made = ready(request, spoken, options)
    body: dict[str, object] = json.loads(encode(made, 0, min(request.n, made.said[0].most), first).body)
    return body


def warned(request: ImageRequest, spoken: str, options: Options | None = None) -> tuple[str, ...]:
    """What is remarked of it."""
    return ready(request, spoken, options).work.targets[0].warnings


@frozen
class Spoken:
    """A request in a dialect: its base URL, what becomes of both, and what is remarked."""

    dialect: str
    base_url: str
    url: str
    body: str
    warnings: tuple[str, ...] = ()
    request: ImageRequest = RICH


def unsaid(spoken: str, *names: str) -> tuple[str, ...]:
    """The remarks on fields that are not sent."""
    return tuple(
        f"{spoken} has no words for {name}: it is not sent"
        + (", and only tells this result from others" if name == "seed" else "")
        for name in names
    )


FORM = "".join(
    f'--MARK\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
    for name, text in (
        ("prompt", "a lynx"),
        ("aspect_ratio", "16:9"),
        ("output_format", "png"),
        ("seed", "7"),
        ("negative_prompt", "snow"),
        ("cfg_scale", "3.5"),
        ("model", "m"),
    )
)
"""A form, but for its boundary and its end."""

TABLE = (
    Spoken(
        "openai",
        "https://api.openai.com/v1",
        "https://api.openai.com/v1/images/generations",
        '{"model":"m","prompt":"a lynx","n":2,"output_format":"png","seed":7,"size":"1024x512"}',
        unsaid("openai", "negative_prompt", "steps", "guidance"),
    ),
    Spoken(
        "azure",
        "https://r.openai.azure.com/openai/v1",
        "https://r.openai.azure.com/openai/v1/images/generations?api-version=preview",
        '{"model":"m","prompt":"a lynx","n":2,"output_format":"png","seed":7,"size":"1024x512"}',
        unsaid("azure", "negative_prompt", "steps", "guidance"),
    ),
    Spoken(
        "openrouter",
        "https://openrouter.ai/api/v1",
        "https://openrouter.ai/api/v1/images",
        '{"model":"m","prompt":"a lynx","n":2,"size":"1024x512","output_format":"png","seed":7}',
        unsaid("openrouter", "negative_prompt", "steps", "guidance"),
    ),
    Spoken(
        "generic",
        "https://gateway.example/v1",
        "https://gateway.example/v1/images/generations",
        '{"model":"m","prompt":"a lynx","n":2,"size":"1024x512","output_format":"png","seed":7,'
        '"negative_prompt":"snow","num_inference_steps":30,"guidance_scale":3.5}',
    ),
    Spoken(
        "local",
        "http://127.0.0.1:8000/v1",
        "http://127.0.0.1:8000/v1/images/generations",
        '{"model":"m","prompt":"a lynx","n":2,"response_format":"b64_json","size":"1024x512","seed":7,'
        '"negative_prompt":"snow","num_inference_steps":30,"guidance_scale":3.5}',
    ),
    Spoken(
        "localai",
        "http://127.0.0.1:8080/v1",
        "http://127.0.0.1:8080/v1/images/generations",
        '{"model":"m","prompt":"a lynx|snow","n":2,"response_format":"b64_json","size":"1024x512","seed":7,"step":30}',
        unsaid("localai", "guidance"),
    ),
    Spoken(
        "sdwebui",
        "http://127.0.0.1:7860",
        "http://127.0.0.1:7860/sdapi/v1/txt2img",
        '{"prompt":"a lynx","batch_size":2,"override_settings":{"sd_model_checkpoint":"m"},"save_images":false,'
        '"width":1024,"height":512,"seed":7,"negative_prompt":"snow","steps":30,"cfg_scale":3.5}',
    ),
    Spoken(
        "stability",
        "https://api.stability.ai",
        "https://api.stability.ai/v2beta/stable-image/generate/sd3",
        FORM,
        ("size 1024x512 is said as aspect_ratio 16:9, the nearest there is: no pixels", *unsaid("stability", "steps")),
    ),
    Spoken(
        "together",
        "https://api.together.ai/v1",
        "https://api.together.ai/v1/images/generations",
        '{"model":"m","prompt":"a lynx","n":2,"response_format":"base64","width":1024,"height":512,'
        '"output_format":"png","seed":7,"negative_prompt":"snow","steps":30,"guidance_scale":3.5}',
    ),
    Spoken(
        "xai",
        "https://api.x.ai/v1",
        "https://api.x.ai/v1/images/generations",
        '{"model":"m","prompt":"a lynx","n":2,"response_format":"b64_json","aspect_ratio":"2:1"}',
        (
            "size 1024x512 is said as aspect_ratio 2:1, the nearest there is: no pixels",
            *unsaid("xai", "output_format", "seed", "negative_prompt", "steps", "guidance"),
        ),
    ),
)


@pytest.mark.parametrize("told", TABLE, ids=lambda told: told.dialect)
def test_one_request_in_every_dialect(told: Spoken) -> None:
    """Exact URL, headers and bytes, and a remark on each field that is not sent."""
    made = ready(told.request, told.dialect)
    call = encode(made, 0, min(told.request.n, made.said[0].most))
    if told.body == FORM:
        mark = call.body[2:34].decode()
        assert told.body.replace("MARK", mark) + f"--{mark}--\r\n" == call.body.decode()
        assert (
            ("content-type", f"multipart/form-data; boundary={mark}"),
            ("accept", "application/json"),
        ) == call.headers
    else:
        assert told.body == call.body.decode()
        assert (("content-type", "application/json"),) == call.headers
    assert call.method == "POST"
    assert told.url == locate(told.dialect, told.base_url, call.path, told.request.model)
    assert told.warnings == made.work.targets[0].warnings


def test_every_dialect_has_a_transcript() -> None:
    """A new one brings its own."""
    assert set(DIALECTS) == {told.dialect for told in TABLE}


def test_the_worked_example_is_the_module() -> None:
    """CONTRIBUTING shows what is there, and no dialect is longer than it says."""
    told = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## A new dialect")[2]
    folder = ROOT / "src" / "penstock" / "wire" / "dialects"
    example = told.partition("```python\n")[2].partition("```")[0]
    assert (folder / "together.py").read_text(encoding="utf-8") == example
    lengths = {one.name: len(one.read_text(encoding="utf-8").splitlines()) for one in folder.glob("[a-z]*.py")}
    assert {} == {name: length for name, length in lengths.items() if length >= 150}


def test_the_page_names_every_dialect_and_its_state() -> None:
    """In its first table, with what it rests on; in its second, the words for each field."""
    page = (ROOT / "docs" / "wire.md").read_text(encoding="utf-8")
    states = {
        name: state.startswith("verified")
        for name, state in re.findall(r"^\| `(\w+)` \|(?:[^|]*\|){3} (\w+)", page, re.MULTILINE)
        if name in DIALECTS
    }
    assert states == {name: one.verified for name, one in DIALECTS.items()}
    (columns,) = re.findall(r"^\| field \|(.*)$", page, re.MULTILINE)
    assert set(DIALECTS) == set(re.findall(r"`(\w+)`", columns))
    fields = set(re.findall(r"^\| `(\w+)`[^|]*\|", page.partition("| field |")[2].partition("\n\n")[0], re.MULTILINE))
    assert {
        "size",
        "n",
        "quality",
        "seed",
        "negative_prompt",
        "steps",
        "guidance",
        "strength",
        "output_format",
    } == fields


@pytest.mark.parametrize("spoken", DIALECTS)
def test_a_plain_request_needs_no_remark(spoken: str) -> None:
    """Nothing is said of what was not asked for, nor of what a server does anyway."""
    assert () == warned(PLAIN, spoken)
    easy = ImageRequest(prompt="x", model="m", size="auto", quality="auto", background="auto", moderation="auto")
    assert () == warned(easy, spoken)


@pytest.mark.parametrize(
    ("base_url", "query", "url"),
    [
        ("https://r.openai.azure.com/openai/v1", (), "https://r.openai.azure.com/openai/v1/p?api-version=preview"),
        (
            "https://r.openai.azure.com/openai/v1",
            (("api-version", "v1"), ("a", "b c&d")),
            "https://r.openai.azure.com/openai/v1/p?api-version=v1&a=b%20c%26d",
        ),
        (
            "https://r.openai.azure.com/openai/deployments/pics",
            (("api-version", "2026-01-01"),),
            "https://r.openai.azure.com/openai/deployments/pics/p?api-version=2026-01-01",
        ),
        (
            "https://r.openai.azure.com",
            (),
            "https://r.openai.azure.com/openai/deployments/my%2Fpics/p?api-version=2025-04-01-preview",
        ),
        (
            "https://r.openai.azure.com/openai",
            (),
            "https://r.openai.azure.com/openai/deployments/my%2Fpics/p?api-version=2025-04-01-preview",
        ),
    ],
)
def test_all_forms_of_azures_urls(base_url: str, query: tuple[tuple[str, str], ...], url: str) -> None:
    """The deployment stands where the form wants it; a query of the caller's replaces the dialect's own."""
    assert url == locate("azure", base_url, "/p", "my/pics", query)


@pytest.mark.parametrize("operation", ["pictures", "chat"])
def test_a_url_that_names_another_deployment_is_refused(operation: str) -> None:
    """It would lead to that one under this one's name, key and price; so it would down a chain."""
    url = "https://n.openai.azure.com/openai/deployments/cheap%20one"
    asked: dict[str, Any] = {"dialect": "azure", "handle": Handle(1), "unix": UNIX}

    def request(model: str) -> ImageRequest | ChatRequest:
        words = (Message("user", "x"),)
        pictures = operation == "pictures"
        return ImageRequest(prompt="x", model=model) if pictures else ChatRequest(messages=words, model=model)

    found = prepare(request("gpt-image-2"), Options(), Config(), server=url, **asked)
    assert isinstance(found, Refusal)
    said = "model: the base URL leads to the deployment cheap one, whatever is asked for: ask for cheap one, or take"
    assert ("model", True) == (found.field, found.message.startswith(said))
    ours = "https://n.openai.azure.com/openai/deployments/mine"
    assert isinstance(prepare(request("mine"), Options(), Config(), server=ours, **asked), Prepared)
    chain = Options(fallbacks=(("default", "dearer"),))
    assert isinstance(prepare(request("mine"), chain, Config(), server=ours, **asked), Refusal)
    for free in ("https://n.openai.azure.com", "https://n.openai.azure.com/openai/v1", ""):
        assert isinstance(prepare(request("mine"), chain, Config(), server=free, **asked), Prepared)


def test_a_query_goes_behind_any_url() -> None:
    """Also where the dialect has none."""
    assert "https://h/v1/p" == locate("openai", "https://h/v1", "/p", "m")
    assert "https://h/v1/p?tenant=%C3%A4" == locate("openai", "https://h/v1", "/p", "m", (("tenant", "\u00e4"),))


@pytest.mark.parametrize(
    ("url", "spoken"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://r.openai.azure.com/openai/v1", "azure"),
        ("https://openrouter.ai/api/v1", "openrouter"),
        ("https://api.x.ai/v1", "xai"),
        ("https://api.together.xyz/v1", "together"),
        ("https://fakeopenrouter.ai/api/v1", "openai"),
        ("http://127.0.0.1:8000/v1", "openai"),
    ],
)
def test_a_host_says_its_dialect(url: str, spoken: str) -> None:
    """Only the host itself, or one below it; of all others nothing is known."""
    assert spoken == spoken_at(url)


def test_azure_makes_no_webp() -> None:
    """A value that the dialect does not have is told like a field that it does not have."""
    webp = ImageRequest(prompt="x", model="m", output_format="webp")
    assert ("azure has no words for output_format webp: it is not sent",) == warned(webp, "azure")
    refused = prepare(webp, Options(unsaid=Unsaid.REFUSE), Config(), handle=Handle(1), unix=UNIX, dialect="azure")
    assert isinstance(refused, Refusal)
    assert "output_format" == refused.field


def test_a_seed_goes_on_from_call_to_call() -> None:
    """A request of many pictures is many calls: no two of them begin with the same seed, whoever gave it."""
    many = ImageRequest(prompt="x", model="m", n=25, seed=100)
    assert [100, 110, 120] == [said(many, "local", first=first)["seed"] for first in (0, 10, 20)]
    assert 103 == said(many, "local", Options(sample=3))["seed"]
    assert -1 == said(ImageRequest(prompt="x", model="m", seed=-1), "sdwebui", first=0)["seed"]


def test_a_server_that_would_repeat_itself_is_told_a_seed() -> None:
    """It follows from the key: the same for the same picture, another one for any other."""
    plain = ImageRequest(prompt="x", model="m", n=20)
    seeds = [
        said(plain, "local", options, first)["seed"] for options in (Options(), Options(sample=20)) for first in (0, 5)
    ]
    assert len(set(map(str, seeds))) == 4
    assert all(isinstance(seed, int) and 0 <= seed < 2**31 for seed in seeds)
    assert seeds[0] == said(plain, "local")["seed"]
    assert "seed" not in said(plain, "generic")


def test_what_cannot_be_said_is_refused_where_that_is_asked() -> None:
    """The first such field is named, with what to do."""
    strict = Options(unsaid=Unsaid.REFUSE)
    for spoken, field in (("openai", "negative_prompt"), ("xai", "size"), ("localai", "guidance")):
        made = prepare(RICH, strict, Config(), handle=Handle(1), unix=UNIX, dialect=spoken)
        assert isinstance(made, Refusal)
        assert field == made.field
        assert f"{field}: " in made.message
    assert ready(RICH, "together", strict).work.targets[0].warnings == ()


def test_what_cannot_be_said_is_emulated_where_that_is_asked() -> None:
    """A negative prompt stands in the prompt, a quality becomes steps; each is remarked, and texts are not repeated."""
    emulate = Options(unsaid=Unsaid.EMULATE)
    asked = ImageRequest(prompt="a lynx", model="m", negative_prompt="secret words", quality="low")
    assert "a lynx\n\nThe picture must not show: secret words" == said(asked, "openai", emulate)["prompt"]
    (remark,) = warned(asked, "openai", emulate)
    assert "negative_prompt is said within the prompt: openai has no words of its own for it" == remark
    body = said(asked, "local", emulate)
    assert ("a lynx", "secret words", 15) == (body["prompt"], body["negative_prompt"], body["num_inference_steps"])
    assert ("quality low is said as num_inference_steps 15: local has no words of its own for it",) == warned(
        asked, "local", emulate
    )


def test_nothing_that_was_given_is_overruled_by_an_emulation() -> None:
    """Steps that were asked for stay, and the quality is dropped."""
    emulate = Options(unsaid=Unsaid.EMULATE)
    asked = ImageRequest(prompt="x", model="m", steps=9, quality="low")
    assert 9 == said(asked, "together", emulate)["steps"]
    assert ("together has no words for quality: it is not sent",) == warned(asked, "together", emulate)


def test_what_is_emulated_has_another_key_than_what_is_dropped() -> None:
    """They are different pictures; what says the same plainly has the same key."""
    asked = ImageRequest(prompt="x", model="m", negative_prompt="y")
    keys = [ready(asked, "openai", Options(unsaid=how)).work.targets[0].keys for how in (Unsaid.DROP, Unsaid.EMULATE)]
    plainly = ImageRequest(prompt="x\n\nThe picture must not show: y", model="m")
    assert keys[0] != keys[1]
    assert keys[1] == ready(plainly, "openai").work.targets[0].keys
    together = Config(gathering=Gathering(most=4))
    made = [
        prepare(asked, Options(unsaid=how), together, handle=Handle(1), unix=UNIX)
        for how in (Unsaid.DROP, Unsaid.EMULATE, Unsaid.EMULATE)
    ]
    gathered = [one.work.targets[0].gather for one in made if isinstance(one, Prepared)]
    assert gathered[0] != gathered[1] == gathered[2]


def test_nobody_speaks_other_dialects() -> None:
    """The error names those that there are."""
    with pytest.raises(UsageError, match=r"klingon.*openai"):
        dialect("klingon")


def test_no_mask_for_who_has_no_words_for_it() -> None:
    """It is refused before anything is sent; so is an address where bytes are needed."""
    image = InputImage.at("https://h/a.png")
    for spoken, asked, field in (
        ("openrouter", ImageRequest(prompt="x", model="m", images=(image,), mask=image), "mask"),
        ("sdwebui", ImageRequest(prompt="x", model="m", images=(image,)), "images"),
        ("localai", ImageRequest(prompt="x", model="m", images=(image,)), "dialect"),
        ("stability", ImageRequest(prompt="x", model="m", images=(image,), strength=0.5), "images"),
        ("together", ImageRequest(prompt="x", model="m", images=(image,), mask=image), "mask"),
        ("xai", ImageRequest(prompt="x", model="m", images=(image,), mask=image), "mask"),
    ):
        made = prepare(asked, Options(), Config(), handle=Handle(1), unix=UNIX, dialect=spoken)
        assert isinstance(made, Refusal)
        assert (field, True) == (made.field, spoken in made.message)


def test_a_mask_of_a_webui_means_the_same() -> None:
    """It repaints what is opaque in a mask with alpha, unless it is told the opposite; any other mask is its own."""
    clear = InputImage.of(PIXEL)
    plain = evolve(clear, has_alpha=False)
    for mask, told, expected in ((clear, (), 1), (plain, (), None), (clear, (("inpainting_mask_invert", 0),), 0)):
        body = said(ImageRequest(prompt="x", model="m", images=(plain,), mask=mask, extra=told), "sdwebui")
        assert (b64encode(PIXEL).decode(), expected) == (body["mask"], body.get("inpainting_mask_invert"))


def test_images_go_along_in_each_dialects_words() -> None:
    """As base64 to a WebUI, as references to OpenRouter."""
    image = InputImage.of(PIXEL)
    asked = ImageRequest(prompt="x", model="m", images=(image,), strength=0.5)
    body = said(asked, "sdwebui")
    assert ([b64encode(PIXEL).decode()], 0.5) == (body["init_images"], body["denoising_strength"])
    assert "/sdapi/v1/img2img" == encode(ready(asked, "sdwebui"), 0, 1).path
    address = f"data:image/png;base64,{b64encode(PIXEL).decode()}"
    assert [{"type": "image_url", "image_url": {"url": address}}] == said(asked, "openrouter")["input_references"]
    assert ("openrouter has no words for strength: it is not sent",) == warned(asked, "openrouter")
