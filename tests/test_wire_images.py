"""Requests on the wire, and back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.catalog import GRID
from penstock.config import Config
from penstock.errors import UsageError
from penstock.http import REQUEST_ID_HEADERS, HttpCall
from penstock.ids import Handle
from penstock.prepare import Prepared, prepare
from penstock.requests import ImageRequest, Options, Said
from penstock.wire import Undecodable, allowed, decode, encode
from penstock.work import Target, Work

UNIX = 1_795_300_000.0


def ready(request: ImageRequest, options: Options | None = None) -> Prepared:
    """The request, prepared."""
    made = prepare(request, options or Options(), Config(), handle=Handle(1), unix=UNIX)
    assert isinstance(made, Prepared)
    return made


def body(**fields: object) -> HttpCall:
    """A call with this JSON body (a field of ... is left out)."""
    told = {"model": "gpt-image-2", "prompt": "a cat", **fields}
    plain = {name: value for name, value in told.items() if value is not ...}
    return HttpCall("POST", "/images/generations", (), json.dumps(plain).encode())


sizes = st.one_of(
    st.sampled_from([None, "auto"]),
    st.tuples(st.integers(1, 240), st.integers(1, 240))
    .map(lambda sides: (sides[0] * 16, sides[1] * 16))
    .filter(lambda pixels: GRID.fits(*pixels))
    .map(lambda pixels: f"{pixels[0]}x{pixels[1]}"),
)
prompts = st.text(min_size=1, max_size=60).filter(
    lambda text: bool(text.strip()) and not any(0xD800 <= ord(char) < 0xE000 for char in text)
)
known = st.builds(
    ImageRequest,
    prompt=prompts,
    model=st.sampled_from(["gpt-image-2.5-flare", "gpt-image-2.5-sunburst-2026-09-08"]),
    size=sizes,
    quality=st.sampled_from([None, "auto", "low", "max"]),
    n=st.integers(1, 10),
    background=st.sampled_from([None, "opaque", "auto"]),
    moderation=st.sampled_from([None, "low"]),
    output_format=st.sampled_from(["webp", "jpeg"]),
    output_compression=st.none() | st.integers(0, 100),
    user=st.sampled_from([None, "u-1"]),
)
unknown = st.builds(
    ImageRequest,
    prompt=prompts,
    model=st.sampled_from(["flux", "vendor/model:free"]),
    size=st.sampled_from([None, "2K"]),
    n=st.integers(1, 10),
    seed=st.none() | st.integers(-5, 5),
    extra=st.dictionaries(
        st.sampled_from(["steps", "cfg", "response_format", "style"]),
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | prompts,
    ).map(lambda pairs: tuple(pairs.items())),
)


@given(known | unknown)
def test_a_request_comes_back(request: ImageRequest) -> None:
    """What is encoded is decoded to the same request."""
    call = encode(ready(request), 0, request.n)
    assert ("POST", "/images/generations") == (call.method, call.path)
    assert (("content-type", "application/json"),) == call.headers
    assert request == decode(call)


def test_the_body_says_no_more_than_it_must() -> None:
    """Model, prompt and number always; what was not asked for is not sent, nor `response_format`, nor a seed."""
    made = ready(ImageRequest(prompt='a "lynx" \u00e4', model="gpt-image-2", seed=3, quality="low", n=4))
    call = encode(made, 0, 3)
    assert '{"model":"gpt-image-2","prompt":"a \\"lynx\\" \u00e4","n":3,"quality":"low"}' == call.body.decode()
    assert call.body == encode(made, 0, 3).body
    assert "lynx" not in repr(call)


def test_a_fallback_is_said_as_its_model_takes_it() -> None:
    """2.6 is always told a quality, 2 only where one was asked for."""
    made = ready(
        ImageRequest(prompt="x", model="gpt-image-2"), Options(fallbacks=(("default", "gpt-image-2.6-flare"),))
    )
    assert {"model": "gpt-image-2", "prompt": "x", "n": 1} == json.loads(encode(made, 0, 1).body)
    assert {"model": "gpt-image-2.6-flare", "prompt": "x", "n": 1, "quality": "auto"} == json.loads(
        encode(made, 1, 1).body
    )


@pytest.mark.parametrize(("target", "samples"), [(1, 1), (-1, 1), (0, 0), (0, 11)])
def test_encode_refuses_misuse(target: int, samples: int) -> None:
    """A driver that asks for what was not prepared breaks the contract."""
    with pytest.raises(UsageError):
        encode(ready(ImageRequest(prompt="x", model="gpt-image-2")), target, samples)


def test_only_dialects_that_are_spoken_are_encoded() -> None:
    """A target of another dialect is misuse."""
    strange = Prepared(
        Handle(1),
        ImageRequest(prompt="x", model="m"),
        Work((Target("p", "m"),)),
        (Said("m", "klingon", ()),),
    )
    with pytest.raises(UsageError):
        encode(strange, 0, 1)


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"model": ...}, "missing_required_parameter", "model"),
        ({"prompt": ...}, "missing_required_parameter", "prompt"),
        ({"prompt": ""}, "missing_required_parameter", "prompt"),
        ({"prompt": 5}, "invalid_type", "prompt"),
        ({"prompt": "  "}, "invalid_value", "prompt"),
        ({"response_format": "b64_json"}, "unknown_parameter", "response_format"),
        ({"seed": 4}, "unknown_parameter", "seed"),
        ({"steps": 4}, "unknown_parameter", "steps"),
        ({"complexity": "low"}, "unknown_parameter", "complexity"),
        ({"n": 11}, "invalid_value", "n"),
        ({"n": 0}, "invalid_value", "n"),
        ({"n": True}, "invalid_value", "n"),
        ({"n": "1"}, "invalid_value", "n"),
        ({"size": "1x1"}, "invalid_value", "size"),
        ({"size": 1024}, "invalid_type", "size"),
        ({"quality": "hd"}, "invalid_value", "quality"),
        ({"output_compression": "9"}, "invalid_type", "output_compression"),
        ({"output_compression": 101}, "invalid_value", "output_compression"),
        ({"model": "flux", "steps": [1]}, "invalid_type", "steps"),
    ],
)
def test_a_bad_call_is_refused_as_the_api_does(fields: dict[str, object], code: str, param: str) -> None:
    """Status 400, the code and the parameter."""
    with pytest.raises(Undecodable) as caught:
        decode(body(**fields))
    assert (400, code, param) == (caught.value.status, caught.value.problem.code, caught.value.param)
    assert caught.value.problem.type == "invalid_request_error"


def test_an_unknown_parameter_is_refused_in_the_apis_words() -> None:
    """As captured from the API."""
    with pytest.raises(Undecodable) as caught:
        decode(body(response_format="url"))
    assert caught.value.problem.message == "Unknown parameter: 'response_format'."


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"\xff", b"[" * 5000, b'{"prompt": NaN}'])
def test_a_body_that_is_no_object_is_refused(raw: bytes) -> None:
    """Status 400, whatever it is."""
    with pytest.raises(Undecodable) as caught:
        decode(HttpCall("POST", "/images/generations", (), raw))
    assert caught.value.status == 400


@pytest.mark.parametrize(("method", "path"), [("GET", "/images/generations"), ("POST", "/images/variations")])
def test_another_address_is_not_found(method: str, path: str) -> None:
    """Status 404."""
    with pytest.raises(Undecodable) as caught:
        decode(HttpCall(method, path))
    assert caught.value.status == 404


def test_null_is_as_good_as_nothing() -> None:
    """SDKs may send null for what is not set."""
    assert ImageRequest(prompt="a cat", model="gpt-image-2") == decode(body(size=None, n=None, user=None, stream=False))


@given(st.binary(max_size=200))
def test_any_body_is_a_request_or_refused(raw: bytes) -> None:
    """Nothing else is raised."""
    try:
        told = bool(decode(HttpCall("POST", "/images/generations", (), raw)).private)
    except Undecodable as error:
        told = error.status == 400
    assert told


def test_only_harmless_headers_pass() -> None:
    """Limits, waits and names of exchanges, in lower case and order; no cookies, no keys, nothing long or strange."""
    given_ = [
        ("X-RateLimit-Remaining-Requests", " 4 "),
        ("Set-Cookie", "session=secret"),
        ("Retry-After", "1"),
        ("retry-after-ms", "534"),
        ("openai-organization", "org-secret"),
        ("x-request-id", "req_1"),
        ("x-request-id", "x" * 129),
        ("x-ratelimit-" + "y" * 60, "1"),
        ("x-ratelimit-reset-tokens", "6m0s\x00"),
        ("x-ratelimit-reset-tokens", "\u00b5s"),
        ("Anthropic-RateLimit-Requests-Reset", "2025-08-21T12:40:59Z"),
        ("Authorization", "Bearer k"),
    ]
    assert (
        ("x-ratelimit-remaining-requests", "4"),
        ("retry-after", "1"),
        ("retry-after-ms", "534"),
        ("x-request-id", "req_1"),
        ("anthropic-ratelimit-requests-reset", "2025-08-21T12:40:59Z"),
    ) == allowed(given_)


def test_the_name_of_an_exchange_is_told_without_secrets() -> None:
    """What a provider calls an exchange passes, cleaned; any other header that repeats a secret is left out whole."""
    pairs = [(name, "r-1 for hunter2 with sk-0123456789") for name in REQUEST_ID_HEADERS]
    assert [(name, "r-1 for *** with ***") for name in REQUEST_ID_HEADERS] == list(allowed(pairs, ("hunter2",)))
    assert () == allowed([("x-ratelimit-limit-requests", "hunter2"), ("date", "Bearer abc")], ("hunter2",))
    assert (("retry-after", "12"),) == allowed([("retry-after", "12")], ("hunter2",))


def test_headers_are_bounded_in_number() -> None:
    """A server cannot fill a trace."""
    assert len(allowed([("x-ratelimit-a", "1")] * 1000)) == 48
