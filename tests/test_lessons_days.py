"""A limit of a day is one bucket over all runs: what is used stays used, whatever a run was told, and whoever ran."""

from __future__ import annotations

import json
import multiprocessing
from math import inf
from multiprocessing.synchronize import Barrier
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.admission.headers import DAY, RateReport, Told, read
from penstock.admission.quota import Quota
from penstock.commands import Send
from penstock.config import Config, Credential, Limits
from penstock.engine import Engine, Snapshot
from penstock.events import Drawn, Event, Responded, Submitted, Ticked
from penstock.ids import Handle, JobId, Ref
from penstock.lessons import Lesson, Lessons, Use
from penstock.readings import Part, Success, Usage
from penstock.three import Three
from penstock.work import Demand
from penstock_io import lessons
from penstock_io.lessons import KEPT, Counted, Kept, keep, load, recall, write
from tests.histories.bench import work

URL = "https://one.example/v1"
KEY = "0123456789ab"
ONE = Demand(1, 1, 100)
BEGAN = 1_790_000_000.0


class Run:
    """A run of a program: an engine at an address, its own clock from 0 at `unix`, and how much it has sent."""

    def __init__(self, path: Path, limits: Limits, unix: float, key: str = KEY) -> None:
        config = Config((Credential(key, "p", limits),), patience=None, unproven=None)
        self.path, self.unix = path, unix
        self.engine = Engine(recall(path, config, URL, unix), rng=Random(1), epoch=unix)
        self.sent = 0
        self.headers: tuple[tuple[str, str], ...] = ()
        self._counted: Counted = {}
        self._jobs = 0
        self._now = 0.0

    def ask(self, jobs: int) -> None:
        """So many jobs more, each of one picture."""
        for _ in range(jobs):
            self._jobs += 1
            self.tell(Submitted(JobId(self._jobs), evolve(work(f"k{self._jobs}"), handle=Handle(self._jobs))))

    def wait(self, seconds: float) -> None:
        """Time passes; whatever may go goes."""
        until = self._now + seconds
        while (deadline := self.engine.next_deadline()) is not None and deadline <= until:
            self._now = max(self._now, deadline)
            self.tell(Ticked())
        self._now = until

    def end(self) -> float:
        """It keeps what it was taught; the Unix time then."""
        self.tell(Ticked())  # figures are as of the last event
        keep(self.path, self.snapshot(), URL, self.unix + self._now, self._counted)
        return self.unix + self._now

    def share(self) -> None:
        """It writes while it runs, and hears what others used."""
        self.tell(Ticked())
        self.tell(Drawn(keep(self.path, self.snapshot(), URL, self.unix + self._now, self._counted)))

    def snapshot(self) -> Snapshot:
        """The figures."""
        return self.engine.snapshot()

    def tell(self, event: Event) -> None:
        """Something happens; whatever is sent is answered at once."""
        for command in self.engine.handle(event, self._now):
            if isinstance(command, Send):
                self.sent += 1
                reading = Success(Usage(cost=1), (Part(0, Ref(f"b{command.attempt}"), "1x1", "png", 9),))
                self.tell(Responded(command.attempt, 200, self.headers, reading))


RUNS = st.lists(
    st.tuples(st.integers(0, 12), st.sampled_from([1.0, 600.0, 20_000.0, 90_000.0])), min_size=2, max_size=5
)


@settings(max_examples=40)
@given(st.integers(1, 12), RUNS, st.sampled_from([0.0, 3_600.0, 40_000.0]))
def test_runs_share_a_day(limit: int, runs: list[tuple[int, float]], pause: float) -> None:
    """However a day is cut into runs: never more has gone than the bucket holds and has refilled since the first."""
    limits = Limits(ipd=limit, ceiling=True)
    with TemporaryDirectory() as folder:
        unix, sent = BEGAN, 0
        for jobs, seconds in runs:
            run = Run(Path(folder, "limits.json"), limits, unix)
            run.ask(jobs)
            run.wait(seconds)
            sent += run.sent
            unix = run.end()
            assert sent <= limit + limit * (unix - BEGAN) / DAY + 1e-6
            unix += pause


