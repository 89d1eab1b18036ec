"""`penstock batch --cache`: folders that share pictures, so that none of them is bought twice."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from penstock.commands import Warned
from penstock.ids import Key, Ref
from penstock.outcomes import Meta, Outcome, Picture, Source, Status
from penstock.simulation.server import Latency, ServerSettings
from penstock_io.batch.hearing import Hearing
from penstock_io.batch.sharing import Worth
from penstock_io.simserver import SimServer, serving
from penstock_io.stores.files import FilesStore
from penstock_io.stores.sqlite import SqliteStore
from tests.batch_command import LONG, PENSTOCK, Command, wait
from tests.batching import Listening

ROWS = [{"id": f"row-{number}", "prompt": f"kettle {number % 3}"} for number in range(4)]
"""Three pictures for four rows."""


@pytest.fixture
def sim(monkeypatch: pytest.MonkeyPatch, no_options: None) -> Iterator[SimServer]:
    """A provider that counts for one test alone, and a key for it."""
    del no_options
    monkeypatch.setenv("TEST_KEY", "test-key")
    with serving(ServerSettings(latency=Latency(0.02, 0.0))) as running:
        yield running


@pytest.fixture
def folders(tmp_path: Path, sim: SimServer, capsys: pytest.CaptureFixture[str]) -> tuple[Command, Command]:
    """Two folders with the same rows."""
    commands = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        commands.append(Command(tmp_path / name, sim, capsys))
        commands[-1].rows(*ROWS)
    return commands[0], commands[1]


def results(command: Command) -> list[dict[str, object]]:
    """What its results say."""
    return [json.loads(line) for line in (command.out / "results.jsonl").read_text().splitlines()]


def summary(command: Command) -> dict[str, object]:
    """And its sums."""
    found: dict[str, object] = json.loads((command.out / "summary.json").read_text())
    return found


def bytes_of(command: Command) -> dict[str, bytes]:
    """Its pictures by row."""
    names = {str(line["id"]): line["files"] for line in results(command)}
    return {row: (command.out / files[0]).read_bytes() for row, files in names.items() if isinstance(files, list)}


def test_what_one_folder_bought_another_has_for_nothing(folders: tuple[Command, Command], tmp_path: Path) -> None:
    """The second buys only what is new: the rest is cached, costs 0, and its sums say what that saved."""
    one, other = folders
    cache = str(tmp_path / "pictures.sqlite")
    assert 0 == one.run("--cache", cache)[0]
    assert 3 == one.sim.stats()["received"]
    other.rows(*ROWS, {"id": "new", "prompt": "a lamp"})
    assert 0 == other.run("--cache", cache)[0]
    assert 4 == one.sim.stats()["received"]
    found = {str(line["id"]): line for line in results(other)}
    assert {"row-0": True, "row-1": True, "row-2": True, "row-3": True, "new": False} == {
        row: line["cached"] for row, line in found.items()
    }
    assert {"0"} == {line["cost_usd"] for row, line in found.items() if row != "new"}
    assert {"completed"} == {line["status"] for line in found.values()}
    assert bytes_of(one) == {row: data for row, data in bytes_of(other).items() if row != "new"}
    sums = summary(other)
    assert (found["new"]["cost_usd"], 1, 5) == (sums["cost_usd"], sums["attempts"], sums["images"])
    assert Decimal(str(summary(one)["cost_usd"])) * 4 / 3 == Decimal(str(sums["saved_usd"]))


def test_a_row_of_several_pictures_buys_those_that_are_missing(
    folders: tuple[Command, Command], tmp_path: Path
) -> None:
    """Of three pictures two are in the cache: one is bought, and the row is not cached; what it saved is told."""
    one, other = folders
    cache = str(tmp_path / "pictures.sqlite")
    for command, n in ((one, 2), (other, 3)):
        command.rows({"id": "row", "prompt": "a kettle", "n": n})
        assert 0 == command.run("--cache", cache)[0]
    (line,) = results(other)
    assert (False, 3) == (line["cached"], summary(other)["images"])
    assert summary(one)["cost_usd"] == summary(other)["saved_usd"]


def test_a_picture_that_an_earlier_row_brought_in_saved_what_it_cost() -> None:
    """Once it is the folder's own its books have no price for it; what was bought there has one, or none is known."""

    def ended(key: str, source: Source, cost: int | None, saved: int = 0) -> Outcome:
        picture = Picture(0, Ref("f:x"), source, Meta(cost=cost), Key(key))
        return Outcome(Status.CACHED, (picture,), saved=saved)

    worth = Worth()
    assert 5 == worth.told(ended("a", Source.STORED, 5, 5)).saved
    assert 5 == worth.told(ended("a", Source.STORED, None)).saved
    assert 0 == worth.told(ended("b", Source.STORED, None)).saved
    assert 0 == worth.told(ended("a", Source.BOUGHT, None)).saved


