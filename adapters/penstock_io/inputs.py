"""Images that pictures are made from, wherever they are: bytes, files, addresses, pictures of results.

Reading may wait for the disk: what runs on an event loop does it in a thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Protocol, TypeAlias, cast

from penstock.errors import InvalidRequest
from penstock.requests import InputImage

LARGEST = 256 << 20
"""Bytes of a file that is read; a model may take less."""

ADDRESSES = ("https://", "http://")
"""How a text begins that is an address and no path."""


class Picture(Protocol):
    """Whatever has the bytes of a picture, such as the `Image` of a result."""

    @property
    def data(self) -> bytes:
        """Its bytes. May raise `OSError`."""
        ...


ImageSource: TypeAlias = InputImage | Picture | bytes | str | Path
"""What an image may be given as: itself, its bytes, a path, an address, or a picture of a result."""


def read_image(source: ImageSource, field: str = "images") -> InputImage:
    """The image of a source, with its bytes. Raises `InvalidRequest` that names the file and says what is wrong."""
    if isinstance(source, InputImage):
        return source
    if isinstance(source, str) and source.lower().startswith(ADDRESSES):
        return InputImage.at(source)
    if isinstance(source, str | Path):
        return _read(Path(source), field)
    return _seen(source if isinstance(source, bytes) else _bytes(source, field), "", field)


def read_images(sources: ImageSource | Sequence[ImageSource], field: str = "images") -> tuple[InputImage, ...]:
    """The images of one source or several. Raises `InvalidRequest`, also where there is none."""
    if isinstance(sources, list | tuple):
        if not sources:
            raise InvalidRequest("there is no image: an edit is of one at least, `generate` needs none", field=field)
        return tuple([read_image(one, field) for one in cast("Sequence[ImageSource]", sources)])
    return (read_image(cast("ImageSource", sources), field),)


def _read(path: Path, field: str) -> InputImage:
    try:
        told = path.stat()
        if not S_ISREG(told.st_mode):
            kind = "a folder: name an image in it" if S_ISDIR(told.st_mode) else "no file with an end: copy it to one"
            raise InvalidRequest(f"{path}: is {kind}", field=field)
        size = told.st_size
        if size > LARGEST:
            said = f"has {size / 2**20:,.0f} MB; at most {LARGEST >> 20} are read: make it smaller"
            raise InvalidRequest(f"{path}: {said}", field=field)
        data = path.read_bytes()
    except FileNotFoundError:
        raise InvalidRequest(f"{path}: there is no such file: check its name", field=field) from None
    except (OSError, ValueError) as fault:
        said = getattr(fault, "strerror", None) or type(fault).__name__
        raise InvalidRequest(f"{path}: cannot be read ({said})", field=field) from None
    return _seen(data, f"{path}: ", field)


def _bytes(source: object, field: str) -> bytes:
    """What another thing holds. Raises `InvalidRequest`."""
    try:
        data: object = getattr(source, "data", None)
    except OSError as fault:
        raise InvalidRequest(f"the picture cannot be read ({fault.strerror or fault})", field=field) from None
    if isinstance(data, bytes):
        return data
    said = f"an image is bytes, a path, an address or a picture of a result, not {type(source).__name__}"
    raise InvalidRequest(said, field=field)


def _seen(data: bytes, where: str, field: str) -> InputImage:
    try:
        return InputImage.of(data)
    except InvalidRequest as error:
        raise InvalidRequest(f"{where}{error}", field=field) from None
