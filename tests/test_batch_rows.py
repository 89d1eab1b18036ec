"""Rows: what a file says, what is wrong with it, and names that a later run finds again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock_io.batch.rows import LONGEST_ID, SHOWN, Defaults, InputError, Row, bad_id, identity, parse_rows, read_rows

DEFAULTS = Defaults("gpt-image-2")
OBJECTS = st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | st.text(), max_size=6)


def rows(*lines: str, defaults: Defaults = DEFAULTS) -> list[Row]:
    """Rows of a file with these lines."""
    return parse_rows("\n".join(lines).encode(), "in.jsonl", defaults)


def said(*lines: str, defaults: Defaults = DEFAULTS) -> list[str]:
    """What is wrong with a file of these lines."""
    with pytest.raises(InputError) as caught:
        rows(*lines, defaults=defaults)
    return [str(mistake) for mistake in caught.value.mistakes]


def test_a_row_is_its_fields_over_the_defaults() -> None:
    """A field of the row wins over the option, null and absence take the option, and lines keep their numbers."""
    options = Defaults("gpt-image-2", "1024x1024", "low", "webp", 2)
    first, second = rows(
        '\ufeff{"prompt": "a", "size": null}',
        "",
        '{"prompt": "b", "id": "own", "model": "m", "size": "8x8", "n": 1, "extra": {"x": 1}}\r',
        defaults=options,
    )
    request = first.request
    assert ("gpt-image-2", "1024x1024", "low", "webp", 2) == (
        request.model, request.size, request.quality, request.output_format, request.n,
    )  # fmt: skip
    assert (0, 1, 1, 3) == (first.index, first.line, second.index, second.line)
    assert ("own", "m", "8x8", 1, (("x", 1),)) == (
        second.id, second.request.model, second.request.size, second.request.n, second.request.extra,
    )  # fmt: skip


def test_a_row_without_id_is_named_by_its_own_fields_alone() -> None:
    """Another model, size or number from the options, another order or spelling of the row: the same name."""
    name = rows('{"prompt": "a", "quality": "low"}')[0].id
    assert 16 == len(name)
    assert int(name, 16) >= 0
    other = rows(
        '{"quality": "l\\u006fw", "prompt": "a", "size": null}', defaults=Defaults("m", "8x8", "high", "png", 3)
    )
    assert name == other[0].id
    assert name != rows('{"prompt": "a", "quality": "high"}')[0].id


def test_a_name_never_changes() -> None:
    """The name of a row is part of the format of a folder: a folder made by an earlier version is found again."""
    assert "a94dff8f9eb82efc" == identity({"prompt": "a red kettle", "size": "1024x1024"})


@given(OBJECTS)
def test_identity_is_that_of_the_content(own: dict[str, str | int | bool | None]) -> None:
    """Order, id and null fields do not count; any other field does."""
    bare = {name: value for name, value in own.items() if name != "id"}
    shuffled = dict(reversed(list(bare.items())))
    assert identity(bare) == identity({**shuffled, "id": "x", "unset!": None})
    assert identity(bare) != identity({**bare, "and then": "some"})


def test_repeated_rows_are_told_apart() -> None:
    """The second row of the same content is -2, the third -3, and each has files of its own."""
    line = '{"prompt": "a", "n": 2}'
    first, second, third = rows(line, line, '{"n": 2, "prompt": "a"}')
    assert (f"{first.id}-2", f"{first.id}-3") == (second.id, third.id)
    assert (f"{second.id}-1", f"{second.id}-2") == second.stems
    assert 6 == len({stem for row in (first, second, third) for stem in row.stems})


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("", "not empty"), (7, "a text"), ("a/b", "file name"), ("a\\b", "file name"), ("a:b", "file name"),
        ("a*", "file name"), ("a\nb", "file name"), ("a\x00", "file name"), ("..", "begin"), (".hidden", "begin"),
        ("-rf", "begin"), (" a", "begin"), ("a ", "end"), ("a.", "end"), ("con", "Windows"), ("COM1.png", "Windows"),
        ("Aux .txt", "Windows"), ("x" * (LONGEST_ID + 1), "at most"), ("\u00e9" * (LONGEST_ID // 2 + 1), "at most"),
        ("\ud800", "file name"), ("a\u202eb", "file name"),
    ],
)  # fmt: skip
def test_an_id_that_is_no_safe_file_name_is_refused(name: object, word: str) -> None:
    """What some file system could not keep, or would take for something else, is refused and says why."""
    assert word in (bad_id(name) or "")


@pytest.mark.parametrize(
    "name", ["a", "A-1", "b_c.d", "x" * LONGEST_ID, "k\u00e9ttle", "\u58f6", "a b", "console", "1"]
)
def test_an_id_that_is_a_safe_file_name_is_taken(name: str) -> None:
    """Ordinary names, also of other scripts, are taken as they are."""
    assert bad_id(name) is None
    assert name == rows(json.dumps({"id": name, "prompt": "a"}))[0].id


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        ('{"prompt": "a"', "in.jsonl:2: not JSON"),
        ('["a"]', "in.jsonl:2: not an object"),
        ('"a"', "in.jsonl:2: not an object"),
        ('{"prompt": NaN}', "in.jsonl:2: not JSON: NaN"),
        ('{"prompt": "a", "prompt": "b"}', "in.jsonl:2: prompt: given twice"),
        ('{"promt": "a"}', "in.jsonl:2: promt: no field of a row; there are id, prompt"),
        ('{"size": "8x8"}', "in.jsonl:2: prompt: missing"),
        ('{"prompt": ""}', "in.jsonl:2: prompt: must be a text"),
        ('{"prompt": 7}', "in.jsonl:2: prompt: must be a text"),
        ('{"prompt": "\\ud800"}', "in.jsonl:2: prompt: holds half"),
        ('{"prompt": "a", "n": 0}', "in.jsonl:2: n: must be a whole number"),
        ('{"prompt": "a", "n": true}', "in.jsonl:2: n: must be a whole number"),
        ('{"prompt": "a", "n": 1.0}', "in.jsonl:2: n: must be a whole number"),
        ('{"prompt": "a", "extra": [1]}', "in.jsonl:2: extra: must be an object"),
        ('{"prompt": "a", "extra": {"x": [1]}}', "in.jsonl:2: extra: x must be"),
        ('{"prompt": "a", "extra": {"x": 1e999}}', "in.jsonl:2: extra: x must be a finite"),
        ('{"prompt": "a", "id": "a/b"}', "in.jsonl:2: id: an id becomes a file name"),
        ("[" * 100_000, "in.jsonl:2: not JSON"),
        ("1" * 10_000, "in.jsonl:2: not JSON"),
    ],
)  # fmt: skip
def test_a_mistake_names_file_line_and_field(line: str, mistake: str) -> None:
    """Whatever is wrong with a row is told with its place, and nothing else is."""
    found = said('{"prompt": "fine"}', line)
    assert 1 == len(found)
    assert found[0].startswith(mistake)


def test_a_row_needs_a_model_from_somewhere() -> None:
    """Without a model in the row or the options the remedy names both."""
    assert ["in.jsonl:1: model: missing: give it in the row, or --model for all rows"] == said(
        '{"prompt": "a"}', defaults=Defaults()
    )


def test_all_mistakes_are_told_together() -> None:
    """One run finds all of them, in the order of their lines; a great many are counted."""
    found = said('{"id": "a", "prompt": "a"}', "x", '{"id": "A", "prompt": "b"}', '{"prompt": ""}')
    assert ["in.jsonl:2", "in.jsonl:3", "in.jsonl:4"] == [mistake[:10] for mistake in found]
    with pytest.raises(InputError, match=r"\.\.\. and 5 more"):
        rows(*["x"] * (SHOWN + 5))


def test_ids_are_unique_also_where_capitals_do_not_count() -> None:
    """Equal ids, ids that differ in capitals or in the spelling of an accent, and an id that a row was named by."""
    for other in ("kettle", "KETTLE"):
        assert ["in.jsonl:2: id: " + repr(other) + " is the id of line 1, too: ids are unique"] == said(
            '{"id": "kettle", "prompt": "a"}', json.dumps({"id": other, "prompt": "b"})
        )
    assert 1 == len(said('{"id": "\u00e9", "prompt": "a"}', '{"id": "e\u0301", "prompt": "b"}'))
    name = identity({"prompt": "a"})
    assert 1 == len(said(json.dumps({"id": name, "prompt": "b"}), '{"prompt": "a"}'))


def test_two_rows_never_share_a_file() -> None:
    """`a` with two pictures and `a-2` with one would both be a-2.png."""
    assert ["in.jsonl:2: id: its picture 'a-2' is that of line 1, too: choose another"] == said(
        '{"id": "a", "prompt": "a", "n": 2}', '{"id": "a-2", "prompt": "b"}'
    )


def test_an_empty_or_foreign_file_is_a_mistake(tmp_path: Path) -> None:
    """No rows, no such file, not a file, another kind of file, not UTF-8: each says what it is."""
    assert ["in.jsonl: there is no row in it"] == said("", "  ")
    for name, word in (("none.jsonl", "cannot be read"), ("rows.csv", "is a .jsonl file"), ("dir.jsonl", "cannot be")):
        (tmp_path / "dir.jsonl").mkdir(exist_ok=True)
        with pytest.raises(InputError, match=word):
            read_rows(tmp_path / name, DEFAULTS)
    (tmp_path / "latin.jsonl").write_bytes(b'{"prompt": "\xe9"}\n')
    with pytest.raises(InputError, match=r"latin.jsonl:1: not UTF-8"):
        read_rows(tmp_path / "latin.jsonl", DEFAULTS)


@given(st.binary(max_size=300))
def test_any_bytes_are_rows_or_mistakes(data: bytes) -> None:
    """No file makes the reader fail in any other way."""
    try:
        found: object = parse_rows(data, "in.jsonl", DEFAULTS)
    except InputError as error:
        found = error.mistakes
    assert found
