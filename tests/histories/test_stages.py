"""The stages of a job beside its purchase: screens, the near cache, streams, downloads, in every way they may go."""

from __future__ import annotations

import pytest
from attrs import evolve

from penstock.commands import (
    Abort,
    Consult,
    Deliver,
    Finish,
    Notify,
    ReadCache,
    Record,
    Release,
    Send,
    WriteCache,
)
from penstock.config import NearCache
from penstock.engine.flights import LINE
from penstock.entries import Held, Owed, Published, Settled
from penstock.events import Busy, CacheRead, Cancelled, Closed, Fetched, Miss, Mode, Recorded, Streamed
from penstock.ids import JobId, Key, Ref
from penstock.outcomes import Meta, Source, Status
from penstock.readings import Fault, Partial, Vector, Verdict
from penstock.work import Purpose, Screen, Target, Work
from tests.histories.bench import CONFIG, META, QUOTE, Bench, target, work

PROMPT = Screen("words.1", hook="words", patience=5.0)
PICTURE = Screen("looks.1", picture=True, hook="looks", patience=5.0)
YES = Verdict(passed=True)
STORED = evolve(CONFIG, store=True)
JOB = JobId(1)


def screened(*screens: Screen) -> Work:
    """A job for one picture under these screens."""
    return evolve(work("k"), screens=screens)


# Screens by hooks


def test_a_prompt_passes() -> None:
    """Nothing is looked up or sent before the verdict; then all goes its way."""
    bench = Bench(STORED)
    bench.submit(screened(PROMPT))
    assert bench.none(ReadCache)
    assert "screen" == bench.engine.explain(JOB).reason
    bench.answers(bench.take(Consult), YES)
    bench.misses(bench.take(ReadCache))
    bench.pays(bench.take(Send))
    assert Status.COMPLETED == bench.take(Finish).outcome.status


def test_a_prompt_is_refused() -> None:
    """The job ends with the template, nothing was sent, and a second screen's late answer is ignored."""
    bench = Bench()
    bench.submit(screened(PROMPT, evolve(PROMPT, policy="words.2")))
    late = bench.take(Consult)
    bench.answers(bench.take(Consult), Verdict(passed=False, reason="no", template=Ref("t")))
    outcome = bench.take(Finish).outcome
    assert (Status.REFUSED, Ref("t"), 0) == (outcome.status, outcome.template, outcome.charge)
    bench.answers(late, YES)
    assert bench.none(Send)
    assert bench.rests()


def test_a_screen_that_faults() -> None:
    """It counts as the screen says: passed, or failed with a clear word."""
    for passes in (True, False):
        bench = Bench()
        bench.submit(screened(evolve(PROMPT, passes_on_fault=passes)))
        bench.answers(bench.take(Consult), Fault("it crashed"))
        assert passes != bench.none(Send)
        assert passes == bench.none(Finish)


def test_a_screen_that_never_answers() -> None:
    """Its patience over, silence is a fault; the answer that comes at last is taken and changes nothing."""
    bench = Bench()
    bench.submit(screened(PROMPT))
    question = bench.take(Consult)
    bench.at(4.9)
    assert bench.none(Finish)
    bench.at(5.0)
    assert "screen_fault" == getattr(bench.take(Finish).outcome.error, "kind", "")
    assert not bench.answers(question, YES)
    assert bench.rests()


def test_a_late_verdict_on_the_prompt_never_passes_a_picture() -> None:
    """An answer counts only for the stage that asked for it."""
    bench = Bench()
    bench.submit(screened(evolve(PROMPT, passes_on_fault=True), PICTURE))
    late = bench.take(Consult)
    bench.at(5.0)
    bench.pays(bench.take(Send))
    looks = bench.take(Consult)
    bench.answers(late, YES)
    assert bench.none(Finish)
    bench.answers(looks, Verdict(passed=False, reason="no"))
    assert Status.REFUSED == bench.take(Finish).outcome.status


