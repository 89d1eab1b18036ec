"""Stability's Stable Image (v2beta): a form even without files, one picture a call, and refusals inside a 200.

A picture is made of another one on the same paths, by `strength`; `core` makes none so. Masks are not spoken: white is
there what changes, and what is transparent here would be kept.

The model is `core`, `ultra`, or one of SD3 (`sd3.5-large`), which share a path. It is asked for JSON; the picture alone
is taken as well.
"""

from __future__ import annotations

from functools import partial

from penstock.http import HttpCall
from penstock.readings import Problem
from penstock.requests import EDIT, GENERATE, RAW, ImageRequest, Prepared, Refusal, Said
from penstock.wire import edits, multipart
from penstock.wire._formats import is_text, sniff
from penstock.wire._json import Json
from penstock.wire.bodies import BodyReader
from penstock.wire.dialects._dialect import Dialect, Way
from penstock.wire.dialects._saying import Named, Nearest, Rule
from penstock.wire.dialects._writing import asked
from penstock.wire.pictures import Look, PictureReader, Shape
from penstock.wire.plain import PLAIN_WAYS
from penstock.wire.reader import Opening, Reader
from penstock.wire.sink import HEAD, Sink

PATH = "/v2beta/stable-image/generate/"
SHAPES = ("16:9", "1:1", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21")
PLAIN = ("core", "ultra", "sd3")
"""Models that are paths; any other is one of SD3's."""

WITHOUT_MODE = ("ultra",)
"""Those that see by the image alone that there is one."""

_SAYS: dict[str, Rule] = {
    "seed": Named("seed"),
    "negative_prompt": Named("negative_prompt"),
    "guidance": Named("cfg_scale"),
    "output_format": Named("output_format", ("png", "jpeg", "webp")),
}


def write(prepared: Prepared, said: Said, samples: int) -> HttpCall:
    """The call for one picture."""
    del samples  # there is one in each call
    told = {"prompt": asked(prepared, said), **{name: f"{value}" for name, value in said.parameters}}
    if said.model not in PLAIN:
        told["model"] = said.model
    path = PATH + (said.model if said.model in PLAIN else "sd3")
    parts = [multipart.Part(name, value.encode()) for name, value in told.items()]
    for image in prepared.pictures.images:
        if said.model not in WITHOUT_MODE:
            parts.append(multipart.Part("mode", b"image-to-image"))
        parts.append(edits.file_of("image", image))
    kind, body = multipart.write(parts)
    return HttpCall("POST", path, (("content-type", kind), ("accept", "application/json")), body)


def objects(request: ImageRequest) -> Refusal | None:
    """What it needs to make a picture of another one."""
    if request.model == "core":
        return Refusal("model", "model: core makes no pictures of others at stability: ask ultra or sd3.5-large")
    if len(request.images) > 1:
        return Refusal("images", "images: stability makes a picture of one other: give one")
    if request.strength is None:
        return Refusal("strength", "strength: stability must be told how far it may leave the image (0 to 1): give it")
    return None


def look(body: dict[str, Json]) -> Look:
    """Any other end than success is a refusal: of a picture that was made, and held back."""
    reason = body.get("finish_reason")
    if reason is None or reason == "SUCCESS":
        return Look()
    code = reason if isinstance(reason, str) else "ERROR"
    return Look(problem=Problem(code, message=f"it ended with {code}", stage="output"))


def read(sink: Sink, opening: Opening) -> Reader:
    """A reader of its replies."""
    if opening.good and opening.content_type.lower().startswith("image/"):
        ended = next((value for name, value in opening.headers if name == "finish-reason"), None)
        return BodyReader(sink, opening, partial(_alone, ended), json=False)
    return PictureReader(sink, opening, Shape((b"image",), look))


def _alone(ended: str | None, told: Json, raw: bytes) -> tuple[None, list[tuple[int, bytes, str, str]]] | Problem | str:
    """A picture alone: how it `ended` stands in a header."""
    del told
    if (problem := look({"finish_reason": ended or None}).problem) is not None:
        return problem
    form = sniff(raw[:HEAD])
    if form:
        return None, [(0, raw, form, "")]
    return "text, no picture" if is_text(raw[:HEAD]) else "no picture" if raw else "an empty picture"


DIALECT = Dialect(
    name="stability",
    title="Stability (v2beta)",
    ways={
        GENERATE: Way(write, read, says={"size": Nearest("aspect_ratio", SHAPES), **_SAYS}, most=1),
        EDIT: Way(
            write,
            read,
            says={**_SAYS, "strength": Named("strength")},
            most=1,
            urls=False,
            masks=False,
            objects=objects,
        ),
        RAW: PLAIN_WAYS[RAW],
    },
    hosts=("api.stability.ai",),
    source="Stability's v2beta reference, read 2026-11, and schemas of it by third parties; it does not say what a "
    "filtered picture costs",
)
