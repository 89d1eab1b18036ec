"""How a batch is done: values that the command line fills in and the run goes by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import Enum
from pathlib import Path

from attrs import evolve, field, frozen

from penstock.catalog import NO_OVERRIDES, Overrides
from penstock.config import Ambiguity, Budget, Config, Credential, Limits, Used
from penstock.requests import Unsaid
from penstock.work import OnAmbiguous
from penstock_io._access import PROVIDER, fingerprint
from penstock_io.batch.funds import Funds
from penstock_io.resources import picodollars

TEMPLATE = "{id}"
"""How pictures are named where `--name` does not say."""


class Repeats(Enum):
    """What rows get that ask for the same: one picture for all of them, or a new one each."""

    SHARE = "share"
    NEW = "new"


@frozen
class Choices:
    """Which rows are sent, and as what.

    `retry_failed` sends also what failed for good; `limit` is how many rows at most (None: all); `name` is a template
    of file names ("{sku}-{k}"). `prices` are the user's own; `unknown` sends also what has none, in spite of a budget.
    `strict` refuses a model that nobody knows and that is nearly one that is known.
    `server` is the base URL, as far as pictures' keys tell of it (`penstock.cache.places`; "": they do not),
    `dialect` how it is spoken to, `unsaid` what is done with what that has no words for.
    """

    on_ambiguous: OnAmbiguous = OnAmbiguous.AUTO
    retry_failed: bool = False
    limit: int | None = None
    repeats: Repeats = Repeats.SHARE
    name: str = TEMPLATE
    prices: Overrides = NO_OVERRIDES
    unknown: bool = False
    strict: bool = False
    server: str = ""
    dialect: str = "openai"
    unsaid: Unsaid = Unsaid.DROP

    @property
    def priced(self) -> frozenset[str]:
        """The models that the user has a price for, and so knows."""
        return frozenset(one.model for one in self.prices.rates)


@frozen
class Conversion:
    """What becomes of each picture once it is there: `longest` side in pixels, `format` and `quality` (1 to 100)."""

    longest: int | None = None
    format: str | None = None
    quality: int | None = None


@frozen
class Settings:
    """How a batch is done.

    `keys` are API keys by label; `limits` are believed of each, but for those that have something said of them alone:
    those are `credentials`, by fingerprint. `headers` and `query` go with every request, `budget` is dollars for the
    folder over all its runs, `funds` what may be spent besides, `max_failures` ends the run after so many failed rows,
    `deadline` is seconds after which nothing new is sent. `lessons` is the file of what keys' limits turned out to be
    (None: it is not kept). `cache` is the store of pictures that folders share (None: each has its own alone). `rows`
    are the options that say how rows are read, and what those ask for that do not say it themselves, by name.
    `again` reads the settings anew, and says why not where it cannot (None: they stand in no file).
    """

    folder: Path
    base_url: str
    keys: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(factory=dict[str, str])
    limits: Limits = field(factory=Limits)
    budget: Decimal | None = None
    choices: Choices = field(factory=Choices)
    max_failures: int | None = None
    deadline: float | None = None
    conversion: Conversion | None = None
    funds: Funds = field(factory=Funds)
    lessons: Path | None = None
    cache: str | None = field(default=None, repr=False)
    rows: Mapping[str, object] = field(factory=dict[str, object])
    query: Mapping[str, str] = field(factory=dict[str, str], repr=False)
    credentials: tuple[Credential, ...] = ()
    again: Callable[[], Settings | str] | None = field(default=None, eq=False, repr=False)

    def caps(self) -> Budget:
        """All that bounds what is spent, for a client."""
        budget = self.funds.budget(unknown=self.choices.unknown)
        if self.budget is None:
            return budget
        return evolve(budget, caps=(("run", picodollars(self.budget)), *budget.caps))

    def config(self, used: Used) -> Config:
        """What a client goes by; `used` is what earlier runs took of the allowance for doubtful pictures."""
        return Config(
            credentials=self.credentials,
            patience=None,
            ambiguity=Ambiguity(self.choices.on_ambiguous, window=None, before=used),
            budget=self.funds.budget(unknown=self.choices.unknown),
            halts=True,
        )

    def whole(self) -> tuple[Credential, ...]:
        """A credential for each key, by its fingerprint, whether or not something is said of it alone."""
        said = {one.name: one for one in self.credentials}
        names = dict.fromkeys(fingerprint(key) if key else label for label, key in self.keys.items())
        return tuple(said.get(name) or Credential(name, PROVIDER, self.limits) for name in names)

    def quotas(self, model: str, said: str = "") -> dict[str, tuple[str, Limits]]:
        """The names and believed limits of what a model draws on, by the fingerprint of whose it is.

        An account's is its first key's; `said` is what the catalog calls the quota ("": as the model).
        """
        serving = [one for one in self.whole() if one.models is None or model in one.models]
        owners = {one.account or one.name: one for one in reversed(serving)}
        return {one.name: one.pool(model, said) for one in reversed(owners.values())}

    @property
    def bounded(self) -> bool:
        """Whether only what has a known price is sent."""
        return (self.budget is not None or self.funds.capped) and not self.choices.unknown
