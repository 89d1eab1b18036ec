"""What a limiter loses: slots of who left while he waited, was woken, or was out; levels that never come back."""

from __future__ import annotations

from functools import partial
from random import Random

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.commands import Finish, Send
from penstock.config import Config, Credential, Limits, Retry
from penstock.errors import Ambiguous
from penstock.events import Cancelled, Ticked
from penstock.ids import Handle, JobId
from penstock.outcomes import Status
from penstock.requests import Options
from penstock.simulation.server import ServerLimits, parse_faults
from penstock.work import Demand, OnAmbiguous, Timeouts, Work
from penstock_io.simserver import serving
from tests.drivers.harness import WAIT
from tests.field.admission import SILENT, config, give, goal, jobs, keys, refusals, watched
from tests.field.worlds import QUICK, asked, client, inject, wait_until
from tests.histories.bench import Bench


@pytest.mark.parametrize("order", ["leaves, then the slot is free", "the slot is free, then leaves"])
def test_whoever_is_woken_and_leaves_takes_the_slot_along(order: str) -> None:
    """Anyio 947, asyncio 270, duet 68: the slot is handed to a waiter who is cancelled just then, and is gone."""
    bench = Bench()
    bench.ask("k1")
    second, third = bench.ask("k2"), bench.ask("k3")
    out = bench.take(Send)
    if order.startswith("leaves"):
        bench.tell(Cancelled(second))
        bench.pays(out)
    else:
        bench.pays(out)
        handed = bench.take(Send)
        bench.tell(Cancelled(second, abort=True))
        bench.breaks(handed)
    bench.take(Finish)
    bench.pays(bench.take(Send))
    assert third in [bench.take(Finish).job for _ in range(2)]
    assert bench.rests()


def taken(bench: Bench) -> list[Send]:
    """Everything that is sent just now."""
    found: list[Send] = []
    while not bench.none(Send):
        found.append(bench.take(Send))
    return found


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.lists(st.tuples(st.sampled_from("aclp"), st.integers(0, 9)), max_size=60))
def test_leaving_in_any_order_loses_nothing(slots: int, moves: list[tuple[str, int]]) -> None:
    """Whoever asks, leaves, aborts and is served, in whatever order: in the end every slot is there, and used."""
    bench = Bench(Config((Credential("c1", "p", Limits(concurrency=slots)),), unproven=None))
    out: list[Send] = []
    for move, which in moves:
        if move == "a":
            bench.ask(f"k{bench.jobs}")
        elif move in "cl" and bench.jobs:
            bench.tell(Cancelled(JobId(1 + which % bench.jobs), abort=move == "c"))
        elif move == "p" and out:
            bench.pays(out.pop(which % len(out)))
        out += taken(bench)
    while not bench.rests():
        for send in out:
            bench.pays(send)
        out = taken(bench)
        bench.at(bench.now + 0.1)
        assert bench.now < 60.0
    for number in range(slots + 1):
        bench.ask(f"late {number}")
    for _ in range(10):
        bench.at(bench.now + 0.2)
    assert slots == len([command for command in bench.log if isinstance(command, Send)])


def test_leaving_while_the_limit_is_waited_for_takes_permits_along() -> None:
    """port-ocean 3413: cancelled during a wait for the reset, a permit is lost each time, until none is left."""
    made = watched(config(*keys(1, Limits(rpm=60, burst=1 / 15, concurrency=4, ceiling=True))))
    give(made, jobs(4))
    made.run_until(0.5)
    for number in range(200):
        job = give(made, jobs(1, first=100 + number))[0]
        made.run_until(made.now + 0.01)
        made.cancel(job, abort=number % 2 == 0)
    made.run()
    made.run_until(made.now + 60.0)
    began = made.now
    give(made, jobs(4, first=500))
    made.run()
    assert 4 == len([arrival for arrival in made.arrivals if began <= arrival.at < began + 0.05])
    assert made.engine.snapshot().at_rest


