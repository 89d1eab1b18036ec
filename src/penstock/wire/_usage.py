"""Reads the `usage` of a reply, whatever a provider leaves out of it; what is not whole is not taken for a figure."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal
from math import isfinite

from penstock.readings import Usage
from penstock.wire._json import Json

_MOST = 1 << 53

_INPUT, _OUTPUT = ("input_tokens", "prompt_tokens"), ("output_tokens", "completion_tokens")


class _NonsenseError(Exception):
    """A figure that is none, or two that contradict each other."""


def usage(value: Json, *, texts: bool = False) -> Usage | None:
    """Tokens by class, or None where they are not said whole: a cost made of the rest would be too small.

    Whole is what says input and output, or one of them and their total, without a figure that is none (a text, below 0,
    beyond all measure) and without a contradiction. Input that is not itemised is text, output that is not itemised is
    picture, or with `texts` text. Cached tokens are taken out of their class; of a sum of them above the text nobody
    can say whose they are, and none is taken. A total above input and output holds what a model thought with, which is
    billed as text that it made: of texts always (xAI and Gemini count so), elsewhere where it is said as
    `reasoning_tokens` to the last. All zeros is how local servers say that they do not count. The provider's
    own cost stands alone: with it, tokens that are not said whole are 0.
    """
    if not isinstance(value, dict):
        return None
    cost = _bill(value)
    try:
        found = _tokens(value, 0 if texts else 1)
    except _NonsenseError:
        found = (0, 0, 0, 0, 0, 0)
    return Usage(*found, cost) if any(found) or cost is not None else None


def remarks(value: Json) -> tuple[str, ...]:
    """What whoever pays is to hear of the `usage` of texts: tokens in its total that are told nowhere else."""
    found = usage(value, texts=True)
    if found is None or not isinstance(value, dict):
        return ()
    try:
        rest = _sides(value)[2]
    except _NonsenseError:
        return ()
    if rest <= 0 or rest == _thought(value):
        return ()
    tokens = f"{rest:,} token{'s' if rest > 1 else ''}"
    return (f"the reply's total is {tokens} above its input and output: they are counted as output",)


def _tokens(value: dict[str, Json], output: int) -> tuple[int, int, int, int, int, int]:
    given, made, rest = _sides(value)
    if rest < 0 or (rest and output == 1 and rest != _thought(value)):
        raise _NonsenseError
    items = _table(value, *(f"{name}_details" for name in _INPUT))
    text, image = _split(given, _count(items, "text_tokens"), _count(items, "image_tokens"), rest=0)
    cached = _table(items, "cached_tokens_details")
    cached_image = _count(cached, "image_tokens") or 0
    cached_text = (_count(cached, "text_tokens") if cached else _count(items, "cached_tokens")) or 0
    if not cached and text < cached_text <= given:
        cached_text = 0
    if cached_image > image or cached_text > text:
        raise _NonsenseError
    items = _table(value, *(f"{name}_details" for name in _OUTPUT))
    told, pictures = _split(made, _count(items, "text_tokens"), _count(items, "image_tokens"), rest=output)
    return text - cached_text, cached_text, image - cached_image, cached_image, pictures, told + rest


def _thought(value: dict[str, Json]) -> int:
    """The tokens that a model thought with, where they are said apart."""
    return _count(_table(value, *(f"{name}_details" for name in _OUTPUT)), "reasoning_tokens") or 0


def _sides(value: dict[str, Json]) -> tuple[int, int, int]:
    """All tokens of input and of output, and by how much their total is more than both.

    What is not said of them is what their total leaves, or their items.
    """
    given, made = _side(value, _INPUT), _side(value, _OUTPUT)
    total = _count(value, "total_tokens") if _is_count(value.get("total_tokens")) else None
    if total:  # some say 0 for one that they do not count
        given = total - made if given is None and made is not None else given
        made = total - given if made is None and given is not None else made
    if given is None or made is None or given < 0 or made < 0:
        raise _NonsenseError
    return given, made, total - given - made if total else 0


def _side(value: dict[str, Json], names: tuple[str, str]) -> int | None:
    said = [count for count in [_count(value, name) for name in names] if count is not None]
    if said:
        return max(said)
    items = _table(value, *(f"{name}_details" for name in names))
    parts = [part for part in (_count(items, "text_tokens"), _count(items, "image_tokens")) if part is not None]
    return sum(parts) if parts else None


def _split(whole: int, text: int | None, image: int | None, *, rest: int) -> tuple[int, int]:
    """Text and picture of a side; `rest` says to which of them (0, 1) belongs what is not itemised."""
    left = whole - (text or 0) - (image or 0)
    if left < 0:
        raise _NonsenseError
    return (text or 0) + left * (not rest), (image or 0) + left * rest


def _count(value: dict[str, Json], name: str) -> int | None:
    """A number of tokens; None where nothing is said."""
    figure = value.get(name)
    if figure is None:
        return None
    if not _is_count(figure) or not isinstance(figure, int | float):
        raise _NonsenseError
    return int(figure)


def _is_count(figure: Json) -> bool:
    return (
        isinstance(figure, int | float)
        and not isinstance(figure, bool)
        and 0 <= figure < _MOST
        and int(figure) == figure
    )


def _table(value: dict[str, Json], *names: str) -> dict[str, Json]:
    """The first of these tables that is there."""
    for name in names:
        items = value.get(name)
        if isinstance(items, dict):
            return items
        if items is not None:
            raise _NonsenseError
    return {}


def _bill(value: dict[str, Json]) -> int | None:
    """The provider's own figure. With a key of one's own behind it (OpenRouter's BYOK) what is behind bills, too.

    Then `cost` is the fee alone, often 0. Elsewhere the figure of what is behind is a part of `cost`.
    """
    cost, details = _cost(value.get("cost")), value.get("cost_details")
    behind = _cost(details.get("upstream_inference_cost")) if isinstance(details, dict) else None
    own_key = value.get("is_byok")
    if cost is not None and behind is not None and (own_key is True or (own_key is None and behind > cost)):
        return cost + behind
    return None if own_key is True else cost


def _cost(value: Json) -> int | None:
    """A cost in dollars as picodollars, rounded up; None for what is no amount."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9 or not isfinite(value):
        return None
    return int((Decimal(repr(value)) * 10**12).to_integral_value(ROUND_CEILING))
