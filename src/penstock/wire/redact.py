"""Makes a server's text fit to be told: one line, short, and without anything that looks like a key."""

from __future__ import annotations

import re
from collections.abc import Sequence

MARK = "***"
# No word boundary before "sk-": in raw JSON the end of an escape may stand there. "ri***" for a risk is a small price.
_KEY = re.compile(r"(?:sk-|gsk_|xai-)[A-Za-z0-9*._-]{5,}[A-Za-z0-9*_-]|\bAIza[A-Za-z0-9_-]{10,}")
_BEARER = re.compile(r"(bearer\s+)[^\s,;\"'<>]+", re.IGNORECASE)
_FIELD = re.compile(
    r"((?:authorization|api[-_ ]?key)[\"']?\s*[:=]\s*[\"']?)(?:(?:bearer|basic)\s+)?[^\s,;\"'<>]+", re.IGNORECASE
)
_WINDOW = 4096


def clean(text: str, secrets: Sequence[str], longest: int) -> str:
    """`text` in one printable line of at most `longest` characters, each of `secrets` and any key in it replaced.

    Only the first 4096 characters are looked at, and the cut comes last: half a secret is never left over.
    """
    tail = max((len(secret) for secret in secrets), default=0)
    line = _printable(text[: _WINDOW + tail])
    # In the same spelling as the text, and longest first: a secret within another would leave the rest of it standing.
    # What is longer than the text is not in it: of thousands of inputs few have to be looked for.
    sought = {_printable(secret) for secret in secrets if 0 < len(secret) <= len(line)}
    for secret in sorted(sought, key=lambda one: (-len(one), one)):
        line = line.replace(secret, MARK)
    line = _BEARER.sub(rf"\1{MARK}", _FIELD.sub(rf"\1{MARK}", _KEY.sub(MARK, line)))
    whole = line[: len(line) - tail] if len(text) > _WINDOW + tail else line
    return whole[:longest]


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(char if char.isprintable() else " " for char in text)
