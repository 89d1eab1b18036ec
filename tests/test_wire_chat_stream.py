"""Answers to a conversation, read while they are written."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from itertools import pairwise
from random import Random
from types import FrameType

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from penstock.readings import Delta, Malformed, Problem, Reading, Success, Usage
from penstock.wire import MemorySink
from penstock.wire.bodies import MOST_ITEMS
from penstock.wire.chat_stream import LONGEST_EVENT, ChatStream
from penstock.wire.pieces import LAST
from penstock.wire.reader import Opening

EVENTS = Opening(200, "text/event-stream", ("hunter2-hunter2",), cap=1 << 22)
USED = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}


def chunk(**said: object) -> bytes:
    """An event with a chunk."""
    body = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "gpt-6", **said}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def piece(text: str | None = None, index: int = 0, reason: str | None = None, **delta: object) -> bytes:
    """A chunk of one answer."""
    said = {**delta, **({} if text is None else {"content": text})}
    return chunk(choices=[{"index": index, "delta": said, "finish_reason": reason}], usage=None)


def listen(
    body: bytes, cuts: tuple[int, ...] = (), opening: Opening = EVENTS
) -> tuple[list[tuple[int, str]], Reading, dict[str, object]]:
    """The pieces of text by answer, the reading, and the body that is kept; nothing else is left in the sink."""
    sink = MemorySink()
    stream = ChatStream(sink, opening)
    told: list[tuple[int, str]] = []
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    for start, end in pairwise(edges):
        stream.feed(body[start:end])
        for item in stream.take():
            assert isinstance(item, Delta)
            told.append((item.index, sink.pictures.pop(item.ref).decode()))
    reading = stream.close()
    kept: dict[str, object] = {}
    if isinstance(reading, Success):
        (part,) = reading.parts
        kept = json.loads(sink.pictures.pop(part.ref))
    assert {} == sink.pictures
    return told, reading, kept


answers = st.lists(st.lists(st.text(max_size=4), max_size=6), min_size=1, max_size=3)


@given(answers, st.randoms(use_true_random=False), st.lists(st.integers(0, 4_000), max_size=6).map(tuple))
def test_what_is_written_piece_by_piece_is_the_plain_reply(
    texts: list[list[str]], rng: Random, cuts: tuple[int, ...]
) -> None:
    """Several answers mixed in any way, cut anywhere: each text comes in order, and the whole is kept as one body."""
    order = [place for place, pieces in enumerate(texts) for _ in pieces]
    rng.shuffle(order)
    left = [iter(pieces) for pieces in texts]
    body = b"".join(piece("", place, role="assistant") for place in range(len(texts)))
    body += b"".join(piece(next(left[place]), place) for place in order)
    body += b"".join(piece(None, place, "stop") for place in range(len(texts)))
    body += chunk(choices=[], usage=USED) + LAST
    told, reading, kept = listen(body, cuts)
    assert isinstance(reading, Success)
    assert Usage(input_text=9, output_text=4) == reading.usage
    whole = ["".join(pieces) for pieces in texts]
    assert whole == ["".join(text for place, text in told if place == answer) for answer in range(len(texts))]
    assert kept == {
        "id": "chatcmpl-1",
        "created": 7,
        "model": "gpt-6",
        "object": "chat.completion",
        "choices": [
            {"index": place, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            for place, text in enumerate(whole)
        ],
        "usage": USED,
    }


def test_calls_of_tools_are_put_together() -> None:
    """By their index: names are said once, arguments in pieces; what a server adds comes along."""
    body = (
        piece(
            None, tool_calls=[{"index": 0, "id": "c0", "type": "function", "function": {"name": "f", "arguments": ""}}]
        )
        + piece(None, tool_calls=[{"index": 0, "function": {"arguments": '{"a"'}}])
        + piece(None, tool_calls=[{"index": 1, "id": "c1", "type": "function", "function": {"name": "g"}}])
        + piece(None, tool_calls=[{"index": 0, "function": {"arguments": ": 1}"}}], reasoning="hm", mood=3)
        + piece(None, reason="tool_calls", reasoning="m")
    )
    told, _, kept = listen(body)
    assert [] == told
    assert kept["choices"] == [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": None,
                "reasoning": "hmm",
                "mood": 3,
                "tool_calls": [
                    {"index": 0, "id": "c0", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}},
                    {"index": 1, "id": "c1", "type": "function", "function": {"name": "g"}},
                ],
            },
        }
    ]


def test_an_error_inside_is_the_providers_word() -> None:
    """After some text, with its code; nothing is kept. After the last answer it changes nothing."""
    error = b'data: {"error": {"code": "server_error", "message": "no"}}\n\n'
    told, reading, _ = listen(piece("Hel") + error)
    assert [(0, "Hel")] == told
    assert isinstance(reading, Problem)
    assert "server_error" == reading.code
    assert isinstance(listen(piece("Hi") + piece(None, 0, "stop") + error)[1], Success)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (piece("Hel"), "truncated"),
        (LAST, "truncated"),
        (chunk(choices=[], usage=USED) + LAST, "truncated"),
        (b"data: nonsense\n\n" + piece("x", 0, "stop"), "an event that is not JSON"),
        (piece("x", reason="stop", deep=json.loads('{"a":' * 900 + "1" + "}" * 900)), "nested too deeply"),
    ],
)
def test_what_is_not_whole_is_malformed(body: bytes, reason: str) -> None:
    """Ended within an answer, before anything, or with what is no chunk."""
    reading = listen(body)[1]
    assert isinstance(reading, Malformed)
    assert reason == reading.reason


def test_a_last_word_ends_what_gave_no_reason() -> None:
    """Some servers never say why an answer ended."""
    assert isinstance(listen(piece("Hi") + LAST)[1], Success)


def test_a_plain_reply_is_read_plainly() -> None:
    """JSON although a stream was asked for."""
    body = json.dumps({"choices": [{"message": {"content": "Hi"}}], "usage": USED}).encode()
    told, reading, kept = listen(body)
    assert ([], json.loads(body)) == (told, kept)
    assert isinstance(reading, Success)


def test_what_was_whole_when_it_broke_off_is_kept() -> None:
    """All answers had ended."""
    for body, whole in ((piece("Hi") + piece(None, 0, "stop"), True), (piece("Hi"), False)):
        sink = MemorySink()
        stream = ChatStream(sink, EVENTS)
        stream.feed(body)
        assert whole == (stream.broken() is not None)
        assert whole == len(sink.pictures)


def test_fewer_answers_than_were_asked_for_are_none() -> None:
    """Of two: however it ends, one alone is not kept as the answer to what asked for two."""
    one, both = piece("Hi", 0, "stop"), piece("Hi", 0, "stop") + piece("Ho", 1, "stop")
    reason = "1 of the 2 answers that were asked for (does the server know n?)"
    for body, whole, told in ((one, False, "truncated"), (both, True, ""), (one + LAST, False, reason)):
        for end in (ChatStream.broken, ChatStream.close):
            sink = MemorySink()
            stream = ChatStream(sink, evolve(EVENTS, answers=2))
            stream.feed(body)
            reading = end(stream)
            assert whole == isinstance(reading, Success)
            assert told == (reading.reason if isinstance(reading, Malformed) else told * (not whole))
            stream.take()
            assert whole == bool(sink.pictures)


@pytest.mark.parametrize(
    ("events", "large"),
    [
        ([b"data: " + b"x" * LONGEST_EVENT], False),
        ([b"data: " + b"x" * LONGEST_EVENT + b"x"], True),
        ([piece(None, calls=[1] * (MOST_ITEMS // 2))], False),
        ([piece(None, calls=[1] * (MOST_ITEMS + 2))], True),
        ([piece(None, calls=[{}] * (MOST_ITEMS // 2 + 1)), piece(None, calls=[{}] * (MOST_ITEMS // 2 + 1))], False),
        ([piece("x" * (1 << 23))] * 3, False),
        ([piece("x" * (1 << 23))] * 4 + [piece("x")], True),
        ([piece(None, other=["x" * (1 << 23)])] * 4, True),
        ([piece(None, function={"x" * (1 << 23) + str(one): 1}) for one in range(4)], True),
    ],
)
def test_a_stream_has_bounds_of_its_own(events: list[bytes], large: bool) -> None:
    """An event, what is in one, and what all of them bring: above it is let go, far below what a picture may be."""
    sink = MemorySink()
    stream = ChatStream(sink, Opening(200, "text/event-stream"))
    for one in events:
        stream.feed(one)
    assert large == stream.too_large
    reading = stream.close()
    assert large == (isinstance(reading, Malformed) and reading.reason.startswith("a reply of more than"))
    assert {} == sink.pictures


def test_a_long_answer_costs_what_its_text_costs() -> None:
    """A megabyte in pieces of four letters takes a moment."""
    body = piece("abcd")
    count = 100_000
    sink = MemorySink()
    stream = ChatStream(sink, Opening(200, cap=1 << 30))
    stream.feed(body * count)
    (item,) = stream.take()
    assert 4 * count == len(sink.pictures[item.ref])
    stream.feed(piece(None, 0, "stop"))
    assert isinstance(stream.close(), Success)


def _steps(work: Callable[[], object]) -> int:
    """How many calls `work` makes, of any function."""
    counted = [0]

    def count(frame: FrameType, event: str, argument: object) -> None:
        del frame, argument
        counted[0] += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return counted[0]


@pytest.mark.parametrize("indexed", [True, False])
def test_a_long_list_costs_what_its_items_cost(indexed: bool) -> None:
    """Four times the calls of tools in one event are about four times the work, with indexes and without."""

    def work(count: int) -> int:
        calls = [{"index": place} if indexed else {} for place in range(count)]
        body = piece(None, reason="tool_calls", tool_calls=calls)
        return _steps(lambda: ChatStream(MemorySink(), EVENTS).feed(body))

    assert work(2_000) < 6 * work(500)


@given(
    st.lists(st.sampled_from([piece("a"), piece(None, 9, "stop"), LAST, b"data: []\n\n", b"data: {}\n\n", b"\xff{"]))
)
def test_any_nonsense_is_a_value(parts: list[bytes]) -> None:
    """Chunks in any order, with nonsense between them, are read without raising, and nothing is left over."""
    listen(b"".join(parts))
