"""What the books of a folder say of each job and each picture: read from the tables, over all runs."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from attrs import define, evolve, field, frozen

from penstock.config import Used
from penstock.ids import AttemptId, JobId, Key
from penstock.readings import Usage
from penstock_io.journal import _due
from penstock_io.journal._books import shares_of

UNSENT = "unsent"
"""The kind of a failure before the first byte of the request had left."""

JobName = tuple[int, JobId]
"""A job of any run: the run's number and the job's number in it."""


@frozen
class Tally:
    """What a job paid: attempts whose requests went out, picodollars charged and perhaps billed, tokens.

    `unpriced` says that the charge or the bound of one of them is unknown.
    """

    attempts: int = 0
    charged: int = 0
    maybe: int = 0
    unpriced: bool = False
    usage: Usage | None = None


@frozen
class Lost:
    """An orphan that was resolved: sent by a run that was killed. `bound` is picodollars (None: unknown)."""

    run: int
    attempt: AttemptId
    keys: tuple[Key, ...]
    bound: int | None


@frozen
class Ticket:
    """A job that was put off at `at` (Unix seconds), and why; its pictures are still to be asked for.

    Asking again is a new job, which takes the ticket up: whatever becomes of it, this one is over.
    """

    run: int
    job: JobId
    keys: tuple[Key, ...]
    reason: str
    at: float


@frozen
class Account:
    """The books at one moment.

    `tallies` and `shown` are by job: what it paid, and the files it published by key. `payers` says which jobs paid for
    a picture, `prices` what it cost (None: unknown); a key without a price has no picture. `took` is how many seconds
    the attempt took that brought a picture, where that is known. A file that is not there any more is neither shown nor
    priced. `doubts` are the keys of which an attempt may have been executed and billed, and none was paid since (that
    later ones failed settles nothing), with the bound of the last such attempt a picture; `risked` is what all of them
    may have cost together; `again` are those of them that were tried once more.
    `due` are the keys that are paid and can still be downloaded, each with its end (Unix seconds), `lost` those that
    are paid and cannot, and that nobody has tried to buy again.
    `deferred` are the jobs that were put off and that nobody has taken up again.
    `attempts` counts what was sent, for at most `quoted` picodollars; `tries` of them, for at most `bounds`, were sent
    in spite of a doubt about one of their pictures. `out` are the keys of those that have no end: a run that is at work
    waits for them, or a killed one did. So many of them were `unsent`: nobody was there whom they could be sent to.
    """

    tallies: Mapping[JobName, Tally] = field(factory=dict[JobName, Tally])
    shown: Mapping[JobName, Mapping[Key, str]] = field(factory=dict[JobName, Mapping[Key, str]])
    payers: Mapping[Key, frozenset[JobName]] = field(factory=dict[Key, frozenset[JobName]])
    prices: Mapping[Key, int | None] = field(factory=dict[Key, int | None])
    took: Mapping[Key, float] = field(factory=dict[Key, float])
    doubts: Mapping[Key, int | None] = field(factory=dict[Key, int | None])
    risked: Mapping[Key, int | None] = field(factory=dict[Key, int | None])
    due: Mapping[Key, float] = field(factory=dict[Key, float])
    lost: frozenset[Key] = frozenset()
    orphans: tuple[Lost, ...] = ()
    deferred: tuple[Ticket, ...] = ()
    attempts: int = 0
    again: frozenset[Key] = frozenset()
    tries: int = 0
    quoted: int = 0
    bounds: int = 0
    out: frozenset[Key] = frozenset()
    unsent: int = 0

    @property
    def used(self) -> Used:
        """What all runs have used of the ambiguous allowance."""
        return Used(self.attempts, self.tries, self.quoted, self.bounds)


def read_account(db: sqlite3.Connection, folder: Path) -> Account:
    """Read all of it, and look which files are there. Raises `sqlite3.Error`."""
    there = _There(folder)
    pictures = db.execute("SELECT key, file, charge FROM pictures").fetchall()
    prices: dict[Key, int | None] = {Key(key): charge for key, file, charge in pictures if there[file]}
    shown: dict[JobName, dict[Key, str]] = {}
    for run, job, key, file in db.execute("SELECT run, job, key, file FROM published ORDER BY run, job, place"):
        if there[file]:
            shown.setdefault((run, JobId(job)), {})[Key(key)] = file
    tickets = _tickets(db)
    reader = _Reader(put_off={key: ticket for ticket in tickets for key in ticket.keys})
    for row in db.execute(_ATTEMPTS):
        reader.take(_Line(*row))
    doubts = {key: bound for key, bound in reader.doubts.items() if key not in prices}
    now = time.time()
    due = {key: end for key, end in _due.until(db).items() if end > now}
    payers = {key: frozenset(jobs) for key, jobs in reader.payers.items()}
    return Account(
        tallies=reader.tallies,
        shown=shown,
        payers=payers,
        prices=prices,
        took=reader.took,
        doubts=doubts,
        risked={key: reader.risked[key] for key in doubts},
        due=due,
        lost=frozenset(reader.lost.difference(due, (key for key, _, _ in pictures))),
        orphans=tuple(reader.orphans),
        deferred=_open(tickets, reader.put_off, prices),
        attempts=reader.attempts,
        again=frozenset(reader.again & doubts.keys()),
        tries=reader.tries,
        quoted=reader.quoted,
        bounds=reader.bounds,
        out=frozenset(reader.out),
        unsent=reader.unsent,
    )


def _tickets(db: sqlite3.Connection) -> list[Ticket]:
    """All jobs that were put off, in order."""
    query = "SELECT run, job, keys, reason, at FROM deferred ORDER BY run, job"
    return [
        Ticket(run, JobId(job), tuple(map(Key, json.loads(keys))), reason, at)
        for run, job, keys, reason, at in db.execute(query)
    ]


def _open(
    tickets: Iterable[Ticket], put_off: Mapping[Key, Ticket], prices: Mapping[Key, int | None]
) -> tuple[Ticket, ...]:
    """Those of which a picture is missing that nobody asked for since."""
    return tuple(
        ticket for ticket in tickets if any(put_off.get(key) == ticket and key not in prices for key in ticket.keys)
    )


class _There(dict[str, bool]):
    """Whether the file of a name is there; each is looked for once."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = str(folder)

    def __missing__(self, name: str) -> bool:
        found = self[name] = os.path.exists(f"{self._folder}/{name}")  # noqa: PTH110 - a tenth of Path's cost
        return found