def test_a_picture_passes() -> None:
    """It is stored unscreened when it is paid, and again with its verdict; only then it is shown."""
    bench = Bench(STORED)
    bench.submit(screened(PICTURE))
    bench.misses(bench.take(ReadCache))
    bench.pays(bench.take(Send))
    first = bench.take(WriteCache).meta
    assert bench.none(Finish)
    bench.answers(bench.take(Consult), YES)
    second = bench.take(WriteCache).meta
    assert ("", "looks.1") == (first and first.policy, second and second.policy)
    assert Status.COMPLETED == bench.take(Finish).outcome.status


def test_a_picture_is_refused() -> None:
    """It is charged, not shown, held in the journal, and its verdict is stored."""
    bench = Bench(evolve(STORED, journal=True))
    bench.submit(screened(PICTURE))
    bench.misses(bench.take(ReadCache))
    bench.records(bench.take(Record))
    bench.pays(bench.take(Send), 60)
    bench.records(bench.take(Record))
    bench.answers(bench.take(Consult), Verdict(passed=False, reason="no"))
    held = bench.take(Record)
    assert isinstance(held.entry, Held)
    bench.records(held)
    outcome = bench.take(Finish).outcome
    assert (Status.REFUSED, 60, ()) == (outcome.status, outcome.charge, outcome.pictures)
    assert bench.rests()


def test_a_stored_verdict() -> None:
    """A hit under the same policy is not screened again, passed or refused; one of another policy, or none, is."""
    for policy, passed, asks, status in (
        ("looks.1", True, False, Status.CACHED),
        ("looks.1", False, False, Status.REFUSED),
        ("looks.0", True, True, Status.CACHED),
        ("", True, True, Status.CACHED),
    ):
        bench = Bench(STORED)
        bench.submit(screened(PICTURE))
        bench.hits(bench.take(ReadCache), evolve(META, policy=policy, passed=passed))
        assert asks != bench.none(Consult)
        if asks:
            bench.answers(bench.take(Consult), YES)
        assert status is bench.take(Finish).outcome.status
        assert bench.rests()


def test_a_call_screens() -> None:
    """A screen may be a call of its own: paid by the job, and its verdict counts."""
    judge = Target("p", "judge", quote=7, operation="moderate", purpose=Purpose.SCREEN)
    for passed in (True, False):
        bench = Bench()
        bench.submit(screened(Screen("judge.1", target=judge)))
        send = bench.take(Send)
        assert (Purpose.SCREEN, "moderate", ((JOB, ()),)) == (send.purpose, send.operation, send.parts)
        bench.says(send, Verdict(passed=passed), 5)
        if passed:
            bench.pays(bench.take(Send), 60)
        outcome = bench.take(Finish).outcome
        assert (65 if passed else 5) == outcome.charge
        assert bench.rests()


def test_a_screening_call_brings_pictures() -> None:
    """Whatever a provider answers is a value: a screen without a verdict is a fault, its bytes are let go."""
    bench = Bench()
    bench.submit(screened(Screen("judge.1", target=Target("p", "judge", quote=7, purpose=Purpose.SCREEN))))
    bench.pays(bench.take(Send), 5, places=(0,))
    assert "screen_fault" == getattr(bench.take(Finish).outcome.error, "kind", "")
    assert bench.rests()


def test_a_draining_engine_screens_what_is_paid() -> None:
    """After Closed(DRAIN) a picture that is paid is screened, also by a call, and delivered."""
    bench = Bench()
    judge = Target("p", "judge", quote=7, operation="moderate", purpose=Purpose.SCREEN)
    bench.submit(screened(Screen("judge.1", picture=True, target=judge)))
    send = bench.take(Send)
    bench.tell(Closed(Mode.DRAIN))
    bench.pays(send)
    screening = bench.take(Send)
    assert Purpose.SCREEN is screening.purpose
    bench.says(screening, YES)
    assert Status.COMPLETED == bench.take(Finish).outcome.status
    assert bench.engine.idle()


