"""How long a plan takes: by limits of the options and of earlier runs, by what the folder saw, or not at all."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from attrs import evolve

from penstock.catalog import typical_seconds
from penstock.config import Credential, Limits, Pool
from penstock.durations import span
from penstock.ids import Key
from penstock.lessons import Lesson, Lessons, Use
from penstock.requests import Scalar
from penstock.simulation.server import Latency, ServerLimits, ServerSettings
from penstock_io._access import PROVIDER, fingerprint
from penstock_io.batch.plan import Plan
from penstock_io.batch.settings import Settings
from penstock_io.batch.states import RowState, Runs
from penstock_io.batch.survey import Survey, survey, told
from penstock_io.batch.timing import Known, known_of
from penstock_io.cli.folders import look
from penstock_io.journal import Account
from penstock_io.lessons import Kept, write
from penstock_io.simserver import serving
from tests.batching import folder_for, meanwhile, table
from tests.planning import keyed_of, rows_of

URL = "https://api.openai.com/v1"
TEN = Lessons((Lesson("images", 10.0, 10.0, age=300.0),))
ASKED: Mapping[str, Scalar] = {"model": "gpt-image-2", "quality": "low", "n": 1}
USUAL = typical_seconds("gpt-image-2", "low") or 0.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Two keys, a file of lessons that is not there yet, and as many requests at a time as one likes."""
    return Settings(tmp_path, URL, {"A": "key-a", "B": "key-b"}, limits=Limits(), lessons=tmp_path / "limits.json")


def learned(settings: Settings, *kept: Kept) -> Known:
    """What is known after runs that kept this."""
    assert settings.lessons is not None
    now = time.time()
    write(settings.lessons, kept, now)
    return known_of(settings, Account(), {}, Runs(), now)


def kept(key: str, lessons: Lessons = TEN, base_url: str = URL) -> Kept:
    """What a run kept of a key."""
    return Kept(fingerprint(key, "whatever"), base_url, "gpt-image-2", lessons)


def planned(settings: Settings, known: Known, rows: int = 60) -> Survey:
    """The survey of so many rows."""
    keyed = tuple(keyed_of(rows_of(*(f"kettle {n}" for n in range(rows)))))
    return survey(Plan(keyed, keyed), Account(), settings, free=None, known=known)


def lines(settings: Settings, known: Known, rows: int = 60) -> list[str]:
    """What is said of the time."""
    return [line for line in told(planned(settings, known, rows), settings) if line.startswith("time: ")]


def test_limits_of_an_earlier_run_say_how_long_it_takes(settings: Settings) -> None:
    """Ten at once and ten a minute for each of two keys: 60 pictures take two minutes, and the last one."""
    known = learned(settings, kept("key-a"), kept("key-b"))
    found = planned(settings, known)
    assert "learned" == found.timed
    assert pytest.approx(120.0 + USUAL) == found.seconds
    assert lines(settings, known)[0].endswith("with 2 keys, as the limits were in an earlier run")
    tight = evolve(settings, limits=Limits(ipm=1))
    assert pytest.approx(1740.0 + USUAL) == planned(tight, known).seconds


@pytest.mark.parametrize(
    "others",
    [[], [kept("key-c")], [kept("key-b", base_url="https://images.example.com/v1")], [kept("key-b", Lessons())]],
)
def test_limits_of_some_keys_bound_nothing(settings: Settings, others: list[Kept]) -> None:
    """What the other key lets through nobody knows, and another address is another matter."""
    found = planned(settings, learned(settings, kept("key-a"), *others))
    assert ("usual", USUAL) == (found.timed, found.seconds)


def test_a_limit_that_is_known_of_some_keys_bounds_nothing(settings: Settings) -> None:
    """Of the other key another one is known, which is wide; what it lets through of the first one nobody knows."""
    wide = Lesson("tokens", 1e9, 1e9, 60.0, "told", 86_000.0)
    found = planned(settings, learned(settings, kept("key-a"), kept("key-b", Lessons((wide,)))))
    assert pytest.approx(USUAL) == found.seconds


def test_what_is_said_of_pools_and_single_keys_counts(settings: Settings) -> None:
    """A pool that models share, whatever the catalog calls theirs, and keys that serve these models alone."""
    models = ("gpt-image-2", "gpt-image-1-mini")
    pool = Pool("pictures", models, Limits(ipm=10))
    one = Credential(fingerprint("key-a"), PROVIDER, Limits(), pools=(pool,))
    other = Credential(fingerprint("key-b"), PROVIDER, Limits(), models=models, pools=(pool,))
    for model, share in ((models[0], 1.0), (models[1], 1.0), ("gpt-image-1.5", 0.0)):
        keyed = tuple(keyed_of(rows_of(*({"prompt": f"kettle {n}", "model": model} for n in range(60)))))
        found = survey(Plan(keyed, keyed), Account(), evolve(settings, credentials=(one, other)), free=None)
        usual = typical_seconds(model, "low") or 0.0
        assert pytest.approx(share * 120.0 + usual) == found.seconds


