"""Pictures from words, or from other pictures: `ImageRequest`."""

from __future__ import annotations

from typing import cast

from attrs import field, frozen

from penstock.errors import InvalidRequest
from penstock.requests._checks import Scalar, amount, model, scalar, text, whole
from penstock.requests.inputs import InputImage

MOST = 1_000
"""How many pictures one request may ask for; what a provider takes at a time is another matter (it is split)."""

PREVIEWS = 3
"""How many previews a stream may be asked for (OpenAI API reference, create image, 2026-09)."""

GENERATE, EDIT = "images.generate", "images.edit"
"""What the calls are, as the engine and the wire name them: pictures from words, and from other pictures."""

_WHOLE = {"output_compression": (0, 100), "seed": (-(2**63), 2**63 - 1), "steps": (1, 10_000)}
_AMOUNTS = {"guidance": 1_000.0, "strength": 1.0}
_RESERVED = frozenset({"n", "stream", "partial_images", "image", "images", "mask"})


@frozen(kw_only=True)
class ImageRequest:
    """Pictures made from a prompt, or, where it has `images`, from those by what the prompt says.

    `size` is "WIDTHxHEIGHT" in pixels or "auto"; a field of None takes the model's default. `n` is the number of
    pictures. `seed` names a variant: it is part of what makes a result another one, and is sent only to models that
    know seeds. `negative_prompt` says what is to be left out, `steps` and `guidance` how a diffusion model works,
    `strength` (0 to 1) how far it may leave the picture that it is given. `mask` shows by transparency what of the
    first image is to change, `input_fidelity` says how closely images are kept. With `partial_images` (0 to 3) it comes
    as a stream with so many previews, at 100 tokens each, where somebody hears them; the picture is the same. What a
    dialect has no words for is dropped, emulated or refused, as `Options.unsaid` says. `extra` holds (name, value)
    pairs that are passed on as they are, for models outside the catalog.

    Its repr does not show the prompts. Raises InvalidRequest for what no model can take.
    """

    prompt: str = field(repr=False)
    model: str
    size: str | None = None
    quality: str | None = None
    n: int = 1
    background: str | None = None
    moderation: str | None = None
    output_format: str | None = None
    output_compression: int | None = None
    user: str | None = None
    complexity: str | None = None
    seed: int | None = None
    negative_prompt: str | None = field(default=None, repr=False)
    steps: int | None = None
    guidance: float | None = None
    strength: float | None = None
    images: tuple[InputImage, ...] = ()
    mask: InputImage | None = None
    input_fidelity: str | None = None
    partial_images: int | None = None
    extra: tuple[tuple[str, Scalar], ...] = ()

    def __attrs_post_init__(self) -> None:
        text(self.prompt, "prompt", longest=1_000_000)
        model(self.model)
        whole(self.n, "n", 1, MOST)
        if self.partial_images is not None:
            whole(self.partial_images, "partial_images", 0, PREVIEWS)
        for name in (*PARAMETERS, *NEUTRAL):
            value: object = getattr(self, name)
            if value is not None:
                _check(name, value)
        self._check_inputs()
        self._check_extra()

    @property
    def operation(self) -> str:
        """What its call is, as the engine and the wire name it."""
        return EDIT if self.images else GENERATE

    @property
    def samples(self) -> int:
        """How many results it asks for."""
        return self.n

    @property
    def private(self) -> tuple[str, ...]:
        """What must never be told of it."""
        said = (self.prompt,) if self.negative_prompt is None else (self.prompt, self.negative_prompt)
        return (*said, *[one.url for one in self.inputs if one.url])

    @property
    def inputs(self) -> tuple[InputImage, ...]:
        """All that it is made from: the images, then the mask."""
        return self.images if self.mask is None else (*self.images, self.mask)

    def _check_inputs(self) -> None:
        images, mask = cast("tuple[object, ...]", self.images), cast("object", self.mask)
        if not isinstance(cast("object", images), tuple) or not all(isinstance(one, InputImage) for one in images):
            raise InvalidRequest(
                "images is a tuple of InputImage.of(bytes), .at(url) or .file(file_id)", field="images"
            )
        if mask is not None and not isinstance(mask, InputImage):
            raise InvalidRequest("mask is an InputImage.of(bytes), .at(url) or .file(file_id)", field="mask")
        for name, value in (("mask", mask), ("input_fidelity", self.input_fidelity)):
            if value is not None and not images:
                raise InvalidRequest(f"{name} needs an image that it is about: give images", field=name)
        if mask is None or not (mask.width and self.images[0].width):
            return
        wanted, found = (f"{one.width}x{one.height}" for one in (self.images[0], mask))
        if found != wanted:
            raise InvalidRequest(f"mask is {found} pixels, the first image {wanted}: make it as large", field="mask")

    def _check_extra(self) -> None:
        seen: set[str] = set()
        for name, value in self.extra:
            text(name, "extra", longest=64)
            if name in _RESERVED or name in PARAMETERS or name in ("prompt", "model", "extra"):
                raise InvalidRequest(f"{name} cannot be given in extra", field="extra")
            if name in NEUTRAL and getattr(self, name) is not None:
                raise InvalidRequest(f"{name} is given as a field and in extra", field="extra")
            if name in seen:
                raise InvalidRequest(f"{name} is given twice in extra", field="extra")
            seen.add(name)
            scalar(name, value)


PARAMETERS = (
    "size",
    "quality",
    "background",
    "moderation",
    "output_format",
    "output_compression",
    "user",
    "complexity",
    "seed",
    "input_fidelity",
)
"""The optional fields of an ImageRequest that a server may be told, in the order in which they are sent."""

NEUTRAL = ("negative_prompt", "steps", "guidance", "strength")
"""Those that OpenAI's API has no words for."""


def _check(name: str, value: object) -> None:
    """Refuse what no model can take as this optional field."""
    if name in _WHOLE:
        whole(value, name, *_WHOLE[name])
    elif name in _AMOUNTS:
        amount(value, name, 0.0, _AMOUNTS[name])
    else:
        text(value, name, longest=100_000 if name == "negative_prompt" else 200)


def takes(name: str, value: Scalar) -> bool:
    """Whether the optional field `name` of an ImageRequest may have this value."""
    try:
        _check(name, value)
    except InvalidRequest:
        return False
    return value is not None
