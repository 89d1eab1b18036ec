"""One key a picture: the same for whatever cannot change the picture, another one for whatever can.

A key is the SHA-256 of a canonical JSON text (names sorted, escapes and numbers in one spelling, defaults filled in)
and of the sample's number. The tenant is part of it, so that tenants never see each other's pictures, and so is the
server where the name of a model does not say alone what it makes (`penstock.cache.places`). Who asks (`user`), how
urgently and how patiently is not. The prompt enters as it is, in no normal form of Unicode: to a model, another
spelling is another prompt. Input images and masks enter by the digests of their bytes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256
from json.encoder import encode_basestring_ascii

from attrs import frozen

from penstock.catalog import model as lookup
from penstock.errors import UsageError
from penstock.ids import Key
from penstock.requests import NEUTRAL, ImageRequest, Scalar

SCHEMA = 1
"""The version of the canonical text. Another one makes every stored picture unknown."""

_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
_DEFAULTS: dict[str, Scalar] = {
    "size": "auto",
    "quality": "auto",
    "background": "auto",
    "moderation": "auto",
    "output_format": "png",
    "output_compression": 100,
}


_HEX = frozenset("0123456789abcdef")


@frozen
class Input:
    """A file that a picture is made from: what it is used as ("image", "mask"), and the SHA-256 of its bytes.

    `digest` is 64 hex digits in lower case. Raises UsageError for anything else: a name or a path says nothing of what
    is in the file.
    """

    role: str
    digest: str

    def __attrs_post_init__(self) -> None:
        if len(self.digest) != 64 or not set(self.digest) <= _HEX:
            raise UsageError(f"the digest of an input is a SHA-256 in hex, not {self.digest[:80]!r}")


def keys(
    request: ImageRequest,
    *,
    provider: str,
    dialect: str,
    model: str,
    tenant: str,
    first: int,
    samples: int,
    server: str = "",
    operation: str = "",
    inputs: Sequence[Input] = (),
) -> tuple[Key, ...]:
    """The keys (64 hex digits) of `samples` pictures of `request`, from sample number `first` on, at one target.

    `request.n` and `request.model` do not count: `samples` and `model` say what is bought where. `server` is what
    `places.server` says ("": the model's name says it all). `operation` of "" and no `inputs` are the request's own.
    The order of inputs counts: prompts speak of "the second image".
    """
    parameters = tuple(_parameters(request, model).items())
    extra = tuple((name, type(value), _plain(value)) for name, value in request.extra)
    place = (operation or request.operation, provider, dialect, server, model, tenant)
    before, after = _around(place, tuple(inputs) or inputs_of(request), parameters, extra)
    # The JSON text holds no line feed, so what follows it is the sample's number and nothing else.
    base = sha256(f"{before}{encode_basestring_ascii(request.prompt)}{after}\n".encode("ascii"))
    found: list[Key] = []
    for number in range(first, first + samples):
        digest = base.copy()
        digest.update(str(number).encode("ascii"))
        found.append(Key(digest.hexdigest()))
    return tuple(found)


@lru_cache(maxsize=1_024)
def _around(
    place: tuple[str, str, str, str, str, str],
    inputs: tuple[Input, ...],
    parameters: tuple[tuple[str, Scalar], ...],
    extra: tuple[tuple[str, type, Scalar], ...],
) -> tuple[str, str]:
    """The canonical text before and after the prompt, which is all that most requests differ in.

    `place` has the operation, provider, dialect, server, model and tenant. The types of what is passed on are asked for
    only because 1 and true are one key of a dictionary.
    """
    operation, provider, dialect, server, model, tenant = place
    told: dict[str, object] = {
        "schema": SCHEMA,
        "operation": operation,
        "provider": provider,
        "dialect": dialect,
        "model": model,
        "tenant": tenant,
        "parameters": dict(parameters),
        "extra": {name: value for name, _, value in extra},
    }
    if server:
        told["server"] = server
    if inputs:
        told["inputs"] = [[one.role, one.digest] for one in inputs]
    head = {name: value for name, value in told.items() if name < "prompt"}
    tail = {name: value for name, value in told.items() if name > "prompt"}
    return f'{_CANONICAL.encode(head)[:-1]},"prompt":', f",{_CANONICAL.encode(tail)[1:]}"


def inputs_of(request: ImageRequest) -> tuple[Input, ...]:
    """What a request is made from: its images in their order, then its mask."""
    images = tuple([Input("image", one.digest) for one in request.images])
    return images if request.mask is None else (*images, Input("mask", request.mask.digest))


def canonical(request: ImageRequest, model: str) -> dict[str, object]:
    """What `request` asks of `model` besides its prompt, in one form for all ways to say it."""
    told: dict[str, object] = {
        "model": model,
        "parameters": _parameters(request, model),
        "extra": {name: _plain(value) for name, value in request.extra},
    }
    if request.images:
        told["inputs"] = [[one.role, one.digest] for one in inputs_of(request)]
    return told


def text(told: dict[str, object]) -> bytes:
    """The canonical JSON text of what was told: one for each meaning."""
    return _CANONICAL.encode(told).encode("ascii")


def _parameters(request: ImageRequest, model: str) -> dict[str, Scalar]:
    """What is asked for, with the model's defaults where they are known: to leave one out is to ask for it."""
    asked: dict[str, Scalar] = {
        "size": request.size,
        "quality": request.quality,
        "background": request.background,
        "moderation": request.moderation,
        "output_format": request.output_format,
        "output_compression": request.output_compression,
        "complexity": request.complexity,
        "seed": request.seed,
    }
    # Only where they are given: keys of requests without them are those from before there were any.
    for name in NEUTRAL:
        value: Scalar = getattr(request, name)
        if value is not None:
            asked[name] = _plain(value)
    if lookup(model) is not None:
        for name, default in _DEFAULTS.items():
            if asked[name] is None:
                asked[name] = default
    if request.input_fidelity not in (None, "low"):  # "low" is the default of all who know the word
        asked["input_fidelity"] = request.input_fidelity
    return asked


def _plain(value: Scalar) -> Scalar:
    """A number in one spelling: JSON's 1.0 is its 1."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
