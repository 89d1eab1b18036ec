"""Rates: no burst beyond what was said, whichever window is looked at; what replies say of them is read rightly."""

from __future__ import annotations

from random import Random

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.commands import Finish, Send
from penstock.config import Config, Credential, Limits
from penstock.events import Responded
from penstock.outcomes import Status
from penstock.readings import LimitHint, Part, Problem, Success, Usage
from penstock.simulation.server import Latency, ServerLimits, ServerSettings, Wall
from penstock.simulation.world import Delays
from penstock.work import Demand
from tests.field.admission import SILENT, Watched, busiest, config, give, jobs, keys, refusals, watched
from tests.histories.bench import Bench

EPOCH = 1_790_000_000


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from((30.0, 60.0, 600.0)),
    st.sampled_from((1 / 60, 0.1, 0.5)),
    st.lists(st.tuples(st.floats(0.0, 20.0), st.integers(1, 40)), min_size=1, max_size=12),
)
def test_bursts_of_twice_the_rate(rpm: float, burst: float, load: list[tuple[float, int]]) -> None:
    """Aiolimiter 90 and 298, plausible 6497: twice the limit around the edge of a window, or after a pause.

    Whoever sets a ceiling finds at most what the bucket holds and what it refills in any window of any length, however
    the work comes, at a provider that would take everything.
    """
    limits = Limits(rpm=rpm, burst=burst, ceiling=True)
    made = watched(config(*keys(1, limits)))
    made._up = made._down = lambda: 0.0
    number = 1
    for gap, count in load:
        made.run_until(made.now + gap)
        give(made, jobs(count, first=number))
        number += count
    made.run()
    assert number - 1 == made.ended()
    holds = max(1.0, rpm * burst)
    for span in (0.01, 0.5, 1.0, 3.7, 10.0, 60.0, 90.0):
        assert busiest(made.arrivals, span) <= holds + rpm / 60.0 * span + 1.001


@pytest.mark.parametrize("burst", [1 / 60, 0.1, 1.0])
@pytest.mark.parametrize(("ceiling", "most"), [(True, 0), (False, 8)])
def test_a_limit_that_is_known_is_run_into(burst: float, ceiling: bool, most: int) -> None:
    """Aiolimiter 298, at a provider that means it and says nothing: nothing is refused, and nothing lies idle.

    A belief may be tried now and then, a ceiling never.
    """
    limits = Limits(rpm=120, burst=burst, ceiling=ceiling)
    made = watched(config(*keys(1, limits)), SILENT, ServerLimits(rpm=120, burst=max(burst, 1 / 30)))
    give(made, jobs(240))
    made.run()
    assert 240 == made.ended()
    assert refusals(made.server) <= most
    assert made.now < (240 - 120 * burst) / 2.0 * 1.05 + 3.0


@pytest.mark.parametrize("windows", [Wall("requests", 5, 1.0), Wall("requests", 30, 10.0)])
def test_a_minute_is_counted_in_seconds(windows: Wall) -> None:
    """Azure counts a minute in buckets of a second or ten: who spreads by minutes is refused again and again."""
    settings = ServerSettings(ServerLimits(rpm=300, walls=(windows,)), Latency(0.3, 0.25), names=False)
    made = watched(config(*keys(1)), settings)
    give(made, jobs(300))
    made.run()
    least = (300 - windows.amount) / (windows.amount / windows.seconds)
    assert 300 == made.ended()
    assert made.now < least * 1.1 + 5.0
    assert refusals(made.server) <= 45


