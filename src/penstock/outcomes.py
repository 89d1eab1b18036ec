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

    `policy` is the picture screens' policy under which `passed` was decided; empty: unscreened. `seconds` is how long
    its exchange took (0.0: not known).
    """

    size: str = ""
    format: str = ""
    nbytes: int = 0
    cost: int | None = None
    created: float = 0.0
    policy: str = ""
    passed: bool = True
    seconds: float = 0.0


@frozen
class Picture:
    """One picture of an outcome: sample `index` of the request, its bytes behind `ref`."""

    index: int
    ref: Ref
    source: Source
    meta: Meta
    key: Key


REMEDIES = {
    "account": "see to the account at the provider; no other request would go either",
    "ambiguous": "look into the provider's usage before you ask again, or let it be tried again (on_ambiguous)",
    "blocked": "see what stands between here and the provider: a proxy, a firewall, a barred address",
    "budget": "raise the budget, or ask for less",
    "conflict": "try again later",
    "credential": "set a valid key",
    "expired": "give it more time",
    "forbidden": "see to what the key and its organization are allowed to do at the provider",
    "invalid": "change the request",
    "journal": "make room or the folder writable",
    "missing": "ask again",
    "model_not_found": "choose another model, or get access to this one",
    "moderation": "change the prompt",
    "moderation_output": "change the prompt",
    "no_endpoint": "check the base URL: paths like /images/generations are added to it, and most end in /v1 "
    "(a Stable Diffusion WebUI has no path there, and is started with --api)",
    "no_lane": "configure a credential for this provider and model",
    "not_stored": "let it be bought (another cache policy)",
    "over_limit": "ask for less at once, or raise the limit",
    "overloaded": "try again later",
    "queue_full": "try again later",
    "patience": "try again later, or have more patience (Config.patience)",
    "quota_exhausted": "add credit or raise the spending limit at the provider",
    "rate_limited": "try again later, or set limits that are as low as the provider's",
    "removed": "configure a credential for this provider and model",
    "screen_fault": "mend the screen, or let it pass on faults (passes_on_fault)",
    "server_error": "try again later",
    "slow_down": "try again later, or set limits that are as low as the provider's",
    "unknown_price": (
        'say its price (prices= of a client, or [prices."MODEL"] with picture = 0.04 in the file of --config), choose '
        "a model whose price is published, or allow unknown prices (Budget.unknown, --allow-unknown-price)"
    ),
    "unbounded": (
        "give what bounds it (max_completion_tokens of a conversation; input_tokens of a price, for images), or allow "
        "what has no bound (Budget.unknown, --allow-unknown-price)"
    ),
    "unrecorded": "make room or the folder writable",
    "unsupported": "ask again: it is said otherwise from now on",
    "unsent": "check the network and the base URL",
}
"""What helps against a trouble, by its kind; those that are not here need no word, or there is nothing to be done."""


@frozen
class Trouble:
    """Why a job did not end well: `kind` (a word), what was said, and the provider's own codes.

    `message` is a sentence without its full stop, so that whoever shows it may go on. `request_id` is what the provider
    called the exchange, for those who ask its support. `cause` is the kind of what an ambiguous end would have been
    without its doubt ("": the doubt itself).
    """

    kind: str
    message: str
    status: int | None = None
    code: str | None = None
    request_id: str | None = None
    cause: str = ""

    @property
    def remedy(self) -> str:
        """What to do about it, without a full stop; empty where nothing helps."""
        return REMEDIES.get(self.kind, "")

    @property
    def text(self) -> str:
        """What happened and what to do, in one sentence without its full stop."""
        return f"{self.message}; {self.remedy}" if self.remedy else self.message


@frozen
class Route:
    """Which target of a job's chain served it, or was tried last: at `place` (from 0) a provider and its model."""

    provider: str
    model: str
    place: int = 0


@frozen
class Outcome:
    """The one end of a job. Money is in picodollars.

    `charge` is what this job paid (None: the price of something it paid is unknown), `maybe` the bound of what may have
    been billed besides, `saved` what hits and sharing saved, `pending` the bound of what is still out for it.
    `attempts` counts requests that went out for calls that it paid or waited for, `strategy` is the place in its chain
    that served it, `waits` the seconds it waited by reason. `lost` counts samples that are paid and not to be
    had. `route` says what served it or was tried last (None: it ended before that was anybody's turn).
    `reproducible` is "stored" where a variant was asked for by a seed that no provider was told: the stored copy keeps
    that promise ("": none is kept).
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
    route: Route | None = None
    reproducible: str = ""
