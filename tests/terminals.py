"""A terminal for tests: what a program writes to it, what a person sees in the end, and keys to press."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from threading import Thread
from typing import TextIO

import pytest
from attrs import field, mutable

pty = pytest.importorskip("pty", reason="this system has no pseudo-terminals")


@mutable
class Clock:
    """Seconds that pass when a test says so."""

    now: float = 100.0

    def __call__(self) -> float:
        """What it shows."""
        return self.now


@mutable
class Terminal:
    """A terminal: what is written to `stream` is read by a thread; what `type` types can be read from `keys`."""

    master: int
    stream: TextIO
    keys: TextIO
    _seen: list[bytes] = field(factory=list[bytes])
    _reader: Thread | None = None

    @classmethod
    def open(cls) -> Terminal:
        """A new one."""
        master, slave = pty.openpty()
        keys = os.fdopen(os.dup(slave), encoding="utf-8")
        terminal = cls(master, os.fdopen(slave, "w", encoding="utf-8"), keys)
        terminal._reader = Thread(target=terminal._read, daemon=True)
        terminal._reader.start()
        return terminal

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.master, text.encode())

    def raw(self) -> str:
        """All that was written; the terminal is gone afterwards."""
        if not self.stream.closed:
            self.stream.close()
            self.keys.close()
            assert self._reader is not None
            self._reader.join(120)
            os.close(self.master)
        return b"".join(self._seen).decode()

    def screen(self) -> list[str]:
        """The lines that a person sees in the end."""
        return played(self.raw())

    def _read(self) -> None:
        with suppress(OSError):  # Linux says so at the end
            while data := os.read(self.master, 65_536):
                self._seen.append(data)


def played(raw: str) -> list[str]:
    """What stands on a screen after these characters and codes; those that are not known fail the test."""
    lines, row, column = [""], 0, 0
    for code, text in re.findall(r"(\x1b\[[0-9;?]*[A-Za-z]|[\r\n])|([^\x1b\r\n]+)", raw):
        if text:
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
            column += len(text)
        elif code == "\r":
            column = 0
        elif code == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif code.endswith("A"):
            row -= int(code[2:-1])
        elif code == "\x1b[2K":
            lines[row] = ""
        else:
            assert code.endswith("m") or code in {"\x1b[?25l", "\x1b[?25h"}
    return [line.rstrip() for line in lines]
