"""Figures of an engine at one moment: for metrics, tests and people. Frozen; holds nothing of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from penstock.engine.tables import CallState, FlightState, JobState
from penstock.lessons import NO_LESSONS, Lessons

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.admission.quota import QuotaFigures
    from penstock.commands import Halted
    from penstock.engine.lanes import Group, Lane
    from penstock.engine.rooms import Rooms
    from penstock.judging.allowance import AllowanceFigures
    from penstock.money.ledger import Balances


@frozen
class LaneFigures:
    """A lane: `closed` says why it takes no more attempts, None that it does.

    `health` is "unproven", "good", "resting", "probing", "empty" or "shut", `until` when a rest is over (absolute
    seconds). `pool` names the quota that it draws on, `lessons` what that was taught; with an `account` all credentials
    of that draw on it. A credential and model have a lane for what `draws_images` and one for what does not, as far as
    either was asked for.
    """

    credential: str
    model: str
    closed: str | None
    waiting: int
    quota: QuotaFigures
    health: str = "good"
    until: float | None = None
    pool: str = ""
    lessons: Lessons = NO_LESSONS
    account: str = ""
    draws_images: bool = False


@frozen
class CacheFigures:
    """What the store and sharing did since the start.

    `hits`, `misses` and `near_hits` count pictures, `shared` requests that joined what was on its way already,
    `refused` those that were spared because the provider had refused the same shortly before, `faults` lookups that a
    store's fault made misses. `read_bytes` and `written_bytes` are pictures', `saved` is picodollars and
    `saved_seconds` what hits took to make once. What a store holds, and had to drop, are its own figures.
    """

    hits: int = 0
    misses: int = 0
    near_hits: int = 0
    shared: int = 0
    refused: int = 0
    faults: int = 0
    written: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    saved: int = 0
    saved_seconds: float = 0.0


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
    allowance: AllowanceFigures
    cache: CacheFigures = CacheFigures()


def snapshot(rooms: Rooms) -> Snapshot:
    """All figures of an engine, now. O(lanes + attempts out)."""
    desk, flights, dispatch = rooms.desk, rooms.flights, rooms.dispatch
    attempts, fetches, records = rooms.attempts, rooms.fetches, rooms.records
    out: dict[str, int] = {}
    for attempt in attempts.table.values():
        out[attempt.state.name.lower()] = out.get(attempt.state.name.lower(), 0) + 1
    quotas = [common.quota for common in dispatch.roster.commons.values()]
    in_flight = sum(quota.in_flight for quota in quotas)
    balances = desk.ledger.balances()
    counts = (
        alive(desk.job_life.counts(), JobState, "DONE"),
        alive(desk.flight_life.counts(), FlightState, "GONE"),
        alive(desk.call_life.counts(), CallState, "ENDED"),
    )
    idle_wakes = sum(1 for group in dispatch.roster.groups.values() if group.timer and group.timer.owner)
    held = (
        *(figure for kind in counts for figure in kind.values()),
        *(len(table) for table in (rooms.jobs.table, flights.table, attempts.table, fetches.table)),
        *(len(entries) for entries in (records.out, records.backlog, desk.parked)),
        desk.timers.live - idle_wakes,
        in_flight,
        sum(balance.reserved for _, balance in balances.scopes),
    )
    return Snapshot(
        desk.now,
        *counts,
        out,
        rooms.jobs.unfinished,
        len(flights.reads),
        len(rooms.questions.table),
        len(records.out),
        len(records.backlog),
        len(fetches.table),
        desk.timers.live,
        in_flight,
        balances,
        tuple(lane_figures(lane, group, desk.now) for group in dispatch.roster.groups.values() for lane in group.lanes),
        dict(desk.counters),
        desk.halt,
        desk.closed.value if desk.closed is not None else None,
        not any(held),
        desk.allowance.figures(desk.now),
        cache_figures(desk.counters),
    )


def cache_figures(counters: Mapping[str, int]) -> CacheFigures:
    """What the counters say of the store and of sharing."""

    def figure(name: str) -> int:
        return counters.get(name, 0)

    return CacheFigures(
        hits=figure("hits"),
        misses=figure("misses"),
        near_hits=figure("near_hits"),
        shared=figure("joined"),
        refused=figure("refused_again"),
        faults=figure("store_faults"),
        written=figure("written"),
        read_bytes=figure("read_bytes"),
        written_bytes=figure("written_bytes"),
        saved=figure("saved"),
        saved_seconds=figure("saved_ms") / 1000.0,
    )


def lane_figures(lane: Lane, group: Group, now: float) -> LaneFigures:
    """The figures of one lane."""
    closed = lane.closed.kind if lane.closed is not None else None
    breaker = lane.breaker
    return LaneFigures(
        lane.name.credential,
        lane.name.model,
        closed,
        len(group.line),
        lane.quota.figures(now),
        breaker.health.value,
        breaker.until if breaker.until > now else None,
        lane.common.key[1],
        lane.quota.lessons(now),
        lane.credential.account,
        group.target.demand.images > 0,
    )


def alive(counts: list[int], states: type[JobState | FlightState | CallState], end: str) -> dict[str, int]:
    """How many are in each state that is neither before the beginning nor the end."""
    return {state.name.lower(): counts[state] for state in states if state.name not in ("NEW", end) and counts[state]}
