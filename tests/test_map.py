"""The reader's side of a `map` over threads: every result is read once, and the end comes after the last."""

from __future__ import annotations

from threading import Event, Thread
from typing import Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import events
from penstock.errors import UsageError
from penstock.events import Submitted
from penstock.ids import Handle, JobId
from penstock.outcomes import Outcome, Status
from penstock.requests import ImageRequest, Options
from penstock.work import Work
from penstock_io._ends import Done
from penstock_io._map import Port, Results
from penstock_io.refining import Make, SyncResult
from penstock_io.resources import Result
from tests.field.worlds import target

SOON = 100.0
"""Seconds after which whoever still waits is taken to wait for ever."""


class Remembered(int):
    """A job that the client's thread forgets only once it may: its second hash is asked to drop it."""

    def __new__(cls, number: int, _: Event) -> Self:
        """A number like any other."""
        return super().__new__(cls, number)

    def __init__(self, _: int, may: Event) -> None:
        self._may, self._hashes = may, 0

    def __hash__(self) -> int:
        self._hashes += 1
        if self._hashes > 1:
            self._may.wait(2 * SOON)
        return int.__hash__(self)


def asked(number: int) -> ImageRequest:
    """A request like no other."""
    return ImageRequest(prompt=f"kettle {number}", model="gpt-image-2")


def made(result: Result) -> SyncResult:
    """A result as a client gives it, but for edits."""

    def later(make: Make, options: Options) -> SyncResult:
        raise UsageError(f"nobody edits {make} with {options}")

    return SyncResult(result.request, result.outcome, result.images, result.error, result.index, later=later)


class Owner:
    """The client's side: it answers at once, on a thread for each job."""

    def __init__(self, appetite: int = 100) -> None:
        self.may_forget = Event()
        self.appetite = appetite
        self.threads: list[Thread] = []
        self._done: dict[int, tuple[Done, Result]] = {}

    def join(self, request: ImageRequest, options: Options, done: Done, index: int) -> Submitted:
        """Make ready."""
        del options
        self._done[index] = (done, Result(request, Outcome(Status.COMPLETED), index=index))
        return Submitted(JobId(Remembered(index, self.may_forget)), Work((target("a"),), Handle(index)))

    def post(self, event: events.Event) -> None:
        """End it."""
        if isinstance(event, Submitted):
            done, result = self._done[int(event.job)]
            thread = Thread(target=done, args=(result,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def results(self, count: int) -> Results:
        """A map over so many."""
        return Results(Port(self.join, self.post, lambda: self.appetite, made), map(asked, range(count)), Options())


@given(count=st.integers(0, 5), appetite=st.sampled_from((0, 100)))
def test_the_end_comes_though_a_job_is_not_yet_forgotten(count: int, appetite: int) -> None:
    """Between the last result and its job's being forgotten the reader asks for the next: there is none."""
    owner = Owner(appetite)
    read: list[int] = []
    reader = Thread(target=lambda: read.extend(result.index for result in owner.results(count)), daemon=True)
    reader.start()
    reader.join(SOON)
    owner.may_forget.set()
    for thread in owner.threads:
        thread.join(SOON)
    assert list(range(count)) == sorted(read)


def test_a_request_that_cannot_be_joined_leaves_nothing_to_wait_for() -> None:
    """A client that broke refuses each request: that is raised, and the iteration is over."""

    def refuse(*_: object) -> Submitted:
        raise UsageError("the client is broken")

    results = Results(Port(refuse, lambda _: None, lambda: 1, made), map(asked, range(1)), Options())
    with pytest.raises(UsageError, match="broken"):
        next(results)
    with pytest.raises(StopIteration):
        next(results)


def test_what_ended_before_the_client_was_left_is_read() -> None:
    """Another thread leaves the client while results wait to be read: they are read first, and then it is said."""
    owner, left = Owner(), Event()

    def appetite() -> int:
        if left.is_set():
            raise UsageError("the client was left")
        return 0 if len(owner.threads) == 2 else 1

    owner.may_forget.set()
    results = Results(Port(owner.join, owner.post, appetite, made), map(asked, range(9)), Options())
    first = next(results)
    for thread in owner.threads:
        thread.join(SOON)
    left.set()
    assert {0, 1} == {first.index, next(results).index}
