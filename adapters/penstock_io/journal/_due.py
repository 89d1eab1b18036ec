"""Pictures that are paid and named by URL: the URLs stay with the journal until they are fetched, or have expired.

A signed URL is a secret: only the owner of the folder may read the database, nothing shows it, and what is deleted is
overwritten. Every function runs inside its caller's transaction.
"""

from __future__ import annotations

import json
import sqlite3

from attrs import field, frozen

from penstock.entries import Entry, Failed, Maybe, Owed, Settled, Void
from penstock.ids import AttemptId, Key
from penstock.money.shares import spread
from penstock_io._payloads import Payloads


@frozen
class Due:
    """A picture to be downloaded from `url` before `expires` (Unix seconds); `charge` is what it cost (picodollars).

    `revised` is the prompt as the provider revised it, "" where it did not.
    """

    run: int
    attempt: AttemptId
    key: Key
    place: int
    url: str = field(repr=False)
    charge: int | None
    expires: float
    at: float
    revised: str = field(default="", repr=False)


def follow(db: sqlite3.Connection, run: int, entry: Entry, payloads: Payloads) -> None:
    """Keep the URLs of what is owed until their pictures are here or they have expired. Raises `OSError`."""
    if isinstance(entry, Owed):
        for key, ref in zip(entry.keys, entry.refs, strict=True):
            if ref.startswith("u:"):
                row = (run, entry.attempt, key, payloads.url(ref), payloads.words(ref))
                db.execute("INSERT OR REPLACE INTO due (run, attempt, key, url, revised) VALUES (?, ?, ?, ?, ?)", row)
    elif isinstance(entry, Settled):
        _came(db, run, entry)
    elif isinstance(entry, Void | Failed | Maybe):
        drop(db, run, entry.attempt)


def _came(db: sqlite3.Connection, run: int, entry: Settled) -> None:
    """What came has no need of its URL; what did not is still to be had by the others."""
    found = db.execute("SELECT expires FROM attempts WHERE run = ? AND attempt = ?", (run, entry.attempt)).fetchone()
    if found is None or (found[0] or 0.0) <= entry.at:
        drop(db, run, entry.attempt)
    for key, ref in zip(entry.keys, entry.refs, strict=True):
        if ref:
            drop(db, run, entry.attempt, key)


def drop(db: sqlite3.Connection, run: int, attempt: AttemptId, key: Key | None = None) -> None:
    """Forget the URLs of an attempt, or of one picture of it."""
    db.execute("DELETE FROM due WHERE run = ? AND attempt = ? AND key = COALESCE(?, key)", (run, attempt, key))


def settle(db: sqlite3.Connection, run: int, attempt: AttemptId) -> None:
    """An attempt of which nothing is due any more has its end: it was executed, charged, and its pictures are here."""
    query = "SELECT 1 FROM due WHERE run = ? AND attempt = ? LIMIT 1"
    if db.execute(query, (run, attempt)).fetchone() is None:
        query = "UPDATE attempts SET ending = 'settled', kind = '' WHERE run = ? AND attempt = ? AND ending = ?"
        db.execute(query, (run, attempt, "owed"))
        db.execute(f"{query} AND kind = 'lost'", (run, attempt, "settled"))


_LEFT = """
SELECT due.run, due.attempt, due.key, url, keys, charge, expires, begun, revised FROM due JOIN attempts
ON due.run = attempts.run AND due.attempt = attempts.attempt WHERE ending IN ('owed', 'settled')
AND NOT EXISTS (SELECT 1 FROM pictures WHERE pictures.key = due.key)
"""
_UNTIL = """
SELECT due.key, expires FROM due JOIN attempts ON due.run = attempts.run AND due.attempt = attempts.attempt
WHERE ending IN ('owed', 'settled') AND NOT EXISTS (SELECT 1 FROM pictures WHERE pictures.key = due.key)
"""


def until(db: sqlite3.Connection) -> dict[Key, float]:
    """Until when (Unix seconds) each picture may be fetched that is paid and not here."""
    found: dict[Key, float] = {}
    for key, expires in db.execute(_UNTIL):
        found[Key(key)] = max(found.get(Key(key), 0.0), expires or 0.0)
    return found


def left(db: sqlite3.Connection) -> list[Due]:
    """What is to be fetched, whoever paid it."""
    found: list[Due] = []
    for began, attempt, key, url, keys, charge, expires, begun, words in db.execute(_LEFT).fetchall():
        asked = list(map(str, json.loads(keys)))
        place = asked.index(key) if key in asked else 0
        shares = spread(charge, len(asked))
        share = shares[place] if shares else None
        found.append(Due(began, AttemptId(attempt), Key(key), place, url, share, expires or 0.0, begun or 0.0, words))
    return found