def test_a_run_that_follows_has_what_was_left(tmp_path: Path) -> None:
    """Neither less nor more: three of five are gone, two go, and the next one when a fifth of a day has passed."""
    path = tmp_path / "limits.json"
    first = Run(path, Limits(ipd=5), BEGAN)
    first.ask(3)
    unix = first.end()
    second = Run(path, Limits(ipd=5), unix)
    second.ask(5)
    assert 2 == second.sent
    second.wait(DAY / 5 - 10.0)
    assert 2 == second.sent
    second.wait(20.0)
    assert 3 == second.sent
    assert 5 == used(path, second.end())
    assert 0 == used(path, unix + 3 * DAY)


def used(path: Path, unix: float) -> int:
    """How many pictures of a day are gone, as the file says."""
    return sum(round(use.later(use.age)) for kept in load(path, unix) for use in kept.lessons.used)


def lacks(run: Run) -> int:
    """How many pictures of a day are gone, as this run believes."""
    return sum(round(one.amount) for lane in run.snapshot().lanes for one in lane.lessons.used)


def test_runs_at_the_same_time_add_up(tmp_path: Path) -> None:
    """Whoever comes after them finds what all of them used, once, also where they write only when they end."""
    path = tmp_path / "limits.json"
    before = Run(path, Limits(ipd=20), BEGAN)
    before.ask(2)
    before.end()
    three = [Run(path, Limits(ipd=20), BEGAN) for _ in range(3)]
    for run, jobs in zip(three, (3, 4, 5), strict=True):
        run.ask(jobs)
        assert jobs == run.sent
        run.end()
    assert 14 == used(path, BEGAN)
    last = Run(path, Limits(ipd=20), BEGAN)
    last.ask(20)
    assert 6 == last.sent
    last.end()
    assert 20 == used(path, BEGAN)


def test_more_than_a_day_used_by_several_is_waited_for(tmp_path: Path) -> None:
    """Two runs at once may each have used a whole day: the next waits until the bucket has made that good."""
    path = tmp_path / "limits.json"
    limits = Limits(ipd=4, ceiling=True)
    for run in [Run(path, limits, BEGAN) for _ in range(2)]:
        run.ask(4)
        run.end()
    late = Run(path, limits, BEGAN)
    late.ask(4)
    late.wait(DAY)
    assert 0 == late.sent
    late.wait(DAY / 4 + 10.0)
    assert 1 == late.sent


def test_other_keys_and_addresses_have_days_of_their_own(tmp_path: Path) -> None:
    """Also a sibling that learns limits from a key of the same run: it has a whole day, and serves the first job."""
    path = tmp_path / "limits.json"
    run = Run(path, Limits(ipd=4), BEGAN)
    run.ask(4)
    run.end()
    other = Run(path, Limits(ipd=4), BEGAN, "ba9876543210")
    other.ask(4)
    assert 4 == other.sent
    told = (
        (
            "m",
            Lessons(
                (Lesson("images", 5 * 60 / DAY, 5.0, DAY, "told", 10.0),), used=(Use("images", DAY, 5.0, 5 * 60 / DAY),)
            ),
        ),
    )
    config = Config((Credential(KEY, "p", lessons=told), Credential("ba9876543210", "p")), unproven=None)
    engine = Engine(config, rng=Random(1), epoch=BEGAN)
    engine.handle(Submitted(JobId(1), evolve(work("k"), handle=Handle(1))), 0.0)
    first, second = engine.snapshot().lanes
    assert [5.0, 5.0] == [lane.quota.walls[0].gauge.capacity for lane in (first, second)]
    assert [5, 1] == [round(sum(one.amount for one in lane.lessons.used)) for lane in (first, second)]


