"""Watches line 10 where there is a journal: the order of entries, and one end for every intent.

It keeps books of its own from what the entries say, to be held against the engine's when nothing is out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define

from penstock.commands import Record, Unrecorded
from penstock.entries import Failed, Intent, Maybe, Owed, Settled, Void
from penstock.simulation._violation import Violation

if TYPE_CHECKING:
    from penstock.commands import Send
    from penstock.entries import Entry
    from penstock.events import Recorded
    from penstock.ids import AttemptId, RecordId

End = Settled | Void | Failed | Maybe


@define(eq=False)
class Line:
    """One entry in the order of its first issue. `faulted` since its last issue, `durable` or `dropped` for good."""

    entry: Entry
    order: int
    faulted: bool = False
    over: bool = False


@define(eq=False)
class Course:
    """What became of one intent."""

    intent: Intent
    durable: bool = False
    recorded: bool = False
    sent: bool = False
    answered: bool = False
    end: End | None = None
    owed: Owed | None = None


class Journal:
    """Every Record and Recorded goes through it, and every paid Send with its answer."""

    def __init__(self) -> None:
        self.courses: dict[AttemptId, Course] = {}
        self.recording = 0
        self.charged = 0
        self.maybe = 0
        self.stopped = False
        self._out: dict[RecordId, Line] = {}
        self._faulted: list[Line] = []
        self._order = 0

    def ordered(self, command: Record) -> None:
        """An entry is issued: a new one behind all others, or a faulted one again, in the old order."""
        line = self._again(command.entry)
        if line is None:
            if self._faulted:
                raise Violation(10, f"{command.entry!r} overtakes entries that faulted")
            self._order += 1
            line = Line(command.entry, self._order)
            self._first(command.entry)
        self._out[command.record] = line

    def _again(self, entry: Entry) -> Line | None:
        for place, line in enumerate(self._faulted):
            if line.entry == entry:
                if place:
                    raise Violation(10, f"{entry!r} is issued again before {self._faulted[0].entry!r}")
                del self._faulted[0]
                line.faulted = False
                return line
        return None

    def _first(self, entry: Entry) -> None:
        if isinstance(entry, Intent):
            if entry.attempt in self.courses:
                raise Violation(10, f"a second intent of attempt {entry.attempt}")
            self.courses[entry.attempt] = Course(entry)
            self.recording += 1
        elif isinstance(entry, Owed):
            self._course(entry.attempt).owed = entry
        elif isinstance(entry, Settled | Void | Failed | Maybe):
            self._ends(entry)

    def _course(self, attempt: AttemptId) -> Course:
        course = self.courses.get(attempt)
        if course is None:
            raise Violation(10, f"an entry of attempt {attempt}, which has no intent")
        return course

    def _ends(self, entry: End) -> None:
        course = self._course(entry.attempt)
        if course.end is not None:
            raise Violation(10, f"the intent of attempt {entry.attempt} ends twice: {course.end!r}, {entry!r}")
        if isinstance(entry, Void):
            if course.sent:
                raise Violation(10, f"attempt {entry.attempt} is void although it was sent")
        elif not course.answered:
            raise Violation(10, f"{entry!r} of an attempt that is not answered")
        course.end = entry
        self._book(course, entry)

    def _book(self, course: Course, entry: End) -> None:
        if isinstance(entry, Void):
            return
        if isinstance(entry, Maybe):
            if entry.bound != course.intent.quote:
                raise Violation(10, f"{entry!r} has another bound than its intent: {course.intent.quote}")
            self.maybe += entry.bound or 0
        elif entry.charge is None:
            self.maybe += course.intent.quote or 0
        else:
            self.charged += entry.charge

    def recorded(self, event: Recorded) -> None:
        """The journal answered."""
        line = self._out.pop(event.record)
        if isinstance(line.entry, Intent):
            course = self.courses[line.entry.attempt]
            self.recording -= not course.recorded
            course.recorded = True
        if event.fault is not None:
            line.faulted = True
            place = len(self._faulted)
            while place and self._faulted[place - 1].order > line.order:
                place -= 1
            self._faulted.insert(place, line)
            self.stopped = True
        else:
            line.over = True
            if isinstance(line.entry, Intent):
                self.courses[line.entry.attempt].durable = True

    def told(self, notice: Unrecorded) -> None:
        """Entries are given up."""
        for entry in notice.entries:
            self._faulted = [line for line in self._faulted if line.entry != entry]

    def resumed(self) -> None:
        """The halt is lifted."""
        self.stopped = False

    def sent(self, send: Send) -> None:
        """A paid exchange begins: its intent must be durable, and the journal in order."""
        course = self.courses.get(send.attempt)
        if course is None or not course.durable:
            raise Violation(10, f"attempt {send.attempt} is sent before its intent is durable")
        if course.end is not None or course.sent:
            raise Violation(10, f"attempt {send.attempt} is sent after its end")
        if self.stopped:
            raise Violation(10, f"attempt {send.attempt} is sent while the journal is at fault")
        intent = course.intent
        if (intent.parts, intent.lane, intent.call) != (send.parts, send.lane, send.call):
            raise Violation(10, f"attempt {send.attempt} is not what its intent says")
        course.sent = True

    def answered(self, attempt: AttemptId) -> None:
        """Its exchange is over."""
        self.courses[attempt].answered = True

    def faulted(self) -> bool:
        """Whether entries wait for the journal to be mended."""
        return bool(self._faulted)

    def at_rest(self, *, aborted: bool) -> None:
        """Nothing is out: every intent has its end (after an ABORT an Owed may stand). Forgets the finished ones."""
        for attempt, course in self.courses.items():
            if course.end is None:
                if course.owed is None or not aborted:
                    raise Violation(10, f"the intent of attempt {attempt} has no end")
                self.charged += course.owed.charge or 0
                self.maybe += (course.intent.quote or 0) if course.owed.charge is None else 0
        self.courses.clear()
