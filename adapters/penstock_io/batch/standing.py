"""How a folder stands, for whoever only looks: its rows by status, its money, and what comes next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from penstock_io.batch.records import Record, read_records
from penstock_io.batch.results import STATUSES
from penstock_io.batch.states import FINAL, RUNS, Runs, load_runs, load_states
from penstock_io.journal import Peek, Ticket, peek
from penstock_io.words import count

SAME = "run the same command again"


@frozen
class FolderStanding:
    """A folder at one moment.

    `holder` names the process at work (None: nobody is). `counts` are rows by status as they were last recorded, `out`
    is how many were asked for and have no record yet; `whole` says that these are all rows of the input. Money is
    picodollars: `charged`, and `maybe` besides; `unpriced` says that a charge among it is unknown. `code` and `message`
    are how the last run ended (None: it is under way, or was cut off). `deferred` are jobs that were put off and not
    taken up again. `steps` say what may be done next.
    """

    holder: str | None
    counts: Mapping[str, int]
    out: int
    whole: bool
    images: int
    charged: int
    maybe: int
    unpriced: bool
    code: int | None
    message: str
    deferred: tuple[Ticket, ...]
    steps: tuple[str, ...]

    @property
    def total(self) -> int:
        """All rows that are known."""
        return sum(self.counts.values()) + self.out


def look(folder: Path) -> FolderStanding:
    """How a folder stands. Raises `JournalUnusable` and `OSError`."""
    journal = peek(folder)
    records = read_records(folder)
    runs = _last(journal)
    over = journal.holder is None and runs.code is not None
    known = {record.id for record in records}
    states = {} if over else load_states(journal.rows)
    out = sum(1 for name, state in states.items() if not state.status and name not in known)
    counts = Counter(record.status for record in records)
    # what was not asked for yet is nowhere on record, and a full disk takes no results
    more = 0 if runs.rows is None else max(0, runs.rows - len(records) - out)
    counts["pending"] += more
    total = journal.balances.total
    return FolderStanding(
        holder=journal.holder,
        counts={status: counts[status] for status in dict.fromkeys((*STATUSES, *counts))},
        out=out,
        whole=over or runs.rows is not None,
        images=sum(len(record.files) for record in records),
        charged=total.charged,
        maybe=total.maybe,
        unpriced=any(tally.unpriced for tally in journal.account.tallies.values()),
        code=None if journal.holder is not None else runs.code,
        message=runs.message,
        deferred=journal.account.deferred,
        steps=tuple(steps(records, journal.holder, runs, journal.account.deferred, more)),
    )


def _last(journal: Peek) -> Runs:
    """How the last run ended, as the journal says, or where it could not be written any more, its note."""
    runs = load_runs(journal.rows)
    if runs.code is not None or journal.holder is not None or not journal.note:
        return runs
    try:
        return load_runs({RUNS: journal.note})
    except (ValueError, TypeError):  # it was cut off
        return runs


def steps(
    records: list[Record], holder: str | None, runs: Runs, deferred: tuple[Ticket, ...] = (), more: int = 0
) -> list[str]:
    """What may be done next, the most urgent first. `runs` say how the last run ended, and what helps.

    So many `more` rows are pending that have no record.
    """
    if holder is not None:
        return ["wait: it is at work. Ctrl-C in its terminal ends it in good order, and the same command goes on later"]
    counts = Counter(record.status for record in records)
    final = sum(1 for record in records if record.status == "failed" and record.kind in FINAL)
    found = _to_go_on(runs, counts["pending"] + more)
    if counts["partial"]:
        found.append(f"{SAME}: {_are(counts['partial'])} partial")
    if counts["failed"] - final:
        found.append(f"{SAME}: {count(counts['failed'] - final, 'row')} failed in a way that may pass")
    if final:
        found.append(f"{SAME} with --retry-failed: {count(final, 'row')} failed for good")
    if counts["ambiguous"]:
        told = "may have been made and billed, and retry pays perhaps again"
        found.append(f"{SAME} with --on-ambiguous retry: {count(counts['ambiguous'], 'row')} {told}")
    if deferred:
        was = "was" if len(deferred) == 1 else "were"
        found.append(f"ask again, with the same command or program: {count(len(deferred), 'request')} {was} put off")
    if counts["invalid"]:
        found.append(f"mend the input and {SAME}: {_are(counts['invalid'])} invalid")
    return found or ["nothing: every row is done"]


def _to_go_on(runs: Runs, rows: int) -> list[str]:
    """How the last run is gone on with, if there is anything left of it; so many rows are pending."""
    if runs.code is None:
        return [f"{SAME}: the last run was cut off, it goes on where that stopped"]
    pending = f": {_are(rows)} pending" if rows else ""
    if runs.remedy:
        between = " and " if "," not in runs.remedy or runs.remedy.endswith(",") else ", and "
        return [f"{runs.remedy}{between}{SAME}{pending}"]
    return [f"{SAME}{pending}"] if rows else []


def _are(number: int) -> str:
    return f"{count(number, 'row')} {'is' if number == 1 else 'are'}"
