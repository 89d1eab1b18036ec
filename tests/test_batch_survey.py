"""What a run will cost and take: the figures of a plan, and the lines that say them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from penstock.catalog import typical_seconds
from penstock.config import Limits
from penstock.entries import Intent, Lane
from penstock.ids import AttemptId, CallId, JobId, Key
from penstock.work import Purpose
from penstock_io.batch.keying import Keyed
from penstock_io.batch.plan import Plan, Stale
from penstock_io.batch.rows import Invalid
from penstock_io.batch.settings import Conversion, Settings
from penstock_io.batch.states import NEW
from penstock_io.batch.survey import Survey, survey, told
from penstock_io.journal import Account, Disk
from penstock_io.journal._room import RESERVE, USUAL, Room
from tests.planning import keyed_of, rows_of

SETTINGS = Settings(Path("out"), "http://127.0.0.1/v1", {"A": "a"})


def of(*fields: Mapping[str, object] | str, settings: Settings = SETTINGS, paid: Sequence[int] = ()) -> Survey:
    """The survey of rows that are all sent, some of which are paid."""
    rows = keyed_of(rows_of(*fields))
    account = Account(prices=dict.fromkeys((key for place in paid for key in rows[place].keys), 5))
    return survey(Plan(tuple(rows), tuple(rows)), account, settings, free=None)


def intent(number: int) -> Intent:
    """An attempt at one picture."""
    lane, parts = Lane("k", "m"), ((JobId(1), (0,)),)
    return Intent(
        AttemptId(number), CallId(1), Purpose.GENERATE, "images", lane, (Key(f"{number}"),), parts, ((),), 1, 1.0
    )


@given(prompts=st.lists(st.sampled_from("abc"), min_size=1, max_size=8), n=st.integers(1, 3), paid=st.booleans())
def test_each_picture_counts_once(prompts: list[str], n: int, paid: bool) -> None:
    """Rows that repeat another share its picture, price and place on the disk; what is paid costs nothing."""
    rows = keyed_of(rows_of(*({"prompt": prompt, "n": n} for prompt in prompts)))
    first = set(rows[0].keys) if paid else set[Key]()
    made = survey(Plan(tuple(rows), tuple(rows)), Account(prices=dict.fromkeys(first, 5)), SETTINGS, free=None)
    assert (len(prompts), len(set(prompts))) == (made.rows, made.distinct)
    assert made.rows == made.distinct + made.repeats == made.cached + made.send
    bought = {prompt: row for prompt, row in zip(prompts, rows, strict=True) if row.keys[0] not in first}
    assert len(bought) * n == made.pictures
    assert sum(row.bound or 0 for row in bought.values()) == made.bound
    assert sum(row.expected or 0 for row in bought.values()) == made.expected
    assert made.pictures * 1024 * 1024 * 2 == made.nbytes


def test_a_price_that_is_not_known_is_not_nothing() -> None:
    """One picture without a price makes the sum unknown, and says how many there are."""
    made = of("a", {"prompt": "b", "model": "unheard-of", "n": 2})
    assert (None, None, 2, 3) == (made.bound, made.expected, made.unpriced, made.pictures)
    assert "price: not known for 2 of 3 pictures" in told(made, SETTINGS)
    nothing = of()
    assert (0, 0, 0, 0.0) == (nothing.bound, nothing.expected, nothing.unpriced, nothing.seconds)


def seconds(rows: int, keys: int = 1, model: str = "gpt-image-2", **limits: float) -> float | None:
    """How long so many pictures are said to take."""
    rpm, tpm, ipm, rpd, ipd = (limits.get(name) for name in ("rpm", "tpm", "ipm", "rpd", "ipd"))
    known = Limits(rpm, tpm, ipm, 10, rpd=rpd, ipd=ipd)
    settings = evolve(SETTINGS, keys={f"{n}": f"{n}" for n in range(keys)}, limits=known)
    fields = [{"prompt": f"{n:04}", "model": model} for n in range(rows)]
    return of(*fields, settings=settings).seconds


def test_the_tightest_limit_says_how_long_it_takes() -> None:
    """The first minute's worth goes at once, the rest as the limit and the number of keys allow; then the last."""
    typical = typical_seconds("gpt-image-2", "low")
    assert typical is not None
    assert typical == seconds(10)
    assert 10 * typical == seconds(100)
    assert pytest.approx(600 + typical) == seconds(110, ipm=10)
    assert pytest.approx(270 + typical) == seconds(110, keys=2, ipm=10)
    assert pytest.approx(1200 + typical) == seconds(105, ipm=10, rpm=5)
    assert (seconds(100, tpm=10_000) or 0) > 60
    assert pytest.approx(8640 + typical) == seconds(110, ipd=100)
    assert 5.5 * typical == seconds(110, keys=2, rpd=55)


