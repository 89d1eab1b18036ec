"""What is remembered of a row beside the journal's own entries: which jobs asked for it, and how the last one ended.

One JSON text a row, written before its job is submitted (so it is durable no later than the job's first intent) and
again at its end. Whatever a crash cuts off here is read from the entries: pictures, money, doubts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import TypeAlias, TypedDict, cast

from attrs import evolve, field, frozen

from penstock.ids import JobId, Key
from penstock.outcomes import Outcome, Source, Status, Trouble
from penstock.requests import NEUTRAL, PARAMETERS, ImageRequest, Scalar
from penstock_io.journal import SUPERSEDED, Account, JobName

ASIDE = "\n"
"""How names begin that are not those of rows: an id holds no control characters."""

RUNS = f"{ASIDE}runs"
"""The name under which figures of all runs are kept."""

PASSING = frozenset({
    "account", "budget", "cancelled", "credential", "expired", "forbidden", "model_not_found", "no_endpoint", "no_lane",
    "quota_exhausted", "unrecorded", "unsent",
})  # fmt: skip
"""Troubles of a row that was not sent for a reason outside it: it is still to be done."""

FINAL = frozenset({"invalid", "lost", "moderation", "moderation_output", "refused"})
"""Troubles of a row that another try would not mend."""

Asked: TypeAlias = Mapping[str, Scalar]
"""All fields of a request but its prompt that were not None; a pair of `extra` is called `extra.NAME`.

