"""What is known of the world: models, token formulas, prices, limits. Dated data with sources, and questions to it."""

from __future__ import annotations

from penstock.catalog.check import Objection, objection
from penstock.catalog.lookup import (
    Ending,
    Model,
    default_model,
    ending,
    estimated_tokens,
    input_tokens_bound,
    model,
    moment,
    names,
    output_tokens,
    rates,
    tier,
    typical_seconds,
)
from penstock.catalog.sizes import GRID, Grid, parse

__all__ = [
    "GRID",
    "Ending",
    "Grid",
    "Model",
    "Objection",
    "default_model",
    "ending",
    "estimated_tokens",
    "input_tokens_bound",
    "model",
    "moment",
    "names",
    "objection",
    "output_tokens",
    "parse",
    "rates",
    "tier",
    "typical_seconds",
]
