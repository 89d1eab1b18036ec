"""Shared calls in every combination: what two ask for, what is stored, who leaves when, money, deadlines, failures.

Whatever meets whatever: each job ends once, nothing is held, the books are the provider's bill, caps hold, a picture is
paid once, and who stayed has what he asked for in his order.
"""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest
from attrs import evolve, frozen

from penstock.commands import Charged, Finish, Notify, ReadCache, Send
from penstock.config import Budget, BudgetPolicy, Config, Credential, Limits, Retry
from penstock.events import CacheRead, Cancelled, Hit, Miss, Responded
from penstock.ids import JobId, Key
from penstock.outcomes import Outcome, Source, Status
from penstock.readings import Problem
from penstock.simulation.monitor import Monitor
from penstock.work import Priority, Work
from tests.histories.bench import META, QUOTE, Bench, target

SIZES = [("a", "a"), ("abc", "a"), ("a", "abc"), ("ab", "bc")]
STORED = ["", "a", "abc"]
LEAVES = ["nobody", "first waits", "first out", "second out"]
REPLIES = ["all", "fewer", "none", "refused"]
CAPS = [None, 2 * QUOTE]
COST = 60
"""Of a picture."""


@frozen
class Case:
    """Two who ask for pictures, `first` before `second`, behind somebody who has the only lane."""

    first: str
    second: str
    stored: str
    leaves: str
    replies: str
    cap: int | None
    urgent: bool
    late: bool
    stream: bool

    @property
    def budget(self) -> Budget:
        """Of the first one's tag alone; without waiting for money."""
        caps = () if self.cap is None else (("tag:first", self.cap),)
        return Budget(caps, BudgetPolicy.FAIL)


CASES = [
    Case(first, second, stored, leaves, replies, cap, urgent, late, stream)
    for (first, second), stored, leaves, replies, cap, urgent, late, stream in product(
        SIZES, STORED, LEAVES, REPLIES, CAPS, (False, True), (False, True), (False, True)
    )
]
FIRST, SECOND = JobId(2), JobId(3)


class Tale:
    """What becomes of a case. `bought` counts how often each picture was delivered, `billed` what that cost."""

    def __init__(self, case: Case) -> None:
        self.case = case
        lane = (Credential("c1", "p", Limits(concurrency=1)),)
        self.bench = Bench(Config(lane, store=True, budget=case.budget, unproven=None, retry=Retry(attempts=3)))
        self.bench.engine = Monitor(self.bench.bare, config=self.bench.config)  # at rest it looks at everything
        self.wanted = {JobId(1): "z", FIRST: case.first, SECOND: case.second}
        self.billed = 0
        self.bought: Counter[Key] = Counter()

    def run(self) -> None:
        """From the first to the end."""
        case, bench = self.case, self.bench
        bench.ask("z")
        self.looks_up()
        blocker = bench.take(Send)
        low, high = Priority.BATCH, Priority.INTERACTIVE
        late = 5.0 if case.late else None
        bench.submit(Work((target(*case.first),), tags=("first",), deadline=late, priority=low))
        aim = evolve(target(*case.second), stream=case.stream)
        bench.submit(Work((aim,), tags=("second",), priority=high if case.urgent else low))
        self.looks_up()
        if case.leaves == "first waits":
            bench.tell(Cancelled(FIRST))
        if case.late:
            bench.at(6.0)
        self.delivers(blocker, [Key("z")])
        while not bench.engine.snapshot().at_rest or not bench.none(Send):
            self.goes_on()

    def looks_up(self) -> None:
        """The store has some."""
        while not self.bench.none(ReadCache):
            read = self.bench.take(ReadCache)
            found = tuple(Hit(META, self.bench.ref("h")) if key in self.case.stored else Miss() for key in read.keys)
            self.bench.tell(CacheRead(read.read, found))

    def goes_on(self) -> None:
        """Answer what is asked, or let the time pass."""
        bench, replies = self.bench, self.case.replies
        self.looks_up()
        if bench.none(Send):
            bench.at(max(bench.now, bench.engine.next_deadline() or 0.0))
            return
        send = bench.take(Send)
        if self.case.leaves.endswith("out"):
            bench.tell(Cancelled(FIRST if self.case.leaves.startswith("first") else SECOND))
        keys = [Key(self.wanted[job][sample]) for job, samples in send.parts for sample in samples]
        if replies == "refused":
            bench.tell(Responded(send.attempt, 400, (), Problem("invalid_value", None, "no")))
        elif replies == "none":
            bench.refuses(send, 500)
        else:
            self.delivers(send, keys[:1] if replies == "fewer" else keys)

    def delivers(self, send: Send, keys: list[Key]) -> None:
        """The first of its pictures come."""
        self.bench.pays(send, COST * len(keys), places=tuple(range(len(keys))))
        self.billed += COST * len(keys)
        self.bought.update(keys)

    def paid(self) -> dict[JobId, int]:
        """What each was charged, also after its end."""
        ends = [command for command in self.bench.log if isinstance(command, Finish)]
        assert [JobId(1), FIRST, SECOND] == sorted(end.job for end in ends)
        paid = {end.job: end.outcome.charge or 0 for end in ends}
        for notice in (command.notice for command in self.bench.log if isinstance(command, Notify)):
            if isinstance(notice, Charged):
                paid[notice.job] += notice.charge or 0
        return paid


def check(case: Case) -> None:
    """What holds whatever happened."""
    tale = Tale(case)
    tale.run()
    bench, paid = tale.bench, tale.paid()
    assert tale.billed == bench.book().charged == sum(paid.values())
    assert (paid[FIRST], paid[SECOND]) == (bench.book("tag:first").charged, bench.book("tag:second").charged)
    assert case.cap is None or bench.book("tag:first").charged <= case.cap
    assert max(tale.bought.values()) <= (2 if case.stream else 1)
    assert not set(tale.bought) & set(case.stored)
    outcomes = {command.job: command.outcome for command in bench.log if isinstance(command, Finish)}
    check_outcome(case, outcomes[FIRST], case.first, bounded=case.late or case.cap is not None, paid=paid[FIRST])
    check_outcome(case, outcomes[SECOND], case.second, bounded=False, paid=paid[SECOND])


def check_outcome(case: Case, outcome: Outcome, keys: str, *, bounded: bool, paid: int) -> None:
    """One job's end: what it shows, in its order, what it saved, and that nobody who stayed lacks anything."""
    shown = "".join(picture.key for picture in outcome.pictures)
    assert shown == "".join(key for key in keys if key in shown)
    assert outcome.saved == sum(one.meta.cost or 0 for one in outcome.pictures if one.source is not Source.BOUGHT)
    if outcome.status is Status.CANCELLED:
        return
    if case.replies in {"all", "fewer"} and not bounded:
        assert keys == shown
    if set(keys) <= set(case.stored) and not case.late:
        assert (Status.CACHED, 0) == (outcome.status, paid)


@pytest.mark.parametrize("sizes", SIZES, ids="-".join)
def test_every_combination_keeps_the_books(sizes: tuple[str, str]) -> None:
    """Sizes of n, stored samples, cancellation, failure, budgets, priorities, deadlines and streams, all with all."""
    cases = [case for case in CASES if (case.first, case.second) == sizes]
    assert 768 == len(cases)
    for case in cases:
        try:
            check(case)
        except AssertionError as error:
            raise AssertionError(f"{case}: {error}") from error
