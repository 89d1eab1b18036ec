"""What a folder says of its rows: results.jsonl in input order and summary.json, both made from the journal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from penstock.ids import Key
from penstock.outcomes import Outcome, Trouble
from penstock.readings import Usage
from penstock_io.batch.rows import Invalid, Json
from penstock_io.batch.states import NEW, RowState, Runs
from penstock_io.batch.verdict import DOUBT, Standing, facts_of_end, judged, see
from penstock_io.journal import Account, JobName, Tally
from penstock_io.resources import PICODOLLARS, tokens_told
from penstock_io.words import at_least, at_most, count, money, summed

if TYPE_CHECKING:
    from penstock_io.batch.keying import Keyed

DOUBTED = "it may have been executed and billed"
"""How the reason of a doubt begins; the engine's own words begin so, too."""

STATUSES: tuple[str, ...] = ("completed", "partial", "failed", "ambiguous", "invalid", "pending")


@frozen
class Line:
    """One row as the journal knows it. Money in picodollars; `cost` None is unknown. `missing` counts pictures."""

    id: str | None
    index: int
    status: str
    files: tuple[str, ...] = ()
    missing: int = 0
    model: str | None = None
    size: str | None = None
    quality: str | None = None
    usage: Usage | None = None
    cost: int | None = 0
    saved: int = 0
    attempts: int = 0
    cached: bool = False
    shared: bool = False
    reproducible: str = ""
    seconds: float | None = None
    revised: tuple[str | None, ...] = ()
    warnings: tuple[str, ...] = ()
    meta: Mapping[str, Json] = field(factory=dict[str, Json])
    error: Trouble | None = None


def line_of(keyed: Keyed, state: RowState, account: Account) -> Line:
    """What became of a row as it is asked for now, as the books say."""
    same = state.same(keyed.keys, keyed.request, keyed.sample)
    seen = see(keyed, state, account)
    found, files, doubtful = judged(seen.facts), seen.files, sorted(seen.doubts)
    tally = _tally(state, account)
    line = _asked(keyed, state if same else evolve(NEW, jobs=state.jobs))
    error, warnings = found.error, line.warnings
    if found.standing is Standing.DOUBTFUL:
        error = _doubt(account, doubtful, error)
    elif doubtful:
        warnings = (*warnings, f"an attempt at it may have been billed all the same ({_most(account, doubtful)})")
    keys = dict.fromkeys((*keyed.keys, *state.keys)) if same else dict.fromkeys(keyed.keys)
    return evolve(
        line,
        status=found.status,
        files=files,
        missing=line.missing - len(files),
        usage=tally.usage,
        cost=None if tally.unpriced else tally.charged,
        saved=_saved(state, account),
        attempts=tally.attempts,
        seconds=_seconds(line, [key for key in keys if key in seen.here], account),
        warnings=warnings,
        error=error,
    )


def line_of_end(
    keyed: Keyed,
    state: RowState,
    outcome: Outcome,
    files: Sequence[str],
    before: Account,
    *,
    attempts: int,
    doubtful: bool = False,
) -> Line:
    """What became of a row, as its outcome says at the moment when it ends; `files` are its pictures.

    `before` are the books before the run, to which `attempts` of this job are added; `doubtful` says that an attempt of
    before may have been billed. How long pictures took that were there already is in the books alone.
    """
    line = _asked(keyed, state)
    found = judged(facts_of_end(keyed, outcome, len(files), doubtful=doubtful))
    tally, used = _tally(state, before), outcome.usage
    unknown = tally.unpriced or outcome.charge is None
    return evolve(
        line,
        status=found.status,
        files=tuple(files),
        missing=line.missing - len(files),
        usage=used if tally.usage is None else tally.usage if used is None else tally.usage + used,
        cost=None if unknown else tally.charged + (outcome.charge or 0),
        saved=outcome.saved,
        attempts=tally.attempts + attempts,
        seconds=None if line.cached else line.seconds,
        error=_in_doubt(found.error) if found.standing is Standing.DOUBTFUL else found.error,
    )


def line_of_invalid(invalid: Invalid) -> Line:
    """A row that could not be used, with the first of its mistakes as `error`, whose `code` is the field."""
    first = invalid.mistakes[0] if invalid.mistakes else None
    said = "; ".join(str(mistake) for mistake in invalid.mistakes)
    trouble = Trouble("invalid", said or "it is no row", None, (first.field or None) if first is not None else None)
    return Line(invalid.id, invalid.index, "invalid", error=trouble)


