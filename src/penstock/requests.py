"""What a user wants (`ImageRequest`), how it shall be done (`Options`), and what `penstock.prepare` makes of both.

Frozen and provider-neutral. What needs no knowledge of a model is checked here and raises `InvalidRequest`.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import cast

from attrs import field, frozen

from penstock.errors import InvalidRequest
from penstock.ids import Handle
from penstock.work import CachePolicy, OnAmbiguous, Priority, Screen, Timeouts, Work

Scalar = str | int | float | bool | None
"""A value that JSON can say without nesting."""

MOST = 1_000
"""How many pictures one request may ask for; what a provider takes at a time is another matter (it is split)."""

LARGEST = 10**300
"""The largest whole number that may be passed on: what is longer is no number to most who read JSON."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}")
_WORDS = ("size", "quality", "background", "moderation", "output_format", "user", "complexity")
_RESERVED = frozenset({"n", "stream", "partial_images"})


def _text(value: object, name: str, longest: int = 200) -> None:
    """Refuse what is not a short text that UTF-8 can say."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequest(f"{name} must be a text that is not empty", field=name)
    if len(value) > longest:
        raise InvalidRequest(f"{name} is longer than {longest} characters", field=name)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidRequest(f"{name} holds half of a surrogate pair, which no server can read", field=name) from None


def _whole(value: object, name: str, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidRequest(f"{name} must be a whole number from {low} to {high}", field=name)


def _scalar(name: str, value: object) -> None:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidRequest(f"{name} holds half of a surrogate pair", field=name) from None
    elif isinstance(value, float):
        if not isfinite(value):
            raise InvalidRequest(f"{name} must be a finite number", field=name)
    elif isinstance(value, int):
        if not -LARGEST <= value <= LARGEST:
            raise InvalidRequest(f"{name} must be a number of at most 300 digits", field=name)
    elif value is not None:
        raise InvalidRequest(f"{name} must be a text, a number, true, false or null", field=name)


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
        _text(self.prompt, "prompt", longest=1_000_000)
        _text(self.model, "model")
        if not _NAME.fullmatch(self.model):
            raise InvalidRequest("model must be a name of letters, digits and . _ : / @ + -", field="model")
        for name in _WORDS:
            value: object = getattr(self, name)
            if value is not None:
                _text(value, name)
        _whole(self.n, "n", 1, MOST)
        if self.output_compression is not None:
            _whole(self.output_compression, "output_compression", 0, 100)
        if self.seed is not None:
            _whole(self.seed, "seed", -(2**63), 2**63 - 1)
        self._check_extra()

    def _check_extra(self) -> None:
        seen: set[str] = set()
        for name, value in self.extra:
            _text(name, "extra", longest=64)
            if name in _RESERVED or name in PARAMETERS or name in ("prompt", "model", "extra"):
                raise InvalidRequest(f"{name} cannot be given in extra", field="extra")
            if name in seen:
                raise InvalidRequest(f"{name} is given twice in extra", field="extra")
            seen.add(name)
            _scalar(name, value)


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


@frozen(kw_only=True)
class Options:
    """How a request shall be done; nothing here changes what the picture is.

    `deadline` is absolute monotonic seconds, `ttl` seconds, `sample` the number of the first sample that is wanted
    (another number, another picture of the same request). `fallbacks` are (provider, model) pairs, tried in order.
    `timeouts` of None are the model's own. Raises InvalidRequest.
    """

    tenant: str = ""
    tags: tuple[str, ...] = ()
    priority: Priority = Priority.NORMAL
    deadline: float | None = None
    timeouts: Timeouts | None = None
    on_ambiguous: OnAmbiguous | None = None
    cache: CachePolicy = CachePolicy.USE
    sample: int = 0
    fallbacks: tuple[tuple[str, str], ...] = ()
    screens: tuple[Screen, ...] = ()
    defer: bool = False
    near: bool = False
    ttl: float | None = None

    def __attrs_post_init__(self) -> None:
        if self.tenant:
            _text(self.tenant, "tenant")
        for tag in self.tags:
            _text(tag, "tags")
        if not isinstance(cast("object", self.on_ambiguous), OnAmbiguous | None):
            raise InvalidRequest("on_ambiguous is such as OnAmbiguous.RETRY", field="on_ambiguous")
        if not isinstance(cast("object", self.cache), CachePolicy):
            raise InvalidRequest("cache is such as CachePolicy.OFF", field="cache")
        if not isinstance(cast("object", self.priority), Priority):
            raise InvalidRequest("priority is such as Priority.BATCH", field="priority")
        _whole(self.sample, "sample", 0, 2**31)
        for provider, model in self.fallbacks:
            _text(provider, "fallbacks")
            if not _NAME.fullmatch(model):
                raise InvalidRequest("a fallback's model must be a name", field="fallbacks")
        _seconds(self.deadline, "deadline", low=float("-inf"))
        _seconds(self.ttl, "ttl", low=0.0)
        if self.timeouts is not None:
            _seconds(self.timeouts.connect, "timeouts", low=0.0)
            _seconds(self.timeouts.total, "timeouts", low=0.0)


def _seconds(value: float | None, name: str, low: float) -> None:
    if value is not None and not (isfinite(value) and value > low):
        raise InvalidRequest(f"{name} must be a finite number of seconds{' above 0' if low == 0.0 else ''}", field=name)


@frozen
class Said:
    """A request as one target is told it: `parameters` are what is sent besides model, prompt and number."""

    model: str
    dialect: str
    parameters: tuple[tuple[str, Scalar], ...]
    most: int = 10


@frozen
class Prepared:
    """A request made ready: `work` goes to the engine, the rest stays with the driver under `handle`.

    `said` has one entry a target of `work.targets`, in their order; `penstock.wire.encode` turns them into HTTP.
    """

    handle: Handle
    request: ImageRequest = field(repr=False)
    work: Work
    said: tuple[Said, ...] = field(repr=False)


@frozen
class Refusal:
    """A request that a model does not take: which field, and what it takes instead."""

    field: str
    message: str
