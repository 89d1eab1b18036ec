"""What everything cost, over all runs, in one file of SQLite: hard caps by day and month, and rows for whoever asks."""

from penstock_io.ledger._rows import Row, Saving, Share, Statement, read
from penstock_io.ledger._schema import LedgerDamaged, LedgerError, LedgerInUse, LedgerUnusable, NewerLedger
from penstock_io.ledger.ledger import Ledger

__all__ = [
    "Ledger",
    "LedgerDamaged",
    "LedgerError",
    "LedgerInUse",
    "LedgerUnusable",
    "NewerLedger",
    "Row",
    "Saving",
    "Share",
    "Statement",
    "read",
]
