"""Cuts vectors out of a JSON reply while it arrives, so that no loop stands still for all of them at its end.

Two kinds of text are taken for vectors, wherever they stand: an array of nothing but numbers (NaN and Infinity, too,
which some servers write: such a vector is spoilt, the others of the reply are not), and a string of nothing but base64
that is long enough to be no word. In their place the text keeps `[k]`, the place of the vector in `vectors`. Nothing
else that a reply of this kind says has such a shape, and what is cut in vain is looked at by nobody. What is cut never
spans a quote that begins or ends another string, since between strings stands what is in neither alphabet.
"""

from __future__ import annotations

import json
import re
from binascii import Error, a2b_base64
from math import isfinite, nan
from struct import error as struct_error
from struct import pack, unpack

WIDTH = 4
"""Bytes of a number."""

LONGEST = 1 << 20
"""Bytes of a vector's text beyond which it is not cut, but left to the end."""

SPOILT = b""
"""A vector that has NaN, null, or what is too large for a number: what was asked for has no other one."""

_NUMBERS = rb"(?:[-+0-9.eE,\s]++|NaN|Infinity)"
_VECTOR = re.compile(rb"\[" + _NUMBERS + rb'++\]|"[A-Za-z0-9+/]{64,}={0,2}"')
_BEGUN = re.compile(rb"(?:\[" + _NUMBERS + rb'*+(?:N|Na|I[nfity]{0,6})?|"[A-Za-z0-9+/]*={0,2})\Z')


class VectorCutter:
    """Takes bytes in any split with `feed`, which gives the text without its vectors; `rest` gives the end of it.

    `vectors` are 32-bit floats, little-endian; None stands for what is none, `SPOILT` for one without a meaning.
    """

    def __init__(self) -> None:
        self.vectors: list[bytes | None] = []
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What is certain now of the text."""
        text = self._held + data if self._held else data
        text = _VECTOR.sub(self._cut, text)
        begun = _BEGUN.search(text, max(0, len(text) - LONGEST))
        if begun is None:
            self._held = b""
            return text
        self._held = text[begun.start() :]
        return text[: begun.start()]

    def rest(self) -> bytes:
        """What was held back: it became no vector."""
        held, self._held = self._held, b""
        return held

    def of(self, place: object) -> bytes | None:
        """The vector of this place; None where it is none."""
        if isinstance(place, int) and not isinstance(place, bool) and 0 <= place < len(self.vectors):
            return self.vectors[place]
        return None

    def _cut(self, found: re.Match[bytes]) -> bytes:
        text = found[0]
        self.vectors.append(from_base64(text[1:-1]) if text[:1] == b'"' else _from_numbers(text))
        return b"[%d]" % (len(self.vectors) - 1)


def from_base64(text: bytes | str) -> bytes | None:
    """A vector of base64; None for what is none."""
    try:
        vector = a2b_base64(text, strict_mode=True)
    except (Error, ValueError):
        return None
    return _finite(vector) if vector and not len(vector) % WIDTH else None


def from_numbers(numbers: list[object]) -> bytes | None:
    """A vector of numbers; None for what is none."""
    try:
        # null is what JSON has for NaN, and what servers write that know no other word
        told = [nan if one is None else one for one in numbers if not isinstance(one, bool)]
        vector = pack(f"<{len(numbers)}f", *told)
    except OverflowError:
        return SPOILT
    except struct_error:
        return None
    return _finite(vector) if vector else None


def _finite(vector: bytes) -> bytes:
    """The vector, unless a number of it is none; a sum of 32-bit floats never overflows."""
    return vector if isfinite(sum(unpack(f"<{len(vector) // WIDTH}f", vector))) else SPOILT


def _from_numbers(text: bytes) -> bytes | None:
    try:
        numbers: list[object] = json.loads(text)
    except ValueError:
        return None
    return from_numbers(numbers)