def _asked(keyed: Keyed, state: RowState) -> Line:
    """What is known of a row whatever the books say: what it asks for, and how its last job went."""
    row, request = keyed.row, keyed.request
    return Line(
        row.id,
        row.index,
        "pending",
        missing=len(keyed.keys),
        model=request.model,
        size=request.size,
        quality=request.quality,
        cached=state.cached,
        shared=state.shared,
        reproducible=state.reproducible,
        seconds=state.seconds,
        revised=state.revised,
        warnings=state.warnings,
        meta=row.meta,
        error=state.error,
    )


def _tally(state: RowState, account: Account) -> Tally:
    """What all its jobs paid together."""
    tallies = [account.tallies[job] for job in state.jobs if job in account.tallies]
    used: Usage | None = None
    for tally in tallies:
        if tally.usage is not None:
            used = tally.usage if used is None else used + tally.usage
    return Tally(
        attempts=sum(tally.attempts for tally in tallies),
        charged=sum(tally.charged for tally in tallies),
        maybe=sum(tally.maybe for tally in tallies),
        unpriced=any(tally.unpriced for tally in tallies),
        usage=used,
    )


def _saved(state: RowState, account: Account) -> int:
    """What its pictures cost that another row, or another folder, paid for."""
    mine: frozenset[JobName] = frozenset(state.jobs)
    shown = {key for job in state.jobs for key in account.shown.get(job, {})}
    worth = dict(state.worth)
    others = (key for key in shown if mine.isdisjoint(account.payers.get(key, frozenset())))
    return max(sum(worth.get(key) or account.prices.get(key) or 0 for key in others), state.saved)


def _seconds(line: Line, keys: Sequence[Key], account: Account) -> float | None:
    """How long a row took; pictures that its last job did not make, or whose job's end a crash cut off, when bought."""
    if line.seconds is not None and not line.cached:
        return line.seconds
    took = [account.took[key] for key in keys if key in account.took]
    return round(max(took), 3) if took else None


def _doubt(account: Account, keys: Sequence[Key], told: Trouble | None) -> Trouble:
    """What is in doubt, why where that was told, and what all attempts at it may have cost together."""
    said = _in_doubt(told)
    return evolve(said, message=f"{said.message} ({_most(account, keys)}; see --on-ambiguous)")


def _in_doubt(told: Trouble | None) -> Trouble:
    """The error of a row in doubt; what its last job ended with otherwise is told as that."""
    if told is None:
        return Trouble(DOUBT, DOUBTED)
    if told.kind != DOUBT:
        return evolve(told, kind=DOUBT, cause=told.kind, message=f"{DOUBTED}; the last try since: {told.message}")
    why = told.message.removeprefix(DOUBTED).lstrip(": ")
    return evolve(told, message=f"{DOUBTED}{': ' if why else ''}{why}")


def _most(account: Account, keys: Sequence[Key]) -> str:
    """What all attempts at pictures in doubt may have cost together."""
    bounds = [account.risked.get(key, account.doubts[key]) for key in keys]
    return "an unknown amount" if None in bounds else f"at most ${usd(sum(bound or 0 for bound in bounds))}"


def usd(picodollars: int) -> str:
    """An amount in exact dollars, as a decimal text without exponent."""
    text = f"{Decimal(picodollars) / PICODOLLARS:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def told_end(line: Line) -> str:
    """How a row ended, in one line for a log: its status, attempts, seconds, cost and what went wrong."""
    cost = "an unknown amount" if line.cost is None else f"${usd(line.cost)}"
    seconds = "" if line.seconds is None else f", {line.seconds:.1f} s"
    why = "" if line.error is None else f": {line.error.message}"
    return f"{line.id}: {line.status}, {count(line.attempts, 'attempt')}{seconds}, {cost}{why}"


def result(line: Line) -> dict[str, object]:
    """A line of results.jsonl. `revised_prompt` is a list where the pictures of a row have different ones."""
    error = line.error
    return {
        "id": line.id,
        "index": line.index,
        "status": line.status,
        "files": list(line.files),
        "model": line.model,
        "size": line.size,
        "quality": line.quality,
        "usage": tokens_told(line.usage),
        "cost_usd": None if line.cost is None else usd(line.cost),
        "attempts": line.attempts,
        "cached": line.cached,
        "shared": line.shared,
        "reproducible": line.reproducible or None,
        "seconds": line.seconds,
        "revised_prompt": list(line.revised) if len(set(line.revised)) > 1 else next(iter(line.revised), None),
        "warnings": list(line.warnings),
        "meta": dict(line.meta),
        "error": None
        if error is None
        else {
            "kind": error.kind,
            "message": error.message,
            "status": error.status,
            "code": error.code,
            "request_id": error.request_id,
        },
    }


