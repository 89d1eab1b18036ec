"""The store in one SQLite file: what is its own, and what may be wrong with a file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Thread

import pytest

from penstock.ids import Key
from penstock.outcomes import Meta
from penstock_io.stores import Leasing, StoreDamaged, StoreFault
from penstock_io.stores.sqlite import WITHIN, SqliteStore

A, B, C = Key("a"), Key("b"), Key("c")


def still() -> float:
    """A clock that stands."""
    return 0.0


def test_nothing_is_opened_before_it_is_asked(tmp_path: Path) -> None:
    """A folder that is not there is made with the first question, and the file belongs to its owner alone."""
    path = tmp_path / "deep" / "pictures.sqlite"
    with SqliteStore(path) as store:
        assert not path.parent.exists()
        assert store.read(A) is None
        assert ["pictures.sqlite"] == [p.name for p in path.parent.iterdir() if not p.name.endswith(("-wal", "-shm"))]
        assert os.name == "nt" or 0o600 == path.stat().st_mode & 0o777
    assert isinstance(store, Leasing)


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    """As `mktemp` makes one."""
    path = tmp_path / "empty"
    path.touch()
    with SqliteStore(path) as store:
        store.write(A, Meta(), b"picture")
        assert (Meta(), b"picture") == store.read(A)


def of_another_program(path: Path) -> None:
    """A database with tables of somebody else's."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE theirs (it TEXT)")


def of_a_later_version(path: Path) -> None:
    """A store whose tables this one does not know."""
    with SqliteStore(path) as store:
        store.read(A)
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 3")


def of_no_database(path: Path) -> None:
    """Bytes of anything."""
    path.write_bytes(b"these are no pages of any database" * 3000)


def cut_off(path: Path) -> None:
    """A store without its second half."""
    with SqliteStore(path) as store:
        for number in range(20):
            store.write(Key(str(number)), Meta(), bytes(60_000))
    os.truncate(path, path.stat().st_size // 2)


def a_folder(path: Path) -> None:
    """No file at all."""
    path.mkdir()


def read_all(store: SqliteStore) -> None:
    """Ask for what `cut_off` wrote."""
    for number in range(20):
        store.read(Key(str(number)))


@pytest.mark.parametrize(
    ("made", "words", "damaged"),
    [
        (of_another_program, "is a database, but no store of this kind: name another file", False),
        (of_a_later_version, "has schema 3; this penstock knows 2: name another file", False),
        (of_no_database, "is damaged .*: end what uses it and delete it", True),
        (cut_off, "is damaged .*: end what uses it and delete it", True),
        (a_folder, "cannot be used", False),
    ],
)
def test_a_file_that_cannot_be_used_is_told_and_counted(
    made: Callable[[Path], None], words: str, damaged: bool, tmp_path: Path
) -> None:
    """Each question about it says what it is and what to do; nothing of it is changed or served."""
    path = tmp_path / "file"
    made(path)
    before = path.read_bytes() if path.is_file() else b""
    store = SqliteStore(path)
    for _ in range(2):
        with pytest.raises(StoreFault, match=words) as told:
            read_all(store)
        assert damaged == isinstance(told.value, StoreDamaged)
    assert 2 == store._faults
    store.close()
    assert before == (path.read_bytes() if path.is_file() else b"")


def test_it_goes_on_where_the_fault_is_gone(tmp_path: Path) -> None:
    """A file that was damaged and deleted is made anew by whoever asks next."""
    path = tmp_path / "file"
    of_no_database(path)
    with SqliteStore(path) as store:
        with pytest.raises(StoreDamaged):
            store.read(A)
        path.unlink()
        store.write(A, Meta(), b"picture")
        assert (Meta(), b"picture") == store.read(A)


def test_two_who_have_it_open_see_each_other(tmp_path: Path) -> None:
    """Writes, deletions, leases, and who was used last."""
    with (
        SqliteStore(tmp_path / "file", max_bytes=10, clock=still) as one,
        SqliteStore(tmp_path / "file", clock=still) as two,
    ):
        one.write(A, Meta(), bytes(4))
        one.write(B, Meta(), bytes(4))
        assert two.read(A) is not None
        two.close()
        one.write(C, Meta(), bytes(4))
        assert [True, False, True] == [two.read(key) is not None for key in (A, B, C)]
        assert one.claim(A, "one", 5) is None
        assert 5.0 == two.claim(A, "two", 5)
        assert two.delete(A)
        assert one.read(A) is None
        assert 1 == two.figures().evictions


def test_a_busy_file_is_a_fault_after_its_wait(tmp_path: Path) -> None:
    """Reads go on while another writes; a write that may not wait says why it failed, and works later."""
    with SqliteStore(tmp_path / "file", wait=0.0) as store:
        store.write(A, Meta(), b"old")
        with closing(sqlite3.connect(tmp_path / "file", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert (Meta(), b"old") == store.read(A)
            with pytest.raises(StoreFault, match="another program has its database open"):
                store.write(A, Meta(), b"new")
            other.execute("ROLLBACK")
        store.write(A, Meta(), b"new")
        assert (Meta(), b"new") == store.read(A)
        assert 1 == store.figures().faults


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("UPDATE pictures SET meta = CAST('{}' AS BLOB)", "what is known of it has changed"),
        ("UPDATE pictures SET expires = 1e12", "what is known of it has changed"),
        ("DELETE FROM bytes", "its bytes are gone"),
        ("UPDATE bytes SET data = NULL", "its bytes are gone"),
        ("UPDATE bytes SET data = x'00'", "1 bytes of 7 are there"),
    ],
)
def test_a_row_that_was_changed_is_damage(change: str, words: str, tmp_path: Path) -> None:
    """Not only bytes have a sum: a price, a time and a key have one, too."""
    path = tmp_path / "file"
    with SqliteStore(path) as store:
        store.write(A, Meta(size="1x1"), b"picture")
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("PRAGMA ignore_check_constraints = ON")
            db.execute("PRAGMA writable_schema = ON")
            db.execute("UPDATE sqlite_master SET sql = replace(sql, 'data BLOB NOT NULL', 'data BLOB')")
        with closing(sqlite3.connect(path)) as db, db:
            db.execute(change)
        assert words in [damage.what for damage in store.verify()]
        with pytest.raises(StoreDamaged, match=words):
            store.read(A)
        assert store.read(A) is None


def test_expired_pictures_go_with_writes(tmp_path: Path) -> None:
    """Nobody has to ask for them again; they are counted apart from those that made room."""
    now = 0.0
    with SqliteStore(tmp_path / "file", max_bytes=10, clock=lambda: now) as store:
        store.write(A, Meta(), bytes(4), 1)
        store.write(B, Meta(), bytes(4))
        now = 2.0
        store.write(C, Meta(), bytes(4))
        figures = store.figures()
        assert (2, 8, 1, 0) == (figures.entries, figures.nbytes, figures.expired, figures.evictions)
        store.write(A, Meta(), bytes(11))
        store.write(A, Meta(), bytes(4))
        assert 1 == store.figures().evictions
        assert store.read(B) is None


@pytest.mark.parametrize("within", [WITHIN, 1 << 30])
def test_deleting_gives_the_disk_its_room_back(within: int, tmp_path: Path) -> None:
    """The file shrinks, and those beside it go."""

    def there() -> int:
        return sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())

    with SqliteStore(tmp_path / "file", within=within) as store:
        for number in range(4):
            store.write(Key(str(number)), Meta(), bytes([number]) * 3_000_000)
    full = there()
    with SqliteStore(tmp_path / "file", within=within) as store:
        assert all(store.delete(Key(str(number))) for number in range(4))
    assert 12_000_000 < full
    assert 2_200_000 > there()


