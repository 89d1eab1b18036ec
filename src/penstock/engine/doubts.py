"""Who tries again, and how often; and what may have been billed only as its payers wish and the allowance goes.

Under AUTO a job gets one more try, whatever becomes of it: a retry, a hedge, or the next target of its chain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.engine.billing import payer
from penstock.engine.entities import Job
from penstock.work import OnAmbiguous

if TYPE_CHECKING:
    from penstock.engine.desk import Desk
    from penstock.engine.entities import Ask, Call, Flight
    from penstock.work import Target


def spent(desk: Desk, call: Call) -> bool:
    """Whether a call has had all its tries, or the payers of all its flights theirs."""
    return call.tries >= desk.config.retry.attempts or (
        bool(call.flights) and len(spent_flights(desk, call)) == len(call.flights)
    )


def spent_flights(desk: Desk, call: Call) -> list[Flight]:
    """The flights of a call whose payers have had all their tries over their whole chains."""
    most = desk.config.retry.most
    found: list[Flight] = []
    for flight in call.flights:
        ask = payer(flight.asks)
        if ask is not None and ask.tries >= most:
            found.append(flight)
    return found


def tried(call: Call) -> None:
    """One more try of a call is over, and one of all who ask for what it buys."""
    call.tries += 1
    for flight in call.flights:
        for ask in flight.asks:
            ask.tries += 1


def mode_of(desk: Desk, job: Job) -> OnAmbiguous:
    """What a job wishes, else what the configuration says."""
    return job.work.on_ambiguous or desk.config.ambiguity.mode


def payer_of(call: Call, flight: Flight | None) -> Job | None:
    """Who pays for a flight, or (None) for the answer to a call's question; None where nobody waits."""
    if flight is None:
        owner = call.question.owner if call.question is not None else None
        if isinstance(owner, Job):
            return None if owner.finished else owner
        flight = owner
    ask = payer(flight.asks) if flight is not None else None
    return ask.job if ask is not None else None


def bound_of(call: Call, flights: int) -> int | None:
    """What one more attempt of a call costs at most, in picodollars, for so many of its flights; None is unknown."""
    one = call.group.bound(call.target)
    return None if one is None else one * max(1, flights)


def tries_again(desk: Desk, call: Call) -> list[Flight] | None:
    """After a doubtful end: the flights that are tried again, which is taken from the allowance; None for no call.

    The other flights are to be left out: their payers do not wish it, or had their one more try.
    """
    wanted: list[Flight | None] = [*call.flights] if call.question is None else [None]
    bound = bound_of(call, len(call.flights))
    going: list[Flight] = []
    jobs: list[Job] = []
    for flight in wanted:
        job = payer_of(call, flight)
        if job is not None and _may(desk, job, bound):
            jobs.append(job)
            going += [flight] if flight is not None else []
    if not jobs:
        return None
    _take(desk, jobs, bound_of(call, len(going)))
    desk.count("ambiguous_retries")
    return going


def goes_down(desk: Desk, ask: Ask, target: Target) -> bool:
    """Whether a sample that may have been billed is asked for again, of this target; taken from the allowance if so."""
    job = ask.job
    samples = sum(1 for other in job.asks if other.landing is None)
    bound = None if target.quote is None else target.quote * samples
    if not _may(desk, job, bound):
        return False
    _take(desk, [job], bound)
    return True


def hedges(desk: Desk, call: Call) -> bool:
    """Whether a second attempt may go beside the one that is out; nothing is taken yet."""
    jobs = [payer_of(call, flight) for flight in call.flights]
    bound = bound_of(call, len(call.flights))
    return bool(jobs) and all(
        job is not None
        and not (job.again and mode_of(desk, job) is OnAmbiguous.AUTO)
        and desk.allowance.hedges(mode_of(desk, job), bound, desk.now)
        for job in jobs
    )


def hedged(desk: Desk, call: Call) -> None:
    """A second attempt goes: it is taken from the allowance."""
    jobs = [payer_of(call, flight) for flight in call.flights]
    _take(desk, [job for job in jobs if job is not None], bound_of(call, len(call.flights)))


def _may(desk: Desk, job: Job, bound: int | None) -> bool:
    mode = mode_of(desk, job)
    if mode is OnAmbiguous.AUTO and job.again:
        return False
    return desk.allowance.allows(mode, bound, desk.now)


def _take(desk: Desk, jobs: list[Job], bound: int | None) -> None:
    desk.allowance.take(bound, desk.now)
    for job in jobs:
        job.again = True
