"""A damaged journal is rebuilt from what can be read: its mirror, its tables row by row, and the names of held files.

The damaged files are kept beside. The new database is whole and durable before the old one is touched, so a repair that
is cut off leaves either the damaged journal or the rebuilt one, and is finished by the next.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import cast

from attrs import define, field, frozen

from penstock.ids import Key
from penstock_io.journal._disk import Disk
from penstock_io.journal._faults import why
from penstock_io.journal._files import HELD, extension, key_digest
from penstock_io.journal._health import REPAIRED, ailment, is_damage, lenient
from penstock_io.journal._lock import Lock
from penstock_io.journal._mirror import MIRROR, NO_MARK, Mark, Row, Value, read_mirror
from penstock_io.journal._readonly import read_only
from penstock_io.journal._schema import (
    DATABASE,
    KEYS,
    PRIVATE,
    JournalDamaged,
    JournalUnusable,
    columns_of,
    create,
    sum_of,
)

LOST_ATTEMPT = -1
"""The number of the row that stands for all attempts of a run that are not known any more."""

_FORMATS = {extension(name): name for name in ("png", "jpeg", "webp", "gif", "")}
_QUOTE, _ENDING = 10, 12

Tables = dict[str, dict[Row, Row]]
"""Rows by table and key."""


@frozen
class Repaired:
    """What a repair did. `kept` are the names of the damaged files, `cause` is what was wrong.

    `attempts`, `pictures` and `rows` were rebuilt; `found` more pictures are known from the names of held files.
    `missing` attempts are not known any more, and booked as maybe billed with `bound` picodollars at most (None:
    unknown); `unnamed` files in held/ are pictures that nobody knows the key of.
    """

    cause: str
    kept: tuple[str, ...] = ()
    attempts: int = 0
    pictures: int = 0
    rows: int = 0
    found: int = 0
    missing: int = 0
    bound: int | None = 0
    unnamed: int = 0


def repair(folder: Path | str, *, disk: Disk | None = None) -> Repaired | None:
    """Rebuild the journal of a folder; None: it is not damaged, and nothing was changed.

    Raises `FolderInUse`, `NewerJournal`, and `JournalUnusable` for what the disk says.
    """
    folder, disk = Path(folder), Disk() if disk is None else disk
    try:
        if not any((folder / name).exists() for name in (DATABASE, MIRROR, REPAIRED)):
            raise JournalUnusable(f"{folder} holds no journal: there is nothing to repair")
        with closing(Lock(folder)):
            return _repair(folder, disk)
    except (sqlite3.Error, OSError) as fault:
        raise JournalUnusable(f"{folder} cannot be repaired: {why(fault)}") from fault


def _repair(folder: Path, disk: Disk) -> Repaired | None:
    if (folder / REPAIRED).exists():
        _swap(folder, disk)
        return Repaired("its repair was cut off")
    try:
        cause = ailment(folder)
    except JournalDamaged as damaged:
        cause = damaged.what
    if not cause:
        return None
    kept = _keep(folder, disk)
    tables = _read(folder)
    report = _Report(tables, folder)
    report.look_at_published()
    report.look_at_held()
    report.count_attempts()
    new = folder / f"{DATABASE}.new"
    disk.unlink(new)
    _write(new, tables)
    disk.sync(new)
    disk.rename(new, folder / REPAIRED)
    disk.sync_folder(folder)
    _swap(folder, disk)
    return report.told(cause, kept)


def _swap(folder: Path, disk: Disk) -> None:
    """The old log and mirror go first: a log is taken for one of whatever database lies beside it."""
    for name in (f"{DATABASE}-wal", f"{DATABASE}-shm", MIRROR):
        disk.unlink(folder / name)
    disk.sync_folder(folder)
    disk.rename(folder / REPAIRED, folder / DATABASE)
    disk.sync_folder(folder)


def _keep(folder: Path, disk: Disk) -> tuple[str, ...]:
    """A second name for all that is damaged: it stays as it is when the rebuilt one takes the first."""
    number = 1
    while any(folder.glob(f"{DATABASE}.damaged-{number}*")):
        number += 1
    kept: list[str] = []
    for name, ending in ((DATABASE, ""), (f"{DATABASE}-wal", "-wal"), (MIRROR, ".mirror")):
        if not (folder / name).exists():
            continue
        copy = f"{DATABASE}.damaged-{number}{ending}"
        try:
            disk.link(folder / name, folder / copy)
        except (OSError, AttributeError, NotImplementedError):
            disk.copy(folder / name, folder / copy)
        kept.append(copy)
    disk.sync_folder(folder)
    return tuple(kept)


# What can be read


def _read(folder: Path) -> Tables:
    """The rows of the database and of the mirror; where both have one, that of whichever knows of more commits."""
    mirror = read_mirror(folder / MIRROR)
    mirrored: Tables = {table: {} for table in KEYS}
    empty = sqlite3.connect(":memory:")
    with closing(empty) as db:
        create(db)
        widths = {table: len(columns_of(db, table)) for table in KEYS}
    for table, rows in mirror.rows.items():
        if table in KEYS:
            mirrored[table].update((row[: KEYS[table]], row) for row in rows if len(row) == widths[table])
    stored = _stored(folder / DATABASE)
    newer, older = (mirrored, stored) if mirror.mark > _mark(stored) else (stored, mirrored)
    tables = {table: older[table] | newer[table] for table in KEYS}
    for name, row in older["attempts"].items():
        if row[_ENDING] is not None and tables["attempts"][name][_ENDING] is None:
            tables["attempts"][name] = row
    return tables


def _mark(tables: Tables) -> Mark:
    return max((cast("Mark", row[:2]) for row in tables["runs"].values()), default=NO_MARK)


def _stored(path: Path) -> Tables:
    """Each table from both its ends, as far as it can be read; rows that are not as they were written are left out."""
    tables: Tables = {table: {} for table in KEYS}
    if not path.exists() or not path.stat().st_size:
        return tables
    try:
        with read_only(path) as db:
            db.text_factory = lenient
            for table in KEYS:
                for order in ("ASC", "DESC"):
                    _take(db, table, order, tables[table])
    except (sqlite3.DatabaseError, UnicodeDecodeError) as fault:
        if not is_damage(fault):
            raise
    return tables


def _take(db: sqlite3.Connection, table: str, order: str, rows: dict[Row, Row]) -> None:
    keys = KEYS[table]
    ends = ", ".join(f"{place} {order}" for place in range(1, keys + 1))
    try:
        for row in db.execute(f"SELECT * FROM {table} ORDER BY {ends}"):  # noqa: S608 - names of ours
            if row[-1] == sum_of(table, row[:-1]):
                rows[row[:keys]] = row[:-1]
    except (sqlite3.DatabaseError, UnicodeDecodeError) as fault:
        if not is_damage(fault):
            raise


# What can be concluded


@define
class _Report:
    """The rebuilt tables, and what is not in them."""

    tables: Tables
    folder: Path
    found: int = 0
    unnamed: int = 0
    missing: int = 0
    bound: int | None = 0
    _scopes: str = field(init=False, default='[["run"]]')

    def told(self, cause: str, kept: tuple[str, ...]) -> Repaired:
        """In figures."""
        attempts, pictures, rows = (len(self.tables[name]) for name in ("attempts", "pictures", "rows"))
        return Repaired(cause, kept, attempts, pictures, rows, self.found, self.missing, self.bound, self.unnamed)

    def look_at_published(self) -> None:
        """A picture that a job has shown and that is there is known by its key."""
        for _, _, _, key, file, _, at in self.tables["published"].values():
            if (key,) not in self.tables["pictures"]:
                self._add(str(key), str(file), at)

    def look_at_held(self) -> None:
        """Held files say whose they are: an attempt that is not known any more was paid, and its key may be."""
        keys = self._known()
        for path in sorted((self.folder / HELD).glob("[0-9]*")):
            run, attempt, _, digest = (*path.stem.split("-"), "", "", "", "")[:4]
            if not (run.isdigit() and attempt.isdigit()):
                continue
            self.tables["runs"].setdefault((int(run),), (int(run), 0, 0, 0, 0))
            key = keys.get(digest)
            if (int(run), int(attempt)) not in self.tables["attempts"]:
                self._attempt(int(run), int(attempt), [] if key is None else [key], None)
            if key is None:
                self.unnamed += 1
            elif (key,) not in self.tables["pictures"]:
                self._add(key, f"{HELD}/{path.name}", 0.0)

    def count_attempts(self) -> None:
        """Runs count their intents, and what these may cost: what is missing may have been billed."""
        for (run, _), _ in self._attempts():
            self.tables["runs"].setdefault((run,), (run, 0, 0, 0, 0))
        for row in list(self.tables["runs"].values()):
            run, _, intents, quoted, unpriced = cast("tuple[int, int, int, int, int]", row)
            mine = [one for (number, at), one in self._attempts() if number == run and at != LOST_ATTEMPT]
            quotes = [cast("int | None", one[_QUOTE]) for one in mine]
            missing = intents - len(mine)
            if missing <= 0:
                continue
            left = quoted - sum(quote or 0 for quote in quotes)
            bound = None if unpriced > quotes.count(None) else max(0, left)
            self._attempt(run, LOST_ATTEMPT, [], bound)
            self.missing += missing - 1

    def _attempts(self) -> list[tuple[tuple[int, int], Row]]:
        return cast("list[tuple[tuple[int, int], Row]]", list(self.tables["attempts"].items()))

    def _attempt(self, run: int, attempt: int, keys: list[str], bound: int | None) -> None:
        """One that is not known any more: maybe billed."""
        scopes = next((str(row[9]) for row in self.tables["attempts"].values() if row[9] != "[]"), self._scopes)
        first = json.dumps(json.loads(scopes)[:1])
        row: list[Value] = [run, attempt, 0, "generate", "", "", "", json.dumps(keys), "[[0, [0]]]", first]
        row += [bound, 0.0, "maybe", "repaired", None, bound, None, None, 0.0, None, None, None, None]
        self.tables["attempts"][run, attempt] = tuple(row)
        self.missing += 1
        self.bound = None if self.bound is None or bound is None else self.bound + bound

    def _add(self, key: str, file: str, at: Value) -> None:
        try:
            nbytes = (self.folder / file).stat().st_size
        except OSError:
            return
        form = _FORMATS.get(Path(file).suffix, "")
        self.tables["pictures"][(key,)] = (key, file, "", form, nbytes, None, at, "", 1)
        self.found += 1

    def _known(self) -> Mapping[str, str]:
        """Keys by their digests: those of attempts, of pictures, and of the rows that asked."""
        keys = {str(row[0]) for row in self.tables["pictures"].values()}
        keys |= {str(row[3]) for row in self.tables["published"].values()}
        for row in self.tables["attempts"].values():
            keys.update(json.loads(str(row[7])))
        for row in self.tables["rows"].values():
            try:
                state = json.loads(str(row[1]))
            except ValueError:
                continue
            if isinstance(state, dict):
                keys.update(map(str, cast("dict[str, list[str]]", state).get("keys", [])))
        return {key_digest(Key(key)): key for key in keys}


def _write(path: Path, tables: Tables) -> None:
    """The rebuilt database."""
    path.touch(0o600)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        create(db)
        db.execute("BEGIN")
        for table, rows in tables.items():
            if table in PRIVATE and table != "due":
                continue
            marks = ", ".join("?" for _ in (*columns_of(db, table), "crc"))
            db.executemany(
                f"INSERT INTO {table} VALUES ({marks})",  # noqa: S608 - names of ours
                [(*row, sum_of(table, row)) for row in rows.values()],
            )
        db.execute("COMMIT")
