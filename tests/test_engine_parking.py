"""Calls that wait for money: who has several pictures, a deadline, company, or leaves while they wait."""

from __future__ import annotations

import pytest
from attrs import evolve

from penstock.commands import Finish, ReadCache, Send
from penstock.config import Budget, Config, Credential, Limits
from penstock.events import Cancelled, Closed, Mode
from penstock.ids import JobId
from penstock.outcomes import Source, Status
from penstock.work import Priority, Work
from tests.histories.bench import QUOTE, Bench, target

CAP = 2 * QUOTE + QUOTE // 2


def bench(cap: int = CAP, *, store: bool = True) -> Bench:
    """Whoever has the tag may spend `cap` together, and waits for what comes back."""
    wide = (Credential("c1", "p", Limits(concurrency=50)),)
    return Bench(Config(wide, budget=Budget((("tag:x", cap),)), store=store, unproven=None))


def asks(one: Bench, keys: str, deadline: float | None = None, *, tags: tuple[str, ...] = ("x",)) -> JobId:
    """A job for these pictures, which are not stored."""
    job = one.submit(Work((target(*keys),), tags=tags, deadline=deadline))
    while not one.none(ReadCache):
        one.misses(one.take(ReadCache))
    return job


def waits(one: Bench, job: JobId) -> str:
    """For what."""
    return one.engine.explain(job).reason


def ends(one: Bench) -> dict[JobId, tuple[Status, int | None]]:
    """Who ended, how, and what it cost him."""
    found = {end.job: end.outcome for end in one.log if isinstance(end, Finish)}
    return {job: (outcome.status, outcome.charge) for job, outcome in found.items()}


def test_it_goes_whole_once_there_is_room() -> None:
    """Two pictures wait for what two others hold; what comes back is enough for both, in one call."""
    one = bench()
    first = asks(one, "ab")
    second = asks(one, "cd")
    assert "budget" == waits(one, second)
    one.pays(one.take(Send), 50)
    send = one.take(Send)
    assert (2, ((second, (0, 1)),)) == (send.samples, send.parts)
    one.pays(send, 200)
    assert {first: (Status.COMPLETED, 50), second: (Status.COMPLETED, 200)} == ends(one)
    assert one.rests()


def test_it_waits_on_where_too_little_comes_back_and_goes_in_parts_once_no_more_can() -> None:
    """One picture's money of two: as long as more may come back it waits, afterwards what fits is bought."""
    one = bench()
    first, second = asks(one, "a"), asks(one, "b")
    third = asks(one, "cd")
    one.pays(one.take(Send), 100)
    assert "budget" == waits(one, third)
    one.pays(one.take(Send), 50)
    send = one.take(Send)
    assert ((third, (0,)),) == send.parts
    one.pays(send, 100)
    assert {first: (Status.COMPLETED, 100), second: (Status.COMPLETED, 50), third: (Status.PARTIAL, 100)} == ends(one)
    assert one.rests()


@pytest.mark.parametrize("cost", [50, 200])
def test_a_deadline_ends_the_wait(cost: int) -> None:
    """All its pictures are given up at that moment; what comes back later buys none of them, whatever it is."""
    one = bench()
    first = asks(one, "ab")
    second = asks(one, "cd", 5.0)
    one.at(4.9)
    assert "budget" == waits(one, second)
    one.at(5.0)
    assert {second: (Status.EXPIRED, 0)} == ends(one)
    one.pays(one.take(Send), cost)
    assert one.none(Send)
    assert {first: (Status.COMPLETED, cost), second: (Status.EXPIRED, 0)} == ends(one)
    assert one.rests()


def test_a_deadline_of_one_lets_the_next_in_line_go() -> None:
    """Who stands behind in the same scope does not wait for who is gone."""
    one = bench()
    asks(one, "ab")
    asks(one, "cd", 5.0)
    third = asks(one, "ef")
    one.at(5.0)
    one.pays(one.take(Send), 10)
    assert ((third, (0, 1)),) == one.take(Send).parts


@pytest.mark.parametrize("how", ["leaves", "deadline"])
@pytest.mark.parametrize("others", ["", "y"])
def test_who_takes_over_the_payment_does_not_wait_for_money_that_is_not_his(how: str, others: str) -> None:
    """Who shares the pictures pays for them once the first is gone; his own books have room, so they go at once."""
    one = bench()
    asks(one, "ab")
    poor = asks(one, "cd", 5.0 if how == "deadline" else None)
    rich = asks(one, "cd", tags=(others,) if others else ())
    assert ["budget", "budget"] == [waits(one, job) for job in (poor, rich)]
    if how == "leaves":
        one.tell(Cancelled(poor))
    else:
        one.at(5.0)
    blocker = one.take(Send)
    send = one.take(Send)
    assert ((rich, (0, 1)),) == send.parts
    one.pays(send, 120)
    one.pays(blocker, 100)
    assert (Status.COMPLETED, 120) == ends(one)[rich]
    assert one.rests()


def test_part_of_it_passes_to_who_wants_part_of_it() -> None:
    """Of three pictures the other wants the last: the first two are given up with who leaves, the last is his."""
    one = bench()
    asks(one, "ab")
    poor, rich = asks(one, "cde"), asks(one, "e", tags=())
    one.tell(Cancelled(poor))
    blocker, send = one.take(Send), one.take(Send)
    assert ((rich, (0,)),) == send.parts
    one.pays(send, 60)
    one.pays(blocker, 60)
    assert (Status.COMPLETED, 60) == ends(one)[rich]
    assert one.rests()


def test_who_joins_with_money_does_not_pay_for_who_waits() -> None:
    """The first asker stays the payer: the other waits with him, and shares what is bought."""
    one = bench()
    asks(one, "ab")
    poor, rich = asks(one, "cd"), asks(one, "cd", tags=())
    assert 1 == sum(isinstance(command, Send) for command in one.log)
    one.pays(one.take(Send), 10)
    send = one.take(Send)
    assert ((poor, (0, 1)),) == send.parts
    one.pays(send, 120)
    assert {(Status.COMPLETED, 120), (Status.COMPLETED, 0)} == {ends(one)[job] for job in (poor, rich)}
    shown = next(end.outcome for end in one.log if isinstance(end, Finish) and end.job == rich)
    assert [Source.SHARED] * 2 == [picture.source for picture in shown.pictures]


@pytest.mark.parametrize("mode", [Mode.DRAIN, Mode.ABORT])
def test_closing_ends_the_wait(mode: Mode) -> None:
    """Nothing is sent of it, also where money comes back; nothing is held."""
    one = bench()
    asks(one, "ab")
    second = asks(one, "cd", 5.0)
    one.tell(Closed(mode))
    assert (Status.CANCELLED, 0) == ends(one)[second]
    one.pays(one.take(Send), 10)
    assert one.none(Send)
    assert one.rests()


def test_the_most_urgent_goes_first_where_all_wait_for_the_same() -> None:
    """Of two that wait for the same money whoever is more urgent is served first, whatever came first."""
    one = bench()
    asks(one, "ab")
    slow = one.submit(evolve(Work((target("c", "d"),), tags=("x",)), priority=Priority.BATCH))
    fast = one.submit(evolve(Work((target("e", "f"),), tags=("x",)), priority=Priority.INTERACTIVE))
    while not one.none(ReadCache):
        one.misses(one.take(ReadCache))
    one.pays(one.take(Send), 10)
    assert fast == one.take(Send).parts[0][0]
    assert "budget" == waits(one, slow)
