"""`penstock cache`: what a store of pictures holds, and clearing it up."""

from __future__ import annotations

import argparse
import json
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from penstock_io.cli.parsing import Formatter, Parser, Subparsers, complain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penstock.ids import Key
    from penstock_io.stores import Damage, StoreEntry
    from penstock_io.stores.names import Kept

DONE, SOME, USAGE = 0, 1, 2

ENOUGH = 20
"""So many pictures in a row that cannot be dropped: the others cannot, either, and each may be waited for."""

EPILOG = """\
PATH names a store: a file (SQLite), a folder with its index.sqlite, redis://HOST/0, or s3://BUCKET/PREFIX; also the
folder of a batch, from which nothing is dropped.

  stats    how many pictures, how many bytes, what they cost, what had to go
  list     a line for each picture: the beginning of its key, size, format, bytes, cost, age
  show     one picture by its key, or by the beginning of one: all that is known of it (-o FILE: the picture, too)
  purge    drop pictures: those that --older-than and --key name (both: that are both), or --all, also those that have
           expired or are damaged; a key may be given by its beginning; without --yes it only says which
  verify   read everything and say what is damaged, and how many files no picture names and leases are over (--drop: and
           drop that)

What is dropped has to be bought again when it is asked for the next time.

  penstock cache stats pictures.sqlite
  penstock cache purge pictures.sqlite --older-than 30d --yes

--json prints one object: stats: entries, bytes, max_bytes, cost_usd, evictions, expired, oldest, newest; list, show and
purge: pictures (key, size, format, bytes, cost_usd, seconds, created, stored, expires, policy, passed), and purge
dropped, left; verify: damage (key, what), dropped, litter.

exit codes: 0 done; 1 something is damaged (verify), there is no such picture (show, purge), or some could not be
dropped (purge); 2 usage, or the store cannot be used
"""


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """Add `cache` to a command line; `args.run(args)` then runs it."""
    parser = subparsers.add_parser(
        "cache",
        usage="penstock cache stats|list|show|purge|verify PATH [KEY] [options]",
        description="What a store of pictures holds, and clearing it up.",
        epilog=EPILOG,
        formatter_class=Formatter,
    )
    add = parser.add_argument
    add("action", choices=sorted(_ACTIONS), metavar="ACTION", help="stats, list, show, purge or verify")
    add("store", metavar="PATH", help="the store: a file, a folder or a URL")
    add("key", nargs="?", metavar="KEY", help="show: a key, or the beginning of one")
    add("--limit", type=int, metavar="N", help="list: so many pictures at most")
    add("-o", "--out", type=Path, metavar="FILE", help="show: write the picture to FILE, which is not there yet")
    add("--older-than", metavar="TIME", help="purge: what was stored longer ago than 12h, 30d")
    add("--key", dest="keys", action="append", metavar="KEY", help="purge: this picture; may be given again")
    add("--all", action="store_true", help="purge: every picture")
    add("--drop", action="store_true", help="verify: drop what is damaged, and what nothing needs")
    add("--yes", action="store_true", help="purge: do it")
    add("--json", action="store_true", help="print one JSON object")
    parser.flags = ["--limit", "--out", "--older-than", "--key", "--all", "--drop", "--yes", "--json", "--help"]
    parser.set_defaults(run=partial(run, parser))


