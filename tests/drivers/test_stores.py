"""Stores that ask a disk, under each driver: they are asked on a thread, never on the loop."""

from __future__ import annotations

import threading
from pathlib import Path

from penstock.ids import Key
from penstock.outcomes import Meta, Source
from penstock.simulation.server import Latency, ServerSettings
from penstock_io.simserver import serving
from penstock_io.stores.memory import MemoryStore
from penstock_io.stores.sqlite import SqliteStore
from penstock_io.stores.tiered import Tiered
from tests.drivers.harness import running

QUICK = ServerSettings(latency=Latency(0.02, 0.1))
ASKED = {"prompt": "a lighthouse", "model": "gpt-image-1.5", "size": "1024x1024", "quality": "low"}


class Watched(SqliteStore):
    """It remembers which threads asked it."""

    askers: set[str]

    def read(self, key: Key) -> tuple[Meta, bytes] | None:
        """Remember it."""
        self.askers = getattr(self, "askers", set()) | {threading.current_thread().name}
        return super().read(key)


def test_what_was_bought_is_there_for_the_next_client(driver: str, library: str, tmp_path: Path) -> None:
    """A hit costs nothing and is the picture that was bought; every question came from the worker's thread."""
    with serving(QUICK) as sim, Watched(tmp_path / "pictures.sqlite") as store:
        found = []
        for _ in range(2):
            with running(driver, library, base_url=sim.base_url, api_keys=["k"], store=store) as side:
                found.append(side.generate(**ASKED))
        bought, again = found
        assert (False, True) == (bought.cached, again.cached)
        assert 0 == again.cost
        assert (Source.STORED, bought.images[0].data) == (again.images[0].source, again.images[0].data)
        assert 1 == sim.stats()["executed"]
        assert {"penstock-perform"} == store.askers


def test_a_store_that_cannot_be_used_fails_no_request(driver: str, library: str, tmp_path: Path) -> None:
    """A damaged file is a miss, alone and as a tier: the picture is bought, and kept where that is possible."""
    (tmp_path / "damaged").write_bytes(b"no database of anybody's" * 1000)
    with serving(QUICK) as sim, SqliteStore(tmp_path / "damaged") as damaged:
        tiers = Tiered(damaged, MemoryStore())
        with running(driver, library, base_url=sim.base_url, api_keys=["k"], store=damaged) as side:
            assert not side.generate(**ASKED).cached
        with running(driver, library, base_url=sim.base_url, api_keys=["k"], store=tiers) as side:
            assert [False, True] == [side.generate(**ASKED).cached for _ in range(2)]
        assert 2 == sim.stats()["executed"]
