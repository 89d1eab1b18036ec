"""Backdrops for the painter: a few kinds of sky, several of each kind, kept once they are painted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import exp, sin, sqrt

from attrs import frozen

from penstock.simulation._canvas import DISC, RINGS, SKY, STAR, coarseness, glow, widen
from penstock.simulation._dice import Dice, ridge

__all__ = ["KINDS", "VARIANTS", "Backdrop", "backdrop"]

VARIANTS = 3
"""Skies of a kind."""

BRIGHTER = tuple(
    bytes(min(SKY - 1, index + step) if index < SKY else index for index in range(256)) for step in range(8)
)
"""Tables that make a sky so many steps brighter."""

CLOUD = tuple(
    bytes(
        SKY - 1 - int((SKY - 1 - index) * share) if index < SKY else SKY - 2 if index >= DISC else index
        for index in range(256)
    )
    for share in (0.72, 0.75, 0.78)
)
"""Tables that lay a veil over a sky, and over the sun in it."""


CLAMP = bytes(range(SKY)) + bytes((SKY - 1,)) * 256
"""Adding: the slice from `a` on maps a glow to the colour of the sky that is `a` steps brighter."""


@frozen
class Backdrop:
    """A sky without land. `light` is where its sun or moon stands, a share of the width; None where it has none."""

    rows: tuple[bytes, ...]
    light: float | None


@lru_cache(maxsize=12)
def backdrop(kind: str, variant: int, width: int, height: int) -> Backdrop:
    """A sky: `kind` is one of `KINDS`, `variant` below `VARIANTS`."""
    sky = _Sky(width, height, Dice(f"{kind} {variant}"), variant % 2 == 1)
    KINDS[kind](sky)
    return Backdrop(tuple(bytes(row) for row in sky.rows), sky.light)


class _Sky:
    """Rows of a sky in the making."""

    def __init__(self, width: int, height: int, dice: Dice, mirrored: bool) -> None:
        self.width = width
        self.height = height
        self.unit = min(width, height) / 1000
        self.dice = dice
        self.side = -1 if mirrored else 1
        self.light: float | None = None
        self.rows: list[bytes | bytearray] = []

    def fall(self, top: float, base: float, horizon: float) -> Callable[[float], float]:
        """Brightness by row: `top` at the upper edge, `base` from the horizon (a share of the height) on."""

        def level(y: float) -> float:
            share = min(1.0, y / max(1.0, horizon * self.height))
            return top + (base - top) * share * (0.55 + 0.45 * share)

        return level

    def fill(self, fields: Sequence[bytes], level: Callable[[float], float], lights: Sequence[float]) -> None:
        """Paint rows: each field value becomes the light that `lights` says, added to the level of its row.

        A field is as wide as the picture, and there is one every `coarseness` rows. Sums are rounded once: rounding
        both parts would show as a pattern.
        """
        coarse = coarseness(self.width, self.height)
        tables = [bytes(int(light + part / 8) for light in lights).ljust(256, b"\0") for part in range(8)]
        for number, values in enumerate(fields):
            eighths = max(0, min(8 * SKY - 8, int(8 * level(number * coarse))))
            bright = eighths >> 3
            row = values.translate(tables[eighths & 7].translate(CLAMP[bright : bright + 256]))
            self.rows.extend([row] * min(coarse, self.height - number * coarse))

    def sun(
        self, x: float, y: float, radius: float, level: Callable[[float], float], strength: float, reach: float
    ) -> None:
        """A glow around a disc, all in shares of the smaller side but x and y, which are shares of their sides."""
        if self.side < 0:
            x = 1 - x
        self.light = x
        across, down = x * self.width, y * self.height
        longest = max(self.width, self.height)
        wide = reach * min(self.width, self.height) / longest
        lights = [strength * exp(-1.55 * ((ring + 0.5) / RINGS) ** 1.5 / wide) for ring in range(RINGS)]
        self.fill(glow(across, down, self.width, self.height, 1.15), level, lights)
        if radius:
            self.disc(across, down, radius * 1000 * self.unit, DISC)

    def disc(self, x: float, y: float, radius: float, index: int) -> None:
        """A full disc with a softer rim."""
        for row in range(max(0, int(y - radius)), min(self.height, int(y + radius) + 1)):
            rest = radius * radius - (row - y) ** 2
            if rest > 0:
                half = sqrt(rest)
                self._put(row, x - half, x + half, index, index + 1)

    def _put(self, y: int, left: float, right: float, index: int, rim: int) -> None:
        first, last = max(0, int(left)), min(self.width, int(right) + 1)
        if last - first > 2:
            filled = bytes((rim,)) + bytes((index,)) * (last - first - 2) + bytes((rim,))
            self.open(y)[first:last] = filled

    def open(self, y: int) -> bytearray:
        row = self.rows[y]
        if isinstance(row, bytes):
            row = self.rows[y] = bytearray(row)
        return row

    def dots(self, count: int, base: float, spread: float = 0.0) -> None:
        """Stars above `base` (a share of the height); with `spread`, most of them along a band."""
        dice = self.dice
        for _ in range(count):
            y = int(dice.roll() ** 1.3 * base * self.height)
            x = int(dice.roll() * self.width)
            if spread:
                middle = self.band(y)
                x = int(middle + (dice.roll() + dice.roll() + dice.roll() - 1.5) * spread * self.width)
            size = dice.roll()
            big = max(1, int((1 + size * size * size * 2.4) * max(1.0, self.unit)))
            for row in range(y, min(self.height, y + big)):
                if 0 <= x < self.width - big:
                    star = STAR + (0 if size > 0.75 else 1 if size > 0.4 else 2)
                    self.open(row)[x : x + big] = bytes((star,)) * big

    def band(self, y: float) -> float:
        """Where the middle of the Milky Way is in a row."""
        return self.width * (0.5 + self.side * (0.42 - 0.75 * y / self.height))

    def cloud(self, x: float, y: float, size: float) -> None:
        """A heap of puffs over a flat base, brighter towards its middle."""
        dice = self.dice
        puffs: list[tuple[float, float]] = []
        place = x - size / 2
        while place < x + size / 2:
            round_ = 1 - (2 * (place - x) / size) ** 2
            radius = size * (0.06 + (0.08 + 0.08 * dice.roll()) * max(0.0, round_))
            puffs.append((place + radius * 0.6, radius))
            place += radius * 1.1
        coarse = coarseness(self.width, self.height)
        last = min(self.height, int(y) + 1)
        for step, table in enumerate(CLOUD):
            for row in range(max(0, int(y - size * 0.3)), last, coarse):
                down = row - y + step * size * 0.05
                if down <= 0:
                    spans: list[tuple[float, float]] = []
                    for middle, radius in puffs:
                        half = _half(down, radius)
                        if half and spans and middle - half <= spans[-1][1]:
                            spans[-1] = (spans[-1][0], max(spans[-1][1], middle + half))
                        elif half:
                            spans.append((middle - half, middle + half))
                    for each in range(row, min(last, row + coarse)):
                        self.lighten(each, spans, table)

    def lighten(self, y: int, spans: list[tuple[float, float]], table: bytes) -> None:
        end = 0
        row = self.open(y)
        for left, right in spans:
            first, last = int(left), int(right)
            if first < end:
                first = end
            if last > self.width:
                last = self.width
            if first < last:
                row[first:last] = row[first:last].translate(table)
                end = last

    def wisps(self, count: int, low: float, high: float) -> None:
        """Thin long clouds between two shares of the height."""
        dice = self.dice
        for _ in range(count):
            y, x = dice.between(low, high) * self.height, dice.roll() * self.width
            long, thick = dice.between(0.12, 0.4) * self.width, dice.between(3, 11) * self.unit
            for table, part in ((BRIGHTER[4], 1.0), (BRIGHTER[5], 0.6)):
                for row in range(max(0, int(y - thick * part)), min(self.height, int(y + thick * part) + 1)):
                    half = _half(row - y, thick * part) / max(thick, 0.1) * long * part
                    self.lighten(row, [(x - half, x + half)], table)


def _half(down: float, radius: float) -> float:
    rest = radius * radius - down * down
    return sqrt(rest) if rest > 0 else 0.0


def _low_sun(sky: _Sky) -> None:
    dice = sky.dice
    sky.sun(dice.between(0.2, 0.45), dice.between(0.42, 0.52), dice.between(0.05, 0.09), sky.fall(0, 66, 0.7), 46, 0.42)
    sky.wisps(5, 0.12, 0.45)


def _high_sun(sky: _Sky) -> None:
    dice = sky.dice
    sky.sun(dice.between(0.22, 0.4), dice.between(0.16, 0.26), dice.between(0.045, 0.07), sky.fall(6, 76, 0.7), 40, 0.3)
    for number in range(3):
        x = (0.15 + 0.33 * number + 0.2 * dice.roll()) * sky.width
        sky.cloud(x, dice.between(0.22, 0.44) * sky.height, dice.between(200, 380) * sky.unit)


def _big_sun(sky: _Sky) -> None:
    dice = sky.dice
    sky.sun(dice.between(0.36, 0.5), dice.between(0.34, 0.42), dice.between(0.14, 0.2), sky.fall(4, 74, 0.72), 34, 0.5)


def _clouds(sky: _Sky) -> None:
    dice = sky.dice
    sky.sun(dice.between(0.1, 0.4), dice.between(0.5, 0.6), 0, sky.fall(4, 74, 0.72), 38, 0.6)
    for number in range(5):
        size = (180 + 120 * number) * sky.unit
        x = (dice.between(0.0, 0.45) + 0.5 * (number % 2)) * sky.width
        sky.cloud(x, (0.5 - 0.095 * number) * sky.height, size)


def _moon(sky: _Sky) -> None:
    dice = sky.dice
    x, y, radius = dice.between(0.2, 0.42), dice.between(0.16, 0.3), dice.between(0.045, 0.075)
    sky.sun(x, y, 0, sky.fall(0, 58, 0.75), 44, 0.2)
    sky.dots(230, 0.62)
    across, down = (x if sky.side > 0 else 1 - x) * sky.width, y * sky.height
    before = [bytes(row) for row in sky.rows]
    reach = radius * 1000 * sky.unit
    sky.disc(across, down, reach, DISC)
    if dice.roll() < 0.6:
        _bite(sky, before, across + reach * 0.55 * sky.side, down - reach * 0.25, reach * 0.92)


def _bite(sky: _Sky, before: Sequence[bytes], x: float, y: float, radius: float) -> None:
    """Put back what was there, in a circle: a crescent stays."""
    for row in range(max(0, int(y - radius)), min(sky.height, int(y + radius) + 1)):
        half = _half(row - y, radius)
        first, last = max(0, int(x - half)), min(sky.width, int(x + half))
        if first < last:
            sky.open(row)[first:last] = before[row][first:last]


def _milky(sky: _Sky) -> None:
    coarse = coarseness(sky.width, sky.height)
    count = -(-sky.width // coarse)
    rough = ridge(count, 48, 0.62)
    profile = bytes(
        [
            int(127 * exp(-(((place - 2 * count) / (0.19 * count)) ** 2)) * (0.55 + 0.45 * rough[place]))
            for place in range(4 * count)
        ]
    )
    profile = widen(profile, coarse)
    fields: list[bytes] = []
    for y in range(0, sky.height, coarse):
        start = max(0, min(3 * count, int(2 * count - sky.band(y) / coarse))) * coarse
        fields.append(profile[start : start + sky.width])
    sky.fill(fields, sky.fall(0, 50, 0.85), [value * 36 / 127 for value in range(128)])
    sky.dots(200, 0.7)
    sky.dots(380, 0.8, 0.16)


def _aurora(sky: _Sky) -> None:
    dice = sky.dice
    coarse = coarseness(sky.width, sky.height)
    count = -(-sky.width // coarse)
    broad, fine = ridge(count, 18, 0.5), ridge(count, 180, 0.6)
    profile = bytes([int(127 * min(1.0, 1.5 * a * a) * (0.55 + 0.45 * b)) for a, b in zip(broad, fine, strict=True)])
    profile = widen(profile, coarse)
    phase, swing = dice.roll() * 6, dice.between(0.05, 0.11) * count
    start, foot = count * (1.2 + dice.roll()), dice.between(0.46, 0.54)
    fades = [bytes([value * fade >> 5 for value in range(128)]).ljust(256, b"\0") for fade in range(33)]
    fields: list[bytes] = []
    for y in range(0, sky.height, coarse):
        share = y / sky.height
        at = int(start + swing * sin(phase + 5 * share) + 0.2 * count * share * sky.side)
        fade = max(0.0, min(1.0, (share - 0.02) * 2.4, (foot + 0.1 - share) * 7))
        fields.append(profile[at * coarse : at * coarse + sky.width].translate(fades[int(32 * fade)]))
    sky.fill(fields, sky.fall(2, 30, 0.8), [value * 84 / 127 for value in range(128)])
    sky.dots(200, 0.6)


def _plain(sky: _Sky) -> None:
    dice = sky.dice
    sky.sun(dice.between(0.3, 0.5), dice.between(0.3, 0.45), 0, sky.fall(40, 60, 1), 48, 0.8)


def _depth(sky: _Sky) -> None:
    """Light from above, for what is under water: brightest at the top, with slanting shafts."""
    dice = sky.dice
    sky.sun(dice.between(0.25, 0.45), -0.05, 0, sky.fall(44, 0, 0.95), 58, 0.42)
    shafts = [
        (
            dice.between(-0.1, 0.9) * sky.width,
            dice.between(0.03, 0.1) * sky.width,
            (0.25 + 0.1 * dice.roll()) * sky.side,
            sky.height * dice.between(0.6, 0.95),
        )
        for _ in range(6)
    ]
    coarse = coarseness(sky.width, sky.height)
    for y in range(0, sky.height, coarse):
        row = sky.open(y)
        for x, wide, lean, long in shafts:
            if y < long:
                first = max(0, int(x + lean * y))
                last = max(first, int(x + lean * y + wide * (1 + y / sky.height)))
                row[first:last] = row[first:last].translate(BRIGHTER[1 + int(5 * (1 - y / long))])
        sky.rows[y : y + coarse] = [bytes(row)] * len(sky.rows[y : y + coarse])


KINDS: dict[str, Callable[[_Sky], None]] = {
    "low sun": _low_sun,
    "high sun": _high_sun,
    "big sun": _big_sun,
    "clouds": _clouds,
    "moon": _moon,
    "milky": _milky,
    "aurora": _aurora,
    "plain": _plain,
    "depth": _depth,
}
