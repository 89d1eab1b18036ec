"""A look at a folder's journal that changes nothing, also while another process holds it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from penstock.money.balances import Balances
from penstock_io.journal import _books
from penstock_io.journal._account import Account, read_account
from penstock_io.journal._faults import why
from penstock_io.journal._health import check
from penstock_io.journal._lock import holder_of, note_of
from penstock_io.journal._mirror import MIRROR
from penstock_io.journal._readonly import read_only
from penstock_io.journal._schema import DATABASE, JournalUnusable, version_of
from penstock_io.journal._witness import RUN

__all__ = ["Peek", "peek", "read_only"]


@frozen
class Peek:
    """What a journal says at one moment.

    `holder` names the process that holds the folder (None: nobody does). Requests that it has out are no doubts of the
    `balances`; those that a killed one left are, as for the next run. `note` is what the last holder could write
    nowhere else, `run` the number of the last run.
    """

    account: Account
    balances: Balances
    rows: Mapping[str, str] = field(repr=False)
    holder: str | None = None
    note: str = field(default="", repr=False)
    run: int = 0


def peek(folder: Path | str) -> Peek:
    """What the journal of `folder` says. Raises `JournalUnusable` where there is none or it cannot be used."""
    folder = Path(folder)
    path = folder / DATABASE
    if not any((folder / name).is_file() for name in (DATABASE, MIRROR, *RUN)):
        raise JournalUnusable(f"{folder} holds no journal: it is not the folder of a batch")
    try:
        holder = holder_of(folder)
        check(folder)
        with read_only(path) as db:
            if not version_of(db, path):
                raise JournalUnusable(f"{folder} holds an empty journal: run the batch first")
            db.execute("BEGIN")  # one moment for all that is read
            (run,) = db.execute("SELECT COALESCE(MAX(run), 0) FROM runs").fetchone()
            rows = dict(db.execute("SELECT row, state FROM rows").fetchall())
            balances = _books.balances(db, run if holder is not None else run + 1)
            return Peek(read_account(db, folder), balances, rows, holder, note_of(folder), run)
    except (sqlite3.Error, OSError) as fault:
        raise JournalUnusable(f"{folder} cannot be read: {why(fault)}") from fault
