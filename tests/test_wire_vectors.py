"""Vectors that are cut out of a reply while it arrives, against a plain reading of the whole."""

from __future__ import annotations

import json
import math
from binascii import b2a_base64
from struct import pack

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.readings import Success, Usage
from penstock.wire import MemorySink, reader
from penstock.wire._vectors import LONGEST, VectorCutter
from penstock.wire.embeddings import packed

numbers = st.floats(width=32, allow_nan=False, allow_infinity=False) | st.integers(-9, 9)
vectors = st.lists(numbers, min_size=3, max_size=3) | st.lists(numbers, min_size=1, max_size=30)
coded = vectors.map(lambda one: b2a_base64(pack(f"<{len(one)}f", *one), newline=False).decode())
nonsense = st.one_of(
    st.none(),
    st.just([]),
    st.just([1e300]),
    st.just([0]),
    st.just([[1.0, 2.0]]),
    st.just([True]),
    st.just([0.5, math.nan, 1.0]),
    st.just([math.inf, -math.inf] * 20),
    st.just("A" * 65),
    st.just("A" * 70),
    st.just(["a"]),
)
names = st.sampled_from(
    ["a model [1, 2.5] of mine", '"[3]"', "x" * 80, '\\"' + "B" * 68 + '\\"', "\u00e4[1]", "[", "m"]
)
replies = st.fixed_dictionaries(
    {
        "model": names,
        "data": st.lists(st.fixed_dictionaries({"embedding": vectors | coded | nonsense, "object": names}), max_size=5),
        "usage": st.just({"prompt_tokens": 3, "total_tokens": 3}),
    }
)


def read(body: bytes, cuts: list[int]) -> tuple[object, list[tuple[int, bytes]]]:
    """The reading of a reply that arrives in these pieces, and the vectors that it brought."""
    sink = MemorySink()
    taker = reader("embeddings", sink, status=200, content_type="application/json")
    at = 0
    for cut in [*sorted(cuts), len(body)]:
        taker.feed(body[at:cut])
        at = max(at, cut)
    reading = taker.close()
    parts = reading.parts if isinstance(reading, Success) else ()
    return reading, [(part.index, sink.pictures[part.ref]) for part in parts]


def plainly(body: bytes) -> list[tuple[int, bytes]]:
    """What a reader finds that waits for the whole; no bytes for a vector that is spoilt."""
    found = [packed(one["embedding"]) for one in json.loads(body)["data"]]
    return [(place, vector) for place, vector in enumerate(found) if vector is not None]


@given(replies, st.sampled_from([None, 1]), st.lists(st.integers(0, 2_000), max_size=12))
@example({"model": "m", "data": [{"embedding": [0]}, {"embedding": [5.0]}], "usage": {}}, None, [])
def test_the_same_vectors_as_a_plain_reader_finds(
    reply: dict[str, object], indent: int | None, cuts: list[int]
) -> None:
    """However it is split, in whatever layout, and whatever else looks like a vector."""
    body = json.dumps(reply, indent=indent).encode()
    reading, found = read(body, cuts)
    vectors = plainly(body)
    if len({len(vector) for _, vector in vectors if vector}) > 1:
        vectors = []
    spoilt = [place for place, vector in vectors if not vector]
    assert [one for one in vectors if one[1]] == found
    assert bool(vectors) == isinstance(reading, Success)
    assert spoilt == (list(reading.spoilt) if isinstance(reading, Success) else [])
    assert not isinstance(reading, Success) or reading.usage in (None, Usage(input_text=3))


@pytest.mark.parametrize("encoding", ["numbers", "base64"])
def test_split_at_every_byte(encoding: str) -> None:
    """Two pieces, wherever the first ends."""
    given_ = [[0.5, -1.25e-3] * 20, [math.nan, -math.inf] * 20, [7.0] * 40]
    told = [one if encoding == "numbers" else b2a_base64(pack("<40f", *one), newline=False).decode() for one in given_]
    body = json.dumps({"data": [{"index": place, "embedding": one} for place, one in enumerate(told)]}).encode()
    expected = [one for one in plainly(body) if one[1]]
    assert 2 == len(expected)
    for cut in range(len(body)):
        assert expected == read(body, [cut])[1]


def test_all_of_them_are_cut_as_they_arrive() -> None:
    """What is left for the end is the text around them, and little is held back on the way."""
    cutter = VectorCutter()
    vector = json.dumps([0.123456789] * 500)
    body = ('{"data":[' + ",".join([f'{{"embedding":{vector}}}'] * 50) + "]}").encode()
    left = 0
    for at in range(0, len(body), 1_000):
        left += len(cutter.feed(body[at : at + 1_000]))
    assert (50, True) == (len(cutter.vectors), left + len(cutter.rest()) < 2_000)


def test_an_array_without_an_end_is_left_to_the_end() -> None:
    """What is longer than any vector is not looked through again with each piece."""
    cutter = VectorCutter()
    piece = b"1.5," * 10_000
    given_up = cutter.feed(b"[")
    for _ in range(2 * LONGEST // len(piece)):
        given_up += cutter.feed(piece)
    assert len(given_up) >= LONGEST // 2
    whole = given_up + cutter.feed(b"1]") + cutter.rest()
    assert whole.startswith(b"[1.5,")
    assert whole.endswith(b"1]")
    assert [] == cutter.vectors
