"""Waits: what a provider asks for is kept and not more, and who waited does not come all at once."""

from __future__ import annotations

import pytest
from attrs import evolve

from penstock.commands import Finish, Send
from penstock.config import Config, Credential, Limits
from penstock.events import Responded
from penstock.outcomes import Status
from penstock.readings import Problem
from penstock.simulation.server import ServerLimits
from tests.field.admission import SILENT, Watched, busiest, config, give, jobs, keys, refusals, watched
from tests.histories.bench import Bench

EPOCH = 1_790_000_000
"""The Unix time at which a bench begins."""

HINTING = evolve(SILENT, hints=True)
"""A provider that says when to come back, and nothing else."""


def alone() -> Bench:
    """A bench with one key for eight exchanges at a time, and patience without end."""
    return Bench(Config((Credential("c1", "p", Limits(concurrency=8)),), patience=None, unproven=None))


def refuse(bench: Bench, send: Send, *headers: tuple[str, str]) -> None:
    """A refusal that names no limit, with these headers."""
    bench.tell(Responded(send.attempt, 429, headers, Problem("rate_limit_exceeded", None, "slower")))


def until_sent(bench: Bench, most: float) -> Send:
    """Let time pass until something is sent."""
    while bench.none(Send):
        at = bench.engine.next_deadline()
        assert at is not None
        assert at <= most, f"nothing before {at}"
        bench.at(at)
    return bench.take(Send)


def test_every_retry_after_pushes_the_horizon_out() -> None:
    """inspect_ai 5137, limits 28: each refusal of what was out together adds its wait. Ours: they are one event."""
    bench = alone()
    for number in range(8):
        bench.ask(f"k{number}")
    sends = [until_sent(bench, 3.0) for _ in range(8)]
    for number, send in enumerate(sends):
        bench.at(3.0 + 0.1 * number)
        refuse(bench, send, ("retry-after", "5"))
    until_sent(bench, 10.0)
    assert 8.0 <= bench.now


def test_a_provider_that_asked_for_minutes_is_never_fast_again() -> None:
    """inspect_ai 5137, to its end: slow for a minute, then there is plenty, of which nobody tells.

    Ours tries more each time that it goes well: a hundred times as much is found within two minutes.
    """
    made = watched(config(*keys(1)), HINTING, ServerLimits(rpm=30, burst=1 / 6))
    ids = give(made, jobs(600))
    made.run_until(60.0)
    before = len(made.outcomes)
    made.server.set_limits("c1", ServerLimits(rpm=3000, burst=1 / 6), made.now)
    made.run()
    assert before < 40
    assert len(ids) == made.ended()
    assert made.now < 60.0 + 150.0


def test_all_who_waited_come_at_once() -> None:
    """Pdpyras 20, orch 331: when the wait is over everybody is sent again. Ours come one by one, few in vain."""
    made = watched(config(*keys(1)), HINTING, ServerLimits(rpm=120, burst=1 / 12))
    give(made, jobs(240))
    made.run()
    assert 240 == made.ended()
    assert refusals(made.server) <= 24
    waited = [arrival for arrival in made.arrivals if arrival.at > 5.0]
    assert busiest(waited, 0.1) <= 5


def test_a_switch_of_keys_floods_the_next_one() -> None:
    """Teamclaude 84: when a key is used up all that waited falls upon the next, and throttles it at once."""
    made = watched(config(*keys(2)), evolve(SILENT, names=True, hints=True), ServerLimits(rpm=120, burst=1 / 12))
    made.server.set_limits("c1", ServerLimits(rpm=6000), 0.0)
    give(made, jobs(300))
    made.run_until(1.5)
    made.server.revoke("c1")
    made.run()
    assert 300 == made.ended()
    second = [arrival for arrival in made.arrivals if arrival.key == "c2"]
    assert sum(bool(arrival.refused) for arrival in second) <= 12
    assert sum(arrival.refused == "credential" for arrival in made.arrivals) <= 8


