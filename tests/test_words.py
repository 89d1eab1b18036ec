"""How amounts are said to people, foreign texts made harmless, and a run said in a line."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_io.batch.progress import Figures
from penstock_io.cli.live import bar, sentence, wrapped
from penstock_io.words import ago, at_least, at_most, count, harmless, harmless_json, money, one_line, per, size, span
from tests.figures import DOLLAR, HALFWAY


def test_a_line_of_progress_says_it_all() -> None:
    """Done, failed, in flight, pace, time, money, refusals, and what is waited for."""
    assert (
        "1,234 of 5,000 rows, 12 failed, 2 ambiguous, 64 in flight, 118.3 images/min, 32 min 5 s left; $1.2345 of "
        "$5.0000 spent, at most $0.0100 maybe billed, refused 3 times (429), 1 server error (5xx); "
        "waiting for images a minute of KEY_A for gpt-image-2, 12 s"
    ) == sentence(HALFWAY)
    assert "1 row done so far, 0 in flight, 0.0 images/min; $0.0000 spent" == sentence(Figures(done=1))


def test_what_went_wrong_is_said_by_kind() -> None:
    """A row is failed, partial, ambiguous or invalid, never all of them under one word."""
    said = sentence(Figures(total=20, done=10, failed=4, partial=3, ambiguous=2, invalid=1))
    assert said.startswith("10 of 20 rows, 4 failed, 3 partial, 2 ambiguous, 1 invalid, 0 in flight")


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        (Figures(unpriced=True), "price unknown"),
        (
            Figures(unpriced=True, spent=DOLLAR, maybe=99_990_000),
            "at least $1.0000 spent, at least $0.0000 maybe billed",
        ),
        (Figures(unpriced=True, spent=DOLLAR, budget=2 * DOLLAR), "at least $1.0000 of $2.0000 spent"),
        (Figures(spent=10_000_000_001, maybe=6_300_000_001), "$0.0100 spent, at most $0.0064 maybe billed"),
    ],
)
def test_money_that_nobody_knows_is_not_nothing(figures: Figures, said: str) -> None:
    """Where a price is unknown that is said, and what is known is the least; a bound is rounded up."""
    assert said == sentence(figures).split("; ")[1]


@given(st.integers(0, 20_000), st.integers(1, 10_000), st.integers(1, 60), st.booleans())
def test_a_bar_is_as_long_as_it_is_and_as_full(done: int, total: int, cells: int, plain: bool) -> None:
    """It has its cells, is full only at the end, and never goes back."""
    full, empty = bar(done, total, cells, plain=plain)
    assert cells == len(full + empty)
    assert (done >= total) == (full == ("#" if plain else "━") * cells)
    assert len(bar(done + 1, total, cells, plain=plain)[0]) >= len(full)


@given(st.text("ab 漢\u0301", max_size=60), st.integers(1, 20))
def test_wrapped_lines_lose_nothing_but_blanks(text: str, width: int) -> None:
    """Words keep their order; a line is too long only where one word is, and what fits is not broken."""
    lines = wrapped(text, width).split("\n")
    assert text.split() == " ".join(lines).split()
    assert all(len(line.strip().split(" ")) == 1 for line in lines if sum(map(cells, line)) > width)
    assert sum(map(cells, text)) > width or [text.rstrip()] == lines


def cells(char: str) -> int:
    """How wide one of those characters is."""
    return {"漢": 2, "\u0301": 0}.get(char, 1)


# Foreign texts


@given(st.text(st.characters(exclude_categories=()), max_size=60))
def test_harmless_texts_hold_nothing_harmful(text: str) -> None:
    """No controls but newlines, nothing that reverses, nothing that cannot be encoded; good texts are not changed."""
    safe = harmless(text)
    safe.encode()
    assert all(
        char == "\n" or char.isprintable() or char not in map(chr, (*range(32), *range(127, 160))) for char in safe
    )
    assert safe == harmless(safe)
    assert "\n" not in one_line(text)
    assert len(one_line(text * 100)) <= 300


@given(st.dictionaries(st.text(st.characters(exclude_categories=()), max_size=9), st.text(max_size=9), max_size=3))
def test_json_keeps_its_meaning(value: dict[str, str]) -> None:
    """The same value is read from the harmless text, which has no control characters."""
    text = json.dumps(value, ensure_ascii=False, indent=1)
    safe = harmless_json(text)
    assert value == json.loads(safe)
    assert safe.replace("\n", "") == harmless(safe).replace("\n", "")


# Words


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0, "0 s"), (0.2, "0.2 s"), (-1.0, "0 s"), (9.9, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min"),
        (125.0, "2 min 5 s"), (3599.6, "1 h"), (11_040.0, "3 h 4 min"), (86_400.0, "1 d"), (216_000.0, "2 d 12 h"),
        (float("inf"), "unknown"), (float("nan"), "unknown"),
    ],
)  # fmt: skip
def test_times_are_said_as_people_do(seconds: float, said: str) -> None:
    """Two units at most, none of them zero."""
    assert said == span(seconds)


@pytest.mark.parametrize(
    ("picodollars", "said"),
    [
        (0, "$0.0000"), (1, "<$0.0001"), (DOLLAR // 10_000, "$0.0001"), (123_450_000_000, "$0.1235"),
        (1_234_567 * DOLLAR, "$1,234,567.0000"), (-DOLLAR, "-$1.0000"),
    ],
)  # fmt: skip
def test_money_is_said_to_a_hundredth_of_a_cent(picodollars: int, said: str) -> None:
    """What is not nothing is never said to be."""
    assert said == money(picodollars)


@given(st.integers(0, 10**16))
def test_bounds_stay_bounds(picodollars: int) -> None:
    """What is said to be the most is no less, and what is said to be the least no more, each by a part of a cent."""
    most, least = (Decimal(said(picodollars).split("$")[1].replace(",", "")) for said in (at_most, at_least))
    exact = Decimal(picodollars) / DOLLAR
    assert least <= exact <= most < exact + Decimal("0.0001")
    assert exact - least < Decimal("0.0001")


def test_bounds_in_words() -> None:
    """The direction of the rounding is that of the word; a bound that nobody knows is none."""
    assert ["at most $0.0064", "at most $0.0001", "at most $1,000.0000", "an amount that is not known"] == [
        at_most(6_300_000_001), at_most(1), at_most(1000 * DOLLAR), at_most(None),
    ]  # fmt: skip
    assert ["at least $0.0063", "at least $0.0000"] == [at_least(6_399_999_999), at_least(99_999_999)]


def test_times_that_limits_are_of() -> None:
    """By their names where they have one."""
    told = {1.0: "a second", 60.0: "a minute", 3600.0: "an hour", 86_400.0: "a day", 10.0: "in 10 s", 0.0: "a minute"}
    assert told == {window: per(window) for window in told}


def test_things_are_counted() -> None:
    """One of them is singular."""
    assert ["1 row", "0 rows", "5,000 rows", "2 entries"] == [
        count(1, "row"), count(0, "row"), count(5000, "row"), count(2, "entry", "entries"),
    ]  # fmt: skip


def test_a_tab_is_a_blank() -> None:
    """It moves the cursor nowhere that the text alone would not say."""
    assert "a b" == harmless("a\tb")


@pytest.mark.parametrize(
    ("nbytes", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1500, "1.5 kB"),
        (2_000_000, "2.0 MB"),
        (450_000_000, "450 MB"),
        (3 * 10**15, "3000 TB"),
    ],
)
def test_sizes_in_words(nbytes: int, words: str) -> None:
    """Thousands, as disks are sold."""
    assert words == size(nbytes)


@pytest.mark.parametrize(("seconds", "words"), [(0.0, "0 s ago"), (600.0, "10 min ago"), (2 * 86_400.0, "2 d ago")])
def test_ages_in_words(seconds: float, words: str) -> None:
    """As spans are said."""
    assert words == ago(seconds)
