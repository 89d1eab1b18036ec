"""Scenes for the painter: landscapes."""

from __future__ import annotations

from penstock.simulation._canvas import Layer
from penstock.simulation._land import (
    JAGGED,
    ROLLING,
    ROUGH,
    Scene,
    birds,
    facets,
    hill,
    hills,
    tone,
    water,
    wood,
)
from penstock.simulation._moods import ACCENT, FAR, LIGHT, NEAR, blend, sky

__all__ = ["city", "dunes", "fields", "forest", "lake", "mountains", "sea", "snow"]


def massif(scene: Scene, shore: float) -> list[Layer]:
    """Peaks with snow, a lit and a shaded side."""
    dice, height = scene.dice, scene.height
    air = sky(0.7)
    heights = hill(scene, JAGGED, shore + 0.03, dice.between(0.32, 0.45))
    peak, foot = min(heights), shore * height
    lit, dark = blend(tone(0.22), LIGHT, 0.3), tone(0.55)
    white, blue = blend(LIGHT, sky(0.6), 0.1), blend(LIGHT, blend(tone(0.3), sky(0.3), 0.5), 0.55)
    line = peak + 0.1 * height
    cap = [max(level, line + wave) for level, wave in zip(heights, hill(scene, ROUGH, 0.0, 0.07), strict=True)]
    mirrored = scene.light is not None and scene.light > scene.width / 2
    shaded = facets(heights, 1.9 * scene.grain, mirrored=mirrored)
    return [
        Layer(heights, scene.plain(white), scene.edge(white, sky(0.5))),
        Layer(shaded, scene.plain(blue)),
        Layer(cap, scene.ramp(lit, blend(lit, air, 0.6), peak, foot, 14)),
        Layer(list(map(max, shaded, cap)), scene.ramp(dark, blend(dark, air, 0.55), peak, foot, 14)),
    ]


