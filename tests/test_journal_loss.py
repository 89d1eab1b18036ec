"""A repair that could not read everything: what other files tell of is booked, and nothing is bought without a word."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings

from penstock.simulation.server import Latency, ServerSettings
from penstock_io.cli.main import main
from penstock_io.cli.repairing import told
from penstock_io.journal import UNSURE, JournalDamaged, peek, repair
from penstock_io.simserver import SimServer, serving
from tests.batch_command import Command

DATABASE, MIRROR = "journal.sqlite", "journal.mirror"


@pytest.fixture(scope="module")
def sim() -> Iterator[SimServer]:
    """A provider that answers at once."""
    with serving(ServerSettings(latency=Latency(0.0, 0.0))) as running:
        yield running


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, sim: SimServer) -> Path:
    """A folder of two runs: seven rows in the first one, five more in the second."""
    home = tmp_path_factory.mktemp("made")
    rows = home / "in.jsonl"
    rows.write_text("".join(json.dumps({"prompt": f"kettle {n}"}) + "\n" for n in range(12)))
    os.environ["TEST_KEY"] = "test-key"
    words = ["batch", str(rows), "--out", str(home / "out"), "--base-url", sim.base_url, "--model", "gpt-image-2"]
    words += ["--quality", "low", "--size", "1024x1024", "--api-key-env", "TEST_KEY", "-q"]
    assert 0 == main([*words, "--limit", "7"])
    assert 0 == main(words)
    return home / "out"


@pytest.fixture
def batch(tmp_path: Path, sim: SimServer, capsys: pytest.CaptureFixture[str]) -> Command:
    """The same batch, in a folder of its own."""
    return Command(tmp_path, sim, capsys)


def bill(folder: Path) -> int:
    """Picodollars that the sums of a whole folder say."""
    return int(Decimal(json.loads((folder / "summary.json").read_text())["cost_usd"]) * 10**12)


def hurt(path: Path, begin: float, end: float, junk: int) -> None:
    """Cut a file off at `begin` (junk -1), or write junk from there up to `end`."""
    data = path.read_bytes()
    first, last = sorted((int(begin * len(data)), int(end * len(data))))
    if junk < 0:
        path.write_bytes(data[:first])
    else:
        path.write_bytes(data[:first] + bytes([junk]) * (last - first) + data[last:])


place = st.floats(0, 1)
damage = st.tuples(place, place, st.integers(-1, 255))


@settings(max_examples=60, deadline=None)
@given(database=damage, mirror=damage, sums=st.booleans(), results=st.booleans())
@example(database=(0.0, 0.0, -1), mirror=(0.0, 0.0, -1), sums=True, results=True)
@example(database=(0.0, 0.0, -1), mirror=(0.0, 0.0, -1), sums=False, results=True)
@example(database=(0.0, 0.0, -1), mirror=(0.0, 0.0, -1), sums=False, results=False)
@example(database=(0.0, 1.0, 7), mirror=(0.5, 0.5, -1), sums=True, results=False)
@example(database=(0.3, 0.6, 7), mirror=(0.4, 0.6, 7), sums=True, results=True)
@example(database=(0.25, 0.375, 0), mirror=(1.0, 0.5, 0), sums=False, results=False)
def test_whatever_is_damaged_what_is_told_is_booked(
    made: Path,
    database: tuple[float, float, int],
    mirror: tuple[float, float, int],
    sums: bool,
    results: bool,
) -> None:
    """After a repair the books are not below the bill that the sums or the results tell; a loss is never certain."""
    with TemporaryDirectory(prefix="penstock-loss-") as home:
        folder = Path(home) / "out"
        shutil.copytree(made, folder)
        due = bill(folder)
        hurt(folder / DATABASE, *database)
        hurt(folder / MIRROR, *mirror)
        if not sums:
            (folder / "summary.json").unlink()
        if not results:
            (folder / "results.jsonl").unlink()
        found = repair(folder)
        after = peek(folder)
        total = after.balances.total
        assert not (sums or results) or total.charged + total.maybe >= due
        if found is None:
            assert (due, 12) == (total.charged, len(after.account.prices))
            return
        said = "\n".join(told(found, folder))
        assert "nothing was lost" not in said
        if len(after.account.prices) < 12 or total.charged + total.maybe < due:
            assert not found.certain or found.missing
        if len(after.account.prices) < 12:
            assert after.rows[UNSURE]
            assert "a rerun buys them again" in said
            assert total.unknown


def test_a_rerun_after_a_loss_needs_a_yes_and_keeps_to_the_budget(batch: Command) -> None:
    """Nothing that is there is bought again without a word; what was paid before counts in the budget of the folder."""
    os.environ["TEST_KEY"] = "test-key"
    assert 0 == batch.run()[0]
    before = batch.sim.stats()["received"]
    paid = bill(batch.out)
    (batch.out / DATABASE).write_bytes(b"junk")
    (batch.out / MIRROR).unlink()
    assert 0 == main(["batch", "--out", str(batch.out), "--repair"])
    err = batch.capsys.readouterr().err
    assert re.search(r"lost: what 12 pictures in \S+ were made for; 12 rows were complete with them", err)
    assert "what else was lost cannot be told" in err
    code, _, err = batch.run("--budget", "1")
    assert (2, before) == (code, batch.sim.stats()["received"])
    assert "12 pictures may have been paid already; nothing was sent: go on with --yes" in err
    code, _, err = batch.run("--budget", str(Decimal(paid) / 10**12), "--yes")
    assert (3, before) == (code, batch.sim.stats()["received"])
    assert 0 == batch.run("--budget", "1")[0]
    assert before + 12 == batch.sim.stats()["received"]


def test_rows_that_come_one_by_one_need_the_yes_too(batch: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Standard input is not read before somebody agreed."""
    monkeypatch.setenv("TEST_KEY", "test-key")
    assert 0 == batch.run()[0]
    (batch.out / DATABASE).write_bytes(b"junk")
    (batch.out / MIRROR).unlink()
    assert repair(batch.out) is not None
    code, _, err = batch.run(given="-")
    assert 2 == code
    assert "nothing was sent: go on with --yes" in err


