"""Ways of random length in a world of virtual time, and what happens besides the engine's events."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from penstock.config import Config, Credential, Limits
from penstock.events import Submitted
from penstock.ids import Handle, JobId, Key
from penstock.outcomes import Status
from penstock.readings import Success
from penstock.simulation.monitor import Monitor
from penstock.simulation.server import Latency, Server, ServerSettings
from penstock.simulation.world import Delays, World
from penstock.work import Demand, Target, Work

if TYPE_CHECKING:
    from penstock.commands import Send
    from penstock.events import Event
    from penstock.outcomes import Outcome
    from penstock.simulation.server import Admission

WAY = (0.1, 0.3)
FREE = Config((Credential("a", limits=Limits(concurrency=None)),), window=1000)


class Watched(World):
    """A world that keeps when requests were sent and when they arrived."""

    def __init__(self, config: Config, settings: ServerSettings, delays: Delays) -> None:
        super().__init__(
            config,
            Server(settings, rng=Random(1)),
            rng=Random(2),
            delays=delays,
            ways=Random(3),
            wrap=lambda engine: Monitor(engine, config=config),
        )
        self.sent: dict[str, float] = {}
        self.arrived: dict[str, float] = {}
        self.back: dict[JobId, float] = {}
        self.on_finish = self._back

    def _back(self, job: JobId, outcome: Outcome) -> None:
        assert self.outcomes[job] is outcome
        self.back[job] = self.now

    def _send(self, send: Send) -> None:
        self.sent[str(send.handle)] = self.now
        super()._send(send)

    def admit(self, send: Send, demand: Demand, identity: str, cost: int) -> Admission:
        """Keep when it arrived, and ask."""
        self.arrived[str(send.handle)] = self.now
        return super().admit(send, demand, identity, cost)


def work(number: int) -> Work:
    """A request of one picture."""
    return Work((Target("default", "m", (Key(f"k{number}"),), Demand(1, 1, 100), 1000, 900),), Handle(number))


def test_ways_are_drawn_for_each_exchange() -> None:
    """A request arrives within its range after it was sent, overtakes others, and its reply takes its own way back."""
    world = Watched(FREE, ServerSettings(latency=Latency(1.0, 0.0)), Delays(up=WAY, down=WAY))
    world.run(work(number) for number in range(100))
    ways = [world.arrived[name] - world.sent[name] for name in world.sent]
    backs = [world.back[JobId(number + 1)] - world.arrived[str(number)] - 1.0 for number in range(100)]
    for drawn in (ways, backs):
        assert 0.1 <= min(drawn) < 0.12
        assert 0.28 < max(drawn) <= 0.3 + 1e-9
    assert list(world.arrived) != sorted(world.arrived, key=int)
    assert list(world.back) != sorted(world.back)


def test_a_way_of_one_length() -> None:
    """A request is admitted when it arrives, not when it is sent."""
    world = Watched(FREE, ServerSettings(latency=Latency(1.0, 0.0)), Delays(up=0.5, down=0.25))
    world.run([work(0)])
    assert (0.0, 0.5, 1.75) == (world.sent["0"], world.arrived["0"], world.back[JobId(1)])


def test_ranges_need_dice() -> None:
    """Without a Random to draw from, a range is an error that says what to do."""
    with pytest.raises(ValueError, match=r"\(0.1, 0.3\) .* hand a Random in as `ways`"):
        World(FREE, Server(rng=Random(1)), rng=Random(2), delays=Delays(up=WAY))


def test_the_same_dice_the_same_world() -> None:
    """Ways are drawn from `ways` alone: the engine's own draws stay what they were."""
    runs = []
    for _ in range(2):
        world = Watched(FREE, ServerSettings(faults=(("500", 0.2),)), Delays(up=WAY, down=WAY))
        world.run(work(number) for number in range(50))
        runs.append((world.arrived, world.back))
    assert runs[0] == runs[1]


def test_who_leaves_while_the_request_is_on_its_way() -> None:
    """It still arrives and is billed; nobody is told of its reply."""
    world = Watched(FREE, ServerSettings(latency=Latency(1.0, 0.0)), Delays(up=0.5, down=0.5))
    job = world.submit(work(0))
    world.later(0.2, lambda: world.cancel(job, abort=True))
    while world.step():
        pass
    assert (Status.CANCELLED, 0.2) == (world.outcomes[job].status, world.back[job])
    assert (0.5, 1) == (world.arrived["0"], world.server.books.executed)
    assert world.engine.snapshot().at_rest


def test_something_else_happens() -> None:
    """What is given to `later` and is no event is called at its time: a key is lost, and then a job comes."""
    world = Watched(FREE, ServerSettings(latency=Latency(2.0, 0.0)), Delays())
    first = world.submit(work(0))
    world.later(1.0, lambda: world.tell(Submitted(JobId(7), work(1))))
    world.later(0.5, lambda: world.server.revoke("a", world.now))
    world.works[Handle(1)] = work(1)
    world.run()
    assert (Status.COMPLETED, Status.FAILED) == (world.outcomes[first].status, world.outcomes[JobId(7)].status)
    assert {"0": 0.0, "1": 1.0} == world.arrived


def test_a_reply_says_how_many_tokens_it_used() -> None:
    """What a request took from a token limit is what its reply says: nothing comes back of an exact demand."""

    class Heard(Watched):
        tokens: list[int]

        def reported(self, send: Send, admission: Admission, cost: int) -> Event:
            event = super().reported(send, admission, cost)
            reading = getattr(event, "reading", None)
            assert isinstance(reading, Success)
            assert reading.usage is not None
            self.tokens.append(reading.usage.output_image)
            return event

    world = Heard(FREE, ServerSettings(), Delays())
    world.tokens = []
    world.run([work(0)])
    assert [100] == world.tokens
