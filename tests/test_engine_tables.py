"""The four life tables: as the contract has them, complete as products, every row taken, drawn in the docs."""

from __future__ import annotations

from enum import IntEnum
from importlib.util import module_from_spec, spec_from_file_location
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
from attrs import define

from penstock.engine.tables import (
    ATTEMPT,
    CALL,
    FLIGHT,
    JOB,
    AttemptInput,
    AttemptState,
    CallInput,
    CallState,
    FlightInput,
    FlightState,
    Impossible,
    JobInput,
    JobState,
    Life,
)
from penstock.events import Mode
from tests import test_engine_leases as leases
from tests.histories import test_halting as halting
from tests.histories import test_stages as stages
from tests.histories.generate import history

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penstock.engine.tables import HasState

HISTORIES = 800
DOCS = Path(__file__).parent.parent / "docs"

# The contract's tables, written down again: state, what happened, next. Where they say more than the contract does:
# without a journal PUBLISHING is skipped (COMPLETE and REFUSED lead to DONE); with one a stored picture goes through
# it as well, because it gets its final name there; DEFERRING is left as PUBLISHING is; closing
# gives up what the journal will not take (UNRECORDED); a drain ends a job whose picture screen cannot be asked any
# more (SCREENING, LEFT); a flight that never buys may fail at once (NEW, FAIL); an ABORT leaves FETCHING to its Owed;
# a call whose leases would be over too soon renews them off its line (CLAIMING), where a flight may turn out to be
# stored, or another's to make (WANTED, HIT and BUSY).

JOB_ROWS = """
NEW        REFUSED_AT_ENTRY  DONE
NEW        CHECK             CHECKING
NEW        ASK               ASKING
CHECKING   ASK               ASKING
CHECKING   REFUSED           DONE
CHECKING   LEFT              DONE
CHECKING   ABORTED           DONE
ASKING     HEARD             ASKING
ASKING     NEXT_TARGET       ASKING
ASKING     COMPLETE          DONE
ASKING     TO_SCREENS        SCREENING
ASKING     TO_JOURNAL        PUBLISHING
ASKING     PUT_OFF           DEFERRING
ASKING     NOTHING_THERE     DONE
ASKING     LEFT              DONE
ASKING     DETACHED          ASKING
ASKING     ABORTED           DONE
SCREENING  TO_JOURNAL        PUBLISHING
SCREENING  COMPLETE          DONE
SCREENING  REFUSED           DONE
SCREENING  DETACHED          SCREENING
SCREENING  LEFT              DONE
SCREENING  ABORTED           DONE
PUBLISHING RECORDED          DONE
PUBLISHING RECORD_FAULT      PUBLISHING
PUBLISHING UNRECORDED        DONE
PUBLISHING TOO_LATE_TO_LEAVE PUBLISHING
PUBLISHING LEFT              DONE
PUBLISHING ABORTED           DONE
DEFERRING  RECORDED          DONE
DEFERRING  RECORD_FAULT      DEFERRING
DEFERRING  UNRECORDED        DONE
DEFERRING  TOO_LATE_TO_LEAVE DEFERRING
DEFERRING  LEFT              DONE
DEFERRING  ABORTED           DONE
"""

FLIGHT_ROWS = """
NEW       LOOK      LOOKING
NEW       WANT      WANTED
NEW       FAIL      FAILED
LOOKING   HIT       LANDED
LOOKING   BUSY      LOOKING
LOOKING   EMBED     EMBEDDING
LOOKING   MISS      WANTED
LOOKING   FAIL      FAILED
LOOKING   NOBODY    GONE
EMBEDDING VECTOR    EMBEDDING
EMBEDDING NEAR_HIT  LANDED
EMBEDDING NEAR_MISS WANTED
EMBEDDING FAIL      FAILED
EMBEDDING NOBODY    GONE
WANTED    HIT       LANDED
WANTED    BUSY      LOOKING
WANTED    SETTLED   LANDED
WANTED    FAIL      FAILED
WANTED    NOBODY    GONE
LANDED    HEARD     GONE
FAILED    HEARD     GONE
"""

CALL_ROWS = """
NEW       GATHER  GATHERING
NEW       QUEUE   QUEUED
NEW       CANNOT  ENDED
GATHERING QUEUE   QUEUED
GATHERING NOBODY  ENDED
GATHERING CLOSED  ENDED
QUEUED    BEGIN   RUNNING
QUEUED    CLAIM   CLAIMING
QUEUED    PARK    PARKED
QUEUED    SPLIT   QUEUED
QUEUED    CANNOT  ENDED
QUEUED    NOBODY  ENDED
QUEUED    CLOSED  ENDED
CLAIMING  QUEUE   QUEUED
CLAIMING  NOBODY  ENDED
CLAIMING  CLOSED  ENDED
PARKED    QUEUE   QUEUED
PARKED    CANNOT  ENDED
PARKED    NOBODY  ENDED
PARKED    CLOSED  ENDED
RUNNING   SETTLED ENDED
RUNNING   AGAIN   QUEUED
RUNNING   WAIT    BACKOFF
RUNNING   FAIL    ENDED
RUNNING   HEDGE   RUNNING
RUNNING   SALVAGE RUNNING
RUNNING   NOBODY  ENDED
RUNNING   CLOSED  ENDED
BACKOFF   QUEUE   QUEUED
BACKOFF   NOBODY  ENDED
BACKOFF   CLOSED  ENDED
"""

