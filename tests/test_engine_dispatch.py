"""The search for a lane finds what asking all of them would find, and asks few; quotas are shared as is said."""

from __future__ import annotations

from math import inf, isclose
from random import Random

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from penstock.commands import Finish, Send
from penstock.config import Config, Credential, Limits, Pool, Retry
from penstock.engine import Engine
from penstock.engine.lanes import Lane
from penstock.engine.roster import REMOVED
from penstock.engine.unserved import closed_for
from penstock.errors import UsageError
from penstock.events import Reconfigured, Submitted
from penstock.ids import Handle, JobId
from penstock.outcomes import Status, Trouble
from penstock.readings import LimitHint
from penstock.three import Three
from penstock.work import Demand
from tests.histories.bench import CONFIG, Bench, target, work
from tests.lane_field import DEMANDS, LIMITS, Counted, Field


@given(
    st.lists(LIMITS, min_size=1, max_size=8),
    st.sampled_from((DEMANDS, DEMANDS[:1], DEMANDS[:2])),
    st.randoms(use_true_random=False),
    st.integers(1, 60),
)
def test_the_search_finds_what_asking_all_lanes_finds(
    limits: list[Limits], demands: tuple[Demand, ...], rng: Random, steps: int
) -> None:
    """Whether one is free, and if not, when the first will be, for every demand, whatever happened to the lanes."""
    field = Field(limits, demands=demands)
    for _ in range(steps):
        field.step(rng)
        for demand in demands:
            call = field.call(demand)
            found = field.look(call, field.now)
            usable = [lane for lane in field.group.lanes if lane.usable(call, demand)]
            ready = [lane.ready_at(demand, field.now) for lane in usable]
            assert bool(usable) == found.usable
            if found.lane is not None:
                assert found.lane in usable
                assert found.lane.ready_at(demand, field.now) <= field.now
            else:
                assert min(ready, default=inf) > field.now
                assert isclose(min(ready, default=inf), found.soonest, abs_tol=1e-6)
            assert (found.lane is None and inf in ready) <= found.busy


def test_most_lanes_are_not_asked() -> None:
    """Of a hundred lanes at their limits a handful is asked, whatever the demand."""
    field = Field([Limits(ipm=60.0, burst=0.2, concurrency=None, ceiling=True)] * 100, Counted)
    for lane in field.group.lanes:
        lane.breaker.bound = None
    rng = Random(1)
    for _ in range(3000):
        demand = DEMANDS[rng.randrange(3)]
        call = field.call(demand)
        found = field.look(call, field.now)
        while found.lane is None:
            field.now = found.soonest
            found = field.look(call, field.now)
        field.serve(found.lane, demand)
    Counted.asked = 0
    for number in range(100):
        field.look(field.call(DEMANDS[number % 3]), field.now)
    assert Counted.asked < 500


def test_a_smaller_demand_is_ready_sooner_than_those_before() -> None:
    """A lane that rests until there is room for four pictures is found for one as soon as there is room for that."""
    field = Field([Limits(ipm=60.0, burst=1 / 15, concurrency=None, ceiling=True)])
    field.group.least = DEMANDS[1]
    (lane,) = field.group.lanes
    # whoever comes back when told to has to wait for four more: refusals take quota here
    for sent, wait in ((0.0, 0.5), (0.6, 4.0)):
        permit = lane.take(DEMANDS[1], sent)
        lane.quota.refused(permit, None, wait, sent + 0.1)
        lane.quota.settle(permit, Three.YES, sent + 0.1)
    lane.breaker.back(0.0)
    field.group.arrange(lane, 0.7)
    large = field.look(field.call(DEMANDS[1]), 0.7)
    small = field.look(field.call(DEMANDS[0]), 0.7)
    assert isclose(lane.ready_at(DEMANDS[1], 0.7), large.soonest, abs_tol=1e-6)
    assert isclose(lane.ready_at(DEMANDS[0], 0.7), small.soonest, abs_tol=1e-6)
    assert small.soonest < large.soonest - 1.0


def test_the_bucket_that_would_be_full_first_is_used() -> None:
    """Refill is lost only while a bucket is full: a small one that is nearly full goes before a large one with more."""
    field = Field([Limits(ipm=60.0, burst=1.0), Limits(ipm=60.0, burst=0.1)])
    large, small = field.group.lanes
    for lane in (large, small):
        lane.breaker.bound = None
    names: list[str] = []
    while len(names) < 6:
        found = field.look(field.call(DEMANDS[0]), field.now)
        if found.lane is None:
            field.now = found.soonest
            continue
        field.serve(found.lane, DEMANDS[0])
        names.append(found.lane.name.credential)
    assert field.now < 1.0
    assert {"c0": 3, "c1": 3} == {name: names.count(name) for name in ("c0", "c1")}


