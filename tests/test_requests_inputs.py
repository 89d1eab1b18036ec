"""Images that pictures are made from: what their bytes say, and what is refused before anything is sent."""

from __future__ import annotations

from io import BytesIO

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from penstock.errors import InvalidRequest
from penstock.requests import EDIT, GENERATE, ImageRequest, InputImage, Message, ModerationRequest

SIDES = st.integers(1, 300)


def picture(form: str, width: int, height: int, mode: str = "RGB", **how: object) -> bytes:
    """A picture that Pillow wrote."""
    out = BytesIO()
    Image.new(mode, (width, height)).save(out, form, **how)
    return out.getvalue()


PHOTO = InputImage.of(picture("PNG", 40, 30))
MASK = InputImage.of(picture("PNG", 40, 30, "RGBA"))


@settings(max_examples=40, deadline=None)
@given(SIDES, SIDES, st.sampled_from(["PNG", "JPEG", "WEBP"]))
def test_pixels_are_what_another_reader_says(width: int, height: int, form: str) -> None:
    """Format, width, height and length are those of the file, for each of the three formats."""
    data = picture(form, width, height)
    found = InputImage.of(data)
    assert (form.lower(), width, height, len(data)) == (found.format, found.width, found.height, found.nbytes)
    assert data == found.data


def test_what_claims_too_many_pixels_is_refused() -> None:
    """By its head alone: a few bytes may say that they are gigapixels."""

    def claiming(width: int, height: int) -> bytes:
        data = picture("PNG", 1, 1)
        return data[:16] + width.to_bytes(4) + height.to_bytes(4) + data[24:]

    assert (1 << 14, 1 << 14) == ((largest := InputImage.of(claiming(1 << 14, 1 << 14))).width, largest.height)
    with pytest.raises(InvalidRequest, match=r"40,000 x 50,000 pixels are 2,000 million; at most 268 million"):
        InputImage.of(claiming(40_000, 50_000))


@pytest.mark.parametrize(
    ("form", "mode", "how", "alpha"),
    [
        ("PNG", "RGB", {}, False),
        ("PNG", "RGBA", {}, True),
        ("PNG", "LA", {}, True),
        ("PNG", "L", {}, False),
        ("PNG", "P", {}, False),
        ("PNG", "P", {"transparency": 0}, True),
        ("PNG", "RGB", {"transparency": (0, 0, 0)}, True),
        ("JPEG", "RGB", {"progressive": True}, False),
        ("JPEG", "L", {}, False),
        ("JPEG", "CMYK", {"dpi": (300, 300), "comment": b"\xff\xd8 of \xff\xc0"}, False),
        ("WEBP", "RGB", {}, False),
        ("WEBP", "RGB", {"lossless": True}, False),
        ("WEBP", "RGB", {"exif": b"Exif\0\0", "quality": 10}, False),
    ],
)
def test_transparency_is_seen(form: str, mode: str, how: dict[str, object], alpha: bool) -> None:
    """An alpha channel, or a colour that is made transparent, is alpha; nothing else is."""
    found = InputImage.of(picture(form, 24, 13, mode, **how))
    assert (24, 13, alpha) == (found.width, found.height, found.has_alpha)


@pytest.mark.parametrize("how", [{}, {"lossless": True}])
def test_a_webp_that_is_transparent_has_alpha(how: dict[str, bool]) -> None:
    """Both kinds of WebP say of transparent pixels that there are some."""
    out = BytesIO()
    Image.new("RGBA", (9, 31), (10, 20, 30, 99)).save(out, "WEBP", **how)
    found = InputImage.of(out.getvalue())
    assert (9, 31, True) == (found.width, found.height, found.has_alpha)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "WEBP"]), st.integers(0, 400), st.integers(0, 255))
def test_a_damaged_head_is_refused_or_read(form: str, at: int, byte: int) -> None:
    """Whatever byte is another one, and wherever a file breaks off: an image, or an error in words."""
    whole = bytearray(picture(form, 20, 20))
    whole[at % len(whole)] = byte
    for data in (bytes(whole), bytes(whole[: at % len(whole)])):
        try:
            found = InputImage.of(data)
        except InvalidRequest:
            continue
        assert found.width > 0 < found.height


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"GIF89a" + bytes(40), "PNG, JPEG and WebP are taken"),
        (b"<svg></svg>", "PNG, JPEG and WebP are taken"),
        (picture("PNG", 3, 3)[:20], "breaks off"),
        (picture("JPEG", 3, 3)[:30], "breaks off"),
        (picture("WEBP", 3, 3)[:22], "breaks off"),
        (b"\xff\xd8\xff\xda\0\2", "breaks off"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(13), "breaks off"),
    ],
)
def test_what_is_no_image_is_refused_in_words(data: bytes, words: str) -> None:
    """The error says what is wrong and what is taken."""
    with pytest.raises(InvalidRequest, match=words):
        InputImage.of(data)


