"""Scenes for the painter: things rather than landscapes, and a few patterns."""

from __future__ import annotations

from math import cos, pi, sin, sqrt
from operator import mul, sub

from penstock.simulation._canvas import Layer
from penstock.simulation._land import ROLLING, ROUGH, Scene, birds, hill, hills, tone, water, wood
from penstock.simulation._moods import ACCENT, FAR, LIGHT, NEAR, Mixture, blend, shades, sky

__all__ = ["arcs", "balloons", "birches", "bloom", "lighthouse", "planet", "reef", "still", "waves"]


def ball(scene: Scene, x: float, y: float, radius: float, first: Mixture, last: Mixture, steps: int = 16) -> None:
    """A ball lit from above on the left: rings from the shaded rim to the light."""
    start = scene.colours(shades(last, first, steps))
    for step in range(steps):
        share = step / steps
        scene.blob(
            x - 0.3 * radius * share,
            y - 0.34 * radius * share,
            radius * (1 - share),
            radius * (1 - share),
            start + step,
        )


def lighthouse(scene: Scene) -> None:
    """A tower on a rock in the sea, its lamp lit."""
    dice, height, width, unit = scene.dice, scene.height, scene.width, scene.unit
    shore = dice.between(0.64, 0.7)
    side = scene.light is not None and scene.light < width / 2
    x = width * (dice.between(0.66, 0.78) if side else dice.between(0.22, 0.34))
    scene.land(hills(scene, 1, ROUGH, shore - 0.02, shore, 0.06))
    water(scene, int(shore * height), light=scene.light)
    rough = hill(scene, ROUGH, 1.0, 1.0)
    rock = [
        (shore + 0.17 - 0.2 * bell(at - x, 0.17 * width)) * height - 0.035 * level * bell(at - x, 0.2 * width)
        for at, level in zip(range(0, width, scene.grain), rough, strict=True)
    ]
    stone = scene.ramp(tone(0.75), NEAR, min(rock), min(rock) + 0.2 * height, 8)
    scene.land([Layer(rock, stone, scene.edge(NEAR, FAR))])
    base, top, wide = min(rock) + 12 * unit, min(rock) - 330 * unit, 46 * unit
    lamp = scene.colours(
        [LIGHT, blend(LIGHT, ACCENT, 0.3), ACCENT, blend(ACCENT, NEAR, 0.45), NEAR, blend(LIGHT, FAR, 0.2)]
    )
    _beam(scene, x, top - 22 * unit, 1 if side else -1)
    shade = scene.colours([blend(blend(LIGHT, FAR, 0.2), NEAR, 0.42)])
    for y in range(int(top), int(base)):
        share = (y - top) / (base - top)
        half = wide * (0.62 + 0.38 * share)
        band = int(share * 5) % 2
        scene.span(y, x - half, x + half * 0.25, lamp + (2 if band else 5))
        scene.span(y, x + half * 0.25, x + half, lamp + 3 if band else shade)
    scene.blob(x, top - 46 * unit, 30 * unit, 30 * unit, lamp + 3)
    for y in range(int(top - 46 * unit), int(top)):
        scene.span(y, x - 26 * unit, x + 26 * unit, lamp + (4 if y > top - 9 * unit else 0))
    scene.span(int(top - 46 * unit), x - 34 * unit, x + 34 * unit, lamp + 4)
    birds(scene, dice.whole(2, 5), 0.2, 0.36)


def bell(away: float, wide: float) -> float:
    """A bump of height 1, long flat feet on both sides."""
    return 1 / (1 + (away / max(wide, 0.01)) ** 4)


def _beam(scene: Scene, x: float, y: float, side: int) -> None:
    """A lighter wedge across the sky."""
    tables = [bytes([min(111, at + step) if at < 112 else at for at in range(256)]) for step in (6, 7, 8)]
    long = scene.width
    for row in range(scene.height):
        for table, open_ in zip(tables, (0.16, 0.11, 0.06), strict=True):
            away = abs(row - y + 0.05 * scene.unit) / open_
            if away < long:
                near, far = (x + away, x + long) if side > 0 else (x - long, x - away)
                scene.shade(row, near, far, table)


