"""Entries as rows, and what the rows add up to. Every function runs inside its caller's transaction."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import assert_never

from attrs import asdict, define, frozen

from penstock.entries import Deferred, Entry, Failed, Held, Intent, Lane, Maybe, Owed, Published, Settled, Void
from penstock.ids import AttemptId, CallId, JobId, Key
from penstock.money.balances import Balance, Balances
from penstock.money.shares import doubted, ended, spread
from penstock.outcomes import Meta
from penstock.readings import Usage
from penstock_io.journal._files import File, Shown

_END = """
INSERT INTO attempts (run, attempt, ending, kind, charge, charges, bound, usage, expires, ended)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run, attempt) DO UPDATE SET ending = excluded.ending, kind = excluded.kind, charge = excluded.charge,
    charges = excluded.charges, bound = excluded.bound, usage = excluded.usage,
    expires = COALESCE(excluded.expires, expires), ended = excluded.ended
"""
_INTENT = """
INSERT INTO attempts (run, attempt, call, purpose, operation, credential, model, keys, parts, scopes, quote, begun,
    provider, size, quality) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (run, attempt) DO NOTHING
"""
_PICTURE = """
INSERT INTO pictures (key, file, format, nbytes, charge, settled, revised) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET file = excluded.file, size = '', format = excluded.format, nbytes = excluded.nbytes,
    charge = excluded.charge, settled = excluded.settled, policy = '', passed = 1, revised = excluded.revised
    WHERE file != excluded.file
"""
_KNOWN = """
INSERT OR IGNORE INTO pictures (key, file, format, nbytes, charge, settled, revised) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_REFUSED = "INSERT OR REPLACE INTO refused (run, job, keys, policy, reason, at) VALUES (?, ?, ?, ?, ?, ?)"
_PUBLISHED = """
INSERT OR REPLACE INTO published (run, job, place, key, file, source, at) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_ORPHANS = """
SELECT run, attempt, call, purpose, operation, credential, model, keys, parts, scopes, quote, begun,
    ending, charge, expires
FROM attempts WHERE run < :run AND (ending IS NULL OR ending = 'owed')
UNION SELECT attempts.run, attempts.attempt, call, purpose, operation, credential, model, keys, parts, scopes, quote,
    begun, ending, charge, expires
