"""Keys of results that are no pictures: of each input of a request, or of the whole of it.

The same canonical JSON text as `penstock.cache.key` has for pictures, with `input` in the place of the prompt; the
operation in it keeps them apart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256

from attrs import frozen

from penstock.cache.key import SCHEMA
from penstock.ids import Key

_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))


@frozen
class Whose:
    """Who is asked, for whom: all of it counts in a key. `server` as `penstock.cache.places` says."""

    provider: str
    dialect: str
    model: str
    tenant: str
    server: str = ""


def plain_keys(
    operation: str, whose: Whose, parameters: Mapping[str, object], inputs: Sequence[object], sample: int
) -> tuple[Key, ...]:
    """The key (64 hex digits) of each of `inputs`, JSON values, asked for with the same parameters.

    `sample` is the number of the result among those of the same input: another number, another result.
    """
    told: dict[str, object] = {
        "schema": SCHEMA,
        "operation": operation,
        "provider": whose.provider,
        "dialect": whose.dialect,
        "model": whose.model,
        "tenant": whose.tenant,
        "parameters": parameters,
    }
    if whose.server:
        told["server"] = whose.server
    head = {name: value for name, value in told.items() if name < "input"}
    tail = {name: value for name, value in told.items() if name > "input"}
    before = sha256(f'{_CANONICAL.encode(head)[:-1]},"input":'.encode("ascii"))
    after = f",{_CANONICAL.encode(tail)[1:]}\n{sample}"
    found: list[Key] = []
    for one in inputs:
        digest = before.copy()
        digest.update(f"{_CANONICAL.encode(one)}{after}".encode("ascii"))
        found.append(Key(digest.hexdigest()))
    return tuple(found)
