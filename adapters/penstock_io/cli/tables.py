"""Tables for spreadsheets: to a file that is there whole or not at all, or to standard output and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from penstock_io.batch.writing import whole
from penstock_io.words import harmless

STDOUT = "-"


def refusal(to: str | None, *, as_json: bool, overwrite: bool) -> str:
    """Why a table cannot be written to `to` (None: none is asked for), "" where it can."""
    if to is None:
        return ""
    if to == STDOUT:
        return "--csv - and --json both print on standard output: give --csv a file" if as_json else ""
    if Path(to).exists() and not overwrite:
        return f"--csv {to}: it is there already: --overwrite replaces it"
    return ""


def write_table(to: str, write: Callable[[BinaryIO, bool], object]) -> None:
    """Have `write` write a table, in a file with the mark by which spreadsheets know UTF-8. Raises `OSError`."""
    if to != STDOUT:
        with whole(Path(to)) as file:
            write(file, True)
    elif sys.stdout.isatty():
        buffer = BytesIO()
        write(buffer, False)
        print(harmless(buffer.getvalue().decode()), end="", flush=True)
    else:
        write(sys.stdout.buffer, False)
        sys.stdout.buffer.flush()
