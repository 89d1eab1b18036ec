"""The other server is what it is taken for: it refuses, limits, breaks and bills as a test says."""

from __future__ import annotations

import json
from base64 import b64decode
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

import pytest

from tests.acceptance.limits import Rate, Turnstile, Window
from tests.acceptance.other_server import other_server
from tests.acceptance.pictures import picture
from tests.acceptance.witness import Fault, Habits, Witness

MAGIC = {"png": b"\x89PNG", "jpeg": b"\xff\xd8\xff", "webp": b"RIFF", "gif": b"GIF8", "svg": b"<?xml"}


def post(witness: Witness, prompt: str, key: str = "key-1", /, **body: object) -> tuple[int, dict[str, str], bytes]:
    """One request; (status, headers in lower case, body)."""
    address = urlsplit(witness.base_url)
    connection = HTTPConnection(address.hostname or "", address.port, timeout=120)
    try:
        fields = {"model": "gpt-image-2", "prompt": prompt, "quality": "low"} | body
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        connection.request("POST", "/v1/images/generations", json.dumps(fields), headers)
        reply = connection.getresponse()
        return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
    finally:
        connection.close()


def code(body: bytes) -> object:
    """The code of an error reply."""
    return json.loads(body)["error"]["code"]


def test_what_is_executed_is_on_the_bill() -> None:
    """Two pictures of low quality are 392 tokens of $30 a million, and the prompt's own at $5 a million."""
    with other_server("key-1") as witness:
        status, _, body = post(witness, "a red kettle", n=2)
    assert 200 == status
    assert [picture("png", "1024x1024", "a red kettle", k) for k in (0, 1)] == [
        b64decode(datum["b64_json"]) for datum in json.loads(body)["data"]
    ]
    assert {"a red kettle": 2} == witness.executed
    assert 392 * 30_000_000 + 4 * 5_000_000 == witness.bill


def test_a_key_is_refused_from_the_moment_it_is_revoked() -> None:
    """A key passes, is revoked after one execution and refused then; an unknown one is refused at once."""
    with other_server("key-1") as witness:
        witness.after(1, lambda: witness.revoke("key-1"))
        replies = [post(witness, "a", "key-2"), post(witness, "a"), post(witness, "a")]
    assert [401, 200, 401] == [status for status, _, _ in replies]
    assert "invalid_api_key" == code(replies[0][2])
    assert b"key-2" not in replies[0][2]


@pytest.mark.parametrize(
    ("fault", "status", "executed"),
    [
        ("500", 500, 0),
        ("503", 503, 0),
        ("503 html", 503, 0),
        ("error in 200", 200, 0),
        ("no model", 404, 0),
        ("no credit", 429, 0),
        ("truncated", 200, 1),
        ("cut before", None, 0),
        ("cut after", None, 1),
    ],
)
def test_a_fault_strikes_once_and_is_billed_as_it_was_executed(fault: str, status: int | None, executed: int) -> None:
    """The first request for a prompt with the word has the fault, the second one does not."""
    with other_server("key-1", faults={"wolf": Fault(fault)}) as witness:
        if status is None:
            with pytest.raises((OSError, HTTPException)):
                post(witness, "a wolf")
        else:
            got, _, body = post(witness, "a wolf")
            assert status == got
            assert b"b64_json" not in body or fault == "truncated"
        assert executed == len(witness.items)
        assert 200 == post(witness, "a wolf")[0]
        assert executed + 1 == len(witness.items)


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        ({"seed": 4}, 400, "unknown_parameter"),
        ({"model": "dall-e-3"}, 404, "model_not_found"),
        ({"prompt": ""}, 400, None),
        ({"prompt": "a crate of contraband"}, 400, "moderation_blocked"),
    ],
)
def test_what_nobody_should_ask_is_refused(body: dict[str, object], status: int, expected: str | None) -> None:
    """A field that does not exist, a model that does not, no prompt, and a prompt that is moderated."""
    with other_server("key-1") as witness:
        prompt = str(body.pop("prompt", "a kettle"))
        got, _, reply = post(witness, prompt, **body)
    assert (status, expected) == (got, code(reply))
    assert [] == witness.items


