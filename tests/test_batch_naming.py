"""Names of pictures: safe on every system, no two alike, and the same in later runs; and which samples they are."""

from __future__ import annotations

import re
from itertools import count

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.requests import ImageRequest
from penstock_io.batch.naming import (
    LONGEST,
    LONGEST_TEMPLATE,
    MissingField,
    Namer,
    Sampler,
    Template,
    folded,
    safe,
)
from penstock_io.batch.rows import Json, Row

ODD = 'aAbcCoOnN1xX-._~ /\\:*?"<>|\u00e9\u00c9\u0301\u00df\u0131iI\u017f\u00b9\u202e\u2028\ud800\x00\x7f\xa0\u3000'
NASTY = st.text(st.sampled_from(ODD))
NAMES = st.text(max_size=12) | NASTY | st.sampled_from(["CON", "con.txt", "LPT¹", "a", "A", "a-1", "a-2", "..", "~"])
IDS = NAMES.filter(bool)
TEMPLATES = st.sampled_from(["{id}", "{k}{id}", "{index}{id}", "{n}"])
NUMBERS = st.integers(1, 3)


def row(name: str, content: str = "c", n: int = 1, index: int = 0, meta: dict[str, Json] | None = None) -> Row:
    """A row of this id."""
    return Row(name, index, index + 1, ImageRequest(prompt="a red kettle", model="m", n=n), content, meta or {})


def named(template: str, one: Row, n: int = 1) -> tuple[str, ...]:
    """The names of a row's pictures."""
    return Template.parse(template).stems(one, n)


