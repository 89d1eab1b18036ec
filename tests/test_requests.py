"""What a request may say before anybody knows its model."""

from __future__ import annotations

from typing import Never, cast

import pytest
from attrs import evolve
from attrs.exceptions import FrozenInstanceError
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import InvalidRequest
from penstock.requests import MOST, ImageRequest, Options, Scalar
from penstock.work import Timeouts

PLAIN = ImageRequest(prompt="a cat", model="gpt-image-2")


def test_a_request_is_frozen() -> None:
    """Nobody changes a request that somebody else holds."""
    with pytest.raises(FrozenInstanceError):
        PLAIN.n = 2  # type: ignore[misc]


def test_a_request_does_not_show_its_prompt() -> None:
    """A request that ends in a log says what was asked for, but not in whose words."""
    assert "a cat" not in repr(PLAIN)
    assert "gpt-image-2" in repr(PLAIN)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", ""),
        ("prompt", " \n"),
        ("prompt", "\ud800"),
        ("prompt", "x" * 1_000_001),
        ("model", ""),
        ("model", "gpt image"),
        ("model", "gpt-image-2\n"),
        ("n", 0),
        ("n", MOST + 1),
        ("n", True),
        ("n", 1.0),
        ("size", ""),
        ("quality", "x" * 201),
        ("output_compression", 101),
        ("output_compression", -1),
        ("seed", 2**63),
        ("user", "\udfff"),
    ],
)
def test_what_no_model_takes_is_refused_by_field(field: str, value: object) -> None:
    """A value that no server could read raises InvalidRequest, which names the field."""
    with pytest.raises(InvalidRequest) as caught:
        evolve(PLAIN, **cast("dict[str, Never]", {field: value}))
    assert field == caught.value.field


@pytest.mark.parametrize(
    "extra",
    [
        (("n", 3),),
        (("stream", True),),
        (("size", "1x1"),),
        (("prompt", "x"),),
        (("steps", 1), ("steps", 2)),
        (("", 1),),
        (("steps", float("nan")),),
        (("steps", float("inf")),),
        (("steps", "\ud800"),),
        (("steps", [1]),),
    ],
)
def test_extra_is_flat_and_hides_nothing(extra: tuple[tuple[str, Scalar], ...]) -> None:
    """Extra parameters have plain finite values, come once, and cannot smuggle in what a field says."""
    with pytest.raises(InvalidRequest):
        evolve(PLAIN, extra=extra)


def test_extra_takes_every_plain_value() -> None:
    """Text, numbers, truth values and null pass."""
    extra: tuple[tuple[str, Scalar], ...] = (("a", "x"), ("b", 1), ("c", 0.5), ("d", False), ("e", None))
    assert extra == evolve(PLAIN, extra=extra).extra


@given(st.text(min_size=1, max_size=200))
def test_any_prompt_that_utf8_can_say_passes_unchanged(prompt: str) -> None:
    """A prompt is taken as it is, or refused: it is never changed."""
    try:
        made = ImageRequest(prompt=prompt, model="m")
    except InvalidRequest:
        assert not prompt.strip() or any(0xD800 <= ord(char) < 0xE000 for char in prompt)
    else:
        assert prompt == made.prompt


@pytest.mark.parametrize(
    "made",
    [
        lambda: Options(tenant=" "),
        lambda: Options(tags=("",)),
        lambda: Options(sample=-1),
        lambda: Options(deadline=float("nan")),
        lambda: Options(ttl=0.0),
        lambda: Options(timeouts=Timeouts(total=0.0)),
        lambda: Options(timeouts=Timeouts(connect=float("inf"))),
        lambda: Options(fallbacks=(("", "m"),)),
        lambda: Options(fallbacks=(("p", "no model"),)),
    ],
)
def test_options_that_mean_nothing_are_refused(made: object) -> None:
    """Options without a meaning raise InvalidRequest."""
    assert callable(made)
    with pytest.raises(InvalidRequest):
        made()


def test_a_deadline_may_be_negative() -> None:
    """Monotonic time may begin anywhere."""
    assert Options(deadline=-5.0).deadline == -5.0
