"""A damaged journal is rebuilt from what can be read: its mirror, its tables row by row, and the names of held files.

What the results, the sums and the pictures of the folder tell of besides is lost, and booked as maybe billed. Whether
anything is lost that nothing tells of can only be known where the counts survived: otherwise the next run has to be
agreed to.

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

from penstock.ids import JobId, Key
from penstock_io.journal import _witness
from penstock_io.journal._account import UNSENT, Account, read_account
from penstock_io.journal._damage import Tables, keep
from penstock_io.journal._disk import Disk
from penstock_io.journal._faults import why
from penstock_io.journal._files import HELD, extension, key_digest
from penstock_io.journal._health import REPAIRED, ailment
from penstock_io.journal._lock import Lock
from penstock_io.journal._mirror import MIRROR, Row, Value
from penstock_io.journal._salvage import as_object, database, salvage
from penstock_io.journal._schema import (
    DATABASE,
    JournalDamaged,
    JournalUnusable,
)

LOST_ATTEMPT = -1
"""The number of the row that stands for all attempts of a run that are not known any more; others are below it."""

UNSURE = "\nrepaired"
"""The name of the row that says what a repair may have lost, until somebody has agreed to go on all the same."""

_FORMATS = {extension(name): name for name in ("png", "jpeg", "webp", "gif", "")}
_QUOTE, _ENDING, _KIND = 10, 12, 13


@frozen
class Repaired:
    """What a repair did. `kept` are the names of the damaged files, `cause` is what was wrong.

    `attempts`, `pictures` and `rows` were rebuilt; `found` more pictures are known from the names of held files.
    `missing` attempts are not known any more, and booked as maybe billed with `bound` picodollars at most (None:
    unknown); `unnamed` files in held/ are pictures that nobody knows the key of, `strange` ones in images/ and
    originals/ belong to no row that is known, and `again` rows were complete with such a picture. `certain` says that
    all that was counted is accounted for; otherwise what was lost cannot be told, and `unsure` says why.
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
    strange: int = 0
    again: int = 0
    certain: bool = True
    unsure: str = ""


