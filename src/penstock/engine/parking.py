"""Calls that wait for money: off their lines, by the scope of the budget that has no room for them."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

from penstock.engine.billing import bill
from penstock.engine.moves import Never
from penstock.engine.tables import CallInput, CallState
from penstock.engine.unserved import broke
from penstock.money.ledger import Fit

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.engine.desk import Desk
    from penstock.engine.entities import Bill, Call

Entry = tuple[int, int, int, "Call"]
"""Priority, place in line, the ticket of this wait, and who waits. A call that left its wait has another ticket."""

PORTION = 64
"""How many parked calls of one scope a step looks at."""


class Parking:
    """`lines` has who waits for which scope (the desk knows them, too); `enqueue` puts a call back into its line."""

    def __init__(self, desk: Desk, enqueue: Callable[[Call], None]) -> None:
        self.desk = desk
        self.lines = desk.parked
        self._enqueue = enqueue
        self._tickets = count(1)

    def park(self, call: Call, invoice: Bill) -> None:
        """It waits for refunds of the scope that is tight."""
        self._wait(call, self.desk.ledger.tight(invoice.shares))

    def _wait(self, call: Call, tight: str) -> None:
        call.parked = (tight, next(self._tickets))
        heappush(self.lines.setdefault(tight, []), (call.priority, call.place, call.parked[1], call))

    def look(self, call: Call) -> None:
        """Others pay for a call that waits: back to its line, unless they wait for the same money."""
        invoice = bill(self.desk, call)
        if invoice is None:
            return
        ledger = self.desk.ledger
        if ledger.fits(invoice.shares) is not Fit.LATER or ledger.tight(invoice.shares) != call.parked[0]:
            self._leave(call)

    def _leave(self, call: Call) -> None:
        call.parked = ("", 0)
        self.desk.call_life.go(call, CallInput.QUEUE)
        self._enqueue(call)

    def unpark(self) -> list[Never]:
        """Money came back to some scopes: whoever waits for those goes back to its line, as far as it fits, in order.

        At most `PORTION` calls a scope and step; `Desk.refunds` keeps the scopes where there are more.
        """
        found: list[Never] = []
        refunds, self.desk.refunds = self.desk.refunds, {}
        for scope in refunds:
            line = self.lines.get(scope, [])
            for _ in range(PORTION):
                if not line or not self._head(scope, line, found):
                    break
            else:
                self.desk.refunds[scope] = None
            if not line:
                self.lines.pop(scope, None)
        return found

    def _head(self, scope: str, line: list[Entry], found: list[Never]) -> bool:
        """Deal with the head of a line; False where it goes on waiting for this scope."""
        _, _, ticket, call = line[0]
        waits = call.state is CallState.PARKED and call.parked == (scope, ticket)
        invoice = bill(self.desk, call) if waits else None
        if invoice is None:
            heappop(line)
            return True
        fit = self.desk.ledger.fits(invoice.shares)
        tight = self.desk.ledger.tight(invoice.shares) if fit is Fit.LATER else ""
        if tight == scope:
            return False
        heappop(line)
        if fit is Fit.LATER:
            self._wait(call, tight)
        elif fit is Fit.NOW:
            self._leave(call)
        else:
            found.append(Never(call, broke(self.desk.ledger, fit, invoice, call.target), splits=fit is not Fit.UNKNOWN))
        return True
