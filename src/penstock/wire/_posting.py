"""Writes a request as JSON, byte for byte as the official client does."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from penstock.http import HttpCall

Extra: TypeAlias = "Iterable[tuple[str, object]]"
"""Fields that a request passes on, as it has them."""

JSON: Final = ("content-type", "application/json")

FIRST: Final = ("model", "stream", "service_tier", "prompt", "messages", "input")
"""With what a body begins (openai-python 3.54); the others in the order of the alphabet, then what is passed on."""


def posted(path: str, body: Mapping[str, object], extra: Extra, first: Iterable[str] = FIRST) -> HttpCall:
    """A POST of a JSON object as short as JSON can be: the fields of `first`, the others, and those that are extra."""
    return json_call(path, {name: body[name] for name in in_order(body, extra, first)})


def json_call(path: str, body: Mapping[str, object]) -> HttpCall:
    """A POST of a JSON object, in its order, as short as JSON can be."""
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return HttpCall("POST", path, (JSON,), text.encode())


def in_order(names: Iterable[str], extra: Extra, first: Iterable[str] = FIRST) -> list[str]:
    """The names: those of `first` as there, the others in the order of the alphabet, and the extra ones as given."""
    leading, given = list(first), [name for name, _ in extra]

    def place(name: str) -> tuple[int, int, str]:
        if name in leading:
            return 0, leading.index(name), ""
        return (2, given.index(name), "") if name in given else (1, 0, name)

    return sorted(names, key=place)
