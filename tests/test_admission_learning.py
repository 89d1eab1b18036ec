"""Rates learned from refusals, how many may be at risk or out at a time, further walls, and what is kept for later."""

from __future__ import annotations

from math import inf
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.admission.family import Family
from penstock.admission.headers import DAY, RateReport, Told, read
from penstock.admission.learning import ERROR, FIRST_TAU, LAST_TAU, Empty, Learner
from penstock.admission.pace import Pace
from penstock.admission.permits import WallFigures
from penstock.admission.quota import Never, Quota
from penstock.config import Limits
from penstock.lessons import Lesson, Lessons
from penstock.readings import LimitHint
from penstock.three import Three
from penstock.work import Demand
from tests.test_admission import Run, Server

RATES = st.sampled_from((0.1, 1.0, 5.0, 50.0))


@settings(max_examples=150)
@given(RATES, st.booleans(), st.integers(2, 12), st.integers(0, 2**32))
def test_bounds_hold_the_true_rate(rate: float, exact: bool, count: int, seed: int) -> None:
    """While a rate stands and nothing runs over, the bounds learned hold it, and each refusal narrows them."""
    rng, learner = Random(seed), Learner()
    time, spent, width = 0.0, 0.0, inf
    for _ in range(count):
        time += 0.5 + rng.random() * 20.0
        # just so much was let in that less than one is there now
        spent = float(int(time * rate))
        left = time * rate - spent
        wait = (1.0 - left) / rate if exact else 0.0
        learner.empty(Empty(time + wait, spent, 1.0, exact))
        low, high = learner.state.low, learner.state.high
        assert low <= rate + 1e-9
        assert high >= rate - 1e-9
        assert high - low <= width
        width = high - low
    assert 0 == learner.state.strikes
    assert FIRST_TAU <= learner.state.tau <= LAST_TAU


@given(RATES, st.sampled_from((0.25, 0.5, 2.0, 4.0)))
def test_another_rate_is_noticed(rate: float, factor: float) -> None:
    """Bounds that contradict each other are a strike, and the rate that is then believed is about the new one."""
    learner, spent = Learner(), 0.0
    for number in range(1, 30):
        spent += 4.0
        time = number * 4.0 / rate if number < 10 else (9 * 4.0 + (number - 9) * 4.0 / factor) / rate
        learner.empty(Empty(time, spent, 1.0, exact=True))
        if number == 9:
            assert pytest.approx(rate, rel=0.4) == learner.rate
    assert learner.state.strikes >= (1 if rate < 10 else 0)
    assert pytest.approx(rate * factor, rel=0.4) == learner.rate


def test_hints_show_whether_refusals_take_quota() -> None:
    """The same refusals tell one rate if they are counted, and another if they are not."""
    for charged in (True, False):
        learner, spent, served = Learner(), 0.0, 0.0
        for number, refusals in enumerate((1, 4, 1, 6, 2), 1):
            span = 10.0 * number
            cost = float(refusals)
            served += span * 1.0 - (cost if charged else 0.0)
            learner.empty(Empty(sum(10.0 * n for n in range(1, number + 1)), spent + served, 1.0, exact=True))
            for _ in range(refusals):
                learner.refused(1.0)
                spent += 1.0
        assert learner.charges is not (not charged)


def test_a_cluster_begins_with_the_earliest_sent() -> None:
    """Refusals are heard in any order: what is learned is as if the one that was sent first had been heard first."""
    learned = []
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
        learner = Learner()
        learner.empty(Empty(0.0, 0.0, 1.0, exact=False))
        learner.refused(1.0)
        first = None
        for place in order:
            at = Empty(10.0 + place * 0.05, 51.0 + place, 1.0, exact=False)
            if first is None:
                learner.empty(at)
            elif place < first:
                learner.earlier(at)
            learner.refused(1.0)
            first = place if first is None else min(first, place)
        learned.append((learner.state.low, learner.state.high, learner.state.since))
    assert 1 == len(set(learned))


