"""Settings of users: apart from each other and from pictures, known to all processes, and soon the newest ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import UsageError
from penstock.ids import Key, Ref
from penstock.outcomes import Meta
from penstock_io.stores import Store, StoreDamaged, StoreFault
from penstock_io.stores.memory import MemoryStore
from penstock_io.stores.settings import Json, UserSettings
from penstock_io.stores.sqlite import SqliteStore
from penstock_io.stores.tiered import Tier, Tiered
from tests.stores.benches import BENCHES

JSON: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
LOW: dict[str, Json] = {"quality": "low"}


@given(st.dictionaries(st.text(), st.dictionaries(st.text(), JSON, max_size=3), max_size=4))
def test_each_user_has_his_own(saved: dict[str, dict[str, Json]]) -> None:
    """Whatever users are called and save comes back to them alone, and no key of the store tells a name."""
    store = MemoryStore()
    settings = UserSettings(store)
    for user, values in saved.items():
        settings.write(user, values)
    assert saved == {user: settings.read(user) for user in saved}
    assert {} == settings.read("nobody of these, surely")
    assert {64} >= {len(entry.key) for entry in store.entries()}


def test_users_of_like_names_are_apart() -> None:
    """Also where one's name begins as another's, or is nothing."""
    settings = UserSettings(MemoryStore())
    names = ["", "a", "ada", "adam", "ada ", "ADA"]
    for name in names:
        settings.write(name, {"name": name})
    assert [{"name": name} for name in names] == [settings.read(name) for name in names]


@pytest.mark.parametrize("name", sorted(BENCHES))
def test_every_store_keeps_them(name: str, tmp_path: Path) -> None:
    """Saved, changed, forgotten; what is kept on disk or by a server is known to whoever opens it next."""
    bench = BENCHES[name](tmp_path)
    store = bench.open(lambda: 0.0, None)
    UserSettings(store).write("ada", {"quality": "high"})
    UserSettings(store).write("ada", LOW)
    if bench.durable:
        store.close()
        store = bench.open(lambda: 0.0, None)
    assert LOW == UserSettings(store).read("ada")
    assert {} == UserSettings(store, space="another program").read("ada")
    assert [True, False] == [UserSettings(store).delete("ada"), UserSettings(store).delete("ada")]
    assert {} == UserSettings(store).read("ada")
    store.close()


def test_what_another_process_changed_is_known_soon(tmp_path: Path) -> None:
    """Each has its own memory before the same file: what lies there is believed for its time, also what it wrote."""
    now = 1000.0

    def process() -> tuple[MemoryStore, UserSettings]:
        hot = MemoryStore(clock=lambda: now)
        file = SqliteStore(tmp_path / "settings.sqlite", clock=lambda: now)
        return hot, UserSettings(Tiered(Tier(hot, fresh=5.0), file))

    (hot, one), (_, other) = process(), process()
    one.write("ada", {"quality": "high"})
    assert {"quality": "high"} == other.read("ada")
    one.write("ada", LOW)
    now += 4.9
    assert ({"quality": "high"}, LOW) == (other.read("ada"), one.read("ada"))
    now += 0.1
    assert LOW == other.read("ada")
    other.write("ada", {"quality": "auto"})
    now += 5.0
    assert {"quality": "auto"} == one.read("ada")
    assert [5.0] == [(entry.expires or 0.0) - now for entry in hot.entries()]
    other.delete("ada")
    now += 5.0
    assert {} == one.read("ada")
    for settings in (one, other):
        assert isinstance(settings.store, Tiered)
        settings.store.close()


def test_a_tier_is_fresh_for_some_time_and_before_another() -> None:
    """The last one has nothing behind it; the end of a picture that is nearer counts."""
    with pytest.raises(UsageError, match="fresh must be above 0 seconds, not 0"):
        Tier(MemoryStore(), fresh=0)
    with pytest.raises(UsageError, match="nothing behind it"):
        Tiered(MemoryStore(), Tier(MemoryStore(), fresh=1.0))
    hot, cold = (MemoryStore(clock=lambda: 0.0) for _ in range(2))
    Tiered(Tier(hot, fresh=5.0), cold).write(Key("a"), Meta(), b"a", 3.0)
    assert [3.0, 3.0] == [hot.lasts(Key("a")), cold.lasts(Key("a"))]
    store = Tiered(Tier(hot, fresh=5.0), cold)
    store.write(Key("b"), Meta(), b"b", 9.0)
    assert [5.0, 9.0, 9.0] == [one.lasts(Key("b")) for one in (hot, cold, store)]


class Odd(MemoryStore):
    """A store that has something else under every key."""

    def __init__(self, found: bytes | Ref) -> None:
        super().__init__()
        self.found = found

    def read(self, key: Key) -> tuple[Meta, bytes] | None:
        """That."""
        del key
        return Meta(), self.found  # type: ignore[return-value] # a journal gives references


@pytest.mark.parametrize("found", [b"\x89PNG", b"[1]", b"3", b"[" * 100_000, b"\xff"])
def test_what_is_no_settings_is_damaged(found: bytes) -> None:
    """It is told, and never taken for a user without any."""
    with pytest.raises(StoreDamaged, match="no JSON object"):
        UserSettings(Odd(found)).read("ada")


def test_what_cannot_be_is_refused() -> None:
    """What is no JSON, told without its content; a store of references, or one that deletes nothing."""
    for values in ({"a": b"secret"}, {"a": float("nan")}, {3j: "x"}, {"a": {"b": object()}}):
        with pytest.raises(UsageError, match="settings are a JSON object") as error:
            UserSettings(MemoryStore()).write("ada", values)  # type: ignore[arg-type] # on purpose
        assert "secret" not in str(error.value)
    with pytest.raises(StoreFault, match="references"):
        UserSettings(Odd(Ref("f:x"))).read("ada")

    class Plain:
        inline = True

        def read(self, key: Key) -> None:
            """Nothing."""

        def write(self, key: Key, meta: Meta, data: bytes, ttl: float | None = None) -> None:
            """Nowhere."""

    store: Store = Plain()
    with pytest.raises(UsageError, match="Plain deletes nothing"):
        UserSettings(store).delete("ada")
    assert "MemoryStore" in repr(UserSettings(MemoryStore()))