def test_days_and_places_count(settings: Settings) -> None:
    """A day's limit beside the minute's, and how many may be out at a time."""
    day = Lesson("requests", 0.5, 20.0, 86_400.0, "told", 7200.0)
    found = planned(settings, learned(settings, kept("key-a", Lessons((day,))), kept("key-b", Lessons((day,)))))
    assert pytest.approx(20 * 60.0 + USUAL) == found.seconds
    two = Lessons((), 2)
    found = planned(settings, learned(settings, kept("key-a", two), kept("key-b", two)))
    assert pytest.approx(15 * USUAL) == found.seconds
    assert pytest.approx(30 * USUAL) == planned(evolve(settings, limits=Limits(concurrency=1)), Known()).seconds


def test_what_an_earlier_run_used_up_is_waited_for(settings: Settings) -> None:
    """A day's limit that was met an hour ago has thirty to give and refills slowly, as the next run will find."""
    keys = evolve(settings, keys={"A": "key-a"})
    for age, minutes in ((0.0, 120.0), (3600.0, 60.0), (86_000.0, 40.0)):
        day = Lesson("requests", 0.5, 40.0, 86_400.0, "told", age)
        gone = Use("requests", 86_400.0, 40.0, 0.5, age=age)
        found = planned(keys, learned(keys, kept("key-a", Lessons((day,), used=(gone,)))))
        assert pytest.approx(minutes * 60.0 + USUAL, abs=1.0) == found.seconds


def test_a_key_in_two_variables_is_one(settings: Settings) -> None:
    """It makes nothing faster, and is not counted twice; without their values two variables are two."""
    twin, bare = (evolve(settings, keys={"A": key, "B": key}) for key in ("key-a", ""))
    known = learned(twin, kept("key-a"))
    assert [f"time: about {span(300.0 + USUAL)}, as the limits were in an earlier run"] == lines(twin, known)
    assert "with 2 keys" in lines(bare, Known())[0]


def test_what_of_a_given_day_is_used_is_waited_for(settings: Settings) -> None:
    """Of 80 a day with two keys 50 are gone, so 30 of 60 go at once, and the others as it refills."""
    two = evolve(settings, limits=Limits(ipd=40.0))
    used = [Lessons(used=(Use("images", 86_400.0, amount, 40 / 1440),)) for amount in (40.0, 10.0)]
    known = learned(two, kept("key-a", used[0]), kept("key-b", used[1]))
    assert pytest.approx(30 * 1080.0 + USUAL, abs=1.0) == planned(two, known).seconds
    assert pytest.approx(USUAL) == planned(two, known, rows=30).seconds
    some = learned(two, kept("key-a", used[0]))
    assert pytest.approx(20 * 1080.0 + USUAL, abs=1.0) == planned(two, some).seconds


def test_what_the_folder_saw_counts_before_what_is_published(settings: Settings) -> None:
    """How long its pictures took; and where it was refused, how many it got through."""
    account = Account(took={Key(f"{n}"): 4.0 for n in range(30)})
    states = {"row": RowState(keys=(Key("1"),), asked=ASKED)}
    free = known_of(settings, account, states, Runs(seconds=60.0), time.time())
    assert ("usual", 4.0) == (planned(settings, free).timed, planned(settings, free).seconds)
    held = known_of(settings, account, states, Runs(http_429=3, seconds=60.0), time.time())
    assert ("before", 120.0) == (planned(settings, held).timed, planned(settings, held).seconds)
    assert ["time: about 2 min with 2 keys, as fast as earlier runs of this folder"] == lines(settings, held)


def test_a_folder_that_was_held_back_says_so(tmp_path: Path) -> None:
    """After a run through limits that nobody told of the plan of more takes as long as that did."""
    limits = ServerLimits(ipm=600, burst=2 / 600)
    with serving(ServerSettings(limits=limits, told=(), latency=Latency(0.02, 0.0))) as sim:
        folder = folder_for(tmp_path / "out", sim)

        def answer() -> None:
            assert sim.wait(lambda stats: stats["rejected"] != {})
            sim.release()

        sim.hold()  # nothing refills before one is refused
        with meanwhile(answer):
            folder.run(table(20))
    books = look(folder.path)
    known = known_of(folder.settings, books.account, books.states, books.runs, time.time())
    found = planned(folder.settings, known)
    assert "before" == found.timed
    assert pytest.approx(60 / 20 * books.runs.seconds) == found.seconds
