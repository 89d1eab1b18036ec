"""Three-valued knowledge: what certainly did not happen, what may have, what certainly did."""

from __future__ import annotations

from enum import IntEnum


class Three(IntEnum):
    """No, maybe, yes; ordered, so that `max` is the more pessimistic of two."""

    NO = 0
    MAYBE = 1
    YES = 2
