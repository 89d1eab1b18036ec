"""`penstock`: the command line. Only what a subcommand needs is imported, and only when it is the one that runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn, Protocol, cast

from penstock_io.cli.options import closest
from penstock_io.cli.parsing import Parser, Subparsers

USAGE, INTERRUPTED = 2, 130

TOLD = "Turn requests into pictures: as fast as limits allow, never above the budget, never paid twice."

GROUPS = {
    "make pictures": {
        "generate": "one picture or a few, from a prompt to a file",
        "edit": "one picture or a few, from other pictures and a prompt",
        "batch": "turn the rows of a file into pictures in a folder",
    },
    "know what it costs": {
        "quote": "what the rows of a file would cost, and what would be cheaper",
        "cost": "what was spent, by model, day and more, and what a month comes to",
    },
    "know what there is": {
        "models": "models with their dates, sizes, prices and what is unknown, and who speaks how",
        "limits": "what keys' limits turned out to be, who said so, and when",
    },
    "look at a batch": {
        "status": "say how a folder stands and what comes next",
        "export": "a batch as a table, or as a zip with its pictures",
    },
    "look at a store": {
        "cache": "what a store of pictures holds, and clearing it up",
    },
    "try it out, free of charge": {
        "demo": "buy 24 pictures from a simulated provider, offline",
        "sim": "serve a simulated provider on loopback",
    },
}
"""The commands with what they do, as the help shows them."""

COMMANDS = {name: summary for group in GROUPS.values() for name, summary in group.items()}

EXAMPLES = """\
  penstock demo
  penstock generate "a red fox in the snow" -o fox.png
  penstock edit "make the sky red" fox.png -o red-fox.png
  penstock batch prompts.txt --out pictures --dry-run
"""


class Command(Protocol):
    """A subcommand's module."""

    def add_parser(self, subparsers: Subparsers[Parser]) -> None:
        """Add its parser; `args.run(args)` then runs it."""
        ...


class Run(Protocol):
    """A subcommand with its arguments parsed."""

    def __call__(self, args: argparse.Namespace) -> int:
        """Run it; returns the exit code."""
        ...


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; returns its exit code. `argv` None: the process's own arguments."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        args = _parsed(arguments)
        return cast("Run", args.run)(args)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else USAGE
    except KeyboardInterrupt:
        print("penstock: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # whoever read our output has left, and hears no complaint about it either
        return 1


def _parsed(arguments: list[str]) -> argparse.Namespace:
    """The arguments of a command. Raises `SystemExit` once the help is printed, or what is wrong is said."""
    first = arguments[0] if arguments else ""
    if first in {"-h", "--help", "help"} and arguments[1:2] in ([], ["help"]):
        print(_help(), end="")
        raise SystemExit(0)
    if first == "help":
        return _parsed([*arguments[1:2], "--help"])
    if first == "--version":
        from importlib.metadata import version  # noqa: PLC0415 - slower than all the rest of the start

        print(f"penstock {version('penstock')}")
        raise SystemExit(0)
    if first not in COMMANDS:
        _unknown(first)
    parser = _parser(first)
    parser.json = "--json" in arguments
    return parser.whole(arguments[1:])


def _parser(name: str) -> Parser:
    """The parser of one command; the others are not even imported."""
    subparsers = Parser(prog="penstock").add_subparsers(parser_class=Parser)
    command: object = import_module(f"penstock_io.cli.{name}")
    cast("Command", command).add_parser(subparsers)
    parser = subparsers.choices[name]
    parser.allow_abbrev = False  # what is short for one option today may be short for two tomorrow
    return parser


def _unknown(word: str) -> NoReturn:
    near = closest(word, list(COMMANDS))
    if not word:
        told = "which command?"
    else:
        told = f"there is no {'option' if word.startswith('-') else 'command'} {word!r};"
        told += f" did you mean {near}?" if near else f" there are {', '.join(COMMANDS)}"
    print(f"usage: penstock COMMAND ...\npenstock: error: {told}\nsee penstock --help", file=sys.stderr)
    raise SystemExit(USAGE)


def _help() -> str:
    """What `penstock --help` prints."""
    lines = ["usage: penstock COMMAND ...", "", TOLD]
    for heading, commands in GROUPS.items():
        lines += ["", f"{heading}:", *(f"    {name:<10}{summary}" for name, summary in commands.items())]
    more = "`penstock COMMAND --help` says more of a command, `penstock --version` which version this is."
    return "\n".join([*lines, "", "for example:", EXAMPLES, more, ""])


if __name__ == "__main__":
    sys.exit(main())
