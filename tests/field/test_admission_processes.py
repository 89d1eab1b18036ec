"""One quota, several who draw on it: processes that know nothing of each other, models of a pool, keys of one."""

from __future__ import annotations

from itertools import product
from random import Random
from statistics import median
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from penstock.config import Config, Credential, Limits, Pool
from penstock.ids import Handle
from penstock.simulation.server import Latency, Server, ServerLimits, ServerSettings
from penstock.work import Work
from tests.field.admission import SILENT, Watched, config, give, goal, jobs, keys, refusals, together, watched

if TYPE_CHECKING:
    from penstock.commands import Send
    from penstock.simulation.server import Admission
    from penstock.work import Demand

TELLING = ServerSettings(latency=Latency(0.3, 0.25))


def replicas(count: int, made: Config, settings: ServerSettings, limits: ServerLimits) -> list[Watched]:
    """Processes with the same key at one provider."""
    server = Server(evolve(settings, limits=limits), rng=Random(3))
    return [Watched(made, server, seed=10 * number) for number in range(1, count + 1)]


def work(processes: list[Watched], each: int) -> float:
    """Let all of them do as many jobs each; when the last one ended."""
    for process in processes:
        give(process, jobs(each))
    together(*processes)
    assert [each] * len(processes) == [process.ended() for process in processes]
    return max(process.now for process in processes)


@pytest.mark.parametrize(("count", "most"), [(2, 10), (4, 30)])
@pytest.mark.parametrize("burst", [0.1, 1.0])
def test_replicas_use_n_times_the_limit(count: int, most: int, burst: float) -> None:
    """Litellm 27736 and 40291: limits are kept by each process, so four of them send four times as much.

    Ours hear from every reply what the others took, and count for theirs what they use themselves: as fast as the limit
    allows. What is sent before the first reply is back may be refused, and hardly anything afterwards.
    """
    processes = replicas(count, config(*keys(1, Limits(rpm=300))), TELLING, ServerLimits(rpm=300, burst=burst))
    took = work(processes, 480 // count)
    assert took < (480 - 300 * burst) / 5 * 1.4 + 5.0
    assert refusals(processes[0].server) <= most


@pytest.mark.parametrize("said", ["names", "hints", "nothing"])
def test_replicas_that_hear_only_refusals_starve_each_other(said: str) -> None:
    """The same where replies say nothing: refusals are the only news of the others. All are done, none stays behind.

    Who is refused beside others cannot know whose turn it was: single runs differ, so it is held to the middle of nine.
    """
    settings = evolve(SILENT, names=said == "names", hints=said != "nothing")
    ratios: list[float] = []
    for count, burst in product((2, 3, 4), (0.05, 0.1, 0.3)):
        processes = replicas(count, config(*keys(1)), settings, ServerLimits(rpm=300, burst=burst))
        took = work(processes, 120)
        ratios.append(took / ((120 * count - 300 * burst) / 5))
        assert refusals(processes[0].server) <= (100 if said == "names" else 40) * count
    assert median(ratios) < 2.0
    assert max(ratios) < 5.0


def test_a_process_that_comes_later_finds_nothing_left() -> None:
    """One process has been running: who starts later beside it believes the whole limit is there, and floods it."""
    first, second = replicas(2, config(*keys(1, Limits(rpm=300))), TELLING, ServerLimits(rpm=300, burst=0.1))
    give(first, jobs(300))
    while first.now < 20.0:
        first.step()
    second.now = first.now
    give(second, jobs(100))
    together(first, second)
    assert (300, 100) == (first.ended(), second.ended())
    assert refusals(first.server) <= 25
    assert max(first.now, second.now) < (400 - 30) / 5 * 1.1 + 5.0


MODELS = ("m1", "m2", "m3")


def models(made: Watched, each: int) -> None:
    """So many jobs for each of three models, in turns."""
    for number in range(each):
        for place, model in enumerate(MODELS):
            target = goal(f"{model} {number}", model=model)
            made.submit(Work((target,), Handle(1 + len(MODELS) * number + place)))


def test_models_of_one_limit_use_it_three_times() -> None:
    """An organisation's limit over several models: kept for each it is used three times. Pooled: hardly refused."""
    limits = Limits(rpm=120, burst=0.1)
    one = Credential("c1", limits=limits, pools=(Pool("all", MODELS, limits),))
    made = watched(config(one), SILENT, ServerLimits(rpm=120, burst=0.1))
    models(made, 40)
    made.run()
    assert 120 == made.ended()
    assert refusals(made.server) <= 4
    assert made.now < (120 - 12) / 2 * 1.05 + 3.0


def test_models_whose_limit_nobody_said_is_shared() -> None:
    """The same where nobody knows that it is one limit: replies tell each model what the others took."""
    made = watched(config(*keys(1, Limits(rpm=120, burst=0.1))), TELLING, ServerLimits(rpm=120, burst=0.1))
    models(made, 60)
    made.run()
    assert 180 == made.ended()
    assert refusals(made.server) <= 30
    assert made.now < (180 - 12) / 2 * 1.3 + 5.0


class Organisation(Watched):
    """A provider whose limits are those of the organisation, whichever of its keys is used."""

    def admit(self, send: Send, demand: Demand, identity: str, cost: int) -> Admission:
        """As above."""
        return super().admit(evolve(send, lane=evolve(send.lane, credential="acme")), demand, identity, cost)


@pytest.mark.parametrize("told", [True, False])
def test_keys_of_one_account_are_taken_for_three_limits(told: bool) -> None:
    """Three keys of an organisation have one limit between them: said to be of one account nothing is refused.

    With headers it goes well without being said, too: as fast, and with a refusal now and then.
    """
    limits = Limits(rpm=120, burst=0.1)
    account = "" if told else "acme"
    made = config(*[Credential(name, limits=limits, account=account) for name in ("c1", "c2", "c3")])
    settings = evolve(TELLING if told else SILENT, limits=ServerLimits(rpm=120, burst=0.1))
    ours = Organisation(made, Server(settings, rng=Random(3)))
    give(ours, jobs(180))
    ours.run()
    assert 180 == ours.ended()
    assert refusals(ours.server) <= (25 if told else 6)
    assert ours.now < (180 - 12) / 2 * 1.1 + 5.0
