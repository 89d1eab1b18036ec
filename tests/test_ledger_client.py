"""A ledger behind clients: caps by day and month over clients, kills and drivers, and its place before the journal."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
import trio
from attrs import evolve

import penstock_io.asyncio
import penstock_io.trio
from penstock.commands import BudgetLow, Notice, Record
from penstock.config import Budget, BudgetPolicy, Config
from penstock.entries import Intent, Lane, Settled
from penstock.errors import BudgetExceeded, UsageError
from penstock.events import Recorded
from penstock.ids import AttemptId, CallId, JobId, Key, RecordId, Ref
from penstock.requests import ImageRequest, Options
from penstock.simulation.server import Latency, ServerSettings
from penstock.work import Purpose
from penstock_io._perform import Performer, known_as
from penstock_io.cli.main import main
from penstock_io.costing.reading import read_books, read_folder
from penstock_io.journal import Journal
from penstock_io.ledger import Ledger, read
from penstock_io.simserver import SimServer, serving
from penstock_io.stores.memory import MemoryStore
from penstock_io.sync import Client
from tests.failing import FAULT, FailingDisk

KETTLE = ImageRequest(prompt="a kettle", model="gpt-image-2", size="1024x1024", quality="low")
BOUND, PAID = 6_000_000_000, 5_930_000_000
"""What such a picture costs at most, and what it costs, in picodollars."""

CHILD = """
import sys
from penstock import Budget, Config, ImageRequest
from penstock_io.ledger import Ledger
from penstock_io.sync import Client
url, path, cap = sys.argv[1:]
config = Config(budget=Budget((("day", int(cap)),)))
requests = [ImageRequest(prompt=f"kettle {n}", model="gpt-image-2", size="1024x1024", quality="low") for n in range(9)]
with Ledger.open(path) as ledger, Client(url, ["key"], config=config, ledger=ledger) as client:
    for result in client.images.map(requests):
        print(result.index, flush=True)
"""


@pytest.fixture(scope="module")
def sim() -> Iterator[SimServer]:
    """A quick provider for all tests of this module."""
    with serving(ServerSettings(latency=Latency(0.05, 0.0))) as running:
        yield running


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a ledger may be."""
    return tmp_path / "ledger.sqlite"


def capped(*caps: tuple[str, int], policy: BudgetPolicy = BudgetPolicy.WAIT) -> Config:
    """A configuration with these caps."""
    return Config(budget=Budget(caps, policy))


def asked(client: Client, number: int = 0, tenant: str = "") -> int | None:
    """What another picture costs."""
    told = client.images.generate(
        prompt=f"kettle {number}",
        model="gpt-image-2",
        size="1024x1024",
        quality="low",
        options=Options(tenant=tenant),
    )
    return told.outcome.charge


@pytest.mark.parametrize("scope", ["day", "month", "tenant:acme@day", "tenant:acme@month", "tenant:acme"])
def test_a_cap_holds_over_clients(sim: SimServer, path: Path, scope: str) -> None:
    """What an earlier client spent counts, also after the file was closed; the error names the cap that is full."""
    config = capped((scope, PAID + BOUND - 1))
    for life in range(2):
        with Ledger.open(path) as ledger, Client(sim.base_url, ["key"], config=config, ledger=ledger) as client:
            if life == 0:
                assert PAID == asked(client, tenant="acme")
            said = rf"of (the )?{scope} has no room for its bound of \$0\.006000"
            with pytest.raises(BudgetExceeded, match=said):
                asked(client, 1, tenant="acme")
    assert ["settled"] == [row.ending for row in read(path).rows]


@pytest.mark.parametrize(
    ("base_url", "name"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://gateway.example:8443/openai/v1", "gateway.example"),
        ("http://[::1]:8000/v1", "::1"),
    ],
)
def test_what_a_provider_is_called(base_url: str, name: str) -> None:
    """By its host, without port and path; the one that everybody knows by its name."""
    assert name == known_as(base_url)


