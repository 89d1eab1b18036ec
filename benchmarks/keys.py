"""What a picture's key costs, beside a JSON dump and a SHA-256 of the same request (at most 3 times as much).

python -m benchmarks keys [ROUNDS]
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from time import perf_counter

from penstock.cache import keys
from penstock.requests import ImageRequest

REQUEST = ImageRequest(
    prompt="A red fox in deep snow at dawn, seen through birch trees, with a long lens and soft light. " * 3,
    model="gpt-image-2",
    size="1536x1024",
    quality="high",
    background="opaque",
    moderation="low",
    output_format="webp",
    output_compression=90,
    user="user-4711",
)
BODY = {
    "model": REQUEST.model,
    "prompt": REQUEST.prompt,
    "n": 1,
    "size": REQUEST.size,
    "quality": REQUEST.quality,
    "background": REQUEST.background,
    "moderation": REQUEST.moderation,
    "output_format": REQUEST.output_format,
    "output_compression": REQUEST.output_compression,
    "user": REQUEST.user,
}
MOST = 3.0


def ours() -> object:
    """The key of one picture."""
    return keys(REQUEST, provider="default", dialect="openai", model=REQUEST.model, tenant="acme", first=0, samples=1)


def plain() -> object:
    """What anybody would begin with."""
    return sha256(json.dumps(BODY, sort_keys=True).encode()).hexdigest()


def seconds(work: Callable[[], object], repeats: int) -> float:
    """How long one of `repeats` takes."""
    begun = perf_counter()
    for _ in range(repeats):
        work()
    return (perf_counter() - begun) / repeats


def ratio(rounds: int = 20, repeats: int = 2000) -> float:
    """How many times as long a key takes: the best of `rounds`, in which both take turns."""
    both = [(seconds(ours, repeats), seconds(plain, repeats)) for _ in range(rounds)]
    return min(mine for mine, _ in both) / min(theirs for _, theirs in both)


def main(arguments: Sequence[str]) -> int:
    """Measure; returns 1 where a key costs more than it may."""
    rounds = int(arguments[0]) if arguments else 20
    found = ratio(rounds)
    print(f"a key costs {found:.2f} times json.dumps and SHA-256 of the same request (at most {MOST:g})")
    print(f"  a key {min(seconds(ours, 2000) for _ in range(5)) * 1e6:.1f} us")
    print(f"  json.dumps, SHA-256 {min(seconds(plain, 2000) for _ in range(5)) * 1e6:.1f} us")
    return int(found > MOST)
