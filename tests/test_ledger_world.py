"""The ledger under a whole engine: disk and memory say the same, and caps hold over kills, whatever a provider does."""

from __future__ import annotations

from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import TypeVar

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import events
from penstock.commands import Send
from penstock.config import Ambiguity, Budget, BudgetPolicy, Config, Credential, Gathering, Hedging, Limits, Retry
from penstock.entries import Entry, Failed, Intent, Owed, Published, Settled
from penstock.ids import Handle, Key, Ref
from penstock.money.balances import Balance, Balances
from penstock.money.periods import DAY, Period, capped_as, period, split
from penstock.readings import Kind, Reached, Reading, Success, Usage
from penstock.simulation.monitor import Monitor
from penstock.simulation.server import Admission, Server, ServerSettings, parse_faults
from penstock.simulation.world import Delays, World
from penstock.work import Demand, OnAmbiguous, Target, Timeouts, Work
from penstock_io.journal import Journal
from penstock_io.ledger import Ledger, read

EPOCH = 1_796_083_190.0
"""Ten seconds before the end of November 2026."""
KEYS = (Credential("a", limits=Limits(concurrency=4)), Credential("b", limits=Limits(concurrency=4)))
FAULTS = "reset=0.15,truncated=0.05,500=0.1,502=0.05,moderation=0.05,stall=0.05"
CAPS = (("day", 9_000), ("month", 12_000), ("tenant:t0@day", 5_000), ("tag:g1@month", 6_000), ("tenant:t1", 7_000))


W = TypeVar("W", bound=World)


class Uneven(World):
    """A world whose replies lack pictures and cost odd amounts, and some of which are too large to be read."""

    chance: Random

    def reading(self, send: Send, cost: int) -> Success | Reading:
        """Some of the pictures, for a little less."""
        whole = super().reading(send, cost)
        if not isinstance(whole, Success):
            return whole
        parts = tuple(part for part in whole.parts if self.chance.random() < 0.8)
        return Success(Usage(cost=max(0, cost - self.chance.randrange(7))), parts or whole.parts)

    def reported(self, send: Send, admission: Admission, cost: int) -> events.Event:
        """What is too large was made and is paid."""
        if admission.status == 200 and self.chance.random() < 0.1:
            return events.Failed(send.attempt, Kind.TOO_LARGE, Reached.READING)
        return super().reported(send, admission, cost)


def job(number: int, rng: Random) -> Work:
    """A request of somebody's, some of which may be bought together; some have no price."""
    priced = rng.random() < 0.95
    keys = tuple(Key(f"{number}.{place}") for place in range(rng.choice((1, 1, 2, 3))))
    quote, paid = (1000, rng.choice((1000, 900, 0))) if priced else (None, 0)
    gather = rng.choice((None, "together"))
    made = Target("default", "m", keys, Demand(1, 1, 10), quote, paid, gather=gather, timeouts=Timeouts(total=20.0))
    tags = tuple(rng.sample(("g0", "g1"), rng.choice((0, 1, 2))))
    return Work((made,), Handle(number), rng.choice(("", "t0", "t1")), tags)


def config_of(rng: Random, caps: tuple[tuple[str, int], ...]) -> Config:
    """Anything that makes attempts end in unusual ways."""
    return Config(
        KEYS,
        retry=Retry(attempts=3, base=0.1, cap=1.0),
        ambiguity=Ambiguity(rng.choice((OnAmbiguous.AUTO, OnAmbiguous.RETRY, OnAmbiguous.SKIP)), share=0.2),
        budget=Budget(caps, rng.choice(tuple(BudgetPolicy)), unknown=not caps),
        gathering=Gathering(most=rng.choice((1, 4))),
        hedging=Hedging(after=rng.choice((None, 2.0))),
        journal=rng.random() < 0.5,
        ledger=True,
    )


def life(ledger: Ledger, config: Config, rng: Random, epoch: float, kind: type[W]) -> W:
    """A process with the ledger in the place of its journal, and a provider that is often at fault."""
    opening = ledger.begin(epoch)
    server = Server(ServerSettings(faults=parse_faults(FAULTS)), rng=rng)
    delays = Delays(journal=rng.choice((0.0, 0.05)))
    world = kind(config, server, rng=rng, delays=delays, opening=opening, epoch=epoch, wrap=lambda engine: Monitor(
        engine, config=config, opening=opening, closely=True
    ))  # fmt: skip

    def written(entry: Entry) -> str | None:
        return ledger.append([entry])

    world.journal_fault = written
    return world


def gone(balances: Balances, now: Period) -> dict[str, Balance]:
    """What is booked on this day and month, and on tenants and tags, without what came back; nothing of the run."""
    kept = {scope: evolve(balance, refunded=0) for scope, balance in balances.scopes if scope != "run"}
    return {scope: balance for scope, balance in kept.items() if balance != Balance() and not now.past(scope)}


