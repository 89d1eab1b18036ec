"""`penstock cost`: what it says of folders and ledgers to people, programs and spreadsheets; that it only looks."""

from __future__ import annotations

import csv
import json
import re
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from penstock.entries import Entry, Maybe, Settled
from penstock.ids import Ref
from penstock_io.cli.main import main
from penstock_io.costing.csvs import COLUMNS
from penstock_io.ledger import Ledger
from penstock_io.simserver import SimServer, serving
from tests.batching import FAST, Folder, folder_for, table
from tests.test_costing_reading import ACME, intent


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A fast provider without limits."""
    with serving(FAST) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, sim: SimServer) -> Folder:
    """The folder of a batch of three rows, of which one repeats another."""
    found = folder_for(tmp_path / "out", sim)
    found.run(table(["a", "b", "a"]))
    return found


def write_ledger(path: Path, entries: list[Entry]) -> str:
    """A ledger with these entries."""
    with Ledger.open(path) as ledger:
        ledger.begin(time.time())
        assert ledger.append(entries) is None
    return str(path)


def test_people_see_what_was_spent(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """Spent, attempts, saved, why there is no month yet, and what all of it was for; not a byte changes."""
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    assert 0 == main(["cost", str(folder.path)])
    lines = capsys.readouterr().out.splitlines()
    assert [
        "spent:     $0.0118 for 2 pictures",
        "attempts:  2",
        "saved:     $0.0059 by not buying 1 picture again",
        "a month:   no projection: 1 day with spending in the last 1 day; it takes 7 days, 3 of them with spending",
    ] == lines[:4]
    assert "model gpt-image-2, size 1024x1024, quality low, day " in lines[5]
    assert before == {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}


def test_programs_get_exact_sums(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """The same as the folder's own summary; every dimension adds up to it."""
    assert 0 == main(["cost", str(folder.path), "--json", str(folder.path)])
    told = json.loads(capsys.readouterr().out)
    sums = folder.sums()
    assert (sums["cost_usd"], sums["saved_usd"]) == (told["spent_usd"], told["saved_usd"])
    assert (2, 2, False, None) == (told["attempts"], told["pictures"], told["at_least"], told["return"])
    for parts in told["by"].values():
        assert Decimal(told["spent_usd"]) == sum(Decimal(part["spent_usd"]) for part in parts)


def test_doubts_and_unknown_charges_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What may have been billed stands beside; where nobody knows, it is at least so much. By tag, by failure."""
    begun = [intent(1, scopes=(ACME,)), intent(2), intent(3, None)]
    refs = (Ref(""),)
    ends: list[Entry] = [
        Settled(begun[0].attempt, begun[0].keys, refs, None, 4 * 10**10, 0.0),
        Maybe(begun[1].attempt, "timeout", 10**10, 0.0),
        Settled(begun[2].attempt, begun[2].keys, refs, None, None, 0.0),
    ]
    path = write_ledger(tmp_path / "ledger.sqlite", [*begun, *ends])
    assert 0 == main(["cost", path])
    said = capsys.readouterr().out
    assert (
        "spent:     at least $0.0400 for 0 pictures; of 1 payment nobody knows the amount, "
        "and for others at most $0.0100 more may have been billed\nattempts:  3, of which 1 may have been billed\n"
    ) in said
    lines = [line.split() for line in said.splitlines()]
    assert ["summer", "$0.0400", "-", "0", "1", "-"] in lines
    assert ["timeout", "$0.0000", "$0.0100", "0", "1", "-"] in lines
    assert "(what has several tags counts under each: $0.0400 more than in all)" in said


def test_a_bound_is_one_figure_wherever_it_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rounded up in the sentence, and in the tables below it."""
    begun = intent(1)
    path = write_ledger(tmp_path / "ledger.sqlite", [begun, Maybe(begun.attempt, "timeout", 139_510_000_000, 0.0)])
    assert 0 == main(["cost", path])
    said = capsys.readouterr().out
    assert "and at most $0.1396 more may have been billed" in said
    assert ["timeout", "$0.0000", "$0.1396", "0", "1", "-"] in [line.split() for line in said.splitlines()]
    assert "$0.1395" not in said


