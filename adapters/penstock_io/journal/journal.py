"""The durable record of a batch: intent before sending, settlement after the bytes are safe.

One group of entries is one step: the pictures are made durable in parallel, each folder that changed is synced once,
and one commit makes the entries true. Whatever fails takes the whole group back; its files stay where they are,
without meaning, until the group is written again. So three things hold at every instant, however the process ends: an
entry that was answered is on the disk; a picture that an entry names is on the disk; nothing is half written.

Rejected: a commit an entry (185 us instead of 4 in a group of 64, and milliseconds on slow disks); pictures inside the
database (a final name could not be a link); one sync a file in order (a group would wait for the sum, not the longest).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from errno import EEXIST
from pathlib import Path
from threading import RLock
from typing import Self

from attrs import frozen

from penstock.entries import Deferred, Entry, Held, Intent, Owed, Published, Settled
from penstock.errors import UsageError
from penstock.ids import AttemptId, JobId, Key, Ref
from penstock.money.balances import Balances
from penstock.outcomes import Meta
from penstock_io._payloads import Payloads
from penstock_io.journal import _books, _due
from penstock_io.journal._account import Account, Ticket, read_account
from penstock_io.journal._books import Orphan
from penstock_io.journal._disk import Disk
from penstock_io.journal._due import Due
from penstock_io.journal._faults import why
from penstock_io.journal._files import HELD, File, Files, Shown, Wanted, check_stem, held_stem, key_digest
from penstock_io.journal._lock import Lock
from penstock_io.journal._moves import aside, check_move, clear, put_derived_aside
from penstock_io.journal._room import Room
from penstock_io.journal._schema import JournalUnusable
from penstock_io.journal._writing import Writer


@frozen
class Written:
    """What became of an entry: `files` stand in place of its references, in their order, or a fault took it back."""

    files: tuple[Ref, ...] = ()
    fault: str | None = None


class Journal:
    """The journal of one folder, held by one process. Use `Journal.open`.

    `run` is the number of this opening: jobs and attempts are numbered within it. `payloads` is the room whose
    references the entries use; its root is the folder. Methods may be called from several threads; they wait for each
    other, except `name`, `put_row` and `put_rows`, which never wait for the disk.
    """

    def __init__(self, folder: Path, payloads: Payloads, disk: Disk, lock: Lock, writer: Writer) -> None:
        self.folder = folder
        self.payloads = payloads
        self.run = writer.run
        self._lock = lock
        self._writer = writer
        self._db = writer.db
        self._files = Files(folder, disk, payloads)
        self._room = Room(folder, disk)
        self._disk_turn = RLock()
        self._names: dict[JobId, Mapping[Key, str]] = {}
        self._sweep()

    @classmethod
    def open(cls, folder: Path | str, *, payloads: Payloads | None = None, disk: Disk | None = None) -> Journal:
        """The journal of a folder, made where there is none.

        Raises `FolderInUse` (its `holder` names the process), `NewerJournal`, `JournalDamaged`, and `JournalUnusable`
        for what the disk or the database says.
        """
        folder = Path(folder)
        payloads = Payloads(folder) if payloads is None else payloads
        if payloads.root != folder:
            raise UsageError("the payloads of a journal have its folder as their root")
        disk = Disk() if disk is None else disk
        try:
            _make(folder, disk)
            lock = Lock(folder)
        except OSError as fault:
            raise JournalUnusable(f"{folder} cannot be used: {why(fault)}") from fault
        try:
            with lock.kept():
                writer = Writer(folder, disk)
                try:
                    return cls(folder, payloads, disk, lock, writer)
                except BaseException:
                    writer.db.close()
                    raise
        except (OSError, sqlite3.Error) as fault:
            raise JournalUnusable(f"{folder} cannot be used: {why(Room(folder, disk).cause(fault))}") from fault

    def close(self) -> None:
        """Write what still waits and give the folder back. Raises `OSError` or `sqlite3.Error` where that failed."""
        with self._disk_turn:
            try:
                self.flush()
            finally:
                self._files.close()
                self._db.close()
                self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def name(self, job: JobId, stems: Mapping[Key, str]) -> None:
        """Say the final names of a job's pictures, by key and without extension, before the job is submitted.

        Keys of all its targets may be named. Pictures without a name are called `<run>-<job>-<place>`. Raises
        `UsageError` for a name that is not one component of a path.
        """
        for stem in stems.values():
            check_stem(stem)
        self._names[job] = dict(stems)

    def append(self, entries: Sequence[Entry]) -> list[Written]:
        """Make entries durable as one group, in order: all of them or, with the same fault for each, none.

        Where the disk has only just room for what is out, new intents are refused on their own.
        """
        if not entries:
            return []
        with self._disk_turn:
            refusal = self._room.refusal(entries)
            if refusal is not None:
                others = iter(self.append([entry for entry in entries if not isinstance(entry, Intent)]))
                return [Written(fault=refusal) if isinstance(entry, Intent) else next(others) for entry in entries]
            try:
                held, shown = self._make_durable(entries)
                with self._writer.transaction(entries) as db:
                    for entry, mine, seen in zip(entries, held, shown, strict=True):
                        _books.record(db, self.run, entry, mine, seen)
                        _due.follow(db, self.run, entry, self.payloads)
            except (sqlite3.Error, OSError) as fault:
                return [Written(fault=_reason(self._room.cause(fault)))] * len(entries)
            self._room.written(entries, held)
            return [self._written(*group) for group in zip(entries, held, shown, strict=True)]

    def release(self, refs: Sequence[Ref]) -> None:
        """Nobody needs these any more: held names go that were published, temporary files and memory at once."""
        self.payloads.release(tuple(refs))
        with self._disk_turn:
            for ref in refs:
                if ref.startswith(f"f:{HELD}/"):
                    self._drop_superfluous(ref[2:])

    def move(self, old: str, new: str) -> None:
        """Move a shown picture ("images/x.png") to another folder ("originals/x.png"); see `move_all`."""
        self.move_all([(old, new)])

    def move_all(self, moves: Sequence[tuple[str, str]]) -> None:
        """Move shown pictures between `images/`, `originals/` and `superseded/`, all of them or none.

        Whatever refers to one refers to its new name from then on; waiting rows become durable in the same step. What
        has a new name and is none of the journal's is replaced. Raises `UsageError` for what is no such name,
        `FileExistsError` for a name that another picture has, and `OSError` or `sqlite3.Error` for the disk's faults,
        after which all is as before.
        """
        for old, new in moves:
            check_move(old, new)
        if not moves:
            self.flush()
            return
        with self._disk_turn:
            for _, new in moves:
                if _books.knows(self._db, new):
                    raise FileExistsError(EEXIST, "another picture has this name", new)
            self._files.double(moves)
            with self._writer.transaction() as db:
                for old, new in moves:
                    _books.move(db, old, new)
            self._files.moved(moves)
            self._writer.gone(clear(self._db, self._files, [old for old, _ in moves]))

    def supersede(self, files: Sequence[str]) -> dict[str, str]:
        """Move pictures out of the way into `superseded/`, where none replaces another; their new names by the old.

        What is not there any more is left out; waiting rows become durable in the same step. Raises as `move_all`.
        """
        with self._disk_turn:
            taken: set[str] = set()
            put_derived_aside(self._db, self._files, files)
            there = [name for name in dict.fromkeys(files) if self._files.exists(name)]
            moves = [(name, aside(self._db, self._files, name, taken)) for name in there]
            self.move_all(moves)
        return dict(moves)

    def look_up(self, key: Key) -> tuple[Meta, Ref] | None:
        """A paid picture whose file is still there with its length. Raises `sqlite3.Error`."""
        with self._disk_turn:
            found = _books.picture(self._db, key)
        if found is None or not self._files.intact(found[0], found[1].nbytes):
            return None
        file, meta = found
        noted = self._writer.noted(key, meta)
        meta = Meta(noted.size, meta.format, meta.nbytes, meta.cost, meta.created, noted.policy, noted.passed)
        return meta, Ref(f"f:{file}")

    def revised(self, key: Key) -> str | None:
        """The prompt of a paid picture as the provider revised it. Raises `sqlite3.Error`."""
        with self._disk_turn:
            return _books.revised(self._db, key) or None

    def mark(self, key: Key, meta: Meta) -> None:
        """Note the size and the verdict of a paid picture; durable with the next group, or `flush`."""
        self._writer.mark(key, meta)

    def put_row(self, row: str, state: str) -> None:
        """Keep a caller's own state (JSON text) under a name; durable with the next group, or `flush`."""
        self.put_rows({row: state})

    def put_rows(self, rows: Mapping[str, str]) -> None:
        """Keep many. Raises `UsageError` for text that is not Unicode."""
        self._writer.put_rows(rows)

    def rows(self) -> dict[str, str]:
        """All rows by name, also those that are not durable yet. Raises `sqlite3.Error`."""
        with self._disk_turn:
            return self._writer.rows()

    def flush(self) -> None:
        """Make rows and marks durable now. Raises `sqlite3.Error`."""
        with self._disk_turn:
            if self._writer.waiting:
                with self._writer.transaction():
                    pass

    def note(self, text: str) -> None:
        """Keep one line for whoever peeks, until the folder is opened next: for when rows cannot be written any more.

        Raises `OSError`.
        """
        self._lock.note(text)

    def orphans(self) -> list[Orphan]:
        """Intents of earlier runs that have no end, and (`due`) those that are paid and whose pictures are not here."""
        with self._disk_turn:
            return _books.orphans(self._db, self.run)

    def resolve(self, run: int, attempt: AttemptId) -> tuple[Key, ...]:
        """Book an orphan as maybe billed up to its quote, one that is due as lost. Raises `sqlite3.Error`, `OSError`.

        A picture of it that was already durable when the crash cut its settlement off is kept: the keys of those.
        """
        with self._disk_turn:
            orphan = next((o for o in self.orphans() if (o.run, o.attempt) == (run, attempt)), None)
            if orphan is None:
                return ()
            found = {key: file for key, file in self._found(orphan).items() if self.look_up(key) is None}
            with self._writer.transaction() as db:
                for key, file in found.items():
                    _books.add_picture(db, key, file, None, orphan.at)
                _books.resolve(db, run, attempt)
                _due.drop(db, run, attempt)
            return tuple(found)

    def due(self) -> list[Due]:
        """Pictures that are charged and not downloaded; no client may have one out. Raises `sqlite3.Error`."""
        with self._disk_turn:
            return _due.left(self._db)

    def fetched(self, due: Due, data: bytes) -> None:
        """Keep a picture that was due, at its share of what was charged; with the last one its attempt is settled.

        Raises `OSError`, `sqlite3.Error`.
        """
        ref = self.payloads.keep(data)
        self.payloads.annotate(ref, due.revised)
        with self._disk_turn:
            stem = held_stem(due.run, due.attempt, due.place, due.key)
            (file,) = self._files.hold([Wanted(ref, stem)])
            with self._writer.transaction() as db:
                _books.add_picture(db, due.key, file, due.charge, due.at)
                _due.drop(db, due.run, due.attempt, due.key)
                _due.settle(db, due.run, due.attempt)
            self._files.recorded([ref])
        self.payloads.release((ref,))

    def balances(self, *, ended: bool = False) -> Balances:
        """What is booked by scope over all runs, to open the books with. Orphans count as maybe billed.

        With `ended` this run is over, too: what it could not write the end of counts as maybe billed.
        The charge of an attempt is spread over its samples in integers, the remainder on the first. Raises
        `sqlite3.Error`.
        """
        with self._disk_turn:
            return _books.balances(self._db, self.run + ended)

    def account(self) -> Account:
        """What each job of every run paid and published. Raises `sqlite3.Error`."""
        with self._disk_turn:
            return read_account(self._db, self.folder)

    def deferred(self) -> tuple[Ticket, ...]:
        """Jobs of every run that were put off and that nobody has taken up again. Raises `sqlite3.Error`."""
        return self.account().deferred

    def _make_durable(self, entries: Sequence[Entry]) -> tuple[list[list[File | None]], list[list[Shown | None]]]:
        paid = [
            [self._to_hold(entry, place) for place in range(len(entry.refs))]
            if isinstance(entry, Settled | Owed)
            else []
            for entry in entries
        ]
        files = iter(self._files.hold([one for some in paid for one in some if one is not None]))
        held = [[None if one is None else next(files) for one in some] for some in paid]
        final = [
            [self._to_show(entry, place) for place in range(len(entry.refs))] if isinstance(entry, Published) else []
            for entry in entries
        ]
        seen = iter(self._files.show([one for some in final for one in some if one is not None]))
        shown = [[None if one is None else next(seen) for one in some] for some in final]
        return held, shown

    def _to_hold(self, entry: Settled | Owed, place: int) -> Wanted | None:
        ref = entry.refs[place]
        if not ref or ref.startswith("u:"):
            return None
        return Wanted(ref, held_stem(self.run, entry.attempt, place, entry.keys[place]))

    def _to_show(self, entry: Published, place: int) -> Wanted | None:
        ref = entry.refs[place]
        if not ref:
            return None
        if ref.startswith("f:") and self.payloads.note(ref) is None:
            revised = self.revised(entry.keys[place])
            if revised is not None:
                self.payloads.annotate(ref, revised)
        stem = self._names.get(entry.job, {}).get(entry.keys[place])
        return Wanted(ref, f"{self.run}-{entry.job}-{place}" if stem is None else stem)

    def _written(self, entry: Entry, held: list[File | None], shown: list[Shown | None]) -> Written:
        match entry:
            case Settled() | Owed():
                files = tuple(ref if file is None else file.ref for ref, file in zip(entry.refs, held, strict=True))
                self._files.recorded(entry.refs)
                for old, new in zip(entry.refs, files, strict=True):
                    self.payloads.replace(old, new)
                return Written(files)
            case Published():
                self._names.pop(entry.job, None)
                refs = tuple(Ref("") if one is None else one.file.ref for one in shown)
                for old, new in zip(entry.refs, refs, strict=True):
                    self.payloads.share(old, new)
                return Written(refs)
            case Held() | Deferred():
                self._names.pop(entry.job, None)
                return Written(entry.refs if isinstance(entry, Held) else ())
            case _:
                return Written()

    def _found(self, orphan: Orphan) -> dict[Key, File]:
        prefix = f"{HELD}/{orphan.run}-{orphan.attempt}-"
        mine = [name for name in self._files.held() if name.startswith(prefix)]
        digests = {key_digest(key): key for key in orphan.keys}
        found: dict[Key, File] = {}
        for name in mine:
            key = digests.get(name.rpartition("-")[2].partition(".")[0])
            if key is not None:
                found[key] = self._files.look(name)
        return found

    def _drop_superfluous(self, name: str) -> None:
        try:
            if _books.superfluous(self._db, name):
                self._files.drop(name)
        except (sqlite3.Error, OSError):
            return  # the name is taken away when the folder is opened next

    def _sweep(self) -> None:
        self._files.sweep()
        self._writer.gone(clear(self._db, self._files, _books.left_behind(self._db)))
        for name in self._files.held():
            self._drop_superfluous(name)


def _make(folder: Path, disk: Disk) -> None:
    """A folder, and those above it: the names of new ones are made durable."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in reversed(new):
        disk.sync_folder(path.parent)


def _reason(fault: sqlite3.Error | OSError) -> str:
    if isinstance(fault, OSError) and fault.strerror:
        return f"journal: {fault.strerror}" + (f": {fault.filename}" if fault.filename else "")
    return f"journal: {fault}"