def balloons(scene: Scene) -> None:
    """Hot air balloons over hills in haze."""
    dice, unit = scene.dice, scene.unit
    scene.land([*hills(scene, 4, ROUGH, 0.7, 0.92, 0.12), wood(scene, hill(scene, ROLLING, 1.04, 0.1), 60 * unit)])
    for number in range(4):
        size = (118, 66, 46, 32)[number] * unit
        x = scene.width * ((0.3, 0.7, 0.52, 0.86)[number] + dice.between(-0.09, 0.09))
        y = scene.height * ((0.34, 0.26, 0.52, 0.5)[number] + dice.between(-0.06, 0.06))
        _balloon(scene, x, y, size, 0.16 * number, number % 2 == 0)


def _balloon(scene: Scene, x: float, y: float, size: float, air: float, warm: bool) -> None:
    one, two = (ACCENT, LIGHT) if warm else (blend(FAR, NEAR, 0.5), blend(ACCENT, LIGHT, 0.5))
    first = scene.colours(
        [blend(blend(colour, NEAR, dark), sky(0.7), air) for dark in (0, 0.16, 0.34) for colour in (one, two)]
    )
    # nine gores, each as wide as it looks from the front, and the darker the further right
    gores = [bytes((first + 2 * (0 if gore < 5 else 1 if gore < 8 else 2) + gore % 2,)) for gore in range(1, 10)]
    edges = [-cos(pi * gore / 9) for gore in range(10)]
    ropes = scene.colours([blend(NEAR, sky(0.7), air)])
    for row in range(int(2.35 * size)):
        down = row / size - 1
        half = size * (sqrt(max(0.0, 1 - down * down)) if down < 0.35 else max(0.14, 0.94 - (down - 0.35) * 0.83))
        if down > 1.3:
            continue
        places = [int(x + half * edge) for edge in edges]
        parts = map(mul, gores, map(sub, places[1:], places))
        scene.lay(int(y) + row - int(size), places[0], b"".join(parts))
    for row in range(int(0.5 * size)):
        inside = 0.13 * size * (1 - row / size * 0.4)
        level = int(y + 1.28 * size) + row
        if row < 0.24 * size:
            scene.span(level, x - inside, x - inside + max(1.0, 2 * scene.unit), ropes)
            scene.span(level, x + inside, x + inside + max(1.0, 2 * scene.unit), ropes)
        else:
            scene.span(level, x - 0.11 * size, x + 0.11 * size, ropes)