# The near cache


def near(hook: str = "embed", model: Target | None = None) -> Bench:
    """A bench whose one job looks by meaning, its exact lookup missed."""
    bench = Bench(evolve(STORED, near=NearCache(0.9, hook, model, 5.0)))
    bench.submit(evolve(work("k"), near=True))
    bench.misses(bench.take(ReadCache))
    return bench


def test_a_near_hit() -> None:
    """A picture of nearly the same request ends the job as similar, with the score; nothing is bought."""
    bench = near()
    assert "near" == bench.engine.explain(JOB).reason
    bench.answers(bench.take(Consult), Vector(Ref("v")))
    read = bench.take(ReadCache)
    assert read.near is not None
    assert (Ref("v"), 0.9, False) == (read.near.vector, read.near.threshold, read.claim)
    bench.hits(read, META, 0.97)
    outcome = bench.take(Finish).outcome
    assert (Status.SIMILAR, 0.97, 40) == (outcome.status, outcome.score, outcome.saved)
    assert Source.SIMILAR is outcome.pictures[0].source
    assert bench.rests()


def test_a_near_miss() -> None:
    """It is bought, and stored with its vector so that the next one may find it."""
    bench = near()
    bench.answers(bench.take(Consult), Vector(Ref("v")))
    bench.misses(bench.take(ReadCache))
    bench.pays(bench.take(Send))
    write = bench.take(WriteCache)
    assert write.near is not None
    assert Ref("v") == write.near.vector
    assert bench.rests()


def test_an_embedder_that_faults_or_is_silent() -> None:
    """It is bought as if there were no near cache; a vector that comes too late is given back."""
    bench = near()
    bench.answers(bench.take(Consult), Fault("it crashed"))
    bench.pays(bench.take(Send))
    assert bench.rests()
    bench = near()
    bench.at(5.0)
    bench.pays(bench.take(Send))
    bench.take(Release)
    bench.answers(bench.take(Consult), Vector(Ref("v")))
    assert (Ref("v"),) == bench.take(Release).refs
    assert bench.rests()


def test_a_call_embeds() -> None:
    """An embedder may be a call, paid by the first asker."""
    bench = near("", Target("p", "embedder", quote=3, operation="embeddings", purpose=Purpose.EMBED))
    send = bench.take(Send)
    assert Purpose.EMBED is send.purpose
    bench.says(send, Vector(Ref("v")), 2)
    bench.hits(bench.take(ReadCache), META, 0.95)
    assert 2 == bench.take(Finish).outcome.charge
    assert bench.rests()


# The store


def test_claims() -> None:
    """A lease is given back with the picture, with the failure, and when the store answers too late."""
    leased = evolve(STORED, claims=True)
    for how in ("bought", "refused", "late"):
        bench = Bench(leased)
        bench.ask("k")
        read = bench.take(ReadCache)
        assert read.claim
        if how == "late":
            bench.at(5.0)
        bench.misses(read, claimed=True)
        if how in {"late", "bought"}:
            bench.pays(bench.take(Send))
        else:
            bench.refuses(bench.take(Send), 400)
        claims = [command.claim for command in bench.log if isinstance(command, WriteCache) and command.claim]
        assert [read.read] == claims
        assert bench.rests()


def test_another_process_makes_it() -> None:
    """A busy key is looked up again when the other's lease is over; the keys beside it go on."""
    bench = Bench(evolve(STORED, claims=True))
    bench.ask("k", "l")
    read = bench.take(ReadCache)
    bench.tell(CacheRead(read.read, (Busy(8.0), Miss(claimed=True))))
    assert 1 == bench.take(Send).samples
    assert "claimed" == bench.engine.explain(JOB).reason
    bench.at(8.0)
    again = bench.take(ReadCache)
    assert (Key("k"),) == again.keys


