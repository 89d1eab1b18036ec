"""Results whose pictures can be made others, step by step: `result.edit("make the sky red")`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial

from attrs import evolve, field, frozen

from penstock.errors import UsageError
from penstock.requests import ImageRequest, Options
from penstock_io.inputs import ImageSource, read_image
from penstock_io.resources import DEFAULT, Result

Make = Callable[[], ImageRequest]
"""Makes a request; may wait for the disk."""


@frozen
class SyncResult(Result):
    """A `Result` of the client for threads."""

    _later: Callable[[Make, Options], SyncResult] = field(alias="later", kw_only=True, repr=False, eq=False)

    def edit(
        self, prompt: str, *, picture: int = 0, mask: ImageSource | None = None, n: int = 1, options: Options = DEFAULT
    ) -> SyncResult:
        """Make another picture of one of its pictures, as the prompt says; all else is asked for as before.

        `picture` is which one, `mask` shows by transparency what of it is to change. Raises as `Images.edit` does, and
        `UsageError` where there is no such picture.
        """
        return self._later(partial(refined, self, prompt, picture, mask, n), options)


@frozen
class AsyncResult(Result):
    """A `Result` of the asynchronous clients."""

    _later: Callable[[Make, Options], Coroutine[object, object, AsyncResult]] = field(
        alias="later", kw_only=True, repr=False, eq=False
    )

    async def edit(
        self, prompt: str, *, picture: int = 0, mask: ImageSource | None = None, n: int = 1, options: Options = DEFAULT
    ) -> AsyncResult:
        """Make another picture of one of its pictures, as the prompt says; all else is asked for as before.

        `picture` is which one, `mask` shows by transparency what of it is to change. Raises as `Images.edit` does, and
        `UsageError` where there is no such picture.
        """
        return await self._later(partial(refined, self, prompt, picture, mask, n), options)


def refined(result: Result, prompt: str, picture: int, mask: ImageSource | None, n: int) -> ImageRequest:
    """The request that makes another picture of one of a result. Raises `UsageError`, `InvalidRequest`."""
    if not 0 <= picture < len(result.images):
        raise UsageError(f"there is no picture {picture} to edit: the result has {len(result.images)}, from 0 on")
    images = (read_image(result.images[picture]),)
    cut = None if mask is None else read_image(mask, "mask")
    return evolve(result.request, prompt=prompt, images=images, mask=cut, n=n)
