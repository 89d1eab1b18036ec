"""Shown pictures move on: whatever refers to one follows, and no name is lost on the way."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from penstock.entries import Published
from penstock.errors import UsageError
from penstock.ids import JobId, Key, Ref
from penstock_io.journal import Disk, Journal, JournalUnusable
from penstock_io.journal._moves import check_move
from tests.failing import FAULT, FailingDisk
from tests.test_journal import PNG, buy, names, published


def show(journal: Journal, number: int, key: str, stem: str, data: bytes = PNG) -> str:
    """A picture bought and shown under a name: its file."""
    held = buy(journal, number, key, data)
    journal.name(JobId(number), {Key(key): stem})
    (written,) = journal.append([published(number, key, [held])])
    journal.release([held])
    return written.files[0].removeprefix("f:")


def found(journal: Journal, key: str) -> tuple[str, bytes]:
    """Where a key's picture is, and its bytes."""
    one = journal.look_up(Key(key))
    assert one is not None
    return one[1].removeprefix("f:"), journal.payloads.read(one[1])


def test_what_refers_to_a_picture_follows_it(tmp_path: Path) -> None:
    """After a move the key, the job and the books say the new name; the old one is gone, and stays so."""
    with Journal.open(tmp_path) as journal:
        file = show(journal, 1, "a", "cat")
        journal.move(file, "originals/cat.png")
        assert ("originals/cat.png", PNG) == found(journal, "a")
        assert {(1, 1): {"a": "originals/cat.png"}} == journal.account().shown
        assert ([], ["cat.png"]) == (names(tmp_path, "images"), names(tmp_path, "originals"))
    with Journal.open(tmp_path) as journal:
        assert ("originals/cat.png", PNG) == found(journal, "a")
        assert {Key("a"): 90} == journal.account().prices


def test_references_given_out_before_a_move_mean_the_picture(tmp_path: Path) -> None:
    """Another job that shares the picture publishes it under its first name, though something else has that now."""
    with Journal.open(tmp_path) as journal:
        at = file = show(journal, 1, "a", "cat")
        for there in ("originals/cat.png", "superseded/cat.png", "originals/cat.png"):
            journal.move(at, there)
            at = there
        (tmp_path / file).write_bytes(b"converted")
        journal.name(JobId(2), {Key("a"): "dog"})
        journal.append([Published(JobId(2), (Key("a"),), (Ref(f"f:{file}"),), 3.0)])
        assert (PNG, b"converted") == ((tmp_path / "images/dog.png").read_bytes(), (tmp_path / file).read_bytes())


def test_a_name_that_was_left_is_free_for_the_next_picture(tmp_path: Path) -> None:
    """What takes the place of a superseded picture is found under its name, and references to it mean it."""
    with Journal.open(tmp_path) as journal:
        file = show(journal, 1, "a", "cat")
        assert {file: "superseded/cat.png"} == journal.supersede([file])
        again = show(journal, 2, "b", "cat", PNG + b"2")
        assert (file, PNG + b"2") == (again, (tmp_path / file).read_bytes())
        assert (("superseded/cat.png", PNG), (file, PNG + b"2")) == (found(journal, "a"), found(journal, "b"))
        journal.name(JobId(3), {Key("b"): "dog"})
        journal.append([published(3, "b", [Ref(f"f:{file}")])])
        assert PNG + b"2" == (tmp_path / "images/dog.png").read_bytes()
        journal.move("superseded/cat.png", "originals/cat.png")
        journal.move("originals/cat.png", "images/old cat.png")
        assert ("images/old cat.png", PNG) == found(journal, "a")


def test_superseded_names_are_told_apart(tmp_path: Path) -> None:
    """Pictures of one name, or of names that some disks take for one, live side by side; missing ones are left out."""
    with Journal.open(tmp_path) as journal:
        for number in range(1, 4):
            file = show(journal, number, "abc"[number - 1], "cat", PNG + bytes([number]))
            journal.supersede([file, file, "images/never there.png"])
        (tmp_path / "superseded" / "dog.png").write_bytes(b"somebody's")
        files = [show(journal, 4, "d", "dog"), show(journal, 5, "e", "Fox"), show(journal, 6, "f", "fox")]
        assert ["superseded/dog~2.png", "superseded/Fox.png", "superseded/fox~2.png"] == list(
            journal.supersede(files).values()
        )
        assert ["cat.png", "cat~2.png", "cat~3.png"] == names(tmp_path, "superseded")[1:4]
        assert PNG + bytes([3]) == found(journal, "c")[1]


def test_waiting_rows_are_durable_with_the_move(tmp_path: Path) -> None:
    """What a caller remembers and where pictures are change in one step; without moves rows become durable, too."""
    with Journal.open(tmp_path) as journal:
        file = show(journal, 1, "a", "cat")
        journal.put_row("r", "asks for something else")
        journal.supersede([file])
        other = sqlite3.connect(tmp_path / "journal.sqlite")
        assert [("r",)] == other.execute("SELECT row FROM rows").fetchall()
        journal.put_row("s", "{}")
        assert {} == journal.supersede([])
        assert [("r",), ("s",)] == other.execute("SELECT row FROM rows ORDER BY row").fetchall()
        other.close()