def test_what_ran_over_says_only_that_it_gave_no_less() -> None:
    """A bucket that may have been full in between lowers no upper bound."""
    learner = Learner()
    for time in (0.0, 10.0, 20.0, 30.0):
        learner.empty(Empty(time, 5.0 * time, 1.0, exact=False))
    high = learner.state.high
    learner.empty(Empty(90.0, 5.0 * 31.0, 1.0, exact=False, full=True))
    assert high == learner.state.high
    assert learner.state.low <= 5.0


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("refused", [0, 1])
def test_a_lower_bound_that_excuses_itself_is_dropped(refused: int, again: bool) -> None:
    """A bucket of 2.5 a second believed to give 3.25 at least: refusals that teach nothing show that it does not.

    What is believed to have run over the brim would explain each of them. Who is never refused keeps his bounds. One
    more that comes before anything is let in (`again`) does not make what they show forgotten.
    """
    learner, spent, now = Learner(burst=(6.0, 0.0)), 0.0, 0.0
    learner.empty(Empty(0.0, 0.0, 1.0, exact=False))
    learner.bounded(3.25, 3.6)
    for _ in range(6 * refused):
        learner.refused(1.0)
        for place in range(1, 6):
            learner.sent(1.0, 3.4, now + place / 3.0)
        spent, now = spent + 6.0, now + 2.0
        learner.empty(Empty(now, spent, 1.0, exact=False, idle=learner.idle))
        if again and refused:
            learner.refused(1.0)
            spent, now = spent + 1.0, now + 0.1
            learner.empty(Empty(now, spent, 1.0, exact=False, idle=learner.idle))
    assert (learner.state.low <= 2.5 <= learner.state.high) is bool(refused)
    assert 0 == learner.state.strikes


@given(st.floats(0.1, 20.0), st.integers(1, 8), st.floats(1.1, 4.0), st.floats(0.5, 0.99), st.booleans())
def test_a_bucket_of_one_request_may_have_run_over(
    rate: float, count: int, pause: float, early: float, second: bool
) -> None:
    """What was let in by a bucket that was full before each request says nothing of how fast it fills at most."""
    learner, spent, now = Learner(), 1.0, 0.0
    learner.empty(Empty(0.0, 0.0, 1.0, exact=False))
    learner.refused(1.0)
    for _ in range(1 + second):
        behind = now
        for _ in range(count):
            behind = now = now + pause / rate
            learner.sent(1.0, 0.5 * rate, now)
            spent += 1.0
        now += early / rate
        learner.empty(Empty(now, spent, 1.0, exact=False, idle=learner.idle, behind=behind))
        learner.refused(1.0)
        spent += 1.0
        if early / rate > 4.0 * ERROR:  # of what comes sooner ways tell nothing
            assert learner.state.high >= rate
        now += 1.0 / rate
    assert 0 == learner.state.strikes


@given(st.integers(1, 11), st.floats(0.0, 0.2))
def test_rests_double(barren: int, late: float) -> None:
    """After n refusals in a row with nothing let in the next try is min(60, 0.2 * 2**n) seconds away, or more."""
    pace, now = Pace(), 0.0
    for count in range(1, barren + 1):
        pace.sent(now, 0.0, None)
        now += late + 0.01
        assert pace.refused(now - late - 0.01, now)
        if count > 1:
            assert pace.opens >= now + min(60.0, 0.2 * 2.0**count)
        now = max(now, pace.opens) + 0.001
    pace.admitted(now)
    assert 0 == pace.barren


def test_few_are_at_risk() -> None:
    """What is sent within the time that a refusal takes is bounded at first, and grows with what is let in."""
    pace, now, sends = Pace(), 0.0, list[float]()
    for _ in range(2000):
        now = max(now, pace.opens)
        pace.sent(now, 0.0, None)
        sends.append(now)
    for start, most in ((0, 6), (100, 9), (1000, 40)):
        within = sum(sends[start] <= at < sends[start] + pace.span for at in sends)
        assert within <= most
    eager = Pace(eager=True)
    assert eager.free()
    eager.refused(0.0, 0.1)
    assert not eager.free()


