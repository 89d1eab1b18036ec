"""Who may go: a queue per lane group, and lanes bound as late as possible.

A freed slot is bound to one call in the same step; only heads of queues are looked at. Quota and budget are reserved
together or not at all. A head whose free lanes are barred to it steps aside for this round; a head that waits for quota
keeps its place, so that a large demand is not starved by small ones.
"""

from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heappush
from math import inf
from typing import TYPE_CHECKING

from penstock.admission.quota import Quota
from penstock.commands import LaneClosed, Release
from penstock.config import BudgetPolicy
from penstock.engine.billing import bill
from penstock.engine.entities import CLOSED
from penstock.engine.lanes import Entry, Group, Lane, broke, chain_goes_on, screens_pictures, stands
from penstock.engine.moves import Bound, Never
from penstock.engine.patience import stalls
from penstock.engine.tables import CallInput, CallState
from penstock.engine.timers import Alarm
from penstock.entries import Lane as LaneName
from penstock.events import Mode
from penstock.judging.judgement import Closes
from penstock.money.ledger import Fit
from penstock.outcomes import Trouble

if TYPE_CHECKING:
    from penstock.config import Config, Credential
    from penstock.engine.desk import Desk
    from penstock.engine.entities import Call, Landing
    from penstock.judging.judgement import Judgement
    from penstock.work import Target

ASIDE = 16
"""How many heads may step aside in one round: bounds a step."""

PORTION = 64
"""How many parked calls of one scope a step looks at."""


REMOVED = Trouble("removed", "its credential was removed, or no longer serves this model")


