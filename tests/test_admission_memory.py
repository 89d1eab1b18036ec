"""What a quota keeps in mind from one question to the next: never what is no longer so."""

from __future__ import annotations

from random import Random

from attrs import define, evolve, field
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.admission.headers import DAY, MINUTE, RateReport, Told
from penstock.admission.pace import SHORTEST
from penstock.admission.quota import Permit, Quota
from penstock.admission.taking import planned
from penstock.config import Limits
from penstock.lessons import Use
from penstock.readings import LimitHint
from penstock.three import Three
from penstock.work import Demand

LIMITS = (
    Limits(),
    Limits(rpm=60.0, burst=0.05),
    Limits(rpm=300.0, tpm=40_000.0, ipm=120.0, burst=0.1),
    Limits(rpm=600.0, ipm=600.0, burst=1 / 60, concurrency=3, ceiling=True),
    Limits(rpm=120.0, ipd=5.0),
    Limits(rpm=60_000.0),
)
DEMANDS = (Demand(), Demand(1, 1, 0), Demand(1, 2, 2000))
REPORTS = {
    "told": RateReport(Told(100.0, 3.0, 2.0), Told(20_000.0, 500.0, 1.0), concurrency=2),
    "told of a day": RateReport(others=((0, DAY, Told(200.0, 1.0, 5.0)),)),
    "told of nothing left": RateReport(plain=Told(50.0, 0.0, 4.0)),
}
REFUSALS: dict[str, tuple[LimitHint | None, float | None]] = {
    "named": (LimitHint("requests", 30.0), 1.5),
    "named of a second": (LimitHint("requests", 5.0, window=1.0), 0.3),
    "too many at a time": (LimitHint("concurrency", 2.0), 0.4),
    "hint": (None, 0.7),
    "bare": (None, None),
}
ENDS = ("others", "shared", "unsent", "answered", "cheaper", "failed", *REPORTS, *REFUSALS)


@define
class Story:
    """A quota to which things happen. `last` is the demand that was asked for last, always the same object."""

    quota: Quota
    now: float = 0.0
    last: Demand = DEMANDS[0]
    out: list[Permit] = field(factory=list[Permit])

    def happen(self, what: str, which: int) -> None:
        """One thing, now; a request that is not ready does not go."""
        if what == "send":
            self.last = DEMANDS[which % len(DEMANDS)]
            if self.quota.ready_at(self.last, self.now) <= self.now:
                self.out.append(self.quota.reserve(self.last, self.now))
        elif what == "others":
            self.quota.drawn(Use("images", DAY, 1.0, 5.0 / 1440.0), self.now)
        elif what == "share":
            self.quota.divide(which % 3, 60.0, (0.5, 1.0)[which % 2], self.now)
        elif what == "shared":
            self.quota.divide(which % 3, MINUTE, (0.5, 0.25, 1.0)[which % 7 % 3], self.now)
        elif what == "relimit":
            self.quota.relimit(LIMITS[which % len(LIMITS)], self.now)
        elif what in REPORTS and self.out:
            self.quota.heard(self.out[which % len(self.out)], REPORTS[what], self.now)  # its head: the rest is to come
        elif self.out:
            self.end(self.out.pop(which % len(self.out)), what)

    def end(self, permit: Permit, how: str) -> None:
        """A request is over."""
        if how in REFUSALS:
            self.quota.refused(permit, *REFUSALS[how], self.now)
        if how == "failed":
            self.quota.failed(permit, self.now)
        taken = {"unsent": Three.NO, "failed": Three.MAYBE}.get(how, Three.YES)
        self.quota.settle(permit, taken, self.now, permit.demand.tokens // 2 if how == "cheaper" else None)


@settings(max_examples=250, deadline=None)
@given(seed=st.integers(0, 10**6), limits=st.sampled_from(LIMITS), eager=st.booleans(), calm=st.booleans())
def test_an_answer_that_is_kept_is_the_one_that_is_found(seed: int, limits: Limits, *, eager: bool, calm: bool) -> None:
    """Whatever happens, who asks again with the same demand hears what an equal one hears that nobody asked for yet.

    `calm`: nothing is refused.
    """
    story, rng = Story(Quota(limits, 0.0, eager=eager)), Random(seed)
    ends = [end for end in ENDS if not (calm and end in REFUSALS)]
    for _ in range(150):
        what = rng.choice(("send", "send", "send", rng.choice(ends), rng.choice(ends)))
        story.happen(rng.choice(("relimit", "share")) if rng.random() < 0.06 else what, rng.randrange(60))
        story.now += rng.random() * rng.choice((0.0, 0.01, 0.1))  # too short for a higher rate to be tried out
        kept = story.quota.ready_at(story.last, story.now)
        assert story.quota.ready_at(evolve(story.last), story.now) == kept
        assert story.quota.ready_at(story.last, story.now) == kept
        assert story.quota.never(evolve(story.last)) == story.quota.never(story.last)
        pace, plan = story.quota._pace, story.quota._plan
        assert max(SHORTEST, min(pace.horizon, pace.slowest)) == pace.span
        assert max(pace.blocked, pace.next, pace.rest) == pace.opens
        if plan is not None:
            assert all(gauge.unit == need for gauge, need in plan.needs if need)
            fresh = planned(plan.demand, story.quota._refusals)
            assert (fresh.needs, fresh.sure, fresh.trusts) == (plan.needs, plan.sure, plan.trusts)


def test_that_one_demand_fits_says_nothing_of_another() -> None:
    """A demand is as much too large after one that is small enough as before it."""
    quota = Quota(Limits(tpm=1000.0), 0.0)
    small, large = Demand(1, 1, 100), Demand(1, 1, 2000)
    never = quota.never(large)
    assert never is not None
    assert [None, never, None] == [quota.never(small), quota.never(large), quota.never(small)]
