"""What may be spent, as the options say, and the ledger that it is booked in."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager

from attrs import evolve

from penstock.config import BudgetPolicy
from penstock_io.batch.funds import Funds
from penstock_io.batch.progress import Level
from penstock_io.cli.config import Values
from penstock_io.cli.console import Console
from penstock_io.cli.options import BUDGET_DAY, BUDGET_MONTH, BUDGET_POLICY, LEDGER


def funds_of(values: Values) -> Funds:
    """What may be spent by day and month; its ledger is not open yet. Raises `OptionError`."""
    for option in (BUDGET_DAY, BUDGET_MONTH):
        if values.get(option) is not None and values.get(LEDGER) is None:
            raise values.wrong(option, "it needs a ledger that remembers what other runs spent: give --ledger FILE")
    return Funds(values.get(BUDGET_DAY), values.get(BUDGET_MONTH), BudgetPolicy(values[BUDGET_POLICY]))


@contextmanager
def booked(values: Values, funds: Funds, console: Console) -> Generator[Funds]:
    """The funds with their ledger, if there is to be one, for as long as the block lasts. Raises `LedgerError`."""
    path = values.get(LEDGER)
    if path is None:
        yield funds
        return
    from penstock_io.ledger import Ledger  # noqa: PLC0415 - only who books in one waits for it

    ledger = Ledger.open(path)
    try:
        yield evolve(funds, ledger=ledger)
    finally:
        try:
            ledger.close()
        except sqlite3.Error as fault:
            console.tell(f"the ledger {path} could not be closed: {fault}", Level.WARNING)
