"""How many output tokens a picture takes, by the rule that a model's data names.

`table` and `formula` are published and bound what a picture may cost. `estimate` comes from measurements: it is good
enough to plan the tokens of a rate limit by, and never for a quote.
"""

from __future__ import annotations

from attrs import frozen

from penstock.catalog._load import Json, table, text, wholes
from penstock.catalog.sizes import GRID, parse


@frozen
class TokenRule:
    """A rule by name: "table" (size -> quality -> tokens), "formula" or "estimate" (quality -> base, percent added)."""

    kind: str
    table: dict[str, dict[str, int]]
    base: dict[str, int]
    percent: dict[str, int]
    source: str


def rule(data: dict[str, Json]) -> TokenRule:
    """The rule as the data file says it."""
    return TokenRule(
        kind=text(data["rule"]),
        table={size: wholes(row) for size, row in table(data.get("table", {})).items()},
        base=wholes(data.get("base", {})),
        percent=wholes(data.get("percent", {})),
        source=text(data["source"]),
    )


def formula(base: int, width: int, height: int) -> int:
    """Output tokens of a picture of `width` x `height` pixels (OpenAI's cost calculator, 2026-09)."""
    side = round(base / (max(width, height) / min(width, height)))
    return -(-base * side * (2_000_000 + width * height) // 4_000_000)


def bound(rule: TokenRule, size: str | None, quality: str | None) -> int | None:
    """The most tokens one picture may take; None where nothing is published."""
    return None if rule.kind == "estimate" else estimate(rule, size, quality)


def estimate(rule: TokenRule, size: str | None, quality: str | None) -> int | None:
    """The most tokens one picture is believed to take; None for a size or quality that the rule does not know."""
    if rule.kind == "table":
        return _from_table(rule, size, quality)
    bases = _choices(rule.base, quality)
    # The largest square is the dearest picture that the grid allows: the side factor only falls with the ratio.
    pixels = (GRID.square, GRID.square) if size in (None, "auto") else parse(size)
    if not bases or pixels is None:
        return None
    figures = [formula(base, *pixels) * rule.percent.get(name, 100) for name, base in bases.items()]
    return -(-max(figures) // 100)


def _from_table(rule: TokenRule, size: str | None, quality: str | None) -> int | None:
    picked = rule.table.values() if size in (None, "auto") else [rule.table.get(size, {})]
    figures = [figure for row in picked for figure in _choices(row, quality).values()]
    return max(figures, default=None)


def _choices(figures: dict[str, int], quality: str | None) -> dict[str, int]:
    if quality in (None, "auto"):
        return figures
    return {quality: figures[quality]} if quality in figures else {}
