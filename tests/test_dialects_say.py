"""Nothing that is asked for is left out silently, in no dialect; and what is sent is what was asked for."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from penstock.catalog import model as lookup
from penstock.catalog import objection
from penstock.config import Config
from penstock.ids import Handle
from penstock.prepare import prepare
from penstock.requests import NEUTRAL, PARAMETERS, ImageRequest, Options, Prepared, Refusal, Unsaid
from penstock.wire import DIALECTS, encode, say
from penstock.wire.multipart import read as read_form

UNIX = 1_795_300_000.0
words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=20).filter(
    str.strip
)
requests = st.builds(
    ImageRequest,
    prompt=words,
    model=st.sampled_from(["flux", "sd3.5-large", "core", "gpt-image-2", "gpt-image-2.6-flare", "vendor/model:free"]),
    size=st.sampled_from([None, "auto", "1024x1024", "1536x1024", "2K", "16:9"]),
    quality=st.sampled_from([None, "auto", "low", "high"]),
    n=st.integers(1, 12),
    background=st.sampled_from([None, "auto", "opaque", "transparent"]),
    moderation=st.sampled_from([None, "auto", "low"]),
    output_format=st.sampled_from([None, "png", "webp"]),
    output_compression=st.none() | st.integers(0, 100),
    user=st.none() | st.just("u-1"),
    seed=st.none() | st.integers(-3, 2**40),
    negative_prompt=st.none() | words,
    steps=st.none() | st.integers(1, 60),
    guidance=st.none() | st.floats(0.0, 20.0),
)
spoken = st.sampled_from(sorted(DIALECTS))
choices = st.sampled_from(Unsaid)


@given(requests, spoken, choices)
def test_nothing_is_left_out_silently(request: ImageRequest, name: str, unsaid: Unsaid) -> None:
    """Each field changes what is sent, or is named in a warning, or refused; or a server does it anyway."""
    dialect = DIALECTS[name]
    way, known = dialect.ways[request.operation], lookup(request.model)
    if known is not None and objection(known, request) is not None:
        return
    told = say(request, dialect, known, unsaid)
    if isinstance(told, Refusal):
        assert unsaid is Unsaid.REFUSE
        assert getattr(request, told.field) is not None
        return
    for field in (*PARAMETERS, *NEUTRAL):
        value: object = getattr(request, field)
        if value is None or value == "auto" or value in way.implied.get(field, ()):
            continue
        without = say(evolve(request, **cast("dict[str, Any]", {field: None})), dialect, known, unsaid)
        assert not isinstance(without, Refusal)
        changed = (without.parameters, without.prompt) != (told.parameters, told.prompt)
        warned = field in told.unsaid and any(field in warning or "seed" in warning for warning in told.warnings)
        assert changed or warned
        assert not (unsaid is Unsaid.REFUSE and told.unsaid)


@given(requests, spoken, choices, st.integers(0, 3))
def test_whatever_can_be_prepared_can_be_sent(request: ImageRequest, name: str, unsaid: Unsaid, first: int) -> None:
    """The call is whole: it can be read, the prompt is in it, and the same request makes the same bytes."""
    options = Options(unsaid=unsaid, sample=first)
    made = prepare(request, options, Config(), handle=Handle(1), unix=UNIX, dialect=name)
    if isinstance(made, Refusal):
        return
    assert isinstance(made, Prepared)
    samples = min(request.n, made.said[0].most)
    call = encode(made, 0, samples)
    assert call == encode(made, 0, samples)
    kind = dict(call.headers)["content-type"]
    if kind == "application/json":
        body: dict[str, object] = json.loads(call.body)
    else:
        body = {part.name: part.content.decode() for part in read_form(kind, call.body)}
    assert str(body["prompt"]).startswith(request.prompt)
    assert request.prompt not in repr(made.said) or len(request.prompt) < 12
    again = prepare(request, options, Config(), handle=Handle(2), unix=UNIX, dialect=name)
    assert isinstance(again, Prepared)
    assert call == encode(again, 0, samples)


@given(requests, spoken)
def test_a_secret_is_in_no_repr_and_no_warning(request: ImageRequest, name: str) -> None:
    """Neither a prompt nor a negative one, however it is told."""
    secret = evolve(request, prompt="hunter2 one", negative_prompt="hunter2 two")
    for unsaid in (Unsaid.DROP, Unsaid.EMULATE):
        made = prepare(secret, Options(unsaid=unsaid), Config(), handle=Handle(1), unix=UNIX, dialect=name)
        assert "hunter2" not in repr(made)


@pytest.mark.parametrize("name", DIALECTS)
def test_who_answers_with_addresses_is_asked_for_pictures(name: str) -> None:
    """dall-e does unless it is told; others do not know the word, and what is given goes before it."""
    told: list[object] = []
    for model, extra in (("dall-e-3", ()), ("dall-e-3", (("response_format", "url"),)), ("m", ())):
        request = ImageRequest(prompt="x", model=model, extra=extra)
        made = prepare(request, Options(), Config(), handle=Handle(1), unix=UNIX, dialect=name)
        assert isinstance(made, Prepared)
        told.append(dict(made.said[0].parameters).get("response_format"))
    asked = name in ("openai", "azure", "generic")
    assert ["b64_json" if asked else None, "url", None] == told


@pytest.mark.parametrize("name", DIALECTS)
def test_a_table_names_only_what_a_request_has(name: str) -> None:
    """A slip in a table would be a field that is never said."""
    for way in DIALECTS[name].ways.values():
        assert set(way.says) | set(way.emulated) | set(way.implied) <= {*PARAMETERS, *NEUTRAL}
        assert 1 <= way.most


@pytest.mark.parametrize(
    ("prompt", "avoided", "sent", "warned"),
    [
        ("a fox", "snow", "a fox|snow", []),
        ("a fox|snow", None, "a fox|snow", ["prompt"]),
        ("a fox|snow|rain", None, "a fox|snow|rain", ["prompt"]),
        ("a fox|ice", "snow", "a fox|ice", ["prompt", "negative_prompt"]),
        ("a fox", "snow|rain", "a fox|snow|rain", ["negative_prompt"]),
    ],
)
def test_a_bar_of_the_users_own_is_told(prompt: str, avoided: str | None, sent: str, warned: list[str]) -> None:
    """LocalAI takes what follows for a negative prompt: who asks for it hears so, and may have it refused."""
    request = ImageRequest(prompt=prompt, model="m", negative_prompt=avoided)
    for unsaid in (Unsaid.DROP, Unsaid.EMULATE):
        told = say(request, DIALECTS["localai"], None, unsaid)
        assert not isinstance(told, Refusal)
        assert sent == (told.prompt or prompt)
        assert warned == [one.partition(":")[0] for one in told.warnings]
        assert all("localai" in one and '"|"' in one and "fox" not in one for one in told.warnings)
        assert (("negative_prompt",) if warned[1:] else ()) == told.unsaid
        assert told.keyed == evolve(request, prompt=sent, negative_prompt=None)
    strict = say(request, DIALECTS["localai"], None, Unsaid.REFUSE)
    assert warned[:1] == ([strict.field] if isinstance(strict, Refusal) else [])
    elsewhere = say(request, DIALECTS["local"], None, Unsaid.REFUSE)
    assert not isinstance(elsewhere, Refusal)
    assert () == elsewhere.warnings
