"""What the three drivers share: construction, the step, who waits for which job.

A driver says how time is told, how an exchange is started and broken off, how a timer is set and how a thread tells it
something. Everything that decides is in the engine; everything here is bookkeeping that waits for nothing.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import Generic, TypeVar

from attrs import evolve, field, frozen

from penstock.catalog import NO_OVERRIDES, Overrides
from penstock.commands import Abort, Command, Consult, Deliver, Finish, Notice, ReadCache, Record, Release, Send
from penstock.config import Config, Limits
from penstock.engine import Engine
from penstock.errors import UsageError
from penstock.events import CacheRead, Closed, Event, Mode, Recorded, Streamed, Submitted, Ticked
from penstock.ids import AttemptId, Handle, JobId
from penstock.money.balances import Balances
from penstock.outcomes import Outcome, Status
from penstock.readings import Item
from penstock.requests import ImageRequest, Options, Prepared, Request
from penstock.simulation.trace import Recorder
from penstock.work import OnAmbiguous
from penstock_io._access import address, carried, keyed, named, queried, speaking
from penstock_io._debts import Debts
from penstock_io._ends import Done, Told, answered, pictured
from penstock_io._hooks import Asking
from penstock_io._http import Exchange
from penstock_io._keeping import Keeper
from penstock_io._orders import Orders, whole
from penstock_io._owing import fetch_due
from penstock_io._payloads import Payloads
from penstock_io._perform import Hook, Performer, Worker, known_as, shifted, unheard
from penstock_io._setup import OnSend, OnSubmit, Setup, Trace
from penstock_io.answers import Plain
from penstock_io.journal import Journal, JournalStore
from penstock_io.ledger import Ledger
from penstock_io.previews import Hear, HearText, hearing, nobody, writing
from penstock_io.stores import Store

Http = TypeVar("Http")

DRIFT = 2.0
"""Seconds by which the wall clock may run ahead of ours before the engine is told: the machine slept."""


@frozen
class Job:
    """Somebody waits for this one."""

    id: JobId
    handle: Handle
    request: Request = field(repr=False)
    done: Callable[[Outcome | BaseException], object]


class Base(ABC, Generic[Http]):
    """A client without its way of waiting. One owner (a loop, or a thread) calls everything but `_post` and `_join`."""

    alone = False
    entered = "async with Client(...) as client"
    _stepping = False
    _closing = False
    _owed = 0
    _engine: Engine | Recorder | None = None
    _worker: Worker | None = None
    _fault: BaseException | None = None

    def __init__(  # noqa: PLR0913 - the API's own parameters, by name
        self,
        base_url: str,
        api_keys: Sequence[str] | Mapping[str, str],
        *,
        http_client: Http | None = None,
        store: Store | None = None,
        journal: Journal | None = None,
        ledger: Ledger | None = None,
        limits: Limits | None = None,
        config: Config | None = None,
        hooks: Mapping[str, Hook] | None = None,
        budget: Decimal | None = None,
        on_ambiguous: OnAmbiguous | None = None,
        record_trace: Trace | None = None,
        trace: Callable[[str], object] | None = None,
        notices: Callable[[Notice], object] | None = None,
        on_submit: OnSubmit | None = None,
        on_send: OnSend | None = None,
        rng: Random | None = None,
        headers: Mapping[str, str] | None = None,
        prices: Overrides = NO_OVERRIDES,
        lessons: Path | None = None,
        server: str | None = None,
        dialect: str | None = None,
        query: Mapping[str, str] | None = None,
        organization: str | None = None,
        project: str | None = None,
        account: str = "",
    ) -> None:
        store = JournalStore(journal) if store is None and journal is not None else store
        self._setup = Setup(
            address(base_url), api_keys, store, journal, limits, config, hooks, budget, on_ambiguous, record_trace,
            trace, notices, on_submit, rng, speaking(dialect, base_url), carried(headers, organization, project),
            prices, ledger, on_send, lessons, server, queried(query), account,
        )  # fmt: skip
        self._keys = named(api_keys)
        self.config = keyed(self._setup.configured(tuple(self._keys)), self._keys)
        self._payloads = journal.payloads if journal is not None else Payloads()
        self._given = http_client
        self._jobs: dict[JobId, Job] = {}
        self._hearers: dict[JobId, Callable[[Item], object]] = {}
        self._prepared: dict[Handle, Prepared] = {}
        self._out: dict[AttemptId, Exchange] = {}
        self._orders = Orders(self._setup, self._keys, self._payloads, alone=self.alone)
        self._numbers = count(1)
        self._inbox: deque[Event] = deque()
        self._bells: set[Callable[[], object]] = set()
        self._asking, self._debts = Asking(), Debts()
        self._keeper = Keeper(lessons, self._setup.base_url)

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.Client {self._setup.base_url} {', '.join(self._keys)}>"

    # What a driver says

    @abstractmethod
    def _now(self) -> float:
        """Absolute monotonic seconds."""

    @abstractmethod
    def _post(self, event: Event) -> None:
        """Tell the owner from any thread; a no-op once it is gone."""

    @abstractmethod
    def _send(self, attempt: AttemptId, exchange: Exchange) -> None:
        """Start an exchange; `_over` when it ends, whatever becomes of it."""

    @abstractmethod
    def _abort(self, attempt: AttemptId) -> None:
        """Break an exchange off."""

    @abstractmethod
    def _wake_at(self, deadline: float | None) -> None:
        """Call `_tick` then; None: not at all."""

    @abstractmethod
    def _leave(self) -> None:
        """The engine is idle after Closed, or broke: let the client go."""

    # The step

    def _ready(self, opener: Callable[[str], Http]) -> Http:
        """What comes before it begins, and may wait: pictures that are due, the books, an HTTP client's trust."""
        if self._engine is not None:
            raise UsageError("a client is entered once")
        setup = self._setup
        if setup.journal is not None:
            fetch_due(setup.journal, setup.base_url, time.time())
            self._debts = Debts({one.key: one.expires for one in setup.journal.due()}, kept=True)
        self._opening = setup.opening(time.time())
        with setup.unless_ended():
            self.config = setup.taught(self.config, time.time())
            return opener(setup.base_url) if self._given is None else self._given

    def _open(self) -> None:
        """Begin: an engine, whoever performs, threads for hooks. After an error the ledger is free again."""
        with self._setup.unless_ended():
            self._begin(self._opening)

    def _begin(self, opening: Balances) -> None:
        setup = self._setup
        self._epoch = time.time() - self._now()
        rng = Random() if setup.rng is None else setup.rng  # noqa: S311 - jitter, not secrets
        if setup.trace is None:
            self._engine = Engine(self.config, rng=rng, epoch=self._epoch, opening=opening)
        else:
            self._engine = Recorder(self.config, rng=rng, epoch=self._epoch, write=setup.trace, opening=opening)
        self._performer = Performer(
            setup.store,
            setup.journal,
            setup.hooks,
            self._payloads,
            ledger=setup.ledger,
            provider=known_as(setup.base_url),
            requests=self._request,
            notices=setup.notices or unheard,
            clock=partial(shifted, self._now() - time.monotonic()),
        )
        if not self._performer.inline:
            self._worker = Worker(self._performer)

    @property
    def engine(self) -> Engine | Recorder:
        """The engine. Only the owner may ask it. Raises `UsageError` where the client was not entered."""
        if self._engine is None:
            raise UsageError(f"use the client as a context manager: {self.entered}")
        return self._engine

    def _step(self, event: Event) -> None:
        """Tell the engine a fact and perform what it says, and what that leads to at once."""
        self._inbox.append(event)
        if self._stepping or self._fault is not None:
            return
        self._stepping = True
        try:
            while self._inbox:
                told, now = self._inbox.popleft(), self._now()
                if isinstance(told, CacheRead | Recorded):
                    self._owed -= 1
                if isinstance(told, Submitted) and self._is_owed(told):
                    continue
                if self._setup.record_trace is not None:
                    self._setup.record_trace(told, now)
                self._perform(self.engine.handle(told, now))
        except BaseException as fault:
            self._break(fault)
            raise
        finally:
            self._stepping = False
        self._wake_at(self._keeper.look(self.engine, self._now(), self._post))
        if self._closing and not self._owed and self.engine.idle():
            self._leave()

    def _perform(self, commands: list[Command]) -> None:
        rest: list[Command] = []
        for command in commands:
            match command:
                case Send():
                    self._start(command)
                case Abort():
                    self._abort(command.attempt)
                case Finish():
                    self._finish(command)
                case Consult():
                    self._asking.ask(command, self._performer.consult, self._post)
                case Deliver():
                    self._hearers.get(command.job, nobody)(command.item)
                case _:
                    if isinstance(command, Release) and command.handle is not None:
                        self._prepared.pop(command.handle, None)
                    self._owed += isinstance(command, ReadCache | Record)
                    rest.append(command)
        if not rest:
            return
        self._debts.heard(rest)
        if self._worker is not None:
            self._worker.submit(rest, self._post_all)
        else:
            self._inbox.extend(self._performer.perform(rest))

    def _post_all(self, events: list[Event]) -> None:
        for event in events:
            self._post(event)

    def _tick(self) -> None:
        """The deadline came. A wall clock far ahead of ours means that the machine slept."""
        wall = time.time()
        ahead = wall - self._epoch - self._now()
        if ahead > DRIFT:
            self._epoch += ahead
        self._step(Ticked(wall if ahead > DRIFT else None))

    def _break(self, fault: BaseException) -> None:
        """The engine or a store broke its word: whoever waits hears it."""
        self._fault = fault
        for job in list(self._jobs.values()):
            job.done(fault)
        self._jobs.clear()
        for attempt in list(self._out):
            self._abort(attempt)
        self._leave()

    # Exchanges

    def _start(self, send: Send) -> None:
        if self._setup.on_send is not None:
            self._setup.on_send(send)
        made = self._orders.make(send, self._prepared, self.config)
        if not isinstance(made, Exchange):
            self._inbox.append(made)
            return
        self._out[send.attempt] = made
        self._keeper.sent(self._now())
        self._send(send.attempt, made)

    def _heard(self, attempt: AttemptId, event: Event) -> None:
        """An exchange reports something before its end; what comes too late is let go."""
        if attempt in self._out:
            self._step(event)
        elif isinstance(event, Streamed):
            self._payloads.release((event.item.ref,))

    def _over(self, attempt: AttemptId) -> None:
        """An exchange ended; a second time does nothing."""
        exchange = self._out.pop(attempt, None)
        if exchange is not None:
            self._step(exchange.answer())

    def _request(self, handle: Handle) -> Request | None:
        prepared = self._prepared.get(handle)
        return None if prepared is None else prepared.request

    # Jobs

    def _join(self, request: ImageRequest, options: Options, done: Done, index: int = 0) -> Submitted:
        """Make a job for pictures ready to be submitted, without previews. From any thread. Raises `InvalidRequest`."""
        plain = request if request.partial_images is None else evolve(request, partial_images=None)
        return self._joined(plain, options, partial(pictured, self._payloads, request, done, index), index)

    def _listen(self, request: ImageRequest, options: Options, done: Done, hear: Hear) -> Submitted:
        """The same for one whose previews are heard."""
        submitted = self._joined(request, options, partial(pictured, self._payloads, request, done, 0), 0)
        self._hearers[submitted.job] = hearing(self._payloads, hear)
        return submitted

    def _join_other(self, request: Plain, options: Options, told: Told) -> Submitted:
        """The same for anything else."""
        return self._joined(request, options, partial(answered, self._payloads, request, told), 0)

    def _listen_other(self, request: Plain, options: Options, told: Told, hear: HearText) -> Submitted:
        """The same for one whose text is heard while it is written."""
        submitted = self._join_other(request, options, told)
        self._hearers[submitted.job] = writing(self._payloads, hear)
        return submitted

    def _joined(
        self, request: Request, options: Options, done: Callable[[Outcome | BaseException], object], index: int
    ) -> Submitted:
        self._unless_broken()
        number = next(self._numbers)
        handle = Handle(number)
        prepared = self._setup.prepared(request, options, self.config, handle, self._epoch + self._now())
        whole(request)
        job = Job(JobId(number), handle, request, done)
        self._prepared[handle] = prepared
        self._jobs[job.id] = job
        if self._setup.on_submit is not None:
            self._setup.on_submit(job.id, index, prepared.work)
        return Submitted(job.id, prepared.work)

    def _unless_broken(self) -> None:
        """From any thread. Raises `UsageError` with the cause, also where it was not entered."""
        if self._fault is not None:
            raise UsageError("the client is broken") from self._fault
        _ = self.engine

    def _is_owed(self, told: Submitted) -> bool:
        """A job for what is paid and may still be downloaded ends at once: nothing is bought again."""
        trouble = self._debts.refusal(told.work, self._epoch + self._now())
        if trouble is not None:
            self._finish(Finish(told.job, Outcome(Status.FAILED, error=trouble), False))
        return trouble is not None

    def _finish(self, command: Finish) -> None:
        job = self._jobs.pop(command.job, None)
        self._hearers.pop(command.job, None)
        if job is None:
            return
        outcome = self._debts.said(self._prepared[job.handle].work, command.outcome)
        if self._setup.ledger is not None:
            work, unix = self._prepared[job.handle].work, self._epoch + self._now()
            self._setup.ledger.saved(work, outcome, unix, provider=self._performer.provider)
        if not command.detached:
            self._prepared.pop(job.handle, None)
        job.done(outcome)
        for bell in list(self._bells):
            bell()

    # The end

    def _close(self, mode: Mode) -> None:
        self._closing = True
        self._step(Closed(mode))

    def _shut(self) -> None:
        """End the threads; may wait for the disk. Raises what the journal could not write."""
        self._asking.close()
        try:
            if self._worker is not None:
                self._worker.close()
            if self._engine is not None:
                self._performer.close()
                self._keeper.ended(self._engine.snapshot())
        finally:
            self._setup.ended()
