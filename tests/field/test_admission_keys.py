"""Several keys: work goes where there is room, a key that fails draws nothing to itself, and none is forgotten."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from penstock.config import Credential, Limits
from penstock.simulation.server import Latency, ServerLimits, ServerSettings
from penstock_io.simserver import serving
from tests.field.admission import SILENT, Watched, config, give, jobs, keys, refusals, watched
from tests.field.worlds import QUICK, asked, client, request

if TYPE_CHECKING:
    from penstock.commands import Send
    from penstock.simulation.server import Admission
    from penstock.work import Demand

TELLING = ServerSettings(latency=Latency(0.3, 0.25))


def shares(made: Watched) -> Counter[str]:
    """How many requests each key was let in with."""
    return Counter(arrival.key for arrival in made.arrivals if not arrival.refused)


def test_the_router_picks_a_key_that_cools_down() -> None:
    """Litellm 7669 and 40958: what cools down is picked while others are free. Ours: none is refused, all are used."""
    limits = ServerLimits(rpm=60, burst=1 / 6)
    made = watched(config(*keys(3, Limits(rpm=60, burst=1 / 6))), TELLING, limits)
    give(made, jobs(210))
    made.run()
    assert (210, 0) == (made.ended(), refusals(made.server))
    assert made.now < (210 - 30) / 3 * 1.05 + 3.0
    assert all(65 <= share <= 75 for share in shares(made).values())


def test_the_router_gives_up_although_all_keys_are_back_in_a_second() -> None:
    """Litellm 3646: "no deployments available", while all of them cool down for a second. Ours waits the second."""
    made = watched(config(*keys(3), patience=600.0), evolve(SILENT, hints=True), ServerLimits(rpm=60, burst=1 / 60))
    give(made, jobs(90))
    made.run()
    assert 90 == made.ended()
    assert made.now < 60.0


def test_a_large_key_waits_for_a_small_one() -> None:
    """Round robin over unequal keys runs at the pace of the smallest. Ours is as fast as all of them together."""
    made = watched(config(*keys(3)), TELLING, ServerLimits(rpm=30, burst=1 / 6))
    made.server.set_limits("c1", ServerLimits(rpm=600, burst=1 / 60), 0.0)
    give(made, jobs(440))
    made.run()
    assert 440 == made.ended()
    assert made.now < 40 * 1.1 + 3.0
    assert shares(made)["c1"] >= 380


class Broken(Watched):
    """A provider that has nothing behind one of its keys: 503 at once, whatever comes."""

    def admit(self, send: Send, demand: Demand, identity: str, cost: int) -> Admission:
        """As above."""
        if send.lane.credential == "c1":
            self.server.inject("busy")
        return super().admit(send, demand, identity, cost)


def test_a_key_that_fails_fast_draws_everything_to_itself() -> None:
    """Least busy is who fails at once: a dead key gets most of the work. Ours rests it, and nothing of it fails."""
    one = watched(config(*keys(2, Limits(concurrency=4))))
    made = Broken(one.bare._rooms.desk.config, one.server)
    give(made, jobs(400))
    made.run()
    assert 400 == made.ended()
    assert 400 == shares(made)["c2"]
    assert shares(made)["c1"] <= 40


def test_a_key_that_is_well_again_is_never_asked_again() -> None:
    """What was shut out for errors comes back by itself: half of the second half goes there again."""

    class Mended(Broken):
        def admit(self, send: Send, demand: Demand, identity: str, cost: int) -> Admission:
            """Broken for twenty seconds."""
            if self.now < 20.0:
                return super().admit(send, demand, identity, cost)
            return Watched.admit(self, send, demand, identity, cost)

    one = watched(config(*keys(2, Limits(concurrency=2))))
    made = Mended(one.bare._rooms.desk.config, one.server)
    give(made, jobs(1000))
    made.run()
    late = Counter(arrival.key for arrival in made.arrivals if arrival.at > 60.0)
    assert 1000 == made.ended()
    assert 0.8 < late["c1"] / late["c2"] < 1.25


@pytest.mark.parametrize("named", [True, False])
def test_a_key_whose_day_is_over_fails_the_jobs(named: bool) -> None:
    """A key has nothing left of its day: the others do the work, it is asked now and then, and no job hears of it."""
    settings = evolve(SILENT, names=named, hints=True)
    made = watched(config(*keys(3), patience=600.0), settings, ServerLimits(rpm=300, burst=0.1))
    made.server.set_limits("c1", ServerLimits(rpm=300, rpd=10, burst=0.1), 0.0)
    give(made, jobs(400))
    made.run()
    first = [arrival for arrival in made.arrivals if arrival.key == "c1"]
    assert 400 == made.ended()
    assert sum(not arrival.refused for arrival in first) >= 10
    assert len(first) <= 10 + 8
    assert made.now < (390 - 60) / 10 * 1.25 + 5.0


def test_a_key_that_is_taken_away_takes_jobs_along() -> None:
    """A key is revoked while it is at work: who met it goes to another one, and it is not asked again."""
    made = watched(config(*keys(3, Limits(concurrency=4))))
    give(made, jobs(300))
    made.run_until(3.0)
    made.server.revoke("c2")
    made.run()
    assert 300 == made.ended()
    assert 1 <= sum(arrival.refused == "credential" for arrival in made.arrivals) <= 4
    assert {"c1", "c3"} == {arrival.key for arrival in made.arrivals if arrival.at > 5.0}


def test_weights_of_keys_are_forgotten_under_load() -> None:
    """A key that is to carry three times as much does, as long as nothing else decides."""
    heavy = Credential("c1", limits=Limits(concurrency=12), weight=3.0)
    made = watched(config(heavy, Credential("c2", limits=Limits(concurrency=12))))
    for number in range(1, 401):
        give(made, jobs(1, first=number))
        made.run_until(made.now + 0.05)
    made.run()
    assert 2.2 < shares(made)["c1"] / shares(made)["c2"] < 4.0


def test_a_bad_key_is_tried_by_everything_that_waits_driver(driver: str) -> None:
    """One of three keys is wrong: of 30 requests a few learn of it, not all that wait, and all are done."""
    with serving(QUICK) as sim:
        sim.call(lambda server: server.revoke("sk-wrong"))
        arguments = {"api_keys": ["sk-wrong", "sk-1", "sk-2"], "limits": Limits(concurrency=8)}
        with client(driver, sim, **arguments) as side:
            results = side.collect(request(f"kettle {number}") for number in range(30))
        stats = sim.stats()
    assert [None] * 30 == [result.error for result in results]
    assert {"credential"} == set(stats["rejected"])
    assert 1 <= stats["rejected"]["credential"] <= 8
    assert 30 == stats["executed"]


def test_keys_are_used_one_after_another_driver(driver: str) -> None:
    """Three keys with room for two each have six out at once: nobody waits while a key has room."""
    with serving(evolve(QUICK, limits=ServerLimits(concurrency=2))) as sim:
        sim.hold()
        arguments = {"api_keys": ["sk-1", "sk-2", "sk-3"], "limits": Limits(concurrency=2)}
        with client(driver, sim, **arguments) as side:
            waiting = [side.start(**asked(f"kettle {number}")) for number in range(6)]
            assert sim.wait(lambda stats: stats["in_flight"] == 6)
            sim.release()
            assert all(one.result().images for one in waiting)
        stats = sim.stats()
    assert {} == stats["rejected"]
    assert 6 == stats["peak"]


def test_retries_of_a_refused_key_go_to_the_same_driver(driver: str) -> None:
    """Litellm retries where it was refused: ours goes where there is room, and every row comes through."""
    with serving(evolve(QUICK, limits=ServerLimits(ipm=6000, burst=1 / 6000))) as sim:
        with client(driver, sim, api_keys=["sk-1", "sk-2"]) as side:
            results = side.collect(request(f"kettle {number}") for number in range(20))
        assert 20 == sim.stats()["executed"]
    assert [None] * 20 == [result.error for result in results]
