"""A run of a batch from its plan to its results: what the command line calls.

Whatever the disk or the database says on the way ends the run as halted, in words; the same command goes on.
"""

from __future__ import annotations

import asyncio
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Container, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from threading import current_thread, main_thread

from attrs import evolve, frozen

from penstock.outcomes import Trouble
from penstock_io.batch import stopping
from penstock_io.batch.folder import prepare_folder, publish_paid
from penstock_io.batch.keying import Keyed
from penstock_io.batch.owing import fetch_owed
from penstock_io.batch.plan import Plan
from penstock_io.batch.progress import Listener
from penstock_io.batch.rereading import terminal
from penstock_io.batch.results import Line, Summary, line_of, line_of_invalid, names_of, summary_of
from penstock_io.batch.rows import Invalid
from penstock_io.batch.settings import Settings
from penstock_io.batch.source import Listed, Source
from penstock_io.batch.states import NEW, PASSING, RUNS, RowState, Runs, dump_runs, load_runs, load_states
from penstock_io.batch.stopping import AGAIN, Exit, Halt
from penstock_io.batch.verdict import facts_of, judged
from penstock_io.batch.watch import Watch
from penstock_io.batch.working import Batch
from penstock_io.batch.writing import write_results
from penstock_io.journal import Account, Journal
from penstock_io.words import count

__all__ = ["Ended", "Exit", "run_batch"]

NOBODY: Mapping[str | None, Trouble] = {}
"""No row waits for anything."""


@frozen
class Ended:
    """How it ended: the exit code, the sums (None: they cannot even be read), and one message ("": all is well).

    `remedy` is what helps before the same command is run again ("": nothing has to be done).
    """

    code: Exit
    summary: Summary | None = None
    message: str = ""
    remedy: str = ""


def run_batch(
    settings: Settings, plan: Plan, invalid: Sequence[Invalid], journal: Journal, listener: Listener
) -> Ended:
    """Do what a plan says in an open journal's folder, and write its results. `invalid` rows are only recorded.

    Ctrl-C, SIGTERM and SIGHUP end it in good order where it runs in the main thread; the third raises
    `KeyboardInterrupt`.
    """
    folder = settings.folder
    try:
        rows = journal.rows()
        states, runs = load_states(rows), load_runs(rows)
        fetch_owed(journal, settings.base_url, time.time(), listener.tell)
        prepared = prepare_folder(journal, plan, states, listener.tell)
        ends = unsent(plan, invalid, {keyed.id for keyed in prepared.send}, states, prepared.account)
        done = sum(ends.values())
        runs = evolve(runs, rows=len(plan.rows) + len(invalid), remedy="")
        watch = Watch(runs, time.monotonic(), settings.budget, done=done, ends=ends)
        batch = Batch(settings, journal, listener, states, watch, plan.used, prepared.account)
    except (OSError, sqlite3.Error) as fault:
        return Ended(Exit.HALTED, None, str(stopping.of_disk(fault, folder)))
    with signals(batch):
        work(batch, Listed(prepared.send, done) if prepared.send else None)
        return conclude(batch, journal, plan.rows, invalid, {keyed.id for keyed in prepared.send})


def unsent(
    plan: Plan, invalid: Sequence[Invalid], sent: Container[str], states: Mapping[str, RowState], account: Account
) -> Counter[str]:
    """How the rows stand that are not sent, by status, as far as they are not pending."""
    rest = [keyed for keyed in plan.rows if keyed.id not in sent]
    ends = Counter({"completed": len(rest)})
    if len(rest) > plan.done:
        ends = Counter(judged(facts_of(keyed, states.get(keyed.id, NEW), account)).status for keyed in rest)
    ends["invalid"] = len(invalid)
    del ends["pending"]
    return ends


def work(batch: Batch, source: Source | None) -> None:
    """Send what there is to be sent; what the disk says of it is the batch's halt."""
    try:
        if source is not None:
            asyncio.run(batch.work(source))
    except (OSError, sqlite3.Error) as fault:
        batch.broken(fault)
    finally:
        with suppress(OSError):  # what it says is in the journal
            batch.part.close()


def conclude(
    batch: Batch,
    journal: Journal,
    rows: Sequence[Keyed],
    invalid: Sequence[Invalid],
    sent: Iterable[str],
    *,
    whole: bool = True,
) -> Ended:
    """Write the results, from the journal. `sent` are the ids of rows that should have been sent.

    `whole` says that the input was read to its end.
    """
    settings, states = batch.settings, batch.states
    runs = batch.runs()
    batch.shaper.close()
    try:
        journal.flush()
    except (OSError, sqlite3.Error) as fault:
        batch.broken(fault)
    try:
        account = books(batch, journal, rows)
        total = journal.balances(ended=True).total
    except (OSError, sqlite3.Error) as fault:
        batch.broken(fault)
        return Ended(Exit.HALTED, None, str(batch.halt))
    lines = batch.shaper.finish(make_lines(rows, invalid, states, account), lambda: batch.interrupts > 0)
    batch.halt = batch.halt or batch.shaper.halt
    names = names_of(rows, states) if account.orphans else {}
    summary = evolve(summary_of(lines, account, names, total.charged, total.maybe, runs), run=journal.run)
    batch.settled(summary.counts, runs)
    prompts = {keyed.index: keyed for keyed in rows}
    try:
        write_results(
            settings.folder, lines, summary, lambda index: prompts[index].request.prompt if index in prompts else ""
        )
        batch.part.remove()
    except OSError as fault:
        batch.broken(fault)
    interrupted = batch.interrupts > 0
    room = settings.funds.raised(settings.budget)
    asked = frozenset(sent)
    waits = untried(lines, asked, states)
    end = judge(
        lines, asked, batch.halt, settings.base_url, interrupted=interrupted, whole=whole, room=room, waits=waits
    )
    batch.above(total.charged)
    keep(journal, evolve(runs, rows=len(lines), code=int(end.code), message=end.message, remedy=end.remedy), batch)
    return evolve(end, summary=summary)


