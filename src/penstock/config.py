"""The engine's configuration: whole, frozen, comparable."""

from __future__ import annotations

import re
from enum import Enum
from math import isfinite
from typing import cast

from attrs import frozen

from penstock.errors import UsageError
from penstock.lessons import Lessons
from penstock.work import OnAmbiguous, Target


@frozen
class Limits:
    """What is believed of a quota: per minute and per day, None where nothing is known. Concurrency is never exceeded.

    `concurrency` is exchanges at a time. `burst` is how many minutes' worth may be taken at once (1.0: a full minute;
    1/60: a second). Figures are beliefs, which the provider's word and its refusals correct; with `ceiling` they are
    corrected downwards only, and never exceeded. A quota is believed full at the start: what others took of a day is
    known once the provider says so. Raises UsageError for a limit under which nothing would ever be sent.
    """

    rpm: float | None = None
    tpm: float | None = None
    ipm: float | None = None
    concurrency: int | None = 64
    burst: float = 1.0
    rpd: float | None = None
    tpd: float | None = None
    ipd: float | None = None
    ceiling: bool = False

    def __attrs_post_init__(self) -> None:
        for name in ("rpm", "tpm", "ipm", "rpd", "tpd", "ipd", "burst"):
            value: float | None = getattr(self, name)
            if value is not None and not (value > 0 and isfinite(value)):
                raise UsageError(f"{name} must be a finite number above 0, not {value}")
        if self.concurrency is not None and not self.concurrency >= 1:
            raise UsageError(f"concurrency must be at least 1, not {self.concurrency}")


@frozen
class Pool:
    """Models of a credential that draw on one quota, and the limits of that. `name` is what `Target.pool` may say."""

    name: str
    models: tuple[str, ...]
    limits: Limits = Limits()


@frozen
class Credential:
    """One API key by name: the name is its fingerprint or label, never its value. `models` None: any model.

    Each model has a quota of its own with these `limits`, but for those of a pool. Credentials of one `account` (an
    organisation; "": none) share their quotas, and the limits of the first of them count. Among lanes with equal room
    each has as many exchanges out as its `weight` says. `lessons` are what an earlier run was taught, by pool. Raises
    UsageError for a weight that is not above 0, and for a model of two pools.
    """

    name: str
    provider: str = "default"
    limits: Limits = Limits()
    models: tuple[str, ...] | None = None
    weight: float = 1.0
    account: str = ""
    pools: tuple[Pool, ...] = ()
    lessons: tuple[tuple[str, Lessons], ...] = ()

    def __attrs_post_init__(self) -> None:
        _weigh(self.weight, f"the weight of {self.name}")
        pooled = [model for pool in self.pools for model in pool.models]
        for model in pooled:
            if pooled.count(model) > 1:
                raise UsageError(f"{model} of {self.name} stands in two pools: it draws on one quota")

    def pool(self, model: str, said: str = "") -> tuple[str, Limits]:
        """The name and limits of the quota that a model draws on; `said` is what its target calls it ("": nothing)."""
        for pool in self.pools:
            if model in pool.models or (said and said == pool.name):
                return pool.name, pool.limits
        return said or model, self.limits


def _weigh(weight: float, what: str) -> None:
    if not (weight > 0 and isfinite(weight)):
        raise UsageError(f"{what} must be a finite number above 0, not {weight}")


@frozen
class Retry:
    """At most `attempts` exchanges a call, and at most `most` for one picture of a job over its whole chain.

    Hedges are among them. What a rate limit refused, and what closed its lane, is counted by neither: patience bounds
    the one, the number of lanes the other. Waits lie between `base` and `cap` seconds, full jitter. Raises UsageError.
    """

    attempts: int = 6
    base: float = 0.5
    cap: float = 60.0
    most: int = 12

    def __attrs_post_init__(self) -> None:
        for name, value in (("attempts", self.attempts), ("most", self.most)):
            if value < 1:
                raise UsageError(f"{name} must be at least 1, not {value}")


@frozen
class Used:
    """What earlier runs of the same books used: `attempts` that were sent and `tries` of them in spite of a doubt.

    `quoted` and `bounds` are what each of the two cost at most, in picodollars.
    """

    attempts: int = 0
    tries: int = 0
    quoted: int = 0
    bounds: int = 0


@frozen
class Ambiguity:
    """When to try again what may have been billed.

    Under AUTO a job gets one more try, while such tries and hedges are at most `floor`, or `share` of all attempts and,
    where prices are known, of what those were quoted. What counts are the last `window` seconds, as suits a service
    that has no end; None (a batch): the whole run, and what was used `before` it. Raises UsageError.
    """

    mode: OnAmbiguous = OnAmbiguous.AUTO
    floor: int = 3
    share: float = 0.02
    window: float | None = 3600.0
    before: Used = Used()

    def __attrs_post_init__(self) -> None:
        if not isinstance(cast("object", self.mode), OnAmbiguous):
            raise UsageError(f"on_ambiguous (mode) is one of {_members(OnAmbiguous)}, not {self.mode!r}")
        if self.floor < 0:
            raise UsageError(f"floor must be at least 0, not {self.floor}")
        if not 0.0 <= self.share <= 1.0:
            raise UsageError(f"share must lie between 0 and 1, not {self.share}")
        if self.window is not None and not (self.window > 0.0 and isfinite(self.window)):
            raise UsageError(f"window must be a finite number of seconds above 0, not {self.window}")


def _members(choices: type[Enum]) -> str:
    """What there is to choose from, as it is written: "OnAmbiguous.AUTO, OnAmbiguous.RETRY"."""
    return ", ".join([f"{choices.__name__}.{one.name}" for one in choices])


