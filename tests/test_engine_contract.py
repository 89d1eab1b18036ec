"""The contract in directed scenarios: the twelve lines one by one, and what tables and histories leave to be said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from attrs import evolve

from penstock.commands import Abort, Consult, Finish, Notify, ReadCache, Record, Send
from penstock.config import Ambiguity, Budget, BudgetPolicy, Credential, Gathering, Hedging, Limits
from penstock.entries import Failed as FailedEntry
from penstock.entries import Intent
from penstock.errors import UsageError
from penstock.events import (
    CacheRead,
    Cancelled,
    Closed,
    Consulted,
    Event,
    Failed,
    Fetched,
    Miss,
    Mode,
    Opened,
    Reconfigured,
    Recorded,
    Responded,
    Streamed,
    Submitted,
    Ticked,
)
from penstock.ids import AttemptId, JobId, QuestionId, ReadId, RecordId, Ref
from penstock.outcomes import Route, Status
from penstock.readings import Answer, Delta, Kind, LimitHint, Malformed, Reached, Verdict
from penstock.work import CachePolicy, Demand, OnAmbiguous, Priority, Screen, Timeouts, Work
from tests.histories.bench import CONFIG, ONE, QUOTE, Bench, target, work

JOB, NEXT = JobId(1), JobId(2)
ROOT = Path(__file__).parent.parent
WIDE = Credential("c1", "p", Limits(concurrency=8))

MISUSES: tuple[Event, ...] = (
    Responded(AttemptId(99), 200, (), Malformed("x")),
    Failed(AttemptId(99), Kind.BROKEN, Reached.SENT),
    Opened(AttemptId(99), 200),
    Streamed(AttemptId(99), Delta(Ref("d"))),
    Fetched(AttemptId(99)),
    CacheRead(ReadId(99), (Miss(),)),
    Recorded(RecordId(99)),
    Consulted(QuestionId(99), Answer("x")),
    Submitted(JOB, work("k")),
    Submitted(JobId(7), Work(())),
    Submitted(JobId(7), work()),
    Submitted(JobId(7), Work((target("a"), target("a", "b")))),
    Reconfigured(evolve(CONFIG, journal=True)),
)


@pytest.mark.parametrize("event", MISUSES, ids=lambda event: type(event).__name__)
def test_line_1_misuse_changes_nothing(event: Event) -> None:
    """A driver's misuse raises UsageError before anything changed (the monitor compares)."""
    bench = Bench()
    bench.ask("k")
    with pytest.raises(UsageError):
        bench.tell(event)
    with pytest.raises(UsageError):
        bench.engine.handle(Ticked(), float("nan"))


def test_line_2_a_second_answer_is_refused() -> None:
    """An exchange is answered once, also after an Abort, and holds its lane until then."""
    bench = Bench()
    bench.ask("k")
    bench.ask("l")
    send = bench.take(Send)
    bench.tell(Cancelled(JOB, abort=True))
    assert send.attempt == bench.take(Abort).attempt
    assert bench.none(Send)
    bench.breaks(send, Kind.ABORTED)
    assert ((NEXT, (0,)),) == bench.take(Send).parts
    with pytest.raises(UsageError):
        bench.breaks(send)


def test_line_3_a_job_that_can_never_go() -> None:
    """Too large and indivisible, queue full, too late, of unknown price under a cap: at once, saying what to do."""
    tight = Credential("c1", "p", Limits(ipm=2.0, concurrency=None))
    capped = evolve(CONFIG, budget=Budget((("run", 1000),)))
    cases = (
        (evolve(CONFIG, credentials=(tight,)), Work((evolve(target("a", "b", "c"), divisible=False),)), "over_limit"),
        (evolve(CONFIG, queue=0), work("a"), "queue_full"),
        (CONFIG, evolve(work("a"), deadline=-1.0), "expired"),
        (capped, Work((evolve(target("a"), quote=None),)), "unknown_price"),
        (capped, Work((evolve(target("a"), quote=None, unbounded="it has no longest answer"),)), "unbounded"),
        (evolve(capped, budget=Budget((("run", 50),))), work("a"), "budget"),
        (evolve(CONFIG, credentials=()), work("a"), "no_lane"),
        (CONFIG, evolve(work("a"), cache=CachePolicy.ONLY), "not_stored"),
    )
    for config, one, word in cases:
        bench = Bench(config)
        bench.submit(one)
        error = bench.take(Finish).outcome.error
        assert error is not None
        assert word == error.kind
        assert error.text == f"{error.message}; {error.remedy}"
        assert not error.text.endswith(".")
        assert bench.none(Send)
        assert bench.rests()


