"""JSON values that stay as they are: what is passed on to a server without being looked at."""

from __future__ import annotations

import json
from collections.abc import Iterator

from attrs import field, frozen

from penstock.errors import InvalidRequest

DEEPEST = 100
"""How deeply values may be nested."""


@frozen
class Frozen:
    """A JSON value as its text; made by `Frozen.of`. Two are equal when their texts are. Its repr does not show it."""

    text: str = field(repr=False)

    @classmethod
    def of(cls, value: object, name: str) -> Frozen:
        """What `value` says in JSON. Raises InvalidRequest for what JSON cannot say, in the name of a field."""
        if isinstance(value, Frozen):
            return value
        try:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
            text.encode()
        except (TypeError, ValueError, RecursionError):
            said = f"{name} must be a value of JSON: texts, finite numbers, true, false, null, lists and dicts of them"
            raise InvalidRequest(said, field=name) from None
        if _depth(value) > DEEPEST:
            raise InvalidRequest(f"{name} is nested more than {DEEPEST} deep", field=name)
        return cls(text)

    @property
    def value(self) -> object:
        """The value anew: whoever changes it changes nothing here."""
        found: object = json.loads(self.text)
        return found


def texts_in(value: object) -> Iterator[str]:
    """All texts within a JSON value that are no names."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():  # pyright: ignore[reportUnknownVariableType] - JSON, of any make
            yield from texts_in(one)  # pyright: ignore[reportUnknownArgumentType] - the same
    elif isinstance(value, list | tuple):
        for one in value:  # pyright: ignore[reportUnknownVariableType] - the same
            yield from texts_in(one)  # pyright: ignore[reportUnknownArgumentType] - the same


def _depth(value: object) -> int:
    deepest, level = 0, [value]
    while level:
        deepest += 1
        below: list[object] = []
        for one in level:
            if isinstance(one, dict):
                below.extend(one.values())  # pyright: ignore[reportUnknownArgumentType] - JSON, of any make
            elif isinstance(one, list | tuple):
                below.extend(one)  # pyright: ignore[reportUnknownArgumentType] - the same
        level = below
    return deepest
