"""What may pass for the same picture although it is said in other words: guards, before any likeness counts.

An embedder says how near two prompts lie, and knows little of what makes a picture another one: "no hat" lies beside
"a hat", three cats beside two, left beside right, and who bites whom is all one to it. So a prompt has a *scope*: a
name of the shelf on which its likes are looked for, and a sketch of its words. On one shelf stands what is asked of one
model, for one tenant, in one form (size, quality and all else), with the same numbers, negations, colours, directions,
names, and texts to be read. Of two prompts on one shelf neither may say the opposite of the other (day and night, tied
and untied), and no two words that both have may change places, except where a phrase is turned whose sense is the same
("a glass of water", "a water glass"). Words are told by a few bits of their digests: no scope gives a prompt away.

In doubt two prompts are not alike: a miss costs a picture, a false hit gives somebody the wrong one.

The guards know English, and negations of a few languages more. What is written in other letters than Latin ones stands
on a shelf with nothing but itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import sha256
from unicodedata import normalize

from attrs import frozen

from penstock.cache._texts import codes, names, quoted
from penstock.cache._vocabulary import (
    ARTICLES,
    COLOURS,
    DENYING_BEFORE_BUT,
    DENYING_BEFORE_OF,
    DIRECTIONS,
    JOINING,
    NEGATIONS,
    NUMBERS,
    OPPOSED,
    PLACING,
    PLAIN,
    RESTING,
    SHADES,
    UN,
)
from penstock.cache.key import canonical, text
from penstock.requests import ImageRequest

SCHEMA = 2
"""The version of shelves: another one finds nothing of what stood on them before."""

_DIGITS = 4
"""Hex digits that stand for a word of a sketch."""

_BREAK = "0" * _DIGITS
"""What parts two things in a sketch."""

_WORD = re.compile(r"[0-9]+(?:[.,:/x\u00d7][0-9]+)*(?:st|nd|rd|th|s)?\b|[0-9]+|[^\W\d_]+(?:['\u2019][^\W\d_]+)*|[,;]")
_HYPHEN = re.compile(rf"\b({'|'.join(UN)})-(?=\w)")
_FREE = re.compile(r"\b(\w+)[- ]?free\b")
_LONG = 200
"""With so many words in common two prompts are long."""

_LATIN = 0x250
"""From here on letters are of other scripts."""

_REST = 3
"""So many letters of a word are left at least when its beginning is taken off."""

_PASSIVE = re.compile(
    r"\b(?:\w+(?:ed|en)|held|led|fed|hit|kept|caught|worn|drawn|made|told|taught|fought|sought|bought|shot) by\b"
)


def scope(
    request: ImageRequest, *, provider: str, dialect: str, model: str, tenant: str, first: int = 0, server: str = ""
) -> str:
    """Where likes of `request` are looked for at one target, from sample number `first` on."""
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
    order = "".join(_order(words))
    undone = "".join(sorted({_mark(rest) for word in words for rest in _undone(word)}))
    return f"{sha256(text(told)).hexdigest()}:{order}:{_ends(words)}:{undone}"


def alike(one: str, other: str) -> bool:
    """Whether what lies in one scope may pass for what lies in the other, if their vectors are near enough."""
    if one == other:
        return True
    if shelf(one) != shelf(other):
        return False
    mine, yours = _sketch(one), _sketch(other)
    opposed = any(mine.ends[axis] != yours.ends[axis] for axis in mine.ends.keys() & yours.ends.keys())
    undone = (mine.undone - yours.undone) & set(yours.order) or (yours.undone - mine.undone) & set(mine.order)
    return not opposed and not undone and _in_order(mine.order, yours.order)


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
        sorted([*_denials(words), *(_stem(word) for word in _FREE.findall(folded) if word not in PLAIN)]),
        sorted(_colours(words)),
        sorted(DIRECTIONS[word] for word in words if word in DIRECTIONS),
        ["by"] * passives,
        sorted(quoted(prompt)),
        sorted(codes(prompt, folded)),
        sorted(names(prompt)),
        foreign,
    ]


def _colours(words: list[str]) -> Iterable[str]:
    """Each colour with the word that makes it light or dark; what ends in -coloured is one, whatever it is."""
    for before, word in zip(["", *words], words, strict=False):
        if word in COLOURS:
            yield " ".join([*([SHADES[before]] if before in SHADES else []), COLOURS[word]])
        if word in {"coloured", "colored"}:
            yield f"of {_stem(before)}"


def _numbers(words: list[str]) -> Iterable[str]:
    for word in words:
        if word[0].isdigit():
            yield word.replace("\u00d7", "x").replace(",", "")
        elif word in NUMBERS:
            yield NUMBERS[word]


def _denials(words: list[str]) -> Iterable[str]:
    """Each negation with the word that it denies: which of two things is missing is all the difference."""
    for place, word in enumerate(words):
        if _denies(words, place):
            rest = words[place + 1 :]
            denied = (after for after in rest if after not in PLAIN | NEGATIONS | PLACING | {",", ";"})
            yield _stem(next(denied, ""))
        elif len(word) > 6 and word.endswith("less"):
            yield _stem(word.removesuffix("less"))


def _denies(words: list[str], place: int) -> bool:
    word, before, after = words[place], words[place - 1 : place], words[place + 1 : place + 2]
    return (
        word in NEGATIONS
        or word.endswith(("n't", "n\u2019t"))
        or (word in DENYING_BEFORE_OF and after in (["of"], ["from"]))
        or (word == "but" and bool(before) and before[0] in DENYING_BEFORE_BUT)
    )


def _undone(word: str) -> Iterable[str]:
    """What is left of a word without a beginning that turns it round: "tied" of "untied"."""
    for beginning in UN:
        least = _REST if len(beginning) > 1 else 2 * _REST
        if word.startswith(beginning) and len(word) - len(beginning) >= least:
            yield word.removeprefix(beginning)


def _folded(prompt: str) -> str:
    plain = normalize("NFKC", prompt).casefold().replace("close-up", "closeup").replace("\u2044", "/")
    return _HYPHEN.sub(r"\1", plain).replace("filled with", "full of")


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
    meant = "no" if word in NEGATIONS else NUMBERS.get(word) or COLOURS.get(word) or DIRECTIONS.get(word)
    opposed = OPPOSED.get(word)
    told = meant or (_stem(word) if opposed is None else f"{opposed}")
    return sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]


def _ends(words: list[str]) -> str:
    """The ends of axes that a prompt names: three letters each."""
    named = sorted({OPPOSED[word] for word in words if word in OPPOSED})
    return "".join(f"{axis:02x}{end}" for axis, end in named)


def _order(words: list[str]) -> list[str]:
    """The marks of a prompt's words in their order, as if it said "water glass" for "glass of water"."""
    if words and words[0] in PLACING and "," in words:
        comma = words.index(",")
        words = [*words[comma + 1 :], *words[:comma]]
    kept: list[str] = []
    for word in words:
        if word in ARTICLES or word in {"and", "or", ",", ";"}:
            if kept and kept[-1] not in PLACING and kept[-1] != ",":
                kept.append(",")
        elif word not in PLAIN:
            kept.append(word)
    kept = [word for word, after in zip(kept, [*kept[1:], ""], strict=False) if (word, after) != ("full", "of")]
    return [_BREAK if word == "," else _mark(word) for word in _rested(_compounds(kept)) if word != "of"]


