"""Together: OpenAI's path and reply, sizes as two numbers, and the words of diffusion models."""

from __future__ import annotations

from penstock.requests import GENERATE
from penstock.wire.dialects._dialect import Dialect, Way
from penstock.wire.dialects._saying import AVOID, STEPS, Named, Sides, Words
from penstock.wire.dialects._writing import Painter
from penstock.wire.pictures import PictureReader
from penstock.wire.plain import COMMON

DIALECT = Dialect(
    name="together",
    title="Together",
    ways={
        GENERATE: Way(
            Painter("/images/generations", fixed={"response_format": "base64"}),
            PictureReader,
            says={
                "size": Sides("width", "height"),
                "seed": Named("seed"),
                "negative_prompt": Named("negative_prompt"),
                "steps": Named("steps"),
                "guidance": Named("guidance_scale"),
                "output_format": Named("output_format", ("png", "jpeg")),
            },
            emulated={"negative_prompt": AVOID, "quality": Words("steps", STEPS)},
        ),
        **COMMON,
    },
    hosts=("api.together.ai", "api.together.xyz"),
    source="togethercomputer/openapi at 090263aa, read 2026-11",
)
