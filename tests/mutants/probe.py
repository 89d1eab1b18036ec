"""Runs histories against the tree that is on the path, until one fails: `python -m tests.mutants.probe TREE COUNT`."""

from __future__ import annotations

import sys
from pathlib import Path

import penstock
from penstock.errors import UsageError
from tests.histories.generate import history


def main(tree: str, count: int) -> int:
    """1 with the seed on the last line if a history fails."""
    if Path(tree).resolve() != Path(penstock.__file__).parent.resolve():
        raise SystemExit(f"the tree {tree} is not the one that is imported: {penstock.__file__}")
    for seed in range(count):
        try:
            history(seed)
        except (AssertionError, UsageError) as error:
            sys.stdout.write(f"history {seed}: {str(error).partition(':')[0]}"[:40])
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
