"""Every dialect over a socket: what leaves the client is what its provider expects, and the answer is understood."""

from __future__ import annotations

import json
from base64 import b64encode
from decimal import Decimal
from typing import Any

import pytest
from attrs import frozen

import penstock_io.sync
from penstock.config import Config, Retry
from penstock.errors import ContentRefused, InvalidRequest, ProviderError, UsageError
from penstock.requests import Options, Unsaid
from penstock.simulation.server import Latency, ServerSettings
from penstock.wire import DIALECTS
from penstock_io.resources import Result
from penstock_io.simserver import serving
from tests.drivers.harness import running
from tests.scripted import Scripted, scripted

PICTURE = b"\x89PNG\r\n\x1a\n and what comes after it"
TEXT = b64encode(PICTURE).decode()
KEY = "key-123456789"
BEARER = ("authorization", f"Bearer {KEY}")


@frozen
class Case:
    """A dialect: behind which path its base URL ends, what it hears where, and what it answers."""

    dialect: str
    base: str
    path: str
    auth: tuple[str, str] = BEARER
    answer: object = {"created": 1, "data": [{"b64_json": TEXT}]}
    cost: Decimal | None = None


CASES = (
    Case("openai", "/v1", "/v1/images/generations"),
    Case("azure", "/openai/v1", "/openai/v1/images/generations?api-version=preview", ("api-key", KEY)),
    Case("azure", "", "/openai/deployments/m/images/generations?api-version=2025-04-01-preview", ("api-key", KEY)),
    Case(
        "openrouter",
        "/api/v1",
        "/api/v1/images",
        answer={"data": [{"b64_json": TEXT, "media_type": "image/png"}], "usage": {"cost": 0.04}},
        cost=Decimal("0.04"),
    ),
    Case("generic", "/v1", "/v1/images/generations"),
    Case("local", "/v1", "/v1/images/generations", cost=Decimal(0)),
    Case("localai", "/v1", "/v1/images/generations", cost=Decimal(0)),
    Case(
        "sdwebui",
        "",
        "/sdapi/v1/txt2img",
        ("authorization", f"Basic {KEY}"),
        {"images": [TEXT], "parameters": {}, "info": '{"width": 64, "height": 64, "index_of_first_image": 0}'},
        Decimal(0),
    ),
    Case(
        "stability",
        "",
        "/v2beta/stable-image/generate/sd3",
        answer={"image": TEXT, "finish_reason": "SUCCESS", "seed": 5},
    ),
    Case("together", "/v1", "/v1/images/generations"),
    Case(
        "xai",
        "/v1",
        "/v1/images/generations",
        answer={"data": [{"b64_json": f"data:image/png;base64,{TEXT}"}], "usage": {"cost_in_usd_ticks": 700_000_000}},
        cost=Decimal("0.07"),
    ),
)


def one(script: Scripted, driver: str, base: str, arguments: dict[str, Any], **asked: Any) -> Result:
    """The result of one request to a scripted server."""
    told = {"base_url": script.origin + base, "api_keys": [KEY], **arguments}
    with running(driver, "httpx2", **told) as here:
        return here.generate(**{"prompt": "a lynx", "model": "m", **asked})


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.dialect}{case.base}")
def test_each_dialect_end_to_end(driver: str, case: Case) -> None:
    """The URL, the credential in its header and nowhere else, the prompt; then the picture, and what it cost."""
    with scripted(case.answer) as script:
        result = one(script, driver, case.base, {"dialect": case.dialect})
    (heard,) = script.heard
    name, value = case.auth
    assert (case.path, value) == (heard.path, heard.headers[name])
    assert 1 == sum(KEY in text for text in heard.headers.values())
    assert b"a lynx" in heard.body
    assert [PICTURE] == [image.data for image in result.images]
    assert (case.cost, "png") == (result.cost, result.images[0].format)


def test_every_dialect_is_spoken_over_a_socket() -> None:
    """A new one brings its own."""
    assert set(DIALECTS) == {case.dialect for case in CASES}


def test_pins_go_with_every_request(driver: str) -> None:
    """Query, organization, project and headers of the user's own."""
    pins = {
        "query": {"api-version": "2026-01-01"},
        "organization": "org-1",
        "project": "proj-1",
        "headers": {"x-a": "b"},
    }
    with scripted({"data": [{"b64_json": TEXT}]}) as script:
        one(script, driver, "/openai/v1", {"dialect": "azure", **pins})
    (heard,) = script.heard
    assert "/openai/v1/images/generations?api-version=2026-01-01" == heard.path
    assert ("org-1", "proj-1", "b") == tuple(
        heard.headers[name] for name in ("openai-organization", "openai-project", "x-a")
    )


