"""A look at a folder's journal that changes nothing, also while another process holds it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import field, frozen

from penstock.money.balances import Balances
from penstock_io.journal import _books
from penstock_io.journal._account import Account, read_account
from penstock_io.journal._lock import holder_of
from penstock_io.journal._schema import DATABASE, JournalUnusable, version_of


@frozen
class Peek:
    """What a journal says at one moment.

    `holder` names the process that holds the folder (None: nobody does). Requests that it has out are no doubts of the
    `balances`; those that a killed one left are, as for the next run.
    """

    account: Account
    balances: Balances
    rows: Mapping[str, str] = field(repr=False)
    holder: str | None = None


def peek(folder: Path | str) -> Peek:
    """What the journal of `folder` says. Raises `JournalUnusable` where there is none or it cannot be read."""
    folder = Path(folder)
    path = folder / DATABASE
    if not path.is_file():
        raise JournalUnusable(f"{folder} holds no journal: it is not the folder of a batch")
    try:
        holder = holder_of(folder)
        with read_only(path) as db:
            if not version_of(db, path):
                raise JournalUnusable(f"{folder} holds an empty journal: run the batch first")
            db.execute("BEGIN")  # one moment for all that is read
            (run,) = db.execute("SELECT COALESCE(MAX(run), 0) FROM runs").fetchone()
            rows = dict(db.execute("SELECT row, state FROM rows").fetchall())
            balances = _books.balances(db, run if holder is not None else run + 1)
            return Peek(read_account(db, folder), balances, rows, holder)
    except (sqlite3.Error, OSError) as fault:
        raise JournalUnusable(f"{folder} cannot be read: {fault}") from fault


@contextmanager
def read_only(path: Path) -> Generator[sqlite3.Connection]:
    """The database, left as it is.

    A reader of a database in WAL mode makes files beside it; where no writer left any, none are needed. Where they
    cannot be made (a folder that only can be read) a copy is read.
    """
    settled = not path.with_name(f"{path.name}-wal").exists()
    try:
        db = _open(path, "immutable=1" if settled else "mode=ro")
    except sqlite3.OperationalError:
        with TemporaryDirectory(prefix="penstock-") as copy:
            for name in (path.name, f"{path.name}-wal"):
                if path.with_name(name).exists():
                    shutil.copyfile(path.with_name(name), Path(copy) / name)
            with closing(_open(Path(copy) / path.name, "mode=rw")) as db:
                yield db
        return
    with closing(db):
        yield db


def _open(path: Path, how: str) -> sqlite3.Connection:
    db = sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True, isolation_level=None, timeout=5.0)
    try:
        db.execute("SELECT 1 FROM sqlite_master").fetchone()
    except BaseException:
        db.close()
        raise
    return db
