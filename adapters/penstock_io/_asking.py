"""What a user may ask of a client besides pictures, in the two ways of asking."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from penstock.config import Config
from penstock.engine import Snapshot
from penstock.events import Mode
from penstock_io._client import Base, Explained, Http

Told = TypeVar("Told")


class AsyncBase(Base[Http]):
    """What the two asynchronous clients let a user ask."""

    def _appetite(self) -> int:
        return self.engine.appetite()

    async def snapshot(self) -> Snapshot:
        """The engine's figures."""
        return self.engine.snapshot()

    async def explain(self, most: int = 100) -> Explained:
        """What the first `most` unfinished requests wait for."""
        return self._explained(most)

    async def reconfigure(
        self, config: Config | None = None, *, api_keys: Sequence[str] | Mapping[str, str] = (), resume: bool = False
    ) -> None:
        """Take a new configuration (see `config`), further keys, and go on after a halt where `resume` says so."""
        self._step(self._reconfigured(config, api_keys, resume=resume))

    def end(self, mode: Mode = Mode.DRAIN) -> None:
        """Take no more work, as leaving the client does: DRAIN waits for what is out, ABORT breaks it off.

        Results of what was begun still come. To be called on the loop.
        """
        self._close(mode)


class SyncBase(Base[Http]):
    """What the client for threads lets a user ask, from any thread."""

    @abstractmethod
    def _ask(self, question: Callable[[], Told]) -> Told:
        """What the owner answers."""

    def snapshot(self) -> Snapshot:
        """The engine's figures."""
        return self._ask(self.engine.snapshot)

    def explain(self, most: int = 100) -> Explained:
        """What the first `most` unfinished requests wait for."""
        return self._ask(lambda: self._explained(most))

    def reconfigure(
        self, config: Config | None = None, *, api_keys: Sequence[str] | Mapping[str, str] = (), resume: bool = False
    ) -> None:
        """Take a new configuration (see `config`), further keys, and go on after a halt where `resume` says so."""
        self._ask(lambda: self._step(self._reconfigured(config, api_keys, resume=resume)))
