"""What a run has to do: which rows are done, left, stale or sent, decided from the books alone."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from penstock.config import Used
from penstock.ids import JobId, Key
from penstock.outcomes import Outcome, Status, Trouble
from penstock.work import CachePolicy, OnAmbiguous
from penstock_io.batch.keying import Keyed
from penstock_io.batch.plan import Plan, changes, make_plan
from penstock_io.batch.rows import Defaults
from penstock_io.batch.settings import Choices, Repeats
from penstock_io.batch.states import NEW, RowState
from penstock_io.journal import Account
from tests.planning import HIGH, LOW, keyed_of, rows_of

FATES = ("new", "done", "refused", "failed", "unsent", "doubtful", "held", "low", "renamed keys")


def ids(rows: tuple[Keyed, ...]) -> list[str]:
    """The names of rows."""
    return [one.id for one in rows]


class Books:
    """States and an account that are made up."""

    def __init__(self) -> None:
        self.states: dict[str, RowState] = {}
        self.shown: dict[tuple[int, JobId], Mapping[Key, str]] = {}
        self.prices: dict[Key, int | None] = {}
        self.doubts: dict[Key, int | None] = {}

    @property
    def account(self) -> Account:
        """The account."""
        return Account(shown=self.shown, prices=self.prices, doubts=self.doubts, attempts=10)

    def be(self, number: int, keyed: Keyed, fate: str) -> None:
        """A row that has had a fate in an earlier run."""
        if fate == "new":
            return
        job = (1, JobId(number))
        keys = tuple(Key(f"old {key}") for key in keyed.keys) if fate == "renamed keys" else keyed.keys
        request = evolve(keyed.request, quality="medium") if fate == "low" else keyed.request
        if fate == "low":
            keys = tuple(Key(f"medium {key}") for key in keyed.keys)
        state = NEW.sent(job, keys, request, keyed.row.content, keyed.sample)
        if fate in {"done", "low", "renamed keys"}:
            self.shown[job] = {key: f"images/{stem}.png" for key, stem in zip(keys, keyed.stems, strict=True)}
            state = state.ended(Outcome(Status.COMPLETED), 1.0)
        if fate in {"done", "low", "renamed keys", "held"}:
            self.prices |= dict.fromkeys(keys, 7)
        if fate in {"refused", "failed", "unsent"}:
            kind = {"refused": "moderation", "failed": "server", "unsent": "unsent"}[fate]
            state = state.ended(Outcome(Status.FAILED, error=Trouble(kind, "said")), 1.0)
        if fate == "doubtful":
            self.doubts |= dict.fromkeys(keys, 9)
        self.states[keyed.id] = state


def test_every_fate_has_its_place() -> None:
    """Done and refused rows stay, whatever may pass is sent, and only what was asked otherwise is stale."""
    rows = keyed_of(rows_of(*({"id": fate, "prompt": fate} for fate in FATES)))
    books = Books()
    for number, keyed in enumerate(rows):
        books.be(number, keyed, keyed.id)
    plan = make_plan(rows, books.states, books.account, Choices())
    assert ["new", "failed", "unsent", "doubtful", "held", "low"] == ids(plan.send)
    assert (2, 1, 0, 0, 1) == (plan.done, plan.final, plan.left, plan.held_back, plan.doubtful)
    assert [("low", "quality medium -> low", ("images/low.png",))] == [
        (stale.keyed.id, stale.why, stale.files) for stale in plan.stale
    ]
    retried = make_plan(rows, books.states, books.account, Choices(retry_failed=True))
    assert "refused" in ids(retried.send)


@given(
    fates=st.lists(st.sampled_from(FATES), max_size=12),
    limit=st.none() | st.integers(1, 8),
    mode=st.sampled_from(OnAmbiguous),
    retry_failed=st.booleans(),
    repeating=st.booleans(),
)
def test_every_row_is_counted_once(
    fates: list[str], limit: int | None, mode: OnAmbiguous, retry_failed: bool, repeating: bool
) -> None:
    """Sent, done, final, left and held back are all rows; sent ones are in order, and no more than the limit buy."""
    fields = [{"id": f"{n}", "prompt": "same" if repeating else f"{n}", "n": 1 + n % 2} for n in range(len(fates))]
    rows = keyed_of(rows_of(*fields))
    books = Books()
    for number, (keyed, fate) in enumerate(zip(rows, fates, strict=True)):
        books.be(number, keyed, fate)
    account = books.account
    plan = make_plan(rows, books.states, account, Choices(mode, retry_failed=retry_failed, limit=limit))
    assert len(rows) == len(plan.send) + plan.done + plan.final + plan.left + plan.held_back
    assert [row.index for row in plan.rows if row.id in set(ids(plan.send))] == [one.index for one in plan.send]
    buying = [one for one in plan.send if any(key not in account.prices for key in one.keys)]
    assert limit is None or len(buying) <= limit
    assert {stale.keyed.id for stale in plan.stale} <= set(ids(tuple(buying)))
    assert plan.doubtful == len({key for one in buying for key in one.keys} & set(account.doubts))
    assert mode is not OnAmbiguous.RETRY or plan.left == 0
    assert mode not in {OnAmbiguous.SKIP, OnAmbiguous.ASK} or plan.doubtful == 0


@pytest.mark.parametrize("mode", OnAmbiguous)
def test_what_the_store_has_takes_nothing_of_the_allowance(mode: OnAmbiguous) -> None:
    """Of twenty rows in doubt eighteen are stored: these are read, whatever becomes of the others, not bought."""
    rows = keyed_of(rows_of(*({"id": f"{number}", "prompt": f"{number}"} for number in range(20))))
    books = Books()
    for number, keyed in enumerate(rows):
        books.be(number, keyed, "doubtful")
    stored = frozenset(key for one in rows[:18] for key in one.keys)
    plan = make_plan(rows, books.states, books.account, Choices(mode), stored)
    tried = mode in {OnAmbiguous.AUTO, OnAmbiguous.RETRY}
    assert (20 if tried else 18, 0 if tried else 2) == (len(plan.send), plan.left)
    assert (2 if tried else 0, 2 if tried else 0) == (plan.doubtful, plan.used.tries)
    read = CachePolicy.USE if mode is OnAmbiguous.RETRY else CachePolicy.ONLY
    assert [read] * 18 == [one.options.cache for one in plan.send[:18]]
    assert {CachePolicy.USE} >= {one.options.cache for one in plan.send[18:]}
    doubted = make_plan(rows, books.states, books.account, Choices(mode, limit=None))
    assert {CachePolicy.USE} >= {one.options.cache for one in doubted.send}


def test_a_new_schema_of_keys_alone_makes_nothing_again() -> None:
    """A row that is complete, or was refused, under other keys for the same words is done, or final."""
    rows = keyed_of(rows_of({"id": "a", "prompt": "a"}, {"id": "b", "prompt": "b"}))
    books = Books()
    for number, keyed in enumerate(rows):
        books.be(number, keyed, "renamed keys")
    refused = books.states["b"].ended(Outcome(Status.FAILED, error=Trouble("moderation", "no")), 1.0)
    books.states["b"] = evolve(refused, keys=(Key("of another schema"),))
    plan = make_plan(rows, books.states, books.account, Choices())
    assert (1, 1, ()) == (plan.done, plan.final, plan.send)


def test_a_refusal_is_final_for_what_was_asked_and_for_nothing_else() -> None:
    """The same id with other words or options is sent, and is not stale: there is nothing of it."""
    refused, mended = (keyed_of(rows_of({"id": "a", "prompt": prompt}))[0] for prompt in ("wicked", "kind"))
    books = Books()
    books.be(1, refused, "refused")
    assert 1 == make_plan([refused], books.states, books.account, Choices()).final
    plan = make_plan([mended], books.states, books.account, Choices())
    assert ((mended,), (), 0) == (plan.send, plan.stale, plan.final)


@pytest.mark.parametrize(
    ("before", "now", "why"),
    [
        ({"quality": "low"}, {"quality": "high"}, "quality low -> high"),
        ({"size": "1024x1024"}, {"n": 2, "seed": 5}, "n 1 -> 2, size 1024x1024 -> default, seed default -> 5"),
        ({}, {"prompt": "another"}, "prompt changed"),
        ({"prompt": "x", "quality": "low"}, {"prompt": "y"}, "prompt changed, quality low -> default"),
        ({"seed": 1}, {"seed": 2}, "seed 1 -> 2"),
        ({"model": "a"}, {"model": "b", "extra": {"steps": 4}}, "model a -> b, extra.steps default -> 4"),
        ({"model": "of-them", "extra": {"a": "x" * 50}}, {"model": "of-them"}, f"extra.a {'x' * 37}... -> default"),
    ],
)  # fmt: skip
def test_a_stale_row_says_what_changed(before: dict[str, object], now: dict[str, object], why: str) -> None:
    """Each field that differs is named with both values; a prompt is too long for that."""
    defaults = Defaults("gpt-image-2")
    old, new = (
        keyed_of(rows_of({"id": "a", "prompt": "a", **fields}, defaults=defaults))[0] for fields in (before, now)
    )
    books = Books()
    books.be(1, old, "done")
    (stale,) = make_plan([new], books.states, books.account, Choices()).stale
    assert (why, ("images/a.png",)) == (stale.why, stale.files)
    assert why == changes(books.states["a"], new)


def test_what_changes_no_picture_makes_nothing_again() -> None:
    """Another user, a default that is said, an option that moved into the row: the same pictures."""
    old = keyed_of(rows_of({"id": "a", "prompt": "a"}, defaults=Defaults("gpt-image-2", quality="low")))[0]
    books = Books()
    books.be(1, old, "done")
    for fields in ({"user": "me"}, {"size": "auto"}, {"quality": "low"}, {"output_format": "png"}):
        rows = keyed_of(rows_of({"id": "a", "prompt": "a", **fields}, defaults=Defaults("gpt-image-2", quality="low")))
        plan = make_plan(rows, books.states, books.account, Choices())
        assert (1, (), ()) == (plan.done, plan.send, plan.stale)


def test_more_pictures_of_the_same_are_bought_and_fewer_cost_nothing() -> None:
    """`n` from 1 to 3 keeps the first picture, so nothing is made again; from 3 to 1 nothing is to be done."""
    one, three = (keyed_of(rows_of({"id": "a", "prompt": "a", "n": n}))[0] for n in (1, 3))
    books = Books()
    books.be(1, one, "done")
    more = make_plan([three], books.states, books.account, Choices())
    assert (["a"], ()) == (ids(more.send), more.stale)
    books = Books()
    books.be(1, three, "done")
    assert 1 == make_plan([one], books.states, books.account, Choices()).done


def test_going_back_to_what_is_paid_is_not_stale() -> None:
    """A row whose pictures of now are paid is sent without being told as made again."""
    low, high = (keyed_of(rows_of({"id": "a", "prompt": "a"}, defaults=defaults))[0] for defaults in (LOW, HIGH))
    books = Books()
    books.be(1, high, "done")
    books.prices[low.keys[0]] = 5
    plan = make_plan([low], books.states, books.account, Choices())
    assert (["a"], ()) == (ids(plan.send), plan.stale)


def test_paid_but_unpublished_pictures_make_a_row_stale_too() -> None:
    """What a crash kept from being shown was paid all the same: to ask for something else is told."""
    low, high = (keyed_of(rows_of({"id": "a", "prompt": "a"}, defaults=defaults))[0] for defaults in (LOW, HIGH))
    books = Books()
    books.be(1, low, "held")
    (stale,) = make_plan([high], books.states, books.account, Choices()).stale
    assert ("quality low -> high", ()) == (stale.why, stale.files)


def test_the_limit_counts_what_buys() -> None:
    """Rows that are paid for go beside the limit; stale rows beyond it are not told as made again."""
    rows = keyed_of(rows_of(*({"id": f"{n}", "prompt": f"{n}"} for n in range(5))))
    books = Books()
    for number, fate in enumerate(("low", "held", "low", "held", "low")):
        books.be(number, rows[number], fate)
    plan = make_plan(rows, books.states, books.account, Choices(limit=1))
    assert (["0", "1", "3"], 2, ["0"]) == (ids(plan.send), plan.held_back, [one.keyed.id for one in plan.stale])


def test_rows_beyond_the_limit_and_paid_ones_make_no_room_for_doubts() -> None:
    """The allowance is a share of what is sent in this run, whatever else is open."""
    rows = keyed_of(rows_of(*({"id": f"{n}", "prompt": f"{n}"} for n in range(300))))
    for limit, fate in ((10, "new"), (None, "held")):
        books = Books()
        for number, keyed in enumerate(rows):
            books.be(number, keyed, "doubtful" if number < 10 else fate)
        books.doubts = dict.fromkeys(books.doubts)  # without prices they count by their number alone
        few = make_plan(rows[:10], books.states, books.account, Choices()).doubtful
        assert few == make_plan(rows, books.states, books.account, Choices(limit=limit)).doubtful > 0


@pytest.mark.parametrize(
    ("mode", "sent"),
    [(OnAmbiguous.AUTO, 3), (OnAmbiguous.RETRY, 5), (OnAmbiguous.SKIP, 0), (OnAmbiguous.ASK, 0)],
)
def test_doubtful_pictures_are_tried_as_chosen(mode: OnAmbiguous, sent: int) -> None:
    """`auto` tries a few, `retry` all, `skip` and `ask` none; the others are counted as left."""
    rows = keyed_of(rows_of(*(f"{n}" for n in range(5))))
    books = Books()
    for number, keyed in enumerate(rows):
        books.be(number, keyed, "doubtful")
    plan = make_plan(rows, books.states, books.account, Choices(mode))
    assert (sent, 5 - sent, sent) == (len(plan.send), plan.left, plan.doubtful)


def test_auto_lasts_over_all_runs_of_a_folder() -> None:
    """What earlier runs tried again is used up, and no picture gets a second more try; `retry` goes by neither."""
    rows = keyed_of(rows_of(*(f"{n}" for n in range(5))))
    books = Books()
    for number, keyed in enumerate(rows):
        books.be(number, keyed, "doubtful")
    used = evolve(books.account, tries=2, quoted=90, bounds=18)
    plan = make_plan(rows, books.states, used, Choices())
    assert (1, 4, Used(10, 3, 90, 27)) == (plan.doubtful, plan.left, plan.used)
    again = evolve(books.account, again=frozenset(key for one in rows[:4] for key in one.keys))
    plan = make_plan(rows, books.states, again, Choices())
    assert ([rows[4].id], 4) == (ids(plan.send), plan.left)
    assert 5 == make_plan(rows, books.states, evolve(used, again=again.again), Choices(OnAmbiguous.RETRY)).doubtful


@pytest.mark.parametrize(("attempts", "bound", "sent"), [(1000, 9, 20), (1000, 90, 3), (100, 9, 3), (1000, None, 20)])
def test_a_large_folder_tries_a_share_again_and_no_dearer(attempts: int, bound: int | None, sent: int) -> None:
    """Above three it is 2 % of all attempts and, where prices are known, 2 % of what they were quoted."""
    rows = keyed_of(rows_of(*(f"{n}" for n in range(30))))
    account = Account(doubts=dict.fromkeys((key for one in rows for key in one.keys), bound), attempts=attempts)
    plan = make_plan(rows, {}, evolve(account, quoted=9 * attempts), Choices())
    assert (sent, 30 - sent) == (plan.doubtful, plan.left)


def test_rows_that_want_one_doubtful_picture_share_its_one_more_try() -> None:
    """Five rows that repeat each other are one picture to try again."""
    rows = keyed_of(rows_of(*["same"] * 5))
    books = Books()
    books.be(1, rows[0], "doubtful")
    plan = make_plan(rows, books.states, books.account, Choices())
    assert (5, 1) == (len(plan.send), plan.doubtful)


def test_doubts_of_what_is_not_asked_for_any_more_hold_nothing_up() -> None:
    """A row that asks for something else is sent, though what it asked for before may have been paid."""
    low, high = (keyed_of(rows_of({"id": "a", "prompt": "a"}, defaults=defaults))[0] for defaults in (LOW, HIGH))
    books = Books()
    books.be(1, low, "doubtful")
    plan = make_plan([high], books.states, books.account, Choices(OnAmbiguous.SKIP))
    assert (["a"], 0, ()) == (ids(plan.send), plan.doubtful, plan.stale)


def test_variants_of_repeated_rows_are_asked_for_where_they_shared_one() -> None:
    """From `share` to `new` the first row keeps the picture, the others are stale, and say so."""
    fields = [{"id": name, "prompt": "same"} for name in "abc"]
    shared = keyed_of(rows_of(*fields))
    books = Books()
    for number, keyed in enumerate(shared):
        books.be(number, keyed, "done")
    choices = Choices(repeats=Repeats.NEW)
    plan: Plan = make_plan(keyed_of(rows_of(*fields), books.states, books.account, choices), books.states,
                           books.account, choices)  # fmt: skip
    assert (1, ["b", "c"]) == (plan.done, ids(plan.send))
    assert {"another variant of a repeated row"} == {stale.why for stale in plan.stale}


def test_what_is_paid_and_not_here_is_not_bought_again() -> None:
    """Due, it waits; lost, it is final; beside what is still to be bought it is sent for that; a yes buys all again."""
    rows = keyed_of(rows_of(*({"id": name, "prompt": name, "n": 2} for name in ("due", "lost", "mixed"))))
    due, lost, mixed = (one.keys for one in rows)
    account = Account(due=dict.fromkeys((*due, mixed[0]), 60.0), lost=frozenset(lost))
    plan = make_plan(rows, {}, account, Choices())
    assert (1, 1, ["mixed"], frozenset()) == (plan.owed, plan.final, ids(plan.send), plan.rebuy)
    again = make_plan(rows, {}, account, Choices(retry_failed=True))
    assert (0, 0, ["due", "lost", "mixed"]) == (again.owed, again.final, ids(again.send))
    assert frozenset((*due, mixed[0])) == again.rebuy


def test_what_was_lost_and_came_otherwise_is_shown() -> None:
    """A row that ended without its picture is open as soon as the picture is there; a refused one stays refused."""
    for kind, final in (("lost", 0), ("refused", 1)):
        (row,) = keyed_of(rows_of({"id": "a", "prompt": "a"}))
        state = NEW.sent((1, JobId(1)), row.keys, row.request, row.row.content, row.sample)
        state = state.ended(Outcome(Status.FAILED, error=Trouble(kind, "said")), 1.0)
        account = Account(prices=dict.fromkeys(row.keys, 7))
        assert final == make_plan([row], {"a": state}, account, Choices()).final
