"""A ledger that is damaged anywhere is not used, and is rebuilt."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings

from penstock.entries import Maybe
from penstock.ids import AttemptId
from penstock.simulation.server import Latency, ServerSettings
from penstock_io.cli.main import main
from penstock_io.ledger import Ledger, LedgerDamaged, LedgerError, LedgerInUse, NewerLedger, read
from penstock_io.ledger._repair import repair
from penstock_io.simserver import SimServer, serving
from tests.batch_command import Command
from tests.failing import DEATH, Died, FailingDisk
from tests.test_ledger import NOON, intent, settled

SPENT = 40 * 90 + 100 + 100
"""What `made` booked: forty requests, a doubt, and one without an end."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of forty-two requests, of three days."""
    path = tmp_path_factory.mktemp("made") / "ledger.sqlite"
    with Ledger.open(path) as ledger:
        ledger.begin(NOON, "pictures")
        for number in range(40):
            entry = intent(number, 100, "tenant:acme", at=NOON + 86_400 * (number % 3))
            ledger.append([entry, settled(number, 90)])
        ledger.append([intent(50), intent(51), Maybe(AttemptId(50), "timeout", 100, NOON)])
    with Ledger.open(path) as ledger:
        ledger.begin(NOON)
    return path


def spent(path: Path) -> tuple[int, bool]:
    """What the rows of a ledger add up to, with what may have been billed, and whether some of it is not known."""
    rows = read(path).rows
    return sum((row.charge or 0) + (row.maybe or 0) for row in rows), any(row.maybe is None for row in rows)


def booked(path: Path, scope: str) -> int:
    """What the books say that a client would open with."""
    with Ledger.open(path) as ledger:
        books = dict(ledger.begin(NOON).scopes)
    return books[scope].charged + books[scope].maybe if scope in books else 0


@settings(max_examples=50, deadline=None)
@given(at=st.floats(0, 1), size=st.integers(0, 9000), junk=st.integers(0, 255))
@example(at=0.0, size=0, junk=0)
@example(at=0.4, size=4096, junk=7)
def test_whatever_is_damaged_is_found_and_nothing_that_is_known_is_forgotten(
    made: Path, at: float, size: int, junk: int
) -> None:
    """Cut off (size 0) or with junk in it: it says what it said before, or is refused, rebuilt, and says at least."""
    with TemporaryDirectory(prefix="penstock-ledger-") as home:
        path = Path(home) / "ledger.sqlite"
        data = made.read_bytes()
        begin = int(at * len(data))
        rest = bytes([junk]) * size + data[begin + size :] if size else b""
        path.write_bytes(data[:begin] + rest[: len(data) - begin])
        with suppress(LedgerDamaged, NewerLedger):
            assert (SPENT, False) == spent(path)
            return
        with suppress(NewerLedger):  # a damaged version may be a higher one
            found = repair(path)
            assert found is not None
            total, unknown = spent(path)
            assert SPENT == total or unknown
            assert not (found.whole and total < SPENT)
            assert repair(path) is None


