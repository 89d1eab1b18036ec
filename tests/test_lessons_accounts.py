"""An account has one day, whichever of its keys a run has; so has a key, whatever a new configuration makes of it."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from penstock.admission.headers import DAY
from penstock.config import Config, Credential, Limits
from penstock.engine import Engine
from penstock.events import Drawn, Reconfigured, Ticked
from penstock.lessons import Lesson, Lessons, Use
from penstock_io.lessons import Kept, load, recall, write
from tests.test_lessons_days import BEGAN, KEY, URL, Run, lacks, used

OTHER, THIRD = "ba9876543210", "cccccccccccc"
LIMIT = 50
RATE = LIMIT * 60 / DAY


def account(path: Path, *keys: str, name: str = "acme") -> Run:
    """A run whose keys belong to one account ("": each has limits of its own)."""
    run = Run(path, Limits(), BEGAN)
    config = Config(tuple(Credential(key, "p", Limits(ipd=LIMIT), account=name) for key in keys), unproven=None)
    run.engine = Engine(recall(path, config, URL, BEGAN), rng=Random(1), epoch=BEGAN)
    return run


def gone(run: Run) -> list[int]:
    """How many pictures of a day are gone, as each lane believes."""
    run.ask(1)
    run.tell(Ticked())
    return [round(one.amount) for lane in run.snapshot().lanes for one in lane.lessons.used]


@pytest.mark.parametrize("keys", [(KEY, OTHER), (OTHER, KEY), (THIRD, OTHER), (OTHER,)])
def test_any_key_knows_what_all_used(tmp_path: Path, keys: tuple[str, ...]) -> None:
    """Also where the first key of the next run is one that the last one did not have."""
    path = tmp_path / "limits.json"
    first = account(path, KEY, OTHER)
    first.ask(4)
    first.end()
    assert [5] * len(keys) == gone(account(path, *keys))


def test_what_keys_used_apart_adds_up_once(tmp_path: Path) -> None:
    """Somebody says later that they are of one account: their use together is its own, and stays so in each line."""
    path = tmp_path / "limits.json"
    for key, jobs in ((KEY, 3), (OTHER, 4)):
        alone = Run(path, Limits(ipd=LIMIT), BEGAN, key)
        alone.ask(jobs)
        alone.end()
    for known in (7, 9):
        together = account(path, KEY, OTHER)
        together.ask(2)
        together.end()
        assert [known + 2] * 2 == [round(kept.lessons.used[0].amount) for kept in load(path, BEGAN)]
    single = account(path, OTHER, name="")
    single.ask(5)
    single.end()
    assert [17, 17] == gone(account(path, KEY, OTHER))


def test_of_an_account_the_youngest_lesson_counts_and_a_providers_figure(tmp_path: Path) -> None:
    """What was told of it has all keys in it, and is added to nothing."""
    path = tmp_path / "limits.json"
    lines = [
        Kept(KEY, URL, "m", Lessons((Lesson("images", 7.0, age=9.0),), 3, 9.0, (Use("images", DAY, 20.0, RATE),))),
        Kept(OTHER, URL, "m", Lessons((Lesson("images", 8.0),), used=(Use("images", DAY, 25.0, RATE, told=True),))),
    ]
    write(path, lines, BEGAN)
    keys = (Credential(KEY, "p", account="acme"), Credential(OTHER, "p", account="acme"))
    first, second = recall(path, Config(keys), URL, BEGAN).credentials
    ((_, lessons),) = first.lessons
    assert first.lessons == second.lessons
    assert [(25.0, True)] == [(use.amount, use.told) for use in lessons.used]
    assert ([8.0], 3) == ([one.per_minute for one in lessons.buckets], lessons.concurrency)


def test_accounts_of_other_providers_are_others(tmp_path: Path) -> None:
    """One name may be in use at two of them."""
    path = tmp_path / "limits.json"
    write(path, [Kept(KEY, URL, "m", Lessons(used=(Use("images", DAY, 9.0, RATE),)))], BEGAN)
    keys = (Credential(KEY, "p", account="acme"), Credential(OTHER, "q", Limits(ipd=LIMIT), account="acme"))
    assert [1, 0] == [len(one.lessons) for one in recall(path, Config(keys), URL, BEGAN).credentials]


def test_keys_of_one_account_are_told_once() -> None:
    """Each of them has its line in the file; their quota is one, and loses what others took once."""
    keys = tuple(Credential(name, "p", Limits(ipd=50), account="a") for name in (KEY, "ba9876543210"))
    run = Run(Path("nowhere"), Limits(), BEGAN)
    run.engine = Engine(Config(keys, unproven=None), rng=Random(1), epoch=BEGAN)
    run.ask(2)
    use = Use("images", DAY, 9.0, 50 * 60 / DAY)
    run.engine.handle(Drawn(tuple((one.name, "m", use) for one in keys)), 0.0)
    run.engine.handle(Drawn(((KEY, "other", use), ("unknown", "m", use))), 0.0)
    assert [11, 11] == [round(lane.lessons.used[0].amount) for lane in run.snapshot().lanes]


def test_a_quota_that_is_made_anew_counts_anew(tmp_path: Path) -> None:
    """A key that was taken away and given back while the run goes on: what it takes then is added, too."""
    path = tmp_path / "limits.json"
    run = Run(path, Limits(ipd=50), BEGAN)
    mine, other = (Config((Credential(key, "p", Limits(ipd=50)),), unproven=None) for key in (KEY, "ba9876543210"))
    run.ask(7)
    run.share()
    run.wait(60.0)
    for config in (other, other, mine):
        run.tell(Reconfigured(config))
    run.share()
    run.ask(3)
    run.share()
    assert 3 + 7 == used(path, BEGAN + 60.0) == lacks(run)


def test_a_key_that_joins_an_account_leaves_nothing_behind(tmp_path: Path) -> None:
    """Its lane under its own limits is there for a while yet: what others used is told to the one that is used."""
    path = tmp_path / "limits.json"
    run, beside = (Run(path, Limits(ipd=50), BEGAN) for _ in range(2))
    run.ask(7)
    run.share()
    run.tell(Reconfigured(Config((Credential(KEY, "p", Limits(ipd=50), account="a"),), unproven=None)))
    beside.ask(2)
    beside.share()
    for _ in range(3):
        run.share()
        assert 9 == used(path, BEGAN) == round(run.snapshot().lanes[-1].lessons.used[0].amount)
