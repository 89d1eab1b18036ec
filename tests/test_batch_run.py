"""A batch at work against the simulated provider: rows become pictures, limits hold, and the same command goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from penstock.ids import AttemptId
from penstock.simulation.server import Latency, ServerLimits, ServerSettings
from penstock.work import OnAmbiguous
from penstock_io.batch.rows import Defaults
from penstock_io.batch.run import Exit
from penstock_io.batch.settings import Choices
from penstock_io.journal._files import held_stem
from penstock_io.simserver import SimServer, serving
from tests.batching import DEFAULTS, FAST, Folder, folder_for, meanwhile, table

SKIP, RETRY = Choices(on_ambiguous=OnAmbiguous.SKIP), Choices(on_ambiguous=OnAmbiguous.RETRY)


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A fast provider without limits."""
    with serving(FAST) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, sim: SimServer) -> Folder:
    """An empty folder."""
    return folder_for(tmp_path / "out", sim)


def test_rows_become_pictures(folder: Folder, sim: SimServer) -> None:
    """Every row has its file under its own name, its cost adds up to the provider's bill, nothing stays in held/."""
    ended = folder.run(table(40))
    assert (Exit.ALL, "") == (ended.code, ended.message)
    lines = folder.lines()
    assert [[f"images/row{n}.png"] for n in range(40)] == [line["files"] for line in lines]
    assert all((folder.path / name).read_bytes().startswith(b"\x89PNG") for line in lines for name in line["files"])
    assert [] == list((folder.path / "held").iterdir())
    cost = sum(Decimal(line["cost_usd"] or 0) for line in lines)
    assert sim.stats()["billed"] == int(cost * 10**12)
    assert ended.summary is not None
    assert (40, 40, 40) == (ended.summary.images, ended.summary.attempts, ended.summary.counts["completed"])


def test_what_a_run_leaves(folder: Folder) -> None:
    """Results, sums and gallery; what was only there while it ran is gone."""
    folder.run(table(3))
    names = {path.name for path in folder.path.iterdir() if path.is_file() and not path.name.startswith("journal")}
    assert {"results.jsonl", "summary.json", "index.html"} == {name for name in names if not name.startswith(".")}
    assert "kettle 2" in (folder.path / "index.html").read_text("utf-8")


def test_the_same_command_again_sends_nothing(folder: Folder, sim: SimServer) -> None:
    """What is there is there, and its line says the same."""
    folder.run(table(5))
    before = folder.lines()
    assert Exit.ALL == folder.run(table(5)).code
    assert before == folder.lines()
    assert 5 == sim.stats()["received"]


def test_new_rows_alone_are_sent(folder: Folder, sim: SimServer) -> None:
    """Rows that were added, wherever, are bought; the others are not."""
    folder.run(table(3))
    assert Exit.ALL == folder.run(table(6)).code
    assert 6 == sim.stats()["received"]


def test_repeated_rows_share_one_picture(folder: Folder, sim: SimServer) -> None:
    """Three rows of one prompt are paid once, each has its file, and what the others would have cost is saved."""
    ended = folder.run(table(["a", "a", "b", "a"]))
    assert Exit.ALL == ended.code
    assert 2 == sim.stats()["executed"]
    lines = folder.lines()
    assert 1 == len({(folder.path / lines[n]["files"][0]).read_bytes() for n in (0, 1, 3)})
    assert 2 == sum(line["shared"] or line["cached"] for line in lines)
    assert ended.summary is not None
    assert 2 * Decimal(lines[2]["cost_usd"] or 0) * 10**12 == ended.summary.saved
    again = folder.run(table(["a", "a", "b", "a", "a"]))
    assert ended.summary.cost == (again.summary and again.summary.cost)
    assert 2 == sim.stats()["executed"]


def test_several_pictures_a_row(folder: Folder) -> None:
    """A row of three has three numbered files, and one request that is split has one row."""
    assert Exit.ALL == folder.run(table(2, Defaults("gpt-image-2", "1024x1024", "low", n=3))).code
    assert [f"images/row1-{k}.png" for k in (1, 2, 3)] == folder.lines()[1]["files"]


