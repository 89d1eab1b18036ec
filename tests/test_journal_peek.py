"""A look at a folder's journal changes nothing, whoever holds it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest

from penstock.money.balances import Balance
from penstock_io.journal import FolderInUse, Journal, JournalUnusable, NewerJournal, peek
from tests.test_journal import buy, intent, published


def everything(folder: Path) -> dict[str, bytes]:
    """All files of a folder with their bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_journal_at_rest_is_read_and_left_as_it_is(tmp_path: Path) -> None:
    """Account, rows and sums of a closed journal, without a file more or less."""
    with Journal.open(tmp_path) as journal:
        journal.append([published(1, "a", [buy(journal, 1, "a")])])
        journal.append([intent(2, "b")])
        journal.put_row("r", "{}")
        account = journal.account()
    before = everything(tmp_path)
    seen = peek(tmp_path)
    assert (before, None) == (everything(tmp_path), seen.holder)
    assert (account, {"r": "{}"}) == (seen.account, seen.rows)
    assert Balance(charged=90, maybe=100) == seen.balances.total, "what a process left open may have been billed"


def test_a_journal_at_work_is_read_while_it_is_written(tmp_path: Path) -> None:
    """Whoever holds it is named, what is durable is seen, what is out is no doubt; and its holder is not disturbed."""
    with Journal.open(tmp_path) as journal:
        for number in range(1, 20):
            journal.append([intent(number, str(number))])
            seen = peek(tmp_path)
            assert (number, Balance()) == (seen.account.attempts, seen.balances.total)
            assert f"process {os.getpid()} on " in (seen.holder or "")
        journal.put_row("r", "{}")
        assert {} == peek(tmp_path).rows, "not durable yet"
        journal.flush()
        assert {"r": "{}"} == peek(tmp_path).rows
    assert peek(tmp_path).holder is None


def test_what_a_kill_left_is_read(tmp_path: Path) -> None:
    """A folder whose process died has nobody who holds it, and all that was durable."""
    with Journal.open(tmp_path / "before") as journal:
        buy(journal, 1, "a")
        journal.append([intent(2, "b")])
        shutil.copytree(tmp_path / "before", tmp_path / "after")
    seen = peek(tmp_path / "after")
    assert (None, 2, Balance(charged=90, maybe=100)) == (seen.holder, seen.account.attempts, seen.balances.total)
    assert {"a"} == set(seen.account.prices)


@pytest.mark.skipif(sys.platform == "win32", reason="folders cannot be made read-only there")
def test_a_folder_that_only_can_be_read_is_read(tmp_path: Path) -> None:
    """Also where nothing can be made beside the database, and its process died."""
    with Journal.open(tmp_path / "before") as journal:
        buy(journal, 1, "a")
        shutil.copytree(tmp_path / "before", tmp_path / "after")
    (tmp_path / "after" / "journal.sqlite-shm").unlink()
    (tmp_path / "after" / "journal.sqlite-shm").mkdir()  # nobody can make that file now, not even root
    assert 1 == peek(tmp_path / "after").account.attempts


def test_what_is_no_journal_is_said(tmp_path: Path) -> None:
    """No folder, an empty one, something else, half a journal, one of the future: each is refused in words."""
    for folder in (tmp_path / "none", tmp_path):
        with pytest.raises(JournalUnusable, match="holds no journal"):
            peek(folder)
    (tmp_path / "journal.sqlite").write_bytes(b"something else" * 100)
    with pytest.raises(JournalUnusable, match="is damaged"):
        peek(tmp_path)
    (tmp_path / "journal.sqlite").write_bytes(b"")
    with pytest.raises(JournalUnusable, match="empty journal"):
        peek(tmp_path)
    Journal.open(tmp_path / "new").close()
    db = sqlite3.connect(tmp_path / "new" / "journal.sqlite")
    db.execute("PRAGMA user_version = 9")
    db.close()
    with pytest.raises(NewerJournal):
        peek(tmp_path / "new")


@pytest.mark.skipif(sys.platform == "win32", reason="locks are not shared there")
def test_who_looks_is_no_holder_and_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two may look at the same time; who opens the folder then tries again a moment later, and soon gives up."""
    Journal.open(tmp_path).close()
    fcntl = pytest.importorskip("fcntl")
    with (tmp_path / "journal.lock").open("rb") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert peek(tmp_path).holder is None
        waited: list[float] = []
        monkeypatch.setattr("time.sleep", waited.append)
        with pytest.raises(FolderInUse):
            Journal.open(tmp_path)
        assert 0 < sum(waited) < 1
        monkeypatch.setattr("time.sleep", lambda _: fcntl.flock(looking, fcntl.LOCK_UN))
        Journal.open(tmp_path).close()


def test_a_look_does_not_keep_others_out(tmp_path: Path) -> None:
    """Looking again and again, the folder can be opened at any time, and is free afterwards."""
    Journal.open(tmp_path).close()
    for run in range(2, 8):
        assert peek(tmp_path).holder is None
        with Journal.open(tmp_path) as journal:
            assert (run, True) == (journal.run, peek(tmp_path).holder is not None)
