"""OpenRouter: a path of its own for pictures, and its own figure of what they cost (`usage.cost`)."""

from __future__ import annotations

from penstock.http import HttpCall
from penstock.requests import EDIT, GENERATE, ImageRequest, Prepared, Said
from penstock.wire._json import Json
from penstock.wire.content import address
from penstock.wire.dialects._dialect import Dialect, Way, same
from penstock.wire.dialects._writing import Painter
from penstock.wire.pictures import PictureReader
from penstock.wire.plain import COMMON
from penstock.wire.streams import PictureStream

PATH = "/images"
_SAYS = same("size", "quality", "background", "output_format", "output_compression", "seed")


def edit(prepared: Prepared, said: Said, samples: int) -> HttpCall:
    """The call that makes pictures of others, which are said beside the prompt; masks it does not have."""
    request: object = prepared.request
    images = request.images if isinstance(request, ImageRequest) else ()
    references: list[Json] = [{"type": "image_url", "image_url": {"url": address(one)}} for one in images]
    return Painter(PATH, fixed={"input_references": references})(prepared, said, samples)


DIALECT = Dialect(
    name="openrouter",
    title="OpenRouter",
    ways={
        GENERATE: Way(Painter(PATH), PictureReader, _SAYS, listen=PictureStream),
        EDIT: Way(edit, PictureReader, _SAYS, listen=PictureStream, masks=False),
        **COMMON,
    },
    hosts=("openrouter.ai",),
    source="OpenRouterTeam/docs, image generation, 2026-08-22; its SDK's reference of the request, read 2026-11",
)
