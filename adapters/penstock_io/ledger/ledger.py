"""The ledger on disk: what every attempt may cost before it is sent, and what it did cost, over all runs.

One file, held by one process, written by one client at a time. An entry that was answered is on the disk; what a
process that was killed had out counts as maybe billed from then on, so that a cap on a day holds over restarts.

Where there is a journal, too, an entry goes to the ledger first. Killed between the two, the ledger has either an
intent of something that was never sent, which counts as maybe, or the true end of an attempt that the journal takes for
unknown. Both say too much rather than too little; the other order would tell rows as ambiguous that were never sent,
and would have to remember which pictures the journal has filed already when the ledger's disk is full.

Rejected: sums read from the rows when a run begins (a month of a busy service is a million of them); books of each run
apart, added up by whoever looks (a cap would be as old as the last look).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock as Mutex
from threading import RLock
from typing import Self

from attrs import frozen

from penstock.entries import Entry, Failed, Intent, Maybe, Owed, Settled, Void
from penstock.errors import UsageError
from penstock.money.balances import NOTHING, Balances
from penstock.money.periods import DAY, period
from penstock.outcomes import Outcome, Source
from penstock.work import Work
from penstock_io.journal import Disk, FolderInUse
from penstock_io.journal._faults import why
from penstock_io.journal._lock import Lock
from penstock_io.ledger import _books
from penstock_io.ledger._rows import lock_name
from penstock_io.ledger._schema import LedgerInUse, LedgerUnusable, connect, fault_of

_SAVED = """
INSERT INTO savings (run, day, at, provider, model, size, quality, tenant, tags, pictures, saved)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""


@frozen
class _Saved:
    """A row of the table of savings."""

    day: str
    at: float
    provider: str
    model: str
    size: str
    quality: str
    tenant: str
    tags: str
    pictures: int
    saved: str


class Ledger:
    """The ledger of one file, held by one process. Use `Ledger.open`.

    Methods may be called from several threads; they wait for each other, except `saved`, which never waits for a disk.
    """

    def __init__(self, path: Path, lock: Lock, db: sqlite3.Connection) -> None:
        self.path = path
        self._lock = lock
        self._db = db
        self._disk_turn = RLock()
        self._turn = Mutex()
        self._run = 0
        self._used = self._closed = False
        self._savings: list[_Saved] = []

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.Ledger {self.path}>"

    @classmethod
    def open(cls, path: Path | str, *, disk: Disk | None = None) -> Ledger:
        """The ledger at `path`, made where there is none; its folder has to be there.

        Raises `LedgerInUse` (its `holder` names the process), `NewerLedger`, `LedgerDamaged`, and `LedgerUnusable` for
        what the disk or the database says.
        """
        path = Path(path)
        if path.is_dir():
            raise LedgerUnusable(f"{path} is a folder: name a file, such as {path / 'ledger.sqlite'}")
        if not path.parent.is_dir():
            raise LedgerUnusable(f"{path} cannot be made: there is no folder {path.parent}")
        try:
            real = path.resolve()  # two names of one file have one lock
            lock = Lock(real.parent, lock_name(real))
        except FolderInUse as busy:
            raise LedgerInUse(path, busy.holder) from busy
        except OSError as fault:
            raise LedgerUnusable(f"{path} cannot be used: {why(fault)}") from fault
        try:
            with lock.kept():
                return cls(path, lock, connect(real, Disk() if disk is None else disk))
        except (OSError, sqlite3.Error, UnicodeDecodeError) as fault:
            raise fault_of(path, fault) from fault

    def close(self) -> None:
        """Write what still waits and give the file back; a second time does nothing. Raises `sqlite3.Error`."""
        with self._disk_turn:
            if self._closed:
                return
            self._closed = True
            try:
                self.flush()
            finally:
                self._db.close()
                self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # A client's

    def begin(self, unix: float, source: str = "") -> Balances:
        """A client begins at `unix` (seconds): the books it opens with, by tenant, tag, day and month.

        `source` says what it is for (the folder of a batch). What earlier runs left without an end is booked as maybe
        billed. Raises `UsageError` while another client has not ended, or after `close`, `LedgerUnusable` for what the
        disk says.
        """
        with self._disk_turn:
            if self._closed:
                raise UsageError(f"the ledger {self.path} is closed")
            if self._used:
                raise UsageError(f"the ledger {self.path} is used by another client: one at a time, or one for all")
            try:
                with self._transaction() as db:
                    _books.close_orphans(db)
                    query = "INSERT INTO runs (source, begun) VALUES (?, ?)"
                    self._run = db.execute(query, (source.encode("utf-8", "replace").decode(), unix)).lastrowid or 0
                opening = _books.balances(self._db, period(unix - DAY).day)  # a clock may run a little behind
            except sqlite3.Error as fault:
                raise fault_of(self.path, fault) from fault
            self._used = True
            return opening

    def end(self) -> None:
        """The client has ended; another one may begin. What waits becomes durable. Raises `sqlite3.Error`."""
        with self._disk_turn:
            if self._used:
                self._used = False
                self.flush()

    def append(self, entries: Sequence[Entry]) -> str | None:
        """Make entries durable as one group, in order: all of them, or none and the fault is returned.

        Entries that are about no money are left out. Entries that were written before change nothing.
        """
        paid = [entry for entry in entries if isinstance(entry, Intent | Settled | Owed | Failed | Maybe | Void)]
        if not paid:
            return None
        with self._disk_turn:
            try:
                with self._transaction() as db:
                    _books.record(db, self._run, paid)
            except (sqlite3.Error, OSError) as fault:
                return f"the ledger {self.path}: {fault}"
        return None

    def saved(self, work: Work, outcome: Outcome, unix: float, *, provider: str = "") -> None:
        """Note what a job did not buy again; durable with the next group, or `flush`.

        `provider` is what its provider is called in the books ("": as in the engine).
        """
        if not outcome.saved:
            return
        target = work.targets[outcome.strategy]
        pictures = sum(1 for picture in outcome.pictures if picture.source is not Source.BOUGHT)
        tags = json.dumps(work.tags)
        place = (provider or target.provider, target.model, target.size, target.quality, work.tenant)
        with self._turn:
            self._savings.append(_Saved(period(unix).day, unix, *place, tags, pictures, str(outcome.saved)))

    def flush(self) -> None:
        """Make savings durable now. Raises `sqlite3.Error`."""
        with self._disk_turn:
            with self._turn:
                waiting = bool(self._savings)
            if waiting:
                with self._transaction():
                    pass

    def balances(self, unix: float) -> Balances:
        """What is booked by tenant, tag, and the day and month of `unix` (seconds). Raises `sqlite3.Error`."""
        with self._disk_turn:
            return NOTHING if self._closed else _books.balances(self._db, period(unix).day)

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        """One commit, which takes waiting savings along; whatever is raised inside takes all of it back."""
        with self._turn:
            savings, self._savings = self._savings, []
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for one in savings:
                row = (self._run, one.day, one.at, one.provider, one.model, one.size, one.quality, one.tenant, one.tags)
                self._db.execute(_SAVED, (*row, one.pictures, one.saved))
            yield self._db
            self._db.execute("COMMIT")
        except BaseException:
            with self._turn:
                self._savings = savings + self._savings
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            try:
                self._db.execute("ROLLBACK")
            except sqlite3.Error:
                return  # SQLite rolled back by itself, as it does after a full disk
