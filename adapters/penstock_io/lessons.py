"""What keys' limits turned out to be, kept for a day in one small file, so that the next run begins warm.

Figures, sources and ages, by a key's fingerprint, the address and the pool: no keys, no prompts. Nobody depends on it:
a file that cannot be read or written is as good as none, what the provider says counts before it, and after a day what
it says is forgotten.

What was used of a day's limit is kept, too. Each run adds to the file what it took since it last wrote (where the
provider tells what remains, its figure has them all, and the worst one is kept), and hears what others added: so runs
that follow each other share a day, those that go on at the same time do, and of one that is killed only what it took
since is lost (`_keeping` says how often that is). Keys of an account have one use: each has a line of its own, which
says so, and whichever of them a later run has, it knows of all.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from attrs import evolve, frozen

from penstock.config import Config, Credential
from penstock.lessons import NO_LESSONS, Lesson, Lessons, Use
from penstock_io._alone import alone_in

if TYPE_CHECKING:
    from penstock.engine import Snapshot

KEPT = 86_400.0
"""Seconds for which a lesson is kept."""

VERSION = 1

WAIT, LAST = 2.0, 15.0
"""Seconds to wait for other processes that write the file: while a run goes on, and at its end."""


Counted = dict[tuple[str, str, str, float, float], float]
"""What a run has added by key or account, pool, quantity, window, and when the quota began which counted that.

It is the most that this quota had taken in all when it was last written: a quota that is made anew counts from 0.
"""


@frozen
class Kept:
    """What was learned of one quota: of which key (its name) at which address, for which pool, and what.

    With an `account` other keys of that have the same use: it was counted for all of them together.
    """

    key: str
    base_url: str
    pool: str
    lessons: Lessons
    account: str = ""


@frozen
class _Mine:
    """What one quota of this run was taught: `keys` that draw on it, `live` the first that was not removed."""

    keys: tuple[str, ...]
    account: str
    pool: str
    lessons: Lessons
    live: str | None


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
    known = {(_digits(one.key), one.pool): one for one in load(path, unix) if one.base_url == base_url}
    if not known:
        return config
    mates: dict[tuple[str, str], list[str]] = {}
    for one in config.credentials:
        mates.setdefault((one.provider, one.account or one.name), []).append(_digits(one.name))

    def lessons(one: Credential) -> tuple[tuple[str, Lessons], ...]:
        keys = mates[one.provider, one.account or one.name]
        mine = [pool for key, pool in known if key == _digits(one.name)]
        return tuple((pool, _together([known[key, pool] for key in keys if (key, pool) in known])) for pool in mine)

    credentials = tuple(one if one.lessons else evolve(one, lessons=lessons(one)) for one in config.credentials)
    return evolve(config, credentials=credentials)


def keep(
    path: Path,
    snapshot: Snapshot,
    base_url: str,
    unix: float,
    counted: Counted | None = None,
    *,
    wait: float | None = None,
) -> tuple[tuple[str, str, Use], ...]:
    """Add what a run was taught to the file, in one move; what others used that it did not know, by key and pool.

    `counted` is what this run has added before, and is brought up to date (None: nothing, it writes once). A disk that
    takes nothing is no fault, nor is another process that is in the folder for longer than `wait` seconds (None:
    `WAIT`), whose addition would be overwritten: the next time adds more.
    """
    counted = {} if counted is None else counted
    fresh = _fresh(snapshot)
    if not fresh:
        return ()
    now: Counted = {}
    drawn: list[tuple[str, str, Use]] = []
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
    with alone_in(path.parent, WAIT if wait is None else wait) as alone:
        if not alone:
            return ()
        found = load(path, unix)
        lines = {(_digits(one.key), one.pool): one for one in found if one.base_url == base_url}
        for (owner, pool), mine in fresh.items():
            added: dict[tuple[str, float], float] = {}
            for use in mine.lessons.used:
                which = (owner, pool, use.quantity, use.window, use.began)
                now[which] = max(use.spent, counted.get(which, 0.0))
                added[use.quantity, use.window] = now[which] - counted.get(which, 0.0)
            digits = [_digits(key) for key in mine.keys]
            before = _together([lines[key, pool] for key in digits if (key, pool) in lines])
            joined = _joined(before, mine.lessons, added)
            for key, name in zip(digits, mine.keys, strict=True):
                # an account's use that a key still has was counted together, also where the key is alone by now
                account = mine.account or (lines[key, pool].account if (key, pool) in lines else "")
                lines[key, pool] = Kept(name, base_url, pool, joined, account)
            drawn += _others(mine, joined)
        whole = [*(one for one in found if one.base_url != base_url), *lines.values()]
        if write(path, [one for one in whole if not one.lessons.empty], unix):
            counted.update(now)
    return tuple(drawn)


def _fresh(snapshot: Snapshot) -> dict[tuple[str, str], _Mine]:
    """What each quota of a run was taught, by key or account and by pool."""
    found: dict[tuple[str, str], _Mine] = {}
    for lane in snapshot.lanes:
        if lane.lessons.empty:
            continue
        owner = f"account {lane.account}" if lane.account else _digits(lane.credential)
        before = found.get((owner, lane.pool))
        keys = () if before is None else before.keys
        live = None if before is None else before.live
        if live is None and lane.closed != "removed":
            live = lane.credential
        keys = keys if lane.credential in keys else (*keys, lane.credential)
        found[owner, lane.pool] = _Mine(keys, lane.account, lane.pool, lane.lessons, live)
    return found


def _others(mine: _Mine, joined: Lessons) -> list[tuple[str, str, Use]]:
    """What others used of the same days, which this run does not know yet; a provider's figure has them in it."""
    if mine.live is None:
        return []
    known = {(use.quantity, use.window): use.amount for use in mine.lessons.used}
    more = [(use, use.amount - known.get((use.quantity, use.window), 0.0)) for use in joined.used if not use.told]
    return [(mine.live, mine.pool, evolve(use, amount=amount)) for use, amount in more if amount > 0.0]


