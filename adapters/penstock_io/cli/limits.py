"""`penstock limits`: what keys' limits turned out to be, who said so, and how long ago."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from penstock_io.cli.parsing import Formatter, Parser, Subparsers, complain

if TYPE_CHECKING:
    from penstock.lessons import Lesson
    from penstock_io.lessons import Kept

DONE, USAGE = 0, 2

EPILOG = """\
What replies and refusals of the last day told is kept in the user's cache folder (or in the file that PENSTOCK_LESSONS
names; "off": nowhere) and lets the next run begin at its limits; what the provider says then counts before it. Told: by
headers or an error of the provider. Learned: from what was refused. --forget throws it away.

--json prints one object: file, limits (a list of key, base_url, pool, quantity, limit, window_seconds, burst, source,
age_seconds).

exit codes: 0 it was said; 2 the file cannot be thrown away
"""


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """Add `limits` to a command line; `args.run(args)` then runs it."""
    parser = subparsers.add_parser(
        "limits",
        usage="penstock limits [--json] [--forget]",
        description="What the limits of your keys turned out to be: figure, source and age, by key, address and pool.",
        epilog=EPILOG,
        formatter_class=Formatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--forget", action="store_true", help="throw away what is kept")
    parser.flags = ["--json", "--forget", "--help"]
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Say it, or forget it; returns the exit code."""
    from penstock_io.lessons import forget, load, place  # noqa: PLC0415 - the start is fast until it is known what runs

    path, as_json = place(os.environ), bool(args.json)
    if args.forget and path is not None:
        try:
            forget(path)
        except OSError as fault:
            return complain("file", f"{path} cannot be thrown away: {fault.strerror or fault}", USAGE, as_json=as_json)
    kept = [] if path is None else load(path, time.time())
    print(as_object(path, kept) if as_json else "\n".join(as_lines(path, kept)))
    return DONE


def as_object(path: Path | None, kept: Sequence[Kept]) -> str:
    """What `--json` prints."""
    limits: list[dict[str, object]] = []
    for one in kept:
        whose: dict[str, object] = {"key": one.key, "base_url": one.base_url, "pool": one.pool}
        for lesson in one.lessons.buckets:
            told: dict[str, object] = {
                "quantity": lesson.quantity,
                "limit": lesson.per_minute * (lesson.window or 60.0) / 60.0,
                "window_seconds": lesson.window,
                "burst": lesson.capacity,
                "source": lesson.source,
                "age_seconds": round(lesson.age),
            }
            limits.append(whose | told)
        if one.lessons.concurrency is not None:
            found: dict[str, object] = {"quantity": "concurrency", "limit": one.lessons.concurrency}
            learned = {
                "window_seconds": None,
                "burst": None,
                "source": "learned",
                "age_seconds": round(one.lessons.age),
            }
            limits.append(whose | found | learned)
    return json.dumps({"file": None if path is None else str(path), "limits": limits}, ensure_ascii=False, indent=2)


def as_lines(path: Path | None, kept: Sequence[Kept]) -> list[str]:
    """What is printed for people: a paragraph a quota."""
    if path is None:
        return ["nothing is kept: there is no cache folder, or PENSTOCK_LESSONS is off"]
    if not kept:
        return [f"nothing was learned in the last day ({path})"]
    lines: list[str] = []
    for one in kept:
        digits, _, label = one.key.partition(":")
        lines.append(f"{label or digits}{f' ({digits})' if label else ''} at {one.base_url}, {one.pool}")
        rows = [row(lesson) for lesson in one.lessons.buckets]
        if one.lessons.concurrency is not None:
            rows.append(("at a time", f"{one.lessons.concurrency}", "learned", ago(one.lessons.age)))
        lines += [f"  {what:14} {limit:>14}  {source:8} {age}" for what, limit, source, age in rows]
    return lines


def row(lesson: Lesson) -> tuple[str, str, str, str]:
    """A bucket in words: what it counts, the limit with its window, who says so, when."""
    spans = {60.0: "a minute", 86400.0: "a day", 1.0: "a second"}
    span = spans.get(lesson.window, f"in {lesson.window:g} s" if lesson.window else "a minute")
    limit = lesson.per_minute * (lesson.window or 60.0) / 60.0
    return lesson.quantity, f"{limit:,.6g} {span}", lesson.source, ago(lesson.age)


def ago(seconds: float) -> str:
    """An age in words."""
    if seconds < 90:
        return f"{seconds:.0f} s ago"
    return f"{seconds / 60:.0f} min ago" if seconds < 5400 else f"{seconds / 3600:.0f} h ago"
