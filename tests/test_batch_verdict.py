"""One rule of what becomes of a row: live figures, results, `penstock status`, the next plan and its advice agree."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest
from attrs import evolve, frozen

from penstock.ids import JobId, Key, Ref
from penstock.outcomes import Meta, Outcome, Picture, Source, Status, Trouble
from penstock.work import OnAmbiguous
from penstock_io.batch.keying import Keyed
from penstock_io.batch.plan import Plan, make_plan
from penstock_io.batch.records import Record, read_records
from penstock_io.batch.results import Line, line_of, line_of_end, result
from penstock_io.batch.settings import Choices
from penstock_io.batch.standing import steps
from penstock_io.batch.states import FINAL, NEW, PASSING, RowState, Runs
from penstock_io.batch.verdict import Doubts, Facts, Standing, facts_of, facts_of_end, judged
from penstock_io.journal import Account
from tests.planning import keyed_of, rows_of

KINDS = ("", "ambiguous", "lost", "moderation", "moderation_output", "refused", "owed", "server_error", "budget")
ENDS = {"ambiguous": Status.AMBIGUOUS, "moderation": Status.REFUSED, "budget": Status.CANCELLED}
FATES = ("open", "doubtful", "due", "lost", "paid", "shown")
"""What the books say of one picture of a row."""

ROW: Keyed = keyed_of(rows_of({"id": "a", "prompt": "a", "n": 2}))[0]
JOB = (1, JobId(5))
FAR = 4_000_000_000.0


@frozen
class Case:
    """A row: how its last job ended ("": not), and what became of its two pictures."""

    kind: str
    first: str
    second: str

    @property
    def state(self) -> RowState:
        """What is remembered of it."""
        sent = NEW.sent(JOB, ROW.keys, ROW.request, ROW.row.content, ROW.sample)
        return sent.ended(self.outcome, 1.0) if self.kind else sent

    @property
    def outcome(self) -> Outcome:
        """How its last job ended."""
        return Outcome(ENDS.get(self.kind, Status.FAILED), error=Trouble(self.kind, f"said of {self.kind}"))

    @property
    def account(self) -> Account:
        """What the books say."""
        fates = dict(zip(ROW.keys, (self.first, self.second), strict=True))
        bounds: dict[Key, int | None] = {key: 9 * 10**9 for key, fate in fates.items() if fate == "doubtful"}
        return Account(
            shown={JOB: {key: f"images/{key[:4]}.png" for key, fate in fates.items() if fate == "shown"}},
            prices={key: 7 for key, fate in fates.items() if fate in {"paid", "shown"}},
            doubts=bounds,
            risked=bounds,
            due={key: FAR for key, fate in fates.items() if fate == "due"},
            lost=frozenset(key for key, fate in fates.items() if fate == "lost"),
            attempts=1000,
        )

    @property
    def line(self) -> Line:
        """Its result."""
        return line_of(ROW, self.state, self.account)

    def plan(self, mode: OnAmbiguous = OnAmbiguous.SKIP, *, retry_failed: bool = False) -> Plan:
        """What the next run does with it."""
        return make_plan([ROW], {"a": self.state}, self.account, Choices(mode, retry_failed=retry_failed))


CASES = [Case(*case) for case in product(KINDS, FATES, FATES)]


def record_of(line: Line, folder: Path) -> Record:
    """The row as another program reads it from results.jsonl."""
    (folder / "results.jsonl").write_text(json.dumps(result(line)) + "\n", "utf-8")
    (record,) = read_records(folder)
    return record


def advice(case: Case, folder: Path) -> list[str]:
    """What `penstock status` says may be done next."""
    doubted = {"a"} if "doubtful" in {case.first, case.second} else set[str]()
    return steps([record_of(case.line, folder)], None, Runs(code=1), doubted=doubted)


def test_results_and_the_next_plan_agree() -> None:
    """Each status and error says just how the row stands for the next run, whatever came together."""
    told: dict[Standing, set[tuple[str, str]]] = {}
    for case in CASES:
        plan, line = case.plan(), case.line
        stands = judged(facts_of(ROW, case.state, case.account)).standing
        told.setdefault(stands, set()).add((line.status, line.error.kind if line.error is not None else ""))
        counted = (plan.done, plan.final, plan.owed, plan.left, len(plan.send))
        assert [stands is one for one in Standing] == [bool(counted[place]) for place in (0, 1, 2, 3, 4)], (
            case
        )  # of the order of `Standing`: done, final, owed, doubtful, open
    assert {("completed", "")} == told[Standing.DONE]
    assert {kind for _, kind in told[Standing.FINAL]} <= FINAL
    assert {"failed", "partial"} == {status for status, _ in told[Standing.FINAL]}
    assert {("failed", "owed"), ("partial", "owed")} == told[Standing.OWED]
    assert {("ambiguous", "ambiguous"), ("partial", "ambiguous")} == told[Standing.DOUBTFUL]
    assert {"pending", "failed", "partial"} == {status for status, _ in told[Standing.OPEN]}
    assert not {kind for _, kind in told[Standing.OPEN]} & (FINAL | {"ambiguous"})


def test_the_advice_is_what_sends_a_row_and_nothing_less_does(tmp_path: Path) -> None:
    """Following it sends what is not done; without the options that it names nothing is sent."""
    for case in CASES:
        found = advice(case, tmp_path)
        stands = judged(facts_of(ROW, case.state, case.account)).standing
        if stands is Standing.DONE:
            assert ["nothing: every row is done"] == found
            continue
        (step,) = found
        options, _, _ = step.partition(":")
        retry, again = "--on-ambiguous retry" in options, "--retry-failed" in options
        mode = OnAmbiguous.RETRY if retry else OnAmbiguous.SKIP
        assert (stands is Standing.OWED) == (not case.plan(mode, retry_failed=again).send), (case, step)
        if again:
            assert not case.plan(mode).send, (case, step)
        if retry:
            assert not case.plan(OnAmbiguous.SKIP, retry_failed=again).send, (case, step)


@pytest.mark.parametrize("kind", sorted({*KINDS, *PASSING} - {""}))
@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("shown", [0, 1])
def test_the_live_figures_say_what_the_results_will(kind: str, before: bool, shown: int) -> None:
    """At the end of a job the status is that of the books, with a doubt of an earlier run or without."""
    fate = "doubtful" if before or kind == "ambiguous" else {"lost": "lost", "owed": "due"}.get(kind, "open")
    case = Case(kind, "shown" if shown else fate, fate)
    files = [f"images/{ROW.keys[0][:4]}.png"] * shown
    live = line_of_end(ROW, case.state, case.outcome, files, Account(), attempts=1, doubtful=before)
    assert (case.line.status, len(files)) == (live.status, len(live.files))
    assert (case.line.error and case.line.error.kind) == (live.error and live.error.kind)
    ends = judged(facts_of_end(ROW, case.outcome, shown, doubtful=before)).standing
    stands = judged(facts_of(ROW, case.state, case.account)).standing
    assert (ends is stands) or (stands is Standing.OWED and ends is Standing.OPEN)  # until when, the books know


@pytest.mark.parametrize("kind", sorted(FINAL - {"lost"}))
def test_a_refusal_after_a_doubt_is_a_refusal(kind: str) -> None:
    """It keeps its own error; that an attempt may have been billed is a warning, with the bound of all of them."""
    line = Case(kind, "doubtful", "doubtful").line
    assert ("failed", Trouble(kind, f"said of {kind}")) == (line.status, line.error)
    assert ("an attempt at it may have been billed all the same (at most $0.018)",) == line.warnings
    assert () == Case(kind, "open", "open").line.warnings
    plan = Case(kind, "doubtful", "open").plan()
    assert (1, 1) == (plan.final, plan.doubted)
    assert 0 == Case(kind, "open", "open").plan().doubted


def test_a_doubt_says_what_came_of_the_last_try() -> None:
    """A row in doubt that the next run had no money for says both."""
    error = Case("budget", "doubtful", "open").line.error
    assert error is not None
    assert ("ambiguous", "budget") == (error.kind, error.cause)
    expected = "it may have been executed and billed; the last try since: said of budget (at most $0.009; see --on-am"
    assert error.message.startswith(expected)


def test_a_job_may_be_in_doubt_though_its_end_says_something_else() -> None:
    """What it may have been billed, or a charge that nobody knows, is a doubt where it brought nothing."""
    plain = Outcome(Status.FAILED, error=Trouble("server_error", "said"))
    for outcome, status in (
        (plain, "failed"),
        (evolve(plain, maybe=5), "ambiguous"),
        (evolve(plain, charge=None), "ambiguous"),
    ):
        assert status == line_of_end(ROW, NEW, outcome, [], Account(), attempts=1).status


def test_what_can_be_downloaded_is_waited_for_where_nothing_more_is_bought() -> None:
    """One picture is paid and due; the other is lost or refused: the row waits. Where it can be bought, it is sent."""
    for case in (Case("", "due", "lost"), Case("moderation", "due", "open"), Case("", "due", "due")):
        assert (1, 0, 0) == (case.plan().owed, case.plan().final, len(case.plan().send))
    assert (0, 1) == (Case("", "due", "open").plan().owed, len(Case("", "due", "open").plan().send))


def test_a_settled_doubt_is_none() -> None:
    """A row that ended in doubt, of which another one's picture was bought and is gone again, is to be sent."""
    found = judged(Facts(wanted=1, here=0, missing=1, ended="ambiguous", error=Trouble("ambiguous", "said")))
    assert (Standing.OPEN, "pending", None) == (found.standing, found.status, found.error)


def test_a_picture_that_came_is_in_doubt_no_more() -> None:
    """Rows that want a picture which may have been paid are in doubt until it comes, by whichever row that is."""
    first, second = Key("first"), Key("second")
    broken, failed = Outcome(Status.AMBIGUOUS), Outcome(Status.FAILED)
    came = Outcome(Status.COMPLETED, (Picture(0, Ref("b"), Source.BOUGHT, Meta(), first),))
    doubts = Doubts([])
    assert not doubts.ended([first, second], failed)
    assert doubts.ended([first], broken)
    assert doubts.ended([first, second], failed)
    assert not doubts.ended([second], failed)
    assert not doubts.ended([first], came)
    assert not doubts.ended([first, second], failed)
    assert doubts.ended([first, second], evolve(came, maybe=9))
    assert doubts.ended([second], failed)
    assert not doubts.ended([first], failed)
    assert Doubts([first]).ended([first], failed)
