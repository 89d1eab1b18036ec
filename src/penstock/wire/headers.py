"""Which response headers the engine may see: limits, waits, names of exchanges. Bounded, and nothing secret."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from penstock.events import Headers
from penstock.http import REQUEST_ID_HEADERS
from penstock.wire.redact import clean

ALLOWED = frozenset(
    {
        "content-type",
        "date",
        "openai-processing-ms",
        "retry-after",
        "retry-after-ms",
        "x-concurrent-limit",
        "x-should-retry",
        *REQUEST_ID_HEADERS,
    }
)
"""Names that pass, besides those that begin with one of `FAMILIES`."""

FAMILIES = ("x-ratelimit-", "anthropic-ratelimit-", "x-tokenlimit-")
"""Beginnings of the names of rate limit headers (OpenAI, Azure, Groq, OpenRouter; Anthropic; Together)."""

_NAMES = frozenset(REQUEST_ID_HEADERS)
_LONGEST_NAME = 64
_LONGEST_VALUE = 128
_MOST = 48


def allowed(pairs: Iterable[tuple[str, str]], redact: Sequence[str] = ()) -> Headers:
    """Those of a reply's headers that may be told: lower-case names, in order, at most 48.

    A header that is too long or not printable ASCII is left out whole: half a figure would be a wrong one. So is one
    that says any of `redact` or looks like a key; in the name of an exchange only that is replaced.
    """
    kept: list[tuple[str, str]] = []
    for name, value in pairs:
        low = name.lower()
        if low not in ALLOWED and not low.startswith(FAMILIES):
            continue
        plain = value.strip()
        if len(low) > _LONGEST_NAME or len(plain) > _LONGEST_VALUE or not (low + plain).isascii():
            continue
        told = clean(plain, redact, _LONGEST_VALUE)
        if plain.isprintable() and low.isprintable() and len(kept) < _MOST and (told == plain or low in _NAMES):
            kept.append((low, told))
    return tuple(kept)
