"""A folder made ready for a run: what is superseded is put aside, what is paid published, wherever it is cut off."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import pytest

from penstock.entries import Lane
from penstock.ids import AttemptId, CallId, Key
from penstock_io.batch.folder import prepare_folder, told_orphans
from penstock_io.batch.plan import Plan
from penstock_io.batch.rows import Row
from penstock_io.batch.settings import Choices, Repeats
from penstock_io.batch.states import load_states
from penstock_io.journal import Account, Disk, Journal, Orphan
from tests.planning import HIGH, LOW, Shop, files_of, keyed_of, picture_of, plan_of, rows_of

THREE = ({"id": "a", "prompt": "a"}, {"id": "b", "prompt": "b", "n": 2}, {"id": "c", "prompt": "c"})


def shown(shop: Shop, rows: tuple[Row, ...], choices: Choices | None = None) -> None:
    """Every row shows just the pictures that it asks for, with their bytes, and nothing else has a name."""
    with Journal.open(shop.folder) as journal:
        from_books = journal.account()
    files = shop.files()
    plan = shop.look(rows, choices)
    assert plan.done == len(rows)
    expected: dict[str, bytes] = {}
    for one in plan.rows:
        mine = files[one.id]
        assert sorted(one.stems) == sorted(mine)
        expected |= {mine[stem]: picture_of(key) for key, stem in zip(one.keys, one.stems, strict=True)}
    assert expected == {name: (shop.folder / name).read_bytes() for name in expected}
    assert sorted(expected) == [f"images/{name}" for name in shop.pictures()["images"]]
    assert {key for key, count in shop.bought.items() if count} <= set(from_books.prices)


def test_a_rerun_sends_nothing(tmp_path: Path) -> None:
    """What is done stays as it is: nothing is planned, moved, published or bought."""
    shop, rows = Shop(tmp_path), rows_of(*THREE)
    assert 4 == shop.run(rows).bought
    again = shop.run(rows)
    assert ((), (), 3, 0, 0, 0) == (
        again.plan.send, again.prepared.send, again.plan.done, again.bought, again.prepared.published,
        again.prepared.superseded,
    )  # fmt: skip
    shown(shop, rows)


def test_inserted_deleted_and_sorted_lines_cost_what_is_new(tmp_path: Path) -> None:
    """Rows without ids: one inserted line pays for one picture, deleted and sorted ones for none."""
    shop = Shop(tmp_path)
    shop.run(rows_of("fox", "cat", "fox", "dog"))
    rows = rows_of("dog", "owl", "fox", "cat", "fox")
    assert 1 == shop.run(rows).bought
    assert 0 == shop.run(rows_of("fox", "owl")).bought
    assert 0 == shop.run(rows).bought
    assert set(shop.bought.values()) == {1}


def test_other_options_put_pictures_aside_and_going_back_costs_nothing(tmp_path: Path) -> None:
    """Low, high, low again, high again: each picture is bought once, has one name, and none is lost."""
    shop = Shop(tmp_path)
    low, high = rows_of(*THREE, defaults=LOW), rows_of(*THREE, defaults=HIGH)
    shop.run(low)
    changed = shop.run(high)
    assert (4, 4, 3) == (changed.bought, changed.prepared.superseded, len(changed.plan.stale))
    assert {"quality low -> high"} == {stale.why for stale in changed.plan.stale}
    aside = ["a.png", "b-1.png", "b-2.png", "c.png"]
    assert aside == shop.pictures()["superseded"]
    shown(shop, high)
    for rows in (low, high, low):
        back = shop.run(rows)
        assert (0, (), 3, 4) == (back.bought, back.prepared.send, back.prepared.published, back.prepared.superseded)
        assert () == back.plan.stale
        shown(shop, rows)
        assert 4 == len(shop.pictures()["superseded"])
    assert any("4 pictures of before moved to superseded/" in line for line in shop.told)


def test_superseded_pictures_never_replace_one_another(tmp_path: Path) -> None:
    """A prompt that changes again and again leaves all its pictures, each under a name of its own."""
    shop = Shop(tmp_path)
    prompts = [rows_of({"id": "a", "prompt": f"take {n}"}) for n in range(4)]
    for rows in prompts:
        shop.run(rows)
    assert ["a.png", "a~2.png", "a~3.png"] == shop.pictures()["superseded"]
    kept = {(tmp_path / "superseded" / name).read_bytes() for name in shop.pictures()["superseded"]}
    assert {picture_of(keyed_of(rows)[0].keys[0]) for rows in prompts[:3]} == kept
    assert 0 == shop.run(prompts[1]).bought


def test_more_and_fewer_pictures_of_a_row(tmp_path: Path) -> None:
    """One more is bought and the first stays; of fewer the others are put aside, and come back when asked for."""
    shop = Shop(tmp_path)
    one, three = (rows_of({"id": "a", "prompt": "a", "n": n}) for n in (1, 3))
    assert [1, 2] == [shop.run(rows).bought for rows in (one, three)]
    shown(shop, three)
    fewer = shop.run(one)
    assert (0, 2) == (fewer.bought, fewer.prepared.superseded)
    shown(shop, one)
    assert 0 == shop.run(three).bought
    shown(shop, three)


def test_what_another_row_paid_is_published_without_sending(tmp_path: Path) -> None:
    """A new row that repeats one of an earlier run has a file of its own, and nothing is sent."""
    shop = Shop(tmp_path)
    shop.run(rows_of({"id": "a", "prompt": "same"}))
    rows = rows_of({"id": "z", "prompt": "same"}, {"id": "a", "prompt": "same"})
    ran = shop.run(rows)
    assert (0, (), 1, 1) == (ran.bought, ran.prepared.send, ran.prepared.published, len(ran.plan.send))
    shown(shop, rows)


def test_variants_where_rows_shared_one(tmp_path: Path) -> None:
    """`--repeats new` after `share`: the first row keeps the picture, the others get their own; back again is free."""
    shop = Shop(tmp_path)
    rows = rows_of(*({"id": name, "prompt": "same"} for name in "abc"))
    assert 1 == shop.run(rows).bought
    new = shop.run(rows, Choices(repeats=Repeats.NEW))
    assert (2, 2) == (new.bought, new.prepared.superseded)
    shown(shop, rows, Choices(repeats=Repeats.NEW))
    assert 0 == shop.run(rows).bought


def test_a_row_that_a_limit_holds_back_keeps_its_pictures_until_it_is_sent(tmp_path: Path) -> None:
    """Only what is made again is put aside; the rest follows when its turn comes."""
    shop = Shop(tmp_path)
    low, high = (rows_of(*THREE, defaults=defaults) for defaults in (LOW, HIGH))
    shop.run(low)
    some = shop.run(high, Choices(limit=1))
    assert (1, 1, 2) == (some.bought, some.prepared.superseded, some.plan.held_back)
    assert ["a.png", "b-1.png", "b-2.png", "c.png"] == shop.pictures()["images"]
    assert (0, 3) == ((back := shop.run(low)).bought, back.plan.done + back.prepared.published)
    assert (3, 4) == ((rest := shop.run(high)).bought, rest.prepared.superseded)
    shown(shop, high)


def test_rows_that_are_not_sent_show_nothing_of_before_and_lose_nothing(tmp_path: Path) -> None:
    """What waits and asks for something else shows no picture, and no picture takes the name of its own meanwhile."""
    shop = Shop(tmp_path)
    low, high = (rows_of({"id": "a", "prompt": "same"}, defaults=defaults) for defaults in (LOW, HIGH))
    shop.run(low)
    shop.run(rows_of({"id": "z", "prompt": "same"}, defaults=HIGH))
    with Journal.open(tmp_path) as journal:
        states = load_states(journal.rows())
        (waiting,) = keyed_of(high, states, journal.account())
        prepared = prepare_folder(journal, Plan((waiting,), (), left=1), states, shop.told.append)
        assert ({}, 0, 0) == (files_of(states["a"], journal.account()), prepared.published, prepared.superseded)
    assert picture_of(keyed_of(low)[0].keys[0]) == (tmp_path / "images" / "a.png").read_bytes()
    assert 1 == shop.look(low).done


def test_a_picture_that_somebody_deleted_is_bought_again(tmp_path: Path) -> None:
    """The row is open again, and is not told as made otherwise."""
    shop, rows = Shop(tmp_path), rows_of(*THREE)
    shop.run(rows)
    (tmp_path / "images" / "a.png").unlink()
    found: list[Account] = []
    shop.ask(lambda journal: found.append(journal.account()))
    assert (3, 3) == (len(found[0].prices), sum(map(len, found[0].shown.values())))
    again = shop.run(rows)
    assert (1, (), 2) == (again.bought, again.plan.stale, again.plan.done)
    shown(shop, rows)


def test_orphans_are_told_booked_and_tried_again(tmp_path: Path) -> None:
    """A killed run's attempt is told with its row and bound; where nothing of it was durable it is doubtful."""
    shop, rows = Shop(tmp_path), rows_of(*THREE)
    shop.run(rows, lost=["a", "b"])
    again = shop.run(rows)
    assert (2, 3, 3) == (len(again.prepared.orphans), again.plan.doubtful, again.bought)
    heading = "2 attempts of a run that was cut off may have been executed and billed, at most $0.0001 in all:"
    assert heading == shop.told[0].splitlines()[0]
    assert "  b (attempt 1-2): at most $0.0000000001" in shop.told[0].splitlines()
    shown(shop, rows)


