"""How long a picture is kept."""

from __future__ import annotations

from zlib import crc32

from penstock.ids import Key

JITTER = 0.1
"""The share of its time by which a picture may expire early."""


def lifetime(ttl: float | None, key: Key, age: float = 0.0) -> float | None:
    """Seconds for which a picture of this `age` (seconds) is still kept, of a time to live of `ttl`; None: for ever.

    Up to a tenth less than what was asked for, as the key says: what was made together does not expire together, and
    the same picture has the same time in every process. At least a millisecond, so that no store takes it for "none".
    """
    if ttl is None:
        return None
    early = crc32(key.encode("utf-8", "surrogatepass")) / 2**32 * JITTER
    return max(0.001, ttl * (1.0 - early) - max(0.0, age))


def shorter(one: float | None, other: float | None) -> float | None:
    """The shorter of two times to live; None is for ever."""
    if one is None or other is None:
        return other if one is None else one
    return min(one, other)
