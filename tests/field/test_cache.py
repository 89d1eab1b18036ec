"""Caches: keys that forget what matters or count what does not, pictures of others, opposites, and stores that fail."""

from __future__ import annotations

from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import pytest
from attrs import evolve

from penstock.cache import Input, keys
from penstock.config import Config, Gathering, Limits, NearCache
from penstock.ids import Handle, Key
from penstock.outcomes import Meta, Source, Status
from penstock.prepare import prepare
from penstock.requests import ImageRequest, Options, Prepared
from penstock.simulation.server import Latency, Server, ServerSettings
from penstock.simulation.world import Delays, World
from penstock.work import CachePolicy
from penstock_io.batch.keying import key_rows
from penstock_io.batch.rows import Defaults
from penstock_io.batch.settings import Choices
from penstock_io.journal import Account, Journal
from penstock_io.simserver import SimServer, serving
from penstock_io.stores import StoreFault
from penstock_io.stores.memory import MemoryStore
from penstock_io.stores.near import NearStore
from penstock_io.stores.redis import RedisStore
from penstock_io.stores.sqlite import SqliteStore
from tests.batching import folder_for, table
from tests.field.worlds import CONFIG, ONE, QUICK, asked, client, rested, works, world

PLAIN = ImageRequest(prompt="a kettle", model="sdxl")


def key(request: ImageRequest = PLAIN, tenant: str = "", inputs: tuple[Input, ...] = ()) -> Key:
    """The key of one picture."""
    (one,) = keys(
        request,
        provider="default",
        dialect="openai",
        model=request.model,
        tenant=tenant,
        first=0,
        samples=1,
        inputs=inputs,
    )
    return one


@pytest.mark.parametrize("fields", [{"size": "1536x1024"}, {"quality": "medium"}, {"output_format": "webp"}])
def test_the_key_ignores_size_and_quality(driver: str, sim: SimServer, fields: dict[str, str]) -> None:
    """litellm: another size, quality or format gets the picture that is there. Ours is bought, and is as was asked."""
    with client(driver, sim, store=MemoryStore()) as side:
        side.generate(**asked())
        result = side.generate(**{**asked(), **fields})
        again = side.generate(**asked())
    assert [Status.COMPLETED, Status.CACHED] == [one.outcome.status for one in (result, again)]
    assert 2 == sim.stats()["executed"]
    assert fields.get("size", "1024x1024") == result.images[0].size


def test_the_key_depends_on_the_order_of_arguments(driver: str, sim: SimServer) -> None:
    """litellm: the same arguments in another order are bought again. Ours: one picture, however they are said."""
    with client(driver, sim, store=MemoryStore()) as side:
        fields = asked() | {"model": "sdxl"}
        side.generate(**fields, extra={"steps": 20, "cfg": 3.0})
        result = side.generate(**dict(reversed(fields.items())), extra={"cfg": 3, "steps": 20.0})
    assert (Status.CACHED, Decimal(0), 1) == (result.outcome.status, result.cost, sim.stats()["executed"])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((evolve(PLAIN, prompt="ab", size="c"), ""), (evolve(PLAIN, prompt="a", size="bc"), "")),
        ((evolve(PLAIN, prompt="a"), "b"), (evolve(PLAIN, prompt="ab"), "")),
        ((evolve(PLAIN, size="low"), ""), (evolve(PLAIN, quality="low"), "")),
        ((evolve(PLAIN, extra=(("a", "b,c:d"),)), ""), (evolve(PLAIN, extra=(("a", "b"), ("c", "d"))), "")),
        ((evolve(PLAIN, extra=(("a", '1","b":"2'),)), ""), (evolve(PLAIN, extra=(("a", "1"), ("b", "2"))), "")),
        ((evolve(PLAIN, extra=(("a", "1"),)), ""), (evolve(PLAIN, extra=(("a", 1),)), "")),
        ((evolve(PLAIN, extra=(("a", True),)), ""), (evolve(PLAIN, extra=(("a", 1),)), "")),
    ],
)
def test_the_key_joins_fields_without_a_separator(
    one: tuple[ImageRequest, str], other: tuple[ImageRequest, str]
) -> None:
    """litellm: what ends one field and begins the next runs together. Ours: no text of one is another field's."""
    assert key(*one) != key(*other)


