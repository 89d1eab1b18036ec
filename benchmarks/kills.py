"""Kill a batch again and again with its requests out, and hold its folder against the provider's own books.

The batch process itself gets SIGKILL, after a random number of replies and with at least `OUT` requests out. After each
kill the journal is read from a copy, as a later process would find it, and once the provider is done with what was
abandoned its books are read. Checked: what is settled is never executed again, no durable picture is lost, every orphan
is told by the next run and in the summary, the bill is within what is charged and maybe billed, what is maybe billed is
within the bounds of orphans and ambiguous attempts, and at last `--on-ambiguous retry` completes every row.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import cast
from urllib.request import urlopen

from attrs import define, field, frozen

from penstock.config import Config
from penstock.ids import Handle, Key
from penstock.prepare import prepare
from penstock.requests import Options, Refusal
from penstock.simulation.server import Stats
from penstock.wire import encode
from penstock_io.batch.inputs import read_rows
from penstock_io.batch.rows import Defaults, Row

OUT = 32
"""Requests that must be out when the process is killed."""

FAULTS = "reset=0.02,truncated=0.01,500=0.02,503=0.01"
OPTIONS = ("--model", "gpt-image-2", "--quality", "low", "--size", "1024x1024", "--max-concurrency", "24")
DEFAULTS = Defaults("gpt-image-2", "1024x1024", "low")
PENSTOCK = (sys.executable, "-m", "penstock_io.cli.main")
KEYS = {"KILL_KEY_1": "kill-key-1", "KILL_KEY_2": "kill-key-2"}
TOLD = re.compile(r"([\d,]+) attempts? of a run that was cut off may have been executed")

Name = tuple[int, int]
"""An attempt: run and number."""


@define
class Figures:
    """What was seen over all rounds. Money in picodollars."""

    rounds: int = 0
    kills: int = 0
    rows: int = 0
    least_out: int = 1 << 30
    orphans: int = 0
    told: int = 0
    settled: int = 0
    executed: int = 0
    repeated: int = 0
    billed: int = 0
    charged: int = 0
    maybe: int = 0
    bound: int = 0
    seconds: float = 0.0
    faults: list[str] = field(factory=list[str])


@frozen
class Found:
    """A folder as a killed process left it: pictures by key, with their file; open intents with their quote."""

    pictures: dict[Key, tuple[str, int]]
    orphans: dict[Name, int]
    maybe: dict[Name, int]


@frozen
class Provider:
    """A simulated provider in a process of its own."""

    base_url: str

    def stats(self, *, brief: bool = False) -> Stats:
        """Its books."""
        with urlopen(f"{self.base_url.removesuffix('/v1')}/stats{'?brief' if brief else ''}", timeout=10) as reply:  # noqa: S310 - loopback
            return cast("Stats", json.loads(reply.read()))

    def rest(self) -> Stats:
        """Its books once nothing is executing any more."""
        while self.stats(brief=True)["in_flight"]:
            time.sleep(0.02)
        return self.stats()


@contextmanager
def provider(seed: int, latency: float) -> Generator[Provider]:
    """A provider that makes a picture in about `latency` seconds."""
    command = [*PENSTOCK, "sim", "--latency", str(latency), "--faults", FAULTS, "--seed", str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Provider(process.stdout.readline().strip() if process.stdout is not None else "")
        finally:
            process.terminate()


class Round:
    """One folder, killed until it is done or enough kills were made."""

    def __init__(self, folder: Path, sim: Provider, rng: Random, rows: int, figures: Figures) -> None:
        self.folder = folder
        self.sim = sim
        self.rng = rng
        self.figures = figures
        self.input = folder / "in.jsonl"
        self.out = folder / "out"
        self.log = folder / "log.txt"
        self.input.write_text("".join(json.dumps({"prompt": self._prompt(n)}) + "\n" for n in range(rows)))
        self.rows = read_rows(self.input, DEFAULTS).rows
        self.identities = {key: identity for row in self.rows for key, identity in [_identity(row)]}
        self.pictures: dict[Key, int] = {}
        self.orphans: dict[Name, int] = {}
        self.maybe: dict[Name, int] = {}
        self.told = 0

    def _prompt(self, number: int) -> str:
        """Every tenth row repeats an earlier one."""
        return f"kettle {self.rng.randrange(number)}" if number % 10 == 9 else f"kettle {number}"

    def live(self, kills: int) -> int:
        """Kill up to `kills` times, then finish; returns how many kills were made."""
        made = 0
        while made < kills and self._run_and_kill(self.rng.choice(("auto", "retry", "skip"))):
            made += 1
            self._look()
        self._finish()
        return made

    def _start(self, mode: str) -> subprocess.Popen[bytes]:
        keys = [option for name in KEYS for option in ("--api-key-env", name)]
        command = [*PENSTOCK, "batch", str(self.input), "--out", str(self.out), "--base-url", self.sim.base_url]
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*command, *keys, *OPTIONS, "--on-ambiguous", mode],
                stdout=log,
                stderr=log,
                env=os.environ | KEYS,
            )

    def _run_and_kill(self, mode: str) -> bool:
        """True if the process was killed with enough requests out, False if it ended by itself."""
        before = self.sim.rest()["executed"]
        process = self._start(mode)
        wanted = self.rng.randint(1, 2 * OUT)
        while process.poll() is None:
            stats = self.sim.stats(brief=True)
            out = stats["in_flight"]
            if out >= OUT and stats["executed"] - before - out >= wanted:
                process.kill()
                killed = process.wait() == -9
                self.figures.least_out = min(self.figures.least_out, out) if killed else self.figures.least_out
                return killed
            time.sleep(0.005)
        return False

    def _look(self) -> None:
        """What the kill left, and whether anything of before was lost or done twice."""
        found = read_folder(self.out)
        stats = self.sim.rest()
        for file, nbytes in found.pictures.values():
            path = self.out / file
            if not path.is_file() or path.stat().st_size != nbytes:
                self._fault(f"the picture {file} is not there as the journal says")
        executed = {name: request["executed"] for name, request in stats["requests"].items()}
        self._compare(found, executed)
        for key in found.pictures:
            self.pictures.setdefault(key, executed.get(self.identities[key], 0))
        self.orphans |= found.orphans
        self.maybe |= found.maybe
        self._hear()

    def _compare(self, found: Found, executed: dict[str, int]) -> None:
        for key, count in self.pictures.items():
            if key not in found.pictures:
                self._fault(f"the settled picture {key[:12]} is gone")
            if executed.get(self.identities[key], 0) != count:
                self._fault(f"the settled picture {key[:12]} was executed again")

    def _hear(self) -> None:
        log = self.log.read_text(errors="replace") if self.log.exists() else ""
        self.told = sum(int(number.replace(",", "")) for number in TOLD.findall(log))

    def _finish(self) -> None:
        """A last run that tries everything again must complete all rows; then the books are compared."""
        code = self._start("retry").wait()
        stats = self.sim.rest()
        found = read_folder(self.out)
        self._hear()
        executed = {name: request["executed"] for name, request in stats["requests"].items()}
        self._compare(found, executed)
        self.maybe |= found.maybe
        if code != 0:
            self._fault(f"the last run ended with {code}")
        results = [json.loads(line) for line in (self.out / "results.jsonl").read_text().splitlines()]
        for row, line in zip(self.rows, results, strict=True):
            files = [self.out / name for name in line["files"]]
            if line["id"] != row.id or line["status"] != "completed" or not files or not all(map(_is_png, files)):
                self._fault(f"row {row.id} is {line['status']} with {line['files']}")
        self._compare_books(stats)

    def _compare_books(self, stats: Stats) -> None:
        summary = json.loads((self.out / "summary.json").read_text())
        charged, maybe = _picodollars(summary["cost_usd"]), _picodollars(summary["maybe_billed_usd"])
        listed = {tuple(map(int, orphan["attempt"].split("-"))) for orphan in summary["orphans"]}
        bound = sum((self.orphans | self.maybe).values())
        if stats["billed"] > charged + maybe:
            self._fault(f"billed {stats['billed']}, charged {charged} and maybe {maybe}")
        if maybe > bound:
            self._fault(f"maybe {maybe} is more than {bound}, the bounds of orphans and ambiguous attempts")
        if self.told < len(self.orphans):
            self._fault(f"{self.told} orphans were told, of {len(self.orphans)}")
        if self.orphans.keys() - listed:
            self._fault(f"not listed: {sorted(self.orphans.keys() - listed)}")
        figures = self.figures
        figures.rounds += 1
        figures.rows += len(self.rows)
        figures.orphans += len(self.orphans)
        figures.told += min(len(self.orphans), self.told)
        figures.settled += len(self.pictures)
        figures.executed += stats["executed"]
        figures.repeated += len(stats["repeated"])
        figures.billed += stats["billed"]
        figures.charged += charged
        figures.maybe += maybe
        figures.bound += bound

    def _fault(self, message: str) -> None:
        self.figures.faults.append(f"round {self.figures.rounds + 1}: {message}")


def read_folder(out: Path) -> Found:
    """The journal's tables from a copy of its files, so that looking changes nothing."""
    with TemporaryDirectory() as spare:
        for name in ("journal.sqlite", "journal.sqlite-wal"):
            if (out / name).exists():
                shutil.copyfile(out / name, Path(spare) / name)
        with closing(sqlite3.connect(Path(spare) / "journal.sqlite")) as db:
            pictures = db.execute("SELECT key, file, nbytes FROM pictures").fetchall()
            orphans = "SELECT run, attempt, quote FROM attempts WHERE ending IS NULL"
            maybe = "SELECT run, attempt, bound FROM attempts WHERE ending = 'maybe' AND kind != 'orphan'"
            return Found(
                {Key(key): (file, nbytes) for key, file, nbytes in pictures},
                {(run, attempt): quote for run, attempt, quote in db.execute(orphans)},
                {(run, attempt): bound for run, attempt, bound in db.execute(maybe)},
            )


