"""Rows: what a record may say, what is wrong with it, and the name that a later run finds again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from penstock.errors import InvalidRequest
from penstock.requests import ImageRequest
from penstock_io.batch.checking import (
    DEEPEST,
    LONGEST_ID,
    SHAPES,
    Checked,
    Checker,
    Wrong,
    bad_id,
    check_defaults,
    identity,
)
from penstock_io.batch.requesting import HEX
from penstock_io.batch.rows import (
    FIELDS,
    LONGEST_MESSAGE,
    SHOWN,
    Defaults,
    InputError,
    Json,
    Later,
    Mistake,
    Row,
    plain,
)
from penstock_io.inputs import read_image

DEFAULTS = Defaults("gpt-image-2")
OBJECTS = st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text(), max_size=6)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
OWN = st.fixed_dictionaries(
    {"prompt": TEXTS},
    optional={
        "size": st.sampled_from(["1024x1024", "auto"]),
        "quality": st.sampled_from(["low", "high", None]),
        "n": st.integers(1, 4),
        "seed": st.integers(-(2**63), 2**63 - 1),
        "user": TEXTS.map(lambda text: text[:200]).filter(str.strip),
        "extra": st.dictionaries(st.sampled_from("abc"), st.integers() | st.booleans() | st.text("xyz")),
        "meta": st.dictionaries(TEXTS, st.none() | st.booleans() | st.integers() | TEXTS | st.lists(TEXTS), max_size=3),
    },
)


def check(own: dict[str, Json], *keep: str, defaults: Defaults = DEFAULTS) -> Checked:
    """A record, checked alone."""
    return Checker(defaults, keep).check(own)


def wrong(own: dict[str, Json], *keep: str, defaults: Defaults = DEFAULTS) -> dict[str, str]:
    """What is wrong with a record, by field."""
    with pytest.raises(Wrong) as caught:
        check(own, *keep, defaults=defaults)
    return dict(caught.value.faults)


def test_a_row_is_its_fields_over_the_defaults() -> None:
    """A field of the row wins over the option, null and absence take the option."""
    options = Defaults("gpt-image-2", "1024x1024", "low", "webp", 2)
    taken = check({"prompt": "a", "size": None}, defaults=options).request.made()
    assert ImageRequest(
        prompt="a", model="gpt-image-2", size="1024x1024", quality="low", output_format="webp", n=2
    ) == taken  # fmt: skip
    own: dict[str, Json] = {
        "prompt": "b",
        "model": "m",
        "size": "8x8",
        "n": 1,
        "seed": 7,
        "background": "opaque",
        "extra": {"x": 1},
    }
    said = ImageRequest(
        prompt="b", model="m", size="8x8", quality="low", output_format="webp", seed=7, background="opaque",
        extra=(("x", 1),),
    )  # fmt: skip
    assert said == check(own, defaults=options).request.made()


def test_every_field_of_a_request_may_be_given(tmp_path: Path) -> None:
    """No field of an ImageRequest is forgotten: what a row says is what is asked for."""
    photo, mask = tmp_path / "photo.png", tmp_path / "mask.png"
    for path, mode in ((photo, "RGB"), (mask, "RGBA")):
        Image.new(mode, (8, 8)).save(path)
    own: dict[str, Json] = {
        "prompt": "a", "model": "m", "size": "8x8", "quality": "q", "n": 3, "background": "b", "moderation": "low",
        "output_format": "png", "output_compression": 9, "user": "u", "complexity": "c", "seed": -5, "extra": {"x": 1},
        "negative_prompt": "no", "steps": 20, "guidance": 7.5, "strength": 1, "input_fidelity": "high",
    }  # fmt: skip
    checked = check({**own, "image": str(photo), "mask": str(mask)})
    assert set(FIELDS) == {*own, "image", "mask"}
    request = checked.request.made()
    assert {**own, "extra": (("x", 1),)} == {name: getattr(request, name) for name in own}
    assert ((read_image(photo),), read_image(mask), (photo, mask)) == (request.images, request.mask, checked.files)


def test_a_row_without_id_is_named_by_its_own_fields_alone() -> None:
    """Another model, size or number from the options, another order of the row: the same name."""
    name = check({"prompt": "a", "quality": "low"}).id
    assert 16 == len(name)
    assert int(name, 16) >= 0
    other = check({"quality": "low", "prompt": "a", "size": None}, defaults=Defaults("m", "8x8", "high", "png", 3))
    assert (name, False) == (other.id, other.explicit)
    assert name != check({"prompt": "a", "quality": "high"}).id
    assert name != check({"prompt": "a", "quality": "low", "meta": {"sku": 1}}).id


def test_a_name_never_changes() -> None:
    """The name of a row is part of the format of a folder: a folder made by an earlier version is found again."""
    own: dict[str, Json] = {"prompt": "a red kettle", "size": "1024x1024"}
    assert "a94dff8f9eb82efc" == identity(own) == check(own).id == check(own).content
    assert "7d7b66e268609b06" == check({**own, "seed": 7, "meta": {"sku": "K-1"}}).id


@given(OBJECTS)
def test_identity_is_that_of_the_content(own: dict[str, str | int | bool | None]) -> None:
    """Order, id and null fields do not count; any other field does."""
    bare = {name: value for name, value in own.items() if name != "id"}
    shuffled = dict(reversed(list(bare.items())))
    assert identity(bare) == identity({**shuffled, "id": "x", "unset!": None})
    assert identity(bare) != identity({**bare, "and then": "some"})


@given(st.lists(OWN, max_size=8))
def test_what_is_remembered_of_rows_changes_nothing(records: list[dict[str, Json]]) -> None:
    """A checker that has seen other rows says of each what a new one says, and what plain words would make of it."""
    checker = Checker(DEFAULTS)
    for own in records:
        found = checker.check(own)
        alone = check(own)
        assert (alone.id, alone.content, alone.meta) == (found.id, found.content, found.meta)
        assert alone.request.made() == found.request.made()
        bare = {name: value for name, value in own.items() if name != "meta"}
        assert identity(bare) == found.content
        assert identity({**own, "meta": own.get("meta") or None}) == found.id
        assert own["prompt"] == found.request.made().prompt
        assert own.get("seed") == found.request.made().seed


def test_numbers_that_python_takes_for_one_another_are_told_apart() -> None:
    """After a row with n of 1, true and 1.0 are as wrong as before, and a seed of true is none."""
    checker = Checker(DEFAULTS)
    checker.check({"prompt": "a", "n": 1, "seed": 1})
    for name in ("n", "seed"):
        for value in (True, 1.0):
            with pytest.raises(Wrong, match=f"{name}: must be a whole number"):
                checker.check({"prompt": "a", "n": 1, "seed": 1, name: value})


def test_what_is_remembered_is_bounded() -> None:
    """More shapes than are kept: rows are as right as before."""
    checker = Checker(DEFAULTS)
    names = {checker.check({"prompt": "a", "user": f"u{number}"}).id for number in range(SHAPES + 10)}
    assert SHAPES + 10 == len(names)
    assert SHAPES >= len(checker._shapes)
    assert check({"prompt": "a", "user": "u1"}).id == checker.check({"prompt": "a", "user": "u1"}).id


def test_meta_is_carried_along() -> None:
    """`meta`, names that begin with it and kept ones go to the results, not to the provider, in one way or another."""
    spelled: list[dict[str, Json]] = [
        {"prompt": "a", "meta": {"sku": 7}},
        {"prompt": "a", "meta.sku": 7},
        {"prompt": "a", "sku": 7},
    ]
    found = [check(own, "sku") for own in spelled]
    assert [{"sku": 7}] * 3 == [one.meta for one in found]
    assert 1 == len({one.id for one in found})
    assert [check({"prompt": "a"}).content] * 3 == [one.content for one in found]
    assert {"sku": "given twice: leave one out"} == wrong({"prompt": "a", "meta": {"sku": 7}, "sku": 7}, "sku")
    assert {"a": 1} == check({"prompt": "a", "meta": None, "meta.a": 1}).meta


def test_keeping_a_known_field_copies_it() -> None:
    """`--keep prompt` puts the prompt into the results, and the row has the name that it has without."""
    bare: dict[str, Json] = {"prompt": "a", "size": "8x8", "quality": None}
    kept = check(bare, "prompt", "quality", "meta.size")
    assert {"prompt": "a", "size": "8x8"} == kept.meta
    assert check(bare).id == kept.id
    assert {"prompt": "mine"} == check({**bare, "meta": {"prompt": "mine"}}, "prompt").meta


def test_meta_has_bounds() -> None:
    """No object, no name, too deep, or no text that can be written: each says so."""
    deep: Json = "x"
    for _ in range(DEEPEST):
        deep = [deep]
    assert deep == check({"prompt": "a", "meta": {"x": deep}}).meta["x"]
    assert "flatter" in wrong({"prompt": "a", "meta": {"x": [deep]}})["meta.x"]
    assert "object" in wrong({"prompt": "a", "meta": ["x"]})["meta"]
    assert "name" in wrong({"prompt": "a", "meta.": 1})["meta."]
    assert "name" in wrong({"prompt": "a", "meta": {"\ud800": 1}})["meta.\ud800"]
    broken: list[Json] = ["\ud800", ["\ud800"], {"\ud800": 1}]
    for value in broken:
        assert "surrogate" in wrong({"prompt": "a", "meta": {"x": value}})["meta.x"]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("promt", "prompt"), ("Prompt", "prompt"), ("qualty", "quality"), ("ID", "id"), ("sizes", "size"),
        ("output-format", "output_format"), ("metadata", None), ("sku", None), ("x" * 900, None),
    ],
)  # fmt: skip
def test_an_unknown_name_is_refused(name: str, near: str | None) -> None:
    """One close to a known name gets a suggestion; of any other it is said how it can be carried to the results."""
    reason = wrong({"prompt": "a", name: 1})[name]
    assert (near is not None) == ("did you mean" in reason)
    assert f'"{near}"' in reason if near else "--keep" in reason
    assert f'"meta.{plain(name, 60)}"' in reason
    assert {name: 1} == check({"prompt": "a", name: 1}, name).meta


def test_all_that_is_wrong_with_a_row_is_told_at_once() -> None:
    """Unknown names, wrong types and a bad id together; a great many unknown names are not all told."""
    found = wrong({"prompt": 7, "n": "2", "size": 8, "sku": 1, "id": ""})
    assert {"prompt", "n", "size", "sku", "id"} == set(found)
    assert 25 > len(wrong({"prompt": "a", **{f"name {number}": 1 for number in range(1_000)}}))
    assert "--keep" in wrong({"prompt": "a", "x" * 90_000: 1})["x" * 90_000]


@pytest.mark.parametrize(
    ("own", "name", "message"),
    [
        ({}, "prompt", "missing"),
        ({"prompt": None}, "prompt", "missing"),
        ({"prompt": ""}, "prompt", "must be a text that is not empty"),
        ({"prompt": " \n"}, "prompt", "must be a text that is not empty"),
        ({"prompt": ["a"]}, "prompt", "must be a text in quotes"),
        ({"prompt": "\ud800"}, "prompt", "holds half"),
        ({"prompt": "a" * 1_000_001}, "prompt", "is longer"),
        ({"prompt": "a", "n": 0}, "n", "must be a whole number from 1"),
        ({"prompt": "a", "n": [1]}, "n", "must be a whole number"),
        ({"prompt": "a", "seed": 2**63}, "seed", "must be a whole number from"),
        ({"prompt": "a", "output_compression": 101}, "output_compression", "must be a whole number from 0 to 100"),
        ({"prompt": "a", "model": "a b"}, "model", "must be a name"),
        ({"prompt": "a", "size": {"w": 1}}, "size", "must be a text in quotes"),
        ({"prompt": "a", "quality": "\ud800"}, "quality", "holds half"),
        ({"prompt": "a", "extra": [1]}, "extra", "must be an object"),
        ({"prompt": "a", "extra": {"x": [1]}}, "extra", "x must be a text, a number"),
        ({"prompt": "a", "extra": {"\x1b": [1]}}, "extra", "\\x1b must be"),
        ({"prompt": "a", "extra": {"n": 1}}, "extra", "n cannot be given in extra"),
        ({"prompt": "a", "extra": {"x": "\ud800"}}, "extra", "holds half"),
    ],
)  # fmt: skip
def test_a_mistake_names_the_field(own: dict[str, Json], name: str, message: str) -> None:
    """Whatever is wrong with a row is told with its field, and nothing else is."""
    found = wrong(own)
    assert [name] == list(found)
    assert found[name].startswith(message)


def test_a_row_needs_a_model_from_somewhere() -> None:
    """Without a model in the row or the options the remedy names both."""
    told = {"model": "missing: give it in the row, or --model for all rows"}
    assert told == wrong({"prompt": "a"}, defaults=Defaults())
    assert "m" == check({"prompt": "a", "model": "m"}, defaults=Defaults()).request.made().model


def test_defaults_are_checked_once() -> None:
    """What no row can take is wrong with the options, not with the rows; a missing model is none of their faults."""
    assert [] == check_defaults(Defaults())
    assert [] == check_defaults(Defaults("m", "8x8", "low", "png", 2))
    assert [("n", "must be a whole number from 1 to 1000")] == check_defaults(Defaults(n=0))
    assert [("size", "must be a text that is not empty")] == check_defaults(Defaults("m", size=" "))


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("", "empty"), ("  ", "empty"), (True, "whole number"), (1.5, "whole number"), (["a"], "whole number"),
        ("a\nb", "'\\n'"), ("a\x00", "'\\x00'"), ("\ud800", "'\\ud800'"), ("a\u2028", "'\\u2028'"),
        ("x" * (LONGEST_ID + 1), "longer"), (10**LONGEST_ID, "longer"),
    ],
)  # fmt: skip
def test_an_id_that_cannot_be_told_is_refused(value: Json, word: str) -> None:
    """What is empty, no text, too long or drives a terminal is no id, and the row is told without one."""
    assert word in (bad_id(value) or "")
    with pytest.raises(Wrong) as caught:
        check({"id": value, "prompt": "a"})
    assert caught.value.id is None


@pytest.mark.parametrize(
    "value", ["a", "../x", "CON", "X", "a b", "\u58f6", "x" * LONGEST_ID, 7, -(10**30), "👩\u200d🚀"]
)
def test_an_id_is_any_text(value: str | int) -> None:
    """Names of files are made elsewhere: an id may be whatever can be shown, and whole numbers are their digits."""
    assert (str(value), True) == check({"id": value, "prompt": "a"})[:2]


def test_a_row_keeps_its_id_however_wrong_it_is() -> None:
    """What else is wrong, the results can still say which row it was."""
    with pytest.raises(Wrong) as caught:
        check({"id": 7, "prompt": ""})
    assert "7" == caught.value.id


@given(st.text(max_size=5), st.none() | st.integers(-(2**63), 2**63 - 1))
@example("\ud800", None)
@example(" \t", None)
@example("", None)
def test_a_request_made_late_is_the_one_made_at_once(prompt: str, seed: int | None) -> None:
    """Whatever the prompt: equal in all fields, or refused alike."""
    like = ImageRequest(prompt="-", model="m", size="8x8", n=3, extra=(("steps", 20),))

    def tried(make: Callable[[], ImageRequest]) -> ImageRequest | str:
        try:
            return make()
        except InvalidRequest as fault:
            return str(fault)

    at_once = tried(lambda: evolve(like, prompt=prompt, seed=seed))
    assert at_once == tried(Later(like, prompt, seed).made)


def test_a_request_is_made_once_and_when_it_is_asked_for() -> None:
    """Rows are equal when they ask for the same, made or not, and show neither prompt nor meta."""
    like = ImageRequest(prompt="-", model="m", size="8x8")
    asked = ImageRequest(prompt="a secret", model="m", size="8x8")
    row = Row("a", 0, 1, Later(like, "a secret", None), meta={"sku": "secret"})
    assert row.request is row.request
    assert asked == row.request
    assert Row("a", 0, 1, asked, meta={"sku": "secret"}) == row
    assert Row("a", 0, 1, like, meta={"sku": "secret"}) != row
    assert hash(Row("a", 0, 1, asked)) == hash(row)
    assert "secret" not in repr(row)


@given(st.text(), st.text(), st.text(), st.integers(0, 9))
def test_a_mistake_is_one_plain_line(file: str, name: str, message: str, line: int) -> None:
    """Whatever texts go into a mistake, it drives no terminal and has an end."""
    mistake = Mistake(file, line, name, message)
    assert str(mistake).isprintable()
    assert LONGEST_MESSAGE >= len(mistake.message)
    if (file + name + message).isprintable() and len(name) < 60:
        assert f"{file}{f':{line}' if line else ''}: {f'{name}: ' if name else ''}{message}" == str(mistake)


@given(st.text(min_size=1), st.integers(4, 40))
def test_a_plain_text_is_as_much_as_fits(text: str, longest: int) -> None:
    """What can be seen and fits stays as it is; what is cut says so."""
    shown = plain(text, longest)
    assert longest >= len(shown)
    assert shown.isprintable()
    assert shown == plain(shown, longest)
    if text.isprintable() and len(text) <= longest:
        assert text == shown
    if text.isprintable() and len(text) > longest:
        assert f"{text[: longest - 3]}..." == shown


def test_many_mistakes_are_counted() -> None:
    """The first of them are told, the rest are a number, and all are there for a program."""
    some = [Mistake("in", number, "", json.dumps(number)) for number in range(1, SHOWN + 1_001)]
    error = InputError(some)
    assert (SHOWN + 1, SHOWN + 1_000) == (len(str(error).splitlines()), len(error.mistakes))
    assert str(error).endswith("... and 1,000 more")
    assert str(some[0]) == str(InputError(some[:1]))
    assert HEX == len(check({"prompt": "a"}).id)
