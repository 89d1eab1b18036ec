"""What a quote says, to people and to programs."""

from __future__ import annotations

from penstock_io.costing.asking import Quoted
from penstock_io.costing.outlook import usd
from penstock_io.costing.quoting import Amount, Option
from penstock_io.costing.telling import aligned
from penstock_io.words import at_most, bound, count, money, one_line

UNKNOWN = "not known"
SHOWN = 12
"""How many lines of a table people are shown; programs get all."""


# For programs


def as_object(quoted: Quoted) -> dict[str, object]:
    """What `--json` prints."""
    return {
        "rows": quoted.rows,
        "invalid": len(quoted.invalid),
        "repeats": quoted.repeats,
        "paid": quoted.paid,
        "left": quoted.left,
        **_figures(quoted.amount),
        "by": [
            {"model": model, "size": size or None, "quality": quality or None, **_figures(amount)}
            for (model, size, quality), amount in quoted.settings.items()
        ],
        "cheaper": [_option(one) for one in quoted.cheaper],
        "batch": None if quoted.batch is None else _option(quoted.batch),
        "missing": [
            {"model": one.model, "pictures": one.pictures, "lines": one.lines, "meaning": one.meaning}
            for one in quoted.missing
        ],
        "warnings": list(quoted.warnings),
    }


def _figures(amount: Amount) -> dict[str, object]:
    return {
        "pictures": amount.pictures,
        "bound_usd": _usd(amount.most),
        "expected_usd": _usd(amount.likely),
        "known_bound_usd": usd(amount.bound),
        "known_expected_usd": usd(amount.expected),
        "without_bound": amount.unbounded,
    }


def _option(one: Option) -> dict[str, object]:
    return {
        "setting": one.setting,
        "value": one.value or None,
        "changed": one.pictures,
        **_figures(one.amount),
        "saves_bound_usd": _usd(one.saves),
        "saves_expected_usd": _usd(one.probably),
        "ends": one.ends or None,
    }


def _usd(amount: int | None) -> str | None:
    return None if amount is None else usd(amount)


# For people


def as_lines(quoted: Quoted) -> list[str]:
    """What people are told."""
    lines = [f"rows:      {_rows(quoted)}", f"price:     {_price(quoted.amount)}"]
    if quoted.amount.pictures:
        lines += ["", *_settings(quoted)]
    if quoted.cheaper or quoted.batch is not None:
        lines += ["", *_options(quoted)]
    for one in quoted.missing:
        whose = f"{count(one.pictures, 'picture')} of {one_line(one.model)}"
        if one.gone:
            lines += ["", f"no price is known for {whose}: {one.gone}"]
            continue
        lines += [
            "",
            f"no bound is known for {whose}; say it in the file of --config ({one.meaning}; put your figures):",
            *[f"  {line}" for line in one.lines.splitlines()],
        ]
    return lines


def _rows(quoted: Quoted) -> str:
    told = (
        (quoted.repeats, "repeat another and share its picture"),
        (quoted.paid, "pictures paid already" if quoted.paid != 1 else "picture paid already"),
        (quoted.left, "not sent as they stand (failed for good, in doubt, or beyond --limit)"),
        (len(quoted.invalid), "invalid"),
    )
    parts = [f"{quoted.rows + len(quoted.invalid):,}, {count(quoted.amount.pictures, 'picture')} to buy"]
    parts += [f"{number:,} {words}" for number, words in told if number]
    return "; ".join(parts)


def _price(amount: Amount) -> str:
    most = _part(amount, amount.unbounded, at_most(amount.bound))
    likely = _part(amount, amount.unguessed, f"probably {money(amount.expected)}")
    unknown = f"; no bound is known for {amount.unbounded:,} of {count(amount.pictures, 'picture')}"
    told = ", ".join(part for part in (most, likely) if part) or UNKNOWN
    return told + (unknown if amount.unbounded else "")


def _part(amount: Amount, unknown: int, said: str) -> str:
    """What is said of those pictures of which it is known; "" where that is none of them."""
    known = amount.pictures - unknown
    if unknown and not known:
        return ""
    return f"{said} for {count(known, 'picture')}" if unknown else said


def _settings(quoted: Quoted) -> list[str]:
    rows: list[tuple[str, ...]] = [("by model, size, quality", "pictures", "at most", "probably")]
    order = sorted(quoted.settings.items(), key=lambda one: (-(one[1].likely or 0), one[0]))
    for (model, size, quality), amount in order[:SHOWN]:
        name = f"{model}, {size or 'any size'}, {quality or 'any quality'}"
        rows.append((one_line(name, 60), f"{amount.pictures:,}", _bound(amount.most), _money(amount.likely)))
    lines = aligned(rows)
    more = order[SHOWN:]
    return [*lines, f"  and {len(more):,} more (--json has all)"] if more else lines


def _options(quoted: Quoted) -> list[str]:
    head = ("cheaper, each alone", "changed", "at most", "probably", "bound falls by", "probably saves")
    rows: list[tuple[str, ...]] = [head]
    rows += [_cells(f"{one.setting} {one.value}", one) for one in quoted.cheaper]
    if quoted.batch is not None:
        rows.append(_cells("the provider's batch API", quoted.batch))
    lines = aligned(rows)
    lines += [f"({one.value} is shut down on {one.ends})" for one in quoted.cheaper if one.ends]
    if quoted.batch is not None:
        lines.append("(a provider's own batch API answers within a day; penstock does not send there)")
    return lines


def _cells(name: str, one: Option) -> tuple[str, ...]:
    return (
        name,
        f"{one.pictures:,}",
        _bound(one.amount.most),
        _money(one.amount.likely),
        _money(one.saves),
        _money(one.probably),
    )


def _money(amount: int | None) -> str:
    return UNKNOWN if amount is None else money(amount)


def _bound(amount: int | None) -> str:
    return UNKNOWN if amount is None else bound(amount)
