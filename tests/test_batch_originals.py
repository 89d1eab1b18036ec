"""A folder whose pictures are converted: what a crash or another wish leaves, and that the paid bytes are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from attrs import frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from penstock_io.batch.convert import EXTENSIONS, ORIGINALS, RECORD, Converter, shown_as
from penstock_io.batch.settings import Conversion

JPEG = Conversion(format="jpeg", quality=85)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'


def picture(width: int = 40, height: int = 20) -> bytes:
    """A PNG, red."""
    buffer = BytesIO()
    Image.new("RGB", (width, height), "red").save(buffer, "PNG")
    return buffer.getvalue()


def size(path: Path) -> tuple[int, int]:
    """Width and height of a picture on the disk."""
    with Image.open(path) as image:
        return image.size


@frozen
class Folder:
    """A folder with a journal's way of moving files, which tells what it moved."""

    path: Path
    moves: list[tuple[str, str]]
    warned: list[str]

    def move(self, old: str, new: str) -> None:
        """Rename, and write it down."""
        assert not (self.path / new).exists()
        (self.path / old).rename(self.path / new)
        self.moves.append((old, new))

    def converter(self, conversion: Conversion, move: Callable[[str, str], object] | None = None) -> Converter:
        """A converter as another run would make it."""
        return Converter(self.path, conversion, self.move if move is None else move, self.warned.append)

    def put(self, name: str, data: bytes) -> None:
        """A picture that was paid for."""
        (self.path / name).write_bytes(data)

    def names(self) -> list[str]:
        """All files there are but the record."""
        files = (file.relative_to(self.path).as_posix() for file in self.path.rglob("*") if file.is_file())
        return sorted(set(files) - {RECORD})


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """A folder with one picture, images/x.png."""
    (tmp_path / "images").mkdir()
    found = Folder(tmp_path, [], [])
    found.put("images/x.png", picture())
    return found


def test_a_picture_is_replaced_and_its_original_kept(folder: Folder) -> None:
    """The paid bytes go to originals/ unchanged, the converted ones stand where they were."""
    paid = (folder.path / "images/x.png").read_bytes()
    assert "images/x.jpg" == folder.converter(JPEG).convert("images/x.png")
    assert [("images/x.png", "originals/x.png")] == folder.moves
    assert ["images/x.jpg", "originals/x.png"] == folder.names()
    assert paid == (folder.path / "originals/x.png").read_bytes()
    assert {"originals/x.png": "images/x.jpg"} == shown_as(folder.path)


def test_the_same_format_keeps_its_name(folder: Folder) -> None:
    """A picture that only shrinks stands under the name of its original."""
    assert "images/x.png" == folder.converter(Conversion(longest=20)).convert("images/x.png")
    assert ["images/x.png", "originals/x.png"] == folder.names()
    assert (20, 10) == size(folder.path / "images/x.png")


def test_converting_twice_does_nothing(folder: Folder) -> None:
    """A later run finds what is done, without opening it."""
    folder.converter(JPEG).convert("images/x.png")
    folder.put("originals/x.png", b"unreadable now")
    assert "images/x.jpg" == folder.converter(JPEG).convert("originals/x.png")
    assert [] == folder.warned


def test_another_wish_converts_the_original_again(folder: Folder) -> None:
    """Each wish starts from what was paid for, leaves one picture, and can be taken back."""
    folder.converter(JPEG).convert("images/x.png")
    small = Conversion(longest=20, format="webp", quality=50)
    assert "images/x.webp" == folder.converter(small).convert("originals/x.png")
    assert ["images/x.webp", "originals/x.png"] == folder.names()
    assert (20, 10) == size(folder.path / "images/x.webp")
    assert "images/x.png" == folder.converter(Conversion(longest=64)).convert("originals/x.png")
    assert ["images/x.png"] == folder.names()
    assert (40, 20) == size(folder.path / "images/x.png")
    assert "images/x.png" == folder.converter(Conversion(longest=64)).convert("images/x.png")
    assert "images/x.jpg" == folder.converter(JPEG).convert("images/x.png")
    assert ["images/x.jpg", "originals/x.png"] == folder.names()


def test_a_picture_that_shrank_can_grow_back(folder: Folder) -> None:
    """Where nothing is to be changed any more the original takes the place of the picture made from it."""
    folder.converter(Conversion(longest=20)).convert("images/x.png")
    assert "images/x.png" == folder.converter(Conversion(longest=64)).convert("originals/x.png")
    assert ["images/x.png"] == folder.names()
    assert (40, 20) == size(folder.path / "images/x.png")


def test_a_lost_picture_is_made_again(folder: Folder) -> None:
    """Whoever deletes a converted picture gets it back."""
    folder.converter(JPEG).convert("images/x.png")
    (folder.path / "images/x.jpg").unlink()
    assert {} == shown_as(folder.path)
    assert "images/x.jpg" == folder.converter(JPEG).convert("originals/x.png")
    assert ["images/x.jpg", "originals/x.png"] == folder.names()


def test_what_cannot_be_converted_stays_and_is_warned_of_once(folder: Folder) -> None:
    """Nothing is moved, and the warning names the file and the reason."""
    folder.put("images/drawn.svg", SVG)
    converter = folder.converter(JPEG)
    assert ["images/drawn.svg"] * 2 == [converter.convert("images/drawn.svg") for _ in range(2)]
    assert ["images/drawn.svg stays as it is: it is a drawing (SVG)"] == folder.warned
    assert [] == folder.moves


