"""Replies, read while they arrive."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.errors import UsageError
from penstock.ids import Ref
from penstock.readings import LimitHint, Malformed, Part, Problem, Reading, Success, Usage
from penstock.requests import CHAT, EMBEDDINGS, GENERATE, ImageRequest
from penstock.wire import BadPayload, Decoder, MemorySink, is_text, problem, reader, reply
from penstock.wire._json import Json
from penstock.wire._usage import usage as usage_of
from penstock.wire.pictures import ENVELOPE, PictureReader
from penstock.wire.reader import Opening, Reader
from penstock.wire.redact import clean
from penstock.wire.speaking import listener

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
JPEG = b"\xff\xd8\xff\xe0" + bytes(100)
SECRET = "hunter2-hunter2"
ASKED = ImageRequest(prompt="a cat", model="gpt-image-2", size="1024x1024", quality="low")


def read(
    body: bytes, *, status: int = 200, cuts: tuple[int, ...] = (), cap: int = 1 << 20, content_type: str = ""
) -> tuple[Reading, MemorySink]:
    """The reading of a body that arrives in the pieces that `cuts` make, and the sink."""
    sink = MemorySink()
    reading_ = reader("images.generate", sink, status=status, redact=(SECRET,), cap=cap, content_type=content_type)
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    for start, end in pairwise(edges):
        reading_.feed(body[start:end])
    return reading_.close(), sink


def one(**fields: object) -> bytes:
    """A reply of one picture and whatever else."""
    return json.dumps({"data": [{"b64_json": b64encode(PNG).decode()}], **fields}).encode()


some = st.binary(min_size=1, max_size=60).filter(lambda data: not is_text(data))
pictures = st.lists(some, min_size=1, max_size=4)
splits = st.lists(st.integers(0, 2000), max_size=8).map(tuple)


@given(pictures, splits, st.builds(Usage, *[st.integers(0, 10**6)] * 6), st.text(max_size=20))
def test_a_reply_comes_back_under_any_split(
    given_: list[bytes], cuts: tuple[int, ...], usage: Usage, size: str
) -> None:
    """Pictures, usage and size survive the wire, however the bytes are cut; nothing else is in the sink."""
    body = reply(given_, usage, ASKED, 1, size=size or None).body
    reading, sink = read(body, cuts=cuts)
    assert isinstance(reading, Success)
    assert given_ == [sink.pictures[part.ref] for part in reading.parts]
    assert [len(picture) for picture in given_] == [part.nbytes for part in reading.parts]
    assert reading.usage == (
        usage
        if any(
            (
                usage.input_text,
                usage.input_cached_text,
                usage.input_image,
                usage.input_cached_image,
                usage.output_image,
                usage.output_text,
            )
        )
        else None
    )
    assert len(given_) == len(sink.pictures)


def respelled(text: str, pick: Callable[[list[str]], str]) -> str:
    """The base64 text with escapes that JSON allows, as encoders of other languages write them."""
    ways = {"/": ["/", "\\/", "\\u002f", "\\u002F"], "+": ["+", "\\u002B", "\\u002b"], "=": ["=", "\\u003d"]}
    return "".join(pick(ways.get(char, [char])) for char in text)


@given(st.data(), some, splits)
def test_escapes_within_the_data_are_undone(data: st.DataObject, picture: bytes, cuts: tuple[int, ...]) -> None:
    """PHP escapes slashes, .NET the plus sign: the same picture, also where a cut goes through an escape."""
    text = respelled(b64encode(picture).decode(), lambda ways: data.draw(st.sampled_from(ways)))
    reading, sink = read(f'{{"data": [{{"b64_json": "{text}"}}]}}'.encode(), cuts=cuts)
    assert isinstance(reading, Success)
    assert [picture] == list(sink.pictures.values())


def test_every_cut_of_an_escaped_reply() -> None:
    """Cut in two at every single byte, with every kind of escape in it."""
    body = rb'{"x\"y":"\\","data":[{"url":null,"b64\u005fjson":"\/\u002B8\u003d"},{"b64_json" : "AA=="}],'
    body += rb'"size":"\u0031x1"}'
    whole, sink = read(body)
    assert isinstance(whole, Success)
    assert [b"\xff\xef", b"\0"] == list(sink.pictures.values())
    assert ["1x1", "1x1"] == [part.size for part in whole.parts]
    for cut in range(len(body)):
        assert whole == read(body, cuts=(cut,))[0]


@given(st.binary(max_size=300), splits, st.sampled_from([200, 204, 400, 429, 502]))
@example(b'{"data":[{"b64_json":"' + b64encode(SECRET.encode()) + b'"}]}', (30,), 200)
@example(b"[" * 5000, (), 200)
@example(b"[" * 5000, (), 400)
@example(b"\xef\xbb\xbf{}", (1,), 200)
@example(b'{"data":[{"b64_json":"\\', (), 200)
@example(b'{"data":[{"b64_json":"\\u00', (24,), 200)
def test_any_bytes_give_one_reading(body: bytes, cuts: tuple[int, ...], status: int) -> None:
    """Whatever arrives is read, without raising, and alike under any split."""
    assert read(body, status=status)[0] == read(body, status=status, cuts=cuts)[0]


tokens = st.sampled_from(
    ['{"', '"data"', ":[{", '"b64_json":"', "QUJD", '"', "}]", "}", ",", "\\", "\\u002f", "[", '"error":', '"message"',
     ":", SECRET, "Bearer ", "sk-abcdefgh123", "null", '"url":"http://x/', '"size":', '"code":'])  # fmt: skip


@given(st.lists(tokens, max_size=40).map("".join), splits, st.sampled_from([200, 400, 500]))
def test_nothing_secret_is_told(text: str, cuts: tuple[int, ...], status: int) -> None:
    """Near-replies in any order: one reading, no secret in it, and no picture left when it is no success."""
    reading, sink = read(text.encode(), status=status, cuts=cuts)
    assert reading == read(text.encode(), status=status)[0]
    assert SECRET not in repr(reading)
    assert "sk-abcdefgh123" not in repr(reading)
    if not isinstance(reading, Success):
        assert (0, 0) == (len(sink.pictures), len(sink.urls))


def test_a_success_says_what_the_provider_says() -> None:
    """Size as any text, format by the bytes, place in the reply, URL results by reference, remarks with the driver."""
    items = [
        {"b64_json": b64encode(PNG).decode(), "revised_prompt": "a black cat"},
        {"url": "https://cdn.example/secret?sig=1", "b64_json": None, "size": "8x8"},
        {},
        {"b64_json": b64encode(JPEG).decode()},
    ]
    body = json.dumps(
        {"created": 1, "data": items, "size": "1000x999", "usage": {"input_tokens": 0, "output_tokens": 7}}
    ).encode()
    reading, sink = read(body)
    first, third, second = Ref("memory-0"), Ref("memory-1"), Ref("memory-2")
    assert isinstance(reading, Success)
    assert (
        Part(0, first, "1000x999", "png", len(PNG)),
        Part(1, second, "8x8", url=True),
        Part(3, third, "1000x999", "jpeg", len(JPEG)),
    ) == reading.parts
    assert reading.usage == Usage(output_image=7)
    assert {first: "a black cat"} == sink.notes
    assert {second: "https://cdn.example/secret?sig=1"} == sink.urls
    assert "cdn.example" not in repr(reading)


@pytest.mark.parametrize(
    ("picture", "form"),
    [
        (PNG, "png"),
        (JPEG, "jpeg"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "webp"),
        (b"RIFF\0\0\0\0WAVEfmt ", ""),
        (b"GIF89a...", "gif"),
        (b"<svg xmlns='...'/>", "svg"),
        (b"\xef\xbb\xbf\n<?xml version='1.0' encoding='utf-8'?>", "svg"),
        (b"\0\0\0\x1cftypavif", ""),
        (b"hello", ""),
    ],
)
def test_formats_are_told_by_their_bytes(picture: bytes, form: str) -> None:
    """Never by what was asked for."""
    reading, _ = read(reply([picture], None, ASKED, 1).body)
    assert isinstance(reading, Success)
    assert form == reading.parts[0].format


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"Internal Server Error", True),
        (b"\n<?php echo 1;", True),
        (b"<Error><Code>AccessDenied</Code>", True),
        (b"[1, 2, 3]\r\n", True),
        ("ein Fehler trat auf beim Malen, \u00e4".encode()[:32], True),
        ("\u4eca\u65e5\u306f\u5e97\u304c\u4f11\u307f\u3067\u3059\u3088".encode()[:32], True),
        (b"picture", False),  # of so few letters nobody knows
        (b"<!-- made by hand --><svg>", False),
        (b"<s:svg xmlns:s='http://www.w3.org", False),
        (b"%PDF-1.7 and so on", False),
        (b"%!PS-Adobe-3.0 EPSF-3.0", False),
        (b"P3\n2 2\n255\n0 0 0 1 1 1 2 2 2 3", False),
        (b"/* XPM */\nstatic char *a[] = {", False),
        (b"#define fox_width 16\n#define fox", False),
        (b"#?RADIANCE\nFORMAT=32-bit_rle_rg", False),
        (b"GIF89a of letters alone", False),
        (b"\0\0\0\x1cftypavif", False),
        (b"BM6\x00\x0c\0 and the rest", False),
        (b"letters and \xff\xfe, in no known code", False),
        (b"letters and a bell: \x07", False),
    ],
)
def test_what_is_clearly_text_is_no_picture(head: bytes, expected: bool) -> None:
    """Pages, JSON and words are told from formats that are made of letters, and from what nobody knows."""
    assert expected is is_text(head)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"input_tokens": 50, "output_tokens": 4160, "input_tokens_details": {"text_tokens": 10, "image_tokens": 40}},
         Usage(input_text=10, input_image=40, output_image=4160)),
        ({"input_tokens": 9, "output_tokens": 7, "output_tokens_details": {"text_tokens": 2}},
         Usage(input_text=9, output_image=5, output_text=2)),
        ({"input_tokens": 9, "output_tokens": 0, "input_tokens_details": {"cached_tokens": 4}},
         Usage(input_text=5, input_cached_text=4)),
        ({"input_tokens": 10, "total_tokens": 206}, Usage(10, output_image=196)),
        ({"output_tokens": 196, "total_tokens": 206, "prompt_tokens": None}, Usage(10, output_image=196)),
        ({"input_tokens_details": {"text_tokens": 10}, "output_tokens": 196}, Usage(10, output_image=196)),
        ({"input_tokens": 10, "output_tokens": 196, "total_tokens": 0}, Usage(10, output_image=196)),
        ({"input_tokens": 10, "output_tokens": 196, "total_tokens": "206"}, Usage(10, output_image=196)),
        ({"input_tokens": 10, "output_tokens": 5, "total_tokens": 206}, None),
        ({"input_tokens": 10, "output_tokens": 5, "total_tokens": 14}, None),
        ({"input_tokens": 10, "output_tokens": 5, "total_tokens": 22, "output_tokens_details": {"reasoning_tokens": 7}},
         Usage(10, output_image=5, output_text=7)),
        ({"input_tokens": 10, "output_tokens": 5, "total_tokens": 22, "output_tokens_details": {"reasoning_tokens": 6}},
         None),
        ({"input_tokens": 10, "output_tokens": 5, "total_tokens": 15, "output_tokens_details": {"reasoning_tokens": 3}},
         Usage(10, output_image=5)),
        ({"input_tokens": 10, "output_tokens": "196"}, None),
        ({"input_tokens": 10, "output_tokens": -5}, None),
        ({"input_tokens": 10, "output_tokens": 10**30}, None),
        ({"input_tokens": 10, "output_tokens": 1.5}, None),
        ({"input_tokens": 10, "total_tokens": 9}, None),
        ({"input_tokens": 10}, None),
        ({"output_tokens": 196}, None),
        ({"input_tokens": 10, "cost": 0.5}, Usage(cost=500_000_000_000)),
        ({"input_tokens": 10, "output_tokens": 196, "output_tokens_details": {"text_tokens": 197}}, None),
        ({"input_tokens": 10, "output_tokens": 196, "input_tokens_details": {"cached_tokens": 11}}, None),
        ({"input_tokens": 10, "output_tokens": 196, "input_tokens_details": [1]}, None),
        ({"input_tokens": 510, "output_tokens": 196,
          "input_tokens_details": {"text_tokens": 10, "image_tokens": 500, "cached_tokens": 400}},
         Usage(10, input_image=500, output_image=196)),
        ({"input_tokens": 510, "output_tokens": 196,
          "input_tokens_details": {"text_tokens": 10, "image_tokens": 500, "cached_tokens": 511}}, None),
        ({"prompt_tokens": 3, "completion_tokens": 4, "cost": 0.04}, Usage(3, output_image=4, cost=40_000_000_000)),
        ({"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.04}}, Usage(cost=40_000_000_000)),
        ({"cost": 0.01, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.04}},
         Usage(cost=50_000_000_000)),
        ({"cost": 0.04, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.04}},
         Usage(cost=40_000_000_000)),
        ({"cost": 0.04, "cost_details": {"upstream_inference_cost": 0.04}}, Usage(cost=40_000_000_000)),
        ({"cost": 0.02, "cost_details": {"upstream_inference_cost": 0.4}}, Usage(cost=420_000_000_000)),
        ({"cost": 0, "is_byok": True, "cost_details": {"upstream_inference_cost": None}}, None),
        ({"cost": 0, "is_byok": True}, None),
        ({"cost": 0, "is_byok": False, "cost_details": []}, Usage(cost=0)),
        ({"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}, None),
        ({"input_tokens": -1, "output_tokens": "7", "cost": -1}, None),
        ({"output_tokens": True}, None),
        ({"output_tokens": 1e300}, None),
        ([1], None),
        ("x", None),
        (None, None),
    ],
)  # fmt: skip
def test_usage_is_read_defensively(usage: object, expected: Usage | None) -> None:
    """Output that is not itemised is picture; what is not whole, nonsense or all zero is unknown, not free."""
    reading, _ = read(one(usage=usage))
    assert isinstance(reading, Success)
    assert expected == reading.usage


@given(st.integers(0, 9_999), st.integers(0, 9_999), st.integers(-50, 9_999))
def test_what_a_model_thought_is_text_that_it_made(given_: int, made: int, more: int) -> None:
    """Where a total is more than its parts nothing of it is lost; where it is less nothing is believed."""
    told: dict[str, Json] = {"prompt_tokens": given_, "completion_tokens": made, "total_tokens": given_ + made + more}
    found = usage_of(told, texts=True)
    if given_ + made + more <= 0:  # a total of 0, or none: it is not counted
        return
    assert (Usage(given_, output_text=made + more) if more >= 0 else None) == found


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"OK", "not JSON"),
        (b"null", "not JSON"),
        (b"NaN", "not JSON"),
        (b'{"data":[]}', "no pictures"),
        (b'{"data":null}', "no pictures"),
        (b'{"created":1}', "no pictures"),
        (b"[]", "no pictures"),
        (b'{"data":[1,{"b64_json":null,"url":"file:///etc"}]}', "no pictures"),
        (b'{"data":[{"b64_json":"QUJD"}]', "truncated"),
        (b'{"data":[{"b64_json":"QUJ', "truncated"),
        (b'{"data":[{"b64_json":"QUJD"}],"size":"1', "truncated"),
        (b'{"data":[{"b64_json":""}]}', "picture 0 is no base64 of anything"),
        (b'{"data":[{"b64_json":"QUJD"},{"b64_json":"QUJ"}]}', "picture 1 is no base64 of anything"),
        (b'{"data":[{"b64_json":"Q!JD"}]}', "picture 0 is no base64 of anything"),
        (b'{"data":[{"b64_json":"QQ==QUJD"}]}', "picture 0 is no base64 of anything"),
        (b'{"data":[{"b64_json":" \\n"}]}', "picture 0 is no base64 of anything"),
        (b'{"data":[{"b64_json":"data:image/png,QUJD"}]}', "picture 0 is no base64 of anything"),
        (b'{"data":[{"b64_json":"data:;base64,"}]}', "picture 0 is no base64 of anything"),
        (b'{"data":[{"b64_json":"QUJD\\"QUJ"}]}', "picture 0 is no base64 of anything"),
        (b'{"data":[{"b64_json":"QUJD\\u00e4AA"}]}', "picture 0 is no base64 of anything"),
        (b'{"data":[{"b64_json":"PGh0bWw+PGJvZHk+"}]}', "picture 0 is text"),
        (b'{"data":[{"b64_json":"77u/IDwhRE9DVFlQRSBIVE1MPjxodG1sPg=="}]}', "picture 0 is text"),
        (b'{"data":[{"b64_json":"iVBORw0KGgo="},{"b64_json":"eyJlcnJvciI6ICJubyJ9"}]}', "picture 1 is text"),
        (b'{"data":[{"b64_json":"QUJD","b64_json":"QUJD"}]}', "a picture is given twice"),
        (b'{"data":[{"b64_json":"QUJD"}],"data":[{},{"b64_json":"QUJD"}]}', "a picture is given twice"),
        (b'{"a":' + b"[" * 600 + b"]" * 600 + b"}", "nested too deeply"),
        (b'{"size":"\xff","data":[{"b64_json":"QUJD"}]}', "truncated"),
    ],
)
def test_what_cannot_be_read_is_malformed(body: bytes, reason: str) -> None:
    """With a reason, and nothing left in the sink."""
    reading, sink = read(body)
    assert isinstance(reading, Malformed)
    assert reason == reading.reason
    assert {} == sink.pictures


def test_data_elsewhere_is_no_picture() -> None:
    """Only `data[i].b64_json` is: quoted in a message, nested deeper or higher it is plain text."""
    spans = [b'{"b64_json":"QUJD"}', b'{"data":{"b64_json":"QUJD"}}', b'{"x":[{"b64_json":"QUJD"}]}',
             b'{"data":[["b64_json","QUJD"]]}', b'{"data":[{"a":{"b64_json":"QUJD"}}]}',
             b'[{"data":[{"b64_json":"QUJD"}]}]',
             b'{"data":["{\\"b64_json\\":\\"QUJD\\"}"]}']  # fmt: skip
    for body in spans:
        reading, _ = read(body)
        assert isinstance(reading, Malformed)
        assert reading.reason == "no pictures"


def test_a_snippet_is_short_printable_and_clean() -> None:
    """At most 120 characters, without control characters and keys."""
    reading, _ = read(f"key={SECRET} Authorization: Bearer abc\x00\x1b sk-proj-abc123 {'x' * 500}".encode())
    assert isinstance(reading, Malformed)
    assert reading.snippet.startswith("key=*** Authorization: ***")
    assert len(reading.snippet) == 120
    assert reading.snippet.isprintable()
    assert not any(word in reading.snippet for word in ("abc", "sk-", SECRET))


def test_a_secret_across_a_border_is_not_half_told() -> None:
    """Neither where the text is cut off, nor where a long text is no longer looked at."""
    for length in range(280, 320):
        reading, _ = read(f"{'x' * length}{SECRET}".encode(), status=500)
        assert isinstance(reading, Problem)
        assert "hunter" not in reading.message
    reading, _ = read((SECRET * 1000).encode(), status=500)
    assert isinstance(reading, Problem)
    assert "hunter" not in reading.message


def test_secrets_within_secrets_and_at_the_end_of_the_window() -> None:
    """The longer one goes first; where the text is no longer looked at, no beginning of one is left."""
    assert clean("x abcdef", ("abc", "abcdef"), 100) == "x ***"
    long = "s3cret" * 10
    for offset in range(60):
        assert "s3cret" not in clean("x" * offset + long * 1000, (long,), 300)


def test_above_the_cap_it_is_too_large() -> None:
    """Too large for the cap, or too large beside the pictures; the sink is emptied, the rest ignored."""
    body = reply([bytes(3000)], None, ASKED, 1).body
    for cut in range(0, len(body), 500):
        sink = MemorySink()
        made = reader("images.generate", sink, status=200, cap=len(body) - 1)
        made.feed(body[:cut])
        before = made.too_large
        made.feed(body[cut:])
        assert (False, True) == (before, made.too_large)
        assert {} == sink.pictures
        assert isinstance(made.close(), Malformed)
        assert {} == sink.pictures
    sink = MemorySink()
    made = reader("images.generate", sink, status=200, cap=len(body))
    made.feed(body)
    assert isinstance(made.close(), Success)
    wide = reader("images.generate", MemorySink(), status=200)
    wide.feed(b'"' + b"x" * ENVELOPE)
    assert wide.too_large
    wide.feed(b"more")


def test_the_envelope_is_all_that_is_kept() -> None:
    """A large reply leaves a small envelope."""
    sink = MemorySink()
    made = PictureReader(sink, Opening(200))
    body = reply([bytes(500_000)] * 4, None, ASKED, 1).body
    for start in range(0, len(body), 65_536):
        made.feed(body[start : start + 65_536])
    assert len(made._body) < 1_000
    assert isinstance(made.close(), Success)


def test_only_known_operations_have_a_reader() -> None:
    """A driver that asks for another breaks the contract."""
    with pytest.raises(UsageError):
        reader("videos.generate", MemorySink(), status=200)


LIMITED = (
    "Rate limit reached for gpt-image-1 (for limit gpt-image) in organization org-x on input-images per min: Limit 5, "
    "Used 5, Requested 1. Please try again in 12s. Visit https://platform.openai.com/account/rate-limits"
)


@pytest.mark.parametrize(
    ("message", "hint", "limit"),
    [
        (LIMITED, 12.0, LimitHint("images", 5.0, 5.0, 1.0, 60.0, "org-x")),
        ("on tokens per min (TPM): Limit 30000, Requested 40000. try again in 1m0.5s.", 60.5,
         LimitHint("tokens", 30000.0, None, 40000.0, 60.0)),
        ("on requests per day (RPD): Limit 200, Used 200, Requested 1. Please try again in 7m12s.", 432.0,
         LimitHint("requests", 200.0, 200.0, 1.0, 86400.0)),
        ("Please retry after 37 seconds.", 37.0, None),
        ("Try again in 500 milliseconds", 0.5, None),
        ("Please retry in 500 ms", 0.5, None),
        ("try again in 2 h", 7200.0, None),
        ("try again in 1 day", 86400.0, None),
        ("Rate limit reached in organization org-imagelab on tokens per min: Limit 30000, Requested 40000.", None,
         LimitHint("tokens", 30000.0, None, 40000.0, 60.0, "org-imagelab")),
        ("try again in 6ms", 0.006, None),
        ("Please retry in 2 minutes", 120.0, None),
        ("try again in some time", None, None),
        ("on Mars: Limit 5, Requested 1", None, None),
    ],
)  # fmt: skip
def test_a_refusal_teaches_wait_and_limit(message: str, hint: float | None, limit: LimitHint | None) -> None:
    """What the free text of a 429 says, as far as it can be read."""
    stated = Problem(code="rate_limit_exceeded", type="requests", message=message)
    reading, _ = read(problem(429, stated).body, status=429)
    assert isinstance(reading, Problem)
    assert limit == reading.limit
    assert hint == pytest.approx(reading.hint)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": {"message": "no", "type": "t", "param": None, "code": "c"}}, Problem("c", "t", "no")),
        ({"error": {"message": "no", "code": 429}}, Problem("429", None, "no")),
        ({"error": {"message": "no", "code": 8, "status": "EXHAUSTED"}}, Problem("8", "EXHAUSTED", "no")),
        ([{"error": {"message": "no"}}], Problem(message="no")),
        ({"error": "no"}, Problem(message="no")),
        ({"type": "error", "error": {"type": "overloaded", "message": "no"}}, Problem(None, "overloaded", "no")),
        ({"detail": "no"}, Problem(message="no")),
        ({"detail": [{"loc": ["body", "n", 0], "msg": "big"}, "odd", 1]}, Problem(message="body.n: big; odd; ")),
        ({"object": "error", "message": "no", "code": 40}, Problem("40", None, "no")),
        ({"error": {"code": "moderation_blocked", "moderation_details": {"moderation_stage": "output"}}},
         Problem("moderation_blocked", stage="output")),
        ({"error": {"code": "x", "moderation_details": {"moderation_stage": "unknown"}}},
         Problem("x", stage="unknown")),
        ({"error": {"code": "x", "moderation_details": {"moderation_stage": "later"}}}, Problem("x", stage="unknown")),
        ({"error": {"code": "x", "moderation_details": {"moderation_stage": None}}}, Problem("x")),
        ({"error": {"code": "x"}, "usage": {"input_tokens": 0, "output_tokens": 3}},
         Problem("x", usage=Usage(output_image=3))),
        ({"error": {"code": True, "type": 1.5, "message": [1]}}, Problem()),
        ({"message": "no Route matched"}, Problem(message='{"message": "no Route matched"}', own=False)),
        ({"error": {}}, Problem(message='{"error": {}}', own=False)),
        ([], Problem(message="[]", own=False)),
        ([1], Problem(message="[1]", own=False)),
    ],
)  # fmt: skip
def test_errors_of_every_shape_are_read(body: object, expected: Problem) -> None:
    """OpenAI's, Google's, Anthropic's and FastAPI's shapes are the provider's own; anything else is not."""
    assert expected == read(json.dumps(body).encode(), status=400)[0]