def test_a_refused_row_stays_failed(folder: Folder, sim: SimServer) -> None:
    """Moderation's no is final: it is told with the provider's words, and not sent again. Broken servers are."""
    rows = table(["fine", "forbidden kettle", "unlucky"])
    sim.call(lambda server: server.inject("500", "503"))
    ended = folder.run(rows)
    assert (Exit.SOME, "1 row is not complete: results.jsonl says why.") == (ended.code, ended.message)
    assert ["completed", "failed", "completed"] == folder.statuses()
    error = folder.lines()[1]["error"]
    assert error is not None
    assert ("moderation", 400, "moderation_blocked") == (error["kind"], error["status"], error["code"])
    received = sim.stats()["received"]
    assert Exit.SOME == folder.run(rows).code
    assert received == sim.stats()["received"]


def test_rows_that_are_invalid_are_recorded(folder: Folder) -> None:
    """With their place, the field and what was said, among the others; the run ends with 1."""
    rows = table(["fine", "", "as well"], skip_invalid=True)
    assert Exit.SOME == folder.run(rows).code
    assert ["completed", "invalid", "completed"] == folder.statuses()
    bad = folder.lines()[1]
    assert (1, "row1", []) == (bad["index"], bad["id"], bad["files"])
    assert bad["error"] is not None
    assert ("invalid", "prompt") == (bad["error"]["kind"], bad["error"]["code"])
    assert 1 == folder.sums()["invalid"]


def test_settled_pictures_are_published_without_buying(folder: Folder, sim: SimServer) -> None:
    """What a crash kept in held/ gets its name by the next run."""
    rows = table(4)
    folder.run(rows)
    for n in (1, 2):
        (folder.path / "images" / f"row{n}.png").rename(folder.path / "held" / f"1-{n}-0-x.png")
        folder.sql("UPDATE pictures SET file = ? WHERE file = ?", f"held/1-{n}-0-x.png", f"images/row{n}.png")
        folder.sql("DELETE FROM published WHERE file = ?", f"images/row{n}.png")
    assert Exit.ALL == folder.run(rows).code
    assert 4 == sim.stats()["received"]
    assert [] == list((folder.path / "held").iterdir())
    assert ["completed"] * 4 == folder.statuses()
    assert any(text.startswith("2 rows had been paid before") for text in folder.told)
    assert [False, True, True, False] == [line["cached"] for line in folder.lines()]
    assert all(line["seconds"] is not None and line["seconds"] > 0 for line in folder.lines())


def orphan(folder: Folder, *, count: int) -> None:
    """Cut the settlement of the first `count` rows off, as a kill between sending and settling does."""
    for file in (f"images/row{n}.png" for n in range(count)):
        folder.sql("DELETE FROM published WHERE file = ?", file)
        paid = "UPDATE attempts SET ending = NULL, charge = NULL, usage = NULL WHERE keys = (SELECT {} {})"
        folder.sql(paid.format("json_array(key)", "FROM pictures WHERE file = ?"), file)
        folder.sql("DELETE FROM pictures WHERE file = ?", file)


def test_orphans_are_told_and_booked_and_their_rows_ambiguous(folder: Folder, sim: SimServer) -> None:
    """With `skip` they stay so; `retry` sends all again; the bound stays on the books, and every orphan is listed."""
    rows = table(8)
    folder.run(rows)
    orphan(folder, count=6)
    ended = folder.run(rows, choices=SKIP)
    assert Exit.SOME == ended.code
    assert ["ambiguous"] * 6 + ["completed"] * 2 == folder.statuses()
    told = next(text for text in folder.told if text.startswith("6 attempts of a run that was cut off"))
    assert re.findall(r"^  (row\d) \(attempt 1-\d+\): at most \$0\.00", told, re.MULTILINE) == ["row0", "row1", "row2"]
    assert "and 3 more" in told
    summary = json.loads((folder.path / "summary.json").read_text())
    assert [f"row{n}" for n in range(6)] == sorted(one["id"] for one in summary["orphans"])
    assert all("the provider's own list of usage" in one["advice"] for one in summary["orphans"])
    assert sum(Decimal(one["bound_usd"]) for one in summary["orphans"]) == Decimal(summary["maybe_billed_usd"])
    assert 8 == sim.stats()["received"]
    assert Exit.ALL == folder.run(rows, choices=RETRY).code
    assert 14 == sim.stats()["received"]
    assert summary["maybe_billed_usd"] == folder.sums()["maybe_billed_usd"]


