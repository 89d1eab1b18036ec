"""What a batch says and does about money that went otherwise than quoted: doubts, no usage, charges above bounds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import hypothesis.strategies as st
import pytest
from attrs import evolve
from hypothesis import given

from penstock.commands import BudgetLow
from penstock.ids import Key, Ref
from penstock.outcomes import Meta, Outcome, Picture, Source, Status
from penstock.simulation.server import Latency, ServerSettings
from penstock.work import OnAmbiguous
from penstock_io.batch import stopping
from penstock_io.batch.funds import exceeded, low
from penstock_io.batch.run import Exit
from penstock_io.batch.settings import Choices
from penstock_io.batch.stopping import DOUBTS, Doubting
from penstock_io.simserver import serving
from tests.batching import FAST, Folder, folder_for, table

PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
RETRY = Choices(on_ambiguous=OnAmbiguous.RETRY)
SKIP = Choices(on_ambiguous=OnAmbiguous.SKIP)
BROKEN = ServerSettings(latency=Latency(0.02), faults=(("reset", 1.0),))


@contextmanager
def saying(usage: object) -> Iterator[str]:
    """A provider that gives a picture and says this of its usage; its base URL."""

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            body = json.dumps({"created": 1, "data": [{"b64_json": PICTURE}], "usage": usage}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the library gives it
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """An empty folder."""
    with serving(FAST) as sim:
        yield folder_for(tmp_path / "out", sim)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        {"input_tokens": 10},
        {"input_tokens": 10, "output_tokens": "196"},
        {"input_tokens": 10, "output_tokens": 0},
        {"input_tokens": 10, "output_tokens": -5},
        {"input_tokens": 10, "output_tokens": 10**30},
    ],
)
def test_a_reply_that_does_not_say_what_it_used(folder: Folder, usage: object) -> None:
    """The picture is kept; its cost is unknown, its bound may have been billed, its row is warned, caps count it."""
    with saying(usage) as url:
        assert Exit.BUDGET == folder.run(table(2), budget=Decimal("0.009"), base_url=url).code
    done, waiting = folder.lines()
    assert ("completed", None, "pending") == (done["status"], done["cost_usd"], waiting["status"])
    (warning,) = done["warnings"]
    assert "does not say what it cost" in warning
    sums = folder.sums()
    assert (None, "0") == (sums["cost_usd"], sums["cost_at_least_usd"])
    bound = Decimal(str(sums["maybe_billed_usd"]))
    assert f"${bound}" in warning
    assert Decimal("0.005") < bound < Decimal("0.009")


def test_a_total_makes_a_usage_whole(folder: Folder) -> None:
    """What is not said of the output is what the total leaves: exact, and without a warning."""
    with saying({"input_tokens": 10, "total_tokens": 206}) as url:
        assert Exit.ALL == folder.run(table(1), base_url=url).code
    (line,) = folder.lines()
    assert (("0.00593", []), "0") == ((line["cost_usd"], line["warnings"]), folder.sums()["maybe_billed_usd"])


def test_a_charge_above_its_bound_is_told(folder: Folder) -> None:
    """With both figures on its row, and as an error that says by how much the budget is passed."""
    with saying({"input_tokens": 10, "output_tokens": 196, "cost": 5}) as url:
        ended = folder.run(table(1), budget=Decimal(1), base_url=url)
    assert Exit.ALL == ended.code
    (line,) = folder.lines()
    assert "5" == line["cost_usd"]
    (warning,) = line["warnings"]
    assert "gpt-image-2: $5 was charged, above the bound of $0.00" in warning
    above = "$4 above the budget of $1: the provider charged more than its bound"
    assert [above] == [text for text in folder.told if "above the budget" in text]


def test_a_budget_below_what_is_spent_is_no_fault_of_the_provider(folder: Folder) -> None:
    """Another run has a lower one, or the same, which the provider passed before: each says what is true of it."""
    with serving(FAST) as sim:
        folder.run(table(2), budget=Decimal(1), base_url=sim.base_url)
        folder.run(table(3), budget=Decimal("0.004"), base_url=sim.base_url)
    spent = Decimal(str(folder.sums()["cost_usd"]))
    above = f"${spent - Decimal('0.004'):f} above the budget of $0.004: spent before this run, or on its way when"
    assert [f"{above} the budget was lowered"] == [text for text in folder.told if "above the budget" in text]


@pytest.mark.parametrize(
    ("budget", "charged", "most", "said"),
    [
        (None, 9, None, ""),
        ("1", 1, 1, ""),
        ("1", 2, 1, "the provider charged more than its bound"),
        ("1", 2, 2, "spent before this run, or on its way when the budget was lowered"),
        ("1", 3, 2, "the provider charged more than its bound"),
        ("1", 3, None, "spent before this run, or on its way when the budget was lowered"),
    ],
)
def test_who_passed_a_budget(budget: str | None, charged: int, most: int | None, said: str) -> None:
    """The most that it ever was, in the run, or was spent before, is what the provider is held to. In dollars."""
    dollar = 10**12
    found = exceeded(
        None if budget is None else Decimal(budget), charged * dollar, None if most is None else most * dollar
    )
    assert said == ("" if found is None else found[0].partition(": ")[2])


@given(st.integers(1, 10**14), st.integers(0, 10**14))
def test_a_budget_is_never_said_to_be_nothing(cap: int, used: int) -> None:
    """A small one is said to a hundredth of a cent, above which the smallest is that is of any use."""
    told = low(BudgetLow("run", used, cap * 10**8))
    assert "budget of $0.00 " not in told
    assert "budget of $0.0000 " not in told


def test_rows_in_doubt_that_the_budget_has_no_room_for(tmp_path: Path) -> None:
    """Run again with `retry` and nothing left: nothing is sent, exit 3, and the message says what is missing."""
    with serving(BROKEN) as sim:
        folder = folder_for(tmp_path / "out", sim)
        rows = table(5)
        first = folder.run(rows, choices=RETRY, budget=Decimal("0.05"))
        sent = sim.stats()["received"]
        ended = folder.run(rows, choices=RETRY, budget=Decimal("0.05"))
        assert sent == sim.stats()["received"]
    assert (Exit.BUDGET, Exit.BUDGET) == (first.code, ended.code)
    full = "the budget has no room to try 5 ambiguous rows again: raise --budget and run the same command again."
    assert full == ended.message
    assert "raise --budget" == ended.remedy


def test_a_day_on_which_everything_ends_in_doubt_has_a_brake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many rows in a row without a picture nothing more is sent; the rest is pending, and goes on later."""
    monkeypatch.setattr(stopping, "DOUBTS", 3)
    rows = table(12)
    with serving(BROKEN) as sim:
        folder = folder_for(tmp_path / "out", sim)
        folder.concurrency = 2
        ended = folder.run(rows, choices=SKIP)
        assert Exit.HALTED == ended.code
        assert "3 rows in a row brought no picture, and all may have been executed and billed" in ended.message
        assert "see what breaks the replies of" in ended.remedy
        doubtful = folder.statuses().count("ambiguous")
        assert 3 <= doubtful <= 6
        assert 12 - doubtful == folder.statuses().count("pending")
        sim.call(lambda server: server.set_faults(()))
        assert Exit.SOME == folder.run(rows, choices=SKIP).code
        assert 12 - doubtful == folder.statuses().count("completed")


@given(st.lists(st.sampled_from(["doubt", "picture", "refused", "stored"]), max_size=100))
def test_the_brake_counts_doubts_in_a_row(ends: list[str]) -> None:
    """A bought picture begins anew; what failed for sure, or was there already, says nothing of the way."""
    bought = Picture(0, Ref("r"), Source.BOUGHT, Meta(), Key("k"))
    made = {
        "doubt": Outcome(Status.AMBIGUOUS),
        "picture": Outcome(Status.COMPLETED, (bought,)),
        "refused": Outcome(Status.REFUSED),
        "stored": Outcome(Status.CACHED, (evolve(bought, source=Source.STORED),)),
    }
    doubting = Doubting()
    told = [place for place, end in enumerate(ends) if doubting.ended(made[end])]
    in_a_row, expected = 0, []
    for place, end in enumerate(ends):
        in_a_row = 0 if end == "picture" else in_a_row + (end == "doubt")
        if end == "doubt" and in_a_row == DOUBTS:
            expected.append(place)
    assert expected == told