def test_line_3_a_caller_may_leave_at_any_step() -> None:
    """Whatever a job waits for, Cancelled ends it at once, and so does its deadline."""
    screens = (Screen("words.1", hook="words"), Screen("looks.1", picture=True, hook="looks"))
    for leaves, status in ((True, Status.CANCELLED), (False, Status.EXPIRED)):
        for steps in range(4):
            bench = Bench(evolve(CONFIG, store=True))
            bench.submit(evolve(work("k"), screens=screens, deadline=20.0))
            if steps > 0:
                bench.answers(bench.take(Consult), Verdict(passed=True))
            if steps > 1:
                bench.misses(bench.take(ReadCache))
            if steps > 2:
                bench.pays(bench.take(Send))
            if leaves:
                bench.tell(Cancelled(JOB))
            else:
                bench.at(20.0)
            assert status is bench.take(Finish).outcome.status


def test_line_4_time_runs_backwards() -> None:
    """It is clamped, and timers that come early or out of nowhere do nothing."""
    bench = Bench()
    bench.ask("k")
    bench.at(10.0)
    assert [] == bench.at(3.0)
    assert 10.0 == bench.engine.snapshot().now
    assert [] == bench.at(599.9)


def test_line_4_the_clock_is_corrected() -> None:
    """A laptop slept: `Ticked(unix)` moves the wall clock by which entries are dated, and nothing else."""
    bench = Bench(evolve(CONFIG, journal=True))
    assert [] == bench.tell(Ticked(1_800_000_000.0))
    bench.ask("k")
    entry = bench.take(Record).entry
    assert isinstance(entry, Intent)
    assert 1_800_000_000.0 == entry.at


def test_line_5_the_next_deadline() -> None:
    """It is the earliest of what is armed: time-out, deadline, retry; None when only an event can help."""
    bench = Bench()
    assert bench.engine.next_deadline() is None
    bench.submit(evolve(work("k"), deadline=50.0))
    assert 50.0 == bench.engine.next_deadline()
    bench.at(50.0)
    assert Status.EXPIRED == bench.take(Finish).outcome.status
    assert 600.0 == bench.engine.next_deadline()
    bench.pays(bench.take(Send))
    assert bench.engine.next_deadline() is None


def test_line_7_a_time_out_holds_its_lane_until_it_is_answered() -> None:
    """The total time-out breaks off; the answer is judged as a time-out, and only then the lane is free."""
    bench = Bench(evolve(CONFIG, ambiguity=Ambiguity(OnAmbiguous.SKIP)))
    bench.submit(Work((evolve(target("k"), timeouts=Timeouts(total=30.0)),)))
    send = bench.take(Send)
    bench.at(30.0)
    assert send.attempt == bench.take(Abort).attempt
    assert 1 == bench.engine.snapshot().in_flight
    bench.breaks(send, Kind.ABORTED)
    outcome = bench.take(Finish).outcome
    assert (Status.AMBIGUOUS, QUOTE) == (outcome.status, outcome.maybe)
    assert bench.rests()


def test_line_8_the_hash_seed_changes_nothing() -> None:
    """The same seeds give the same events and commands byte for byte under another PYTHONHASHSEED."""
    program = "from tests.histories.generate import digest; print(digest(60))"
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join([*sys.path, str(ROOT)])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "4711")
    }
    assert 1 == len(digests)
    assert 32 == len(digests.pop().strip())


def test_line_10_unsent_costs_no_quota_and_a_refusal_does() -> None:
    """What never left gives the rates back and goes again at once; an error reply counts, and waits."""
    thrifty = Credential("c1", "p", Limits(rpm=1.0, concurrency=1))
    bench = Bench(evolve(CONFIG, credentials=(thrifty,)))
    bench.ask("k")
    bench.breaks(bench.take(Send), Kind.CONNECT, Reached.CONNECTED)
    second = bench.take(Send)
    assert 0.0 == bench.engine.snapshot().lanes[0].quota.requests.level
    bench.refuses(second, 500)
    assert 0.0 == bench.engine.snapshot().lanes[0].quota.requests.level
    assert "retry" == bench.engine.explain(JOB).reason
    assert bench.none(Send)


