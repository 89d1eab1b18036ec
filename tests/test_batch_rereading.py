"""SIGHUP has a batch read its settings file again: other limits, other keys, and a file that cannot be read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from penstock.config import Budget, Credential, Limits
from penstock.simulation.server import Latency, ServerSettings
from penstock_io._access import PROVIDER, fingerprint
from penstock_io.batch.funds import Funds
from penstock_io.batch.progress import Level
from penstock_io.batch.rereading import compare, reread, words
from penstock_io.batch.run import Exit
from penstock_io.batch.settings import Settings
from penstock_io.cli.choosing import settings_of
from penstock_io.cli.config import resolve
from penstock_io.cli.options import BATCH
from penstock_io.ledger import Ledger
from penstock_io.simserver import serving
from tests.batching import FAST, KEYS, LONG, Listening, folder_for, table

LOW = Decimal("0.001")
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


def test_keys_that_come_or_go_are_not_told_of_twice() -> None:
    """What is said of a key alone is told to be other where the key stays, not where it comes or goes itself."""
    one, other = (Credential(fingerprint(f"key-{name}"), PROVIDER, Limits(rpm=5)) for name in "ab")
    old = evolve(SETTINGS, credentials=(one, other))
    fewer = evolve(SETTINGS, keys={"A": "key-a"}, credentials=(one,))
    assert "settings read again: 1 key less (B)" == compare(old, fewer).told
    assert "settings read again: 1 key more (B)" == compare(fewer, old).told
    heavier = evolve(fewer, credentials=(evolve(one, weight=2.0),))
    assert (
        "settings read again: 1 key less (B); account, weight, models, pools or limits of A are others"
        == compare(old, heavier).told
    )


def test_a_file_that_cannot_be_read_changes_nothing() -> None:
    """It is said why, and the run goes on as it was."""
    told = Told()
    assert None is reread(evolve(SETTINGS, again=lambda: "x.toml: not TOML"), told)
    assert [("the settings stay as they were: x.toml: not TOML", Level.WARNING)] == told.lines


def test_only_keys_limits_and_budgets_are_taken() -> None:
    """A folder or a deadline that stand otherwise in the file by now belong to the next run, which is said."""
    new = evolve(SETTINGS, folder=Path("elsewhere"), limits=Limits(rpm=5), deadline=60.0)
    told = Told()
    found = reread(evolve(SETTINGS, again=lambda: new), told)
    assert found is not None
    settings, change = found
    assert (Path("out"), Limits(rpm=5), None) == (settings.folder, settings.limits, settings.deadline)
    assert (Limits(rpm=5), None) == (change.limits, change.budget)
    assert told.lines[0][0].endswith("(5 rpm, 64 at a time); the folder and deadline from the next run on")


def test_what_rows_get_is_told_to_count_later() -> None:
    """Other values for rows change nothing for a run that is under way, which is said by the options' names."""
    old = evolve(SETTINGS, rows={"model": "gpt-image-2", "size": None, "quality": "low", "keep": None})
    new = evolve(old, rows={"model": "gpt-image-1", "size": "1024x1024", "quality": "low"}, cache="shared.sqlite")
    told = Told()
    found = reread(evolve(old, again=lambda: new), told)
    assert found is not None
    assert [("settings read again: cache, model and size from the next run on", Level.NOTE)] == told.lines
    assert (old.rows, None, None, None) == (found[0].rows, found[0].cache, found[1].limits, found[1].budget)


def test_the_options_of_rows_are_read_from_the_file(tmp_path: Path) -> None:
    """A file read again says them under the names that flags have."""
    config = tmp_path / "penstock.toml"
    config.write_text('model = "gpt-image-2"\nsize = "1024x1024"\n')
    flags: dict[str, object] = {"config": config, "out": tmp_path / "out"}
    before = settings_of(resolve(flags, BATCH, {}), {"OPENAI_API_KEY": "a-key"})
    config.write_text('model = "gpt-image-2"\nsize = "512x512"\noutput_format = "webp"\n')
    after = settings_of(resolve(flags, BATCH, {}), {"OPENAI_API_KEY": "a-key"})
    assert "settings read again: size and output-format from the next run on" == compare(before, after).told


def test_limits_in_words() -> None:
    """All of them, of a minute, of a day and at a time, and whether they are a ceiling."""
    assert "5 rpm, 1,000 rpd, 250,000 tpd, 10 ipd, 64 at a time, never exceeded" == words(
        Limits(rpm=5, rpd=1000, tpd=250_000, ipd=10, ceiling=True)
    )
    assert "none are known" == words(Limits(concurrency=None))


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("5", "20", "the budget is $20 (it was $5)"),
        (None, "0.5", "the budget is $0.5 (there was none)"),
        ("5", None, "the budget is not bounded any more (it was $5)"),
        ("5", "5.00", "nothing is different"),
    ],
)
def test_another_budget(before: str | None, after: str | None, told: str) -> None:
    """It bounds what is sent from then on, and what it was is said."""
    old, new = (evolve(SETTINGS, budget=None if one is None else Decimal(one)) for one in (before, after))
    found = reread(evolve(old, again=lambda: new), Told())
    assert found is not None
    settings, change = found
    assert (new.budget, f"settings read again: {told}") == (settings.budget, change.told)
    assert (None if told.startswith("nothing") else new.caps()) == change.budget


