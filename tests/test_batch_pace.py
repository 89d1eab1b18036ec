"""Figures of a run: pace, time to go, how much of the limits is made use of, and what is waited for."""

from __future__ import annotations

from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from penstock.admission.bucket import GaugeFigures
from penstock.admission.permits import WallFigures
from penstock.admission.quota import QuotaFigures
from penstock.config import Limits
from penstock.engine import Waiting
from penstock.engine.figures import LaneFigures
from penstock.simulation.server import Latency, ServerLimits, ServerSettings
from penstock_io.batch.pace import WINDOW, Mix, Pace, Use, waiting_for
from penstock_io.batch.run import Exit
from penstock_io.batch.states import Runs
from penstock_io.batch.watch import Watch
from penstock_io.simserver import serving
from tests.batching import FAST, folder_for, meanwhile, table

KEY = "3f2a3f2a3f2a:KEY_A"
NONE = GaugeFigures(float("inf"), float("inf"), None, "none")


def limit(level: float, per_minute: float) -> GaugeFigures:
    """A limit."""
    return GaugeFigures(level, per_minute, per_minute, "limit")


def lane(
    images: GaugeFigures = NONE, requests: GaugeFigures = NONE, tokens: GaugeFigures = NONE, name: str = "key"
) -> LaneFigures:
    """An open lane under these limits."""
    return LaneFigures(name, "model", None, 0, QuotaFigures(requests, tokens, images, 0, None, None))


def test_pace_and_time_to_go() -> None:
    """Two rows and three images a second, over the last minute alone."""
    pace = Pace()
    assert (0.0, None) == (pace.images(), pace.eta(5))
    for second in range(600):
        pace.look(float(second), 2 * second, 3 * second)
    assert (180.0, 50.0, 0.0) == (pace.images(), pace.eta(100), pace.eta(0))
    for second in range(600, 700):
        pace.look(float(second), 1200, 1800)
    assert (0.0, None) == (pace.images(), pace.eta(100))


@given(st.lists(st.floats(0.01, 30.0), min_size=2, max_size=300))
def test_the_past_is_forgotten(steps: list[float]) -> None:
    """What is remembered spans the window, and little more than that."""
    pace, now = Pace(), 0.0
    for step in steps:
        now += step
        pace.look(now, 0, 0)
    assert pace._seen[-1].at - pace._seen[0].at <= WINDOW + max(steps)


def test_the_tightest_limit_counts_in_pictures() -> None:
    """Requests are worth as many pictures as one asks for on average, tokens as many as they bought."""
    mix = Mix()
    mix.asked(2)
    mix.asked(4)
    mix.paid(10, 5_000)
    assert (7.0, 60.0) == mix.counted(lane(limit(7, 60), limit(100, 100)).quota)
    assert (30.0, 30.0) == mix.counted(lane(limit(7, 60), limit(10, 10)).quota)
    assert (1.0, 20.0) == mix.counted(lane(limit(7, 60), limit(10, 10), limit(500, 10_000)).quota)
    assert mix.counted(lane().quota) is None


def test_a_limit_of_a_day_counts_once_it_is_used_up() -> None:
    """Before, it bounds a burst and no more; afterwards nothing else does, and what waits for it is no waste."""
    mix = Mix()

    def day(level: float) -> QuotaFigures:
        wall = WallFigures("images", 86_400.0, GaugeFigures(level, 30.0, 30.0 / 1440, "told"))
        return evolve(lane(limit(60, 60)).quota, walls=(wall,))

    assert (30.0, 60.0) == mix.counted(day(30.0))
    assert (0.0, 30.0 / 1440) == mix.counted(day(0.0))
    assert (0.5, 30.0 / 1440) == mix.counted(evolve(day(0.5), images=NONE))
    assert mix.counted(evolve(day(30.0), images=NONE)) is None


def test_a_limit_that_is_used_up_is_used_whole() -> None:
    """60 a minute with a burst of 60: 600 images in 9 minutes are all that it allows; in 18, half of it."""
    for minutes, expected in ((9, 1.0), (18, 0.5263)):
        use, mix, sent = Use(), Mix(), 0.0
        seconds = minutes * 60
        for second in range(seconds + 1):
            level = max(0.0, 60.0 + second - sent)
            use.look(float(second), [lane(limit(level, 60))], mix, sent=sent, left=600 - sent)
            sent = 60 + 540 * second / seconds
        use.look(seconds + 1.0, [lane(limit(0, 60))], mix, sent=600.0, left=0)
        assert expected == pytest.approx(use.sent / use.allowed, abs=0.003)


def test_a_burst_counts_as_far_as_there_was_work_for_it() -> None:
    """24 images against a burst of 250 are all that was wanted."""
    use = Use()
    use.look(0.0, [lane(limit(250, 250))], Mix(), sent=0, left=24)
    use.look(0.1, [lane(limit(226, 250))], Mix(), sent=24, left=0)
    assert use.sent / use.allowed == pytest.approx(24 / 24.4, abs=0.01)


