"""Quotes of whole inputs: the same as a batch shows, repeats and what is paid taken off, and what would be cheaper."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from penstock.catalog import Override, Overrides, moment, names, objection, picture_rate
from penstock.catalog import model as known
from penstock.requests import ImageRequest
from penstock.work import Rates
from penstock_io.batch.keying import key_rows
from penstock_io.batch.plan import make_plan
from penstock_io.batch.rows import Defaults, InputError
from penstock_io.batch.settings import Choices, Settings
from penstock_io.batch.states import load_states
from penstock_io.batch.survey import survey
from penstock_io.costing.asking import Quoted, quote_rows
from penstock_io.costing.quotes import as_lines, as_object
from penstock_io.costing.quoting import Amount, Ask, Option, Quoter, by_batch, by_setting, cheaper, group
from penstock_io.journal import Account, peek
from penstock_io.simserver import SimServer, serving
from tests.batching import FAST, folder_for, table

NOW = moment("2026-11-22")
HIGH = ImageRequest(prompt="a red fox", model="gpt-image-2", size="1536x1024", quality="high")

requests = st.builds(
    ImageRequest,
    prompt=st.text("aé ", min_size=1, max_size=9).filter(str.strip),
    model=st.sampled_from([*names(), "gpt-image-1.5", "unheard-of"]),
    size=st.sampled_from([None, "auto", "1024x1024", "1536x1024"]),
    quality=st.sampled_from([None, "auto", "low", "medium", "high"]),
)
wants = st.lists(st.tuples(requests, st.integers(0, 5)), max_size=6)


def found(options: list[Option], setting: str, value: str) -> Option:
    """The one of a list."""
    (one,) = [one for one in options if (one.setting, one.value) == (setting, value)]
    return one


@given(wants)
def test_groups_cost_what_their_requests_cost(some: list[tuple[ImageRequest, int]]) -> None:
    """Put together or one by one, and added up by setting, they come to the same."""
    quoter = Quoter(NOW)
    whole = quoter.amount(group(some))
    assert whole == sum((quoter.amount([Ask(request, pictures)]) for request, pictures in some), Amount())
    assert whole == sum(by_setting(quoter, group(some)).values(), Amount())
    assert sum(pictures for _, pictures in some) == whole.pictures


@given(wants)
def test_what_is_called_cheaper_is(some: list[tuple[ImageRequest, int]]) -> None:
    """Every setting saves something by one figure and costs more by none, and its own models take what it changes."""
    quoter, asks = Quoter(NOW), group(some)
    now = quoter.amount(asks)
    for one in [*cheaper(quoter, asks), *filter(None, [by_batch(quoter, asks)])]:
        assert now.pictures == one.amount.pictures
        assert 0 < one.pictures <= now.pictures
        if now.most is not None and one.amount.most is not None:
            assert one.saves == now.most - one.amount.most >= 0
        if now.likely is not None and one.amount.likely is not None:
            assert one.probably == now.likely - one.amount.likely >= 0
        assert (one.saves or 0) + (one.probably or 0) > 0


def test_prompts_are_alike_by_their_length() -> None:
    """In characters and bytes; variants and users make no difference to the price."""
    alike = [HIGH, evolve(HIGH, prompt="a red hen"), evolve(HIGH, seed=3), evolve(HIGH, user="x"), evolve(HIGH, n=4)]
    assert [5] == [ask.pictures for ask in group([(request, 1) for request in alike])]
    others = [evolve(HIGH, prompt="a réd hen"), evolve(HIGH, prompt="a red he"), evolve(HIGH, quality="low")]
    assert 4 == len(group([(request, 1) for request in (HIGH, *others)]))
    assert () == group([(HIGH, 0)])


def test_lower_qualities_other_sizes_and_models_are_tried() -> None:
    """Each alone, the cheapest first, in exact figures."""
    quoter = Quoter(NOW)
    asks = [Ask(HIGH, 3)]
    options = cheaper(quoter, asks)
    low = found(options, "quality", "low")
    assert quoter.amount([Ask(evolve(HIGH, quality="low"), 3)]) == low.amount
    assert (
        quoter.amount([Ask(evolve(HIGH, model="gpt-image-1-mini"), 3)])
        == found(options, "model", "gpt-image-1-mini").amount
    )
    assert {"quality", "model"} == {one.setting for one in options}
    assert options == sorted(options, key=lambda one: -(one.probably or 0))
    square = evolve(HIGH, size="1024x1024")
    assert {"1536x1024", "1024x1536"} == {
        one.value for one in cheaper(quoter, [Ask(square, 1)]) if one.setting == "size"
    }


def test_nothing_is_below_the_lowest() -> None:
    """A row of the lowest quality is not offered its own, and the others stay as they are."""
    low = evolve(HIGH, quality="low")
    options = cheaper(Quoter(NOW), [Ask(low, 1), Ask(HIGH, 2)])
    assert 2 == found(options, "quality", "low").pictures
    assert [] == [one for one in cheaper(Quoter(NOW), [Ask(low, 1)]) if one.setting == "quality"]


def test_only_what_models_take_is_offered() -> None:
    """A size that only the later models know goes to no earlier one; a field that is unknown there neither."""
    wide = evolve(HIGH, size="2048x1024")
    offered = {one.value for one in cheaper(Quoter(NOW), [Ask(wide, 1)]) if one.setting == "model"}
    assert "gpt-image-2.5-flare" in offered
    for name in names():
        model = known(name)
        assert model is not None
        assert name not in offered or objection(model, wide) is None
    assert "gpt-image-1-mini" not in offered


def test_models_that_are_gone_or_to_come_are_not_offered() -> None:
    """On the day of the quote; a price of that day has to be known as well."""
    offered = {one.value for one in cheaper(Quoter(moment("2026-12-02")), [Ask(HIGH, 1)]) if one.setting == "model"}
    assert not {"gpt-image-1-mini", "gpt-image-1.5"} & offered
    early = {one.value for one in cheaper(Quoter(moment("2026-09-01")), [Ask(HIGH, 1)]) if one.setting == "model"}
    assert not {"gpt-image-2.5-flare", "gpt-image-2.6-flare"} & early
    assert "gpt-image-1-mini" in early


def test_a_price_of_ones_own_brings_no_model_back() -> None:
    """However cheap: what is gone, or not there yet, cannot be bought."""
    cheap = Rates(picture=1)
    mine = Overrides((Override("gpt-image-1-mini", cheap), Override("gpt-image-2.6-flare", cheap)))
    assert not Quoter(moment("2026-12-02"), mine).there("gpt-image-1-mini")
    assert not Quoter(moment("2026-09-01"), mine).there("gpt-image-2.6-flare")
    assert Quoter(NOW, mine).there("gpt-image-2.6-flare")


def test_a_field_that_a_model_does_not_know_keeps_its_row() -> None:
    """It is not offered there, though its price is known."""
    hard = evolve(HIGH, size="1024x1024", extra=(("shade", "dark"),))
    assert [] == cheaper(Quoter(NOW), [Ask(hard, 1)])


def test_the_batch_discount_is_of_models_that_have_one() -> None:
    """Half of the tokens' price here; what has none is bought as before, and nothing at all is said where none has."""
    quoter, other = Quoter(NOW), evolve(HIGH, model="gpt-image-2.6-flare")
    one = by_batch(quoter, [Ask(HIGH, 2), Ask(other, 3)])
    assert one is not None
    whole, rest = quoter.amount([Ask(HIGH, 2)]), quoter.amount([Ask(other, 3)])
    assert (2, 5, whole.bound // 2) == (one.pictures, one.amount.pictures, one.saves)
    assert whole.expected // 2 + rest.expected == one.amount.expected
    assert by_batch(quoter, [Ask(other, 3)]) is None


def test_prices_of_ones_own_are_used() -> None:
    """A price a picture makes an unknown model known; nobody knows what its batch price would be."""
    mine = Overrides((Override("unheard-of", Rates(picture=picture_rate(Decimal("0.04")))),))
    ask = Ask(evolve(HIGH, model="unheard-of", size=None, quality=None), 2)
    assert Amount(2, 80 * 10**9, 80 * 10**9) == Quoter(NOW, mine).amount([ask])
    assert Amount(2, 0, 0, 2, 2) == Quoter(NOW).amount([ask])
    assert by_batch(Quoter(NOW, mine), [ask]) is None
    assert [] == [one for one in cheaper(Quoter(NOW, mine), [ask]) if one.setting != "model"]


# Inputs


def quoted(prompts: list[str], defaults: Defaults, choices: Choices = Choices()) -> Quoted:  # noqa: B008 - frozen
    """A whole input for an empty folder."""
    return quote_rows(table(prompts, defaults), choices, {}, Account(), unix=NOW)


def test_a_quote_is_what_a_batch_shows(tmp_path: Path) -> None:
    """The bound and the expected value of the same rows, repeats counted once."""
    rows = table(["a", "b", "a", "c"], Defaults("gpt-image-2", None, "high", None, 2))
    keyed, _ = key_rows(rows, Choices(), budget=False, states={}, account=Account())
    plan = make_plan(keyed, {}, Account(), Choices())
    shown = survey(plan, Account(), Settings(tmp_path, "http://x/v1", {"A": "k"}), free=None)
    mine = quote_rows(rows, Choices(), {}, Account(), unix=NOW)
    assert (shown.bound, shown.expected, shown.pictures) == (mine.amount.most, mine.amount.likely, 6)
    assert (4, 1, 6) == (mine.rows, mine.repeats, mine.amount.pictures)


def test_what_has_no_bound_says_how_to_get_one() -> None:
    """By model, with the lines of a file."""
    found = quoted(["a", "b"], Defaults("unheard-of"))
    (one,) = found.missing
    assert ("unheard-of", 2, '[prices."unheard-of"]\npicture = 0.04') == (one.model, one.pictures, one.lines)
    assert (None, None) == (found.amount.most, found.amount.likely)
    assert () == quoted(["a"], Defaults("gpt-image-2")).missing


def test_rows_beyond_the_limit_are_left() -> None:
    """They are counted, and are no part of the price."""
    found = quoted(["a", "b", "c"], Defaults("gpt-image-2"), Choices(limit=1))
    assert (1, 2) == (found.amount.pictures, found.left)


def test_bad_rows_are_told_or_passed_over() -> None:
    """As a batch does it: all mistakes at once, or the others alone."""
    rows = table(["a", "b"], Defaults("gpt-image-2", "1x1"))
    with pytest.raises(InputError, match="does not fit"):
        quote_rows(rows, Choices(), {}, Account(), unix=NOW)
    found = quote_rows(rows, Choices(), {}, Account(), unix=NOW, skip_invalid=True)
    assert (0, 2, 0) == (found.rows, len(found.invalid), found.amount.pictures)


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A fast provider without limits."""
    with serving(FAST) as running:
        yield running


def test_what_a_folder_has_paid_is_taken_off(tmp_path: Path, sim: SimServer) -> None:
    """Its pictures are counted; only what is new costs something."""
    folder = folder_for(tmp_path / "out", sim)
    folder.run(table(["a", "b", "a"]))
    look = peek(folder.path)
    rows = table(["a", "b", "a", "new"])
    found = quote_rows(rows, Choices(), load_states(look.rows), look.account, unix=NOW)
    assert (4, 1, 2, 1) == (found.rows, found.repeats, found.paid, found.amount.pictures)


def test_a_model_that_is_shut_down_is_told() -> None:
    """As a run would warn of it, with what to use instead; no price of one's own is asked for."""
    found = quote_rows(table(1, Defaults("gpt-image-1")), Choices(), {}, Account(), unix=NOW)
    (warning,) = found.warnings
    assert warning.startswith("gpt-image-1 was shut down on 2026-10-23; use gpt-image-2")
    assert [warning] == as_object(found)["warnings"]
    told = "\n".join(as_lines(found))
    assert f"no price is known for 1 picture of gpt-image-1: {warning}" in told
    assert "[prices." not in told


def test_a_cheaper_model_says_when_it_ends() -> None:
    """Where that is known: nobody changes over to what is gone in a week."""
    quoter, asks = Quoter(NOW), group([(HIGH, 1)])
    ends = {one.value: one.ends for one in cheaper(quoter, asks) if one.setting == "model"}
    assert "2026-12-01" == ends["gpt-image-1-mini"]
    assert {"2026-12-01", ""} >= set(ends.values())
