"""What may have been billed is tried again as its payers wish, within one allowance; and tries have an end."""

from __future__ import annotations

from random import Random

import pytest
from attrs import evolve, frozen
from hypothesis import given
from hypothesis import strategies as st

from penstock.commands import Abort, Finish, Release, Send
from penstock.config import Ambiguity, Budget, Config, Credential, Gathering, Hedging, Limits, Retry
from penstock.events import Failed, Responded
from penstock.ids import AttemptId
from penstock.outcomes import Outcome, Status
from penstock.readings import Kind, Malformed, Problem, Reached
from penstock.work import OnAmbiguous, Target, Work
from tests.histories.bench import CONFIG, QUOTE, Bench, target, work

AUTO, RETRY, SKIP, ASK = OnAmbiguous.AUTO, OnAmbiguous.RETRY, OnAmbiguous.SKIP, OnAmbiguous.ASK
STEPS = 5_000
WIDE = (Credential("c1", "p", Limits(concurrency=100)),)
TWO = (Credential("c1", "p", Limits(concurrency=1)), Credential("c2", "p", Limits(concurrency=1)))


def broken(attempt: AttemptId, rng: Random) -> Failed | Responded:
    """An end that leaves open whether it was executed."""
    ends = (
        Failed(attempt, Kind.BROKEN, Reached.SENT),
        Failed(attempt, Kind.TIMEOUT, Reached.READING),
        Responded(attempt, 502, (), Problem(own=False)),
        Responded(attempt, 200, (), Malformed("cut off")),
    )
    return rng.choice(ends)


def bad_day(bench: Bench, jobs: list[Work], rng: Random) -> list[Send]:
    """Every attempt at these jobs ends in doubt, until nobody tries any more; all that was sent."""
    sends: list[Send] = []
    for job in jobs:
        bench.submit(job)
    for _ in range(STEPS):
        if not bench.none(Send):
            sends.append(bench.take(Send))
            if bench.config.hedging.after is None or rng.random() < 0.5:
                bench.tell(broken(sends[-1].attempt, rng))
        elif (deadline := bench.engine.next_deadline()) is not None:
            bench.at(deadline)
            while not bench.none(Abort):
                bench.tell(broken(bench.take(Abort).attempt, rng))
        else:
            return sends
    raise AssertionError(f"no end after {len(sends)} exchanges")


@frozen
class Day:
    """A configuration and its jobs: chains of so many targets, with their wishes."""

    config: Config
    jobs: list[tuple[int, OnAmbiguous | None]]
    seed: int


DAYS = st.builds(
    Day,
    st.builds(
        Config,
        credentials=st.just(WIDE),
        ambiguity=st.builds(
            Ambiguity, floor=st.integers(0, 4), share=st.sampled_from((0.0, 0.02, 0.1, 0.5)), window=st.none()
        ),
        hedging=st.builds(Hedging, st.sampled_from((None, 5.0))),
        retry=st.builds(Retry, attempts=st.integers(1, 6), most=st.integers(1, 12)),
    ),
    st.lists(st.tuples(st.integers(1, 3), st.sampled_from((None, None, None, AUTO, SKIP, ASK))), max_size=40),
    st.integers(0, 2**32),
)


@given(DAYS)
def test_a_bad_day_is_a_little_dearer(day: Day) -> None:
    """Where every attempt ends in doubt, one a job and the allowance is sent, hedges and chains and all."""
    bench = Bench(day.config)
    jobs = [
        evolve(Work(tuple(target(f"{number}/{place}", model=f"m{place}") for place in range(chain))), on_ambiguous=mode)
        for number, (chain, mode) in enumerate(day.jobs)
    ]
    sends = bad_day(bench, jobs, Random(day.seed))
    rules, more = day.config.ambiguity, len(sends) - len(jobs)
    assert more <= max(rules.floor, rules.share * len(sends))
    by_job: dict[int, int] = {}
    for send in sends:
        by_job[send.handle] = by_job.get(send.handle, 0) + 1
    assert all(count <= min(2, day.config.retry.most) for count in by_job.values())
    wishes = [mode for _, mode in day.jobs]
    assert all(by_job[job] == 1 for job, mode in enumerate(wishes, 1) if mode in {SKIP, ASK})
    outcomes = [bench.take(Finish).outcome for _ in jobs]
    assert [Status.AMBIGUOUS] * len(jobs) == [outcome.status for outcome in outcomes]
    assert len(sends) * QUOTE == sum(outcome.maybe for outcome in outcomes) == bench.book().maybe
    assert more == bench.engine.snapshot().allowance.taken
    assert bench.rests()


