"""Books by day and month: their names, their caps under any interleaving and over restarts, and their warnings."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from penstock.commands import Record, Send
from penstock.config import Budget, Config
from penstock.entries import Intent, Settled
from penstock.errors import UsageError
from penstock.events import Reconfigured
from penstock.money.balances import NOTHING, Balance, Balances
from penstock.money.ledger import Fit, Ledger, Low, Reservation, Share
from penstock.money.periods import DAY, capped_as, check, period, split
from tests.histories.bench import Bench

NOON = 1_795_348_800.0
"""2026-11-22, 12:00 UTC."""
MIDNIGHT = NOON + DAY / 2
LAST = 1_796_083_199.0
"""The last second of November 2026."""
PLAIN = ("run", "tenant:acme", "tag:summer")


@given(st.integers(-(10**9), 4 * 10**9), st.floats(0, 1, exclude_max=True))
def test_a_moment_has_the_day_that_the_calendar_says(whole: int, part: float) -> None:
    """UTC, whatever the machine's own zone is; the period ends where the next day begins."""
    unix = whole + part
    there = datetime.fromtimestamp(whole, UTC)
    found = period(unix)
    assert (there.strftime("%Y-%m-%d"), there.strftime("%Y-%m")) == (found.day, found.month)
    assert found.ends > unix
    assert found.day != period(found.ends).day
    assert found.day == period(found.ends - 0.001).day


@pytest.mark.parametrize(("unix", "day"), [(-1e18, "0001-01-01"), (1e18, "9999-12-31")])
def test_what_no_calendar_holds_is_its_first_or_last_day(unix: float, day: str) -> None:
    """A clock that is far off is no reason to fall over."""
    assert day == period(unix).day


@pytest.mark.parametrize(
    ("scope", "book"),
    [
        ("run", "run"),
        ("day", "2026-11-22/run"),
        ("month", "2026-11/run"),
        ("tenant:acme", "tenant:acme"),
        ("tenant:acme@day", "2026-11-22/tenant:acme"),
        ("tag:a/b@month", "2026-11/tag:a/b"),
        ("tenant:joe@example.com", "tenant:joe@example.com"),
        ("tenant:joe@example.com@day", "2026-11-22/tenant:joe@example.com"),
        ("tag:1@day@day", "2026-11-22/tag:1@day"),
    ],
)
def test_which_book_a_cap_is_about(scope: str, book: str) -> None:
    """A cap by day or month is one on the book of that day or month, and is found again from it."""
    now = period(NOON)
    assert book == now.book(scope)
    assert scope == capped_as(book)


def test_a_share_is_booked_by_day_and_month() -> None:
    """On its scopes, the same of the day, and of the month; no plain scope is taken for one with a date."""
    booked = period(NOON).scopes(PLAIN)
    assert PLAIN == booked[:3]
    dates = [split(scope) for scope in booked]
    assert [(when, plain) for when in ("", "2026-11-22", "2026-11") for plain in PLAIN] == dates
    assert ("", "tenant:2026-11-22/x") == split("tenant:2026-11-22/x")


@pytest.mark.parametrize("scope", ["", "week", "run@day", "tenant:", "tenant:@day", "tags:x", "day@day", "Run"])
def test_what_is_no_scope_of_a_cap(scope: str) -> None:
    """A misspelt cap would be none at all, so it is refused and the right names are said."""
    with pytest.raises(UsageError, match="run, day, month, tenant:NAME, tag:NAME"):
        Budget(((scope, 1),))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: Budget((("run", 1), ("run", 2))), "two caps"),
        (lambda: Budget((("day", -1),)), "at least 0, not -1"),
        (lambda: Budget(warn=0.0), "above 0 and at most 1"),
        (lambda: Budget(warn=1.1), "above 0 and at most 1"),
    ],
)
def test_a_budget_that_is_none(made: object, said: str) -> None:
    """Each mistake is named."""
    with pytest.raises(UsageError, match=said):
        made()  # type: ignore[operator] # one of the functions above


