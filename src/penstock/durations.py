"""Times as servers write them: Go durations (and days), plain numbers, epochs, RFC 3339 and HTTP dates.

Pure; bad text is None.
"""

from __future__ import annotations

import re
from calendar import timegm
from math import isfinite

_LONGEST = 64
_LARGE = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_UNITS = _LARGE | {"ms": 1e-3, "us": 1e-6, "\u00b5s": 1e-6, "\u03bcs": 1e-6, "ns": 1e-9}
_NUMBER = re.compile(r"[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18}")
_STEP = re.compile(rf"({_NUMBER.pattern})(ms|us|[\u00b5\u03bc]s|ns|d|h|m|s)")
_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]{1,9})?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)
_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}
_CLOCK = r"([0-9]{2}):([0-9]{2}):([0-9]{2})"
_IMF = re.compile(rf"[a-z]{{3}}, ?([0-9]{{1,2}}) ([a-z]{{3}}) ([0-9]{{4}}) {_CLOCK} (?:gmt|utc|\+0000)")
_RFC850 = re.compile(rf"[a-z]{{6,9}}, ([0-9]{{2}})-([a-z]{{3}})-([0-9]{{2}}) {_CLOCK} gmt")
_ASCTIME = re.compile(rf"[a-z]{{3}} ([a-z]{{3}}) +([0-9]{{1,2}}) {_CLOCK} ([0-9]{{4}})")
_LONG_MONTH = (0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def span(seconds: float) -> str:
    """A time for people: `0.2 s`, `45 s`, `2 min 5 s`, `3 h 4 min`, `2 d 3 h`; `unknown` for what is not a number."""
    if not isfinite(seconds):
        return "unknown"
    if seconds < 9.95:
        return f"{max(0.0, seconds):.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    for large, small, size, part in (("d", "h", 86_400, 3_600), ("h", "min", 3_600, 60), ("min", "s", 60, 1)):
        if whole >= size:
            rest = whole % size // part
            return f"{whole // size} {large} {rest} {small}" if rest else f"{whole // size} {large}"
    return f"{whole} s"


def duration(text: str) -> float | None:
    """A span in seconds: a Go duration ("6m0s", "58.891s", "12ms", also "1d2h") or a plain number of seconds.

    None for anything else, also for what is negative: some servers send -1 for "unknown".
    """
    text = text.strip()
    if not text or len(text) > _LONGEST:
        return None
    if _NUMBER.fullmatch(text):
        return float(text)
    total, at = 0.0, 0
    while at < len(text):
        step = _STEP.match(text, at)
        if step is None:
            return None
        total += float(step[1]) * _UNITS[step[2]]
        at = step.end()
    return total


def reset(text: str, unix: float) -> float | None:
    """Seconds from `unix` (the time now) until what a reset header names; never negative, None where unreadable.

    A bare number above 1e12 is epoch milliseconds, above 1e9 epoch seconds, else seconds from now.
    """
    moment = _rfc3339(text.strip())
    if moment is not None:
        return max(0.0, moment - unix)
    span = duration(text)
    if span is None or not _NUMBER.fullmatch(text.strip()):
        return span
    if span > 1e12:
        return max(0.0, span / 1000.0 - unix)
    if span > 1e9:
        return max(0.0, span - unix)
    return span


def http_date(text: str) -> float | None:
    """The Unix time of an HTTP date in any of its three forms (RFC 9110, 5.6.7); None where it is not one."""
    text = text.strip().lower()
    if len(text) > _LONGEST:
        return None
    if found := _IMF.fullmatch(text):
        day, month, year, clock = found[1], found[2], int(found[3]), found.group(4, 5, 6)
    elif found := _RFC850.fullmatch(text):
        short = int(found[3])
        year = short + (1900 if short >= 70 else 2000)
        day, month, clock = found[1], found[2], found.group(4, 5, 6)
    elif found := _ASCTIME.fullmatch(text):
        day, month, year, clock = found[2], found[1], int(found[6]), found.group(3, 4, 5)
    else:
        return None
    return _moment(year, _MONTHS.get(month, 0), int(day), int(clock[0]), int(clock[1]), int(clock[2]))


def _rfc3339(text: str) -> float | None:
    found = _RFC3339.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None:
        return None
    whole = _moment(*(int(figure) for figure in found.group(1, 2, 3, 4, 5, 6)))
    if whole is None:
        return None
    if found[7]:
        whole += float(found[7])
    if found[8]:
        offset = int(found[9]) * 3600 + int(found[10]) * 60
        whole += offset if found[8] == "-" else -offset
    return whole


def _moment(year: int, month: int, day: int, hour: int, minute: int, second: int) -> float | None:
    if not (year >= 1970 and 1 <= month <= 12 and 1 <= day <= _LONG_MONTH[month]):
        return None
    if hour > 23 or minute > 59 or second > 60:
        return None
    return float(timegm((year, month, day, hour, minute, second)))
