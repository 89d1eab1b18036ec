"""Pictures found by meaning: the same with numpy and without, after a restart, labelled, and never by accident."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.config import Config, NearCache
from penstock.ids import Key, Ref
from penstock.outcomes import Meta, Source, Status
from penstock.requests import Options
from penstock.simulation.server import Latency, ServerSettings
from penstock_io._perform import Question
from penstock_io.simserver import SimServer, serving
from penstock_io.stores import Keeping, Lasting, Leasing, Marking, Near, Store, StoreDamaged, StoreFault
from penstock_io.stores._places import Places, Spot, unit
from penstock_io.stores.memory import MemoryStore
from penstock_io.stores.near import NearStore
from penstock_io.stores.sqlite import SqliteStore
from penstock_io.sync import Client

ASKED: dict[str, Any] = {"model": "gpt-image-1.5", "size": "1024x1024", "quality": "low"}
NEAR = Options(near=True)

numbers = st.floats(-1, 1, width=32)
vectors = st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=8)


@given(vectors, st.tuples(numbers, numbers, numbers), st.integers(1, 8), st.sets(st.integers(0, 7)))
def test_both_ways_to_count_agree(
    placed: list[tuple[float, float, float]], asked: tuple[float, float, float], most: int, gone: set[int]
) -> None:
    """With numpy and without the same pictures are near, best first, whatever was replaced or forgotten."""
    both = Places(most, fast=True), Places(most, fast=False)
    for places in both:
        for number, vector in enumerate(placed):
            direction = unit(vector)
            if direction is not None:
                places.put(Key(str(number % 5)), Spot("s:", direction))
        for number in gone:
            places.forget(Key(str(number)))
    fast, slow = (dict(places.nearest("s:", asked, 0.3)) for places in both)
    assert len(both[0]) == len(both[1]) <= most
    for key in fast.keys() | slow.keys():
        assert fast.get(key, 0.3) == pytest.approx(slow.get(key, 0.3), abs=1e-5)
    assert list(fast.values()) == sorted(fast.values(), reverse=True)


def test_the_oldest_places_go_first() -> None:
    """What is pushed out is told; a place that is taken anew is the newest."""
    places, one = Places(2), unit((1.0, 0.0))
    assert one is not None
    assert [[], [], [], [Key("b")]] == [places.put(Key(key), Spot("s:", one)) for key in "abac"]
    assert (False, True) == (places.forget(Key("b")), places.forget(Key("a")))
    assert [Key("c")] == [key for key, _ in places.nearest("s:", (1.0, 0.0), 0.5)]


@pytest.mark.parametrize("vector", [(0.0, 0.0), (float("inf"), 1.0), (float("nan"), 1.0)])
def test_what_points_nowhere_is_not_placed(vector: tuple[float, float]) -> None:
    """A vector without length or direction finds nothing and is found by nothing."""
    store = NearStore(MemoryStore())
    store.write(Key("a"), Meta(), b"x")
    store.place(Key("a"), "s:", vector)
    store.place(Key("a"), "s:", (1.0, 0.0)) if vector[0] else None
    assert store.near("s:", vector, 0.0) is None


def test_places_outlive_their_process(tmp_path: Path) -> None:
    """Another object on the same file finds what the first one placed; a picture that is gone is forgotten."""
    pictures, places = tmp_path / "pictures.sqlite", tmp_path / "near.sqlite"
    with NearStore(SqliteStore(pictures), places) as store:
        for key in "ab":
            store.write(Key(key), Meta(size=key), b"x")
            store.place(Key(key), "s:", (1.0, 0.0 if key == "a" else 0.1))
    with NearStore(SqliteStore(pictures), places) as again:
        found = again.near("s:", (1.0, 0.0), 0.92)
        assert found is not None
        assert ("a", 1.0) == (found[0].size, round(found[2], 6))
        assert again.delete(Key("a"))
    with NearStore(SqliteStore(pictures), places) as last:
        found = last.near("s:", (1.0, 0.0), 0.92)
        assert found is not None
        assert "b" == found[0].size
        last.store.delete(Key("b"))  # type: ignore[attr-defined] # the store on disk can
        assert last.near("s:", (1.0, 0.0), 0.92) is None
    with closing(sqlite3.connect(places)) as db:
        assert [(0,)] == db.execute("SELECT count(*) FROM places").fetchall()


def test_what_another_process_places_is_found(tmp_path: Path) -> None:
    """At the next lookup, each of many, also where both place; the bound holds for both together."""
    pictures, places = tmp_path / "pictures.sqlite", tmp_path / "near.sqlite"
    with (
        NearStore(SqliteStore(pictures), places, most=3) as one,
        NearStore(SqliteStore(pictures), places, most=3) as other,
    ):
        assert one.near("s:", (1.0, 0.0), 0.9) is None
        found: list[object] = []
        for number, store in enumerate((other, one, other, other, one)):
            store.write(Key(str(number)), Meta(cost=number), b"png")
            store.place(Key(str(number)), "s:", (1.0, float(number)))
            found += [
                near and near[0].cost for near in (side.near("s:", (1.0, float(number)), 0.9) for side in (one, other))
            ]
        assert [0, 0, 1, 1, 2, 2, 3, 3, 4, 4] == found
        assert [None, None] == [side.near("s:", (1.0, 0.0), 0.9) for side in (one, other)]
    with closing(sqlite3.connect(places)) as db:
        assert [(3,)] == db.execute("SELECT count(*) FROM places").fetchall()


def test_a_list_of_an_earlier_version_goes_on(tmp_path: Path) -> None:
    """What was placed before is found, and what is placed from now on."""
    places, pictures = tmp_path / "near.sqlite", MemoryStore()
    with closing(sqlite3.connect(places)) as db, db:
        db.execute(
            "CREATE TABLE places (key BLOB PRIMARY KEY, scope TEXT NOT NULL, vector BLOB NOT NULL) WITHOUT ROWID"
        )
        db.execute("INSERT INTO places VALUES (?, ?, ?)", (b"a", "s:", unit((1.0, 0.0))))
        db.execute("PRAGMA user_version = 1")
    for key, vector in (("a", (1.0, 0.0)), ("b", (0.0, 1.0))):
        with NearStore(pictures, places) as store:
            store.write(Key(key), Meta(format=key), b"png")
            store.place(Key("b"), "s:", (0.0, 1.0))
            near = store.near("s:", vector, 0.9)
            assert near is not None
            assert key == near[0].format


def test_a_file_that_is_another_is_left_alone(tmp_path: Path) -> None:
    """Neither somebody's database nor what is none is used; it is a fault in words."""
    other, text = tmp_path / "other.sqlite", tmp_path / "text.sqlite"
    with closing(sqlite3.connect(other)) as db, db:
        db.execute("CREATE TABLE mine (x)")
    text.write_text("no database at all, but some words\n" * 50, encoding="utf-8")
    with pytest.raises(StoreDamaged, match="no list of places"):
        NearStore(MemoryStore(), other).place(Key("a"), "s:", (1.0,))
    with pytest.raises(StoreFault, match="damaged"):
        NearStore(MemoryStore(), text).near("s:", (1.0,), 0.5)


