"""Why a run ends before its rows do, in words: what happened, what to do, and that the same command goes on.

What a disk or a database says becomes a sentence here, too: nobody should have to know what ENOSPC is.
"""

from __future__ import annotations

import errno
import os
import re
import sqlite3
from collections.abc import Iterable
from enum import IntEnum
from pathlib import Path

from attrs import define, frozen

from penstock.commands import Halted
from penstock.outcomes import Outcome, Source, Status, Trouble
from penstock_io.words import count

AGAIN = "The same command goes on from here."
"""How every message of a run ends that left something to do."""

NOBODY = frozenset({"unsent", "no_endpoint"})
"""Troubles of a row that was not sent because nobody, or nobody who knows this API, is where it should go."""

IN_A_ROW = 3
"""How many rows may end so, with no other reply in between, before the run halts."""


DOUBTS = 20
"""How many rows may end in doubt, with no picture in between, before the run halts."""


class Exit(IntEnum):
    """How a batch ends, as its exit code."""

    ALL = 0
    SOME = 1
    USAGE = 2
    BUDGET = 3
    HALTED = 4
    INTERRUPTED = 130


@frozen
class Halt:
    """Nothing more is sent: `what` happened and `remedy`, what to do, both without a full stop.

    A `mild` one was wished for (a deadline, so many failures), and is none where everything was sent before it came.
    """

    what: str
    remedy: str
    mild: bool = False

    def __str__(self) -> str:
        remedy = clause(self.remedy)
        return f"halted: {clause(self.what)}. {remedy[:1].upper()}{remedy[1:]}. {AGAIN}"


def clause(text: str) -> str:
    """A text as a part of a sentence: in one line, without the full stops at its end."""
    return " ".join(text.split()).rstrip(" .")


def of_engine(notice: Halted, folder: Path, keys: Iterable[str]) -> Halt:
    """The engine's own halt: a credential, the credit, the model, a journal or ledger. `keys` are labels of keys."""
    if notice.cause == "journal":
        ledger = _LEDGER.search(notice.message)
        if ledger is not None and any(said in notice.message for said in _DAMAGED):
            return Halt(
                f"the ledger {ledger[1]} is damaged: its database cannot be read",
                f"see what ails its disk, then `penstock cost {ledger[1]} FOLDER ... --repair` rebuilds it",
            )
        return of_disk(notice.message, folder if ledger is None else Path(ledger[1]).absolute().parent)
    remedy = clause(notice.remedy).removesuffix(", then resume")
    names = [label for label in keys if label]
    if notice.cause == "credential" and names:
        remedy = f"put a valid key into {' or '.join(names)}"
    return Halt(notice.message, remedy)


_LEDGER = re.compile(r": the ledger (.+?): ")
"""How a fault of a ledger begins, which may be on another disk than the folder."""


def of_trouble(trouble: Trouble, base_url: str, rows: str) -> Halt:
    """Rows (in words) that nobody was there for."""
    if trouble.kind == "no_endpoint":
        return Halt(
            f"{base_url} does not answer as an images API does: {clause(trouble.message)}",
            "check --base-url: it ends where the endpoints begin, as in https://api.openai.com/v1",
        )
    if trouble.kind == "unsent":
        return Halt(
            f"{base_url} could not be reached for {rows}: {clause(trouble.message)}",
            "check the network, and --base-url",
        )
    return Halt(f"{rows} could not be sent: {clause(trouble.message)}", trouble.remedy or "see results.jsonl")


def of_doubts(base_url: str) -> Halt:
    """Everything that is sent may be executed and billed, and brings nothing."""
    return Halt(
        f"{DOUBTS} rows in a row brought no picture, and all may have been executed and billed",
        f"see what breaks the replies of {base_url} off (a proxy, a firewall), and the provider's own list of usage",
        mild=True,
    )


def of_deadline(seconds: float, waiting: str) -> Halt:
    """The time that the run was given is over; `waiting` is what it waited for just then, in words ("": nothing)."""
    while_ = f", while it waited for {clause(waiting)}" if waiting else ""
    remedy = "give more time with --deadline, or leave it out"
    return Halt(f"the deadline of {seconds:g} s is over{while_}", remedy, mild=True)


