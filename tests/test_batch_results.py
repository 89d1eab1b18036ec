"""Results: what a folder says of its rows is made from the journal's books and the little that is kept beside them."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from penstock.ids import AttemptId, JobId, Key, Ref
from penstock.outcomes import Meta, Outcome, Picture, Source, Status, Trouble
from penstock.readings import Usage
from penstock.requests import ImageRequest
from penstock_io.batch.keying import Keyed
from penstock_io.batch.results import (
    STATUSES,
    Line,
    closing,
    line_of,
    line_of_end,
    line_of_invalid,
    names_of,
    result,
    summary_json,
    summary_of,
    told_end,
    usd,
)
from penstock_io.batch.rows import Invalid, Mistake, Row
from penstock_io.batch.run import Exit, judge
from penstock_io.batch.states import FINAL, NEW, PASSING, RowState, Runs
from penstock_io.batch.stopping import Halt
from penstock_io.batch.writing import Part, card, whole, write_results
from penstock_io.journal import Account, Lost, Tally

REQUEST = ImageRequest(prompt="a", model="gpt-image-2", size="1024x1024", n=2)
KEYS = (Key("k1"), Key("k2"))
ROW = Keyed(Row("kettle", 0, 1, REQUEST, "c", {"sku": 7}), REQUEST, KEYS, ("kettle-1", "kettle-2"))
JOB, OTHER = (1, JobId(5)), (1, JobId(6))
SENT = NEW.sent(JOB, KEYS, REQUEST)


def shown(*files: str) -> Account:
    """Books in which the row's job published these files and paid 700 of its pictures."""
    tally = Tally(2, 700, 30, unpriced=False, usage=Usage(input_text=3))
    return Account({JOB: tally}, {JOB: dict(zip(KEYS, files, strict=False))}, attempts=2)


def failed(kind: str, status: Status = Status.FAILED) -> RowState:
    """A row whose job ended so."""
    return SENT.ended(Outcome(status, error=Trouble(kind, "said", 400, "code", "req_1")), 1.5)


def test_a_row_with_all_its_pictures_is_completed() -> None:
    """Its files in their order, its own attempts, cost and tokens; an error of an earlier try is no more."""
    line = line_of(ROW, failed("server_error"), shown("images/kettle-1.png", "images/kettle-2.png"))
    assert ("completed", 0, None) == (line.status, line.missing, line.error)
    assert ("images/kettle-1.png", "images/kettle-2.png") == line.files
    assert (2, 700, Usage(input_text=3), 1.5) == (line.attempts, line.cost, line.usage, line.seconds)


def test_some_of_its_pictures_make_a_row_partial() -> None:
    """With what is missing and why."""
    line = line_of(ROW, failed("moderation"), shown("images/kettle-1.png"))
    assert ("partial", 1, "moderation") == (line.status, line.missing, line.error and line.error.kind)


@pytest.mark.parametrize("kind", [*sorted(PASSING), *sorted(FINAL), "server_error"])
def test_a_trouble_that_says_nothing_of_the_row_leaves_it_pending(kind: str) -> None:
    """A row is failed for what it is or what came of it, pending where it was only not sent."""
    line = line_of(ROW, failed(kind), Account())
    assert ("pending" if kind in PASSING else "failed") == line.status
    assert kind == (line.error and line.error.kind)


def test_a_doubt_makes_a_row_ambiguous_with_its_bound() -> None:
    """A key of the row may have been billed: told with the bound, and what was said of it."""
    account = Account(doubts={KEYS[0]: 2_500_000_000, Key("else"): None})
    line = line_of(ROW, failed("ambiguous", Status.AMBIGUOUS), account)
    assert "ambiguous" == line.status
    assert line.error is not None
    assert "at most $0.0025" in line.error.message
    assert (400, "code", "req_1") == (line.error.status, line.error.code, line.error.request_id)
    part = shown("images/kettle-1.png")
    assert "partial" == line_of(ROW, SENT, evolve(part, doubts={KEYS[1]: 5})).status
    never = line_of(evolve(ROW, keys=(Key("else"),)), NEW, account)
    assert ("ambiguous", True) == (never.status, "unknown amount" in (never.error.message if never.error else ""))
    assert "pending" == line_of(evolve(ROW, keys=(Key("new"),)), NEW, account).status


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("it may have been executed and billed: the connection broke", ": the connection broke"),
        ("closed while it was out", ": closed while it was out"),
        ("it may have been executed and billed", ""),
    ],
)
def test_a_doubt_says_nothing_twice(told: str, why: str) -> None:
    """The engine's own words begin as ours do; what several attempts may have cost together is told."""
    state = SENT.ended(Outcome(Status.AMBIGUOUS, error=Trouble("ambiguous", told)), 1.5)
    account = Account(doubts={KEYS[0]: 10**9}, risked={KEYS[0]: 3 * 10**9})
    error = line_of(ROW, state, account).error
    assert error is not None
    assert f"it may have been executed and billed{why} (at most $0.003; see --on-ambiguous)" == error.message


