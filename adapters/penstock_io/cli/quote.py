"""`penstock quote`: what the rows of a file would cost, by what, and what would be cheaper. Nothing is sent."""

from __future__ import annotations

import argparse
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from penstock_io.cli import options
from penstock_io.cli.options import AnyOption
from penstock_io.cli.parsing import Formatter, Parser, Subparsers, add_options, run_with

if TYPE_CHECKING:
    from penstock_io.batch.rows import Rows
    from penstock_io.cli.config import Values
    from penstock_io.cli.console import Console
    from penstock_io.costing.asking import Quoted

DONE = 0
STDIN = "standard input"

TABLE = options.Option(
    "csv",
    options.FILE.parse,
    options.SHOWN,
    "write a table; -: to standard output, and nothing else",
    "FILE",
    bare=True,
)

QUOTE: tuple[AnyOption, ...] = (
    options.KEEP, options.SKIP_INVALID, options.REPEATS, *options.REQUEST, options.PROVIDER, options.DIALECT,
    options.LIMIT, options.ON_AMBIGUOUS, options.RETRY_FAILED,
    options.OUT._replace(help="the folder of a batch: what is paid there already is taken off"),
    options.JSON, TABLE, options.OVERWRITE._replace(group=options.SHOWN, help="replace FILE where there is one"),
    options.CONFIG,
)  # fmt: skip
"""What `penstock quote` takes: those options of a batch that say what is bought."""

EPILOG = """\
"at most" is a bound by published formulas, "probably" an estimate: what the model may choose (auto, or nothing said)
counts as the dearest in the one, and as usual in the other. Rows that ask for the same are bought once. Cheaper
settings are each alone; rows that do not take one stay as they are. What is not known is not guessed.

  penstock quote prompts.txt
  penstock quote prompts.jsonl --quality high --out pictures
  penstock quote prompts.csv --json
  penstock quote prompts.csv --csv quote.csv

exit codes: 0 it was said; 2 usage or input; 130 interrupted
"""


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """Add `quote` to a command line; `args.run(args)` then runs it."""
    parser = subparsers.add_parser(
        "quote",
        usage="penstock quote INPUT [options]",
        description="What the rows of a file would cost: at most and probably, by model, size and quality; what would\n"
        "be cheaper; and how to say a price that is not known. No key is needed, nothing is sent.",
        epilog=EPILOG,
        formatter_class=Formatter,
    )
    parser.add_argument("input", nargs="?", metavar="INPUT", help="the rows, as for a batch; - reads JSONL from a pipe")
    add_options(parser, QUOTE)
    parser.set_defaults(run=partial(run, parser))


def run(parser: Parser, args: argparse.Namespace) -> int:
    """Quote it; returns the exit code."""
    given: str | None = args.input
    if given is None:
        parser.error("INPUT is missing: a .txt, .jsonl or .csv file, or -")
    source = None if given == "-" else Path(given)
    return run_with(parser, args, QUOTE, lambda values, console: _quote(values, source, console))


