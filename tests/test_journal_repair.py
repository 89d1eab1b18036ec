"""A journal that is damaged anywhere is not used, and is rebuilt."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis.strategies as st
import pytest
from attrs import frozen
from hypothesis import example, given, settings

from penstock.entries import Entry, Failed, Intent, Lane, Maybe, Published, Settled, Void
from penstock.ids import AttemptId, CallId, JobId, Key
from penstock.money.balances import Balance
from penstock.work import Purpose
from penstock_io.cli.main import main
from penstock_io.journal import Account, FolderInUse, Journal, JournalDamaged, JournalError, peek, repair
from tests.failing import DEATH, Died, FailingDisk

FILES = ("journal.sqlite", "journal.sqlite-wal", "journal.mirror")
BILL = 20 * 8 + 5
"""What the provider took of what `fill` does, an unended attempt of 10 and a doubtful one of 9 apart."""


def picture(number: int) -> bytes:
    """A picture of its own."""
    return b"\x89PNG\r\n\x1a\n" + f"picture {number} ".encode() * 3


def fill(journal: Journal) -> None:
    """Twenty pictures, the last five of which were not shown; a refusal, a failure, a doubt and an open attempt."""
    for begin in range(1, 25, 6):
        group: list[Entry] = []
        for number in range(begin, begin + 6):
            key, attempt, job = Key(f"key-{number}"), AttemptId(number), JobId(number)
            parts, lane = ((job, (0,)),), Lane("k", "m")
            group.append(
                Intent(attempt, CallId(number), Purpose.GENERATE, "op", lane, (key,), parts, (("run",),), 10, 1.0)
            )
            journal.put_row(f"row-{number}", json.dumps({"keys": [key], "said": "x" * 40 * number}))
        journal.append(group)
        for number in range(begin, begin + 6):
            end(journal, number)


def end(journal: Journal, number: int) -> None:
    """The end of one attempt."""
    key, attempt = Key(f"key-{number}"), AttemptId(number)
    match number:
        case 21:
            journal.append([Void(attempt, "not wanted", 2.0)])
        case 22:
            journal.append([Failed(attempt, "invalid", 5, 2.0)])
        case 23:
            journal.append([Maybe(attempt, "uncertain", 9, 2.0)])
        case 24:
            pass
        case _:
            ref = journal.payloads.keep(picture(number))
            (written,) = journal.append([Settled(attempt, (key,), (ref,), None, 8, 2.0)])
            if number <= 15:
                journal.name(JobId(number), {key: f"name-{number}"})
                journal.append([Published(JobId(number), (key,), written.files, 3.0)])
                journal.release(written.files)


@frozen
class Known:
    """What a journal says, whichever way it is opened."""

    account: Account
    total: Balance
    rows: dict[str, str]


def known(journal: Journal) -> Known:
    """What this one says."""
    return Known(journal.account(), journal.balances().total, journal.rows())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder that was closed, one whose process was killed, and one in which both happened."""
    home = tmp_path_factory.mktemp("made")
    with Journal.open(home / "closed") as journal:
        fill(journal)
        shutil.copytree(home / "closed", home / "killed")
    shutil.copytree(home / "closed", home / "both")
    with Journal.open(home / "both") as journal:
        journal.append([Failed(AttemptId(99), "invalid", 0, 2.0)])
        shutil.copytree(home / "both", home / "later")
    return {name: home / name for name in ("closed", "killed", "later")}


@pytest.fixture(scope="module")
def expected(made: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Known]:
    """What each says when nothing is wrong."""
    home = tmp_path_factory.mktemp("expected")
    said: dict[str, Known] = {}
    for name, folder in made.items():
        shutil.copytree(folder, home / name)
        with Journal.open(home / name) as journal:
            said[name] = known(journal)
    return said


def pictures_are_there(journal: Journal) -> None:
    """Every settled picture is found: it is not bought again."""
    for number in range(1, 21):
        found = journal.look_up(Key(f"key-{number}"))
        assert found is not None
        assert picture(number) == journal.payloads.read(found[1])


