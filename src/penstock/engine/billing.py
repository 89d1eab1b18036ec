"""Who pays: the payer of a sample is the first who still asks for it. What he pays is booked on his job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.commands import Charged
from penstock.engine.entities import RUN_SCOPES, Bill, Job
from penstock.engine.tables import AttemptState, CallState
from penstock.money.ledger import Share

if TYPE_CHECKING:
    from penstock.engine.desk import Desk
    from penstock.engine.entities import Ask, Call


def payer(asks: list[Ask]) -> Ask | None:
    """The first of `asks` whose job still waits."""
    for ask in asks:
        if not ask.job.finished:
            return ask
    return None


def bill(call: Call) -> Bill | None:
    """Who pays for what of `call` now; None where nobody waits for any of it.

    Every flight of the call must have a live ask (`Calls` sheds the others before the call is queued).
    """
    quote = call.group.bound(call.target)
    if call.question is not None:
        owner = call.question.owner
        ask = None if isinstance(owner, Job) else payer(owner.asks)
        job = owner if isinstance(owner, Job) else (ask.job if ask else None)
        if job is None:
            return None
        return Bill((job,), ((job.id, ()),), (Share(job.scopes(), quote),), (), job.work.handle, 0)
    if len(call.flights) == 1:
        ask = payer(call.flights[0].asks)
        if ask is None:
            return None
        job = ask.job
        scopes = RUN_SCOPES if not job.work.tags and not job.work.tenant else job.scopes()
        parts = ((job.id, (ask.index,)),)
        return Bill((job,), parts, (Share(scopes, quote),), (job,), job.work.handle, ask.target)
    return _joint(call)


def _joint(call: Call) -> Bill | None:
    quote = call.group.bound(call.target)
    samples: dict[Job, list[int]] = {}
    payers: list[Job] = []
    first: Ask | None = None
    for flight in call.flights:
        ask = payer(flight.asks)
        if ask is None:
            return None
        first = first or ask
        samples.setdefault(ask.job, []).append(ask.index)
        payers.append(ask.job)
    if first is None:
        return None
    parts = tuple((job.id, tuple(indices)) for job, indices in samples.items())
    shares = tuple(
        Share(job.scopes(), None if quote is None else quote * len(indices)) for job, indices in samples.items()
    )
    return Bill(tuple(samples), parts, shares, tuple(payers), first.job.work.handle, first.target)


def pays_now(ask: Ask, *, sent: bool = False) -> bool:
    """Whether an attempt is out (or, unless it must be `sent`, about to be) that this sample's job pays."""
    call = ask.flight.call if ask.flight is not None else None
    if call is None or call.state is not CallState.RUNNING:
        return False
    out = [attempt for attempt in call.out if not sent or attempt.state is not AttemptState.RECORDING]
    return any(payer is ask.job for attempt in out for payer in attempt.bill.jobs)


def book(desk: Desk, job: Job, charge: int | None, maybe: int = 0) -> None:
    """Book money on a job; one that has had its Finish is told by a notice."""
    if charge is None:
        job.unpriced = True
    else:
        job.charge += charge
    job.maybe += maybe
    if job.finished:
        desk.notify(Charged(job.id, charge, maybe))
