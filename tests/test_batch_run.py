"""A batch at work against the simulated provider: resume, doubt, halts, budget, disks."""

from __future__ import annotations

import errno
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import TypedDict

import pytest

from penstock.config import Limits
from penstock.ids import AttemptId, Key
from penstock.outcomes import Outcome, Status, Trouble
from penstock.simulation.server import Latency, ServerLimits, ServerSettings
from penstock.work import OnAmbiguous
from penstock_io.batch.plan import Keyed, check_rows, choose
from penstock_io.batch.rows import Defaults, InputError, parse_rows
from penstock_io.batch.run import Ended, Exit, Settings, run_batch
from penstock_io.batch.states import RowState
from penstock_io.journal import Account, Disk, Journal
from penstock_io.journal._files import held_stem
from penstock_io.simserver import SimServer, serving

KEYS = {"A": "key-a"}
FAST = ServerSettings(latency=Latency(0.02, 0.1))
DEFAULTS = Defaults("gpt-image-2", "1024x1024", "low")


class Error(TypedDict):
    """An error of a line."""

    kind: str
    message: str
    status: int | None
    code: str | None


class Told(TypedDict):
    """A line of results.jsonl, as far as it is asked for here."""

    id: str
    status: str
    files: list[str]
    model: str
    cost_usd: str | None
    attempts: int
    cached: bool
    shared: bool
    error: Error | None


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A fast provider without limits."""
    with serving(FAST) as running:
        yield running


def table(prompts: Sequence[str] | int, defaults: Defaults = DEFAULTS, *, budget: bool = False) -> list[Keyed]:
    """Checked rows of these prompts, or of so many."""
    texts = [f"kettle {n}" for n in range(prompts)] if isinstance(prompts, int) else prompts
    lines = "\n".join(json.dumps({"prompt": text, "id": f"row{n}"}) for n, text in enumerate(texts))
    return check_rows(parse_rows(lines.encode(), "in.jsonl", defaults), "in.jsonl", budget=budget)


class Folder:
    """A folder and the provider that its batches go to."""

    def __init__(self, path: Path, sim: SimServer) -> None:
        self.path = path
        self.sim = sim
        self.told: list[str] = []

    def run(
        self,
        rows: list[Keyed],
        *,
        keys: Mapping[str, str] | None = None,
        budget: Decimal | None = None,
        mode: OnAmbiguous = OnAmbiguous.AUTO,
        disk: Disk | None = None,
        concurrency: int = 64,
    ) -> Ended:
        """One run of the same command."""
        settings = Settings(
            self.path,
            self.sim.base_url,
            keys or KEYS,
            limits=Limits(concurrency=concurrency),
            budget=budget,
            on_ambiguous=mode,
            tell=self.told.append,
        )
        journal = Journal.open(self.path, disk=disk)
        try:
            return run_batch(settings, rows, journal)
        finally:
            if not isinstance(disk, FullDisk):
                journal.close()
            else:
                disk.left = 1 << 30
                journal.close()

    def lines(self) -> list[Told]:
        """results.jsonl."""
        return [json.loads(line) for line in (self.path / "results.jsonl").read_text("utf-8").splitlines()]

    def statuses(self) -> list[str]:
        """What became of each row."""
        return [line["status"] for line in self.lines()]

    def sql(self, statement: str, *values: str) -> list[tuple[int, int, Key]]:
        """Do to the journal what a crash at a certain moment would have, or ask it."""
        with closing(sqlite3.connect(self.path / "journal.sqlite")) as db, db:
            return db.execute(statement, values).fetchall()


@pytest.fixture
def folder(tmp_path: Path, sim: SimServer) -> Folder:
    """An empty folder."""
    return Folder(tmp_path / "out", sim)


class FullDisk(Disk):
    """A disk that is full after so many files."""

    def __init__(self, left: int) -> None:
        self.left = left

    def sync(self, path: Path) -> None:
        """Fail when nothing is left."""
        self.left -= 1
        if self.left < 0:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        super().sync(path)


def test_rows_become_pictures(folder: Folder) -> None:
    """Every row has its file under its own name, its cost adds up to the provider's bill, nothing stays in held/."""
    ended = folder.run(table(40))
    assert Exit.ALL == ended.code
    lines = folder.lines()
    assert [[f"images/row{n}.png"] for n in range(40)] == [line["files"] for line in lines]
    assert all((folder.path / name).read_bytes().startswith(b"\x89PNG") for line in lines for name in line["files"])
    assert [] == list((folder.path / "held").iterdir())
    cost = sum(Decimal(line["cost_usd"] or 0) for line in lines)
    assert folder.sim.stats()["billed"] == int(cost * 10**12)
    assert ended.summary is not None
    assert (40, 40, 40) == (ended.summary.images, ended.summary.attempts, ended.summary.counts["completed"])


