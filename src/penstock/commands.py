"""Orders that the engine returns, to be performed in list order. Imperatives, frozen."""

from __future__ import annotations

from attrs import frozen

from penstock.entries import Entry, Lane
from penstock.ids import AttemptId, CallId, Handle, JobId, Key, QuestionId, ReadId, RecordId, Ref
from penstock.outcomes import Meta, Outcome
from penstock.readings import Item
from penstock.work import Purpose, Timeouts


@frozen
class Send:
    """Make one HTTP exchange and answer with Responded or Failed (Opened and Streamed may come before).

    The request is target `target` of what the driver keeps under `handle` (for a SCREEN or EMBED call `operation` says
    which), buying `samples` pictures, for the (job, samples) of `parts`. A FETCH has no lane (credential ''): it
    downloads `source` without a credential and is answered with Fetched. A SCREEN call names its screen by `policy` and
    the pictures that it is about by `refs` (none: the prompt). `without` names what of the target's
    `adapts` is to be said otherwise: a server refused it. A server may answer plainly although `stream` asks for one.
    """

    attempt: AttemptId
    call: CallId
    handle: Handle
    operation: str
    purpose: Purpose
    lane: Lane
    target: int
    samples: int
    parts: tuple[tuple[JobId, tuple[int, ...]], ...]
    timeouts: Timeouts
    stream: bool = False
    source: Ref | None = None
    provider: str = ""
    refs: tuple[Ref, ...] = ()
    policy: str = ""
    without: tuple[str, ...] = ()


@frozen
class Abort:
    """Break an exchange off. It must still be answered (Failed with ABORTED, or whatever came first)."""

    attempt: AttemptId


@frozen
class Near:
    """A lookup by meaning: `vector` against what is stored under `scope`, at least `threshold` (cosine)."""

    vector: Ref
    scope: str
    threshold: float


@frozen
class ReadCache:
    """Look keys up; answer with CacheRead. `claim` asks for the lease on what is missing, for `lease` seconds.

    A lease that this process holds already begins anew. `patience` is seconds.
    """

    read: ReadId
    keys: tuple[Key, ...]
    near: Near | None = None
    claim: bool = False
    patience: float = 5.0
    lease: float = 0.0


@frozen
class WriteCache:
    """Store a picture under its key; `source` None gives only the claim back. No answer. `ttl` is seconds (None: none).

    `claim` names the read that took the lease on the key, which is over with this; `near` is what it is found by.
    `amends`: only what is known of a stored picture is new; it lasts no longer than it would have, and one that is gone
    stays away.
    """

    key: Key
    source: Ref | None
    meta: Meta | None = None
    ttl: float | None = None
    near: Near | None = None
    claim: ReadId | None = None
    amends: bool = False


@frozen
class Record:
    """Make an entry durable, after all earlier ones; answer with Recorded."""

    record: RecordId
    entry: Entry


@frozen
class Subject:
    """What a hook is asked about: the request behind `handle`, and the pictures behind `refs` (empty: its prompt)."""

    handle: Handle
    refs: tuple[Ref, ...] = ()


@frozen
class Consult:
    """Ask a hook; answer with Consulted. The engine waits `patience` seconds."""

    question: QuestionId
    hook: str
    subject: Subject
    patience: float


@frozen
class Deliver:
    """Hand a stream's item to the job's caller. Backpressure is the driver's."""

    job: JobId
    item: Item


@frozen
class Finish:
    """The job's one end. Whoever wants the bytes behind its references takes them now: a Release follows.

    `detached`: paid work of it is still out or in hand. The driver keeps the job's request until `Release.handle`.
    """

    job: JobId
    outcome: Outcome
    detached: bool = False


@frozen
class Release:
    """Nobody needs these payloads any more, nor (where given) the request of a job that had left. No answer."""

    refs: tuple[Ref, ...] = ()
    handle: Handle | None = None


@frozen
class Halted:
    """Notice: nothing can be sent any more; `cause` is a word, `remedy` a sentence."""

    cause: str
    message: str
    remedy: str


@frozen
class Charged:
    """Notice: money was booked for a job after its Finish. Picodollars (None: unknown)."""

    job: JobId
    charge: int | None
    maybe: int = 0


@frozen
class LaneClosed:
    """Notice: a lane takes no more attempts, and why: for a while where credit is used up, else until reconfigured."""

    lane: Lane
    reason: str
    message: str


@frozen
class Waits:
    """Notice: a provider asks to wait on a lane, for `seconds` until `until` (Unix seconds)."""

    lane: Lane
    seconds: float
    until: float


@frozen
class Excess:
    """Notice: the provider charged more than the published bound. Picodollars."""

    model: str
    quote: int
    charge: int


@frozen
class BudgetLow:
    """Notice: what is charged, or may have been billed, has passed a share of a cap (`Budget.warn`). Picodollars.

    Told once for each time that it is passed: a new day, or a raised cap, may pass it again.
    """

    scope: str
    used: int
    cap: int


@frozen
class Unrecorded:
    """Notice: on closing, these entries could not be made durable."""

    entries: tuple[Entry, ...]


@frozen
class Warned:
    """Notice: something worth telling that changes nothing (a store's fault, a late answer)."""

    what: str
    message: str


Notice = Halted | Charged | LaneClosed | Waits | Excess | BudgetLow | Unrecorded | Warned


@frozen
class Notify:
    """Tell whoever subscribed. Built only if somebody did. No answer."""

    notice: Notice


Command = Send | Abort | ReadCache | WriteCache | Record | Consult | Deliver | Finish | Release | Notify
