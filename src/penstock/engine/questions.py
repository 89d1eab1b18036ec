"""Questions to hooks (and to SCREEN and EMBED calls): asked once, answered once, forgotten by whoever moved on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock.commands import Consult, Release, Subject, Warned
from penstock.engine.entities import Flight, Job, Question
from penstock.engine.moves import Answered, Dropped, Hire
from penstock.engine.timers import Alarm
from penstock.ids import QuestionId
from penstock.readings import Fault, Vector
from penstock.work import Purpose

if TYPE_CHECKING:
    from penstock.engine.desk import Desk
    from penstock.events import Consulted
    from penstock.ids import Handle, Ref
    from penstock.readings import Answer, Verdict
    from penstock.work import Screen, Target


class Questions:
    """`table` has what hooks still owe an answer to, also where nobody waits for it any more."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.table: dict[QuestionId, Question] = {}

    def screen(self, job: Job, screen: Screen, refs: tuple[Ref, ...]) -> Question:
        """Ask a screen about a job's prompt (`refs` empty) or its pictures."""
        question = Question(job, screen.policy, screen.passes_on_fault, refs)
        self._pose(question, screen.hook, screen.target, Purpose.SCREEN, job.work.handle, refs, screen.patience)
        return question

    def embed(self, flight: Flight, handle: Handle) -> Question:
        """Ask for the vector of a flight's prompt, as the configuration of the near cache says."""
        near = self.desk.config.near
        question = Question(flight)
        if near is None:
            question.open = False
            self.desk.moves.append(Answered(question, Fault("no near cache is configured")))
        else:
            self._pose(question, near.hook, near.target, Purpose.EMBED, handle, (), near.patience)
        return question

    def _pose(
        self,
        question: Question,
        hook: str,
        target: Target | None,
        purpose: Purpose,
        handle: Handle,
        refs: tuple[Ref, ...],
        patience: float,
    ) -> None:
        desk = self.desk
        question.patience = patience
        if target is None or purpose is Purpose.EMBED:
            self.wait(question)
        if target is not None:
            desk.moves.append(Hire(question, target, purpose))
            return
        name = QuestionId(desk.number())
        self.table[name] = question
        desk.out.append(Consult(name, hook, Subject(handle, refs), patience))

    def wait(self, question: Question) -> None:
        """Its patience begins, now that it is asked: a screen's call has to wait for its turn before that."""
        if question.open and question.timer is None:
            question.timer = self.desk.timers.arm(self.desk.now + question.patience, Alarm.QUESTION, question)

    def consulted(self, event: Consulted) -> None:
        """A hook answered."""
        question = self.table.pop(event.question)
        if isinstance(event.answer, Fault):
            self.desk.count("hook_faults")
        if not hand_on(self.desk, question, event.answer):
            self.desk.count("late_answers")

    def expired(self, question: Question) -> None:
        """The patience is over: silence is a fault."""
        if hand_on(self.desk, question, Fault("no answer in time")):
            self.desk.notify(Warned("hook", "a hook did not answer in time"))
            self._drop(question)

    def close(self, question: Question) -> None:
        """Nobody waits for this answer any more."""
        if question.open:
            question.open = False
            self.desk.timers.cancel(question.timer)
            self._drop(question)

    def _drop(self, question: Question) -> None:
        if question.call is not None:
            self.desk.moves.append(Dropped(question.call))


def hand_on(desk: Desk, question: Question, answer: Verdict | Vector | Answer | Fault) -> bool:
    """Give an answer to whoever asked. False: he has moved on, or has heard one, and it is let go."""
    desk.timers.cancel(question.timer)
    if not question.open:
        let_go(desk, answer)
        return False
    question.open = False
    desk.moves.append(Answered(question, answer))
    return True


def let_go(desk: Desk, answer: Verdict | Vector | Answer | Fault | None) -> None:
    """Nobody uses this answer: a vector's numbers need not be kept."""
    if isinstance(answer, Vector):
        desk.out.append(Release((answer.ref,)))
