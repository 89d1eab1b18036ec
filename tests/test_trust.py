"""Pictures over https, named by an API on plain http: certificates are checked by name, at the pinned address."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Generator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Thread

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from penstock.events import Fetched
from penstock.ids import AttemptId
from penstock_io._fetching import Fetching
from penstock_io._http import AsyncHttp, open_async_client, open_client
from penstock_io._payloads import Payloads
from penstock_io._progress import Progress
from penstock_io._receive import Download
from penstock_io._trust import LateTrust, trust
from tests.test_fetching import PNG, Site

API = "http://127.0.0.1:1/v1"


def certified(folder: Path, host: str) -> Path:
    """A certificate that signs itself, with its key, in one file."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path, pem = folder / f"{host}.pem", serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(made.public_bytes(pem) + secret)
    return path


@pytest.fixture
def cdn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Site]:
    """Somebody who serves pictures over https as cdn.example, whom the system trusts."""
    path = certified(tmp_path, "cdn.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with ExitStack() as stack:
        site = stack.enter_context(Site())
        served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        served.load_cert_chain(path)
        site.socket = served.wrap_socket(site.socket, server_side=True)
        thread = Thread(target=site.serve_forever)
        thread.start()
        stack.callback(thread.join)
        stack.callback(site.shutdown)
        yield site


def fetched(way: str, host: str, site: Site) -> bytes | str:
    """What a download over https gives: bytes, or why there are none."""
    payloads = Payloads()
    url = f"https://{host}:{site.server_port}/a"
    making = partial(Fetching, url, API, Download(AttemptId(1), payloads), Progress([False]))
    exchange = making(look=lambda _host, _port: ["127.0.0.1"], judge=lambda _: True)

    async def ask(client: AsyncHttp) -> object:
        async with client:
            return await exchange.arun(client, lambda _: None)

    if way == "threads":
        with open_client(API) as client:
            ended: object = exchange.run(client, lambda _: None)
    elif way == "asyncio":
        ended = asyncio.run(ask(open_async_client(API)))
    else:
        ended = trio.run(ask, open_async_client(API))
    assert isinstance(ended, Fetched)
    return payloads.read(ended.files[0]) if ended.files else str(ended.fault)


@pytest.mark.parametrize("way", ["threads", "asyncio", "trio"])
def test_a_picture_over_https_for_an_api_on_http(cdn: Site, way: str) -> None:
    """It is had, with the name's certificate, though the connection goes to an address."""
    assert PNG == fetched(way, "cdn.example", cdn)


@pytest.mark.parametrize("way", ["threads", "asyncio", "trio"])
def test_another_name_than_the_certificates(cdn: Site, way: str) -> None:
    """Whoever is at the address cannot pass for somebody else: nothing is asked of him."""
    fault = fetched(way, "other.example", cdn)
    assert isinstance(fault, str)
    assert "tls" in fault
    assert [] == cdn.asked


def test_trust_is_looked_up_late() -> None:
    """Plain http costs nothing; https is the HTTP library's own affair."""
    made = trust("HTTP://127.0.0.1:1/v1")
    assert isinstance(made, LateTrust)
    assert 0 == made.cert_store_stats()["x509_ca"]
    assert made.check_hostname
    assert ssl.CERT_REQUIRED is made.verify_mode
    assert trust("https://api.openai.com/v1") is True
