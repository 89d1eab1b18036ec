"""`penstock generate --partial-images`: previews beside the picture, while it is made."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import pytest
from PIL import Image

from penstock.simulation.server import Latency, ServerSettings
from penstock_io.cli.main import main
from penstock_io.simserver import SimServer, serving

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def cheap(sim: SimServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked for where a test does not say."""
    del sim
    for name, text in (("QUALITY", "low"), ("SIZE", "1024x1024"), ("MODEL", "gpt-image-1.5")):
        monkeypatch.setenv(f"PENSTOCK_{name}", text)


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Generator[SimServer]:
    """A provider without streams."""
    with serving(ServerSettings(latency=Latency(0.02, 0.0), refusal_delay=0.0, streams=False)) as other:
        monkeypatch.setenv("OPENAI_BASE_URL", other.base_url)
        yield other


def there() -> list[str]:
    """The pictures in the folder."""
    return sorted(path.name for path in Path().iterdir() if path.suffix == ".png")


def test_previews_are_beside_the_picture(capsys: pytest.CaptureFixture[str]) -> None:
    """Each is a picture, and is said when it comes; what they cost is in the quote and in the charge."""
    assert 0 == main(["generate", "a fox", "-o", "plain.png", "--json"])
    plain = json.loads(capsys.readouterr().out)
    assert 0 == main(["generate", "a fox", "--partial-images", "2", "-o", "fox.png", "--json"])
    told = capsys.readouterr()
    result = json.loads(told.out)
    assert (["fox.png"], ["fox-preview-1.png", "fox-preview-2.png"]) == (result["files"], result["previews"])
    assert ["fox-preview-1.png", "fox-preview-2.png", "fox.png", "plain.png"] == there()
    assert all(Path(name).read_bytes().startswith(PNG) for name in there())
    assert plain["usage"]["output_image"] + 200 == result["usage"]["output_image"]
    assert [] == plain["previews"]


def test_each_is_said_when_it_comes(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, while standard output has the picture's line alone."""
    assert 0 == main(["generate", "a fox", "--partial-images", "1", "-o", "fox.png"])
    told = capsys.readouterr()
    assert "preview: fox-preview-1.png" in told.err
    assert told.out.startswith("fox.png: gpt-image-1.5")
    assert 1 == len(told.out.splitlines())


def test_previews_of_several_pictures_and_of_edits(capsys: pytest.CaptureFixture[str]) -> None:
    """Each has the number of its picture."""
    Image.new("RGB", (60, 40), (9, 9, 9)).save("photo.png")
    command = ["edit", "red", "photo.png", "--partial-images", "1", "-n", "2", "-o", "red.png", "--json"]
    assert 0 == main(command)
    result = json.loads(capsys.readouterr().out)
    assert ["red-1-preview-1.png", "red-2-preview-1.png"] == sorted(result["previews"])
    assert ["red-1.png", "red-2.png"] == result["files"]


def test_what_is_there_is_not_replaced(capsys: pytest.CaptureFixture[str]) -> None:
    """Unless --overwrite says so: an earlier preview is somebody's file."""
    Path("fox-preview-1.png").write_bytes(b"mine")
    command = ["generate", "a fox", "--partial-images", "1", "-o", "fox.png"]
    assert 0 == main(command)
    assert (b"mine", "fox-preview-1~1.png" in there()) == (Path("fox-preview-1.png").read_bytes(), True)
    assert 0 == main([*command, "--overwrite"])
    assert Path("fox-preview-1.png").read_bytes().startswith(PNG)
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-o", "-", "--partial-images", "1"], "standard output takes the picture alone: name a file with --out"),
        (["-o", "fox.png", "--partial-images", "4"], "partial_images"),
        (["-o", "fox.png", "--partial-images", "-1"], "partial_images"),
        (["-o", "fox.png", "--partial-images", "two"], "--partial-images"),
    ],
)
def test_what_cannot_be_is_said(
    sim: SimServer, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With 2, before anything is sent."""
    before = sim.stats()["received"]
    assert 2 == main(["generate", "a fox", *arguments])
    assert words in capsys.readouterr().err
    assert (before, []) == (sim.stats()["received"], there())


def test_none_is_an_ordinary_request(capsys: pytest.CaptureFixture[str]) -> None:
    """0 previews are no stream."""
    assert 0 == main(["generate", "a fox", "--partial-images", "0", "-o", "fox.png"])
    assert ["fox.png"] == there()
    capsys.readouterr()


def test_a_provider_without_streams_says_so(silent: SimServer, capsys: pytest.CaptureFixture[str]) -> None:
    """The picture comes all the same, with a warning and no previews."""
    assert 0 == main(["generate", "a fox", "--partial-images", "2", "-o", "fox.png"])
    assert "refused to be told stream" in capsys.readouterr().err
    assert ["fox.png"] == there()
    assert 1 == silent.stats()["executed"]


def test_an_error_ends_as_without_previews(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code and the object are those of any other failure."""
    settings = ServerSettings(latency=Latency(0.02, 0.0), refusal_delay=0.0, flagged="fox")
    with serving(settings) as other:
        monkeypatch.setenv("OPENAI_BASE_URL", other.base_url)
        assert 1 == main(["generate", "a fox", "--partial-images", "1", "-o", "fox.png", "--json"])
    result = json.loads(capsys.readouterr().out)
    assert ("ContentRefused", [], []) == (result["error"]["name"], result["files"], result["previews"])
