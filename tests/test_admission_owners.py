"""Keys of one organization of which nobody said so: refusals that name it have them share its limit."""

from __future__ import annotations

from random import Random

import pytest
from attrs import evolve

from penstock.admission.bucket import Gauge
from penstock.admission.family import Family
from penstock.admission.quota import Quota
from penstock.admission.sharing import divide
from penstock.config import Ambiguity, Config, Credential, Limits
from penstock.events import Reconfigured
from penstock.ids import Handle, Key
from penstock.outcomes import Status
from penstock.readings import LimitHint
from penstock.simulation.server import Latency, Server, ServerLimits, ServerSettings
from penstock.simulation.world import Delays, World
from penstock.wire._problems import limit_hint
from penstock.work import Demand, OnAmbiguous, Target, Work

CONFIG = Config(ambiguity=Ambiguity(OnAmbiguous.RETRY), patience=None)
RPM, RATE = 300.0, 5.0
DEMAND = Demand()

ONCE = 2.0
"""Seconds that a run may lose once, until it is known what is shared."""


def world(keys: int, count: int, *, charged: bool, organizations: int = 1, seed: int = 1) -> World:
    """So many keys, which belong to so many organizations in turn; a bucket holds a second's worth."""
    settings = ServerSettings(
        limits=ServerLimits(rpm=RPM, burst=1 / 60),
        latency=Latency(0.05, 0.0),
        charged_refusals=charged,
        headers=False,
        owners=tuple((f"key-{key}", f"org-{key % organizations}") for key in range(keys)),
    )
    config = evolve(CONFIG, credentials=tuple(Credential(f"key-{key}") for key in range(keys)))
    made = World(
        config,
        Server(settings, rng=Random(f"server {seed}")),
        rng=Random(f"engine {seed}"),
        delays=Delays(up=(0.005, 0.02), down=0.01),
        ways=Random(f"ways {seed}"),
    )
    for number in range(count):
        made.submit(work(number))
    return made


def work(number: int) -> Work:
    """One request of one picture."""
    return Work((Target("default", "m", (Key(f"{number}"),), Demand(1, 1, 0), 1000, 1000),), Handle(number))


def ended(made: World) -> tuple[float, int]:
    """When all was made, and how many refusals came before."""
    outcomes = made.run()
    assert {Status.COMPLETED} == {one.status for one in outcomes.values()}
    return made.now, made.bare.snapshot().counters.get("rate_refusals", 0)


@pytest.mark.parametrize("charged", [False, True])
@pytest.mark.parametrize("keys", [1, 2, 3])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_keys_of_one_organization_make_use_of_its_limit(keys: int, seed: int, *, charged: bool) -> None:
    """However many there are, they are done about when one key would be, after a handful of refusals each."""
    seconds, refusals = ended(world(keys, 120, charged=charged, seed=seed))
    assert (seconds - ONCE) * RATE / (120 - RATE) < 1.04
    assert refusals <= 6 * keys


@pytest.mark.parametrize("charged", [False, True])
def test_two_organizations_stay_apart(*, charged: bool) -> None:
    """Each has its own limit, and two keys of one share that of none other."""
    seconds, refusals = ended(world(4, 240, charged=charged, organizations=2))
    assert (seconds - ONCE) * RATE / (120 - RATE) < 1.08
    assert refusals <= 6 * 4


def test_who_is_alone_again_has_all_of_it() -> None:
    """One of two keys is removed halfway: the other goes on at the whole rate."""
    made = world(2, 240, charged=False)
    made.run_until(20.0)
    assert {RPM} == {lane.quota.requests.per_minute for lane in made.bare.snapshot().lanes}
    made.later(0.0, Reconfigured(evolve(CONFIG, credentials=(Credential("key-0"),))))
    seconds, refusals = ended(made)
    assert (seconds - ONCE) * RATE / (240 - RATE) < 1.04
    assert refusals <= 6 * 2


@pytest.mark.parametrize("limits", [Limits(rpm=RPM, burst=1 / 60), Limits(rpm=RPM / 2, burst=1 / 60), Limits()])
def test_keys_that_are_limited_anew_share_again(limits: Limits) -> None:
    """Whatever is said of them halfway, a few refusals each and they go by their shares."""
    made = world(2, 400, charged=True)
    made.run_until(20.0)
    keys = tuple(Credential(f"key-{key}", limits=limits) for key in range(2))
    made.later(0.0, Reconfigured(evolve(CONFIG, credentials=keys)))
    seconds, refusals = ended(made)
    assert (seconds - 2 * ONCE) * RATE / (400 - RATE) < 1.04
    assert refusals <= 12 * 2


