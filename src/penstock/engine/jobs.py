"""Jobs: what callers wait for. Each goes through its screens, asks for its pictures, and ends exactly once.

    Submitted -> [prompt screens] -> samples asked for -> [picture screens] -> [journal: Published] -> Finish

A job that leaves (cancelled, expired) while a call that it pays is out is given its Finish at once and stays, detached,
until what arrives is screened, stored and recorded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from penstock.cache.policy import lifetime
from penstock.commands import Finish, Release, WriteCache
from penstock.engine.billing import pays_now
from penstock.engine.doubts import goes_down
from penstock.engine.entities import Ask, Flight, Job, Question
from penstock.engine.moves import Asked, Left
from penstock.engine.outcome import TROUBLE_STATUS, outcome, status_of
from penstock.engine.questions import let_go
from penstock.engine.tables import JobInput, JobState
from penstock.engine.timers import Alarm
from penstock.engine.troubles import closed
from penstock.entries import Deferred, Held, Published
from penstock.events import Mode
from penstock.outcomes import Outcome, Source, Status, Trouble
from penstock.readings import Fault, Verdict

if TYPE_CHECKING:
    from penstock.engine.desk import Desk
    from penstock.engine.moves import Answered, Heard
    from penstock.engine.questions import Questions
    from penstock.engine.records import Records
    from penstock.entries import Entry
    from penstock.events import Cancelled, Recorded, Submitted
    from penstock.ids import JobId, Key, Ref
    from penstock.work import Screen, Work

FINAL_TROUBLES = frozenset({"lost", "cancelled", "moderation", "moderation_output"})
"""Troubles of a sample after which it is not asked for again, by nobody; after a broken stream its payer does not, who
saw it. What a moderation refused is the same for whoever asks, and is not carried from provider to provider."""

PERSONAL_TROUBLES = frozenset({"budget", "unknown_price", "unbounded", "broken_stream"})
"""Troubles of whoever pays, or streams; the others ask again however often."""


class Jobs:
    """The job table. `unfinished` counts jobs that have not had their Finish."""

    def __init__(self, desk: Desk, questions: Questions, records: Records) -> None:
        self.desk = desk
        self.questions = questions
        self.records = records
        self.table: dict[JobId, Job] = {}
        self.unfinished = 0

    # Beginning

    def submitted(self, event: Submitted) -> None:
        """A new job: refused at once, screened first, or asking for its samples."""
        desk, work = self.desk, event.work
        job = Job(event.job, work, desk.now)
        self.table[job.id] = job
        self.unfinished += 1
        desk.count("jobs")
        job.trouble = self._refusal(work)
        if job.trouble is not None:
            desk.job_life.go(job, JobInput.REFUSED_AT_ENTRY)
            self._end(job, TROUBLE_STATUS.get(job.trouble.kind, Status.FAILED))
            return
        if work.deadline is not None:
            desk.hurried = True
            job.timer = desk.timers.arm(work.deadline, Alarm.DEADLINE, job)
        if work.screens and any(not screen.picture for screen in work.screens):
            desk.job_life.go(job, JobInput.CHECK)
            self._screen(job, [screen for screen in work.screens if not screen.picture])
        else:
            self._ask(job)

    def _refusal(self, work: Work) -> Trouble | None:
        desk = self.desk
        if desk.closed is not None:
            return Trouble("cancelled", "closed: no more work is taken")
        if desk.config.queue is not None and self.unfinished > desk.config.queue:
            return Trouble("queue_full", f"{desk.config.queue} jobs wait already")
        if work.deadline is not None and work.deadline <= desk.now:
            return Trouble("expired", "the deadline was over before the job began")
        return None

    def _ask(self, job: Job) -> None:
        self.desk.job_life.go(job, JobInput.ASK)
        job.asks = tuple([Ask(job, index) for index in range(job.work.samples)])
        job.unheard = len(job.asks)
        self.desk.moves.append(Asked(job, job.asks))

    # Screens

    def _screen(self, job: Job, screens: list[Screen]) -> None:
        refs = tuple(ask.landing.ref for ask in job.asks if ask.landing is not None)
        job.questions = [self.questions.screen(job, screen, refs) for screen in screens]

    def answered(self, move: Answered) -> None:
        """A screen's verdict. One refusal decides; silence and faults count as the screen says."""
        job, question, answer = move.question.owner, move.question, move.answer
        let_go(self.desk, answer)
        if isinstance(job, Flight) or job.questions is None or question not in job.questions:
            return
        if isinstance(answer, Verdict):
            passed, reason = answer.passed, answer.reason
            job.template = answer.template
        else:
            passed = question.passes_on_fault
            reason = answer.reason if isinstance(answer, Fault) else "it did not answer with a verdict"
        job.questions.remove(question)
        if not passed:
            self._refused(job, question, reason, isinstance(answer, Verdict))
            return
        if not job.questions:
            job.questions = None
            if job.state is JobState.CHECKING:
                self._ask(job)
            else:
                self._stamp(job, passed=True)
                self._publish(job)

    def _refused(self, job: Job, question: Question, reason: str, spoken: bool) -> None:
        if job.state is JobState.SCREENING and not spoken and self.desk.closed is not None:
            job.trouble = Trouble("cancelled", "closed before its pictures were screened")
            self.desk.job_life.go(job, JobInput.LEFT)
            self._end(job, Status.CANCELLED)
            return
        kind = "refused" if spoken else "screen_fault"
        job.trouble = Trouble(kind, f"screen {question.policy}: {reason}" if question.policy else reason)
        if job.state is JobState.CHECKING:
            self.desk.job_life.go(job, JobInput.REFUSED)
            self._end(job, TROUBLE_STATUS.get(kind, Status.FAILED))
            return
        self._drop_questions(job)
        if spoken and sum(1 for ask in job.asks if ask.landing is not None) == 1:
            self._stamp(job, passed=False)  # of several pictures nobody knows which one was meant
        self._hold(job, JobInput.REFUSED, question.policy, reason)

    def _stamp(self, job: Job, *, passed: bool) -> None:
        """Keep the verdict beside the stored pictures, so that it is not asked for again."""
        policy = job.work.picture_policy
        for ask in job.asks:
            landing = ask.landing
            if landing is None:
                continue
            landing.meta = evolve(landing.meta, policy=policy, passed=passed)
            if self.desk.config.store and job.work.cache.keeps and ask.source is not Source.SIMILAR:
                ttl = lifetime(job.work.ttl, landing.key, self.desk.unix() - landing.meta.created)
                self.desk.out.append(WriteCache(landing.key, landing.ref, landing.meta, ttl, amends=True))

    def _drop_questions(self, job: Job) -> None:
        for question in job.questions or ():
            self.questions.close(question)
        job.questions = None

    # Samples

    def heard(self, move: Heard) -> None:
        """A sample landed, or failed for this asker; the chain may go on."""
        ask = move.ask
        job = ask.job
        if job.state is not JobState.ASKING:
            return
        if ask.trouble is not None and self._goes_on(ask, move.payer):
            return
        self.desk.job_life.go(job, JobInput.HEARD)
        job.unheard -= 1
        if job.unheard == 0:
            self._complete(job)

    def _goes_on(self, ask: Ask, payer: bool) -> bool:
        """Whether a failed sample is asked for again: by its payer down the chain, by the others as it was.

        Once: whom what others paid for has failed twice goes on as if he had paid, so that many who want the same do
        not go through its failures one after another.
        """
        job, trouble = ask.job, ask.trouble
        if job.finished or self.desk.closed is not None or trouble is None or trouble.kind in FINAL_TROUBLES:
            return False
        if payer and trouble.kind == "broken_stream":
            return False
        if not payer and trouble.kind not in PERSONAL_TROUBLES:
            payer, ask.again = ask.again, True
        if ask.tries >= self.desk.config.retry.most or (payer and ask.target + 1 >= len(job.work.targets)):
            return False
        target = ask.target + payer
        last = self.desk.moves[-1] if self.desk.moves else None
        together = isinstance(last, Asked) and last.job is job and last.asks[0].target == target
        if trouble.kind == "ambiguous" and not together and not goes_down(self.desk, ask, job.work.targets[target]):
            return False
        self.desk.job_life.go(job, JobInput.NEXT_TARGET)
        if payer:
            ask.again = False
        ask.target, ask.trouble = target, None
        if isinstance(last, Asked) and together:
            last.asks = (*last.asks, ask)
        else:
            self.desk.moves.append(Asked(job, (ask,)))
        return True

    def _complete(self, job: Job) -> None:
        """All samples are heard of: screen what is there, publish it, or end without."""
        work = job.work
        there = [ask.landing for ask in job.asks if ask.landing is not None]
        if not there:
            self._nothing(job)
            return
        policy = work.picture_policy
        if policy and self.desk.closed is Mode.ABORT:
            self.abort(job)
            return
        if policy:
            if any(landing.meta.policy != policy for landing in there):
                self.desk.job_life.go(job, JobInput.TO_SCREENS)
                self._screen(job, [screen for screen in work.screens if screen.picture])
                return
            if not all(landing.meta.passed for landing in there):
                job.trouble = Trouble("refused", f"a stored verdict of {policy} refuses it")
                self._hold(job, JobInput.NOTHING_THERE, policy, "stored verdict")
                return
        self._publish(job)

    def _nothing(self, job: Job) -> None:
        status = status_of(job)
        puts_off = job.work.defer and self.desk.config.journal and not job.finished and self.desk.closed is None
        if puts_off and status in (Status.FAILED, Status.PARTIAL):
            self.desk.job_life.go(job, JobInput.PUT_OFF)
            keys = tuple(ask.aim().keys[ask.index] for ask in job.asks)
            trouble = next((ask.trouble for ask in job.asks if ask.trouble is not None), None)
            reason = trouble.message if trouble is not None else ""
            self.records.issue(Deferred(job.id, keys, reason, self.desk.unix()), job)
        else:
            self.desk.job_life.go(job, JobInput.NOTHING_THERE)
            self._end(job, status)

    # Publishing

    def _publish(self, job: Job) -> None:
        if not self.desk.config.journal:
            self.desk.job_life.go(job, JobInput.COMPLETE)
            self._end(job, status_of(job))
            return
        self.desk.job_life.go(job, JobInput.TO_JOURNAL)
        keys, refs = self._keys_refs(job)
        self.records.issue(Published(job.id, keys, refs, self.desk.unix(), job.lost()), job)

    def _hold(self, job: Job, otherwise: JobInput, policy: str, reason: str) -> None:
        if not self.desk.config.journal:
            self.desk.job_life.go(job, otherwise)
            self._end(job, status_of(job))
            return
        self.desk.job_life.go(job, JobInput.TO_JOURNAL)
        keys, refs = self._keys_refs(job)
        self.records.issue(Held(job.id, keys, refs, policy, reason, self.desk.unix()), job)

    def _keys_refs(self, job: Job) -> tuple[tuple[Key, ...], tuple[Ref, ...]]:
        landings = [ask.landing for ask in job.asks if ask.landing is not None]
        return tuple(landing.key for landing in landings), tuple(landing.ref for landing in landings)

    def recorded(self, job: Job, entry: Entry, event: Recorded, *, given_up: bool) -> None:
        """The journal's word on Published, Held or Deferred."""
        if job.state not in (JobState.PUBLISHING, JobState.DEFERRING):
            return
        life = self.desk.job_life
        if event.fault is not None and not given_up:
            life.go(job, JobInput.RECORD_FAULT)
        elif event.fault is not None:
            life.go(job, JobInput.UNRECORDED)
            job.trouble = Trouble("unrecorded", f"the journal could not be written: {event.fault}")
            self._end(job, Status.CANCELLED)
        else:
            deferred = isinstance(entry, Deferred)
            life.go(job, JobInput.RECORDED)
            if isinstance(entry, Published):
                whole = len(event.files) == len(entry.refs)
                job.files = event.files if whole else None
            self._end(job, Status.DEFERRED if deferred else status_of(job))

    # Leaving

    def cancelled(self, event: Cancelled) -> None:
        """The caller left. A job that is done already is none of our business."""
        job = self.table.get(event.job)
        if job is not None and not job.finished:
            self.leave(job, Status.CANCELLED, "the caller left", abort=event.abort)

    def expired(self, job: Job) -> None:
        """The deadline is over."""
        if not job.finished:
            self.leave(job, Status.EXPIRED, "the deadline is over", abort=False)

    def leave(self, job: Job, status: Status, why: str, *, abort: bool) -> None:
        """End a job for its caller; paid work that is out for it is finished, stored and recorded."""
        life = self.desk.job_life
        trouble = Trouble("cancelled" if status is Status.CANCELLED else "expired", why)
        if job.state in (JobState.PUBLISHING, JobState.DEFERRING) and self.desk.halt is None:
            life.go(job, JobInput.TOO_LATE_TO_LEAVE)
            return
        job.trouble = trouble
        if job.state is JobState.SCREENING:
            life.go(job, JobInput.DETACHED)
            self._finish(job, status, detached=True)
        elif job.state is JobState.ASKING:
            self._leave_samples(job, status, trouble, abort)
        else:
            life.go(job, JobInput.LEFT)
            self._end(job, status)

    def _leave_samples(self, job: Job, status: Status, trouble: Trouble, abort: bool) -> None:
        open_asks = [ask for ask in job.asks if ask.landing is None and ask.trouble is None]
        leaving = [ask for ask in open_asks if not pays_now(ask) or (abort and not shared(ask))]
        if len(leaving) < len(open_asks):
            self.desk.job_life.go(job, JobInput.DETACHED)
            self._finish(job, status, detached=True)
        else:
            self.desk.job_life.go(job, JobInput.LEFT)
            self._end(job, status)
        for ask in leaving:
            ask.trouble = trouble
            job.unheard -= 1
            self.desk.moves.append(Left(ask, abort))

    def abort(self, job: Job) -> None:
        """Closed(ABORT): the job ends now; what it pays and is still out makes it ambiguous."""
        out = any(ask.landing is None and (pays_now(ask, sent=True) or doubtful(ask)) for ask in job.asks)
        if job.trouble is None:
            job.trouble = Trouble("ambiguous", "closed while it was out") if out else closed(job.said())
        for ask in job.asks:
            if ask.landing is None and ask.trouble is None:
                self.desk.moves.append(Left(ask, abort=True))
        self.desk.job_life.go(job, JobInput.ABORTED)
        self._end(job, Status.AMBIGUOUS if out else Status.CANCELLED)

    # Ending

    def _finish(self, job: Job, status: Status, *, detached: bool = False) -> None:
        if not job.finished:
            ended = self._told(outcome(job, status, stores=self.desk.config.store))
            self.desk.out.append(Finish(job.id, ended, detached))
            if ended.saved:
                self.desk.count("saved", ended.saved)
            job.finished = True
            self.unfinished -= 1
            self.desk.count(status.value)

    def _told(self, ended: Outcome) -> Outcome:
        """What was closed because of a halt says what halted it; its status says that it is still to be done."""
        halt = self.desk.halt if self.desk.closed is not None else None
        if (
            halt is None
            or ended.status is not Status.CANCELLED
            or ended.error is None
            or ended.error.kind != "cancelled"
        ):
            return ended
        return evolve(ended, error=Trouble("unrecorded" if halt.cause == "journal" else halt.cause, halt.message))

    def _end(self, job: Job, status: Status) -> None:
        """The job is DONE: its one Finish if it is still due, and nothing of it stays behind."""
        detached = job.finished
        if not detached:
            self._finish(job, status)
        if job.questions is not None:
            self._drop_questions(job)
        self.desk.timers.cancel(job.timer)
        refs: list[Ref] = []
        for ask in job.asks:
            landing = ask.landing
            if landing is not None:
                landing.holders -= 1
                if landing.holders == 0:
                    refs.append(landing.ref)
        if refs or detached:
            self.desk.out.append(Release(tuple(refs), job.work.handle if detached else None))
        del self.table[job.id]


def doubtful(ask: Ask) -> bool:
    """Whether an earlier attempt at this sample may have been billed."""
    return ask.flight is not None and ask.flight.call is not None and ask.flight.call.doubtful


def shared(ask: Ask) -> bool:
    """Whether somebody else waits for what the call of this sample buys: it may still be sent in this job's name."""
    call = ask.flight.call if ask.flight is not None else None
    return call is not None and any(
        other.job is not ask.job and other.live() for flight in call.flights for other in flight.asks
    )
