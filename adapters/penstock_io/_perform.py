"""What drivers do not do themselves: stores, journal and hooks behind one synchronous `perform`.

Lookups and writes of the store keep their order; so do records among each other. Records of a batch are gathered into
one group, because a group costs one commit: nobody has been told of them yet, so a lookup of another key cannot tell
whether they were written before or after it. Only a lookup or write of a key that a waiting record settles or
publishes makes the group go first. Releases come last: what was released may still be read a moment longer, and never
a moment less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from urllib.parse import urlsplit

from attrs import evolve, field, frozen

from penstock.cache.policy import shorter
from penstock.commands import Command, Consult, Notice, Notify, ReadCache, Record, Release, Warned, WriteCache
from penstock.entries import Entry, Intent, Owed, Published, Settled
from penstock.errors import UsageError
from penstock.events import Busy, CacheRead, Consulted, Event, Found, Hit, Miss, Recorded
from penstock.ids import Handle, Key, Ref
from penstock.outcomes import Meta
from penstock.readings import Answer, Fault, Vector, Verdict
from penstock.requests import ImageRequest, Request
from penstock_io._leases import Leases
from penstock_io._payloads import Payloads
from penstock_io.journal import Journal, Written
from penstock_io.ledger import Ledger
from penstock_io.stores import Holding, Lasting, Leasing, Marking, Near, Store, words


@frozen
class Question:
    """What a hook is asked: the request, and the pictures to be judged (none: its prompt is).

    `request` is one for pictures (None: it is none); `asked` is whatever was asked for, and `pictures` has then what
    came of it: replies, verdicts, vectors.
    """

    hook: str
    request: ImageRequest | None = field(default=None, repr=False)
    pictures: tuple[bytes, ...] = field(default=(), repr=False)
    asked: Request | None = field(default=None, repr=False)


Hook = Callable[[Question], "Verdict | Vector | Answer | Sequence[float]"]
"""A function of the user's, called on a thread. An embedder may answer with the numbers themselves."""


def _no_request(handle: Handle) -> Request | None:
    del handle
    return None


def unheard(notice: Notice) -> None:
    """Nobody subscribed."""
    del notice


def known_as(base_url: str) -> str:
    """What the provider at an address is called in the books: "openai", or the address' host."""
    host = urlsplit(base_url).hostname or ""
    return "openai" if host == "api.openai.com" else host


def shifted(by: float) -> float:
    """The owner's clock, asked on any thread: trio's may be asked on its own alone."""
    return monotonic() + by


