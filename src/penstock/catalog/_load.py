"""Reads the catalog's data files: the one place of the core that touches a file, through the package's own loader."""

from __future__ import annotations

import json
from pkgutil import get_data

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def load(name: str) -> dict[str, Json]:
    """The data file `name` of the catalog as a dictionary. Raises FileNotFoundError where the package is broken."""
    raw = get_data(__package__ or "penstock.catalog", name)
    if raw is None:
        raise FileNotFoundError(name)
    data: Json = json.loads(raw)
    return table(data)


def table(value: Json) -> dict[str, Json]:
    """`value`, which the data files promise to be an object."""
    if not isinstance(value, dict):
        raise TypeError("the catalog's data has another shape than its reader")
    return value


def rows(value: Json) -> list[dict[str, Json]]:
    """`value`, which the data files promise to be a list of objects."""
    if not isinstance(value, list):
        raise TypeError("the catalog's data has another shape than its reader")
    return [table(row) for row in value]


def text(value: Json) -> str:
    """`value`, which the data files promise to be a text; absent is empty."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError("the catalog's data has another shape than its reader")
    return value


def texts(value: Json) -> tuple[str, ...]:
    """`value`, which the data files promise to be a list of texts; absent is empty."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise TypeError("the catalog's data has another shape than its reader")
    return tuple(text(item) for item in value)


def whole(value: Json) -> int:
    """`value`, which the data files promise to be an integer."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("the catalog's data has another shape than its reader")
    return value


def wholes(value: Json) -> dict[str, int]:
    """`value`, which the data files promise to map names to integers."""
    return {name: whole(item) for name, item in table(value).items()}
