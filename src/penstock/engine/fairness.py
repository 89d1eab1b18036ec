"""The line of a lane group: who goes next, fairly.

Shares, not strict priorities: as long as all of them wait, ten interactive pictures go for each normal one, and ten
normal ones for each of a batch; whatever one class does not use goes to the others. So a single interactive request
goes next, however long the line is, and a batch still moves under a flood of them. (Priorities that grow with waiting
were the alternative: then everything of an old backlog stands before whoever comes now.) Within a class tenants share
in proportion to their weights, and each tenant's own calls go in the order in which they first came.

It is weighted fair queueing, in two levels. Each class, and each tenant in it, has a *tag*: how much it has been
served, divided by its share. Whoever would have the lowest one after its next picture goes. Whoever has nothing to ask
for saves up nothing: when it comes back its tag is at least that of whoever is served. So what overtakes a call that
waits is bounded by shares, also where it waits because it is large: nobody else is bound while the head waits for room.

Pushing and taking are O(log n) in tenants, and in those calls of a tenant that came back; nearly all come in the order
of their places, and just follow each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from heapq import heapify, heappop, heappush, heapreplace
from typing import TYPE_CHECKING

from penstock.engine.entities import Job
from penstock.engine.tables import QUEUED
from penstock.work import Priority

if TYPE_CHECKING:
    from penstock.engine.entities import Call

SHARES = {Priority.INTERACTIVE: 100.0, Priority.NORMAL: 10.0, Priority.BATCH: 1.0}
"""Pictures of each class that go together, where all of them wait."""

IDLE = 64
"""How many tenants without a call are remembered beyond as many as have one."""

STALE = 16
"""How many calls that are over may stand in a line before it is swept."""


class Flow:
    """The calls of one tenant in one class, in the order of their places. `tag` is what it was served, by weight.

    Most stand in `queue`, behind each other as they came. Who came back stands in `back`, a heap: its place may be
    anywhere before the last. (One heap of all of them would touch a dozen of cold places in memory for each that goes.)
    """

    __slots__ = ("back", "queue", "tag", "tenant", "weight")

    def __init__(self, tenant: str, weight: float, tag: float) -> None:
        self.tenant = tenant
        self.weight = weight
        self.tag = tag
        self.queue: deque[Call] = deque()
        self.back: list[tuple[int, Call]] = []

    def __len__(self) -> int:
        return len(self.queue) + len(self.back)

    def __iter__(self) -> Iterator[Call]:
        """All of them, in no order."""
        yield from self.queue
        for _, call in self.back:
            yield call

    def first(self) -> Call:
        """Whoever stands first; somebody must be there."""
        queue, back = self.queue, self.back
        if not back or (queue and queue[0].place < back[0][0]):
            return queue[0]
        return back[0][1]

    def push(self, call: Call) -> None:
        """At its place."""
        queue = self.queue
        if not queue or queue[-1].place < call.place:
            queue.append(call)
        else:
            heappush(self.back, (call.place, call))

    def pop(self) -> None:
        """The first one goes."""
        queue, back = self.queue, self.back
        if not back or (queue and queue[0].place < back[0][0]):
            queue.popleft()
        else:
            heappop(back)

    def sweep(self, priority: int) -> None:
        """Nobody stands here any more whose place does not count."""
        self.queue = deque([call for call in self.queue if stands(call, priority)])
        self.back = [entry for entry in self.back if stands(entry[1], priority)]
        heapify(self.back)


class Class:
    """The tenants of one priority. `waiting` has those with a call, by tag; `now` is the tag of who went last.

    One that waits alone has no rival, so the tag of its entry is not kept up; it is put right when another comes.
    """

    __slots__ = ("flows", "now", "priority", "share", "tag", "turn", "waiting")

    def __init__(self, priority: Priority) -> None:
        self.priority = priority
        self.share = SHARES[priority]
        self.tag = 0.0
        self.now = 0.0
        self.turn = 0
        self.flows: dict[str, Flow] = {}
        self.waiting: list[tuple[float, int, Flow]] = []

    def push(self, flow: Flow) -> None:
        """A tenant has a call to go; behind whoever has the same tag and stands there."""
        waiting = self.waiting
        if len(waiting) == 1:
            waiting[0] = self.entry(waiting[0][2])
        heappush(waiting, self.entry(flow))

    def entry(self, flow: Flow) -> tuple[float, int, Flow]:
        """Where a tenant stands by its tag now, behind whoever has the same."""
        self.turn += 1
        return flow.tag, self.turn, flow

    def flow(self, tenant: str, weights: dict[str, float]) -> Flow:
        """The flow of a tenant, made where it is new; of those that have nothing to ask for, some are forgotten."""
        flow = self.flows.get(tenant)
        if flow is None:
            if len(self.flows) > 2 * len(self.waiting) + IDLE:
                kept = {name: one for name, one in self.flows.items() if one or one.tag > self.now}
                self.flows = kept
            flow = self.flows[tenant] = Flow(tenant, weights.get(tenant, 1.0), self.now)
        return flow


class Line:
    """The calls that wait for a lane of one group; `len` counts those that are over, too, until they are swept."""

    __slots__ = ("_classes", "_head", "_now", "_open", "_size", "_stale", "_weights")

    def __init__(self, weights: tuple[tuple[str, float], ...] = ()) -> None:
        self._classes = tuple([Class(priority) for priority in Priority])
        # those where somebody waits, in the order of their priorities
        self._open: list[Class] = []
        self._weights = dict(weights)
        self._now = 0.0
        self._size = 0
        self._stale = 0
        # whose turn it is and who stands there, until somebody comes who may go before
        self._head: tuple[Class, Call] | None = None

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Call]:
        """Everybody who stands in it, in no order."""
        for one in self._classes:
            for flow in one.flows.values():
                for call in flow:
                    if stands(call, one.priority):
                        yield call

    def reweigh(self, weights: tuple[tuple[str, float], ...]) -> None:
        """Tenants have other weights from now on."""
        self._weights = dict(weights)
        for one in self._classes:
            for flow in one.flows.values():
                flow.weight = self._weights.get(flow.tenant, 1.0)

    def push(self, call: Call) -> None:
        """Into the line, at its place among the calls of its tenant."""
        one = self._classes[call.priority]
        flow = one.flow(tenant_of(call), self._weights)
        if not one.waiting:
            one.tag = max(one.tag, self._now)
        if not flow:
            flow.tag = max(flow.tag, one.now)
            one.push(flow)
            self._head = None
            if len(one.waiting) == 1:
                self._reopen()
        elif call.place < flow.first().place:
            self._head = None
        flow.push(call)
        self._size += 1

    @property
    def first(self) -> Call | None:
        """Who stands at the head, as far as that is known; None where it has to be looked for."""
        return self._head[1] if self._head is not None else None

    def head(self) -> Call | None:
        """Who goes next; None where nobody waits."""
        head = self._head
        if head is not None:
            call = head[1]
            if call.state is QUEUED and call.priority == head[0].priority:
                return call
        head = self._head = self._next()
        return head[1] if head is not None else None

    def pop(self, *, served: bool) -> None:
        """Take out whom `head` told of; `served`: it goes, and its tenant and class are charged with its pictures."""
        head = self._head or self._next()
        if head is None:
            return
        self._head = None
        one, call = head
        if served:
            flow = one.waiting[0][2]
            cost = len(call.flights) or 1
            one.now = flow.tag  # never less than before: whoever comes begins there, and the lowest goes
            if one.tag > self._now:
                self._now = one.tag
            flow.tag += cost / flow.weight
            one.tag += cost / one.share
        self._drop(one)
        if len(one.waiting) == 1 and len(self._open) == 1:
            self._head = (one, one.waiting[0][2].first())  # who waits alone goes on

    def ended(self) -> bool:
        """A call that stands in it is over; True if the line was swept of those just now."""
        self._stale += 1
        self._head = None
        if self._stale <= STALE or self._stale * 2 <= self._size:
            return False
        for one in self._classes:
            for flow in one.flows.values():
                flow.sweep(one.priority)
            one.waiting = [entry for entry in one.waiting if entry[2]]
            heapify(one.waiting)
            self._forget(one)
        self._reopen()
        self._size = sum(len(flow) for one in self._classes for flow in one.flows.values())
        self._stale = 0
        return True

    def place(self, call: Call) -> int:
        """About how many go before a call that stands in it: exact where nobody else's class or tenant waits."""
        mine = self._classes[call.priority]
        flow = mine.flows.get(tenant_of(call))
        if flow is None:
            return 0
        before = sum(1 for other in flow if other.place < call.place and stands(other, mine.priority))
        tag = flow.tag + before / flow.weight
        for other in mine.flows.values():
            if other is not flow:
                before += _until(tag, other.tag, other.weight, len(other))
        tag = mine.tag + (before + 1) / mine.share
        rest = 0
        for one in self._classes:
            if one is not mine and one.waiting:
                size = sum(len(other) for other in one.flows.values())
                rest += min(size, int((tag - one.tag) * one.share + 1e-9)) if tag > one.tag else 0
        return before + rest

    def _next(self) -> tuple[Class, Call] | None:
        """The class whose turn it is, and its head. Calls that are over are dropped on the way."""
        best: tuple[Class, Call] | None = None
        least = 0.0
        for one in self._open:
            waiting = one.waiting
            while waiting:
                call = waiting[0][2].first()
                if call.state is QUEUED and call.priority == one.priority:
                    tag = one.tag + (len(call.flights) or 1) / one.share
                    if best is None or tag < least - 1e-9:
                        best, least = (one, call), tag
                    break
                self._drop(one)
                self._stale = max(0, self._stale - 1)
        return best

    def _drop(self, one: Class) -> None:
        waiting = one.waiting
        flow = waiting[0][2]
        self._size -= 1
        flow.pop()
        if flow.queue or flow.back:
            if len(waiting) > 1:
                heapreplace(waiting, one.entry(flow))
            return
        heappop(waiting)
        if not waiting:
            self._forget(one)
            self._reopen()

    def _forget(self, one: Class) -> None:
        """Where nobody of a class waits any more its tenants begin anew: there was room for all of them."""
        if not one.waiting:
            one.flows.clear()
            one.now = 0.0

    def _reopen(self) -> None:
        self._open = [one for one in self._classes if one.waiting]


def _until(tag: float, other: float, weight: float, size: int) -> int:
    """How many calls of another tenant go before a tag is reached."""
    return min(size, int((tag - other) * weight + 1.0 - 1e-9)) if tag >= other and size else 0


def stands(call: Call, priority: int) -> bool:
    """Whether a place in a line still counts: its call is queued, at this priority."""
    return call.state is QUEUED and call.priority == priority


def tenant_of(call: Call) -> str:
    """Whose share a call is taken from: that of its first asker, who pays it."""
    if call.question is not None:
        owner = call.question.owner
        return owner.work.tenant if isinstance(owner, Job) else owner.asks[0].job.work.tenant if owner.asks else ""
    flight = call.flights[0] if call.flights else None
    return flight.asks[0].job.work.tenant if flight is not None and flight.asks else ""
