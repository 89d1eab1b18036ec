"""The engine: a pure state machine that decides everything and does nothing.

    engine = Engine(config, rng=Random(seed), epoch=time.time() - time.monotonic())
    for command in engine.handle(Submitted(job, work), now):
        ...                                     # perform it, and report facts as events

Facts go in as events, orders come out as commands, in the order in which they are to be performed. Every Send,
ReadCache, Record and Consult is answered exactly once; `next_deadline()` says when to come back with a Ticked.
`handle` never raises for anything that a server, a store or a user's data did; a driver's misuse raises `UsageError`
before anything changed.

Inside, each event goes to a room: one of the four whose lives are tables (jobs, flights, calls, attempts), or that of
what was asked elsewhere (records, questions, fetches). Rooms append commands, and moves for each other, which are
carried by `rooms`, so that none of the four knows another; then the dispatcher binds free lanes. Not thread-safe: one
owner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.engine.figures import Snapshot, snapshot
from penstock.engine.misuse import check
from penstock.engine.rooms import Rooms
from penstock.engine.waiting import Waiting, explain
from penstock.money.ledger import NOTHING, Balances

if TYPE_CHECKING:
    from random import Random

    from penstock.commands import Command
    from penstock.config import Config
    from penstock.events import Event
    from penstock.ids import JobId

__all__ = ["Engine", "Snapshot", "Waiting"]


class Engine:
    """Decides. `epoch` is the Unix time at which the monotonic clock read 0; `opening` carries earlier books."""

    def __init__(self, config: Config, *, rng: Random, epoch: float, opening: Balances = NOTHING) -> None:
        self._rooms = Rooms(config, rng, epoch, opening)

    def handle(self, event: Event, now: float) -> list[Command]:
        """Take one fact at `now` (absolute monotonic seconds, clamped if it ran backwards); return what to do.

        Raises UsageError, before anything changed, for an answer to what was not asked, a second answer, the id of a
        job that is under way, or a `now` that is not a number.
        """
        rooms = self._rooms
        desk = rooms.desk
        check(rooms, event, now)
        if now > desk.now:
            desk.now = now
        out = desk.out = []
        rooms.take(event)
        rooms.route()
        if desk.timers.early(desk.now):
            rooms.ring()
        if rooms.closing.busy():
            rooms.closing.sweep()
            rooms.route()
        rooms.bind()
        return out if desk.halt is None and not rooms.records.kept else rooms.records.keep(out)

    def next_deadline(self) -> float | None:
        """When to come back with a Ticked; None: only an event can help."""
        if self._rooms.closing.busy() or self._rooms.desk.refunds:
            return self._rooms.desk.now
        head = self._rooms.desk.timers.next()
        return head[0] if head is not None else None

    def appetite(self) -> int:
        """How many more jobs are worth submitting now: keeps lanes busy without holding a long line in memory."""
        desk = self._rooms.desk
        if not desk.sending():
            return 0
        window = desk.config.window or 2 * self._rooms.dispatch.roster.concurrency() + 16
        return max(0, window - self._rooms.jobs.unfinished)

    def idle(self) -> bool:
        """After Closed: nothing is held any more and the driver may leave."""
        rooms = self._rooms
        return (
            rooms.desk.closed is not None
            and not rooms.jobs.table
            and not rooms.attempts.table
            and not rooms.records.out
            and all(read.late and not rooms.desk.config.claims for read in rooms.flights.reads.values())
            and not rooms.closing.busy()
        )

    def explain(self, job: JobId) -> Waiting:
        """Why a job waits. One that is not there is "done"."""
        return explain(self._rooms.desk, self._rooms.jobs.table.get(job))

    def snapshot(self) -> Snapshot:
        """Figures for metrics and tests."""
        return snapshot(self._rooms)
