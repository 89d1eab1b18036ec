"""`POST /images/edits` as the provider hears it: a form with files, or JSON with addresses; and back.

A form is what the official client sends, in its order and with its names: one file is `image`, several are `image[]`.
JSON it is where an image is behind a URL or was uploaded before, and where `moderation` is asked for, which the form
does not know; images whose bytes are here then go as data URLs.
"""

from __future__ import annotations

from binascii import Error, a2b_base64
from collections.abc import Container

from penstock.errors import InvalidRequest, UsageError
from penstock.http import HttpCall
from penstock.requests import ImageRequest, InputImage, Prepared, Refusal, Said, Scalar
from penstock.wire import multipart
from penstock.wire._json import Json
from penstock.wire._posting import in_order, posted
from penstock.wire.content import address
from penstock.wire.hearing import missing, parsed, refusal, unknown
from penstock.wire.images import made
from penstock.wire.multipart import BadForm, Part

PATH = "/images/edits"
LONGEST_URL = 20_971_520
"""Characters of an `image_url` (openai-openapi 2.3.0)."""

_WHOLE = frozenset({"n", "output_compression", "partial_images", "seed"})


def encode(prepared: Prepared, said: Said, samples: int) -> HttpCall:
    """The call that buys `samples` pictures of `prepared` from whom is told `said`. Raises UsageError without bytes."""
    request = prepared.request
    if not isinstance(request, ImageRequest) or not all(one.sendable for one in request.inputs):
        raise UsageError("the bytes of an image are not here: InputImage.of(bytes) has them")
    told: dict[str, Scalar] = {"model": said.model, "prompt": said.prompt or request.prompt, "n": samples}
    told.update(said.parameters)
    return as_json(request, told) if needs_json(request, told) else as_form(request, told)


def needs_json(request: ImageRequest, told: Container[str]) -> bool:
    """Whether a form cannot say it; `told` are the names of what is said besides images."""
    return "moderation" in told or any(one.elsewhere for one in request.inputs)


def unfit(request: ImageRequest, told: Container[str]) -> Refusal | None:
    """Why a request cannot be said in JSON that has to be; None where it can."""
    if not needs_json(request, told):
        return None
    for name, image in _named(request):
        if not image.elsewhere and _address_length(image) > LONGEST_URL:
            why = "moderation is given" if "moderation" in told else "another is behind a URL or a file_id"
            most = LONGEST_URL * 3 // 4 >> 20
            found = f"{image.nbytes / 2**20:.1f} MB, and where {why} an image has at most {most} MB"
            return Refusal(name, f"{name}: one has {found}: make it smaller, or leave that out")
    return None


def as_form(request: ImageRequest, told: dict[str, Scalar]) -> HttpCall:
    """A form: fields first, then files."""
    parts = [Part(name, _text(told[name]).encode()) for name in in_order(told, request.extra, ("prompt",))]
    several = "image[]" if len(request.images) > 1 else "image"
    parts += [file_of(several, one) for one in request.images]
    if request.mask is not None:
        parts.append(file_of("mask", request.mask))
    kind, body = multipart.write(parts)
    return HttpCall("POST", PATH, (("content-type", kind),), body)


def as_json(request: ImageRequest, told: dict[str, Scalar]) -> HttpCall:
    """JSON with an address or a file's name for each image."""
    body: dict[str, Json] = {**told}
    body["images"] = [reference(one) for one in request.images]
    if request.mask is not None:
        body["mask"] = reference(request.mask)
    return posted(PATH, body, request.extra)


def decode(call: HttpCall) -> ImageRequest:
    """The request that a call to this endpoint asks for. Raises Undecodable as the API would answer."""
    kind = next((value for name, value in call.headers if name.lower() == "content-type"), "")
    if kind.lower().startswith("multipart/"):
        return _from_form(kind, call.body)
    if kind.partition(";")[0].strip().lower() != "application/json":
        said = f"Unsupported content type: '{kind[:80]}'. This API takes 'multipart/form-data' and 'application/json'."
        raise refusal(400, said, "unsupported_content_type")
    return _from_json(parsed(call.body))