def test_the_same_command_again_sends_nothing(folder: Folder) -> None:
    """Also with another model on the command line: what is there stays, and says what it was made with."""
    folder.run(table(5))
    before = folder.lines()
    assert Exit.ALL == folder.run(table(5)).code
    assert Exit.ALL == folder.run(table(5, Defaults("gpt-image-1-mini", "1024x1024", "high"))).code
    assert before == folder.lines()
    assert 5 == folder.sim.stats()["received"]


def test_new_rows_alone_are_sent(folder: Folder) -> None:
    """Rows that were added, wherever, are bought; the others are not."""
    folder.run(table(3))
    assert Exit.ALL == folder.run(table(6)).code
    assert 6 == folder.sim.stats()["received"]


def test_repeated_rows_share_one_picture(folder: Folder) -> None:
    """Three rows of one prompt are paid once, each has its file, and what the others would have cost is saved."""
    ended = folder.run(table(["a", "a", "b", "a"]))
    assert Exit.ALL == ended.code
    assert 2 == folder.sim.stats()["executed"]
    lines = folder.lines()
    assert 1 == len({(folder.path / lines[n]["files"][0]).read_bytes() for n in (0, 1, 3)})
    assert 2 == sum(line["shared"] or line["cached"] for line in lines)
    assert ended.summary is not None
    assert 2 * Decimal(lines[2]["cost_usd"] or 0) * 10**12 == ended.summary.saved
    again = folder.run(table(["a", "a", "b", "a", "a"]))
    assert ended.summary.cost == (again.summary and again.summary.cost)
    assert 2 == folder.sim.stats()["executed"]


def test_several_pictures_a_row(folder: Folder) -> None:
    """A row of three has three numbered files, and one request that is split has one row."""
    assert Exit.ALL == folder.run(table(2, Defaults("gpt-image-2", "1024x1024", "low", n=3))).code
    assert [f"images/row1-{k}.png" for k in (1, 2, 3)] == folder.lines()[1]["files"]


def test_a_refused_row_stays_failed(folder: Folder) -> None:
    """Moderation's no is final: it is told with the provider's words, and not sent again. Broken servers are."""
    rows = table(["fine", "forbidden kettle", "unlucky"])
    folder.sim.call(lambda server: server.inject("500", "503"))
    assert Exit.SOME == folder.run(rows).code
    assert ["completed", "failed", "completed"] == folder.statuses()
    error = folder.lines()[1]["error"]
    assert error is not None
    assert ("moderation", 400, "moderation_blocked") == (error["kind"], error["status"], error["code"])
    received = folder.sim.stats()["received"]
    assert Exit.SOME == folder.run(rows).code
    assert received == folder.sim.stats()["received"]


@pytest.mark.parametrize(
    ("kind", "again"),
    [("server_error", True), ("rate_limited", True), ("budget", True), ("moderation", False), ("invalid", False)],
)
def test_what_may_pass_is_sent_again(kind: str, again: bool) -> None:
    """A row whose failure says nothing of the row is chosen by the next run, one that was refused is not."""
    (keyed,) = table(1)
    state = RowState(keys=keyed.keys).ended(Outcome(Status.FAILED, error=Trouble(kind, "said")), 0.1)
    send, _ = choose([keyed], {keyed.row.id: state}, Account(), OnAmbiguous.SKIP)
    assert ((keyed,) if again else ()) == send


