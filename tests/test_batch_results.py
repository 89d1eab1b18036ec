"""Results: what a folder says of its rows is made from the journal's books and the little that is kept beside them."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from penstock.ids import AttemptId, JobId, Key
from penstock.outcomes import Meta, Outcome, Picture, Source, Status, Trouble
from penstock.readings import Usage
from penstock.requests import ImageRequest
from penstock_io.batch.progress import Progress, closing
from penstock_io.batch.results import NEW, Line, line_of, result, summary_json, summary_of, usd, write_results
from penstock_io.batch.rows import Row
from penstock_io.batch.states import (
    FINAL,
    PASSING,
    RUNS,
    RowState,
    Runs,
    dump_runs,
    dump_state,
    load_runs,
    load_state,
)
from penstock_io.journal import Account, Lost, Tally

ROW = Row("kettle", 0, 1, ImageRequest(prompt="a", model="gpt-image-2", size="1024x1024", n=2))
JOB, OTHER = (1, JobId(5)), (1, JobId(6))
KEYS = (Key("k1"), Key("k2"))
SENT = NEW.sent(JOB, KEYS, ROW.request)
TROUBLES = st.none() | st.builds(Trouble, st.text(), st.text(), st.none() | st.integers(), st.none() | st.text())
STATES = st.builds(
    RowState,
    jobs=st.lists(st.tuples(st.integers(1, 9), st.integers(-9, 9).map(JobId)), max_size=3).map(tuple),
    keys=st.lists(st.text().map(Key), max_size=3).map(tuple),
    asked=st.none() | st.tuples(st.text(), st.none() | st.text(), st.none() | st.text(), st.integers(1, 9)),
)
ENDED = st.builds(
    lambda state, status, error, warnings, seconds: evolve(
        state, status=status.value, error=error, warnings=tuple(warnings), seconds=seconds
    ),
    STATES,
    st.sampled_from(Status),
    TROUBLES,
    st.lists(st.text(), max_size=2),
    st.floats(0, 1e6),
)


def shown(*files: str) -> Account:
    """Books in which the row's job published these files and paid 700 of its pictures."""
    tally = Tally(2, 700, 30, unpriced=False, usage=Usage(input_text=3))
    return Account({JOB: tally}, {JOB: dict(zip(KEYS, files, strict=False))}, attempts=2)


def failed(kind: str, status: Status = Status.FAILED) -> RowState:
    """A state that ended so."""
    return SENT.ended(Outcome(status, error=Trouble(kind, "said", 400, "code")), 1.5)


@given(STATES | ENDED)
def test_a_state_survives_its_text(state: RowState) -> None:
    """What is kept of a row comes back as it was, whatever a server said in it."""
    assert state == load_state(dump_state(state))


def test_figures_of_all_runs_survive_their_text() -> None:
    """Refusals and seconds add up over runs; a folder without any has none."""
    assert Runs(3, 4, 5.5) == load_runs({RUNS: dump_runs(Runs(3, 4, 5.5)), "row": "x"})
    assert Runs() == load_runs({})


def test_a_row_is_what_its_files_say() -> None:
    """All pictures published: completed, whatever was told of it before; some: partial; none and no end: pending."""
    both = shown("images/kettle-1.png", "images/kettle-2.png")
    line = line_of(ROW, failed("server_error"), both)
    assert ("completed", ("images/kettle-1.png", "images/kettle-2.png"), 0, None) == (
        line.status, line.files, line.missing, line.error,
    )  # fmt: skip
    assert (700, 2, Usage(input_text=3)) == (line.cost, line.attempts, line.usage)
    part = line_of(ROW, failed("server_error", Status.PARTIAL), shown("images/kettle-1.png"))
    assert ("partial", 1, "server_error") == (part.status, part.missing, part.error and part.error.kind)
    assert "pending" == line_of(ROW, SENT, Account()).status
    assert "pending" == line_of(ROW, NEW, Account()).status


@pytest.mark.parametrize("kind", [*sorted(PASSING), *sorted(FINAL), "server_error"])
def test_a_trouble_that_says_nothing_of_the_row_leaves_it_pending(kind: str) -> None:
    """A row is failed for what it is or what came of it, pending where it was only not sent."""
    line = line_of(ROW, failed(kind), Account())
    assert ("pending" if kind in PASSING else "failed") == line.status
    assert kind == (line.error and line.error.kind)
    assert (kind in FINAL) == failed(kind).final


def test_a_doubt_makes_a_row_ambiguous_with_its_bound() -> None:
    """A key of the row, or of what it would be asked for with now, may have been billed: told with the bound."""
    account = Account(doubts={KEYS[0]: 2_500_000_000, Key("now"): None})
    line = line_of(ROW, failed("ambiguous", Status.AMBIGUOUS), account)
    assert "ambiguous" == line.status
    assert line.error is not None
    assert "at most $0.0025" in line.error.message
    assert (400, "code") == (line.error.status, line.error.code)
    part = shown("images/kettle-1.png")
    assert "partial" == line_of(ROW, SENT, evolve(part, doubts={KEYS[1]: 5})).status
    never = line_of(ROW, NEW, account, (Key("now"),))
    assert ("ambiguous", True) == (never.status, "unknown amount" in (never.error.message if never.error else ""))
    assert "pending" == line_of(ROW, NEW, account, (Key("else"),)).status


