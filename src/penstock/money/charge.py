"""What an attempt cost."""

from __future__ import annotations

from penstock.readings import Usage
from penstock.work import Rates


def charge(usage: Usage | None, rates: Rates | None, pictures: int, quote: int | None) -> int | None:
    """The charge of an executed attempt in picodollars, None where nobody can know it; never 0 for want of a price.

    In this order: the provider's own figure; its tokens at the published rates; `pictures` at the rate of a picture;
    `quote`, the bound of the whole attempt, which then stands as its charge. A usage of no tokens at all says nothing
    (some servers send zeros). Cached tokens without a price of their own cost what the others of their class cost.
    """
    if usage is not None and usage.cost is not None:
        return usage.cost
    if rates is not None:
        tokens, whole = (0, False) if usage is None else _tokens(usage, rates)
        if whole:
            return tokens
        if tokens and rates.picture is None:  # a class without a price: at least what the others cost
            return None if quote is None else max(tokens, quote)
        if rates.picture is not None:
            return rates.picture * pictures
    return quote


def _tokens(usage: Usage, rates: Rates) -> tuple[int, bool]:
    total, seen, whole = 0, False, True
    for count, rate in (
        (usage.input_text, rates.text),
        (usage.input_cached_text, rates.text if rates.cached_text is None else rates.cached_text),
        (usage.input_image, rates.image),
        (usage.input_cached_image, rates.image if rates.cached_image is None else rates.cached_image),
        (usage.output_image, rates.image_out),
        (usage.output_text, rates.text_out),
    ):
        if count:
            seen = True
            whole = whole and rate is not None
            total += count * (rate or 0)
    return total, seen and whole