def test_credit_runs_out() -> None:
    """A key with the credit of one picture gets one."""
    with other_server("key-1") as witness:
        witness.credit["key-1"] = 196 * 30_000_000 + 3 * 5_000_000
        replies = [post(witness, "a kettle") for _ in range(2)]
    assert [200, 429] == [status for status, _, _ in replies]
    assert "insufficient_quota" == code(replies[1][2])


@pytest.mark.parametrize(
    ("told", "header"),
    [
        ("headers", "x-ratelimit-remaining-requests"),
        ("retry-after", "retry-after"),
        ("ms", "retry-after-ms"),
        ("message", None),
        ("bare", None),
    ],
)
def test_beyond_the_limit_is_refused_as_the_habit_says(told: str, header: str | None) -> None:
    """The third request of a burst of two is a 429, with the wait where it is told; another key has its own limit."""
    habits = Habits(requests=Rate(0.1, 2), told=told)
    with other_server("key-1", "key-2", habits=habits) as witness:
        replies = [post(witness, "a kettle") for _ in range(3)]
        assert 200 == post(witness, "a kettle", "key-2")[0]
    assert [200, 200, 429] == [status for status, _, _ in replies]
    assert header is None or header in replies[2][1]
    assert (told == "message") == (b"Please try again in" in replies[2][2])


def test_a_window_slides() -> None:
    """Three within two seconds pass, the fourth waits until the first is two seconds ago, a larger one for two."""
    turnstile = Turnstile(Window(3, 2.0))
    for moment in (10.0, 10.5, 11.0):
        assert 0 == turnstile.wait(moment, 1)
        turnstile.take(moment, 1)
    assert (0.75, 1.25) == (turnstile.wait(11.25, 1), turnstile.wait(11.25, 2))
    assert 0 == turnstile.wait(12.0, 1)


def test_habits_change_the_form_and_not_the_picture() -> None:
    """Chunks, gzip, loud headers and lines in the base64 carry the same picture."""
    habits = Habits(chunked=True, shouting=True, lines=True, form="jpeg", usage=False, revises=True)
    with other_server("key-1", habits=habits) as witness:
        _, headers, body = post(witness, "a kettle")
    reply = json.loads(body)
    assert "chunked" == headers["transfer-encoding"]
    assert b"\\n" in body
    assert picture("jpeg", "", "a kettle", 0) == b64decode(reply["data"][0]["b64_json"])
    assert ("a kettle, in oil", None) == (reply["data"][0]["revised_prompt"], reply.get("usage"))


def test_a_picture_by_url_is_served_and_a_key_sent_there_is_noticed() -> None:
    """The URL leads to the picture; a request for it that carries a key is written down."""
    with other_server("key-1", habits=Habits(linked=True)) as witness:
        url = urlsplit(json.loads(post(witness, "a kettle")[2])["data"][0]["url"])
        connection = HTTPConnection(url.hostname or "", url.port, timeout=120)
        for headers in ({}, {"Authorization": "Bearer key-1"}):
            connection.request("GET", f"{url.path}?{url.query}", headers=headers)
            assert picture("png", "1024x1024", "a kettle", 0) == connection.getresponse().read()
        connection.close()
    assert ["0 png"] == witness.leaks


@pytest.mark.parametrize("form", MAGIC)
def test_pictures_begin_as_their_format_does(form: str) -> None:
    """Each format has its own first bytes; formats with room for a word differ by prompt."""
    one, two = picture(form, "64x32", "a", 0), picture(form, "64x32", "b", 0)
    assert one.startswith(MAGIC[form])
    assert (form in {"webp", "gif"}) == (one == two)
