"""`penstock batch` interrupted, killed, locked out and without a valid key: as processes of their own."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock_io.simserver import SimServer, serving
from tests.batch_command import Command, wait
from tests.batching import FAST


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A provider without limits."""
    with serving(FAST) as running:
        yield running


@pytest.fixture
def command(tmp_path: Path, sim: SimServer, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command in an empty folder."""
    return Command(tmp_path, sim, capsys)


def test_an_interrupt_awaits_what_is_paid(command: Command) -> None:
    """Nothing new is sent, what is out arrives, exit 130; the same command does the rest."""
    command.sim.hold()
    process = command.start()
    command.out_with(4, process)
    process.send_signal(signal.SIGINT)
    command.said("nothing new is sent", process)
    command.sim.release()
    code, out, _ = wait(process)
    assert 130 == code
    assert 4 == command.sim.stats()["executed"]
    assert (4, 0, 8) == command.counts()
    assert "4 completed, 8 pending" in out
    assert 0 == wait(command.start())[0]
    assert 12 == command.sim.stats()["executed"]


def test_a_second_interrupt_breaks_off(command: Command) -> None:
    """What was out becomes ambiguous and is told with its bound; with `retry` the same command completes all."""
    command.sim.call(lambda server: server.inject(*["stall"] * 4))
    process = command.start()
    command.out_with(4, process, stalled=True)
    process.send_signal(signal.SIGINT)
    command.said("nothing new is sent", process)
    process.send_signal(signal.SIGINT)
    code, _, err = wait(process)
    assert (130, True) == (code, "broken off" in err)
    assert (0, 4, 8) == command.counts()
    maybe = json.loads((command.out / "summary.json").read_text())["maybe_billed_usd"]
    assert command.sim.stats()["billed"] <= float(maybe) * 10**12
    assert 0 == wait(command.start("--on-ambiguous", "retry"))[0]
    assert (12, 0, 0) == command.counts()


def test_a_killed_run_is_told_by_the_next(command: Command) -> None:
    """SIGKILL leaves four orphans; the next run sums them up, names the first, and does the other eight."""
    command.sim.call(lambda server: server.inject(*["stall"] * 4))
    process = command.start()
    command.out_with(4, process, stalled=True)
    process.kill()
    wait(process)
    code, _, err = wait(command.start("--on-ambiguous", "skip"))
    assert 1 == code
    assert "4 attempts of a run that was cut off may have been executed and billed, at most $0.0240 in all:" in err
    assert (3, 1) == (err.count(": at most $0.00"), err.count("and 1 more"))
    assert (8, 4, 0) == command.counts()


def test_a_folder_is_held_by_one_process(command: Command) -> None:
    """The second is refused with exit 2, and told by whom; it changes nothing."""
    command.sim.call(lambda server: server.inject(*["stall"] * 4))
    process = command.start()
    command.out_with(4, process, stalled=True)
    code, _, err = wait(command.start())
    assert (2, True) == (code, f"is in use by process {process.pid} on " in err)
    process.kill()
    wait(process)
    assert 4 == command.sim.stats()["received"]


def test_a_key_is_never_said(command: Command) -> None:
    """Not in output, results, summary or journal, also when the provider refuses it and repeats it."""
    command.sim.call(lambda server: server.revoke("test-key"))
    code, out, err = wait(command.start())
    assert 4 == code
    assert "TEST_KEY" in err
    for said in (out, err, *(path.read_bytes().decode("latin-1") for path in command.out.iterdir() if path.is_file())):
        assert "test-key" not in said
