"""The command line itself: what there is, how fast it starts, how it says no."""

from __future__ import annotations

import subprocess
import sys

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


@pytest.mark.parametrize("arguments", [[], ["bath"], ["--bath"], ["batch"], ["batch", "x.jsonl"], ["demo", "-n"]])
def test_a_wrong_command_line_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever is missing or unknown is said on stderr."""
    assert 2 == main(arguments)
    assert "error:" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["batch", "--help"], ["demo", "--help"], []])
def test_the_start_is_light(arguments: list[str]) -> None:
    """Until a command runs nothing heavy is loaded: no HTTP, no event loop, no database, not even the core."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    loaded = done.stderr.splitlines()[-1].split()
    assert "argparse" in loaded
    assert [] == [name for name in HEAVY if name in loaded]
