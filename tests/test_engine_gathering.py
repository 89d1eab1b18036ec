"""Calls that are gathered: full, by time, by tokens, at the close; whose result is whose; one bad item among many."""

from __future__ import annotations

from collections.abc import Iterable

import hypothesis.strategies as st
import pytest
from attrs import evolve
from hypothesis import given

from penstock.commands import Finish, ReadCache, Send
from penstock.config import Budget, Config, Credential, Gathering, Limits
from penstock.events import Cancelled, Closed, Mode, Responded
from penstock.ids import JobId, Key, Ref
from penstock.outcomes import Outcome, Status
from penstock.readings import Part, Problem, Success, Usage
from penstock.work import Demand, Item, Target, Work
from tests.histories.bench import Bench, target

TOKENS = 10
"""Of an item by default."""


def array(*items: tuple[str, int], most: int = 100) -> Work:
    """A job for items (key, tokens) of one array: a token costs at most 1 picodollar."""
    parts = tuple(Item(Demand(1, 0, tokens), tokens) for _, tokens in items)
    largest = max(tokens for _, tokens in items)
    keys = tuple(Key(key) for key, _ in items)
    return Work((Target("p", "e", keys, Demand(1, 0, largest), largest, most=most, gather="g", array=parts),))


class Arrays(Bench):
    """A bench whose provider takes arrays, as a whole or not at all, and charges a picodollar a token."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.items: dict[JobId, tuple[tuple[str, int], ...]] = {}

    def wants(self, *items: tuple[str, int], tenant: str = "") -> JobId:
        """A job for items (key, tokens)."""
        job = self.submit(evolve(array(*items), tenant=tenant))
        self.items[job] = items
        return job

    def carried(self, send: Send) -> list[tuple[str, int]]:
        """What an exchange is for, in the order in which the driver builds it."""
        found = [self.items[job][sample] for job, samples in send.parts for sample in samples]
        assert len(found) == send.samples
        return found

    def serves(self, send: Send, bad: Iterable[str] = ()) -> None:
        """Answer it: each item's result is named by what it was asked for."""
        items = self.carried(send)
        if {key for key, _ in items}.intersection(bad):
            self.tell(Responded(send.attempt, 400, (), Problem("invalid_value", None, "an input is no text")))
            return
        parts = [Part(at, Ref(f"b:{send.attempt}/{key}"), "", "json", 9) for at, (key, _) in enumerate(items)]
        cost = sum(tokens for _, tokens in items)
        self.tell(Responded(send.attempt, 200, (), Success(Usage(cost=cost), tuple(parts))))

    def serves_all(self, bad: Iterable[str] = ()) -> int:
        """Answer whatever is sent until nothing is; how many exchanges that were."""
        exchanges = 0
        while not self.none(Send):
            self.serves(self.take(Send), bad)
            exchanges += 1
        return exchanges

    def ends(self) -> dict[JobId, Outcome]:
        """How jobs ended that did."""
        found: dict[JobId, Outcome] = {}
        while not self.none(Finish):
            end = self.take(Finish)
            found[end.job] = end.outcome
        return found


def bench(gathering: Gathering, budget: Budget | None = None, *, store: bool = False) -> Arrays:
    """A key with room for many exchanges."""
    wide = (Credential("c1", "p", Limits(concurrency=500)),)
    return Arrays(Config(wide, gathering=gathering, unproven=None, budget=budget or Budget(), store=store))


def sent(one: Bench) -> list[int]:
    """How many samples each call is for that was sent and not taken."""
    return [command.samples for command in one.log if isinstance(command, Send)]


def got(outcome: Outcome) -> list[str]:
    """Whose results a job was given."""
    return [picture.ref.partition("/")[2] for picture in outcome.pictures]


def test_it_goes_when_it_is_full() -> None:
    """Size: with the last that it may carry it goes at once; the next one begins another."""
    one = bench(Gathering(3, 60.0))
    for key in "abc":
        assert [] == sent(one)
        one.wants((key, TOKENS))
    assert [3] == sent(one)
    one.wants(("d", TOKENS))
    assert [3] == sent(one)


def test_it_goes_when_its_longest_wait_is_over() -> None:
    """Time: counted from the first that it gathered, whoever came later; not a moment before."""
    one = bench(Gathering(3, 0.5))
    one.wants(("a", TOKENS))
    one.at(0.4)
    one.wants(("b", TOKENS))
    assert 0.5 == one.engine.next_deadline()
    one.at(0.499)
    assert [] == sent(one)
    one.at(0.5)
    assert [2] == sent(one)


