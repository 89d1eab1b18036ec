"""Cancellation after every event of a job: nothing is held at the end, and what was paid for is in the store."""

from __future__ import annotations

from concurrent.futures import CancelledError
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from penstock.config import Config, Retry
from penstock.engine import Snapshot
from penstock.errors import Cancelled, JobError
from penstock.events import Event
from penstock.readings import Verdict
from penstock.requests import Options
from penstock.simulation.server import Latency, ServerSettings
from penstock.work import Screen
from penstock_io.journal import Journal, JournalStore
from penstock_io.simserver import SimServer, serving
from penstock_io.stores.memory import MemoryStore
from tests.drivers.harness import Pending, running

SETTINGS = ServerSettings(latency=Latency(0.03, 0.1), refusal_delay=0.001)
ASKED = {"prompt": "a lighthouse at night", "model": "gpt-image-1.5", "size": "1024x1024", "quality": "low", "n": 2}
CONFIG = Config(retry=Retry(base=0.005))
ENDS = (Cancelled, CancelledError, JobError)


def history(
    driver: str, library: str, sim: SimServer, at: int, *, abort: bool = False, **arguments: Any
) -> tuple[int, Snapshot]:
    """One job, cancelled on the driver's own thread after its event number `at`.

    How many events there were, and the engine's figures once the client was left.
    """
    told: list[Event] = []
    pending: list[Pending] = []

    def trace(event: Event, _: float) -> None:
        told.append(event)
        if len(told) == at:
            pending[0].cancel()

    options = arguments.pop("options", Options())
    with running(
        driver, library, abort=abort, base_url=sim.base_url, api_keys=["sk-one"], config=CONFIG, record_trace=trace,
        **arguments,
    ) as side:  # fmt: skip
        pending.append(side.pending())
        side.begin(pending[0], {**ASKED, "options": options})
        with suppress(*ENDS):
            pending[0].result()
    return len(told), side.engine.snapshot()


def stored(store: MemoryStore | JournalStore) -> int:
    """How many pictures a memory store has."""
    assert isinstance(store, MemoryStore)
    return len(store)


def check_all(driver: str, library: str, faults: tuple[str, ...], **arguments: Any) -> int:
    """Cancel after event 1, 2, 3 and so on until the job was over before; how many steps there were."""
    at = 0
    while True:
        at += 1
        store = MemoryStore()
        with serving(SETTINGS) as sim:
            sim.call(lambda server: server.inject(*faults))
            events, snapshot = history(driver, library, sim, at, store=store, **arguments)
            stats = sim.stats()
        assert snapshot.at_rest, (at, snapshot)
        assert stats["pictures"] == stored(store), at
        assert stats["billed"] == snapshot.money.total.charged + snapshot.money.total.maybe, at
        assert {} == stats["repeated"]
        if events < at:
            return at


def test_after_every_event(driver: str, library: str) -> None:
    """With one attempt that fails and one that succeeds."""
    assert check_all(driver, library, ("500",)) > 4


def test_after_every_event_with_screens(driver: str) -> None:
    """With a screen before the prompt is sent and one before the pictures are shown."""
    screens = (Screen("words 1", hook="passes"), Screen("looks 1", picture=True, hook="passes"))
    hooks = {"passes": lambda _: Verdict(passed=True)}
    assert check_all(driver, "httpx2", (), options=Options(screens=screens), hooks=hooks) > 5


@pytest.mark.parametrize("faults", [(), ("500",)])
def test_after_every_event_with_a_journal(driver: str, faults: tuple[str, ...], tmp_path: Path) -> None:
    """Every intent has its end in the journal, and the paid pictures are in it."""
    at = 0
    while True:
        at += 1
        with serving(SETTINGS) as sim, Journal.open(tmp_path / str(at)) as journal:
            sim.call(lambda server: server.inject(*faults))
            events, snapshot = history(driver, "httpx2", sim, at, journal=journal)
            stats = sim.stats()
            balances = journal.balances()
        with Journal.open(tmp_path / str(at)) as again:
            assert [] == again.orphans()
            held = len(list((tmp_path / str(at) / "held").glob("[!.]*")))
            shown = len(list((tmp_path / str(at) / "images").glob("[!.]*")))
        assert snapshot.at_rest, (at, snapshot)
        assert stats["pictures"] == max(held, shown), at
        assert stats["billed"] == balances.total.charged, at
        if events < at:
            return


def test_leaving_with_an_exception_after_every_event(driver: str) -> None:
    """An abort breaks off what is out: nothing is held, and what may be billed is booked as maybe."""
    at = 0
    while True:
        at += 1
        with serving(SETTINGS) as sim:
            events, snapshot = history(driver, "httpx2", sim, at, abort=True, store=MemoryStore())
            billed = sim.stats()["billed"]
        assert snapshot.at_rest, (at, snapshot)
        assert billed <= snapshot.money.total.charged + snapshot.money.total.maybe, at
        if events < at:
            return
