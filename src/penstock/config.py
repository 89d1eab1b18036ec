"""The engine's configuration: whole, frozen, comparable."""

from __future__ import annotations

from math import isfinite

from attrs import frozen

from penstock.errors import UsageError
from penstock.work import OnAmbiguous, Target


@frozen
class Limits:
    """What is believed of a quota: per minute, None where nothing is known. `concurrency` is exchanges at a time.

    `burst` is how many minutes' worth may be taken at once (1.0: a full minute; 1/60: a second). Raises UsageError for
    a limit under which nothing would ever be sent.
    """

    rpm: float | None = None
    tpm: float | None = None
    ipm: float | None = None
    concurrency: int | None = 64
    burst: float = 1.0

    def __attrs_post_init__(self) -> None:
        for name, value in (("rpm", self.rpm), ("tpm", self.tpm), ("ipm", self.ipm), ("burst", self.burst)):
            if value is not None and not (value > 0 and isfinite(value)):
                raise UsageError(f"{name} must be a finite number above 0, not {value}")
        if self.concurrency is not None and not self.concurrency >= 1:
            raise UsageError(f"concurrency must be at least 1, not {self.concurrency}")


@frozen
class Credential:
    """One API key by name: the name is its fingerprint or label, never its value. `models` None: any model."""

    name: str
    provider: str = "default"
    limits: Limits = Limits()
    models: tuple[str, ...] | None = None


@frozen
class Retry:
    """At most `attempts` exchanges a call; waits between `base` and `cap` seconds, full jitter."""

    attempts: int = 6
    base: float = 0.5
    cap: float = 60.0


@frozen
class Ambiguity:
    """When to try again what may have been billed: within max(`floor`, `share` of all attempts) under AUTO."""

    mode: OnAmbiguous = OnAmbiguous.AUTO
    floor: int = 3
    share: float = 0.02


@frozen
class Budget:
    """Hard caps in picodollars by scope: "run", "tenant:acme", "tag:summer".

    `waits`: a call that does not fit now waits for refunds, else it fails. `unknown`: send what has no known price.
    """

    caps: tuple[tuple[str, int], ...] = ()
    waits: bool = True
    unknown: bool = False


@frozen
class Gathering:
    """Put what may be bought together into one call: at most `most` samples, waiting at most `wait` seconds."""

    most: int = 1
    wait: float = 0.05


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

    `store` and `journal` say whether the driver has one. `claims` asks a shared store for leases. `halts`: with no lane
    left that can ever serve a call the engine halts (a batch) instead of failing the call (a service). `queue` bounds
    jobs waiting, `window` is how many unfinished jobs are worth having at a time (0: from the concurrency).
    `read_patience` is seconds to wait for the store.
    `downloads` is how often a URL result is tried, `url_life` how many seconds it is good for.
    """

    credentials: tuple[Credential, ...] = ()
    retry: Retry = Retry()
    ambiguity: Ambiguity = Ambiguity()
    budget: Budget = Budget()
    gathering: Gathering = Gathering()
    hedging: Hedging = Hedging()
    near: NearCache | None = None
    store: bool = False
    journal: bool = False
    claims: bool = False
    halts: bool = False
    notify: bool = True
    queue: int | None = None
    window: int = 0
    read_patience: float = 5.0
    downloads: int = 4
    url_life: float = 3600.0
