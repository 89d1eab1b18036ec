"""What servers put around and between base64: line breaks, spaces, and the beginning of a data URI."""

from __future__ import annotations

SPACE = b" \t\r\n"
"""What is left out wherever it stands, as in base64 of mails."""

LONGEST = 256
"""How long the beginning of a data URI may be, its comma included."""

_SCHEME = b"data:"
_ENCODING = b";base64"


class Unwrapper:
    """Takes the text of one picture in any split, and gives the base64 in it.

    A beginning that is not that of a data URI in base64 is given as it came: whoever decodes refuses it.
    """

    def __init__(self) -> None:
        self._head: bytes | None = b""

    def feed(self, text: bytes | memoryview) -> bytes | memoryview:
        """What is certain now of a piece without white space."""
        if self._head is None:
            return text
        head = self._head + text
        if head[: len(_SCHEME)].lower() != _SCHEME[: len(head)]:
            return self._over(head)
        comma = head.find(b",", 0, LONGEST)
        if comma >= 0:
            return self._over(head[comma + 1 :] if head[:comma].lower().endswith(_ENCODING) else head)
        if len(head) >= LONGEST:
            return self._over(head)
        self._head = head
        return b""

    def finish(self) -> bytes:
        """What was held back."""
        return self._over(self._head or b"")

    def _over(self, rest: bytes) -> bytes:
        self._head = None
        return rest


def dense(data: bytes, at: int, end: int) -> bytes | memoryview:
    """A stretch of text without white space; no copy where there is none."""
    if all(data.find(sign, at, end) < 0 for sign in _SIGNS):
        return memoryview(data)[at:end]
    return data[at:end].translate(None, SPACE)


_SIGNS = tuple(bytes([sign]) for sign in SPACE)
