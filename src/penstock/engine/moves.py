"""Moves: what one room of the engine tells another. `rooms` carries them, in the order in which they were made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define

if TYPE_CHECKING:
    from penstock.admission.quota import Permit
    from penstock.engine.entities import Ask, Attempt, Bill, Call, Flight, Job, Landing, Question, Settling
    from penstock.engine.lanes import Lane
    from penstock.judging.judgement import Judgement
    from penstock.money.ledger import Reservation
    from penstock.outcomes import Trouble
    from penstock.readings import Answer, Fault, Vector, Verdict
    from penstock.work import Purpose, Target


@define(eq=False)
class Bound:
    """dispatch -> attempts: lane, quota and budget are reserved together for this call."""

    call: Call
    lane: Lane
    permit: Permit
    bill: Bill
    reservation: Reservation


@define(eq=False)
class Never:
    """dispatch -> calls: this call can never go, and why; `splits`: smaller parts of it perhaps may."""

    call: Call
    trouble: Trouble
    splits: bool = False


@define(eq=False)
class Stale:
    """dispatch -> flights: this call could go now, but a lease of its flights would be over before its end."""

    call: Call


@define(eq=False)
class Renewed:
    """flights -> calls: its leases began anew; what others have made, or make, is no longer in it."""

    call: Call


@define(eq=False)
class Wanted:
    """flights -> calls: buy these, all of one target of one job."""

    flights: list[Flight]
    target: Target


@define(eq=False)
class Hire:
    """jobs, flights -> calls: a SCREEN or EMBED call that answers a question."""

    question: Question
    target: Target
    purpose: Purpose


@define(eq=False)
class Asked:
    """jobs -> flights: these samples are wanted (again)."""

    job: Job
    asks: tuple[Ask, ...]


@define(eq=False)
class Heard:
    """flights -> jobs: a sample landed or failed. `payer`: the ask paid for what failed."""

    ask: Ask
    payer: bool


@define(eq=False)
class Answered:
    """questions, calls -> jobs or flights."""

    question: Question
    answer: Verdict | Vector | Answer | Fault


@define(eq=False)
class Left:
    """jobs -> flights: nobody waits for this sample any more."""

    ask: Ask
    abort: bool


@define(eq=False)
class Dropped:
    """flights, questions -> calls: somebody left; a call that waits sheds what nobody asks for."""

    call: Call
    abort: bool = False


@define(eq=False)
class Joined:
    """flights -> calls: one more asks for what the call buys."""

    call: Call
    priority: int


@define(eq=False)
class Forgotten:
    """calls -> flights: nobody asks for it and nothing is out for it."""

    flight: Flight


@define(eq=False)
class Stop:
    """calls -> attempts: break this one off, if it is out."""

    attempt: Attempt


@define(eq=False)
class AllHere:
    """fetches -> attempts: all bytes of an attempt are here or lost; `abandoned`: closed before they were."""

    attempt: Attempt
    abandoned: bool


@define(eq=False)
class Judged:
    """attempts -> calls: an attempt ended without what was wanted.

    `judgement` None: nothing was judged, because it was never sent, or its downloads were given up on closing. `wait`
    is seconds until the next try; `asked`: the provider said so.
    """

    attempt: Attempt
    judgement: Judgement | None
    trouble: Trouble | None
    wait: float
    asked: bool = False


@define(eq=False)
class Arrived:
    """attempts -> calls: an attempt brought pictures (one entry a flight; None: not delivered), or an answer."""

    attempt: Attempt
    settling: Settling


@define(eq=False)
class Landed:
    """calls -> flights."""

    flight: Flight
    landing: Landing
    payer: Job | None


@define(eq=False)
class Broke:
    """calls -> flights: what was to buy these failed. `payers` names who paid (or would have), one a flight."""

    flights: tuple[Flight, ...]
    trouble: Trouble
    payers: tuple[Job | None, ...]


Move = (
    Wanted
    | Hire
    | Asked
    | Heard
    | Answered
    | Left
    | Dropped
    | Joined
    | Forgotten
    | Stop
    | AllHere
    | Judged
    | Arrived
    | Landed
    | Broke
    | Renewed
)
