"""Parts of a content, both ways: texts, and pictures by their bytes or their addresses."""

from __future__ import annotations

from binascii import Error, a2b_base64, b2a_base64
from collections.abc import Sequence

from penstock.errors import InvalidRequest
from penstock.requests import Content, InputImage
from penstock.wire._json import Json
from penstock.wire.hearing import refusal

_DATA = "data:"


def address(image: InputImage) -> str:
    """A picture as JSON has it: where it is, or its bytes as a data URL."""
    if image.url:
        return image.url
    return f"{_DATA}image/{image.format};base64,{b2a_base64(image.data, newline=False).decode()}"


def told(content: Sequence[Content]) -> list[dict[str, object]]:
    """Parts as the API has them."""
    return [
        {"type": "text", "text": one}
        if isinstance(one, str)
        else {"type": "image_url", "image_url": {"url": address(one)}}
        for one in content
    ]


def heard(parts: Sequence[Json], name: str) -> tuple[Content, ...]:
    """Parts of a request, as the provider hears them. Raises Undecodable."""
    return tuple([_part(one, name) for one in parts])


def pictured(url: str, name: str) -> InputImage:
    """The picture at an address, which may be a data URL. Raises Undecodable."""
    try:
        if url.startswith(_DATA):
            _, _, text = url.partition(";base64,")
            return InputImage.of(a2b_base64(text, strict_mode=True))
        return InputImage.at(url)
    except (Error, ValueError, InvalidRequest):
        raise refusal(400, "Invalid image_url: it is no picture.", "invalid_image_url", name) from None


def _part(value: Json, name: str) -> Content:
    if isinstance(value, dict):
        kind, text, image = value.get("type"), value.get("text"), value.get("image_url")
        url = image.get("url") if isinstance(image, dict) else image
        if kind == "text" and isinstance(text, str) and text:
            return text
        if kind == "image_url" and isinstance(url, str):
            return pictured(url, name)
    raise refusal(400, f"Invalid value for '{name}': a part is of type text or image_url.", "invalid_value", name)