def test_the_simulated_provider_takes_a_query(driver: str) -> None:
    """As the API does, which knows no parameter there."""
    with (
        serving(ServerSettings(latency=Latency(0.01, 0.0))) as sim,
        running(driver, "httpx2", base_url=sim.base_url, api_keys=[KEY], query={"tenant": "a b"}) as here,
    ):
        assert 1 == len(here.generate(prompt="a lynx", model="gpt-image-2", quality="low").images)


def test_what_is_not_said_is_told_with_the_result(driver: str) -> None:
    """Dropped with a warning; refused, it is never sent."""
    answer = {"data": [{"b64_json": TEXT}]}
    with scripted(answer) as script:
        result = one(script, driver, "/v1", {"dialect": "xai"}, size="1024x1024", negative_prompt="a dog")
        with pytest.raises(InvalidRequest, match="size: xai"):
            one(script, driver, "/v1", {"dialect": "xai"}, size="1024x1024", options=Options(unsaid=Unsaid.REFUSE))
    assert 1 == len(script.heard)
    assert (
        "size 1024x1024 is said as aspect_ratio 1:1, the nearest there is: no pixels",
        "xai has no words for negative_prompt: it is not sent",
    ) == result.warnings
    assert b"dog" not in script.heard[0].body


@pytest.mark.parametrize(
    ("dialect", "answer"),
    [
        ("stability", {"image": TEXT, "finish_reason": "CONTENT_FILTERED", "seed": 1}),
        ("xai", {"data": [{"url": None, "respect_moderation": False}]}),
    ],
)
def test_a_refusal_inside_a_200_is_one(driver: str, dialect: str, answer: object) -> None:
    """It is told as a refusal, once, and no picture is delivered."""
    with scripted(answer) as script, pytest.raises(ContentRefused):
        one(script, driver, "", {"dialect": dialect})
    assert 1 == len(script.heard)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://10.255.0.1/a.png", "leads to 10.255.0.1, which is neither the provider nor public"),
        ("http://me:mine@x.example/a.png", "has a user in it"),
    ],
)
def test_a_url_that_nobody_may_ask_for_is_lost_at_once(driver: str, url: str, why: str) -> None:
    """It is paid, and it is said why it is gone; no other try is made, since each would be refused like the first."""
    config = Config(retry=Retry(base=1e6, cap=1e6))  # another try would come after days
    with (
        scripted({"data": [{"url": url}]}) as script,
        running(driver, "httpx2", base_url=f"{script.origin}/v1", api_keys=[KEY], config=config) as here,
    ):
        with pytest.raises(ProviderError, match=f"the picture is paid but could not be downloaded: .*{why}") as caught:
            here.generate(prompt="a lynx", model="gpt-image-2", size="1024x1024", quality="low")
        assert "download_retries" not in here.snapshot().counters
    assert (1, 1) == (len(script.heard), caught.value.outcome.lost)


def test_fewer_pictures_than_asked_are_asked_for_again(driver: str) -> None:
    """OpenRouter may return fewer: what is missing is bought by a further call."""
    with scripted({"data": [{"b64_json": TEXT}], "usage": {"cost": 0.01}}) as script:
        result = one(script, driver, "/api/v1", {"dialect": "openrouter"}, n=2)
    assert [2, 1] == [json.loads(heard.body)["n"] for heard in script.heard]
    assert (2, Decimal("0.02")) == (len(result.images), result.cost)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"dialect": "klingon"}, "no dialect 'klingon'; there are openai, azure"),
        ({"query": {"a b": "c"}}, "query: 'a b' is no name of a parameter"),
        ({"query": {"a": 5}}, "query: the value of a is no text that a URL can carry"),
        ({"query": "a=b"}, "query is texts by name"),
        ({"organization": "org\n"}, "headers: the value of OpenAI-Organization holds what no header can carry"),
        ({"project": "p", "headers": {"openai-project": "q"}}, "openai-project is given twice"),
        ({"headers": {"api-key": "k"}}, "headers: api-key cannot be given: give keys as api_keys"),
    ],
)
def test_what_cannot_be_pinned(arguments: dict[str, Any], said: str) -> None:
    """The client is not made, and it is said which value it is."""
    with pytest.raises(UsageError, match=said):
        penstock_io.sync.Client("http://127.0.0.1:1/v1", [KEY], **arguments)