def test_models_run_side_by_side_and_unknown_ones_say_nothing() -> None:
    """The time is that of the slowest model; where neither a limit nor a usual time is known, nobody knows."""
    limited = evolve(SETTINGS, limits=Limits(ipm=1))
    rows = [{"prompt": f"{n}", "model": "one"} for n in range(3)]
    made = of(*rows, {"prompt": "a", "model": "two"}, settings=limited)
    assert 120.0 == made.seconds
    assert seconds(3, model="unheard-of") is None
    assert [] == [line for line in told(of({"prompt": "a", "model": "unheard-of"}), SETTINGS) if "time" in line]


def test_disk_space_is_that_of_sizes_and_formats() -> None:
    """A size that the model chooses counts as a large one; what is made of pictures comes on top; too much is said."""
    square = 1024 * 1024
    assert [2 * square, round(0.6 * square), 3 * square] == [
        of({"prompt": "a", **fields}).nbytes for fields in ({}, {"output_format": "jpeg"}, {"size": "auto"})
    ]
    halves = evolve(SETTINGS, conversion=Conversion(longest=512, format="jpeg"))
    assert round(2 * square + 0.6 * square / 4) == of("a", settings=halves).nbytes
    made = evolve(of("a"), free=square)
    assert not made.fits
    assert "disk: about 2.1 MB of 1.0 MB that are free: that may not be enough" in told(made, SETTINGS)
    assert evolve(made, free=10 * square).fits
    journal = "disk: about 2.1 MB of 4.2 MB that are free: that may not be enough, because 4.2 MB more are kept free"
    assert journal in told(evolve(made, free=4 * square), SETTINGS)[-1]
    assert not evolve(made, free=6 * square - 1).fits
    assert evolve(made, free=6 * square).fits


@pytest.mark.parametrize(("limit", "keys", "out"), [(2, 1, 2), (2, 3, 6), (None, 1, 8), (100, 1, 8)])
def test_the_room_is_what_the_journal_begins_and_ends_with(limit: int | None, keys: int, out: int) -> None:
    """Before a picture came each that is out is taken for a megabyte; in the end all are there, and the reserve is."""
    settings = evolve(SETTINGS, keys={f"{n}": f"k{n}" for n in range(keys)}, limits=Limits(concurrency=limit))
    tiny = [{"prompt": f"{n}", "size": "16x16", "model": "unheard-of"} for n in range(8)]
    small = of(*tiny, settings=settings)
    assert RESERVE + out * USUAL == small.nbytes + small.reserve
    large = of(*({"prompt": f"{n}"} for n in range(8)), settings=settings)
    assert RESERVE == large.reserve
    assert 0 == of(settings=settings).reserve


def test_a_disk_that_fits_takes_the_first_and_the_last_intent(tmp_path: Path) -> None:
    """What the survey says of room is what the journal goes by when a picture takes as much as was thought."""
    made = of("a", "b")

    class Small(Disk):
        """A disk with so much room."""

        room = made.nbytes + made.reserve

        def free(self, path: Path) -> int | None:
            """What is left of it."""
            del path
            return self.room

    disk = Small()
    entries = [intent(1), intent(2)]
    assert Room(tmp_path, disk).refusal(entries) is None
    disk.room -= made.nbytes // 2  # the first one is there
    assert Room(tmp_path, disk).refusal(entries[1:]) is None
    disk.room = RESERVE + USUAL - 1
    assert Room(tmp_path, disk).refusal(entries[1:]) is not None


