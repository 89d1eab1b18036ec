"""Makes a value that a JSON Schema allows: what the simulated provider calls tools with, and answers in.

The same every time. Texts are what was said last, numbers the least that is allowed. What is rare (`pattern`, `if`,
`patternProperties`, ...) is not looked at.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import cast

DEEPEST = 8
"""Levels that are filled; what is deeper is as short as its kind can be: schemas may contain themselves."""

MOST = 64
"""Items that are made of an array."""

_FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "email": "ann@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_KINDS = ("object", "array", "string", "integer", "number", "boolean", "null")

Schema = Mapping[str, object]


def example(schema: object, said: str) -> object:
    """A value of `schema`; texts in it are `said`, as far as they may be."""
    whole = _object(schema)
    return _made(whole, whole, said, 0)


def _made(schema: Schema, root: Schema, said: str, depth: int) -> object:
    schema = _chosen(schema, root)
    for name in ("const", "default"):
        if name in schema:
            return schema[name]
    listed = schema.get("enum")
    if isinstance(listed, list) and listed:
        return cast("list[object]", listed)[0]
    match _kind(schema):
        case "object":
            return _filled(schema, root, said, depth)
        case "array":
            return _several(schema, root, said, depth)
        case "string":
            return _text(schema, said)
        case "integer" | "number" as kind:
            return _number(schema, whole=kind == "integer")
        case "boolean":
            return True
        case _:
            return None


def _chosen(schema: Schema, root: Schema) -> Schema:
    """The schema without references and choices: the first of each."""
    for _ in range(DEEPEST):
        place = schema.get("$ref")
        if isinstance(place, str):
            schema = _at(place, root)
            continue
        either = schema.get("anyOf") or schema.get("oneOf")
        if isinstance(either, list) and either:
            schema = {**_without(schema, "anyOf", "oneOf"), **_object(cast("list[object]", either)[0])}
            continue
        every = schema.get("allOf")
        if not isinstance(every, list):
            break
        schema = _without(schema, "allOf")
        for one in cast("list[object]", every):
            schema = _both(schema, _chosen(_object(one), root))
    return schema


def _both(schema: Schema, other: Schema) -> Schema:
    """What two schemas ask for together, as far as objects go."""
    fields = {**_object(schema.get("properties")), **_object(other.get("properties"))}
    return {**schema, **other, **({"properties": fields} if fields else {})}


def _at(place: str, root: Schema) -> Schema:
    """What a reference within the schema leads to ("#/$defs/Place")."""
    found: Schema = root
    for name in place.removeprefix("#").split("/")[1:]:
        found = _object(found.get(name.replace("~1", "/").replace("~0", "~")))
    return found


def _kind(schema: Schema) -> str:
    kind: object = schema.get("type")
    if isinstance(kind, list):
        kinds = [one for one in cast("list[object]", kind) if one != "null"]
        kind = kinds[0] if kinds else "null"
    if isinstance(kind, str) and kind in _KINDS:
        return kind
    if "properties" in schema:
        return "object"
    return "array" if "items" in schema else "string"


def _filled(schema: Schema, root: Schema, said: str, depth: int) -> dict[str, object]:
    """All fields; beyond the deepest level those that must be there, in short."""
    fields = _object(schema.get("properties"))
    needed: object = schema.get("required")
    names = list(fields)
    if depth >= DEEPEST:
        names = [one for one in names if isinstance(needed, list) and one in needed]
    if depth >= 2 * DEEPEST:
        names = []
    return {name: _made(_object(fields[name]), root, said, depth + 1) for name in names}


def _several(schema: Schema, root: Schema, said: str, depth: int) -> list[object]:
    least = schema.get("minItems")
    count = least if isinstance(least, int) and least >= 0 else 0
    count = max(count, 1) if depth < DEEPEST and schema.get("maxItems") != 0 else count
    one = _object(schema.get("items"))
    return [_made(one, root, said, depth + 1) for _ in range(min(count, MOST))] if depth < 2 * DEEPEST else []


def _text(schema: Schema, said: str) -> str:
    form = schema.get("format")
    if isinstance(form, str) and form in _FORMATS:
        return _FORMATS[form]
    least, most = schema.get("minLength"), schema.get("maxLength")
    text = said[: most if isinstance(most, int) and most >= 0 else None]
    return text.ljust(min(least, 10_000), ".") if isinstance(least, int) else text


def _number(schema: Schema, *, whole: bool) -> float:
    """The least number that is allowed from 1 on, or the largest where that is less."""
    lowest, above = _figure(schema, "minimum"), _figure(schema, "exclusiveMinimum")
    highest, below = _figure(schema, "maximum"), _figure(schema, "exclusiveMaximum")
    step = _figure(schema, "multipleOf")
    unit = step if step is not None and step > 0 else 1.0
    number = max([1.0, *[one for one in (lowest, None if above is None else above + unit) if one is not None]])
    ends = [one for one in (highest, None if below is None else below - unit) if one is not None]
    if ends and min(ends) < number:
        number = min(ends)
        number = math.floor(number / unit) * unit if step is not None or whole else number
    elif step is not None or whole:
        number = math.ceil(number / unit) * unit
    return int(number) if whole or number.is_integer() else number


def _figure(schema: Schema, name: str) -> float | None:
    value = schema.get(name)
    usable = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    return float(value) if usable and isinstance(value, int | float) else None


def _object(value: object) -> Schema:
    return cast("Schema", value) if isinstance(value, dict) else {}


def _without(schema: Schema, *names: str) -> Schema:
    return {name: one for name, one in schema.items() if name not in names}