def repair(folder: Path | str, *, disk: Disk | None = None) -> Repaired | None:
    """Rebuild the journal of a folder; None: it is not damaged, and nothing was changed.

    Raises `FolderInUse`, `NewerJournal`, and `JournalUnusable` for what the disk says.
    """
    folder, disk = Path(folder), Disk() if disk is None else disk
    try:
        if not any((folder / name).exists() for name in (DATABASE, MIRROR, REPAIRED, *_witness.RUN)):
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
    files = ((DATABASE, ""), (f"{DATABASE}-wal", "-wal"), (MIRROR, ".mirror"))
    kept = keep(disk, folder / DATABASE, [(folder / name, ending) for name, ending in files])
    tables, why_not = salvage(folder)
    report = _Report(tables, folder, unsure=why_not)
    report.look_at_published()
    report.look_at_held()
    report.count_attempts()
    report.look_at_results(_witness.ask(folder))
    report.conclude()
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
    strange: int = 0
    again: int = 0
    unsure: str = ""
    _scopes: str = field(init=False, default='[["run"]]')

    def told(self, cause: str, kept: tuple[str, ...]) -> Repaired:
        """In figures."""
        attempts = sum(number >= 0 for (_, number), _ in self._attempts())
        rows = sum(not str(name).startswith("\n") for (name,) in self.tables["rows"])
        return Repaired(
            cause,
            kept,
            attempts,
            len(self.tables["pictures"]),
            rows,
            self.found,
            self.missing,
            self.bound,
            self.unnamed,
            self.strange,
            self.again,
            not self.unsure,
            self.unsure,
        )

    def look_at_published(self) -> None:
        """A picture that a job has shown and that is there is known by its key."""
        for _, _, _, key, file, _, at in self.tables["published"].values():
            known = self.tables["pictures"].get((key,))
            if known is None:
                self._add(str(key), str(file), at)
            elif not (self.folder / str(known[1])).is_file() and (self.folder / str(file)).is_file():
                self.tables["pictures"][(key,)] = (key, file, *known[2:])

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
            mine = [one for (number, at), one in self._attempts() if number == run and at >= 0]
            quotes = [cast("int | None", one[_QUOTE]) for one in mine]
            missing = intents - len(mine)
            if missing <= 0:
                continue
            left = quoted - sum(quote or 0 for quote in quotes)
            bound = None if unpriced > quotes.count(None) else max(0, left)
            self._attempt(run, LOST_ATTEMPT, [], bound)
            self.missing += missing - 1

    def look_at_results(self, witness: _witness.Witness) -> None:
        """What results, sums and pictures tell of and no table does is lost, and may have been billed."""
        known = _witness.stems(str(row[1]) for row in self.tables["pictures"].values())
        known |= _witness.stems(str(row[4]) for row in self.tables["published"].values())
        self.strange = len(_witness.stems(witness.files) - known)
        there = frozenset(witness.files)
        complete = [told.files for told in witness.all.values() if told.status == "completed"]
        self.again = sum(not _witness.stems(there.intersection(files)) <= known for files in complete)
        with closing(database(self.tables)) as db:
            account = read_account(db, self.folder)
        sums = witness.sums
        runs = None if sums is None else sums.runs
        rows = witness.all if sums is None else witness.since
        lost = sum(max(0, told.paid - self._paid(account, name)) for name, told in rows.items())
        missing = 0
        if sums is not None:
            mine = [tally for (run, _), tally in account.tallies.items() if runs is None or run <= runs]
            lost += max(0, sums.paid - sum(tally.charged + tally.maybe for tally in mine))
            missing = sums.attempts - self._sent(runs)
        else:
            missing = sum(told.attempts for told in rows.values()) - self._sent(None)
        if lost or missing > 0:
            run = runs or max((cast("int", run) for (run,) in self.tables["runs"]), default=1)
            self._attempt(run, self._free(run), [], lost)
            self.missing += max(missing, 1) - 1
            self._doubt("its results tell of more than it has")

    def conclude(self) -> None:
        """Where what was lost cannot be told, an amount that is not known is booked, and the next run needs a yes."""
        if self.strange:
            self._doubt(f"{self.strange:,} of the pictures in the folder are not in it")
        if self.unnamed:
            self._doubt(f"{self.unnamed:,} of the pictures in {HELD}/ are nobody's any more")
        if not self.unsure:
            return
        run = max((cast("int", run) for (run,) in self.tables["runs"]), default=1)
        missing, bound = self.missing, self.bound
        self._attempt(run, self._free(run), [], None)
        self.missing, self.bound = missing, bound  # nobody knows whether there is any
        self.tables["rows"][(UNSURE,)] = (UNSURE, self.unsure)

    def _doubt(self, why: str) -> None:
        self.unsure = f"{self.unsure}; {why}" if self.unsure else why

    def _paid(self, account: Account, name: str) -> int:
        """What the jobs of a row paid, as far as it is known."""
        state = as_object(self.tables["rows"].get((name,), ("", ""))[1])
        jobs = [(run, JobId(job)) for run, job in cast("list[tuple[int, int]]", state.get("jobs", []))]
        tallies = [account.tallies[job] for job in jobs if job in account.tallies]
        return sum(tally.charged + tally.maybe for tally in tallies)

    def _sent(self, runs: int | None) -> int:
        """How many attempts of the first runs (None: of all) were sent, with those that are booked as missing."""
        sent = [
            one
            for (run, number), one in self._attempts()
            if number >= 0
            and one[_ENDING] != "void"
            and (runs is None or run <= runs)
            and not (one[_ENDING] == "failed" and one[_KIND] == UNSENT)
        ]
        return len(sent) + self.missing

    def _free(self, run: int) -> int:
        """A number for what is lost, below all that the run has."""
        self.tables["runs"].setdefault((run,), (run, 0, 0, 0, 0))
        return min((LOST_ATTEMPT, *(at for (number, at), _ in self._attempts() if number == run))) - 1

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
        self.tables["pictures"][(key,)] = (key, file, "", form, nbytes, None, at, "", 1, "")
        self.found += 1

    def _known(self) -> Mapping[str, str]:
        """Keys by their digests: those of attempts, of pictures, and of the rows that asked."""
        keys = {str(row[0]) for row in self.tables["pictures"].values()}
        keys |= {str(row[3]) for row in self.tables["published"].values()}
        for row in self.tables["attempts"].values():
            keys.update(json.loads(str(row[7])))
        for row in self.tables["rows"].values():
            keys.update(map(str, cast("list[str]", as_object(row[1]).get("keys", []))))
        return {key_digest(Key(key)): key for key in keys}


def _write(path: Path, tables: Tables) -> None:
    """The rebuilt database."""
    path.touch(0o600)
    database(tables, path).close()
