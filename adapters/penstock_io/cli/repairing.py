"""`penstock batch --repair` and `penstock cost --repair`: what is damaged is rebuilt, and what was lost is said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from attrs import asdict

from penstock_io.batch.progress import Level
from penstock_io.batch.results import usd
from penstock_io.batch.stopping import Exit
from penstock_io.cli.console import Console
from penstock_io.journal import Repaired, repair
from penstock_io.ledger._repair import Repaired as RepairedLedger
from penstock_io.ledger._repair import repair as repair_ledger
from penstock_io.words import at_most, count


def mend(folder: Path, console: Console, *, as_json: bool) -> int:
    """Repair the journal of a folder and say what came of it; returns the exit code. Raises `JournalError`."""
    found = repair(folder)
    if as_json:
        figures = {} if found is None else asdict(found)
        bound = figures.pop("bound", 0)
        said = {"damaged": found is not None, **figures, "bound_usd": None if bound is None else usd(bound)}
        console.result(json.dumps({**said, "exit_code": 0, "message": ""}, ensure_ascii=False))
    if found is None:
        console.tell(f"the journal of {folder} is whole: nothing was changed")
        return Exit.ALL
    for line in told(found, folder):
        console.tell(line, Level.WARNING)
    return Exit.ALL


def told(found: Repaired, folder: Path) -> list[str]:
    """What a repair did, in sentences."""
    lines = [f"the journal of {folder} was damaged ({found.cause}) and is rebuilt"]
    if found.kept:
        lines[0] += f"; the damaged files are kept: {', '.join(found.kept)}"
        rebuilt = (count(found.rows, "row"), count(found.attempts, "request"), count(found.pictures, "picture"))
        lines.append("it knows of {}, {} and {}".format(*rebuilt))
    if found.found:
        lines.append(f"{count(found.found, 'picture')} of these are known from their files: what they cost is not")
    if found.missing:
        lines.append(f"lost: {count(found.missing, 'request')}, booked as maybe billed, {at_most(found.bound)}")
    if found.unnamed:
        lines.append(f"lost: what {count(found.unnamed, 'picture')} in {folder / 'held'} were made for")
    if found.strange:
        whose = f"; {count(found.again, 'row')} were complete with them" if found.again else ""
        lines.append(
            f"lost: what {count(found.strange, 'picture')} in {folder / 'images'} were made for{whose}: a rerun buys "
            "them again, under the same names (copy the folder first if you want to keep them)"
        )
    if not found.certain:
        lines.append(
            f"what else was lost cannot be told ({found.unsure}): its cost is booked as not known; the next run asks "
            "for a yes (--yes) before it buys anything"
        )
    elif found.kept and not found.missing:
        lines.append("all requests that were counted are there")
    return [*lines, "the same command without --repair goes on from here"]


def mend_ledger(path: Path, folders: Sequence[Path], console: Console, *, as_json: bool) -> int:
    """Repair a ledger with the help of folders, and say what came of it; returns the exit code.

    Raises `LedgerError`, `JournalError`.
    """
    found = repair_ledger(path, folders)
    if as_json:
        figures = {} if found is None else asdict(found)
        more = usd(figures.pop("more", 0))
        said = {"damaged": found is not None, **figures, "more_usd": more}
        console.result(json.dumps({**said, "exit_code": 0, "message": ""}, ensure_ascii=False))
    if found is None:
        console.tell(f"the ledger {path} is whole: nothing was changed")
        return Exit.ALL
    for line in told_ledger(found, path, folders):
        console.tell(line, Level.WARNING)
    return Exit.ALL


def told_ledger(found: RepairedLedger, path: Path, folders: Sequence[Path]) -> list[str]:
    """What a repair of a ledger did, in sentences."""
    lines = [f"the ledger {path} was damaged ({found.cause}) and is rebuilt"]
    if not found.kept:
        return lines
    lines[0] += f"; the damaged files are kept: {', '.join(found.kept)}"
    read = f"{count(found.attempts, 'request')} could be read"
    if folders:
        read += f", and the journals of {count(len(folders), 'folder')} told of {found.added:,} more"
    lines.append(read)
    if found.more:
        lines.append(f"its sums knew of more: booked as maybe billed, {at_most(found.more)}")
    if not found.whole:
        lines.append(
            "what else was booked in it is not known: requests of folders that were not named here, and of programs "
            "without a folder; its sums say at least, and the caps of this day and month may let more through"
        )
    return lines
