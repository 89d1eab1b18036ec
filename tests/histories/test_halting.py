"""What stops an engine and lets it go on: a journal at fault (at every kind of entry), no lane left, closing."""

from __future__ import annotations

import pytest
from attrs import evolve

from penstock.commands import Abort, Consult, Finish, Halted, Notify, ReadCache, Record, Send, Unrecorded
from penstock.config import Budget, Credential, Gathering, Limits, NearCache
from penstock.entries import Deferred, Entry, Failed, Held, Intent, Maybe, Owed, Published, Settled, Void
from penstock.events import Cancelled, Closed, Fetched, Mode, Reconfigured, Submitted
from penstock.ids import Handle, JobId, Ref
from penstock.outcomes import Status
from penstock.readings import Fault, Kind, Reached, Verdict
from penstock.work import OnAmbiguous, Purpose, Screen, Target, Work
from tests.histories.bench import CONFIG, ONE, QUOTE, Bench, target, work

JOURNAL = evolve(CONFIG, journal=True)
JOB, WAITS = JobId(1), JobId(2)
REFUSING = Screen("looks.1", picture=True, hook="looks")

ENDS: dict[type[Entry], Status] = {
    Intent: Status.COMPLETED,
    Settled: Status.COMPLETED,
    Published: Status.COMPLETED,
    Failed: Status.FAILED,
    Maybe: Status.AMBIGUOUS,
    Owed: Status.COMPLETED,
    Void: Status.CANCELLED,
    Held: Status.REFUSED,
    Deferred: Status.DEFERRED,
}
"""Every kind of entry, and how the job ends that makes it."""


class Story(Bench):
    """A job whose course leads to an entry of `kind`, and another that waits for the lane."""

    def __init__(self, kind: type[Entry]) -> None:
        super().__init__(JOURNAL)
        self.kind = kind
        one = work("k")
        if kind is Maybe:
            one = evolve(one, on_ambiguous=OnAmbiguous.SKIP)
        if kind is Held:
            one = evolve(one, screens=(REFUSING,))
        self.submit(evolve(one, defer=kind is Deferred))
        self.ask("l")

    def reply(self, send: Send) -> None:
        """The first job's exchange ends as its story wants, the other's well."""
        if send.purpose is Purpose.FETCH:
            self.tell(Fetched(send.attempt, (self.ref(),)))
        elif send.parts[0][0] != JOB or self.kind not in (Failed, Maybe, Deferred):
            self.pays(send, url=self.kind is Owed)
        elif self.kind is Maybe:
            self.breaks(send)
        else:
            self.refuses(send, 400)

    def go(self, fault: str | None = None) -> Record | None:
        """Answer everything; with a fault, the first entry of the story's kind is answered with it, and returned."""
        while True:
            if not self.none(Record):
                record = self.take(Record)
                if self.kind is Void and isinstance(record.entry, Intent) and JOB == record.entry.parts[0][0]:
                    self.tell(Cancelled(JOB))
                faulty = fault is not None and isinstance(record.entry, self.kind)
                self.records(record, fault if faulty else None)
                if faulty:
                    return record
            elif not self.none(Consult):
                self.answers(self.take(Consult), Verdict(passed=False, reason="no"))
            elif not self.none(Send):
                self.reply(self.take(Send))
            else:
                return None


@pytest.mark.parametrize("kind", list(ENDS), ids=lambda kind: kind.__name__)
def test_a_fault_halts_and_a_resume_goes_on(kind: type[Entry]) -> None:
    """A faulted entry halts sending; it and all after it are issued again, in order, on resume; then all ends well."""
    story = Story(kind)
    faulted = story.go("no space left")
    assert faulted is not None
    assert "journal" == getattr(story.engine.snapshot().halted, "cause", "")
    story.go()
    paid = [command for command in story.log if isinstance(command, Send) and command.purpose is not Purpose.FETCH]
    assert [] == paid
    assert WAITS not in [command.job for command in story.log if isinstance(command, Finish)]
    story.tell(Reconfigured(JOURNAL, resume=True))
    again = story.take(Record)
    assert faulted.entry == again.entry
    assert faulted.record != again.record
    story.records(again)
    story.go()
    ends = {command.job: command.outcome.status for command in story.log if isinstance(command, Finish)}
    assert {JOB: ENDS[kind], WAITS: Status.COMPLETED} == ends
    assert story.rests()


