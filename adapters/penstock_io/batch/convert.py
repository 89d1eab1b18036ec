"""Pictures made smaller or into another format once they are there, by Pillow; what was paid for is kept.

The original goes to `originals/` through the journal, and the picture made from it takes its place in `images/`. A
crash in between leaves an original whose picture the next run makes. What cannot be converted stays as it is, with a
warning: moving pictures, drawings (SVG), what is broken, and what is too large to be safe.
"""

from __future__ import annotations

import json
import os
import struct
import warnings
import zlib
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO, TypedDict, cast

from attrs import frozen

from penstock.wire import sniff
from penstock_io.batch.settings import Conversion

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGES, ORIGINALS = "images", "originals"

RECORD = f"{ORIGINALS}/conversions.jsonl"
"""Which picture was made from which original, and how; a line each, the last one counts."""

EXTENSIONS = {"png": ".png", "jpeg": ".jpg", "webp": ".webp"}
HEAD = 4096
"""Bytes in which the root of a drawing is looked for."""

QUALITY = 90
"""Of jpeg and webp where nobody says."""

SIDES = (16, 16_384)
"""Pixels of the longest side that can be asked for."""

PIXELS = 64_000_000
"""Of a picture that is opened, at most; a few kilobytes may claim any number of them."""

_BROKEN = (
    OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, OverflowError,
    ZeroDivisionError, MemoryError, struct.error, zlib.error,
)  # fmt: skip
"""What Pillow raises for pictures that are no pictures. Nothing is written where these are caught."""

_MODES = frozenset(["1", "CMYK", "L", "LA", "P", "PA", "RGB", "RGBA", "YCbCr"])
"""Pixels that Pillow converts as one would expect; of 16 bits a colour it keeps only the darkest."""

_OPENING = Lock()
"""Filters of warnings are the process's, not the thread's."""


class Unconvertible(Exception):
    """A picture that stays as it is, and why."""


def available() -> str | None:
    """None, or why pictures cannot be converted here and what to do."""
    if find_spec("PIL") is not None:
        return None
    return "converting pictures needs Pillow, which is not installed: pip install 'penstock[pictures]'"


def parse_resize(text: str) -> int:
    """The longest side in pixels: "1024". Raises `ValueError`."""
    digits = text.strip().removesuffix("px").strip()
    least, most = SIDES
    if not (digits.isascii() and digits.isdigit() and len(digits) < 9 and least <= int(digits) <= most):
        raise ValueError(f"{text!r} is not a longest side: write pixels from {least} to {most}, such as 1024")
    return int(digits)


def parse_convert(text: str) -> tuple[str, int | None]:
    """A format and its quality: "jpeg:85", "webp", "png". Raises `ValueError`."""
    name, colon, quality = text.strip().lower().partition(":")
    name = "jpeg" if name == "jpg" else name
    if name not in EXTENSIONS:
        raise ValueError(f"{text!r} is not a format: write jpeg, webp or png, with a quality such as jpeg:85")
    if not colon:
        return name, None
    if name == "png":
        raise ValueError(f"{text!r}: png keeps every pixel and has no quality: write png, or webp:{quality or 85}")
    if not (quality.isascii() and quality.isdigit() and len(quality) < 4 and 1 <= int(quality) <= 100):
        raise ValueError(f"{text!r}: a quality is a whole number from 1 to 100, such as {name}:85")
    return name, int(quality)


@frozen
class Made:
    """A picture that was made: its bytes and their format."""

    data: bytes
    format: str


