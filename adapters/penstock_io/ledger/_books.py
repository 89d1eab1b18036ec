"""Entries as rows, and the sums of their scopes. Every function runs inside its caller's transaction.

A row is one attempt; what it adds to the sums is taken from the row itself, so that an entry that is written again, as
it is after a disk's fault, adds nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from attrs import asdict, define, field, frozen

from penstock.entries import Entry, Failed, Intent, Maybe, Owed, Settled, Void
from penstock.money.balances import RUN, Balance, Balances
from penstock.money.periods import period, split
from penstock.money.shares import Paid, doubted, ended
from penstock.readings import Usage

_BEGIN = """
INSERT INTO attempts (run, attempt, day, begun, purpose, operation, provider, credential, model, size, quality, asked,
    payers, quote) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run, attempt) DO NOTHING
"""
_SUM = "INSERT OR REPLACE INTO sums (scope, charged, maybe, unknown) VALUES (?, ?, ?, ?)"
_END = """
UPDATE attempts SET ending = ?, kind = ?, charge = ?, bound = ?, charges = ?, usage = ?, pictures = ?, ended = ?
WHERE run = ? AND attempt = ?
"""

_PERIODS = 3
"""Each scope has sums of all time, of months and of days."""

Ending = Settled | Owed | Failed | Maybe | Void


@frozen
class Payer:
    """Who pays a part of an attempt: `pictures` of it. `scopes` are without a date; the first is everybody's."""

    pictures: int
    scopes: tuple[str, ...]


@frozen
class End:
    """How an attempt ended. Money in picodollars; `charges` by payer ((): spread evenly over the pictures)."""

    ending: str
    kind: str = ""
    charge: int | None = None
    bound: int | None = None
    charges: tuple[int | None, ...] = ()
    usage: Usage | None = None
    pictures: int = 0
    at: float | None = None


@define
class Sums:
    """What is added to scopes: charged, maybe, and how many parts have no figure."""

    scopes: dict[str, list[int]] = field(factory=dict[str, list[int]])

    def add(self, day: str, payers: Sequence[Payer], parts: Iterable[Paid], sign: int = 1) -> None:
        """Add (or, with a sign of -1, take away) the parts of an attempt of that day."""
        for payer, part in zip(payers, parts, strict=True):
            for scope in payer.scopes:
                for name in (scope, f"{day}/{scope}", f"{day[:7]}/{scope}"):
                    sums = self.scopes.setdefault(name, [0, 0, 0])
                    sums[0] += sign * part.charged
                    sums[1] += sign * (part.maybe or 0)
                    sums[2] += sign * (part.unknown or part.maybe is None)


def parts_of(payers: Sequence[Payer], quote: int | None, end: End | None) -> tuple[Paid, ...]:
    """What each payer of an attempt pays. No end: nothing yet."""
    pictures = [payer.pictures for payer in payers]
    if end is None or end.ending == "void":
        return (Paid(),) * len(payers)
    if end.ending == "maybe":
        return doubted(pictures, end.bound)
    return ended(pictures, quote=quote, charge=end.charge, charges=end.charges)


def begin(db: sqlite3.Connection, run: int, entry: Intent) -> None:
    """An attempt is about to be sent, on the day that its reservation is booked on."""
    dates = (split(scope)[0] for scope in entry.scopes[0]) if entry.scopes else ()
    day = next((date for date in dates if len(date) == len("2026-11-22")), period(entry.at).day)
    payers = [
        (len(samples), [scope for scope in scopes if not split(scope)[0]])
        for (_, samples), scopes in zip(entry.parts, entry.scopes, strict=True)
    ]
    db.execute(
        _BEGIN,
        (
            run,
            entry.attempt,
            day,
            entry.at,
            entry.purpose.value,
            _text(entry.operation),
            _text(entry.provider),
            _text(entry.lane.credential),
            _text(entry.lane.model),
            _text(entry.size),
            _text(entry.quality),
            len(entry.keys),
            _text(json.dumps(payers, ensure_ascii=False)),
            _money(entry.quote),
        ),
    )


def end(db: sqlite3.Connection, run: int, entry: Ending, sums: Sums) -> None:
    """An attempt ended; what that changes is added to `sums`. A Void of what was never begun changes nothing."""
    query = "SELECT day, payers, quote, ending, charge, bound, charges FROM attempts WHERE run = ? AND attempt = ?"
    row = db.execute(query, (run, entry.attempt)).fetchone()
    if row is None:
        if isinstance(entry, Void):
            return
        raise sqlite3.IntegrityError(f"attempt {entry.attempt} ends and was never begun")
    day, told, quote, ending, charge, bound, charges = row
    payers = payers_of(told)
    old = None if ending is None else End(ending, "", number(charge), number(bound), charges_of(charges))
    new = _end_of(entry)
    sums.add(day, payers, parts_of(payers, number(quote), old), -1)
    sums.add(day, payers, parts_of(payers, number(quote), new))
    usage = None if new.usage is None else json.dumps(asdict(new.usage))
    by_payer = json.dumps([_money(cost) for cost in new.charges])
    money = (_money(new.charge), _money(new.bound))
    db.execute(_END, (new.ending, _text(new.kind), *money, by_payer, usage, new.pictures, new.at, run, entry.attempt))


