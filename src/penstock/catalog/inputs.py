"""How many input tokens an image takes that a picture is made from, by the rule that a model's data names.

`tiles` is published and bounds what an image may cost. `patches` fits what others measured: good enough to expect by,
and never for a quote.
"""

from __future__ import annotations

from fractions import Fraction

from attrs import frozen

from penstock.catalog._load import Json, text, whole

FIDELITIES = ("low", "high")


@frozen
class InputRule:
    """A rule by name, its figures, and the fidelities that the model takes (none: it knows no such word)."""

    kind: str
    figures: dict[str, int]
    fidelities: tuple[str, ...]
    source: str


def rule(data: dict[str, Json], fidelities: tuple[str, ...]) -> InputRule:
    """The rule as the data file says it."""
    figures = {name: whole(value) for name, value in data.items() if name not in ("rule", "source")}
    return InputRule(text(data["rule"]), figures, fidelities, text(data["source"]))


def bound(rule: InputRule, width: int, height: int, fidelity: str | None) -> int | None:
    """The most tokens of an image of these pixels; None where nothing is published."""
    return estimate(rule, width, height, fidelity) if rule.kind == "tiles" else None


def estimate(rule: InputRule, width: int, height: int, fidelity: str | None) -> int | None:
    """The most tokens that such an image is believed to take; None for what is no image, or no fidelity.

    Of no pixels (0 x 0: nobody has seen it) it is the worst case, where there is one: tiles have none, since the more
    one side outgrows the other, the more they are.
    """
    if width == height == 0 and rule.kind == "patches":
        return rule.figures["most"]
    if width < 1 or height < 1 or (fidelity is not None and fidelity not in FIDELITIES):
        return None
    if rule.kind == "tiles":
        return _tiles(rule, width, height, fidelity)
    figures = rule.figures
    return _patches(width, height, figures["patch"], figures["most"], figures["longest"])


def _tiles(rule: InputRule, width: int, height: int, fidelity: str | None) -> int:
    """The shorter side becomes one tile, the longer so many as it has begun; high fidelity adds a fixed part."""
    figures = rule.figures
    tokens = figures["base"] + figures["tile"] * -(-max(width, height) // min(width, height))
    dear = fidelity == "high" or (fidelity is None and "high" in rule.fidelities)
    if not dear:
        return tokens
    return tokens + (figures["square"] if width == height else figures["oblong"])


def _patches(width: int, height: int, patch: int, most: int, longest: int) -> int:
    """Made larger until its longer side is `longest`, then smaller until it has at most `most` squares of `patch`.

    Where it is made smaller, a side shrinks to a whole number of squares.
    """
    up = max(Fraction(1), Fraction(longest, max(width, height)))
    across, down = Fraction(width) * up / patch, Fraction(height) * up / patch
    if _whole(across) * _whole(down) <= most:
        return _whole(across) * _whole(down)
    by = Fraction((float(most) / float(across * down)) ** 0.5)
    across, down = across * by, down * by
    fit = min(Fraction(max(1, int(side))) / side for side in (across, down))
    return min(most, _whole(across * fit) * _whole(down * fit))


def _whole(side: Fraction) -> int:
    return -(-side.numerator // side.denominator)
