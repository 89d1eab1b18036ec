"""What goes into the journal, in order. Every Intent ends in exactly one of Settled, Void, Failed, Maybe.

Money is in picodollars (None: unknown), `at` in Unix seconds. Entries carry keys, digests and figures; never a prompt,
a payload or a secret.
"""

from __future__ import annotations

from attrs import frozen

from penstock.ids import AttemptId, CallId, JobId, Key, Ref
from penstock.readings import Usage
from penstock.work import Purpose


@frozen
class Lane:
    """Where an attempt runs: a credential (by name) and a model."""

    credential: str
    model: str


@frozen
class Intent:
    """An attempt is about to be sent: durable before its first byte leaves. `quote` bounds what it may cost.

    `parts` says who pays for which samples, `scopes` the budget scopes of each part in the same order. Provider, size
    and quality are as they were asked for ("": left to the provider).
    """

    attempt: AttemptId
    call: CallId
    purpose: Purpose
    operation: str
    lane: Lane
    keys: tuple[Key, ...]
    parts: tuple[tuple[JobId, tuple[int, ...]], ...]
    scopes: tuple[tuple[str, ...], ...]
    quote: int | None
    at: float
    provider: str = ""
    size: str = ""
    quality: str = ""


@frozen
class Owed:
    """An attempt was charged and its pictures are still to be downloaded, before `expires` (Unix seconds).

    `charges` is what each payer of the intent was charged, in its order.
    """

    attempt: AttemptId
    keys: tuple[Key, ...]
    refs: tuple[Ref, ...]
    usage: Usage | None
    charge: int | None
    expires: float
    at: float
    charges: tuple[int | None, ...] = ()


@frozen
class Settled:
    """An attempt was executed and paid; `refs` name the pictures, one a key, '' for one that is lost.

    A journal makes the bytes durable before this entry, and answers with the names of the files. `charges` is what
    each payer of the intent was charged, in its order.
    """

    attempt: AttemptId
    keys: tuple[Key, ...]
    refs: tuple[Ref, ...]
    usage: Usage | None
    charge: int | None
    at: float
    charges: tuple[int | None, ...] = ()


@frozen
class Published:
    """A job's pictures may be shown: they get their final names. `lost` counts paid samples without bytes."""

    job: JobId
    keys: tuple[Key, ...]
    refs: tuple[Ref, ...]
    at: float
    lost: int = 0


@frozen
class Held:
    """A screen refused a job's pictures: the bytes stay where they are, unpublished."""

    job: JobId
    keys: tuple[Key, ...]
    refs: tuple[Ref, ...]
    policy: str
    reason: str
    at: float


@frozen
class Void:
    """An intent that was not carried out: nothing left, nothing is owed."""

    attempt: AttemptId
    reason: str
    at: float


@frozen
class Failed:
    """An attempt without a picture; `charge` is what it cost all the same (usually 0), `charges` the same by payer."""

    attempt: AttemptId
    kind: str
    charge: int | None
    at: float
    charges: tuple[int | None, ...] = ()


@frozen
class Maybe:
    """An attempt that may have been executed and billed; at most `bound`."""

    attempt: AttemptId
    kind: str
    bound: int | None
    at: float


@frozen
class Deferred:
    """A job was put off durably; taking it up again is a new job."""

    job: JobId
    keys: tuple[Key, ...]
    reason: str
    at: float


Entry = Intent | Owed | Settled | Published | Held | Void | Failed | Maybe | Deferred