@pytest.mark.parametrize("kind", list(ENDS), ids=lambda kind: kind.__name__)
def test_closing_tries_once_more_and_tells_what_is_unrecorded(kind: type[Entry]) -> None:
    """After a fault, Closed issues the entry once more; a second fault is told and not waited for."""
    story = Story(kind)
    faulted = story.go("no space left")
    assert faulted is not None
    before = story.log
    story.log = []
    again = next(command for command in story.tell(Closed(Mode.DRAIN)) if isinstance(command, Record))
    assert faulted.entry == again.entry
    story.log = before + story.log
    while story.engine.outstanding():
        if not story.none(Record):
            story.records(story.take(Record), "still no space")
        else:
            story.reply(story.take(Send))
    told = [c.notice.entries for c in story.log if isinstance(c, Notify) and isinstance(c.notice, Unrecorded)]
    assert faulted.entry in [entry for entries in told for entry in entries]
    assert story.engine.idle()
    assert story.rests()


def test_a_faulted_intent_may_be_durable_all_the_same() -> None:
    """Nothing is sent for it, and its Void follows it."""
    bench = Bench(JOURNAL)
    bench.ask("k")
    bench.records(bench.take(Record), "no space left")
    assert bench.none(Send)
    assert bench.none(Record)
    assert 0 == bench.engine.snapshot().in_flight
    bench.tell(Reconfigured(JOURNAL, resume=True))
    entries = [bench.take(Record).entry for _ in range(2)]
    assert [Intent, Void] == [type(entry) for entry in entries]


def test_entries_that_were_out_at_the_fault_keep_their_order() -> None:
    """Of three that are out the second faults: the third, if it faults as well, comes after it again."""
    wide = (Credential("c1", "p", Limits(concurrency=3)),)
    bench = Bench(evolve(JOURNAL, credentials=wide, unproven=None))
    for key in ("a", "b", "c"):
        bench.ask(key)
    records = [bench.take(Record) for _ in range(3)]
    bench.records(records[0])
    bench.records(records[1], "no space left")
    bench.records(records[2], "no space left")
    bench.tell(Reconfigured(bench.config, resume=True))
    again = [bench.take(Record).entry for _ in range(2)]
    assert [records[1].entry, records[2].entry] == again


def test_a_cancelled_job_whose_journal_is_down_is_let_go() -> None:
    """A job that is being published cannot leave any more, unless the engine is halted."""
    bench = Bench(JOURNAL)
    bench.ask("k")
    bench.records(bench.take(Record))
    bench.pays(bench.take(Send))
    bench.records(bench.take(Record))
    publish = bench.take(Record)
    bench.tell(Cancelled(JOB))
    assert bench.none(Finish)
    bench.records(publish, "no space left")
    bench.tell(Cancelled(JOB))
    assert Status.CANCELLED == bench.take(Finish).outcome.status


# No lane left


def test_a_refused_key_halts_a_batch() -> None:
    """With no lane left the engine halts where so configured, says why, keeps the work, and goes on with a new key."""
    halting = evolve(CONFIG, halts=True)
    bench = Bench(halting)
    bench.ask("k")
    bench.refuses(bench.take(Send), 401, "invalid_api_key")
    notices = [bench.take(Notify).notice, bench.take(Notify).notice]
    assert ["LaneClosed", "Halted"] == [type(notice).__name__ for notice in notices]
    assert isinstance(notices[1], Halted)
    assert "credential" == notices[1].cause
    assert "halted" == bench.engine.explain(JOB).reason
    assert 0 == bench.engine.appetite()
    assert bench.engine.next_deadline() is None
    fresh = Credential("c2", "p", Limits(concurrency=1))
    bench.tell(Reconfigured(evolve(halting, credentials=(fresh,)), resume=True))
    send = bench.take(Send)
    assert "c2" == send.lane.credential
    bench.pays(send)
    assert Status.COMPLETED == bench.take(Finish).outcome.status


def test_a_refused_key_fails_the_call_of_a_service() -> None:
    """Where it does not halt, the job hears at once that no key is left."""
    bench = Bench()
    bench.ask("k")
    bench.refuses(bench.take(Send), 401, "invalid_api_key")
    assert "credential" == getattr(bench.take(Finish).outcome.error, "kind", "")
    assert bench.rests()


def test_a_removed_key_drains() -> None:
    """What is out on it is finished; nothing new goes there; a new key takes over."""
    bench = Bench()
    bench.ask("k")
    send = bench.take(Send)
    fresh = Credential("c2", "p", Limits(concurrency=1))
    bench.tell(Reconfigured(evolve(CONFIG, credentials=(fresh,))))
    bench.ask("l")
    assert "c2" == bench.take(Send).lane.credential
    bench.pays(send)
    assert Status.COMPLETED == bench.take(Finish).outcome.status


