"""What takes no images is not held up by a limit of images, also where one model of one key does both."""

from __future__ import annotations

from functools import partial
from random import Random

import pytest

from penstock.commands import LaneClosed
from penstock.config import Ambiguity, Config, Credential, Limits
from penstock.ids import Handle, JobId, Key
from penstock.outcomes import Outcome
from penstock.simulation.server import Latency, Server, ServerLimits, ServerSettings
from penstock.simulation.world import Delays, World
from penstock.work import Demand, OnAmbiguous, Target, Work

EVERY = 0.5
"""Seconds between two conversations."""


def work(number: int, *, picture: bool) -> Work:
    """A picture, or a conversation with the same model."""
    demand = Demand(1, int(picture), 100)
    operation = "images.generate" if picture else "chat.completions"
    target = Target("default", "m", (Key(f"{number}"),), demand, 1000, 1000, operation=operation)
    return Work((target,), Handle(number))


def world(limits: Limits, *, headers: bool) -> World:
    """One key with a limit of 30 images a minute, of which refusals say which it is."""
    settings = ServerSettings(
        limits=ServerLimits(ipm=30.0, rpm=6000.0, burst=1 / 15),
        latency=Latency(0.05, 0.0),
        headers=headers,
    )
    config = Config((Credential("key", limits=limits),), ambiguity=Ambiguity(OnAmbiguous.RETRY), patience=None)
    server = Server(settings, rng=Random("server"))
    return World(config, server, rng=Random("engine"), delays=Delays(up=0.01, down=0.01))


def waits(limits: Limits, *, headers: bool) -> tuple[float, World]:
    """How long a conversation took at most, while many pictures wait for their limit."""
    made = world(limits, headers=headers)
    asked: dict[JobId, float] = {}
    took: list[float] = []

    def ask(number: int) -> None:
        asked[made.submit(work(number, picture=False))] = made.now

    def ended(job: JobId, _: Outcome) -> None:
        if job in asked:
            took.append(made.now - asked[job])

    made.on_finish = ended
    for number in range(20):
        made.submit(work(number, picture=True))
    for number in range(60):
        made.later(0.3 + EVERY * number, partial(ask, 1000 + number))
    made.run()
    return max(took), made


@pytest.mark.parametrize("headers", [False, True])
@pytest.mark.parametrize("limits", [Limits(), Limits(ipm=30.0, burst=1 / 15)])
def test_a_limit_of_images_holds_up_no_conversation(limits: Limits, *, headers: bool) -> None:
    """Told by headers or named by refusals, configured or not: pictures wait for it, conversations with none."""
    longest, made = waits(limits, headers=headers)
    assert longest < 0.08
    assert made.now < 20 * 2.0 + 1.0
    assert made.bare.snapshot().counters.get("rate_refusals", 0) <= 6


def test_both_lanes_of_a_key_draw_on_one_quota() -> None:
    """And figures tell the two from each other."""
    _, made = waits(Limits(rpm=600.0), headers=False)
    conversations, pictures = sorted(made.bare.snapshot().lanes, key=lambda lane: lane.draws_images)
    assert [("key", "m"), ("key", "m")] == [(one.credential, one.model) for one in (conversations, pictures)]
    assert (False, True) == (conversations.draws_images, pictures.draws_images)
    assert conversations.quota == pictures.quota
    assert made.bare.snapshot().at_rest


def test_a_rejected_key_is_closed_for_both_and_told_once() -> None:
    """It is one key and one model, whatever is asked of them."""
    made = world(Limits(), headers=False)
    made.submit(work(1, picture=True))
    made.submit(work(2, picture=False))
    made.run_until(1.0)
    made.server.revoke("key", made.now)
    made.submit(work(3, picture=True))
    made.submit(work(4, picture=False))
    made.run()
    assert ["credential", "credential"] == [lane.closed for lane in made.bare.snapshot().lanes]
    assert 1 == len([notice for notice in made.notices if isinstance(notice, LaneClosed)])
