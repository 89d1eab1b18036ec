"""Tells a picture's format by its first bytes, never by what was asked for."""

from __future__ import annotations

import re

_PAGE = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+)?html\b", re.IGNORECASE)


def sniff(head: bytes) -> str:
    """Name the format: "png", "jpeg", "webp", "gif" or "svg"; an empty text for what is none of them."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    # An XML head may be longer than what is kept of a picture; no other kind of picture has one.
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return "svg" if text.startswith((b"<svg", b"<?xml", b"<!DOCTYPE svg")) else ""


def is_page(head: bytes) -> bool:
    """Whether it begins like a page for a browser, as proxies and addresses that have expired send: no picture."""
    return _PAGE.match(head) is not None
