"""How long to wait before the next try."""

from __future__ import annotations

import re
from math import isfinite
from typing import TYPE_CHECKING

from penstock.config import Retry
from penstock.durations import http_date
from penstock.events import Headers
from penstock.readings import Problem, Reading

if TYPE_CHECKING:
    from random import Random

LONGEST = 366 * 86_400.0
"""Seconds above which a wait is a slip of somebody's pen: it is taken for a year, which nobody waits either."""

_MOMENT, _MILLIS = 1e9, 1e12
"""Above which a figure is a moment since 1970 in seconds, and in milliseconds."""

_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?|\.[0-9]+", re.ASCII)


def retry_after(headers: Headers, unix: float) -> float | None:
    """The wait in seconds that a reply asks for, None where it asks for none that can be understood.

    `retry-after-ms` goes before `retry-after`, which is seconds (whole or with a fraction) or an HTTP date, compared
    with `unix`; a date that is past means 0. Some send a moment instead (seconds or milliseconds since 1970): what is
    above a billion is one. Negative, infinite and unreadable figures say nothing.
    """
    exact: float | None = None
    coarse: float | None = None
    for name, value in headers:
        if name == "retry-after-ms" and exact is None:
            figure = _number(value)
            exact = None if figure is None else _span(figure / 1000.0, unix)
        elif name == "retry-after" and coarse is None:
            figure = _number(value)
            if figure is None:
                date = http_date(value.strip())
                coarse = None if date is None else max(0.0, date - unix)
            else:
                coarse = _span(figure / 1000.0 if figure > _MILLIS else figure, unix)
    return coarse if exact is None else exact


def asked(headers: Headers, reading: Reading | None, unix: float) -> float | None:
    """The wait in seconds that a reply asks for in its headers, else in the words of its message; None: in neither."""
    told = retry_after(headers, unix)
    if told is None and isinstance(reading, Problem) and reading.hint is not None:
        told = min(reading.hint, LONGEST) if isfinite(reading.hint) and reading.hint >= 0.0 else None
    return told


def backoff(tries: int, retry: Retry, rng: Random) -> float:
    """Seconds until the next try after `tries` of them, where nobody asks for a wait.

    Exponential with full jitter: evenly within [0, min(cap, base * 2**(tries - 1))].
    """
    most = min(retry.cap, retry.base * 2.0 ** min(max(tries - 1, 0), 60))
    return rng.random() * most


def _number(text: str) -> float | None:
    text = text.strip()
    if not _NUMBER.fullmatch(text):
        return None
    figure = float(text)
    return figure if isfinite(figure) else None


def _span(figure: float, unix: float) -> float:
    """Seconds from now on, where a figure may also be the moment itself."""
    return min(LONGEST, max(0.0, figure - unix) if figure > _MOMENT else figure)