@settings(max_examples=60, deadline=None)
@given(
    limit=st.sampled_from((60.0, 300.0)),
    burst=st.sampled_from((1.0, 0.1)),
    charges=st.booleans(),
    names=st.booleans(),
    hints=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_nothing_is_believed_that_cannot_be(
    limit: float, burst: float, charges: bool, names: bool, hints: bool, seed: int
) -> None:
    """Without headers: all is sent, levels are numbers below their capacity, and refusals stay few."""
    server = Server((limit, None, None), burst, charges=charges)
    run = Run(Quota(Limits(), 0.0), server, [Demand(1, 0, 10)] * 200, Random(seed), names=names, hints=hints)
    last = run.go(until=3600.0)
    assert last < 3600.0
    assert (200, 0) == (server.admitted, run.quota.in_flight)
    figures = run.quota.figures(run.now)
    for gauge in (figures.requests, figures.tokens, figures.images):
        assert gauge.level <= gauge.capacity + 1e-6
        assert gauge.source in {"none", "told", "learned"}
    assert server.refused <= 60


def test_headers_are_not_overruled() -> None:
    """A refusal that headers do not explain shows a wall of its own: what they tell stays as it is."""
    quota, now = Quota(Limits(), 0.0, eager=True), 0.0
    told = RateReport(requests=Told(300.0, 290.0, 2.0), images=Told(300.0, 290.0, 2.0))
    quota.heard(quota.reserve(Demand(1, 1, 0), now), told, now)
    refused = quota.reserve(Demand(1, 1, 0), now)
    quota.heard(refused, told, now)
    quota.refused(refused, None, 0.2, now)
    figures = quota.figures(now)
    assert (300.0, "told") == (figures.images.per_minute, figures.images.source)
    assert [("images", 0.0)] == [(wall.quantity, wall.window) for wall in figures.walls]
    assert quota.ready_at(Demand(1, 1, 0), now) >= 0.2


def test_days_are_walls_beside_the_minute() -> None:
    """Limits a day hold together with those of a minute; more than one holds can never go; refunds reach it, too."""
    quota = Quota(Limits(rpm=600, rpd=3, ceiling=True), 0.0, eager=True)
    permits = [quota.reserve(Demand(), 0.0) for _ in range(3)]
    assert pytest.approx(DAY / 3, abs=1.0) == quota.ready_at(Demand(), 0.0)
    assert "requests" == quota.why(Demand(), 0.0)
    assert Never("requests", 3.0, 4, splits=False) == quota.never(Demand(4))
    quota.settle(permits[0], Three.NO, 0.0)
    assert 0.0 == quota.ready_at(Demand(), 0.0)
    wall = quota.figures(0.0).walls[0]
    assert ("requests", DAY, "ceiling") == (wall.quantity, wall.window, wall.gauge.source)
    assert pytest.approx(3.0 / 1440.0) == wall.gauge.per_minute


def test_a_daily_refusal_names_its_wall() -> None:
    """A body that names a limit a day is obeyed and kept; the minute's rate stays as it was."""
    quota = Quota(Limits(rpm=300), 0.0)
    quota.refused(quota.reserve(Demand(), 0.0), LimitHint("requests", 10_000.0, window=DAY), 3600.0, 0.0)
    assert 3600.0 <= quota.ready_at(Demand(), 0.0) <= 3700.0
    assert 300.0 == quota.figures(0.0).requests.per_minute
    assert [DAY] == [wall.window for wall in quota.figures(0.0).walls]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (  # Groq: requests are a day's, 30 of 14,400 used
            {"x-ratelimit-limit-requests": "14400", "x-ratelimit-remaining-requests": "14370",
             "x-ratelimit-reset-requests": "2m59.56s", "x-ratelimit-limit-tokens": "6000",
             "x-ratelimit-remaining-tokens": "5234", "x-ratelimit-reset-tokens": "7.66s"},
            RateReport(tokens=Told(6000.0, 5234.0, 7.66), others=((0, DAY, Told(14400.0, 14370.0, 179.56)),)),
        ),
        (  # the window behind the name
            {"x-ratelimit-limit-requests-day": "1000", "x-ratelimit-remaining-requests-day": "999",
             "x-ratelimit-limit-tokens-minute": "60000"},
            RateReport(tokens=Told(60000.0), others=((0, DAY, Told(1000.0, 999.0)),)),
        ),
        (  # Anthropic: moments in whole seconds
            {"anthropic-ratelimit-requests-limit": "50", "anthropic-ratelimit-requests-remaining": "49",
             "anthropic-ratelimit-requests-reset": "2026-07-14T03:33:22Z"},
            RateReport(requests=Told(50.0, 49.0, 2.0, 1.0)),
        ),
        (  # OpenRouter: no quantity, epoch milliseconds
            {"x-ratelimit-limit": "20", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1784000012000"},
            RateReport(plain=Told(20.0, 0.0, 12.0)),
        ),
        ({"x-ratelimit-limit-tokens": "-1", "anthropic-ratelimit-tokens-reset": "soon"}, None),
    ],
)  # fmt: skip
def test_headers_of_other_servers(headers: dict[str, str], expected: RateReport | None) -> None:
    """Windows in the name, a day that only its time to full betrays, moments, epochs; nonsense says nothing."""
    assert expected == read(tuple(headers.items()), 1_784_000_000.0)


