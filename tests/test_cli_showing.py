"""What is said of a batch before it begins: how far the budget goes, what options leave as it is, what needs a yes."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from penstock_io.batch.convert import RECORD
from penstock_io.batch.plan import Plan
from penstock_io.batch.rows import Defaults
from penstock_io.batch.settings import Choices, Conversion, Settings
from penstock_io.batch.survey import Survey
from penstock_io.cli.folders import Books, look
from penstock_io.cli.showing import Enough, Room, enough, kept, plan_json, reasons_of, room_of
from penstock_io.journal import Account
from tests.planning import Shop, keyed_of, rows_of

SETTINGS = Settings(Path("out"), "", {})
FOUND = Survey(
    rows=10, distinct=10, repeats=0, done=0, cached=0, send=10, pictures=10, bound=10**11, expected=10**10, unpriced=0,
    seconds=1.0, nbytes=10, free=100, stale=0, stale_bound=0, why=(), final=0, held_back=0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (FOUND, []),
        (evolve(FOUND, bound=2 * 10**12), ["10 pictures cost at most $2.0000"]),
        (evolve(FOUND, bound=None, unpriced=10), ["10 pictures cost an amount that is not known beforehand"]),
        (evolve(FOUND, bound=None, send=0, pictures=0), []),
        (evolve(FOUND, free=None), []),
        (evolve(FOUND, nbytes=101), ["the disk may not have enough room"]),
        (
            evolve(FOUND, stale=2, stale_bound=10**10, why=(("prompt changed", 1), ("size a -> b", 1))),
            ["2 rows would be made again (prompt changed, size a -> b) for at most $0.0100"],
        ),
        (
            evolve(FOUND, stale=1, stale_bound=None, why=(("prompt changed", 1),)),
            ["1 row would be made again (prompt changed) for an amount that is not known"],
        ),
    ],
)
def test_what_has_to_be_agreed_to(found: Survey, told: list[str]) -> None:
    """A price above a dollar or unknown, pictures that would be made again, a disk without room."""
    reasons = reasons_of(found, SETTINGS)
    assert told == [reason.told for reason in reasons]
    assert all(reason.grave == ("cost" not in reason.told) for reason in reasons)


# The budget


@given(
    prompts=st.lists(st.sampled_from("abcdef"), min_size=1, max_size=8),
    cents=st.integers(0, 5),
    spent=st.integers(0, 2),
)
def test_a_budget_is_enough_for_as_many_rows_as_it_has_room_for(prompts: list[str], cents: int, spent: int) -> None:
    """At their bounds as many as what is left of it holds; repeated rows cost nothing, and expected prices less."""
    rows = keyed_of(rows_of(*prompts))
    settings = evolve(SETTINGS, budget=Decimal(cents) / 100)
    books = Books(spent=spent * 10**10)
    made = enough(Plan(tuple(rows), tuple(rows)), books, room_of(books, settings, 0.0, fresh=True))
    left = max(0, cents - spent) * 10**10
    bound = rows[0].bound or 0
    first = [place for place, prompt in enumerate(prompts) if prompt not in prompts[:place]]
    paid = min(left // bound, len(first))
    least = first[paid] if paid < len(first) else len(prompts)
    assert made is not None
    assert (left, len(prompts), least) == (made.left, made.rows, made.least)
    assert made.least <= made.likely <= made.rows


def test_what_pictures_probably_cost_goes_further_than_their_bounds() -> None:
    """Where the model chooses size and quality a row is sent once its bound fits, and then takes less of the rest."""
    rows = keyed_of(rows_of("a", "b", "c", "d", "e", "f", defaults=Defaults("gpt-image-2")))
    bound, expected = rows[0].bound or 0, rows[0].expected or 0
    assert 0 < 2 * expected < bound
    settings = evolve(SETTINGS, budget=Decimal(bound + 2 * expected) / 10**12)
    assert Enough(bound + 2 * expected, 6, 1, 3) == enough(
        Plan(tuple(rows), tuple(rows)), Books(), room_of(Books(), settings, 0.0, fresh=True)
    )


def test_without_a_budget_everything_is_enough() -> None:
    """There is nothing to say, and nothing for a program."""
    rows = keyed_of(rows_of("a"))
    assert None is room_of(Books(), SETTINGS, 0.0, fresh=True)
    assert None is enough(Plan(tuple(rows), tuple(rows)), Books(), None)
    assert (None, None) == tuple(plan_json(FOUND, None, 0)[name] for name in ("budget_left_usd", "budget_rows"))


def test_what_is_paid_takes_nothing_of_a_budget() -> None:
    """Rows whose pictures are there are none of those that are counted; one without a price takes no room."""
    rows = keyed_of(rows_of("a", "b", {"prompt": "c", "model": "unheard-of"}))
    account = Account(prices=dict.fromkeys(rows[0].keys, 5))
    made = enough(Plan(tuple(rows), tuple(rows)), Books(account=account), Room(10**12))
    assert Enough(10**12, 2, 2, 2) == made


@pytest.mark.parametrize(
    ("room", "told"),
    [
        (Enough(10**12, 400, 400, 400), ""),
        (Enough(10**12, 0, 0, 0), ""),
        (Enough(10**12, 400, 40, 40), "budget: $1.0000 are left, enough for about 40 of 400 rows"),
        (
            Enough(10**12, 400, 12, 40),
            "budget: $1.0000 are left, enough for about 40 of 400 rows (for 12 if each costs the most)",
        ),
        (
            Enough(10**12, 400, 12, 400),
            "budget: $1.0000 are left, probably enough for all 400 rows (for 12 if each costs the most)",
        ),
        (Enough(10**9, 2, 0, 0), "budget: $0.0010 are left, which is not enough for the first of 2 rows"),
    ],
)
def test_how_far_a_budget_goes_is_said(room: Enough, told: str) -> None:
    """Where it may not be enough for all rows."""
    assert told == room.told


# What stays as it is


def test_names_that_pictures_have_are_kept_and_that_is_said(tmp_path: Path) -> None:
    """`--name` is for new pictures; the folder's own template, and marks that tell names apart, are no other names."""
    shop = Shop(tmp_path)
    rows = rows_of({"id": "X", "prompt": "a"}, {"id": "x", "prompt": "b", "n": 2}, {"id": "../y", "prompt": "c"})
    shop.run(rows)
    told = "names: the pictures of 3 rows keep those that they have; p-{id} (--name) is for new ones"
    for name, expected in (("{id}", []), ("p-{id}", [told]), ("{sku}", [])):
        settings = evolve(SETTINGS, folder=tmp_path, choices=Choices(name=name))
        keyed = keyed_of(rows, (books := look(tmp_path)).states, books.account)
        assert expected == kept(Plan(tuple(keyed), ()), books, settings)


