"""While a run is on: rows in finishing order, and pictures that are converted as they come."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve

from penstock.ids import Key
from penstock_io.batch.progress import Level
from penstock_io.batch.results import Line
from penstock_io.batch.run import Exit
from penstock_io.batch.settings import Conversion
from penstock_io.batch.shaping import Shaper
from penstock_io.journal import Journal
from penstock_io.simserver import SimServer, serving
from tests.batching import FAST, Folder, Listening, folder_for, table

JPEG = Conversion(longest=64, format="jpeg", quality=80)


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A fast provider without limits."""
    with serving(FAST) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, sim: SimServer) -> Folder:
    """An empty folder."""
    return folder_for(tmp_path / "out", sim)


def test_rows_are_told_in_finishing_order_while_the_run_goes_on(tmp_path: Path) -> None:
    """Each in a whole line, as results.jsonl will say it; then that stands and the other is gone."""
    part = tmp_path / "out" / "results.part.jsonl"
    seen: list[str] = []

    class Reading(Listening):
        def tell(self, text: str, level: Level = Level.NOTE) -> None:
            """A row ended: look what is told of those before."""
            super().tell(text, level)
            if part.exists():
                seen[:] = part.read_text("utf-8").splitlines(keepends=True)

    with serving(FAST) as sim:
        folder = folder_for(tmp_path / "out", sim)
        folder.listener = Reading()
        folder.run(table(6))
    assert not part.exists()
    assert 4 <= len(seen)
    assert all(line.endswith("\n") for line in seen)
    early = {line["id"]: line for line in map(json.loads, seen)}
    for line in folder.lines():
        assert early.get(line["id"], line) == line


def converted(folder: Folder) -> list[bytes]:
    """The heads of the pictures that results.jsonl names."""
    return [(folder.path / name).read_bytes()[:3] for line in folder.lines() for name in line["files"]]


def test_pictures_are_converted_and_the_originals_kept(folder: Folder, sim: SimServer) -> None:
    """Results name the converted ones; the same command again does nothing, another conversion buys nothing."""
    assert Exit.ALL == folder.run(table(12), conversion=JPEG).code
    assert [[f"images/row{n}.jpg"] for n in range(12)] == [line["files"] for line in folder.lines()]
    assert [b"\xff\xd8\xff"] * 12 == converted(folder)
    assert {f"row{n}.png" for n in range(12)} == {p.name for p in (folder.path / "originals").glob("*.png")}
    before = folder.lines()
    assert Exit.ALL == folder.run(table(12), conversion=JPEG).code
    assert before == folder.lines()
    assert Exit.ALL == folder.run(table(12), conversion=Conversion(format="webp")).code
    assert [b"RIF"] * 12 == converted(folder)
    assert 12 == sim.stats()["received"]


def test_results_go_on_naming_what_was_converted(folder: Folder) -> None:
    """Also by a run that converts nothing."""
    folder.run(table(3), conversion=JPEG)
    before = folder.lines()
    assert Exit.ALL == folder.run(table(3)).code
    assert before == folder.lines()


def test_what_was_not_converted_is_converted_later(folder: Folder, sim: SimServer) -> None:
    """Pictures of an earlier run without it are converted by one with it, and nothing is bought."""
    folder.run(table(5))
    assert Exit.ALL == folder.run(table(6), conversion=JPEG).code
    assert [b"\xff\xd8\xff"] * 6 == converted(folder)
    assert 6 == sim.stats()["received"]


def test_an_interrupted_run_names_what_was_converted(folder: Folder) -> None:
    """What is converted is named so, and what is not stays as it is for the next run."""
    folder.run(table(1), conversion=JPEG)
    folder.run(table(2))
    lines = [Line("row0", 0, "completed", ("originals/row0.png",)), Line("row1", 1, "completed", ("images/row1.png",))]
    with Journal.open(folder.path) as journal:
        shaper = Shaper(evolve(folder.settings, conversion=JPEG), journal, folder.listener)
        told = shaper.finish(lines, lambda: True)
    assert [("images/row0.jpg",), ("images/row1.png",)] == [line.files for line in told]


def test_shared_pictures_are_converted_one_by_one(folder: Folder, sim: SimServer) -> None:
    """Rows of one prompt share what was paid while it moves: each has its own converted file, and no file is missed."""
    folder.concurrency = 3
    rows = table([f"kettle {n % 7}" for n in range(60)])
    assert Exit.ALL == folder.run(rows, conversion=JPEG).code
    assert [b"\xff\xd8\xff"] * 60 == converted(folder)
    assert 7 == sim.stats()["executed"]


def test_an_original_that_cannot_be_kept_halts(folder: Folder, sim: SimServer) -> None:
    """The disk's word is one for people, and with it mended the same command converts what is left."""
    folder.path.mkdir()
    (folder.path / "originals").write_text("in the way")
    ended = folder.run(table(4), conversion=JPEG)
    assert Exit.HALTED == ended.code
    assert "another of another kind is in its place" in ended.message
    (folder.path / "originals").unlink()
    assert Exit.ALL == folder.run(table(4), conversion=JPEG).code
    assert [b"\xff\xd8\xff"] * 4 == converted(folder)
    assert 4 == sim.stats()["executed"]


def test_a_picture_that_others_want_is_not_moved(folder: Folder) -> None:
    """It is converted once nobody is left who may be given it; who comes while it moves waits."""
    folder.run(table(1))
    key = Key(folder.sql("SELECT 0, 0, key FROM pictures")[0][2])
    said: list[tuple[str, ...]] = []
    line = Line("row0", 0, "completed", ("images/row0.png",))

    def hear(line: Line) -> None:
        said.append(line.files)

    async def live(shaper: Shaper) -> None:
        await shaper.want([key])
        await shaper.want([key])
        shaper.shape(line, [key], hear)
        assert [("images/row0.png",)] == said
        shaper.shape(line, [key], hear)
        assert 1 == len(said)
        await shaper.want([key])
        assert [("images/row0.png",), ("images/row0.jpg",)] == said
        await shaper.rest()

    with Journal.open(folder.path) as journal:
        shaper = Shaper(evolve(folder.settings, conversion=JPEG), journal, folder.listener)
        asyncio.run(live(shaper))
        assert shaper.halt is None
        assert [line] == shaper.finish([line], lambda: True)
