"""Putting a job's outcome together from its samples and its books. Pure reading; changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.outcomes import Outcome, Picture, Route, Source, Status
from penstock.work import CachePolicy

if TYPE_CHECKING:
    from penstock.engine.entities import Ask, Attempt, Job
    from penstock.ids import AttemptId

TROUBLE_STATUS = {
    "refused": Status.REFUSED,
    "moderation": Status.REFUSED,
    "moderation_output": Status.REFUSED,
    "cancelled": Status.CANCELLED,
    "unrecorded": Status.CANCELLED,
    "expired": Status.EXPIRED,
    "ambiguous": Status.AMBIGUOUS,
}

SHOWN = (Status.COMPLETED, Status.CACHED, Status.SIMILAR, Status.PARTIAL)
"""Only these ends come after all picture screens passed."""

SOURCE_STATUS: dict[Source | None, Status] = {Source.STORED: Status.CACHED, Source.SIMILAR: Status.SIMILAR}


def status_of(job: Job) -> Status:
    """What the samples of a job that was not cut short amount to."""
    asks = job.asks
    if len(asks) == 1 and job.trouble is None and asks[0].landing is not None:
        return SOURCE_STATUS.get(asks[0].source, Status.COMPLETED)
    there = [ask for ask in asks if ask.landing is not None]
    if job.trouble is not None:
        return TROUBLE_STATUS.get(job.trouble.kind, Status.FAILED)
    if not there:
        return _worst(asks)
    if len(there) < len(asks):
        return Status.PARTIAL
    if any(ask.source is Source.SIMILAR for ask in there):
        return Status.SIMILAR
    if all(ask.source is Source.STORED for ask in there):
        return Status.CACHED
    return Status.COMPLETED


def _worst(asks: tuple[Ask, ...]) -> Status:
    """Of several failed samples the ambiguous one decides, then the one that may be sent again."""
    kinds = [TROUBLE_STATUS.get(ask.trouble.kind, Status.FAILED) for ask in asks if ask.trouble is not None]
    for status in (Status.AMBIGUOUS, Status.CANCELLED, Status.FAILED, Status.EXPIRED):
        if status in kinds:
            return status
    return kinds[0] if kinds else Status.FAILED


def pending(job: Job) -> int:
    """The bound of what is out for a job: reserved for attempts it pays that have not ended."""
    attempts: dict[AttemptId, Attempt] = {}
    for ask in job.asks:
        call = ask.flight.call if ask.flight is not None else None
        for attempt in call.out if call is not None else ():
            if attempt.settling is None:
                attempts[attempt.id] = attempt
    for question in job.questions or ():
        for attempt in question.call.out if question.call is not None else ():
            attempts[attempt.id] = attempt
    total = 0
    for attempt in attempts.values():
        for payer, share in zip(attempt.bill.jobs, attempt.bill.shares, strict=True):
            if payer is job:
                total += share.amount or 0
    return total


def outcome(job: Job, status: Status, *, stores: bool = False) -> Outcome:
    """The outcome of `job`, ended as `status`; `stores`: what it bought is kept."""
    pictures: list[Picture] = []
    saved = 0
    score = None
    served = tried = -1
    trouble = job.trouble
    warnings: tuple[str, ...] = ()
    shown = status in SHOWN
    for ask in job.asks:
        landing, source = ask.landing, ask.source
        if landing is not None and source is not None:
            if shown:
                ref = job.files[len(pictures)] if job.files else landing.ref
                pictures.append(Picture(ask.index, ref, source, landing.meta, landing.key))
            if shown and source is not Source.BOUGHT:
                saved += landing.meta.cost or 0
            score = landing.score if landing.score is not None else score
            served = max(served, ask.target)
        elif ask.trouble is not None:
            trouble = trouble or ask.trouble
        if ask.target > tried:
            tried = ask.target
    place = tried if served < 0 else served
    route = Route(job.work.targets[place].provider, job.work.targets[place].model, place) if place >= 0 else None
    for target in job.work.targets[: max(tried, 0) + 1]:
        if target.warnings:
            warnings += target.warnings
    if job.remarks:
        warnings += job.remarks
    return Outcome(
        status,
        tuple(pictures),
        job.usage,
        None if job.unpriced else job.charge,
        job.maybe,
        saved,
        0 if job.unheard == 0 else pending(job),
        job.attempts,
        max(place, 0),
        score,
        job.lost() if trouble is not None else 0,
        () if job.waits is None else tuple(job.waits.items()),
        warnings,
        trouble,
        job.template,
        route,
        "stored" if stores and _keeps_its_promise(job, place, status) else "",
    )


def _keeps_its_promise(job: Job, place: int, status: Status) -> bool:
    """Whether a stored copy is all that makes a picture of a seed the same again: its provider was not told of it."""
    if status not in (Status.COMPLETED, Status.CACHED, Status.PARTIAL) or job.work.cache is CachePolicy.OFF:
        return False
    return any(name == "seed" for name, _ in job.work.targets[place].asked)