def test_whose_rest_is_over_stands_behind_who_is_full() -> None:
    """A lane that may go again after a gap is no reason to pass over one whose refill is being lost; alone it goes."""
    field = Field([Limits(ipm=60.0, burst=0.1), Limits(ipm=60.0, burst=0.1)])
    full, rested = field.group.lanes
    for lane in (full, rested):
        lane.breaker.bound = None
    over = rest(field, rested)
    assert full is field.look(field.call(DEMANDS[0]), over).lane
    assert rested.order is field.group.filling
    field.now = over
    over = rest(field, rested)
    field.group.remove(full)
    assert rested is field.look(field.call(DEMANDS[0]), over).lane


def rest(field: Field, lane: Lane) -> float:
    """Use a lane until it may not go again at once; when it may."""
    while lane.order is not field.group.resting:
        field.now = max(field.now, lane.ready_at(DEMANDS[0], field.now))
        field.serve(lane, DEMANDS[0])
    assert lane.rank is not None
    return lane.rank[0] + 0.001


@pytest.mark.parametrize(("weight", "share"), [(1.0, 8), (3.0, 12)])
def test_lanes_with_equal_room_share_by_weight(weight: float, share: int) -> None:
    """Exchanges out go by weight where nothing else says which lane is better."""
    keys = (Credential("a", "p", weight=weight), Credential("b", "p"))
    bench = Bench(Config(keys, unproven=None))
    for number in range(16):
        bench.ask(f"k{number}")
    names = [bench.take(Send).lane.credential for _ in range(16)]
    assert share == names.count("a")


def test_a_new_lane_sends_two_until_it_has_answered() -> None:
    """A bad key is refused twice, not once for each of its slots; one good reply, or a second, opens it."""
    wide = (Credential("c1", "p", Limits(concurrency=8)),)
    bench = Bench(evolve(CONFIG, credentials=wide))
    for number in range(10):
        bench.ask(f"k{number}")
    sends = [bench.take(Send), bench.take(Send)]
    assert bench.none(Send)
    bench.pays(sends[0])
    assert 7 == sent_until(bench, 0.9)
    bench = Bench(evolve(CONFIG, credentials=wide))
    for number in range(10):
        bench.ask(f"k{number}")
    assert 2 == sent_until(bench, 0.9)
    assert 8 == sent_until(bench, 2.0)


def sent_until(bench: Bench, until: float) -> int:
    """How many requests are out, or were, when so much time has passed."""
    while (deadline := bench.engine.next_deadline()) is not None and deadline <= until:
        bench.at(max(bench.now, deadline))
    bench.now = until
    return len([command for command in bench.log if isinstance(command, Send)])


def test_a_lane_whose_bucket_fills_rests_after_errors_too() -> None:
    """Its place goes by a time, and a reply says nothing of that; ten errors in a row do."""
    keys = (Credential("c1", "p", Limits(ipm=60.0, concurrency=64)),)
    bench = Bench(Config(keys, unproven=None, retry=Retry(base=0.5, attempts=1)))
    bench.ask("first")
    bench.pays(bench.take(Send))
    for number in range(10):
        bench.ask(f"k{number}")
        bench.at(bench.now + 0.3)
    sends = [bench.take(Send) for _ in range(10)]
    lane = bench.bare._rooms.dispatch.roster.groups["p", "m", True].lanes[0]
    for send in sends:
        assert lane.order is lane.group.filling
        assert lane.stays()
        bench.refuses(send, 500)
    assert "resting" == bench.engine.snapshot().lanes[0].health
    for name in ("late", "later"):
        bench.ask(name)
    assert bench.none(Send)
    bench.at(bench.now + 0.6)
    probe = bench.take(Send)
    bench.at(bench.now + 5.0)
    assert bench.none(Send)
    bench.pays(probe)
    assert not bench.none(Send)


# Who shares a quota


def shared(*credentials: Credential) -> Bench:
    """A bench with these keys."""
    return Bench(Config(credentials, unproven=None))


def asks(bench: Bench, model: str, key: str, *, images: int = 1) -> JobId:
    """A job for a model."""
    one = work(key)
    return bench.submit(evolve(one, targets=(evolve(target(key, model=model), demand=Demand(1, images, 10)),)))