def test_what_another_row_paid_is_saved_and_what_it_paid_itself_is_not() -> None:
    """A picture that a row shows and did not pay for counts as saved; a resumed row does not save its own money."""
    account = Account(
        shown={JOB: dict(zip(KEYS, ("images/kettle-1.png", "images/kettle-2.png"), strict=True))},
        payers={KEYS[0]: frozenset({OTHER}), KEYS[1]: frozenset({JOB, OTHER})},
        prices={KEYS[0]: 700, KEYS[1]: 900},
    )
    assert 700 == line_of(ROW, SENT, account).saved


def test_where_pictures_came_from() -> None:
    """`cached` and `shared` say it; a row that paid in an earlier run is not called cached."""
    picture = Picture(0, KEYS[0], Source.SHARED, Meta(), KEYS[0])  # type: ignore[arg-type]
    state = SENT.ended(Outcome(Status.CACHED, (picture,)), 0.1)
    files = shown("images/kettle-1.png", "images/kettle-2.png")
    assert (False, True) == (line_of(ROW, state, files).cached, line_of(ROW, state, files).shared)
    assert line_of(ROW, state, evolve(files, tallies={})).cached


def test_a_row_keeps_what_it_was_asked_for_with() -> None:
    """Another model on the command line does not change what is said of a row that is there."""
    state = NEW.sent(JOB, KEYS, ImageRequest(prompt="a", model="old", quality="low", n=2))
    line = line_of(ROW, state, shown("images/kettle-1.png", "images/kettle-2.png"))
    assert ("old", None, "low", "completed") == (line.model, line.size, line.quality, line.status)


@given(st.integers(0, 10**20))
def test_dollars_are_exact(picodollars: int) -> None:
    """The text is the amount, to the picodollar, without exponent."""
    text = usd(picodollars)
    assert Decimal(picodollars) / 10**12 == Decimal(text)
    assert set(text) <= set("0123456789.")


def test_both_files_are_whole(tmp_path: Path) -> None:
    """results.jsonl has a line a row in order, summary.json the sums; what was there before is replaced."""
    orphans = (Lost(1, AttemptId(7), KEYS, 5), Lost(2, AttemptId(8), (), None))
    account = evolve(shown("images/kettle-1.png", "images/kettle-2.png"), orphans=orphans)
    other = Row("\u58f6", 1, 2, ROW.request)
    lines = [line_of(ROW, SENT, account), line_of(other, evolve(failed("refused"), jobs=()), account)]
    summary = summary_of(lines, account, {"kettle": SENT}, 700, 30, Runs(1, 2, 3.25))
    (tmp_path / "summary.json").write_text("old")
    write_results(tmp_path, lines, summary)
    first, second = [json.loads(line) for line in (tmp_path / "results.jsonl").read_text("utf-8").splitlines()]
    assert [
        "id", "index", "status", "files", "model", "size", "quality", "usage", "cost_usd", "attempts", "cached",
        "shared", "seconds", "warnings", "error",
    ] == list(first)  # fmt: skip
    assert ("kettle", "0.0000000007", None) == (first["id"], first["cost_usd"], first["error"])
    error = {"kind": "refused", "message": "said", "status": 400, "code": "code"}
    assert ("\u58f6", 1, "failed", error) == (second["id"], second["index"], second["status"], second["error"])
    told = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert summary_json(summary) == told
    assert (2, 1, 1, 0) == (told["requested"], told["completed"], told["failed"], told["pending"])
    assert (1, 2, 3.25, 2) == (told["http_429"], told["http_5xx"], told["seconds"], told["attempts"])
    assert [("1-7", "kettle", "0.000000000005"), ("2-8", "", None)] == [
        (orphan["attempt"], orphan["id"], orphan["bound_usd"]) for orphan in told["orphans"]
    ]
    assert {"results.jsonl", "summary.json"} == {path.name for path in tmp_path.iterdir()}


def test_an_unknown_cost_is_null() -> None:
    """Never zero, in a row and in the sum."""
    account = evolve(shown(), tallies={JOB: Tally(1, 0, 0, unpriced=True)})
    line: Line = line_of(ROW, SENT, account)
    assert result(line)["cost_usd"] is None
    summary = summary_of([line], account, {}, None, 0, Runs())
    assert summary_json(summary)["cost_usd"] is None
    assert "an unknown amount charged" in closing(summary)


def test_progress_in_a_line() -> None:
    """Done of total, in flight, pace, money, refusals; what is doubtful only where there is any."""
    progress = Progress(10, base=2, done=3, in_flight=4, images=6, refused=1, spent=2 * 10**12)
    assert "5/10 done, 4 in flight, 36 images/min, $2.0000 spent, 1 refused" == progress.line(10.0)
    progress.broken, progress.maybe = 7, 10**11
    assert progress.line(0.0).endswith("0 images/min, $2.0000 spent, 1 refused, 7 server errors, $0.1000 maybe billed")
