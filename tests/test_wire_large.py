"""Large replies about texts: how large they may be, what is looked at of them, and that no step takes long."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.readings import Malformed, Problem, Reading, Success, Usage
from penstock.wire import CAP, MemorySink, reader
from penstock.wire import bodies as bounds
from penstock.wire._skim import DEEPEST, KEPT, Skimmer
from penstock.wire.bodies import MOST_ITEMS, SMALL, UPPER

USED = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
names = st.text(st.sampled_from('ab"\\[]{}:, \u00e4\n'), max_size=6) | st.just("x" * KEPT)
trees = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.floats(-1, 1) | names,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names.map(lambda name: name[:9]), inner, max_size=4),
    max_leaves=20,
)


def skimmed(body: bytes, storeys: int, cuts: list[int]) -> bytes:
    """What is left of a text that arrives in these pieces."""
    skimmer = Skimmer(storeys)
    at, left = 0, b""
    for cut in [*sorted(min(cut, len(body)) for cut in cuts), len(body)]:
        left += skimmer.feed(body[at:cut])
        at = cut
    return left + skimmer.rest()


def upper(value: object, storeys: int) -> object:
    """The same of a value: what is deeper is 0, what is long is empty."""
    match value:
        case dict() | list() if storeys == 0:
            return 0
        case dict():
            return {name: upper(one, storeys - 1) for name, one in value.items()}
        case list():
            return [upper(one, storeys - 1) for one in value]
        case str() if len(json.dumps(value, ensure_ascii=False).encode()) > KEPT:
            return ""
        case _:
            return value


@given(trees, st.integers(1, 5), st.sampled_from([None, 1]), st.lists(st.integers(0, 3_000), max_size=9))
@example({"a": ["\\" * 700, "\\", 1], "b": [[["["]]]}, 2, None, [12, 13, 14, 600])
def test_the_upper_storeys_are_what_is_left(value: object, storeys: int, indent: int | None, cuts: list[int]) -> None:
    """However it is split, in whatever layout: the same value without what is deep."""
    body = json.dumps(value, indent=indent, ensure_ascii=False).encode()
    assert upper(value, storeys) == json.loads(skimmed(body, storeys, cuts))


@given(st.text(st.sampled_from('[]{}"\\x1,'), max_size=60).map(str.encode), st.lists(st.integers(0, 60), max_size=9))
def test_what_is_left_is_the_same_however_it_is_split(body: bytes, cuts: list[int]) -> None:
    """Also of what is no JSON: nothing raises, and what is cut off above stays cut off."""
    assert skimmed(body, 2, []) == skimmed(body, 2, cuts)


@pytest.mark.parametrize("body", [b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), b"]", b'{"a":1}}', b'{"a":[', b'["x'])
def test_what_is_no_json_stays_none(body: bytes) -> None:
    """Too deep, closed before it was opened, or cut off."""
    for cuts in ([], list(range(len(body)))):
        with pytest.raises(json.JSONDecodeError):
            json.loads(skimmed(body, 3, cuts))


def read(operation: str, body: bytes, *, status: int = 200, answers: int = 1) -> tuple[Reading, MemorySink]:
    """What a reply comes to that arrives as a connection brings it."""
    sink = MemorySink()
    taker = reader(operation, sink, status=status, answers=answers)
    for at in range(0, len(body), 1 << 16):
        taker.feed(body[at : at + (1 << 16)])
    assert taker.too_large == (taker.too_large and status == 200)
    return taker.close(), sink


def answer(**message: object) -> bytes:
    """A conversation's reply."""
    said = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": USED}
    return json.dumps(said).encode()


