"""Runs at the same time share a day while they run, and what a killed one used is not lost."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event as Flag
from threading import Lock
from time import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.admission.headers import DAY, RateReport, Told
from penstock.admission.quota import Quota
from penstock.config import Limits
from penstock.errors import UsageError
from penstock.events import Drawn, Event
from penstock.lessons import Lesson, Lessons, Use
from penstock.three import Three
from penstock_io import _keeping, lessons
from penstock_io._alone import alone_in
from penstock_io._keeping import Keeper
from penstock_io.lessons import Kept, load, write
from penstock_io.simserver import serving
from penstock_io.sync import Client
from tests.test_lessons_days import BEGAN, KEY, ONE, URL, Run, lacks, used

RATE = 100 * 60 / DAY
LONG = 120.0
"""Seconds for which something that must come is waited for."""

STEPS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4), st.booleans()), min_size=1, max_size=25)


def three(path: Path, limits: Limits) -> list[Run]:
    """Three runs at the same time, each of which has sent one request and said so."""
    runs = [Run(path, limits, BEGAN) for _ in range(3)]
    for run in runs:
        run.ask(1)
        run.share()
    return runs


@settings(max_examples=60)
@given(STEPS)
def test_runs_at_the_same_time_know_of_each_other(steps: list[tuple[int, int, bool]]) -> None:
    """Whoever writes when: afterwards the file and each run have what all sent together; also of one that was killed.

    Nothing comes back meanwhile: no time passes.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder, "limits.json")
        runs, told = three(path, Limits(ipd=40, ceiling=True)), [1, 1, 1]
        for which, jobs, writes in steps:
            run = runs[which]
            run.ask(jobs)
            if writes:
                run.share()
                told[which] = run.sent
                assert sum(told) == used(path, BEGAN) == lacks(run)
        runs[2] = Run(path, Limits(ipd=40, ceiling=True), BEGAN)  # it was killed: what it had not told is lost
        for run in (*runs[:2], *runs[:2]):
            run.share()
        gone = runs[0].sent + runs[1].sent + told[2]
        assert [gone, gone, gone] == [used(path, BEGAN), lacks(runs[0]), lacks(runs[1])]
        sent = runs[0].sent
        runs[0].ask(40)
        assert max(0, 40 - gone) == runs[0].sent - sent


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), st.floats(0.0, 20_000.0)), max_size=20))
def test_more_than_a_day_is_never_used_for_long(steps: list[tuple[int, int, float]]) -> None:
    """Each may send what the others have not told yet: over all time no more than that, and what refilled, goes."""
    limit = 12
    with TemporaryDirectory() as folder:
        path, spent = Path(folder, "limits.json"), 3.0
        runs = three(path, Limits(ipd=limit, ceiling=True))
        for which, jobs, pause in steps:
            for run in (*runs, *runs):
                run.share()
            before = [run.sent for run in runs]
            runs[which].ask(jobs)
            for run in runs:
                run.wait(pause)
            each = [run.sent - was for run, was in zip(runs, before, strict=True)]
            room = limit - spent + limit * pause / DAY
            assert max(each, default=0) <= max(0.0, room) + 1e-6
            spent = max(0.0, spent + sum(each) - limit * pause / DAY)
        for run in (*runs, *runs):
            run.share()
        assert spent - 2.0 <= used(path, BEGAN + sum(pause for _, _, pause in steps)) <= 3 * limit


def test_what_a_run_could_not_write_for_long_is_no_more_than_it_lacks(tmp_path: Path) -> None:
    """Days went by while the disk was full: what it took then has long refilled."""
    path = tmp_path / "limits.json"
    run = Run(path, Limits(ipd=4, ceiling=True), BEGAN)
    run.ask(12)
    run.wait(2.1 * DAY)
    assert 12 == run.sent
    run.wait(DAY / 2)
    assert 2 == used(path, run.end())


def test_the_younger_lesson_stands(tmp_path: Path) -> None:
    """A run that was taught nothing of a limit leaves what another was, and neither overwrites what is newer."""
    path = tmp_path / "limits.json"
    lessons = Lessons((Lesson("requests", 500.0, 500.0), Lesson("images", 7.0, 5.0, DAY, age=50.0)), 7)
    write(path, [Kept(KEY, URL, "m", lessons)], BEGAN)
    run = Run(path, Limits(ipd=4), BEGAN)
    run.ask(1)
    write(path, [Kept(KEY, URL, "m", Lessons((Lesson("images", 9.0, 5.0, DAY),)))], BEGAN)
    run.share()
    (kept,) = load(path, BEGAN)
    assert {"requests": 500, "images": 9} == {one.quantity: round(one.per_minute) for one in kept.lessons.buckets}
    assert 7 == kept.lessons.concurrency


