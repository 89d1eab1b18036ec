"""Attempts: one exchange each. Intent before sending, judgement after, and every cent and permit given back or booked.

    reserve -> Record(Intent) -> Recorded -> Send -> Responded | Failed -> Record(Settled | Failed | Maybe | Void)

An attempt holds its lane until its exchange is answered, also after an Abort. Bytes by URL are fetched afterwards,
without credential and lane; what is charged and cannot be fetched is *lost*, and not bought again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.admission.headers import read as read_headers
from penstock.commands import Abort, Deliver, Release, Send, Waits
from penstock.engine.adapting import told
from penstock.engine.billing import book, book_failure, share_cost
from penstock.engine.entities import Attempt, Landing, Settling
from penstock.engine.moves import Arrived, Judged
from penstock.engine.sums import askers, paid_places, quote, sort_parts, tokens_of, trouble_of
from penstock.engine.tables import AttemptInput, AttemptState
from penstock.engine.timers import Alarm
from penstock.engine.troubles import SPOILT
from penstock.entries import Intent, Settled, Void
from penstock.events import Failed, Mode, Responded
from penstock.ids import AttemptId, Ref
from penstock.judging.backoff import asked, backoff
from penstock.judging.judge import judge
from penstock.judging.judgement import Next
from penstock.money.charge import charge as charged
from penstock.money.shares import nth
from penstock.outcomes import Meta
from penstock.readings import Kind, Problem, Success
from penstock.three import Three
from penstock.work import Purpose

if TYPE_CHECKING:
    from penstock.engine.desk import Desk
    from penstock.engine.dispatch import Dispatch
    from penstock.engine.fetches import Fetches
    from penstock.engine.lanes import Lane
    from penstock.engine.moves import Bound
    from penstock.engine.records import Records
    from penstock.events import Headers, Opened, Recorded, Streamed
    from penstock.ids import Key
    from penstock.readings import Reading

LONG = 30.0
"""Seconds from which on a wait that a provider asks for is told of."""


class Attempts:
    """`table` has the attempts whose end is still to come."""

    def __init__(self, desk: Desk, dispatch: Dispatch, records: Records, fetches: Fetches) -> None:
        self.desk = desk
        self.dispatch = dispatch
        self.records = records
        self.fetches = fetches
        self.table: dict[AttemptId, Attempt] = {}

    # Beginning

    def begin(self, bound: Bound) -> None:
        """Lane, quota and money are reserved: make the intent durable, or send at once where there is no journal."""
        desk, call = self.desk, bound.call
        attempt = Attempt(
            AttemptId(desk.number()),
            call,
            bound.lane,
            bound.permit,
            bound.reservation,
            bound.bill,
            tuple(call.flights),
            desk.now,
        )
        call.out = (*call.out, attempt)
        call.bill, call.billed = bound.bill, attempt.flights
        self.table[attempt.id] = attempt
        self._tell_askers(attempt)
        if desk.config.records:
            desk.attempt_life.go(attempt, AttemptInput.INTEND)
            self.records.issue(self._intent(attempt), attempt)
        else:
            self._send(attempt)

    def _tell_askers(self, attempt: Attempt) -> None:
        call = attempt.call
        waited = self.desk.now - call.since
        flights = attempt.flights
        if len(flights) == 1 and len(flights[0].asks) == 1:
            if waited > 0:
                flights[0].asks[0].job.waited("queue", waited)
        else:
            for job in askers(flights):
                job.waited("queue", waited)
        call.since = self.desk.now

    def _intent(self, attempt: Attempt) -> Intent:
        call, bill = attempt.call, attempt.bill
        return Intent(
            attempt.id,
            call.id,
            call.purpose,
            call.target.operation,
            attempt.lane.name,
            tuple([flight.key for flight in attempt.flights]),
            bill.parts,
            tuple([share.scopes for share in bill.shares]),
            quote(attempt),
            self.desk.unix(),
            call.target.provider,
            call.target.size,
            call.target.quality,
        )

    def _send(self, attempt: Attempt) -> None:
        desk, call, bill = self.desk, attempt.call, attempt.bill
        target = call.target
        desk.attempt_life.go(attempt, AttemptInput.SEND)
        attempt.without = desk.adapted.without(target)
        if attempt.without:
            desk.adapted.tell(attempt, askers(attempt.flights))
        desk.allowance.attempted(quote(attempt), desk.now)
        desk.count("attempts")
        flights = attempt.flights
        single = len(flights) == 1 and len(flights[0].asks) == 1
        attempt.counted = (flights[0].asks[0].job,) if single else tuple(askers(flights))
        for job in attempt.counted:
            job.attempts += 1
        attempt.timer = desk.timers.arm(desk.now + target.timeouts.total, Alarm.TOTAL, attempt)
        after = desk.config.hedging.after
        if after is not None and target.hedgeable and not target.stream and len(call.out) == 1:
            attempt.hedge = desk.timers.arm(desk.now + after, Alarm.HEDGE, attempt)
        desk.out.append(
            Send(
                attempt.id,
                call.id,
                bill.handle,
                target.operation,
                call.purpose,
                attempt.lane.name,
                bill.aim,
                len(attempt.flights),
                bill.parts,
                target.timeouts,
                target.stream,
                None,
                target.provider,
                call.question.refs if call.question is not None else (),
                call.question.policy if call.question is not None else "",
                attempt.without,
            )
        )

    def recorded(self, attempt: Attempt, event: Recorded, *, given_up: bool) -> None:
        """The journal's word on an Intent or a Settled."""
        if attempt.state is AttemptState.RECORDING:
            call = attempt.call
            able = attempt.lane.closed is None and not call.final and self.dispatch.may_send(call)
            kept = call.purpose is not Purpose.EMBED or not attempt.bill.jobs[0].finished
            wanted = event.fault is None and call.live() and able and kept
            if wanted:
                self._send(attempt)
            else:
                self._void(attempt, event.fault or "nobody waits for it any more, or nothing may be sent")
        elif attempt.state is AttemptState.SETTLING:
            if event.fault is not None and not given_up:
                self.desk.attempt_life.go(attempt, AttemptInput.RECORD_FAULT)
                return
            self.desk.attempt_life.go(attempt, AttemptInput.UNRECORDED if given_up else AttemptInput.RECORDED)
            self._take_files(attempt, event.files)
            self._arrive(attempt)

    def _void(self, attempt: Attempt, reason: str) -> None:
        desk = self.desk
        desk.attempt_life.go(attempt, AttemptInput.VOID)
        desk.count("voids")
        self.dispatch.roster.ended(attempt.lane, attempt.permit, Three.NO)
        desk.ledger.void(attempt.reservation)
        for job in attempt.bill.jobs:
            if job.finished:
                book(desk, job, 0)
        desk.refund(attempt.bill.shares)
        self.records.issue(Void(attempt.id, reason, desk.unix()))
        self._over(attempt)
        desk.moves.append(Judged(attempt, None, None, 0.0))

    # Under way

    def opened(self, event: Opened) -> None:
        """The head of a reply: its headers teach early."""
        attempt = self.table[event.attempt]
        self.desk.attempt_life.go(attempt, AttemptInput.OPENED)
        if event.headers:
            self._hear(attempt, event.headers)

    def _hear(self, attempt: Attempt, headers: Headers) -> None:
        if not attempt.heard:
            attempt.heard = True
            report = read_headers(headers, self.desk.unix())
            if report is not None:
                attempt.lane.quota.heard(attempt.permit, report, self.desk.now)
                self.dispatch.roster.stir(attempt.lane)

    def streamed(self, event: Streamed) -> None:
        """An item of a stream: to the caller who pays for it, if he still waits."""
        attempt = self.table[event.attempt]
        self.desk.attempt_life.go(attempt, AttemptInput.STREAMED)
        job = attempt.bill.jobs[0] if attempt.bill.jobs else None
        ref = event.item.ref
        if attempt.partials is None:
            attempt.partials = []
        attempt.partials.append(ref)
        streams = job is not None and job.work.targets[attempt.bill.aim].stream and not job.work.picture_policy
        if job is not None and streams and not job.finished:
            attempt.call.delivered = True
            self.desk.out.append(Deliver(job.id, event.item))

    def timed_out(self, attempt: Attempt) -> None:
        """The total time-out: broken off, and judged as a time-out when it is answered."""
        if attempt.state is AttemptState.OUT and not attempt.aborted:
            self.desk.attempt_life.go(attempt, AttemptInput.TIMEOUT)
            attempt.timed_out = attempt.aborted = True
            self.desk.out.append(Abort(attempt.id))

    def abort(self, attempt: Attempt) -> None:
        """Break it off, if it is out; it must still be answered."""
        if attempt.state is AttemptState.OUT and not attempt.aborted:
            attempt.aborted = True
            self.desk.out.append(Abort(attempt.id))
        elif attempt.state is AttemptState.FETCHING and self.desk.closed is Mode.ABORT:
            self.fetches.abort(attempt)

    # Ending

    def responded(self, event: Responded) -> None:
        """A whole reply: pictures, an answer, or the provider's refusal."""
        attempt = self.table[event.attempt]
        if event.headers:
            self._hear(attempt, event.headers)
        reading = event.reading
        if isinstance(reading, Success) and (reading.parts or reading.answer is not None or reading.spoilt):
            self._succeed(attempt, reading)
        else:
            self._judge(attempt, event, event.headers)

    def failed(self, event: Failed) -> None:
        """No reply."""
        attempt = self.table[event.attempt]
        if attempt.timed_out and event.kind is Kind.ABORTED:
            event = Failed(event.attempt, Kind.TIMEOUT, event.reached)
        self._judge(attempt, event, ())

    def _judge(self, attempt: Attempt, fact: Responded | Failed, headers: Headers) -> None:
        desk, lane = self.desk, attempt.lane
        judgement = judge(fact, attempt.call.target.dialect, told(attempt))
        desk.adapted.heard(attempt, judgement)
        reading = fact.reading if isinstance(fact, Responded) else None
        wait = asked(headers, reading, desk.unix())
        if judgement.rate:
            self._refused(attempt, reading, wait)
        elif judgement.quota is Three.YES:
            lane.refusing = None
            attempt.call.let_in()
            if judgement.next is Next.WAIT:
                lane.quota.failed(attempt.permit, desk.now)
        roster = self.dispatch.roster
        roster.ended(lane, attempt.permit, judgement.quota)
        trouble = trouble_of(judgement, fact)
        roster.judged(lane, attempt.permit, judgement, trouble)
        desk.attempt_life.go(attempt, AttemptInput.JUDGED)
        desk.count(f"judged_{judgement.kind}")
        if judgement.kind == "unsent":
            for job in attempt.counted:  # no byte of it has left; who asked for it later never had it
                job.attempts -= 1
        entry = book_failure(desk, attempt, judgement, reading.usage if isinstance(reading, Problem) else None)
        if desk.config.records:
            self.records.issue(entry)
        self._over(attempt)
        if wait is not None and judgement.next in (Next.WAIT, Next.AMBIGUOUS):
            self._tell_wait(lane, wait)
        again = backoff(attempt.call.tries + 1, desk.config.retry, desk.rng)
        if wait is not None and wait < desk.config.retry.base:
            again, wait = max(wait, again), None  # "at once" (a date that is past, to clocks ahead) is no wait
        desk.moves.append(Judged(attempt, judgement, trouble, again if wait is None else wait, wait is not None))

    def _refused(self, attempt: Attempt, reading: Reading | None, wait: float | None) -> None:
        """A rate limit refused it: the quota learns, and how long that has gone on is kept."""
        desk, lane, call = self.desk, attempt.lane, attempt.call
        desk.count("rate_refusals")
        limit = reading.limit if isinstance(reading, Problem) else None
        self.dispatch.roster.refused(lane, attempt.permit, limit, wait)
        lane.refusing = desk.now if lane.refusing is None else lane.refusing
        call.refused = desk.now if call.refused is None else call.refused

    def _tell_wait(self, lane: Lane, wait: float) -> None:
        """A wait that somebody may wonder about is told, once: refusals of what was out together ask for the same."""
        until = self.desk.now + wait
        if wait >= LONG and until > lane.told + LONG:
            lane.told = until
            self.desk.notify(Waits(lane.name, wait, self.desk.unix() + wait))

    # Success

    def _succeed(self, attempt: Attempt, reading: Success) -> None:
        """Executed and paid: permit and money are settled now, the pictures on their way to be durable."""
        desk, usage = self.desk, reading.usage
        tokens = None if usage is None else tokens_of(usage)
        self.dispatch.roster.ended(attempt.lane, attempt.permit, Three.YES, tokens)
        self.dispatch.roster.served(attempt.lane)
        attempt.lane.refusing = None
        attempt.call.let_in()
        count = len(attempt.flights)
        parts, surplus = sort_parts(reading.parts, count)
        places = paid_places(parts, reading.spoilt, count)
        pictures = len(reading.parts) if attempt.call.target.pictures else 0
        cost = charged(usage, attempt.call.target.rates, pictures, quote(attempt), count)
        lost = [SPOILT if place in reading.spoilt else None for place in range(count)]
        settling = Settling([None] * count, lost, cost, usage, reading.answer)
        attempt.settling = settling
        for remark in reading.remarks:
            for job in attempt.counted:
                job.remark(remark)
        desk.counters["images"] += min(len(parts), pictures)
        share_cost(desk, attempt, places, cost, usage)
        if surplus:
            desk.out.append(Release(tuple(part.ref for part in surplus)))
        for part in parts:
            price = cost if len(places) == 1 else nth(cost, len(places), places[part.index])
            meta = Meta(part.size, part.format, part.nbytes, price, desk.unix(), seconds=desk.now - attempt.since)
            settling.landings[part.index] = Landing(attempt.flights[part.index].key, part.ref, meta)
        links = [part for part in parts if part.url]
        if links:
            desk.attempt_life.go(attempt, AttemptInput.URLS)
            self._release_timers(attempt)
            self.fetches.begin(attempt, links)
        else:
            self.settle(attempt)

    def settle(self, attempt: Attempt) -> None:
        """All bytes are here (or lost): make them durable, or land them at once where there is no journal."""
        settling = attempt.settling
        if settling is None:
            return
        if not self.desk.config.records:
            self.desk.attempt_life.go(attempt, AttemptInput.SETTLED)
            self._arrive(attempt)
            return
        self.desk.attempt_life.go(attempt, AttemptInput.BYTES)
        self._release_timers(attempt)
        keys: list[Key] = []
        refs: list[Ref] = []
        for flight, landing, lost in zip(attempt.flights, settling.landings, settling.lost, strict=True):
            if landing is not None or lost is not None:
                keys.append(flight.key)
                refs.append(landing.ref if landing is not None else Ref(""))
        usage, cost, now = settling.usage, settling.charge, self.desk.unix()
        entry = Settled(attempt.id, tuple(keys), tuple(refs), usage, cost, now, attempt.charges)
        self.records.issue(entry, attempt)

    def _take_files(self, attempt: Attempt, files: tuple[Ref, ...]) -> None:
        settling = attempt.settling
        if settling is None or not files:
            return
        names = iter(files)
        for landing, lost in zip(settling.landings, settling.lost, strict=True):
            if landing is not None or lost is not None:
                name = next(names, Ref(""))
                if landing is not None and name:
                    landing.ref = name

    def _arrive(self, attempt: Attempt) -> None:
        self._over(attempt)
        if attempt.settling is not None:
            self.desk.moves.append(Arrived(attempt, attempt.settling))

    def give_up(self, attempt: Attempt) -> None:
        """Closed(ABORT) while bytes are still owed: the Owed entry stands, and the next run fetches them."""
        self.desk.attempt_life.go(attempt, AttemptInput.ABANDONED)
        if attempt.settling is not None:
            self.dispatch.discard([landing for landing in attempt.settling.landings if landing is not None])
        self._over(attempt)
        self.desk.moves.append(Judged(attempt, None, None, 0.0))

    def _release_timers(self, attempt: Attempt) -> None:
        timers = self.desk.timers
        timers.cancel(attempt.timer)
        if attempt.hedge is not None:
            timers.cancel(attempt.hedge)

    def _over(self, attempt: Attempt) -> None:
        del self.table[attempt.id]
        self._release_timers(attempt)
        if attempt.partials:
            self.desk.out.append(Release(tuple(attempt.partials)))