def test_a_store_that_is_silent() -> None:
    """Its patience over, what was asked for is bought; a late hit is let go."""
    bench = Bench(STORED)
    bench.ask("k")
    read = bench.take(ReadCache)
    assert "store" == bench.engine.explain(JOB).reason
    bench.at(5.0)
    bench.pays(bench.take(Send))
    bench.hits(read)
    assert bench.rests()


def looking(bench: Bench) -> int:
    """How many pictures the store is still to tell of."""
    return bench.engine.snapshot().flights.get("looking", 0)


def test_a_long_line_before_the_store_is_no_silence() -> None:
    """While it answers others, who stands behind them waits on; when it stops, he buys."""
    bench = Bench(STORED)
    for number in range(70):
        bench.ask(f"k{number}")
    reads = [bench.take(ReadCache) for _ in range(70)]
    for number in range(3):
        bench.at(4.0 * (number + 1))
        bench.misses(reads.pop(0))
    assert 67 == looking(bench)
    bench.at(16.9)
    assert 67 == looking(bench)
    bench.at(17.0)
    assert 0 == looking(bench)


def test_a_line_before_the_store_has_an_end() -> None:
    """A store that is slow with each of many is not waited for without a bound."""
    bench = Bench(STORED)
    for number in range(80):
        bench.ask(f"k{number}")
    reads = [bench.take(ReadCache) for _ in range(80)]
    while bench.now < 5.0 * LINE:
        bench.at(bench.now + 4.0)
        bench.misses(reads.pop(0))
    bench.at(5.0 * LINE + 4.9)
    bench.misses(reads.pop(0))
    assert len(reads) == looking(bench)
    bench.at(5.0 * LINE + 5.0)
    assert 0 == looking(bench)


# Streams


def streaming(samples: int = 1) -> tuple[Bench, Send]:
    """A job whose stream is out."""
    bench = Bench()
    keys = [f"k{index}" for index in range(samples)]
    bench.submit(Work((evolve(target(*keys), stream=True), target(*keys, model="other"))))
    return bench, bench.take(Send)


def test_a_stream_is_delivered() -> None:
    """Items go to the caller as they come, their bytes are let go with the end, the pictures finish the job."""
    bench, send = streaming()
    bench.tell(Streamed(send.attempt, Partial(0, Ref("p1"))))
    assert Partial(0, Ref("p1")) == bench.take(Deliver).item
    bench.pays(send)
    assert Status.COMPLETED == bench.take(Finish).outcome.status
    assert bench.rests()


def test_after_the_first_item_nothing_is_tried_again() -> None:
    """A stream that breaks after it delivered ends its job: no retry, no next target."""
    bench, send = streaming()
    bench.tell(Streamed(send.attempt, Partial(0, Ref("p1"))))
    bench.refuses(send, 500)
    assert "broken_stream" == getattr(bench.take(Finish).outcome.error, "kind", "")
    assert bench.none(Send)
    assert bench.engine.next_deadline() is None


@pytest.mark.parametrize("late", [False, True])
def test_a_moderation_is_one_after_a_preview_too(late: bool) -> None:
    """Whoever catches refusals catches this one; it is carried to no other target, and nobody else asks either."""
    bench, send = streaming()
    if late:
        bench.tell(Streamed(send.attempt, Partial(0, Ref("p1"))))
    bench.refuses(send, 200, "moderation_blocked")
    outcome = bench.take(Finish).outcome
    assert (Status.REFUSED, "moderation_output") == (outcome.status, getattr(outcome.error, "kind", ""))
    assert outcome.maybe > 0
    assert bench.none(Send)
    assert bench.engine.next_deadline() is None


def test_a_stream_that_brought_too_little() -> None:
    """What is missing of a stream that delivered is not bought again either."""
    bench, send = streaming(2)
    bench.tell(Streamed(send.attempt, Partial(0, Ref("p1"))))
    bench.pays(send, places=(1,))
    assert Status.PARTIAL == bench.take(Finish).outcome.status
    assert bench.none(Send)


