"""Single decisions of the quota, the pace after refusals, and the reading of rate headers."""

from __future__ import annotations

from math import inf

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from penstock.admission.headers import RateReport, Told, read
from penstock.admission.quota import Never, Quota
from penstock.config import Limits
from penstock.errors import UsageError
from penstock.readings import LimitHint
from penstock.three import Three
from penstock.work import Demand

ONE = Demand(1, 1, 100)


def test_a_demand_above_a_bucket_can_never_go() -> None:
    """It is told which quantity, how much it holds and whether fewer samples would do."""
    quota = Quota(Limits(rpm=500, tpm=1000, ipm=5), 0.0)
    assert Never("images", 5.0, 10, splits=True) == quota.never(ONE.times(10))
    assert Never("tokens", 1000.0, 1200, splits=True) == quota.never(Demand(1, 4, 1200))
    assert Never("tokens", 1000.0, 2400, splits=False) == quota.never(Demand(1, 2, 2400))
    assert Never("tokens", 1000.0, 2400, splits=False) == quota.never(Demand(1, 0, 2400))
    assert Never("images", 5.0, 7, splits=True) == quota.never(Demand(1, 7, 100, inputs=4))
    assert Never("images", 5.0, 7, splits=False) == quota.never(Demand(1, 7, 100, inputs=5))
    assert quota.never(ONE.times(5)) is None
    assert Quota(Limits(), 0.0).never(Demand(1, 99, 10**9)) is None


def test_the_largest_request() -> None:
    """As many samples as the tightest capacity allows, at most those asked for, 0 where not one fits."""
    quota = Quota(Limits(tpm=1000, ipm=5), 0.0)
    assert (5, 3, 2, 0) == (
        quota.largest(ONE, 10),
        quota.largest(ONE, 3),
        quota.largest(Demand(1, 1, 500), 10),
        quota.largest(Demand(1, 1, 1001), 10),
    )
    assert 10 == Quota(Limits(), 0.0).largest(Demand(1, 1, 10**9), 10)


@given(st.integers(1, 50), st.integers(0, 4), st.integers(0, 3000), st.integers(1, 200), st.integers(1, 9000))
def test_what_largest_says_can_go(samples: int, images: int, tokens: int, ipm: int, tpm: int) -> None:
    """A request of that many samples fits every capacity, one of one more does not."""
    quota = Quota(Limits(ipm=ipm, tpm=tpm), 0.0)
    demand = Demand(1, images, tokens)
    most = quota.largest(demand, samples)
    assert 0 <= most <= samples
    assert most == 0 or quota.never(demand.times(most)) is None
    assert most == samples or quota.never(demand.times(most + 1)) is not None


def test_all_quantities_are_taken_together_and_waited_for() -> None:
    """The scarcest decides when, and is named as the reason."""
    quota = Quota(Limits(rpm=600, tpm=60_000, ipm=60, burst=1 / 60), 0.0)
    permit = quota.reserve(ONE, 0.0)
    assert 0.03 + 1.0 == pytest.approx(quota.ready_at(ONE, 0.0))
    assert "images" == quota.why(ONE, 0.0)
    assert "tokens" == quota.why(Demand(1, 0, 1000), 0.0)
    assert 0.0 == quota.ready_at(Demand(1, 0, 800), 0.0)
    with pytest.raises(UsageError):
        quota.reserve(ONE, 0.5)
    quota.settle(permit, Three.NO, 0.0)
    assert 0.0 == quota.ready_at(ONE, 0.0)


def test_the_gap_between_two_is_no_wait_that_was_asked_for() -> None:
    """What is spaced evenly waits for its pace, what was refused for the end of that."""
    quota = Quota(Limits(), 0.0)
    permits = [quota.reserve(ONE, 0.0)]
    while quota.ready_at(ONE, 0.0) <= 0.0:
        permits.append(quota.reserve(ONE, 0.0))
    assert "pace" == quota.why(ONE, 0.0)
    quota.refused(permits[0], None, 4.95, 0.05)
    assert "blocked" == quota.why(ONE, 0.1)