class Performer:
    """Performs ReadCache, WriteCache, Record, Release and Notify in order, and asks hooks.

    `requests` says which request is behind a handle, `notices` hears what is notified. `provider` is what the provider
    of the intents is called in the books ("": as in the engine). `clock` gives the owner's absolute monotonic seconds,
    from any thread. Leases are asked of a store that has them; any other grants each.
    What a store, a hook or the journal's disk did becomes a value: a miss with a fault, a Fault, a recorded fault.
    """

    def __init__(
        self,
        store: Store | None,
        journal: Journal | None,
        hooks: Mapping[str, Hook] | None,
        payloads: Payloads,
        *,
        ledger: Ledger | None = None,
        provider: str = "",
        requests: Callable[[Handle], Request | None] = _no_request,
        notices: Callable[[Notice], object] = unheard,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        if journal is not None and journal.payloads is not payloads:
            raise UsageError("a performer with a journal uses the journal's payloads")
        able: object = store
        self._store = store
        self._near = able if isinstance(able, Near) else None
        self._lasting = able if isinstance(able, Lasting) else None
        self._holding = able if isinstance(able, Holding) else None
        self._marking = able if isinstance(able, Marking) else None
        self._leases: Leases | None = None
        if store is not None and isinstance(able, Leasing):
            folder = None if journal is None else journal.folder
            self._leases = Leases(able, clock, beats=not store.inline, folder=folder)
        self._journal = journal
        self._ledger = ledger
        self.provider = provider
        self._hooks: Mapping[str, Hook] = {} if hooks is None else hooks
        self._payloads = payloads
        self._requests = requests
        self._notices = notices

    @property
    def inline(self) -> bool:
        """Everything is in memory: `perform` may run on an event loop."""
        on_disk = self._journal is not None or self._ledger is not None or self._payloads.root is not None
        return not on_disk and (self._store is None or self._store.inline)

    def perform(self, batch: Sequence[Command]) -> list[Event]:
        """Perform commands; the answers come in the order of the commands that have one.

        Raises `UsageError` for Send, Abort, Deliver, Finish and Consult, before anything was done.
        """
        check(batch)
        answers: dict[int, Event] = {}
        group = _Group()
        released: list[Ref] = []
        for place, command in enumerate(batch):
            match command:
                case Record():
                    group.add(place, command)
                case ReadCache():
                    self._write(group, answers, command.keys)
                    answers[place] = self._read(command)
                case WriteCache():
                    self._write(group, answers, (command.key,))
                    self._keep(command)
                case Release():
                    released.extend(command.refs)
                case Notify():
                    self._tell(command.notice)
                case _:
                    continue  # refused above
        self._write(group, answers, None)
        self._release(released)
        return [answers[place] for place in sorted(answers)]

    def consult(self, command: Consult) -> Consulted:
        """Ask a hook. It may take long: run this on a thread of a pool."""
        hook = self._hooks.get(command.hook)
        if hook is None:
            return Consulted(command.question, Fault(f"no hook {command.hook!r}"))
        try:
            pictures = tuple(self._payloads.read(ref) for ref in command.subject.refs)
            asked = self._requests(command.subject.handle)
            request = asked if isinstance(asked, ImageRequest) else None
            answer = hook(Question(command.hook, request, pictures, asked))
            if not isinstance(answer, Verdict | Vector | Answer):
                answer = Vector(self._payloads.keep_vector(tuple(map(float, answer))))
        except Exception as fault:  # noqa: BLE001  # whatever a user's function raises is its answer
            return Consulted(command.question, Fault(_said(f"hook {command.hook}", fault)))
        return Consulted(command.question, answer)

    def due(self) -> float | None:
        """Seconds until `beat` is to be called; None: not before something was performed."""
        return None if self._leases is None else self._leases.due()

    def beat(self) -> None:
        """Keep the leases that are held: whoever performs on a thread calls this when it is `due`."""
        if self._leases is not None:
            self._leases.beat()

    def close(self) -> None:
        """Give leases back, make durable what waits with journal and ledger. Raises `OSError`, `sqlite3.Error`."""
        if self._leases is not None:
            self._leases.close()
        if self._journal is not None:
            self._journal.flush()
        if self._ledger is not None:
            self._ledger.flush()

    def _write(self, group: _Group, answers: dict[int, Event], keys: tuple[Key, ...] | None) -> None:
        """Write the waiting records, if one of them touches one of `keys` (None: in any case)."""
        records = group.take() if keys is None or not group.touched.isdisjoint(keys) else []
        if not records:
            return
        written = self._record([command.entry for _, command in records])
        for (place, command), one in zip(records, written, strict=True):
            answers[place] = Recorded(command.record, one.files, one.fault)

    def _record(self, entries: list[Entry]) -> list[Written]:
        """Into the ledger, then into the journal: `penstock_io.ledger.ledger` says why in this order."""
        if self.provider:
            entries = [evolve(one, provider=self.provider) if isinstance(one, Intent) else one for one in entries]
        fault = None if self._ledger is None else self._ledger.append(entries)
        if self._journal is None and self._ledger is None:
            fault = "there is no journal"
        if self._journal is None or fault is not None:
            return [Written(fault=fault)] * len(entries)
        return self._journal.append(entries)

    def _read(self, command: ReadCache) -> CacheRead:
        if command.near is not None:
            return self._read_near(command)
        return CacheRead(command.read, tuple(self._find(key, command) for key in command.keys))

    def _find(self, key: Key, command: ReadCache) -> Found:
        if self._store is None:
            return Miss(command.claim)
        leases = self._leases if command.claim else None
        try:
            found = self._store.read(key)
            if found is None and leases is not None:
                until = leases.claim(key, command.read, command.lease)
                if until is not None:
                    return Busy(until)
                if self._holding is None or self._holding.held((key,)):  # whoever had the lease may have stored it
                    found = self._store.read(key)
            if found is None:
                return Miss(command.claim)
            if leases is not None:
                leases.found(key)
                leases.give_back(key, command.read)
            return Hit(found[0], self._ref(found[1]))
        except Exception as fault:  # noqa: BLE001  # a third party's store may raise anything; it is then a miss
            claimed = command.claim if leases is None else leases.holds(key, command.read)
            return Miss(claimed, _said("store", fault))

    def _read_near(self, command: ReadCache) -> CacheRead:
        near, store = command.near, self._near
        if near is None or store is None:
            return CacheRead(command.read, (Miss(),))
        try:
            found = store.near(near.scope, self._payloads.vector(near.vector), near.threshold)
        except Exception as fault:  # noqa: BLE001  # a third party's store may raise anything; it is then a miss
            return CacheRead(command.read, (Miss(fault=_said("store", fault)),))
        if found is None:
            return CacheRead(command.read, (Miss(),))
        meta, data, score = found
        return CacheRead(command.read, (Hit(meta, self._ref(data)),), score)

    def _ref(self, data: bytes | Ref) -> Ref:
        return self._payloads.keep(data) if isinstance(data, bytes) else data

    def _keep(self, command: WriteCache) -> None:
        store, source = self._store, command.source
        if store is not None and source is not None:
            self._store_it(store, command, source)
        if self._leases is not None and command.claim is not None:
            try:
                self._leases.give_back(command.key, command.claim)
            except Exception as fault:  # noqa: BLE001  # a third party's store may raise anything; the lease ends by itself
                self._tell(Warned("store", _said("store", fault)))

    def _store_it(self, store: Store, command: WriteCache, source: Ref) -> None:
        meta = Meta() if command.meta is None else command.meta
        try:
            ttl = command.ttl
            if command.amends and self._lasting is not None:
                left = self._lasting.lasts(command.key)
                if left == 0.0:
                    return
                ttl = shorter(ttl, left)
            if self._marking is None or not self._marking.mark(command.key, meta, source):
                store.write(command.key, meta, self._payloads.read(source), ttl)
            if command.near is not None and self._near is not None:
                self._near.place(command.key, command.near.scope, self._payloads.vector(command.near.vector))
        except Exception as fault:  # noqa: BLE001  # a third party's store may raise anything; it is then not stored
            self._tell(Warned("store", _said("store", fault)))

    def _tell(self, notice: Notice) -> None:
        with suppress(Exception):  # a subscriber's fault is its own
            self._notices(notice)

    def _release(self, refs: list[Ref]) -> None:
        if self._journal is not None:
            self._journal.release(refs)
        else:
            self._payloads.release(tuple(refs))


def check(commands: Sequence[Command]) -> None:
    """Raise `UsageError` for a command that is the driver's own to perform."""
    for command in commands:
        if not isinstance(command, ReadCache | WriteCache | Record | Release | Notify):
            raise UsageError(f"{type(command).__name__} is not performed here")


def _faulted(command: ReadCache | Record, said: str) -> Event:
    if isinstance(command, Record):
        return Recorded(command.record, fault=said)
    return CacheRead(command.read, tuple(Miss(fault=said) for _ in command.keys or ("",)))


class _Group:
    """Records that wait to be written together, and the keys that they settle or publish."""

    def __init__(self) -> None:
        self.touched: set[Key] = set()
        self._records: list[tuple[int, Record]] = []

    def add(self, place: int, command: Record) -> None:
        self._records.append((place, command))
        if isinstance(command.entry, Settled | Owed | Published):
            self.touched.update(command.entry.keys)

    def take(self) -> list[tuple[int, Record]]:
        taken, self._records = self._records, []
        self.touched.clear()
        return taken


def _said(who: str, fault: Exception) -> str:
    """One line about a fault. Its own words may hold a payload or a secret, so few faults' words are repeated."""
    return f"{who}: {words(fault)}"


Done = Callable[[list[Event]], object]
"""Hears the answers to commands, on the worker's thread; posts them to the owner and returns at once."""


GROUP = 256
"""So much is performed together at most: whoever waits for the first of it does not wait for ten thousand others."""


class Worker:
    """One ordered thread for a performer. What piled up while a group was being written is the next group.

    The thread outlives whatever goes wrong: commands that could not be performed are answered with the fault, and what
    `done` raised is raised by `close`.
    """

    def __init__(self, performer: Performer) -> None:
        self._performer = performer
        self._queue: SimpleQueue[tuple[Sequence[Command], Done] | None] = SimpleQueue()
        self._fault: Exception | None = None
        self._thread = Thread(target=self._run, name="penstock-perform", daemon=True)
        self._thread.start()

    def submit(self, commands: Sequence[Command], done: Done) -> None:
        """Perform commands after all earlier ones. `done` is called once with their answers, also with none.

        Raises `UsageError` for commands that a performer does not perform.
        """
        check(commands)
        self._queue.put((commands, done))

    def close(self) -> None:
        """Wait for what was submitted, then end the thread. A second time does nothing."""
        self._queue.put(None)
        self._thread.join()
        fault, self._fault = self._fault, None
        if fault is not None:
            raise fault

    def _run(self) -> None:
        going = True
        while going:
            work, going = self._collect()
            events = iter(self._perform([command for commands, _ in work for command in commands]))
            for commands, done in work:
                mine = [next(events) for command in commands if isinstance(command, ReadCache | Record)]
                try:
                    done(mine)
                except Exception as fault:  # noqa: BLE001  # a closed loop must not end the thread of the others
                    self._fault = fault

    def _perform(self, commands: list[Command]) -> list[Event]:
        try:
            return self._performer.perform(commands)
        except Exception as fault:  # noqa: BLE001  # an unanswered command would hang its driver for ever
            said = _said("perform", fault)
            return [_faulted(c, said) for c in commands if isinstance(c, ReadCache | Record)]

    def _next(self) -> tuple[Sequence[Command], Done] | None:
        while True:
            self._performer.beat()
            with suppress(Empty):
                return self._queue.get(timeout=self._performer.due())

    def _collect(self) -> tuple[list[tuple[Sequence[Command], Done]], bool]:
        work: list[tuple[Sequence[Command], Done]] = []
        item = self._next()
        while item is not None:
            work.append(item)
            if len(work) >= GROUP:
                return work, True
            try:
                item = self._queue.get_nowait()
            except Empty:
                return work, True
        return work, False