def test_a_stream_that_said_nothing_may_be_tried_again() -> None:
    """Before the first item it is a call like any other."""
    bench, send = streaming()
    bench.breaks(send)
    bench.at(bench.engine.next_deadline() or 0.0)
    assert send.call == bench.take(Send).call


def test_who_follows_a_stream_asks_again_when_it_breaks() -> None:
    """He has seen nothing of it: he opens a flight of his own, and pays."""
    bench = Bench(STORED)
    bench.submit(Work((evolve(target("k"), stream=True),)))
    bench.misses(bench.take(ReadCache))
    send = bench.take(Send)
    bench.ask("k")
    bench.tell(Streamed(send.attempt, Partial(0, Ref("p1"))))
    bench.refuses(send, 500)
    assert "broken_stream" == getattr(bench.take(Finish).outcome.error, "kind", "")
    bench.misses(bench.take(ReadCache))
    bench.pays(bench.take(Send))
    assert Status.COMPLETED == bench.take(Finish).outcome.status


# Downloads


def test_a_picture_by_url() -> None:
    """It is owed, fetched without lane and credential, settled with its bytes; the URL is let go."""
    bench = Bench(evolve(CONFIG, journal=True))
    bench.ask("k")
    bench.ask("l")
    bench.records(bench.take(Record))
    bench.pays(bench.take(Send), url=True)
    entries = [bench.take(Record) for _ in range(2)]
    assert isinstance(entries[0].entry, Owed)
    fetch = bench.take(Send)
    assert (Purpose.FETCH, "", Ref("u:1"), ()) == (fetch.purpose, fetch.lane.credential, fetch.source, fetch.parts)
    assert 1 == bench.engine.snapshot().in_flight
    bench.tell(Fetched(fetch.attempt, (Ref("b:9"),)))
    settled = bench.take(Record).entry
    assert isinstance(settled, Settled)
    assert (Ref("b:9"),) == settled.refs


def test_what_a_fetched_picture_is() -> None:
    """Its format and length are known once its bytes are here; what the reply said of its size stays."""
    bench = Bench(CONFIG)
    bench.ask("k")
    bench.pays(bench.take(Send), url=True)
    bench.tell(Fetched(bench.take(Send).attempt, (Ref("b:9"),), None, "webp", 1234))
    (picture,) = bench.take(Finish).outcome.pictures
    assert ("webp", 1234) == (picture.meta.format, picture.meta.nbytes)


def test_a_picture_that_cannot_be_fetched() -> None:
    """After its tries it is lost: charged, said, and not bought again, nor from the next target."""
    bench = Bench(evolve(CONFIG, downloads=2))
    bench.submit(Work((target("k"), target("k", model="other"))))
    bench.pays(bench.take(Send), 60, url=True)
    bench.tell(Fetched(bench.take(Send).attempt, (), "gone"))
    bench.at(bench.engine.next_deadline() or 0.0)
    again = bench.take(Send)
    assert Purpose.FETCH is again.purpose
    bench.tell(Fetched(again.attempt, (), "gone by now"))
    outcome = bench.take(Finish).outcome
    assert (Status.FAILED, 1, 60) == (outcome.status, outcome.lost, outcome.charge)
    assert outcome.error is not None
    assert "the picture is paid but could not be downloaded: gone by now" == outcome.error.message
    assert bench.none(Send)
    assert bench.rests()


def test_a_download_that_is_refused_is_lost_at_once() -> None:
    """No other try would be another answer: nothing is waited for, and the caller hears why."""
    bench = Bench(evolve(CONFIG, downloads=4))
    bench.ask("k")
    bench.pays(bench.take(Send), 60, url=True)
    bench.tell(Fetched(bench.take(Send).attempt, (), "it leads to a private place", final=True))
    outcome = bench.take(Finish).outcome
    assert (Status.FAILED, 1, 60) == (outcome.status, outcome.lost, outcome.charge)
    assert outcome.error is not None
    said = "the picture is paid but could not be downloaded: it leads to a private place"
    assert ("lost", said) == (outcome.error.kind, outcome.error.message)
    assert 0 == bench.engine.snapshot().counters.get("download_retries", 0)
    assert bench.none(Send)
    assert bench.rests()


