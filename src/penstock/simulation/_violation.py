"""The one error of the monitor, for itself and its watchers."""

from __future__ import annotations


class Violation(AssertionError):
    """The engine broke line `line` (1 to 12) of its contract."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line