def orphan(attempt: int, quote: int | None) -> Orphan:
    """An attempt of a killed run that nobody knows the end of."""
    lane, key = Lane("key", "model"), Key(f"{attempt}")
    return Orphan(1, AttemptId(attempt), CallId(1), "generate", "images", lane, (key,), (), (), quote, 0.0)


def test_many_orphans_are_summed_up() -> None:
    """Their number, what they may cost together, rounded up, and the first three; an unknown bound makes it unknown."""
    found = [orphan(n, 10**10 + 1) for n in range(1, 65)]
    heading, *first, rest = told_orphans(found, (), {}).splitlines()
    assert "64 attempts of a run that was cut off may have been executed and billed, at most $0.6401 in all:" == heading
    gone, most = "a row that is not known any more", "at most $0.010000000001"
    assert [f"  {gone} (attempt 1-{n}): {most}" for n in (1, 2, 3)] == first
    assert "  and 61 more: summary.json has all of them" == rest
    assert 4 == len(told_orphans(found[:3], (), {}).splitlines())
    unknown = told_orphans([*found, orphan(65, None)], (), {})
    assert "billed, an unknown amount in all:" in unknown


def test_converted_pictures_go_aside_with_their_originals(tmp_path: Path) -> None:
    """What was made of an original leaves `images/` with it; going back shows the original, to be converted again."""
    shop = Shop(tmp_path)
    low, high = (rows_of({"id": "a", "prompt": "a"}, defaults=defaults) for defaults in (LOW, HIGH))
    shop.run(low)
    shop.ask(lambda journal: journal.move("images/a.png", "originals/a.png"))
    (tmp_path / "images" / "a.jpg").write_bytes(b"converted")
    (tmp_path / "images" / "mine.jpg").write_bytes(b"not of the batch")
    assert 1 == shop.look(low).done
    shop.run(high)
    assert {"images": ["a.png", "mine.jpg"], "originals": [], "superseded": ["a.jpg", "a.png"]} == shop.pictures()
    assert 0 == shop.run(low).bought
    assert {"images": ["a.png", "mine.jpg"], "originals": [], "superseded": ["a.jpg", "a~2.png"]} == shop.pictures()


