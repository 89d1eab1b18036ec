"""How a request shall be done: `Options`. Nothing here changes what the result is."""

from __future__ import annotations

from enum import Enum
from typing import cast

from attrs import frozen

from penstock.errors import InvalidRequest
from penstock.requests._checks import NAME, seconds, text, whole
from penstock.work import CachePolicy, OnAmbiguous, Priority, Screen, Timeouts


class Unsaid(Enum):
    """What is done with what a provider's dialect has no words for.

    It is dropped, which is said in a warning; the request is refused; or it is said in another way where there is one
    (a negative prompt within the prompt), with a warning, too, and dropped where there is none.
    """

    DROP = "drop"
    REFUSE = "refuse"
    EMULATE = "emulate"


@frozen(kw_only=True)
class Options:
    """How a request shall be done; nothing here changes what the picture is, but for `unsaid`.

    `deadline` is absolute monotonic seconds, `ttl` seconds, `sample` the number of the first sample that is wanted
    (another number, another picture of the same request). `fallbacks` are (provider, model) pairs, tried in order.
    `timeouts` of None are the model's own. Raises InvalidRequest.
    """

    tenant: str = ""
    tags: tuple[str, ...] = ()
    priority: Priority = Priority.NORMAL
    deadline: float | None = None
    timeouts: Timeouts | None = None
    on_ambiguous: OnAmbiguous | None = None
    cache: CachePolicy = CachePolicy.USE
    sample: int = 0
    fallbacks: tuple[tuple[str, str], ...] = ()
    screens: tuple[Screen, ...] = ()
    defer: bool = False
    near: bool = False
    ttl: float | None = None
    unsaid: Unsaid = Unsaid.DROP

    def __attrs_post_init__(self) -> None:
        if self.tenant:
            text(self.tenant, "tenant")
        for tag in self.tags:
            text(tag, "tags")
        if not isinstance(cast("object", self.on_ambiguous), OnAmbiguous | None):
            raise InvalidRequest("on_ambiguous is such as OnAmbiguous.RETRY", field="on_ambiguous")
        if not isinstance(cast("object", self.cache), CachePolicy):
            raise InvalidRequest("cache is such as CachePolicy.OFF", field="cache")
        if not isinstance(cast("object", self.priority), Priority):
            raise InvalidRequest("priority is such as Priority.BATCH", field="priority")
        if not isinstance(cast("object", self.unsaid), Unsaid):
            raise InvalidRequest("unsaid is such as Unsaid.REFUSE", field="unsaid")
        whole(self.sample, "sample", 0, 2**31)
        for provider, model in self.fallbacks:
            text(provider, "fallbacks")
            if not NAME.fullmatch(model):
                raise InvalidRequest("a fallback's model must be a name", field="fallbacks")
        seconds(self.deadline, "deadline", low=float("-inf"))
        seconds(self.ttl, "ttl", low=0.0)
        if self.timeouts is not None:
            seconds(self.timeouts.connect, "timeouts", low=0.0)
            seconds(self.timeouts.total, "timeouts", low=0.0)
