"""A wall clock that is set back or on by years, while a journal and a ledger are written and between runs of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.config import Budget, Config
from penstock.entries import Entry, Failed, Maybe
from penstock.errors import BudgetExceeded
from penstock.money.periods import DAY, period
from penstock.simulation.server import Latency, ServerSettings
from penstock_io.costing.reading import read_books
from penstock_io.costing.sums import total
from penstock_io.journal import Journal, peek
from penstock_io.ledger import Ledger, read
from penstock_io.simserver import SimServer, serving
from penstock_io.sync import Client
from tests.test_costing_reading import intent, settled

YEAR = 365.25 * DAY
PAID, BOUND = 5_930_000_000, 6_000_000_000
"""What such a picture costs, and at most costs, in picodollars."""


class Clock:
    """The wall clock of this process, `ahead` seconds from noon when the test began. The monotonic one is as it is."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._true = time.time
        self._noon = period(time.time()).ends - DAY / 2 - time.time()

    def __call__(self) -> float:
        """What it shows."""
        return self._true() + self._noon + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that can be set."""
    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    return clock


@pytest.fixture(scope="module")
def sim() -> Iterator[SimServer]:
    """A quick provider for all tests of this module."""
    with serving(ServerSettings(latency=Latency(0.02, 0.0))) as running:
        yield running


def buy(client: Client, number: int) -> int | None:
    """What a picture costs; nothing where it is there already."""
    return client.images.generate(
        prompt=f"kettle {number}", model="gpt-image-2", size="1024x1024", quality="low"
    ).outcome.charge


def set_to(client: Client, clock: Clock, ahead: float) -> None:
    """Set the clock, and let the client look at it, as it does at each of its deadlines."""
    clock.ahead = ahead
    client._ask(client._tick)


def check(folder: Path, path: Path, pictures: int) -> None:
    """Nothing is lost: each picture was paid once, both books say so, and attempts stand in their order."""
    with Journal.open(folder) as journal:
        assert [] == journal.orphans()
        assert (PAID * pictures, 0) == (journal.balances().total.charged, journal.balances().total.maybe)
        assert pictures == len(journal.account().prices)
        assert [True] * pictures == [journal.look_up(key) is not None for key in journal.account().prices]
    rows = read(path).rows
    assert ["settled"] * pictures == [row.ending for row in rows]
    assert sorted((row.run, row.attempt) for row in rows) == [(row.run, row.attempt) for row in rows]
    assert PAID * pictures == total(read_books([path]).items).charged == total(read_books([folder, path]).items).charged


def test_a_clock_that_jumps_while_they_are_written(sim: SimServer, tmp_path: Path, clock: Clock) -> None:
    """Back and on by years between requests: nothing is lost, order is kept, and no date is before an earlier one."""
    folder, path = tmp_path / "out", tmp_path / "ledger.sqlite"
    jumps = (0.0, -20 * YEAR, 3 * YEAR, -YEAR, 3 * YEAR + 40 * DAY, 0.0)
    with (
        Ledger.open(path) as ledger,
        Journal.open(folder) as journal,
        Client(sim.base_url, ["key"], journal=journal, ledger=ledger) as client,
    ):
        for number, ahead in enumerate(jumps):
            set_to(client, clock, ahead)
            assert PAID == buy(client, number)
    check(folder, path, len(jumps))
    rows = read(path).rows
    for dates in ([row.day for row in rows], [row.begun for row in rows]):
        assert sorted(dates) == dates
    assert 3 == len({row.day for row in rows})
    assert all(row.ended is not None and row.begun <= row.ended for row in rows)


def test_a_clock_that_jumps_between_runs(sim: SimServer, tmp_path: Path, clock: Clock) -> None:
    """Each run believes its clock; what was paid before is never paid again, and nothing of it is lost."""
    folder, path = tmp_path / "out", tmp_path / "ledger.sqlite"
    jumps = (0.0, 3 * YEAR, -0.1 * YEAR, YEAR, 0.0)
    for number, ahead in enumerate(jumps):
        clock.ahead = ahead
        with (
            Ledger.open(path) as ledger,
            Journal.open(folder) as journal,
            Client(sim.base_url, ["key"], journal=journal, ledger=ledger) as client,
        ):
            assert number + 1 == journal.run
            assert [0] * number == [buy(client, before) for before in range(number)]
            assert PAID == buy(client, number)
    check(folder, path, len(jumps))
    clock.ahead = 0.0
    assert [period(clock() + ahead).day for ahead in jumps] == [row.day for row in read(path).rows]


def test_no_jump_opens_a_day_anew(sim: SimServer, tmp_path: Path, clock: Clock) -> None:
    """A cap on a day holds when the clock comes back to it, from another year or from the day after."""
    path = tmp_path / "ledger.sqlite"
    config = Config(budget=Budget((("day", PAID + BOUND - 1),)))
    for days, left in (
        (0, True),
        (400, True),
        (0, False),
        (1, True),
        (0, False),
        (-30, True),
        (400, False),
        (0, False),
    ):
        clock.ahead = days * DAY
        with Ledger.open(path) as ledger, Client(sim.base_url, ["key"], config=config, ledger=ledger) as client:
            if left:
                assert PAID == buy(client, days)
            with pytest.raises(BudgetExceeded, match="the budget of the day"):
                buy(client, 1000 + days)
    assert 4 == len(read(path).rows)


moments = st.floats(-(10.0**11), 10.0**12) | st.sampled_from([0.0, -1.0, 2.0**31, 2.0**63, -1e300, 1e300])
endings = st.sampled_from(["settled", "failed", "maybe", "none"])


@given(st.lists(st.lists(st.tuples(endings, moments, moments), max_size=3), max_size=4))
@settings(max_examples=40)
def test_whatever_a_clock_shows_is_kept(runs: list[list[tuple[str, float, float]]]) -> None:
    """Any moments in any order, run after run: attempts keep their order, money adds up, the folder stays whole."""
    charged = maybe = number = 0
    with TemporaryDirectory() as name:
        folder, path = Path(name) / "out", Path(name) / "ledger.sqlite"
        for run in runs:
            with Journal.open(folder) as journal, Ledger.open(path) as ledger:
                ledger.begin(run[0][1] if run else 0.0, str(folder))
                for ending, begun, ended in run:
                    entries = at(number, ending, begun, ended)
                    assert ledger.append(entries) is None
                    assert [None] * len(entries) == [one.fault for one in journal.append(entries)]
                    number += 1
                    charged += 7 if ending in {"settled", "failed"} else 0
                    maybe += 0 if ending in {"settled", "failed"} else 100
        with Journal.open(folder) as journal, Ledger.open(path) as ledger:
            ledger.begin(0.0)
            assert (charged, maybe) == (journal.balances().total.charged, journal.balances().total.maybe)
        assert list(range(number)) == [row.attempt for row in read(path).rows]
        assert number == peek(folder).account.attempts
        whole = total(read_books([path, folder]).items)
        assert (number, charged, maybe) == (whole.attempts, whole.charged, whole.maybe)


def at(number: int, ending: str, begun: float, ended: float) -> list[Entry]:
    """An attempt at a moment, and its end at another."""
    made = evolve(intent(number), at=begun)
    ends: dict[str, Entry] = {
        "settled": settled(made, 7),
        "failed": Failed(made.attempt, "server_error", 7, ended),
        "maybe": Maybe(made.attempt, "timeout", 100, ended),
    }
    return [made, *([ends[ending]] if ending in ends else [])]