def test_concurrency_comes_back_once() -> None:
    """With all exchanges out only a release helps; every end frees one place, a second end raises."""
    quota = Quota(Limits(concurrency=2), 0.0)
    permits = [quota.reserve(ONE, 0.0) for _ in range(2)]
    assert (inf, "concurrency", 2) == (quota.ready_at(ONE, 0.0), quota.why(ONE, 0.0), quota.in_flight)
    quota.settle(permits[0], Three.MAYBE, 1.0)
    assert (1.0, 1) == (quota.ready_at(ONE, 1.0), quota.in_flight)
    with pytest.raises(UsageError):
        quota.settle(permits[0], Three.NO, 1.0)
    assert 1 == quota.in_flight


@pytest.mark.parametrize(("taken", "left"), [(Three.NO, 300.0), (Three.MAYBE, 299.0), (Three.YES, 299.0)])
def test_what_did_not_count_comes_back(taken: Three, left: float) -> None:
    """NO gives the rates back, MAYBE and YES keep them."""
    quota = Quota(Limits(rpm=300), 0.0)
    quota.settle(quota.reserve(ONE, 0.0), taken, 0.0)
    assert left == quota.figures(0.0).requests.level


def test_real_tokens_replace_the_estimate() -> None:
    """Fewer come back, more are taken besides."""
    for real, left in ((40, 960.0), (100, 900.0), (250, 750.0)):
        quota = Quota(Limits(tpm=1000), 0.0)
        quota.settle(quota.reserve(ONE, 0.0), Three.YES, 0.0, tokens=real)
        assert left == quota.figures(0.0).tokens.level


def test_what_ran_over_the_brim_does_not_come_back() -> None:
    """The server's bucket was full while this request was believed to be in it: giving it back must not count twice."""
    quota = Quota(Limits(rpm=600, burst=1 / 60), 0.0)
    unsent = quota.reserve(Demand(5, 0, 0), 0.0)
    quota.reserve(Demand(9, 0, 0), 0.45)
    quota.settle(unsent, Three.NO, 0.45)
    # the server was full until 0.45: it has 1 left, not the 0.2 + 5 of plain addition
    assert quota.figures(0.45).requests.level <= 1.0


def test_a_refusal_that_names_images_leaves_other_work_alone() -> None:
    """A limit of images per minute holds only what asks for images, sets its bucket right, and is obeyed."""
    quota = Quota(Limits(), 0.0)
    permit = quota.reserve(ONE, 0.0)
    quota.refused(permit, LimitHint("images", 5.0, 5.0, 1.0), 12.0, 0.1)
    quota.settle(permit, Three.YES, 0.1)
    figures = quota.figures(0.1).images
    assert (5.0, 5.0, "told") == (figures.capacity, figures.per_minute, figures.source)
    assert pytest.approx(12.1) == quota.ready_at(ONE, 0.1)
    assert "blocked" == quota.why(ONE, 0.1)
    assert 0.1 == quota.ready_at(Demand(1, 0, 100), 0.1)
    assert pytest.approx(12.1) == quota.figures(0.1).blocked_until


def test_more_than_the_limit_teaches_without_holding() -> None:
    """Requested above Limit says what the bucket holds; a smaller request may go at once."""
    quota = Quota(Limits(), 0.0)
    permit = quota.reserve(ONE.times(10), 0.0)
    quota.refused(permit, LimitHint("images", 5.0, None, 10.0), None, 0.1)
    quota.settle(permit, Three.NO, 0.1)
    assert Never("images", 5.0, 10, splits=True) == quota.never(ONE.times(10))
    assert 0.1 == quota.ready_at(ONE, 0.1)


def test_a_daily_limit_is_waited_for_and_not_taken_for_a_minute() -> None:
    """A limit of a longer window changes no bucket."""
    quota = Quota(Limits(rpm=300), 0.0)
    quota.refused(quota.reserve(ONE, 0.0), LimitHint("requests", 10_000.0, window=86_400.0), 3600.0, 0.0)
    assert (300.0, 3600.0) == (quota.figures(0.0).requests.per_minute, quota.ready_at(ONE, 0.0))


