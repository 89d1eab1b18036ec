"""Reads the `usage` of a reply, whatever a provider leaves out of it."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from math import isfinite

from penstock.readings import Usage
from penstock.wire._json import Json

_MOST = 1 << 53


def usage(value: Json) -> Usage | None:
    """Tokens by class, or None where nothing usable is said.

    Input that is not itemised is text, output that is not itemised is picture. Cached tokens are taken out of their
    class. All zeros is how local servers say that they do not count: None.
    """
    if not isinstance(value, dict):
        return None
    cost = _cost(value.get("cost"))
    text, cached_text, image, cached_image = _input(value)
    output_image, output_text = _output(value)
    if not any((text, cached_text, image, cached_image, output_image, output_text)) and cost is None:
        return None
    return Usage(text, cached_text, image, cached_image, output_image, output_text, cost)


def _input(value: dict[str, Json]) -> tuple[int, int, int, int]:
    total = _count(value, "input_tokens") or _count(value, "prompt_tokens")
    items = _table(value, "input_tokens_details") or _table(value, "prompt_tokens_details")
    image = _count(items, "image_tokens")
    text = max(_count(items, "text_tokens"), total - image)
    split = _table(items, "cached_tokens_details")
    cached_image = min(image, _count(split, "image_tokens"))
    cached_text = min(text, _count(split, "text_tokens") if split else _count(items, "cached_tokens"))
    return text - cached_text, cached_text, image - cached_image, cached_image


def _output(value: dict[str, Json]) -> tuple[int, int]:
    total = _count(value, "output_tokens") or _count(value, "completion_tokens")
    items = _table(value, "output_tokens_details") or _table(value, "completion_tokens_details")
    text = _count(items, "text_tokens")
    return max(_count(items, "image_tokens"), total - text, 0), text


def _count(value: dict[str, Json], name: str) -> int:
    figure = value.get(name)
    if isinstance(figure, bool) or not isinstance(figure, int | float) or not 0 <= figure < _MOST:
        return 0
    return int(figure)


def _table(value: dict[str, Json], name: str) -> dict[str, Json]:
    items = value.get(name)
    return items if isinstance(items, dict) else {}


def _cost(value: Json) -> int | None:
    """A cost in dollars as picodollars, rounded up; None for what is no amount."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9 or not isfinite(value):
        return None
    return int((Decimal(repr(value)) * 10**12).to_integral_value(ROUND_CEILING))