def test_line_10_a_failed_attempt_is_recorded_with_its_cost() -> None:
    """A reply too large to take was executed and billed, nobody knows how much: its bound at most; no second try."""
    bench = Bench(evolve(CONFIG, journal=True))
    bench.ask("k")
    bench.records(bench.take(Record))
    bench.breaks(bench.take(Send), Kind.TOO_LARGE, Reached.READING)
    entry = bench.take(Record).entry
    assert isinstance(entry, FailedEntry)
    outcome = bench.take(Finish).outcome
    assert None is entry.charge
    assert (0, QUOTE) == (bench.book().charged, bench.book().maybe)
    assert (None, QUOTE) == (outcome.charge, outcome.maybe)
    assert 1 == len(outcome.warnings)


# Calls: splitting, gathering, hedging, trying again


def test_more_than_a_call_may_carry_is_split() -> None:
    """Into as few calls as the target and the limits allow; picture i of a reply is the i-th that is missing."""
    bench = Bench(evolve(CONFIG, credentials=(Credential("c1", "p", Limits(ipm=3.0, concurrency=8)),)))
    bench.ask("a", "b", "c", "d")
    assert [3] == [command.samples for command in bench.log if isinstance(command, Send)]
    bench.pays(bench.take(Send))
    assert "images of c1" == bench.engine.explain(JOB).on
    bench.at(bench.engine.next_deadline() or 0.0)
    send = bench.take(Send)
    assert ((JOB, (3,)),) == send.parts


def test_a_limit_below_the_demand_splits() -> None:
    """A 429 that names a limit below what was asked for teaches it, and the call goes in parts."""
    bench = Bench()
    bench.ask("a", "b", "c", "d")
    bench.refuses(bench.take(Send), 429, "rate_limit_exceeded", LimitHint("images", 2.0, 0.0, 4.0))
    for _ in range(40):
        if not bench.none(Send):
            send = bench.take(Send)
            assert send.samples <= 2
            bench.pays(send)
        elif bench.none(Finish):
            bench.at(bench.engine.next_deadline() or 0.0)
    assert Status.COMPLETED == bench.take(Finish).outcome.status


def test_a_budget_too_small_for_all_buys_what_it_can() -> None:
    """A divisible call that can never fit is split; the rest fails with the budget's word: partial."""
    bench = Bench(evolve(CONFIG, budget=Budget((("run", 250),))))
    bench.ask("a", "b", "c", "d")
    while not bench.none(Send):
        bench.pays(send := bench.take(Send), 100 * send.samples)
    outcome = bench.take(Finish).outcome
    assert (Status.PARTIAL, 2, 200) == (outcome.status, len(outcome.pictures), outcome.charge)
    assert bench.book().charged <= 250


def test_a_reply_with_fewer_pictures() -> None:
    """Those that came are settled, the rest is queued again and counts as a try; after the last it is partial."""
    bench = Bench(evolve(CONFIG, retry=evolve(CONFIG.retry, attempts=2)))
    bench.ask("a", "b", "c")
    bench.pays(bench.take(Send), 60, places=(1,))
    again = bench.take(Send)
    assert ((JOB, (0, 2)),) == again.parts
    bench.pays(again, 60, places=(0,))
    outcome = bench.take(Finish).outcome
    assert (Status.PARTIAL, [0, 1], 120) == (outcome.status, [p.index for p in outcome.pictures], outcome.charge)


def test_gathering_waits_at_most_so_long() -> None:
    """What may be bought together waits for company until the call is full or its wait over."""
    bench = Bench(evolve(CONFIG, gathering=Gathering(3, 0.5)))
    for key in ("a", "b"):
        bench.submit(Work((evolve(target(key), gather="g"),)))
    assert "gathering" == bench.engine.explain(JOB).reason
    assert bench.none(Send)
    bench.at(0.5)
    assert 2 == bench.take(Send).samples


