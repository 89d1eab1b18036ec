"""What the sums say, to people and to programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from attrs import frozen

from penstock_io.costing.outlook import LEAST, METHOD, SPENT, WINDOW, Projection, Return, decimal_of, usd
from penstock_io.costing.sums import (
    DIMENSIONS,
    NOT_KNOWN,
    TAG,
    Books,
    Item,
    Sums,
    by,
    failures,
    out_now,
    overlap,
    total,
)
from penstock_io.words import UNKNOWN, at_most, bound, count, money, one_line, summed

DAYS = 14
"""How many days and other lines of one table people are shown; programs get all."""


@frozen
class Report:
    """All that a cost is told from. `back` None: no change was asked about; `since` None: it is about all days."""

    books: Books
    projection: Projection
    back: Return | None = None
    since: str | None = None


# For programs


def as_object(report: Report) -> dict[str, object]:
    """What `--json` prints."""
    items = report.books.items
    out = out_now(items)
    return {
        "sources": list(report.books.sources),
        "since": report.since,
        **_figures(total(items)),
        "out": {"attempts": out.attempts, "bound_usd": None if out.unknown else usd(out.bound)},
        "by": {name: [{"name": key, **_figures(sums)} for key, sums in by(items, name).items()] for name in DIMENSIONS},
        "tags_overlap_usd": usd(overlap(items)),
        "failures": [{"kind": kind, **_figures(sums)} for kind, sums in failures(items).items()],
        "counted_once": report.books.twice,
        "missing_in_ledgers": report.books.missing,
        "projection": _projected(report.projection),
        "return": None if report.back is None else _returned(report.back),
    }


def _figures(sums: Sums) -> dict[str, object]:
    return {
        "attempts": sums.attempts,
        "failed": sums.failed,
        "doubtful": sums.doubtful,
        "pictures": sums.pictures,
        "spent_usd": usd(sums.charged),
        "maybe_billed_usd": usd(sums.maybe),
        "unknown": sums.unknown,
        "at_least": sums.unknown > 0,
        "reused": sums.reused,
        "saved_usd": usd(sums.saved),
    }


def _projected(projection: Projection) -> dict[str, object]:
    monthly, pictures = projection.monthly, projection.pictures
    return {
        "monthly_usd": None if monthly is None else usd(monthly),
        "pictures": None if pictures is None else decimal_of(pictures, 2),
        "at_least": projection.unknown,
        "days": projection.days,
        "days_with_spending": projection.spending,
        "method": METHOD,
    }


def _returned(back: Return) -> dict[str, object]:
    change = back.change
    return {
        "volume": decimal_of(change.volume),
        "labour_usd": decimal_of(change.labour),
        "infrastructure_usd": decimal_of(change.infrastructure),
        "one_off_usd": decimal_of(change.one_off),
        "cost_of_a_picture_usd": decimal_of(back.picture),
        "monthly_saving_usd": decimal_of(back.monthly),
        "payback_months": None if back.payback is None else decimal_of(back.payback, 4),
        "yearly_return": None if back.yearly is None else decimal_of(back.yearly, 6),
        "message": told_return(back)[-1],
    }


# For people


def as_lines(report: Report) -> list[str]:
    """What people are told."""
    items = report.books.items
    sums = total(items)
    lines = [_spent(sums), f"attempts:  {_attempts(sums)}"]
    if sums.reused:
        lines.append(f"saved:     {money(sums.saved)} by not buying {count(sums.reused, 'picture')} again")
    out = out_now(items)
    if out.attempts:
        known = at_most(None if out.unknown else out.bound)
        lines.append(f"out now:   {count(out.attempts, 'attempt')} for {known}")
    lines.append(f"a month:   {_month(report.projection)}")
    if report.since is not None:
        lines.append(f"since:     {report.since} (UTC); what was before is left out")
    if report.books.twice:
        lines.append(f"note:      {report.books.twice:,} entries stand in a folder and in a ledger, and count once")
    if report.books.missing:
        gone = f"{count(report.books.missing, 'attempt')} of folders that a ledger had: it is another one, or was lost"
        lines.append(f"note:      the ledger lacks {gone} and begun anew, and its caps forgot them")
    lines += _tables(items)
    failed = failures(items)
    if failed:
        lines += ["", *_table("failure", failed)]
    if report.back is not None:
        lines += ["", *told_return(report.back, _doubt(sums))]
    return lines


def _tables(items: Sequence[Item]) -> list[str]:
    """A table for whatever the money went to more than one of, and a line for the rest."""
    lines: list[str] = []
    alone: list[str] = []
    for name in DIMENSIONS:
        found = _paid(name, by(items, name))
        if len(found) == 1 and (only := next(iter(found))):
            alone.append(f"{name} {_label(only)}")
        if len(found) > 1:
            lines += ["", *_table(name, found, newest=name == "day")]
            if name == TAG and overlap(items):
                lines.append(f"  (what has several tags counts under each: {money(overlap(items))} more than in all)")
    if alone:
        lines += ["", f"all of it: {', '.join(alone)}"]
    return lines


def _paid(name: str, found: Mapping[str, Sums]) -> Mapping[str, Sums]:
    """What people are shown: no credential has to do with what was not bought."""
    if name not in {"provider", "credential"}:
        return found
    return {key: sums for key, sums in found.items() if sums.attempts or sums.charged}


def _spent(sums: Sums) -> str:
    """What is known to be spent, and what more at most; of what nobody knows the amount there is no bound."""
    spent = f"spent:     {summed(sums.charged, unknown=sums.unknown > 0)} for {count(sums.pictures, 'picture')}"
    more = f"{at_most(sums.maybe)} more may have been billed"
    if not sums.unknown:
        return f"{spent}, and {more}" if sums.maybe else spent
    others = f", and for others {more}" if sums.maybe else ""
    return f"{spent}; of {count(sums.unknown, 'payment')} nobody knows the amount{others}"


def _attempts(sums: Sums) -> str:
    parts = [f"{sums.failed:,} failed"] if sums.failed else []
    if sums.doubtful:
        parts.append(f"{sums.doubtful:,} may have been billed")
    return f"{sums.attempts:,}" + (f", of which {' and '.join(parts)}" if parts else "")


def _month(projection: Projection) -> str:
    days = f"{count(projection.spending, 'day')} with spending in the last {count(projection.days, 'day')}"
    if projection.monthly is None or projection.pictures is None:
        why = days if projection.days else f"nothing was spent in the last {WINDOW} days"
        return f"no projection: {why}; it takes {LEAST} days, {SPENT} of them with spending"
    monthly = summed(round(projection.monthly), unknown=projection.unknown)
    pictures = count(round(projection.pictures), "picture")
    return f"{monthly} for {pictures}, from {days} ({METHOD})"


def _table(name: str, found: Mapping[str, Sums], *, newest: bool = False) -> list[str]:
    """A table for people, the dearest first, or the newest."""
    if newest:
        order = sorted(found.items(), reverse=True)
    else:
        order = sorted(found.items(), key=lambda one: (-one[1].charged, -one[1].maybe, one[0]))
    rows: list[tuple[str, ...]] = [("by " + name, "spent", "maybe", "pictures", "attempts", "saved")]
    rows += [(_label(key), *_cells(sums)) for key, sums in order[:DAYS]]
    lines = aligned(rows)
    if len(order) > DAYS:
        rest = sum((sums for _, sums in order[DAYS:]), Sums())
        spent = summed(rest.charged, unknown=rest.unknown > 0)
        lines.append(f"  and {len(order) - DAYS:,} more with {spent} (--csv and --json have all)")
    return lines


def _label(name: str) -> str:
    return {"": "(not said)", NOT_KNOWN: "(not remembered)"}.get(name, one_line(name, 48))


def _cells(sums: Sums) -> tuple[str, ...]:
    return (
        summed(sums.charged, unknown=sums.unknown > 0),
        _more(sums),
        f"{sums.pictures:,}",
        f"{sums.attempts:,}",
        money(sums.saved) if sums.saved else "-",
    )


def _more(sums: Sums) -> str:
    """What may have been billed besides, as a cell: a bound only where each doubt has one."""
    if sums.unknown and sums.doubtful:
        return UNKNOWN
    return bound(sums.maybe) if sums.maybe else "-"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines, the first column to the left and all others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        ).rstrip()
        for row in rows
    ]


def _doubt(sums: Sums) -> str:
    """Why a picture may cost more than the books are sure of; "" if it may not."""
    if sums.unknown:
        return "a picture costs at least so much: of some payments nobody knows the amount"
    if sums.maybe:
        return f"a picture costs at least so much: {at_most(sums.maybe)} more may have been billed"
    return ""


def told_return(back: Return, doubt: str = "") -> list[str]:
    """What a change brings, with the sums that it comes from; the last line says it in words."""
    change = back.change
    volume, monthly, cost = _number(change.volume), _dollars(back.monthly), _dollars(change.infrastructure)
    once = _dollars(change.one_off)
    lines = [
        "return on the change:",
        "  monthly saving = volume x (labour - cost of a picture) - infrastructure",
        f"                 = {volume} x ({_dollars(change.labour)} - {_dollars(back.picture)}) - {cost} = {monthly}",
    ]
    if back.payback is not None and change.one_off:
        months = _number(back.payback, 1)
        lines.append(
            f"  payback        = one-off / monthly saving = {_dollars(change.one_off)} / {monthly} = {months} months"
        )
    if back.yearly is not None:
        lines += [
            "  yearly return  = (12 x monthly saving - one-off) / one-off",
            f"                 = (12 x {monthly} - {once}) / {once} = {_number(back.yearly * 100, 1)} %",
        ]
    if doubt:
        lines.append(f"  {doubt}; so the saving is at most this")
    return [*lines, _verdict(back)]


def _verdict(back: Return) -> str:
    """What a change comes to, in words."""
    if back.monthly < 0:
        return f"It never pays back: each month costs {_dollars(-back.monthly)} more than making them by hand."
    if back.monthly == 0:
        once = f", and {_dollars(back.change.one_off)} once" if back.change.one_off else ""
        never = "It never pays back" if back.change.one_off else "It makes no difference"
        return f"{never}: a month costs as much as making them by hand{once}."
    if not back.change.one_off:
        return f"It pays from the first month: {_dollars(back.monthly)} a month, with nothing paid at the beginning."
    months = _number(back.payback or 0, 1)
    return f"It pays back after {months} months, and saves {_dollars(back.monthly)} a month from then on."


def _number(amount: Fraction | int, places: int = 12) -> str:
    whole, dot, rest = decimal_of(amount, places).partition(".")
    return f"{int(whole):,}{dot}{rest}" if whole != "-0" else f"{whole}{dot}{rest}"


def _dollars(amount: Fraction) -> str:
    return money(round(amount * 10**12))
