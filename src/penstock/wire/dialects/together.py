"""Together: OpenAI's path and reply, sizes as two numbers, the words of diffusion models, and edits on one path."""

from __future__ import annotations

from attrs import evolve

from penstock.http import HttpCall
from penstock.requests import EDIT, GENERATE, Prepared, Said
from penstock.wire._json import Json
from penstock.wire.content import address
from penstock.wire.dialects._dialect import Dialect, Way
from penstock.wire.dialects._saying import AVOID, STEPS, Named, Sides, Words
from penstock.wire.dialects._writing import Painter
from penstock.wire.images import PATH
from penstock.wire.pictures import PictureReader
from penstock.wire.plain import COMMON

PAINTER = Painter(PATH, fixed={"response_format": "base64"})


def edit(prepared: Prepared, said: Said, samples: int) -> HttpCall:
    """The call that makes pictures of one image (FLUX.1 Kontext), or of several (FLUX.2)."""
    first, *others = [address(one) for one in prepared.pictures.images]
    told: dict[str, Json] = {"reference_images": [first, *others]} if others else {"image_url": first}
    return evolve(PAINTER, fixed={**PAINTER.fixed, **told})(prepared, said, samples)


WAY = Way(
    PAINTER,
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
)

DIALECT = Dialect(
    name="together",
    title="Together",
    ways={GENERATE: WAY, EDIT: evolve(WAY, write=edit, masks=False), **COMMON},
    hosts=("api.together.ai", "api.together.xyz"),
    source="togethercomputer/openapi at 090263aa, read 2026-11",
)