LARGE = 'a "word" {[ ' * (SMALL // 8)


@pytest.mark.parametrize(
    "message",
    [
        {"content": LARGE},
        {"content": "hi", "logprobs": [{"token": "a", "top": [{"token": "b", "bytes": [1, 2]}]}] * 9_000},
        {"content": None, "tool_calls": [{"function": {"name": "f", "arguments": LARGE}}]},
    ],
)
def test_a_large_answer_is_kept_as_it_came(message: dict[str, object]) -> None:
    """Byte for byte, and what it used is known, though only the top of it is parsed."""
    body = answer(**message)
    assert len(body) > SMALL
    reading, sink = read("chat.completions", body)
    assert isinstance(reading, Success)
    assert Usage(input_text=3, output_text=4) == reading.usage
    assert [body] == list(sink.pictures.values())
    cut, sink = read("chat.completions", body[:-2])
    assert Malformed("truncated") == cut
    assert {} == sink.pictures


@pytest.mark.parametrize(
    ("operation", "body", "large"),
    [
        ("chat.completions", answer(content="x" * (32 << 20)), True),
        ("chat.completions", answer(content="x" * (31 << 20)), False),
        ("chat.completions", b'{"choices":[' + b"{}," * UPPER, True),
        ("moderations", b'{"results":[' + b" " * (4 << 20), False),
        ("moderations", b'{"results":[' + b" " * (5 << 20), True),
        ("embeddings", b'{"data":[' + b'{"embedding":[1.0]},' * 9_000, False),
        ("embeddings", b'{"data":[' + b'{"embedding":{}},' * (1 << 17), True),
        ("embeddings", b'{"data":[' + b"[1.0]," * (7 << 20), True),
    ],
)
def test_each_kind_has_a_cap_of_its_own(operation: str, body: bytes, large: bool) -> None:
    """Far below that of pictures: above it the rest is not taken, nothing is kept, and the reading says why."""
    assert len(body) < CAP // 8
    reading, sink = read(operation, body)
    told = isinstance(reading, Malformed) and reading.reason.startswith("a reply of more than ")
    assert large == told
    assert large == (not sink.pictures and told)


def test_what_has_too_many_items_is_not_parsed() -> None:
    """Verdicts on 2,048 texts have less than half as many."""
    results = [{"flagged": False, "scores": {str(one): one for one in range(40)}}] * 2_048
    assert isinstance(read("moderations", json.dumps({"results": results}).encode(), answers=2_048)[0], Success)
    many, sink = read("moderations", b'{"results":[' + b"[]," * MOST_ITEMS + b'{"flagged":true}]}')
    assert (Malformed("too much in it"), {}) == (many, sink.pictures)


def test_many_vectors_may_be_long() -> None:
    """The cap goes by how many were asked for, and of how many numbers."""
    body = b'{"data":[' + b",".join([b'{"embedding":[' + b"0.1234567," * 9_999 + b"1]}"] * 400) + b"]}"
    assert len(body) > 32 << 20
    taken: list[bool] = []
    for answers, dimensions in ((1, 10_000), (400, 10_000), (400, 0)):
        taker = reader("embeddings", MemorySink(), status=200, answers=answers, dimensions=dimensions)
        for at in range(0, len(body), 1 << 20):
            taker.feed(body[at : at + (1 << 20)])
        taken.append(taker.too_large)
    assert [True, False, False] == taken


def test_a_raw_reply_may_be_anything() -> None:
    """A film of 40 MB is kept; what it used is known where the top of it says so, and an error alone is an error."""
    film = json.dumps({"film": "x" * (40 << 20), "usage": USED}).encode()
    reading, sink = read("raw", film)
    assert isinstance(reading, Success)
    assert (Usage(input_text=3, output_image=4), "json") == (reading.usage, reading.parts[0].format)
    assert [len(film)] == [len(one) for one in sink.pictures.values()]
    many, _ = read("raw", b"[" + b'{"a":1},' * UPPER + b"{}]")
    assert isinstance(many, Success)
    assert (None, "json") == (many.usage, many.parts[0].format)
    assert isinstance(read("raw", json.dumps({"error": {"message": "x" * SMALL}}).encode())[0], Problem)


def test_of_a_long_error_only_the_beginning_is_looked_at() -> None:
    """Whoever sends 8 MB of a page with a 502 has said what there is to be said, and it is no large reply."""
    reading, _ = read("chat.completions", b"<html>bad gateway" + b" " * (8 << 20), status=502)
    assert isinstance(reading, Problem)
    assert not reading.own


def _calls(work: Callable[[], object]) -> list[int]:
    """The bytes of JSON that each parse in `work` was given."""
    given_: list[int] = []
    real = json.loads

    def note(frame: object, event: str, argument: object) -> None:
        del argument
        code = getattr(frame, "f_code", None)
        if event == "call" and code is real.__code__:
            given_.append(len(getattr(frame, "f_locals", {})["s"]))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return given_


def test_no_more_is_parsed_at_once_than_a_loop_can_bear() -> None:
    """Of 32 MB of figures about tokens at the end, at most half a megabyte."""
    token = {"token": "ab", "logprob": -0.5, "top_logprobs": [{"token": "ab", "bytes": [97, 98]}] * 20}
    parsed = _calls(partial(read, "chat.completions", answer(content="hi", logprobs=[token] * 20_000)))
    assert 1 == len(parsed)
    assert max(parsed) <= bounds.UPPER
