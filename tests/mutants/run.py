"""Applies a seeded bug to a copy of the core and runs what must notice it: histories first, then the directed tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import frozen

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SOURCE = ROOT / "src" / "penstock"
HISTORIES = 700
SECONDS = 300
DIRECTED = (
    "tests/test_allowance.py",
    "tests/test_engine_doubts.py",
    "tests/test_engine_patience.py",
    "tests/test_engine_remarks.py",
    "tests/test_engine_adapting.py",
    "tests/test_engine_contract.py",
    "tests/test_engine_dispatch.py",
    "tests/test_engine_foresight.py",
    "tests/test_engine_gathering.py",
    "tests/test_engine_leases.py",
    "tests/test_engine_parking.py",
    "tests/test_fairness.py",
    "tests/test_admission_costs.py",
    "tests/test_admission_learning.py",
    "tests/test_admission_quota.py",
    "tests/test_admission_invariants.py",
    "tests/test_admission_sharing.py",
    "tests/test_admission_slow.py",
    "tests/test_breaker.py",
    "tests/test_lessons.py",
    "tests/test_lessons_days.py",
    "tests/histories",
)


@frozen
class Mutant:
    """One seeded bug: `old` becomes `new`; `breaks` says what it attacks.

    `file` (below src/penstock) says where `old` stands, or the folder in which exactly one file has it, once.
    """

    name: str
    breaks: str
    file: str
    old: str
    new: str

    def apply(self, source: Path) -> None:
        """Patch a tree; raises LookupError where `old` does not stand exactly once."""
        path = self.place(source)
        path.write_text(path.read_text(encoding="utf-8").replace(self.old, self.new), encoding="utf-8")

    def place(self, source: Path) -> Path:
        """The one file that it patches; raises LookupError where `old` does not stand exactly once."""
        where = source / self.file
        files = sorted(where.glob("*.py")) if where.is_dir() else [where]
        counts = {path: path.read_text(encoding="utf-8").count(self.old) for path in files}
        if sum(counts.values()) != 1:
            raise LookupError(f"{self.name}: its place stands {sum(counts.values())} times in {self.file}")
        return next(path for path, count in counts.items() if count)


NONE = Mutant("none", "nothing", "engine/closing.py", "PORTION = 1000\n", "PORTION = 1000\n")
"""No bug at all: what notices it is broken itself."""


def load() -> list[Mutant]:
    """All of them, in the order of the file."""
    with (HERE / "mutants.toml").open("rb") as file:
        return [Mutant(**entry) for entry in tomllib.load(file)["mutant"]]


def trial(mutant: Mutant) -> str:
    """What killed it: "history SEED: line N" or "a directed test"; empty if it survived."""
    return probed(mutant) or directed(mutant)


def probed(mutant: Mutant) -> str:
    """The first of the histories that it breaks, and how; empty if none."""
    with TemporaryDirectory() as folder:
        source = _patched(mutant, Path(folder))
        result = _python(folder, "-m", "tests.mutants.probe", str(source), str(HISTORIES))
    return (result.stdout.strip().rpartition("\n")[2] or "a crash") if result.returncode else ""


def directed(mutant: Mutant) -> str:
    """Whether the directed tests fail on it: "a directed test", or empty."""
    with TemporaryDirectory() as folder:
        _patched(mutant, Path(folder))
        result = _python(folder, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", "not many", *DIRECTED)
    if result.returncode not in (0, 1):
        raise RuntimeError(f"the directed tests did not run: {result.stdout[-2000:]}{result.stderr[-2000:]}")
    return "a directed test" if result.returncode else ""


def _patched(mutant: Mutant, folder: Path) -> Path:
    source = folder / "penstock"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
    mutant.apply(source)
    return source


def _python(folder: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([folder, str(ROOT)]), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