class Dying(Disk):
    """A disk on which the process is interrupted before the operation after `left` more.

    `grave` gets the folder as it was then: what a process leaves that was killed there.
    """

    def __init__(self, left: int, folder: Path, grave: Path, *, links: bool) -> None:
        self.left, self.links = left, links
        self.folder, self.grave = folder, grave
        self.turn = Lock()

    @contextmanager
    def operation(self) -> Generator[None]:
        """One at a time, so that the folder stands still while it is copied."""
        with self.turn:
            self.left -= 1
            if self.left == -1:
                shutil.copytree(self.folder, self.grave)
                raise KeyboardInterrupt
            yield

    def rename(self, old: Path, new: Path) -> None:
        """One operation."""
        with self.operation():
            super().rename(old, new)

    def link(self, old: Path, new: Path) -> None:
        """One operation, which not every disk has."""
        with self.operation():
            if not self.links:
                raise PermissionError(1, "Operation not permitted")
            super().link(old, new)

    def copy(self, old: Path, new: Path) -> None:
        """One operation."""
        with self.operation():
            super().copy(old, new)

    def unlink(self, path: Path) -> None:
        """One operation."""
        with self.operation():
            super().unlink(path)

    def sync_folder(self, path: Path) -> None:
        """One operation."""
        with self.operation():
            super().sync_folder(path)


@pytest.mark.parametrize(
    ("links", "killed", "back"),
    [(True, True, False), (True, False, True), (False, True, True), (False, False, False)],  # each two together
    ids=["links, killed", "links, back", "copies, killed, back", "copies"],
)
def test_superseding_may_be_cut_off_anywhere(tmp_path: Path, links: bool, killed: bool, back: bool) -> None:
    """Ended at each operation in turn, then run with either options: nothing is bought twice, all is in its place."""
    low, high = (rows_of(*THREE[:2], defaults=defaults) for defaults in (LOW, HIGH))
    first = Shop(tmp_path / "first")
    first.run(low)
    left, died = 0, True
    while died:
        shop = Shop(tmp_path / f"{left}")
        shutil.copytree(first.folder, shop.folder)
        shop.bought = dict(first.bought)
        disk = Dying(left, shop.folder, tmp_path / f"{left}-killed", links=links)
        died = False
        try:
            shop.run(high, disk=disk)
        except KeyboardInterrupt:
            died = True
            shop.folder = disk.grave if killed else shop.folder
        for rows in (low, high) if back else (high, low):
            shop.run(rows)
            shown(shop, rows)
        assert {1} == set(shop.bought.values())
        assert 6 == len(shop.bought)
        assert [] == list(shop.folder.rglob(".tmp-*"))
        left += 1
    assert left > 20


def test_what_was_agreed_to_is_not_told_again_after_a_kill(tmp_path: Path) -> None:
    """Once pictures were put aside their rows are open, not stale: the same command goes on without asking."""
    low, high = (rows_of(*THREE, defaults=defaults) for defaults in (LOW, HIGH))
    shop = Shop(tmp_path)
    shop.run(low)
    with Journal.open(tmp_path) as journal:
        plan = plan_of(journal, high, Choices())
        prepare_folder(journal, plan, load_states(journal.rows()), shop.told.append)
    again = shop.look(high)
    assert (3, (), 3) == (len(plan.stale), again.stale, len(again.send))