def make(source: BinaryIO, conversion: Conversion) -> Made | None:
    """The picture that `conversion` makes of one; None where there is nothing to change, which its head says.

    It is never enlarged, is turned as its EXIF data says, and loses what only the original can vouch for (EXIF, text,
    signatures). Transparency becomes white where the format has none. Raises `Unconvertible`.
    """
    kind = sniff(source.read(HEAD))
    source.seek(0)
    if kind not in {*EXTENSIONS, "gif"}:
        raise Unconvertible("it is a drawing (SVG)" if kind == "svg" else "it is in no format that can be converted")
    target = conversion.format or (kind if kind in EXTENSIONS else "png")
    try:
        with _open(source) as image:
            width, height = image.size
            if width * height > PIXELS:
                raise Unconvertible(f"it claims {width} x {height} pixels, more than {PIXELS:,}")
            if getattr(image, "n_frames", 1) > 1:
                raise Unconvertible("it moves")
            fits = conversion.longest is None or max(width, height) <= conversion.longest
            if fits and target == kind and conversion.quality is None:
                return None
            return Made(_encode(_pixels(image, target, conversion.longest), target, conversion.quality), target)
    except _BROKEN as fault:
        raise Unconvertible(f"it is broken: {str(fault) or type(fault).__name__}") from fault


def _open(source: BinaryIO) -> Image:
    from PIL import Image  # noqa: PLC0415 - Pillow is an extra, and slow to load

    try:
        with _OPENING, warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(source, formats=("PNG", "JPEG", "WEBP", "GIF"))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as fault:
        raise Unconvertible(f"it claims more than {PIXELS:,} pixels") from fault


def _pixels(image: Image, target: str, longest: int | None) -> Image:
    """Its pixels as `target` can carry them, turned and shrunk."""
    from PIL import Image, ImageOps  # noqa: PLC0415 - as above

    if longest is not None:
        image.draft(None, (longest * 2, longest * 2))  # a JPEG is decoded smaller where that is enough
    clear = image.has_transparency_data
    if image.mode not in _MODES:
        raise Unconvertible(f"its pixels are of an uncommon kind ({image.mode})")
    turned = ImageOps.exif_transpose(image)
    plain = "L" if turned.mode in {"1", "L"} and target != "webp" else "RGB"
    picture = turned.convert("RGBA" if clear else plain)
    if longest is not None:
        picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    if clear and target == "jpeg":
        white = Image.new("RGB", picture.size, "white")
        white.paste(picture, mask=picture.getchannel("A"))
        picture = white
    grey = turned.mode in {"1", "L", "LA"}
    profile = image.info.get("icc_profile")
    picture.info.clear()
    if profile and turned.mode != "CMYK" and grey == (picture.mode == "L"):
        picture.info["icc_profile"] = profile
    return picture


def _encode(picture: Image, target: str, quality: int | None) -> bytes:
    buffer = BytesIO()
    if target == "png":
        picture.save(buffer, "PNG")
    else:
        profile = picture.info.get("icc_profile")
        picture.save(buffer, target.upper(), quality=QUALITY if quality is None else quality, icc_profile=profile)
    return buffer.getvalue()


class _Line(TypedDict):
    original: str
    file: str
    how: str


