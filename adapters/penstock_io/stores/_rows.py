"""Rows of a store in SQLite: one picture found, compared and added, and room made for it. All inside a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from attrs import frozen

from penstock.ids import Key
from penstock_io.stores import StoreDamaged, StoreEntry
from penstock_io.stores._codec import pack, raw, sum_of, unpack, unraw
from penstock_io.stores._tables import row_sum

_ROWS = (
    "SELECT id, key, meta, nbytes, crc, stored, expires, row, name, looks, compared"
    " FROM pictures LEFT JOIN names USING (id)"
)

_AT_ONCE = 256
"""So many rows are looked through in one step, so that nobody waits for who looks."""


@frozen
class Row:
    """What stands in `pictures`, as it stands there.

    `name` is its file's (None: the bytes are in `bytes`), which looked like `looks` when its bytes were `compared`.
    """

    number: int
    key: bytes
    meta: bytes
    nbytes: int
    crc: int
    stored: float
    expires: float | None
    row: int
    name: bytes | None
    looks: str | None
    compared: float | None

    def over(self, now: float) -> bool:
        """Whether its time is over."""
        return self.expires is not None and self.expires <= now

    def entry(self) -> StoreEntry:
        """What it says. Raises `StoreDamaged` where that is not what was written."""
        if self.row != row_sum(self.key, self.meta, self.nbytes, self.crc, self.stored, self.expires):
            raise StoreDamaged("what is known of it has changed")
        return StoreEntry(unraw(self.key), unpack(self.meta), self.nbytes, self.stored, self.expires)

    def owner(self) -> Key | None:
        """Whose it is, where that can be read."""
        try:
            return unraw(self.key)
        except StoreDamaged:
            return None


def find(db: sqlite3.Connection, key: Key) -> Row | None:
    """The row of a key."""
    found = db.execute(f"{_ROWS} WHERE key = ?", (raw(key),)).fetchone()
    return None if found is None else Row(*found)


def holds(db: sqlite3.Connection, key: Key, now: float) -> bool:
    """Whether a key has a picture whose time is not over."""
    query = "SELECT 1 FROM pictures WHERE key = ? AND (expires IS NULL OR expires > ?)"
    return db.execute(query, (raw(key), now)).fetchone() is not None


def there(db: sqlite3.Connection, number: int) -> bool:
    """Whether a picture is still there."""
    return db.execute("SELECT 1 FROM pictures WHERE id = ?", (number,)).fetchone() is not None


def after(db: sqlite3.Connection, number: int) -> list[Row]:
    """Some rows with greater ids, in order; none: there are no more."""
    found = db.execute(f"{_ROWS} WHERE id > ? ORDER BY id LIMIT {_AT_ONCE}", (number,))
    return [Row(*one) for one in found]


def kept(db: sqlite3.Connection, number: int) -> bytes:
    """What `bytes` has of a picture. Raises `StoreDamaged`."""
    try:
        with db.blobopen("bytes", "data", number, readonly=True) as blob:
            return blob.read()
    except sqlite3.OperationalError as fault:
        if fault.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
        raise StoreDamaged("its bytes are gone") from fault


def compared(row: Row, data: bytes) -> bytes:
    """A picture's bytes; raises `StoreDamaged` where they are not those that were written."""
    if len(data) != row.nbytes:
        raise StoreDamaged(f"{len(data)} bytes of {row.nbytes} are there")
    if sum_of(data) != row.crc:
        raise StoreDamaged("its bytes have changed")
    return data


def add(db: sqlite3.Connection, entry: StoreEntry, data: bytes, file: tuple[bytes, str] | None) -> None:
    """A picture, used last of all: its bytes, or the name and the looks of the file that has them."""
    known = (raw(entry.key), pack(entry.meta), entry.nbytes, sum_of(data), entry.stored, entry.expires)
    added = db.execute(
        "INSERT INTO pictures (key, meta, nbytes, crc, stored, expires, used, row) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (*known, _tick(db), row_sum(*known)),
    )
    if file is None:
        db.execute("INSERT INTO bytes (id, data) VALUES (?, ?)", (added.lastrowid, data))
        return
    name, looks = file
    db.execute("INSERT INTO names VALUES (?, ?, ?, ?)", (added.lastrowid, name, looks, entry.stored))
    db.execute("UPDATE names SET looks = ?, compared = ? WHERE name = ?", (looks, entry.stored, name))


def noted(db: sqlite3.Connection, files: Iterable[tuple[str, float, int]]) -> None:
    """How files looked, and when, as the bytes of these pictures were compared."""
    db.executemany("UPDATE names SET looks = ?, compared = ? WHERE id = ?", files)


def announce(db: sqlite3.Connection, names: Iterable[bytes]) -> None:
    """Files that no row may come to name: then whoever writes next deletes them."""
    db.executemany("INSERT OR IGNORE INTO gone VALUES (?)", ((name,) for name in names))


def ever(db: sqlite3.Connection) -> bool:
    """Whether there was ever a picture."""
    return db.execute("SELECT 1 FROM sqlite_sequence WHERE name = 'pictures'").fetchone() is not None


def touch(db: sqlite3.Connection, numbers: Iterable[int]) -> None:
    """Pictures were used, in this order."""
    tick = _tick(db)
    db.executemany("UPDATE pictures SET used = ? WHERE id = ?", ((tick + n, id_) for n, id_ in enumerate(numbers)))


def sweep(db: sqlite3.Connection, now: float, most: int) -> int:
    """Drop up to `most` pictures whose time is over."""
    few = "SELECT id FROM pictures WHERE expires <= ? ORDER BY expires LIMIT ?"
    gone = db.execute(f"DELETE FROM pictures WHERE id IN ({few})", (now, most)).rowcount  # noqa: S608 - text of ours
    return _count(db, "expired", gone)


def make_room(db: sqlite3.Connection, nbytes: int, now: float) -> None:
    """Drop pictures until at most `nbytes` are left: those whose time is over, then the least recently used."""
    while _total(db) > nbytes:
        if sweep(db, now, 1):
            continue
        least = "SELECT id FROM pictures ORDER BY used LIMIT 1"
        gone = db.execute(f"DELETE FROM pictures WHERE id = ({least})").rowcount  # noqa: S608 - text of ours
        if not _count(db, "evictions", gone):
            db.execute("UPDATE totals SET value = 0 WHERE name IN ('entries', 'nbytes')")  # nothing is there
            return


def _total(db: sqlite3.Connection) -> int:
    (total,) = db.execute("SELECT value FROM totals WHERE name = 'nbytes'").fetchone()
    return int(total)


def _tick(db: sqlite3.Connection) -> int:
    (tick,) = db.execute("SELECT COALESCE(MAX(used), 0) + 1 FROM pictures").fetchone()
    return int(tick)


def _count(db: sqlite3.Connection, name: str, more: int) -> int:
    if more:
        db.execute("UPDATE totals SET value = value + ? WHERE name = ?", (more, name))
    return more