def test_parts_of_a_request_hash_to_nothing() -> None:
    """In mastra (20655) images by URL all hash to `{}`, and one is served for another. Ours go by their bytes."""
    cat, dog = (Input("image", sha256(data).hexdigest()) for data in (b"a cat", b"a dog"))
    mask = evolve(cat, role="mask")
    made = [(), (cat,), (dog,), (cat, dog), (dog, cat), (cat, cat), (cat, mask), (mask,)]
    assert len(made) == len({key(inputs=inputs) for inputs in made})


def embed(_: object) -> list[float]:
    """An embedder that takes everything for the same."""
    return [1.0, 1.0]


NEAR: dict[str, Any] = {"config": Config(near=NearCache(hook="embed")), "hooks": {"embed": embed}}


def test_a_hit_of_another_size_is_resized(driver: str, sim: SimServer) -> None:
    """GPTCache: what is near is taken and resized. Ours is near only in the size that was asked for."""
    with client(driver, sim, store=NearStore(MemoryStore()), **NEAR) as side:
        side.generate(**asked(), options=Options(near=True))
        wide = side.generate(**{**asked(), "size": "1536x1024"}, options=Options(near=True))
    assert (Status.COMPLETED, "1536x1024", 2) == (wide.outcome.status, wide.images[0].size, sim.stats()["executed"])


@pytest.mark.parametrize(
    "opposite", ["a street without people", "an empty street, no people", "three streets with people"]
)
def test_the_opposite_question_is_answered(driver: str, sim: SimServer, opposite: str) -> None:
    """GPTCache 694: "what is X" answers "what is not X". Ours has guards before any likeness, and says "similar"."""
    with client(driver, sim, store=NearStore(MemoryStore()), **NEAR) as side:
        side.generate(**asked("a street with people"), options=Options(near=True))
        other = side.generate(**asked(opposite), options=Options(near=True))
        same = side.generate(**asked("a street that has people"), options=Options(near=True))
    assert (Status.COMPLETED, Status.SIMILAR) == (other.outcome.status, same.outcome.status)
    assert pytest.approx(1.0) == same.outcome.score
    assert [Source.SIMILAR] == [image.source for image in same.images]


def test_tenants_see_each_others_pictures(driver: str, sim: SimServer) -> None:
    """In litellm (19575) one tenant's results are another's; 29086: scoping then broke every hit. Ours: neither."""
    with client(driver, sim, store=MemoryStore()) as side:
        found = [
            side.generate(**asked(), options=Options(tenant=tenant)).outcome.status
            for tenant in ("a", "b", "", "a", "b", "")
        ]
    assert [Status.COMPLETED] * 3 + [Status.CACHED] * 3 == found
    assert 3 == sim.stats()["executed"]


class Broken(MemoryStore):
    """A store that can do nothing."""

    def read(self, key: Key) -> tuple[Meta, bytes] | None:
        """Fail."""
        raise StoreFault(f"no {key[:4]} today")

    def write(self, key: Key, meta: Meta, data: bytes, ttl: float | None = None) -> None:
        """Fail."""
        del key, meta, data, ttl
        raise OSError(28, "No space left on device")


def unusable(name: str, path: Path) -> Any:
    """A store that is none: broken, unreachable, or a file of something else."""
    if name == "broken":
        return Broken()
    if name == "unreachable":
        return RedisStore("redis://127.0.0.1:1/0", timeout=0.5)
    (path / "store.sqlite").write_bytes(b"no store at all " * 4096)
    return SqliteStore(path / "store.sqlite")