def test_a_download_that_stalls_is_broken_off_and_tried_again() -> None:
    """After the total time-out, once; the next try has all of it again, and what comes then is the picture."""
    bench = Bench(evolve(CONFIG, downloads=2))
    bench.ask("k")
    bench.pays(bench.take(Send), url=True)
    fetch = bench.take(Send)
    bench.at(fetch.timeouts.total)
    assert fetch.attempt == bench.take(Abort).attempt
    bench.tell(Fetched(fetch.attempt, (), "aborted"))
    bench.at(bench.engine.next_deadline() or 0.0)
    again = bench.take(Send)
    assert Purpose.FETCH is again.purpose
    bench.tell(Fetched(again.attempt, (Ref("b:9"),)))
    assert Status.COMPLETED == bench.take(Finish).outcome.status
    assert bench.none(Abort)
    assert bench.rests()


def test_a_caller_who_leaves_breaks_no_download_off() -> None:
    """The picture is paid, a download costs nothing: it is fetched and stored, also on Cancelled(abort)."""
    bench = Bench(STORED)
    bench.ask("k")
    bench.misses(bench.take(ReadCache))
    bench.pays(bench.take(Send), url=True)
    fetch = bench.take(Send)
    bench.tell(Cancelled(JOB, abort=True))
    assert bench.none(Abort)
    bench.tell(Fetched(fetch.attempt, (Ref("b:9"),)))
    assert Ref("b:9") == bench.take(WriteCache).source
    assert bench.rests()


def test_an_abort_leaves_what_is_owed() -> None:
    """After Closed(ABORT) nothing is fetched: the Owed entry stands, and the next run fetches."""
    bench = Bench(evolve(CONFIG, journal=True))
    bench.ask("k")
    bench.records(bench.take(Record))
    send = bench.take(Send)
    bench.tell(Closed(Mode.ABORT))
    bench.pays(send, url=True)
    assert bench.none(Send)
    owed = bench.take(Record)
    assert isinstance(owed.entry, Owed)
    bench.records(owed)
    assert bench.none(Record)
    assert bench.engine.idle()


def test_files_replace_references() -> None:
    """What the journal made durable is delivered under the journal's names."""
    bench = Bench(evolve(CONFIG, journal=True))
    bench.ask("k")
    bench.records(bench.take(Record))
    bench.pays(bench.take(Send))
    settled = bench.take(Record)
    bench.tell(Recorded(settled.record, (Ref("held/1"),)))
    published = bench.take(Record)
    assert isinstance(published.entry, Published)
    assert (Ref("held/1"),) == published.entry.refs
    bench.tell(Recorded(published.record, (Ref("final/1"),)))
    assert Ref("final/1") == bench.take(Finish).outcome.pictures[0].ref
    assert (Ref("held/1"),) == bench.take(Release).refs


def test_an_excess_is_told() -> None:
    """A charge above the published bound is booked, and noticed."""
    bench = Bench()
    bench.ask("k")
    bench.pays(bench.take(Send), 150)
    assert f"Excess(model='m', quote={QUOTE}, charge=150)" == repr(bench.take(Notify).notice)
    assert 150 == bench.book().charged


def test_nothing_unscreened_is_stored_as_screened() -> None:
    """What is stored before its screen says so."""
    bench = Bench(STORED)
    bench.submit(screened(PICTURE))
    bench.misses(bench.take(ReadCache))
    bench.pays(bench.take(Send))
    assert Meta("1024x1024", "png", 9, 60, 1_790_000_000.0) == bench.take(WriteCache).meta