def test_rows_that_left_the_input_are_counted() -> None:
    """Those that have pictures in the folder; neither those of now, good or bad, nor those that never had one."""
    rows = keyed_of(rows_of({"id": "here", "prompt": "a"}))
    names = ("here", "gone", "as well", "bad", "never")
    jobs = {name: (1, JobId(n)) for n, name in enumerate(names)}
    states = {name: evolve(NEW, jobs=(jobs[name],)) for name in names}
    shown = {jobs[name]: {Key(name): f"images/{name}.png"} for name in names[:4]}
    bad = [Invalid("bad", 1, 2, ()), Invalid(None, 2, 3, ())]
    plan = Plan(tuple(rows), (), done=1)
    made = survey(plan, Account(shown=shown), SETTINGS, free=None, invalid=bad, states=states)
    assert 2 == made.gone
    assert "2 rows of before are not in the input any more: their pictures stay" in told(made, SETTINGS)
    assert "1 row of before is not in the input any more: its pictures stay" in told(evolve(made, gone=1), SETTINGS)


def stale(rows: Sequence[Keyed], *why: str) -> Plan:
    """A plan in which rows are made again for these reasons."""
    return Plan(tuple(rows), tuple(rows), stale=tuple(map(Stale, rows, why, [()] * len(why))))


def test_what_is_made_again_is_told_with_its_price_and_reasons() -> None:
    """How many, at most what, and why, the commonest first; many reasons are counted together."""
    rows = keyed_of(rows_of(*(f"{n}" for n in range(9))))
    why = ["quality low -> high"] * 4 + [f"seed {n} -> {n + 1}" for n in range(4)]
    made = survey(stale(rows, *why), Account(), SETTINGS, free=None)
    assert (8, sum(row.bound or 0 for row in rows[:8])) == (made.stale, made.stale_bound)
    assert ("quality low -> high", 4) == made.why[0]
    lines = told(made, SETTINGS)
    at = next(number for number, line in enumerate(lines) if line.startswith("8 rows would be made again"))
    assert lines[at].endswith(":")
    expected = ["  4 quality low -> high", "  1 seed 0 -> 1", "  1 seed 1 -> 2", "  2 for other reasons"]
    assert expected == lines[at + 1 : at + 5]
    unknown = keyed_of(rows_of({"prompt": "a", "model": "unheard-of"}))
    without = survey(stale(unknown, "prompt changed"), Account(), SETTINGS, free=None)
    assert without.stale_bound is None
    assert "1 row would be made again, though the folder has their pictures, for an amount that is not known:" in told(
        without, SETTINGS
    )


def test_what_is_shown_first() -> None:
    """Rows by what becomes of them, what repeats, price, time and disk; only what there is."""
    rows = keyed_of(rows_of("a", "b", "b", {"prompt": "c", "n": 2}))
    plan = Plan(tuple(rows), tuple(rows), done=1000, final=2, left=3, held_back=4)
    settings = evolve(SETTINGS, keys={"A": "a", "B": "b"}, budget=Decimal("20.00"))
    bad = [Invalid(None, n, n, ()) for n in range(6)]
    made = survey(plan, Account(prices={rows[0].keys[0]: 5}), settings, free=5 * 10**9, invalid=bad)
    first, repeats, price, time, disk = told(made, settings)
    assert (
        "10 rows: 1,000 done, 1 paid for already, 2 failed for good (--retry-failed sends them), "
        "3 may have been paid and are left (--on-ambiguous retry sends them), 4 beyond --limit, 6 invalid, 3 to send"
    ) == first
    assert "1 of 4 rows repeat another and share its picture" == repeats
    assert price.startswith("price: at most $")
    assert ", probably $" in price
    assert price.endswith("(never more than the budget of $20.00 in all)")
    assert time.endswith("with 2 keys, if the provider's limits allow it")
    assert "disk: about 6.3 MB of 5.0 GB that are free" == disk
    done = survey(Plan(tuple(rows), (), done=4), Account(), settings, free=None)
    assert ["4 rows: 4 done, nothing to send", repeats] == told(done, settings)


def test_a_plan_that_only_publishes_costs_nothing() -> None:
    """What is paid needs neither price nor time nor disk, and is not called nothing."""
    made = of("a", paid=[0])
    assert (1, 0, 0, 0, 0.0, 0) == (made.cached, made.send, made.pictures, made.bound, made.seconds, made.nbytes)
    assert ["1 row: 1 paid for already"] == told(made, SETTINGS)
