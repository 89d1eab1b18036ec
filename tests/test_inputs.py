"""What images may be given as, to a client."""

from __future__ import annotations

from binascii import b2a_base64
from io import BytesIO
from pathlib import Path
from typing import cast

import pytest

from penstock.errors import InvalidRequest
from penstock.requests import InputImage
from penstock_io.inputs import LARGEST, ImageSource, read_image, read_images


@pytest.mark.parametrize("none", [[], ()])
def test_an_edit_is_of_one_image_at_least(none: list[InputImage] | tuple[InputImage, ...]) -> None:
    """No image at all would be another request, and cost money: it is refused."""
    with pytest.raises(InvalidRequest, match="there is no image") as caught:
        read_images(none)
    assert "images" == caught.value.field


def test_one_image_or_several() -> None:
    """In their order."""
    far = [InputImage.at(f"https://a.example/{name}.png") for name in "ab"]
    assert tuple(far) == read_images(far)
    assert (far[0],) == read_images("https://a.example/a.png")


PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x02\x00\x00\x00\x03\x08\x02\x00\x00\x00"
CODED = b2a_base64(PNG, newline=False).decode()


@pytest.mark.parametrize(
    "source",
    [
        PNG,
        bytearray(PNG),
        memoryview(PNG),
        BytesIO(PNG),
        f"data:image/png;base64,{CODED}",
        f"DATA:;charset=x;BASE64,{CODED[:9]}\n {CODED[9:]}",
        "data:image/png," + "".join(f"%{byte:02x}" for byte in PNG),
    ],
)
def test_bytes_may_come_in_many_ways(source: ImageSource) -> None:
    """The same image, with its bytes."""
    image = read_image(source)
    assert (InputImage.of(PNG), PNG, (2, 3)) == (image, image.data, (image.width, image.height))


def test_an_open_file_is_read_from_where_it_stands(tmp_path: Path) -> None:
    """As others read it; one that is open for text, or closed, is said to be."""
    path = tmp_path / "a.png"
    path.write_bytes(b"head" + PNG)
    with path.open("rb") as file:
        file.seek(4)
        assert PNG == read_image(file).data
    with pytest.raises(InvalidRequest, match="closed file"):
        read_image(file)
    with path.open(encoding="latin-1") as text, pytest.raises(InvalidRequest, match=r"open\(path, \"rb\"\)"):
        read_image(cast("ImageSource", text))


class Endless:
    """A file that has more than anybody takes."""

    asked = 0

    def read(self, size: int, /) -> bytes:
        """All of it."""
        self.asked = size
        return bytes(LARGEST + 1)


def test_an_open_file_has_an_end() -> None:
    """No more of it is read than is taken."""
    endless = Endless()
    with pytest.raises(InvalidRequest, match="more than 256 MB"):
        read_image(endless)
    assert LARGEST + 1 == endless.asked


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("data:image/png;base64," + CODED * 9_999 + "!", "the data URL is not base64 after its comma"),
        ("data:image/png;base64" + CODED * 9_999, "a data URL has a comma before its data"),
        ("data:text/plain," + "hello" * 9_999, "the image of a data URL: an image is none by its first bytes"),
        ("x" * 99_999, "x...: cannot be read"),
        ("/" * 50 + "x/" * 99 + "a.png", "x...: there is no such file"),
        (".", ". is a folder"),
        (7, "not int"),
    ],
)
def test_what_is_no_image_is_said_in_short(source: object, words: str) -> None:
    """What is wrong, without the megabytes that were given."""
    with pytest.raises(InvalidRequest) as caught:
        read_image(cast("ImageSource", source))
    assert words in str(caught.value)
    assert len(str(caught.value)) < 250