def _from_form(kind: str, raw: bytes) -> ImageRequest:
    try:
        parts = multipart.read(kind, raw)
    except BadForm as wrong:
        raise refusal(400, f"Could not parse multipart form: {wrong}.", None) from None
    body: dict[str, Json] = {}
    images: list[InputImage] = []
    mask: InputImage | None = None
    for part in parts:
        if part.name in ("image", "image[]"):
            images.append(_read(part.content, "image"))
        elif part.name == "mask":
            mask = _read(part.content, "mask")
        elif part.name == "moderation":
            raise unknown("moderation")
        elif part.name in body:
            raise refusal(400, f"Duplicate parameter: '{part.name}'.", "invalid_value", part.name)
        else:
            body[part.name] = _value(part)
    return _made(body, images, mask)


def _from_json(body: dict[str, Json]) -> ImageRequest:
    images, mask = body.pop("images", None), body.pop("mask", None)
    if not isinstance(images, list):
        images = []
    return _made(
        body, [_addressed(one, "images") for one in images], None if mask is None else _addressed(mask, "mask")
    )


def _made(body: dict[str, Json], images: list[InputImage], mask: InputImage | None) -> ImageRequest:
    if not images:
        raise missing("image")
    return made(body, tuple(images), mask)


def _named(request: ImageRequest) -> list[tuple[str, InputImage]]:
    named = [("images", one) for one in request.images]
    return named if request.mask is None else [*named, ("mask", request.mask)]


def file_of(name: str, image: InputImage) -> Part:
    """An image as a form has it."""
    return Part(name, image.data, f"{name.removesuffix('[]')}.{image.format}", f"image/{image.format}", image.digest)


def _address_length(image: InputImage) -> int:
    return len(f"data:image/{image.format};base64,") + 4 * -(-image.nbytes // 3)


def reference(image: InputImage) -> dict[str, Json]:
    """An image as JSON edits name it: with exactly one of the two keys."""
    return {"file_id": image.file_id} if image.file_id else {"image_url": address(image)}


def _text(value: Scalar) -> str:
    """A plain value as forms have it."""
    return {None: "", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else str(value)


def _value(part: Part) -> Json:
    """What a field of a form says: a number where one belongs, else a text."""
    try:
        text = part.content.decode()
    except UnicodeDecodeError:
        raise refusal(400, f"Invalid encoding of '{part.name}': expected UTF-8.", "invalid_value", part.name) from None
    digits = text.removeprefix("-")
    whole = part.name in _WHOLE and digits.isascii() and digits.isdigit() and len(digits) < 20
    if part.name == "stream" and text in ("true", "false"):
        return text == "true"
    return int(text) if whole else text


def _read(data: bytes, name: str) -> InputImage:
    try:
        return InputImage.of(data)
    except InvalidRequest as error:
        said = f"Invalid image file or mode for '{name}': {error}."
        raise refusal(400, said, "invalid_image_file", name) from None


def _filed(file_id: Json, name: str) -> InputImage:
    try:
        return InputImage.file(file_id if isinstance(file_id, str) else "")
    except InvalidRequest as error:
        raise refusal(400, f"Invalid 'file_id': {error}.", "invalid_value", name) from None


def _addressed(item: Json, name: str) -> InputImage:
    found = item if isinstance(item, dict) and len(item) == 1 else {}
    if "file_id" in found:
        return _filed(found["file_id"], name)
    url = found.get("image_url")
    if not isinstance(url, str) or len(url) > LONGEST_URL:
        said = f"Invalid value for '{name}': expected exactly one of 'image_url' and 'file_id'."
        raise refusal(400, said, "invalid_value", name)
    if not url.startswith("data:"):
        try:
            return InputImage.at(url)
        except InvalidRequest as error:
            raise refusal(400, f"Invalid 'image_url': {error}.", "invalid_value", name) from None
    try:
        return _read(a2b_base64(url.partition(";base64,")[2], strict_mode=True), name)
    except Error:
        raise refusal(400, "Invalid 'image_url': no base64.", "invalid_value", name) from None