def test_bare_refusals_back_off_and_come_back() -> None:
    """Waits at least double up to a minute and more while nothing is admitted; one that was let in ends that."""
    quota, now, waits = Quota(Limits(), 0.0), 0.0, list[float]()
    for count in range(12):
        permit = quota.reserve(ONE, now)
        quota.refused(permit, None, None, now)
        quota.settle(permit, Three.YES, now)
        ready = quota.ready_at(ONE, now)
        waits.append(ready - now)
        assert waits[-1] >= min(60.0, 0.2 * 2.0**count)
        now = ready
    assert [round(wait, 6) for wait in waits] == sorted(round(wait, 6) for wait in waits)
    for _ in range(40):
        permit = quota.reserve(ONE, now)
        quota.settle(permit, Three.YES, now)
        now = quota.ready_at(ONE, now)
    assert quota.ready_at(ONE, now) - now < waits[-1]


def test_one_clump_of_refusals_is_one_event() -> None:
    """Requests that were out together and are refused together do not add up to a minute's wait."""
    quota = Quota(Limits(), 0.0, eager=True)
    for permit in [quota.reserve(Demand(), 0.0) for _ in range(3)]:
        quota.refused(permit, None, None, 0.1)
        quota.settle(permit, Three.YES, 0.1)
    assert pytest.approx(0.9) == quota.ready_at(Demand(), 0.1)
    assert "blocked" == quota.why(Demand(), 0.1)


def test_a_hint_is_obeyed_until_it_proves_worthless() -> None:
    """The wait asked for counts whole; refused again and again at that very time, the refusals cost something, too."""
    quota, now, waits = Quota(Limits(), 0.0), 0.0, list[float]()
    for count in range(8):
        permit = quota.reserve(Demand(), now)
        quota.refused(permit, None, 1.0, now)
        quota.settle(permit, Three.YES, now)
        waits.append(quota.ready_at(Demand(), now) - now)
        assert waits[-1] >= max(1.0, 0.2 * 2.0**count)
        now = quota.ready_at(Demand(), now)
    assert 1.0 == pytest.approx(waits[0])
    assert waits == sorted(waits)


@pytest.mark.parametrize("told", ["body", "headers"])
def test_a_limit_of_exchanges_is_learned_and_lifted(told: str) -> None:
    """A refusal or a header that names concurrency caps what is out; a configured figure is never exceeded."""
    quota = Quota(Limits(concurrency=6), 0.0, eager=True)
    permits = [quota.reserve(ONE, 0.0) for _ in range(6)]
    if told == "body":
        quota.refused(permits[0], LimitHint("concurrency", 4.0), None, 0.1)
    else:
        quota.heard(permits[0], RateReport(concurrency=4), 0.1)
    for permit in permits[:2]:
        quota.settle(permit, Three.YES, 0.1)
    assert (4, inf) == (quota.figures(0.1).concurrency, quota.ready_at(ONE, 0.1))
    quota.settle(permits[2], Three.YES, 0.1)
    assert 0.1 == quota.ready_at(ONE, 0.1)
    quota.heard(permits[3], RateReport(concurrency=100), 0.2)
    assert 6 == quota.figures(0.2).concurrency
    quota.relimit(Limits(concurrency=9), 0.2)
    assert 9 == quota.figures(0.2).concurrency


def test_headers_bring_an_unknown_bucket_to_life() -> None:
    """With nothing configured the first reply sets rate, capacity and level; negatives and absence say nothing."""
    quota = Quota(Limits(), 0.0)
    first, second = quota.reserve(ONE, 0.0), quota.reserve(ONE, 1.0)
    quota.heard(first, RateReport(images=Told(50.0, 30.0, 24.0)), 1.0)
    figures = quota.figures(1.0).images
    assert (50.0, 50.0, "told") == (figures.capacity, figures.per_minute, figures.source)
    # what was sent since is gone, the refill since is there: 30 - 1 + (1 - 0.03) * 50 / 60
    assert pytest.approx(29.0 + 0.97 * 50 / 60) == figures.level
    quota.heard(second, RateReport(requests=Told(), images=Told(None, None, 1.0)), 1.0)
    assert figures == quota.figures(1.0).images
    assert None is quota.figures(1.0).requests.per_minute


