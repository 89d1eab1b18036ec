"""The books of folders and ledgers, read without changing them, also while another process holds them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import TypeAlias

from attrs import evolve, frozen

from penstock.ids import JobId, Key
from penstock.money.periods import period, split
from penstock_io.batch.states import load_states
from penstock_io.costing.sums import NOT_KNOWN, Book, Books, Item, Out, Place, Sums, together
from penstock_io.journal import JobName, JournalUnusable, Peek, peek
from penstock_io.journal._books import Share, shares_of
from penstock_io.journal._faults import why
from penstock_io.journal._peek import read_only
from penstock_io.journal._schema import DATABASE
from penstock_io.ledger import Row, Saving
from penstock_io.ledger._totals import Total, add_up

PAID = frozenset({"settled", "owed", "failed"})
"""How an attempt ends whose charge is final."""

OUT, MAYBE, FAILED, ORPHAN = "out", "maybe", "failed", "orphan"

_ATTEMPTS = """
SELECT run, attempt, credential, model, keys, parts, scopes, quote, COALESCE(begun, ended, 0), ending, kind,
    charge, charges, bound, provider, size, quality
FROM attempts WHERE ending IS NOT 'void' ORDER BY run, attempt
"""
_SHOWN = "SELECT run, job, key, at FROM published ORDER BY at, run, job, place"
_CAME = "SELECT key, charge FROM pictures"
"""Pictures that came, and what each cost: also those whose files somebody has moved away since."""

Shown: TypeAlias = Iterable[tuple[int, int, str, float]]


def read_books(paths: Iterable[Path], since: str = "") -> Books:
    """All of them together, of days (YYYY-MM-DD, UTC) from `since` on.

    Raises `JournalError`, `LedgerError` for one that is neither, or cannot be read.
    """
    chosen = list(paths)
    folders = any(path.is_dir() for path in chosen)
    return together(
        read_folder(path, since) if path.is_dir() else read_ledger(path, since, named=folders) for path in chosen
    )


# A ledger


def read_ledger(path: Path, since: str = "", *, named: bool = True) -> Book:
    """What a ledger says. `named` says which attempts it is of, to be told from those of folders.

    Raises `LedgerError`.
    """
    found = add_up(path, since=since, names=named)
    items = [_of_total(total, str(path)) for total in found.totals]
    items += [item for row in found.rows for item in _of_row(row, str(path))]
    items += [
        Item(_saved_at(saving, path), Sums(reused=saving.pictures, saved=saving.saved), folder=_name(saving.source))
        for saving in found.savings
    ]
    attempts = frozenset((_name(source), attempt, begun) for source, attempt, begun in found.attempts)
    return Book(str(path), str(path.resolve()), tuple(items), ledger=True, attempts=attempts)


def _of_total(total: Total, path: str) -> Item:
    """Attempts of one payer. `path` is the ledger's own."""
    where = Place(
        total.source or path, total.day, total.provider, total.model, total.size, total.quality, total.credential,
        total.tenant, total.tags,
    )  # fmt: skip
    many = total.attempts
    if total.out:
        out = Out(many, total.quoted or 0, many if total.quoted is None else 0)
        return Item(where, folder=_name(total.source), out=out)
    sums = Sums(
        attempts=many,
        failed=many if total.ending == FAILED else 0,
        doubtful=many if total.ending == MAYBE else 0,
        pictures=total.pictures,
        charged=total.charged,
        maybe=total.maybe,
        unknown=many if total.unknown else 0,
    )
    return Item(where, sums, total.kind, _name(total.source))


def _of_row(row: Row, path: str) -> Iterator[Item]:
    """An attempt, an item for each of its payers; the first has what is not shared. `path` is the ledger's own."""
    left = row.pictures
    lost = row.charge is None and row.ending in PAID
    for place, share in enumerate(row.shares):
        mine = left if place == len(row.shares) - 1 else min(left, share.pictures)
        left -= mine
        where = Place(
            row.source or path,
            row.day,
            row.provider,
            row.model,
            row.size,
            row.quality,
            row.credential,
            share.tenant,
            share.tags,
        )
        unknown = lost or share.maybe is None
        sums = _sums(row.ending, mine, share.charged, share.maybe, unknown=unknown, first=place == 0)
        out = Out()
        if row.ending == OUT and place == 0:
            sums, out = Sums(), Out(1, row.quote or 0, int(row.quote is None))
        yield Item(where, sums, row.kind, _name(row.source), out=out)


def _saved_at(saving: Saving, path: Path) -> Place:
    source = saving.source or str(path)
    return Place(
        source, saving.day, saving.provider, saving.model, saving.size, saving.quality, "", saving.tenant, saving.tags
    )


@lru_cache(maxsize=64)
def _name(source: str) -> str:
    """A folder without its path."""
    return Path(source).name if source else ""


def _sums(ending: str, pictures: int, charged: int, maybe: int | None, *, unknown: bool, first: bool) -> Sums:
    if ending == OUT:
        return Sums()
    return Sums(
        attempts=int(first),
        failed=int(first and ending == FAILED),
        doubtful=int(first and ending == MAYBE),
        pictures=pictures,
        charged=charged,
        maybe=maybe or 0,
        unknown=int(unknown),
    )


# A folder


@frozen
class _Line:
    """An attempt as the journal's table has it."""

    run: int
    attempt: int
    credential: str | None
    model: str | None
    keys: str
    parts: str
    scopes: str
    quote: int | None
    begun: float
    ending: str | None
    kind: str | None
    charge: int | None
    charges: str | None
    bound: int | None
    provider: str | None
    size: str | None
    quality: str | None


