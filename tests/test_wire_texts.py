"""What is no picture, on the wire: requests there and back, replies and what they come to."""

from __future__ import annotations

import json
import math
from array import array
from binascii import b2a_base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.config import Config
from penstock.errors import UsageError
from penstock.http import HttpCall
from penstock.ids import Handle
from penstock.prepare import Prepared, prepare
from penstock.readings import Malformed, Problem, Success, Usage
from penstock.requests import (
    ChatRequest,
    EmbeddingRequest,
    InputImage,
    Message,
    ModerationRequest,
    Options,
    RawRequest,
    Request,
    Said,
)
from penstock.wire import MemorySink, Undecodable, decode, encode, reader
from penstock.wire import embeddings as vectors
from penstock.wire.embeddings import packed, unpacked
from penstock.wire.plain import PLAIN_WAYS
from penstock.wire.speaking import listener
from penstock.work import Demand, Target, Work

UNIX = 1_795_300_000.0
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x02\x00\x00\x00\x03\x08\x02\x00\x00\x00"

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
solid = texts.filter(lambda text: bool(text.strip()))
tokens = st.lists(st.integers(0, 100_000), min_size=1, max_size=5).map(tuple)
scalars = st.one_of(st.integers(-9, 9), st.booleans(), texts)
values = st.recursive(scalars | st.none(), lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=6)
images = st.one_of(
    st.just(InputImage.of(PNG)), st.integers(0, 9).map(lambda number: InputImage.at(f"https://a.example/{number}.png"))
)
contents = st.lists(solid | images, min_size=1, max_size=3).map(tuple)
embedding_requests = st.builds(
    EmbeddingRequest,
    inputs=st.lists(texts | tokens, min_size=1, max_size=5).map(tuple),
    model=st.just("text-embedding-3-small"),
    dimensions=st.none() | st.integers(1, 9),
    encoding=st.sampled_from(["base64", "float"]),
    user=st.none() | st.just("u-1"),
    extra=st.dictionaries(st.sampled_from(["task", "truncate"]), scalars).map(lambda one: tuple(one.items())),
)
moderation_requests = st.one_of(
    st.builds(ModerationRequest, texts=st.lists(solid, min_size=1, max_size=5).map(tuple)),
    st.builds(ModerationRequest, content=contents.filter(lambda parts: not all(isinstance(one, str) for one in parts))),
    st.builds(ModerationRequest, content=contents, model=st.just("mine")),
)
messages = st.builds(
    Message,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    content=st.none() | st.just("") | texts | contents,
    name=st.none() | st.just("ann"),
    tool_calls=st.none() | st.lists(st.dictionaries(texts, values), max_size=2),
    tool_call_id=st.none() | st.just("call_0"),
)
chat_requests = st.builds(
    ChatRequest,
    messages=st.lists(messages, min_size=1, max_size=4).map(tuple),
    model=st.sampled_from(["gpt-4o", "mine"]),
    max_completion_tokens=st.none() | st.integers(1, 99),
    temperature=st.none() | st.floats(0, 2),
    top_p=st.none() | st.floats(0, 1),
    n=st.integers(1, 4),
    stop=st.lists(texts, max_size=2).map(tuple),
    seed=st.none() | st.integers(-9, 9),
    response_format=st.none() | st.just({"type": "json_object"}),
    tools=st.none() | st.lists(st.dictionaries(texts, values), min_size=1, max_size=2),
    tool_choice=st.none() | st.just("required"),
    user=st.none() | st.just("u-1"),
    extra=st.dictionaries(st.sampled_from(["logit_bias", "service_tier"]), values.filter(lambda v: v is not None)).map(
        lambda one: tuple(sorted(one.items(), reverse=True))  # a body has "service_tier" before all that is passed on
    ),
)


def ready(request: Request, options: Options | None = None) -> Prepared:
    """The request, prepared."""
    made = prepare(request, options or Options(), Config(), handle=Handle(1), unix=UNIX)
    assert isinstance(made, Prepared)
    return made


def spoken(request: Request) -> HttpCall:
    """The call that asks for all of it."""
    return encode(ready(request), 0, request.samples)


