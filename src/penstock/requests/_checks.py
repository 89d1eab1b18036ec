"""What no server would take, refused before anything is made of it: texts, numbers, names, seconds."""

from __future__ import annotations

import re
from math import isfinite

from penstock.errors import InvalidRequest

Scalar = str | int | float | bool | None
"""A value that JSON can say without nesting."""

LARGEST = 10**300
"""The largest whole number that may be passed on: what is longer is no number to most who read JSON."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}")
"""What a model may be called."""


def text(value: object, name: str, longest: int = 200) -> None:
    """Refuse what is not a short text that UTF-8 can say."""
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequest(f"{name} must be a text that is not empty", field=name)
    if len(value) > longest:
        raise InvalidRequest(f"{name} is longer than {longest} characters", field=name)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidRequest(f"{name} holds half of a surrogate pair, which no server can read", field=name) from None


def whole(value: object, name: str, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidRequest(f"{name} must be a whole number from {low} to {high}", field=name)


def amount(value: object, name: str, low: float, high: float) -> None:
    """Refuse what is neither None nor a number within these bounds."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InvalidRequest(f"{name} must be a number from {low:g} to {high:g}", field=name)


def scalar(name: str, value: object) -> None:
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidRequest(f"{name} holds half of a surrogate pair", field=name) from None
    elif isinstance(value, float):
        if not isfinite(value):
            raise InvalidRequest(f"{name} must be a finite number", field=name)
    elif isinstance(value, int):
        if not -LARGEST <= value <= LARGEST:
            raise InvalidRequest(f"{name} must be a number of at most 300 digits", field=name)
    elif value is not None:
        raise InvalidRequest(f"{name} must be a text, a number, true, false or null", field=name)


def model(value: object, name: str = "model") -> None:
    """Refuse what is no name of a model."""
    text(value, name)
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise InvalidRequest(f"{name} must be a name of letters, digits and . _ : / @ + -", field=name)


def seconds(value: float | None, name: str, low: float) -> None:
    if value is not None and not (isfinite(value) and value > low):
        raise InvalidRequest(f"{name} must be a finite number of seconds{' above 0' if low == 0.0 else ''}", field=name)
