"""Pictures that a picture is made from: `InputImage`, checked by its first bytes before anything is sent."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import cast
from urllib.parse import urlsplit

from attrs import evolve, field, frozen

from penstock.errors import InvalidRequest

FORMATS = ("png", "jpeg", "webp")
"""What an input image may be."""

MOST_PIXELS = 1 << 28
"""Width times height of an image: four times what a large camera takes. A file of some bytes may claim far more."""

LONGEST_URL = 8_192
"""Characters of an address."""

FILE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,199}")
"""What a provider calls a file that was uploaded to it ("file-abc123")."""

_HEX = re.compile(r"[0-9a-f]{64}")
_PNG = b"\x89PNG\r\n\x1a\n"
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a JPEG that begin with its size."""

_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
"""Markers of a JPEG that have nothing after them."""


@frozen
class InputImage:
    """An image that a picture is made from, or its mask: `InputImage.of(bytes)`, `.at(url)` or `.file(file_id)`.

    Its bytes are `data`, or a server fetches it from `url`, or the provider has it as the uploaded file `file_id`; one
    that has none of these only stands for its bytes (`bare`). Two are equal when their `digest` is (64 hex digits: the
    SHA-256 of the bytes, of the address, or of the file's name). `width` and `height` are pixels, 0 where nobody has
    looked; `nbytes` its length. Its repr shows neither bytes nor address. Raises InvalidRequest.
    """

    digest: str
    format: str = field(default="", eq=False)
    width: int = field(default=0, eq=False)
    height: int = field(default=0, eq=False)
    nbytes: int = field(default=0, eq=False)
    has_alpha: bool = field(default=False, eq=False)
    data: bytes = field(default=b"", repr=False, eq=False)
    url: str = field(default="", repr=False, eq=False)
    file_id: str = field(default="", eq=False)

    def __attrs_post_init__(self) -> None:
        if not _HEX.fullmatch(self.digest):
            said = "an input image is made by InputImage.of(bytes), InputImage.at(url) or InputImage.file(file_id)"
            raise InvalidRequest(said, field="images")

    @classmethod
    def of(cls, data: bytes) -> InputImage:
        """The image of these bytes. Raises InvalidRequest for no PNG, JPEG or WebP, a damaged or far too large one."""
        form, size, alpha = _look(bytes(data))
        return cls(sha256(data).hexdigest(), form, *size, len(data), alpha, bytes(data))

    @classmethod
    def at(cls, url: str) -> InputImage:
        """The image at an address that the provider can reach; nobody looks at it here. Raises InvalidRequest."""
        try:
            parts = urlsplit(url)
            known = parts.scheme in ("https", "http") and bool(parts.hostname) and url.isascii() and url.isprintable()
        except ValueError:
            known = False
        if not known or " " in url or len(url) > LONGEST_URL:
            said = f"an address of an image begins with https:// and has at most {LONGEST_URL:,} characters, all ASCII"
            raise InvalidRequest(said, field="images")
        return cls(sha256(url.encode()).hexdigest(), url=url)

    @classmethod
    def file(cls, file_id: str) -> InputImage:
        """The image that was uploaded to the provider under this id, and never changes there. Raises InvalidRequest."""
        if not isinstance(cast("object", file_id), str) or not FILE_ID.fullmatch(file_id):
            said = (
                "a file_id is what the provider called an uploaded file, such as file-abc123: letters, digits, . _ : -"
            )
            raise InvalidRequest(said, field="images")
        return cls(sha256(f"file_id\n{file_id}".encode()).hexdigest(), file_id=file_id)

    @property
    def bare(self) -> InputImage:
        """The same without its bytes, for who only plans."""
        return evolve(self, data=b"")

    @property
    def sendable(self) -> bool:
        """Whether it can be sent: its bytes are here, or others have them."""
        return bool(self.data or self.elsewhere)

    @property
    def elsewhere(self) -> bool:
        """Whether its bytes are behind an address, or at the provider: nobody has looked at them here."""
        return bool(self.url or self.file_id)


def _look(data: bytes) -> tuple[str, tuple[int, int], bool]:
    """Format, pixels, and whether there is an alpha channel, by the bytes alone. Raises InvalidRequest."""
    if not data:
        raise InvalidRequest("an image is empty", field="images")
    try:
        if data.startswith(_PNG):
            form, (size, alpha) = "png", _png(data)
        elif data.startswith(b"\xff\xd8\xff"):
            form, (size, alpha) = "jpeg", (_jpeg(data), False)
        elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            form, (size, alpha) = "webp", _webp(data)
        else:
            said = "an image is none by its first bytes: PNG, JPEG and WebP are taken, convert others"
            raise InvalidRequest(said, field="images")
    except (IndexError, ValueError):
        size, form, alpha = (0, 0), "", False
    if not (size[0] and size[1]):
        raise InvalidRequest("an image breaks off in its head, or is damaged: is the file whole?", field="images")
    pixels = size[0] * size[1]
    if pixels > MOST_PIXELS:
        said = f"{size[0]:,} x {size[1]:,} pixels are {pixels / 1e6:,.0f} million; at most {MOST_PIXELS / 1e6:,.0f}"
        raise InvalidRequest(f"an image's {said} million are taken: make it smaller", field="images")
    return form, size, alpha


def _png(data: bytes) -> tuple[tuple[int, int], bool]:
    """Pixels and alpha: a colour type that has it, or a chunk that makes colours transparent before the pixels."""
    if data[12:16] != b"IHDR":
        raise ValueError("a PNG begins with IHDR")
    size = (int.from_bytes(data[16:20]), int.from_bytes(data[20:24]))
    if data[25] in (4, 6):
        return size, True
    at = 8
    while at + 8 <= len(data):
        kind = data[at + 4 : at + 8]
        if kind in (b"tRNS", b"IDAT", b"IEND"):
            return size, kind == b"tRNS"
        at += 12 + int.from_bytes(data[at : at + 4])
    return size, False


def _jpeg(data: bytes) -> tuple[int, int]:
    at = 2
    while True:
        while data[at] == 0xFF:
            at += 1
        marker = data[at]
        at += 1
        if marker in _FRAMES:
            if at + 7 > len(data):
                raise ValueError("cut off")
            return int.from_bytes(data[at + 5 : at + 7]), int.from_bytes(data[at + 3 : at + 5])
        if marker == 0xDA:
            raise ValueError("pixels before their size")
        if marker not in _ALONE:
            at += max(2, int.from_bytes(data[at : at + 2]))
        if data[at] != 0xFF:
            raise ValueError("no marker where one should be")


def _webp(data: bytes) -> tuple[tuple[int, int], bool]:
    kind, head = data[12:16], data[20:30]
    if len(head) < 10:
        raise ValueError("cut off")
    if kind == b"VP8X":
        return (1 + int.from_bytes(head[4:7], "little"), 1 + int.from_bytes(head[7:10], "little")), bool(head[0] & 0x10)
    if kind == b"VP8L" and head[0] == 0x2F:
        bits = int.from_bytes(head[1:5], "little")
        return (1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)), bool(bits >> 28 & 1)
    if kind == b"VP8 " and head[3:6] == b"\x9d\x01\x2a":
        return (int.from_bytes(head[6:8], "little") & 0x3FFF, int.from_bytes(head[8:10], "little") & 0x3FFF), False
    raise ValueError("another kind of WebP")
