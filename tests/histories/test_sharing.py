"""Two jobs share a call and the first leaves: budgets, tags and books add up, whenever that is."""

from __future__ import annotations

import pytest
from attrs import evolve

from penstock.commands import Finish, Notify, ReadCache, Record, Release, Send, WriteCache
from penstock.config import Budget, Config, Credential, Limits
from penstock.entries import Intent, Settled, Void
from penstock.events import Cancelled, Responded
from penstock.ids import JobId, Ref
from penstock.outcomes import Source, Status
from penstock.readings import Part, Success, Usage
from penstock.work import CachePolicy, Work
from tests.histories.bench import CONFIG, QUOTE, Bench, target, work

SHARED = evolve(CONFIG, store=True)
BOOKED = evolve(SHARED, journal=True)
FIRST, SECOND = JobId(1), JobId(2)


def mine(*keys: str) -> Work:
    """The first job: a tenant's, tagged."""
    return evolve(work(*keys), tenant="a", tags=("x",))


def theirs(*keys: str) -> Work:
    """The second job: another tenant's."""
    return evolve(work(*keys), tenant="b", tags=("y",))


def queued(config: Config = BOOKED) -> Bench:
    """Two jobs for one picture, in line behind a third that has the only place."""
    bench = Bench(config)
    for one in (work("other"), mine("k"), theirs("k")):
        bench.submit(one)
    bench.misses(bench.take(ReadCache))
    bench.misses(bench.take(ReadCache))
    return bench


def shared(config: Config = SHARED) -> Bench:
    """Two jobs for one picture, its exchange out (or its intent, where there is a journal)."""
    bench = Bench(config)
    bench.submit(mine("k"))
    bench.misses(bench.take(ReadCache))
    bench.submit(theirs("k"))
    assert bench.none(ReadCache)
    return bench


def test_one_pays_the_other_shares() -> None:
    """Both get the picture; the first asker pays all of it, the other nothing, and says what it saved."""
    bench = shared()
    bench.pays(bench.take(Send), 60)
    first, second = bench.take(Finish).outcome, bench.take(Finish).outcome
    assert (Status.COMPLETED, 60, 0, Source.BOUGHT) == (
        first.status,
        first.charge,
        first.saved,
        first.pictures[0].source,
    )
    assert (0, 60, Source.SHARED) == (second.charge, second.saved, second.pictures[0].source)
    assert (60, 60, 0) == (bench.book().charged, bench.book("tenant:a").charged, bench.book("tenant:b").charged)
    assert first.pictures[0].ref == second.pictures[0].ref == bench.take(Release).refs[0]
    assert bench.rests()


def test_the_first_leaves_before_the_intent() -> None:
    """The payment passes to the next asker: intent, budget scopes and charge are his."""
    bench = queued()
    intent = bench.take(Record)
    bench.tell(Cancelled(JobId(2)))
    left = bench.take(Finish).outcome
    assert (Status.CANCELLED, 0, 0) == (left.status, left.charge, left.pending)
    bench.records(intent)
    bench.pays(bench.take(Send), 10)
    bench.records(bench.take(Record))
    entry = bench.take(Record).entry
    while not isinstance(entry, Intent):
        entry = bench.take(Record).entry
    assert ((JobId(3), (0,)),) == entry.parts
    assert (("run", "tenant:b", "tag:y"),) == entry.scopes
    assert (QUOTE, 0) == (bench.book("tenant:b").reserved, bench.book("tenant:a").reserved)


def test_the_first_leaves_after_the_intent() -> None:
    """The payment stays with him; the exchange goes because the other still asks, and he hears of the charge."""
    bench = shared(BOOKED)
    intent = bench.take(Record)
    bench.tell(Cancelled(FIRST))
    left = bench.take(Finish)
    assert (QUOTE, True) == (left.outcome.pending, left.detached)
    bench.records(intent)
    bench.pays(bench.take(Send), 60)
    notices = [bench.take(Notify).notice]
    assert ["Charged(job=1, charge=60, maybe=0)"] == [repr(notice) for notice in notices]
    settled = bench.take(Record)
    assert isinstance(settled.entry, Settled)
    bench.records(settled)
    published = [bench.take(Record), bench.take(Record)]
    for record in published:
        bench.records(record)
    other = bench.take(Finish).outcome
    assert (Status.COMPLETED, 0, 60) == (other.status, other.charge, other.saved)
    assert (60, 60, 0) == (bench.book().charged, bench.book("tag:x").charged, bench.book("tag:y").charged)
    assert bench.rests()


