"""The four lives as tables: the only place where a state follows another.

A handler decides *what happened* (an input, guards included) and calls `Life.go`; the table says what that leads to. An
input that is not in the table for the state is a fault of the engine itself and raises `Impossible`: tests walk every
pair of state and input, and the histories must have taken every row.

NEW is before the beginning. A job that was given its Finish while paid work was out goes on through the same states
with its `finished` flag set (it is *detached*); GONE flights and DONE jobs are in no table any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Generic, Protocol, TypeVar


class JobState(IntEnum):
    """Where a job is."""

    NEW = 0
    CHECKING = 1
    ASKING = 2
    SCREENING = 3
    PUBLISHING = 4
    DEFERRING = 5
    DONE = 6


class JobInput(IntEnum):
    """What happened to a job."""

    REFUSED_AT_ENTRY = 0
    CHECK = 1
    ASK = 2
    REFUSED = 3
    HEARD = 4
    NEXT_TARGET = 5
    COMPLETE = 6
    TO_SCREENS = 7
    TO_JOURNAL = 8
    PUT_OFF = 9
    NOTHING_THERE = 10
    RECORDED = 11
    RECORD_FAULT = 12
    UNRECORDED = 13
    LEFT = 14
    DETACHED = 15
    TOO_LATE_TO_LEAVE = 16
    ABORTED = 17


_J, _I = JobState, JobInput

JOB: Mapping[tuple[JobState, JobInput], JobState] = {
    (_J.NEW, _I.REFUSED_AT_ENTRY): _J.DONE,
    (_J.NEW, _I.CHECK): _J.CHECKING,
    (_J.NEW, _I.ASK): _J.ASKING,
    (_J.CHECKING, _I.ASK): _J.ASKING,
    (_J.CHECKING, _I.REFUSED): _J.DONE,
    (_J.CHECKING, _I.LEFT): _J.DONE,
    (_J.CHECKING, _I.ABORTED): _J.DONE,
    (_J.ASKING, _I.HEARD): _J.ASKING,
    (_J.ASKING, _I.NEXT_TARGET): _J.ASKING,
    (_J.ASKING, _I.COMPLETE): _J.DONE,
    (_J.ASKING, _I.TO_SCREENS): _J.SCREENING,
    (_J.ASKING, _I.TO_JOURNAL): _J.PUBLISHING,
    (_J.ASKING, _I.PUT_OFF): _J.DEFERRING,
    (_J.ASKING, _I.NOTHING_THERE): _J.DONE,
    (_J.ASKING, _I.LEFT): _J.DONE,
    (_J.ASKING, _I.DETACHED): _J.ASKING,
    (_J.ASKING, _I.ABORTED): _J.DONE,
    (_J.SCREENING, _I.COMPLETE): _J.DONE,
    (_J.SCREENING, _I.REFUSED): _J.DONE,
    (_J.SCREENING, _I.TO_JOURNAL): _J.PUBLISHING,
    (_J.SCREENING, _I.DETACHED): _J.SCREENING,
    (_J.SCREENING, _I.LEFT): _J.DONE,
    (_J.SCREENING, _I.ABORTED): _J.DONE,
    (_J.PUBLISHING, _I.RECORDED): _J.DONE,
    (_J.PUBLISHING, _I.RECORD_FAULT): _J.PUBLISHING,
    (_J.PUBLISHING, _I.UNRECORDED): _J.DONE,
    (_J.PUBLISHING, _I.TOO_LATE_TO_LEAVE): _J.PUBLISHING,
    (_J.PUBLISHING, _I.LEFT): _J.DONE,
    (_J.PUBLISHING, _I.ABORTED): _J.DONE,
    (_J.DEFERRING, _I.RECORDED): _J.DONE,
    (_J.DEFERRING, _I.RECORD_FAULT): _J.DEFERRING,
    (_J.DEFERRING, _I.UNRECORDED): _J.DONE,
    (_J.DEFERRING, _I.TOO_LATE_TO_LEAVE): _J.DEFERRING,
    (_J.DEFERRING, _I.LEFT): _J.DONE,
    (_J.DEFERRING, _I.ABORTED): _J.DONE,
}


class FlightState(IntEnum):
    """Where a flight is."""

    NEW = 0
    LOOKING = 1
    EMBEDDING = 2
    WANTED = 3
    LANDED = 4
    FAILED = 5
    GONE = 6


class FlightInput(IntEnum):
    """What happened to a flight."""

    LOOK = 0
    WANT = 1
    HIT = 2
    BUSY = 3
    MISS = 4
    EMBED = 5
    VECTOR = 6
    NEAR_HIT = 7
    NEAR_MISS = 8
    SETTLED = 9
    FAIL = 10
    NOBODY = 11
    HEARD = 12


_F, _G = FlightState, FlightInput

FLIGHT: Mapping[tuple[FlightState, FlightInput], FlightState] = {
    (_F.NEW, _G.LOOK): _F.LOOKING,
    (_F.NEW, _G.WANT): _F.WANTED,
    (_F.NEW, _G.FAIL): _F.FAILED,
    (_F.LOOKING, _G.HIT): _F.LANDED,
    (_F.LOOKING, _G.BUSY): _F.LOOKING,
    (_F.LOOKING, _G.MISS): _F.WANTED,
    (_F.LOOKING, _G.EMBED): _F.EMBEDDING,
    (_F.LOOKING, _G.FAIL): _F.FAILED,
    (_F.LOOKING, _G.NOBODY): _F.GONE,
    (_F.EMBEDDING, _G.VECTOR): _F.EMBEDDING,
    (_F.EMBEDDING, _G.NEAR_HIT): _F.LANDED,
    (_F.EMBEDDING, _G.NEAR_MISS): _F.WANTED,
    (_F.EMBEDDING, _G.FAIL): _F.FAILED,
    (_F.EMBEDDING, _G.NOBODY): _F.GONE,
    (_F.WANTED, _G.HIT): _F.LANDED,
    (_F.WANTED, _G.BUSY): _F.LOOKING,
    (_F.WANTED, _G.SETTLED): _F.LANDED,
    (_F.WANTED, _G.FAIL): _F.FAILED,
    (_F.WANTED, _G.NOBODY): _F.GONE,
    (_F.LANDED, _G.HEARD): _F.GONE,
    (_F.FAILED, _G.HEARD): _F.GONE,
}


class CallState(IntEnum):
    """Where a call is."""

    NEW = 0
    GATHERING = 1
    QUEUED = 2
    CLAIMING = 3
    PARKED = 4
    RUNNING = 5
    BACKOFF = 6
    ENDED = 7


class CallInput(IntEnum):
    """What happened to a call."""

    GATHER = 0
    QUEUE = 1
    BEGIN = 2
    PARK = 3
    SPLIT = 4
    CANNOT = 5
    HEDGE = 6
    AGAIN = 7
    WAIT = 8
    SETTLED = 9
    FAIL = 10
    NOBODY = 11
    SALVAGE = 12
    CLOSED = 13
    CLAIM = 14


_C, _K = CallState, CallInput

QUEUED = CallState.QUEUED
"""By its own name, as every decision asks for it: that costs CPython 3.11 a tenth of what the enum's member does."""

