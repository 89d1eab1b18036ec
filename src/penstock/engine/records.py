"""Journal entries in order, and what waits while the journal is at fault.

A faulted entry and all that come after it are kept in order and issued again on resume, and once more on closing; what
faults then is told as unrecorded and not waited for. Entries that were out when the first fault came are answered on
their own: those that went through are done, the others join the backlog at their place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define

from penstock.commands import Record, Release, Unrecorded
from penstock.engine.entities import Attempt, Job
from penstock.ids import RecordId

if TYPE_CHECKING:
    from penstock.commands import Command
    from penstock.engine.desk import Desk
    from penstock.entries import Entry
    from penstock.events import Recorded

Owner = Attempt | Job | None


@define(eq=False)
class Pending:
    """An entry on its way: `order` is its place among all entries, `again` that it is issued once more.

    `last`: it was issued when the engine was closed already, and is not issued again.
    """

    entry: Entry
    owner: Owner
    order: int
    again: bool = False
    last: bool = False


class Records:
    """`out` has what the journal owes an answer to, `backlog` what waits for it to be mended."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.out: dict[RecordId, Pending] = {}
        self.backlog: list[Pending] = []
        self.kept: list[Release] = []
        self._order = 0
        self._again = 0

    def issue(self, entry: Entry, owner: Owner = None) -> None:
        """Hand an entry to the journal, after all earlier ones."""
        self._order += 1
        pending = Pending(entry, owner, self._order)
        if self.backlog:
            self.backlog.append(pending)
        else:
            self._send(pending)

    def _send(self, pending: Pending) -> None:
        record = RecordId(self.desk.number())
        self.out[record] = pending
        self.desk.out.append(Record(record, pending.entry))

    def answered(self, event: Recorded) -> tuple[Pending, bool]:
        """Take the journal's answer. True beside the entry: it is given up, nobody will make it durable."""
        pending = self.out.pop(event.record)
        if pending.again:
            self._again -= 1
            pending.again = False
        if event.fault is None:
            return pending, False
        self.desk.count("journal_faults")
        self.desk.halted("journal", f"the journal cannot be written: {event.fault}")
        if pending.last:
            self.desk.notify(Unrecorded((pending.entry,)))
            self.desk.count("unrecorded")
            return pending, True
        self._keep(pending)
        if self.desk.closed is not None:
            self.retry()
        return pending, False

    def _keep(self, pending: Pending) -> None:
        place = len(self.backlog)
        while place and self.backlog[place - 1].order > pending.order:
            place -= 1
        self.backlog.insert(place, pending)

    def retry(self) -> None:
        """Issue the backlog again, in order: on resume, and a last time on closing."""
        waiting, self.backlog = self.backlog, []
        for pending in waiting:
            pending.again, pending.last = True, self.desk.closed is not None
            self._again += 1
            self._send(pending)

    def keep(self, ordered: list[Command]) -> list[Command]:
        """Hold back what would let bytes go while entries that may name them are not durable; give it back after."""
        if self.backlog or self._again:
            self.kept.extend(command for command in ordered if isinstance(command, Release))
            return [command for command in ordered if not isinstance(command, Release)]
        if self.kept:
            ordered.extend(self.kept)
            self.kept = []
        return ordered
