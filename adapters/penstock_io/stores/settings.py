"""Settings of users, in any store: what one process saves is known wherever the store is shared.

Behind each other the tiers before the last one say for how long they are believed (`Tier.fresh`), because settings
change, as pictures do not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import TypeAlias, cast

from penstock.errors import UsageError
from penstock.ids import Key
from penstock.outcomes import Meta
from penstock_io.stores import Keeping, Store, StoreDamaged, StoreFault

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


class UserSettings:
    """A JSON object a user, in `store`; `space` keeps those of several programs apart.

    Keys are digests, so that no list of a store shows who its users are. The store raises what it raises.
    """

    def __init__(self, store: Store, *, space: str = "") -> None:
        self.store = store
        self.space = space

    def __repr__(self) -> str:
        return f"<UserSettings in {self.store!r}>"

    def read(self, user: str) -> dict[str, Json]:
        """What a user has saved; nothing, if nothing. Raises `StoreFault`; `StoreDamaged` for what is no settings."""
        found = self.store.read(self._key(user))
        if found is None:
            return {}
        if not isinstance(found[1], bytes):
            raise StoreFault("the store gives references, and settings are read as bytes: take another one")
        try:
            said = cast("Json", json.loads(found[1]))
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            raise StoreDamaged("what is stored for this user is no JSON object")
        return said

    def write(self, user: str, settings: Mapping[str, Json]) -> None:
        """Save them, instead of what was saved. Raises `StoreFault`, and `UsageError` for what is no JSON."""
        try:
            text = json.dumps(dict(settings), sort_keys=True, allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError, RecursionError) as error:
            raise UsageError(f"settings are a JSON object: {type(error).__name__} in those of a user") from None
        data = text.encode("ascii")
        self.store.write(self._key(user), Meta(format="json", nbytes=len(data)), data)

    def delete(self, user: str) -> bool:
        """Forget a user; False: nothing was saved. Raises `StoreFault`; `UsageError` where nothing is ever deleted."""
        able: object = self.store
        if not isinstance(able, Keeping):
            raise UsageError(f"{type(able).__name__} deletes nothing")
        return able.delete(self._key(user))

    def _key(self, user: str) -> Key:
        name = json.dumps(["penstock settings", self.space, user])
        return Key(sha256(name.encode("ascii")).hexdigest())