@settings(max_examples=25)
@given(st.integers(0, 10**6))
def test_disk_and_memory_say_the_same(seed: int) -> None:
    """When nothing is out, every scope of every day stands on the disk as the engine has it, to the picodollar.

    Also with several payers of one attempt, pictures that did not come, hedges, unknown prices, and over midnight.
    """
    rng = Random(seed)
    with TemporaryDirectory() as folder, Ledger.open(Path(folder) / "ledger") as ledger:
        world = life(ledger, config_of(rng, ()), rng, EPOCH, Uneven)
        world.chance, world.urls = rng, rng.random() < 0.3
        world.run(job(number, rng) for number in range(40))
        now = period(EPOCH + world.now)  # memory lets go what is over
        assert gone(world.engine.snapshot().money, now) == gone(ledger.balances(EPOCH), now)
        assert world.engine.snapshot().at_rest
        told_by_payer(world.entries)


@settings(max_examples=25)
@given(st.integers(0, 10**6))
def test_journal_and_memory_say_the_same(seed: int) -> None:
    """A folder that is opened again has the books that the engine closed with, by every scope, the run among them.

    Also with several payers who pay unevenly, and with charges and prices that nobody knows.
    """
    rng = Random(seed)
    with TemporaryDirectory() as folder, Ledger.open(Path(folder) / "ledger") as ledger:
        world = life(ledger, config_of(rng, ()), rng, EPOCH, Uneven)
        world.chance, world.urls = rng, rng.random() < 0.3
        world.run(job(number, rng) for number in range(40))
        with Journal.open(Path(folder) / "out") as journal:
            written = journal.append([bare(entry) for entry in world.entries if not isinstance(entry, Published)])
            assert {None} == {one.fault for one in written}
        with Journal.open(Path(folder) / "out") as journal:
            now = period(EPOCH + world.now)
            assert gone(world.engine.snapshot().money, now) == gone(journal.balances(), now)
            assert evolve(world.engine.snapshot().money.total, refunded=0) == journal.balances().total


def bare(entry: Entry) -> Entry:
    """The same money without its pictures."""
    return evolve(entry, refs=tuple(Ref("") for _ in entry.refs)) if isinstance(entry, Settled | Owed) else entry


def told_by_payer(entries: list[Entry]) -> None:
    """Every end that costs something says what each payer of its intent pays of it."""
    payers = {entry.attempt: len(entry.parts) for entry in entries if isinstance(entry, Intent)}
    for entry in entries:
        if isinstance(entry, Settled | Owed | Failed):
            assert payers[entry.attempt] == len(entry.charges)
            assert entry.charge is None or entry.charge == sum(charge or 0 for charge in entry.charges)


@settings(max_examples=25)
@given(st.integers(0, 10**6))
def test_no_cap_is_passed_over_kills(seed: int) -> None:
    """Killed at any step, again and again, over midnight: no cap is passed by what the provider truly billed.

    Every day, tenant and tag is held against its cap by the rows, and the rows against the provider's own bill.
    """
    rng = Random(seed)
    billed, epoch, number = 0, EPOCH, 0
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ledger"
        for _ in range(5):
            ledger = Ledger.open(path)
            world = life(ledger, config_of(rng, CAPS), rng, epoch, World)
            for _ in range(20):
                number += 1
                world.submit(job(number, rng))
            for _ in range(rng.choice((3, 15, 60, 400))):
                world.step()
            billed += world.server.books.billed
            epoch += world.now + rng.choice((0.0, 5.0, DAY / 3))
            ledger._db.close()  # as a kill leaves it: nothing is written any more
            ledger._lock.close()
        with Ledger.open(path) as ledger:
            ledger.begin(epoch)
        check(path, billed)


def check(path: Path, billed: int) -> None:
    """What the rows add up to, for every cap there is."""
    sums: dict[str, int] = {}
    for row in read(path).rows:
        for share in row.shares:
            assert share.maybe is not None  # nothing without a price is sent under these caps
            plain = (
                "run",
                *(("tenant:" + share.tenant,) if share.tenant else ()),
                *(f"tag:{tag}" for tag in share.tags),
            )
            for scope in period(row.begun).scopes(plain):
                sums[scope] = sums.get(scope, 0) + share.charged + share.maybe
    assert billed <= sums.get("run", 0)
    caps = dict(CAPS)
    over = {scope: amount for scope, amount in sums.items() if amount > caps.get(capped_as(scope), 10**9)}
    assert {} == over
    assert all(
        split(scope)[0] in {"", "2026-11-30", "2026-12-01", "2026-12-02", "2026-11", "2026-12"} for scope in sums
    )