def _identity(row: Row) -> tuple[Key, str]:
    """The key of a row's picture, and the provider's name for its request."""
    made = prepare(row.request, Options(), Config(), handle=Handle(0), unix=time.time(), server="http://127.0.0.1")
    if isinstance(made, Refusal):
        raise TypeError(made.message)
    return made.work.targets[0].keys[0], sha256(encode(made, 0, 1).body).hexdigest()


def _is_png(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(8) == b"\x89PNG\r\n\x1a\n"


def _picodollars(text: str) -> int:
    whole, _, rest = text.partition(".")
    return int(whole) * 10**12 + int(rest.ljust(12, "0") or "0")


def run(kills: int, *, rows: int = 600, seed: int = 1, latency: float = 0.4) -> Figures:
    """Kill `kills` times, over as many folders of `rows` rows as that takes."""
    figures, rng = Figures(), Random(seed)
    begun = time.monotonic()
    idle = 0
    while figures.kills < kills and idle < 3 and not figures.faults:
        with TemporaryDirectory() as folder, provider(rng.randrange(1 << 30), latency) as sim:
            made = Round(Path(folder), sim, rng, rows, figures).live(kills - figures.kills)
        figures.kills += made
        idle = 0 if made else idle + 1
    figures.seconds = time.monotonic() - begun
    return figures


def main(arguments: Sequence[str]) -> int:
    """Run it and print the figures; 1 if any promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--rows", type=int, default=600, help="rows of a folder (default: 600)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--latency", type=float, default=0.4, help="seconds a picture (default: 0.4)")
    args = parser.parse_args(arguments)
    figures = run(args.kills, rows=args.rows, seed=args.seed, latency=args.latency)
    dollars = 10**12
    print(f"kills                {figures.kills} over {figures.rounds} folders of {args.rows} rows")
    print(f"least requests out   {figures.least_out}")
    print(f"orphan intents       {figures.orphans}, told {figures.told}")
    print(f"settled at kills     {figures.settled} pictures")
    print(f"executed             {figures.executed}, of them again after doubt: {figures.repeated} requests")
    print(f"provider's bill      ${figures.billed / dollars:.6f}")
    print(f"charged + maybe      ${figures.charged / dollars:.6f} + ${figures.maybe / dollars:.6f}")
    print(f"bound of the maybe   ${figures.bound / dollars:.6f}")
    print(f"seconds              {figures.seconds:.1f}")
    if not figures.faults:
        print("kept                 nothing settled executed again, nothing durable lost, every orphan told")
    for fault in figures.faults:
        print(f"BROKEN: {fault}")
    return 1 if figures.faults or figures.kills < args.kills else 0