def test_what_a_provider_tells_has_the_others_in_it() -> None:
    """A bucket that headers tell of is left as they say; one that is only believed loses what others took."""
    prior = Lessons((Lesson("images", RATE, 100.0, DAY, "told", 60.0),))
    quota = Quota(Limits(concurrency=None), 0.0, prior, eager=True)
    quota.drawn(Use("images", DAY, 30.0, RATE), 0.0)
    level = quota.figures(0.0).walls[0].gauge.level
    quota.drawn(Use("images", DAY, 30.0, RATE), 0.0)
    assert pytest.approx(level - 30.0) == quota.figures(0.0).walls[0].gauge.level
    sent = max(0.0, quota.ready_at(ONE, 0.0))
    permit = quota.reserve(ONE, sent)
    quota.heard(permit, RateReport(others=((2, DAY, Told(100.0, 60.0, 40 * DAY / 100)),)), sent)
    quota.settle(permit, Three.YES, sent)
    told = quota.figures(sent)
    quota.drawn(Use("images", DAY, 30.0, RATE), sent)
    quota.drawn(Use("images", 3_600.0, 30.0, RATE), sent)
    assert told == quota.figures(sent)


def test_a_quantity_that_there_is_not() -> None:
    """It is said which there are, and nothing has changed."""
    run = Run(Path("nowhere"), Limits(ipd=5), BEGAN)
    run.ask(1)
    with pytest.raises(UsageError, match="requests, tokens, images, not ink"):
        run.engine.handle(Drawn(((KEY, "m", Use("ink", DAY, 1.0, 1.0)),)), 0.0)
    assert 1 == lacks(run)


# The keeper


class Owner:
    """Whoever owns a keeper: an engine, and what was posted."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.run = Run(path, limits, BEGAN)
        self.keeper = Keeper(path, URL)
        self.posted: list[Event] = []
        self.came = Flag()

    def look(self, now: float) -> float | None:
        """What its step ends with; a thread that was begun has ended then."""
        running = len(self.posted)
        back = self.keeper.look(self.run.engine, now, self._post)
        if self.keeper._busy or len(self.posted) > running:
            assert self.came.wait(LONG)
            self.came.clear()
        return back

    def _post(self, event: Event) -> None:
        self.posted.append(event)
        self.came.set()


def test_it_writes_when_something_was_sent_and_not_too_often(tmp_path: Path) -> None:
    """The first request at once, then every so often; without one, never. Without a day's limit, seldom.

    Then it is looked at as often whether there is one by now, while requests are sent.
    """
    for limits, pause in ((Limits(ipd=50), _keeping.EVERY), (Limits(ipm=5), _keeping.SELDOM)):
        one = Owner(tmp_path / f"{pause}.json", limits)
        assert [None, []] == [one.look(0.0), one.posted]
        one.run.ask(1)
        one.keeper.sent(10.0)
        one.look(10.0)
        assert 1 == len(one.posted)
        one.keeper.sent(10.0)
        assert 10.5 == one.look(10.0) == one.look(10.2)
        assert 1 == len(one.posted)
        one.look(10.5)
        assert (2 if limits.ipd else 1) == len(one.posted)
        if limits.ipm:
            assert 10.0 + pause == one.look(11.0)
        one.look(10.0 + pause)
        assert 2 == len(one.posted)
        assert None is one.look(1_000.0)
        one.keeper.sent(1_000.0)
        one.look(1_000.0)
        assert 3 == len(one.posted)


def test_a_day_that_is_first_told_midway_is_shared_at_once(tmp_path: Path) -> None:
    """A run that knew of no limit a day says what it uses as soon as a reply tells of one, and not a minute later."""
    one = Owner(tmp_path / "limits.json", Limits(ipm=600))
    one.run.ask(1)
    one.keeper.sent(0.0)
    one.look(0.0)
    assert 0 == used(tmp_path / "limits.json", BEGAN)
    one.run.headers = (("x-ratelimit-limit-images-day", "50"), ("x-ratelimit-remaining-images-day", "49"))
    one.run.wait(1.0)
    one.run.ask(1)
    one.keeper.sent(1.0)
    one.look(1.0)
    assert 2 == len(one.posted)
    assert 1 == used(tmp_path / "limits.json", BEGAN)


@pytest.mark.skipif(sys.platform == "win32", reason="a folder has no lock there")
def test_nobody_writes_over_another_who_is_slow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another is in the folder nothing is written; what was taken meanwhile is added the next time, once."""
    path = tmp_path / "limits.json"
    monkeypatch.setattr(lessons, "WAIT", 0.0)
    one, two = (Run(path, Limits(ipd=50), BEGAN) for _ in range(2))
    one.ask(3)
    one.share()
    two.ask(4)
    before = path.read_bytes()
    with alone_in(tmp_path, LONG):
        two.share()
    assert before == path.read_bytes()
    two.share()
    assert 7 == used(path, BEGAN)
    two.ask(1)
    two.share()
    assert 8 == used(path, BEGAN)


