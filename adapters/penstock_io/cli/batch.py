"""`penstock batch`: the rows of a file to pictures in a folder."""

from __future__ import annotations

import argparse
import os
import sys
from decimal import Decimal, InvalidOperation
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penstock_io.batch.plan import Keyed
    from penstock_io.batch.rows import Defaults
    from penstock_io.batch.run import Settings
    from penstock_io.journal import Journal

Subparsers = argparse._SubParsersAction  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  it has no public name

USAGE = 2
BASE_URL = "https://api.openai.com/v1"
KEY = "OPENAI_API_KEY"

EPILOG = """\
The same command run again goes on where it stopped: what is settled is not bought again.

exit codes: 0 every row is done; 1 some rows failed, are partial or ambiguous; 2 usage, input, or the folder is in
use; 3 the budget is used up; 4 halted (a key, the credit, the model, the disk); 130 interrupted
"""


def add_parser(subparsers: Subparsers[argparse.ArgumentParser]) -> None:
    """Add `batch` to a command line; `args.run(args)` then runs it."""
    parser = subparsers.add_parser(
        "batch",
        help="turn the rows of a file into pictures in a folder",
        description="Turn the rows of a .jsonl file (one JSON object a line: a prompt, any field of a request, an "
        "optional id) into pictures in DIR/images, with DIR/results.jsonl and DIR/summary.json.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("input", type=Path, metavar="IN.jsonl", help="the rows")
    add("--out", type=_folder, required=True, metavar="DIR", help="the folder; one process at a time")
    add("--base-url", default=BASE_URL, metavar="URL", help=f"where the API is (default: {BASE_URL})")
    add(
        "--api-key-env",
        action="append",
        metavar="NAME",
        help=f"an environment variable with an API key; repeat it for more keys (default: {KEY})",
    )
    add("--model", metavar="NAME", help="the model of rows that name none")
    add("--quality", metavar="WORD", help="the quality of rows that name none")
    add("--size", metavar="WxH", help="the size of rows that name none")
    add("--output-format", metavar="FORMAT", help="png, jpeg or webp, for rows that name none")
    add("--n", type=_count, metavar="N", help="pictures a row, for rows that do not say (default: 1)")
    add("--rpm", type=_limit, metavar="N", help="requests a minute for each key (default: learned)")
    add("--tpm", type=_limit, metavar="N", help="tokens a minute for each key (default: learned)")
    add("--ipm", type=_limit, metavar="N", help="images a minute for each key (default: learned)")
    add("--max-concurrency", type=_count, default=64, metavar="N", help="requests in flight for each key (default: 64)")
    add("--budget", type=_dollars, metavar="USD", help="never spend more in this folder, over all runs")
    add(
        "--on-ambiguous",
        choices=("auto", "retry", "skip"),
        default="auto",
        help="what may have been executed and billed: try a few once more, all, or none (default: auto)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Do the batch; returns the exit code."""
    from penstock.errors import PenstockError  # noqa: PLC0415 - the start is fast until it is known what runs
    from penstock_io.batch.plan import check_rows  # noqa: PLC0415 - as above
    from penstock_io.batch.rows import read_rows  # noqa: PLC0415 - as above
    from penstock_io.journal import Journal  # noqa: PLC0415 - as above

    try:
        settings = _settings(args)
        rows = check_rows(read_rows(args.input, _defaults(args)), str(args.input), budget=args.budget is not None)
        journal = Journal.open(args.out)
    except (PenstockError, ValueError) as error:
        tell(f"penstock batch: {error}")
        return USAGE
    return finish(settings, rows, journal)


def finish(settings: Settings, rows: list[Keyed], journal: Journal) -> int:
    """Run a checked batch in an open folder, close it and say how it went; returns the exit code."""
    from sqlite3 import Error  # noqa: PLC0415 - as above

    from penstock_io.batch.progress import closing  # noqa: PLC0415 - as above
    from penstock_io.batch.run import Exit, run_batch  # noqa: PLC0415 - as above

    try:
        ended = run_batch(settings, rows, journal)
    finally:
        try:
            journal.close()
        except (OSError, Error) as fault:
            tell(f"penstock batch: the journal could not be closed: {fault}")
    if ended.summary is not None:
        print(f"{closing(ended.summary)}; see {settings.folder / 'results.jsonl'}", flush=True)
    if ended.message:
        tell(f"penstock batch: {ended.message}")
    return Exit(ended.code)


def tell(text: str) -> None:
    """A line for whoever watches."""
    print(text, file=sys.stderr, flush=True)


def _defaults(args: argparse.Namespace) -> Defaults:
    from penstock_io.batch.rows import Defaults  # noqa: PLC0415 - as above

    return Defaults(args.model, args.size, args.quality, args.output_format, args.n)


def _settings(args: argparse.Namespace) -> Settings:
    """The settings that options and environment say. Raises `ValueError`, or `UsageError` for what no client takes."""
    from penstock.config import Limits  # noqa: PLC0415 - as above
    from penstock.work import OnAmbiguous  # noqa: PLC0415 - as above
    from penstock_io._setup import address, named  # noqa: PLC0415 - as above
    from penstock_io.batch.run import Settings  # noqa: PLC0415 - as above

    if not args.base_url.startswith(("http://", "https://")):
        raise ValueError(f"--base-url: {args.base_url!r} does not begin with http:// or https://")
    names: list[str] = args.api_key_env or [KEY]
    keys = {name: os.environ.get(name, "").strip() for name in names}
    missing = [name for name, key in keys.items() if not key]
    if missing:
        raise ValueError(f"no API key in the environment variable {' and '.join(missing)}: set it, or --api-key-env")
    named(keys)
    return Settings(
        folder=args.out,
        base_url=address(args.base_url),
        keys=keys,
        limits=Limits(args.rpm, args.tpm, args.ipm, args.max_concurrency),
        budget=args.budget,
        on_ambiguous=OnAmbiguous(args.on_ambiguous),
        tell=tell,
    )


def _folder(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("it names no folder (an empty variable?)")
    return Path(text)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 100_000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _limit(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not (isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def _dollars(text: str) -> Decimal:
    try:
        amount = Decimal(text.removeprefix("$"))
    except InvalidOperation:
        amount = Decimal(-1)
    if not (amount.is_finite() and 0 <= amount < 10**9):
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount of dollars")
    return amount