def test_a_folder_needs_its_cache_no_more(folders: tuple[Command, Command], tmp_path: Path) -> None:
    """What came from the cache is the folder's own: without it nothing is sent again, and the sums stay."""
    one, other = folders
    cache = tmp_path / "pictures.sqlite"
    assert [0, 0] == [command.run("--cache", str(cache))[0] for command in folders]
    cache.unlink()
    saved = summary(other)["saved_usd"]
    code, _, err = other.run()
    assert (0, True) == (code, "4 rows: 4 done, nothing to send" in err)
    assert 3 == one.sim.stats()["received"]
    assert saved == summary(other)["saved_usd"]


def test_what_was_saved_is_told_by_later_runs_too(folders: tuple[Command, Command], tmp_path: Path) -> None:
    """A row that comes later and finds a picture which an earlier run took from the cache saved what that cost."""
    one, other = folders
    cache = ("--cache", str(tmp_path / "pictures.sqlite"))
    assert [0, 0] == [command.run(*cache)[0] for command in folders]
    before = Decimal(str(summary(other)["saved_usd"]))
    price = Decimal(str(summary(one)["cost_usd"])) / 3
    assert 4 * price == before
    other.rows(*ROWS, {"id": "late", "prompt": "kettle 1"})
    assert 0 == other.run(*cache)[0]
    assert 5 * price == Decimal(str(summary(other)["saved_usd"]))
    other.rows(*ROWS, {"id": "late", "prompt": "kettle 1"}, {"id": "both", "prompt": "kettle 2", "n": 2})
    assert 0 == other.run()[0]
    assert (4, 6 * price) == (one.sim.stats()["received"], Decimal(str(summary(other)["saved_usd"])))


def test_a_row_says_what_keeps_the_promise_of_its_seed(folders: tuple[Command, Command], tmp_path: Path) -> None:
    """The stored copy where the model knows no seed, in whatever folder; null where none was asked for."""
    one, other = folders
    for command in folders:
        command.rows({"id": "seeded", "prompt": "a kettle", "seed": 7}, {"id": "plain", "prompt": "a kettle"})
        assert 0 == command.run("--cache", str(tmp_path / "pictures.sqlite"))[0]
        assert {"seeded": "stored", "plain": None} == {line["id"]: line["reproducible"] for line in results(command)}
    assert 2 == one.sim.stats()["received"]
    other.rows({"id": "seeded", "prompt": "a kettle", "seed": 7}, {"id": "late", "prompt": "a kettle", "seed": 7})
    assert 0 == other.run()[0]
    assert ["stored"] * 2 == [line["reproducible"] for line in results(other)]


def test_pictures_of_the_folder_itself_come_first(folders: tuple[Command, Command], tmp_path: Path) -> None:
    """A folder that was filled without the cache buys nothing with it, and gives only new pictures to it."""
    one, _ = folders
    assert 0 == one.run()[0]
    one.rows(*ROWS, {"id": "repeated", "prompt": "kettle 0"}, {"id": "new", "prompt": "a lamp"})
    assert 0 == one.run("--cache", str(tmp_path / "pictures.sqlite"))[0]
    assert 4 == one.sim.stats()["received"]
    with SqliteStore(tmp_path / "pictures.sqlite") as store:
        assert 1 == len(list(store.entries()))


def test_a_fault_is_told_once_and_names_its_place_once() -> None:
    """Whoever says it may have put the place before it."""
    listening = Listening()
    hearing = Hearing(listening)
    for message in ("store: it is out of reach", "it is out of reach"):
        hearing.noticed(Warned("store", message))
    assert ["store: it is out of reach"] == listening.told