ATTEMPT_ROWS = """
NEW       INTEND       RECORDING
NEW       SEND         OUT
RECORDING SEND         OUT
RECORDING VOID         ENDED
OUT       OPENED       OUT
OUT       STREAMED     OUT
OUT       TIMEOUT      OUT
OUT       BYTES        SETTLING
OUT       URLS         FETCHING
OUT       SETTLED      ENDED
OUT       JUDGED       ENDED
FETCHING  FETCHED      FETCHING
FETCHING  BYTES        SETTLING
FETCHING  SETTLED      ENDED
FETCHING  ABANDONED    ENDED
SETTLING  RECORDED     ENDED
SETTLING  RECORD_FAULT SETTLING
SETTLING  UNRECORDED   ENDED
"""

Row = tuple[str, str, str]
S = TypeVar("S", bound=IntEnum)
E = TypeVar("E", bound=IntEnum)
Table = dict[tuple[IntEnum, IntEnum], IntEnum]


def plain(table: Mapping[tuple[S, E], S]) -> Table:
    """A table of any states and inputs."""
    return {(state, event): after for (state, event), after in table.items()}


TABLES: dict[str, tuple[Table, type[IntEnum], type[IntEnum], str]] = {
    "job": (plain(JOB), JobState, JobInput, JOB_ROWS),
    "flight": (plain(FLIGHT), FlightState, FlightInput, FLIGHT_ROWS),
    "call": (plain(CALL), CallState, CallInput, CALL_ROWS),
    "attempt": (plain(ATTEMPT), AttemptState, AttemptInput, ATTEMPT_ROWS),
}


@define(eq=False)
class Thing:
    """Something with a life."""

    state: IntEnum


@pytest.mark.parametrize("name", TABLES)
def test_the_table_is_the_contracts(name: str) -> None:
    """Row by row, nothing more and nothing less."""
    table, _, _, rows = TABLES[name]
    expected = {tuple(line.split()) for line in rows.strip().splitlines()}
    assert expected == {(state.name, event.name, after.name) for (state, event), after in table.items()}


@pytest.mark.parametrize("name", TABLES)
def test_every_pair_is_a_row_or_impossible(name: str) -> None:
    """Of all states and inputs a pair either leads where its row says, or raises Impossible and changes nothing."""
    table, states, inputs, _ = TABLES[name]
    for state, event in product(states, inputs):
        life: Life[IntEnum, IntEnum] = Life(table, states, inputs)
        thing = Thing(state)
        if (state, event) in table:
            life.go(thing, event)
            assert table[state, event] is thing.state
            moved = 0 if thing.state is state else 1
            assert (-moved, moved) == (life.counts()[state] * moved, life.counts()[thing.state] * moved)
        else:
            with pytest.raises(Impossible, match=f"{state.name}: {event.name}"):
                life.go(thing, event)
            assert (state, 0) == (thing.state, sum(map(abs, life.counts())))


@pytest.mark.parametrize("name", TABLES)
def test_every_state_is_reached_and_left(name: str) -> None:
    """From NEW every state can be reached, and from each the one end."""
    table, states, _, _ = TABLES[name]
    (end,) = set(table.values()) - {state for state, _ in table}
    start = next(iter(states))
    seen, todo = {start}, [start]
    while todo:
        here = todo.pop()
        new = {after for (state, _), after in table.items() if state is here} - seen
        seen |= new
        todo += new
    assert set(states) == seen
    for state in states:
        assert state is end or any(before is state and after is not state for (before, _), after in table.items())


def test_no_row_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row is taken by a seeded history or a directed scenario."""
    taken: set[Row] = set()
    real = Life.go

    def go(life: Life[IntEnum, IntEnum], thing: HasState[IntEnum], event: IntEnum) -> None:
        before = thing.state
        real(life, thing, event)
        taken.add((type(before).__name__, before.name, event.name))

    monkeypatch.setattr(Life, "go", go)
    for seed in range(HISTORIES):
        history(seed)
    for kind in halting.ENDS:
        halting.test_closing_tries_once_more_and_tells_what_is_unrecorded(kind)
    for mode in Mode:
        halting.test_closing_goes_in_portions(mode, journal=True)
        leases.test_closed_while_it_looks(mode)
    halting.test_closing_with_everything_waiting()
    halting.test_an_abort_while_the_journal_is_down()
    halting.test_a_drain_that_cannot_screen()
    halting.test_an_abort_while_a_picture_is_screened()
    halting.test_an_embedder_that_is_out_when_it_closes()
    stages.test_an_abort_leaves_what_is_owed()
    rows = {(type(state).__name__, state.name, event.name) for t, *_ in TABLES.values() for state, event in t}
    assert set() == rows - taken


def test_the_page_of_design_names_every_state() -> None:
    """In the order of the code, but for NEW, which is before the beginning."""
    page = (DOCS / "design.md").read_text(encoding="utf-8")
    for level, states in (("job", JobState), ("flight", FlightState), ("call", CallState), ("attempt", AttemptState)):
        named: list[str] = [state.name for state in states if state.name != "NEW"]
        assert f"| {level} | {', '.join(named)} |" in page


def test_the_drawing_is_current() -> None:
    """docs/lives.md is what the tables draw."""
    spec = spec_from_file_location("draw_tables", DOCS / "draw_tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.page() == (DOCS / "lives.md").read_text(encoding="utf-8")
