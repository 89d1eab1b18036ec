"""Server-sent events, cut while they arrive."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.wire.sse import EventCutter

LARGE = 30 << 20


class Events:
    """A taker that keeps what it is told: (name, data)."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bytes]] = []
        self._data = bytearray()

    def data(self, piece: bytes) -> None:
        """More of the event under way."""
        assert piece
        self._data += piece

    def ended(self, name: str) -> None:
        """It is whole."""
        self.told.append((name, bytes(self._data)))
        self._data.clear()


def cut(stream: bytes, cuts: tuple[int, ...] = ()) -> list[tuple[str, bytes]]:
    """The events of a stream that arrives in the pieces that `cuts` make."""
    events = Events()
    cutter = EventCutter(events)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for start, end in pairwise(edges):
        cutter.feed(stream[start:end])
    cutter.close()
    return events.told


def plainly(stream: bytes) -> list[tuple[str, bytes]]:
    """The same by the letter of the standard, from the whole text; only the last event may lack its blank line."""
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    told: list[tuple[str, bytes]] = []
    name, lines = b"", list[bytes]()
    for line in [*text.split(b"\n"), b""]:
        if not line:
            if lines:
                told.append((name.decode("utf-8", "replace"), b"\n".join(lines)))
            name, lines = b"", []
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            lines.append(value)
        elif field == b"event":
            name = value
    return told


fields = st.sampled_from([b"data", b"event", b"id", b"retry", b"", b"datum", b"data ", b"\xef\xbb\xbfdata", b"x" * 40])
values = st.one_of(st.sampled_from([b"", b" ", b"  a", b"[DONE]", b'{"a": ":"}', b"\xc3"]), st.binary(max_size=9))
ends = st.sampled_from([b"\n", b"\r\n", b"\r"])
lines = st.one_of(
    st.builds(lambda field, value, end: field + b":" + value.translate(None, b"\r\n") + end, fields, values, ends),
    st.builds(lambda field, end: field + end, fields, ends),
    ends,
)
streams = st.builds(
    lambda before, parts, after: before + b"".join(parts) + after,
    st.sampled_from([b"", b"\xef\xbb\xbf"]),
    st.lists(lines, max_size=12),
    st.sampled_from([b"", b"data: last", b"data", b"event: x", b"data: a\n"]),
)


@given(streams, st.lists(st.integers(0, 120), max_size=8).map(tuple))
@example(b"data: a\r\n\r\ndata: b\r\r", (8,))
@example(b"\xef\xbb\xbfdata: a\n\n", (1, 2))
def test_any_split_gives_what_the_standard_gives(stream: bytes, cuts: tuple[int, ...]) -> None:
    """Names and data are those of a plain reader that has the whole text before it."""
    assert plainly(stream) == cut(stream, cuts)


@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=8).map(tuple))
def test_any_bytes_give_what_the_standard_gives(stream: bytes, cuts: tuple[int, ...]) -> None:
    """Nonsense is read as the standard reads nonsense."""
    assert plainly(stream) == cut(stream, cuts)


def test_a_stream_split_at_every_byte_is_the_same() -> None:
    """Comments, ids, retry times, several lines of data, all ends of lines: byte by byte as in one piece."""
    stream = (
        b"\xef\xbb\xbf: hello\r\n\r\nid: 7\nretry: 3\nevent: first\rdata: one\r\ndata:two\n\n"
        b"event: left\nevent: second\ndata\n\r\ndata: {}\r\r\n: bye\n\ndata: [DONE]\n\n"
    )
    expected = [("first", b"one\ntwo"), ("second", b""), ("", b"{}"), ("", b"[DONE]")]
    assert expected == cut(stream)
    assert expected == cut(stream, tuple(range(len(stream))))
    for at in range(len(stream)):
        assert expected == cut(stream, (at,))


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
def test_what_the_server_left_open_is_not_lost(ending: bytes) -> None:
    """The last event counts without its blank line, and without the end of its line."""
    assert [("done", b"paid")] == cut(b"event: done\ndata: paid" + ending)


def test_names_and_fields_without_end_keep_nothing() -> None:
    """A field's name of a megabyte, and an event's, are not kept in memory."""
    events = Events()
    cutter = EventCutter(events)
    cutter.feed(b"event: " + b"e" * (1 << 20) + b"\ndata: x\n\n" + b"data" * (1 << 18))
    cutter.feed(b": y\n\n")
    assert [("e" * 200, b"x")] == events.told
    assert max(len(vars(cutter)["_name"]), len(vars(cutter)["_event"])) == 0


@pytest.mark.parametrize("piece", [1 << 10, 1 << 16, LARGE])
def test_a_large_event_costs_what_its_copying_costs(piece: int) -> None:
    """30 MB in one event, and as much in lines of ten bytes, take seconds and not minutes, however they come."""
    begun = time.process_time()
    for stream, count in ((b"data: " + b"A" * LARGE + b"\n\n", 1), (b"data: abc\n" * (LARGE // 100) + b"\n", 1)):
        events = Events()
        cutter = EventCutter(events)
        for at in range(0, len(stream), piece):
            cutter.feed(stream[at : at + piece])
        cutter.close()
        assert count == len(events.told)
    assert time.process_time() - begun < 30.0
