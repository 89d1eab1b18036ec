"""Large pictures in files beside a database: when they are compared with their sums, and what becomes of the files."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from penstock.ids import Key
from penstock.outcomes import Meta
from penstock_io.stores import StoreDamaged
from penstock_io.stores._rows import announce
from penstock_io.stores.sqlite import WITHIN, SqliteStore

A, B = Key("a"), Key("b")
PICTURE = bytes(range(256)) * 300
SPOILT = b"?" + PICTURE[1:]
DAY = 86_400.0


def lying(folder: Path, data: bytes = PICTURE) -> Path:
    """Where the file of a picture is."""
    name = sha256(data).hexdigest()
    return folder / "store-files" / name[:2] / name


def stored(folder: Path) -> Path:
    """A store with one picture, which another process wrote."""
    with SqliteStore(folder / "store") as store:
        store.write(A, Meta(), PICTURE)
    return lying(folder)


def unseen(path: Path, data: bytes) -> None:
    """Change bytes as a disk does that has gone bad: nothing else of the file is another, and its row knows it."""
    path.write_bytes(data)
    found = path.stat()
    looks = f"{found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
    with closing(sqlite3.connect(path.parents[2] / "store")) as db, db:
        (said,) = db.execute("SELECT looks FROM names").fetchone()
        db.execute("UPDATE names SET looks = ?", (f"{looks} {said.rpartition(' ')[2]}",))


def test_what_is_large_is_a_file_of_its_own(tmp_path: Path) -> None:
    """What is not is in the database; both count alike, and are their owner's alone."""
    with SqliteStore(tmp_path / "store") as store:
        store.write(A, Meta(), PICTURE)
        store.write(B, Meta(), PICTURE[:WITHIN])
        assert PICTURE == lying(tmp_path).read_bytes()
        assert not lying(tmp_path, PICTURE[:WITHIN]).exists()
        assert (2, len(PICTURE) + WITHIN) == (store.figures().entries, store.figures().nbytes)
        assert os.name == "nt" or (0o600, 0o700) == tuple(
            path.stat().st_mode & 0o777 for path in (lying(tmp_path), lying(tmp_path).parent)
        )
        store.write(A, Meta(), b"small now")
        assert not lying(tmp_path).exists()
        assert (Meta(), b"small now") == store.read(A)


@pytest.mark.parametrize("restored", [False, True])
def test_a_change_shows_on_the_first_hit(restored: bool, tmp_path: Path) -> None:
    """In any process, however soon after the picture was written, and also where the time of change was set back."""
    path = stored(tmp_path)
    before = path.stat()
    path.write_bytes(SPOILT)
    if restored:
        while path.stat().st_ctime_ns == before.st_ctime_ns or path.stat().st_mtime_ns != before.st_mtime_ns:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # until the system's clock has gone on
    with SqliteStore(tmp_path / "store") as store:
        with pytest.raises(StoreDamaged, match="its bytes have changed"):
            store.read(A)
        assert store.read(A) is None
    assert not path.exists()


def test_a_file_that_was_changed_a_moment_after_looks_otherwise(tmp_path: Path) -> None:
    """It was given a time of change that lies back: a write in the same moment of the system's clock shows, too."""
    path = stored(tmp_path)
    before = path.stat()
    assert before.st_mtime < before.st_ctime - 30
    with path.open("r+b") as file:
        file.write(b"?")
    assert path.stat().st_mtime > before.st_mtime + 30


def test_another_file_in_its_place_is_compared(tmp_path: Path) -> None:
    """A copy that looks as the file did is not it."""
    path = stored(tmp_path)
    before = path.stat()
    copy = tmp_path / "copy"
    copy.write_bytes(SPOILT)
    os.utime(copy, ns=(before.st_atime_ns, before.st_mtime_ns))
    copy.replace(path)
    with SqliteStore(tmp_path / "store") as store, pytest.raises(StoreDamaged, match="its bytes have changed"):
        store.read(A)


