"""Patience: how long a job waits because a provider wants it to, where it goes instead, and what it hears."""

from __future__ import annotations

import pytest
from attrs import evolve

from penstock.commands import Finish, Notify, Record, Send, Waits
from penstock.config import Config, Credential, Limits
from penstock.engine import Waiting
from penstock.entries import Deferred
from penstock.events import Headers, Reconfigured, Responded
from penstock.ids import JobId
from penstock.outcomes import Outcome, Status
from penstock.readings import Problem
from penstock.work import CachePolicy, OnAmbiguous, Work
from tests.histories.bench import CONFIG, ONE, Bench, target, work

TWO = evolve(CONFIG, credentials=(ONE, Credential("c2", "p", Limits(concurrency=1))))
RATE = (429, "rate_limit_exceeded")
BUSY = (503, "server_is_overloaded")
GATEWAY = (502, None)
PAST = "Wed, 21 Oct 2015 07:28:00 GMT"
CHAIN = Work((target("k"), target("k2", model="other")))


def says(bench: Bench, send: Send, reply: tuple[int, str | None], seconds: float | None = None) -> None:
    """The provider refuses for now, and asks to wait."""
    headers: Headers = () if seconds is None else (("retry-after", f"{seconds:g}"),)
    status, code = reply
    bench.tell(Responded(send.attempt, status, headers, Problem(code, None, "Not now.", own=code is not None)))


def ended(bench: Bench) -> Outcome:
    """How the next job ended."""
    return bench.take(Finish).outcome


def message(outcome: Outcome) -> str:
    """What it said."""
    return outcome.error.message if outcome.error is not None else ""


@pytest.mark.parametrize("reply", [RATE, BUSY])
def test_a_wait_beyond_patience_is_an_early_and_clear_end(reply: tuple[int, str]) -> None:
    """Not a second is slept: the job hears what was asked for, what it has, and what the provider said."""
    bench = Bench()
    bench.ask("k")
    says(bench, bench.take(Send), reply, 1800)
    outcome = ended(bench)
    assert (Status.FAILED, 1, 0, 0) == (outcome.status, outcome.attempts, outcome.charge, outcome.maybe)
    error = outcome.error
    assert error is not None
    told = "the provider asks to wait 30 min, and the job's patience is 10 min (it says: Not now)"
    assert ("patience", told, *reply) == (error.kind, error.message, error.status, error.code)
    assert "have more patience (Config.patience)" in error.text


@pytest.mark.parametrize("headers", [(("retry-after", "0"),), (("retry-after-ms", "3"),), (("retry-after", PAST),)])
def test_at_once_is_no_wait(headers: Headers) -> None:
    """Told to come back at once (a date is past, too, to a clock that runs ahead), a call backs off all the same."""
    times: dict[bool, list[float]] = {}
    for told in (True, False):
        bench = Bench()
        bench.ask("k")
        times[told] = []
        while not bench.none(Send):
            times[told].append(bench.now)
            status, code = BUSY
            problem = Problem(code, None, "Not now.")
            bench.tell(Responded(bench.take(Send).attempt, status, headers if told else (), problem))
            if bench.none(Finish):
                bench.at(bench.engine.next_deadline() or 0.0)
        assert Status.FAILED is ended(bench).status
    assert times[False] == times[True]
    assert CONFIG.retry.attempts == len(times[True])
    assert 2.0 < times[True][-1]


@pytest.mark.parametrize("reply", [RATE, BUSY])
@pytest.mark.parametrize("seconds", [600.0, 61.0])
def test_a_wait_within_patience_is_waited(reply: tuple[int, str], seconds: float) -> None:
    """It is waited whole, explained with its end, and not a moment longer."""
    bench = Bench()
    job = bench.ask("k")
    says(bench, bench.take(Send), reply, seconds)
    assert bench.none(Finish)
    waiting = bench.engine.explain(job)
    assert ("retry" if reply is BUSY else "quota") == waiting.reason
    assert pytest.approx(seconds) == waiting.until
    bench.at(seconds - 0.01)
    assert bench.none(Send)
    bench.at(seconds)
    bench.pays(bench.take(Send))
    assert Status.COMPLETED == ended(bench).status


