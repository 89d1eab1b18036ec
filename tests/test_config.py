"""What a configuration of money refuses, with the words to be written instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest

from penstock.config import Ambiguity, Budget, BudgetPolicy
from penstock.errors import PenstockError, UsageError
from penstock.requests import Options
from penstock.work import CachePolicy, OnAmbiguous, Priority
from penstock_io.journal import Journal
from penstock_io.ledger import Ledger
from penstock_io.sync import Client


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda: Ambiguity(cast("OnAmbiguous", "retry")), "one of OnAmbiguous.AUTO, OnAmbiguous.RETRY"),
        (
            lambda: Budget(policy=cast("BudgetPolicy", "wait")),
            "BudgetPolicy.WAIT, BudgetPolicy.FAIL, not 'wait'",
        ),
        (lambda: Budget((("run", True),)), "the cap of 'run' is a whole number of picodollars"),
        (lambda: Budget((("run", cast("int", 0.5)),)), "the cap of 'run' is a whole number of picodollars"),
        (lambda: Budget((("tenant:acme@week", 1),)), "'tenant:acme@week': there are caps by @day and @month alone"),
        (lambda: Budget((("tag:x@Day", 1),)), "'tag:x@Day': there are caps by @day and @month alone"),
        (lambda: Options(on_ambiguous=cast("OnAmbiguous", "retry")), "on_ambiguous is such as OnAmbiguous.RETRY"),
        (lambda: Options(cache=cast("CachePolicy", "off")), "cache is such as CachePolicy.OFF"),
        (lambda: Options(priority=cast("Priority", "batch")), "priority is such as Priority.BATCH"),
    ],
)
def test_a_word_in_the_place_of_a_choice_is_refused(made: Callable[[], object], words: str) -> None:
    """It would be taken for the default, silently; a cap that never holds is none."""
    with pytest.raises(PenstockError) as told:
        made()
    assert words in str(told.value)


def test_a_client_says_what_it_takes() -> None:
    """A path in the place of an open ledger or journal, and a text in the place of a choice."""
    url, keys = "http://127.0.0.1:1/v1", ["k"]
    opened = cast("Ledger", "x.sqlite")
    retry = cast("OnAmbiguous", "retry")
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: Client(url, keys, ledger=opened), 'ledger is such as Ledger.open("ledger.sqlite")'),
        (lambda: Client(url, keys, journal=cast("Journal", "out")), 'journal is such as Journal.open("folder")'),
        (lambda: Client(url, keys, on_ambiguous=retry), "such as OnAmbiguous.RETRY, not 'retry'"),
    ]
    for make, words in cases:
        with pytest.raises(UsageError) as told:
            make()
        assert words in str(told.value)


def test_what_looks_like_no_period_is_a_name() -> None:
    """An address is a tenant as good as any; the two periods there are come behind it."""
    budget = Budget((("tenant:joe@example.com", 1), ("tenant:joe@example.com@day", 2), ("tag:a@month", 3)))
    assert ("tenant:joe@example.com@day", "tag:a@month") == budget.dated
