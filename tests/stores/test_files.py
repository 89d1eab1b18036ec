"""Pictures as files under their own digests."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest

from penstock.ids import Key
from penstock.outcomes import Meta
from penstock_io.stores import StoreDamaged
from penstock_io.stores._rows import Row
from penstock_io.stores.files import INDEX, FilesStore

A, B, C = Key("a"), Key("b"), Key("c")
PICTURE = b"picture"
NAME = sha256(PICTURE).hexdigest()


def names(folder: Path) -> list[str]:
    """The files of pictures, below the folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.name.startswith(INDEX))


def test_two_keys_with_the_same_picture_share_a_file(tmp_path: Path) -> None:
    """It is there once, under the SHA-256 of its bytes, as long as one of them has it; each counts with its bytes."""
    with FilesStore(tmp_path) as store:
        store.write(A, Meta(size="a"), PICTURE)
        store.write(B, Meta(size="b"), PICTURE)
        assert [NAME[:2], f"{NAME[:2]}/{NAME}"] == names(tmp_path)
        assert PICTURE == store.file(NAME).read_bytes()
        assert (2, 14) == (store.figures().entries, store.figures().nbytes)
        assert store.delete(A)
        assert (Meta(size="b"), PICTURE) == store.read(B)
        store.write(B, Meta(), b"another")
        assert [sha256(b"another").hexdigest()] == [name[3:] for name in names(tmp_path) if "/" in name]
        assert store.delete(B)
        assert [] == [name for name in names(tmp_path) if "/" in name]


def test_what_makes_room_takes_its_file_along(tmp_path: Path) -> None:
    """A full folder has no files that nobody names, and one too large for it leaves none."""
    with FilesStore(tmp_path, max_bytes=10) as store:
        for number in range(5):
            store.write(Key(str(number)), Meta(), bytes([number] * 4))
        store.write(C, Meta(), bytes(11))
        kept = {sha256(bytes([number] * 4)).hexdigest() for number in (3, 4)}
        assert kept == {name[3:] for name in names(tmp_path) if "/" in name}
        assert 3 == store.figures().evictions


def test_a_file_that_is_gone_is_damage_of_its_keys(tmp_path: Path) -> None:
    """And writing the picture again mends it for all of them."""
    with FilesStore(tmp_path) as store:
        for key in (A, B, C):
            store.write(key, Meta(), PICTURE)
        store.file(NAME).unlink()
        assert ["its file is gone"] * 3 == [damage.what for damage in store.verify()]
        with pytest.raises(StoreDamaged, match="its file is gone"):
            store.read(A)
        store.write(B, Meta(), PICTURE)
        assert (Meta(), PICTURE) == store.read(C)
        assert store.read(A) is None


def test_what_is_replaced_while_it_is_read_is_no_damage(tmp_path: Path) -> None:
    """Another process writes a new picture and deletes the old file between the two looks: the new one is read."""

    class Slow(FilesStore):
        """Somebody else is quicker, once."""

        other: FilesStore | None = None

        def _bytes(self, db: sqlite3.Connection, row: Row) -> bytes:
            """Let him go first."""
            other, self.other = self.other, None
            if other is not None:
                other.write(A, Meta(), b"new")
            return super()._bytes(db, row)

    with Slow(tmp_path) as store, FilesStore(tmp_path) as other:
        store.write(A, Meta(), PICTURE)
        store.other = other
        assert (Meta(), b"new") == store.read(A)
        store.other = other
        assert [] == list(store.verify())
        assert 0 == store.figures().faults


def test_writing_again_mends_a_file_that_was_changed(tmp_path: Path) -> None:
    """The name says what its bytes have to be, so what is written takes the place of what is there."""
    with FilesStore(tmp_path) as store:
        store.write(A, Meta(), PICTURE)
        store.file(NAME).write_bytes(b"PICTURE")
        store.write(B, Meta(), PICTURE)
        assert (Meta(), PICTURE) == store.read(A)


@pytest.mark.parametrize("name", [b"../../etc/passwd", b"", b"\xff", NAME.upper().encode(), f"{NAME}\n".encode()])
def test_no_name_leads_out_of_the_folder(name: bytes, tmp_path: Path) -> None:
    """An index that was changed names no other file of this machine."""
    with FilesStore(tmp_path) as store:
        store.write(A, Meta(), PICTURE)
        with closing(sqlite3.connect(tmp_path / INDEX)) as db, db:
            db.execute("UPDATE names SET name = ?", (name,))
        with pytest.raises(StoreDamaged, match="its file's name has changed"):
            store.read(A)
        store.write(B, Meta(), PICTURE)
        assert (Meta(), PICTURE) == store.read(B)


def test_what_was_never_finished_is_swept_away_a_day_later(tmp_path: Path) -> None:
    """A process that was killed while it wrote leaves a file that nobody names; one that still writes keeps its own."""
    with FilesStore(tmp_path) as store:
        store.read(A)
    for name in ("unfinished-old", "unfinished-new"):
        (tmp_path / name).write_bytes(PICTURE)
    os.utime(tmp_path / "unfinished-old", (1, 1))
    with FilesStore(tmp_path) as store:
        store.write(A, Meta(), PICTURE)
    assert ["unfinished-new"] == [name for name in names(tmp_path) if name.startswith("unfinished")]


def test_a_name_that_a_killed_process_left_is_taken_up(tmp_path: Path) -> None:
    """It was announced before the file got its name, so the next write deletes what no row came for."""
    with FilesStore(tmp_path) as store:
        store.read(A)
        path = store.file(NAME)
        path.parent.mkdir()
        path.write_bytes(PICTURE)
        with closing(sqlite3.connect(tmp_path / INDEX)) as db, db:
            db.execute("INSERT INTO gone VALUES (?)", (NAME.encode(),))
        store.write(B, Meta(), b"another")
        assert not path.exists()


def test_files_are_their_owners(tmp_path: Path) -> None:
    """Nobody else may look at a picture."""
    with FilesStore(tmp_path) as store:
        store.write(A, Meta(), PICTURE)
        assert os.name == "nt" or 0o600 == store.file(NAME).stat().st_mode & 0o777
        assert str(tmp_path) in repr(store)