def test_a_hedge() -> None:
    """A slow call gets a second attempt on another lane; the first that delivers counts, the other is broken off."""
    two = (ONE, Credential("c2", "p", Limits(concurrency=1)))
    bench = Bench(evolve(CONFIG, credentials=two, hedging=Hedging(5.0), ambiguity=Ambiguity(floor=1)))
    bench.ask("k")
    slow = bench.take(Send)
    bench.at(5.0)
    quick = bench.take(Send)
    assert slow.call == quick.call
    assert slow.lane != quick.lane
    assert 2 * QUOTE == bench.book().reserved
    bench.pays(quick, 60)
    assert Status.COMPLETED == bench.take(Finish).outcome.status
    assert slow.attempt == bench.take(Abort).attempt
    bench.breaks(slow, Kind.ABORTED)
    assert (60, QUOTE, 0) == ((book := bench.book()).charged, book.maybe, book.reserved)
    assert bench.rests()


def test_a_second_attempt_adds_what_the_first_did_not_bring() -> None:
    """Of two attempts at two pictures the first brought one: the other's second is taken, its first is let go."""
    two = (ONE, Credential("c2", "p", Limits(concurrency=1)))
    bench = Bench(evolve(CONFIG, credentials=two, hedging=Hedging(5.0)))
    bench.ask("a", "b")
    slow = bench.take(Send)
    bench.at(5.0)
    bench.pays(bench.take(Send), places=(0,))
    assert bench.none(Finish)
    bench.pays(slow)
    assert Status.COMPLETED == bench.take(Finish).outcome.status
    assert bench.rests()


def test_a_doubtful_attempt_is_tried_again_within_the_allowance() -> None:
    """AUTO once a job, RETRY as often as there are tries, SKIP and ASK never; each doubt stays in the books."""
    modes = {OnAmbiguous.AUTO: 2, OnAmbiguous.RETRY: 6, OnAmbiguous.SKIP: 1, OnAmbiguous.ASK: 1}
    for mode, tries in modes.items():
        bench = Bench(evolve(CONFIG, ambiguity=Ambiguity(mode, floor=2, share=0.0)))
        bench.ask("k")
        count = 0
        while bench.none(Finish):
            if bench.none(Send):
                bench.at(bench.engine.next_deadline() or 0.0)
            else:
                bench.breaks(bench.take(Send))
                count += 1
        outcome = bench.take(Finish).outcome
        assert (Status.AMBIGUOUS, tries, tries * QUOTE) == (outcome.status, count, outcome.maybe)


def test_the_chain_goes_on() -> None:
    """When a target fails for good its payer asks the next one; the outcome says which served."""
    bench = Bench()
    bench.submit(Work((target("k"), target("k2", model="other"))))
    bench.refuses(bench.take(Send), 400)
    send = bench.take(Send)
    assert ("other", 1) == (send.lane.model, send.target)
    bench.pays(send)
    outcome = bench.take(Finish).outcome
    assert (Status.COMPLETED, 1, 2) == (outcome.status, outcome.strategy, outcome.attempts)
    assert Route("p", "other", 1) == outcome.route


def test_priorities() -> None:
    """Of what waits the more urgent goes first, and a call has the priority of its most urgent asker."""
    bench = Bench(evolve(CONFIG, store=True))
    for key, priority in (("a", Priority.NORMAL), ("b", Priority.BATCH), ("c", Priority.NORMAL)):
        bench.submit(evolve(work(key), priority=priority, cache=CachePolicy.REFRESH))
    bench.submit(evolve(work("b"), priority=Priority.INTERACTIVE, cache=CachePolicy.REFRESH))
    order = []
    while not bench.none(Send):
        send = bench.take(Send)
        order.append(send.handle)
        bench.pays(send)
    assert [1, 2, 3] == order


def test_a_raised_budget_lets_parked_calls_go() -> None:
    """What waited for refunds goes when the cap is raised."""
    bench = Bench(evolve(CONFIG, credentials=(WIDE,), budget=Budget((("run", 150),))))
    bench.ask("a")
    bench.ask("b")
    bench.take(Send)
    assert "budget" == bench.engine.explain(NEXT).reason
    bench.tell(Reconfigured(evolve(bench.config, budget=Budget((("run", 500),)))))
    assert ((NEXT, (0,)),) == bench.take(Send).parts


def test_a_budget_that_does_not_wait() -> None:
    """Where calls do not wait for refunds, what does not fit now fails now."""
    bench = Bench(evolve(CONFIG, credentials=(WIDE,), budget=Budget((("run", 150),), BudgetPolicy.FAIL)))
    bench.ask("a")
    bench.ask("b")
    assert "budget" == getattr(bench.take(Finish).outcome.error, "kind", "")


