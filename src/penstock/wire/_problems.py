"""Reads what an error reply says: the provider's own words, a wait that they name, a limit that they name."""

from __future__ import annotations

import re
from collections.abc import Callable

from attrs import evolve

from penstock.durations import duration
from penstock.readings import LimitHint, Problem
from penstock.wire._json import Json
from penstock.wire._usage import usage

Clean = Callable[[str, int], str]
"""Makes a text fit to be told: (text, longest) -> one redacted line."""

STAGES = ("input", "output", "unknown")
"""What a refusal may say of when it came: before the picture, after it, or that nobody knows."""

MESSAGE = 300
_CODE = 64
_LOOK = 2_000
_AGAIN = re.compile(
    r"(?:try again|retry)(?:\s+(?:in|after|at least))*\s+"
    r"(?P<figure>[0-9]{1,12}(?:\.[0-9]{0,12})?)\s?(?P<unit>milliseconds?|ms|s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:ours?)?|d(?:ays?)?)\b"
    r"|(?:try again|retry)(?:\s+(?:in|after))*\s+(?P<span>[0-9][0-9.hmsu\u00b5\u03bc]{0,30})",
    re.IGNORECASE,
)
_TAGS = re.compile(r"<(style|script)\b.*?(?:</\1\s*>|$)|<[!/?a-z][^<>]*>", re.IGNORECASE | re.DOTALL)
"""What of a page is not its text."""

_UNITS = (("milli", 1e-3), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86400.0))
_LIMIT = re.compile(
    r"(?s:.*)\bon (?P<bucket>[A-Za-z0-9_\- ]{1,60}?)(?: \((?P<dim>\w{1,20})\))?: "
    r"Limit (?P<limit>[0-9.]{1,20}), (?:Used (?P<used>[0-9.]{1,20}), )?Requested (?P<asked>[0-9.]{1,20})"
)
_OWNER = re.compile(r"\b(?:org|proj)[-_][A-Za-z0-9_-]{1,60}")
_QUANTITIES = (("image", "images"), ("concurren", "concurrency"), ("token", "tokens"), ("request", "requests"))
_WINDOWS = (("per sec", 1.0), ("per min", 60.0), ("per hour", 3600.0), ("per day", 86400.0))


def from_body(body: Json, clean: Clean) -> Problem | None:
    """The problem that a parsed body states in its provider's shape; None where it has no such shape."""
    if isinstance(body, list) and body:
        return from_body(body[0], clean) if isinstance(body[0], dict) else None
    if not isinstance(body, dict):
        return None
    error = body.get("error")
    if isinstance(error, dict) and error:
        return _stated(error, body, clean)
    detail = body.get("detail")
    if isinstance(error, str) and error:
        return _spoken(f"{error}: {detail}" if isinstance(detail, str) and detail else error, clean)
    if isinstance(detail, str) and detail:
        return _spoken(detail, clean)
    if isinstance(detail, list) and detail:
        return _spoken("; ".join(_said(item) for item in detail[:5]), clean)
    errors, name = body.get("errors"), body.get("name")
    if isinstance(errors, list) and errors and isinstance(name, str):
        said = "; ".join(one for one in errors[:5] if isinstance(one, str))
        return evolve(_spoken(said, clean), code=_word(name, clean))  # Stability's form
    return _stated(body, body, clean) if body.get("object") == "error" else None


def foreign(text: str, clean: Clean) -> Problem:
    """A body that is not of the provider's shape: a proxy's page, or nothing."""
    told = " ".join(_TAGS.sub(" ", clean(text, _LOOK)).split())  # cleaned before: a prompt may look like tags
    return Problem(message=told[:MESSAGE], hint=hint(text[:_LOOK]), own=False)


def hint(message: str) -> float | None:
    """The seconds to wait that a message names ("try again in 12s", "retry after 37 seconds")."""
    found = _AGAIN.search(message)
    if found is None:
        return None
    if found["figure"] is None:
        return duration(found["span"].rstrip("."))
    unit = found["unit"].lower()
    return float(found["figure"]) * next(factor for name, factor in _UNITS if unit.startswith(name))


def limit_hint(message: str) -> LimitHint | None:
    """The limit that a 429's message names, with what was used and asked."""
    found = _LIMIT.search(message)
    if found is None:
        return None
    bucket = found["bucket"].lower()
    quantity = next((name for part, name in _QUANTITIES if part in bucket), None)
    limit, used, asked = (_figure(found[name]) for name in ("limit", "used", "asked"))
    if quantity is None or limit is None:
        return None
    window = next((seconds for part, seconds in _WINDOWS if part in bucket), 60.0)
    owner = "/".join(_OWNER.findall(message[: found.start("bucket")])[:2])
    return LimitHint(quantity, limit, used, asked, window, owner)


def _stated(error: dict[str, Json], body: dict[str, Json], clean: Clean) -> Problem:
    message = error.get("message")
    whole = message if isinstance(message, str) else ""
    words = whole[:_LOOK]
    kind = error.get("type") or error.get("status")
    return Problem(
        code=_word(error.get("code"), clean),
        type=_word(kind, clean),
        message=clean(whole, MESSAGE),  # a prompt that was cut off would not be known any more
        hint=hint(words),
        limit=limit_hint(words),
        stage=_stage(error.get("moderation_details")),
        usage=usage(body.get("usage")),
        param=_word(error.get("param"), clean),
    )


def _spoken(words: str, clean: Clean) -> Problem:
    return Problem(message=clean(words, MESSAGE), hint=hint(words[:_LOOK]), limit=limit_hint(words[:_LOOK]))


_PLAIN = re.compile(r"[a-z]+(_[a-z]+)+", re.ASCII)
"""A code of the usual kind ("moderation_blocked"): words of small letters, joined."""


def _word(value: Json, clean: Clean) -> str | None:
    """A code or type as text; some providers send a number. A plain word stays, whatever the key is."""
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        return None
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return value
    return clean(str(value), _CODE)


def _said(item: Json) -> str:
    """One entry of a validation error's list: where, and what."""
    if not isinstance(item, dict):
        return item if isinstance(item, str) else ""
    place, words = item.get("loc"), item.get("msg")
    where = ".".join(part for part in place[:8] if isinstance(part, str)) if isinstance(place, list) else ""
    return f"{where}: {words}" if isinstance(words, str) else where


def _stage(details: Json) -> str | None:
    stage = details.get("moderation_stage") if isinstance(details, dict) else None
    if stage is None:
        return None
    return stage if isinstance(stage, str) and stage in STAGES else "unknown"


def _figure(text: str | None) -> float | None:
    try:
        return None if text is None else float(text.rstrip("."))
    except ValueError:
        return None
