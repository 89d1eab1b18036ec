"""What a ledger says, read without changing it, also while another process holds it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from attrs import field, frozen

from penstock.money.balances import RUN
from penstock.readings import Usage
from penstock_io.journal._lock import holder_of
from penstock_io.journal._readonly import read_only
from penstock_io.ledger._books import End, Payer, charges_of, number, parts_of, payers_of
from penstock_io.ledger._schema import LedgerDamaged, LedgerUnusable, ailment, empty, fault_of, version_of


@frozen
class Share:
    """What one payer of an attempt pays, in picodollars: `charged`, and `maybe` besides (None: nobody knows)."""

    tenant: str
    tags: tuple[str, ...]
    pictures: int
    charged: int = 0
    maybe: int | None = 0


@frozen
class Row:
    """One attempt. Money is picodollars, times are Unix seconds; `day` (UTC) is the one on which it was reserved.

    `operation` is its name in this ledger ("12-345": run and attempt), `source` what the run was for (the folder of a
    batch). `size` and `quality` are as they were asked for ("": left to the provider). `ending` is settled, owed
    (charged, its pictures were still to be downloaded; of a run that was killed it stays so, and the journal knows
    whether they came), failed, maybe (it may have been billed), void (never sent), or
    out. `charge` is None where nobody knows it; `maybe` is what it may have been billed at most besides, None where it
    has no known price. `asked` are the pictures that it was to buy, `pictures` those that came. `shares` says who
    pays, most often one.
    """

    operation: str
    run: int
    attempt: int
    source: str
    day: str
    begun: float
    ended: float | None
    purpose: str
    endpoint: str
    provider: str
    credential: str
    model: str
    size: str
    quality: str
    quote: int | None
    ending: str
    kind: str
    charge: int | None
    maybe: int | None
    usage: Usage | None
    asked: int
    pictures: int
    shares: tuple[Share, ...]

    @property
    def tenant(self) -> str:
        """The tenant of its first payer."""
        return self.shares[0].tenant if self.shares else ""

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of all its payers."""
        return tuple(dict.fromkeys(tag for one in self.shares for tag in one.tags))


@frozen
class Saving:
    """Pictures of one request that were not bought again, and what they had cost, in picodollars."""

    source: str
    day: str
    at: float
    provider: str
    model: str
    size: str
    quality: str
    tenant: str
    tags: tuple[str, ...]
    pictures: int
    saved: int


@frozen
class Statement:
    """What a ledger says at one moment: attempts in the order in which they began, and what was saved.

    `holder` names the process that holds it (None: nobody does).
    """

    rows: tuple[Row, ...] = field(repr=False)
    savings: tuple[Saving, ...] = field(repr=False)
    holder: str | None = None


COLUMNS = """
a.run, attempt, source, day, a.begun, ended, purpose, operation, provider, credential, model, size, quality,
    quote, ending, kind, charge, bound, charges, usage, asked, pictures, payers"""
"""What a row is made of, from `attempts a` and `runs r`."""

_ROWS = f"""
SELECT {COLUMNS}
FROM attempts a JOIN runs r ON r.run = a.run WHERE day >= ? ORDER BY a.run, attempt
"""  # noqa: S608 - names of ours
_SAVINGS = """
SELECT source, day, at, provider, model, size, quality, tenant, tags, pictures, saved
FROM savings s JOIN runs r ON r.run = s.run WHERE day >= ? ORDER BY s.rowid
"""


def read(path: Path | str, *, since: str = "") -> Statement:
    """What the ledger at `path` says of days (YYYY-MM-DD) from `since` on.

    What a run that was killed had out counts as maybe billed. Raises `LedgerUnusable` where there is no ledger or it
    cannot be read, `NewerLedger`.
    """
    with looking(Path(path)) as (db, out, holder):
        rows = tuple(row_of(row, out) for row in db.execute(_ROWS, (since,)))
        return Statement(rows, tuple(saving_of(row) for row in db.execute(_SAVINGS, (since,))), holder)


