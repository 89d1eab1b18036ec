"""The things whose lives the tables tell.

Plain mutable records without decisions. A waiting job of one sample is a Job, an Ask, a Flight and a Call, about a
kilobyte together: whatever most jobs do not need is None until it is needed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from attrs import define

from penstock.engine.tables import AttemptState, CallState, FlightState, JobState
from penstock.outcomes import Trouble
from penstock.work import Demand, Purpose

if TYPE_CHECKING:
    from penstock.admission.quota import Permit
    from penstock.commands import Near
    from penstock.engine.lanes import Group, Lane
    from penstock.engine.timers import Timer
    from penstock.ids import AttemptId, CallId, Handle, JobId, Key, ReadId, Ref
    from penstock.money.ledger import Reservation, Share
    from penstock.outcomes import Meta, Source
    from penstock.readings import Usage, Vector, Verdict
    from penstock.work import Target, Work

RUN_SCOPES = ("run",)


def together(demands: list[Demand]) -> Demand:
    """What different things take in one request."""
    return Demand(1, sum(one.images for one in demands), sum(one.tokens for one in demands))


@lru_cache(maxsize=1024)
def scopes(tenant: str, tags: tuple[str, ...]) -> tuple[str, ...]:
    """The budget scopes of a tenant and of tags, which many jobs have alike."""
    return (*RUN_SCOPES, *((f"tenant:{tenant}",) if tenant else ()), *(f"tag:{tag}" for tag in dict.fromkeys(tags)))


@define(eq=False)
class Job:
    """What a caller waits for. `unheard` counts samples that have neither a picture nor a final trouble yet.

    `again`: it has had its one more try of what may have been billed.
    """

    id: JobId
    work: Work
    since: float
    state: JobState = JobState.NEW
    asks: tuple[Ask, ...] = ()
    unheard: int = 0
    finished: bool = False
    again: bool = False
    charge: int = 0
    unpriced: bool = False
    maybe: int = 0
    attempts: int = 0
    usage: Usage | None = None
    waits: dict[str, float] | None = None
    trouble: Trouble | None = None
    questions: list[Question] | None = None
    timer: Timer | None = None
    files: tuple[Ref, ...] | None = None
    template: Ref | None = None
    remarks: tuple[str, ...] = ()

    def scopes(self) -> tuple[str, ...]:
        """The budget scopes of what this job pays: the run, its tenant, its tags."""
        work = self.work
        return scopes(work.tenant, work.tags) if work.tenant or work.tags else RUN_SCOPES

    def lost(self) -> int:
        """How many samples are paid but could not be downloaded."""
        return sum(1 for ask in self.asks if ask.trouble is not None and ask.trouble.kind == "lost")

    def remark(self, warning: str) -> None:
        """Note what whoever asked is to be warned of, once."""
        if warning not in self.remarks:
            self.remarks = (*self.remarks, warning)

    def said(self) -> Trouble | None:
        """How the last attempt at one of its samples ended that is still to be bought; None: there was none."""
        calls = [ask.flight.call for ask in self.asks if ask.flight is not None and ask.flight.call is not None]
        return next((call.verdict for call in calls if call.verdict is not None), None)

    def waited(self, reason: str, seconds: float) -> None:
        """Book time that was spent waiting."""
        if seconds > 0:
            if self.waits is None:
                self.waits = {}
            self.waits[reason] = self.waits.get(reason, 0.0) + seconds


@define(eq=False)
class Ask:
    """One sample of one job: who wants it, which target of the chain is its turn, and what came of it.

    `again`: what another paid for has failed it once already. `tries` counts exchanges for it, over the whole chain.
    """

    job: Job
    index: int
    target: int = 0
    flight: Flight | None = None
    landing: Landing | None = None
    source: Source | None = None
    trouble: Trouble | None = None
    again: bool = False
    tries: int = 0

    def aim(self) -> Target:
        """The target whose turn it is."""
        return self.job.work.targets[self.target]

    def demand(self) -> Demand:
        """What this sample takes."""
        target = self.aim()
        return target.array[self.index].demand if target.array else target.demand

    def quote(self) -> int | None:
        """What this sample costs at most, in picodollars; None is unknown."""
        target = self.aim()
        return target.array[self.index].quote if target.array else target.quote

    def live(self) -> bool:
        """Whether somebody still waits for it."""
        return not self.job.finished


@define(eq=False)
class Landing:
    """A picture that arrived. `holders` counts the jobs that still need its bytes."""

    key: Key
    ref: Ref
    meta: Meta
    holders: int = 0
    score: float | None = None


@define(eq=False)
class Flight:
    """One picture that somebody wants. Registered under its key where it may be shared.

    `claim` names the lease on it, which other processes respect until `leased` (absolute seconds).
    """

    key: Key
    asks: list[Ask]
    state: FlightState = FlightState.NEW
    shared: bool = False
    stores: bool = False
    ttl: float | None = None
    call: Call | None = None
    read: Read | None = None
    claim: ReadId | None = None
    leased: float = 0.0
    timer: Timer | None = None
    near: Near | None = None
    question: Question | None = None

    def demand(self) -> Demand | None:
        """What it takes, as whoever asks for it says; None: nobody does."""
        return self.asks[0].demand() if self.asks else None


@define(eq=False)
class Read:
    """A question to the store for some flights. `late`: its patience is over, or nobody cares any more.

    A lease that it takes is good until `leased`. `call`: it is about to be sent, and its leases begin anew.
    """

    id: ReadId
    flights: tuple[Flight, ...]
    near: bool = False
    since: float = 0.0
    late: bool = False
    timer: Timer | None = None
    leased: float = 0.0
    call: Call | None = None


@define(eq=False)
class Question:
    """A question to a hook, or a SCREEN or EMBED call. An answer counts only while it is `open`."""

    owner: Job | Flight
    policy: str = ""
    passes_on_fault: bool = False
    refs: tuple[Ref, ...] = ()
    open: bool = True
    call: Call | None = None
    patience: float = 0.0
    timer: Timer | None = None


@define(eq=False)
class Call:
    """One unit of provider work, paid once. `flights` empty: it answers a `question` instead.

    `refused` is since when rate limits refuse it (absolute seconds; None: they do not, or it got further since),
    `refusals` how often they did since.
    `parked` names the scope whose money it waits for, and the ticket of that wait.
    `final` says that it is not tried again, `blamed` that the provider refused the request itself, `doubtful` that an
    attempt may have been executed.
    """

    id: CallId
    group: Group
    target: Target
    flights: list[Flight]
    since: float
    priority: int = 2
    place: int = 0
    state: CallState = CallState.NEW
    question: Question | None = None
    purpose: Purpose = Purpose.GENERATE
    tries: int = 0
    out: tuple[Attempt, ...] = ()
    timer: Timer | None = None
    barred: tuple[Lane, ...] = ()
    delivered: bool = False
    final: bool = False
    blamed: bool = False
    doubtful: bool = False
    refused: float | None = None
    refusals: int = 0
    verdict: Trouble | None = None
    lined: bool = False
    parked: tuple[str, int] = ("", 0)
    billed: tuple[Flight, ...] = ()
    bill: Bill | None = None

    def demand(self) -> Demand:
        """What one attempt of it takes from a quota."""
        if self.target.array:
            return together([flight.demand() or self.target.demand for flight in self.flights])
        return self.target.demand if len(self.flights) < 2 else self.target.demand.times(len(self.flights))

    def live(self) -> bool:
        """Whether somebody still waits for what it buys."""
        if self.question is not None:
            return self.question.open
        return any(ask.live() for flight in self.flights for ask in flight.asks)

    def let_in(self) -> None:
        """Rate limits let it in, whatever came of it: their refusals are counted anew."""
        self.refused, self.refusals = None, 0


@define(eq=False)
class Bill:
    """Who pays for what of a call, at one moment. `jobs`, `parts` and `shares` go together; `payers`: one a flight."""

    jobs: tuple[Job, ...]
    parts: tuple[tuple[JobId, tuple[int, ...]], ...]
    shares: tuple[Share, ...]
    payers: tuple[Job, ...]
    handle: Handle
    aim: int


@define(eq=False)
class Attempt:
    """One exchange of a call on a lane, with the bill as it was when its intent was made, and what its payers paid.

    `counted` are those of whose attempts it is one: who asked for its pictures when it went.
    """

    id: AttemptId
    call: Call
    lane: Lane
    permit: Permit
    reservation: Reservation
    bill: Bill
    flights: tuple[Flight, ...]
    since: float
    state: AttemptState = AttemptState.NEW
    heard: bool = False
    aborted: bool = False
    timed_out: bool = False
    timer: Timer | None = None
    hedge: Timer | None = None
    settling: Settling | None = None
    partials: list[Ref] | None = None
    charges: tuple[int | None, ...] = ()
    without: tuple[str, ...] = ()
    counted: tuple[Job, ...] = ()


@define(eq=False)
class Settling:
    """What a successful attempt brought, on its way to be durable. One entry a flight; None: not delivered."""

    landings: list[Landing | None]
    lost: list[Trouble | None]
    charge: int | None
    usage: Usage | None
    answer: Verdict | Vector | None = None
    fetches: dict[AttemptId, Fetch] | None = None


@define(eq=False)
class Fetch:
    """A download of one picture of an attempt that was charged."""

    id: AttemptId
    attempt: Attempt
    index: int
    source: Ref
    expires: float
    tries: int = 1
    out: bool = True
    aborted: bool = False
    fault: str = ""
    timer: Timer | None = None
