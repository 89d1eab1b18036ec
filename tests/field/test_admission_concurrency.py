"""How many at a time: limits that are named and that are not, cuts that do not stay, and slots that are not used."""

from __future__ import annotations

import pytest
from attrs import evolve

from penstock.config import Limits
from penstock.simulation.server import Latency, ServerLimits, ServerSettings
from penstock_io.simserver import serving
from tests.field.admission import SILENT, Watched, config, give, jobs, keys, refusals, watched
from tests.field.worlds import QUICK, client, request

EVEN = evolve(SILENT, latency=Latency(0.5, 0.2))


def out_at(made: Watched, since: float) -> int:
    """The most that executed at a time from then on."""
    made.run_until(since)
    account = made.server._accounts["c1"]
    account.peak = account.in_flight
    made.run()
    return account.peak


@pytest.mark.parametrize(("names", "most"), [(True, 8), (False, 20)])
@pytest.mark.parametrize("hints", [True, False])
def test_a_limit_on_how_many_at_a_time_is_taken_for_a_rate(names: bool, most: int, hints: bool) -> None:
    """Whoever paces by rates is refused for ever where eight may be out at a time, or crawls.

    Ours finds out how many: at least two thirds of what eight at a time can do, and few refusals.
    """
    settings = evolve(EVEN, names=names, hints=hints)
    made = watched(config(*keys(1)), settings, ServerLimits(concurrency=8))
    give(made, jobs(400))
    made.run()
    assert 400 == made.ended()
    assert made.now < 400 / 8 * 0.55 * 1.5 + 3.0
    assert refusals(made.server) <= most


@pytest.mark.parametrize("names", [True, False])
def test_a_cut_freezes_for_ever(names: bool) -> None:
    """inspect_ai 5137: after one cut the number never rises again. Ours: two at a time for a while, then many again."""
    settings = evolve(EVEN, names=names, hints=True)
    made = watched(config(*keys(1, Limits(concurrency=16))), settings, ServerLimits(concurrency=16))
    give(made, jobs(900))
    made.run_until(5.0)
    made.server.set_limits("c1", ServerLimits(concurrency=2), made.now)
    made.run_until(20.0)
    made.server.set_limits("c1", ServerLimits(concurrency=16), made.now)
    assert out_at(made, 60.0) >= 12
    assert 900 == made.ended()
    assert refusals(made.server) <= 60


def test_every_refusal_of_one_cluster_halves_it() -> None:
    """Sixteen refusals that came for one reason cut to a sixty-thousandth: ours takes them for one event."""
    settings = evolve(EVEN, names=False, hints=True)
    made = watched(config(*keys(1, Limits(concurrency=32))), settings, ServerLimits(concurrency=32))
    give(made, jobs(600))
    made.run_until(4.0)
    made.server.set_limits("c1", ServerLimits(concurrency=12), made.now)
    began = len(made.outcomes)
    made.run_until(24.0)
    done = len(made.outcomes) - began
    assert done >= 12 * 20 / 0.55 * 0.5


def test_errors_are_taken_for_refusals() -> None:
    """5xx and broken connections cut nobody's concurrency: they are the provider's errors, not its limits."""
    made = watched(config(*keys(1, Limits(concurrency=16))), EVEN)
    made.server.set_faults((("500", 0.15), ("503", 0.1)))
    give(made, jobs(600))
    assert out_at(made, 5.0) == 16
    assert 600 == made.ended()


def test_more_is_out_than_was_said() -> None:
    """What is configured is never exceeded, whatever room the rates have and whatever the provider would take."""
    made = watched(config(*keys(2, Limits(concurrency=3))))
    give(made, jobs(200))
    made.run()
    assert 200 == made.ended()
    assert [3, 3] == [made.server._accounts[name].peak for name in ("c1", "c2")]


def test_a_new_client_opens_with_everything_it_has() -> None:
    """A client that knows nothing sends two until it has been answered, and then ever more: no storm at the start."""
    settings = ServerSettings(ServerLimits(rpm=60, burst=1 / 6), Latency(0.3, 0.25))
    made = watched(config(*keys(1, Limits(concurrency=None))), settings)
    give(made, jobs(100))
    made.run_until(0.25)
    assert len(made.arrivals) <= 2
    made.run()
    assert 100 == made.ended()
    assert refusals(made.server) <= 3


def test_a_limit_of_three_at_a_time_is_met_with_forty_driver(driver: str) -> None:
    """Over HTTP, with nothing configured: forty at once at a provider that takes three at a time. All are done."""
    with serving(evolve(QUICK, limits=ServerLimits(concurrency=3))) as sim:
        with client(driver, sim) as side:
            results = side.collect(request(f"kettle {number}") for number in range(40))
        stats = sim.stats()
    assert [None] * 40 == [result.error for result in results]
    assert 40 == stats["executed"]
    assert stats["rejected"].get("concurrency", 0) <= 40
