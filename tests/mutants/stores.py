"""Seeded bugs of the stores: each is tried on a copy of penstock_io by the tests that it names.

python -m tests.mutants.stores [NAME ...]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import frozen

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SOURCE = ROOT / "adapters" / "penstock_io"


@frozen
class StoreMutant:
    """One seeded bug: `old` stands once in `file` and becomes `new`; `tests` are arguments of pytest."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def places(self, source: Path = SOURCE) -> int:
        """How often `old` stands there."""
        return (source / self.file).read_text(encoding="utf-8").count(self.old)

    def survives(self) -> str:
        """What the tests said where all of them passed; "" where one failed."""
        with TemporaryDirectory() as folder:
            source = Path(folder) / "penstock_io"
            shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
            path = source / self.file
            path.write_text(path.read_text(encoding="utf-8").replace(self.old, self.new), encoding="utf-8")
            places = [folder, str(ROOT / "src"), str(ROOT)]
            result = subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *self.tests],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(places), "PYTHONDONTWRITEBYTECODE": "1"},
                capture_output=True,
                text=True,
                check=False,
            )
        if result.returncode == 1:
            return ""
        return f"{result.stdout[-2000:]}{result.stderr[-2000:]}"


def load() -> list[StoreMutant]:
    """All of them, in the order of the file."""
    with (HERE / "stores.toml").open("rb") as file:
        entries = tomllib.load(file)["mutant"]
    return [StoreMutant(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]


def main(names: Sequence[str]) -> int:
    """Try all, or those named; 1 if one survives."""
    survived = 0
    for mutant in load():
        if not names or mutant.name in names:
            said = mutant.survives()
            survived += bool(said)
            sys.stdout.write(f"{'SURVIVED' if said else 'killed':9} {mutant.name} {said[-300:]}\n")
            sys.stdout.flush()
    return int(bool(survived))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