def test_a_row_that_asks_for_something_else_shows_nothing_of_before() -> None:
    """Neither pictures nor the error of what it asked for before: it is pending, and what it cost stays its cost."""
    request = evolve(REQUEST, quality="high")
    other = evolve(ROW, request=request, keys=(Key("n1"), Key("n2")))
    line = line_of(other, failed("moderation"), shown("images/kettle-1.png", "images/kettle-2.png"))
    assert ("pending", (), None, "high", 700) == (line.status, line.files, line.error, line.quality, line.cost)


def test_pictures_under_other_keys_count_where_a_row_asks_for_the_same() -> None:
    """A later version may make other keys of the same request: what is there is there."""
    later = evolve(ROW, keys=(Key("n1"), Key("n2")))
    line = line_of(later, SENT, shown("images/kettle-1.png", "images/kettle-2.png"))
    assert ("completed", 2) == (line.status, len(line.files))


def test_what_another_row_paid_is_saved_and_what_it_paid_itself_is_not() -> None:
    """A picture that a row shows and did not pay for counts as saved; a resumed row does not save its own money."""
    account = Account(
        shown={JOB: dict(zip(KEYS, ("images/kettle-1.png", "images/kettle-2.png"), strict=True))},
        payers={KEYS[0]: frozenset({OTHER}), KEYS[1]: frozenset({JOB, OTHER})},
        prices={KEYS[0]: 700, KEYS[1]: 900},
    )
    assert 700 == line_of(ROW, SENT, account).saved


def test_where_pictures_came_from() -> None:
    """`cached` and `shared` say it; pictures that were there already took as long as they did when they were bought."""
    picture = Picture(0, Ref("f:images/kettle-1.png"), Source.SHARED, Meta(), KEYS[0])
    state = SENT.ended(Outcome(Status.CACHED, (picture,)), 0.1)
    files = shown("images/kettle-1.png", "images/kettle-2.png")
    line = line_of(ROW, state, evolve(files, took={KEYS[0]: 12.25, KEYS[1]: 14.5, Key("else"): 99.0}))
    assert (True, True, 14.5) == (line.cached, line.shared, line.seconds)
    assert (True, None) == (line_of(ROW, state, files).cached, line_of(ROW, state, files).seconds)
    outcome = Outcome(Status.CACHED, (picture,))
    ended = line_of_end(ROW, state, outcome, [*files.shown[JOB].values()], Account(), attempts=0)
    assert (True, None) == (ended.cached, ended.seconds)
    cut_off = line_of(ROW, SENT, evolve(files, took={KEYS[0]: 12.25}))
    assert ("completed", False, 12.25) == (cut_off.status, cut_off.cached, cut_off.seconds)


@pytest.mark.parametrize(
    "earlier", [None, Tally(3, 50, usage=Usage(input_text=4)), Tally(1, 0, 9), Tally(1, unpriced=True)]
)
@pytest.mark.parametrize("unknown", [False, True])
def test_the_end_of_a_job_says_the_same_as_the_books(earlier: Tally | None, unknown: bool) -> None:
    """Status, files, money, tokens and attempts, with those of jobs of earlier runs; what never went out is none."""
    charge = None if unknown else 700
    outcome = Outcome(Status.COMPLETED, usage=Usage(input_text=3), charge=charge, attempts=5)
    before = Account() if earlier is None else Account({OTHER: earlier})
    state = evolve(SENT, jobs=(OTHER, JOB)).ended(outcome, 0.5)
    files = ("images/kettle-1.png", "images/kettle-2.png")
    after = shown(*files)
    mine = evolve(after.tallies[JOB], unpriced=unknown)
    after = evolve(after, tallies={**before.tallies, JOB: mine})
    assert line_of(ROW, state, after) == line_of_end(ROW, state, outcome, files, before, attempts=2)


def test_an_invalid_row_says_what_is_wrong() -> None:
    """All of it, with the field of the first mistake as its code."""
    mistakes = (Mistake("in", 3, "size", "too large"), Mistake("in", 3, "n", "must be a whole number"))
    line = line_of_invalid(Invalid("x", 2, 3, mistakes))
    assert ("x", 2, "invalid") == (line.id, line.index, line.status)
    assert Trouble("invalid", "in:3: size: too large; in:3: n: must be a whole number", None, "size") == line.error