CALL: Mapping[tuple[CallState, CallInput], CallState] = {
    (_C.NEW, _K.GATHER): _C.GATHERING,
    (_C.NEW, _K.QUEUE): _C.QUEUED,
    (_C.NEW, _K.CANNOT): _C.ENDED,
    (_C.GATHERING, _K.QUEUE): _C.QUEUED,
    (_C.GATHERING, _K.NOBODY): _C.ENDED,
    (_C.GATHERING, _K.CLOSED): _C.ENDED,
    (_C.QUEUED, _K.BEGIN): _C.RUNNING,
    (_C.QUEUED, _K.CLAIM): _C.CLAIMING,
    (_C.QUEUED, _K.PARK): _C.PARKED,
    (_C.QUEUED, _K.SPLIT): _C.QUEUED,
    (_C.QUEUED, _K.CANNOT): _C.ENDED,
    (_C.QUEUED, _K.NOBODY): _C.ENDED,
    (_C.QUEUED, _K.CLOSED): _C.ENDED,
    (_C.CLAIMING, _K.QUEUE): _C.QUEUED,
    (_C.CLAIMING, _K.NOBODY): _C.ENDED,
    (_C.CLAIMING, _K.CLOSED): _C.ENDED,
    (_C.PARKED, _K.QUEUE): _C.QUEUED,
    (_C.PARKED, _K.CANNOT): _C.ENDED,
    (_C.PARKED, _K.NOBODY): _C.ENDED,
    (_C.PARKED, _K.CLOSED): _C.ENDED,
    (_C.RUNNING, _K.HEDGE): _C.RUNNING,
    (_C.RUNNING, _K.AGAIN): _C.QUEUED,
    (_C.RUNNING, _K.WAIT): _C.BACKOFF,
    (_C.RUNNING, _K.SETTLED): _C.ENDED,
    (_C.RUNNING, _K.FAIL): _C.ENDED,
    (_C.RUNNING, _K.SALVAGE): _C.RUNNING,
    (_C.RUNNING, _K.NOBODY): _C.ENDED,
    (_C.RUNNING, _K.CLOSED): _C.ENDED,
    (_C.BACKOFF, _K.QUEUE): _C.QUEUED,
    (_C.BACKOFF, _K.NOBODY): _C.ENDED,
    (_C.BACKOFF, _K.CLOSED): _C.ENDED,
}


