"""Rate headers of a reply: limits, what remains, and the time to full.

The names are OpenAI's, which Azure shares (captured traffic, 2025-08 to 2025-10). `-project-tokens` and
`-tokens_usage_based` describe other buckets than the lane's own and are passed over. Negative figures mean "unknown"
(Azure has sent -1).
"""

from __future__ import annotations

import re

from attrs import frozen

from penstock.durations import reset
from penstock.events import Headers

QUANTITIES = ("requests", "tokens", "images")
"""What buckets count, in the order used throughout this room."""

_INDEX = {"requests": 0, "tokens": 1, "input-images": 2, "images": 2}
_FIGURE = {"limit": 0, "remaining": 1, "reset": 2}
_FIELDS = {
    f"x-ratelimit-{figure}-{quantity}": (index, place)
    for quantity, index in _INDEX.items()
    for figure, place in _FIGURE.items()
}
_CONCURRENCY = "x-concurrent-limit"
_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{0,9})?", re.ASCII)


@frozen
class Told:
    """What a reply tells of one bucket: its limit a minute, what remains, and the seconds until it is full."""

    limit: float | None = None
    remaining: float | None = None
    reset: float | None = None


@frozen
class RateReport:
    """What a reply tells of its quota. A quantity of None was not mentioned."""

    requests: Told | None = None
    tokens: Told | None = None
    images: Told | None = None
    concurrency: int | None = None

    @property
    def buckets(self) -> tuple[Told | None, Told | None, Told | None]:
        """In the order of `QUANTITIES`."""
        return (self.requests, self.tokens, self.images)


def read(headers: Headers, unix: float) -> RateReport | None:
    """What the headers (names in lower case) say of limits; None if nothing. `unix` turns dates into seconds."""
    found: dict[int, list[float | None]] | None = None
    concurrency: int | None = None
    for name, value in headers:
        if not name.startswith("x-"):
            continue
        place = _FIELDS.get(name)
        if place is not None:
            figure = reset(value, unix) if place[1] == 2 else _number(value)
            if figure is not None:
                if found is None:
                    found = {}
                found.setdefault(place[0], [None, None, None])[place[1]] = figure
        elif name == _CONCURRENCY:
            figure = _number(value)
            concurrency = int(figure) if figure is not None and figure >= 1 else None
    if found is None:
        return None if concurrency is None else RateReport(concurrency=concurrency)
    told = [None if index not in found else Told(*found[index]) for index in range(3)]
    return RateReport(told[0], told[1], told[2], concurrency)


def _number(text: str) -> float | None:
    text = text.strip()
    return float(text) if _NUMBER.fullmatch(text) else None