class BudgetPolicy(Enum):
    """What becomes of a call that the budget has no room for now: it waits for refunds, or it fails."""

    WAIT = "wait"
    FAIL = "fail"


@frozen
class Budget:
    """Hard caps in picodollars by scope: "run", "tenant:acme", "tag:summer".

    With a ledger on disk also "day" and "month" (UTC), and those of a tenant or a tag: "tenant:acme@day",
    "tag:summer@month". `unknown`: send what has no known price. `warn` is the share of a cap from which on a BudgetLow
    tells of it (None: never). Raises UsageError.
    """

    caps: tuple[tuple[str, int], ...] = ()
    policy: BudgetPolicy = BudgetPolicy.WAIT
    unknown: bool = False
    warn: float | None = 0.8

    def __attrs_post_init__(self) -> None:
        if not isinstance(cast("object", self.policy), BudgetPolicy):
            raise UsageError(f"policy is one of {_members(BudgetPolicy)}, not {self.policy!r}")
        seen: set[str] = set()
        for scope, cap in self.caps:
            if not isinstance(cast("object", cap), int) or isinstance(cap, bool):
                raise UsageError(f"the cap of {scope!r} is a whole number of picodollars (10**12 are $1), not {cap!r}")
            if _SCOPE.fullmatch(scope) is None:
                raise UsageError(
                    f"{scope!r} is no scope of a cap: they are run, day, month, tenant:NAME, tag:NAME, and the last "
                    "two with @day or @month behind them"
                )
            if _PERIOD.fullmatch(scope) is not None:
                raise UsageError(f"{scope!r}: there are caps by @day and @month alone")
            if scope in seen:
                raise UsageError(f"{scope!r} has two caps")
            seen.add(scope)
            if cap < 0:
                raise UsageError(f"the cap of {scope!r} must be at least 0, not {cap}")
        if self.warn is not None and not 0.0 < self.warn <= 1.0:
            raise UsageError(f"warn must be a share above 0 and at most 1, or None, not {self.warn}")

    @property
    def dated(self) -> tuple[str, ...]:
        """The scopes of caps that begin anew each day or month."""
        return tuple(scope for scope, _ in self.caps if _dated(scope))


def _dated(scope: str) -> bool:
    """Whether a cap's scope begins anew each day or month."""
    return scope in {"day", "month"} or scope.endswith(("@day", "@month"))


_SCOPE = re.compile(r"run|day|month|(?:tenant|tag):(?!@(?:day|month)$).+", re.DOTALL)
_PERIOD = re.compile(r".+@(?!(?:day|month)$)[A-Za-z]+", re.DOTALL)
"""What looks like a period, and is none."""


@frozen
class Gathering:
    """Put what may be bought together into one call: at most `most` samples, waiting at most `wait` seconds.

    `tokens` is how many tokens such a call may be estimated at (None: any number); what is larger alone goes alone.
    """

    most: int = 1
    wait: float = 0.05
    tokens: int | None = None


@frozen
class Hedging:
    """Send a second attempt after `after` seconds without a reply, as far as the ambiguous allowance goes."""

    after: float | None = None


@frozen
class NearCache:
    """Look up by meaning what is not stored exactly. Either `hook` or `target` makes the vector."""

    threshold: float = 0.92
    hook: str = ""
    target: Target | None = None
    patience: float = 10.0


@frozen
class Config:
    """Everything the engine goes by.

    `store`, `journal` and `ledger` say whether the driver has one (a ledger: on disk). `claims` asks a shared store for
    leases. `halts`: with no lane left that can ever serve a call the engine halts (a batch) instead of failing the call
    (a service). `queue` bounds jobs waiting, `window` is how many unfinished jobs are worth having at a time (0: from
    the concurrency). `patience` is seconds for which a job waits where a provider tells it to, or refuses everything: a
    longer wait is the end of its target (None: it waits). `read_patience` is seconds for which the store may be silent.
    `downloads` is how often a URL result is tried, `url_life` how many seconds it is good for. `weights` are tenants'
    shares of what goes (1.0 where none is named). `unproven` bounds what is out on a lane in its first second, as long
    as no reply has shown that its key is good (None: nothing does). `refusals` is seconds for which a provider's
    refusal of a request as such is remembered, where there is a store (None: not at all).
    """

    credentials: tuple[Credential, ...] = ()
    retry: Retry = Retry()
    patience: float | None = 600.0
    ambiguity: Ambiguity = Ambiguity()
    budget: Budget = Budget()
    gathering: Gathering = Gathering()
    hedging: Hedging = Hedging()
    near: NearCache | None = None
    store: bool = False
    journal: bool = False
    ledger: bool = False
    claims: bool = False
    halts: bool = False
    notify: bool = True
    queue: int | None = None
    window: int = 0
    read_patience: float = 5.0
    downloads: int = 4
    url_life: float = 3600.0
    weights: tuple[tuple[str, float], ...] = ()
    unproven: int | None = 2
    refusals: float | None = 60.0

    def __attrs_post_init__(self) -> None:
        for tenant, weight in self.weights:
            _weigh(weight, f"the weight of tenant {tenant!r}")
        if self.unproven is not None and self.unproven < 1:
            raise UsageError(f"unproven must be at least 1, or None, not {self.unproven}")
        for name, value in (("patience", self.patience), ("refusals", self.refusals)):
            if value is not None and not (value > 0.0 and isfinite(value)):
                raise UsageError(f"{name} must be a finite number of seconds above 0, or None, not {value}")

    @property
    def records(self) -> bool:
        """Whether what is paid for is recorded before it is sent: in a journal, a ledger, or both."""
        return self.journal or self.ledger