def test_the_first_leaves_while_it_is_out() -> None:
    """As after the intent: his the charge, theirs the picture."""
    bench = shared()
    send = bench.take(Send)
    bench.tell(Cancelled(FIRST))
    assert QUOTE == bench.take(Finish).outcome.pending
    bench.pays(send, 60)
    assert (Status.COMPLETED, 0) == ((outcome := bench.take(Finish).outcome).status, outcome.charge)
    assert (60, 0) == (bench.book("tenant:a").charged, bench.book("tenant:b").charged)
    assert bench.rests()


def test_all_leave_before_the_intent() -> None:
    """Nothing is sent, and nothing is owed."""
    bench = queued(SHARED)
    send = bench.take(Send)
    bench.tell(Cancelled(JobId(2)))
    bench.tell(Cancelled(JobId(3)))
    bench.pays(send, 10)
    assert bench.none(Send)
    assert (10, 0) == (bench.book().charged, bench.book("tenant:a").refunded)
    assert bench.rests()


def test_all_leave_while_the_intent_is_recorded() -> None:
    """It is void, which is recorded; lane and money come back."""
    bench = shared(BOOKED)
    intent = bench.take(Record)
    bench.tell(Cancelled(FIRST))
    bench.tell(Cancelled(SECOND))
    bench.records(intent)
    void = bench.take(Record)
    assert isinstance(void.entry, Void)
    bench.records(void)
    assert bench.none(Send)
    assert (0, 0, QUOTE) == ((book := bench.book()).charged, book.reserved, book.refunded)
    assert bench.rests()


def test_all_leave_while_it_is_out() -> None:
    """Salvage: it is not broken off, the picture is stored, the payer hears of the charge."""
    bench = shared()
    send = bench.take(Send)
    bench.tell(Cancelled(SECOND))
    bench.tell(Cancelled(FIRST))
    bench.pays(send, 60)
    stored = bench.take(WriteCache)
    assert ("k", 60) == (stored.key, stored.meta.cost if stored.meta else None)
    assert 60 == bench.book().charged
    assert bench.rests()


def test_the_payer_leaves_with_abort_while_another_asks() -> None:
    """What somebody else waits for is not broken off."""
    bench = shared()
    send = bench.take(Send)
    bench.tell(Cancelled(FIRST, abort=True))
    bench.pays(send, 60)
    assert Status.CANCELLED == bench.take(Finish).outcome.status
    assert Status.COMPLETED == bench.take(Finish).outcome.status
    assert 60 == bench.book("tenant:a").charged


def test_a_failure_is_heard_by_all() -> None:
    """The payer hears the end of it; the other asks again for itself, and then pays."""
    bench = shared(evolve(SHARED, refusals=None))
    bench.refuses(bench.take(Send), 400)
    assert Status.FAILED == bench.take(Finish).outcome.status
    bench.misses(bench.take(ReadCache))
    again = bench.take(Send)
    assert ((SECOND, (0,)),) == again.parts
    bench.pays(again, 60)
    assert (Status.COMPLETED, 60) == ((outcome := bench.take(Finish).outcome).status, outcome.charge)
    assert (0, 60) == (bench.book("tenant:a").charged, bench.book("tenant:b").charged)


def test_a_doubtful_end_is_the_payers() -> None:
    """What may have been billed is maybe on the payer's scopes, and only there."""
    bench = shared(evolve(SHARED, ambiguity=evolve(SHARED.ambiguity, floor=0, share=0.0)))
    bench.breaks(bench.take(Send))
    outcome = bench.take(Finish).outcome
    assert (Status.AMBIGUOUS, 0, QUOTE) == (outcome.status, outcome.charge, outcome.maybe)
    assert (QUOTE, QUOTE, 0) == (bench.book().maybe, bench.book("tenant:a").maybe, bench.book("tenant:b").maybe)


def test_parked_behind_a_shared_budget() -> None:
    """A call that waits for refunds goes when the payer before it paid less than his bound."""
    wide = (Credential("c1", "p", Limits(concurrency=2)),)
    bench = Bench(evolve(CONFIG, credentials=wide, budget=Budget((("tag:x", 150),))))
    bench.submit(mine("k"))
    bench.submit(mine("l"))
    assert ["provider", "budget"] == [bench.engine.explain(job).reason for job in (FIRST, SECOND)]
    bench.pays(bench.take(Send), 50)
    bench.pays(bench.take(Send), 50)
    assert (100, 0) == (bench.book("tag:x").charged, bench.book("tag:x").reserved)


