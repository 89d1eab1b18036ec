"""The ledger's tables, and opening them: WAL with `synchronous=FULL`, so that a commit is one sync of one file.

Each row carries a sum of its values, as the journal's do. The sums of scopes are checked whenever a ledger is opened,
because caps rest on them; all rows are checked when they are read.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import cast

from penstock.errors import PenstockError
from penstock_io.journal import Disk
from penstock_io.journal._damage import altered, definitions, is_damage
from penstock_io.journal._disk import commit_durably
from penstock_io.journal._faults import why
from penstock_io.journal._mirror import Value
from penstock_io.journal._schema import columns_of, sum_of
from penstock_io.ledger._books import uneven

VERSION = 2
"""Goes up when a table changes; a ledger of a higher one is refused."""

_BELIEVABLE = 10_000
"""No version is ever so high: the figure is damaged."""

LEDGER = 0x70656E4C
"""What tells a ledger from any other database of SQLite."""

KEYS = {"runs": ("run",), "attempts": ("run", "attempt"), "sums": ("scope",), "savings": ("rowid",)}
"""What a row of each table is known by."""

TABLES = """
CREATE TABLE runs (run INTEGER PRIMARY KEY, source TEXT NOT NULL, begun REAL NOT NULL, crc INTEGER);
CREATE TABLE attempts (
    run INTEGER NOT NULL, attempt INTEGER NOT NULL, day TEXT NOT NULL, begun REAL NOT NULL, purpose TEXT NOT NULL,
    operation TEXT NOT NULL, provider TEXT NOT NULL, credential TEXT NOT NULL, model TEXT NOT NULL, size TEXT NOT NULL,
    quality TEXT NOT NULL, asked INTEGER NOT NULL, payers TEXT NOT NULL, quote TEXT,
    ending TEXT, kind TEXT, charge TEXT, bound TEXT, charges TEXT, usage TEXT, pictures INTEGER, ended REAL,
    crc INTEGER, PRIMARY KEY (run, attempt)) WITHOUT ROWID;
CREATE INDEX open_attempts ON attempts (run, attempt) WHERE ending IS NULL;
CREATE INDEX days ON attempts (day);
CREATE TABLE sums (scope TEXT PRIMARY KEY, charged TEXT NOT NULL, maybe TEXT NOT NULL, unknown INTEGER NOT NULL,
    crc INTEGER) WITHOUT ROWID;
CREATE TABLE savings (
    run INTEGER NOT NULL, day TEXT NOT NULL, at REAL NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL,
    size TEXT NOT NULL, quality TEXT NOT NULL, tenant TEXT NOT NULL, tags TEXT NOT NULL, pictures INTEGER NOT NULL,
    saved TEXT NOT NULL, crc INTEGER);
CREATE INDEX saving_days ON savings (day);
"""
"""Money is picodollars as text: 64 bits end at nine million dollars."""


class LedgerError(PenstockError):
    """A ledger could not be opened."""


class LedgerInUse(LedgerError):
    """Another process holds the ledger. `holder` names it: "process 4711 on host"."""

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(f"the ledger {path} is in use by {holder}; wait for it to end, or give another --ledger")
        self.path = path
        self.holder = holder


class NewerLedger(LedgerError):
    """The file was written by a later penstock."""


class LedgerUnusable(LedgerError):
    """The file cannot be used, and why."""


class LedgerDamaged(LedgerUnusable):
    """The file is damaged, or no ledger at all; `what` says how. `penstock cost --repair` rebuilds it."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(
            f"{path} cannot be used: it is a damaged ledger, or none ({what}); nothing was changed: `penstock cost "
            f"{path} DIR ... --repair` rebuilds it from what can be read and from the folders whose batches were "
            "booked in it, and keeps the damaged file; to begin anew, name another file"
        )
        self.path = path
        self.what = what


def connect(path: Path, disk: Disk) -> sqlite3.Connection:
    """The database at `path`, made where there is none. Raises `LedgerError`, `OSError` and `sqlite3.Error`."""
    gone = empty(path)
    if gone:
        raise LedgerDamaged(path, gone)
    if not path.exists():
        _make(path, disk)
    db = disk.connect(path)
    try:
        version_of(db, path)
        what = ailment(db, ("runs", "sums"))
        if what:
            raise LedgerDamaged(path, what)
        commit_durably(db)
        guard(db)
    except BaseException:
        db.close()
        raise
    return db


