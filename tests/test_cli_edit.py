"""`penstock edit`: pictures from pictures, with all that `penstock generate` does around it."""

from __future__ import annotations

import json
from base64 import b64encode
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from penstock.catalog import estimated_image_tokens
from penstock_io.cli.main import main
from penstock_io.simserver import SimServer
from tests.scripted import scripted

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def cheap(sim: SimServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked for where a test does not say, and a few images."""
    del sim
    for name, text in (("QUALITY", "low"), ("SIZE", "1024x1024"), ("MODEL", "gpt-image-1.5")):
        monkeypatch.setenv(f"PENSTOCK_{name}", text)
    for name, mode in (("photo.png", "RGB"), ("mask.png", "RGBA")):
        Image.new(mode, (60, 40), (9,) * len(mode)).save(name)
    Image.new("RGB", (30, 90)).save("other.jpg")


def received(sim: SimServer) -> int:
    """Requests that the provider has seen."""
    return sim.stats()["received"]


def test_a_picture_of_a_picture(sim: SimServer, capsys: pytest.CaptureFixture[str]) -> None:
    """It is there, and one line says where, of which model, and what it cost; the price was said before."""
    before = received(sim)
    assert 0 == main(["edit", "make the sky red", "photo.png", "-o", "red.png"])
    told = capsys.readouterr()
    assert Path("red.png").read_bytes().startswith(PNG)
    assert told.out.startswith("red.png: gpt-image-1.5, 1024x1024, $0.0")
    assert "1 picture of gpt-image-1.5 for at most $0.0" in told.err
    assert before + 1 == received(sim)


def test_several_images_and_a_mask(capsys: pytest.CaptureFixture[str]) -> None:
    """All of them reach the provider, which counts their pixels; the pictures are numbered."""
    command = ["edit", "both", "photo.png", "other.jpg", "--mask", "mask.png", "--input-fidelity", "high", "-n", "2"]
    assert 0 == main([*command, "-o", "both.png", "--json"])
    told = json.loads(capsys.readouterr().out)
    tokens = [estimated_image_tokens("gpt-image-1.5", *pixels, "high") or 0 for pixels in ((60, 40), (30, 90))]
    assert ["both-1.png", "both-2.png"] == told["files"]
    assert sum(tokens) == told["usage"]["input_image"]


def test_an_image_behind_an_address(capsys: pytest.CaptureFixture[str]) -> None:
    """It is sent as it is; what it costs nobody knows beforehand, so a budget wants to know it or to be left out."""
    command = ["edit", "red", "https://pictures.example/a.png", "-o", "red.png"]
    assert 3 == main([*command, "--budget", "1"])
    said = capsys.readouterr().err
    assert "what input images of gpt-image-1.5 cost is not known" in said
    assert "input_tokens = 1600" in said
    assert 0 == main([*command, "--yes"])
    assert "for an amount that is not known" in capsys.readouterr().err
    assert Path("red.png").exists()


@pytest.mark.parametrize("images", [[], ["photo.png"]])
def test_images_that_were_uploaded_before(images: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """They go by their ids, in their order, behind those that are named; nothing but a yes bounds their price."""
    with scripted({"created": 1, "data": [{"b64_json": b64encode(PNG).decode()}]}) as script:
        monkeypatch.setenv("OPENAI_BASE_URL", script.origin)
        command = ["edit", "red", *images, "--file-id", "file-a", "--file-id", "file-b", "-o", "red.png"]
        assert 3 == main([*command, "--budget", "1"])
        assert [] == script.heard
        assert 0 == main([*command, "--yes"])
        (heard,) = script.heard
    sent = json.loads(heard.body)["images"]
    assert ("/images/edits", [{"file_id": "file-a"}, {"file_id": "file-b"}]) == (heard.path, sent[len(images) :])
    assert len(images) == len([one for one in sent if one.get("image_url", "").startswith("data:image/png;")])


def test_options_stand_anywhere(sim: SimServer) -> None:
    """Before, between and behind the images, which keep their order."""
    before = received(sim)
    for command in (
        ["-o", "a.png", "red", "photo.png", "photo.png"],
        ["red", "-o", "b.png", "photo.png", "photo.png"],
        ["red", "photo.png", "--yes", "photo.png", "-o", "c.png"],
    ):
        assert 0 == main(["edit", *command])
    assert before + 3 == received(sim)
    assert ["a.png", "b.png", "c.png"] == [name for name in ("a.png", "b.png", "c.png") if Path(name).exists()]


def test_a_mask_that_was_uploaded_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes by its id."""
    with scripted({"created": 1, "data": [{"b64_json": b64encode(PNG).decode()}]}) as script:
        monkeypatch.setenv("OPENAI_BASE_URL", script.origin)
        assert 0 == main(["edit", "red", "--mask-file-id", "file-m", "photo.png", "-o", "red.png", "--yes"])
        (heard,) = script.heard
    assert {"file_id": "file-m"} == json.loads(heard.body)["mask"]


def test_a_price_of_ones_own_bounds_it(capsys: pytest.CaptureFixture[str]) -> None:
    """The lines that the message names are taken."""
    Path("prices.toml").write_text('[prices."gpt-image-1.5"]\ninput_tokens = 1600\n')
    command = ["edit", "red", "https://pictures.example/a.png", "-o", "red.png", "--budget", "1"]
    assert 0 == main([*command, "--config", "prices.toml"])
    assert "for at most $0.0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "PROMPT is missing"),
        (
            ["red", "photo.png", "--mask", "mask.png", "--mask-file-id", "file-m"],
            "--mask-file-id: there is a mask already (--mask)",
        ),
        (["red", "photo.png", "--mask-file-id", "no file"], "a file_id is what the provider called an uploaded"),
        (["red", "--n", "2", "nowhere.png"], "nowhere.png: there is no such file"),
        (["red"], "IMAGE is missing"),
        (["red", "--file-id", "no file"], "a file_id is what the provider called an uploaded file"),
        (["photo.png", "--file-id", "file-a"], "'photo.png' is a file: the prompt comes first"),
        (["photo.png", "red"], "'photo.png' is a file: the prompt comes first"),
        (["red", "nowhere.png"], "nowhere.png: there is no such file: check its name"),
        (["red", "."], "is a folder: name an image in it"),
        (["red", "photo.png", "--mask", "photo.png"], "mask is a PNG without transparency"),
        (["red", "other.jpg", "--mask", "mask.png"], "mask is 60x40 pixels, the first image 30x90"),
        (["red", *["photo.png"] * 17], "images are 17; gpt-image-1.5 takes at most 16"),
        (["red", "photo.png", "--model", "gpt-image-2", "--input-fidelity", "high"], "is no parameter of gpt-image-2"),
        (["red", "photo.png", "--masc", "mask.png"], "did you mean --mask?"),
        (["red" * 999, "nowhere.png"], "nowhere.png: there is no such file"),
        (["red", "data:image/png;base64,!!!"], "the data URL is not base64 after its comma"),
    ],
)
def test_what_cannot_be_sent_is_said(
    sim: SimServer, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With 2, before anything is sent: which file, what is wrong, what to do."""
    before = received(sim)
    assert 2 == main(["edit", *arguments])
    assert words in capsys.readouterr().err
    assert before == received(sim)


def test_a_prompt_from_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As with `penstock generate`; the picture may go to standard output."""

    class Stdin:
        buffer = BytesIO(b"make the sky red\n")

    monkeypatch.setattr("sys.stdin", Stdin())
    assert 0 == main(["edit", "-", "photo.png", "-o", "red.png"])
    assert "red.png: gpt-image-1.5" in capsys.readouterr().out
