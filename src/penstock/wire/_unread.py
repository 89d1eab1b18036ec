"""What is told of a body that cannot be read: why, and how it begins where that is not what was asked."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.readings import Malformed
from penstock.wire._json import begins_as_json
from penstock.wire.reader import Opening
from penstock.wire.redact import clean

_SNIPPET = 120
_TYPE = 64
_LOOK = 1 << 16


def malformed(reason: str, raw: bytes | bytearray, opening: Opening) -> Malformed:
    """A body that cannot be used, and why."""
    return Malformed(reason if raw.strip() else "empty", snippet(raw, opening.redact))


def snippet(raw: bytes | bytearray, redact: Sequence[str]) -> str:
    """How it begins, without anything of `redact`; nothing of JSON, which holds what was asked."""
    return "" if begins_as_json(raw) else clean(raw[:_LOOK].decode("utf-8", "replace"), redact, _SNIPPET)


def no_json(opening: Opening) -> str:
    """The reason of what is no JSON at all."""
    kind = opening.content_type
    return f"not JSON but {clean(kind, opening.redact, _TYPE)}" if kind else "not JSON"