def test_off_shares_nothing() -> None:
    """A job of policy `off` looks nothing up, joins nothing, stores nothing."""
    bench = shared()
    bench.submit(evolve(theirs("k"), cache=CachePolicy.OFF))
    bench.pays(bench.take(Send), 60)
    bench.take(WriteCache)
    bench.pays(bench.take(Send), 70)
    assert 130 == bench.book().charged
    assert bench.none(WriteCache)


def test_usage_is_spread_in_integers() -> None:
    """The charge of one call over three pictures of one payer: nothing is lost in rounding, the rest on the first."""
    bench = Bench()
    bench.ask("a", "b", "c")
    bench.pays(bench.take(Send), 100)
    outcome = bench.take(Finish).outcome
    assert [34, 33, 33] == [picture.meta.cost for picture in outcome.pictures]
    assert 100 == outcome.charge


def test_gathered_pictures_are_paid_apart() -> None:
    """Two jobs in one call: each pays for its picture, and the shares are the sum."""
    bench = Bench(evolve(CONFIG, gathering=evolve(CONFIG.gathering, most=2)))
    for one in (mine("k"), theirs("l")):
        bench.submit(evolve(one, targets=(evolve(one.targets[0], gather="g"),)))
    send = bench.take(Send)
    assert ((FIRST, (0,)), (SECOND, (0,))) == send.parts
    bench.pays(send, 101)
    assert [51, 50] == [bench.take(Finish).outcome.charge, bench.take(Finish).outcome.charge]
    assert (101, 51, 50) == (bench.book().charged, bench.book("tag:x").charged, bench.book("tag:y").charged)


def test_a_reply_without_any_picture_of_ours() -> None:
    """What was charged for it is spread over the payers, nothing of it is lost."""
    bench = Bench(evolve(CONFIG, gathering=evolve(CONFIG.gathering, most=2), retry=evolve(CONFIG.retry, attempts=1)))
    for one in (mine("k"), theirs("l")):
        bench.submit(evolve(one, targets=(evolve(one.targets[0], gather="g"),)))
    bench.pays(bench.take(Send), 101, places=(9,))
    assert (101, 51, 50) == (bench.book().charged, bench.book("tag:x").charged, bench.book("tag:y").charged)
    assert bench.rests()


@pytest.mark.parametrize("records", [False, True])
def test_what_is_spoilt_is_paid_and_not_asked_for_again(records: bool) -> None:
    """A vector with numbers that are none: its payer bears his share and hears why, the others have theirs."""
    bench = Bench(evolve(CONFIG, gathering=evolve(CONFIG.gathering, most=2), journal=records))
    for one in (mine("k"), theirs("l")):
        bench.submit(evolve(one, targets=(evolve(one.targets[0], gather="g"), target("other"))))
    if records:
        bench.records(bench.take(Record))
    part = Part(1, Ref("b:1"), "4", "f32", 16)
    bench.tell(Responded(bench.take(Send).attempt, 200, (), Success(Usage(cost=101), (part,), spoilt=(0,))))
    if records:
        settled = bench.take(Record)
        assert isinstance(settled.entry, Settled)
        assert (("k", "l"), ("", "b:1"), 101) == (settled.entry.keys, settled.entry.refs, settled.entry.charge)
        bench.records(settled, files=(Ref(""), Ref("held/1")))
        bench.records(bench.take(Record))
    ends = {end.job: end.outcome for end in (bench.take(Finish), bench.take(Finish))}
    assert (Status.FAILED, 1, 51) == (ends[FIRST].status, ends[FIRST].lost, ends[FIRST].charge)
    error = ends[FIRST].error
    assert error is not None
    assert ("lost", True) == (error.kind, "of no use" in error.message)
    assert (Status.COMPLETED, 0, 50) == (ends[SECOND].status, ends[SECOND].lost, ends[SECOND].charge)
    assert (101, 51, 50) == (bench.book().charged, bench.book("tag:x").charged, bench.book("tag:y").charged)
    assert bench.none(Send)
    assert bench.rests()


def test_what_one_keeps_is_kept() -> None:
    """A job that only reads opened the flight; who joined and pays keeps what is bought."""
    bench = Bench(SHARED)
    bench.submit(evolve(mine("k"), cache=CachePolicy.ONLY))
    bench.submit(theirs("k"))
    bench.misses(bench.take(ReadCache))
    assert "not_stored" == getattr(bench.take(Finish).outcome.error, "kind", "")
    bench.pays(bench.take(Send))
    assert "k" == bench.take(WriteCache).key
