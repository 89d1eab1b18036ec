"""Calls that are larger than a bucket of which nobody tells: they go on in halves, and larger ones are tried later."""

from __future__ import annotations

from itertools import groupby
from random import Random
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from penstock.commands import Send
from penstock.engine.portions import FIRST, OFTEN
from penstock.ids import Handle
from penstock.simulation.server import Server, ServerLimits
from penstock.work import Demand, Work
from tests.field.admission import SILENT, Watched, config, goal, keys
from tests.histories.bench import CONFIG, Bench

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penstock.simulation.server import Admission, ServerSettings

FIVE = ServerLimits(ipm=300, burst=1 / 60)
"""A bucket of five pictures that refills five a second."""


class Sized(Watched):
    """A world that keeps how many pictures each request asked for, and whether it was let in."""

    def __init__(self, settings: ServerSettings) -> None:
        super().__init__(config(*keys(1)), Server(settings, rng=Random(3)))
        self.asked: list[tuple[int, bool]] = []

    def admit(self, send: Send, demand: Demand, identity: str, cost: int) -> Admission:
        """As any world, and it is kept."""
        found = super().admit(send, demand, identity, cost)
        self.asked.append((demand.images, not self.arrivals[-1].refused))
        return found


def many(sizes: Sequence[int]) -> list[Work]:
    """A job for so many pictures each."""
    return [
        Work((goal(*[f"{number}.{place}" for place in range(size)]),), Handle(number))
        for number, size in enumerate(sizes, 1)
    ]


@pytest.mark.parametrize("hints", [True, False])
@pytest.mark.parametrize("charged", [True, False])
def test_ten_pictures_pass_a_bucket_of_five_that_nobody_tells_of(hints: bool, charged: bool) -> None:
    """Asked for again as they are they would be refused for ever, whatever is said and whatever a refusal costs."""
    made = Sized(evolve(SILENT, limits=FIVE, hints=hints, charged_refusals=charged))
    made.run(many([10] * 4))
    assert 4 == made.ended()
    assert made.engine.snapshot().at_rest
    assert made.server.books.pictures == 40
    assert made.now < 120.0


def test_what_is_sent_later_is_no_larger() -> None:
    """The first call finds it out; the others are halved before they are sent, or where nothing was let in by then."""
    made = Sized(evolve(SILENT, limits=FIVE))
    made.run(many([10] * 2))
    made.asked.clear()
    made.run(many([10] * 2))
    assert {5} == {size for size, _ in made.asked}


def test_more_is_tried_after_some_time() -> None:
    """A provider that refused everything for a while is asked for all at once again, after calls that it let in."""
    made = Sized(evolve(SILENT, limits=FIVE))
    made.run(many([10]))
    made.server.set_limits("c1", ServerLimits(), made.now)
    made.asked.clear()
    for _ in range(FIRST):
        made.run(many([10]))
    sizes = [size for size, _ in made.asked]
    assert [5, 10] == [size for size, _ in groupby(sizes)]
    assert 1 + FIRST == made.ended()


def test_a_call_that_is_refused_now_and_then_stays_whole() -> None:
    """As long as what is asked for is let in sooner or later nothing is halved: a request more is a request more."""
    made = Sized(evolve(SILENT, limits=evolve(FIVE, ipm=60.0, burst=1 / 6)))
    made.run(many([4] * 12))
    assert any(not let_in for _, let_in in made.asked)
    assert {4} == {size for size, _ in made.asked}


def test_a_small_one_that_is_let_in_beside_it_does_not_hold_it_up_for_ever() -> None:
    """Whatever else passes, what is refused often enough goes on in halves."""
    made = Sized(evolve(SILENT, limits=FIVE))
    made.run(many([10, *[1] * 60]))
    assert 61 == made.ended()
    assert made.now < 60.0


def test_what_was_let_in_begins_to_count_anew() -> None:
    """A call that failed in between is no larger than what is let in: later refusals are the first of it again."""
    bench = Bench(evolve(CONFIG, patience=None))
    bench.ask("a", "b")
    for status in (429, 429, 429, 503, 429):
        send = bench.take(Send)
        assert 2 == send.samples
        bench.refuses(send, status, "rate_limit_exceeded" if status == 429 else None)
        while bench.none(Send):
            bench.at(bench.engine.next_deadline() or bench.now)
    assert 2 == bench.take(Send).samples


def test_what_cannot_be_split_is_asked_for_as_it_is() -> None:
    """A call of one picture, or one that is to be had at once, is never halved: its patience ends it."""
    made = Sized(evolve(SILENT, limits=FIVE))
    whole = Work((evolve(many([10])[0].targets[0], divisible=False),), Handle(1), deadline=60.0)
    made.run([whole])
    assert {10} == {size for size, _ in made.asked}
    assert len(made.asked) > OFTEN


@pytest.mark.parametrize("size", [3, 4])
def test_keys_for_which_all_of_it_was_too_large_take_a_half(size: int) -> None:
    """What several keys refused as more than they ever hold is halved, and goes to any of them again."""
    settings = evolve(SILENT, limits=evolve(FIVE, ipm=60.0), charged_refusals=True, hints=True, names=True)
    made = Watched(config(*keys(8)), Server(settings, rng=Random(3)))
    made.run(many([size] * 8))
    assert 8 == made.ended()
