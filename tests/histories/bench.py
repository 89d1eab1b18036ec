"""A bench for directed scenarios: an engine under a close monitor, driven by hand, its orders laid out to be taken."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, TypeVar

from attrs import evolve

from penstock.config import Config, Credential, Limits
from penstock.engine import Engine
from penstock.events import CacheRead, Consulted, Failed, Hit, Miss, Recorded, Responded, Submitted, Ticked
from penstock.ids import Handle, JobId, Key, Ref
from penstock.outcomes import Meta
from penstock.readings import Fault, Kind, LimitHint, Part, Problem, Reached, Success, Usage, Vector, Verdict
from penstock.simulation.monitor import Monitor
from penstock.work import Demand, Target, Work

if TYPE_CHECKING:
    from penstock.commands import Command, Consult, Finish, ReadCache, Record, Send
    from penstock.events import Event
    from penstock.money.balances import Balance

C = TypeVar("C", bound="Command")
QUOTE = 100
ONE = Credential("c1", "p", Limits(concurrency=1))
META = Meta("1024x1024", "png", 9, 40)


CONFIG = Config(credentials=(ONE,))
"""One key with room for one exchange at a time; no store, no journal, no budget."""


def target(*keys: str, model: str = "m") -> Target:
    """A picture a key, for at most 100 picodollars each."""
    return Target("p", model, tuple([Key(key) for key in keys]), Demand(1, 1, 10), QUOTE)


def work(*keys: str) -> Work:
    """A job for these pictures."""
    return Work((target(*keys),))


class Bench:
    """Drives by hand. `tell` says what one fact orders; `take` takes the first order of a kind that was not taken."""

    def __init__(self, config: Config = CONFIG) -> None:
        self.config = config
        self.bare = Engine(self.config, rng=Random(7), epoch=1_790_000_000.0)
        self.engine = Monitor(self.bare, config=self.config, closely=True)
        self.now = 0.0
        self.jobs = 0
        self.log: list[Command] = []
        self._refs = 0

    def tell(self, event: Event) -> list[Command]:
        """One fact."""
        commands = self.engine.handle(event, self.now)
        self.log += commands
        return commands

    def at(self, now: float) -> list[Command]:
        """Time passes."""
        self.now = now
        return self.tell(Ticked())

    def submit(self, one: Work) -> JobId:
        """One more job; its handle is its number."""
        self.jobs += 1
        job = JobId(self.jobs)
        self.tell(Submitted(job, evolve(one, handle=Handle(self.jobs))))
        return job

    def ask(self, *keys: str) -> JobId:
        """A job for these pictures."""
        return self.submit(work(*keys))

    def take(self, kind: type[C]) -> C:
        """The first order of this kind that was not taken yet."""
        for place, command in enumerate(self.log):
            if isinstance(command, kind):
                del self.log[place]
                return command
        raise AssertionError(f"no {kind.__name__} in {self.log!r}")

    def none(self, kind: type[C]) -> bool:
        """Whether there is no such order (left)."""
        return not any(isinstance(command, kind) for command in self.log)

    def ref(self, prefix: str = "b") -> Ref:
        """A fresh reference."""
        self._refs += 1
        return Ref(f"{prefix}:{self._refs}")

    # Answers

    def pays(self, send: Send, cost: int = 60, *, places: tuple[int, ...] = (), url: bool = False) -> list[Command]:
        """The provider delivers (what was asked for, or these places), for `cost` in all."""
        where = places or tuple(range(send.samples))
        parts = tuple(Part(place, self.ref("u" if url else "b"), "1024x1024", "png", 9, url) for place in where)
        return self.tell(Responded(send.attempt, 200, (), Success(Usage(cost=cost), parts)))

    def says(self, send: Send, answer: Verdict | Vector, cost: int = 0) -> list[Command]:
        """A screen's or embedder's answer by the provider."""
        return self.tell(Responded(send.attempt, 200, (), Success(Usage(cost=cost), (), answer)))

    def refuses(
        self, send: Send, status: int, code: str | None = None, limit: LimitHint | None = None
    ) -> list[Command]:
        """The provider's own error reply."""
        return self.tell(Responded(send.attempt, status, (), Problem(code, None, "no", None, limit)))

    def breaks(self, send: Send, kind: Kind = Kind.BROKEN, reached: Reached = Reached.SENT) -> list[Command]:
        """No reply."""
        return self.tell(Failed(send.attempt, kind, reached))

    def records(self, record: Record, fault: str | None = None, files: tuple[Ref, ...] = ()) -> list[Command]:
        """The journal answers."""
        return self.tell(Recorded(record.record, files, fault))

    def misses(self, read: ReadCache, *, claimed: bool = False, fault: str | None = None) -> list[Command]:
        """The store has nothing."""
        return self.tell(CacheRead(read.read, (Miss(claimed, fault),) * len(read.keys)))

    def hits(self, read: ReadCache, meta: Meta = META, score: float | None = None) -> list[Command]:
        """The store has everything."""
        found = tuple(Hit(meta, self.ref("h")) for _ in read.keys)
        return self.tell(CacheRead(read.read, found, score))

    def answers(self, question: Consult, answer: Verdict | Vector | Fault) -> list[Command]:
        """A hook answers."""
        return self.tell(Consulted(question.question, answer))

    # Figures

    def book(self, scope: str = "run") -> Balance:
        """The balance of a scope."""
        return self.engine.snapshot().money.of(scope)

    def rests(self) -> bool:
        """Whether nothing is held any more."""
        return self.engine.snapshot().at_rest

    def outcome(self, finish: Finish) -> tuple[int, str]:
        """Who ended, and how."""
        return finish.job, finish.outcome.status.value
