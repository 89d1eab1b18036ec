"""What tests of a batch share: a folder, the provider its runs go to, and who listens to them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from threading import Condition, Thread
from typing import TypedDict

from attrs import evolve

from penstock.config import Limits
from penstock.ids import Key
from penstock.simulation.server import Latency, ServerSettings
from penstock_io.batch.feed import Handle
from penstock_io.batch.inputs import Incoming, parse_rows
from penstock_io.batch.keying import key_rows
from penstock_io.batch.plan import make_plan
from penstock_io.batch.progress import Figures, Level
from penstock_io.batch.rows import Defaults, Rows
from penstock_io.batch.run import Ended, run_batch
from penstock_io.batch.settings import Choices, Conversion, Settings
from penstock_io.batch.states import load_states
from penstock_io.batch.stream import run_stream
from penstock_io.journal import Disk, Journal
from penstock_io.journal._schema import guard
from penstock_io.simserver import SimServer

KEYS = {"A": "key-a"}
FAST = ServerSettings(latency=Latency(0.02, 0.1))
LONG = 240.0
"""Seconds after which whoever still waits is taken to wait for ever."""

DEFAULTS = Defaults("gpt-image-2", "1024x1024", "low")


class Error(TypedDict):
    """An error of a line."""

    kind: str
    message: str
    status: int | None
    code: str | None
    request_id: str | None


class Told(TypedDict):
    """A line of results.jsonl, as far as it is asked for in tests."""

    id: str | None
    index: int
    status: str
    files: list[str]
    model: str | None
    quality: str | None
    cost_usd: str | None
    attempts: int
    cached: bool
    shared: bool
    seconds: float | None
    warnings: list[str]
    meta: dict[str, object]
    error: Error | None


def table(prompts: Sequence[str] | int, defaults: Defaults = DEFAULTS, *, skip_invalid: bool = False) -> Rows:
    """Checked rows of these prompts, or of so many."""
    texts = [f"kettle {n}" for n in range(prompts)] if isinstance(prompts, int) else prompts
    lines = "\n".join(json.dumps({"prompt": text, "id": f"row{n}"}) for n, text in enumerate(texts))
    return parse_rows(lines.encode(), "in.jsonl", defaults, skip_invalid=skip_invalid)


class Listening:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.figures: list[Figures] = []
        self._heard = Condition()

    def tell(self, text: str, level: Level = Level.NOTE) -> None:
        """A line."""
        del level
        with self._heard:
            self.told.append(text)
            self._heard.notify_all()

    def wait(self, beginning: str, times: int) -> None:
        """Wait in another thread until so many lines begin like this."""
        with self._heard:
            assert self._heard.wait_for(lambda: times <= sum(line.startswith(beginning) for line in self.told), LONG)

    def wait_figures(self, such: Callable[[Figures], bool]) -> None:
        """Wait in another thread until figures are such."""
        with self._heard:
            assert self._heard.wait_for(lambda: any(map(such, self.figures)), LONG)

    def update(self, figures: Figures) -> None:
        """Figures."""
        with self._heard:
            self.figures.append(figures)
            self._heard.notify_all()


class FullDisk(Disk):
    """A disk that is full after so many files."""

    def __init__(self, left: int, number: int, words: str) -> None:
        self.left = left
        self.number, self.words = number, words

    def sync(self, path: Path) -> None:
        """Fail when nothing is left."""
        self.left -= 1
        if self.left < 0:
            raise OSError(self.number, self.words, str(path))
        super().sync(path)


class Folder:
    """A folder and the provider that its batches go to."""

    def __init__(self, path: Path, base_url: str) -> None:
        self.path = path
        self.settings = Settings(path, base_url, KEYS)
        self.listener = Listening()
        self.concurrency = 64
        self.limits = Limits()

    @property
    def told(self) -> list[str]:
        """What was said in all runs."""
        return self.listener.told

    def run(
        self,
        rows: Rows,
        *,
        keys: Mapping[str, str] | None = None,
        budget: Decimal | None = None,
        choices: Choices | None = None,
        disk: Disk | None = None,
        max_failures: int | None = None,
        deadline: float | None = None,
        conversion: Conversion | None = None,
        base_url: str | None = None,
    ) -> Ended:
        """One run of the same command."""
        settings = evolve(
            self.settings,
            keys=keys or KEYS,
            limits=evolve(self.limits, concurrency=self.concurrency),
            budget=budget,
            choices=choices or Choices(),
            max_failures=max_failures,
            deadline=deadline,
            conversion=conversion,
            base_url=base_url or self.settings.base_url,
        )
        journal = Journal.open(self.path, disk=disk)
        try:
            states, account = load_states(journal.rows()), journal.account()
            bounded = budget is not None
            keyed, _ = key_rows(rows, settings.choices, budget=bounded, states=states, account=account)
            plan = make_plan(keyed, states, account, settings.choices)
            return run_batch(settings, plan, rows.invalid, journal, self.listener)
        finally:
            if isinstance(disk, FullDisk):
                disk.left = 1 << 30
            journal.close()

    def stream(
        self,
        source: Handle | Iterator[bytes],
        *,
        choices: Choices | None = None,
        regenerate: bool = False,
        deadline: float | None = None,
        max_failures: int | None = None,
        defaults: Defaults = DEFAULTS,
    ) -> Ended:
        """A run whose rows come as they come."""
        asked = choices or Choices()
        settings = evolve(self.settings, choices=asked, deadline=deadline, max_failures=max_failures)
        with Journal.open(self.path) as journal:
            incoming = Incoming("-", defaults)
            return run_stream(settings, source, incoming, journal, self.listener, name="-", regenerate=regenerate)

    def lines(self) -> list[Told]:
        """results.jsonl."""
        return [json.loads(line) for line in (self.path / "results.jsonl").read_text("utf-8").splitlines()]

    def statuses(self) -> list[str]:
        """What became of each row."""
        return [line["status"] for line in self.lines()]

    def sums(self) -> dict[str, object]:
        """summary.json."""
        found: dict[str, object] = json.loads((self.path / "summary.json").read_text("utf-8"))
        return found

    def sql(self, statement: str, *values: str) -> list[tuple[int, int, Key]]:
        """Do to the journal what a crash at a certain moment would have, or ask it."""
        with closing(sqlite3.connect(self.path / "journal.sqlite")) as db, db:
            guard(db, lambda *_: None)  # rows are written as the journal writes them, with their sums
            return db.execute(statement, values).fetchall()


@contextmanager
def meanwhile(do: Callable[[], object]) -> Generator[None]:
    """Something that another thread does during the block; what it raises is raised at the end."""
    faults: list[BaseException] = []

    def run() -> None:
        try:
            do()
        except BaseException as fault:  # noqa: BLE001 - told to whoever began it
            faults.append(fault)

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()
    for fault in faults:
        raise fault


def folder_for(path: Path, sim: SimServer) -> Folder:
    """An empty folder whose batches go to a simulated provider."""
    return Folder(path, sim.base_url)