def test_it_goes_before_it_has_too_many_tokens() -> None:
    """Tokens: what would be too much for it goes with the next one, and what is too large alone goes alone."""
    one = bench(Gathering(9, 0.5, tokens=100))
    for key, tokens in (("a", 60), ("b", 40), ("c", 1), ("d", 500), ("e", 99)):
        one.wants((key, tokens))
    assert [2, 1, 1] == sent(one)
    one.at(0.5)
    carried = [one.carried(command) for command in one.log if isinstance(command, Send)]
    assert ["ab", "c", "d", "e"] == ["".join(key for key, _ in some) for some in carried]


def test_tokens_count_where_all_are_alike() -> None:
    """Also of pictures of one prompt, each of ten tokens."""
    one = bench(Gathering(9, 0.5, tokens=25))
    for key in "abc":
        one.submit(Work((evolve(target(key), gather="g"),)))
    assert [2] == sent(one)


@pytest.mark.parametrize("mode", [Mode.DRAIN, Mode.ABORT])
def test_it_goes_nowhere_once_all_is_closed(mode: Mode) -> None:
    """Close: everybody hears at once that nothing was sent, without waiting for the time; nothing is left or booked."""
    one = bench(Gathering(3, 60.0))
    jobs = [one.wants((key, TOKENS)) for key in "ab"]
    one.tell(Closed(mode))
    ends = one.ends()
    assert dict.fromkeys(jobs, (Status.CANCELLED, 0)) == {job: (end.status, end.charge) for job, end in ends.items()}
    assert [] == sent(one)
    assert one.rests()


def test_who_leaves_takes_his_own_along() -> None:
    """While it gathers: the call goes without him, and with nobody left it goes nowhere."""
    one = bench(Gathering(3, 0.5))
    left, stays = one.wants(("a", TOKENS)), one.wants(("b", TOKENS))
    one.tell(Cancelled(left))
    one.at(0.5)
    assert ((stays, (0,)),) == one.take(Send).parts
    other = bench(Gathering(3, 0.5))
    other.tell(Cancelled(other.wants(("a", TOKENS))))
    other.at(0.5)
    assert [] == sent(other)
    assert other.rests()


def test_what_may_not_be_bought_together_is_not() -> None:
    """Of another name, model or operation, each has a call of its own."""
    one = bench(Gathering(2, 0.5))
    aim = array(("a", TOKENS)).targets[0]
    for other in (aim, evolve(aim, gather="h"), evolve(aim, model="f"), evolve(aim, operation="moderations")):
        one.submit(Work((other,)))
    assert [] == sent(one)
    one.at(0.5)
    assert [1, 1, 1, 1] == sent(one)


def test_an_array_takes_and_costs_what_its_items_do() -> None:
    """One request, the tokens and the bounds of all, each payer's on his own books; what was charged is shared out."""
    one = bench(Gathering(3, 60.0))
    one.wants(("a", 50), tenant="t")
    one.wants(("b", 7), ("c", 3))
    send = one.take(Send)
    assert (60, 50) == (one.book().reserved, one.book("tenant:t").reserved)
    one.serves(send)
    charged = [outcome.charge for outcome in one.ends().values()]
    assert (60, 0) == (sum(charge or 0 for charge in charged), one.book().reserved)
    assert [50, 10] == charged


def test_each_payers_cap_holds_for_his_items() -> None:
    """What is too dear for a cap goes in parts, as far as it goes."""
    one = bench(Gathering(1, 0.0), Budget((("tenant:t", 20),)))
    job = one.wants(("a", 8), ("b", 9), ("c", 15), ("d", 2), tenant="t")
    one.serves_all()
    outcome = one.ends()[job]
    assert Status.PARTIAL == outcome.status
    assert outcome.charge == one.book("tenant:t").charged <= 20


def test_a_charge_above_the_bound_raises_the_bounds_of_items() -> None:
    """In the same proportion, from what the items were quoted at."""
    one = bench(Gathering(2, 60.0))
    one.wants(("a", 30), ("b", 10))
    one.pays(one.take(Send), 80)
    one.wants(("c", 5), ("d", 6))
    assert 22 == one.book().reserved
    one.pays(one.take(Send), 33)
    one.wants(("e", 5), ("f", 6))
    assert 33 == one.book().reserved


def test_payers_that_come_in_turns_are_not_mixed_up() -> None:
    """What passes to the next asker stands beside his others: the order of the array is that of the parts."""
    one = bench(Gathering(9, 0.5), store=True)
    left = one.wants(("a", 1))
    first = one.wants(("e", 5))
    second = one.wants(("d", 4), ("a", 1), ("c", 3))
    while not one.none(ReadCache):
        one.misses(one.take(ReadCache))
    one.tell(Cancelled(left))
    one.at(0.5)
    send = one.take(Send)
    assert ((second, (1, 0, 2)), (first, (0,))) == send.parts
    one.serves(send)
    ends = one.ends()
    assert [["d", "a", "c"], ["e"]] == [got(ends[second]), got(ends[first])]


