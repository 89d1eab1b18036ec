"""What headers do not say: others who draw on the same bucket, and ways that vary by more than was assumed."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.admission.marks import SPREAD
from penstock.admission.sharing import LEAST, Others
from penstock.admission.ways import WIDEST, Ways
from penstock.config import Limits
from penstock.simulation.server import Latency, Server, ServerLimits, ServerSettings
from penstock.simulation.world import Delays
from tests.field.admission import WAYS, Watched, config, give, jobs, keys, refusals, together

TELLING = ServerSettings(latency=Latency(0.3, 0.25))


def shared(count: int, burst: float, seed: int, *, charges: bool, ways: Delays = WAYS) -> tuple[float, int]:
    """So many processes with one key do 480 jobs: seconds to the optimum, and how many were refused."""
    settings_ = evolve(TELLING, limits=ServerLimits(rpm=300, burst=burst), charged_refusals=charges)
    server, made = Server(settings_, rng=Random(seed)), config(*keys(1, Limits(rpm=300)))
    processes = [Watched(made, server, seed=1000 * seed + 10 * number, delays=ways) for number in range(count)]
    for process in processes:
        give(process, jobs(480 // count))
    together(*processes)
    assert [480 // count] * count == [process.ended() for process in processes]
    return max(process.now for process in processes) / ((480 - 300 * burst) / 5), refusals(server)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 999), st.sampled_from([0.1, 1.0]), st.booleans())
def test_two_processes_with_one_key_are_hardly_refused(seed: int, burst: float, charges: bool) -> None:
    """What the other took between two replies is left to it: all of the limit is used, and few are refused."""
    took, refused = shared(2, burst, seed, charges=charges)
    assert took < 1.12
    assert refused <= 6


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 999), st.booleans())
def test_four_processes_with_one_key_find_their_shares(seed: int, charges: bool) -> None:
    """None knows how many there are; what all send before the first reply is back is refused, and hardly more."""
    took, refused = shared(4, 0.1, seed, charges=charges)
    assert took < 1.25
    assert refused <= 20


@pytest.mark.parametrize("charges", [False, True])
@pytest.mark.parametrize(("way", "most"), [(0.030, 0), (0.060, 5), (0.150, 8), (0.5, 20)])
def test_ways_that_vary_more_are_found_out(way: float, most: int, charges: bool) -> None:
    """A way that varies by more than was assumed costs a few refusals, and not one again and again."""
    ways = Delays(up=(0.001, way), down=(0.001, way))
    for seed in (1, 2):
        took, refused = shared(1, 0.1, seed, charges=charges, ways=ways)
        assert took < 1.05
        assert refused <= most


@given(
    st.lists(st.tuples(st.floats(0.01, 3.0), st.floats(0.0, 5.0), st.floats(0.0, 1.0)), min_size=2, max_size=60),
    st.floats(0.5, 20.0),
)
def test_who_is_alone_has_all(sends: list[tuple[float, float, float]], rate: float) -> None:
    """Nothing that a full bucket runs over, and no rounding, is taken for others."""
    others, now, level, spent, capacity = Others(), 0.0, 60.0, 0.0, 60.0
    for passed, cost, rounding in sends:
        now += passed
        level = min(capacity, level + rate * passed)
        spent += min(cost, level)
        level -= min(cost, level)
        others.seen(now, max(0.0, level - rounding), spent, rate, capacity, 2.0)
        assert 1.0 == others.share


@given(st.floats(1.0, 9.0), st.floats(1.0, 9.0))
def test_a_share_is_what_is_used(own: float, theirs: float) -> None:
    """Where others take so much for each that is taken here, the share goes there, and back when they stop."""
    others, spent, left = Others(), 0.0, 1e6
    for number in range(200):
        spent += own
        left += 5.0 - own - (theirs if number < 100 else 0.0)
        others.seen(float(number), left, spent, 5.0, 1e9, 1.0)
        if number == 99:
            assert pytest.approx(own / (own + theirs), abs=0.05) == others.share
    assert 1.0 == others.share


def test_who_is_refused_took_nothing() -> None:
    """A request that was refused is no use of one's own, and what it did not take is nothing that others gave back."""
    others = Others()
    others.seen(0.0, 10.0, 0.0, 0.1, 60.0, 10.0)
    others.seen(1.0, 10.1, 5.0, 0.1, 60.0, 10.0)
    others.refused(5.0)
    assert (0.0, 1.0) == (others.own, others.share)
    assert pytest.approx(0.0) == others.theirs


def test_no_share_is_nothing() -> None:
    """However much others take, a thirty-second part is tried; a reserve is left to what they may take meanwhile."""
    others = Others()
    for number in range(100):
        others.seen(float(number), -1e6 * number, 0.0, 1.0, 1e9, 1.0)
    assert LEAST <= others.share < 2 * LEAST
    assert 10.0 * others.share > others.mine(10.0, 0.0, 1.0, 30.0) > others.mine(10.0, 5.0, 1.0, 30.0)
    assert -1.0 > others.mine(-1.0, 0.0, 1.0, 30.0)


@given(st.lists(st.tuples(st.floats(0.0, 60.0), st.floats(0.0, 5.0)), max_size=30), st.floats(0.1, 60.0))
def test_ways_stay_within_bounds(surprises: list[tuple[float, float]], full: float) -> None:
    """They never are held for less than is assumed, nor for more than a second or a quarter of what a bucket holds."""
    ways, now, found = Ways(), 0.0, [SPREAD]
    ways.fixed = 0.0
    for passed, short in surprises:
        now += passed
        found.append(ways.believed(now))
        ways.surprised(now, short, full, now)
        found.append(ways.spread)
    assert all(SPREAD <= one <= max(SPREAD, min(WIDEST, full / 4.0)) for one in found)
    quiet = [ways.believed(now + 700.0 * number) for number in range(1, 30)]
    assert all(after <= before for before, after in pairwise(quiet))
    assert SPREAD == quiet[-1]


def test_what_was_sent_before_a_limit_was_told_shows_nothing() -> None:
    """A request that knew no limit, or an old one, is refused for that, and not because of its way."""
    ways = Ways()
    ways.surprised(1.0, 0.5, 60.0, 2.0)
    assert SPREAD == ways.spread
    ways.fixed = 3.0
    ways.surprised(3.0, 0.5, 60.0, 4.0)
    assert SPREAD == ways.spread
    ways.surprised(3.1, 0.5, 60.0, 4.0)
    assert SPREAD < ways.spread
