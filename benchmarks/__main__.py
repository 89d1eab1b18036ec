"""`python -m benchmarks`: what there is; `python -m benchmarks NAME [arguments]`: run one of them."""

from __future__ import annotations

import ast
import pkgutil
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import cast

USAGE = 2
FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The benchmarks by name; a module whose name begins with an underscore is a helper."""
    return sorted(module.name for module in pkgutil.iter_modules([str(FOLDER)]) if not module.name.startswith("_"))


def summary(name: str) -> str:
    """The first line of a benchmark's docstring, read without importing it."""
    source = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0]


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark that the first argument names, with the rest; without one, list them."""
    known = names()
    if not arguments:
        for name in known:
            print(f"{name:16} {summary(name)}")
        return 0
    if arguments[0] not in known:
        print(f"no benchmark {arguments[0]!r}; there are: {', '.join(known) or 'none'}", file=sys.stderr)
        return USAGE
    run = cast("Callable[[Sequence[str]], int]", import_module(f"benchmarks.{arguments[0]}").main)
    return run(arguments[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
