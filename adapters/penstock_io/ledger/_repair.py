"""A damaged ledger is rebuilt: from its rows that can be read, from its sums, and from the journals of folders.

Sums are made anew from the rows. Where one that can still be read was higher, the rest is booked as maybe billed. What
neither a row, a sum nor a folder tells of is lost, and said to be. The damaged file is kept beside, and the new one is
whole and durable before the old one is touched: a repair that is cut off is finished by the next.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import cast

from attrs import define, field, frozen

from penstock.money.balances import RUN
from penstock.money.periods import period, split
from penstock.money.shares import Paid
from penstock_io.journal import Disk, FolderInUse, JournalUnusable
from penstock_io.journal._damage import Tables, keep, lenient, rescue
from penstock_io.journal._faults import why
from penstock_io.journal._health import check
from penstock_io.journal._lock import Lock
from penstock_io.journal._mirror import Row, Value
from penstock_io.journal._readonly import read_only
from penstock_io.journal._schema import DATABASE, columns_of
from penstock_io.ledger._books import End, Payer, Sums, charges_of, number, parts_of, payers_of
from penstock_io.ledger._rows import lock_name
from penstock_io.ledger._schema import (
    KEYS,
    LedgerDamaged,
    LedgerInUse,
    LedgerUnusable,
    ailment,
    create,
    empty,
    fault_of,
    guard,
    repaired_of,
    version_of,
)

_DATE, _MONTH = len("2026-11-22"), len("2026-11")
_ATTEMPTS = """
SELECT run, attempt, COALESCE(begun, ended, 0), purpose, operation, provider, credential, model, size, quality, keys,
    parts, scopes, quote, ending, kind, charge, bound, charges, usage, ended
FROM attempts WHERE ending IS NOT 'void' ORDER BY run, attempt
"""


@frozen
class Repaired:
    """What a repair did. `kept` are the names of the damaged files, `cause` is what was wrong.

    `attempts` were read, `added` came from the folders; the sums knew of `more` picodollars besides, which are booked
    as maybe billed. `whole` says that every row could be read.
    """

    cause: str
    kept: tuple[str, ...] = ()
    attempts: int = 0
    added: int = 0
    more: int = 0
    whole: bool = False


def repair(path: Path | str, folders: Sequence[Path] = (), *, disk: Disk | None = None) -> Repaired | None:
    """Rebuild a ledger; None: it is not damaged, and nothing was changed. `folders` are those of batches booked in it.

    Raises `LedgerInUse`, `NewerLedger`, `LedgerUnusable`, and `JournalError` for a folder that cannot be read.
    """
    path, disk = Path(path), Disk() if disk is None else disk
    real = path.resolve()
    try:
        if not (real.is_file() or repaired_of(real).exists() or empty(real)):
            raise LedgerUnusable(f"{path} is no ledger: there is no such file")
        with closing(Lock(real.parent, lock_name(real))):
            return _repair(real, folders, disk)
    except FolderInUse as busy:
        raise LedgerInUse(path, busy.holder) from busy
    except (OSError, sqlite3.Error) as fault:
        raise LedgerUnusable(f"{path} cannot be repaired: {why(fault)}") from fault


def _repair(path: Path, folders: Sequence[Path], disk: Disk) -> Repaired | None:
    if repaired_of(path).exists():
        _swap(path, disk)
        return Repaired("its repair was cut off")
    cause = _cause(path)
    if not cause:
        return None
    told = [line for folder in folders for line in _told(folder)]  # before anything is written: one may be unreadable
    kept = keep(disk, path, [(path.with_name(f"{path.name}{ending}"), ending) for ending in ("", "-wal")])
    tables, unhurt = rescue(path, KEYS)
    whole = unhurt == KEYS.keys()
    work = _Rebuilt(tables, time.time())
    found = len(tables["attempts"])
    work.add(told)
    work.sum_up(whole=whole)
    new = path.with_name(f"{path.name}.new")
    disk.unlink(new)
    _write(new, tables)
    disk.sync(new)
    disk.rename(new, repaired_of(path))
    disk.sync_folder(path.parent)
    _swap(path, disk)
    return Repaired(cause, kept, found, work.added, work.more, whole)


def _cause(path: Path) -> str:
    """What is wrong with a ledger; "" for nothing."""
    gone = empty(path)
    if gone:
        return gone
    try:
        with read_only(path) as db:
            db.text_factory = lenient
            version_of(db, path)
            return ailment(db)
    except LedgerDamaged as damaged:
        return damaged.what
    except (sqlite3.DatabaseError, UnicodeDecodeError) as fault:
        return _damage(path, fault)


def _damage(path: Path, fault: sqlite3.DatabaseError | UnicodeDecodeError) -> str:
    """What a fault says of a damaged ledger; one that says something else is raised."""
    told = fault_of(path, fault)
    if isinstance(told, LedgerDamaged):
        return told.what
    raise fault


def _swap(path: Path, disk: Disk) -> None:
    """The old log goes first: it would be taken for one of whatever lies beside it."""
    for ending in ("-wal", "-shm"):
        disk.unlink(path.with_name(f"{path.name}{ending}"))
    disk.sync_folder(path.parent)
    disk.rename(repaired_of(path), path)
    disk.sync_folder(path.parent)


# What can be read


@frozen
class _Line:
    """An attempt as a journal has it."""

    run: int
    attempt: int
    begun: float
    purpose: str | None
    operation: str | None
    provider: str | None
    credential: str | None
    model: str | None
    size: str | None
    quality: str | None
    keys: str
    parts: str
    scopes: str
    quote: int | None
    ending: str | None
    kind: str | None
    charge: int | None
    bound: int | None
    charges: str | None
    usage: str | None
    ended: float | None


@frozen
class _Told:
    """The same of a folder, and its row of a ledger without the run."""

    folder: str
    line: _Line
    row: Row


def _told(folder: Path) -> Iterator[_Told]:
    """What a folder's journal tells of attempts that were booked in a ledger. Raises `JournalUnusable`."""
    path = folder / DATABASE
    if not path.is_file():
        raise JournalUnusable(f"{folder} holds no journal: it is not the folder of a batch")
    try:
        check(folder)
        with read_only(path) as db:
            there = frozenset(str(key) for (key,) in db.execute("SELECT key FROM pictures"))
            lines = [_Line(*row) for row in db.execute(_ATTEMPTS)]
    except (sqlite3.Error, OSError) as fault:
        raise JournalUnusable(f"{folder} cannot be read: {why(fault)}") from fault
    for line in lines:
        scopes: list[list[str]] = json.loads(line.scopes)
        day = next((date for one in scopes for date in (split(name)[0] for name in one) if len(date) == _DATE), "")
        if day:  # without a ledger nothing is booked by day
            yield _Told(str(folder), line, _row(line, day, scopes, there))


