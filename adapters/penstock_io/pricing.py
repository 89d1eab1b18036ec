"""Prices of a user's own, as a file says them, and how to say them to whoever has none."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from penstock.catalog import Override, image_tokens, output_tokens, picture_rate, token_rate
from penstock.errors import UsageError
from penstock.requests import EDIT
from penstock.work import Rates, Target

PICTURE, OUTPUT_TOKENS, INPUT_TOKENS = "picture", "output_tokens", "input_tokens"
TOKENS = ("text", "cached_text", "image", "cached_image", "image_out", "text_out")
COUNTS = (OUTPUT_TOKENS, INPUT_TOKENS)
KEYS = (PICTURE, *TOKENS, *COUNTS)
"""What a table [prices."MODEL"] may say: dollars a picture, or dollars a million tokens by class, and how many."""

ALLOW = "--allow-unknown-price"
LEAST = Decimal("1e-12")
"""Dollars: a picodollar."""


def override(model: str, told: Mapping[str, object]) -> Override:
    """The price of a model that a table says. Raises `UsageError` that says what is wrong with it."""
    for key, value in told.items():
        if key in COUNTS:
            if isinstance(value, bool) or not isinstance(value, int):
                raise UsageError(f"{key} must be a whole number of tokens, such as 6000")
        elif isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise UsageError(f"{key} must be a number of dollars, such as 0.04")
        elif not (Decimal(value).is_finite() and 0 <= value <= 1_000_000):
            raise UsageError(f"{key} must be from 0 to a million dollars")
        elif 0 < value < (LEAST if key == PICTURE else LEAST * 10**6):
            raise UsageError(f"{key} is finer than a picodollar, the least that is counted: give more, or 0")
    most, each = (value if isinstance(value := told.get(name), int) else None for name in COUNTS)
    rates = Rates(
        **{name: token_rate(_amount(told[name])) for name in TOKENS if name in told},
        picture=picture_rate(_amount(told[PICTURE])) if PICTURE in told else None,
        source="the file of --config",
        since="",
    )
    return Override(model, rates, output_tokens=most, input_tokens=each)


def lines_for(target: Target) -> tuple[str, str]:
    """The lines of a file that say what is not known of a model's price, and what they mean."""
    rates = target.rates
    told = {} if rates is None else {name: rate for name in TOKENS if (rate := getattr(rates, name)) is not None}
    if not told:
        return f'[prices."{target.model}"]\npicture = 0.04', "dollars a picture"
    made_from = target.operation == EDIT
    classes = (("text", 5), *((("image", 8),) if made_from else ()), ("image_out", 30))
    wanted = [f"{name} = {amount}" for name, amount in classes if name not in told]
    meaning = "dollars a million tokens" if wanted else ""
    if output_tokens(target.model, None, None) is None:
        wanted.append("output_tokens = 6000")
        meaning = " and ".join(part for part in (meaning, "the most tokens that a picture takes") if part)
    if made_from and (not wanted or image_tokens(target.model, 1024, 1024) is None):
        wanted.append("input_tokens = 1600")
        meaning = " and ".join(part for part in (meaning, "the most tokens that an input image takes") if part)
    return "\n".join([f'[prices."{target.model}"]', *wanted]), meaning


def unpriced(target: Target) -> str:
    """Why no budget can bound a request, and what to do about it: the lines of a file, on one line."""
    lines, meaning = lines_for(target)
    table, *rest = lines.split("\n")
    said = " and ".join([table, *rest])
    images = bool(rest) and all(line.startswith(INPUT_TOKENS) for line in rest)
    what = f"what input images of {target.model} cost" if images else f"the price of {target.model}"
    return (
        f"{what} is not known, so no budget can bound it: say it in the file of --config by the "
        f"lines {said} ({meaning}; put your figures), give {ALLOW}, or leave --budget out"
    )


def _amount(value: object) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(str(value))
