"""What a client is before it is used: light to import, honest about how it is made."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest
import trio

import penstock_io.asyncio
import penstock_io.sync
import penstock_io.trio
from penstock.config import Budget, Config, Credential, Limits
from penstock.errors import UsageError
from penstock.work import OnAmbiguous
from penstock_io._access import fingerprint, named
from penstock_io._setup import Setup
from penstock_io.resources import dollars, picodollars


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("penstock_io.sync", ["asyncio", "trio", "httpx", "httpx2"]),
        ("penstock_io.asyncio", ["trio", "httpx", "httpx2"]),
        ("penstock_io.trio", ["asyncio", "httpx", "httpx2"]),
    ],
)
def test_imports(module: str, absent: list[str]) -> None:
    """A driver loads no other loop, and no HTTP library before a client is entered."""
    code = f"import sys, {module}; print([name for name in {absent!r} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]" == said.stdout.strip()


def test_keys_go_by_their_fingerprint() -> None:
    """Twelve hex digits of the SHA-256, and the label; the same key twice is one credential."""
    assert "9834876dcfb0" == fingerprint("aaa")
    names = named({"blue": "sk-1", "red": "sk-2", "again": "sk-1"})
    assert [f"{fingerprint('sk-1')}:blue", f"{fingerprint('sk-2')}:red"] == list(names)
    assert 12 == len(fingerprint("sk-1"))


@pytest.mark.parametrize("key", ["sk-1\n", "sk 1", "sk-\u00fc"])
def test_a_key_that_no_header_can_carry(key: str) -> None:
    """It is refused when the client is made, by its fingerprint and not by its value."""
    with pytest.raises(UsageError, match=f"API key {fingerprint(key)} holds what no header can carry") as caught:
        penstock_io.sync.Client("http://127.0.0.1:1/v1", [key])
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ([], "api_keys is empty: give at least one API key"),
        ({}, "api_keys is empty"),
        (["sk-1", ""], "API key 2 is empty"),
        ({"blue": " "}, "API key blue is empty"),
        (["sk-1", None], "API key 2 is a text, not NoneType"),
        ({1: "sk-1"}, "the label of an API key is a text, not 1"),
    ],
)
def test_keys_that_are_none(keys: Any, said: str) -> None:
    """No keys, an empty one, or what is no text: the client is not made, and it is said which one it is."""
    with pytest.raises(UsageError, match=said):
        penstock_io.sync.Client("http://127.0.0.1:1/v1", keys)


def test_each_credential_has_a_key() -> None:
    """A credential of the configuration that no key belongs to could never be used; nothing changes then."""
    bare = Config(credentials=(Credential("mine"), Credential(fingerprint("sk-1"))))
    with pytest.raises(
        UsageError, match="credentials of the config that have no API key: mine; a credential is called"
    ):
        penstock_io.sync.Client("http://127.0.0.1:1/v1", ["sk-1"], config=bare)
    client = penstock_io.sync.Client("http://127.0.0.1:1/v1", ["sk-1"])
    before = client.config
    with pytest.raises(UsageError, match="have no API key: mine"):
        client._reconfigured(bare, ["sk-2"], resume=False)
    assert (before, [fingerprint("sk-1")]) == (client.config, list(client._keys))


@pytest.mark.parametrize("keys", ["sk-1", b"sk-1"])
def test_a_key_is_not_a_list_of_keys(keys: str) -> None:
    """One text in place of a list is refused, instead of taken for a key a character."""
    with pytest.raises(UsageError, match="api_keys is a list of keys, or keys by label"):
        penstock_io.sync.Client("http://127.0.0.1:1/v1", keys)


@pytest.mark.parametrize(
    "url",
    ["https://me:secret@127.0.0.1/v1", "https://me@127.0.0.1", "me:secret@127.0.0.1/v1", "http://me:secret@h?a=b"],
)
def test_a_base_url_with_a_password(url: str) -> None:
    """A base URL is shown, so one that holds a user or a password is refused, and not said again."""
    with pytest.raises(UsageError, match="a user or a password") as caught:
        penstock_io.asyncio.Client(url, ["sk-1"])
    assert "secret" not in str(caught.value)
    assert "/v1@2" in repr(penstock_io.asyncio.Client("https://127.0.0.1/v1@2/", ["sk-1"]))


def test_money_is_exact() -> None:
    """Dollars and picodollars without a rounding error; unknown stays unknown."""
    assert Decimal("0.000000000001") == dollars(1)
    assert 12_345_678_901_234 == picodollars(Decimal("12.345678901234"))
    assert dollars(None) is None


def test_what_is_said_beside_a_configuration() -> None:
    """Limits, budget and mode are added to the engine's configuration; its own credentials and caps stay."""
    own = Config(credentials=(Credential("mine"),), budget=Budget((("run", 1), ("tenant:a", 2))))
    setup = Setup("http://127.0.0.1:1", ["sk-1"], limits=Limits(rpm=5), config=own, budget=Decimal(1))
    config = setup.configured(("mine", "other"))
    assert (Credential("mine"), Credential("other", limits=Limits(rpm=5))) == config.credentials
    assert (("run", 10**12), ("tenant:a", 2)) == config.budget.caps
    assert (False, False) == (config.store, config.journal)
    skip = Setup("http://127.0.0.1:1", [], on_ambiguous=OnAmbiguous.SKIP).configured(())
    assert OnAmbiguous.SKIP is skip.ambiguity.mode


