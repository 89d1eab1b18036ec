"""Lines as they come, and what a disk says in words."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from penstock.commands import Halted
from penstock.outcomes import Trouble
from penstock_io.batch import feed as feed_module
from penstock_io.batch.feed import AHEAD, Feed, lines
from penstock_io.batch.stopping import IN_A_ROW, Halt, Unreached, clause, of_disk, of_engine, of_input


class Chunks:
    """A pipe that was given these bytes in these pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        reading, self._writing = os.pipe()
        self._reading = reading
        self._writer = Thread(target=self._write, args=(pieces,))
        self._writer.start()

    def _write(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            os.write(self._writing, piece)
        os.close(self._writing)

    def fileno(self) -> int:
        """Its number."""
        return self._reading

    def close(self) -> None:
        """It is read to its end."""
        self._writer.join()
        os.close(self._reading)


@given(st.lists(st.sampled_from([b"a", b"\n", b"bc", b"\r\n", b"", b"d\n\ne"]), max_size=12))
def test_lines_are_those_of_the_whole(pieces: list[bytes]) -> None:
    """However the bytes come; the last line needs no end."""
    source = Chunks(pieces)
    found = list(lines(source))
    source.close()
    whole = b"".join(pieces).split(b"\n")
    assert (whole if whole[-1] else whole[:-1]) == found


def test_an_endless_line_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not fill the memory; the next one is read as it is."""
    monkeypatch.setattr(feed_module, "LONGEST", 100_000)
    source = Chunks([b"x" * 1_000_000, b"\nnext\n"])
    first, second = lines(source)
    source.close()
    assert 100_000 <= len(first) < 400_000
    assert b"next" == second


def test_lines_are_read_as_far_as_somebody_wants_them() -> None:
    """And no further, however many there are."""
    read: list[int] = []

    def many() -> Iterator[bytes]:
        for number in range(10_000):
            read.append(number)
            yield b"%d" % number

    async def take() -> list[bytes | None]:
        fed = Feed(many())
        taken = [await fed.next() for _ in range(10)]
        fed.close()
        return [*taken, await fed.next(), await fed.next()]

    assert [*(b"%d" % n for n in range(10)), None, None] == asyncio.run(take())
    assert len(read) <= 10 + AHEAD + 2


@frozen
class Silent:
    """An open file by its number."""

    number: int

    def fileno(self) -> int:
        """Its number."""
        return self.number


def test_all_lines_come_in_their_order() -> None:
    """More of them than are read ahead."""

    async def take() -> list[bytes]:
        fed = Feed(b"%d" % number for number in range(3 * AHEAD))
        found: list[bytes] = []
        while (line := await fed.next()) is not None:
            found.append(line)
        return found

    assert [b"%d" % number for number in range(3 * AHEAD)] == asyncio.run(take())


def test_closing_ends_the_wait_for_a_line() -> None:
    """Somebody who waits for a line that nobody writes hears that this is the end."""
    reading, writing = os.pipe()

    async def wait() -> bytes | None:
        fed = Feed(lines(Silent(reading)))
        waiter = asyncio.create_task(fed.next())
        await asyncio.sleep(0)
        fed.close()
        return await waiter

    assert asyncio.run(wait()) is None
    os.close(writing)


FOLDER = Path("/pictures")


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/pictures/held/x"), "no room left on the disk of /pictures"),
        (sqlite3.OperationalError("database or disk is full"), "no room left on the disk of /pictures"),
        ("the journal cannot be written: No space left on device", "no room left on the disk of /pictures"),
        (OSError(errno.EROFS, "Read-only file system"), "read-only disk"),
        (sqlite3.OperationalError("attempt to write a readonly database"), "read-only disk"),
        (PermissionError(errno.EACCES, "Permission denied"), "may not be written by this user"),
        (OSError(errno.EMFILE, "Too many open files"), "too many files are open"),
        (OSError(errno.EIO, "Input/output error"), "cannot be read or written"),
        (sqlite3.DatabaseError("database disk image is malformed"), "`penstock batch --repair --out /pictures`"),
        ("journal: file is not a database", "`penstock batch --repair --out /pictures`"),
        (OSError(errno.ENODEV, "No such device", "/pictures/x"), "the system says: No such device at /pictures/x"),
    ],
)
def test_what_a_disk_says_in_words(fault: OSError | sqlite3.Error | str, what: str) -> None:
    """What happened, what to do, that the same command goes on: whole sentences with one full stop each."""
    said = str(of_disk(fault, FOLDER))
    assert what in said
    assert said.startswith("halted: ")
    assert said.endswith(". The same command goes on from here.")
    assert 3 == said.count(". ") + said.endswith(".")
    assert "Errno" not in said


def test_what_the_engine_says_in_words() -> None:
    """Its remedy without what a batch does by itself; a journal's fault as one of the disk."""
    credential = Halted("credential", "Incorrect API key.", "set a valid key, then resume")
    said = "halted: Incorrect API key. Put a valid key into A or B. The same command goes on from here."
    assert said == str(of_engine(credential, FOLDER, ["A", "B"]))
    assert "Set a valid key." in str(of_engine(credential, FOLDER, [""]))
    journal = Halted("journal", "the journal cannot be written: No space left on device", "make room, then resume")
    assert "Make room on it." in str(of_engine(journal, FOLDER, ()))
    damaged = Halted("journal", "it says: the ledger /l.sqlite: database disk image is malformed", "see why")
    said = "halted: the ledger /l.sqlite is damaged: its database cannot be read. See what ails its disk"
    assert str(of_engine(damaged, FOLDER, ())).startswith(said)


@given(st.text(max_size=200))
def test_a_clause_is_part_of_a_sentence(text: str) -> None:
    """In one line and without a full stop at its end, whatever was said."""
    said = clause(text)
    assert not said.endswith((".", " "))
    assert "\n" not in said


def test_an_input_that_cannot_be_read_says_so() -> None:
    """With the reason, and that it takes another."""
    assert Halt("the input could not be read to its end (gone)", "give it again, whole") == of_input(OSError(5, "gone"))


def test_three_rows_that_reach_nobody_are_enough() -> None:
    """Unless somebody replied in between; a page that knows nothing of the API is nobody."""
    nobody, page, other = Trouble("unsent", ""), Trouble("no_endpoint", ""), Trouble("server_error", "")
    seen = Unreached()
    assert [False, False, True] == [seen.ended(nobody), seen.ended(page), seen.ended(nobody)]
    assert 3 == IN_A_ROW
    for between in (lambda: seen.ended(other), lambda: seen.ended(None), lambda: seen.replied(429)):
        seen.rows = IN_A_ROW - 1
        between()
        assert not seen.ended(nobody)
    seen.rows = IN_A_ROW - 1
    seen.replied(404)
    assert seen.ended(nobody)
