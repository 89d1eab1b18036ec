"""JSON as the standard has it, parsed into values that a type checker can follow."""

from __future__ import annotations

import json
import re

_BEGINS = re.compile(rb"(?:\xef\xbb\xbf)?\s*+[{\[]")

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""Whatever a JSON text may say."""


def parse(raw: bytes | bytearray) -> Json:
    """The value of a JSON text in UTF-8 (no NaN, no infinity); None for what is none, and for null."""
    try:
        value: Json = json.loads(raw.decode("utf-8-sig"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value


def begins_as_json(raw: bytes | bytearray) -> bool:
    """Whether a text begins as an object or an array does, a byte order mark and white space before it or not."""
    return _BEGINS.match(raw) is not None


def _refuse(name: str) -> None:
    raise ValueError(name)
