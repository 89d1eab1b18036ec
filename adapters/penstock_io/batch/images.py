"""The images that rows name, looked at once when rows are read: a plan holds digests alone, for any number of rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from penstock.errors import InvalidRequest
from penstock.requests import InputImage
from penstock_io.batch.rows import Json
from penstock_io.inputs import ADDRESSES, INLINE, read_image

MOST = 100
"""Images that one row may name; a model may take fewer."""


@frozen
class Named:
    """What a row is made from, without bytes: `images` and `mask`, and of each its file (None: others have it)."""

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
        if isinstance(name, dict):
            return self._uploaded(field, name, faults)
        if not isinstance(name, str) or not name.strip():
            said = 'must be a path or an address (https://...) in quotes, or {"file_id": "file-..."}'
            faults.append((field, said))
            return None
        known = self._seen.get(name)
        if known is None:
            try:
                known = self._seen[name] = self._opened(name, field)
            except InvalidRequest as error:
                faults.append((field, str(error)))
        return known

    @staticmethod
    def _uploaded(
        field: str, said: Mapping[str, Json], faults: list[tuple[str, str]]
    ) -> tuple[InputImage, Path | None] | None:
        """A file that the provider has already."""
        name = said.get("file_id")
        if set(said) != {"file_id"} or not isinstance(name, str):
            faults.append((field, 'must be a path, an address, or {"file_id": "file-..."} and nothing else'))
            return None
        try:
            return InputImage.file(name), None
        except InvalidRequest as error:
            faults.append((field, str(error)))
            return None

    def _opened(self, name: str, field: str) -> tuple[InputImage, Path | None]:
        if name.lower().startswith(ADDRESSES):
            return InputImage.at(name), None
        if name[: len(INLINE)].lower() == INLINE:
            raise InvalidRequest("is a data URL: save its image to a file, and name that", field=field)
        path = self._root / name
        return read_image(path, field).bare, path