def test_a_proxys_page_is_not_the_providers_word() -> None:
    """Nobody knows whether the request was executed."""
    page = "<html><body><h1>502 Bad Gateway</h1></body></html>"
    reading, _ = read(page.encode(), status=502, content_type="text/html")
    assert Problem(message="502 Bad Gateway", own=False) == reading
    assert Malformed("not JSON but text/html", page) == read(page.encode(), content_type="text/html")[0]


def test_a_200_may_carry_an_error() -> None:
    """It is read as the error that it is, unless pictures came with it."""
    assert Problem("c", None, "no") == read(b'{"error":{"message":"no","code":"c"}}')[0]
    assert isinstance(read(one(error={"message": "no"}))[0], Success)


def test_a_long_message_is_cut_and_keys_are_struck_out() -> None:
    """300 characters, no credential."""
    words = f"Incorrect API key provided: {SECRET}, sk-proj-abcdef. Bearer abc.def " + "y" * 500
    reading, _ = read(json.dumps({"error": {"message": words, "code": SECRET, "type": SECRET}}).encode(), status=401)
    assert isinstance(reading, Problem)
    assert len(reading.message) == 300
    assert "***" == reading.code == reading.type
    assert reading.message.startswith("Incorrect API key provided: ***, ***. Bearer *** yyy")


