"""What is said of a run while it goes on: each attempt in the log, rows by how they ended, and who is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve

from penstock.commands import LaneClosed, Send
from penstock.config import Limits
from penstock.engine import Waiting
from penstock.entries import Lane
from penstock.events import Failed, Fetched, Responded
from penstock.ids import AttemptId, CallId, Handle, JobId, Key
from penstock.readings import Kind, Problem, Reached
from penstock.simulation.server import Latency, ServerLimits, ServerSettings
from penstock.work import OnAmbiguous, Purpose, Timeouts
from penstock_io.batch.hearing import Hearing, ended_as, nobody, told_lane, told_next
from penstock_io.batch.run import Exit
from penstock_io.batch.settings import Choices
from penstock_io.simserver import SimServer, serving
from tests.batching import FAST, Folder, Listening, folder_for, meanwhile, table

BUSY = Problem(code="server_error", message="The server had an error.")
FULL = Problem(code="rate_limit_exceeded", message="Rate limit reached.")
NOBODY = "http://127.0.0.1:9/v1"
"""The discard port, where nobody listens."""


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A provider without limits."""
    with serving(FAST) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, sim: SimServer) -> Folder:
    """An empty folder, and one request at a time."""
    made = folder_for(tmp_path / "out", sim)
    made.concurrency = 1
    return made


def send(attempt: int, lane: Lane) -> Send:
    """An exchange for the first job."""
    parts = ((JobId(1), (0,)),)
    return Send(AttemptId(attempt), CallId(1), Handle(1), "images", Purpose.GENERATE, lane, 0, 1, parts, Timeouts())


def of_attempts(folder: Folder) -> list[str]:
    """What was said of attempts, without the seconds that chance chose."""
    return [re.sub(r"in \d+\.\d s", "in a while", text) for text in folder.told if ": attempt " in text]


# Attempts


def test_each_failed_attempt_is_told_with_what_comes_next(folder: Folder, sim: SimServer) -> None:
    """Row, number, key, model, what was said and the wait; then the try that follows, and how the row ended."""
    sim.call(lambda server: server.inject("500", "503"))
    assert Exit.ALL == folder.run(table(1)).code
    going, first, second, third, fourth = of_attempts(folder)
    assert "row0: attempt 1 goes out with A for gpt-image-2" == going
    assert first.startswith("row0: attempt 1 with A for gpt-image-2 failed (500): ")
    assert first.endswith("; it is tried again in a while")
    assert "row0: attempt 2 goes out with A for gpt-image-2" == second
    assert third.startswith("row0: attempt 2 with A for gpt-image-2 failed (503): ")
    assert "row0: attempt 3 goes out with A for gpt-image-2" == fourth
    assert any(text.startswith("row0: completed, 3 attempts, ") for text in folder.told)


def test_a_doubt_is_told_as_one(folder: Folder, sim: SimServer) -> None:
    """An attempt that may have run is said to have, and nothing comes next where it is not tried again."""
    sim.call(lambda server: server.inject("reset"))
    assert Exit.SOME == folder.run(table(1), choices=Choices(on_ambiguous=OnAmbiguous.SKIP)).code
    _, told = of_attempts(folder)
    assert told.startswith("row0: attempt 1 with A for gpt-image-2 may have been executed and billed: ")
    assert "tried again" not in told


def test_a_refusal_is_told_with_what_is_waited_for(tmp_path: Path) -> None:
    """A rate limit that is reached refuses; the line says so, and that the row goes out again."""
    with serving(ServerSettings(limits=ServerLimits(ipm=240, burst=1 / 240), latency=Latency(0.01, 0.0))) as sim:
        folder = folder_for(tmp_path / "out", sim)
        folder.limits = Limits()

        def answer() -> None:
            assert sim.wait(lambda stats: stats["rejected"] != {})
            sim.release()

        sim.hold()  # nothing refills before one is refused
        with meanwhile(answer):
            assert Exit.ALL == folder.run(table(4)).code
    refused = [text for text in of_attempts(folder) if " was refused (429): " in text]
    assert refused
    assert all("; it is tried again" in text for text in refused)