@pytest.mark.parametrize("name", ["broken", "unreachable", "corrupt"])
def test_a_store_that_fails_fails_the_request(driver: str, sim: SimServer, name: str, tmp_path: Path) -> None:
    """A corrupt or unreachable store fails the request. Ours is a miss with a fault that is counted and told."""
    told: list[object] = []
    with client(driver, sim, store=unusable(name, tmp_path), notices=told.append) as side:
        results = [side.generate(**asked()) for _ in range(2)]
        figures = side.snapshot().cache
    assert [Status.COMPLETED] * 2 == [result.outcome.status for result in results]
    assert (2, 0) == (figures.misses, figures.hits)
    assert figures.faults >= 1
    assert any("store" in str(one) for one in told)


def test_a_store_that_does_not_answer_holds_everything_up() -> None:
    """A slow store is a miss after its patience: the picture is bought, late by seconds and not for ever."""
    config = evolve(CONFIG, store=True, read_patience=5.0)
    made = World(config, Server(ServerSettings(), rng=Random(3)), rng=Random(4), delays=Delays(store=3600.0))
    made.run(works(3))
    assert [Status.COMPLETED] * 3 == [outcome.status for outcome in rested(made)]
    assert 3 == made.bare.snapshot().cache.faults


def test_a_batch_with_repeats_buys_each_picture_once() -> None:
    """10,000 rows, three in ten of them repeats in other words for the same: the provider makes the 7,000 once each."""
    chance = Random(8)
    distinct = [ImageRequest(prompt=f"a kettle, number {n}", model="gpt-image-1.5", quality="low") for n in range(7000)]
    repeats = [evolve(one, size="auto", user=f"u{n}") for n, one in enumerate(chance.choices(distinct, k=3000))]
    rows = [*distinct, *repeats]
    chance.shuffle(rows)
    config = Config((evolve(ONE, limits=Limits(concurrency=64)),), store=True)
    server = Server(ServerSettings(latency=Latency(1.0, 0.2)), rng=Random(3))
    made = World(config, server, rng=Random(4), delays=Delays(store=0.01))
    handed = (prepare(row, Options(), config, handle=Handle(n), unix=1_795_000_000.0) for n, row in enumerate(rows, 1))
    made.run(one.work for one in handed if isinstance(one, Prepared))
    outcomes = rested(made)
    assert (10_000, 7000, 7000) == (len(outcomes), server.books.executed, server.books.received)
    assert {Status.COMPLETED, Status.CACHED} == {outcome.status for outcome in outcomes}
    assert 7000 == sum(outcome.charge != 0 for outcome in outcomes)
    figures = made.bare.snapshot().cache
    assert (7000, 3000) == (figures.misses, figures.hits + figures.shared)
    assert sum(outcome.saved for outcome in outcomes) == figures.saved


def test_a_batch_with_repeats_over_http(tmp_path: Path, sim: SimServer) -> None:
    """The same with rows, files and a provider on loopback: of 100 rows 30 repeat others, and say so."""
    folder = folder_for(tmp_path / "out", sim)
    folder.run(table([f"a kettle, number {n % 70}" for n in range(100)]))
    told = folder.lines()
    assert (100, 70) == (len({line["id"] for line in told}), sim.stats()["executed"])
    assert 30 == sum(line["cached"] or line["shared"] for line in told)


def test_a_world_of_repeats_is_at_rest_under_the_monitor() -> None:
    """The same rules hold where every picture is asked for twice at once: one pays, one shares."""
    made = world(evolve(CONFIG, store=True))
    made.run([*works(50), *[evolve(work, handle=Handle(1000 + n)) for n, work in enumerate(works(50))]])
    outcomes = rested(made)
    assert (100, 50) == (len(outcomes), made.server.books.executed)


def test_another_servers_picture_is_served(driver: str, sim: SimServer) -> None:
    """One store, two servers: what a name of no catalog means is its server's affair, so each makes its own picture.

    A model of the catalog is the same wherever it is reached; who knows better says whose pictures they are.
    """
    store = MemoryStore()
    fields = asked() | {"model": "sdxl"}
    with serving(QUICK) as other:
        with client(driver, sim, store=store) as side:
            side.generate(**fields)
            side.generate(**asked())
        with client(driver, other, store=store) as side:
            found = [side.generate(**fields).outcome.status, side.generate(**asked()).outcome.status]
        with client(driver, other, store=store, server=sim.base_url) as side:
            found.append(side.generate(**fields).outcome.status)
        assert [Status.COMPLETED, Status.CACHED, Status.CACHED] == found
        assert (2, 1) == (sim.stats()["executed"], other.stats()["executed"])


