"""The images that rows name: looked at once when rows are read, and read again only when a row is submitted.

A plan holds digests alone, however many rows there are. What has changed in between is noticed by its digest.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from weakref import WeakValueDictionary

from attrs import evolve, frozen

from penstock.errors import InvalidRequest
from penstock.requests import ImageRequest, InputImage
from penstock_io.batch.rows import Json, Row
from penstock_io.inputs import ADDRESSES, read_image

MOST = 100
"""Images that one row may name; a model may take fewer."""


@frozen
class Named:
    """What a row is made from, without bytes: `images` and `mask`, and for each of them its file (None: an address)."""

    images: tuple[InputImage, ...] = ()
    mask: InputImage | None = None
    files: tuple[Path | None, ...] = ()


NONE = Named()
"""A row of words alone."""


class Looker:
    """Looks at the files that rows name, at each of them once, below `root`. May wait for the disk."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._seen: dict[str, tuple[InputImage, Path | None]] = {}

    def named(self, image: Json, mask: Json, faults: list[tuple[str, str]]) -> Named:
        """What fields of a row name; what is wrong with them is added to `faults`."""
        names = [] if image is None else image if isinstance(image, list) else [image]
        if image is not None and not 1 <= len(names) <= MOST:
            faults.append(("image", f"must name an image, or a list of 1 to {MOST}"))
            return NONE
        found = [self._look("image", name, faults) for name in names]
        cut = None if mask is None else self._look("mask", mask, faults)
        whole = [one for one in (*found, cut) if one is not None]
        if len(whole) < len(names) + (mask is not None):
            return NONE
        images = tuple([one[0] for one in whole[: len(names)]])
        return Named(images, None if cut is None else cut[0], tuple([file for _, file in whole]))

    def _look(self, field: str, name: Json, faults: list[tuple[str, str]]) -> tuple[InputImage, Path | None] | None:
        if not isinstance(name, str) or not name.strip():
            faults.append((field, "must be a path or an address (https://...) in quotes"))
            return None
        known = self._seen.get(name)
        if known is None:
            try:
                known = self._seen[name] = self._opened(name, field)
            except InvalidRequest as error:
                faults.append((field, str(error)))
        return known

    def _opened(self, name: str, field: str) -> tuple[InputImage, Path | None]:
        if name.lower().startswith(ADDRESSES):
            return InputImage.at(name), None
        path = self._root / name
        return read_image(path, field).bare, path


class Loader:
    """Reads the images of rows that are submitted; rows that are out at the same time share those that are the same."""

    def __init__(self) -> None:
        self._held = WeakValueDictionary[str, InputImage]()

    async def request(self, row: Row) -> ImageRequest | InvalidRequest:
        """What a row asks for, with its bytes; an error where a file is not what it was. Reads in a thread."""
        if not any(row.files):
            return row.request
        return await asyncio.to_thread(self._loaded, row)

    def _loaded(self, row: Row) -> ImageRequest | InvalidRequest:
        request = row.request
        try:
            found = [self._whole(one, file) for one, file in zip(request.inputs, row.files, strict=True)]
        except InvalidRequest as error:
            return error
        count = len(request.images)
        return evolve(request, images=tuple(found[:count]), mask=found[count] if len(found) > count else None)

    def _whole(self, image: InputImage, file: Path | None) -> InputImage:
        if file is None:
            return image
        held = self._held.get(image.digest)
        if held is not None:
            return held
        found = read_image(file, "image")
        if found != image:
            said = "has changed since the rows were read: the same command again takes it as it is then"
            raise InvalidRequest(f"{file}: {said}", field="image")
        self._held[found.digest] = found
        return found