def test_another_key_takes_over() -> None:
    """A key that is refused closes, its call goes to another at once and counts no try."""
    two = (ONE, Credential("c2", "p", Limits(concurrency=1)))
    bench = Bench(evolve(CONFIG, credentials=two, retry=evolve(CONFIG.retry, attempts=1)))
    bench.ask("k")
    first = bench.take(Send)
    bench.refuses(first, 401, "invalid_api_key")
    second = bench.take(Send)
    assert {"c1", "c2"} == {first.lane.credential, second.lane.credential}
    bench.pays(second)
    assert Status.COMPLETED == bench.take(Finish).outcome.status


# Closing


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("journal", [False, True])
def test_closing_goes_in_portions(mode: Mode, *, journal: bool) -> None:
    """5,000 jobs end at most 1,000 a step, with `next_deadline() = now` until the last; what is out is waited for."""
    bench = Bench(evolve(CONFIG, journal=journal))
    for number in range(5000):
        bench.engine.handle(Submitted(JobId(number + 1), evolve(work(f"k{number}"), handle=Handle(number))), 0.0)
    commands = bench.tell(Closed(mode))
    steps = 0
    ended = sum(isinstance(command, Finish) for command in commands)
    while bench.engine.next_deadline() == bench.now and steps < 10:
        ended += sum(isinstance(command, Finish) for command in bench.at(bench.now))
        steps += 1
    assert steps >= 4
    assert (5000 if mode is Mode.ABORT or journal else 4999) - ended <= 1
    assert not bench.engine.idle()


def test_closing_after_submission_is_refused() -> None:
    """What comes after Closed is not taken, and says so."""
    bench = Bench()
    bench.tell(Closed(Mode.DRAIN))
    bench.ask("k")
    assert Status.CANCELLED == bench.take(Finish).outcome.status
    assert bench.engine.idle()


def test_a_drain_waits_for_what_is_out_and_ends_the_rest() -> None:
    """What is out is finished; what waits (in line, for a retry, for money, for its screen) is cancelled."""
    bench = Bench(evolve(CONFIG, budget=Budget((("tag:x", 150),))))
    bench.ask("out")
    bench.ask("line")
    bench.submit(evolve(work("screen"), screens=(Screen("words.1", hook="words"),)))
    bench.tell(Closed(Mode.DRAIN))
    ends = {command.job: command.outcome.status for command in bench.log if isinstance(command, Finish)}
    assert {2: Status.CANCELLED, 3: Status.CANCELLED} == ends
    bench.pays(bench.take(Send))
    bench.log = [command for command in bench.log if not (isinstance(command, Finish) and command.job != JOB)]
    assert Status.COMPLETED == bench.take(Finish).outcome.status


def test_a_drain_does_not_try_again() -> None:
    """An attempt that fails after Closed is not tried again, nor does its chain go on."""
    bench = Bench()
    bench.ask("k")
    send = bench.take(Send)
    bench.tell(Closed(Mode.DRAIN))
    bench.refuses(send, 500)
    assert Status.CANCELLED == bench.take(Finish).outcome.status
    assert bench.engine.idle()


def test_an_abort_breaks_off_and_says_what_is_in_doubt() -> None:
    """What is out is broken off, its job is ambiguous; the rest is cancelled; the answers are still booked."""
    bench = Bench()
    bench.ask("k")
    bench.ask("l")
    send = bench.take(Send)
    bench.tell(Closed(Mode.ABORT))
    assert send.attempt == bench.take(Abort).attempt
    ends = [bench.take(Finish).outcome for _ in range(2)]
    assert [(Status.AMBIGUOUS, QUOTE), (Status.CANCELLED, 0)] == [(end.status, end.pending) for end in ends]
    assert not bench.engine.idle()
    bench.breaks(send, Kind.ABORTED, Reached.SENT)
    assert QUOTE == bench.book().maybe
    assert bench.engine.idle()


def test_an_abort_may_follow_a_drain() -> None:
    """Not the other way round."""
    bench = Bench()
    bench.ask("k")
    send = bench.take(Send)
    bench.tell(Closed(Mode.DRAIN))
    bench.tell(Closed(Mode.ABORT))
    bench.tell(Closed(Mode.DRAIN))
    assert send.attempt == bench.take(Abort).attempt
    assert "abort" == bench.engine.snapshot().closed
    bench.breaks(send, Kind.ABORTED)
    assert bench.engine.idle()


def test_a_read_that_is_out_when_it_closes() -> None:
    """A job that only looks is ended when the store answers; nothing is bought any more."""
    bench = Bench(evolve(CONFIG, store=True))
    bench.ask("k")
    bench.tell(Closed(Mode.DRAIN))
    bench.misses(bench.take(ReadCache))
    assert Status.CANCELLED == bench.take(Finish).outcome.status
    assert bench.none(Send)
    assert bench.rests()


