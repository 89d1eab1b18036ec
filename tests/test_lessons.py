"""What was learned is kept for a day, by fingerprint and address, and harms nobody when it is broken."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from attrs import evolve

from penstock.config import Config, Credential
from penstock.engine import Engine, Snapshot
from penstock.events import Responded, Submitted
from penstock.ids import Handle, JobId, Ref
from penstock.lessons import Lesson, Lessons
from penstock.readings import Part, Success, Usage
from penstock.simulation.server import ServerLimits
from penstock_io.lessons import KEPT, forget, keep, load, place, recall
from tests.field.admission import SILENT, config, jobs, keys, watched
from tests.histories.bench import work

URL, OTHER = "https://one.example/v1", "https://two.example/v1"
HEADERS = (("x-ratelimit-limit-requests", "500"), ("x-ratelimit-remaining-requests", "499"))
KEY = "0123456789ab:OPENAI_API_KEY"


def taught() -> Snapshot:
    """The figures of an engine that was told of 500 requests a minute."""
    engine = Engine(Config((Credential(KEY, "p"),)), rng=Random(1), epoch=0.0)
    send = engine.handle(Submitted(JobId(1), evolve(work("k"), handle=Handle(1))), 0.0)[0]
    parts = (Part(0, Ref("b"), "1x1", "png", 9),)
    engine.handle(Responded(send.attempt, 200, HEADERS, Success(Usage(cost=1), parts)), 1.0)  # type: ignore[union-attr]  # a Send
    return engine.snapshot()


def test_what_one_run_was_told_the_next_one_knows(tmp_path: Path) -> None:
    """The same key at the same address, under whatever label, for a day; another key or address knows nothing."""
    path = tmp_path / "cache" / "limits.json"
    keep(path, taught(), URL, 1000.0)
    same, other = Credential("0123456789ab", "p"), Credential("ba9876543210", "p")
    config = recall(path, Config((same, other)), URL, 1000.0 + KEPT / 2)
    ((pool, lessons),) = config.credentials[0].lessons
    assert ("m", ["requests"]) == (pool, [one.quantity for one in lessons.buckets])
    assert 500.0 == lessons.buckets[0].per_minute
    assert KEPT / 2 <= lessons.buckets[0].age <= KEPT / 2 + 2
    assert () == config.credentials[1].lessons
    assert () == recall(path, Config((same,)), OTHER, 1000.0).credentials[0].lessons
    assert () == recall(path, Config((same,)), URL, 1001.0 + KEPT).credentials[0].lessons
    assert KEY.partition(":")[0] in path.read_text()


def test_a_quota_begins_with_them() -> None:
    """An engine whose credential has lessons believes them before the first reply, and a new sibling learns of them."""
    lessons = Lessons((Lesson("images", 5.0),))
    first = Credential("a", "p", lessons=(("m", lessons),))
    engine = Engine(Config((first, Credential("b", "p"))), rng=Random(1), epoch=0.0)
    engine.handle(Submitted(JobId(1), evolve(work("k"), handle=Handle(1))), 0.0)
    assert [5.0, 5.0] == [lane.quota.images.per_minute for lane in engine.snapshot().lanes]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("hints", [True, False])
def test_how_much_may_go_at_once_is_kept_where_it_is_known(hints: bool, seed: int) -> None:
    """What refusals teach of a rate tells no burst above a minute's: such a figure is a guess, and none is kept."""
    made = watched(config(*keys(1)), evolve(SILENT, hints=hints), ServerLimits(rpm=300, burst=1 / 60), seed=seed)
    made.run(jobs(120))
    (lane,) = made.engine.snapshot().lanes
    assert lane.lessons.buckets
    for one in lane.lessons.buckets:
        assert one.capacity is None or one.capacity < one.per_minute


def test_several_runs_add_to_one_file(tmp_path: Path) -> None:
    """What others kept stays; the same quota is replaced."""
    path = tmp_path / "limits.json"
    for url in (URL, OTHER, URL):
        keep(path, taught(), url, 1000.0)
    assert [OTHER, URL] == [one.base_url for one in load(path, 1000.0)]
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"version": 2, "quotas": []}',
        b'{"version": 1, "quotas": 7}',
        b'{"version": 1, "quotas": [7, {}, {"key": "", "base_url": "", "pool": "", "at": NaN, "buckets": []}]}',
        b'{"version": 1, "quotas": [{"key": "", "base_url": "", "pool": "", "at": 1e400, "buckets": [{}]}]}',
    ],
)
def test_a_broken_file_is_none(tmp_path: Path, content: bytes) -> None:
    """Nothing is known, nothing fails, and the next run writes it anew."""
    path = tmp_path / "limits.json"
    path.write_bytes(content)
    assert [] == load(path, 10.0)
    config = Config((Credential("a"),))
    assert config == recall(path, config, URL, 10.0)
    keep(path, taught(), URL, 10.0)
    assert 1 == len(load(path, 10.0))


def test_a_folder_that_cannot_be_written_is_no_fault(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "cache").write_text("")
    keep(tmp_path / "cache" / "limits.json", taught(), URL, 10.0)
    assert not (tmp_path / "cache" / "limits.json").exists()


def test_what_comes_from_a_clock_ahead_is_not_believed(tmp_path: Path) -> None:
    """A lesson of tomorrow is none."""
    path = tmp_path / "limits.json"
    keep(path, taught(), URL, 10**9)
    assert [] == load(path, 10**9 - 100.0)


def test_nothing_secret_is_in_it(tmp_path: Path) -> None:
    """Names, figures and times: nothing else has a place in a line."""
    path = tmp_path / "limits.json"
    keep(path, taught(), URL, 10.0)
    (line,) = json.loads(path.read_text())["quotas"]
    assert ["key", "base_url", "pool", "account", "concurrency", "at", "buckets", "used"] == list(line)
    assert ["quantity", "per_minute", "capacity", "window", "source", "at"] == list(line["buckets"][0])


def test_it_may_be_forgotten(tmp_path: Path) -> None:
    """Once, and a second time there was nothing."""
    path = tmp_path / "limits.json"
    keep(path, taught(), URL, 10.0)
    assert [True, False] == [forget(path), forget(path)]


def test_its_place() -> None:
    """The user's cache folder, or what PENSTOCK_LESSONS says."""
    assert Path("/x/penstock/limits.json") == place({"XDG_CACHE_HOME": "/x", "HOME": "/h"})
    assert Path("/a/b.json") == place({"PENSTOCK_LESSONS": "/a/b.json", "HOME": "/h"})
    assert None is place({"PENSTOCK_LESSONS": "off", "HOME": "/h"})
    assert None is place({})
    assert None is place({"HOME": "/h"}, "http://127.0.0.1:8080/v1")
    assert Path("/a") == place({"PENSTOCK_LESSONS": "/a"}, "http://localhost/v1")
