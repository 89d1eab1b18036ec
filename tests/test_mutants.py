"""The seeded bugs are where they should be, and the tests notice them (a few a day here; a command tries them all)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.mutants.run import NONE, Mutant, load, probed, trial

SEEDED = load()
MUTANTS = [mutant for mutants in SEEDED.values() for mutant in mutants]
TODAY = datetime.now(UTC).toordinal()
FEW = 3
TODAYS = [
    *(SEEDED["engine"][(TODAY * FEW + step) % len(SEEDED["engine"])] for step in range(FEW)),
    *(SEEDED[of][TODAY % len(SEEDED[of])] for of in ("stores", "wire")),
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_its_place_is_there(mutant: Mutant) -> None:
    """Every patch still applies, exactly once, and changes something."""
    assert mutant.place().suffix == ".py"
    assert mutant.old != mutant.new


def test_names_are_unique() -> None:
    """A name names one bug."""
    assert len(MUTANTS) == len({mutant.name for mutant in MUTANTS})


@pytest.mark.parametrize(
    ("of", "said"),
    [
        ("engine", r"(\d+) bugs are seeded"),
        ("stores", r"(\d+) seeded bugs of stores"),
        ("wire", r"(\d+) seeded bugs of the wire"),
    ],
)
def test_the_page_of_proofs_says_how_many_there_are(of: str, said: str) -> None:
    """A reader may believe its figures."""
    page = (Path(__file__).parent.parent / "docs" / "proofs.md").read_text("utf-8")
    assert [f"{len(SEEDED[of])}"] == re.findall(said, page)


def test_every_line_is_attacked() -> None:
    """At least one bug for each of the twelve lines, and one for each way a reservation ends; thirty in all."""
    engine = SEEDED["engine"]
    lines = {int(found[1]) for mutant in engine if (found := re.match(r"line (\d+)$", mutant.breaks))}
    assert set(range(1, 13)) == lines
    rows = {mutant.breaks for mutant in engine if not mutant.breaks.startswith("line")}
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
    assert len(engine) >= 30


@pytest.mark.parametrize(
    ("begins", "least"),
    [
        ("penstock_io/_fetching", 5),
        ("penstock_io/_receive", 2),
        ("penstock_io/_addresses", 3),
        ("penstock/wire/edits", 3),
        ("penstock/wire/multipart", 2),
        ("penstock/wire/embeddings", 2),
        ("penstock/wire/streams", 3),
        ("penstock/wire/chat_stream", 2),
        ("penstock/wire/sse", 3),
    ],
)
def test_downloads_edits_endpoints_and_streams_are_attacked(begins: str, least: int) -> None:
    """Each of them by several bugs."""
    assert len([mutant for mutant in SEEDED["wire"] if mutant.file.startswith(begins)]) >= least


def test_without_a_bug_nothing_is_noticed() -> None:
    """The histories pass on a copy of the core that was not patched."""
    assert not probed(NONE)


@pytest.mark.parametrize("mutant", TODAYS, ids=["engine 1", "engine 2", "engine 3", "stores", "wire"])
def test_a_few_are_noticed(mutant: Mutant) -> None:
    """Others every day are seeded, and what must notice them fails."""
    assert trial(mutant)