class Windows(Watched):
    """A provider that counts by the minute of the clock: 30 in each, and says how long that minute lasts."""

    limit = 30

    def _arrived(self, send: Send) -> None:
        minute = int(self.now // 60)
        counts: dict[int, int] = self.__dict__.setdefault("counts", {})
        counts[minute] = counts.get(minute, 0) + 1
        if counts[minute] <= self.limit:
            super()._arrived(send)
            return
        self._going.discard(send.attempt)
        self.server.books.rejected["requests"] = self.server.books.rejected.get("requests", 0) + 1
        left = (minute + 1) * 60 - self.now
        problem = Problem("rate_limit_exceeded", "rate_limit_error", "Too many requests.", left)
        self.later(0.03, Responded(send.attempt, 429, (), problem))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_windows_of_the_clock_are_taken_for_buckets(seed: int) -> None:
    """Plausible 6497, from the other side: a provider whose counters begin anew each minute (many gateways do).

    Nothing is said of it but waits: everything is done, in the minutes that it takes and two more, without a storm.
    """
    made = watched(config(*keys(1)), SILENT, seed=seed)
    ours = Windows(config(*keys(1)), made.server, delays=Delays(up=0.01, down=0.01), seed=seed)
    give(ours, jobs(150))
    ours.run_until(60.0 * 7)
    assert 150 == ours.ended()
    assert refusals(ours.server) <= 30


# What replies say


def headers(*pairs: tuple[str, str], prefix: str = "x-ratelimit-") -> tuple[tuple[str, str], ...]:
    """With their prefix."""
    return tuple((prefix + name, value) for name, value in pairs)


def pays(bench: Bench, send: Send, told: tuple[tuple[str, str], ...]) -> None:
    """A picture, with these headers."""
    part = Part(0, bench.ref(), "1024x1024", "png", 9)
    bench.tell(Responded(send.attempt, 200, told, Success(Usage(cost=60), (part,))))


def after(told: tuple[tuple[str, str], ...], patience: float | None = None) -> tuple[Bench, float]:
    """Seconds that a second request waits after a reply that told this (-1: it fails)."""
    one = Credential("c1", "p", Limits(concurrency=1))
    bench = Bench(evolve(Config((one,), patience=patience), unproven=None))
    bench.ask("k1")
    bench.ask("k2")
    pays(bench, bench.take(Send), told)
    bench.take(Finish)
    while bench.none(Send) and bench.none(Finish):
        at = bench.engine.next_deadline()
        assert at is not None
        bench.at(at)
    return bench, -1.0 if bench.none(Send) else bench.now


NOTHING_LEFT = [
    (headers(("limit-requests", "60"), ("remaining-requests", "0"), ("reset-requests", "1m0s"))),
    (headers(("limit-requests", "60"), ("remaining-requests", "0"), ("reset-requests", "60"))),
    (headers(("limit-requests", "60"), ("remaining-requests", "0"), ("reset-requests", str(EPOCH + 60)))),
    (headers(("limit-requests", "60"), ("remaining-requests", "0"), ("reset-requests", f"{EPOCH + 60}000"))),
    (headers(("limit-input-images", "60"), ("remaining-input-images", "0"), ("reset-input-images", "1m0s"))),
    (
        headers(
            ("requests-limit", "60"),
            ("requests-remaining", "0"),
            ("requests-reset", "2026-09-21T14:14:20Z"),
            prefix="anthropic-ratelimit-",
        )
    ),
]


@pytest.mark.parametrize("told", NOTHING_LEFT)
def test_the_formats_of_a_reset_are_mixed_up(told: tuple[tuple[str, str], ...]) -> None:
    """Durations, seconds, epochs, milliseconds and dates: taken for each other they stop a client, or do nothing.

    In every format: nothing is left, a minute until it is full, 60 a minute. The next one goes after about a second.
    """
    _, waited = after(told)
    assert 0.9 <= waited <= 2.0


MEANINGLESS = [
    headers(("limit-requests", "-1"), ("remaining-requests", "-1"), ("reset-requests", "0")),
    headers(("limit-tokens", "-1"), ("remaining-tokens", "-1")),
    headers(("limit-requests", "0"), ("remaining-requests", "0"), ("reset-requests", "0s")),
    headers(("limit-requests", "unlimited"), ("remaining-requests", "unlimited"), ("reset-requests", "never")),
    headers(("limit-requests", "nan"), ("remaining-requests", "inf"), ("reset-requests", "1e99")),
    headers(("limit-requests", "500"), ("remaining-requests", "1000"), ("reset-requests", "0s")),
    headers(("limit-project-tokens", "10"), ("remaining-project-tokens", "0"), ("reset-project-tokens", "24h0m0s")),
]


@pytest.mark.parametrize("told", MEANINGLESS)
def test_headers_that_mean_nothing_stop_a_client(told: tuple[tuple[str, str], ...]) -> None:
    """Azure has sent -1 for "unknown", others worse: what cannot be a limit is none."""
    _, waited = after(told)
    assert 0.0 <= waited <= 0.5


def test_a_limit_named_for_something_else_is_taken_for_ours() -> None:
    """A refusal over reference images (sub2api 3052) leaves requests alone: text on the same lane goes on at once."""
    bench = Bench(Config((Credential("c1", "p", Limits(concurrency=9)),), patience=None, unproven=None))
    bench.ask("k1")
    bench.refuses(bench.take(Send), 429, "rate_limit_exceeded", LimitHint("images", 5.0, 5.0, 1.0))
    bench.at(0.1)
    assert bench.none(Send)
    figures = bench.engine.snapshot().lanes[0].quota
    assert figures.requests.per_minute is None
    assert 5.0 == figures.images.per_minute


def test_tokens_estimated_too_high_are_never_given_back() -> None:
    """Curator keeps estimates: with ten times the tokens reserved a tenth of the limit is used.

    Ours gives back what a reply says was not used, so that the true limit is what counts.
    """
    limits = Limits(tpm=6000, burst=0.1)
    made = watched(config(*keys(1, limits)), SILENT)
    rng = Random(6)

    def frugal(send: Send, cost: int) -> Success:
        del cost
        parts = tuple([Part(index, made.ref("b"), "1024x1024", "png", 9) for index in range(send.samples)])
        return Success(Usage(output_image=rng.randint(8, 12), cost=900), parts)

    made.reading = frugal  # type: ignore[method-assign] # the provider of this world bills fewer tokens than estimated
    give(made, jobs(500, demand=Demand(1, 1, 100)))
    made.run()
    assert 500 == made.ended()
    assert made.now < (500 * 10 - 600) / 100 * 1.1 + 5.0
    assert Status.COMPLETED is made.outcomes[max(made.outcomes)].status
