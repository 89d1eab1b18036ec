"""What the engine is told of a request: numbers, names and digests. Built by `penstock.prepare`, never by hand."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum, IntEnum

from attrs import frozen

from penstock.ids import Handle, Key


@frozen
class Demand:
    """What an attempt takes from a quota: requests, images (`n` and reference images), estimated tokens.

    Of the images, `inputs` are taken once, however many pictures are made from them.
    """

    requests: int = 1
    images: int = 0
    tokens: int = 0
    inputs: int = 0

    def times(self, samples: int) -> Demand:
        """The demand of one request that buys `samples` pictures of this demand each."""
        if samples == 1:
            return self
        images = self.inputs + (self.images - self.inputs) * samples
        return Demand(self.requests, images, self.tokens * samples, self.inputs)


@frozen
class Rates:
    """What a token of each class costs, in picodollars ($1 per million tokens is 1,000,000 of them), and a picture.

    A class of None has no published price. `source` and `since` (YYYY-MM-DD) say where the figures come from.
    """

    text: int | None = None
    cached_text: int | None = None
    image: int | None = None
    cached_image: int | None = None
    image_out: int | None = None
    text_out: int | None = None
    picture: int | None = None
    source: str = ""
    since: str = ""

    def times(self, factor: Decimal) -> Rates:
        """Every rate times `factor`; a fraction of a picodollar counts as a whole one, unknown stays unknown."""
        tiny = factor > 0 and factor.adjusted() < -40  # 1e-999999999 has a denominator that no memory holds
        numerator, denominator = (1, 10**40) if tiny else factor.as_integer_ratio()

        def scaled(rate: int | None) -> int | None:
            return None if rate is None else -(-rate * numerator // denominator)

        return Rates(
            text=scaled(self.text),
            cached_text=scaled(self.cached_text),
            image=scaled(self.image),
            cached_image=scaled(self.cached_image),
            image_out=scaled(self.image_out),
            text_out=scaled(self.text_out),
            picture=scaled(self.picture),
            source=f"{self.source}, times {factor:f}",
            since=self.since,
        )


class Purpose(Enum):
    """What an exchange is for."""

    GENERATE = "generate"
    SCREEN = "screen"
    EMBED = "embed"
    FETCH = "fetch"


class Priority(IntEnum):
    """Who goes first among waiting calls of a lane group; smaller is sooner."""

    INTERACTIVE = 0
    NORMAL = 1
    BATCH = 2


class CachePolicy(Enum):
    """`use` reads and writes the store and shares calls; `refresh` writes only; `only` never buys; `off` neither."""

    USE = "use"
    REFRESH = "refresh"
    ONLY = "only"
    OFF = "off"

    @property
    def keeps(self) -> bool:
        """Whether what is bought under it is stored."""
        return self is CachePolicy.USE or self is CachePolicy.REFRESH


class OnAmbiguous(Enum):
    """What to do with a call that may have been executed: one more try within an allowance, always retry, never.

    `ask` is like `skip`, and whoever runs many jobs (a batch) asks at the end, about all of them together.
    """

    AUTO = "auto"
    RETRY = "retry"
    SKIP = "skip"
    ASK = "ask"


@frozen
class Timeouts:
    """Seconds: to connect, and for the whole exchange. A shorter total cuts off pictures that are paid all the same."""

    connect: float = 10.0
    total: float = 600.0


@frozen
class Item:
    """One of several different things that one call may carry, such as an input of embeddings: what it takes and costs.

    `quote` is a bound in picodollars; None is unknown.
    """

    demand: Demand = Demand()
    quote: int | None = None


@frozen
class Target:
    """One way to say a request: provider, model, and what one sample of it takes.

    `keys` has one key a sample. `demand` and `quote` are upper bounds *a sample* (tokens, picodollars); a quote of
    None is unknown. A divisible target may be bought in several calls of at most `most` samples. `gather` names what
    may be bought together with other jobs' samples in one call (None: nothing). `array` has an item a sample where
    samples are different things (empty: they are alike); `demand` and `quote` are then the largest's, and one call
    takes at most `most_tokens` tokens of them (None: any). `size` and `quality` are as they were asked for ("": left to
    the provider). `adapts` names what of it can be said otherwise to a server that refuses it ("stream"). A `stream`
    may bring previews, or text as it is written. `unbounded` says why there is no quote although there is a price.
    """

    provider: str
    model: str
    keys: tuple[Key, ...] = ()
    demand: Demand = Demand()
    quote: int | None = None
    expected: int | None = None
    rates: Rates | None = None
    dialect: str = "openai"
    pool: str = ""
    operation: str = "images.generate"
    purpose: Purpose = Purpose.GENERATE
    divisible: bool = True
    most: int = 10
    most_tokens: int | None = None
    gather: str | None = None
    array: tuple[Item, ...] = ()
    scope: str = ""
    stream: bool = False
    adapts: tuple[str, ...] = ()
    hedgeable: bool = True
    timeouts: Timeouts = Timeouts()
    size: str = ""
    quality: str = ""
    asked: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    unbounded: str = ""

    @property
    def pictures(self) -> bool:
        """Whether what it brings are pictures."""
        return self.operation.startswith("images.")

    @property
    def group(self) -> str:
        """The lane group that can serve this target."""
        return f"{self.provider}/{self.model}"


@frozen
class Screen:
    """A check before the prompt is sent (`picture=False`) or before a picture is shown (`picture=True`).

    Either `hook` names a function of the driver, or `target` is a call to a provider. `policy` carries its version:
    a stored verdict of the same policy is not asked for again. A fault or silence counts as `passes_on_fault` says.
    """

    policy: str
    picture: bool = False
    hook: str = ""
    target: Target | None = None
    patience: float = 30.0
    passes_on_fault: bool = False


@frozen
class Work:
    """One job, prepared. `targets` is its chain, first choice first.

    `deadline` is absolute monotonic seconds or None; tenant and tags become budget scopes and sums of the ledger.
    `near` asks for the near cache, `ttl` is seconds. `defer` says that a job whose chain is used up is put off durably
    instead of failing. All targets have the same number of keys: one a sample.
    """

    targets: tuple[Target, ...]
    handle: Handle = Handle(0)
    tenant: str = ""
    tags: tuple[str, ...] = ()
    priority: Priority = Priority.NORMAL
    deadline: float | None = None
    on_ambiguous: OnAmbiguous | None = None
    cache: CachePolicy = CachePolicy.USE
    near: bool = False
    ttl: float | None = None
    screens: tuple[Screen, ...] = ()
    defer: bool = False

    @property
    def samples(self) -> int:
        """How many pictures are asked for."""
        return len(self.targets[0].keys)

    @property
    def picture_policy(self) -> str:
        """The policy of all picture screens together, as it is kept beside a stored verdict; "": there are none."""
        if not self.screens:
            return ""
        return "+".join([screen.policy for screen in self.screens if screen.picture])
