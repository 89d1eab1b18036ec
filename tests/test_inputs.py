"""What images may be given as, to a client."""

from __future__ import annotations

import pytest

from penstock.errors import InvalidRequest
from penstock.requests import InputImage
from penstock_io.inputs import read_images


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
