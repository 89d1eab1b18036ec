"""Whatever a provider answers is a value, and what it may have cost stays on the ledger.

In virtual time: the engine under its monitor, replies through the real readers, and a provider that bills each exchange
at its bound wherever such an answer may be billed.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.outcomes import Status
from penstock.readings import Malformed, Problem, Success
from tests.answering import FREE, PNG64, SECRET, Reply, answered
from tests.test_wire_fuzz import LISTENING, STATUSES, TYPES, WAYS, bodies

GOOD: dict[str, dict[str, object]] = {
    "images": {"created": 1, "data": [{"b64_json": PNG64}, {"b64_json": PNG64}]},
    "sdwebui": {"images": [PNG64, PNG64], "info": "{}"},
    "stability": {"image": PNG64, "finish_reason": "SUCCESS"},
    "chat.completions": {"choices": [{"message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}]},
    "embeddings": {"data": [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [0.5]}]},
    "moderations": {"results": [{"flagged": False, "categories": {}}, {"flagged": True, "categories": {}}]},
    "raw": {"id": "video_1", "status": "queued"},
}
"""A good reply of each kind, that does not say what it cost."""

USAGES: list[object] = [
    None,
    [],
    "many",
    {},
    {"input_tokens": 5},
    {"output_tokens": 5},
    {"input_tokens": -1, "output_tokens": 5},
    {"input_tokens": 5.5, "output_tokens": 5},
    {"input_tokens": 1e300, "output_tokens": 5},
    {"input_tokens": "5", "output_tokens": "5"},
    {"input_tokens": 5, "output_tokens": 5, "total_tokens": 3},
    {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0},
    {"total_tokens": 5},
    {"input_tokens": 5, "output_tokens": 5, "input_tokens_details": {"text_tokens": 9}},
    {"input_tokens": 5, "output_tokens": 5, "input_tokens_details": []},
    {"prompt_tokens": True, "completion_tokens": 5},
    {"cost": -1},
    {"cost": "0.04"},
    {"cost": 1e400},
    {"cost_in_usd_ticks": -5},
    {"cost_in_usd_ticks": 0.5},
]
"""What stands where tokens should: nothing of it says what was used."""


def good(dialect: str, operation: str) -> dict[str, object]:
    """A good reply to an operation."""
    if not operation.startswith("images."):
        return GOOD[operation.removesuffix(".content")]
    return GOOD.get(dialect, GOOD["images"])


def told(body: object, status: int = 200, kind: str = "application/json") -> Reply:
    """A reply in JSON."""
    return Reply(json.dumps(body).encode(), status, kind)


PAGE = b"<html>\r\n<head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
ERRORS: list[object] = [
    {"error": {"code": 1302, "message": f"busy with {SECRET}"}},
    {"error": {"message": "The server had an error", "type": "server_error"}},
    {"error": SECRET},
    {"error": {}},
    {"error": 5},
    {"detail": f"not {SECRET}"},
    {"detail": [{"loc": ["body", SECRET], "msg": "bad", "input": SECRET}]},
    {"detail": {}},
    {"error": {"message": "no", "code": "moderation_blocked", "moderation_details": {"moderation_stage": "output"}}},
    {"error": {"message": "no", "code": "moderation_blocked", "moderation_details": "x"}},
    {"message": SECRET, "code": 7},
]


def defects(dialect: str, operation: str) -> dict[str, Reply]:
    """Each defect of a reply to an operation, by name."""
    whole = good(dialect, operation)
    text = json.dumps(whole).encode()
    (holder,) = [name for name in ("data", "images", "image", "choices", "results", "id") if name in whole]
    found = {
        "empty": Reply(b""),
        "blank": Reply(b" \r\n"),
        "null": told(None),
        "a number": told(7),
        "a list": told([whole]),
        "no fields": told({}),
        "a page": Reply(PAGE, 200, "text/html"),
        "a page that says it is JSON": Reply(PAGE),
        "another content type": Reply(text, 200, "text/html"),
        "no content type": Reply(text, 200, ""),
        "a stream that nobody asked for": Reply(b"data: " + text + b"\n\ndata: [DONE]\n\n", 200, "text/event-stream"),
        "bytes": Reply(b"\xff\xfe\x00" + text),
        "not a number": Reply(text.replace(b"}", b', "x": NaN}', 1)),
        "deep": Reply(b'{"data":' + b"[" * 5_000 + b"]" * 5_000 + b"}"),
        "nothing in it": told({**whole, holder: None}),
        "an object for a list": told({**whole, holder: {}}),
        "an empty list": told({**whole, holder: []}),
        "things that are none": told({**whole, holder: [None, 5, "x", {}, [[]]]}),
        **{f"cut at {at}": Reply(text[:at]) for at in (1, len(text) // 2, len(text) - 1)},
        **{f"usage {place}": told({**whole, "usage": one}) for place, one in enumerate(USAGES)},
        **{f"error {place}": told(one) for place, one in enumerate(ERRORS)},
        **{f"a page at {status}": Reply(PAGE, status, "text/html") for status in (201, 400, 403, 502, 504, 524)},
        **{f"error 0 at {status}": told(ERRORS[0], status) for status in (400, 408, 500, 502, 503)},
        **{f"detail at {status}": told(ERRORS[5], status) for status in (404, 422, 500, 503, 504)},
    }
    if operation.startswith("images."):
        found |= pictured(dialect, whole)
    if operation == "embeddings":
        for name, value in (("no base64", "!!"), ("short base64", "QUI="), ("no text", ""), ("words", ["a"])):
            found[name] = told({"data": [{"index": 0, "embedding": value}]})
        found["twice the same"] = told({"data": [{"index": 0, "embedding": [1.0]}] * 2})
    return found


def pictured(dialect: str, whole: dict[str, object]) -> dict[str, Reply]:
    """What may be wrong with a picture."""
    wrong = {
        "no base64": "!!!!",
        "a wrong length": "QUJ",
        "goes on after its padding": "QUI=QUJD",
        "an empty picture": "",
        "no picture": "aGVsbG8gd29ybGQ=",
        "a page in base64": "PGh0bWw+",
    }
    found: dict[str, Reply] = {}
    for name, value in wrong.items():
        match dialect:
            case "sdwebui":
                found[name] = told({**whole, "images": [value]})
            case "stability":
                found[name] = told({**whole, "image": value})
            case _:
                found[name] = told({**whole, "data": [{"b64_json": value}]})
                found[f"{name}, behind a good one"] = told(
                    {**whole, "data": [{"b64_json": PNG64}, {"b64_json": value}]}
                )
    held = {"b64_json": PNG64, "respect_moderation": False}
    return found | {
        "held back": told({"data": [held], "respect_moderation": False}),
        "all held back": told({"data": [held, held]}),
        "one held back": told({"data": [held, {"b64_json": PNG64}]}),
        "filtered": told({"image": PNG64, "finish_reason": "CONTENT_FILTERED"}),
        "an address that is none": told({"data": [{"url": "file:///etc/passwd"}]}),
        "neither": told({"data": [{"url": None, "b64_json": None}]}),
    }


PREVIEW = {"type": "image_generation.partial_image", "b64_json": PNG64, "partial_image_index": 0}
DONE = {"type": "image_generation.completed", "b64_json": PNG64}
PIECE = {"choices": [{"index": 0, "delta": {"content": SECRET}, "finish_reason": None}]}
LAST = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def streamed(operation: str) -> dict[str, Reply]:
    """Each defect of a stream, by name."""
    first, last = (PIECE, LAST) if operation == "chat.completions" else (PREVIEW, DONE)
    kinds: dict[str, list[object]] = {
        "nothing": [],
        "a beginning": [first],
        "no usage": [first, last],
        "an end alone": [last],
        "an end twice": [first, last, last],
        "goes on after its end": [first, last, first],
        "no fields": [{}],
        "no event": [7, None, "x", []],
        "no base64": [{**DONE, "b64_json": "!!"}],
        "an empty picture": [{**DONE, "b64_json": ""}],
        "no picture": [{**DONE, "b64_json": None}],
        "another kind": [{**DONE, "type": "image_generation.unheard"}],
        "no choices": [{"choices": None}],
        "a choice that is none": [{"choices": [5, {}, {"delta": 5}]}],
        **{f"usage {place}": [first, {**last, "usage": one}] for place, one in enumerate(USAGES)},
        **{f"error {place}": [one] for place, one in enumerate(ERRORS)},
        **{f"error {place} after a beginning": [first, one] for place, one in enumerate(ERRORS)},
        **{f"error {place} after the end": [last, one] for place, one in enumerate(ERRORS)},
    }
    found: dict[str, Reply] = {}
    for name, events in kinds.items():
        body = b"".join([b"data: " + json.dumps(one).encode() + b"\n\n" for one in events])
        found[name] = Reply(body, 200, "text/event-stream")
        found[f"{name}, and the last word"] = Reply(body + b"data: [DONE]\n\n", 200, "text/event-stream")
        found[f"{name}, cut"] = Reply(body[:-9], 200, "text/event-stream")
    return found | {
        "a page": Reply(PAGE, 200, "text/html"),
        "a page at 502": Reply(PAGE, 502, "text/html"),
        "no JSON": Reply(b"data: soon\n\n", 200, "text/event-stream"),
        "a comment": Reply(b": keep alive\n\n" * 9, 200, "text/event-stream"),
    }


def wrong(dialect: str, operation: str, reply: Reply, *, streams: bool = False) -> str:
    """What is wrong with what came of a reply; "" where nothing is."""
    found = answered(dialect, operation, reply, streams=streams)
    if not found.readings:
        return f"nothing was sent: {found.outcome.status}"
    if not all(isinstance(one, Success | Problem | Malformed) for one in found.readings):
        return "no value"
    if found.outcome.status not in ENDS:
        return f"ended {found.outcome.status}"
    if SECRET in found.words:
        return "it tells what was asked"
    if not found.kept:
        return f"billed {found.billed}, charged {found.charged}, maybe {found.maybe}, reserved {found.reserved}"
    return ""


ENDS = frozenset(
    {Status.COMPLETED, Status.PARTIAL, Status.FAILED, Status.AMBIGUOUS, Status.REFUSED, Status.DEFERRED, Status.CACHED}
)


@pytest.mark.parametrize(("dialect", "operation"), WAYS, ids=str)
def test_each_defect_is_a_value_and_its_cost_is_kept(dialect: str, operation: str) -> None:
    """Every defect in every way of every dialect: an end, no word of what was asked, nothing missing in the books."""
    found = {name: wrong(dialect, operation, reply) for name, reply in defects(dialect, operation).items()}
    assert {} == {name: words for name, words in found.items() if words}
    assert len(found) > 60


@pytest.mark.parametrize(("dialect", "operation"), LISTENING, ids=str)
def test_each_defect_of_a_stream_is_a_value_and_its_cost_is_kept(dialect: str, operation: str) -> None:
    """The same where a stream was asked for, which may be answered plainly, too."""
    replies = streamed(operation) | defects(dialect, operation)
    found = {name: wrong(dialect, operation, reply, streams=True) for name, reply in replies.items()}
    assert {} == {name: words for name, words in found.items() if words}
    assert len(found) > 200


@settings(max_examples=300)
@given(
    st.sampled_from([(*way, False) for way in WAYS] + [(*way, True) for way in LISTENING]),
    bodies,
    st.sampled_from(STATUSES),
    st.sampled_from(TYPES),
)
def test_any_bytes_are_a_value_and_their_cost_is_kept(
    way: tuple[str, str, bool], body: bytes, status: int, kind: str
) -> None:
    """Whatever comes at whatever status: an end, no word of what was asked, and nothing missing in the books."""
    dialect, operation, streams = way
    assert "" == wrong(dialect, operation, Reply(body, status, kind), streams=streams)


@pytest.mark.parametrize(("dialect", "operation"), WAYS, ids=str)
def test_what_cannot_be_read_may_have_cost_its_bound(dialect: str, operation: str) -> None:
    """Each exchange that ends so is on the ledger with all that it may have cost, and nothing of it is charged."""
    if operation == "raw":
        return  # whatever comes is its answer
    found = answered(dialect, operation, Reply(PAGE, 200, "text/html"))
    assert Status.AMBIGUOUS is found.outcome.status
    assert (found.billed, 0) == (found.maybe, found.charged)
    assert (dialect in FREE) == (found.billed == 0)
