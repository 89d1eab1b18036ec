"""The provider's side of a call: what its body says, field by field, or a refusal in the words of the API."""

from __future__ import annotations

from collections.abc import Mapping

from penstock.http import HttpCall
from penstock.readings import Problem
from penstock.wire._json import Json, parse

_KIND = "invalid_request_error"


class Undecodable(Exception):
    """A call that the API answers with an error: its `status`, the `problem`, and the parameter it is about."""

    def __init__(self, status: int, problem: Problem, param: str | None = None) -> None:
        super().__init__(problem.message)
        self.status = status
        self.problem = problem
        self.param = param


def refusal(status: int, message: str, code: str | None, param: str | None = None) -> Undecodable:
    """A refusal in the words of the API; `param` is what it is about."""
    return Undecodable(status, Problem(code=code, type=_KIND, message=message), param)


def unknown_url(call: HttpCall) -> Undecodable:
    """What the API says of a path that it does not have."""
    return refusal(404, f"Unknown request URL: {call.method} {call.path}.", "unknown_url")


def unknown(name: str) -> Undecodable:
    """What it says of a field that it does not know."""
    return refusal(400, f"Unknown parameter: '{name}'.", "unknown_parameter", name)


def missing(name: str) -> Undecodable:
    """What it says of a field that it needs."""
    return refusal(400, f"Missing required parameter: '{name}'.", "missing_required_parameter", name)


def parsed(raw: bytes) -> dict[str, Json]:
    """The object that a body is. Raises Undecodable."""
    body = parse(raw)
    if not isinstance(body, dict):
        raise refusal(400, "We could not parse the JSON body of your request.", None)
    return body


# What a field says; all of them raise Undecodable for a value of another type


def required(body: Mapping[str, Json], name: str) -> str:
    """A text that has to be there."""
    value = word(body, name)
    if not value:
        raise missing(name)
    return value


def word(body: Mapping[str, Json], name: str) -> str | None:
    """A text."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise _mistyped(name, "a string")
    return value


def whole(body: Mapping[str, Json], name: str) -> int | None:
    """A whole number."""
    value = body.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise _mistyped(name, "an integer")
    return value


def number(body: Mapping[str, Json], name: str) -> float | None:
    """A number."""
    value = body.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise _mistyped(name, "a number")
    return value


def flag(body: Mapping[str, Json], name: str) -> bool:
    """Yes or no; no where nothing is said."""
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        raise _mistyped(name, "a boolean")
    return bool(value)


def _mistyped(name: str, expected: str) -> Undecodable:
    return refusal(400, f"Invalid type for '{name}': expected {expected}.", "invalid_type", name)
