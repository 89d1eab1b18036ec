"""Rows that come while the batch runs: sent as they come, bad ones alone fail, and an idle input stops nobody."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from threading import Event, Thread

import pytest
from attrs import evolve

from penstock.config import Limits
from penstock_io.batch.rows import Defaults
from penstock_io.batch.run import Exit
from penstock_io.batch.settings import Choices
from penstock_io.simserver import SimServer, serving
from tests.batching import DEFAULTS, FAST, LONG, Folder, folder_for, meanwhile
from tests.clocks import Ahead


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A fast provider without limits."""
    with serving(FAST) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, sim: SimServer) -> Folder:
    """An empty folder."""
    return folder_for(tmp_path / "out", sim)


def row(text: str, **more: object) -> bytes:
    """A line of the input."""
    return json.dumps({"prompt": text, **more}).encode()


def given(*lines: bytes) -> Iterator[bytes]:
    """An input of these lines."""
    return iter(lines)


@contextmanager
def written(*parts: bytes, until: Event | None = None) -> Generator[FileIO]:
    """A pipe into which somebody writes these parts, with pauses, and then leaves: at once, or once `until` is set."""
    reading, writing = os.pipe()

    def write() -> None:
        for part in parts:
            os.write(writing, part)
            time.sleep(0.05)
        if until is not None:
            until.wait(LONG)
        os.close(writing)

    writer = Thread(target=write)
    writer.start()
    with FileIO(reading) as file:
        try:
            yield file
        finally:
            if until is not None:
                until.set()
            writer.join()


def test_rows_are_sent_as_they_come(folder: Folder, sim: SimServer) -> None:
    """The first is made while the writer still thinks about the second, whose line comes in pieces."""
    done = Event()
    first, second = row("a", id="first") + b"\n", row("b", id="second")

    def watch() -> None:
        assert sim.wait(lambda stats: stats["executed"] == 1)
        done.set()

    with meanwhile(watch), written(first, second[:9], until=done) as file:
        ended = folder.stream(file)
    assert Exit.SOME == ended.code  # what was left of the second line is no JSON
    assert ["completed", "invalid"] == folder.statuses()
    with written(first, second[:9], second[9:]) as file:
        assert Exit.ALL == folder.stream(file).code
    assert [["images/first.png"], ["images/second.png"]] == [line["files"] for line in folder.lines()]
    assert 2 == sim.stats()["executed"]


def test_a_bad_row_fails_alone(folder: Folder) -> None:
    """It is told at once, recorded as invalid in its place, and the run ends with 1."""
    lines = given(row("a"), b"{", b"", row("b", quality="enormous"), row("c", n="x"), row("d"))
    ended = folder.stream(lines)
    assert Exit.SOME == ended.code
    assert ["completed", "invalid", "invalid", "invalid", "completed"] == folder.statuses()
    assert [0, 1, 2, 3, 4] == [line["index"] for line in folder.lines()]
    assert any(text.startswith("-:2: not JSON") for text in folder.told)
    assert any(text.startswith("-:4: quality: ") for text in folder.told)
    assert any(text.startswith("-:5: n: ") for text in folder.told)


def test_bad_rows_neither_use_up_nor_hide_the_failures_that_are_bearable(folder: Folder, sim: SimServer) -> None:
    """Rows that were never sent do not count, and the halt comes with the second one that failed."""
    folder.settings = evolve(folder.settings, limits=Limits(concurrency=1))
    bad = [b"{"] * 2
    lines = given(row("forbidden a"), *bad, row("forbidden b"), *(row(f"kettle {n}") for n in range(40)))
    ended = folder.stream(lines, max_failures=2)
    assert Exit.HALTED == ended.code
    assert "2 rows did not succeed" in ended.message
    assert sim.stats()["executed"] < 40


def test_the_total_is_known_once_the_input_ended(folder: Folder) -> None:
    """Not before; then all rows count, bad ones as well."""
    folder.stream(given(row("a"), b"[]", row("b")))
    assert folder.listener.figures[0].total is None
    last = folder.listener.figures[-1]
    assert (3, 3, 0, 1) == (last.total, last.done, last.failed, last.invalid)


def test_the_same_rows_again_buy_nothing(folder: Folder, sim: SimServer) -> None:
    """Also in another order and with others in between."""
    texts = ["a", "b", "c", "a"]
    assert Exit.ALL == folder.stream(given(*map(row, texts))).code
    assert 3 == sim.stats()["executed"]
    assert Exit.ALL == folder.stream(given(*map(row, ["c", "new", "b", "a", "a"]))).code
    assert 4 == sim.stats()["executed"]
    assert ["completed"] * 5 == folder.statuses()


