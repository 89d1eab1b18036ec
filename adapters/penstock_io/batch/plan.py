"""What a run still has to do: rows prepared and checked, orphans told, held pictures published, doubts decided.

Everything here happens before anything is sent, so that a mistake in row 4,999 costs nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from attrs import frozen

from penstock.config import Ambiguity, Config
from penstock.entries import Published
from penstock.ids import Handle, JobId, Key, Ref
from penstock.prepare import prepare
from penstock.requests import Options, Refusal
from penstock.work import OnAmbiguous
from penstock_io._setup import PROVIDER
from penstock_io.batch.results import NEW, Line, line_of, usd
from penstock_io.batch.rows import InputError, Mistake, Row, stems
from penstock_io.batch.states import RowState, dump_state, load_state
from penstock_io.journal import Account, Journal, Orphan

AUTO = Ambiguity()
"""How many doubtful pictures `auto` tries once more: what a client takes, a few or a share of all attempts."""

GROUP = 64
"""Rows whose held pictures are published in one group."""


@frozen
class Keyed:
    """A row with the keys that it would be asked for with now."""

    row: Row
    keys: tuple[Key, ...]


@frozen
class Plan:
    """What is to be sent, in input order; `retried` of them may have been paid already, `published` needed no buying.

    `orphans` are the attempts of killed runs that were found and booked.
    """

    send: tuple[Keyed, ...]
    retried: int
    published: int
    orphans: tuple[Orphan, ...]


def check_rows(rows: Sequence[Row], name: str, *, budget: bool) -> list[Keyed]:
    """All rows with their keys. Raises `InputError` for what a model does not take, or has no price under a budget."""
    mistakes: list[Mistake] = []
    keyed: list[Keyed] = []
    config, unix = Config(), time.time()
    for row in rows:
        made = prepare(row.request, Options(), config, handle=Handle(0), unix=unix, provider=PROVIDER)
        if isinstance(made, Refusal):
            mistakes.append(Mistake(name, row.line, made.field, made.message.removeprefix(f"{made.field} ")))
            continue
        target = made.work.targets[0]
        if budget and target.quote is None:
            unpriced = f"the price of {target.model} is not known, so no budget can bound it: leave --budget out"
            mistakes.append(Mistake(name, row.line, "model", unpriced))
        keyed.append(Keyed(row, target.keys))
    if mistakes:
        raise InputError(mistakes)
    return keyed


def load_states(journal: Journal) -> dict[str, RowState]:
    """What is remembered of each row. Raises `sqlite3.Error`."""
    return {name: load_state(text) for name, text in journal.rows().items() if not name.startswith("/")}


def take_orphans(journal: Journal, tell: Callable[[Sequence[Orphan]], object]) -> tuple[Orphan, ...]:
    """Book the orphans of killed runs as maybe billed; what of them was durable is kept. Raises what the disk says."""
    found = tuple(journal.orphans())
    if found:
        tell(found)  # before they are booked: a second crash here has them told twice rather than never
    for orphan in found:
        journal.resolve(orphan.run, orphan.attempt)
    return found


def publish_held(journal: Journal, rows: Sequence[Keyed], states: dict[str, RowState]) -> int:
    """Give paid pictures their names whose rows a crash kept from it; returns how many rows. Raises `OSError`."""
    account = journal.account()
    waiting = [
        (keyed.row, state, refs)
        for keyed in rows
        if (state := states.get(keyed.row.id)) is not None
        and line_of(keyed.row, state, account).missing
        and (refs := _held(journal, state, account)) is not None
    ]
    for start in range(0, len(waiting), GROUP):
        entries: list[Published] = []
        for row, state, refs in waiting[start : start + GROUP]:
            # jobs of a client count from 1 upwards: these are apart from them, and used once a run
            job = JobId(-1 - row.index)
            journal.name(job, dict(zip(state.keys, stems(row.id, len(state.keys)), strict=True)))
            again = RowState(
                jobs=(*state.jobs, (journal.run, job)), keys=state.keys, asked=state.asked, content=state.content
            )
            states[row.id] = again
            journal.put_row(row.id, dump_state(again))
            entries.append(Published(job, state.keys, refs, time.time()))
        faults = [written.fault for written in journal.append(entries) if written.fault is not None]
        if faults:
            raise OSError(faults[0])
        journal.release([ref for _, _, refs in waiting[start : start + GROUP] for ref in refs])
    return len(waiting)


def _held(journal: Journal, state: RowState, account: Account) -> tuple[Ref, ...] | None:
    if not state.keys or not all(key in account.prices for key in state.keys):
        return None
    found = [journal.look_up(key) for key in state.keys]
    refs = tuple(ref for one in found if one is not None for ref in one[1:])
    return refs if len(refs) == len(state.keys) else None


def choose(
    rows: Sequence[Keyed], states: Mapping[str, RowState], account: Account, mode: OnAmbiguous
) -> tuple[tuple[Keyed, ...], int]:
    """The rows to be sent, and how many doubtful pictures are tried again with them.

    Rows that are complete, or failed in a way that another try would not mend, are done. Doubtful ones are sent as
    `mode` says; rows that want the same picture share its one more try.
    """
    open_rows = [keyed for keyed in rows if _is_open(keyed, states, account)]
    most = max(AUTO.floor, int(AUTO.share * (account.attempts + len(open_rows))))
    allowed: set[Key] = set()
    send: list[Keyed] = []
    for keyed in open_rows:
        state = states.get(keyed.row.id, NEW)
        doubtful = {key for key in (*state.keys, *keyed.keys) if key in account.doubts}
        more = doubtful - allowed
        if more and not _may(mode, len(allowed) + len(more), most):
            continue
        allowed |= more
        send.append(keyed)
    return tuple(send), len(allowed)


def _may(mode: OnAmbiguous, count: int, most: int) -> bool:
    match mode:
        case OnAmbiguous.RETRY:
            return True
        case OnAmbiguous.SKIP:
            return False
        case OnAmbiguous.AUTO:
            return count <= most


def _is_open(keyed: Keyed, states: Mapping[str, RowState], account: Account) -> bool:
    state = states.get(keyed.row.id)
    if state is None:
        return True
    line = line_of(keyed.row, state, account)
    return bool(line.missing) and not (state.final and state.keys == keyed.keys)


def make_lines(rows: Sequence[Keyed], states: Mapping[str, RowState], account: Account) -> list[Line]:
    """All rows as the journal knows them, in input order."""
    return [line_of(keyed.row, states.get(keyed.row.id, NEW), account, keyed.keys) for keyed in rows]


def prepare_run(
    journal: Journal,
    rows: Sequence[Keyed],
    states: dict[str, RowState],
    mode: OnAmbiguous,
    tell: Callable[[str], object],
) -> Plan:
    """Take stock of the folder. Raises `OSError`, `sqlite3.Error`."""
    for keyed in rows:  # an id that now names another content is another row: what it was is not shown for it
        if (state := states.get(keyed.row.id)) is not None and state.content not in ("", keyed.row.content):
            states[keyed.row.id] = NEW
    orphans = take_orphans(journal, lambda found: tell(told_orphans(found, rows, states)))
    published = publish_held(journal, rows, states)
    if published:
        tell(f"{published} rows had been paid before: their pictures are published now")
    send, retried = choose(rows, states, journal.account(), mode)
    if retried:
        tell(f"{retried} pictures that may have been paid are tried again")
    if len(send) < len(rows):
        tell(f"{len(rows) - len(send)} of {len(rows)} rows are done or left as they are; {len(send)} are to be sent")
    return Plan(send, retried, published, orphans)


def told_orphans(orphans: Sequence[Orphan], rows: Sequence[Keyed], states: Mapping[str, RowState]) -> str:
    """What is said of orphans: each with its row and its bound."""
    names: dict[Key, str] = {}
    for keyed in rows:
        for key in (*states.get(keyed.row.id, NEW).keys, *keyed.keys):
            names.setdefault(key, keyed.row.id)
    lines = [f"{len(orphans)} attempts of a run that was cut off may have been executed and billed:"]
    for orphan in orphans:
        name = next((names[key] for key in orphan.keys if key in names), "a row that is no longer in the input")
        bound = "an unknown amount" if orphan.quote is None else f"at most ${usd(orphan.quote)}"
        lines.append(f"  attempt {orphan.run}-{orphan.attempt} for {name}: {bound}")
    return "\n".join(lines)
