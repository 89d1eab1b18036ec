"""Draws the four lives of the engine from its tables: `python docs/draw_tables.py > docs/lives.md`."""  # noqa: INP001 a script

from __future__ import annotations

import sys
from collections.abc import Mapping
from enum import IntEnum
from typing import TypeVar

from penstock.engine.tables import ATTEMPT, CALL, FLIGHT, JOB

HEAD = """# The four lives

Drawn from the tables in `penstock/engine/tables.py` by `python docs/draw_tables.py`; do not edit. What is not drawn
cannot happen: an input that has no row for a state is a fault of the engine itself.
"""

S = TypeVar("S", bound=IntEnum)
E = TypeVar("E", bound=IntEnum)


def plain(table: Mapping[tuple[S, E], S]) -> dict[tuple[IntEnum, IntEnum], IntEnum]:
    """A table of any states and inputs."""
    return {(state, event): after for (state, event), after in table.items()}


LIVES = (
    ("A job", "What a caller waits for; exactly one outcome.", plain(JOB)),
    ("A flight", "One picture that somebody wants: one key.", plain(FLIGHT)),
    ("A call", "One unit of provider work, paid once.", plain(CALL)),
    ("An attempt", "One exchange of a call on a lane.", plain(ATTEMPT)),
)


def diagram(table: Mapping[tuple[IntEnum, IntEnum], IntEnum]) -> str:
    """A table as a Mermaid state diagram: one arrow a pair of states, with all that leads from one to the other."""
    arrows: dict[tuple[IntEnum, IntEnum], list[str]] = {}
    for (state, event), after in table.items():
        arrows.setdefault((state, after), []).append(event.name.lower().replace("_", " "))
    lines = ["stateDiagram-v2"]
    for (state, after), events in arrows.items():
        begins = "[*]" if state.name == "NEW" else state.name
        lines.append(f"    {begins} --> {after.name}: {', '.join(events)}")
    ends = {after for after in table.values() if not any(state is after for state, _ in table)}
    lines += [f"    {state.name} --> [*]" for state in sorted(ends)]
    return "\n".join(lines)


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for name, what, table in LIVES:
        parts.append(f"## {name}\n\n{what}\n\n```mermaid\n{diagram(table)}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(page())