Images and a mask are there by their digests.
"""


def asked_of(request: ImageRequest) -> dict[str, Scalar]:
    """What a request asks for besides its prompt."""
    asked: dict[str, Scalar] = {"model": request.model, "n": request.n}
    for name in (*PARAMETERS, *NEUTRAL):
        value: Scalar = getattr(request, name)
        if value is not None:
            asked[name] = value
    if request.images:
        asked["image"] = " ".join(one.digest for one in request.images)
    if request.mask is not None:
        asked["mask"] = request.mask.digest
    return asked | {f"extra.{name}": value for name, value in request.extra}


def digest(prompt: str) -> str:
    """16 hex digits for a prompt: enough to tell that it changed, without keeping it."""
    return sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def is_final(status: str, error: Trouble | None) -> bool:
    """Whether a job that ended so failed in a way that another try would not mend."""
    return bool(status) and status != Status.DEFERRED.value and error is not None and error.kind in FINAL


@frozen
class Refusal:
    """What a row asked for before and was refused for good: the keys, and how its job ended."""

    keys: tuple[Key, ...]
    status: str
    error: Trouble


@frozen
class RowState:
    """A row's memory. `jobs` are all that asked for it, in order; the rest is about what the last one asked for.

    `keys` are those of its pictures, from sample number `sample` on; `asked` and `prompt` (a digest) say what of,
    `content` what the row itself said. `status` is how the job ended ("" while it is out), with its `error`,
    `warnings` and `seconds`; `cached` and `shared` say where its pictures came from, `saved` is what those that were
    stored would have cost (picodollars), `worth` what each of them cost whoever bought it, and `reproducible` what
    keeps the promise of a `seed` ("stored" or "seed"; "": none was given). `revised` has the prompts as the provider
    revised them, by picture. `refusals` are of what it asked for before, and would ask for in vain again.
    """

    jobs: tuple[JobName, ...] = ()
    keys: tuple[Key, ...] = ()
    asked: Asked = field(factory=dict[str, Scalar], hash=False)
    prompt: str = ""
    content: str = ""
    sample: int = 0
    status: str = ""
    error: Trouble | None = None
    warnings: tuple[str, ...] = ()
    seconds: float | None = None
    cached: bool = False
    shared: bool = False
    revised: tuple[str | None, ...] = ()
    saved: int = 0
    worth: tuple[tuple[Key, int], ...] = ()
    reproducible: str = ""
    refusals: tuple[Refusal, ...] = ()

    def same(self, keys: tuple[Key, ...], request: ImageRequest, sample: int) -> bool:
        """Whether the last job asked for just this, be it under other keys (a later version may make others)."""
        if self.keys == keys or not self.asked:
            return self.keys == keys
        return self.sample == sample and self.prompt == digest(request.prompt) and self.asked == asked_of(request)

    def asking(self, keys: tuple[Key, ...], request: ImageRequest, content: str, sample: int) -> RowState:
        """The row is to be asked for as this from now on; of what was before, its jobs and refusals are remembered.

        Where this was refused before, it is so still.
        """
        known = {one.keys: one for one in self.refusals}
        if self.error is not None and is_final(self.status, self.error):
            known[self.keys] = Refusal(self.keys, self.status, self.error)
        found = known.pop(keys, None)
        state = RowState(self.jobs, keys, asked_of(request), digest(request.prompt), content, sample)
        state = evolve(state, refusals=tuple(known.values()))
        return state if found is None else evolve(state, status=found.status, error=found.error)

    def refusal(self, keys: tuple[Key, ...]) -> Refusal | None:
        """How it was refused when it asked for these before; None where it was not."""
        return next((one for one in self.refusals if one.keys == keys), None)

    def sent(
        self, job: JobName, keys: tuple[Key, ...], request: ImageRequest, content: str = "", sample: int = 0
    ) -> RowState:
        """Another job asks for the row."""
        return evolve(self.asking(keys, request, content, sample), jobs=(*self.jobs, job), status="", error=None)

    def ended(
        self,
        outcome: Outcome,
        seconds: float,
        revised: tuple[str | None, ...] = (),
        worth: tuple[tuple[Key, int], ...] = (),
    ) -> RowState:
        """Its job ended."""
        return evolve(
            self,
            status=outcome.status.value,
            error=outcome.error,
            warnings=outcome.warnings,
            seconds=round(seconds, 3),
            cached=outcome.status is Status.CACHED,
            shared=any(picture.source is Source.SHARED for picture in outcome.pictures),
            revised=revised if any(revised) else (),
            saved=outcome.saved if any(picture.source is Source.STORED for picture in outcome.pictures) else 0,
            worth=worth,
            reproducible=outcome.reproducible or (self.seeded if outcome.pictures else ""),
        )

    @property
    def seeded(self) -> str:
        """What keeps the promise of a seed as far as nothing else is known: "seed", or "" where none was given."""
        return "" if self.asked.get("seed") is None else "seed"


NEW = RowState()
"""What is remembered of a row that no job has asked for."""


def here_of(state: RowState, account: Account) -> dict[Key, str]:
    """The files of a row that are in use, by key: also those of what it asked for before; not superseded ones."""
    return {
        key: file
        for job in state.jobs
        for key, file in account.shown.get(job, {}).items()
        if not file.startswith(f"{SUPERSEDED}/")
    }


_KeptTrouble: TypeAlias = tuple[str, str, int | None, str | None, str | None]


class _Kept(TypedDict, total=False):
    jobs: list[tuple[int, int]]
    keys: list[str]
    asked: dict[str, Scalar]
    prompt: str
    content: str
    sample: int
    status: str
    error: _KeptTrouble
    warnings: list[str]
    seconds: float | None
    cached: bool
    shared: bool
    revised: list[str | None]
    saved: int
    worth: list[tuple[str, int]]
    reproducible: str
    refusals: list[tuple[list[str], str, _KeptTrouble]]


def dump_state(state: RowState) -> str:
    """A state as JSON text; what a server said keeps its meaning, not its broken characters."""
    kept = _Kept(jobs=[(run, job) for run, job in state.jobs], keys=list(state.keys))
    if state.asked:
        kept["asked"] = dict(state.asked)
        kept["prompt"] = state.prompt
    if state.content:
        kept["content"] = state.content
    if state.sample:
        kept["sample"] = state.sample
    if state.status:
        kept["status"] = state.status
        kept["seconds"] = state.seconds
    if state.error is not None:
        kept["error"] = _kept(state.error)
    if state.warnings:
        kept["warnings"] = list(state.warnings)
    if state.reproducible:
        kept["reproducible"] = state.reproducible
    if state.revised:
        kept["revised"] = list(state.revised)
    if state.refusals:
        kept["refusals"] = [(list(one.keys), one.status, _kept(one.error)) for one in state.refusals]
    _keep_origin(state, kept)
    return json.dumps(kept, separators=(",", ":"))


def _kept(error: Trouble) -> _KeptTrouble:
    return error.kind, error.message, error.status, error.code, error.request_id


def _keep_origin(state: RowState, kept: _Kept) -> None:
    """Where its pictures came from, as far as they were not bought for it."""
    if state.cached or state.saved:
        kept["cached"], kept["saved"] = state.cached, state.saved
    if state.worth:
        kept["worth"] = [(key, cost) for key, cost in state.worth]
    if state.shared:
        kept["shared"] = True


def load_state(text: str) -> RowState:
    """The state in a text that `dump_state` made."""
    kept = cast("_Kept", json.loads(text))
    error = kept.get("error")
    return RowState(
        jobs=tuple((run, JobId(job)) for run, job in kept.get("jobs", ())),
        keys=tuple(map(Key, kept.get("keys", ()))),
        asked=kept.get("asked", {}),
        prompt=kept.get("prompt", ""),
        content=kept.get("content", ""),
        sample=kept.get("sample", 0),
        status=kept.get("status", ""),
        error=None if error is None else Trouble(*error),
        warnings=tuple(kept.get("warnings", ())),
        seconds=kept.get("seconds"),
        cached=kept.get("cached", False),
        shared=kept.get("shared", False),
        revised=tuple(kept.get("revised", ())),
        saved=kept.get("saved", 0),
        worth=tuple((Key(key), cost) for key, cost in kept.get("worth", ())),
        reproducible=kept.get("reproducible", ""),
        refusals=tuple(
            Refusal(tuple(map(Key, keys)), status, Trouble(*told)) for keys, status, told in kept.get("refusals", ())
        ),
    )


def load_states(rows: Mapping[str, str]) -> dict[str, RowState]:
    """What is remembered of each row, by its id, among a journal's rows (`Journal.rows()`, `Peek.rows`)."""
    return {name: load_state(text) for name, text in rows.items() if not name.startswith(ASIDE)}


