"""`penstock`: the command line. Only what a subcommand needs is imported, and only when it is the one that runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

USAGE, INTERRUPTED = 2, 130

COMMANDS = {
    "batch": "turn the rows of a file into pictures in a folder",
    "demo": "buy 24 pictures from a simulated provider, offline",
    "sim": "serve a simulated provider on loopback",
}

Subparsers = argparse._SubParsersAction  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  it has no public name


class Command(Protocol):
    """A subcommand's module."""

    def add_parser(self, subparsers: Subparsers[argparse.ArgumentParser]) -> None:
        """Add its parser; `args.run(args)` then runs it."""
        ...


class Run(Protocol):
    """A subcommand with its arguments parsed."""

    def __call__(self, args: argparse.Namespace) -> int:
        """Run it; returns the exit code."""
        ...


class Version(argparse.Action):
    """`--version`, looked up only when it is asked for."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        """Print it and leave."""
        from importlib.metadata import version  # noqa: PLC0415 - slower than all the rest of the start

        del namespace, values, option_string
        print(f"penstock {version('penstock')}")
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; returns its exit code. `argv` None: the process's own arguments."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    chosen = next((argument for argument in arguments if not argument.startswith("-")), "")
    try:
        args = _parser(chosen).parse_args(arguments)
    except SystemExit as end:
        return USAGE if end.code is None else int(end.code)
    run = cast("Run", args.run)
    try:
        return run(args)
    except KeyboardInterrupt:
        print("penstock: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has left, and hears no complaint about it either
        return 1


def _parser(chosen: str) -> argparse.ArgumentParser:
    """The parser; only the chosen subcommand's options are known."""
    parser = argparse.ArgumentParser(
        prog="penstock",
        description="Turn requests into pictures: as fast as limits allow, never above the budget, never paid twice.",
    )
    parser.add_argument("--version", action=Version, nargs=0, help="print the version and leave")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, summary in COMMANDS.items():
        if name == chosen:
            command: object = import_module(f"penstock_io.cli.{name}")
            cast("Command", command).add_parser(subparsers)
        else:
            subparsers.add_parser(name, help=summary)
    return parser


if __name__ == "__main__":
    sys.exit(main())
