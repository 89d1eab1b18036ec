"""What follows from the end of an attempt: its call is settled, tried again, split, given up, or ambiguous."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from penstock.engine.doubts import spent, spent_flights, tried, tries_again
from penstock.engine.moves import Broke, Landed
from penstock.engine.patience import Wait, another, overdue
from penstock.engine.questions import hand_on, let_go
from penstock.engine.tables import CallInput, CallState
from penstock.engine.timers import Alarm
from penstock.engine.troubles import BROKEN, CLOSED, LOST, MISSING, NOBODY, doubt
from penstock.judging.judgement import Closes, Next
from penstock.readings import Fault
from penstock.three import Three

if TYPE_CHECKING:
    from penstock.engine.calls import Calls
    from penstock.engine.desk import Desk
    from penstock.engine.dispatch import Dispatch
    from penstock.engine.entities import Attempt, Call, Flight, Settling
    from penstock.engine.moves import Arrived, Judged
    from penstock.judging.judgement import Judgement
    from penstock.outcomes import Trouble


MODERATED = frozenset({"moderation", "moderation_output"})
"""Troubles that say the same of a request after previews as before: nobody asks for it again in either case."""


class Results:
    """Judges what an ended attempt means for its call."""

    def __init__(self, desk: Desk, dispatch: Dispatch, calls: Calls) -> None:
        self.desk = desk
        self.dispatch = dispatch
        self.calls = calls

    def judged(self, move: Judged) -> None:
        """An attempt ended without what was wanted."""
        attempt, judgement = move.attempt, move.judgement
        call = attempt.call
        self._came_back(attempt)
        if call.state is not CallState.RUNNING:
            return
        apart = judgement is not None and self._apart(call, judgement)
        if judgement is not None and not apart:
            if _lost(call) is None:
                call.verdict = move.trouble
            call.doubtful = call.doubtful or judgement.executed is Three.MAYBE
            call.final = call.final or judgement.next is Next.NEVER
            call.blamed = call.blamed or judgement.blames
            if not (judgement.rate or judgement.adapts) and judgement.closes is Closes.NOTHING:
                tried(call)
        if call.out:
            return
        if apart:
            self.calls.isolate(call)
            return
        if not self._ends(call, move) and self.calls.shed(call):
            self._goes_on(call, move)

    def _goes_on(self, call: Call, move: Judged) -> None:
        """A call is tried again: after its back-off, or as soon as a lane lets it."""
        judgement = move.judgement
        if judgement is not None and judgement.rate:
            self.calls.refused(call)
        elif (
            judgement is None
            or judgement.next in (Next.LANE, Next.ADAPT)
            or (judgement.next is Next.NOW and call.tries <= 1)
        ):
            self.calls.queue(call, CallInput.AGAIN)
        else:
            self._back_off(call, move.wait)

    def _apart(self, call: Call, judgement: Judgement) -> bool:
        """Whether a refusal may be of one of several different things, so that it says nothing of the others."""
        several = bool(call.target.array) and len(call.flights) > 1 and self.dispatch.may_send(call)
        return several and judgement.blames and judgement.executed is Three.NO

    def _ends(self, call: Call, move: Judged) -> bool:
        """End a call that may not be tried again; True if so."""
        judgement = move.judgement
        trouble = call.verdict or NOBODY
        if self.desk.closed is not None and not self.dispatch.may_send(call) and not call.final:
            doubtful = judgement is not None and judgement.executed is Three.MAYBE
            self.calls.end(call, CallInput.CLOSED, doubt(trouble) if doubtful else CLOSED)
            return True
        if judgement is None and not call.final:
            return False
        if judgement is None:
            self.calls.end(call, CallInput.FAIL, trouble)
            return True
        if call.delivered:
            kind = trouble.kind if trouble.kind in MODERATED else "broken_stream"
            self.calls.end(call, CallInput.FAIL, evolve(trouble, kind=kind))
            return True
        if call.final or spent(self.desk, call):
            self.calls.end(call, CallInput.FAIL, trouble)
            return True
        late = self._late(call, move)
        if late is not None:
            self.calls.end(call, CallInput.FAIL, late)
            return True
        if judgement.next is Next.AMBIGUOUS and not self._tries_again(call, trouble):
            self.calls.end(call, CallInput.FAIL, trouble)
            return True
        self.calls.leave_out(call, spent_flights(self.desk, call), trouble)
        if judgement.next is Next.ADAPT and not judgement.adapts:
            call.barred = (*call.barred, move.attempt.lane)
        return False

    def _late(self, call: Call, move: Judged) -> Trouble | None:
        """Why its askers do not wait for the next try, where no other lane is left to be asked; None where they do."""
        judgement = move.judgement
        if judgement is None or judgement.rate or judgement.next in (Next.LANE, Next.ADAPT):
            return None  # it goes into the line, where the lanes say when
        said = "the provider asks to wait" if move.asked else "the next try is due in"
        trouble = overdue(self.desk, call, Wait(self.desk.now + move.wait, self.desk.now, said))
        if trouble is not None and move.asked and another(call, move.attempt.lane):
            call.barred = (*call.barred, move.attempt.lane)
            move.wait = 0.0
            return None
        return trouble

    def _tries_again(self, call: Call, trouble: Trouble) -> bool:
        """Whether what may have been billed is tried again; flights whose payers may not have it so are left out."""
        going = tries_again(self.desk, call) if call.live() else None
        if going is None:
            return False
        self.calls.leave_out(call, [flight for flight in call.flights if flight not in going], doubt(trouble))
        return True

    def _back_off(self, call: Call, wait: float) -> None:
        desk = self.desk
        desk.call_life.go(call, CallInput.WAIT)
        call.since = desk.now
        call.timer = desk.timers.arm(desk.now + wait, Alarm.RETRY, call)
        desk.count("retries")

    def arrived(self, move: Arrived) -> None:
        """An attempt brought something: the first one counts, the others are told to stop and their bytes let go."""
        attempt, settling = move.attempt, move.settling
        call = attempt.call
        self._came_back(attempt)
        self.calls.portions.served(call.group, len(attempt.flights))
        if call.state is not CallState.RUNNING:
            self.dispatch.discard([landing for landing in settling.landings if landing is not None])
            let_go(self.desk, settling.answer)
            return
        if call.question is not None:
            answer = settling.answer if settling.answer is not None else Fault("the reply had no answer")
            self.desk.call_life.go(call, CallInput.SETTLED)
            self.calls.stop(call)
            self.dispatch.ended(call)
            hand_on(self.desk, call.question, answer)
            return
        let_go(self.desk, settling.answer)
        self._share_out(call, attempt, settling)

    def _share_out(self, call: Call, attempt: Attempt, settling: Settling) -> None:
        missing: list[Flight] = []
        bought = set(call.flights)
        for place, flight in enumerate(attempt.flights):
            landing = settling.landings[place]
            if flight not in bought:
                # another attempt brought this one before
                self.dispatch.discard([landing] if landing is not None else [])
            elif landing is not None:
                self.desk.moves.append(Landed(flight, landing, attempt.bill.payers[place]))
            elif (lost := settling.lost[place]) is not None and call.out:
                # the other attempt of a hedge may still bring it; if not, it is lost, and not bought again
                call.verdict, call.final = lost, True
                missing.append(flight)
            elif lost is not None:
                self.desk.moves.append(Broke((flight,), lost, (attempt.bill.payers[place],)))
            else:
                missing.append(flight)
        if missing:
            self._buy_rest(call, missing)
            return
        self.desk.call_life.go(call, CallInput.SETTLED)
        self.calls.stop(call)
        self.dispatch.ended(call)
        call.flights = []

    def _buy_rest(self, call: Call, missing: list[Flight]) -> None:
        """A reply had fewer pictures than were bought: the rest is queued again, which counts as a try."""
        call.flights = missing
        tried(call)
        if (lost := _lost(call)) is None:
            call.verdict = MISSING
        if call.out:
            return
        if not self.calls.shed(call):
            return
        if lost is not None:
            self.calls.end(call, CallInput.FAIL, lost)
        elif not self.dispatch.may_send(call) and self.desk.closed is not None:
            self.calls.end(call, CallInput.CLOSED, CLOSED)
        elif call.delivered:
            self.calls.end(call, CallInput.FAIL, BROKEN)
        elif spent(self.desk, call):
            self.calls.end(call, CallInput.FAIL, MISSING)
        else:
            self.calls.leave_out(call, spent_flights(self.desk, call), MISSING)
            self.calls.queue(call, CallInput.AGAIN)

    def _came_back(self, attempt: Attempt) -> None:
        attempt.call.out = tuple(other for other in attempt.call.out if other is not attempt)


def _lost(call: Call) -> Trouble | None:
    """Why a picture of the call is paid and gone; None: none is."""
    return call.verdict if call.verdict is not None and call.verdict.kind == LOST.kind else None
