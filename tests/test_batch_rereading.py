"""SIGHUP has a batch read its settings file again: other limits, other keys, and a file that cannot be read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve

from penstock.config import Limits
from penstock.simulation.server import Latency, ServerSettings
from penstock_io.batch.progress import Level
from penstock_io.batch.rereading import compare, reread
from penstock_io.batch.settings import Settings
from penstock_io.simserver import serving

SETTINGS = Settings(Path("out"), "https://one.example/v1", {"A": "key-a", "B": "key-b"})


class Told:
    """What was said, and how much it matters."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, Level]] = []

    def __call__(self, text: str, level: Level) -> None:
        """One line."""
        self.lines.append((text, level))


def test_what_is_different_is_told() -> None:
    """Keys by what they are, not by what they are called; limits as options say them."""
    same = evolve(SETTINGS, keys={"X": "key-a", "B": "key-b"})
    assert "settings read again: nothing is different" == compare(SETTINGS, same).told
    other = evolve(SETTINGS, keys={"B": "key-b", "C": "key-c"}, limits=Limits(ipm=20, concurrency=None))
    change = compare(SETTINGS, other)
    assert ({"C": "key-c"}, {"A": "key-a"}, other.limits) == (change.added, change.gone, change.limits)
    assert "settings read again: 1 key more (C); 1 key less (A); other limits for each key (20 ipm)" == change.told


def test_a_file_that_cannot_be_read_changes_nothing() -> None:
    """It is said why, and the run goes on as it was."""
    told = Told()
    assert None is reread(evolve(SETTINGS, again=lambda: "x.toml: not TOML"), told)
    assert [("the settings stay as they were: x.toml: not TOML", Level.WARNING)] == told.lines


def test_only_keys_and_limits_are_taken() -> None:
    """A folder or a budget that stand otherwise in the file by now belong to the next run."""
    new = evolve(SETTINGS, folder=Path("elsewhere"), limits=Limits(rpm=5))
    found = reread(evolve(SETTINGS, again=lambda: new), Told())
    assert found is not None
    settings, change = found
    assert (Path("out"), Limits(rpm=5)) == (settings.folder, settings.limits)
    assert Limits(rpm=5) == change.limits


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no such signal on this system")
def test_a_batch_takes_other_limits_and_keys_while_it_runs(tmp_path: Path) -> None:
    """One request at a time until the file says four, and two keys; a broken file is passed over; all rows are done."""
    (tmp_path / "in.txt").write_text("".join(f"kettle {number}\n" for number in range(60)))
    config = tmp_path / "penstock.toml"
    config.write_text('max_concurrency = 1\napi_key_env = ["KEY_A"]\n')
    with serving(ServerSettings(latency=Latency(0.2, 0.0))) as sim:
        line = [sys.executable, "-m", "penstock_io", "batch", str(tmp_path / "in.txt"), "--out", str(tmp_path / "out")]
        line += ["--base-url", sim.base_url, "--model", "gpt-image-2", "--size", "1024x1024", "--quality", "low"]
        process = subprocess.Popen(
            [*line, "--config", str(config), "--yes", "--allow-unknown-price"],
            env=os.environ | {"KEY_A": "a-key", "KEY_B": "b-key"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

        def until(there: Callable[[], bool]) -> None:
            while not there():
                assert process.poll() is None

        until(lambda: sim.stats()["executed"] >= 2)
        assert 1 == sim.stats()["peak"]
        config.write_text("max_concurrency = \n")
        process.send_signal(signal.SIGHUP)
        config.write_text('max_concurrency = 4\napi_key_env = ["KEY_A", "KEY_B"]\n')
        process.send_signal(signal.SIGHUP)
        until(lambda: sim.stats()["peak"] >= 6)
        _, err = process.communicate(timeout=120)
        assert 0 == process.returncode
        assert 60 == sim.stats()["executed"]
        assert 2 == len(sim.stats()["credentials"])
    assert "settings read again: 1 key more (KEY_B); other limits for each key (4 at a time)" in err