def test_what_does_not_show_is_found_within_a_week(tmp_path: Path) -> None:
    """And by whoever verifies the store, at once."""
    path = stored(tmp_path)
    unseen(path, SPOILT)
    now = path.stat().st_mtime + 10
    with SqliteStore(tmp_path / "store", clock=lambda: now) as store:
        assert (Meta(), SPOILT) == store.read(A)
        assert ["its bytes have changed"] == [damage.what for damage in store.verify()]
        now += 8 * DAY
        with pytest.raises(StoreDamaged, match="its bytes have changed"):
            store.read(A)


def test_a_clock_that_was_set_back_believes_nothing(tmp_path: Path) -> None:
    """What was compared in the future is compared again."""
    path = stored(tmp_path)
    unseen(path, SPOILT)
    with SqliteStore(tmp_path / "store", clock=lambda: 1e9) as store, pytest.raises(StoreDamaged):
        store.read(A)


def test_what_was_compared_is_known_to_others(tmp_path: Path) -> None:
    """A store that was copied is compared once: from then on its files look as they do."""
    path = stored(tmp_path)
    os.utime(path, (1e9, 1e9))
    now = path.stat().st_ctime + 60
    with SqliteStore(tmp_path / "store", clock=lambda: now) as store:
        assert (Meta(), PICTURE) == store.read(A)
    with closing(sqlite3.connect(tmp_path / "store")) as db:
        looks, compared = db.execute("SELECT looks, compared FROM names").fetchone()
    assert (str(10**18), now) == (looks.split()[2], compared)


def test_a_file_that_changes_now_is_not_believed(tmp_path: Path) -> None:
    """Within two seconds a further change might not show, so nothing is noted of what was compared then."""
    path = stored(tmp_path)
    os.utime(path)
    now = path.stat().st_ctime + 1
    with SqliteStore(tmp_path / "store", clock=lambda: now) as store:
        assert (Meta(), PICTURE) == store.read(A)
        assert {} == store._beside._compared
        now += 2
        assert (Meta(), PICTURE) == store.read(A)
        assert [1] == list(store._beside._compared)


def test_a_second_key_with_the_same_picture_leaves_the_first_believed(tmp_path: Path) -> None:
    """The file is another one by then, and both rows know it."""
    stored(tmp_path)
    with SqliteStore(tmp_path / "store") as store:
        store.write(B, Meta(), PICTURE)
        assert [PICTURE, PICTURE] == [found[1] for key in (A, B) if (found := store.read(key))]
        assert {} == store._beside._compared


def test_files_of_a_store_that_was_deleted_go(tmp_path: Path) -> None:
    """Whoever deletes the database and leaves its folder has them deleted by the next one that writes."""
    path = stored(tmp_path)
    (tmp_path / "store").unlink()
    with SqliteStore(tmp_path / "store") as store:
        assert store.read(A) is None
        store.write(B, Meta(), b"small")
        assert not path.exists()


def test_a_folder_that_was_deleted_costs_pictures(tmp_path: Path) -> None:
    """Each is damage once, then a miss; what is small is there."""
    path = stored(tmp_path)
    with SqliteStore(tmp_path / "store") as store:
        store.write(B, Meta(), b"small")
        path.unlink()
        path.parent.rmdir()
        (tmp_path / "store-files").rmdir()
        with pytest.raises(StoreDamaged, match="its file is gone"):
            store.read(A)
        assert store.read(A) is None
        assert (Meta(), b"small") == store.read(B)
        store.write(A, Meta(), PICTURE)
        assert (Meta(), PICTURE) == store.read(A)


def test_a_crash_leaves_no_file_although_another_wrote_meanwhile(tmp_path: Path) -> None:
    """What another one writes before the file has its name leaves the note of it: whoever comes next deletes it."""
    with SqliteStore(tmp_path / "store") as store, SqliteStore(tmp_path / "store") as other:
        db = store._connected()
        unnamed = store._beside.begun(PICTURE)
        announce(db, [unnamed.name])
        other.write(B, Meta(), b"meanwhile")
        db.execute("BEGIN IMMEDIATE")
        store._beside.named(unnamed)
        db.execute("ROLLBACK")  # as whoever comes next does for a process that was killed
        assert lying(tmp_path).exists()
        other.write(B, Meta(), b"next")
        assert not lying(tmp_path).exists()
        assert [] == db.execute("SELECT * FROM gone").fetchall()


