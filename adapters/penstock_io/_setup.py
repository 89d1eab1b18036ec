"""How a client is made: the engine's configuration, its hooks and what it tells."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import cast

from attrs import evolve, field, frozen

from penstock.catalog import NO_OVERRIDES, Overrides
from penstock.commands import Notice, Send
from penstock.config import Config, Credential, Limits
from penstock.errors import InvalidRequest, UsageError
from penstock.events import Event
from penstock.ids import Handle, JobId
from penstock.money.balances import NOTHING, Balances
from penstock.money.periods import check as check_caps
from penstock.money.periods import split
from penstock.prepare import prepare
from penstock.requests import Options, Prepared, Refusal, Request
from penstock.work import OnAmbiguous, Work
from penstock_io._access import PROVIDER, addressed
from penstock_io._perform import Hook
from penstock_io.journal import Journal
from penstock_io.ledger import Ledger
from penstock_io.lessons import recall
from penstock_io.resources import picodollars, unsendable
from penstock_io.stores import Leasing, Store

Trace = Callable[[Event, float], object]
"""Hears each event that the engine is told, and when."""


OnSend = Callable[[Send], object]
"""Hears of an exchange before it is begun, on the driver's own thread."""

OnSubmit = Callable[[JobId, int, Work], object]
"""Hears of a job before it is submitted: its id, its place in the input, its keys; on the thread that asks for it."""