def test_one_bad_item_fails_alone() -> None:
    """A refusal of the whole says nothing of the others: it goes on in halves until the bad one stands alone."""
    one = bench(Gathering(8, 60.0))
    jobs = [one.wants((key, TOKENS)) for key in "abcdefgh"]
    assert 7 == one.serves_all("f")  # 8 and 4 and 2 and 1 are refused; 4, 2 and 1 are served
    ends = one.ends()
    failed = [job for job in jobs if ends[job].status is not Status.COMPLETED]
    assert [jobs[5]] == failed
    assert (Status.FAILED, "invalid", 0) == (
        ends[jobs[5]].status,
        getattr(ends[jobs[5]].error, "kind", ""),
        ends[jobs[5]].charge,
    )
    assert 70 == one.book().charged
    assert one.rests()


def test_what_nobody_wants_any_more_is_not_asked_for_again() -> None:
    """Who left while the whole was out is left out of the halves; with nobody left nothing is sent."""
    one = bench(Gathering(3, 60.0))
    jobs = [one.wants((key, TOKENS)) for key in "abc"]
    send = one.take(Send)
    one.tell(Cancelled(jobs[2]))
    one.serves(send, "a")
    assert [["a"], ["b"]] == [
        [key for key, _ in one.carried(command)]
        for command in sorted(
            (command for command in one.log if isinstance(command, Send)), key=lambda command: command.parts
        )
    ]
    one.serves_all("a")
    assert (TOKENS, True) == (one.book().charged, one.rests())
    other = bench(Gathering(2, 60.0))
    gone = [other.wants((key, TOKENS)) for key in "ab"]
    send = other.take(Send)
    for job in gone:
        other.tell(Cancelled(job))
    other.serves(send, "a")
    assert ([], True) == (sent(other), other.rests())


def test_what_is_refused_for_another_reason_is_not_taken_apart() -> None:
    """A limit, a fault of the server: the whole is tried again as one; alike pictures are refused as one."""
    one = bench(Gathering(3, 60.0))
    one.wants(("a", 1), ("b", 2), ("c", 3))
    one.refuses(one.take(Send), 503)
    one.at(one.engine.next_deadline() or 0.0)
    assert [3] == sent(one)
    alike = bench(Gathering(3, 60.0))
    alike.submit(Work((evolve(target("a", "b", "c"), gather="g"),)))
    alike.refuses(alike.take(Send), 400, "invalid_value")
    assert [] == sent(alike)


def test_nothing_is_taken_apart_once_all_is_closed() -> None:
    """Halves would be new calls: all of it ends with the refusal."""
    one = bench(Gathering(2, 60.0))
    one.wants(("a", 1), ("b", 2))
    send = one.take(Send)
    one.tell(Closed(Mode.DRAIN))
    one.serves(send, "a")
    assert [] == sent(one)
    assert one.rests()


JOBS = st.lists(
    st.tuples(
        st.lists(st.tuples(st.sampled_from("abcdefghijkl"), st.integers(1, 9)), min_size=1, max_size=4),
        st.sampled_from(["go", "go", "leave", "wait", "serve"]),
        st.sampled_from(["", "t", "u"]),
    ),
    min_size=1,
    max_size=12,
)


@given(JOBS, st.integers(1, 7), st.one_of(st.none(), st.integers(1, 30)), st.sets(st.sampled_from("abcdefghijkl")))
def test_batching_never_mixes_up_callers(
    jobs: list[tuple[list[tuple[str, int]], str, str]], most: int, tokens: int | None, bad: set[str]
) -> None:
    """Under any interleaving each item is its own caller's or nobody's; bad ones fail alone; money adds up."""
    one = bench(Gathering(most, 0.2, tokens))
    stay: list[JobId] = []
    billed = 0

    def serve() -> None:
        nonlocal billed
        send = one.take(Send)
        items = one.carried(send)
        billed += 0 if bad.intersection(key for key, _ in items) else sum(tokens for _, tokens in items)
        one.serves(send, bad)

    for items, then, tenant in jobs:
        job = one.wants(*items, tenant=tenant)
        if then == "leave":
            one.tell(Cancelled(job))
        else:
            stay.append(job)
        if then == "wait":
            one.at(one.now + 0.2)
        if then == "serve" and sent(one):
            serve()
    one.at(one.now + 0.2)
    while sent(one):
        serve()
    ends = one.ends()
    for job in stay:
        wished = [key for key, _ in one.items[job]]
        assert [key for key in wished if key not in bad] == got(ends[job])
    assert (billed, 0) == (one.book().charged, one.book().reserved)
    assert one.rests()
