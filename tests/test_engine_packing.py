"""Requests for many different things: in as few calls as their number and their tokens allow."""

from __future__ import annotations

import hypothesis.strategies as st
from attrs import evolve
from hypothesis import given

from penstock.commands import Finish, Record, Send
from penstock.config import Config, Credential, Gathering, Limits
from penstock.entries import Intent
from penstock.events import Cancelled, Recorded, Responded
from penstock.ids import Key, Ref
from penstock.outcomes import Status
from penstock.readings import Part, Success, Usage
from penstock.work import Demand, Item, Rates, Target, Work
from tests.histories.bench import Bench

WIDE = (Credential("c1", "p", Limits(concurrency=500)),)


def work(tokens: list[int], most: int, most_tokens: int | None, gather: str | None = None) -> Work:
    """A job for things of so many tokens."""
    items = tuple([Item(Demand(1, 0, one), one) for one in tokens])
    keys = tuple([Key(f"{place:064d}") for place in range(len(tokens))])
    target = Target(
        "p",
        "e",
        keys,
        Demand(1, 0, max(tokens)),
        max(tokens),
        operation="embeddings",
        most=most,
        most_tokens=most_tokens,
        gather=gather,
        array=items,
    )
    return Work((target,))


def calls(bench: Bench) -> list[list[int]]:
    """The samples of each call that was sent."""
    return [list(command.parts[0][1]) for command in bench.log if isinstance(command, Send)]


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=30),
    st.integers(1, 8),
    st.none() | st.integers(1, 60),
    st.booleans(),
)
def test_no_call_is_too_large_and_none_could_join_the_one_before(
    tokens: list[int], most: int, cap: int | None, gathers: bool
) -> None:
    """All samples in their order, each once; a call ends where the next one would be too much, in number or in tokens.

    What is too much alone goes alone: its provider may count otherwise. So it is where it is gathered with others.
    """
    bench = Bench(Config(WIDE, unproven=None, gathering=Gathering(1_000, 0.0) if gathers else Gathering()))
    bench.submit(work(tokens, most, cap, "g" if gathers else None))
    bench.at(1.0)
    found = calls(bench)
    assert list(range(len(tokens))) == [place for call in found for place in call]
    for number, call in enumerate(found):
        weight = sum(tokens[place] for place in call)
        assert len(call) <= most
        assert cap is None or weight <= cap or len(call) == 1
        if number:
            before = found[number - 1]
            heavy = cap is not None and sum(tokens[place] for place in before) + tokens[call[0]] > cap
            assert len(before) == most or heavy


def test_what_is_no_picture_is_paid_by_its_tokens() -> None:
    """A reply with results and no pictures is charged what its tokens cost, and counted as no picture."""
    bench = Bench(Config(WIDE, unproven=None))
    plain = work([5, 6], 9, None)
    job = bench.submit(evolve(plain, targets=(evolve(plain.targets[0], rates=Rates(text=7)),)))
    send = bench.take(Send)
    parts = tuple([Part(place, Ref(f"b:{place}"), "", "f32", 8) for place in range(2)])
    bench.tell(Responded(send.attempt, 200, (), Success(Usage(input_text=11), parts)))
    end = bench.take(Finish)
    assert (job, Status.COMPLETED, 77) == (end.job, end.outcome.status, end.outcome.charge)
    assert 0 == bench.engine.snapshot().counters.get("images", 0)


def test_who_leaves_as_his_call_is_written_down_is_still_known() -> None:
    """His request is kept until the call is over: the call carries what he asked for, since it is paid."""
    bench = Bench(Config(WIDE, unproven=None, journal=True, gathering=Gathering(2, 60.0)))
    first = bench.submit(work([5], 9, None, "g"))
    target = evolve(work([6], 9, None, "g").targets[0], keys=(Key("f" * 64),))
    second = bench.submit(Work((target,)))
    record = bench.take(Record)
    assert isinstance(record.entry, Intent)
    bench.tell(Cancelled(second))
    end = bench.take(Finish)
    assert (second, True) == (end.job, end.detached)
    bench.tell(Recorded(record.record))
    assert ((first, (0,)), (second, (0,))) == bench.take(Send).parts
