"""What a model does not take of a request, said before anything is sent, with what it does take."""

from __future__ import annotations

from attrs import frozen

from penstock.catalog.lookup import Model
from penstock.catalog.sizes import GRID, parse
from penstock.requests import PARAMETERS, ImageRequest

MODERATIONS = ("low", "auto")


@frozen
class Objection:
    """A field that a model does not take as it is. `unknown`: the model has no such field at all."""

    field: str
    message: str
    unknown: bool = False


def objection(model: Model, request: ImageRequest) -> Objection | None:
    """The first thing of `request` that `model` does not take; None where all is well. `n` and `seed` do not count."""
    if len(request.prompt) > model.longest:
        return Objection("prompt", f"is {len(request.prompt):,} characters; {model.name} takes {model.longest:,}")
    checks = (_unknown, _size, _words, _format, _inputs)
    return next((found for check in checks if (found := check(model, request)) is not None), None)


def _unknown(model: Model, request: ImageRequest) -> Objection | None:
    known = ", ".join(model.parameters)
    for name in PARAMETERS:
        if name not in model.parameters and name != "seed" and getattr(request, name) is not None:
            return Objection(name, f"is no parameter of {model.name}, which takes {known}", unknown=True)
    for name, _ in request.extra:
        return Objection(name, f"is no parameter of {model.name}, which takes {known}", unknown=True)
    return None


def _size(model: Model, request: ImageRequest) -> Objection | None:
    if request.size in (None, "auto") or request.size in model.sizes:
        return None
    if model.sizes:
        return Objection("size", f"{request.size} is none of {', '.join(model.sizes)}, auto, which {model.name} takes")
    pixels = parse(request.size)
    if pixels is not None and GRID.fits(*pixels):
        return None
    return Objection("size", f"{request.size} does not fit {model.name}, which takes {GRID.words}")


def _words(model: Model, request: ImageRequest) -> Objection | None:
    for name, value, choices in (
        ("quality", request.quality, model.qualities),
        ("background", request.background, model.backgrounds),
        ("moderation", request.moderation, MODERATIONS),
        ("output_format", request.output_format, model.formats),
        ("complexity", request.complexity, model.complexities),
        ("input_fidelity", request.input_fidelity, model.inputs.fidelities),
    ):
        if value is not None and value not in choices:
            return Objection(name, f"{value} is none of {', '.join(choices)}, which {model.name} takes")
    return None


def _format(model: Model, request: ImageRequest) -> Objection | None:
    form = request.output_format or "png"
    if request.background == "transparent" and form not in ("png", "webp"):
        return Objection("background", f"transparent needs output_format png or webp, not {form}, at {model.name}")
    if request.output_compression not in (None, 100) and form not in ("jpeg", "webp"):
        return Objection("output_compression", f"needs output_format jpeg or webp, not {form}, at {model.name}")
    return None


def _inputs(model: Model, request: ImageRequest) -> Objection | None:
    """What the picture is made from: how many, how large, and that the mask can say what is to change."""
    if len(request.images) > model.images:
        return Objection("images", f"are {len(request.images)}; {model.name} takes at most {model.images}")
    mask = request.mask
    for name, image in [*(("images", one) for one in request.images), *(() if mask is None else (("mask", mask),))]:
        if image.nbytes >= model.image_bytes:
            size, most = f"{image.nbytes / 2**20:.1f} MB", model.image_bytes >> 20
            return Objection(name, f"with {size}: {model.name} takes less than {most} MB of one, make it smaller")
    if mask is None or not mask.format or (mask.format == "png" and mask.has_alpha):
        return None
    found = f"is a {mask.format.upper()}{'' if mask.has_alpha else ' without transparency'}"
    wanted = f"{model.name} takes a PNG with an alpha channel, transparent where the image is to change"
    return Objection("mask", f"{found}; {wanted}")
