"""`multipart/form-data` (RFC 7578) as a pure function both ways: parts to a body, and a body to its parts.

The boundary is a digest of all parts: the same parts make the same bytes, so that what is sent a second time is what
was sent the first time, and no part can hold it, since it would have to hold a digest of itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256

from attrs import field, frozen

MOST_PARTS = 200
"""Parts of a body that is read."""

_BOUNDARY = re.compile(r'multipart/form-data\s*;\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s";,]{1,70}))\s*', re.IGNORECASE)
_HEADER = re.compile(rb"([A-Za-z-]{1,40}):[ \t]*([^\r\n]{0,2000})")
_DISPOSITION = re.compile(r'form-data; name="([^"\r\n]*)"(?:; filename="([^"\r\n]*)")?')
_ESCAPES = (('"', "%22"), ("\r", "%0D"), ("\n", "%0A"))


@frozen
class Part:
    """One field of a form: a text, or with a `filename` a file of a `type` ("image/png").

    `digest` is the SHA-256 of the content in hex where somebody knows it already ("": it is taken here).
    """

    name: str
    content: bytes = field(repr=False)
    filename: str = ""
    type: str = ""
    digest: str = field(default="", eq=False, repr=False)


class BadForm(ValueError):
    """A body that is no form, in words."""


def write(parts: Sequence[Part]) -> tuple[str, bytes]:
    """The content type and the body of a form, its parts in their order; the same for the same parts.

    A text may hold anything. Quotes and line breaks of a name are written as browsers write them (%22, %0D, %0A).
    """
    told = sha256()
    for part in parts:
        digest = part.digest or sha256(part.content).hexdigest()
        for text in (part.name, part.filename, part.type, digest):
            told.update(f"{len(text)}:{text}".encode("utf-8", "surrogatepass"))
    boundary = told.hexdigest()[:32]
    pieces: list[bytes] = []
    for part in parts:
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_escaped(part.name)}"'
        if part.filename:
            head += f'; filename="{_escaped(part.filename)}"'
        if part.type:
            head += f"\r\nContent-Type: {part.type}"
        pieces += (f"{head}\r\n\r\n".encode(), part.content, b"\r\n")
    pieces.append(f"--{boundary}--\r\n".encode())
    return f"multipart/form-data; boundary={boundary}", b"".join(pieces)


def read(content_type: str, body: bytes) -> tuple[Part, ...]:
    """The parts of a form. Raises BadForm for whatever the standard does not allow; nothing is guessed."""
    found = _BOUNDARY.fullmatch(content_type.strip())
    if found is None:
        raise BadForm("the content type names no boundary of a form")
    mark = b"--" + (found[1] or found[2]).encode("ascii", "replace")
    if not body.startswith(mark):
        raise BadForm("the body does not begin with its boundary")
    parts: list[Part] = []
    at = len(mark)
    while body[at : at + 2] == b"\r\n":
        end = body.find(b"\r\n" + mark, at)
        if end < 0:
            raise BadForm("the last part is not closed by the boundary")
        if len(parts) >= MOST_PARTS:
            raise BadForm(f"more than {MOST_PARTS} parts")
        parts.append(_part(body, at + 2, end))
        at = end + 2 + len(mark)
    if body[at:] not in (b"--\r\n", b"--"):
        raise BadForm("something stands behind a boundary")
    return tuple(parts)


def _part(body: bytes, begin: int, end: int) -> Part:
    """The part between two boundaries: heads, an empty line, its content."""
    split = body.find(b"\r\n\r\n", begin, end + 2)
    if split < 0:
        raise BadForm("a part has no empty line behind its heads")
    heads: dict[str, str] = {}
    for line in body[begin:split].split(b"\r\n"):
        found = _HEADER.fullmatch(line)
        if found is None:
            raise BadForm("a head of a part is none")
        name = found[1].decode("ascii").lower()
        if name in heads:
            raise BadForm(f"a part has {name} twice")
        try:
            heads[name] = found[2].decode()
        except UnicodeDecodeError:
            raise BadForm(f"{name} of a part is not UTF-8") from None
    told = _DISPOSITION.fullmatch(heads.get("content-disposition", ""))
    if told is None:
        raise BadForm("a part does not say its name")
    return Part(_plain(told[1]), body[split + 4 : end], _plain(told[2] or ""), heads.get("content-type", ""))


def _escaped(text: str) -> str:
    for sign, written in _ESCAPES:
        text = text.replace(sign, written)
    return text


def _plain(text: str) -> str:
    for sign, written in _ESCAPES:
        text = text.replace(written, sign)
    return text