def test_who_waits_for_much_and_leaves_keeps_the_others_waiting() -> None:
    """A large demand at the head of the line leaves: those behind it, who have room, go in the same step."""
    made = watched(config(*keys(1, Limits(ipm=60, burst=1 / 6, concurrency=None, ceiling=True))))
    give(made, jobs(9))
    large = made.submit(Work((evolve(goal("large", demand=Demand(1, 10, 0)), divisible=False),), Handle(500)))
    made.run_until(1.0)
    behind = give(made, jobs(1, first=600))
    made.run_until(1.5)
    assert not [arrival for arrival in made.arrivals if arrival.job in behind]
    made.cancel(large)
    made.run_until(1.6)
    assert behind == [arrival.job for arrival in made.arrivals[9:]]


FAULTS = "refuse_connection=0.1,reset_early=0.1,500=0.1,moderation=0.1,503=0.1"


@pytest.mark.parametrize("seed", range(6))
def test_levels_drift_away_from_the_truth(seed: int) -> None:
    """Curator, litellm 27955: what failed, was refused, left or timed out is booked wrongly, a little more each time.

    After hundreds of such ends, and a pause that is too short to fill it, ours has as much left as the provider says,
    and can use it: so much goes at once, nothing of it is refused.
    """
    rng = Random(seed)
    limits = Limits(ipm=600, burst=0.5, ceiling=True)
    retry = Retry(attempts=3, base=0.01)
    made = watched(evolve(config(*keys(1, limits)), retry=retry), SILENT, ServerLimits(ipm=600, burst=0.5))
    made.server.set_faults(parse_faults(FAULTS))
    for number in range(300):
        job = give(made, jobs(1, first=1 + number, demand=Demand(1, rng.randint(1, 3), 0)))[0]
        made.run_until(made.now + rng.random() * 0.1)
        if rng.random() < 0.2:
            made.cancel(job, abort=rng.random() < 0.5)
    made.run()
    made.server.set_faults(())
    made.run_until(made.now + 1.0)
    made.tell(Ticked())
    before = refusals(made.server)
    left = made.server.levels("c1", made.now)[0]
    believed = made.engine.snapshot().lanes[0].quota.images.level
    assert left - 8.0 <= believed <= left + 0.5
    give(made, jobs(int(believed), first=1000))
    made.run_until(made.now + 2.0)
    assert before == refusals(made.server)


def test_a_slot_is_lost_with_every_time_out() -> None:
    """Litellm 20256: exchanges that are never answered hold their slot for ever. Ours: until their time-out."""
    made = watched(config(*keys(1, Limits(concurrency=4))))
    made.server.inject(*["stall"] * 8)
    for one in jobs(30):
        target = evolve(one.targets[0], timeouts=Timeouts(total=5.0))
        made.submit(evolve(one, targets=(target,), on_ambiguous=OnAmbiguous.SKIP))
    made.run()
    assert (8, 22) == (made.ended(Status.AMBIGUOUS), made.ended())
    assert made.now < 5.0 + 5.0 + 22 / 4 * 1.0


def test_who_left_in_line_is_lost_driver(driver: str) -> None:
    """Litellm 27955, over HTTP: forty leave while they wait for the only slot; the next one has it at once."""
    with serving(QUICK) as sim:
        inject(sim, "stall")
        with client(driver, sim, limits=Limits(concurrency=1)) as side:
            first = side.start(**asked("first"), options=Options(on_ambiguous=OnAmbiguous.SKIP))
            wait_until(lambda: sim.stats()["received"] == 1)
            waiting = [side.start(**asked(f"waits {number}")) for number in range(40)]
            wait_until(lambda: side.snapshot().unfinished == 41)
            for number, pending in enumerate(waiting):
                side.on_owner(partial(pending.cancel_job, 2 + number))
            wait_until(lambda: side.snapshot().unfinished == 1)
            side.pass_time(Timeouts().total)
            assert isinstance(first.future.exception(WAIT), Ambiguous)
            assert side.generate(**asked("last")).images
        assert side.engine.snapshot().at_rest
        assert 2 == sim.stats()["received"]
