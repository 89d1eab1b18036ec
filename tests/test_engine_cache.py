"""What the engine does around a store: times to live, remembered refusals, figures, and calls that are gathered."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from attrs import evolve

from penstock.cache.policy import lifetime
from penstock.commands import Consult, Finish, ReadCache, Send, WriteCache
from penstock.config import Config, Gathering, NearCache
from penstock.engine.entities import Ask, Flight, Job
from penstock.engine.refused import MOST, Refused
from penstock.errors import UsageError
from penstock.events import Cancelled, Responded
from penstock.ids import Handle, JobId, Key, Ref
from penstock.outcomes import Meta, Outcome, Source, Status, Trouble
from penstock.prepare import prepare
from penstock.readings import LimitHint, Problem, Vector, Verdict
from penstock.requests import ImageRequest, Options, Prepared
from penstock.work import CachePolicy, Screen, Work
from tests.histories.bench import CONFIG, META, Bench, target, work

STORED = evolve(CONFIG, store=True)
UNIX = 1_790_000_000.0
K = Key("k")


def bought(bench: Bench, one: Work) -> Outcome:
    """A job that the store does not have and the provider delivers."""
    bench.submit(one)
    bench.misses(bench.take(ReadCache))
    bench.pays(bench.take(Send), 60)
    return bench.take(Finish).outcome


def refused(bench: Bench, one: Work, status: int = 400, code: str = "moderation_blocked") -> Outcome:
    """A job that the store does not have and the provider refuses."""
    bench.submit(one)
    bench.misses(bench.take(ReadCache))
    bench.refuses(bench.take(Send), status, code)
    return bench.take(Finish).outcome


# Times to live


@pytest.mark.parametrize("ttl", [None, 100.0])
def test_a_picture_lives_as_long_as_was_asked_for(ttl: float | None) -> None:
    """A tenth less at most, the same for the same key; for ever where nothing was said."""
    bench = Bench(STORED)
    bought(bench, evolve(work("k"), ttl=ttl))
    write = bench.take(WriteCache)
    assert (K, lifetime(ttl, K)) == (write.key, write.ttl)


def test_the_shortest_time_of_those_who_share_counts() -> None:
    """Whoever wants it fresh gets it so, also where he joined, and where who asked first has left."""
    bench = Bench(STORED)
    first = bench.submit(evolve(work("k"), ttl=500.0))
    bench.misses(bench.take(ReadCache))
    for ttl in (None, 100.0, 300.0):
        bench.submit(evolve(work("k"), ttl=ttl))
    bench.tell(Cancelled(first))
    bench.pays(bench.take(Send))
    assert lifetime(100.0, K) == bench.take(WriteCache).ttl


def test_who_keeps_nothing_has_no_say_in_its_time() -> None:
    """Of one who never buys, and one who keeps for ever, the second counts."""
    bench = Bench(STORED)
    bench.submit(evolve(work("k"), cache=CachePolicy.ONLY, ttl=1.0))
    bench.submit(work("k"))
    bench.misses(bench.take(ReadCache))
    bench.pays(bench.take(Send))
    assert bench.take(WriteCache).ttl is None


def test_a_verdict_does_not_make_a_picture_younger() -> None:
    """What is noted beside a stored picture leaves it the rest of its time."""
    bench = Bench(STORED)
    screen = Screen("p1", picture=True, hook="look")
    bench.submit(evolve(work("k"), ttl=100.0, screens=(screen,)))
    bench.hits(bench.take(ReadCache), evolve(META, created=UNIX - 30.0))
    bench.answers(bench.take(Consult), Verdict(passed=True))
    write = bench.take(WriteCache)
    assert (lifetime(100.0, K, 30.0), True) == (write.ttl, write.amends)


# Refusals


def test_what_was_refused_is_not_asked_again_for_a_minute() -> None:
    """The second one hears the same at once, that it is remembered, and pays nothing; a minute later it is sent."""
    bench = Bench(STORED)
    first = refused(bench, work("k"))
    bench.at(20.0)
    bench.ask("k")
    bench.misses(bench.take(ReadCache))
    again = bench.take(Finish).outcome
    assert bench.none(Send)
    assert (Status.REFUSED, Status.REFUSED) == (first.status, again.status)
    assert first.error is not None
    assert again.error == evolve(first.error, message="no (said 20 s ago; asked again after 60 s)")
    assert (0, 0, 0, 1) == (again.charge, again.maybe, again.attempts, bench.engine.snapshot().cache.refused)
    bench.at(60.0)
    bench.ask("k")
    bench.misses(bench.take(ReadCache))
    assert 1 == bench.take(Send).samples


def test_what_is_stored_meanwhile_counts_before_a_refusal() -> None:
    """Another process may have had more luck."""
    bench = Bench(STORED)
    refused(bench, work("k"))
    bench.ask("k")
    bench.hits(bench.take(ReadCache))
    assert Status.CACHED == bench.take(Finish).outcome.status


@pytest.mark.parametrize("policy", [CachePolicy.REFRESH, CachePolicy.OFF])
def test_who_asks_for_something_new_asks_the_provider(policy: CachePolicy) -> None:
    """Neither `refresh` nor `off` goes by what was said before."""
    bench = Bench(STORED)
    refused(bench, work("k"))
    bench.submit(evolve(work("k"), cache=policy))
    assert 1 == bench.take(Send).samples


def test_who_asked_by_off_leaves_no_refusal() -> None:
    """What must not be kept is not remembered either."""
    bench = Bench(STORED)
    bench.submit(evolve(work("k"), cache=CachePolicy.OFF))
    bench.refuses(bench.take(Send), 400, "moderation_blocked")
    bench.ask("k")
    bench.misses(bench.take(ReadCache))
    assert 1 == bench.take(Send).samples


@pytest.mark.parametrize("config", [CONFIG, evolve(STORED, refusals=None)])
def test_without_a_store_or_a_wish_nothing_is_remembered(config: Config) -> None:
    """The next one is sent."""
    bench = Bench(config)
    for _ in range(2):
        bench.ask("k")
        if config.store:
            bench.misses(bench.take(ReadCache))
        bench.refuses(bench.take(Send), 400, "moderation_blocked")
        assert Status.REFUSED == bench.take(Finish).outcome.status


def test_a_limit_that_is_too_low_is_no_refusal_of_the_request() -> None:
    """Limits change, and other lanes have others."""
    bench = Bench(STORED)
    bench.ask("k")
    bench.misses(bench.take(ReadCache))
    bench.refuses(bench.take(Send), 429, None, LimitHint("tokens", 5.0, requested=10.0))
    assert Status.FAILED == bench.take(Finish).outcome.status
    bench.ask("k")
    bench.misses(bench.take(ReadCache))
    assert bench.engine.snapshot().cache.refused == 0


def test_a_proxys_refusal_is_not_remembered() -> None:
    """What is not said in the provider's own words may be another's word the next moment."""
    bench = Bench(STORED)
    bench.ask("k")
    bench.misses(bench.take(ReadCache))
    bench.tell(Responded(bench.take(Send).attempt, 413, (), Problem(message="too large", own=False)))
    assert Status.FAILED == bench.take(Finish).outcome.status
    bench.ask("k")
    bench.misses(bench.take(ReadCache))
    assert 1 == bench.take(Send).samples


def test_a_refused_target_is_passed_over() -> None:
    """Down the chain it goes at once to the next model, which was not asked before."""
    bench = Bench(STORED)
    refused(bench, work("k"), 400, "invalid_value")
    bench.submit(Work((target("k"), target("l", model="other"))))
    bench.misses(bench.take(ReadCache))
    bench.misses(bench.take(ReadCache))
    assert "other" == bench.take(Send).lane.model


def test_refusals_are_bounded() -> None:
    """The oldest go first; what is told again is the newest; other troubles are none."""
    known, trouble = Refused(), Trouble("moderation", "no")
    asks = Ask(Job(JobId(1), work("k"), 0.0), 0)

    def flights(names: Iterable[int]) -> list[Flight]:
        return [Flight(Key(str(name)), [asks], stores=True) for name in names]

    known.note(flights(range(MOST)), trouble, 0.0)
    known.note(flights([0, MOST]), trouble, 1.0)
    known.note([Flight(K, [asks], stores=True)], Trouble("rate_limited", "no"), 1.0)
    known.note([Flight(Key("off"), [asks])], trouble, 1.0)
    found = [known.found(Key(name), 2.0, 10.0) is not None for name in ("0", "1", "2", str(MOST), "k", "off")]
    assert [True, False, True, True, False, False] == found
    assert known.found(Key("0"), 11.0, 10.0) is None
    assert known.found(Key("0"), 2.0, 10.0) is None
    assert known.found(Key("2"), 2.0, None) is None


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("inf")])
def test_a_time_that_is_none_is_refused(seconds: float) -> None:
    """Refusals are remembered for a finite time, or not."""
    with pytest.raises(UsageError, match="refusals must be"):
        Config(refusals=seconds)


# Figures


def test_what_the_cache_did_is_counted() -> None:
    """Hits, misses, sharing, bytes both ways, and what was saved in money and time."""
    bench = Bench(STORED)
    bench.ask("k")
    bench.misses(bench.take(ReadCache), fault="the disk is gone")
    bench.ask("k")
    bench.pays(bench.take(Send), 60)
    bench.submit(work("l"))
    bench.hits(bench.take(ReadCache), Meta("1x1", "png", 1000, 40, seconds=12.5))
    figures = bench.engine.snapshot().cache
    assert (1, 1, 0, 1, 1) == (figures.hits, figures.misses, figures.near_hits, figures.shared, figures.faults)
    assert (1, 9, 1000) == (figures.written, figures.written_bytes, figures.read_bytes)
    assert (60 + 40, 12.5) == (figures.saved, figures.saved_seconds)


def test_a_hit_costs_nothing_and_says_what_it_saved() -> None:
    """Cached, no charge, no attempt."""
    bench = Bench(STORED)
    bench.ask("k")
    bench.hits(bench.take(ReadCache), META)
    outcome = bench.take(Finish).outcome
    assert (Status.CACHED, 0, 0, 40, 0) == (
        outcome.status,
        outcome.charge,
        outcome.maybe,
        outcome.saved,
        outcome.attempts,
    )
    assert [Source.STORED] == [picture.source for picture in outcome.pictures]


def test_a_picture_knows_how_long_it_took() -> None:
    """From the request to the reply, in seconds."""
    bench = Bench(STORED)
    bench.ask("k")
    bench.misses(bench.take(ReadCache))
    bench.at(7.5)
    bench.pays(bench.take(Send))
    meta = bench.take(WriteCache).meta
    assert meta is not None
    assert 7.5 == meta.seconds


# Variants


@pytest.mark.parametrize(
    ("config", "policy", "expected"),
    [
        (STORED, CachePolicy.USE, "stored"),
        (STORED, CachePolicy.REFRESH, "stored"),
        (STORED, CachePolicy.OFF, ""),
        (CONFIG, CachePolicy.USE, ""),
    ],
)
def test_a_seed_that_is_not_sent_is_kept_by_the_store(config: Config, policy: CachePolicy, expected: str) -> None:
    """Where there is one, and it is used; a request without a seed promises nothing."""
    for asked, told in (((("seed", "4"),), expected), ((), "")):
        bench = Bench(config)
        bench.submit(Work((evolve(target("k"), asked=asked),), cache=policy))
        if config.store and policy is CachePolicy.USE:
            bench.misses(bench.take(ReadCache))
        bench.pays(bench.take(Send))
        assert told == bench.take(Finish).outcome.reproducible


def test_a_failure_reproduces_nothing() -> None:
    """There is no copy."""
    bench = Bench(STORED)
    assert "" == refused(bench, Work((evolve(target("k"), asked=(("seed", "4"),)),))).reproducible


def test_samples_are_looked_for_apart_by_meaning() -> None:
    """Another sample is another picture, however near its words are: it has a shelf of its own."""
    bench = Bench(evolve(STORED, near=NearCache(hook="embed")))
    bench.submit(Work((evolve(target("k", "l"), scope="shelf:order"),), near=True))
    bench.misses(bench.take(ReadCache))
    scopes: list[str] = []
    for number in range(2):
        bench.answers(bench.take(Consult), Vector(Ref(f"v{number}")))
        near = bench.take(ReadCache).near
        assert near is not None
        scopes.append(near.scope)
    assert ["shelf:order", "1/shelf:order"] == scopes


# Gathering

CAT = ImageRequest(prompt="a cat", model="gpt-image-2", size="1024x1024", quality="low")
WIDE = Config(gathering=Gathering(4, 0.5))


def gather(request: ImageRequest = CAT, options: Options | None = None, config: Config = WIDE) -> str | None:
    """What a prepared request may be bought along with."""
    made = prepare(request, options or Options(), config, handle=Handle(1), unix=UNIX)
    assert isinstance(made, Prepared)
    return made.work.targets[0].gather


def test_what_is_asked_for_in_the_same_words_may_be_bought_together() -> None:
    """Whoever asks, whichever sample; not what is another request to the provider, and nothing unless it is wanted."""
    mine = gather()
    assert mine == gather(options=Options(tenant="acme", sample=3)) == gather(evolve(CAT, n=3))
    others = [{"prompt": "a dog"}, {"quality": "high"}, {"user": "somebody"}, {"model": "gpt-image-1.5"}]
    assert mine not in [gather(evolve(CAT, **fields)) for fields in others]  # type: ignore[arg-type] # by name
    assert gather(config=Config()) is None


def test_a_request_that_is_large_enough_alone_is_not_gathered() -> None:
    """What asks for as many as would be gathered goes at once, in one call; less waits for company."""
    bench = Bench(evolve(CONFIG, gathering=Gathering(3, 0.5)))
    bench.submit(Work((evolve(target("a", "b", "c", "d"), gather="g"),)))
    assert 4 == bench.take(Send).samples
    bench = Bench(evolve(CONFIG, gathering=Gathering(3, 0.5)))
    bench.submit(Work((evolve(target("a"), gather="g"),)))
    assert bench.none(Send)
    bench.submit(Work((evolve(target("b", "c"), gather="g"),)))
    assert 3 == bench.take(Send).samples
