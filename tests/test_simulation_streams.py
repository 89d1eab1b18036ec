"""The simulated provider streams: in virtual time, and over sockets."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.http import CALL_HEADER, HttpCall
from penstock.readings import Malformed, Partial, Problem, Reading, Success
from penstock.simulation.server import FAULTS, Latency, Planned, Server, ServerSettings
from penstock.wire import MemorySink
from penstock.wire.speaking import listener
from penstock_io.simserver import serving

STEADY = Latency(median=6.0, sigma=0.0)
QUICK = ServerSettings(latency=Latency(0.03, 0.0), refusal_delay=0.0)
SHAPED: dict[str, object] = {"model": "gpt-image-2", "prompt": "a lake", "size": "1024x1024", "quality": "low"}
STREAM_FAULTS = [name for name, fault in FAULTS.items() if fault.streams]


def call(**fields: object) -> HttpCall:
    """A request with these fields besides."""
    said = (("authorization", "Bearer key"), ("content-type", "application/json"), (CALL_HEADER, "1"))
    return HttpCall("POST", "/images/generations", said, json.dumps({**SHAPED, **fields}).encode())


def streamed(*faults: str, streams: bool = True, **fields: object) -> tuple[Planned, Server]:
    """What a provider answers with these faults."""
    server = Server(ServerSettings(latency=STEADY, streams=streams), rng=Random(1))
    server.inject(*faults)
    return server.reply(call(**{"stream": True, "partial_images": 2, **fields}), 0.0), server


def read(planned: Planned) -> tuple[list[int], Reading]:
    """The numbers of the previews, and the reading, of what goes out."""
    assert planned.reply is not None
    kind = dict(planned.reply.headers)["content-type"]
    stream = listener("images.generate", MemorySink(), status=planned.reply.status, content_type=kind)
    numbers: list[int] = []
    for _, piece in planned.pieces or ((0.0, planned.reply.body),):
        stream.feed(piece)
        numbers += [item.number for item in stream.take() if isinstance(item, Partial)]
    return numbers, stream.close()


@given(st.integers(0, 3), st.integers(1, 3))
def test_events_come_evenly_and_the_last_when_the_picture_is_ready(previews: int, n: int) -> None:
    """All previews, then the pictures, after the seconds of a plain answer; billed with 100 tokens a preview."""
    planned, server = streamed(partial_images=previews, n=n)
    numbers, reading = read(planned)
    assert list(range(previews)) * n == numbers
    assert isinstance(reading, Success)
    assert reading.usage is not None
    assert (n, n * (196 + 100 * previews)) == (len(reading.parts), reading.usage.output_image)
    gaps = [planned.delay, *(after for after, _ in planned.pieces[1:])]
    assert pytest.approx(6.0) == sum(gaps)
    assert pytest.approx([gaps[0]] * len(gaps)) == gaps
    assert planned.reply is not None
    assert b"".join(piece for _, piece in planned.pieces) == planned.reply.body
    assert planned.admission is not None
    plain = reading.usage.input_text * 5_000_000 + reading.usage.output_image * 30_000_000
    assert (plain, plain) == (server.books.billed, planned.admission.billed)


def test_each_fault_of_a_stream_is_what_it_is_called() -> None:
    """An error after a preview; broken off; no previews; no last word."""
    numbers, reading = read(streamed("stream_error")[0])
    assert [0] == numbers
    assert isinstance(reading, Problem)
    assert "server_error" == reading.code
    planned, _ = streamed("stream_cut")
    assert (([0], Malformed("truncated")), True) == (read(planned), planned.reset)
    numbers, reading = read(streamed("stream_hurry")[0])
    assert ([], True) == (numbers, isinstance(reading, Success))
    planned, _ = streamed("stream_undone")
    assert planned.reply is not None
    assert b"[DONE]" not in planned.reply.body
    numbers, reading = read(planned)
    assert ([0, 1], True) == (numbers, isinstance(reading, Success))
    planned, _ = streamed("truncated")
    assert planned.reply is not None
    assert (len(planned.reply.body) // 2, True) == (planned.cut, planned.reset)


@pytest.mark.parametrize("name", STREAM_FAULTS)
def test_a_fault_of_streams_leaves_other_calls_alone(name: str) -> None:
    """A call that asked for no stream is answered as if nothing were wrong."""
    planned, server = streamed(name, stream=False, partial_images=0)
    assert planned.pieces == ()
    assert isinstance(read(planned)[1], Success)
    assert ({}, 1) == (server.books.faults, server.books.executed)


def test_a_provider_without_streams_refuses_them() -> None:
    """And says which word it does not know; a plain call goes."""
    planned, server = streamed(streams=False)
    reading = read(planned)[1]
    assert isinstance(reading, Problem)
    assert ("unsupported_parameter", "stream") == (reading.code, reading.param)
    assert {"invalid": 1} == server.books.rejected
    assert isinstance(read(server.reply(call(), 0.0))[1], Success)


def test_over_sockets_a_stream_comes_in_pieces_and_leaves_its_connection_whole() -> None:
    """Held back, only the first event comes; then the rest, and the connection takes another call."""
    with serving(QUICK) as sim, closing(http.client.HTTPConnection("127.0.0.1", sim.port, timeout=120)) as connection:
        sim.hold()
        asked = call(stream=True, partial_images=2)
        connection.request("POST", "/v1/images/generations", asked.body, dict(asked.headers))
        assert sim.wait(lambda stats: stats["in_flight"] == 1)
        sim.release(1)
        answer = connection.getresponse()
        assert "text/event-stream; charset=utf-8" == answer.getheader("content-type")
        stream = listener("images.generate", MemorySink(), status=200)
        while not (items := stream.take()):
            stream.feed(answer.read1())
        assert 1 == len(items)
        sim.release()
        while piece := answer.read1():
            stream.feed(piece)
        assert isinstance(stream.close(), Success)
        connection.request("POST", "/v1/images/generations", call().body, dict(asked.headers))
        assert 200 == connection.getresponse().status


def test_over_sockets_a_stream_that_is_cut_off_breaks_its_connection() -> None:
    """What came before is there, and the rest is an error of the connection."""
    with serving(QUICK) as sim, closing(http.client.HTTPConnection("127.0.0.1", sim.port, timeout=120)) as connection:
        sim.call(lambda server: server.inject("stream_cut"))
        asked = call(stream=True, partial_images=1)
        connection.request("POST", "/v1/images/generations", asked.body, dict(asked.headers))
        answer = connection.getresponse()
        with pytest.raises((http.client.HTTPException, OSError)):
            answer.read()