def opened_or_repaired(folder: Path) -> tuple[Known, bool]:
    """What a damaged folder says in the end, and whether it had to be repaired. Looking says the same as opening."""
    repaired = False
    try:
        peek(folder)
        seen = True
    except JournalDamaged:
        seen = False
    try:
        journal = Journal.open(folder)
    except JournalDamaged:
        assert repair(folder) is not None
        repaired = True
        journal = Journal.open(folder)
    assert seen is not repaired
    with journal:
        pictures_are_there(journal)
        return known(journal), repaired


@settings(max_examples=150)
@given(
    kind=st.sampled_from(["closed", "killed", "later"]),
    name=st.sampled_from(FILES),
    at=st.floats(0, 1, exclude_max=True),
    bits=st.integers(0, 255),
)
@example(kind="closed", name="journal.sqlite", at=0.0, bits=0)
@example(kind="killed", name="journal.sqlite", at=0.0, bits=0)
@example(kind="killed", name="journal.sqlite-wal", at=0.0, bits=0)
@example(kind="later", name="journal.sqlite-wal", at=0.999, bits=0)
def test_whatever_is_damaged_the_account_is_right(
    made: dict[str, Path], expected: dict[str, Known], kind: str, name: str, at: float, bits: int
) -> None:
    """A flipped byte, or a file cut off (bits 0): the folder has its account, or says so and is repaired."""
    with TemporaryDirectory(prefix="penstock-repair-") as home:
        folder = Path(home) / "out"
        shutil.copytree(made[kind], folder)
        path = folder / name
        if not path.exists() or not path.stat().st_size:
            return
        data = bytearray(path.read_bytes())
        place = int(at * len(data))
        if bits:
            data[place] ^= bits
        path.write_bytes(data if bits else data[:place])
        said, _ = opened_or_repaired(folder)
        assert expected[kind] == said


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_gone_is_missed(
    made: dict[str, Path], expected: dict[str, Known], tmp_path: Path, name: str
) -> None:
    """Without its database or its log a killed folder says so and is repaired whole; a mirror is made anew."""
    shutil.copytree(made["killed"], tmp_path / "out")
    (tmp_path / "out" / name).unlink()
    said, repaired = opened_or_repaired(tmp_path / "out")
    assert (expected["killed"], name != "journal.mirror") == (said, repaired)
    assert (tmp_path / "out" / "journal.mirror").stat().st_size > 1000