def record(db: sqlite3.Connection, run: int, entries: Sequence[Entry]) -> None:
    """Write entries in their order; those that are about no money are left out."""
    sums = Sums()
    for entry in entries:
        if isinstance(entry, Intent):
            begin(db, run, entry)
        elif isinstance(entry, Settled | Owed | Failed | Maybe | Void):
            end(db, run, entry, sums)
    book(db, sums)


def book(db: sqlite3.Connection, sums: Sums) -> None:
    """Add to the sums of scopes."""
    for scope, added in sums.scopes.items():
        if not any(added):
            continue
        name = _text(scope)
        row = db.execute("SELECT charged, maybe, unknown FROM sums WHERE scope = ?", (name,)).fetchone()
        before = (0, 0, 0) if row is None else (int(row[0]), int(row[1]), row[2])
        charged, maybe, unknown = (one + more for one, more in zip(before, added, strict=True))
        db.execute(_SUM, (name, str(charged), str(maybe), unknown))


def close_orphans(db: sqlite3.Connection) -> None:
    """What a run that was killed had out may have been billed, up to its bound."""
    sums = Sums()
    for run, attempt, day, payers, quote in db.execute(
        "SELECT run, attempt, day, payers, quote FROM attempts WHERE ending IS NULL"
    ).fetchall():
        whose = payers_of(payers)
        sums.add(day, whose, parts_of(whose, number(quote), End("maybe", bound=number(quote))))
        db.execute(
            "UPDATE attempts SET ending = 'maybe', kind = 'orphan', bound = quote, pictures = 0, ended = begun"
            " WHERE run = ? AND attempt = ?",
            (run, attempt),
        )
    book(db, sums)


def balances(db: sqlite3.Connection, since: str) -> Balances:
    """The sums of tenants and tags, and of days from `since` on and their months; nothing of a run."""
    query = "SELECT scope, charged, maybe, unknown FROM sums WHERE scope >= ? ORDER BY scope"  # dates before letters
    rows = db.execute(query, (since,)).fetchall()
    return Balances(
        tuple(
            (scope, Balance(charged=int(charged), maybe=int(maybe), unknown=unknown))
            for scope, charged, maybe, unknown in rows
            if scope != RUN
        )
    )


def uneven(db: sqlite3.Connection) -> str:
    """What tells that sums are missing, "" for nothing: days, months and the whole of a scope add up to the same.

    Raises `sqlite3.Error`.
    """
    scopes: dict[str, dict[int, list[int]]] = {}
    for name, charged, maybe, unknown in db.execute("SELECT scope, charged, maybe, unknown FROM sums"):
        date, plain = split(name)
        sums = scopes.setdefault(plain, {}).setdefault(len(date), [0, 0, 0])
        for place, amount in enumerate((int(charged), int(maybe), unknown)):
            sums[place] += amount
    for plain, periods in scopes.items():
        if len(periods) != _PERIODS or any(sums != periods[0] for sums in periods.values()):
            return f"the sums of {plain} do not add up"
    paid = "SELECT 1 FROM attempts WHERE ending != 'void' AND (charge != '0' OR bound != '0') LIMIT 1"
    if not scopes and db.execute(paid).fetchone() is not None:
        return "its sums are missing"
    return ""


def _end_of(entry: Ending) -> End:
    match entry:
        case Settled():
            there = sum(1 for ref in entry.refs if ref)
            return End("settled", "", entry.charge, None, entry.charges, entry.usage, there, entry.at)
        case Owed():
            return End("owed", "", entry.charge, None, entry.charges, entry.usage, 0, entry.at)
        case Failed():
            return End("failed", entry.kind, entry.charge, None, entry.charges, at=entry.at)
        case Maybe():
            return End("maybe", entry.kind, bound=entry.bound, at=entry.at)
        case Void():
            return End("void", entry.reason, at=entry.at)


def payers_of(text: str) -> list[Payer]:
    """Payers as they are kept."""
    return [Payer(pictures, tuple(scopes)) for pictures, scopes in json.loads(text)]


def charges_of(text: str | None) -> tuple[int | None, ...]:
    """Charges by payer as they are kept."""
    return () if text is None else tuple(number(cost) for cost in json.loads(text))


def number(text: str | None) -> int | None:
    """An amount as it is kept."""
    return None if text is None else int(text)


def _money(amount: int | None) -> str | None:
    return None if amount is None else str(amount)


def _text(said: str) -> str:
    return said.encode("utf-8", "replace").decode("utf-8")