def read(operation: str, body: bytes, *, status: int = 200, step: int = 1 << 20) -> tuple[object, MemorySink]:
    """What a reply comes to, fed in pieces."""
    sink = MemorySink()
    taker = reader(operation, sink, status=status, content_type="application/json", redact=("a secret prompt",))
    for at in range(0, len(body), step):
        taker.feed(body[at : at + step])
    return taker.close(), sink


def told(**fields: object) -> bytes:
    """A JSON body."""
    return json.dumps(fields).encode()


@given(st.one_of(embedding_requests, moderation_requests, chat_requests))
def test_a_request_is_heard_as_it_was_said(request: Request) -> None:
    """Who speaks and who listens agree on every field."""
    call = spoken(request)
    assert ("POST", (("content-type", "application/json"),)) == (call.method, call.headers)
    assert request == decode(call)


def test_the_very_bytes() -> None:
    """A single text stands alone, what is not given is not said, and nothing is escaped."""
    cat = EmbeddingRequest(inputs=("Kätzchen",), model="text-embedding-3-small")
    assert (
        '{"model":"text-embedding-3-small","input":"Kätzchen","encoding_format":"base64"}'.encode() == spoken(cat).body
    )
    two = ModerationRequest(texts=("a", "b"))
    assert b'{"model":"omni-moderation-latest","input":["a","b"]}' == spoken(two).body
    hello = ChatRequest(messages=(Message("user", "hello"),), model="gpt-4o", max_completion_tokens=5, stop=("\n",))
    assert (
        b'{"model":"gpt-4o","messages":[{"role":"user","content":"hello"}],"max_completion_tokens":5,"stop":["\\n"]}'
        == spoken(hello).body
    )
    video = RawRequest(path="/videos", json={"model": "sora", "seconds": 4}, demand=Demand(tokens=7), quote=5)
    assert ("/videos", b'{"model":"sora","seconds":4}') == (spoken(video).path, spoken(video).body)


def test_an_older_name_for_the_bound_of_an_answer() -> None:
    """Who refuses `max_completion_tokens` is told `max_tokens`, and the same number is heard."""
    request = ChatRequest(messages=(Message("user", "hello"),), model="gpt-4o", max_completion_tokens=5)
    made = ready(request)
    assert ("max_completion_tokens",) == made.work.targets[0].adapts
    call = encode(made, 0, 1, without=("max_completion_tokens",))
    assert {"max_tokens": 5} == {name: one for name, one in json.loads(call.body).items() if name.startswith("max")}
    assert request == decode(call)
    unbound = ready(ChatRequest(messages=(Message("user", "hello"),), model="gpt-4o"))
    assert () == unbound.work.targets[0].adapts


@pytest.mark.parametrize("samples", [0, 2, 3])
def test_an_array_is_called_whole(samples: int) -> None:
    """A call carries just the inputs that its request has."""
    with pytest.raises(UsageError):
        encode(ready(EmbeddingRequest(inputs=("a",), model="m")), 0, samples)
    with pytest.raises(UsageError):
        encode(ready(ModerationRequest(texts=("a",))), 0, samples)


def test_a_kind_of_request_has_its_own_words() -> None:
    """One kind is not said in the words of another."""
    kinds: list[Request] = [
        EmbeddingRequest(inputs=("a",), model="m"),
        ModerationRequest(texts=("a",)),
        ChatRequest(messages=(Message("user", "a"),), model="m"),
        RawRequest(path="/videos", json={}),
    ]
    other = Prepared(Handle(1), kinds[0], Work((Target("p", "m"),)), (Said("m", "openai", ()),))
    for kind in kinds[1:]:
        with pytest.raises(UsageError):
            PLAIN_WAYS[kind.operation].write(other, other.said[0], 1)


