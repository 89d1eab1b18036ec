"""The table of options: what each takes, what it refuses and in which words, and what argparse makes of it."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_io.cli import options
from penstock_io.cli.options import BATCH, GENERATE, GROUPS, AnyOption, Kind, closest
from penstock_io.cli.parsing import Parser, add_options

EVERY = [*BATCH, *(option for option in GENERATE if option not in BATCH)]

GOOD: list[tuple[AnyOption, str, object]] = [
    (options.RPM, "0.5", 0.5),
    (options.MAX_CONCURRENCY, "16", 16),
    (options.LIMIT, "20", 20),
    (options.BUDGET, "$5.00", Decimal("5.00")),
    (options.BUDGET, "0", Decimal(0)),
    (options.DEADLINE, "90s", 90.0),
    (options.DEADLINE, "30m", 1800.0),
    (options.DEADLINE, "2h", 7200.0),
    (options.DEADLINE, "1h30m", 5400.0),
    (options.DEADLINE, "45", 45.0),
    (options.KEEP, " sku, title,", ("sku", "title")),
    (options.API_KEY_ENV, "KEY_A,KEY_B", ("KEY_A", "KEY_B")),
    (options.ON_AMBIGUOUS, "skip", "skip"),
    (options.REPEATS, "new", "new"),
    (options.YES, "On", True),
    (options.YES, "0", False),
    (options.SEED, "-7", -7),
    (options.OUT, "pictures", Path("pictures")),
    (options.NAME, "{sku}-{k}", "{sku}-{k}"),
]

BAD: list[tuple[AnyOption, str, str]] = [
    *((options.RPM, text, "is not a number above 0") for text in "0 -1 nan inf x".split()),
    *((options.LIMIT, text, "is not a whole number from 1 to 100,000") for text in ("0", "-1", "1.5", "²", "9" * 5000)),
    *((options.BUDGET, text, "is not an amount of dollars") for text in ("much", "-1", "NaN", "inf", "1e12", "5 $")),
    *((options.DEADLINE, text, "is not a time, such as 90s") for text in ("0", "-1s", "soon", "3 days", "9" * 30)),
    (options.ON_AMBIGUOUS, "perhaps", "is none of auto, retry, skip"),
    (options.REPEATS, "both", "is none of share, new"),
    (options.YES, "perhaps", "is neither yes nor no"),
    (options.MODEL, " ", "is no text that can be used"),
    (options.MODEL, "a\x1b[2J", "is no text that can be used"),
    (options.OUT, "", "names no folder"),
    (options.LOG_FILE, "a\0b", "names no file"),
    (options.SEED, "1.0", "is not a whole number"),
]  # fmt: skip


def parser() -> Parser:
    """A parser with the options of a batch."""
    made = Parser(prog="penstock batch", usage="penstock batch INPUT", allow_abbrev=False)
    add_options(made, BATCH)
    return made


@pytest.mark.parametrize(("option", "text", "value"), GOOD)
def test_a_good_text_is_its_value(option: AnyOption, text: str, value: object) -> None:
    """Each kind of option reads what it says that it takes."""
    assert value == option.parse(text)


@pytest.mark.parametrize(("option", "text", "words"), BAD)
def test_a_bad_text_is_refused_in_words(option: AnyOption, text: str, words: str) -> None:
    """What cannot be used is a ValueError that says what it ought to be."""
    with pytest.raises(ValueError, match=words):
        option.parse(text)


@given(st.sampled_from(EVERY), st.text())
def test_no_text_breaks_an_option(option: AnyOption, text: str) -> None:
    """Whatever is given is a value or a ValueError whose message is short and can be shown."""
    told = ""
    try:
        option.parse(text)
    except ValueError as error:
        told = str(error)
    assert (True, True) == (told.isprintable(), len(told) < 300)


@pytest.mark.parametrize("text", ["sk-proj-abc123", "my key", "9KEY", "", "A,,-"])
def test_what_may_be_a_key_is_not_repeated(text: str) -> None:
    """Whoever puts a key where its variable belongs does not find it in a log."""
    with pytest.raises(ValueError, match="no name of an environment variable") as caught:
        options.API_KEY_ENV.parse(text)
    assert text == "" or text not in str(caught.value)


def test_names_agree_everywhere() -> None:
    """A flag, a variable and a key of a file are made of one name; none occurs twice, and each has a heading."""
    assert ("--max-concurrency", "PENSTOCK_MAX_CONCURRENCY", "max_concurrency") == (
        options.MAX_CONCURRENCY.flag,
        options.MAX_CONCURRENCY.variable,
        options.MAX_CONCURRENCY.key,
    )
    for table in (BATCH, GENERATE):
        assert len(table) == len({option.name for option in table}) == len({option.key for option in table})
    assert set() == {option.group for option in EVERY} - set(GROUPS)
    assert all(option.help and (option.metavar or option.kind is Kind.SWITCH) for option in EVERY)


def test_defaults_are_values_of_their_options() -> None:
    """What nobody says is something that could have been said."""
    for option in EVERY:
        if option.default is not None:
            assert option.default == option.parse(str(option.default))


def test_what_is_not_given_does_not_occur() -> None:
    """The parsed arguments hold what the command line said, and nothing else: so that others can say the rest."""
    assert {} == vars(parser().parse_args([]))
    told = parser().parse_args("--rpm 60 --keep a,b --keep c --yes --no-json -q -o x".split())
    expected = {"rpm": 60.0, "keep": [("a", "b"), ("c",)], "yes": True, "json": False, "quiet": True, "out": Path("x")}
    assert expected == vars(told)


def test_help_shows_every_option_and_nothing_hidden() -> None:
    """The help has every flag of the table with its text, below the headings in their order."""
    said = parser().format_help()
    assert all(option.flag in said for option in BATCH)
    assert "--no-" not in said
    headings = [line[:-1] for line in said.splitlines() if line[:-1] in GROUPS and line.endswith(":")]
    assert list(GROUPS) == headings


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        (["--bugdet", "3"], "there is no option --bugdet; did you mean --budget?"),
        (["--max-con=3"], "there is no option --max-con; did you mean --max-concurrency?"),
        (["--bogus-thing"], "there is no option --bogus-thing; see penstock batch --help"),
        (["b.txt"], "'b.txt' is one argument too many"),
    ],
)
def test_what_is_unknown_is_suggested(rest: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown flag is answered with the command's own usage and a close one, with exit code 2."""
    with pytest.raises(SystemExit) as left:
        parser().refuse(rest)
    said = capsys.readouterr().err
    assert (2, True) == (left.value.code, said.startswith("usage: penstock batch INPUT\npenstock: error: "))
    assert words in said


def test_a_program_hears_of_a_wrong_command_line_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With `--json` the one object on standard output is the error."""
    made = parser()
    made.json = True
    with pytest.raises(SystemExit):
        made.parse_args(["--rpm", "0"])
    told = json.loads(capsys.readouterr().out)
    assert (2, "usage") == (told["exit_code"], told["error"]["kind"])
    assert "argument --rpm: '0' is not a number above 0" in told["error"]["message"]


def test_percent_signs_in_a_value_are_only_text(capsys: pytest.CaptureFixture[str]) -> None:
    """A value with a percent sign is repeated as it is."""
    with pytest.raises(SystemExit):
        parser().parse_args(["--rpm", "5%d"])
    assert "'5%d' is not a number" in capsys.readouterr().err


CLOSE = {"modle": "model", "max-con": "max-concurrency", "on-a": "on-ambiguous", "siz": "size", "zzz": "", "": ""}


@pytest.mark.parametrize(("name", "near"), CLOSE.items())
def test_closest(name: str, near: str) -> None:
    """A name is suggested where it is close, or where it begins like what was written."""
    assert near == closest(name, [option.name for option in BATCH])