def test_a_move_takes_no_other_pictures_name(tmp_path: Path) -> None:
    """A name that the journal knows is refused and nothing changed; a foreign file of that name is replaced."""
    with Journal.open(tmp_path) as journal:
        one, two = show(journal, 1, "a", "cat"), show(journal, 2, "b", "dog", PNG + b"2")
        journal.move(one, "originals/dog.png")
        with pytest.raises(FileExistsError):
            journal.move(two, "originals/dog.png")
        with pytest.raises(FileNotFoundError):
            journal.move("images/none.png", "originals/none.png")
        assert (("originals/dog.png", PNG), (two, PNG + b"2")) == (found(journal, "a"), found(journal, "b"))
        (tmp_path / "originals" / "cow.png").write_bytes(b"somebody's")
        journal.move(two, "originals/cow.png")
        assert ("originals/cow.png", PNG + b"2") == found(journal, "b")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("images/a.png", "images/b.png"),
        ("held/a.png", "images/a.png"),
        ("images/a.png", "elsewhere/a.png"),
        ("images/a.png", "originals/../a.png"),
        ("images/a.png", "originals/sub/a.png"),
        ("images/a.png", "originals/"),
        ("images/a.png", "/etc/passwd"),
        ("a.png", "originals/a.png"),
    ],
)
def test_moves_stay_within_the_folders_of_shown_pictures(old: str, new: str) -> None:
    """From one of three folders to another, under a plain name; a disk that takes two names for one loses nothing."""
    with pytest.raises(UsageError):
        check_move(old, new)


def test_what_was_made_of_an_original_leaves_with_it(tmp_path: Path) -> None:
    """A converted picture is put aside beside its original; those of others and foreign files stay."""
    with Journal.open(tmp_path) as journal:
        for number, name in enumerate(("cat", "dog"), 1):
            journal.move(show(journal, number, name[0], name), f"originals/{name}.png")
            for ending in (".jpg", ".png", ".txt"):
                (tmp_path / "images" / f"{name}{ending}").write_bytes(b"made")
        journal.supersede(["originals/cat.png"])
        assert ["cat.txt", "dog.jpg", "dog.png", "dog.txt"] == names(tmp_path, "images")
        assert ["cat.jpg", "cat.png", "cat~2.png"] == names(tmp_path, "superseded")
        assert ("superseded/cat~2.png", PNG) == found(journal, "c")


class Open(Disk):
    """A disk on which somebody looks at the pictures, as on Windows: no name of theirs can be taken away."""

    def unlink(self, path: Path) -> None:
        """Refuse it."""
        if path.parent.name == "images" and not path.name.startswith("."):
            raise PermissionError(13, "The file is open", str(path))
        super().unlink(path)


def test_a_name_that_could_not_be_taken_away_goes_at_the_next_opening(tmp_path: Path) -> None:
    """The move stands all the same; an old name that another picture has by then stays."""
    with Journal.open(tmp_path, disk=Open()) as journal:
        files = [show(journal, number, "ab"[number - 1], f"cat-{number}") for number in (1, 2)]
        journal.supersede(files)
        again = show(journal, 3, "c", "cat-2", PNG + b"3")
        assert (["cat-1.png", "cat-2.png"], "images/cat-2.png") == (names(tmp_path, "images"), again)
    with Journal.open(tmp_path) as journal:
        assert ["cat-2.png"] == names(tmp_path, "images")
        expected = [("superseded/cat-1.png", PNG), ("superseded/cat-2.png", PNG), (again, PNG + b"3")]
        assert expected == [found(journal, key) for key in "abc"]
        (tmp_path / "images" / "cat-1.png").write_bytes(b"made by somebody later")
    with Journal.open(tmp_path) as journal:
        assert ["cat-1.png", "cat-2.png"] == names(tmp_path, "images"), "it is taken away once"


@pytest.mark.parametrize("links", [True, False])
def test_every_operation_of_a_move_may_fail(tmp_path: Path, links: bool) -> None:
    """Failed at each operation in turn, a move is either as if it had not been, or whole; again, it is whole."""
    left, spent = 0, False
    while not spent:
        folder = tmp_path / str(left)
        disk = FailingDisk(links=links)
        with Journal.open(folder, disk=disk) as journal:
            files = [show(journal, number, "ab"[number - 1], f"cat-{number}") for number in (1, 2)]
            disk.arm(left, FAULT)
            try:
                journal.supersede(files)
            except (OSError, sqlite3.Error):
                disk.arm(None, FAULT)
                assert [(file, PNG) for file in files] == [found(journal, key) for key in "ab"]
                journal.supersede(files)
            else:
                spent = disk.left is not None
            disk.arm(None, FAULT)
            assert [("superseded", PNG)] * 2 == [(found(journal, key)[0].partition("/")[0], PNG) for key in "ab"]
        with Journal.open(folder) as journal:
            assert [] == names(folder, "images")
            assert [PNG] * 2 == [found(journal, key)[1] for key in "ab"]
        left += 1
    assert left > 6


def test_an_early_development_version_is_refused(tmp_path: Path) -> None:
    """A folder without the tables of now is not touched, and says what to do."""
    Journal.open(tmp_path).close()
    db = sqlite3.connect(tmp_path / "journal.sqlite")
    db.execute("PRAGMA user_version = 1")
    db.close()
    with pytest.raises(JournalUnusable, match="take another folder"):
        Journal.open(tmp_path)
