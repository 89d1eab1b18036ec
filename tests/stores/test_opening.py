"""The file of a store that is deleted, replaced, may only be read, or lies on a disk that is full."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from penstock.ids import Key
from penstock.outcomes import Meta
from penstock_io.stores import StoreDamaged, StoreFault
from penstock_io.stores._opening import _to_read
from penstock_io.stores._rows import Row
from penstock_io.stores._tables import INSIDE
from penstock_io.stores.sqlite import SqliteStore

if sys.platform != "win32":
    import fcntl

A, B = Key("a"), Key("b")
LARGE = bytes(range(256)) * 300
NOBODY = 65534


def test_a_file_that_was_deleted_is_made_anew(tmp_path: Path) -> None:
    """Nobody goes on in a file without a name: who had it open and who comes later have one store."""
    with SqliteStore(tmp_path / "file") as one, SqliteStore(tmp_path / "file") as two:
        one.write(A, Meta(), b"picture")
        assert one.claim(A, "one", 60.0) is None
        (tmp_path / "file").unlink()
        assert two.claim(A, "two", 60.0) is None
        left = one.claim(A, "one", 60.0)
        assert left is not None
        assert 0.0 < left <= 60.0
        assert one.read(A) is None
        two.write(B, Meta(), b"new")
        assert (Meta(), b"new") == one.read(B)
        assert [] == [*one.verify(), *two.verify()]
        assert (0, 0) == (one.figures().faults, two.figures().faults)


def test_a_file_that_was_replaced_is_read_from_then_on(tmp_path: Path) -> None:
    """As by a copy of another day; what was used of the old one is not noted in it."""
    with SqliteStore(tmp_path / "other") as other:
        other.write(B, Meta(), b"other")
    with SqliteStore(tmp_path / "file") as store:
        store.write(A, Meta(), b"picture")
        assert store.read(A) is not None
        (tmp_path / "other").replace(tmp_path / "file")
        assert store.read(A) is None
        assert (Meta(), b"other") == store.read(B)
        assert [] == list(store.verify())


@pytest.mark.skipif(sys.platform == "win32", reason="a folder has no lock there")
def test_who_makes_a_store_takes_no_log_of_another_away(tmp_path: Path) -> None:
    """Two come at the same time: whoever is second finds what the first has made, and what he has in his log."""
    with SqliteStore(tmp_path / "made") as made:
        made.write(A, Meta(), b"picture")
    file = tmp_path / "folder" / "file"
    file.parent.mkdir()
    turn = os.open(file.parent, os.O_RDONLY)
    fcntl.flock(turn, fcntl.LOCK_EX)
    with ThreadPoolExecutor(1) as pool, SqliteStore(file) as second, SqliteStore(file) as first:
        found = pool.submit(second.read, A)
        while not list(file.parent.glob("*.new")):
            assert not found.done()
        assert {False} == {file.exists() for _ in range(20_000)}  # it waits for its turn
        os.link(tmp_path / "made", file)
        first.write(B, Meta(), b"in the log")
        os.close(turn)
        assert (Meta(), b"picture") == found.result(timeout=60)
        assert (Meta(), b"in the log") == second.read(B) == first.read(B)
        assert (0, 0) == (first.figures().faults, second.figures().faults)


def test_a_log_that_a_deleted_file_left_is_not_read(tmp_path: Path) -> None:
    """A process has it open, its file is deleted and its log is not: the new one begins empty, and stays sound."""
    with SqliteStore(tmp_path / "file") as one:
        one.write(A, Meta(), b"picture")
        assert (tmp_path / "file-wal").stat().st_size > 0
        (tmp_path / "file").unlink()
        with SqliteStore(tmp_path / "file") as two:
            assert two.read(A) is None
            two.write(B, Meta(), b"new")
            one.close()
            assert (Meta(), b"new") == two.read(B)
            assert [] == list(two.verify())
    with SqliteStore(tmp_path / "file") as three:
        assert [B] == [entry.key for entry in three.entries()]


@contextmanager
def unwritable() -> Generator[Path]:
    """A folder with a store of two pictures, in which this user may write nothing."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        with SqliteStore(folder / "file") as store:
            store.write(A, Meta(), b"picture")
            store.write(B, Meta(), LARGE)
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        for path in (*folder.rglob("*"), folder):
            path.chmod(0o555 if path.is_dir() else 0o444)
        if root:
            os.seteuid(NOBODY)
        try:
            yield folder
        finally:
            if root:
                os.seteuid(0)
            for path in (folder, *folder.rglob("*")):
                path.chmod(0o700)


@pytest.mark.skipif(os.name == "nt", reason="folders of Windows know no such mode")
def test_what_may_only_be_read_is_read(tmp_path: Path) -> None:
    """Hits, lists and figures; a write is a fault that says why, and so is a lease. Nothing is left beside it."""
    del tmp_path
    with unwritable() as folder:
        before = sorted(folder.rglob("*"))
        with SqliteStore(folder / "file") as store:
            assert (Meta(), b"picture") == store.read(A)
            assert (Meta(), LARGE) == store.read(B)
            assert {A, B} == {entry.key for entry in store.entries()} == store.held({A, B, Key("c")})
            assert [] == list(store.verify())
            for change in (
                lambda: store.write(A, Meta(), b"new"),
                lambda: store.write(B, Meta(), LARGE + b"new"),
                lambda: store.claim(A, "one", 60.0),
                lambda: store.delete(A),
            ):
                with pytest.raises(StoreFault, match=r"may only be read|may not read and write"):
                    change()
            assert (2, 4, 2) == (store.figures().entries, store.figures().faults, store.figures().hits)
        assert before == sorted(folder.rglob("*"))


