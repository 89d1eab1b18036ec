"""Pictures for a provider that has no model: a lake between mountains, told apart by their colours.

A picture is a PNG of 256 colours. Where things stand (the rows of indices, which are dear to compress) depends on the
size, the quality and one of a few scenes, and is kept; the colours come from the prompt and the seed. So every request
has its own picture, the same request the same one, and painting costs far less than encoding a photograph.
"""

from __future__ import annotations

import colorsys
from functools import lru_cache
from hashlib import sha256
from struct import pack
from zlib import compress, crc32

__all__ = ["DEFAULT_SIZE", "measure", "paint"]

DEFAULT_SIZE = "1024x1024"
"""What `auto` means here."""

LARGEST = 4096
"""Pixels of a side."""

SCENES = 12
Colour = tuple[float, float, float]

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_SKY, _SUN, _RIDGE, _WATER = 0, 128, 144, 192
"""Where the ranges of the palette begin: 128 of sky, 16 of sun, 48 of ridges, 64 of water and what it mirrors."""

_RIDGES = {"low": 2, "medium": 3, "high": 5, "xhigh": 6, "max": 8}
_MIRROR = bytes(_WATER + min(63, index // 4) for index in range(256))


def paint(prompt: str, size: str | None, quality: str | None, seed: int, *, least: int = 0) -> bytes:
    """Paint a prompt: PNG bytes of exactly `size`, the same for the same asking.

    `size` is "WIDTHxHEIGHT"; None and "auto" mean 1024x1024.
    `quality` says how many ridges there are. It is always a PNG, also where a request asks for jpeg or webp: clients
    tell formats by their magic bytes. `least` pads the file to so many bytes with a chunk that decoders skip.
    Raises ValueError for a size that is none.
    """
    width, height = measure(size)
    digest = sha256(f"{prompt}\0{width}x{height}\0{quality or 'auto'}\0{seed}".encode()).digest()
    scene = _scene(width, height, _RIDGES.get(quality or "", 4), digest[0] % SCENES)
    parts = [
        SIGNATURE,
        _chunk(b"IHDR", pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        _chunk(b"tEXt", b"Source\0penstock simulation " + digest.hex()[:16].encode()),
        _chunk(b"PLTE", _palette(digest[1:7])),
        scene,
        _chunk(b"IEND", b""),
    ]
    short = least - sum(map(len, parts)) - 12
    if short > 0:
        parts.insert(-1, _chunk(b"paDd", bytes(short)))
    return b"".join(parts)


def measure(size: str | None) -> tuple[int, int]:
    """The width and height of a size in pixels. Raises ValueError for what cannot be painted."""
    width, cross, height = (DEFAULT_SIZE if size in (None, "", "auto") else size).partition("x")
    if not (cross and width.isascii() and width.isdigit() and height.isascii() and height.isdigit()):
        raise ValueError(f"{size!r} is no size")
    if not (0 < int(width) <= LARGEST and 0 < int(height) <= LARGEST):
        raise ValueError(f"{size!r} is no size that can be painted")
    return int(width), int(height)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return b"".join((pack(">I", len(data)), kind, data, pack(">I", crc32(data, crc32(kind)))))


def _blend(low: Colour, high: Colour, steps: int) -> bytes:
    out = bytearray(3 * steps)
    for channel in range(3):
        first, span, last = int(255 * low[channel]), int(255 * (high[channel] - low[channel])), steps - 1
        out[channel::3] = bytes([first + span * step // last for step in range(steps)])
    return bytes(out)


def _palette(dice: bytes) -> bytes:
    """256 colours of one mood: sky from zenith to horizon, sun, ridges from far to near, and all of it in the water."""
    hue = dice[0] / 256
    glow = (hue + 0.28 + dice[1] / 900) % 1.0
    land = (hue + 0.55 + dice[2] / 700) % 1.0
    zenith = colorsys.hsv_to_rgb(hue, 0.65 + dice[3] / 900, 0.35 + dice[4] / 700)
    horizon = colorsys.hsv_to_rgb(glow, 0.35 + dice[5] / 700, 0.98)
    sun = (colorsys.hsv_to_rgb(glow, 0.15, 1.0), colorsys.hsv_to_rgb(glow, 0.55, 1.0))
    far = colorsys.hsv_to_rgb((glow + land) / 2, 0.30, 0.70)
    near = colorsys.hsv_to_rgb(land, 0.60, 0.16)
    sky = _blend(zenith, horizon, _SUN - _SKY)
    above = sky + _blend(sun[0], sun[1], _RIDGE - _SUN) + _blend(far, near, _WATER - _RIDGE)
    water = bytearray(3 * 64)
    for channel in range(3):
        tint = int(zenith[channel] * 40)
        # Every fourth colour from above, darker; the last stands for what lies below the water's edge.
        mirrored = bytes([colour * 18 // 25 + tint for colour in above[channel::12]])
        water[channel::3] = mirrored.ljust(64, mirrored[-1:])
    return above + bytes(water)


@lru_cache(maxsize=64)
def _scene(width: int, height: int, ridges: int, number: int) -> bytes:
    """The IDAT chunk: rows of palette indices. Every shape covers one span of a row, so a row is a few slices."""
    dice = sha256(f"scene {number} {ridges}".encode()).digest()
    shore = height * (5 * 256 + dice[0]) // (8 * 256)
    disc = (
        width * (64 + dice[1] // 2) // 256,
        shore * (64 + dice[2] // 2) // 256,
        min(width, shore) * (40 + dice[3] // 6) // 512,
    )
    peaks = _peaks(width, shore, ridges, dice[4:])
    rows: list[bytes] = []
    for y in range(shore):
        row = bytearray(bytes((_SKY + 127 * y // max(1, shore - 1),)) * width)
        _draw_disc(row, disc, y, width)
        for middle, top, slope, shade in peaks:
            if y >= top:
                half = int((y - top) * slope)
                left, right = max(0, middle - half), min(width, middle + half + 1)
                if left < right:
                    row[left:right] = bytes((shade,)) * (right - left)
        rows.append(bytes(row))
    below = height - shore
    for y in range(below):
        # A ripple shifts some rows, and what is mirrored is stretched a little.
        source = rows[max(0, shore - 1 - y * shore // max(shore, below) - (y % 7 == 0))] if rows else bytes(width)
        rows.append(source.translate(_MIRROR))
    return _chunk(b"IDAT", compress(b"\0" + b"\0".join(rows), 1))


def _draw_disc(row: bytearray, disc: tuple[int, int, int], y: int, width: int) -> None:
    x, middle, radius = disc
    for ring in range(4):
        reach = radius - ring * radius // 5
        inside = reach * reach - (y - middle) * (y - middle)
        if inside > 0:
            half = int(inside**0.5)
            left, right = max(0, x - half), min(width, x + half)
            row[left:right] = bytes((_SUN + 15 - ring * 5,)) * (right - left)


def _peaks(width: int, shore: int, ridges: int, dice: bytes) -> list[tuple[int, int, float, int]]:
    """Mountains from far to near: middle, top (pixels), slope (pixels to the side a pixel down), palette index."""
    peaks: list[tuple[int, int, float, int]] = []
    for ridge in range(ridges):
        shade = _RIDGE + (47 * (ridge + 1)) // ridges
        for place in range(3):
            roll = dice[(ridge * 3 + place) % len(dice)]
            middle = width * (place * 2 + 1) // 6 + (roll - 128) * width // 640
            top = shore * (30 + 55 * (ridge + 1) // ridges + roll % 13) // 100
            peaks.append((middle, min(top, shore - 1), 0.6 + (roll % 50) / 30, shade))
    return peaks
