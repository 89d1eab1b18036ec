"""OpenRouter: a path of its own for pictures, and its own figure of what they cost (`usage.cost`)."""

from __future__ import annotations

from penstock.requests import GENERATE
from penstock.wire.dialects._dialect import Dialect, Way, same
from penstock.wire.dialects._writing import Painter
from penstock.wire.pictures import PictureReader

DIALECT = Dialect(
    name="openrouter",
    title="OpenRouter",
    ways={
        GENERATE: Way(
            Painter("/images"),
            PictureReader,
            same("size", "quality", "background", "output_format", "output_compression", "seed"),
        ),
    },
    hosts=("openrouter.ai",),
    source="OpenRouterTeam/docs, image generation, 2026-08-22; its SDK's reference of the request, read 2026-11",
)
