"""One key a picture: the same for whatever cannot change the picture, another one for whatever can.

A key is the SHA-256 of a canonical JSON text (names sorted, escapes and numbers in one spelling, defaults filled in)
and of the sample's number. The tenant is part of it, so that tenants never see each other's pictures. Who asks
(`user`), how urgently and how patiently is not. The prompt enters as it is: to a model, another spelling is another
prompt.
"""

from __future__ import annotations

import json
from hashlib import sha256

from penstock.catalog import model as lookup
from penstock.ids import Key
from penstock.requests import ImageRequest, Scalar

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


def keys(
    request: ImageRequest, *, provider: str, dialect: str, model: str, tenant: str, first: int, samples: int
) -> tuple[Key, ...]:
    """The keys (64 hex digits) of `samples` pictures of `request`, from sample number `first` on, at one target.

    `request.n` and `request.model` do not count: `samples` and `model` say what is bought where.
    """
    told = {
        "schema": SCHEMA,
        "operation": "images.generate",
        "provider": provider,
        "dialect": dialect,
        "model": model,
        "tenant": tenant,
        "prompt": request.prompt,
        "parameters": _parameters(request, model),
        "extra": {name: _plain(value) for name, value in request.extra},
    }
    text = _CANONICAL.encode(told)
    # The JSON text holds no line feed, so what follows it is the sample's number and nothing else.
    base = sha256(text.encode("ascii") + b"\n")
    found: list[Key] = []
    for number in range(first, first + samples):
        digest = base.copy()
        digest.update(str(number).encode("ascii"))
        found.append(Key(digest.hexdigest()))
    return tuple(found)


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
    if lookup(model) is not None:
        for name, default in _DEFAULTS.items():
            if asked[name] is None:
                asked[name] = default
    return asked


def _plain(value: Scalar) -> Scalar:
    """A number in one spelling: JSON's 1.0 is its 1."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
