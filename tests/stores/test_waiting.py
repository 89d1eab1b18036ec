"""Clients of every driver on a store of several processes: they wait for what another makes, and survive its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio

import penstock_io.asyncio
import penstock_io.sync
import penstock_io.trio
from penstock.commands import Notice, Warned
from penstock.config import Config
from penstock.ids import Key
from penstock.outcomes import Meta, Status
from penstock.simulation.server import Latency, ServerSettings
from penstock_io.resources import Result
from penstock_io.simserver import SimServer, serving
from penstock_io.stores.redis import RedisStore
from penstock_io.stores.sqlite import SqliteStore
from tests.stores.servers import Redis

MODEL = "gpt-image-2.6-flare"
PNG = b"\x89PNG\r\n\x1a\nmade by another process"
CONFIG = Config(read_patience=600.0)
LONG = 240.0


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A provider that counts."""
    with serving(ServerSettings(latency=Latency(0.02, 0.0))) as running:
        yield running


class Another(SqliteStore):
    """The store, and another process that has the lease on whatever is asked for first.

    It stores the picture when it was waited for three times.
    """

    waited = 0

    def claim(self, key: Key, name: str, seconds: float) -> float | None:
        """Take or renew a lease."""
        if not self.waited:
            super().claim(key, "another", 3600.0)
        left = super().claim(key, name, seconds)
        self.waited += 1
        if self.waited == 3:
            self.write(key, Meta("1024x1024", "png", len(PNG), 7), PNG)
            self.give_back(key, "another")
        return left


def threads(base_url: str, store: SqliteStore) -> Result:
    """One picture under threads."""
    with penstock_io.sync.Client(base_url, ["k"], store=store, config=CONFIG) as client:
        return client.images.generate(prompt="a kettle", model=MODEL)


def on_asyncio(base_url: str, store: SqliteStore) -> Result:
    """One picture under asyncio."""

    async def run() -> Result:
        async with penstock_io.asyncio.Client(base_url, ["k"], store=store, config=CONFIG) as client:
            return await client.images.generate(prompt="a kettle", model=MODEL)

    return asyncio.run(run())


def on_trio(base_url: str, store: SqliteStore) -> Result:
    """One picture under trio."""

    async def run() -> Result:
        async with penstock_io.trio.Client(base_url, ["k"], store=store, config=CONFIG) as client:
            return await client.images.generate(prompt="a kettle", model=MODEL)

    return trio.run(run)


@pytest.mark.parametrize("driver", [threads, on_asyncio, on_trio])
def test_a_client_waits_for_what_another_process_makes(
    driver: Callable[[str, SqliteStore], Result], tmp_path: Path, sim: SimServer
) -> None:
    """It looks again and again, finds the picture, and buys nothing; without another it buys, and finds that later."""
    with Another(tmp_path / "pictures.sqlite", wait=LONG) as store:
        result = driver(sim.base_url, store)
        assert (Status.CACHED, 0, 7) == (result.outcome.status, result.outcome.charge, result.outcome.saved)
        assert [PNG] == [image.data for image in result.images]
        assert 3 == store.waited
    assert 0 == sim.stats()["received"]
    for status in (Status.COMPLETED, Status.CACHED):
        with SqliteStore(tmp_path / "other.sqlite", wait=LONG) as store:
            assert status is driver(sim.base_url, store).outcome.status
    assert 1 == sim.stats()["executed"]


def test_redis_is_stopped_and_restarted_midway(sim: SimServer) -> None:
    """A stored picture is found; without the server it is bought, and told; with it again it is stored and found."""
    server = Redis(tcp=False)
    now, notices = 1000.0, list[Notice]()
    store = RedisStore(server.local, timeout=LONG, rest=5.0, clock=lambda: now)
    seen: list[str] = []
    with penstock_io.sync.Client(sim.base_url, ["k"], store=store, config=CONFIG, notices=notices.append) as client:
        for step in ("", "", "stop", "", "start", "", ""):
            if step == "stop":
                server.stop()
            elif step == "start":
                server.start()
                now += 5.0
            seen.append(client.images.generate(prompt="a kettle", model=MODEL).outcome.status.value)
    store.close()
    server.remove()
    assert ["completed", "cached", "completed", "completed", "completed", "cached", "cached"] == seen
    told = {notice.message.partition("/s: ")[2] for notice in notices if isinstance(notice, Warned)}
    assert {"it is out of reach", "it was out of reach a moment ago, and is left alone"} == told


@pytest.mark.parametrize("stored", [False, True])
def test_a_lookup_with_a_lease_is_one_lookup(tmp_path: Path, sim: SimServer, *, stored: bool) -> None:
    """What is looked at again once the lease is there counts once: as a miss, or as the hit of what came meanwhile."""

    class Meanwhile(SqliteStore):
        def claim(self, key: Key, name: str, seconds: float) -> float | None:
            """Somebody stored it just before."""
            if stored:
                self.write(key, Meta("1024x1024", "png", len(PNG), 7), PNG)
            return super().claim(key, name, seconds)

    with Meanwhile(tmp_path / "pictures.sqlite", wait=LONG) as store:
        assert stored == threads(sim.base_url, store).cached
        assert (int(stored), 1) == (store.figures().hits, store.figures().misses)
