"""Tells a picture's format by its first bytes, never by what was asked for."""

from __future__ import annotations

import re

_CUT = re.compile(rb"(?:[\xc0-\xff]|[\xe0-\xff][\x80-\xbf]|[\xf0-\xff][\x80-\xbf]{2})\Z")
"""A character of UTF-8 whose end is beyond the head."""

_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")
"""What no text has, and nearly every other format within its first bytes."""

_LETTERED = re.compile(r"<!--|<\w+:svg|%PDF|%!PS|P[1-7FfHh]\s|/\* XPM|#define|#\?R")
"""How pictures begin that are written in letters, or may be: SVG, PDF, PostScript, PNM, XPM, XBM, Radiance."""

_FEW = 8
"""Of fewer letters nobody can say what they are."""


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


def is_text(head: bytes) -> bool:
    """Whether it begins as a page, JSON or plain words do, and no picture does: what is sent in place of one.

    `head` are the first bytes (`penstock.wire.sink.HEAD`), or all where there are fewer. What is in doubt is no text.
    """
    if len(head) < _FEW or sniff(head):
        return False
    try:
        text = _CUT.sub(b"", head).decode("utf-8-sig").lstrip()
    except UnicodeDecodeError:
        return False
    return _LETTERED.match(text) is None and _CONTROL.search(text) is None
