"""What a user may ask of a client besides pictures, in the two ways of asking."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Mapping, Sequence
from functools import cached_property, partial
from typing import TypeVar

from penstock.config import Config, Limits
from penstock.engine import Snapshot, Waiting
from penstock.events import Mode, Reconfigured, Submitted
from penstock.requests import ChatRequest, ImageRequest, Options, Request
from penstock_io._access import addressed, keyed, renamed
from penstock_io._client import Base, Http
from penstock_io._http import AsyncHttp, SyncHttp, open_async_client
from penstock_io._map import AsyncPort, AsyncResults, Bell, Feed, Item, Port, Results
from penstock_io.answers import Answered, ChatResult, EmbeddingResult, ModerationResult, Plain, RawResult
from penstock_io.endpoints import Chat, Embeddings, Moderations, Raw
from penstock_io.previews import Hear, HearText, Preview, TextDelta
from penstock_io.refining import AsyncResult, Make, SyncResult
from penstock_io.resources import Images, Result
from penstock_io.streams import WAITING, AsyncStream, Loop, Stream, ended

Told = TypeVar("Told")

Requests = Iterable[Item] | AsyncIterable[Item]
_Previews = AsyncStream[Preview, AsyncResult]

Keys = Sequence[str] | Mapping[str, str]
"""API keys, or keys by label."""

Explained = tuple[tuple[Request, Waiting], ...]
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
        config = addressed(self.config if config is None else config, (*self._keys, *added))
        changed = self._setup.changed(config, added, gone, limits, self.config)
        self.config = keyed(changed, self._keys | added)
        self._keys.update(added)  # what is out on a key that is gone still needs it
        return Reconfigured(self.config, resume)


class AsyncBase(Asked[AsyncHttp]):
    """What the two asynchronous clients let a user ask, and how they begin and end.

    A driver says how a loop makes an event, lets others run, starts a task, and does something beside it.
    """

    @cached_property
    def images(self) -> Images[Coroutine[object, object, AsyncResult], Requests, AsyncResults, _Previews]:
        """Pictures. Raises `UsageError` before the client is entered."""
        self._unless_broken()
        return Images(self._run, partial(AsyncResults, self._port()), self._later, self._watched)

    @cached_property
    def chat(self) -> Chat[Coroutine[object, object, ChatResult], AsyncStream[TextDelta, ChatResult]]:
        """Conversations. Raises `UsageError` before the client is entered."""
        self._unless_broken()
        return Chat(partial(self._answered, ChatResult.of), self._spoken)

    @cached_property
    def embeddings(self) -> Embeddings[Coroutine[object, object, EmbeddingResult]]:
        """Vectors of texts. Raises `UsageError` before the client is entered."""
        self._unless_broken()
        return Embeddings(partial(self._answered, EmbeddingResult.of))

    @cached_property
    def moderations(self) -> Moderations[Coroutine[object, object, ModerationResult]]:
        """What a moderation says. Raises `UsageError` before the client is entered."""
        self._unless_broken()
        return Moderations(partial(self._answered, ModerationResult.of))

    @cached_property
    def raw(self) -> Raw[Coroutine[object, object, RawResult]]:
        """Any other POST. Raises `UsageError` before the client is entered."""
        self._unless_broken()
        return Raw(partial(self._answered, RawResult.of))

    @abstractmethod
    async def _waited(self, join: Callable[[Callable[[Told | BaseException], object]], Submitted]) -> Told:
        """Submit what `join` makes ready, and wait for what it is told. Who is cancelled gives it up."""

    async def _run(self, request: ImageRequest, options: Options) -> AsyncResult:
        return self._made((await self._waited(partial(self._join, request, options))).checked())

    async def _answer(self, request: Plain, options: Options) -> Answered:
        result: Answered = await self._waited(partial(self._join_other, request, options))
        return result.checked()

    async def _answered(self, of: Callable[[Answered], Told], request: Plain, options: Options) -> Told:
        return of(await self._answer(request, options))

    async def _later(self, make: Make, options: Options) -> AsyncResult:
        return await self._run(await self._beside(make), options)

    @abstractmethod
    def _event(self) -> Bell:
        """An event of the loop."""

    @abstractmethod
    async def _breathe(self) -> None:
        """Let others run."""

    @abstractmethod
    def _spawn(self, feed: Feed) -> Callable[[], object]:
        """Start a task; what is returned cancels it."""

    @abstractmethod
    async def _beside(self, work: Callable[[], Told]) -> Told:
        """Do what may wait for a disk, in a thread."""

    async def _set_up(self) -> None:
        """What entering a client waits for: an HTTP client, and an engine."""
        self._http = await self._beside(partial(self._ready, open_async_client))
        try:
            self._open()
        except BaseException:
            await self._hang_up()
            raise

    async def _shut_down(self) -> None:
        """What leaving it waits for once nothing is out any more."""
        try:
            await self._beside(self._shut)
        finally:
            await self._hang_up()

    async def _hang_up(self) -> None:
        if self._given is None:
            await self._http.aclose()

    def _port(self) -> AsyncPort:
        return AsyncPort(
            self._join, self._step, self._post, self.engine.appetite, self._bells,
            self._event, self._spawn, self._breathe, self._made,
        )  # fmt: skip

    def _for_streams(self) -> Loop:
        return Loop(self._step, self._post, self._event)

    def _watched(self, make: Make, options: Options) -> AsyncStream[Preview, AsyncResult]:
        async def join(hear: Hear, done: Callable[[AsyncResult | BaseException], object]) -> Submitted:
            return self._listen(await self._beside(make), options, ended(self._made, done), hear)

        return AsyncStream(join, self._for_streams(), WAITING)

    def _spoken(self, request: ChatRequest, options: Options) -> AsyncStream[TextDelta, ChatResult]:
        async def join(hear: HearText, done: Callable[[ChatResult | BaseException], object]) -> Submitted:
            return self._listen_other(request, options, ended(ChatResult.of, done), hear)

        return AsyncStream(join, self._for_streams())

    def _made(self, result: Result) -> AsyncResult:
        """A result whose pictures can be edited."""
        return AsyncResult(result.request, result.outcome, result.images, result.error, result.index, later=self._later)

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


class SyncBase(Asked[SyncHttp]):
    """What the client for threads lets a user ask, from any thread."""

    @cached_property
    def images(self) -> Images[SyncResult, Iterable[Item], Results, Stream[Preview, SyncResult]]:
        """Pictures. Raises `UsageError` before the client is entered."""
        self._unless_broken()
        port = Port(self._join, self._post, lambda: self._ask(self.engine.appetite), self._made)
        return Images(self._run, partial(Results, port), self._later, self._watched)

    @cached_property
    def chat(self) -> Chat[ChatResult, Stream[TextDelta, ChatResult]]:
        """Conversations. Raises `UsageError` before the client is entered."""
        self._unless_broken()
        return Chat(partial(self._answered, ChatResult.of), self._spoken)

    @cached_property
    def embeddings(self) -> Embeddings[EmbeddingResult]:
        """Vectors of texts. Raises `UsageError` before the client is entered."""
        self._unless_broken()
        return Embeddings(partial(self._answered, EmbeddingResult.of))

    @cached_property
    def moderations(self) -> Moderations[ModerationResult]:
        """What a moderation says. Raises `UsageError` before the client is entered."""
        self._unless_broken()
        return Moderations(partial(self._answered, ModerationResult.of))

    @cached_property
    def raw(self) -> Raw[RawResult]:
        """Any other POST. Raises `UsageError` before the client is entered."""
        self._unless_broken()
        return Raw(partial(self._answered, RawResult.of))

    @abstractmethod
    def _waited(self, join: Callable[[Callable[[Told | BaseException], object]], Submitted]) -> Told:
        """Submit what `join` makes ready, and wait for what it is told. Who is interrupted gives it up."""

    def _run(self, request: ImageRequest, options: Options) -> SyncResult:
        return self._made(self._waited(partial(self._join, request, options)).checked())

    def _answer(self, request: Plain, options: Options) -> Answered:
        result: Answered = self._waited(partial(self._join_other, request, options))
        return result.checked()

    def _answered(self, of: Callable[[Answered], Told], request: Plain, options: Options) -> Told:
        return of(self._answer(request, options))

    def _later(self, make: Make, options: Options) -> SyncResult:
        return self._run(make(), options)

    def _watched(self, make: Make, options: Options) -> Stream[Preview, SyncResult]:
        def join(hear: Hear, done: Callable[[SyncResult | BaseException], object]) -> Submitted:
            return self._listen(make(), options, ended(self._made, done), hear)

        return Stream(join, self._post, self.snapshot, WAITING)

    def _spoken(self, request: ChatRequest, options: Options) -> Stream[TextDelta, ChatResult]:
        def join(hear: HearText, done: Callable[[ChatResult | BaseException], object]) -> Submitted:
            return self._listen_other(request, options, ended(ChatResult.of, done), hear)

        return Stream(join, self._post, self.snapshot)

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
