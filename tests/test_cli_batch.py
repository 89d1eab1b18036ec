"""`penstock batch` and `penstock demo` as processes: exit codes, interruptions, a folder that is in use."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.simulation.server import Latency, ServerSettings
from penstock_io.cli.main import main
from penstock_io.journal import Journal
from penstock_io.simserver import SimServer, serving

PENSTOCK = (sys.executable, "-m", "penstock_io.cli.main")
OPTIONS = ("--model", "gpt-image-2", "--quality", "low", "--size", "1024x1024", "--api-key-env", "TEST_KEY")


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A provider that takes its time."""
    with serving(ServerSettings(latency=Latency(0.6, 0.0))) as running:
        yield running


class Command:
    """A `penstock batch` of twelve rows, four at a time."""

    def __init__(self, folder: Path, sim: SimServer) -> None:
        self.folder = folder
        self.sim = sim
        self.input = folder / "in.jsonl"
        self.input.write_text("".join(json.dumps({"prompt": f"kettle {n}"}) + "\n" for n in range(12)))
        self.out = folder / "out"

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Start it."""
        command = [*PENSTOCK, "batch", str(self.input), "--out", str(self.out), "--base-url", self.sim.base_url]
        return subprocess.Popen(
            [*command, *OPTIONS, "--max-concurrency", "4", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"TEST_KEY": "test-key"},
        )

    def out_with(self, count: int, process: subprocess.Popen[str]) -> None:
        """Wait until so many requests are out."""
        while self.sim.stats()["in_flight"] < count:
            assert process.poll() is None

    def counts(self) -> tuple[int, int, int]:
        """Rows that are completed, ambiguous, pending."""
        summary = json.loads((self.out / "summary.json").read_text())
        return summary["completed"], summary["ambiguous"], summary["pending"]


@pytest.fixture
def command(tmp_path: Path, sim: SimServer) -> Command:
    """The command in an empty folder."""
    return Command(tmp_path, sim)


def wait(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Its exit code and what it said."""
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_an_interrupt_awaits_what_is_paid(command: Command) -> None:
    """Nothing new is sent, what is out arrives, exit 130; the same command does the rest."""
    process = command.start()
    command.out_with(4, process)
    process.send_signal(signal.SIGINT)
    code, out, err = wait(process)
    assert 130 == code
    assert "interrupted: nothing new is sent; waiting for 4 requests" in err
    executed = command.sim.stats()["executed"]
    assert 4 <= executed < 12
    assert (executed, 0, 12 - executed) == command.counts()
    assert f"{executed} completed, {12 - executed} pending" in out
    assert 0 == wait(command.start())[0]
    assert 12 == command.sim.stats()["executed"]


def test_a_second_interrupt_breaks_off(command: Command) -> None:
    """What was out becomes ambiguous and is told with its bound; with `retry` the same command completes all."""
    command.sim.call(lambda server: server.inject(*["stall"] * 4))
    process = command.start()
    command.out_with(4, process)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "interrupted:" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    code, _, err = wait(process)
    assert (130, True) == (code, "broken off" in err)
    assert (0, 4, 8) == command.counts()
    maybe = json.loads((command.out / "summary.json").read_text())["maybe_billed_usd"]
    assert command.sim.stats()["billed"] <= float(maybe) * 10**12
    assert 0 == wait(command.start("--on-ambiguous", "retry"))[0]
    assert (12, 0, 0) == command.counts()


def test_a_killed_run_is_told_by_the_next(command: Command) -> None:
    """SIGKILL leaves four orphans; the next run names them with their bound and does the other eight."""
    command.sim.call(lambda server: server.inject(*["stall"] * 4))
    process = command.start()
    command.out_with(4, process)
    process.kill()
    wait(process)
    code, _, err = wait(command.start("--on-ambiguous", "skip"))
    assert 1 == code
    assert "4 attempts of a run that was cut off may have been executed and billed:" in err
    assert 4 == err.count(": at most $0.00")
    assert (8, 4, 0) == command.counts()


