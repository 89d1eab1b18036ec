"""Streams of pictures, read while they arrive."""

from __future__ import annotations

import json
import tracemalloc
from base64 import b64encode
from itertools import pairwise
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.ids import Ref
from penstock.readings import Item, Malformed, Partial, Problem, Reading, Success, Usage
from penstock.requests import ImageRequest
from penstock.wire import MemorySink, is_text, reply, sniff
from penstock.wire.pieces import LAST, event, failing, pictures
from penstock.wire.reader import Opening
from penstock.wire.streams import PictureStream
from penstock_io._payloads import Payloads
from penstock_io._sink import FileSink

ASKED = ImageRequest(prompt="a cat", model="gpt-image-2", size="1024x1024", quality="low")
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
USAGE = Usage(input_text=9, output_image=300)
SECRET = "hunter2-hunter2"
EVENTS = Opening(200, "text/event-stream", (SECRET,), cap=1 << 22)


def preview(number: int = 0, picture: bytes = b"early") -> bytes:
    """The event of a preview."""
    return event("image_generation.partial_image", {"partial_image_index": number}, picture)


def finished(picture: bytes = PNG, **said: object) -> bytes:
    """The event of a picture."""
    return event("image_generation.completed", said, picture)


def listen(
    body: bytes, cuts: tuple[int, ...] = (), opening: Opening = EVENTS
) -> tuple[list[Item], Reading, MemorySink]:
    """What a stream brings while it comes in the pieces that `cuts` make, its reading, and the sink."""
    sink = MemorySink()
    stream = PictureStream(sink, opening)
    items: list[Item] = []
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    for start, end in pairwise(edges):
        stream.feed(body[start:end])
        items += stream.take()
    return items, stream.close(), sink


def told(body: bytes, cuts: tuple[int, ...] = (), opening: Opening = EVENTS) -> tuple[object, ...]:
    """The same by what is behind the references; nothing else is left in the sink."""
    items, reading, sink = listen(body, cuts, opening)
    seen: list[object] = []
    for item in items:
        assert isinstance(item, Partial)
        seen.append((item.index, item.number, sink.pictures.pop(item.ref)))
    if isinstance(reading, Success):
        seen += [(part.index, part.size, part.format, sink.pictures.pop(part.ref)) for part in reading.parts]
        seen.append(reading.usage)
    else:
        seen.append(reading)
    assert (0, 0, 0) == (len(sink.pictures), len(sink.urls), len(sink.notes))
    return tuple(seen)


pieces = st.binary(min_size=1, max_size=40).filter(lambda data: not is_text(data))
some = st.lists(st.tuples(st.lists(pieces, max_size=3), pieces))
splits = st.lists(st.integers(0, 3_000), max_size=8).map(tuple)


