"""`--ledger`, `--budget-day`, `--budget-month`, `--budget-policy`: one book for all folders, on the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from penstock.commands import BudgetLow, Halted
from penstock.simulation.server import Latency, ServerSettings
from penstock_io.batch.funds import Funds, low
from penstock_io.batch.stopping import of_engine
from penstock_io.cli.main import main
from penstock_io.ledger import Ledger, read
from penstock_io.simserver import SimServer, serving
from tests.batch_command import Command

DAY = 0.03
"""Dollars: room for five of these pictures, which cost 0.006 at most."""


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A provider of its own for each test, because what it received is counted."""
    with serving(ServerSettings(latency=Latency(0.05, 0.0))) as running:
        yield running


@pytest.fixture
def batch(
    tmp_path: Path, sim: SimServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """A batch of twelve rows."""
    monkeypatch.setenv("TEST_KEY", "test-key")
    monkeypatch.chdir(tmp_path)
    return Command(tmp_path, sim, capsys)


def test_a_day_is_capped_over_folders(batch: Command) -> None:
    """The first folder takes what there is, ends with 3 and says what to do; the next one sends nothing any more."""
    code, _, err = batch.run("--ledger", "l.sqlite", "--budget-day", str(DAY))
    assert (3, (5, 0, 7)) == (code, batch.counts())
    assert (
        "the budget has no room for 7 rows: raise --budget-day, or wait for the next one (UTC), and run the same "
        "command again."
    ) in err
    rows = read("l.sqlite").rows
    assert [("settled", str(batch.out), "1024x1024", "low")] * 5 == [
        (row.ending, row.source, row.size, row.quality) for row in rows
    ]
    batch.out = batch.folder / "other"
    assert 3 == batch.run("--ledger", "l.sqlite", "--budget-day", str(DAY))[0]
    assert (5, (0, 0, 12)) == (batch.sim.stats()["received"], batch.counts())
    assert 0 == batch.run("--ledger", "l.sqlite", "--budget-month", "5")[0]
    assert (12, 0, 0) == batch.counts()


def test_it_is_told_when_a_day_is_nearly_used(batch: Command) -> None:
    """Once, in dollars."""
    _, _, err = batch.run("--ledger", "l.sqlite", "--budget-day", str(DAY))
    assert 1 == err.count("of the budget of the day of $0.03 are used")


@pytest.mark.parametrize("option", ["--budget-day", "--budget-month"])
def test_a_day_needs_a_ledger(batch: Command, option: str) -> None:
    """The error says what it is for and how to give one; nothing was sent, nothing made."""
    code, _, err = batch.run(option, "1")
    assert 2 == code
    assert f"{option}: it needs a ledger that remembers what other runs spent: give --ledger FILE" in err
    assert 2 == main(["generate", "a kettle", option, "1"])
    assert (0, False) == (batch.sim.stats()["received"], batch.out.exists())


def test_a_ledger_that_is_held_is_refused_by_name(batch: Command) -> None:
    """Before anything is sent, also where the folder is new; in JSON its kind is said."""
    with Ledger.open("l.sqlite"):
        code, out, err = batch.run("--ledger", "l.sqlite", "--json")
        assert (2, {"kind": "ledger"}) == (code, {"kind": json.loads(out)["error"]["kind"]})
        assert "the ledger l.sqlite is in use by process " in err
    assert (0, False) == (batch.sim.stats()["received"], batch.out.exists())


def test_the_start_says_for_how_many_rows_a_day_is_enough(batch: Command) -> None:
    """As of a budget: of the tightest cap, with what the ledger has booked on it, over all folders."""
    _, _, err = batch.run("--ledger", "l.sqlite", "--budget-day", str(DAY))
    assert f"\nbudget of the day: ${DAY:.4f} are left, " in err
    spent = json.loads((batch.out / "summary.json").read_text())["cost_usd"]
    caps = ("--budget", "5", "--budget-day", "4", "--budget-month", str(DAY))
    left = Decimal(str(DAY)) - Decimal(spent)
    _, _, err = batch.run("--ledger", "l.sqlite", *caps)
    assert f"\nbudget of the month: ${left:.4f} are left, " in err
    _, out, _ = batch.run("--ledger", "l.sqlite", *caps, "--dry-run")
    assert "are left" not in out


def test_a_dry_run_makes_no_ledger(batch: Command) -> None:
    """It says what it would do, also while somebody else holds the ledger."""
    assert 0 == batch.run("--ledger", "l.sqlite", "--budget-day", "1", "--dry-run")[0]
    assert not Path("l.sqlite").exists()
    with Ledger.open("l.sqlite"):
        assert 0 == batch.run("--ledger", "l.sqlite", "--dry-run")[0]


def test_what_has_no_price_is_not_sent_under_a_day(batch: Command) -> None:
    """A day bounds as a budget does: the rows are refused before anything is sent."""
    batch.rows({"prompt": "a kettle", "model": "of-my-own"})
    code, _, err = batch.run("--ledger", "l.sqlite", "--budget-day", "1")
    assert (2, 0) == (code, batch.sim.stats()["received"])
    assert "of-my-own" in err


@pytest.mark.parametrize(("policy", "done"), [("fail", 2), ("wait", 3)])
def test_rows_that_do_not_fit_now_wait_or_are_left(batch: Command, policy: str, done: int) -> None:
    """Two reserve almost the whole day; what they give back is enough for a third one, if it waits."""
    assert 3 == batch.run("--ledger", "l.sqlite", "--budget-day", "0.0179", "--budget-policy", policy)[0]
    assert (done, 0, 12 - done) == batch.counts()


def test_generate_books_and_is_capped(batch: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """One request at a time into the same ledger; where the day has no room it ends with 3, and nothing is sent."""
    monkeypatch.setenv("OPENAI_API_KEY", "test-key")
    monkeypatch.setenv("OPENAI_BASE_URL", batch.sim.base_url)
    words = ["generate", "a kettle", "--model", "gpt-image-2", "--size", "1024x1024", "--quality", "low"]
    assert 0 == main([*words, "-o", "a.png", "--ledger", "l.sqlite", "--budget-day", "0.01"])
    assert 3 == main([*words, "-o", "b.png", "--ledger", "l.sqlite", "--budget-day", "0.01"])
    assert (1, ["settled"]) == (batch.sim.stats()["received"], [row.ending for row in read("l.sqlite").rows])
    assert "the budget of the day has no room" in batch.capsys.readouterr().err


def test_a_ledger_that_cannot_be_written_halts(tmp_path: Path) -> None:
    """It is the ledger's disk that has no room, not the folder's."""
    message = f"the journal cannot be written: the ledger {tmp_path / 'l.sqlite'}: database or disk is full"
    halt = of_engine(Halted("journal", message, "make room, then resume"), Path("/pictures"), ())
    assert f"there is no room left on the disk of {tmp_path}" == halt.what


def test_funds_in_words() -> None:
    """Which caps there are decides what can be done, and how a warning is said."""
    assert "raise --budget" == Funds().raised(None)
    both = Funds(day=Decimal(1), month=Decimal(2)).raised(Decimal(3))
    assert "raise --budget or --budget-day or --budget-month, or wait for the next one (UTC)," == both
    assert "$1.60 of the budget of tenant:acme@day of $2.00 are used or may have been billed" == low(
        BudgetLow("tenant:acme@day", 16 * 10**11, 2 * 10**12)
    )
    assert "$0.80 of the budget of $1.00 are used or may have been billed" == low(BudgetLow("run", 8 * 10**11, 10**12))
