"""The painter of the simulated provider: real PNGs, exactly as asked, the same for the same asking."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from itertools import pairwise
from types import FrameType
from typing import TYPE_CHECKING
from zlib import decompress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from penstock.simulation._canvas import BASIC
from penstock.simulation._moods import MOODS, palette, weigh
from penstock.simulation._skies import VARIANTS, backdrop
from penstock.simulation.painter import KINDS, _compose, _small, paint

if TYPE_CHECKING:
    from _typeshed import TraceFunction

SIDES = st.integers(min_value=1, max_value=300)


def chunks(data: bytes) -> dict[bytes, bytes]:
    """The chunks of a PNG by their kind."""
    found: dict[bytes, bytes] = {}
    at = 8
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        found[data[at + 4 : at + 8]] = data[at + 8 : at + 8 + length]
        at += 12 + length
    return found


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


def test_every_scene_fits_its_palette() -> None:
    """Whatever the scene, its variant, the time of day and the detail, a picture has at most 256 colours."""
    counts = {
        _small(number, variant, dark, 96, 64, detail).count
        for number in range(len(KINDS))
        for variant in range(VARIANTS)
        for dark in (False, True)
        for detail in (0, 4)
    }
    assert max(counts) <= 256


@settings(max_examples=40)
@given(
    number=st.integers(0, len(KINDS) - 1),
    variant=st.integers(0, VARIANTS - 1),
    dark=st.booleans(),
    sizes=st.tuples(SIDES, SIDES),
)
def test_every_scene_paints_any_size(number: int, variant: int, dark: bool, sizes: tuple[int, int]) -> None:
    """Every composition has as many pixels as asked, each of them a colour of its palette, however small it is."""
    width, height = sizes
    made = _compose(number, variant, dark, width, height, 0)
    raw = decompress(made.data[8:-4])
    assert height * (width + 1) == len(raw)
    assert max(raw) < made.count
    assert {0} == set(raw[:: width + 1])


@pytest.mark.parametrize("size", ["4096x4096", "4096x1", "1x4096"])
def test_the_largest_sizes_are_painted(size: str) -> None:
    """A side may have 4,096 pixels."""
    picture = Image.open(io.BytesIO(paint("a lake", size, "low", 0)))
    picture.load()
    assert size == f"{picture.size[0]}x{picture.size[1]}"


def test_words_choose_scene_and_mood() -> None:
    """Prompts that name the same things are painted in the same few compositions, others in other ones."""
    names = ("a lighthouse at night", "a lighthouse at dawn", "lemons at night")
    seen = [{chunks(paint(name, "64x64", "low", seed))[b"IDAT"] for seed in range(60)} for name in names]
    assert [VARIANTS] * 3 == [len(each) for each in seen]
    assert set() == seen[0] & seen[1]
    assert set() == seen[0] & seen[2]


def test_seeds_differ_in_colour() -> None:
    """Two seeds of one prompt never give the same palette and rows."""
    pictures = [chunks(paint("a lake", "32x32", "low", seed)) for seed in range(40)]
    assert 40 == len({(each[b"PLTE"], each[b"IDAT"]) for each in pictures})


def test_a_smooth_sky_has_no_bands() -> None:
    """In a sky without clouds no pixel is more than 6 levels of a channel away from the one below it."""
    rows = backdrop("big sun", 0, 512, 512).rows
    colours = palette(weigh(BASIC), len(BASIC), MOODS["dusk"].colours)
    column = [row[0] for row in rows]
    steps = [
        abs(colours[3 * above + channel] - colours[3 * below + channel])
        for above, below in pairwise(column)
        for channel in range(3)
    ]
    assert max(steps) <= 6


@given(st.lists(st.lists(st.integers(0, 100), min_size=10, max_size=10).filter(any), min_size=1, max_size=30))
def test_palettes_are_mixed_all_at_once(shares: list[list[int]]) -> None:
    """A palette is, to 2 levels, what mixing each of its colours alone gives, and no mixture runs into the next."""
    mixtures = [tuple(part / sum(parts) for part in parts) for parts in shares]
    for colours in (MOODS["dusk"].colours, bytes([255]) * 30, bytes(30)):
        mixed = palette(weigh(mixtures), len(mixtures), colours)
        for place, mixture in enumerate(mixtures):
            for channel in range(3):
                alone = sum(part * colour for part, colour in zip(mixture, colours[channel::3], strict=True))
                assert abs(mixed[3 * place + channel] - alone) <= 5


def bytecodes(do: Callable[[], object]) -> int:
    """How many bytecodes it takes, which is the same on every machine and however busy that is."""
    counted = 0

    def called(frame: FrameType, event: str, arg: object) -> TraceFunction:
        nonlocal counted
        del arg
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        counted += event == "opcode"
        return called

    before = sys.gettrace()
    sys.settrace(called)
    try:
        do()
    finally:
        sys.settrace(before)
    return counted


def test_painting_is_cheap() -> None:
    """A thousand different prompts have few different pictures and skies, each painted once; one more is no work.

    A picture that is painted takes at most two million bytecodes, one that was painted before at most five thousand.
    """
    _small.cache_clear()
    backdrop.cache_clear()
    assert bytecodes(lambda: paint("prompt 0", "1024x1024", "low", 0)) < 2_000_000
    for number in range(1000):
        paint(f"prompt {number}", "1024x1024", "low", number)
    assert _small.cache_info().currsize == _small.cache_info().misses <= 120
    assert backdrop.cache_info().misses <= 30
    assert bytecodes(lambda: paint("prompt 7", "1024x1024", "low", 7)) < 5_000
