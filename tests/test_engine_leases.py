"""Leases in the engine: taken with the lookup, renewed before the intent; what others make meanwhile is not bought."""

from __future__ import annotations

import pytest
from attrs import evolve

from penstock.commands import Abort, Finish, ReadCache, Record, Release, Send, WriteCache
from penstock.engine.leases import GRACE
from penstock.entries import Intent
from penstock.events import Busy, CacheRead, Cancelled, Closed, Hit, Miss, Mode
from penstock.ids import JobId, Key, Ref
from penstock.outcomes import Source, Status
from penstock.work import CachePolicy, Timeouts
from tests.histories.bench import CONFIG, META, Bench, target, work

LEASED = evolve(CONFIG, store=True, claims=True)
TOTAL = Timeouts().total
LATE = GRACE + 1.0


def queued(*keys: str) -> tuple[Bench, Send, ReadCache]:
    """One picture is out on the only lane, others were looked up and stand in line behind it until now."""
    bench = Bench(LEASED)
    bench.ask("first")
    bench.misses(bench.take(ReadCache), claimed=True)
    send = bench.take(Send)
    bench.ask(*keys)
    look = bench.take(ReadCache)
    bench.misses(look, claimed=True)
    bench.at(LATE)
    return bench, send, look


def freed(*keys: str) -> tuple[Bench, ReadCache, ReadCache]:
    """The lane is free again, and the leases of who is next are old: how he looked first, and how he looks now."""
    bench, send, look = queued(*keys)
    bench.pays(send)
    return bench, look, bench.take(ReadCache)


def claims(bench: Bench) -> list[int]:
    """The claims that were given back, without a picture or with one."""
    return [command.claim for command in bench.log if isinstance(command, WriteCache) and command.claim is not None]


def finishes(bench: Bench) -> list[Finish]:
    """How jobs ended."""
    return [command for command in bench.log if isinstance(command, Finish)]


def test_a_lease_outlives_the_exchange_and_a_wait() -> None:
    """It is asked for the longest total time-out that counts, and for a while in line."""
    bench = Bench(LEASED)
    bench.submit(evolve(work("k"), targets=(evolve(target("k"), timeouts=Timeouts(total=40.0)),)))
    assert 40.0 + 2 * GRACE == bench.take(ReadCache).lease
    bench = Bench(evolve(LEASED, claims=False))
    bench.ask("k")
    read = bench.take(ReadCache)
    assert (False, 0.0) == (read.claim, read.lease)


def test_a_short_wait_renews_nothing() -> None:
    """What goes soon after its lookup goes at once."""
    bench = Bench(LEASED)
    bench.ask("first")
    bench.misses(bench.take(ReadCache), claimed=True)
    bench.ask("k")
    bench.misses(bench.take(ReadCache), claimed=True)
    bench.at(GRACE)
    bench.pays(bench.take(Send))
    assert 1 == bench.take(Send).samples
    assert bench.none(ReadCache)


def test_an_old_lease_is_renewed_before_the_intent() -> None:
    """Nothing is recorded or sent before the store's word; then it goes, and the old name is given back."""
    bench = Bench(evolve(LEASED, journal=True))
    bench.ask("first")
    bench.misses(bench.take(ReadCache), claimed=True)
    bench.records(bench.take(Record))
    bench.ask("k")
    look = bench.take(ReadCache)
    bench.misses(look, claimed=True)
    bench.at(LATE)
    bench.pays(bench.take(Send))
    bench.records(bench.take(Record))
    again = bench.take(ReadCache)
    assert ((Key("k"),), True, TOTAL + 2 * GRACE) == (again.keys, again.claim, again.lease)
    assert not any(isinstance(c, Record) and isinstance(c.entry, Intent) for c in bench.log)
    assert "store" == bench.engine.explain(JobId(2)).reason
    bench.misses(again, claimed=True)
    assert look.read in claims(bench)
    intents = [c for c in bench.log if isinstance(c, Record) and isinstance(c.entry, Intent)]
    assert 1 == len(intents)


def test_it_comes_back_to_its_place() -> None:
    """Who asked after it does not go before it, although he could while it looked."""
    bench, send, _ = queued("k")
    bench.ask("later")
    bench.misses(bench.take(ReadCache), claimed=True)
    bench.at(LATE + 1.0)
    bench.breaks(send)  # the lane is free, and the first waits before it tries again
    again = bench.take(ReadCache)
    later = bench.take(Send)
    bench.misses(again, claimed=True)
    assert bench.none(Send)
    bench.ask("last")
    bench.misses(bench.take(ReadCache), claimed=True)
    bench.pays(later)
    assert (JobId(2), (0,)) == bench.take(Send).parts[0]


