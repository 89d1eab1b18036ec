"""Attempts a second through the journal, one at a time and in groups, beside plain commits of SQLite.

    python -m benchmarks durable [--attempts 1000] [--kilobytes 100] [--folder DIR]

An attempt is an intent, a settlement with its picture and a publication, each durable when it is answered: three
commits, a file that is synced, and a name. Beside it: as many commits of one small row with `synchronous=FULL`, which
is the least that a durable record of the same can cost on that disk. Exit code 1 below 200 attempts a second in groups
of 16.
"""

from __future__ import annotations

import argparse
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from penstock.entries import Entry, Intent, Lane, Published, Settled
from penstock.ids import AttemptId, CallId, JobId, Key
from penstock.work import Purpose
from penstock_io.journal import Journal

AIM = 200
"""Attempts a second."""

GROUPS = (1, 4, 16, 64)
JUDGED = 16


def through_journal(folder: Path, attempts: int, group: int, picture: bytes) -> float:
    """Seconds for `attempts`, so many at a time."""
    with Journal.open(folder) as journal:
        begun = perf_counter()
        for first in range(1, attempts + 1, group):
            numbers = range(first, min(first + group, attempts + 1))
            journal.append([_intent(number) for number in numbers])
            ends: list[Entry] = []
            for number in numbers:
                ref = journal.payloads.keep(picture)
                ends.append(Settled(AttemptId(number), (Key(f"key-{number}"),), (ref,), None, 8, 2.0))
            files = [one.files for one in journal.append(ends)]
            shown: list[Entry] = []
            for number, refs in zip(numbers, files, strict=True):
                shown.append(Published(JobId(number), (Key(f"key-{number}"),), refs, 3.0))
            journal.append(shown)
            journal.release([ref for refs in files for ref in refs])
        return perf_counter() - begun


def _intent(number: int) -> Intent:
    keys, parts = (Key(f"key-{number}"),), ((JobId(number), (0,)),)
    lane = Lane("key", "model")
    return Intent(AttemptId(number), CallId(number), Purpose.GENERATE, "op", lane, keys, parts, (("run",),), 10, 1.0)


def through_sqlite(path: Path, commits: int) -> float:
    """Seconds for as many commits of one row."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("CREATE TABLE t (n INTEGER PRIMARY KEY, text TEXT)")
        begun = perf_counter()
        for number in range(commits):
            db.execute("INSERT INTO t VALUES (?, ?)", (number, "x" * 200))
        return perf_counter() - begun


def main(arguments: Sequence[str]) -> int:
    """Measure and print; 1 where the aim is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks durable", description=__doc__)
    parser.add_argument("--attempts", type=int, default=1000)
    parser.add_argument("--kilobytes", type=int, default=100)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args(arguments)
    attempts: int = options.attempts
    picture = b"\x89PNG\r\n\x1a\n" + bytes(1024 * int(options.kilobytes))
    judged = 0.0
    with TemporaryDirectory(prefix="penstock-durable-", dir=options.folder) as home:
        commits = attempts / through_sqlite(Path(home) / "plain.sqlite", attempts)
        print(f"plain SQLite: {commits:,.0f} commits a second, {commits / 3:,.0f} threes")
        for group in GROUPS:
            rate = attempts / through_journal(Path(home) / str(group), attempts, group, picture)
            print(f"journal, {group:2} at a time: {rate:,.0f} attempts a second")
            judged = rate if group == JUDGED else judged
    return int(judged < AIM)
