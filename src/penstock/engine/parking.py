"""Calls that wait for money: off their lines, by the scope of the budget that has no room for them."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

from penstock.engine.billing import bill
from penstock.engine.lanes import broke
from penstock.engine.moves import Never
from penstock.engine.tables import CallInput, CallState
from penstock.money.ledger import Fit

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.engine.desk import Desk
    from penstock.engine.entities import Bill, Call
    from penstock.engine.lanes import Entry

PORTION = 64
"""How many parked calls of one scope a step looks at."""


class Parking:
    """`lines` has who waits for which scope (the desk knows them, too); `enqueue` puts a call back into its line."""

    def __init__(self, desk: Desk, enqueue: Callable[[Call], None]) -> None:
        self.desk = desk
        self.lines = desk.parked
        self._enqueue = enqueue

    def park(self, call: Call, invoice: Bill) -> None:
        """It waits for refunds of the scope that is tight."""
        tight = self.desk.ledger.tight(invoice.shares)
        heappush(self.lines.setdefault(tight, []), (call.priority, call.place, call))

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
        entry = line[0]
        call = entry[2]
        invoice = bill(self.desk, call) if call.state is CallState.PARKED else None
        if invoice is None:
            heappop(line)
            return True
        fit = self.desk.ledger.fits(invoice.shares)
        tight = self.desk.ledger.tight(invoice.shares) if fit is Fit.LATER else ""
        if tight == scope:
            return False
        heappop(line)
        if fit is Fit.LATER:
            heappush(self.lines.setdefault(tight, []), entry)
        elif fit is Fit.NOW:
            self.desk.call_life.go(call, CallInput.QUEUE)
            self._enqueue(call)
        else:
            found.append(Never(call, broke(self.desk.ledger, fit, invoice), splits=fit is not Fit.UNKNOWN))
        return True
