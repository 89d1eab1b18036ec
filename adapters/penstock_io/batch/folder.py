"""A folder made ready for a run: orphans told, what is superseded put aside, what is paid already published.

All of it comes after consent and before anything is sent, and may be cut off at any moment: each step is one commit of
the journal, and the next run goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Mapping, Sequence
from pathlib import PurePosixPath

from attrs import evolve, field, frozen

from penstock.entries import Published
from penstock.ids import JobId, Key, Ref
from penstock_io.batch.keying import Keyed
from penstock_io.batch.plan import Plan, standing
from penstock_io.batch.results import names_of, usd
from penstock_io.batch.sharing import Worth
from penstock_io.batch.states import NEW, RowState, dump_state, here_of
from penstock_io.batch.verdict import Standing
from penstock_io.journal import IMAGES, SUPERSEDED, Account, Journal, Orphan
from penstock_io.words import at_most, count

GROUP = 64
"""Rows whose pictures are published in one group."""

SHOWN = 3
"""So many orphans are told one by one."""


@frozen
class Prepared:
    """What is left to be sent, in input order. `published` rows needed no buying, `superseded` pictures were put aside.

    `orphans` are the attempts of killed runs that were found and booked; `account` are the books after all of it.
    """

    send: tuple[Keyed, ...]
    orphans: tuple[Orphan, ...] = ()
    published: int = 0
    superseded: int = 0
    account: Account = field(factory=Account, repr=False)


def prepare_folder(
    journal: Journal, plan: Plan, states: dict[str, RowState], tell: Callable[[str], object]
) -> Prepared:
    """Do what `plan` needs before anything is sent; `states` follow. Raises `OSError`, `sqlite3.Error`."""
    orphans = take_orphans(journal, lambda found: tell(told_orphans(found, plan.rows, states)))
    lost = give_up(journal, time.time(), plan.rebuy)
    if lost:
        what = "were paid and are lost: their URLs are of no use any more" if lost > 1 else "was paid and is lost"
        tell(f"{count(lost, 'picture')} {what}")
    account = journal.account()
    superseded = put_aside(journal, plan, states, account)
    if superseded:
        account = journal.account()
        tell(f"{count(superseded, 'picture')} of before moved to {SUPERSEDED}/")
    published = publish_paid(journal, plan.rows, states, account)
    if published:
        account = journal.account()
        tell(f"{count(published, 'row')} had been paid before: published now, at no cost")
    if plan.doubtful:
        tell(f"{count(plan.doubtful, 'picture')} that may have been paid: to be tried once more, as far as money goes")
    send = tuple(one for one in plan.send if not _is_done(one, states, account))
    keys = {key for one in send for key in one.keys}
    taken = sum(1 for ticket in account.deferred if not keys.isdisjoint(ticket.keys))
    if taken:
        tell(f"{count(taken, 'request')} that had been put off, taken up again")
    return Prepared(send, orphans, published, superseded, account)


def take_orphans(journal: Journal, tell: Callable[[Sequence[Orphan]], object]) -> tuple[Orphan, ...]:
    """Book the orphans of killed runs as maybe billed; what of them was durable is kept. Raises what the disk says.

    What is due is none of them: it is known to be charged.
    """
    found = tuple(orphan for orphan in journal.orphans() if not orphan.due)
    if found:
        tell(found)  # before they are booked: a second crash here has them told twice rather than never
    for orphan in found:
        journal.resolve(orphan.run, orphan.attempt)
    return found


def give_up(journal: Journal, now: float, rebuy: Container[Key]) -> int:
    """Book as lost what was due and has expired at `now` (Unix seconds), or is to be bought again; how many pictures.

    Raises what the disk says.
    """
    due = journal.due()
    kept = {(one.run, one.attempt) for one in due if one.expires > now}
    kept.difference_update({(one.run, one.attempt) for one in due if one.key in rebuy})
    known = [(orphan.run, orphan.attempt) for orphan in journal.orphans() if orphan.due]
    gone = [name for name in known if name not in kept]
    found = {key for run, attempt in gone for key in journal.resolve(run, attempt)}
    return sum(1 for one in due if (one.run, one.attempt) in gone and one.key not in found)


def put_aside(journal: Journal, plan: Plan, states: dict[str, RowState], account: Account) -> int:
    """Move pictures to `superseded/` that their rows do not ask for any more; returns how many.

    In the same step each row is remembered as asking for what it asks for now, so that no later run takes a picture of
    before for one of now. A row that is not sent in this run keeps its pictures and memory, and shows none of them.
    """
    sent = {one.id for one in plan.send}
    files: list[str] = []
    for one in plan.rows:
        state = states.get(one.id)
        if state is None:
            continue
        same = state.same(one.keys, one.request, one.sample)
        if one.id in sent or (not same and _is_done(one, states, account)):
            others = [file for key, file in here_of(state, account).items() if key not in one.keys]
            if others or state.keys != one.keys:
                files += others
                states[one.id] = _asking(one, state)
                journal.put_row(one.id, dump_state(states[one.id]))
        elif not same:
            states[one.id] = _asking(one, state)
    return len(journal.supersede(files))


def _asking(keyed: Keyed, state: RowState) -> RowState:
    return state.asking(keyed.keys, keyed.request, keyed.row.content, keyed.sample)


def _is_done(keyed: Keyed, states: Mapping[str, RowState], account: Account) -> bool:
    return standing(keyed, states.get(keyed.id, NEW), account) is Standing.DONE


def publish_paid(journal: Journal, rows: Sequence[Keyed], states: dict[str, RowState], account: Account) -> int:
    """Give pictures that are paid their names in rows that have none; returns how many rows. Raises `OSError`.

    They are held since a crash, were superseded by what the row does not ask for any more, or are those of other rows.
    """
    waiting = [one for one in rows if _is_paid(one, states.get(one.id, NEW), account)]
    journal.move_all(
        [
            (file, f"{IMAGES}/{stem}{PurePosixPath(file).suffix}")
            for one in waiting
            for stem, file in _put_aside_before(one, states.get(one.id, NEW), account)
        ]
    )
    ready = [(one, refs) for one in waiting if (refs := _refs(journal, one)) is not None]
    worth = Worth(states.values() if ready else ())
    for start in range(0, len(ready), GROUP):
        _publish(journal, ready[start : start + GROUP], states, worth)
    return len(ready)


def _is_paid(keyed: Keyed, state: RowState, account: Account) -> bool:
    """A row is to be shown all of its pictures, has none to buy, and none of before stands in their place."""
    return (
        all(key in account.prices for key in keyed.keys)
        and standing(keyed, state, account) is Standing.OPEN
        and all(key in keyed.keys for key in here_of(state, account))
    )


def _put_aside_before(keyed: Keyed, state: RowState, account: Account) -> list[tuple[str, str]]:
    """Pictures of a row that it asks for again, as they are called in `superseded/`, each after its name of now."""
    here = here_of(state, account)
    aside = {
        key: file
        for job in state.jobs
        for key, file in account.shown.get(job, {}).items()
        if file.startswith(f"{SUPERSEDED}/") and key not in here
    }
    return [(stem, aside[key]) for key, stem in zip(keyed.keys, keyed.stems, strict=True) if key in aside]


def _refs(journal: Journal, keyed: Keyed) -> tuple[Ref, ...] | None:
    found = [journal.look_up(key) for key in keyed.keys]
    refs = tuple(one[1] for one in found if one is not None)
    return refs if len(refs) == len(keyed.keys) else None


def _publish(
    journal: Journal, group: Sequence[tuple[Keyed, tuple[Ref, ...]]], states: dict[str, RowState], worth: Worth
) -> None:
    entries: list[Published] = []
    for keyed, refs in group:
        # jobs of a client count from 1 upwards: these are apart from them, and used once a run
        job = JobId(-1 - keyed.index)
        journal.name(job, dict(zip(keyed.keys, keyed.stems, strict=True)))
        state = states.get(keyed.id, NEW)
        sent = state.sent((journal.run, job), keyed.keys, keyed.request, keyed.row.content, keyed.sample)
        revised = tuple(journal.revised(key) for key in keyed.keys)
        states[keyed.id] = evolve(
            sent,
            status="cached",
            cached=True,
            revised=revised if any(revised) else (),
            worth=worth.of(keyed.keys),
            saved=sum(cost for _, cost in worth.of(keyed.keys)),
            reproducible=state.reproducible or (sent.seeded and "stored"),
        )
        journal.put_row(keyed.id, dump_state(states[keyed.id]))
        entries.append(Published(job, keyed.keys, refs, time.time()))
    faults = [written.fault for written in journal.append(entries) if written.fault is not None]
    if faults:
        raise OSError(faults[0])
    journal.release([ref for _, refs in group for ref in refs])


def told_orphans(orphans: Sequence[Orphan], rows: Sequence[Keyed], states: Mapping[str, RowState]) -> str:
    """What is said of orphans: how many, their bound together, and the first of them with their rows and bounds."""
    names = names_of(rows, states)
    quotes = [orphan.quote for orphan in orphans]
    most = "an unknown amount" if None in quotes else at_most(sum(quote or 0 for quote in quotes))
    cut_off = f"{count(len(orphans), 'attempt')} of a run that was cut off may have been executed and billed"
    lines = [f"{cut_off}, {most} in all:"]
    for orphan in orphans[:SHOWN]:
        name = next((names[key] for key in orphan.keys if key in names), "a row that is not known any more")
        bound = "an unknown amount" if orphan.quote is None else f"at most ${usd(orphan.quote)}"
        lines.append(f"  {name} (attempt {orphan.run}-{orphan.attempt}): {bound}")
    if len(orphans) > SHOWN:
        lines.append(f"  and {len(orphans) - SHOWN:,} more: summary.json has all of them")
    return "\n".join(lines)