def test_a_doubt_without_a_bound_has_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a repair books what nobody can tell: the bound of other doubts is said of them alone, and of no sum."""
    known, unknown, paid = intent(1), intent(2, None), intent(3)
    ends: list[Entry] = [
        Maybe(known.attempt, "timeout", 10**10, 0.0),
        Maybe(unknown.attempt, "timeout", None, 0.0),
        Settled(paid.attempt, paid.keys, (Ref(""),), None, 4 * 10**10, 0.0),
    ]
    path = write_ledger(tmp_path / "ledger.sqlite", [known, unknown, paid, *ends])
    assert 0 == main(["cost", path])
    said = capsys.readouterr().out
    assert (
        "spent:     at least $0.0400 for 0 pictures; of 1 payment nobody knows the amount, "
        "and for others at most $0.0100 more may have been billed\n"
    ) in said
    (line,) = [line for line in said.splitlines() if line.startswith("timeout")]
    assert ["timeout", "an amount that is not known", "an amount that is not known", "0", "2", "-"] == re.split(
        r"\s{2,}", line.strip()
    )


def test_only_what_was_since_a_day(folder: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of folders and ledgers, in sums, tables and the month; a folder that has nothing since then says so."""
    begun = [evolve(intent(number), at=(20_000 + number) * 86_400.0) for number in (1, 2)]
    ends: list[Entry] = [Settled(one.attempt, one.keys, (Ref("f:x"),), None, 10**12, 0.0) for one in begun]
    path = write_ledger(tmp_path / "ledger.sqlite", [*begun, *ends])
    assert 0 == main(["cost", path, "--since", "2024-10-06", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert ("2024-10-06", "1", ["2024-10-06"]) == (
        told["since"],
        told["spent_usd"],
        [d["name"] for d in told["by"]["day"]],
    )
    assert 0 == main(["cost", str(folder.path), path, "--since", "9999-01-01"])
    said = capsys.readouterr().out
    assert said.startswith("spent:     $0.0000 for 0 pictures\nattempts:  0\n")
    assert "since:     9999-01-01 (UTC); what was before is left out\n" in said


def test_a_spreadsheet_gets_a_table(folder: Folder, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Into a file, which is not replaced unasked, or to standard output, and nothing else; the sums are the same."""
    path = tmp_path / "costs.csv"
    assert 0 == main(["cost", str(folder.path), "--csv", str(path)])
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    assert list(COLUMNS) == list(lines[0])
    assert Decimal(str(folder.sums()["cost_usd"])) == sum(Decimal(line["spent_usd"]) for line in lines)
    capsys.readouterr()
    assert 0 == main(["cost", str(folder.path), "--csv", "-"])
    assert path.read_text("utf-8-sig").splitlines() == capsys.readouterr().out.splitlines()
    assert 2 == main(["cost", str(folder.path), "--csv", str(path)])
    assert "--overwrite replaces it" in capsys.readouterr().err
    assert 0 == main(["cost", str(folder.path), "--csv", str(path), "--overwrite"])


def test_a_change_pays_back(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """The formula with its figures, and what it comes to in words."""
    words = ["--volume", "2000", "--labour", "0.80592", "--infrastructure", "100", "--one-off", "$3000"]
    assert 0 == main(["cost", str(folder.path), *words])
    said = capsys.readouterr().out
    assert "= 2,000 x ($0.8059 - $0.0059) - $100.0000 = $1,500.0000\n" in said
    assert "payback        = one-off / monthly saving = $3,000.0000 / $1,500.0000 = 2 months\n" in said
    assert "= (12 x $1,500.0000 - $3,000.0000) / $3,000.0000 = 500 %\n" in said
    assert said.endswith("It pays back after 2 months, and saves $1,500.0000 a month from then on.\n")
    assert 0 == main(["cost", str(folder.path), *words, "--json"])
    back = json.loads(capsys.readouterr().out)["return"]
    assert ("0.00592", "1500", "2", "5") == tuple(
        back[name] for name in ("cost_of_a_picture_usd", "monthly_saving_usd", "payback_months", "yearly_return")
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["--labour", "0.00092", "--one-off", "9"],
            "It never pays back: each month costs $5.0000 more than making them",
        ),
        (["--labour", "0.00592", "--one-off", "9"], "It never pays back: a month costs as much as making them by hand"),
        (["--labour", "0.00592"], "It makes no difference: a month costs as much as making them by hand."),
        (["--labour", "1.00592"], "It pays from the first month: $1,000.0000 a month"),
    ],
)
def test_a_change_may_not_pay(folder: Folder, words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is said in words."""
    assert 0 == main(["cost", str(folder.path), "--volume", "1000", *words])
    assert told in capsys.readouterr().out


def test_without_a_picture_nobody_knows_what_one_costs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The return is then not told, and why."""
    path = write_ledger(tmp_path / "ledger.sqlite", [intent(1)])
    assert 0 == main(["cost", path, "--volume", "10", "--labour", "1", "--json"])
    out, err = capsys.readouterr()
    assert json.loads(out)["return"] is None
    assert "the books have no picture, so nobody knows what one costs" in err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "DIR_OR_LEDGER is missing"),
        (["{out}", "--labour", "1"], "--volume is missing"),
        (["{out}", "--volume", "1"], "--labour is missing"),
        (["{out}", "--volume", "x", "--labour", "1"], "'x' is not a number of pictures"),
        (["{out}", "--volume", "1", "--labour", "-1"], "'-1' is not an amount of dollars"),
        (["{out}", "--volume", "1", "--labour", "1e-999999999"], "is not an amount of dollars"),
        (["{out}", "--volume", "nan", "--labour", "1"], "is not a number of pictures"),
        (["{out}", "--csv", "-", "--json"], "--csv - and --json both print"),
        (["{out}", "--since", "yesterday"], "'yesterday' is not a day, such as 2026-11-01"),
        (["{out}/nowhere"], "nowhere"),
        (["."], "holds no journal"),
    ],
)
def test_what_is_wrong_ends_with_2(
    folder: Folder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It is said, and nothing is made."""
    monkeypatch.chdir(tmp_path)
    assert 2 == main(["cost", *(word.replace("{out}", str(folder.path)) for word in words)])
    assert told in capsys.readouterr().err
    assert ["out"] == [path.name for path in tmp_path.iterdir()]
