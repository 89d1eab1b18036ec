"""OpenAI's own dialect, which most others are variations of."""

from __future__ import annotations

from penstock.requests import GENERATE
from penstock.wire import images
from penstock.wire.dialects._dialect import Dialect, Way
from penstock.wire.pictures import PictureReader

DIALECT = Dialect(
    name="openai",
    ways={
        GENERATE: Way(images.encode, PictureReader),
    },
)
