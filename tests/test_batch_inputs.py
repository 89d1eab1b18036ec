"""Inputs: text, JSON lines and tables become rows, or mistakes with file, line, field and remedy."""

from __future__ import annotations

import csv
import json
import os
from io import StringIO
from itertools import cycle
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock_io.batch.columns import MOST_COLUMNS
from penstock_io.batch.inputs import Incoming, Kind, parse_rows, read_rows
from penstock_io.batch.rows import LONGEST_MESSAGE, LONGEST_NAME, SHOWN, Defaults, InputError, Invalid, Row, Rows

DEFAULTS = Defaults("gpt-image-2")
KINDS = st.sampled_from(Kind)
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8).map(str.strip).filter(bool)
GOOD = st.fixed_dictionaries(
    {"prompt": WORDS},
    optional={"size": st.sampled_from(["auto", "8x8"]), "n": st.integers(1, 3), "seed": st.integers(-9, 9)},
)
FILES = st.binary(max_size=200) | st.lists(
    st.sampled_from([
        b'{"prompt": "a"}', b'{"prompt": ', b'"', b",", b";", b"\t", b"\n", b"\r\n", b"\r", b"prompt", b"id", b"n",
        b"meta", b"extra", b"{", b"}", b"[", b"]", b"1", b"-1", b"1e999", b"NaN", b"\\ud800", b"\0", b"\xff",
        b"\xef\xbb\xbf", b"a", b"\xc3\xa9", b"\xe2\x80\xae", b" ",
    ]),
    max_size=30,
).map(b"".join)  # fmt: skip


def rows(*lines: str, kind: Kind = Kind.JSONL, keep: tuple[str, ...] = (), skip: bool = False) -> Rows:
    """What a file of these lines holds."""
    return parse_rows("\n".join(lines).encode(), "in", DEFAULTS, kind=kind, keep=keep, skip_invalid=skip)


def said(data: bytes, kind: Kind = Kind.JSONL) -> list[str]:
    """What is wrong with a file."""
    with pytest.raises(InputError) as caught:
        parse_rows(data, "in", DEFAULTS, kind=kind)
    return [str(mistake) for mistake in caught.value.mistakes]


def prompts(found: Rows) -> list[tuple[int, int, str]]:
    """Place, line and prompt of each row."""
    return [(row.index, row.line, row.request.prompt) for row in found.rows]


def table(*records: tuple[str, ...]) -> str:
    """A table as a spreadsheet writes it."""
    file = StringIO()
    csv.writer(file).writerows(records)
    return file.getvalue()


def test_a_prompt_a_line() -> None:
    """Blank lines are none, ends of lines and blanks around a prompt do not count, and lines keep their numbers."""
    data = b'\xef\xbb\xbfa red kettle\r\n\n  \t \n  a blue, one "and" {more}\n'
    found = parse_rows(data, "in", DEFAULTS, kind=Kind.TXT)
    assert [(0, 1, "a red kettle"), (1, 4, 'a blue, one "and" {more}')] == prompts(found)


def test_an_object_a_line() -> None:
    """Blank lines, a byte order mark, and ends of lines in either way."""
    found = rows('\ufeff{"prompt": "a"}\r', "", " \r", '  {"prompt": "b", "id": "own", "meta": {"x": 1.5}} \r')
    assert {"x": 1.5} == found.rows[1].meta
    assert [(0, 1, "a"), (1, 4, "b")] == prompts(found)
    assert (("own", True), False) == ((found.rows[1].id, found.rows[1].explicit), found.rows[0].explicit)


def test_a_table() -> None:
    """Columns are fields, an empty cell is none, numbers are numbers, and lines are counted inside of cells, too."""
    found = parse_rows(
        b"\xef\xbb\xbfid,prompt, n,seed,extra,meta,meta.shelf,\r\n"
        b'1,"a, ""red""\r\nkettle",2,-7,"{""x"": 1}","{""sku"": 7}",left,\r\n'
        b"\r\n,,,,,,,\r\n"
        b' 2 , "b", , ,,,,\r\n',
        "in",
        DEFAULTS,
        kind=Kind.CSV,
    )
    assert [(0, 2, 'a, "red"\nkettle'), (1, 6, "b")] == prompts(found)
    one, two = found.rows
    assert (2, -7, (("x", 1),)) == (one.request.n, one.request.seed, one.request.extra)
    assert ({"sku": 7, "shelf": "left"}, {}) == (one.meta, two.meta)
    assert ("1", "2", 1, None) == (one.id, two.id, two.request.n, two.request.seed)


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_table_as_spreadsheets_write_it(mark: str) -> None:
    """Where the header is separated by semicolons or tabs, so are the rows."""
    found = rows(f'"prompt"{mark}size', f'"a, b; c"{mark}8x8', kind=Kind.CSV)
    assert ("a, b; c", "8x8") == (found.rows[0].request.prompt, found.rows[0].request.size)


