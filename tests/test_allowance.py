"""The allowance: how often what may have been billed may be tried again, by number, by money, and within a window."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from penstock.config import Ambiguity, Config, Retry, Used
from penstock.errors import UsageError
from penstock.judging.allowance import SLOTS, Allowance, AllowanceFigures
from penstock.work import OnAmbiguous

AUTO, RETRY, SKIP, ASK = OnAmbiguous.AUTO, OnAmbiguous.RETRY, OnAmbiguous.SKIP, OnAmbiguous.ASK


def taken(allowance: Allowance, bound: int | None = None, now: float = 0.0, mode: OnAmbiguous = AUTO) -> int:
    """How many more may be taken now, taking them; at most 1,000."""
    count = 0
    while count < 1000 and allowance.allows(mode, bound, now):
        allowance.take(bound, now)
        count += 1
    return count


def sent(allowance: Allowance, attempts: int, quote: int | None = None, now: float = 0.0) -> None:
    """So many attempts more."""
    for _ in range(attempts):
        allowance.attempted(quote, now)


def test_a_few_are_free_and_then_a_share_of_what_was_sent() -> None:
    """The floor from the start, beyond it 2 % of all attempts; what was used stays used under other figures."""
    allowance = Allowance(Ambiguity())
    assert 3 == taken(allowance)
    sent(allowance, 199)
    assert 0 == taken(allowance)
    sent(allowance, 1)
    assert 1 == taken(allowance)
    assert AllowanceFigures(200, 4, 4) == allowance.figures(0.0)
    allowance.reconfigure(Ambiguity(floor=0, share=0.0))
    assert 0 == taken(allowance)
    allowance.reconfigure(Ambiguity(floor=6))
    assert 2 == taken(allowance)


def test_modes() -> None:
    """RETRY always goes and takes its part, SKIP and ASK never; a hedge goes by the rule of AUTO, or not at all."""
    allowance = Allowance(Ambiguity())
    assert [True, True, False, False] == [allowance.allows(mode, 5, 0.0) for mode in (AUTO, RETRY, SKIP, ASK)]
    assert [True, True, False, False] == [allowance.hedges(mode, 5, 0.0) for mode in (AUTO, RETRY, SKIP, ASK)]
    for _ in range(3):
        allowance.take(5, 0.0)
    assert [False, True, False, False] == [allowance.allows(mode, 5, 0.0) for mode in (AUTO, RETRY, SKIP, ASK)]
    assert [False, False, False, False] == [allowance.hedges(mode, 5, 0.0) for mode in (AUTO, RETRY, SKIP, ASK)]


def test_money_counts_where_prices_are_known() -> None:
    """Above the floor all bounds stay within 2 % of the quotes, or three times their own; unknown ones only count."""
    for bound, tries in ((100, 20), (200, 10), (1000, 3), (None, 20), (0, 20)):
        allowance = Allowance(Ambiguity())
        sent(allowance, 1000, 100)
        assert tries == taken(allowance, bound), bound
    allowance = Allowance(Ambiguity())
    sent(allowance, 1000, 1)
    for _ in range(3):
        allowance.take(1, 0.0)
    assert 2 == taken(allowance, 8)  # three times 8 have room for 3 + 8 + 8 and not for a third
    assert 19 == allowance.figures(0.0).bounds


def test_what_was_used_before_counts() -> None:
    """A batch hands in what earlier runs of its folder sent and tried again."""
    assert 1 == taken(Allowance(Ambiguity(window=None, before=Used(attempts=10, tries=2))))
    assert 0 == taken(Allowance(Ambiguity(window=None, before=Used(attempts=10, tries=3))))
    assert 17 == taken(Allowance(Ambiguity(window=None, before=Used(1000, 3, 100_000, 300))), 100)
    assert 10 == taken(Allowance(Ambiguity(window=None, before=Used(1000, 3, 100_000, 300))), 170)
    allowance = Allowance(Ambiguity(window=60.0, before=Used(1000, 3)))
    assert AllowanceFigures(0, 0, 3) == allowance.figures(5.0)


def test_a_window_forgets() -> None:
    """What was taken comes back when the window has passed, and what was sent earlier gives nothing any more."""
    allowance = Allowance(Ambiguity(window=60.0))
    sent(allowance, 500, 7, 10.0)
    assert 10 == taken(allowance, None, 11.0)
    assert (500, 10, 3500) == ((at := allowance.figures(69.9)).attempts, at.taken, at.quoted)
    assert 0 == taken(allowance, None, 69.9)
    assert 3 == taken(allowance, None, 72.1)
    assert AllowanceFigures(0, 3, 3) == allowance.figures(72.1)
    sent(allowance, 1, None, 10_000.0)
    assert AllowanceFigures(1, 0, 3) == allowance.figures(10_000.0)


def test_a_window_is_kept_in_few_slots() -> None:
    """However much is sent in an hour."""
    allowance = Allowance(Ambiguity(window=60.0))
    for step in range(50_000):
        allowance.attempted(1, step / 100)
    assert len(allowance._slots) <= SLOTS + 2
    assert 5900 <= allowance.figures(500.0).attempts <= 6000


@define
class Diary:
    """What happened, kept whole: (when, cost) of attempts and of tries."""

    attempts: list[tuple[float, int]] = field(factory=list[tuple[float, int]])
    tries: list[tuple[float, int]] = field(factory=list[tuple[float, int]])

    def check(self, rules: Ambiguity, now: float) -> None:
        """After a try: no more than the rules allow, by number and, above the floor, by money."""
        start = float("-inf") if rules.window is None else now - rules.window
        attempts = [cost for when, cost in self.attempts if when >= start]
        tries = [cost for when, cost in self.tries if when > start]
        assert len(tries) <= max(rules.floor, rules.share * len(attempts))
        dearest = rules.floor * self.tries[-1][1]
        assert len(tries) <= rules.floor or sum(tries) <= max(rules.share * sum(attempts), dearest)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("send", "send", "send", "try", "hedge")), st.integers(0, 50), st.sampled_from((0.0, 0.3, 7.0))
    ),
    max_size=300,
)


@given(STEPS, st.integers(0, 5), st.floats(0, 0.5), st.none() | st.sampled_from((1.0, 30.0, 600.0)))
def test_it_is_never_exceeded(
    steps: list[tuple[str, int, float]], floor: int, share: float, window: float | None
) -> None:
    """Whatever is sent and asked when, retries and hedges together stay within the rules, in any window."""
    rules = Ambiguity(floor=floor, share=share, window=window)
    allowance, diary, now = Allowance(rules), Diary(), 100.0
    for what, cost, pause in steps:
        now += pause
        if what == "send":
            allowance.attempted(cost, now)
            diary.attempts.append((now, cost))
        elif allowance.allows(AUTO, cost, now) if what == "try" else allowance.hedges(RETRY, cost, now):
            allowance.take(cost, now)
            diary.tries.append((now, cost))
            diary.check(rules, now)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Ambiguity(floor=-1), "floor must be at least 0, not -1"),
        (lambda: Ambiguity(share=1.5), "share must lie between 0 and 1, not 1.5"),
        (lambda: Ambiguity(share=float("nan")), "share must lie between 0 and 1, not nan"),
        (lambda: Ambiguity(window=0.0), "window must be a finite number of seconds above 0, not 0.0"),
        (lambda: Ambiguity(window=float("inf")), "window must be a finite number of seconds above 0, not inf"),
        (lambda: Retry(attempts=0), "attempts must be at least 1, not 0"),
        (lambda: Retry(most=0), "most must be at least 1, not 0"),
        (lambda: Config(patience=0.0), "patience must be a finite number of seconds above 0, or None, not 0.0"),
        (lambda: Config(patience=float("nan")), "patience must be a finite number of seconds above 0, or None"),
    ],
)  # fmt: skip
def test_rules_that_are_none(make: Callable[[], object], said: str) -> None:
    """Figures under which nothing makes sense are refused, and say which."""
    with pytest.raises(UsageError, match=said.replace(".", r"\.")):
        make()
