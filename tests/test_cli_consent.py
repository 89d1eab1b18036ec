"""What is asked before money is spent, of whom, and what follows from the answer."""

from __future__ import annotations

from decimal import Decimal

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from penstock_io.cli.consent import Reason, price_reason, refusal

STALE = Reason("3 rows are made again (size a -> b), for at most $0.0500", grave=True, otherwise="another --out")
DISK = Reason("the disk has too little room", grave=True)
PRICE = Reason("12 pictures cost at most $2.5000")


@define
class Person:
    """Somebody, or nobody, who answers."""

    interactive: bool = True
    answer: bool = True
    asked: list[str] = field(factory=list[str])

    def ask(self, question: str) -> bool:
        """Ask."""
        self.asked.append(question)
        return self.answer


@pytest.mark.parametrize(
    ("bound", "budget", "told"),
    [
        (10**12, None, None),
        (10**12 + 10**8, None, "12 pictures cost at most $1.0001"),
        (None, None, "12 pictures cost an amount that is not known beforehand"),
        (5 * 10**12, Decimal("0.50"), None),
        (5 * 10**12, Decimal(2), "12 pictures cost at most $2.0000"),
        (None, Decimal(3), "12 pictures cost at most $3.0000"),
        (0, None, None),
    ],
)
def test_a_price_is_asked_for_above_a_dollar(bound: int | None, budget: Decimal | None, told: str | None) -> None:
    """An unknown price counts as above, and a budget bounds what can be spent."""
    reason = price_reason(bound, "12 pictures", budget)
    assert told == (None if reason is None else reason.told)


def test_a_person_is_asked_once_for_everything() -> None:
    """All reasons stand in one question; yes goes on, no ends it."""
    person = Person()
    assert refusal([PRICE, STALE], person, yes=False) is None
    question = "12 pictures cost at most $2.5000; 3 rows are made again (size a -> b), for at most $0.0500. Go on?"
    assert [question] == person.asked
    assert "nothing was sent" == refusal([PRICE], Person(answer=False), yes=False)


def test_nobody_is_asked_and_only_what_is_grave_ends_it() -> None:
    """A script goes on whatever the price is; to pay again it needs `--yes`, and is told what else there is."""
    nobody = Person(interactive=False)
    assert refusal([PRICE], nobody, yes=False) is None
    assert "go on with --yes" in str(refusal([DISK, PRICE], nobody, yes=False))
    said = refusal([PRICE, STALE, DISK], nobody, yes=False)
    assert (
        "3 rows are made again (size a -> b), for at most $0.0500; the disk has too little room; nothing was "
        "sent: go on with --yes or another --out" == said
    )
    assert [] == nobody.asked


@given(st.lists(st.sampled_from([PRICE, STALE, DISK])), st.booleans())
def test_yes_asks_nobody(reasons: list[Reason], interactive: bool) -> None:
    """With `--yes`, or without a reason, it goes on unasked."""
    person = Person(interactive, answer=False)
    assert refusal(reasons, person, yes=True) is None
    assert refusal([], person, yes=False) is None
    assert [] == person.asked
