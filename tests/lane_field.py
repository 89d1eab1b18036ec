"""Lanes of one group, without an engine: what the tests of the search for a lane stand on."""

from __future__ import annotations

from random import Random

from hypothesis import strategies as st

from penstock.admission.breaker import Breaker
from penstock.admission.headers import RateReport, Told
from penstock.admission.quota import Permit, Quota
from penstock.config import Credential, Limits
from penstock.engine.entities import Call
from penstock.engine.lanes import Common, Group, Lane, Look
from penstock.entries import Lane as LaneName
from penstock.ids import CallId
from penstock.readings import LimitHint
from penstock.three import Three
from penstock.work import Demand, Target

LIMITS = st.builds(
    Limits,
    rpm=st.sampled_from((None, 30.0, 300.0, 600.0)),
    tpm=st.sampled_from((None, 3000.0, 60_000.0)),
    ipm=st.sampled_from((None, 12.0, 60.0)),
    concurrency=st.sampled_from((1, 3, None)),
    burst=st.sampled_from((1.0, 0.2, 1 / 60)),
)
DEMANDS = (Demand(1, 1, 100), Demand(1, 4, 900), Demand(1, 2, 40), Demand(1, 0, 700), Demand(0, 1, 0))


class Counted(Quota):
    """A quota that counts how often it is asked when a demand may go."""

    asked = 0

    def ready_at(self, demand: Demand, now: float) -> float:
        """As it is."""
        Counted.asked += 1
        return super().ready_at(demand, now)


class Field:
    """A group with lanes, and what is out on them."""

    def __init__(self, limits: list[Limits], quota: type[Quota] = Quota, demands: tuple[Demand, ...] = DEMANDS) -> None:
        self.now = 0.0
        self.demands = demands
        self.group = Group("p/m", Target("p", "m", demand=demands[0]))
        self.out: list[tuple[Lane, Permit]] = []
        for number, one in enumerate(limits):
            name = f"c{number}"
            common = Common((name, "m"), one, quota(one, 0.0))
            breaker = Breaker(2 if number % 2 else None)
            lane = Lane(LaneName(name, "m"), Credential(name, "p", one), self.group, common, breaker)
            common.lanes.append(lane)
            self.group.lanes.append(lane)
            self.group.arrange(lane, 0.0)

    def call(self, demand: Demand) -> Call:
        """A call of this demand."""
        return Call(CallId(1), self.group, Target("p", "m", demand=demand), [], 0.0)

    def look(self, call: Call, now: float) -> Look:
        """What the group finds for a call."""
        return self.group.look(call, call.demand(), now)

    def serve(self, lane: Lane, demand: Demand) -> None:
        """One attempt that is answered at once."""
        permit = lane.take(demand, self.now)
        lane.quota.settle(permit, Three.YES, self.now)
        lane.breaker.back(self.now)
        lane.breaker.alive(self.now)
        self.group.arrange(lane, self.now)

    def step(self, rng: Random) -> None:
        """Time passes, and something happens to a lane."""
        self.now += rng.choice((0.0, 0.01, 0.3, 7.0))
        if self.out and rng.random() < 0.5:
            lane, permit = self.out.pop(rng.randrange(len(self.out)))
            self.hear(rng, lane, permit)
            lane.quota.settle(permit, rng.choice(tuple(Three)), self.now, rng.choice((None, 10, 2000)))
            lane.breaker.back(permit.sent)
            self.group.arrange(lane, self.now)
            return
        call = self.call(rng.choice(self.demands))
        found = self.look(call, self.now)
        if found.lane is not None:
            self.out.append((found.lane, found.lane.take(call.demand(), self.now)))
            self.group.arrange(found.lane, self.now)

    def hear(self, rng: Random, lane: Lane, permit: Permit) -> None:
        """What a reply teaches: headers, a refusal, an error, or nothing."""
        choice = rng.randrange(6)
        if choice == 0:
            lane.quota.heard(permit, RateReport(images=Told(60.0, float(rng.randrange(20)), 3.0)), self.now)
        elif choice == 1:
            hint = rng.choice((None, LimitHint("images", 12.0), LimitHint("concurrency", 2.0)))
            lane.quota.refused(permit, hint, rng.choice((None, 2.0)), self.now)
        elif choice == 2:
            lane.breaker.error(permit.sent, self.now, 0.5)
        else:
            lane.breaker.alive(self.now)
