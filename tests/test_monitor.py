"""The monitor: an honest engine passes, and one that breaks a line is told which, whoever drives it."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from penstock.commands import (
    Abort,
    Deliver,
    Finish,
    Notify,
    ReadCache,
    Record,
    Release,
    Send,
    Warned,
    WriteCache,
)
from penstock.config import Budget, Config
from penstock.engine import Engine
from penstock.entries import Lane, Settled, Void
from penstock.errors import UsageError
from penstock.events import Closed, Mode, Recorded, Responded, Submitted, Ticked
from penstock.ids import AttemptId, CallId, Handle, JobId, Key, ReadId, RecordId, Ref
from penstock.outcomes import Outcome, Status
from penstock.readings import Delta
from penstock.simulation.monitor import SPINS, Monitor, Violation
from penstock.simulation.server import Server, ServerLimits, ServerSettings
from penstock.simulation.world import World
from penstock.work import Purpose, Timeouts
from tests.histories.bench import CONFIG, Bench, work

if TYPE_CHECKING:
    from collections.abc import Callable

    from penstock.commands import Command
    from penstock.engine import Snapshot, Waiting
    from penstock.events import Event

JOB = JobId(1)
JOURNAL = evolve(CONFIG, journal=True)
STORED = evolve(CONFIG, store=True)


class Liar:
    """An engine that hands on other commands than it should; `deadline` and `idles` replace what it says of itself."""

    def __init__(self, config: Config, lie: Callable[[Event, list[Command]], list[Command]]) -> None:
        self.engine = Engine(config, rng=Random(1), epoch=0.0)
        self.lie = lie
        self.deadline: Callable[[], float | None] = self.engine.next_deadline
        self.idles: Callable[[], bool] = self.engine.idle
        self.shows: Callable[[], Snapshot] = self.engine.snapshot

    def handle(self, event: Event, now: float) -> list[Command]:
        """Take a fact, and lie."""
        return self.lie(event, self.engine.handle(event, now))

    def next_deadline(self) -> float | None:
        """When to come back."""
        return self.deadline()

    def appetite(self) -> int:
        """As it is."""
        return self.engine.appetite()

    def idle(self) -> bool:
        """Whether the driver may leave."""
        return self.idles()

    def explain(self, job: JobId) -> Waiting:
        """As it is."""
        return self.engine.explain(job)

    def snapshot(self) -> Snapshot:
        """Figures."""
        return self.shows()


def bench(config: Config, lie: Callable[[Event, list[Command]], list[Command]]) -> tuple[Bench, Liar]:
    """A bench whose engine lies."""
    liar = Liar(config, lie)
    one = Bench(config)
    one.engine = Monitor(liar, config=config, closely=True, secrets=("a red fox",))
    return one, liar


def drop(kind: type[Command]) -> Callable[[Event, list[Command]], list[Command]]:
    """A lie: commands of this kind are left out."""
    return lambda _, commands: [command for command in commands if not isinstance(command, kind)]


def add(kind: type[Event], *more: Command) -> Callable[[Event, list[Command]], list[Command]]:
    """A lie: after an event of this kind there are more commands."""
    return lambda event, commands: [*commands, *more] if isinstance(event, kind) else commands


def twice(kind: type[Command]) -> Callable[[Event, list[Command]], list[Command]]:
    """A lie: commands of this kind are said twice."""
    return lambda _, commands: [c for command in commands for c in [command] * (1 + isinstance(command, kind))]


def story(one: Bench) -> None:
    """One picture, from its question to its end, with whatever the configuration has; then the end of all."""
    one.ask("k")
    for _ in range(20):
        if not one.none(Record):
            one.records(one.take(Record))
        elif not one.none(ReadCache):
            one.misses(one.take(ReadCache))
        elif not one.none(Send):
            one.pays(one.take(Send))
        elif not one.none(Finish):
            one.take(Finish)
    one.at(1.0)
    one.tell(Closed())


def honest(_: Event, commands: list[Command]) -> list[Command]:
    """No lie."""
    return commands


SEND = Send(
    AttemptId(77),
    CallId(77),
    Handle(1),
    "images.generate",
    Purpose.GENERATE,
    Lane("c1", "m"),
    0,
    1,
    ((JOB, (0,)),),
    Timeouts(),
)


def reversed_records(_: Event, commands: list[Command]) -> list[Command]:
    """A lie: what is settled is not recorded as it was."""
    return [
        evolve(command, entry=Void(command.entry.attempt, "no", 0.0))
        if isinstance(command, Record) and isinstance(command.entry, Settled)
        else command
        for command in commands
    ]


def early(event: Event, commands: list[Command]) -> list[Command]:
    """A lie: a timer out of nowhere orders something."""
    return [*commands, Release((Ref("x"),))] if isinstance(event, Ticked) else commands


CASES: dict[str, tuple[int, Config, Callable[[Event, list[Command]], list[Command]]]] = {
    "an id twice": (2, CONFIG, twice(Send)),
    "a record's id twice": (2, JOURNAL, twice(Record)),
    "a read's id twice": (2, STORED, twice(ReadCache)),
    "an abort of what is not out": (2, CONFIG, add(Responded, Abort(AttemptId(1)))),
    "a claim that is not held": (2, STORED, add(Submitted, WriteCache(Key("k"), None, claim=ReadId(1)))),
    "two ends": (3, CONFIG, twice(Finish)),
    "an end of nobody": (3, CONFIG, add(Submitted, Finish(JobId(9), Outcome(Status.FAILED)))),
    "an early timer": (4, CONFIG, early),
    "no end": (5, CONFIG, drop(Finish)),
    "a purchase after closing": (6, CONFIG, add(Closed, SEND)),
    "too many ends": (6, CONFIG, add(Submitted, *[Finish(JobId(1), Outcome(Status.FAILED))] * 1001)),
    "a prompt": (9, CONFIG, add(Submitted, Notify(Warned("x", "a red fox in the snow")))),
    "no intent": (10, JOURNAL, add(Submitted, SEND)),
    "another end": (10, JOURNAL, reversed_records),
    "a released picture": (11, JOURNAL, add(Responded, Release((Ref("b:1"),)))),
    "a picture that is not stored": (11, STORED, drop(WriteCache)),
    "a picture that is not released": (11, CONFIG, drop(Release)),
    "a release of nothing": (11, CONFIG, add(Submitted, Release((Ref("b:9"),)))),
    "an abort for no reason": (11, CONFIG, add(Submitted, Abort(AttemptId(2)))),
    "an item for nobody": (12, CONFIG, add(Responded, Deliver(JobId(4), Delta(Ref("d"))))),
}


def test_an_honest_engine_passes() -> None:
    """With and without journal and store."""
    for config in (CONFIG, JOURNAL, STORED, evolve(STORED, journal=True)):
        one, _ = bench(config, honest)
        story(one)
        assert one.engine.idle()


@pytest.mark.parametrize("name", CASES)
def test_a_lie_is_found(name: str) -> None:
    """Each lie is told by the line that it breaks."""
    line, config, lie = CASES[name]
    one, _ = bench(config, lie)
    with pytest.raises(Violation) as found:
        story(one)
    assert line == found.value.line
    assert str(found.value).startswith(f"line {line}: ")


def test_an_error_from_inside() -> None:
    """Line 1: nothing but UsageError comes out of handle."""

    def break_down(_: Event, __: list[Command]) -> list[Command]:
        raise KeyError("inside")

    one, _ = bench(CONFIG, break_down)
    with pytest.raises(Violation, match="line 1: KeyError"):
        one.ask("k")


def test_a_misuse_that_changed_something() -> None:
    """Line 1: after a UsageError deadline and snapshot are as they were."""
    one, liar = bench(CONFIG, honest)
    one.ask("k")

    def refuse(_: Event, __: list[Command]) -> list[Command]:
        raise UsageError("no")

    liar.lie = refuse
    calls = iter((600.0, 601.0))
    liar.deadline = lambda: next(calls)
    with pytest.raises(Violation, match=r"line 1: .* deadline"):
        one.at(1.0)
    liar.deadline = lambda: 600.0
    with pytest.raises(Violation, match=r"line 1: .* snapshot"):
        one.at(2.0)


def test_a_job_that_nothing_will_wake() -> None:
    """Line 5: unfinished work, nothing out, no deadline, no halt."""
    one, liar = bench(CONFIG, honest)
    one.ask("k")
    liar.deadline = lambda: None
    with pytest.raises(Violation, match="line 5"):
        one.refuses(one.take(Send), 503)


def test_an_engine_that_spins() -> None:
    """Line 5: it asks to come back now, again and again, and does nothing."""
    one, liar = bench(CONFIG, honest)
    one.ask("k")
    liar.deadline = lambda: one.now
    for _ in range(SPINS):
        one.at(1.0)
    with pytest.raises(Violation, match="line 5"):
        one.at(1.0)


def test_an_engine_that_leaves_early() -> None:
    """Line 6: idle is said only when nothing is out."""
    one, liar = bench(CONFIG, honest)
    one.ask("k")
    liar.idles = lambda: True
    with pytest.raises(Violation, match="line 6"):
        one.tell(Closed(Mode.DRAIN))


def test_an_engine_that_never_leaves() -> None:
    """Line 6: closed and at rest, the driver may leave."""
    one, liar = bench(CONFIG, honest)
    one.ask("k")
    one.tell(Closed(Mode.DRAIN))
    liar.idles = lambda: False
    with pytest.raises(Violation, match="line 6"):
        one.pays(one.take(Send))


def test_figures_that_do_not_come_back() -> None:
    """Lines 4, 7 and 10: time, permits, money and rest, as the snapshot has them."""
    for change, line in (
        ({"now": -1.0}, 4),
        ({"in_flight": 3}, 7),
        ({"unfinished": 3}, 3),
    ):
        one, liar = bench(CONFIG, honest)
        one.at(5.0)
        one.ask("k")
        liar.shows = lambda c=change, e=liar.engine: evolve(e.snapshot(), **c)  # type: ignore[misc]
        with pytest.raises(Violation, match=f"line {line}: "):
            one.at(6.0)
    one, liar = bench(CONFIG, honest)
    one.ask("k")
    liar.shows = lambda: evolve(liar.engine.snapshot(), at_rest=False)
    with pytest.raises(Violation, match="line 7"):
        one.pays(one.take(Send))


def test_a_cap_that_is_passed() -> None:
    """Line 10: reserved, charged and maybe together stay within the cap; an excess is told apart."""
    one, liar = bench(evolve(CONFIG, budget=Budget((("run", 250),))), honest)
    one.ask("k")
    balances = liar.engine.snapshot().money
    fat = tuple((scope, evolve(balance, charged=200)) for scope, balance in balances.scopes)
    liar.shows = lambda: evolve(liar.engine.snapshot(), money=evolve(balances, scopes=fat))
    with pytest.raises(Violation, match="line 10: run stands at 300, above its cap of 250"):
        one.at(1.0)
    capped = Bench(evolve(CONFIG, budget=Budget((("run", 250),))))
    capped.ask("k")
    capped.pays(capped.take(Send), 900)
    capped.at(1.0)


def test_books_that_do_not_agree() -> None:
    """Line 10: what jobs were told is what was booked, and so are the entries."""
    one, liar = bench(JOURNAL, honest)
    one.ask("k")
    one.records(one.take(Record))
    one.pays(one.take(Send))
    one.records(one.take(Record))
    balances = liar.engine.snapshot().money
    less = evolve(balances, scopes=tuple((scope, evolve(one, charged=59)) for scope, one in balances.scopes))
    liar.shows = lambda: evolve(liar.engine.snapshot(), money=less)
    with pytest.raises(Violation, match="line 10: booked"):
        one.records(one.take(Record))


def test_a_job_that_is_told_another_price() -> None:
    """Line 10: the outcome's charge is what is booked for its scopes."""

    def cheaper(_: Event, commands: list[Command]) -> list[Command]:
        return [
            evolve(command, outcome=evolve(command.outcome, charge=1)) if isinstance(command, Finish) else command
            for command in commands
        ]

    one, _ = bench(CONFIG, cheaper)
    one.ask("k")
    with pytest.raises(Violation, match="line 10: run: booked"):
        one.pays(one.take(Send))


def test_a_journal_at_fault() -> None:
    """Line 10: between a fault and the resume nothing paid is sent, and nothing overtakes what faulted."""
    one, liar = bench(JOURNAL, honest)
    one.ask("k")
    record = one.take(Record)
    liar.lie = add(Recorded, Record(RecordId(500), Void(AttemptId(900), "no", 0.0)))
    with pytest.raises(Violation, match=r"line 10: .* overtakes"):
        one.records(record, "no space left")


def test_it_wraps_the_engine_of_a_world() -> None:
    """Handed to the simulated world in the engine's place it sees a thousand pictures bought under limits."""
    settings = ServerSettings(limits=ServerLimits(rpm=3000.0, concurrency=8))
    world = World(
        evolve(CONFIG, journal=True, store=True),
        Server(settings, rng=Random(3)),
        rng=Random(3),
        wrap=lambda engine: Monitor(engine, config=evolve(CONFIG, journal=True, store=True)),
    )
    outcomes = world.run(evolve(work(f"k{number}"), handle=Handle(number)) for number in range(1000))
    assert {Status.COMPLETED} == {outcome.status for outcome in outcomes.values()}
    assert 1000 == len(outcomes)
