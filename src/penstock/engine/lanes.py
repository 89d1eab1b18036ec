"""Lanes and the lines before them: a lane is a credential and a model, a group the lanes that can serve a target."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from penstock.engine.tables import CallState, JobState
from penstock.money.ledger import RUN, Fit
from penstock.money.periods import capped_as
from penstock.outcomes import Trouble

if TYPE_CHECKING:
    from penstock.admission.quota import Quota
    from penstock.config import Credential
    from penstock.engine.entities import Bill, Call
    from penstock.engine.timers import Timer
    from penstock.entries import Lane as LaneName
    from penstock.money.ledger import Ledger
    from penstock.work import Target

Entry = tuple[int, int, "Call"]
"""A place in a queue: priority, number in line, who."""


class Lane:
    """A credential and a model. `closed` says why it takes no more attempts (None: it does).

    `refusing` is since when its rate limits let nothing in (None: they do), `told` until when the last wait lasts that
    was told of (absolute seconds).
    """

    __slots__ = ("closed", "credential", "name", "quota", "refusing", "sharers", "told")

    def __init__(self, name: LaneName, credential: Credential, quota: Quota, sharers: list[Group]) -> None:
        self.name = name
        self.credential = credential
        self.quota = quota
        self.sharers = sharers
        self.closed: Trouble | None = None
        self.refusing: float | None = None
        self.told = -inf


class Group:
    """The lanes that can serve a provider's model, and who waits for them."""

    __slots__ = ("aside", "dirty", "excess", "heap", "lanes", "name", "pool", "stale", "target", "timer")

    def __init__(self, name: str, target: Target) -> None:
        self.name = name
        self.target = target
        self.pool = target.pool or target.model
        self.lanes: list[Lane] = []
        self.heap: list[Entry] = []
        self.stale = 0
        self.dirty = False
        self.aside = False
        self.excess = (1, 1)
        self.timer: Timer | None = None

    def bound(self, target: Target) -> int | None:
        """What one sample may cost at most, in picodollars: its quote, raised by the worst excess seen so far."""
        if target.quote is None:
            return None
        charge, quote = self.excess
        return -(-target.quote * charge // quote)

    def exceeded(self, charge: int, quote: int) -> None:
        """A charge above its quote: what follows is quoted higher in the same proportion."""
        if quote and charge * self.excess[1] > self.excess[0] * quote:
            self.excess = (charge, quote)


def stands(entry: Entry) -> bool:
    """Whether a place in a queue still counts: its call is queued, at this priority."""
    priority, _, call = entry
    return call.state is CallState.QUEUED and call.priority == priority


def screens_pictures(call: Call) -> bool:
    """Whether a call screens pictures that are paid."""
    owner = call.question.owner if call.question is not None else None
    return owner is not None and owner.state is JobState.SCREENING


def chain_goes_on(call: Call) -> bool:
    """Whether whoever pays for this call has another target after it."""
    return all(
        any(ask.target + 1 < len(ask.job.work.targets) for ask in flight.asks) for flight in call.flights
    ) and bool(call.flights)


def broke(ledger: Ledger, fit: Fit, invoice: Bill) -> Trouble:
    """Why the budget does not let it go."""
    if fit is Fit.UNKNOWN:
        return Trouble(
            "unknown_price",
            "its price is unknown, and a budget is set",
        )
    bound = sum(share.amount or 0 for share in invoice.shares)
    scope = capped_as(ledger.tight(invoice.shares))
    whose = "" if scope == RUN else f" of the {scope}" if scope in {"day", "month"} else f" of {scope}"
    return Trouble("budget", f"the budget{whose} has no room for its bound of ${bound / 10**12:.6f}")
