"""What is said of a batch before it begins, to people and to programs, and what has to be agreed to."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from attrs import asdict, frozen

from penstock.ids import Key
from penstock.money.balances import NOTHING
from penstock.money.periods import period
from penstock_io.batch.convert import made_as, shown_as
from penstock_io.batch.models import unheard
from penstock_io.batch.naming import MissingField, Template
from penstock_io.batch.plan import Plan
from penstock_io.batch.progress import Level
from penstock_io.batch.results import usd
from penstock_io.batch.rows import InputError, Invalid
from penstock_io.batch.settings import TEMPLATE, Settings
from penstock_io.batch.states import NEW, here_of
from penstock_io.batch.stopping import Exit
from penstock_io.batch.survey import REASONS, Survey, told
from penstock_io.cli.consent import Reason, price_reason
from penstock_io.cli.console import Console
from penstock_io.cli.folders import Books
from penstock_io.resources import picodollars
from penstock_io.words import at_most, count, money

_MARK = re.compile(r"~[0-9a-f]{8}")
"""What `Namer` adds to names to tell them apart."""


@frozen
class Room:
    """What is `left` (picodollars) of a cap, and what that is called."""

    left: int
    name: str = "budget"


def room_of(books: Books, settings: Settings, unix: float, *, fresh: bool) -> Room | None:
    """The tightest cap of the folder, of the day and of the month of `unix`; None where there is none.

    What a ledger holds is known once it is open, or where it is `fresh`: it is not there yet.
    """
    rooms: list[Room] = []
    if settings.budget is not None:
        rooms.append(Room(max(0, picodollars(settings.budget) - books.spent)))
    funds, now = settings.funds, period(unix)
    try:
        balances = None if funds.ledger is None else funds.ledger.balances(unix)
    except sqlite3.Error:
        return None  # the run says what is wrong with it
    if balances is not None or fresh:
        for name, cap in (("day", funds.day), ("month", funds.month)):
            if cap is not None:
                booked = (balances or NOTHING).of(now.book(name))
                left = picodollars(cap) - booked.charged - booked.maybe
                rooms.append(Room(max(0, left), f"budget of the {name}"))
    return min(rooms, key=lambda room: room.left, default=None)


@frozen
class Enough:
    """How far a budget goes: `left` picodollars of it pay for `least` of `rows` at their bounds, `likely` probably."""

    left: int
    rows: int
    least: int
    likely: int
    name: str = "budget"

    @property
    def told(self) -> str:
        """In words, where it may not be enough; "" where it is."""
        if self.least == self.rows:
            return ""
        left = f"{self.name}: {money(self.left)} are left"
        if not self.likely:
            return f"{left}, which is not enough for the first of {count(self.rows, 'row')}"
        worst = f" (for {self.least:,} if each costs the most)" if self.least < self.likely else ""
        if self.likely == self.rows:
            return f"{left}, probably enough for all {count(self.rows, 'row')}{worst}"
        return f"{left}, enough for about {self.likely:,} of {count(self.rows, 'row')}{worst}"


def enough(plan: Plan, books: Books, room: Room | None) -> Enough | None:
    """How far a budget goes with the rows that have something to buy, in input order; None without a budget.

    A row is sent once there is room for its bound, and takes what it then costs: probably its expected price.
    """
    if room is None:
        return None
    left = room.left
    seen: set[Key] = set()
    rows = least = likely = bounds = expected = 0
    for one in plan.send:
        wanted = [key for key in one.keys if key not in books.account.prices and key not in plan.stored]
        new = [key for key in wanted if key not in seen]
        seen.update(new)
        bound = (one.bound or 0) // len(one.keys) * len(new)
        most, bounds = expected + bound, bounds + bound
        expected += bound if one.expected is None else one.expected // len(one.keys) * len(new)
        rows += bool(wanted)
        least = rows if bounds <= left else least
        likely = rows if most <= left else likely
    return Enough(left, rows, least, likely, room.name)


def kept(plan: Plan, books: Books, settings: Settings) -> list[str]:
    """What options leave as it is: names that pictures have, and pictures that were converted."""
    lines: list[str] = []
    name = settings.choices.name
    others = _named_otherwise(plan, books, Template.parse(name))
    if others and (name != TEMPLATE or plan.send):
        lines.append(
            f"names: the pictures of {count(others, 'row')} keep those that they have; {name} (--name) is for new ones"
        )
    if not books.states:
        return lines
    files = {file for one in plan.rows for file in here_of(books.states.get(one.id, NEW), books.account).values()}
    try:
        return [*lines, *(_unmade(files, settings) if settings.conversion is None else _to_make(files, settings))]
    except OSError:
        return lines  # the run says what is wrong with it


def _unmade(files: AbstractSet[str], settings: Settings) -> list[str]:
    """Pictures that were converted, where this run converts nothing."""
    changed = len(files & shown_as(settings.folder).keys())
    if not changed:
        return []
    told_ = "stays as it was made" if changed == 1 else "stay as they were made"
    why = "by --resize or --convert, which this run leaves out; what was paid is in originals/"
    return [f"{count(changed, 'picture')} {told_} {why}"]


def _to_make(files: AbstractSet[str], settings: Settings) -> list[str]:
    """Pictures of the folder that are not as the conversion has them."""
    if settings.conversion is None:
        return []
    others = files - made_as(settings.folder, settings.conversion)
    again = len(others & shown_as(settings.folder).keys())
    lines: list[str] = []
    if new := len(others) - again:
        lines.append(
            f"{count(new, 'picture')} of before will be converted, as far as there is something to change; "
            "what was paid moves to originals/"
        )
    if again:
        lines.append(f"{count(again, 'picture')} of before will be converted anew, from what was paid in originals/")
    return lines


def _named_otherwise(plan: Plan, books: Books, template: Template) -> int:
    """Rows whose pictures have other names than the template would give them, marks that tell names apart left out."""
    number = 0
    for one in plan.rows:
        state = books.states.get(one.id)
        if state is None or not here_of(state, books.account):
            continue
        try:
            named = template.stems(one.row, one.request.n)
        except MissingField:
            continue  # it was a mistake before
        number += [_MARK.sub("", stem) for stem in named] != [_MARK.sub("", stem) for stem in one.stems]
    return number


def lines_of(
    plan: Plan, found: Survey, books: Books, settings: Settings, model: str | None, room: Enough | None
) -> list[str]:
    """What is said of a plan, a line each. `model` is the one that nobody named, `room` how far the budget goes."""
    lines = [] if model is None or all(one.request.model != model for one in plan.rows) else [default_told(model)]
    lines += told(found, settings)
    if room is not None and room.told:
        lines.append(room.told)
    return [*lines, *kept(plan, books, settings)]


def default_told(model: str) -> str:
    """Which model is taken where nobody names one."""
    return f"model: {model}, the newest one whose price is known (--model names another)"


def warn(console: Console, plan: Plan, invalid: Sequence[Invalid], settings: Settings) -> None:
    """Tell of bad rows, of models that nobody knows, and of what providers announced of those that are sent."""
    if invalid:
        console.tell(str(InputError([mistake for one in invalid for mistake in one.mistakes])), Level.WARNING)
    models = dict.fromkeys(keyed.request.model for keyed in plan.send)
    announced = dict.fromkeys(word for keyed in plan.send for word in keyed.warnings)
    for warning in (*unheard(models, settings.base_url, settings.choices.priced), *announced):
        console.tell(warning, Level.WARNING)


def reasons_of(found: Survey, settings: Settings, unsure: str = "") -> list[Reason]:
    """What has to be agreed to. `unsure` says what a repair may have lost ("": nothing)."""
    reasons: list[Reason] = []
    cap = None if found.bound is None and settings.choices.unknown else settings.budget
    price = price_reason(found.bound, count(found.pictures, "picture"), cap) if found.send else None
    if price is not None:
        reasons.append(price)
    if unsure and found.send:
        reasons.append(Reason(unsure_told(unsure, count(found.pictures, "picture")), grave=True))
    if found.stale:
        why = ", ".join(word for word, _ in found.why[:REASONS])
        told_ = f"{count(found.stale, 'row')} would be made again ({why}) for {at_most(found.stale_bound)}"
        reasons.append(Reason(told_, grave=True, otherwise="another --out"))
    if not found.fits:
        reasons.append(Reason("the disk may not have enough room", grave=True, otherwise="another --out"))
    return reasons


def unsure_told(unsure: str, what: str) -> str:
    """Why buying in a folder whose repair could not tell what was lost has to be agreed to."""
    return f"the journal was repaired, and what was lost cannot be told ({unsure}): {what} may have been paid already"


# A dry run


def planned(lines: Sequence[str], found: Survey, room: Enough | None, console: Console, *, as_json: bool) -> int:
    """End a dry run: its plan is its result. Returns the exit code: that of bad rows, which the run would have, too."""
    code = Exit.SOME if found.invalid else Exit.ALL
    if as_json:
        console.tell("\n".join(lines))
        console.result(json.dumps(plan_json(found, room, code), ensure_ascii=False))
    else:
        console.result("\n".join([*lines, "nothing was sent, and nothing was changed (--dry-run)"]))
    return code


def plan_json(found: Survey, room: Enough | None, code: int) -> dict[str, object]:
    """A plan for a program: money is a decimal text, null where it is not known."""
    figures = asdict(found)
    for name in ("bound", "expected", "stale_bound"):
        figures[f"{name}_usd"] = _usd(figures.pop(name))
    figures["budget_left_usd"] = None if room is None else usd(room.left)
    figures["budget_rows"] = None if room is None else room.likely
    figures["budget_rows_least"] = None if room is None else room.least
    message = f"{count(found.invalid, 'row')} {'is' if found.invalid == 1 else 'are'} invalid" if found.invalid else ""
    return {**figures, "exit_code": int(code), "message": message}


def _usd(amount: object) -> str | None:
    return usd(amount) if isinstance(amount, int) else None
