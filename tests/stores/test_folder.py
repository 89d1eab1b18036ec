"""A batch's folder as a store for others: read as its journal says, and left as it is."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from penstock.ids import Key
from penstock_io.journal import Journal
from penstock_io.stores import Holding, Keeping, Lasting, Leasing, Store, StoreDamaged, StoreFault
from penstock_io.stores.folder import FolderStore
from penstock_io.stores.names import store_named
from penstock_io.stores.sqlite import SqliteStore
from penstock_io.stores.tiered import Tiered
from tests.test_journal import buy
from tests.test_journal_peek import everything

A, B, C = Key("a"), Key("b"), Key("c")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a batch that bought two pictures."""
    with Journal.open(tmp_path / "batch") as journal:
        buy(journal, 1, "a")
        buy(journal, 2, "b")
    return tmp_path / "batch"


def file_of(folder: Path, key: Key) -> Path:
    """Where the journal says that a picture is."""
    with closing(sqlite3.connect(folder / "journal.sqlite")) as db:
        (name,) = db.execute("SELECT file FROM pictures WHERE key = ?", (key,)).fetchone()
    return folder / str(name)


def test_its_pictures_are_read(folder: Path) -> None:
    """With what they cost and when they were made; nothing else is there, and no file is made or changed."""
    before = everything(folder)
    store = store_named(str(folder))
    able: object = store
    assert isinstance(store, FolderStore)
    assert [True, True, True, True, False] == [
        isinstance(able, one) for one in (Store, Keeping, Holding, Lasting, Leasing)
    ]
    found = store.read(A)
    assert found is not None
    assert (file_of(folder, A).read_bytes(), 90) == (found[1], found[0].cost)
    assert store.read(C) is None
    assert ({A, B}, [A, B]) == (store.held([A, B, C]), [entry.key for entry in store.entries()])
    assert (None, 0.0, []) == (store.lasts(A), store.lasts(C), list(store.verify()))
    store.write(C, found[0], b"new")
    assert store.read(C) is None
    figures = store.figures()
    assert (2, 1, 2, 0) == (figures.entries, figures.hits, figures.misses, figures.faults)
    with pytest.raises(StoreFault, match="is the folder of a batch, and keeps its pictures"):
        store.delete(A)
    store.close()
    assert before == everything(folder)


def test_a_batch_may_be_at_work_in_it(tmp_path: Path) -> None:
    """What it bought a moment ago is there, and it is not disturbed."""
    with Journal.open(tmp_path) as journal, FolderStore(tmp_path) as store:
        for number, key in enumerate((A, B, C), 1):
            assert store.read(key) is None
            buy(journal, number, key)
            assert store.read(key) is not None


def test_behind_a_store_it_is_copied_from(folder: Path, tmp_path: Path) -> None:
    """What is found there is in the store from then on."""
    with SqliteStore(tmp_path / "store") as own:
        assert Tiered(own, FolderStore(folder)).read(A) is not None
        assert own.read(A) is not None


def gone(path: Path) -> None:
    """No file."""
    path.unlink()


def cut(path: Path) -> None:
    """A file without its end."""
    os.truncate(path, path.stat().st_size - 1)


@pytest.mark.parametrize(("how", "words"), [(gone, "its file is gone"), (cut, r"\d+ bytes of \d+ are there")])
def test_a_file_that_is_not_whole_is_damage(how: Callable[[Path], None], words: str, folder: Path) -> None:
    """It is told, is not counted as there, and the other one is read."""
    how(file_of(folder, A))
    store = FolderStore(folder)
    with pytest.raises(StoreDamaged, match=words):
        store.read(A)
    assert store.read(B) is not None
    assert ({B}, [A]) == (store.held([A, B]), [damage.key for damage in store.verify()])
    assert 1 == store.figures().faults


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", ""])
def test_no_name_leads_out_of_the_folder(name: str, folder: Path) -> None:
    """A journal that was changed names no other file of this machine."""
    (folder.parent / "secret").write_bytes(b"secret")
    with closing(sqlite3.connect(folder / "journal.sqlite")) as db, db:
        db.execute("UPDATE pictures SET file = ?, nbytes = 6 WHERE key = 'a'", (name,))
    with pytest.raises(StoreDamaged, match="its file's name has changed"):
        FolderStore(folder).read(A)


def test_a_journal_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    """It says what it is; so does one that is not there any more."""
    (tmp_path / "journal.sqlite").write_bytes(b"no database of anybody's" * 1000)
    store = FolderStore(tmp_path)
    with pytest.raises(StoreFault, match="it is damaged, or no database"):
        store.read(A)
    (tmp_path / "journal.sqlite").unlink()
    with pytest.raises(StoreFault, match="holds no journal"):
        store.read(A)
    assert [] == list(tmp_path.iterdir())
    (tmp_path / "journal.sqlite").touch()
    with pytest.raises(StoreFault, match="holds an empty journal"):
        store.held([A])
    assert 3 == store._faults
