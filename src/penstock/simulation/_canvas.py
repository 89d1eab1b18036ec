"""What the painter paints on: rows of palette indices, made of slices of bytes wherever that is possible.

Smooth fields (the glow around a sun) are rows of one table of distances, moved and translated. Land is painted in
columns, each of them a few slices of its layers' ramps; columns and rows turn into each other by strided slices. In a
large picture a column of land is two pixels wide, which halves the work and is not seen.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import cycle
from math import ceil, sqrt
from operator import mul, sub
from struct import pack
from zlib import DEFLATED, Z_FIXED, compressobj, crc32

from attrs import field, frozen

from penstock.simulation._dice import Dice
from penstock.simulation._moods import LIGHT, Mixture, blend, shades, sky

__all__ = ["DISC", "SKY", "STAR", "Canvas", "Layer", "Ramp", "chunk", "glow", "widen"]

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
    """Land with one upper edge: `heights` are rows, one a column of land; `edge` leads from behind to the layer."""

    heights: Sequence[float]
    ramp: Ramp
    edge: bytes = field(default=b"")


class Canvas:
    """One picture in the making; `rows` begin as those of a sky. A column of land is `grain` pixels wide."""

    def __init__(self, width: int, height: int, rows: Sequence[bytes], dice: Dice) -> None:
        self.width = width
        self.height = height
        self.unit = min(width, height) / 1000
        self.grain = 1 if max(width, height) <= REACH else 2
        self.columns = -(-width // self.grain)
        self.dice = dice
        self.rows = list(map(bytearray, rows))
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
        above, below = bytes((start,)) * high, bytes((start + steps - 1,)) * (self.height - low)
        even, odd = (_woven(start, steps, low - high, weave) for weave in WEAVE)
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

    def span(self, y: int, left: float, right: float, index: int) -> None:
        """Colour one row from `left` to before `right`; what is outside the picture is left out."""
        first, last = int(left), int(right)
        if first < 0:
            first = 0
        if last > self.width:
            last = self.width
        if first < last and 0 <= y < self.height:
            self.rows[y][first:last] = bytes((index,)) * (last - first)

    def lay(self, y: int, left: float, pixels: bytes) -> None:
        """Lay pixels into one row, the first of them at `left`; what is outside the picture is left out."""
        first = int(left)
        if first < 0:
            pixels, first = pixels[-first:], 0
        pixels = pixels[: self.width - first]
        if pixels and 0 <= y < self.height:
            self.rows[y][first : first + len(pixels)] = pixels

    def shade(self, y: int, left: float, right: float, table: bytes) -> None:
        """Pass one row from `left` to before `right` through a table of 256 indices."""
        first, last = max(0, int(left)), min(self.width, int(right))
        if first < last and 0 <= y < self.height:
            row = self.rows[y]
            row[first:last] = row[first:last].translate(table)

    def blob(self, x: float, y: float, across: float, down: float, index: int) -> None:
        """Fill an ellipse of half axes `across` and `down`, its middle in the middle of a row."""
        width, height, rows, middle = self.width, self.height, self.rows, int(y)
        full, flat = bytes((index,)) * width, 1 / max(down, 0.5)
        for away in range(int(down) + 1):
            share = away * flat
            half = across * sqrt(1 - share * share) if share < 1 else 0.0
            first, last = int(x - half + 0.5), int(x + half + 0.5)
            if first < 0:
                first = 0
            if last > width:
                last = width
            if first < last:
                pixels = full[first:last]
                if 0 <= middle - away < height:
                    rows[middle - away][first:last] = pixels
                if 0 <= middle + away < height:
                    rows[middle + away][first:last] = pixels

    def land(self, layers: Sequence[Layer]) -> None:
        """Lay layers over what is there, the first the farthest."""
        top = max(0, min((int(min(layer.heights)) for layer in layers), default=self.height))
        deep = self.height - top
        if deep > 0:
            width, grain = self.width, self.grain
            behind = b"".join(self.rows[top:])
            ends, lands = _columns(layers, self.columns, top, self.height)
            columns = [
                behind[x : (end - top) * width : width] + land
                for end, land, first in zip(ends, lands, range(0, width, grain), strict=True)
                for x in range(first, min(first + grain, width))
            ]
            turned = bytearray().join(columns)
            self.rows[top:] = [turned[row::deep] for row in range(deep)]

    def data(self) -> bytes:
        """The rows as the chunk of a PNG."""
        squeeze = compressobj(2, DEFLATED, 15, 8, Z_FIXED)
        return chunk(b"IDAT", squeeze.compress(b"\0".join([b"", *self.rows])) + squeeze.flush())


def _woven(start: int, steps: int, span: int, weave: tuple[float, ...]) -> bytes:
    """Indices from `start` up to `steps` - 1 more, over `span` rows: those that `weave` shifts step up earlier."""
    column = bytearray(span)
    levels = [bytes((start + step,)) for step in range(steps)]
    wide = span / max(1, steps - 1)
    for phase, shift in enumerate(weave):
        count = len(range(phase, span, len(weave)))
        cuts = [ceil(((step - shift) * wide - phase) / len(weave)) for step in range(1, steps)]
        cuts = [0, *[min(max(cut, 0), count) for cut in cuts], count]
        column[phase :: len(weave)] = b"".join(map(mul, levels, map(sub, cuts[1:], cuts)))
    return bytes(column)


def _columns(layers: Sequence[Layer], count: int, top: int, height: int) -> tuple[list[int], list[bytes]]:
    """Where each column of land begins, and the columns: front to back, each layer keeps what those before it leave."""
    ends = [height] * count
    pieces: list[list[bytes]] = []
    for layer in reversed(layers):
        ramps = cycle(layer.ramp)
        fine = [int(EDGE * level) for level in layer.heights]
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
    return ends, list(map(b"".join, zip(*reversed(pieces), strict=True)))


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return b"".join((pack(">I", len(data)), kind, data, pack(">I", crc32(data, crc32(kind)))))


def coarseness(width: int, height: int) -> int:
    """How many pixels a step of a smooth field is wide and high."""
    return max(1, -(-max(width, height) // REACH))


def widen(row: bytes, times: int) -> bytes:
    """Each step of a smooth field so many pixels wide."""
    if times == 1:
        return row
    wide = bytearray(times * len(row))
    for offset in range(times):
        wide[offset::times] = row
    return bytes(wide)


def glow(x: float, y: float, width: int, height: int, flat: float) -> list[bytes]:
    """How far (x, y) is, 0 to 127, a row every `coarseness`; `flat` above 1 makes the rings wider than high."""
    coarse = coarseness(width, height)
    table = _distances(coarse)
    stride = max(1, REACH // max(width, height))
    start = max(0, REACH - int(min(max(x, 0), width) / coarse * stride)) * coarse
    end = start + width * stride
    return [
        table[min(REACH - 1, int(abs(row - y) / coarse * stride * flat))][start:end:stride]
        for row in range(0, height, coarse)
    ]


@lru_cache(maxsize=2)
def _distances(coarse: int) -> tuple[bytes, ...]:
    """The distance from a point, a row for each step above or below it: rings that grow wider outwards."""
    reach = [(1.55 * REACH * ((ring + 1) / RINGS) ** 1.5) ** 2 for ring in range(RINGS)]
    rings = [bytes((ring,)) for ring in range(RINGS)]
    rows: list[bytes] = []
    for down in range(REACH):
        square = down * down
        first, last = bisect_right(reach, square), bisect_left(reach, square + REACH * REACH) + 1
        places = [int(sqrt(other - square)) + 1 for other in reach[first:last]]
        parts = map(mul, rings[first:last], map(sub, places, [0, *places]))
        half = b"".join(parts)[:REACH].ljust(REACH, rings[-1])
        rows.append(widen(half[::-1] + half, coarse))
    return tuple(rows)
