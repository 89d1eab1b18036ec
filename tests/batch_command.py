"""A `penstock batch` as tests run it: within the process, or as one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import pytest

from penstock_io.cli.main import main
from penstock_io.simserver import SimServer

PENSTOCK = (sys.executable, "-m", "penstock_io")
OPTIONS = ("--model", "gpt-image-2", "--quality", "low", "--size", "1024x1024", "--api-key-env", "TEST_KEY")

LONG = 240.0
"""Seconds after which a command that should have ended is taken for hung."""


class Command:
    """A `penstock batch` of twelve rows in a folder of its own."""

    def __init__(self, folder: Path, sim: SimServer, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.sim = sim
        self.capsys = capsys
        self.input = folder / "in.jsonl"
        self.rows(*({"prompt": f"kettle {n}"} for n in range(12)))
        self.out = folder / "out"

    def rows(self, *rows: Mapping[str, object]) -> None:
        """Write the input."""
        self.input.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def words(self, *options: str, given: str | None = None) -> list[str]:
        """The arguments."""
        there = ["--out", str(self.out), "--base-url", self.sim.base_url]
        return ["batch", given or str(self.input), *there, *OPTIONS, *options]

    def run(self, *options: str, given: str | None = None) -> tuple[int, str, str]:
        """Run it within this process: its exit code and what it said."""
        code = main(self.words(*options, given=given))
        told = self.capsys.readouterr()
        return code, told.out, told.err

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Start it, four requests at a time."""
        return subprocess.Popen(
            [*PENSTOCK, *self.words("--max-concurrency", "4", *options)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"TEST_KEY": "test-key"},
        )

    def out_with(self, requests: int, process: subprocess.Popen[str], *, stalled: bool = False) -> None:
        """Wait until so many requests are out; `stalled` ones, which nobody works at, are those that were received."""
        name: Literal["received", "in_flight"] = "received" if stalled else "in_flight"
        while not self.sim.wait(lambda stats: stats[name] >= requests, 1.0):
            assert process.poll() is None

    def said(self, words: str, process: subprocess.Popen[str]) -> str:
        """Wait until it says this on standard error; what it said until then."""
        assert process.stderr is not None
        heard = ""
        while words not in heard:
            line = process.stderr.readline()
            assert line, heard
            heard += line
        return heard

    def counts(self) -> tuple[int, int, int]:
        """Rows that are completed, ambiguous, pending."""
        summary = json.loads((self.out / "summary.json").read_text())
        return summary["completed"], summary["ambiguous"], summary["pending"]


def wait(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Its exit code and what it said."""
    out, err = process.communicate(timeout=LONG)
    return process.returncode, out, err
