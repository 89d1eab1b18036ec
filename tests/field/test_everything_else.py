"""Everything else, as far as it is about money and retries: blocked accounts, errors inside a 200, keys in records."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from attrs import evolve

from penstock.commands import Finish, Send
from penstock.config import Ambiguity, Config, Credential
from penstock.errors import ContentRefused, CredentialRejected, JobError
from penstock.events import Event, Responded
from penstock.outcomes import Status
from penstock.readings import Malformed, Problem, Reading, Success, Usage
from penstock.simulation.server import Server
from penstock.simulation.world import World
from penstock.work import OnAmbiguous
from penstock_io.journal import Journal
from penstock_io.ledger import Ledger
from penstock_io.simserver import SimServer
from tests.field import worlds
from tests.field.worlds import KEY, asked, client, inject, request, rested, works
from tests.histories.bench import CONFIG, QUOTE, Bench

BLOCKS = (
    (400, "moderation_blocked", "The account associated with this API key has been deactivated."),
    (401, "account_deactivated", "no"),
    (403, "content_policy_violation", "Your organization has been suspended."),
    (403, "invalid_value", "IP not authorized for this project."),
)
"""What a provider says when the whole account is blocked: sometimes under the codes of a refused prompt."""


@pytest.mark.parametrize(("status", "code", "message"), BLOCKS)
def test_a_block_of_the_account_is_told_as_a_refused_prompt(status: int, code: str, message: str) -> None:
    """Pollinations 12446: users are told to change their prompt. Ours says it is the account.

    Another key, which may belong to another account, takes over.
    """
    bench = Bench()
    bench.ask("k1")
    bench.tell(Responded(bench.take(Send).attempt, status, (), Problem(code, None, message)))
    outcome = bench.take(Finish).outcome
    assert Status.FAILED is outcome.status
    assert outcome.error is not None
    assert "prompt" not in outcome.error.remedy
    bench.ask("k2")
    assert bench.none(Send)
    both = Bench(Config((Credential("c1", "p"), Credential("c2", "p"))))
    both.ask("k1")
    first = both.take(Send)
    both.tell(Responded(first.attempt, status, (), Problem(code, None, message)))
    second = both.take(Send)
    assert first.lane.credential != second.lane.credential
    both.pays(second)
    assert Status.COMPLETED is both.take(Finish).outcome.status


def test_a_revoked_key_is_told_as_a_refused_prompt_driver(driver: str, sim: SimServer) -> None:
    """Pollinations 12446, over HTTP: what the key is to blame for is no `ContentRefused`, and is asked once."""
    sim.call(lambda server: server.revoke(KEY))
    with client(driver, sim) as side, pytest.raises(CredentialRejected) as caught:
        side.generate(**asked())
    assert not isinstance(caught.value, ContentRefused)
    assert 1 == sim.stats()["received"]


INSIDE: tuple[Reading, ...] = (
    Problem("server_error", None, "something broke"),
    Problem(None, None, "no code at all"),
    Malformed("an event stream", "event: error"),
    Success(Usage(), ()),
    Success(None, ()),
)
"""What may stand in a 200 instead of a picture."""


@pytest.mark.parametrize("reading", INSIDE)
def test_a_200_that_carries_an_error_is_taken_for_a_picture(reading: Reading) -> None:
    """An error in SSE, or `respect_moderation: false` without a picture: never a success, never free."""
    bench = Bench(evolve(CONFIG, ambiguity=Ambiguity(OnAmbiguous.SKIP)))
    bench.ask("k")
    bench.tell(Responded(bench.take(Send).attempt, 200, (), reading))
    outcome = bench.take(Finish).outcome
    assert (Status.AMBIGUOUS, 0, QUOTE) == (outcome.status, outcome.charge, outcome.maybe)
    assert bench.none(Send)


@pytest.mark.parametrize("code", ["moderation_blocked", "content_policy_violation"])
def test_a_refusal_inside_a_200_is_retried(code: str) -> None:
    """A 200 that carries a moderation refusal: it is final, and what it may have cost is booked."""
    bench = Bench()
    bench.ask("k")
    problem = Problem(code, None, "not this", stage="output")
    bench.tell(Responded(bench.take(Send).attempt, 200, (), problem))
    outcome = bench.take(Finish).outcome
    assert (Status.REFUSED, QUOTE) == (outcome.status, outcome.maybe)
    assert bench.none(Send)


class Inside(World):
    """Every reply is a 200 with an error in it, and the picture is billed."""

    def reading(self, send: Send, cost: int) -> Problem:
        """As above."""
        del send, cost
        return Problem("server_error", None, "something broke")


def test_errors_inside_a_200_multiply_load() -> None:
    """A provider that answers every request so is asked ever more seldom, and three times again in an hour at most."""
    made = Inside(worlds.CONFIG, Server(rng=Random(1)), rng=Random(2))
    made.run(works(500))
    assert made.server.books.received < 200
    again = sum(max(0, outcome.attempts - 1) for outcome in rested(made))
    assert again <= 3
    money = made.engine.snapshot().money.total
    assert 0 == money.charged
    assert made.server.books.billed <= money.maybe


def test_keys_in_spend_records_driver(driver: str, sim: SimServer, tmp_path: Path) -> None:
    """Litellm 5762, 8075, 30670, 31620: keys in errors, logs and spend records. None in ours."""
    inject(sim, "", "500", "moderation", "reset")
    path = tmp_path / "ledger.sqlite"
    said: list[str] = []

    def told(event: Event, now: float) -> None:
        said.append(f"{now} {event!r}")

    with (
        Journal.open(tmp_path / "out") as journal,
        Ledger.open(path) as ledger,
        client(
            driver, sim, journal=journal, ledger=ledger, record_trace=lambda event, _: said.append(repr(event))
        ) as side,
    ):
        results = side.collect(request(f"kettle {number}") for number in range(6))
        said += [repr(result) for result in results] + [str(result.error) for result in results]
        said.append(repr(side.client))
    assert 6 == len(results)
    assert any(isinstance(result.error, JobError) for result in results)
    with closing(sqlite3.connect(path)) as books:
        tables = [name for (name,) in books.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        said += [repr(row) for name in tables for row in books.execute(f'SELECT * FROM "{name}"')]  # noqa: S608 - its own tables
    assert KEY not in json.dumps(said)
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or KEY.encode() not in file.read_bytes(), file
