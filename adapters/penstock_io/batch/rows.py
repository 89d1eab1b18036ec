"""The values of an input: rows, what is wrong with them, and what they take that they do not say themselves.

How files become rows is in `inputs`, what a row must be in `checking`, how its pictures are called in `naming`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

import attrs
from attrs import evolve, fields_dict, frozen

from penstock.errors import PenstockError
from penstock.requests import ImageRequest
from penstock_io.words import struck

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

_ALL = tuple(fields_dict(ImageRequest))

FIELDS = tuple("image" if name == "images" else name for name in _ALL if name != "partial_images")
"""What a row may ask for; besides them it has an `id` and `meta`.

Its `image` is a path, an address, {"file_id": ...}, or several.
"""

SHOWN = 20
"""How many mistakes of an input are listed."""

LONGEST_MESSAGE = 300
"""Characters of a mistake's message, whatever a file holds."""

SURELY_SHORT = 100_000
"""Characters of a prompt below which no model finds it too long for a request."""

LONGEST_NAME = 60
"""Characters of a field's name in a mistake."""

_LOOK = 4_096
"""Characters of a text that are looked at: more than are shown, so that no key is cut in two before it is known."""


def plain(text: str, longest: int) -> str:
    """A text for a terminal: one line, what cannot be seen as an escape, at most `longest` characters."""
    if len(text) <= longest and text.isprintable():
        return text
    shown: list[str] = []
    room = longest
    for character in text[: longest + 1]:
        said = character if character.isprintable() else ascii(character)[1:-1]
        room -= len(said)
        shown.append(said)
    whole = "".join(shown)
    return whole if room >= 0 else f"{whole[: longest - 3]}..."


def _message(text: str) -> str:
    return plain(struck(text[:_LOOK]), LONGEST_MESSAGE)


def _name(text: str) -> str:
    return plain(struck(text[:_LOOK]), LONGEST_NAME)


@frozen
class Mistake:
    """What is wrong with the input: file, line (from 1; 0: the whole file), field ('': the whole row), what to do.

    Whatever the texts held, they are shown without control characters, without keys, and at a bounded length.
    """

    file: str = attrs.field(converter=_message)
    line: int
    field: str = attrs.field(converter=_name)
    message: str = attrs.field(converter=_message)

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.field}: {self.message}" if self.field else f"{where}: {self.message}"


def together(mistakes: Iterable[Mistake], rows: int, alike: int | None = None) -> list[Mistake]:
    """A mistake that all `rows` share comes from the options, and is said once.

    Of others that more rows than `alike` share (None: told one by one, however many) the first is told, with how many.
    """
    found: dict[tuple[str, str], list[Mistake]] = {}
    for mistake in mistakes:
        found.setdefault((mistake.field, mistake.message), []).append(mistake)
    told: list[Mistake] = []
    for some in found.values():
        first = some[0]
        if len(some) == rows > 1:
            told.append(attrs.evolve(first, line=0, message=f"{first.message} (all {rows:,} rows)"))
        elif alike is not None and len(some) > alike:
            told.append(attrs.evolve(first, message=f"{first.message} (and {len(some) - 1:,} more rows)"))
        else:
            told += some
    return sorted(told, key=lambda mistake: mistake.line)


class InputError(PenstockError):
    """The input cannot be used. `mistakes` says all that is wrong with it; its text, the first of them."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        more = len(self.mistakes) - SHOWN
        lines = [str(mistake) for mistake in self.mistakes[:SHOWN]]
        super().__init__("\n".join([*lines, f"... and {more:,} more"] if more > 0 else lines))


@frozen
class Defaults:
    """What a row takes that does not say it itself; None and 1 are what a request takes anyway."""

    model: str | None = None
    size: str | None = None
    quality: str | None = None
    output_format: str | None = None
    n: int | None = None

    def fill(self, own: Mapping[str, Json]) -> dict[str, Json]:
        """The fields of a request: the row's own, else these."""
        filled: dict[str, Json] = {name: value for name, value in own.items() if value is not None}
        for name in ("model", "size", "quality", "output_format", "n"):
            value: str | int | None = getattr(self, name)
            if value is not None:
                filled.setdefault(name, value)
        return filled


class Later:
    """A request that is made when it is first asked for: that of `like` with another prompt and seed, both checked."""

    __slots__ = ("_like", "_made", "_prompt", "_seed")

    def __init__(self, like: ImageRequest, prompt: str, seed: int | None) -> None:
        self._like = like
        self._prompt = prompt
        self._seed = seed
        self._made: ImageRequest | None = None

    def made(self) -> ImageRequest:
        """The request, one and the same each time. Raises `InvalidRequest` where it had not been checked."""
        if self._made is None:
            self._made = _another(self._like, self._prompt, self._seed)
        return self._made


def _another(like: ImageRequest, prompt: str, seed: int | None) -> ImageRequest:
    """The same request with another prompt and seed, which was checked; all else of it has been with `like`."""
    if not prompt.isascii() or not prompt or prompt.isspace() or len(prompt) > SURELY_SHORT:
        return evolve(like, prompt=prompt, seed=seed)
    made = ImageRequest.__new__(ImageRequest)
    for name in _ALL:
        object.__setattr__(made, name, getattr(like, name))
    object.__setattr__(made, "prompt", prompt)
    object.__setattr__(made, "seed", seed)
    return made


def _made(request: ImageRequest | Later) -> ImageRequest:
    return request.made() if isinstance(request, Later) else request


@frozen
class Row:
    """One row: its id, its place among all rows of the input (from 0), its line (from 1), what it asks for.

    `files` are those of its images and its mask, which have no bytes here (None: others have them).
    `content` is 16 hex digits of the row's own request fields, without id and meta: it says whether two rows, or a row
    of now and of an earlier run, ask for the same under the same options. `explicit`: the id was given. The repr shows
    neither prompt nor meta.
    """

    id: str
    index: int
    line: int
    _request: ImageRequest | Later = attrs.field(repr=False, eq=_made)
    content: str = ""
    meta: Mapping[str, Json] = attrs.field(factory=dict[str, Json], repr=False, hash=False)
    explicit: bool = False
    files: tuple[Path | None, ...] = ()

    @property
    def request(self) -> ImageRequest:
        """What it asks for, options filled in."""
        return _made(self._request)


@frozen
class Invalid:
    """A row that cannot be sent: its explicit id where that is usable, its place and line, all that is wrong."""

    id: str | None
    index: int
    line: int
    mistakes: tuple[Mistake, ...]


@frozen
class Rows:
    """What an input holds, in its order. `seconds` is how long it took to read and check."""

    file: str
    rows: tuple[Row, ...]
    invalid: tuple[Invalid, ...] = ()
    seconds: float = 0.0
