"""Sums of what was spent: the same by whatever they are taken, in whatever order, and as a table for spreadsheets."""

from __future__ import annotations

import csv
import re
from fractions import Fraction
from io import BytesIO

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from penstock_io.costing.csvs import COLUMNS, write_csv
from penstock_io.costing.outlook import Change, decimal_of, project, returns, usd
from penstock_io.costing.sums import (
    DIMENSIONS,
    TAG,
    Book,
    Item,
    Out,
    Place,
    Sums,
    by,
    by_place,
    failures,
    out_now,
    overlap,
    together,
    total,
)

TODAY = "2026-11-22"
PICODOLLARS = 10**12

words = st.sampled_from(["", "?", "a", "=1+1", "-x", 'with "quotes", and\nlines', "é"])
figures = st.integers(0, 10**25)
places = st.builds(
    Place,
    source=words,
    day=st.dates().map(lambda day: day.isoformat()),
    provider=words,
    model=words,
    size=words,
    quality=words,
    credential=words,
    tenant=words,
    tags=st.lists(st.sampled_from(["summer", "+web", "x"]), unique=True, max_size=3).map(tuple),
)
sums = st.builds(Sums, *[st.integers(0, 3)] * 4, figures, figures, st.integers(0, 2), st.integers(0, 2), figures)
items = st.lists(st.builds(Item, place=places, sums=sums, kind=words), max_size=12)


def spent(day: str, charged: int, pictures: int = 1, unknown: int = 0) -> Item:
    """Something that was paid on a day."""
    return Item(Place(day=day), Sums(attempts=1, pictures=pictures, charged=charged, unknown=unknown))


def attempt(number: int, folder: str = "out", charged: int = 1) -> Item:
    """An attempt of a folder."""
    return Item(Place(source=folder), Sums(attempts=1, charged=charged), folder=folder, attempt=(number, float(number)))


@given(items)
def test_sums_by_anything_are_the_total(some: list[Item]) -> None:
    """Whatever they are by, they add up to the total; by tag there is what has several of them besides."""
    whole = total(some)
    for dimension in DIMENSIONS:
        parts = sum(by(some, dimension).values(), Sums())
        if dimension == TAG:
            assert whole.charged + overlap(some) == parts.charged
        else:
            assert whole == parts
    assert whole == sum(by_place(some).values(), Sums())


@given(items)
def test_what_has_one_tag_adds_up_by_tag(some: list[Item]) -> None:
    """Without several tags there is no overlap at all."""
    single = [evolve(item, place=evolve(item.place, tags=item.place.tags[:1])) for item in some]
    assert 0 == overlap(single)
    assert total(single) == sum(by(single, TAG).values(), Sums())


@given(st.lists(items, max_size=4), st.randoms(use_true_random=False))
def test_the_order_of_books_does_not_matter(some: list[list[Item]], random: object) -> None:
    """Folders and ledgers in any order, and any of them twice, come to the same sums by the same names."""
    books = [Book(f"b{n}", f"/b{n}", tuple(mine), ledger=n % 2 == 1) for n, mine in enumerate(some)]
    others = [*books, *books[:1]]
    random.shuffle(others)  # type: ignore[attr-defined] # the strategy gives a Random
    first, second = together(books), together(others)
    assert first.sources == second.sources
    for dimension in DIMENSIONS:
        assert by(first.items, dimension) == by(second.items, dimension)


@given(items)
def test_the_table_has_the_same_sums(some: list[Item]) -> None:
    """Read back, its lines come to the same total and to the same sums by each of its columns."""
    file = BytesIO()
    write_csv(file, by_place(some), mark=True)
    lines = list(csv.DictReader(file.getvalue().decode("utf-8-sig").splitlines(keepends=True)))
    for column, name in (("spent_usd", "charged"), ("maybe_billed_usd", "maybe"), ("saved_usd", "saved")):
        assert getattr(total(some), name) == sum(Fraction(line[column]) for line in lines) * PICODOLLARS
    for column in ("attempts", "failed", "doubtful", "pictures", "unknown", "reused"):
        assert getattr(total(some), column) == sum(int(line[column]) for line in lines)
    for dimension in ("source", "model", "size", "quality", "day", "credential", "tenant"):
        found: dict[str, int] = {}
        for line in lines:
            text = line[dimension]
            text = text[1:] if text[:1] == "'" else text
            found[text] = found.get(text, 0) + int(Fraction(line["spent_usd"]) * PICODOLLARS)
        assert {name: one.charged for name, one in by(some, dimension).items()} == found