def test_what_was_never_finished_goes_while_a_store_is_open(tmp_path: Path) -> None:
    """Once ten minutes have passed since it looked for it last; what another one may be writing stays."""
    stored(tmp_path)
    with SqliteStore(tmp_path / "store") as store:
        store.write(A, Meta(), PICTURE)
        for name in ("unfinished-old", "unfinished-new"):
            (tmp_path / "store-files" / name).write_bytes(b"half")
        os.utime(tmp_path / "store-files" / "unfinished-old", (1, 1))
        store._beside._swept -= 601.0
        store.write(B, Meta(), PICTURE)
        assert ["unfinished-new"] == [path.name for path in (tmp_path / "store-files").glob("unfinished-*")]


def test_what_cannot_be_deleted_is_in_nobodys_way(tmp_path: Path) -> None:
    """A folder that somebody put in a file's place stays noted: the picture is damaged, and all else goes on."""
    path = stored(tmp_path)
    path.unlink()
    path.mkdir()
    with SqliteStore(tmp_path / "store") as store:
        with pytest.raises(StoreDamaged, match="bytes of"):
            store.read(A)
        assert store.read(A) is None
        store.write(B, Meta(), b"small")
        assert store.delete(B)
        path.rmdir()
        store.write(B, Meta(), b"small")
        assert [] == store._connected().execute("SELECT * FROM gone").fetchall()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_nobody_waits_for_a_pipe_in_a_files_place(tmp_path: Path) -> None:
    """It is not what was written."""
    path = stored(tmp_path)
    path.unlink()
    os.mkfifo(path)
    with SqliteStore(tmp_path / "store") as store, pytest.raises(StoreDamaged, match="0 bytes of"):
        store.read(A)


@pytest.mark.skipif(os.name == "nt", reason="links are for administrators")
def test_a_link_to_a_store_is_that_store(tmp_path: Path) -> None:
    """Whichever name it is opened by, its files are in one folder, and nobody drops what another one wrote."""
    stored(tmp_path)
    (tmp_path / "link").symlink_to("store")
    with SqliteStore(tmp_path / "link") as link, SqliteStore(tmp_path / "store") as store:
        assert (Meta(), PICTURE) == link.read(A)
        link.write(B, Meta(), PICTURE[1:])
        assert (Meta(), PICTURE[1:]) == store.read(B)
    assert ["link", "store", "store-files"] == sorted(path.name for path in tmp_path.iterdir())


def test_a_store_stays_where_it_was_when_the_process_moves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path is of the folder that the process was in when it made the store."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with SqliteStore("store") as store:
        store.write(A, Meta(), PICTURE)
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert (Meta(), PICTURE) == store.read(A)
    assert [] == list((tmp_path / "elsewhere").iterdir())


def test_files_beside_a_database_of_another_day_are_tidied_up(tmp_path: Path) -> None:
    """A restored database names no file that was written later; what it names stays."""
    path = stored(tmp_path)
    shutil.copy(tmp_path / "store", tmp_path / "backup")
    with SqliteStore(tmp_path / "store") as store:
        store.write(B, Meta(), PICTURE[1:])
    (tmp_path / "backup").replace(tmp_path / "store")
    with SqliteStore(tmp_path / "store") as store:
        assert lying(tmp_path, PICTURE[1:]).exists()
        young = store._beside.begun(PICTURE[2:])
        assert (1, 1, 0, 0) == (store.litter(), store.tidy(), store.litter(), store.tidy())
        os.utime(young.path, (0.0, 0.0))
        assert (1, 1, 0) == (store.litter(), store.tidy(), store.litter())
        assert (True, False) == (path.exists(), lying(tmp_path, PICTURE[1:]).exists())
        assert (Meta(), PICTURE) == store.read(A)