def test_another_configuration_keeps_what_was_learned_and_what_is_spent() -> None:
    """Only figures that changed are believed anew; what was spent of a bucket stays spent."""
    quota = Quota(Limits(rpm=300), 0.0)
    permit = quota.reserve(Demand(100, 0, 0), 0.0)
    quota.heard(permit, RateReport(images=Told(50.0, 30.0, 24.0)), 0.0)
    quota.relimit(Limits(rpm=600), 0.0)
    figures = quota.figures(0.0)
    assert (600.0, 500.0, "limit") == (figures.requests.capacity, figures.requests.level, figures.requests.source)
    assert "told" == figures.images.source
    quota.relimit(Limits(), 0.0)
    assert (None, "none") == (quota.figures(0.0).requests.per_minute, quota.figures(0.0).requests.source)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ((), None),
        ((("content-type", "x"), ("x-request-id", "1")), None),
        (
            (
                ("x-ratelimit-limit-requests", "500"),
                ("x-ratelimit-remaining-requests", "499"),
                ("x-ratelimit-reset-requests", "120ms"),
            ),
            RateReport(requests=Told(500.0, 499.0, 0.12)),
        ),
        (
            (("x-ratelimit-remaining-tokens", "554"), ("x-ratelimit-reset-tokens", "58.891s")),
            RateReport(tokens=Told(None, 554.0, 58.891)),
        ),
        ((("x-ratelimit-limit-input-images", "5"),), RateReport(images=Told(5.0))),
        ((("x-ratelimit-limit-images", "5"),), RateReport(images=Told(5.0))),
        ((("x-ratelimit-limit-project-tokens", "5"), ("x-ratelimit-limit-tokens_usage_based", "7")), None),
        ((("x-ratelimit-limit-requests", "-1"), ("x-ratelimit-remaining-requests", "-1")), None),
        ((("x-ratelimit-limit-requests", "many"),), None),
        ((("x-concurrent-limit", "8"),), RateReport(concurrency=8)),
        ((("x-concurrent-limit", "0"),), None),
        ((("x-ratelimit-reset-tokens", "1784000060"),), RateReport(tokens=Told(None, None, 60.0, 1.0))),
    ],
)
def test_rate_headers(headers: tuple[tuple[str, str], ...], expected: RateReport | None) -> None:
    """OpenAI's names are read; other buckets, negatives and nonsense are passed over."""
    assert expected == read(headers, 1_784_000_000.0)


@given(st.lists(st.tuples(st.sampled_from(("x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens",
       "x-ratelimit-reset-tokens", "x-concurrent-limit")), st.text(max_size=12) | st.integers().map(str)), max_size=5),
       st.floats(0, 1e4))  # fmt: skip
def test_any_headers_leave_a_sane_quota(headers: list[tuple[str, str]], now: float) -> None:
    """Whatever a server writes there, nothing raises, no level is NaN, and the quota can go on one day."""
    quota = Quota(Limits(tpm=1000), 0.0)
    permit = quota.reserve(ONE, 0.0)
    report = read(tuple(headers), 1_784_000_000.0)
    if report is not None:
        quota.heard(permit, report, now)
    quota.settle(permit, Three.YES, now)
    tokens = quota.figures(now).tokens
    assert tokens.level <= tokens.capacity
    assert quota.ready_at(ONE, now) < inf


def test_what_agrees_with_a_reply_stays_as_it_is() -> None:
    """A level within the bounds of a reply is not moved; one outside is moved to the nearer bound."""
    for remaining, left in ((58.0, 59.0), (59.0, 59.0), (40.0, 41.0)):
        quota = Quota(Limits(ipm=60), 0.0)
        quota.heard(quota.reserve(ONE, 0.0), RateReport(images=Told(60.0, remaining)), 0.0)
        assert left == quota.figures(0.0).images.level
    quota = Quota(Limits(ipm=60), 0.0, eager=True)
    permits = [quota.reserve(Demand(1, 10, 0), 0.0) for _ in range(3)]
    quota.settle(permits[0], Three.YES, 0.0)
    # 30 is believed; after all three 40 are there: raised by what is certain
    quota.heard(permits[2], RateReport(images=Told(60.0, 60.0)), 0.031)
    assert pytest.approx(60.0 - 20.0 + 0.001) == quota.figures(0.031).images.level


