"""The time to go: never less than the limits that are known let be, and nothing while nobody can say."""

from __future__ import annotations

from math import inf
from pathlib import Path

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from penstock.admission.bucket import GaugeFigures
from penstock.admission.permits import WallFigures
from penstock.admission.quota import QuotaFigures
from penstock.config import Limits
from penstock.engine.figures import LaneFigures
from penstock.simulation.server import Latency, ServerLimits, ServerSettings
from penstock_io.batch.ahead import to_go
from penstock_io.batch.pace import Mix
from penstock_io.batch.progress import Figures
from penstock_io.batch.run import Exit
from penstock_io.batch.source import Listed
from penstock_io.simserver import serving
from tests.batching import folder_for, meanwhile, table
from tests.clocks import Ahead
from tests.planning import keyed_of, rows_of

NOW = 100.0
NONE = GaugeFigures(inf, inf, None, "none")


def lane(
    level: float = 0.0, per_minute: float | None = 10.0, *, rests: float | None = None, name: str = "key"
) -> LaneFigures:
    """An open lane with this limit of images (None: no limit is known), which rests for so many seconds."""
    images = NONE if per_minute is None else GaugeFigures(level, max(level, per_minute), per_minute, "told")
    until = None if rests is None else NOW + rests
    return LaneFigures(name, "model", None, 1, QuotaFigures(NONE, NONE, images, 0, None, None), until=until)


def told(
    *lanes: LaneFigures, left: float, pace: float | None = 5.0, coming: float = 1.0, wait: float = 0.0
) -> float | None:
    """What is said of `left` pictures."""
    return to_go(pace, lanes, Mix(), NOW, left=left, coming=coming, until=NOW + wait)


def test_after_a_burst_the_limit_says_how_long_it_takes() -> None:
    """Ten a minute let 50 pictures through in five minutes, whatever the pace of the burst was; two keys in half."""
    assert 300.0 == told(lane(), left=50)
    assert 300.0 == told(lane(), left=50, pace=None)
    assert 150.0 == told(lane(), lane(name="other"), left=50)
    assert 240.0 == told(lane(10.0), left=50)
    assert 5.0 == told(lane(10.0), left=10)
    assert 5.0 == told(lane(), left=0)
    assert told(lane(10.0), left=10, pace=None) is None
    assert 400.0 == told(lane(), left=50, pace=400.0)


def test_a_limit_that_nobody_knows_promises_nothing() -> None:
    """Then it is the pace that is told, and where there is none, nothing."""
    assert 5.0 == told(lane(), lane(per_minute=None, name="other"), left=50)
    assert told(lane(per_minute=None), left=50, pace=None) is None


def test_the_wait_that_is_shown_is_not_longer_than_the_whole() -> None:
    """What the line says it waits for is waited for; alone it says nothing of the rest."""
    assert 60.0 == told(lane(10.0), left=10, wait=60.0)
    assert told(lane(per_minute=None), left=10, pace=None, wait=60.0) is None


def test_nothing_is_said_while_all_lanes_rest() -> None:
    """Unless their limits are known: then it begins when they are back, with what a bucket holds by then."""
    assert told(lane(per_minute=None, rests=30.0), left=50) is None
    assert told(lane(per_minute=None, rests=30.0), lane(rests=20.0, name="other"), left=50) is None
    assert told(evolve(lane(), closed="credential"), left=50) is None
    assert told(left=50) is None
    assert 30.0 == told(lane(rests=30.0), left=5)
    assert 360.0 == told(lane(rests=300.0), left=20)
    assert 60.0 == told(lane(), lane(rests=600.0, name="other"), left=10)
    asked = evolve(lane(), quota=evolve(lane().quota, blocked_until=NOW + 90.0))
    assert 90.0 == told(asked, left=5)


def test_lanes_count_as_far_as_there_is_work_for_them() -> None:
    """Two models of a quota are one limit; a model whose rows are all out helps no other."""
    other = evolve(lane(), model="other")
    assert 300.0 == told(lane(), other, left=50)
    apart = evolve(other, pool="apart")
    assert 150.0 == told(lane(), apart, left=50)
    assert 300.0 == told(lane(), evolve(apart, waiting=0), left=50, coming=0.0)


def test_the_tightest_limit_counts() -> None:
    """Requests, tokens and what is left of the day, in pictures."""
    mix = Mix()
    mix.asked(2)
    mix.paid(10, 5_000)
    requests = GaugeFigures(0.0, 30.0, 30.0, "told")
    tokens = GaugeFigures(0.0, 10_000.0, 10_000.0, "told")
    day = WallFigures("images", 86_400.0, GaugeFigures(10.0, 1440.0, 1.0, "told"))
    quota = QuotaFigures(requests, NONE, NONE, 0, None, None)
    for known, expected in (
        (quota, 60.0),
        (evolve(quota, tokens=tokens), 180.0),
        (evolve(quota, tokens=tokens, walls=(day,)), 3000.0),
        (evolve(quota, walls=(evolve(day, quantity="unheard"),)), 60.0),
    ):
        figures = evolve(lane(), quota=known)
        assert expected == to_go(None, [figures], mix, NOW, left=60, coming=60, until=NOW)


@given(
    st.lists(st.tuples(st.floats(0, 50), st.floats(1, 600), st.floats(0, 300)), min_size=1, max_size=4),
    st.floats(1, 500),
)
def test_it_is_when_the_buckets_have_let_all_through(lanes: list[tuple[float, float, float]], left: float) -> None:
    """As one finds out by looking at each moment what all of them have let through since."""
    figures = [lane(level, rate, rests=rests, name=str(n)) for n, (level, rate, rests) in enumerate(lanes)]

    def through(seconds: float) -> float:
        sums = 0.0
        for level, rate, rests in lanes:
            if seconds >= rests:
                sums += min(max(level, rate), level + rate * rests / 60) + rate * (seconds - rests) / 60
        return sums

    seconds = told(*figures, left=left, pace=None) or 0.0
    assert through(seconds + 1e-3) >= left - 1e-3
    assert seconds == 0.0 or through(seconds - 1e-3) <= left


def test_pictures_that_come_are_counted_once() -> None:
    """Rows that share a picture buy one, and what was drawn comes no more."""
    source = Listed(keyed_of(rows_of("fox", "fox", {"prompt": "owl", "n": 3}, "elk")), 2)
    assert (4, 5, 6) == (source.coming, source.pictures, source.total)


def test_a_run_promises_no_less_than_its_limits_let_be(tmp_path: Path, clock: Ahead) -> None:
    """14 pictures, ten at once and one a minute: four minutes, although the first came in a moment."""
    limits = ServerLimits(ipm=1, burst=10)
    with serving(ServerSettings(limits=limits, told=(), latency=Latency(0.02, 0.0))) as sim:
        folder = folder_for(tmp_path / "out", sim)
        folder.limits = Limits(ipm=1, burst=10)

        def answer() -> None:
            folder.listener.wait_figures(lambda one: _held(one) and one.done == 9 and one.eta is not None)
            clock.pass_time(240.0)
            sim.release()

        sim.hold()
        sim.release(9)
        with meanwhile(answer):
            assert Exit.ALL == folder.run(table(14)).code
    assert [] == [
        one for one in folder.listener.figures if _held(one) and one.eta is not None and one.eta < 239 - one.seconds
    ]


def _held(figures: Figures) -> bool:
    """Whether all rows that are left wait for their turn."""
    return figures.waiting.startswith("images a minute")
