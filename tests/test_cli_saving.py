"""Where pictures go: names that are safe, settled before anything is paid, and nothing paid thrown away."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_io.cli import saving
from penstock_io.cli.config import OptionError


def test_pictures_without_a_name_of_their_own_are_called_what_they_are(tmp_path: Path) -> None:
    """Each gets the extension of its format."""
    files = saving.plan(tmp_path / "fox", "a fox", n=3, output_format=None, overwrite=False)
    saved = saving.save(files, [("png", b"1"), ("jpeg", b"2"), ("", b"3")])
    assert ["fox-1.png", "fox-2.jpg", "fox-3.bin"] == [path.name for path in saved.paths]


@given(st.text())
def test_a_name_from_any_prompt_is_safe(prompt: str) -> None:
    """It is short, of small ASCII letters, digits and dashes, and never empty."""
    name = saving.named_after(prompt)
    assert (True, True) == (name.isascii(), 1 <= len(name) <= saving.LONGEST)
    assert set() == set(name) - set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_a_paid_picture_is_never_thrown_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that was taken meanwhile gets a number; a folder that is gone has it saved elsewhere, and said."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    files = saving.plan(tmp_path / "fox.png", "a fox", n=1, output_format=None, overwrite=False)
    (tmp_path / "fox.png").write_text("mine")
    saved = saving.save(files, [("png", b"picture")])
    assert (tmp_path / "fox~1.png",) == saved.paths
    assert "has come into being meanwhile" in saved.warnings[0]
    assert ("mine", b"picture") == ((tmp_path / "fox.png").read_text(), saved.paths[0].read_bytes())
    folder = tmp_path / "gone"
    folder.mkdir()
    files = saving.plan(folder / "fox.png", "a fox", n=1, output_format=None, overwrite=True)
    folder.rmdir()
    saved = saving.save(files, [("png", b"picture")])
    assert b"picture" == saved.paths[0].read_bytes()
    assert "cannot be written (No such file or directory): the picture is " in saved.warnings[0]
    assert [] == list(tmp_path.rglob("*.part"))


def test_a_folder_that_cannot_be_written_is_known_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is paid for a picture that would have to go elsewhere."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # noqa: ARG005 - as the system calls it
    with pytest.raises(OptionError, match=f"the folder {tmp_path} is read-only for this user: name a file elsewhere"):
        saving.plan(tmp_path / "fox.png", "a fox", n=1, output_format=None, overwrite=False)


def test_names_that_cannot_be_are_refused(tmp_path: Path) -> None:
    """A folder of that name, even with `--overwrite`, and a link that leads nowhere, without it."""
    (tmp_path / "fox-1.png").mkdir()
    (tmp_path / "dog.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OptionError, match="is no file that could be replaced"):
        saving.plan(tmp_path / "fox.png", "", n=2, output_format=None, overwrite=True)
    with pytest.raises(OptionError, match="is there already"):
        saving.plan(tmp_path / "dog.png", "", n=1, output_format=None, overwrite=False)
