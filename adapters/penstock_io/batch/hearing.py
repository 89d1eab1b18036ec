"""What a client tells of its work, passed on in words: warnings to whoever watches, each attempt to the log."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from attrs import define, evolve

from penstock.admission.breaker import CLOSED_FOR
from penstock.commands import BudgetLow, Excess, LaneClosed, Notice, Send, Waits, Warned
from penstock.engine import Waiting
from penstock.engine.sums import dollars, trouble_of
from penstock.entries import Lane
from penstock.events import Event, Failed, Fetched, Responded
from penstock.ids import AttemptId, JobId, Key
from penstock.judging.judge import judge
from penstock.readings import Kind, Success
from penstock.three import Three
from penstock.work import Purpose
from penstock_io.batch.flow import Flow
from penstock_io.batch.funds import low
from penstock_io.batch.pace import labelled, waiting_for
from penstock_io.batch.progress import Level, Listener
from penstock_io.words import span

NAMED = 3
"""How many rows of one attempt are named."""

_LATER = frozenset({"quota", "budget", "no_lane", "errors", "proof", "line"})
"""Reasons for which a row waits before its next attempt."""

Explain = Callable[[JobId], Waiting]
"""Says what a job waits for."""


@define
class _Attempt:
    """One that is out: the rows it is for, and on which lane (None: a download)."""

    rows: str
    number: int
    lane: Lane | None
    job: JobId


class Hearing:
    """Listens to a client for a listener. `noticed` may be called from any thread, everything else on the loop."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._told: set[str] = set()
        self._names: dict[JobId, str] = {}
        self._tries: dict[JobId, int] = {}
        self._out: dict[AttemptId, _Attempt] = {}
        self._closed: set[Lane] = set()
        self.flow = Flow()

    # Attempts

    @property
    def out(self) -> int:
        """How many exchanges were begun and are not over."""
        return len(self._out)

    @property
    def payable(self) -> bool:
        """Whether one of them may be paid: what is out on lanes that were closed meanwhile is refused, too."""
        lanes = [attempt.lane for attempt in self._out.values()]
        return any(lane is None or lane not in self._closed for lane in lanes)

    def begun(self, job: JobId, row: str, keys: Sequence[Key]) -> None:
        """A row's job is about to be submitted."""
        self._names[job] = row
        self.flow.begun(job, keys)

    def over(self, job: JobId) -> int:
        """A row's job ended; how many requests went out that it paid."""
        self._names.pop(job, None)
        self._tries.pop(job, None)
        return self.flow.over(job)

    def sent(self, send: Send) -> None:
        """An exchange is about to begin."""
        jobs = [job for job, _ in send.parts]
        if not jobs:
            return
        self.flow.sent(send)
        fetches = send.purpose is Purpose.FETCH
        for job in jobs if not fetches else ():
            self._tries[job] = self._tries.get(job, 0) + 1
        rows = [self._names.get(job, f"job {job}") for job in jobs]
        more = f" and {len(rows) - NAMED} more" if len(rows) > NAMED else ""
        number = max(self._tries.get(job, 1) for job in jobs)
        lane = None if fetches else send.lane
        self._closed.discard(send.lane)  # it is open again
        attempt = _Attempt(", ".join(rows[:NAMED]) + more, number, lane, jobs[0])
        self._out[send.attempt] = attempt
        if lane is not None:
            self._detail(f"{attempt.rows}: attempt {number} goes out with {told_lane(lane)}")

    def heard(self, event: Event, *, aborting: bool) -> Callable[[Explain, float], None] | None:
        """An exchange ended, perhaps; what then has to be called once the engine was told, unless it ended well.

        `aborting` says that what is out is being broken off by us, and not because its time was over.
        """
        if not isinstance(event, Responded | Failed | Fetched):
            return None
        self.flow.heard(event)
        attempt = self._out.pop(event.attempt, None)
        if attempt is None:
            return None
        if isinstance(event, Fetched):
            why = event.fault and f"a picture that is paid could not be fetched: {event.fault}"
        elif isinstance(event, Responded) and isinstance(event.reading, Success) and event.reading.parts:
            return None
        else:
            why = ended_as(event, aborting=aborting)
        return partial(self._follow, attempt, why) if why else None

    def _follow(self, attempt: _Attempt, why: str, explain: Explain, now: float) -> None:
        lane = "" if attempt.lane is None else f"attempt {attempt.number} with {told_lane(attempt.lane)} "
        model = "" if attempt.lane is None else attempt.lane.model
        self._detail(f"{attempt.rows}: {lane}{why}{told_next(explain(attempt.job), model, now)}")

    def _detail(self, text: str) -> None:
        self._listener.tell(text, Level.DETAIL)

    # Notices

    def noticed(self, notice: Notice) -> None:
        """What the engine wants to be known; a halt is for the batch itself."""
        if isinstance(notice, LaneClosed):
            lane = notice.lane
            self._closed.add(lane)
            mends = notice.reason == "quota_exhausted"
            until = f"for {span(CLOSED_FOR)}, then tried again" if mends else "any more"
            self._once(f"{labelled(lane.credential)} is not used for {lane.model} {until}: {notice.message}")
        elif isinstance(notice, Waits):
            self._listener.tell(asked_to_wait(notice), Level.WARNING)
        elif isinstance(notice, Excess):
            charged = f"{dollars(notice.charge)} was charged, above the bound of {dollars(notice.quote)}"
            self._once(f"{notice.model}: {charged}")
        elif isinstance(notice, BudgetLow):
            self._listener.tell(low(notice), Level.WARNING)
        elif isinstance(notice, Warned):
            self._once(f"{notice.what}: {notice.message.removeprefix(f'{notice.what}: ')}")

    def knows(self, cause: str) -> bool:
        """Whether it was told already that this happened."""
        return any(cause in told for told in tuple(self._told))  # another thread adds to them

    def _once(self, message: str) -> None:
        if message not in self._told:
            self._told.add(message)
            self._listener.tell(message, Level.WARNING)