def test_retry_pays_up_to_the_tries_and_within_the_budget() -> None:
    """RETRY tries as often as it may; each doubt is booked with its bound, and the cap has room for all of them."""
    config = evolve(CONFIG, ambiguity=Ambiguity(RETRY))
    for cap, tries in ((None, 6), (350, 3), (100, 1)):
        bench = Bench(evolve(config, budget=Budget(() if cap is None else (("run", cap),))))
        assert tries == len(bad_day(bench, [work("k")], Random(1)))
        outcome = bench.take(Finish).outcome
        assert (Status.AMBIGUOUS, tries * QUOTE) == (outcome.status, outcome.maybe)
        assert tries * QUOTE == bench.book().maybe


def test_one_more_try_a_job_over_its_chain() -> None:
    """AUTO once: a job that was tried again goes down no chain after another doubt, and its second sample neither."""
    chain = Work((target("k"), target("k2", model="other")))
    bench = Bench(evolve(CONFIG, retry=Retry(attempts=1)))
    assert ["m", "other"] == [send.lane.model for send in bad_day(bench, [chain], Random(1))]
    bench = Bench()
    assert ["m", "m"] == [send.lane.model for send in bad_day(bench, [chain], Random(1))]
    bench = Bench(evolve(CONFIG, credentials=WIDE))
    sends = bad_day(bench, [Work((evolve(target("a", "b", "c"), most=1),))], Random(1))
    assert 4 == len(sends)


def test_the_allowance_is_one_for_all_jobs() -> None:
    """With three tries free and 2 %, of two hundred jobs four are tried again."""
    bench = Bench(evolve(CONFIG, credentials=WIDE))
    sends = bad_day(bench, [work(f"k{number}") for number in range(200)], Random(1))
    assert 204 == len(sends)


def test_dear_tries_use_the_allowance_up() -> None:
    """After a hundred cheap attempts a dear one may be tried again three times in all, not five."""
    bench = Bench(evolve(CONFIG, credentials=WIDE, unproven=None))
    for number in range(250):
        bench.ask(f"k{number}")
        bench.pays(bench.take(Send))
        bench.take(Finish)
    dear = [Work((evolve(target(f"d{number}"), quote=100 * QUOTE),)) for number in range(6)]
    assert 9 == len(bad_day(bench, dear, Random(1)))


def pair(first: OnAmbiguous | None, second: OnAmbiguous | None, config: Config = CONFIG) -> tuple[Bench, list[Outcome]]:
    """Two jobs gathered into one call whose first attempt breaks and whose second delivers, if there is one."""
    bench = Bench(evolve(config, gathering=Gathering(2, 1.0)))
    for key, mode in (("a", first), ("b", second)):
        bench.submit(evolve(Work((evolve(target(key), gather="g"),)), on_ambiguous=mode))
    bench.breaks(bench.take(Send))
    if bench.engine.next_deadline() is not None:
        bench.at(bench.engine.next_deadline() or 0.0)
    if not bench.none(Send):
        bench.pays(bench.take(Send))
    return bench, [bench.take(Finish).outcome for _ in range(2)]


def test_who_shares_a_call_is_not_tried_again_against_his_wish() -> None:
    """Of two in one call the one who skips ends in doubt, the other is bought again, alone."""
    bench, outcomes = pair(SKIP, None)
    assert [Status.AMBIGUOUS, Status.COMPLETED] == [outcome.status for outcome in outcomes]
    assert [(QUOTE, 0), (QUOTE, 60)] == [(outcome.maybe, outcome.charge) for outcome in outcomes]
    assert bench.rests()
    _, outcomes = pair(None, SKIP)
    assert [Status.AMBIGUOUS, Status.COMPLETED] == sorted([outcome.status for outcome in outcomes], key=str)
    _, outcomes = pair(None, RETRY)
    assert [Status.COMPLETED] * 2 == [outcome.status for outcome in outcomes]
    _, outcomes = pair(ASK, SKIP)
    assert [Status.AMBIGUOUS] * 2 == [outcome.status for outcome in outcomes]


