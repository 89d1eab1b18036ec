"""`penstock limits`: what keys' limits turned out to be, who said so, and how long ago; and what is configured."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, cast

from attrs import evolve, frozen

from penstock_io.cli.options import (
    ACCOUNT,
    API_KEY_ENV,
    CEILING,
    CONFIG,
    IPD,
    IPM,
    MAX_CONCURRENCY,
    MODELS,
    RPD,
    RPM,
    SPEED,
    TPD,
    TPM,
    WEIGHT,
)
from penstock_io.cli.parsing import Formatter, Parser, Subparsers, complain
from penstock_io.words import ago, per

if TYPE_CHECKING:
    from penstock.lessons import Lesson, Use
    from penstock_io.cli.config import Values
    from penstock_io.cli.keyring import Table
    from penstock_io.lessons import Kept

MINUTE, DAY = 60.0, 86_400.0
CONFIGURED = (
    (RPM, "requests", MINUTE), (TPM, "tokens", MINUTE), (IPM, "images", MINUTE),
    (RPD, "requests", DAY), (TPD, "tokens", DAY), (IPD, "images", DAY), (MAX_CONCURRENCY, "concurrency", None),
)  # fmt: skip
"""Options that limit a quantity, and the seconds of their windows (None: at a time)."""

DONE, USAGE = 0, 2

EPILOG = """\
What replies and refusals of the last day told is kept in the user's cache folder (or in the file that PENSTOCK_LESSONS
names; "off": nowhere) and lets the next run begin at its limits; what the provider says then counts before it. Told: by
headers or an error of the provider. Learned: from what was refused. Used: so much of a day (or an hour) is gone and not
back yet, as the last run left it, and the next one goes on from there. --forget throws it away.

What the environment (PENSTOCK_RPM) and the file of --config say for each key, for one ([keys.VARIABLE]) and for models
that share their limits ([pools.NAME]) is shown, too. Limit: a belief, corrected by what the provider says. Ceiling:
never exceeded; with a file's figures it is said when that was changed. Account: all its keys share their limits, and
what they used stands once.

--json prints one object: file, limits (a list of key, keys, account, base_url, pool, quantity, limit, window_seconds,
burst, source, age_seconds), used (a list of key, keys, account, base_url, pool, quantity, used, window_seconds, told,
age_seconds), configured (a list of key, pool, quantity, limit, window_seconds, source, said, age_seconds; a key of null
is each, a pool of null any model, an age of null: said anew for each run), keys (a list of key, account, weight,
models, unused: what is said of each and of single ones). keys are all keys of an account ("": a key of its own).

exit codes: 0 it was said; 2 the file cannot be thrown away, or that of --config cannot be used
"""


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """Add `limits` to a command line; `args.run(args)` then runs it."""
    parser = subparsers.add_parser(
        "limits",
        usage="penstock limits [--config FILE] [--json] [--forget]",
        description="What the limits of your keys turned out to be: figure, source and age, by key, address and pool.",
        epilog=EPILOG,
        formatter_class=Formatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--forget", action="store_true", help="throw away what is kept")
    parser.add_argument("--config", type=Path, metavar="FILE", help="also show what this TOML file says of limits")
    parser.flags = ["--config", "--json", "--forget", "--help"]
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Say it, or forget it; returns the exit code."""
    from penstock_io.cli.config import OptionError, resolve  # noqa: PLC0415 - the start is fast until it is known what runs
    from penstock_io.lessons import forget, load, place  # noqa: PLC0415 - as above

    path, as_json = place(os.environ), bool(args.json)
    try:
        flags = {} if args.config is None else {CONFIG.key: args.config}
        values = resolve(flags, (*SPEED, API_KEY_ENV, CONFIG), os.environ)
        said = configured(values, time.time())
    except OptionError as error:
        return complain("usage", str(error), USAGE, as_json=as_json)
    if args.forget and path is not None:
        try:
            forget(path)
        except OSError as fault:
            return complain("file", f"{path} cannot be thrown away: {fault.strerror or fault}", USAGE, as_json=as_json)
    kept = [] if path is None else whole(load(path, time.time()))
    thrown = args.forget and path is not None
    learned = [f"what was learned is thrown away ({path})"] if thrown else as_lines(path, kept)
    print(as_object(path, kept, said) if as_json else "\n".join([*said_lines(said), *learned]))
    return DONE