def test_what_is_refused_is_not_taken_back() -> None:
    """Requests that were out and are refused leave the count again: the use of limits never falls below nothing."""
    use = Use()
    use.look(0.0, [lane(limit(0, 60))], Mix(), sent=24, left=40)
    use.look(60.0, [lane(limit(0, 60))], Mix(), sent=2, left=40)
    assert (0.0, 60.0) == (use.sent, use.allowed)
    use.look(120.0, [lane(limit(0, 60))], Mix(), sent=60, left=40)
    assert (36.0, 120.0) == (use.sent, use.allowed)


def test_a_first_burst_that_is_refused_hides_nothing_of_what_is_sent_later() -> None:
    """39 went before any limit was known, and 34 of them are refused: what follows counts from the five that were not.

    Once the images of before are there, a refusal is one of later requests, and those were counted.
    """
    use, mix = Use(), Mix()
    known = [lane(limit(0, 20))]
    use.look(0.0, [lane()], mix, sent=39, left=21, out=39)
    use.look(1.0, known, mix, sent=39, left=21, out=39)
    use.look(31.0, known, mix, sent=5, left=55, out=5)
    use.look(61.0, known, mix, sent=25, left=35, out=3)
    assert (20.0, 20.0) == (use.sent, use.allowed)
    use.look(91.0, known, mix, sent=20, left=40, out=0)
    use.look(121.0, known, mix, sent=45, left=15, out=3)
    assert (40.0, 40.0) == (use.sent, use.allowed)


def test_what_refusals_taught_counts_in_tokens_that_were_reserved() -> None:
    """A limit that is told is of tokens as they are; one that was learned, of those that requests were sent with."""
    mix = Mix()
    mix.asked(2, 700)
    mix.asked(4, 700)
    mix.paid(6, 1200)
    known = lane(tokens=limit(700, 1400))
    assert (3.5, 7.0) == mix.counted(known.quota)
    learned = lane(tokens=GaugeFigures(700.0, 1400.0, 1400.0, "learned"))
    assert (1.0, 2.0) == mix.counted(learned.quota)
    assert [1 / 700] == [worth for gauge, worth in mix.gauges(learned.quota) if gauge.source == "learned"]


def test_times_without_a_known_limit_do_not_count() -> None:
    """Nor those without work, nor closed lanes; one quota of two models counts once."""
    use, mix = Use(), Mix()
    use.look(0.0, [lane(), lane(limit(0, 60), name="other")], mix, sent=0, left=10)
    use.look(60.0, [lane(limit(0, 60))], mix, sent=50, left=10)
    assert (0.0, 0.0) == (use.sent, use.allowed)
    shared = lane(limit(0, 60))
    use.look(120.0, [shared, shared], mix, sent=100, left=0)
    assert (50.0, 60.0) == (use.sent, use.allowed)
    use.look(180.0, [shared, shared], mix, sent=100, left=10)
    use.look(240.0, [], mix, sent=130, left=10)
    assert (80.0, 120.0) == (use.sent, use.allowed)


@pytest.mark.parametrize(
    ("waiting", "said"),
    [
        (Waiting("quota", f"images of {KEY}", 112.2), "images a minute of KEY_A for gpt-image-2, 12 s"),
        (
            Waiting("quota", "blocked of 3f2a3f2a3f2a", 99.0),
            "the end of a wait asked of 3f2a3f2a3f2a for gpt-image-2, 0 s",
        ),
        (Waiting("quota", f"pace of {KEY}", 100.1), "a moment between two requests to KEY_A for gpt-image-2, 0 s"),
        (
            Waiting("quota", f"concurrency of {KEY}"),
            "a reply, as many are out as may be at a time with KEY_A for gpt-image-2",
        ),
        (Waiting("retry", "the server is busy.", 130.0), "another try (the server is busy), 30 s"),
        (Waiting("no_lane", f"{KEY}: credential"), "a key that serves gpt-image-2 (KEY_A: credential)"),
        (Waiting("proof", f"the first reply to {KEY}", 101.0), "the first reply to KEY_A, 1 s"),
        (Waiting("errors", f"server_error of {KEY}", 102.0), "KEY_A to rest after errors in a row (server error), 2 s"),
        (Waiting("line", "whoever stands before it for m"), "its turn"),
        (Waiting("budget", "refunds"), "money of the budget that others have reserved"),
        (Waiting("provider", "default/m with 3f", 700.0), ""),
        (Waiting("done"), ""),
    ],
)
def test_what_is_waited_for(waiting: Waiting, said: str) -> None:
    """In words, keys by their labels, with the seconds where they are known; nothing for what is only out."""
    assert said == waiting_for(waiting, 100.0, "gpt-image-2")


