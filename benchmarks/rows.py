"""Rows checked a second for each kind of input, beside what the standard library takes to read the same file.

    python -m benchmarks rows [--rows 50000] [--rounds 5]

The rows are plain ones: a prompt and a few fields, in a .jsonl file also with ids and meta or with seeds of their own.
Each round reads every file once, with `penstock_io.batch.inputs.read_rows` and with a plain reader: `json.loads` line
by line, `csv.reader`, or splitting into lines. The best round of each counts, because a busy machine only ever takes
time away. Exit code 1 where a plain .jsonl file is checked slower than 50,000 rows a second.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from attrs import frozen

from penstock_io.batch.inputs import read_rows
from penstock_io.batch.rows import Defaults

AIM = 50_000
"""Rows of a plain .jsonl file to be read and checked in a second."""

PROMPT = "a red kettle on a wooden table by the window, soft light, number {}"


@frozen
class Kind:
    """A file by its name: the row of a number, and how it is read without being checked."""

    name: str
    row: Callable[[int], str]
    plain: Callable[[Path], int]
    head: str = ""


def objects(path: Path) -> int:
    """JSON lines, read and no more."""
    return len([json.loads(line) for line in path.read_bytes().splitlines()])


def table(path: Path) -> int:
    """A table, read and no more."""
    with path.open(encoding="utf-8", newline="") as file:
        return len(list(csv.reader(file)))


def lines(path: Path) -> int:
    """Lines, read and no more."""
    return len(path.read_text(encoding="utf-8").splitlines())


def plain_row(number: int) -> str:
    """A prompt and a few fields."""
    return json.dumps({"prompt": PROMPT.format(number), "size": "1024x1024", "quality": "low"})


def catalog_row(number: int) -> str:
    """The same with an id and things to carry to the results."""
    meta = {"sku": f"K-{number}", "shelf": number % 40}
    return json.dumps({"id": f"sku-{number}", "prompt": PROMPT.format(number), "quality": "low", "meta": meta})


def seeded_row(number: int) -> str:
    """A row with a seed of its own."""
    return json.dumps({"prompt": PROMPT.format(number), "size": "1024x1024", "seed": number})


KINDS = (
    Kind("plain.jsonl", plain_row, objects),
    Kind("catalog.jsonl", catalog_row, objects),
    Kind("seeds.jsonl", seeded_row, objects),
    Kind("table.csv", lambda number: f'"{PROMPT.format(number)}",1024x1024,low', table, "prompt,size,quality\n"),
    Kind("prompts.txt", PROMPT.format, lines),
)


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    began = perf_counter()
    work()
    return perf_counter() - began


def measure(kind: Kind, folder: Path, count: int, rounds: int) -> tuple[float, float]:
    """Rows checked and rows merely read a second, each at its best."""
    path = folder / kind.name
    path.write_text(kind.head + "".join(f"{kind.row(number)}\n" for number in range(count)), encoding="utf-8")
    options = Defaults("gpt-image-2")
    checked, read = [], []
    for _ in range(rounds):
        checked.append(timed(lambda: read_rows(path, options)))
        read.append(timed(lambda: kind.plain(path)))
    return count / min(checked), count / min(read)


def main(arguments: Sequence[str]) -> int:
    """Measure all kinds and print a table; 1 where the aim is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks rows")
    parser.add_argument("--rows", type=int, default=50_000, help="rows of each file")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is read")
    options = parser.parse_args(arguments)
    found: dict[str, float] = {}
    print(f"{options.rows:,} rows; aim: {AIM:,} plain ones checked a second")
    print(f"{'file':16} {'checked/s':>12} {'only read/s':>12} {'times as long':>14}")
    with TemporaryDirectory() as folder:
        for kind in KINDS:
            checked, read = measure(kind, Path(folder), options.rows, options.rounds)
            found[kind.name] = checked
            print(f"{kind.name:16} {checked:12,.0f} {read:12,.0f} {read / checked:14.1f}", flush=True)
    return 0 if found["plain.jsonl"] >= AIM else 1