def test_the_capacity_is_the_highest_seen() -> None:
    """`remaining + reset * rate` shows a smaller bucket than a minute's: rounding hides less than one of it."""
    quota = Quota(Limits(rpm=300), 0.0)
    quota.heard(quota.reserve(ONE, 0.0), RateReport(requests=Told(300.0, 29.0, 0.2)), 0.0)
    assert (30.0, 29.0) == (quota.figures(0.0).requests.capacity, quota.figures(0.0).requests.level)
    quota.heard(quota.reserve(ONE, 0.1), RateReport(requests=Told(300.0, 28.0, 0.301)), 0.1)
    assert 30.0 == quota.figures(0.1).requests.capacity
    quota.heard(quota.reserve(ONE, 0.2), RateReport(requests=Told(300.0, 28.0, 0.5)), 0.2)
    assert 30.5 == quota.figures(0.2).requests.capacity


def test_a_bucket_that_became_another_is_believed() -> None:
    """Replies that contradict each other are of another bucket now: the last one counts."""
    quota = Quota(Limits(rpm=300), 0.0)
    quota.heard(quota.reserve(ONE, 0.0), RateReport(requests=Told(300.0, 29.0, 0.2)), 0.0)
    for at, told, capacity in ((0.1, Told(300.0, 10.0, 1.001), 15.005), (0.2, Told(300.0, 44.0, 0.201), 45.005)):
        quota.heard(quota.reserve(ONE, at), RateReport(requests=told), at)
        assert pytest.approx(capacity) == quota.figures(at).requests.capacity


def test_another_limit_keeps_the_share_of_a_minute() -> None:
    """A told limit changes the capacity in proportion: a tenth of a minute stays a tenth."""
    quota = Quota(Limits(rpm=300, burst=0.1), 0.0)
    quota.heard(quota.reserve(ONE, 0.0), RateReport(requests=Told(150.0)), 0.0)
    assert (15.0, 150.0) == (quota.figures(0.0).requests.capacity, quota.figures(0.0).requests.per_minute)


def test_a_demand_above_the_capacity_goes_when_the_bucket_is_full() -> None:
    """Whoever does not ask `never` hears the provider's own word instead of waiting for ever."""
    quota = Quota(Limits(ipm=60, burst=0.1), 0.0)
    assert 0.0 == quota.ready_at(Demand(1, 10, 0), 0.0)
    quota.reserve(Demand(1, 3, 0), 0.0)
    assert pytest.approx(3.03, abs=1e-6) == quota.ready_at(Demand(1, 10, 0), 0.0)


@pytest.mark.parametrize("name", ["rpm", "tpm", "ipm", "burst", "concurrency"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("-inf")])
def test_a_limit_under_which_nothing_is_sent(name: str, value: float) -> None:
    """Nothing a minute is a mistake that would wait for ever: it is refused when it is made, by its name."""
    with pytest.raises(UsageError, match=f"{name} must be"):
        evolve(Limits(), **{name: value})  # type: ignore[arg-type]


def test_who_says_how_many_may_be_out() -> None:
    """The lowest figure counts, with its source and age: configured, told, or learned from a refusal."""

    def said(quota: Quota, now: float) -> tuple[int | None, str, float | None]:
        figures = quota.figures(now)
        return figures.concurrency, figures.concurrency_source, figures.concurrency_age

    quota = Quota(Limits(concurrency=9), 0.0)
    assert (9, "ceiling", 2.0) == said(quota, 2.0)
    permits = [quota.reserve(ONE, max(3.0 + number, quota.ready_at(ONE, 3.0 + number))) for number in range(6)]
    quota.heard(permits[0], RateReport(concurrency=8), 10.0)
    assert (8, "told", 1.0) == said(quota, 11.0)
    quota.refused(permits[-1], LimitHint("concurrency", 5.0), None, 12.0)
    assert (5, "learned", 3.0) == said(quota, 15.0)
    quota.relimit(Limits(concurrency=4), 20.0)
    assert (4, "ceiling", 1.0) == said(quota, 21.0)
    assert (None, "none", None) == said(Quota(Limits(concurrency=None), 0.0), 5.0)
