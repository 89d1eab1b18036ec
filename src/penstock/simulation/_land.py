"""What the painter's scenes are made of: hills, mountains with a lit side, pines, water, birds."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.simulation._canvas import DISC, SKY, Canvas, Layer
from penstock.simulation._dice import Dice, ridge
from penstock.simulation._moods import FAR, LIGHT, NEAR, Mixture, blend, sky
from penstock.simulation._skies import Backdrop

__all__ = ["JAGGED", "ROLLING", "ROUGH", "Scene", "birds", "facets", "hill", "hills", "pines", "water", "wood"]

JAGGED, ROUGH, ROLLING = (20, 0.52), (40, 0.6), (14, 0.3)
"""Lines of hills: how many begin four widths, and how rough they are."""


class Scene(Canvas):
    """A canvas with a sky; `detail` is from 0 (low quality) to 4, `light` the column that light comes from."""

    def __init__(self, width: int, height: int, backdrop: Backdrop, dice: Dice, detail: int) -> None:
        super().__init__(width, height, backdrop.rows, dice)
        self.detail = detail
        self.light = None if backdrop.light is None else backdrop.light * width


def hill(scene: Scene, line: tuple[int, float], base: float, rise: float) -> list[float]:
    """Heights of a piece of a line of hills, between `base` and `base - rise` (shares of the height)."""
    table = ridge(scene.columns, *line)
    first = int(scene.dice.roll() * (len(table) - scene.columns))
    low, swing = base * scene.height, rise * scene.height
    return [low - swing * value for value in table[first : first + scene.columns]]


def hills(
    scene: Scene,
    count: int,
    line: tuple[int, float],
    top: float,
    bottom: float,
    rise: float,
    behind: Mixture | None = None,
) -> list[Layer]:
    """Ranges from far to near, each paler towards its foot; `top` and `bottom` are where the first and last stand.

    `behind` is what is seen over the first one, if it is not the sky.
    """
    layers: list[Layer] = []
    air = sky(0.72)
    behind = air if behind is None else behind
    for number in range(count):
        share = number / max(1, count - 1)
        colour = blend(FAR, NEAR, share * 0.85)
        foot = blend(colour, air, 0.5 - 0.3 * share)
        base = top + (bottom - top) * share
        heights = hill(scene, line, base + rise * (0.4 + 0.3 * share), rise * (1.1 - 0.3 * share))
        ramp = scene.ramp(colour, foot, min(heights), (base + rise * 1.1) * scene.height, 10)
        layers.append(Layer(heights, ramp, scene.edge(colour, behind)))
        behind = foot
    return layers


def facets(heights: Sequence[float], lean: float, *, mirrored: bool) -> list[float]:
    """Where the shaded side of mountains begins, with the light from the left (`mirrored`: from the right).

    `lean` is by how many rows a column the shade gives way.
    """
    line = heights if mirrored else heights[::-1]
    out: list[float] = []
    edge = before = line[0] if line else 0.0
    fall = 0.0
    for height in line:
        fall = 0.92 * fall + 0.08 * (height - before)
        before = height
        edge += lean
        if fall < 0.03 or edge < height:
            edge = height
        out.append(edge)
    # Where the next slope begins, the shade runs out below it instead of ending in a wall.
    edge = out[-1] if out else 0.0
    for place in range(len(out) - 1, -1, -1):
        edge = out[place] = min(out[place], edge + 1.4 * lean)
    return out if mirrored else out[::-1]


def pines(scene: Scene, ground: Sequence[float], size: float, density: float) -> list[float]:
    """The ground with a wood of pines on it; `size` in pixels."""
    heights = list(ground)
    dice, width, grain = scene.dice, scene.width, scene.grain
    x = -size * 0.1
    while x < width + size * 0.1:
        _pine(heights, int(x) // grain, size * dice.between(0.45, 1.0), grain)
        x += max(1.0, size * dice.between(0.12, 0.42) / density)
    return heights


def _pine(heights: list[float], x: int, tall: float, grain: int) -> None:
    count = len(heights)
    top = heights[min(count - 1, max(0, x))] - tall
    half = max(1, int(tall * 0.2 / grain))
    tier = max(2.0, tall * 0.17)
    for away in range(half + 1):
        # Each tier is a skirt: the edge comes back in before the next one spreads.
        down = away * tall / half
        level = top + down - (down % tier) * 0.55 + (tier * 0.3 if away else 0)
        for place in (x - away, x + away):
            if 0 <= place < count and level < heights[place]:
                heights[place] = level


def wood(scene: Scene, ground: Sequence[float], size: float, density: float = 1.0, share: float = 0.0) -> Layer:
    """A wood of pines; `share` 0 is near, 1 far."""
    colour = blend(NEAR, FAR, share)
    heights = pines(scene, ground, size, density)
    foot = blend(colour, sky(0.6), 0.1 + 0.45 * share)
    ramp = scene.ramp(colour, foot, min(heights), max(ground) + 0.1 * scene.height, 8)
    return Layer(heights, ramp, scene.edge(colour, tone(0.3 - 0.3 * share, 0.2 + 0.3 * share)))


def water(scene: Scene, shore: int, *, light: float | None = None, rough: float = 1.0) -> None:
    """Fill everything below row `shore` with water that mirrors what is above; `light` is the column it glitters in."""
    height, width, dice = scene.height, scene.width, scene.dice
    below = height - shore
    if below <= 0:
        return
    table, lights = _mirror(scene)
    lap = 0.0
    for y in range(below):
        lap += dice.roll() - 0.5
        source = scene.rows[max(0, min(shore - 1, shore - 1 - int(y * 0.9 + lap * y * 0.008)))]
        row = source.translate(table)
        shift = int((lap * 3.0 % 7 - 3) * (0.4 + 3.0 * y / height) * scene.unit * rough)
        scene.rows[shore + y] = row[shift:] + row[:shift] if shift else row
    ripples = int(40 + 20 * scene.detail * rough)
    for number in range(ripples):
        y = shore + int(below * ((number + dice.roll()) / ripples) ** 1.3)
        depth = (y - shore) / below
        long = (20 + 150 * depth) * scene.unit * dice.between(0.3, 1.2)
        x = dice.roll() * width
        for row_ in range(y, y + max(1, int(scene.unit * (1 + 2.6 * depth)))):
            scene.shade(row_, x - long, x + long, lights)
    if light is not None:
        _glitter(scene, shore, light, scene.colours([blend(LIGHT, sky(0.8), 0.35)]))


def _mirror(scene: Scene) -> tuple[bytes, bytes]:
    """The table from what is above to how water shows it, and the table that makes water a step lighter."""
    used = len(scene.mixtures)
    deep = blend(NEAR, sky(0.2), 0.45)
    coarse = max(2, -(-used // max(8, 243 - used)))
    start = scene.colours(
        [blend(scene.mixtures[min(used - 1, index + coarse // 2)], deep, 0.34) for index in range(0, used, coarse)]
    )
    disc = scene.colours([blend(LIGHT, sky(0.7), 0.55)])
    table = bytes([disc if DISC <= index <= DISC + 1 else start + index // coarse for index in range(used)]).ljust(
        256, bytes((start,))
    )
    end = start + (SKY - 1) // coarse
    lighter = bytes([min(end, index + 14 // coarse) if start <= index <= end else index for index in range(256)])
    return table, lighter


def _glitter(scene: Scene, shore: int, x: float, index: int) -> None:
    """Light on water: dashes that grow longer and wander further towards the eye."""
    dice, below, unit = scene.dice, scene.height - shore, scene.unit
    y = 1.0
    while y < below:
        depth = y / below
        for _ in range(2):
            away = x + (dice.roll() - 0.5) * (40 + 170 * depth) * unit
            long = (5 + 40 * depth * dice.roll()) * unit
            for row in range(max(1, int(unit * (1 + 3 * depth)))):
                scene.span(shore + int(y) + row, away - long, away + long, index)
        y += (3 + 9 * depth) * max(0.6, unit)


def birds(scene: Scene, count: int, top: float, bottom: float) -> None:
    """A flock, far away."""
    index = scene.colours([blend(NEAR, sky(0.3), 0.15)])
    dice, size = scene.dice, scene.unit
    middle = dice.between(0.25, 0.75) * scene.width
    for _ in range(count):
        x = middle + (dice.roll() - 0.5) * 260 * size
        y = dice.between(top, bottom) * scene.height
        wing = dice.between(7, 14) * size
        thick = max(1.0, 2.2 * size)
        for place in range(max(2, int(wing))):
            rise = wing * 0.55 * (1 - (2 * place / wing - 0.9) ** 2)
            for side in (x + place, x - place):
                for row in range(int(thick)):
                    scene.span(int(y - rise) + row, side, side + thick, index)


def tone(share: float, air: float = 0.0) -> Mixture:
    """Land from far (0) to near (1), with a share of air before it."""
    return blend(blend(FAR, NEAR, share), sky(0.72), air)
