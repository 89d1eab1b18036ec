"""Money end to end: batches against a provider that breaks, stopped and killed, their books held against its bill.

    python -m benchmarks field [--count 40] [--first 0]

Each seed is a folder: rows, faults, limits, caps, perhaps a ledger, one to three runs, of which some are interrupted or
killed. After each run the provider's true bill must lie between `cost_usd` and `cost_usd + maybe_billed_usd` of
summary.json, be no higher than any cap, and be `cost_usd` where nothing may have been billed besides.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from penstock.simulation.server import Latency, ServerLimits, ServerSettings
from penstock_io.simserver import SimServer, serving

FAULTS = ("reset", "truncated", "502", "500", "503", "moderation", "refuse_connection", "reset_early")
MODES = ("auto", "skip", "retry", "ask")
PICODOLLARS = 10**12
PATIENCE = 120.0


def settings(rng: Random) -> ServerSettings:
    """A quick provider, with some faults and perhaps a limit."""
    faults = tuple((name, rng.choice((0.0, 0.0, 0.05, 0.1))) for name in FAULTS)
    limits = ServerLimits(ipm=rng.choice((None, None, 600)), burst=rng.choice((1.0, 0.02)))
    return ServerSettings(limits, Latency(0.02, 0.4), faults, refusal_delay=0.002)


def words(rng: Random, folder: Path, sim: SimServer) -> tuple[list[str], Decimal | None]:
    """What all runs of a folder have in common, and the lowest of their caps."""
    names = [f"{rng.choice(('forbidden', 'kettle', 'kettle'))} {rng.randrange(20)}" for _ in range(rng.choice((5, 30)))]
    rows = [{"prompt": name, "n": rng.choice((1, 1, 3)), "quality": rng.choice(("low", "medium"))} for name in names]
    (folder / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    line = ["batch", str(folder / "in.jsonl"), "--out", str(folder / "out"), "--base-url", sim.base_url]
    line += ["--model", "gpt-image-2", "--size", "1024x1024", "--api-key-env", "FIELD_KEY", "--yes"]
    line += ["--max-concurrency", rng.choice(("1", "4", "32")), "--repeats", rng.choice(("share", "new"))]
    caps: list[str] = []
    if rng.random() < 0.6:
        caps.append(rng.choice(("0.05", "0.2")))
        line += ["--budget", caps[-1]]
    if rng.random() < 0.6:
        line += ["--ledger", str(folder / "ledger.sqlite")]
        if rng.random() < 0.5:
            caps.append("0.15")
            line += ["--budget-day", "0.15"]
    return line, min(map(Decimal, caps), default=None)


def run(line: Sequence[str], rng: Random, sim: SimServer) -> int:
    """One run, which may be stopped once so many more requests have arrived; its exit code."""
    process = subprocess.Popen(
        [sys.executable, "-m", "penstock_io", *line, "--on-ambiguous", rng.choice(MODES)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"FIELD_KEY": "a-key"},
    )
    if rng.random() < 0.4:
        until = sim.stats()["received"] + rng.randrange(1, 20)
        while process.poll() is None and sim.stats()["received"] < until:
            time.sleep(0.002)
        process.send_signal(rng.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGINT)))
    return process.wait(PATIENCE)


def wrongs(out: Path, bill: Decimal, cap: Decimal | None, *, killed: bool) -> list[str]:
    """What does not hold of a folder. A run that was killed has written no summary of its own."""
    found = [f"the bill is {bill}, and the cap {cap}"] if cap is not None and bill > cap else []
    if killed or not (out / "summary.json").exists():
        return found
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    cost, maybe = Decimal(str(summary["cost_usd"])), Decimal(str(summary["maybe_billed_usd"]))
    if not cost <= bill <= cost + maybe:
        found.append(f"the bill is {bill}, and the books say {cost}, perhaps {maybe} more")
    return found


def folder(seed: int) -> tuple[int, list[str]]:
    """All runs of one folder: how many they were, and what was wrong."""
    rng = Random(seed)
    found: list[str] = []
    count = rng.choice((1, 2, 3))
    with TemporaryDirectory() as name, serving(settings(rng)) as sim:
        line, cap = words(rng, Path(name), sim)
        for number in range(count):
            code = run(line, rng, sim)
            bill = Decimal(sim.stats()["billed"]) / PICODOLLARS
            killed = code == -signal.SIGKILL
            found += [f"run {number}: {wrong}" for wrong in wrongs(Path(name) / "out", bill, cap, killed=killed)]
    return count, found


def main(arguments: Sequence[str]) -> int:
    """Run them and print what was found; 1 where something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks field")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args(arguments)
    began, runs, bad = time.perf_counter(), 0, 0
    for seed in range(options.first, options.first + options.count):
        count, found = folder(seed)
        runs += count
        bad += bool(found)
        for wrong in found:
            print(f"  seed {seed}, {wrong}", flush=True)
    print(f"{options.count} folders, {runs} runs, {bad} wrong, {time.perf_counter() - began:.0f} s")
    return 1 if bad else 0
