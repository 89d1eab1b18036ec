"""What stores that ask a disk or a server have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self


class Outside(ABC):
    """A store that its `with` closes, and that no event loop asks."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def inline(self) -> bool:
        """It asks a disk or a server, so never on an event loop."""
        return False

    @abstractmethod
    def close(self) -> None:
        """Give back what it has open. A second time does nothing."""
