"""Rate headers of a reply: limits, what remains, and the time to full.

OpenAI's names are shared by Azure and Groq (captured traffic, 2025-08 to 2025-10); some servers put the window behind
them (`-day`, `-minute`). Anthropic says `anthropic-ratelimit-requests-limit` and names a moment (RFC 3339).
`-project-tokens` and `-tokens_usage_based` describe other buckets than the lane's own and are passed over. Negative
figures mean "unknown" (Azure has sent -1).

Groq's requests are a day's though their header does not say so; the time to full gives it away: what is missing would
be back within a minute. Headers without a quantity (OpenRouter, Black Forest Labs) name no window, so only their end is
believed: once nothing remains, when there will be something again.
"""

from __future__ import annotations

import re

from attrs import frozen

from penstock.durations import reset
from penstock.events import Headers

QUANTITIES = ("requests", "tokens", "images")
"""What buckets count, in the order used throughout this room."""

MINUTE, DAY = 60.0, 86_400.0

_INDEX = {"requests": 0, "tokens": 1, "input-images": 2, "images": 2}
_FIGURE = {"limit": 0, "remaining": 1, "reset": 2}
_WINDOWS = {"": None, "-second": 1.0, "-minute": MINUTE, "-hour": 3_600.0, "-day": DAY}
_FIELDS = {
    f"x-ratelimit-{figure}-{quantity}{behind}": (index, window, place)
    for quantity, index in _INDEX.items()
    for figure, place in _FIGURE.items()
    for behind, window in _WINDOWS.items()
} | {
    f"anthropic-ratelimit-{quantity}-{figure}": (index, MINUTE, place)
    for quantity, index in (("requests", 0), ("tokens", 1))
    for figure, place in _FIGURE.items()
}
_PLAIN = {f"x-ratelimit-{figure}": place for figure, place in _FIGURE.items()}
_CONCURRENCY = "x-concurrent-limit"
_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{0,9})?", re.ASCII)
_WHOLE = re.compile(r"\s*[0-9]+\s*|.*:[0-9]{2}(?:Z|[+-][0-9:]+)\s*", re.ASCII | re.IGNORECASE)
"""Times that are told in whole seconds: plain numbers, and moments without a fraction."""

_SURE = 1.5
"""How much longer than a minute's bucket would need a time to full has to be for it to be another's."""


@frozen
class Told:
    """What a reply tells of one bucket: its limit a window, what remains, and the seconds until it is full.

    `step` is how many seconds that time is rounded to.
    """

    limit: float | None = None
    remaining: float | None = None
    reset: float | None = None
    step: float = 0.001


@frozen
class RateReport:
    """What a reply tells of its quota. A quantity of None was not mentioned.

    `others` are buckets of another window than a minute, as (index of the quantity, seconds, what is told); `plain` is
    told of one whose window nobody names.
    """

    requests: Told | None = None
    tokens: Told | None = None
    images: Told | None = None
    concurrency: int | None = None
    others: tuple[tuple[int, float, Told], ...] = ()
    plain: Told | None = None

    @property
    def buckets(self) -> tuple[Told | None, Told | None, Told | None]:
        """Those of a minute, in the order of `QUANTITIES`."""
        return (self.requests, self.tokens, self.images)


_Figures = list[float | None]
"""Limit, what remains, seconds until it is full, and what those are rounded to."""

_Bucket = tuple[int, float | None]
"""The index of a quantity (-1: it is not named), and the seconds of its window."""


def read(headers: Headers, unix: float) -> RateReport | None:
    """What the headers (names in lower case) say of limits; None if nothing. `unix` turns dates into seconds."""
    found: dict[_Bucket, _Figures] = {}
    concurrency: int | None = None
    for name, value in headers:
        if not name.startswith(("x-", "anthropic-")):
            continue
        place = _FIELDS.get(name)
        if place is not None:
            _note(found, place[:2], place[2], value, unix)
        elif name in _PLAIN:
            _note(found, (-1, None), _PLAIN[name], value, unix)
        elif name == _CONCURRENCY:
            figure = _number(value)
            concurrency = int(figure) if figure is not None and figure >= 1 else None
    if not found:
        return None if concurrency is None else RateReport(concurrency=concurrency)
    minute: list[Told | None] = [None, None, None]
    others: list[tuple[int, float, Told]] = []
    for (index, named), (limit, remaining, until, step) in found.items():
        told = Told(limit, remaining, until, step or 0.001)
        window = named or window_of(told)
        if index >= 0 and window == MINUTE:
            minute[index] = told
        elif index >= 0:
            others.append((index, window, told))
    plain = found.get((-1, None))
    rest = None if plain is None else Told(plain[0], plain[1], plain[2])
    return RateReport(minute[0], minute[1], minute[2], concurrency, tuple(others), rest)


def window_of(told: Told) -> float:
    """The seconds that a limit is of where the header does not say so: a minute, or what its time to full shows."""
    limit, remaining, until = told.limit, told.remaining, told.reset
    if not limit or remaining is None or until is None or remaining >= limit:
        return MINUTE
    if remaining < 1.0:  # a minute's bucket is not that empty, whatever refusals took besides
        return MINUTE if until < 3_600.0 else 3_600.0 if until < 9_000.0 else DAY
    # a bucket of a minute that holds no more than its limit would be full after this long
    if until <= _SURE * MINUTE * (limit - remaining + 1.0) / limit + told.step:
        return MINUTE
    window = until * limit / (limit - remaining)
    return 3_600.0 if window < 9_000.0 else DAY


def _note(
    found: dict[tuple[int, float | None], _Figures],
    bucket: tuple[int, float | None],
    place: int,
    value: str,
    unix: float,
) -> None:
    figure = reset(value, unix) if place == 2 else _number(value)
    if figure is not None:
        figures = found.setdefault(bucket, [None, None, None, None])
        figures[place] = figure
        if place == 2 and _WHOLE.fullmatch(value):
            figures[3] = 1.0


def _number(text: str) -> float | None:
    text = text.strip()
    return float(text) if _NUMBER.fullmatch(text) else None