@pytest.mark.parametrize(("mode", "hedged"), [(None, True), (RETRY, True), (SKIP, False), (ASK, False)])
def test_a_hedge_goes_by_the_allowance(mode: OnAmbiguous | None, hedged: bool) -> None:
    """It is a job's one more try, shares the allowance with retries, and is for nobody who skips."""
    bench = Bench(evolve(CONFIG, credentials=TWO, hedging=Hedging(5.0), ambiguity=Ambiguity(floor=1, share=0.0)))
    bench.submit(evolve(work("k"), on_ambiguous=mode))
    first = bench.take(Send)
    bench.at(5.0)
    assert hedged is not bench.none(Send)
    if not hedged:
        return
    second = bench.take(Send)
    bench.breaks(first)
    bench.breaks(second)
    assert (mode is None) is not bench.none(Finish)  # RETRY goes on
    if mode is RETRY:
        bench.at(bench.engine.next_deadline() or 0.0)
        bench.take(Send)
        bench.at(bench.now + 5.0)
        assert bench.none(Send)  # to a second hedge RETRY has no right


def test_the_loser_of_a_hedge_gives_its_bytes_back() -> None:
    """It was told to stop and delivered all the same: it is charged, and nobody keeps its picture."""
    bench = Bench(evolve(CONFIG, credentials=TWO, hedging=Hedging(5.0)))
    bench.ask("k")
    slow = bench.take(Send)
    bench.at(5.0)
    bench.pays(bench.take(Send), 60)
    assert slow.attempt == bench.take(Abort).attempt
    bench.take(Finish)
    bench.take(Release)
    bench.pays(slow, 70)
    assert ("b:2",) == bench.take(Release).refs
    assert 130 == bench.book().charged
    assert bench.rests()


def counted(config: Config, chain: tuple[Target, ...], ends: str) -> int:
    """How many exchanges there are for a job where everything ends as `ends` says: b(roken), f(ailed), u(nsent)."""
    bench = Bench(config)
    bench.submit(evolve(Work(chain), on_ambiguous=RETRY))
    count = 0
    for _ in range(STEPS):
        if not bench.none(Finish):
            break
        if bench.none(Send):
            bench.at(bench.engine.next_deadline() or 0.0)
            continue
        send = bench.take(Send)
        end = ends[count % len(ends)]
        count += 1
        if end == "b":
            bench.breaks(send)
        elif end == "f":
            bench.refuses(send, 500)
        else:
            bench.breaks(send, Kind.CONNECT, Reached.NOTHING)
    return count


@pytest.mark.parametrize("ends", ["b", "f", "u", "bfu"])
def test_tries_have_an_end_over_chain_and_lanes(ends: str) -> None:
    """Six a call; twelve a picture over its whole chain, however many targets and keys there are."""
    chain = tuple(target(f"k{place}", model=f"m{place}") for place in range(5))
    config = evolve(CONFIG, credentials=TWO)
    assert 6 == counted(config, chain[:1], ends)
    assert 12 == counted(config, chain, ends)
    assert 3 == counted(evolve(config, retry=Retry(most=3)), chain, ends)
    assert 20 == counted(evolve(config, retry=Retry(attempts=4, most=99)), chain, ends)


def test_a_hedge_is_one_of_the_tries() -> None:
    """With one exchange a call, or a picture, there is no second one beside it."""
    for retry in (Retry(attempts=1), Retry(most=1)):
        bench = Bench(evolve(CONFIG, credentials=TWO, hedging=Hedging(5.0), retry=retry))
        bench.ask("k")
        bench.take(Send)
        bench.at(5.0)
        assert bench.none(Send)


def test_a_refused_prompt_goes_nowhere_else() -> None:
    """What a moderation refused is final: no other key, no other target, and nobody who shares it asks again."""
    for stage in ("input", "output"):
        bench = Bench(evolve(CONFIG, credentials=TWO, store=False))
        bench.submit(Work((target("k"), target("k2", model="other"))))
        send = bench.take(Send)
        bench.tell(Responded(send.attempt, 400, (), Problem("moderation_blocked", None, "No.", stage=stage)))
        assert Status.REFUSED == bench.take(Finish).outcome.status
        assert bench.none(Send)


