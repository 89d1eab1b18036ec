"""The journal against a model, over any groups, faults, deaths and losses of power."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from tempfile import mkdtemp

import hypothesis.strategies as st
import pytest
from attrs import define, field, frozen
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from penstock.entries import Entry, Failed, Intent, Lane, Maybe, Published, Settled, Void
from penstock.ids import AttemptId, CallId, JobId, Key, Ref
from penstock.work import Purpose
from penstock_io._payloads import Payloads
from penstock_io.journal import Journal, Written
from tests.failing import DEATH, FAULT, Died, FailingDisk


@frozen
class Paid:
    """What the model knows of a settled picture."""

    data: bytes
    charge: int


@define
class Model:
    """What must be on the disk."""

    open: dict[tuple[int, int], int] = field(factory=dict)
    charged: int = 0
    maybe: int = 0
    pictures: dict[Key, Paid] = field(factory=dict)
    shown: dict[str, bytes] = field(factory=dict)
    rows: dict[str, str] = field(factory=dict)


class JournalMachine(RuleBasedStateMachine):
    """Any groups of entries, on a disk that fails or dies at any operation."""

    def __init__(self) -> None:
        super().__init__()
        self.home = Path(mkdtemp(prefix="penstock-model-"))
        self.lives = 0
        self.next = 0
        self.model = Model()
        self.disk = FailingDisk(links=True)
        self.journal = Journal.open(self.home / "0", disk=self.disk)
        self.old: list[Journal] = []
        self.refs: dict[Key, Ref] = {}
        self.pending: list[tuple[Entry, bytes]] = []
        self.sent_rows: dict[str, str] = {}

    def number(self) -> int:
        """A number of its own."""
        self.next += 1
        return self.next

    def draw_group(self, data: st.DataObject) -> list[tuple[Entry, bytes]]:
        """New intents, ends of open ones, publications of settled pictures."""
        group: list[tuple[Entry, bytes]] = []
        for _ in range(data.draw(st.integers(0, 3), "intents")):
            number = self.number()
            lane, key = Lane("k", "m"), Key(f"key-{number}")
            parts = ((JobId(number), (0,)),)
            entry = Intent(
                AttemptId(number), CallId(number), Purpose.GENERATE, "op", lane, (key,), parts, (("run",),), 10, 1.0
            )
            group.append((entry, b""))
        mine = [attempt for run, attempt in self.model.open if run == self.journal.run]
        ends = data.draw(st.lists(st.sampled_from(mine), unique=True, max_size=4) if mine else st.just([]), "ends")
        group.extend(self.draw_end(data, attempt) for attempt in ends)
        known = sorted(self.refs)
        for key in data.draw(st.lists(st.sampled_from(known), max_size=2) if known else st.just([]), "shown"):
            job = JobId(self.number())
            self.journal.name(job, {key: f"name-{job}"})
            group.append((Published(job, (key,), (self.refs[key],), 3.0), self.model.pictures[key].data))
        return group

    def draw_end(self, data: st.DataObject, attempt: int) -> tuple[Entry, bytes]:
        """One of the four ends."""
        number = AttemptId(attempt)
        kind = data.draw(st.sampled_from(["memory", "file", "void", "failed", "maybe"]), "end")
        if kind == "void":
            return Void(number, "not wanted", 2.0), b""
        if kind == "failed":
            return Failed(number, "invalid", 1, 2.0), b""
        if kind == "maybe":
            return Maybe(number, "uncertain", 9, 2.0), b""
        picture = b"\x89PNG\r\n\x1a\n" + str(attempt).encode() * 3
        if kind == "memory":
            ref = self.journal.payloads.keep(picture)
        else:
            path = self.journal.folder / "held" / f".tmp-sink-{attempt}"
            path.write_bytes(picture)
            ref = self.journal.payloads.keep_file(path)
        return Settled(number, (Key(f"key-{attempt}"),), (ref,), None, 8, 2.0), picture

    def apply(self, group: list[tuple[Entry, bytes]], run: int) -> None:
        """The group is true now."""
        model = self.model
        for entry, picture in group:
            match entry:
                case Intent():
                    model.open[run, entry.attempt] = 10
                case Settled():
                    del model.open[run, entry.attempt]
                    model.charged += 8
                    model.pictures[entry.keys[0]] = Paid(picture, 8)
                case Published():
                    model.shown[f"images/name-{entry.job}.png"] = picture
                case Void():
                    del model.open[run, entry.attempt]
                case Failed():
                    del model.open[run, entry.attempt]
                    model.charged += 1
                case Maybe():
                    del model.open[run, entry.attempt]
                    model.maybe += 9
                case _:
                    raise AssertionError
        model.rows |= self.sent_rows

    def written(self, group: list[tuple[Entry, bytes]], answers: list[Written]) -> None:
        """All answered well, or all with the same fault, and then the group waits to be written again."""
        if not group:
            return
        faults = {answer.fault for answer in answers}
        assert len(faults) <= 1
        if faults and faults != {None}:
            self.pending = group
            return
        self.apply(group, self.journal.run)
        for (entry, _), answer in zip(group, answers, strict=True):
            if isinstance(entry, Settled):
                self.refs[entry.keys[0]] = answer.files[0]

    @rule(data=st.data(), left=st.one_of(st.none(), st.integers(0, 25)))
    def append(self, data: st.DataObject, left: int | None) -> None:
        """What waited, and a new group, on a disk that may fail."""
        group, self.pending = self.pending or self.draw_group(data), []
        self.disk.arm(left, FAULT)
        answers = self.journal.append([entry for entry, _ in group])
        self.disk.arm(None, FAULT)
        self.written(group, answers)

    @rule(number=st.integers(0, 9))
    def row(self, number: int) -> None:
        """The caller's own state."""
        self.sent_rows[f"row-{number}"] = f"{self.number()}"
        self.journal.put_row(f"row-{number}", self.sent_rows[f"row-{number}"])

    @precondition(lambda self: self.refs)
    @rule(data=st.data(), left=st.one_of(st.none(), st.integers(0, 3)))
    def release(self, data: st.DataObject, left: int | None) -> None:
        """Nobody needs a held name any more; whether it goes or stays, its picture stays."""
        key = data.draw(st.sampled_from(sorted(self.refs)))
        self.disk.arm(left, FAULT)
        self.journal.release([self.refs[key]])
        self.disk.arm(None, FAULT)
        found = self.journal.look_up(key)
        assert found is not None
        self.refs[key] = found[1]

    @rule(data=st.data(), left=st.integers(0, 40), power=st.booleans(), links=st.booleans())
    def die(self, data: st.DataObject, left: int, power: bool, links: bool) -> None:
        """The process dies somewhere in a group, or the power goes; the folder is opened again, perhaps elsewhere."""
        group, self.pending = self.pending or self.draw_group(data), []
        self.disk.arm(left, DEATH)
        answered = False
        try:
            self.written(group, self.journal.append([entry for entry, _ in group]))
            answered = not self.pending
        except Died:
            pass
        run = self.journal.run
        self.live_again(power=power, links=links)
        self.pending = []
        if not answered and group and self.is_there(group[0][0], run):
            self.apply(group, run)
        self.recover()

    def draw_moves(self, data: st.DataObject) -> dict[str, str]:
        """Pictures that move on, each to another folder."""
        names = data.draw(st.lists(st.sampled_from(sorted(self.model.shown)), unique=True, max_size=3), "moves")
        moves: dict[str, str] = {}
        for name in names:
            folder, _, last = name.partition("/")
            others = sorted({"images", "originals", "superseded"} - {folder})
            moves[name] = f"{data.draw(st.sampled_from(others), 'folder')}/{last}"
        return moves

    def moved(self, moves: dict[str, str]) -> None:
        """The moves are true now, and so are rows that waited."""
        for old, new in moves.items():
            self.model.shown[new] = self.model.shown.pop(old)
        self.model.rows |= self.sent_rows

    @precondition(lambda self: self.model.shown)
    @rule(data=st.data(), left=st.one_of(st.none(), st.integers(0, 20)))
    def move(self, data: st.DataObject, left: int | None) -> None:
        """Shown pictures move on a disk that may fail: all of them or none."""
        moves = self.draw_moves(data)
        self.disk.arm(left, FAULT)
        try:
            self.journal.move_all(list(moves.items()))
        except (OSError, sqlite3.Error):
            pass
        else:
            self.moved(moves)
        finally:
            self.disk.arm(None, FAULT)

    @precondition(lambda self: self.model.shown)
    @rule(data=st.data(), left=st.integers(0, 25), power=st.booleans(), links=st.booleans())
    def die_moving(self, data: st.DataObject, left: int, power: bool, links: bool) -> None:
        """The process dies while pictures move: all of them did, or none; no old name is left."""
        moves = self.draw_moves(data)
        self.disk.arm(left, DEATH)
        try:
            self.journal.move_all(list(moves.items()))
            done = True
        except Died:
            done = False
        self.pending = []
        self.live_again(power=power, links=links)
        if done or any(name in self.shown_names() for name in moves.values()):
            self.moved(moves)
        self.recover()
        stale = [old for old in moves if old not in self.model.shown and (self.journal.folder / old).exists()]
        assert [] == stale

    def shown_names(self) -> set[str]:
        """The names that the tables say."""
        return {name for (name,) in self.journal._db.execute("SELECT file FROM published")}

    def live_again(self, *, power: bool, links: bool) -> None:
        """The folder is opened by another process, as a death left it or a loss of power."""
        self.lives += 1
        folder = self.home / str(self.lives)
        if power:
            self.disk.lose_power(self.journal.folder, folder)
        else:
            shutil.copytree(self.journal.folder, folder)
        self.old.append(self.journal)
        self.disk = FailingDisk(links=links)
        self.disk.synced = {path.stat().st_ino for path in folder.rglob("*")}
        self.journal = Journal.open(folder, disk=self.disk)

    def recover(self) -> None:
        """What was not durable is forgotten, and every paid picture is found."""
        self.sent_rows = dict(self.model.rows)
        self.refs = {}
        for key in self.model.pictures:
            found = self.journal.look_up(key)
            assert found is not None
            self.refs[key] = found[1]

    def is_there(self, entry: Entry, run: int) -> bool:
        """Whether an entry that was never answered reached the disk all the same: then its whole group did."""
        db = sqlite3.connect(self.journal.folder / "journal.sqlite")
        try:
            if isinstance(entry, Published):
                query, name = "SELECT count(*) FROM published WHERE run = ? AND job = ?", int(entry.job)
            elif isinstance(entry, Intent):
                query, name = "SELECT count(*) FROM attempts WHERE run = ? AND attempt = ?", int(entry.attempt)
            else:
                assert isinstance(entry, Settled | Void | Failed | Maybe)
                query = "SELECT count(*) FROM attempts WHERE run = ? AND attempt = ? AND ending IS NOT NULL"
                name = int(entry.attempt)
            return bool(db.execute(query, (run, name)).fetchone()[0])
        finally:
            db.close()

    @rule()
    def tell(self) -> None:
        """Orphans are told: each is booked as maybe with its quote, and what it left durable is kept."""
        for orphan in self.journal.orphans():
            kept = self.journal.resolve(orphan.run, orphan.attempt)
            self.model.rows |= self.sent_rows
            self.model.maybe += self.model.open.pop((orphan.run, orphan.attempt))
            for key in kept:
                assert key not in self.model.pictures
                found = self.journal.look_up(key)
                assert found is not None
                picture = b"\x89PNG\r\n\x1a\n" + str(orphan.attempt).encode() * 3
                assert picture == self.journal.payloads.read(found[1])
                self.model.pictures[key] = Paid(picture, 0)
                self.refs[key] = found[1]
        assert [] == self.journal.orphans()

    @invariant()
    def agrees(self) -> None:
        """Books, pictures, final names, rows and orphans are those of the model."""
        total = self.journal.balances().total
        earlier = {name: quote for name, quote in self.model.open.items() if name[0] < self.journal.run}
        assert (self.model.charged, self.model.maybe + sum(earlier.values())) == (total.charged, total.maybe)
        assert sorted(earlier) == [(orphan.run, orphan.attempt) for orphan in self.journal.orphans()]
        for key, paid in self.model.pictures.items():
            found = self.journal.look_up(key)
            assert found is not None
            assert paid.data == self.journal.payloads.read(found[1])
        for name, data in self.model.shown.items():
            assert data == (self.journal.folder / name).read_bytes()
        rows = self.journal.rows()
        assert self.model.rows | self.sent_rows == rows

    def teardown(self) -> None:
        """Close everything that is open."""
        for journal in [*self.old, self.journal]:
            journal._files.close()
            journal._db.close()
            journal._lock.close()
        shutil.rmtree(self.home)


JournalMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=25)
TestJournalMachine = JournalMachine.TestCase


def whole_group(folder: Path, payloads: Payloads, *, files: bool) -> list[Entry]:
    """Three pictures from intent to publication, their bytes in memory or in a sink's files."""
    group: list[Entry] = []
    for number in range(1, 4):
        key, job, attempt = Key(f"k{number}"), JobId(number), AttemptId(number)
        data = b"\x89PNG\r\n\x1a\n%d" % number
        ref = payloads.keep(data)
        if files:
            path = folder / "held" / f".tmp-sink-{number}"
            path.write_bytes(data)
            ref = payloads.keep_file(path)
        parts, lane = ((job, (0,)),), Lane("k", "m")
        group += [
            Intent(attempt, CallId(number), Purpose.GENERATE, "op", lane, (key,), parts, (("run",),), 9, 1.0),
            Settled(attempt, (key,), (ref,), None, 8, 2.0),
            Published(job, (key,), (ref,), 3.0),
        ]
    return group


def check_whole(journal: Journal) -> None:
    """The group is on the disk, and nothing else."""
    assert 24 == journal.balances().total.charged
    for number in range(1, 4):
        final = journal.folder / "images" / f"1-{number}-0.png"
        assert b"\x89PNG\r\n\x1a\n%d" % number == final.read_bytes()
        assert journal.look_up(Key(f"k{number}")) is not None


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("files", [True, False])
def test_every_operation_of_a_group_may_fail(tmp_path: Path, links: bool, files: bool) -> None:
    """One group with everything in it, failed at each operation in turn: taken back whole, and then written whole."""
    left, spent = 0, False
    while not spent:
        folder = tmp_path / str(left)
        disk = FailingDisk(links=links)
        with Journal.open(folder, disk=disk) as journal:
            group = whole_group(folder, journal.payloads, files=files)
            disk.arm(left, FAULT)
            first = journal.append(group)
            spent = disk.left is not None
            disk.arm(None, FAULT)
            faulted = first[0].fault is not None
            assert (0 if faulted else 24) == journal.balances().total.charged
            assert [first[0].fault] * 9 == [one.fault for one in first]
            again = journal.append(group) if faulted else first
            assert [None] * 9 == [one.fault for one in again]
            check_whole(journal)
        left += 1
    assert left > 10


@pytest.mark.parametrize("files", [True, False])
def test_what_is_answered_outlives_the_power(tmp_path: Path, files: bool) -> None:
    """Settled pictures, then published ones, stand on the disk when nothing more is synced."""
    disk = FailingDisk(links=True)
    with Journal.open(tmp_path / "before", disk=disk) as journal:
        group = whole_group(tmp_path / "before", journal.payloads, files=files)
        money = [entry for entry in group if not isinstance(entry, Published)]
        answers = journal.append(money)
        disk.lose_power(tmp_path / "before", tmp_path / "settled")
        with Journal.open(tmp_path / "settled") as later:
            for number in range(1, 4):
                found = later.look_up(Key(f"k{number}"))
                assert found is not None
                assert b"\x89PNG\r\n\x1a\n%d" % number == later.payloads.read(found[1])
        refs = [one.files[0] for one in answers if one.files]
        shown = [Published(JobId(n), (Key(f"k{n}"),), (ref,), 3.0) for n, ref in enumerate(refs, 1)]
        journal.append(shown)
        disk.lose_power(tmp_path / "before", tmp_path / "shown")
        with Journal.open(tmp_path / "shown") as later:
            check_whole(later)
