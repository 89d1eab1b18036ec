"""Shared calls whose askers want different numbers of pictures, of which some are stored, over several lanes."""

from __future__ import annotations

from random import Random

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from penstock.commands import Finish, ReadCache, Send
from penstock.config import Config, Credential, Gathering, Limits
from penstock.events import CacheRead, Cancelled, Hit, Miss
from penstock.ids import Handle, Key
from penstock.outcomes import Outcome, Source, Status
from penstock.simulation.monitor import Monitor
from penstock.simulation.server import Latency, Server, ServerLimits, ServerSettings
from penstock.simulation.world import Delays, World
from penstock.work import CachePolicy, Demand, Priority, Target, Work
from tests.histories.bench import CONFIG, META, Bench, target, work

STORED = evolve(CONFIG, store=True)
WIDE = evolve(STORED, credentials=(Credential("c1", "p", Limits(concurrency=8)),))


def sources(outcome: Outcome) -> list[Source]:
    """Where its pictures came from."""
    return [picture.source for picture in outcome.pictures]


def test_of_samples_that_are_partly_stored_the_rest_is_one_call() -> None:
    """Two of four are there: two are bought together and paid, and the result says which came from where."""
    bench = Bench(STORED)
    bench.ask("a", "b", "c", "d")
    read = bench.take(ReadCache)
    hit = [Hit(META, bench.ref("h")) if place in (0, 2) else Miss() for place in range(4)]
    bench.tell(CacheRead(read.read, tuple(hit)))
    send = bench.take(Send)
    assert (2, ((1, (1, 3)),)) == (send.samples, send.parts)
    bench.pays(send, 60)
    outcome = bench.take(Finish).outcome
    assert (Status.COMPLETED, 60, 2 * 40) == (outcome.status, outcome.charge, outcome.saved)
    assert [Source.STORED, Source.BOUGHT, Source.STORED, Source.BOUGHT] == sources(outcome)
    assert ["a", "b", "c", "d"] == [picture.key for picture in outcome.pictures]


def test_who_wants_more_of_the_same_buys_only_the_rest() -> None:
    """Three of five are on their way for another: two are bought, and each pays what he asked for first."""
    bench = Bench(WIDE)
    bench.ask("a", "b", "c")
    bench.misses(bench.take(ReadCache))
    bench.ask("a", "b", "c", "d", "e")
    read = bench.take(ReadCache)
    assert ("d", "e") == read.keys
    bench.misses(read)
    first, second = bench.take(Send), bench.take(Send)
    assert (3, 2) == (first.samples, second.samples)
    bench.pays(second, 20)
    bench.pays(first, 30)
    one, other = bench.take(Finish).outcome, bench.take(Finish).outcome
    assert (30, 20, 0, 30) == (one.charge, other.charge, one.saved, other.saved)
    assert [Source.SHARED] * 3 + [Source.BOUGHT] * 2 == sources(other)


def test_who_wants_less_of_the_same_pays_nothing() -> None:
    """The sample that he wants is among those of another; he has it as soon as it is there, and may leave before."""
    bench = Bench(WIDE)
    bench.ask("a", "b", "c")
    bench.misses(bench.take(ReadCache))
    leaving, staying = bench.ask("b"), bench.ask("c")
    bench.tell(Cancelled(leaving))
    assert Status.CANCELLED == bench.take(Finish).outcome.status
    bench.pays(bench.take(Send), 30)
    outcomes = {command.job: command.outcome for command in (bench.take(Finish), bench.take(Finish))}
    assert (0, 10, [Source.SHARED]) == (
        outcomes[staying].charge,
        outcomes[staying].saved,
        sources(outcomes[staying]),
    )


def test_a_reply_that_brings_less_settles_what_came_for_everybody() -> None:
    """The first of two comes and is shared out; the second is asked for again, once, for both who want it."""
    bench = Bench(WIDE)
    bench.ask("a", "b")
    bench.misses(bench.take(ReadCache))
    only_a, only_b = bench.ask("a"), bench.ask("b")
    bench.pays(bench.take(Send), 30, places=(0,))
    done = bench.take(Finish)
    assert (only_a, Status.COMPLETED) == (done.job, done.outcome.status)
    again = bench.take(Send)
    assert (1, ((1, (1,)),)) == (again.samples, again.parts)
    bench.pays(again, 30)
    assert only_b in {bench.take(Finish).job, bench.take(Finish).job}
    assert bench.none(Send)


