"""`penstock cost`: what folders and ledgers say was spent, what a month comes to, and whether a change pays."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from penstock_io.cli.parsing import Formatter, Parser, Subparsers, print_error

if TYPE_CHECKING:
    from fractions import Fraction

    from penstock_io.cli.console import Console
    from penstock_io.costing.outlook import Return
    from penstock_io.costing.sums import Books, Sums

DONE, USAGE = 0, 2
STDOUT = "-"

CHANGE = ("labour", "infrastructure", "one_off")
"""Options that only mean something with a volume."""

EPILOG = """\
Without --repair it changes nothing and may be asked at any time, also while a run is on. Days are those of UTC. A
folder or ledger that is named twice counts once, and so does an attempt that stands in a folder and in a ledger. What
nobody knows is not guessed: the sums are then at least so much.

a month: what was spent in the last 30 days, divided by the days since the first of them with spending, times 30; none
before 7 days have passed, 3 of them with spending.

return on a change: monthly saving = volume x (labour - cost of a picture) - infrastructure; payback = one-off / monthly
saving; yearly return = (12 x monthly saving - one-off) / one-off. The cost of a picture is what the books say.

--since 2026-11-01 leaves out what was before that day; the day of a payment is the one on which it was reserved.

--csv has a line for each source, day, provider, model, size, quality, credential, tenant and tags. Texts that a
spreadsheet would run as a formula get a ' before them.

  penstock cost pictures ledger.sqlite
  penstock cost pictures --since 2026-11-01 --csv costs.csv
  penstock cost ledger.sqlite pictures more-pictures --repair
  penstock cost pictures --volume 2000 --labour 0.80 --infrastructure 50 --one-off 3000