def _together(lines: Sequence[Kept]) -> Lessons:
    """What keys of one quota know together.

    What was counted for an account is the same use in each of its lines; what keys used apart adds up, where no
    provider's figure has it all.
    """
    if len(lines) < 2:
        return lines[0].lessons if lines else NO_LESSONS
    apart: dict[tuple[str, float], dict[str, float]] = {}
    told: dict[tuple[str, float], float] = {}
    used: dict[tuple[str, float], Use] = {}
    for line in lines:
        for use in line.lessons.used:
            which, left = (use.quantity, use.window), use.later(use.age)
            used[which] = use
            if use.told:
                told[which] = max(left, told.get(which, 0.0))
            else:
                each = apart.setdefault(which, {})
                owner = f"account {line.account}" if line.account else line.key
                each[owner] = max(left, each.get(owner, 0.0))
    sums = {which: sum(apart.get(which, {}).values()) for which in used}
    amounts = tuple(
        evolve(use, amount=max(sums[which], told.get(which, 0.0)), told=told.get(which, 0.0) > sums[which], age=0.0)
        for which, use in used.items()
    )
    found = min((one.lessons for one in lines), key=lambda one: (one.concurrency is None, one.age))
    buckets = _youngest(lesson for line in lines for lesson in line.lessons.buckets)
    return Lessons(buckets, found.concurrency, found.age, amounts)


def _youngest(buckets: Iterable[Lesson]) -> tuple[Lesson, ...]:
    """Of each quantity and window what was taught last; of two at once the later one counts."""
    found: dict[tuple[str, float], Lesson] = {}
    for lesson in buckets:
        other = found.get((lesson.quantity, lesson.window), lesson)
        found[lesson.quantity, lesson.window] = min(lesson, other, key=lambda one: one.age)
    return tuple(found.values())


def _joined(before: Lessons, after: Lessons, added: Mapping[tuple[str, float], float]) -> Lessons:
    """What is known now: the younger of what two runs were taught, and what both used of the same days.

    `added` is what one of them took since it last said so, by quantity and window. Of one that could not say so for
    long much is there again: never more counts than it lacks.
    """
    used = {(one.quantity, one.window): evolve(one, amount=one.later(one.age), age=0.0) for one in before.used}
    for use in after.used:
        which = (use.quantity, use.window)
        left = used[which].amount if which in used else 0.0
        amount = max(use.amount, left) if use.told else left + min(added[which], use.amount)
        used[which] = evolve(use, amount=amount, spent=0.0)
    found = after if after.concurrency is not None else before
    buckets = _youngest((*before.buckets, *after.buckets))
    return Lessons(buckets, found.concurrency, found.age, tuple(one for one in used.values() if one.amount))


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
        "account": one.account,
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
        return Kept(str(told["key"]), str(told["base_url"]), str(told["pool"]), lessons, str(told.get("account", "")))
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
