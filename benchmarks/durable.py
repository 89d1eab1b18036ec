"""Attempts a second through the journal, one at a time and in groups, beside the bare syncs that they are made of.

    python -m benchmarks durable [--attempts 1000] [--kilobytes 100] [--folder DIR]

An attempt is an intent, a settlement with its picture and a publication, each durable when it is answered. The least
that this can cost a disk is six syncs a group: three of a log (one a commit), the picture's file, the folder that it is
held in, and the folder that it is shown in. `bare` does just these, with the same bytes and nothing else, in turns with
the journal, so that a busy disk is as busy for both; the share of its rate that the journal reaches is what to compare.
Exit code 1 where the journal makes less than 200 attempts a second in groups of 16 though the bare syncs make 400.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from penstock.entries import Entry, Intent, Lane, Published, Settled
from penstock.ids import AttemptId, CallId, JobId, Key
from penstock.work import Purpose
from penstock_io.journal import Disk, Journal

AIM = 200
"""Attempts a second."""

GROUPS = (1, 4, 16, 64)
JUDGED = 16

ROUNDS = 4
"""Turns of each of the two."""

PAGES = 4 << 12
"""Bytes of a small commit in the log: a few pages."""


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


def through_syncs(folder: Path, attempts: int, group: int, picture: bytes) -> float:
    """Seconds for the same bytes and syncs, files of a group in parallel, without a journal."""
    disk, held, shown = Disk(), folder / "held", folder / "images"
    for place in (held, shown):
        place.mkdir(parents=True)

    def keep(number: int) -> None:
        new = held / f".new-{number}"
        disk.write(new, picture)
        disk.rename(new, held / f"{number}.png")

    with ThreadPoolExecutor(8) as pool, (folder / "log").open("wb", buffering=0) as log:

        def commit() -> None:
            log.write(bytes(PAGES))
            os.fsync(log.fileno())

        begun = perf_counter()
        for first in range(0, attempts, group):
            numbers = range(first, min(first + group, attempts))
            commit()
            list(pool.map(keep, numbers))
            disk.sync_folder(held)
            commit()
            for number in numbers:
                disk.link(held / f"{number}.png", shown / f"{number}.png")
            disk.sync_folder(shown)
            commit()
            for number in numbers:
                disk.unlink(held / f"{number}.png")
        return perf_counter() - begun


def rates(home: Path, attempts: int, group: int, picture: bytes) -> tuple[float, float]:
    """Attempts a second through the journal, and as bare syncs, in turns."""
    journal = bare = 0.0
    share = max(group, attempts // ROUNDS)
    for turn in range(ROUNDS):
        journal += through_journal(home / f"{group}-{turn}-journal", share, group, picture)
        bare += through_syncs(home / f"{group}-{turn}-bare", share, group, picture)
    return ROUNDS * share / journal, ROUNDS * share / bare


def main(arguments: Sequence[str]) -> int:
    """Measure and print; 1 where the aim is missed though the disk would allow it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks durable", description=__doc__)
    parser.add_argument("--attempts", type=int, default=1000)
    parser.add_argument("--kilobytes", type=int, default=100)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args(arguments)
    picture = b"\x89PNG\r\n\x1a\n" + bytes(1024 * int(options.kilobytes))
    missed = False
    with TemporaryDirectory(prefix="penstock-durable-", dir=options.folder) as home:
        print("at a time   journal a second   bare syncs a second   share")
        for group in GROUPS:
            journal, bare = rates(Path(home), int(options.attempts), group, picture)
            print(f"{group:9}   {journal:16,.0f}   {bare:19,.0f}   {journal / bare:5.2f}", flush=True)
            missed = missed or (group == JUDGED and journal < AIM and bare >= 2 * AIM)
    return int(missed)