def _row(line: _Line, day: str, scopes: list[list[str]], there: frozenset[str]) -> Row:
    """A row of a ledger, without the run. What has no end may have been billed."""
    parts: list[tuple[int, list[int]]] = json.loads(line.parts)
    keys: list[str] = json.loads(line.keys)
    charges: list[int | None] = json.loads(line.charges or "[]")
    payers = [
        (len(samples), [name for name in mine if not split(name)[0]])
        for (_, samples), mine in zip(parts, scopes, strict=False)
    ]
    out = line.ending is None
    said = (line.purpose, line.operation, line.provider, line.credential, line.model, line.size, line.quality)
    return (
        line.attempt,
        day,
        line.begun,
        *(one or "" for one in said),
        len(keys),
        json.dumps(payers, ensure_ascii=False),
        _text(line.quote),
        "maybe" if out else line.ending,
        "orphan" if out else line.kind or "",
        _text(line.charge),
        _text(line.quote if out else line.bound),
        json.dumps([_text(cost) for cost in charges]),
        line.usage,
        sum(key in there for key in keys) if line.ending in {"settled", "owed"} else 0,
        line.ended or line.begun,
    )


def _text(amount: int | None) -> str | None:
    return None if amount is None else str(amount)


# What is made of it


@define
class _Rebuilt:
    """The rows of the new ledger."""

    tables: Tables
    now: float
    added: int = 0
    more: int = 0
    _runs: dict[tuple[str, int], int] = field(init=False, factory=dict[tuple[str, int], int])

    def add(self, told: Sequence[_Told]) -> None:
        """What folders tell of and no row does."""
        for (run, *_), row in list(self.tables["attempts"].items()):
            self.tables["runs"].setdefault((run,), (run, "", row[3]))
        names = {run: Path(str(row[1])).name for (run,), row in self.tables["runs"].items()}
        rows = self.tables["attempts"].values()
        known = {(row[1], row[3]) for row in rows if cast("float", row[3]) > 0}
        known_lost = {(names[row[0]], row[1]) for row in rows if cast("float", row[3]) <= 0}
        for one in told:
            line = one.line
            lost = (Path(one.folder).name, line.attempt)
            if (line.attempt, line.begun) in known if line.begun > 0 else lost in known_lost:
                continue
            run = self._run(one.folder, line.run, line.begun)
            self.tables["attempts"][run, line.attempt] = (run, *one.row)
            known.add((line.attempt, line.begun))
            self.added += 1

    def sum_up(self, *, whole: bool) -> None:
        """Sums of the rows; what sums of before knew besides is booked as maybe billed."""
        sums = Sums()
        for row in self.tables["attempts"].values():
            day, payers, quote, end = _booked(row)
            sums.add(day, payers, parts_of(payers, quote, end))
        for (name,), row in sorted(self.tables["sums"].items()):
            day, plain = split(str(name))
            rest = _paid(row) - sum(sums.scopes.get(str(name), [0, 0])[:2])
            if plain == RUN and len(day) == _DATE and rest > 0:
                self._lose(rest, day, sums)
                self.more += rest
        if not whole:
            self._lose(None, period(self.now).day, sums)
        for (name,), row in self.tables["sums"].items():  # of tenants, tags and months that lost more than that
            mine = sums.scopes.setdefault(str(name), [0, 0, 0])
            mine[1] += max(0, _paid(row) - mine[0] - mine[1])
            mine[2] = max(mine[2], cast("int", row[3]))
        _level(sums.scopes, period(self.now).day)
        self.tables["sums"] = {
            (name,): (name, str(charged), str(maybe), unknown)
            for name, (charged, maybe, unknown) in sums.scopes.items()
        }

    def _lose(self, bound: int | None, day: str, sums: Sums) -> None:
        """A row that stands for what is not known any more; None: nobody knows whether there is anything."""
        run = self._run("", 0, self.now)
        place = -1 - sum(run == one for one, _ in cast("list[tuple[int, int]]", list(self.tables["attempts"])))
        row: list[Value] = [run, place, day, self.now, "generate", *[""] * 6, 0, json.dumps([(0, [RUN])])]
        row += [_text(bound), "maybe", "repaired", None, _text(bound), "[]", None, 0, self.now]
        self.tables["attempts"][run, place] = tuple(row)
        sums.add(day, [Payer(0, (RUN,))], [Paid(0, bound)])

    def _run(self, source: str, run: int, begun: float) -> int:
        """The number in the ledger of a run of a folder."""
        if (source, run) not in self._runs:
            new = max((cast("int", one) for (one,) in self.tables["runs"]), default=0) + 1
            self._runs[source, run] = new
            self.tables["runs"][(new,)] = (new, source, begun)
        return self._runs[source, run]


