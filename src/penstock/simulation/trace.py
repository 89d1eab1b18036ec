"""Traces: every event of a run, so that the same engine can be asked again what it would order.

A trace is lines of JSON. The first says how the engine was made (configuration, random state, epoch, opening books),
each other one is `[now, event, digest]`, where the digest is of the commands that were returned. Events carry no
payload, prompt or secret, so a trace holds them whole and may be handed on.

    recorder = Recorder(config, rng=Random(7), epoch=epoch, write=lines.append)   # an engine that writes its trace
    ...
    replay(lines, Random())                                               # raises Diverged at the first difference
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from hashlib import sha256
from types import ModuleType
from typing import TYPE_CHECKING, cast

import attrs

from penstock import commands, config, entries, events, lessons, outcomes, readings, work
from penstock.commands import Command
from penstock.config import Config
from penstock.engine import Engine, Snapshot, Waiting
from penstock.errors import PenstockError
from penstock.events import Event
from penstock.ids import JobId
from penstock.money import balances
from penstock.money.ledger import NOTHING, Balances

if TYPE_CHECKING:
    from random import Random

VERSION = 1

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


class TraceError(PenstockError):
    """A line that is no line of a trace: which one, and what is wrong with it."""


class Diverged(PenstockError):
    """A replay returned other commands than were recorded: at which line."""


def _classes(*modules: ModuleType) -> Mapping[str, type]:
    found: dict[str, type] = {}
    for module in modules:
        for name, value in vars(module).items():
            if isinstance(value, type) and value.__module__ == module.__name__:
                found[f"{module.__name__.rpartition('.')[2]}.{name}"] = value
    return found


CLASSES = _classes(events, commands, entries, outcomes, readings, work, config, lessons, balances)
"""What may stand in a trace, by the last part of its module and its name."""
NAMES = {value: name for name, value in CLASSES.items()}


def pack(value: object) -> Json:
    """A value of the core as JSON: attrs values as `{"": class, field: ...}` without defaults, tuples as lists."""
    if value is None or isinstance(value, bool | str) or type(value) in (int, float):
        return value  # type: ignore[return-value] # narrowed by the line above, which mypy cannot follow
    if isinstance(value, Enum):
        return {"": NAMES[type(value)], "is": value.name}
    if isinstance(value, Iterable):
        return [pack(item) for item in cast("Iterable[object]", value)]
    if isinstance(value, int):
        return int(value)
    kind = type(value)
    packed: dict[str, Json] = {"": NAMES[kind]}
    for field in attrs.fields(cast("type[attrs.AttrsInstance]", kind)):
        item: object = getattr(value, field.name)
        if item is not field.default and item != field.default:
            packed[field.name] = pack(item)
    return packed


def unpack(value: Json) -> object:
    """The value that `pack` made this of. Lists become tuples. Raises KeyError, TypeError or ValueError for another."""
    if isinstance(value, list):
        return tuple([unpack(item) for item in value])
    if not isinstance(value, dict):
        return value
    name = value[""]
    found = CLASSES[name] if isinstance(name, str) else None
    if found is None:
        raise ValueError(f"no class is named {name!r}")
    if issubclass(found, Enum):
        return found[str(value["is"])]
    return found(**{field: unpack(item) for field, item in value.items() if field})


def digest(ordered: list[Command]) -> str:
    """16 hex digits that stand for what was ordered in one step."""
    return sha256(json.dumps(pack(ordered), separators=(",", ":")).encode()).hexdigest()[:16]


class Recorder:
    """An engine that writes its own trace, a line at a time without line ends."""

    def __init__(
        self,
        config: Config,
        *,
        rng: Random,
        epoch: float,
        write: Callable[[str], object],
        opening: Balances = NOTHING,
    ) -> None:
        state = rng.getstate()
        self.engine = Engine(config, rng=rng, epoch=epoch, opening=opening)
        self._write = write
        head = {"version": VERSION, "rng": state, "epoch": epoch, "config": pack(config), "opening": pack(opening)}
        write(json.dumps(head, separators=(",", ":")))

    def handle(self, event: Event, now: float) -> list[Command]:
        """Take one fact, and write it down with a digest of what is ordered."""
        ordered = self.engine.handle(event, now)
        self._write(json.dumps([now, pack(event), digest(ordered)], separators=(",", ":")))
        return ordered

    def next_deadline(self) -> float | None:
        """As `Engine.next_deadline`."""
        return self.engine.next_deadline()

    def appetite(self) -> int:
        """As `Engine.appetite`."""
        return self.engine.appetite()

    def idle(self) -> bool:
        """As `Engine.idle`."""
        return self.engine.idle()

    def explain(self, job: JobId) -> Waiting:
        """As `Engine.explain`."""
        return self.engine.explain(job)

    def snapshot(self) -> Snapshot:
        """As `Engine.snapshot`."""
        return self.engine.snapshot()


def load(lines: Iterable[str]) -> Iterator[tuple[float, Event, str]]:
    """The steps of a trace: time, event, digest of the commands. The head is skipped. Raises TraceError."""
    for number, line in enumerate(lines, 1):
        if number == 1:
            continue
        try:
            now, packed, expected = json.loads(line)
            event = unpack(packed)
        except (ValueError, KeyError, TypeError) as error:
            raise TraceError(f"line {number} is no step of a trace: {error}") from error
        if not isinstance(event, Event):
            raise TraceError(f"line {number} has no event, but {type(event).__name__}")
        yield float(now), event, str(expected)


def engine_of(head: str, rng: Random) -> Engine:
    """The engine that the first line of a trace describes, as it was in the beginning. Raises TraceError.

    `rng` is put into the state that was recorded.
    """
    try:
        made = json.loads(head)
        if made["version"] != VERSION:
            raise TraceError(f"a trace of version {made['version']}; this program reads version {VERSION}")
        settings, opening = unpack(made["config"]), unpack(made["opening"])
        if not isinstance(settings, Config) or not isinstance(opening, Balances):
            raise TraceError("line 1 has no configuration")
        version, words, spare = made["rng"]
        rng.setstate((version, tuple(words), spare))
        return Engine(settings, rng=rng, epoch=float(made["epoch"]), opening=opening)
    except (ValueError, KeyError, TypeError) as error:
        raise TraceError(f"line 1 is no head of a trace: {error}") from error


def replay(lines: Iterable[str], rng: Random) -> int:
    """Ask a fresh engine everything again; the number of steps. Raises Diverged where it orders something else."""
    steps = iter(lines)
    head = next(steps, None)
    if head is None:
        raise TraceError("an empty trace")
    engine = engine_of(head, rng)
    count = 0
    for now, event, expected in load(["", *steps]):
        count += 1
        if digest(engine.handle(event, now)) != expected:
            raise Diverged(f"line {count + 1}: the engine orders something else for {type(event).__name__}")
    return count