def test_pictures_of_before_are_not_made_again_unasked(folder: Folder, sim: SimServer) -> None:
    """A row whose picture the folder has otherwise is invalid and says so, until that is wished for."""
    high = Defaults("gpt-image-2", "1024x1024", "medium")
    folder.stream(given(row("a"), row("b")))
    ended = folder.stream(given(row("a"), row("c")), defaults=high)
    assert Exit.SOME == ended.code
    assert ["invalid", "completed"] == folder.statuses()
    assert any("quality low -> medium" in text and "--yes" in text for text in folder.told)
    assert Exit.ALL == folder.stream(given(row("a"), row("c")), defaults=high, regenerate=True).code
    assert ["medium", "medium"] == [line["quality"] for line in folder.lines()]
    assert 4 == sim.stats()["executed"]
    assert Exit.ALL == folder.stream(given(row("a")), defaults=DEFAULTS, regenerate=True).code
    assert 4 == sim.stats()["executed"]


def test_a_limit_ends_the_reading(folder: Folder, sim: SimServer) -> None:
    """An endless input is no trouble then; what is done already does not count."""

    def endless() -> Iterator[bytes]:
        number = 0
        while True:
            yield row(f"kettle {number}")
            number += 1

    assert Exit.ALL == folder.stream(endless(), choices=Choices(limit=5)).code
    assert ["completed"] * 5 == folder.statuses()
    assert Exit.ALL == folder.stream(endless(), choices=Choices(limit=2)).code
    assert 7 == sim.stats()["executed"]


def test_a_deadline_does_not_wait_for_an_idle_input(folder: Folder, clock: Ahead) -> None:
    """What came is done, nobody knows of the rest: exit 4, and the writer may go on with the same command."""

    def pass_time() -> None:
        folder.listener.wait_figures(lambda one: one.done == 1)
        clock.pass_time(300.0)

    with meanwhile(pass_time), written(row("a") + b"\n", until=Event()) as file:
        ended = folder.stream(file, deadline=300.0)
    assert Exit.HALTED == ended.code
    assert "the deadline of 300 s is over" in ended.message
    assert ["completed"] == folder.statuses()


@pytest.mark.skipif(sys.platform == "win32", reason="signals as Unix has them")
def test_an_interrupt_does_not_wait_for_an_idle_input(folder: Folder, sim: SimServer) -> None:
    """Nobody has to write another line before Ctrl-C is heard."""

    def send() -> None:
        assert sim.wait(lambda stats: stats["executed"] == 1)
        os.kill(os.getpid(), signal.SIGINT)

    with meanwhile(send), written(row("a") + b"\n", until=Event()) as file:
        ended = folder.stream(file)
    assert (Exit.INTERRUPTED, ["completed"]) == (ended.code, folder.statuses())


def test_an_input_without_rows_is_a_mistake(folder: Folder) -> None:
    """As an empty file is."""
    ended = folder.stream(given(b"", b"  "))
    assert (Exit.USAGE, "-: there is no row in it.") == (ended.code, ended.message)


def test_an_input_that_breaks_off_halts(folder: Folder) -> None:
    """What came before is done, the message says why, exit 4."""

    def broken() -> Iterator[bytes]:
        yield row("a")
        raise OSError(5, "Input/output error")

    ended = folder.stream(broken())
    assert (Exit.HALTED, ["completed"]) == (ended.code, folder.statuses())
    assert "the input could not be read to its end (Input/output error)" in ended.message


def test_rows_wait_for_the_run_not_in_memory(folder: Folder, sim: SimServer) -> None:
    """A writer who is faster than the provider is read only as far as rows can be sent."""
    read: list[int] = []

    def eager(rows: Sequence[int]) -> Iterator[bytes]:
        for number in rows:
            read.append(number)
            yield row(f"kettle {number}")

    sim.call(lambda server: server.revoke("key-a"))
    ended = folder.stream(eager(range(5_000)))
    assert Exit.HALTED == ended.code
    assert len(read) < 1_000
    assert {"pending"} == set(folder.statuses())


def test_a_slow_provider_gets_rows_all_the_time(folder: Folder, sim: SimServer) -> None:
    """Requests are out together although lines come one by one."""

    def answer() -> None:
        assert sim.wait(lambda stats: stats["in_flight"] == 30)
        sim.release()

    sim.hold()
    with meanwhile(answer):
        assert Exit.ALL == folder.stream(given(*(row(f"kettle {n}") for n in range(30)))).code
    assert (30, 30) == (sim.stats()["peak"], sim.stats()["executed"])
