"""What counts of flags, environment, file and defaults; what a file may say; where pictures are then bought."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_io.cli import options
from penstock_io.cli.config import Connection, OptionError, Source, Values, connect, model_of, read_config, resolve
from penstock_io.cli.options import BATCH, GENERATE

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


def wrong(file: Path, text: str) -> str:
    """What is said of a file."""
    file.write_text(text, encoding="utf-8")
    with pytest.raises(OptionError) as caught:
        read_config(file)
    return str(caught.value)


@pytest.mark.parametrize(
    ("flags", "environ", "text", "expected"),
    [
        ({"rpm": 1.0}, {"PENSTOCK_RPM": "2"}, "rpm = 3", (1.0, Source.FLAG)),
        ({}, {"PENSTOCK_RPM": "2"}, "rpm = 3", (2.0, Source.ENVIRONMENT)),
        ({}, {"PENSTOCK_RPM": " "}, "rpm = 3", (3.0, Source.FILE)),
        ({}, {}, "", (None, Source.DEFAULT)),
    ],
)
def test_a_flag_counts_before_the_environment_before_the_file(
    flags: dict[str, object], environ: dict[str, str], text: str, expected: tuple[float, Source], file: Path
) -> None:
    """The first of them that says something is the one that counts; an empty variable says nothing."""
    values = values_of(file, text, environ, **flags)
    assert expected == (values.get(options.RPM), values.source(options.RPM))


def test_switches_and_lists_are_taken_whole_from_whoever_counts(file: Path) -> None:
    """A flag takes back what a file switched on, and lists are not put together from several places."""
    text = 'quiet = true\nkeep = ["a", "b"]\napi_key_env = "FILE_KEY"'
    values = values_of(file, text, {"PENSTOCK_API_KEY_ENV": "A,B"}, quiet=False, keep=[("c",), ("d",)])
    assert (False, ("c", "d"), ("A", "B")) == (
        values[options.QUIET],
        values[options.KEEP],
        values[options.API_KEY_ENV],
    )


def test_the_environment_may_name_the_file(file: Path) -> None:
    """`PENSTOCK_CONFIG` is a file as `--config` is, which counts before it."""
    file.write_text('quality = "low"')
    other = file.with_name("other.toml")
    other.write_text('quality = "high"')
    environ = {"PENSTOCK_CONFIG": str(file)}
    assert "low" == resolve({}, BATCH, environ).get(options.QUALITY)
    assert "high" == resolve({"config": other}, BATCH, environ).get(options.QUALITY)


def test_every_option_of_a_batch_may_stand_in_a_file_but_those_of_one_run(file: Path) -> None:
    """Values of all types are read; money is exact; what is said anew for each run is refused with its flag."""
    text = """
    model = "gpt-image-2"
    n = 2
    rpm = 60
    budget = 0.1
    deadline = "30m"
    skip_invalid = true
    keep = ["sku"]
    out = "pictures"
    """
    values = values_of(file, text)
    assert ("gpt-image-2", 2, 60.0, Decimal("0.1"), 1800.0, True, ("sku",), Path("pictures")) == tuple(
        values.get(option)
        for option in (options.MODEL, options.N, options.RPM, options.BUDGET, options.DEADLINE, options.SKIP_INVALID,
                       options.KEEP, options.OUT)
    )  # fmt: skip
    for name in ("yes", "dry_run", "config"):
        assert f"{file}: {name}: this is said anew for each run: give it as --" in wrong(file, f"{name} = true")


def test_a_file_serves_every_command(file: Path) -> None:
    """What only a batch takes is passed over by others, and a flag that is theirs alone is not taken from a file."""
    file.write_text('model = "m"\nout = "pictures"\nlimit = 3')
    values = resolve({"config": file}, GENERATE, {"PENSTOCK_OUT": "folder"})
    assert ("m", None) == (values.get(options.MODEL), values.get(options.FILE))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("modle = 'm'", "modle: unknown; did you mean model?"),
        ("max-concurrency = 3", "max-concurrency: unknown; did you mean max_concurrency?"),
        ("zzz = 1", "zzz: unknown; there are keep, "),
        ("[batch]\nmodel = 'm'", "batch: unknown; there are"),
        ("[provider.mine]\nbase_url = 'x'", "provider: must be a text"),
        ("n = '2'", "n: must be a whole number, such as 4"),
        ("n = true", "n: must be a whole number"),
        ("n = 2.5", "n: must be a whole number"),
        ("rpm = 'fast'", "rpm: must be a number"),
        ("rpm = 0", "rpm: '0' is not a number above 0"),
        ("rpm = nan", "rpm: 'NaN' is not a number above 0"),
        ("budget = '5'", "budget: must be a number"),
        ("quiet = 1", "quiet: must be true or false"),
        ("keep = [1]", "keep: must be a list of texts"),
        ("model = 3", "model: must be a text"),
        ("deadline = 1979-05-27", "deadline: must be a time"),
        ("on_ambiguous = 'perhaps'", "on_ambiguous: 'perhaps' is none of auto, retry, skip, ask"),
        ("providers = 3", "providers: must be tables"),
        ("[providers]\nmine = 3", "providers.mine: must be a table"),
        ("[providers.mine]\nbase_ulr = 'x'", "providers.mine.base_ulr: unknown; did you mean base_url?"),
        ("[providers.mine]\nbase_url = 3", "providers.mine.base_url: must be a text"),
        ("model = ", "not TOML: Invalid value"),
        ("n = 1\nn = 2", "not TOML: Cannot overwrite"),
        ("a = " + "[" * 100_000, "not TOML"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_file_is_named(text: str, words: str, file: Path) -> None:
    """File, key, what it ought to be, and what may have been meant."""
    said = wrong(file, text)
    assert said.startswith(f"{file}: ")
    assert words in said


@pytest.mark.parametrize(
    "text",
    [
        "api_key = 'sk-secret'",
        "api-key = 'sk-secret'",
        "OPENAI_API_KEY = 'sk-secret'",
        "token = 'sk-secret'",
        "[providers.mine]\napi_key = 'sk-secret'",
        "[providers]\nkey = 'sk-secret'",
        "api_key_env = 'sk-secret'",
        "[providers.mine]\napi_key_env = 'sk-secret'",
    ],
)
def test_a_key_in_a_file_is_refused_and_not_repeated(text: str, file: Path) -> None:
    """The advice is to name an environment variable; the key itself is not said again."""
    said = wrong(file, text)
    assert "environment variable" in said
    assert "sk-secret" not in said


def test_a_file_that_cannot_be_read_is_said(file: Path) -> None:
    """Missing, a folder, or not UTF-8; a byte order mark is no fault."""
    for path, words in ((file, "cannot be read: No such file"), (file.parent, "cannot be read: Is a directory")):
        with pytest.raises(OptionError, match=words):
            read_config(path)
    file.write_bytes(b"model = '\xff'")
    with pytest.raises(OptionError, match="not UTF-8"):
        read_config(file)
    file.write_bytes(b"\xef\xbb\xbfmodel = 'm'")
    assert "m" == read_config(file)[0]["model"].value


@given(st.binary())
def test_any_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Whatever is in a file, it gives options or an OptionError."""
    path = tmp_path_factory.mktemp("any") / "penstock.toml"
    path.write_bytes(content)
    try:
        read_config(path)
    except OptionError:
        return


def test_a_variable_that_is_wrong_is_named() -> None:
    """The message begins with the name of the variable."""
    with pytest.raises(OptionError, match=r"^PENSTOCK_RPM: '0' is not a number above 0"):
        resolve({}, BATCH, {"PENSTOCK_RPM": "0"})


def test_what_is_missing_is_said_when_it_is_asked_for() -> None:
    """An option without default that nobody gave names its flag, and a wrong value where it came from."""
    values = resolve({}, BATCH, {"PENSTOCK_NAME": "{"})
    with pytest.raises(OptionError, match="--out DIR is missing: the folder"):
        _ = values[options.OUT]
    assert "PENSTOCK_NAME: unclosed" == str(values.wrong(options.NAME, "unclosed"))
    assert "--rpm: too low" == str(values.wrong(options.RPM, "too low"))


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
        ("", {}, {"OPENAI_API_KEY": "two words"}, "API key OPENAI_API_KEY is empty, or holds what no header"),
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
