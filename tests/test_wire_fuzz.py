"""Any bytes as a reply to every operation of every dialect: a value, and no secret in it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.readings import Malformed, Problem, Success
from penstock.wire import MemorySink, reader
from penstock.wire.dialects import DIALECTS
from penstock.wire.reader import Reader
from penstock.wire.speaking import listener

SECRET = "zebra of mine 0815"
"""Not of the shape of a key, which nobody has to be told of."""
WAYS = [(name, operation) for name, one in DIALECTS.items() for operation in one.ways]
LISTENING = [(name, operation) for name, operation in WAYS if DIALECTS[name].ways[operation].listen is not None]
TYPES = ["application/json", "text/html; charset=utf-8", "text/event-stream", "image/png", "", "Ω"]
STATUSES = [200, 201, 204, 301, 400, 401, 404, 422, 429, 500, 503]
NAMES = """data usage error code message type param detail choices index embedding results images artifacts info url
b64_json finish_reason respect_moderation cost_in_usd_ticks cost errors name id model flagged categories delta content
object input_tokens output_tokens prompt_tokens completion_tokens total_tokens text_tokens
""".split()
WORDS = [
    "",
    SECRET,
    f"no such key {SECRET}.",
    "aGVsbG8=",
    "iVBORw0KGgo=",
    "!!",
    "https://x/a.png",
    "stop",
    "NaN",
    "é\0",
]
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS)
jsons = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=12,
)
whole = jsons.map(lambda value: json.dumps(value).encode())
cut = st.tuples(whole, st.integers(0, 60)).map(lambda both: both[0][: both[1]])
streamed = st.lists(whole, max_size=3).map(lambda many: b"".join(b"data: " + one + b"\n\n" for one in many))
echoes = st.sampled_from(
    [{"error": {"message": SECRET, "code": SECRET}}, {"detail": SECRET}, {"message": SECRET}, SECRET]
)
echoed = echoes.map(lambda value: json.dumps(value).encode())
bodies = st.one_of(
    echoed, st.binary(max_size=60), whole, cut, streamed, streamed.map(lambda body: body + b"data: [DONE]\n\n")
)


def fed(taker: Reader, body: bytes, at: int) -> None:
    """Feed a body in two pieces, and claim a value without a secret."""
    taker.feed(body[:at])
    taker.feed(body[at:])
    told = taker.close()
    assert isinstance(told, Success | Problem | Malformed)
    assert SECRET not in repr(told)


@pytest.mark.parametrize(("dialect", "operation"), WAYS, ids=str)
@given(body=bodies, at=st.integers(0, 80), status=st.sampled_from(STATUSES), kind=st.sampled_from(TYPES))
def test_any_reply_is_a_value(dialect: str, operation: str, body: bytes, at: int, status: int, kind: str) -> None:
    """Whatever comes: a success, a problem or a malformed reply, and no secret that it echoes."""
    secrets = (SECRET,)
    fed(reader(operation, MemorySink(), dialect=dialect, status=status, content_type=kind, redact=secrets), body, at)


@pytest.mark.parametrize(("dialect", "operation"), LISTENING, ids=str)
@given(body=bodies, at=st.integers(0, 80), status=st.sampled_from(STATUSES), kind=st.sampled_from(TYPES))
def test_any_stream_is_a_value(dialect: str, operation: str, body: bytes, at: int, status: int, kind: str) -> None:
    """The same where a stream was asked for, with what it brings before its end."""
    secrets = (SECRET,)
    taker = listener(operation, MemorySink(), dialect=dialect, status=status, content_type=kind, redact=secrets)
    fed(taker, body, at)
    assert SECRET not in repr(taker.take())


TABLE = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b'{"data": null}',
    b'{"data": {}}',
    b'{"data": []}',
    b'{"data": [{}]}',
    b'{"data": [{"b64_json": ""}]}',
    b'{"data": [{"b64_json": "!!"}]}',
    b'{"data": [{"b64_json": "aGVsbG8',
    b'{"error": {"code": 1302, "message": "busy"}}',
    b'{"error": "busy"}',
    b'{"detail": [{"msg": "busy"}]}',
    b'{"detail": "busy"}',
    b"<html><h1>502 Bad Gateway</h1></html>",
    b'{"usage": {"input_tokens": "many"}}',
]


@pytest.mark.parametrize("body", TABLE, ids=lambda body: body[:30].decode())
@pytest.mark.parametrize(("dialect", "operation"), [way for way in WAYS if way[1].startswith("images.")], ids=str)
def test_a_200_without_a_picture_is_no_success_with_one(dialect: str, operation: str, body: bytes) -> None:
    """Nothing, too little, an error, a page of a proxy: a problem or malformed, and never a picture."""
    taker = reader(operation, MemorySink(), dialect=dialect, status=200, content_type="application/json")
    taker.feed(body)
    told = taker.close()
    assert not isinstance(told, Success) or not told.parts
