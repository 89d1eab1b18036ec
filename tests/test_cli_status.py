"""`penstock status`: what it says of finished, interrupted and running folders, and that it only looks."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve

from penstock.config import Used
from penstock.entries import Intent, Lane
from penstock.ids import AttemptId, CallId, JobId, Key
from penstock.outcomes import Trouble
from penstock.requests import ImageRequest
from penstock.work import Purpose
from penstock_io.batch.records import Record
from penstock_io.batch.run import keep
from penstock_io.batch.standing import SAME, steps
from penstock_io.batch.states import NEW, RUNS, Runs, dump_runs, dump_state
from penstock_io.batch.watch import Watch
from penstock_io.batch.working import Batch
from penstock_io.cli.main import main
from penstock_io.journal import Journal
from penstock_io.simserver import SimServer, serving
from tests.batching import FAST, Folder, folder_for, table

REQUEST = ImageRequest(prompt="a", model="gpt-image-2")


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A fast provider without limits."""
    with serving(FAST) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, sim: SimServer) -> Folder:
    """An empty folder."""
    return folder_for(tmp_path / "out", sim)


def files(folder: Path) -> dict[str, bytes]:
    """All files with their bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def ended(folder: Folder, runs: Runs) -> None:
    """Remember a run that ended so; `code` None is what a killed one leaves."""
    with Journal.open(folder.path) as journal:
        journal.put_row(RUNS, dump_runs(runs))


def test_a_finished_folder_has_nothing_to_do(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows, pictures, money; the exit code is 0, and not a byte of the folder changes."""
    folder.run(table(3))
    before = files(folder.path)
    assert 0 == main(["status", str(folder.path)])
    said = capsys.readouterr()
    spent = Decimal(str(folder.sums()["cost_usd"]))
    assert [
        "state:    nobody is at work",
        "rows:     3 rows: 3 completed",
        "images:   3",
        f"spent:    ${spent:.4f}",
        "next:     nothing: every row is done",
    ] == said.out.splitlines()
    assert "" == said.err
    assert before == files(folder.path)


