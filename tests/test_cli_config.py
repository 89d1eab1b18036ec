"""What counts of flags, environment, file and defaults; what a file may say; where pictures are then bought."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_io.cli import options
from penstock_io.cli.config import OptionError, Source, Values, read_config, resolve
from penstock_io.cli.options import BATCH, GENERATE


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
        ("[jobs]\nmodel = 'm'", "jobs: unknown; there are"),
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


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        ("PENSTOCK_QUALTY", "did you mean PENSTOCK_QUALITY[?]"),
        ("PENSTOCK_BUDGETS", "did you mean PENSTOCK_BUDGET[?]"),
        ("PENSTOCK_MAX_CONCURENCY", "did you mean PENSTOCK_MAX_CONCURRENCY[?]"),
    ],
)
def test_a_variable_that_is_nearly_an_option_is_an_error(variable: str, words: str) -> None:
    """What it was meant to say would be passed over, and pictures be bought that nobody wanted."""
    with pytest.raises(OptionError, match=f"^{variable}: unknown; {words}"):
        resolve({}, GENERATE, {variable: "low"})


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("PENSTOCK_ZZZ", ("PENSTOCK_ZZZ: there is no such option: it is not read",)),
        ("PENSTOCK_OVERWRITE", ("PENSTOCK_OVERWRITE: it is not read: give it as --overwrite",)),
        ("PENSTOCK_REQUIRE_SERVICES", ()),
        ("PENSTOCK_LIMIT", ()),
        ("PENSTOCK_KEY_2", ()),
        ("PENSTOCK_ACCOUNT", ()),
        ("OPENAI_QUALTY", ()),
    ],
)
def test_a_variable_that_is_no_option_is_told(variable: str, told: tuple[str, ...]) -> None:
    """It is not read, and that is said; options of other commands and what holds an API key are nobody's mistake."""
    assert told == resolve({"api_key_env": [("PENSTOCK_ACCOUNT",)]}, GENERATE, {variable: "3"}).strays


def test_what_is_missing_is_said_when_it_is_asked_for() -> None:
    """An option without default that nobody gave names its flag, and a wrong value where it came from."""
    values = resolve({}, BATCH, {"PENSTOCK_NAME": "{"})
    with pytest.raises(OptionError, match="--out DIR is missing: name a folder for the pictures and results"):
        _ = values[options.OUT]
    assert "PENSTOCK_NAME: unclosed" == str(values.wrong(options.NAME, "unclosed"))
    assert "--rpm: too low" == str(values.wrong(options.RPM, "too low"))
