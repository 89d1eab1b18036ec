"""What an attempt cost, as far as it can be known."""

from __future__ import annotations

from penstock.readings import Usage
from penstock.work import Rates


def charge(usage: Usage | None, rates: Rates | None, pictures: int, quote: int | None, asked: int = 0) -> int | None:
    """The charge of an executed attempt in picodollars, None where nobody can know it; never 0 for want of a price.

    In this order: the provider's own figure (0 is none where pictures came that have a price); its tokens at the
    published rates, where all of them have one; `pictures` at the rate of a picture, if no more were `asked` for.
    Anything else is unknown, and may have cost up to `quote`, the bound of the whole attempt: no usage, one of no
    tokens at all (some servers send zeros), one that has pictures and no tokens of them. Where the tokens that have a
    price cost more than that bound, they are the charge; without pictures a bound of nothing is it, too (a moderation
    that is free). Cached tokens without a price of their own cost what the others of their class cost.
    """
    if usage is not None and usage.cost is not None and (usage.cost or not pictures or _free(rates)):
        return usage.cost
    if rates is None:
        return None
    tokens, whole = (0, False) if usage is None else _tokens(usage, rates, pictures)
    if whole:
        return tokens
    if rates.picture is not None:
        return rates.picture * pictures if pictures >= asked else None
    return tokens if quote is not None and (tokens > quote or (quote == 0 and not pictures)) else None


def _tokens(usage: Usage, rates: Rates, pictures: int) -> tuple[int, bool]:
    """What those tokens cost that have a price, and whether that is all that was used."""
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
    return total, seen and whole and (usage.output_image > 0 or not pictures)


def _free(rates: Rates | None) -> bool:
    """Whether no price is known but 0."""
    return rates is None or not any(
        (rates.text, rates.cached_text, rates.image, rates.cached_image, rates.image_out, rates.text_out, rates.picture)
    )
