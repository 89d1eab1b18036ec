"""The wire against transcripts: of every operation of every dialect its very bytes, and what its replies come to.

The transcripts are data, in `tests/transcripts`; each says what it rests on.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.config import Config
from penstock.events import Responded
from penstock.ids import AttemptId, Handle
from penstock.judging.judge import judge
from penstock.prepare import prepare
from penstock.requests import ImageRequest, Options, Prepared
from penstock.wire import DIALECTS, MemorySink, decode, dialect, encode, locate, reader
from penstock.wire.reader import Reader
from penstock.wire.speaking import DECODERS, listener
from tests import transcripts
from tests.transcripts import Answered, Asked

UNIX = 1_795_300_000.0
REQUESTS, REPLIES = transcripts.requests(), transcripts.replies()
WAYS = {(name, operation) for name, one in DIALECTS.items() for operation in one.ways}
STREAMS = {(name, operation) for name, operation in WAYS if DIALECTS[name].ways[operation].listen is not None}


def named(one: Asked | Answered) -> str:
    """A transcript's name among the tests."""
    return f"{one.dialect}, {one.operation}: {one.name}"


def ready(asked: Asked) -> Prepared:
    """A request, prepared for its dialect."""
    made = prepare(asked.request, Options(), Config(), handle=Handle(1), unix=UNIX, dialect=asked.dialect)
    assert isinstance(made, Prepared), made
    return made


@pytest.mark.parametrize("asked", REQUESTS, ids=named)
def test_a_request_is_these_bytes(asked: Asked) -> None:
    """Method, URL, headers and body, to the byte."""
    made = ready(asked)
    most = min(asked.request.samples, made.said[0].most if isinstance(asked.request, ImageRequest) else 1 << 20)
    call = encode(made, 0, most)
    assert ("POST", asked.headers) == (call.method, call.headers)
    assert asked.body == call.body
    assert asked.url == locate(asked.dialect, asked.base_url, call.path, made.said[0].model)


@pytest.mark.parametrize("asked", [one for one in REQUESTS if one.dialect == "openai"], ids=named)
def test_what_is_asked_of_openai_is_heard(asked: Asked) -> None:
    """The other side of the wire reads from these bytes the request that was meant."""
    made = ready(asked)
    call = encode(made, 0, asked.request.samples)
    if call.path in DECODERS:
        assert asked.request == decode(call)
    else:
        assert "raw" == asked.operation


@pytest.mark.parametrize("name", DIALECTS)
def test_a_key_goes_in_its_header(name: str) -> None:
    """And in no other, in the words of the dialect."""
    header, before = dialect(name).auth
    assert transcripts.places()[name].auth == (header, f"{before}KEY")


def taken(answered: Answered, cuts: list[int]) -> tuple[dict[str, object], str, list[list[object]]]:
    """The reading of a reply that comes in pieces, how it is judged, and what came before its end."""
    sink, status = MemorySink(), answered.status
    made: Reader
    items = []
    if answered.stream:
        made = stream = listener(
            answered.operation,
            sink,
            dialect=answered.dialect,
            status=status,
            content_type=answered.type,
            answers=answered.answers,
        )
    else:
        made = reader(
            answered.operation,
            sink,
            dialect=answered.dialect,
            status=status,
            content_type=answered.type,
            answers=answered.answers,
            headers=answered.headers,
        )
        stream = None
    edges = [0, *sorted(cuts), len(answered.body)]
    for begin, end in pairwise(edges):
        made.feed(answered.body[begin:end])
        if stream is not None:
            items += stream.take()
    reading = made.close()
    judged = judge(Responded(AttemptId(1), status, (), reading), answered.dialect).kind
    return transcripts.shown(reading, sink), judged, [transcripts.shown_item(one, sink) for one in items]


@pytest.mark.parametrize("answered", REPLIES, ids=named)
def test_a_reply_comes_to_this(answered: Answered) -> None:
    """Pictures, texts, vectors and verdicts to the byte, what was used, an error in its own words, and its class."""
    assert (answered.reading, answered.judged, answered.items) == taken(answered, [])


SPLIT = sorted({(one.name, one.operation): one for one in REPLIES}.values(), key=named)


@given(st.sampled_from(SPLIT), st.data())
def test_a_reply_is_the_same_however_it_is_split(answered: Answered, data: st.DataObject) -> None:
    """The reading, the class, and all that a stream brought, whose texts may come in other pieces."""
    cuts = data.draw(st.lists(st.integers(0, len(answered.body)), max_size=12))
    reading, judged, items = taken(answered, cuts)
    assert (answered.reading, answered.judged) == (reading, judged)

    def whole(items: list[list[object]]) -> list[object]:
        texts = "".join(str(one[2]) for one in items if one[0] == "text")
        return [texts, *[one for one in items if one[0] != "text"]]

    assert whole(answered.items) == whole(items)


def test_every_way_has_its_transcripts() -> None:
    """Whatever a dialect says that it speaks has a request, a good reply and an error, and both of a stream."""
    told = {(one.dialect, one.operation) for one in REQUESTS if not one.streams}
    good = {(one.dialect, one.operation) for one in REPLIES if "success" in one.reading and not one.stream}
    bad = {(one.dialect, one.operation) for one in REPLIES if "problem" in one.reading and one.status >= 400}
    assert (WAYS, WAYS, WAYS) == (told, good, bad)
    asked = {(one.dialect, one.operation) for one in REQUESTS if one.streams}
    streamed = {(one.dialect, one.operation) for one in REPLIES if "success" in one.reading and one.stream}
    assert (STREAMS, STREAMS) == (asked, streamed)


def test_openai_has_each_error() -> None:
    """400, 401, 403, 404, 429, 500 and 503 with their bodies, and a proxy's page, for each of its operations."""
    found = {(one.operation, one.status) for one in REPLIES if one.dialect == "openai" and one.status >= 400}
    wanted = {400, 401, 403, 404, 429, 500, 502, 503}
    for operation in DIALECTS["openai"].ways:
        missing = wanted - {status for known, status in found if known == operation}
        assert set() == missing, operation


def test_azure_has_each_form_of_its_urls() -> None:
    """The versioned one, that of a deployment, and the resource alone: each operation at each of them."""
    forms = transcripts.places()["azure"].base_urls
    assert 3 == len(forms)
    counted = Counter((one.operation, one.name) for one in REQUESTS if one.dialect == "azure")
    assert {3} == set(counted.values())


def test_each_says_what_it_rests_on() -> None:
    """A source in words and a confidence, and a name that is its own."""
    found = transcripts.entries()
    for one in found:
        assert one["confidence"] in transcripts.CONFIDENCE
        assert len(one["source"]) >= 9
    names = [(one["name"], "body" in one and "urls" in one) for one in found]
    assert len(names) == len(set(names))