@given(NAMES | st.text(min_size=100, max_size=300))
@example("a" * LONGEST)
@example("é" * (LONGEST // 2 + 1))
@example("aux .png")
@example("CONOUT$")
def test_a_safe_name_is_one_on_every_system(text: str) -> None:
    """One component, not hidden, no option, no device, no blind or forbidden character, short, in one spelling."""
    name = safe(text)
    assert name == safe(name)
    assert name.encode()
    assert LONGEST >= len(name.encode())
    assert not set(name) & set('/\\:*?"<>|')
    assert not any(ord(character) < 32 or character in "\x7f\xa0\u202e\u2028\u3000" for character in name)
    assert name[0] not in " .-"
    assert name[-1] not in " ."
    devices = {"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"}
    first = name.partition(".")[0].rstrip().casefold()
    assert first not in devices
    assert not (first[:3] in {"com", "lpt"} and first[3:] in set("0123456789¹²³"))
    if name != text:
        assert "~" == name[-9]


@given(st.sets(NAMES, min_size=2, max_size=30))
def test_no_two_texts_have_one_safe_name(texts: set[str]) -> None:
    """What is made safe never meets another text, safe or not."""
    assert len(texts) == len({safe(text) for text in texts})


@pytest.mark.parametrize(
    "text", ["a", "sku-7_b.c", "a b", "é", "\u58f6", "a#b%c", "console", "com", "x" * LONGEST, "\U0001f98a", "~x", "1"]
)
def test_an_ordinary_text_stays_as_it_is(text: str) -> None:
    """Names that every system takes are not touched."""
    assert text == safe(text)


def test_safe_names_never_change() -> None:
    """Names are part of a folder: what an earlier version called a picture, this one does."""
    assert ("_x~d6b96a97", "_CON~a3dbc4b6", "é~bf12767b") == (safe("../x"), safe("CON"), safe("e\u0301"))


@given(st.sampled_from(["con", "Com1", "a.b", "-x", "~", "a" * 99, "a" * 100, "a" * 130]) | st.text(min_size=1))
@example("CON")
def test_the_plainest_template_names_rows_as_any_other(name: str) -> None:
    """The short way that ordinary ids take leads where the long one does, with and without a mark."""
    one = row(name)
    for mark in ("", "~0123abcd"):
        assert (f"{safe(name)}{mark}",) == Template.parse("{id}").stems(one, 1, mark)
        assert (f"{safe(name)}{mark}-1", f"{safe(name)}{mark}-2") == Template.parse("{id}").stems(one, 2, mark)


def test_names_that_a_disk_confuses_are_one_when_folded() -> None:
    """Capital or not, composed or not: no letter has two folded names."""
    for number in range(0x20000):  # no letter beyond has a capital
        letter = chr(number)
        flat = folded(letter)
        assert flat == folded(letter.upper()) == folded(letter.lower()) == folded(flat), hex(number)
    assert folded("KE\u0301TTLE") == folded("k\u00e9ttle")
    assert folded("a") != folded("b")


@pytest.mark.parametrize(
    ("template", "n", "names"),
    [
        ("{id}", 1, ("x",)),
        ("{id}", 2, ("x-1", "x-2")),
        ("{sku}-{k}", 1, ("K7-1",)),
        ("{meta.sku}_{k}", 2, ("K7_1", "K7_2")),
        ("{k}. {prompt} {n}", 1, ("1. a red kettle 2",)),
        ("{{{index}}}", 1, ("{4}",)),
        ("{model}{shelf}", 1, ("m7",)),
    ],
)
def test_a_template_is_filled_in(template: str, n: int, names: tuple[str, ...]) -> None:
    """Fields of the row, of its request and of meta; numbers where there are several and the template has none."""
    assert names == named(template, row("x", n=2, index=4, meta={"sku": "K7", "shelf": 7}), n)


def test_a_template_with_odd_values_is_one_name() -> None:
    """What a value holds never makes folders, and the number of the picture is not cut off."""
    odd = row("x", meta={"sku": "../a", "text": "long" * 100, "more": "é" * 200})
    long = named("{text}-{k}", odd, 2)
    assert [1, 1] == [name.count("~") for name in long]
    assert ["-1", "-2"] == [name[-2:] for name in long]
    assert ("_a~61b4c98b-1", "_a~61b4c98b-2") == named("{sku}-{k}", odd, 2)
    for template in ("{text}", "{text}-{k}", "{text} {more} {k}", "{k}{more}{text}{more}{sku}"):
        names = named(template, odd, 2)
        assert 2 == len(set(names))

        assert all(safe(name) == name or name[:-2] == safe(name[:-2]) for name in names)


@pytest.mark.parametrize(
    ("template", "word"),
    [
        ("{id", "not closed"), ("id}", "not closed"), ("{}-{id}", "needs the name"), ("{meta.}{id}", "needs the name"),
        ("{id!r}", "without : and !"), ("{index:04}", "without : and !"), ("picture", "one name"), ("", "one name"),
        ("{k}", "one name"), ("{sku}/{id}", "cannot hold /"), ("a:{id}", "cannot hold :"), ("\x1b{id}", "'\\x1b'"),
        ("{extra}", "no single text"), ("{meta}", "no single text"), ("{id}" * LONGEST_TEMPLATE, "at most"),
    ],
)  # fmt: skip
def test_a_template_that_cannot_be_is_refused(template: str, word: str) -> None:
    """The message says what is wrong with it, and drives no terminal."""
    with pytest.raises(ValueError, match=re.escape(word)) as caught:
        Template.parse(template)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("meta", [{}, {"sku": None}, {"sku": " "}, {"sku": ["a"]}, {"sku": {"a": 1}}])
def test_a_row_without_a_field_of_the_template_says_so(meta: dict[str, Json]) -> None:
    """What is missing, empty or no single text is a mistake of that row, naming the field."""
    with pytest.raises(MissingField, match="--name needs it") as caught:
        named("{sku}", row("x", meta=meta))
    assert "sku" == caught.value.field
    with pytest.raises(MissingField):
        named("{size}", row("x"))


def test_x_and_x_live_side_by_side() -> None:
    """Ids that a disk does not tell apart have names that it does; the first has the plain one."""
    namer = Namer(Template.parse("{id}"), {})
    assert [("X",), ("x~2d711642",), ("X",)] == [namer.stems(row(name), 1) for name in ("X", "x", "X")]
    assert ("x~2d711642-1", "x~2d711642-2") == Namer(Template.parse("{id}"), {"x-2": "X"}).stems(row("x"), 2)
    assert ("same-1",) == Namer(Template.parse("{meta.a}-{k}"), {}).stems(row("p", meta={"a": "same"}), 1)


@given(
    st.lists(st.tuples(IDS, NUMBERS), max_size=12, unique_by=lambda pair: pair[0]),
    TEMPLATES,
)
def test_no_two_rows_have_one_name(pairs: list[tuple[str, int]], template: str) -> None:
    """Whatever the ids and the template, no picture has the name of another, on any disk."""
    namer = Namer(Template.parse(template), {})
    found = [stem for name, n in pairs for stem in namer.stems(row(name, n=n), n)]
    assert sum(n for _, n in pairs) == len({folded(stem) for stem in found})
    assert all(stem[0] not in ".- " and "/" not in stem for stem in found)


@given(st.lists(IDS, min_size=1, max_size=8, unique=True), st.data())
def test_later_runs_keep_the_names_they_gave(names: list[str], data: st.DataObject) -> None:
    """Sorted, with rows gone and new ones in between: who has a picture in the folder keeps its name."""
    template = Template.parse("{id}")
    first = Namer(template, {})
    given_names = {name: first.stems(row(name), 1) for name in names}
    there = data.draw(st.sets(st.sampled_from(names)))
    taken = {folded(stem): name for name in there for stem in given_names[name]}
    wanted = data.draw(st.permutations([*names, "new", "NEW", *(name.swapcase() for name in names if name)]))
    again = Namer(template, taken)
    found = {name: again.stems(row(name), 1) for name in dict.fromkeys(wanted)}
    assert {name: given_names[name] for name in there} == {name: found[name] for name in there}
    assert len(found) == len({folded(stem) for stems in found.values() for stem in stems})


def test_a_marked_name_stays_when_the_other_row_is_gone() -> None:
    """A row keeps the name that it got beside another; where it has both, the plain one."""
    template = Template.parse("{id}")
    marked = "x~2d711642"
    assert (marked,) == Namer(template, {folded(marked): "x"}).stems(row("x"), 1)
    assert ("x",) == Namer(template, {folded(marked): "x", "x": "x"}).stems(row("x"), 1)
    assert ("x",) == Namer(template, {folded(marked): "y"}).stems(row("x"), 1)


def test_marks_that_are_taken_make_way_for_others() -> None:
    """An id that looks like the marked name of another is no way to its picture."""
    namer = Namer(Template.parse("{id}"), {})
    rows = [row("X"), row("x~2d711642"), row("x")]
    found = [namer.stems(one, 1)[0] for one in rows]
    assert ["X", "x~2d711642"] == found[:2]
    assert found[2].startswith("x~")
    assert 3 == len(set(map(folded, found)))


def test_repeated_rows_get_samples_of_their_own() -> None:
    """Multiples of the number of pictures, from 0, for each content apart."""
    sampler = Sampler({}, {})
    assert [0, 2, 0, 4] == [sampler.sample(row(name, text, 2)) for name, text in zip("abcd", "ppqp", strict=True)]


def test_a_known_row_keeps_its_sample() -> None:
    """Rows of earlier runs stay with their pictures, and new ones get none of those."""
    sampler = Sampler({"b": 0, "a": 3}, {"p": {0, 3}})
    assert [1, 0, 3, 2, 4] == [sampler.sample(row(name, "p")) for name in ("new", "b", "a", "c", "d")]
    sampler = Sampler({"b": 0}, {})
    assert [0, 1] == [sampler.sample(row(name, "p")) for name in ("b", "new")]
    assert [4] == [Sampler({}, {"p": [0, 3]}).sample(row("x", "p", 4))]


@given(st.lists(st.tuples(st.sampled_from("pq"), NUMBERS), max_size=20), st.sets(st.integers(0, 9)))
def test_samples_never_overlap(wanted: list[tuple[str, int]], used: set[int]) -> None:
    """Of one content no sample is given twice, nor one that was used before."""
    sampler = Sampler({}, {"p": used})
    numbers = count()
    found = [("p", sample) for sample in used]
    for content, n in wanted:
        first = sampler.sample(row(str(next(numbers)), content, n))
        assert 0 == first % n
        found += [(content, sample) for sample in range(first, first + n)]
    assert len(found) == len(set(found))