@given(st.lists(GOOD, min_size=1, max_size=6))
def test_a_row_is_the_same_in_every_kind_of_file(records: list[dict[str, str | int]]) -> None:
    """Prompts as text, JSON or a table, and records as JSON or a table: the same ids, contents and requests."""
    columns = ("prompt", "size", "n", "seed")
    header = table(columns).encode()
    cells = [tuple(str(own.get(name, "")) for name in columns) for own in records]
    objects = "\n".join(json.dumps(own) for own in records).encode()
    spread = parse_rows(header + table(*cells).encode(), "in", DEFAULTS, kind=Kind.CSV)
    assert _told(parse_rows(objects, "in", DEFAULTS)) == _told(spread)
    bare = [str(own["prompt"]) for own in records]
    text = parse_rows("\n".join(bare).encode(), "in", DEFAULTS, kind=Kind.TXT)
    said_so = rows(*(json.dumps({"prompt": prompt}) for prompt in bare))
    assert _told(said_so) == _told(text)


def _told(found: Rows) -> list[tuple[object, ...]]:
    return [(row.id, row.index, row.content, row.request, row.meta, row.explicit) for row in found.rows]


def test_repeated_rows_are_told_apart() -> None:
    """The second row of the same fields is -2, the third -3; one content, one picture."""
    line = '{"prompt": "a", "n": 2}'
    first, second, third = rows(line, line, '{"n": 2, "prompt": "a"}').rows
    assert (f"{first.id}-2", f"{first.id}-3") == (second.id, third.id)
    assert 1 == len({row.content for row in (first, second, third)})


@given(st.lists(GOOD, min_size=1, max_size=8), st.data())
def test_ids_survive_what_people_do_to_lines(records: list[dict[str, str | int]], data: st.DataObject) -> None:
    """Sorted, deleted and inserted lines: every row that is not repeated has the id it had."""
    lines = [json.dumps(own) for own in records]
    found = rows(*lines).rows
    before = {row.content: row.id for row in found}
    kept = data.draw(st.permutations(lines))[: data.draw(st.integers(0, len(lines)))]
    kept.insert(data.draw(st.integers(0, len(kept))), '{"prompt": "a new one, longer than any"}')
    repeated = {row.content for row in found if "-" in row.id}
    for row in rows(*kept).rows:
        if row.content in before and row.content not in repeated:
            assert before[row.content] == row.id


def test_explicit_ids_are_unique() -> None:
    """The second row of an id is wrong and names the first; ids that only look alike are two, and 1 is "1"."""
    assert ['in:3: id: "x" is the id of line 1, too: give each row its own'] == said(
        b'{"id": "x", "prompt": "a"}\n\n{"id": "x", "prompt": "b"}'
    )
    assert 1 == len(said(b'{"id": 1, "prompt": "a"}\n{"id": "1", "prompt": "b"}'))
    assert 2 == len(rows('{"id": "x", "prompt": "a"}', '{"id": "X", "prompt": "a"}').rows)
    name = rows('{"prompt": "a"}').rows[0].id
    taken = said(json.dumps({"id": name, "prompt": "b"}).encode() + b'\n{"prompt": "a"}')
    assert [f'in:2: id: line 1 has the id "{name}", which this row gets from its fields: give one of them another'] == (
        taken
    )


