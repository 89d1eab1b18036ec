"""Ctrl-C and requests to end: what is out is paid and awaited, a second one breaks it off, the same command goes on."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from penstock.config import Limits
from penstock.work import OnAmbiguous
from penstock_io.batch.progress import Figures, Level
from penstock_io.batch.run import Exit
from penstock_io.batch.settings import Choices
from penstock_io.simserver import SimServer, serving
from tests.batching import FAST, Folder, Listening, folder_for, meanwhile, table
from tests.clocks import Ahead

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals as Unix has them")

RETRY = Choices(on_ambiguous=OnAmbiguous.RETRY)


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A provider without limits."""
    with serving(FAST) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, sim: SimServer) -> Folder:
    """An empty folder, and four requests at a time."""
    made = folder_for(tmp_path / "out", sim)
    made.concurrency = 4
    return made


@contextmanager
def signalling(folder: Folder, sim: SimServer, *numbers: int, stalled: bool = False) -> Generator[None]:
    """Send signals to this very process: the first with four requests out, each other one once that was heard.

    The replies come after them; none comes to requests that are `stalled`.
    """

    def send() -> None:
        assert sim.wait(lambda stats: (stats["received"] if stalled else stats["in_flight"]) >= 4)
        for count, number in enumerate(numbers, 1):
            os.kill(os.getpid(), number)
            folder.listener.wait("interrupted", count)
        sim.release()

    if not stalled:
        sim.hold()
    with meanwhile(send):
        yield


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_awaits_what_is_paid(folder: Folder, sim: SimServer, number: int) -> None:
    """Nothing new is sent, what is out arrives and its number is told, exit 130; the same command does the rest."""
    with signalling(folder, sim, number):
        ended = folder.run(table(12))
    assert (Exit.INTERRUPTED, "interrupted. The same command goes on from here.") == (ended.code, ended.message)
    assert any(text.startswith("interrupted: nothing new is sent; waiting for 4 requests") for text in folder.told)
    assert 4 == sim.stats()["executed"]
    assert ["completed"] * 4 + ["pending"] * 8 == folder.statuses()
    assert Exit.ALL == folder.run(table(12)).code
    assert 12 == sim.stats()["executed"]


def test_how_long_it_takes_is_said_once_it_is_known(folder: Folder, sim: SimServer, clock: Ahead) -> None:
    """From what requests took so far: the first two took a minute, and the next two are awaited for as long."""
    folder.concurrency = 2

    def send() -> None:
        assert sim.wait(lambda stats: stats["in_flight"] == 2)
        clock.pass_time(60.0)
        sim.release(2)
        folder.listener.wait_figures(lambda one: one.done == 2)
        assert sim.wait(lambda stats: stats["received"] == 4)
        os.kill(os.getpid(), signal.SIGINT)
        folder.listener.wait("interrupted", 1)
        sim.release()

    sim.hold()
    with meanwhile(send):
        folder.run(table(12))
    (told,) = [text for text in folder.told if text.startswith("interrupted: ")]
    assert re.search(r"that are out, about [1-9][0-9]+ s, because they may be paid", told)


class Ordered(Listening):
    """Remembers of each line which figures were the newest when it came."""

    def __init__(self) -> None:
        super().__init__()
        self.newest: dict[str, Figures] = {}

    def tell(self, text: str, level: Level = Level.NOTE) -> None:
        """A line."""
        self.newest[text] = self.figures[-1] if self.figures else Figures()
        super().tell(text, level)


def test_who_stops_says_so_and_promises_nothing(folder: Folder, sim: SimServer) -> None:
    """From the line of the interruption on, until it is over, whatever the limits promised before."""
    folder.listener = heard = Ordered()
    folder.limits = Limits(ipm=60, burst=8 / 60)
    sim.call(lambda server: server.inject(*["stall"] * 4))
    with signalling(folder, sim, signal.SIGINT, signal.SIGINT, stalled=True):
        folder.run(table(120))
    (newest,) = [one for text, one in heard.newest.items() if text.startswith("interrupted: ")]
    assert (True, None) == (newest.stopping, newest.eta)
    place = heard.figures.index(newest)
    before, after = heard.figures[:place], heard.figures[place:]
    assert any(one.eta for one in before)
    assert [False] * len(before) == [one.stopping for one in before]
    assert [True] * (len(after) - 2) + [False] * 2 == [one.stopping for one in after]  # the results, too
    assert {None} == {one.eta for one in after}


def test_one_request_that_is_out_is_one(folder: Folder, sim: SimServer) -> None:
    """What is said of it is said in the singular, with the time that a reply usually takes before any has come."""
    folder.concurrency = 1

    def send() -> None:
        assert sim.wait(lambda stats: stats["in_flight"] == 1)
        os.kill(os.getpid(), signal.SIGINT)
        folder.listener.wait("interrupted", 1)
        sim.release()

    sim.hold()
    with meanwhile(send):
        folder.run(table(3))
    (told,) = [text for text in folder.told if text.startswith("interrupted: ")]
    words = "waiting for 1 request that is out, about 20 s, because it may be paid (interrupt again to break it off)"
    assert told.endswith(words)


def test_a_second_interrupt_breaks_off(folder: Folder, sim: SimServer) -> None:
    """What was out becomes ambiguous and is booked with its bound; with `retry` the same command completes all."""
    sim.call(lambda server: server.inject(*["stall"] * 4))
    with signalling(folder, sim, signal.SIGINT, signal.SIGINT, stalled=True):
        ended = folder.run(table(12))
    assert Exit.INTERRUPTED == ended.code
    assert "interrupted again: what was out is broken off; its rows are ambiguous" in folder.told
    assert ["ambiguous"] * 4 + ["pending"] * 8 == folder.statuses()
    assert ended.summary is not None
    assert sim.stats()["billed"] <= ended.summary.maybe
    last = folder.listener.figures[-1]
    assert (0, 4, 4, ended.summary.maybe) == (last.in_flight, last.ambiguous, last.done, last.maybe)
    assert [] == [one for one in folder.listener.figures if one.eta is not None]
    assert Exit.ALL == folder.run(table(12), choices=RETRY).code
    assert ["completed"] * 12 == folder.statuses()


def test_handlers_are_given_back(folder: Folder, sim: SimServer) -> None:
    """After a run signals do what they did before it."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with signalling(folder, sim, signal.SIGINT):
        folder.run(table(6))
    assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
