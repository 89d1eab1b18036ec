"""The rows of a batch: read and checked whole before anything is sent, each with a name that a later run finds again.

A row without an `id` takes one from its own fields, never from the options of the command: so a picture that is there
stays there when the command is given another model for the rest. Names of rows become names of files, so whatever a
file system could confuse is refused or told apart here.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TypeAlias

from attrs import field, fields_dict, frozen

from penstock.errors import InvalidRequest, PenstockError
from penstock.requests import ImageRequest, Scalar

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

FIELDS = tuple(fields_dict(ImageRequest))
"""What a row may say besides its `id`."""

LONGEST_ID = 120
"""Characters of an id: with the number of a picture and an extension it stays far below what file systems take."""

SHOWN = 20
"""How many mistakes of an input are listed."""

_TEXT = tuple(name for name in FIELDS if name not in {"n", "output_compression", "seed", "extra"})
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in "0123456789¹²³")})
_FORBIDDEN = frozenset('/\\:*?"<>|')


@frozen
class Mistake:
    """What is wrong with the input: file, line (from 1; 0: the whole file), field ('': the whole row), what to do."""

    file: str
    line: int
    field: str
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.field}: {self.message}" if self.field else f"{where}: {self.message}"


class InputError(PenstockError):
    """The input cannot be used. `mistakes` says all that is wrong with it."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        more = len(self.mistakes) - SHOWN
        lines = [str(mistake) for mistake in self.mistakes[:SHOWN]]
        super().__init__("\n".join([*lines, f"... and {more} more"] if more > 0 else lines))


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


@frozen
class Row:
    """One row: its name, its place among the rows (from 0), its line in the file (from 1), what it asks for."""

    id: str
    index: int
    line: int
    request: ImageRequest = field(repr=False)
    content: str = ""

    @property
    def stems(self) -> tuple[str, ...]:
        """The names of its pictures without extension."""
        return stems(self.id, self.request.n)


def stems(name: str, n: int) -> tuple[str, ...]:
    """The names of a row's `n` pictures: its own, with a number from 1 where there are several."""
    return (name,) if n == 1 else tuple(f"{name}-{k}" for k in range(1, n + 1))


def read_rows(path: Path, defaults: Defaults) -> list[Row]:
    """All rows of a .jsonl file, in its order. Raises `InputError` naming everything that is wrong."""
    name = str(path)
    if path.suffix.lower() not in {".jsonl", ".ndjson"}:
        raise InputError([Mistake(name, 0, "", "the input is a .jsonl file: one JSON object a line")])
    try:
        data = path.read_bytes()
    except OSError as fault:
        raise InputError([Mistake(name, 0, "", f"cannot be read: {fault.strerror or fault}")]) from fault
    return parse_rows(data, name, defaults)


def parse_rows(data: bytes, name: str, defaults: Defaults) -> list[Row]:
    """The rows of a .jsonl file's bytes; `name` is what mistakes call it. Raises `InputError`."""
    reader = _Reader(name, defaults)
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if line.strip():
            reader.add(number, line)
    return reader.finish()


