"""A desk at which a person works: a folder, an environment, the program, and what to look at afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from decimal import Decimal
from io import BytesIO, TextIOWrapper
from pathlib import Path
from threading import Event
from time import monotonic
from unicodedata import normalize

from penstock_io.cli.main import main
from tests.acceptance.pictures import picture
from tests.acceptance.witness import Witness

KEY, OTHER = "witness-key-of-the-desk", "witness-key-of-a-friend"

LOW = ("--model", "gpt-image-2", "--quality", "low", "--size", "1024x1024")
"""What most tests ask for: 196 tokens of output."""

PATIENCE = 900.0  # a limit for what hangs: a busy machine may take minutes over 2,000 rows
"""Seconds after which a program that should have ended is taken for hung."""

PICODOLLARS = 10**12

Row = Mapping[str, object]
"""A row of an input, as it is written."""


@dataclass(frozen=True)
class Ran:
    """A program that ended."""

    code: int
    out: str
    err: str


class Desk:
    """Runs the program in `folder` with an environment of its own; `out` is where its pictures go."""

    def __init__(self, folder: Path, base_url: str) -> None:
        self.folder = folder
        self.out = folder / "out"
        self.environment = {"OPENAI_API_KEY": KEY, "OTHER_KEY": OTHER, "OPENAI_BASE_URL": base_url}
        self.environment["HTTPS_PROXY"] = "http://127.0.0.1:9"  # whatever goes wrong, nothing leaves this machine

    def write(self, name: str, rows: Iterable[Row]) -> Path:
        """A JSONL file of rows."""
        return self.put(name, "".join(json.dumps(row) + "\n" for row in rows).encode())

    def put(self, name: str, data: bytes) -> Path:
        """A file of any bytes."""
        path = self.folder / name
        path.write_bytes(data)
        return path

    def run(self, *arguments: object) -> Ran:
        """Run the program within this process, which starts faster."""
        before = dict(os.environ)
        os.environ.clear()
        os.environ.update(_inherited(before) | self.environment)
        try:
            with redirect_stdout(_stream()) as out, redirect_stderr(_stream()) as err:
                code = main([str(argument) for argument in arguments])
        finally:
            os.environ.clear()
            os.environ.update(before)
        return Ran(code, _text(out), _text(err))

    def batch(self, rows: Path | str, *arguments: object) -> Ran:
        """`penstock batch` to `out`, at low quality, with a yes to everything that is not said otherwise."""
        return self.run("batch", rows, "--out", self.out, *LOW, *arguments)

    @contextmanager
    def started(self, *arguments: object, prefix: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[str]]:
        """The program as a process of its own; what is left of it at the end of the block is killed."""
        words = [*prefix, sys.executable, "-m", "penstock_io", *(str(argument) for argument in arguments)]
        process = subprocess.Popen(
            words,
            cwd=self.folder,
            env=_inherited(os.environ) | self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def apart(self, *arguments: object, stdin: str = "", prefix: tuple[str, ...] = ()) -> Ran:
        """Run the program as a process of its own, to its end."""
        with self.started(*arguments, prefix=prefix) as process:
            return ended(process, stdin)

    def results(self, out: Path | None = None) -> list[dict[str, object]]:
        """The lines of results.jsonl."""
        return [
            json.loads(line) for line in (out or self.out).joinpath("results.jsonl").read_text("utf-8").splitlines()
        ]

    def summary(self) -> dict[str, object]:
        """The content of summary.json."""
        found: dict[str, object] = json.loads((self.out / "summary.json").read_text(encoding="utf-8"))
        return found

    def statuses(self) -> dict[str, int]:
        """How many rows of results.jsonl have which status."""
        found: dict[str, int] = {}
        for line in self.results():
            found[str(line["status"])] = found.get(str(line["status"]), 0) + 1
        return found

    def texts(self) -> str:
        """Everything readable that the folder holds, for looking for what should not be there."""
        files = [path for path in self.folder.rglob("*") if path.is_file() and path.suffix not in {".png", ".jpg"}]
        return "\n".join(path.read_bytes().decode("utf-8", "replace") for path in files)


def _stream() -> TextIOWrapper[BytesIO]:
    """What standard output and error are to a program: text over bytes."""
    return TextIOWrapper(BytesIO(), encoding="utf-8", write_through=True)


def _text(stream: TextIOWrapper[BytesIO]) -> str:
    return stream.buffer.getvalue().decode()


def _inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """What of the surroundings a program needs; no option and no key of whoever runs the tests."""
    return {name: text for name, text in environment.items() if not name.startswith(("OPENAI", "PENSTOCK"))}


def ended(process: subprocess.Popen[str], stdin: str | None = None) -> Ran:
    """Wait for the end of a program."""
    out, err = process.communicate(stdin, timeout=PATIENCE)
    return Ran(process.returncode, out, err)


def reached(process: subprocess.Popen[str], witness: Witness, executed: int) -> None:
    """Wait until the server has executed so many requests of a program that runs; it answers none from then on.

    Until `witness.answering` is set: so the program still runs, and has as many out as it may, however busy this
    machine is.
    """
    event, end = Event(), monotonic() + PATIENCE

    def there() -> None:
        witness.answering.clear()
        event.set()

    witness.after(executed, there)
    while not event.wait(0.05):
        assert monotonic() < end
        if process.poll() is not None:
            raise AssertionError(f"it ended before: {ended(process)}")


def heard(process: subprocess.Popen[str], words: str) -> str:
    """Wait until a program says this on standard error; what it said until then."""
    assert process.stderr is not None
    said = ""
    while words not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    return said


def prompts(count: int, start: int = 0) -> list[Row]:
    """Rows of one prompt each, all different."""
    return [{"prompt": f"kettle number {number}"} for number in range(start, start + count)]


def dollars(picodollars: int) -> Decimal:
    """An amount in exact dollars."""
    return Decimal(picodollars) / PICODOLLARS


def check(desk: Desk, rows: Iterable[Row], form: str = "png") -> None:
    """What holds of every folder at rest.

    Each line of results.jsonl is about its row, the sums add up, and every picture that a line names is there, whole,
    and the one that the server paints for that prompt; no other file is.
    """
    lines, summary, asked = desk.results(), desk.summary(), list(rows)
    assert list(range(len(asked))) == [line["index"] for line in lines]
    assert summary["requested"] == len(asked)
    for status in ("completed", "partial", "failed", "ambiguous", "invalid", "pending"):
        assert summary[status] == sum(line["status"] == status for line in lines)
    files: list[str] = []
    for row, line in zip(asked, lines, strict=True):
        named = line["files"]
        assert isinstance(named, list)
        assert (line["status"] == "completed") <= (len(named) == row.get("n", 1))
        files += named
        painted = {picture(form, "1024x1024", str(row["prompt"]), k) for k in range(int(str(row.get("n", 1))))}
        assert {(desk.out / name).read_bytes() for name in named} <= painted
    assert len(set(files)) == len(files) == summary["images"]
    assert len({normalize("NFC", name).casefold() for name in files}) == len(files)
    there = {path.relative_to(desk.out).as_posix() for path in (desk.out / "images").iterdir()}
    assert set(files) == there
    costs = [line["cost_usd"] for line in lines]
    if None not in costs:
        assert Decimal(str(summary["cost_usd"])) == sum(Decimal(str(cost)) for cost in costs)


def paid(desk: Desk, witness: Witness) -> None:
    """The folder's books are the server's: what it charged is the bill, and nothing is in doubt."""
    summary = desk.summary()
    assert dollars(witness.bill) == Decimal(str(summary["cost_usd"]))
    assert 0 == Decimal(str(summary["maybe_billed_usd"]))


def once(witness: Witness, rows: Iterable[Row]) -> None:
    """The server executed every row's picture, each of them once, and nothing else."""
    expected: dict[str, int] = {}
    for row in rows:
        expected[str(row["prompt"])] = int(str(row.get("n", 1)))
    assert expected == witness.executed