def test_another_folder_is_a_store_that_is_only_read(folders: tuple[Command, Command]) -> None:
    """`--cache` takes the folder of a batch: what it has costs nothing, what is new stays out of it."""
    one, other = folders
    assert 0 == one.run()[0]
    before = sorted(one.out.rglob("*"))
    other.rows(*ROWS, {"id": "new", "prompt": "a lamp"})
    code, _, err = other.run("--cache", str(one.out))
    assert (0, 4) == (code, one.sim.stats()["received"])
    assert "warning" not in err
    assert [True] * 4 + [False] == [line["cached"] for line in results(other)]
    assert before == sorted(one.out.rglob("*"))


def test_two_at_once_buy_each_picture_once(folders: tuple[Command, Command], tmp_path: Path) -> None:
    """While one makes a picture the other waits for it and takes it from the cache."""
    processes = [command.start("--cache", str(tmp_path / "pictures.sqlite")) for command in folders]
    ends = [wait(process) for process in processes]
    assert [0, 0] == [code for code, _, _ in ends], ends
    assert 3 == folders[0].sim.stats()["received"]
    assert bytes_of(folders[0]) == bytes_of(folders[1])


def test_a_damaged_picture_is_bought_again(folders: tuple[Command, Command], tmp_path: Path) -> None:
    """A cache may cost a picture and never a row: whoever runs it is told."""
    one, other = folders
    cache = tmp_path / "pictures.sqlite"
    assert 0 == one.run("--cache", str(cache))[0]
    beside = [path for path in (tmp_path / "pictures.sqlite-files").rglob("*") if path.is_file()]
    if beside:  # where large pictures are
        beside[0].write_bytes(b"\0" + beside[0].read_bytes()[1:])
    else:
        with closing(sqlite3.connect(cache)) as db, db:
            db.execute("UPDATE bytes SET data = CAST(x'00' || substr(data, 2) AS BLOB) WHERE id = 1")
    code, _, err = other.run("--cache", str(cache))
    assert (0, 4) == (code, one.sim.stats()["received"])
    assert "a picture was dropped: its bytes have changed" in err
    assert {"completed"} == {line["status"] for line in results(other)}