def test_json_is_one_object_with_exact_sums(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """The same for programs: money as decimal texts, as in summary.json."""
    folder.run(table(2))
    assert 0 == main(["status", str(folder.path), "--json"])
    sums = folder.sums()
    counts = {name: sums[name] for name in ("completed", "partial", "failed", "ambiguous", "invalid", "pending")}
    assert {
        "folder": str(folder.path),
        "running": False,
        "holder": None,
        "rows": {**counts, "out": 0},
        "total": 2,
        "images": 2,
        "cost_usd": sums["cost_usd"],
        "maybe_billed_usd": sums["maybe_billed_usd"],
        "last_run": {"exit_code": 0, "message": ""},
        "deferred": [],
        "next": ["nothing: every row is done"],
    } == json.loads(capsys.readouterr().out)


def test_a_run_out_of_budget_says_what_to_raise(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """The last run's message stands there, and the next step is the same command with more."""
    result = folder.run(table(5), budget=Decimal("0.013"))
    assert 3 == result.code
    main(["status", str(folder.path)])
    lines = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())
    pending = folder.statuses().count("pending")
    assert f"5 rows: {5 - pending} completed, {pending} pending" == lines["rows"].strip()
    assert f"exit code 3: {result.message}" == lines["last run"].strip()
    assert f"raise --budget and run the same command again: {pending} rows are pending" == lines["next"].strip()


def asked(journal: Journal, name: str, key: str, *, out: bool, run: int | None = None, status: str = "") -> None:
    """A row that a run has asked for; `out` says that its request has been sent."""
    number = int(name.removeprefix("row"))
    state = NEW.sent((journal.run if run is None else run, JobId(number)), (Key(key),), REQUEST)
    error = Trouble("server_error", "x") if status else None
    journal.put_row(name, dump_state(evolve(state, status=status, error=error)))
    if out:
        parts = ((JobId(number), (0,)),)
        lane = Lane("", "m")
        begun = (
            Intent(
                AttemptId(number), CallId(1), Purpose.GENERATE, "images", lane, (Key(key),), parts, (("run",),), 7, 0.0
            ),
        )
        journal.append(begun)


def rows_told(said: str) -> str:
    """The line of the rows."""
    return next(line for line in said.splitlines() if line.startswith("rows:")).removeprefix("rows:").strip()


def test_a_running_folder_names_who_is_at_work(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """While another holds it rows have ended, are in flight or wait: those that are saved are in flight, too."""
    folder.run(table(2))
    with Journal.open(folder.path) as journal:
        bought = str(folder.sql("SELECT key FROM pictures")[0][0])
        asked(journal, "row7", "k7", out=True)
        asked(journal, "row8", "k8", out=False)
        asked(journal, "row9", "k9", out=True)  # it has ended
        asked(journal, "row6", bought, out=False)  # its picture is here
        asked(journal, "row5", "k5", out=False, status="failed")  # its line is not written yet
        asked(journal, "row1", "k1", out=False)  # again, as something else
        asked(journal, "row4", "k4", out=False, run=1)  # an earlier run asked, and it is no longer in the input
        journal.put_row(RUNS, dump_runs(Runs()))
        journal.flush()
        part = json.dumps({"id": "row9", "index": 9, "status": "failed", "error": {"kind": "lost", "message": "x"}})
        (folder.path / "results.part.jsonl").write_text(f"{part}\n", encoding="utf-8")
        assert 0 == main(["status", str(folder.path)])
        said = capsys.readouterr().out
        assert 0 == main(["status", str(folder.path), "--json"])
    assert f"at work: process {os.getpid()} on " in said
    assert "7 rows so far: 1 completed, 2 failed, 2 in flight, 2 waiting to be sent" == rows_told(said)
    assert "next:     wait: " in said
    told = json.loads(capsys.readouterr().out)
    assert (True, 2, 2, 7) == (told["running"], told["rows"]["out"], told["rows"]["pending"], told["total"])
    assert told["last_run"]["exit_code"] is None


def test_a_running_folder_knows_how_many_rows_there_are(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """Those that were not asked for yet wait, too, and what failed before in a way that may pass is sent again."""
    folder.run(table(2))
    with Journal.open(folder.path) as journal:
        journal.put_row(RUNS, dump_runs(Runs(rows=10)))
        asked(journal, "row7", "k7", out=True)
        lines = folder.lines()
        for line, kind in zip(lines, ("server_error", "moderation"), strict=True):
            line["status"] = "failed"
            line["error"] = {"kind": kind, "message": "x", "status": None, "code": None, "request_id": None}
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder.path / "results.jsonl").write_text(text, encoding="utf-8")
        journal.flush()
        main(["status", str(folder.path)])
        main(["status", str(folder.path), "--json"])
    said, told = capsys.readouterr().out.split("{", 1)
    assert "10 rows: 1 failed, 1 in flight, 8 waiting to be sent" == rows_told(said)
    assert (10, 8, 1) == ((told := json.loads("{" + told))["total"], told["rows"]["pending"], told["rows"]["out"])


def test_what_was_in_flight_when_a_run_was_cut_off_is_told(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """It may be paid, and is not pending; a row that had not been sent is."""
    folder.run(table(1))
    with Journal.open(folder.path) as journal:
        asked(journal, "row7", "k7", out=True)
        asked(journal, "row8", "k8", out=False)
        journal.put_row(RUNS, dump_runs(Runs(rows=9)))
    main(["status", str(folder.path)])
    said = capsys.readouterr().out
    assert "9 rows: 1 completed, 1 in flight when the run was cut off, 7 pending" == rows_told(said)


def test_a_halted_folder_names_the_remedy(folder: Folder, sim: SimServer, capsys: pytest.CaptureFixture[str]) -> None:
    """What the halt said helps comes first, then the same command."""
    sim.call(lambda server: server.revoke("key-a"))
    assert 4 == folder.run(table(3)).code
    main(["status", str(folder.path)])
    said = capsys.readouterr().out
    assert "next:     put a valid key into A and run the same command again: 3 rows are pending" in said.splitlines()


def test_a_full_disk_is_no_run_that_was_cut_off(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """How the run ended is kept where there is room still, with what helps; the next run's end takes its place."""
    folder.run(table(2))
    ended(folder, Runs())
    journal = Journal.open(folder.path)
    batch = Batch(folder.settings, journal, folder.listener, {}, Watch(Runs(), 0.0), Used())
    journal._db.execute("PRAGMA query_only = ON")
    keep(journal, Runs(code=4, message="halted: it is full", remedy="make room on it", rows=3), batch)
    assert batch.halt is not None
    with pytest.raises(sqlite3.OperationalError):  # its last words find no room, either
        journal.close()
    assert 0 == main(["status", str(folder.path)])
    lines = capsys.readouterr().out.splitlines()
    assert "state:    nobody is at work" in lines
    assert "last run: exit code 4: halted: it is full" in lines
    assert "next:     make room on it and run the same command again: 1 row is pending" in lines
    with Journal.open(folder.path):
        main(["status", str(folder.path)])
        assert f"state:    at work: process {os.getpid()} on " in capsys.readouterr().out
    main(["status", str(folder.path)])
    assert "the last run was cut off" in capsys.readouterr().out


def test_half_a_note_is_none(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be read of it is as if it were not there."""
    folder.run(table(1))
    ended(folder, Runs())
    with Journal.open(folder.path) as journal:
        journal.note('{"code": 4, "mess')
    assert 0 == main(["status", str(folder.path)])
    assert "the last run was cut off" in capsys.readouterr().out


def test_a_folder_whose_run_was_killed_says_so(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody is at work and no end was recorded: the same command goes on."""
    folder.run(table(2))
    ended(folder, Runs())
    assert 0 == main(["status", str(folder.path)])
    said = capsys.readouterr().out
    assert "nobody is at work; the last run was cut off" in said
    assert "next:     run the same command again: the last run was cut off, it goes on where that stopped" in said


def test_a_message_drives_no_terminal(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """What a server said may be in it."""
    folder.run(table(1))
    ended(folder, Runs(code=4, message="halted: \x1b[2J\r\nno such model"))
    main(["status", str(folder.path)])
    assert r"last run: exit code 4: halted: \x1b[2J\x0d no such model" in capsys.readouterr().out.splitlines()
    main(["status", str(folder.path), "--json"])
    assert "halted: \x1b[2J\r\nno such model" == json.loads(capsys.readouterr().out)["last_run"]["message"]


@pytest.mark.parametrize("kind", ["gone", "file", "empty", "broken"])
def test_what_is_no_folder_of_a_batch_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    """No folder, a file, a folder without a journal, a journal that is none: said, and nothing is made."""
    path = tmp_path / "x"
    if kind == "file":
        path.write_text("x", encoding="utf-8")
    elif kind != "gone":
        path.mkdir()
    if kind == "broken":
        (path / "journal.sqlite").write_text("no database", encoding="utf-8")
    before = sorted(tmp_path.rglob("*"))
    assert 2 == main(["status", str(path)])
    assert capsys.readouterr().err.startswith(f"penstock: error: {path} ")
    assert 2 == main(["status", str(path), "--json"])
    assert "folder" == json.loads(capsys.readouterr().out)["error"]["kind"]
    assert before == sorted(tmp_path.rglob("*"))


def records(*kinds: str) -> list[Record]:
    """Rows of these statuses; what follows a slash is the kind of their error."""
    told = [kind.partition("/") for kind in kinds]
    return [Record(str(n), n, status, raw={"error": {"kind": kind}}) for n, (status, _, kind) in enumerate(told)]


@pytest.mark.parametrize(
    ("rows", "code", "remedy", "expected"),
    [
        (["completed"], 0, "", "nothing: every row is done"),
        (["pending", "pending"], 0, "", f"{SAME}: 2 rows are pending"),
        (["pending"], 3, "raise --budget", f"raise --budget and {SAME}: 1 row is pending"),
        (["pending"], 3, "raise --budget-day, or wait,", f"raise --budget-day, or wait, and {SAME}: 1 row is pending"),
        (["pending"], 4, "put a valid key into A", f"put a valid key into A and {SAME}: 1 row is pending"),
        (["pending"], 4, "top it up, or pay", f"top it up, or pay, and {SAME}: 1 row is pending"),
        (["completed"], 4, "make room on it", f"make room on it and {SAME}"),
        (["partial"], 1, "", f"{SAME}: 1 row is partial"),
        (["partial/moderation"], 1, "", f"{SAME} with --retry-failed: 1 row failed for good"),
        (["failed/server_error"], 1, "", f"{SAME}: 1 row failed in a way that may pass"),
        (["failed/moderation", "failed/lost"], 1, "", f"{SAME} with --retry-failed: 2 rows failed for good"),
        (["invalid"], 1, "", f"mend the input and {SAME}: 1 row is invalid"),
    ],
)
def test_the_next_step_follows_from_the_rows(rows: list[str], code: int, remedy: str, expected: str) -> None:
    """What the same command does by itself, and what it needs an option for."""
    assert [expected] == steps(records(*rows), None, Runs(code=code, remedy=remedy))


def test_rows_without_a_record_are_pending_too(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    """A disk that took no results any more has lines of some rows only: both figures count the others."""
    folder.run(table(2))
    ended(folder, Runs(code=4, message="halted", rows=7, remedy="make room on it"))
    main(["status", str(folder.path)])
    lines = capsys.readouterr().out.splitlines()
    assert "rows:     7 rows: 2 completed, 5 pending" in lines
    assert "next:     make room on it and run the same command again: 5 rows are pending" in lines


def test_all_steps_are_said_the_most_urgent_first() -> None:
    """Each cause has its own."""
    rows = records("failed/moderation", "pending", "invalid", "ambiguous", "partial", "failed/server_error")
    found = steps(rows, None, Runs(code=4))
    assert 6 == len(found)
    assert "pending" in found[0]
    assert "--on-ambiguous retry: 1 row may have been made and billed" in found[4]
    assert "cut off" in steps(rows, None, Runs())[0]
    assert ["wait"] == [step.partition(":")[0] for step in steps(rows, "process 1", Runs())]
