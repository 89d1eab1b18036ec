"""Replies about texts that have less in them than was asked for, or something else."""

from __future__ import annotations

import json
from array import array

import pytest

from penstock.readings import Malformed, Reading, Success, Usage
from penstock.requests import EmbeddingRequest
from penstock.wire import MemorySink, reader
from penstock.wire import embeddings as vectors


def read(operation: str, body: bytes, answers: int, dimensions: int = 0) -> tuple[Reading, MemorySink]:
    """What a reply comes to where so much was asked for."""
    sink = MemorySink()
    taker = reader(operation, sink, status=200, answers=answers, dimensions=dimensions)
    taker.feed(body)
    return taker.close(), sink


SAID, ENDED = {"message": {"content": "hi"}}, {"finish_reason": "content_filter"}


@pytest.mark.parametrize(
    ("choices", "answers", "reason"),
    [
        ([SAID], 1, ""),
        ([SAID, ENDED], 2, ""),
        ([SAID, SAID], 1, ""),
        ([SAID], 2, "1 of the 2 answers that were asked for (does the server know n?)"),
        ([{}], 1, "an answer without a message"),
        ([SAID, {"message": {}}], 1, "an answer without a message"),
        ([SAID, {"message": None, "finish_reason": None}], 2, "an answer without a message"),
    ],
)
def test_answers_that_are_missing(choices: list[object], answers: int, reason: str) -> None:
    """A reply with fewer of them than were asked for, or with one that says nothing, is not kept as whole."""
    reading, sink = read("chat.completions", json.dumps({"choices": choices}).encode(), answers)
    assert (reason == "") == isinstance(reading, Success) == bool(sink.pictures)
    assert reason == (reading.reason if isinstance(reading, Malformed) else "")


@pytest.mark.parametrize(
    ("lengths", "dimensions", "kept", "spoilt"),
    [
        ([4, 4], 4, [0, 1], []),
        ([4, 8, 4], 4, [0, 2], [1]),
        ([8, 8], 4, [], [0, 1]),
        ([8, 9], 4, [], [0, 1]),
        ([8, 8], 0, [0, 1], []),
        ([8, 9], 0, [], None),
    ],
)
@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_vectors_of_other_lengths(
    lengths: list[int], dimensions: int, kept: list[int], spoilt: list[int] | None, encoding: str
) -> None:
    """What has not the length that was asked for is paid and lost; of several lengths nobody knows which is right."""
    request = EmbeddingRequest(inputs=("a",) * len(lengths), model="m", encoding=encoding)
    body = vectors.reply([array("f", [0.5] * one).tobytes() for one in lengths], Usage(input_text=3), request).body
    reading, sink = read("embeddings", body, len(lengths), dimensions)
    assert len(kept) == len(sink.pictures)
    if isinstance(reading, Success):
        assert (kept, spoilt) == ([part.index for part in reading.parts], list(reading.spoilt))
        assert Usage(input_text=3) == reading.usage
    else:
        assert isinstance(reading, Malformed)
        assert (None, "vectors of 8 to 9 numbers in one reply") == (spoilt, reading.reason)