@pytest.mark.parametrize("left", ["results.jsonl", "summary.json"])
def test_results_without_a_journal_are_not_bought_again_unasked(
    made: dict[str, Path], tmp_path: Path, left: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nothing but results is left of a batch its journal is missed, and is repaired as one that lost all."""
    folder = tmp_path / "out"
    shutil.copytree(made["closed"], folder)
    for name in FILES:
        (folder / name).unlink(missing_ok=True)
    told = {
        "id": "row-1",
        "status": "completed",
        "cost_usd": "0.5",
        "maybe_billed_usd": "0.5",
        "attempts": 20,
        "runs": 1,
    }
    (folder / left).write_text(f"{json.dumps(told)}\n")
    for look in (Journal.open, peek):
        with pytest.raises(JournalDamaged, match="is missing"):
            look(folder)
    done = repair(folder)
    assert done is not None
    assert (False, ()) == (done.certain, done.kept)
    with Journal.open(folder) as journal:
        total = journal.balances().total
    assert total.unknown
    assert 0 == main(["status", str(folder)])
    said = capsys.readouterr().out
    assert "at most" not in said
    assert bool(total.maybe) == ("and at least" in said)


@pytest.mark.parametrize("half", [0.2, 0.5, 0.8])
def test_without_a_mirror_what_is_left_is_kept_and_the_rest_is_maybe(
    made: dict[str, Path], tmp_path: Path, half: float
) -> None:
    """Half a database and no mirror: held pictures are found by their names, and the books are not below the bill."""
    folder = tmp_path / "out"
    shutil.copytree(made["closed"], folder)
    (folder / "journal.mirror").unlink()
    data = (folder / "journal.sqlite").read_bytes()
    (folder / "journal.sqlite").write_bytes(data[: int(len(data) * half)])
    done = repair(folder)
    assert done is not None
    assert [data[: int(len(data) * half)]] == [(folder / name).read_bytes() for name in done.kept]
    with Journal.open(folder) as journal:
        total = journal.balances().total
        assert total.unknown or total.charged + total.maybe >= BILL + 9 + 10
    assert repair(folder) is None


def test_a_page_that_is_gone_costs_what_was_on_it(made: dict[str, Path], tmp_path: Path) -> None:
    """Attempts that nothing tells of any more are counted and booked as maybe billed, up to what they were quoted."""
    folder = tmp_path / "out"
    shutil.copytree(made["closed"], folder)
    (folder / "journal.mirror").unlink()
    with sqlite3.connect(folder / "journal.sqlite") as db:
        db.execute("DELETE FROM attempts WHERE attempt IN (3, 4, 23)")
        db.execute("UPDATE attempts SET charge = 1 WHERE attempt = 5")
    db.close()
    done = repair(folder)
    assert done is not None
    assert (4, 40, 0) == (done.missing, done.bound, done.unnamed)
    with Journal.open(folder) as journal:
        pictures_are_there(journal)
        assert Balance(charged=17 * 8 + 5, maybe=40 + 10) == journal.balances().total


def test_a_repair_that_is_cut_off_is_finished_by_the_next(
    made: dict[str, Path], expected: dict[str, Known], tmp_path: Path
) -> None:
    """Killed at each of its operations: the folder is not used, and the next repair leaves the whole account."""
    left, spent = 0, False
    while not spent:
        folder = tmp_path / str(left)
        shutil.copytree(made["killed"], folder)
        (folder / "journal.sqlite-wal").write_bytes(b"")
        disk = FailingDisk(links=True)
        disk.arm(left, DEATH)
        try:
            repair(folder, disk=disk)
            spent = True
        except Died:
            with suppress(JournalDamaged):
                Journal.open(folder).close()
        said, _ = opened_or_repaired(folder)
        assert expected["killed"] == said
        left += 1
    assert left > 8


def test_only_a_damaged_journal_is_repaired(made: dict[str, Path], tmp_path: Path) -> None:
    """A whole one is left alone, a folder without one is refused, and one that is in use is not touched."""
    shutil.copytree(made["killed"], tmp_path / "out")
    before = (tmp_path / "out" / "journal.sqlite-wal").read_bytes()
    assert repair(tmp_path / "out") is None
    assert before == (tmp_path / "out" / "journal.sqlite-wal").read_bytes()
    with pytest.raises(JournalError, match="holds no journal"):
        repair(tmp_path)
    with Journal.open(tmp_path / "out"), pytest.raises(FolderInUse):
        repair(tmp_path / "out")


def test_the_command_line_repairs(made: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`penstock batch --repair` needs no input, says what it did, and the damaged file is kept beside."""
    folder = tmp_path / "out"
    shutil.copytree(made["closed"], folder)
    with (folder / "journal.sqlite").open("r+b") as file:
        file.truncate(5000)
    assert 2 == main(["status", str(folder)])
    assert "--repair" in capsys.readouterr().err
    assert 0 == main(["batch", "--repair", "--out", str(folder), "--json"])
    told = capsys.readouterr()
    assert (True, 24, 20, 0) == tuple(
        json.loads(told.out)[name] for name in ("damaged", "attempts", "pictures", "missing")
    )
    assert "is rebuilt" in told.err
    assert 5000 == (folder / "journal.sqlite.damaged-1").stat().st_size
    assert 0 == main(["batch", "--repair", "--out", str(folder)])
    assert "is whole" in capsys.readouterr().err