@given(
    st.integers(1, 9).flatmap(
        lambda size: st.lists(
            st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=size, max_size=size),
            min_size=1,
        )
    )
)
def test_vectors_are_the_same_both_ways(given_vectors: list[list[float]]) -> None:
    """As base64 and as numbers, in any order of their places."""
    kept = [array("f", one).tobytes() for one in given_vectors]
    used = Usage(input_text=3)
    for encoding in ("base64", "float"):
        request = EmbeddingRequest(inputs=("a",) * len(kept), model="m", encoding=encoding)
        body = json.loads(vectors.reply(kept, used, request).body)
        body["data"].reverse()
        reading, sink = read("embeddings", json.dumps(body).encode())
        assert isinstance(reading, Success)
        assert used == reading.usage
        assert list(range(len(kept))) == [part.index for part in reading.parts]
        assert kept == [sink.pictures[part.ref] for part in reading.parts]
        assert given_vectors == [list(unpacked(one)) for one in kept]
        assert {("f32", len(one) // 4) for one in kept} == {(part.format, int(part.size)) for part in reading.parts}


def base64_of(numbers: tuple[float, ...]) -> str:
    """A vector as a server writes it."""
    return b2a_base64(array("f", numbers).tobytes(), newline=False).decode()


@pytest.mark.parametrize(
    "value",
    [None, "", "!", "AAA", b2a_base64(b"12345").decode().strip(), [], ["a"], [True], [True, None], [[1.0]], {}, 7],
)
def test_what_is_no_vector(value: object) -> None:
    """Nothing is made of it; the others of the reply are kept."""
    assert packed(value) is None  # type: ignore[arg-type] # whatever a server may send
    good = {"index": 0, "embedding": [1.0]}
    reading, _ = read("embeddings", told(data=[good, {"index": 1, "embedding": value}]))
    assert isinstance(reading, Success)
    assert [0] == [part.index for part in reading.parts]
    assert Malformed("no vectors", "") == read("embeddings", told(data=[{"embedding": value}]))[0]


@pytest.mark.parametrize(
    "value",
    [
        *([math.nan, 1.0], [1.0, math.inf], [-math.inf] * 30, [None, 1.0], [1e300]),
        *(base64_of(value) for value in ((math.nan, 1.0), (1.0, math.inf), (1.0,) * 30 + (-math.inf,))),
    ],
)
@pytest.mark.parametrize("company", ["alone", "among others"])
def test_a_vector_with_numbers_that_are_none_is_spoilt(value: object, company: str) -> None:
    """Its place is told, since no other try would bring it; the others of the reply are kept."""
    assert b"" == packed(value)  # type: ignore[arg-type] # whatever a server may send
    good = [{"index": 0, "embedding": [1.0]}] if company == "among others" else []
    reading, sink = read("embeddings", told(data=[*good, {"embedding": value}], usage={"prompt_tokens": 3}))
    assert isinstance(reading, Success)
    assert (tuple(range(len(good))), (len(good),)) == (tuple(part.index for part in reading.parts), reading.spoilt)
    assert len(good) == len(sink.pictures)


def test_an_index_that_is_none_gives_way_to_the_place() -> None:
    """Servers forget it, or send nonsense; one that stands twice is no reading."""
    for index in (None, -1, 2, True, "0"):
        body = told(data=[{"index": 0, "embedding": [1.0]}, {"index": index, "embedding": [2.0]}])
        reading, sink = read("embeddings", body)
        assert isinstance(reading, Success)
        assert [(0, (1.0,)), (1, (2.0,))] == [(part.index, unpacked(sink.pictures[part.ref])) for part in reading.parts]
    twice = told(data=[{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [2.0]}])
    assert Malformed("a vector is given twice", "") == read("embeddings", twice)[0]


def test_verdicts_are_kept_one_by_one() -> None:
    """Each result under the place of its text, as it came; what says nothing of `flagged` is none."""
    results = [
        {"flagged": True, "categories": {"made/up": True}},
        {"categories": {}},
        {"flagged": False, "x": "\u2028"},
    ]
    reading, sink = read("moderations", told(results=results))
    assert isinstance(reading, Success)
    assert [(0, results[0]), (2, results[2])] == [
        (part.index, json.loads(sink.pictures[part.ref])) for part in reading.parts
    ]


def test_verdicts_on_parts_are_one_on_the_whole() -> None:
    """A content has one result; several are joined, each category at its worst."""
    first = {"flagged": False, "categories": {"hate": False, "sexual": True}, "category_scores": {"hate": 0.2}}
    second = {"flagged": True, "categories": {"hate": True, "sexual": False}, "category_scores": {"hate": 0.1, "x": 1}}
    reading, sink = read("moderations.content", told(results=[first, second]))
    assert isinstance(reading, Success)
    assert [0] == [part.index for part in reading.parts]
    whole = {
        "flagged": True,
        "categories": {"hate": True, "sexual": True},
        "category_scores": {"hate": 0.2, "x": 1},
    }
    assert whole == json.loads(sink.pictures[reading.parts[0].ref])
    alone, sink = read("moderations.content", told(results=[first]))
    assert isinstance(alone, Success)
    assert first == json.loads(sink.pictures[alone.parts[0].ref])


_THOUGHT: dict[str, object] = {
    "prompt_tokens": 10,
    "completion_tokens": 7,
    "total_tokens": 20,
    "completion_tokens_details": {"reasoning_tokens": 3},
}


def test_a_conversation_is_kept_as_it_came() -> None:
    """Byte for byte; its tokens are texts, cached ones apart, and none of the output is taken for a picture."""
    usage = {
        "prompt_tokens": 10,
        "completion_tokens": 7,
        "total_tokens": 17,
        "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    body = json.dumps({"choices": [{"message": {"content": "hi"}}], "usage": usage}, indent=3).encode()
    reading, sink = read("chat.completions", body, step=7)
    assert isinstance(reading, Success)
    assert Usage(input_text=6, input_cached_text=4, output_text=7) == reading.usage
    assert [body] == [sink.pictures[part.ref] for part in reading.parts]


@pytest.mark.parametrize(
    ("usage", "warned"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 1_042}, "1,025 tokens"),
        ({"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 18}, "1 token above"),
        ({"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17}, ""),
        ({"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 16}, ""),
        ({"prompt_tokens": 10, "total_tokens": 17}, ""),
        (_THOUGHT, ""),
        ({**_THOUGHT, "total_tokens": 29}, "12 tokens"),
        ("none", ""),
    ],
)
def test_a_total_above_its_parts_is_warned_of(usage: object, warned: str) -> None:
    """Nothing else tells of these tokens; those that a model is said to have thought with need no word."""
    message = {"message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    reading, _ = read("chat.completions", told(choices=[message], usage=usage))
    assert isinstance(reading, Success)
    assert [warned in one for one in reading.remarks] == [True] * bool(warned)
    listening = listener("chat.completions", MemorySink(), status=200, content_type="text/event-stream")
    delta = {"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}], "usage": usage}
    listening.feed(b"data: " + json.dumps(delta).encode() + b"\n\ndata: [DONE]\n\n")
    streamed = listening.close()
    assert isinstance(streamed, Success)
    assert reading.remarks == streamed.remarks


@pytest.mark.parametrize("operation", ["chat.completions", "embeddings", "moderations", "moderations.content"])
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b"{", "truncated"),
        (b"hello", "not JSON but application/json"),
        (b"[]", "no "),
        (b"{}", "no "),
        (b'{"data":{},"results":{},"choices":{}}', "no "),
        (b'{"data":[1],"results":[1],"choices":[1]}', "no "),
        (b'{"data":[],"results":[],"choices":[]}', "no "),
    ],
)
def test_a_reply_that_says_nothing(operation: str, body: bytes, reason: str) -> None:
    """A value that says why; nothing is kept."""
    reading, sink = read(operation, body)
    assert isinstance(reading, Malformed)
    assert reading.reason.startswith(reason)
    assert {} == sink.pictures


@pytest.mark.parametrize("operation", ["chat.completions", "embeddings", "moderations", "moderations.content", "raw"])
def test_an_error_is_read_in_every_place(operation: str) -> None:
    """At an error status and inside a 200; the prompt is not told."""
    body = told(error={"message": "no a secret prompt", "type": "invalid_request_error", "code": "x_y", "param": None})
    for status in (200, 400):
        reading, sink = read(operation, body, status=status)
        assert isinstance(reading, Problem)
        assert ("x_y", "no ***") == (reading.code, reading.message)
        assert {} == sink.pictures
    page, _ = read(operation, b"<html>bad gateway</html>", status=502)
    assert isinstance(page, Problem)
    assert not page.own


def test_any_reply_to_a_raw_request_is_kept() -> None:
    """JSON, a picture, anything, nothing; an `error` of null or of a part of it is none."""
    bodies = {
        b'{"id":"v1","error":null,"usage":{"input_tokens":1,"output_tokens":0}}': "json",
        b'{"id":"v1","status":"failed","error":{"code":"x"}}': "json",
        PNG: "png",
        b"\x00\x01": "bin",
        b"": "bin",
    }
    for body, form in bodies.items():
        reading, sink = read("raw", body, step=3)
        assert isinstance(reading, Success)
        assert [(form, body)] == [(part.format, sink.pictures[part.ref]) for part in reading.parts]


@given(st.binary(max_size=60) | values.map(lambda value: json.dumps(value).encode()), st.integers(1, 9))
def test_any_bytes_are_a_reading_however_they_are_split(body: bytes, step: int) -> None:
    """No exception, and the same value."""
    for operation in ("chat.completions", "embeddings", "moderations", "moderations.content", "raw"):
        assert read(operation, body)[0] == read(operation, body, step=step)[0]


def test_a_reply_above_the_cap_is_let_go() -> None:
    """It is marked, and nothing of it is kept."""
    taker = reader("raw", sink := MemorySink(), status=200, cap=10)
    marks: list[bool] = []
    for piece in (b"12345", b"123456", b"7"):
        taker.feed(piece)
        marks.append(taker.too_large)
    assert [False, True, True] == marks
    assert isinstance(taker.close(), Malformed)
    assert {} == sink.pictures


@pytest.mark.parametrize("path", ["/embeddings", "/moderations", "/chat/completions"])
@given(raw=st.binary(max_size=40) | values.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_a_request_or_refused(path: str, raw: bytes) -> None:
    """Nothing else is raised."""
    try:
        told = decode(HttpCall("POST", path, (), raw)).samples
    except Undecodable as error:
        told = error.status
    assert 0 < told <= 400


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        ("/embeddings", {"input": "a"}, "model"),
        ("/embeddings", {"model": "m"}, "input"),
        ("/embeddings", {"model": "m", "input": []}, "input"),
        ("/embeddings", {"model": "m", "input": ["a", 1]}, "input"),
        ("/embeddings", {"model": "m", "input": [""]}, "input"),
        ("/embeddings", {"model": "m", "input": ["a"] * 2_049}, "input"),
        ("/embeddings", {"model": "m", "input": [1] * 8_193}, "input"),
        ("/embeddings", {"model": "m", "input": "a", "encoding_format": "int8"}, "encoding"),
        ("/embeddings", {"model": "m", "input": "a", "dimensions": "3"}, "dimensions"),
        ("/embeddings", {"model": "m", "input": "a", "user": 3}, "user"),
        ("/embeddings", {"model": "m", "input": "a", "made_up": []}, "made_up"),
        ("/moderations", {}, "input"),
        ("/moderations", {"input": [{"type": "audio"}]}, "input"),
        ("/moderations", {"input": [{"type": "image_url", "image_url": {"url": "data:x"}}]}, "input"),
        ("/chat/completions", {"messages": []}, "model"),
        ("/chat/completions", {"model": "m", "messages": []}, "messages"),
        ("/chat/completions", {"model": "m", "messages": [1]}, "messages"),
        ("/chat/completions", {"model": "m", "messages": [{"role": "robot"}]}, "messages"),
        ("/chat/completions", {"model": "m", "messages": [{"role": "user", "content": 1}]}, "messages"),
        ("/chat/completions", {"model": "m", "messages": [{"role": "user"}], "n": "2"}, "n"),
        ("/chat/completions", {"model": "m", "messages": [{"role": "user"}], "temperature": "hot"}, "temperature"),
        ("/chat/completions", {"model": "m", "messages": [{"role": "user"}], "user": 1}, "user"),
    ],
)
def test_a_bad_call_is_refused_as_the_api_does(path: str, fields: dict[str, object], param: str) -> None:
    """Status 400 and the parameter that it is about."""
    with pytest.raises(Undecodable) as caught:
        decode(HttpCall("POST", path, (), json.dumps(fields).encode()))
    assert (400, param) == (caught.value.status, caught.value.param)
