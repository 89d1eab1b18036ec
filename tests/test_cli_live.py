"""The live display: what changed is drawn at once where it matters, and what did not change is not drawn again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from attrs import evolve

from penstock_io.cli.console import Console
from penstock_io.cli.live import sentence
from tests.figures import HALFWAY
from tests.terminals import Clock, Terminal


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """A terminal that can all."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("LINES", "24")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = Terminal.open()
    try:
        yield terminal
    finally:
        terminal.raw()


def test_who_stops_says_so() -> None:
    """In the line of progress and in the display, instead of the time to go."""
    stopping = evolve(HALFWAY, stopping=True, eta=None)
    assert "2 ambiguous, stopping, 64 in flight, 118.3 images/min;" in sentence(stopping)
    assert "stopping" not in sentence(HALFWAY)


def test_the_stop_is_drawn_at_once(terminal: Terminal) -> None:
    """However little time passed since the last drawing: no frame promises anything after an interruption."""
    with Console(stream=terminal.stream, clock=Clock()) as console:
        console.update(HALFWAY)
        console.update(evolve(HALFWAY, stopping=True, eta=None))
        console.tell("interrupted")
    raw = terminal.raw()
    assert 1 == raw.count(" left")
    assert raw.index("stopping") > raw.index(" left")


def test_what_looks_the_same_is_not_drawn_again(terminal: Terminal) -> None:
    """A second in which nothing moved costs nothing: times that are rounded to the same are the same."""
    clock = Clock()
    with Console(stream=terminal.stream, clock=clock) as console:
        for step in range(40):
            clock.now += 0.25
            console.update(evolve(HALFWAY, seconds=600.0 + step / 4, eta=1925.0 - step / 100, waiting=""))
            if step == 20:
                console.tell("a note")
    raw = terminal.raw()
    assert 3 == raw.count("1,234/5,000")  # at first, below the note, and at the end
    assert raw.rindex("1,234/5,000") > raw.index("a note")
