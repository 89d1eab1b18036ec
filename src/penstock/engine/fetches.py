"""Downloads of pictures that came as URLs: paid already, without credential and lane, with tries of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve

from penstock.commands import Abort, Release, Send
from penstock.engine.entities import Attempt, Fetch
from penstock.engine.moves import AllHere
from penstock.engine.tables import AttemptInput
from penstock.engine.timers import Alarm
from penstock.engine.troubles import LOST
from penstock.entries import Lane, Owed
from penstock.events import Mode
from penstock.ids import AttemptId
from penstock.work import Purpose

if TYPE_CHECKING:
    from penstock.engine.desk import Desk
    from penstock.engine.records import Records
    from penstock.events import Fetched
    from penstock.readings import Part

NO_LANE = Lane("", "")


class Fetches:
    """`table` has the downloads that are out or wait for another try."""

    def __init__(self, desk: Desk, records: Records) -> None:
        self.desk = desk
        self.records = records
        self.table: dict[AttemptId, Fetch] = {}

    def begin(self, attempt: Attempt, parts: list[Part]) -> None:
        """An attempt was charged and its pictures are URLs: say what is owed, and fetch."""
        desk, settling = self.desk, attempt.settling
        if settling is None:
            return
        expires = desk.now + desk.config.url_life
        if desk.config.records:
            keys = tuple(attempt.flights[part.index].key for part in parts)
            refs = tuple(part.ref for part in parts)
            until = desk.epoch + expires
            owed = Owed(attempt.id, keys, refs, settling.usage, settling.charge, until, desk.unix(), attempt.charges)
            self.records.issue(owed)
        settling.fetches = {}
        for part in parts:
            fetch = Fetch(AttemptId(desk.number()), attempt, part.index, part.ref, expires)
            settling.fetches[fetch.id] = fetch
        for fetch in list(settling.fetches.values()):
            if desk.closed is Mode.ABORT:
                self._lost(fetch)
            else:
                self._send(fetch)

    def _send(self, fetch: Fetch) -> None:
        attempt = fetch.attempt
        self.table[fetch.id] = fetch
        fetch.out, fetch.aborted = True, False
        until = self.desk.now + attempt.call.target.timeouts.total
        fetch.timer = self.desk.timers.arm(until, Alarm.REFETCH, fetch)
        self.desk.out.append(
            Send(
                fetch.id,
                attempt.call.id,
                attempt.bill.handle,
                attempt.call.target.operation,
                Purpose.FETCH,
                NO_LANE,
                attempt.bill.aim,
                1,
                (),
                attempt.call.target.timeouts,
                False,
                fetch.source,
                attempt.call.target.provider,
            )
        )

    def fetched(self, event: Fetched) -> None:
        """A download ended: its bytes, another try later, or lost for good; what was refused is so at once."""
        fetch = self.table.pop(event.attempt)
        fetch.out, fetch.fault = False, event.fault or ""
        self.desk.timers.cancel(fetch.timer)
        self.desk.attempt_life.go(fetch.attempt, AttemptInput.FETCHED)
        if event.files:
            self._found(fetch, event)
        elif not event.final and self._again_allowed(fetch):
            self.desk.count("download_retries")
            most = self.desk.config.retry.base * 2.0**fetch.tries
            at = self.desk.now + self.desk.rng.random() * min(most, self.desk.config.retry.cap)
            self.table[fetch.id] = fetch
            fetch.timer = self.desk.timers.arm(at, Alarm.REFETCH, fetch)
        else:
            self._lost(fetch)

    def _again_allowed(self, fetch: Fetch) -> bool:
        desk = self.desk
        return desk.closed is not Mode.ABORT and fetch.tries < desk.config.downloads and desk.now < fetch.expires

    def _found(self, fetch: Fetch, event: Fetched) -> None:
        settling = fetch.attempt.settling
        landing = settling.landings[fetch.index] if settling is not None else None
        if landing is not None:
            self.desk.out.append(Release((landing.ref,)))
            landing.ref = event.files[0]
            landing.meta = evolve(landing.meta, format=event.format, nbytes=event.nbytes)
        self._finished(fetch)

    def _lost(self, fetch: Fetch) -> None:
        settling = fetch.attempt.settling
        self.desk.count("lost")
        if settling is not None:
            settling.landings[fetch.index] = None
            why = f"{LOST.message}: {fetch.fault}" if fetch.fault else LOST.message
            settling.lost[fetch.index] = evolve(LOST, message=why)
        self.desk.out.append(Release((fetch.source,)))
        self._finished(fetch)

    def _finished(self, fetch: Fetch) -> None:
        settling = fetch.attempt.settling
        if settling is None or settling.fetches is None:
            return
        settling.fetches.pop(fetch.id, None)
        if not settling.fetches:
            owed = self.desk.closed is Mode.ABORT and self.desk.config.journal
            self.desk.moves.append(AllHere(fetch.attempt, abandoned=owed and any(settling.lost)))

    def again(self, fetch: Fetch) -> None:
        """Its back-off is over, and a new exchange has a new name; one that is out has taken too long."""
        if fetch.out:
            self._break_off(fetch)
            return
        settling = fetch.attempt.settling
        self.table.pop(fetch.id, None)
        if settling is None or settling.fetches is None:
            return
        fetch.timer = None
        if self.desk.now >= fetch.expires:
            self._lost(fetch)
            return
        settling.fetches.pop(fetch.id, None)
        fetch.tries += 1
        fetch.id = AttemptId(self.desk.number())
        settling.fetches[fetch.id] = fetch
        self._send(fetch)

    def _break_off(self, fetch: Fetch) -> None:
        if not fetch.aborted:
            fetch.aborted = True
            self.desk.out.append(Abort(fetch.id))

    def abort(self, attempt: Attempt) -> None:
        """Closed(ABORT): break downloads off; those that wait for another try are given up."""
        settling = attempt.settling
        if settling is None or settling.fetches is None:
            return
        for fetch in list(settling.fetches.values()):
            if fetch.out:
                self._break_off(fetch)
            else:
                self.desk.timers.cancel(fetch.timer)
                self.table.pop(fetch.id, None)
                self._lost(fetch)