class AttemptState(IntEnum):
    """Where an attempt is."""

    NEW = 0
    RECORDING = 1
    OUT = 2
    FETCHING = 3
    SETTLING = 4
    ENDED = 5


class AttemptInput(IntEnum):
    """What happened to an attempt."""

    INTEND = 0
    SEND = 1
    VOID = 2
    OPENED = 3
    STREAMED = 4
    TIMEOUT = 5
    BYTES = 6
    URLS = 7
    FETCHED = 8
    SETTLED = 9
    JUDGED = 10
    RECORDED = 11
    RECORD_FAULT = 12
    UNRECORDED = 13
    ABANDONED = 14


_A, _T = AttemptState, AttemptInput

ATTEMPT: Mapping[tuple[AttemptState, AttemptInput], AttemptState] = {
    (_A.NEW, _T.INTEND): _A.RECORDING,
    (_A.NEW, _T.SEND): _A.OUT,
    (_A.RECORDING, _T.SEND): _A.OUT,
    (_A.RECORDING, _T.VOID): _A.ENDED,
    (_A.OUT, _T.OPENED): _A.OUT,
    (_A.OUT, _T.STREAMED): _A.OUT,
    (_A.OUT, _T.TIMEOUT): _A.OUT,
    (_A.OUT, _T.BYTES): _A.SETTLING,
    (_A.OUT, _T.URLS): _A.FETCHING,
    (_A.OUT, _T.SETTLED): _A.ENDED,
    (_A.OUT, _T.JUDGED): _A.ENDED,
    (_A.FETCHING, _T.FETCHED): _A.FETCHING,
    (_A.FETCHING, _T.BYTES): _A.SETTLING,
    (_A.FETCHING, _T.SETTLED): _A.ENDED,
    (_A.FETCHING, _T.ABANDONED): _A.ENDED,
    (_A.SETTLING, _T.RECORDED): _A.ENDED,
    (_A.SETTLING, _T.RECORD_FAULT): _A.SETTLING,
    (_A.SETTLING, _T.UNRECORDED): _A.ENDED,
}


class Impossible(AssertionError):
    """The engine took a step that its own table does not have. Never raised for what the world did."""


S = TypeVar("S", bound=IntEnum)
E = TypeVar("E", bound=IntEnum)


class HasState(Protocol[S]):
    """Anything with a life."""

    state: S


class Step(Generic[S]):
    """A row of a table at work: where it leads, and how often it was taken."""

    __slots__ = ("after", "taken")

    def __init__(self, after: S) -> None:
        self.after = after
        self.taken = 0


class Life(Generic[S, E]):
    """One table at work: moves things, and knows how many are in each state from how often each row was taken."""

    __slots__ = ("_steps",)

    def __init__(self, table: Mapping[tuple[S, E], S], states: type[S], inputs: type[E]) -> None:
        self._steps: list[list[Step[S] | None]] = [
            [Step(table[state, event]) if (state, event) in table else None for event in inputs] for state in states
        ]

    def go(self, thing: HasState[S], event: E) -> None:
        """Move `thing` along the row of its state and `event`; raise `Impossible` where there is none."""
        step = self._steps[thing.state][event]
        if step is None:
            raise Impossible(f"{type(thing).__name__} {thing.state.name}: {event.name}")
        step.taken += 1
        thing.state = step.after

    def counts(self) -> list[int]:
        """How many things are in each state; in the first one, from which all of them come, less than none."""
        counts = [0] * len(self._steps)
        for state, steps in enumerate(self._steps):
            for step in steps:
                if step is not None:
                    counts[state] -= step.taken
                    counts[step.after] += step.taken
        return counts
