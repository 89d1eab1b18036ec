"""Limits, as far as they are about retries: quota faults, waits that are told, lanes that cool down, lost permits."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random

import pytest
from attrs import evolve

from penstock.commands import Finish, Send
from penstock.config import Config, Credential, Limits, Retry
from penstock.errors import Ambiguous, JobError
from penstock.events import Responded
from penstock.ids import Handle, JobId
from penstock.outcomes import Status
from penstock.readings import LimitHint, Problem
from penstock.requests import Options
from penstock.simulation.server import Latency, ServerLimits, ServerSettings
from penstock.work import OnAmbiguous, Purpose, Screen, Target, Timeouts, Work
from penstock_io.simserver import SimServer, serving
from tests.drivers.harness import Side
from tests.field.worlds import CONFIG, asked, client, inject, request, rested, target, wait_until, works, world
from tests.histories.bench import Bench, work

WAITS = [
    (("retry-after", "1.5"), 1.5),
    (("retry-after", "61"), 61.0),
    (("retry-after-ms", "2500"), 2.5),
    (("retry-after", "Mon, 21 Sep 2026 14:14:00 GMT"), 40.0),
]
"""What a reply says at 1,790,000,000 seconds, and how long it has to be waited for."""


def told(bench: Bench, send: Send, *headers: tuple[str, str]) -> None:
    """A refusal for a rate, with these headers."""
    bench.tell(Responded(send.attempt, 429, headers, Problem("rate_limit_exceeded", None, "slower")))


def two_keys() -> Config:
    """Two credentials with room for one exchange each."""
    return Config(tuple(Credential(name, "p", Limits(concurrency=1)) for name in ("c1", "c2")))


def test_insufficient_quota_is_retried_like_a_rate_limit() -> None:
    """openai-python 1671 and 3507, inspect_ai 5340. Ours: asked once, the lane closes, the other key takes over."""
    config = Config((Credential("c1", limits=Limits(concurrency=1)), Credential("c2")))
    made = world(config)
    made.server.set_credit("c1", 0)
    made.run(works(20))
    assert {Status.COMPLETED} == {outcome.status for outcome in rested(made)}
    assert {"credit": 1} == made.server.books.rejected


def test_insufficient_quota_is_retried_with_the_only_key() -> None:
    """openai-python 1671, with one key: one request, no waiting, and what helps is said."""
    made = world()
    made.server.set_credit("c1", 0)
    made.run(works(5))
    outcomes = rested(made)
    assert {Status.FAILED} == {outcome.status for outcome in outcomes}
    assert {"quota_exhausted"} == {outcome.error.kind for outcome in outcomes if outcome.error}
    assert made.server.books.received <= 5
    assert made.now < 0.1


def test_insufficient_quota_is_retried_driver(driver: str, sim: SimServer) -> None:
    """openai-python 1671 and 3507, over HTTP."""
    with client(driver, sim) as side:
        sim.call(lambda server: server.set_credit("sk-that-nobody-may-read", 0))
        with pytest.raises(JobError, match="add credit or raise the spending limit") as caught:
            side.generate(**asked())
    assert 1 == sim.stats()["received"] == caught.value.outcome.attempts


@pytest.mark.parametrize(("header", "wait"), WAITS, ids=[f"{name}={value}" for (name, value), _ in WAITS])
def test_a_wait_that_is_told_is_not_kept(header: tuple[str, str], wait: float) -> None:
    """Litellm ignores `1.5`, makes 1.3 s of `61`, does not read `retry-after-ms`. Ours waits as long."""
    bench = Bench()
    bench.ask("k")
    told(bench, bench.take(Send), header)
    bench.at(wait - 0.01)
    assert bench.none(Send)
    for _ in range(50):
        if not bench.none(Send):
            break
        bench.at(bench.engine.next_deadline() or bench.now)
    assert wait <= bench.now <= wait * 1.1 + 1.0
    assert 0 < bench.take(Send).attempt


def test_half_an_hour_is_slept_through() -> None:
    """openai-node 1840 sleeps 30 minutes in silence. Ours fails at once and says why; a batch waits."""
    bench = Bench()
    bench.ask("k")
    told(bench, bench.take(Send), ("retry-after", "1800"))
    error = bench.take(Finish).outcome.error
    assert error is not None
    assert ("patience", True, True) == (error.kind, "30 min" in error.text, "10 min" in error.text)
    patient = Bench(evolve(bench.config, patience=None))
    patient.ask("k")
    told(patient, patient.take(Send), ("retry-after", "1800"))
    patient.at(1799.0)
    assert patient.none(Send)
    assert patient.none(Finish)


def test_half_an_hour_is_slept_through_although_another_key_is_free() -> None:
    """openai-node 1840: what one key has to wait for, another one does now."""
    bench = Bench(two_keys())
    bench.ask("k")
    first = bench.take(Send)
    told(bench, first, ("retry-after", "1800"))
    for _ in range(20):
        if not bench.none(Send):
            break
        bench.at(bench.engine.next_deadline() or bench.now)
    second = bench.take(Send)
    assert first.lane.credential != second.lane.credential
    assert bench.now < 10.0


def test_the_router_fails_although_a_lane_will_be_ready_in_a_second() -> None:
    """Litellm 7669, 3646, 40958: it picks what cools down, or gives up. Ours waits the second."""
    bench = Bench(two_keys())
    bench.ask("k1")
    bench.ask("k2")
    one, two = bench.take(Send), bench.take(Send)
    told(bench, one, ("retry-after", "300"))
    told(bench, two, ("retry-after", "1"))
    sends: list[Send] = []
    while len(sends) < 2 and bench.now < 200:
        bench.at(bench.engine.next_deadline() or bench.now + 0.1)
        while not bench.none(Send):
            sends.append(bench.take(Send))
            bench.pays(sends[-1])
    assert {two.lane.credential} == {send.lane.credential for send in sends}
    assert bench.now < 10.0
    assert {Status.COMPLETED} == {bench.take(Finish).outcome.status for _ in range(2)}


def test_an_image_limit_cools_down_everything_on_the_key() -> None:
    """sub2api 3052: `input-images per min` stops chat on the same key. Ours: what takes no picture goes on."""
    bench = Bench(Config((Credential("c1", "p", Limits(concurrency=9)),)))
    bench.ask("k1")
    hint = LimitHint("images", 5.0, 5.0, 1.0)
    bench.refuses(bench.take(Send), 429, "rate_limit_exceeded", hint)
    screen = Target("p", "moderation", operation="moderate", purpose=Purpose.SCREEN, divisible=False, quote=0)
    bench.submit(evolve(work("k2"), screens=(Screen("s.1", target=screen),)))
    assert Purpose.SCREEN is bench.take(Send).purpose
    assert 0.0 == bench.now


@pytest.mark.parametrize(("headers", "names"), [(True, True), (False, True), (False, False)])
def test_ten_pictures_at_a_limit_of_five_wait_for_ever(headers: bool, names: bool) -> None:
    """`n=10` at 5 images a minute: "Limit 5, Requested 10" for ever, or no word of it. Ours are split, and come."""
    settings = ServerSettings(limits=ServerLimits(ipm=5), headers=headers, names=names)
    made = world(settings=settings)
    made.run(works(1, samples=10))
    (outcome,) = rested(made)
    assert (Status.COMPLETED, 10) == (outcome.status, len(outcome.pictures))
    assert made.now < 300
    assert made.server.books.pictures == 10


def test_ten_that_cannot_be_split_wait_for_ever() -> None:
    """The same, where they can only be had at once: it fails in time, and says why."""
    made = world(settings=ServerSettings(limits=ServerLimits(ipm=5)))
    made.run([Work((evolve(target(*map(str, range(10))), divisible=False),), Handle(1))])
    (outcome,) = rested(made)
    assert (Status.FAILED, "over_limit") == (outcome.status, outcome.error and outcome.error.kind)
    assert made.now < 10


def test_endpoints_without_rate_headers_are_asked_again_and_again() -> None:
    """openai-php 288: only the bodies of refusals teach. Ours learns from them."""
    made = world(settings=ServerSettings(limits=ServerLimits(ipm=30, burst=0.2), headers=False))
    made.run(works(60))
    outcomes = rested(made)
    assert {Status.COMPLETED} == {outcome.status for outcome in outcomes}
    assert made.server.books.executed == 60
    assert made.server.books.received - 60 < 90
    assert made.now < 200


def test_a_rate_limit_is_waited_for_driver(driver: str) -> None:
    """Litellm's ignored waits, over HTTP: after a refusal nothing comes before the wait that it named."""
    limits = ServerLimits(ipm=120, burst=1 / 120)
    with serving(ServerSettings(limits, Latency(0.01, 0.1), refusal_delay=0.001)) as sim:
        with client(driver, sim) as side:
            results = side.collect(request(f"kettle {number}") for number in range(4))
        assert [None] * 4 == [result.error for result in results]
        assert 4 == sim.stats()["executed"]
        assert sum(sim.stats()["rejected"].values()) <= 8


