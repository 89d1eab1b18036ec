"""Pictures of another make: valid, small, and different for each prompt where the format leaves room for a word."""

from __future__ import annotations

from base64 import b64decode
from functools import cache
from hashlib import sha256
from struct import pack
from zlib import compress, crc32

_JPEG = b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDABALDA4MChAODQ4SERATGCgaGBYWGDEjJR0oOjM9PDkzODdASFxOQERXRTc4UG1RV19iZ2hnPk1xeXBkeFxlZ2P/"
    "wAALCAAIAAgBAREA/8QAHwAAAQUBAQEBAQEAAAAAAAAAAAECAwQFBgcICQoL/8QAtRAAAgEDAwIEAwUFBAQAAAF9AQIDAAQRBRIhMUEGE1FhByJxFDKBkaEI"
    "I0KxwRVS0fAkM2JyggkKFhcYGRolJicoKSo0NTY3ODk6Q0RFRkdISUpTVFVWV1hZWmNkZWZnaGlqc3R1dnd4eXqDhIWGh4iJipKTlJWWl5iZmqKjpKWmp6ip"
    "qrKztLW2t7i5usLDxMXGx8jJytLT1NXW19jZ2uHi4+Tl5ufo6erx8vP09fb3+Pn6/9oACAEBAAA/ACv/2Q=="
)
_WEBP = b64decode("UklGRh4AAABXRUJQVlA4TBEAAAAvB8ABAAdQwAIWsP+BiOh/AAA=")
_GIF = b64decode("R0lGODdhCAAIAIEAAICAgAAAAAAAAAAAACwAAAAACAAIAAAIDwABCBxIsKDBgwgTKkwYEAA7")


def digest(prompt: str, sample: int) -> str:
    """What tells one picture from another."""
    return sha256(f"{prompt}\n{sample}".encode()).hexdigest()


def picture(form: str, size: str, prompt: str, sample: int) -> bytes:
    """A picture of the prompt in a format: "png", "jpeg", "webp", "gif" or "svg"."""
    mark = digest(prompt, sample)
    if form == "png":
        width, height = (int(side) for side in size.split("x"))
        head, grey = _plain(width, height)
        return head + _chunk(b"tEXt", b"Comment\0" + mark.encode()) + grey
    if form == "jpeg":
        comment = mark.encode()
        return _JPEG[:2] + b"\xff\xfe" + pack(">H", len(comment) + 2) + comment + _JPEG[2:]
    if form == "svg":
        return f'<?xml version="1.0"?>\n<!-- {mark} -->\n<svg xmlns="http://www.w3.org/2000/svg"/>\n'.encode()
    return {"webp": _WEBP, "gif": _GIF}[form]


def _chunk(name: bytes, data: bytes) -> bytes:
    return pack(">I", len(data)) + name + data + pack(">I", crc32(name + data))


@cache
def _plain(width: int, height: int) -> tuple[bytes, bytes]:
    """A black PNG of one bit a pixel, in two parts between which more chunks may stand."""
    head = _chunk(b"IHDR", pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    rows = compress((b"\0" + b"\0" * ((width + 7) // 8)) * height, 9)
    return b"\x89PNG\r\n\x1a\n" + head, _chunk(b"IDAT", rows) + _chunk(b"IEND", b"")