def test_it_can_what_its_store_can(tmp_path: Path) -> None:
    """Leases, figures and looking through are the store's; one that has none of it grants and lists nothing."""
    store = NearStore(SqliteStore(tmp_path / "pictures.sqlite"))
    able: object = store
    kinds = (Store, Near, Keeping, Leasing, Lasting, Marking)
    assert [] == [kind for kind in kinds if not isinstance(able, kind)]
    assert (None, 30.0) == (store.claim(Key("a"), "me", 30.0), round(store.claim(Key("a"), "you", 30.0) or 0.0))
    store.give_back(Key("a"), "me")
    assert store.claim(Key("a"), "you", 30.0) is None
    store.write(Key("a"), Meta(), b"x")
    assert (1, [Key("a")], []) == (store.figures().entries, [entry.key for entry in store.entries()], [*store.verify()])
    assert (False, None, False) == (store.inline, store.lasts(Key("a")), store.mark(Key("a"), Meta(), Ref("r")))
    store.close()
    plain = NearStore(MemoryStore())
    assert (True, None) == (plain.inline, plain.claim(Key("a"), "me", 1.0))
    assert "MemoryStore" in repr(plain)


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A quick provider."""
    with serving(ServerSettings(latency=Latency(0.0, 0.0))) as server:
        yield server


def embed(question: Question) -> list[float]:
    """An embedder that finds everything the same, but for what has nothing to do with foxes."""
    prompt = "" if question.request is None else question.request.prompt
    return [1.0, 0.0 if "fox" in prompt else 2.0]


def client(sim: SimServer, store: Store) -> Client:
    """A client that may look by meaning."""
    config = Config(near=NearCache(hook="embed"))
    return Client(sim.base_url, ["key-1"], store=store, config=config, hooks={"embed": embed})


def test_a_near_hit_is_labelled_and_free(sim: SimServer) -> None:
    """What is nearly the same comes from the store with its score; a number, a sample or a size more is bought."""
    with client(sim, NearStore(MemoryStore())) as near:
        images = near.images
        first = images.generate(prompt="a red fox in the snow", **ASKED, options=NEAR)
        again = images.generate(prompt="a red fox lying in snow", **ASKED, options=NEAR)
        others = [
            images.generate(prompt="two red foxes in the snow", **ASKED, options=NEAR),
            images.generate(prompt="a red fox in the snow", **ASKED, options=Options(near=True, sample=1)),
            images.generate(prompt="a red fox in the snow", **{**ASKED, "size": "1536x1024"}, options=NEAR),
            images.generate(prompt="a red hen in the snow", **ASKED, options=NEAR),
            images.generate(prompt="a red fox lying in snow", **ASKED, options=Options(near=True, tenant="acme")),
        ]
        figures = near.snapshot().cache
    assert (Status.SIMILAR, Source.SIMILAR, Decimal(0)) == (again.outcome.status, again.images[0].source, again.cost)
    assert (1.0, first.cost) == (again.score, again.saved)
    assert first.images[0].data == again.images[0].data
    assert [Status.COMPLETED] * 5 == [other.outcome.status for other in others]
    assert ([None] * 5, 1, 6) == ([other.score for other in others], figures.near_hits, sim.stats()["executed"])


def test_nobody_finds_by_meaning_who_does_not_ask_for_it(sim: SimServer) -> None:
    """It is off by default: the same embedder, the same store, and every other wording is bought."""
    with client(sim, NearStore(MemoryStore())) as near:
        near.images.generate(prompt="a red fox in the snow", **ASKED, options=NEAR)
        result = near.images.generate(prompt="a red fox lying in snow", **ASKED)
    assert (Status.COMPLETED, 2) == (result.outcome.status, sim.stats()["executed"])
