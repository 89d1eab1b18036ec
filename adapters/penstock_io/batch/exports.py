"""The rows of a folder as a table for people and programs, and as a zip with their pictures."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

from penstock_io.batch.records import Record
from penstock_io.batch.rows import Json
from penstock_io.batch.writing import GALLERY, RESULTS, SUMMARY
from penstock_io.words import harmless_json

FOLDERS = ("images", "originals")
"""Where pictures of rows may be; nothing else of the disk gets into a zip, whatever a line says."""

_FORMULA = tuple("=+-@\t\r")


def guarded(text: str) -> str:
    """A text as a cell: what a spreadsheet would run as a formula gets a ' before it."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def write_csv(file: BinaryIO, records: Sequence[Record], *, mark: bool = False) -> None:
    """A line for each row below the columns' names; files of a row are separated by " | ". Raises `OSError`.

    `mark` begins with the mark by which spreadsheets know UTF-8.
    """
    extra = _extra(records)
    text = TextIOWrapper(file, "utf-8-sig" if mark else "utf-8", "replace", newline="", write_through=True)
    try:
        writer = csv.writer(text)
        writer.writerow([*_cells(Record(None, 0, "")), *extra.values()])
        for record in records:
            cells = [*_cells(record).values(), *(record.meta.get(name) for name in extra)]
            writer.writerow([_cell(cell) for cell in cells])
        text.flush()
    finally:
        text.detach()  # or it would close the file


def write_jsonl(file: BinaryIO, records: Sequence[Record]) -> None:
    """An object for each row with the same names; `files` is a list. Raises `OSError`."""
    for record in records:
        meta = {_column(name): value for name, value in record.meta.items()}
        file.write(_line(_cells(record) | meta))


def write_zip(file: BinaryIO, folder: Path, records: Sequence[Record]) -> list[str]:
    """The pictures, results.jsonl, summary.json and the gallery. Raises `OSError`.

    Returns the pictures that rows name and the folder does not have. Pictures are stored as they are: packing them
    costs time and saves nothing.
    """
    missing: list[str] = []
    with ZipFile(file, "w", ZIP_DEFLATED, strict_timestamps=False) as archive:
        archive.writestr(RESULTS, b"".join(_line(record.raw) for record in records))
        for name in (SUMMARY, GALLERY):
            if (folder / name).is_file():
                archive.write(folder / name, name)
        root = folder.resolve()
        for name in dict.fromkeys(name for record in records for name in record.files):
            if _inside(root, name):
                archive.write(root / name, name, ZIP_STORED)
            else:
                missing.append(name)
    return missing


def _inside(root: Path, name: str) -> bool:
    """Whether it is a picture of the folder, wherever links lead."""
    parts = PurePosixPath(name).parts
    if parts[:1] not in {(one,) for one in FOLDERS} or ".." in parts or "\0" in name:
        return False
    path = (root / name).resolve()
    return path.is_file() and path.is_relative_to(root)


def _extra(records: Iterable[Record]) -> dict[str, str]:
    """The columns of all names of `meta`, in the order in which they first occur."""
    return {name: _column(name) for record in records for name in record.meta}


def _column(name: str) -> str:
    return f"meta.{name}"


def _cells(record: Record) -> dict[str, Json]:
    return {
        "id": record.id,
        "status": record.status,
        "files": [*record.files],
        "prompt": record.prompt,
        "model": record.model,
        "size": record.size,
        "quality": record.quality,
        "cost_usd": record.cost_usd,
        "seconds": record.seconds,
        "error": record.error,
    }


def _cell(value: Json) -> str | int | float | None:
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return guarded(" | ".join(map(str, value)))
    if isinstance(value, bool | dict | list):
        return guarded(json.dumps(value, ensure_ascii=False))
    return guarded(value) if isinstance(value, str) else value


def _line(value: Mapping[str, Json]) -> bytes:
    return harmless_json(json.dumps(value, ensure_ascii=False)).encode() + b"\n"
