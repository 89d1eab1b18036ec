"""Pictures for a provider that has no model: seas, woods, towns and patterns, chosen by the prompt's words.

A picture is a PNG of 256 colours. Where things stand (dear to paint and to compress) is a composition: a scene, one of
its few variants, a sky. Compositions are painted in mixtures and kept; the colours come from a mood, a shade aside for
every prompt and seed. So every request has its own picture, the same request the same one. At 1024x1024 a composition
costs 10 to 25 ms of CPU once, a third of it for zlib, and each picture of it well under one: about 10 ms a picture
over the first 150 different prompts, and 2 over the first 1,000.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from hashlib import sha256
from struct import pack

from attrs import frozen

from penstock.simulation import _scenes, _things
from penstock.simulation._canvas import chunk
from penstock.simulation._dice import Dice
from penstock.simulation._land import Scene
from penstock.simulation._moods import MOOD_WORDS, MOODS, palette, weigh
from penstock.simulation._skies import VARIANTS, backdrop

__all__ = ["DEFAULT_SIZE", "measure", "paint"]

DEFAULT_SIZE = "1024x1024"
"""What `auto` means here."""

LARGEST = 4096
"""Pixels of a side."""

LARGE = 2_000_000
"""Pixels of a picture from which on only a few compositions are kept."""

READ = 500
"""Characters of a prompt that are searched for words."""

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_WORD = re.compile(r"[a-z]+")
_DETAIL = {"low": 0, "medium": 1, "high": 2, "xhigh": 3, "max": 4}

_BRIGHT = ("low sun", "high sun", "big sun", "clouds")
_DARK = ("moon", "milky", "aurora")


@frozen
class _Kind:
    """A scene: how it is painted, the skies it stands under by day and by night, the words that ask for it."""

    paint: Callable[[Scene], None]
    words: str
    bright: tuple[str, ...] = _BRIGHT
    dark: tuple[str, ...] = _DARK


KINDS: tuple[_Kind, ...] = (
    _Kind(_scenes.mountains, "mountain mountains alps alpine peak peaks summit canyon viaduct volcano"),
    _Kind(_scenes.lake, "lake reservoir penstock river channels turbine water dam fjord reflection"),
    _Kind(_scenes.sea, "sea ocean beach boat ship sail sailing island coast surf salt marble crescent harbour harbor"),
    _Kind(_scenes.dunes, "desert dune dunes sand sahara camel oasis", ("low sun", "big sun", "clouds", "high sun")),
    _Kind(_scenes.forest, "forest wood woods pine pines jungle fern ferns bear wolf hollow moss"),
    _Kind(_scenes.snow, "snow snowy frost ice winter polar glacier igloo ski hedgehog icy"),
    _Kind(_scenes.fields, "field fields farm tea terraced vineyard country hills meadow sheep village garden"),
    _Kind(_scenes.city, "city street skyline tower towers town bakery train neon shop library clockmaker metropolis"),
    _Kind(_things.lighthouse, "lighthouse beacon cliff"),
    _Kind(_things.balloons, "balloon balloons kite airship zeppelin"),
    _Kind(_things.birches, "birch birches fox owl deer tree trees oak grove ivy", ("plain", "low sun", "big sun")),
    _Kind(
        _things.planet, "planet space astronaut rocket saturn cosmos moon galaxy milky alien", ("milky", "moon"), _DARK
    ),
    _Kind(
        _things.reef, "whale shark fish reef underwater coral aquarium octopus jellyfish turtle", ("depth",), ("depth",)
    ),
    _Kind(
        _things.still,
        "bowl lemon lemons kettle fruit apple apples orange table desk cup bottle still product vase clock",
        ("plain",),
        ("plain",),
    ),
    _Kind(
        _things.waves, "abstract pattern silk flowing wave waves cello music screen", ("low sun", "big sun", "plain")
    ),
    _Kind(_things.arcs, "geometric bauhaus logo icon shapes arcs collage", ("plain",), ("plain",)),
    _Kind(
        _things.bloom,
        "flower flowers sunflower sunflowers rose roses tulip poppy hummingbird bee botanist seed blossom",
    ),
)

_SCENE_WORDS = {word: number for number, kind in enumerate(KINDS) for word in kind.words.split()}
_MOOD_NAMES = tuple(MOODS)


@frozen
class _Composition:
    """The rows of a picture as a chunk, and its palette before it has colours."""

    data: bytes
    weights: tuple[int, ...]
    count: int


def paint(prompt: str, size: str | None, quality: str | None, seed: int, *, least: int = 0) -> bytes:
    """Paint a prompt: PNG bytes of exactly `size`, the same for the same asking.

    `size` is "WIDTHxHEIGHT"; None and "auto" mean 1024x1024.
    `quality` says how much there is to see. It is always a PNG, also where a request asks for jpeg or webp: clients
    tell formats by their magic bytes. `least` pads the file to so many bytes with a chunk that decoders skip.
    Raises ValueError for a size that is none.
    """
    width, height = measure(size)
    text = f"{prompt}\0{width}x{height}\0{quality or 'auto'}\0{seed}"
    digest = sha256(text.encode("utf-8", "surrogatepass")).digest()
    words = _WORD.findall(prompt[:READ].lower())
    number = next((_SCENE_WORDS[word] for word in words if word in _SCENE_WORDS), digest[0] % len(KINDS))
    moods = [word for word in words if word in MOOD_WORDS]
    word = next((word for word in moods if word not in _SCENE_WORDS), moods[0] if moods else "")
    name = MOOD_WORDS.get(word) or _MOOD_NAMES[digest[1] % len(_MOOD_NAMES)]
    mood = MOODS[name]
    keep = _small if width * height <= LARGE else _large
    made = keep(number, digest[2] % VARIANTS, mood.dark, width, height, _DETAIL.get(quality or "", 1))
    parts = [
        SIGNATURE,
        chunk(b"IHDR", pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        chunk(b"tEXt", b"Source\0penstock simulation " + digest.hex()[:16].encode()),
        chunk(b"PLTE", palette(made.weights, made.count, _tint(mood.colours, digest[3:6]))),
        made.data,
        chunk(b"IEND", b""),
    ]
    short = least - sum(map(len, parts)) - 12
    if short > 0:
        parts.insert(-1, chunk(b"paDd", bytes(short)))
    return b"".join(parts)


def measure(size: str | None) -> tuple[int, int]:
    """The width and height of a size in pixels. Raises ValueError for what cannot be painted."""
    width, cross, height = (DEFAULT_SIZE if size in (None, "", "auto") else size).partition("x")
    if not (cross and width.isascii() and width.isdigit() and height.isascii() and height.isdigit()):
        raise ValueError(f"{size!r} is no size")
    if not (0 < int(width) <= LARGEST and 0 < int(height) <= LARGEST):
        raise ValueError(f"{size!r} is no size that can be painted")
    return int(width), int(height)


def _tint(colours: bytes, dice: bytes) -> bytes:
    """The same colours a shade aside: each channel up to a twentieth darker, or a little brighter."""
    out = bytearray(colours)
    for channel, roll in enumerate(dice):
        out[channel::3] = bytes([min(255, part * (970 + 86 * roll // 255) >> 10) for part in colours[channel::3]])
    return bytes(out)


def _compose(number: int, variant: int, dark: bool, width: int, height: int, detail: int) -> _Composition:
    kind = KINDS[number]
    skies = kind.dark if dark else kind.bright
    rows = backdrop(skies[variant % len(skies)], variant, width, height)
    scene = Scene(width, height, rows, Dice(f"{number} {variant} {dark}"), detail)
    kind.paint(scene)
    return _Composition(scene.data(), weigh(scene.mixtures), len(scene.mixtures))


_small = lru_cache(maxsize=160)(_compose)
_large = lru_cache(maxsize=8)(_compose)
