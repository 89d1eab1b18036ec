"""What a folder says of its rows: results.jsonl in input order and summary.json, both made from the journal."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path, PurePosixPath

from attrs import asdict, field, frozen

from penstock.ids import Key
from penstock.outcomes import Trouble
from penstock.readings import Usage
from penstock_io.batch.rows import Row, stems
from penstock_io.batch.states import PASSING, RowState, Runs
from penstock_io.journal import Account, JobName, Tally
from penstock_io.resources import PICODOLLARS

STATUSES: tuple[str, ...] = ("completed", "partial", "failed", "ambiguous", "pending")

NEW = RowState()
"""What is remembered of a row that no job has asked for."""


@frozen
class Line:
    """One row as the journal knows it. Money in picodollars; `cost` None is unknown. `missing` counts pictures."""

    id: str
    index: int
    status: str
    files: tuple[str, ...]
    missing: int
    model: str
    size: str | None
    quality: str | None
    usage: Usage | None
    cost: int | None
    saved: int
    attempts: int
    cached: bool
    shared: bool
    seconds: float | None
    warnings: tuple[str, ...] = ()
    error: Trouble | None = None


def line_of(row: Row, state: RowState, account: Account, keys: tuple[Key, ...] = ()) -> Line:
    """What became of `row`; `keys` are those that it would be asked for with now."""
    request = row.request
    model, size, quality, n = state.asked or (request.model, request.size, request.quality, request.n)
    files = _files(state, account)
    wanted = [files[stem] for stem in stems(row.id, n) if stem in files]
    tally = _tally(state, account)
    doubtful = [key for key in dict.fromkeys((*state.keys, *keys)) if key in account.doubts]
    error = state.error
    if len(wanted) == n:
        status, error = "completed", None
    elif wanted:
        status = "partial"
    elif doubtful:
        status = "ambiguous"
    elif error is not None and error.kind not in PASSING and state.status:
        status = "failed"
    else:
        status = "pending"
    if doubtful and (error is None or status == "ambiguous"):
        error = _doubt(account, doubtful, error)
    return Line(
        id=row.id,
        index=row.index,
        status=status,
        files=tuple(wanted),
        missing=n - len(wanted),
        model=model,
        size=size,
        quality=quality,
        usage=tally.usage,
        cost=None if tally.unpriced else tally.charged,
        saved=_saved(state, account),
        attempts=tally.attempts,
        cached=state.cached and not tally.attempts,
        shared=state.shared,
        seconds=state.seconds,
        warnings=state.warnings,
        error=error,
    )


def _files(state: RowState, account: Account) -> dict[str, str]:
    """The files that its jobs published, by name without extension; a later one stands in place of an earlier."""
    return {PurePosixPath(file).stem: file for job in state.jobs for file in account.shown.get(job, {}).values()}


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
    """What its pictures cost that another row paid for."""
    mine: frozenset[JobName] = frozenset(state.jobs)
    shown = {key for job in state.jobs for key in account.shown.get(job, {})}
    return sum(account.prices.get(key) or 0 for key in shown if mine.isdisjoint(account.payers.get(key, frozenset())))


def _doubt(account: Account, keys: Sequence[Key], told: Trouble | None) -> Trouble:
    bounds = [account.doubts[key] for key in keys]
    known = sum(bound or 0 for bound in bounds)
    most = "an unknown amount" if None in bounds else f"at most ${usd(known)}"
    said = f"it may have been executed and billed, {most}: see --on-ambiguous"
    if told is not None and told.kind == "ambiguous":
        return Trouble("ambiguous", f"{said} ({told.message})", told.status, told.code)
    return Trouble("ambiguous", said)


def usd(picodollars: int) -> str:
    """An amount in exact dollars, as a decimal text without exponent."""
    text = f"{Decimal(picodollars) / PICODOLLARS:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def result(line: Line) -> dict[str, object]:
    """A line of results.jsonl."""
    error = line.error
    return {
        "id": line.id,
        "index": line.index,
        "status": line.status,
        "files": list(line.files),
        "model": line.model,
        "size": line.size,
        "quality": line.quality,
        "usage": None if line.usage is None else asdict(line.usage),
        "cost_usd": None if line.cost is None else usd(line.cost),
        "attempts": line.attempts,
        "cached": line.cached,
        "shared": line.shared,
        "seconds": line.seconds,
        "warnings": list(line.warnings),
        "error": None
        if error is None
        else {"kind": error.kind, "message": error.message, "status": error.status, "code": error.code},
    }


@frozen
class Summary:
    """The sums of a folder. Money in picodollars; `cost` None: a charge among it is unknown."""

    counts: Mapping[str, int]
    images: int
    cost: int | None
    maybe: int
    saved: int
    attempts: int
    runs: Runs
    orphans: tuple[tuple[str, str, int | None], ...] = field(default=())

    @property
    def requested(self) -> int:
        """All rows."""
        return sum(self.counts.values())


def summary_of(
    lines: Iterable[Line], account: Account, states: Mapping[str, RowState], charged: int | None, maybe: int, runs: Runs
) -> Summary:
    """Add lines up; `charged` and `maybe` are the journal's own sums, picodollars."""
    counts: dict[str, int] = dict.fromkeys(STATUSES, 0)
    images = saved = 0
    for line in lines:
        counts[line.status] += 1
        images += len(line.files)
        saved += line.saved
    names = {key: name for name, state in states.items() for key in state.keys}
    orphans = tuple(
        (f"{lost.run}-{lost.attempt}", next((names[key] for key in lost.keys if key in names), ""), lost.bound)
        for lost in account.orphans
    )
    return Summary(counts, images, charged, maybe, saved, account.attempts, runs, orphans)


def summary_json(summary: Summary) -> dict[str, object]:
    """summary.json. `orphans` are attempts of killed runs that may have been billed, each at most `bound_usd`."""
    return {
        "requested": summary.requested,
        **summary.counts,
        "images": summary.images,
        "cost_usd": None if summary.cost is None else usd(summary.cost),
        "maybe_billed_usd": usd(summary.maybe),
        "saved_usd": usd(summary.saved),
        "attempts": summary.attempts,
        "http_429": summary.runs.http_429,
        "http_5xx": summary.runs.http_5xx,
        "seconds": round(summary.runs.seconds, 3),
        "orphans": [
            {"attempt": attempt, "id": name, "bound_usd": None if bound is None else usd(bound)}
            for attempt, name, bound in summary.orphans
        ],
    }


def write_results(folder: Path, lines: Sequence[Line], summary: Summary) -> None:
    """Write both files, each whole or not at all. Raises `OSError`."""
    text = "".join(json.dumps(result(line), ensure_ascii=False) + "\n" for line in lines)
    _replace(folder / "results.jsonl", text)
    _replace(folder / "summary.json", json.dumps(summary_json(summary), indent=2, ensure_ascii=False) + "\n")


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".tmp-{path.name}")
    with temporary.open("wb") as file:
        file.write(text.encode("utf-8", "replace"))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