@frozen
class Setup:
    """How a client is made. `base_url` ends where the endpoint's path begins ("https://api.openai.com/v1").

    `api_keys` are keys, or keys by label. `limits` are believed of each of them, and all belong to `account` ("": each
    has limits of its own), but for those that `config` has credentials of, which are called by their labels. `store`
    None: nothing is cached (with a journal: the journal is the store); of a store that can lease, leases are asked.
    `ledger` is what everything is booked in, over all runs. `budget` is dollars for everything. `config`, where given,
    is the engine's own and what `limits`, `budget` and `on_ambiguous` say is added to it. `hooks` are functions by name
    that screens ask. `record_trace` hears every event with its time, `trace` takes the lines of a trace
    (`penstock.simulation.trace`), `notices` hears what the engine wants to be known, `on_submit` of each job before it
    is submitted, `on_send` of each exchange before it is begun; `rng` is where chance comes from. `headers` go with
    every request to the provider, and never with a download; `query` goes behind the URL of each. `dialect` is how the
    provider is spoken to. `prices` are your own, on top of what is published. `lessons` is the file in which what keys'
    limits turned out to be is kept for a day. `server` is whose pictures they are, as far as keys tell
    (`penstock.cache.places`; None: the base URL's).
    """

    base_url: str
    api_keys: Sequence[str] | Mapping[str, str] = field(repr=False)
    store: Store | None = None
    journal: Journal | None = None
    limits: Limits | None = None
    config: Config | None = None
    hooks: Mapping[str, Hook] | None = None
    budget: Decimal | None = None
    on_ambiguous: OnAmbiguous | None = None
    record_trace: Trace | None = None
    trace: Callable[[str], object] | None = None
    notices: Callable[[Notice], object] | None = None
    on_submit: OnSubmit | None = None
    rng: Random | None = None
    dialect: str = "openai"
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    prices: Overrides = NO_OVERRIDES
    ledger: Ledger | None = None
    on_send: OnSend | None = None
    lessons: Path | None = None
    server: str | None = None
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    account: str = ""

    def __attrs_post_init__(self) -> None:
        for name, given, kind, example in (
            ("ledger", self.ledger, Ledger, 'Ledger.open("ledger.sqlite")'),
            ("journal", self.journal, Journal, 'Journal.open("folder")'),
            ("on_ambiguous", self.on_ambiguous, OnAmbiguous, "OnAmbiguous.RETRY"),
            ("limits", self.limits, Limits, "Limits(rpm=5)"),
            ("config", self.config, Config, "Config()"),
            ("prices", self.prices, Overrides, "Overrides((Override(...),))"),
            ("account", self.account, str, '"acme"'),
        ):
            if not isinstance(cast("object", given), kind | None):
                raise UsageError(f"{name} is such as {example}, not {given!r}")

    @property
    def maker(self) -> str:
        """Whose pictures they are, as far as their keys tell."""
        return self.base_url if self.server is None else self.server

    def prepared(self, request: Request, options: Options, config: Config, handle: Handle, unix: float) -> Prepared:
        """A request made ready under `handle` at `unix` (seconds). Raises `InvalidRequest`."""
        made = prepare(
            request,
            options,
            config,
            handle=handle,
            unix=unix,
            provider=PROVIDER,
            dialect=self.dialect,
            prices=self.prices,
            server=self.maker,
        )
        if isinstance(made, Refusal):
            raise InvalidRequest(made.message, field=made.field, outcome=unsendable(made.message, made.field))
        return made

    def configured(self, names: Sequence[str]) -> Config:
        """The engine's configuration for these credentials."""
        config = Config() if self.config is None else self.config
        if self.budget is not None:
            caps = tuple(cap for cap in config.budget.caps if cap[0] != "run")
            config = evolve(config, budget=evolve(config.budget, caps=(("run", picodollars(self.budget)), *caps)))
        if self.on_ambiguous is not None:
            config = evolve(config, ambiguity=evolve(config.ambiguity, mode=self.on_ambiguous))
        return self.completed(addressed(config, names), names)

    def completed(self, config: Config, names: Iterable[str]) -> Config:
        """`config` with these credentials and what the client has. Raises `UsageError` for caps that need a ledger."""
        check_caps(config.budget, ledger=self.ledger is not None)
        limits = Limits() if self.limits is None else self.limits
        known = {credential.name for credential in config.credentials}
        added = tuple(Credential(name, PROVIDER, limits, account=self.account) for name in names if name not in known)
        return evolve(
            config,
            credentials=(*config.credentials, *added),
            store=self.store is not None or self.journal is not None,
            claims=config.claims or isinstance(self.store, Leasing),
            journal=self.journal is not None,
            ledger=self.ledger is not None,
        )

    def changed(
        self, config: Config, added: Iterable[str], gone: Iterable[str], limits: Limits | None, before: Config
    ) -> Config:
        """`config` with further credentials, without some, and with other limits of all (None: as they are).

        What credentials were taught by earlier runs `before`, they still know.
        """
        leaving, knew = frozenset(gone), {one.name: one.lessons for one in before.credentials}
        config = self.completed(config, added)
        kept = tuple(
            evolve(one, lessons=one.lessons or knew.get(one.name, ()))
            for one in config.credentials
            if one.name not in leaving
        )
        if limits is not None:
            kept = tuple(evolve(one, limits=limits) for one in kept)
        return evolve(config, credentials=kept)

    def taught(self, config: Config, unix: float) -> Config:
        """`config` whose credentials know what earlier runs were taught, at `unix` (seconds)."""
        return config if self.lessons is None else recall(self.lessons, config, self.base_url, unix)

    def opening(self, unix: float) -> Balances:
        """What was spent before, at `unix` (seconds): in the journal's folder, and in the ledger by whoever wrote it.

        Of a tenant or a tag that both know, what is more counts. The ledger is this client's until `ended`. Raises
        `UsageError`, `LedgerError`, `sqlite3.Error`.
        """
        folder = NOTHING if self.journal is None else self.journal.balances()
        books = {scope: balance for scope, balance in folder.scopes if not split(scope)[0]}
        source = "" if self.journal is None else str(self.journal.folder)
        kept = NOTHING if self.ledger is None else self.ledger.begin(unix, source)
        for scope, balance in kept.scopes:
            books[scope] = max(balance, books.get(scope, balance), key=lambda one: one.charged + one.maybe)
        return Balances(tuple(sorted(books.items())))

    @contextmanager
    def unless_ended(self) -> Generator[None]:
        """Give the ledger back where what follows `opening` raises."""
        try:
            yield
        except BaseException:
            self.ended()
            raise

    def ended(self) -> None:
        """The client is over: another one may use the ledger. Raises `sqlite3.Error`."""
        if self.ledger is not None:
            self.ledger.end()
