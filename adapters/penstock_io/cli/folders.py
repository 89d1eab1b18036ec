"""The folder of a batch before anything is done in it: whether it can be, what it remembers, who is at work there."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from attrs import field, frozen

from penstock.money.balances import Balances
from penstock_io.batch.progress import Level
from penstock_io.batch.states import RowState, Runs, load_runs, load_states
from penstock_io.cli.console import Console
from penstock_io.journal import UNSURE, Account, Journal, JournalError, peek

MINE = ("journal.sqlite", "journal.lock", "images")
"""What of a folder has to be written in any run."""


@frozen
class Books:
    """What a folder remembers, and who is at work in it ("" for nobody). `spent` is picodollars, also maybe billed.

    `runs` are the sums of its earlier runs. `unsure` says what a repair may have lost, as long as nobody has agreed to
    go on all the same.
    """

    states: Mapping[str, RowState] = field(factory=dict[str, RowState])
    account: Account = field(factory=Account)
    spent: int = 0
    holder: str = ""
    unsure: str = ""
    runs: Runs = field(factory=Runs)


def journalled(folder: Path) -> bool:
    """Whether a batch has been in a folder."""
    return (folder / "journal.sqlite").exists()


@contextmanager
def holding(folder: Path, console: Console) -> Generator[Journal]:
    """The journal of a folder, for as long as the block lasts. Raises `JournalError`."""
    journal = Journal.open(folder)
    try:
        yield journal
    finally:
        try:
            journal.close()
        except (OSError, sqlite3.Error) as fault:
            console.tell(f"the journal of {folder} could not be closed: {fault}", Level.WARNING)


def books_of(journal: Journal) -> Books:
    """What an open journal remembers. Raises `JournalError`."""
    try:
        rows = journal.rows()
        unsure = rows.get(UNSURE, "")
        spent = _spent(journal.balances())
        return Books(load_states(rows), journal.account(), spent, unsure=unsure, runs=load_runs(rows))
    except (OSError, sqlite3.Error) as fault:
        raise JournalError(f"{journal.folder} cannot be read: {fault}") from fault


def agreed(journal: Journal, books: Books) -> None:
    """Somebody agreed to go on whatever a repair lost: nobody is asked again."""
    if books.unsure:
        journal.put_row(UNSURE, "")


def look(folder: Path) -> Books:
    """The same of a folder that somebody else may hold; it only looks. Raises `JournalError`."""
    found = peek(folder)
    unsure = found.rows.get(UNSURE, "")
    states, runs = load_states(found.rows), load_runs(found.rows)
    return Books(states, found.account, _spent(found.balances), found.holder or "", unsure, runs)


def _spent(balances: Balances) -> int:
    return balances.total.charged + balances.total.maybe


def free(folder: Path) -> int | None:
    """Bytes free on the disk where a folder is, or will be; None where nobody knows."""
    try:
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        return shutil.disk_usage(there).free
    except (OSError, StopIteration):
        return None


def unwritable(folder: Path) -> str:
    """Why no batch can be done in a folder, or in the one where it would be made; "" where it can."""
    try:
        first = [path for path in (folder, *folder.absolute().parents) if path.exists()][:1]
        wrong = [path for path in (*first, *(folder / name for name in MINE)) if path.exists() and not _writable(path)]
    except OSError:
        return ""  # whatever it is, the journal says it
    return f"{wrong[0]} is read-only for this user: change that, or name another folder" if wrong else ""


def _writable(path: Path) -> bool:
    return os.access(path, os.W_OK | os.X_OK if path.is_dir() else os.W_OK)