def test_a_limiter_loses_permits_with_every_retry() -> None:
    """Curator: 7 of 16 permits left after a second; litellm 27955, 20256: slots lost to cancelling and time-outs.

    After hundreds of retries, leavers and time-outs all slots of ours are there: the next ones go as fast as the first.
    """
    config = Config((Credential("c1", limits=Limits(concurrency=16)),))
    made = world(config, "500=0.3,reset=0.2,refuse_connection=0.2,stall=0.1")
    rng = Random(5)
    for one in works(300):
        job = made.submit(evolve(one, on_ambiguous=OnAmbiguous.RETRY))
        made.run_until(made.now + 0.05)
        if rng.random() < 0.3:
            made.cancel(JobId(rng.randint(1, job)), abort=rng.random() < 0.5)
    made.run()
    rested(made)
    made.server.set_faults(())
    began, peak = made.now, 0
    for number in range(1001, 1065):
        made.submit(Work((target(f"late {number}"),), Handle(number)))
    while made.step():
        peak = max(peak, made.server.books.in_flight)
    assert 16 == peak
    assert made.now - began < 4.0


def test_a_limiter_loses_permits_driver(driver: str, sim: SimServer) -> None:
    """The same, over HTTP: after eight time-outs and errors two slots are still there, and two are out in them at once.

    The other two of four wait for them.
    """
    faults = ["stall", "500", "stall", "reset", "500", "stall", "502", "500"]
    skip = Options(on_ambiguous=OnAmbiguous.SKIP)
    with client(driver, sim, limits=Limits(concurrency=2), config=Config(unproven=None)) as side:
        for number, fault in enumerate(faults):
            inject(sim, fault)
            pending = side.start(**asked(f"kettle {number}"), options=skip)
            rest_until(side, partial(met, sim, number + 1))
            if fault == "stall":
                side.pass_time(Timeouts().total)
            rest_until(side, pending.future.done)
            assert (fault in {"stall", "reset"}) <= isinstance(pending.future.exception(), Ambiguous)
        well = side.start(**asked("a lane that is well"))
        rest_until(side, well.future.done)
        sim.hold()
        late = [side.start(**asked(f"pot {number}")) for number in range(4)]
        assert sim.wait(lambda stats: stats["in_flight"] == 2)
        wait_until(lambda: side.snapshot().unfinished == 4)
        assert (2, 2) == (side.snapshot().in_flight, sim.stats()["in_flight"])
        sim.release()
        assert all(one.result().images for one in (well, *late))
    assert side.engine.snapshot().at_rest
    assert {2} == {stats["peak"] for stats in sim.stats()["credentials"].values()}