def test_what_a_key_used_and_what_its_sibling_learned_go_together() -> None:
    """A key of which only its use is known believes the limits of a sibling, of which it has used so much."""
    rate = 5 * 60 / DAY
    taught = Lessons((Lesson("images", rate, 5.0, DAY, "told", 10.0),), 7)
    keys = (
        Credential("ba9876543210", "p", lessons=(("m", taught),)),
        Credential(KEY, "p", lessons=(("m", Lessons(used=(Use("images", DAY, 3.0, rate),))),)),
    )
    engine = Engine(Config(keys, unproven=None), rng=Random(1), epoch=BEGAN)
    engine.handle(Submitted(JobId(1), evolve(work("k"), handle=Handle(1))), 0.0)
    first, second = (lane.quota for lane in engine.snapshot().lanes)
    assert [7, 7] == [first.concurrency, second.concurrency]
    assert [4, 2] == [round(quota.walls[0].gauge.level) for quota in (first, second)]


def test_another_limit_keeps_what_is_used(tmp_path: Path) -> None:
    """Who raises a limit between two runs has what it adds; who takes it away gets it back with its use."""
    path = tmp_path / "limits.json"
    first = Run(path, Limits(ipd=5), BEGAN)
    first.ask(5)
    first.end()
    more = Run(path, Limits(ipd=8), BEGAN)
    more.ask(8)
    assert 3 == more.sent
    more.end()
    free = Run(path, Limits(), BEGAN)
    free.ask(2)
    assert 2 == free.sent
    free.end()
    assert 8 == used(path, BEGAN)


@given(st.floats(0.0, 400.0), st.floats(0.0, 90_000.0), st.integers(0, 100))
def test_headers_count_before_what_was_kept(amount: float, age: float, remaining: int) -> None:
    """Whatever was kept, and however old it is: after the first reply the level is what that says."""
    rate = 100 * 60 / DAY
    prior = Lessons(
        (Lesson("images", rate, 100.0, DAY, "told", 60.0),), used=(Use("images", DAY, amount, rate, age=age),)
    )
    quota = Quota(Limits(concurrency=None), 0.0, prior, eager=True)
    sent = max(0.0, quota.ready_at(ONE, 0.0))
    permit = quota.reserve(ONE, sent)
    told = Told(100.0, float(remaining), (100 - remaining) * DAY / 100)
    quota.heard(permit, RateReport(others=((2, DAY, told),)), sent + 1.0)
    quota.settle(permit, Three.YES, sent + 1.0)
    (wall,) = quota.figures(sent + 1.0).walls
    assert remaining - 1e-3 <= wall.gauge.level <= remaining + 1.01
    assert "told" == wall.gauge.source


def test_what_a_provider_told_has_everybody_in_it(tmp_path: Path) -> None:
    """Its figure is not added to what others kept: the worst one counts."""
    path = tmp_path / "limits.json"
    rate = 100 * 60 / DAY
    write(path, [Kept(KEY, URL, "m", Lessons(used=(Use("images", DAY, 40.0, rate, told=True),)))], BEGAN)
    run = Run(path, Limits(ipd=100), BEGAN)
    run.ask(1)
    lane = run.snapshot().lanes[0]
    for amount, worst in ((30.0, 40), (50.0, 50)):
        lessons = evolve(lane.lessons, used=(Use("images", DAY, amount, rate, told=True),))
        keep(path, evolve(run.snapshot(), lanes=(evolve(lane, lessons=lessons),)), URL, BEGAN)
        assert worst == used(path, BEGAN)


def test_a_clock_that_was_set_back(tmp_path: Path) -> None:
    """What was used in the future counts as used just now: a day is not won by it; after a day it is forgotten."""
    path = tmp_path / "limits.json"
    run = Run(path, Limits(ipd=4), BEGAN)
    run.ask(4)
    run.end()
    early = Run(path, Limits(ipd=4), BEGAN - 7_200.0)
    early.ask(4)
    assert 0 == early.sent
    assert [] == load(path, BEGAN + KEPT + 1.0)