def birches(scene: Scene) -> None:
    """Pale trunks in a wood, light between them."""
    dice, height, width, unit = scene.dice, scene.height, scene.width, scene.unit
    layers = [wood(scene, hill(scene, ROLLING, 0.74, 0.08), 230 * unit, 1.6, 0.75)]
    marks: list[tuple[float, float, int]] = []
    for depth in range(3):
        share = depth / 2
        bark = blend(blend(LIGHT, FAR, 0.25), sky(0.7), 0.5 - 0.5 * share)
        first = scene.colours([bark, blend(bark, NEAR, 0.28), blend(NEAR, sky(0.7), 0.45 - 0.4 * share)])
        lit, shaded = [float(height)] * scene.columns, [float(height)] * scene.columns
        for _ in range(9 - 2 * depth):
            x, half = dice.roll() * width, (9 + 22 * share * dice.between(0.7, 1.3)) * unit
            left, edge, right = (
                max(0, min(scene.columns, int(x + part * half) // scene.grain)) for part in (-1, 0.3, 1)
            )
            lit[left:edge] = [0.0] * (edge - left)
            shaded[edge:right] = [0.0] * (right - edge)
            marks.append((x, half, first + 2))
        ground = hill(scene, ROLLING, 0.84 + 0.13 * share, 0.07)
        moss = blend(blend(tone(0.35 + 0.5 * share), ACCENT, 0.12), sky(0.75), 0.35 - 0.35 * share)
        ramp = scene.ramp(moss, blend(moss, NEAR, 0.4), min(ground), height, 8)
        layers += [
            Layer(lit, scene.solid(first)),
            Layer(shaded, scene.solid(first + 1)),
            Layer(ground, ramp, scene.edge(moss, sky(0.6))),
        ]
    scene.land(layers)
    for x, half, index in marks:
        _bark(scene, x, half, index)


def _bark(scene: Scene, x: float, half: float, index: int) -> None:
    """Dark dashes on a trunk, from its edges inwards."""
    dice = scene.dice
    y = 0.0
    while y < 0.78 * scene.height:
        long = half * dice.between(0.3, 1.1)
        left = x - half if dice.roll() < 0.5 else x + half - long
        for row in range(max(1, int(dice.between(2, 7) * scene.unit))):
            scene.span(int(y) + row, left, left + long, index)
        y += dice.between(14, 64) * max(scene.unit, 0.2)


def planet(scene: Scene) -> None:
    """A ringed planet over a bare moon."""
    dice, height, width, unit = scene.dice, scene.height, scene.width, scene.unit
    x, y, radius = dice.between(0.32, 0.68) * width, dice.between(0.3, 0.4) * height, dice.between(150, 215) * unit
    ring = scene.colours([blend(LIGHT, sky(0.9), 0.5), blend(FAR, LIGHT, 0.3)])
    tilt = dice.between(0.2, 0.3)
    _ring(scene, x, y, radius, tilt, ring, behind=True)
    ball(scene, x, y, radius, blend(ACCENT, LIGHT, 0.45), blend(ACCENT, NEAR, 0.8), 22)
    _ring(scene, x, y, radius, tilt, ring, behind=False)
    ball(scene, width - x * 0.5, y * 0.5 + 40 * unit, 34 * unit, LIGHT, tone(0.5), 8)
    layers: list[Layer] = []
    for number in range(3):
        share = number / 2
        ground = hill(scene, ROUGH if number < 2 else ROLLING, 0.8 + 0.16 * share + 0.04, 0.12)
        colour = blend(FAR, NEAR, 0.2 + 0.5 * share)
        ramp = scene.ramp(blend(colour, LIGHT, 0.12), colour, min(ground), min(ground) + 0.2 * height, 9)
        layers.append(Layer(ground, ramp, scene.edge(colour, sky(0.2))))
    scene.land(layers)
    dip = scene.colours([blend(FAR, NEAR, 0.9), blend(FAR, LIGHT, 0.25)])
    for _ in range(7):
        cx, cy, across = dice.roll() * width, dice.between(0.93, 0.99) * height, dice.between(14, 60) * unit
        scene.blob(cx, cy + 3 * unit, across, across * 0.22, dip + 1)
        scene.blob(cx, cy, across, across * 0.22, dip)


def _ring(scene: Scene, x: float, y: float, radius: float, tilt: float, index: int, *, behind: bool) -> None:
    """A flat ring, half of it: what is behind the planet, or before it."""
    for outer, inner, colour in ((1.9, 1.62, index), (1.56, 1.34, index + 1)):
        for row in range(int(radius * outer * tilt) + 1):
            far = radius * sqrt(max(0.0, outer * outer - (row / radius / tilt) ** 2))
            gap = radius * sqrt(max(0.0, inner * inner - (row / radius / tilt) ** 2))
            level = int(y) - row if behind else int(y) + row
            scene.span(level, x - far, x - gap, colour)
            scene.span(level, x + gap, x + far, colour)


def reef(scene: Scene) -> None:
    """Under water: fish over weeds and stones."""
    dice, height, width, unit = scene.dice, scene.height, scene.width, scene.unit
    layers: list[Layer] = []
    for number in range(3):
        share = number / 2
        ground = hill(scene, ROUGH, 0.8 + 0.2 * share + 0.03, 0.14)
        colour = blend(blend(sky(0.12), FAR, 0.15), NEAR, 0.2 + 0.7 * share)
        layers.append(Layer(_weeds(scene, ground, (90 + 150 * share) * unit), scene.plain(blend(colour, NEAR, 0.25))))
        layers.append(Layer(ground, scene.ramp(colour, NEAR, min(ground), height, 8), scene.edge(colour, sky(0.2))))
    scene.land(layers)
    for school in range(3):
        colour = (blend(ACCENT, sky(0.3), 0.15), blend(NEAR, sky(0.3), 0.35), blend(LIGHT, ACCENT, 0.4))[school]
        index = scene.colours([colour, blend(colour, NEAR, 0.35), NEAR])
        x, y, side = dice.between(0.15, 0.85) * width, dice.between(0.2, 0.62) * height, dice.pick((-1, 1))
        for _ in range((1, 9, 5)[school]):
            size = (74, 17, 26)[school] * dice.between(0.8, 1.15) * unit
            spread = (30, 150, 120)[school] * unit
            _fish(scene, x + dice.between(-spread, spread), y + dice.between(-0.5, 0.5) * spread, size, side, index)
    drop = scene.colours([blend(LIGHT, sky(0.5), 0.35)])
    for _ in range(26):
        size = dice.between(1.5, 6) * unit
        scene.blob(dice.roll() * width, dice.between(0.1, 0.8) * height, size, size, drop)


def _weeds(scene: Scene, ground: list[float], size: float) -> list[float]:
    heights, dice, count = list(ground), scene.dice, scene.columns
    for _ in range(46):
        x, tall, half = (
            int(dice.roll() * count),
            size * dice.between(0.3, 1.0),
            max(2, int(size * dice.between(0.03, 0.09) / scene.grain)),
        )
        for away in range(-half, half + 1):
            if 0 <= x + away < count:
                top = ground[x] - tall * (1 - (away / half) ** 2) ** 0.5
                heights[x + away] = min(heights[x + away], top)
    return heights


def _fish(scene: Scene, x: float, y: float, size: float, side: int, index: int) -> None:
    for row in range(-int(size * 0.45), int(size * 0.45) + 1):
        share = abs(row) / (size * 0.45)
        half = size * sqrt(max(0.0, 1 - share * share))
        colour = index + (row > size * 0.12)
        scene.span(int(y) + row, x - half, x + half, colour)
        tail = size * (0.75 + 0.65 * share)
        near, far = sorted((x - side * size * 0.7, x - side * tail))
        scene.span(int(y) + row, near, far, index + 1)
    eye = max(1.0, size * 0.08)
    scene.blob(x + side * size * 0.62, y - size * 0.08, eye, eye, index + 2)


def still(scene: Scene) -> None:
    """Fruit on a table before a wall, light from the left."""
    dice, height, width, unit = scene.dice, scene.height, scene.width, scene.unit
    edge = dice.between(0.66, 0.72) * height
    top = blend(blend(FAR, NEAR, 0.35), ACCENT, 0.12)
    scene.land(
        [Layer([edge] * scene.columns, scene.ramp(blend(top, LIGHT, 0.18), blend(top, NEAR, 0.6), edge, height, 20))]
    )
    dark = scene.colours(shades(top, blend(top, NEAR, 0.75), 6)[1:])
    kinds = [ACCENT, sky(0.42), blend(ACCENT, sky(0.75), 0.5), blend(ACCENT, sky(0.3), 0.5)]
    stalk = scene.colours([NEAR])
    deep = sorted(dice.roll() for _ in range(5))
    for number, down in enumerate(deep):
        x = width * (0.18 + 0.64 * ((number * 2 % 5) + dice.between(-0.3, 0.3)) / 4)
        foot, radius = edge + (0.05 + 0.15 * down) * height, dice.between(66, 118) * unit
        for step in range(5):
            wide = radius * (1.25 - 0.13 * step)
            scene.blob(x + radius * 0.55, foot - radius * 0.06, wide, wide * 0.2, dark + step)
        colour = kinds[number % 4]
        ball(scene, x, foot - radius * 0.94, radius, blend(colour, LIGHT, 0.55), blend(colour, NEAR, 0.5), 17)
        for row in range(int(radius * 0.3)):
            scene.span(int(foot - radius * 2.02) + row, x - 2 * unit + row * 0.2, x + 3 * unit + row * 0.2, stalk)


def waves(scene: Scene) -> None:
    """Layer upon layer of smooth waves, from the sky's colours into the dark."""
    dice, height, width = scene.dice, scene.height, scene.columns
    layers: list[Layer] = []
    count = 8
    behind = sky(0.8)
    for number in range(count):
        share = number / (count - 1)
        colour = blend(sky(0.75 - 0.75 * share), NEAR if share > 0.5 else FAR, 0.25 + 0.5 * share)
        if number in (2, 5):
            colour = blend(colour, ACCENT, 0.7)
        phase, turns, swing = dice.roll() * 6.3, dice.between(0.6, 1.5), dice.between(0.05, 0.1) * height
        base = (0.3 + 0.66 * share) * height
        step = 2 * pi * turns / width
        heights = [
            base + swing * sin(phase + step * x) + 0.4 * swing * sin(2.3 * step * x - phase) for x in range(width)
        ]
        ramp = scene.ramp(blend(colour, LIGHT, 0.12), blend(colour, NEAR, 0.22), min(heights), base + 0.16 * height, 9)
        layers.append(Layer(heights, ramp, scene.edge(colour, behind)))
        behind = colour
    scene.land(layers)


def arcs(scene: Scene) -> None:
    """A poster: rainbows of concentric arcs."""
    dice, width, height = scene.dice, scene.width, scene.height
    tones = [NEAR, ACCENT, blend(ACCENT, LIGHT, 0.5), FAR, blend(LIGHT, sky(0.8), 0.3), blend(FAR, NEAR, 0.5)]
    index = scene.colours(tones)
    for number in range(5):
        x = width * (0.08 + 0.84 * ((number * 0.37 + dice.roll() * 0.15) % 1))
        y = height * (0.5 + 0.13 * number)
        radius = dice.between(150, 270) * scene.unit
        rings = dice.whole(3, 5)
        for ring in range(rings):
            size = radius * (1 - ring / rings)
            scene.blob(x, y, size, size, index + (number + ring * dice.whole(1, 2)) % len(tones))
        # Only the upper half of the rings stands, on a pillar.
        colour = index + (number + 3) % len(tones)
        for row in range(int(y), height):
            scene.span(row, x - radius, x + radius, colour)


def bloom(scene: Scene) -> None:
    """Flowers on a slope, near and large."""
    dice, width, height, unit = scene.dice, scene.width, scene.height, scene.unit
    ground = hill(scene, ROLLING, 0.9, 0.12)
    meadow = blend(tone(0.5), ACCENT, 0.08)
    scene.land(
        [
            *hills(scene, 2, ROUGH, 0.6, 0.68, 0.1),
            Layer(ground, scene.ramp(meadow, NEAR, min(ground), height, 10), scene.edge(meadow, FAR)),
        ]
    )
    index = scene.colours(
        [
            ACCENT,
            blend(ACCENT, LIGHT, 0.35),
            blend(ACCENT, NEAR, 0.35),
            NEAR,
            blend(LIGHT, ACCENT, 0.2),
            blend(NEAR, FAR, 0.35),
        ]
    )
    for number in range(16):
        share = number / 15
        x, foot = width * ((number * 0.618 + 0.08 * dice.roll()) % 1), height * (0.84 + 0.3 * share)
        size, tall = (
            (20 + 56 * share * dice.between(0.7, 1.2)) * unit,
            (110 + 330 * share) * unit * dice.between(0.75, 1.25),
        )
        lean = dice.between(-0.14, 0.14)
        stalk, bend = bytes((index + 5,)) * (int(4.8 * unit) + 1), lean / tall
        for row in range(max(0, int(foot) - height + 1), int(tall)):
            scene.lay(int(foot) - row, x - 2.4 * unit + bend * row * row, stalk)
        _flower(scene, x + lean * tall, foot - tall, size, index, dice.whole(0, 1))


def _flower(scene: Scene, x: float, y: float, size: float, index: int, turn: int) -> None:
    for petal in range(8):
        angle = 2 * pi * (petal + 0.5 * turn) / 8
        away = size * 0.62
        colour = index + (2 if sin(angle) > 0.5 else 1 if sin(angle) < -0.3 else 0)
        scene.blob(x + away * cos(angle), y + away * sin(angle), size * 0.44, size * 0.44, colour)
    scene.blob(x, y, size * 0.42, size * 0.42, index + 3)
    scene.blob(x - size * 0.06, y - size * 0.08, size * 0.27, size * 0.27, index + 4)
