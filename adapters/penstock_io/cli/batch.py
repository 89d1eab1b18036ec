"""`penstock batch`: the rows of a file to pictures in a folder."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from penstock_io.cli.options import BATCH, JSON, NOTE, OUT, REPAIR
from penstock_io.cli.parsing import Formatter, Parser, Subparsers, add_options, run_with

if TYPE_CHECKING:
    from penstock_io.cli.config import Values
    from penstock_io.cli.console import Console

EPILOG = f"""\
What rows do not say themselves, the options say. The same command run again goes on where it stopped: what is paid is
not bought again.

{NOTE}
exit codes: 0 every row is done; 1 some rows failed, are partial, ambiguous or invalid; 2 usage, input, the folder is in
use, or a yes is missing, and nothing was sent; 3 the budget is used up; 4 halted (a key, the credit, the model, the
address, the disk); 130 interrupted
"""


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """Add `batch` to a command line; `args.run(args)` then runs it."""
    parser = subparsers.add_parser(
        "batch",
        usage="penstock batch INPUT --out DIR [options]",
        description="Turn rows into pictures in DIR/images, with a gallery (DIR/index.html), DIR/results.jsonl and\n"
        "DIR/summary.json. A row is a line of a .txt file (the prompt), an object of a .jsonl file, or a\n"
        "record of a .csv file with a header: a prompt, any field of a request, an optional id.",
        epilog=EPILOG,
        formatter_class=Formatter,
    )
    parser.add_argument(
        "input", nargs="?", metavar="INPUT", help="the rows; - reads JSONL from standard input, row by row"
    )
    add_options(parser, BATCH)
    parser.set_defaults(run=partial(run, parser))


def run(parser: Parser, args: argparse.Namespace) -> int:
    """Do the batch; returns the exit code."""
    given: str | None = args.input
    if given is None and not vars(args).get(REPAIR.key):
        parser.error("INPUT is missing: a .txt, .jsonl or .csv file, or -")
    return run_with(parser, args, BATCH, lambda values, console: _start(values, given, console))


def _start(values: Values, given: str | None, console: Console) -> int:
    if values[REPAIR]:
        from penstock_io.cli.repairing import mend  # noqa: PLC0415 - the start is fast until it is known what runs

        return mend(values[OUT], console, as_json=values[JSON])
    from penstock_io.cli.batching import start  # noqa: PLC0415 - as above

    return start(values, None if given is None or given == "-" else Path(given), console)
