"""One record of an input, made a row or refused with all that is wrong with it.

A row without an id takes one from its own fields, never from the options of the command: so a picture that is there
stays there when the command is given another model for the rest, and when lines come, go or are sorted.

Nearly all rows of a file are alike but for prompt and seed. What depends on neither (a *shape*) is checked once and
remembered, which is what makes 50,000 rows a second possible.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from attrs import evolve

from penstock.errors import InvalidRequest
from penstock.requests import ImageRequest
from penstock_io.batch.images import Looker
from penstock_io.batch.requesting import CANONICAL, HEX, Shape, shape_of, told_of
from penstock_io.batch.rows import FIELDS, LONGEST_NAME, SURELY_SHORT, Defaults, Json, Later, plain

LONGEST_ID = 1_000
"""Characters of an id."""

DEEPEST = 20
"""Lists and objects inside one another that a value of `meta` may have."""

META = "meta."
"""How a name begins that is only carried to the results."""

SHAPES = 4_096
"""Shapes that are remembered at a time."""

MOST_FAULTS = 20
"""Faults of one record after which no more unknown names are looked for."""

_ANY = ImageRequest(prompt="-", model="any")

_KNOWN = ("id", *FIELDS, "meta")
_FIELDS = frozenset(FIELDS)
_SEEDS = 2**63
_SURROGATE = re.compile("[\ud800-\udfff]")


class Wrong(Exception):
    """A record is no row. `faults` are (field, message): a field of '' is the whole row; `id` is its own if usable."""

    def __init__(self, faults: Iterable[tuple[str, str]], name: str | None = None) -> None:
        self.faults = tuple(faults)
        self.id = name
        super().__init__("; ".join(f"{plain(field, LONGEST_NAME)}: {message}" for field, message in self.faults))


class Checked(NamedTuple):
    """A record that can be a row: `id` is given if `explicit`, else made from all of its own fields."""

    id: str
    explicit: bool
    content: str
    meta: Mapping[str, Json]
    request: Later
    files: tuple[Path | None, ...] = ()


class Checker:
    """Checks records against what a request may be, with `defaults` for what they leave out.

    `keep` names unknown fields that go to the results as they are; known ones among them are copied there. Images that
    rows name are looked for below `root`.
    """

    def __init__(self, defaults: Defaults, keep: Sequence[str] = (), root: Path = Path()) -> None:
        self._defaults = defaults
        self._keep = frozenset(name.removeprefix(META) for name in keep)
        self._copied = tuple(name for name in FIELDS if name in self._keep)
        self._looker = Looker(root)
        self._shapes: dict[object, Shape] = {}

    def check(self, own: Mapping[str, Json]) -> Checked:
        """The row that `own` says; the mapping is not changed. Raises `Wrong` with all that is wrong."""
        fields = dict(own)
        name = fields.pop("id", None)
        faults: list[tuple[str, str]] = []
        meta = {} if _FIELDS.issuperset(fields) else self._split(fields, faults)
        prompt = fields.pop("prompt", None)
        seed = fields.get("seed")
        if type(seed) is int and -_SEEDS <= seed < _SEEDS:
            fields["seed"] = 0
        else:
            seed = None
        shape = self._shape(fields, faults)
        if name is not None and (reason := bad_id(name)) is not None:
            faults.append(("id", reason))
            name = None
        given = None if name is None else str(name)
        request = _asked(_ANY if shape is None else shape.like, prompt, seed, faults)
        if faults or shape is None or request is None or not isinstance(prompt, str):
            raise Wrong(faults, given)
        content = shape.content(prompt, seed)
        if given is None:
            made = shape.content(prompt, seed, meta) if meta else content
        else:
            made = given
        if self._copied:
            meta = {name: own[name] for name in self._copied if own.get(name) is not None} | meta
        return Checked(made, given is not None, content, meta, request, shape.files)

    def unknown(self, name: str) -> str | None:
        """Why a field cannot be called `name`; None where it can."""
        if name in _KNOWN or name in self._keep or name.startswith(META):
            return None
        return _unknown(name)

    def _split(self, fields: dict[str, Json], faults: list[tuple[str, str]]) -> dict[str, Json]:
        """Take what is only carried along out of `fields`."""
        meta: dict[str, Json] = {}
        for name in [name for name in fields if name not in _FIELDS]:
            value = fields.pop(name)
            if len(faults) >= MOST_FAULTS:
                continue
            if (reason := self.unknown(name)) is not None:
                faults.append((name, reason))
            elif name != "meta":
                _carry(name.removeprefix(META), value, name, meta, faults)
            elif isinstance(value, dict):
                for inner, one in value.items():
                    _carry(inner, one, f"{META}{inner}", meta, faults)
            elif value is not None:
                faults.append(("meta", 'must be an object: {"name": value}'))
        return meta

    def _shape(self, fields: Mapping[str, Json], faults: list[tuple[str, str]]) -> Shape | None:
        key: object
        try:
            # The types are part of it: to a dictionary 1, 1.0 and true are one key.
            key = (tuple(fields.items()), tuple(map(type, fields.values())))
            found = self._shapes.get(key)
        except TypeError:
            deep = [(name, reason) for name in fields if (reason := _uncarried(fields[name], DEEPEST)) is not None]
            if deep:
                faults += deep
                return None
            key = CANONICAL.encode(fields)
            found = self._shapes.get(key)
        if found is None:
            found = shape_of(fields, self._defaults, self._looker, faults)
            if found is not None:
                if len(self._shapes) >= SHAPES:
                    self._shapes.clear()
                self._shapes[key] = found
        return found


def check_defaults(defaults: Defaults) -> list[tuple[str, str]]:
    """What is wrong with what rows take that do not say it themselves: (field, message) pairs."""
    faults: list[tuple[str, str]] = []
    told = defaults if defaults.model is not None else evolve(defaults, model=_ANY.model)
    shape_of({}, told, Looker(Path()), faults)
    return faults


def identity(own: Mapping[str, Json]) -> str:
    """16 hex digits of a row's own fields without its id, in whatever order and spelling they come."""
    told = {name: value for name, value in own.items() if value is not None and name != "id"}
    return sha256(CANONICAL.encode(told).encode("ascii")).hexdigest()[:HEX]