def test_a_key_that_is_known_is_no_second_credential() -> None:
    """A key given again keeps its name, whatever it is called now; one that the new configuration lacks is added."""
    client = penstock_io.sync.Client("http://127.0.0.1:1/v1", ["sk-1"])
    told = client._reconfigured(None, {"again": "sk-1", "new": "sk-2"}, resume=False)
    names = [fingerprint("sk-1"), fingerprint("sk-2", "new")]
    assert names == list(client._keys) == [credential.name for credential in told.config.credentials]
    told = client._reconfigured(Config(), {"again": "sk-1"}, resume=False)
    assert names[:1] == [credential.name for credential in told.config.credentials]


def test_a_client_has_to_be_entered() -> None:
    """Before that it says so, whatever it is asked, and it is entered once."""
    client = penstock_io.sync.Client("http://127.0.0.1:1/v1", ["sk-1"])
    for ask in (lambda: client.engine, lambda: client.images, client.snapshot, client.explain, client.reconfigure):
        with pytest.raises(UsageError, match=r"context manager: with Client\(...\) as client"):
            ask()
    with client:
        assert client.snapshot().at_rest
    with pytest.raises(UsageError, match="once"):
        client.__enter__()
    assert "sk-1" not in repr(client)


@pytest.mark.parametrize("module", [penstock_io.asyncio, penstock_io.trio])
def test_an_asynchronous_client_has_to_be_entered(module: Any) -> None:
    """It says how, whatever it is asked."""
    client = module.Client("http://127.0.0.1:1/v1", ["sk-1"])
    for ask in (client.snapshot, client.explain, client.reconfigure):
        with pytest.raises(UsageError, match=r"context manager: async with Client\(...\) as client"):
            asyncio.run(ask())
    for end in (lambda: client.images, client.end):
        with pytest.raises(UsageError, match="context manager: async with"):
            end()


async def entered(module: Any) -> None:
    """A client inside its context."""
    async with module.Client("http://127.0.0.1:1/v1", ["sk-1"]):
        raise AssertionError


def test_the_other_loop_is_named() -> None:
    """A client that is entered under the other library's loop says which one belongs there."""
    with pytest.raises(UsageError, match=r"under trio there is penstock_io\.trio\.Client"):
        trio.run(entered, penstock_io.asyncio)
    with pytest.raises(UsageError, match=r"under asyncio there is penstock_io\.asyncio\.Client"):
        asyncio.run(entered(penstock_io.trio))