@pytest.mark.parametrize("where", ["message", "detail"])
def test_a_prompt_that_is_echoed_is_struck_out_whole(where: str) -> None:
    """Also one of several lines, with odd characters, longer than what is kept of a message."""
    prompt = "a violet heron\n\tover\u00a0a tin roof " + "and another roof " * 300
    said = {"detail": [{"loc": ["body", "prompt"], "msg": f"bad: {prompt}"}]}
    told = {"error": {"message": f"Your prompt '{prompt}' was refused", "code": "x_y"}} if where == "message" else said
    taker = reader("images.generate", MemorySink(), status=400, redact=(prompt,))
    taker.feed(json.dumps(told).encode())
    shown = repr(taker.close())
    assert "heron" not in shown
    assert "roof" not in shown


MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize("before", [b"", MARK, b"\n" * 300, MARK + b"  \r\n"], ids=["", "mark", "blank", "both"])
@pytest.mark.parametrize(
    ("taker", "begun"),
    [
        (partial(reader, GENERATE), b""),
        (partial(reader, CHAT), b""),
        (partial(reader, EMBEDDINGS), b""),
        (partial(listener, GENERATE), b"data: "),
        (partial(listener, CHAT), b"data: "),
    ],
    ids=["pictures", "chat", "vectors", "stream", "chat stream"],
)
def test_a_truncated_reply_does_not_tell_what_was_asked(
    before: bytes, taker: Callable[..., Reader], begun: bytes
) -> None:
    """JSON that is cut off may hold a rewritten prompt: no snippet of it is kept, whatever a server puts before it."""
    taking = taker(MemorySink(), status=200)
    taking.feed(begun + before + b'{"created":1,"data":[{"revised_prompt":"A crimson enamel kettle on a white')
    reading = taking.close()
    assert isinstance(reading, Malformed)
    assert "" == reading.snippet.strip()


