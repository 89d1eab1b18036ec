"""Why no lane serves a call: all are closed, or its money is used up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from penstock.engine.tables import JobState
from penstock.money.ledger import RUN, Fit
from penstock.money.periods import capped_as
from penstock.outcomes import Trouble

if TYPE_CHECKING:
    from penstock.engine.entities import Bill, Call
    from penstock.engine.lanes import Group
    from penstock.money.ledger import Ledger
    from penstock.work import Target

NAMED = 3
"""How many keys are named that have the same trouble, and how many troubles are told."""


def closed_for(group: Group) -> Trouble | None:
    """Why all lanes of a group are closed: the first one's trouble; where others differ, each with its keys."""
    closed = [(lane.credential.name, lane.closed) for lane in group.lanes if lane.closed is not None]
    closed = [(name, trouble) for name, trouble in closed if trouble.kind != "removed"] or closed
    if not closed:
        return None
    keys: dict[str, list[str]] = {}
    for name, trouble in closed:
        keys.setdefault(trouble.message, []).append(name)
    first = closed[0][1]
    if len(keys) == 1:
        return first
    said = [f"{message} ({_keys(names)})" for message, names in list(keys.items())[:NAMED]]
    said += ["other keys have other troubles"] if len(keys) > NAMED else []
    return evolve(first, message="; ".join(said))


def _keys(names: list[str]) -> str:
    """Which keys, the first few of them by name."""
    shown = ", ".join(names[:NAMED])
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"key {shown}" if len(names) == 1 else f"keys {shown}{more}"


def screens_pictures(call: Call) -> bool:
    """Whether a call screens pictures that are paid."""
    owner = call.question.owner if call.question is not None else None
    return owner is not None and owner.state is JobState.SCREENING


def chain_goes_on(call: Call) -> bool:
    """Whether whoever pays for this call has another target after it."""
    return all(
        any(ask.target + 1 < len(ask.job.work.targets) for ask in flight.asks) for flight in call.flights
    ) and bool(call.flights)


def broke(ledger: Ledger, fit: Fit, invoice: Bill, target: Target) -> Trouble:
    """Why the budget does not let it go."""
    if fit is Fit.UNKNOWN and target.unbounded:
        return Trouble("unbounded", f"{target.unbounded}, and a budget is set")
    if fit is Fit.UNKNOWN:
        return Trouble("unknown_price", "its price is unknown, and a budget is set")
    bound = sum(share.amount or 0 for share in invoice.shares)
    scope = capped_as(ledger.tight(invoice.shares))
    whose = "" if scope == RUN else f" of the {scope}" if scope in {"day", "month"} else f" of {scope}"
    return Trouble("budget", f"the budget{whose} has no room for its bound of ${bound / 10**12:.6f}")
