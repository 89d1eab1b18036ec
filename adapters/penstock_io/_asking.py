"""What a user may ask of a client besides pictures, in the two ways of asking."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from penstock.config import Config, Limits
from penstock.engine import Snapshot, Waiting
from penstock.events import Mode, Reconfigured
from penstock.requests import ImageRequest, Options
from penstock_io._access import keyed, renamed
from penstock_io._client import Base, Http
from penstock_io.refining import AsyncResult, Make, SyncResult
from penstock_io.resources import Result

Told = TypeVar("Told")

Keys = Sequence[str] | Mapping[str, str]
"""API keys, or keys by label."""

Explained = tuple[tuple[ImageRequest, Waiting], ...]
"""Unfinished requests and what they wait for."""


class Asked(Base[Http]):
    """What both ways of asking rest on. Only the owner calls it."""

    def _explained(self, most: int) -> Explained:
        engine = self.engine
        return tuple((job.request, engine.explain(job.id)) for job in list(self._jobs.values())[:most])

    def _reconfigured(
        self,
        config: Config | None,
        api_keys: Keys,
        *,
        resume: bool,
        without: Keys = (),
        limits: Limits | None = None,
    ) -> Reconfigured:
        """The event that brings a new configuration in; a key that is known keeps its name."""
        added, gone = renamed(self._keys, api_keys), renamed(self._keys, without)
        changed = self._setup.changed(self.config if config is None else config, added, gone, limits)
        self.config = keyed(changed, self._keys | added)
        self._keys.update(added)  # what is out on a key that is gone still needs it
        return Reconfigured(self.config, resume)


class AsyncBase(Asked[Http]):
    """What the two asynchronous clients let a user ask."""

    @abstractmethod
    async def _later(self, make: Make, options: Options) -> AsyncResult:
        """Make a request off the loop, and wait for its result."""

    def _made(self, result: Result) -> AsyncResult:
        """A result whose pictures can be edited."""
        return AsyncResult(result.request, result.outcome, result.images, result.error, result.index, later=self._later)

    def _appetite(self) -> int:
        return self.engine.appetite()

    async def snapshot(self) -> Snapshot:
        """The engine's figures."""
        return self.engine.snapshot()

    async def explain(self, most: int = 100) -> Explained:
        """What the first `most` unfinished requests wait for."""
        return self._explained(most)

    async def reconfigure(
        self,
        config: Config | None = None,
        *,
        api_keys: Keys = (),
        without: Keys = (),
        limits: Limits | None = None,
        resume: bool = False,
    ) -> None:
        """Take a new configuration (see `config`), further keys, and go on after a halt where `resume` says so.

        Keys named by `without` take no more work: what is out on them is finished. `limits` are believed of all keys
        from now on; what was learned besides stays.
        """
        self._unless_broken()
        self._step(self._reconfigured(config, api_keys, resume=resume, without=without, limits=limits))

    def end(self, mode: Mode = Mode.DRAIN) -> None:
        """Take no more work, as leaving the client does: DRAIN waits for what is out, ABORT breaks it off.

        Results of what was begun still come. To be called on the loop.
        """
        self._unless_broken()
        self._close(mode)


class SyncBase(Asked[Http]):
    """What the client for threads lets a user ask, from any thread."""

    @abstractmethod
    def _run(self, request: ImageRequest, options: Options) -> SyncResult:
        """Wait for a result."""

    def _later(self, make: Make, options: Options) -> SyncResult:
        return self._run(make(), options)

    def _made(self, result: Result) -> SyncResult:
        """A result whose pictures can be edited."""
        return SyncResult(result.request, result.outcome, result.images, result.error, result.index, later=self._later)

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
        self,
        config: Config | None = None,
        *,
        api_keys: Keys = (),
        without: Keys = (),
        limits: Limits | None = None,
        resume: bool = False,
    ) -> None:
        """Take a new configuration (see `config`), further keys, and go on after a halt where `resume` says so.

        Keys named by `without` take no more work: what is out on them is finished. `limits` are believed of all keys
        from now on; what was learned besides stays.
        """
        self._ask(
            lambda: self._step(self._reconfigured(config, api_keys, resume=resume, without=without, limits=limits))
        )
