"""About how long a plan takes, by what is known: limits that were given or learned, and what the folder saw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from attrs import define, field, frozen

from penstock.config import Limits
from penstock.lessons import Lessons
from penstock_io.batch.settings import Settings
from penstock_io.batch.states import RowState, Runs
from penstock_io.journal import Account
from penstock_io.lessons import load

DAY, MINUTE = 86_400.0, 60.0
LONG = 3_600.0
"""Seconds of a window from which on what was used of it is kept for later runs."""

GIVEN, LEARNED, BEFORE, USUAL = "given", "learned", "before", "usual"
"""What a time goes by: limits of the options, or of earlier runs; how fast the folder was; how long a picture takes."""

Asked = tuple[str, str | None]
"""A model and a quality."""

NOTHING: Mapping[Asked, float] = {}


@define
class Group:
    """What is to be bought that shares its limits: pictures by request, tokens, the longest that one usually takes.

    `quotas` are the names and limits of what it draws on, by the fingerprint of whose they are.
    """

    quotas: Mapping[str, tuple[str, Limits]] = field(factory=dict[str, tuple[str, Limits]])
    requests: int = 0
    pictures: int = 0
    tokens: int = 0
    longest: float | None = 0.0


@frozen
class Known:
    """What is known of the speed besides the options.

    `learned` has lessons by the fingerprint of their key and the name of their quota. `took` is how many seconds an
    attempt took in the folder, `pace` pictures a second of its earlier runs where a limit held them back (0.0: none).
    """

    learned: Mapping[tuple[str, str], Lessons] = field(factory=dict[tuple[str, str], Lessons])
    took: Mapping[Asked, float] = NOTHING
    pace: float = 0.0


def known_of(settings: Settings, account: Account, states: Mapping[str, RowState], runs: Runs, unix: float) -> Known:
    """What the file of lessons and the folder know, at `unix` seconds."""
    learned: dict[tuple[str, str], Lessons] = {}
    for kept in load(settings.lessons, unix) if settings.lessons is not None else ():
        if kept.base_url == settings.base_url:
            learned[kept.key.partition(":")[0], kept.pool] = kept.lessons
    times: dict[Asked, list[float]] = {}
    for state in states.values():
        asked = str(state.asked.get("model")), _text(state.asked.get("quality"))
        times.setdefault(asked, []).extend(account.took[key] for key in state.keys if key in account.took)
    took = {asked: median(seconds) for asked, seconds in times.items() if seconds}
    held = runs.http_429 and runs.seconds > 0
    return Known(learned, took, len(account.took) / runs.seconds if held else 0.0)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def seconds_of(groups: Sequence[Group], known: Known) -> tuple[float | None, str]:
    """About how many seconds all of it takes, and what that goes by; (None, "") where nobody knows.

    Models go side by side; where no limit is known, all of them are as fast as the folder's earlier runs.
    """
    times: list[float | None] = []
    ways: set[str] = set()
    for group in groups:
        quotas = [limits for _, limits in group.quotas.values()]
        drawn = [known.learned.get((owner, name)) for owner, (name, _) in group.quotas.items()]
        known_of_some = [one for one in drawn if one is not None]
        lessons = known_of_some if len(known_of_some) == len(drawn) else []
        waits = _given(group, quotas, known_of_some)
        ways |= {GIVEN} if waits else set()
        if lessons:
            waits += _learned(group, lessons)
            ways |= {LEARNED}
        times.append(_seconds(group, quotas, lessons, waits))
    if any(time is None for time in times):
        return None, ""
    longest = max((time for time in times if time is not None), default=0.0)
    if not ways and known.pace:
        return max(longest, sum(group.pictures for group in groups) / known.pace), BEFORE
    return longest, next((way for way in (LEARNED, GIVEN) if way in ways), USUAL)


def _given(group: Group, quotas: Sequence[Limits], lessons: Sequence[Lessons]) -> list[float]:
    """How long each limit of the options makes it that all quotas have, with what earlier runs used of a day."""
    amounts = group.requests, group.pictures, group.tokens
    used = [_gone(lessons, quantity, DAY) for quantity in ("requests", "images", "tokens")]
    minutes = [(one.rpm, one.ipm, one.tpm) for one in quotas]
    days = [(one.rpd, one.ipd, one.tpd) for one in quotas]
    burst = min((one.burst for one in quotas), default=1.0)
    waits: list[float] = []
    for some, window, at_once, gone in ((minutes, MINUTE, burst, (0.0, 0.0, 0.0)), (days, DAY, 1.0, used)):
        for amount, before, limits in zip(amounts, gone, zip(*some, strict=True), strict=False):
            known = [limit for limit in limits if limit is not None]
            if len(known) == len(limits):
                waits.append(window * max(0.0, (amount + before) / sum(known) - at_once) if amount else 0.0)
    return waits


def _gone(lessons: Iterable[Lessons], quantity: str, window: float) -> float:
    """What earlier runs used of a limit and is not back yet."""
    uses = [use for one in lessons for use in one.used if (use.quantity, use.window) == (quantity, window)]
    return sum(use.later(use.age) for use in uses)


def _learned(group: Group, lessons: Sequence[Lessons]) -> list[float]:
    """How long each limit makes it that is known of all keys."""
    amounts = {"requests": group.requests, "images": group.pictures, "tokens": group.tokens}
    waits: list[float] = []
    for quantity, amount in amounts.items():
        for window in {lesson.window for one in lessons for lesson in one.buckets}:
            buckets = [
                lesson
                for one in lessons
                for lesson in one.buckets
                if (lesson.quantity, lesson.window) == (quantity, window) and lesson.per_minute > 0
            ]
            if len(buckets) >= len(lessons):
                rate = sum(lesson.per_minute for lesson in buckets) / MINUTE
                # they may have been used up, and have refilled since: that is what a client begins with, too
                at_once = sum(min(one.capacity or 0.0, one.per_minute / MINUTE * one.age) for one in buckets)
                if window >= LONG:  # what was used of those is known
                    at_once = sum(one.capacity or one.per_minute / MINUTE * window for one in buckets)
                    at_once -= _gone(lessons, quantity, window)
                waits.append(max(0.0, amount - at_once) / rate)
    return waits


def _seconds(group: Group, quotas: Sequence[Limits], lessons: Sequence[Lessons], waits: list[float]) -> float | None:
    """How long a model's pictures take: as the tightest limit allows, and one picture's time."""
    if group.longest is None:
        return max(waits, default=None)
    places = [one.concurrency for one in quotas]
    if lessons:
        places = [_least(given, one.concurrency) for given, one in zip(places, lessons, strict=True)]
    known = [place for place in places if place is not None]
    if known and len(known) == len(places):
        waits = [*waits, max(0.0, group.requests / sum(known) - 1.0) * group.longest]
    return max(waits, default=0.0) + group.longest


def _least(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)
