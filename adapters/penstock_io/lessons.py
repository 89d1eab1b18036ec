"""What keys' limits turned out to be, kept for a day in one small file, so that the next run begins warm.

Figures, sources and ages, by a key's fingerprint, the address and the pool: no keys, no prompts. Nobody depends on it:
a file that cannot be read or written is as good as none, what the provider says counts before it, and after a day what
it says is forgotten.

What was used of a day's limit is kept, too. Each run adds to the file what it took since it last wrote (where the
provider tells what remains, its figure has them all, and the worst one is kept), and hears what others added: so runs
that follow each other share a day, those that go on at the same time do, and of one that is killed only what it took
since is lost (`_keeping` says how often that is).
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from attrs import evolve, frozen

from penstock.config import Config
from penstock.lessons import NO_LESSONS, Lesson, Lessons, Use
from penstock_io._alone import alone_in

if TYPE_CHECKING:
    from penstock.engine import Snapshot

KEPT = 86_400.0
"""Seconds for which a lesson is kept."""

VERSION = 1

WAIT = 2.0
"""Seconds to wait for other processes that write the file."""


Counted = dict[tuple[str, str, str, float], float]
"""What a run has added by key, pool, quantity and window: the most that it had taken in all when it last wrote."""


@frozen
class Kept:
    """What was learned of one quota: of which key (its name) at which address, for which pool, and what."""

    key: str
    base_url: str
    pool: str
    lessons: Lessons


def place(environ: Mapping[str, str], base_url: str = "") -> Path | None:
    """The file in the user's cache folder, or where `PENSTOCK_LESSONS` says.

    None where there is none, where that says "off", and for servers on this machine: they come and go at one address.
    """
    named = environ.get("PENSTOCK_LESSONS", "").strip()
    if named:
        return None if named == "off" else Path(named)
    if urlsplit(base_url).hostname in {"localhost", "127.0.0.1", "::1"}:
        return None
    cache = environ.get("XDG_CACHE_HOME") or environ.get("LOCALAPPDATA")
    if cache:
        return Path(cache) / "penstock" / "limits.json"
    home = environ.get("HOME")
    if not home:
        return None
    folder = Path(home, "Library", "Caches") if sys.platform == "darwin" else Path(home, ".cache")
    return folder / "penstock" / "limits.json"


def load(path: Path, unix: float) -> list[Kept]:
    """All that is kept and not older than a day, at `unix` (seconds); a file that is none has nothing."""
    try:
        content: object = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return []
    if not isinstance(content, dict) or cast("dict[str, object]", content).get("version") != VERSION:
        return []
    lines = cast("dict[str, object]", content).get("quotas")
    found = [_read(line, unix) for line in cast("list[object]", lines if isinstance(lines, list) else [])]
    return [one for one in found if one is not None and not one.lessons.empty]


def recall(path: Path, config: Config, base_url: str, unix: float) -> Config:
    """A configuration whose credentials know what earlier runs at this address were taught."""
    kept = [one for one in load(path, unix) if one.base_url == base_url]
    if not kept:
        return config
    credentials = tuple(
        evolve(one, lessons=tuple((was.pool, was.lessons) for was in kept if _digits(was.key) == _digits(one.name)))
        if not one.lessons
        else one
        for one in config.credentials
    )
    return evolve(config, credentials=credentials)


def keep(
    path: Path, snapshot: Snapshot, base_url: str, unix: float, counted: Counted | None = None
) -> tuple[tuple[str, str, Use], ...]:
    """Add what a run was taught to the file, in one move; what others used that it did not know, by key and pool.

    `counted` is what this run has added before, and is brought up to date (None: nothing, it writes once). A disk that
    takes nothing is no fault: the next time adds more.
    """
    counted = {} if counted is None else counted
    fresh = {
        (_digits(lane.credential), lane.pool): Kept(lane.credential, base_url, lane.pool, lane.lessons)
        for lane in snapshot.lanes
        if not lane.lessons.empty
    }
    if not fresh:
        return ()
    now: Counted = {}
    drawn: list[tuple[str, str, Use]] = []
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
    with alone_in(path.parent, WAIT):
        found = load(path, unix)
        before = {(_digits(one.key), one.pool): one.lessons for one in found if one.base_url == base_url}
        others = [one for one in found if one.base_url != base_url or (_digits(one.key), one.pool) not in fresh]
        for whose, one in fresh.items():
            known = {(use.quantity, use.window): use for use in one.lessons.used}
            for which, use in known.items():
                now[*whose, *which] = max(use.spent, counted.get((*whose, *which), 0.0))
            added = {which: now[*whose, *which] - counted.get((*whose, *which), 0.0) for which in known}
            fresh[whose] = joined = evolve(one, lessons=_joined(before.get(whose, NO_LESSONS), one.lessons, added))
            for use in joined.lessons.used:
                mine = known.get((use.quantity, use.window))
                more = use.amount - (0.0 if mine is None else mine.amount)
                if more > 0.0 and not use.told:
                    drawn.append((one.key, one.pool, evolve(use, amount=more)))
        if write(path, [*others, *(one for one in fresh.values() if not one.lessons.empty)], unix):
            counted.clear()
            counted.update(now)
    return tuple(drawn)


def _joined(before: Lessons, after: Lessons, added: Mapping[tuple[str, float], float]) -> Lessons:
    """What is known now: the younger of what two runs were taught, and what both used of the same days.

    `added` is what one of them took since it last said so, by quantity and window. Of one that could not say so for
    long much is there again: never more counts than it lacks.
    """
    buckets = {(one.quantity, one.window): one for one in before.buckets}
    for lesson in after.buckets:
        other = buckets.get((lesson.quantity, lesson.window), lesson)
        buckets[lesson.quantity, lesson.window] = min(lesson, other, key=lambda one: one.age)
    used = {(one.quantity, one.window): evolve(one, amount=one.later(one.age), age=0.0) for one in before.used}
    for use in after.used:
        which = (use.quantity, use.window)
        left = used[which].amount if which in used else 0.0
        amount = max(use.amount, left) if use.told else left + min(added[which], use.amount)
        used[which] = evolve(use, amount=amount, spent=0.0)
    found = after if after.concurrency is not None else before
    return Lessons(
        tuple(buckets.values()), found.concurrency, found.age, tuple(one for one in used.values() if one.amount)
    )


def forget(path: Path) -> bool:
    """Throw it away; whether there was anything. Raises OSError."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def write(path: Path, kept: Iterable[Kept], unix: float) -> bool:
    """Replace what is kept; whether that is so. A disk that takes nothing is no fault."""
    content = {"version": VERSION, "quotas": [_line(one, unix) for one in kept]}
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(prefix=".limits-", dir=path.parent)
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                json.dump(content, file, indent=1)
            Path(name).replace(path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
        return True
    return False


def _line(one: Kept, unix: float) -> dict[str, object]:
    """Ages become times: a file grows older by itself."""
    return {
        "key": one.key,
        "base_url": one.base_url,
        "pool": one.pool,
        "concurrency": one.lessons.concurrency,
        "at": unix - one.lessons.age,
        "buckets": [
            {
                "quantity": lesson.quantity,
                "per_minute": lesson.per_minute,
                "capacity": lesson.capacity,
                "window": lesson.window,
                "source": lesson.source,
                "at": unix - lesson.age,
            }
            for lesson in one.lessons.buckets
        ],
        "used": [
            {
                "quantity": use.quantity,
                "window": use.window,
                "amount": use.amount,
                "per_minute": use.per_minute,
                "told": use.told,
                "at": unix - use.age,
            }
            for use in one.lessons.used
        ],
    }


def _read(line: object, unix: float) -> Kept | None:
    """One quota of the file; None where it is not understood. Buckets that are older than a day are left out."""
    try:
        told = cast("dict[str, object]", line)
        buckets = [_lesson(one, unix) for one in cast("list[dict[str, object]]", told["buckets"])]
        used = [_use(one, unix) for one in cast("list[dict[str, object]]", told.get("used", []))]
        concurrency, age = told["concurrency"], unix - _number(told["at"])
        if concurrency is not None and not 0.0 <= age < KEPT:
            concurrency, age = None, 0.0
        lessons = Lessons(
            tuple(one for one in buckets if 0.0 <= one.age < KEPT),
            None if concurrency is None else max(1, int(_number(concurrency))),
            max(0.0, age),
            tuple(one for one in used if one.age < KEPT and one.later(one.age)),
        )
        return Kept(str(told["key"]), str(told["base_url"]), str(told["pool"]), lessons)
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _lesson(told: dict[str, object], unix: float) -> Lesson:
    capacity = told["capacity"]
    return Lesson(
        str(told["quantity"]),
        _number(told["per_minute"]),
        None if capacity is None else _number(capacity),
        _number(told["window"]),
        str(told["source"]),
        unix - _number(told["at"]),
    )


def _use(told: dict[str, object], unix: float) -> Use:
    """What was used; of a clock that was set back it counts as used just now."""
    amount, window, rate = (abs(_number(told[name])) for name in ("amount", "window", "per_minute"))
    age = max(0.0, unix - _number(told["at"]))
    return Use(str(told["quantity"]), window, amount, rate, told=told["told"] is True, age=age)


def _number(value: object) -> float:
    """A finite number. Raises ValueError for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e15:
        raise ValueError(f"no number: {value!r}")
    return float(value)


def _digits(name: str) -> str:
    """The fingerprint of a credential's name, without its label."""
    return name.partition(":")[0]
