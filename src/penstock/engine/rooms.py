"""The rooms of the engine, wired together: the one place where a fact, a timer or a move finds its room."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from penstock.engine.attempts import Attempts
from penstock.engine.calls import Calls
from penstock.engine.closing import Closing
from penstock.engine.desk import Desk
from penstock.engine.dispatch import Dispatch
from penstock.engine.entities import Attempt, Call, Fetch, Flight, Job, Question, Read
from penstock.engine.fetches import Fetches
from penstock.engine.flights import Flights
from penstock.engine.hedges import hedge
from penstock.engine.jobs import Jobs
from penstock.engine.lanes import Group
from penstock.engine.moves import (
    AllHere,
    Answered,
    Arrived,
    Asked,
    Bound,
    Broke,
    Dropped,
    Forgotten,
    Heard,
    Hire,
    Joined,
    Judged,
    Landed,
    Left,
    Never,
    Renewed,
    Stale,
    Stop,
    Wanted,
)
from penstock.engine.questions import Questions
from penstock.engine.records import Records
from penstock.engine.results import Results
from penstock.engine.timers import Alarm
from penstock.events import (
    CacheRead,
    Cancelled,
    Closed,
    Consulted,
    Drawn,
    Failed,
    Fetched,
    Opened,
    Reconfigured,
    Recorded,
    Responded,
    Streamed,
    Submitted,
    Ticked,
)

if TYPE_CHECKING:
    from random import Random

    from penstock.config import Config
    from penstock.engine.moves import Move
    from penstock.events import Event
    from penstock.money.ledger import Balances


class Rooms:
    """All rooms and the desk they share. Rooms append commands to the desk, and moves for each other."""

    def __init__(self, config: Config, rng: Random, epoch: float, opening: Balances) -> None:
        desk = self.desk = Desk(config, rng, epoch, opening)
        self.records = Records(desk)
        self.questions = Questions(desk)
        self.dispatch = Dispatch(desk)
        self.jobs = Jobs(desk, self.questions, self.records)
        self.flights = Flights(desk, self.questions)
        self.calls = Calls(desk, self.dispatch)
        self.results = Results(desk, self.dispatch, self.calls)
        self.fetches = Fetches(desk, self.records)
        self.attempts = Attempts(desk, self.dispatch, self.records, self.fetches)
        self.closing = Closing(desk, self.jobs, self.calls, self.attempts, self.records)

    def take(self, event: Event) -> None:  # noqa: C901, PLR0912 - one exhaustive dispatch
        """Hand a fact to its room."""
        match event:
            # in the order of how often they come: a case costs what the cases above it cost
            case Responded():
                self.attempts.responded(event)
            case Ticked():
                if event.unix is not None:
                    self.desk.epoch = event.unix - self.desk.now
            case Submitted():
                self.jobs.submitted(event)
            case Opened():
                self.attempts.opened(event)
            case Recorded():
                self._recorded(event)
            case CacheRead():
                self.flights.read(event)
            case Failed():
                self.attempts.failed(event)
            case Streamed():
                self.attempts.streamed(event)
            case Fetched():
                self.fetches.fetched(event)
            case Consulted():
                self.questions.consulted(event)
            case Cancelled():
                self.jobs.cancelled(event)
            case Reconfigured():
                self._reconfigured(event)
            case Drawn():
                self.dispatch.roster.drawn(event)
            case Closed():
                self.closing.closed(event.mode)
            case _:
                assert_never(event)

    def _recorded(self, event: Recorded) -> None:
        pending, given_up = self.records.answered(event)
        owner = pending.owner
        if isinstance(owner, Attempt):
            self.attempts.recorded(owner, event, given_up=given_up)
        elif owner is not None:
            self.jobs.recorded(owner, pending.entry, event, given_up=given_up)

    def _reconfigured(self, event: Reconfigured) -> None:
        desk = self.desk
        self.dispatch.roster.reconfigure(event.config, resume=event.resume)
        desk.ledger.rebudget(event.config.budget)
        desk.allowance.reconfigure(event.config.ambiguity)
        desk.refunds = dict.fromkeys(self.dispatch.parking.lines)
        if event.resume:
            desk.halt = None
            self.records.retry()

    def ring(self) -> None:  # noqa: C901 - one exhaustive dispatch
        """Hand timers that are due to their rooms."""
        desk = self.desk
        while (rung := desk.timers.due(desk.now)) is not None:
            alarm, owner = rung
            match owner:
                case Group():
                    self.dispatch.touch(owner)
                case Attempt() if alarm is Alarm.TOTAL:
                    self.attempts.timed_out(owner)
                case Attempt():
                    self._hedge(owner)
                case Call() if alarm is Alarm.RETRY:
                    self.calls.retry(owner)
                case Call():
                    self.calls.gathered(owner)
                case Job():
                    self.jobs.expired(owner)
                case Read():
                    self.flights.read_expired(owner)
                case Question():
                    self.questions.expired(owner)
                case Flight():
                    self.flights.claim_over(owner)
                case Fetch():
                    self.fetches.again(owner)
                case _:
                    raise AssertionError(f"a timer of {owner!r}")
            self.route()

    def _hedge(self, attempt: Attempt) -> None:
        bound = hedge(self.desk, self.dispatch, attempt)
        if bound is not None:
            self.attempts.begin(bound)

    def bind(self) -> None:
        """Bind lanes until nothing more can go; what this ends may set others free."""
        found: list[Bound | Never | Stale] = [*self.dispatch.parking.unpark()] if self.desk.refunds else []
        found += self.dispatch.pump()
        while found:
            for move in found:
                if isinstance(move, Bound):
                    self.attempts.begin(move)
                    if move.call.question is not None:
                        self.questions.wait(move.call.question)
                elif isinstance(move, Stale):
                    self.flights.renew(move.call)
                else:
                    self.calls.cannot(move)
            self.route()
            found = self.dispatch.pump()

    def route(self) -> None:
        """Carry moves from room to room until nobody has anything to say."""
        moves = self.desk.moves
        while moves:
            self._carry(moves.popleft())

    def _carry(self, move: Move) -> None:  # noqa: C901, PLR0912 - one exhaustive dispatch
        match move:
            case Arrived():
                self.results.arrived(move)
            case Landed():
                self.flights.landed(move)
            case Heard():
                self.jobs.heard(move)
            case Asked():
                self.flights.asked(move)
            case Wanted():
                self.calls.wanted(move.flights, move.target)
            case Judged():
                self.results.judged(move)
            case Broke():
                self.flights.broke(move)
            case Left():
                self.flights.left(move)
            case Dropped():
                self.calls.dropped(move)
            case Joined():
                self.calls.joined(move)
            case Renewed():
                self.calls.renewed(move.call)
            case Forgotten():
                self.flights.forgotten(move)
            case Stop():
                self.attempts.abort(move.attempt)
            case AllHere() if move.abandoned:
                self.attempts.give_up(move.attempt)
            case AllHere():
                self.attempts.settle(move.attempt)
            case Hire():
                self.calls.hired(move)
            case Answered():
                if isinstance(move.question.owner, Job):
                    self.jobs.answered(move)
                else:
                    self.flights.answered(move)
            case _:
                assert_never(move)