problems = st.builds(
    Problem,
    code=st.none() | st.sampled_from(["rate_limit_exceeded", "server_error"]),
    type=st.none() | st.sampled_from(["requests", "tokens"]),
    message=st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=50),
    stage=st.sampled_from([None, "input", "output"]),
    usage=st.none() | st.builds(Usage, output_image=st.integers(1, 99)),
)


@given(problems, splits)
def test_a_problem_comes_back(stated: Problem, cuts: tuple[int, ...]) -> None:
    """What the provider's side says is what is read."""
    made = problem(400, stated)
    assert stated == read(made.body, status=400, cuts=cuts)[0]


@given(st.binary(min_size=1, max_size=50), splits)
def test_a_decoder_gives_the_same_under_any_split(picture: bytes, cuts: tuple[int, ...]) -> None:
    """Base64 in pieces is base64."""
    text = b64encode(picture)
    edges = [0, *sorted(min(cut % 70, len(text)) for cut in cuts), len(text)]
    decoder = Decoder()
    pieces = [decoder.feed(memoryview(text)[start:end]) for start, end in pairwise(edges)]
    decoder.finish()
    assert picture == b"".join(pieces)


@given(st.lists(st.sampled_from([b"QUJD", b"QQ==", b"QUI=", b"=", b"A", b"-_", b" "]), max_size=6), splits)
def test_a_decoder_refuses_the_same_under_any_split(parts: list[bytes], cuts: tuple[int, ...]) -> None:
    """What is refused does not depend on the cuts."""

    def outcome(edges: list[int]) -> bytes | None:
        decoder = Decoder()
        try:
            made = b"".join(decoder.feed(text[a:b]) for a, b in pairwise(edges))
            decoder.finish()
        except BadPayload:
            return None
        return made

    text = b"".join(parts)
    assert outcome([0, len(text)]) == outcome([0, *sorted(min(cut % 25, len(text)) for cut in cuts), len(text)])