@given(st.lists(st.text("a|\\ ", min_size=1), min_size=1, max_size=4))
def test_tags_are_told_apart_whatever_they_hold(tags: list[str]) -> None:
    """A bar of a tag's own is no separator."""
    file = BytesIO()
    write_csv(file, {Place("", "", "", "", "", "", "", "", tuple(tags)): Sums(1)})
    _, line = csv.reader(file.getvalue().decode().splitlines(keepends=True))
    plain = [re.sub(r"\\(.)", r"\1", part) for part in re.findall(r"(?:\\.|[^\\|])+", line[8])]
    last = len(plain) - 1
    assert tags == [part[place > 0 : len(part) - (place < last)] for place, part in enumerate(plain)]


def test_no_cell_of_the_table_is_a_formula() -> None:
    """Whatever a model, a tag or a folder is called."""
    file = BytesIO()
    evil = "=cmd|' /C calc'!A0"
    write_csv(file, {Place(evil, "@day", "+p", "-m", "\tx", "\rx", evil, evil, ("=a", "b")): Sums(1, 0, 0, 1, 5)})
    header, line = csv.reader(BytesIO(file.getvalue()).read().decode().splitlines(keepends=True))
    assert list(COLUMNS) == header
    assert [f"'{evil}", "'@day", "'+p", "'-m", "'\tx", "'\rx", f"'{evil}", f"'{evil}", "'=a | b"] == line[:9]
    assert ["1", "0", "0", "1", "0.000000000005", "0", "0", "0", "0"] == line[9:]


def test_an_attempt_in_a_folder_and_in_a_ledger_counts_once() -> None:
    """The ledger's stands; what only one of the two knows counts, too, and so does the same number elsewhere."""
    folder = Book("out", "/out", (attempt(1), attempt(2)))
    names = frozenset({("out", 2, 2.0), ("out", 3, 3.0), ("other", 1, 1.0)})
    ledger = Book("l", "/l", (attempt(2, charged=10), attempt(3), attempt(1, "other")), ledger=True, attempts=names)
    found = together([folder, ledger])
    assert (1, 1 + 10 + 1 + 1, 4) == (found.twice, total(found.items).charged, total(found.items).attempts)


def test_what_a_folder_saved_counts_once() -> None:
    """The folder knows it itself; of other folders the ledger does."""
    saving = Item(Place(), Sums(reused=1, saved=7), folder="out")
    folder = Book("out", "/out", (saving,))
    ledger = Book("l", "/l", (saving, evolve(saving, folder="gone")), ledger=True)
    assert 14 == total(together([folder, ledger]).items).saved
    assert 14 == total(together([ledger]).items).saved


def test_what_went_to_one_place_is_put_together() -> None:
    """Attempts of one place and kind become one item; nothing of them is lost, nor of what is out."""
    one = Item(Place(source="out"), out=Out(1, 5))
    some = (one, attempt(1), attempt(2), one, Item(Place(), Sums(1, failed=1), "x"))
    found = together([Book("out", "/out", some)]).items
    assert (2, Sums(3, failed=1, charged=2), Out(2, 10)) == (len(found), total(found), out_now(found))


def test_a_book_that_is_named_twice_counts_once() -> None:
    """Under whatever names it is given."""
    found = together([Book("./out", "/out", (attempt(1),)), Book("link", "/out", (attempt(1),))])
    assert (("./out",), 1) == (found.sources, total(found.items).charged)


