"""The bytes of images that rows name, read when a row is submitted. What has changed since is noticed by its digest."""

from __future__ import annotations

import asyncio
from pathlib import Path
from weakref import WeakValueDictionary

from attrs import evolve

from penstock.errors import InvalidRequest
from penstock.requests import ImageRequest, InputImage
from penstock_io.batch.rows import Row
from penstock_io.inputs import read_image


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
