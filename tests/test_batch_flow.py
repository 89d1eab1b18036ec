"""Rows in flight and requests that went out, heard from what a client sends and what it hears of it."""

from __future__ import annotations

from penstock.commands import Send
from penstock.entries import Lane
from penstock.events import Failed, Fetched, Responded
from penstock.ids import AttemptId, CallId, Handle, JobId, Key, Ref
from penstock.readings import Kind, Part, Problem, Reached, Success
from penstock.work import Purpose, Timeouts
from penstock_io.batch.flow import Flow

ONE, TWO, THREE = (JobId(number) for number in (1, 2, 3))
A, B = Key("a"), Key("b")


def send(attempt: int, *parts: tuple[JobId, tuple[int, ...]], purpose: Purpose = Purpose.GENERATE) -> Send:
    """An exchange for these samples of jobs."""
    number = AttemptId(attempt)
    return Send(number, CallId(1), Handle(1), "images", purpose, Lane("k", "m"), 0, 1, parts, Timeouts())


def came(attempt: int, pictures: int = 1) -> Responded:
    """A reply with so many pictures."""
    parts = tuple(Part(place, Ref(f"{place}")) for place in range(pictures))
    return Responded(AttemptId(attempt), 200, (), Success(None, parts))


def flow_of(*jobs: tuple[JobId, tuple[Key, ...]]) -> Flow:
    """Rows that have been submitted."""
    flow = Flow()
    for job, keys in jobs:
        flow.begun(job, keys)
    return flow


def test_rows_that_want_the_same_are_in_flight_together() -> None:
    """A row waits until a request for one of its pictures is out, whoever pays for that."""
    flow = flow_of((ONE, (A,)), (TWO, (A,)), (THREE, (B,)))
    assert 0 == flow.rows
    flow.sent(send(1, (ONE, (0,))))
    assert 2 == flow.rows
    flow.heard(Responded(AttemptId(1), 500, (), Problem(message="busy")))
    assert 0 == flow.rows


def test_rows_that_are_saved_are_in_flight() -> None:
    """From the reply to the end of the job, also where the job that paid has ended before."""
    flow = flow_of((ONE, (A,)), (TWO, (A,)))
    flow.sent(send(1, (ONE, (0,))))
    flow.heard(came(1))
    assert 2 == flow.rows
    assert 1 == flow.over(ONE)
    assert 1 == flow.rows
    assert 0 == flow.over(TWO)
    assert 0 == flow.rows


def test_a_row_that_waits_for_its_second_picture_waits() -> None:
    """One of two has come, and the request for the other is not out: it is neither done nor in flight."""
    flow = flow_of((ONE, (A, B)))
    flow.sent(send(1, (ONE, (0, 1))))
    flow.heard(came(1))
    assert 0 == flow.rows
    flow.sent(send(2, (ONE, (1,))))
    assert 1 == flow.rows
    flow.heard(came(2))
    assert (1, 2) == (flow.rows, flow.over(ONE))


def test_two_requests_for_a_picture_are_both_awaited() -> None:
    """One of them failed, the other is out still."""
    flow = flow_of((ONE, (A,)))
    flow.sent(send(1, (ONE, (0,))))
    flow.sent(send(2, (ONE, (0,))))
    flow.heard(Failed(AttemptId(1), Kind.BROKEN, Reached.SENT))
    assert 1 == flow.rows
    flow.heard(Failed(AttemptId(2), Kind.BROKEN, Reached.SENT))
    assert (0, 2) == (flow.rows, flow.over(ONE))


def test_what_found_nobody_did_not_go_out() -> None:
    """A refused connection, or one that broke before the first byte left, is no attempt; nor is a download."""
    flow = flow_of((ONE, (A,)))
    for attempt, reached in enumerate((Reached.NOTHING, Reached.CONNECTED, Reached.SENT)):
        flow.sent(send(attempt, (ONE, (0,))))
        flow.heard(Failed(AttemptId(attempt), Kind.BROKEN, reached))
    flow.sent(send(9, (ONE, (0,)), purpose=Purpose.FETCH))
    flow.heard(Fetched(AttemptId(9), (Ref("f:x"),)))
    assert 1 == flow.over(ONE)


def test_what_is_not_known_of_is_passed_over() -> None:
    """Requests of others, and ends of what was not heard to begin."""
    flow = flow_of((ONE, (A,)))
    flow.sent(send(1, (TWO, (0,))))
    flow.heard(Failed(AttemptId(7), Kind.BROKEN, Reached.SENT))
    assert 0 == flow.rows


def test_a_payer_that_is_over_moves_nobody_else_s_picture() -> None:
    """A request's first picture is its first payer's, also when that one is over: the second one's did not come."""
    flow = flow_of((ONE, (A,)), (TWO, (B,)))
    flow.over(ONE)
    flow.sent(send(1, (ONE, (0,)), (TWO, (0,))))
    assert 1 == flow.rows
    flow.heard(came(1))
    assert 0 == flow.rows
    flow.sent(send(2, (ONE, (0,)), (TWO, (0,))))
    flow.heard(came(2, 2))
    assert 1 == flow.rows  # it is being saved