@pytest.mark.parametrize("reply", [RATE, BUSY])
def test_a_batch_waits_and_says_until_when(reply: tuple[int, str]) -> None:
    """Without a bound any wait is waited; a long one is told once, with its end by the clock."""
    bench = Bench(evolve(CONFIG, patience=None, credentials=(Credential("c1", "p"),)))
    bench.ask("k")
    bench.ask("l")
    first, second = bench.take(Send), bench.take(Send)
    says(bench, first, reply, 86_400)
    says(bench, second, reply, 86_400)
    notice = bench.take(Notify).notice
    assert isinstance(notice, Waits)
    assert ("c1", 86_400.0, 1_790_086_400.0) == (notice.lane.credential, notice.seconds, notice.until)
    assert bench.none(Notify)
    assert pytest.approx(86_400.0, abs=0.1) == bench.engine.explain(JobId(1)).until
    bench.at(86_400.1)
    bench.take(Send)


@pytest.mark.parametrize("reply", [RATE, BUSY])
def test_another_lane_is_asked_instead(reply: tuple[int, str]) -> None:
    """Where another key serves the model the call goes there at once, and fails only when that one asks the same."""
    bench = Bench(TWO)
    bench.ask("k")
    first = bench.take(Send)
    says(bench, first, reply, 1800)
    second = bench.take(Send)
    assert {"c1", "c2"} == {first.lane.credential, second.lane.credential}
    says(bench, second, reply, 1800)
    assert "the provider asks to wait 30 min" in message(ended(bench))
    assert bench.rests() or bench.engine.snapshot().in_flight == 0


@pytest.mark.parametrize("reply", [RATE, BUSY])
def test_another_target_is_asked_instead(reply: tuple[int, str]) -> None:
    """The chain goes on at once."""
    bench = Bench()
    bench.submit(CHAIN)
    says(bench, bench.take(Send), reply, 1800)
    bench.pays(bench.take(Send))
    outcome = ended(bench)
    assert (Status.COMPLETED, 1) == (outcome.status, outcome.strategy)


def test_a_lane_that_is_merely_busy_is_waited_for() -> None:
    """One key asks for half an hour, the other has something out: that may come back at any moment."""
    bench = Bench(TWO)
    bench.ask("a")
    bench.ask("b")
    says(bench, bench.take(Send), RATE, 1800)
    assert bench.none(Finish)
    bench.pays(bench.take(Send))
    assert Status.COMPLETED == ended(bench).status
    bench.pays(bench.take(Send))
    assert Status.COMPLETED == ended(bench).status


def test_who_comes_later_hears_it_at_once() -> None:
    """A lane that is blocked for longer than anybody waits fails new jobs when they come, in line or not."""
    bench = Bench()
    bench.ask("k")
    says(bench, bench.take(Send), RATE, 1800)
    ended(bench)
    bench.now = 100.0
    bench.ask("l")
    assert "the provider asks to wait 28 min 20 s, and the job's patience is 10 min" == message(ended(bench))
    bench.now = 1300.0
    bench.ask("m")
    assert bench.none(Finish)
    bench.at(1800.0)
    bench.pays(bench.take(Send))
    assert Status.COMPLETED == ended(bench).status


def test_a_deadline_is_an_end_of_patience() -> None:
    """A wait beyond the deadline ends the job now; others in the same line, and with more time, go on waiting."""
    bench = Bench()
    bench.submit(evolve(work("k"), deadline=50.0))
    says(bench, bench.take(Send), RATE, 60)
    told = "the provider asks to wait 1 min, and its deadline is in 50 s (it says: Not now)"
    assert (Status.FAILED, told) == ((outcome := ended(bench)).status, message(outcome))
    bench.ask("l")
    bench.submit(evolve(work("m"), deadline=55.0))  # behind the first, which waits
    assert "its deadline is in 55 s" in message(ended(bench))
    assert bench.none(Finish)
    bench.submit(evolve(CHAIN, deadline=55.0))
    assert "other" == bench.take(Send).lane.model


def test_whoever_shares_a_call_may_have_more_time() -> None:
    """A call is given up only where none of its askers waits so long."""
    bench = Bench(evolve(CONFIG, store=True))
    bench.submit(evolve(work("k"), cache=CachePolicy.REFRESH, deadline=50.0))
    bench.submit(evolve(work("k"), cache=CachePolicy.REFRESH))
    says(bench, bench.take(Send), BUSY, 60)
    assert bench.none(Finish)
    bench.at(50.0)
    assert Status.EXPIRED == ended(bench).status
    bench.at(60.0)
    bench.pays(bench.take(Send))
    assert Status.COMPLETED == ended(bench).status