def test_settled_pictures_are_published_without_buying(folder: Folder) -> None:
    """What a crash kept in held/ gets its name by the next run, whose model may be another."""
    rows = table(4)
    folder.run(rows)
    for n in (1, 2):
        (folder.path / "images" / f"row{n}.png").rename(folder.path / "held" / f"1-{n}-0-x.png")
        folder.sql("UPDATE pictures SET file = ? WHERE file = ?", f"held/1-{n}-0-x.png", f"images/row{n}.png")
        folder.sql("DELETE FROM published WHERE file = ?", f"images/row{n}.png")
    assert Exit.ALL == folder.run(table(4, Defaults("gpt-image-1-mini"))).code
    assert 4 == folder.sim.stats()["received"]
    assert [] == list((folder.path / "held").iterdir())
    assert ["completed"] * 4 == folder.statuses()
    assert ["gpt-image-2"] * 4 == [line["model"] for line in folder.lines()]
    assert "2 rows had been paid before: their pictures are published now" in folder.told


def orphan(folder: Folder, *, count: int) -> None:
    """Cut the settlement of the first `count` rows off, as a kill between sending and settling does."""
    for file in (f"images/row{n}.png" for n in range(count)):
        folder.sql("DELETE FROM published WHERE file = ?", file)
        paid = "UPDATE attempts SET ending = NULL, charge = NULL, usage = NULL WHERE keys = (SELECT {} {})"
        folder.sql(paid.format("json_array(key)", "FROM pictures WHERE file = ?"), file)
        folder.sql("DELETE FROM pictures WHERE file = ?", file)


def test_orphans_are_told_and_booked_and_their_rows_ambiguous(folder: Folder) -> None:
    """With `skip` they stay so; `retry` sends all again; the bound stays on the books, and every orphan is listed."""
    rows = table(8)
    folder.run(rows)
    orphan(folder, count=6)
    ended = folder.run(rows, mode=OnAmbiguous.SKIP)
    assert Exit.SOME == ended.code
    assert ["ambiguous"] * 6 + ["completed"] * 2 == folder.statuses()
    told = next(text for text in folder.told if text.startswith("6 attempts of a run that was cut off"))
    assert [f"for row{n}: at most $0.00" in told for n in range(6)] == [True] * 6
    summary = json.loads((folder.path / "summary.json").read_text())
    assert [f"row{n}" for n in range(6)] == sorted(one["id"] for one in summary["orphans"])
    assert sum(Decimal(one["bound_usd"]) for one in summary["orphans"]) == Decimal(summary["maybe_billed_usd"])
    assert 8 == folder.sim.stats()["received"]
    assert Exit.ALL == folder.run(rows, mode=OnAmbiguous.RETRY).code
    assert 14 == folder.sim.stats()["received"]
    assert summary["maybe_billed_usd"] == json.loads((folder.path / "summary.json").read_text())["maybe_billed_usd"]


def test_auto_tries_three_once_more(folder: Folder) -> None:
    """Within max(3, 2 %): of six doubtful rows three are sent again, the others stay ambiguous."""
    rows = table(8)
    folder.run(rows)
    orphan(folder, count=6)
    assert Exit.SOME == folder.run(rows).code
    assert 11 == folder.sim.stats()["received"]
    assert 3 == folder.statuses().count("ambiguous")


def test_a_row_that_shares_a_doubtful_picture_is_not_sent_either(folder: Folder) -> None:
    """With `skip` nobody buys what may be paid already, also not a repeat that was never sent."""
    folder.run(table(["a"]))
    orphan(folder, count=1)
    assert Exit.SOME == folder.run(table(["a", "a"]), mode=OnAmbiguous.SKIP).code
    assert ["ambiguous", "ambiguous"] == folder.statuses()
    assert 1 == folder.sim.stats()["received"]


def test_a_durable_picture_of_an_orphan_is_kept(folder: Folder) -> None:
    """Cut off between its bytes and its settlement: told, booked as maybe, and published without buying."""
    folder.run(table(2))
    joined = (
        "SELECT a.run, a.attempt, p.key FROM attempts a, pictures p WHERE a.keys = json_array(p.key) AND p.file = ?"
    )
    ((run, attempt, key),) = folder.sql(joined, "images/row0.png")
    left = f"{held_stem(run, AttemptId(attempt), 0, key)}.png"
    (folder.path / "images" / "row0.png").rename(folder.path / "held" / left)
    orphan(folder, count=1)
    assert Exit.ALL == folder.run(table(2), mode=OnAmbiguous.SKIP).code
    assert ["completed", "completed"] == folder.statuses()
    assert 2 == folder.sim.stats()["received"]
    assert 1 == len(json.loads((folder.path / "summary.json").read_text())["orphans"])


