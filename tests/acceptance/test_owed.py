"""Pictures that were paid and named by URL outlive a kill of the whole batch: the next to open the folder fetches."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from threading import Event
from time import monotonic

import pytest

from penstock.config import Config
from penstock.errors import ProviderError
from penstock.requests import Options
from penstock.work import CachePolicy
from penstock_io.journal import Journal
from penstock_io.sync import Client
from tests.acceptance.desk import KEY, LOW, PATIENCE, Desk, check, ended, once, paid, prompts
from tests.acceptance.other_server import other_server
from tests.acceptance.pictures import picture
from tests.acceptance.witness import Habits, Witness

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills as Unix does")

ROWS = 9


@pytest.fixture
def witness() -> Iterator[Witness]:
    """A server that answers by URL, and keeps its pictures back until its gate is opened."""
    with other_server(KEY, habits=Habits(linked=True, revises=True)) as running:
        running.gate.clear()
        yield running
        running.gate.set()


@pytest.fixture
def desk(tmp_path: Path, witness: Witness) -> Desk:
    """A desk whose program talks to that server."""
    return Desk(tmp_path, witness.base_url)


def killed(desk: Desk, witness: Witness) -> None:
    """Run a batch, and kill it once it owes every picture."""
    rows = desk.write("rows.jsonl", prompts(ROWS))
    with desk.started("batch", rows, "--out", desk.out, *LOW) as process:
        until(lambda: due(desk.out) == ROWS <= len(witness.asked), process)
        process.kill()
        process.wait()


def until(there: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait for something that a program does."""
    pause, end = Event(), monotonic() + PATIENCE
    while not there():
        assert monotonic() < end
        if process.poll() is not None:
            raise AssertionError(f"it ended before: {ended(process)}")
        pause.wait(0.02)


def due(folder: Path) -> int:
    """How many pictures a journal says are due, be it that of a process at work."""
    try:
        with closing(sqlite3.connect(f"file:{folder / 'journal.sqlite'}?mode=ro", uri=True)) as db:
            (found,) = db.execute("SELECT count(*) FROM due").fetchone()
            return int(found)
    except sqlite3.OperationalError:
        return 0


def test_the_next_run_fetches_what_a_killed_one_owed(desk: Desk, witness: Witness) -> None:
    """Also where the next one is killed while it fetches: nothing is bought again, and the books are the bill.

    What the provider made of each prompt is in the results all the same.
    """
    killed(desk, witness)
    assert ROWS == len(witness.items)
    before = len(witness.asked)
    with desk.started("batch", desk.folder / "rows.jsonl", "--out", desk.out, *LOW) as process:
        until(lambda: len(witness.asked) > before, process)
        process.kill()
        process.wait()
    witness.gate.set()
    last = desk.batch(desk.folder / "rows.jsonl")
    assert 0 == last.code, last.err
    assert f"{ROWS} pictures that a run before had paid and not fetched: downloaded now" in last.err
    assert "cut off" not in last.err
    once(witness, prompts(ROWS))
    paid(desk, witness)
    check(desk, prompts(ROWS))
    revised = [f"{row['prompt']}, in oil" for row in prompts(ROWS)]
    assert revised == [one["revised_prompt"] for one in desk.results()]
    assert [] == witness.leaks
    assert "sig=" not in desk.texts()


def test_a_client_fetches_what_its_journal_owes(desk: Desk, witness: Witness) -> None:
    """Without a batch, too: before its first request, so that who asks for the picture again does not pay again."""
    killed(desk, witness)
    witness.gate.set()
    prompt = str(prompts(1)[0]["prompt"])
    with Journal.open(desk.out) as journal, Client(witness.base_url, [KEY], journal=journal) as client:
        assert ([], []) == (journal.due(), journal.orphans())
        result = client.images.generate(prompt=prompt, model="gpt-image-2", size="1024x1024", quality="low")
        assert picture("png", "1024x1024", prompt, 0) == result.images[0].data
        assert f"{prompt}, in oil" == result.images[0].revised_prompt
        total = journal.balances().total
        assert (witness.bill, 0) == (total.charged, total.maybe)
    assert ROWS == len(witness.items)


@pytest.mark.parametrize("killed_before", [True, False])
def test_what_cannot_be_downloaded_now_is_not_bought_again(desk: Desk, witness: Witness, killed_before: bool) -> None:
    """It is told, neither quoted nor bought, and comes as soon as it can be had; the books are the bill throughout."""
    rows, witness.hides = desk.write("rows.jsonl", prompts(ROWS)), True
    if killed_before:
        killed(desk, witness)
    witness.gate.set()
    for _ in range(2):
        assert 1 == desk.batch(rows).code
        errors = [one["error"] for one in desk.results()]
        assert ["owed"] * ROWS == [error["kind"] for error in errors if isinstance(error, dict)]
        paid(desk, witness)
    ran = desk.batch(rows, "--dry-run", "--json")
    told = json.loads(ran.out)
    assert (ROWS, 0, 0) == (told["owed"], told["send"], told["pictures"])
    witness.hides = False
    last = desk.batch(rows)
    assert 0 == last.code, last.err
    once(witness, prompts(ROWS))
    paid(desk, witness)
    check(desk, prompts(ROWS))
    assert "sig=" not in desk.texts()


def test_a_yes_buys_what_is_owed(desk: Desk, witness: Witness) -> None:
    """`--retry-failed` gives the old ones up, once they could not be had again: they stay charged."""
    witness.hides = True
    killed(desk, witness)
    witness.gate.set()
    last = desk.batch(desk.folder / "rows.jsonl", "--retry-failed")
    assert 1 == last.code
    assert f"{ROWS} pictures were paid and are lost" in last.err
    assert 2 * ROWS == len(witness.items)
    paid(desk, witness)
    witness.hides = False
    assert 0 == desk.batch(desk.folder / "rows.jsonl").code
    assert 2 * ROWS == len(witness.items)
    check(desk, prompts(ROWS))


def test_a_client_does_not_buy_what_is_due(desk: Desk, witness: Witness) -> None:
    """Neither what its journal owes nor what it could not download itself, unless it is asked for a new picture."""
    witness.gate.set()
    witness.hides = True
    options = Options()

    def ask(client: Client) -> str:
        with pytest.raises(ProviderError) as error:
            client.images.generate(prompt="a kettle", model="gpt-image-2", size="1024x1024", options=options)
        trouble = error.value.outcome.error
        return "" if trouble is None else trouble.kind

    with Journal.open(desk.out) as journal:
        for _ in range(2):
            with Client(witness.base_url, [KEY], journal=journal, config=Config(downloads=1)) as client:
                assert ["owed", "owed"] == [ask(client), ask(client)]
        assert (1, 1) == (len(witness.items), len(journal.due()))
        with Client(witness.base_url, [KEY], journal=journal, config=Config(downloads=1)) as client:
            options = Options(cache=CachePolicy.REFRESH)
            ask(client)
        assert 2 == len(witness.items)
