"""What a job is warned of when its money went otherwise than quoted, and what it hears when it is closed."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from penstock.commands import Finish, ReadCache, Send
from penstock.config import Budget, Credential, Limits
from penstock.engine.sums import dollars
from penstock.events import Closed, Mode, Responded
from penstock.outcomes import Outcome, Status
from penstock.readings import Kind, Part, Problem, Reached, Success, Usage
from penstock.work import Work
from tests.histories.bench import CONFIG, QUOTE, Bench, target, work


def ended(bench: Bench) -> Outcome:
    """How the next job ended."""
    return bench.take(Finish).outcome


def brings(bench: Bench, send: Send, usage: Usage | None) -> None:
    """Pictures for all that was asked for, and what they used."""
    parts = tuple([Part(place, bench.ref(), "1024x1024", "png", 9) for place in range(send.samples)])
    bench.tell(Responded(send.attempt, 200, (), Success(usage, parts)))


def test_a_reply_without_its_usage_may_have_cost_its_bound() -> None:
    """Nothing is charged for sure, the bound stays booked, and the cap holds as before; the job is warned once."""
    bench = Bench(evolve(CONFIG, budget=Budget((("run", 3 * QUOTE),))))
    bench.ask("a", "b")
    brings(bench, bench.take(Send), None)
    outcome = ended(bench)
    assert (Status.COMPLETED, None, 2 * QUOTE) == (outcome.status, outcome.charge, outcome.maybe)
    assert (
        f"the reply does not say what it cost: at most {dollars(2 * QUOTE)}, as far as is known",
    ) == outcome.warnings
    assert (0, 2 * QUOTE) == (bench.book().charged, bench.book().maybe)
    bench.ask("c", "d")
    assert 1 == bench.take(Send).samples


def test_a_charge_above_its_bound_is_told_with_both_figures() -> None:
    """To the job that pays it."""
    bench = Bench()
    bench.ask("a")
    brings(bench, bench.take(Send), Usage(cost=5 * QUOTE))
    outcome = ended(bench)
    assert 5 * QUOTE == outcome.charge
    assert (f"m: {dollars(5 * QUOTE)} was charged, above the bound of {dollars(QUOTE)}",) == outcome.warnings


def test_what_was_sent_before_does_not_hear_that_it_was_not() -> None:
    """Closed while it waits for its second try: it says how the first had ended; one that was not sent says that."""
    for mode in Mode:
        bench = Bench()
        bench.submit(work("a"))
        send = bench.take(Send)
        refusal = Problem("rate_limit_exceeded", None, "Not now.")
        bench.tell(Responded(send.attempt, 429, (("retry-after", "9"),), refusal))
        bench.tell(Closed(mode))
        error = ended(bench).error
        assert error is not None
        assert ("cancelled", "closed before its retry: Not now", 429) == (error.kind, error.message, error.status)


@pytest.mark.parametrize("late", [False, True])
def test_what_never_went_out_is_no_attempt(late: bool) -> None:
    """Nobody was there, then somebody was: two who want one picture hear of one attempt, whenever the second came."""
    bench = Bench(evolve(CONFIG, store=True))
    bench.submit(work("a"))
    if not late:
        bench.submit(work("a"))
    bench.misses(bench.take(ReadCache))
    send = bench.take(Send)
    if late:
        bench.submit(work("a"))
    bench.breaks(send, Kind.CONNECT, Reached.NOTHING)
    bench.pays(bench.take(Send))
    assert [1, 1] == [ended(bench).attempts for _ in range(2)]


def test_who_comes_later_loses_no_attempt_of_his_own() -> None:
    """One request of his went out; another one's for the picture that he turned to never did, and their common one."""
    wide = (Credential("c1", "p", Limits(concurrency=4)),)
    bench = Bench(evolve(CONFIG, credentials=wide, store=True))
    first = bench.submit(Work((target("k", model="m2"),)))
    bench.misses(bench.take(ReadCache))
    theirs = bench.take(Send)
    later = bench.submit(Work((target("other", model="m1"), target("k", model="m2"))))
    bench.misses(bench.take(ReadCache))
    bench.refuses(bench.take(Send), 404, "model_not_found")
    assert bench.none(Send)
    bench.breaks(theirs, Kind.CONNECT, Reached.NOTHING)
    bench.pays(bench.take(Send))
    ends = [bench.take(Finish) for _ in range(2)]
    assert {first: 1, later: 2} == {one.job: one.outcome.attempts for one in ends}


@given(st.integers(0, 10**30))
def test_an_amount_is_said_exactly(amount: int) -> None:
    """In dollars with all its digits, and none too many."""
    whole, _, rest = dollars(amount).removeprefix("$").partition(".")
    assert amount == int(whole) * 10**12 + int(rest.ljust(12, "0") or 0)
    assert not rest.endswith("0")