def test_an_intent_that_is_out_when_it_closes() -> None:
    """It is void after its Recorded; money and lane come back."""
    bench = Bench(JOURNAL)
    bench.ask("k")
    intent = bench.take(Record)
    bench.tell(Closed(Mode.DRAIN))
    bench.records(intent)
    assert isinstance(bench.take(Record).entry, Void)
    assert bench.none(Send)
    assert Ref("") != bench.ref()
    assert 0 == bench.book().reserved


def test_closing_with_everything_waiting() -> None:
    """A drain ends what is gathering, in line, waiting for money or for a retry; each hears of it once."""
    wide = (Credential("c2", "p", Limits(concurrency=8)),)
    bench = Bench(evolve(CONFIG, credentials=wide, budget=Budget((("tag:x", 150),)), gathering=Gathering(3, 5.0)))
    bench.submit(Work((evolve(target("gather"), gather="g"),)))
    bench.ask("retry")
    bench.refuses(bench.take(Send), 503)
    bench.submit(evolve(work("paid"), tags=("x",)))
    bench.submit(evolve(work("parked"), tags=("x",)))
    assert ["gathering", "retry", "provider", "budget"] == [
        bench.engine.explain(JobId(number)).reason for number in (1, 2, 3, 4)
    ]
    bench.tell(Closed(Mode.DRAIN))
    ends = {command.job: command.outcome.status for command in bench.log if isinstance(command, Finish)}
    assert dict.fromkeys((1, 2, 4), Status.CANCELLED) == ends
    bench.pays(bench.take(Send))
    assert bench.engine.idle()


def test_a_drain_that_cannot_screen() -> None:
    """A picture that is paid but whose screen cannot be asked any more (the journal is down) stays to be done."""
    judge = Target("p", "judge", quote=7, operation="moderate", purpose=Purpose.SCREEN)
    bench = Bench(evolve(JOURNAL, credentials=(Credential("c1", "p", Limits(concurrency=2)),)))
    bench.submit(evolve(work("k"), screens=(Screen("judge.1", picture=True, target=judge),)))
    bench.records(bench.take(Record))
    bench.pays(bench.take(Send))
    settled = bench.take(Record)
    bench.tell(Closed(Mode.DRAIN))
    bench.ask("late")
    bench.records(settled, "no space left")
    bench.records(bench.take(Record))
    ends = {command.job: command.outcome.status for command in bench.log if isinstance(command, Finish)}
    assert {1: Status.CANCELLED, 2: Status.CANCELLED} == ends
    assert bench.engine.idle()
    assert bench.rests()


def test_an_abort_while_the_journal_is_down() -> None:
    """Jobs whose last entry is not durable are ended by an ABORT; what could not be recorded is told."""
    for defer in (False, True):
        bench = Bench(JOURNAL)
        bench.submit(evolve(work("k"), defer=defer))
        bench.records(bench.take(Record))
        if defer:
            bench.refuses(bench.take(Send), 400)
        else:
            bench.pays(bench.take(Send))
        bench.records(bench.take(Record))
        last = bench.take(Record)
        assert isinstance(last.entry, Deferred if defer else Published)
        bench.records(last, "no space left")
        bench.tell(Closed(Mode.ABORT))
        assert Status.CANCELLED == bench.take(Finish).outcome.status
        bench.records(bench.take(Record), "still no space")
        assert bench.engine.idle()
        assert bench.rests()


def test_an_abort_while_a_picture_is_screened() -> None:
    """The job ends at once, its bytes are let go, and the verdict that comes is nobody's."""
    bench = Bench()
    bench.submit(evolve(work("k"), screens=(REFUSING,)))
    bench.pays(bench.take(Send))
    question = bench.take(Consult)
    bench.tell(Closed(Mode.ABORT))
    assert Status.CANCELLED == bench.take(Finish).outcome.status
    bench.answers(question, Verdict(passed=True))
    assert bench.engine.idle()
    assert bench.rests()


def test_an_embedder_that_is_out_when_it_closes() -> None:
    """A job that looks by meaning is ended when the embedder has failed; nothing is bought."""
    bench = Bench(evolve(CONFIG, store=True, near=NearCache(hook="embed")))
    bench.submit(evolve(work("k"), near=True))
    bench.misses(bench.take(ReadCache))
    bench.tell(Closed(Mode.DRAIN))
    bench.answers(bench.take(Consult), Fault("it crashed"))
    assert Status.CANCELLED == bench.take(Finish).outcome.status
    assert bench.engine.idle()