_ATTEMPTS = """
SELECT run, attempt, keys, parts, quote, ending, kind, charge, charges, bound, usage, begun, ended FROM attempts
WHERE ending IS NOT 'void' ORDER BY run, attempt
"""


@frozen
class _Line:
    run: int
    attempt: int
    keys: str
    parts: str
    quote: int | None
    ending: str | None
    kind: str | None
    charge: int | None
    charges: str | None
    bound: int | None
    usage: str | None
    begun: float | None
    ended: float | None

    @property
    def unsent(self) -> bool:
        """It found nobody there: no byte of its request has left."""
        return self.ending == "failed" and self.kind == UNSENT

    @property
    def doubtful(self) -> bool:
        """Nobody knows whether it was billed: it ended so, or did not end."""
        return self.ending is None or self.ending == "maybe"


@define
class _Reader:
    put_off: dict[Key, Ticket] = field(factory=dict[Key, Ticket])
    tallies: dict[JobName, Tally] = field(factory=dict[JobName, Tally])
    payers: dict[Key, set[JobName]] = field(factory=dict[Key, set[JobName]])
    took: dict[Key, float] = field(factory=dict[Key, float])
    doubts: dict[Key, int | None] = field(factory=dict[Key, int | None])
    risked: dict[Key, int | None] = field(factory=dict[Key, int | None])
    lost: set[Key] = field(factory=set[Key])
    orphans: list[Lost] = field(factory=list[Lost])
    attempts: int = 0
    again: set[Key] = field(factory=set[Key])
    tries: int = 0
    quoted: int = 0
    bounds: int = 0
    out: set[Key] = field(factory=set[Key])
    unsent: int = 0

    def take(self, line: _Line) -> None:
        """One attempt that was sent."""
        self.attempts += 1
        self.unsent += line.unsent
        keys = tuple(map(Key, json.loads(line.keys)))
        parts = [((line.run, JobId(job)), len(samples)) for job, samples in json.loads(line.parts)]
        amount = (line.quote if line.ending is None else line.bound) if line.doubtful else line.charge
        self._book(line, parts)
        self.quoted += line.quote or 0
        if self.put_off:
            self._take_up(line, keys)
        self._miss(line, keys)
        doubted = [key for key in keys if key in self.doubts]
        if doubted and (line.doubtful or line.ending in {"settled", "owed"} or line.charge != 0):
            self.again.update(doubted)
            self.tries += 1
            self.bounds += line.quote or 0
        for key in keys:
            if line.doubtful:
                bound = None if amount is None else -(-amount // len(keys))
                before = self.risked.get(key, 0)
                self.doubts[key] = bound
                self.risked[key] = None if bound is None or before is None else before + bound
            elif line.ending in {"settled", "owed"}:
                self.doubts.pop(key, None)
                self.risked.pop(key, None)
                self.again.discard(key)
                self.payers.setdefault(key, set()).update(job for job, _ in parts)
                if line.begun is not None and line.ended is not None:
                    self.took[key] = max(0.0, line.ended - line.begun)
        if line.doubtful and line.kind == "orphan":
            self.orphans.append(Lost(line.run, AttemptId(line.attempt), keys, amount))
            for key in keys:  # if its picture was found on the disk, this attempt is what paid for it
                self.payers.setdefault(key, set()).update(job for job, _ in parts)

    def _miss(self, line: _Line, keys: tuple[Key, ...]) -> None:
        """What it is to bring, or has not brought though it was paid."""
        self.lost.difference_update(keys)
        if line.ending is None:
            self.out.update(keys)
        elif line.ending == "owed" or (line.ending == "settled" and line.kind == "lost"):
            self.lost.update(keys)

    def _take_up(self, line: _Line, keys: tuple[Key, ...]) -> None:
        for key in keys:
            ticket = self.put_off.get(key)
            if ticket is not None and (line.run, line.begun or 0.0) > (ticket.run, ticket.at):
                del self.put_off[key]

    def _book(self, line: _Line, parts: list[tuple[JobName, int]]) -> None:
        counts = [count for _, count in parts]
        usage = None if line.usage is None else Usage(**json.loads(line.usage))
        usages = () if usage is None or not sum(counts) else usage.split(sum(counts))
        at = 0
        shares = shares_of(
            counts, line.ending, quote=line.quote, charge=line.charge, charges=line.charges, bound=line.bound
        )
        for (job, count), share in zip(parts, shares, strict=True):
            tally = self.tallies.get(job, Tally())
            used = tally.usage
            for mine in usages[at : at + count]:
                used = mine if used is None else used + mine
            at += count
            self.tallies[job] = evolve(
                tally,
                attempts=tally.attempts + (not line.unsent),
                charged=tally.charged + share.charged,
                maybe=tally.maybe + share.maybe,
                unpriced=tally.unpriced or share.unknown,
                usage=used,
            )
