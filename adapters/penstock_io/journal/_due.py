"""Pictures that are paid and named by URL: the URLs stay with the journal until they are fetched, or useless.

A signed URL is a secret: only the owner of the folder may read the database, nothing shows it, and what is deleted is
overwritten. Every function runs inside its caller's transaction.
"""

from __future__ import annotations

import json
import sqlite3

from attrs import field, frozen

from penstock.entries import Entry, Failed, Maybe, Owed, Settled, Void
from penstock.ids import AttemptId, Key
from penstock_io._payloads import Payloads
from penstock_io.journal._books import spread


@frozen
class Due:
    """A picture to be downloaded from `url` before `expires` (Unix seconds); `charge` is what it cost (picodollars)."""

    run: int
    attempt: AttemptId
    key: Key
    place: int
    url: str = field(repr=False)
    charge: int | None
    expires: float
    at: float


def follow(db: sqlite3.Connection, run: int, entry: Entry, payloads: Payloads) -> None:
    """Keep the URLs of what is owed; forget them when their attempt has its end. Raises `OSError`."""
    if isinstance(entry, Owed):
        for key, ref in zip(entry.keys, entry.refs, strict=True):
            if ref.startswith("u:"):
                row = (run, entry.attempt, key, payloads.url(ref))
                db.execute("INSERT OR REPLACE INTO due (run, attempt, key, url) VALUES (?, ?, ?, ?)", row)
    elif isinstance(entry, Settled | Void | Failed | Maybe):
        drop(db, run, entry.attempt)


def drop(db: sqlite3.Connection, run: int, attempt: AttemptId, key: Key | None = None) -> None:
    """Forget the URLs of an attempt, or of one picture of it."""
    db.execute("DELETE FROM due WHERE run = ? AND attempt = ? AND key = COALESCE(?, key)", (run, attempt, key))


def settle(db: sqlite3.Connection, run: int, attempt: AttemptId) -> None:
    """An attempt of which nothing is due any more has its end: it was executed, charged, and its pictures are here."""
    query = "SELECT 1 FROM due WHERE run = ? AND attempt = ? LIMIT 1"
    if db.execute(query, (run, attempt)).fetchone() is None:
        query = "UPDATE attempts SET ending = 'settled' WHERE run = ? AND attempt = ? AND ending = 'owed'"
        db.execute(query, (run, attempt))


def left(db: sqlite3.Connection, run: int) -> list[Due]:
    """What runs before `run` left to be fetched."""
    query = (
        "SELECT due.run, due.attempt, due.key, url, keys, charge, expires, begun FROM due JOIN attempts"
        " ON due.run = attempts.run AND due.attempt = attempts.attempt WHERE due.run < ? AND ending = 'owed'"
    )
    found: list[Due] = []
    for began, attempt, key, url, keys, charge, expires, begun in db.execute(query, (run,)).fetchall():
        asked = list(map(str, json.loads(keys)))
        place = asked.index(key) if key in asked else 0
        shares = spread(charge, len(asked))
        share = shares[place] if shares else None
        found.append(Due(began, AttemptId(attempt), Key(key), place, url, share, expires or 0.0, begun or 0.0))
    return found