def test_the_limit_that_is_waited_for_is_named_with_its_window() -> None:
    """A limit of a day is none of a minute, however short its wait; a wait of hours is not told in seconds."""
    minute, day = limit(3.0, 60.0), GaugeFigures(0.0, 20.0, 20.0 / 1440, "ceiling")
    lanes = [evolve(lane(requests=minute, name=KEY), model="m")]
    lanes[0] = evolve(lanes[0], quota=evolve(lanes[0].quota, walls=(WallFigures("requests", 86_400.0, day),)))
    waiting = Waiting("quota", f"requests of {KEY}", 100.0 + 4320.0)
    assert "requests a day of KEY_A for m, 1 h 12 min" == waiting_for(waiting, 100.0, "m", lanes)
    often = evolve(lanes[0].quota, walls=(WallFigures("requests", 86_400.0, evolve(day, per_minute=2.0)),))
    soon = evolve(waiting, until=130.0)
    assert "requests a day of KEY_A for m, 30 s" == waiting_for(soon, 100.0, "m", [evolve(lanes[0], quota=often)])
    used_up = evolve(often, requests=evolve(minute, level=0.0, per_minute=1.0))
    assert "requests a minute of KEY_A for m, 30 s" == waiting_for(soon, 100.0, "m", [evolve(lanes[0], quota=used_up)])
    assert "requests a minute of KEY_A for other, 30 s" == waiting_for(soon, 100.0, "other", lanes)
    assert "requests of KEY_A for m, 1 h 12 min" == waiting_for(waiting, 100.0, "m")
    assert "requests a day of KEY_A, 1 h 12 min" == waiting_for(waiting, 100.0, "", lanes)


def test_sums_of_all_runs() -> None:
    """This run is added to those before; how the last one ended is not said of one that goes on."""
    watch = Watch(Runs(1, 2, 10.0, made=3.0, allowed=4.0, code=4, message="halted"), begun=100.0)
    for status in (429, 429, 503, 200):
        watch.replied(status)
    watch.use.sent, watch.use.allowed = 0.5, 1.0
    assert Runs(3, 3, 15.0, made=3.5, allowed=5.0) == watch.so_far(105.0)


def test_how_long_nothing_came() -> None:
    """Ten seconds are long, but where a reply takes five they are not; any reply and any row that ends is something."""
    watch = Watch(Runs(), begun=0.0)
    assert [0.0, 0.0, 10.0, 15.0] == [watch._silent(now) for now in (100.0, 109.0, 110.0, 115.0)]
    watch.replied(429)
    assert [0.0, 0.0, 10.0] == [watch._silent(now) for now in (116.0, 125.0, 126.0)]
    watch.row("failed")
    assert 0.0 == watch._silent(130.0)
    watch.exchanges, watch.latencies = 2, 10.0
    assert [0.0, 15.0] == [watch._silent(now) for now in (144.0, 145.0)]
    assert [5.0, None] == [watch.takes(now) for now in (144.0, 145.0)]


def test_replies_that_do_not_come_are_waited_for_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks is told that nothing comes, and promised no end."""
    monkeypatch.setattr("penstock_io.batch.watch.STILL", 0.05)
    with serving(FAST) as sim:
        folder = folder_for(tmp_path / "out", sim)

        def answer() -> None:
            folder.listener.wait_figures(lambda one: one.waiting.startswith("1 reply, none has come for "))
            sim.release()

        sim.hold()
        with meanwhile(answer):
            assert Exit.ALL == folder.run(table(1)).code
    silent = [one for one in folder.listener.figures if one.waiting.startswith("1 reply, none has come for ")]
    assert silent
    assert {None} == {one.eta for one in silent}


@pytest.fixture
def limited() -> ServerSettings:
    """Twelve images a second, of which two at once."""
    return ServerSettings(limits=ServerLimits(ipm=720, burst=2 / 720), latency=Latency(0.05, 0.0))


def test_a_run_shows_its_figures(tmp_path: Path, limited: ServerSettings) -> None:
    """Four times a second: rows done, images, money, what is waited for; and at last how well limits were used."""
    with serving(limited) as sim:
        folder = folder_for(tmp_path / "out", sim)
        folder.limits = Limits(ipm=720, burst=2 / 720)
        assert Exit.ALL == folder.run(table(30)).code
    figures = folder.listener.figures
    assert [30] * len(figures) == [one.total for one in figures]
    assert sorted(one.done for one in figures) == [one.done for one in figures]
    last = figures[-1]
    assert (30, 30, 0, None) == (last.done, last.images, last.in_flight, last.eta)
    assert last.spent > 0
    assert 60 * 30 / last.seconds == pytest.approx(last.pace)
    assert len(figures) <= 4 * last.seconds + 3  # a busy machine shows fewer
    assert any(one.waiting.startswith("images a minute of A for gpt-image-2, ") for one in figures)
    used = folder.sums()["limit_utilisation"]
    assert isinstance(used, float)
    assert 0.0 < used <= 1.0
    folder.run(table(30))
    assert folder.sums()["limit_utilisation"] == pytest.approx(used, abs=0.001)  # sums are kept to a thousandth
