"""Rows from standard input: each is checked and sent as it comes, and fails alone."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterable, Iterator
from functools import partial

from attrs import evolve

from penstock.ids import Key
from penstock.work import CachePolicy, OnAmbiguous
from penstock_io.batch import stopping
from penstock_io.batch.feed import Feed, Handle, lines
from penstock_io.batch.folder import prepare_folder
from penstock_io.batch.inputs import Incoming
from penstock_io.batch.keying import Keyed, Keyer
from penstock_io.batch.models import unheard
from penstock_io.batch.owing import fetch_owed
from penstock_io.batch.plan import AUTO, Stale, make_plan
from penstock_io.batch.progress import Level, Listener
from penstock_io.batch.results import line_of
from penstock_io.batch.rows import Invalid, Mistake, Row
from penstock_io.batch.run import Ended, Exit, conclude, signals, work
from penstock_io.batch.settings import Settings
from penstock_io.batch.sharing import stored
from penstock_io.batch.states import NEW, RowState, load_runs, load_states
from penstock_io.batch.watch import Watch
from penstock_io.batch.working import Batch
from penstock_io.journal import Account, Journal
from penstock_io.stores import StoreFault

LOOKS = (b'"image"', b'"mask"')
"""What stands in a line that names a file."""


def run_stream(
    settings: Settings,
    source: Handle | Iterator[bytes],
    incoming: Incoming,
    journal: Journal,
    listener: Listener,
    *,
    name: str = "standard input",
    regenerate: bool = False,
) -> Ended:
    """Do the rows of a source as they come: an open file that nothing else reads, or its lines.

    `name` is what mistakes call it. `regenerate`: rows whose pictures the folder has, made otherwise, are made again;
    without it they are `invalid`. A limit ends the reading. Everything else is as with `run_batch`.
    """
    budget = settings.bounded
    choices = evolve(settings.choices, limit=None)
    try:
        rows = journal.rows()
        states, runs = load_states(rows), load_runs(rows)
        fetch_owed(journal, settings.base_url, time.time(), listener.tell)
        account = journal.account()
        plan = evolve(
            make_plan((), states, account, choices), rebuy=frozenset(account.due if choices.retry_failed else ())
        )
        account = prepare_folder(journal, plan, states, listener.tell).account
        keyer = Keyer(choices, budget=budget, states=states, account=account, file=name)
        watch = Watch(evolve(runs, rows=None, remedy=""), time.monotonic(), settings.budget)
        again = most_again(account)
        used = account.used
        batch = Batch(settings, journal, listener, states, watch, evolve(used, tries=used.tries + again), account)
    except (OSError, sqlite3.Error) as fault:
        return Ended(Exit.HALTED, None, str(stopping.of_disk(fault, settings.folder)))
    stream = Stream(settings, source, name, incoming, keyer, journal, listener, states, account, watch)
    stream.regenerate = regenerate
    with signals(batch):
        work(batch, stream)
        batch.halt = batch.halt or stream.halt
        if not (stream.rows or stream.invalid or batch.halt or batch.interrupts):
            return Ended(Exit.USAGE, None, f"{name}: there is no row in it.")
        return conclude(batch, journal, stream.rows, stream.invalid, stream.sent, whole=stream.whole)


class Stream:
    """The rows that have come, as the source of a batch. `sent` are the ids of those that it was given."""

    def __init__(
        self,
        settings: Settings,
        source: Handle | Iterator[bytes],
        name: str,
        incoming: Incoming,
        keyer: Keyer,
        journal: Journal,
        listener: Listener,
        states: dict[str, RowState],
        account: Account,
        watch: Watch,
    ) -> None:
        self.rows: list[Keyed] = []
        self.invalid: list[Invalid] = []
        self.sent: list[str] = []
        self.halt: stopping.Halt | None = None
        self.whole = False
        self.regenerate = False
        self._settings = settings
        self._source = source
        self._name = name
        self._incoming = incoming
        self._keyer = keyer
        self._journal = journal
        self._listener = listener
        self._tell = partial(listener.tell, level=Level.DETAIL)  # of each row alone it would be too much
        self._states = states
        self._account = account
        self._watch = watch
        self._feed: Feed | None = None
        self._stopped = False
        self._buying = 0
        self._doubtful = 0
        self._again = most_again(account)
        self._models: set[str] = set()

    # As a source

    async def next(self) -> Keyed | None:
        """The next row that is to be sent, as soon as it comes. Raises what the disk says."""
        if self._feed is None:
            self._feed = Feed(_lines(self._source))
        while not self._stopped and (line := await self._feed.next()) is not None:
            looks = any(name in line for name in LOOKS)  # at a file: not on the loop
            taken = await asyncio.to_thread(self._incoming.take, line) if looks else self._incoming.take(line)
            keyed = self._take(taken)
            if keyed is None:
                continue
            opened = await self._opened(keyed)
            if opened is not None:
                self.sent.append(keyed.id)
                return opened
            self._watch.row(self._stands(keyed))
        if self._feed.fault is not None:
            self.halt = stopping.of_input(self._feed.fault)
        self.whole = self.whole or (not self._stopped and self.halt is None)
        return None

    @property
    def coming(self) -> int:
        """Lines that were read and not taken."""
        return 0 if self._feed is None else self._feed.ready

    @property
    def pictures(self) -> float:
        """As many for each of them as rows have asked for so far."""
        return self.coming * self._watch.mix.each

    @property
    def total(self) -> int | None:
        """All rows, once the input has ended."""
        return len(self.rows) + len(self.invalid) if self.whole else None

    def stop(self) -> None:
        """No more are wanted."""
        self._stopped = True
        if self._feed is not None:
            self._feed.close()

    # A row

    def _take(self, taken: Row | Invalid | None) -> Keyed | None:
        if isinstance(taken, Row):
            made = self._keyer.key(taken)
            if isinstance(made, Keyed):
                self._heed(made.request.model)
                self.rows.append(made)
                return made
            taken = Invalid(taken.id if taken.explicit else None, taken.index, taken.line, made)
        if taken is not None:
            self._watch.row("invalid")
            self._refuse(taken)
        return None

    def _heed(self, model: str) -> None:
        """Tell, once of each, of a model that nobody knows."""
        if model not in self._models:
            self._models.add(model)
            for warning in unheard((model,), self._settings.base_url, self._settings.choices.priced):
                self._listener.tell(warning, Level.WARNING)

    def _refuse(self, invalid: Invalid) -> None:
        self.invalid.append(invalid)
        for mistake in invalid.mistakes:
            self._listener.tell(str(mistake), Level.WARNING)

    def _stands(self, keyed: Keyed) -> str:
        """How a row stands that is not to be sent; one whose pictures have just been published is complete."""
        if not self.rows or self.rows[-1] is not keyed:
            return "invalid"
        status = line_of(keyed, self._states.get(keyed.id, NEW), self._account).status
        return "completed" if status == "pending" else status

    async def _opened(self, keyed: Keyed) -> Keyed | None:
        """A row as it is to be sent, as the folder stands; None for one that is not."""
        choices, account = self._settings.choices, self._account
        books = (account.prices, account.doubts, account.due, account.lost)
        known = keyed.id in self._states or any(key in some for key in keyed.keys for some in books)
        opened = await self._left(keyed) if known else keyed
        if opened is None:
            return None
        buys = opened.cache is not CachePolicy.ONLY and any(key not in account.prices for key in keyed.keys)
        if choices.limit is not None and buys:
            self._buying += 1
            if self._buying >= choices.limit and self._feed is not None:
                self.whole = True
                self._feed.close()
        return opened

    async def _left(self, keyed: Keyed) -> Keyed | None:
        choices, account = evolve(self._settings.choices, limit=None), self._account
        plan = make_plan((keyed,), self._states, account, choices, await self._stored(keyed))
        if plan.stale and not self.regenerate:
            self.rows.pop()
            self._refuse(self._kept(keyed, plan.stale[0]))
            return None
        again = self._doubtful + plan.doubtful
        if choices.on_ambiguous is OnAmbiguous.AUTO and plan.doubtful and again > self._again:
            return None
        self._doubtful += plan.doubtful
        if not plan.send:
            return None
        prepared = await asyncio.to_thread(prepare_folder, self._journal, plan, self._states, self._tell)
        return prepared.send[0] if prepared.send else None

    async def _stored(self, keyed: Keyed) -> frozenset[Key]:
        """Pictures of a row in doubt that the shared store has; one that cannot be asked has none."""
        doubted = [key for key in keyed.keys if key in self._account.doubts]
        try:
            return await asyncio.to_thread(stored, self._settings.cache, doubted)
        except StoreFault:
            return frozenset()

    def _kept(self, keyed: Keyed, stale: Stale) -> Invalid:
        row = keyed.row
        why = f"the folder has its pictures otherwise ({stale.why}): --yes makes them again, another --out beside them"
        mistake = Mistake(self._name, row.line, "", why)
        return Invalid(row.id if row.explicit else None, row.index, row.line, (mistake,))


def most_again(account: Account) -> int:
    """How many doubtful pictures of earlier runs `auto` tries once more, where nobody knows how many rows will come."""
    most = max(AUTO.floor, int(AUTO.share * account.attempts)) - account.tries
    return max(0, min(most, len(account.doubts.keys() - account.again)))


def _lines(source: Handle | Iterator[bytes]) -> Iterable[bytes]:
    return lines(source) if isinstance(source, Handle) else source
