"""A whole world in virtual time: what a run of it comes to."""

from __future__ import annotations

from random import Random

from penstock.config import Budget, Config, Credential, Limits
from penstock.ids import Handle, Key
from penstock.outcomes import Source, Status
from penstock.simulation.monitor import Monitor
from penstock.simulation.server import Server, ServerLimits, ServerSettings, parse_faults
from penstock.simulation.world import Delays, World
from penstock.work import Demand, Target, Work


def work(number: int, *keys: str, quote: int = 1000, expected: int = 900) -> Work:
    """A request of a picture a key."""
    target = Target("default", "m", tuple(map(Key, keys)), Demand(1, 1, 100), quote, expected)
    return Work((target,), Handle(number))


def world(config: Config, settings: ServerSettings | None = None, delays: Delays | None = None) -> World:
    """A world under the monitor."""
    server = Server(settings, rng=Random(1))
    return World(config, server, rng=Random(2), delays=delays, wrap=lambda engine: Monitor(engine, config=config))


def test_a_thousand_jobs_under_limits() -> None:
    """With exact limits every picture is bought once, nothing is refused, and nothing is left."""
    limits = Limits(rpm=600, ipm=600)
    config = Config(tuple(Credential(name, limits=limits) for name in "ab"), store=True, journal=True)
    made = world(
        config, ServerSettings(limits=ServerLimits(rpm=600, ipm=600)), Delays(up=0.01, down=0.01, journal=0.001)
    )
    outcomes = made.run(work(number, f"k{number}") for number in range(1000))
    assert {Status.COMPLETED} == {outcome.status for outcome in outcomes.values()}
    assert (1000, {}) == (made.server.books.executed, made.server.books.rejected)
    assert 1000 == len({picture.key for outcome in outcomes.values() for picture in outcome.pictures})
    assert made.engine.snapshot().at_rest


def test_the_bill_is_the_books() -> None:
    """Without doubt the provider's bill is what was charged, to the picodollar, and within the cap."""
    config = Config((Credential("a"),), budget=Budget((("run", 20_000),)))
    made = world(config, ServerSettings(faults=parse_faults("500=0.2")))
    outcomes = made.run(work(number, f"k{number}", f"l{number}") for number in range(40))
    books = made.engine.snapshot().money.total
    assert made.server.books.billed == books.charged == sum(outcome.charge or 0 for outcome in outcomes.values())
    assert books.charged <= 20_000
    assert {Status.COMPLETED, Status.FAILED} == {outcome.status for outcome in outcomes.values()}


def test_many_who_want_the_same_do_not_fail_one_after_another() -> None:
    """They share the failure as they would have shared the picture: after the second one nobody tries again."""
    config = Config((Credential("a"),), store=True)
    made = world(config, ServerSettings(faults=parse_faults("500=1.0")))
    outcomes = made.run(work(number, "the same") for number in range(30))
    assert {Status.FAILED} == {outcome.status for outcome in outcomes.values()}
    assert 2 * config.retry.attempts == made.server.books.received


def test_many_who_want_the_same_share_it() -> None:
    """One pays; whoever asks while it is made shares it, whoever asks later finds it stored."""
    made = world(Config((Credential("a"),), store=True))
    outcomes = made.run(work(number, "the same") for number in range(10))
    later = made.submit(work(10, "the same"))
    while made.step():
        pass
    sources = [picture.source for outcome in outcomes.values() for picture in outcome.pictures]
    assert (1, 9, 1) == (sources.count(Source.BOUGHT), sources.count(Source.SHARED), sources.count(Source.STORED))
    assert Status.CACHED == made.outcomes[later].status
    assert 1 == made.server.books.executed