@frozen
class Runs:
    """Figures over all runs of a folder, and how the last one ended.

    Refusals by HTTP status and seconds at work; `made` pictures were sent for while a quota was known that would have
    allowed `allowed` of them. Of the last run, `rows` are all of its input (None: they came one by one), `code` is its
    exit code (None: it was cut off, or is under way) with its `message`, and `remedy` what helps where it was halted.
    """

    http_429: int = 0
    http_5xx: int = 0
    seconds: float = 0.0
    made: float = 0.0
    allowed: float = 0.0
    code: int | None = None
    message: str = ""
    rows: int | None = None
    remedy: str = ""


class _KeptRuns(TypedDict):
    http_429: int
    http_5xx: int
    seconds: float
    made: float
    allowed: float
    code: int | None
    message: str
    rows: int | None
    remedy: str


def dump_runs(runs: Runs) -> str:
    """Figures as JSON text."""
    kept = _KeptRuns(
        http_429=runs.http_429,
        http_5xx=runs.http_5xx,
        seconds=round(runs.seconds, 3),
        made=round(runs.made, 3),
        allowed=round(runs.allowed, 3),
        code=runs.code,
        message=runs.message,
        rows=runs.rows,
        remedy=runs.remedy,
    )
    return json.dumps(kept, separators=(",", ":"))


def load_runs(rows: Mapping[str, str]) -> Runs:
    """Figures of the earlier runs among a journal's rows."""
    text = rows.get(RUNS)
    return Runs() if text is None else Runs(**cast("_KeptRuns", json.loads(text)))