def test_a_folder_is_held_by_one_process(command: Command) -> None:
    """The second is refused with exit 2, and told by whom; it changes nothing."""
    command.sim.call(lambda server: server.inject(*["stall"] * 4))
    process = command.start()
    command.out_with(4, process)
    code, _, err = wait(command.start())
    assert (2, True) == (code, f"is in use by process {process.pid} on " in err)
    process.kill()
    wait(process)
    assert 4 == command.sim.stats()["received"]


def test_mistakes_end_with_2_before_anything_is_made(
    command: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bad row, a missing key, a URL that is none: each is named, nothing is sent, no folder is made."""
    monkeypatch.setenv("TEST_KEY", "test-key")
    monkeypatch.delenv("OTHER_KEY", raising=False)
    monkeypatch.setenv("BAD_KEY", "two words")
    base = ["batch", str(command.input), "--out", str(command.out), "--base-url", command.sim.base_url, *OPTIONS]
    command.input.write_text('{"prompt": "a"}\n{"prompt": "a", "sise": "8x8"}\n')
    for arguments, word in (
        (base, "in.jsonl:2: sise: no field of a row"),
        ([*base, "--api-key-env", "OTHER_KEY"], "environment variable OTHER_KEY"),
        ([*base, "--api-key-env", "BAD_KEY"], "API key BAD_KEY is empty, or holds what no header can carry"),
        ([*base, "--base-url", "ftp://x"], "does not begin with http"),
        ([*base, "--base-url", "http://me:secret@127.0.0.1/v1"], "holds a user or a password"),
        ([*base, "--quality", "ultra"], "in.jsonl:2: sise"),
        ([*base, "--budget", "much"], "not an amount of dollars"),
        ([*base, "--rpm", "0"], "not a number above 0"),
        ([*base, "--max-concurrency", "0"], "not a whole number"),
        ([*base, "--on-ambiguous", "perhaps"], "invalid choice"),
    ):
        assert 2 == main(arguments)
        assert word in capsys.readouterr().err
    assert not command.out.exists()
    assert 0 == command.sim.stats()["received"]


def test_a_demo_leaves_a_folder_in_use_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where another process holds the folder the demo says so, and its prompts stay as they are."""
    prompts = tmp_path / "prompts.jsonl"
    with Journal.open(tmp_path):
        prompts.write_text("mine")
        assert 2 == main(["demo", "--out", str(tmp_path)])
    assert "in use by process" in capsys.readouterr().err
    assert "mine" == prompts.read_text()


def test_a_demo_gives_the_folder_back_where_it_cannot_begin(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Prompts that cannot be written are said, and the folder is free again."""
    (tmp_path / "prompts.jsonl").mkdir()
    assert 2 == main(["demo", "--out", str(tmp_path)])
    assert "prompts.jsonl" in capsys.readouterr().err
    Journal.open(tmp_path).close()


def test_a_key_is_never_said(command: Command) -> None:
    """Not in output, results, summary or journal, also when the provider refuses it and repeats it."""
    command.sim.call(lambda server: server.revoke("test-key"))
    code, out, err = wait(command.start())
    assert 4 == code
    assert "TEST_KEY" in err
    for said in (out, err, *(path.read_bytes().decode("latin-1") for path in command.out.iterdir() if path.is_file())):
        assert "test-key" not in said


def test_the_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """24 pictures through refusals, broken servers and a reset, exit 0; its figures agree with the provider's."""
    assert 0 == main(["demo", "--out", str(tmp_path / "demo")])
    said = capsys.readouterr().out
    assert "24 rows: 24 completed; 24 images" in said
    assert "made 25 pictures" in said
    assert "reset" in said
    assert 24 == len(list((tmp_path / "demo" / "images").iterdir()))
    assert 0 < json.loads((tmp_path / "demo" / "summary.json").read_text())["http_429"]
    assert 0 == main(["demo", "--out", str(tmp_path / "demo")])
    assert "received 0 requests" in capsys.readouterr().out
