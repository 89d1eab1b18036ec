"""What a folder says of its rows, read back by whoever did not make it: a look, an export, another program.

results.jsonl has every row of the last run that came to its end; results.part.jsonl has those that ended since, in a
run that is under way or was cut off. Both may be read at any time; a line that is just being written is passed over.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

from attrs import evolve, field, frozen

from penstock_io.batch.rows import Json
from penstock_io.batch.writing import GALLERY, PART, RESULTS

_DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)
"""The gallery's rows. No text in it can end the block."""


@frozen
class Record:
    """A row as a line of results.jsonl says it; `raw` is the whole line. `cost_usd` is decimal dollars.

    `error` has the kind and the message; `prompt` is None where it is not known. `fresh`: it ended since the results
    were written.
    """

    id: str | None
    index: int
    status: str
    files: tuple[str, ...] = ()
    model: str | None = None
    size: str | None = None
    quality: str | None = None
    cost_usd: str | None = None
    seconds: float | None = None
    error: str | None = None
    meta: Mapping[str, Json] = field(factory=dict[str, Json], hash=False)
    prompt: str | None = None
    raw: Mapping[str, Json] = field(factory=dict[str, Json], repr=False, hash=False)
    fresh: bool = False

    @property
    def kind(self) -> str:
        """The kind of its error; "" where it has none."""
        error = self.raw.get("error")
        return (_text(error.get("kind")) or "") if isinstance(error, dict) else ""


def read_records(folder: Path) -> list[Record]:
    """All rows that are known, in the order of the input. Raises `OSError`."""
    records = {_name(record): record for record in _read(folder / RESULTS)}
    records |= {_name(record): evolve(record, fresh=True) for record in _read(folder / PART)}
    return sorted(records.values(), key=lambda record: record.index)


def with_prompts(folder: Path, records: list[Record]) -> list[Record]:
    """The same with their prompts, where the gallery has them. Raises `OSError`."""
    try:
        page = (folder / GALLERY).read_text("utf-8", "replace")
    except FileNotFoundError:
        return records
    found = _DATA.search(page)
    data = _object(found[1]) if found is not None else None
    rows = data.get("rows") if data is not None else None
    prompts: dict[str | int, str] = {}
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict):
            name, prompt = row.get("id", row.get("index")), row.get("prompt")
            if isinstance(name, str | int) and isinstance(prompt, str):
                prompts[name] = prompt
    return [evolve(record, prompt=prompts.get(_name(record))) for record in records]


def _name(record: Record) -> str | int:
    """What a row is known by: its id, or its place where it has none."""
    return record.index if record.id is None else record.id


def _read(path: Path) -> Iterator[Record]:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        for line in file:
            data = _object(line.decode("utf-8", "replace"))
            if data is not None:
                yield _record(data)


def _object(text: str) -> dict[str, Json] | None:
    try:
        data: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return cast("dict[str, Json]", data) if isinstance(data, dict) else None


def _record(data: dict[str, Json]) -> Record:
    """A line as a record; what is not of its kind is as if it were not there."""
    files, meta, error, seconds, index = (data.get(name) for name in ("files", "meta", "error", "seconds", "index"))
    return Record(
        id=_text(data.get("id")),
        index=index if isinstance(index, int) else 0,
        status=_text(data.get("status")) or "pending",
        files=tuple(file for file in files if isinstance(file, str)) if isinstance(files, list) else (),
        model=_text(data.get("model")),
        size=_text(data.get("size")),
        quality=_text(data.get("quality")),
        cost_usd=_text(data.get("cost_usd")),
        seconds=seconds if isinstance(seconds, int | float) else None,
        error=_said(error) if isinstance(error, dict) else None,
        meta=meta if isinstance(meta, dict) else {},
        raw=data,
    )


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None


def _said(error: dict[str, Json]) -> str:
    return ": ".join(text for text in (error.get("kind"), error.get("message")) if isinstance(text, str) and text)
