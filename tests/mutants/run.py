"""Applies a seeded bug to a copy of its package, and runs what must notice it.

A bug that names its tests is tried by them; one that names none is the engine's: histories first, then the directed
tests. The bugs stand in the `.toml` files of this folder.
"""

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
PLACES = {"penstock": ROOT / "src", "penstock_io": ROOT / "adapters"}
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
    "tests/test_engine_kinds.py",
    "tests/test_engine_leases.py",
    "tests/test_engine_parking.py",
    "tests/test_engine_portions.py",
    "tests/test_fairness.py",
    "tests/test_admission_bounds.py",
    "tests/test_admission_costs.py",
    "tests/test_admission_exchanges.py",
    "tests/test_admission_gaps.py",
    "tests/test_admission_learning.py",
    "tests/test_admission_memory.py",
    "tests/test_admission_priors.py",
    "tests/test_admission_quota.py",
    "tests/test_admission_invariants.py",
    "tests/test_admission_owners.py",
    "tests/test_admission_sharing.py",
    "tests/test_admission_slow.py",
    "tests/test_admission_suspects.py",
    "tests/test_breaker.py",
    "tests/test_lessons.py",
    "tests/test_lessons_days.py",
    "tests/test_lessons_sharing.py",
    "tests/histories",
)


@frozen
class Mutant:
    """One seeded bug: `old` becomes `new`.

    `file` begins with its package ("penstock/wire/sse.py"), and says where `old` stands, or the folder in which exactly
    one file has it, once. `breaks` says what it attacks; `tests` are arguments of pytest.
    """

    name: str
    file: str
    old: str
    new: str
    breaks: str = ""
    tests: tuple[str, ...] = ()

    @property
    def package(self) -> str:
        """Whose file it is."""
        return self.file.partition("/")[0]

    def place(self) -> Path:
        """The one file that it patches, from its package on; raises LookupError where `old` does not stand once."""
        top = PLACES[self.package]
        where = top / self.file
        files = sorted(where.glob("*.py")) if where.is_dir() else [where]
        counts = {path: path.read_text(encoding="utf-8").count(self.old) for path in files}
        if sum(counts.values()) != 1:
            raise LookupError(f"{self.name}: its place stands {sum(counts.values())} times in {self.file}")
        return next(path for path, count in counts.items() if count).relative_to(top)

    def patched(self, folder: Path) -> Path:
        """A copy of its package in a folder, with the bug. Raises LookupError as `place` does."""
        copy, place = folder / self.package, self.place()
        shutil.copytree(PLACES[self.package] / self.package, copy, ignore=shutil.ignore_patterns("__pycache__"))
        text = (folder / place).read_text(encoding="utf-8")
        (folder / place).write_text(text.replace(self.old, self.new), encoding="utf-8")
        return copy


NONE = Mutant("none", "penstock/engine/closing.py", "PORTION = 1000\n", "PORTION = 1000\n")
"""No bug at all: what notices it is broken itself."""


def load() -> dict[str, list[Mutant]]:
    """All of them in the order of each file, by its name; what a file says of all that it has stands at its head."""
    return {path.stem: _read(path) for path in sorted(HERE.glob("*.toml"))}


def _read(path: Path) -> list[Mutant]:
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    below = [content["below"]] if "below" in content else []
    return [
        Mutant(**{**entry, "file": "/".join([*below, entry["file"]]), "tests": tuple(entry.get("tests", ()))})
        for entry in content["mutant"]
    ]


def trial(mutant: Mutant) -> str:
    """What killed it: "history SEED: line N", "a directed test" or "its tests"; empty if it survived."""
    if mutant.tests:
        return "its tests" if _fail(mutant, *mutant.tests) else ""
    return probed(mutant) or ("a directed test" if _fail(mutant, "-k", "not many", *DIRECTED) else "")


def probed(mutant: Mutant) -> str:
    """The first of the histories that it breaks, and how; empty if none."""
    with TemporaryDirectory() as folder:
        copy = mutant.patched(Path(folder))
        result = _python(folder, "-m", "tests.mutants.probe", str(copy), str(HISTORIES))
    return (result.stdout.strip().rpartition("\n")[2] or "a crash") if result.returncode else ""


def _fail(mutant: Mutant, *tests: str) -> bool:
    """Whether one of the tests fails on it. Raises RuntimeError where they could not be run."""
    with TemporaryDirectory() as folder:
        mutant.patched(Path(folder))
        result = _python(folder, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests)
    if result.returncode not in (0, 1):
        raise RuntimeError(f"the tests of {mutant.name} did not run: {result.stdout[-2000:]}{result.stderr[-2000:]}")
    return result.returncode == 1


def _python(folder: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = [folder, *map(str, PLACES.values()), str(ROOT)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