MALFORMED: list[tuple[Kind, bytes, str]] = [
    (Kind.JSONL, b"", "in: there is no row in it"),
    (Kind.TXT, b"\n \r\n", "in: there is no row in it"),
    (Kind.CSV, b"", "in: there is no row in it"),
    (Kind.CSV, b"prompt,size\n", "in: there is no row in it"),
    (Kind.CSV, b"\n\r\n", "in: there is no row in it"),
    (Kind.JSONL, b'{"prompt": "caf\xe9"}', "in:1: not UTF-8 (byte 0xe9): save the file as UTF-8"),
    (Kind.TXT, b"a\ncaf\xe9\n", "in:2: not UTF-8 (byte 0xe9)"),
    (Kind.CSV, b"prompt\na\ncaf\xe9\n", "in:3: not UTF-8 (byte 0xe9)"),
    (Kind.JSONL, '{"prompt": "a"}'.encode("utf-16"), "in: is UTF-16: save it as UTF-8"),
    (Kind.JSONL, '{"prompt": "a"}'.encode("utf-16-le"), "in:1: holds a NUL byte"),
    (Kind.TXT, b"a\0b", "in:1: prompt: holds a NUL byte"),
    (Kind.CSV, b"prompt\na\n\0", "in:3: holds a NUL byte"),
    (Kind.JSONL, b'{"prompt": "a"', "in:1: not JSON: Expecting ',' delimiter (column 15); a row is written"),
    (Kind.JSONL, b"{'prompt': 'a'}", "in:1: not JSON: Expecting property name enclosed in double quotes"),
    (Kind.JSONL, b'{"prompt": "a"} {"prompt": "b"}', "in:1: not JSON: something follows the object (column 16)"),
    (Kind.JSONL, b'{"prompt": "a\tb"}', "in:1: not JSON: Invalid control character"),
    (Kind.JSONL, b'{"prompt": NaN}', "in:1: not JSON: NaN is no number"),
    (Kind.JSONL, b'{"prompt": "a", "n": 1e999}', "in:1: the number 1e999 is too large"),
    (Kind.JSONL, b'{"prompt": "a", "n": ' + b"9" * 9000 + b"}", "in:1: holds a number that is too long"),
    (Kind.JSONL, b'{"prompt": "a", "prompt": "b"}', "in:1: prompt: given twice"),
    (Kind.JSONL, b'{"prompt": "a", "meta": {"x": 1, "x": 2}}', "in:1: x: given twice"),
    (Kind.JSONL, b"[" * 100_000, "in:1: has too many lists or objects inside one another"),
    (Kind.JSONL, b'["a"]', "in:1: not an object: a row is written"),
    (Kind.JSONL, b"7", "in:1: not an object"),
    (Kind.JSONL, b'[\n{"prompt": "a"}\n]', "in:1: is JSON over several lines"),
    (Kind.JSONL, b'\n{\n"prompt": "a"\n}', "in:2: is JSON over several lines"),
    (Kind.JSONL, b'{"prompt": "a", "id": "a\\u0007"}', "in:1: id: holds characters that cannot be shown"),
    (Kind.JSONL, b'{"prompt": "\\ud800"}', "in:1: prompt: holds half of a surrogate pair"),
    (Kind.CSV, b"id,text\n1,a\n", "in:1: prompt: no column is called so: the first line names the columns"),
    (Kind.CSV, b"a red kettle\na blue one\n", "in:1: prompt: no column is called so"),
    (Kind.CSV, b"promt,size\na,auto\n", 'in:1: promt: unknown name: did you mean "prompt"?'),
    (Kind.CSV, b"prompt,colour\na,red\n", 'in:1: colour: unknown name: call it "meta.colour"'),
    (Kind.CSV, b"prompt,size,size\na,auto,auto\n", "in:1: size: two columns have this name"),
    (Kind.CSV, b"prompt,size\na,auto,b\n", "in:2: has 3 cells, the header 2"),
    (Kind.CSV, b"prompt,size\na\n", "in:2: has 1 cells, the header 2"),
    (Kind.CSV, b"prompt,\na,b\n", "in:2: has a cell in a column without a name"),
    (Kind.CSV, b'prompt\na\n"b\nc\n', "in:3: a quote is opened in this row and never closed"),
    (Kind.CSV, b'prompt\n"a" b\n', "in:2: a quote stands inside a cell"),
    (Kind.CSV, b"prompt\n" + b"a" * 140_000, "in:2: a cell has more than 131,072 characters"),
    (Kind.CSV, b"prompt,n\na,two\n", 'in:2: n: must be a whole number, not "two"'),
    (Kind.CSV, "prompt,n\na,\u00b2\n".encode(), "in:2: n: must be a whole number"),
    (Kind.CSV, "prompt,n\na,\u0663\n".encode(), "in:2: n: must be a whole number"),
    (Kind.CSV, b"prompt,n\na,1.0\n", "in:2: n: must be a whole number"),
    (Kind.CSV, b"prompt,n\na," + b"9" * 5_000, "in:2: n: must be a whole number"),
    (Kind.CSV, b"prompt,extra\na,{\n", "in:2: extra: not JSON"),
    (Kind.CSV, b"prompt,meta\na,[1]\n", "in:2: meta: must be an object"),
    (Kind.CSV, b",".join(b"%d" % name for name in range(MOST_COLUMNS + 1)), "in:1: has 1,001 columns"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "data", "mistake"), MALFORMED)
def test_a_mistake_names_file_line_and_field(kind: Kind, data: bytes, mistake: str) -> None:
    """Whatever is wrong with a file is told with its place and the remedy, once."""
    found = said(data, kind)
    assert 1 == len(found)
    assert found[0].startswith(mistake)