def of_failures(rows: int) -> Halt:
    """As many rows failed as were bearable."""
    return Halt(
        f"{count(rows, 'row')} did not succeed, which is as many as --max-failures bears",
        "see in results.jsonl why, mend that, or raise --max-failures",
        mild=True,
    )


def of_input(fault: OSError | ValueError) -> Halt:
    """The input could not be read to its end."""
    why = (fault.strerror if isinstance(fault, OSError) else None) or str(fault)
    return Halt(f"the input could not be read to its end ({clause(why)})", "give it again, whole")


def of_disk(fault: OSError | sqlite3.Error | str, folder: Path) -> Halt:
    """What a disk or a database said (an exception, or its text), and what to do about it."""
    text = str(fault)
    number = fault.errno if isinstance(fault, OSError) else None
    for numbers, texts, what, remedy in _DISKS:
        if number in numbers or any(said in text for said in (*texts, *(os.strerror(one) for one in numbers))):
            kept = _KEPT if _KEEPS in text else ""
            return Halt(what.format(folder=folder) + kept, remedy.format(folder=folder))
    why = (fault.strerror or text) if isinstance(fault, OSError) else text
    where = f" at {fault.filename}" if isinstance(fault, OSError) and fault.filename else ""
    return Halt(
        f"the folder {folder} cannot be written (the system says: {clause(why)}{where})",
        "make the folder writable, or see what ails its disk",
    )


_DAMAGED = ("malformed", "file is not a database")
"""What SQLite says of pages that are not as it wrote them."""

_KEEPS = "for what is out"
"""How a journal ends that refuses an intent while there is still room for what is out."""

_KEPT = ", but what is kept for pictures that are out (4 MB or more)"

_DISKS: tuple[tuple[tuple[int, ...], tuple[str, ...], str, str], ...] = (
    (
        (errno.ENOSPC, errno.EDQUOT),
        ("disk is full",),
        "there is no room left on the disk of {folder}",
        "make room on it",
    ),
    (
        (errno.EROFS,),
        ("readonly database",),
        "the folder {folder} is on a read-only disk, or may only be read",
        "make it writable",
    ),
    (
        (errno.EACCES, errno.EPERM),
        ("unable to open database",),
        "the folder {folder} may not be written by this user",
        "make the folder and all in it writable for this user",
    ),
    (
        (errno.EMFILE, errno.ENFILE),
        (),
        "too many files are open at a time",
        "lower --max-concurrency, or raise the limit of open files (ulimit -n)",
    ),
    (
        (errno.EISDIR, errno.ENOTDIR),
        (),
        "a file of the folder {folder} cannot be written, because another of another kind is in its place",
        "see that results.jsonl, results.part.jsonl, summary.json and index.html in it are files, and images a folder",
    ),
    (
        (),
        _DAMAGED,
        "the journal of {folder} is damaged: its database cannot be read",
        "see what ails the disk, then `penstock batch --repair --out {folder}` rebuilds it and keeps the damaged file",
    ),
    (
        (errno.EIO,),
        ("disk I/O error",),
        "the disk of {folder} cannot be read or written",
        "see what ails the disk; a copy of the folder on another one goes on just as well",
    ),
)  # fmt: skip


@define
class Doubting:
    """Counts rows in finishing order that may have been billed for nothing; a picture begins anew."""

    rows: int = 0

    def ended(self, outcome: Outcome) -> bool:
        """A row ended so; whether that is one too many."""
        if outcome.status is Status.AMBIGUOUS:
            self.rows += 1
            return self.rows == DOUBTS
        if any(picture.source is Source.BOUGHT for picture in outcome.pictures):
            self.rows = 0
        return False


@define
class Unreached:
    """Counts rows in finishing order that ended because nobody was there; any other reply begins anew."""

    rows: int = 0

    def replied(self, status: int) -> None:
        """Somebody answered: whoever wrongly listens there answers with 404, 405 or a redirect."""
        if status not in {404, 405} and not 300 <= status < 400:
            self.rows = 0

    def ended(self, trouble: Trouble | None) -> bool:
        """A row ended so; whether that is one too many."""
        if trouble is None or trouble.kind not in NOBODY:
            self.rows = 0
            return False
        self.rows += 1
        return self.rows == IN_A_ROW