def test_what_was_shared_is_whole_when_it_is_limited_anew() -> None:
    """A bucket of which another limit is said holds no more than that, whether siblings stay or go."""
    family, hint = Family(), LimitHint("requests", RPM, owner="org-a")
    first, second = (Quota(Limits(rpm=RPM), 0.0, family=family) for _ in range(2))
    now = 0.0
    for quota in (first, second, first, second):
        now = max(now, quota.ready_at(DEMAND, now))
        quota.refused(quota.reserve(DEMAND, now), hint, 0.1, now)
        now += 1.0
    assert [0.5, 0.5] == [quota._requests.others.share for quota in (first, second)]
    first.relimit(Limits(rpm=2 * RPM), now)
    assert [1.0, 1.0] == [quota._requests.others.share for quota in (first, second)]
    assert not first.close(now)
    assert (2 * RPM, 2 * RATE) == (first.figures(now).requests.capacity, first._requests.rate)


def test_a_key_that_is_refused_leaves_its_share_to_the_others() -> None:
    """A rejected key takes nothing more, so what it had is theirs."""
    family, first, second, third = Family(), Shares(), Shares(), Shares()
    owned = (0, 60.0, "org-a")
    assert not family.hears(first, owned, 0.0, surprised=True)
    assert not family.hears(second, owned, 0.0, surprised=False)
    assert ([], []) == (first.heard, second.heard)
    assert family.hears(first, owned, 0.0, surprised=True)
    assert family.hears(third, owned, 0.0, surprised=False)
    assert ([1 / 2, 1 / 3], [1 / 2, 1 / 3], [1 / 3]) == (first.heard, second.heard, third.heard)
    assert not family.hears(first, owned, 0.0, surprised=True)
    assert not family.hears(first, (1, 60.0, "org-a"), 0.0, surprised=True)
    assert family.leaves(third, 0.0)
    assert family.leaves(second, 0.0)
    assert (1.0, 1.0, 1.0) == (first.heard[-1], second.heard[-1], third.heard[-1])
    assert not family.leaves(first, 0.0)


class Shares:
    """A quota that only keeps what share it is told to go by."""

    def __init__(self) -> None:
        self.heard: list[float] = []

    def divide(self, index: int, window: float, share: float, now: float) -> None:
        """The share from now on."""
        assert (0, 60.0, 0.0) == (index, window, now)
        self.heard.append(share)


def test_a_share_is_one_of_all_that_a_bucket_is() -> None:
    """Rate, level and what it holds are divided, but for what the largest request needs, and come back whole."""
    gauge = Gauge(0.0)
    gauge.learn(RPM, 0.0)
    gauge.level, gauge.capacity, gauge.largest = 30.0, 60.0, 25.0
    divide(gauge, 0.5, 0.0)
    assert (2.5, 15.0, 30.0) == (gauge.rate, gauge.level, gauge.capacity)
    divide(gauge, 0.25, 0.0)
    assert (1.25, 7.5, 25.0) == (gauge.rate, gauge.level, gauge.capacity)
    divide(gauge, 1.0, 0.0)
    assert (5.0, 30.0, 300.0) == (gauge.rate, gauge.level, gauge.figures(0.0).per_minute)


@pytest.mark.parametrize(
    ("words", "owner"),
    [
        ("for m in organization org-Ab1_c on requests per min", "org-Ab1_c"),
        ("for model `m` in organization `org_01h` service tier `on_demand` on requests per minute (RPM)", "org_01h"),
        ("for m in project proj_9 organization org-1 on tokens per min (TPM)", "proj_9/org-1"),
        ("for m in your organization on requests per min", ""),
        ("for m on requests per min", ""),
    ],
)
def test_whose_limit_it_is(words: str, owner: str) -> None:
    """The organization, and the project where it is that of one; nothing where neither has a name."""
    found = limit_hint(f"Rate limit reached {words}: Limit 300, Used 300, Requested 1. See org-elsewhere.")
    assert found is not None
    assert owner == found.owner