@given(some.filter(bool), splits, st.booleans(), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_a_stream_comes_back_under_any_split(
    given_: list[tuple[list[bytes], bytes]], cuts: tuple[int, ...], last: bool, ending: bytes
) -> None:
    """Previews come as they arrive, pictures and usage at the end, however the bytes are cut and lines are ended."""
    made = pictures(ASKED, given_, USAGE, 7, size="1024x1024", quality="low")
    body = b"".join([*made, LAST * last]).replace(b"\n", ending)
    expected: list[object] = []
    for place, (previews, _) in enumerate(given_):
        expected += [(place, number, picture) for number, picture in enumerate(previews)]
    expected += [(place, "1024x1024", sniff(picture), picture) for place, (_, picture) in enumerate(given_)]
    assert (*expected, USAGE) == told(body, cuts, evolve(EVENTS, answers=len(given_)))


def test_split_at_every_byte_it_is_the_same() -> None:
    """Two previews with comments between them, and the picture: byte by byte as in one piece."""
    body = b": hi\n\n" + preview() + b": still here\n\n" + preview(1) + finished(size="8x8") + LAST
    expected = ((0, 0, b"early"), (0, 1, b"early"), (0, "8x8", "png", PNG), None)
    assert expected == told(body)
    assert expected == told(body, tuple(range(len(body))))
    for at in range(0, len(body), 3):
        assert expected == told(body, (at,))


def test_previews_come_before_the_end() -> None:
    """A preview is there as soon as its event is whole, and is there still when the stream then fails."""
    sink = MemorySink()
    stream = PictureStream(sink, EVENTS)
    stream.feed(preview())
    (item,) = stream.take()
    assert b"early" == sink.pictures[item.ref]
    stream.feed(preview(1) + failing(Problem(code="server_error", type="server_error", message="sorry")))
    stated = stream.close()
    assert isinstance(stated, Problem)
    assert ("server_error", "sorry") == (stated.code, stated.message)
    assert [item.ref] == list(sink.pictures)  # what nobody took is gone


@pytest.mark.parametrize(
    "body",
    [
        failing(Problem(code="moderation_blocked", message="no")),
        b'data: {"error": {"code": "moderation_blocked", "message": "no"}}\n\n',
        b'data: {"type": "error", "code": "moderation_blocked", "message": "no", "param": null}\n\n',
        b'event: error\ndata: {"code": "moderation_blocked", "message": "no"}\n\n',
        b'data: {"type": "error", "error": {"code": "moderation_blocked", "message": "no"}}\n\n' + LAST,
        b'{"error": {"code": "moderation_blocked", "message": "no"}}',
    ],
)
def test_an_error_inside_a_200_is_the_providers_word(body: bytes) -> None:
    """In each of the shapes that are about, after a preview or alone, with its code."""
    for before in (b"",) if body.startswith(b"{") else (b"", preview()):
        stated = told(before + body)[-1]
        assert isinstance(stated, Problem)
        assert ("moderation_blocked", "no", True) == (stated.code, stated.message, stated.own)


def test_an_error_in_plain_words_is_told_without_secrets() -> None:
    """`event: error` with a text instead of JSON."""
    stated = told(b"event: error\ndata: upstream died of " + SECRET.encode() + b"\n\n")[-1]
    assert isinstance(stated, Problem)
    assert "upstream died of ***" == stated.message


def test_what_is_paid_outlives_an_error_after_it() -> None:
    """A picture that is there counts, whatever the stream says afterwards."""
    body = finished(usage={"input_tokens": 9, "output_tokens": 300}) + failing(Problem(message="late"))
    assert ((0, "", "png", PNG), USAGE) == told(body)
    assert ((0, "", "png", PNG), None) == told(finished() + b'data: {"b64_json": "AAAA')
    assert ((0, "", "png", PNG), None) == told(finished() + b"data: nonsense\n\n")


def test_figures_may_come_in_an_event_of_their_own() -> None:
    """A usage without a picture counts where the picture's event said none, and is not added to one that did."""
    aside = event("usage", {"usage": {"input_tokens": 9, "output_tokens": 300}})
    assert ((0, "", "png", PNG), USAGE) == told(finished() + aside)
    once = finished(usage={"input_tokens": 9, "output_tokens": 300})
    assert ((0, "", "png", PNG), USAGE) == told(once + aside)


def test_a_repetition_counts_once() -> None:
    """What comes again beyond the number asked for, to the byte or under its index, is neither picture nor bill."""
    usage = {"input_tokens": 9, "output_tokens": 300}
    one, other = finished(usage=usage), finished(PNG + b"other", usage=usage)
    alone, both = ((0, "", "png", PNG), USAGE), ((0, "", "png", PNG), (1, "", "png", PNG + b"other"), USAGE + USAGE)
    assert alone == told(one + one + LAST)
    assert both == told(one + other + one + other)
    assert ((0, "", "png", PNG), (1, "", "png", PNG), USAGE + USAGE) == told(one + one, (), evolve(EVENTS, answers=2))
    numbered = [finished(PNG + bytes([n]), index=index, usage=usage) for n, index in enumerate((0, 0, 1, True))]
    assert ((0, "", "png", PNG + b"\0"), USAGE) == told(numbered[0] + numbered[1])
    assert 2 == len([part for part in told(numbered[0] + numbered[2]) if isinstance(part, tuple)])
    far = event("image_generation.completed", {"url": "https://cdn.example/a.png", "usage": usage})
    _, reading, sink = listen(far + far)
    assert isinstance(reading, Success)
    assert (1, USAGE, 1) == (len(reading.parts), reading.usage, len(sink.urls))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b": hello\n\n", "truncated"),
        (preview(), "truncated"),
        (preview()[:-9], "truncated"),
        (LAST, "truncated"),
        (event("image_generation.completed", {}), "truncated"),
        (b"data: {nonsense}\n\n", "an event that is not JSON"),
        (b'data: {"type": "image_generation.completed", "b64_json": "?"}\n\n', "picture 0 is no base64 of anything"),
    ],
)
def test_a_stream_without_a_picture_is_malformed(body: bytes, reason: str) -> None:
    """Ended after a preview, before anything, or with a picture that is none: a value with its reason."""
    reading = told(body)[-1]
    assert Malformed(reason) == evolve(reading, snippet="") if isinstance(reading, Malformed) else reading


def test_a_broken_preview_is_one_preview_less() -> None:
    """A preview that is no base64 neither comes nor spoils the picture."""
    bad = b'data: {"type": "image_generation.partial_image", "b64_json": "?"}\n\n'
    assert ((0, "", "png", PNG), None) == told(bad + finished())


@given(splits)
@example((1, 2))
def test_a_plain_answer_is_read_plainly(cuts: tuple[int, ...]) -> None:
    """JSON although a stream was asked for, whatever the content type says, is read as without a stream."""
    body = reply([PNG], USAGE, ASKED, 1).body
    for kind in ("application/json", "text/event-stream", ""):
        assert ((0, "1024x1024", "png", PNG), USAGE) == told(body, cuts, evolve(EVENTS, content_type=kind))