@pytest.mark.skipif(os.name == "nt", reason="folders of Windows know no such mode")
def test_damage_that_may_only_be_read_is_damage(tmp_path: Path) -> None:
    """It is told as such, and not served, although it cannot be dropped."""
    del tmp_path
    with unwritable() as folder:
        if os.geteuid() == NOBODY:
            os.seteuid(0)
        (path,) = (path for path in (folder / "file-files").rglob("*") if path.is_file())
        path.chmod(0o600)
        path.write_bytes(b"?" + LARGE[1:])
        path.chmod(0o444)
        if os.getuid() == 0:
            os.seteuid(NOBODY)
        with SqliteStore(folder / "file") as store:
            for _ in range(2):
                with pytest.raises(StoreDamaged, match="its bytes have changed"):
                    store.read(B)


def test_who_only_reads_sees_what_others_write(tmp_path: Path) -> None:
    """A file that had rested when it was opened to be read is opened again once somebody writes."""
    path = tmp_path / "file"
    with SqliteStore(path) as store:
        store.write(A, Meta(), b"picture")
    found = _to_read(path, INSIDE)
    assert (found.settled, True) == (True, found.current(path))
    with SqliteStore(path) as store:
        store.write(B, Meta(), b"new")
        assert not found.current(path)
        found.db.close()
        found = _to_read(path, INSIDE)
        assert (found.settled, True) == (False, found.current(path))
        assert (2,) == found.db.execute("SELECT COUNT(*) FROM pictures").fetchone()
    found.db.close()


class Small(SqliteStore):
    """On a disk with so little room that a log of more than `room` bytes fills it."""

    room = 0

    def _flush(self, db: sqlite3.Connection) -> None:
        """Whatever is written begins here."""
        if self.path.with_name(f"{self.path.name}-wal").stat().st_size > self.room:
            full = sqlite3.OperationalError("database or disk is full")
            full.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise full
        super()._flush(db)


def test_a_full_disk_is_helped_by_writing_back_the_log(tmp_path: Path) -> None:
    """The log of leases may be what fills it: it is written back, and what failed is tried once more."""
    with Small(tmp_path / "file") as store:
        for number in range(20):
            assert store.claim(Key(str(number)), "one", 60.0) is None
        assert (tmp_path / "file-wal").stat().st_size > 10_000
        store.write(A, Meta(), b"picture")
        assert (Meta(), b"picture") == store.read(A)
        assert 0 == store.figures().faults


def test_what_a_full_disk_cannot_replace_is_not_served(tmp_path: Path) -> None:
    """A new picture was wanted: the old one goes, though the new one cannot be stored, and deleting works."""
    with Small(tmp_path / "file") as store:
        store.room = 1 << 30
        for key in (A, B):
            store.write(key, Meta(), b"old")
        store.room = -1
        with pytest.raises(StoreFault, match="there is no room left on its disk"):
            store.write(A, Meta(), b"new")
        assert store.read(A) is None
        assert store.delete(B)
        assert 1 == store.figures().faults


class Stuffed(SqliteStore):
    """On a disk that has no room for anything as long as its file is there."""

    file: Path

    def _delete(self, db: sqlite3.Connection, key: Key) -> Row | None:
        """It takes a note."""
        if self.file.exists():
            full = sqlite3.OperationalError("database or disk is full")
            full.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise full
        return super()._delete(db, key)


def test_deleting_makes_the_room_that_it_takes(tmp_path: Path) -> None:
    """The file goes first where there is none for the note; one that another key has stays."""
    with Stuffed(tmp_path / "file") as store:
        store.file = store._beside.file(sha256(LARGE).hexdigest())
        store.write(A, Meta(), LARGE)
        assert store.delete(A)
        assert store.read(A) is None
        for key in (A, B):
            store.write(key, Meta(), LARGE)
        with pytest.raises(StoreFault, match="there is no room left on its disk"):
            store.delete(A)
        assert (Meta(), LARGE) == store.read(B)


NO_ROOM = """
import resource
from pathlib import Path
from penstock.ids import Key
from penstock.outcomes import Meta
from penstock_io.stores import StoreFault
from penstock_io.stores.sqlite import SqliteStore

def said(*asked):
    try:
        return asked[0](*asked[1:])
    except StoreFault as fault:
        return str(fault).partition(": ")[2]

hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (16384, hard))
with SqliteStore("file") as store:
    print(len(store.read(Key("b"))[1]), store.figures().entries, len(list(store.entries())), list(store.verify()))
    print(said(store.write, Key("a"), Meta(), b"new"))
    print(said(store.claim, Key("a"), "one", 60.0))
    print(said(store.delete, Key("b")), len([path for path in Path("file-files").rglob("*") if path.is_file()]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    print(store.delete(Key("b")), store.write(Key("a"), Meta(), b"new"), store.read(Key("a"))[1])
"""


@pytest.mark.skipif(os.name == "nt", reason="no bound on the length of files")
def test_a_disk_without_room_for_a_log_is_read(tmp_path: Path) -> None:
    """Hits and lists go on, a deletion makes room by its file, and once there is some it is written to again."""
    with SqliteStore(tmp_path / "file") as store:
        store.write(A, Meta(), b"picture")
        store.write(B, Meta(), LARGE)
    full = "there is no room left on its disk; make room, or name another place"
    ran = subprocess.run([sys.executable, "-c", NO_ROOM], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert [f"{len(LARGE)} 2 2 []", full, full, f"{full} 0", "True None b'new'"] == ran.stdout.splitlines()