@frozen
class Summary:
    """The sums of a folder. Money in picodollars; `cost` None: a charge among it is unknown, `least` is what is known.

    `images` are files of rows, `made` pictures that were paid for in all runs, also those that others replaced since.
    `orphans` are attempts of killed runs: name, row ("" where none is known), its status and the bound (None: unknown).
    `run` is the number of the last run that is in the sums.
    """

    counts: Mapping[str, int]
    images: int
    made: int
    cost: int | None
    maybe: int
    saved: int
    attempts: int
    runs: Runs
    orphans: tuple[tuple[str, str, str, int | None], ...] = field(default=())
    least: int = 0
    run: int = 0

    @property
    def requested(self) -> int:
        """All rows."""
        return sum(self.counts.values())


def names_of(rows: Iterable[Keyed], states: Mapping[str, RowState]) -> dict[Key, str]:
    """The row of each picture: of those that want the same, the first of the input; of before, whichever asked for it.

    A row is known by what it asks for now, too: its memory may be what a repair has lost.
    """
    names: dict[Key, str] = {}
    before = {name: state.keys for name, state in states.items()}
    for keyed in rows:
        for key in (*keyed.keys, *before.pop(keyed.id, ())):
            names.setdefault(key, keyed.id)
    for name, keys in before.items():
        for key in keys:
            names.setdefault(key, name)
    return names


def summary_of(
    lines: Iterable[Line], account: Account, names: Mapping[Key, str], charged: int, maybe: int, runs: Runs
) -> Summary:
    """Add lines up; `charged` and `maybe` are the journal's own sums, picodollars, of what is known.

    `names` say whose a picture is.
    """
    counts: dict[str, int] = dict.fromkeys(STATUSES, 0)
    stands: dict[str | None, str] = {}
    images = saved = 0
    for line in lines:
        counts[line.status] += 1
        stands[line.id] = line.status
        images += len(line.files)
        saved += line.saved
    orphans = tuple(
        (f"{lost.run}-{lost.attempt}", name, stands.get(name, ""), lost.bound)
        for lost in account.orphans
        for name in (next((names[key] for key in lost.keys if key in names), ""),)
    )
    cost = None if any(tally.unpriced for tally in account.tallies.values()) else charged
    made = sum(1 for key, price in account.prices.items() if price is not None or key in account.payers)
    return Summary(
        counts, images, made, cost, maybe, saved, account.attempts - account.unsent, runs, orphans, least=charged
    )


def summary_json(summary: Summary) -> dict[str, object]:
    """summary.json. `orphans` are attempts of killed runs that may have been billed, each at most `bound_usd`."""
    runs = summary.runs
    minutes = runs.seconds / 60.0
    return {
        "requested": summary.requested,
        **summary.counts,
        "images": summary.images,
        "cost_usd": None if summary.cost is None else usd(summary.cost),
        "cost_at_least_usd": usd(summary.least),
        "maybe_billed_usd": usd(summary.maybe),
        "saved_usd": usd(summary.saved),
        "runs": summary.run,
        "attempts": summary.attempts,
        "http_429": runs.http_429,
        "http_5xx": runs.http_5xx,
        "seconds": round(runs.seconds, 3),
        "images_per_minute": round(summary.made / minutes, 3) if minutes > 0 else 0.0,
        "limit_utilisation": round(min(1.0, runs.made / runs.allowed), 4) if runs.allowed > 0 else None,
        "orphans": [
            {
                "attempt": attempt,
                "id": name,
                "bound_usd": None if bound is None else usd(bound),
                "advice": _advice(status, bound),
            }
            for attempt, name, status, bound in summary.orphans
        ],
    }


def _advice(status: str, bound: int | None) -> str:
    """What to do about an attempt that a killed run left out; its row has this status ("": it is not in the input)."""
    most = "an amount that nobody knows" if bound is None else f"${usd(bound)} at most"
    seen = f"{most}: the provider's own list of usage says whether it was billed"
    return f"{seen}; {_ADVICE.get(status, 'its row is tried again as --on-ambiguous says')}"


_ADVICE = {
    "": "its row is not in the input",
    "completed": "its row is complete all the same",
    "failed": "its row has failed since",
}


def closing(summary: Summary) -> str:
    """The sums of a folder in a few words."""
    counts = ", ".join(f"{number:,} {name}" for name, number in summary.counts.items() if number or name == "completed")
    unknown = summary.cost is None
    cost = "price unknown" if unknown and not summary.least else f"{summed(summary.least, unknown=unknown)} charged"
    maybe = f", {(at_least if unknown else at_most)(summary.maybe)} more perhaps" if summary.maybe else ""
    parts = [
        f"{count(summary.requested, 'row')}: {counts}",
        count(summary.images, "image"),
        f"{cost}{maybe}",
        count(summary.attempts, "attempt"),
    ]
    if summary.saved:
        parts.append(f"{money(summary.saved)} saved by sharing and stores")
    return "; ".join(parts)
