"""The table of golden keys, and how its lines are read: plain Python, which any version can run.

`python tests/cache_keys.py TABLE` prints the keys of each line as this Python makes them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from penstock.cache import Input, keys
from penstock.requests import ImageRequest

TABLE = Path(__file__).parent / "data" / "keys.jsonl"


def lines(path: Path = TABLE) -> list[dict[str, Any]]:
    """The lines of the table: `what` it shows, the `request`, what it is asked `of`, and its `keys`."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def made(line: dict[str, Any]) -> list[str]:
    """The keys of a line, as they are made now."""
    request = dict(line["request"])
    extra = tuple((name, value) for name, value in request.pop("extra", []))
    of = dict(line["of"])
    inputs = tuple(Input(role, digest) for role, digest in of.pop("inputs", []))
    return list(keys(ImageRequest(**request, extra=extra), inputs=inputs, **of))


if __name__ == "__main__":
    for one in lines(Path(sys.argv[1])):
        sys.stdout.write(f"{' '.join(made(one))}\n")
