"""What is known of the world: models, token formulas, prices, limits. Dated data with sources, and questions to it."""

from __future__ import annotations

from penstock.catalog.check import Objection, objection
from penstock.catalog.lookup import (
    Ending,
    Model,
    answers_with_urls,
    batch_rates,
    checked,
    default_model,
    ending,
    estimated_image_tokens,
    estimated_tokens,
    gone,
    image_tokens,
    input_tokens_bound,
    model,
    names,
    output_tokens,
    parting,
    preview_tokens,
    rates,
    tier,
    typical_seconds,
)
from penstock.catalog.overrides import NO_OVERRIDES, Override, Overrides, Price
from penstock.catalog.prices import listed, moment, picture_rate, token_rate
from penstock.catalog.sizes import GRID, Grid, parse

__all__ = [
    "GRID",
    "NO_OVERRIDES",
    "Ending",
    "Grid",
    "Model",
    "Objection",
    "Override",
    "Overrides",
    "Price",
    "answers_with_urls",
    "batch_rates",
    "checked",
    "default_model",
    "ending",
    "estimated_image_tokens",
    "estimated_tokens",
    "gone",
    "image_tokens",
    "input_tokens_bound",
    "listed",
    "model",
    "moment",
    "names",
    "objection",
    "output_tokens",
    "parse",
    "parting",
    "picture_rate",
    "preview_tokens",
    "rates",
    "tier",
    "token_rate",
    "typical_seconds",
]