def told_lane(lane: Lane) -> str:
    """A lane for people: the label of its key, and its model."""
    return f"{labelled(lane.credential)} for {lane.model}"


def ended_as(event: Responded | Failed, *, aborting: bool = False) -> str:
    """How an attempt ended that brought nothing: what it was (a refusal, a failure, a doubt), and why."""
    if isinstance(event, Failed) and event.kind is Kind.ABORTED and not aborting:
        event = evolve(event, kind=Kind.TIMEOUT)  # nobody else breaks off but the engine's own total time-out
    judgement = judge(event, "openai")
    trouble = trouble_of(judgement, event)
    status = "" if trouble.status is None else f" ({trouble.status})"
    how = "failed"
    if judgement.executed is Three.MAYBE:
        how = "may have been executed and billed"
    elif judgement.rate:
        how = "was refused"
    return f"{how}{status}: {trouble.message}"


def nobody(event: Failed) -> str:
    """Why nobody is there, in few words: where, and what the system said of it, or else how the exchange ended."""
    if not event.detail or ": " in event.detail:
        return event.detail or "nobody answers"
    said = trouble_of(judge(event, "openai"), event).message.removesuffix(f": {event.detail}")
    return f"{event.detail}: {said}"


def told_next(waiting: Waiting, model: str, now: float) -> str:
    """What comes after an attempt that failed, as the end of its line; "" where the row's end says so itself."""
    if waiting.reason == "retry":
        seconds = "" if waiting.until is None else f" in {max(0.0, waiting.until - now):.1f} s"
        return f"; it is tried again{seconds}"
    if waiting.reason in _LATER:
        return f"; it is tried again after waiting for {waiting_for(waiting, now, model)}"
    return ""


def asked_to_wait(notice: Waits) -> str:
    """A wait that is worth telling: on which key, and until when by the clock on the wall."""
    until = time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(notice.until))
    lane = notice.lane
    key = labelled(lane.credential)
    return f"the provider asks {key} to wait for {lane.model}, for {span(notice.seconds)}, until {until}"