def test_names_that_only_marks_tell_apart_are_the_templates_own(tmp_path: Path) -> None:
    """What a folder was made with is nothing to be told of, whatever became of ids that are no file names."""
    choices = Choices(name="p-{id}")
    rows = rows_of({"id": "X", "prompt": "a"}, {"id": "x", "prompt": "b", "n": 2}, {"id": "../y", "prompt": "c"})
    Shop(tmp_path).run(rows, choices)
    keyed = keyed_of(rows, (books := look(tmp_path)).states, books.account, choices)
    assert [] == kept(Plan(tuple(keyed), ()), books, evolve(SETTINGS, folder=tmp_path, choices=choices))


def test_names_of_before_are_told_where_new_ones_come_beside_them(tmp_path: Path) -> None:
    """Without `--name` it is said only where rows are sent."""
    shop = Shop(tmp_path)
    choices = Choices(name="p-{id}")
    shop.run(rows_of("a"), choices)
    rows, books = rows_of("a", "b"), look(tmp_path)
    keyed = tuple(keyed_of(rows, books.states, books.account))
    settings = evolve(SETTINGS, folder=tmp_path)
    told = "names: the pictures of 1 row keep those that they have; {id} (--name) is for new ones"
    assert [told] == kept(Plan(keyed, keyed[1:]), books, settings)
    assert [] == kept(Plan(keyed, ()), books, settings)


def test_pictures_that_were_converted_stay_so_and_that_is_said(tmp_path: Path) -> None:
    """Without `--convert` nobody makes them anew."""
    shop = Shop(tmp_path)
    rows = rows_of({"id": "a", "prompt": "a"}, {"id": "b", "prompt": "b"})
    shop.run(rows)
    shop.ask(lambda journal: journal.move("images/a.png", "originals/a.png"))
    (tmp_path / "images" / "a.jpg").write_bytes(b"small")
    line = '{"original": "originals/a.png", "file": "images/a.jpg", "how": "- jpeg -"}\n'
    (tmp_path / RECORD).write_text(line, encoding="utf-8")
    books, settings = look(tmp_path), evolve(SETTINGS, folder=tmp_path)
    plan = Plan(tuple(keyed_of(rows, books.states, books.account)), ())
    (told,) = kept(plan, books, settings)
    assert told.startswith("1 picture stays as it was made by --resize or --convert, which this run leaves out")


def test_pictures_of_before_that_will_be_converted_are_told_of(tmp_path: Path) -> None:
    """How many, and what becomes of what was paid; those that were made so already are none of them."""
    shop = Shop(tmp_path)
    rows = rows_of({"id": "a", "prompt": "a"}, {"id": "b", "prompt": "b"}, {"id": "c", "prompt": "c"})
    shop.run(rows)
    shop.ask(lambda journal: journal.move("images/a.png", "originals/a.png"))
    (tmp_path / "images" / "a.jpg").write_bytes(b"small")
    line = '{"original": "originals/a.png", "file": "images/a.jpg", "how": "- jpeg -"}\n'
    (tmp_path / RECORD).write_text(line, encoding="utf-8")
    books, settings = look(tmp_path), evolve(SETTINGS, folder=tmp_path)
    plan = Plan(tuple(keyed_of(rows, books.states, books.account)), ())
    moved = "2 pictures of before will be converted, as far as there is something to change; "
    moved += "what was paid moves to originals/"
    assert [moved] == kept(plan, books, evolve(settings, conversion=Conversion(format="jpeg")))
    anew = "1 picture of before will be converted anew, from what was paid in originals/"
    assert [moved, anew] == kept(plan, books, evolve(settings, conversion=Conversion(format="webp")))
    assert [] == kept(plan, Books(), evolve(settings, conversion=Conversion(format="webp")))
