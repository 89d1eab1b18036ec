"""What may be spent besides a folder's own budget: by day and month, over all that a ledger holds."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from attrs import frozen

from penstock.commands import BudgetLow
from penstock.config import Budget, BudgetPolicy
from penstock_io.batch.progress import Level
from penstock_io.resources import dollars, picodollars

if TYPE_CHECKING:
    from penstock_io.journal import Account
    from penstock_io.ledger import Ledger

_CENT = 10**10


@frozen
class Funds:
    """Dollars a `day` and a `month` (UTC) over all that `ledger` holds; None: any amount.

    `policy` says what becomes of what there is no room for now.
    """

    day: Decimal | None = None
    month: Decimal | None = None
    policy: BudgetPolicy = BudgetPolicy.WAIT
    ledger: Ledger | None = None

    @property
    def capped(self) -> bool:
        """Whether there is a cap."""
        return self.day is not None or self.month is not None

    def budget(self, *, unknown: bool) -> Budget:
        """The caps, for a client. `unknown`: what has no known price is sent all the same."""
        given = (("day", self.day), ("month", self.month))
        caps = tuple((scope, picodollars(amount)) for scope, amount in given if amount is not None)
        return Budget(caps, self.policy, unknown)

    def raised(self, budget: Decimal | None) -> str:
        """What can be done where there is no room left under these caps and a `budget` of dollars."""
        given = (("--budget", budget), ("--budget-day", self.day), ("--budget-month", self.month))
        flags = [flag for flag, amount in given if amount is not None] or ["--budget"]
        return f"raise {' or '.join(flags)}" + (", or wait for the next one (UTC)," if self.capped else "")


def low(notice: BudgetLow) -> str:
    """A notice in words."""
    name = {"run": "budget", "day": "budget of the day", "month": "budget of the month"}.get(notice.scope)
    places = 4 if notice.cap % _CENT else 2  # a cap of $0.004 is not $0.00
    used, cap = (f"${dollars(amount):.{places}f}" for amount in (notice.used, notice.cap))
    return f"{used} of the {name or f'budget of {notice.scope}'} of {cap} are used or may have been billed"


def most_of(budget: Decimal | None, before: Account) -> int | None:
    """What a folder comes to at most by bounds: its budget, or what was spent `before` if that is more; None: any."""
    return None if budget is None else max(picodollars(budget), sum(paid.charged for paid in before.tallies.values()))


def exceeded(budget: Decimal | None, charged: int, most: int | None) -> tuple[str, Level] | None:
    """What is said of a charge above the budget. It is the provider's fault where it is above `most` of the run, too.

    Else that was spent before, or was out when the budget became less.
    """
    if budget is None or charged <= picodollars(budget):
        return None
    from penstock.engine.sums import dollars as exact  # noqa: PLC0415 - a plan needs no engine

    above = f"{exact(charged - picodollars(budget))} above the budget of {exact(picodollars(budget))}"
    if most is not None and charged > most:
        return f"{above}: the provider charged more than its bound", Level.ERROR
    return f"{above}: spent before this run, or on its way when the budget was lowered", Level.WARNING
