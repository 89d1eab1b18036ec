"""Replies that have their pictures elsewhere than OpenAI's."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.readings import Malformed, Part, Problem, Reading, Success, Usage
from penstock.wire import MemorySink
from penstock.wire._cutter import ANY, PICTURES, Cutter, Path
from penstock.wire._json import Json
from penstock.wire.pictures import Look, PictureReader, Shape
from penstock.wire.reader import Opening

PATHS: tuple[Path, ...] = (PICTURES, (b"images", ANY), (b"image",), (b"b64_json",), (b"a", b"b", ANY, ANY, b"c"))
names = st.sampled_from(["data", "images", "image", "b64_json", "a", "b", "c", "*", "size"])
leaves = st.sampled_from(["QUJD", "QQ==", "", "data:image/png;base64,QUJD"]) | st.none() | st.integers(-9, 9)
bodies = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4))


def at(value: Json, path: Path, place: int = 0) -> list[tuple[int, str]]:
    """Every text that a parsed body has at a path, with the place in the last array of the way."""
    if not path:
        return [(place, value)] if isinstance(value, str) else []
    if path[0] == ANY:
        listed = value if isinstance(value, list) else []
        return [one for number, item in enumerate(listed) for one in at(item, path[1:], number)]
    name = path[0].decode()
    return at(value[name], path[1:], place) if isinstance(value, dict) and name in value else []


def read(body: object, shape: Shape, pieces: int = 1_000_000) -> tuple[Reading, MemorySink]:
    """The reading of a 200 with this body, fed in pieces of so many bytes."""
    sink = MemorySink()
    reader = PictureReader(sink, Opening(200), shape)
    raw = json.dumps(body).encode()
    for start in range(0, len(raw), pieces):
        reader.feed(raw[start : start + pieces])
    return reader.close(), sink


@given(bodies, st.sampled_from(PATHS), st.integers(1, 9))
def test_what_stands_at_a_path_is_cut_out_and_nothing_else(body: Json, path: Path, pieces: int) -> None:
    """The places of the cuts are those that a reader of the whole body finds, and the envelope keeps all else."""
    raw = json.dumps(body).encode()
    wanted = at(body, path)
    cutter = Cutter(MemorySink(), path)
    for start in range(0, len(raw), pieces):
        cutter.feed(raw[start : start + pieces])
    if len({place for place, _ in wanted}) < len(wanted) or any(text == "" for _, text in wanted):
        assert cutter.fault
    else:
        assert [place for place, _ in wanted] == [place for place, _ in cutter.cuts]
    kept: Json = json.loads(cutter.envelope)
    assert ["#"] * len(wanted) == [text for _, text in at(kept, path)]
    assert (kept == body) == (not wanted)


@pytest.mark.parametrize("pieces", [1, 2, 7, 1_000_000])
def test_pictures_in_a_plain_list(pieces: int) -> None:
    """Each text of the list is a picture; what `look` says of the rest is the reading's."""
    shape = Shape((b"images", ANY), lambda _: Look(Usage(cost=7), size="64x32"))
    told, sink = read({"images": ["QUJD", "REVG"], "info": "QUJD"}, shape, pieces)
    refs = tuple(sink.pictures)
    assert Success(Usage(cost=7), tuple(Part(n, refs[n], "64x32", "", 3) for n in range(2))) == told
    assert [b"ABC", b"DEF"] == list(sink.pictures.values())


def test_a_picture_alone() -> None:
    """A reply whose picture stands in the body itself."""
    told, sink = read({"image": b64encode(b"\x89PNG\r\n\x1a\n").decode(), "size": "8x8"}, Shape((b"image",)))
    assert Success(None, (Part(0, next(iter(sink.pictures)), "8x8", "png", 8),)) == told


def test_a_sheet_of_all_pictures_comes_last() -> None:
    """What was not asked for is behind what was, so that it is what is left over."""
    told, sink = read({"images": ["QUFB", "QkJC", "Q0ND"]}, Shape((b"images", ANY), lambda _: Look(besides=1)))
    assert isinstance(told, Success)
    assert [(0, b"BBB"), (1, b"CCC"), (2, b"AAA")] == [(part.index, sink.pictures[part.ref]) for part in told.parts]


def test_a_refusal_beside_a_picture_is_a_refusal() -> None:
    """The picture is forgotten, and the message is cleaned."""
    shape = Shape((b"image",), lambda _: Look(problem=Problem("content_filter", message="no\nsk-abcdef1234567")))
    told, sink = read({"image": "QUJD"}, shape)
    assert Problem("content_filter", message="no ***") == told
    assert {} == sink.pictures


@pytest.mark.parametrize("body", [{}, {"images": {}}, {"images": [1, None, {}]}, {"images": []}, [], "x"])
def test_a_reply_without_pictures_is_malformed(body: object) -> None:
    """Whatever stands where they should be."""
    told, _ = read(body, Shape((b"images", ANY)))
    assert isinstance(told, Malformed)
    assert told.reason == "no pictures"
