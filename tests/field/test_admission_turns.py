"""Turns: large beside small, one model beside another, one tenant beside another, and what a long line costs."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from attrs import evolve

from penstock.config import Config, Credential, Limits
from penstock.ids import Handle
from penstock.outcomes import Status
from penstock.simulation.server import Latency, ServerLimits, ServerSettings
from penstock.work import Demand, Priority, Work
from tests.field.admission import SILENT, Watched, config, give, goal, jobs, keys, refusals, watched

TOKENS = Limits(tpm=6000, burst=1 / 60, concurrency=None)
"""A hundred tokens a second, of which a hundred may be taken at once."""


def sent(made: Watched, job: int) -> float:
    """When a job was first sent."""
    return next(arrival.at for arrival in made.arrivals if arrival.job == job)


@pytest.mark.parametrize("small", [1, 5, 10])
def test_a_large_demand_starves_among_small_ones(small: int) -> None:
    """aiolimiter: one that needs 90 of 100 waits for ever while small ones take what comes. Ours: about its turn."""
    made = watched(config(*keys(1, TOKENS)), SILENT, ServerLimits(tpm=6000, burst=1 / 60))
    give(made, jobs(400 // small, demand=Demand(1, 1, small)))
    large = made.submit(Work((goal("large", demand=Demand(1, 1, 90)),), Handle(1000)))
    for number in range(40):
        give(made, jobs(50 // small, first=2000 + 50 * number, demand=Demand(1, 1, small)))
        made.run_until(made.now + 0.25)
    made.run()
    assert {Status.COMPLETED} == {outcome.status for outcome in made.outcomes.values()}
    assert sent(made, large) < (400 + 90 - 100) / 100 + 2.0


def test_one_model_waits_behind_another() -> None:
    """One queue for all: whoever asks for a model that has room stands behind a thousand of one that has none."""
    slow = Credential("c1", limits=Limits(rpm=6, burst=1 / 6, ceiling=True))
    made = watched(config(slow))
    give(made, jobs(200, model="slow"))
    other = made.submit(next(jobs(1, first=900, model="fast")))
    made.run_until(5.0)
    assert Status.COMPLETED is made.outcomes[other].status
    assert sent(made, other) < 0.1


@pytest.mark.parametrize(("first", "second"), [(Priority.BATCH, Priority.INTERACTIVE), (Priority.NORMAL,) * 2])
def test_who_comes_now_stands_behind_everything_that_waits(first: Priority, second: Priority) -> None:
    """A batch of 2,000 waits at 60 a minute; an interactive picture of another tenant goes within seconds."""
    made = watched(config(*keys(1, Limits(rpm=60, burst=1 / 60, ceiling=True))))
    give(made, (evolve(work, priority=first, tenant="batch") for work in jobs(2000)))
    made.run_until(30.0)
    now = made.submit(evolve(next(jobs(1, first=5000)), priority=second, tenant="person"))
    made.run_until(36.0)
    assert sent(made, now) <= 33.0


def test_a_batch_never_moves_under_a_flood() -> None:
    """Strict priorities: as long as interactive requests come, nothing else does. Ours: a hundredth at least."""
    made = watched(config(*keys(1, Limits(rpm=600, burst=1 / 60, ceiling=True))))
    give(made, (evolve(work, priority=Priority.BATCH) for work in jobs(20, first=9000)))
    number = 1
    while made.now < 300.0:
        give(made, (evolve(work, priority=Priority.INTERACTIVE) for work in jobs(15, first=number)))
        number += 15
        made.run_until(made.now + 1.0)
    batch = [arrival for arrival in made.arrivals if arrival.job <= 20]
    assert 20 == len(batch)


def test_the_first_tenant_takes_it_all() -> None:
    """First come, first served: who sends 1,000 is served for minutes before who sends 10. Ours take turns."""
    made = watched(evolve(config(*keys(1, Limits(rpm=120, burst=1 / 60, ceiling=True))), weights=(("paying", 2.0),)))
    give(made, (evolve(work, tenant="first") for work in jobs(1000)))
    made.run_until(20.0)
    late = give(made, (evolve(work, tenant="late") for work in jobs(10, first=2000)))
    paid = give(made, (evolve(work, tenant="paying") for work in jobs(20, first=3000)))
    made.run_until(43.0)
    assert all(Status.COMPLETED is made.outcomes[job].status for job in (*late, *paid))


def test_equals_overtake_each_other() -> None:
    """A line is a line: of one tenant's equal requests none goes before one that came earlier, whatever was refused."""
    made = watched(config(*keys(1, Limits(rpm=300, burst=1 / 60))), SILENT, ServerLimits(rpm=300, burst=1 / 60))
    give(made, jobs(200))
    made.run()
    order = [arrival.job for arrival in made.arrivals if not arrival.refused]
    late = sum(job < before for before, job in pairwise(order))
    assert 200 == made.ended()
    assert late <= refusals(made.server) + 200 * 0.03 * 5


@pytest.mark.parametrize("waiting", [200, 4000])
def test_every_waiter_is_woken_at_every_tick(waiting: int) -> None:
    """Aiolimiter 73: 1,000 who wait wake 1,000 times for one free place. Ours: a few steps a job."""
    made = watched(config(*keys(1, Limits(rpm=6000, burst=1 / 600, concurrency=16, ceiling=True))))
    give(made, jobs(waiting))
    before = made.steps
    made.run_until(30.0)
    done = made.ended()
    assert done >= min(waiting, 1000)
    assert made.steps - before <= 4 * done + 100


def test_nobody_is_woken_any_more() -> None:
    """Asynciolimiter 17: nothing is out, all wait for the limit, and nobody wakes them. Ours go on by themselves."""
    made = watched(config(*keys(1, Limits(rpm=2, burst=1 / 2, ceiling=True))))
    give(made, jobs(5))
    made.run()
    assert 5 == made.ended()
    assert 119.0 < made.now < 125.0


def test_a_flood_of_one_kind_of_limit_stops_the_other() -> None:
    """sub2api 3052, as people meet it: pictures at their limit, and text on the same key and quota goes on."""
    settings = ServerSettings(ServerLimits(ipm=5, rpm=600), Latency(0.3, 0.25), headers=False)
    one = Credential("c1")
    made = watched(config(one), settings)
    for number in range(40):
        target = evolve(goal(f"picture {number}", model="image"), pool="all")
        made.submit(Work((target,), Handle(number + 1)))
    made.run_until(5.0)
    text = []
    for number in range(20):
        target = evolve(goal(f"text {number}", model="text", demand=Demand(1, 0, 50)), pool="all")
        text.append(made.submit(Work((target,), Handle(100 + number))))
        made.run_until(made.now + 0.5)
    made.run_until(made.now + 2.0)
    assert all(Status.COMPLETED is made.outcomes[job].status for job in text)
    assert all(sent(made, job) < 5.0 + 0.5 * number + 1.0 for number, job in enumerate(text))
    assert Counter(arrival.refused for arrival in made.arrivals if arrival.model == "text") == {"": 20}


def test_ten_thousand_at_five_a_minute_are_no_fault() -> None:
    """A line that moves is waited in, also by who has no patience for a provider that asks to wait."""
    made = watched(Config(keys(1, Limits(rpm=5, burst=0.2)), patience=60.0), SILENT, ServerLimits(rpm=5))
    give(made, jobs(100))
    made.run_until(600.0)
    assert not [outcome for outcome in made.outcomes.values() if outcome.status is not Status.COMPLETED]
    assert 45 <= made.ended() <= 70