class Converter:
    """Converts the pictures of a folder. Its methods may be called from several threads, for different pictures.

    `move(old, new)` renames a paid file in the books and on the disk; `warn` is told what stays as it is.
    """

    def __init__(
        self,
        folder: Path,
        conversion: Conversion,
        move: Callable[[str, str], object],
        warn: Callable[[str], object] = lambda _: None,
    ) -> None:
        self._folder = folder
        self._conversion = conversion
        self._how = _how(conversion)
        self._move = move
        self._warn = warn
        self._turn = Lock()
        self._made = {line["original"]: line for line in _read(folder)}
        self._warned: set[str] = set()

    def convert(self, file: str) -> str:
        """What the paid picture `file` (as the journal names it) is shown as: the converted one, made if need be.

        What cannot be converted is returned as it is, and warned of once. Raises `OSError`, and what `move` raises.
        """
        path = PurePosixPath(file)
        if path.parent.as_posix() not in {IMAGES, ORIGINALS}:
            return file
        kept = path.parent.name == ORIGINALS
        before = self._made.get(f"{ORIGINALS}/{path.name}")
        if kept and before is not None and before["how"] == self._how and (self._folder / before["file"]).is_file():
            return before["file"]
        try:
            with (self._folder / file).open("rb") as source:
                made = make(source, self._conversion)
        except Unconvertible as why:
            self._tell(f"{file} stays as it is: {why}")
            return file
        if made is None:
            return self._back(path, before) if kept else file
        return self._replace(path, made, before, kept=kept)

    def _replace(self, path: PurePosixPath, made: Made, before: _Line | None, *, kept: bool) -> str:
        """Put a picture in the place of its original."""
        name = f"{IMAGES}/{path.stem}{EXTENSIONS[made.format]}"
        temporary = self._folder / IMAGES / f".tmp-converted-{path.name}"
        try:
            with temporary.open("wb") as file:
                file.write(made.data)
                file.flush()
                os.fsync(file.fileno())
            return self._put(temporary, path, name, before, kept=kept)
        except OSError:
            with suppress(OSError):  # what is told is why it could not be written
                temporary.unlink(missing_ok=True)
            raise

    def _put(self, temporary: Path, path: PurePosixPath, name: str, before: _Line | None, *, kept: bool) -> str:
        original = path.as_posix()
        if not kept:
            if before is not None and before["file"] != original:  # made of an earlier original of this name
                (self._folder / before["file"]).unlink(missing_ok=True)
            original = self._free(path)
            (self._folder / ORIGINALS).mkdir(exist_ok=True)
            self._move(path.as_posix(), original)
        temporary.replace(self._folder / name)
        if before is not None and before["file"] != name:
            (self._folder / before["file"]).unlink(missing_ok=True)
        self._remember(_Line(original=original, file=name, how=self._how))
        return name

    def _back(self, path: PurePosixPath, before: _Line | None) -> str:
        """There is nothing to change any more: the original is the picture."""
        name = f"{IMAGES}/{path.name}"
        for old in {name, before["file"] if before is not None else name}:
            (self._folder / old).unlink(missing_ok=True)
        self._move(path.as_posix(), name)
        return name

    def _free(self, path: PurePosixPath) -> str:
        """A name in `originals/` that no other picture has."""
        number = 1
        while True:
            name = f"{ORIGINALS}/{path.stem}{f'~{number}' if number > 1 else ''}{path.suffix}"
            there = self._folder / name
            if not there.exists() or there.samefile(self._folder / path):
                return name
            number += 1

    def _tell(self, text: str) -> None:
        with self._turn:
            new = text not in self._warned
            self._warned.add(text)
        if new:
            self._warn(text)

    def _remember(self, line: _Line) -> None:
        with self._turn:
            self._made[line["original"]] = line
            with (self._folder / RECORD).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


def shown_as(folder: Path) -> dict[str, str]:
    """Which pictures were made from which originals, by name in the folder. Raises `OSError`."""
    return {line["original"]: line["file"] for line in _read(folder) if (folder / line["file"]).is_file()}


def made_as(folder: Path, conversion: Conversion) -> set[str]:
    """The originals of which there are pictures made just so, by name in the folder. Raises `OSError`."""
    how = _how(conversion)
    return {line["original"] for line in _read(folder) if line["how"] == how and (folder / line["file"]).is_file()}


def _how(conversion: Conversion) -> str:
    return f"{conversion.longest or '-'} {conversion.format or '-'} {conversion.quality or '-'}"


def _read(folder: Path) -> list[_Line]:
    """The record; a line that a crash cut off is as if its picture had not been made."""
    try:
        text = (folder / RECORD).read_text("utf-8", "replace")
    except FileNotFoundError:
        return []
    lines: list[_Line] = []
    for line in text.splitlines():
        try:
            found: object = json.loads(line)
        except ValueError:
            continue
        if _sound(found):
            lines.append(cast("_Line", found))
    return lines


def _sound(found: object) -> bool:
    """Whether it is a line of the record, naming files where they belong: what it names may be deleted."""
    if not isinstance(found, dict):
        return False
    line = cast("dict[str, object]", found)
    names = (line.get("original"), ORIGINALS), (line.get("file"), IMAGES)
    return isinstance(line.get("how"), str) and all(
        isinstance(name, str) and PurePosixPath(name) == PurePosixPath(folder, PurePosixPath(name).name)
        for name, folder in names
    )
