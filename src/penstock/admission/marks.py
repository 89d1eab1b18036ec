"""The values that a bucket deals in: how it is believed to be, and how it stood when a request went."""

from __future__ import annotations

from attrs import frozen

SPREAD = 0.030
"""By how many seconds the ways of two requests to the server may differ, until a surprise shows more."""


@frozen
class GaugeFigures:
    """A bucket as believed: `level` and `capacity` in its unit, `per_minute` its rate (None: no limit is known).

    `source` is "told" (by the provider), "learned" (from refusals), "limit" (configured), "ceiling" (configured, never
    exceeded) or "none"; `age` the seconds since it was told, learned or configured.
    """

    level: float
    capacity: float
    per_minute: float | None
    source: str
    age: float | None = None


@frozen
class Mark:
    """How a gauge stood when a request was sent, for corrections later. Counts are of all that was ever spent.

    `after` counts what had been spent when SPREAD had passed since.
    """

    sent: float
    need: float
    level: float
    spent: float
    opening: float
    after: float
    returned: float