exit codes: 0 it was said; 2 usage, or there is no such folder or ledger, or the table cannot be written
"""


def _amount(most: int, what: str) -> Callable[[str], Fraction]:
    def parse(text: str) -> Fraction:
        from decimal import Decimal, InvalidOperation  # noqa: PLC0415 - the start is fast until one is given
        from fractions import Fraction  # noqa: PLC0415 - as above

        try:
            amount = Decimal(text.removeprefix("$"))
        except InvalidOperation:
            amount = Decimal(-1)
        tiny = amount.is_finite() and amount != 0 and amount.adjusted() < -12  # a denominator that no memory holds
        if tiny or not (amount.is_finite() and 0 <= amount < most):
            raise argparse.ArgumentTypeError(f"{text[:80]!r} is not {what}")
        return Fraction(amount)

    return parse


_DOLLARS = _amount(10**9, "an amount of dollars, such as 5 or 0.50")
_PICTURES = _amount(10**9, "a number of pictures, such as 2000")


def _day(text: str) -> str:
    from datetime import date  # noqa: PLC0415 - the start is fast until one is given

    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text[:80]!r} is not a day, such as 2026-11-01") from None


def add_parser(subparsers: Subparsers[Parser]) -> None:
    """Add `cost` to a command line; `args.run(args)` then runs it."""
    parser = subparsers.add_parser(
        "cost",
        usage="penstock cost DIR_OR_LEDGER ... [options]",
        description="What was spent, by provider, model, size, quality, day, tenant, tag and credential; what failed,\n"
        "what was saved.",
        epilog=EPILOG,
        formatter_class=Formatter,
    )
    add = parser.add_argument
    parser.many, parser.made = "paths", Path
    add("paths", nargs="*", type=Path, metavar="DIR_OR_LEDGER", help="folders of batches, and ledgers")
    add("--since", type=_day, metavar="DATE", help="only what was from this day (UTC) on, such as 2026-11-01")
    change = parser.add_argument_group("return on a change").add_argument
    change("--volume", type=_PICTURES, metavar="N", help="pictures a month")
    change("--labour", type=_DOLLARS, metavar="USD", help="dollars a picture, made by hand")
    change("--infrastructure", type=_DOLLARS, metavar="USD", help="dollars a month for the change (default: 0)")
    change("--one-off", type=_DOLLARS, metavar="USD", help="dollars once, at the beginning (default: 0)")
    add(
        "--repair",
        action="store_true",
        help="rebuild one damaged ledger from what can be read and from the folders named with it, and end",
    )
    shown = parser.add_argument_group("what is shown").add_argument
    shown("--json", action="store_true", help="print one JSON object")
    shown("--csv", metavar="FILE", help="write a table; -: to standard output, and nothing else")
    shown("--overwrite", action="store_true", help="replace FILE where there is one")
    parser.flags = [
        "--since", "--volume", "--labour", "--infrastructure", "--one-off", "--repair", "--json", "--csv",
        "--overwrite", "--help",
    ]  # fmt: skip
    parser.set_defaults(run=partial(run, parser))


def run(parser: Parser, args: argparse.Namespace) -> int:
    """Say it; returns the exit code."""
    from penstock.errors import PenstockError  # noqa: PLC0415 - the start is fast until it is known what runs
    from penstock_io.batch.progress import Level  # noqa: PLC0415 - as above
    from penstock_io.cli.console import Console  # noqa: PLC0415 - as above
    from penstock_io.costing.reading import read_books  # noqa: PLC0415 - as above

    _check(parser, args)
    with Console(json=args.json) as console:
        try:
            if args.repair:
                return _repair(parser, args, console)
            books = read_books(args.paths, args.since or "")
            return _tell(books, args, console)
        except BrokenPipeError:
            raise
        except (PenstockError, OSError) as fault:
            console.tell(str(fault), Level.ERROR)
            if args.json:
                print_error("folder", str(fault))
            return USAGE


def _repair(parser: Parser, args: argparse.Namespace, console: Console) -> int:
    from penstock_io.cli.repairing import mend_ledger  # noqa: PLC0415 - as above

    paths: list[Path] = args.paths
    ledgers = [path for path in paths if not path.is_dir()]
    if len(ledgers) != 1:
        parser.error("--repair takes one ledger, and the folders of batches that were booked in it")
    return mend_ledger(ledgers[0], [path for path in paths if path.is_dir()], console, as_json=args.json)


def _check(parser: Parser, args: argparse.Namespace) -> None:
    """Refuse what does not go together."""
    from penstock_io.cli.tables import refusal  # noqa: PLC0415 - as above

    if not args.paths:
        parser.error("DIR_OR_LEDGER is missing: the folder of a batch, or a ledger")
    if args.volume is None and any(getattr(args, name) is not None for name in CHANGE):
        parser.error("--volume is missing: the return on a change needs the pictures of a month")
    if args.volume is not None and args.labour is None:
        parser.error("--labour is missing: what a picture costs that is made by hand")
    why = refusal(args.csv, as_json=args.json, overwrite=args.overwrite)
    if why:
        parser.error(why)


def _tell(books: Books, args: argparse.Namespace, console: Console) -> int:
    from penstock_io.costing.outlook import project  # noqa: PLC0415 - as above
    from penstock_io.costing.sums import total  # noqa: PLC0415 - as above
    from penstock_io.costing.telling import Report, as_lines, as_object  # noqa: PLC0415 - as above

    if args.csv is not None:
        _table(books, args.csv)
        if args.csv == STDOUT:
            return DONE
    report = Report(books, project(books.items, _today()), _back(total(books.items), args), args.since)
    if args.json:
        console.result(json.dumps(as_object(report), ensure_ascii=False, indent=2))
    else:
        console.result("\n".join(as_lines(report)))
    if args.volume is not None and report.back is None:
        console.tell("return on the change: the books have no picture, so nobody knows what one costs")
    return DONE


def _today() -> str:
    from datetime import UTC, datetime  # noqa: PLC0415 - as above

    return datetime.now(UTC).date().isoformat()


def _back(sums: Sums, args: argparse.Namespace) -> Return | None:
    """What the change brings; None where none was asked about, or no picture was ever bought."""
    from fractions import Fraction  # noqa: PLC0415 - as above

    from penstock_io.costing.outlook import PICODOLLARS, Change, returns  # noqa: PLC0415 - as above

    if args.volume is None or not sums.pictures:
        return None
    none = Fraction(0)
    change = Change(args.volume, args.labour, args.infrastructure or none, args.one_off or none)
    return returns(change, Fraction(sums.charged, sums.pictures * PICODOLLARS))


def _table(books: Books, to: str) -> None:
    """The table. Raises `OSError`."""
    from penstock_io.cli.tables import write_table  # noqa: PLC0415 - as above
    from penstock_io.costing.csvs import write_csv  # noqa: PLC0415 - as above
    from penstock_io.costing.sums import by_place  # noqa: PLC0415 - as above

    sums = by_place(books.items)
    write_table(to, lambda file, mark: write_csv(file, sums, mark=mark))
