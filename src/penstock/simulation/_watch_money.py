"""Watches the books: caps hold while charges stay within quotes, and jobs are told what was booked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.money.balances import RUN
from penstock.money.periods import capped_as, split
from penstock.simulation._violation import Violation

if TYPE_CHECKING:
    from penstock.commands import Charged
    from penstock.config import Budget
    from penstock.money.balances import Balance, Balances
    from penstock.outcomes import Outcome
    from penstock.work import Work


class Books:
    """Sums by scope of what outcomes and notices say, in picodollars, held against the engine's balances."""

    def __init__(self, budget: Budget, opening: Balances) -> None:
        self._caps = dict(budget.caps)
        self._opening = opening
        self._sums: dict[str, list[int]] = {}
        self._unknown = False
        self._loose = False
        self._unpriced = False
        self._used: dict[str, int] = {}

    def rebudget(self, budget: Budget) -> None:
        """Other caps from now on."""
        self._caps = dict(budget.caps)

    def submitted(self, work: Work) -> None:
        """Where a price is unknown no cap can be promised."""
        if any(target.quote is None for target in work.targets):
            self._unpriced = True

    def exceeded(self) -> None:
        """A charge was above its bound: a cap may be passed once."""
        self._loose = True

    def finished(self, work: Work, outcome: Outcome) -> None:
        """What a job was told at its end."""
        self._add(work, outcome.charge, outcome.maybe)

    def charged(self, work: Work, notice: Charged) -> None:
        """What was told of a job after its end."""
        self._add(work, notice.charge, notice.maybe)

    def _add(self, work: Work, charge: int | None, maybe: int) -> None:
        tenant = (f"tenant:{work.tenant}",) if work.tenant else ()
        for scope in (RUN, *tenant, *(f"tag:{tag}" for tag in set(work.tags))):
            sums = self._sums.setdefault(scope, [0, 0])
            sums[0] += charge or 0
            self._unknown = self._unknown or charge is None
            sums[1] += maybe

    def compare(self, money: Balances) -> None:
        """Line 10: no scope is above its cap, but by an excess or where a cap was lowered."""
        for scope, balance in money.scopes:
            cap = self._caps.get(capped_as(scope))
            used = balance.reserved + balance.charged + balance.maybe
            if cap is not None and used > max(cap, self._used.get(scope, 0)) and not (self._loose or self._unpriced):
                raise Violation(10, f"{scope} stands at {used}, above its cap of {cap}")
        self._used = {scope: balance.reserved + balance.charged + balance.maybe for scope, balance in money.scopes}
        self._loose = False

    def _booked(self, scope: str, money: Balances) -> Balance:
        balance = money.of(scope)
        if balance.reserved:
            raise Violation(7, f"{balance.reserved} of {scope} are reserved, and nothing is out")
        return balance

    def entries(self, money: Balances, charged: int, maybe: int) -> None:
        """The books of the run are the sum of what the journal's entries say."""
        balance, before = self._booked(RUN, money), self._opening.of(RUN)
        booked = (balance.charged - before.charged, balance.maybe - before.maybe - before.reserved)
        if booked != (charged, maybe):
            raise Violation(10, f"booked {booked}, and the entries say {(charged, maybe)}")

    def at_rest(self, money: Balances, *, told: bool) -> None:
        """Every scope's book is the sum of what its jobs were told (where notices are subscribed).

        What was charged is left out where a charge is unknown.
        """
        for scope, balance in money.scopes:
            self._booked(scope, money)
            if not told or split(scope)[0]:
                continue
            before = self._opening.of(scope)
            booked = (balance.charged - before.charged, balance.maybe - before.maybe - before.reserved)
            sums = tuple(self._sums.get(scope, (0, 0)))
            if booked[self._unknown :] != sums[self._unknown :]:  # a job is not told the known part of an unknown sum
                raise Violation(10, f"{scope}: booked {booked}, and its jobs were told {sums}")
