"""`--on-ambiguous ask`: what may have been made and billed is asked about once, at the end, all of it together.

Only somebody at a terminal can answer; without one the rows stay as they are, and how to send them is said.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import evolve

from penstock.work import OnAmbiguous
from penstock_io.batch.keying import Keyed
from penstock_io.batch.plan import make_plan
from penstock_io.batch.progress import Level
from penstock_io.batch.rows import Invalid
from penstock_io.batch.settings import Settings
from penstock_io.batch.states import NEW, load_states
from penstock_io.batch.stopping import AGAIN, Exit
from penstock_io.batch.survey import survey
from penstock_io.batch.verdict import doubts_of
from penstock_io.cli.console import Console
from penstock_io.journal import Journal, JournalError
from penstock_io.words import at_most, count

if TYPE_CHECKING:
    from penstock_io.batch.run import Ended


def doubtful(settings: Settings, ended: Ended) -> bool:
    """Whether a run ended in good order with rows to be asked about."""
    asks = settings.choices.on_ambiguous is OnAmbiguous.ASK and ended.code is Exit.SOME
    return asks and ended.summary is not None and ended.summary.counts.get("ambiguous", 0) > 0


def unasked(ended: Ended, console: Console) -> None:
    """Nobody can be asked: say what there is, and how it is sent."""
    rows = 0 if ended.summary is None else ended.summary.counts.get("ambiguous", 0)
    console.tell(f"{_said(rows)}: the same command with --on-ambiguous retry sends them again", Level.WARNING)


def ask_again(
    settings: Settings,
    keyed: Sequence[Keyed],
    invalid: Sequence[Invalid],
    journal: Journal,
    console: Console,
    ended: Ended,
) -> Ended:
    """Ask about all doubtful rows together and send them again after a yes; returns how it ended then.

    `journal` is the folder's, opened anew. Ctrl-C instead of an answer leaves them. Raises `JournalError`.
    """
    try:
        states, account = load_states(journal.rows()), journal.account()
    except (OSError, sqlite3.Error) as fault:
        raise JournalError(f"{journal.folder} cannot be read: {fault}") from fault
    plan = make_plan(keyed, states, account, evolve(settings.choices, on_ambiguous=OnAmbiguous.RETRY, limit=None))
    rows = [one for one in plan.send if doubts_of(one, states.get(one.id, NEW), account)]
    pictures = {key for one in rows for key in doubts_of(one, states.get(one.id, NEW), account)}
    if not rows:
        return ended
    plan = evolve(plan, send=tuple(rows), held_back=len(plan.send) - len(rows), doubtful=len(pictures), stale=())
    price = at_most(survey(plan, account, settings, free=None).bound)
    question = f"{_said(len(rows))}. To send them again, one attempt each, costs {price}. Send them again?"
    try:
        yes = console.ask(question)
    except KeyboardInterrupt:
        ended, yes = evolve(ended, code=Exit.INTERRUPTED, message=f"interrupted. {AGAIN}"), False
    if not yes:
        console.tell("they were left as they are; --on-ambiguous retry sends them again")
        return ended
    from penstock_io.batch.run import run_batch  # noqa: PLC0415 - as for a batch

    ended = run_batch(settings, plan, invalid, journal, console)  # what ends in doubt again is not tried once more
    if doubtful(settings, ended):
        unasked(ended, console)
    return ended


def _said(rows: int) -> str:
    return f"{count(rows, 'row')} may have been made and billed, and brought no picture"
