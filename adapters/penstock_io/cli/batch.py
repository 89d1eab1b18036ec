"""`penstock batch`: the rows of a file to pictures in a folder."""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path

from penstock_io.cli.options import BATCH, JSON, LOG_FILE, NOTE, OUT, QUIET, REPAIR, VERBOSE
from penstock_io.cli.parsing import Formatter, Parser, Subparsers, add_options, complain

INTERRUPTED = 130

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
    from penstock.errors import PenstockError  # noqa: PLC0415 - the start is fast until it is known what runs
    from penstock_io.cli.batching import refuse, start  # noqa: PLC0415 - as above
    from penstock_io.cli.config import OptionError, resolve  # noqa: PLC0415 - as above
    from penstock_io.cli.console import Console  # noqa: PLC0415 - as above

    given: str | None = args.input
    mends = bool(vars(args).get(REPAIR.key))
    if given is None and not mends:
        parser.error("INPUT is missing: a .txt, .jsonl or .csv file, or -")
    as_json = parser.json
    try:
        values = resolve(vars(args), BATCH, os.environ)
        as_json = values[JSON]
        log = values.get(LOG_FILE)
        console = Console(quiet=values[QUIET], verbose=values[VERBOSE], json=as_json, log_file=log)
    except (OptionError, ValueError) as error:
        return complain("batch", "usage", str(error), as_json=as_json)
    with console:
        try:
            if given is None or mends:
                from penstock_io.cli.repairing import mend  # noqa: PLC0415 - as above

                return mend(values[OUT], console, as_json=as_json)
            return start(values, Path(given) if given != "-" else None, console)
        except (OptionError, PenstockError) as error:
            return refuse(error, console, as_json=as_json)
        except KeyboardInterrupt:
            return complain("batch", "interrupted", "interrupted", INTERRUPTED, as_json=as_json)
