"""Work that was put off: listed from the journal until somebody asks again, by a program or a batch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.config import Config, Retry
from penstock.entries import Deferred, Entry, Failed, Intent, Lane, Settled
from penstock.errors import JobError
from penstock.ids import AttemptId, CallId, JobId, Key
from penstock.outcomes import Outcome, Status, Trouble
from penstock.requests import ImageRequest, Options
from penstock.work import Purpose
from penstock_io.batch.keying import Keyed
from penstock_io.batch.plan import standing
from penstock_io.batch.results import line_of
from penstock_io.batch.rows import Row
from penstock_io.batch.run import Exit
from penstock_io.batch.settings import Choices
from penstock_io.batch.states import NEW
from penstock_io.batch.verdict import Standing
from penstock_io.cli.main import main
from penstock_io.journal import Account, Journal, Ticket
from penstock_io.simserver import SimServer, serving
from penstock_io.sync import Client
from tests.batching import FAST, folder_for, table

A, B = Key("a"), Key("b")


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A fast provider without limits."""
    with serving(FAST) as running:
        yield running


def attempt(journal: Journal, number: int, key: Key, at: float, *, fails: bool) -> list[Entry]:
    """One attempt at a picture, and how it ended."""
    lane, parts = Lane("key", "model"), ((JobId(number), (0,)),)
    begun = Intent(
        AttemptId(number), CallId(number), Purpose.GENERATE, "images.generate", lane, (key,), parts, (("run",),), 9, at
    )
    if fails:
        return [begun, Failed(AttemptId(number), "server_error", 0, at)]
    ref = journal.payloads.keep(b"\x89PNG\r\n\x1a\n" + key.encode())
    return [begun, Settled(AttemptId(number), (key,), (ref,), None, 5, at)]


def deferred(journal: Journal, *entries: Entry) -> list[tuple[int, int, tuple[Key, ...], str]]:
    """What is put off after these entries."""
    assert [None] * len(entries) == [written.fault for written in journal.append(entries)]
    return [(ticket.run, ticket.job, ticket.keys, ticket.reason) for ticket in journal.deferred()]


def test_a_ticket_lasts_until_somebody_asks_again(tmp_path: Path) -> None:
    """Also over runs; another job's pictures do not end it, and of a ticket for two one asked for is not enough."""
    with Journal.open(tmp_path / "out") as journal:
        first = attempt(journal, 1, A, 1.0, fails=True)
        assert [(1, 1, (A, B), "busy")] == deferred(journal, *first, Deferred(JobId(1), (A, B), "busy", 2.0))
    with Journal.open(tmp_path / "out") as journal:
        assert [(1, 1, (A, B), "busy")] == deferred(journal, *attempt(journal, 1, Key("else"), 3.0, fails=False))
        assert [(1, 1, (A, B), "busy")] == deferred(journal, *attempt(journal, 2, A, 4.0, fails=False))
        assert [] == deferred(journal, *attempt(journal, 3, B, 5.0, fails=True))


def test_work_that_is_put_off_again_has_one_ticket(tmp_path: Path) -> None:
    """The later one, whether it was put off in the same run or in the next, and whatever the clock says."""
    with Journal.open(tmp_path / "out") as journal:
        deferred(journal, *attempt(journal, 1, A, 10.0, fails=True), Deferred(JobId(1), (A,), "busy", 11.0))
        again = [*attempt(journal, 2, A, 12.0, fails=True), Deferred(JobId(2), (A,), "still busy", 13.0)]
        assert [(1, 2, (A,), "still busy")] == deferred(journal, *again)
    with Journal.open(tmp_path / "out") as journal:
        later = [*attempt(journal, 1, A, 5.0, fails=True), Deferred(JobId(1), (A,), "no", 6.0)]
        assert [(2, 1, (A,), "no")] == deferred(journal, *later)


def put_off(folder: Path, sim: SimServer) -> tuple[Ticket, ...]:
    """Ask for the picture of a row of `table`, and put it off."""
    sim.call(lambda server: server.inject("500"))
    config = Config(retry=Retry(attempts=1))
    with Journal.open(folder) as journal:
        with Client(sim.base_url, ["key"], journal=journal, config=config) as client, pytest.raises(JobError) as error:
            client.images.generate(
                prompt="kettle 0",
                model="gpt-image-2",
                size="1024x1024",
                quality="low",
                options=Options(defer=True),
            )
        assert Status.DEFERRED is error.value.outcome.status
        return journal.deferred()


def test_status_lists_what_was_put_off_and_the_next_run_takes_it_up(
    tmp_path: Path, sim: SimServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its reason and the next step; a batch of the folder that has such a row says so, and nothing is left."""
    folder = folder_for(tmp_path / "out", sim)
    (ticket,) = put_off(folder.path, sim)
    assert 0 == main(["status", str(folder.path)])
    said = capsys.readouterr().out
    assert "put off:  1 request, the first at 20" in said
    assert ticket.reason in said
    assert "ask again, with the same command or program: 1 request was put off" in said
    main(["status", str(folder.path), "--json"])
    (told,) = json.loads(capsys.readouterr().out)["deferred"]
    assert (1, ticket.job, 1, ticket.reason) == (told["run"], told["job"], told["pictures"], told["reason"])
    assert Exit.ALL == folder.run(table(2), choices=Choices(server=sim.base_url)).code
    assert "1 request that had been put off, taken up again" in folder.told
    main(["status", str(folder.path), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert ([], ["nothing: every row is done"]) == (told["deferred"], told["next"])


@pytest.mark.parametrize("kind", ["server_error", "moderation", "refused"])
def test_a_row_that_was_put_off_is_still_to_be_done(kind: str) -> None:
    """Whatever its trouble was: pending, and open for the next run."""
    request = ImageRequest(prompt="a", model="gpt-image-2")
    keyed = Keyed(Row("a", 0, 1, request, "c", {}), request, (A,), ("a",))
    ended = NEW.sent((1, JobId(1)), (A,), request).ended(Outcome(Status.DEFERRED, error=Trouble(kind, "no")), 1.0)
    assert "pending" == line_of(keyed, ended, Account()).status
    assert Standing.OPEN is standing(keyed, ended, Account())
