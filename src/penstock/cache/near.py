"""What may pass for the same picture although it is said in other words: guards, before any likeness counts.

An embedder says how near two prompts lie, and knows little of what makes a picture another one: "no hat" lies beside
"a hat", three cats beside two, left beside right, and who bites whom is all one to it. So a prompt has a *scope*: a
name of the shelf on which its likes are looked for, and a sketch of its words. On one shelf stands what is asked of one
model, for one tenant, in one form (size, quality and all else), with the same numbers, negations, colours, directions
and quoted texts. Of two prompts on one shelf neither may say the opposite of the other (day and night, standing and
sitting), and no two words may change places around a third. Words are told by a few bits of their digests: no scope
gives a prompt away.

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
_LONG = 200
"""With so many words in common two prompts are long."""

_LATIN = 0x250
"""From here on letters are of other scripts."""

_PLAIN = frozenset(
    """a an the and or of to in on at with from for by as is are was were be been being its it this that these those
    there here some any which who whose while his her their has have having very style image picture photo photograph
    des der die das den dem ein eine einen einem einer un une le la les de du el los las""".split()
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
        "pink rose fuchsia magenta", "brown chestnut chocolate sepia umber", "black ebony jet", "white ivory",
        "grey gray silver silvery ash charcoal slate", "gold golden gilded", "turquoise teal cyan aqua", "beige tan",
        "cream", "maroon burgundy", "bronze copper", "amber", "indigo", "khaki", "coral", "peach", "mint",
        "monochrome monochromatic", "colourful colorful multicoloured multicolored rainbow", "pastel", "transparent",
    )
    for word in words.split()
}  # fmt: skip
"""Shades count as their colour, so that "crimson" may stand for "red"."""

_DIRECTIONS = {
    word: words.split()[0]
    for words in (
        "left leftmost leftward leftwards", "right rightmost rightward rightwards", "over above overhead",
        "under below beneath underneath", "behind", "front", "inside within", "outside", "top upper", "bottom lower",
        "up upward upwards upstairs uphill", "down downward downwards downstairs downhill", "before", "after",
        "north northern", "south southern", "east eastern", "west western", "near close beside next", "far distant",
        "towards toward", "away", "into", "out", "foreground", "background", "clockwise",
        "counterclockwise anticlockwise", "horizontal horizontally", "vertical vertically", "facing", "between",
    )
    for word in words.split()
}  # fmt: skip

_AXES = (
    ("day daytime daylight noon midday", "night nighttime midnight", "dawn sunrise morning", "dusk sunset evening"),
    ("summer", "winter wintry wintery", "spring", "autumn fall autumnal"),
    ("open opened", "closed shut"),
    ("big large huge giant enormous", "small little tiny miniature"),
    ("tall high", "short low"),
    ("wide", "narrow"),
    ("thick", "thin"),
    ("full", "empty"),
    ("young", "old elderly ancient aged"),
    ("new modern", "vintage antique historic"),
    ("man men male gentleman", "woman women female lady"),
    ("boy boys", "girl girls"),
    ("happy smiling cheerful joyful", "sad crying gloomy angry"),
    ("hot", "cold icy frozen"),
    ("wet", "dry"),
    ("bright", "dark"),
    ("clean", "dirty"),
    ("alive", "dead"),
    ("awake", "asleep sleeping"),
    ("standing", "sitting seated", "lying"),
    ("more", "less fewer"),
    ("larger bigger taller", "smaller shorter"),
    ("older", "younger"),
    ("faster", "slower"),
)
_OPPOSED = {
    word: (axis, end) for axis, ends in enumerate(_AXES) for end, words in enumerate(ends) for word in words.split()
}
"""Words that may be left out, but not replaced by their opposites: on which axis, and at which end of it."""

_PASSIVE = re.compile(
    r"\b(?:\w+(?:ed|en)|held|led|fed|hit|kept|caught|worn|drawn|made|told|taught|fought|sought|bought|shot) by\b"
)


def scope(
    request: ImageRequest, *, provider: str, dialect: str, model: str, tenant: str, first: int = 0, server: str = ""
) -> str:
    """Where likes of `request` are looked for at one target, from sample number `first` on: "shelf:order:ends"."""
    told = canonical(request, model) | {
        "near": SCHEMA,
        "provider": provider,
        "server": server,
        "dialect": dialect,
        "tenant": tenant,
        "first": first,
        "features": features(request.prompt),
    }
    words = _words(request.prompt)
    order = "".join([_mark(word) for word in words if word not in _PLAIN])
    return f"{sha256(text(told)).hexdigest()}:{order}:{_ends(words)}"


def alike(one: str, other: str) -> bool:
    """Whether what lies in one scope may pass for what lies in the other, if their vectors are near enough."""
    if one == other:
        return True
    if shelf(one) != shelf(other):
        return False
    (my_order, my_ends), (your_order, your_ends) = _sketch(one), _sketch(other)
    opposed = any(my_ends[axis] != your_ends[axis] for axis in my_ends.keys() & your_ends.keys())
    return not opposed and _in_order(my_order, your_order)


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
        sorted(_DIRECTIONS[word] for word in words if word in _DIRECTIONS),
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
    return normalize("NFKC", prompt).casefold().replace("close-up", "closeup")


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
    meant = "no" if word in _NEGATIONS else _NUMBERS.get(word) or _COLOURS.get(word) or _DIRECTIONS.get(word)
    opposed = _OPPOSED.get(word)
    told = meant or (_stem(word) if opposed is None else f"{opposed}")
    return sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


def _ends(words: list[str]) -> str:
    """The ends of axes that a prompt names: two letters each."""
    named = sorted({_OPPOSED[word] for word in words if word in _OPPOSED})
    return "".join(f"{chr(97 + axis)}{end}" for axis, end in named)


def _sketch(scope: str) -> tuple[list[str], dict[str, str]]:
    """The order of a scope's words, and its ends by axis."""
    _, _, sketch = scope.partition(":")
    order, _, ends = sketch.partition(":")
    marks = [order[start : start + _DIGITS] for start in range(0, len(order), _DIGITS)]
    by_axis: dict[str, str] = {}
    for start in range(0, len(ends), 2):
        by_axis[ends[start]] = by_axis.get(ends[start], "") + ends[start + 1 : start + 2]
    return marks, by_axis


def _in_order(mine: list[str], yours: list[str]) -> bool:
    """Whether no two words that both have change places around another one ("dog bites man", "man bites dog").

    What stands side by side may turn round: "a glass of water" is "a water glass". In long prompts nothing may.
    """
    matched = _matched(mine, yours)
    places = [place for _, place in matched]
    if len(matched) > _LONG:
        return places == sorted(places)
    return not any(
        here - before > 1 and there - place > 1
        for number, (here, place) in enumerate(matched)
        for before, there in matched[:number]
    )


def _matched(mine: list[str], yours: list[str]) -> list[tuple[int, int]]:
    """Where each word that both have stands in the one and in the other, in the order of the one."""
    at: dict[str, list[int]] = {}
    for place, mark in enumerate(yours):
        at.setdefault(mark, []).append(place)
    found: list[tuple[int, int]] = []
    for place, mark in enumerate(mine):
        theirs = at.get(mark)
        if theirs:
            found.append((place, theirs.pop(0)))
    return found
