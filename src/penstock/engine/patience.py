"""How long a call waits because a provider wants it to: as long as one of its askers has patience, and time.

A wait is looked at before it begins, so that nobody sleeps towards an end that is known: the call goes to another lane,
its askers to their next target, or they hear how long it would have been. Patience is for what a provider asks (or for
a limit that lets nothing go for that long), not for a line that moves on; a lane that refuses whatever comes is waited
for from the first of the call's own refusals on.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from attrs import frozen

from penstock.durations import span
from penstock.engine.entities import Job
from penstock.outcomes import Trouble

if TYPE_CHECKING:
    from penstock.engine.desk import Desk
    from penstock.engine.entities import Call
    from penstock.engine.lanes import Lane, Look


@frozen
class Wait:
    """A wait until `until` (absolute seconds). `since` is when it began: now, or with an earlier refusal.

    `said` says whose it is: "the provider asks to wait".
    """

    until: float
    since: float
    said: str


def stalls(desk: Desk, call: Call, look: Look | None = None) -> Trouble | None:
    """Why a call that may not go now does not wait for its lanes; None where it does, or where it may go.

    `look` is what its group found for it. A lane that is merely busy keeps its line: something that is out may come
    back at any moment. One that rests after errors is waited for from the first of them on, or since the call waits.
    """
    patience, now = desk.config.patience, desk.now
    if look is None:
        if patience is None and not (desk.hurried and _hurried(call)):
            return None
        look = call.group.look(call, call.demand(), now)
    first = look.first
    if first is None or look.busy or look.lane is not None:
        return None
    down = first.breaker.down
    fresh = down is None and (call.refused is None or first.refusing is None)
    if (patience is None or (fresh and look.soonest <= now + patience)) and not (desk.hurried and _hurried(call)):
        return None  # most waits are short, and begin now
    since = now
    if down is not None and first.breaker.ready_at(now) > now:
        since, said = max(call.since, down), "the provider has failed several times in a row, and is asked again in"
    else:
        if call.refused is not None and first.refusing is not None:
            since = max(call.refused, first.refusing)
        blocked = first.quota.why(call.demand(), now) == "blocked"
        said = "the provider asks to wait" if blocked else "the limits let nothing go for"
    return overdue(desk, call, Wait(look.soonest, since, said))


def overdue(desk: Desk, call: Call, wait: Wait) -> Trouble | None:
    """Why none of those who ask for a call waits for so long; None where one of them does."""
    patience = desk.config.patience
    lasts = inf if patience is None else wait.since + patience
    deadline = max((_deadline(job) for job in _askers(call)), default=inf)
    if wait.until <= min(lasts, deadline):
        return None
    seconds = wait.until - desk.now
    if lasts <= deadline:
        before = f" after {span(desk.now - wait.since)} of refusals" if wait.since < desk.now else ""
        why = f"{wait.said} {span(seconds)}{before}, and the job's patience is {span(patience or 0.0)}"
    else:
        why = f"{wait.said} {span(seconds)}, and its deadline is in {span(max(0.0, deadline - desk.now))}"
    said = call.verdict
    if said is None or said.kind == "patience":
        return Trouble("patience", why)
    return Trouble("patience", f"{why} (it says: {said.message})", said.status, said.code, said.request_id)


def another(call: Call, lane: Lane) -> bool:
    """Whether a call may go on another lane than this one."""
    demand = call.demand()
    return any(
        other is not lane and other.closed is None and other not in call.barred and other.quota.never(demand) is None
        for other in call.group.lanes
    )


def _askers(call: Call) -> list[Job]:
    """Whoever still waits for a call."""
    if call.question is not None:
        owner = call.question.owner
        return [owner] if isinstance(owner, Job) else [ask.job for ask in owner.asks if ask.live()]
    return [ask.job for flight in call.flights for ask in flight.asks if ask.live()]


def _hurried(call: Call) -> bool:
    """Whether somebody who waits for a call has a deadline."""
    if call.question is not None:
        return any(job.work.deadline is not None for job in _askers(call))
    for flight in call.flights:
        for ask in flight.asks:
            if ask.job.work.deadline is not None and ask.live():
                return True
    return False


def _deadline(job: Job) -> float:
    return inf if job.work.deadline is None or job.finished else job.work.deadline
