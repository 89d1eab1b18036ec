"""Histories: by Hypothesis, which shrinks what it finds, and a bounded part of the many drawn from plain seeds."""

from __future__ import annotations

from random import Random

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.histories.driver import History
from tests.histories.generate import digest, history
from tests.histories.knobs import draw
from tests.histories.replies import REPLIES

SEEDS = st.integers(0, 2**32 - 1)
FIRST, COUNT = 10_000_000, 400
"""Where the seeds begin that this test draws, and how many: others than those a command runs."""


class Machine(RuleBasedStateMachine):
    """Anything that a world may do, in any order; the monitor looks closely at every step."""

    one: History

    @initialize(seed=SEEDS)
    def begin(self, seed: int) -> None:
        """A configuration and a workload."""
        self.one = History(draw(Random(seed)), seed, closely=True, secrets=True)

    @rule(seed=SEEDS)
    def submit(self, seed: int) -> None:
        """A caller wants something."""
        self.one.submit(Random(seed))

    @rule(seed=SEEDS)
    def cancel(self, seed: int) -> None:
        """A caller leaves."""
        self.one.cancel(Random(seed))

    @precondition(lambda self: self.one.sent)
    @rule(seed=SEEDS, how=st.sampled_from(sorted(REPLIES)))
    def answer(self, seed: int, how: str) -> None:
        """An exchange ends in this way."""
        self.one.answer(Random(seed), how)

    @precondition(lambda self: self.one.sent)
    @rule(seed=SEEDS)
    def progress(self, seed: int) -> None:
        """An exchange goes on: its head, an item of a stream, or any end."""
        self.one.answer(Random(seed))

    @precondition(lambda self: self.one.reads)
    @rule(seed=SEEDS)
    def read(self, seed: int) -> None:
        """The store answers."""
        self.one.read(Random(seed))

    @precondition(lambda self: self.one.records)
    @rule(seed=SEEDS)
    def record(self, seed: int) -> None:
        """The journal answers."""
        self.one.record(Random(seed))

    @precondition(lambda self: self.one.questions)
    @rule(seed=SEEDS)
    def consulted(self, seed: int) -> None:
        """A hook answers."""
        self.one.consulted(Random(seed))

    @rule(seed=SEEDS)
    def tick(self, seed: int) -> None:
        """A timer goes off, in time or not."""
        self.one.tick(Random(seed))

    @rule(seed=SEEDS)
    def reconfigure(self, seed: int) -> None:
        """Keys, limits, budget."""
        self.one.reconfigure(Random(seed))

    @rule(seed=SEEDS)
    def misuse(self, seed: int) -> None:
        """The driver errs."""
        self.one.misuse(Random(seed))

    @precondition(lambda self: self.one.jobs > 1)
    @rule(seed=SEEDS)
    def close(self, seed: int) -> None:
        """No more work."""
        self.one.close(Random(seed))

    def teardown(self) -> None:
        """Everything is answered: the engine is idle and at rest, and the books agree with the bill."""
        if hasattr(self, "one"):
            self.one.end(Random(0))


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=80, stateful_step_count=40)


def test_many_seeds() -> None:
    """Some hundreds of histories keep the contract (a command runs a hundred thousand)."""
    assert all(history(seed).engine.idle() for seed in range(FIRST, FIRST + COUNT))


def test_a_history_is_its_seed() -> None:
    """The same seeds give the same events and commands, byte for byte; others do not."""
    assert digest(15) == digest(15)
    assert digest(15) != digest(16)
