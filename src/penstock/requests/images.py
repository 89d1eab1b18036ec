"""Pictures from words: `ImageRequest`."""

from __future__ import annotations

from attrs import field, frozen

from penstock.errors import InvalidRequest
from penstock.requests._checks import Scalar, model, scalar, text, whole

MOST = 1_000
"""How many pictures one request may ask for; what a provider takes at a time is another matter (it is split)."""

GENERATE = "images.generate"

_WORDS = ("size", "quality", "background", "moderation", "output_format", "user", "complexity")
_RESERVED = frozenset({"n", "stream", "partial_images"})


@frozen(kw_only=True)
class ImageRequest:
    """Pictures made from a prompt.

    `size` is "WIDTHxHEIGHT" in pixels or "auto"; a field of None takes the model's default. `n` is the number of
    pictures. `seed` names a variant: it is part of what makes a result another one, and is sent only to models that
    know seeds. `extra` holds (name, value) pairs that are passed on as they are, for models outside the catalog.

    Its repr does not show the prompt. Raises InvalidRequest for what no model can take.
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
    extra: tuple[tuple[str, Scalar], ...] = ()

    def __attrs_post_init__(self) -> None:
        text(self.prompt, "prompt", longest=1_000_000)
        model(self.model)
        for name in _WORDS:
            value: object = getattr(self, name)
            if value is not None:
                text(value, name)
        whole(self.n, "n", 1, MOST)
        if self.output_compression is not None:
            whole(self.output_compression, "output_compression", 0, 100)
        if self.seed is not None:
            whole(self.seed, "seed", -(2**63), 2**63 - 1)
        self._check_extra()

    @property
    def operation(self) -> str:
        """What its call is, as the engine and the wire name it."""
        return GENERATE

    def _check_extra(self) -> None:
        seen: set[str] = set()
        for name, value in self.extra:
            text(name, "extra", longest=64)
            if name in _RESERVED or name in PARAMETERS or name in ("prompt", "model", "extra"):
                raise InvalidRequest(f"{name} cannot be given in extra", field="extra")
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
)
"""The optional fields of an ImageRequest that a server may be told, in the order in which they are sent."""
