"""JSON as the standard has it, parsed into values that a type checker can follow."""

from __future__ import annotations

import json

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""Whatever a JSON text may say."""


def parse(raw: bytes | bytearray) -> Json:
    """The value of a JSON text in UTF-8 (no NaN, no infinity); None for what is none, and for null."""
    try:
        value: Json = json.loads(raw.decode("utf-8-sig"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value


def _refuse(name: str) -> None:
    raise ValueError(name)
