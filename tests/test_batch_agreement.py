"""A run whose rows are broken off, refused and made: whoever tells of it says the same, and the advice is true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve

from penstock.work import OnAmbiguous
from penstock_io.batch.keying import key_rows
from penstock_io.batch.plan import Plan, make_plan
from penstock_io.batch.rows import Rows
from penstock_io.batch.run import Exit
from penstock_io.batch.settings import Choices, Repeats
from penstock_io.batch.standing import look
from penstock_io.batch.states import FINAL, load_states
from penstock_io.journal import peek
from penstock_io.simserver import SimServer, serving
from tests.batching import FAST, Folder, folder_for, table

SKIP, RETRY = Choices(OnAmbiguous.SKIP), Choices(OnAmbiguous.RETRY)
BAD = evolve(FAST, faults=(("reset", 0.3), ("moderation", 0.4)))


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A fast provider without limits."""
    with serving(FAST) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, sim: SimServer) -> Folder:
    """An empty folder."""
    return folder_for(tmp_path / "out", sim)


def planned(folder: Folder, rows: Rows, choices: Choices) -> Plan:
    """What another run would do."""
    found = peek(folder.path)
    states = load_states(found.rows)
    keyed, _ = key_rows(rows, choices, budget=False, states=states, account=found.account)
    return make_plan(keyed, states, found.account, choices)


def agree(folder: Folder, rows: Rows) -> Counter[str]:
    """The rows by status, which the live figures, the results, the sums, a look and the next plan must all say."""
    lines, sums, last, standing = folder.lines(), folder.sums(), folder.listener.figures[-1], look(folder.path)
    counts = Counter(line["status"] for line in lines)
    assert dict(counts) == {name: sums[name] for name in standing.counts if sums[name]}
    assert dict(counts) == {name: number for name, number in standing.counts.items() if number}
    live = (last.done, last.failed, last.partial, last.ambiguous, last.in_flight)
    done = len(lines) - counts["pending"]
    assert (done, counts["failed"], counts["partial"], counts["ambiguous"], 0) == live
    assert last.total is None or last.done <= last.total
    final = [line for line in lines if line["error"] is not None and line["error"]["kind"] in FINAL]
    plan = planned(folder, rows, SKIP)
    assert (counts["completed"], len(final)) == (plan.done, plan.final)
    assert counts["ambiguous"] == plan.left
    assert plan.doubted == sum(bool(line["warnings"]) for line in final)
    again = {one.id for one in planned(folder, rows, RETRY).send}
    assert {line["id"] for line in lines if line["status"] == "ambiguous"} <= again
    assert again.isdisjoint(line["id"] for line in final)
    return counts


def test_all_that_is_said_of_a_bad_run_agrees(tmp_path: Path) -> None:
    """Run after run, with doubts that are tried again and refusals among them."""
    with serving(BAD) as sim:
        folder, rows = folder_for(tmp_path / "out", sim), table(60)
        folder.run(rows, choices=SKIP)
        first = agree(folder, rows)
        assert first["ambiguous"]
        folder.run(rows, choices=RETRY)
        second = agree(folder, rows)
        assert second["failed"] >= first["failed"]
        folder.run(rows, choices=RETRY)
        third = agree(folder, rows)
        doubted = planned(folder, rows, SKIP).doubted
        assert doubted
        steps = look(folder.path).steps
        assert any(f"--retry-failed --on-ambiguous retry: {doubted} row" in step for step in steps)
        sim.call(lambda server: server.set_faults(()))
        everything = Choices(OnAmbiguous.RETRY, retry_failed=True)
        assert Exit.ALL == folder.run(rows, choices=everything).code
        assert {"completed": 60} == dict(agree(folder, rows))
        assert third["completed"] < 60


def test_a_refusal_after_a_doubt_is_a_refusal_to_the_end(folder: Folder, sim: SimServer) -> None:
    """Reset, tried again, refused: its own error stands, and the doubt in the sums and a warning."""
    sim.call(lambda server: server.inject("reset", "moderation"))
    rows = table(1)
    assert Exit.SOME == folder.run(rows, choices=RETRY).code
    assert {"failed": 1} == dict(agree(folder, rows))
    (line,) = folder.lines()
    assert line["error"] is not None
    assert "moderation" == line["error"]["kind"]
    assert "may have been billed all the same (at most $" in "".join(line["warnings"])
    assert "0" != folder.sums()["maybe_billed_usd"]
    assert 0 == len(planned(folder, rows, RETRY).send)
    (step,) = look(folder.path).steps
    assert "--retry-failed --on-ambiguous retry: 1 row failed for good, and may have been billed before" in step


def test_the_pace_is_of_pictures_that_were_made(folder: Folder) -> None:
    """Twenty rows share one picture: it is made once, whatever the row counts say, live and in the sums alike."""
    folder.run(table(["the same"] * 20))
    last, sums = folder.listener.figures[-1], folder.sums()
    assert (20, 1) == (last.done, last.images)
    assert sums["images"] == 20
    pace = sums["images_per_minute"]
    assert isinstance(pace, float)
    assert pace == pytest.approx(last.pace, abs=0.001)
    before = len(folder.listener.figures)
    folder.run(table(["the same"] * 20))
    assert before == len(folder.listener.figures)  # nothing is sent, nothing is shown
    folder.run(table(["the same"] * 20), choices=Choices(repeats=Repeats.NEW))
    assert 19 == folder.listener.figures[-1].images


def test_a_row_whose_picture_another_one_bought_is_shown_it_by_the_same_run(folder: Folder) -> None:
    """It is paid: nothing has to be sent for it, and no other run is needed."""
    rows = table(["the same", "the same", "other"])
    assert Exit.ALL == folder.run(rows, choices=Choices(limit=1)).code
    assert {"completed": 2, "pending": 1} == dict(agree(folder, rows))
    assert (1, 2) == (folder.sums()["attempts"], folder.sums()["images"])


def test_attempts_are_requests_that_went_out(folder: Folder) -> None:
    """A connection that is refused is none: in the log, in the results and in the sums of all runs."""
    rows = table(1)
    assert Exit.HALTED == folder.run(rows, base_url="http://127.0.0.1:9/v1").code
    assert (0, 0) == (folder.lines()[0]["attempts"], folder.sums()["attempts"])
    assert any(text.startswith("row0: pending, 0 attempts, ") for text in folder.told)
    assert Exit.ALL == folder.run(rows).code
    assert (1, 1) == (folder.lines()[0]["attempts"], folder.sums()["attempts"])
    assert any(text.startswith("row0: completed, 1 attempt, ") for text in folder.told)


def test_rows_in_flight_and_done_are_never_more_than_all(tmp_path: Path) -> None:
    """At every moment: shared rows are in flight together, and what is held back by a limit is no part of it."""
    with serving(BAD) as sim:
        folder = folder_for(tmp_path / "out", sim)
        folder.run(table([f"{n // 2}" for n in range(60)]), choices=Choices(limit=40))
        figures = folder.listener.figures
        assert all(one.total is not None and one.done + one.in_flight <= one.total for one in figures)
        assert all(one.failed + one.partial + one.ambiguous + one.invalid <= one.done for one in figures)
        agree(folder, table([f"{n // 2}" for n in range(60)]))
