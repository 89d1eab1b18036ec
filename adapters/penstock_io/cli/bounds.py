"""What is known of a request before it is bought: its model, and what it costs at most."""

from __future__ import annotations

import time

from attrs import frozen

from penstock.catalog import NO_OVERRIDES, Overrides
from penstock.config import Config
from penstock.errors import InvalidRequest
from penstock.ids import Handle
from penstock.prepare import prepare
from penstock.requests import ImageRequest, Options, Refusal, Unsaid
from penstock_io._access import PROVIDER
from penstock_io.batch.models import meant, slip, unheard, vendors
from penstock_io.cli.config import Values
from penstock_io.cli.options import ALLOW_UNKNOWN_PRICE, MODEL
from penstock_io.pricing import unpriced


@frozen
class Quote:
    """What is known of a request beforehand: its most in picodollars (None: unknown), and what is doubtful of it.

    `unpriced` says what to do where a price is not known.
    """

    bound: int | None
    warnings: tuple[str, ...]
    unpriced: str = ""


def quote_of(
    request: ImageRequest,
    prices: Overrides = NO_OVERRIDES,
    dialect: str = "openai",
    unsaid: Unsaid = Unsaid.DROP,
) -> Quote:
    """What all its pictures cost at most, and what is to be said of it beforehand. Raises `InvalidRequest`."""
    made = prepare(
        request, Options(unsaid=unsaid), Config(), handle=Handle(0), unix=time.time(), provider=PROVIDER,
        dialect=dialect, prices=prices,
    )  # fmt: skip
    if isinstance(made, Refusal):
        raise InvalidRequest(made.message, field=made.field)
    target = made.work.targets[0]
    if target.quote is None:
        return Quote(None, target.warnings, unpriced(target))
    return Quote(target.quote * request.n, target.warnings)


def heed(values: Values, model: str, base_url: str, prices: Overrides) -> list[str]:
    """What is to be said of a model that nobody knows. Raises `OptionError` for what is a slip at the vendor's own."""
    own = frozenset(one.model for one in prices.rates)
    near = meant(model, own)
    if near and vendors(base_url) and not values[ALLOW_UNKNOWN_PRICE]:
        raise values.wrong(MODEL, slip(model, near))
    return unheard((model,), base_url, own)
