"""How the neutral fields of a request are said in a dialect: the rules of its table, each a value.

A rule gives the pairs that are sent, or None where it has no words for a value. What a rule changes on the way (a size
that becomes the nearest shape) it says in a remark. `hear` is the way back: what field is meant by what is sent, and
which names of it say that.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, log
from typing import TypeAlias

from attrs import frozen

from penstock.catalog import parse
from penstock.requests import Scalar

Pairs: TypeAlias = tuple[tuple[str, Scalar], ...]
Heard: TypeAlias = tuple[Scalar, tuple[str, ...]]
"""A value, None where nothing says one, and the names that say it."""

NOTHING: Heard = (None, ())


@frozen
class Spoken:
    """What a rule makes of a value: pairs to send, a text behind the prompt, and a `remark` on what was changed."""

    pairs: Pairs = ()
    behind: str = ""
    remark: str = ""


@frozen
class Named:
    """Said as it is, under this name; only `choices` where there are some."""

    name: str
    choices: tuple[Scalar, ...] = ()

    def say(self, value: Scalar) -> Spoken | None:
        """The value under its name."""
        return Spoken(((self.name, value),)) if not self.choices or value in self.choices else None

    def hear(self, sent: Mapping[str, Scalar]) -> Heard:
        """The value under its name."""
        return sent.get(self.name), (self.name,)


@frozen
class Sides:
    """A size of "WIDTHxHEIGHT" as two whole numbers; "auto" is not said."""

    width: str = "width"
    height: str = "height"

    def say(self, value: Scalar) -> Spoken | None:
        """Both sides."""
        if value == "auto":
            return Spoken()
        pixels = parse(value) if isinstance(value, str) else None
        return None if pixels is None else Spoken(((self.width, pixels[0]), (self.height, pixels[1])))

    def hear(self, sent: Mapping[str, Scalar]) -> Heard:
        """Both sides as one."""
        sides = (sent.get(self.width), sent.get(self.height))
        whole = all(isinstance(side, int) and not isinstance(side, bool) and side >= 0 for side in sides)
        return ("x".join(map(str, sides)), (self.width, self.height)) if whole else NOTHING


@frozen
class Nearest:
    """A size as the nearest of some shapes ("16:9"), which may also be given themselves; "auto" is not said."""

    name: str
    shapes: tuple[str, ...]

    def say(self, value: Scalar) -> Spoken | None:
        """The shape; a remark where it stands for pixels."""
        if value == "auto":
            return Spoken()
        if value in self.shapes:
            return Spoken(((self.name, value),))
        pixels = parse(value) if isinstance(value, str) else None
        if pixels is None or 0 in pixels:
            return None
        wanted = log(pixels[0] / pixels[1])
        found = min(self.shapes, key=lambda shape: abs(_log_ratio(shape) - wanted))
        return Spoken(((self.name, found),), remark=f"said as {self.name} {found}, the nearest there is: no pixels")

    def hear(self, sent: Mapping[str, Scalar]) -> Heard:
        """The shape: of what pixels it was made nobody hears."""
        return sent.get(self.name), (self.name,)


@frozen
class Words:
    """A value in the dialect's own word for it; others it does not have."""

    name: str
    words: Mapping[Scalar, Scalar]

    def say(self, value: Scalar) -> Spoken | None:
        """The word."""
        return Spoken(((self.name, self.words[value]),)) if value in self.words else None

    def hear(self, sent: Mapping[str, Scalar]) -> Heard:
        """The first value that has this word."""
        word = sent.get(self.name)
        found = [value for value, one in self.words.items() if one == word and type(one) is type(word)]
        return (found[0], (self.name,)) if found else NOTHING


@frozen
class Behind:
    """A text that is said within the prompt, behind it and `joint`."""

    joint: str

    def say(self, value: Scalar) -> Spoken | None:
        """What comes behind the prompt."""
        return Spoken(behind=f"{self.joint}{value}")

    def hear(self, sent: Mapping[str, Scalar]) -> Heard:
        """Nothing: it is a part of the prompt."""
        del sent
        return NOTHING


Rule: TypeAlias = Named | Sides | Nearest | Words | Behind

AVOID = Behind("\n\nThe picture must not show: ")
"""How a negative prompt is emulated."""

STEPS: dict[Scalar, Scalar] = {"low": 15, "medium": 25, "high": 40}
"""How qualities are emulated where a server knows steps alone: samplers of diffusion models are good from 20 on."""

EMULATED: Mapping[str, Rule] = {"negative_prompt": AVOID}
"""What every dialect may emulate that has no words for it."""


def same(*names: str) -> dict[str, Rule]:
    """Fields that are said under their own names."""
    return {name: Named(name) for name in names}


def _log_ratio(shape: str) -> float:
    width, _, height = shape.partition(":")
    return log(float(width) / float(height)) if height else inf