def test_an_empty_file_is_no_new_ledger(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a power cut may leave of a ledger is refused: the cap of the day would begin anew."""
    path = tmp_path / "ledger.sqlite"
    path.touch()
    for look in (Ledger.open, read):
        with pytest.raises(LedgerDamaged, match="it is empty, which no ledger ever is"):
            look(path)
    assert 2 == main(["cost", str(path)])
    assert f"`penstock cost {path} DIR ... --repair`" in capsys.readouterr().err


def test_a_changed_figure_is_noticed(made: Path, tmp_path: Path) -> None:
    """Of a request by whoever reads it, of a sum by whoever opens it; a repair takes neither, and the other tells."""
    path = tmp_path / "ledger.sqlite"
    shutil.copy(made, path)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE attempts SET charge = '1' WHERE attempt = 3")
        db.execute("DELETE FROM attempts WHERE attempt = 4")
    db.close()
    with pytest.raises(LedgerDamaged, match="a row of attempts is not as it was written"):
        read(path)
    found = repair(path)
    assert found is not None
    assert (40, 0, 2 * 90, False) == (found.attempts, found.added, found.more, found.whole)
    assert (SPENT, True) == spent(path)
    assert [40 * 90] == [booked(path, "tenant:acme")]
    with sqlite3.connect(path) as db:
        db.execute("UPDATE sums SET charged = '1'")
    db.close()
    with pytest.raises(LedgerDamaged, match="a row of sums is not as it was written"):
        Ledger.open(path)
    assert repair(path) is not None
    assert [40 * 90 - 180] == [booked(path, "tenant:acme")]
    assert (SPENT, True) == spent(path)


def test_a_sum_that_is_gone_is_noticed(made: Path, tmp_path: Path) -> None:
    """Each one, and all of them: a cap would not count what it said. A repair brings them back."""
    with sqlite3.connect(made) as db:
        scopes = [scope for (scope,) in db.execute("SELECT scope FROM sums")]
    db.close()
    assert len(scopes) > 3
    for place, gone in enumerate([*scopes, "%"]):
        path = tmp_path / f"{place}.sqlite"
        shutil.copy(made, path)
        with sqlite3.connect(path) as db:
            db.execute("DELETE FROM sums WHERE scope LIKE ?", (gone,))
        db.close()
        for look in (Ledger.open, read):
            with pytest.raises(LedgerDamaged, match=r"sums (of .* do not add up|are missing)"):
                look(path)
        assert repair(path) is not None
        assert (SPENT, False) == spent(path)
        assert [40 * 90] == [booked(path, "tenant:acme")]


def test_sums_that_remember_more_stay_even(made: Path, tmp_path: Path) -> None:
    """Where rows and other sums are lost, what one sum still says is booked, and the rebuilt ledger is whole."""
    with sqlite3.connect(made) as db:
        scopes = [scope for (scope,) in db.execute("SELECT scope FROM sums")]
    db.close()
    for place, kept in enumerate(scopes):
        path = tmp_path / f"{place}.sqlite"
        shutil.copy(made, path)
        with sqlite3.connect(path) as db:
            db.execute("DELETE FROM attempts WHERE attempt < 40")
            db.execute("DELETE FROM sums WHERE scope != ?", (kept,))
        db.close()
        before = booked_at(path, kept)
        assert repair(path) is not None
        assert before <= booked_at(path, kept)
        assert repair(path) is None


def booked_at(path: Path, scope: str) -> int:
    """What the sum of a scope says, whatever the others say."""
    with sqlite3.connect(path) as db:
        (charged, maybe) = db.execute("SELECT charged, maybe FROM sums WHERE scope = ?", (scope,)).fetchone()
    db.close()
    return int(charged) + int(maybe)


def test_a_repair_that_is_cut_off_is_finished_by_the_next(made: Path, tmp_path: Path) -> None:
    """Killed at each of its operations: the ledger is not used, and the next repair leaves the whole account."""
    left, over = 0, False
    while not over:
        path = tmp_path / str(left) / "ledger.sqlite"
        path.parent.mkdir()
        shutil.copy(made, path)
        with sqlite3.connect(path) as db:
            db.execute("UPDATE savings SET saved = '1'")
            db.execute("UPDATE attempts SET charge = '1' WHERE attempt = 3")
        db.close()
        disk = FailingDisk(links=True)
        disk.arm(left, DEATH)
        try:
            repair(path, disk=disk)
            over = True
        except Died:
            try:
                spent(path)
            except LedgerDamaged:
                assert repair(path) is not None
        assert (SPENT, True) == spent(path)
        left += 1
    assert left > 5


@pytest.mark.parametrize("links", [True, False])
def test_each_damaged_file_is_kept(made: Path, tmp_path: Path, *, links: bool) -> None:
    """None takes the place of one of before, whatever the ledger is called, and whether its disk has links or not."""
    path = tmp_path / "all of [2026].sqlite"
    shutil.copy(made, path)
    damaged = list[bytes]()
    for _ in range(2):
        with sqlite3.connect(path) as db:
            db.execute("UPDATE sums SET charged = '1'")
        db.close()
        damaged.append(path.read_bytes())
        found = repair(path, disk=FailingDisk(links=links))
        assert found is not None
        assert (f"{path.name}.damaged-{len(damaged)}",) == found.kept
    assert damaged == [path.with_name(f"{path.name}.damaged-{number}").read_bytes() for number in (1, 2)]


def test_only_a_damaged_ledger_is_repaired(made: Path, tmp_path: Path) -> None:
    """A whole one is left alone, one that is in use is not touched, under whatever name, and none is none."""
    path = tmp_path / "ledger.sqlite"
    shutil.copy(made, path)
    before = path.read_bytes()
    assert repair(path) is None
    assert before == path.read_bytes()
    link = tmp_path / "link.sqlite"
    link.symlink_to(path)
    with Ledger.open(path):
        for attempt in (repair, Ledger.open):
            with pytest.raises(LedgerInUse):
                attempt(link)
    with pytest.raises(LedgerError, match="no such file"):
        repair(tmp_path / "nothing.sqlite")


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A provider that answers at once."""
    with serving(ServerSettings(latency=Latency(0.0, 0.0))) as running:
        yield running


def test_folders_tell_what_a_ledger_lost(
    tmp_path: Path, sim: SimServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty ledger is rebuilt from the journals of its folders: the day's cap holds, and nothing counts twice."""
    monkeypatch.setenv("TEST_KEY", "test-key")
    batch = Command(tmp_path, sim, capsys)
    path = tmp_path / "ledger.sqlite"
    assert 0 == batch.run("--ledger", str(path))[0]
    due = int(Decimal(json.loads((batch.out / "summary.json").read_text())["cost_usd"]) * 10**12)
    path.write_bytes(b"")
    batch.rows(*({"prompt": f"cup {n}"} for n in range(12)))
    code, _, err = batch.run("--ledger", str(path), "--budget-day", str(Decimal(due) / 10**12))
    assert 2 == code
    assert "--repair" in err
    assert 0 == main(["cost", str(path), str(batch.out), "--repair", "--json"])
    told = capsys.readouterr()
    said = json.loads(told.out)
    names = ("damaged", "attempts", "added", "more_usd", "whole")
    assert (True, 0, 12, "0", False) == tuple(said[name] for name in names)
    assert "what else was booked in it is not known" in told.err
    assert (due, True) == spent(path)
    assert 0 == main(["cost", str(path), str(batch.out), "--json"])
    assert str(Decimal(due) / 10**12) in capsys.readouterr().out
    received = sim.stats()["received"]
    assert 3 == batch.run("--ledger", str(path), "--budget-day", str(Decimal(due) / 10**12))[0]
    assert received == sim.stats()["received"]
    assert 0 == main(["cost", str(path), "--repair"])
    assert "is whole: nothing was changed" in capsys.readouterr().err
