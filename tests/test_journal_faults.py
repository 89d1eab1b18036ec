"""What a system says of a folder or a file that cannot be used becomes words with a remedy."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

import pytest
from attrs import frozen

from penstock_io.journal import Disk, Journal, JournalUnusable, peek, repair
from penstock_io.journal._faults import why
from penstock_io.ledger import Ledger, LedgerUnusable, read


@frozen
class Refusing(Disk):
    """A disk that refuses to make names durable, or to open a database."""

    fault: OSError | sqlite3.Error

    def sync_folder(self, path: Path) -> None:
        """A fault of the system."""
        if isinstance(self.fault, OSError):
            raise self.fault
        super().sync_folder(path)

    def connect(self, path: Path) -> sqlite3.Connection:
        """A fault of the database, or of what is below it."""
        del path
        raise self.fault


READ_ONLY = "it may only be read, or its disk is mounted read-only; make it writable, or name another place"
UNWRITABLE = r"may not read and write it|may only be read"
FAULTS = [
    (OSError(errno.EROFS, "Read-only file system"), READ_ONLY),
    (sqlite3.OperationalError("attempt to write a readonly database"), READ_ONLY),
    (PermissionError(errno.EACCES, "Permission denied"), "this user may not read and write it; make it"),
    (sqlite3.OperationalError("unable to open database file"), "this user may not read and write it; make it"),
    (OSError(errno.ENOSPC, "No space left on device"), "no room left on its disk; make room"),
    (sqlite3.OperationalError("database is locked"), "another program has its database open; end that program"),
    (OSError(errno.EIO, "Input/output error"), "see what ails it"),
    (OSError(errno.EMFILE, "Too many open files"), "raise the limit (ulimit -n)"),
    (sqlite3.DatabaseError("database disk image is malformed"), "damaged"),
    (OSError(errno.ENODEV, "No such device", "/x"), f"the system says: {os.strerror(errno.ENODEV)} (/x)"),
    (sqlite3.OperationalError("something\nnew"), "the database says: something new"),
]


@pytest.mark.parametrize(("fault", "words"), FAULTS)
def test_a_folder_that_cannot_be_used_says_why_and_what_to_do(
    tmp_path: Path, fault: OSError | sqlite3.Error, words: str
) -> None:
    """The error names the folder or the ledger, the cause and the remedy, and no error's number; nothing stays held."""
    with pytest.raises(JournalUnusable) as journal:
        Journal.open(tmp_path / "new", disk=Refusing(fault))
    assert str(journal.value).startswith(f"{tmp_path / 'new'} cannot be used: ")
    with pytest.raises(LedgerUnusable) as ledger:
        Ledger.open(tmp_path / "l.sqlite", disk=Refusing(fault))
    assert str(ledger.value).startswith(f"{tmp_path / 'l.sqlite'} cannot be used: ")
    for said in (str(journal.value), str(ledger.value)):
        assert words in said
        assert "Errno" not in said
    Journal.open(tmp_path / "new").close()
    Ledger.open(tmp_path / "l.sqlite").close()


def test_a_file_in_the_place_of_a_folder_is_said(tmp_path: Path) -> None:
    """A folder that is a file, or lies below one, is refused with what to do."""
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(JournalUnusable, match="a file is where a folder has to be"):
            Journal.open(folder)
    assert "mine" == (tmp_path / "file").read_text()


def test_a_folder_that_may_only_be_read(tmp_path: Path) -> None:
    """Its journal says so when it is opened or repaired, and can be looked at; so can its ledger."""
    folder = tmp_path / "pictures"
    Journal.open(folder).close()
    with Ledger.open(folder / "ledger.sqlite") as ledger:
        ledger.begin(1.0)
    for path in (*folder.iterdir(), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        if os.access(folder, os.W_OK):
            pytest.skip("this user may write everywhere")
        with pytest.raises(JournalUnusable, match=UNWRITABLE):
            Journal.open(folder)
        with pytest.raises(LedgerUnusable, match=UNWRITABLE):
            Ledger.open(folder / "ledger.sqlite")
        assert {} == peek(folder).rows
        assert () == read(folder / "ledger.sqlite").rows
        with pytest.raises(JournalUnusable, match=UNWRITABLE):
            repair(folder)
    finally:
        for path in (folder, *folder.iterdir()):
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_words_repeat_no_secret() -> None:
    """Of a fault that is not known, only its number's text and its file are told."""
    assert "system says: " in why(OSError(errno.ENODEV, "key-4711"))
    assert "key-4711" not in why(OSError(errno.ENODEV, "key-4711"))
