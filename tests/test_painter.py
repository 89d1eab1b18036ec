"""The painter of the simulated provider: real PNGs, exactly as asked, the same for the same asking."""

from __future__ import annotations

import io
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from penstock.simulation.painter import paint

SIDES = st.integers(min_value=1, max_value=300)


@settings(max_examples=60)
@given(prompt=st.text(max_size=40), width=SIDES, height=SIDES, seed=st.integers())
def test_any_size_is_painted_exactly(prompt: str, width: int, height: int, seed: int) -> None:
    """Whatever is asked, a decoder finds a whole PNG of exactly that size."""
    picture = Image.open(io.BytesIO(paint(prompt, f"{width}x{height}", "high", seed)))
    picture.load()
    assert ("PNG", (width, height)) == (picture.format, picture.size)


@pytest.mark.parametrize("size", [None, "auto"])
def test_auto_is_a_size(size: str | None) -> None:
    """A request that leaves the size open gets 1024x1024."""
    assert (1024, 1024) == Image.open(io.BytesIO(paint("a lake", size, None, 0))).size


def test_same_asking_same_bytes() -> None:
    """Prompt, size, quality and seed decide the bytes, each of them, and nothing else does."""
    asking: list[tuple[str, str, str, int]] = [
        ("a lake", "256x256", "low", 1),
        ("a sea", "256x256", "low", 1),
        ("a lake", "256x272", "low", 1),
        ("a lake", "256x256", "high", 1),
        ("a lake", "256x256", "low", 2),
    ]
    first = [paint(*each) for each in asking]
    assert first == [paint(*each) for each in asking]
    assert len(asking) == len(set(first))


def test_pictures_have_something_to_see() -> None:
    """A picture holds many colours, and no two prompts the same ones."""
    lake, sea = (
        Image.open(io.BytesIO(paint(prompt, "512x512", "high", 0))).convert("RGB") for prompt in ("lake", "sea")
    )
    colours = [picture.getcolors(1 << 20) or [] for picture in (lake, sea)]
    assert all(len(each) > 60 for each in colours)
    assert {colour for _, colour in colours[0]} != {colour for _, colour in colours[1]}


def test_padding_is_skipped_by_decoders() -> None:
    """A padded picture has at least the asked number of bytes and shows the same."""
    bare, padded = (paint("a lake", "64x64", "low", 0, least=least) for least in (0, 100_000))
    assert 100_000 == len(padded)
    first, second = (Image.open(io.BytesIO(data)).convert("RGB").tobytes() for data in (bare, padded))
    assert first == second


@pytest.mark.parametrize("size", ["", "1024", "x", "0x16", "16x-1", "1e3x16", "99999x1", "²x²"])
def test_what_is_no_size_is_refused(size: str) -> None:
    """A size that cannot be painted raises ValueError, except the empty one, which is left open."""
    if not size:
        assert paint("a", size, None, 0).startswith(b"\x89PNG")
        return
    with pytest.raises(ValueError, match="is no size"):
        paint("a", size, None, 0)


def test_painting_is_cheap() -> None:
    """Once its scene is known, a picture costs well under a millisecond of CPU; this allows twenty times that."""
    paint("warm", "1024x1024", "low", 0)
    begun = time.process_time()
    for number in range(50):
        paint(f"prompt {number}", "1024x1024", "low", number)
    assert time.process_time() - begun < 50 * 0.02