def books(batch: Batch, journal: Journal, rows: Sequence[Keyed]) -> Account:
    """What the journal says in the end, once rows that ended before others paid for their pictures show these, too.

    Raises `sqlite3.Error`.
    """
    account = journal.account()
    try:
        return journal.account() if publish_paid(journal, rows, batch.states, account) else account
    except OSError as fault:  # the next run does it
        batch.broken(fault)
        return account


def keep(journal: Journal, runs: Runs, batch: Batch) -> None:
    """Remember the sums and how the run ended; a disk that takes nothing any more has been told of already.

    It has the block of a note still: whoever looks hears how the run ended.
    """
    try:
        journal.put_row(RUNS, dump_runs(runs))
        journal.flush()
    except (OSError, sqlite3.Error) as fault:
        batch.broken(fault)
        with suppress(OSError):
            journal.note(dump_runs(runs))


def make_lines(
    rows: Sequence[Keyed], invalid: Sequence[Invalid], states: Mapping[str, RowState], account: Account
) -> list[Line]:
    """All rows of the input as the books know them, in its order."""
    lines = [line_of(keyed, states.get(keyed.id, NEW), account) for keyed in rows]
    lines += map(line_of_invalid, invalid)
    lines.sort(key=lambda line: line.index)
    return lines


def untried(lines: Sequence[Line], sent: frozenset[str], states: Mapping[str, RowState]) -> dict[str | None, Trouble]:
    """Rows that were to be sent, have some pictures or are in doubt, and wait for something outside them: for what."""
    waits: dict[str | None, Trouble] = {}
    for line in lines:
        if line.status in {"ambiguous", "partial"} and line.id is not None and line.id in sent:
            error = states.get(line.id, NEW).error
            if error is not None and (error.kind in PASSING or error.cause == "budget"):
                waits[line.id] = error
    return waits


def judge(
    lines: Sequence[Line],
    sent: frozenset[str],
    halt: Halt | None,
    base_url: str,
    *,
    interrupted: bool,
    whole: bool,
    room: str = "raise --budget",
    waits: Mapping[str | None, Trouble] = NOBODY,
) -> Ended:
    """The exit code, the most severe that applies, and its message. `sent` are ids of rows that should have been.

    `room` is how a budget gets room again, `waits` which rows that are not pending wait for what all the same.
    """
    asked = [line for line in lines if line.id in sent]
    left = [evolve(line, error=waits.get(line.id, line.error)) for line in asked if _waits(line, waits)]
    others = [line for line in left if line.error is None or "budget" not in {line.error.kind, line.error.cause}]
    if halt is not None and halt.mild and whole and not left:
        halt = None
    if interrupted:
        why = halt if halt is not None and not halt.mild else None
        told = f"interrupted. {AGAIN}" + ("" if why is None else f" {why}")
        return Ended(Exit.INTERRUPTED, message=told, remedy="" if why is None else stopping.clause(why.remedy))
    if halt is None and others:
        halt = _unsent(others, base_url)
    if halt is not None:
        return Ended(Exit.HALTED, message=str(halt), remedy=stopping.clause(halt.remedy))
    if left:
        full = _full(left)
        return Ended(Exit.BUDGET, message=f"{full}: {room} and run the same command again.", remedy=room)
    failed = sum(1 for line in lines if line.status not in {"completed", "pending"})
    if failed:
        are = "is" if failed == 1 else "are"
        return Ended(Exit.SOME, message=f"{count(failed, 'row')} {are} not complete: results.jsonl says why.")
    return Ended(Exit.ALL)


def _waits(line: Line, waits: Mapping[str | None, Trouble]) -> bool:
    """Whether a row that was to be sent still is."""
    return line.status == "pending" or line.id in waits


def _full(left: Sequence[Line]) -> str:
    """What a budget has no room for."""
    doubtful = sum(1 for line in left if line.status == "ambiguous")
    others = [count(len(left) - doubtful, "row")] if len(left) > doubtful else []
    again = [f"to try {count(doubtful, 'ambiguous row')} again"] if doubtful else []
    return f"the budget has no room {' and '.join([*(f'for {rows}' for rows in others), *again])}"


def _unsent(lines: Sequence[Line], base_url: str) -> Halt:
    """Rows that were not sent although nothing halted the run."""
    rows = count(len(lines), "row")
    trouble = next((line.error for line in lines if line.error is not None), None)
    if trouble is None:
        return Halt(f"{rows} could not be sent", "see results.jsonl")
    return stopping.of_trouble(trouble, base_url, rows)


@contextmanager
def signals(batch: Batch) -> Generator[None]:
    """Let Ctrl-C, a request to end and a closed terminal interrupt the batch, not the interpreter.

    Only the main thread hears of them. What the process ignores (under nohup) it goes on ignoring. SIGHUP asks a batch
    whose settings are in a file to read it again, unless it comes because the terminal was closed.
    """
    if current_thread() is not main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    before = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}

    seen = terminal()

    def interrupted(number: int, frame: object) -> None:
        del frame
        asked = number == getattr(signal, "SIGHUP", None) and batch.settings.again is not None
        if asked and (terminal() or not seen):
            batch.hung_up()
        else:
            batch.signalled()

    for number in before:
        signal.signal(number, interrupted)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