def bad_id(value: Json) -> str | None:
    """Why `value` cannot be the id of a row, None where it can."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return "must be a text or a whole number"
    text = str(value)
    if len(text) > LONGEST_ID:
        return f"is longer than {LONGEST_ID:,} characters: choose a shorter one"
    if not text.strip():
        return "is empty: leave it out, or give each row its own"
    if not text.isprintable():
        bad = sorted({c for c in text if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"}})
        if bad:
            return f"holds characters that cannot be shown: leave out {' '.join(ascii(c) for c in bad[:9])}"
    return None


@lru_cache(maxsize=1_024)
def _unknown(name: str) -> str:
    near = get_close_matches(name.lower(), _KNOWN, 1, 0.7)
    shown = plain(name, LONGEST_NAME)
    if near:
        return f'unknown name: did you mean "{near[0]}"? To carry it to the results, call it "{META}{shown}"'
    return (
        f'unknown name: call it "{META}{shown}" or use --keep to carry it to the results; known are {", ".join(_KNOWN)}'
    )


def _carry(name: str, value: Json, full: str, meta: dict[str, Json], faults: list[tuple[str, str]]) -> None:
    """Put one thing that is only carried along into `meta`."""
    if not name.strip() or len(name) > LONGEST_ID or _SURROGATE.search(name):
        faults.append((full, f'"{META}" needs a name after it, of at most {LONGEST_ID:,} characters'))
    elif name in meta:
        faults.append((full, "given twice: leave one out"))
    elif (reason := _uncarried(value, DEEPEST)) is not None:
        faults.append((full, reason))
    else:
        meta[name] = value


def _uncarried(value: Json, deepest: int) -> str | None:
    """Why a value cannot be carried to the results, None where it can."""
    if isinstance(value, str):
        return None if value.isascii() or not _SURROGATE.search(value) else "holds half of a surrogate pair"
    if not isinstance(value, list | dict):
        return None
    if not deepest:
        return f"has more than {DEEPEST} lists and objects inside one another: make it flatter"
    parts: Iterable[Json] = value if isinstance(value, list) else (*value, *value.values())
    return next((reason for part in parts if (reason := _uncarried(part, deepest - 1)) is not None), None)


def _asked(like: ImageRequest, prompt: Json, seed: int | None, faults: list[tuple[str, str]]) -> Later | None:
    """The request of a row, made now only where that is the way to find out whether it can be."""
    if prompt is None:
        faults.append(("prompt", 'missing: a row is written {"prompt": "..."}'))
        return None
    if not isinstance(prompt, str):
        faults.append(("prompt", "must be a text in quotes"))
        return None
    request = Later(like, prompt, seed)
    sound = prompt.isascii() or not _SURROGATE.search(prompt)
    if not sound or not prompt or prompt.isspace() or len(prompt) > SURELY_SHORT:
        try:
            request.made()
        except InvalidRequest as fault:
            faults.append(told_of(fault))
    return request
