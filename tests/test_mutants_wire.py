"""The seeded bugs of the wire are where they should be, and their tests notice them (one a day here)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.mutants.wire import WireMutant, load

MUTANTS = load()
TODAY = datetime.now(UTC).toordinal()


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_its_place_is_there(mutant: WireMutant) -> None:
    """Every patch still applies, exactly once, and changes something."""
    assert 1 == mutant.text().count(mutant.old)
    assert mutant.old != mutant.new


def test_names_are_unique_and_counted() -> None:
    """A name names one bug, and the page of proofs says how many there are."""
    assert len(MUTANTS) == len({mutant.name for mutant in MUTANTS})
    page = (Path(__file__).parent.parent / "docs" / "proofs.md").read_text("utf-8")
    assert [f"{len(MUTANTS)}"] == re.findall(r"(\d+) seeded bugs of the wire", page)


def test_downloads_edits_endpoints_and_streams_are_attacked() -> None:
    """Each of them by several bugs."""
    for begins, least in (
        ("penstock_io/_fetching", 5),
        ("penstock_io/_receive", 2),
        ("penstock_io/_addresses", 3),
        ("penstock/wire/edits", 3),
        ("penstock/wire/multipart", 2),
        ("penstock/wire/embeddings", 2),
        ("penstock/wire/streams", 3),
        ("penstock/wire/chat_stream", 2),
        ("penstock/wire/sse", 3),
    ):
        assert len([mutant for mutant in MUTANTS if mutant.file.startswith(begins)]) >= least, begins


def test_one_is_noticed() -> None:
    """Another one every day is seeded, and its tests fail."""
    assert not MUTANTS[TODAY % len(MUTANTS)].survives()
