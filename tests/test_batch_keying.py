"""Rows with keys, names and prices: checked against models, named as the folder knows them."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from penstock.config import Config
from penstock.ids import Handle, JobId, Key
from penstock.prepare import prepare
from penstock.requests import ImageRequest, Options, Refusal
from penstock_io.batch.keying import Keyed, Keyer, key_rows
from penstock_io.batch.rows import Defaults, InputError, Invalid, Mistake, Rows
from penstock_io.batch.settings import Choices, Repeats
from penstock_io.batch.states import NEW, RowState
from penstock_io.journal import Account
from tests.planning import LOW, keyed_of, rows_of

VALUES = st.sampled_from
REQUESTS = st.fixed_dictionaries(
    {"prompt": st.text(min_size=1, max_size=40).filter(lambda text: text.strip() != "")},
    optional={
        "model": VALUES(["gpt-image-2", "gpt-image-1.5", "gpt-image-1-mini", "unheard-of"]),
        "size": VALUES(["1024x1024", "1536x1024", "auto", "9000x9000"]),
        "quality": VALUES(["low", "high", "auto", "wonderful"]),
        "n": st.integers(1, 12),
        "output_format": VALUES(["png", "webp", "gif"]),
        "seed": st.integers(0, 5),
    },
)


@given(fields=st.lists(REQUESTS, min_size=1, max_size=6))
def test_rows_are_keyed_and_priced_as_requests_are_prepared(fields: list[dict[str, object]]) -> None:
    """Keys, bound and expected are those of `prepare` for each row alone, and so is what a model does not take."""
    rows = rows_of(*fields, defaults=Defaults("gpt-image-2"))
    keyer = Keyer(Choices(), budget=False, states={}, account=Account(), file="in", rows=rows)
    for row in rows:
        made = keyer.key(row)
        expected = prepare(row.request, Options(), Config(), handle=Handle(0), unix=keyer._shapes._unix)
        if isinstance(expected, Refusal):
            assert isinstance(made, tuple)
            assert [(row.line, expected.field)] == [(mistake.line, mistake.field) for mistake in made]
            continue
        assert isinstance(made, Keyed)
        target = expected.work.targets[0]
        n = row.request.n
        assert target.keys == made.keys
        assert [None if each is None else each * n for each in (target.quote, target.expected)] == [
            made.bound,
            made.expected,
        ]
        assert (n, Options(sample=0)) == (len(made.stems), made.options)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", "gpt-image-1-mini"),
        ("size", "1x1"),
        ("quality", "wonderful"),
        ("background", "striped"),
        ("moderation", "none"),
        ("output_format", "gif"),
        ("output_compression", 50),
        ("complexity", "some"),
        ("extra", {"steps": 4}),
        ("n", 3),
        ("prompt", "a much longer prompt"),
    ],
)
def test_nothing_but_the_words_of_a_prompt_is_taken_for_granted(name: str, value: object) -> None:
    """After a row that is in order another that differs in any one field is asked about anew."""
    rows = rows_of({"prompt": "kettle"}, {"prompt": "teapot"}, {"prompt": "saucer", name: value})
    keyer = Keyer(Choices(), budget=False, states={}, account=Account(), file="in", rows=rows)
    first, second, other = map(keyer.key, rows)
    assert isinstance(first, Keyed)
    assert isinstance(second, Keyed)
    assert (first.bound, 1) == (second.bound, len({first.bound, second.bound}))
    assert not isinstance(other, Keyed) or other.bound != first.bound


def mistakes(
    fields: Sequence[Mapping[str, object]], defaults: Defaults, *, budget: bool = False
) -> list[tuple[int, str, str]]:
    """What is said of rows that models do not take."""
    rows = rows_of(*fields, defaults=defaults)
    with pytest.raises(InputError) as wrong:
        key_rows(Rows("in.jsonl", rows), Choices(), budget=budget, states={}, account=Account())
    return [(mistake.line, mistake.field, mistake.message) for mistake in wrong.value.mistakes]


def test_a_mistake_of_the_options_is_said_once() -> None:
    """What all rows have is told of the file; what many share, of the first; what few have, of each."""
    every = mistakes([{"prompt": f"{n}"} for n in range(400)], Defaults("gpt-image-2", "9000x9000"))
    ((line, field, message),) = every
    assert (0, "size", True) == (line, field, message.endswith(" (all 400 rows)"))
    own = [{"prompt": f"{n}", **({"quality": "wonderful"} if n < 5 else {})} for n in range(8)]
    ((line, field, message),) = mistakes(own, LOW)
    assert (1, "quality", True) == (line, field, message.endswith(" (and 4 more rows)"))
    few = [{"prompt": f"{n}", **({"quality": "wonderful"} if n in (1, 2) else {})} for n in range(8)]
    assert [(2, "quality"), (3, "quality")] == [(line, field) for line, field, _ in mistakes(few, LOW)]
    assert [(1, "size")] == [(line, field) for line, field, _ in mistakes([{"prompt": "x", "size": "1x1"}], LOW)]


def test_without_a_price_no_budget() -> None:
    """Under a budget a model without a known price is a mistake of its row; without one it goes."""
    fields: list[Mapping[str, object]] = [{"prompt": "a"}, {"prompt": "b", "model": "unheard-of"}]
    ((line, field, message),) = mistakes(fields, LOW, budget=True)
    assert (2, "model", True) == (line, field, "the price of unheard-of is not known" in message)
    assert [True, False] == [one.bound is not None for one in keyed_of(rows_of(*fields))]


def test_rows_that_a_model_does_not_take_can_be_told_apart() -> None:
    """`--skip-invalid`: their ids where they were given, their places, what is wrong, among those that were bad."""
    rows = rows_of({"prompt": "a"}, {"prompt": "b", "id": "x", "size": "1x1"}, {"prompt": "c", "size": "1x1"})
    before = Invalid("y", 3, 4, (Mistake("in.jsonl", 4, "size", "is not one"),))
    given = Rows("in.jsonl", rows, (before,))
    keyed, bad = key_rows(given, Choices(), budget=False, states={}, account=Account(), skip_invalid=True)
    assert ([0], [("x", 1, 2), (None, 2, 3), ("y", 3, 4)]) == (
        [one.index for one in keyed],
        [(one.id, one.index, one.line) for one in bad],
    )
    assert {"size"} == {mistake.field for one in bad for mistake in one.mistakes}


def test_a_field_that_the_template_needs_is_a_mistake_of_its_row() -> None:
    """A row without the name's field says which, whatever else is right."""
    rows = rows_of({"prompt": "a", "meta.sku": "s1"}, {"prompt": "b"})
    keyer = Keyer(Choices(name="{sku}"), budget=False, states={}, account=Account(), file="in", rows=rows)
    first, second = map(keyer.key, rows)
    assert isinstance(first, Keyed)
    assert ("s1",) == first.stems
    assert isinstance(second, tuple)
    assert [(2, "sku")] == [(mistake.line, mistake.field) for mistake in second]
    assert isinstance(second[0], Mistake)


