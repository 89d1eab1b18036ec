"""What a search saw coming is taken when its time has come, and only where nothing else happened."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.admission.breaker import IN_A_ROW, Health
from penstock.config import Limits
from penstock.engine.entities import Call
from penstock.engine.lanes import Look
from tests.lane_field import DEMANDS, LIMITS, Field


def drained() -> tuple[Field, Call, Look]:
    """Two lanes whose buckets are empty, a call that waits for them, and what it waits for: the larger one, c0."""
    field = Field([Limits(ipm=60.0, burst=1.0), Limits(ipm=60.0, burst=0.1)])
    for lane in field.group.lanes:
        lane.breaker.bound = None
        lane.breaker.alive(0.0)
        while lane.ready_at(DEMANDS[0], 0.0) < 0.5:
            field.now = max(field.now, lane.ready_at(DEMANDS[0], field.now))
            field.serve(lane, DEMANDS[0])
    large, small = field.group.lanes
    while small.ready_at(DEMANDS[0], field.now) <= large.ready_at(DEMANDS[0], field.now):
        field.now = max(field.now, small.ready_at(DEMANDS[0], field.now))
        field.serve(small, DEMANDS[0])
    call = field.call(DEMANDS[0])
    found = field.look(call, field.now)
    assert large is found.first
    return field, call, found


def test_the_lane_that_a_call_waits_for_is_taken_when_its_time_has_come() -> None:
    """Nothing else happened: it goes there, though another one that is not free would be full sooner."""
    field, call, found = drained()
    assert found.soonest < found.second
    assert found.first is field.look(call, found.soonest).lane


def test_where_others_are_free_by_now_too_the_best_of_them_is_taken() -> None:
    """Whoever comes back late does not go where it waited for, but where refill would be lost first."""
    field, call, _ = drained()
    _, small = field.group.lanes
    late = field.now + 3.0
    assert all(lane.ready_at(DEMANDS[0], late) <= late for lane in field.group.lanes)
    assert small is field.look(call, late).lane


def test_whoever_asks_for_something_else_goes_elsewhere() -> None:
    """What was seen coming is room for one demand: a larger one, which that lane has no room for yet, waits on."""
    field, _, found = drained()
    more = field.look(field.call(DEMANDS[2]), found.soonest)
    assert more.lane is None
    assert found.soonest < more.soonest


def test_what_was_seen_coming_is_not_taken_by_whom_it_is_barred() -> None:
    """A call that may not use the lane whose time has come waits for the other one."""
    field, call, found = drained()
    large, small = field.group.lanes
    barred = field.call(call.demand())
    barred.barred = (large,)
    later = field.look(barred, found.soonest)
    assert later.lane is None
    assert small is later.first


def test_what_is_barred_to_one_is_seen_coming_for_others() -> None:
    """Whoever may use every lane goes where refill would be lost first, though the one before could not."""
    field, call, found = drained()
    large, small = field.group.lanes
    field.now = found.soonest
    field.serve(large, call.demand())
    barred = field.call(call.demand())
    barred.barred = (small,)
    later = field.look(barred, field.now)
    assert large is later.first
    assert small.ready_at(call.demand(), field.now) < later.soonest
    assert small is field.look(call, later.soonest).lane


def test_what_happens_to_a_lane_while_a_call_waits_for_another_counts() -> None:
    """More room on a lane whose refill would be lost sooner is used also at the moment that was waited for."""
    field, call, found = drained()
    _, small = field.group.lanes
    small.quota.relimit(Limits(ipm=6000.0, burst=0.1), field.now)
    field.group.arrange(small, field.now)
    assert small.ready_at(DEMANDS[0], found.soonest) <= found.soonest < found.second
    assert small is field.look(call, found.soonest).lane


def test_a_rest_after_errors_ends_with_a_probe() -> None:
    """A lane that a call waits for because it failed is tried by one attempt at first, whatever was seen coming."""
    field = Field([Limits(ipm=60.0)])
    [lane] = field.group.lanes
    for _ in range(IN_A_ROW):
        lane.breaker.error(0.0, 0.0, 0.5)
    field.group.arrange(lane, 0.0)
    call = field.call(DEMANDS[0])
    over = field.look(call, 0.0).soonest
    assert lane.breaker.until == over
    assert lane is field.look(call, over).lane
    assert lane.breaker.health is Health.PROBING


def test_a_lane_that_rests_and_never_has_room_is_waited_for_by_nobody() -> None:
    """Other limits may leave no room for what waits for a lane, also where all that waits is alike."""
    field, call, found = drained()
    large, small = field.group.lanes
    large.quota.relimit(Limits(ipm=60.0, tpm=60.0, burst=1.0), field.now)
    field.group.arrange(large, field.now)
    assert large.order is field.group.resting
    assert found.first is large
    assert small is field.look(call, field.now).first


@settings(max_examples=150, deadline=None)
@given(limits=st.lists(LIMITS, min_size=1, max_size=4), seed=st.integers(0, 10**6))
def test_a_lane_whose_time_has_come_has_room_for_the_smallest(limits: list[Limits], seed: int) -> None:
    """Nobody asks it again: whatever happened before, it stands among the free ones exactly where it has room."""
    field, rng = Field(limits), Random(seed)
    group = field.group
    for _ in range(80):
        field.step(rng)
        group.settle(field.now)
        for lane in group.lanes:
            free = lane.order is group.full or lane.order is group.filling
            assert free == (lane.ready_at(group.least, field.now) <= field.now)
