"""Whether a command may spend: what has to be agreed to, and by whom.

Who sits at a terminal is asked once, above a dollar; a script cannot answer, and is taken at its word. What hardly
anybody means (to pay again for pictures that the folder has, to fill the disk) needs a yes of both.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from attrs import frozen

from penstock_io.words import at_most

ASKED = 10**12
"""Picodollars above which somebody at a terminal is asked."""


class Asking(Protocol):
    """Whoever can be asked; a `Console`."""

    @property
    def interactive(self) -> bool:
        """Whether somebody is there."""
        ...

    def ask(self, question: str) -> bool:
        """Ask for a yes."""
        ...


@frozen
class Reason:
    """Something that has to be agreed to. `grave`: also where nobody is asked; `otherwise` is what else can be done."""

    told: str
    grave: bool = False
    otherwise: str = ""


def price_reason(bound: int | None, what: str, budget: Decimal | None = None) -> Reason | None:
    """Why `what` is asked for: its bound (picodollars) is above a dollar, or unknown. A budget bounds it, too."""
    cap = None if budget is None else int(budget * 10**12)
    most = bound if cap is None else cap if bound is None else min(bound, cap)
    if most is None:
        return Reason(f"{what} cost an amount that is not known beforehand")
    return Reason(f"{what} cost {at_most(most)}") if most > ASKED else None


def refusal(reasons: list[Reason], asking: Asking, *, yes: bool) -> str | None:
    """None where it may go on, else the message with which it ends. Asks where somebody is there."""
    if yes or not reasons:
        return None
    if asking.interactive:
        question = "; ".join(reason.told for reason in reasons)
        return None if asking.ask(f"{question[0].upper()}{question[1:]}. Go on?") else "nothing was sent"
    grave = [reason for reason in reasons if reason.grave]
    if not grave:
        return None
    advice = " or ".join(["--yes", *dict.fromkeys(reason.otherwise for reason in grave if reason.otherwise)])
    return f"{'; '.join(reason.told for reason in grave)}; nothing was sent: go on with {advice}"
