"""The seeded bugs are where they should be, and the tests notice them (a few a day here; a command tries them all)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.mutants.run import NONE, SOURCE, Mutant, load, probed, trial

MUTANTS = load()
TODAY = datetime.now(UTC).toordinal()
FEW = 3


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_its_place_is_there(mutant: Mutant) -> None:
    """Every patch still applies, exactly once, and changes something."""
    assert mutant.place(SOURCE).exists()
    assert mutant.old != mutant.new


def test_names_are_unique() -> None:
    """A name names one bug."""
    assert len(MUTANTS) == len({mutant.name for mutant in MUTANTS})


def test_the_page_of_proofs_says_how_many_there_are() -> None:
    """A reader may believe its figure."""
    page = (Path(__file__).parent.parent / "docs" / "proofs.md").read_text("utf-8")
    assert [f"{len(MUTANTS)}"] == re.findall(r"(\d+) bugs are seeded", page)


def test_every_line_is_attacked() -> None:
    """At least one bug for each of the twelve lines, and one for each way a reservation ends; thirty in all."""
    lines = {int(found[1]) for mutant in MUTANTS if (found := re.match(r"line (\d+)$", mutant.breaks))}
    assert set(range(1, 13)) == lines
    rows = {mutant.breaks for mutant in MUTANTS if not mutant.breaks.startswith("line")}
    for row in (
        "attempt RECORDING, VOID",
        "attempt OUT, JUDGED",
        "attempt OUT, BYTES and URLS",
        "attempt OUT, TIMEOUT",
        "attempt FETCHING, BYTES",
        "attempt FETCHING, ABANDONED",
        "attempt SETTLING, RECORD_FAULT",
        "call QUEUED, BEGIN",
        "call PARKED, NOBODY",
        "call PARKED, QUEUE",
        "call QUEUED, SPLIT",
        "call RUNNING, HEDGE",
        "call RUNNING, SETTLED",
    ):
        assert row in rows
    assert len(MUTANTS) >= 30


def test_without_a_bug_nothing_is_noticed() -> None:
    """The histories pass on a copy of the core that was not patched."""
    assert not probed(NONE)


@pytest.mark.parametrize("step", range(FEW))
def test_a_few_are_noticed(step: int) -> None:
    """Another few every day are seeded, and the histories or the directed tests fail."""
    assert trial(MUTANTS[(TODAY * FEW + step) % len(MUTANTS)])
