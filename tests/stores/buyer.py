"""What another process buys: `python -m tests.stores.buyer STORE FOLDER BASE_URL FIRST COUNT`.

It wants COUNT pictures beginning with the FIRST, through one client on the store, and says what it does line by line.
"""

from __future__ import annotations

import json
import sys
from hashlib import sha256
from pathlib import Path
from time import time

from penstock.commands import Send
from penstock.config import Config, Limits
from penstock.requests import ImageRequest
from penstock_io import _leases
from penstock_io.sync import Client
from tests.stores.benches import BENCHES

PICTURES = 12
"""How many different ones there are."""

CONFIG = Config(read_patience=600.0, unproven=None)
"""On a busy machine nobody buys without the store's word; all go at once."""


def wanted(number: int) -> ImageRequest:
    """One of the pictures."""
    return ImageRequest(prompt=f"a kettle, number {number % PICTURES}", model="gpt-image-2.6-flare", quality="low")


def say(**words: object) -> None:
    """A line for the test."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def sent(send: Send) -> None:
    """Something goes out."""
    say(sent=send.samples)


def main(name: str, folder: str, base_url: str, first: str, count: str) -> None:
    """Buy, or find. On a busy machine no lease runs out because its holder did not come to renew it."""
    _leases.SPAN = 3600.0
    store = BENCHES[name](Path(folder)).open(time, None)
    limits = Limits(concurrency=PICTURES)
    with Client(base_url, ["key"], store=store, limits=limits, config=CONFIG, on_send=sent) as client:
        for result in client.images.map(wanted(int(first) + number) for number in range(int(count))):
            data = b"".join(image.data for image in result.images)
            say(
                status=result.outcome.status.value,
                number=(int(first) + result.index) % PICTURES,
                charge=result.outcome.charge,
                digest=sha256(data).hexdigest(),
            )
    store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
