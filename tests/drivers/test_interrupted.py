"""An interrupt while a client for threads is left: what is out is broken off, and nothing hangs."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
from signal import SIGINT, pthread_kill
from threading import Thread, main_thread

from penstock.simulation.server import Latency, ServerSettings
from penstock_io.simserver import serving
from penstock_io.sync import Client

with serving(ServerSettings(latency=Latency(600.0, 0.1))) as sim:

    def twice():
        while not sim.stats()["received"]:
            pass
        pthread_kill(main_thread().ident, SIGINT)
        while not client._closing:
            pass
        pthread_kill(main_thread().ident, SIGINT)

    try:
        with Client(sim.base_url, ["key"]) as client:
            Thread(target=twice, daemon=True).start()
            try:
                client.images.generate(prompt="a kettle", model="gpt-image-2")
            except KeyboardInterrupt:
                print("given up", flush=True)
    except KeyboardInterrupt:
        print("broken off", client._owner.is_alive(), client.engine.idle(), flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a thread cannot interrupt another there")
def test_a_second_interrupt_breaks_off_what_the_first_left_out() -> None:
    """The first one lets the paid picture arrive while the client is left; the second one does not wait for it."""
    ended = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=240, check=False)
    assert (0, "given up\nbroken off False True\n") == (ended.returncode, ended.stdout), ended.stderr
