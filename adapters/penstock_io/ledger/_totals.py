"""A ledger added up by the database: as fine as anybody asks, without a row of each attempt in memory.

Attempts of one payer whose amounts the database can add are added there; the few others (a call that several pay, an
amount of a million dollars) come as rows. A ledger of 100,000 attempts is read in a second so, instead of ten.
"""

from __future__ import annotations

from pathlib import Path

from attrs import field, frozen

from penstock.money.shares import Paid
from penstock_io.ledger._books import End, parts_of, payers_of
from penstock_io.ledger._rows import COLUMNS, Row, Saving, looking, row_of, saving_of, tags_of, tenant_of

_SHORT = 18
"""Digits of an amount that 64 bits always hold."""

_SPLIT = 10**9
"""Sums of the digits above and below are far from 64 bits, whatever the number of rows."""


@frozen
class Total:
    """Attempts of one payer that have everything here in common. Money in picodollars, added up.

    `out`: they are on their way, for at most `quoted`; no `quoted` (None) is one that nobody knows. `unknown` says that
    nobody knows what each was charged, or may have been billed.
    """

    source: str
    day: str
    provider: str
    credential: str
    model: str
    size: str
    quality: str
    tenant: str
    tags: tuple[str, ...]
    ending: str
    kind: str
    attempts: int
    pictures: int
    charged: int = 0
    maybe: int = 0
    unknown: bool = False
    out: bool = False
    quoted: int | None = 0


@frozen
class Totals:
    """What a ledger says at one moment: `totals`, the `rows` that are in none of them, and what was saved.

    `attempts` names all of them: the source, the number and the Unix time of the beginning; empty where nobody asked.
    """

    totals: tuple[Total, ...] = field(repr=False)
    rows: tuple[Row, ...] = field(repr=False)
    savings: tuple[Saving, ...] = field(repr=False)
    attempts: frozenset[tuple[str, int, float]] = field(default=frozenset(), repr=False)


# that text is between two payers, and elsewhere only in a strange name, which then merely costs time
_PLAIN = f"""
    INSTR(payers, ']], [') = 0 AND LENGTH(payers) > 2 AND (charges IS NULL OR charges = '[]'
        OR charges = CASE WHEN charge IS NULL THEN '[null]' ELSE '["' || charge || '"]' END)
    AND COALESCE(LENGTH(quote), 0) < {_SHORT} AND COALESCE(LENGTH(charge), 0) < {_SHORT}
    AND COALESCE(LENGTH(bound), 0) < {_SHORT}
"""
_SUMS = ", ".join(f"SUM({name} / {_SPLIT}), SUM({name} % {_SPLIT})" for name in ("quote", "charge", "bound"))
_TOTALS = f"""
SELECT source, day, provider, credential, model, size, quality, payers, ending, kind, is_out,
    SUM(pictures), COUNT(*), is_plain, quote IS NULL, charge IS NULL, bound IS NULL, {_SUMS}
FROM (
    SELECT source, day, provider, credential, model, size, quality, payers, ending, kind, pictures,
        ending IS NULL AND a.run = ? AS is_out, CAST(quote AS INTEGER) AS quote, CAST(charge AS INTEGER) AS charge,
        CAST(bound AS INTEGER) AS bound, {_PLAIN} AS is_plain
    FROM attempts a JOIN runs r ON r.run = a.run WHERE day >= ? AND ending IS NOT 'void'
) GROUP BY source, day, provider, credential, model, size, quality, payers, ending, kind, is_out, is_plain,
    quote IS NULL, charge IS NULL, bound IS NULL
"""  # noqa: S608 - figures and names of ours
_OTHERS = f"""
SELECT {COLUMNS} FROM attempts a JOIN runs r ON r.run = a.run
WHERE day >= ? AND ending IS NOT 'void' AND NOT ({_PLAIN}) ORDER BY a.run, attempt
"""  # noqa: S608 - as above
_SAVINGS = """
SELECT source, day, MIN(at), provider, model, size, quality, tenant, tags, SUM(pictures), saved, COUNT(*)
FROM savings s JOIN runs r ON r.run = s.run WHERE day >= ?
GROUP BY source, day, provider, model, size, quality, tenant, tags, saved
"""
_NAMES = """
SELECT source, attempt, a.begun FROM attempts a JOIN runs r ON r.run = a.run
WHERE day >= ? AND ending IS NOT 'void'
"""


def add_up(path: Path | str, *, since: str = "", names: bool = False) -> Totals:
    """What the ledger at `path` says of days (YYYY-MM-DD) from `since` on, added up; with the `names` of attempts.

    What a run that was killed had out counts as maybe billed. Raises as `read`.
    """
    with looking(Path(path)) as (db, out, _):
        groups = [_Group(*row) for row in db.execute(_TOTALS, (-1 if out is None else out, since))]
        others = not all(group.plain for group in groups)
        return Totals(
            tuple(_total(group) for group in groups if group.plain),
            tuple(row_of(row, out) for row in db.execute(_OTHERS, (since,))) if others else (),
            tuple(_saving(row) for row in db.execute(_SAVINGS, (since,))),
            frozenset(db.execute(_NAMES, (since,))) if names else frozenset(),
        )


@frozen
class _Group:
    source: str
    day: str
    provider: str
    credential: str
    model: str
    size: str
    quality: str
    payers: str
    ending: str | None
    kind: str | None
    out: int
    pictures: int | None
    attempts: int
    plain: int
    unquoted: int
    uncharged: int
    unbound: int
    quote_high: int | None
    quote_low: int | None
    charge_high: int | None
    charge_low: int | None
    bound_high: int | None
    bound_low: int | None

    @property
    def quote(self) -> int | None:
        """What all of them were quoted."""
        return None if self.unquoted else _joined(self.quote_high, self.quote_low)

    @property
    def end(self) -> End | None:
        """How all of them ended, as if they were one; None: they are out."""
        if self.out:
            return None
        if self.ending is None:
            return End("maybe", "orphan", bound=self.quote)
        charge = None if self.uncharged else _joined(self.charge_high, self.charge_low)
        return End(
            self.ending, self.kind or "", charge, None if self.unbound else _joined(self.bound_high, self.bound_low)
        )


def _joined(high: int | None, low: int | None) -> int:
    return (high or 0) * _SPLIT + (low or 0)


def _total(group: _Group) -> Total:
    (payer,) = payers_of(group.payers)
    end = group.end
    (part,) = (Paid(),) if end is None else parts_of([payer], group.quote, end)
    return Total(
        group.source, group.day, group.provider, group.credential, group.model, group.size, group.quality,
        tenant_of(payer), tags_of(payer), "out" if end is None else end.ending, "" if end is None else end.kind,
        group.attempts, group.pictures or 0, part.charged, part.maybe or 0, part.unknown or part.maybe is None,
        end is None, group.quote,
    )  # fmt: skip


def _saving(row: tuple[object, ...]) -> Saving:
    """Savings of the same amount."""
    *said, saved, times = row
    return saving_of((*said, str(int(str(saved)) * int(str(times)))))