def test_an_address_is_not_looked_at() -> None:
    """An image behind a URL is told by its address alone; its repr does not show it, as it may be signed."""
    one = InputImage.at("https://pictures.example/a.png?signature=secret")
    assert (0, 0, b"", True) == (one.width, one.height, one.data, one.sendable)
    assert "secret" not in repr(one)
    assert one != InputImage.at("https://pictures.example/b.png")


@pytest.mark.parametrize(
    "url", ["", "a.png", "ftp://x/a.png", "https://", "https://x/a b.png", "http://[::1", "data:,"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    """Only what a provider could fetch is taken for an address."""
    with pytest.raises(InvalidRequest, match="begins with https"):
        InputImage.at(url)


def test_a_file_at_the_provider_is_told_by_its_id() -> None:
    """Its id is what it is: no two of them are equal, and none is an address of the same letters."""
    one = InputImage.file("file-abc123")
    assert (0, 0, b"", True, True) == (one.width, one.height, one.data, one.sendable, one.elsewhere)
    assert one == InputImage.file("file-abc123").bare
    assert 3 == len({one, InputImage.file("file-abc124"), InputImage.at("https://file-abc123")})


@pytest.mark.parametrize("name", ["", " ", "file abc", "../x", "-x", "x" * 201, "file\u00e9", "a\nb", 7, None])
def test_what_is_no_id_is_refused(name: str) -> None:
    """Ids are plain words; what is something else would be sent for nothing."""
    with pytest.raises(InvalidRequest, match="such as file-abc123"):
        InputImage.file(name)


def test_texts_are_not_made_from_uploaded_files() -> None:
    """A conversation and a moderation have no words for them: refused when they are made."""
    filed = InputImage.file("file-abc123")
    with pytest.raises(InvalidRequest, match="only edits take a file_id"):
        ModerationRequest(content=("what is it?", filed))
    with pytest.raises(InvalidRequest, match="only edits take a file_id"):
        Message("user", ("what is it?", filed))


def test_an_image_without_its_bytes_is_the_same_image() -> None:
    """Who only plans needs no bytes: a bare image is equal, cannot be sent, and shows nothing of itself."""
    assert PHOTO == PHOTO.bare
    assert hash(PHOTO) == hash(PHOTO.bare)
    assert (True, False) == (PHOTO.sendable, PHOTO.bare.sendable)
    assert "data" not in repr(PHOTO)
    with pytest.raises(InvalidRequest, match=r"InputImage\.of"):
        InputImage("a path")


def test_a_request_with_images_is_an_edit() -> None:
    """What a request is made from makes it another operation; the mask stands last."""
    plain = ImageRequest(prompt="red", model="m")
    edit = evolve(plain, images=(PHOTO, PHOTO), mask=MASK)
    assert (GENERATE, EDIT) == (plain.operation, edit.operation)
    assert ((), (PHOTO, PHOTO, MASK)) == (plain.inputs, edit.inputs)


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"mask": MASK}, "mask", "needs an image"),
        ({"input_fidelity": "high"}, "input_fidelity", "needs an image"),
        ({"images": [PHOTO]}, "images", "tuple"),
        ({"images": (b"png",)}, "images", "InputImage"),
        ({"images": (PHOTO,), "mask": "m.png"}, "mask", "InputImage"),
        ({"images": (PHOTO,), "mask": InputImage.of(picture("PNG", 30, 40, "RGBA"))}, "mask", "30x40 .* 40x30"),
        ({"extra": (("image", "x"),)}, "extra", "cannot be given"),
    ],
)
def test_what_fits_nowhere_is_refused(given: dict[str, object], field: str, words: str) -> None:
    """A mask without an image, or of another size, and what is no image at all."""
    with pytest.raises(InvalidRequest, match=words) as caught:
        ImageRequest(prompt="red", model="m", **given)  # type: ignore[arg-type]  # what a caller may get wrong
    assert field == caught.value.field


def test_a_mask_of_an_unseen_image_is_taken() -> None:
    """Nobody can say that sizes differ where one of them is behind a URL."""
    request = ImageRequest(prompt="red", model="m", images=(InputImage.at("https://x.example/a.png"),), mask=MASK)
    assert MASK == request.mask
