"""Where pictures are bought, as the options say: the address, the keys, and the model that nobody named."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock_io.cli.config import OptionError, Values, resolve
from penstock_io.cli.connecting import Connection, connect, model_of
from penstock_io.cli.options import BATCH

KEY = {"OPENAI_API_KEY": "sk-vendor"}
MINE = """
[providers.mine]
base_url = "https://mine.example/v1"
api_key_env = "MINE_KEY"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A place for a configuration."""
    return tmp_path / "penstock.toml"


def values_of(file: Path, text: str, environ: dict[str, str] | None = None, **flags: object) -> Values:
    """The options of a batch with this file, environment and flags."""
    file.write_text(text, encoding="utf-8")
    return resolve({"config": file, **flags}, BATCH, environ or {})


@pytest.mark.parametrize(
    ("flags", "environ", "text", "url"),
    [
        ({}, {}, "", "https://api.openai.com/v1"),
        ({}, {"OPENAI_BASE_URL": "http://a/v1/"}, "", "http://a/v1"),
        ({}, {"OPENAI_BASE_URL": "http://a", "PENSTOCK_BASE_URL": "http://b"}, "", "http://b"),
        ({"base_url": "http://c"}, {"PENSTOCK_BASE_URL": "http://b"}, "", "http://c"),
        ({}, {"OPENAI_BASE_URL": "http://a"}, "base_url = 'http://f'", "http://a"),
        ({}, {}, "base_url = 'http://f'", "http://f"),
        ({"provider": "mine"}, {"OPENAI_BASE_URL": "http://a"}, "base_url = 'http://f'" + MINE, "https://mine.example/v1"),
        ({"provider": "mine", "base_url": "http://c"}, {}, MINE, "http://c"),
        ({}, {}, "provider = 'mine'" + MINE, "https://mine.example/v1"),
        ({}, {"PENSTOCK_PROVIDER": "mine"}, "base_url = 'http://f'" + MINE, "https://mine.example/v1"),
        ({"provider": "openai"}, {"OPENAI_BASE_URL": "http://a", "PENSTOCK_BASE_URL": "http://b"}, "", "http://a"),
    ],
)  # fmt: skip
def test_where_pictures_are_bought(
    flags: dict[str, object], environ: dict[str, str], text: str, url: str, file: Path
) -> None:
    """A base URL that was said with its provider or after it counts; the vendor's variables are the vendor's alone."""
    values = values_of(file, text, environ, **flags)
    assert url == connect(values, {**KEY, "MINE_KEY": "sk-mine", **environ}).base_url


def test_keys_and_headers_belong_to_their_provider(file: Path) -> None:
    """Another provider gets its own key, and neither the vendor's key nor the names of its organisation and project."""
    environ = {**KEY, "MINE_KEY": "sk-mine", "OTHER": " k2 ", "OPENAI_ORG_ID": "org-1", "OPENAI_PROJECT_ID": "proj-1"}
    headers = {"OpenAI-Organization": "org-1", "OpenAI-Project": "proj-1"}
    default = connect(resolve({}, BATCH, environ), environ)
    assert ({"OPENAI_API_KEY": "sk-vendor"}, headers) == (default.keys, default.headers)
    mine = connect(values_of(file, MINE, environ, provider="mine"), environ)
    assert ({"MINE_KEY": "sk-mine"}, {}) == (mine.keys, mine.headers)
    several = connect(values_of(file, MINE, environ, provider="mine", api_key_env=[("MINE_KEY",), ("OTHER",)]), environ)
    assert {"MINE_KEY": "sk-mine", "OTHER": "k2"} == several.keys
    later = connect(values_of(file, "api_key_env = 'OTHER'" + MINE, environ, provider="mine"), environ)
    assert {"MINE_KEY": "sk-mine"} == later.keys


@pytest.mark.parametrize(
    ("text", "flags", "environ", "words"),
    [
        ("", {}, {}, "no API key in the environment variable OPENAI_API_KEY: set it"),
        ("", {"provider": "opena"}, KEY, "--provider: there is no provider 'opena'; did you mean openai?"),
        ("", {"provider": "zzz"}, KEY, "a provider of your own is a table"),
        ("", {"base_url": "ftp://x"}, KEY, "--base-url: 'ftp://x' does not begin with http"),
        ("", {"base_url": "http://me:pw@x/v1"}, KEY, "holds a user or a password"),
        ("", {}, {"OPENAI_API_KEY": "two words"}, "API key OPENAI_API_KEY holds what no header"),
        ("", {}, {**KEY, "OPENAI_ORG_ID": "a\nb"}, "OPENAI_ORG_ID: it holds what no header can carry"),
        ("[providers.m]\nbase_url='http://x'", {"provider": "m"}, KEY, "providers.m: api_key_env is missing"),
        ("[providers.m]\napi_key_env='OPENAI_API_KEY'", {"provider": "m"}, KEY, "providers.m: base_url is missing"),
    ],
)
def test_what_is_wrong_with_a_connection_is_said(
    text: str, flags: dict[str, object], environ: dict[str, str], words: str, file: Path
) -> None:
    """Provider, address, keys and headers: each with where it came from, and never with a key."""
    with pytest.raises(OptionError) as caught:
        connect(values_of(file, text, environ, **flags), environ)
    assert words in str(caught.value)
    assert "sk-vendor" not in str(caught.value)
    assert "two words" not in str(caught.value)


def test_a_plan_needs_no_key() -> None:
    """Where nothing is sent it is enough to know how many keys there would be."""
    values = resolve({"api_key_env": [("A", "B")]}, BATCH, {})
    assert {"A": "", "B": ""} == connect(values, {}, bare=True).keys


def test_keys_are_not_shown() -> None:
    """A connection's repr holds neither keys nor headers."""
    shown = repr(Connection("openai", "http://x", {"A": "sk-secret"}, {"OpenAI-Project": "proj-1"}))
    assert ("http://x" in shown, "sk-secret" in shown, "proj-1" in shown) == (True, False, False)


def test_the_default_model_is_the_vendors(file: Path) -> None:
    """Whoever buys elsewhere says of which model; the vendor's newest with a known price is taken else."""
    assert model_of(resolve({}, BATCH, {})).startswith("gpt-image-")
    assert "m" == model_of(values_of(file, MINE, provider="mine", model="m"))
    with pytest.raises(OptionError, match="--model is missing: the default is a model of openai, not of mine"):
        model_of(values_of(file, MINE, provider="mine"))
    with pytest.raises(OptionError, match="the default is a model of openai, not of what speaks stability"):
        model_of(resolve({"dialect": "stability"}, BATCH, {}))