@pytest.mark.parametrize(
    ("event", "aborting", "said"),
    [
        (Responded(AttemptId(1), 500, (), BUSY), False, "failed (500): The server had an error"),
        (Responded(AttemptId(1), 429, (), FULL), False, "was refused (429): Rate limit reached"),
        (
            Failed(AttemptId(1), Kind.CONNECT, Reached.NOTHING, "127.0.0.1:9: Connection refused"),
            False,
            "failed: no connection to the provider: 127.0.0.1:9: Connection refused",
        ),
        (
            Failed(AttemptId(1), Kind.ABORTED, Reached.SENT),
            False,
            "may have been executed and billed: the time was over before the answer began",
        ),
    ],
)
def test_how_an_attempt_ended(event: Responded | Failed, aborting: bool, said: str) -> None:
    """In the provider's or the system's words; broken off by nobody here, it took too long."""
    assert said == ended_as(event, aborting=aborting)


def test_what_comes_after_an_attempt() -> None:
    """Another try and when, or what it waits for first; nothing where the row's end says it."""
    limit = Waiting("quota", "images of 3f2a3f2a3f2a:KEY_A", 103.0)
    assert [
        "; it is tried again in 1.5 s",
        "; it is tried again after waiting for images a minute of KEY_A for m, 3 s",
        "",
    ] == [told_next(one, "m", 100.0) for one in (Waiting("retry", "busy", 101.5), limit, Waiting("done"))]
    assert "KEY_A for m" == told_lane(Lane("3f2a3f2a3f2a:KEY_A", "m"))


# Figures


def test_a_rerun_counts_what_ended_before(folder: Folder, sim: SimServer) -> None:
    """Rows that stay failed are counted as failed from the first figures on, as they are counted as done."""
    folder.concurrency = 8
    prompts = ["forbidden fruit", *(f"kettle {n}" for n in range(3))]
    folder.run(table(prompts))
    folder.listener.figures.clear()
    sim.call(lambda server: server.inject("moderation"))
    folder.run(table([*prompts, "one more"]))
    first, last = folder.listener.figures[0], folder.listener.figures[-1]
    assert (5, 4, 1) == (first.total, first.done, first.failed)
    assert (5, 5, 2) == (last.total, last.done, last.failed)


@pytest.mark.parametrize(
    ("failed", "said"),
    [
        (Failed(AttemptId(1), Kind.CONNECT, Reached.NOTHING, "h:9: Connection refused"), "h:9: Connection refused"),
        (Failed(AttemptId(1), Kind.TIMEOUT, Reached.NOTHING, "h:9"), "h:9: the time was over while it connected"),
        (Failed(AttemptId(1), Kind.DNS, Reached.NOTHING, "h:9"), "h:9: the provider's name could not be looked up"),
        (Failed(AttemptId(1), Kind.CONNECT, Reached.NOTHING), "nobody answers"),
    ],
)
def test_why_nobody_is_there_is_said_whatever_the_system_says(failed: Failed, said: str) -> None:
    """What the system said of an address, or else how it ended: an address alone is no reason."""
    assert said == nobody(failed)


def test_a_provider_that_is_not_there_is_waited_for_by_name(folder: Folder) -> None:
    """While nobody answers, the figures say whom nobody could reach and why."""
    folder.concurrency = 2
    assert Exit.HALTED == folder.run(table(4), base_url=NOBODY).code
    assert any(one.waiting == "the provider (127.0.0.1:9: Connection refused)" for one in folder.listener.figures)
    assert any(": attempt 1 with A for gpt-image-2 failed: " in text for text in folder.told)


# What may be paid


def test_what_is_out_where_everything_is_refused_cannot_be_paid() -> None:
    """A request on a key that was refused meanwhile is no reason to wait; one on another key is, and a download."""
    hearing = Hearing(Listening())
    hearing.begun(JobId(1), "row0", (Key("k"),))
    seen = [hearing.payable]
    for number, name in enumerate(("a", "b")):
        hearing.sent(send(number, Lane(name, "m")))
    seen.append(hearing.payable)
    for name in ("a", "b"):
        hearing.noticed(LaneClosed(Lane(name, "m"), "quota_exhausted", "it is used up"))
        seen.append(hearing.payable)
    hearing.sent(evolve(send(2, Lane("", "")), purpose=Purpose.FETCH))
    seen.append(hearing.payable)
    assert [False, True, True, False, True] == seen
    hearing.heard(Fetched(AttemptId(2)), aborting=False)
    hearing.sent(send(3, Lane("a", "m")))  # somebody has paid
    assert hearing.payable


def test_where_nobody_is_there_nothing_is_said_to_be_paid(folder: Folder) -> None:
    """Requests that are still looking for somebody are awaited, too, but not because of money."""
    folder.concurrency = 8
    assert Exit.HALTED == folder.run(table(20), base_url=NOBODY).code
    assert not [text for text in folder.told if "paid" in text]