def test_models_of_a_pool_draw_on_one_quota() -> None:
    """One organisation, several models: what one of them takes the other has not; a model apart has its own."""
    pool = Pool("pictures", ("m1", "m2"), Limits(ipm=60, burst=1 / 30))
    bench = shared(Credential("c", "p", Limits(ipm=60, burst=1 / 30), pools=(pool,)))
    for number, model in enumerate(("m1", "m2", "m1", "m3", "m3")):
        asks(bench, model, f"k{number}")
    assert [1, 2, 4, 5] == [int(send.parts[0][0]) for send in bench.log if isinstance(send, Send)]


def test_keys_of_an_account_share_their_quotas() -> None:
    """Two keys of one organisation have one limit between them."""
    limits = Limits(ipm=60, burst=1 / 30)
    bench = shared(Credential("a", "p", limits, account="acme"), Credential("b", "p", limits, account="acme"))
    for number in range(4):
        asks(bench, "m", f"k{number}")
    assert 2 == len([send for send in bench.log if isinstance(send, Send)])
    assert 2 == bench.engine.snapshot().in_flight


def test_an_image_limit_does_not_cool_chat() -> None:
    """sub2api 3052: a 429 for images holds up what makes images, not text on the same quota."""
    pool = Pool("all", ("pictures", "text"), Limits())
    bench = shared(Credential("c", "p", pools=(pool,)))
    asks(bench, "pictures", "k1")
    bench.refuses(bench.take(Send), 429, "rate_limit_exceeded", LimitHint("images", 5.0))
    asks(bench, "text", "k2", images=0)
    assert "text" == bench.take(Send).lane.model
    asks(bench, "pictures", "k3")
    assert bench.none(Send)


def test_a_model_of_two_pools_is_refused() -> None:
    """It draws on one quota, and the error says which model."""
    with pytest.raises(UsageError, match="m1 of c stands in two pools"):
        Credential("c", pools=(Pool("a", ("m1",)), Pool("b", ("m1",))))
    with pytest.raises(UsageError, match="the weight of c"):
        Credential("c", weight=0.0)


# Other configurations


def test_a_key_may_change_its_pool_while_it_is_out() -> None:
    """What is out is given back to the quota that it was taken from; what follows draws on the other."""
    one = Credential("c", "p", Limits(concurrency=1))
    bench = shared(one)
    bench.ask("k1")
    first = bench.take(Send)
    moved = evolve(one, account="acme")
    bench.tell(Reconfigured(evolve(bench.config, credentials=(moved,))))
    bench.ask("k2")
    second = bench.take(Send)
    bench.pays(first)
    bench.pays(second)
    assert [Status.COMPLETED] * 2 == [bench.take(Finish).outcome.status for _ in range(2)]
    assert bench.rests()


def test_keys_come_and_go_without_leaving_anything_behind() -> None:
    """A service that changes its keys every hour has no more lanes and quotas after a year."""
    engine = Engine(Config((Credential("c0", "p"),)), rng=Random(1), epoch=0.0)
    engine.handle(Submitted(JobId(1), evolve(work("k"), handle=Handle(1))), 0.0)
    for number in range(50):
        engine.handle(Reconfigured(Config((Credential(f"c{number}", "p"),))), float(number))
    assert len(engine.snapshot().lanes) <= 3


def test_more_room_counts_at_once() -> None:
    """A limit that is raised lets those go who wait, in the same step."""
    bench = shared(Credential("c", "p", Limits(concurrency=1)))
    for number in range(3):
        bench.ask(f"k{number}")
    bench.take(Send)
    assert bench.none(Send)
    bench.tell(Reconfigured(evolve(bench.config, credentials=(Credential("c", "p", Limits(concurrency=3)),))))
    assert 2 == len([bench.take(Send) for _ in range(2)])


def test_why_all_lanes_are_closed() -> None:
    """The first one's trouble; where others differ, each with its keys by name; lanes that left say nothing."""
    field = Field([Limits(), Limits(), Limits()])
    assert closed_for(field.group) is None
    key, money, left = Trouble("credential", "no such key"), Trouble("quota_exhausted", "no credit"), REMOVED
    for lane, trouble in zip(field.group.lanes, (left, key, money), strict=True):
        lane.closed = trouble
    assert evolve(key, message="no such key (key c1); no credit (key c2)") == closed_for(field.group)
    field.group.lanes[2].closed = key
    assert key == closed_for(field.group)
    for lane in field.group.lanes:
        lane.closed = left
    assert left == closed_for(field.group)