def identity(own: Mapping[str, Json]) -> str:
    """The name of a row without an id: 16 hex digits of its own fields, in whatever order and spelling they come."""
    told = {name: value for name, value in own.items() if value is not None and name != "id"}
    text = json.dumps(told, sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return sha256(text.encode("ascii")).hexdigest()[:16]


def bad_id(text: object) -> str | None:
    """Why `text` cannot be the name of a row, None where it can: it must be one safe file name on every system."""
    if not isinstance(text, str) or not text:
        return "an id is a text that is not empty"
    if len(text) > LONGEST_ID or len(text.encode("utf-8", "replace")) > LONGEST_ID:
        return f"an id has at most {LONGEST_ID} bytes"
    bad = sorted({c for c in text if c in _FORBIDDEN or not c.isprintable()})
    if bad:
        return f"an id becomes a file name: leave out {' '.join(ascii(c) for c in bad)}"
    if text[0] in " .-" or text[-1] in " .":
        return "an id becomes a file name: it does not begin with a space, dot or dash, nor end with a space or dot"
    if text.partition(".")[0].rstrip().casefold() in _DEVICES:
        return "this name is a device on Windows: choose another id"
    return None


class _Wrong(Exception):
    """One row is wrong: a field ('' for none) and what to do."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.message = message


@frozen
class _Parsed:
    line: int
    explicit: bool
    id: str
    content: str
    request: ImageRequest


class _Reader:
    """Takes lines, keeps what is wrong, and names the rows once all are known."""

    def __init__(self, name: str, defaults: Defaults) -> None:
        self._name = name
        self._defaults = defaults
        self._parsed: list[_Parsed] = []
        self._mistakes: list[Mistake] = []

    def add(self, number: int, line: bytes) -> None:
        """One line that is not empty."""
        try:
            own = _object(line)
            explicit = own.get("id") is not None
            if explicit and (reason := bad_id(own["id"])) is not None:
                raise _Wrong("id", reason)
            request = _request(own, self._defaults)
        except _Wrong as wrong:
            self._mistakes.append(Mistake(self._name, number, wrong.name, wrong.message))
        else:
            content = identity(own)
            self._parsed.append(_Parsed(number, explicit, str(own["id"]) if explicit else content, content, request))

    def finish(self) -> list[Row]:
        """All rows with their names."""
        rows = self._named()
        self._check_files(rows)
        if not rows and not self._mistakes:
            self._mistakes.append(Mistake(self._name, 0, "", "there is no row in it"))
        if self._mistakes:
            raise InputError(sorted(self._mistakes, key=lambda mistake: mistake.line))
        return rows

    def _named(self) -> list[Row]:
        """Rows of the same content are told apart by a number: the second is `-2`."""
        taken: dict[str, int] = {}
        for parsed in self._parsed:
            if parsed.explicit:
                other = taken.setdefault(_folded(parsed.id), parsed.line)
                if other != parsed.line:
                    self._wrong(parsed.line, f"{parsed.id!r} is the id of line {other}, too: ids are unique")
        seen: dict[str, int] = {}
        rows: list[Row] = []
        for parsed in self._parsed:
            name = parsed.id
            if not parsed.explicit:
                count = seen[name] = seen.get(name, 0) + 1
                name = name if count == 1 else f"{name}-{count}"
                other = taken.setdefault(_folded(name), parsed.line)
                if other != parsed.line:
                    self._wrong(other, f"{name!r} is the name of line {parsed.line}, which has no id: choose another")
            rows.append(Row(name, len(rows), parsed.line, parsed.request, parsed.content))
        return rows

    def _check_files(self, rows: list[Row]) -> None:
        """No two pictures have one name, also where a file system does not tell capitals apart."""
        taken: dict[str, Row] = {}
        for row in rows:
            for stem in row.stems:
                other = taken.setdefault(_folded(stem), row)
                if other is not row and _folded(other.id) != _folded(row.id):
                    self._wrong(row.line, f"its picture {stem!r} is that of line {other.line}, too: choose another")

    def _wrong(self, line: int, message: str) -> None:
        self._mistakes.append(Mistake(self._name, line, "id", message))


def _folded(name: str) -> str:
    """What is left of a name where capitals and the spelling of accents are not told apart."""
    return unicodedata.normalize("NFC", name).casefold()


def _object(line: bytes) -> dict[str, Json]:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise _Wrong("", "not UTF-8: save the file as UTF-8") from None
    try:
        value: Json = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except json.JSONDecodeError as fault:
        raise _Wrong("", f"not JSON: {fault.msg} at column {fault.colno}") from None
    except (RecursionError, ValueError):
        raise _Wrong("", "not JSON that can be read: a number is too long, or lists are too deep") from None
    if not isinstance(value, dict):
        raise _Wrong("", 'not an object: a row is written {"prompt": "..."}')
    return value


def _once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for name, value in pairs:
        if name in found:
            raise _Wrong(name, "given twice: leave one out")
        found[name] = value
    return found


def _no_constant(name: str) -> Json:
    raise _Wrong("", f"not JSON: {name} is no number")


def _request(own: Mapping[str, Json], defaults: Defaults) -> ImageRequest:
    unknown = sorted(name for name in own if name not in FIELDS and name != "id")
    if unknown:
        raise _Wrong(unknown[0], f"no field of a row; there are id, {', '.join(FIELDS)}")
    filled = defaults.fill({name: value for name, value in own.items() if name != "id"})
    if "prompt" not in filled:
        raise _Wrong("prompt", 'missing: a row is written {"prompt": "..."}')
    if "model" not in filled:
        raise _Wrong("model", "missing: give it in the row, or --model for all rows")
    texts = {name: _text(name, filled.get(name)) for name in _TEXT}
    try:
        return ImageRequest(
            prompt=texts["prompt"] or "",
            model=texts["model"] or "",
            size=texts["size"],
            quality=texts["quality"],
            n=_whole("n", filled.get("n", 1)) or 0,
            background=texts["background"],
            moderation=texts["moderation"],
            output_format=texts["output_format"],
            output_compression=_whole("output_compression", filled.get("output_compression")),
            user=texts["user"],
            complexity=texts["complexity"],
            seed=_whole("seed", filled.get("seed")),
            extra=_extra(filled.get("extra")),
        )
    except InvalidRequest as fault:
        name = fault.field or ""
        if name in FIELDS:
            raise _Wrong(name, str(fault).removeprefix(f"{name} ")) from None
        raise _Wrong("extra", str(fault)) from None


def _text(name: str, value: Json) -> str | None:
    if value is not None and not isinstance(value, str):
        raise _Wrong(name, "must be a text in quotes")
    return value


def _whole(name: str, value: Json) -> int | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise _Wrong(name, "must be a whole number")
    return value


def _extra(value: Json) -> tuple[tuple[str, Scalar], ...]:
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise _Wrong("extra", 'must be an object: {"name": value}')
    pairs: list[tuple[str, Scalar]] = []
    for name, scalar in value.items():
        if isinstance(scalar, list | dict):
            raise _Wrong("extra", f"{name} must be a text, a number, true, false or null")
        pairs.append((name, scalar))
    return tuple(pairs)
