"""How a folder stands, for whoever only looks: its rows by status, its money, and what comes next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path

from attrs import evolve, frozen

from penstock_io.batch.records import Record, read_records
from penstock_io.batch.results import STATUSES
from penstock_io.batch.states import FINAL, RUNS, RowState, Runs, load_runs, load_states
from penstock_io.batch.verdict import DOUBT, Need, judged, see_again
from penstock_io.journal import Peek, Ticket, peek
from penstock_io.words import count

SAME = "run the same command again"


@frozen
class FolderStanding:
    """A folder at one moment.

    `holder` names the process at work (None: nobody is). `counts` are rows by status, those that wait to be sent among
    them as pending; `out` rows are in flight, or were when a run was cut off: their requests are out, or their pictures
    are being saved. `whole` says that these are all rows of the input. Money is picodollars: `charged`, and `maybe`
    besides; `unpriced` says that a charge among it is unknown. `code` and `message` are how the last run ended (None:
    it is under way, or was cut off). `deferred` are jobs that were put off and not taken up again. `steps` say what may
    be done next.
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
    states = load_states(journal.rows)
    known = {record.id: record for record in records}
    asked: dict[str | None, bool] = {}
    if not over:
        asked, ended = _asked(journal, known, states), _ended(journal, known, states)
        records = [*(ended.pop(record.id, record) for record in records), *ended.values()]
    rest = [record for record in records if record.id not in asked]
    counts = Counter(_sent_again(record, journal.holder) or record.status for record in rest)
    out = sum(asked.values())
    waits = len(asked) - out
    # what was not asked for yet is nowhere on record, and a full disk takes no results
    more = 0 if runs.rows is None else max(0, runs.rows - len(rest) - len(asked))
    counts["pending"] += waits + more
    doubts, total = journal.account.doubts, journal.balances.total
    doubted = {name for name, state in states.items() if any(key in doubts for key in state.keys)}
    deferred = journal.account.deferred
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
        deferred=deferred,
        steps=tuple(steps(rest, journal.holder, runs, deferred, waits + more, doubted)),
    )


def _asked(journal: Peek, known: Mapping[str | None, Record], states: Mapping[str, RowState]) -> dict[str | None, bool]:
    """Rows that the last run has asked for and that have not ended in it, each with whether it is in flight."""
    account = journal.account
    return {
        name: all(key in account.prices for key in state.keys) or any(key in account.out for key in state.keys)
        for name, state in _in_last_run(journal, known, states)
        if not state.status
    }


def _ended(
    journal: Peek, known: Mapping[str | None, Record], states: Mapping[str, RowState]
) -> dict[str | None, Record]:
    """Rows that have ended in the last run without a line that says so, by the rule.

    They cost nothing, their pictures are being converted, or the lines of that run are gone, for all is written.
    """
    found: dict[str | None, Record] = {}
    for name, state in _in_last_run(journal, known, states):
        if state.status:
            seen = see_again(state, journal.account)
            verdict = judged(seen.facts)
            kind = "" if verdict.error is None else verdict.error.kind
            before = known.get(name, Record(name, 0, ""))
            found[name] = evolve(
                before, status=verdict.status, files=seen.files, raw={"error": {"kind": kind}}, fresh=True
            )
    return found


def _in_last_run(
    journal: Peek, known: Mapping[str | None, Record], states: Mapping[str, RowState]
) -> Iterator[tuple[str, RowState]]:
    """Rows whose last job is one of the last run, and that have no line of that run."""
    for name, state in states.items():
        if state.jobs and state.jobs[-1][0] == journal.run and not (name in known and known[name].fresh):
            yield name, state


def _sent_again(record: Record, holder: str | None) -> str:
    """What a row of before is while somebody is at work who sends it again: pending; "" where it stays what it is."""
    waits = holder is not None and not record.fresh and record.status in {"failed", "partial"}
    return "pending" if waits and need_of(record, doubted=False) is Need.NOTHING else ""


def _last(journal: Peek) -> Runs:
    """How the last run ended, as the journal says, or where it could not be written any more, its note."""
    runs = load_runs(journal.rows)
    if runs.code is not None or journal.holder is not None or not journal.note:
        return runs
    try:
        return load_runs({RUNS: journal.note})
    except (ValueError, TypeError):  # it was cut off
        return runs


def need_of(record: Record, *, doubted: bool) -> Need:
    """What sends a row again. `doubted`: an attempt at it may have been billed."""
    if record.kind in FINAL:
        return Need.BOTH if doubted else Need.FINAL
    return Need.DOUBT if DOUBT in {record.status, record.kind} else Need.NOTHING


_SAID = {
    Need.DOUBT: "may have been made and billed, and retry pays perhaps again",
    Need.FINAL: "failed for good",
    Need.BOTH: "failed for good, and may have been billed before",
}


def steps(
    records: Sequence[Record],
    holder: str | None,
    runs: Runs,
    deferred: tuple[Ticket, ...] = (),
    more: int = 0,
    doubted: Container[str | None] = (),
) -> list[str]:
    """What may be done next, the most urgent first. `runs` say how the last run ended, and what helps.

    So many `more` rows are pending that have no record; of `doubted` rows an attempt may have been billed.
    """
    if holder is not None:
        return ["wait: it is at work. Ctrl-C in its terminal ends it in good order, and the same command goes on later"]
    counts = Counter(record.status for record in records)
    left = [record for record in records if record.status in {"partial", "failed", DOUBT}]
    needs = Counter((need_of(one, doubted=one.id in doubted), one.status == "partial") for one in left)
    found = _to_go_on(runs, counts["pending"] + more)
    if partial := needs[Need.NOTHING, True]:
        found.append(f"{SAME}: {_are(partial)} partial")
    if failed := needs[Need.NOTHING, False]:
        found.append(f"{SAME}: {count(failed, 'row')} failed in a way that may pass")
    for need in (Need.FINAL, Need.BOTH, Need.DOUBT):
        if rows := needs[need, True] + needs[need, False]:
            found.append(f"{SAME} with {need.value}: {count(rows, 'row')} {_SAID[need]}")
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