def test_books_say_where_was_bought(sim: SimServer, path: Path, tmp_path: Path) -> None:
    """What was paid and what was saved, in a ledger and in a journal."""
    with Ledger.open(path) as ledger:
        for _ in range(2):
            with (
                Journal.open(tmp_path / "out") as journal,
                Client(sim.base_url, ["key"], journal=journal, ledger=ledger) as client,
            ):
                asked(client)
    told = read(path)
    assert (["127.0.0.1"], ["127.0.0.1"]) == (
        [row.provider for row in told.rows],
        [one.provider for one in told.savings],
    )
    assert {"127.0.0.1"} == {item.place.provider for item in read_folder(tmp_path / "out").items}


def test_a_ledger_that_was_begun_anew_is_told_by_folders(
    sim: SimServer, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Named beside it, a folder knows of attempts that a ledger had, and this one has not."""
    out = tmp_path / "out"
    for number in range(2):
        with (
            Journal.open(out) as journal,
            Ledger.open(path) as ledger,
            Client(sim.base_url, ["key"], journal=journal, ledger=ledger) as client,
        ):
            asked(client, number)
        missing = [read_books(paths).missing for paths in ([path, out], [out], [path])]
        assert [number, 0, 0] == missing
        if not number:
            path.rename(tmp_path / "gone.sqlite")
    assert 0 == read_books([path, tmp_path / "gone.sqlite", out]).missing
    assert 0 == main(["cost", str(path), str(out)])
    assert "note:      the ledger lacks 1 attempt of folders that a ledger had" in capsys.readouterr().out
    assert 0 == main(["cost", str(path), str(out), "--json"])
    assert 1 == json.loads(capsys.readouterr().out)["missing_in_ledgers"]


def test_the_cap_of_a_run_begins_with_the_run(sim: SimServer, path: Path) -> None:
    """A ledger is for all runs; `budget=` and "run" are about this one, as they are without it."""
    with Ledger.open(path) as ledger:
        for _ in range(2):
            with Client(sim.base_url, ["key"], budget=Decimal("0.0070"), ledger=ledger) as client:
                assert PAID == asked(client)
                with pytest.raises(BudgetExceeded, match="the budget has no room"):
                    asked(client, 1)


def test_caps_by_day_without_a_ledger_are_refused(sim: SimServer) -> None:
    """When the client is made, and when it is reconfigured."""
    with pytest.raises(UsageError, match=r"'day' needs a ledger on disk.*ledger=Ledger\.open"):
        Client(sim.base_url, ["key"], config=capped(("day", 1)))
    with Client(sim.base_url, ["key"]) as client:
        with pytest.raises(UsageError, match="'month' needs a ledger on disk"):
            client.reconfigure(capped(("month", 1)))
        assert PAID == asked(client)


def test_a_cap_that_is_added_later_counts_what_was_spent_before(sim: SimServer, path: Path) -> None:
    """Days and months are booked whether they are capped or not."""
    with Ledger.open(path) as ledger, Client(sim.base_url, ["key"], ledger=ledger) as client:
        asked(client)
        client.reconfigure(evolve(client.config, budget=Budget((("day", BOUND),))))
        with pytest.raises(BudgetExceeded, match="the budget of the day"):
            asked(client, 1)


@pytest.mark.parametrize(("policy", "expected"), [(BudgetPolicy.WAIT, [PAID, PAID]), (BudgetPolicy.FAIL, [PAID, 0])])
def test_what_does_not_fit_now_waits_or_fails(
    sim: SimServer, path: Path, policy: BudgetPolicy, expected: list[int]
) -> None:
    """Two at once, under a cap that has room for the second only when the first has given back what it did not need."""
    config = capped(("day", PAID + BOUND), policy=policy)
    requests = [evolve(KETTLE, prompt=f"kettle {number}") for number in range(2)]
    with Ledger.open(path) as ledger, Client(sim.base_url, ["key"], config=config, ledger=ledger) as client:
        charges = sorted((result.outcome.charge or 0 for result in client.images.map(requests)), reverse=True)
    assert expected == charges


def test_a_cap_that_is_nearly_used_is_told(sim: SimServer, path: Path) -> None:
    """Once, by name, with what is used of it."""
    heard: list[Notice] = []
    config = capped(("day", 2 * BOUND), ("month", 10 * BOUND))
    with (
        Ledger.open(path) as ledger,
        Client(sim.base_url, ["key"], config=config, ledger=ledger, notices=heard.append) as client,
    ):
        asked(client)
        asked(client, 1)
    assert [BudgetLow("day", 2 * PAID, 2 * BOUND)] == [notice for notice in heard if isinstance(notice, BudgetLow)]


def by_asyncio(url: str, ledger: Ledger) -> int:
    """One picture."""

    async def one() -> int:
        async with penstock_io.asyncio.Client(url, ["key"], ledger=ledger) as client:
            result = await client.images.generate(
                prompt="a kettle", model="gpt-image-2", size="1024x1024", quality="low"
            )
            return result.attempts

    return asyncio.run(one())


def by_trio(url: str, ledger: Ledger) -> int:
    """One picture."""

    async def one() -> int:
        async with penstock_io.trio.Client(url, ["key"], ledger=ledger) as client:
            result = await client.images.generate(
                prompt="a kettle", model="gpt-image-2", size="1024x1024", quality="low"
            )
            return result.attempts

    return trio.run(one)


@pytest.mark.parametrize("driver", [by_asyncio, by_trio])
def test_every_driver_books(sim: SimServer, path: Path, driver: Callable[[str, Ledger], int]) -> None:
    """The intent before, the end after; and the ledger is free again when the client has ended."""
    with Ledger.open(path) as ledger:
        assert [1, 1] == [driver(sim.base_url, ledger) for _ in range(2)]
    rows = read(path).rows
    assert [(1, "settled", PAID), (2, "settled", PAID)] == [(row.run, row.ending, row.charge) for row in rows]


def test_two_clients_do_not_share_a_ledger(sim: SimServer, path: Path) -> None:
    """Each would have a cap of its own."""
    with (
        Ledger.open(path) as ledger,
        Client(sim.base_url, ["key"], ledger=ledger),
        pytest.raises(UsageError, match="used by another client"),
        Client(sim.base_url, ["key"], ledger=ledger),
    ):
        raise AssertionError("it was let in")


def test_what_the_store_had_is_noted_as_saved(sim: SimServer, path: Path) -> None:
    """With what it had cost, for whom."""
    with (
        Ledger.open(path) as ledger,
        Client(sim.base_url, ["key"], store=MemoryStore(), ledger=ledger) as client,
    ):
        asked(client, tenant="acme")
        asked(client, tenant="acme")
    (saving,) = read(path).savings
    assert (PAID, 1, "acme", "gpt-image-2", "low") == (
        saving.saved, saving.pictures, saving.tenant, saving.model, saving.quality,
    )  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="kills as Unix does")
def test_what_a_killed_process_had_out_counts(path: Path) -> None:
    """SIGKILL with requests out: they may have been billed, and the cap of the day has that much less room."""
    with serving(ServerSettings(latency=Latency(600.0, 0.0))) as slow:
        command = [sys.executable, "-c", CHILD, slow.base_url, str(path), str(4 * BOUND)]
        with subprocess.Popen(command, env=os.environ | {"TZ": "Pacific/Auckland"}) as child:
            while slow.stats()["received"] < 4:
                assert child.poll() is None
            child.send_signal(signal.SIGKILL)
        assert 4 == slow.stats()["received"]
    with serving(ServerSettings()) as sim, Ledger.open(path) as ledger:
        config = capped(("day", 5 * BOUND))
        with Client(sim.base_url, ["key"], config=config, ledger=ledger) as client:
            asked(client)
            with pytest.raises(BudgetExceeded):
                asked(client, 1)
    assert [("maybe", "orphan", BOUND)] * 4 + [("settled", "", 0)] == [
        (row.ending, row.kind, row.maybe) for row in read(path).rows
    ]


# With a journal


def test_the_folder_and_the_ledger_open_the_books_together(sim: SimServer, path: Path, tmp_path: Path) -> None:
    """The run's sums are the folder's; of a tenant counts what is more; both have the same attempts."""
    folder = tmp_path / "pictures"
    for life in range(2):
        with (
            Journal.open(folder) as journal,
            Ledger.open(path) as ledger,
            Client(sim.base_url, ["key"], journal=journal, ledger=ledger) as client,
        ):
            asked(client, life, tenant="acme")
            money = client.snapshot().money
            expected = (life + 1) * PAID
            assert [expected] * 3 == [money.of(scope).charged for scope in ("run", "tenant:acme", money.scopes[0][0])]
    more, new = tmp_path / "more pictures", path.with_name("new.sqlite")
    for life, name, other in ((3, folder, new), (3, more, path), (4, folder, new), (4, more, path)):
        with (
            Journal.open(name) as journal,
            Ledger.open(other) as ledger,
            Client(sim.base_url, ["key"], journal=journal, ledger=ledger) as client,
        ):
            asked(client, life, tenant="acme")  # the new one of the two knows less
            assert life * PAID == client.snapshot().money.of("tenant:acme").charged
    assert [str(folder)] * 2 + [str(more)] * 2 == [row.source for row in read(path).rows]
    with Journal.open(folder) as journal, Client(sim.base_url, ["key"], journal=journal) as client:
        assert ["run", "tenant:acme"] == [scope for scope, _ in client.snapshot().money.scopes]


def test_the_ledger_is_written_before_the_journal(tmp_path: Path, path: Path) -> None:
    """Killed between them the ledger says too much, never too little; after a fault of either both have it once."""
    disk = FailingDisk(links=True)
    with Journal.open(tmp_path / "pictures", disk=disk) as journal, Ledger.open(path) as ledger:
        ledger.begin(0.0)
        performer = Performer(None, journal, None, journal.payloads, ledger=ledger)
        lane, parts = Lane("k", "m"), ((JobId(1), (0,)),)
        intent = Intent(AttemptId(1), CallId(1), Purpose.GENERATE, "op", lane, (Key("k"),), parts, (("run",),), 9, 1.0)
        disk.arm(0, FAULT)
        (told,) = performer.perform([Record(RecordId(1), intent)])
        assert isinstance(told, Recorded)
        assert told.fault is not None
        assert (["out"], 0) == ([row.ending for row in read(path).rows], journal.account().attempts)
        assert [Recorded(RecordId(2))] == performer.perform([Record(RecordId(2), intent)])
        ref = journal.payloads.keep(b"\x89PNG\r\n\x1a\n" + b"x" * 99)
        settled = Settled(AttemptId(1), (Key("k"),), (ref,), None, 8, 2.0, (8,))
        ledger._db.execute("PRAGMA query_only = ON")
        (told,) = performer.perform([Record(RecordId(3), settled)])
        assert isinstance(told, Recorded)
        assert told.fault is not None
        assert told.fault.startswith(f"the ledger {path}: ")
        assert journal.look_up(Key("k")) is None
        ledger._db.execute("PRAGMA query_only = OFF")
        (told,) = performer.perform([Record(RecordId(4), settled)])
        assert isinstance(told, Recorded)
        assert (None, 1) == (told.fault, len(told.files))
        assert (8, 8) == (journal.balances().total.charged, read(path).rows[0].charge)


def test_a_ledger_alone_keeps_no_files(path: Path) -> None:
    """Its answers name none: pictures stay where they are."""
    with Ledger.open(path) as ledger:
        ledger.begin(0.0)
        performer = Performer(None, None, None, Client("http://localhost", ["key"])._payloads, ledger=ledger)
        settled = Settled(AttemptId(9), (Key("k"),), (Ref("m:1"),), None, 8, 2.0, (8,))
        (told,) = performer.perform([Record(RecordId(1), settled)])
        assert isinstance(told, Recorded)
        assert told.fault == f"the ledger {path}: attempt 9 ends and was never begun"
        assert () == told.files
        assert not performer.inline


class Full(Exception):
    """Nothing can be traced."""


def full(line: str) -> None:
    """Take no line."""
    raise Full(line[:9])


def test_a_client_that_cannot_begin_gives_the_ledger_back(path: Path, sim: SimServer) -> None:
    """Its trace cannot be written: it raises, and the next client is not told of another that uses the ledger."""

    async def begin(ledger: Ledger, kind: type[penstock_io.asyncio.Client | penstock_io.trio.Client]) -> None:
        async with kind(sim.base_url, ["key"], ledger=ledger, trace=full):
            pytest.fail("it began")

    with Ledger.open(path) as ledger:
        with pytest.raises(Full), Client(sim.base_url, ["key"], ledger=ledger, trace=full):
            pytest.fail("it began")
        with pytest.raises(Full):
            asyncio.run(begin(ledger, penstock_io.asyncio.Client))
        with pytest.raises(Full):
            trio.run(begin, ledger, penstock_io.trio.Client)
        with Client(sim.base_url, ["key"], ledger=ledger) as client:
            assert PAID == asked(client)