def test_failures_are_told_by_kind() -> None:
    """What failed and what is in doubt, with its money; what went well is not among them."""
    some = [
        Item(Place(), Sums(1, failed=1, charged=3), "moderation_output"),
        Item(Place(), Sums(1, doubtful=1, maybe=5), "timeout"),
        Item(Place(), Sums(1, doubtful=1, maybe=6), "timeout"),
        Item(Place(), Sums(1, charged=9)),
    ]
    assert {"moderation_output": some[0].sums, "timeout": Sums(2, doubtful=2, maybe=11)} == failures(some)
    assert Out(2, 3, 1) == out_now([Item(Place(), out=Out(1, 3)), Item(Place(), out=Out(1, 0, 1))])


def test_a_month_is_as_the_last_days_were() -> None:
    """What was spent since the first day of the window with spending, by those days, times 30."""
    some = [spent("2026-11-13", 5), spent("2026-11-14", 4), spent("2026-11-22", 1, 3), spent("2026-10-01", 99)]
    found = project(some, TODAY)
    assert (Fraction(10 * 30, 10), Fraction(5 * 30, 10), 10, 3, False) == (
        found.monthly, found.pictures, found.days, found.spending, found.unknown,
    )  # fmt: skip


def test_the_window_has_thirty_days() -> None:
    """The thirtieth day back counts, the one before does not, and neither does what is dated later than today."""
    days = ["2026-10-24", "2026-10-25", "2026-11-22"]
    found = project([spent(day, 7) for day in (*days, "2026-10-23", "2026-11-23")], TODAY)
    assert (Fraction(21), 30) == (found.monthly, found.days)


@pytest.mark.parametrize(
    ("days", "told"),
    [
        ([], (0, 0)),
        (["2026-09-01"], (0, 0)),
        (["2026-11-22"], (1, 1)),
        (["2026-11-17", "2026-11-18", "2026-11-22"], (6, 3)),
        (["2026-11-01", "2026-11-22"], (22, 2)),
    ],
)
def test_too_little_gives_no_month(days: list[str], told: tuple[int, int]) -> None:
    """Six days, or two with spending, are none that a month could be told from."""
    found = project([spent(day, 5) for day in days], TODAY)
    assert (None, None, *told) == (found.monthly, found.pictures, found.days, found.spending)


def test_a_month_of_unknown_charges_is_at_least_so_much() -> None:
    """A day on which nobody knows what was paid is one with spending."""
    some = [spent("2026-11-01", 0, unknown=1), spent("2026-11-02", 11), spent("2026-11-03", 11)]
    assert (Fraction(30), True) == (project(some, TODAY).monthly, project(some, TODAY).unknown)


def test_a_change_pays_back() -> None:
    """The published formula, in exact fractions."""
    found = returns(Change(Fraction(2000), Fraction("0.8"), Fraction(20), Fraction(3000)), Fraction("0.04"))
    assert (Fraction(1500), Fraction(2), Fraction(5)) == (found.monthly, found.payback, found.yearly)


@pytest.mark.parametrize(
    ("labour", "once", "monthly", "payback", "yearly"),
    [
        ("0.01", "100", "-30", None, "-4.6"),
        ("0.04", "100", "0", None, "-1"),
        ("0.04", "0", "0", "0", None),
        ("0.01", "0", "-30", None, None),
        ("0.05", "0", "10", "0", None),
    ],
)
def test_a_change_may_never_pay(labour: str, once: str, monthly: str, payback: str | None, yearly: str | None) -> None:
    """Nothing saved never pays back; with nothing paid at the beginning there is no rate."""
    found = returns(Change(Fraction(1000), Fraction(labour), Fraction(0), Fraction(once)), Fraction("0.04"))
    expected = [None if text is None else Fraction(text) for text in (monthly, payback, yearly)]
    assert expected == [found.monthly, found.payback, found.yearly]


@given(st.integers(-(10**40), 10**40))
def test_dollars_are_exact(amount: int) -> None:
    """Read back they are the same picodollars, whatever their size; and there is no exponent."""
    assert amount == Fraction(usd(amount)) * PICODOLLARS
    assert "e" not in usd(amount).lower()


@pytest.mark.parametrize(("amount", "places", "text"), [("1.25", 1, "1.2"), ("-0.5", 12, "-0.5"), ("7", 0, "7")])
def test_decimals_are_rounded_half_to_even(amount: str, places: int, text: str) -> None:
    """As banks do."""
    assert text == decimal_of(Fraction(amount), places)