def test_it_writes_one_at_a_time(tmp_path: Path) -> None:
    """While the disk is slow nothing else is begun, and nobody is to come back for it."""
    one = Owner(tmp_path / "limits.json", Limits(ipd=50))
    one.run.ask(1)
    lock, posted = Lock(), list[Event]()

    def slow(event: Event) -> None:
        with lock:
            posted.append(event)

    with lock:
        one.keeper.sent(0.0)
        one.keeper.look(one.run.engine, 0.0, slow)
        one.keeper._busy = True  # as it is until the disk has answered
        one.keeper.sent(9.0)
        assert None is one.keeper.look(one.run.engine, 9.0, slow)
    one.keeper._busy = False
    one.keeper.ended(one.run.snapshot())
    assert 1 == len(posted)
    assert 1 == used(tmp_path / "limits.json", BEGAN)


def test_what_was_written_meanwhile_is_not_added_again(tmp_path: Path) -> None:
    """At the end only what came since."""
    path = tmp_path / "limits.json"
    one = Owner(path, Limits(ipd=50))
    one.run.ask(3)
    one.keeper.sent(0.0)
    one.look(0.0)
    assert 3 == used(path, BEGAN)
    one.run.ask(2)
    one.keeper.ended(one.run.snapshot())
    assert 5 == used(path, BEGAN)


def test_nothing_is_kept_nowhere() -> None:
    """Without a file there is nothing to come back for."""
    run, keeper = Run(Path("nowhere"), Limits(ipd=5), BEGAN), Keeper(None, URL)
    run.ask(1)
    keeper.sent(0.0)
    assert run.engine.next_deadline() == keeper.look(run.engine, 0.0, lambda _: None)
    keeper.ended(run.snapshot())


# Real clients, real processes

BUYER = """
import sys
from pathlib import Path
from penstock.config import Limits
from penstock_io.sync import Client

address, path, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
with Client(address, ["one-key"], limits=Limits(ipd=9, ceiling=True), lessons=path) as client:
    for n in range(count):
        client.images.generate(prompt=f"a kettle, the {n}. of {count}", model="gpt-image-2")
    print("bought", flush=True)
    sys.stdin.readline()
"""


def until(told: Callable[[], int], figure: int) -> None:
    """Wait until it says so; it must come."""
    pause = Flag()
    for _ in range(int(LONG / 0.02)):
        if told() == figure:
            return
        pause.wait(0.02)
    assert figure == told()


def kept(path: Path) -> int:
    """How many pictures of a day are gone, as the file says now."""
    return used(path, time())


@pytest.mark.skipif(sys.platform == "win32", reason="kills as Unix does")
def test_what_processes_use_is_seen_while_they_run_and_after_a_kill(tmp_path: Path) -> None:
    """Two processes buy at a time: each one's pictures are in the file while it runs, and count after both are killed.

    A third one has what they left.
    """
    path = tmp_path / "limits.json"
    with serving() as server:
        commands = [[sys.executable, "-c", BUYER, server.base_url, str(path), count] for count in ("3", "4")]
        buyers = [subprocess.Popen(one, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for one in commands]
        try:
            for buyer in buyers:
                assert buyer.stdout is not None
                assert "bought\n" == buyer.stdout.readline()
            until(lambda: kept(path), 7)
        finally:
            for buyer in buyers:
                buyer.kill()
                buyer.communicate()
        with Client(server.base_url, ["one-key"], limits=Limits(ipd=9, ceiling=True), lessons=path) as client:
            client.images.generate(prompt="a kettle", model="gpt-image-2")
            (lane,) = client.snapshot().lanes
            assert 1 == round(lane.quota.walls[0].gauge.level)
        assert 8 == kept(path)


def test_clients_at_the_same_time_know_of_each_other(tmp_path: Path) -> None:
    """Each believes that what both bought is gone, once it has bought again."""
    path, limits = tmp_path / "limits.json", Limits(ipd=30, ceiling=True)

    def lacking(client: Client) -> int:
        return round(client.snapshot().lanes[0].lessons.used[0].amount)

    with (
        serving() as server,
        Client(server.base_url, ["one-key"], limits=limits, lessons=path) as one,
        Client(server.base_url, ["one-key"], limits=limits, lessons=path) as two,
    ):
        for number in range(3):
            one.images.generate(prompt=f"a kettle, the {number}.", model="gpt-image-2")
        until(lambda: kept(path), 3)
        two.images.generate(prompt="a red kettle", model="gpt-image-2")
        until(lambda: lacking(two), 4)
        one.images.generate(prompt="a blue kettle", model="gpt-image-2")
        until(lambda: lacking(one), 5)
        assert 5 == kept(path)