def test_a_backoff_beyond_the_deadline_is_not_slept() -> None:
    """Where nobody asks for a wait, the own one is not begun if the next try would come too late."""
    config = evolve(CONFIG, retry=evolve(CONFIG.retry, base=1000.0, cap=1000.0), patience=None)
    bench = Bench(config)
    bench.submit(evolve(work("k"), deadline=5.0))
    says(bench, bench.take(Send), BUSY)
    assert message(ended(bench)).startswith("the next try is due in ")
    bench.ask("l")
    says(bench, bench.take(Send), BUSY)
    assert bench.none(Finish)


def test_a_doubt_stays_a_doubt() -> None:
    """A gateway's half hour: nothing is taken from the allowance, and the end says that it may have been billed."""
    bench = Bench()
    bench.ask("k")
    says(bench, bench.take(Send), GATEWAY, 1800)
    outcome = ended(bench)
    assert (Status.AMBIGUOUS, 100) == (outcome.status, outcome.maybe)
    assert "the provider asks to wait 30 min" in message(outcome)
    assert 0 == bench.engine.snapshot().allowance.taken


def refused_every(bench: Bench, seconds: float, most: int) -> int:
    """How often a call is refused, each time for so long, until somebody gives up."""
    count = 0
    for _ in range(10 * most):
        if not bench.none(Finish) or count == most:
            break
        if bench.none(Send):
            bench.at(bench.engine.next_deadline() or bench.now)
        else:
            says(bench, bench.take(Send), RATE, seconds)
            count += 1
    return count


def test_a_lane_that_refuses_everything_is_not_asked_for_ever() -> None:
    """Short waits one after the other are one long wait where nothing is let in; a batch goes on."""
    bench = Bench()
    bench.ask("k")
    count = refused_every(bench, 50, 1000)
    assert 4 <= count <= 14
    assert 500 <= bench.now <= 600
    told = message(ended(bench))
    assert " of refusals, and the job's patience is 10 min" in told
    bench = Bench(evolve(CONFIG, patience=None))
    bench.ask("k")
    assert 100 == refused_every(bench, 50, 100)


def test_a_line_that_moves_on_is_no_wait() -> None:
    """One picture every few minutes: whoever was refused first is still in line after an hour, and gets his."""
    bench = Bench(evolve(CONFIG, credentials=(Credential("c1", "p", Limits(concurrency=20)),)))
    for number in range(12):
        bench.ask(f"k{number}")
    paid_at = -280.0
    done = 0
    for _ in range(5_000):
        if done == 12:
            break
        if bench.none(Send):
            bench.at(bench.engine.next_deadline() or bench.now)
            continue
        left = paid_at + 280.0 - bench.now
        if left > 0:
            says(bench, bench.take(Send), RATE, left)
        else:
            bench.pays(bench.take(Send))
            paid_at, done = bench.now, done + 1
    assert [Status.COMPLETED] * 12 == [ended(bench).status for _ in range(12)]
    assert bench.now > 2800


def test_more_patience_may_come_later() -> None:
    """A new configuration counts from then on, for who waits already."""
    bench = Bench(evolve(CONFIG, patience=None))
    bench.ask("k")
    says(bench, bench.take(Send), RATE, 1800)
    assert bench.none(Finish)
    bench.tell(Reconfigured(CONFIG))
    assert "the job's patience is 10 min" in message(ended(bench))


def test_a_slow_limit_of_ones_own_is_a_wait_too() -> None:
    """A limit of one in half an hour lets nothing go for longer than the job waits, and that is said."""
    slow = Credential("c1", "p", Limits(rpm=1 / 30, concurrency=1))
    bench = Bench(Config(credentials=(slow,)))
    bench.ask("k")
    bench.pays(bench.take(Send))
    ended(bench)
    bench.ask("l")
    assert "the limits let nothing go for 30 min, and the job's patience is 10 min" == message(ended(bench))


def test_put_off_rather_than_failed() -> None:
    """A job that may be put off is: the wait is the reason."""
    bench = Bench(evolve(CONFIG, journal=True))
    bench.submit(evolve(work("k"), defer=True, on_ambiguous=OnAmbiguous.SKIP))
    bench.records(bench.take(Record))
    says(bench, bench.take(Send), RATE, 1800)
    bench.records(bench.take(Record))
    record = bench.take(Record)
    assert isinstance(record.entry, Deferred)
    assert "the provider asks to wait 30 min" in record.entry.reason
    bench.records(record)
    assert Status.DEFERRED == ended(bench).status


def test_a_job_that_is_done_waits_for_nothing() -> None:
    """`explain` of one that ended so."""
    bench = Bench()
    job = bench.ask("k")
    says(bench, bench.take(Send), RATE, 1800)
    assert Waiting("done") == bench.engine.explain(job)
