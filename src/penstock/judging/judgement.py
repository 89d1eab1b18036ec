"""What an ended attempt is judged to be."""

from __future__ import annotations

from enum import Enum

from attrs import frozen

from penstock.three import Three


class Next(Enum):
    """What to do next.

    Again at once (then with backoff), again after a wait, again within the ambiguous allowance, with the request
    changed, on another lane, or never.
    """

    NOW = "now"
    WAIT = "wait"
    AMBIGUOUS = "ambiguous"
    ADAPT = "adapt"
    LANE = "lane"
    NEVER = "never"


class Closes(Enum):
    """What takes no more attempts from now on: nothing, this lane, or all lanes of its credential."""

    NOTHING = "nothing"
    LANE = "lane"
    CREDENTIAL = "credential"


@frozen
class Judgement:
    """The four axes: was it executed, is it billed, is quota gone, what next.

    `kind` is a word for people and figures ("rate_limited"). `rate` says that a limit refused it: the quota learns;
    `blames` that the provider itself refused the request as such, and not just this attempt at it. `adapts` is the one
    word of it that was refused, where that can be said otherwise.
    """

    kind: str
    executed: Three
    billed: Three
    quota: Three
    next: Next
    closes: Closes = Closes.NOTHING
    rate: bool = False
    blames: bool = False
    adapts: str = ""
