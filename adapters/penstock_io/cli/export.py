"""`penstock export`: a batch as a table, or as a zip with its pictures."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from penstock_io.cli.parsing import Formatter, Parser, Subparsers

if TYPE_CHECKING:
    from penstock_io.batch.records import Record
    from penstock_io.cli.console import Console

DONE, SOME, USAGE = 0, 1, 2

STDOUT = "-"
FORMATS = ("csv", "jsonl", "zip")

OURS = ("results.", "summary.json", "index.html", "journal.")
"""How names begin in a batch's folder that are no export's."""

EPILOG = """\
a table has a line for each row, in the order of the input: id, status, files, prompt, model, size, quality, cost_usd,
seconds, error, and a column meta.NAME for each name. Texts that a spreadsheet would run as a formula get a ' before
them (csv only). A zip has the pictures with results.jsonl, summary.json and index.html.

  penstock export pictures --to rows.csv
  penstock export pictures --to pictures.zip
  penstock export pictures --to - --format jsonl | head

exit codes: 0 done; 1 pictures are missing from the folder, all else was exported; 2 usage, or it cannot be written
"""


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """Add `export` to a command line; `args.run(args)` then runs it."""
    parser = subparsers.add_parser(
        "export",
        usage="penstock export DIR --to FILE.csv|.jsonl|.zip|- [options]",
        description="A batch as a table, or as a zip with its pictures. It may be running meanwhile.",
        epilog=EPILOG,
        formatter_class=Formatter,
    )
    add = parser.add_argument
    add("folder", type=Path, metavar="DIR", help="the folder of a batch")
    add("--to", required=True, metavar="FILE", help="a name that ends in .csv, .jsonl or .zip; -: standard output")
    add("--format", choices=FORMATS, help="what it is to be where FILE does not say (of -: csv)")
    add("--overwrite", action="store_true", help="replace FILE where there is one")
    parser.flags = ["--to", "--format", "--overwrite", "--help"]
    parser.set_defaults(run=partial(run, parser))


def run(parser: Parser, args: argparse.Namespace) -> int:
    """Export; returns the exit code."""
    from penstock_io.cli.console import Console  # noqa: PLC0415 - the start is fast until it is known what runs

    folder: Path = args.folder
    to: str = args.to
    kind: str | None = args.format or _kind(to)
    if kind is None:
        parser.error(f"--to {to}: a name ends in .csv, .jsonl or .zip, or --format says what it is to be")
    if to == STDOUT and kind == "zip":
        parser.error("--to -: a zip cannot be written to standard output: name a file")
    with Console() as console:
        try:
            return _export(folder, to, kind, console, overwrite=args.overwrite)
        except BrokenPipeError:
            raise
        except OSError as fault:
            return _refused(console, f"{fault.filename or to}: {fault.strerror or fault}; nothing was exported")


def _kind(to: str) -> str | None:
    if to == STDOUT:
        return "csv"
    suffix = Path(to).suffix.lower().removeprefix(".")
    return suffix if suffix in FORMATS else None


def _export(folder: Path, to: str, kind: str, console: Console, *, overwrite: bool) -> int:
    """All of it, once the options are known. Raises `OSError`."""
    from penstock_io.batch.exports import write_csv, write_jsonl, write_zip  # noqa: PLC0415 - as above
    from penstock_io.batch.progress import Level  # noqa: PLC0415 - as above
    from penstock_io.batch.records import read_records, with_prompts  # noqa: PLC0415 - as above
    from penstock_io.batch.writing import whole  # noqa: PLC0415 - as above
    from penstock_io.words import count  # noqa: PLC0415 - as above

    if not folder.is_dir():
        return _refused(console, f"{folder} is no folder: name the one that `penstock batch --out` made")
    records = with_prompts(folder, read_records(folder))
    if not records:
        return _refused(console, f"{folder} says nothing of rows: it has no results.jsonl, or that has no lines")
    if to == STDOUT:
        _print(records, kind)
        return DONE
    target = Path(to)
    problem = _problem(folder, target, overwrite=overwrite)
    if problem:
        return _refused(console, problem)
    missing: list[str] = []
    with whole(target) as file:
        if kind == "zip":
            missing = write_zip(file, folder, records)
        elif kind == "csv":
            write_csv(file, records, mark=True)
        else:
            write_jsonl(file, records)
    if missing:
        some = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        console.tell(f"{count(len(missing), 'picture')} of rows not found in {folder}: {some}", Level.WARNING)
    pictures = len({name for record in records for name in record.files}) - len(missing)
    added = f" and {count(pictures, 'picture')}" if kind == "zip" else ""
    console.result(f"{count(len(records), 'row')}{added} written to {target}")
    return SOME if missing else DONE


def _print(records: list[Record], kind: str) -> None:
    """To standard output: as it is, but harmless in a terminal."""
    from io import BytesIO  # noqa: PLC0415 - as above

    from penstock_io.batch.exports import write_csv, write_jsonl  # noqa: PLC0415 - as above
    from penstock_io.words import harmless  # noqa: PLC0415 - as above

    write = write_csv if kind == "csv" else write_jsonl
    if sys.stdout.isatty():
        buffer = BytesIO()
        write(buffer, records)
        print(harmless(buffer.getvalue().decode()), end="", flush=True)
    else:
        write(sys.stdout.buffer, records)
        sys.stdout.buffer.flush()


def _problem(folder: Path, target: Path, *, overwrite: bool) -> str:
    """Why `target` cannot be written; "" if it can."""
    place, root = target.resolve(), folder.resolve()
    if place.is_relative_to(root) and (place.parent != root or place.name.startswith(OURS)):
        return f"{target} belongs to the batch itself: choose another name"
    if target.is_dir():
        return f"{target} is a folder: name a file in it"
    if target.exists() and not overwrite:
        return f"{target} is there already: --overwrite replaces it"
    return ""


def _refused(console: Console, message: str) -> int:
    from penstock_io.batch.progress import Level  # noqa: PLC0415 - as above

    console.tell(message, Level.ERROR)
    return USAGE
