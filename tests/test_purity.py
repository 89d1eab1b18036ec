"""The core is pure: it loads nothing that touches the world, and says nothing that would."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import penstock

CORE = Path(penstock.__file__).parent
FILES = sorted(CORE.rglob("*.py"))

WORLDLY = frozenset(
    "_asyncio _random _socket _ssl _uuid aiohttp anyio asyncio certifi concurrent email h11 h2 http httpcore httpcore2 "
    "httpx httpx2 logging multiprocessing numpy orjson pybase64 queue random requests secrets select selectors socket "
    "socketserver sqlite3 ssl subprocess tempfile trio truststore urllib3 uuid".split()
)
"""What the core must not load by any way: networks, event loops, chance, disks, and what would load them."""

BANNED = WORLDLY | frozenset(
    "ctypes fcntl getpass glob importlib io locale mmap os pathlib platform sched shutil signal socket threading time "
    "urllib.request zoneinfo".split()
)
"""What the core must not name in an import either, though the interpreter or attrs may have loaded it already."""

CALLS = frozenset("__import__ breakpoint compile eval exec hash id input open print".split())
"""Built-ins that touch the world, or whose result differs from one process to the next."""

CLOCKS = frozenset(
    "date.today datetime.now datetime.today datetime.utcnow os.environ os.getenv sys.argv sys.stdin "
    "sys.stdout sys.stderr".split()
)
"""Attributes that read the world, as `last name.attribute`."""

PROBE = """
import sys
import attrs
before = set(sys.modules)
import penstock
first = set(sys.modules) - before
import pkgutil
from importlib import import_module
for module in pkgutil.walk_packages(penstock.__path__, "penstock."):
    if not module.name.rpartition(".")[2].startswith("_"):
        import_module(module.name)
print(*sorted(first))
print(*sorted(set(sys.modules) - before))
"""


def loaded() -> tuple[set[str], set[str]]:
    """What a fresh interpreter loads beyond `import attrs`: for `import penstock`, then for every public module."""
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True, timeout=240)
    first, every = done.stdout.splitlines()
    return set(first.split()), set(every.split())


def worldly(modules: set[str]) -> set[str]:
    """Those of `modules` that belong to a banned package."""
    return {name for name in modules if name.partition(".")[0] in WORLDLY or name == "urllib.request"}


def is_type_checking(node: ast.AST) -> bool:
    """Whether a node is `if TYPE_CHECKING:`, whose body never runs."""
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes that may run."""
    for child in ast.iter_child_nodes(tree):
        yield child
        if isinstance(child, ast.If) and is_type_checking(child):
            for other in child.orelse:
                yield other
                yield from nodes(other)
        else:
            yield from nodes(child)


def imported(node: ast.AST) -> list[str]:
    """The full names that an import statement may load."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def impurities(source: str) -> list[str]:
    """What a module of the core must not say, each as `line: what`."""
    found: list[str] = []
    for node in nodes(ast.parse(source)):
        names = imported(node)
        said = [name for name in names if name in BANNED or name.partition(".")[0] in BANNED]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
            said.append(f"{node.func.id}()")
        if isinstance(node, ast.Attribute):
            tail = ".".join(ast.unparse(node).split(".")[-2:])
            said += [tail] if tail in CLOCKS else []
        found += [f"{getattr(node, 'lineno', 0)}: {what}" for what in said[:1]]
    return found


def test_importing_the_core_loads_nothing_that_touches_the_world() -> None:
    """`import penstock`, then every public module of it, loads no HTTP, async, socket or random module."""
    first, every = loaded()
    assert set() == worldly(first)
    assert set() == worldly(every)


def test_the_probe_reaches_the_rooms() -> None:
    """The claim above is about something: the probe did import the values and whatever packages there are."""
    _, every = loaded()
    rooms = {
        f"penstock.{path.parent.name}" for path in CORE.glob("*/__init__.py") if not path.parent.name.startswith("_")
    }
    assert {"penstock.events", "penstock.commands", *rooms} <= every


def test_the_probe_would_notice() -> None:
    """Modules of banned packages are recognised by their first name, pure ones are left alone."""
    seen = {"random", "asyncio.events", "urllib.request", "urllib.parse", "json.decoder", "httpx._client", "calendar"}
    assert {"random", "asyncio.events", "urllib.request", "httpx._client"} == worldly(seen)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(CORE).as_posix())
def test_a_module_of_the_core_says_nothing_impure(path: Path) -> None:
    """No module of the core imports a clock, chance, a thread, a socket or a disk, or calls what reads the world."""
    assert [] == impurities(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import time", ["1: time"]),
        ("import asyncio.events as e", ["1: asyncio.events"]),
        ("from random import Random", ["1: random"]),
        ("from concurrent.futures import Future", ["1: concurrent.futures"]),
        ("from importlib import resources", ["1: importlib"]),
        ("from urllib import request", ["1: urllib.request"]),
        ("def f():\n    import os", ["2: os"]),
        ("if TYPE_CHECKING:\n    pass\nelse:\n    import os", ["4: os"]),
        ("x = datetime.now()", ["1: datetime.now"]),
        ("x = datetime.datetime.now(tz=UTC)", ["1: datetime.now"]),
        ("x = open('f').read()", ["1: open()"]),
        ("x = sorted(y, key=lambda z: hash(z))", ["1: hash()"]),
        ("if TYPE_CHECKING:\n    from random import Random", []),
        ("from urllib.parse import urlsplit\nfrom penstock.ids import Key\nfrom .time import x", []),
        ("x = rng.random()\ny = datetime.fromtimestamp(0)\nz = reader.open()", []),
    ],
)
def test_impurities_are_seen(source: str, expected: list[str]) -> None:
    """The check above sees what it is for, and nothing else."""
    assert expected == impurities(source)
