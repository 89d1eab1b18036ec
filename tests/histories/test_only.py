"""Those who never buy and may be found by meaning: what costs nothing is looked at, what costs is not."""

from __future__ import annotations

import pytest
from attrs import evolve

from penstock.commands import Consult, Finish, ReadCache, Send
from penstock.config import NearCache
from penstock.ids import Ref
from penstock.outcomes import Status
from penstock.readings import Fault, Vector
from penstock.work import CachePolicy, Purpose, Target
from tests.histories.bench import CONFIG, META, Bench, work

STORED = evolve(CONFIG, store=True)


def only(near: NearCache) -> Bench:
    """A bench whose one job never buys and may be found by meaning; its exact lookup missed."""
    bench = Bench(evolve(STORED, near=near))
    bench.submit(evolve(work("k"), near=True, cache=CachePolicy.ONLY))
    bench.misses(bench.take(ReadCache))
    return bench


def test_who_never_buys_is_found_by_meaning() -> None:
    """What a hook says of his words costs nothing."""
    bench = only(NearCache(0.9, "embed"))
    bench.answers(bench.take(Consult), Vector(Ref("v")))
    bench.hits(bench.take(ReadCache), META, 0.97)
    assert Status.SIMILAR is bench.take(Finish).outcome.status
    assert bench.rests()


@pytest.mark.parametrize("answer", [Vector(Ref("v")), Fault("it crashed")])
def test_who_never_buys_does_not_where_nothing_is_near(answer: Vector | Fault) -> None:
    """Nor where nobody can say what is."""
    bench = only(NearCache(0.9, "embed"))
    bench.answers(bench.take(Consult), answer)
    if isinstance(answer, Vector):
        bench.misses(bench.take(ReadCache))
    error = bench.take(Finish).outcome.error
    assert error is not None
    assert "not_stored" == error.kind
    assert bench.rests()


def test_who_never_buys_buys_no_vector() -> None:
    """Where words have to be embedded by a provider he is not looked for by meaning; who shares the flight is."""
    model = Target("p", "embedder", quote=3, operation="embeddings", purpose=Purpose.EMBED)
    bench = only(NearCache(0.9, "", model))
    error = bench.take(Finish).outcome.error
    assert error is not None
    assert "not_stored" == error.kind
    assert bench.rests()


def test_who_never_buys_is_no_payer_of_who_shares() -> None:
    """Who wants it as it is buys it; who never buys hears so before."""
    bench = Bench(evolve(STORED, near=NearCache(0.9, "embed")))
    bench.submit(work("k"))
    bench.submit(evolve(work("k"), near=True, cache=CachePolicy.ONLY))
    bench.misses(bench.take(ReadCache))
    error = bench.take(Finish).outcome.error
    assert error is not None
    assert "not_stored" == error.kind
    bench.pays(bench.take(Send))
    assert Status.COMPLETED is bench.take(Finish).outcome.status
    assert bench.rests()
