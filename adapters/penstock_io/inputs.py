"""Images that pictures are made from, wherever they are: bytes, files, addresses, data URLs, pictures of results.

Reading may wait for the disk: what runs on an event loop does it in a thread.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Protocol, TypeAlias, cast
from urllib.parse import unquote_to_bytes

from penstock.errors import InvalidRequest
from penstock.requests import InputImage

LARGEST = 256 << 20
"""Bytes of a file that is read; a model may take less."""

ADDRESSES = ("https://", "http://")
"""How a text begins that is an address and no path."""

INLINE = "data:"
"""How a text begins that has the image in it."""

_LONGEST_NAME = 100
"""Characters of a name that an error repeats."""


class Picture(Protocol):
    """Whatever has the bytes of a picture, such as the `Image` of a result."""

    @property
    def data(self) -> bytes:
        """Its bytes. May raise `OSError`."""
        ...


class Readable(Protocol):
    """A file that is open for its bytes."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes. May raise `OSError`."""
        ...


ImageSource: TypeAlias = InputImage | Picture | Readable | bytes | bytearray | memoryview | str | Path
"""What an image may be given as: itself, its bytes, a path, an address, a data URL, an open file, a picture."""


def read_image(source: ImageSource, field: str = "images") -> InputImage:
    """The image of a source, with its bytes. Raises `InvalidRequest` that names the file and says what is wrong."""
    if isinstance(source, InputImage):
        return source
    if isinstance(source, str) and source.lower().startswith(ADDRESSES):
        return InputImage.at(source)
    if isinstance(source, str) and source[: len(INLINE)].lower() == INLINE:
        return _seen(_inline(source, field), "the image of a data URL: ", field)
    if isinstance(source, str | Path):
        return _read(Path(source), field)
    if isinstance(source, bytes | bytearray | memoryview):
        return _seen(bytes(source), "", field)
    return _seen(_bytes(source, field), "", field)


def read_images(sources: ImageSource | Sequence[ImageSource], field: str = "images") -> tuple[InputImage, ...]:
    """The images of one source or several. Raises `InvalidRequest`, also where there is none."""
    if isinstance(sources, list | tuple):
        if not sources:
            raise InvalidRequest("there is no image: an edit is of one at least, `generate` needs none", field=field)
        return tuple([read_image(one, field) for one in cast("Sequence[ImageSource]", sources)])
    return (read_image(cast("ImageSource", sources), field),)


def named(path: Path | str) -> str:
    """A name as an error says it: a long one by its beginning."""
    told = str(path)
    return told if len(told) <= _LONGEST_NAME else f"{told[:_LONGEST_NAME]}..."


def _inline(url: str, field: str) -> bytes:
    """The bytes that a data URL has in it. Raises `InvalidRequest`, which repeats none of it."""
    head, comma, body = url.partition(",")
    if not comma:
        raise InvalidRequest("a data URL has a comma before its data: data:image/png;base64,iVBOR...", field=field)
    data = unquote_to_bytes(body)
    if not head.lower().endswith(";base64"):
        return data
    try:
        return b64decode(b"".join(data.split()), validate=True)
    except ValueError:
        raise InvalidRequest("the data URL is not base64 after its comma: is it whole?", field=field) from None


def _read(path: Path, field: str) -> InputImage:
    name = named(path)
    try:
        told = path.stat()
        if not S_ISREG(told.st_mode):
            kind = "a folder: name an image in it" if S_ISDIR(told.st_mode) else "no file with an end: copy it to one"
            raise InvalidRequest(f"{name} is {kind}", field=field)
        size = told.st_size
        if size > LARGEST:
            raise InvalidRequest(f"{name} has {_too_large(size)}", field=field)
        data = path.read_bytes()
    except FileNotFoundError:
        raise InvalidRequest(f"{name}: there is no such file: check its name", field=field) from None
    except (OSError, ValueError) as fault:
        said = getattr(fault, "strerror", None) or type(fault).__name__
        raise InvalidRequest(f"{name}: cannot be read ({said})", field=field) from None
    return _seen(data, f"{name}: ", field)


def _too_large(size: int) -> str:
    return f"{size / 2**20:,.0f} MB; at most {LARGEST >> 20} are read: make it smaller"


def _bytes(source: object, field: str) -> bytes:
    """What another thing holds, or gives from where it stands. Raises `InvalidRequest`."""
    read = getattr(source, "read", None)
    try:
        data: object = read(LARGEST + 1) if callable(read) else getattr(source, "data", None)
    except (OSError, ValueError) as fault:  # ValueError: a file that is closed
        said = getattr(fault, "strerror", None) or fault
        raise InvalidRequest(f"the picture cannot be read ({said})", field=field) from None
    if isinstance(data, bytes | bytearray | memoryview):
        found = bytes(cast("bytes | bytearray", data))
        if len(found) > LARGEST:
            raise InvalidRequest(f"the open file has more than {LARGEST >> 20} MB: make it smaller", field=field)
        return found
    if isinstance(data, str):
        raise InvalidRequest('the file is open for text: open it for its bytes, open(path, "rb")', field=field)
    kind = type(source).__name__
    said = f"an image is bytes, a path, an address, an open file or a picture of a result, not {kind}"
    raise InvalidRequest(said, field=field)


def _seen(data: bytes, where: str, field: str) -> InputImage:
    try:
        return InputImage.of(data)
    except InvalidRequest as error:
        raise InvalidRequest(f"{where}{error}", field=field) from None
