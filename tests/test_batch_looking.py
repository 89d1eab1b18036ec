"""A look at a folder whose run is at work, is just over, or was killed: every row counts as what it is by then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve

from penstock.config import Limits
from penstock_io.batch.keying import key_rows
from penstock_io.batch.plan import make_plan
from penstock_io.batch.progress import Figures
from penstock_io.batch.rows import Rows
from penstock_io.batch.run import Exit, run_batch
from penstock_io.batch.settings import Choices
from penstock_io.batch.standing import FolderStanding, look
from penstock_io.batch.states import RUNS, Runs, dump_runs, load_states
from penstock_io.journal import Journal
from penstock_io.simserver import SimServer, serving
from tests.batching import FAST, Folder, Listening, folder_for, table

AGAIN = ["a", "b", "a", "a", "a", "new"]
"""Of these, two are there already, and three more cost nothing."""


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A fast provider without limits."""
    with serving(FAST) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, sim: SimServer) -> Folder:
    """A folder that has two rows."""
    found = folder_for(tmp_path / "out", sim)
    assert Exit.ALL == found.run(table(["a", "b"])).code
    return found


class Looking(Listening):
    """Looks at the folder whenever there are figures."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.seen: list[tuple[Figures, FolderStanding]] = []

    def update(self, figures: Figures) -> None:
        """Figures."""
        self.seen.append((figures, look(self.folder)))


def run_and_look(folder: Folder, rows: Rows) -> FolderStanding:
    """How it stands when all is written, and the folder not let go of."""
    with Journal.open(folder.path) as journal:
        states, account = load_states(journal.rows()), journal.account()
        keyed, _ = key_rows(rows, Choices(), budget=False, states=states, account=account)
        plan = make_plan(keyed, states, account, Choices())
        run_batch(folder.settings, plan, rows.invalid, journal, folder.listener)
        return look(folder.path)


def counted(standing: FolderStanding) -> dict[str, int]:
    """The rows by status."""
    return {status: number for status, number in standing.counts.items() if number}


def test_rows_that_cost_nothing_are_complete_from_the_start(folder: Folder) -> None:
    """They repeat what was paid: the look says with the live figures that only the other one is still to be done."""
    folder.listener = Looking(folder.path)
    folder.run(table(AGAIN))
    assert folder.listener.seen
    for figures, standing in folder.listener.seen:
        assert figures.done >= 5
        assert standing.counts["completed"] >= 5
        assert standing.out <= 1
        assert standing.total >= 5
        assert standing.images >= 5


def test_rows_that_cost_nothing_are_complete_after_a_kill(folder: Folder, sim: SimServer) -> None:
    """The next run has nothing to do for them, and the look says so: by what is remembered, for no line does."""
    results = (folder.path / "results.jsonl").read_bytes()
    sim.call(lambda server: server.inject("moderation"))
    assert Exit.SOME == folder.run(table(AGAIN)).code
    folder.sql("UPDATE rows SET state = ? WHERE row = ?", dump_runs(Runs(rows=6)), RUNS)
    (folder.path / "results.jsonl").write_bytes(results)
    standing = look(folder.path)
    assert ({"completed": 5, "failed": 1}, 0, 6) == (counted(standing), standing.out, standing.total)
    assert any("--retry-failed: 1 row failed for good" in step for step in standing.steps)


def test_all_is_as_the_results_say_before_the_folder_is_let_go_of(folder: Folder, sim: SimServer) -> None:
    """The lines of the run are gone by then, and nothing is in flight any more."""
    sim.call(lambda server: server.inject("moderation"))
    rows = table(["c", *AGAIN])
    other = beside(folder, "other")
    other.settings = evolve(other.settings, limits=Limits(concurrency=1))  # the first row is the one that is refused
    standing = run_and_look(other, rows)
    assert standing.holder is not None
    assert ({"completed": 6, "failed": 1}, 0) == (counted(standing), standing.out)


def beside(folder: Folder, name: str) -> Folder:
    """Another folder beside, with the same provider."""
    path = folder.path.with_name(name)
    other = Folder(path, folder.settings.base_url)
    other.settings = evolve(other.settings, folder=path)
    return other
