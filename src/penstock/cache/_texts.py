"""What is to be read in a picture, though nobody put it in quotes, and what is called by a name or a code."""

from __future__ import annotations

import re
from collections.abc import Iterable
from unicodedata import normalize

_QUOTED = re.compile(
    r"\"([^\"]*)\"|\u201c([^\u201d]*)\u201d|\u201e([^\u201c\u201d]*)[\u201c\u201d]|\u00ab([^\u00bb]*)\u00bb"
    r"|(?<!\w)['\u2018]([^'\u2018\u2019]*)['\u2019](?!\w)|`([^`]*)`"
)
_BEARER = (
    r"(?:sign|label|poster|banner|shirt|note|screen|plate|billboard|button|badge|card|board|cover|page|plaque|sticker"
    r"|book|cake|mug|flag|display|headline|logo)s?"
)
_SAID = re.compile(
    r"\b(?:saying|says|said|labell?ed|titled|entitled|captioned|inscribed|marked|stamped|printed|engraved|spelling"
    r"|spells|called|named|written|lettered|headlined|(?:word|text|letter|name|slogan|title|caption|message|phrase"
    rf"|inscription|lettering)s?|{_BEARER} (?:that |which )?(?:reads|reading|read|showing|shows)"
    rf"|{_BEARER} for)\b:?\s+([^,.;:!?\n]+)|:\s+([^,.;\n]+)",
    re.IGNORECASE,
)
_LOUD = re.compile(r"\b[^\W\d_a-z]{2,}\b")
_LETTER = re.compile(r"(?<=[\w,;] )[A-Z]\b(?!')")
_NAME = re.compile(r"(?<=[\w,;] )[A-Z][^\W\d_]+|\A[A-Z][^\W\d_]+(?=['\u2019]s\b)")
_ROMAN = re.compile(r"\b(?=[ivxlcdm]{2,}\b)m{0,3}(?:cm|cd|d?c{0,3})(?:xc|xl|l?x{0,3})(?:ix|iv|v?i{0,3})\b")
_FIRST = re.compile(r"\b(?:(?-i:[A-Z])\w+|chapter|part|volume|act|book|type|class|phase) (i|v|x)\b", re.IGNORECASE)
_CODE = re.compile(r"\b(?=\w*[0-9])(?=[0-9]*[^\W\d_])[^\W_]+\b")
_SIGNED = re.compile(r"(?<![\w.,)])[-+\u2212\u2013] ?[0-9][0-9.,]*")
_UNIT = re.compile(r"(?<![0-9.,])[0-9][0-9.,]* (?!in\b|on\b|at\b|by\b|of\b|to\b|or\b|as\b|is\b|an?\b)[^\W\d_]{1,2}\b")
_SYMBOL = re.compile(r"[%$\u20ac\u00a3\u00a5\u00b0\u2030\u00a7&@=<>]")
_HEX = re.compile(r"(?:#|\b0x)[0-9a-f]{3,8}\b")
_KEPT = 4


def quoted(prompt: str) -> Iterable[str]:
    """The texts that a prompt puts in quotes, writes in capitals, or brings with a word such as "saying"."""
    shown = normalize("NFC", prompt)
    for found in _QUOTED.findall(shown):
        yield " ".join("".join(found).split())
    for found in _SAID.findall(shown):
        yield "said " + " ".join("".join(found).split())
    if any(letter.islower() for letter in shown):
        for word in _LOUD.findall(shown):
            if word.isupper():
                yield "loud " + word


def codes(prompt: str, folded: str) -> Iterable[str]:
    """Roman numerals, letters as numbers, letters with digits, signs, units, and colours in figures."""
    for word in _ROMAN.findall(folded):
        yield "roman " + word
    for word in _FIRST.findall(prompt):
        yield "roman " + word.casefold()
    if any(letter.islower() for letter in prompt):
        for word in _LETTER.findall(prompt):
            if word != "I":
                yield "letter " + word
    for kind, pattern in (("code", _CODE), ("sign", _SIGNED), ("unit", _UNIT), ("symbol", _SYMBOL), ("hex", _HEX)):
        for found in pattern.findall(folded):
            yield f"{kind} {found.replace(chr(0x2212), '-').replace(chr(0x2013), '-').replace(' ', '')}"


def names(prompt: str) -> Iterable[str]:
    """How the words begin that stand with a capital amid others without: Paris and Parisian begin alike."""
    found = _NAME.findall(prompt)
    if len(found) * 2 < len(prompt.split()):
        for name in found:
            yield name.casefold()[:_KEPT]
