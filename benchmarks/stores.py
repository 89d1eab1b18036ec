"""A hit in each store beside reading a file of the same bytes, in turns, and what writing takes.

    python -m benchmarks stores [--kilobytes 2048] [--pictures 16] [--rounds 20] [--folder DIR]

Each store is filled and opened again. `file` reads as many files, one after the other; `first` are the first hits of
pictures after a store was opened, `again` the further ones; `compared` are hits whose bytes are compared with their
sum, because their files look otherwise than when they were written, and `file, sum` computes the same sum of as many
files.
Exit code 1 where a first hit in SQLite takes more than twice the time of reading the file.
"""

from __future__ import annotations

import argparse
import os
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from hashlib import sha256
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from zlib import crc32

from benchmarks.__main__ import summary
from penstock.ids import Key
from penstock.outcomes import Meta
from penstock_io.stores import Store
from penstock_io.stores.files import FilesStore
from penstock_io.stores.memory import MemoryStore
from penstock_io.stores.names import Kept
from penstock_io.stores.sqlite import SqliteStore
from penstock_io.stores.tiered import Tier, Tiered

MOST = 2.0
"""Times the reading of a file."""

Read = Callable[[int], object]


def stores(folder: Path, stack: ExitStack) -> dict[str, Kept]:
    """One of each, empty."""
    sqlite = {name: stack.enter_context(SqliteStore(folder / name, max_bytes=None)) for name in ("a", "b", "c", "d")}
    return {
        "memory": MemoryStore(4 << 30),
        "sqlite, first": sqlite["a"],
        "sqlite, again": sqlite["b"],
        "sqlite, compared": sqlite["c"],
        "tiered: memory, sqlite": Tiered(Tier(MemoryStore(), limit=0), sqlite["d"]),
        "files, first": stack.enter_context(FilesStore(folder / "files")),
    }


def filled(kinds: Mapping[str, Kept], folder: Path, pictures: Sequence[bytes]) -> dict[str, list[float]]:
    """Seconds that each picture took to be written, by store; files without one."""
    took: dict[str, list[float]] = {name: [] for name in (*kinds, "file")}
    for number, data in enumerate(pictures):
        begun = perf_counter()
        (folder / f"{number}.bin").write_bytes(data)
        took["file"].append(perf_counter() - begun)
        for name, store in kinds.items():
            begun = perf_counter()
            store.write(Key(str(number)), Meta(nbytes=len(data)), data)
            took[name].append(perf_counter() - begun)
    return took


def in_turns(
    reads: Mapping[str, Read], pictures: int, rounds: int, again: Callable[[], None]
) -> dict[str, list[float]]:
    """Seconds of each read, one of each kind after the other; `again` is done before each round."""
    took: dict[str, list[float]] = {name: [] for name in reads}
    for _ in range(rounds):
        again()
        for number in range(pictures):
            for name, read in reads.items():
                begun = perf_counter()
                found = read(number)
                took[name].append(perf_counter() - begun)
                del found
    return took


def hit(store: Store, number: int) -> object:
    """A picture, which must be there."""
    found = store.read(Key(str(number)))
    if found is None:
        raise LookupError(number)
    return found


def touched(store: Store, path: Path, number: int) -> object:
    """A picture whose file looks otherwise than it did."""
    os.utime(path)
    return hit(store, number)


def opened(stores: Sequence[Kept]) -> None:
    """Open stores again, as another process does, up to the first hit."""
    for store in stores:
        store.close()
        store.figures()


def main(arguments: Sequence[str]) -> int:
    """Measure and print; says what it is in its first line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks stores", description=summary("stores"))
    parser.add_argument("--kilobytes", type=int, default=2048, help="of a picture (default: 2048)")
    parser.add_argument("--pictures", type=int, default=16, help="(default: 16)")
    parser.add_argument("--rounds", type=int, default=20, help="how often each is read (default: 20)")
    parser.add_argument("--folder", type=Path, default=None, help="on the disk that matters")
    args = parser.parse_args(arguments)
    with TemporaryDirectory(dir=args.folder) as name, ExitStack() as stack:
        folder = Path(name)
        return measured(folder, stack, args.kilobytes << 10, args.pictures, args.rounds)


def measured(folder: Path, stack: ExitStack, nbytes: int, pictures: int, rounds: int) -> int:
    """The table, and whether it is as it should be."""
    rng = random.Random(1)
    kinds = stores(folder, stack)
    painted = [rng.randbytes(nbytes) for _ in range(pictures)]
    wrote = filled(kinds, folder, painted)
    for number in range(pictures):  # every store has its file open, and every file is in the system's memory
        for store in kinds.values():
            hit(store, number)
    reads: dict[str, Read] = {
        "file": lambda number: (folder / f"{number}.bin").read_bytes(),
        "file, sum": lambda number: crc32((folder / f"{number}.bin").read_bytes()),
    }
    reads |= {name: partial(hit, store) for name, store in kinds.items()}
    lying = [FilesStore(folder / "c-files").file(sha256(data).hexdigest()) for data in painted]
    compared = kinds["sqlite, compared"]
    reads["sqlite, compared"] = lambda number: touched(compared, lying[number], number)
    fresh = [kinds["sqlite, first"], kinds["files, first"]]
    took = in_turns(reads, pictures, rounds, partial(opened, fresh))
    bare, bare_write = median(took["file"]), median(wrote["file"])
    print(f"{pictures} pictures of {nbytes >> 10:,} KiB, {rounds} times each; median microseconds, times the file's")
    print(f"{'':24}{'read':>8}{'':8}{'write':>8}")
    for name, each in took.items():
        line = f"{name:24}{median(each) * 1e6:8,.0f}{median(each) / bare:8.2f}"
        if name in wrote:
            line += f"{median(wrote[name]) * 1e6:8,.0f}{median(wrote[name]) / bare_write:8.2f}"
        print(line)
    ratio = median(took["sqlite, first"]) / bare
    print(f"a first hit in SQLite takes {ratio:.2f} times the reading of the file (at most {MOST:.2f} is the aim)")
    return int(ratio > MOST)
