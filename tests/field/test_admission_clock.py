"""Clocks and days: time that jumps, buckets that overflow in the meantime, and limits of a day."""

from __future__ import annotations

from itertools import pairwise

import pytest
from attrs import evolve

from penstock.commands import Finish, Send
from penstock.config import Config, Credential, Limits
from penstock.outcomes import Status
from penstock.simulation.server import Latency, ServerLimits, ServerSettings
from tests.field.admission import SILENT, config, give, jobs, keys, refusals, watched
from tests.histories.bench import Bench

DAY = 86_400.0
NAMING = evolve(SILENT, names=True, hints=True)
SECOND = Limits(rpm=60, burst=1 / 60, ceiling=True)
"""One a second, one at once."""


def bench(limits: Limits = SECOND) -> Bench:
    """One key with these limits."""
    return Bench(Config((Credential("c1", "p", limits),), unproven=None))


def gone(one: Bench) -> int:
    """How many are sent just now, at the same moment or as soon as a step may follow the other."""
    count = 0
    while not one.none(Send):
        one.pays(one.take(Send))
        count += 1
    return count


def test_time_runs_backwards_and_the_bucket_with_it() -> None:
    """Langchain 24961, praw 341, ratelimit 11: the clock is set back, and the limiter waits as much longer, or bursts.

    Ours takes time that runs backwards for time that stands still: the next goes a second later, and only one.
    """
    one = bench()
    one.at(5000.0)
    for number in range(5):
        one.ask(f"k{number}")
    assert 1 == gone(one)
    one.at(1400.0)
    assert 0 == gone(one)
    one.at(5000.9)
    assert 0 == gone(one)
    one.at(5001.1)
    assert 1 == gone(one)


def test_a_bucket_overflows_while_nobody_asks() -> None:
    """A laptop that slept for a day has saved up nothing beyond its bucket: what wakes up floods nobody."""
    limits = Limits(rpm=60, burst=1 / 6, ceiling=True)
    made = watched(config(*keys(1, limits)), SILENT, ServerLimits(rpm=60, burst=1 / 6))
    give(made, jobs(5))
    made.run_until(DAY)
    give(made, jobs(60, first=100))
    made.run()
    assert (65, 0) == (made.ended(), refusals(made.server))
    assert made.now - DAY > 49.0


def test_a_sleep_in_the_middle_of_everything() -> None:
    """Time jumps by an hour while requests are out and others wait: what is out has timed out, nothing else is lost."""
    one = bench(Limits(rpm=60, burst=1 / 12, concurrency=4, ceiling=True))
    ids = [one.ask(f"k{number}") for number in range(12)]
    one.at(0.5)
    out = [one.take(Send) for _ in range(2)]
    one.at(3600.0)
    for send in out:
        one.breaks(send)
    for _ in range(400):
        if one.rests():
            break
        gone(one)
        one.at(one.now + 0.5)
    assert one.rests()
    finished = [command.job for command in one.log if isinstance(command, Finish)]
    assert sorted(ids) == sorted(finished)


def test_the_day_is_taken_for_a_minute() -> None:
    """VansRouter 56: a day's limit cools a key down for 60 s, and it is asked each minute until midnight.

    Ours is asked when it has something again, and everything is done when the day's limit allows it.
    """
    made = watched(config(*keys(1)), NAMING, ServerLimits(rpm=600, rpd=24))
    give(made, jobs(36))
    made.run()
    assert 36 == made.ended()
    assert made.now < 12 * DAY / 24 * 1.15
    assert refusals(made.server) <= 20


def test_a_key_that_has_something_left_is_shut_for_the_day() -> None:
    """one-balance 12: a day's refusal shuts a key for 24 hours, though it said when to come back. Ours comes then."""
    made = watched(config(*keys(1)), NAMING, ServerLimits(rpm=600, rpd=240, day_burst=1 / 24))
    give(made, jobs(20))
    made.run()
    assert 20 == made.ended()
    assert made.now < 10 * 360.0 * 1.15 + 10.0


def test_a_day_slows_the_minute_down() -> None:
    """A limit a day that is spread over its minutes leaves a client at a tenth of a request a minute: ours uses both.

    What is configured is a belief, so it is tried now and then whether there is more.
    """
    limits = Limits(rpm=60, rpd=200, burst=1 / 6)
    made = watched(config(*keys(1, limits)), NAMING, ServerLimits(rpm=60, rpd=200, burst=1 / 6))
    give(made, jobs(150))
    made.run()
    assert 150 == made.ended()
    assert refusals(made.server) <= 6
    assert made.now < 140 * 1.05 + 3.0


def test_headers_of_the_day_are_taken_for_the_minute() -> None:
    """Groq's request headers are of the day: taken for a minute's they allow 14,400 a minute where 60 are.

    Only refusals tell of the minute then; everything is done, and refusals are few.
    """
    limits = ServerLimits(rpm=60, rpd=14_400, burst=1 / 6)
    settings = ServerSettings(limits, Latency(0.3, 0.25), day_headers=True)
    made = watched(config(*keys(1)), settings)
    give(made, jobs(180))
    made.run()
    assert 180 == made.ended()
    assert made.now < 170 * 1.15 + 5.0
    assert refusals(made.server) <= 24


def test_a_service_sleeps_until_the_day_is_over() -> None:
    """Somebody waits in front of a screen for a limit that is back in an hour: ours says so at once, and how long."""
    made = watched(config(*keys(1), patience=60.0), NAMING, ServerLimits(rpm=600, rpd=24))
    give(made, jobs(24))
    made.run_until(60.0)
    give(made, jobs(1, first=100))
    made.run_until(70.0)
    outcome = made.outcomes[max(made.outcomes)]
    assert (24, Status.FAILED) == (made.ended(), outcome.status)
    assert outcome.error is not None
    assert "patience" == outcome.error.kind
    assert "59 min" in outcome.error.text or "1 h" in outcome.error.text


@pytest.mark.parametrize("days", [2, 3])
def test_the_second_day_begins_with_a_storm(days: int) -> None:
    """A day's bucket refills all day long: what is learned on the first day holds on the next, refused ever less."""
    made = watched(config(*keys(1)), NAMING, ServerLimits(rpm=600, rpd=48))
    give(made, jobs(48 * days))
    made.run()
    assert 48 * days == made.ended()
    counts = [sum(bool(one.refused) for one in made.arrivals if one.at // DAY == day) for day in range(days)]
    assert all(later <= max(8, before) for before, later in pairwise(counts))
    assert sum(counts) <= 12 * days
