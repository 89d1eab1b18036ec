"""What the painter paints on: rows of palette indices, made of slices of bytes wherever that is possible.

Smooth fields (the glow around a sun) are rows of one table of distances, moved and translated. Land is painted in
columns, each of them a few slices of its layers' ramps; columns and rows turn into each other by strided slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import cycle
from math import sqrt
from struct import pack
from zlib import DEFLATED, compressobj, crc32

from attrs import field, frozen

from penstock.simulation._dice import Dice
from penstock.simulation._moods import LIGHT, Mixture, blend, shades, sky

__all__ = ["DISC", "SKY", "STAR", "Canvas", "Layer", "Ramp", "chunk", "glow"]

SKY = 112
"""Colours of the sky, from 0 (zenith) up to the brightest glow."""

STAR, DISC = 112, 115
"""Where stars (3) and the sun or moon (2) begin in the palette."""

BASIC: tuple[Mixture, ...] = (
    *(sky(index / (SKY - 1)) for index in range(SKY)),
    LIGHT,
    blend(LIGHT, sky(0.6), 0.4),
    blend(LIGHT, sky(0.4), 0.7),
    LIGHT,
    blend(LIGHT, sky(1.0), 0.5),
)

REACH = 512
"""Pixels of a side of the table of distances."""

RINGS = 128

WEAVE = ((0.05, 0.8, 0.3, 0.55), (0.55, 0.3, 0.8, 0.05))
"""What is added before rounding, row by row, in even and odd columns: a few colours look like many more."""

Ramp = tuple[bytes, bytes]
"""An index for each row of the picture, for even and for odd columns."""

EDGE = 4
"""Steps between a layer and what is behind it."""


@frozen
class Layer:
    """Land with one upper edge: `heights` are rows, one a column; `edge` leads from what lies behind to the layer."""

    heights: Sequence[float]
    ramp: Ramp
    edge: bytes = field(default=b"")


class Canvas:
    """One picture in the making; `rows` begin as those of a sky."""

    def __init__(self, width: int, height: int, rows: Sequence[bytes], dice: Dice) -> None:
        self.width = width
        self.height = height
        self.unit = min(width, height) / 1000
        self.dice = dice
        self.rows: list[bytes | bytearray] = list(rows)
        self.mixtures: list[Mixture] = list(BASIC)

    def colours(self, mixtures: Sequence[Mixture]) -> int:
        """Add to the palette; returns the index of the first."""
        first = len(self.mixtures)
        self.mixtures += mixtures
        return first

    def ramp(self, first: Mixture, last: Mixture, top: float, base: float, steps: int = 12) -> Ramp:
        """Indices for each row of the picture: `first` down to row `top`, from there to `last` at row `base`."""
        start = self.colours(shades(first, last, steps))
        high = max(0, min(self.height, int(top)))
        low = max(high, min(self.height, int(base)))
        span = max(1, low - high)
        places = [(steps - 1) * place / span for place in range(low - high)]
        above, below = bytes((start,)) * high, bytes((start + steps - 1,)) * (self.height - low)
        even, odd = (
            bytes([start + int(place + shift) for place, shift in zip(places, cycle(weave))]) for weave in WEAVE
        )
        return above + even + below, above + odd + below

    def plain(self, mixture: Mixture) -> Ramp:
        """The same for each row."""
        return self.solid(self.colours([mixture]))

    def solid(self, index: int) -> Ramp:
        """An index that the palette has, for each row."""
        column = bytes((index,)) * self.height
        return column, column

    def edge(self, front: Mixture, behind: Mixture) -> bytes:
        """Indices between a layer and what is behind it."""
        start = self.colours(shades(behind, front, EDGE + 2)[1:-1])
        return bytes(range(start, start + EDGE))

    def open(self, y: int) -> bytearray:
        """A row to be changed in place."""
        row = self.rows[y]
        if isinstance(row, bytes):
            row = self.rows[y] = bytearray(row)
        return row

    def span(self, y: int, left: float, right: float, index: int) -> None:
        """Colour one row from `left` to before `right`; what is outside the picture is left out."""
        first, last = int(left), int(right)
        if first < 0:
            first = 0
        if last > self.width:
            last = self.width
        if first < last and 0 <= y < self.height:
            self.open(y)[first:last] = bytes((index,)) * (last - first)

    def shade(self, y: int, left: float, right: float, table: bytes) -> None:
        """Pass one row from `left` to before `right` through a table of 256 indices."""
        first, last = max(0, int(left)), min(self.width, int(right))
        if first < last and 0 <= y < self.height:
            row = self.open(y)
            row[first:last] = row[first:last].translate(table)

    def blob(self, x: float, y: float, across: float, down: float, index: int) -> None:
        """Fill an ellipse of half axes `across` and `down`."""
        for row in range(max(0, int(y - down)), min(self.height, int(y + down) + 1)):
            rest = 1 - ((row - y) / max(down, 0.5)) ** 2
            if rest > 0:
                half = across * sqrt(rest)
                self.span(row, x - half + 0.5, x + half + 0.5, index)

    def land(self, layers: Sequence[Layer]) -> None:
        """Lay layers over what is there, the first the farthest."""
        top = max(0, min((int(min(layer.heights)) for layer in layers), default=self.height))
        deep = self.height - top
        if deep > 0:
            behind = b"".join(self.rows[top:])
            columns = _columns(layers, [behind[x :: self.width] for x in range(self.width)], top, self.height)
            turned = b"".join(columns)
            self.rows[top:] = [turned[row::deep] for row in range(deep)]

    def data(self) -> bytes:
        """The rows as the chunk of a PNG."""
        squeeze = compressobj(2, DEFLATED, 15, 9)
        return chunk(b"IDAT", squeeze.compress(b"\0" + b"\0".join(self.rows)) + squeeze.flush())


def _columns(layers: Sequence[Layer], behind: list[bytes], top: int, height: int) -> list[bytes]:
    """The columns from row `top` on: front to back, each layer keeps what those before it leave free."""
    ends = [height] * len(behind)
    pieces: list[list[bytes]] = []
    for layer in reversed(layers):
        ramps = cycle(layer.ramp)
        fine = list(map(int, [EDGE * level for level in layer.heights]))
        if top == 0:
            fine = [level if level > 0 else 0 for level in fine]
        starts = [level >> 2 for level in fine]
        if layer.edge:
            rims = [layer.edge[step : step + 1] for step in (3, 2, 1, 0)]
            pieces.append([ramp[start + 1 : end] for ramp, start, end in zip(ramps, starts, ends, strict=False)])
            pieces.append(
                [rims[level & 3] if start < end else b"" for level, start, end in zip(fine, starts, ends, strict=True)]
            )
        else:
            pieces.append([ramp[start:end] for ramp, start, end in zip(ramps, starts, ends, strict=False)])
        ends = [start if start < end else end for start, end in zip(starts, ends, strict=True)]
    pieces.append([column[: end - top] for column, end in zip(behind, ends, strict=True)])
    return list(map(b"".join, zip(*reversed(pieces), strict=True)))


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return b"".join((pack(">I", len(data)), kind, data, pack(">I", crc32(data, crc32(kind)))))


def coarseness(width: int, height: int) -> int:
    """How many pixels a step of a smooth field is wide and high."""
    return max(1, -(-max(width, height) // REACH))


def glow(x: float, y: float, width: int, height: int, flat: float) -> list[bytes]:
    """How far (x, y) is, 0 to 127, in steps of `coarseness`; `flat` above 1 makes the rings wider than high."""
    table = _distances()
    coarse = coarseness(width, height)
    stride = max(1, REACH // max(width, height))
    start = max(0, REACH - int(min(max(x, 0), width) / coarse * stride))
    end = start + -(-width // coarse) * stride
    return [
        table[min(REACH - 1, int(abs(row - y) / coarse * stride * flat))][start:end:stride]
        for row in range(0, height, coarse)
    ]


@lru_cache(maxsize=1)
def _distances() -> tuple[bytes, ...]:
    """The distance from a point, a row for each step above or below it: rings that grow wider outwards."""
    reach = [(1.55 * REACH * ((ring + 1) / RINGS) ** 1.5) ** 2 for ring in range(RINGS)]
    rings = [bytes((ring,)) for ring in range(RINGS)]
    rows: list[bytes] = []
    for down in range(REACH):
        parts: list[bytes] = []
        before = 0
        for ring, square in enumerate(reach):
            rest = square - down * down
            if rest > 0:
                place = int(sqrt(rest)) + 1
                parts.append(rings[ring] * (place - before))
                before = place
                if before >= REACH:
                    break
        half = b"".join(parts)[:REACH].ljust(REACH, rings[-1])
        rows.append(half[::-1] + half)
    return tuple(rows)