def test_many_threads_may_ask(tmp_path: Path) -> None:
    """They wait for each other."""
    with SqliteStore(tmp_path / "file") as store:
        wrong: list[Key] = []

        def work(name: str) -> None:
            for number in range(20):
                key = Key(f"{name}{number}")
                store.write(key, Meta(), key.encode())
                if store.read(key) != (Meta(), key.encode()):
                    wrong.append(key)

        threads = [Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [] == wrong
        assert 80 == store.figures().entries


def test_many_reads_are_noted_together(tmp_path: Path) -> None:
    """Also where nothing is ever written: another who opens it later knows what was used last."""
    path = tmp_path / "file"
    with SqliteStore(path, clock=still) as store:
        for key in (A, B):
            store.write(key, Meta(), bytes(4))
        for number in range(300):
            store.write(Key(str(number)), Meta(), b"")
        for number in range(300):
            store.read(Key(str(number)))
        store.read(A)
    with SqliteStore(path, max_bytes=10, clock=still) as store:
        store.write(C, Meta(), bytes(4))
        assert [True, False] == [store.read(key) is not None for key in (A, B)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_opens_the_file_for_itself(tmp_path: Path) -> None:
    """A connection is never used on both sides of a fork; what the parent has open stays whole."""
    with SqliteStore(tmp_path / "file") as store:
        store.write(A, Meta(), b"picture")
        mine = store._opened
        child = os.fork()
        if not child:
            store.write(B, Meta(), b"of the child")
            its_own = store._opened is not mine
            store.close()
            os._exit(0 if its_own else 1)
        assert (child, 0) == os.waitpid(child, 0)
        assert (Meta(), b"picture") == store.read(A)
        assert (Meta(), b"of the child") == store.read(B)
        assert [] == list(store.verify())
