"""The painter's colours: moods, which are ten colours each, and mixtures, which say how much of each of the ten.

A scene is painted in mixtures, so that one painting serves every mood: its palette is a product of the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from struct import pack

from attrs import frozen

__all__ = [
    "ACCENT",
    "FAR",
    "LIGHT",
    "MOODS",
    "MOOD_WORDS",
    "NEAR",
    "Mixture",
    "Mood",
    "blend",
    "palette",
    "shades",
    "sky",
    "weigh",
]

Mixture = tuple[float, ...]
"""Shares of a mood's ten colours, together 1."""

PARTS = 10


def _only(place: int) -> Mixture:
    return tuple(float(number == place) for number in range(PARTS))


HEAVEN = tuple(_only(place) for place in range(6))
"""The sky from zenith to its brightest glow."""

FAR, NEAR, LIGHT, ACCENT = (_only(place) for place in range(6, 10))


@frozen
class Mood:
    """`colours`: six of the sky, far and near land, light, accent; 30 bytes of red, green and blue in turn."""

    name: str
    colours: bytes
    dark: bool = False


MOODS: dict[str, Mood] = {
    name: Mood(name, bytes.fromhex(colours), dark=dark)
    for name, dark, colours in (
        ("dawn", False, "2b3a6b 5f6aa8 a98bb8 eba9a6 fbd0a4 fff0cf a58fb4 1d2140 fff6df e8735a"),
        ("dusk", False, "171a45 432d70 93407f e2606b f99b58 ffd98e 7d4479 140d2b ffeebb ffb347"),
        ("ember", False, "26102e 611d44 a92f48 e2603f f9a650 ffe19a 85304a 170a1c fff0b8 ffd166"),
        ("day", False, "2a6cb3 5499d1 8fc3e6 c6e2f0 eaf3ee fff8e2 93bccb 17463f fffdf0 e4572e"),
        ("tropic", False, "076b95 1f9fb8 62c9c6 aee5d6 e3f6e2 fffbe6 5fb3b3 083f4a fffbe0 ff7f50"),
        ("night", True, "03050f 08112d 12264f 214474 3f6c96 8fb4c4 2d4b73 030611 f6f3de ffd27a"),
        ("violet", True, "0b0720 20124a 47297f 82509f c586b2 f6cfc9 6b4596 0c0720 fdeee0 ffb3c1"),
        ("polar", True, "020914 051f2c 08433f 128062 4cc98a d6ffc4 0f4a4a 020b12 eafff0 9bf6c9"),
        ("mist", False, "93aab3 aebfc3 c8d2d1 dde2dc edeee5 fbf9ef b3c2c3 24383f fffef4 c8553d"),
        ("paper", False, "dcd3c0 e5ddcc ece6d7 f2ede1 f7f3e9 fdfaf2 c3bbab 25262b fffdf4 b23a2a"),
        ("autumn", False, "7d4a34 b06f40 dc9c55 f1c279 fadfa2 fff3d3 c98d58 40150f fff8e0 c8381c"),
        ("rose", False, "7f4779 b86a94 e598a4 f7bfae fddcc3 fff2e2 b9779a 3c1a3a fff8ee f25c78"),
        ("mint", False, "1f6068 3f8f8f 7fbca9 b7d9c2 e0eed7 fafae6 7fb3a6 10363a fffdee f2a541"),
        ("mars", False, "4a170f 8a3a20 c7683a e8995c f6c590 fee6c4 b5613f 260a09 fff4e0 6fd0c5"),
        ("winter", False, "4c719f 7b9fc4 aec9df d5e3ec edf1f1 fdf5e8 a9c2d6 213a59 fffaf0 d64545"),
        ("storm", False, "18242d 2f424e 526b76 869a9c b9c1b4 ebe6cb 5e737c 0c1418 fdf8dc f4b942"),
        ("gilt", True, "0c0b10 211b20 453424 7d5a30 c4934a f9d88a 6b5033 08070b fff0c2 f6c453"),
        ("lemon", False, "d99a1c ebb638 f5cd57 fadf80 fdeea9 fffbdd d3a13c 4c3210 fffdf2 3f6b4f"),
    )
}

