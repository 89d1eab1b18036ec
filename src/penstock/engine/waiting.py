"""Why a job waits: reason, on what, until when, and its place in line."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from attrs import frozen

from penstock.admission.headers import QUANTITIES
from penstock.admission.permits import needs
from penstock.engine.tables import CallState, FlightState, JobState

if TYPE_CHECKING:
    from penstock.admission.quota import Quota
    from penstock.engine.desk import Desk
    from penstock.engine.entities import Call, Flight, Job
    from penstock.engine.lanes import Lane
    from penstock.work import Demand


@frozen
class Waiting:
    """`reason` is a word, `on` what it waits for, `until` absolute monotonic seconds where that is known.

    Nothing happens to it before `until`; with several keys a reply of one of them may make room sooner. `place` counts
    who stands before it in the line of its lane group (0: it is next), None where it is in no line. `about` is when its
    own turn comes, at the rates that are believed now and if those before it ask for as much (None: nobody knows).
    """

    reason: str
    on: str = ""
    until: float | None = None
    place: int | None = None
    about: float | None = None


def explain(desk: Desk, job: Job | None) -> Waiting:
    """What a job waits for now. O(length of the line) for one that stands in it."""
    if job is None:
        return Waiting("done")
    if job.state is JobState.CHECKING or job.state is JobState.SCREENING:
        names = ", ".join(question.policy for question in job.questions or ())
        until = min((question.timer.at for question in job.questions or () if question.timer), default=None)
        return Waiting("screen", names, until)
    if job.state is not JobState.ASKING:
        reason = "halted" if desk.halt is not None else "journal"
        return Waiting(reason, desk.halt.message if desk.halt is not None else "its record")
    flight = next((ask.flight for ask in job.asks if ask.flight is not None and ask.landing is None), None)
    return Waiting("done") if flight is None else _flight(desk, flight)


def _flight(desk: Desk, flight: Flight) -> Waiting:
    if flight.state is FlightState.LOOKING:
        if flight.timer is not None:
            return Waiting("claimed", "another process makes it", flight.timer.at)
        timer = flight.read.timer if flight.read is not None else None
        return Waiting("store", "a lookup", timer.at if timer is not None else None)
    if flight.state is FlightState.EMBEDDING:
        return Waiting("near", "a lookup by meaning")
    return Waiting("queue") if flight.call is None else _call(desk, flight.call)


def _call(desk: Desk, call: Call) -> Waiting:
    until = call.timer.at if call.timer is not None else None
    if call.state is CallState.RUNNING:
        timers = [attempt.timer.at for attempt in call.out if attempt.timer is not None]
        lanes = ", ".join(attempt.lane.name.credential for attempt in call.out)
        return Waiting("provider", f"{call.group.name} with {lanes}", min(timers, default=None))
    if desk.halt is not None:
        return Waiting("halted", desk.halt.message)
    if call.state is CallState.CLAIMING:
        return Waiting("store", "whether another process makes it meanwhile")
    if call.state is CallState.GATHERING:
        return Waiting("gathering", "others that want the same", until)
    if call.state is CallState.BACKOFF:
        return Waiting("retry", call.verdict.message if call.verdict is not None else "", until)
    if call.state is CallState.PARKED:
        return Waiting("budget", "refunds of what is reserved")
    return _line(desk, call)


def _line(desk: Desk, call: Call) -> Waiting:
    group, now = call.group, desk.now
    # what stands before it among other tenants is estimated, but who is next is known
    place = 0 if group.line.head() is call else max(1, group.line.place(call))
    demand = call.demand()
    lanes = [lane for lane in group.lanes if lane.usable(call, demand)]
    if not lanes:
        shut = [(lane.name.credential, lane.closed.kind) for lane in group.lanes if lane.closed is not None]
        closed = ", ".join(f"{name}: {kind}" for name, kind in shut)
        return Waiting("no_lane", closed or "no credential serves it", None, place)
    best = min(lanes, key=lambda lane: lane.ready_at(demand, now))
    at = best.ready_at(demand, now)
    if at > now and place and not group.aside and group.timer is not None and group.timer.owner is not None:
        at = max(at, group.timer.at)  # nobody goes before a head that stays where it is
    until = at if at != inf else None
    name = best.name.credential
    if best.breaker.ready_at(now) > now:
        if best.breaker.down is None:
            return Waiting("proof", f"the first reply to {name}", until, place)
        kind = best.fault.kind if best.fault is not None else "errors"
        return Waiting("errors", f"{kind} of {name}", until, place)
    if at <= now and place:
        return Waiting("line", f"whoever stands before it for {group.name}", None, place)
    about = _turn(lanes, demand, place, now)
    return Waiting("quota", f"{best.quota.why(demand, now)} of {name}", until, place, about)


def _turn(lanes: list[Lane], demand: Demand, place: int, now: float) -> float | None:
    """About when a demand has gone once more than `place` says, over all lanes; None: nobody knows."""
    quotas = {lane.quota: lane for lane in lanes}  # lanes of one account draw on one
    ready = sorted((lane.ready_at(demand, now), _speed(lane.quota, demand, now)) for lane in quotas.values())
    gone = speed = 0.0
    time = inf
    for opens, each in ready:
        if opens >= time:
            break
        if place and not each:
            return None
        gone, speed = gone + 1.0 - each * opens, speed + each
        time = (place + 1 - gone) / speed if place else opens
    return time if time != inf else None


def _speed(quota: Quota, demand: Demand, now: float) -> float:
    """How many such demands a second its limits let go, as far as they are known; 0.0: none is."""
    figures, needed = quota.figures(now), needs(demand)
    buckets = list(zip((figures.requests, figures.tokens, figures.images), needed, strict=True))
    buckets += [(wall.gauge, needed[QUANTITIES.index(wall.quantity)]) for wall in figures.walls]
    speeds = [one.per_minute / 60.0 / need for one, need in buckets if one.per_minute and need]
    return min(speeds, default=0.0)