@pytest.mark.parametrize(("limit", "calls"), [(5.0, 2), (4.0, 3), (10.0, 1), (1.0, 10)])
def test_what_no_lane_takes_at_once_is_split_over_lanes(limit: float, calls: int) -> None:
    """Ten pictures where a lane has room for so many: as few calls as that allows, on all lanes that have room."""
    keys = [Credential(f"c{number}", "p", Limits(ipm=limit)) for number in range(4)]
    bench = Bench(evolve(CONFIG, credentials=tuple(keys), unproven=None))
    wanted = Target("p", "m", tuple(Key(str(number)) for number in range(10)), Demand(1, 1, 10), 100)
    bench.submit(Work((wanted,)))
    sent: list[Send] = []
    while not bench.none(Send):
        sent.append(bench.take(Send))
    assert min(calls, 4) == len(sent) == len({send.lane.credential for send in sent})
    assert min(10, 4 * limit) == sum(send.samples for send in sent)
    for send in sent:
        bench.pays(send, 10)
    while bench.none(Finish):
        deadline = bench.engine.next_deadline()
        assert deadline is not None
        bench.at(deadline)
        while not bench.none(Send):
            bench.pays(bench.take(Send), 10)
    assert [str(number) for number in range(10)] == [one.key for one in bench.take(Finish).outcome.pictures]


def test_whoever_asks_most_urgently_moves_a_shared_call() -> None:
    """A call of a batch goes before others as soon as somebody who waits for it joins."""
    bench = Bench(STORED)
    for one in (work("other"), work("first"), work("shared")):
        bench.submit(evolve(one, priority=Priority.BATCH))
        bench.misses(bench.take(ReadCache))
    bench.submit(evolve(work("shared"), priority=Priority.INTERACTIVE))
    bench.pays(bench.take(Send))
    assert ((3, (0,)),) == bench.take(Send).parts


def test_a_stream_shares_with_nobody() -> None:
    """What is shown as it comes is bought for itself, also where the same is on its way."""
    bench = Bench(WIDE)
    bench.ask("a")
    bench.misses(bench.take(ReadCache))
    bench.submit(Work((evolve(target("a"), stream=True),)))
    bench.misses(bench.take(ReadCache))
    assert 2 == len([bench.take(Send), bench.take(Send)])


wishes = st.lists(
    st.tuples(
        st.integers(0, 3),  # the first sample
        st.integers(1, 4),  # how many
        st.sampled_from(["a cat", "a dog"]),
        st.sampled_from(list(Priority)),
        st.sampled_from(["", "acme"]),
        st.sampled_from([CachePolicy.USE, CachePolicy.USE, CachePolicy.REFRESH, CachePolicy.OFF]),
        st.floats(0.0, 3.0),  # when he comes
        st.one_of(st.none(), st.floats(0.0, 4.0)),  # when he leaves
    ),
    min_size=1,
    max_size=12,
)


@given(wishes, st.integers(1, 4), st.integers(1, 8), st.integers(0, 2**16))
def test_whoever_asks_gets_his_own(
    wanted: list[tuple[int, int, str, Priority, str, CachePolicy, float, float | None]], most: int, ipm: int, seed: int
) -> None:
    """Gathered, split, shared, stored and left in any order: each has the pictures of his keys, and money adds up."""
    limits = ServerLimits(ipm=60.0 * ipm, burst=1 / 60)
    config = Config((Credential("c1"), Credential("c2")), gathering=Gathering(most, 0.2), store=True, unproven=None)
    server = Server(ServerSettings(limits=limits, latency=Latency(0.5, 0.3)), rng=Random(seed))
    made = World(
        config, server, rng=Random(seed), delays=Delays(store=0.01), wrap=lambda one: Monitor(one, config=config)
    )
    jobs: dict[int, tuple[Key, ...]] = {}

    def come(number: int) -> None:
        first, count, prompt, priority, tenant, policy, _, leaves = wanted[number]
        keys = tuple(Key(f"{tenant}/{prompt}/{first + place}") for place in range(count))
        aim = Target("default", "m", keys, Demand(1, 1, 10), 100, 90, gather=prompt)
        one = Work((aim,), Handle(number + 1), tenant=tenant, priority=priority, cache=policy)
        job = made.submit(one)
        jobs[job] = keys
        if leaves is not None:
            made.later(leaves, lambda: made.cancel(job))

    for number, wish in enumerate(wanted):
        made.later(wish[6], lambda number=number: come(number))  # type: ignore[misc] # bound at once
    made.run()
    assert made.engine.snapshot().at_rest
    for job, outcome in made.outcomes.items():
        shown = [picture.key for picture in outcome.pictures]
        assert outcome.status is Status.CANCELLED or jobs[job] == tuple(shown)
    assert server.books.billed == made.bare.snapshot().money.total.charged
