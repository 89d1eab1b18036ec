"""Figures of an engine at one moment: for metrics, tests and people. Frozen; holds nothing of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from penstock.engine.tables import CallState, FlightState, JobState

if TYPE_CHECKING:
    from penstock.admission.quota import QuotaFigures
    from penstock.commands import Halted
    from penstock.engine.rooms import Rooms
    from penstock.money.ledger import Balances


@frozen
class LaneFigures:
    """A lane: `closed` says why it takes no more attempts, None that it does."""

    credential: str
    model: str
    closed: str | None
    waiting: int
    quota: QuotaFigures


@frozen
class Snapshot:
    """Counts by state, what is out, the books in picodollars, lanes with their quotas, and counters since the start.

    `at_rest` is True when nothing is held: no job, flight, call, attempt, record, timer, permit or reservation.
    """

    now: float
    jobs: dict[str, int]
    flights: dict[str, int]
    calls: dict[str, int]
    attempts: dict[str, int]
    unfinished: int
    reads: int
    questions: int
    records: int
    backlog: int
    downloads: int
    timers: int
    in_flight: int
    money: Balances
    lanes: tuple[LaneFigures, ...]
    counters: dict[str, int]
    halted: Halted | None
    closed: str | None
    at_rest: bool


def snapshot(rooms: Rooms) -> Snapshot:
    """All figures of an engine, now. O(lanes + attempts out)."""
    desk, jobs, flights, dispatch = rooms.desk, rooms.jobs, rooms.flights, rooms.dispatch
    attempts, fetches, records = rooms.attempts, rooms.fetches, rooms.records
    out: dict[str, int] = {}
    for attempt in attempts.table.values():
        out[attempt.state.name.lower()] = out.get(attempt.state.name.lower(), 0) + 1
    quotas = [quota for quota, _ in dispatch.quotas.values()]
    balances = desk.ledger.balances()
    reserved = sum(balance.reserved for _, balance in balances.scopes)
    counts = {
        "jobs": alive(desk.job_life.counts, JobState, "DONE"),
        "flights": alive(desk.flight_life.counts, FlightState, "GONE"),
        "calls": alive(desk.call_life.counts, CallState, "ENDED"),
    }
    held = (
        *(figure for kind in counts.values() for figure in kind.values()),
        len(jobs.table),
        len(flights.table),
        len(attempts.table),
        len(fetches.table),
        len(records.out),
        len(records.backlog),
        desk.timers.live - sum(1 for group in dispatch.groups.values() if group.timer and group.timer.owner),
        sum(quota.in_flight for quota in quotas),
        reserved,
    )
    return Snapshot(
        desk.now,
        counts["jobs"],
        counts["flights"],
        counts["calls"],
        out,
        jobs.unfinished,
        len(flights.reads),
        len(rooms.questions.table),
        len(records.out),
        len(records.backlog),
        len(fetches.table),
        desk.timers.live,
        sum(quota.in_flight for quota in quotas),
        balances,
        tuple(
            LaneFigures(
                lane.name.credential, lane.name.model, lane.closed, len(group.heap), lane.quota.figures(desk.now)
            )
            for group in dispatch.groups.values()
            for lane in group.lanes
        ),
        dict(desk.counters),
        desk.halt,
        desk.closed.value if desk.closed is not None else None,
        not any(held),
    )


def alive(counts: list[int], states: type[JobState | FlightState | CallState], end: str) -> dict[str, int]:
    """How many are in each state that is neither before the beginning nor the end."""
    return {state.name.lower(): counts[state] for state in states if state.name not in ("NEW", end) and counts[state]}
