"""What a person sees of a command: notes, progress, one question, one result; and the log of it all.

Notes and progress go to standard error, the one result to standard output. In a terminal that can, progress is a live
display that notes scroll above; everywhere else it is a line every few seconds, without terminal codes. Everything may
be called from any thread. A reader who leaves (a closed pipe, a terminal that hung up) stops nothing: what is paid for
goes on.
"""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from json import dumps
from math import inf
from pathlib import Path
from threading import RLock, current_thread, main_thread
from typing import Self, TextIO

from attrs import evolve

from penstock_io.batch.progress import Figures, Level
from penstock_io.cli.live import Display, display, sentence, wrapped
from penstock_io.words import harmless, harmless_json, struck

EVERY = 5.0
"""Seconds between two lines of progress."""

FRAME = 0.2
"""Seconds that a drawn display stays at least."""

WIDTH = 80
"""Cells of a terminal that does not say how many it has."""

_PREFIX = {Level.DETAIL: "", Level.NOTE: "", Level.WARNING: "warning: ", Level.ERROR: "penstock: error: "}


class Console:
    """Whoever shows a command to a person; a `Listener`. Use it as a context manager.

    `quiet` shows only errors and the result, `verbose` also details. `json` says that a program reads the result: it
    has to be JSON, and nothing is asked. `log_file` gets every line appended, whatever is shown, with UTC time and
    level. `secrets` are struck out of whatever is said. `stream` is standard error where none is given; `clock` gives
    seconds. Warnings and errors get their word ("penstock: error: ") here. Raises `ValueError` for a log file that
    cannot be written.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        verbose: bool = False,
        json: bool = False,
        log_file: Path | None = None,
        secrets: Sequence[str] = (),
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream: TextIO | None = sys.stderr if stream is None else stream
        self._least = Level.ERROR if quiet else Level.DETAIL if verbose else Level.NOTE
        self._quiet = quiet
        self._json = json
        self._secrets = tuple(dict.fromkeys([*secrets, *(dumps(one)[1:-1] for one in secrets)]))
        self._clock = clock
        self._turn = RLock()
        self._live = not quiet and _animated(self._stream)
        self._display: Display | None = None
        self._newest: Figures | None = None
        self._told: Figures | None = None
        self._next: float | None = None
        self._drawn = -inf
        self._over = False
        self._log = None if log_file is None else _open(log_file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def interactive(self) -> bool:
        """Whether somebody is there to answer a question: a terminal to ask in and one to answer from."""
        return not self._json and _terminal(sys.stdin) and _terminal(self._stream)

    def tell(self, text: str, level: Level = Level.NOTE) -> None:
        """Show a line, which may have several."""
        prefix = _PREFIX[level]
        said = self._fit_to_say(text)
        with self._turn:
            self._record(said, level.name)
            if level >= self._least:
                self._show(said if said.startswith(prefix) else prefix + said, level)

    def update(self, figures: Figures) -> None:
        """Show the newest figures."""
        with self._turn:
            if self._over:
                return
            turned = self._newest is not None and figures.stopping != self._newest.stopping
            self._newest = figures
            now = self._clock()
            if self._live and (turned or now >= self._drawn + FRAME):
                self._drawn = now
                self._draw(figures)
            if self._next is None:
                self._next = now + EVERY
            if now >= self._next:
                self._next = now + EVERY
                self._line()

    def ask(self, question: str) -> bool:
        """Ask for a yes; without anybody who could answer it is a no. Raises `KeyboardInterrupt` for Ctrl-C."""
        if not self.interactive:
            return False
        with self._turn:
            if self._display is not None and self._newest is not None:
                self._draw(evolve(self._newest, eta=None, waiting=""))
            self._pause()
            question = self._fit_to_say(question)
            self._write(f"{_wrapped(f'{question} [y/N]', self._stream)} ")
        answer = ""
        try:
            _await_line(sys.stdin)
            answer = sys.stdin.readline()
        finally:
            if not answer.endswith("\n"):
                self._write("\n")
        yes = answer.strip().lower() in {"y", "yes"}
        self._record(f"{question} {'yes' if yes else 'no'}", "QUESTION")
        return yes

    def result(self, text: str) -> None:
        """Print the one result on standard output, after the last progress. Raises `OSError` where nobody reads it."""
        said = self._fit_to_say(text, json=self._json)
        with self._turn:
            self._settle()
            self._record(said, "RESULT")
            shown = said if self._json else _wrapped(said, sys.stdout)
            print(_fit(shown, sys.stdout, json=self._json), flush=True)

    def close(self) -> None:
        """Show the last progress, leave the terminal as it was and close the log."""
        with self._turn:
            self._settle()
            if self._log is not None:
                self._log.close()  # every line of it is on the disk already
                self._log = None

    def _fit_to_say(self, text: str, *, json: bool = False) -> str:
        return struck((harmless_json if json else harmless)(text.rstrip("\n")), self._secrets)

    # Progress

    def _draw(self, figures: Figures) -> None:
        if self._display is None and self._stream is not None:
            self._display = display(self._stream)
            self._live = self._display is not None
        if self._display is not None:
            self._guarded(lambda shown: shown.draw(figures), self._display)

    def _line(self) -> None:
        """A line of progress, if there is progress."""
        if self._newest is None or _same(self._newest, self._told):
            return
        self._told = self._newest
        said = self._fit_to_say(sentence(self._newest))
        self._record(said, "PROGRESS")
        if not (self._quiet or self._live):
            self._write(said + "\n")

    def _pause(self) -> None:
        if self._display is not None:
            shown, self._display = self._display, None
            self._guarded(lambda last: last.stop(), shown)

    def _settle(self) -> None:
        """Say the last of the progress; there will be no more."""
        if self._over:
            return
        self._over = True
        if self._newest is not None and not _same(self._newest, self._told):
            self._newest = evolve(self._newest, eta=None, waiting="")
            self._line()
            if self._live:
                self._draw(self._newest)
        self._pause()

    # Writing: whoever does not read any more is written to no more

    def _show(self, text: str, level: Level) -> None:
        text = _wrapped(text, self._stream)
        if self._display is None:
            self._write(text + "\n")
        else:
            self._guarded(lambda shown: shown.say(_fit(text, self._stream), level), self._display)

    def _write(self, text: str) -> None:
        if self._stream is not None:
            try:
                self._stream.write(_fit(text, self._stream))
                self._stream.flush()
            except (OSError, ValueError):  # ValueError: it was closed
                self._stream = None

    def _guarded(self, act: Callable[[Display], None], shown: Display) -> None:
        try:
            act(shown)
        except (OSError, ValueError):
            self._stream = self._display = None
            self._live = False

    def _record(self, text: str, level: str) -> None:
        with self._turn:
            if self._log is None:
                return
            stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
            try:
                self._log.write("".join(f"{stamp} {level:8} {line}\n" for line in text.split("\n")))
                self._log.flush()
            except OSError as fault:
                log, self._log = self._log, None
                with suppress(OSError):  # it tries to write once more
                    log.close()
                why = fault.strerror or str(fault)
                self.tell(f"the log cannot be written any more ({why}); this goes on without", Level.WARNING)


def _same(new: Figures, old: Figures | None) -> bool:
    """Whether nothing moved but the clocks."""
    return old is not None and _still(new) == _still(old)


def _still(figures: Figures) -> Figures:
    return evolve(figures, pace=0.0, eta=None, seconds=0.0, waiting=re.sub(r"\d+", "", figures.waiting))


def _terminal(stream: TextIO | None) -> bool:
    """Whether a person is at its other end. Standard streams may be closed, or absent from the start."""
    return stream is not None and not stream.closed and stream.isatty()


def _wrapped(text: str, stream: TextIO | None) -> str:
    """The text as it is shown on a stream: on a terminal no line breaks within a word."""
    if stream is None or not _terminal(stream):
        return text
    try:
        columns = int(os.environ.get("COLUMNS", "")) if os.environ.get("COLUMNS", "").isdigit() else 0
        return wrapped(text, columns or os.get_terminal_size(stream.fileno()).columns or WIDTH)
    except (OSError, ValueError):  # ValueError: it has no number
        return wrapped(text, WIDTH)


def _animated(stream: TextIO | None) -> bool:
    return _terminal(stream) and os.environ.get("TERM", "").lower() not in {"dumb", "unknown"}


def _open(path: Path) -> TextIO:
    try:
        return path.open("a", encoding="utf-8", errors="backslashreplace")
    except OSError as fault:
        why = fault.strerror or str(fault)
        raise ValueError(
            f"--log-file {path}: it cannot be written ({why}): name a file in a folder that can"
        ) from fault


def _fit(text: str, stream: TextIO | None, *, json: bool = False) -> str:
    """The text with what the stream's encoding lacks spelled out."""
    encoding = (None if stream is None else stream.encoding) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        if json:  # what is not ASCII can only be inside a string
            return "".join(char if char.isascii() else dumps(char)[1:-1] for char in text)
        return text.encode(encoding, "backslashreplace").decode(encoding)
    return text


def _await_line(keys: TextIO) -> None:
    """Wait for a line at a terminal. A signal that comes in the moment before the wait ends it as one during it does.

    To a read that has not begun, Python would tell a Ctrl-C only once it is over.
    """
    if os.name != "posix" or current_thread() is not main_thread():
        return
    number = keys.fileno()
    heard, told = os.pipe()
    os.set_blocking(told, False)
    before = signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    try:
        while number not in select.select([number, heard], [], [])[0]:
            os.read(heard, 64)
    finally:
        signal.set_wakeup_fd(before)
        os.close(heard)
        os.close(told)