def run(parser: Parser, args: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    from penstock.errors import UsageError  # noqa: PLC0415 - the start is fast until it is known what runs
    from penstock_io.stores import StoreFault  # noqa: PLC0415 - as above
    from penstock_io.stores.names import store_named  # noqa: PLC0415 - as above

    _check(parser, args)
    as_json: bool = args.json
    try:
        store = store_named(args.store, clock=_before_all if args.all else time.time)
        try:
            return _ACTIONS[args.action](store, args)
        finally:
            store.close()
    except UsageError as error:
        return complain("usage", str(error), USAGE, as_json=as_json)
    except StoreFault as fault:
        return complain("store", str(fault), USAGE, as_json=as_json)
    except OSError as fault:
        return complain("store", f"{args.store}: {fault.strerror or fault}", USAGE, as_json=as_json)


def _before_all() -> float:
    """A clock by which nothing has expired, so that what has is listed, and dropped with everything else."""
    return 0.0


def _check(parser: Parser, args: argparse.Namespace) -> None:
    """Refuse options of another action, and a purge of nothing in particular."""
    for flag, given, action in (
        ("--limit", args.limit, "list"),
        ("--out", args.out, "show"),
        ("--older-than", args.older_than, "purge"),
        ("--key", args.keys, "purge"),
        ("--all", args.all, "purge"),
        ("--yes", args.yes, "purge"),
        ("--drop", args.drop, "verify"),
    ):
        if given and args.action != action:
            parser.error(f"{flag} belongs to penstock cache {action}")
    if args.action == "show" and not args.key:
        parser.error("show takes a KEY behind PATH: penstock cache list shows them")
    if args.action != "show" and args.key:
        parser.error(f"{args.key!r} is one argument too many")
    if args.action == "purge" and not (args.all or args.keys or args.older_than):
        parser.error("purge takes --older-than TIME, --key KEY or --all, and --yes")
    if args.all and (args.keys or args.older_than):
        parser.error("--all drops every picture: it goes with neither --key nor --older-than")
    if args.limit is not None and args.limit < 1:
        parser.error("--limit is a whole number from 1 on")
    if args.older_than is not None and _seconds(args.older_than) is None:
        parser.error(f"--older-than {args.older_than}: it is a time such as 90s, 12h, 30d")


def _stats(store: Kept, args: argparse.Namespace) -> int:
    from penstock_io.batch.results import usd  # noqa: PLC0415 - as above
    from penstock_io.words import ago, count, size, summed  # noqa: PLC0415 - as above

    figures = store.figures()
    entries = list(store.entries())
    costs = [entry.meta.cost for entry in entries]
    cost, unknown = sum(one or 0 for one in costs), None in costs
    stored = sorted(entry.stored for entry in entries)
    if args.json:
        told = {
            "entries": figures.entries,
            "bytes": figures.nbytes,
            "max_bytes": figures.max_bytes,
            "cost_usd": None if unknown else usd(cost),
            "evictions": figures.evictions,
            "expired": figures.expired,
            "oldest": stored[0] if stored else None,
            "newest": stored[-1] if stored else None,
        }
        print(json.dumps(told, indent=2))
        return DONE
    now = time.time()
    print(f"{count(figures.entries, 'picture')}, {size(figures.nbytes)}")
    if entries:
        print(f"they cost {summed(cost, unknown=unknown)} when they were made")
        print(f"the oldest was stored {ago(now - stored[0])}, the newest {ago(now - stored[-1])}")
    print(f"{count(figures.evictions, 'picture')} had to go for others, {figures.expired:,} expired")
    return DONE


def _list(store: Kept, args: argparse.Namespace) -> int:
    entries = sorted(store.entries(), key=lambda entry: (-entry.stored, entry.key))[: args.limit]
    if args.json:
        print(json.dumps({"pictures": [as_object(entry) for entry in entries]}, indent=2))
    else:
        now = time.time()
        for entry in entries:
            print(line(entry, now))
    return DONE


def _show(store: Kept, args: argparse.Namespace) -> int:
    from penstock_io.words import harmless  # noqa: PLC0415 - as above

    entry = _begun(list(store.entries()), args.key, as_json=args.json)
    if isinstance(entry, int):
        return entry
    if args.out is not None and (code := _write(store, entry, args)) != DONE:
        return code
    if args.json:
        print(json.dumps({"pictures": [as_object(entry)]}, indent=2))
    else:
        for name, value in as_object(entry).items():
            print(f"{name:9} {'-' if value is None else harmless(str(value))}")
    return DONE


def _begun(entries: Sequence[StoreEntry], beginning: str, *, as_json: bool) -> StoreEntry | int:
    """The one picture whose key begins so; or the exit code after it was said that there is none, or several."""
    from penstock_io.words import harmless  # noqa: PLC0415 - as above

    found = [entry for entry in entries if entry.key.startswith(beginning)]
    if len(found) == 1:
        return found[0]
    told = "there is no picture" if not found else f"{len(found):,} pictures have keys"
    said = f"{told} whose key begins with {harmless(beginning)}"
    return complain("key", said, SOME if not found else USAGE, as_json=as_json)


def _write(store: Kept, entry: StoreEntry, args: argparse.Namespace) -> int:
    """The picture's bytes, to a new file."""
    stored = store.read(entry.key)
    if stored is None or not isinstance(stored[1], bytes):
        return complain("key", f"{entry.key} is not there any more", SOME, as_json=args.json)
    try:
        with args.out.open("xb") as file:
            file.write(stored[1])
    except OSError as fault:
        return complain("file", f"{args.out}: {fault.strerror or fault}", USAGE, as_json=args.json)
    return DONE


def _purge(store: Kept, args: argparse.Namespace) -> int:
    from penstock_io.words import count, harmless, size, summed  # noqa: PLC0415 - as above

    now, oldest = time.time(), _seconds(args.older_than) if args.older_than else None
    entries = list(store.entries())
    if args.keys:
        named = [_begun(entries, beginning, as_json=args.json) for beginning in dict.fromkeys(args.keys)]
        if (code := next((one for one in named if isinstance(one, int)), None)) is not None:
            return code
        entries = [one for one in entries if one in named]
    chosen = [entry for entry in entries if oldest is None or now - entry.stored > oldest]
    # on a full disk a large one makes room for the rest
    largest_first = sorted(chosen, key=lambda entry: -entry.nbytes)
    dropped, left, why = _drop(store, largest_first) if args.yes else (0, [], "")
    if args.all and args.yes and not left:
        dropped += len(_drop_damaged(store, list(store.verify())))  # all that is left
    if args.yes and not left:
        _tidy(args.store)
    if args.json:
        told = {"pictures": [as_object(entry) for entry in chosen], "dropped": dropped, "left": len(left)}
        print(json.dumps(told, indent=2))
        return SOME if left else DONE
    kept = {entry.key for entry in left}
    gone = [entry for entry in chosen if entry.key not in kept]
    costs = [entry.meta.cost for entry in gone]
    cost = summed(sum(one or 0 for one in costs), unknown=None in costs)
    said = f"{count(len(gone), 'picture')}, {size(sum(entry.nbytes for entry in gone))}, made for {cost}"
    print(f"dropped: {said}" if args.yes else f"would drop {said}; nothing was dropped: --yes does it")
    if left:
        print(f"left: {count(len(left), 'picture')}, {size(sum(entry.nbytes for entry in left))}: {harmless(why)}")
    return SOME if left else DONE


def _drop(store: Kept, entries: Sequence[StoreEntry]) -> tuple[int, list[StoreEntry], str]:
    """Drop pictures: how many went, which are left, and why. Raises `StoreFault` where none goes.

    What there was no room for may go once others have made some: it is tried again as long as any go.
    """
    from penstock_io.stores import StoreFault  # noqa: PLC0415 - as above

    dropped, waiting, why = 0, list(entries), ""
    while waiting:
        left: list[StoreEntry] = []
        in_vain = 0
        for place, entry in enumerate(waiting):
            if in_vain == ENOUGH:
                left += waiting[place:]
                break
            try:
                dropped += store.delete(entry.key)
                in_vain = 0
            except StoreFault as fault:
                left.append(entry)
                in_vain += 1
                why = str(fault)
        if len(left) == len(waiting):
            break
        waiting = left
    if why and len(waiting) == len(entries):
        raise StoreFault(why)
    return dropped, waiting, why


def _tidy(name: str) -> None:
    """Take away leases that are over, by the clock, and files that nobody names."""
    from penstock_io.stores import Tidying  # noqa: PLC0415 - as above
    from penstock_io.stores.names import store_named  # noqa: PLC0415 - as above

    with closing(store_named(name)) as store:
        if isinstance(store, Tidying):
            store.tidy()


def _drop_damaged(store: Kept, found: Sequence[Damage]) -> list[Key]:
    """Drop what is damaged, as far as its keys are known: those keys."""
    keys = list(dict.fromkeys(damage.key for damage in found if damage.key is not None))
    for key in keys:
        store.delete(key)
    return keys


def _verify(store: Kept, args: argparse.Namespace) -> int:
    from penstock_io.stores import Tidying  # noqa: PLC0415 - as above
    from penstock_io.words import count, harmless  # noqa: PLC0415 - as above

    found = list(store.verify())
    dropped = len(_drop_damaged(store, found)) if args.drop else 0
    litter = 0 if not isinstance(store, Tidying) else store.tidy() if args.drop else store.litter()
    if args.json:
        told = [{"key": damage.key, "what": damage.what} for damage in found]
        print(json.dumps({"damage": told, "dropped": dropped, "litter": litter}, indent=2))
    else:
        for damage in found:
            print(f"{damage.key or 'the store'}: {harmless(damage.what)}")
        print(f"{count(len(found), 'thing')} damaged{f', {dropped:,} dropped' if args.drop else ''}")
        if litter:
            what = f"{count(litter, 'thing')} that nothing needs (files that no picture names, leases that are over)"
            print(f"{what}: {'taken away' if args.drop else '--drop, or a purge, takes them away'}")
    return SOME if found else DONE


_ACTIONS: dict[str, Callable[[Kept, argparse.Namespace], int]] = {
    "stats": _stats,
    "list": _list,
    "show": _show,
    "purge": _purge,
    "verify": _verify,
}


def as_object(entry: StoreEntry) -> dict[str, object]:
    """What is known of a stored picture, for programs: bytes, dollars, Unix seconds."""
    from penstock_io.batch.results import usd  # noqa: PLC0415 - as above

    meta = entry.meta
    return {
        "key": entry.key,
        "size": meta.size,
        "format": meta.format,
        "bytes": entry.nbytes,
        "cost_usd": None if meta.cost is None else usd(meta.cost),
        "seconds": meta.seconds,
        "created": meta.created,
        "stored": entry.stored,
        "expires": entry.expires,
        "policy": meta.policy,
        "passed": meta.passed,
    }


def line(entry: StoreEntry, now: float) -> str:
    """A stored picture for people, at `now` (Unix seconds)."""
    from penstock_io.words import ago, harmless, money, size, span  # noqa: PLC0415 - as above

    meta = entry.meta
    cost = "?" if meta.cost is None else money(meta.cost)
    expires = "" if entry.expires is None else f", gone in {span(entry.expires - now)}"
    what = f"{meta.size or '?':>10} {meta.format or '?':5}"
    return harmless(f"{entry.key[:16]} {what} {size(entry.nbytes):>9} {cost:>9}  {ago(now - entry.stored)}{expires}")


def _seconds(text: str) -> float | None:
    """A time such as 30d in seconds; None: it is none."""
    from penstock.durations import duration  # noqa: PLC0415 - as above

    return duration(text) or None
