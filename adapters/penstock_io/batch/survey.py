"""What a run will cost, take and leave on the disk: figures of a plan, shown before anybody agrees to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from attrs import define, field, frozen

from penstock.catalog import estimated_tokens, input_tokens_bound, model, parse, typical_seconds
from penstock.config import Limits
from penstock.ids import Key
from penstock.requests import ImageRequest
from penstock.work import OnAmbiguous
from penstock_io.batch.keying import Keyed
from penstock_io.batch.plan import Plan
from penstock_io.batch.rows import Invalid
from penstock_io.batch.settings import Conversion, Settings
from penstock_io.batch.states import RowState, here_of
from penstock_io.batch.timing import BEFORE, GIVEN, LEARNED, NOTHING, USUAL, Group, Known, seconds_of
from penstock_io.batch.verdict import Need
from penstock_io.journal import Account, room_needed
from penstock_io.words import at_most, count, money, size, span

BYTES = {"png": 2.0, "jpeg": 0.6, "webp": 0.5}
"""Bytes a pixel of pictures by format: what detailed ones take, so that most take less."""

AUTO = (1536, 1024)
"""The size of a picture whose size the model chooses, in pixels: the largest that it usually chooses."""

AT_A_TIME = 10
"""Pictures of one request, where the catalog does not know the model."""

NONE: Mapping[str, RowState] = {}
"""What an empty folder remembers."""

UNKNOWN = Known()
"""Nothing is known of the speed but the options."""

REASONS = 3
"""How many reasons are told for which rows are made again."""


@frozen
class Survey:
    """The figures of a plan. Money in picodollars.

    Of `rows`, `distinct` ask for a picture that none before them asked for and `repeats` share one. `done` are
    complete, `cached` are paid for and only published (`stored` of them with pictures of a store that folders share),
    `owed` are paid for and to be downloaded, `send` have something to buy, `final` failed for good (`doubted` of them
    may have been billed before), `left` may have been paid and are not tried again, `held_back` lie beyond the limit;
    `invalid` rows of the input are none of these. `pictures` are to be bought for at most `bound`, probably `expected`
    (None: `unpriced` of them have no known price), in about `seconds` (None: nobody knows), which goes by what `timed`
    says, and take about `nbytes` of the `free` bytes on the disk, of which the journal keeps `reserve` besides. `stale`
    rows are made again for at most `stale_bound`; `why` says what changed for how many. `gone` rows have pictures in
    the folder and are no longer in the input.
    """

    rows: int
    distinct: int
    repeats: int
    done: int
    cached: int
    send: int
    pictures: int
    bound: int | None
    expected: int | None
    unpriced: int
    seconds: float | None
    nbytes: int
    free: int | None
    stale: int
    stale_bound: int | None
    why: tuple[tuple[str, int], ...]
    final: int
    held_back: int
    invalid: int = 0
    left: int = 0
    reserve: int = 0
    gone: int = 0
    owed: int = 0
    doubted: int = 0
    timed: str = USUAL
    stored: int = 0

    @property
    def fits(self) -> bool:
        """There seems to be room on the disk."""
        return self.free is None or self.nbytes + self.reserve <= self.free


@frozen
class _Shape:
    """What is known of requests of one model, size and quality: their quotas, pictures at a time, tokens, seconds."""

    quotas: Mapping[str, tuple[str, Limits]]
    most: int
    tokens: int
    seconds: float | None


@define
class _Purchase:
    """Pictures to buy, each counted once whoever wants it; not those that are `spared`: due, or stored elsewhere."""

    settings: Settings
    spared: frozenset[Key] = frozenset()
    took: Mapping[tuple[str, str | None], float] = NOTHING
    seen: set[Key] = field(factory=set[Key])
    bound: int = 0
    expected: int = 0
    unpriced: int = 0
    nbytes: float = 0.0
    groups: dict[tuple[tuple[str, str], ...], Group] = field(factory=dict[tuple[tuple[str, str], ...], Group])
    shapes: dict[tuple[str, str | None, str | None], _Shape] = field(
        factory=dict[tuple[str, str | None, str | None], _Shape]
    )

    def add(self, keyed: Keyed, account: Account, conversion: Conversion | None) -> bool:
        """What a row has to buy that none before it does; whether there is any."""
        paid = (account.prices, self.spared, self.seen)
        new = [key for key in keyed.keys if not any(key in some for some in paid)]
        self.seen.update(new)
        pictures, request = len(new), keyed.request
        if keyed.bound is None:
            self.unpriced += pictures
        else:
            self.bound += keyed.bound // len(keyed.keys) * pictures
        if keyed.expected is not None:
            self.expected += keyed.expected // len(keyed.keys) * pictures
        if pictures:
            self.nbytes += pictures * _nbytes(request, conversion)
            self._group(request, pictures)
        return pictures > 0

    def _group(self, request: ImageRequest, pictures: int) -> None:
        shape = self._shape(request)
        drawn = tuple((owner, name) for owner, (name, _) in shape.quotas.items())
        group = self.groups.setdefault(drawn, Group(shape.quotas))
        group.requests += -(-pictures // shape.most)
        group.pictures += pictures
        group.tokens += pictures * (input_tokens_bound(request.prompt) + shape.tokens)
        typical = shape.seconds
        group.longest = None if typical is None or group.longest is None else max(group.longest, typical)

    def _shape(self, request: ImageRequest) -> _Shape:
        asked = (request.model, request.size, request.quality)
        found = self.shapes.get(asked)
        if found is None:
            known = model(request.model)
            found = self.shapes[asked] = _Shape(
                self.settings.quotas(request.model, request.model if known is None else known.pool),
                AT_A_TIME if known is None else known.most,
                estimated_tokens(*asked) or 0,
                self.took.get((request.model, request.quality)) or typical_seconds(request.model, request.quality),
            )
        return found


def survey(
    plan: Plan,
    account: Account,
    settings: Settings,
    *,
    free: int | None,
    invalid: Sequence[Invalid] = (),
    states: Mapping[str, RowState] = NONE,
    known: Known = UNKNOWN,
) -> Survey:
    """Add a plan up. `free` is bytes on the disk (None: unknown), `invalid` the rows that are only recorded.

    `states` are what the folder remembers (some may be in the input no more), `known` what is known of the speed.
    """
    spared = frozenset(account.due) - plan.rebuy | plan.stored
    bought, again = _Purchase(settings, spared, known.took), _Purchase(settings, spared)
    repeats, buying = _repeats(plan.rows), sum(_lacks(one, account, plan.stored) for one in plan.send)
    for one in plan.send:
        bought.add(one, account, settings.conversion)
    for stale in plan.stale:
        again.add(stale.keyed, account, settings.conversion)
    seconds, timed = seconds_of(list(bought.groups.values()), known)
    return Survey(
        rows=len(plan.rows),
        distinct=len(plan.rows) - repeats,
        repeats=repeats,
        done=plan.done,
        cached=len(plan.send) - buying,
        send=buying,
        pictures=len(bought.seen),
        bound=None if bought.unpriced else bought.bound,
        expected=None if bought.unpriced else bought.expected,
        unpriced=bought.unpriced,
        seconds=seconds,
        nbytes=round(bought.nbytes),
        reserve=_reserve(bought),
        free=free,
        stale=len(plan.stale),
        stale_bound=None if again.unpriced else again.bound,
        why=tuple(Counter(stale.why for stale in plan.stale).most_common()),
        final=plan.final,
        held_back=plan.held_back,
        invalid=len(invalid),
        left=plan.left,
        gone=_gone(plan, invalid, states, account),
        owed=plan.owed,
        doubted=plan.doubted,
        timed=timed,
        stored=sum(_lacks(one, account) for one in plan.send) - buying,
    )


def _reserve(bought: _Purchase) -> int:
    """Bytes that the journal wants free beside those of the pictures."""
    pictures, nbytes = len(bought.seen), round(bought.nbytes)
    if not pictures:
        return 0
    requests = sum(group.requests for group in bought.groups.values())
    places = [limits.concurrency for group in bought.groups.values() for _, limits in group.quotas.values()]
    most = min(requests, sum(requests if place is None else place for place in places))
    return room_needed(nbytes, -(-pictures * most // requests)) - nbytes


def _gone(plan: Plan, invalid: Sequence[Invalid], states: Mapping[str, RowState], account: Account) -> int:
    """Rows that have pictures in the folder and are not asked for any more."""
    given = {one.id for one in plan.rows} | {one.id for one in invalid}
    return sum(1 for name, state in states.items() if name not in given and here_of(state, account))


def _lacks(keyed: Keyed, account: Account, stored: frozenset[Key] = frozenset()) -> bool:
    """Whether a row needs a picture that the folder has not paid for and that is not `stored` elsewhere."""
    return any(key not in account.prices and key not in stored for key in keyed.keys)


def _repeats(rows: Iterable[Keyed]) -> int:
    """Rows that ask for nothing that rows before them did not ask for."""
    seen: set[Key] = set()
    repeats = 0
    for one in rows:
        repeats += all(key in seen for key in one.keys)
        seen.update(one.keys)
    return repeats


def _nbytes(request: ImageRequest, conversion: Conversion | None) -> float:
    """About how many bytes one picture takes, with what is made of it."""
    sides = parse(request.size) or AUTO
    name = request.output_format or "png"
    original = sides[0] * sides[1] * BYTES.get(name, BYTES["png"])
    if conversion is None:
        return original
    scale = min(1.0, (conversion.longest or max(sides)) / max(sides))
    made = sides[0] * sides[1] * scale * scale * BYTES.get(conversion.format or name, BYTES["png"])
    return original + made


def told(survey: Survey, settings: Settings) -> list[str]:
    """What is shown of it first, a line each."""
    lines = [_told_rows(survey, settings.choices.on_ambiguous)]
    if survey.repeats:
        lines.append(f"{survey.repeats:,} of {survey.rows:,} rows repeat another and share its picture")
    if survey.gone:
        their = "its pictures stay" if survey.gone == 1 else "their pictures stay"
        lines.append(f"{count(survey.gone, 'row')} of before {_is(survey.gone)} not in the input any more: {their}")
    if survey.stale:
        lines += _told_stale(survey)
    if not survey.send:
        return lines
    lines.append(_told_price(survey, settings))
    lines += _told_time(survey, settings)
    room = "" if survey.free is None else f" of {size(survey.free)} that are free"
    tight = "" if survey.fits else ": that may not be enough"
    if not survey.fits and survey.nbytes <= (survey.free or 0):
        tight += f", because {size(survey.reserve)} more are kept free for what is on its way"
    lines.append(f"disk: about {size(survey.nbytes)}{room}{tight}")
    return lines


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def _told_rows(survey: Survey, mode: OnAmbiguous) -> str:
    left = f"may have been paid and are left ({Need.DOUBT.value} sends them)"
    if mode is OnAmbiguous.ASK:
        left = "may have been paid (you are asked about them at the end, at a terminal)"
    parts = [
        (survey.done, "done"),
        (survey.cached - survey.stored, "paid for already"),
        (survey.stored, "in the store that other folders share (--cache)"),
        (survey.owed, "paid for and to be downloaded (not bought again)"),
        (survey.final - survey.doubted, f"failed for good ({Need.FINAL.value} sends them)"),
        (survey.doubted, f"failed for good and may have been billed before ({Need.BOTH.value} sends them)"),
        (survey.left, left),
        (survey.held_back, "beyond --limit"),
        (survey.invalid, "invalid"),
    ]
    said = [f"{number:,} {words}" for number, words in parts if number]
    total = survey.rows + survey.invalid
    if survey.send:
        pictures = "" if survey.pictures == survey.send else f" for {count(survey.pictures, 'picture')}"
        said.append(f"{survey.send:,} to send{pictures}")
    elif not (survey.cached or survey.owed):
        said.append("nothing to send")
    return f"{count(total, 'row')}: {', '.join(said)}"


def _told_stale(survey: Survey) -> Sequence[str]:
    most = f"for {at_most(survey.stale_bound)}"
    lines = [f"{count(survey.stale, 'row')} would be made again, though the folder has their pictures, {most}:"]
    lines += [f"  {number:,} {why}" for why, number in survey.why[:REASONS]]
    more = sum(number for _, number in survey.why[REASONS:])
    return [*lines, f"  {more:,} for other reasons"] if more else lines


def _told_price(survey: Survey, settings: Settings) -> str:
    if survey.bound is None:
        return f"price: not known for {survey.unpriced:,} of {count(survey.pictures, 'picture')}"
    expected = "" if survey.expected is None else f", probably {money(survey.expected)}"
    budget = "" if settings.budget is None else f" (never more than the budget of ${settings.budget:f} in all)"
    return f"price: {at_most(survey.bound)}{expected}{budget}"


def _told_time(survey: Survey, settings: Settings) -> list[str]:
    if survey.seconds is None:
        return []
    keys = len({key or name for name, key in settings.keys.items()})  # two variables may hold one
    with_keys = f" with {count(keys, 'key')}" if keys > 1 else ""
    return [f"time: about {span(survey.seconds)}{with_keys}{_BY[survey.timed]}"]


_BY = {
    GIVEN: "",
    LEARNED: ", as the limits were in an earlier run",
    BEFORE: ", as fast as earlier runs of this folder",
    USUAL: ", if the provider's limits allow it",
}
