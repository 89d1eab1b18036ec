"""Watches line 11 and the references: what is paid is kept, and what nobody needs any more is released once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.commands import Abort, Finish, Release, Send, WriteCache
from penstock.entries import Settled
from penstock.events import CacheRead, Cancelled, Consulted, Fetched, Hit, Recorded, Responded, Streamed
from penstock.readings import Success, Vector
from penstock.simulation._violation import Violation
from penstock.work import CachePolicy, Purpose

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from penstock.commands import Record
    from penstock.config import Config
    from penstock.events import Event
    from penstock.ids import AttemptId, CallId, JobId, Key, RecordId, Ref
    from penstock.work import Work

KEEPS = (CachePolicy.USE, CachePolicy.REFRESH)


class Payloads:
    """Follows every reference that the driver hands in until it is released, every paid picture until it is kept.

    `aborted`: closed with an ABORT, after which what is owed stands in the journal, and nothing else is promised.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self.aborted = False
        self._live: dict[Ref, int] = {}
        self._owed: dict[Ref, AttemptId] = {}
        self._spare: set[Ref] = set()
        self._unstored: dict[Key, AttemptId] = {}
        self._settled: dict[RecordId, tuple[Ref, ...]] = {}
        self._won: set[CallId] = set()
        self._stored: set[Key] = set()
        self._urls: dict[Ref, Key | None] = {}
        self._fetches: dict[AttemptId, Send] = {}

    def took(self, event: Event, sent: Send | None, works: Mapping[JobId, Work]) -> None:
        """A fact brought references."""
        if isinstance(event, Responded):
            if isinstance(event.reading, Success) and sent is not None:
                self._success(event.reading, sent, works)
        elif isinstance(event, CacheRead):
            self._enter(found.ref for found in event.found if isinstance(found, Hit))
        elif isinstance(event, Streamed):
            self._enter((event.item.ref,))
        elif isinstance(event, Consulted):
            if isinstance(event.answer, Vector):
                self._enter((event.answer.ref,))
        elif isinstance(event, Recorded):
            self._filed(event)
        elif isinstance(event, Fetched):
            self._fetched(event)

    def _enter(self, refs: Iterable[Ref]) -> None:
        for ref in refs:
            self._live[ref] = self._live.get(ref, 0) + 1

    def _success(self, reading: Success, sent: Send, works: Mapping[JobId, Work]) -> None:
        if isinstance(reading.answer, Vector):
            self._enter((reading.answer.ref,))
        self._enter(part.ref for part in reading.parts)
        if sent.purpose is not Purpose.GENERATE:
            return
        keys = _keys(sent, works) if self._stores(sent, works) else None
        places: set[int] = set()
        for part in reading.parts:
            if part.index in places or not 0 <= part.index < sent.samples:
                self._spare.add(part.ref)
                continue
            places.add(part.index)
            key = keys[part.index] if keys is not None else None
            if part.url:
                self._urls[part.ref] = key
            else:
                self._pay(part.ref, sent, key, works)
        if places:
            self._won.add(sent.call)

    def _stores(self, sent: Send, works: Mapping[JobId, Work]) -> bool:
        """Whether its pictures have to go to the store (of a call for several jobs nobody can tell whose are whose)."""
        if not self._config.store or len(sent.parts) != 1:
            return False
        return works[sent.parts[0][0]].cache in KEEPS

    def _pay(self, ref: Ref, sent: Send, key: Key | None, works: Mapping[JobId, Work]) -> None:
        kept = all(works[job].cache in KEEPS for job, _ in sent.parts)
        if sent.call in self._won and not self._config.journal:
            self._spare.add(ref)
        elif self._config.journal or (self._config.store and kept):
            self._owed[ref] = sent.attempt
        if key is not None and sent.call not in self._won:
            self._unstored[key] = sent.attempt

    def _filed(self, event: Recorded) -> None:
        refs = self._settled.pop(event.record, ())
        if event.fault is not None or not event.files or not refs:
            return
        for ref, file in zip(refs, event.files, strict=True):
            if ref and file:
                self._drop(ref)
                self._enter((file,))

    def _fetched(self, event: Fetched) -> None:
        self._enter(event.files)
        send = self._fetches.pop(event.attempt)
        if send.source is not None and event.files:
            key = self._urls.get(send.source)
            if key is not None and key not in self._stored:
                self._unstored[key] = send.attempt
            if self._config.journal:
                self._owed[event.files[0]] = send.attempt

    def ordered(self, command: Send | Finish | WriteCache | Release) -> None:
        """An order hands references on."""
        if isinstance(command, Release):
            self._released(command)
        elif isinstance(command, WriteCache):
            if command.source is not None:
                self._owed.pop(command.source, None)
                self._unstored.pop(command.key, None)
                self._stored.add(command.key)
                self._alive(command.source)
        elif isinstance(command, Finish):
            for picture in command.outcome.pictures:
                self._owed.pop(picture.ref, None)
                if not self._config.journal:
                    self._alive(picture.ref)
        elif command.purpose is Purpose.FETCH:
            self._fetches[command.attempt] = command

    def recorded(self, command: Record) -> None:
        """An entry makes pictures durable."""
        if isinstance(command.entry, Settled):
            self._settled[command.record] = command.entry.refs
            for ref in command.entry.refs:
                self._owed.pop(ref, None)

    def _released(self, command: Release) -> None:
        for ref in command.refs:
            self._alive(ref)
            self._drop(ref)
            attempt = self._owed.pop(ref, None)
            if attempt is not None and ref not in self._spare and not self.aborted:
                raise Violation(11, f"the picture {ref} of attempt {attempt} is paid and let go")
            self._spare.discard(ref)

    def _alive(self, ref: Ref) -> None:
        if ref not in self._live:
            raise Violation(11, f"{ref} was never handed in, or is released already")

    def _drop(self, ref: Ref) -> None:
        count = self._live[ref] - 1
        if count:
            self._live[ref] = count
        else:
            del self._live[ref]

    def aborts(self, command: Abort, send: Send, event: Event, since: float, now: float) -> None:
        """An Abort must have a reason: the caller asked for it, a time-out, ABORT, or another attempt has won."""
        asked = isinstance(event, Cancelled) and event.abort
        over = now > since + send.timeouts.total - 1e-6
        won = isinstance(event, Responded | Recorded | Fetched) and (
            send.call in self._won or send.purpose is not Purpose.GENERATE
        )
        if not (asked or over or won or self.aborted):
            raise Violation(11, f"attempt {command.attempt} is broken off though nobody asked for it")

    def at_rest(self) -> None:
        """Nothing is out: every paid picture was kept, every reference let go (after an ABORT some may stand)."""
        if not self.aborted:
            for what, left in (("kept", self._owed), ("stored", self._unstored), ("released", self._live)):
                if left:
                    raise Violation(11, f"never {what}: {', '.join(map(str, left))}")
        self._won.clear()
        self._stored.clear()
        self._urls.clear()


def _keys(sent: Send, works: Mapping[JobId, Work]) -> list[Key]:
    """The keys that an exchange buys; in their order where it buys for one job."""
    return [works[job].targets[sent.target].keys[index] for job, indices in sent.parts for index in indices]