@pytest.mark.parametrize("use", ["7", "[7]", "[{}]", '[{"quantity": "images", "window": 86400, "amount": "x"}]'])
def test_a_use_that_cannot_be_read(tmp_path: Path, use: str) -> None:
    """The quota is passed over, and nothing fails; a file from before there was any has none."""
    path = tmp_path / "limits.json"
    write(path, [Kept(KEY, URL, "m", Lessons((Lesson("images", 5.0),)))], BEGAN)
    whole = json.loads(path.read_text())
    whole["quotas"][0]["used"] = json.loads(use)
    path.write_text(json.dumps(whole))
    assert [] == load(path, BEGAN)
    del whole["quotas"][0]["used"]
    path.write_text(json.dumps(whole))
    assert [()] == [kept.lessons.used for kept in load(path, BEGAN)]


def ended(path: Path, snapshot: Snapshot, gate: Barrier) -> None:
    """A process that ends at the same time as others, and waits for them however long a busy machine keeps them."""
    lessons.WAIT = 1e6
    gate.wait(600)
    keep(path, snapshot, URL, BEGAN)


def test_processes_that_end_together_lose_nothing(tmp_path: Path) -> None:
    """Each adds its own to the file, one after the other."""
    path, count = tmp_path / "limits.json", 4
    context = multiprocessing.get_context("spawn")
    gate = context.Barrier(count)
    run = Run(path, Limits(ipd=50), BEGAN)
    run.ask(3)
    processes = [context.Process(target=ended, args=(path, run.snapshot(), gate)) for _ in range(count)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert 0 == process.exitcode
    assert 3 * count == used(path, BEGAN)
    assert [path] == list(tmp_path.iterdir())


# Which window a figure is of


@pytest.mark.parametrize(
    ("remaining", "reset", "window"),
    [("0", "86400", DAY), ("0", "3600", 3600.0), ("0", "60", None), ("0", "1800", None), ("5", "0", None)],
)
def test_an_empty_bucket_that_takes_hours_is_no_minutes(remaining: str, reset: str, window: float | None) -> None:
    """A limit without a window and with nothing left: the time to full says whose it is."""
    names = {"limit": "5", "remaining": remaining, "reset": reset}
    report = read(tuple((f"x-ratelimit-{name}-images", value) for name, value in names.items()), BEGAN)
    assert report is not None
    assert ((report.images is None), [window] if window else []) == (
        window is not None,
        [w for _, w, _ in report.others],
    )


@pytest.mark.parametrize("limits", [Limits(), Limits(ipd=5), Limits(ipd=5, ipm=60)])
def test_nobody_told_of_a_minute(limits: Limits) -> None:
    """A provider tells of its day without saying so, also when little of it is left: no figure of a minute is told."""
    quota = Quota(limits, 0.0)
    for number, (remaining, reset) in enumerate([(4.0, 17_280.0), (3.0, 34_560.0), (0.0, 1_200.0), (5.0, 0.0)]):
        now = 2.0 * number
        permit = quota.reserve(Demand(0, 0, 0), now)
        headers = {"limit": "5", "remaining": f"{remaining:g}", "reset": f"{reset:g}"}
        report = read(tuple((f"x-ratelimit-{name}-images", value) for name, value in headers.items()), BEGAN)
        assert report is not None
        quota.heard(permit, report, now + 1.0)
        quota.settle(permit, Three.YES, now + 1.0)
    figures = quota.figures(8.0)
    assert limits.ipm == figures.images.per_minute
    assert ("none" if limits.ipm is None else "limit") == figures.images.source
    assert [("images", DAY, "told")] == [(wall.quantity, wall.window, wall.gauge.source) for wall in figures.walls]


def test_a_minute_that_has_the_figure_of_a_day_is_told(tmp_path: Path) -> None:
    """Where both have the same limit the reply that names no window means the minute."""
    del tmp_path
    quota = Quota(Limits(ipm=60.0, ipd=60.0), 0.0)
    permit = quota.reserve(ONE, 0.0)
    quota.heard(permit, RateReport(images=Told(60.0, 59.0, 1.0)), 1.0)
    figures = quota.figures(1.0)
    assert ("told", "limit") == (figures.images.source, figures.walls[0].gauge.source)
    assert figures.images.per_minute is not None
    assert inf > figures.images.level > 58.0
