"""What `penstock sim` can be told to keep quiet about, seen by a client over loopback."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from contextlib import closing

import pytest

from penstock_io.cli.main import main

BODY = json.dumps({"model": "gpt-image-1", "prompt": "a kettle", "size": "1024x1024", "quality": "low"})


def refusal(options: str) -> tuple[str, set[str]]:
    """The message of the second picture's refusal, and the names of its headers."""
    command = [sys.executable, "-m", "penstock_io", "sim", "--latency", "0.01", *options.split()]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline().decode().strip().removeprefix("http://127.0.0.1:").removesuffix("/v1"))
            assert 200 == posted(port)[0]
            status, message, headers = posted(port)
        finally:
            process.terminate()
    assert 429 == status
    return message, headers


def posted(port: int) -> tuple[int, str, set[str]]:
    """One picture: the status, the message of an error, the names of the headers."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=120)) as connection:
        connection.request("POST", "/v1/images/generations", BODY, {"authorization": "Bearer key"})
        answer = connection.getresponse()
        body = json.loads(answer.read())
        message = body["error"]["message"] if "error" in body else ""
        return answer.status, message, {name.lower() for name, _ in answer.getheaders()}


@pytest.mark.parametrize(
    ("options", "words", "told", "hinted"),
    [
        ("--ipd 1 --late-refusals 0.01", "on input-images per day: Limit 1, Used 1, Requested 1.", False, True),
        ("--rpm 600 --wall images=1/3600", "Too many requests. Please try again in ", True, True),
        ("--rpm 1 --no-rate-headers --no-hints --no-limit-names", "Too many requests.", False, False),
        ("--ipm 1 --rate-headers requests,tokens", "on input-images per min", False, True),
        ("--ipm 1 --rate-headers images", "on input-images per min", True, True),
        ("--rpd 1 --no-hints", "on requests per day (RPD): Limit 1, Used 1, Requested 1. Visit ", False, False),
    ],
)
def test_what_a_refusal_says(options: str, words: str, *, told: bool, hinted: bool) -> None:
    """Days and walls refuse; names, waits and rate headers are there unless they are switched off."""
    message, headers = refusal(options)
    assert words in message
    assert (told, hinted) == (any(name.startswith("x-ratelimit-") for name in headers), "retry-after" in headers)
    assert hinted == ("Please try again in " in message)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("pictures=1/2", "a wall is on one of requests, tokens, images, not on 'pictures'"),
        ("images=0/2", "the amount of a wall must be a finite number above 0, not 0.0"),
        ("images", "'images' is not QUANTITY=N/SECONDS, as requests=5/1"),
    ],
)
def test_a_wall_that_is_none(value: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It ends with 2 and says what is wrong with it, naming the option."""
    assert 2 == main(["sim", "--wall", value])
    said = capsys.readouterr().err
    assert f"argument --wall: {words}" in said


def test_headers_of_the_day() -> None:
    """With --day-headers they tell of the limit a day, as some providers do, without it of the minute's."""
    told = {}
    for options in ("", " --day-headers"):
        command = [sys.executable, "-m", "penstock_io", "sim", "--latency", "0.01", *"--rpm 60 --rpd 500".split()]
        with subprocess.Popen([*command, *options.split()], stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                port = process.stdout.readline().decode().strip().removeprefix("http://127.0.0.1:").removesuffix("/v1")
                with closing(http.client.HTTPConnection("127.0.0.1", int(port), timeout=120)) as connection:
                    connection.request("POST", "/v1/images/generations", BODY, {"authorization": "Bearer key"})
                    told[options] = connection.getresponse().getheader("x-ratelimit-limit-requests")
            finally:
                process.terminate()
    assert {"": "60", " --day-headers": "500"} == told


def test_headers_of_what_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    """A quantity that nobody limits is a mistake, told with those that there are."""
    assert 2 == main(["sim", "--rate-headers", "requests,pictures"])
    assert "argument --rate-headers: 'pictures' is none of requests, tokens, images" in capsys.readouterr().err
