"""`penstock status`: how a batch's folder stands, and what comes next. It only looks, also while a run is on."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from penstock_io.cli.parsing import Formatter, Parser, Subparsers, print_error

if TYPE_CHECKING:
    from penstock_io.batch.standing import FolderStanding
    from penstock_io.cli.console import Console

DONE, USAGE = 0, 2

EPILOG = """\
It changes nothing and may be asked at any time, also while a run is on. --json prints one object: folder, running,
holder, rows (by status; pending: they wait to be sent; out: their requests are out, or their pictures are being
saved, or were when a run was cut off), total (all rows of the input, as soon as it is known),
images, cost_usd, maybe_billed_usd, last_run {exit_code, message}, deferred (a list of requests that were put off and
not asked for since: run, job, pictures, reason, at), next (a list of what may be done).

exit codes: 0 it was said; 2 there is no such folder, or it is not a batch's
"""


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """Add `status` to a command line; `args.run(args)` then runs it."""
    parser = subparsers.add_parser(
        "status",
        usage="penstock status DIR [--json]",
        description="How the folder of a batch stands: whether it is at work, its rows by status, money, the last "
        "run's message, and what comes next.",
        epilog=EPILOG,
        formatter_class=Formatter,
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder of a batch")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.flags = ["--json", "--help"]
    parser.set_defaults(run=partial(run, parser))


def run(parser: Parser, args: argparse.Namespace) -> int:
    """Say it; returns the exit code."""
    from penstock_io.batch.progress import Level  # noqa: PLC0415 - the start is fast until it is known what runs
    from penstock_io.batch.standing import look  # noqa: PLC0415 - as above
    from penstock_io.cli.console import Console  # noqa: PLC0415 - as above
    from penstock_io.journal import JournalError  # noqa: PLC0415 - as above

    del parser
    folder: Path = args.folder
    with Console(json=args.json) as console:
        try:
            if not folder.is_dir():
                raise NotADirectoryError(f"{folder} is no folder: name the one that `penstock batch --out` made")
            standing = look(folder)
        except (JournalError, OSError) as fault:
            console.tell(str(fault), Level.ERROR)
            if args.json:
                print_error("folder", str(fault))
            return USAGE
        _tell(folder, standing, console, as_json=args.json)
    return DONE


def _tell(folder: Path, standing: FolderStanding, console: Console, *, as_json: bool) -> None:
    if as_json:
        console.result(json.dumps(as_object(folder, standing), ensure_ascii=False, indent=2))
    else:
        console.result("\n".join(f"{name + ':':9} {text}" for name, text in as_lines(standing).items()))


def as_object(folder: Path, standing: FolderStanding) -> dict[str, object]:
    """What `--json` prints."""
    from penstock_io.batch.results import usd  # noqa: PLC0415 - as above

    return {
        "folder": str(folder),
        "running": standing.holder is not None,
        "holder": standing.holder,
        "rows": {**standing.counts, "out": standing.out},
        "total": standing.total,
        "images": standing.images,
        "cost_usd": None if standing.unpriced else usd(standing.charged),
        "maybe_billed_usd": usd(standing.maybe),
        "last_run": {"exit_code": standing.code, "message": standing.message},
        "deferred": [
            {
                "run": ticket.run,
                "job": ticket.job,
                "pictures": len(ticket.keys),
                "reason": ticket.reason,
                "at": _moment(ticket.at),
            }
            for ticket in standing.deferred
        ],
        "next": list(standing.steps),
    }


def as_lines(standing: FolderStanding) -> dict[str, str]:
    """What people are told, by what it is about."""
    from penstock_io.words import at_least, at_most, count, one_line, summed  # noqa: PLC0415 - as above

    lines = {"state": "nobody is at work"}
    if standing.holder is not None:
        lines["state"] = f"at work: {one_line(standing.holder)}"
    elif standing.code is None:
        lines["state"] = "nobody is at work; the last run was cut off"
    so_far = "" if standing.whole else " so far"
    lines["rows"] = f"{count(standing.total, 'row')}{so_far}: {_counted(standing)}"
    lines["images"] = f"{standing.images:,}"
    bounded = at_least if standing.unpriced else at_most
    maybe = f", and {bounded(standing.maybe)} more may have been billed" if standing.maybe else ""
    lines["spent"] = f"{summed(standing.charged, unknown=standing.unpriced)}{maybe}"
    if standing.deferred:
        first = standing.deferred[0]
        why = f": {one_line(first.reason)}" if first.reason else ""
        requests = count(len(standing.deferred), "request")
        lines["put off"] = f"{requests}, the first at {_moment(first.at)}{why}"
    if standing.message:
        code = "" if standing.code is None else f"exit code {standing.code}: "
        lines["last run"] = f"{code}{one_line(standing.message, 1000)}"
    lines["next"] = "\n          ".join(standing.steps)
    return lines


def _moment(unix: float) -> str:
    """A moment in UTC, as `2026-11-22T05:00:00Z`."""
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _counted(standing: FolderStanding) -> str:
    """Rows by status: those that are done, are in flight, and wait."""
    at_work = standing.holder is not None
    words = {"pending": "waiting to be sent"} if at_work else {}
    parts = [f"{number:,} {words.get(status, status)}" for status, number in standing.counts.items() if number]
    if standing.out:
        out = f"{standing.out:,} in flight{'' if at_work else ' when the run was cut off'}"
        parts.insert(len(parts) - bool(standing.counts.get("pending")), out)
    return ", ".join(parts) or "none is known"
