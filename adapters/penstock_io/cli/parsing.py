"""Command lines: parsers that show the usage of their own command, and the way in that commands with options share."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NoReturn, TypeVar, cast

from penstock_io.cli.options import (
    API_KEY_ENV,
    GROUPS,
    JSON,
    LOG_FILE,
    QUIET,
    VERBOSE,
    AnyOption,
    Kind,
    Option,
    closest,
)

if TYPE_CHECKING:
    from penstock.errors import PenstockError
    from penstock_io.cli.config import OptionError, Values
    from penstock_io.cli.console import Console

T = TypeVar("T")

USAGE, INTERRUPTED = 2, 130

Subparsers = argparse._SubParsersAction  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  it has no public name
Group = argparse._ArgumentGroup  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  as above


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Help with room for the flags."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=32)


class Parser(argparse.ArgumentParser):
    """The parser of one command. `flags` are all its flags, `json` says that a program reads what it prints.

    `many` names the arguments of which there may be any number ("": there are none such), `made` makes one of a word.
    """

    flags: Sequence[str] = ()
    json = False
    many = ""
    made: Callable[[str], object] = str

    def whole(self, words: Sequence[str]) -> argparse.Namespace:
        """The arguments of a command line, wherever its options stand. Leaves with 2 for what it does not know."""
        args, rest = self.parse_known_args(words)
        # of words between options argparse takes the first run alone
        if self.many and not any(word.startswith("-") and word != "-" for word in rest):
            cast("list[object]", getattr(args, self.many)).extend([self.made(word) for word in rest])
        elif rest:
            self.refuse(rest)
        return args

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, below its usage, and leave with 2."""
        self.print_usage(sys.stderr)
        print(f"penstock: error: {message}", file=sys.stderr, flush=True)
        if self.json:
            print_error("usage", message)
        raise SystemExit(USAGE)

    def refuse(self, rest: Sequence[str]) -> NoReturn:
        """Say of arguments that it does not know what they may have been meant as."""
        flag = next((word.partition("=")[0] for word in rest if word.startswith("-") and word != "-"), "")
        if not flag:
            self.error(f"{rest[0]!r} is one argument too many; what has spaces in it is put in quotes")
        near = closest(flag, self.flags)
        self.error(f"there is no option {flag}; {f'did you mean {near}?' if near else f'see {self.prog} --help'}")


def run_with(
    parser: Parser,
    args: argparse.Namespace,
    options: Sequence[AnyOption],
    act: Callable[[Values, Console], int],
) -> int:
    """Have `act` do a command with its options resolved and a console; returns the exit code.

    What cannot be done is said, and to a program as one JSON object; the code is then 2, or 130 for Ctrl-C.
    """
    from penstock.errors import PenstockError  # noqa: PLC0415 - the start is fast until it is known what runs
    from penstock_io.batch.progress import Level  # noqa: PLC0415 - as above
    from penstock_io.cli.config import OptionError, resolve  # noqa: PLC0415 - as above
    from penstock_io.cli.console import Console  # noqa: PLC0415 - as above

    as_json = parser.json
    try:
        values = resolve(vars(args), options, os.environ)
        as_json = values[JSON]
        log = values.get(LOG_FILE)
        shown = partial(Console, quiet=values[QUIET], verbose=values[VERBOSE], json=as_json)
        console = shown(log_file=log, secrets=_secrets(values))
    except (OptionError, ValueError) as error:
        return complain("usage", str(error), as_json=as_json)
    with console:
        for warning in values.strays:
            console.tell(warning, Level.WARNING)
        try:
            return act(values, console)
        except (OptionError, PenstockError) as error:
            return refuse(error, console, as_json=as_json)
        except KeyboardInterrupt:
            return complain("interrupted", "interrupted", INTERRUPTED, as_json=as_json)


def _secrets(values: Values) -> tuple[str, ...]:
    """What the environment holds where keys are: it is to be said by no line, wherever else it was put."""
    from penstock_io.cli.connecting import BUILT_IN  # noqa: PLC0415 - the start is fast until it is known what runs

    named = list(values.get(API_KEY_ENV) or ())
    for provider in (*BUILT_IN.values(), *values.providers.values()):
        named += provider.api_key_env
    return tuple([key for name in dict.fromkeys(named) if (key := os.environ.get(name, "").strip())])


def refuse(error: OptionError | PenstockError, console: Console, *, as_json: bool) -> int:
    """End before anything was sent, because of what was given; returns the code."""
    from attrs import asdict  # noqa: PLC0415 - as above

    from penstock_io.batch.progress import Level  # noqa: PLC0415 - as above
    from penstock_io.batch.rows import InputError  # noqa: PLC0415 - as above
    from penstock_io.journal import JournalError  # noqa: PLC0415 - as above
    from penstock_io.ledger import LedgerError  # noqa: PLC0415 - as above

    kinds = ((InputError, "input"), (JournalError, "folder"), (LedgerError, "ledger"))
    kind = next((kind for of, kind in kinds if isinstance(error, of)), "usage")
    console.tell(str(error), Level.ERROR)
    if as_json:
        said: dict[str, object] = {"kind": kind, "message": str(error)}
        if isinstance(error, InputError):
            said["mistakes"] = [asdict(mistake) for mistake in error.mistakes]
        console.result(json.dumps({"error": said, "exit_code": USAGE}))
    return USAGE


def print_error(kind: str, message: str, code: int = USAGE) -> None:
    """The one JSON object of a command that could not be done, on standard output."""
    print(json.dumps({"error": {"kind": kind, "message": message}, "exit_code": code}), flush=True)


def complain(kind: str, message: str, code: int = USAGE, *, as_json: bool) -> int:
    """Say why a command cannot be done where there is no console to say it; returns the code."""
    print(f"penstock: {'' if kind == 'interrupted' else 'error: '}{message}", file=sys.stderr, flush=True)
    if as_json:
        print_error(kind, message, code)
    return code


def add_options(parser: argparse.ArgumentParser, options: Sequence[AnyOption]) -> None:
    """Add a table of options, under their headings. What is not given does not occur in the parsed arguments."""
    for heading in GROUPS:
        mine = [option for option in options if option.group == heading]
        if mine:
            group = parser.add_argument_group(heading)
            for option in mine:
                _add(group, option)
    if isinstance(parser, Parser):
        parser.flags = [*(option.flag for option in options), "--help"]


def _add(group: Group, option: AnyOption) -> None:
    flags = [f"-{option.short}"] if option.short else []
    flags.append(option.flag)
    if option.kind is Kind.SWITCH:
        group.add_argument(*flags, dest=option.key, action="store_true", default=argparse.SUPPRESS, help=option.help)
        if not (option.once or option.bare):  # takes back what the environment or a file says
            off = f"--no-{option.name}"
            group.add_argument(
                off, dest=option.key, action="store_false", default=argparse.SUPPRESS, help=argparse.SUPPRESS
            )
        return
    group.add_argument(
        *flags,
        dest=option.key,
        action="append" if option.kind is Kind.LIST else "store",
        type=_typed(option),
        default=argparse.SUPPRESS,
        metavar=option.metavar,
        help=option.help,
    )


def _typed(option: Option[T]) -> Callable[[str], T]:
    """Its `parse`, with what it raises said by argparse."""

    def parse(text: str) -> T:
        try:
            return option.parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse
