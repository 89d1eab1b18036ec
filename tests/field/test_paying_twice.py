"""Paying twice: time-outs sent again, retries that multiply, refusals tried everywhere, work resumed or asked twice."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from attrs import evolve

from penstock.config import Ambiguity, Config, Credential, Retry
from penstock.errors import Ambiguous, ContentRefused, JobError
from penstock.ids import Handle, JobId
from penstock.outcomes import Source, Status
from penstock.simulation.server import Latency
from penstock.work import OnAmbiguous, Timeouts, Work
from penstock_io.simserver import SimServer, serving
from penstock_io.stores.memory import MemoryStore
from tests.batch_command import Command, wait
from tests.field.worlds import (
    CONFIG,
    COST,
    QUICK,
    QUOTE,
    asked,
    client,
    inject,
    rested,
    target,
    wait_until,
    works,
    world,
)  # fmt: skip


@pytest.mark.parametrize(("mode", "sent"), [(OnAmbiguous.SKIP, 1), (OnAmbiguous.AUTO, 2)])
def test_a_read_timeout_sends_the_post_three_times(mode: OnAmbiguous, sent: int) -> None:
    """openai-python 3.54 sends a paid POST again for each time-out: ours never with skip, else once a job, and says so.

    lionagi 2393 and xagent 2513 are the same.
    """
    made = world(evolve(CONFIG, ambiguity=Ambiguity(mode)), "stall=1.0")
    made.run(works(1))
    (outcome,) = rested(made)
    assert (sent, sent) == (made.server.books.received, outcome.attempts)
    assert (Status.AMBIGUOUS, sent * QUOTE) == (outcome.status, outcome.maybe)
    assert made.server.books.billed == sent * COST <= outcome.maybe


@pytest.mark.parametrize(("mode", "sent"), [(OnAmbiguous.SKIP, 1), (OnAmbiguous.AUTO, 2)])
def test_a_read_timeout_sends_the_post_three_times_driver(
    driver: str, sim: SimServer, mode: OnAmbiguous, sent: int
) -> None:
    """openai-python 3.54, over HTTP: the time-out reaches no library's own retry."""
    inject(sim, *["stall"] * 4)
    with client(driver, sim, on_ambiguous=mode) as side:
        pending = side.start(**asked())
        for number in range(1, sent + 1):
            wait_until(partial(received, sim, number))
            side.pass_time(Timeouts().total)
        with pytest.raises(Ambiguous) as caught:
            pending.result()
    assert sent == sim.stats()["received"] == caught.value.outcome.attempts
    assert sim.stats()["billed"] <= caught.value.outcome.maybe


def received(sim: SimServer, count: int) -> bool:
    """Whether so many requests arrived."""
    return count == sim.stats()["received"]