def test_a_file_elsewhere_is_left_alone(folder: Folder) -> None:
    """Only images/ and originals/ are its business."""
    assert "superseded/x.png" == folder.converter(JPEG).convert("superseded/x.png")


class Killed(Exception):
    """The process ends here."""


def test_killed_after_the_move_the_next_run_makes_the_picture(folder: Folder) -> None:
    """The paid picture is in originals/ and nothing in its place: nothing was lost, and the next run goes on."""

    def move(old: str, new: str) -> None:
        folder.move(old, new)
        raise Killed

    with pytest.raises(Killed):
        folder.converter(JPEG, move).convert("images/x.png")
    assert ["images/.tmp-converted-x.png", "originals/x.png"] == folder.names()
    assert "images/x.jpg" == folder.converter(JPEG).convert("originals/x.png")
    assert ["images/x.jpg", "originals/x.png"] == folder.names()


@pytest.mark.parametrize("wish", [JPEG, Conversion(longest=30)])
def test_killed_while_a_new_picture_takes_an_old_name_the_old_is_not_taken_for_it(
    folder: Folder, wish: Conversion
) -> None:
    """The row was generated again, its old original put aside; what was made of that one does not pass for the new."""

    def move(old: str, new: str) -> None:
        folder.move(old, new)
        raise Killed

    folder.converter(wish).convert("images/x.png")
    (folder.path / "originals/x.png").unlink()
    folder.put("images/x.png", picture(20, 60))
    with pytest.raises(Killed):
        folder.converter(wish, move).convert("images/x.png")
    shown = folder.converter(wish).convert("originals/x.png")
    assert (20, 60) == size(folder.path / "originals/x.png")
    assert ((20, 60) if wish is JPEG else (10, 30)) == size(folder.path / shown)


def test_a_new_picture_of_an_old_name_does_not_overwrite_an_original(folder: Folder) -> None:
    """A row that was generated again has an original of its own beside one that nobody moved away."""
    folder.converter(JPEG).convert("images/x.png")
    folder.put("images/x.png", picture(60, 30))
    assert "images/x.jpg" == folder.converter(JPEG).convert("images/x.png")
    assert ["images/x.jpg", "originals/x.png", "originals/x~2.png"] == folder.names()
    assert (60, 30) == size(folder.path / "images/x.jpg")


def test_what_the_disk_refuses_leaves_nothing_beside_it(folder: Folder) -> None:
    """The picture stays as it was, without a piece of another one."""
    folder.put("images/x.png", picture())
    converter = folder.converter(JPEG)
    (folder.path / "originals").write_text("in the way")
    with pytest.raises(FileExistsError):
        converter.convert("images/x.png")
    assert ["x.png"] == [path.name for path in (folder.path / "images").iterdir()]


def test_a_disk_that_refuses_is_no_broken_picture(folder: Folder) -> None:
    """A missing file and a missing folder raise, so that the run can stop and say so."""
    with pytest.raises(FileNotFoundError):
        folder.converter(JPEG).convert("images/gone.png")
    assert [] == folder.warned


@pytest.mark.parametrize(
    "line",
    [
        '{"original": "originals/x.png", "file": "../precious", "how": "a"}',
        '{"original": "originals/x.png", "file": "images/../../precious", "how": "a"}',
        '{"original": "originals/x.png", "file": 7, "how": "a"}',
        '{"original": "originals/x.png", "file": "images/x.jpg"}',
        "[1]",
        '{"original": "orig',
        "\\",
    ],
)
def test_a_record_that_is_not_ours_is_not_believed(folder: Folder, line: str) -> None:
    """A line that was cut off or tampered with is passed over, and nothing it names is deleted."""
    precious = folder.path.parent / "precious"
    precious.write_text("precious", encoding="utf-8")
    (folder.path / ORIGINALS).mkdir()
    (folder.path / RECORD).write_text(line + "\n", encoding="utf-8")
    assert {} == shown_as(folder.path)
    assert "images/x.jpg" == folder.converter(JPEG).convert("images/x.png")
    assert "precious" == precious.read_text("utf-8")


def kinds() -> Iterator[Conversion]:
    """Wishes as different as they come."""
    for longest in (None, 20, 64):
        for kind in (None, *EXTENSIONS):
            if longest is not None or kind is not None:
                yield Conversion(longest, kind, 70 if kind == "webp" else None)


@given(st.lists(st.sampled_from(list(kinds())), min_size=1, max_size=5))
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
def test_any_wishes_in_a_row_end_as_the_last_alone(
    tmp_path_factory: pytest.TempPathFactory, wishes: list[Conversion]
) -> None:
    """The picture at the end depends on the last wish only, stands alone in images/, and the paid bytes are there."""
    paid = picture()

    def after(wanted: list[Conversion]) -> bytes:
        path = tmp_path_factory.mktemp("wishes")
        (path / "images").mkdir()
        folder = Folder(path, [], [])
        folder.put("images/x.png", paid)
        file = shown = "images/x.png"
        for wish in wanted:
            shown = folder.converter(wish).convert(file)
            file = folder.moves[-1][1] if folder.moves else file
        assert paid == (path / file).read_bytes()
        assert [shown] == [name for name in folder.names() if name.startswith("images/")]
        return (path / shown).read_bytes()

    assert after(wishes[-1:]) == after(wishes)