def test_all_mistakes_are_told_together() -> None:
    """One reading finds all of them, in the order of their lines, and those before the end of what can be read."""
    found = said(b'{"prompt": "a"}\nx\n{"prompt": 1, "n": 0}\n{"prompt": ""}')
    assert ["in:2", "in:3", "in:3", "in:4"] == [mistake[:4] for mistake in found]
    assert {"n", "prompt"} == {mistake.split(": ")[1] for mistake in found[1:]}
    with pytest.raises(InputError, match=r"\.\.\. and 5 more"):
        rows('{"prompt": "a"}', *["x"] * (SHOWN + 5))
    assert ["in:2", "in:3"] == [mistake[:4] for mistake in said(b'prompt,n\na,x\n"b', Kind.CSV)]


def test_bad_rows_may_be_told_apart() -> None:
    """With skip_invalid they keep place, line and id among the good ones; what cannot be read is still an error."""
    found = rows('{"prompt": "a"}', "x", '{"id": "k", "prompt": 7}', '{"id": "l", "prompt": "b"}', skip=True)
    assert [(0, 1, "a"), (3, 4, "b")] == prompts(found)
    assert [(None, 1, 2), ("k", 2, 3)] == [(bad.id, bad.index, bad.line) for bad in found.invalid]
    assert ["in:3: prompt: must be a text in quotes"] == [str(mistake) for mistake in found.invalid[1].mistakes]
    assert (1, 1) == (len((brace := rows('{"prompt": "a"}', "{", skip=True)).rows), len(brace.invalid))
    assert ((), 1) == ((only := rows("x", skip=True)).rows, len(only.invalid))
    for data, kind in ((b"", Kind.JSONL), (b'prompt\n"a', Kind.CSV), (b"\xff\xfe", Kind.TXT)):
        with pytest.raises(InputError):
            parse_rows(data, "in", DEFAULTS, kind=kind, skip_invalid=True)


def test_of_rows_of_one_id_the_first_counts() -> None:
    """Skipping, the second of an id is invalid without one: the id belongs to the first."""
    found = rows('{"id": "x", "prompt": "a"}', '{"id": "x", "prompt": "b"}', skip=True)
    assert (["a"], [None]) == ([row.request.prompt for row in found.rows], [bad.id for bad in found.invalid])


def test_kept_columns_are_carried() -> None:
    """A column that --keep names is meta, in a table and in JSON alike."""
    spread = rows("prompt,sku", "a,7", kind=Kind.CSV, keep=("sku",))
    lines = rows('{"prompt": "a", "sku": "7"}', keep=("sku",))
    assert [{"sku": "7"}] == [row.meta for row in spread.rows] == [row.meta for row in lines.rows]
    assert spread.rows[0].id == lines.rows[0].id


def test_wrong_options_are_said_once() -> None:
    """A default that no row can take is no fault of the rows, whether they are in a file or come one by one."""
    for make in (
        lambda: parse_rows(b'{"prompt": "a"}\n' * 9, "in", Defaults("m", n=0)),
        lambda: Incoming("-", Defaults("m", n=0)),
    ):
        with pytest.raises(InputError) as caught:
            make()
        assert ["the options: n: must be a whole number from 1 to 1000"] == list(map(str, caught.value.mistakes))


def test_what_all_rows_lack_is_said_once() -> None:
    """It comes from the options; where one row has it, the lines of the others are told."""
    lines = [f"kettle {n}" for n in range(150)]
    with pytest.raises(InputError) as wrong:
        parse_rows("\n".join(lines).encode(), "in.txt", Defaults(), kind=Kind.TXT)
    told = "in.txt: model: missing: give it in the row, or --model for all rows (all 150 rows)"
    assert told == str(wrong.value)
    own = [json.dumps({"prompt": "a", **({"model": "m"} if n == 1 else {})}) for n in range(9)]
    with pytest.raises(InputError) as wrong:
        parse_rows("\n".join(own).encode(), "in.jsonl", Defaults())
    assert [1, *range(3, 10)] == [mistake.line for mistake in wrong.value.mistakes]


def test_an_input_is_named_by_its_kind(tmp_path: Path) -> None:
    """The ending says how a file is written, in capitals or not, and the time it took is told."""
    for name, text in (
        ("a.jsonl", '{"prompt": "a"}'),
        ("b.NDJSON", '{"prompt": "a"}'),
        ("c.csv", "prompt\na"),
        ("d.TXT", "a"),
    ):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        found = read_rows(path, DEFAULTS)
        assert (str(path), ["a"]) == (found.file, [row.request.prompt for row in found.rows])
        assert found.seconds > 0