def test_a_reset_is_ambiguous_unless_it_is_tried_again(folder: Folder) -> None:
    """`skip` leaves the row with its bound on the books; the next run with `retry` completes it."""
    folder.sim.call(lambda server: server.inject("reset"))
    rows = table(1)
    assert Exit.SOME == folder.run(rows, mode=OnAmbiguous.SKIP).code
    assert ["ambiguous"] == folder.statuses()
    assert Exit.ALL == folder.run(rows, mode=OnAmbiguous.RETRY).code
    assert [2] == [line["attempts"] for line in folder.lines()]
    stats, summary = folder.sim.stats(), json.loads((folder.path / "summary.json").read_text())
    assert 2 == stats["executed"]
    assert stats["billed"] <= int((Decimal(summary["cost_usd"]) + Decimal(summary["maybe_billed_usd"])) * 10**12)


def test_a_revoked_key_halts_and_the_same_command_goes_on(folder: Folder) -> None:
    """Rows not sent are pending, one message names cause and remedy, and a good key finishes them."""
    rows = table(60)
    folder.sim.call(lambda server: server.revoke("key-a"))
    ended = folder.run(rows, concurrency=2)
    assert Exit.HALTED == ended.code
    assert "Incorrect API key provided" in ended.message
    assert "To go on: set a valid key. The same command goes on from here." in ended.message
    assert ["pending"] * 60 == folder.statuses()
    assert len(folder.sql("SELECT 0, 0, row FROM rows")) < 40  # the input is not drawn to its end for nothing
    assert Exit.ALL == folder.run(rows, keys={"B": "key-b"}).code
    assert 60 == folder.sim.stats()["executed"]


def test_one_revoked_key_of_two_is_told_and_left_alone(folder: Folder) -> None:
    """The other key does the work."""
    folder.sim.call(lambda server: server.revoke("key-a"))
    assert Exit.ALL == folder.run(table(20), keys={"A": "key-a", "B": "key-b"}).code
    closed = [text for text in folder.told if "is not used for gpt-image-2 any more" in text]
    assert 1 == len(closed)
    assert "key-a" not in "".join(folder.told)


def test_exhausted_credit_halts(folder: Folder) -> None:
    """What is paid by then is kept; more credit and the same command do the rest."""
    folder.sim.call(lambda server: server.set_credit("key-a", 5 * 6_000_000_000))
    rows = table(20)
    ended = folder.run(rows, concurrency=2)
    assert (Exit.HALTED, True) == (ended.code, "credit" in ended.message)
    paid = folder.statuses().count("completed")
    assert 0 < paid < 20
    assert {"completed", "pending"} == set(folder.statuses())
    folder.sim.call(lambda server: server.set_credit("key-a", None))
    assert Exit.ALL == folder.run(rows).code
    assert 20 == folder.sim.stats()["executed"]


def test_a_model_that_is_gone_halts_and_another_goes_on(tmp_path: Path) -> None:
    """Done rows stay, the rest is made with the other model of the command line."""
    with serving(ServerSettings(models=("gpt-image-1-mini",), latency=Latency(0.02))) as sim:
        folder = Folder(tmp_path / "out", sim)
        ended = folder.run(table(5))
        assert (Exit.HALTED, True) == (ended.code, "choose another model" in ended.message)
        assert Exit.ALL == folder.run(table(5, Defaults("gpt-image-1-mini", "1024x1024", "low"))).code
        assert {"gpt-image-1-mini"} == {line["model"] for line in folder.lines()}


def test_a_full_disk_halts_with_what_is_paid_on_the_books(folder: Folder) -> None:
    """Nothing more is sent, the message says why, and with room again the same command completes what it may."""
    rows = table(60)
    ended = folder.run(rows, disk=FullDisk(10), concurrency=4)
    assert Exit.HALTED == ended.code
    assert "No space left on device" in ended.message
    received = folder.sim.stats()["received"]
    assert received < 60
    assert Exit.ALL == folder.run(rows, mode=OnAmbiguous.RETRY).code
    assert ["completed"] * 60 == folder.statuses()