def test_an_end_without_quantity_is_waited_for() -> None:
    """Once nothing remains, nothing goes before the end that is told; before that it says nothing."""
    quota = Quota(Limits(), 0.0)
    permit = quota.reserve(Demand(), 0.0)
    quota.heard(permit, RateReport(plain=Told(20.0, 5.0, 12.0)), 0.1)
    assert quota.ready_at(Demand(), 0.2) < 1.0
    quota.heard(permit, RateReport(plain=Told(20.0, 0.0, 12.0)), 0.1)
    assert pytest.approx(12.1) == quota.ready_at(Demand(), 0.2)


def test_lessons_begin_warm() -> None:
    """What was told and learned is kept with source and age, and believed by the next run, never above a ceiling."""
    quota = Quota(Limits(), 0.0)
    permit = quota.reserve(Demand(1, 1, 0), 0.0)
    quota.heard(permit, RateReport(requests=Told(300.0, 29.0, 0.2)), 1.0)
    lessons = quota.lessons(61.0)
    assert Lessons((Lesson("requests", 300.0, 30.0, 60.0, "told", 60.0),)) == lessons
    warm = Quota(Limits(), 1000.0, lessons).figures(1000.0).requests
    assert (300.0, 30.0, 30.0, "learned", 60.0) == (
        warm.per_minute, warm.capacity, warm.level, warm.source, warm.age,
    )  # fmt: skip
    held = Quota(Limits(rpm=60, ceiling=True), 0.0, lessons).figures(0.0).requests
    assert (60.0, 30.0) == (held.per_minute, held.capacity)
    old = Lessons((Lesson("requests", 300.0, age=DAY + 1.0), Lesson("pixels", 3.0)), concurrency=4, age=5.0)
    figures = Quota(Limits(), 0.0, old).figures(0.0)
    assert (None, 4, ()) == (figures.requests.per_minute, figures.concurrency, figures.walls)
    day = Quota(Limits(), 0.0, Lessons((Lesson("images", 1.0, 1440.0, DAY, "told", 0.0),))).figures(0.0).walls
    assert isinstance(day[0], WallFigures)
    assert ("images", DAY, 1.0) == (day[0].quantity, day[0].window, day[0].gauge.per_minute)


def test_siblings_tell_each_other() -> None:
    """A key whose limit is not known begins with what another one of its provider learned."""
    family = Family()
    family.rates[2] = (4.9, 5.1)
    quota = Quota(Limits(), 0.0, family=family, eager=True)
    permit = quota.reserve(Demand(1, 1, 0), 0.0)
    quota.refused(permit, None, None, 0.1)
    assert pytest.approx(5.1 * 60.0) == quota.figures(0.1).images.per_minute


def test_a_ceiling_is_never_tried() -> None:
    """A belief that holds for long is tried a little above itself; a ceiling never, whatever it is told."""
    rates = {}
    for ceiling in (False, True):
        quota, now = Quota(Limits(rpm=60, burst=1 / 60, ceiling=ceiling), 0.0), 0.0
        for _ in range(60):
            now = max(now, quota.ready_at(Demand(), now))
            quota.settle(quota.reserve(Demand(), now), Three.YES, now)
        rates[ceiling] = 59.0 / now
        if ceiling:
            quota.heard(quota.reserve(Demand(), now + 9.0), RateReport(requests=Told(600.0, 9.0)), now + 9.0)
            assert 60.0 == quota.figures(now + 9.0).requests.per_minute
    assert rates[True] <= 1.0 < rates[False]


@given(st.integers(0, 4_000), st.integers(0, 9))
def test_what_was_learned_counts_as_it_was_learned(real: int, until: int) -> None:
    """A rate of estimated tokens is kept by estimates, whatever the pictures took: one a second goes."""
    kept = Lessons((Lesson("tokens", 60_000.0, 2_000.0, 60.0, "learned", 0.0),))
    quota, demand, now, served = Quota(Limits(), 0.0, kept, eager=True), Demand(1, 1, 1_000), 0.0, 0
    while (now := max(now, quota.ready_at(demand, now))) <= until + 0.5:
        quota.settle(quota.reserve(demand, now), Three.YES, now, tokens=real)
        served += 1
    assert until == served
