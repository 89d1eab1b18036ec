"""A batch from its options to its end: rows read, the folder looked at, figures shown, consent taken, and the run.

Nothing is created before somebody agreed: a folder without a journal is planned for as the empty one that it will be.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from penstock.errors import PenstockError
from penstock.ids import Key
from penstock_io.batch.inputs import Incoming, Kind, parse_rows, read_rows
from penstock_io.batch.keying import Keyed, key_rows
from penstock_io.batch.plan import make_plan
from penstock_io.batch.progress import Level
from penstock_io.batch.results import closing, summary_json
from penstock_io.batch.rows import Defaults, InputError, Invalid, Mistake, Rows
from penstock_io.batch.settings import Settings
from penstock_io.batch.sharing import stored
from penstock_io.batch.stopping import Exit
from penstock_io.batch.survey import Survey, survey
from penstock_io.batch.timing import known_of
from penstock_io.batch.writing import GALLERY, RESULTS
from penstock_io.cli import options
from penstock_io.cli.choosing import settings_of
from penstock_io.cli.config import OptionError, Values
from penstock_io.cli.connecting import OPENAI, model_of
from penstock_io.cli.consent import refusal
from penstock_io.cli.console import Console
from penstock_io.cli.doubting import ask_again, doubtful, unasked
from penstock_io.cli.folders import Books, agreed, books_of, free, holding, journalled, look, unwritable
from penstock_io.cli.funds import booked
from penstock_io.cli.showing import (
    Enough,
    default_told,
    enough,
    lines_of,
    planned,
    reasons_of,
    room_of,
    unsure_told,
    warn,
)
from penstock_io.journal import Account, JournalError
from penstock_io.stores import StoreFault
from penstock_io.words import count

if TYPE_CHECKING:
    from penstock_io.batch.run import Ended

STDIN = "standard input"

MANY = 10_000
"""Rows of which it is said that they are being checked: it may take a second."""


@frozen
class Task:
    """A batch as it was asked for. `given` None: rows come from standard input."""

    values: Values
    given: Path | None
    settings: Settings
    defaults: Defaults
    console: Console

    @property
    def dry(self) -> bool:
        """Whether it only says what it would do."""
        return self.values[options.DRY_RUN]

    @property
    def unnamed(self) -> str | None:
        """The model of rows that name none, where nobody else named it either."""
        return self.defaults.model if self.values.get(options.MODEL) is None else None

    def fail(self, kind: str, message: str, code: int = Exit.USAGE) -> int:
        """End without a result; returns the code."""
        return fail(self.console, kind, message, code, as_json=self.values[options.JSON])


def start(values: Values, given: Path | None, console: Console) -> int:
    """Do a batch, to its end; returns the exit code. Raises `OptionError`, `InputError`, `JournalError`."""
    task = _task(values, given, console)
    if given is None and not task.dry:
        return _stream(task)
    rows = _read(task)
    with ExitStack() as stack:
        folder, journal, books = task.settings.folder, None, Books()
        settings = stack.enter_context(_booking(task)) if _has_ledger(task) else task.settings
        if journalled(folder):
            if task.dry:
                books = look(folder)
            else:
                journal = stack.enter_context(holding(folder, console))
                books = books_of(journal)
        keyed, invalid = _keyed(task, rows, books)
        plan = make_plan(keyed, books.states, books.account, task.settings.choices, _stored(task, keyed, books))
        room, states = free(folder), books.states
        known = known_of(task.settings, books.account, states, books.runs, time.time())
        found = survey(plan, books.account, task.settings, free=room, invalid=invalid, states=states, known=known)
        warn(console, plan, invalid, task.settings)
        room_left = enough(plan, books, room_of(books, settings, time.time(), fresh=not _ledger_there(task)))
        lines = lines_of(plan, found, books, task.settings, task.unnamed, room_left)
        if task.dry:
            return _planned(task, lines, found, room_left, books.holder)
        console.tell("\n".join(lines))
        message = refusal(reasons_of(found, task.settings, books.unsure), console, yes=values[options.YES])
        if message is not None:
            return task.fail("consent", message)
        if journal is None:
            journal = stack.enter_context(holding(folder, console))
            if books_of(journal).states:
                return task.fail("folder", f"another run has begun in {folder} meanwhile: run the same command again")
        agreed(journal, books if found.send else Books())
        if settings.funds.ledger is None:
            settings = stack.enter_context(_booking(task))
        from penstock_io.batch.run import run_batch  # noqa: PLC0415 - what runs loads while its plan can be read

        ended = run_batch(settings, plan, invalid, journal, console)
    if doubtful(task.settings, ended):
        ended = _doubts(task, keyed, invalid, ended)
    return finish(ended, folder, console, as_json=values[options.JSON])


def _task(values: Values, given: Path | None, console: Console) -> Task:
    """The batch that the options say, in a folder where it can be done. Raises `OptionError`."""
    settings = settings_of(values, os.environ)
    if values.again is not None:
        settings = evolve(settings, again=partial(_again, values.again))
    task = Task(values, given, settings, defaults_of(values), console)
    wrong = unwritable(task.settings.folder)
    if wrong and not task.dry:
        raise values.wrong(options.OUT, wrong)
    if wrong:
        console.tell(wrong, Level.WARNING)
    return task


def _planned(task: Task, lines: Sequence[str], found: Survey, room: Enough | None, holder: str) -> int:
    """A dry run ends here."""
    if holder:
        lines = [*lines, f"{holder} is at work in {task.settings.folder}: this is how it stands now"]
    return planned(lines, found, room, task.console, as_json=task.values[options.JSON])


def _doubts(task: Task, keyed: Sequence[Keyed], invalid: Sequence[Invalid], ended: Ended) -> Ended:
    """What may have been made and billed is asked about at the end, if somebody is there to be asked."""
    console = task.console
    if not console.interactive:
        unasked(ended, console)
        return ended
    from penstock_io.ledger import LedgerError  # noqa: PLC0415 - only who books in one waits for it

    try:  # another run of the folder, with jobs of its own
        with holding(task.settings.folder, console) as journal, _booking(task) as settings:
            return ask_again(settings, keyed, invalid, journal, console, ended)
    except (JournalError, LedgerError) as error:  # the run is over all the same, and its results stand
        console.tell(str(error), Level.WARNING)
        unasked(ended, console)
        return ended


def _stream(task: Task) -> int:
    """Rows are sent as they come; nobody is asked, because the answer would be taken for a row."""
    console, folder, values = task.console, task.settings.folder, task.values
    if sys.stdin is None or sys.stdin.closed:  # pyright: ignore[reportUnnecessaryComparison]  a service may have none
        raise OptionError("-: there is no standard input to read rows from")
    incoming = Incoming(STDIN, task.defaults, values.get(options.KEEP) or ())
    with holding(folder, console) as journal, _booking(task) as settings:
        if task.unnamed is not None:
            console.tell(default_told(task.unnamed))
        console.tell(f"rows are read from {STDIN}, JSON objects a line, each sent as it comes")
        yes, books = values[options.YES], books_of(journal)
        if books.unsure and not yes:
            return task.fail("consent", f"{unsure_told(books.unsure, 'rows')}; nothing was sent: go on with --yes")
        agreed(journal, books)
        from penstock_io.batch.stream import run_stream  # noqa: PLC0415 - as above

        ended = run_stream(settings, sys.stdin.buffer, incoming, journal, console, name=STDIN, regenerate=yes)
    if doubtful(task.settings, ended):
        unasked(ended, console)
    return finish(ended, folder, console, as_json=values[options.JSON])


# From options


def _again(resolve: Callable[[], Values]) -> Settings | str:
    """The settings as their file says now, or what is wrong with it."""
    try:
        return settings_of(resolve(), os.environ)
    except (OptionError, PenstockError) as error:
        return str(error)


def defaults_of(values: Values) -> Defaults:
    """What rows get that do not say it themselves. Another provider's models are nobody's default."""
    given = values.get(options.MODEL)
    vendors = values[options.PROVIDER] == OPENAI and values.get(options.DIALECT) in (None, OPENAI)
    model = model_of(values) if given is not None or vendors else None
    return Defaults(
        model,
        values.get(options.SIZE),
        values.get(options.QUALITY),
        values.get(options.OUTPUT_FORMAT),
        values.get(options.N),
    )


# Rows and the folder


def _read(task: Task) -> Rows:
    """All rows, checked. Raises `InputError`."""
    keep, skip = task.values.get(options.KEEP) or (), task.values[options.SKIP_INVALID]
    if task.given is not None:
        rows = read_rows(task.given, task.defaults, keep=keep, skip_invalid=True)
        if rows.invalid and not skip:
            raise InputError(_mistakes(task, rows))
    else:  # a dry run has the time to read it whole, and bad rows would fail alone
        begun = time.perf_counter()
        data = sys.stdin.buffer.read()
        rows = parse_rows(data, STDIN, task.defaults, kind=Kind.JSONL, keep=keep, skip_invalid=True)
        rows = Rows(rows.file, rows.rows, rows.invalid, time.perf_counter() - begun)
    if len(rows.rows) >= MANY:
        task.console.tell(f"{count(len(rows.rows), 'row')} read in {_took(rows.seconds)}; checking them ...")
    return rows


def _took(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 0.05 else "less than 0.1 s"


def _mistakes(task: Task, rows: Rows) -> list[Mistake]:
    """All that is wrong with rows, also what models do not take: whoever mends them wants to hear of it once."""
    budget, choices = task.settings.bounded, task.settings.choices
    _, bad = key_rows(rows, choices, budget=budget, states={}, account=Account(), skip_invalid=True)
    return [mistake for one in bad for mistake in one.mistakes]


def _keyed(task: Task, rows: Rows, books: Books) -> tuple[list[Keyed], list[Invalid]]:
    """Rows with their keys, and the bad ones. Raises `InputError`."""
    skip = task.given is None or task.values[options.SKIP_INVALID]
    budget, choices = task.settings.bounded, task.settings.choices
    states, account, begun = books.states, books.account, time.perf_counter()
    keyed, invalid = key_rows(rows, choices, budget=budget, states=states, account=account, skip_invalid=skip)
    took = _took(rows.seconds + time.perf_counter() - begun)
    task.console.tell(f"{count(len(keyed) + len(invalid), 'row')} checked in {took}")
    return keyed, invalid


def _stored(task: Task, keyed: Sequence[Keyed], books: Books) -> frozenset[Key]:
    """Pictures that rows may take from the shared store; one that cannot be asked has none, and that is told."""
    missing = {key for one in keyed for key in one.keys if key not in books.account.prices}
    try:
        return stored(task.settings.cache, missing)
    except StoreFault as fault:
        task.console.tell(f"the plan counts no pictures of --cache: {fault}", Level.WARNING)
        return frozenset()


def _has_ledger(task: Task) -> bool:
    """Whether there is a ledger already: who holds it is known before anybody is asked. A dry run needs none."""
    return _ledger_there(task) and not task.dry


def _ledger_there(task: Task) -> bool:
    path = task.values.get(options.LEDGER)
    return path is not None and path.exists()


@contextmanager
def _booking(task: Task) -> Generator[Settings]:
    """The settings with the ledger open, if there is to be one. Raises `LedgerError`."""
    with booked(task.values, task.settings.funds, task.console) as funds:
        yield evolve(task.settings, funds=funds)


# The end


def finish(ended: Ended, folder: Path, console: Console, *, as_json: bool) -> int:
    """Say how a run ended; returns its exit code."""
    code = int(ended.code)
    if ended.summary is None:
        kind = "input" if ended.code is Exit.USAGE else "halted"
        return fail(console, kind, ended.message, code, as_json=as_json)
    if as_json:
        sums = {**summary_json(ended.summary), "exit_code": code, "message": ended.message}
        console.result(json.dumps(sums, ensure_ascii=False))
    else:
        there = next((name for name in (GALLERY, RESULTS) if (folder / name).is_file()), "")
        console.result(closing(ended.summary) + (f"; see {folder / there}" if there else ""))
    if ended.message:
        console.tell(ended.message, Level.ERROR if ended.code in {Exit.BUDGET, Exit.HALTED} else Level.WARNING)
    return code


def fail(console: Console, kind: str, message: str, code: int, *, as_json: bool) -> int:
    """End without a result; returns the code."""
    console.tell(message, Level.ERROR)
    if as_json:
        console.result(json.dumps({"error": {"kind": kind, "message": message}, "exit_code": code}))
    return code