def met(sim: SimServer, faults: int) -> bool:
    """Whether so many faults happened."""
    return faults == sum(sim.stats()["faults"].values())


def rest_until(side: Side, there: Callable[[], bool]) -> None:
    """Until something is so; a lane that rests meanwhile does not take its time."""

    def look() -> bool:
        if not side.snapshot().in_flight:
            side.pass_time(1.0)
        return there()

    wait_until(look)


def test_concurrency_freezes_after_one_cut() -> None:
    """inspect_ai 5137: every Retry-After pushes the horizon out. Ours is fast again with the provider."""
    settings = ServerSettings(limits=ServerLimits(rpm=60, burst=1 / 30), latency=Latency(0.3, 0.1))
    made = world(settings=settings)
    feed = iter(works(400))
    for _ in range(100):
        made.submit(next(feed))
    made.run_until(30.0)
    made.server.set_limits("c1", ServerLimits(rpm=6000, burst=1 / 30), made.now)
    for one in feed:
        made.submit(one)
    made.run()
    assert {Status.COMPLETED} == {outcome.status for outcome in rested(made)}
    assert made.now < 90


def test_tokens_of_failures_are_never_given_back() -> None:
    """Curator keeps estimated tokens of what failed. Ours: what never left costs no quota."""
    wide = (Credential("c1", limits=Limits(tpm=1000)),)
    made = world(Config(wide, retry=Retry(attempts=20, base=0.001, cap=0.01), unproven=None))
    made.server.inject(*["refuse_connection"] * 60)
    made.run(works(10))
    assert {Status.COMPLETED} == {outcome.status for outcome in rested(made)}
    assert 70 == made.server.books.received
    assert made.now < 5.0


def test_money_of_failures_is_never_given_back() -> None:
    """The same of a budget: what failed for nothing is there for the next; the cap is spent to the last picture."""
    budget = evolve(CONFIG.budget, caps=(("run", 10_000),))
    made = world(evolve(CONFIG, budget=budget), "500=0.5")
    made.run(works(40))
    rested(made)
    money = made.engine.snapshot().money.total
    assert (0, 0, made.server.books.billed) == (money.reserved, money.maybe, money.charged)
    assert 9_000 < money.charged <= 10_000