def test_auto_tries_three_once_more(folder: Folder, sim: SimServer) -> None:
    """Within max(3, 2 %): of six doubtful rows three are sent again, the others stay ambiguous."""
    rows = table(8)
    folder.run(rows)
    orphan(folder, count=6)
    assert Exit.SOME == folder.run(rows).code
    assert 11 == sim.stats()["received"]
    assert 3 == folder.statuses().count("ambiguous")


def test_a_row_that_shares_a_doubtful_picture_is_not_sent_either(folder: Folder, sim: SimServer) -> None:
    """With `skip` nobody buys what may be paid already, also not a repeat that was never sent."""
    folder.run(table(["a"]))
    orphan(folder, count=1)
    assert Exit.SOME == folder.run(table(["a", "a"]), choices=SKIP).code
    assert ["ambiguous", "ambiguous"] == folder.statuses()
    assert 1 == sim.stats()["received"]


def test_a_durable_picture_of_an_orphan_is_kept(folder: Folder, sim: SimServer) -> None:
    """Cut off between its bytes and its settlement: told, booked as maybe, and published without buying."""
    folder.run(table(2))
    joined = (
        "SELECT a.run, a.attempt, p.key FROM attempts a, pictures p WHERE a.keys = json_array(p.key) AND p.file = ?"
    )
    ((run, attempt, key),) = folder.sql(joined, "images/row0.png")
    left = f"{held_stem(run, AttemptId(attempt), 0, key)}.png"
    (folder.path / "images" / "row0.png").rename(folder.path / "held" / left)
    orphan(folder, count=1)
    assert Exit.ALL == folder.run(table(2), choices=SKIP).code
    assert ["completed", "completed"] == folder.statuses()
    assert 2 == sim.stats()["received"]
    orphans = folder.sums()["orphans"]
    assert isinstance(orphans, list)
    assert 1 == len(orphans)


def test_a_reset_is_ambiguous_unless_it_is_tried_again(folder: Folder, sim: SimServer) -> None:
    """`skip` leaves the row with its bound on the books; the next run with `retry` completes it."""
    sim.call(lambda server: server.inject("reset"))
    rows = table(1)
    assert Exit.SOME == folder.run(rows, choices=SKIP).code
    assert ["ambiguous"] == folder.statuses()
    assert Exit.ALL == folder.run(rows, choices=RETRY).code
    assert [2] == [line["attempts"] for line in folder.lines()]
    stats, summary = sim.stats(), json.loads((folder.path / "summary.json").read_text())
    assert 2 == stats["executed"]
    assert stats["billed"] <= int((Decimal(summary["cost_usd"]) + Decimal(summary["maybe_billed_usd"])) * 10**12)


def test_the_budget_holds_over_runs(folder: Folder, sim: SimServer) -> None:
    """Rows that do not fit stay pending, exit 3; the same budget again buys nothing; a higher one goes on."""
    rows = table(10)
    ended = folder.run(rows, budget=Decimal("0.031"))
    assert Exit.BUDGET == ended.code
    assert "the budget has no room for 5 rows: raise --budget and run the same command again." == ended.message
    assert (5, 5) == (folder.statuses().count("completed"), folder.statuses().count("pending"))
    received = sim.stats()["received"]
    assert Exit.BUDGET == folder.run(rows, budget=Decimal("0.031")).code
    assert received == sim.stats()["received"]
    assert sim.stats()["billed"] <= 31_000_000_000
    assert Exit.ALL == folder.run(rows, budget=Decimal(1)).code


