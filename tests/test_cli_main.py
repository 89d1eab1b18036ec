"""The command line itself: what there is, how fast it starts, how it says no."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from penstock_io.cli.main import COMMANDS, main

HEAVY = "asyncio attrs httpx httpx2 penstock sqlite3 ssl trio".split()

PROBE = """
import sys
from penstock_io.cli.main import main
code = main(sys.argv[1:])
print(*sorted(sys.modules), file=sys.stderr)
sys.exit(code)
"""


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` lists all commands with what they do, and ends with 0."""
    assert 0 == main(["--help"])
    said = capsys.readouterr().out
    assert all(f"    {name}" in said and summary[:30] in said for name, summary in COMMANDS.items())


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` says the installed version."""
    assert 0 == main(["--version"])
    name, _, number = capsys.readouterr().out.strip().partition(" ")
    assert ("penstock", 3) == (name, len(number.split(".")))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command explains its options, and ends with 0."""
    assert 0 == main([name, "--help"])
    assert f"usage: penstock {name}" in capsys.readouterr().out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_in_the_docs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever the help of a command names, a page of the docs or the README names, too."""
    root = Path(__file__).parent.parent
    pages = "".join(path.read_text("utf-8") for path in (root / "README.md", *(root / "docs").glob("*.md")))
    assert 0 == main([name, "--help"])
    flags = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", capsys.readouterr().out)) - {"--help"}
    assert set() == {flag for flag in flags if not re.search(rf"{flag}(?![a-z-])", pages)}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "which command?"),
        (["bath"], "there is no command 'bath'; did you mean batch?"),
        (["zzz"], "there is no command 'zzz'; there are generate, edit, batch, "),
        (["--bath"], "there is no option '--bath'"),
        (["batch"], "usage: penstock batch INPUT --out DIR [options]"),
        (["batch", "--bogus"], "usage: penstock batch INPUT --out DIR [options]"),
        (["batch", "x.jsonl", "--bugdet", "3"], "did you mean --budget?"),
        (["demo", "-n"], "usage: penstock demo"),
    ],
)
def test_a_wrong_command_line_ends_with_2(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is missing or unknown is said on stderr, with the command's own usage or a suggestion."""
    assert 2 == main(arguments)
    said = capsys.readouterr().err
    assert (True, True) == ("error:" in said, words in said)


@pytest.mark.parametrize("arguments", [["help"], ["-h"], ["help", "batch"], ["batch", "-h"]])
def test_help_is_found_however_it_is_asked_for(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """As a word or as an option, of all or of one command."""
    assert 0 == main(arguments)
    assert ("usage: penstock batch" in capsys.readouterr().out) is ("batch" in arguments)


@pytest.mark.parametrize(
    "arguments",
    ["--sigma -1", "--latency nan", "--port 65536", "--port x", "--rpm 0", "--time-scale 0", "--faults flood=1"],
)
def test_a_simulated_provider_says_which_option_is_no_good(arguments: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The message has the option's name and no traceback; the exit code is 2."""
    option, value = arguments.split()
    assert 2 == main(["sim", option, value])
    said = capsys.readouterr().err.splitlines()[-1]
    assert (True, True) == (said.startswith("penstock: error: "), option.strip("-").replace("-", " ") in said)


def test_the_package_runs_as_a_module() -> None:
    """`python -m penstock_io` is `penstock`."""
    done = subprocess.run(
        [sys.executable, "-m", "penstock_io", "--version"], capture_output=True, text=True, check=True, timeout=240
    )
    assert done.stdout.startswith("penstock ")


@pytest.mark.parametrize("arguments", [["--help"], ["batch", "--help"], ["generate", "-h"], ["demo", "-h"], []])
def test_the_start_is_light(arguments: list[str]) -> None:
    """Until a command runs nothing heavy is loaded: no HTTP, no event loop, no database, not even the core."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, check=False, timeout=240
    )
    loaded = done.stderr.splitlines()[-1].split()
    assert "argparse" in loaded
    assert [] == [name for name in HEAVY if name in loaded]


def test_a_plan_loads_nothing_that_only_a_run_needs(tmp_path: Path) -> None:
    """Engine, client, ledger and HTTP wait until rows are sent."""
    (tmp_path / "in.txt").write_text("a fox\n")
    command = ["batch", str(tmp_path / "in.txt"), "--out", str(tmp_path / "out"), "--dry-run"]
    probe = [sys.executable, "-c", PROBE, *command]
    done = subprocess.run(probe, capture_output=True, text=True, check=True, timeout=240)
    loaded = set(done.stderr.splitlines()[-1].split())
    assert "penstock_io.batch.survey" in loaded
    heavy = {"penstock.engine", "penstock_io.asyncio", "penstock_io.ledger", "penstock_io._http", "ssl"}
    assert set() == loaded & heavy
