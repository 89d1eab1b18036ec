"""xAI: a shape instead of a size, a refusal inside a 200, what it costs in ticks, and edits as JSON of its own."""

from __future__ import annotations

from attrs import evolve

from penstock.http import HttpCall
from penstock.readings import Problem, Usage
from penstock.requests import EDIT, GENERATE, Prepared, Said
from penstock.wire import edits
from penstock.wire._json import Json
from penstock.wire.content import address
from penstock.wire.dialects._dialect import Dialect, Way
from penstock.wire.dialects._saying import Named, Nearest
from penstock.wire.dialects._writing import Painter
from penstock.wire.images import PATH
from penstock.wire.pictures import Look, PictureReader, Shape, plain_look
from penstock.wire.plain import COMMON
from penstock.wire.reader import Opening, Reader
from penstock.wire.sink import Sink

SHAPES = ("1:1", "3:4", "4:3", "9:16", "16:9", "2:3", "3:2", "9:19.5", "19.5:9", "9:20", "20:9", "1:2", "2:1")
TICK = 100
"""Picodollars of a tick: ten billion ticks are a dollar."""

MOST_TICKS = 10**16


def look(body: dict[str, Json]) -> Look:
    """What stands besides pictures, and which were held back; where all of them were, it is a refusal."""
    told = body.get("usage")
    ticks = told.get("cost_in_usd_ticks") if isinstance(told, dict) else None
    known = isinstance(ticks, int) and not isinstance(ticks, bool) and 0 <= ticks < MOST_TICKS
    cost = Usage(cost=ticks * TICK) if known and isinstance(ticks, int) else None
    data = body.get("data")
    items = [one if isinstance(one, dict) else {} for one in data] if isinstance(data, list) else []
    withheld = frozenset(place for place, one in enumerate(items) if one.get("respect_moderation") is False)
    if body.get("respect_moderation") is False or (items and len(withheld) == len(items)):
        words = "held back by the provider's moderation"
        return Look(problem=Problem("moderation_blocked", message=words, stage="output", usage=cost))
    return evolve(plain_look(body) if cost is None else Look(cost), withheld=withheld)


def read(sink: Sink, opening: Opening) -> Reader:
    """A reader of its replies."""
    return PictureReader(sink, opening, Shape(look=look))


def edit(prepared: Prepared, said: Said, samples: int) -> HttpCall:
    """The call that makes pictures of one image or of several, each by its address or as a data URL."""
    listed: list[Json] = [{"url": address(one), "type": "image_url"} for one in prepared.pictures.images]
    images: dict[str, Json] = {"images": listed} if len(listed) > 1 else {"image": listed[0]}
    return Painter(edits.PATH, fixed={**FIXED, **images})(prepared, said, samples)


FIXED: dict[str, Json] = {"response_format": "b64_json"}
WAY = Way(
    Painter(PATH, fixed=FIXED),
    read,
    says={
        "size": Nearest("aspect_ratio", SHAPES),
        "quality": Named("quality", ("low", "medium", "high")),
        "user": Named("user"),
    },
)

DIALECT = Dialect(
    name="xai",
    title="xAI",
    ways={GENERATE: WAY, EDIT: evolve(WAY, write=edit, masks=False), **COMMON},
    hosts=("api.x.ai",),
    source="docs.x.ai: cost tracking, images and their editing, read 2026-11; refusals by vercel/ai, 2026-08",
)