@pytest.mark.parametrize("burst", [1 / 60, 0.1])
@pytest.mark.parametrize("late", [0.0, 0.2])
def test_a_wait_that_forgets_its_own_cost_is_obeyed_for_ever(burst: float, late: float) -> None:
    """Come back when told, be refused, pay for that, and so on: nothing ever goes through again. Ours does all."""
    settings = evolve(HINTING, charged_refusals=True, refusal_spread=late)
    made = watched(config(*keys(1)), settings, ServerLimits(rpm=300, burst=burst))
    give(made, jobs(200))
    made.run_until(300.0)
    assert 200 == made.ended()
    assert refusals(made.server) <= 30


NONSENSE = ("-5", "nan", "soon", "1e400", "", "inf", "0x10", "five", "-0")


@pytest.mark.parametrize("value", NONSENSE)
@pytest.mark.parametrize("name", ["retry-after", "retry-after-ms"])
def test_a_wait_that_means_nothing_stops_everything(name: str, value: str) -> None:
    """Slips of a provider's pen: ours waits as if nothing had been said, neither for ever nor not at all."""
    bench = alone()
    bench.ask("k")
    refuse(bench, bench.take(Send), (name, value))
    assert bench.none(Send)
    bench.pays(until_sent(bench, 3.0))
    assert Status.COMPLETED is bench.take(Finish).outcome.status


@pytest.mark.parametrize("value", [str(EPOCH + 30), "Mon, 21 Sep 2026 14:13:50 GMT"])
def test_a_moment_is_taken_for_a_span(value: str) -> None:
    """Clawhub 407: `Retry-After: 1771404540`, a moment, is slept for 56 years. Ours waits until then."""
    bench = alone()
    bench.ask("k")
    refuse(bench, bench.take(Send), ("retry-after", value))
    until_sent(bench, 40.0)
    assert 29.9 <= bench.now


@pytest.mark.parametrize("value", [str(EPOCH - 30), "Mon, 21 Sep 2026 14:12:50 GMT"])
def test_a_moment_that_is_past_stalls(value: str) -> None:
    """Coral 89: a moment that is past, by a slow network or another clock, costs 300 s. Ours goes on soon."""
    bench = alone()
    bench.ask("k")
    refuse(bench, bench.take(Send), ("retry-after", value))
    until_sent(bench, 3.0)


def bucket(left: int, reset: str) -> tuple[tuple[str, str], ...]:
    """Headers of a bucket of 60 requests a minute."""
    told = (("limit", "60"), ("remaining", str(left)), ("reset", reset))
    return tuple((f"x-ratelimit-{word}-requests", value) for word, value in told)


@pytest.mark.parametrize("reset", [str(EPOCH - 30), f"{EPOCH - 30}000", "0s", "0", "-3"])
def test_a_reset_that_is_past_stalls(reset: str) -> None:
    """Coral 89, of reset headers: with nothing left and a reset that is over the next one goes within two seconds."""
    bench = alone()
    bench.ask("k1")
    bench.ask("k2")
    refuse(bench, bench.take(Send), *bucket(0, reset))
    bench.pays(bench.take(Send))
    until_sent(bench, 2.5)


def test_the_time_to_full_is_taken_for_the_wait() -> None:
    """Throttled 55: `reset` is when the bucket is full again, not when the next one may go. Ours: a second, not 60."""
    bench = alone()
    bench.ask("k1")
    refuse(bench, bench.take(Send), *bucket(0, "1m0s"), ("retry-after", "1"))
    until_sent(bench, 3.0)
    assert 1.0 <= bench.now


def test_waits_of_a_flood_are_told_once() -> None:
    """A flood of refusals floods the log: ours tells of a long wait once, not once for each that was out."""
    made: Watched = watched(config(*keys(1, Limits(concurrency=32))), HINTING, ServerLimits(rpm=1, burst=1.0))
    give(made, jobs(40))
    made.run_until(50.0)
    assert 1 <= len([notice for notice in made.notices if type(notice).__name__ == "Waits"]) <= 3
