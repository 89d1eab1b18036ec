"""Misuse by a driver: found before anything changes, and raised."""

from __future__ import annotations

from math import isfinite, isnan
from typing import TYPE_CHECKING, assert_never

from penstock.admission.headers import QUANTITIES
from penstock.engine.tables import AttemptState
from penstock.errors import UsageError
from penstock.events import (
    CacheRead,
    Cancelled,
    Closed,
    Consulted,
    Drawn,
    Failed,
    Fetched,
    Opened,
    Reconfigured,
    Recorded,
    Responded,
    Streamed,
    Submitted,
    Ticked,
)
from penstock.money.periods import check as check_caps

if TYPE_CHECKING:
    from penstock.engine.rooms import Rooms
    from penstock.events import Event


def check(rooms: Rooms, event: Event, now: float) -> None:  # noqa: C901, PLR0912 - one exhaustive dispatch
    """Raise UsageError for an answer to what was not asked, a used job id, a `now` that is no number."""
    if not isfinite(now):
        raise UsageError(f"now must be a finite number of seconds, not {now!r}")
    match event:
        case Responded() | Opened() | Streamed() | Failed():
            attempt = rooms.attempts.table.get(event.attempt)
            if attempt is None or attempt.state is not AttemptState.OUT:
                raise UsageError(f"attempt {event.attempt} is not out")
        case Ticked() | Cancelled() | Closed():
            pass
        case Drawn():
            if unknown := {use.quantity for _, _, use in event.uses} - {*QUANTITIES}:
                raise UsageError(f"quantities are {', '.join(QUANTITIES)}, not {', '.join(sorted(unknown))}")
        case Submitted():
            _check_job(rooms, event)
        case Fetched():
            fetch = rooms.fetches.table.get(event.attempt)
            if fetch is None or not fetch.out:
                raise UsageError(f"download {event.attempt} is not out")
        case CacheRead():
            read = rooms.flights.reads.get(event.read)
            if read is None or len(read.flights) != len(event.found):
                raise UsageError(f"read {event.read} is not out, or has another number of keys")
        case Recorded():
            if event.record not in rooms.records.out:
                raise UsageError(f"record {event.record} is not out")
        case Consulted():
            if event.question not in rooms.questions.table:
                raise UsageError(f"question {event.question} is not out")
        case Reconfigured():
            old = rooms.desk.config
            new = event.config
            if (old.store, old.journal, old.ledger) != (new.store, new.journal, new.ledger):
                raise UsageError("store, journal and ledger cannot be taken away or added while running")
            check_caps(new.budget, ledger=new.ledger)
        case _:
            assert_never(event)


def _check_job(rooms: Rooms, event: Submitted) -> None:
    job, work = event.job, event.work
    if job in rooms.jobs.table:
        raise UsageError(f"job {job} was submitted already")
    if not work.targets or not work.targets[0].keys:
        raise UsageError(f"job {job} has no target, or asks for no picture")
    if work.deadline is not None and isnan(work.deadline):
        raise UsageError(f"the deadline of job {job} is not a number")
    samples = len(work.targets[0].keys)
    for target in work.targets:
        if len(target.keys) != samples:
            raise UsageError(f"the targets of job {job} have different numbers of keys")