def test_budgets_of_days_need_their_ledger(tmp_path: Path) -> None:
    """With an open ledger they count at once, and from then on; without one nobody knows what the day has cost."""
    new = evolve(SETTINGS, funds=Funds(day=Decimal(3)))
    change = compare(SETTINGS, new)
    assert "settings read again: the budgets of day and month from the next run on" == change.told
    assert None is change.budget
    ledger = Ledger.open(tmp_path / "ledger.sqlite")
    try:
        told = Told()
        found = reread(evolve(SETTINGS, funds=Funds(ledger=ledger), again=lambda: new), told)
        assert found is not None
        settings, change = found
        assert None is not reread(evolve(settings, again=lambda: new), told)
    finally:
        ledger.close()
    day = "the budget of the day is $3 (there was none)"
    assert [f"settings read again: {text}" for text in (day, "nothing is different")] == [
        line for line, _ in told.lines
    ]
    assert Budget((("day", 3 * 10**12),)) == change.budget


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no such signal on this system")
def test_a_batch_takes_other_limits_and_keys_while_it_runs(tmp_path: Path) -> None:
    """One request at a time until the file says four, and two keys; a broken file is passed over; all rows are done."""
    (tmp_path / "in.txt").write_text("".join(f"kettle {number}\n" for number in range(60)))
    config = tmp_path / "penstock.toml"
    config.write_text('max_concurrency = 1\napi_key_env = ["KEY_A"]\n')
    with serving(FAST) as sim:
        sim.hold()
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

        until(lambda: sim.stats()["received"] == 1)
        sim.release(2)
        until(lambda: sim.stats()["received"] == 3)
        config.write_text("max_concurrency = \n")
        process.send_signal(signal.SIGHUP)
        assert process.stderr is not None
        while "the settings stay as they were" not in (told := process.stderr.readline()):
            assert told
        assert 3 == sim.stats()["received"]
        config.write_text('max_concurrency = 4\napi_key_env = ["KEY_A", "KEY_B"]\n')
        process.send_signal(signal.SIGHUP)
        until(lambda: sim.stats()["received"] >= 10)
        assert 10 == sim.stats()["received"]  # two keys with four each, and the two that were answered
        sim.release()
        _, err = process.communicate(timeout=LONG)
        assert 0 == process.returncode
        assert 60 == sim.stats()["executed"]
        assert 2 == len(sim.stats()["credentials"])
    assert "settings read again: 1 key more (KEY_B); other limits for each key (4 at a time)" in err


class Hanging(Listening):
    """Sends the signal when the first row has ended."""

    def tell(self, text: str, level: Level = Level.NOTE) -> None:
        """A line."""
        super().tell(text, level)
        if text.startswith("row0: completed"):
            signal.raise_signal(signal.SIGHUP)


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no such signal on this system")
def test_a_lowered_budget_is_no_fault_of_the_provider(tmp_path: Path) -> None:
    """What was spent before it was lowered stays spent, and nobody is blamed for that; nothing more is sent."""
    with serving(FAST) as sim:
        folder = folder_for(tmp_path / "out", sim)
        folder.listener, folder.concurrency = Hanging(), 1
        folder.settings = evolve(folder.settings, again=lambda: evolve(folder.settings, keys=KEYS, budget=LOW))
        ended = folder.run(table(6), budget=Decimal(10))
    assert Exit.BUDGET == ended.code
    spent = Decimal(str(folder.sums()["cost_usd"]))
    assert LOW < spent
    assert 10**9 == folder.listener.figures[-1].budget
    (above,) = [text for text in folder.told if "above the budget" in text]
    assert above.endswith(
        "above the budget of $0.001: spent before this run, or on its way when the budget was lowered"
    )


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no such signal on this system")
def test_a_raised_budget_counts_at_once(tmp_path: Path) -> None:
    """Rows that come after it are paid from it, in the same run; six rows had no room before it."""
    config = tmp_path / "penstock.toml"
    config.write_text('budget = 0.02\napi_key_env = ["KEY_A"]\n')
    with serving(ServerSettings(latency=Latency(0.01, 0.0))) as sim:
        line = [sys.executable, "-m", "penstock_io", "batch", "-", "--out", str(tmp_path / "out"), "--yes"]
        line += ["--base-url", sim.base_url, "--model", "gpt-image-2", "--size", "1024x1024", "--quality", "low"]
        process = subprocess.Popen(
            [*line, "--config", str(config)],
            env=os.environ | {"KEY_A": "a-key"},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write('{"prompt": "a kettle"}\n')
        process.stdin.flush()
        assert sim.wait(lambda stats: stats["executed"] == 1)
        config.write_text('budget = 2\napi_key_env = ["KEY_A"]\n')
        process.send_signal(signal.SIGHUP)
        told = ""
        while "settings read again" not in told:
            told = process.stderr.readline()
            assert told
        assert "the budget is $2 (it was $0.02)" in told
        process.stdin.writelines(f'{{"prompt": "kettle {number}"}}\n' for number in range(5))
        _, err = process.communicate(timeout=120)
        assert (0, 6) == (process.returncode, sim.stats()["executed"]), err