MOOD_WORDS: dict[str, str] = {
    word: mood
    for mood, words in {
        "night": "night midnight stars starry moon moonlit moonlight milky black dark owl galaxy space cosmos lanterns",
        "dusk": "dusk sunset evening twilight neon lighthouse synthwave",
        "dawn": "dawn morning sunrise breakfast",
        "ember": "fire ember red volcano lava crimson scarlet dragon glow",
        "day": "day noon blue sky sunny summer balloon clear",
        "tropic": "tropical beach lagoon reef turquoise teal ocean sea shark whale fish underwater aquarium cyan",
        "violet": "purple violet lavender magic dream indigo crescent",
        "polar": "aurora northern emerald polar",
        "mist": "mist misty fog foggy haze grey gray silver birch white minimal",
        "paper": "paper ink drawing sketch linocut woodcut print poster engraving etching blueprint letterpress",
        "autumn": "autumn fall oak amber harvest orange fox pumpkin rust september october november worn",
        "rose": "rose pink blossom cherry pastel spring flamingo peony",
        "mint": "mint green garden tea jade fern ferns ivy meadow hummingbird jungle greenhouse",
        "mars": "mars desert dune dunes canyon sand copper camel clay terracotta",
        "winter": "winter snow snowy ice icy frost frosty glacier christmas december january cold floe",
        "storm": "storm rain rainy thunder wind cloudy train slate steel",
        "gilt": "gold golden brass still dutch baroque candle velvet cello library bronze desk workshop lamplight",
        "lemon": "lemon lemons yellow sunflower sunflowers honey mustard",
    }.items()
    for word in words.split()
}
"""Words of prompts and the moods that they ask for."""


def blend(first: Mixture, second: Mixture, share: float) -> Mixture:
    """`share` (0 to 1) of the way from the first to the second."""
    low = 1 - share
    return tuple([low * a + share * b for a, b in zip(first, second, strict=True)])


def shades(first: Mixture, last: Mixture, steps: int) -> list[Mixture]:
    """`steps` mixtures from the first to the last."""
    return [blend(first, last, step / max(1, steps - 1)) for step in range(steps)]


def sky(share: float) -> Mixture:
    """The sky, 0 (zenith) to 1 (the brightest glow)."""
    place = max(0.0, min(5.0, 5 * share))
    at = min(4, int(place))
    return blend(HEAVEN[at], HEAVEN[at + 1], place - at)


def weigh(mixtures: Sequence[Mixture]) -> tuple[int, ...]:
    """Mixtures as `palette` wants them: for each of the ten colours one number, with 16 bits for each mixture.

    Shares become 256ths. Their sum is at most 257, so that no product with a colour leaves its 16 bits.
    """
    columns = [[int(256 * part + 0.5) for part in parts] for parts in zip(*mixtures, strict=True)]
    for place, total in enumerate(map(sum, zip(*columns, strict=True))):
        if total > 257:
            widest = max(columns, key=itemgetter(place))
            widest[place] -= total - 257
    return tuple(int.from_bytes(pack(f"<{len(column)}H", *column), "little") for column in columns)


def palette(weights: Sequence[int], count: int, colours: bytes) -> bytes:
    """The palette of `count` weighed mixtures in a mood's colours: red, green and blue in turn.

    Each channel is ten products of long numbers: all colours of the palette are mixed at once.
    """
    out = bytearray(3 * count)
    for channel in range(3):
        mixed = sum(weight * colour for weight, colour in zip(weights, colours[channel::3], strict=True))
        out[channel::3] = mixed.to_bytes(2 * count, "little")[1::2]
    return bytes(out)
