"""What servers answer in each dialect, against a table of transcripts: a reply and its exact reading."""

from __future__ import annotations

import json

import pytest

from penstock.ids import Ref
from penstock.readings import Malformed, Part, Problem, Reading, Success, Usage
from penstock.wire import MemorySink, reader


def read(spoken: str, body: object, status: int = 200) -> tuple[Reading, MemorySink]:
    """The reading of a reply."""
    sink = MemorySink()
    made = reader("images.generate", sink, dialect=spoken, status=status, content_type="application/json")
    made.feed(json.dumps(body).encode())
    return made.close(), sink


PNG = b"\x89PNG\r\n\x1a\n rest"
INFO = json.dumps({"width": 64, "height": 32, "index_of_first_image": 1, "all_seeds": [7, 8]})


@pytest.mark.parametrize(
    ("spoken", "body", "expected"),
    [
        (
            "openrouter",
            {"data": [{"b64_json": "QUJD", "media_type": "image/png"}], "usage": {"cost": 0.13, "total_tokens": 0}},
            Success(Usage(cost=130_000_000_000), (Part(0, Ref("memory-0"), "", "", 3),)),
        ),
        (
            "sdwebui",
            {"images": ["QUFB", "QUJD", "REVG"], "parameters": {"prompt": "x"}, "info": INFO},
            Success(
                None,
                (
                    Part(0, Ref("memory-1"), "64x32", "", 3),
                    Part(1, Ref("memory-2"), "64x32", "", 3),
                    Part(2, Ref("memory-0"), "64x32", "", 3),
                ),
            ),
        ),
        ("sdwebui", {"images": ["QUFB"], "info": "no JSON"}, Success(None, (Part(0, Ref("memory-0"), "", "", 3),))),
        (
            "together",
            {"id": "x", "model": "m", "object": "list", "data": [{"index": 0, "b64_json": "QUJD", "type": "b64_json"}]},
            Success(None, (Part(0, Ref("memory-0"), "", "", 3),)),
        ),
        (
            "xai",
            {"data": [{"b64_json": "data:image/jpeg;base64,QUJD"}], "usage": {"cost_in_usd_ticks": 200_000_000}},
            Success(Usage(cost=20_000_000_000), (Part(0, Ref("memory-0"), "", "", 3),)),
        ),
        (
            "xai",
            {"data": [{"b64_json": "QUJD"}], "respect_moderation": False, "usage": {"cost_in_usd_ticks": 5}},
            Problem(
                "moderation_blocked",
                message="held back by the provider's moderation",
                stage="output",
                usage=Usage(cost=500),
            ),
        ),
        (
            "xai",
            {
                "data": [
                    {"b64_json": "QUJD"},
                    {"b64_json": "REVG", "respect_moderation": False},
                    {"url": "https://a.example/c.jpg", "respect_moderation": False},
                    {"b64_json": "R0hJ", "respect_moderation": True},
                ],
                "usage": {"cost_in_usd_ticks": 8},
            },
            Success(Usage(cost=800), (Part(0, Ref("memory-0"), "", "", 3), Part(3, Ref("memory-2"), "", "", 3))),
        ),
        (
            "stability",
            {"image": "QUJD", "finish_reason": "SUCCESS", "seed": 3},
            Success(None, (Part(0, Ref("memory-0"), "", "", 3),)),
        ),
        (
            "stability",
            {"image": "QUJD", "finish_reason": "CONTENT_FILTERED", "seed": 3},
            Problem("CONTENT_FILTERED", message="it ended with CONTENT_FILTERED", stage="output"),
        ),
        (
            "xai",
            {"data": [{"url": None, "respect_moderation": False}]},
            Problem("moderation_blocked", message="held back by the provider's moderation", stage="output"),
        ),
    ],
)
def test_replies_are_read_as_their_dialect_means_them(spoken: str, body: object, expected: Reading) -> None:
    """Pictures in their places, what it cost, and refusals inside a 200."""
    told, sink = read(spoken, body)
    assert expected == told
    delivered = [part.ref for part in expected.parts] if isinstance(expected, Success) else []
    assert sorted(delivered) == sorted(sink.pictures)
    assert {} == sink.urls


def test_a_picture_alone_is_a_picture() -> None:
    """Stability may send the bytes themselves, whatever it was asked for."""
    picture = b"\x89PNG\r\n\x1a\n rest"
    sink = MemorySink()
    made = reader("images.generate", sink, dialect="stability", status=200, content_type="image/png")
    made.feed(picture[:4])
    made.feed(picture[4:])
    assert Success(None, (Part(0, Ref("memory-0"), "", "png", len(picture)),)) == made.close()
    assert [picture] == list(sink.pictures.values())


def test_a_page_alone_is_no_picture() -> None:
    """Whatever its type says."""
    sink = MemorySink()
    made = reader("images.generate", sink, dialect="stability", status=200, content_type="image/png")
    made.feed(b"<html>oops</html>")
    assert Malformed("text, no picture", "<html>oops</html>") == made.close()
    assert {} == sink.pictures


@pytest.mark.parametrize(
    ("spoken", "status", "body", "expected"),
    [
        (
            "stability",
            403,
            {"id": "1", "name": "content_moderation", "errors": ["Your request was flagged."]},
            Problem("content_moderation", message="Your request was flagged."),
        ),
        ("stability", 400, {"name": "bad_request", "errors": ["a", 5, "b"]}, Problem("bad_request", message="a; b")),
        ("openrouter", 402, {"error": {"code": 402, "message": "no credit"}}, Problem("402", message="no credit")),
        ("local", 422, {"detail": [{"loc": ["body", "size"], "msg": "bad"}]}, Problem(message="body.size: bad")),
        (
            "sdwebui",
            500,
            {"error": "OutOfMemoryError", "detail": "", "errors": "x"},
            Problem(message="OutOfMemoryError"),
        ),
        (
            "sdwebui",
            422,
            {"error": "HTTPException", "detail": "Sampler not found", "body": "", "errors": ""},
            Problem(message="HTTPException: Sampler not found"),
        ),
        (
            "localai",
            500,
            {"error": {"code": 500, "message": "no model", "type": ""}},
            Problem("500", message="no model"),
        ),
    ],
)
def test_errors_are_read_in_each_dialects_shape(spoken: str, status: int, body: object, expected: Problem) -> None:
    """They are the provider's own words."""
    assert expected == read(spoken, body, status)[0]


@pytest.mark.parametrize(
    ("ended", "body", "expected"),
    [
        ("SUCCESS", PNG, ""),
        ("", PNG, ""),
        ("CONTENT_FILTERED", PNG, "it ended with CONTENT_FILTERED"),
        ("SOMETHING_ELSE", PNG, "it ended with SOMETHING_ELSE"),
        ("SUCCESS", b"hello", "no picture"),
    ],
)
def test_how_a_picture_alone_ended_stands_in_a_header(ended: str, body: bytes, expected: str) -> None:
    """What was held back is a refusal, though a picture came along; what is no picture is none."""
    sink, headers = MemorySink(), (("content-type", "image/png"), ("finish-reason", ended))
    made = reader("images.generate", sink, dialect="stability", status=200, content_type="image/png", headers=headers)
    made.feed(body)
    told = made.close()
    said = told.message if isinstance(told, Problem) else told.reason if isinstance(told, Malformed) else ""
    assert expected == said
    assert (not expected) == (len(sink.pictures) == 1)
    assert not isinstance(told, Problem) or told.stage == "output"