def empty(path: Path) -> str:
    """Why a file is no ledger any more although nothing of it can be read; "" where it may be one, or is not there.

    A ledger appears whole, under its name: one of no bytes was lost. Raises `OSError`.
    """
    if repaired_of(path).exists():
        return "its repair was cut off"
    if path.exists():
        return "" if path.stat().st_size else "it is empty, which no ledger ever is: what it had was lost"
    log = path.with_name(f"{path.name}-wal")
    return "it is gone, and its log is there" if log.exists() and log.stat().st_size else ""


def repaired_of(path: Path) -> Path:
    """A rebuilt ledger that has not yet taken the place of the damaged one."""
    return path.with_name(f"{path.name}.repaired")


def _make(path: Path, disk: Disk) -> None:
    new = path.with_name(f"{path.name}.new")
    disk.unlink(new)
    db = disk.connect(new)
    try:
        create(db)
    finally:
        db.close()
    disk.sync(new)
    disk.rename(new, path)
    disk.sync_folder(path.parent)


def create(db: sqlite3.Connection) -> None:
    """The tables, in an empty database."""
    marks = f"PRAGMA application_id = {LEDGER}; PRAGMA user_version = {VERSION};"
    db.executescript(f"BEGIN IMMEDIATE; {TABLES} {marks} COMMIT;")


def version_of(db: sqlite3.Connection, path: Path) -> int:
    """The version of a ledger's tables. Raises `NewerLedger`, `LedgerUnusable`, `sqlite3.Error`."""
    (mark,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if mark != LEDGER:
        names = {name for name, _ in definitions(db)}
        if names <= {name for name, _ in _expected()}:  # what is there, if anything, is ours
            raise LedgerDamaged(path, "its mark is not that of a ledger")
        raise LedgerUnusable(f"{path} is a database, but no ledger: name another file")
    if not 0 < version < _BELIEVABLE:
        raise LedgerDamaged(path, f"its version is {version}")
    if version > VERSION:
        raise NewerLedger(f"{path} has schema {version}; this penstock knows {VERSION}: use the one that wrote it")
    if version < VERSION:
        raise LedgerUnusable(f"{path} was made by an early development version: name another file")
    return int(version)


def ailment(db: sqlite3.Connection, tables: tuple[str, ...] = tuple(KEYS)) -> str:
    """What is wrong with the pages of an open ledger, the rows of these tables, and its sums; "" for nothing.

    Raises `sqlite3.Error`.
    """
    if definitions(db) != _expected():
        return "its tables are not those of a ledger"
    (said,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if said != "ok":
        return " ".join(str(said).split())
    return altered(db, tables) or uneven(db)


@cache
def _expected() -> list[tuple[str, str]]:
    with closing(sqlite3.connect(":memory:")) as db:
        create(db)
        return definitions(db)


def fault_of(path: Path, fault: OSError | sqlite3.Error | UnicodeDecodeError, verb: str = "used") -> LedgerUnusable:
    """What a fault of the system means for a ledger."""
    if isinstance(fault, UnicodeDecodeError):  # what SQLite says of a damaged definition repeats it
        return LedgerDamaged(path, "its tables are not those of a ledger")
    coded = getattr(fault, "sqlite_errorcode", None) is not None
    told = coded or not isinstance(fault, sqlite3.OperationalError) or "decode" in str(fault)
    if isinstance(fault, sqlite3.DatabaseError) and told and is_damage(fault):
        return LedgerDamaged(path, " ".join(str(fault).split()))
    return LedgerUnusable(f"{path} cannot be {verb}: {why(fault)}")


def guard(db: sqlite3.Connection) -> None:
    """Let every row that is written get its sum, from what is stored rather than from what was given."""

    def summed(*values: Value | bytes) -> int:
        table, *rest = cast("list[Value]", values)
        return sum_of(str(table), tuple(rest))

    db.create_function("row_sum", -1, summed, deterministic=True)
    for table, keys in KEYS.items():
        listed = ", ".join(columns_of(db, table))
        where = " AND ".join(f"{name} = NEW.{name}" for name in keys)
        body = f"BEGIN UPDATE {table} SET crc = row_sum('{table}', {listed}) WHERE {where}; END"  # noqa: S608 - as above
        db.execute(f"CREATE TEMP TRIGGER {table}_new AFTER INSERT ON main.{table} {body}")
        db.execute(f"CREATE TEMP TRIGGER {table}_changed AFTER UPDATE OF {listed} ON main.{table} {body}")