def mountains(scene: Scene) -> None:
    """Peaks over ranges in haze, with pines in front."""
    shore = scene.dice.between(0.62, 0.7)
    layers = [
        *massif(scene, shore),
        *hills(scene, 2 + scene.detail // 4, ROUGH, shore - 0.04, 0.8, 0.12, tone(0.4, 0.4)),
    ]
    layers.append(wood(scene, hill(scene, ROLLING, 0.97, 0.12), 150 * scene.unit))
    scene.land(layers)
    birds(scene, scene.dice.whole(0, 5), 0.2, 0.34)


def lake(scene: Scene) -> None:
    """Peaks in still water."""
    shore = scene.dice.between(0.6, 0.68)
    layers = [*massif(scene, shore - 0.02), *hills(scene, 1, ROUGH, shore - 0.06, shore, 0.1, tone(0.4, 0.4))]
    layers.append(wood(scene, hill(scene, ROLLING, shore + 0.012, 0.03), 52 * scene.unit, 1.2, 0.35))
    scene.land(layers)
    water(scene, int(shore * scene.height), rough=0.7)
    count, side = scene.columns, scene.dice.roll() < 0.5
    ground = [
        scene.height * (0.93 + 0.16 * ((x if side else count - x) / count) ** 1.5) - 0.02 * level
        for x, level in enumerate(hill(scene, ROLLING, 1.0, 1.0))
    ]
    scene.land([wood(scene, ground, 190 * scene.unit, 0.8)])


def sea(scene: Scene) -> None:
    """Open water with islands and a sail."""
    dice, height, width = scene.dice, scene.height, scene.width
    shore = dice.between(0.54, 0.62)
    middles = (dice.between(0.02, 0.4) * width, dice.between(0.6, 0.98) * width)
    isles: list[Layer] = []
    for layer, middle in zip(hills(scene, 2, ROUGH, shore - 0.015, shore + 0.005, 0.11), middles, strict=True):
        sink = 0.9 * height / (width * width)
        places = range(0, width, scene.grain)
        sunk = [level + sink * (x - middle) ** 2 for x, level in zip(places, layer.heights, strict=True)]
        isles.append(Layer(sunk, layer.ramp, layer.edge))
    scene.land(isles)
    middle = scene.light if scene.light is not None else dice.between(0.3, 0.7) * width
    water(scene, int(shore * height), light=middle)
    away = width * dice.between(0.14, 0.3) * (-1 if middle > width / 2 else 1)
    sail(scene, middle + away, (shore + dice.between(0.08, 0.17)) * height, dice.between(80, 130) * scene.unit)
    birds(scene, dice.whole(2, 6), 0.22, 0.4)


def sail(scene: Scene, x: float, y: float, size: float) -> None:
    """A small boat under sail."""
    white = scene.colours([blend(LIGHT, sky(1), 0.2), blend(LIGHT, FAR, 0.45), NEAR])
    for row in range(int(size)):
        share = row / size
        scene.span(int(y - size * 1.12) + row, x + 2, x + 2 + size * 0.42 * share + 1, white)
        scene.span(int(y - size * 0.95) + int(row * 0.86), x - size * 0.34 * share - 1, x - 2, white + 1)
    hull = max(1, int(size * 0.16))
    for row in range(hull):
        inset = size * 0.12 * row / hull
        scene.span(int(y - size * 0.08) + row, x - size * 0.5 + inset, x + size * 0.55 - inset, white + 2)


def dunes(scene: Scene) -> None:
    """Sand, lit on one side of each crest."""
    dice, height = scene.dice, scene.height
    mirrored = scene.light is None or scene.light > scene.width / 2
    layers = hills(scene, 1, ROUGH, 0.56, 0.6, 0.06)
    count = 4
    for number in range(count):
        share = number / (count - 1)
        heights = hill(scene, (22 - 4 * number, 0.3), 0.66 + 0.3 * share + 0.05, 0.14 + 0.1 * share)
        lit = blend(blend(sky(0.62), FAR, 0.3), NEAR, 0.1 + 0.2 * share)
        dark = blend(lit, NEAR, 0.3 + 0.25 * share)
        peak, low = min(heights), min(heights) + 0.3 * height
        lean = (0.8 + 0.5 * share) * height / scene.columns
        layers += [
            Layer(heights, scene.ramp(lit, blend(lit, sky(0.8), 0.3), peak, low, 9), scene.edge(lit, sky(0.75))),
            Layer(facets(heights, lean, mirrored=mirrored), scene.ramp(dark, blend(dark, lit, 0.5), peak, low, 9)),
        ]
    scene.land(layers)
    birds(scene, dice.whole(0, 4), 0.2, 0.4)


def forest(scene: Scene) -> None:
    """Rows of pines, each nearer one darker, in haze."""
    count = 5 + scene.detail // 3
    layers = hills(scene, 1, ROUGH, 0.44, 0.5, 0.12)
    for number in range(count):
        share = number / (count - 1)
        ground = hill(scene, ROLLING, 0.62 + 0.42 * share**1.3, 0.1)
        layers.append(wood(scene, ground, (70 + 250 * share**1.5) * scene.unit, 1.1, 0.85 - 0.85 * share))
    scene.land(layers)
    birds(scene, scene.dice.whole(0, 4), 0.15, 0.3)


def snow(scene: Scene) -> None:
    """White hills with pines, and flakes in the air."""
    dice, height = scene.dice, scene.height
    layers = [*massif(scene, 0.6)]
    count = 3
    for number in range(count):
        share = number / (count - 1)
        ground = hill(scene, ROLLING, 0.66 + 0.3 * share + 0.04, 0.12)
        layers.append(wood(scene, ground, (44 + 120 * share) * scene.unit, 0.5 - 0.12 * share, 0.55 - 0.5 * share))
        white = blend(LIGHT, blend(FAR, sky(0.5), 0.5), 0.55 - 0.45 * share)
        drift = [level - 4 * scene.unit for level in ground]
        layers.append(
            Layer(drift, scene.ramp(white, blend(white, FAR, 0.5), min(drift), min(drift) + 0.24 * height, 9))
        )
    scene.land(layers)
    flake = scene.colours([blend(LIGHT, sky(0.9), 0.1), blend(LIGHT, sky(0.6), 0.4)])
    for _ in range(150 + 40 * scene.detail):
        size = dice.roll() ** 3 * 5 * scene.unit + 1
        scene.blob(dice.roll() * scene.width, dice.roll() * height, size, size, flake + (size < 2))


def fields(scene: Scene) -> None:
    """Rolling country: slopes in furrows, round trees between them."""
    height = scene.height
    layers = hills(scene, 2, ROUGH, 0.5, 0.54, 0.08)
    count = 4
    for number in range(count):
        share = number / (count - 1)
        colour = blend(tone(0.25 + 0.45 * share), ACCENT, 0.14 if number % 2 else 0.0)
        colour = blend(colour, sky(0.8), 0.3 - 0.3 * share)
        ground = hill(scene, ROLLING, 0.64 + 0.34 * share + 0.04, 0.1 + 0.06 * share)
        dark = blend(colour, NEAR, 0.5)
        layers.append(Layer(bushes(scene, ground, (12 + 26 * share) * scene.unit), scene.plain(dark)))
        ramp = scene.ramp(colour, blend(colour, NEAR, 0.35), min(ground), min(ground) + 0.3 * height, 8)
        layers.append(Layer(ground, ramp, scene.edge(colour, tone(0.4, 0.4))))
        if number % 2:
            furrow = scene.ramp(blend(colour, sky(0.9), 0.22), colour, min(ground), min(ground) + 0.3 * height, 6)
            down = 0.0
            for line in range(4):
                down += (10 + 8 * line) * scene.unit * (0.6 + share)
                lean = down * 0.5 / scene.columns
                lowered = [level + down + lean * x for x, level in enumerate(ground)]
                layers.append(Layer(lowered, ramp if line % 2 else furrow))
    scene.land(layers)
    birds(scene, scene.dice.whole(1, 5), 0.2, 0.4)


def bushes(scene: Scene, ground: list[float], size: float) -> list[float]:
    """The ground with round trees here and there."""
    heights, dice, count, grain = list(ground), scene.dice, scene.columns, scene.grain
    for _ in range(9):
        middle, radius = int(dice.roll() * count), size * dice.between(0.5, 1.2)
        half = radius / grain
        for x in range(max(0, int(middle - half)), min(count, int(middle + half) + 1)):
            rest = radius * radius - (grain * (x - middle)) ** 2
            if rest > 0:
                heights[x] = min(heights[x], ground[middle] - radius * 0.4 - rest**0.5)
    return heights


def city(scene: Scene) -> None:
    """Towers with lit windows over water."""
    dice, height, unit = scene.dice, scene.height, scene.unit
    shore = dice.between(0.7, 0.76)
    layers: list[Layer] = []
    lots: list[tuple[int, int, int]] = []
    for number in range(3):
        share = number / 2
        colour = tone(0.25 + 0.7 * share, 0.3 - 0.3 * share)
        heights = [height * 1.0] * scene.columns
        x = -int(20 * unit)
        while x < scene.width:
            wide = max(2, int(dice.between(34, 92) * unit))
            crowd = 1 - abs(2 * x / scene.width - 1) ** 2 * 0.55
            top = shore * height - dice.between(90, 430 - 90 * number) * unit * crowd
            first, last = (max(0, edge) // scene.grain for edge in (x, x + wide))
            heights[first:last] = [top] * (last - first)
            if number:
                lots.append((x, int(top), wide))
            x += wide + int(dice.pick((0, 0, 6, 16)) * unit)
        heights = heights[: scene.columns]
        layers.append(Layer(heights, scene.ramp(colour, blend(colour, sky(0.8), 0.3), 0.3 * height, shore * height, 9)))
    scene.land(layers)
    lamp = scene.colours([blend(LIGHT, ACCENT, 0.45), blend(LIGHT, ACCENT, 0.75)])
    floor, pane = max(3, int(17 * unit)), max(1, int(7 * unit))
    for x, top, wide in lots:
        for y in range(top + floor, int(shore * height) - floor, floor):
            for left in range(x + pane, x + wide - pane, max(2, int(15 * unit))):
                if dice.roll() < 0.3:
                    for row in range(y, y + max(1, int(9 * unit))):
                        scene.span(row, left, left + pane, lamp + (left & 1))
    water(scene, int(shore * height), light=scene.light, rough=1.2)
