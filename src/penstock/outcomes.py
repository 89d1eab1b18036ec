"""What a job ends with."""

from __future__ import annotations

from enum import Enum

from attrs import frozen

from penstock.ids import Key, Ref
from penstock.readings import Usage


class Status(Enum):
    """How a job ended.

    `refused` (a moderation or screen said no) and `expired` are failures; `cancelled` by a drain and `deferred` mean
    that the work is still to be done; `ambiguous` means that a call may have been executed and billed and nobody knows.
    """

    COMPLETED = "completed"
    CACHED = "cached"
    SIMILAR = "similar"
    PARTIAL = "partial"
    FAILED = "failed"
    AMBIGUOUS = "ambiguous"
    REFUSED = "refused"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    DEFERRED = "deferred"


class Source(Enum):
    """Where a picture came from: paid by this job, paid by another that wanted the same, the store, the near cache."""

    BOUGHT = "bought"
    SHARED = "shared"
    STORED = "stored"
    SIMILAR = "similar"


@frozen
class Meta:
    """What is kept beside a stored picture. `cost` is picodollars (None: unknown), `created` Unix seconds.

    `policy` is the picture screens' policy under which `passed` was decided; empty: unscreened.
    """

    size: str = ""
    format: str = ""
    nbytes: int = 0
    cost: int | None = None
    created: float = 0.0
    policy: str = ""
    passed: bool = True


@frozen
class Picture:
    """One picture of an outcome: sample `index` of the request, its bytes behind `ref`."""

    index: int
    ref: Ref
    source: Source
    meta: Meta
    key: Key


@frozen
class Trouble:
    """Why a job did not end well: `kind` (a word of `penstock.errors`), what was said, and the provider's own codes.

    `request_id` is what the provider called the exchange, for those who ask its support.
    """

    kind: str
    message: str
    status: int | None = None
    code: str | None = None
    request_id: str | None = None


@frozen
class Outcome:
    """The one end of a job. Money is in picodollars.

    `charge` is what this job paid (None: the price of something it paid is unknown), `maybe` the bound of what may have
    been billed besides, `saved` what hits and sharing saved, `pending` the bound of what is still out for it.
    `attempts` counts exchanges of calls that it paid or waited for, `strategy` is the place in its chain that served
    it, `waits` the seconds it waited by reason. `lost` counts samples that are paid but could not be fetched.
    """

    status: Status
    pictures: tuple[Picture, ...] = ()
    usage: Usage | None = None
    charge: int | None = 0
    maybe: int = 0
    saved: int = 0
    pending: int = 0
    attempts: int = 0
    strategy: int = 0
    score: float | None = None
    lost: int = 0
    waits: tuple[tuple[str, float], ...] = ()
    warnings: tuple[str, ...] = ()
    error: Trouble | None = None
    template: Ref | None = None