@frozen
class _Folder:
    """What is known of a folder besides its attempts. `last` is the run that is at work (None: nobody is).

    `pictures` are those that came, with what each cost in picodollars (None: nobody knows), `bought` the last attempt
    (its run and number) that was paid for a picture.
    """

    source: str
    name: str
    pictures: Mapping[str, int | None]
    last: int | None
    bought: Mapping[str, tuple[int, int]]

    def came(self, line: _Line, key: str) -> bool:
        """Whether an attempt brought a picture: of one that lost some, it is here and nobody bought it again."""
        if line.ending not in PAID - {FAILED} or key not in self.pictures:
            return False
        return line.kind != "lost" or self.bought.get(key) == (line.run, line.attempt)

    def place(self, line: _Line, scopes: tuple[str, ...]) -> Place:
        """Where an attempt's money went."""
        plain = [scope for scope in scopes if not split(scope)[0]]
        day = next((date for date in (split(one)[0] for one in scopes) if len(date) == 10), period(line.begun).day)
        return Place(
            source=self.source,
            day=day,
            provider=line.provider or "",
            model=line.model or NOT_KNOWN,
            size=NOT_KNOWN if line.size is None else line.size,
            quality=NOT_KNOWN if line.quality is None else line.quality,
            credential=line.credential or "",
            tenant=next((one.partition(":")[2] for one in plain if one.startswith("tenant:")), ""),
            tags=tuple(one.partition(":")[2] for one in plain if one.startswith("tag:")),
        )


def read_folder(path: Path, since: str = "") -> Book:
    """What a folder's journal says of days from `since` on. Raises `JournalError`."""
    found = peek(path)
    states = load_states(found.rows)
    try:
        with read_only(path / DATABASE) as db:
            db.execute("BEGIN")  # one moment for all that is read
            (last,) = db.execute("SELECT COALESCE(MAX(run), 0) FROM runs").fetchone()
            lines = [_Line(*row) for row in db.execute(_ATTEMPTS)]
            shown = list(db.execute(_SHOWN))
            pictures: dict[str, int | None] = dict(db.execute(_CAME))
    except (sqlite3.Error, OSError) as fault:
        raise JournalUnusable(f"{path} cannot be read: {why(fault)}") from fault
    folder = _Folder(
        str(path),
        path.resolve().name,
        pictures,
        last if found.holder is not None else None,
        {key: (line.run, line.attempt) for line in lines if line.ending in PAID - {FAILED} for key in _keys(line)},
    )
    items = [item for line in lines for item in _of_line(line, folder)]
    owners = {job: name for name, state in states.items() for job in state.jobs}
    bought = {key: line for line in lines if line.model for key in _keys(line)}
    items += _savings(folder, found, owners, bought, shown)
    return Book(str(path), str(path.resolve()), tuple(item for item in items if item.place.day >= since))


def _of_line(line: _Line, folder: _Folder) -> Iterator[Item]:
    """An attempt, an item for each of its payers."""
    keys = _keys(line)
    parts: list[tuple[int, list[int]]] = json.loads(line.parts)
    scopes: list[list[str]] = json.loads(line.scopes) or [[]]
    counts = [len(samples) for _, samples in parts] or [0]
    slices = _slices(keys, counts)
    ending, kind, bound = line.ending or OUT, line.kind or "", line.bound
    if line.ending is None and line.run != folder.last:
        ending, kind, bound = MAYBE, ORPHAN, line.quote
    shares = [Share()] * len(counts)
    if ending != OUT:
        shares = shares_of(counts, ending, quote=line.quote, charge=line.charge, charges=line.charges, bound=bound)
    for place, names in enumerate(scopes):
        share, mine = shares[place], slices[place]
        there = sum(folder.came(line, key) for key in mine)
        sums = _sums(ending, there, share.charged, share.maybe, unknown=share.unknown, first=place == 0)
        out = Out()
        if ending == OUT and place == 0:
            out = Out(1, line.quote or 0, int(line.quote is None))
        where = folder.place(line, tuple(names))
        booked = any(split(one)[0] for one in names)  # without a ledger nothing is booked by day
        yield Item(where, sums, kind, folder.name, (line.attempt, line.begun), out, booked)


def _keys(line: _Line) -> list[str]:
    keys: list[str] = json.loads(line.keys)
    return keys


def _slices(keys: list[str], counts: list[int]) -> list[list[str]]:
    """Which of an attempt's keys each payer asked for; where that is not said, the first has them all."""
    if sum(counts) != len(keys):
        return [keys, *([[]] * (len(counts) - 1))]
    ends = list(accumulate(counts))
    return [keys[end - some : end] for some, end in zip(counts, ends, strict=True)]


def _savings(
    folder: _Folder, found: Peek, owners: Mapping[JobName, str], bought: Mapping[str, _Line], shown: Shown
) -> Iterator[Item]:
    """Pictures that a row shows and that another one paid for, which `bought` has by key."""
    account = found.account
    paid = {key: {owners.get(job, job) for job in jobs} for key, jobs in account.payers.items()}
    seen: set[tuple[str | JobName, str]] = set()
    for run, job, name, at in shown:
        key = Key(name)
        owner = owners.get((run, JobId(job)), (run, JobId(job)))
        price = folder.pictures.get(key)
        if (owner, name) in seen or owner in paid.get(key, set()) or price is None:
            continue
        seen.add((owner, name))
        where, line = Place(folder.source, period(at).day), bought.get(name)
        if line is None:
            where = evolve(where, model=NOT_KNOWN, size=NOT_KNOWN, quality=NOT_KNOWN)
        else:
            of = folder.place(line, ())
            where = evolve(where, provider=of.provider, model=of.model, size=of.size, quality=of.quality)
        yield Item(where, Sums(reused=1, saved=price), folder=folder.name)