def _level(scopes: dict[str, list[int]], today: str) -> None:
    """Let days add up to their month and months to the whole again, where one of them remembers more than the others.

    What a month has more is booked on the last of its days that is known, what the whole has more on today: nobody
    knows when it was spent, and a cap may be on today.
    """
    books: dict[str, dict[str, list[int]]] = {}
    for name, sums in scopes.items():
        date, plain = split(name)
        books.setdefault(plain, {})[date] = sums
    for plain, dated in books.items():
        for place in (1, 2):
            for month in sorted({date[:7] for date in dated if date}):
                days = [date for date in dated if len(date) == _DATE and date[:7] == month]
                last = today if today[:7] == month else max(days, default=f"{month}-01")
                _even(dated, place, month, days, (last,))
            _even(dated, place, "", [date for date in dated if len(date) == _MONTH], (today, today[:7]))
        scopes.update({f"{date}/{plain}" if date else plain: sums for date, sums in dated.items()})


def _even(dated: dict[str, list[int]], place: int, whole: str, parts: list[str], more: tuple[str, ...]) -> None:
    """Raise what is lower: a whole, or the parts `more`."""
    above = dated.setdefault(whole, [0, 0, 0])[place] - sum(dated[date][place] for date in parts)
    for date in more if above > 0 else (whole,):
        dated.setdefault(date, [0, 0, 0])[place] += abs(above)


def _paid(row: Row) -> int:
    """What a sum says, with what may have been billed."""
    return int(str(row[1])) + int(str(row[2]))


def _booked(row: Row) -> tuple[str, list[Payer], int | None, End | None]:
    """Day, payers, quote and end of a row."""
    told = [None if value is None else str(value) for value in row]
    end = None
    if told[14] is not None:
        end = End(told[14], "", number(told[16]), number(told[17]), charges_of(told[18]))
    return told[2] or "", payers_of(told[12] or "[]"), number(told[13]), end


def _write(path: Path, tables: Tables) -> None:
    """The rebuilt ledger."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        create(db)
        guard(db)
        db.execute("BEGIN")
        for table, rows in tables.items():
            names = columns_of(db, table)
            marks = ", ".join("?" for _ in names)
            query = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608 - names of ours
            db.executemany(query, rows.values())
        db.execute("COMMIT")