FROM attempts JOIN due ON due.run = attempts.run AND due.attempt = attempts.attempt WHERE attempts.run < :run
ORDER BY 1, 2
"""

Parts = tuple[tuple[JobId, tuple[int, ...]], ...]


@frozen
class Orphan:
    """An intent of an earlier run that has no end. Money in picodollars, times in Unix seconds.

    `due`: it was charged (`charge`), and pictures of it are to be downloaded before `expires`.
    """

    run: int
    attempt: AttemptId
    call: CallId
    purpose: str
    operation: str
    lane: Lane
    keys: tuple[Key, ...]
    parts: Parts
    scopes: tuple[tuple[str, ...], ...]
    quote: int | None
    at: float
    due: bool = False
    charge: int | None = None
    expires: float | None = None


@frozen
class _Paid:
    """What an end says was paid."""

    charge: int | None = None
    charges: tuple[int | None, ...] = ()
    usage: Usage | None = None
    expires: float | None = None


NOT_PAID = _Paid()


@frozen
class Share:
    """What one payer of an attempt was charged, and what he may have been billed besides.

    `unknown`: one of the two is no more than a bound, or not known at all.
    """

    charged: int = 0
    maybe: int = 0
    unknown: bool = False


@define
class _Sums:
    charged: int = 0
    maybe: int = 0
    unknown: int = 0


def record(
    db: sqlite3.Connection, run: int, entry: Entry, held: Sequence[File | None], shown: Sequence[Shown | None]
) -> None:
    """Write one entry. `held` are the files of a Settled or Owed, `shown` those of a Published, in its order."""
    match entry:
        case Intent():
            _begin(db, run, entry)
        case Owed():
            paid = _Paid(entry.charge, entry.charges, entry.usage, entry.expires)
            _end(db, run, entry.attempt, "owed", entry.at, paid=paid)
            _settle(db, entry, held)
        case Settled():
            paid = _Paid(entry.charge, entry.charges, entry.usage)
            _end(db, run, entry.attempt, "settled", entry.at, kind="" if all(entry.refs) else "lost", paid=paid)
            _settle(db, entry, held)
        case Published():
            _publish(db, run, entry, shown)
        case Held():
            row = (run, entry.job, json.dumps(entry.keys), _text(entry.policy), _text(entry.reason), entry.at)
            db.execute(_REFUSED, row)
        case Void():
            _end(db, run, entry.attempt, "void", entry.at, kind=entry.reason)
        case Failed():
            paid = _Paid(entry.charge, entry.charges)
            _end(db, run, entry.attempt, "failed", entry.at, kind=entry.kind, paid=paid)
        case Maybe():
            _end(db, run, entry.attempt, "maybe", entry.at, kind=entry.kind, bound=entry.bound)
        case Deferred():
            put_off = (run, entry.job, json.dumps(entry.keys), _text(entry.reason), entry.at)
            db.execute("INSERT OR REPLACE INTO deferred (run, job, keys, reason, at) VALUES (?, ?, ?, ?, ?)", put_off)
        case _:
            assert_never(entry)


def _begin(db: sqlite3.Connection, run: int, entry: Intent) -> None:
    db.execute(
        _INTENT,
        (
            run,
            entry.attempt,
            entry.call,
            entry.purpose.value,
            entry.operation,
            entry.lane.credential,
            entry.lane.model,
            json.dumps(entry.keys),
            json.dumps(entry.parts),
            json.dumps(entry.scopes),
            entry.quote,
            entry.at,
            _text(entry.provider),
            _text(entry.size),
            _text(entry.quality),
        ),
    )


def _end(
    db: sqlite3.Connection,
    run: int,
    attempt: AttemptId,
    ending: str,
    at: float,
    *,
    kind: str = "",
    paid: _Paid = NOT_PAID,
    bound: int | None = None,
) -> None:
    usage = None if paid.usage is None else json.dumps(asdict(paid.usage))
    charges = json.dumps(paid.charges) if paid.charges else None
    row = (run, attempt, ending, _text(kind), paid.charge, charges, bound, usage, paid.expires, at)
    db.execute(_END, row)


def _settle(db: sqlite3.Connection, entry: Settled | Owed, held: Sequence[File | None]) -> None:
    shares = spread(entry.charge, len(entry.keys))
    for key, file, share in zip(entry.keys, held, shares, strict=True):
        if file is not None:
            add_picture(db, key, file, share, entry.at)


def _publish(db: sqlite3.Connection, run: int, entry: Published, shown: Sequence[Shown | None]) -> None:
    for place, (key, one) in enumerate(zip(entry.keys, shown, strict=True)):
        if one is None:
            continue
        row = (run, entry.job, place, key, one.file.name, one.source, entry.at)
        db.execute(_PUBLISHED, row)
        db.execute("UPDATE pictures SET file = ? WHERE key = ? AND file = ?", (one.file.name, key, one.source))
        new = (key, one.file.name, one.file.format, one.file.nbytes, None, entry.at, one.file.revised)
        db.execute(_KNOWN, new)


def add_picture(db: sqlite3.Connection, key: Key, file: File, charge: int | None, at: float) -> None:
    """A paid picture by its key, in place of an older one; the same one again changes nothing."""
    db.execute(_PICTURE, (key, file.name, file.format, file.nbytes, charge, at, file.revised))


def mark(db: sqlite3.Connection, key: Key, meta: Meta) -> None:
    """Note what else is known of a picture."""
    db.execute(
        "UPDATE pictures SET size = ?, policy = ?, passed = ? WHERE key = ?", (meta.size, meta.policy, meta.passed, key)
    )


def picture(db: sqlite3.Connection, key: Key) -> tuple[str, Meta] | None:
    """The file of a key and what is known of it."""
    row = db.execute(
        "SELECT file, size, format, nbytes, charge, settled, policy, passed FROM pictures WHERE key = ?", (key,)
    ).fetchone()
    if row is None:
        return None
    file, size, name, nbytes, charge, settled, policy, passed = row
    return file, Meta(size, name, nbytes, charge, settled, policy, bool(passed))


def revised(db: sqlite3.Connection, key: Key) -> str:
    """The prompt of a kept picture as the provider revised it; "" where it did not."""
    row = db.execute("SELECT revised FROM pictures WHERE key = ?", (key,)).fetchone()
    return "" if row is None else str(row[0])


def knows(db: sqlite3.Connection, file: str) -> bool:
    """Whether a picture is kept, or shown, under this name."""
    query = "SELECT 1 FROM pictures WHERE file = ? UNION ALL SELECT 1 FROM published WHERE file = ? LIMIT 1"
    return db.execute(query, (file, file)).fetchone() is not None


def move(db: sqlite3.Connection, old: str, new: str) -> None:
    """Whatever was under `old` is under `new`; that the old name is still to be taken away is remembered."""
    db.execute("UPDATE pictures SET file = ? WHERE file = ?", (new, old))
    db.execute("UPDATE published SET file = ? WHERE file = ?", (new, old))
    db.execute("INSERT OR IGNORE INTO moved (old) VALUES (?)", (old,))


def left_behind(db: sqlite3.Connection) -> list[str]:
    """Names that files moved away from, and that may still be there."""
    return [old for (old,) in db.execute("SELECT old FROM moved")]


def forget_moves(db: sqlite3.Connection, names: Sequence[str]) -> None:
    """These names are taken away."""
    db.executemany("DELETE FROM moved WHERE old = ?", [(name,) for name in names])


def superfluous(db: sqlite3.Connection, file: str) -> bool:
    """Whether a held name was published and nobody looks for its picture under it any more."""
    if db.execute("SELECT 1 FROM published WHERE source = ? LIMIT 1", (file,)).fetchone() is None:
        return False
    return db.execute("SELECT 1 FROM pictures WHERE file = ? LIMIT 1", (file,)).fetchone() is None


def orphans(db: sqlite3.Connection, run: int) -> list[Orphan]:
    """The intents of runs before `run` that have no end, or whose bytes are still due."""
    return [
        Orphan(
            row[0],
            AttemptId(row[1]),
            CallId(row[2] or 0),
            row[3] or "",
            row[4] or "",
            Lane(row[5] or "", row[6] or ""),
            tuple(map(Key, json.loads(row[7]))),
            _parts(row[8]),
            _scopes(row[9]),
            row[10],
            row[11] or 0.0,
            row[12] is not None,
            row[13],
            row[14],
        )
        for row in db.execute(_ORPHANS, {"run": run})
    ]


def resolve(db: sqlite3.Connection, run: int, attempt: AttemptId) -> None:
    """End an orphan: maybe billed up to its quote, or charged, and lost where a picture of it is not there."""
    db.execute(
        "UPDATE attempts SET ending = 'maybe', kind = 'orphan', bound = quote, ended = begun"
        " WHERE run = ? AND attempt = ? AND ending IS NULL",
        (run, attempt),
    )
    db.execute(
        "UPDATE attempts SET ending = 'settled', kind = CASE WHEN EXISTS (SELECT 1 FROM json_each(keys)"
        " WHERE NOT EXISTS (SELECT 1 FROM pictures WHERE pictures.key = json_each.value)) THEN 'lost' ELSE '' END"
        " WHERE run = ? AND attempt = ? AND ending IN ('owed', 'settled')",
        (run, attempt),
    )


def balances(db: sqlite3.Connection, run: int) -> Balances:
    """What is booked by scope. An orphan of a run before `run` counts as maybe billed up to its quote."""
    books: dict[str, _Sums] = {}
    query = "SELECT run, parts, scopes, quote, ending, charge, charges, bound FROM attempts WHERE ending IS NOT 'void'"
    for began, parts, scopes, quote, ending, charge, charges, bound in db.execute(query):
        if ending is None and began >= run:
            continue
        samples = [len(taken) for _, taken in _parts(parts)]
        shares = shares_of(samples, ending, quote=quote, charge=charge, charges=charges, bound=bound)
        for share, names in zip(shares, _scopes(scopes), strict=True):
            for name in names:
                _book(books.setdefault(name, _Sums()), share)
    return Balances(
        tuple(
            (name, Balance(charged=sums.charged, maybe=sums.maybe, unknown=sums.unknown))
            for name, sums in sorted(books.items())
        )
    )


def _book(sums: _Sums, share: Share) -> None:
    sums.charged += share.charged
    sums.maybe += share.maybe
    sums.unknown += share.unknown


def shares_of(
    samples: list[int],
    ending: str | None,
    *,
    quote: int | None,
    charge: int | None,
    charges: str | None,
    bound: int | None,
) -> list[Share]:
    """What each payer of an attempt pays, as the engine books it. No ending: it is an orphan. `charges` is JSON."""
    if ending is None or ending == "maybe":
        paid = doubted(samples, quote if ending is None else bound)
    else:
        paid = ended(samples, quote=quote, charge=charge, charges=json.loads(charges or "[]"))
    return [Share(one.charged, one.maybe or 0, unknown=one.unknown or one.maybe is None) for one in paid]


def _parts(text: str) -> Parts:
    return tuple((JobId(job), tuple(samples)) for job, samples in json.loads(text))


def _scopes(text: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(names) for names in json.loads(text))


def _text(said: str) -> str:
    return said.encode("utf-8", "replace").decode("utf-8")