def test_results_that_cannot_be_written_halt(folder: Folder) -> None:
    """The pictures and the journal are there all the same: with the obstacle gone the same command buys nothing."""
    (folder.path / "results.jsonl").mkdir(parents=True)
    ended = folder.run(table(3))
    assert Exit.HALTED == ended.code
    assert "The same command goes on from here" in ended.message
    (folder.path / "results.jsonl").rmdir()
    assert Exit.ALL == folder.run(table(3)).code
    assert 3 == folder.sim.stats()["received"]


def test_the_budget_holds_over_runs(folder: Folder) -> None:
    """Rows that do not fit stay pending, exit 3; the same budget again buys nothing; a higher one goes on."""
    rows = table(10, budget=True)
    ended = folder.run(rows, budget=Decimal("0.031"))
    assert Exit.BUDGET == ended.code
    assert 5 == folder.statuses().count("completed")
    assert 5 == folder.statuses().count("pending")
    received = folder.sim.stats()["received"]
    assert Exit.BUDGET == folder.run(rows, budget=Decimal("0.031")).code
    assert received == folder.sim.stats()["received"]
    assert folder.sim.stats()["billed"] <= 31_000_000_000
    assert Exit.ALL == folder.run(rows, budget=Decimal(1)).code


def test_an_unknown_price_is_no_zero(folder: Folder) -> None:
    """A model outside the catalog is passed on; what it cost is null in the row and in the sum."""
    assert Exit.ALL == folder.run(table(2, Defaults("unheard-of"))).code
    assert [None, None] == [line["cost_usd"] for line in folder.lines()]
    assert json.loads((folder.path / "summary.json").read_text())["cost_usd"] is None


def test_a_budget_needs_a_price() -> None:
    """A model without a published price is refused before anything is sent, by line and field."""
    with pytest.raises(InputError, match=r"in.jsonl:1: model: the price of unheard-of is not known"):
        table(1, Defaults("unheard-of"), budget=True)
    assert 1 == len(table(1, Defaults("unheard-of")))


def test_what_a_model_does_not_take_is_refused_before_anything_is_sent() -> None:
    """By file, line and field, with what it does take."""
    with pytest.raises(InputError, match=r"in.jsonl:1: size: "):
        table(1, Defaults("gpt-image-2", "17x17"))


def test_limits_are_learned_and_refusals_counted(tmp_path: Path) -> None:
    """Against limits that nobody told of every row is done, and what was refused stands in the summary."""
    settings = ServerSettings(limits=ServerLimits(ipm=600, concurrency=4, burst=0.02), latency=Latency(0.05))
    with serving(settings) as sim:
        folder = Folder(tmp_path / "out", sim)
        ended = folder.run(table(40))
        rejected = sum(sim.stats()["rejected"].values())
    assert Exit.ALL == ended.code
    assert ended.summary is not None
    assert rejected == ended.summary.runs.http_429 > 0
    assert 40 + rejected == ended.summary.attempts


def test_an_id_that_names_another_content_is_another_row(folder: Folder) -> None:
    """The same id with another prompt is bought: the old picture is not shown for it."""
    folder.run(table(["a red kettle"]))
    assert Exit.ALL == folder.run(table(["a blue kettle"])).code
    assert 2 == folder.sim.stats()["executed"]
    assert Exit.ALL == folder.run(table(["a blue kettle"])).code
    assert 2 == folder.sim.stats()["executed"]


def test_a_row_that_the_options_spoilt_is_sent_again_with_others(folder: Folder) -> None:
    """A refusal is final for what was asked, not for the same row with other options."""
    spoilt = table(1, Defaults("unheard-of", "9000x9000", "low"))
    assert Exit.SOME == folder.run(spoilt).code
    assert Exit.SOME == folder.run(spoilt).code
    assert Exit.ALL == folder.run(table(1)).code
    assert ["completed"] == [line["status"] for line in folder.lines()]