@pytest.mark.parametrize("scope", ["day", "month", "tenant:acme@day", "tag:summer@month"])
def test_caps_by_day_need_a_ledger(scope: str) -> None:
    """Without one they would begin anew with every restart: the error says how to get one."""
    budget = Budget((("run", 1), (scope, 1)))
    with pytest.raises(UsageError, match=rf"cap on '{scope}' needs a ledger on disk.*--ledger PATH"):
        Ledger(budget)
    with pytest.raises(UsageError, match="needs a ledger on disk"):
        Bench(Config(budget=budget))
    bench = Bench()
    with pytest.raises(UsageError, match="needs a ledger on disk"):
        bench.tell(Reconfigured(Config(budget=budget)))
    bench.ask("a")
    assert "c1" == bench.take(Send).lane.credential  # the new configuration has no credential: nothing of it was taken
    check(budget, ledger=True)


def shares(books: Ledger, amount: int | None, unix: float, *plain: str) -> tuple[Share, ...]:
    """One share as the engine makes it."""
    return (Share(books.scopes(("run", *plain), unix), amount),)


def test_a_reservation_stays_on_its_day() -> None:
    """One made before midnight ends on the day before; the new day has all its room at once, the month has not."""
    books = Ledger(Budget((("day", 100), ("month", 150))), dated=True)
    before = shares(books, 100, MIDNIGHT - 1)
    late = books.reserve(before)
    assert Fit.LATER is books.fits(shares(books, 1, MIDNIGHT - 1))
    today = shares(books, 50, MIDNIGHT)
    assert Fit.NOW is books.fits(today)
    assert Fit.LATER is books.fits(shares(books, 51, MIDNIGHT))
    assert "2026-11/run" == books.tight(shares(books, 51, MIDNIGHT))
    books.settle(books.reserve(today), (50,))
    books.maybe(late)
    sums = books.balances()
    assert (Balance(maybe=100), Balance(charged=50)) == (sums.of("2026-11-22/run"), sums.of("2026-11-23/run"))
    assert Balance(charged=50, maybe=100) == sums.of("2026-11/run")
    assert Fit.NEVER is books.fits(shares(books, 1, MIDNIGHT))
    assert "month" == capped_as(books.tight(shares(books, 1, MIDNIGHT)))


def test_the_date_never_runs_backwards() -> None:
    """A clock that is set back does not open the books of a day that is over; those go when nothing is out on them."""
    books = Ledger(Budget((("day", 100),)), dated=True)
    books.settle(books.reserve(shares(books, 100, MIDNIGHT - 1)), (100,))
    assert books.scopes(("run",), MIDNIGHT) == books.scopes(("run",), MIDNIGHT - DAY)
    assert ["2026-11-23/run", "2026-11/run", "run"] == [name for name, _ in books.balances().scopes]


def test_books_that_are_opened_count_for_their_day() -> None:
    """Whatever dates a ledger hands in: only the day that is has the cap, and later ones are kept for their time."""
    opening = Balances((("2026-11-21/run", Balance(charged=90)), ("2026-11-22/run", Balance(60, 0, 20)),
                        ("2026-11-23/run", Balance(charged=70)), ("2026-11/run", Balance(charged=250))))  # fmt: skip
    books = Ledger(Budget((("day", 100),)), opening, dated=True)
    assert (Fit.NOW, Fit.NEVER) == tuple(books.fits(shares(books, amount, NOON)) for amount in (20, 21))
    assert (Fit.NOW, Fit.NEVER) == tuple(books.fits(shares(books, amount, MIDNIGHT)) for amount in (30, 31))


def test_a_cap_that_is_nearly_used_is_told_once() -> None:
    """When a share of it is passed by what is gone, not by what is out; again on a new day, or after it was raised."""
    books = Ledger(Budget((("day", 100), ("run", 1000)), warn=0.8), dated=True)
    kept = [books.reserve(shares(books, 40, NOON)) for _ in range(2)]
    books.settle(kept[0], (40,))
    assert [] == books.low()
    books.maybe(kept[1])
    assert [Low("day", 80, 100)] == books.low()
    books.settle(books.reserve(shares(books, 10, NOON)), (10,))
    assert [] == books.low()
    books.rebudget(Budget((("day", 110), ("run", 1000))))
    assert [] == books.low()
    books.rebudget(Budget((("day", 200), ("run", 1000))))
    books.settle(books.reserve(shares(books, 80, NOON)), (80,))
    assert [Low("day", 170, 200)] == books.low()
    books.settle(books.reserve(shares(books, 160, MIDNIGHT)), (160,))
    assert [Low("day", 160, 200)] == books.low()
    opened = Ledger(Budget((("run", 10),)), Balances((("run", Balance(charged=9)),)))
    opened.settle(opened.reserve((Share(("run",), 1),)), (0,))
    assert [Low("run", 9, 10)] == opened.low()
    quiet = Ledger(Budget((("run", 10),), warn=None))
    quiet.settle(quiet.reserve((Share(("run",), 10),)), (10,))
    assert [] == quiet.low()