def test_a_mirror_alone_is_enough(made: Path, tmp_path: Path) -> None:
    """With a whole mirror all is there again, no row of the journal's own is told as one, and no yes is needed."""
    folder = tmp_path / "out"
    shutil.copytree(made, folder)
    due = bill(folder)
    (folder / DATABASE).write_bytes(b"junk")
    with pytest.raises(JournalDamaged):
        peek(folder)
    found = repair(folder)
    assert found is not None
    assert (True, 0, 0, 12, 12, 12) == (
        found.certain,
        found.missing,
        found.strange,
        found.rows,
        found.attempts,
        found.pictures,
    )
    assert "all requests that were counted are there" in told(found, folder)
    after = peek(folder)
    assert (due, 0, 0) == (after.balances.total.charged, after.balances.total.maybe, after.balances.total.unknown)
    assert UNSURE not in after.rows


def test_pictures_that_a_clean_cut_took_along_are_missed(made: Path, tmp_path: Path) -> None:
    """A mirror that ends with a commit looks whole; the pictures in the folder say that it is not."""
    folder = tmp_path / "out"
    shutil.copytree(made, folder)
    for name in ("summary.json", "results.jsonl"):
        (folder / name).unlink()
    lines = (folder / MIRROR).read_bytes().splitlines(keepends=True)
    ends = [number for number, line in enumerate(lines) if b'["runs",' in line]
    (folder / MIRROR).write_bytes(b"".join(lines[: ends[len(ends) // 2] + 1]))
    (folder / DATABASE).write_bytes(b"junk")
    found = repair(folder)
    assert found is not None
    assert found.strange
    assert not found.certain
    assert peek(folder).balances.total.unknown