def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path: Path) -> None:
    """No such file, a folder, another kind, a bad name, a loop: each in words, without error numbers."""
    (tmp_path / "dir.jsonl").mkdir()
    (tmp_path / "rows.xlsx").write_bytes(b"PK")
    (tmp_path / "loop.txt").symlink_to("loop.txt")
    for name, words in (
        ("none.jsonl", "there is no such file"), ("dir.jsonl", "is a folder"), (".", "is a folder"),
        ("rows.xlsx", ".jsonl (one JSON object a line), .csv (with a header line) or .txt (one prompt a line)"),
        ("rows", ".jsonl"), ("a\0.txt", "called so"), ("loop.txt", "cannot be read"),
        ("x" * 300 + ".txt", "cannot be read"),
    ):  # fmt: skip
        with pytest.raises(InputError) as caught:
            read_rows(tmp_path / name, DEFAULTS)
        assert words in str(caught.value)
        assert "Errno" not in str(caught.value)
        assert str(caught.value).isprintable()


def test_a_file_of_others_is_a_mistake(tmp_path: Path) -> None:
    """Without permission the remedy is to change it."""
    path = tmp_path / "rows.txt"
    path.write_text("a", encoding="utf-8")
    path.chmod(0)
    user = os.geteuid()
    if not user:
        os.seteuid(65_534)  # whom nothing belongs to: root may read everything
    try:
        with pytest.raises(InputError, match="may not read it"):
            read_rows(path, DEFAULTS)
    finally:
        os.seteuid(user)


@given(st.lists(GOOD | st.just({"prompt": "twice"}), max_size=8))
def test_rows_as_they_come_are_those_of_a_file(records: list[dict[str, str | int]]) -> None:
    """Line by line, with or without their ends, rows are just what they are in a file."""
    lines = [json.dumps(own).encode() for own in records]
    coming = Incoming("in", DEFAULTS)
    found = [coming.take(line + end) for line, end in zip((b"", *lines), cycle((b"\r\n", b"\n", b"")), strict=False)]
    assert found[0] is None
    whole = parse_rows(b"\n" + b"\n".join(lines), "in", DEFAULTS).rows if lines else ()
    assert list(whole) == found[1:]


def test_a_bad_row_that_comes_is_told_alone() -> None:
    """Bad lines between good ones are invalid rows with their line and place; those after it are none the worse."""
    coming = Incoming("-", DEFAULTS)
    lines = [
        b"\n",
        b'{"prompt": "a"}\n',
        b"x\n",
        b'{"id": "k", "prompt": "b"}\n',
        b'{"id": "k", "prompt": "c"}\n',
        b'{"prompt": "a"}',
    ]
    found = [coming.take(line) for line in lines]
    assert [type(None), Row, Invalid, Row, Invalid, Row] == [type(one) for one in found]
    bad = [one for one in found if isinstance(one, Invalid)]
    assert [(1, 3), (3, 5)] == [(one.index, one.line) for one in bad]
    assert '-:5: id: "k" is the id of line 4, too: give each row its own' == str(bad[1].mistakes[0])
    assert isinstance(found[5], Row)
    assert found[5].id.endswith("-2")


@given(FILES, KINDS, st.booleans())
@example(b'prompt,n\r\n"a\r', Kind.CSV, True)
@example(b'{"prompt": "a", "meta": ' + b"[" * 900 + b"]" * 900 + b"}", Kind.JSONL, False)
@example(b'{"prompt": "a", "size": ' + b"[" * 900 + b"]" * 900 + b"}", Kind.JSONL, False)
def test_any_bytes_are_rows_or_mistakes(data: bytes, kind: Kind, skip: bool) -> None:
    """No file makes the reader fail in any other way, no mistake drives a terminal, and every row can be sent."""
    try:
        found = parse_rows(data, "in", DEFAULTS, kind=kind, skip_invalid=skip)
    except InputError as error:
        mistakes = list(error.mistakes)
        assert mistakes
    else:
        mistakes = [mistake for bad in found.invalid for mistake in bad.mistakes]
        places = sorted([row.index for row in found.rows] + [bad.index for bad in found.invalid])
        assert list(range(len(places))) == places
        assert len(found.rows) == len({row.id for row in found.rows})
        assert all(row.request.prompt for row in found.rows)
        json.dumps([row.meta for row in found.rows], allow_nan=False).encode()
    assert all(str(mistake).isprintable() for mistake in mistakes)
    assert all(LONGEST_MESSAGE >= len(one.message) and LONGEST_NAME >= len(one.field) for one in mistakes)