def test_an_unknown_price_is_no_zero(folder: Folder) -> None:
    """A model outside the catalog is passed on; what it cost is null in the row and in the sum."""
    assert Exit.ALL == folder.run(table(2, Defaults("unheard-of"))).code
    assert [None, None] == [line["cost_usd"] for line in folder.lines()]
    assert folder.sums()["cost_usd"] is None


def test_limits_are_learned_and_refusals_counted(tmp_path: Path) -> None:
    """Against limits that nobody told of every row is done, and what was refused stands in the summary."""
    settings = ServerSettings(limits=ServerLimits(ipm=600, concurrency=4, burst=0.02), latency=Latency(0.05))
    with serving(settings) as sim:
        folder = folder_for(tmp_path / "out", sim)

        def answer() -> None:
            assert sim.wait(lambda stats: stats["rejected"] != {})
            sim.release()

        sim.hold()
        with meanwhile(answer):
            ended = folder.run(table(40))
        rejected = sum(sim.stats()["rejected"].values())
    assert Exit.ALL == ended.code
    assert ended.summary is not None
    assert rejected == ended.summary.runs.http_429 > 0
    assert 40 + rejected == ended.summary.attempts


def test_an_id_that_names_another_prompt_is_another_picture(folder: Folder, sim: SimServer) -> None:
    """The same id with another prompt is bought: the old picture is not shown for it, and is kept."""
    folder.run(table(["a red kettle"]))
    assert Exit.ALL == folder.run(table(["a blue kettle"])).code
    assert 2 == sim.stats()["executed"]
    assert [["images/row0.png"]] == [line["files"] for line in folder.lines()]
    assert 1 == len(list((folder.path / "superseded").iterdir()))
    assert Exit.ALL == folder.run(table(["a red kettle"])).code
    assert 2 == sim.stats()["executed"]


def test_a_row_that_the_options_spoilt_is_sent_again_with_others(folder: Folder) -> None:
    """A refusal is final for what was asked, not for the same row with other options."""
    spoilt = table(1, Defaults("unheard-of", "9000x9000", "low"))
    assert Exit.SOME == folder.run(spoilt).code
    assert Exit.SOME == folder.run(spoilt).code
    assert Exit.ALL == folder.run(table(1, DEFAULTS)).code
    assert ["completed"] == folder.statuses()


@pytest.mark.parametrize("between", ["completed", "failed"])
def test_a_refusal_is_remembered_whatever_was_asked_for_since(folder: Folder, sim: SimServer, between: str) -> None:
    """Back at what was refused the row is not sent, run after run, and says why; `--retry-failed` sends it."""
    low, high = table(1), table(1, Defaults("gpt-image-2", "1024x1024", "high"))
    sim.call(lambda server: server.inject("moderation", *["moderation"] * (between == "failed")))
    assert Exit.SOME == folder.run(low).code
    folder.run(high)
    assert [between] == folder.statuses()
    received = sim.stats()["received"]
    for _ in range(2):
        assert Exit.SOME == folder.run(low).code
        (line,) = folder.lines()
        assert ("failed", "low", []) == (line["status"], line["quality"], line["files"])
        assert line["error"] is not None
        assert "moderation" == line["error"]["kind"]
    folder.run(high)
    assert [between] == folder.statuses()
    assert received == sim.stats()["received"]
    assert Exit.ALL == folder.run(low, choices=Choices(retry_failed=True)).code
    assert ["completed"] == folder.statuses()
    assert received + 1 == sim.stats()["received"]


def test_a_limit_and_then_the_rest(folder: Folder, sim: SimServer) -> None:
    """Rows beyond it stay pending, which is no failure; without it the same command does them."""
    ended = folder.run(table(10), choices=Choices(limit=4))
    assert (Exit.ALL, "") == (ended.code, ended.message)
    assert ["completed"] * 4 + ["pending"] * 6 == folder.statuses()
    assert Exit.ALL == folder.run(table(10)).code
    assert ["completed"] * 10 == folder.statuses()
    assert 10 == sim.stats()["received"]