def test_a_cache_that_cannot_be_used_is_told_before_anything_is_bought(
    folders: tuple[Command, Command], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever way it was named: by flag, environment or file, in this order."""
    one, _ = folders
    wrong = tmp_path / "wrong.sqlite"
    wrong.write_bytes(b"no database of anybody's" * 1000)
    code, _, err = one.run("--cache", str(wrong))
    assert (2, True) == (code, "--cache" in err and "is damaged" in err)
    monkeypatch.setenv("PENSTOCK_CACHE", str(wrong))
    code, _, err = one.run()
    assert (2, True) == (code, "PENSTOCK_CACHE" in err)
    assert 0 == one.sim.stats()["received"]
    (tmp_path / "options.toml").write_text(f'cache = "{wrong}"\n')
    monkeypatch.setenv("PENSTOCK_CACHE", str(tmp_path / "right.sqlite"))
    assert 0 == one.run("--config", str(tmp_path / "options.toml"))[0]
    assert (tmp_path / "right.sqlite").exists()


def test_a_cache_may_be_a_folder_or_a_server(folders: tuple[Command, Command], tmp_path: Path) -> None:
    """Files of an earlier store are used; a server that is not there is told, without its password."""
    one, other = folders
    with FilesStore(tmp_path / "files") as store:
        assert 0 == store.figures().entries
    assert [0, 0] == [command.run("--cache", str(tmp_path / "files"))[0] for command in folders]
    assert 3 == one.sim.stats()["received"]
    code, _, err = other.run("--cache", "redis://:s3cr3t@127.0.0.1:1/0")
    assert (2, True, False) == (code, "--cache" in err and "127.0.0.1:1" in err, "s3cr3t" in err)
    code, _, err = other.run("--cache", "redis:/:s3cr3t@127.0.0.1/0")
    assert (2, True, False) == (code, "redis: takes two slashes" in err, "s3cr3t" in err)
    code, _, err = other.run("--cache", "gopher://somewhere")
    assert (2, True) == (code, "gopher:// is no store" in err)


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_of_files_is_made(folders: tuple[Command, Command], tmp_path: Path, there: bool) -> None:
    """An empty folder is one, and so is a name that ends in a slash; a folder with something else in it is none."""
    one, other = folders
    if there:
        (tmp_path / "files").mkdir()
    assert 0 == one.run("--cache", f"{tmp_path / 'files'}/")[0]
    assert 0 == other.run("--cache", str(tmp_path / "files"))[0]
    assert 3 == one.sim.stats()["received"]
    with FilesStore(tmp_path / "files") as store:
        assert 3 == store.figures().entries
    code, _, err = other.run("--cache", str(tmp_path))
    assert (2, True) == (code, "so it is no store" in err)


def test_a_plan_counts_what_the_cache_holds(folders: tuple[Command, Command], tmp_path: Path) -> None:
    """Rows that find all their pictures there are not sent, cost nothing, and do not count for --limit."""
    one, other = folders
    cache = ("--cache", str(tmp_path / "pictures.sqlite"))
    assert 0 == one.run(*cache)[0]
    other.rows(*ROWS, {"id": "new", "prompt": "a lamp"}, {"id": "more", "prompt": "kettle 0", "n": 2})
    told = {
        with_it: json.loads(other.run(*more, "--dry-run", "--json")[1])
        for with_it, more in ((True, cache), (False, ()))
    }
    assert [(4, 4, 2, 2), (0, 0, 6, 5)] == [
        tuple(told[with_it][name] for name in ("cached", "stored", "send", "pictures")) for with_it in (True, False)
    ]
    assert 0.399 < float(told[True]["bound_usd"]) / float(told[False]["bound_usd"]) < 0.401  # two pictures of five
    assert told[True]["seconds"] <= told[False]["seconds"]
    assert "6 rows: 4 in the store that other folders share (--cache), 2 to send" in other.run(*cache, "--dry-run")[1]
    budget = ("--budget", str(Decimal(told[True]["bound_usd"])))
    assert 2 == json.loads(other.run(*cache, *budget, "--dry-run", "--json")[1])["budget_rows_least"]
    assert 0 == other.run(*cache, "--limit", "1")[0]
    assert {"new": "completed", "more": "pending"} == {str(line["id"]): line["status"] for line in results(other)[4:]}
    assert ["completed"] * 4 == [line["status"] for line in results(other)[:4]]


@pytest.mark.parametrize("given", ["file", "pipe"])
def test_rows_in_doubt_are_served_before_anything_is_tried_again(
    folders: tuple[Command, Command], tmp_path: Path, given: str
) -> None:
    """A read of the store is no attempt: whatever --on-ambiguous says, what another folder bought settles the doubt."""
    one, other = folders
    for command in folders:
        command.rows(*({"id": f"row-{number}", "prompt": f"kettle {number}"} for number in range(6)))
    one.sim.hold()
    process = one.start("--max-concurrency", "6")
    one.out_with(6, process)
    process.kill()
    wait(process)
    one.sim.release()
    cache = ("--cache", str(tmp_path / "pictures.sqlite"))
    assert 0 == other.run(*cache)[0]
    assert 12 == one.sim.stats()["received"]
    told = one.run(*cache, "--dry-run")[1]
    assert "6 rows: 6 in the store that other folders share (--cache)\n" in told
    words = [*PENSTOCK, *one.words(*cache, "--on-ambiguous", "skip", given="-" if given == "pipe" else None)]
    ended = subprocess.run(words, input=one.input.read_bytes(), capture_output=True, check=False, timeout=LONG)
    assert (0, (6, 0, 0)) == (ended.returncode, one.counts()), ended.stderr
    assert 12 == one.sim.stats()["received"]


def test_a_cache_that_cannot_say_what_it_has_is_told(folders: tuple[Command, Command], tmp_path: Path) -> None:
    """What it would have spared is planned for as to be bought."""
    one, other = folders
    cache = tmp_path / "pictures.sqlite"
    assert 0 == one.run("--cache", str(cache))[0]
    with closing(sqlite3.connect(cache)) as db, db:
        db.execute("DROP TABLE pictures")
    code, out, err = other.run("--cache", str(cache), "--dry-run", "--json")
    assert (0, 4, 0) == (code, json.loads(out)["send"], json.loads(out)["stored"])
    assert "the plan counts no pictures of --cache: " in err


def test_a_dry_run_makes_no_cache(folders: tuple[Command, Command], tmp_path: Path) -> None:
    """It says what would be done, and does nothing."""
    assert 0 == folders[0].run("--cache", str(tmp_path / "pictures.sqlite"), "--dry-run")[0]
    assert not (tmp_path / "pictures.sqlite").exists()
