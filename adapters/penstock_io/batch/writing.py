"""The files that a run leaves for people and programs: each is whole, or it is not there."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from penstock_io.batch.gallery import Card, gallery
from penstock_io.batch.results import Line, Summary, result, summary_json, usd

RESULTS, PART, SUMMARY, GALLERY = "results.jsonl", "results.part.jsonl", "summary.json", "index.html"


class Part:
    """results.part.jsonl: rows in finishing order, while a run is on. Methods raise `OSError`."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / PART
        self._file: BinaryIO | None = None

    def write(self, line: Line) -> None:
        """One row ended: readers see it at once."""
        if self._file is None:
            self._file = self.path.open("wb")
        self._file.write(_line(line))
        self._file.flush()

    def close(self) -> None:
        """No more rows end."""
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

    def remove(self) -> None:
        """results.jsonl stands: it says more."""
        self.close()
        self.path.unlink(missing_ok=True)


def write_results(folder: Path, lines: Sequence[Line], summary: Summary, prompts: Callable[[int], str]) -> None:
    """Write results.jsonl, summary.json and the gallery, each whole or not at all. Raises `OSError`.

    `prompts` says the prompt of the row with an index ("" where there is none).
    """
    sums = summary_json(summary)
    _replace(folder / RESULTS, map(_line, lines))
    _replace(folder / SUMMARY, [json.dumps(sums, indent=2, ensure_ascii=False).encode("utf-8", "replace"), b"\n"])
    page = gallery((card(line, prompts(line.index)) for line in lines), sums, title=folder.resolve().name or "pictures")
    _replace(folder / GALLERY, [page.encode("utf-8", "replace")])


def _replace(path: Path, parts: Iterable[bytes]) -> None:
    for left in path.parent.glob(f".tmp-*-{path.name}"):  # by a run that was killed
        left.unlink(missing_ok=True)
    with whole(path) as file:
        file.writelines(parts)


def card(line: Line, prompt: str) -> Card:
    """A row as the gallery shows it."""
    revised = list(dict.fromkeys(text for text in line.revised if text))
    return Card(
        id=line.id,
        index=line.index,
        status=line.status,
        files=line.files,
        prompt=prompt,
        model=line.model,
        size=line.size,
        quality=line.quality,
        cost_usd=None if line.cost is None else usd(line.cost),
        seconds=line.seconds,
        attempts=line.attempts,
        cached=line.cached,
        shared=line.shared,
        error=None if line.error is None else line.error.message,
        warnings=line.warnings,
        revised_prompt="\n\n".join(revised) or None,
        meta=line.meta,
    )


def _line(line: Line) -> bytes:
    text = json.dumps(result(line), ensure_ascii=False).translate(_ENDS)
    return text.encode("utf-8", "replace") + b"\n"


_ENDS = {ord(end): f"\\u{ord(end):04x}" for end in "\x85\u2028\u2029"}
"""What some readers take for the end of a line."""


@contextmanager
def whole(path: Path) -> Generator[BinaryIO]:
    """A file that is put in its place once it is whole, and is not there otherwise. Raises `OSError` that names it."""
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as fault:
        if fault.filename == str(temporary):  # a name that nobody gave
            fault.filename, fault.filename2 = str(path), None
        raise
    finally:
        with suppress(OSError):  # what is told is why it could not be written
            temporary.unlink(missing_ok=True)