@pytest.mark.parametrize(
    ("revised", "told"),
    [
        ((), None),
        ((None,), None),
        (("x",), "x"),
        (("x", "x"), "x"),
        (("x", "y"), ["x", "y"]),
        ((None, "y"), [None, "y"]),
    ],
)
def test_revised_prompts(revised: tuple[str | None, ...], told: object) -> None:
    """One text, or a list where pictures differ."""
    assert told == result(line_of(ROW, evolve(SENT, revised=revised), Account()))["revised_prompt"]


@given(st.integers(0, 10**20))
def test_dollars_are_exact(picodollars: int) -> None:
    """The text is the amount, to the picodollar, without exponent."""
    text = usd(picodollars)
    assert Decimal(picodollars) / 10**12 == Decimal(text)
    assert set(text) <= set("0123456789.")


def test_all_files_are_whole(tmp_path: Path) -> None:
    """results.jsonl has a line a row in order, summary.json the sums, index.html the prompts; nothing else is left."""
    orphans = (Lost(1, AttemptId(7), KEYS, 5), Lost(2, AttemptId(8), (), None))
    account = evolve(shown("images/kettle-1.png", "images/kettle-2.png"), orphans=orphans, prices={KEYS[0]: 1})
    other = evolve(ROW, row=Row("\u58f6\u2028", 1, 2, REQUEST))
    lines = [line_of(ROW, SENT, account), line_of(other, evolve(failed("refused"), jobs=()), account)]
    summary = summary_of(
        lines, account, dict.fromkeys(KEYS, "kettle"), 700, 30, Runs(1, 2, 30.25, made=3.0, allowed=4.0)
    )
    (tmp_path / "summary.json").write_text("old")
    (tmp_path / ".tmp-4711-summary.json").write_text("what a killed run left")
    write_results(tmp_path, lines, summary, lambda index: f"prompt {index}")
    text = (tmp_path / "results.jsonl").read_text("utf-8")
    first, second = [json.loads(line) for line in text.splitlines()]
    assert [
        "id", "index", "status", "files", "model", "size", "quality", "usage", "cost_usd", "attempts", "cached",
        "shared", "reproducible", "seconds", "revised_prompt", "warnings", "meta", "error",
    ] == list(first)  # fmt: skip
    assert ("kettle", "0.0000000007", None, {"sku": 7}) == (
        first["id"], first["cost_usd"], first["error"], first["meta"]
    )  # fmt: skip
    error = {"kind": "refused", "message": "said", "status": 400, "code": "code", "request_id": "req_1"}
    assert ("\u58f6\u2028", 1, "failed", error) == (second["id"], second["index"], second["status"], second["error"])
    told = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert summary_json(summary) == told
    assert (2, 1, 1, 0, 0) == (told["requested"], told["completed"], told["failed"], told["pending"], told["invalid"])
    assert (1, 2, 30.25, 2) == (told["http_429"], told["http_5xx"], told["seconds"], told["attempts"])
    assert (0.75, 1.983) == (told["limit_utilisation"], told["images_per_minute"])
    assert [("1-7", "kettle", "0.000000000005"), ("2-8", "", None)] == [
        (orphan["attempt"], orphan["id"], orphan["bound_usd"]) for orphan in told["orphans"]
    ]
    assert ["its row is complete all the same", "its row is not in the input"] == [
        orphan["advice"].partition("; ")[2] for orphan in told["orphans"]
    ]
    assert "prompt 1" in (tmp_path / "index.html").read_text("utf-8")
    assert {"results.jsonl", "summary.json", "index.html"} == {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_file_that_cannot_be_replaced_stays(tmp_path: Path, fault: BaseException) -> None:
    """What fails on the way, or is broken off, leaves what was there, and nothing beside it."""
    path = tmp_path / "results.jsonl"
    path.write_bytes(b"old")

    def write() -> None:
        with whole(path) as file:
            file.write(b"new")
            raise fault

    with pytest.raises(type(fault)):
        write()
    assert b"old" == path.read_bytes()
    assert ["results.jsonl"] == [found.name for found in tmp_path.iterdir()]


def test_rows_in_finishing_order(tmp_path: Path) -> None:
    """Each is there as soon as it ended, what an earlier run left is gone, and so is the file in the end."""
    (tmp_path / "results.part.jsonl").write_text("old\n")
    part = Part(tmp_path)
    for number in (2, 1):
        part.write(Line(f"row{number}", number, "completed"))
        assert f'"row{number}"' in part.path.read_text().splitlines()[-1]
    assert ["row2", "row1"] == [json.loads(line)["id"] for line in part.path.read_text().splitlines()]
    part.remove()
    assert [] == list(tmp_path.iterdir())


def test_a_card_of_the_gallery() -> None:
    """It says what the line says, and the prompt."""
    line = line_of(ROW, evolve(failed("moderation"), revised=("x", None)), shown("images/kettle-1.png"))
    made = card(line, "a prompt")
    assert ("kettle", "partial", "a prompt", "said") == (made.id, made.status, made.prompt, made.error)
    assert (("images/kettle-1.png",), "0.0000000007", "x") == (made.files, made.cost_usd, made.revised_prompt)


def test_whose_pictures_are() -> None:
    """Of the input, then of what is remembered of rows that are in it no more; what is shared is the first one's."""
    more = evolve(ROW, row=evolve(ROW.row, id="pot"), keys=(KEYS[1], Key("k3")))
    states = {"kettle": evolve(SENT, keys=(Key("old"), KEYS[0])), "gone": evolve(SENT, keys=(Key("k4"), Key("k3")))}
    expected = {"k1": "kettle", "k2": "kettle", "old": "kettle", "k3": "pot", "k4": "gone"}
    assert expected == names_of([ROW, more], states)
    assert {"k1": "kettle", "k2": "kettle"} == names_of([ROW], {})


def test_what_found_nobody_is_no_attempt() -> None:
    """The sum counts requests that went out."""
    account = evolve(shown(), attempts=7, unsent=3)
    assert 4 == summary_json(summary_of([], account, {}, 0, 0, Runs()))["attempts"]


def test_an_unknown_cost_is_null() -> None:
    """Never zero, in a row and in the sum, which says at least how much it is."""
    account = evolve(shown(), tallies={JOB: Tally(1, 0, 0, unpriced=True)})
    line: Line = line_of(ROW, SENT, account)
    assert result(line)["cost_usd"] is None
    summary = summary_of([line], account, {}, 5 * 10**9, 10**9, Runs())
    told = summary_json(summary)
    assert (None, "0.005", "0.001") == (told["cost_usd"], told["cost_at_least_usd"], told["maybe_billed_usd"])
    assert "at least $0.0050 charged, at least $0.0010 more perhaps" in closing(summary)


LEFT = {
    "budget": evolve(line_of(ROW, failed("budget"), Account()), id="short"),
    "unsent": evolve(line_of(ROW, failed("unsent"), Account()), id="unsent"),
}


@given(st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.sampled_from([None, True, False]))
def test_the_most_severe_exit_code_counts(
    interrupted: bool, unsent: bool, short: bool, bad: bool, mild: bool | None
) -> None:
    """130 before 4 before 3 before 1; a halt that was wished for is none where everything was sent."""
    left = [line for line, here in ((LEFT["budget"], short), (LEFT["unsent"], unsent)) if here]
    lines = [Line("fine", 0, "completed"), *([Line("bad", 1, "failed")] if bad else []), *left]
    halt = None if mild is None else Halt("it happened", "do this", mild=mild)
    ended = judge(lines, frozenset({"short", "unsent", "fine"}), halt, "http://x", interrupted=interrupted, whole=True)
    if interrupted:
        expected = Exit.INTERRUPTED
    elif unsent or (halt is not None and (not halt.mild or short)):
        expected = Exit.HALTED
    else:
        expected = Exit.BUDGET if short else Exit.SOME if bad else Exit.ALL
    assert expected == ended.code
    assert (expected is Exit.ALL) == (not ended.message)
    assert ".." not in ended.message
    assert ended.message.endswith(".") or not ended.message


def test_rows_that_were_not_to_be_sent_are_no_halt() -> None:
    """What lies beyond a limit is pending, and nobody's fault."""
    lines = [Line("fine", 0, "completed"), Line("later", 1, "pending")]
    assert Exit.ALL == judge(lines, frozenset({"fine"}), None, "", interrupted=False, whole=True).code
    assert Exit.HALTED == judge(lines, frozenset({"later"}), None, "", interrupted=False, whole=True).code
    assert set(STATUSES) >= {line.status for line in lines}


def test_a_log_is_told_how_each_row_ended() -> None:
    """Its status, attempts, seconds, cost and the reason, in one line; what is unknown is not nothing."""
    trouble = Trouble("moderation", "it was refused")
    line = evolve(line_of(ROW, failed("moderation"), Account()), attempts=2, seconds=1.25, cost=None, error=trouble)
    assert "kettle: failed, 2 attempts, 1.2 s, an unknown amount: it was refused" == told_end(line)
    fine = evolve(line, status="completed", attempts=1, seconds=None, cost=7 * 10**9, error=None)
    assert "kettle: completed, 1 attempt, $0.007" == told_end(fine)
