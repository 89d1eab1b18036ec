"""Who may go: a line per lane group, and lanes bound as late as possible.

A freed slot is bound to one call in the same step; only heads of lines are looked at. Quota and budget are reserved
together or not at all. A head whose free lanes are barred to it steps aside for this round; a head that waits for quota
keeps its place, so that a large demand is not starved by small ones.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import TYPE_CHECKING

from penstock.commands import Release
from penstock.config import BudgetPolicy
from penstock.engine.billing import bill
from penstock.engine.leases import stale
from penstock.engine.moves import Bound, Never, Stale
from penstock.engine.parking import Parking
from penstock.engine.patience import stalls
from penstock.engine.roster import Roster
from penstock.engine.tables import CallInput
from penstock.engine.timers import Alarm
from penstock.engine.troubles import CLOSED
from penstock.engine.unserved import broke, chain_goes_on, closed_for, screens_pictures
from penstock.events import Mode
from penstock.money.ledger import NOW, Fit
from penstock.outcomes import Trouble

if TYPE_CHECKING:
    from penstock.engine.desk import Desk
    from penstock.engine.entities import Call, Landing
    from penstock.engine.lanes import Group, Lane
    from penstock.work import Demand, Target

_BEGIN, _WAKE = CallInput.BEGIN, Alarm.WAKE

ASIDE = 16
"""How many heads may step aside in one round: bounds a step."""


TOO_LARGE = Trouble("over_limit", "a call of so many pictures was refused again and again")


class Dispatch:
    """Lines and who is bound from them. `pump` says who goes and who never can."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.roster = Roster(desk, self.touch)
        self.parking = Parking(desk, self.enqueue)
        self._dirty: deque[Group] = deque()
        self._line = 0
        self._ending: tuple[Mode, bool] | None = None

    # What a call may hope for

    def largest(self, target: Target, samples: int) -> int:
        """How many samples one call of this target may carry on some open lane; at least 1, which then fails."""
        most = 0
        lanes = [lane for lane in self.roster.group(target).lanes if lane.closed is None]
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

    def overdue(self, call: Call) -> Trouble | None:
        """Why a call that would stand in line does not wait so long; in line behind others it is not looked at."""
        group = call.group
        if not group.line or group.dirty:
            return None
        self.roster.arrange()
        return stalls(self.desk, call)

    # The line

    def enqueue(self, call: Call) -> None:
        """Into the line: behind its equals, or where it stood before."""
        if not call.place:
            self._line += 1
            call.place = self._line
        group = call.group
        group.line.push(call)
        call.lined = True
        # behind a head that is known to wait nobody goes, unless a head stepped aside
        if not group.dirty and (group.aside or group.line.head() is call):
            self.touch(group)

    def ended(self, call: Call) -> None:
        """A call is over; when most of a line is over, it is swept."""
        if not call.lined:
            return
        group = call.group
        before = group.line.first
        group.line.ended()
        if before is call:
            self.touch(group)

    def discard(self, landings: list[Landing]) -> None:
        """Bytes that nobody needs: the loser of a hedge, pictures that were not bought."""
        if landings:
            self.desk.out.append(Release(tuple(landing.ref for landing in landings)))

    def touch(self, group: Group) -> None:
        """Something changed for this group: look at its head in this step."""
        if not group.dirty:
            group.dirty = True
            self._dirty.append(group)

    def may_send(self, call: Call) -> bool:
        """Whether a call may still be sent: after Closed(DRAIN) only screens of paid pictures, when halted nothing."""
        if self.desk.closed is None:
            return self.desk.halt is None
        return self.desk.closed is Mode.DRAIN and self.desk.halt is None and screens_pictures(call)

    def pump(self) -> list[Bound | Never | Stale]:
        """Bind free lanes to heads of lines, as far as it goes now."""
        found: list[Bound | Never | Stale] = []
        roster, desk = self.roster, self.desk
        if desk.closed is not None and self._ending != (desk.closed, desk.halt is None):
            self._ending = (desk.closed, desk.halt is None)
            for group in roster.groups.values():
                self.touch(group)
        if roster.stirred:
            roster.arrange()
        while self._dirty:
            group = self._dirty.popleft()
            if group.line and (desk.halt is None or desk.closed is not None):
                self._serve(group, found)
            group.dirty = False  # what was bound of its own line is no news to it
        return found

    def _serve(self, group: Group, found: list[Bound | Never | Stale]) -> None:
        aside: list[Call] = []
        soonest = inf
        line, desk = group.line, self.desk
        while (call := line.head()) is not None:
            if desk.closed is not None and not self._serves(call, found):
                self._leave(call)
                continue
            demand = call.demand()
            look = group.look(call, demand, desk.now)
            if look.lane is not None:
                self._bind(call, demand, look.lane, found)
                continue
            late = stalls(desk, call, look) if look.usable else None
            if late is not None:
                self._leave(call)
                found.append(Never(call, late))
            elif not look.usable:
                if not self._stuck(group, call, found):
                    break
                self._leave(call)
            else:
                if look.soonest < soonest:
                    soonest = look.soonest
                if not look.barred:
                    break
                self._leave(call)
                aside.append(call)
                if len(aside) == ASIDE:
                    break
        self._rest(group, aside, soonest)

    def _serves(self, call: Call, found: list[Bound | Never | Stale]) -> bool:
        """After Closed the line is left to whoever closes it, but for screens of paid pictures."""
        if self.may_send(call):
            return True
        if screens_pictures(call):
            found.append(Never(call, CLOSED))
        return False

    def _leave(self, call: Call, *, served: bool = False) -> None:
        """The head leaves its line; where it is served, its tenant has had its turn."""
        call.group.line.pop(served=served)
        call.lined = False

    def _stuck(self, group: Group, call: Call, found: list[Bound | Never | Stale]) -> bool:
        """No lane can ever serve the head: it ends (True), or the engine halts and it keeps its place (False)."""
        trouble = self.never(call)
        if trouble is not None:
            found.append(Never(call, trouble, splits=True))
            return True
        trouble = closed_for(group) or Trouble("no_lane", f"no credential serves {group.name}")
        if self.desk.config.halts and self.desk.closed is None and not chain_goes_on(call):
            self.desk.halted(trouble.kind, trouble.message)
            return False
        found.append(Never(call, trouble))
        return True

    def _bind(self, call: Call, demand: Demand, lane: Lane, found: list[Bound | Never | Stale]) -> None:
        desk, most = self.desk, call.group.most
        if most is not None and len(call.flights) > most and call.target.divisible:
            self._leave(call)
            found.append(Never(call, TOO_LARGE, splits=True))
            return
        if desk.config.claims and stale(call, desk.now):
            self._leave(call)
            desk.call_life.go(call, CallInput.CLAIM)
            found.append(Stale(call))
            return
        invoice = bill(desk, call)
        ledger = desk.ledger
        fit = ledger.fits(invoice.shares) if invoice is not None else None
        self._leave(call, served=fit is NOW)
        if invoice is None or fit is None:
            found.append(Never(call, Trouble("cancelled", "nobody asks for it any more")))
        elif fit is NOW:
            permit = lane.take(demand, desk.now)
            self.roster.taken(lane)
            desk.call_life.go(call, _BEGIN)
            found.append(Bound(call, lane, permit, invoice, ledger.reserve(invoice.shares)))
        elif fit is Fit.LATER and desk.config.budget.policy is BudgetPolicy.WAIT:
            desk.call_life.go(call, CallInput.PARK)
            call.since = desk.now
            self.parking.park(call, invoice)
        else:
            found.append(Never(call, broke(ledger, fit, invoice, call.target), splits=fit is not Fit.UNKNOWN))

    def hedge(self, call: Call) -> Bound | None:
        """A second lane for a call that is out, if one is free now and the budget has room; never waits."""
        now, demand = self.desk.now, call.demand()
        out = [attempt.lane for attempt in call.out]
        spare = [lane for lane in call.group.lanes if lane.usable(call, demand)]
        spare.sort(key=lambda lane: (lane in out, lane.quota.in_flight / lane.credential.weight))
        invoice = bill(self.desk, call)
        if invoice is None or self.desk.ledger.fits(invoice.shares) is not NOW:
            return None
        for lane in spare:
            if lane.ready_at(demand, now) <= now:
                permit = lane.take(demand, now)
                self.roster.stir(lane)
                return Bound(call, lane, permit, invoice, self.desk.ledger.reserve(invoice.shares))
        return None

    def _rest(self, group: Group, aside: list[Call], at: float) -> None:
        """A line has been served for now: whoever stepped aside stands in it again, and it is looked at again `at`."""
        group.aside = bool(aside)
        for call in aside:
            group.line.push(call)
            call.lined = True
        timer = group.timer
        if timer is not None and timer.owner is not None:
            if timer.at == at:
                return
            self.desk.timers.cancel(timer)
        group.timer = self.desk.timers.arm(at, _WAKE, group) if at < inf else None