@frozen
class Said:
    """What is configured of a key (None: of each) or of a pool of its models (None: of any): `entry` without limits."""

    key: str | None = None
    pool: str | None = None
    entry: Mapping[str, object] | None = None
    limits: Sequence[dict[str, object]] = ()


def configured(values: Values, unix: float) -> list[Said]:
    """What is configured of each key, of single ones, and of pools of their models, at `unix` (seconds).

    Raises `OptionError` for a model of two pools.
    """
    from penstock_io.cli.keyring import KEYS, pools_of, tables_of, unused  # noqa: PLC0415 - as above

    age, idle = _age(values.get(CONFIG), unix), unused(values)
    account = values.get(ACCOUNT)
    every = None if account is None else {"key": None, "account": account, "weight": None, "models": None}
    found = [Said(entry=every, limits=_limits(values, age)), *_pools(values, None, pools_of(values), age)]
    for key, table in tables_of(values, KEYS).items():
        pools_of(values, table)
        models = table.get(MODELS)
        entry = {"key": key, "account": said_account(values, table), "weight": table.get(WEIGHT),
                 "models": None if models is None else list(models), "unused": table in idle}  # fmt: skip
        found += [Said(key, entry=entry, limits=_limits(values, age, table)), *_pools(values, key, table.pools, age)]
    return [one for one in found if one.entry or one.limits]


def _age(file: Path | None, unix: float) -> int | None:
    """How many seconds ago a file was changed."""
    if file is None:
        return None
    with suppress(OSError):  # it was read just now, and may be gone
        return max(0, round(unix - file.stat().st_mtime))
    return None


def said_account(values: Values, table: Table) -> object:
    """The account of a key; a flag or a variable says it of all."""
    from penstock_io.cli.keyring import said  # noqa: PLC0415 - as above

    found = said(values, ACCOUNT, (table,))
    return None if found is None else found.value


def _pools(values: Values, key: str | None, pools: Mapping[str, Table], age: int | None) -> list[Said]:
    return [
        Said(key, name, {"models": list(pool.get(MODELS) or ())}, _limits(values, age, pool))
        for name, pool in pools.items()
    ]


def _limits(values: Values, age: int | None, table: Table | None = None) -> list[dict[str, object]]:
    """What is said of all keys, or by one table alone; what counts before that is said of all."""
    from penstock_io.cli.config import Source  # noqa: PLC0415 - as above

    told = {option.key: values.given[option.key] for option in SPEED if option.key in values.given}
    given = told
    if table is not None:
        given = {key: one for key, one in table.given.items() if key not in told or told[key].source <= one.source}
    ceiling = given.get(CEILING.key) or told.get(CEILING.key)
    source = "ceiling" if ceiling is not None and ceiling.value is True else "limit"
    return [
        {"quantity": quantity, "limit": one.value, "window_seconds": window,
         "source": source if window is not None else "ceiling", "said": one.origin,
         "age_seconds": age if one.source is Source.FILE else None}
        for option, quantity, window in CONFIGURED
        if (one := given.get(option.key)) is not None
    ]  # fmt: skip