def _compounds(words: list[str]) -> list[str]:
    """The words with "water glass" for "glass of water"."""
    parting = PLACING | {","}
    for place in range(len(words) - 2, 0, -1):
        if words[place] == "of" and words[place - 1] not in parting and words[place - 1] not in NUMBERS:
            end = place + 1
            while end < min(len(words), place + 3) and words[end] not in parting:
                end += 1
            words = [*words[: place - 1], *words[place + 1 : end], words[place - 1], *words[end:]]
    return words


def _rested(words: list[str]) -> list[str]:
    """The words with "asleep fox" for "fox asleep", where nothing follows that it could be done to."""
    parting = PLACING | {","}
    for place, word in enumerate(words):
        if word in RESTING and (place + 1 == len(words) or words[place + 1] in parting):
            start = place
            while start > 0 and words[start - 1] not in parting:
                start -= 1
            words = [*words[:start], word, *words[start:place], *words[place + 1 :]]
    return words


@frozen
class _Sketch:
    """What a scope tells of its words: marks in order, ends by axis, marks of what is turned round."""

    order: list[str]
    ends: dict[str, str]
    undone: set[str]


def _sketch(scope: str) -> _Sketch:
    _, order, ends, undone = (*scope.split(":"), "", "", "")[:4]
    by_axis: dict[str, str] = {}
    for start in range(0, len(ends), 3):
        axis = ends[start : start + 2]
        by_axis[axis] = by_axis.get(axis, "") + ends[start + 2 : start + 3]
    return _Sketch(_marks(order), by_axis, set(_marks(undone)))


def _marks(told: str) -> list[str]:
    return [told[start : start + _DIGITS] for start in range(0, len(told), _DIGITS)]


def _in_order(mine: list[str], yours: list[str]) -> bool:
    """Whether no two words that both have change places ("dog bites man", "man bites dog").

    What a preposition joins in one may stand turned round, side by side, in the other: "a waterfall in a jungle" is "a
    jungle waterfall". In long prompts nothing may.
    """
    matched = _matched(mine, yours)
    places = [place for _, place in matched]
    if places == sorted(places) or len(matched) > _LONG:
        return places == sorted(places)
    return not any(
        there > place
        and not (_joined(mine, before, here, there - place) or _joined(yours, place, there, here - before))
        for number, (here, place) in enumerate(matched)
        for before, there in matched[:number]
    )


def _joined(order: list[str], start: int, end: int, apart: int) -> bool:
    """Whether a preposition alone stands between two places, and nothing between the same words of the other."""
    return apart == 1 and end - start == 2 and order[start + 1] in _JOINING


def _matched(mine: list[str], yours: list[str]) -> list[tuple[int, int]]:
    """Where each word that both have stands in the one and in the other, in the order of the one."""
    at: dict[str, list[int]] = {}
    for place, mark in enumerate(yours):
        at.setdefault(mark, []).append(place)
    found: list[tuple[int, int]] = []
    for place, mark in enumerate(mine):
        theirs = at.get(mark)
        if theirs and mark != _BREAK:
            found.append((place, theirs.pop(0)))
    return found


_JOINING = frozenset(_mark(word) for word in JOINING)