def test_a_void_lets_parked_calls_go() -> None:
    """Money that comes back from an intent that was not carried out is there for others."""
    bench = Bench(evolve(CONFIG, credentials=(WIDE,), journal=True, budget=Budget((("run", 150),))))
    bench.ask("a")
    bench.ask("b")
    intent = bench.take(Record)
    bench.tell(Cancelled(JOB))
    bench.records(intent)
    entries = [bench.take(Record).entry, bench.take(Record).entry]
    assert ["Void", "Intent"] == [type(entry).__name__ for entry in entries]


def test_appetite() -> None:
    """It keeps the lanes busy with a short line behind them, and is nothing when halted or closed."""
    bench = Bench()
    assert 2 * 1 + 16 == bench.engine.appetite()
    bench.ask("k")
    assert 17 == bench.engine.appetite()
    bench.tell(Closed(Mode.DRAIN))
    assert 0 == bench.engine.appetite()
    assert 5 == Bench(evolve(CONFIG, window=5)).engine.appetite()


def test_explain() -> None:
    """Why a job waits, on what, until when, and its place in line."""
    bench = Bench(evolve(CONFIG, store=True))
    bench.ask("a")
    assert ("store", 5.0) == ((why := bench.engine.explain(JOB)).reason, why.until)
    bench.misses(bench.take(ReadCache))
    assert ("provider", "p/m with c1", 600.0) == ((why := bench.engine.explain(JOB)).reason, why.on, why.until)
    for key in ("b", "c"):
        bench.ask(key)
        bench.misses(bench.take(ReadCache))
    last = bench.engine.explain(JobId(3))
    assert ("quota", "concurrency of c1", None, 1) == (last.reason, last.on, last.until, last.place)
    assert "done" == bench.engine.explain(JobId(99)).reason
    bench.refuses(bench.take(Send), 503)
    why = bench.engine.explain(JOB)
    assert ("retry", "no") == (why.reason, why.on)
    assert why.until is not None


def test_rates_pace_and_say_so() -> None:
    """With one request a minute left the second waits for it, and the deadline says when."""
    slow = Credential("c1", "p", Limits(rpm=1.0, concurrency=None))
    bench = Bench(evolve(CONFIG, credentials=(slow,)))
    bench.ask("a")
    bench.ask("b")
    bench.pays(bench.take(Send))
    assert bench.none(Send)
    assert ("quota", "requests of c1") == ((why := bench.engine.explain(NEXT)).reason, why.on)
    deadline = bench.engine.next_deadline()
    assert deadline is not None
    assert 60.0 <= deadline < 60.1
    bench.at(deadline)
    assert ((NEXT, (0,)),) == bench.take(Send).parts


def test_a_demand_that_no_lane_can_carry_steps_aside() -> None:
    """A head that only the busy lane could serve lets the next one take the free lane."""
    big = Credential("big", "p", Limits(ipm=60.0, concurrency=1))
    small = Credential("small", "p", Limits(ipm=1.0, concurrency=1))
    bench = Bench(evolve(CONFIG, credentials=(big, small)))
    whole = evolve(target("a", "b"), divisible=False)
    bench.submit(Work((whole,)))
    assert "big" == bench.take(Send).lane.credential
    bench.submit(Work((evolve(whole, keys=work("c", "d").targets[0].keys),)))
    bench.ask("e")
    assert "small" == bench.take(Send).lane.credential
    assert bench.none(Send)


def test_notices_are_built_only_for_subscribers() -> None:
    """Without a subscriber there is no Notify."""
    bench = Bench(evolve(CONFIG, notify=False))
    bench.ask("k")
    bench.refuses(bench.take(Send), 401, "invalid_api_key")
    assert bench.none(Notify)


def test_tokens_count() -> None:
    """The estimate of a demand stays where the reply says nothing of what it used."""
    metered = Credential("c1", "p", Limits(tpm=6000.0, concurrency=1))
    bench = Bench(evolve(CONFIG, credentials=(metered,)))
    bench.submit(Work((evolve(target("k"), demand=Demand(1, 1, 1000)),)))
    assert 5000.0 == bench.engine.snapshot().lanes[0].quota.tokens.level
    bench.pays(bench.take(Send))
    assert 5000.0 == bench.engine.snapshot().lanes[0].quota.tokens.level
