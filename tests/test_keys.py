"""A client's keys by the names that its user gave them: labels, accounts, and what is different for one key."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from penstock.config import Config, Credential, Limits
from penstock.errors import UsageError
from penstock.simulation.server import Latency, ServerSettings
from penstock_io._access import addressed, fingerprint
from penstock_io.simserver import SimServer, serving
from penstock_io.sync import Client

KEYS = {"a": "secret-a", "b": "secret-b"}
A, B = fingerprint("secret-a", "a"), fingerprint("secret-b", "b")


@pytest.fixture
def sim() -> Iterator[SimServer]:
    """A fast provider."""
    with serving(ServerSettings(latency=Latency(0.02, 0.0))) as running:
        yield running


def buy(client: Client) -> None:
    """One picture: lanes are made when a model is first wanted."""
    client.images.generate(prompt="a kettle", model="gpt-image-2")


def test_all_keys_belong_to_the_account(sim: SimServer) -> None:
    """They share one quota, keys that come later too, and figures say so by the account's name."""
    with Client(sim.base_url, KEYS, account="acme", limits=Limits(rpm=600)) as client:
        buy(client)
        client.reconfigure(api_keys={"c": "secret-c"})
        lanes = client.snapshot().lanes
        assert ["acme"] * 3 == [lane.account for lane in lanes]
        assert 1 == len({lane.quota.requests.level for lane in lanes})
        assert ["a", "b", "c"] == sorted(lane.credential.partition(":")[2] for lane in lanes)


def test_a_credential_is_called_by_its_label(sim: SimServer) -> None:
    """Nobody computes a digest: label and fingerprint alone are names, at the start and later."""
    config = Config((Credential("b", weight=0.5), Credential(A.partition(":")[0], account="x")))
    with Client(sim.base_url, KEYS, config=config) as client:
        assert [(B, 0.5, ""), (A, 1.0, "x")] == [
            (one.name, one.weight, one.account) for one in client.config.credentials
        ]
        buy(client)
        client.reconfigure(Config((Credential("a"), Credential("c", weight=2.0))), api_keys={"c": "secret-c"})
        names = [A, fingerprint("secret-c", "c")]
        assert names == [one.name for one in client.config.credentials]
        buy(client)


def test_of_two_keys_with_one_label_the_later_is_meant() -> None:
    """A key that was replaced keeps its label as long as something is out on it."""
    found = addressed(Config((Credential("a"),)), [A, fingerprint("newer", "a")])
    assert [fingerprint("newer", "a")] == [one.name for one in found.credentials]


def test_a_credential_without_a_key_is_an_error() -> None:
    """As are two that are one key; both name what they mean."""
    with pytest.raises(UsageError, match="that have no API key: c; a credential is called by the label"):
        Client("http://127.0.0.1:9/v1", KEYS, config=Config((Credential("c"),)))
    with pytest.raises(UsageError, match=f"that are one key: a and {A}"):
        Client("http://127.0.0.1:9/v1", KEYS, config=Config((Credential("a"), Credential(A))))
