"""Closing: no new work, endings in bounded steps.

DRAIN: jobs that only wait are ended, what is out runs on. ABORT: everything is broken off, every job ended. Both work
through what there was in portions of `PORTION` a step, so that closing 100,000 jobs never holds a loop for long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.engine.tables import JobState
from penstock.engine.troubles import CLOSED
from penstock.events import Mode
from penstock.outcomes import Status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penstock.engine.attempts import Attempts
    from penstock.engine.calls import Calls
    from penstock.engine.desk import Desk
    from penstock.engine.entities import Job
    from penstock.engine.jobs import Jobs
    from penstock.engine.records import Records

PORTION = 1000


class Closing:
    """Remembers how far closing has come."""

    def __init__(self, desk: Desk, jobs: Jobs, calls: Calls, attempts: Attempts, records: Records) -> None:
        self.desk = desk
        self.jobs = jobs
        self.calls = calls
        self.attempts = attempts
        self.records = records
        self._rest: Iterator[Job] | None = None

    def busy(self) -> bool:
        """Whether there is more to end at once."""
        return self._rest is not None

    def closed(self, mode: Mode) -> None:
        """Begin to close; an ABORT may follow a DRAIN, not the other way round."""
        desk = self.desk
        if desk.closed is Mode.ABORT or desk.closed is mode:
            return
        desk.closed = mode
        if self.records.backlog:
            self.records.retry()
        if mode is Mode.ABORT:
            for attempt in list(self.attempts.table.values()):
                self.attempts.abort(attempt)
        self._rest = iter(list(self.jobs.table.values()))

    def sweep(self) -> None:
        """End the next portion."""
        if self._rest is None:
            return
        for _ in range(PORTION):
            job = next(self._rest, None)
            if job is None:
                self._rest = None
                return
            if job.state is not JobState.DONE:
                self._end(job)

    def _end(self, job: Job) -> None:
        if self.desk.closed is Mode.ABORT:
            self.jobs.abort(job)
        elif job.state is JobState.CHECKING and not job.finished:
            self.jobs.leave(job, Status.CANCELLED, CLOSED.message, abort=False)
        elif job.state is JobState.ASKING:
            for flight in [ask.flight for ask in job.asks if ask.flight is not None]:
                call = flight.call
                if call is None and flight.question is not None:
                    call = flight.question.call
                if call is not None:
                    self.calls.close(call)