@contextmanager
def looking(path: Path) -> Generator[tuple[sqlite3.Connection, int | None, str | None]]:
    """A ledger at one moment: its database, the run that is at work, and who holds it. Raises as `read`."""
    if not path.is_file():
        raise LedgerUnusable(f"{path} is no ledger: there is no such file")
    try:
        real = path.resolve()
        gone = empty(real)
        if gone:
            raise LedgerDamaged(path, gone)
        holder = holder_of(real.parent, lock_name(real))
        with read_only(real) as db:
            version_of(db, path)
            db.execute("BEGIN")  # one moment for all that is read
            what = ailment(db)
            if what:
                raise LedgerDamaged(path, what)
            (last,) = db.execute("SELECT COALESCE(MAX(run), 0) FROM runs").fetchone()
            yield db, last if holder is not None else None, holder
    except (sqlite3.Error, OSError, UnicodeDecodeError) as fault:
        raise fault_of(path, fault, "read") from fault


def lock_name(path: Path) -> str:
    """The file beside a ledger that its holder locks."""
    return f"{path.name}.lock"


def row_of(row: tuple[object, ...], out: int | None) -> Row:
    """A row of the table. `out` is the run that is at work: what it has not ended is on its way."""
    line = _Line(*row)  # type: ignore[arg-type] # a row of SQLite is as its table says
    payers, quote = payers_of(line.payers), number(line.quote)
    ended = End(line.ending or "", "", number(line.charge), number(line.bound), charges_of(line.charges))
    ending, kind = line.ending or "out", line.kind or ""
    if line.ending is None and line.run != out:
        ending, kind, ended = "maybe", "orphan", End("maybe", bound=quote)
    parts = parts_of(payers, quote, None if ending == "out" else ended)
    shares = tuple(
        Share(tenant_of(payer), tags_of(payer), payer.pictures, part.charged, part.maybe)
        for payer, part in zip(payers, parts, strict=True)
    )
    known = [part.maybe for part in parts if part.maybe is not None]
    return Row(
        f"{line.run}-{line.attempt}",
        line.run,
        line.attempt,
        line.source,
        line.day,
        line.begun,
        line.ended,
        line.purpose,
        line.operation,
        line.provider,
        line.credential,
        line.model,
        line.size,
        line.quality,
        quote,
        ending,
        kind,
        None if ending in {"settled", "owed", "failed"} and ended.charge is None else sum(p.charged for p in parts),
        sum(known) if len(known) == len(parts) else None,
        None if line.usage is None else Usage(**json.loads(line.usage)),
        line.asked,
        line.pictures or 0,
        shares,
    )


def saving_of(row: tuple[object, ...]) -> Saving:
    """A row of the table of savings."""
    source, day, at, provider, model, size, quality, tenant, tags, pictures, saved = row
    return Saving(
        str(source),
        str(day),
        float(str(at)),
        str(provider),
        str(model),
        str(size),
        str(quality),
        str(tenant),
        tuple(json.loads(str(tags))),
        int(str(pictures)),
        int(str(saved)),
    )


@frozen
class _Line:
    run: int
    attempt: int
    source: str
    day: str
    begun: float
    ended: float | None
    purpose: str
    operation: str
    provider: str
    credential: str
    model: str
    size: str
    quality: str
    quote: str | None
    ending: str | None
    kind: str | None
    charge: str | None
    bound: str | None
    charges: str | None
    usage: str | None
    asked: int
    pictures: int | None
    payers: str


def tenant_of(payer: Payer) -> str:
    """The tenant of a payer."""
    return next((scope.partition(":")[2] for scope in payer.scopes if scope.startswith("tenant:")), "")


def tags_of(payer: Payer) -> tuple[str, ...]:
    """The tags of a payer."""
    return tuple(scope.partition(":")[2] for scope in payer.scopes if scope != RUN and scope.startswith("tag:"))
