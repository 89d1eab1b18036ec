"""One key a picture: the same for whatever cannot change the picture, another one for whatever can.

A key is the SHA-256 of a canonical JSON text (names sorted, escapes and numbers in one spelling, defaults filled in)
and of the sample's number. The tenant is part of it, so that tenants never see each other's pictures. Who asks
(`user`), how urgently and how patiently is not. The prompt enters as it is: to a model, another spelling is another
prompt.
"""

from __future__ import annotations

import json
from functools import lru_cache
from hashlib import sha256
from json.encoder import encode_basestring_ascii

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
    parameters = tuple(_parameters(request, model).items())
    extra = tuple((name, type(value), _plain(value)) for name, value in request.extra)
    before, after = _around(provider, dialect, model, tenant, parameters, extra)
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
    provider: str,
    dialect: str,
    model: str,
    tenant: str,
    parameters: tuple[tuple[str, Scalar], ...],
    extra: tuple[tuple[str, type, Scalar], ...],
) -> tuple[str, str]:
    """The canonical text before and after the prompt, which is all that most requests differ in.

    The types of what is passed on are asked for only because 1 and true are one key of a dictionary.
    """
    told = {
        "schema": SCHEMA,
        "operation": "images.generate",
        "provider": provider,
        "dialect": dialect,
        "model": model,
        "tenant": tenant,
        "parameters": dict(parameters),
        "extra": {name: value for name, _, value in extra},
    }
    head = {name: value for name, value in told.items() if name < "prompt"}
    tail = {name: value for name, value in told.items() if name > "prompt"}
    return f'{_CANONICAL.encode(head)[:-1]},"prompt":', f",{_CANONICAL.encode(tail)[1:]}"


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
