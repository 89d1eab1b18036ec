"""Pictures converted: what they become, what stays as it is, and what a crash or another wish leaves."""

from __future__ import annotations

import struct
import sys
import warnings
import zlib
from io import BytesIO

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from penstock.simulation.painter import paint
from penstock_io.batch import convert
from penstock_io.batch.convert import (
    EXTENSIONS,
    Made,
    Unconvertible,
    available,
    parse_convert,
    parse_resize,
)
from penstock_io.batch.settings import Conversion

JPEG = Conversion(format="jpeg", quality=85)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'


def make(data: bytes, conversion: Conversion) -> Made | None:
    """What becomes of these bytes."""
    return convert.make(BytesIO(data), conversion)


def saved(
    image: Image.Image, kind: str, *, exif: Image.Exif | None = None, also: tuple[Image.Image, ...] = ()
) -> bytes:
    """A picture as a file's bytes; `also` are further frames."""
    buffer = BytesIO()
    if exif is not None:
        image.save(buffer, kind, exif=exif)
    elif also:
        image.save(buffer, kind, save_all=True, append_images=list(also), duration=100)
    else:
        image.save(buffer, kind)
    return buffer.getvalue()


def colours(width: int = 40, height: int = 20, mode: str = "RGB") -> Image.Image:
    """A picture whose left half is red and whose right half is blue."""
    image = Image.new("RGB", (width, height), "red")
    image.paste((0, 0, 255), (width // 2, 0, width, height))
    return image.convert(mode)


def opened(made: Made | None) -> Image.Image:
    """What was made, decoded."""
    assert made is not None
    image = Image.open(BytesIO(made.data))
    image.load()
    assert made.format == (image.format or "").lower()
    return image


def near(image: Image.Image, x: int, y: int, colour: tuple[int, int, int]) -> bool:
    """Whether a pixel has a colour, within what JPEG loses."""
    found = image.convert("RGB").getpixel((x, y))
    assert isinstance(found, tuple)
    return all(abs(one - other) < 40 for one, other in zip(found, colour, strict=True))


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims to be large."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 99)) + chunk(b"IEND", b"")


# One picture


@pytest.mark.parametrize("target", EXTENSIONS)
@pytest.mark.parametrize("source", ["PNG", "JPEG", "WEBP", "GIF"])
def test_every_format_becomes_every_other(source: str, target: str) -> None:
    """The pixels stay the same within what the formats lose, and so does the size."""
    wish = Conversion(38, target, None if target == "png" else 90)
    image = opened(make(saved(colours(), source), wish))
    assert (38, 19) == image.size
    assert near(image, 5, 10, (255, 0, 0))
    assert near(image, 33, 10, (0, 0, 255))


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr"])
@pytest.mark.parametrize("target", EXTENSIONS)
def test_every_kind_of_pixels_is_carried(mode: str, target: str) -> None:
    """Grey, palette, print colours: the colour of each pixel stays."""
    source = "JPEG" if mode in {"CMYK", "YCbCr"} else "PNG"
    data = saved(colours(mode=mode), source)
    pixel = Image.open(BytesIO(data)).convert("RGB").getpixel((35, 10))
    assert isinstance(pixel, tuple)
    assert near(opened(make(data, Conversion(format=target, longest=39))), 34, 10, (pixel[0], pixel[1], pixel[2]))


def test_a_picture_is_made_as_small_as_asked_and_never_larger() -> None:
    """The longest side is what was asked for and the other follows; a smaller picture is not touched."""
    data = saved(colours(400, 200), "PNG")
    assert (100, 50) == opened(make(data, Conversion(longest=100))).size
    assert None is make(data, Conversion(longest=400))
    assert (400, 200) == opened(make(data, Conversion(longest=1000, format="webp"))).size


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("longest", [30, 190, 300, 799])
def test_a_large_picture_gets_the_side_that_was_asked_for(kind: str, longest: int) -> None:
    """A JPEG may be decoded smaller to save time, but never too small."""
    made = opened(make(saved(colours(1600, 1600), kind), Conversion(longest=longest)))
    assert (longest, longest) == made.size


def test_only_the_head_of_a_picture_that_stays_is_read() -> None:
    """A later run looks at thousands of large pictures in no time."""
    source = BytesIO(saved(Image.effect_noise((1000, 1000), 99), "PNG"))
    assert len(source.getvalue()) > 500_000
    assert None is convert.make(source, Conversion(longest=1000))
    assert source.tell() < 100_000


def test_quality_is_what_it_costs() -> None:
    """A lower quality makes a smaller file; the same format is encoded again where a quality is asked for."""
    data = saved(Image.open(BytesIO(paint("a fox", "256x256", "high", 1))).convert("RGB"), "JPEG")
    sizes = [len((make(data, Conversion(format="jpeg", quality=q)) or Made(b"", "")).data) for q in (5, 50, 95)]
    assert sorted(set(sizes)) == sizes
    assert None is make(data, Conversion(format="jpeg"))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_as_its_exif_says(orientation: int) -> None:
    """Shown without EXIF, what was made looks as the original does in a viewer that minds it."""
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # what undoes each: Image.Transpose
    looks = colours(160, 80)
    looks.paste((0, 255, 0), (0, 0, 40, 40))
    stored = looks if orientation == 1 else looks.transpose(Image.Transpose(back[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = opened(make(saved(stored, "JPEG", exif=exif), Conversion(longest=80, format="png")))
    assert (80, 40) == image.size
    assert near(image, 8, 8, (0, 255, 0))
    assert near(image, 8, 35, (255, 0, 0))
    assert near(image, 72, 20, (0, 0, 255))
    assert {} == dict(image.getexif())


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_what_is_transparent_becomes_white_in_jpeg_and_stays_elsewhere(mode: str) -> None:
    """No black shows through, and png and webp keep their transparency."""
    image = Image.new("RGBA", (20, 20), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (10, 0, 20, 20))
    data = saved(image.convert("LA").convert("RGBA") if mode == "PA" else image.convert(mode), "PNG")
    flat = opened(make(data, JPEG))
    assert near(flat, 4, 10, (255, 255, 255))
    assert near(flat, 16, 10, (0, 0, 0))
    for kind in ("png", "webp"):
        alpha = opened(make(data, Conversion(format=kind, longest=10))).convert("RGBA").getchannel("A")
        assert (0, 255) == (alpha.getpixel((1, 5)), alpha.getpixel((8, 5)))


def test_a_colour_that_means_transparent_becomes_white() -> None:
    """PNG may say so of one colour of a palette or of plain pixels."""
    buffer = BytesIO()
    colours().save(buffer, "PNG", transparency=(255, 0, 0))
    flat = opened(make(buffer.getvalue(), JPEG))
    assert near(flat, 5, 10, (255, 255, 255))
    assert near(flat, 35, 10, (0, 0, 255))


def test_a_colour_profile_is_kept_where_it_still_fits() -> None:
    """The profile of RGB pixels goes along; that of CMYK pixels would lie about RGB ones."""
    buffer = BytesIO()
    colours().save(buffer, "PNG", icc_profile=b"profile of mine")
    assert b"profile of mine" == opened(make(buffer.getvalue(), JPEG)).info["icc_profile"]
    buffer = BytesIO()
    colours(mode="CMYK").save(buffer, "JPEG", icc_profile=b"profile of mine")
    assert "icc_profile" not in opened(make(buffer.getvalue(), Conversion(format="png"))).info


MOVING = tuple(saved(colours(), kind, also=(colours(mode="L"),)) for kind in ("GIF", "WEBP", "PNG"))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        *((moving, "it moves") for moving in MOVING),
        (SVG, "SVG"),
        (b"", "no format"),
        (b"BM" + bytes(60), "no format"),
        (saved(colours(), "PNG")[:60], "broken"),
        (saved(colours(400, 400), "JPEG")[:900], "broken"),
        (saved(colours(), "WEBP")[:40], "broken"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "broken"),
        (bomb(8001, 8000), "8001 x 8000 pixels"),
        (bomb(10_000, 10_000), "more than 64,000,000 pixels"),
        (bomb(60_000, 60_000), "more than 64,000,000 pixels"),
        (saved(Image.new("I;16", (9, 9), 40_000), "PNG"), "uncommon"),
    ],
)  # fmt: skip
def test_what_cannot_be_converted_is_named(data: bytes, why: str) -> None:
    """Moving pictures, drawings, broken ones, and a few bytes that claim a billion pixels."""
    with pytest.raises(Unconvertible, match=why):
        make(data, JPEG)


def test_a_bomb_is_no_warning_of_the_process() -> None:
    """Pillow would warn of it on standard error, in words that say nothing of the folder."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with pytest.raises(Unconvertible):
            make(bomb(10_000, 10_000), JPEG)
    assert [] == told


GOOD = tuple(saved(colours(30, 30, "L"), kind) for kind in ("PNG", "JPEG", "WEBP", "GIF"))


@pytest.mark.filterwarnings("ignore:Invalid APNG:UserWarning")  # Pillow says so, and reads on
@given(st.sampled_from((*GOOD, *MOVING)), st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=4)), max_size=6))
@example(GOOD[0], [(16, b"\x00\x00\x00\x00")])
@settings(deadline=None, max_examples=300)
def test_no_bytes_break_it(data: bytes, changes: list[tuple[int, bytes]]) -> None:
    """Whatever is overwritten in a picture, it is converted, left alone, or named as what cannot be."""
    for at, new in changes:
        data = data[:at] + new + data[at + len(new) :]
    try:
        made = make(data, Conversion(longest=20, format="png"))
    except Unconvertible:
        return
    assert made is None or max(opened(made).size) <= 20


# What people write


@pytest.mark.parametrize(("text", "pixels"), [("1024", 1024), (" 16 ", 16), ("16384px", 16_384), ("512 px", 512)])
def test_a_longest_side_is_read(text: str, pixels: int) -> None:
    """Digits, with or without their unit."""
    assert pixels == parse_resize(text)


@pytest.mark.parametrize("text", ["", "big", "1024x768", "-5", "15", "16385", "1e3", "٣٣٣", "9" * 5000])
def test_what_is_no_longest_side_is_said_with_an_example(text: str) -> None:
    """The message names what was written and shows what to write."""
    with pytest.raises(ValueError, match="such as 1024"):
        parse_resize(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("jpeg:85", ("jpeg", 85)), ("JPG", ("jpeg", None)), ("webp:1", ("webp", 1)), ("png", ("png", None))],
)
def test_a_format_is_read(text: str, expected: tuple[str, int | None]) -> None:
    """Names in any case, with a quality where the format has one."""
    assert expected == parse_convert(text)


@pytest.mark.parametrize("text", ["", "gif", "jpeg:", "jpeg:0", "jpeg:101", "jpeg:x", "png:9", ":85", "jpeg:²"])
def test_what_is_no_format_is_said_with_what_is(text: str) -> None:
    """The message names what was written and what to write instead."""
    with pytest.raises(ValueError, match=r"(write|such as) \S*(jpeg|webp|png)"):
        parse_convert(text)


def test_it_says_whether_pictures_can_be_converted_here() -> None:
    """Pillow is there when these tests run."""
    assert None is available()


def test_without_pillow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is paid for: the extra is named."""
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert "pip install 'penstock[pictures]'" in (available() or "")
