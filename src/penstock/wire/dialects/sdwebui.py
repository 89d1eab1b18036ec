"""Stable Diffusion WebUI (AUTOMATIC1111 and its forks): `txt2img`, `img2img`, and a reply with JSON within JSON.

The model is a checkpoint, which the server loads for one request ("": the one that is loaded cannot be said, since a
request has a model; any name that the server does not know is refused by it). `info` is a text that is parsed again: it
says how many of the pictures are a sheet of all. Nothing is saved on the server, and then it makes no sheet.
"""

from __future__ import annotations

from base64 import b64encode

from penstock.http import HttpCall
from penstock.requests import EDIT, GENERATE, RAW, ImageRequest, Prepared, Said
from penstock.wire._cutter import ANY
from penstock.wire._json import Json, parse
from penstock.wire._posting import json_call
from penstock.wire.dialects._dialect import Dialect, Way
from penstock.wire.dialects._saying import AVOID, STEPS, Named, Rule, Sides, Words
from penstock.wire.dialects._writing import asked
from penstock.wire.pictures import Look, PictureReader, Shape
from penstock.wire.plain import PLAIN_WAYS
from penstock.wire.reader import Opening, Reader
from penstock.wire.sink import Sink

TEXT, IMAGE = "/sdapi/v1/txt2img", "/sdapi/v1/img2img"
MOST = 8
"""Pictures of a batch: what its own page offers."""

_SAYS: dict[str, Rule] = {
    "size": Sides(),
    "seed": Named("seed"),
    "negative_prompt": Named("negative_prompt"),
    "steps": Named("steps"),
    "guidance": Named("cfg_scale"),
}


def write(prepared: Prepared, said: Said, samples: int) -> HttpCall:
    """The call for so many pictures, of words alone or of other pictures."""
    body: dict[str, Json] = {
        "prompt": asked(prepared, said),
        "batch_size": samples,
        "override_settings": {"sd_model_checkpoint": said.model},
        "save_images": False,
        **dict(said.parameters),
    }
    request: object = prepared.request
    if not isinstance(request, ImageRequest) or not request.images:
        return json_call(TEXT, body)
    images: list[Json] = [b64encode(one.data).decode("ascii") for one in request.images]
    body["init_images"] = images
    if request.mask is not None:
        body["mask"] = b64encode(request.mask.data).decode("ascii")
        if request.mask.has_alpha:
            # it repaints where the alpha of a mask is opaque: the opposite of what a mask means here
            body.setdefault("inpainting_mask_invert", 1)
    return json_call(IMAGE, body)


def look(body: dict[str, Json]) -> Look:
    """What `info` says: how large the pictures are, and how many before them are none of them."""
    told = body.get("info")
    info = parse(told.encode("utf-8", "replace")) if isinstance(told, str) else told
    if not isinstance(info, dict):
        return Look()
    width, height, first = info.get("width"), info.get("height"), info.get("index_of_first_image")
    size = f"{width}x{height}" if isinstance(width, int) and isinstance(height, int) else ""
    return Look(size=size, besides=first if isinstance(first, int) else 0)


def read(sink: Sink, opening: Opening) -> Reader:
    """A reader of its replies."""
    return PictureReader(sink, opening, Shape((b"images", ANY), look))


_EMULATED: dict[str, Rule] = {"negative_prompt": AVOID, "quality": Words("steps", STEPS)}
_IMPLIED = {"output_format": ("png",), "background": ("opaque",)}

DIALECT = Dialect(
    name="sdwebui",
    title="Stable Diffusion WebUI",
    ways={
        GENERATE: Way(write, read, _SAYS, _EMULATED, _IMPLIED, most=MOST),
        EDIT: Way(
            write, read, _SAYS | {"strength": Named("denoising_strength")}, _EMULATED, _IMPLIED, most=MOST, urls=False
        ),
        RAW: PLAIN_WAYS[RAW],
    },
    auth=("authorization", "Basic "),
    keyless=True,
    free=True,
    source="AUTOMATIC1111/stable-diffusion-webui, modules/api/api.py, read 2026-11",
)
