"""How the pictures of rows are called, and which samples of a request they are.

An id is free text, a file name is not: what some system could not keep, or would take for something else, is made
safe, and wherever that changes a text a piece of its SHA-256 is added, so that no two texts meet in one name. Names
that differ only in capitals or in the spelling of accents are one name on many disks, so `Namer` tells them apart.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from hashlib import sha256
from itertools import count
from string import Formatter

from attrs import frozen

from penstock_io.batch.checking import META
from penstock_io.batch.rows import FIELDS, LONGEST_NAME, Json, Row, plain

LONGEST = 120
"""Bytes of a safe name: with a mark, the number of a picture and an extension it stays below what disks take."""

LONGEST_TEMPLATE = 200
"""Characters of a template."""

SHORTEST_VALUE = 20
"""Bytes that each value of a template may have at least."""

_ORDINARY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+=,@#~-]{0,99}")
_FORBIDDEN = frozenset('/\\:*?"<>|')
_BLIND = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
_DEVICES = frozenset({
    "con", "prn", "aux", "nul", "conin$", "conout$", "clock$",
    *(f"{name}{n}" for name in ("com", "lpt") for n in "0123456789¹²³"),
})  # fmt: skip
_ASKED = frozenset(FIELDS) - {"extra", "image", "mask"}


def folded(name: str) -> str:
    """What is left of a name where capitals and the spelling of accents are not told apart."""
    if name.isascii():
        return name.lower()
    # Through capitals as well: a system that compares those of each letter takes a dotless i for an i.
    flat = unicodedata.normalize("NFD", name).casefold().upper().casefold()
    return unicodedata.normalize("NFC", flat)


def safe(text: str, longest: int = LONGEST) -> str:
    """`text` as one file name without extension, of at most `longest` bytes (20 or more), on every system.

    A text that is safe stays as it is. Any other gets "~" and 8 hex digits of its SHA-256 after what can be kept of it.
    """
    if len(text) <= longest and _ordinary(text):
        return text
    kept = "".join("_" if _unsafe(c) else c for c in unicodedata.normalize("NFC", text))
    kept = kept.lstrip(" .-").rstrip(" .") or "_"
    if kept.partition(".")[0].rstrip().casefold() in _DEVICES:
        kept = f"_{kept}"
    if kept == text and len(kept.encode()) <= longest:
        return text
    mark = _mark(text)
    return kept.encode()[: longest - len(mark)].decode("utf-8", "ignore").rstrip(" .") + mark


def _ordinary(text: str) -> bool:
    """Whether a text is safe at a glance."""
    return _ORDINARY.fullmatch(text) is not None and text.lower() not in _DEVICES


def _unsafe(character: str) -> bool:
    if character in _FORBIDDEN:
        return True
    category = unicodedata.category(character)
    return category in _BLIND or (category == "Zs" and character != " ")


def _mark(text: str) -> str:
    return f"~{sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


class MissingField(ValueError):
    """A row has nothing to say for a field of the template: `field`, and what to do."""

    def __init__(self, name: str) -> None:
        self.field = name
        super().__init__("is missing, or no text or number, and --name needs it: give it in each row")


@frozen
class Template:
    """How a row's pictures are called: `parts` are (text, field after it) pairs."""

    text: str
    parts: tuple[tuple[str, str | None], ...]

    @classmethod
    def parse(cls, text: str) -> Template:
        """The template that says "{sku}-{k}"; {{ and }} are braces.

        Fields are id, index (of the row, from 0), k (of the picture, from 1), those of a request, and names of meta.
        Raises `ValueError` saying what is wrong.
        """
        if len(text) > LONGEST_TEMPLATE:
            raise ValueError(f"a template has at most {LONGEST_TEMPLATE} characters")
        try:
            pieces = list(Formatter().parse(text))
        except ValueError:
            raise ValueError("a brace is not closed: a field is written {id}, a brace {{ or }}") from None
        parts: list[tuple[str, str | None]] = []
        for literal, name, form, conversion in pieces:
            if name is not None and (form or conversion):
                raise ValueError(f"{{{plain(name, LONGEST_NAME)}}} is written without : and !")
            parts.append((_literal(literal), None if name is None else _field(name)))
        if not {name for _, name in parts} - {None, "k"}:
            raise ValueError("all rows would have one name: use {id}, {index} or another field of theirs")
        return cls(text, tuple(parts))

    @property
    def numbered(self) -> bool:
        """It says itself where the number of a picture stands."""
        return any(name == "k" for _, name in self.parts)

    def stems(self, row: Row, n: int, mark: str = "") -> tuple[str, ...]:
        """The names of the row's `n` pictures without extension, safe on every system.

        `mark` tells apart rows that would have one name. Raises `MissingField`.
        """
        if n == 1 and self.text == "{id}" and _ordinary(row.id):
            return (f"{row.id}{mark}",)  # what follows comes to the same
        values = self._values(row)
        if self.numbered:
            return tuple(f"{self._filled({**values, 'k': str(k)})}{mark}" for k in range(1, n + 1))
        whole = f"{self._filled(values)}{mark}"
        return (whole,) if n == 1 else tuple(f"{whole}-{k}" for k in range(1, n + 1))

    def _values(self, row: Row) -> dict[str, str]:
        """What the row says for each field, safe and short enough for all of them to fit."""
        names = [name for _, name in self.parts if name is not None and name != "k"]
        literal = sum(len(text.encode()) for text, _ in self.parts) + (5 if self.numbered else 0)
        room = max(SHORTEST_VALUE, (LONGEST - literal) // len(names))
        return {name: safe(_said(row, name), room) for name in names}

    def _filled(self, values: Mapping[str, str]) -> str:
        return safe("".join(text if name is None else f"{text}{values[name]}" for text, name in self.parts))


def _literal(text: str) -> str:
    bad = sorted({c for c in text if _unsafe(c)})
    if bad:
        shown = " ".join(c if c in _FORBIDDEN else ascii(c) for c in bad[:9])
        raise ValueError(f"a file name cannot hold {shown} on every system, and pictures have one folder: leave it out")
    return text


def _field(name: str) -> str:
    if not name.removeprefix(META).strip():
        raise ValueError("{} needs the name of a field: {id}, {k}, {size}, or one of meta")
    if name in {"image", "mask"}:
        raise ValueError(f"{{{name}}} is a path: name the picture by {{id}}, or by a column that you --keep")
    if name in {"extra", "meta"}:
        raise ValueError(f"{{{name}}} is no single text: name what is in it, as {{sku}}")
    return name


def _said(row: Row, name: str) -> str:
    if name == "id":
        return row.id
    if name == "index":
        return str(row.index)
    value: Json
    if name in _ASKED:
        value = getattr(row.request, name)
    else:
        value = row.meta.get(name.removeprefix(META))
    text = "" if value is None or isinstance(value, list | dict) else str(value)
    if not text.strip():
        raise MissingField(name)
    return text


class Namer:
    """Gives every row names that no other row has, also where capitals and accents are not told apart.

    `taken` are the folded names (`folded`, without extension) of pictures that are in the folder already, with the id
    of the row that each belongs to: a row keeps the names it has, and gets none of another's.
    """

    def __init__(self, template: Template, taken: Mapping[str, str]) -> None:
        self._template = template
        self._before = taken
        self._owners = dict(taken)

    def stems(self, row: Row, n: int) -> tuple[str, ...]:
        """The names of the row's `n` pictures without extension. Raises `MissingField`."""
        if not self._before:
            names = self._template.stems(row, n)
            if self._takes(row.id, names):
                return names
        tried = (self._template.stems(row, n, mark) for mark in self._marks(row, n))
        return next(names for names in tried if self._takes(row.id, names))

    def _takes(self, owner: str, names: tuple[str, ...]) -> bool:
        """Whether a row can have these names, which are its own then."""
        if len(names) == 1:
            return self._owners.setdefault(folded(names[0]), owner) == owner
        flat = [folded(name) for name in names]
        if any(self._owners.get(name, owner) != owner for name in flat):
            return False
        self._owners.update(dict.fromkeys(flat, owner))
        return True

    def _marks(self, row: Row, n: int) -> Iterator[str]:
        """Nothing, or what tells the row apart; first of all what its pictures of earlier runs are called by."""
        if self._before and not self._has(row, n, "") and self._has(row, n, _mark(row.id)):
            yield _mark(row.id)
        yield ""
        yield _mark(row.id)
        # No id holds a line feed, so these are marks of no other.
        yield from (_mark(f"{row.id}\n{number}") for number in count(1))

    def _has(self, row: Row, n: int, mark: str) -> bool:
        return any(self._before.get(folded(stem)) == row.id for stem in self._template.stems(row, n, mark))


class Sampler:
    """Chooses the first sample of each row's pictures where repeated rows shall have pictures of their own.

    `known` has the first samples of rows of earlier runs by id, `used` all first samples by content.
    """

    def __init__(self, known: Mapping[str, int], used: Mapping[str, Collection[int]]) -> None:
        self._known = known
        self._used = {content: set(samples) for content, samples in used.items()}
        self._next: dict[str, int] = {}

    def sample(self, row: Row) -> int:
        """The first sample of the row's pictures: its own of earlier, else a multiple of their number that is free."""
        used = self._used.setdefault(row.content, set())
        known = self._known.get(row.id)
        if known is not None:
            used.add(known)
            return known
        n = row.request.n
        first = self._next.get(row.content, 0)
        first = -(-first // n) * n
        while any(sample in used for sample in range(first, first + n)):
            first += n
        used.add(first)
        self._next[row.content] = first + n
        return first
