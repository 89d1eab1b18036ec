"""What may pass for the same picture although it is said in other words: guards, before any likeness counts.

An embedder says how near two prompts lie, and knows little of what makes a picture another one: "no hat" lies beside
"a hat", three cats beside two, left beside right, and who bites whom is all one to it. So a prompt has a *scope*: a
name of the shelf on which its likes are looked for, and a sketch of the order of its words. On one shelf stands what is
asked of one model, for one tenant, in one form (size, quality and all else), with the same numbers, negations, colours,
directions, opposites and quoted texts. Of two prompts on one shelf, the words that both have must come in the same
order. The words are told by a few bits of their digests: no scope gives a prompt away.

The guards know English, and negations of a few languages more. What is written in other letters than Latin ones stands
on a shelf with nothing but itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from unicodedata import normalize

from penstock.cache.key import canonical, text
from penstock.requests import ImageRequest

SCHEMA = 1
"""The version of shelves: another one finds nothing of what stood on them before."""

_DIGITS = 4
"""Hex digits that stand for a word of a sketch."""

_WORD = re.compile(r"[0-9]+(?:[.,:/x\u00d7][0-9]+)*|[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
_QUOTED = re.compile(
    r"\"([^\"]*)\"|\u201c([^\u201d]*)\u201d|\u201e([^\u201c\u201d]*)[\u201c\u201d]|\u00ab([^\u00bb]*)\u00bb"
    r"|(?<!\w)['\u2018]([^'\u2018\u2019]*)['\u2019](?!\w)|`([^`]*)`"
)
_LATIN = 0x250
"""From here on letters are of other scripts."""

_PLAIN = frozenset(
    """a an the and or of to in on at with from for by as is are was were be been being its it this that these those
    there here some any which who whose while his her their has have having very style image picture photo photograph
    showing depicting des der die das den dem ein eine einen einem einer un une le la les de du el los las""".split()
)
"""Words whose order says nothing."""

_NUMBERS = {
    word: str(number)
    for number, words in enumerate(
        """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
        seventeen eighteen nineteen twenty""".split()
    )
    for word in (words,)
} | {
    "single": "1", "once": "1", "lone": "1", "solitary": "1", "pair": "2", "couple": "2", "both": "2", "twin": "2",
    "twins": "2", "twice": "2", "double": "2", "duo": "2", "trio": "3", "triple": "3", "quartet": "4", "half": "1/2",
    "dozen": "12", "thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "seventy": "70", "eighty": "80",
    "ninety": "90", "hundred": "100", "thousand": "1000", "million": "1000000", "first": "1st", "second": "2nd",
    "third": "3rd", "several": "many", "many": "many", "few": "few", "crowd": "many", "dozens": "many",
    "hundreds": "many", "thousands": "many", "countless": "many", "numerous": "many", "every": "all", "all": "all",
}  # fmt: skip

_NEGATIONS = frozenset(
    """no not without never none nothing nobody nowhere neither nor cannot lacking minus except excluding absent avoid
    missing ohne kein keine keinen keinem keiner keines nicht nie sans pas jamais sin nunca non senza sem zonder geen
    niet ikke uden inte utan bez""".split()
)

_COLOURS = {
    word: words.split()[0]
    for words in (
        "red crimson scarlet ruby vermilion", "blue azure navy cobalt sapphire ultramarine",
        "green emerald olive lime jade", "yellow lemon", "orange tangerine", "purple violet lilac lavender mauve plum",
        "pink rose fuchsia magenta", "brown chestnut chocolate sepia umber", "black ebony jet", "white ivory snowy",
        "grey gray silver silvery ash charcoal slate", "gold golden gilded", "turquoise teal cyan aqua", "beige tan",
        "cream", "maroon burgundy", "bronze copper", "amber", "indigo", "khaki", "coral", "peach", "mint",
        "monochrome monochromatic", "colourful colorful multicoloured multicolored rainbow", "pastel", "transparent",
    )
    for word in words.split()
}  # fmt: skip
"""Shades count as their colour, so that "crimson" may stand for "red"."""

_OPPOSITES = {
    word: words.split()[0]
    for words in (
        "left leftmost leftward leftwards", "right rightmost rightward rightwards", "over above overhead",
        "under below beneath underneath", "behind", "front", "inside within", "outside", "top upper", "bottom lower",
        "up upward upwards upstairs uphill", "down downward downwards downstairs downhill", "before", "after",
        "north northern", "south southern", "east eastern", "west western", "near close beside next", "far distant",
        "towards toward", "away", "into", "out", "foreground", "background", "first-person", "clockwise",
        "counterclockwise anticlockwise", "horizontal horizontally", "vertical vertically", "facing", "between",
        "day daytime daylight noon midday", "night nighttime midnight", "dawn sunrise", "dusk sunset", "morning",
        "evening", "summer", "winter", "spring", "autumn fall", "open opened", "closed shut", "big large huge giant",
        "small little tiny miniature", "tall", "short", "long", "wide", "narrow", "thick", "thin", "full", "empty",
        "young", "old elderly ancient", "new modern", "man men male", "woman women female", "boy boys", "girl girls",
        "happy smiling cheerful joyful", "sad crying gloomy", "hot", "cold", "wet", "dry", "light bright", "dark",
        "clean", "dirty", "alive", "dead", "awake", "asleep sleeping", "standing", "sitting seated", "lying", "on-top",
        "more", "less fewer", "only", "larger bigger taller", "smaller shorter", "older", "younger", "faster", "slower",
    )
    for word in words.split()
}  # fmt: skip
"""Words of which the other one would be another picture; those that say the same stand for each other."""

_PASSIVE = re.compile(
    r"\b(?:\w+(?:ed|en)|held|led|fed|hit|kept|caught|worn|drawn|made|told|taught|fought|sought|bought|shot) by\b"
)


def scope(
    request: ImageRequest, *, provider: str, dialect: str, model: str, tenant: str, first: int = 0, server: str = ""
) -> str:
    """Where likes of `request` are looked for at one target, from sample number `first` on: "shelf:sketch"."""
    words = _words(request.prompt)
    told = canonical(request, model) | {
        "near": SCHEMA,
        "provider": provider,
        "server": server,
        "dialect": dialect,
        "tenant": tenant,
        "first": first,
        "features": features(request.prompt),
    }
    sketch = "".join(_mark(word) for word in words if word not in _PLAIN)
    return f"{sha256(text(told)).hexdigest()}:{sketch}"


def alike(one: str, other: str) -> bool:
    """Whether what lies in one scope may pass for what lies in the other, if their vectors are near enough."""
    if one == other:
        return True
    mine, _, my_words = one.partition(":")
    yours, _, your_words = other.partition(":")
    return mine == yours and _in_order(_marks(my_words), _marks(your_words))


def shelf(scope: str) -> str:
    """What two scopes have in common where they may be alike."""
    return scope.partition(":")[0]


def features(prompt: str) -> list[list[str]]:
    """What must be the same: numbers, negations with what they deny, colours, opposites, passives, quoted texts."""
    folded = _folded(prompt)
    words = _words(prompt)
    foreign = [folded] if any(ord(letter) >= _LATIN and letter.isalpha() for letter in folded) else []
    passives = len(_PASSIVE.findall(folded))
    return [
        sorted(_numbers(words)),
        sorted(_denials(words)),
        sorted(_COLOURS[word] for word in words if word in _COLOURS),
        sorted(_OPPOSITES[word] for word in words if word in _OPPOSITES),
        ["by"] * passives,
        sorted(" ".join("".join(quoted).split()) for quoted in _QUOTED.findall(normalize("NFC", prompt))),
        foreign,
    ]


def _numbers(words: list[str]) -> Iterable[str]:
    for word in words:
        if word[0].isdigit():
            yield word.replace("\u00d7", "x").replace(",", "")
        elif word in _NUMBERS:
            yield _NUMBERS[word]


def _denials(words: list[str]) -> Iterable[str]:
    """Each negation with the word that it denies: which of two things is missing is all the difference."""
    for place, word in enumerate(words):
        if word in _NEGATIONS or word.endswith(("n't", "n\u2019t")):
            denied = (after for after in words[place + 1 :] if after not in _PLAIN and after not in _NEGATIONS)
            yield _stem(next(denied, ""))
        elif len(word) > 6 and word.endswith("less"):
            yield _stem(word.removesuffix("less"))


def _folded(prompt: str) -> str:
    return normalize("NFKC", prompt).casefold()


def _words(prompt: str) -> list[str]:
    return _WORD.findall(_folded(prompt))


def _stem(word: str) -> str:
    """A word without the ending that its place in the sentence gives it."""
    word = word.removesuffix("'s").removesuffix("\u2019s")
    for ending in ("ies", "ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) > len(ending) + 2:
            return word.removesuffix(ending) + ("y" if ending == "ies" else "")
    return word.removesuffix("e") if len(word) > 3 else word


def _mark(word: str) -> str:
    """A few bits of a word: many words share them, and none can be read from them."""
    meant = "no" if word in _NEGATIONS else _NUMBERS.get(word) or _COLOURS.get(word) or _OPPOSITES.get(word)
    return sha256((meant or _stem(word)).encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


def _marks(sketch: str) -> list[str]:
    return [sketch[start : start + _DIGITS] for start in range(0, len(sketch), _DIGITS)]


def _in_order(mine: list[str], yours: list[str]) -> bool:
    """Whether the words that both have come in the same order, each as often as the one that has it less often."""
    common = {mark: min(mine.count(mark), yours.count(mark)) for mark in set(mine) & set(yours)}
    return _kept(mine, common) == _kept(yours, common)


def _kept(marks: list[str], common: dict[str, int]) -> list[str]:
    left = dict(common)
    kept: list[str] = []
    for mark in marks:
        if left.get(mark, 0) > 0:
            left[mark] -= 1
            kept.append(mark)
    return kept