def test_a_blocked_account_is_not_a_refused_prompt() -> None:
    """Its key is closed, another key is asked, and without one the job fails as what it is."""
    said = Problem("content_policy_violation", None, "Your account has been suspended for violating our policies.")
    bench = Bench(evolve(CONFIG, credentials=TWO))
    bench.ask("k")
    bench.tell(Responded(bench.take(Send).attempt, 400, (), said))
    bench.pays(bench.take(Send))
    assert Status.COMPLETED == bench.take(Finish).outcome.status
    bench = Bench()
    bench.ask("k")
    bench.tell(Responded(bench.take(Send).attempt, 400, (), said))
    outcome = bench.take(Finish).outcome
    assert (Status.FAILED, "account") == (outcome.status, getattr(outcome.error, "kind", ""))


def test_whatever_leaves_it_open_is_a_doubt() -> None:
    """An exchange that was broken off, or that may not be tried again: ambiguous, and down no chain unasked."""
    chain = evolve(Work((target("k"), target("k2", model="other"))), on_ambiguous=SKIP)
    no = (("x-should-retry", "false"),)
    for end in (
        Failed(AttemptId(0), Kind.ABORTED, Reached.SENT),
        Responded(AttemptId(0), 502, no, Problem(own=False)),
    ):
        bench = Bench()
        bench.submit(chain)
        bench.tell(evolve(end, attempt=bench.take(Send).attempt))
        outcome = bench.take(Finish).outcome
        assert (Status.AMBIGUOUS, QUOTE, "ambiguous") == (
            outcome.status,
            outcome.maybe,
            getattr(outcome.error, "kind", ""),
        )
        assert bench.none(Send)


NO_RETRY = (("x-should-retry", "false"),)


def second(bench: Bench) -> Send:
    """The first attempt may have been billed; the next one, when it is due."""
    bench.breaks(bench.take(Send))
    while bench.none(Send):
        deadline = bench.engine.next_deadline()
        assert deadline is not None
        bench.at(deadline)
    return bench.take(Send)


@pytest.mark.parametrize(
    ("end", "status", "kind"),
    [
        (Responded(AttemptId(0), 500, NO_RETRY, Problem("server_error", None, "oops")), Status.AMBIGUOUS, "ambiguous"),
        (Responded(AttemptId(0), 404, (), Problem(own=False)), Status.AMBIGUOUS, "ambiguous"),
        (Responded(AttemptId(0), 403, (), Problem(own=False)), Status.AMBIGUOUS, "ambiguous"),
        (Responded(AttemptId(0), 302, (), Malformed("html")), Status.AMBIGUOUS, "ambiguous"),
        (Responded(AttemptId(0), 413, (), Malformed("html")), Status.AMBIGUOUS, "ambiguous"),
        (Failed(AttemptId(0), Kind.TOO_LARGE, Reached.READING), Status.AMBIGUOUS, "ambiguous"),
        (Responded(AttemptId(0), 400, (), Problem("invalid_value", None, "bad")), Status.FAILED, "invalid"),
        (Responded(AttemptId(0), 400, (), Problem("moderation_blocked")), Status.REFUSED, "moderation"),
    ],
)
def test_a_later_end_settles_no_doubt(end: Failed | Responded, status: Status, kind: str) -> None:
    """But for what the provider says of the request itself; what may have been billed stays booked in any case."""
    bench = Bench()
    bench.submit(Work((target("k"),)))
    bench.tell(evolve(end, attempt=second(bench).attempt))
    outcome = bench.take(Finish).outcome
    assert (status, kind) == (outcome.status, getattr(outcome.error, "kind", ""))
    assert (1 + isinstance(end, Failed)) * QUOTE == outcome.maybe


def test_a_doubt_that_ends_for_good_goes_down_no_chain() -> None:
    """The next target is asked only within the allowance, which this job has used."""
    bench = Bench()
    bench.submit(Work((target("k"), target("k2", model="other"))))
    bench.tell(Responded(second(bench).attempt, 500, NO_RETRY, Problem("server_error", None, "oops")))
    assert Status.AMBIGUOUS == bench.take(Finish).outcome.status
    assert bench.none(Send)