def test_the_engine_books_by_the_day_of_its_clock() -> None:
    """The day is that of the moment when money is reserved, also for a job that was submitted on the day before."""
    bench = Bench(Config(Bench().config.credentials, budget=Budget((("day", 150),)), ledger=True))
    bench.now = 35_195.0  # five seconds before midnight
    bench.ask("a")
    bench.ask("b")  # waits for the only lane
    bench.records(bench.take(Record))
    bench.now += 10.0
    bench.pays(bench.take(Send), 60)
    settled, intent = bench.take(Record).entry, bench.take(Record).entry
    assert isinstance(settled, Settled)
    assert isinstance(intent, Intent)
    assert (("run", "2026-09-22/run", "2026-09/run"),) == intent.scopes
    assert (Balance(100), Balance(100, 60, 0, 40)) == (bench.book("2026-09-22/run"), bench.book("2026-09/run"))


CAPS = (("run", 300), ("day", 60), ("month", 100), ("tenant:acme@day", 40), ("tag:summer@month", 50))
PAYERS = (("run",), ("run", "tenant:acme"), ("run", "tenant:acme", "tag:summer"), ("run", "tag:summer"))


class Days(RuleBasedStateMachine):
    """Any interleaving of reservations, their ends, midnights and restarts; what is out at a restart is maybe."""

    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.now = LAST - 2 * DAY
        self.true: dict[str, int] = {}
        self.out: list[Reservation] = []
        self.open(NOTHING)

    def open(self, opening: Balances) -> None:
        """Books as a process opens them."""
        self.books = Ledger(Budget(CAPS), opening, dated=True)
        self.books.scopes(("run",), self.now)

    @rule(seconds=st.sampled_from((1.0, 3600.0, DAY / 2, 2.0 * DAY)))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds

    @rule(target=held, plain=st.sampled_from(PAYERS), amount=st.integers(0, 45))
    def reserve(self, plain: tuple[str, ...], amount: int) -> Reservation | None:
        """Reserve where it fits."""
        wanted = (Share(self.books.scopes(plain, self.now), amount),)
        if self.books.fits(wanted) is not Fit.NOW:
            return None
        self.out.append(self.books.reserve(wanted))
        return self.out[-1]

    @rule(kept=consumes(held), how=st.sampled_from(("settle", "void", "maybe")), part=st.floats(0, 1))
    def end(self, kept: Reservation | None, how: str, part: float) -> None:
        """End it, within its bound."""
        if kept is None or kept not in self.out:
            return
        self.out.remove(kept)
        charge = int((kept.shares[0].amount or 0) * part) if how == "settle" else 0
        gone = (kept.shares[0].amount or 0) if how == "maybe" else charge
        for scope in kept.shares[0].scopes:
            self.true[scope] = self.true.get(scope, 0) + gone
        if how == "maybe":
            self.books.maybe(kept)
        else:
            self.books.settle(kept, (charge,))

    @rule()
    def restart(self) -> None:
        """What was out stays booked, and only the current day and month are opened."""
        for kept in self.out:
            for scope in kept.shares[0].scopes:
                self.true[scope] = self.true.get(scope, 0) + (kept.shares[0].amount or 0)
        self.out.clear()
        now = period(self.now)
        kept_scopes = {name: Balance(charged=sum_) for name, sum_ in self.true.items() if not now.past(name)}
        self.open(Balances(tuple(sorted(kept_scopes.items()))))

    @invariant()
    def every_cap_holds_on_every_day(self) -> None:
        """What is gone and what is out, on each book that there ever was."""
        out: dict[str, int] = dict(self.true)
        for kept in self.out:
            for scope in kept.shares[0].scopes:
                out[scope] = out.get(scope, 0) + (kept.shares[0].amount or 0)
        caps = dict(CAPS)
        for scope, amount in out.items():
            assert amount <= caps.get(capped_as(scope), 10**9), scope
        for scope, balance in self.books.balances().scopes:
            assert out.get(scope, 0) == balance.charged + balance.maybe + balance.reserved


TestDays = Days.TestCase
TestDays.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
