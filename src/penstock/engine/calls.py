"""Calls: what is paid once. Gathered, queued, tried again, split, given up.

A call that waits sheds what nobody asks for any more; one that is out (RUNNING) is finished whoever is left, because it
is paid. Its end is told to its flights, or to the question that it answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.engine.billing import payer
from penstock.engine.entities import Call, Job
from penstock.engine.moves import Broke, Forgotten, Stop
from penstock.engine.portions import Portions
from penstock.engine.questions import hand_on
from penstock.engine.tables import CallInput, CallState
from penstock.engine.timers import Alarm
from penstock.engine.troubles import CLOSED, NOBODY, closed, doubt
from penstock.ids import CallId
from penstock.outcomes import Trouble
from penstock.readings import Fault

if TYPE_CHECKING:
    from penstock.engine.desk import Desk
    from penstock.engine.dispatch import Dispatch
    from penstock.engine.entities import Flight
    from penstock.engine.moves import Dropped, Hire, Joined, Never
    from penstock.work import Target

WAITING = (CallState.GATHERING, CallState.QUEUED, CallState.CLAIMING, CallState.PARKED, CallState.BACKOFF)


class Calls:
    """Calls have no table: whoever waits for one holds it. `gathering` has those that may still take more in."""

    def __init__(self, desk: Desk, dispatch: Dispatch) -> None:
        self.desk = desk
        self.dispatch = dispatch
        self.gathering: dict[str, Call] = {}
        self.portions = Portions()

    # Opening

    def wanted(self, flights: list[Flight], target: Target) -> None:
        """Buy these flights in as few calls as the target and the limits allow."""
        if target.gather is not None and self.desk.config.gathering.most > len(flights):
            for flight in flights:
                self._gather(flight, target)
            return
        if target.array:
            for part in _packed(flights, target):
                self.queue(self._open(part, target), CallInput.QUEUE)
            return
        size = 1
        if len(flights) > 1:
            size = len(flights)
            if target.divisible:
                size = self.dispatch.largest(target, min(size, target.most))
                size = min(size, self.dispatch.roster.group(target).most or size)
        for start in range(0, len(flights), size):
            self.queue(self._open(flights[start : start + size], target), CallInput.QUEUE)

    def hired(self, move: Hire) -> None:
        """A call that answers a question."""
        if not move.question.open:
            return
        call = self._open([], move.target)
        call.question = move.question
        call.purpose = move.purpose
        owner = move.question.owner
        jobs = [owner] if isinstance(owner, Job) else [ask.job for ask in owner.asks]
        call.priority = min(job.work.priority for job in jobs)
        move.question.call = call
        self.queue(call, CallInput.QUEUE)

    def _open(self, flights: list[Flight], target: Target) -> Call:
        desk = self.desk
        desk.count("calls")
        call = Call(CallId(desk.number()), self.dispatch.roster.group(target), target, flights, desk.now)
        call.purpose = target.purpose
        for flight in flights:
            flight.call = call
            for ask in flight.asks:
                priority = ask.job.work.priority
                call.priority = min(priority, call.priority)
        return call

    def _gather(self, flight: Flight, target: Target) -> None:
        name, most = gathering_name(target), min(self.desk.config.gathering.most, target.most)
        call = self.gathering.get(name)
        if call is not None and not self._takes(call, flight):
            self.gathered(call)
            call = None
        if call is None:
            call = self._open([flight], target)
            self.gathering[name] = call
            self.desk.call_life.go(call, CallInput.GATHER)
            call.timer = self.desk.timers.arm(self.desk.now + self.desk.config.gathering.wait, Alarm.GATHER, call)
        else:
            flight.call = call
            call.flights.append(flight)
            call.priority = min([call.priority, *(ask.job.work.priority for ask in flight.asks)])
        if len(call.flights) >= most:
            self.gathered(call)

    def _takes(self, call: Call, flight: Flight) -> bool:
        """Whether there is room for one more in a call that gathers, by its tokens."""
        caps = [cap for cap in (self.desk.config.gathering.tokens, call.target.most_tokens) if cap is not None]
        one = flight.demand()
        return not caps or one is None or call.demand().tokens + one.tokens <= min(caps)

    def gathered(self, call: Call) -> None:
        """Full, or the longest wait is over."""
        if call.state is CallState.GATHERING:
            self._settle_timer(call)
            self.queue(call, CallInput.QUEUE)

    def queue(self, call: Call, how: CallInput) -> None:
        """Into the line of its lane group; what can never go fails at once."""
        trouble = self.dispatch.never(call)
        if trouble is not None and self._halve(call):
            trouble = None
        elif trouble is None:
            trouble = self.dispatch.overdue(call)
        if trouble is None:
            self.desk.call_life.go(call, how)
            self.dispatch.enqueue(call)
        elif call.state is CallState.NEW:
            self.desk.call_life.go(call, CallInput.CANNOT)
            self._tell(call, trouble)
        else:
            self.desk.call_life.go(call, how)
            self.end(call, CallInput.CANNOT, trouble)

    def _halve(self, call: Call) -> bool:
        """Split a divisible call that is too large as it is; its second half becomes a call of its own."""
        count = len(call.flights)
        if count < 2 or not call.target.divisible:
            return False
        keep = self.dispatch.largest(call.target, count - 1)
        if keep < 1 or self.dispatch.largest(call.target, 1) < 1:
            return False
        call.barred = ()
        self._split(call, keep)
        return True

    def _split(self, call: Call, keep: int) -> None:
        rest = call.flights[keep:]
        del call.flights[keep:]
        self.desk.count("splits")
        sibling = self._open(rest, call.target)
        sibling.tries, sibling.doubtful, sibling.verdict = call.tries, call.doubtful, call.verdict
        sibling.priority, sibling.refused, sibling.refusals = call.priority, call.refused, call.refusals
        self.queue(sibling, CallInput.QUEUE)

    def refused(self, call: Call) -> None:
        """A rate limit refused it, and it goes again: as two halves where it is never let in as it is."""
        if self.portions.stuck(call, self.desk.now):
            call.barred = ()  # what is too large for a lane says nothing of its half
            self._split(call, (len(call.flights) + 1) // 2)
        self.queue(call, CallInput.AGAIN)

    def isolate(self, call: Call) -> None:
        """What was refused as a whole goes on as two halves: whatever in it is at fault stands alone in the end."""
        if not self.shed(call):
            return
        if len(call.flights) > 1:
            self._split(call, len(call.flights) // 2)
        self.queue(call, CallInput.AGAIN)

    # Waiting

    def joined(self, move: Joined) -> None:
        """One more asks for it: the highest priority of its askers counts."""
        call = move.call
        if move.priority < call.priority:
            call.priority = move.priority
            if call.state is CallState.QUEUED:
                self.dispatch.enqueue(call)

    def cannot(self, move: Never) -> None:
        """The dispatcher found that it can never go; smaller parts of it perhaps may."""
        call = move.call
        if call.state is not CallState.QUEUED and call.state is not CallState.PARKED:
            return
        if move.splits and len(call.flights) > 1 and call.target.divisible:
            if call.state is CallState.PARKED:
                self.desk.call_life.go(call, CallInput.QUEUE)
            self.desk.call_life.go(call, CallInput.SPLIT)
            call.barred = ()
            self._split(call, len(call.flights) // 2)
            self.dispatch.enqueue(call)
            return
        self.end(call, CallInput.CANNOT, move.trouble)

    def retry(self, call: Call) -> None:
        """Its back-off is over."""
        call.timer = None
        self._waited(call, "retry")
        self.queue(call, CallInput.QUEUE)

    def renewed(self, call: Call) -> None:
        """Its leases began anew: back to its place in the line, with what is still to be bought."""
        if call.state is CallState.CLAIMING and self.shed(call):
            self.queue(call, CallInput.QUEUE)

    def dropped(self, move: Dropped) -> None:
        """Somebody left. Waiting, it sheds what nobody asks for; out, it goes on (or is broken off on request)."""
        call = move.call
        if call.state in WAITING:
            if self.shed(call) and call.state is CallState.PARKED:
                self.dispatch.parking.look(call)
        elif call.state is CallState.RUNNING and not call.live():
            self.desk.call_life.go(call, CallInput.SALVAGE)
            if move.abort:
                self.stop(call)

    def close(self, call: Call) -> None:
        """Closed: what waits is not sent any more."""
        if call.state in WAITING:
            self.end(call, CallInput.CLOSED, CLOSED)

    def shed(self, call: Call) -> bool:
        """Forget what nobody asks for any more. False: nothing is left of it, and the call has ended."""
        kept: list[Flight] = []
        for flight in call.flights:
            if payer(flight.asks) is None:
                self.desk.moves.append(Forgotten(flight))
            else:
                kept.append(flight)
        if len(kept) < len(call.flights):
            call.flights[:] = kept
        wanted = bool(kept) if call.question is None else call.live()
        if not wanted:
            self.end(call, CallInput.NOBODY, NOBODY)
        return wanted

    def leave_out(self, call: Call, flights: list[Flight], trouble: Trouble) -> None:
        """Some of its flights are over, and why; the others go on."""
        if flights:
            told = doubt(trouble) if call.doubtful and trouble.kind != "ambiguous" else trouble
            call.flights[:] = [flight for flight in call.flights if flight not in flights]
            self.desk.moves.append(Broke(tuple(flights), told, self._payers(call, tuple(flights))))

    # Ending

    def stop(self, call: Call) -> None:
        """Break off what is out for it."""
        for attempt in call.out:
            self.desk.moves.append(Stop(attempt))

    def end(self, call: Call, how: CallInput, trouble: Trouble) -> None:
        """It is over, and why; what may have been billed before makes the end ambiguous, unless that one is certain.

        Certain is what is said of the request itself: what is said of a later attempt tells nothing of an earlier one.
        """
        trouble = closed(call.verdict) if trouble is CLOSED else trouble
        certain = call.blamed or how is CallInput.NOBODY or trouble.kind in ("ambiguous", "lost", "broken_stream")
        if call.doubtful and not certain:
            trouble = doubt(trouble)
        if call.blamed:
            self.desk.refused.note(call.flights, trouble, self.desk.now)
        self._settle_timer(call)
        self.desk.call_life.go(call, how)
        self._tell(call, trouble)

    def _tell(self, call: Call, trouble: Trouble) -> None:
        self.dispatch.ended(call)
        if call.question is not None:
            hand_on(self.desk, call.question, Fault(trouble.message))
            return
        flights, call.flights = tuple(call.flights), []
        if flights:
            self.desk.moves.append(Broke(flights, trouble, self._payers(call, flights)))

    def _payers(self, call: Call, flights: tuple[Flight, ...]) -> tuple[Job | None, ...]:
        """Who paid for the last attempt at these flights, or would have paid for the first."""
        paid: dict[Flight, Job] = {}
        if call.bill is not None:
            paid = dict(zip(call.billed, call.bill.payers, strict=True))
        payers: list[Job | None] = []
        for flight in flights:
            ask = payer(flight.asks)
            payers.append(paid.get(flight, ask.job if ask is not None else None))
        return tuple(payers)

    def _settle_timer(self, call: Call) -> None:
        self.desk.timers.cancel(call.timer)
        call.timer = None
        if call.state is CallState.GATHERING:
            del self.gathering[gathering_name(call.target)]

    def _waited(self, call: Call, reason: str) -> None:
        for flight in call.flights:
            for ask in flight.asks:
                ask.job.waited(reason, self.desk.now - call.since)
        call.since = self.desk.now


def _packed(flights: list[Flight], target: Target) -> list[list[Flight]]:
    """Flights of different things in as few calls as their number and their tokens allow, in their order."""
    parts: list[list[Flight]] = [[]]
    tokens = 0
    for flight in flights:
        more = (flight.demand() or target.demand).tokens
        heavy = target.most_tokens is not None and tokens + more > target.most_tokens
        if parts[-1] and (heavy or len(parts[-1]) >= target.most):
            parts.append([])
            tokens = 0
        parts[-1].append(flight)
        tokens += more
    return parts


def gathering_name(target: Target) -> str:
    """What a call gathers for: all that may be bought together."""
    return f"{target.group}|{target.operation}|{target.gather}"