def said_lines(said: Sequence[Said]) -> list[str]:
    """What is configured, for people: a paragraph for each key, pool, and all of them; or nothing."""
    lines: list[str] = []
    for each in said:
        entry = each.entry or {}
        said_of = [f"{name} {_word(value)}" for name, value in entry.items() if name not in {"key", "unused"} and value]
        if entry.get("unused"):
            said_of.append(f"not used: api_key_env names no {each.key}")
        whose = (each.key or "each key") + ("" if each.pool is None else f", pool {each.pool}")
        lines.append(f"{whose}, as configured" + (f" ({'; '.join(said_of)})" if said_of else ""))
        for one in each.limits:
            window = one["window_seconds"]
            what = "at a time" if window is None else str(one["quantity"])
            limit = f"{one['limit']:,.10g}" + ("" if window is None else " a day" if window == DAY else " a minute")
            age = one["age_seconds"]
            when = f", changed {ago(age)}" if isinstance(age, int) else ""
            lines.append(f"  {what:14} {limit:>14}  {one['source']!s:8} {one['said']}{when}")
    return lines


def _word(value: object) -> str:
    return " and ".join(str(one) for one in cast("list[object]", value)) if isinstance(value, list) else f"{value}"


@frozen
class Quota:
    """What was learned of one quota: by `keys` that draw on it, the first of which `one` is of."""

    one: Kept
    keys: tuple[str, ...]


def whole(kept: Sequence[Kept]) -> list[Quota]:
    """Each quota once: keys of an account that know the same have one."""
    found: dict[object, Quota] = {}
    for one in kept:
        which = (one.base_url, one.pool, one.account, one.lessons if one.account else one.key)
        before = found.get(which)
        found[which] = Quota(one, (one.key,)) if before is None else evolve(before, keys=(*before.keys, one.key))
    return list(found.values())


def as_object(path: Path | None, kept: Sequence[Quota], said: Sequence[Said]) -> str:
    """What `--json` prints."""
    limits: list[dict[str, object]] = []
    used: list[dict[str, object]] = []
    for quota in kept:
        one = quota.one
        whose: dict[str, object] = {"key": one.key, "keys": list(quota.keys), "account": one.account,
                                    "base_url": one.base_url, "pool": one.pool}  # fmt: skip
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
        used += [
            whose
            | {"quantity": use.quantity, "used": use.later(use.age), "window_seconds": use.window, "told": use.told,
               "age_seconds": round(use.age)}
            for use in one.lessons.used
        ]  # fmt: skip
    told = {
        "file": None if path is None else str(path),
        "limits": limits,
        "used": used,
        "configured": [{"key": one.key, "pool": one.pool, **limit} for one in said for limit in one.limits],
        "keys": [one.entry for one in said if one.entry is not None and one.pool is None],
    }
    return json.dumps(told, ensure_ascii=False, indent=2)


def as_lines(path: Path | None, kept: Sequence[Quota]) -> list[str]:
    """What is printed for people: a paragraph a quota."""
    if path is None:
        return ["nothing is kept: there is no cache folder, or PENSTOCK_LESSONS is off"]
    if not kept:
        return [f"nothing was learned in the last day ({path})"]
    lines: list[str] = []
    for quota in kept:
        one = quota.one
        names = [name.partition(":") for name in quota.keys]
        keys = [f"{label} ({digits})" if label else digits for digits, _, label in names]
        whose = f"account {one.account}, {' and '.join(keys)}" if one.account else keys[0]
        lines.append(f"{whose} at {one.base_url}, {one.pool}")
        rows = [row(lesson) for lesson in one.lessons.buckets]
        rows += [gone(use) for use in one.lessons.used]
        if one.lessons.concurrency is not None:
            rows.append(("at a time", f"{one.lessons.concurrency}", "learned", ago(one.lessons.age)))
        lines += [f"  {what:14} {limit:>14}  {source:8} {age}" for what, limit, source, age in rows]
    return lines


def row(lesson: Lesson) -> tuple[str, str, str, str]:
    """A bucket in words: what it counts, the limit with its window, who says so, when."""
    limit = lesson.per_minute * (lesson.window or 60.0) / 60.0
    return lesson.quantity, f"{limit:,.6g} {per(lesson.window)}", lesson.source, ago(lesson.age)


def gone(use: Use) -> tuple[str, str, str, str]:
    """What of a day is not back yet, in words."""
    return use.quantity, f"{ceil(use.later(use.age)):,} {per(use.window)}", "used", ago(use.age)
