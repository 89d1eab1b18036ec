"""Where a request would go, and under what conditions: what every maker of targets needs besides the request."""

from __future__ import annotations

from attrs import frozen

from penstock.catalog import Overrides
from penstock.config import Config
from penstock.requests import Options


@frozen
class Place:
    """One entry of a chain: `provider` and the `dialect` that it speaks, at `unix` seconds.

    `prices` of the user's own lie on the published ones. `server` is the base URL of who does it, as far as keys tell
    (`penstock.cache.places`).
    """

    provider: str
    dialect: str
    unix: float
    options: Options
    prices: Overrides
    config: Config
    server: str
