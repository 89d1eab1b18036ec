"""What a client ends although the journal behind it takes nothing any more: connections, threads, trio's nursery."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

import penstock_io.asyncio
import penstock_io.sync
import penstock_io.trio
from penstock_io.journal import Journal

NOBODY = "http://127.0.0.1:9/v1"


def spoil(journal: Journal) -> None:
    """Close a journal while something still waits for it: whoever makes that durable hears of it."""
    journal.close()
    journal.put_row("row", "{}")


def threads(journal: Journal) -> bool:
    """Leave a client of threads; whether its HTTP client was closed."""
    client = penstock_io.sync.Client(NOBODY, ["key"], journal=journal)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"), client:
        spoil(journal)
    return client._http.is_closed


def asyncios(journal: Journal) -> bool:
    """The same under asyncio."""
    client = penstock_io.asyncio.Client(NOBODY, ["key"], journal=journal)

    async def use() -> None:
        async with client:
            spoil(journal)

    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        asyncio.run(use())
    return client._http.is_closed


def trios(journal: Journal) -> bool:
    """The same under trio, which goes on as before: a nursery that is not left would be the end of its task."""
    client = penstock_io.trio.Client(NOBODY, ["key"], journal=journal)

    async def use() -> None:
        async with client:
            spoil(journal)

    async def main() -> None:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            await use()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.lowlevel.checkpoint)

    trio.run(main)
    return client._http.is_closed


@pytest.mark.parametrize("leave", [threads, asyncios, trios])
def test_the_end_is_whole_although_the_journal_fails(tmp_path: Path, leave: Callable[[Journal], bool]) -> None:
    """The caller hears what the database said, the HTTP client is closed, and no thread of the client is left."""
    before = set(threading.enumerate())
    assert leave(Journal.open(tmp_path / "folder"))
    left = {thread.name for thread in set(threading.enumerate()) - before}
    assert not {name for name in left if name.startswith("penstock")}
