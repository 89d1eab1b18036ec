"""The folder of a batch before anything is done in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from penstock_io.cli.folders import books_of, look, unwritable
from penstock_io.journal import Journal
from tests.planning import EACH, Shop, rows_of


def closed(monkeypatch: pytest.MonkeyPatch, *paths: Path) -> None:
    """Have the system forbid to write these, whoever runs the tests."""
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) not in paths and allowed(path, mode))


def test_what_cannot_be_written_is_known_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder, the one that it would be made in, or the journal's files in it; and nothing where all is well."""
    folder = tmp_path / "there" / "out"
    assert "" == unwritable(folder)
    closed(monkeypatch, tmp_path)
    assert f"{tmp_path} is read-only for this user: change that, or name another folder" == unwritable(folder)
    folder.mkdir(parents=True)
    assert "" == unwritable(folder)
    (folder / "journal.sqlite").touch()
    closed(monkeypatch, folder / "journal.sqlite")
    assert unwritable(folder).startswith(f"{folder / 'journal.sqlite'} is read-only")


def test_what_a_folder_remembers_is_the_same_from_inside_and_outside(tmp_path: Path) -> None:
    """Rows and money, what may have been billed too; who is at work is known from outside alone."""
    rows = rows_of("a", "b", {"id": "lost", "prompt": "c"})
    Shop(tmp_path).run(rows, lost=["lost"])
    seen = look(tmp_path)
    assert (3, 3 * EACH, "") == (len(seen.states), seen.spent, seen.holder)
    with Journal.open(tmp_path) as journal:
        inside = books_of(journal)
        assert (seen.states, seen.spent) == (inside.states, inside.spent)
        assert str(os.getpid()) in look(tmp_path).holder