def shown(keyed: Keyed, *files: str, run: int = 1) -> tuple[RowState, Account]:
    """Books in which a row's pictures have these files."""
    job = (run, JobId(1))
    state = NEW.sent(job, keyed.keys, keyed.request, keyed.row.content, keyed.sample)
    return state, Account(shown={job: dict(zip(keyed.keys, files, strict=False))})


def test_names_in_the_folder_are_kept() -> None:
    """Whatever the template says now, pictures that have a name keep it; those without get one that is free."""
    rows = rows_of({"id": "a", "prompt": "a", "n": 2, "meta.sku": "s"})
    state, account = shown(keyed_of(rows)[0], "images/a-1.png")
    (one,) = keyed_of(rows, {"a": state}, account, Choices(name="{sku}-{k}"))
    assert ("a-1", "s-2") == one.stems
    converted = evolve(account, shown={(1, JobId(1)): {one.keys[0]: "originals/a-1.png", one.keys[1]: "images/x.png"}})
    assert [("a-1", "x")] == [one.stems for one in keyed_of(rows, {"a": state}, converted)]
    put_aside = evolve(account, shown={(1, JobId(1)): {one.keys[0]: "superseded/a-7.png"}})
    assert [("a-1", "a-2")] == [one.stems for one in keyed_of(rows, {"a": state}, put_aside)]


def test_names_are_kept_under_other_keys_for_the_same_words() -> None:
    """A later version that makes other keys finds the names by their places."""
    rows = rows_of({"id": "a", "prompt": "a", "n": 2})
    (one,) = keyed_of(rows)
    older = evolve(one, keys=(Key("o1"), Key("o2")))
    state, account = shown(older, "images/first.png", "images/second.png")
    assert [("first", "second")] == [keyed.stems for keyed in keyed_of(rows, {"a": state}, account)]


