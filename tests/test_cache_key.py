"""One key a picture: what matters changes it, what does not leaves it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Never, cast

import pytest
from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from penstock.cache import keys
from penstock.ids import Key
from penstock.requests import ImageRequest, Scalar

PLAIN = ImageRequest(prompt="a cat", model="gpt-image-2")
STRANGE = ImageRequest(
    prompt='Ein "K\u00e4tzchen"\n\U0001f408',
    model="flux",
    size="2K",
    seed=-7,
    user="u1",
    extra=(("steps", 20), ("cfg", 3.5), ("safe", True), ("negative", None)),
)


def changed(request: ImageRequest, fields: dict[str, object]) -> ImageRequest:
    """The request with other fields, whatever their types: that they may be wrong is the point."""
    return evolve(request, **cast("dict[str, Never]", fields))


def one(
    request: ImageRequest,
    *,
    provider: str = "default",
    dialect: str = "openai",
    model: str | None = None,
    tenant: str = "",
    sample: int = 0,
) -> Key:
    """The key of one sample."""
    (key,) = keys(
        request,
        provider=provider,
        dialect=dialect,
        model=model or request.model,
        tenant=tenant,
        first=sample,
        samples=1,
    )
    return key


@pytest.mark.parametrize(
    ("request_", "sample", "golden"),
    [
        (PLAIN, 0, "4f003de19de571c33b44a56a6cca52751b0d0ab310f151518a662fbe3ff48d4a"),
        (PLAIN, 1, "f37c0d1dc1a493c59ad871386b7480f6bbb9ef84064ee27afbe97e442c8eac64"),
        (STRANGE, 0, "5ddca1e0a38f2665990a95121b1b7e30f9b42c3408310098c69c919914435dd7"),
    ],
)
def test_golden_keys_stand(request_: ImageRequest, sample: int, golden: str) -> None:
    """A key that changes makes every stored picture unknown: that takes a new schema version, on purpose."""
    assert golden == one(request_, sample=sample)


@pytest.mark.parametrize("seed", ["0", "1", "4711"])
def test_keys_do_not_depend_on_the_hash_seed(seed: str) -> None:
    """Another process gives the same key."""
    code = (
        "from penstock.cache import keys; from penstock.requests import ImageRequest as R;"
        "r = R(prompt='a', model='flux', extra=(('x', 1), ('a', 2), ('m', None)));"
        "print(*keys(r, provider='p', dialect='openai', model='flux', tenant='t', first=3, samples=1))"
    )
    env = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True, timeout=240
    )
    request = ImageRequest(prompt="a", model="flux", extra=(("m", None), ("a", 2), ("x", 1)))
    assert done.stdout.strip() == one(request, provider="p", tenant="t", sample=3)


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt": "a cat "},
        {"prompt": "a c\u0061\u0301t"},
        {"size": "1024x1024"},
        {"quality": "low"},
        {"background": "opaque"},
        {"moderation": "low"},
        {"output_format": "webp"},
        {"output_compression": 90},
        {"complexity": "low"},
        {"seed": 0},
        {"extra": (("steps", 1),)},
        {"extra": (("steps", "1"),)},
        {"extra": (("steps", True),)},
        {"extra": (("steps", None),)},
    ],
)
def test_what_changes_the_picture_changes_the_key(fields: dict[str, object]) -> None:
    """Every field that a server could see in the picture is in the key."""
    assert one(PLAIN) != one(changed(PLAIN, fields))


def test_every_change_gives_a_key_of_its_own() -> None:
    """Where it is bought, for whom, and which sample: all different."""
    found = {
        one(PLAIN),
        one(PLAIN, provider="other"),
        one(PLAIN, dialect="other"),
        one(PLAIN, model="gpt-image-2-2026-04-21"),
        one(PLAIN, tenant="acme"),
        one(PLAIN, sample=1),
        one(evolve(PLAIN, extra=(("steps", 1),))),
        one(evolve(PLAIN, extra=(("steps", True),))),
        one(evolve(PLAIN, extra=(("steps", "1"),))),
        one(evolve(PLAIN, extra=(("steps", None),))),
    }
    assert len(found) == 10


@pytest.mark.parametrize(
    "fields",
    [
        {"n": 5},
        {"user": "somebody"},
        {"size": "auto"},
        {"quality": "auto"},
        {"background": "auto"},
        {"moderation": "auto"},
        {"output_format": "png"},
        {"output_compression": 100},
        {"model": "gpt-image-1.5"},
    ],
)
def test_what_cannot_change_the_picture_leaves_the_key(fields: dict[str, object]) -> None:
    """The number, the user and defaults said aloud are no part of it (the target's model stands for the request's)."""
    assert one(PLAIN) == one(changed(PLAIN, fields), model="gpt-image-2")


def test_defaults_of_a_stranger_are_unknown() -> None:
    """Nobody knows what a model outside the catalog takes "auto" for: it stays apart from silence."""
    stranger = evolve(PLAIN, model="flux")
    assert one(stranger) != one(evolve(stranger, size="auto"))


def test_extra_is_free_of_order_and_spelling_of_numbers() -> None:
    """1.0 is 1 in JSON, and names have no order."""
    first = evolve(PLAIN, extra=(("b", 1), ("a", 2.0)))
    second = evolve(PLAIN, extra=(("a", 2), ("b", 1.0)))
    assert one(first) == one(second)


def test_keys_are_counted_from_the_first_sample() -> None:
    """Samples 2 to 4 have the keys that they have alone."""
    found = keys(PLAIN, provider="p", dialect="openai", model="m", tenant="", first=2, samples=3)
    alone = tuple(one(PLAIN, provider="p", model="m", sample=number) for number in (2, 3, 4))
    assert alone == found


scalars: st.SearchStrategy[Scalar] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8)
)
words = st.text('ab"\\,:{}\n\u00e4', min_size=1, max_size=6).filter(lambda word: bool(word.strip()))
requests = st.builds(
    ImageRequest,
    prompt=words,
    model=st.sampled_from(["flux", "gpt-image-2"]),
    size=st.none() | words,
    quality=st.none() | words,
    extra=st.dictionaries(words, scalars, max_size=3).map(lambda pairs: tuple(pairs.items())),
)


def facts(request: ImageRequest) -> object:
    """What a request means, for comparing (true is not 1, 1.0 is)."""
    plain = {name: (type(value) is bool, value) for name, value in request.extra}
    return (request.prompt, request.model, request.size, request.quality, plain)


@given(requests, requests, words, words, st.integers(0, 3), st.integers(0, 3))
def test_keys_are_injective(
    first: ImageRequest, second: ImageRequest, mine: str, yours: str, sample: int, other: int
) -> None:
    """Two keys are the same only where everything is: no field can run into the next."""
    assume("auto" not in (first.size, second.size, first.quality, second.quality))
    same = (facts(first), mine, sample) == (facts(second), yours, other)
    assert same == (one(first, tenant=mine, sample=sample) == one(second, tenant=yours, sample=other))
