"""Other providers than OpenAI on the command line: their addresses, keys, dialects, and what they have no words for."""

from __future__ import annotations

import json
from base64 import b64encode
from decimal import Decimal
from pathlib import Path

import pytest

from penstock_io.cli.config import OptionError, resolve
from penstock_io.cli.connecting import KEYLESS, connect, model_of
from penstock_io.cli.main import main
from penstock_io.cli.options import BATCH
from tests.scripted import scripted

PICTURE = b"\x89PNG\r\n\x1a\n and what comes after it"
TEXT = b64encode(PICTURE).decode()
ENVIRON = {
    "OPENAI_API_KEY": "sk-vendor",
    "OPENROUTER_API_KEY": "sk-router",
    "AZURE_OPENAI_API_KEY": "azure-key",
    "AZURE_OPENAI_ENDPOINT": "https://r.openai.azure.com",
    "MINE_KEY": "sk-mine",
}
MINE = """
[providers.mine]
base_url = "https://mine.example/v1"
api_key_env = "MINE_KEY"
dialect = "generic"
query = { region = "eu" }
"""


@pytest.mark.parametrize(
    ("flags", "text", "expected"),
    [
        ({}, "", ("https://api.openai.com/v1", "openai", "OPENAI_API_KEY", {})),
        ({"provider": "openrouter"}, "", ("https://openrouter.ai/api/v1", "openrouter", "OPENROUTER_API_KEY", {})),
        ({"provider": "azure"}, "", ("https://r.openai.azure.com", "azure", "AZURE_OPENAI_API_KEY", {})),
        (
            {"base_url": "https://q.openai.azure.com/openai/v1"},
            "",
            ("https://q.openai.azure.com/openai/v1", "azure", "OPENAI_API_KEY", {}),
        ),
        ({"base_url": "http://h:1/v1"}, "", ("http://h:1/v1", "openai", "OPENAI_API_KEY", {})),
        ({"base_url": "http://h:1", "dialect": "sdwebui"}, "", ("http://h:1", "sdwebui", KEYLESS, {})),
        (
            {"base_url": "http://h:1", "dialect": "sdwebui", "api_key_env": [("MINE_KEY",)]},
            "",
            ("http://h:1", "sdwebui", "MINE_KEY", {}),
        ),
        ({"provider": "mine"}, MINE, ("https://mine.example/v1", "generic", "MINE_KEY", {"region": "eu"})),
        (
            {"provider": "mine", "dialect": "local"},
            MINE,
            ("https://mine.example/v1", "local", "MINE_KEY", {"region": "eu"}),
        ),
        (
            {"provider": "mine"},
            'dialect = "local"\n' + MINE,
            ("https://mine.example/v1", "generic", "MINE_KEY", {"region": "eu"}),
        ),
    ],
)
def test_where_and_how_it_is_spoken(
    flags: dict[str, object], text: str, expected: tuple[object, ...], tmp_path: Path
) -> None:
    """What is said along with the provider or after it, else its table, else its address says the dialect."""
    file = tmp_path / "penstock.toml"
    file.write_text(text, encoding="utf-8")
    found = connect(resolve({"config": file, **flags}, BATCH, {}), ENVIRON)
    assert expected == (found.base_url, found.dialect, *found.keys, found.query)


def test_azures_own_variables_are_heard(tmp_path: Path) -> None:
    """The version of its API; without an address it is said where one is missing."""
    values = resolve({"provider": "azure", "out": tmp_path}, BATCH, {})
    assert {"api-version": "2026-01-01"} == connect(values, {**ENVIRON, "OPENAI_API_VERSION": "2026-01-01"}).query
    with pytest.raises(OptionError, match=r"azure: base_url is missing: set AZURE_OPENAI_ENDPOINT or give --base-url"):
        connect(values, {"AZURE_OPENAI_API_KEY": "k"})


@pytest.mark.parametrize(
    ("flags", "text", "said"),
    [
        ({"dialect": "klingon"}, "", r"--dialect: no dialect 'klingon'; there are openai, azure"),
        ({"provider": "mine"}, MINE.replace("generic", "klingon"), r"providers\.mine\.dialect: no dialect 'klingon'"),
        ({}, MINE.replace('"eu"', "5"), r"providers\.mine\.query: must be texts by name, such as query"),
        ({"provider": "openrotuer"}, "", r"there is no provider 'openrotuer'; did you mean openrouter\?"),
    ],
)
def test_what_is_no_dialect_and_no_provider(flags: dict[str, object], text: str, said: str, tmp_path: Path) -> None:
    """The message says where it was given, and what there is."""
    file = tmp_path / "penstock.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(OptionError, match=said):
        connect(resolve({"config": file, **flags}, BATCH, {}), ENVIRON)


def test_the_default_model_is_openais_alone() -> None:
    """Whoever speaks another dialect names the model."""
    with pytest.raises(OptionError, match=r"--model is missing"):
        model_of(resolve({"dialect": "sdwebui"}, BATCH, {}))


def test_one_picture_of_a_server_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No key, no price; neutral fields go along in its words, and what it has none for is told."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with scripted({"images": [TEXT], "info": "{}"}) as script:
        said = ["generate", "a fox", "--base-url", script.origin, "--dialect", "sdwebui", "--model", "sdxl"]
        said += ["--size", "640x512", "--steps", "12", "--guidance", "4.5", "--negative-prompt", "snow"]
        assert 0 == main([*said, "--quality", "low", "-o", "fox.png"])
        told = capsys.readouterr().err
        assert 2 == main([*said, "--quality", "low", "--unsaid", "refuse", "-o", "two.png"])
        assert 0 == main([*said[:-6], "--quality", "low", "--unsaid", "emulate", "-o", "three.png"])
    assert PICTURE == (tmp_path / "fox.png").read_bytes()
    assert "sdwebui has no words for quality: it is not sent" in told
    first, second = [json.loads(heard.body) for heard in script.heard]
    assert (640, 512, 12, 4.5, "snow", "sdxl") == (
        first["width"], first["height"], first["steps"], first["cfg_scale"], first["negative_prompt"],
        first["override_settings"]["sd_model_checkpoint"],
    )  # fmt: skip
    assert 15 == second["steps"]


def test_rows_in_another_dialect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A batch knows the keys that the run pays for (a second one sends nothing), and what it costs: nothing."""
    rows = tmp_path / "rows.jsonl"
    rows.write_text(
        '{"id": "a", "prompt": "a fox", "negative_prompt": "snow", "seed": 5}\n'
        '{"id": "b", "prompt": "a fox", "quality": "low", "steps": 9, "guidance": 2.5}\n'
    )
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with scripted({"created": 1, "data": [{"b64_json": TEXT}]}) as script:
        said = ["batch", str(rows), "--out", str(tmp_path / "out"), "--base-url", f"{script.origin}/v1", "--yes"]
        said += ["--dialect", "localai", "--model", "sdxl", "--unsaid", "emulate", "--budget", "1"]
        assert 0 == main(said)
        told = capsys.readouterr().err
        assert 0 == main(said)
    assert 1 == told.count("localai has no words for guidance: it is not sent")  # also where only the second row has it
    bodies = sorted((json.loads(heard.body) for heard in script.heard), key=lambda body: str(body["prompt"]))
    assert [("a fox", 9), ("a fox|snow", None)] == [(body["prompt"], body.get("step")) for body in bodies]
    results = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert ["completed", "completed"] == [one["status"] for one in results]
    assert {Decimal(0)} == {Decimal(str(one["cost_usd"])) for one in results}
