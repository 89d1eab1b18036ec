"""`--on-ambiguous ask`: one question at the end, at a terminal. Without one the rows stay as they are."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from penstock.simulation.server import Latency, ServerSettings
from penstock_io.simserver import SimServer, serving
from tests.batching import Folder

pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")

ROWS = 4
BROKEN = 2


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A provider that tears the first connections down once the request is executed."""
    with serving(ServerSettings(latency=Latency(0.02, 0.1))) as server:
        for _ in range(BROKEN):
            server.call(lambda inner: inner.inject("reset"))
        yield server


def words(sim: SimServer, folder: Path, *more: str) -> list[str]:
    """A batch of four rows."""
    rows = folder.parent / "in.txt"
    rows.write_text("".join(f"kettle {n}\n" for n in range(ROWS)))
    options = ("--model", "gpt-image-2", "--quality", "low", "--size", "1024x1024", "--base-url", sim.base_url)
    return [sys.executable, "-m", "penstock_io", "batch", str(rows), "--out", str(folder), *options, *more]


def at_a_terminal(command: list[str], answer: bytes | None) -> tuple[int, str]:
    """The exit code, and what was said there; every question gets the answer (None: an interrupt)."""
    ours, theirs = pty.openpty()
    environ = os.environ | {"OPENAI_API_KEY": "sk-test", "COLUMNS": "300"}
    process = subprocess.Popen(command, stdin=theirs, stderr=theirs, stdout=subprocess.DEVNULL, env=environ)
    os.close(theirs)
    said, answered = b"", 0
    while True:
        try:
            said += os.read(ours, 4096)
        except OSError:  # whoever held the other end has left
            break
        if said.count(b"[y/N]") > answered:
            answered += 1
            if answer is None:
                process.send_signal(signal.SIGINT)
            else:
                os.write(ours, answer)
    os.close(ours)
    return process.wait(timeout=240), said.decode()


def folder_of(path: Path, sim: SimServer) -> Folder:
    """What there is in a folder."""
    return Folder(path, sim.base_url)


@pytest.mark.parametrize("more", [(), ("--yes",)])
def test_a_yes_sends_all_of_them_again(sim: SimServer, tmp_path: Path, more: tuple[str, ...]) -> None:
    """One question with the number and the price; then every row is there, and both doubts stay on the books."""
    code, said = at_a_terminal(words(sim, tmp_path / "out", "--on-ambiguous", "ask", *more), b"y\n")
    assert (0, 1) == (code, said.count("[y/N]"))
    assert (
        "2 rows may have been made and billed, and brought no picture. To send them again, one attempt each, costs at "
        "most $0.0"
    ) in said
    assert ["4/4"] == re.findall(r"\d+/4", said.partition("[y/N]")[0])[-1:]
    folder = folder_of(tmp_path / "out", sim)
    assert ["completed"] * ROWS == folder.statuses()
    assert ROWS + BROKEN == sim.stats()["received"]
    sums = folder.sums()
    assert sim.stats()["billed"] <= (Decimal(str(sums["cost_usd"])) + Decimal(str(sums["maybe_billed_usd"]))) * 10**12


def test_the_price_is_that_of_one_attempt_each(sim: SimServer, tmp_path: Path) -> None:
    """What breaks again after the yes is not tried once more; asked about later, it costs what it did at first."""
    for _ in range(2 * ROWS - BROKEN):
        sim.call(lambda inner: inner.inject("reset"))
    command = words(sim, tmp_path / "out", "--on-ambiguous", "ask")
    code, said = at_a_terminal(command, b"y\n")
    assert (1, 1, 2 * ROWS) == (code, said.count("[y/N]"), sim.stats()["received"])
    assert "4 rows may have been made and billed, and brought no picture: the same command with" in said
    later = at_a_terminal(command, b"n\n")[1]
    assert "4 may have been paid (you are asked about them at the end, at a terminal)" in later
    prices = [re.findall(r"costs at most (\$[\d.]+)\.", text) for text in (said, later)]
    assert prices[0] == prices[1]
    assert 1 == len(prices[0])


def test_a_no_leaves_them(sim: SimServer, tmp_path: Path) -> None:
    """Nothing more is sent, and how it could be is said."""
    code, said = at_a_terminal(words(sim, tmp_path / "out", "--on-ambiguous", "ask"), b"n\n")
    assert (1, 1) == (code, said.count("[y/N]"))
    assert "--on-ambiguous retry sends them again" in said
    assert ["ambiguous"] * BROKEN == [
        status for status in folder_of(tmp_path / "out", sim).statuses() if status != "completed"
    ]
    assert ROWS == sim.stats()["received"]


def test_an_interrupt_for_an_answer_leaves_them(sim: SimServer, tmp_path: Path) -> None:
    """The run's own end is told all the same, and the exit code says that it was interrupted."""
    code, said = at_a_terminal(words(sim, tmp_path / "out", "--on-ambiguous", "ask"), None)
    assert (130, 1) == (code, said.count("[y/N]"))
    assert "they were left as they are" in said
    assert "interrupted. The same command goes on from here." in said
    assert ROWS == sim.stats()["received"]


def test_without_a_terminal_nobody_is_asked(sim: SimServer, tmp_path: Path) -> None:
    """They stay ambiguous, also with --yes, which is no answer to this; the message says how they are sent."""
    command = words(sim, tmp_path / "out", "--on-ambiguous", "ask", "--yes")
    environ = os.environ | {"OPENAI_API_KEY": "sk-test"}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environ, stdin=subprocess.DEVNULL)
    assert 1 == ended.returncode
    told = "2 rows may have been made and billed, and brought no picture: the same command with --on-ambiguous retry"
    assert told in ended.stderr
    assert ROWS == sim.stats()["received"]
    again = subprocess.run(
        [*command[:-2], "retry"], capture_output=True, text=True, check=False, env=environ, stdin=subprocess.DEVNULL
    )
    assert (0, ROWS + BROKEN) == (again.returncode, sim.stats()["received"])


def test_where_nothing_is_in_doubt_nothing_is_asked(tmp_path: Path) -> None:
    """A batch that went well ends as always."""
    with serving(ServerSettings(latency=Latency(0.02, 0.1))) as sim:
        code, said = at_a_terminal(words(sim, tmp_path / "out", "--on-ambiguous", "ask"), b"n\n")
    assert (0, 0) == (code, said.count("[y/N]"))