def test_a_batch_knows_its_pictures_by_their_server(tmp_path: Path, sim: SimServer) -> None:
    """What it buys has the keys that it plans with: the same command again sends nothing."""
    folder, rows = folder_for(tmp_path / "out", sim), table(3, Defaults(model="sdxl"))
    choices = Choices(server=sim.base_url)
    for _ in range(2):
        folder.run(rows, choices=choices)
    keyed, _ = key_rows(rows, choices, budget=False, states={}, account=Account())
    elsewhere, _ = key_rows(rows, Choices(), budget=False, states={}, account=Account())
    with Journal.open(folder.path) as journal:
        bought = set(journal.account().prices)
    assert bought == {key for row in keyed for key in row.keys}
    assert bought.isdisjoint(key for row in elsewhere for key in row.keys)
    assert (3, ["completed"] * 3) == (sim.stats()["executed"], folder.statuses())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (Options(), Status.CACHED),
        (Options(cache=CachePolicy.ONLY), Status.CACHED),
        (Options(cache=CachePolicy.REFRESH), Status.COMPLETED),
        (Options(cache=CachePolicy.OFF), Status.COMPLETED),
        (Options(sample=1), Status.COMPLETED),
    ],
)
def test_what_a_policy_says_is_done(driver: str, sim: SimServer, options: Options, expected: Status) -> None:
    """Of a picture that is stored: it is taken, or bought anew; another sample is another picture."""
    with client(driver, sim, store=MemoryStore()) as side:
        first = side.generate(**asked())
        result = side.generate(**asked(), options=options)
        stored = side.generate(**asked()).images[0].data
    assert expected == result.outcome.status
    hit = expected is Status.CACHED
    assert (hit, first.cost if hit else Decimal(0), 1 if hit else 2) == (
        result.cached,
        result.saved,
        sim.stats()["executed"],
    )
    newest = result if options.cache is CachePolicy.REFRESH else first
    assert newest.images[0].data == stored


def test_a_seed_that_the_model_does_not_know_is_kept_by_the_store(driver: str, sim: SimServer) -> None:
    """The second time it is the same variant, because it is stored, and so it says; another seed is another picture."""
    with client(driver, sim, store=MemoryStore()) as side:
        first, again, other = (side.generate(**asked(), seed=seed) for seed in (7, 7, 8))
        plain = side.generate(**asked())
    assert ["stored"] * 3 + [""] == [one.reproducible for one in (first, again, other, plain)]
    assert (True, False, 3) == (again.cached, other.cached, sim.stats()["executed"])
    assert first.images[0].data == again.images[0].data


def test_a_seed_that_the_provider_is_told_keeps_its_own_promise(driver: str, sim: SimServer) -> None:
    """Where the model knows seeds the result says so; what failed promises nothing."""
    with client(driver, sim) as side:
        told = side.generate(**{**asked(), "model": "sdxl"}, seed=7)
    assert "seed" == told.reproducible


def test_what_is_asked_for_in_the_same_words_is_one_call(driver: str, sim: SimServer) -> None:
    """Gathered: of six requests three each are alike, so two calls bring three pictures each, one for each caller."""
    gathering = Config(gathering=Gathering(most=3, wait=30.0))
    prompts = ["a kettle", "a pot"] * 3
    with client(driver, sim, config=gathering) as side:
        results = side.collect((ImageRequest(**asked(prompt)) for prompt in prompts), None, Options())
    assert (2, 2) == (sim.stats()["received"], sim.stats()["executed"])
    assert [None] * 6 == [result.error for result in results]
    assert sorted(prompts) == sorted(result.request.prompt for result in results)
    assert 6 == len({result.images[0].data for result in results})
    assert sim.stats()["billed"] == sum(result.outcome.charge or 0 for result in results)
