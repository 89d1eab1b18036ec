"""Facts told to the engine. Past participles, frozen, without payload, prompt or secret."""

from __future__ import annotations

from enum import Enum

from attrs import frozen

from penstock.config import Config
from penstock.ids import AttemptId, JobId, QuestionId, ReadId, RecordId, Ref
from penstock.lessons import Use
from penstock.outcomes import Meta
from penstock.readings import Answer, Fault, Item, Kind, Reached, Reading, Vector, Verdict
from penstock.work import Work

Headers = tuple[tuple[str, str], ...]
"""Response headers, names in lower case, only those of the allow-list (`penstock.wire.headers`)."""


@frozen
class Submitted:
    """A caller wants something. `job` is new."""

    job: JobId
    work: Work


@frozen
class Cancelled:
    """The caller of `job` left. With `abort` even paid work that is out for nobody else is broken off."""

    job: JobId
    abort: bool = False


@frozen
class Opened:
    """The head of a reply arrived; the body follows."""

    attempt: AttemptId
    status: int
    headers: Headers = ()


@frozen
class Streamed:
    """A stream brought an item, already parsed."""

    attempt: AttemptId
    item: Item


@frozen
class Responded:
    """A reply was read to its end. Ends the attempt."""

    attempt: AttemptId
    status: int
    headers: Headers
    reading: Reading


@frozen
class Failed:
    """No reply. Ends the attempt. A task that never started has reached NOTHING.

    `detail` says in one line whom it was about and what the system said ("127.0.0.1:1: Connection refused").
    """

    attempt: AttemptId
    kind: Kind
    reached: Reached
    detail: str = ""


@frozen
class Hit:
    """The store has the picture."""

    meta: Meta
    ref: Ref


@frozen
class Miss:
    """The store has nothing. `claimed`: this process now holds the lease on the key. A store's `fault` is a miss."""

    claimed: bool = False
    fault: str | None = None


@frozen
class Busy:
    """Another process is making it: look again `until` then (absolute monotonic seconds), or when its lease is over."""

    until: float


Found = Hit | Miss | Busy


@frozen
class CacheRead:
    """The store's answer: one Found a key (for a near lookup one in all, with its cosine `score`)."""

    read: ReadId
    found: tuple[Found, ...]
    score: float | None = None


@frozen
class Recorded:
    """The journal's answer. `files` replace the payload references of the entry, in their order."""

    record: RecordId
    files: tuple[Ref, ...] = ()
    fault: str | None = None


@frozen
class Fetched:
    """A download ended: `files` has one reference to `nbytes` bytes of this format, or `fault` says why not.

    `final`: it was refused, and another try would be, too.
    """

    attempt: AttemptId
    files: tuple[Ref, ...] = ()
    fault: str | None = None
    format: str = ""
    nbytes: int = 0
    final: bool = False


@frozen
class Consulted:
    """A hook's answer."""

    question: QuestionId
    answer: Verdict | Vector | Answer | Fault


@frozen
class Ticked:
    """Time passed. `unix` corrects the engine's idea of the wall clock (a laptop slept). Spurious ones are no-ops."""

    unix: float | None = None


@frozen
class Reconfigured:
    """The whole new configuration; the engine compares. `resume` lifts a halt."""

    config: Config
    resume: bool = False


@frozen
class Drawn:
    """Other runs use the same keys: how much more of a day was used, by credential and pool, than this one knew of."""

    uses: tuple[tuple[str, str, Use], ...] = ()


class Mode(Enum):
    """How to close: DRAIN lets what is out run on, ABORT breaks it off."""

    DRAIN = "drain"
    ABORT = "abort"


@frozen
class Closed:
    """No more work is wanted."""

    mode: Mode = Mode.DRAIN


Event = (
    Submitted
    | Cancelled
    | Opened
    | Streamed
    | Responded
    | Failed
    | CacheRead
    | Recorded
    | Fetched
    | Consulted
    | Ticked
    | Reconfigured
    | Drawn
    | Closed
)