def test_events_need_no_content_type() -> None:
    """A stream that a proxy calls a text is read as a stream; a text of a proxy is none."""
    plain = evolve(EVENTS, content_type="text/plain")
    assert ((0, "", "png", PNG), None) == told(finished(), opening=plain)
    assert Malformed("not JSON but text/plain", "upstream is busy") == told(b"upstream is busy", opening=plain)[-1]
    assert ((0, "", "png", PNG), None) == told(b"\xef\xbb\xbf\n" + finished(), (1, 2, 3), plain)


def test_an_error_reply_to_a_stream_is_an_error_reply() -> None:
    """A status of 400 with the API's own body."""
    stated = told(b'{"error": {"code": "x"}}', opening=evolve(EVENTS, status=400))[-1]
    assert isinstance(stated, Problem)
    assert "x" == stated.code


def test_what_was_whole_when_it_broke_off_is_kept() -> None:
    """An exchange that breaks after the picture has brought it; before, nothing, and nothing is left of it."""
    for body, whole in ((preview() + finished(), True), (preview() + finished()[:-9], False), (b"", False)):
        sink = MemorySink()
        stream = PictureStream(sink, EVENTS)
        stream.feed(body)
        reading = stream.broken()
        assert whole == (reading is not None)
        assert [PNG] * whole == list(sink.pictures.values())
    plain = reply([PNG], USAGE, ASKED, 1).body
    for body, whole in ((plain, True), (plain[:-2], False)):
        sink = MemorySink()
        stream = PictureStream(sink, EVENTS)
        stream.feed(body)
        assert whole == (stream.broken() is not None)
        assert [PNG] * whole == list(sink.pictures.values())


def test_above_the_cap_nothing_is_kept() -> None:
    """A stream above its cap marks itself too large, and its previews that nobody took are gone."""
    sink = MemorySink()
    stream = PictureStream(sink, evolve(EVENTS, cap=2_000))
    stream.feed(preview() * 5)
    stream.feed(preview(0, bytes(2_000)))
    assert stream.too_large
    assert isinstance(stream.close(), Malformed)
    assert [] == stream.take()
    assert {} == sink.pictures


def test_after_its_last_word_nothing_is_heard() -> None:
    """`[DONE]` says that it is over; what follows is not read."""
    sink = MemorySink()
    stream = PictureStream(sink, EVENTS)
    stream.feed(finished() + LAST + finished())
    assert stream.over
    reading = stream.close()
    assert isinstance(reading, Success)
    assert 1 == len(reading.parts)


def test_a_picture_may_lie_behind_an_address() -> None:
    """A finished event with a URL instead of base64, and the prompt as it was revised."""
    items, reading, sink = listen(event("image_generation.completed", {"url": "https://x/y", "revised_prompt": "z"}))
    assert isinstance(reading, Success)
    assert [] == items
    (part,) = reading.parts
    assert part.url
    assert ({part.ref: "https://x/y"}, {part.ref: "z"}) == (sink.urls, sink.notes)


@given(
    st.lists(st.sampled_from([preview(), finished(), LAST, b"data: {}\n\n", b"\n", b"{", b"\xff", b"event: error\n"]))
)
def test_any_nonsense_is_a_value(parts: list[bytes]) -> None:
    """Events in any order, with nonsense between them, are read without raising, and nothing is left over."""
    told(b"".join(parts))


@pytest.mark.parametrize("piece", [1 << 12, 1 << 20])
def test_an_event_of_thirty_megabytes_is_never_a_text(piece: int, tmp_path: Path) -> None:
    """Its picture goes to a file while it arrives: a few megabytes of memory are enough, however it is cut."""
    (tmp_path / "held").mkdir()
    body = finished(PNG + bytes(range(256)) * (22 << 12))
    assert len(body) > 30_000_000
    payloads = Payloads(tmp_path)
    stream = PictureStream(FileSink(payloads), evolve(EVENTS, cap=1 << 26))
    tracemalloc.start()
    for at in range(0, len(body), piece):
        stream.feed(body[at : at + piece])
    reading = stream.close()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000
    assert isinstance(reading, Success)
    (part,) = reading.parts
    assert (len(PNG) + 256 * (22 << 12), "png") == (part.nbytes, part.format)


def test_references_of_parts_are_never_the_same() -> None:
    """Sinks apart name what they take apart."""
    sink = MemorySink()
    one, two = sink.apart(), sink.apart()
    names: set[Ref] = set()
    for each in (sink, one, two):
        each.begin(0)
        each.write(b64encode(b"x"))
        names.add(each.end().ref)
    assert 3 == len(names) == len(sink.pictures)
    one.discard()
    sink.discard()
    assert 1 == len(sink.pictures)


def test_events_are_json_with_their_type() -> None:
    """What the provider's side writes is what the API's documentation shows."""
    head, _, data = preview(2).partition(b"\ndata: ")
    assert b"event: image_generation.partial_image" == head
    said = json.loads(data)
    assert ("image_generation.partial_image", 2, "ZWFybHk=") == (
        said["type"],
        said["partial_image_index"],
        said["b64_json"],
    )