class Dispatch:
    """Queues, lanes and quotas. `pump` says who goes and who never can."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.groups: dict[tuple[str, str], Group] = {}
        self.quotas: dict[tuple[str, str], tuple[Quota, list[Group]]] = {}
        self.parked = desk.parked
        self._dirty: deque[Group] = deque()
        self._line = 0
        self._ending: tuple[Mode, bool] | None = None
        self._dead: dict[str, tuple[Credential, Trouble]] = {}
        self._counted: Config | None = None
        self._room = 0

    # Lanes

    def group(self, target: Target) -> Group:
        """The lane group of a target, made when it is first wanted."""
        name = (target.provider, target.model)
        group = self.groups.get(name)
        if group is None:
            group = self.groups[name] = Group(target.group, target)
            for credential in self.desk.config.credentials:
                self._lane(group, credential)
        return group

    def _lane(self, group: Group, credential: Credential) -> None:
        if not serves(credential, group.target):
            return
        key = (credential.name, group.pool)
        if key not in self.quotas:
            self.quotas[key] = (Quota(credential.limits, self.desk.now), [])
        quota, sharers = self.quotas[key]
        if group not in sharers:
            sharers.append(group)
        lane = Lane(LaneName(credential.name, group.target.model), credential, quota, sharers)
        dead = self._dead.get(credential.name)
        if dead is not None and dead[0] == credential:
            lane.closed = dead[1]
        group.lanes.append(lane)

    def close(self, lane: Lane, judgement: Judgement, trouble: Trouble) -> None:
        """Take a lane, or all lanes of its credential, out of service."""
        if judgement.closes is Closes.NOTHING:
            return
        whole = judgement.closes is Closes.CREDENTIAL
        if whole:
            self._dead[lane.credential.name] = (lane.credential, trouble)
        for group in self.groups.values():
            for other in group.lanes:
                if other is lane or (whole and other.credential.name == lane.credential.name):
                    if other.closed is None:
                        other.closed = trouble
                        self.desk.notify(LaneClosed(other.name, trouble.kind, trouble.message))
                    self.touch(group)

    def reconfigure(self, config: Config, *, resume: bool) -> None:
        """Compare credentials by name: new ones join, gone ones drain, changed ones open again; resume opens all."""
        old = {credential.name: credential for credential in self.desk.config.credentials}
        new = {credential.name: credential for credential in config.credentials}
        for (name, _), (quota, _) in self.quotas.items():
            if name in new and new[name].limits != (old[name].limits if name in old else None):
                quota.relimit(new[name].limits, self.desk.now)
        self.desk.config = config
        if resume:
            self._dead.clear()
        for group in self.groups.values():
            known = {lane.credential.name: lane for lane in group.lanes}
            for name, lane in known.items():
                if name not in new or not serves(new[name], group.target):
                    lane.closed = REMOVED
                elif resume or lane.credential != new[name] or lane.closed is REMOVED:
                    lane.closed, lane.credential = None, new[name]
            for name, credential in new.items():
                if name not in known:
                    self._lane(group, credential)
            self.touch(group)

    def concurrency(self) -> int:
        """How many exchanges at a time all credentials allow together."""
        if self._counted is not self.desk.config:
            self._counted = self.desk.config
            self._room = sum(credential.limits.concurrency or 64 for credential in self._counted.credentials)
        return self._room

    def largest(self, target: Target, samples: int) -> int:
        """How many samples one call of this target may carry on some open lane; at least 1, which then fails."""
        most = 0
        lanes = [lane for lane in self.group(target).lanes if lane.closed is None]
        if not lanes:
            return samples
        for lane in lanes:
            most = max(most, lane.quota.largest(target.demand, samples))
            if most >= samples:
                break
        return most or 1

    def never(self, call: Call) -> Trouble | None:
        """Why no open lane could ever serve this call; None where one could, or where none is open."""
        demand = call.demand()
        refusal = None
        for lane in call.group.lanes:
            if lane.closed is None and lane not in call.barred:
                refusal = lane.quota.never(demand)
                if refusal is None:
                    return None
        if refusal is None:
            return call.verdict if call.barred and any(lane.closed is None for lane in call.group.lanes) else None
        return Trouble(
            "over_limit",
            f"it needs {refusal.needed:g} {refusal.quantity} at once, and the limit is {refusal.limit:g}",
        )

    # The line

    def enqueue(self, call: Call) -> None:
        """Into the line: behind its equals, or where it stood before."""
        if not call.place:
            self._line += 1
            call.place = self._line
        group = call.group
        heappush(group.heap, (call.priority, call.place, call))
        call.lined = True
        # behind a head that is known to wait nobody goes, unless a head stepped aside
        if not group.dirty and (group.aside or group.heap[0][2] is call):
            self.touch(group)

    def ended(self, call: Call) -> None:
        """A call is over; when most of a line is over, it is swept."""
        if not call.lined:
            return
        group = call.group
        group.stale += 1
        if group.heap[0][2] is call:
            self.touch(group)
        if group.stale > ASIDE and group.stale * 2 > len(group.heap):
            group.heap = [entry for entry in group.heap if stands(entry)]
            heapify(group.heap)
            group.stale = 0

    def discard(self, landings: list[Landing]) -> None:
        """Bytes that nobody needs: the loser of a hedge, pictures that were not bought."""
        if landings:
            self.desk.out.append(Release(tuple(landing.ref for landing in landings)))

    def touch(self, group: Group) -> None:
        """Something changed for this group: look at its head in this step."""
        if not group.dirty:
            group.dirty = True
            self._dirty.append(group)

    def freed(self, lane: Lane) -> None:
        """A permit came back: whoever shares its quota may go."""
        for group in lane.sharers:
            if group.heap and not group.dirty:
                group.dirty = True
                self._dirty.append(group)

    def may_send(self, call: Call) -> bool:
        """Whether a call may still be sent: after Closed(DRAIN) only screens of paid pictures, when halted nothing."""
        if self.desk.closed is None:
            return self.desk.halt is None
        return self.desk.closed is Mode.DRAIN and self.desk.halt is None and screens_pictures(call)

    def pump(self) -> list[Bound | Never]:
        """Bind free lanes to heads of lines, as far as it goes now."""
        found: list[Bound | Never] = []
        if self.desk.closed is not None and self._ending != (self.desk.closed, self.desk.halt is None):
            self._ending = (self.desk.closed, self.desk.halt is None)
            for group in self.groups.values():
                self.touch(group)
        while self._dirty:
            group = self._dirty.popleft()
            group.dirty = False
            if group.heap and (self.desk.halt is None or self.desk.closed is not None):
                self._serve(group, found)
        return found

    def _serve(self, group: Group, found: list[Bound | Never]) -> None:
        aside: list[Entry] = []
        soonest = inf
        heap = group.heap
        while heap and len(aside) < ASIDE:
            entry = heap[0]
            call = entry[2]
            if not stands(entry) or (self.desk.closed is not None and not self._serves(call, found)):
                self._pop(group)
                continue
            lane, ready, barred = self._choose(group, call)
            late = stalls(self.desk, call) if lane is None and ready is not None else None
            if late is not None:
                self._pop(group)
                found.append(Never(call, late))
            elif lane is None and ready is None:
                if not self._stuck(group, call, found):
                    break
                self._pop(group)
            elif lane is None and barred:
                self._pop(group)
                aside.append(entry)
                soonest = min(soonest, ready if ready is not None else inf)
            elif lane is None:
                soonest = min(soonest, ready if ready is not None else inf)
                break
            else:
                self._pop(group)
                self._bind(call, lane, found)
        group.aside = bool(aside)
        for entry in aside:
            heappush(heap, entry)
            entry[2].lined = True
        self._wake(group, soonest)

    def _serves(self, call: Call, found: list[Bound | Never]) -> bool:
        """After Closed the line is left to whoever closes it, but for screens of paid pictures."""
        if self.may_send(call):
            return True
        if screens_pictures(call):
            found.append(Never(call, CLOSED))
        return False

    def _pop(self, group: Group) -> None:
        _, _, call = heappop(group.heap)
        call.lined = False

    def _choose(self, group: Group, call: Call) -> tuple[Lane | None, float | None, bool]:
        """The lane with most room; else when one will be ready (None: never), and whether a free one is barred."""
        demand = call.demand()
        now = self.desk.now
        best: Lane | None = None
        least = inf
        soonest: float | None = None
        barred = False
        for lane in group.lanes:
            if lane.closed is not None:
                continue
            quota = lane.quota
            ready = quota.ready_at(demand, now)
            if ready > now:
                if lane not in call.barred and quota.never(demand) is None and (soonest is None or ready < soonest):
                    soonest = ready
            elif lane in call.barred or quota.never(demand) is not None:
                barred = True
            elif quota.in_flight < least:
                best, least = lane, quota.in_flight
        return best, soonest, barred

    def _stuck(self, group: Group, call: Call, found: list[Bound | Never]) -> bool:
        """No lane can ever serve the head: it ends (True), or the engine halts and it keeps its place (False)."""
        trouble = self.never(call)
        if trouble is not None:
            found.append(Never(call, trouble, splits=True))
            return True
        closed = next((lane for lane in group.lanes if lane.closed is not None), None)
        trouble = closed.closed if closed is not None else None
        trouble = trouble or Trouble("no_lane", f"no credential serves {group.name}")
        if self.desk.config.halts and self.desk.closed is None and not chain_goes_on(call):
            self.desk.halted(trouble.kind, trouble.message)
            return False
        found.append(Never(call, trouble))
        return True

    def _bind(self, call: Call, lane: Lane, found: list[Bound | Never]) -> None:
        invoice = bill(self.desk, call)
        if invoice is None:
            found.append(Never(call, Trouble("cancelled", "nobody asks for it any more")))
            return
        ledger = self.desk.ledger
        fit = ledger.fits(invoice.shares)
        if fit is Fit.NOW:
            permit = lane.quota.reserve(call.demand(), self.desk.now)
            self.desk.call_life.go(call, CallInput.BEGIN)
            found.append(Bound(call, lane, permit, invoice, ledger.reserve(invoice.shares)))
        elif fit is Fit.LATER and self.desk.config.budget.policy is BudgetPolicy.WAIT:
            self.desk.call_life.go(call, CallInput.PARK)
            call.since = self.desk.now
            tight = ledger.tight(invoice.shares)
            heappush(self.parked.setdefault(tight, []), (call.priority, call.place, call))
        else:
            found.append(Never(call, broke(self.desk.ledger, fit, invoice), splits=fit is not Fit.UNKNOWN))

    def unpark(self) -> list[Never]:
        """Money came back to some scopes: whoever waits for those goes back to its queue, as far as it fits, in order.

        At most `PORTION` calls a scope and step; `Desk.refunds` keeps the scopes where there are more.
        """
        found: list[Never] = []
        refunds, self.desk.refunds = self.desk.refunds, {}
        for scope in refunds:
            line = self.parked.get(scope, [])
            for _ in range(PORTION):
                if not line or not self._unpark_head(scope, line, found):
                    break
            else:
                self.desk.refunds[scope] = None
            if not line:
                self.parked.pop(scope, None)
        return found

    def _unpark_head(self, scope: str, line: list[Entry], found: list[Never]) -> bool:
        """Deal with the head of a line; False where it goes on waiting for this scope."""
        entry = line[0]
        call = entry[2]
        invoice = bill(self.desk, call) if call.state is CallState.PARKED else None
        if invoice is None:
            heappop(line)
            return True
        fit = self.desk.ledger.fits(invoice.shares)
        tight = self.desk.ledger.tight(invoice.shares) if fit is Fit.LATER else ""
        if tight == scope:
            return False
        heappop(line)
        if fit is Fit.LATER:
            heappush(self.parked.setdefault(tight, []), entry)
        elif fit is Fit.NOW:
            self.desk.call_life.go(call, CallInput.QUEUE)
            self.enqueue(call)
        else:
            found.append(Never(call, broke(self.desk.ledger, fit, invoice), splits=fit is not Fit.UNKNOWN))
        return True

    def hedge(self, call: Call) -> Bound | None:
        """A second lane for a call that is out, if one is free now and the budget has room; never waits."""
        out = [attempt.lane for attempt in call.out]
        spare = [lane for lane in call.group.lanes if lane.closed is None and lane not in call.barred]
        spare.sort(key=lambda lane: (lane in out, lane.quota.in_flight))
        invoice = bill(self.desk, call)
        if invoice is None or self.desk.ledger.fits(invoice.shares) is not Fit.NOW:
            return None
        demand = call.demand()
        for lane in spare:
            if lane.quota.never(demand) is None and lane.quota.ready_at(demand, self.desk.now) <= self.desk.now:
                permit = lane.quota.reserve(demand, self.desk.now)
                return Bound(call, lane, permit, invoice, self.desk.ledger.reserve(invoice.shares))
        return None

    def _wake(self, group: Group, at: float) -> None:
        timer = group.timer
        if timer is not None:
            if timer.at == at and timer.owner is not None:
                return
            self.desk.timers.cancel(timer)
            group.timer = None
        if at < inf:
            group.timer = self.desk.timers.arm(at, Alarm.WAKE, group)


def serves(credential: Credential, target: Target) -> bool:
    """Whether a credential is good for a target's provider and model."""
    return credential.provider == target.provider and (credential.models is None or target.model in credential.models)