def test_a_kept_name_is_given_to_no_second_picture() -> None:
    """Where the template gives the name that another picture of the row has already, it is marked."""
    one, three = (rows_of({"id": "a", "prompt": "a", "n": n}) for n in (1, 3))
    state, account = shown(keyed_of(one)[0], "images/A-2.png")
    (keyed,) = keyed_of(three, {"a": state}, account)
    assert ("A-2", f"a-2~{keyed.keys[1][:8]}", "a-3") == keyed.stems


def test_ids_that_differ_in_capitals_live_side_by_side_over_runs() -> None:
    """Whoever came first keeps the plain name, in whatever order they come later."""
    rows = rows_of({"id": "X", "prompt": "a"}, {"id": "x", "prompt": "b"})
    first, second = keyed_of(rows)
    assert ("X",) == first.stems
    assert "x~" == second.stems[0][:2]
    (state, account), (other, more) = (
        shown(first, "images/X.png"),
        shown(second, f"images/{second.stems[0]}.png", run=2),
    )
    account = evolve(account, shown={**account.shown, **more.shown})
    turned = rows_of({"id": "x", "prompt": "b"}, {"id": "X", "prompt": "a"})
    again = keyed_of(turned, {"X": state, "x": other}, account)
    assert [second.stems, first.stems] == [one.stems for one in again]
    third = keyed_of(rows_of({"id": "x", "prompt": "b"}), {"X": state}, account)
    assert [second.stems] == [one.stems for one in third], "the name of a row that is not in the input is not free"


def samples(names: str, states: dict[str, RowState], repeats: Repeats = Repeats.NEW, **fields: object) -> list[int]:
    """The samples of rows that repeat each other, by these ids."""
    rows = rows_of(*({"id": name, "prompt": "same", **fields} for name in names))
    return [one.sample for one in keyed_of(rows, states, Account(), Choices(repeats=repeats))]


def remembered(names: str, samples: list[int]) -> dict[str, RowState]:
    """States of rows that repeat each other."""
    rows = rows_of(*({"id": name, "prompt": "same"} for name in names))
    requests: list[ImageRequest] = [row.request for row in rows]
    return {
        name: NEW.sent((1, JobId(0)), (Key(name),), request, row.content, sample)
        for name, request, row, sample in zip(names, requests, rows, samples, strict=True)
    }


def test_variants_of_repeated_rows_stay_with_their_rows() -> None:
    """New rows get variants that no other has, multiples of n; known ones keep theirs, in whatever order they come."""
    assert [0, 1, 2] == samples("abc", {})
    assert [0, 2, 4] == samples("abc", {}, n=2)
    assert [2, 0, 1] == samples("cab", remembered("abc", [0, 1, 2]))
    assert [3, 0, 1, 2] == samples("zabc", remembered("abc", [0, 1, 2]))
    assert [0, 2, 1] == samples("zcb", remembered("bc", [1, 2])), "the variant of a row that went is free"
    assert [0, 1, 2] == samples("abc", remembered("abc", [0, 0, 0])), "of those that shared one the first keeps it"


def test_rows_that_have_variants_keep_them_when_repeats_are_shared() -> None:
    """From `new` back to `share` nothing is made again; rows that are new share the first variant."""
    assert [0, 1, 2, 0] == samples("abcz", remembered("abc", [0, 1, 2]), Repeats.SHARE)


def test_a_variant_belongs_to_what_a_row_says() -> None:
    """A row that says something else now begins anew."""
    states = {name: evolve(state, content="of before") for name, state in remembered("ab", [3, 4]).items()}
    assert [0, 0] == samples("ab", states, Repeats.SHARE)
    assert [0, 1] == samples("ab", states)


@given(st.permutations(list(string.ascii_lowercase[:6])), st.lists(st.integers(0, 5), max_size=3))
def test_rows_one_by_one_get_what_rows_together_get(names: list[str], known: list[int]) -> None:
    """A stream of rows is keyed as a file of the same rows, as long as no row asks for something new."""
    states = remembered("".join(names[: len(known)]), list(range(len(known))))
    rows = rows_of(*({"id": name, "prompt": "same" if number % 2 else name} for number, name in enumerate(names)))
    keyer = Keyer(Choices(), budget=False, states=states, account=Account(), file="in")
    assert keyed_of(rows, states) == [keyer.key(row) for row in rows]