def _quote(values: Values, given: Path | None, console: Console) -> int:
    """All of it; returns the exit code. Raises `OptionError`, `InputError`, `JournalError`."""
    import json  # noqa: PLC0415 - the start is fast until it is known what runs
    import time  # noqa: PLC0415 - as above

    from penstock.work import OnAmbiguous  # noqa: PLC0415 - as above
    from penstock_io.batch.models import unheard  # noqa: PLC0415 - as above
    from penstock_io.batch.progress import Level  # noqa: PLC0415 - as above
    from penstock_io.batch.settings import Choices, Repeats  # noqa: PLC0415 - as above
    from penstock_io.batch.states import load_states  # noqa: PLC0415 - as above
    from penstock_io.cli.config import overrides_of  # noqa: PLC0415 - as above
    from penstock_io.cli.connecting import connect  # noqa: PLC0415 - as above
    from penstock_io.cli.folders import journalled  # noqa: PLC0415 - as above
    from penstock_io.cli.tables import STDOUT  # noqa: PLC0415 - as above
    from penstock_io.costing.asking import quote_rows  # noqa: PLC0415 - as above
    from penstock_io.costing.quotes import as_lines, as_object  # noqa: PLC0415 - as above
    from penstock_io.journal import Account, peek  # noqa: PLC0415 - as above

    table = _table(values)
    connection = connect(values, os.environ, bare=True)  # a provider that there is
    choices = Choices(
        on_ambiguous=OnAmbiguous(values[options.ON_AMBIGUOUS]),
        retry_failed=values[options.RETRY_FAILED],
        limit=values.get(options.LIMIT),
        repeats=Repeats(values[options.REPEATS]),
        prices=overrides_of(values),
        server=connection.base_url,
        dialect=connection.dialect,
    )
    rows, skip = _read(values, given)
    for warning in unheard((row.request.model for row in rows.rows), connection.base_url, choices.priced):
        console.tell(warning, Level.WARNING)
    folder = values.get(options.OUT)
    found = peek(folder) if folder is not None and journalled(folder) else None
    states = {} if found is None else load_states(found.rows)
    account = Account() if found is None else found.account
    quoted = quote_rows(rows, choices, states, account, unix=time.time(), skip_invalid=skip)
    _warn(quoted, console)
    if table is not None:
        _write(table, quoted)
    if values[options.JSON]:
        console.result(json.dumps(as_object(quoted), ensure_ascii=False, indent=2))
    elif table != STDOUT:
        console.result("\n".join(as_lines(quoted)))
    return DONE


def _table(values: Values) -> str | None:
    """Where a table goes, None where none is asked for. Raises `OptionError` where it cannot."""
    from penstock_io.cli.config import OptionError  # noqa: PLC0415 - as above
    from penstock_io.cli.tables import refusal  # noqa: PLC0415 - as above

    given = values.get(TABLE)
    table = None if given is None else str(given)
    why = refusal(table, as_json=values[options.JSON], overwrite=values[options.OVERWRITE])
    if why:
        raise OptionError(why)
    return table


def _write(table: str, quoted: Quoted) -> None:
    """Write it. Raises `OptionError` where that fails."""
    from penstock_io.cli.config import OptionError  # noqa: PLC0415 - as above
    from penstock_io.cli.tables import write_table  # noqa: PLC0415 - as above
    from penstock_io.costing.csvs import write_quote  # noqa: PLC0415 - as above

    try:
        write_table(table, lambda file, mark: write_quote(file, quoted.settings, mark=mark))
    except BrokenPipeError:
        raise
    except OSError as fault:
        raise OptionError(f"--csv {table}: {fault.strerror or fault}") from fault


def _read(values: Values, given: Path | None) -> tuple[Rows, bool]:
    """All rows, checked, and whether bad ones are passed over. Raises `InputError`."""
    import sys  # noqa: PLC0415 - as above

    from penstock_io.batch.inputs import parse_rows, read_rows  # noqa: PLC0415 - as above
    from penstock_io.cli.batching import defaults_of  # noqa: PLC0415 - as above
    from penstock_io.cli.config import OptionError  # noqa: PLC0415 - as above

    defaults, keep, skip = defaults_of(values), values.get(options.KEEP) or (), values[options.SKIP_INVALID]
    if given is not None:
        return read_rows(given, defaults, keep=keep, skip_invalid=skip), skip
    if sys.stdin is None or sys.stdin.closed:  # pyright: ignore[reportUnnecessaryComparison]  a service may have none
        raise OptionError("-: there is no standard input to read rows from")
    return parse_rows(sys.stdin.buffer.read(), STDIN, defaults, keep=keep, skip_invalid=True), True


def _warn(quoted: Quoted, console: Console) -> None:
    from penstock_io.batch.progress import Level  # noqa: PLC0415 - as above
    from penstock_io.batch.rows import InputError  # noqa: PLC0415 - as above

    for warning in quoted.warnings:
        console.tell(warning, Level.WARNING)
    if quoted.invalid:
        mistakes = [mistake for one in quoted.invalid for mistake in one.mistakes]
        console.tell(str(InputError(mistakes)), Level.WARNING)
