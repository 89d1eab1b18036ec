"""What is remembered of a row beside the journal's own entries: which jobs asked for it, and how the last one ended.

One JSON text a row, written before its job is submitted (so it is durable no later than the job's first intent) and
again at its end. Whatever a crash cuts off here is read from the entries: pictures, money, doubts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeAlias, TypedDict, cast

from attrs import evolve, frozen

from penstock.ids import JobId, Key
from penstock.outcomes import Outcome, Source, Status, Trouble
from penstock.requests import ImageRequest
from penstock_io.journal import JobName

RUNS = "/runs"
"""The name under which figures of all runs are kept; no row can be called so."""

PASSING = frozenset({
    "budget", "cancelled", "credential", "expired", "forbidden", "model_not_found", "no_lane", "quota_exhausted",
    "unrecorded",
})  # fmt: skip
"""Troubles of a row that was not sent for a reason outside it: it is still to be done."""

FINAL = frozenset({"invalid", "lost", "moderation", "moderation_output", "refused"})
"""Troubles of a row that another try would not mend."""

Asked: TypeAlias = tuple[str, str | None, str | None, int]
"""Model, size, quality and number of pictures, as the row's last job asked for them."""


@frozen
class RowState:
    """A row's memory. `jobs` are all that asked for it, in order; keys and `asked` are those of the last.

    `status` is how that ended ("" while it is out), with its `error`, `warnings` and `seconds`; `cached` and `shared`
    say where its pictures came from.
    """

    jobs: tuple[JobName, ...] = ()
    keys: tuple[Key, ...] = ()
    asked: Asked | None = None
    status: str = ""
    error: Trouble | None = None
    warnings: tuple[str, ...] = ()
    seconds: float | None = None
    cached: bool = False
    shared: bool = False
    content: str = ""

    @property
    def final(self) -> bool:
        """It failed, and would again."""
        return self.error is not None and self.error.kind in FINAL

    def sent(self, job: JobName, keys: tuple[Key, ...], request: ImageRequest, content: str = "") -> RowState:
        """Another job asks for the row."""
        asked = (request.model, request.size, request.quality, request.n)
        return RowState(jobs=(*self.jobs, job), keys=keys, asked=asked, content=content)

    def ended(self, outcome: Outcome, seconds: float) -> RowState:
        """Its job ended."""
        return evolve(
            self,
            status=outcome.status.value,
            error=outcome.error,
            warnings=outcome.warnings,
            seconds=round(seconds, 3),
            cached=outcome.status is Status.CACHED,
            shared=any(picture.source is Source.SHARED for picture in outcome.pictures),
        )


class _Kept(TypedDict, total=False):
    jobs: list[tuple[int, int]]
    keys: list[str]
    asked: tuple[str, str | None, str | None, int]
    status: str
    error: tuple[str, str, int | None, str | None]
    warnings: list[str]
    seconds: float | None
    cached: bool
    shared: bool
    content: str


def dump_state(state: RowState) -> str:
    """A state as JSON text; what a server said keeps its meaning, not its broken characters."""
    kept = _Kept(jobs=[(run, job) for run, job in state.jobs], keys=list(state.keys))
    if state.asked is not None:
        kept["asked"] = state.asked
    if state.status:
        kept["status"] = state.status
        kept["seconds"] = state.seconds
    if state.error is not None:
        error = state.error
        kept["error"] = (error.kind, error.message, error.status, error.code)
    if state.warnings:
        kept["warnings"] = list(state.warnings)
    if state.cached:
        kept["cached"] = True
    if state.shared:
        kept["shared"] = True
    if state.content:
        kept["content"] = state.content
    return json.dumps(kept, separators=(",", ":"))


def load_state(text: str) -> RowState:
    """The state in a text that `dump_state` made."""
    kept = cast("_Kept", json.loads(text))
    asked = kept.get("asked")
    error = kept.get("error")
    return RowState(
        jobs=tuple((run, JobId(job)) for run, job in kept.get("jobs", ())),
        keys=tuple(map(Key, kept.get("keys", ()))),
        asked=None if asked is None else (asked[0], asked[1], asked[2], asked[3]),
        status=kept.get("status", ""),
        error=None if error is None else Trouble(error[0], error[1], error[2], error[3]),
        warnings=tuple(kept.get("warnings", ())),
        seconds=kept.get("seconds"),
        cached=kept.get("cached", False),
        shared=kept.get("shared", False),
        content=kept.get("content", ""),
    )


@frozen
class Runs:
    """Figures over all runs of a folder: refusals by HTTP status and seconds at work."""

    http_429: int = 0
    http_5xx: int = 0
    seconds: float = 0.0


def dump_runs(runs: Runs) -> str:
    """Figures as JSON text."""
    return json.dumps({"http_429": runs.http_429, "http_5xx": runs.http_5xx, "seconds": round(runs.seconds, 3)})


def load_runs(rows: Mapping[str, str]) -> Runs:
    """Figures of the earlier runs among a journal's rows."""
    text = rows.get(RUNS)
    if text is None:
        return Runs()
    kept: dict[str, float] = json.loads(text)
    return Runs(int(kept["http_429"]), int(kept["http_5xx"]), kept["seconds"])