def test_what_another_process_made_meanwhile_is_not_bought() -> None:
    """It is a hit; the lease is given back, and the lane goes to the next."""
    bench, look, again = freed("k")
    bench.hits(again)
    assert bench.none(Send)
    picture = finishes(bench)[-1].outcome.pictures[0]
    assert (Source.STORED, META) == (picture.source, picture.meta)
    assert look.read in claims(bench)
    assert bench.rests()


def test_what_another_process_makes_is_waited_for() -> None:
    """The lease ran out in line and another took it: nothing is sent until he is done, or gone."""
    bench, look, again = freed("k")
    bench.tell(CacheRead(again.read, (Busy(LATE + 2.0),)))
    assert look.read in claims(bench)
    assert bench.none(Send)
    assert ("claimed", LATE + 2.0) == (bench.engine.explain(JobId(2)).reason, bench.engine.explain(JobId(2)).until)
    bench.at(LATE + 2.0)
    bench.misses(bench.take(ReadCache), claimed=True)
    bench.pays(bench.take(Send))
    assert bench.rests()


def test_each_picture_of_a_call_by_itself() -> None:
    """Of three one is there, one another's, one ours: one is bought, and none of them twice."""
    bench, _, again = freed("k", "l", "m")
    assert (Key("k"), Key("l"), Key("m")) == again.keys
    bench.tell(CacheRead(again.read, (Hit(META, bench.ref("h")), Busy(LATE + 9.0), Miss(claimed=True))))
    send = bench.take(Send)
    assert ((JobId(2), (2,)),) == send.parts
    bench.pays(send)
    bench.at(LATE + 9.0)
    bench.hits(bench.take(ReadCache))
    assert bench.none(Send)
    assert bench.rests()


@pytest.mark.parametrize("how", ["fault", "silence"])
def test_a_store_at_fault_stops_nothing(how: str) -> None:
    """Without its word it goes on as it is, is not asked again at once, and what comes late is given back."""
    bench, look, again = freed("k")
    if how == "fault":
        bench.misses(again, fault="gone")
    else:
        bench.at(LATE + 5.0)
    send = bench.take(Send)
    if how == "silence":
        bench.misses(again, claimed=True)
        assert again.read in claims(bench)
    assert bench.none(ReadCache)
    bench.pays(send)
    assert look.read in claims(bench)
    assert bench.rests()


def test_who_wants_a_new_picture_does_not_mind_others() -> None:
    """A refresh that joined is bought: neither stored nor waited for."""
    bench, send, _ = queued("k")
    bench.submit(evolve(work("k"), cache=CachePolicy.REFRESH))
    bench.pays(send)
    assert bench.none(ReadCache)
    bench.pays(bench.take(Send))
    assert bench.rests()


def test_what_may_have_been_billed_is_not_left_to_others() -> None:
    """A call with a doubt is tried again by us, although another process makes it by now."""
    bench = Bench(evolve(LEASED, ambiguity=evolve(LEASED.ambiguity, share=1.0)))
    bench.ask("k")
    bench.misses(bench.take(ReadCache), claimed=True)
    bench.at(LATE)
    bench.breaks(bench.take(Send))
    bench.at(bench.engine.next_deadline() or 0.0)
    bench.tell(CacheRead(bench.take(ReadCache).read, (Busy(9000.0),)))
    bench.pays(bench.take(Send))
    assert bench.rests()


def test_nobody_asks_any_more_while_it_looks() -> None:
    """Nothing is sent; the lease of before and the new one are both given back."""
    bench, look, again = freed("k")
    bench.tell(Cancelled(JobId(2)))
    assert look.read in claims(bench)
    bench.misses(again, claimed=True)
    assert {look.read, again.read} <= set(claims(bench))
    assert bench.none(Send)
    assert bench.rests()


@pytest.mark.parametrize("mode", Mode)
def test_closed_while_it_looks(mode: Mode) -> None:
    """It is not sent; a picture that comes is let go, and the engine is idle with the store's answer."""
    bench, look, again = freed("k")
    bench.tell(Closed(mode))
    assert JobId(2) in [finish.job for finish in finishes(bench)]
    assert not bench.engine.idle()
    bench.hits(again)
    assert look.read in claims(bench)
    assert bench.none(Send)
    assert bench.none(Abort)
    assert (Ref("h:2"),) in [c.refs for c in bench.log if isinstance(c, Release)]
    assert bench.engine.idle()


def test_a_drain_does_not_wait_for_others() -> None:
    """What another process makes is given up at the next look."""
    bench = Bench(LEASED)
    bench.ask("k")
    bench.tell(CacheRead(bench.take(ReadCache).read, (Busy(2.0),)))
    bench.tell(Closed(Mode.DRAIN))
    bench.at(2.0)
    assert bench.none(ReadCache)
    assert [Status.CANCELLED] == [finish.outcome.status for finish in finishes(bench)]
    assert bench.engine.idle()
