"""Flights: one picture each. Who wants it, whether the store has it, who is told when it lands.

A flight begins with the lookup; whoever asks for the same key later joins before any further lookup. It is over in the
step in which it lands or fails: everybody who asks hears it, and the key is free again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.cache.policy import lifetime, shorter
from penstock.commands import Near, ReadCache, Release, Warned, WriteCache
from penstock.engine.billing import payer
from penstock.engine.entities import Ask, Flight, Job, Landing, Read
from penstock.engine.leases import expiring, span
from penstock.engine.moves import Dropped, Heard, Joined, Renewed, Wanted
from penstock.engine.questions import let_go
from penstock.engine.tables import CallState, FlightInput, FlightState
from penstock.engine.timers import Alarm
from penstock.engine.troubles import CLOSED, NOT_STORED
from penstock.events import Busy, Hit, Miss
from penstock.ids import ReadId
from penstock.outcomes import Source, Trouble
from penstock.readings import Vector
from penstock.work import CachePolicy

if TYPE_CHECKING:
    from penstock.engine.desk import Desk
    from penstock.engine.entities import Call
    from penstock.engine.moves import Answered, Asked, Broke, Forgotten, Landed, Left
    from penstock.engine.questions import Questions
    from penstock.events import CacheRead, Found
    from penstock.ids import Key

SOON = 0.05
"""Seconds until a claim that seems to be over already is looked at again."""

LINE = 60
"""So many times its patience a lookup may stand in line before a store that answers others meanwhile."""


class Flights:
    """`table` has the flights that may be joined, by key; `reads` what the store owes an answer to.

    `heard` is when it gave its last one (absolute seconds).
    """

    def __init__(self, desk: Desk, questions: Questions) -> None:
        self.desk = desk
        self.questions = questions
        self.table: dict[Key, Flight] = {}
        self.reads: dict[ReadId, Read] = {}
        self.heard = float("-inf")

    # Asking

    def asked(self, move: Asked) -> None:
        """Join what is on its way, look up what may be stored, want the rest."""
        config = self.desk.config
        policy = move.job.work.cache
        shares = config.store and policy is not CachePolicy.OFF
        look: list[Flight] = []
        want: list[Flight] = []
        for ask in move.asks:
            target = ask.aim()
            key = target.keys[ask.index]
            flight = self.table.get(key) if shares and not target.stream else None
            if flight is not None and joinable(flight, policy):
                self._join(flight, ask)
                continue
            flight = Flight(key, [ask])
            ask.flight = flight
            if config.store and policy.keeps:
                flight.stores, flight.ttl = True, move.job.work.ttl
            if shares and key not in self.table:
                self.table[key] = flight
                flight.shared = True
            if shares and policy is not CachePolicy.REFRESH:
                self.desk.flight_life.go(flight, FlightInput.LOOK)
                look.append(flight)
            elif policy is CachePolicy.ONLY:
                self._fail(flight, NOT_STORED, None)
            else:
                self.desk.flight_life.go(flight, FlightInput.WANT)
                want.append(flight)
        if look:
            self._look(tuple(look))
        if want:
            self.desk.moves.append(Wanted(want, want[0].asks[0].aim()))

    def _join(self, flight: Flight, ask: Ask) -> None:
        flight.asks.append(ask)
        ask.flight = flight
        work = ask.job.work
        if work.cache.keeps:
            flight.stores, flight.ttl = True, shorter(flight.ttl, work.ttl)
        self.desk.count("joined")
        if flight.call is not None:
            self.desk.moves.append(Joined(flight.call, work.priority))

    # Looking

    def _look(self, flights: tuple[Flight, ...], near: Near | None = None, call: Call | None = None) -> None:
        desk = self.desk
        config = desk.config
        read = Read(ReadId(desk.number()), flights, near is not None, desk.now, call=call)
        read.timer = desk.timers.arm(desk.now + config.read_patience, Alarm.READ, read)
        self.reads[read.id] = read
        for flight in flights:
            flight.read = read
        keys = tuple([flight.key for flight in flights])
        buys = near is None and any(ask.job.work.cache is not CachePolicy.ONLY for ask in flights[0].asks)
        lease = span(flights) if config.claims and buys else 0.0
        read.leased = desk.now + lease
        desk.out.append(ReadCache(read.id, keys, near, lease > 0.0, config.read_patience, lease))

    def renew(self, call: Call) -> None:
        """It could be sent now: look once more whether these are still ours to make."""
        self.desk.count("renewals")
        self._look(tuple([flight for flight in call.flights if expiring(flight, call, self.desk.now)]), None, call)

    def read(self, event: CacheRead) -> None:
        """The store answered. What nobody waits for any more gives its claim and its bytes back."""
        read = self.reads.pop(event.read)
        self.heard = self.desk.now
        self.desk.timers.cancel(read.timer)
        missed: list[Flight] = []
        for flight, found in zip(read.flights, event.found, strict=True):
            if isinstance(found, Miss) and found.fault is not None:
                self.desk.count("store_faults")
                self.desk.notify(Warned("store", found.fault))
            if flight.read is not read:
                self._give_back(flight.key, read.id, found)
            elif read.call is not None:
                self._reclaimed(flight, read, found, read.call)
            elif self._found(flight, read, found, event.score):
                missed.append(flight)
        self._missed(missed)
        self._renewed(read)

    def _renewed(self, read: Read) -> None:
        if read.call is not None and not read.late:
            self.desk.moves.append(Renewed(read.call))

    def _reclaimed(self, flight: Flight, read: Read, found: Found, call: Call) -> None:
        """A lease that was to begin anew: another process may have made the picture meanwhile, or be making it."""
        flight.read = None
        busy = isinstance(found, Busy) and not call.doubtful  # what may have been billed is not left to others
        if isinstance(found, Hit) or busy:
            call.flights.remove(flight)
            flight.call = None
            self._let_go(flight)
            self._found(flight, read, found, None)
        elif isinstance(found, Miss) and found.claimed:
            self._let_go(flight)
            flight.claim, flight.leased = read.id, read.leased
        else:
            flight.leased = read.leased  # the store is at fault: it is not asked again for a while

    def _let_go(self, flight: Flight) -> None:
        """The lease is another's, or has a new name."""
        if flight.claim is not None:
            self.desk.out.append(WriteCache(flight.key, None, claim=flight.claim))
            flight.claim = None

    def _found(self, flight: Flight, read: Read, found: Found, score: float | None) -> bool:
        """Take one answer; True where the flight found nothing."""
        flight.read = None
        if isinstance(found, Hit) and read.near and self._near_landed(flight, found, score):
            return True
        if isinstance(found, Hit):
            life_input = FlightInput.NEAR_HIT if read.near else FlightInput.HIT
            self.desk.flight_life.go(flight, life_input)
            self.desk.count("near_hits" if read.near else "hits")
            self._spared(found, len(flight.asks))
            landing = Landing(flight.key, found.ref, found.meta, score=score if read.near else None)
            self._spread(flight, landing, None, Source.SIMILAR if read.near else Source.STORED)
            return False
        if isinstance(found, Busy) and not read.near:
            self.desk.flight_life.go(flight, FlightInput.BUSY)
            self.desk.count("busy")
            flight.timer = self.desk.timers.arm(max(found.until, self.desk.now + SOON), Alarm.CLAIM, flight)
            return False
        if isinstance(found, Miss) and found.claimed:
            flight.claim, flight.leased = read.id, read.leased
        return True

    def _near_landed(self, flight: Flight, found: Hit, score: float | None) -> bool:
        """A near hit is only for those who asked for one; True where others are left, for whom it is a miss."""
        others = [ask for ask in flight.asks if not ask.job.work.near]
        if not others:
            return False
        self.desk.count("near_hits")
        self._spared(found, len(flight.asks) - len(others))
        landing = Landing(flight.key, found.ref, found.meta, score=score)
        for ask in flight.asks:
            if ask.job.work.near:
                ask.landing, ask.source, ask.flight = landing, Source.SIMILAR, None
                landing.holders += 1
                self.desk.moves.append(Heard(ask, payer=False))
        flight.asks[:] = others
        if not landing.holders:
            self.desk.out.append(Release((landing.ref,)))
        return True

    def _spared(self, found: Hit, asks: int) -> None:
        """What is read instead of made: its bytes, and for each who asked the time that it took."""
        self.desk.count("read_bytes", found.meta.nbytes)
        self.desk.count("saved_ms", round(found.meta.seconds * 1000) * asks)

    def _give_back(self, key: Key, read: ReadId, found: Found) -> None:
        if isinstance(found, Miss) and found.claimed:
            self.desk.out.append(WriteCache(key, None, claim=read))
        elif isinstance(found, Hit):
            self.desk.out.append(Release((found.ref,)))

    def read_expired(self, read: Read) -> None:
        """The store was silent for too long: as if it had nothing. A long line before it is no silence."""
        patience = self.desk.config.read_patience
        at = min(self.heard, read.since + LINE * patience) + patience
        if at > self.desk.now:
            read.timer = self.desk.timers.arm(at, Alarm.READ, read)
            return
        self.desk.count("store_faults")
        missed = [flight for flight in read.flights if flight.read is read]
        for flight in missed:
            flight.read = None
        if read.call is None:
            self._missed(missed)
        else:
            for flight in missed:
                flight.leased = read.leased
        self._renewed(read)
        read.late = True

    def claim_over(self, flight: Flight) -> None:
        """Another process should be done with it: look again. Closed, what another makes is not waited for."""
        flight.timer = None
        if flight.state is FlightState.LOOKING:
            if self.desk.closed is not None:
                self._fail(flight, CLOSED, None)
            else:
                self._look((flight,))

    def _missed(self, flights: list[Flight]) -> None:
        """Nothing stored: near lookup, purchase, or (closed, or nobody may buy) the end. Bought together by target."""
        self.desk.count("misses", len(flights))
        wanted: list[Wanted] = []
        for flight in flights:
            near = self._looks_near(flight)
            if (ask := payer(flight.asks)) is None:
                self._gone(flight, FlightInput.NOBODY)
                continue
            refusal = self.desk.refused.found(flight.key, self.desk.now, self.desk.config.refusals)
            if self.desk.closed is not None:
                self._fail(flight, CLOSED, None)
            elif refusal is not None:
                self.desk.count("refused_again")
                self._fail(flight, refusal, None)
            elif near:
                self.desk.flight_life.go(flight, FlightInput.EMBED)
                flight.timer = None
                flight.question = self.questions.embed(flight, ask.job.work.handle)
            else:
                looking = flight.state is FlightState.LOOKING
                self.desk.flight_life.go(flight, FlightInput.MISS if looking else FlightInput.NEAR_MISS)
                target = ask.aim()
                if not wanted or wanted[-1].target is not target:
                    wanted.append(Wanted([], target))
                wanted[-1].flights.append(flight)
        self.desk.moves.extend(wanted)

    def _looks_near(self, flight: Flight) -> bool:
        """Whether it is looked for by meaning. Those who never buy leave if not, or if its vector has to be bought."""
        near, looks = self.desk.config.near, False
        if near is not None and flight.near is None and flight.state is FlightState.LOOKING:
            if near.target is not None:
                self._shed_only(flight)
            looks = (ask := payer(flight.asks)) is not None and ask.job.work.near
        if not looks:
            self._shed_only(flight)
        return looks

    def _shed_only(self, flight: Flight) -> None:
        """Those who never buy hear that it is not stored."""
        for ask in [ask for ask in flight.asks if ask.job.work.cache is CachePolicy.ONLY]:
            flight.asks.remove(ask)
            ask.flight = None
            ask.trouble = NOT_STORED
            self.desk.moves.append(Heard(ask, payer=True))

    def answered(self, move: Answered) -> None:
        """The embedder's answer: look by meaning, or buy."""
        flight = move.question.owner
        if isinstance(flight, Job) or flight.state is not FlightState.EMBEDDING:
            return
        flight.question = None
        near = self.desk.config.near
        if isinstance(move.answer, Vector) and near is not None:
            self.desk.flight_life.go(flight, FlightInput.VECTOR)
            ask = flight.asks[0]
            scope = ask.aim().scope
            if ask.index:
                scope = f"{ask.index}/{scope}"  # another sample is another picture, however near
            flight.near = Near(move.answer.ref, scope, near.threshold)
            self._look((flight,), flight.near)
        else:
            let_go(self.desk, move.answer)
            self._missed([flight])

    # Landing

    def landed(self, move: Landed) -> None:
        """Bought: stored also where nobody waits any more."""
        flight, landing = move.flight, move.landing
        self.desk.flight_life.go(flight, FlightInput.SETTLED)
        if flight.stores:
            ttl = lifetime(flight.ttl, flight.key)
            write = WriteCache(flight.key, landing.ref, landing.meta, ttl, flight.near, flight.claim)
            self.desk.out.append(write)
            self.desk.count("written")
            self.desk.count("written_bytes", landing.meta.nbytes)
            flight.claim = None
        self._spread(flight, landing, move.payer, Source.SHARED)

    def _spread(self, flight: Flight, landing: Landing, paid: Job | None, source: Source) -> None:
        for ask in flight.asks:
            ask.landing = landing
            ask.source = Source.BOUGHT if ask.job is paid else source
            landing.holders += 1
            self.desk.moves.append(Heard(ask, payer=False))
        if landing.holders == 0:
            self.desk.out.append(Release((landing.ref,)))
        self._gone(flight, FlightInput.HEARD)

    def broke(self, move: Broke) -> None:
        """What was to buy these failed."""
        for flight, paid in zip(move.flights, move.payers, strict=True):
            self._fail(flight, move.trouble, paid)

    def _fail(self, flight: Flight, trouble: Trouble, paid: Job | None) -> None:
        self.desk.flight_life.go(flight, FlightInput.FAIL)
        for ask in flight.asks:
            ask.trouble = trouble
            ask.flight = None
            self.desk.moves.append(Heard(ask, payer=paid is None or ask.job is paid))
        flight.asks.clear()
        self._gone(flight, FlightInput.HEARD)

    # Leaving

    def left(self, move: Left) -> None:
        """One asker less. What is not paid yet is given up with the last one; what is paid goes on."""
        flight = move.ask.flight
        if flight is None or flight.state is FlightState.GONE or move.ask not in flight.asks:
            return
        flight.asks.remove(move.ask)
        move.ask.flight = None
        if flight.state is FlightState.WANTED:
            if flight.call is not None:
                self.desk.moves.append(Dropped(flight.call, move.abort))
        elif payer(flight.asks) is None:
            self._gone(flight, FlightInput.NOBODY)

    def forgotten(self, move: Forgotten) -> None:
        """Its call sheds it: nobody asks and nothing is out for it. Who had left hears the end of it."""
        flight = move.flight
        if flight.state is not FlightState.WANTED:
            return
        for ask in flight.asks:
            ask.trouble = CLOSED
            ask.flight = None
            self.desk.moves.append(Heard(ask, payer=False))
        flight.asks.clear()
        self._gone(flight, FlightInput.NOBODY)

    def _gone(self, flight: Flight, how: FlightInput) -> None:
        desk = self.desk
        desk.flight_life.go(flight, how)
        flight.read = None
        flight.call = None
        if flight.shared:
            del self.table[flight.key]
        if flight.timer is not None:
            desk.timers.cancel(flight.timer)
        self._let_go(flight)
        if flight.question is not None:
            self.questions.close(flight.question)
        if flight.near is not None:
            desk.out.append(Release((flight.near.vector,)))


def joinable(flight: Flight, policy: CachePolicy) -> bool:
    """Whether an asker of this cache policy may share the flight as it stands."""
    if policy is CachePolicy.REFRESH:
        return flight.state is FlightState.WANTED
    if policy is CachePolicy.ONLY:
        return flight.state is FlightState.LOOKING
    return flight.call is None or flight.call.state is not CallState.ENDED