def test_a_bad_day_is_resubmitted_hundreds_of_times() -> None:
    """ComfyUI PR 16204: 732 resubmissions in 7 days, 426 billed.

    Ours: on a day on which all replies are lost few pictures are asked for at all, and three an hour a second time.
    """
    made = world(CONFIG, "reset=1.0")
    made.run(works(1000))
    outcomes = rested(made)
    assert made.server.books.received < 300
    assert sum(max(0, outcome.attempts - 1) for outcome in outcomes) <= 3 * (1 + made.now // 3600)
    assert made.server.books.billed <= sum(outcome.maybe for outcome in outcomes)


@pytest.mark.parametrize("attempts", [1, 2, 4])
def test_retries_at_two_levels_multiply(attempts: int) -> None:
    """Litellm 34129: (1+N)^2 calls. Ours: as many as were said, all levels and keys together."""
    config = Config((Credential("c1"), Credential("c2"), Credential("c3")), retry=Retry(attempts=attempts))
    made = world(config, "500=1.0")
    made.run(works(1))
    assert [attempts] == [outcome.attempts for outcome in rested(made)]
    assert attempts == made.server.books.received


def test_retries_multiply_over_fallbacks() -> None:
    """Litellm 34129, down a chain: `Retry.most` bounds one picture's exchanges over all its targets."""
    config = evolve(CONFIG, retry=Retry(attempts=4, most=6))
    made = world(config, "500=1.0")
    made.run([Work(tuple(target("k", model=model) for model in ("m1", "m2", "m3")), Handle(1))])
    assert 6 == made.server.books.received == rested(made)[0].attempts


def test_retries_at_two_levels_multiply_driver(driver: str, sim: SimServer) -> None:
    """Litellm 34129, over HTTP: the library below does not try again on its own."""
    inject(sim, *["500"] * 9)
    config = Config(retry=Retry(attempts=3, base=0.005))
    with client(driver, sim, config=config) as side, pytest.raises(JobError) as caught:
        side.generate(**asked())
    assert 3 == sim.stats()["received"] == caught.value.outcome.attempts


def test_a_refused_picture_is_retried_over_every_account() -> None:
    """sub2api 3429: a refusal is taken for a 502 and goes through all accounts. Ours: one request, and it is final."""
    config = Config(tuple(Credential(f"c{number}") for number in range(5)))
    made = world(config, "moderation=1.0")
    made.run([Work((target("k"), target("k2", model="other")), Handle(1))])
    (outcome,) = rested(made)
    assert (1, Status.REFUSED, 0) == (made.server.books.received, outcome.status, outcome.maybe)


def test_a_refused_picture_is_retried_over_every_account_driver(driver: str, sim: SimServer) -> None:
    """sub2api 3429, over HTTP."""
    with client(driver, sim, api_keys=["sk-1", "sk-2", "sk-3"]) as side, pytest.raises(ContentRefused):
        side.generate(**asked("something forbidden"))
    assert 1 == sim.stats()["received"]


def test_two_ask_for_the_same_at_once_and_both_pay() -> None:
    """Two tasks ask for the same picture at the same moment: one call, one payer, the other shares."""
    made = world(evolve(CONFIG, store=True))
    for number in (1, 2):
        made.submit(Work((target("the same"),), Handle(number)))
    made.run()
    outcomes = rested(made)
    assert (1, COST) == (made.server.books.received, made.server.books.billed)
    assert [COST, 0] == [outcome.charge for outcome in outcomes]
    assert [Source.BOUGHT, Source.SHARED] == [outcome.pictures[0].source for outcome in outcomes]


def test_two_ask_for_the_same_at_once_and_both_pay_driver(driver: str, sim: SimServer) -> None:
    """The same, by two callers of one client."""
    with client(driver, sim, store=MemoryStore()) as side:
        sim.hold()
        waiting = [side.start(**asked()) for _ in range(4)]
        wait_until(lambda: side.snapshot().unfinished == 4)
        sim.release()
        results = [pending.result() for pending in waiting]
    assert 1 == sim.stats()["executed"]
    assert 1 == len({result.images[0].data for result in results})
    assert 3 == sum(result.cost == 0 for result in results)


def test_a_caller_who_left_while_it_is_paid_is_paid_again() -> None:
    """Curator 697: what was under way when its caller left is lost. Ours is finished, kept, and free for the next."""
    made = world(evolve(CONFIG, store=True))
    made.submit(Work((target("k"),), Handle(1)))
    made.run_until(0.01)
    made.cancel(JobId(1))
    made.run()
    made.submit(Work((target("k"),), Handle(2)))
    made.run()
    assert (1, Status.CACHED) == (made.server.books.executed, rested(made)[1].status)


@pytest.fixture
def slow() -> Iterator[SimServer]:
    """A provider whose pictures take different times."""
    with serving(evolve(QUICK, latency=Latency(0.05, 0.7))) as server:
        yield server


def test_a_resumed_batch_sends_again_what_was_paid(
    tmp_path: Path, slow: SimServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Curator 618 and 697, cookbook 456: after Ctrl-C each picture is bought once, rows in order."""
    monkeypatch.setenv("TEST_KEY", "test-key")
    command = Command(tmp_path, slow, capsys)
    slow.hold()
    process = command.start()
    command.out_with(4, process)
    os.kill(process.pid, signal.SIGINT)
    command.said("nothing new is sent", process)
    slow.release()
    code, _, said = wait(process)
    assert 130 == code, said
    there = len(list((command.out / "images").iterdir()))
    assert 4 == there == slow.stats()["executed"]
    assert 0 == command.run()[0]
    assert (12, {}) == (slow.stats()["executed"], slow.stats()["repeated"])
    lines = [json.loads(line) for line in (command.out / "results.jsonl").read_text().splitlines()]
    assert all(before["index"] < after["index"] for before, after in pairwise(lines))
    assert 0 == command.run()[0]
    assert 12 == slow.stats()["received"]


def test_a_failed_row_of_a_batch_buys_the_others_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Curator 618: rows that failed are tried again by the next run, and only they."""
    monkeypatch.setenv("TEST_KEY", "test-key")
    with serving(QUICK) as sim:
        command = Command(tmp_path, sim, capsys)
        command.rows(*({"prompt": f"{'forbidden' if number % 3 == 0 else 'kettle'} {number}"} for number in range(9)))
        assert 1 == command.run()[0]
        bought = sim.stats()["executed"]
        assert 1 == command.run()[0]
        assert 6 == bought == sim.stats()["executed"]
        assert {} == sim.stats()["repeated"]
