"""Shares of a line: priorities without starvation, tenants by weight, large demands beside small ones."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.commands import Finish, Send
from penstock.config import Config, Credential, Limits
from penstock.engine.entities import Ask, Call, Flight, Job
from penstock.engine.fairness import IDLE, SHARES, Line
from penstock.engine.lanes import Group
from penstock.engine.tables import CallState
from penstock.errors import UsageError
from penstock.events import Cancelled, Reconfigured
from penstock.ids import CallId, JobId, Key
from penstock.outcomes import Status
from penstock.work import Demand, Priority, Target, Work
from tests.histories.bench import CONFIG, Bench, target, work

TARGET = Target("p", "m")
GROUP = Group("p/m", TARGET)
TENANTS = ("", "a", "b", "c")


class Queue:
    """A line and who comes to it, with places in the order of coming."""

    def __init__(self, weights: tuple[tuple[str, float], ...] = ()) -> None:
        self.line = Line(weights)
        self.weights = dict(weights)
        self.count = 0

    def come(self, tenant: str = "", priority: Priority = Priority.NORMAL, pictures: int = 1) -> Call:
        """One more call, for so many pictures."""
        self.count += 1
        job = Job(JobId(self.count), Work((TARGET,), tenant=tenant, priority=priority), 0.0)
        flights = [Flight(Key(f"{self.count}.{n}"), [Ask(job, n)]) for n in range(pictures)]
        call = Call(CallId(self.count), GROUP, TARGET, flights, 0.0, int(priority), self.count, CallState.QUEUED)
        self.line.push(call)
        return call

    def go(self) -> Call:
        """Whoever is next goes."""
        call = self.line.head()
        assert call is not None
        self.line.pop(served=True)
        call.state = CallState.RUNNING
        return call


def who(call: Call) -> tuple[str, int]:
    """Its tenant and its priority."""
    return call.flights[0].asks[0].job.work.tenant, call.priority


COMING = st.lists(
    st.tuples(st.sampled_from(TENANTS), st.sampled_from(tuple(Priority)), st.integers(1, 4), st.integers(0, 3)),
    min_size=1,
    max_size=80,
)


@given(COMING)
def test_everybody_goes_once_and_in_order_within_a_tenant(coming: list[tuple[str, Priority, int, int]]) -> None:
    """Whatever comes and goes: nobody is lost, nobody goes twice, and nobody overtakes his own."""
    queue, gone, came = Queue((("a", 3.0),)), list[Call](), list[Call]()
    for tenant, priority, pictures, served in coming:
        came.append(queue.come(tenant, priority, pictures))
        for _ in range(min(served, len(queue.line))):
            gone.append(queue.go())
    while queue.line:
        gone.append(queue.go())
    assert sorted(call.id for call in came) == sorted(call.id for call in gone)
    for tenant in TENANTS:
        for priority in Priority:
            mine = [call.place for call in gone if who(call) == (tenant, priority)]
            assert sorted(mine) == mine


@given(st.lists(st.tuples(st.sampled_from(("come", "go", "back", "end")), st.integers(0, 50)), max_size=150))
def test_whoever_comes_back_stands_where_it_stood(steps: list[tuple[str, int]]) -> None:
    """Of one tenant the one with the lowest place goes, whoever came back or ended meanwhile."""
    queue, there, out = Queue(), dict[int, Call](), list[Call]()
    for what, which in steps:
        if what == "come":
            call = queue.come()
            there[call.place] = call
        elif what == "go" and there:
            call = queue.go()
            assert min(there) == call.place
            out.append(there.pop(call.place))
        elif what == "back" and out:
            call = out.pop(which % len(out))
            call.state = CallState.QUEUED
            queue.line.push(call)
            there[call.place] = call
        elif what == "end" and there:
            call = there.pop(sorted(there)[which % len(there)])
            call.state = CallState.ENDED
            queue.line.ended()
    while there:
        assert there.pop(min(there)) is queue.go()
    assert queue.line.head() is None


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(tuple(Priority)), st.integers(1, 4))
def test_what_overtakes_a_call_is_bounded_by_shares(seed: int, priority: Priority, pictures: int) -> None:
    """While others come without end, no more goes before a call than their shares are worth in its own and the last."""
    queue, rng = Queue(), Random(seed)
    for _ in range(rng.randrange(60)):
        queue.come("", rng.choice(tuple(Priority)), rng.randint(1, 4))
        if rng.random() < 0.5 and queue.line:
            queue.go()
    while queue.line.head() is not None:
        queue.go()
    mine = queue.come("mine", priority, pictures)
    others = [one for one in Priority if one is not priority]
    before: Counter[int] = Counter()
    for other in others:
        queue.come("other", other, rng.randint(1, 4))
    while (call := queue.go()) is not mine:
        queue.come("other", Priority(call.priority), rng.randint(1, 4))
        queue.come("other", Priority(call.priority), rng.randint(1, 4))
        before[call.priority] += len(call.flights)
        assert before.total() < 2000
    for other in others:
        assert before[other] <= (pictures + 4) * SHARES[other] / SHARES[priority] + 8


def test_whoever_was_served_alone_lets_others_go_first_who_come_then() -> None:
    """What a tenant got while nobody else waited counts from the moment at which somebody does."""
    queue = Queue()
    for _ in range(4):
        queue.come("a")
    for _ in range(2):
        assert who(queue.go())[0] == "a"
    for _ in range(2):
        queue.come("b")
    assert ["b", "a", "b", "a"] == [who(queue.go())[0] for _ in range(4)]


def test_a_batch_moves_under_a_flood_and_one_request_goes_next() -> None:
    """Of 1,110 that go, 1,000 are interactive, 100 normal and 10 of a batch; alone an interactive one goes at once."""
    queue = Queue()
    for _ in range(2000):
        for priority in Priority:
            queue.come("", priority)
    counted = Counter(queue.go().priority for _ in range(1110))
    assert {Priority.INTERACTIVE: 1000, Priority.NORMAL: 100, Priority.BATCH: 10} == counted
    queue = Queue()
    for _ in range(1000):
        queue.come("", Priority.BATCH)
    for _ in range(100):
        queue.go()
    mine = queue.come("", Priority.INTERACTIVE)
    assert 0 == queue.line.place(mine)
    assert mine is queue.go()


@pytest.mark.parametrize("sizes", [(1, 1), (4, 1), (1, 4)])
def test_tenants_share_pictures_by_weight(sizes: tuple[int, int]) -> None:
    """Three to one in pictures, whatever the size of their requests; who comes late gets his share from then on."""
    queue = Queue((("gold", 3.0),))
    for _ in range(1000):
        queue.come("gold", pictures=sizes[0])
        queue.come("free", pictures=sizes[1])
    pictures: Counter[str] = Counter()
    while pictures.total() < 800:
        call = queue.go()
        pictures[who(call)[0]] += len(call.flights)
    assert abs(pictures["gold"] - 600) <= 8
    for _ in range(300):
        queue.come("late")
    before = pictures["gold"]
    late = 0
    while pictures["gold"] < before + 300:
        call = queue.go()
        pictures[who(call)[0]] += len(call.flights)
        late += who(call)[0] == "late"
    assert abs(late - 100) <= 6


def test_many_tenants_leave_nothing_behind() -> None:
    """Thousands of tenants who came once are not remembered."""
    queue = Queue()
    queue.come("stays", pictures=4)
    queue.come("stays", pictures=4)
    for number in range(2000):
        queue.come(f"tenant {number}")
        queue.come("stays")
        queue.go()
        queue.go()
    assert len(queue.line._classes[Priority.NORMAL].flows) <= 2 * len(queue.line) + IDLE + 10


def test_other_weights_count_from_then_on() -> None:
    """A configuration with other weights changes who goes next, in the line that is there."""
    config = Config((Credential("c", "p", Limits(concurrency=1)),), unproven=None)
    bench = Bench(config)
    for number in range(12):
        for tenant in ("a", "b"):
            bench.submit(evolve(work(f"{tenant}{number}"), tenant=tenant))
    assert 3 == [paid(bench) for _ in range(6)].count("b")
    bench.tell(Reconfigured(evolve(config, weights=(("b", 5.0),))))
    names = [paid(bench) for _ in range(12)]
    assert names.count("b") >= 9


def paid(bench: Bench) -> str:
    """Answer what is out; whose it was."""
    send = bench.take(Send)
    bench.pays(send)
    finish = bench.take(Finish)
    assert Status.COMPLETED == finish.outcome.status
    return str(finish.outcome.pictures[0].key)[0]


def test_a_large_demand_is_not_starved_by_small_ones() -> None:
    """aiolimiter: a waiter for 90 unserved for 4 s. Ours goes when its turn has come, and nobody takes its room."""
    limits = Limits(ipm=60, burst=0.1, concurrency=None)
    bench = Bench(evolve(CONFIG, credentials=(Credential("c", "p", limits),), unproven=None))
    for number in range(6):
        bench.ask(f"first {number}")
    large = Work((evolve(target("large"), demand=Demand(1, 5, 10), divisible=False),))
    bench.submit(large)
    sent: list[tuple[float, int]] = []
    for number in range(40):
        bench.ask(f"small {number}")
        bench.at(bench.now + 0.5)
        while not bench.none(Send):
            send = bench.take(Send)
            sent.append((bench.now, int(send.parts[0][0])))
    assert sent[6][1] == 7
    assert sent[6][0] <= 6.0


def test_a_place_in_line_is_told() -> None:
    """Exact among one's own, by shares among others; who leaves no longer counts."""
    bench = Bench()
    jobs = [bench.ask(f"k{number}") for number in range(5)]
    assert [0, 1, 2, 3] == [bench.engine.explain(job).place for job in jobs[1:]]
    bench.tell(Cancelled(jobs[2]))
    assert [0, 1, 2] == [bench.engine.explain(job).place for job in (jobs[1], jobs[3], jobs[4])]
    urgent = bench.submit(evolve(work("urgent"), priority=Priority.INTERACTIVE))
    assert 0 == bench.engine.explain(urgent).place
    assert 1 == bench.engine.explain(jobs[1]).place


def test_a_weight_that_is_none_is_refused() -> None:
    """Weights are numbers above 0."""
    with pytest.raises(UsageError, match=r"the weight of tenant 'a' must be a finite number above 0, not 0\.0"):
        Config(weights=(("a", 0.0),))
    with pytest.raises(UsageError, match="unproven must be at least 1, or None, not 0"):
        Config(unproven=0)
