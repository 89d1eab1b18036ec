"""The seeded bugs of the stores are where they should be, and their tests notice them (one a day here)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.mutants.stores import StoreMutant, load

MUTANTS = load()
TODAY = datetime.now(UTC).toordinal()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_its_place_is_there(mutant: StoreMutant) -> None:
    """Every patch still applies, exactly once, and changes something."""
    assert 1 == mutant.places()
    assert mutant.old != mutant.new


def test_names_are_unique_and_counted() -> None:
    """A name names one bug, and the page of proofs says how many there are."""
    assert len(MUTANTS) == len({mutant.name for mutant in MUTANTS})
    page = (Path(__file__).parent.parent / "docs" / "proofs.md").read_text("utf-8")
    assert [f"{len(MUTANTS)}"] == re.findall(r"(\d+) seeded bugs of stores", page)


def test_one_is_noticed() -> None:
    """Another one every day is seeded, and its tests fail."""
    assert not MUTANTS[TODAY % len(MUTANTS)].survives()
