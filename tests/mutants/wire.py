"""Seeded bugs of the wire: each is tried on a copy of its package by the tests that it names.

python -m tests.mutants.wire [NAME ...]
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
PLACES = {"penstock": ROOT / "src", "penstock_io": ROOT / "adapters"}


@frozen
class WireMutant:
    """One seeded bug: `old` stands once in `file` ("penstock/wire/sse.py") and becomes `new`; `tests` notice it."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    @property
    def package(self) -> str:
        """Whose file it is."""
        return self.file.partition("/")[0]

    def text(self) -> str:
        """The file as it is."""
        return (PLACES[self.package] / self.file).read_text(encoding="utf-8")

    def survives(self) -> str:
        """What the tests said where all of them passed; "" where one failed."""
        with TemporaryDirectory() as folder:
            source = PLACES[self.package] / self.package
            shutil.copytree(source, Path(folder, self.package), ignore=shutil.ignore_patterns("__pycache__"))
            Path(folder, self.file).write_text(self.text().replace(self.old, self.new), encoding="utf-8")
            places = [folder, str(ROOT / "src"), str(ROOT / "adapters"), str(ROOT)]
            result = subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *self.tests],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(places), "PYTHONDONTWRITEBYTECODE": "1"},
                capture_output=True,
                text=True,
                check=False,
            )
        return "" if result.returncode == 1 else f"{result.stdout[-2000:]}{result.stderr[-2000:]}"


def load() -> list[WireMutant]:
    """All of them, in the order of the file."""
    with (HERE / "wire.toml").open("rb") as file:
        entries = tomllib.load(file)["mutant"]
    return [WireMutant(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]


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
